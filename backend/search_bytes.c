/* search_bytes.c — the bytes of the tables that a search is read from: keys, with what belongs to their slots beside them.
 *
 *      tree:     nodes of every level, then leaves of { keys, words }
 *      bucket:   cells, then lines of { keys, words }, then the lines of chains in the order in which they are met
 *      coded:    cells, then lines of { codes, words }, then the keys in full of lines whose codes say nothing, then the words of these
 *
 * In: the shape (search_table.c), ascending keys, perhaps labels. Out: bytes, a page after the other, in one walk over the keys: no table
 * lies in memory as a whole, unless a caller wants it there. The one idea: what a lane beyond the last key holds is above every x:
 * NaN, or the greatest integer.
 */
#include "search.h"

#include <string.h>

typedef struct Source {
    const SearchTable *t;
    const uint8_t *keys, *labels;                 /* labels NULL: slots are their own */
    uint64_t n;
    uint8_t beyond[8];                            /* above every x */
    uint8_t *chains;                              /* their lines, or keys in full and words, which come last */
    uint64_t next;                                /* of them */
    SearchSink *sink;
    void *context;
    uint8_t *page;                                /* what the sink has not got */
    uint64_t filled;
    bool failed;
} Source;

enum { PAGE = 1 << 20 };

static void flush(Source *s)
{
    s->failed = s->failed || (s->filled > 0 && !s->sink(s->context, s->page, s->filled));
    s->filled = 0;
}

/* The next bytes of the table, all zero. */
static uint8_t *next_bytes(Source *s, uint32_t n)
{
    if (s->filled + n > PAGE)
        flush(s);
    s->filled += n;
    return memset(s->page + s->filled - n, 0, n);
}

static void put_key(const Source *s, uint8_t *to, uint64_t i)
{
    const uint8_t *from = i < s->n ? s->keys + i * s->t->key_bytes : s->beyond;
    if (s->t->key_bytes == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, 8);
}

static void put_word(const Source *s, uint8_t *to, uint64_t slot)
{
    if (slot > s->n)
        slot = s->n;
    if (s->labels)
        memcpy(to, s->labels + slot * s->t->label_bytes, s->t->label_bytes);
    else
        memcpy(to, &(uint32_t){(uint32_t)slot}, 4);
}

/* ---- trees ---- */

static void fill_tree(Source *s)
{
    const SearchTable *t = s->t;
    for (uint32_t i = 0; i <= t->n_levels; i++) {
        const SearchLevel *l = &t->level[i];
        uint64_t end = i < t->n_levels ? t->level[i + 1].at : t->bytes;
        for (uint64_t node = 0; node < l->nodes; node++) {
            uint8_t *at = next_bytes(s, l->node_bytes);
            for (uint32_t k = 0; k < l->lanes; k++, at += t->key_bytes)
                put_key(s, at, (node * l->lanes + k + 1) * l->below - 1);
            for (uint32_t k = 0; i == t->n_levels && t->word_bytes && k < l->lanes; k++, at += t->word_bytes)
                put_word(s, at, node * l->lanes + k);
        }
        next_bytes(s, (uint32_t)(end - l->at - l->nodes * l->node_bytes));
    }
}

/* ---- buckets ---- */

static void put_words(const Source *s, uint8_t *line, uint64_t from, uint64_t n)
{
    const SearchTable *t = s->t;
    for (uint64_t k = 0; k <= t->line_keys; k++)
        put_word(s, line + t->words_at + k * t->word_bytes, from + (k < n ? k : n));
}

/* Keys [from, from + n), and the words of the slots around them. */
static void put_line(const Source *s, uint8_t *line, uint64_t from, uint64_t n)
{
    const SearchTable *t = s->t;
    for (uint64_t k = 0; k < t->line_keys; k++)
        put_key(s, line + k * t->key_bytes, k < n ? from + k : UINT64_MAX);
    put_words(s, line, from, n);
}

static void put_greatest(const Source *s, uint8_t *to)
{
    float infinite = 1.0f / 0.0f;
    double wide = infinite;
    bool is_float = s->beyond[s->t->key_bytes - 2] != 0xff;       /* NaN; the greatest integer is 0xff but for its first byte */
    if (!is_float)
        memcpy(to, s->beyond, s->t->key_bytes);
    else if (s->t->key_bytes == 4)
        memcpy(to, &infinite, 4);
    else
        memcpy(to, &wide, 8);
}

