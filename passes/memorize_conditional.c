/* memorize_conditional.c — the method `conditional`: comparisons that halve what is left, and one label (Koyuncu, arXiv 2303.11247).
 *
 *      keys    1  3  4  7  8  9            %slot, %depth = search [4, 8], %x         x >= 4, then x >= 8 or nothing
 *      labels  a  a  b  b  c  c     =>     %y = row [a, b, c][%slot]
 *
 * Keys in their order fall into runs of equal labels; a leaf is a run, and begins at its first key, so a key between two of the data
 * has the label of the one before it. r runs are ceil(log2 r) comparisons. No bytes are copied when every key is a run: the thresholds
 * are the keys but the first.
 *
 * With unseen = any a threshold is the roundest number between the keys that it parts: the one whose image ends in most zeros. Few of its
 * bits matter, and a table holds no more of it (ir/search_table.c).
 *
 * With weights, the leaves lie as deep as they are rare: an explicit tree (`descend`) over integer images, where it saves at least
 * one comparison in ten on average; a table is faster than that. No leaf is taken for rarer than a share of 1/16n: so the worst case
 * stays logarithmic, at a price in the mean of a few hundredths of a comparison.
 *
 *      %i = ord %x                                                 floats: an integer that compares like them
 *      %class, %slot, %depth = descend @tree, %i
 *
 * Legality: the leaf of x is what the definition of `before` says, for every x: -0 and +0 have one image, infinities are numbers like
 * others. A NaN has the first leaf: `search` says so, and where a tree decides, images above that of infinity go to a leaf of their own
 * with the first label (a NaN with its sign bit lies below all numbers by itself). With unseen = any they stay in the last leaf. Keys
 * that must be compared with what was found (unseen = value, refuse) are not merged: each leaf is one key.
 *
 * Several coordinates: memorize_points.c, which asks here for a tree over one number.
 *
 * Ends: one op becomes a fixed number of ops.
 */
#include "memorize_conditional.h"

#include <math.h>
#include <string.h>

/* ---- leaves ---- */

static uint32_t row_at(const Ordered *o, uint32_t i)
{
    return o->order ? o->order[i] : i;
}

static bool begins_run(const Memory *m, const Ordered *o, uint32_t i)
{
    return i == 0 || memory_checks(m) ||
           memcmp(m->labels + row_at(o, i - 1) * m->label_bytes, m->labels + row_at(o, i) * m->label_bytes, m->label_bytes) != 0;
}

static void find_runs(const Memory *m, Ordered *o)
{
    for (uint32_t i = 0; i < m->rows; i++)
        o->n += begins_run(m, o, i);
    if (o->n == m->rows)
        return;
    o->start = arena_big(m->ctx->arena, (size_t)o->n * sizeof *o->start, 64);
    for (uint32_t i = 0, n = 0; i < m->rows; i++)
        if (begins_run(m, o, i))
            o->start[n++] = i;
}

static uint32_t start_of(const Ordered *o, uint32_t leaf)
{
    return o->start ? o->start[leaf] : leaf;
}

/* ---- weights ---- */

/* By leaf: what its keys weigh; one more leaf, for NaN, weighs nothing. */
static double *leaf_weights(const Memory *m, const Ordered *o)
{
    double *weights = arena_big(m->ctx->arena, ((size_t)o->n + 1) * sizeof *weights, 64), greatest = 0;
    for (uint32_t i = 0; i < m->rows; i++)
        greatest = fmax(greatest, m->weights[i]);
    for (uint32_t leaf = 0; leaf < o->n; leaf++) {
        uint32_t end = leaf + 1 < o->n ? start_of(o, leaf + 1) : m->rows;
        for (uint32_t i = start_of(o, leaf); i < end; i++)      /* relative to the greatest: sums are finite */
            weights[leaf] += m->weights[row_at(o, i)] / greatest;
    }
    return weights;
}

/* What searching the balanced tree costs on average, and what no tree of comparisons is below. */
static double balanced_mean(const Ordered *o, const double *share, double *entropy)
{
    double mean = 0;
    *entropy = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        mean += share[i] * search_depth(o->n, i);
        *entropy -= share[i] > 0 ? share[i] * log2(share[i]) : 0;
    }
    return mean;
}

static bool nan_needs_a_leaf(const Memory *m, const Ordered *o)
{
    const uint8_t *first = m->labels + row_at(o, 0) * m->label_bytes, *last = m->labels + row_at(o, start_of(o, o->n - 1)) * m->label_bytes;
    return type_is_float(o->key) && m->unseen == UNSEEN_before && o->n > 1 && memcmp(first, last, m->label_bytes) != 0;
}

