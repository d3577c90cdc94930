/* projection.c — an integer that is different where classes are: w . image(x), exactly.
 *
 * In: rows of coordinates and their classes. Out: weights, and the projection of every row (Koyuncu, arXiv 2303.11247, takes any w for
 * which the projections differ; almost every one does). The one idea: integers. Gaussian weights in f32 collide on thousands of pairs
 * of a million rows; images of elements are integers of b bits, weights of w bits make sums of b + w + ceil(log2 columns) bits that do
 * not wrap, and whether two rows collide is seen by sorting.
 *
 *      64 bits where the weights that fit are wide enough for so many rows (collisions are expected for rows^2 / 2^w pairs)
 *      128 bits with weights of at least 40, at most 62 bits; wider ones for wide integers
 *
 * Weights are random numbers from a fixed seed: the same data give the same network. A collision of rows of different class draws again.
 * As few columns as it finds: those with the most different elements until classes are told apart, then without each that is not needed.
 *
 * Ends: after a fixed number of draws.
 */
#include "decisions.h"

#include <string.h>

enum { LEAST_BITS = 40, MOST_BITS = 62, DRAWS = 16, FEW_DRAWS = 4 };

static uint32_t levels(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(n - 1);
}

static uint32_t class_of(const Question *q, uint32_t row)
{
    return q->class_ ? q->class_[row] : row;
}

/* ---- columns that are needed ---- */

typedef struct Groups { Arena *arena; uint32_t rows, n; uint32_t *id; } Groups;

/* Rows stay together that have equal elements in column `k`, too. */
static void refine(Groups *g, const Columns *c, uint32_t k)
{
    Arena *scratch = arena_new(g->arena);
    if (!scratch)
        arena_exhausted(g->arena);
    uint32_t (*pair)[2] = arena_big(scratch, (size_t)g->rows * sizeof *pair, 64);
    for (uint32_t i = 0; i < g->rows; i++) {
        pair[i][0] = g->id[i];
        pair[i][1] = c->rank[k][i];
    }
    g->n = number_rows(scratch, g->rows, sizeof *pair, (const uint8_t *)pair, g->id, NULL);
    arena_free(scratch);
}

static bool tell_apart(const Groups *g, const Question *q)
{
    Arena *scratch = arena_new(g->arena);
    if (!scratch)
        arena_exhausted(g->arena);
    uint32_t *class_ = arena_big(scratch, ((size_t)g->n + 1) * sizeof *class_, 64);     /* of a group, + 1 */
    bool apart = true;
    for (uint32_t i = 0; i < g->rows && apart; i++) {
        uint32_t *known = &class_[g->id[i]], mine = class_of(q, i) + 1;
        apart = *known == 0 || *known == mine;
        *known = mine;
    }
    arena_free(scratch);
    return apart;
}

static void one_group(Groups *g)
{
    memset(g->id, 0, g->rows * sizeof *g->id);
    g->n = 1;
}

/* Columns by falling number of different elements, of equal ones the first first. */
static uint32_t *telling_columns(Arena *arena, const Columns *c)
{
    uint32_t *column = NEW_ARRAY(arena, c->columns, uint32_t);
    uint64_t *key = NEW_ARRAY(arena, c->columns, uint64_t);
    for (uint32_t k = 0; k < c->columns; k++)
        key[k] = UINT32_MAX - (uint64_t)c->distinct[k];
    sort_keys(arena, c->columns, 1, key, column);
    return column;
}

/* Leaves out, one after the other, what the others do without. */
static uint32_t leave_out(Groups *g, const Question *q, uint32_t *column, uint32_t n)
{
    for (uint32_t k = n; k-- > 0;) {
        one_group(g);
        for (uint32_t j = 0; j < n; j++)
            if (j != k)
                refine(g, q->columns, column[j]);
        if (tell_apart(g, q)) {
            n--;
            memmove(column + k, column + k + 1, (n - k) * sizeof *column);
        }
    }
    return n;
}