static void put_chain(Source *s, uint8_t *line, uint64_t from, uint64_t n, uint32_t levels)
{
    const SearchTable *t = s->t;
    if (levels == 0) {
        put_line(s, line, from, n);
        return;
    }
    uint32_t children = search_chain_children(t, n, levels);
    uint64_t first = s->next, begin = 0;
    uint8_t *words = line + t->words_at;
    s->next += children;
    put_greatest(s, line);
    for (uint32_t i = 0; i < t->line_keys; i++) {
        uint64_t end = i < children ? search_chain_split(n, children, i) : begin;
        if (i + 1 < t->line_keys)
            put_key(s, line + (i + (uint64_t)1) * t->key_bytes, i + 1 < children ? from + end - 1 : UINT64_MAX);
        if (i >= children)
            continue;
        memcpy(words + (uint64_t)i * t->word_bytes, &(uint32_t){(uint32_t)(t->lines + first + i)}, 4);
        put_chain(s, s->chains + (first + i) * t->line_bytes, from + begin, end - begin - 1, levels - 1);
        begin = end;
    }
}

/* A line of codes; behind the last it is repeated, and so is the word. Where codes are not enough, two that descend, where the keys lie
 * in full, and how many they are. */
static void put_codes(Source *s, const Const *keys, uint8_t *line, uint64_t from, uint64_t n)
{
    const SearchTable *t = s->t;
    uint16_t code[32] = {0};
    bool fits = n <= t->line_keys;
    for (uint64_t k = 0; fits && k < t->line_keys; k++)
        if (k < n)
            fits = search_code(t, search_image(keys, from + k), &code[k]);
        else
            code[k] = k > 0 ? code[k - 1] : 0;
    if (fits) {
        memcpy(line, code, t->line_keys * sizeof *code);
        put_words(s, line, from, n);
        return;
    }
    memcpy(line, (uint32_t[]){1, (uint32_t)s->next, (uint32_t)n}, 12);
    for (uint64_t k = 0; k <= n; k++, s->next++) {
        put_key(s, s->chains + s->next * t->key_bytes, k < n ? from + k : UINT64_MAX);
        put_word(s, s->chains + (t->full_words_at - t->full_at) + s->next * t->word_bytes, from + k);
    }
}

static void fill_cells(Source *s)
{
    const SearchTable *t = s->t;
    for (uint32_t i = 0; t->cells_bytes && i < t->n_cells; i++)
        memcpy(next_bytes(s, SEARCH_CELL_BYTES), (uint32_t[]){t->cell[i].first, t->cell[i].lines | t->cell[i].grain << SEARCH_GRAIN_BIT},
               SEARCH_CELL_BYTES);
    next_bytes(s, (uint32_t)(t->cells_bytes ? t->cells_bytes - (uint64_t)t->n_cells * SEARCH_CELL_BYTES : 0));
}

static void fill_bucket(Source *s, const Const *keys)
{
    const SearchTable *t = s->t;
    fill_cells(s);
    uint64_t from = 0, line = search_line(t, search_image(keys, 0));
    for (uint64_t i = 0; i < t->lines; i++) {
        uint64_t to = from;
        while (to < s->n && line == i) {
            to++;
            line = to < s->n ? search_line(t, search_image(keys, to)) : t->lines;
        }
        if (t->coded)
            put_codes(s, keys, next_bytes(s, t->line_bytes), from, to - from);
        else
            put_chain(s, next_bytes(s, t->line_bytes), from, to - from, search_chain_levels(t, to - from));
        from = to;
    }
    uint64_t rest = t->bytes - t->cells_bytes - t->lines * t->line_bytes, unit = t->coded ? 64 : t->line_bytes;
    for (uint64_t at = 0; at < rest; at += unit)
        memcpy(next_bytes(s, (uint32_t)unit), s->chains + at, unit);
}

bool be_stream_search(Arena *arena, const Const *keys, const Layout *l, SearchSink *sink, void *context)
{
    const SearchTable *t = l->search;
    Source s = {.t = t, .keys = keys->data, .labels = l->labels ? l->labels->data : NULL, .n = t->n, .sink = sink, .context = context};
    bool narrow = t->key_bytes == 4;
    uint64_t nan = narrow ? 0x7fc00000 : 0x7ff8000000000000, greatest = narrow ? INT32_MAX : INT64_MAX;
    memcpy(s.beyond, type_is_float(keys->type) ? &nan : &greatest, t->key_bytes);
    s.page = arena_big(arena, PAGE, 64);
    if (t->how == LOWER_tree) {
        fill_tree(&s);
    } else {
        s.chains = arena_big(arena, t->bytes - t->cells_bytes - t->lines * t->line_bytes, 64);
        fill_bucket(&s, keys);
    }
    flush(&s);
    return !s.failed;
}

static bool append(void *context, const uint8_t *bytes, uint64_t n)
{
    uint8_t **out = context;
    memcpy(*out, bytes, n);
    *out += n;
    return true;
}

void be_fill_search(Arena *arena, const Const *keys, const Layout *l, uint8_t *out)
{
    be_stream_search(arena, keys, l, append, &out);
}
