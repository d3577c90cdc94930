/* search_table.c — the tables that a search may be read from: their shape, and what reading them costs.
 *
 *      tree     keys in blocks of 16, each followed by what belongs to its slots; above them levels of nodes that hold every 16th
 *               (256th, …) key: a node is compared as a whole, and the number of keys that are not above x is the number of the child
 *
 *      bucket   x, as an ascending integer, says by a multiplication in which of many short lines it belongs; a line holds the keys of
 *               its range and what belongs to their slots. Where too many keys share a line, it holds a chain: a tree of lines
 *
 *      coded    a bucket whose lines hold 16 bits of each key, where these are enough for *every* x: a key that is a multiple of 2^k is not
 *               above x exactly when it is not above x without its lower k bits. Lines with other keys, or with too many, say where
 *               these lie in full; a cell has so many lines that there are none, if it can
 *
 * In: ascending keys. Out: sizes and offsets, for the pass that chooses and for the back end that writes and reads. The one idea: a
 * bucket need not be exact, only monotone: the keys themselves are compared in the line, so every x gets the slot that the IR means,
 * whatever the keys look like. How well they spread over the lines is measured here, not assumed.
 *
 *      cell = (image(x) - image(first key)) >> shift              at most a few thousand, each with its own density
 *      line = first line of the cell + (rest, as a fraction of 2^32) * lines of the cell
 *      code = the lower 16 bits of rest >> grain of the cell: so coarse that those of a line are less than 2^15 apart, and
 *             the sign of a difference of 16 bits says which is greater
 */
#include "interp.h"

#include <math.h>
#include <string.h>

enum { LEAF = 16, WIDEST = 32 };                  /* slots of a leaf; children of a node */
enum { CELL_KEYS = 128 };                          /* of coded lines: so few that a number of lines can be found which all suffice */

/* ---- keys ---- */

typedef struct Keys { const uint8_t *at; uint64_t n; uint32_t size; bool floats; } Keys;

static Keys keys_of(const Const *keys)
{
    return (Keys){keys->data, keys->type.dim[0], type_element_bytes(keys->type), type_is_float(keys->type)};
}

static int64_t image_at(Keys k, uint64_t i)
{
    int32_t narrow;
    int64_t wide;
    if (k.size == 4) {
        memcpy(&narrow, k.at + 4 * i, 4);
        return !k.floats || narrow >= 0 ? narrow : -(int64_t)(narrow & INT32_MAX);
    }
    memcpy(&wide, k.at + 8 * i, 8);
    return !k.floats || wide >= 0 ? wide : -(wide & INT64_MAX);
}

int64_t search_image(const Const *keys, uint64_t i)
{
    return image_at(keys_of(keys), i);
}

/* What fills a node beyond the last key must be above every x: there is nothing above these. One such key is kept apart. */
static bool ends_in_the_last(Keys k)
{
    if (k.n == 0)
        return false;
    int64_t image = image_at(k, k.n - 1);
    if (k.floats)
        return image == (k.size == 4 ? 0x7f800000 : 0x7ff0000000000000);
    return image == (k.size == 4 ? INT32_MAX : INT64_MAX);
}

/* Keys of 4 or 8 bytes, as they lie in memory. */
static bool may_have_tables(const Const *keys)
{
    uint32_t size = type_element_bytes(keys->type);
    return keys->kind == CONST_TENSOR && const_is_row_major(keys) &&
           (type_is_float(keys->type) || (keys->type.elem == ELEM_INT && (size == 4 || size == 8)));
}

/* Those that a table holds. */
static Keys keys_of_table(const Const *keys)
{
    Keys k = keys_of(keys);
    k.n -= ends_in_the_last(k);
    return k;
}

/* ---- trees ---- */

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Children of the nodes of each level: as few levels as nodes of 32 allow, then as small nodes as that many levels allow. */
static uint32_t arities(uint64_t leaves, uint32_t *arity)
{
    uint32_t n = 0;
    uint64_t reach = 1;
    while (reach < leaves) {
        reach *= WIDEST;
        arity[n++] = WIDEST;
    }
    for (uint32_t i = n; i-- > 0;)
        if (reach / 2 >= leaves) {
            arity[i] /= 2;
            reach /= 2;
        }
    return n;
}