static void weigh_tree(Memory *m, Ordered *o)
{
    enum { RAREST = 16 };
    const double *weights = leaf_weights(m, o);
    bool extra = nan_needs_a_leaf(m, o);
    double balanced = balanced_mean(o, weight_shares(m->ctx->arena, o->n, weights), &o->entropy);
    Decisions tree = alphabetic_tree(m->ctx->arena, o->n + extra, weights, RAREST);
    o->by_weight = tree.mean < 0.9 * balanced;
    o->mean = o->by_weight ? tree.mean : balanced;
    o->tree = tree;
    if (o->by_weight)
        o->depth = tree.depth;
}

void memory_order(Memory *m, Ordered *o)
{
    find_runs(m, o);
    o->mean = o->depth = search_depth(o->n, 0);
    if (m->weights && o->n > 1)
        weigh_tree(m, o);
}

/* ---- what was decided becomes ops ---- */

/* The image of an element less one, in memory form: x is not below the element exactly when its image is greater. */
void memory_threshold(Type key, const uint8_t *element, uint8_t *out)
{
    uint32_t size = type_element_bytes(key);
    memcpy(out, element, size);
    if (type_is_float(key)) {
        uint64_t image;
        point_image(key, element, &image);
        memcpy(out, &image, size);
    }
    for (uint32_t i = 0; i < size && out[i]-- == 0; i++)       /* borrows */
        continue;
}

Type memory_image_type(Type key)
{
    return type_is_int(key) ? type_element(key) : type_int(8 * type_element_bytes(key));
}

Value memory_descend(Memory *m, const TreePlan *plan, Value keys)
{
    const Decisions *d = plan->decisions;
    Module *module = m->net->module;
    Tree *tree = NEW(module->arena, Tree);
    TreeNode *node = memory_bytes(m, ((size_t)d->n_leaves - 1) * sizeof *node);
    TreeLeaf *leaf = memory_bytes(m, (size_t)d->n_leaves * sizeof *leaf);
    if (d->n_leaves > 1)
        memcpy(node, d->node, ((size_t)d->n_leaves - 1) * sizeof *node);
    for (uint32_t i = 0; i < d->n_leaves; i++)
        leaf[i].slot = plan->slot[i];
    *tree = (Tree){.key = plan->key, .n_keys = plan->n_keys, .n_nodes = d->n_leaves - 1, .n_leaves = d->n_leaves, .n_classes = 1,
                   .n_slots = plan->n_slots, .threshold = plan->threshold, .node = node, .leaf = leaf};
    OpInit init = {.kind = OP_descend, .n_operands = 1, .operand = &keys, .cst = {const_tree(module, "tree", tree, m->op->span)}};
    return build_op(&m->b, &init)->result[1];
}

/* The first key of a leaf. Behind the last: the least NaN, whose image follows that of infinity. */
static const uint8_t *first_key(const Ordered *o, uint32_t leaf)
{
    static const uint32_t nan32 = 0x7f800001;
    static const uint64_t nan64 = UINT64_C(0x7ff0000000000001);
    if (leaf == o->n)
        return o->key.elem == ELEM_F32 ? (const uint8_t *)&nan32 : (const uint8_t *)&nan64;
    return o->keys + (size_t)start_of(o, leaf) * type_element_bytes(o->key);
}

static Value weighed_slot(Memory *m, const Ordered *o)
{
    Type image = memory_image_type(o->key);
    uint32_t leaves = o->tree.n_leaves, size = type_element_bytes(image);
    uint32_t *slot = NEW_ARRAY(m->ctx->arena, leaves, uint32_t);
    uint8_t *threshold = memory_bytes(m, (uint64_t)(leaves - 1) * size);
    for (uint32_t i = 0; i < leaves; i++)
        slot[i] = i < o->n ? i : 0;
    for (uint32_t i = 0; i + 1 < leaves; i++)
        memory_threshold(o->key, first_key(o, o->tree.least[i]), threshold + (size_t)i * size);
    Value x = type_is_float(o->key) ? build_unary(&m->b, OP_ord, o->x) : o->x;
    x = build_reshape(&m->b, x, 1, &(uint32_t){1});
    return memory_descend(m, &(TreePlan){&o->tree, image, 1, threshold, slot, o->n}, x);
}

static bool may_be_round(const Memory *m, Type key)
{
    return m->unseen == UNSEEN_any && (type_is_float(key) || key.n == 32 || key.n == 64);
}

/* Of an image, as point_image gives it. */
static void put_image(Type key, int64_t image, uint8_t *to)
{
    if (type_is_float(key) && image < 0)
        image = -image | (type_element_bytes(key) == 4 ? INT64_C(1) << 31 : INT64_MIN);
    if (type_element_bytes(key) == 4)
        memcpy(to, &(uint32_t){(uint32_t)image}, 4);
    else
        memcpy(to, &image, 8);
}

/* Above `below`, up to `key`, the image that ends in most zeros: what tells them apart is the highest bit in which they differ. */
static int64_t roundest(Type type, const uint8_t *below, const uint8_t *key)
{
    uint64_t from, to;
    point_image(type, below, &from);
    point_image(type, key, &to);
    return (int64_t)(to & (UINT64_MAX << (63 - __builtin_clzll(from ^ to))));
}

