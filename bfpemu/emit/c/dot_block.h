/* ---- results in a block (spec 6.8) ------------------------------------------------------------- */

/* What an accumulator holds, as the conversion reads it: 60 bits, the last of them set when a lower one is.
   The conversion compares with and rounds to numbers of fewer bits, on the same side of which that lies. */
static inline bfp_result_value bfp_result_of(bfp_real x)
{
    const int32_t length = bfp_number_length(&x.number);
    bfp_result_value sum;
    int is_cut = 0;
    sum.kind = x.kind == BFP_NAN ? BFP_RESULT_NAN : x.kind == BFP_INFINITE ? BFP_RESULT_INFINITE : BFP_RESULT_FINITE;
    if (length > 60)
        is_cut = bfp_number_cut(&x.number, length - 60) != BFP_REST_NONE;
    sum.negative = x.kind != BFP_NAN && (x.kind == BFP_INFINITE || length != 0) && x.number.negative;
    sum.exponent = x.number.exponent;
    sum.magnitude = x.kind == BFP_FINITE ? bfp_number_low(&x.number) | (uint64_t)is_cut : 0;
    return sum;
}

/* Whether the value of a code is that of its accumulator; zeros of both signs are one (spec 6.10). */
static inline int bfp_is_kept(bfp_result_value sum, bfp_result_value code)
{
    int32_t lift;
    if (sum.kind != code.kind)
        return 0;
    if (sum.kind == BFP_RESULT_FINITE && (sum.magnitude == 0 || code.magnitude == 0))
        return sum.magnitude == code.magnitude;
    if (sum.negative != code.negative)
        return 0;
    if (sum.kind != BFP_RESULT_FINITE)
        return sum.magnitude == code.magnitude;
    lift = bfp_bit_length(sum.magnitude) - bfp_bit_length(code.magnitude);
    if (sum.exponent + lift != code.exponent)
        return 0;
    return lift >= 0 ? sum.magnitude == code.magnitude << lift : sum.magnitude << -lift == code.magnitude;
}

/* The dot products of one row a and n rows b of k elements (spec 6): the codes of the block that they make, and
   the flags of each. The codes of a row of b follow those of the row before it. */
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
    int32_t k, int32_t n, uint32_t *exponent_code,
#if RESULT_TWO_LEVEL
    uint32_t *shift_codes,
#endif
    uint32_t *element_codes, uint32_t *flags)
{
    bfp_result_value sums[BFP_MAX_N];
    bfp_result_source source;
    bfp_rows rows;
    int32_t i;
    int status;
#if B_WHOLE_TENSOR
    const int32_t blocks = 1;
#else
    const int32_t blocks = (k + BFP_B_BLOCK - 1) / BFP_B_BLOCK;
#endif
    if (k < 0 || k > BFP_MAX_K || n < 1 || n > BFP_MAX_N)
        return BFP_ERROR_LENGTH;
    rows.k = k;
    rows.a.exponent_codes = a_exponent_codes;
    rows.a.element_codes = a_element_codes;
#if A_TWO_LEVEL
    rows.a.shift_codes = a_shift_codes;
#endif
    for (i = 0; i < n; i++) {
        rows.b.exponent_codes = b_exponent_codes + i * blocks;
        rows.b.element_codes = b_element_codes + i * k;
#if B_TWO_LEVEL
        rows.b.shift_codes = b_shift_codes + i * blocks * BFP_B_SHIFTS;
#endif
        sums[i] = bfp_result_of(bfp_accumulate(&rows, &flags[i]));
    }
    source.sums = sums;
    status = bfp_result_encode(
        &source, n, exponent_code,
#if RESULT_TWO_LEVEL
        shift_codes,
#endif
        element_codes);
    for (i = 0; i < n && status == BFP_OK; i++) {
        const bfp_result_value code = bfp_result_decode_element(
            *exponent_code,
#if RESULT_TWO_LEVEL
            shift_codes[i / BFP_RESULT_SUB_BLOCK],
#endif
            element_codes[i]);
        if (!bfp_is_kept(sums[i], code))
            flags[i] |= BFP_FLAG_INEXACT;
    }
    return status;
}
