/* ---- DPI-C (IEEE 1800, annex H) ---------------------------------------------------------------- */

/* A packed bit vector arrives as 32-bit words, bit 0 in the lowest bit of the first; field i of a vector
   starts at bit i * width. The functions exist in the one C file that defines BFP_DPI before it includes
   this header. */
#ifdef BFP_DPI

static inline uint64_t bfp_get_field(const uint32_t *vector, int32_t i, int width)
{
    uint64_t field = 0;
    int done = 0;
    while (done < width) {
        const int64_t at = (int64_t)i * width + done;
        const int low = (int)(at % 32), count = width - done < 32 - low ? width - done : 32 - low;
        const uint64_t part = vector[at / 32] >> low & (((uint64_t)1 << count) - 1);
        field |= part << done;
        done += count;
    }
    return field;
}

/* The vector must be zeros there. */
static inline void bfp_put_field(uint32_t *vector, int32_t i, int width, uint64_t field)
{
    int done = 0;
    while (done < width) {
        const int64_t at = (int64_t)i * width + done;
        const int low = (int)(at % 32), count = width - done < 32 - low ? width - done : 32 - low;
        const uint64_t part = field >> done & (((uint64_t)1 << count) - 1);
        vector[at / 32] |= (uint32_t)(part << low);
        done += count;
    }
}

static inline void bfp_get_words(const uint32_t *vector, int32_t count, int width, uint32_t *words)
{
    int32_t i;
    for (i = 0; i < count; i++)
        words[i] = (uint32_t)bfp_get_field(vector, i, width);
}

static inline void bfp_put_words(uint32_t *vector, int32_t count, int width, const uint32_t *words)
{
    int32_t i;
    for (i = 0; i < (count * width + 31) / 32; i++)
        vector[i] = 0;
    for (i = 0; i < count; i++)
        bfp_put_field(vector, i, width, words[i]);
}

#endif
