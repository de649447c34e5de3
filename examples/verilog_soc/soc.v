// A system on chip around the accelerator: memory, and a state machine in the place of a processor.
//
//     host ── AXI4-Lite ──► gemmary ── AXI4 ──► axi_ram
//       ▲                      │                   │
//       ├──────── irq ─────────┘                   │
//       └──────────────── result ──────────────────┘
//
// Widths are those of the preset `small`: the head of the generated gemmary.v tells yours.
`default_nettype none

module soc #(
    parameter        WORDS           = 4096,  // of 8 bytes
    parameter [31:0] CONFIG_IDENTITY = 0,
    parameter [31:0] PROGRAM_ADDRESS = 0,
    parameter [31:0] PROGRAM_LENGTH  = 0,
    parameter [31:0] RESULT_WORD     = 0,
    parameter [31:0] RESULT_WORDS    = 0
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        start,
    output wire        done,
    output wire        failed,
    output wire [31:0] cycles,
    output wire        result_valid,
    output wire [63:0] result_data
);
    localparam WORD_BITS = $clog2(WORDS);

    wire irq;
    wire [WORD_BITS-1:0] memory_word;
    wire [63:0] memory_data;

    // AXI4-Lite: the host's way to the registers.
    wire [11:0] lite_araddr, lite_awaddr;
    wire [31:0] lite_rdata, lite_wdata;
    wire [1:0]  lite_rresp, lite_bresp;
    wire lite_arvalid, lite_arready, lite_rvalid, lite_rready;
    wire lite_awvalid, lite_awready, lite_wvalid, lite_wready, lite_bvalid, lite_bready;

    // AXI4: the accelerator's way to memory.
    wire [39:0] axi_araddr, axi_awaddr;
    wire [63:0] axi_rdata, axi_wdata;
    wire [7:0]  axi_arlen, axi_wstrb;
    wire [3:0]  axi_arid, axi_rid, axi_awid, axi_bid;
    wire [1:0]  axi_rresp, axi_bresp;
    wire axi_arvalid, axi_arready, axi_rvalid, axi_rready, axi_rlast;
    wire axi_awvalid, axi_awready, axi_wvalid, axi_wready, axi_wlast, axi_bvalid, axi_bready;

    gemmary accelerator (
        .aclk(clk), .aresetn(!rst), .irq(irq),

        .s_axil_araddr(lite_araddr), .s_axil_arprot(3'b000), .s_axil_arvalid(lite_arvalid), .s_axil_arready(lite_arready),
        .s_axil_rdata(lite_rdata), .s_axil_rresp(lite_rresp), .s_axil_rvalid(lite_rvalid), .s_axil_rready(lite_rready),
        .s_axil_awaddr(lite_awaddr), .s_axil_awprot(3'b000), .s_axil_awvalid(lite_awvalid), .s_axil_awready(lite_awready),
        .s_axil_wdata(lite_wdata), .s_axil_wstrb(4'b1111), .s_axil_wvalid(lite_wvalid), .s_axil_wready(lite_wready),
        .s_axil_bresp(lite_bresp), .s_axil_bvalid(lite_bvalid), .s_axil_bready(lite_bready),

        .m_axi_araddr(axi_araddr), .m_axi_arid(axi_arid), .m_axi_arlen(axi_arlen),
        .m_axi_arsize(), .m_axi_arburst(), .m_axi_arcache(), .m_axi_arprot(),  // always whole words, INCR
        .m_axi_arvalid(axi_arvalid), .m_axi_arready(axi_arready),
        .m_axi_rdata(axi_rdata), .m_axi_rid(axi_rid), .m_axi_rresp(axi_rresp), .m_axi_rlast(axi_rlast),
        .m_axi_rvalid(axi_rvalid), .m_axi_rready(axi_rready),
        .m_axi_awaddr(axi_awaddr), .m_axi_awid(axi_awid),
        .m_axi_awlen(), .m_axi_awsize(), .m_axi_awburst(), .m_axi_awcache(), .m_axi_awprot(),
        .m_axi_awvalid(axi_awvalid), .m_axi_awready(axi_awready),
        .m_axi_wdata(axi_wdata), .m_axi_wstrb(axi_wstrb), .m_axi_wlast(axi_wlast),
        .m_axi_wvalid(axi_wvalid), .m_axi_wready(axi_wready),
        .m_axi_bid(axi_bid), .m_axi_bresp(axi_bresp), .m_axi_bvalid(axi_bvalid), .m_axi_bready(axi_bready)
    );

    axi_ram #(.WORD_BYTES(8), .WORDS(WORDS), .ADDRESS_BITS(40), .ID_BITS(4)) ram (
        .clk(clk), .rst(rst),
        .araddr(axi_araddr), .arid(axi_arid), .arlen(axi_arlen), .arvalid(axi_arvalid), .arready(axi_arready),
        .rdata(axi_rdata), .rid(axi_rid), .rresp(axi_rresp), .rlast(axi_rlast),
        .rvalid(axi_rvalid), .rready(axi_rready),
        .awaddr(axi_awaddr), .awid(axi_awid), .awvalid(axi_awvalid), .awready(axi_awready),
        .wdata(axi_wdata), .wstrb(axi_wstrb), .wlast(axi_wlast), .wvalid(axi_wvalid), .wready(axi_wready),
        .bid(axi_bid), .bresp(axi_bresp), .bvalid(axi_bvalid), .bready(axi_bready),
        .host_word(memory_word), .host_data(memory_data)
    );

    host #(
        .WORD_BYTES(8), .WORD_BITS(WORD_BITS), .CONFIG_IDENTITY(CONFIG_IDENTITY),
        .PROGRAM_ADDRESS(PROGRAM_ADDRESS), .PROGRAM_LENGTH(PROGRAM_LENGTH),
        .RESULT_WORD(RESULT_WORD), .RESULT_WORDS(RESULT_WORDS)
    ) host (
        .clk(clk), .rst(rst), .start(start), .irq(irq), .done(done), .failed(failed), .cycles(cycles),
        .araddr(lite_araddr), .arvalid(lite_arvalid), .arready(lite_arready),
        .rdata(lite_rdata), .rresp(lite_rresp), .rvalid(lite_rvalid), .rready(lite_rready),
        .awaddr(lite_awaddr), .awvalid(lite_awvalid), .awready(lite_awready),
        .wdata(lite_wdata), .wvalid(lite_wvalid), .wready(lite_wready),
        .bresp(lite_bresp), .bvalid(lite_bvalid), .bready(lite_bready),
        .memory_word(memory_word), .memory_data(memory_data),
        .result_valid(result_valid), .result_data(result_data)
    );
endmodule

`default_nettype wire
