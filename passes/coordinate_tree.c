/* coordinate_tree.c — a tree of tests of single coordinates: no projection, so no multiplication.
 *
 * In: rows of coordinates, as ranks, and their classes. Out: a tree whose leaves hold rows of one class. Two ways to choose a test
 * among all coordinates and thresholds; the tree that is less deep is taken (on average, when rows have weights), the first of equals:
 *
 *      even:      the two sides are as equal as can be: the depth comes near ceil(log2 rows)
 *      telling:   what is known of the class grows most (entropy, as in C4.5, Quinlan 1993): fewer leaves where classes are few and lie
 *                 together; not tried where most rows are a class of their own
 *
 * Different rows differ in some coordinate, so a test always exists, and it has rows on both sides.
 *
 * O(columns x rows) for each level: the rows of a node are a stretch [begin, end) of one list for each column, ordered by that
 * column's elements; thresholds are tried by walking it, and what goes left and right is parted in all lists, order kept.
 *
 * Ends: both sides have fewer rows; and no path is longer than `limit`.
 */
#include "decisions.h"

#include <math.h>
#include <string.h>

typedef struct Part { uint32_t begin, end, depth, parent; } Part;

/* A test: rows whose rank in `column` is at least `rank` go right, `left` of them go left. */
typedef struct Test { double badness; uint32_t column, left, least; } Test;

typedef struct Grower Grower;
typedef Test BestTest(Grower *g, const Part *part);

struct Grower {
    const Question *q;
    Arena *arena;
    uint32_t **list;              /* by column: rows, each part ordered by the column's elements */
    uint32_t *moved;
    uint8_t *goes_left;           /* by row */
    double *before, *total;       /* by class: how much of the part lies left of a threshold, how much in all; telling tests only */
    double *x_log_x;              /* of whole numbers, for rows without weights */
    const double *asked;          /* by row: how often; NULL: all alike */
    const double *share;          /* the same, none less than 1 / (16 rows): no path gets long for what is never asked for */
    BestTest *best;
    Vec(Part) parts;              /* still to be done */
    Vec(TreeNode) nodes;
    Vec(uint32_t) least;
    Vec(uint32_t) leaves;
};

static uint32_t class_of(const Question *q, uint32_t row)
{
    return q->class_ ? q->class_[row] : row;
}

static double share_of(const Grower *g, uint32_t row)
{
    return g->share ? g->share[row] : 1;
}

static bool is_pure(const Grower *g, const Part *part)
{
    const uint32_t *rows = g->list[0];
    for (uint32_t i = part->begin + 1; i < part->end; i++)
        if (class_of(g->q, rows[i]) != class_of(g->q, rows[part->begin]))
            return false;
    return true;
}

/* ---- even ---- */

static double sum_of(const Grower *g, const Part *part)
{
    double sum = 0;
    if (!g->share)
        return part->end - part->begin;
    for (uint32_t i = part->begin; i < part->end; i++)
        sum += share_of(g, g->list[0][i]);
    return sum;
}

/* The thresholds on both sides of the middle. */
static void even_in_column(const Grower *g, const Part *part, uint32_t column, double sum, Test *best)
{
    const uint32_t *rows = g->list[column], *rank = g->q->columns->rank[column];
    double left = share_of(g, rows[part->begin]);
    for (uint32_t i = part->begin + 1; i < part->end; i++) {
        if (rank[rows[i - 1]] != rank[rows[i]]) {
            double badness = fabs(2 * left - sum);
            if (badness < best->badness)
                *best = (Test){badness, column, i - part->begin, rows[i]};
            if (2 * left >= sum)
                return;
        }
        left += share_of(g, rows[i]);
    }
}

static Test even_test(Grower *g, const Part *part)
{
    Test best = {.badness = INFINITY};
    double sum = sum_of(g, part), fair = g->share ? 0 : (double)((part->end - part->begin) % 2);
    for (uint32_t k = 0; k < g->q->columns->columns && best.badness > fair; k++)
        even_in_column(g, part, k, sum, &best);
    return best;
}

/* ---- telling ---- */

static double x_log_x(const Grower *g, double x)
{
    return g->x_log_x ? g->x_log_x[(uint32_t)x] : x > 0 ? x * log2(x) : 0;
}

