// Behavioural model of the ECP5 block RAM, after the ECP5 and ECP5-5G Memory Usage Guide (FPGA-TN-02204) as far as it
// could be read. The place of byte enables, the layout of INITVAL and the 36-bit mode are those of Yosys' map to this cell. Not
// confirmed by the vendor's own model: OCE and RST without CE, and what a deselected port shows.
//
// 18,432 bits, as 512 rows of 36 bits or 2,048 bytes of 9. Widths 1, 2 and 4 reach the lower 8 bits of a byte. A port acts at
// the rising edge of its clock (CLKxMUX "INV": the falling one) when CE is 1 and CS equals CSDECODE:
//
//   width  address   byte enables    data                 width  address   data
//   36     AD[13:5]  AD[3:0]         DIB DIA, DOB DOA     4      AD[13:2]  DI[3:0]
//   18     AD[13:4]  AD[1:0]         DI[17:0]             2      AD[13:1]  DI[1:0]
//   9      AD[13:3]  -               DI[8:0]              1      AD[13:0]  DI[0]
//
// What a port shows after a write: what it showed before (WRITEMODE "NORMAL"), the new word ("WRITETHROUGH") or the old one
// ("READBEFOREWRITE", widths 9 and above). REGMODE "OUTREG" adds a register, which takes a new word when OCE is 1, whatever
// CE is. RST sets latch and register to zero, whatever CE and OCE are, at the clock edge (RESETMODE "SYNC", which also keeps the
// port from writing) or at once ("ASYNC"). Contents outlive a reset.
//
// With a width of 36 the RAM is pseudo dual-port: A only writes, B only reads.
//
// What is undefined is made wrong, so that nothing comes to rely on it: where one port writes a bit that the other one reads or
// writes, that bit is inverted, and so is what a port below 9 bits shows of a write with READBEFOREWRITE. (With two clocks the model does not ask whether the other one rises at the same moment: a
// correct design does not use that word in either case.)
//
// Not modelled, and stopped with $fatal when used: RESETMODE "ASYNC" with ASYNC_RESET_RELEASE "SYNC", INITVAL as strings,
// INIT_DATA "DYNAMIC". The global reset is not modelled. An unconnected input counts as 0.