/* Where any number between two keys may part them. */
static const uint8_t *round_thresholds(Memory *m, const Ordered *o)
{
    size_t size = type_element_bytes(o->key);
    uint8_t *out = memory_bytes(m, (o->n - 1) * size);
    for (uint32_t i = 1; i < o->n; i++) {
        const uint8_t *key = o->keys + start_of(o, i) * size;
        put_image(o->key, roundest(o->key, key - size, key), out + (i - 1) * size);
    }
    return out;
}

/* The first keys of the runs but the first. */
static ConstId thresholds(Memory *m, const Ordered *o)
{
    size_t size = type_element_bytes(o->key);
    const uint8_t *data = o->keys + size;
    if (may_be_round(m, o->key)) {
        data = round_thresholds(m, o);
    } else if (o->start) {
        uint8_t *copy = memory_bytes(m, (o->n - 1) * size);
        for (uint32_t i = 1; i < o->n; i++)
            memcpy(copy + (i - 1) * size, o->keys + o->start[i] * size, size);
        data = copy;
    }
    return const_add(m->net->module, "thresholds", type_vector(o->key, o->n - 1), data, m->op->span);
}

static Value slot_of(Memory *m, const Ordered *o)
{
    if (o->by_weight)
        return weighed_slot(m, o);
    OpInit init = {.kind = OP_search, .n_operands = 1, .operand = &o->x, .cst = {thresholds(m, o)}};
    return build_op(&m->b, &init)->result[0];
}

ConstId memory_labels(Memory *m, uint32_t n, const uint32_t *row)
{
    uint8_t *data = memory_bytes(m, n * m->label_bytes);
    uint32_t dim[IR_MAX_RANK] = {n};
    for (uint32_t i = 0; i < n; i++)
        memcpy(data + i * m->label_bytes, m->labels + row[i] * m->label_bytes, m->label_bytes);
    memcpy(dim + 1, m->label.dim, m->label.rank * sizeof *dim);
    return const_add(m->net->module, "labels", type_with_dims(m->label, m->label.rank + 1, dim), data, m->op->span);
}

/* A key that is found leads to its row. */
static Value checked_label(Memory *m, const Ordered *o, Value slot)
{
    Value row = slot;
    if (o->order) {
        uint32_t *rows = memory_bytes(m, (size_t)m->rows * sizeof *rows);
        memcpy(rows, o->order, (size_t)m->rows * sizeof *rows);
        row = memory_row(m, const_add(m->net->module, "rows", type_vector(type_idx(m->rows), m->rows), rows, m->op->span), slot);
    }
    return memory_checked(m, row, memory_row(m, m->labels_id, row));
}

static Value run_label(Memory *m, const Ordered *o, Value slot)
{
    if (!o->start && !o->order)
        return memory_row(m, m->labels_id, slot);
    uint32_t *row = NEW_ARRAY(m->ctx->arena, o->n, uint32_t);
    for (uint32_t i = 0; i < o->n; i++)
        row[i] = row_at(o, start_of(o, i));
    return memory_row(m, memory_labels(m, o->n, row), slot);
}

Value memory_ordered(Memory *m, const Ordered *o)
{
    if (o->n == 1 && !memory_checks(m))
        return memory_label(m, 0);
    Value slot = slot_of(m, o);
    return memory_checks(m) ? checked_label(m, o, slot) : run_label(m, o, slot);
}

/* ---- what --pass-stats says ---- */

const char *memory_words(Memory *m)
{
    const char *key = type_print(m->ctx->arena, m->key);
    return str_printf(m->ctx->arena, "%s: %u rows of %u x %s", m->net->name, m->rows, m->coordinates, key);
}

void memory_note(Memory *m, const Ordered *o, const char *how)
{
    const char *data = memory_words(m), *leaves = memory_checks(m) ? "keys" : "runs of equal labels";
    if (o->by_weight)
        pass_note(m->ctx, "%s, %u %s%s: a tree by weight, %.3g comparisons expected (entropy %.3g), at most %u", data, o->n, leaves, how,
                  o->mean, o->entropy, o->depth);
    else if (m->weights && o->n > 1)
        pass_note(m->ctx, "%s, %u %s%s: a balanced tree, %.3g comparisons expected (entropy %.3g; by weight %.3g), at most %u", data, o->n,
                  leaves, how, o->mean, o->entropy, o->tree.mean, o->depth);
    else
        pass_note(m->ctx, "%s, %u %s%s: a balanced tree, at most %u comparisons", data, o->n, leaves, how, o->depth);
}

Value memorize_conditional(Memory *m)
{
    if (!m->is_scalar)
        return memorize_points(m);
    Ordered o = {.x = m->x, .key = m->key, .keys = m->keys};
    memory_order(m, &o);
    memory_note(m, &o, "");
    return memory_ordered(m, &o);
}
