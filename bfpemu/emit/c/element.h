/* ---- one element at a known exponent (spec 3.7 to 3.9) ----------------------------------------- */

#if ROUNDING_STOCHASTIC
/* floor(rest * 2^n) + w >= 2^n, with n = random_bits and w the low n bits of the random word (spec 3.7). */
static inline int bfp_goes_away_at_random(uint64_t magnitude, int32_t shift, uint32_t random_word)
{
    const uint64_t limit = (uint64_t)1 << BFP_RANDOM_BITS;
    uint64_t rest = shift < 64 ? magnitude & (((uint64_t)1 << shift) - 1) : magnitude;
    if (shift <= BFP_RANDOM_BITS)
        rest <<= BFP_RANDOM_BITS - shift;
    else
        rest = shift - BFP_RANDOM_BITS < 64 ? rest >> (shift - BFP_RANDOM_BITS) : 0;
    return rest + (random_word & (limit - 1)) >= limit;
}

#endif
/* A finite element as an integer of m + t bits, rounded but not yet saturated; what is far outside the
   range stays outside it (spec 3.7). */
static inline int64_t bfp_wide_significand(bfp_value x, int32_t exponent)
{
    const uint64_t far_outside = (uint64_t)1 << 34;
    int32_t shift;
    uint64_t wide;
#if ALIGNMENT
    const int32_t last_place = exponent - BFP_FRACTION_BITS + BFP_MAGNITUDE_BITS - BFP_ALIGNMENT_BITS;
    if (last_place > x.exponent) {
        x.magnitude = bfp_round_shift(x.magnitude, last_place - x.exponent, BFP_ALIGNMENT_ROUNDING, x.negative);
        x.exponent = last_place;
    }
#endif
    shift = exponent - BFP_FRACTION_BITS - BFP_POST_TRUNCATE_BITS - x.exponent;
#if IGNORED_BIT
    if (shift >= BFP_IGNORED_BIT && shift - BFP_IGNORED_BIT < 64)
        x.magnitude &= ~((uint64_t)1 << (shift - BFP_IGNORED_BIT));
#endif
    if (x.magnitude == 0)
        return 0;
    if (shift > 0) {
#if ROUNDING_STOCHASTIC
        wide = (shift < 64 ? x.magnitude >> shift : 0)
               + (uint64_t)bfp_goes_away_at_random(x.magnitude, shift, x.random_word);
#else
        wide = bfp_round_shift(x.magnitude, shift, BFP_ROUNDING, x.negative);
#endif
    } else {
        wide = bfp_bit_length(x.magnitude) - shift > 34 ? far_outside : x.magnitude << -shift;
    }
    if (wide > far_outside)
        wide = far_outside;
    return x.negative ? -(int64_t)wide : (int64_t)wide;
}

#if SIGNIFICAND_RANGE_FULL_IF_NEARER
/* Whether x is at most -(2^(W-1) - 1/2) units: the most negative integer is at least as near (spec 3.8). */
static inline int bfp_extreme_is_nearer(bfp_value x, int32_t exponent)
{
    const uint64_t halves = 2 * (uint64_t)BFP_HIGHEST_WIDE + 1;
    const int32_t shift = exponent - BFP_FRACTION_BITS - BFP_POST_TRUNCATE_BITS - 1 - x.exponent;
    if (!x.negative || x.magnitude == 0 || shift >= 64)
        return 0;
    if (shift >= 0)
        return x.magnitude >> shift >= halves;
    return bfp_bit_length(x.magnitude) - shift > 40 || x.magnitude << -shift >= halves;
}

#endif
/* The significand of an element; an infinity saturates by its sign (spec 3.3, 3.8). */
static inline int64_t bfp_significand(bfp_value x, int32_t exponent)
{
    int64_t wide;
#if INFINITY_SATURATE || INFINITY_SATURATE_ELEMENT
    if (x.kind == BFP_INFINITE)
        wide = x.negative ? BFP_LOWEST_WIDE : BFP_HIGHEST_WIDE;
    else
        wide = bfp_wide_significand(x, exponent);
#else
    wide = bfp_wide_significand(x, exponent);
#endif
    if (wide < BFP_LOWEST_WIDE)
        wide = BFP_LOWEST_WIDE;
    if (wide > BFP_HIGHEST_WIDE)
        wide = BFP_HIGHEST_WIDE;
#if SIGNIFICAND_RANGE_FULL_IF_NEARER
    if (x.kind == BFP_FINITE && wide == BFP_LOWEST_WIDE && bfp_extreme_is_nearer(x, exponent))
        wide -= 1;
#endif
#if POST_TRUNCATE
    return wide < 0 ? -(int64_t)((uint64_t)-wide >> BFP_POST_TRUNCATE_BITS)
                    : (int64_t)((uint64_t)wide >> BFP_POST_TRUNCATE_BITS);
#else
    return wide;
#endif
}

/* The code of a significand that came from x, in a block of this exponent code (spec 2.2, 3.9). */
static inline uint32_t bfp_element_code(int64_t significand, bfp_value x, uint32_t exponent_code)
{
    (void)x, (void)exponent_code;
#if NEGATIVE_ZERO_SIGN_FILL
    if (x.kind == BFP_FINITE && x.negative && x.magnitude == 0 && exponent_code >= 32)
        significand = -1; /* shifted by more than a word, the sign bit alone is left */
#endif
#if NEGATIVE_ZERO_KEEP
    if (significand == 0)
        return x.negative ? BFP_SIGN_BIT : 0;
#endif
#if ENCODING_SIGN_MAGNITUDE
    return significand < 0 ? BFP_SIGN_BIT + (uint32_t)-significand : (uint32_t)significand;
#else
    return (uint32_t)significand & BFP_ELEMENT_MASK;
#endif
}
