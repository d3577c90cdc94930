/* merge_affine.c — what is affine of an affine is affine: one op instead of two, where that is fewer operations.
 *
 *      %c = sub %x, %mean                            %h = affine %x, @W, @"b − W mean"
 *      %h = affine %c, @W, @b                =>
 *
 *      %h = affine %x, @W1, @b1      (2x100)         %y = affine %x, @"W2 W1", @"W2 b1 + b2"     (3x100)
 *      %y = affine %h, @W2, @b2      (3x2)   =>      … only if rows2 · cols1 < rows1 · cols1 + rows2 · rows1
 *
 *      %y = affine %x, @W, @b                        %s = affine %x, @"W · scale", @"b · scale"
 *      %s = mul %y, %scale                   =>
 *
 * Both sides of an affine take in add, sub, mul, div by constants and neg. A step that changes nothing but a bias keeps the
 * weights, bytes and all.
 *
 * Legality: equal in real arithmetic, so it runs under `real` numerics only, and it certifies what it does: with B the
 * bound of error_bound.c on |computed − real|, over the input box, |compiled − source| <= B(before) + B(after), where
 * B(after) includes the rounding of the merged weights. That sum is added to network.certified_error. No box, or an
 * op through which no bound is known: nothing is merged, and a remark says why. Under the bound no value is NaN or
 * infinite; a zero's sign may change. Outside the box nothing is certified (the status says that it was outside). The source
 * is the network that comes in: after `widen`, the one as written computed in f64.
 *
 * Ends: every merge removes an op that computes from the live network and adds none.
 */
#include "affine_map.h"
#include "error_bound.h"
#include "pass_util.h"

#include <math.h>
#include <string.h>

typedef struct Merge { Value old; Op *merged; } Merge;

typedef struct Merger {
    Network *net;
    PassContext *ctx;
    uint32_t *uses;
    size_t n_uses;
    InexactList inexact;
    Vec(Merge) done;
} Merger;

/* ---- what can be merged ---- */

/* Not one that skips zeros: a merged matrix may have fewer of them, so that it would be more operations, not less. */
static bool is_plain_affine(const Network *net, const Op *op)
{
    return op && op->kind == OP_affine && type_is_float(value_type(net, op->result[0])) && !op_operand(op, AFFINE_i)
        && !op_operand(op, AFFINE_j) && !op_operand(op, AFFINE_cols) && !op_operand(op, AFFINE_rows) && !op_skips_zeros(op);
}

static const Const *float_const(const Network *net, Value v)
{
    ConstId id = value_const(net, v);
    const Const *c = id ? const_get(net->module, id) : NULL;
    return c && c->kind == CONST_TENSOR && type_is_float(c->type) && const_all_finite(c) ? c : NULL;
}

/* Reads `op` as a diagonal map of one of its operands. */
static bool read_diagonal(Merger *m, const Op *op, Diagonal *d)
{
    if (!op || (op->kind != OP_add && op->kind != OP_sub && op->kind != OP_mul && op->kind != OP_div && op->kind != OP_neg))
        return false;
    const Network *net = m->net;
    Type t = value_type(net, op->result[0]);
    const Const *right = op->kind == OP_neg ? NULL : float_const(net, op_operand(op, 1));
    const Const *left = op->kind == OP_neg || right ? NULL : float_const(net, op_operand(op, 0));
    d->x = op_operand(op, left ? 1 : 0);
    if (!type_is_float(t) || t.rank > 1 || !type_equal(value_type(net, d->x), t) || (op->kind != OP_neg && !left && !right)
        || (op->kind == OP_div && left))
        return false;
    d->n = type_count(t);
    d->scale = NEW_ARRAY(m->ctx->arena, d->n, double);
    d->shift = NEW_ARRAY(m->ctx->arena, d->n, double);
    d->only_shift = op->kind == OP_add || (op->kind == OP_sub && right);
    const Const *c = left ? left : right;
    for (uint64_t i = 0; i < d->n; i++) {
        double v = c ? const_f64(c, type_count(c->type) == 1 ? 0 : i) : 0;
        if (op->kind == OP_div && !(fabs(v) > 0x1p-1000 && fabs(v) < 0x1p1000))   /* 1 / v keeps its precision */
            return false;
        bool negated = op->kind == OP_neg || (op->kind == OP_sub && left), added = op->kind == OP_add || (op->kind == OP_sub && left);
        d->scale[i] = op->kind == OP_mul ? v : op->kind == OP_div ? 1 / v : negated ? -1 : 1;
        d->shift[i] = added ? v : op->kind == OP_sub ? -v : 0;
    }
    return true;
}

