// The rounding modes of spec 3.7 for a two's-complement number that an arithmetic shift has rounded down;
// their numbers are those of rounding.svh. Included inside a module.

// Does the number take one more unit? `odd` is its last bit, `half` the first bit that was lost, `rest`
// says whether any bit below that was set.
function automatic logic goes_up(input logic negative, input logic odd, input logic half, input logic rest);
  case (ROUNDING)
    0: goes_up = half && (rest || odd);       // ties_to_even
    1: goes_up = half && (rest || !odd);      // ties_to_odd
    2: goes_up = half && (rest || !negative); // ties_away
    3: goes_up = half && (rest || negative);  // ties_toward_zero
    4: goes_up = half;                        // ties_up
    5: goes_up = half && rest;                // ties_down
    6: goes_up = negative && (half || rest);  // toward_zero
    7: goes_up = !negative && (half || rest); // away_from_zero
    8: goes_up = half || rest;                // toward_positive
    9: goes_up = 1'b0;                        // toward_negative
    default: goes_up = !odd && (half || rest); // to_odd
  endcase
endfunction
