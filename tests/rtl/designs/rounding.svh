// The rounding modes of spec 3.7, numbered in the order in which it lists them. Included inside a module.

localparam int TIES_TO_EVEN = 0;
localparam int TIES_TO_ODD = 1;
localparam int TIES_AWAY = 2;
localparam int TIES_TOWARD_ZERO = 3;
localparam int TIES_UP = 4;
localparam int TIES_DOWN = 5;
localparam int TOWARD_ZERO = 6;
localparam int AWAY_FROM_ZERO = 7;
localparam int TOWARD_POSITIVE = 8;
localparam int TOWARD_NEGATIVE = 9;
// 10 is to_odd.

// A magnitude was cut: does it take one more unit? `odd` is its last bit, `half` the first bit that was
// lost, `rest` says whether any bit below that was set.
function automatic logic goes_away(input logic negative, input logic odd, input logic half, input logic rest);
  case (ROUNDING)
    TIES_TO_EVEN: goes_away = half && (rest || odd);
    TIES_TO_ODD: goes_away = half && (rest || !odd);
    TIES_AWAY: goes_away = half;
    TIES_TOWARD_ZERO: goes_away = half && rest;
    TIES_UP: goes_away = half && (rest || !negative);
    TIES_DOWN: goes_away = half && (rest || negative);
    TOWARD_ZERO: goes_away = 1'b0;
    AWAY_FROM_ZERO: goes_away = half || rest;
    TOWARD_POSITIVE: goes_away = !negative && (half || rest);
    TOWARD_NEGATIVE: goes_away = negative && (half || rest);
    default: goes_away = !odd && (half || rest);
  endcase
endfunction
