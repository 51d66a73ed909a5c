/* The dot product of two rows of k elements (spec 6): its pattern in the output format, and its flags. */
static inline int bfp_dot(
    const uint32_t *a_exponent_codes,
#if A_TWO_LEVEL
    const uint32_t *a_shift_codes,
#endif
    const uint32_t *a_element_codes,
    const uint32_t *b_exponent_codes,
#if B_TWO_LEVEL
    const uint32_t *b_shift_codes,
#endif
    const uint32_t *b_element_codes,
    int32_t k, uint64_t *output, uint32_t *flags)
{
    bfp_rows rows;
    bfp_real result;
    if (k < 0 || k > BFP_MAX_K)
        return BFP_ERROR_LENGTH;
    rows.a.exponent_codes = a_exponent_codes;
    rows.a.element_codes = a_element_codes;
    rows.b.exponent_codes = b_exponent_codes;
    rows.b.element_codes = b_element_codes;
#if A_TWO_LEVEL
    rows.a.shift_codes = a_shift_codes;
#endif
#if B_TWO_LEVEL
    rows.b.shift_codes = b_shift_codes;
#endif
    rows.k = k;
    result = bfp_accumulate(&rows, flags);
    result = bfp_round_real(result, &BFP_OUTPUT_FORMAT, flags);
    *output = bfp_pattern_of(&result, &BFP_OUTPUT_FORMAT);
    return BFP_OK;
}
