/* simplify_shapes.c — drop reshapes, transposes, slices, concats and casts that move nothing.
 *
 *      %a = reshape %x : f32[1,784]                  %h = affine %x, @W, @b
 *      %b = reshape %a : f32[784]            =>
 *      %h = affine %b, @W, @b
 *
 *      reshape (reshape x)        → reshape x               slice of everything      → its operand
 *      reshape to the same type   → its operand             slice (slice x)          → slice x
 *      transpose (transpose x)    → transpose x             slice within one part of a concat → slice of the part
 *      transpose of extents 1     → reshape                 concat of one part, or with empty parts → without
 *      transpose that is identity → its operand             concat of neighbouring slices of x → slice x
 *      cast to the same type, f32 → f64 → f32 → its operand
 *
 * Same bits: elements are copied, never computed with, so NaN, infinities and −0.0 go through unchanged; a cast to a wider float
 * and back is the identity (a signalling NaN may become quiet: every NaN equals every other).
 *
 * Ends: each step removes an op or moves an operand to an earlier definition; the sweep repeats while something changes.
 */
#include "pass_util.h"

static bool simplify_reshape(Network *net, Op *op)
{
    Type to = value_type(net, op->result[0]);
    Value a = op_operand(op, 0);
    if (type_equal(value_type(net, a), to)) {
        replace_op(op, a);
        return true;
    }
    const Op *inner = definition(net, op_operand(op, 0), OP_reshape);
    if (!inner)
        return false;
    op->operand[0] = op_operand(inner, 0);
    return true;
}

/* ---- transpose ---- */

/* Whether only extents of 1 change places: then the elements' order is the same. */
static bool keeps_order(Type from, const int64_t *perm)
{
    int64_t last = -1;
    for (uint32_t d = 0; d < from.rank; d++) {
        if (from.dim[perm[d]] == 1)
            continue;
        if (perm[d] < last)
            return false;
        last = perm[d];
    }
    return true;
}

static bool simplify_transpose(Network *net, Op *op)
{
    Value a = op_operand(op, 0);
    Type from = value_type(net, a), to = value_type(net, op->result[0]);
    const int64_t *perm = op->attr[0].list;
    if (keeps_order(from, perm)) {
        Builder b = builder_before(op);
        replace_op(op, build_reshape(&b, a, to.rank, to.dim));
        return true;
    }
    const Op *inner = definition(net, op_operand(op, 0), OP_transpose);
    if (!inner)
        return false;
    uint32_t both[IR_MAX_RANK];
    for (uint32_t d = 0; d < to.rank; d++)
        both[d] = (uint32_t)inner->attr[0].list[perm[d]];
    Builder b = builder_before(op);
    replace_op(op, build_transpose(&b, op_operand(inner, 0), both));
    return true;
}

/* ---- slice ---- */

/* from = offset + op's own from; the slice of `a` there replaces op. */
static void replace_by_slice(Network *net, Op *op, Value a, const int64_t *offset)
{
    Type to = value_type(net, op->result[0]);
    uint32_t from[IR_MAX_RANK];
    for (uint32_t d = 0; d < to.rank; d++)
        from[d] = (uint32_t)(op->attr[0].list[d] + offset[d]);
    Builder b = builder_before(op);
    replace_op(op, build_slice(&b, a, from, to.dim));
}

/* The slice lies in one part of a concat: take it from there. */
static bool slice_of_part(Network *net, Op *op, const Op *concat)
{
    uint32_t axis = (uint32_t)concat->attr[0].i;
    int64_t from = op->attr[0].list[axis], size = value_type(net, op->result[0]).dim[axis], begin = 0;
    for (uint32_t i = 0; i < concat->n_operands; i++) {
        Value part = op_operand(concat, i);
        int64_t end = begin + value_type(net, part).dim[axis];
        if (size > 0 && from >= begin && from + size <= end) {
            int64_t offset[IR_MAX_RANK] = {0};
            offset[axis] = -begin;
            replace_by_slice(net, op, part, offset);
            return true;
        }
        begin = end;
    }
    return false;
}