/* Fills `column`; returns how many tell all classes apart: all rows differ, so at most all do. */
static uint32_t needed_columns(Arena *arena, const Question *q, uint32_t **column)
{
    enum { PATIENCE = 1 << 24 };
    const Columns *c = q->columns;
    Groups g = {.arena = arena, .rows = c->rows, .id = arena_big(arena, (size_t)c->rows * sizeof *g.id, 64)};
    uint32_t n = 0;
    *column = telling_columns(arena, c);
    one_group(&g);
    while (n < c->columns && !tell_apart(&g, q))
        refine(&g, c, (*column)[n++]);
    return (uint64_t)c->rows * n * n <= PATIENCE ? leave_out(&g, q, *column, n) : n;
}

/* ---- projecting ---- */

static uint64_t draw(uint64_t *state)
{
    uint64_t v = *state += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

/* z += weight * image, both of two's complement; the image has `n` words, z at least as many. */
static void add_product(uint64_t *z, uint32_t words, uint64_t weight, const uint64_t *image, uint32_t n)
{
    uint64_t sign = image[n - 1] >> 63 ? UINT64_MAX : 0;
    unsigned __int128 carry = 0;
    for (uint32_t w = 0; w < words; w++) {
        carry += (unsigned __int128)weight * (w < n ? image[w] : sign) + z[w];
        z[w] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void project(const Points *p, const uint32_t *column, uint32_t n, Projection *out, uint64_t *image)
{
    uint32_t words = point_words(p->key), size = type_element_bytes(p->key);
    memset(out->z, 0, (size_t)p->rows * out->words * sizeof *out->z);
    for (uint32_t i = 0; i < p->rows; i++)
        for (uint32_t k = 0; k < n; k++) {
            point_image(p->key, p->at + ((size_t)i * p->columns + column[k]) * size, image);
            add_product(out->z + (size_t)i * out->words, out->words, out->weight[column[k]], image, words);
        }
}

static bool collides(const Question *q, const Projection *p)
{
    for (uint32_t i = 1; i < q->columns->rows; i++) {
        uint32_t a = p->order[i - 1], b = p->order[i];
        if (class_of(q, a) != class_of(q, b) &&
            memcmp(p->z + (size_t)a * p->words, p->z + (size_t)b * p->words, p->words * sizeof *p->z) == 0)
            return true;
    }
    return false;
}

static bool try_bits(Arena *arena, const Points *points, const Question *q, const uint32_t *column, uint32_t n, uint32_t weight_bits,
                     uint32_t draws, Projection *out)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    uint64_t *image = NEW_ARRAY(scratch, point_words(points->key), uint64_t), state = 1;
    bool found = false;
    out->words = (out->bits + 63) / 64;
    out->z = arena_big(arena, (size_t)points->rows * out->words * sizeof *out->z, 64);
    for (uint32_t t = 0; t < draws && !found; t++) {
        for (uint32_t k = 0; k < n; k++)
            out->weight[column[k]] = draw(&state) >> (64 - weight_bits) | 1;
        project(points, column, n, out, image);
        sort_keys(scratch, points->rows, out->words, out->z, out->order);
        found = !collides(q, out);
    }
    arena_free(scratch);
    return found;
}

bool find_projection(Arena *arena, const Points *points, const Question *q, uint32_t max_bits, Projection *out)
{
    uint32_t *column, n = needed_columns(arena, q, &column);
    uint32_t image = type_is_int(points->key) ? points->key.n : 8 * type_element_bytes(points->key), sum = image + levels(n);
    *out = (Projection){.used = n, .weight = NEW_ARRAY(arena, points->columns, uint64_t),
                        .order = arena_big(arena, (size_t)points->rows * sizeof *out->order, 64)};
    if (max_bits >= 64 && sum + 2 * levels(points->rows) <= 64) {
        out->bits = 64;
        if (try_bits(arena, points, q, column, n, 64 - sum < MOST_BITS ? 64 - sum : MOST_BITS, FEW_DRAWS, out))
            return true;
    }
    uint32_t bits = sum + LEAST_BITS <= 128 ? 128 : sum + MOST_BITS;
    out->bits = bits;
    return bits <= max_bits && try_bits(arena, points, q, column, n, bits - sum < MOST_BITS ? bits - sum : MOST_BITS, DRAWS, out);
}
