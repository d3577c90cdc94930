/* piecewise_build.c — the search that takes the place of a region of one scalar.
 *
 *      %slot, %depth = search @x.breaks, %x
 *      %y = row @y.labels[%slot]                                     constants
 *      %y = row @y.slopes[%slot] · %x + row @y.offsets[%slot]        maps: of floats in f64, what is stored is cast
 *
 * In: a plan. Out: constants and ops; under the policy `dense` in one arm of an `if`, with the region's own ops in the other. The one
 * idea: integers are taken modulo 2^N here, as the network's ops would: slope and offset wrap, and so does the sum, back to the value.
 */
#include "pass_util.h"
#include "piecewise.h"

#include <string.h>

static const char *name_or(const Network *net, Value v, const char *otherwise)
{
    const char *name = net->values.at[v].name;
    return name ? name : otherwise;
}

const char *piecewise_name(const Network *net, Value v) { return name_or(net, v, "a value"); }

/* ---- constants ---- */

/* A big number as an element of an integer type, wrapped. */
static void store_integer(Job *job, uint8_t *to, Type t, const Limb *a, uint32_t n)
{
    uint32_t bytes = type_element_bytes(t), limbs = (bytes + 7) / 8, used = (t.n + 63) / 64;
    Limb *r = NEW_ARRAY(job->ctx->arena, limbs + used, Limb);
    big_extend(r, limbs > used ? limbs : used, a, n);
    uint32_t unused = used * 64 - t.n;
    r[used - 1] = (Limb)((int64_t)(r[used - 1] << unused) >> unused);
    big_extend(r, limbs > used ? limbs : used, r, used);
    memcpy(to, r, bytes);
}

static void store_float(uint8_t *to, Type t, double d)
{
    float f = (float)d;
    memcpy(to, t.elem == ELEM_F32 ? (const void *)&f : (const void *)&d, type_element_bytes(t));
}

/* x − the least one, as x. */
static Limb *absolute(const Job *job, const Plan *plan, size_t p, uint32_t n)
{
    Limb *at = NEW_ARRAY(job->ctx->arena, n, Limb), *start = NEW_ARRAY(job->ctx->arena, n, Limb);
    memcpy(start, piece_start(&plan->pieces, p), (plan->pieces.position_limbs < n ? plan->pieces.position_limbs : n) * sizeof *start);
    big_extend(at, n, plan->lo, plan->lo_limbs);
    big_add(at, at, start, n);
    return at;
}

static ConstId add_const(Job *job, const char *name, Type type, void **data)
{
    *data = arena_big(job->net->module->arena, type_count(type) * type_element_bytes(type) + 1, 64);
    return const_add(job->net->module, name, type, *data, NOWHERE);
}

static ConstId make_keys(Job *job, const Plan *plan, const char *name)
{
    size_t n = plan->pieces.n - 1;
    uint32_t bytes = type_element_bytes(plan->type), limbs = plan->lo_limbs + plan->pieces.position_limbs + 1;
    void *data;
    ConstId id = add_const(job, str_printf(job->ctx->arena, "%s.breaks", name), type_vector(plan->type, (uint32_t)n), &data);
    for (size_t p = 1; p <= n; p++) {
        uint8_t *to = (uint8_t *)data + (p - 1) * bytes;
        if (plan->floats)
            store_float(to, plan->type, plan->from[p]);
        else
            store_integer(job, to, plan->type, absolute(job, plan, p, limbs), limbs);
    }
    return id;
}

/* slope · x + offset with offset = value − slope · start, modulo 2^N. */
static void integer_offset(Job *job, const Plan *plan, uint32_t w, size_t p, uint8_t *to, Type t)
{
    uint32_t n = plan->pieces.limbs[w], all = (t.n + 63) / 64 + n;
    Limb *offset = NEW_ARRAY(job->ctx->arena, all, Limb), *x = absolute(job, plan, p, all);
    big_neg(x, x, all);
    big_extend(offset, all, piece_value(&plan->pieces, w, p), n);
    big_add_product(offset, x, all, piece_slope(&plan->pieces, w, p), n);
    store_integer(job, to, t, offset, all);
}

