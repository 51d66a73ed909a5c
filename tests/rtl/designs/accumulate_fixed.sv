// An integer accumulator with a fixed place: a group sum is shifted to it, rounded down and added; what does not fit
// wraps or saturates (spec 6.6). `start` adds to 0 instead of what is held.
module accumulate_fixed #(
    parameter int SW = 20,
    parameter int EW = 12,
    parameter int BITS = 32,
    parameter int LSB_EXPONENT = -20,
    parameter int SATURATES = 0
) (
    input  logic clk,
    input  logic step,
    input  logic start,
    input  logic signed [SW-1:0] sum,
    input  logic signed [EW-1:0] exponent,
    output logic signed [BITS-1:0] integer_,
    output logic [4:0] flags
);
  localparam int WIDE = SW + BITS; // a shift to the left by BITS is out of range already, unless the sum is 0
  localparam int LW = $clog2(WIDE) + 1;

  wire signed [EW:0] left = (EW+1)'(exponent) - (EW+1)'(LSB_EXPONENT);
  wire signed [EW:0] right = -left;
  wire [LW-1:0] up = left > (EW+1)'(BITS) ? LW'(BITS) : left < 0 ? '0 : LW'(left);
  wire [LW-1:0] down = right > (EW+1)'(SW) ? LW'(SW) : right < 0 ? '0 : LW'(right);
  wire signed [WIDE-1:0] raised = $signed({{BITS{sum[SW-1]}}, sum}) <<< up;
  wire signed [WIDE+SW-1:0] shifted = $signed({raised, {SW{1'b0}}}) >>> down;
  wire signed [WIDE-1:0] rounded = $signed(shifted[WIDE+SW-1:SW]);

  wire fits = rounded[WIDE-1:BITS-1] == {SW + 1{rounded[BITS-1]}};
  wire signed [BITS-1:0] limit = {rounded[WIDE-1], {BITS - 1{!rounded[WIDE-1]}}};
  wire signed [BITS-1:0] addend = fits || SATURATES == 0 ? rounded[BITS-1:0] : limit;

  wire signed [BITS-1:0] held = start ? '0 : integer_;
  wire signed [BITS:0] total = (BITS+1)'(held) + (BITS+1)'(addend);
  wire sum_fits = total[BITS] == total[BITS-1];
  always @(posedge clk)
    if (step) begin
      integer_ <= sum_fits || SATURATES == 0 ? total[BITS-1:0] : {total[BITS], {BITS - 1{!total[BITS]}}};
      flags <= (start ? 5'd0 : flags) | {!fits || !sum_fits, |shifted[SW-1:0], 3'd0};
    end
endmodule
