// The dot product of two rows of BFP blocks, a pair of blocks a cycle: all products at once, a tree of adders, then
// an accumulator (spec 6).
//
// in_data   a elements, a exponent codes, b elements, b exponent codes; lane 0 and block 0 lowest (spec 12.3)
// out_data  result (float32), flags (spec 6.10: saturated, inexact, underflow, overflow, invalid)
//
// Two's complement, fraction_bits M, the all-ones exponent code reserved for NaN; groups are blocks, sums exact.
module dot_tree #(
    parameter int N = 8,
    parameter int BLOCKS = 2,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int ACCUMULATOR = 0,      // 0 float32, 1 fixed, 2 aligned with `keep`
    parameter int ACCUMULATOR_BITS = 32,
    parameter int LSB_EXPONENT = -20,   // of a fixed accumulator
    parameter int FRACTION_BITS = 20,   // of an aligned one
    parameter int SATURATES = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [2*BLOCKS*(EXPONENT_BITS+N*MANTISSA_BITS)-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [36:0] out_data
);
  localparam int M = MANTISSA_BITS - 1;
  localparam int BLOCK_BITS = N * MANTISSA_BITS;
  localparam int SW = 2 * MANTISSA_BITS + $clog2(N);
  localparam int EW = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 4;
  localparam int COUNTER_BITS = $clog2(BLOCKS + 1);

  logic [BLOCKS*BLOCK_BITS-1:0] a, b; // the blocks at work are the lowest
  logic [BLOCKS*EXPONENT_BITS-1:0] a_codes, b_codes;
  logic [COUNTER_BITS-1:0] block;     // of those at work; BLOCKS when the row is done
  logic is_busy, seen_nan;

  // The products are the leaves of the tree, and node k is the sum of 2k and 2k+1 (spec 6.4, 6.5).
  logic [2*N*SW-1:0] tree;
  always @* begin
    tree = '0;
    for (int lane = 0; lane < N; lane++)
      tree[SW*(N+lane) +: SW] =
          SW'($signed(a[MANTISSA_BITS*lane +: MANTISSA_BITS]) * SW'($signed(b[MANTISSA_BITS*lane +: MANTISSA_BITS])));
    for (int node = N - 1; node > 0; node--)
      tree[SW*node +: SW] = tree[SW*(2*node) +: SW] + tree[SW*(2*node+1) +: SW];
  end
  wire unused_node = |tree[SW-1:0];

  wire [EXPONENT_BITS-1:0] a_code = a_codes[EXPONENT_BITS-1:0];
  wire [EXPONENT_BITS-1:0] b_code = b_codes[EXPONENT_BITS-1:0];
  wire is_nan = &a_code || &b_code;
  wire step = is_busy && block != COUNTER_BITS'(BLOCKS);

  accumulate #(
      .SW(SW), .EW(EW), .PRODUCT_BITS(2 * M), .ACCUMULATOR(ACCUMULATOR), .BITS(ACCUMULATOR_BITS),
      .LSB_EXPONENT(LSB_EXPONENT), .FRACTION_BITS(FRACTION_BITS), .SATURATES(SATURATES)
  ) accumulator (
      .clk, .step, .start(block == 0), .sum($signed(tree[SW +: SW])),
      .exponent($signed(EW'(a_code)) + $signed(EW'(b_code)) - EW'(2 * EXPONENT_BIAS + 2 * M)),
      .is_nan(seen_nan), .result(out_data)
  );

  assign in_ready = !is_busy;
  assign out_valid = is_busy && block == COUNTER_BITS'(BLOCKS);
  always @(posedge clk) begin
    if (rst) is_busy <= 1'b0;
    else if (in_ready) is_busy <= in_valid;
    else if (out_valid && out_ready) is_busy <= 1'b0;
    if (in_ready) begin
      {b_codes, b, a_codes, a} <= in_data;
      block <= '0;
      seen_nan <= 1'b0;
    end else if (step) begin
      a <= a >> BLOCK_BITS;
      b <= b >> BLOCK_BITS;
      a_codes <= a_codes >> EXPONENT_BITS;
      b_codes <= b_codes >> EXPONENT_BITS;
      block <= block + COUNTER_BITS'(1);
      seen_nan <= seen_nan || is_nan;
    end
  end
endmodule
