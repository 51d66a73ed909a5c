/* ---- the order of additions (spec 6.7) --------------------------------------------------------- */

#if HAS_TREE
/* A tree of neighbours that is built from the left: a stack of subtrees, each twice as high as the next.
   Joining what is left from the right gives the tree in which an odd one moves up. */
typedef struct {
    int count;
    int height[BFP_TREE_LEVELS];
    bfp_sum sum[BFP_TREE_LEVELS];
} bfp_tree;

static inline void bfp_tree_push(bfp_tree *tree, bfp_sum sum, uint32_t *flags)
{
    int height = 0;
    while (tree->count > 0 && tree->height[tree->count - 1] == height) {
        tree->count -= 1;
        sum = bfp_add(tree->sum[tree->count], sum, flags);
        height += 1;
    }
    tree->sum[tree->count] = sum;
    tree->height[tree->count] = height;
    tree->count += 1;
}

static inline bfp_sum bfp_tree_finish(bfp_tree *tree, uint32_t *flags)
{
    bfp_sum sum = tree->sum[tree->count - 1];
    int i;
    for (i = tree->count - 2; i >= 0; i--)
        sum = bfp_add(tree->sum[i], sum, flags);
    return sum;
}

#endif
/* Add the groups first, first + BFP_LANES, ... below end, which are those of one lane. */
static inline bfp_sum bfp_add_lane(
    const bfp_rows *rows, int32_t size, int32_t first, int32_t end, uint32_t *flags)
{
#if PAIRWISE
    bfp_tree tree;
#else
    bfp_sum sum = bfp_start();
#endif
    int32_t i;
#if PAIRWISE
    tree.count = 0;
#endif
    for (i = first; i < end; i += BFP_LANES) {
        const int32_t from = i * size, to = rows->k - from > size ? from + size : rows->k;
        const bfp_group group = bfp_group_at(rows, from, to, flags);
#if PAIRWISE
        bfp_tree_push(&tree, bfp_convert(&group, flags), flags);
#elif ALIGNS_PRODUCTS
        sum = bfp_add_products(sum, rows, &group, flags);
#else
        sum = bfp_add(sum, bfp_convert(&group, flags), flags);
#endif
    }
#if PAIRWISE
    return bfp_tree_finish(&tree, flags);
#else
    return sum;
#endif
}

#if HAS_LANES
/* Add the groups of one run in their lanes, and the lanes pairwise. */
static inline bfp_sum bfp_add_run(
    const bfp_rows *rows, int32_t size, int32_t first, int32_t end, uint32_t *flags)
{
    bfp_tree tree;
    int32_t lane;
    tree.count = 0;
    for (lane = 0; lane < BFP_LANES && first + lane < end; lane++)
        bfp_tree_push(&tree, bfp_add_lane(rows, size, first + lane, end, flags), flags);
    return bfp_tree_finish(&tree, flags);
}

#endif
/* What the accumulator holds of two rows in the end, and the flags of the stages before the output (spec 6.3 to 6.7). */
static inline bfp_real bfp_accumulate(const bfp_rows *rows, uint32_t *flags)
{
    bfp_sum sum;
    int32_t size, count;
#if HAS_SPLITS
    int32_t length, first;
#endif
    *flags = 0;
#if A_EXPONENT_RESERVED_NAN
    if (bfp_a_has_nan(&rows->a, rows->k))
        *flags = BFP_FLAG_INVALID;
#endif
#if B_EXPONENT_RESERVED_NAN
    if (bfp_b_has_nan(&rows->b, rows->k))
        *flags = BFP_FLAG_INVALID;
#endif
    if (*flags != 0) { /* no stage is computed (spec 6.9) */
        bfp_real nan = bfp_real_of(bfp_number_of(0, 0, 0));
        nan.kind = BFP_NAN;
        return nan;
    }
#if ONE_GROUP
    size = rows->k > 0 ? rows->k : 1;
#else
    size = BFP_GROUP;
#endif
    count = (rows->k + size - 1) / size;
    sum = bfp_start(); /* what an empty sum is (spec 6.11) */
#if HAS_SPLITS
    length = (count + BFP_SPLITS - 1) / BFP_SPLITS;
    for (first = 0; first < count; first += length) {
        const int32_t end = count - first > length ? first + length : count;
        const bfp_sum run = BFP_ADD_RUN(rows, size, first, end, flags);
        sum = first == 0 ? run : bfp_add(sum, run, flags);
    }
#else
    if (count > 0)
        sum = BFP_ADD_RUN(rows, size, 0, count, flags);
#endif
    return bfp_real_of_sum(&sum);
}
