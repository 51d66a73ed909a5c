/* ---- accumulation (spec 6.6, 6.9) -------------------------------------------------------------- */

#if KIND_EXACT
/* What an accumulator holds: the exact sum. */
typedef bfp_number bfp_sum;

static inline bfp_sum bfp_start(void)
{
    return bfp_number_of(0, 0, 0);
}

static inline bfp_sum bfp_convert(const bfp_group *group, uint32_t *flags)
{
    (void)flags;
    return group->total;
}

static inline bfp_sum bfp_add(bfp_sum x, bfp_sum y, uint32_t *flags)
{
    (void)flags;
    return bfp_number_add(x, y);
}

static inline bfp_real bfp_real_of_sum(const bfp_sum *x)
{
    return bfp_real_of(*x);
}
#elif KIND_FIXED
/* What an accumulator holds: an integer of 2^lsb_exponent. */
typedef int64_t bfp_sum;

static inline bfp_sum bfp_start(void)
{
    return 0;
}

static inline bfp_sum bfp_convert(const bfp_group *group, uint32_t *flags)
{
    bfp_number x = group->total;
    if (x.exponent > BFP_LSB_EXPONENT + 64)
        x.exponent = BFP_LSB_EXPONENT + 64; /* far above the integer, whose bits are 0 then */
    bfp_number_round(&x, BFP_LSB_EXPONENT, BFP_ALIGNMENT_STAGE_ROUNDING, flags);
    return bfp_fit(x.negative, bfp_number_low(&x), bfp_number_length(&x) > 64, BFP_ACCUMULATOR_BITS,
                   BFP_ACCUMULATOR_SATURATES, flags);
}

static inline bfp_sum bfp_add(bfp_sum x, bfp_sum y, uint32_t *flags)
{
    return bfp_fit_sum(x, y, BFP_ACCUMULATOR_BITS, BFP_ACCUMULATOR_SATURATES, flags);
}

static inline bfp_real bfp_real_of_sum(const bfp_sum *x)
{
    return bfp_real_of(bfp_number_of(*x < 0, (uint64_t)(*x < 0 ? -*x : *x), BFP_LSB_EXPONENT));
}
#elif KIND_FLOAT
/* What an accumulator holds: a number of its float format. */
typedef bfp_real bfp_sum;

static inline bfp_sum bfp_start(void)
{
    return bfp_real_of(bfp_number_of(0, 0, 0));
}

static inline bfp_sum bfp_convert(const bfp_group *group, uint32_t *flags)
{
#if FUSED
    (void)flags;
    return bfp_real_of(group->total);
#elif SCALE_POINT_AFTER_CONVERSION
    bfp_real x = bfp_real_of(group->total);
    x.number.exponent -= group->exponent;
    x = bfp_round_real(x, &BFP_ACCUMULATOR_FORMAT, flags);
    x.number.exponent += group->exponent;
    return bfp_round_real(x, &BFP_ACCUMULATOR_FORMAT, flags); /* an infinity stays */
#else
    return bfp_round_real(bfp_real_of(group->total), &BFP_ACCUMULATOR_FORMAT, flags);
#endif
}

/* A number that lies 64 bits or more below the last bit of another one does to the rounded sum what any
   number of its sign there does: it becomes the nearest power of two. */
static inline void bfp_pull_up(bfp_number *x, const bfp_number *to)
{
    const int32_t below = to->exponent - 64;
    if (bfp_number_length(x) != 0 && bfp_number_length(to) != 0 && bfp_number_length(x) + x->exponent <= below)
        *x = bfp_number_of(x->negative, 1, below);
}

static inline bfp_sum bfp_add(bfp_sum x, bfp_sum y, uint32_t *flags)
{
    bfp_sum sum;
    if (bfp_add_specials(&x, &y, &sum, flags))
        return sum;
    bfp_pull_up(&x.number, &y.number);
    bfp_pull_up(&y.number, &x.number);
    return bfp_round_real(bfp_real_of(bfp_number_add(x.number, y.number)), &BFP_ACCUMULATOR_FORMAT, flags);
}

static inline bfp_real bfp_real_of_sum(const bfp_sum *x)
{
    return *x;
}
#elif KIND_ALIGNED
/* What an accumulator holds: a number with its reference exponent; an accumulator that keeps has none at
   the start. */
typedef struct {
    bfp_real real;
    int32_t reference;
    int has_reference;
} bfp_sum;

static inline bfp_sum bfp_start(void)
{
    bfp_sum x;
    x.real = bfp_real_of(bfp_number_of(0, 0, 0));
#if HAS_FLOAT_ACCUMULATOR
    x.reference = BFP_SMALLEST_REFERENCE;
    x.has_reference = 1;
#else
    x.reference = 0;
    x.has_reference = 0;
#endif
    return x;
}

