/* ---- operands of a dot product (spec 6.3) ------------------------------------------------------ */

/* One row: the exponent codes of its blocks, shift codes block after block, and its element codes. */
typedef struct {
    const uint32_t *exponent_codes;
#if TWO_LEVEL
    const uint32_t *shift_codes;
#endif
    const uint32_t *element_codes;
} bfp_row;

/* A significand of 6.3: magnitude * 2^shift, with a sign. */
typedef struct {
    int negative;
    uint32_t magnitude;
    int32_t shift;
} bfp_factor;

/* The exponent code of the block that an element sits in. */
static inline uint32_t bfp_exponent_code_at(const bfp_row *row, int32_t position)
{
#if WHOLE_TENSOR
    (void)position;
    return row->exponent_codes[0];
#else
    return row->exponent_codes[position / BFP_BLOCK];
#endif
}

/* The exponent of the unit of such a significand: exponent - T - fraction_bits. */
static inline int32_t bfp_scale_at(const bfp_row *row, int32_t position)
{
#if TWO_LEVEL
    return (int32_t)bfp_exponent_code_at(row, position) - BFP_EXPONENT_BIAS - BFP_LARGEST_SHIFT - BFP_FRACTION_BITS;
#else
    return (int32_t)bfp_exponent_code_at(row, position) - BFP_EXPONENT_BIAS - BFP_FRACTION_BITS;
#endif
}

/* Minus zero counts as 0, and so does a block that is reserved as zeros. */
static inline bfp_factor bfp_factor_at(const bfp_row *row, int32_t position)
{
    const int64_t significand = bfp_significand_of(row->element_codes[position]);
    bfp_factor x;
    x.negative = significand < 0;
    x.magnitude = (uint32_t)(significand < 0 ? -significand : significand);
#if TWO_LEVEL
    x.shift = BFP_LARGEST_SHIFT
              - (int32_t)row->shift_codes[position / BFP_BLOCK * BFP_SHIFTS + position % BFP_BLOCK / BFP_SUB_BLOCK];
#else
    x.shift = 0;
#endif
#if EXPONENT_RESERVED_ZERO
    if (bfp_exponent_code_at(row, position) == BFP_ALL_ONES_CODE)
        x.magnitude = 0;
#endif
    return x;
}

#if EXPONENT_RESERVED_NAN
/* Whether one of the blocks of a row of n elements is a NaN block (spec 2.3). */
static inline int bfp_has_nan(const bfp_row *row, int32_t n)
{
    int32_t i;
#if WHOLE_TENSOR
    for (i = 0; i < n && i < 1; i++)
#else
    for (i = 0; i < (n + BFP_BLOCK - 1) / BFP_BLOCK; i++)
#endif
        if (row->exponent_codes[i] == BFP_ALL_ONES_CODE)
            return 1;
    return 0;
}
#endif
