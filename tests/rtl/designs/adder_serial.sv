// The sum of two BFP blocks in their own format, one lane a cycle, in three passes over the lanes. Sums are exact
// integers of the smaller unit, in a window as wide as the exponents lie apart; the leading one of the block is that of
// all magnitudes joined by "or". Ports and parameters as in adder_parallel; N from 2.
module adder_serial #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
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
  `include "rounding_signed.svh"
  localparam int M = MANTISSA_BITS - 1;
  localparam int V = M + (1 << EXPONENT_BITS); // bits of the magnitude of a sum
  localparam int LW = $clog2(V + M + 2);
  localparam int W = LW + 3;
  localparam int COUNTER_BITS = $clog2(N);
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  wire unused_bias = &EXPONENT_BIAS;

  localparam logic [2:0] IDLE = 0, JOIN = 1, LOOK = 2, SHARE = 3, ENCODE = 4, DONE = 5;
  logic [2:0] state;
  logic [COUNTER_BITS-1:0] lane;
  logic [N*MANTISSA_BITS-1:0] a, b; // rotate, so that the lane at work is the lowest
  logic [EXPONENT_BITS-1:0] a_code, b_code;
  logic [V-1:0] joined;
  logic seen_above; // a magnitude above Q units

  // The sum of the lane at work, exactly.
  wire [EXPONENT_BITS-1:0] low_code = a_code < b_code ? a_code : b_code;
  wire signed [V:0] a_wide = $signed({{V - M{a[M]}}, a[M:0]}) <<< (a_code - low_code);
  wire signed [V:0] b_wide = $signed({{V - M{b[M]}}, b[M:0]}) <<< (b_code - low_code);
  wire signed [V:0] sum = a_wide + b_wide;
  wire [V-1:0] size = sum[V] ? V'(-sum) : sum[V-1:0];

  // The leading one of the block, and whether this lane is above Q units at that place (spec 3.5).
  logic [LW-1:0] zeros;
  logic [V-1:0] normalised;
  always @* begin
    zeros = '0;
    normalised = joined;
    for (int stage = LW - 1; stage >= 0; stage--)
      if ((1 << stage) < V && normalised >> (V - (1 << stage)) == 0) begin
        normalised = normalised << (1 << stage);
        zeros = zeros + LW'(1 << stage);
      end
  end
  wire [V-1:0] raised = size << zeros;
  wire is_above = raised > {{M{1'b1}}, {V - M{1'b0}}};
  wire signed [W-1:0] wanted =
      W'(low_code) + W'(V - M) - W'(zeros) + ((RULE == 0 && seen_above) ? W'(1) : W'(0));
  logic signed [W-1:0] code;
  logic is_flushed;

  // M places are shifted in before the shift to the right: small sums are shifted to the left.
  wire signed [W-1:0] distance = code - W'(low_code) + W'(M);
  wire [LW-1:0] places = distance > W'(V + M + 1) ? LW'(V + M + 1) : distance[LW-1:0];
  wire signed [2*V+2*M+1:0] cut = $signed({sum, {V + 2*M + 1{1'b0}}}) >>> places;
  wire signed [V+M:0] rounded = $signed(cut[2*V+2*M+1 -: V+M+1])
      + $signed((V+M+1)'(goes_up(sum[V], cut[V+M+1], cut[V+M], |cut[V+M-1:0])));
  localparam logic signed [V+M:0] HIGHEST = (V+M+1)'((1 << M) - 1);
  localparam logic signed [V+M:0] LOWEST = SYMMETRIC != 0 ? -HIGHEST : ~HIGHEST;
  wire [MANTISSA_BITS-1:0] element =
      rounded < LOWEST ? LOWEST[M:0] : rounded > HIGHEST ? HIGHEST[M:0] : rounded[M:0];
  logic [N*MANTISSA_BITS-1:0] elements;

  wire is_last = lane == COUNTER_BITS'(N - 1);
  wire works = state == JOIN || state == LOOK || state == ENCODE;
  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;
  assign out_data = (&a_code || &b_code) ? {{EXPONENT_BITS{1'b1}}, {N*MANTISSA_BITS{1'b0}}}
      : is_flushed ? '0 : {code[EXPONENT_BITS-1:0], elements};

  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= JOIN;
        JOIN: if (is_last) state <= LOOK;
        LOOK: if (is_last) state <= SHARE;
        SHARE: state <= ENCODE;
        ENCODE: if (is_last) state <= DONE;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        {b_code, b, a_code, a} <= in_data;
        lane <= '0;
        joined <= '0;
        seen_above <= 1'b0;
      end
      JOIN: joined <= joined | size;
      LOOK: seen_above <= seen_above || is_above;
      SHARE: begin
        code <= wanted > LARGEST_CODE ? LARGEST_CODE : wanted < 0 ? '0 : wanted;
        is_flushed <= !normalised[V-1] || (wanted < 0 && USE_SUBNORMALS == 0);
      end
      ENCODE: elements <= {element, elements[N*MANTISSA_BITS-1:MANTISSA_BITS]};
      default: ;
    endcase
    if (works) begin
      a <= {a[M:0], a[N*MANTISSA_BITS-1:MANTISSA_BITS]};
      b <= {b[M:0], b[N*MANTISSA_BITS-1:MANTISSA_BITS]};
      lane <= is_last ? '0 : lane + COUNTER_BITS'(1);
    end
  end
endmodule
