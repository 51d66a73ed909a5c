// BFP blocks to BFP blocks of another format, one lane a cycle, twice over all of them: first the largest number of each
// block, kept as the place of its leading one and the bits behind it; then one arithmetic shifter that all lanes
// share. Every lane carries its own exponent. Ports and parameters as in converter_parallel; N from 2.
module converter_serial #(
    parameter int N = 8,
    parameter int A_BLOCK = 4,
    parameter int A_MANTISSA_BITS = 8,
    parameter int A_EXPONENT_BITS = 6,
    parameter int A_EXPONENT_BIAS = 31,
    parameter int A_SIGN_MAGNITUDE = 0,
    parameter int A_RESERVED = 0,
    parameter int BLOCK = 8,
    parameter int MANTISSA_BITS = 5,
    parameter int EXPONENT_BITS = 5,
    parameter int EXPONENT_BIAS = 15,
    parameter int SIGN_MAGNITUDE = 0,
    parameter int RESERVED = 0,
    parameter int RULE = 0,
    parameter int ROUNDING = 0,
    parameter int SYMMETRIC = 0,
    parameter int USE_SUBNORMALS = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [N*A_MANTISSA_BITS+N/A_BLOCK*A_EXPONENT_BITS-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [N*MANTISSA_BITS+N/BLOCK*EXPONENT_BITS-1:0] out_data
);
  `include "rounding_signed.svh"
  localparam int MA = A_MANTISSA_BITS - 1;
  localparam int M = MANTISSA_BITS - 1;
  localparam int BLOCKS = N / BLOCK;
  localparam int L = A_EXPONENT_BITS + A_MANTISSA_BITS; // bits of a lane
  localparam int S = A_MANTISSA_BITS + M;               // bits of a significand in units of the result
  localparam int LW = $clog2(S + 2);                    // bits of a shift
  localparam int STEP = EXPONENT_BIAS - A_EXPONENT_BIAS - MA + 1;
  localparam int SPAN = (1 << A_EXPONENT_BITS) + (1 << EXPONENT_BITS) + (STEP < 0 ? -STEP : STEP) + 2 * (S + 2);
  localparam int W = $clog2(SPAN) + 1;
  localparam int COUNTER_BITS = $clog2(N);
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - (RESERVED == 2 ? 1 : 2));

  localparam logic [2:0] IDLE = 0, SCAN = 1, SHARE = 2, ENCODE = 3, DONE = 4;
  logic [2:0] state;
  logic [COUNTER_BITS-1:0] lane, block; // of the result
  logic [N*L-1:0] lanes; // rotate, so that the lane at work is the lowest

  // Every lane gets the exponent of its block.
  logic [N*L-1:0] spread;
  always @*
    for (int slot = 0; slot < N; slot++)
      spread[L*slot +: L] = {
          in_data[N*A_MANTISSA_BITS + slot/A_BLOCK*A_EXPONENT_BITS +: A_EXPONENT_BITS],
          in_data[A_MANTISSA_BITS*slot +: A_MANTISSA_BITS]};

  wire [A_EXPONENT_BITS-1:0] a_code = lanes[L-1 -: A_EXPONENT_BITS];
  wire is_reserved = A_RESERVED != 2 && &a_code;
  wire negative = lanes[MA];
  wire signed [A_MANTISSA_BITS-1:0] significand = (A_RESERVED == 1 && is_reserved) ? '0
      : (A_SIGN_MAGNITUDE != 0 && negative) ? -$signed({1'b0, lanes[MA-1:0]}) : $signed(lanes[MA:0]);

  // Scan: leading zeros of the magnitude, in steps of powers of two. The leading one itself is not kept.
  logic [LW-1:0] zeros;
  logic [MA:0] normalised;
  always @* begin
    zeros = '0;
    normalised = significand[MA] ? -significand : significand;
    for (int stage = LW - 1; stage >= 0; stage--)
      if ((1 << stage) <= MA && normalised >> (MA + 1 - (1 << stage)) == 0) begin
        normalised = normalised << (1 << stage);
        zeros = zeros + LW'(1 << stage);
      end
  end
  wire signed [W-1:0] exponent = W'(a_code) - W'(zeros);
  logic signed [W-1:0] top_exponent;
  logic [MA-1:0] top;
  logic seen, seen_nan;
  wire is_larger = normalised[MA]
      && (!seen || exponent > top_exponent || (exponent == top_exponent && normalised[MA-1:0] > top));

  // Share: one more where the largest number is above Q units, or above a power of two (spec 3.5).
  localparam logic [MA+M:0] LARGEST_TOP = (MA+M+1)'((1 << M) - 1) << (MA + 1);
  wire is_above = {1'b1, top, {M{1'b0}}} > LARGEST_TOP;
  wire raises = RULE == 0 ? is_above : RULE == 2 && top != 0;
  wire signed [W-1:0] wanted = top_exponent + W'(MA + STEP) + (raises ? W'(1) : W'(0));
  logic [BLOCKS*EXPONENT_BITS-1:0] codes; // rotate with the blocks
  logic [BLOCKS-1:0] empty;             // flushed, or NaN

  // Encode: the significand goes through the shifter, which rounds down (spec 3.7).
  wire [EXPONENT_BITS-1:0] code = codes[EXPONENT_BITS-1:0];
  wire signed [W-1:0] distance = W'(code) - W'(a_code) + W'(1 - STEP);
  wire [LW-1:0] places = distance < 0 ? '0 : distance > W'(S + 1) ? LW'(S + 1) : distance[LW-1:0];
  wire signed [2*S+1:0] shifted = $signed({significand, {M + S + 2{1'b0}}}) >>> places;
  wire signed [S:0] rounded = $signed({shifted[2*S+1], shifted[2*S+1 -: S]})
      + $signed((S+1)'(goes_up(significand[MA], shifted[S+2], shifted[S+1], |shifted[S:0])));
  localparam logic signed [S:0] HIGHEST = (S+1)'((1 << M) - 1);
  localparam logic signed [S:0] LOWEST = SYMMETRIC != 0 ? -HIGHEST : ~HIGHEST;
  wire [M:0] clamped = rounded < LOWEST ? LOWEST[M:0] : rounded > HIGHEST ? HIGHEST[M:0] : rounded[M:0];
  wire [M:0] signed_magnitude = {clamped[M], clamped[M] ? -clamped[M-1:0] : clamped[M-1:0]};
  wire [M:0] element = empty[0] ? '0 : SIGN_MAGNITUDE != 0 ? signed_magnitude : clamped;
  logic [N*MANTISSA_BITS-1:0] elements;

  wire ends_block = lane == COUNTER_BITS'(BLOCK - 1);
  wire is_last = BLOCKS == 1 || block == COUNTER_BITS'(BLOCKS - 1);
  wire is_flushed = !seen || (wanted < 0 && USE_SUBNORMALS == 0);
  wire [EXPONENT_BITS-1:0] shared = seen_nan ? '1 : (is_flushed || wanted < 0) ? '0
      : wanted > LARGEST_CODE ? LARGEST_CODE[EXPONENT_BITS-1:0] : wanted[EXPONENT_BITS-1:0];
  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;
  assign out_data = {codes, elements};

  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= SCAN;
        SCAN: if (ends_block) state <= SHARE;
        SHARE: state <= is_last ? ENCODE : SCAN;
        ENCODE: if (ends_block && is_last) state <= DONE;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        lanes <= spread;
        lane <= '0;
        block <= '0;
        seen <= 1'b0;
        seen_nan <= 1'b0;
      end
      SCAN: begin
        if (is_larger) begin
          top_exponent <= exponent;
          top <= normalised[MA-1:0];
          seen <= 1'b1;
        end
        if (A_RESERVED == 0 && is_reserved) seen_nan <= 1'b1;
      end
      SHARE: begin
        codes <= (BLOCKS*EXPONENT_BITS)'({shared, codes} >> EXPONENT_BITS);
        empty <= BLOCKS'({seen_nan || is_flushed, empty} >> 1);
        block <= is_last ? '0 : block + COUNTER_BITS'(1);
        seen <= 1'b0;
        seen_nan <= 1'b0;
      end
      ENCODE: begin
        elements <= {element, elements[N*MANTISSA_BITS-1:MANTISSA_BITS]};
        if (ends_block) begin
          codes <= (BLOCKS*EXPONENT_BITS)'({code, codes} >> EXPONENT_BITS);
          empty <= BLOCKS'({empty[0], empty} >> 1);
          block <= block + COUNTER_BITS'(1);
        end
      end
      default: ;
    endcase
    if (state == SCAN || state == ENCODE) begin
      lanes <= {lanes[L-1:0], lanes[N*L-1:L]};
      lane <= ends_block ? '0 : lane + COUNTER_BITS'(1);
    end
  end
endmodule
