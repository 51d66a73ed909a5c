/* Encode n patterns of bfp_dtype: one block, padded with zeros (spec 3, 4.2). */
static inline int bfp_encode_dtype(
    const bfp_pattern *patterns, int32_t n,
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
    bfp_source source;
    source.patterns = patterns;
    source.dtype = BFP_DTYPE;
#if ROUNDING_STOCHASTIC
    source.random_words = random_words;
#endif
    return bfp_encode(
        &source, n,
#if EXPONENT_RULE_GIVEN
        exponent,
#endif
        exponent_code,
#if TWO_LEVEL
        shift_codes,
#endif
        element_codes);
}
