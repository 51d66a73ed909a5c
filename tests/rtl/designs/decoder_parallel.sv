// A BFP block to float32, all lanes at once: count leading zeros, shift, round (spec 2.4, 2.10).
//
// in_data   elements, exponent code; lane 0 lowest (spec 12.3)
// out_data  y, 32 bits each
//
// The all-ones exponent code is reserved for NaN (spec 2.3), fraction_bits is M, and underflow decodes
// exactly (spec 2.6).
module decoder_parallel #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,  // 2 to 32
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int SIGN_MAGNITUDE = 0  // encoding (spec 2.2); minus zero is -0 (spec 2.5)
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
  localparam int EW = (EXPONENT_BITS > 8 ? EXPONENT_BITS : 8) + 3;

  wire [EXPONENT_BITS-1:0] code = in_data[N*MANTISSA_BITS +: EXPONENT_BITS];
  wire signed [EW-1:0] exponent = $signed(EW'(code)) - EW'(EXPONENT_BIAS + M);

  wire [32*N-1:0] result;
  for (genvar lane = 0; lane < N; lane++) begin : lanes
    wire [MANTISSA_BITS-1:0] element = in_data[MANTISSA_BITS*lane +: MANTISSA_BITS];
    wire negative = element[M];
    wire [MANTISSA_BITS-1:0] magnitude =
        SIGN_MAGNITUDE != 0 ? {1'b0, element[M-1:0]} : negative ? -element : element;
    wire [31:0] pattern;
    wire unused_sign = pattern[31];
    wire [2:0] unused_flags;
    round_to_float32 #(.W(MANTISSA_BITS), .EW(EW)) round (
        .negative, .magnitude, .exponent, .pattern, .overflow(unused_flags[0]),
        .underflow(unused_flags[1]), .inexact(unused_flags[2])
    );
    // The sign stays with minus zero, and with what is rounded to 0.
    assign result[32*lane +: 32] = &code ? 32'h7fc00000 : {negative, pattern[30:0]};
  end

  assign in_ready = !out_valid || out_ready;
  always @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= result;
  end
endmodule