static void shape_tree(SearchTable *t, uint64_t n)
{
    uint32_t arity[SEARCH_MAX_LEVELS], least = 64 / t->key_bytes, leaf = LEAF;
    if (n < WIDEST)
        for (leaf = least; leaf <= n; leaf *= 2)
            ;
    uint64_t leaves = n / leaf + 1, below = leaf, at = 0;
    t->n_levels = arities(leaves, arity);
    for (uint32_t i = t->n_levels; i-- > 0; below *= arity[i])
        t->level[i] = (SearchLevel){.lanes = arity[i], .below = below, .nodes = (leaves * leaf + below * arity[i] - 1) / (below * arity[i])};
    t->level[t->n_levels] = (SearchLevel){.lanes = leaf, .below = 1, .nodes = leaves};
    for (uint32_t i = 0; i <= t->n_levels; i++) {
        SearchLevel *l = &t->level[i];
        l->node_bytes = l->lanes * (t->key_bytes + (i == t->n_levels ? t->word_bytes : 0));
        l->at = at;
        at = round_up(at + l->nodes * l->node_bytes, 64);
    }
    t->bytes = at;
}

/* ---- buckets ---- */

/* Keys of a line, and how many it should get on average: of keys that fall at random about one line in fifty gets more than it holds. */
static void shape_line(SearchTable *t, uint32_t bytes)
{
    t->line_bytes = bytes;
    t->line_keys = (bytes - t->word_bytes) / (t->stored_bytes + t->word_bytes);
    t->load = t->line_keys < 5 ? 1 : t->line_keys - 1.6 * sqrt(t->line_keys);
    t->words_at = t->line_keys * t->stored_bytes;
}

/* The same with codes: at most 31 lanes are compared; words are as wide as labels. */
static void shape_coded_line(SearchTable *t, uint32_t bytes)
{
    enum { MOST = 31 };
    t->coded = true;
    t->stored_bytes = sizeof(uint16_t);
    t->word_bytes = t->label_bytes > 4 ? 8 : t->label_bytes == 3 || t->label_bytes == 0 ? 4 : t->label_bytes;
    shape_line(t, bytes);
    if (t->line_keys > MOST)
        t->line_keys = MOST;
    while ((t->words_at = (uint32_t)round_up(2 * (uint64_t)t->line_keys, t->word_bytes)) + (t->line_keys + 1) * t->word_bytes > bytes)
        t->line_keys--;
}

static uint64_t distance_of(const SearchTable *t, Keys k, uint64_t i)
{
    return (uint64_t)image_at(k, i) - (uint64_t)t->lowest;
}

/* One cell takes all 64 bits. */
static uint64_t cell_of(const SearchTable *t, uint64_t distance)
{
    return t->n_cells > 1 ? distance >> t->shift : 0;
}

/* What the cell leaves of a distance, as a fraction of 2^32. */
static uint32_t rest_of(const SearchTable *t, uint64_t d)
{
    return t->shift >= 32 ? (uint32_t)(d >> (t->shift - 32)) : (uint32_t)(d << (32 - t->shift));
}

uint64_t search_line(const SearchTable *t, int64_t image)
{
    uint64_t d = (uint64_t)image - (uint64_t)t->lowest;
    const SearchCell *cell = &t->cell[cell_of(t, d)];
    return cell->first + ((uint64_t)rest_of(t, d) * cell->lines >> 32);
}

bool search_code(const SearchTable *t, int64_t image, uint16_t *code)
{
    uint64_t d = (uint64_t)image - (uint64_t)t->lowest, below = t->shift > 32 ? (1ull << (t->shift - 32)) - 1 : 0;
    uint32_t grain = t->cell[cell_of(t, d)].grain, rest = rest_of(t, d);
    *code = (uint16_t)(rest >> grain);
    return (d & below) == 0 && (rest & ((1u << grain) - 1)) == 0;
}

uint32_t search_chain_levels(const SearchTable *t, uint64_t keys)
{
    uint32_t levels = 0;
    for (uint64_t slots = t->line_keys + (uint64_t)1; slots < keys + 1; slots *= t->line_keys)
        levels++;
    return levels;
}

uint32_t search_chain_children(const SearchTable *t, uint64_t keys, uint32_t levels)
{
    uint64_t slots = t->line_keys + (uint64_t)1;
    for (uint32_t i = 1; i < levels; i++)
        slots *= t->line_keys;
    return (uint32_t)((keys + slots) / slots);    /* keys + 1 slots */
}

