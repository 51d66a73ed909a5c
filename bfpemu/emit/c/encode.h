/* ---- encoding one block: the steps of spec 3 in their order ------------------------------------ */

static inline int bfp_encode(
    const bfp_source *source, int32_t n,
#if EXPONENT_RULE_GIVEN
    int32_t exponent,
#endif
    uint32_t *exponent_code,
#if TWO_LEVEL
    uint32_t *shift_codes,
#endif
    uint32_t *element_codes)
{
    bfp_survey seen;
#if !EXPONENT_RULE_GIVEN
    int32_t exponent;
#endif
    int32_t i;
#if WHOLE_TENSOR
    if (n < 1)
        return BFP_ERROR_LENGTH;
    for (i = 0; i < n; i++)
        element_codes[i] = 0;
#else
    if (n < 1 || n > BFP_BLOCK)
        return BFP_ERROR_LENGTH;
    for (i = 0; i < BFP_BLOCK; i++) /* the padding of a short block too (spec 4.2) */
        element_codes[i] = 0;
#endif
#if TWO_LEVEL
    for (i = 0; i < BFP_SHIFTS; i++)
        shift_codes[i] = 0;
#endif
#if EXPONENT_RULE_GIVEN
    if (exponent < BFP_SMALLEST_EXPONENT || exponent > BFP_LARGEST_EXPONENT)
        return BFP_ERROR_EXPONENT_GIVEN;
#endif
    seen = bfp_look_at(source, 0, n);
#if EXPONENT_RULE_GIVEN
    (void)seen;
#endif
    /* NaN and infinities (spec 3.3) */
#if NAN_REFUSED
    if (seen.has_nan)
        return BFP_ERROR_NAN;
#elif NAN_REFUSED_IF_ALL
    if (!seen.has_finite && !seen.has_infinity)
        return BFP_ERROR_NAN;
#endif
#if INFINITY_REFUSED
    if (seen.has_infinity)
        return BFP_ERROR_INFINITY;
#endif
    *exponent_code = BFP_ALL_ONES_CODE;
#if NAN_MAKES_BLOCK
    if (seen.has_nan)
        return BFP_OK;
#elif NAN_MAKES_BLOCK_IF_ALL
    if (!seen.has_finite && !seen.has_infinity)
        return BFP_OK;
#endif
#if INFINITY_MAKES_BLOCK
    if (seen.has_infinity)
        return BFP_OK;
#endif
#if !EXPONENT_RULE_GIVEN
    /* the exponent (spec 3.5) and its range (spec 3.6) */
    if (seen.maximum.aligned == 0)
        exponent = BFP_SMALLEST_EXPONENT - 1; /* an all-zero block, as if it were flushed */
    else
#if EXPONENT_RULE_EVEN || EXPONENT_RULE_LOWER_ERROR
        exponent = bfp_exponent_by_rule(source, n, seen.maximum);
#else
        exponent = bfp_exponent_from_maximum(seen.maximum);
#endif
#if INFINITY_SATURATE
    if (seen.has_infinity)
        exponent = BFP_LARGEST_EXPONENT;
#elif INFINITY_SATURATE_ELEMENT
    if (seen.has_infinity && seen.maximum.aligned == 0)
        exponent = BFP_LARGEST_EXPONENT;
#endif
    if (exponent > BFP_LARGEST_EXPONENT)
#if EXPONENT_OVERFLOW_SATURATE
        exponent = BFP_LARGEST_EXPONENT;
#elif EXPONENT_OVERFLOW_NAN
        return BFP_OK; /* a NaN block */
#elif EXPONENT_OVERFLOW_ERROR
        return BFP_ERROR_EXPONENT_OVERFLOW;
#endif
#if USE_SUBNORMALS
    if (exponent < BFP_SMALLEST_EXPONENT && seen.maximum.aligned != 0)
        exponent = BFP_SMALLEST_EXPONENT; /* significands lose bits */
#endif
    if (exponent < BFP_SMALLEST_EXPONENT) {
        *exponent_code = 0;
#if ZERO_EXPONENT
        if (seen.maximum.aligned == 0)
            *exponent_code = BFP_ZERO_EXPONENT + BFP_EXPONENT_BIAS;
#endif
#if NEGATIVE_ZERO_KEEP || NEGATIVE_ZERO_SIGN_FILL || INFINITY_SATURATE_ELEMENT
        for (i = 0; i < n; i++) {
            const bfp_value x = bfp_member(source, i);
            int64_t significand = 0;
#if INFINITY_SATURATE_ELEMENT
            if (x.kind == BFP_INFINITE)
                significand = bfp_significand(x, BFP_SMALLEST_EXPONENT);
#endif
            element_codes[i] = bfp_element_code(significand, x, *exponent_code);
        }
#endif
        return BFP_OK;
    }
#endif
    *exponent_code = (uint32_t)(exponent + BFP_EXPONENT_BIAS);
#if TWO_LEVEL
    /* shift codes (spec 3.10) */
    for (i = 0; i < BFP_SHIFTS && i * BFP_SUB_BLOCK < n; i++) {
        const int32_t end = (i + 1) * BFP_SUB_BLOCK;
        const bfp_survey sub = bfp_look_at(source, i * BFP_SUB_BLOCK, end < n ? end : n);
        int32_t shift = BFP_LARGEST_SHIFT;
        if (sub.maximum.aligned != 0)
            shift = exponent - bfp_exponent_from_maximum(sub.maximum);
#if INFINITY_SATURATE
        if (sub.has_infinity)
            shift = 0;
#endif
        shift_codes[i] = (uint32_t)(shift < 0 ? 0 : shift > BFP_LARGEST_SHIFT ? BFP_LARGEST_SHIFT : shift);
    }
#endif
    /* elements (spec 3.7 to 3.9) */
    for (i = 0; i < n; i++) {
        const bfp_value x = bfp_member(source, i);
#if TWO_LEVEL
        const int32_t own = exponent - (int32_t)shift_codes[i / BFP_SUB_BLOCK];
#else
        const int32_t own = exponent;
#endif
        element_codes[i] = bfp_element_code(bfp_significand(x, own), x, *exponent_code);
    }
    return BFP_OK;
}
