/* memorize_points.c — the method `conditional` for keys of several coordinates.
 *
 *      a coordinate        %k = slice %x, from = [2]; %y = search … %k          one coordinate tells all labels apart
 *      a coordinate tree   %i = ord %x; %slot = descend @tree, %i               every node tests one of them
 *      a projection        %z = affine (cast (ord %x)), @w; %y = search … %z    exact integers; 2 q operations for q coordinates
 *
 * The one idea: all three are counted, and what takes fewest operations is built: in the worst case, or with weights on average; of
 * equal ones the first of the list (`memorize(by=…)` chooses for it). Thresholds that cut the data in halves take no multiplication
 * (coordinate_tree.c), and nearly all data have some; a projection is for those where each threshold tells a few rows from the rest.
 *
 * Legality: all three are exact on every row of the data, by construction. What a key gets that is in no row depends on the
 * construction, so the policy is `any` or one that compares the key with the row that was found. A NaN goes where its image lies, by
 * its sign: above or below all numbers. It equals no key.
 *
 * Ends: one op becomes a fixed number of ops.
 */
#include "memorize_conditional.h"

#include <math.h>
#include <string.h>

enum { WIDEST = 16384 };                          /* what the back end evaluates */

typedef struct Finder {
    Memory *m;
    Points points;
    Columns columns;
    Question question;
    uint32_t *representative;     /* by class: a row; NULL: a class is a row */
    const char *by;               /* option `by`: only this; NULL: what costs least */
    uint32_t column;
    Ordered by_column, by_projection;
    Decisions tree;
    Projection projection;
} Finder;

static Finder finder_of(Memory *m)
{
    Arena *arena = m->ctx->arena;
    Finder f = {.m = m, .points = {m->key, m->rows, m->coordinates, m->keys}, .by = pass_option(m->ctx, "by")};
    f.question.n_classes = m->rows;
    if (!memory_checks(m)) {
        uint32_t *class_ = arena_big(arena, (size_t)m->rows * sizeof *class_, 64);
        f.representative = arena_big(arena, (size_t)m->rows * sizeof *class_, 64);
        f.question.n_classes = number_rows(arena, m->rows, m->label_bytes, m->labels, class_, f.representative);
        f.question.class_ = class_;
    }
    return f;
}

static uint32_t levels(uint64_t n)
{
    return search_depth(n, 0);
}

/* The rows' elements in a column, or projections, in their order. */
static const uint8_t *gather(Memory *m, const uint8_t *at, uint64_t stride, uint32_t size, const uint32_t *order)
{
    uint8_t *out = memory_bytes(m, (uint64_t)m->rows * size);
    for (uint32_t i = 0; i < m->rows; i++)
        memcpy(out + (uint64_t)i * size, at + order[i] * stride, size);
    return out;
}

/* ---- one coordinate ---- */

static bool is_ascending(const uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (order[i] != i)
            return false;
    return true;
}

static Ordered order_by_column(const Finder *f, uint32_t column)
{
    Memory *m = f->m;
    uint32_t size = type_element_bytes(m->key);
    const uint32_t *order = f->columns.order[column];
    Ordered o = {.key = m->key, .keys = gather(m, m->keys + (uint64_t)column * size, m->row_bytes, size, order),
                 .order = is_ascending(order, m->rows) ? NULL : order};
    memory_order(m, &o);
    return o;
}

static Value build_column(Finder *f, Ordered *o, uint32_t column)
{
    Builder *b = &f->m->b;
    Value one = f->m->coordinates == 1 ? f->m->x : build_slice(b, f->m->x, &column, &(uint32_t){1});
    o->x = build_reshape(b, one, 0, NULL);
    memory_note(f->m, o, str_printf(f->m->ctx->arena, " by coordinate %u", column));
    return memory_ordered(f->m, o);
}

/* ---- a coordinate tree ---- */

static Value build_tree(const Finder *f, const Decisions *d)
{
    Memory *m = f->m;
    Type image = memory_image_type(m->key);
    uint32_t size = type_element_bytes(image), key_size = type_element_bytes(m->key);
    uint32_t *slot = NEW_ARRAY(m->ctx->arena, d->n_leaves, uint32_t);
    uint8_t *threshold = memory_bytes(m, (uint64_t)(d->n_leaves - 1) * size);
    for (uint32_t i = 0; i < d->n_leaves; i++)
        slot[i] = f->question.class_ ? f->question.class_[d->row[i]] : d->row[i];
    for (uint32_t i = 0; i + 1 < d->n_leaves; i++) {
        const uint8_t *row = m->keys + d->least[i] * m->row_bytes;
        memory_threshold(m->key, row + (uint64_t)d->node[i].coordinate * key_size, threshold + (uint64_t)i * size);
    }
    pass_note(m->ctx, "%s, %u different %s: a tree of coordinates, %u leaves, %.3g comparisons expected, at most %u", memory_words(m),
              f->question.n_classes, memory_checks(m) ? "keys" : "labels", d->n_leaves, d->mean, d->depth);
    Value x = type_is_float(m->key) ? build_unary(&m->b, OP_ord, m->x) : m->x;
    Value found = memory_descend(m, &(TreePlan){d, image, m->coordinates, threshold, slot, f->question.n_classes}, x);
    ConstId labels = f->representative ? memory_labels(m, f->question.n_classes, f->representative) : m->labels_id;
    return memory_checked(m, found, memory_row(m, labels, found));
}

