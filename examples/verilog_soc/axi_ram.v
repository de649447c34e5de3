// A block RAM behind AXI4: INCR bursts, one read and one write burst at a time, a beat each way a cycle.
//
// It takes AW before W, as AXI allows every subordinate to. Beats are as wide as the bus; an address past the end answers
// DECERR. A host beside the bus reads the same port: host_data is the word at host_word, a cycle later, while no AXI read is
// under way.
`default_nettype none

module axi_ram #(
    parameter WORD_BYTES   = 8,
    parameter WORDS        = 4096,
    parameter ADDRESS_BITS = 40,
    parameter ID_BITS      = 4,
    parameter WORD_BITS    = $clog2(WORDS)
) (
    input  wire                    clk,
    input  wire                    rst,

    input  wire [ADDRESS_BITS-1:0] araddr,
    input  wire [ID_BITS-1:0]      arid,
    input  wire [7:0]              arlen,
    input  wire                    arvalid,
    output wire                    arready,

    output reg  [8*WORD_BYTES-1:0] rdata,
    output reg  [ID_BITS-1:0]      rid,
    output reg  [1:0]              rresp,
    output reg                     rlast,
    output reg                     rvalid,
    input  wire                    rready,

    input  wire [ADDRESS_BITS-1:0] awaddr,
    input  wire [ID_BITS-1:0]      awid,
    input  wire                    awvalid,
    output wire                    awready,

    input  wire [8*WORD_BYTES-1:0] wdata,
    input  wire [WORD_BYTES-1:0]   wstrb,
    input  wire                    wlast,
    input  wire                    wvalid,
    output wire                    wready,

    output reg  [ID_BITS-1:0]      bid,
    output reg  [1:0]              bresp,
    output reg                     bvalid,
    input  wire                    bready,

    input  wire [WORD_BITS-1:0]    host_word,
    output wire [8*WORD_BYTES-1:0] host_data
);
    localparam OFFSET_BITS = $clog2(WORD_BYTES);
    localparam [1:0] OKAY = 2'b00, DECERR = 2'b11;

    reg [8*WORD_BYTES-1:0] memory [0:WORDS-1];

    // --- Read ---
    reg                 reading;
    reg [WORD_BITS-1:0] read_word;
    reg [7:0]           read_left;          // beats after this one
    reg [1:0]           read_response;
    reg [ID_BITS-1:0]   read_id;
    wire                advance = !rvalid || rready;  // the output register is free

    assign arready   = !reading;
    assign host_data = rdata;

    always @(posedge clk) begin
        if (arvalid && arready) begin
            reading       <= 1;
            read_word     <= araddr[OFFSET_BITS +: WORD_BITS];
            read_left     <= arlen;
            read_response <= araddr < WORDS * WORD_BYTES ? OKAY : DECERR;
            read_id       <= arid;
        end
        if (advance) begin
            rdata  <= memory[reading ? read_word : host_word];
            rvalid <= reading;
            rlast  <= read_left == 0;
            rresp  <= read_response;
            rid    <= read_id;
            if (reading) begin
                read_word <= read_word + 1'b1;
                read_left <= read_left - 1'b1;
                if (read_left == 0) reading <= 0;
            end
        end
        if (rst) begin
            reading <= 0;
            rvalid  <= 0;
        end
    end

    // --- Write ---
    reg                 writing;
    reg [WORD_BITS-1:0] write_word;
    integer             i;

    assign awready = !writing && !bvalid;
    assign wready  = writing;

    always @(posedge clk) begin
        if (awvalid && awready) begin
            writing    <= 1;
            write_word <= awaddr[OFFSET_BITS +: WORD_BITS];
            bid        <= awid;
            bresp      <= awaddr < WORDS * WORD_BYTES ? OKAY : DECERR;
        end
        if (wvalid && wready) begin
            for (i = 0; i < WORD_BYTES; i = i + 1)
                if (wstrb[i] && bresp == OKAY) memory[write_word][8*i +: 8] <= wdata[8*i +: 8];
            write_word <= write_word + 1'b1;
            if (wlast) begin
                writing <= 0;
                bvalid  <= 1;
            end
        end
        if (bvalid && bready) bvalid <= 0;
        if (rst) begin
            writing <= 0;
            bvalid  <= 0;
        end
    end
endmodule

`default_nettype wire
