// Resets the system on chip, starts it, and compares what it computes with what NumPy computed.
//
// image.vh, ram.hex and expected.hex come from image.py, and are looked for in the folder where the simulation runs.
`timescale 1ns / 1ps
`default_nettype none

module tb;
    `include "image.vh"
    localparam LIMIT = 200000;  // cycles

    reg clk = 0, rst = 1, start = 0;
    wire done, failed, result_valid;
    wire [31:0] cycles;
    wire [63:0] result_data;
    reg [63:0] expected [0:RESULT_WORDS-1];
    integer count = 0, mismatches = 0, passed = 0;

    soc #(
        .WORDS(WORDS), .CONFIG_IDENTITY(CONFIG_IDENTITY),
        .PROGRAM_ADDRESS(PROGRAM_ADDRESS), .PROGRAM_LENGTH(PROGRAM_LENGTH),
        .RESULT_WORD(RESULT_WORD), .RESULT_WORDS(RESULT_WORDS)
    ) soc (
        .clk(clk), .rst(rst), .start(start), .done(done), .failed(failed), .cycles(cycles),
        .result_valid(result_valid), .result_data(result_data)
    );

    always #5 clk = !clk;

    initial begin
        $readmemh("ram.hex", soc.ram.memory);
        $readmemh("expected.hex", expected);
        if ($test$plusargs("waves")) begin
            $dumpfile("waves.vcd");
            $dumpvars(0, tb);
        end
        repeat (5) @(posedge clk);
        rst <= 0;
        repeat (5) @(posedge clk);  // the accelerator leaves reset two cycles later than we do
        start <= 1;
        @(posedge clk);
        start <= 0;
    end

    always @(posedge clk) if (!rst) begin
        passed <= passed + 1;
        if (result_valid) begin
            if (result_data !== expected[count]) begin
                mismatches = mismatches + 1;
                $display("word %0d of the result is %h, NumPy says %h", count, result_data, expected[count]);
            end
            count = count + 1;
        end
        if (failed) $fatal(1, "FAIL: the accelerator stopped with an error");
        if (passed == LIMIT) $fatal(1, "FAIL: no result after %0d cycles", LIMIT);
        if (done && !result_valid) begin
            if (mismatches != 0 || count != RESULT_WORDS)
                $fatal(1, "FAIL: %0d of %0d words differ from NumPy", mismatches, count);
            $display("PASS: %0d words equal NumPy, %0d cycles from first fetch to last write", count, cycles);
            $finish(0);
        end
    end
endmodule

`default_nettype wire
