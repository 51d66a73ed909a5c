// The accumulator that ACCUMULATOR names, and its result as float32 with the flags of all steps (spec 6.6, 6.8 to 6.10).
module accumulate #(
    parameter int SW = 20,
    parameter int EW = 12,
    parameter int PRODUCT_BITS = 14,
    parameter int ACCUMULATOR = 0, // 0 float32, 1 fixed, 2 aligned with `keep`
    parameter int BITS = 32,
    parameter int LSB_EXPONENT = -20,
    parameter int FRACTION_BITS = 20,
    parameter int SATURATES = 0
) (
    input  logic clk,
    input  logic step,
    input  logic start,
    input  logic signed [SW-1:0] sum,
    input  logic signed [EW-1:0] exponent,
    input  logic is_nan,          // a NaN block was among the operands
    output logic [36:0] result    // float32, then the flags
);
  wire [31:0] pattern;
  wire [4:0] flags;
  if (ACCUMULATOR == 0) begin : float32
    wire unused_parameters = &PRODUCT_BITS ^ &BITS ^ &LSB_EXPONENT ^ &FRACTION_BITS ^ &SATURATES;
    accumulate_float32 #(.SW(SW), .EW(EW)) unit (.clk, .step, .start, .sum, .exponent, .pattern, .flags);
  end else begin : whole
    wire signed [BITS-1:0] integer_;
    wire signed [EW:0] weight;
    wire [4:0] of_steps;
    if (ACCUMULATOR == 1) begin : fixed
      wire unused_parameters = &PRODUCT_BITS ^ &FRACTION_BITS;
      assign weight = (EW+1)'(LSB_EXPONENT);
      accumulate_fixed #(
          .SW(SW), .EW(EW), .BITS(BITS), .LSB_EXPONENT(LSB_EXPONENT), .SATURATES(SATURATES)
      ) unit (.clk, .step, .start, .sum, .exponent, .integer_, .flags(of_steps));
    end else begin : aligned
      wire unused_parameters = &LSB_EXPONENT;
      wire signed [EW:0] reference_exponent;
      assign weight = reference_exponent - (EW+1)'(FRACTION_BITS);
      accumulate_aligned #(
          .SW(SW), .EW(EW), .PRODUCT_BITS(PRODUCT_BITS), .BITS(BITS), .FRACTION_BITS(FRACTION_BITS),
          .SATURATES(SATURATES)
      ) unit (.clk, .step, .start, .sum, .exponent, .integer_, .reference_exponent, .flags(of_steps));
    end
    wire [BITS-1:0] size = integer_[BITS-1] ? BITS'(-integer_) : integer_;
    wire [2:0] of_output;
    round_to_float32 #(.W(BITS), .EW(EW + 1)) round (
        .negative(integer_[BITS-1]), .magnitude(size), .exponent(weight), .pattern,
        .overflow(of_output[0]), .underflow(of_output[1]), .inexact(of_output[2])
    );
    assign flags = of_steps | {1'b0, of_output, 1'b0};
  end
  assign result = is_nan ? {5'b00001, 32'h7fc00000} : {flags, pattern};
endmodule
