// Runs one program on the accelerator, as software would: registers over AXI4-Lite, then the interrupt, then the result.
//
// A pulse on `start` begins. The result leaves as a stream of memory words, and `done` rises behind it; `failed` rises instead
// when the accelerator is another one than the program was compiled for, answers an access with an error, or stops with an
// error. `cycles` is what the program took.
`default_nettype none

module host #(
    parameter        WORD_BYTES      = 8,
    parameter        WORD_BITS       = 12,
    parameter [31:0] CONFIG_IDENTITY = 0,   // of the accelerator that the program is for
    parameter [31:0] PROGRAM_ADDRESS = 0,
    parameter [31:0] PROGRAM_LENGTH  = 0,   // bytes
    parameter [31:0] RESULT_WORD     = 0,   // where the result lies, in words of the memory
    parameter [31:0] RESULT_WORDS    = 0
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    start,
    input  wire                    irq,
    output reg                     done,
    output reg                     failed,
    output reg  [31:0]             cycles,

    output reg  [11:0]             araddr,
    output reg                     arvalid,
    input  wire                    arready,
    input  wire [31:0]             rdata,
    input  wire [1:0]              rresp,
    input  wire                    rvalid,
    output wire                    rready,
    output reg  [11:0]             awaddr,
    output reg                     awvalid,
    input  wire                    awready,
    output reg  [31:0]             wdata,
    output reg                     wvalid,
    input  wire                    wready,
    input  wire [1:0]              bresp,
    input  wire                    bvalid,
    output wire                    bready,

    output wire [WORD_BITS-1:0]    memory_word,
    input  wire [8*WORD_BYTES-1:0] memory_data,
    output reg                     result_valid,
    output wire [8*WORD_BYTES-1:0] result_data
);
    // docs/registers.md
    localparam [11:0] REG_CONFIG_IDENTITY      = 12'h008,
                      REG_CONTROL              = 12'h040,
                      REG_INTERRUPT_STATUS     = 12'h048,
                      REG_INTERRUPT_ENABLE     = 12'h04c,
                      REG_PROGRAM_ADDRESS_LOW  = 12'h060,
                      REG_PROGRAM_ADDRESS_HIGH = 12'h064,
                      REG_PROGRAM_LENGTH       = 12'h068,
                      REG_WATCHDOG_LIMIT       = 12'h06c,
                      REG_COUNT_CYCLES         = 12'h200;
    localparam [31:0] START = 1, DONE = 1, DONE_OR_ERROR = 3;

    localparam [2:0] IDLE = 0, STEP = 1, WRITE = 2, READ = 3, INTERRUPT = 4, RESULT = 5;
    reg [2:0]           state;
    reg [3:0]           step;
    reg [WORD_BITS-1:0] index;

    assign rready      = state == READ;
    assign bready      = state == WRITE;
    assign memory_word = RESULT_WORD[WORD_BITS-1:0] + index;
    assign result_data = memory_data;

    // Address and data of a write are offered together, and each is taken when the accelerator likes.
    task write(input [11:0] address, input [31:0] value);
        begin
            awaddr  <= address;
            wdata   <= value;
            awvalid <= 1;
            wvalid  <= 1;
            state   <= WRITE;
        end
    endtask

    task read(input [11:0] address);
        begin
            araddr  <= address;
            arvalid <= 1;
            state   <= READ;
        end
    endtask

    task fail;
        begin
            failed <= 1;
            state  <= IDLE;
        end
    endtask

    always @(posedge clk) begin
        result_valid <= state == RESULT;
        if (awready) awvalid <= 0;
        if (wready)  wvalid  <= 0;
        if (arready) arvalid <= 0;

        case (state)
            IDLE: if (start) begin
                done   <= 0;
                failed <= 0;
                step   <= 0;
                index  <= 0;
                state  <= STEP;
            end

            STEP: case (step)
                0: read(REG_CONFIG_IDENTITY);
                1: write(REG_PROGRAM_ADDRESS_LOW, PROGRAM_ADDRESS);
                2: write(REG_PROGRAM_ADDRESS_HIGH, 0);
                3: write(REG_PROGRAM_LENGTH, PROGRAM_LENGTH);
                4: write(REG_WATCHDOG_LIMIT, 100000);  // cycles without progress after which the accelerator gives up
                5: write(REG_INTERRUPT_ENABLE, DONE_OR_ERROR);
                6: write(REG_CONTROL, START);
                7: state <= INTERRUPT;
                8: read(REG_INTERRUPT_STATUS);
                9: write(REG_INTERRUPT_STATUS, DONE_OR_ERROR);  // writing 1 clears
                10: read(REG_COUNT_CYCLES);
                default: state <= RESULT;
            endcase

            WRITE: if (bvalid) begin
                step  <= step + 1'b1;
                state <= STEP;
                if (bresp != 0) fail;
            end

            READ: if (rvalid) begin
                step  <= step + 1'b1;
                state <= STEP;
                if (rresp != 0) fail;
                if (step == 0 && rdata != CONFIG_IDENTITY) fail;
                if (step == 8 && rdata != DONE) fail;
                if (step == 10) cycles <= rdata;
            end

            INTERRUPT: if (irq) begin
                step  <= step + 1'b1;
                state <= STEP;
            end

            RESULT: begin
                index <= index + 1'b1;
                if (index == RESULT_WORDS - 1) begin
                    done  <= 1;
                    state <= IDLE;
                end
            end

            default: state <= IDLE;
        endcase

        if (rst) begin
            state   <= IDLE;
            done    <= 0;
            failed  <= 0;
            awvalid <= 0;
            wvalid  <= 0;
            arvalid <= 0;
            index   <= 0;
        end
    end
endmodule

`default_nettype wire
