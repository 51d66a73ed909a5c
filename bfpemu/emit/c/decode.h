/* ---- decoding (spec 2) ------------------------------------------------------------------------- */

/* The significand of an element code (spec 2.2). */
static inline int64_t bfp_significand_of(uint32_t element_code)
{
#if ENCODING_TWOS_COMPLEMENT
    return element_code < BFP_SIGN_BIT ? (int64_t)element_code : (int64_t)element_code - 2 * (int64_t)BFP_SIGN_BIT;
#elif ENCODING_SIGN_MAGNITUDE
    return element_code < BFP_SIGN_BIT ? (int64_t)element_code : -(int64_t)(element_code - BFP_SIGN_BIT);
#elif ENCODING_UNSIGNED
    return (int64_t)element_code;
#endif
}

/* The value of an element (spec 2.3 to 2.7). */
static inline bfp_value bfp_decode_element(
    uint32_t exponent_code,
#if TWO_LEVEL
    uint32_t shift_code,
#endif
    uint32_t element_code)
{
    const int64_t significand = bfp_significand_of(element_code);
#if TWO_LEVEL
    const int32_t field = (int32_t)exponent_code - (int32_t)shift_code;
#else
    const int32_t field = (int32_t)exponent_code;
#endif
#if !DECODE_UNDERFLOW_EXACT
    int32_t normalised_field;
#endif
    bfp_value x;
    x.kind = BFP_FINITE;
    x.negative = 0;
    x.exponent = 0;
    x.magnitude = 0;
#if EXPONENT_RESERVED_NAN
    if (exponent_code == BFP_ALL_ONES_CODE) {
        x.kind = BFP_NAN;
        return x;
    }
#elif EXPONENT_RESERVED_ZERO
    if (exponent_code == BFP_ALL_ONES_CODE)
        return x;
#endif
    if (significand == 0) {
#if ENCODING_SIGN_MAGNITUDE && NEGATIVE_ZERO_CODE_NEGATIVE_ZERO
        x.negative = element_code != 0;
#elif ENCODING_SIGN_MAGNITUDE && NEGATIVE_ZERO_CODE_NEGATIVE_INFINITY
        x.negative = element_code != 0;
        x.kind = element_code != 0 ? BFP_INFINITE : BFP_FINITE;
#elif ENCODING_SIGN_MAGNITUDE && NEGATIVE_ZERO_CODE_ALL_ONES_EXPONENT
        x.negative = element_code != 0;
        x.magnitude = element_code != 0;
        x.exponent = BFP_ALL_ONES_CODE - BFP_EXPONENT_BIAS; /* an infinity's pattern read as a number */
#endif
        return x;
    }
    x.negative = significand < 0;
    x.magnitude = (uint64_t)(significand < 0 ? -significand : significand);
    x.exponent = field - BFP_EXPONENT_BIAS - BFP_FRACTION_BITS;
#if !DECODE_UNDERFLOW_EXACT
    /* the exponent field that hardware finds when it normalises the element (spec 2.6) */
    normalised_field = field + bfp_bit_length(x.magnitude) - 1 - BFP_FRACTION_BITS;
#endif
#if DECODE_UNDERFLOW_FLUSH
    if (normalised_field < 1) {
        x.negative = 0;
        x.magnitude = 0;
        return x;
    }
#elif DECODE_UNDERFLOW_FLUSH_BELOW_ZERO || DECODE_UNDERFLOW_PATTERN
    if (normalised_field < 0) {
        x.negative = 0;
        x.magnitude = 0;
        return x;
    }
#endif
#if DECODE_UNDERFLOW_WRAP || DECODE_UNDERFLOW_PATTERN
    {
        const int32_t wrapped = normalised_field & BFP_ALL_ONES_CODE;
        const int32_t point = bfp_bit_length(x.magnitude) - 1;
        const uint64_t fraction = x.magnitude - ((uint64_t)1 << point);
        x.exponent = wrapped - BFP_EXPONENT_BIAS - point;
        if (wrapped == BFP_ALL_ONES_CODE) {
            x.kind = fraction == 0 ? BFP_INFINITE : BFP_NAN;
            x.magnitude = fraction == 0 ? 0 : fraction << (64 - point); /* of a NaN: its fraction field, at the left */
        } else if (wrapped == 0) {
            x.exponent += 1;
            x.magnitude = fraction;
        }
    }
#endif
    return x;
}

/* The pattern of a value in an IEEE 754 format, rounded once, ties to even (spec 2.10). */
static inline uint64_t bfp_to_float(bfp_value x, int exponent_bits, int fraction_bits)
{
    const uint64_t all_ones = ((uint64_t)1 << exponent_bits) - 1, infinity = all_ones << fraction_bits;
    const int32_t largest = (int32_t)(all_ones >> 1), smallest = 1 - largest;
    const uint64_t sign = (uint64_t)x.negative << (exponent_bits + fraction_bits);
    int32_t exponent, shift;
    uint64_t units;
#if DECODE_UNDERFLOW_WRAP || DECODE_UNDERFLOW_PATTERN
    if (x.kind == BFP_NAN && x.magnitude >> (64 - fraction_bits) != 0)
        return sign | infinity | x.magnitude >> (64 - fraction_bits);
    if (x.kind == BFP_NAN)
        return (x.magnitude != 0 ? sign : 0) | infinity | (uint64_t)1 << (fraction_bits - 1);
#else
    if (x.kind == BFP_NAN)
        return infinity | (uint64_t)1 << (fraction_bits - 1);
#endif
    if (x.kind == BFP_INFINITE)
        return sign | infinity;
    if (x.magnitude == 0)
        return sign;
    exponent = bfp_bit_length(x.magnitude) - 1 + x.exponent;
    if (exponent > largest)
        return sign | infinity;
    if (exponent < smallest)
        exponent = smallest;
    shift = exponent - fraction_bits - x.exponent;
    units = shift > 0 ? bfp_round_shift(x.magnitude, shift, BFP_TIES_TO_EVEN, 0) : x.magnitude << -shift;
    /* A normal number has 2^fraction_bits units more than its fraction field holds, which raises the exponent
       field by one: it starts at 1. A carry out of the rounding runs into the field as well. */
    units += (uint64_t)(exponent - smallest) << fraction_bits;
    return sign | (units < infinity ? units : infinity);
}
