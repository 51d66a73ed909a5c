// BFP blocks to BFP blocks of another format, all lanes at once (spec 6.12, 3.5 to 3.8). For the shared exponent, the source
// blocks that meet in a block of the result are aligned to the highest of theirs with a sticky bit. Elements are rounded
// from what they were: the unit of the largest exponent may lie far below all of them.
//
// in_data   elements, exponent codes of the source; lane 0, block 0 lowest (spec 12.3)
// out_data  elements, exponent codes of the result
//
// fraction_bits are the magnitude bits of both formats, and one block is a multiple of the other. A_... is of the source.
module converter_parallel #(
    parameter int N = 8,                // elements of a vector: those of the larger block
    parameter int A_BLOCK = 4,
    parameter int A_MANTISSA_BITS = 8,
    parameter int A_EXPONENT_BITS = 6,
    parameter int A_EXPONENT_BIAS = 31,
    parameter int A_SIGN_MAGNITUDE = 0,
    parameter int A_RESERVED = 0,       // the all-ones code: 0 NaN, 1 zero, 2 a code as others (spec 2.3)
    parameter int BLOCK = 8,
    parameter int MANTISSA_BITS = 5,
    parameter int EXPONENT_BITS = 5,
    parameter int EXPONENT_BIAS = 15,
    parameter int SIGN_MAGNITUDE = 0,
    parameter int RESERVED = 0,
    parameter int RULE = 0,             // 0 rceil, 1 floor, 2 ceil (spec 3.5)
    parameter int ROUNDING = 0,         // rounding.svh (spec 3.7)
    parameter int SYMMETRIC = 0,        // significand_range (spec 3.8)
    parameter int USE_SUBNORMALS = 0    // keep code 0 below the smallest exponent (spec 3.6)
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
  `include "rounding.svh"
  localparam int MA = A_MANTISSA_BITS - 1;
  localparam int M = MANTISSA_BITS - 1;
  localparam int PIECE = A_BLOCK < BLOCK ? A_BLOCK : BLOCK; // lanes that two blocks have in common
  localparam int PIECES = BLOCK / PIECE;
  localparam int G = PIECES > 1 ? M : 0;     // bits below the highest unit, the last of them sticky
  localparam int V = MA + 1 + G;             // bits of an aligned magnitude
  localparam int S = MA + 1 + M;             // bits of a magnitude in units of the result
  localparam int LW = $clog2(S + V + 2);     // bits of a shift
  // The code of a result is that of the source plus the place of the leading one plus this.
  localparam int STEP = EXPONENT_BIAS - A_EXPONENT_BIAS - MA + 1;
  localparam int SPAN = (1 << A_EXPONENT_BITS) + (1 << EXPONENT_BITS) + (STEP < 0 ? -STEP : STEP) + 2 * (S + V + 2);
  localparam int W = $clog2(SPAN) + 1;       // bits of a signed exponent
  localparam logic signed [W-1:0] LARGEST_CODE = W'((1 << EXPONENT_BITS) - (RESERVED == 2 ? 1 : 2));

  logic [N*MANTISSA_BITS+N/BLOCK*EXPONENT_BITS-1:0] result;
  for (genvar block = 0; block < N / BLOCK; block++) begin : encoded
    // Signs and magnitudes; all of a source block are NaN or 0 where its code is reserved.
    logic [PIECES*A_EXPONENT_BITS-1:0] codes;
    logic [PIECES-1:0] reserved;
    logic [BLOCK-1:0] signs;
    logic [BLOCK*A_MANTISSA_BITS-1:0] sizes;
    logic [A_MANTISSA_BITS-1:0] element;
    always @* begin
      for (int piece = 0; piece < PIECES; piece++) begin
        codes[A_EXPONENT_BITS*piece +: A_EXPONENT_BITS] = in_data[
            N*A_MANTISSA_BITS + (block*BLOCK + piece*PIECE) / A_BLOCK * A_EXPONENT_BITS +: A_EXPONENT_BITS];
        reserved[piece] = A_RESERVED != 2 && &codes[A_EXPONENT_BITS*piece +: A_EXPONENT_BITS];
      end
      for (int lane = 0; lane < BLOCK; lane++) begin
        element = in_data[A_MANTISSA_BITS*(block*BLOCK + lane) +: A_MANTISSA_BITS];
        signs[lane] = element[MA];
        if (A_SIGN_MAGNITUDE != 0) element[MA] = 1'b0;
        else if (element[MA]) element = -element;
        sizes[A_MANTISSA_BITS*lane +: A_MANTISSA_BITS] = reserved[lane / PIECE] ? '0 : element;
      end
    end
    wire is_nan = A_RESERVED == 0 && |reserved;

    // A piece of zeros must not set the place to which the others are aligned.
    logic [A_EXPONENT_BITS-1:0] high;
    always @* begin
      high = '0;
      for (int piece = 0; piece < PIECES; piece++)
        if (sizes[A_MANTISSA_BITS*PIECE*piece +: A_MANTISSA_BITS*PIECE] != 0
            && codes[A_EXPONENT_BITS*piece +: A_EXPONENT_BITS] > high)
          high = codes[A_EXPONENT_BITS*piece +: A_EXPONENT_BITS];
    end

    // The largest of the magnitudes in units of that exponent.
    logic [V-1:0] largest, placed;
    logic [A_EXPONENT_BITS-1:0] apart;
    logic [2*V-1:0] moved;
    always @* begin
      largest = '0;
      for (int lane = 0; lane < BLOCK; lane++) begin
        apart = high - codes[A_EXPONENT_BITS*(lane / PIECE) +: A_EXPONENT_BITS];
        moved = {{sizes[A_MANTISSA_BITS*lane +: A_MANTISSA_BITS], {G + V{1'b0}}}} >> (32'(apart) > V ? LW'(V) : LW'(apart));
        placed = moved[2*V-1 -: V];
        if (PIECES > 1) placed[0] = placed[0] || |moved[V-1:0];
        if (placed > largest) largest = placed;
      end
    end

    // The shared exponent (spec 3.5, 3.6).
    logic [LW-1:0] zeros;
    logic [V-1:0] top;
    logic raises, is_flushed;
    logic signed [W-1:0] wanted, code;
    always @* begin
      zeros = '0;
      for (int bit_ = 0; bit_ < V; bit_++) if (largest[bit_]) zeros = LW'(V - 1 - bit_);
      top = largest << zeros;
      // Above Q units, or above a power of two.
      raises = (RULE == 0 && (top | {{V{1'b1}} >> M}) == '1 && |(top << M)) || (RULE == 2 && |top[V-2:0]);
      wanted = W'(high) + W'(MA + STEP) - W'(zeros) + W'(raises);
      is_flushed = largest == 0 || (wanted < 0 && USE_SUBNORMALS == 0);
      if (wanted > LARGEST_CODE) code = LARGEST_CODE;
      else if (wanted < 0) code = '0;
      else code = wanted;
    end

    // Every element (spec 3.7, 3.8). M places are shifted in before the shift to the right: a result may be wider.
    logic [BLOCK*MANTISSA_BITS-1:0] elements;
    logic signed [W-1:0] distance;
    logic [LW-1:0] places;
    logic [2*S:0] cut;
    logic [S-1:0] magnitude, limit;
    always @* begin
      elements = '0;
      for (int lane = 0; lane < BLOCK; lane++) begin
        distance = code - W'(codes[A_EXPONENT_BITS*(lane / PIECE) +: A_EXPONENT_BITS]) + W'(1 - STEP);
        places = distance < 0 ? '0 : distance > W'(S + 1) ? LW'(S + 1) : distance[LW-1:0];
        cut = {sizes[A_MANTISSA_BITS*lane +: A_MANTISSA_BITS], {M + S + 1{1'b0}}} >> places;
        magnitude = cut[2*S -: S] + S'(goes_away(signs[lane], cut[S+1], cut[S], |cut[S-1:0]));
        limit = S'(1 << M) - S'(!signs[lane] || SYMMETRIC != 0);
        if (magnitude > limit) magnitude = limit;
        if (SIGN_MAGNITUDE != 0) magnitude[M] = signs[lane] && magnitude != 0;
        else if (signs[lane]) magnitude = -magnitude;
        elements[MANTISSA_BITS*lane +: MANTISSA_BITS] = magnitude[M:0];
      end
    end

    assign result[MANTISSA_BITS*BLOCK*block +: MANTISSA_BITS*BLOCK] = is_nan || is_flushed ? '0 : elements;
    assign result[N*MANTISSA_BITS + EXPONENT_BITS*block +: EXPONENT_BITS] =
        is_nan ? '1 : is_flushed ? '0 : code[EXPONENT_BITS-1:0];
  end

  assign in_ready = !out_valid || out_ready;
  always @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= result;
  end
endmodule
