// A float32 accumulator: a group sum is rounded to float32, then added with one more rounding, ties to even
// (spec 6.6, 6.9). `start` adds to 0 instead of what is held.
module accumulate_float32 #(
    parameter int SW = 20, // bits of a group sum
    parameter int EW = 12  // bits of its exponent
) (
    input  logic clk,
    input  logic step,
    input  logic start,
    input  logic signed [SW-1:0] sum,
    input  logic signed [EW-1:0] exponent,
    output logic [31:0] pattern,
    output logic [4:0] flags
);
  wire [31:0] converted;
  wire [2:0] of_conversion;
  wire [SW-1:0] size = sum[SW-1] ? SW'(-sum) : sum;
  round_to_float32 #(.W(SW), .EW(EW)) convert (
      .negative(sum[SW-1]), .magnitude(size), .exponent, .pattern(converted),
      .overflow(of_conversion[0]), .underflow(of_conversion[1]), .inexact(of_conversion[2])
  );

  // The larger magnitude stays; the other moves right, over three more bits of which the last is sticky.
  wire [31:0] held = start ? 32'd0 : pattern;
  wire is_swapped = converted[30:0] > held[30:0];
  wire [31:0] larger = is_swapped ? converted : held;
  wire [31:0] smaller = is_swapped ? held : converted;
  wire [7:0] larger_field = larger[30:23] == 0 ? 8'd1 : larger[30:23];
  wire [7:0] smaller_field = smaller[30:23] == 0 ? 8'd1 : smaller[30:23];
  wire [7:0] apart = larger_field - smaller_field;
  wire [4:0] places = apart > 8'd27 ? 5'd27 : apart[4:0];
  wire [53:0] moved = {smaller[30:23] != 0, smaller[22:0], 30'd0} >> places;
  wire [27:0] addend = {1'b0, moved[53:28], |moved[27:0]};
  wire [27:0] kept = {1'b0, larger[30:23] != 0, larger[22:0], 3'd0};
  wire [27:0] total = larger[31] == smaller[31] ? kept + addend : kept - addend;
  wire [31:0] added;
  wire [1:0] of_addition;
  wire unused_underflow; // a sum of two floats below the smallest normal number is exact
  round_to_float32 #(.W(28), .EW(10)) round (
      .negative(larger[31]), .magnitude(total), .exponent($signed({2'b00, larger_field}) - 10'sd153), .pattern(added),
      .overflow(of_addition[0]), .underflow(unused_underflow), .inexact(of_addition[1])
  );

  wire is_infinite = larger[30:0] == 31'h7f800000;
  wire is_nan = held[30:0] == 31'h7fc00000;
  wire is_invalid = is_infinite && smaller[30:0] == 31'h7f800000 && larger[31] != smaller[31];
  wire [4:0] raised = {
    1'b0,
    of_conversion[2] || (!is_infinite && !is_nan && of_addition[1]),
    of_conversion[1],
    of_conversion[0] || (!is_infinite && !is_nan && of_addition[0]),
    is_invalid && !is_nan
  };
  always @(posedge clk)
    if (step) begin
      pattern <= (is_nan || is_invalid) ? 32'h7fc00000 : is_infinite ? larger : added;
      flags <= (start ? 5'd0 : flags) | raised;
    end
endmodule