/* What is not known on a side of weight s: s log s - sum over classes of c log c; `inner` is the second sum, of the whole part. */
static void telling_in_column(Grower *g, const Part *part, uint32_t column, double sum, double inner, Test *best)
{
    const uint32_t *rows = g->list[column], *rank = g->q->columns->rank[column];
    double left = 0, inner_left = 0, inner_right = inner;
    for (uint32_t i = part->begin; i < part->end; i++) {
        uint32_t class_ = class_of(g->q, rows[i]);
        if (i > part->begin && rank[rows[i - 1]] != rank[rows[i]]) {
            double badness = x_log_x(g, left) - inner_left + x_log_x(g, fmax(sum - left, 0)) - inner_right;
            if (badness < best->badness)
                *best = (Test){badness, column, i - part->begin, rows[i]};
        }
        double share = share_of(g, rows[i]), had = g->before[class_], all = g->total[class_];
        g->before[class_] = had + share;
        inner_left += x_log_x(g, had + share) - x_log_x(g, had);
        inner_right += x_log_x(g, fmax(all - had - share, 0)) - x_log_x(g, fmax(all - had, 0));
        left += share;
    }
    for (uint32_t i = part->begin; i < part->end; i++)
        g->before[class_of(g->q, rows[i])] = 0;
}

static Test telling_test(Grower *g, const Part *part)
{
    const uint32_t *rows = g->list[0];
    Test best = {.badness = INFINITY};
    double sum = sum_of(g, part), inner = 0;
    for (uint32_t i = part->begin; i < part->end; i++) {
        double *total = &g->total[class_of(g->q, rows[i])], share = share_of(g, rows[i]);
        inner += x_log_x(g, *total + share) - x_log_x(g, *total);
        *total += share;
    }
    for (uint32_t k = 0; k < g->q->columns->columns; k++)
        telling_in_column(g, part, k, sum, inner, &best);
    for (uint32_t i = part->begin; i < part->end; i++)
        g->total[class_of(g->q, rows[i])] = 0;
    return best;
}

/* ---- growing ---- */

/* The rows that go left come first, in every list, in the order in which they were. */
static void part_lists(Grower *g, const Part *part, const Test *test)
{
    const uint32_t *chosen = g->list[test->column];
    for (uint32_t i = part->begin; i < part->end; i++)
        g->goes_left[chosen[i]] = i < part->begin + test->left;
    for (uint32_t k = 0; k < g->q->columns->columns; k++) {
        uint32_t *rows = g->list[k], left = part->begin, n_right = 0;
        if (k == test->column)
            continue;
        for (uint32_t i = part->begin; i < part->end; i++) {
            uint32_t row = rows[i], is_left = g->goes_left[row];
            rows[left] = row;                     /* at or before i: kept if it goes left, overwritten by the next if not */
            g->moved[n_right] = row;
            left += is_left;
            n_right += !is_left;
        }
        memcpy(rows + left, g->moved, n_right * sizeof *rows);
    }
}

static void attach(Grower *g, const Part *part, int32_t what)
{
    if (part->parent != UINT32_MAX)
        g->nodes.at[part->parent / 2].child[part->parent % 2] = what;
}

/* How often the leaf of this part is reached. */
static double asked_for(const Grower *g, const Part *part)
{
    double sum = 0;
    for (uint32_t i = part->begin; i < part->end; i++)
        sum += g->asked ? g->asked[g->list[0][i]] : 1.0 / g->q->columns->rows;
    return sum;
}

static bool grow(Grower *g, uint32_t limit, Decisions *d)
{
    vec_push(g->arena, g->parts, ((Part){0, g->q->columns->rows, 0, UINT32_MAX}));
    while (g->parts.len) {
        Part part = g->parts.at[--g->parts.len];
        if (is_pure(g, &part)) {
            attach(g, &part, ~(int32_t)g->leaves.len);
            vec_push(g->arena, g->leaves, g->list[0][part.begin]);
            d->depth = part.depth > d->depth ? part.depth : d->depth;
            d->mean += asked_for(g, &part) * part.depth;
            continue;
        }
        if (part.depth == limit)
            return false;
        Test test = g->best(g, &part);
        uint32_t node = (uint32_t)g->nodes.len, middle = part.begin + test.left;
        attach(g, &part, (int32_t)node);
        vec_push(g->arena, g->nodes, ((TreeNode){.coordinate = test.column}));
        vec_push(g->arena, g->least, test.least);
        part_lists(g, &part, &test);
        vec_push(g->arena, g->parts, ((Part){middle, part.end, part.depth + 1, 2 * node + 1}));
        vec_push(g->arena, g->parts, ((Part){part.begin, middle, part.depth + 1, 2 * node}));
    }
    return true;
}

