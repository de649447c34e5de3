// Behavioural model of the ECP5 multiplier, after the ECP5 and ECP5-5G sysDSP Usage Guide (FPGA-TN-02205) as far
// as it could be read, and Yosys' maps. Not confirmed by the vendor's own model: that reset comes before the enable.
//
// P = A * B, 18 by 18 bits, each operand signed or unsigned as SIGNEDA and SIGNEDB say. REG_x_CLK switches a register on by
// naming its clock; REG_x_CE and REG_x_RST name its enable and reset. The input registers hold the operand and its sign bit
// together; the pipeline register is inside the multiplier, so what it holds is the product. Reset is active high, sets
// registers to zero and comes before the enable. Registers start at zero, as configuration leaves them. SROA, SROB, ROA and
// ROB show the operands behind their registers.
//
// Left out, and stopped with $fatal when used: the shift inputs (SOURCEA, SOURCEB, SRIA, SRIB), the operand C, bypass and
// high-speed modes. The global reset is not modelled. An unconnected input counts as 0.

module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
    input SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10, SRIA9,
    input SRIA8, SRIA7, SRIA6, SRIA5, SRIA4, SRIA3, SRIA2, SRIA1, SRIA0,
    input SRIB17, SRIB16, SRIB15, SRIB14, SRIB13, SRIB12, SRIB11, SRIB10, SRIB9,
    input SRIB8, SRIB7, SRIB6, SRIB5, SRIB4, SRIB3, SRIB2, SRIB1, SRIB0,
    output SROA17, SROA16, SROA15, SROA14, SROA13, SROA12, SROA11, SROA10, SROA9,
    output SROA8, SROA7, SROA6, SROA5, SROA4, SROA3, SROA2, SROA1, SROA0,
    output SROB17, SROB16, SROB15, SROB14, SROB13, SROB12, SROB11, SROB10, SROB9,
    output SROB8, SROB7, SROB6, SROB5, SROB4, SROB3, SROB2, SROB1, SROB0,
    output ROA17, ROA16, ROA15, ROA14, ROA13, ROA12, ROA11, ROA10, ROA9,
    output ROA8, ROA7, ROA6, ROA5, ROA4, ROA3, ROA2, ROA1, ROA0,
    output ROB17, ROB16, ROB15, ROB14, ROB13, ROB12, ROB11, ROB10, ROB9,
    output ROB8, ROB7, ROB6, ROB5, ROB4, ROB3, ROB2, ROB1, ROB0,
    output ROC17, ROC16, ROC15, ROC14, ROC13, ROC12, ROC11, ROC10, ROC9,
    output ROC8, ROC7, ROC6, ROC5, ROC4, ROC3, ROC2, ROC1, ROC0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0,
    output SIGNEDP
);
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0";
    parameter REG_INPUTC_CLK = "NONE", REG_INPUTC_CE = "CE0", REG_INPUTC_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0";
    parameter CLK0_DIV = "ENABLED", CLK1_DIV = "ENABLED", CLK2_DIV = "ENABLED", CLK3_DIV = "ENABLED";
    parameter HIGHSPEED_CLK = "NONE", GSR = "ENABLED", CAS_MATCH_REG = "FALSE", SOURCEB_MODE = "B_SHIFT";
    parameter MULT_BYPASS = "DISABLED", RESETMODE = "SYNC";

    wire [3:0] clocks = {CLK3, CLK2, CLK1, CLK0};
    wire [3:0] enables = {CE3, CE2, CE1, CE0};
    wire [3:0] resets = {RST3, RST2, RST1, RST0};
    wire [17:0] a_in = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b_in = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    wire [17:0] c_in = {C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0};

    // An operand with its sign bit: 19 bits, which hold both kinds of number as signed ones.
    wire signed [18:0] a, b;
    wire signed [37:0] product = a * b;
    wire [37:0] piped, p;

    MULT18X18D_REGISTER #(19, REG_INPUTA_CLK, REG_INPUTA_CE, REG_INPUTA_RST, RESETMODE) input_a (
        clocks, enables, resets, {(SIGNEDA === 1'b1) & a_in[17], a_in}, a);
    MULT18X18D_REGISTER #(19, REG_INPUTB_CLK, REG_INPUTB_CE, REG_INPUTB_RST, RESETMODE) input_b (
        clocks, enables, resets, {(SIGNEDB === 1'b1) & b_in[17], b_in}, b);
    MULT18X18D_REGISTER #(38, REG_PIPELINE_CLK, REG_PIPELINE_CE, REG_PIPELINE_RST, RESETMODE) pipeline (
        clocks, enables, resets, product, piped);
    MULT18X18D_REGISTER #(38, REG_OUTPUT_CLK, REG_OUTPUT_CE, REG_OUTPUT_RST, RESETMODE) out (
        clocks, enables, resets, piped, p);

    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
            P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = p[35:0];
    assign {SROA17, SROA16, SROA15, SROA14, SROA13, SROA12, SROA11, SROA10, SROA9,
            SROA8, SROA7, SROA6, SROA5, SROA4, SROA3, SROA2, SROA1, SROA0} = a[17:0];
    assign {SROB17, SROB16, SROB15, SROB14, SROB13, SROB12, SROB11, SROB10, SROB9,
            SROB8, SROB7, SROB6, SROB5, SROB4, SROB3, SROB2, SROB1, SROB0} = b[17:0];
    assign {ROA17, ROA16, ROA15, ROA14, ROA13, ROA12, ROA11, ROA10, ROA9,
            ROA8, ROA7, ROA6, ROA5, ROA4, ROA3, ROA2, ROA1, ROA0} = a[17:0];
    assign {ROB17, ROB16, ROB15, ROB14, ROB13, ROB12, ROB11, ROB10, ROB9,
            ROB8, ROB7, ROB6, ROB5, ROB4, ROB3, ROB2, ROB1, ROB0} = b[17:0];
    assign {ROC17, ROC16, ROC15, ROC14, ROC13, ROC12, ROC11, ROC10, ROC9,
            ROC8, ROC7, ROC6, ROC5, ROC4, ROC3, ROC2, ROC1, ROC0} = 18'd0;
    assign SIGNEDP = (SIGNEDA === 1'b1) | (SIGNEDB === 1'b1);

    initial begin
        if (RESETMODE != "SYNC" && RESETMODE != "ASYNC")
            $fatal(1, "MULT18X18D: RESETMODE = %0s is not modelled: use SYNC or ASYNC", RESETMODE);
        if (REG_INPUTC_CLK != "NONE")
            $fatal(1, "MULT18X18D: REG_INPUTC_CLK = %0s is not modelled: use NONE", REG_INPUTC_CLK);
        if (SOURCEB_MODE != "B_SHIFT")
            $fatal(1, "MULT18X18D: SOURCEB_MODE = %0s is not modelled: use B_SHIFT", SOURCEB_MODE);
        if (MULT_BYPASS != "DISABLED")
            $fatal(1, "MULT18X18D: MULT_BYPASS = %0s is not modelled: use DISABLED", MULT_BYPASS);
        if (CAS_MATCH_REG != "FALSE")
            $fatal(1, "MULT18X18D: CAS_MATCH_REG = %0s is not modelled: use FALSE", CAS_MATCH_REG);
        if (HIGHSPEED_CLK != "NONE")
            $fatal(1, "MULT18X18D: HIGHSPEED_CLK = %0s is not modelled: use NONE", HIGHSPEED_CLK);
        if (CLK0_DIV != "ENABLED" || CLK1_DIV != "ENABLED" || CLK2_DIV != "ENABLED" || CLK3_DIV != "ENABLED")
            $fatal(1, "MULT18X18D: CLKn_DIV other than ENABLED is not modelled");
    end

    always @* begin
        if (SOURCEA === 1'b1) $fatal(1, "MULT18X18D: SOURCEA = 1 is not modelled: shift inputs");
        if (SOURCEB === 1'b1) $fatal(1, "MULT18X18D: SOURCEB = 1 is not modelled: shift inputs");
        if (|c_in === 1'b1) $fatal(1, "MULT18X18D: operand C is not modelled: connect zeros");
    end
endmodule

// One register of the multiplier, or a wire with CLK "NONE".
module MULT18X18D_REGISTER #(
    parameter WIDTH = 1,
    parameter CLK = "NONE",
    parameter CE = "CE0",
    parameter RST = "RST0",
    parameter RESETMODE = "SYNC"
) (
    input [3:0] clocks, enables, resets,
    input [WIDTH-1:0] d,
    output [WIDTH-1:0] q
);
    wire clock = CLK == "CLK0" ? clocks[0] : CLK == "CLK1" ? clocks[1] : CLK == "CLK2" ? clocks[2] : clocks[3];
    wire enable = CE == "CE0" ? enables[0] : CE == "CE1" ? enables[1] : CE == "CE2" ? enables[2] : enables[3];
    wire reset = RST == "RST0" ? resets[0] : RST == "RST1" ? resets[1] : RST == "RST2" ? resets[2] : resets[3];
    reg [WIDTH-1:0] held = 0;
    generate
        if (CLK == "NONE") assign q = d;
        else assign q = held;
        if (RESETMODE == "ASYNC") begin
            always @(posedge clock, posedge reset)
                if (reset) held <= 0;
                else if (enable) held <= d;
        end else begin
            always @(posedge clock)
                if (reset) held <= 0;
                else if (enable) held <= d;
        end
    endgenerate
    initial begin
        if (CLK != "NONE" && CLK != "CLK0" && CLK != "CLK1" && CLK != "CLK2" && CLK != "CLK3")
            $fatal(1, "MULT18X18D: clock %0s is unknown: use CLK0 to CLK3 or NONE", CLK);
        if (CE != "CE0" && CE != "CE1" && CE != "CE2" && CE != "CE3")
            $fatal(1, "MULT18X18D: enable %0s is unknown: use CE0 to CE3", CE);
        if (RST != "RST0" && RST != "RST1" && RST != "RST2" && RST != "RST3")
            $fatal(1, "MULT18X18D: reset %0s is unknown: use RST0 to RST3", RST);
    end
endmodule
