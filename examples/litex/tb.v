// Clock and reset for the SoC; prints its console and ends with its exit status.
`timescale 1ns / 1ps

module tb;
    localparam LIMIT = 500000;  // cycles

    reg clk = 0, rst = 1;
    wire [7:0] character, status;
    wire character_valid, status_valid;
    integer cycles = 0;

    soc soc (
        .clk(clk), .rst(rst),
        .console_character(character), .console_valid(character_valid),
        .exit_status(status), .exit_valid(status_valid)
    );

    always #5 clk = !clk;

    always @(posedge clk) begin
        cycles <= cycles + 1;
        if (cycles == 10) rst <= 0;
        if (character_valid) $write("%c", character);
        if (status_valid) begin
            if (status != 0) $fatal(1, "status %0d", status);
            $display("%0d cycles from reset to the end", cycles);
            $finish(0);
        end
        if (cycles == LIMIT) $fatal(1, "FAIL: no end after %0d cycles", LIMIT);
    end
endmodule