static double *shares_of(Arena *arena, const Question *q, const double *asked)
{
    double *share = NEW_ARRAY(arena, q->columns->rows, double), least = 1 / (16.0 * q->columns->rows);
    for (uint32_t i = 0; i < q->columns->rows; i++)
        share[i] = fmax(asked[i], least);
    return share;
}

static double *logarithms(Arena *arena, uint32_t n)
{
    double *x_log_x = arena_big(arena, ((size_t)n + 1) * sizeof *x_log_x, 64);
    for (uint32_t i = 2; i <= n; i++)
        x_log_x[i] = i * log2(i);
    return x_log_x;
}

static uint32_t **copy_lists(Arena *arena, const Columns *c)
{
    uint32_t **list = NEW_ARRAY(arena, c->columns, uint32_t *);
    for (uint32_t k = 0; k < c->columns; k++) {
        list[k] = arena_big(arena, (size_t)c->rows * sizeof **list, 64);
        memcpy(list[k], c->order[k], (size_t)c->rows * sizeof **list);
    }
    return list;
}

static bool grow_by(Arena *arena, const Question *q, BestTest *best, uint32_t limit, Decisions *out)
{
    const Columns *c = q->columns;
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Grower g = {.q = q, .arena = arena, .best = best, .list = copy_lists(scratch, c),
                .moved = arena_big(scratch, (size_t)c->rows * sizeof *g.moved, 64), .goes_left = arena_big(scratch, c->rows, 64),
                .asked = q->weights ? weight_shares(scratch, c->rows, q->weights) : NULL};
    g.share = g.asked ? shares_of(scratch, q, g.asked) : NULL;
    if (best == telling_test) {
        g.before = NEW_ARRAY(scratch, q->n_classes, double);
        g.total = NEW_ARRAY(scratch, q->n_classes, double);
        g.x_log_x = g.share ? NULL : logarithms(scratch, c->rows);
    }
    *out = (Decisions){0};
    bool grown = grow(&g, limit, out);
    *out = (Decisions){(uint32_t)g.leaves.len, g.nodes.at, g.least.at, g.leaves.at, out->depth, out->mean};
    arena_free(scratch);
    return grown;
}

static bool is_better(const Question *q, const Decisions *a, const Decisions *b)
{
    if (q->weights && fabs(a->mean - b->mean) > 1e-9)
        return a->mean < b->mean;
    return a->depth != b->depth ? a->depth < b->depth : a->mean < b->mean;
}

bool coordinate_tree(Arena *arena, const Question *q, uint32_t limit, Decisions *out)
{
    Decisions other;
    bool grown = grow_by(arena, q, even_test, limit, out);
    if (!q->class_ || q->n_classes > q->columns->rows / 2)
        return grown;
    if (grown)                    /* what is deeper would not be taken */
        limit = q->weights && limit > out->depth + 4 ? out->depth + 4 : q->weights ? limit : out->depth;
    if (grow_by(arena, q, telling_test, limit, &other) && (!grown || is_better(q, &other, out))) {
        *out = other;
        return true;
    }
    return grown;
}

/* ---- one coordinate ---- */

/* Runs of one class in the order of a column; 0 when equal elements have different classes. */
static uint32_t runs_in_column(const Question *q, uint32_t k)
{
    const Columns *c = q->columns;
    uint32_t runs = 1;
    for (uint32_t i = 1; i < c->rows; i++) {
        uint32_t a = c->order[k][i - 1], b = c->order[k][i];
        bool differ = class_of(q, a) != class_of(q, b);
        if (differ && c->rank[k][a] == c->rank[k][b])
            return 0;
        runs += differ;
    }
    return runs;
}

uint32_t separating_column(const Question *q, uint32_t *runs)
{
    uint32_t best = q->columns->columns;
    *runs = UINT32_MAX;
    for (uint32_t k = 0; k < q->columns->columns; k++) {
        uint32_t r = q->columns->distinct[k] >= (q->class_ ? q->n_classes : q->columns->rows) ? runs_in_column(q, k) : 0;
        if (r && r < *runs) {
            *runs = r;
            best = k;
        }
    }
    return best;
}
