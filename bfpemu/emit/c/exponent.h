/* ---- the shared exponent (spec 3.5) ------------------------------------------------------------ */

/* The largest magnitude of finite values: its leading one is at 2^top, and `aligned` has it in bit 63.
   All are zero when aligned is 0. */
typedef struct {
    int32_t top;
    uint64_t aligned;
} bfp_maximum;

/* What pass one over a block finds. */
typedef struct {
    bfp_maximum maximum;
    int has_nan, has_infinity, has_finite;
} bfp_survey;

static inline bfp_survey bfp_look_at(const bfp_source *source, int32_t first, int32_t end)
{
    bfp_survey seen;
    int32_t i;
    seen.maximum.top = 0;
    seen.maximum.aligned = 0;
    seen.has_nan = seen.has_infinity = seen.has_finite = 0;
    for (i = first; i < end; i++) {
        const bfp_value x = bfp_load(source, i);
        seen.has_nan |= x.kind == BFP_NAN;
        seen.has_infinity |= x.kind == BFP_INFINITE;
        seen.has_finite |= x.kind == BFP_FINITE;
        if (x.kind == BFP_FINITE && x.magnitude != 0) {
            const int32_t length = bfp_bit_length(x.magnitude), top = length - 1 + x.exponent;
            const uint64_t aligned = x.magnitude << (64 - length);
            if (seen.maximum.aligned == 0 || top > seen.maximum.top
                || (top == seen.maximum.top && aligned > seen.maximum.aligned)) {
                seen.maximum.top = top;
                seen.maximum.aligned = aligned;
            }
        }
    }
    return seen;
}

#if !EXPONENT_RULE_GIVEN
/* The exponent that the largest magnitude alone gives, offset included. */
static inline int32_t bfp_exponent_from_maximum(bfp_maximum maximum)
{
#if EXPONENT_RULE_RCEIL
    /* the smallest n with maximum <= Q * 2^(n - f), and Q is all ones */
    const int32_t up = maximum.aligned > BFP_LARGEST_SIGNIFICAND_ALIGNED;
#elif EXPONENT_RULE_CEIL
    const int32_t up = maximum.aligned > (uint64_t)1 << 63;
#else
    const int32_t up = 0;
#endif
    return maximum.top + up - (BFP_MAGNITUDE_BITS - 1) + BFP_FRACTION_BITS + BFP_EXPONENT_OFFSET;
}

#endif
#if EXPONENT_RULE_EVEN
/* Whether rounding carries a finite element out of its range (rule even). */
static inline int bfp_leaves_range(const bfp_source *source, int32_t n, int32_t exponent)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const bfp_value x = bfp_member(source, i);
        int64_t wide;
        if (x.kind != BFP_FINITE)
            continue;
#if ENCODING_UNSIGNED
        if (x.negative)
            continue;
#endif
        wide = bfp_wide_significand(x, exponent);
        if (wide < BFP_LOWEST_WIDE || wide > BFP_HIGHEST_WIDE)
            return 1;
    }
    return 0;
}

#endif
#if EXPONENT_RULE_LOWER_ERROR
/* The low 64 bits of floor(x / 2^place). */
static inline uint64_t bfp_digits_from(bfp_value x, int32_t place)
{
    const int32_t shift = place - x.exponent;
    if (shift >= 64 || shift <= -64)
        return 0;
    return shift >= 0 ? x.magnitude >> shift : x.magnitude << -shift;
}

/* Whether the sum of (q1 - q0) * (q1 + q0 - 2x) is below 0 (rule lower_error).

   In units of the lower exponent. The sum is found like a quotient on paper: first with the integer
   part of every x, then with 24 binary digits after another, until those that are left cannot change
   its sign. */
static inline int bfp_lower_has_less_error(const bfp_source *source, int32_t n, int32_t exponent)
{
    const int32_t first = exponent - 1 - BFP_FRACTION_BITS;
    int64_t total = 0;
    int32_t place = first;
    for (;;) {
        int64_t weight = 0;
        int32_t i, next = INT32_MIN;
        for (i = 0; i < n; i++) {
            const bfp_value x = bfp_member(source, i);
            int64_t q0, q1, digits;
            if (x.kind != BFP_FINITE || x.magnitude == 0)
                continue;
            q0 = 2 * bfp_significand(x, exponent);
            q1 = bfp_significand(x, exponent - 1);
            if (q1 == q0)
                continue;
            digits = (int64_t)(bfp_digits_from(x, place) & (place == first ? ~(uint64_t)0 : 0xffffff));
            if (place == first)
                total += (q1 - q0) * (q1 + q0);
            total -= 2 * (q1 - q0) * (x.negative ? -digits : digits);
            if (x.exponent < place) { /* digits are left: less than 1 of this place */
                const int32_t top = bfp_bit_length(x.magnitude) + x.exponent;
                const int32_t below = top < place ? top : place;
                weight += 2 * (q1 > q0 ? q1 - q0 : q0 - q1);
                next = below > next ? below : next;
            }
        }
        if (weight == 0 || total >= weight || -total >= weight)
            return total < 0;
        if (total == 0)
            place = next; /* nothing but zeros lies in between */
        total *= (int64_t)1 << 24;
        place -= 24;
    }
}

/* Whether the exponent below may be tried at all (rule lower_error). */
static inline int bfp_may_be_lowered(int32_t exponent)
{
    return exponent - 1 >= BFP_SMALLEST_EXPONENT && exponent + BFP_EXPONENT_BIAS < BFP_ALL_ONES_CODE
           && exponent - 1 - BFP_FRACTION_BITS >= 1 - BFP_EXPONENT_BIAS;
}

#endif
#if EXPONENT_RULE_EVEN || EXPONENT_RULE_LOWER_ERROR
/* The exponent of a block with a finite value other than 0, before its range. */
static inline int32_t bfp_exponent_by_rule(const bfp_source *source, int32_t n, bfp_maximum maximum)
{
    const int32_t exponent = bfp_exponent_from_maximum(maximum);
#if EXPONENT_RULE_EVEN
    return exponent + bfp_leaves_range(source, n, exponent);
#elif EXPONENT_RULE_LOWER_ERROR
    return exponent - (bfp_may_be_lowered(exponent) && bfp_lower_has_less_error(source, n, exponent));
#endif
}
#endif
