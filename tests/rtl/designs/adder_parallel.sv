// The sum of two BFP blocks in their own format, all lanes at once: align to the larger exponent with a sticky bit,
// add, then encode the sums as a block (spec 6.12, 3.5 to 3.8).
//
// in_data   a elements, a exponent code, b elements, b exponent code; lane 0 lowest (spec 12.3)
// out_data  elements, exponent code
//
// Two's complement, fraction_bits M, the all-ones exponent code reserved for NaN. Parameters as in encoder_tree.
module adder_parallel #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127, // no bit of a sum depends on it
    parameter int RULE = 0,
    parameter int ROUNDING = 0,
    parameter int SYMMETRIC = 0,
    parameter int USE_SUBNORMALS = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [2*(EXPONENT_BITS+N*MANTISSA_BITS)-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [EXPONENT_BITS+N*MANTISSA_BITS-1:0] out_data
);
  `include "rounding.svh"
  localparam int M = MANTISSA_BITS - 1;
  localparam int B = EXPONENT_BITS + N * MANTISSA_BITS; // bits of one block
  localparam int G = M + 3;                             // bits below the larger unit, the last of them sticky
  localparam int V = M + 2 + G;                         // bits of the magnitude of a sum
  localparam int LW = $clog2(V + M + 2);                // bits of a shift
  localparam int W = (EXPONENT_BITS > LW ? EXPONENT_BITS : LW) + 3;
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  wire unused_bias = &EXPONENT_BIAS;

  // A block of zeros must not set the place to which the other is aligned.
  wire [EXPONENT_BITS-1:0] a_code = in_data[B-1 -: EXPONENT_BITS];
  wire [EXPONENT_BITS-1:0] b_code = in_data[2*B-1 -: EXPONENT_BITS];
  wire a_is_zero = in_data[0 +: N*MANTISSA_BITS] == 0;
  wire b_is_zero = in_data[B +: N*MANTISSA_BITS] == 0;
  wire b_is_high = a_is_zero || (!b_is_zero && b_code > a_code);
  wire [EXPONENT_BITS-1:0] high_code = b_is_high ? b_code : a_code;
  wire [EXPONENT_BITS-1:0] low_code = b_is_high ? a_code : b_code;
  wire [EXPONENT_BITS-1:0] apart = (a_is_zero || b_is_zero) ? '0 : high_code - low_code;
  wire [LW-1:0] alignment = 32'(apart) > V ? LW'(V) : LW'(apart);

  logic [N*V-1:0] magnitudes;
  logic [N-1:0] signs;
  logic [V-1:0] largest;
  logic signed [MANTISSA_BITS-1:0] high, low;
  logic signed [2*V:0] shifted;
  logic signed [V:0] sum;
  logic [V-1:0] size;
  always @* begin
    largest = '0;
    for (int lane = 0; lane < N; lane++) begin
      high = b_is_high ? in_data[B + MANTISSA_BITS*lane +: MANTISSA_BITS] : in_data[MANTISSA_BITS*lane +: MANTISSA_BITS];
      low = b_is_high ? in_data[MANTISSA_BITS*lane +: MANTISSA_BITS] : in_data[B + MANTISSA_BITS*lane +: MANTISSA_BITS];
      shifted = $signed({{V + 1 - MANTISSA_BITS - G{low[M]}}, low, {G + V{1'b0}}}) >>> alignment;
      sum = $signed({{V + 1 - MANTISSA_BITS - G{high[M]}}, high, {G{1'b0}}})
          + $signed({shifted[2*V:V+1], shifted[V] || |shifted[V-1:0]});
      signs[lane] = sum[V];
      size = sum[V] ? V'(-sum) : sum[V-1:0];
      magnitudes[V*lane +: V] = size;
      if (size > largest) largest = size;
    end
  end

  logic [LW-1:0] zeros;
  logic [V-1:0] top;
  logic signed [W-1:0] wanted, code;
  logic is_flushed;
  always @* begin
    zeros = '0;
    for (int bit_ = 0; bit_ < V; bit_++) if (largest[bit_]) zeros = LW'(V - 1 - bit_);
    top = largest << zeros;
    wanted = W'(high_code) + W'(V - M - G) - W'(zeros) + W'(RULE == 0 && &top[V-1 -: M] && |(top << M));
    is_flushed = largest == 0 || (wanted < 0 && USE_SUBNORMALS == 0);
    if (wanted > LARGEST_CODE) code = LARGEST_CODE;
    else if (wanted < 0) code = '0;
    else code = wanted;
  end

  // Cancellation may leave fewer bits than an element has, so M places are shifted in before the shift to the right.
  wire signed [W-1:0] distance = code - W'(high_code) + W'(G + M);
  wire [LW-1:0] places = distance > W'(V + M + 1) ? LW'(V + M + 1) : distance[LW-1:0];
  logic [N*MANTISSA_BITS-1:0] elements;
  logic [2*V+2*M:0] cut;
  logic [V+M-1:0] magnitude, limit;
  always @* begin
    elements = '0;
    for (int lane = 0; lane < N; lane++) begin
      cut = {magnitudes[V*lane +: V], {V + 2*M + 1{1'b0}}} >> places;
      magnitude = cut[2*V+2*M -: V+M] + (V+M)'(goes_away(signs[lane], cut[V+M+1], cut[V+M], |cut[V+M-1:0]));
      limit = (V+M)'(1 << M) - (V+M)'(!signs[lane] || SYMMETRIC != 0);
      if (magnitude > limit) magnitude = limit;
      elements[MANTISSA_BITS*lane +: MANTISSA_BITS] = MANTISSA_BITS'(signs[lane] ? -magnitude : magnitude);
    end
  end

  assign in_ready = !out_valid || out_ready;
  always @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready)
      out_data <= (&a_code || &b_code) ? {{EXPONENT_BITS{1'b1}}, {N*MANTISSA_BITS{1'b0}}}
          : is_flushed ? '0 : {code[EXPONENT_BITS-1:0], elements};
  end
endmodule
