/* ---- reading a source number (spec 3.1 to 3.4) ------------------------------------------------- */

#if READS_FLOAT
/* The value of an IEEE 754 pattern, by the policies that act while reading (spec 3.2, 3.3). */
static inline bfp_value bfp_read_float(uint64_t bits, int exponent_bits, int fraction_bits)
{
    const int32_t all_ones = ((int32_t)1 << exponent_bits) - 1, bias = all_ones >> 1;
    const int32_t field = (int32_t)(bits >> fraction_bits) & all_ones;
    const uint64_t hidden_one = (uint64_t)1 << fraction_bits, fraction = bits & (hidden_one - 1);
    bfp_value x;
    x.kind = BFP_FINITE;
    x.negative = (int)(bits >> (exponent_bits + fraction_bits)) & 1;
    x.exponent = field - bias - fraction_bits;
    x.magnitude = hidden_one + fraction;
    if (field == all_ones) {
#if CHAIN
        x.exponent = BFP_SPECIALS_EXPONENT - fraction_bits; /* of a NaN or an infinity that is a number */
#endif
#if NAN_NUMBER
        if (fraction != 0)
            return x; /* a NaN is the number that its bits spell */
#elif NAN_INFINITY
        x.magnitude = hidden_one; /* a NaN is an infinity of its sign */
#else
        if (fraction != 0) {
            x.kind = BFP_NAN;
            x.negative = 0;
            x.magnitude = 0;
            return x;
        }
#endif
#if INFINITY_NUMBER
        return x; /* an infinity is the number 2^E of its sign */
#else
        x.kind = BFP_INFINITE;
        x.magnitude = 0;
        return x;
#endif
    }
    if (field == 0) {
#if SOURCE_SUBNORMALS_EXACT
        x.exponent = 1 - bias - fraction_bits;
        x.magnitude = fraction;
#elif SOURCE_SUBNORMALS_FLUSH
        x.magnitude = 0;
#elif SOURCE_SUBNORMALS_HALF
        x.magnitude = fraction;
#elif SOURCE_SUBNORMALS_HIDDEN_ONE
        if (fraction == 0)
            x.magnitude = 0;
#endif
    }
    return x;
}

#endif
#if READS_INTEGER
/* The value of an integer pattern of `width` bits; its zero is +0 (spec 3.1). */
static inline bfp_value bfp_read_integer(uint64_t bits, int width, int is_signed)
{
    bfp_value x;
    x.kind = BFP_FINITE;
    x.negative = is_signed && (bits >> (width - 1)) == 1;
    x.exponent = 0;
    x.magnitude = x.negative ? (~bits + 1) & (((uint64_t)2 << (width - 1)) - 1) : bits;
    return x;
}

#endif
#if CHAIN
/* Roundings to narrower floats that come first, in order (spec 3.4). */
typedef struct {
    int32_t fraction_bits, minimum_exponent, maximum_exponent;
    int rounding, carry, underflow, overflow;
} bfp_step;

enum { BFP_CARRY_EXPONENT, BFP_CARRY_SATURATE };
enum { BFP_UNDERFLOW_GRADUAL, BFP_UNDERFLOW_FLUSH, BFP_UNDERFLOW_SMALLEST_NORMAL };
enum { BFP_OVERFLOW_INFINITY, BFP_OVERFLOW_SATURATE, BFP_OVERFLOW_UNBOUNDED };

static const bfp_step BFP_CHAIN[BFP_CHAIN_LENGTH] = {
    BFP_CHAIN_STEPS
};

static inline bfp_value bfp_run_step(bfp_value x, const bfp_step *step)
{
    const int32_t top = bfp_bit_length(x.magnitude) - 1 + x.exponent;
    const int is_normal = top >= step->minimum_exponent;
    const int32_t place = (is_normal ? top : step->minimum_exponent) - step->fraction_bits;
    if (x.magnitude == 0)
        return x;
#if STEP_UNDERFLOW_SMALLEST_NORMAL
    if (!is_normal && step->underflow == BFP_UNDERFLOW_SMALLEST_NORMAL) {
        x.magnitude = 1;
        x.exponent = step->minimum_exponent;
        return x;
    }
#endif
    if (place > x.exponent) {
        x.magnitude = bfp_round_shift(x.magnitude, place - x.exponent, step->rounding, x.negative);
        x.exponent = place;
#if STEP_CARRY_SATURATE
        if (step->carry == BFP_CARRY_SATURATE && x.magnitude == (uint64_t)1 << (step->fraction_bits + is_normal))
            x.magnitude -= 1; /* the fraction keeps all ones */
#endif
    }
#if STEP_UNDERFLOW_FLUSH
    if (step->underflow == BFP_UNDERFLOW_FLUSH
        && bfp_bit_length(x.magnitude) - 1 + x.exponent < step->minimum_exponent)
        x.magnitude = 0;
#endif
    if (x.magnitude == 0 || bfp_bit_length(x.magnitude) - 1 + x.exponent <= step->maximum_exponent)
        return x;
#if STEP_OVERFLOW_INFINITY
    if (step->overflow == BFP_OVERFLOW_INFINITY) {
#if INFINITY_NUMBER
        x.magnitude = 1; /* an infinity that a step makes is a number at once (spec 3.3) */
        x.exponent = step->maximum_exponent + 1;
#else
        x.kind = BFP_INFINITE;
        x.magnitude = 0;
#endif
    }
#endif
#if STEP_OVERFLOW_SATURATE
    if (step->overflow == BFP_OVERFLOW_SATURATE) {
        x.magnitude = ((uint64_t)2 << step->fraction_bits) - 1;
        x.exponent = step->maximum_exponent - step->fraction_bits;
    }
#endif
    return x;
}

#endif
#if READS_SUMS
/* What accumulators hold, of the results of one block (spec 6.8). */
typedef struct {
    const bfp_value *sums;
} bfp_source;
#else
/* The patterns of one block, of one of the dtypes below. */
typedef struct {
    const void *patterns;
    int dtype;
#if ROUNDING_STOCHASTIC
    const uint32_t *random_words;
#endif
} bfp_source;

enum { BFP_DTYPES };
#endif

/* Element i after the source chain (spec 3.4). */
static inline bfp_value bfp_load(const bfp_source *source, int32_t i)
{
    bfp_value x;
#if CHAIN
    int step;
#endif
#if READS_SUMS
    x = source->sums[i];
    if (x.kind != BFP_FINITE) /* is read as that of float32 (spec 6.12) */
        x = bfp_read_float(x.kind == BFP_NAN ? 0x7fc00000 : (uint64_t)x.negative << 31 | 0x7f800000, 8, 23);
#else
    switch (source->dtype) {
    BFP_READ_CASES
    }
#endif
#if CHAIN
    for (step = 0; step < BFP_CHAIN_LENGTH && x.kind == BFP_FINITE; step++)
        x = bfp_run_step(x, &BFP_CHAIN[step]);
#endif
    return x;
}

/* Element i of a block that is neither a NaN block nor an error: what its policy zeroes is +0 (spec 3.3). */
static inline bfp_value bfp_member(const bfp_source *source, int32_t i)
{
    bfp_value x = bfp_load(source, i);
#if INFINITY_ZERO
    if (x.kind != BFP_FINITE) {
#else
    if (x.kind == BFP_NAN) {
#endif
        x.kind = BFP_FINITE;
        x.negative = 0;
        x.magnitude = 0;
    }
#if ROUNDING_STOCHASTIC
    x.random_word = source->random_words[i];
#endif
    return x;
}
