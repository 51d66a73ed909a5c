/* ---- wide integers, and what a unit's stages do with them (spec 6.2, 6.10) --------------------- */

/* Flags (spec 6.10). */
enum {
    BFP_FLAG_INVALID = 1,
    BFP_FLAG_OVERFLOW = 2,
    BFP_FLAG_UNDERFLOW = 4,
    BFP_FLAG_INEXACT = 8,
    BFP_FLAG_SATURATED = 16
};

/* (-1)^negative * limbs * 2^exponent; the least significant limb is the first. BFP_LIMBS follows from the
   formats, the unit and BFP_MAX_K: no stage needs more. */
typedef struct {
    int negative;
    int32_t exponent;
    uint32_t limbs[BFP_LIMBS];
} bfp_number;

static inline bfp_number bfp_number_of(int negative, uint64_t magnitude, int32_t exponent)
{
    bfp_number x;
    int i;
    x.negative = negative;
    x.exponent = exponent;
    for (i = 2; i < BFP_LIMBS; i++)
        x.limbs[i] = 0;
    x.limbs[0] = (uint32_t)magnitude;
    x.limbs[1] = (uint32_t)(magnitude >> 32);
    return x;
}

static inline int32_t bfp_number_length(const bfp_number *x)
{
    int i;
    for (i = BFP_LIMBS - 1; i >= 0; i--)
        if (x->limbs[i] != 0)
            return 32 * i + bfp_bit_length(x->limbs[i]);
    return 0;
}

/* The low 64 bits of the magnitude. */
static inline uint64_t bfp_number_low(const bfp_number *x)
{
    return (uint64_t)x->limbs[1] << 32 | x->limbs[0];
}

/* Write the same number with an exponent that is lower by count. */
static inline void bfp_number_lower(bfp_number *x, int32_t count)
{
    const int32_t whole = count / 32, part = count % 32;
    int32_t i;
    for (i = BFP_LIMBS - 1; i >= 0; i--) {
        const uint32_t high = i >= whole ? x->limbs[i - whole] : 0;
        const uint32_t low = i >= whole + 1 ? x->limbs[i - whole - 1] : 0;
        x->limbs[i] = part == 0 ? high : high << part | low >> (32 - part);
    }
    x->exponent -= count;
}

/* Cut off the low bits, so that the exponent is higher by a count of at least 1; return what they were. */
static inline int bfp_number_cut(bfp_number *x, int32_t count)
{
    const int32_t whole = count / 32, part = count % 32;
    const int32_t half_limb = (count - 1) / 32;
    const uint32_t half_bit = (uint32_t)1 << ((count - 1) % 32);
    uint32_t half = 0, below = 0;
    int32_t i;
    for (i = 0; i < BFP_LIMBS && i <= half_limb; i++)
        below |= i < half_limb ? x->limbs[i] : x->limbs[i] & (half_bit - 1);
    if (half_limb < BFP_LIMBS)
        half = x->limbs[half_limb] & half_bit;
    for (i = 0; i < BFP_LIMBS; i++) {
        const uint32_t low = i < BFP_LIMBS - whole ? x->limbs[i + whole] : 0;
        const uint32_t high = i < BFP_LIMBS - whole - 1 ? x->limbs[i + whole + 1] : 0;
        x->limbs[i] = part == 0 ? low : low >> part | high << (32 - part);
    }
    x->exponent += count;
    return half ? (below ? BFP_REST_ABOVE_HALF : BFP_REST_HALF) : (below ? BFP_REST_BELOW_HALF : BFP_REST_NONE);
}

/* Round to an integer of 2^place (spec 3.7). */
static inline void bfp_number_round(bfp_number *x, int32_t place, int mode, uint32_t *flags)
{
    int rest;
    if (bfp_number_length(x) == 0 || place <= x->exponent) {
        if (bfp_number_length(x) == 0)
            x->exponent = place;
        else
            bfp_number_lower(x, x->exponent - place);
        return;
    }
    rest = bfp_number_cut(x, place - x->exponent);
    if (rest != BFP_REST_NONE)
        *flags |= BFP_FLAG_INEXACT;
    if (bfp_goes_away(mode, x->negative, (int)(x->limbs[0] & 1), rest)) {
        int i;
        for (i = 0; i < BFP_LIMBS && ++x->limbs[i] == 0; i++)
            ;
    }
}

/* Add numbers of one exponent. */
static inline bfp_number bfp_number_add_aligned(const bfp_number *x, const bfp_number *y)
{
    bfp_number sum = *x;
    uint64_t carry = 0;
    int i, y_is_larger = 0;
    if (x->negative == y->negative) {
        for (i = 0; i < BFP_LIMBS; i++) {
            carry += (uint64_t)x->limbs[i] + y->limbs[i];
            sum.limbs[i] = (uint32_t)carry;
            carry >>= 32;
        }
        return sum;
    }
    for (i = BFP_LIMBS - 1; i >= 0; i--)
        if (x->limbs[i] != y->limbs[i]) {
            y_is_larger = y->limbs[i] > x->limbs[i];
            break;
        }
    for (i = 0; i < BFP_LIMBS; i++) { /* the larger minus the smaller; carry is a borrow of 0 or 1 */
        const uint32_t large = y_is_larger ? y->limbs[i] : x->limbs[i];
        const uint32_t small = y_is_larger ? x->limbs[i] : y->limbs[i];
        const uint64_t difference = (uint64_t)large - small - carry;
        sum.limbs[i] = (uint32_t)difference;
        carry = difference >> 63;
    }
    sum.negative = y_is_larger ? y->negative : x->negative;
    return sum;
}

/* The exact sum; the limbs must hold it. */
static inline bfp_number bfp_number_add(bfp_number x, bfp_number y)
{
    if (bfp_number_length(&x) == 0)
        return y;
    if (bfp_number_length(&y) == 0)
        return x;
    if (x.exponent > y.exponent)
        bfp_number_lower(&x, x.exponent - y.exponent);
    else if (y.exponent > x.exponent)
        bfp_number_lower(&y, y.exponent - x.exponent);
    return bfp_number_add_aligned(&x, &y);
}

#if FITS_INTEGERS
/* Wrap or saturate an integer to bits of two's complement (spec 6.5, 6.6). `low` is the low part of its
   magnitude; is_wide says that there is more above it. */
static inline int64_t bfp_fit(int negative, uint64_t low, int is_wide, int bits, int saturates, uint32_t *flags)
{
    const uint64_t half = (uint64_t)1 << (bits - 1);
    uint64_t wrapped;
    if (!is_wide && (low < half || (negative && low == half)))
        return negative ? -(int64_t)low : (int64_t)low;
    *flags |= BFP_FLAG_SATURATED;
    if (saturates)
        return negative ? -(int64_t)half : (int64_t)half - 1;
    wrapped = ((negative ? ~low + 1 : low) + half) & (2 * half - 1);
    return (int64_t)wrapped - (int64_t)half;
}

static inline int64_t bfp_fit_sum(int64_t x, int64_t y, int bits, int saturates, uint32_t *flags)
{
    const int64_t sum = x + y; /* of at most 62 bits each */
    return bfp_fit(sum < 0, (uint64_t)(sum < 0 ? -sum : sum), 0, bits, saturates, flags);
}

#endif
