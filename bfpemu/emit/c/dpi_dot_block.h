#ifdef BFP_DPI
int bfp_dpi_dot(
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
    int32_t k, int32_t n, uint32_t *exponent_code,
#if RESULT_TWO_LEVEL
    uint32_t *shift_codes,
#endif
    uint32_t *element_codes, uint32_t *flags)
{
    uint32_t a_exponents[BFP_A_ROW_BLOCKS], a_elements[BFP_MAX_K];
    uint32_t b_exponents[BFP_MAX_N * BFP_B_ROW_BLOCKS], b_elements[BFP_MAX_N * BFP_MAX_K];
    uint32_t elements[BFP_MAX_N] = {0}, raised[BFP_MAX_N] = {0};
#if A_TWO_LEVEL
    uint32_t a_shifts[BFP_A_ROW_BLOCKS * BFP_A_SHIFTS];
#endif
#if B_TWO_LEVEL
    uint32_t b_shifts[BFP_MAX_N * BFP_B_ROW_BLOCKS * BFP_B_SHIFTS];
#endif
#if RESULT_TWO_LEVEL
    uint32_t shifts[BFP_RESULT_SHIFTS] = {0};
#endif
    int status;
    *exponent_code = 0;
    bfp_get_words(a_exponent_codes, BFP_A_ROW_BLOCKS, BFP_A_EXPONENT_BITS, a_exponents);
    bfp_get_words(b_exponent_codes, BFP_MAX_N * BFP_B_ROW_BLOCKS, BFP_B_EXPONENT_BITS, b_exponents);
    bfp_get_words(a_element_codes, BFP_MAX_K, BFP_A_MANTISSA_BITS, a_elements);
    bfp_get_words(b_element_codes, BFP_MAX_N * BFP_MAX_K, BFP_B_MANTISSA_BITS, b_elements);
#if A_TWO_LEVEL
    bfp_get_words(a_shift_codes, BFP_A_ROW_BLOCKS * BFP_A_SHIFTS, BFP_A_SHIFT_BITS, a_shifts);
#endif
#if B_TWO_LEVEL
    bfp_get_words(b_shift_codes, BFP_MAX_N * BFP_B_ROW_BLOCKS * BFP_B_SHIFTS, BFP_B_SHIFT_BITS, b_shifts);
#endif
    status = bfp_dot(
        a_exponents,
#if A_TWO_LEVEL
        a_shifts,
#endif
        a_elements, b_exponents,
#if B_TWO_LEVEL
        b_shifts,
#endif
        b_elements, k, n, exponent_code,
#if RESULT_TWO_LEVEL
        shifts,
#endif
        elements, raised);
#if RESULT_TWO_LEVEL
    bfp_put_words(shift_codes, BFP_RESULT_SHIFTS, BFP_RESULT_SHIFT_BITS, shifts);
#endif
    bfp_put_words(element_codes, BFP_MAX_N, BFP_RESULT_MANTISSA_BITS, elements);
    bfp_put_words(flags, BFP_MAX_N, 5, raised);
    return status;
}

#endif