/* The r of 6.6: which exponents take part depends on which addends are 0. */
static inline int32_t bfp_larger_reference(const bfp_sum *x, int32_t reference, int is_zero)
{
#if !ZERO_TAKES_PART
    const int x_is_zero = bfp_number_length(&x->real.number) == 0;
#endif
    if (!x->has_reference)
        return reference;
#if ZERO_TAKES_PART
    (void)is_zero;
#else
    if (x_is_zero && is_zero)
        return x->reference < reference ? x->reference : reference;
    if (x_is_zero || is_zero)
        return x_is_zero ? reference : x->reference;
#endif
    return x->reference > reference ? x->reference : reference;
}

/* Normalise or keep an integer of 2^(reference - F). */
static inline bfp_sum bfp_hold(bfp_number total, int32_t reference, uint32_t *flags)
{
    bfp_sum sum;
#if HAS_FLOAT_ACCUMULATOR
    const bfp_real exact = bfp_real_of(total);
    (void)reference;
    sum.real = bfp_round_real(exact, &BFP_ACCUMULATOR_FORMAT, flags);
    sum.reference = BFP_SMALLEST_REFERENCE;
    if (sum.real.kind == BFP_FINITE && bfp_number_length(&sum.real.number) != 0)
        sum.reference = bfp_number_length(&sum.real.number) - 1 + sum.real.number.exponent;
#else
    const int64_t kept = bfp_fit(total.negative, bfp_number_low(&total), bfp_number_length(&total) > 64,
                                 BFP_ACCUMULATOR_BITS, BFP_ACCUMULATOR_SATURATES, flags);
    sum.real = bfp_real_of(
        bfp_number_of(kept < 0, (uint64_t)(kept < 0 ? -kept : kept), reference - BFP_ALIGNED_FRACTION_BITS));
    sum.reference = reference;
#endif
    sum.has_reference = 1;
    return sum;
}

#if !ALIGNS_PRODUCTS
static inline bfp_sum bfp_convert(const bfp_group *group, uint32_t *flags)
{
    bfp_sum x;
    (void)flags;
    x.real = bfp_real_of(group->total);
    x.reference = group->reference;
    x.has_reference = 1;
    return x;
}

#endif
#if !ALIGNS_PRODUCTS || JOINS
static inline bfp_sum bfp_add(bfp_sum x, bfp_sum y, uint32_t *flags)
{
    int32_t reference;
#if HAS_FLOAT_ACCUMULATOR
    bfp_sum sum;
    sum.reference = 0;
    sum.has_reference = 0;
    if (bfp_add_specials(&x.real, &y.real, &sum.real, flags))
        return sum;
#endif
    reference = bfp_larger_reference(&x, y.reference, bfp_number_length(&y.real.number) == 0);
    bfp_number_round(&x.real.number, reference - BFP_ALIGNED_FRACTION_BITS, BFP_ALIGNMENT_STAGE_ROUNDING, flags);
    bfp_number_round(&y.real.number, reference - BFP_ALIGNED_FRACTION_BITS, BFP_ALIGNMENT_STAGE_ROUNDING, flags);
    return bfp_hold(bfp_number_add_aligned(&x.real.number, &y.real.number), reference, flags);
}

#endif
#if ALIGNS_PRODUCTS
/* Add the products of a group, each aligned by itself. */
static inline bfp_sum bfp_add_products(bfp_sum x, const bfp_rows *rows, const bfp_group *group, uint32_t *flags)
{
    int32_t reference, place, i;
    bfp_number total;
#if HAS_FLOAT_ACCUMULATOR
    if (x.real.kind != BFP_FINITE)
        return x;
#endif
    reference = bfp_larger_reference(&x, group->reference, group->is_zero);
    place = reference - BFP_ALIGNED_FRACTION_BITS;
    total = x.real.number;
    bfp_number_round(&total, place, BFP_ALIGNMENT_STAGE_ROUNDING, flags);
    for (i = group->first; i < group->end; i++) {
        const bfp_product p = bfp_product_at(rows, i, flags);
        bfp_number part = bfp_number_of(p.negative, p.magnitude, p.shift + group->exponent);
        bfp_number_round(&part, place, BFP_ALIGNMENT_STAGE_ROUNDING, flags);
        total = bfp_number_add_aligned(&total, &part);
    }
    return bfp_hold(total, reference, flags);
}

#endif
static inline bfp_real bfp_real_of_sum(const bfp_sum *x)
{
    return x->real;
}
#endif