static uint64_t chain_lines(const SearchTable *t, uint64_t keys, uint32_t levels)
{
    if (levels == 0)
        return 0;
    uint32_t n = search_chain_children(t, keys, levels);
    uint64_t lines = n, from = 0;
    for (uint32_t i = 0; levels > 1 && i < n; i++) {
        uint64_t to = search_chain_split(keys, n, i);
        lines += chain_lines(t, to - from - 1, levels - 1);
        from = to;
    }
    return lines;
}

uint64_t search_chain_split(uint64_t keys, uint32_t children, uint32_t i)
{
    return (keys + 1) * (i + 1) / children;
}

/* The first key that lies at least so far above the first of all: by halves. */
static uint64_t first_from(const SearchTable *t, Keys k, uint64_t distance)
{
    uint64_t from = 0, to = k.n;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (distance_of(t, k, middle) < distance)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The cells' lines, in proportion to their keys. One without keys has none: it shares the first line of the next,
 * whose keys are all above. */
static void shape_cells(Arena *arena, SearchTable *t, Keys k, uint32_t most_bits)
{
    uint32_t width = t->span ? 64 - (uint32_t)__builtin_clzll(t->span) : 0;
    t->shift = width > most_bits ? width - most_bits : 0;
    t->n_cells = most_bits > 0 ? (uint32_t)(t->span >> t->shift) + 1 : 1;
    t->cells_bytes = t->n_cells == 1 ? 0 : round_up((uint64_t)t->n_cells * SEARCH_CELL_BYTES, 128);
    t->busy_cells_bytes = (double)t->cells_bytes;
    t->cell = NEW_ARRAY(arena, t->n_cells, SearchCell);
    t->lines = 0;
    for (uint64_t c = 0, from = 0, to; c < t->n_cells; c++, from = to) {
        to = c + 1 < t->n_cells ? first_from(t, k, (c + 1) << t->shift) : k.n;
        t->cell[c] = (SearchCell){(uint32_t)t->lines, (uint32_t)ceil((double)(to - from) / t->load), 0};
        t->lines += t->cell[c].lines;
    }
}

/* How keys spread over the lines: what is found among the keys [from, end), of lines that begin there. */
typedef struct Crowds { uint64_t keys, in_chains, steps, lines; uint32_t deepest; } Crowds;

/* Keys of one line that codes cannot tell apart are halved in full: three rounds cost what a step does. */
static void measure_codes(const SearchTable *t, Keys k, uint64_t from, uint64_t to, Crowds *sum)
{
    uint16_t code;
    bool fits = to - from <= t->line_keys;
    for (uint64_t i = from; fits && i < to; i++)
        fits = search_code(t, image_at(k, i), &code);
    if (fits)
        return;
    uint32_t rounds = 64 - (uint32_t)__builtin_clzll(to - from);
    sum->lines += to - from + 1;
    sum->in_chains += to - from;
    sum->steps += (to - from) * (1 + rounds / 3);
    sum->deepest = rounds > sum->deepest ? rounds : sum->deepest;
}

static void measure(const SearchTable *t, Keys k, uint64_t from, uint64_t end, Crowds *sum)
{
    uint64_t line = search_line(t, image_at(k, from));
    for (uint64_t to; from < end; from = to) {
        uint64_t here = line;
        for (to = from + 1; to < k.n && (line = search_line(t, image_at(k, to))) == here; to++)
            ;
        sum->keys += to - from;
        if (t->coded) {
            measure_codes(t, k, from, to, sum);
            continue;
        }
        if (to - from <= t->line_keys)
            continue;
        uint32_t levels = search_chain_levels(t, to - from);
        sum->lines += chain_lines(t, to - from, levels);
        sum->in_chains += to - from;
        sum->steps += (to - from) * levels;
        sum->deepest = levels > sum->deepest ? levels : sum->deepest;
    }
}

static void set_bytes(SearchTable *t)
{
    t->bytes = t->cells_bytes + (t->lines + (t->coded ? 0 : t->chained)) * t->line_bytes;
    if (!t->coded)
        return;
    t->full_at = t->bytes;
    t->full_words_at = t->full_at + round_up(t->chained * t->key_bytes, 64);
    t->bytes = t->full_words_at + round_up(t->chained * t->word_bytes, 64);
}

static void take(SearchTable *t, const Crowds *c, uint64_t n)
{
    t->chained = (uint64_t)((double)c->lines * (double)n / (double)c->keys);
    t->in_chains = (double)c->in_chains / (double)c->keys;
    t->chain_steps = (double)c->steps / (double)c->keys;
    set_bytes(t);
    t->cost = search_cost(t);
}

/* From pieces of the keys: enough to choose among cells. */
static void estimate(SearchTable *t, Keys k)
{
    enum { PIECES = 64, PIECE = 512 };
    Crowds sum = {0};
    if (k.n <= PIECES * PIECE)
        measure(t, k, 0, k.n, &sum);
    else
        for (uint64_t i = 0; i < PIECES; i++)
            measure(t, k, k.n / PIECES * i, k.n / PIECES * i + PIECE, &sum);
    take(t, &sum, k.n);
}

/* ---- coded lines ---- */

/* Codes of a line: fewer than 2^15, so many that lines which differ by a unit of `rest` do not matter; lines of a cell for which a
 * fraction of 32 bits has them; the grain of a cell without lines, whose codes are all 0. */
enum { CODES = 32000, MOST_LINES = 1 << 17, NO_GRAIN = 32 };

static void set_lines(SearchCell *cell, uint64_t lines)
{
    cell->lines = (uint32_t)lines;
    cell->grain = lines > 0 ? 0 : NO_GRAIN;
    while (lines > 0 && (UINT64_C(1) << 32 >> cell->grain) > CODES * lines)
        cell->grain++;
}

/* The keys [from, to) of a cell whose lines do not say where they are. */
static uint64_t keys_in_full(const SearchTable *t, Keys k, uint64_t from, uint64_t to)
{
    uint64_t sum = 0, line = 0, here;
    for (uint64_t end; from < to; from = end) {
        uint16_t code;
        bool fits = true;
        here = line = search_line(t, image_at(k, from));
        for (end = from; end < to && (line = search_line(t, image_at(k, end))) == here; end++)
            fits = fits && end - from < t->line_keys && search_code(t, image_at(k, end), &code);
        sum += fits ? 0 : end - from;
    }
    return sum;
}

/* As few lines as can hold the keys, then more, until all suffice; or those with which the fewest keys lie in full. */
static void fit_cell(SearchTable *t, Keys k, SearchCell *cell, uint64_t from, uint64_t to)
{
    enum { TRIES = 10 };
    uint64_t n = to - from, least = (n + t->line_keys - 1) / t->line_keys, best = 0, fewest = UINT64_MAX;
    uint64_t step = least / 8 + 1;
    for (uint64_t i = 0; n > 0 && i < TRIES && fewest > 0; i++) {
        set_lines(cell, least + i * step);
        uint64_t full = keys_in_full(t, k, from, to);
        if (full < fewest) {
            best = cell->lines;
            fewest = full;
        }
    }
    set_lines(cell, best);
}

/* Keys that share a cell with a key, on average. */
static double crowd(const SearchTable *t, Keys k, uint64_t n_cells)
{
    double squares = 0;
    for (uint64_t c = 0, from = 0, to; c < n_cells && from < k.n; c++, from = to) {
        to = first_from(t, k, (c + 1) << t->shift);
        squares += (double)(to - from) * (double)(to - from);
    }
    return squares / (double)k.n;
}

/* Cells begin at multiples of their size, so that round keys have round distances; and below the first key, so that what is below all,
 * or NaN, is below it still, unless there is no such x: below the least integer. */
static bool shape_coded_cells(SearchTable *t, Keys k, uint32_t bits)
{
    uint64_t span = (uint64_t)image_at(k, k.n - 1) - (uint64_t)image_at(k, 0);
    uint32_t width = span ? 64 - (uint32_t)__builtin_clzll(span) : 0;
    t->shift = width > bits ? width - bits : 0;
    if (t->shift >= 60)
        return false;
    bool least = image_at(k, 0) == (k.size == 4 ? INT32_MIN : INT64_MIN);
    t->lowest = (int64_t)((uint64_t)((image_at(k, 0) - !least) >> t->shift) << t->shift);
    t->span = distance_of(t, k, k.n - 1);
    t->n_cells = (uint32_t)(t->span >> t->shift) + 1;
    return true;
}

/* Whether nearly all keys, of some, are no finer than fractions of 32 bits. */
static bool are_round(const SearchTable *t, Keys k)
{
    enum { SOME = 256 };
    uint64_t round = 0, step = k.n / SOME + 1, n = 0, below = t->shift > 32 ? (UINT64_C(1) << (t->shift - 32)) - 1 : 0;
    for (uint64_t i = 0; i < k.n; i += step, n++)
        round += (distance_of(t, k, i) & below) == 0;
    return 10 * round > 9 * n;
}

static bool shape_coded(Arena *arena, SearchTable *t, Keys k)
{
    enum { LEAST_BITS = 4, MOST_BITS = 22 };
    shape_coded_line(t, t->label_bytes > 4 ? 128 : 64);
    uint32_t bits = LEAST_BITS;
    for (;; bits++) {
        if (bits > MOST_BITS || k.n >> bits == 0 || !shape_coded_cells(t, k, bits))
            return false;
        if (bits == LEAST_BITS && !are_round(t, k))
            return false;
        double keys = crowd(t, k, t->n_cells);
        t->busy_cells_bytes = SEARCH_CELL_BYTES * (double)k.n / keys;
        if (keys <= CELL_KEYS)
            break;
    }
    Crowds all = {0};
    t->cells_bytes = t->n_cells == 1 ? 0 : round_up((uint64_t)t->n_cells * SEARCH_CELL_BYTES, 128);
    t->cell = NEW_ARRAY(arena, t->n_cells, SearchCell);
    t->lines = 0;
    for (uint64_t c = 0, from = 0, to; c < t->n_cells; c++, from = to) {
        SearchCell *cell = &t->cell[c];
        to = c + 1 < t->n_cells ? first_from(t, k, (c + 1) << t->shift) : k.n;
        cell->first = (uint32_t)t->lines;
        fit_cell(t, k, cell, from, to);
        t->lines += cell->lines;
        if (cell->lines >= MOST_LINES)
            return false;
    }
    measure(t, k, 0, k.n, &all);
    take(t, &all, k.n);
    return true;
}

static void shape_bucket(Arena *arena, SearchTable *t, Keys k)
{
    static const uint32_t bits[] = {0, 6, 10, 12, 14, 16};        /* of cells: one, a part of a page, an L1's worth, parts of an L2 */
    static const uint32_t line_bytes[] = {64, 128, 192, 256};     /* wide lines waste fewer places, narrow ones are sooner there */
    enum { LEAST_KEYS = 4 };
    SearchTable best = {.bytes = 0};
    Crowds all = {0};
    t->lowest = image_at(k, 0);
    t->span = distance_of(t, k, k.n - 1);
    for (size_t l = 0; l < sizeof line_bytes / sizeof *line_bytes; l++) {
        shape_line(t, line_bytes[l]);
        if (t->line_keys < LEAST_KEYS)
            continue;
        for (size_t i = 0; i < sizeof bits / sizeof *bits && (i == 0 || k.n >> bits[i] >= 4); i++) {
            SearchTable one = *t;
            shape_cells(arena, &one, k, bits[i]);
            estimate(&one, k);
            if (best.bytes == 0 || one.cost < 0.98 * best.cost)
                best = one;
        }
    }
    SearchTable coded = *t;
    if (shape_coded(arena, &coded, k) && coded.cost < best.cost)
        best = coded;
    *t = best;
    measure(t, k, 0, k.n, &all);
    take(t, &all, k.n);
    t->chained = all.lines;
    t->deepest_chain = all.deepest;
    set_bytes(t);
}

/* ---- what a look-up costs ----
 * Nanoseconds on a server core (Cascade Lake, 1 MiB of L2, pages of 4 KiB): a fit to some 500 tables, of 10^3 to 10^6 keys of four
 * types and four distributions, within 10 % of most. Only their ratios matter. */

/* One access to anywhere in so many bytes: straight lines between these points, by the logarithm. */
static double access_ns(double bytes)
{
    static const struct { double bytes, ns; } at[] = {{32 << 10, 2}, {256 << 10, 6.2}, {1 << 20, 11}, {2 << 20, 22}, {4 << 20, 56},
                                                      {16 << 20, 110}, {64 << 20, 125}, {256 << 20, 165}, {1e10, 230}};
    enum { N = sizeof at / sizeof *at };
    if (bytes <= at[0].bytes)
        return at[0].ns;
    for (int i = 1; i < N; i++)
        if (bytes <= at[i].bytes)
            return at[i - 1].ns + (at[i].ns - at[i - 1].ns) * log(bytes / at[i - 1].bytes) / log(at[i].bytes / at[i - 1].bytes);
    return at[N - 1].ns;
}

/* To compare a node of one vector, and each vector more; to find a line; with cells; to go down a chain; to guess wrong whether there is
 * one; a line more of the same place; integers to be kept below what fills nodes;
 * how much of the caches the leaves take from the levels above them. */
static const double NODE = 4.2, VECTOR = 1.8, ADDRESS = 5.4, CELL = 1, STEP = 5.7, MISS = 4.9, LINE = 0.09, INTEGER = 2, UPPER = 4.5;
static const double NEIGHBOUR = 0.5;               /* a chain's lines lie together: less than an access to anywhere */

static double node_ns(uint32_t lanes, uint32_t key_bytes)
{
    return NODE + VECTOR * (lanes * key_bytes / 64.0 - 1);
}

/* `bytes` of lines side by side, anywhere in so many bytes. */
static double lines_ns(uint32_t bytes, double among)
{
    return access_ns(among) * (1 + LINE * (bytes / 64.0 - 1));
}

static double tree_cost(const SearchTable *t)
{
    double ns = t->floats ? 0 : INTEGER;
    for (uint32_t i = 0; i <= t->n_levels; i++) {
        const SearchLevel *l = &t->level[i];
        double bytes = (double)l->nodes * l->node_bytes;
        ns += node_ns(l->lanes, t->key_bytes) + lines_ns(l->node_bytes, i < t->n_levels ? UPPER * bytes : bytes);
    }
    return ns;
}

static double bucket_cost(const SearchTable *t)
{
    double node = node_ns(t->line_keys > 16 ? 32 : t->line_keys > 8 ? 16 : 8, t->stored_bytes);
    double ns = ADDRESS + node + lines_ns(t->line_bytes, (double)t->lines * t->line_bytes);
    ns += t->chain_steps * (STEP + node + NEIGHBOUR * lines_ns(t->line_bytes, (double)(t->lines + t->chained) * t->line_bytes));
    ns += MISS * 4 * t->in_chains * (1 - t->in_chains);
    return t->n_cells > 1 ? ns + CELL + access_ns(t->busy_cells_bytes) : ns;
}

double search_cost(const SearchTable *t)
{
    return 5 + (t->how == LOWER_tree ? tree_cost(t) : bucket_cost(t));      /* the call */
}

/* ---- both ---- */

const SearchTable *search_table(Arena *arena, const Const *keys, Lower how, uint32_t label_bytes)
{
    if (!may_have_tables(keys) || (how != LOWER_tree && how != LOWER_bucket))
        return NULL;
    Keys k = keys_of_table(keys);
    if (k.n == 0 || ends_in_the_last(k))
        return NULL;
    for (const SearchTable *t = *keys->tables; t; t = t->next)
        if (t->how == how && t->label_bytes == label_bytes)
            return t;
    SearchTable *t = NEW(arena, SearchTable);
    t->how = how;
    t->n = k.n;
    t->last_apart = k.n < keys->type.dim[0];
    t->key_bytes = type_element_bytes(keys->type);
    t->floats = k.floats;
    t->stored_bytes = t->key_bytes;
    t->label_bytes = label_bytes;
    t->word_bytes = label_bytes > 4 ? 8 : label_bytes > 0 || how == LOWER_bucket ? 4 : 0;
    if (how == LOWER_tree)
        shape_tree(t, k.n);
    else
        shape_bucket(arena, t, k);
    t->cost = search_cost(t);
    t->next = *keys->tables;
    *keys->tables = t;
    return t;
}

/* ---- labels ---- */

/* A scalar that fits beside a key. */
static bool is_short_label(const Network *net, const Op *row)
{
    Type t = value_type(net, row->result[0]);
    return t.rank == 0 && (type_is_float(t) || t.elem == ELEM_IDX || (t.elem == ELEM_INT && t.n <= 64)) &&
           const_is_row_major(const_get(net->module, row->cst[0]));
}

const Op **search_labels(Arena *arena, const Network *net)
{
    const Op **label = NEW_ARRAY(arena, net->values.len, const Op *);
    uint32_t *users = NEW_ARRAY(arena, net->values.len, uint32_t);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++) {
            Value v = op->operand[i] ? op_operand(op, i) : 0;
            const Op *from = v ? value_op(net, v) : NULL;
            if (!from || from->kind != OP_search || from->result[0] != v)
                continue;
            label[v] = ++users[v] == 1 && op->kind == OP_row && is_short_label(net, op) ? op : NULL;
        }
    return label;
}
