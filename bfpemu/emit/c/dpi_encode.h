#ifdef BFP_DPI
int bfp_dpi_encode_dtype(
    const uint32_t *patterns, int32_t n,
#if EXPONENT_RULE_GIVEN
    int32_t exponent,
#endif
#if ROUNDING_STOCHASTIC
    const uint32_t *random_words,
#endif
    uint32_t *exponent_code,
#if TWO_LEVEL
    uint32_t *shift_codes,
#endif
    uint32_t *element_codes)
{
    bfp_pattern source[BFP_BLOCK];
    uint32_t elements[BFP_BLOCK] = {0};
#if TWO_LEVEL
    uint32_t shifts[BFP_SHIFTS] = {0};
#endif
    int status;
    int32_t i;
    *exponent_code = 0;
    for (i = 0; i < BFP_BLOCK; i++)
        source[i] = (bfp_pattern)bfp_get_field(patterns, i, BFP_PATTERN_BITS);
    status = bfp_encode_dtype(
        source, n,
#if EXPONENT_RULE_GIVEN
        exponent,
#endif
#if ROUNDING_STOCHASTIC
        random_words,
#endif
        exponent_code,
#if TWO_LEVEL
        shifts,
#endif
        elements);
#if TWO_LEVEL
    bfp_put_words(shift_codes, BFP_SHIFTS, BFP_SHIFT_BITS, shifts);
#endif
    bfp_put_words(element_codes, BFP_BLOCK, BFP_MANTISSA_BITS, elements);
    return status;
}

#endif