typedef enum Part { PART_LABEL, PART_SLOPE, PART_OFFSET } Part;

static void store_part(Job *job, const Plan *plan, const Leaf *leaf, Part part, Type t, size_t p, uint32_t i, uint8_t *to)
{
    uint32_t w = leaf->first + i;
    if (plan->floats) {
        FloatLeaf l = plan->leaves.leaf[w * plan->leaves.n + p];
        store_float(to, t, part == PART_SLOPE ? l.a : l.b);
    } else if (part == PART_OFFSET) {
        integer_offset(job, plan, w, p, to, t);
    } else {
        const Limb *a = part == PART_SLOPE ? piece_slope(&plan->pieces, w, p) : piece_value(&plan->pieces, w, p);
        store_integer(job, to, t, a, plan->pieces.limbs[w]);
    }
}

/* One number for each leaf and element: a stack of tensors of the shape `each`, or, of one leaf, such a tensor. */
static ConstId make_part(Job *job, const Plan *plan, const Leaf *leaf, Part part, Type each, const char *name)
{
    static const char *const words[] = {"labels", "slopes", "offsets"};
    size_t n = plan->pieces.n;
    Type type = each;
    if (n > 1) {
        uint32_t dim[IR_MAX_RANK] = {(uint32_t)n};
        memcpy(dim + 1, each.dim, each.rank * sizeof *dim);
        type = type_with_dims(each, each.rank + 1, dim);
    }
    uint32_t bytes = type_element_bytes(type);
    void *data;
    ConstId id = add_const(job, str_printf(job->ctx->arena, "%s.%s", name, words[part]), type, &data);
    for (size_t p = 0; p < n; p++) {
        Arena *keep = job->ctx->arena, *scratch = job->ctx->arena = arena_new(keep);
        if (!scratch)
            arena_exhausted(keep);
        for (uint32_t i = 0; i < leaf->n; i++)
            store_part(job, plan, leaf, part, each, p, i, (uint8_t *)data + (p * leaf->n + i) * bytes);
        job->ctx->arena = keep;
        arena_free(scratch);
    }
    if (n > 1)
        const_get(job->net->module, id)->kind = CONST_STACK;
    return id;
}

/* ---- ops ---- */

/* The scalar out of its value. */
static Value build_root(Builder *b, const Region *r)
{
    Type t = value_type(b->net, r->root.base);
    if (t.rank == 0)
        return r->root.base;
    if (type_count(t) == 1)
        return build_reshape(b, r->root.base, 0, NULL);
    return build_reshape(b, build_slice(b, r->root.base, (uint32_t[]){(uint32_t)r->root.element}, (uint32_t[]){1}), 0, NULL);
}

static Value build_slot(Job *job, Builder *b, const Plan *plan, Value x, const char *name)
{
    OpInit init = {.kind = OP_search, .n_operands = 1, .operand = &x, .cst = {make_keys(job, plan, name)}};
    return build_op(b, &init)->result[0];
}

static Value build_row(Builder *b, ConstId stack, Value slot)
{
    if (!slot)
        return build_const(b, stack);
    return build_op(b, &(OpInit){.kind = OP_row, .n_operands = 1, .operand = &slot, .cst = {stack}})->result[0];
}

/* Integers whose slopes are all 1: an offset is enough. */
static bool is_shift(const Plan *plan, const Leaf *leaf)
{
    for (uint32_t i = 0; i < leaf->n; i++)
        for (size_t p = 0; p < plan->pieces.n; p++) {
            const Limb *slope = piece_slope(&plan->pieces, leaf->first + i, p);
            if (plan->floats || slope[0] != 1 || big_bits(slope, plan->pieces.limbs[leaf->first + i]) != 1)
                return false;
        }
    return true;
}

