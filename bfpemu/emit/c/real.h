/* ---- float formats (spec 6.2) ------------------------------------------------------------------ */

/* A number, an infinity with the number's sign, or NaN. */
typedef struct {
    int kind;
    bfp_number number;
} bfp_real;

typedef struct {
    int exponent_bits, fraction_bits, rounding, flushes, saturates;
} bfp_float_format;

#if HAS_FLOAT_ACCUMULATOR
static const bfp_float_format BFP_ACCUMULATOR_FORMAT = {BFP_ACCUMULATOR_FORMAT_FIELDS};
#endif
#if HAS_FLOAT_OUTPUT
static const bfp_float_format BFP_OUTPUT_FORMAT = {BFP_OUTPUT_FORMAT_FIELDS};
#endif

static inline bfp_real bfp_real_of(bfp_number number)
{
    bfp_real x;
    x.kind = BFP_FINITE;
    x.number = number;
    return x;
}

/* Round to a float format; an infinity and NaN stay, and every zero is +0 (spec 6.2, 6.9). */
static inline bfp_real bfp_round_real(bfp_real x, const bfp_float_format *format, uint32_t *flags)
{
    const int32_t bias = ((int32_t)1 << (format->exponent_bits - 1)) - 1, smallest = 1 - bias;
    int32_t top, place;
    uint32_t raised = 0;
    if (x.kind != BFP_FINITE)
        return x;
    if (bfp_number_length(&x.number) == 0)
        return bfp_real_of(bfp_number_of(0, 0, 0));
    top = bfp_number_length(&x.number) - 1 + x.number.exponent;
    place = (top < smallest ? smallest : top) - format->fraction_bits;
    if (place > x.number.exponent)
        bfp_number_round(&x.number, place, format->rounding, &raised);
    top = bfp_number_length(&x.number) - 1 + x.number.exponent;
    if (bfp_number_length(&x.number) != 0 && top > bias) {
        int stays = format->saturates;
#if ROUNDS_TOWARD_ZERO
        stays |= format->rounding == BFP_TOWARD_ZERO;
#endif
#if ROUNDS_TO_ODD
        stays |= format->rounding == BFP_TO_ODD; /* the largest number is the odd neighbour */
#endif
#if ROUNDS_TOWARD_NEGATIVE
        stays |= format->rounding == BFP_TOWARD_NEGATIVE && !x.number.negative;
#endif
#if ROUNDS_TOWARD_POSITIVE
        stays |= format->rounding == BFP_TOWARD_POSITIVE && x.number.negative;
#endif
        *flags |= BFP_FLAG_OVERFLOW | BFP_FLAG_INEXACT;
        x.number = bfp_number_of(x.number.negative, ((uint64_t)2 << format->fraction_bits) - 1,
                                 bias - format->fraction_bits);
        x.kind = stays ? BFP_FINITE : BFP_INFINITE;
        return x;
    }
    if (bfp_number_length(&x.number) == 0 || top < smallest) {
        if (format->flushes && bfp_number_length(&x.number) != 0) {
            x.number = bfp_number_of(0, 0, 0);
            raised = BFP_FLAG_INEXACT;
        }
        if (raised)
            raised |= BFP_FLAG_UNDERFLOW;
    }
    if (bfp_number_length(&x.number) == 0)
        x.number.negative = 0;
    *flags |= raised;
    return x;
}

/* The bits of a number that the format holds, in IEEE's encoding. */
static inline uint64_t bfp_pattern_of(const bfp_real *x, const bfp_float_format *format)
{
    const uint64_t infinity = (((uint64_t)1 << format->exponent_bits) - 1) << format->fraction_bits;
    const uint64_t sign = (uint64_t)(x->number.negative != 0) << (format->exponent_bits + format->fraction_bits);
    const int32_t smallest = 2 - ((int32_t)1 << (format->exponent_bits - 1));
    const int32_t length = bfp_number_length(&x->number);
    bfp_number number = x->number;
    int32_t exponent, place;
    if (x->kind == BFP_NAN)
        return infinity | (uint64_t)1 << (format->fraction_bits - 1);
    if (x->kind == BFP_INFINITE)
        return sign | infinity;
    if (length == 0)
        return 0;
    exponent = length - 1 + number.exponent;
    if (exponent < smallest)
        exponent = smallest;
    place = exponent - format->fraction_bits;
    if (place > number.exponent)
        (void)bfp_number_cut(&number, place - number.exponent); /* zeros: the number is one of the format */
    else
        bfp_number_lower(&number, number.exponent - place);
    /* A normal number raises the exponent field by one, which starts at 1. */
    return sign | (((uint64_t)(exponent - smallest) << format->fraction_bits) + bfp_number_low(&number));
}

#if HAS_FLOAT_ACCUMULATOR
/* Say what a sum is when one addend is no number; return whether that is so (spec 6.9). */
static inline int bfp_add_specials(const bfp_real *x, const bfp_real *y, bfp_real *sum, uint32_t *flags)
{
    if (x->kind == BFP_FINITE && y->kind == BFP_FINITE)
        return 0;
    *sum = x->kind == BFP_NAN || (x->kind == BFP_INFINITE && y->kind == BFP_FINITE) ? *x : *y;
    if (x->kind == BFP_INFINITE && y->kind == BFP_INFINITE && x->number.negative != y->number.negative) {
        sum->kind = BFP_NAN;
        *flags |= BFP_FLAG_INVALID;
    }
    return 1;
}

#endif