static Map read_affine(Merger *m, const Op *op)
{
    Arena *arena = m->ctx->arena;
    const Const *W = const_get(m->net->module, op->cst[AFFINE_W]);
    Map map = {.rows = W->type.dim[0], .cols = W->type.dim[1], .weight = const_doubles(arena, W)};
    const Inexact *e = inexact_find(&m->inexact, op);
    map.bias = op->cst[AFFINE_b] ? const_doubles(arena, const_get(m->net->module, op->cst[AFFINE_b]))
                                 : NEW_ARRAY(arena, map.rows, double);
    map.weight_error = NEW_ARRAY(arena, map.rows * map.cols, double);
    map.bias_error = NEW_ARRAY(arena, map.rows, double);
    if (e) {
        memcpy(map.weight_error, e->weight, map.rows * map.cols * sizeof(double));
        memcpy(map.bias_error, e->bias, map.rows * sizeof(double));
    }
    return map;
}

/* ---- storing ---- */

/* Rounds to the element type; the rounding joins the errors. */
static ConstId store(Merger *m, const char *name, Type type, double *value, double *error)
{
    Module *module = m->net->module;
    uint64_t n = type_count(type);
    uint8_t *data = arena_big(module->arena, n * type_element_bytes(type), 64);
    for (uint64_t i = 0; i < n; i++) {
        if (type.elem == ELEM_F64) {
            memcpy(data + 8 * i, &value[i], 8);
            continue;
        }
        float f = (float)value[i];
        memcpy(data + 4 * i, &f, 4);
        error[i] = (error[i] + fabs((double)f - value[i])) * (1 + 0x1p-50);
    }
    return const_add(module, name, type, data, NOWHERE);
}

static void release(Merger *m, Value v)
{
    if (v >= m->n_uses || --m->uses[v] > 0)
        return;
    const Op *op = value_op(m->net, v);
    for (uint32_t s = 0; op && s < op->n_operands; s++)
        if (op_operand(op, s))
            release(m, op_operand(op, s));
}

static uint32_t *use(Merger *m, Value v)
{
    if (v >= m->n_uses) {         /* values made since the count */
        size_t n = m->net->values.len;
        uint32_t *more = NEW_ARRAY(m->ctx->arena, n, uint32_t);
        memcpy(more, m->uses, m->n_uses * sizeof *more);
        m->uses = more;
        m->n_uses = n;
    }
    return &m->uses[v];
}

/* An affine with the map replaces `old`, which stays (unused) until its going is certain. `W` not 0: these weights. The affine
 * that lends its name lends its site too: a profile of it holds. */
static Op *replace(Merger *m, Op *old, Value x, Map *map, ConstId W, const Op *named)
{
    Network *net = m->net;
    Type element = type_element(value_type(net, x));
    const Module *module = net->module;
    const char *name = const_get(module, named->cst[AFFINE_W])->name;
    if (!W)
        W = store(m, str_printf(m->ctx->arena, "%s.merged", name),
                  type_matrix(element, (uint32_t)map->rows, (uint32_t)map->cols), map->weight, map->weight_error);
    ConstId b = store(m, str_printf(m->ctx->arena, "%s.bias", name), type_vector(element, (uint32_t)map->rows), map->bias,
                      map->bias_error);
    Builder at = builder_before(old);
    Op *merged = value_op(net, build_affine(&at, x, W, b, ir_chains(map->rows, map->cols)));
    merged->site = named->site;
    merged->lower = named->lower;
    merged->below = named->below;
    ValueInfo *info = &net->values.at[merged->result[0]];
    info->name = net->values.at[old->result[0]].name;
    *use(m, merged->result[0]) = *use(m, old->result[0]);
    (*use(m, x))++;
    *use(m, old->result[0]) = 1;
    release(m, old->result[0]);
    value_replace(net, old->result[0], merged->result[0]);
    vec_push(m->ctx->arena, m->inexact.ops, ((Inexact){merged, map->weight_error, map->bias_error}));
    vec_push(m->ctx->arena, m->done, ((Merge){old->result[0], merged}));
    return merged;
}

