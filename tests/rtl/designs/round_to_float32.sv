// The number +-magnitude * 2**exponent to float32, ties to even, subnormals kept, overflow to infinity
// (spec 2.10, 6.2). Zero is +0; the flags are those of spec 6.10.
module round_to_float32 #(
    parameter int W = 16, // bits of the magnitude
    parameter int EW = 12 // bits of the exponent, a signed number
) (
    input  logic negative,
    input  logic [W-1:0] magnitude,
    input  logic signed [EW-1:0] exponent,
    output logic [31:0] pattern,
    output logic overflow,
    output logic underflow,
    output logic inexact
);
  localparam int LW = $clog2(W + 1);
  localparam int FW = (EW > LW + 1 ? EW : LW + 1) + 2;

  logic [LW-1:0] zeros;
  logic signed [FW-1:0] field; // as if there were no subnormals
  logic [4:0] shift;
  logic [W+49:0] shifted;      // the significand in its top 24 bits, after a subnormal's shift
  logic [24:0] rounded;
  logic [7:0] base;
  logic [30:0] unlimited;
  always @* begin
    zeros = '0;
    for (int bit_ = 0; bit_ < W; bit_++) if (magnitude[bit_]) zeros = LW'(W - 1 - bit_);
    field = FW'(exponent) + FW'(W + 126) - FW'(zeros);
    // A field of 0 shifts by one; from 25 on only the sticky bit is left.
    shift = field >= 1 ? 5'd0 : field < -24 ? 5'd26 : 5'(FW'(1) - field);
    shifted = ({magnitude, 50'b0} << zeros) >> shift;
    rounded = {1'b0, shifted[W+49 -: 24]}
        + 25'(shifted[W+25] && (shifted[W+26] || |shifted[W+24:0]));
    // The leading one adds one to the field, and so does a carry.
    base = field >= 1 ? field[7:0] - 8'd1 : 8'd0;
    unlimited = {base, 23'd0} + 31'(rounded);
    overflow = magnitude != 0 && (field > 254 || unlimited >= 31'h7f800000);
    inexact = overflow || |shifted[W+25:0];
    underflow = inexact && !overflow && unlimited < 31'h00800000;
    if (magnitude == 0) pattern = 32'd0;
    else if (overflow) pattern = {negative, 31'h7f800000};
    else pattern = {negative && unlimited != 0, unlimited};
  end
endmodule
