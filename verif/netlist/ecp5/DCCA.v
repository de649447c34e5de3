// Behavioural model of the gate in front of a global wire of the ECP5, without its enable, which nothing here uses.

module DCCA (input CLKI, CE, output CLKO);
    assign CLKO = CLKI;
endmodule
