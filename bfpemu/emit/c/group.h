/* ---- products and group sums (spec 6.3 to 6.5) ------------------------------------------------- */

/* The product at one position: magnitude * 2^shift, with a sign (spec 6.4). */
typedef struct {
    int negative;
    uint64_t magnitude;
    int32_t shift;
} bfp_product;

typedef struct {
    bfp_a_row a;
    bfp_b_row b;
    int32_t k;
} bfp_rows;

static inline bfp_product bfp_product_at(const bfp_rows *rows, int32_t position, uint32_t *flags)
{
    const bfp_a_factor a = bfp_a_factor_at(&rows->a, position);
    const bfp_b_factor b = bfp_b_factor_at(&rows->b, position);
    bfp_product p;
    p.negative = a.negative != b.negative;
    p.magnitude = (uint64_t)a.magnitude * b.magnitude;
    p.shift = a.shift + b.shift;
#if DROPS_PRODUCT_BITS
    if (p.shift < BFP_PRODUCT_DROP_BITS) {
        const int32_t count = BFP_PRODUCT_DROP_BITS - p.shift;
        if (bfp_rest(p.magnitude, count) != BFP_REST_NONE)
            *flags |= BFP_FLAG_INEXACT;
        p.magnitude = bfp_round_shift(p.magnitude, count, BFP_PRODUCT_ROUNDING, p.negative);
        p.shift = BFP_PRODUCT_DROP_BITS;
    }
#else
    (void)flags;
#endif
    return p;
}

/* One group after the stages that are integers. */
typedef struct {
    bfp_number total;  /* s * 2^k */
#if KIND_ALIGNED
    int32_t reference; /* k + R (spec 6.6) */
#endif
#if ALIGNS_PRODUCTS || SCALE_POINT_AFTER_CONVERSION
    int32_t exponent;  /* k */
#endif
#if ALIGNS_PRODUCTS
    int32_t first, end;
    int is_zero;
#endif
} bfp_group;

static inline bfp_group bfp_group_at(const bfp_rows *rows, int32_t first, int32_t end, uint32_t *flags)
{
    const int32_t exponent = bfp_a_scale_at(&rows->a, first) + bfp_b_scale_at(&rows->b, first);
    bfp_group group;
    int32_t i;
#if NARROW_SUM
    int64_t total = 0;
#endif
#if KIND_ALIGNED
    group.reference = exponent + BFP_REFERENCE_BITS;
#endif
#if ALIGNS_PRODUCTS || SCALE_POINT_AFTER_CONVERSION
    group.exponent = exponent;
#endif
#if ALIGNS_PRODUCTS
    group.first = first;
    group.end = end;
    group.is_zero = 1;
    for (i = first; i < end; i++)
        group.is_zero &= bfp_product_at(rows, i, flags).magnitude == 0;
    group.total = bfp_number_of(0, 0, exponent); /* there is no group sum */
#elif HAS_SUM_BITS
    for (i = first; i < end; i++) {
        const bfp_product p = bfp_product_at(rows, i, flags);
        const int is_wide = p.magnitude != 0 && bfp_bit_length(p.magnitude) + p.shift > 64;
        const uint64_t low = p.shift < 64 ? p.magnitude << p.shift : 0;
        const int64_t fitted = bfp_fit(p.negative, low, is_wide, BFP_SUM_BITS, BFP_SUM_SATURATES, flags);
        total = bfp_fit_sum(total, fitted, BFP_SUM_BITS, BFP_SUM_SATURATES, flags);
    }
#elif NARROW_SUM
    for (i = first; i < end; i++) { /* every sum fits in 63 bits */
        const bfp_product p = bfp_product_at(rows, i, flags);
        const int64_t magnitude = (int64_t)(p.magnitude << p.shift);
        total += p.negative ? -magnitude : magnitude;
    }
#else
    group.total = bfp_number_of(0, 0, exponent);
    for (i = first; i < end; i++) {
        const bfp_product p = bfp_product_at(rows, i, flags);
        group.total = bfp_number_add(group.total, bfp_number_of(p.negative, p.magnitude, p.shift + exponent));
    }
#endif
#if NARROW_SUM
    group.total = bfp_number_of(total < 0, (uint64_t)(total < 0 ? -total : total), exponent);
#endif
    return group;
}