/* ---- the three merges; each returns the new op or NULL ---- */

static Op *merge_diagonal_before(Merger *m, Op *op)
{
    Diagonal d;
    if (!read_diagonal(m, value_op(m->net, op_operand(op, AFFINE_x)), &d))
        return NULL;
    Map map = read_affine(m, op);
    map_compose_before(&map, &d);
    return replace(m, op, d.x, &map, d.only_shift ? op->cst[AFFINE_W] : 0, op);
}

static uint64_t nonzeros_of(const Merger *m, const Op *affine)
{
    return const_nonzeros(const_get(m->net->module, affine->cst[AFFINE_W]));
}

static Op *merge_dense(Merger *m, Op *op)
{
    Op *inner = value_op(m->net, op_operand(op, AFFINE_x));
    if (!is_plain_affine(m->net, inner) || *use(m, inner->result[0]) != 1)
        return NULL;
    uint64_t rows = type_count(value_type(m->net, op->result[0]));
    uint64_t cols = type_count(value_type(m->net, op_operand(inner, AFFINE_x)));
    /* Zero weights cost nothing, and a product of sparse matrices is rarely sparse. */
    if (rows * cols >= nonzeros_of(m, inner) + nonzeros_of(m, op))
        return NULL;
    Map after = read_affine(m, op), before = read_affine(m, inner);
    Map map = map_compose(m->ctx->arena, &after, &before);
    return replace(m, op, op_operand(inner, AFFINE_x), &map, 0, op);
}

static Op *merge_diagonal_after(Merger *m, Op *op)
{
    Diagonal d;
    if (!read_diagonal(m, op, &d))
        return NULL;
    Op *inner = value_op(m->net, d.x);
    if (!is_plain_affine(m->net, inner) || *use(m, d.x) != 1)
        return NULL;
    Map map = read_affine(m, inner);
    map_compose_after(&map, &d);
    return replace(m, op, op_operand(inner, AFFINE_x), &map, d.only_shift ? inner->cst[AFFINE_W] : 0, inner);
}

static void merge_all(Merger *m, Op *op)
{
    while (op && op->n_results == 1 && *use(m, op->result[0]) > 0) {
        Op *next = NULL;
        if (is_plain_affine(m->net, op)) {
            next = merge_diagonal_before(m, op);
            next = next ? next : merge_dense(m, op);
        } else {
            next = merge_diagonal_after(m, op);
        }
        op = next;
    }
}

/* Only the body: no bound is known through regions anyway. */
static void merge_body(Merger *m)
{
    for (Op *op = m->net->body->first, *next; op; op = next) {
        next = op->next;
        merge_all(m, op);
    }
}

/* While the old ops are still there, the network as it was is one forward away: merges are switched off and on. */
static void switch_merges(Merger *m, bool on)
{
    for (size_t i = 0; i < m->done.len; i++)
        m->net->values.at[m->done.at[i].old].forward = on ? m->done.at[i].merged->result[0] : 0;
}

static void undo(Merger *m)
{
    switch_merges(m, false);
    for (size_t i = 0; i < m->done.len; i++)
        op_remove(m->done.at[i].merged);
}

/* Adds the bounds of the network as it was and as it is now. */
static bool certify(Merger *m, double *error, const char **why)
{
    double before, after;
    switch_merges(m, false);
    bool ok = error_bound(m->ctx->arena, m->net, NULL, &before, why);
    switch_merges(m, true);
    ok = ok && error_bound(m->ctx->arena, m->net, &m->inexact, &after, why);
    if (ok)
        *error = (*error + before + after) * (1 + 0x1p-50);
    return ok;
}

bool pass_merge_affine(Network *net, PassContext *ctx)
{
    network_settle(net);
    Merger m = {.net = net, .ctx = ctx, .uses = network_count_uses(ctx->arena, net), .n_uses = net->values.len};
    merge_body(&m);
    if (m.done.len == 0)
        return false;
    const char *why = NULL;
    if (!certify(&m, &net->certified_error, &why)) {
        undo(&m);
        diag_remark(ctx->diags, net->span, ctx->name, "`%s` left as written, for the difference cannot be certified: %s",
                    net->name, why);
        return false;
    }
    network_settle(net);
    remove_unused_ops(net, ctx->arena);
    pass_stat(ctx, "ops merged", m.done.len);
    return true;
}
