/* ---- numbers and their rounding (spec 1.2, 3.7) ------------------------------------------------ */

/* What the functions return. */
enum {
    BFP_OK = 0,
    BFP_ERROR_LENGTH = 1,            /* a number of elements that the function does not take */
    BFP_ERROR_NAN = 2,               /* the conversion refuses a NaN, or no code is left for one (spec 3.3) */
    BFP_ERROR_INFINITY = 3,          /* the conversion refuses an infinity, or no code is left for one (spec 3.3) */
    BFP_ERROR_EXPONENT_OVERFLOW = 4, /* the block's exponent is above every code (spec 3.6) */
    BFP_ERROR_EXPONENT_GIVEN = 5     /* the given exponent is outside the format (spec 3.6) */
};

enum { BFP_FINITE, BFP_INFINITE, BFP_NAN };

/* Rounding modes (spec 3.7). */
enum { BFP_ROUNDING_MODES };

/* (-1)^negative * magnitude * 2^exponent when finite; a zero has a sign too. */
typedef struct {
    int kind;
    int negative;
    int32_t exponent;
    uint64_t magnitude;
#if ROUNDING_STOCHASTIC
    uint32_t random_word; /* the one supplied for the element (spec 3.7) */
#endif
} bfp_value;

/* How the part below the last place compares with half of that place. */
enum { BFP_REST_NONE, BFP_REST_BELOW_HALF, BFP_REST_HALF, BFP_REST_ABOVE_HALF };

static inline int32_t bfp_bit_length(uint64_t x)
{
    int32_t length = 0;
    if (x >> 32) { length += 32; x >>= 32; }
    if (x >> 16) { length += 16; x >>= 16; }
    if (x >> 8) { length += 8; x >>= 8; }
    if (x >> 4) { length += 4; x >>= 4; }
    if (x >> 2) { length += 2; x >>= 2; }
    if (x >> 1) { length += 1; x >>= 1; }
    return length + (int32_t)x;
}

/* What a right shift by at least 1 loses. */
static inline int bfp_rest(uint64_t magnitude, int32_t shift)
{
    uint64_t half, lost;
    if (magnitude == 0)
        return BFP_REST_NONE;
    if (shift > 64)
        return BFP_REST_BELOW_HALF;
    half = (uint64_t)1 << (shift - 1);
    lost = magnitude & (half | (half - 1));
    if (lost == 0)
        return BFP_REST_NONE;
    return lost < half ? BFP_REST_BELOW_HALF : lost == half ? BFP_REST_HALF : BFP_REST_ABOVE_HALF;
}

/* Whether a number with a rest goes to the neighbour farther from zero (spec 3.7). */
static inline int bfp_goes_away(int mode, int negative, int is_odd, int rest)
{
    const int above = rest == BFP_REST_ABOVE_HALF, half = rest == BFP_REST_HALF;
    (void)negative, (void)is_odd, (void)above, (void)half;
    if (rest == BFP_REST_NONE)
        return 0;
    switch (mode) {
#if ROUNDS_TIES_TO_EVEN
    case BFP_TIES_TO_EVEN: return above || (half && is_odd);
#endif
#if ROUNDS_TIES_TO_ODD
    case BFP_TIES_TO_ODD: return above || (half && !is_odd);
#endif
#if ROUNDS_TIES_AWAY
    case BFP_TIES_AWAY: return above || half;
#endif
#if ROUNDS_TIES_TOWARD_ZERO
    case BFP_TIES_TOWARD_ZERO: return above;
#endif
#if ROUNDS_TIES_UP
    case BFP_TIES_UP: return above || (half && !negative);
#endif
#if ROUNDS_TIES_DOWN
    case BFP_TIES_DOWN: return above || (half && negative);
#endif
#if ROUNDS_TOWARD_ZERO
    case BFP_TOWARD_ZERO: return 0;
#endif
#if ROUNDS_AWAY_FROM_ZERO
    case BFP_AWAY_FROM_ZERO: return 1;
#endif
#if ROUNDS_TOWARD_POSITIVE
    case BFP_TOWARD_POSITIVE: return !negative;
#endif
#if ROUNDS_TOWARD_NEGATIVE
    case BFP_TOWARD_NEGATIVE: return negative;
#endif
#if ROUNDS_TO_ODD
    case BFP_TO_ODD: return !is_odd;
#endif
    default: return 0;
    }
}

/* The magnitude of (-1)^negative * magnitude / 2^shift, rounded to an integer; the shift is at least 1. */
static inline uint64_t bfp_round_shift(uint64_t magnitude, int32_t shift, int mode, int negative)
{
    const uint64_t whole = shift < 64 ? magnitude >> shift : 0;
    return whole + (uint64_t)bfp_goes_away(mode, negative, (int)(whole & 1), bfp_rest(magnitude, shift));
}