module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
        DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter GSR = "ENABLED", INIT_DATA = "STATIC", WID = 0;
    parameter INITVAL_00 = 320'd0, INITVAL_01 = 320'd0, INITVAL_02 = 320'd0, INITVAL_03 = 320'd0;
    parameter INITVAL_04 = 320'd0, INITVAL_05 = 320'd0, INITVAL_06 = 320'd0, INITVAL_07 = 320'd0;
    parameter INITVAL_08 = 320'd0, INITVAL_09 = 320'd0, INITVAL_0A = 320'd0, INITVAL_0B = 320'd0;
    parameter INITVAL_0C = 320'd0, INITVAL_0D = 320'd0, INITVAL_0E = 320'd0, INITVAL_0F = 320'd0;
    parameter INITVAL_10 = 320'd0, INITVAL_11 = 320'd0, INITVAL_12 = 320'd0, INITVAL_13 = 320'd0;
    parameter INITVAL_14 = 320'd0, INITVAL_15 = 320'd0, INITVAL_16 = 320'd0, INITVAL_17 = 320'd0;
    parameter INITVAL_18 = 320'd0, INITVAL_19 = 320'd0, INITVAL_1A = 320'd0, INITVAL_1B = 320'd0;
    parameter INITVAL_1C = 320'd0, INITVAL_1D = 320'd0, INITVAL_1E = 320'd0, INITVAL_1F = 320'd0;
    parameter INITVAL_20 = 320'd0, INITVAL_21 = 320'd0, INITVAL_22 = 320'd0, INITVAL_23 = 320'd0;
    parameter INITVAL_24 = 320'd0, INITVAL_25 = 320'd0, INITVAL_26 = 320'd0, INITVAL_27 = 320'd0;
    parameter INITVAL_28 = 320'd0, INITVAL_29 = 320'd0, INITVAL_2A = 320'd0, INITVAL_2B = 320'd0;
    parameter INITVAL_2C = 320'd0, INITVAL_2D = 320'd0, INITVAL_2E = 320'd0, INITVAL_2F = 320'd0;
    parameter INITVAL_30 = 320'd0, INITVAL_31 = 320'd0, INITVAL_32 = 320'd0, INITVAL_33 = 320'd0;
    parameter INITVAL_34 = 320'd0, INITVAL_35 = 320'd0, INITVAL_36 = 320'd0, INITVAL_37 = 320'd0;
    parameter INITVAL_38 = 320'd0, INITVAL_39 = 320'd0, INITVAL_3A = 320'd0, INITVAL_3B = 320'd0;
    parameter INITVAL_3C = 320'd0, INITVAL_3D = 320'd0, INITVAL_3E = 320'd0, INITVAL_3F = 320'd0;

    localparam PSEUDO = DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36;

    wire [13:0] ada = driven({ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0});
    wire [13:0] adb = driven({ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0});
    wire [17:0] dia = driven({DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
        DIA3, DIA2, DIA1, DIA0});
    wire [17:0] dib = driven({DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
        DIB3, DIB2, DIB1, DIB0});
    wire clock_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire clock_b = CLKBMUX == "INV" ? ~CLKB : CLKB;
    wire enable_a = CEA === 1'b1 && {CSA2 === 1'b1, CSA1 === 1'b1, CSA0 === 1'b1} == chip_select(CSDECODE_A);
    wire enable_b = CEB === 1'b1 && {CSB2 === 1'b1, CSB1 === 1'b1, CSB0 === 1'b1} == chip_select(CSDECODE_B);
    wire reset_a = RSTA === 1'b1, reset_b = RSTB === 1'b1;
    wire blocked_a = RESETMODE == "SYNC" && reset_a, blocked_b = RESETMODE == "SYNC" && reset_b;

    // Rows, the bits of a row that a port writes, and the data where they belong in the row.
    reg [35:0] rows [0:511];
    wire [8:0] row_a = ada[13:5], row_b = adb[13:5];
    wire [5:0] offset_a = offset(DATA_WIDTH_A, ada), offset_b = offset(DATA_WIDTH_B, adb);
    wire [35:0] written_a = enable_a && WEA === 1'b1 && !blocked_a ? lanes(DATA_WIDTH_A, ada) << offset_a : 36'd0;
    wire [35:0] written_b = enable_b && WEB === 1'b1 && !blocked_b ? lanes(DATA_WIDTH_B, adb) << offset_b : 36'd0;
    wire [35:0] data_a = {PSEUDO ? dib : 18'd0, dia} << offset_a;
    wire [35:0] data_b = {18'd0, dib} << offset_b;
    wire [35:0] undefined_a = row_a == row_b ? written_b : 36'd0;
    wire [35:0] undefined_b = row_a == row_b ? written_a : 36'd0;
    wire [35:0] old_a = rows[row_a] ^ undefined_a;
    wire [35:0] old_b = rows[row_b] ^ undefined_b;
    wire [35:0] new_a = (data_a ^ undefined_a) & written_a | old_a & ~written_a;
    wire [35:0] new_b = (data_b ^ undefined_b) & written_b | old_b & ~written_b;

    reg [35:0] latch_a = 0, latch_b = 0, register_a = 0, register_b = 0;
    // Bit by bit, in effect: the other port may write other bits of the row at the same edge.
    integer i, j;
    always @(posedge clock_a)
        if (DATA_WIDTH_A >= 9) begin
            for (i = 0; i < 36; i = i + 9) if (written_a[i]) rows[row_a][i +: 9] <= new_a[i +: 9];
        end else if (|written_a) rows[row_a][offset_a +: DATA_WIDTH_A] <= new_a[offset_a +: DATA_WIDTH_A];
    always @(posedge clock_b)
        if (DATA_WIDTH_B >= 9) begin
            for (j = 0; j < 36; j = j + 9) if (written_b[j]) rows[row_b][j +: 9] <= new_b[j +: 9];
        end else if (|written_b) rows[row_b][offset_b +: DATA_WIDTH_B] <= new_b[offset_b +: DATA_WIDTH_B];

    // READBEFOREWRITE is undefined below 9 bits: inverted.
    wire [35:0] before_a = WRITEMODE_A == "READBEFOREWRITE" && DATA_WIDTH_A < 9 ? old_a ^ written_a : old_a;
    wire [35:0] before_b = WRITEMODE_B == "READBEFOREWRITE" && DATA_WIDTH_B < 9 ? old_b ^ written_b : old_b;
    wire [35:0] shown_a = (WRITEMODE_A == "WRITETHROUGH" ? new_a : before_a) >> offset_a & ones(DATA_WIDTH_A);
    wire [35:0] shown_b = (WRITEMODE_B == "WRITETHROUGH" ? new_b : before_b) >> offset_b & ones(DATA_WIDTH_B);
    wire take_a = enable_a && !(WEA === 1'b1 && WRITEMODE_A == "NORMAL");
    wire take_b = enable_b && !(WEB === 1'b1 && WRITEMODE_B == "NORMAL");

    generate
        if (RESETMODE == "ASYNC") begin
            always @(posedge clock_a, posedge reset_a)
                if (reset_a) latch_a <= 0;
                else if (take_a) latch_a <= shown_a;
            always @(posedge clock_b, posedge reset_b)
                if (reset_b) latch_b <= 0;
                else if (take_b) latch_b <= shown_b;
            always @(posedge clock_a, posedge reset_a)
                if (reset_a) register_a <= 0;
                else if (OCEA === 1'b1) register_a <= latch_a;
            always @(posedge clock_b, posedge reset_b)
                if (reset_b) register_b <= 0;
                else if (OCEB === 1'b1) register_b <= latch_b;
        end else begin
            always @(posedge clock_a) begin
                if (reset_a) latch_a <= 0;
                else if (take_a) latch_a <= shown_a;
                if (reset_a) register_a <= 0;
                else if (OCEA === 1'b1) register_a <= latch_a;
            end
            always @(posedge clock_b) begin
                if (reset_b) latch_b <= 0;
                else if (take_b) latch_b <= shown_b;
                if (reset_b) register_b <= 0;
                else if (OCEB === 1'b1) register_b <= latch_b;
            end
        end
    endgenerate

    wire [35:0] q_a = REGMODE_A == "OUTREG" ? register_a : latch_a;
    wire [35:0] q_b = REGMODE_B == "OUTREG" ? register_b : latch_b;
    wire [35:0] q = !PSEUDO ? {q_b[17:0], q_a[17:0]} : DATA_WIDTH_B == 36 ? q_b : {q_b[17:0], 18'd0};
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0} = q[35:18];
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0} = q[17:0];

    // With 0 for what is not connected.
    function [17:0] driven(input [17:0] pins);
        integer pin;
        for (pin = 0; pin < 18; pin = pin + 1) driven[pin] = pins[pin] === 1'bz ? 1'b0 : pins[pin];
    endfunction

    // The lowest bit of a row that an access reaches.
    function [5:0] offset(input integer width, input [13:0] address);
        case (width)
            36: offset = 0;
            18: offset = address[4] ? 18 : 0;
            9: offset = 9 * address[4:3];
            4: offset = 9 * address[4:3] + 4 * address[2];
            2: offset = 9 * address[4:3] + 2 * address[2:1];
            default: offset = 9 * address[4:3] + address[2:0];
        endcase
    endfunction

    function [35:0] ones(input integer width);
        ones = width == 36 ? {36{1'b1}} : (36'd1 << width) - 36'd1;
    endfunction

    // The bits that a write reaches, counted from the lowest one of the access.
    function [35:0] lanes(input integer width, input [13:0] address);
        case (width)
            36: lanes = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
            18: lanes = {18'd0, {9{address[1]}}, {9{address[0]}}};
            default: lanes = ones(width);
        endcase
    endfunction

    // Of "0b101" or a number.
    function [2:0] chip_select(input [39:0] decode);
        chip_select = decode[39:24] == "0b" ? {decode[16], decode[8], decode[0]} : decode[2:0];
    endfunction

    // Sixteen words of 18 bits, 20 bits apart, from word 16 * slice.
    task load(input integer slice, input integer bits, input [319:0] value);
        integer word;
        begin
            if (bits > 320) $fatal(1, "DP16KD: INITVAL_%0h is not modelled as a string: use a number of 320 bits", slice);
            for (word = 0; word < 16; word = word + 1)
                rows[(16 * slice + word) / 2][18 * (word % 2) +: 18] = value[20 * word +: 18];
        end
    endtask

    task check_width(input integer width);
        if (width != 1 && width != 2 && width != 4 && width != 9 && width != 18 && width != 36)
            $fatal(1, "DP16KD: DATA_WIDTH = %0d does not exist: use 1, 2, 4, 9, 18 or 36", width);
    endtask

    initial begin
        check_width(DATA_WIDTH_A);
        check_width(DATA_WIDTH_B);
        if (REGMODE_A != "NOREG" && REGMODE_A != "OUTREG" || REGMODE_B != "NOREG" && REGMODE_B != "OUTREG")
            $fatal(1, "DP16KD: REGMODE = %0s, %0s: use NOREG or OUTREG", REGMODE_A, REGMODE_B);
        if (WRITEMODE_A != "NORMAL" && WRITEMODE_A != "WRITETHROUGH" && WRITEMODE_A != "READBEFOREWRITE"
            || WRITEMODE_B != "NORMAL" && WRITEMODE_B != "WRITETHROUGH" && WRITEMODE_B != "READBEFOREWRITE")
            $fatal(1, "DP16KD: WRITEMODE = %0s, %0s: use NORMAL, WRITETHROUGH or READBEFOREWRITE", WRITEMODE_A, WRITEMODE_B);
        if (RESETMODE != "SYNC" && RESETMODE != "ASYNC")
            $fatal(1, "DP16KD: RESETMODE = %0s: use SYNC or ASYNC", RESETMODE);
        if (CLKAMUX != "CLKA" && CLKAMUX != "INV" || CLKBMUX != "CLKB" && CLKBMUX != "INV")
            $fatal(1, "DP16KD: CLKAMUX, CLKBMUX = %0s, %0s: use the name of the clock or INV", CLKAMUX, CLKBMUX);
        if (INIT_DATA != "STATIC") $fatal(1, "DP16KD: INIT_DATA = %0s is not modelled: use STATIC", INIT_DATA);
        load(0, $bits(INITVAL_00), INITVAL_00);
        load(1, $bits(INITVAL_01), INITVAL_01);
        load(2, $bits(INITVAL_02), INITVAL_02);
        load(3, $bits(INITVAL_03), INITVAL_03);
        load(4, $bits(INITVAL_04), INITVAL_04);
        load(5, $bits(INITVAL_05), INITVAL_05);
        load(6, $bits(INITVAL_06), INITVAL_06);
        load(7, $bits(INITVAL_07), INITVAL_07);
        load(8, $bits(INITVAL_08), INITVAL_08);
        load(9, $bits(INITVAL_09), INITVAL_09);
        load(10, $bits(INITVAL_0A), INITVAL_0A);
        load(11, $bits(INITVAL_0B), INITVAL_0B);
        load(12, $bits(INITVAL_0C), INITVAL_0C);
        load(13, $bits(INITVAL_0D), INITVAL_0D);
        load(14, $bits(INITVAL_0E), INITVAL_0E);
        load(15, $bits(INITVAL_0F), INITVAL_0F);
        load(16, $bits(INITVAL_10), INITVAL_10);
        load(17, $bits(INITVAL_11), INITVAL_11);
        load(18, $bits(INITVAL_12), INITVAL_12);
        load(19, $bits(INITVAL_13), INITVAL_13);
        load(20, $bits(INITVAL_14), INITVAL_14);
        load(21, $bits(INITVAL_15), INITVAL_15);
        load(22, $bits(INITVAL_16), INITVAL_16);
        load(23, $bits(INITVAL_17), INITVAL_17);
        load(24, $bits(INITVAL_18), INITVAL_18);
        load(25, $bits(INITVAL_19), INITVAL_19);
        load(26, $bits(INITVAL_1A), INITVAL_1A);
        load(27, $bits(INITVAL_1B), INITVAL_1B);
        load(28, $bits(INITVAL_1C), INITVAL_1C);
        load(29, $bits(INITVAL_1D), INITVAL_1D);
        load(30, $bits(INITVAL_1E), INITVAL_1E);
        load(31, $bits(INITVAL_1F), INITVAL_1F);
        load(32, $bits(INITVAL_20), INITVAL_20);
        load(33, $bits(INITVAL_21), INITVAL_21);
        load(34, $bits(INITVAL_22), INITVAL_22);
        load(35, $bits(INITVAL_23), INITVAL_23);
        load(36, $bits(INITVAL_24), INITVAL_24);
        load(37, $bits(INITVAL_25), INITVAL_25);
        load(38, $bits(INITVAL_26), INITVAL_26);
        load(39, $bits(INITVAL_27), INITVAL_27);
        load(40, $bits(INITVAL_28), INITVAL_28);
        load(41, $bits(INITVAL_29), INITVAL_29);
        load(42, $bits(INITVAL_2A), INITVAL_2A);
        load(43, $bits(INITVAL_2B), INITVAL_2B);
        load(44, $bits(INITVAL_2C), INITVAL_2C);
        load(45, $bits(INITVAL_2D), INITVAL_2D);
        load(46, $bits(INITVAL_2E), INITVAL_2E);
        load(47, $bits(INITVAL_2F), INITVAL_2F);
        load(48, $bits(INITVAL_30), INITVAL_30);
        load(49, $bits(INITVAL_31), INITVAL_31);
        load(50, $bits(INITVAL_32), INITVAL_32);
        load(51, $bits(INITVAL_33), INITVAL_33);
        load(52, $bits(INITVAL_34), INITVAL_34);
        load(53, $bits(INITVAL_35), INITVAL_35);
        load(54, $bits(INITVAL_36), INITVAL_36);
        load(55, $bits(INITVAL_37), INITVAL_37);
        load(56, $bits(INITVAL_38), INITVAL_38);
        load(57, $bits(INITVAL_39), INITVAL_39);
        load(58, $bits(INITVAL_3A), INITVAL_3A);
        load(59, $bits(INITVAL_3B), INITVAL_3B);
        load(60, $bits(INITVAL_3C), INITVAL_3C);
        load(61, $bits(INITVAL_3D), INITVAL_3D);
        load(62, $bits(INITVAL_3E), INITVAL_3E);
        load(63, $bits(INITVAL_3F), INITVAL_3F);
    end

    always @* begin
        if (PSEUDO && WEB === 1'b1) $fatal(1, "DP16KD: port B writes, which it cannot with a width of 36");
        if (RESETMODE == "ASYNC" && ASYNC_RESET_RELEASE != "ASYNC" && (reset_a || reset_b))
            $fatal(1, "DP16KD: RESETMODE = ASYNC is modelled with ASYNC_RESET_RELEASE = ASYNC only");
    end
endmodule
