/* points.c — rows of coordinates, column by column: the order of their elements.
 *
 * In: a matrix of integers of any width or of floats. Out: for each column the rows in the order of its elements, and ranks, so that who
 * builds trees compares small integers only. The one idea: every element has an image, an integer of 64-bit words that compares
 * like it, and words are sorted by radix, least significant first: linear in the bytes that differ.
 */
#include "decisions.h"

#include <string.h>

/* ---- images ---- */

uint32_t point_words(Type key)
{
    return (type_element_bytes(key) + 7) / 8;
}

static int64_t float_image(Type key, const uint8_t *element)
{
    if (key.elem == ELEM_F32) {
        int32_t bits;
        memcpy(&bits, element, sizeof bits);
        return bits >= 0 ? bits : -(int64_t)(bits & INT32_MAX);
    }
    int64_t bits;
    memcpy(&bits, element, sizeof bits);
    return bits >= 0 ? bits : -(bits & INT64_MAX);
}

void point_image(Type key, const uint8_t *element, uint64_t *words)
{
    uint32_t size = type_element_bytes(key), n = point_words(key);
    if (type_is_float(key)) {
        *words = (uint64_t)float_image(key, element);
        return;
    }
    words[n - 1] = element[size - 1] & 0x80 ? UINT64_MAX : 0;    /* the sign, where an element is shorter than a word */
    memcpy(words, element, size);
}

/* ---- sorting ---- */

typedef struct Entry { uint64_t word; uint32_t row; } Entry;

/* Stable, by 11 bits at a time; digits that are equal in all words cost a look. */
static Entry *sort_by_word(uint32_t n, Entry *from, Entry *to)
{
    enum { BITS = 11, DIGITS = 1 << BITS };
    for (uint32_t shift = 0; shift < 64; shift += BITS) {
        uint32_t at[DIGITS] = {0}, sum = 0;
        for (uint32_t i = 0; i < n; i++)
            at[from[i].word >> shift & (DIGITS - 1)]++;
        if (n == 0 || at[from[0].word >> shift & (DIGITS - 1)] == n)
            continue;
        for (uint32_t d = 0; d < DIGITS; d++) {
            uint32_t count = at[d];
            at[d] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[at[from[i].word >> shift & (DIGITS - 1)]++] = from[i];
        Entry *other = from;
        from = to;
        to = other;
    }
    return from;
}

void sort_keys(Arena *arena, uint32_t rows, uint32_t words, const uint64_t *keys, uint32_t *order)
{
    Entry *a = arena_big(arena, (size_t)rows * sizeof *a, 64), *b = arena_big(arena, (size_t)rows * sizeof *b, 64);
    for (uint32_t i = 0; i < rows; i++)
        order[i] = i;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t sign = w + 1 == words ? UINT64_C(1) << 63 : 0;
        for (uint32_t i = 0; i < rows; i++)
            a[i] = (Entry){keys[(size_t)order[i] * words + w] ^ sign, order[i]};
        const Entry *sorted = sort_by_word(rows, a, b);
        for (uint32_t i = 0; i < rows; i++)
            order[i] = sorted[i].row;
    }
}

static bool same_key(const uint64_t *keys, uint32_t words, uint32_t a, uint32_t b)
{
    return memcmp(keys + (size_t)a * words, keys + (size_t)b * words, words * sizeof *keys) == 0;
}

static uint32_t rank_keys(uint32_t rows, uint32_t words, const uint64_t *keys, const uint32_t *order, uint32_t *rank)
{
    uint32_t distinct = rows > 0;
    for (uint32_t i = 0; i < rows; i++) {
        distinct += i > 0 && !same_key(keys, words, order[i - 1], order[i]);
        rank[order[i]] = distinct - 1;
    }
    return distinct;
}

Columns points_columns(Arena *arena, const Points *p)
{
    Columns c = {.rows = p->rows, .columns = p->columns, .order = NEW_ARRAY(arena, p->columns, uint32_t *),
                 .rank = NEW_ARRAY(arena, p->columns, uint32_t *), .distinct = NEW_ARRAY(arena, p->columns, uint32_t)};
    uint32_t words = point_words(p->key), size = type_element_bytes(p->key);
    for (uint32_t k = 0; k < p->columns; k++) {
        Arena *scratch = arena_new(arena);
        if (!scratch)
            arena_exhausted(arena);
        uint64_t *keys = arena_big(scratch, (size_t)p->rows * words * sizeof *keys, 64);
        c.order[k] = arena_big(arena, (size_t)p->rows * sizeof **c.order, 64);
        c.rank[k] = arena_big(arena, (size_t)p->rows * sizeof **c.rank, 64);
        for (uint32_t i = 0; i < p->rows; i++)
            point_image(p->key, p->at + ((size_t)i * p->columns + k) * size, keys + (size_t)i * words);
        sort_keys(scratch, p->rows, words, keys, c.order[k]);
        c.distinct[k] = rank_keys(p->rows, words, keys, c.order[k], c.rank[k]);
        arena_free(scratch);
    }
    return c;
}

/* ---- equal rows ---- */

uint32_t number_rows(Arena *arena, uint32_t rows, uint64_t bytes, const uint8_t *at, uint32_t *id, uint32_t *representative)
{
    size_t mask = 15;
    uint32_t n = 0;
    while (mask < 2 * (size_t)rows)
        mask = 2 * mask + 1;
    uint32_t *table = arena_big(arena, (mask + 1) * sizeof *table, 64), *first = representative;   /* table: a number + 1, or 0 */
    if (!first)
        first = arena_big(arena, (size_t)rows * sizeof *first, 64);
    for (uint32_t i = 0; i < rows; i++) {
        size_t place = (size_t)hash_bytes(at + i * bytes, bytes).lo & mask;
        while (table[place] && memcmp(at + first[table[place] - 1] * bytes, at + i * bytes, bytes) != 0)
            place = (place + 1) & mask;
        if (!table[place]) {
            first[n] = i;
            table[place] = ++n;
        }
        id[i] = table[place] - 1;
    }
    return n;
}
