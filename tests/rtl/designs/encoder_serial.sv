// float32 to a BFP block, one lane a cycle: a running maximum, a normaliser that shifts one place a cycle,
// then one arithmetic shifter that all lanes share. Ports, parameters and their bounds as in encoder_tree; N from 2.
module encoder_serial #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int RULE = 0,
    parameter int ROUNDING = 0,
    parameter int SYMMETRIC = 0,
    parameter int USE_SUBNORMALS = 0,
    parameter int INFINITY_BLOCK = 0
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
  `include "rounding_signed.svh"
  localparam int M = MANTISSA_BITS - 1;
  localparam int W = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 3;
  localparam int COUNTER_BITS = $clog2(N);
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - 2);

  localparam logic [2:0] IDLE = 0, SCAN = 1, NORMALISE = 2, SHARE = 3, ENCODE = 4, DONE = 5;
  logic [2:0] state;
  logic [COUNTER_BITS-1:0] lane;
  logic [32*N-1:0] block; // rotates by one lane a cycle, so that the lane at work is always the lowest

  wire is_last = lane == COUNTER_BITS'(N - 1);
  wire negative = block[31];
  wire [7:0] field = block[30:23];
  wire [22:0] fraction = block[22:0];

  // Scan: the largest finite magnitude, kept as a field and a significand.
  logic [7:0] top_field;
  logic [23:0] top;
  logic signed [W-1:0] top_exponent;
  logic seen_nan, seen_infinity;
  wire is_larger = field != 8'hff && {field, fraction} > {top_field, top[22:0]};

  // Share: rceil takes one more when the maximum is above Q units (spec 3.5).
  localparam logic [23:0] LARGEST_TOP = 24'((1 << 24) - (1 << (24 - M)));
  wire signed [W-1:0] wanted =
      top_exponent + W'(EXPONENT_BIAS - 126) + ((RULE == 0 && top > LARGEST_TOP) ? W'(1) : W'(0));
  logic signed [W-1:0] code;
  logic is_flushed;

  // Encode: the signed significand goes through the shifter, which rounds down (spec 3.7).
  wire [24:0] unsigned_significand = {1'b0, field != 0, fraction};
  wire [24:0] significand = negative ? 25'd0 - unsigned_significand : unsigned_significand;
  wire signed [W-1:0] distance =
      code + W'(150 - EXPONENT_BIAS - M) - (field == 0 ? W'(1) : W'(field));
  wire [4:0] shift = distance > 26 ? 5'd26 : distance[4:0];
  wire signed [50:0] shifted = $signed({significand, 26'b0}) >>> shift;
  wire signed [25:0] rounded = 26'(shifted >>> 26)
      + (goes_up(negative, shifted[26], shifted[25], |shifted[24:0]) ? 26'sd1 : 26'sd0);
  localparam logic signed [25:0] HIGHEST = 26'((1 << M) - 1);
  localparam logic signed [25:0] LOWEST = SYMMETRIC != 0 ? -HIGHEST : -HIGHEST - 26'sd1;
  wire is_beyond = field == 8'hff || distance < 0;
  wire is_low = negative && (is_beyond || rounded < LOWEST);
  wire is_high = !negative && (is_beyond || rounded > HIGHEST);
  wire [MANTISSA_BITS-1:0] element =
      is_low ? LOWEST[MANTISSA_BITS-1:0] : is_high ? HIGHEST[MANTISSA_BITS-1:0] : rounded[MANTISSA_BITS-1:0];
  logic [N*MANTISSA_BITS-1:0] elements;

  wire is_nan = seen_nan || (INFINITY_BLOCK != 0 && seen_infinity);
  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;
  assign out_data =
      is_nan ? {{EXPONENT_BITS{1'b1}}, {N*MANTISSA_BITS{1'b0}}}
      : is_flushed ? '0
      : {code[EXPONENT_BITS-1:0], elements};

  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= SCAN;
        SCAN: if (is_last) state <= NORMALISE;
        NORMALISE: if (top[23] || top == 0) state <= SHARE;
        SHARE: state <= ENCODE;
        ENCODE: if (is_last) state <= DONE;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        block <= in_data;
        lane <= '0;
        top_field <= '0;
        top <= '0;
        seen_nan <= 1'b0;
        seen_infinity <= 1'b0;
      end
      SCAN: begin
        if (is_larger) begin
          top_field <= field;
          top <= {field != 0, fraction};
        end
        if (field == 8'hff && fraction != 0) seen_nan <= 1'b1;
        if (field == 8'hff && fraction == 0) seen_infinity <= 1'b1;
        // A subnormal has the exponent of field 1 (spec 3.2); the last lane counts too.
        top_exponent <= is_larger ? (field == 0 ? W'(1) : W'(field)) : (top_field == 0 ? W'(1) : W'(top_field));
      end
      NORMALISE:
        if (!top[23]) begin
          top <= top << 1;
          top_exponent <= top_exponent - W'(1);
        end
      SHARE: begin
        code <= (seen_infinity || wanted > LARGEST_CODE) ? LARGEST_CODE : wanted < 0 ? '0 : wanted;
        is_flushed <= !seen_infinity && (top == 0 || (wanted < 0 && USE_SUBNORMALS == 0));
      end
      ENCODE: elements <= {element, elements[N*MANTISSA_BITS-1:MANTISSA_BITS]};
      default: ;
    endcase
    if (state == SCAN || state == ENCODE) begin
      block <= {block[31:0], block[32*N-1:32]};
      lane <= is_last ? '0 : lane + COUNTER_BITS'(1);
    end
  end
endmodule
