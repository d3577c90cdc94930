/* search_table.c — the tables that a search may be read from: their shape, and what reading them costs.
 *
 *      tree     keys in blocks of 16, each followed by what belongs to its slots; above them levels of nodes that hold every 16th
 *               (256th, …) key: a node is compared as a whole, and the number of keys that are not above x is the number of the child
 *
 *      bucket   x, as an ascending integer, says by a multiplication in which of many short lines it belongs; a line holds the keys of
 *               its range and what belongs to their slots. Where too many keys share a line, it holds a chain: a tree of lines
 *
 * In: ascending keys. Out: sizes and offsets, for the pass that chooses and for the back end that writes and reads. The one idea: a
 * bucket need not be exact, only monotone: the keys themselves are compared in the line, so every x gets the slot that the IR means,
 * whatever the keys look like. How well they spread over the lines is measured here, not assumed.
 *
 *      cell = (image(x) - image(first key)) >> shift              at most a few thousand, each with its own density
 *      line = first line of the cell + (rest, as a fraction of 2^32) * lines of the cell
 */
#include "interp.h"

#include <math.h>
#include <string.h>

enum { LEAF = 16, WIDEST = 32 };                  /* slots of a leaf; children of a node */

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

/* What fills a node beyond the last key must be above every x: there is nothing above these. */
static bool ends_in_the_last(Keys k)
{
    int64_t image = image_at(k, k.n - 1);
    if (k.floats)
        return image == (k.size == 4 ? 0x7f800000 : 0x7ff0000000000000);
    return image == (k.size == 4 ? INT32_MAX : INT64_MAX);
}

/* Keys of 4 or 8 bytes, at least one, as they lie in memory. */
static bool has_tables(const Const *keys)
{
    uint32_t size = type_element_bytes(keys->type);
    return keys->kind == CONST_TENSOR && keys->type.dim[0] > 0 && const_is_row_major(keys) &&
           (type_is_float(keys->type) || (keys->type.elem == ELEM_INT && (size == 4 || size == 8))) &&
           !ends_in_the_last(keys_of(keys));
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
    t->line_keys = (bytes - t->word_bytes) / (t->key_bytes + t->word_bytes);
    t->load = t->line_keys < 5 ? 1 : t->line_keys - 1.6 * sqrt(t->line_keys);
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

uint64_t search_line(const SearchTable *t, int64_t image)
{
    uint64_t d = (uint64_t)image - (uint64_t)t->lowest;
    uint32_t rest = t->shift >= 32 ? (uint32_t)(d >> (t->shift - 32)) : (uint32_t)(d << (32 - t->shift));
    const SearchCell *cell = &t->cell[cell_of(t, d)];
    return cell->first + ((uint64_t)rest * cell->lines >> 32);
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
    t->cells_bytes = t->n_cells == 1 ? 0 : round_up(t->n_cells * sizeof(SearchCell), 128);
    t->cell = NEW_ARRAY(arena, t->n_cells, SearchCell);
    t->lines = 0;
    for (uint64_t c = 0, from = 0, to; c < t->n_cells; c++, from = to) {
        to = c + 1 < t->n_cells ? first_from(t, k, (c + 1) << t->shift) : k.n;
        t->cell[c] = (SearchCell){(uint32_t)t->lines, (uint32_t)ceil((double)(to - from) / t->load)};
        t->lines += t->cell[c].lines;
    }
}

/* How keys spread over the lines: what is found among the keys [from, end), of lines that begin there. */
typedef struct Crowds { uint64_t keys, in_chains, steps, lines; uint32_t deepest; } Crowds;

static void measure(const SearchTable *t, Keys k, uint64_t from, uint64_t end, Crowds *sum)
{
    uint64_t line = search_line(t, image_at(k, from));
    for (uint64_t to; from < end; from = to) {
        uint64_t here = line;
        for (to = from + 1; to < k.n && (line = search_line(t, image_at(k, to))) == here; to++)
            ;
        sum->keys += to - from;
        if (to - from <= t->line_keys)
            continue;
        uint32_t levels = search_chain_levels(t, to - from);
        sum->lines += chain_lines(t, to - from, levels);
        sum->in_chains += to - from;
        sum->steps += (to - from) * levels;
        sum->deepest = levels > sum->deepest ? levels : sum->deepest;
    }
}

static void take(SearchTable *t, const Crowds *c, uint64_t n)
{
    t->chained = (uint64_t)((double)c->lines * (double)n / (double)c->keys);
    t->in_chains = (double)c->in_chains / (double)c->keys;
    t->chain_steps = (double)c->steps / (double)c->keys;
    t->bytes = t->cells_bytes + (t->lines + t->chained) * t->line_bytes;
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
    *t = best;
    measure(t, k, 0, k.n, &all);
    take(t, &all, k.n);
    t->chained = all.lines;
    t->deepest_chain = all.deepest;
    t->bytes = t->cells_bytes + (t->lines + t->chained) * t->line_bytes;
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
    double node = node_ns(t->line_keys > 16 ? 32 : t->line_keys > 8 ? 16 : 8, t->key_bytes);
    double ns = ADDRESS + node + lines_ns(t->line_bytes, (double)t->lines * t->line_bytes);
    ns += t->chain_steps * (STEP + node + NEIGHBOUR * lines_ns(t->line_bytes, (double)(t->lines + t->chained) * t->line_bytes));
    ns += MISS * 4 * t->in_chains * (1 - t->in_chains);
    return t->n_cells > 1 ? ns + CELL + access_ns((double)t->cells_bytes) : ns;
}

double search_cost(const SearchTable *t)
{
    return 5 + (t->how == LOWER_tree ? tree_cost(t) : bucket_cost(t));      /* the call */
}

/* ---- both ---- */

const SearchTable *search_table(Arena *arena, const Const *keys, Lower how, uint32_t label_bytes)
{
    if (!has_tables(keys) || (how != LOWER_tree && how != LOWER_bucket))
        return NULL;
    for (const SearchTable *t = *keys->tables; t; t = t->next)
        if (t->how == how && t->label_bytes == label_bytes)
            return t;
    SearchTable *t = NEW(arena, SearchTable);
    Keys k = keys_of(keys);
    t->how = how;
    t->key_bytes = type_element_bytes(keys->type);
    t->floats = k.floats;
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