/* A stack has one dimension more, so what has all of them already is stored flat. */
static Type stored_shape(Type t) { return t.rank < IR_MAX_RANK ? t : type_vector(type_element(t), (uint32_t)type_count(t)); }

static Value in_shape(Builder *b, Value v, Type t)
{
    return value_type(b->net, v).rank == t.rank ? v : build_reshape(b, v, t.rank, t.dim);
}

/* A label; or slope · x + offset, of floats in f64. */
static Value build_leaf(Job *job, Builder *b, const Plan *plan, const Leaf *leaf, Value x, Value slot)
{
    Type whole = value_type(job->net, leaf->old), element = type_element(whole), inner = plan->floats ? type_f64() : element;
    Type t = stored_shape(whole);
    const char *name = str_dup(job->ctx->arena, name_or(job->net, leaf->old, "y"));
    if (leaf->constant)
        return in_shape(b, build_row(b, make_part(job, plan, leaf, PART_LABEL, t, name), slot), whole);
    Value y = build_cast(b, x, inner);
    if (!is_shift(plan, leaf)) {
        Value slope = build_row(b, make_part(job, plan, leaf, PART_SLOPE, type_with_dims(leaf->stored_a, t.rank, t.dim), name), slot);
        y = build_binary(b, OP_mul, build_cast(b, slope, inner), y);
    } else if (t.rank > 0) {
        y = build_splat(b, y, type_with_dims(inner, t.rank, t.dim));
    }
    Value offset = build_row(b, make_part(job, plan, leaf, PART_OFFSET, type_with_dims(leaf->stored_b, t.rank, t.dim), name), slot);
    return in_shape(b, build_cast(b, build_binary(b, OP_add, y, build_cast(b, offset, inner)), element), whole);
}

static void build_leaves(Job *job, Builder *b, const Plan *plan, Value *out)
{
    Value x = build_root(b, plan->region);
    Value slot = plan->pieces.n > 1 ? build_slot(job, b, plan, x, name_or(job->net, plan->region->root.base, "x")) : 0;
    for (size_t k = 0; k < plan->region->frontier.len; k++)
        out[k] = build_leaf(job, b, plan, &plan->leaf[k], x, slot);
}

typedef struct Inside { Job *job; const Plan *plan; } Inside;

static void build_inside_box(Builder *b, void *data, Value *out)
{
    const Inside *inside = data;
    build_leaves(inside->job, b, inside->plan, out);
}

/* if %inside { search } else { the region } */
static void build_guarded(Job *job, Builder *b, const Plan *plan, Value *out)
{
    const Region *r = plan->region;
    if (!job->inside)
        job->inside = guard_with_status(job->net);
    Fallback otherwise = {r->ops.at, r->ops.len, r->frontier.at, (uint32_t)r->frontier.len};
    build_with_fallback(b, job->ctx->arena, job->inside, build_inside_box, &(Inside){job, plan}, &otherwise, out);
}

void piecewise_replace(Job *job, const Plan *plan)
{
    const Region *r = plan->region;
    Builder b = builder_before(r->ops.at[0]);
    b.span = r->ops.at[r->ops.len - 1]->span;
    Value *now = NEW_ARRAY(job->ctx->arena, r->frontier.len, Value);
    if (plan->boxed && job->net->options.outside == OUTSIDE_dense)
        build_guarded(job, &b, plan, now);
    else
        build_leaves(job, &b, plan, now);
    for (size_t k = 0; k < r->frontier.len; k++) {
        ValueInfo *info = &job->net->values.at[now[k]];
        info->name = info->name ? info->name : job->net->values.at[r->frontier.at[k]].name;
        value_replace(job->net, r->frontier.at[k], now[k]);
    }
    pass_stat(job->ctx, "pieces", plan->pieces.n);
}

