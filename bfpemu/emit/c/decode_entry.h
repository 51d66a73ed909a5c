/* Decode n elements of one block into patterns of bfp_dtype (spec 2). */
static inline void bfp_decode_dtype(
    uint32_t exponent_code,
#if TWO_LEVEL
    const uint32_t *shift_codes,
#endif
    const uint32_t *element_codes, int32_t n, bfp_pattern *patterns)
{
    int32_t i;
    for (i = 0; i < n; i++) {
#if TWO_LEVEL
        const bfp_value x = bfp_decode_element(exponent_code, shift_codes[i / BFP_SUB_BLOCK], element_codes[i]);
#else
        const bfp_value x = bfp_decode_element(exponent_code, element_codes[i]);
#endif
        patterns[i] = (bfp_pattern)bfp_to_float(x, BFP_DTYPE_WIDTHS);
    }
}
