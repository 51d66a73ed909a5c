// float32 to a BFP block, all lanes at once: a tree of comparators, then a barrel shifter in every lane.
//
// in_data   x, 32 bits each, lane 0 lowest
// out_data  exponent code, elements; lane 0 lowest (spec 12.3)
//
// Two's complement, fraction_bits M, the all-ones exponent code reserved for NaN (spec 2). The largest
// exponent must be at least -125, and EXPONENT_BIAS + M at most 149: then no element is shifted to the left.
module encoder_tree #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,   // 2 to 24
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int RULE = 0,            // 0 rceil, 1 floor (spec 3.5)
    parameter int ROUNDING = 0,        // rounding.svh (spec 3.7)
    parameter int SYMMETRIC = 0,       // significand_range (spec 3.8)
    parameter int USE_SUBNORMALS = 0,  // keep code 0 below the smallest exponent (spec 3.6)
    parameter int INFINITY_BLOCK = 0   // 1: an infinity makes a NaN block, 0: it saturates (spec 3.3)
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [32*N-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [EXPONENT_BITS+N*MANTISSA_BITS-1:0] out_data
);
  `include "rounding.svh"
  localparam int M = MANTISSA_BITS - 1;
  localparam int W = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 3; // a signed exponent, with room for every sum below
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  // The largest finite magnitude: node k of the tree is the larger of 2k and 2k+1, the lanes are the leaves.
  logic [31*2*N-1:0] tree;
  logic any_nan, any_infinity;
  always @* begin
    any_nan = 1'b0;
    any_infinity = 1'b0;
    tree = '0;
    for (int lane = 0; lane < N; lane++) begin
      if (in_data[32*lane+23 +: 8] == 8'hff) begin
        if (in_data[32*lane +: 23] != 0) any_nan = 1'b1;
        else any_infinity = 1'b1;
      end else tree[31*(N+lane) +: 31] = in_data[32*lane +: 31];
    end
    for (int node = N - 1; node > 0; node--)
      tree[31*node +: 31] =
          tree[31*(2*node) +: 31] > tree[31*(2*node+1) +: 31] ? tree[31*(2*node) +: 31] : tree[31*(2*node+1) +: 31];
  end

  // Its significand with the leading one in bit 23, and its exponent field, which subnormals take below 1.
  logic [23:0] top;
  logic signed [W-1:0] top_field;
  logic [4:0] zeros;
  always @* begin
    zeros = 5'd0;
    for (int bit_ = 0; bit_ < 23; bit_++) if (tree[31 + bit_]) zeros = 5'(23 - bit_);
    if (tree[31+23 +: 8] != 0) zeros = 5'd0;
    top = {tree[31+23 +: 8] != 0, tree[31 +: 23]} << zeros;
    top_field = (tree[31+23 +: 8] == 0 ? W'(1) : W'(tree[31+23 +: 8])) - W'(zeros);
  end

  // The shared exponent (spec 3.5, 3.6). rceil takes one more when the maximum is above Q units.
  logic above_largest, is_flushed, is_nan;
  logic signed [W-1:0] wanted, code;
  always @* begin
    above_largest = RULE == 0 && &top[23 -: M] && |(top << M);
    wanted = top_field + W'(EXPONENT_BIAS - 126) + W'(above_largest);
    is_nan = any_nan || (INFINITY_BLOCK != 0 && any_infinity);
    is_flushed = !any_infinity && (!top[23] || (wanted < 0 && USE_SUBNORMALS == 0));
    if (any_infinity || wanted > LARGEST_CODE) code = LARGEST_CODE;
    else if (wanted < 0) code = '0;
    else code = wanted;
  end

  // Every element by itself (spec 3.7, 3.8).
  logic [N*MANTISSA_BITS-1:0] elements;
  logic negative, is_over;
  logic [7:0] field;
  logic [23:0] significand;
  logic signed [W-1:0] distance;
  logic [4:0] shift;
  logic [48:0] shifted; // the integer part in 48 to 25, what is lost below
  logic [24:0] magnitude, limit;
  always @* begin
    elements = '0;
    for (int lane = 0; lane < N; lane++) begin
      negative = in_data[32*lane+31];
      field = in_data[32*lane+23 +: 8];
      significand = {field != 0, in_data[32*lane +: 23]};
      distance = code + W'(150 - EXPONENT_BIAS - M) - (field == 0 ? W'(1) : W'(field));
      shift = distance > 25 ? 5'd25 : distance[4:0];
      shifted = {significand, 25'b0} >> shift;
      magnitude = 25'(shifted[48:25]) + 25'(goes_away(negative, shifted[25], shifted[24], |shifted[23:0]));
      limit = 25'(1 << M) - (negative && SYMMETRIC == 0 ? 25'd0 : 25'd1);
      is_over = field == 8'hff || distance < 0 || magnitude > limit;
      if (is_over) magnitude = limit;
      elements[MANTISSA_BITS*lane +: MANTISSA_BITS] = MANTISSA_BITS'(negative ? -magnitude : magnitude);
    end
  end

  logic [EXPONENT_BITS+N*MANTISSA_BITS-1:0] result;
  always @* begin
    if (is_nan) result = {{EXPONENT_BITS{1'b1}}, {N*MANTISSA_BITS{1'b0}}};
    else if (is_flushed) result = '0;
    else result = {code[EXPONENT_BITS-1:0], elements};
  end

  assign in_ready = !out_valid || out_ready;
  always @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= result;
  end
endmodule