static bool simplify_slice(Network *net, Op *op)
{
    Value a = op_operand(op, 0);
    if (type_equal(value_type(net, a), value_type(net, op->result[0]))) {
        replace_op(op, a);
        return true;
    }
    const Op *inner = definition(net, op_operand(op, 0), OP_slice);
    if (inner) {
        replace_by_slice(net, op, op_operand(inner, 0), inner->attr[0].list);
        return true;
    }
    const Op *concat = definition(net, op_operand(op, 0), OP_concat);
    return concat && slice_of_part(net, op, concat);
}

/* ---- concat ---- */

static bool drop_empty_parts(Network *net, Op *op, uint32_t axis)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < op->n_operands; i++) {
        bool empty = value_type(net, op_operand(op, i)).dim[axis] == 0;
        if (!empty || (kept == 0 && i + 1 == op->n_operands))     /* all empty: the last one stays */
            op->operand[kept++] = op->operand[i];
    }
    bool changed = kept < op->n_operands;
    op->n_operands = kept;
    return changed;
}

/* Parts that are slices of one value, each where the one before ended, and equal to it in every other extent. */
static bool join_slices(Network *net, Op *op, uint32_t axis)
{
    const Op *first = definition(net, op_operand(op, 0), OP_slice);
    if (!first)
        return false;
    int64_t at = first->attr[0].list[axis];
    for (uint32_t i = 0; i < op->n_operands; i++) {
        const Op *s = definition(net, op_operand(op, i), OP_slice);
        if (!s || op_operand(s, 0) != op_operand(first, 0) || s->attr[0].list[axis] != at)
            return false;
        for (uint32_t d = 0; d < s->attr[0].n; d++)
            if (d != axis && s->attr[0].list[d] != first->attr[0].list[d])
                return false;
        at += value_type(net, s->result[0]).dim[axis];
    }
    uint32_t from[IR_MAX_RANK];
    Type to = value_type(net, op->result[0]);
    for (uint32_t d = 0; d < to.rank; d++)
        from[d] = (uint32_t)first->attr[0].list[d];
    Builder b = builder_before(op);
    replace_op(op, build_slice(&b, op_operand(first, 0), from, to.dim));
    return true;
}

static bool simplify_concat(Network *net, Op *op)
{
    uint32_t axis = (uint32_t)op->attr[0].i;
    bool changed = drop_empty_parts(net, op, axis);
    if (op->n_operands == 1) {
        replace_op(op, op_operand(op, 0));
        return true;
    }
    return join_slices(net, op, axis) || changed;
}

/* ---- cast ---- */

static bool simplify_cast(Network *net, Op *op)
{
    Value a = op_operand(op, 0);
    Type to = value_type(net, op->result[0]);
    const Op *inner = definition(net, op_operand(op, 0), OP_cast);
    if (inner && to.elem == ELEM_F32 && value_type(net, a).elem == ELEM_F64
        && value_type(net, op_operand(inner, 0)).elem == ELEM_F32)
        a = op_operand(inner, 0);
    if (!type_equal(value_type(net, a), to))
        return false;
    replace_op(op, a);
    return true;
}

/* One step on one op. */
static bool simplify(Network *net, Op *op)
{
    return (op->kind == OP_reshape && simplify_reshape(net, op))
        || (op->kind == OP_transpose && simplify_transpose(net, op))
        || (op->kind == OP_slice && simplify_slice(net, op))
        || (op->kind == OP_concat && simplify_concat(net, op))
        || (op->kind == OP_cast && simplify_cast(net, op));
}

bool pass_simplify_shapes(Network *net, PassContext *ctx)
{
    size_t steps = 0, before;
    do {
        before = steps;
        OpWalk walk;
        FOR_EACH_OP(walk, op, net)
            steps += simplify(net, op);
    } while (steps > before);
    pass_stat(ctx, "simplifications", steps);
    return steps > 0;
}
