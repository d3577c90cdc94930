/* lowering.c — how the columns of each affine are walked: its annotation, where that is sound.
 *
 *      !lower(dense)    all columns, whatever the set says (same bits, and no set is made if nobody else wants it)
 *      !lower(mask)     walk the bits; with `below = n`: size(set) < n ? walk the bits : all columns     (mask is the default)
 *      !lower(list)     the same with a list of indices
 *      !lower(branch)   a branch for each column
 *      !lower(gather)   the columns of each row whose weight is not zero, whatever the set says; of one matrix, not of a stack
 *
 * In: a network. Out: for each affine what its kernels do. The one idea: an annotation has no meaning for values, so one that would
 * change them is not followed: walking columns that a set leaves out is right only if they are zeros of x itself.
 */
#include "gen.h"

enum { MOST_SETS = 4096 };

/* Elements from … from + n - 1 of a vector. */
typedef struct Part { Value of; uint64_t from, n; } Part;

/* The same elements, as deep in concatenations and slices of vectors as they can be found. */
static Part traced(const Network *net, Part p)
{
    for (const Op *op = value_op(net, p.of); op && (op->kind == OP_concat || op->kind == OP_slice); op = value_op(net, p.of)) {
        if (value_type(net, p.of).rank != 1)
            return p;
        if (op->kind == OP_slice) {
            p = (Part){op_operand(op, 0), p.from + (uint64_t)op->attr[0].list[0], p.n};
            continue;
        }
        uint32_t i = 0;
        uint64_t from = p.from, len = type_count(value_type(net, op_operand(op, 0)));
        while (i + 1 < op->n_operands && from >= len) {
            from -= len;
            len = type_count(value_type(net, op_operand(op, ++i)));
        }
        if (from + p.n > len)
            return p;
        p = (Part){op_operand(op, i), from, p.n};
    }
    return p;
}

static Part part_of(const Network *net, Value v)
{
    return traced(net, (Part){v, 0, type_count(value_type(net, v))});
}

/* Whether x is zero wherever the set has no member: it is the activity of x, or made of such sets. No more than *budget sets are looked at:
 * texts may make them of each other in any way. */
static bool outside_is_zero(const Network *net, Value s, Part x, uint32_t *budget)
{
    const Op *set = value_op(net, s);
    if (*budget == 0)
        return false;
    --*budget;
    if (set && set->kind == OP_extend) {
        uint64_t before = (uint64_t)set->attr[0].i, n = value_type(net, op_operand(set, 0)).n;
        return outside_is_zero(net, op_operand(set, 0), traced(net, (Part){x.of, x.from + before, n}), budget);
    }
    if (set && set->kind == OP_and)
        return outside_is_zero(net, op_operand(set, 0), x, budget) && outside_is_zero(net, op_operand(set, 1), x, budget);
    if (!set || set->kind != OP_active)
        return false;
    Value tested = op_operand(set, 0);
    Part here = part_of(net, tested);
    const Op *source = value_op(net, tested);
    bool is_activity = set->attr[0].i == ACTIVITY_nonzero || (set->attr[0].i == ACTIVITY_notle0 && source && source->kind == OP_relu);
    return is_activity && here.of == x.of && here.from == x.from && here.n == x.n;
}

/* Whether walking all columns gives the bits of walking the set: what it leaves out are zeros of x itself, the weights are finite
 * (see the pass `skip`), and under fused contraction the sign of a zero sum, which may differ, is not seen. */
static bool leaves_out_zeros(const Op *op, const bool *unseen)
{
    const Network *net = op->parent->network;
    Value y = op->result[0];
    uint32_t budget = MOST_SETS;
    if (!outside_is_zero(net, op_operand(op, AFFINE_cols), part_of(net, op_operand(op, AFFINE_x)), &budget))
        return false;
    if (net->options.contract == CONTRACT_fma && type_is_float(value_type(net, y)) && !unseen[y])
        return false;
    return const_all_finite(const_get(net->module, op->cst[AFFINE_W]));
}

static Lowering lowering_of(const Op *op, const bool *unseen)
{
    bool has_set = op_operand(op, AFFINE_cols) != 0, zeros = !has_set || leaves_out_zeros(op, unseen);
    if (op->lower == LOWER_gather && op_skips_zeros(op) && zeros && !op_operand(op, AFFINE_i))
        return (Lowering){.how = LOWER_gather};
    if (!has_set || (op->lower == LOWER_dense && zeros))
        return (Lowering){.how = LOWER_dense};
    if (op_operand(op, AFFINE_rows))              /* row by row: too short for a list */
        return (Lowering){.how = op->lower == LOWER_branch ? LOWER_branch : LOWER_mask};
    if (op->lower == LOWER_branch)
        return (Lowering){.how = LOWER_branch};
    return (Lowering){op->lower == LOWER_list ? LOWER_list : LOWER_mask, zeros ? op->below : 0};
}

Lowering *be_lowerings(Arena *arena, const Network *net)
{
    Lowering *all = NEW_ARRAY(arena, net->values.len, Lowering);
    bool *unseen = network_zero_signs_unseen(arena, net);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_affine)
            all[op->result[0]] = lowering_of(op, unseen);
    return all;
}

uint64_t be_workspace_bytes(const Plan *plan, const Network *net, const Op *op)
{
    if (op->kind != OP_affine || plan->lowering[op->result[0]].how != LOWER_list)
        return 0;
    return be_list_bytes((uint32_t)type_count(value_type(net, op_operand(op, AFFINE_x))), be_chains(op, AFFINE_order));
}