/* ---- a projection ---- */

static Ordered order_by_projection(const Finder *f, const Projection *p)
{
    uint32_t size = 8 * p->words;
    Ordered o = {.key = type_int(p->bits), .keys = gather(f->m, (const uint8_t *)p->z, size, size, p->order), .order = p->order};
    memory_order(f->m, &o);
    return o;
}

Value memory_projected(Memory *m, const Projection *p)
{
    Builder *b = &m->b;
    Type key = type_int(p->bits);
    uint32_t size = 8 * p->words;
    uint8_t *weights = memory_bytes(m, (uint64_t)m->coordinates * size);
    for (uint32_t k = 0; k < m->coordinates; k++)
        memcpy(weights + (uint64_t)k * size, &p->weight[k], sizeof p->weight[k]);
    ConstId W = const_add(m->net->module, "projection", type_matrix(key, 1, m->coordinates), weights, m->op->span);
    Value x = type_is_float(m->key) ? build_unary(b, OP_ord, m->x) : m->x;
    if (!type_same_element(value_type(m->net, x), key))
        x = build_cast(b, x, key);
    Value z = build_affine(b, x, W, 0, 1);
    if (p->used < m->coordinates)
        value_op(m->net, z)->attr[AFFINE_zeros].i = ZEROS_skip;
    return build_reshape(b, z, 0, NULL);
}

static Value build_projection(const Finder *f, Ordered *o, const Projection *p)
{
    Memory *m = f->m;
    o->x = memory_projected(m, p);
    const char *how = str_printf(m->ctx->arena, " by a projection of %u coordinates to i%u (%u operations)", p->used, p->bits, 2 * p->used);
    memory_note(m, o, how);
    return memory_ordered(m, o);
}

/* ---- the choice ---- */

/* What is compared: operations in the worst case, or expected ones. */
static double cost(const Memory *m, double mean, uint32_t most)
{
    return m->weights ? mean : most;
}

static bool wants(const Finder *f, const char *by)
{
    return !f->by || strcmp(f->by, by) == 0;
}

static double try_column(Finder *f)
{
    uint32_t runs;
    f->column = wants(f, "coordinate") ? separating_column(&f->question, &runs) : f->m->coordinates;
    if (f->column == f->m->coordinates)
        return INFINITY;
    f->by_column = order_by_column(f, f->column);
    return cost(f->m, f->by_column.mean, f->by_column.depth);
}

/* `best`: what has been found. A tree that is as deep would not be taken, but for weights; nor one deeper than any projection. */
static double try_tree(Finder *f, double best)
{
    Memory *m = f->m;
    uint32_t limit = f->by ? m->rows : 2 * m->coordinates + levels(m->rows);
    if (!wants(f, "tree") || (!m->weights && best <= levels(f->question.n_classes)))
        return INFINITY;
    if (!m->weights && best < limit)
        limit = (uint32_t)best - 1;
    return coordinate_tree(m->ctx->arena, &f->question, limit, &f->tree) ? cost(m, f->tree.mean, f->tree.depth) : INFINITY;
}

/* Two coordinates or more: one alone has been tried. */
static double try_projection(Finder *f, double best)
{
    Memory *m = f->m;
    if (!wants(f, "projection") || best <= (m->weights ? 4 : 4 + levels(f->question.n_classes)) ||
        !find_projection(m->ctx->arena, &f->points, &f->question, WIDEST, &f->projection))
        return INFINITY;
    f->by_projection = order_by_projection(f, &f->projection);
    return cost(m, f->by_projection.mean, f->by_projection.depth) + 2 * f->projection.used;
}

static Value build_cheapest(Finder *f)
{
    double column = try_column(f), tree = try_tree(f, column), projection = try_projection(f, fmin(column, tree));
    if (column < INFINITY && column <= tree && column <= projection)
        return build_column(f, &f->by_column, f->column);
    if (projection < tree)
        return build_projection(f, &f->by_projection, &f->projection);
    if (tree == INFINITY && f->by) {
        diag_remark(f->m->ctx->diags, f->m->op->span, f->m->ctx->name, "no %s tells these keys apart: what costs least is built", f->by);
        f->by = NULL;
        return build_cheapest(f);
    }
    if (tree == INFINITY && !coordinate_tree(f->m->ctx->arena, &f->question, f->m->rows, &f->tree))
        ICE("rows that differ cannot be told apart");
    return build_tree(f, &f->tree);
}

Value memorize_points(Memory *m)
{
    Finder f = finder_of(m);
    if (f.question.n_classes == 1 && !memory_checks(m))
        return memory_label(m, 0);
    if (m->coordinates == 0)      /* one row, and it is what is asked for */
        return memory_label(m, 0);
    f.columns = points_columns(m->ctx->arena, &f.points);
    f.question.columns = &f.columns;
    f.question.weights = m->weights;
    return build_cheapest(&f);
}
