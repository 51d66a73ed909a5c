// The dot product of two rows of BFP blocks, an element a cycle: one multiplier that adds its product to the sum of
// the block, then an accumulator (spec 6). Ports and parameters as in dot_tree; N from 2.
module dot_serial #(
    parameter int N = 8,
    parameter int BLOCKS = 2,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int ACCUMULATOR = 0,
    parameter int ACCUMULATOR_BITS = 32,
    parameter int LSB_EXPONENT = -20,
    parameter int FRACTION_BITS = 20,
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
  localparam int SW = 2 * MANTISSA_BITS + $clog2(N);
  localparam int EW = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 4;
  localparam int LANE_BITS = $clog2(N);
  localparam int COUNTER_BITS = $clog2(BLOCKS + 1);

  localparam logic [1:0] IDLE = 0, MULTIPLY = 1, ACCUMULATE = 2, DONE = 3;
  logic [1:0] state;
  logic [BLOCKS*N*MANTISSA_BITS-1:0] a, b; // the elements at work are the lowest
  logic [BLOCKS*EXPONENT_BITS-1:0] a_codes, b_codes;
  logic [LANE_BITS-1:0] lane;
  logic [COUNTER_BITS-1:0] block;
  logic signed [SW-1:0] sum;
  logic signed [EW-1:0] exponent;
  logic seen_nan;

  // Booth's digits of b in radix 2: the product is a sum of a, shifted, with the signs of b[i-1] - b[i].
  wire signed [MANTISSA_BITS-1:0] x = $signed(a[M:0]);
  wire [MANTISSA_BITS:0] y = {b[M:0], 1'b0};
  logic signed [SW-1:0] product;
  always @* begin
    product = '0;
    for (int bit_ = 0; bit_ < MANTISSA_BITS; bit_++)
      if (y[bit_] && !y[bit_+1]) product = product + (SW'(x) <<< bit_);
      else if (!y[bit_] && y[bit_+1]) product = product - (SW'(x) <<< bit_);
  end

  wire is_last_lane = lane == LANE_BITS'(N - 1);
  wire is_last_block = block == COUNTER_BITS'(BLOCKS - 1);
  wire [EXPONENT_BITS-1:0] a_code = a_codes[EXPONENT_BITS-1:0];
  wire [EXPONENT_BITS-1:0] b_code = b_codes[EXPONENT_BITS-1:0];

  accumulate #(
      .SW(SW), .EW(EW), .PRODUCT_BITS(2 * M), .ACCUMULATOR(ACCUMULATOR), .BITS(ACCUMULATOR_BITS),
      .LSB_EXPONENT(LSB_EXPONENT), .FRACTION_BITS(FRACTION_BITS), .SATURATES(SATURATES)
  ) accumulator (
      .clk, .step(state == ACCUMULATE), .start(block == 0), .sum, .exponent, .is_nan(seen_nan), .result(out_data)
  );

  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;
  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= MULTIPLY;
        MULTIPLY: if (is_last_lane) state <= ACCUMULATE;
        ACCUMULATE: state <= is_last_block ? DONE : MULTIPLY;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        {b_codes, b, a_codes, a} <= in_data;
        lane <= '0;
        block <= '0;
        sum <= '0;
        seen_nan <= 1'b0;
      end
      MULTIPLY: begin
        sum <= sum + product;
        a <= a >> MANTISSA_BITS;
        b <= b >> MANTISSA_BITS;
        lane <= is_last_lane ? '0 : lane + LANE_BITS'(1);
        exponent <= $signed(EW'(a_code)) + $signed(EW'(b_code)) - EW'(2 * EXPONENT_BIAS + 2 * M);
        if (&a_code || &b_code) seen_nan <= 1'b1;
      end
      ACCUMULATE: begin
        sum <= '0;
        a_codes <= a_codes >> EXPONENT_BITS;
        b_codes <= b_codes >> EXPONENT_BITS;
        block <= block + COUNTER_BITS'(1);
      end
      default: ;
    endcase
  end
endmodule
