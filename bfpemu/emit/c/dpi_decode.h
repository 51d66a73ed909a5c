#ifdef BFP_DPI
void bfp_dpi_decode_dtype(
    uint32_t exponent_code,
#if TWO_LEVEL
    const uint32_t *shift_codes,
#endif
    const uint32_t *element_codes, uint32_t *patterns)
{
    bfp_pattern values[BFP_BLOCK];
    uint32_t elements[BFP_BLOCK];
#if TWO_LEVEL
    uint32_t shifts[BFP_SHIFTS];
#endif
    int32_t i;
    bfp_get_words(element_codes, BFP_BLOCK, BFP_MANTISSA_BITS, elements);
#if TWO_LEVEL
    bfp_get_words(shift_codes, BFP_SHIFTS, BFP_SHIFT_BITS, shifts);
    bfp_decode_dtype(exponent_code, shifts, elements, BFP_BLOCK, values);
#else
    bfp_decode_dtype(exponent_code, elements, BFP_BLOCK, values);
#endif
    for (i = 0; i < (BFP_BLOCK * BFP_PATTERN_BITS + 31) / 32; i++)
        patterns[i] = 0;
    for (i = 0; i < BFP_BLOCK; i++)
        bfp_put_field(patterns, i, BFP_PATTERN_BITS, values[i]);
}

#endif
