// The products of two BFP blocks, element by element, in their own format. One bit of one factor a cycle is multiplied
// and added, the exact products are kept, and the largest magnitude is normalised by one place a cycle; then one arithmetic
// shifter takes the products, one a cycle, to the exponent. Ports and parameters as in multiplier_parallel; N from 2.
module multiplier_serial #(
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
  localparam int B = EXPONENT_BITS + N * MANTISSA_BITS;
  localparam int P = 2 * M + 2;           // bits of a product, its sign included
  localparam int I = P + M;               // bits of an integer part
  localparam int LW = $clog2(I + 2);
  localparam int W = (EXPONENT_BITS > LW ? EXPONENT_BITS : LW) + 4;
  localparam int COUNTER_BITS = $clog2(N);
  localparam int PLACE_BITS = $clog2(MANTISSA_BITS);
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  localparam logic [2:0] IDLE = 0, MULTIPLY = 1, NORMALISE = 2, SHARE = 3, ENCODE = 4, DONE = 5;
  logic [2:0] state;
  logic [COUNTER_BITS-1:0] lane;
  logic [PLACE_BITS-1:0] place;      // of the bit of b at work
  logic [N*MANTISSA_BITS-1:0] a, b;  // a rotates by lanes, b is shifted out bit by bit
  logic is_nan;

  // Multiply: the sign bit of b counts below zero. What is added up is shifted into `low`, bit by bit.
  logic signed [M+1:0] high;
  logic [M-1:0] low;
  wire is_sign = place == PLACE_BITS'(M);
  wire signed [M+1:0] factor = $signed({a[M], a[M:0]});
  wire signed [M+1:0] sum = !b[0] ? high : is_sign ? high - factor : high + factor;
  wire signed [P-1:0] product = {sum, low};
  wire [P-2:0] size = product[P-1] ? (P-1)'(-product) : product[P-2:0];
  logic [N*P-1:0] products;

  // Normalise and share: rceil takes one more above Q units, ceil above a power of two (spec 3.5).
  localparam logic [P-2:0] LARGEST_TOP = {{M{1'b1}}, {P - 1 - M{1'b0}}};
  localparam logic [P-2:0] POWER = {1'b1, {P - 2{1'b0}}};
  logic [P-2:0] top;
  logic signed [W-1:0] base, exponent, code;
  logic is_flushed;
  wire signed [W-1:0] wanted =
      exponent + (((RULE == 0 && top > LARGEST_TOP) || (RULE == 2 && top != POWER)) ? W'(1) : W'(0));

  // Encode: M places are shifted in before the shift to the right, and what is cut is rounded down (spec 3.7).
  wire signed [W-1:0] distance = code - base + W'(2 * M);
  wire [LW-1:0] places = distance < 0 ? '0 : distance > W'(I) ? LW'(I) : distance[LW-1:0];
  wire signed [P-1:0] exact = products[P-1:0];
  wire signed [2*I:0] cut = $signed({exact, {I + M + 1{1'b0}}}) >>> places;
  wire signed [I-1:0] rounded =
      $signed(cut[2*I -: I]) + $signed(I'(goes_up(exact[P-1], cut[I+1], cut[I], |cut[I-1:0])));
  localparam logic signed [I-1:0] HIGHEST = I'((1 << M) - 1);
  localparam logic signed [I-1:0] LOWEST = SYMMETRIC != 0 ? -HIGHEST : ~HIGHEST;
  wire [MANTISSA_BITS-1:0] element =
      rounded < LOWEST ? LOWEST[M:0] : rounded > HIGHEST ? HIGHEST[M:0] : rounded[M:0];
  logic [N*MANTISSA_BITS-1:0] elements;

  wire is_last = lane == COUNTER_BITS'(N - 1);
  wire [EXPONENT_BITS-1:0] a_code = in_data[B-1 -: EXPONENT_BITS];
  wire [EXPONENT_BITS-1:0] b_code = in_data[2*B-1 -: EXPONENT_BITS];
  wire signed [W-1:0] base_of_codes = W'(a_code) + W'(b_code) - W'(EXPONENT_BIAS);
  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;
  assign out_data = is_nan ? {{EXPONENT_BITS{1'b1}}, {N*MANTISSA_BITS{1'b0}}}
      : is_flushed ? '0 : {code[EXPONENT_BITS-1:0], elements};

  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= MULTIPLY;
        MULTIPLY: if (is_sign && is_last) state <= NORMALISE;
        NORMALISE: if (top[P-2] || top == 0) state <= SHARE;
        SHARE: state <= ENCODE;
        ENCODE: if (is_last) state <= DONE;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        a <= in_data[0 +: N*MANTISSA_BITS];
        b <= in_data[B +: N*MANTISSA_BITS];
        is_nan <= &a_code || &b_code;
        base <= base_of_codes;
        exponent <= base_of_codes + W'(1);
        lane <= '0;
        place <= '0;
        high <= '0;
        top <= '0;
      end
      MULTIPLY: begin
        b <= b >> 1;
        low <= M'({sum[0], low} >> 1);
        high <= $signed({sum[M+1], sum[M+1:1]});
        place <= is_sign ? '0 : place + PLACE_BITS'(1);
        if (is_sign) begin
          high <= '0;
          products <= {product, products[N*P-1:P]};
          if (size > top) top <= size;
        end
      end
      NORMALISE:
        if (!top[P-2]) begin
          top <= top << 1;
          exponent <= exponent - W'(1);
        end
      SHARE: begin
        code <= wanted > LARGEST_CODE ? LARGEST_CODE : wanted < 0 ? '0 : wanted;
        is_flushed <= top == 0 || (wanted < 0 && USE_SUBNORMALS == 0);
      end
      ENCODE: begin
        elements <= {element, elements[N*MANTISSA_BITS-1:MANTISSA_BITS]};
        products <= {products[P-1:0], products[N*P-1:P]};
      end
      default: ;
    endcase
    if ((state == MULTIPLY && is_sign) || state == ENCODE) begin
      a <= {a[M:0], a[N*MANTISSA_BITS-1:MANTISSA_BITS]};
      lane <= is_last ? '0 : lane + COUNTER_BITS'(1);
    end
  end
endmodule
