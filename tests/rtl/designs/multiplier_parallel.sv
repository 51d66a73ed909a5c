// The products of two BFP blocks, element by element, in their own format, all lanes at once: magnitudes are multiplied,
// a tree of comparators finds the largest, and one shift takes every product to the exponent that it gives
// (spec 6.12, 3.5 to 3.8).
//
// in_data   a elements, a exponent code, b elements, b exponent code; lane 0 lowest (spec 12.3)
// out_data  elements, exponent code
//
// Two's complement, fraction_bits M, the all-ones exponent code reserved for NaN (spec 2).
module multiplier_parallel #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127, // from 0, below 2 ** (EXPONENT_BITS + 1)
    parameter int RULE = 0,            // 0 rceil, 1 floor, 2 ceil (spec 3.5)
    parameter int ROUNDING = 0,        // rounding.svh (spec 3.7)
    parameter int SYMMETRIC = 0,       // significand_range (spec 3.8)
    parameter int USE_SUBNORMALS = 0   // keep code 0 below the smallest exponent (spec 3.6)
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
  localparam int V = 2 * M + 1;                         // bits of the magnitude of a product
  localparam int LW = $clog2(V + M + 2);                // bits of a shift
  localparam int W = (EXPONENT_BITS > LW ? EXPONENT_BITS : LW) + 4;
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  wire [EXPONENT_BITS-1:0] a_code = in_data[B-1 -: EXPONENT_BITS];
  wire [EXPONENT_BITS-1:0] b_code = in_data[2*B-1 -: EXPONENT_BITS];
  // The code of a block whose largest product has V - 1 bits.
  wire signed [W-1:0] base = W'(a_code) + W'(b_code) - W'(EXPONENT_BIAS);

  // The largest product: node k of the tree is the larger of 2k and 2k+1, the lanes are the leaves.
  logic [V*2*N-1:0] tree;
  logic [N-1:0] signs;
  logic signed [MANTISSA_BITS-1:0] a, b;
  always @* begin
    tree = '0;
    for (int lane = 0; lane < N; lane++) begin
      a = in_data[MANTISSA_BITS*lane +: MANTISSA_BITS];
      b = in_data[B + MANTISSA_BITS*lane +: MANTISSA_BITS];
      signs[lane] = a[M] ^ b[M];
      tree[V*(N+lane) +: V] = V'($unsigned(a[M] ? -a : a)) * V'($unsigned(b[M] ? -b : b));
    end
    for (int node = N - 1; node > 0; node--)
      tree[V*node +: V] =
          tree[V*(2*node) +: V] > tree[V*(2*node+1) +: V] ? tree[V*(2*node) +: V] : tree[V*(2*node+1) +: V];
  end

  // The shared exponent (spec 3.5, 3.6). rceil takes one more above Q units, ceil above a power of two.
  logic [LW-1:0] zeros;
  logic [V-1:0] top;
  logic is_above, is_flushed;
  logic signed [W-1:0] wanted, code;
  always @* begin
    zeros = '0;
    for (int bit_ = 0; bit_ < V; bit_++) if (tree[V + bit_]) zeros = LW'(V - 1 - bit_);
    top = tree[V +: V] << zeros;
    is_above = (RULE == 0 && &top[V-1 -: M] && |(top << M)) || (RULE == 2 && |(top << 1));
    wanted = base + W'(1) - W'(zeros) + W'(is_above);
    is_flushed = !top[V-1] || (wanted < 0 && USE_SUBNORMALS == 0);
    if (wanted > LARGEST_CODE) code = LARGEST_CODE;
    else if (wanted < 0) code = '0;
    else code = wanted;
  end

  // M places are shifted in before the shift to the right: small products are shifted to the left, and above the
  // largest exponent that is enough for each to be clamped.
  wire signed [W-1:0] distance = code - base + W'(2 * M);
  wire [LW-1:0] places = distance < 0 ? '0 : distance > W'(V + M + 1) ? LW'(V + M + 1) : distance[LW-1:0];
  logic [N*MANTISSA_BITS-1:0] elements;
  logic [2*V+2*M:0] cut;
  logic [V+M-1:0] magnitude, limit;
  always @* begin
    elements = '0;
    for (int lane = 0; lane < N; lane++) begin
      cut = {tree[V*(N+lane) +: V], {V + 2*M + 1{1'b0}}} >> places;
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
