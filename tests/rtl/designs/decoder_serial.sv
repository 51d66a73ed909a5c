// A BFP block to float32, one lane after the other, one bit a cycle: a significand moves up until its leading
// one is in place, a subnormal then down again with a sticky bit. Ports and parameters as in decoder_parallel;
// N from 2, MANTISSA_BITS to 24.
module decoder_serial #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int SIGN_MAGNITUDE = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [EXPONENT_BITS+N*MANTISSA_BITS-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [32*N-1:0] out_data
);
  localparam int M = MANTISSA_BITS - 1;
  localparam int W = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 3;
  localparam int COUNTER_BITS = $clog2(N);

  localparam logic [2:0] IDLE = 0, LOAD = 1, UP = 2, DOWN = 3, STORE = 4, DONE = 5;
  logic [2:0] state;
  logic [COUNTER_BITS-1:0] lane;
  logic [N*MANTISSA_BITS-1:0] elements; // the lane at work is the lowest
  logic [EXPONENT_BITS-1:0] code;
  logic negative;
  logic signed [W-1:0] field;
  logic [25:0] significand; // 24 bits, the half and the sticky bit

  wire [MANTISSA_BITS-1:0] element = elements[MANTISSA_BITS-1:0];
  wire [MANTISSA_BITS-1:0] magnitude =
      SIGN_MAGNITUDE != 0 ? {1'b0, element[M-1:0]} : element[M] ? -element : element;

  // When it is stored a significand has its leading one in bit 25, or is a subnormal of field 1, or 0.
  wire [24:0] rounded =
      {1'b0, significand[25:2]} + ((significand[1] && (significand[2] || significand[0])) ? 25'd1 : 25'd0);
  wire [7:0] stored_field =
      field[7:0] + (rounded[24] ? 8'd1 : 8'd0) - (rounded[24:23] == 2'b00 ? 8'd1 : 8'd0);
  wire is_large = field > 254 || (field == 254 && rounded[24]);
  wire [30:0] stored =
      rounded == 0 ? 31'd0 : is_large ? 31'h7f800000 : {stored_field, rounded[24] ? 23'd0 : rounded[22:0]};
  // The sign stays with minus zero, and with what is rounded to 0.
  wire [31:0] pattern = &code ? 32'h7fc00000 : {negative, stored};

  assign in_ready = state == IDLE;
  assign out_valid = state == DONE;

  always @(posedge clk) begin
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE: if (in_valid) state <= LOAD;
        LOAD: state <= UP;
        UP: if (significand[25] || significand == 0) state <= DOWN;
        DOWN: if (field >= 1 || significand[25:1] == 0) state <= STORE;
        STORE: state <= lane == COUNTER_BITS'(N - 1) ? DONE : LOAD;
        default: if (out_ready) state <= IDLE;
      endcase
    case (state)
      IDLE: begin
        {code, elements} <= in_data;
        lane <= '0;
      end
      LOAD: begin
        negative <= element[M];
        significand <= 26'(magnitude) << 2;
        // The weight of the last of 24 bits is 2**(field - 150) (spec 2.4).
        field <= W'(code) + W'(150 - EXPONENT_BIAS - M);
      end
      UP:
        if (!significand[25] && significand != 0) begin
          significand <= significand << 1;
          field <= field - W'(1);
        end
      DOWN:
        if (field < 1) begin
          significand <= {1'b0, significand[25:2], significand[1] || significand[0]};
          field <= significand[25:1] == 0 ? W'(1) : field + W'(1);
        end
      STORE: begin
        out_data <= {pattern, out_data[32*N-1:32]};
        elements <= elements >> MANTISSA_BITS;
        lane <= lane + COUNTER_BITS'(1);
      end
      default: ;
    endcase
  end
endmodule
