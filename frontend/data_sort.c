/* data_sort.c — rows of numbers in ascending order.
 *
 * In: rows without NaN. Out: their numbers in lexicographic order, equal rows as they were. The one idea: every element becomes
 * unsigned words of 64 bits that order as it does (its image), and the rows are sorted by one word after the other, the last
 * first, each by digits of 11 bits, the lowest first: linear in the rows, whatever they hold. Digits that all rows share are
 * passed over, so small integers cost little. Few rows are merged instead: a digit has more values than there are rows.
 *
 *      float:   bits >= 0 ? bits : -(bits without sign), the sign bit flipped: -0 and +0 coincide
 *      integer: the sign bit flipped; beyond 64 bits the words below the highest are as they are
 */
#include "data.h"

#include <string.h>
#include <sys/mman.h>

enum { DIGIT = 11, BUCKETS = 1 << DIGIT, MOST_DIGITS = 6 };

/* ---- images ---- */

static uint64_t float_image(int64_t bits, uint64_t sign)
{
    return (uint64_t)(bits < 0 ? -(bits & INT64_MAX) : bits) ^ sign;
}

/* Words of an element. */
static uint32_t words_of(Type element)
{
    return (type_element_bytes(element) + 7) / 8;
}

/* Word `w` of an element's image, 0 the lowest; narrow elements have 32 bits. */
static inline uint64_t image_of(Type element, uint32_t w, const uint8_t *at)
{
    uint32_t bytes = type_element_bytes(element);
    int32_t half = 0;
    int64_t bits = 0;
    if (element.elem == ELEM_F32) {
        memcpy(&half, at, 4);
        return (uint32_t)((half < 0 ? -(half & INT32_MAX) : half)) ^ 0x80000000u;
    }
    if (element.elem == ELEM_F64) {
        memcpy(&bits, at, 8);
        return float_image(bits, (uint64_t)1 << 63);
    }
    memcpy(&bits, at + 8 * w, bytes - 8 * w < 8 ? bytes - 8 * w : 8);
    if (bytes <= 4) /* the sign bit is the element's own; an i1 has none */
        return element.n == 1 ? (uint64_t)bits : (uint64_t)bits ^ (uint64_t)1 << (8 * bytes - 1);
    bool highest = w + 1 == words_of(element);
    return highest ? (uint64_t)bits ^ (uint64_t)1 << (8 * (bytes - 8 * w) - 1) : (uint64_t)bits;
}

