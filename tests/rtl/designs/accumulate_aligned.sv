// An integer accumulator with an exponent that follows the larger addend: both are aligned to it, rounded down and
// added; what does not fit wraps or saturates (spec 6.6, `aligned` with `keep`). An addend of 0 has no say in the
// exponent. `start` takes the exponent of the group, as if nothing were held.
module accumulate_aligned #(
    parameter int SW = 20,
    parameter int EW = 12,
    parameter int PRODUCT_BITS = 14, // R, the bits of the largest product without signs
    parameter int BITS = 32,
    parameter int FRACTION_BITS = 20, // F, below the larger reference exponent; any sign
    parameter int SATURATES = 0
) (
    input  logic clk,
    input  logic step,
    input  logic start,
    input  logic signed [SW-1:0] sum,
    input  logic signed [EW-1:0] exponent,
    output logic signed [BITS-1:0] integer_,
    output logic signed [EW:0] reference_exponent, // r
    output logic [4:0] flags
);
  // The sum in units of 2**(r - F) when r is its own: shifted by F - R, to the left or to the right.
  localparam int PLACES = FRACTION_BITS - PRODUCT_BITS;
  localparam int UP = PLACES > 0 ? PLACES : 0;
  localparam int DOWN = PLACES < 0 ? -PLACES : 0;
  localparam int WIDE = (SW + UP > BITS ? SW + UP : BITS) + 1;
  localparam int LW = $clog2(WIDE + DOWN + 1) + 1;

  wire signed [EW:0] own = (EW+1)'(exponent) + (EW+1)'(PRODUCT_BITS);
  wire sum_is_zero = sum == 0;
  wire held_is_zero = start || integer_ == 0;
  wire own_is_larger = own > reference_exponent;
  wire takes_own = start || (sum_is_zero == held_is_zero ? own_is_larger != sum_is_zero : held_is_zero);
  wire signed [EW:0] common = takes_own ? own : reference_exponent;

  // Distances are 0 for the one whose exponent is taken; for a zero they do not matter.
  wire signed [EW+1:0] sum_apart = (EW+2)'(common) - (EW+2)'(own);
  wire signed [EW+1:0] held_apart = (EW+2)'(common) - (EW+2)'(reference_exponent);
  wire [LW-1:0] sum_places = (sum_apart > (EW+2)'(WIDE) ? LW'(WIDE) : LW'(sum_apart)) + LW'(DOWN);
  wire [LW-1:0] held_places = held_apart > (EW+2)'(BITS) ? LW'(BITS) : LW'(held_apart);
  wire signed [WIDE-1:0] sum_raised = $signed({{WIDE - SW{sum[SW-1]}}, sum}) <<< UP;
  wire signed [2*WIDE+DOWN-1:0] sum_shifted = $signed({sum_raised, {WIDE + DOWN{1'b0}}}) >>> sum_places;
  wire signed [2*BITS-1:0] held_shifted = $signed({integer_, {BITS{1'b0}}}) >>> held_places;
  wire signed [WIDE-1:0] addend = sum_is_zero ? '0 : $signed(sum_shifted[2*WIDE+DOWN-1 -: WIDE]);
  wire signed [BITS-1:0] held = held_is_zero ? '0 : $signed(held_shifted[2*BITS-1 -: BITS]);
  wire is_inexact = (!sum_is_zero && |sum_shifted[WIDE+DOWN-1:0]) || (!held_is_zero && |held_shifted[BITS-1:0]);

  wire signed [WIDE:0] total = (WIDE+1)'(held) + (WIDE+1)'(addend);
  wire fits = total[WIDE:BITS-1] == {WIDE + 2 - BITS{total[WIDE]}};
  always @(posedge clk)
    if (step) begin
      integer_ <= fits || SATURATES == 0 ? total[BITS-1:0] : {total[WIDE], {BITS - 1{!total[WIDE]}}};
      reference_exponent <= common;
      flags <= (start ? 5'd0 : flags) | {!fits, is_inexact, 3'd0};
    end
endmodule
