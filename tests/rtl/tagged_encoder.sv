// Two serial encoders side by side. A block takes more cycles the further its largest number is to be normalised, so
// results come out of order; each has the tag that came with its block. Parameters as in encoder_serial.
module tagged_encoder #(
    parameter int N = 8,
    parameter int MANTISSA_BITS = 8,
    parameter int EXPONENT_BITS = 8,
    parameter int EXPONENT_BIAS = 127,
    parameter int RULE = 0,
    parameter int ROUNDING = 0,
    parameter int SYMMETRIC = 0,
    parameter int USE_SUBNORMALS = 0,
    parameter int INFINITY_BLOCK = 0,
    parameter int TAG_BITS = 4
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [TAG_BITS-1:0] in_tag,
    input  logic [32*N-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [TAG_BITS-1:0] out_tag,
    output logic [EXPONENT_BITS+N*MANTISSA_BITS-1:0] out_data
);
  wire [1:0] ready, valid;
  wire [EXPONENT_BITS+N*MANTISSA_BITS-1:0] data0, data1;
  logic [TAG_BITS-1:0] tag0, tag1;
  logic is_held, held;  // a result that waits stays at the output

  wire chosen = is_held ? held : !valid[0];
  wire [1:0] starts = {in_valid && !ready[0] && ready[1], in_valid && ready[0]};
  wire [1:0] taken = {out_ready && chosen, out_ready && !chosen};
  assign in_ready = ready != 0;
  assign out_valid = chosen ? valid[1] : valid[0];
  assign out_data = chosen ? data1 : data0;
  assign out_tag = chosen ? tag1 : tag0;

  always_ff @(posedge clk) begin
    is_held <= !rst && out_valid && !out_ready;
    held <= chosen;
    if (starts[0]) tag0 <= in_tag;
    if (starts[1]) tag1 <= in_tag;
  end

  encoder_serial #(N, MANTISSA_BITS, EXPONENT_BITS, EXPONENT_BIAS, RULE, ROUNDING, SYMMETRIC, USE_SUBNORMALS,
                   INFINITY_BLOCK) first (
      .clk(clk), .rst(rst), .in_valid(starts[0]), .in_ready(ready[0]), .in_data(in_data),
      .out_valid(valid[0]), .out_ready(taken[0]), .out_data(data0));
  encoder_serial #(N, MANTISSA_BITS, EXPONENT_BITS, EXPONENT_BIAS, RULE, ROUNDING, SYMMETRIC, USE_SUBNORMALS,
                   INFINITY_BLOCK) second (
      .clk(clk), .rst(rst), .in_valid(starts[1]), .in_ready(ready[1]), .in_data(in_data),
      .out_valid(valid[1]), .out_ready(taken[1]), .out_data(data1));
endmodule