static int compare_f64(uint64_t width, const uint8_t *a, const uint8_t *b)
{
    for (uint64_t i = 0; i < width; i++, a += 8, b += 8) {
        double x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int rows_compare(Type element, uint64_t width, const uint8_t *a, const uint8_t *b)
{
    if (element.elem == ELEM_F64)
        return compare_f64(width, a, b);
    uint32_t bytes = type_element_bytes(element);
    for (uint64_t i = 0; i < width; i++, a += bytes, b += bytes)
        for (uint32_t w = words_of(element); w-- > 0;) {
            uint64_t x = image_of(element, w, a), y = image_of(element, w, b);
            if (x != y)
                return x < y ? -1 : 1;
        }
    return 0;
}

/* ---- sorting by one word ---- */

/* Records of 32-bit words: the image (one or two of them), then the row's number. */
typedef struct Sort {
    uint64_t n;
    uint32_t digits;
    uint32_t *record, *other;
    uint32_t (*count)[BUCKETS];   /* of each digit */
} Sort;

static inline uint64_t digit_at(const uint32_t *record, bool narrow, uint32_t d)
{
    uint64_t image = record[0];
    if (!narrow)
        image |= (uint64_t)record[1] << 32;
    return image >> d * DIGIT & (BUCKETS - 1);
}

static inline void count_digits(Sort *s, bool narrow)
{
    memset(s->count, 0, s->digits * sizeof *s->count);
    for (uint64_t i = 0; i < s->n; i++)
        for (uint32_t d = 0; d < (narrow ? 3u : 6u); d++)
            s->count[d][digit_at(s->record + i * (narrow ? 2 : 3), narrow, d)]++;
}

/* Moves every record to its place by digit d; false when all have the same. */
static inline bool scatter(Sort *s, bool narrow, uint32_t d)
{
    uint32_t words = narrow ? 2 : 3, *at = s->count[d], sum = 0;
    if (at[digit_at(s->record, narrow, d)] == s->n)
        return false;
    for (uint32_t b = 0; b < BUCKETS; b++) {
        uint32_t here = at[b];
        at[b] = sum;
        sum += here;
    }
    const uint32_t *from = s->record;
    for (uint64_t i = 0; i < s->n; i++, from += words)
        memcpy(s->other + (uint64_t)words * at[digit_at(from, narrow, d)]++, from, words * sizeof *from);
    uint32_t *swap = s->record;
    s->record = s->other;
    s->other = swap;
    return true;
}

static void sort_narrow(Sort *s)
{
    count_digits(s, true);
    for (uint32_t d = 0; d < 3; d++)
        scatter(s, true, d);
}

static void sort_wide(Sort *s)
{
    count_digits(s, false);
    for (uint32_t d = 0; d < MOST_DIGITS; d++)
        scatter(s, false, d);
}

/* ---- rows ---- */

static bool in_order(Type element, uint64_t width, uint64_t n, const uint8_t *rows)
{
    size_t bytes = width * type_element_bytes(element);
    for (uint64_t i = 1; i < n; i++)
        if (rows_compare(element, width, rows + (i - 1) * bytes, rows + i * bytes) > 0)
            return false;
    return true;
}

/* The records of word w of element e, in the order found so far (NULL: of the file). */
static void fill(Sort *s, Type element, size_t row_bytes, const uint8_t *rows, uint64_t e, uint32_t w, const uint32_t *order, bool narrow)
{
    const uint8_t *column = rows + e * type_element_bytes(element);
    uint32_t *out = s->record;
    for (uint64_t i = 0; i < s->n; i++) {
        uint32_t row = order ? order[i] : (uint32_t)i;
        uint64_t image = image_of(element, w, column + row * row_bytes);
        *out++ = (uint32_t)image;
        if (!narrow)
            *out++ = (uint32_t)(image >> 32);
        *out++ = row;
    }
}

/* A hint: records go to 2048 places at once, which are more pages than the processor remembers. */
static void in_large_pages(void *at, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    madvise(at, bytes, MADV_HUGEPAGE);
#else
    (void)at, (void)bytes;
#endif
}

/* Merges order[begin .. middle) and order[middle .. end), both sorted. */
static void merge(Type element, uint64_t width, const uint8_t *rows, uint32_t *order, uint32_t *left, uint64_t begin,
                  uint64_t middle, uint64_t end)
{
    size_t bytes = width * type_element_bytes(element);
    uint64_t n = middle - begin, i = 0, k = middle, to = begin;
    memcpy(left, order + begin, n * sizeof *left);
    while (i < n && k < end)
        order[to++] = rows_compare(element, width, rows + left[i] * bytes, rows + order[k] * bytes) <= 0 ? left[i++] : order[k++];
    memcpy(order + to, left + i, (n - i) * sizeof *left);
}

static uint32_t *merged(Arena *arena, Type element, uint64_t width, uint64_t n, const uint8_t *rows)
{
    uint32_t *order = NEW_ARRAY(arena, n, uint32_t), *left = NEW_ARRAY(arena, n, uint32_t);
    for (uint64_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (uint64_t half = 1; half < n; half *= 2)
        for (uint64_t begin = 0; begin + half < n; begin += 2 * half)
            merge(element, width, rows, order, left, begin, begin + half, begin + 2 * half < n ? begin + 2 * half : n);
    return order;
}

uint32_t *rows_sorted(Arena *arena, const Watch *watch, Type element, uint64_t width, uint64_t n, const uint8_t *rows)
{
    if (n > INT32_MAX || in_order(element, width, n, rows))
        return NULL;
    if (n < BUCKETS)
        return merged(arena, element, width, n, rows);
    bool narrow = type_element_bytes(element) <= 4;
    uint32_t *order = arena_big(arena, n * sizeof *order, 64), words = words_of(element), step = narrow ? 2 : 3;
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Sort s = {.n = n, .digits = narrow ? 3 : MOST_DIGITS};
    s.record = arena_big(scratch, n * step * sizeof *s.record, 64);
    s.other = arena_big(scratch, n * step * sizeof *s.other, 64);
    in_large_pages(s.record, n * step * sizeof *s.record);
    in_large_pages(s.other, n * step * sizeof *s.other);
    s.count = arena_alloc(scratch, MOST_DIGITS * sizeof *s.count);
    for (uint64_t k = 0, all = width * words; k < all; k++) {
        uint64_t last = all - 1 - k; /* the last element first, of each the lowest word */
        watch_tell(watch, "sorting", k, all);
        fill(&s, element, width * type_element_bytes(element), rows, last / words,
             (uint32_t)(words - 1 - last % words), k ? order : NULL, narrow);
        narrow ? sort_narrow(&s) : sort_wide(&s);
        for (uint64_t i = 0; i < n; i++)
            order[i] = s.record[i * step + step - 1];
    }
    arena_free(scratch);
    return order;
}

void rows_gathered(uint64_t n, size_t row_bytes, const uint32_t *order, const uint8_t *from, uint8_t *to)
{
    switch (row_bytes) {
    case 1:
        for (uint64_t i = 0; i < n; i++)
            to[i] = from[order[i]];
        return;
    case 4:
        for (uint64_t i = 0; i < n; i++)
            memcpy(to + 4 * i, from + 4 * (uint64_t)order[i], 4);
        return;
    case 8:
        for (uint64_t i = 0; i < n; i++)
            memcpy(to + 8 * i, from + 8 * (uint64_t)order[i], 8);
        return;
    default:
        for (uint64_t i = 0; i < n; i++)
            memcpy(to + row_bytes * i, from + row_bytes * order[i], row_bytes);
    }
}
