/* lowering.c — how the columns of each affine are walked: its annotation, where that is sound.
 *
 *      !lower(dense)    all columns, whatever the set says (same bits, and no set is made if nobody else wants it)
 *      !lower(mask)     walk the bits; with `below = n`: size(set) < n ? walk the bits : all columns     (mask is the default)
 *      !lower(list)     the same with a list of indices
 *      !lower(branch)   a branch for each column
 *      !lower(gather)   the columns of each row whose weight is not zero, whatever the set says
 *
 * In: a network. Out: for each affine what its kernels do. The one idea: an annotation has no meaning for values, so one that would
 * change them is not followed: walking columns that a set leaves out is right only if they are zeros of x itself.
 */
#include "gen.h"

/* Whether walking all columns gives the bits of walking the set: what it leaves out are zeros of x itself, the weights are finite
 * (see the pass `skip`), and under fused contraction the sign of a zero sum, which may differ, is not seen. */
static bool leaves_out_zeros(const Op *op, const bool *unseen)
{
    const Network *net = op->parent->network;
    Value x = op_operand(op, AFFINE_x), y = op->result[0];
    const Op *set = value_op(net, op_operand(op, AFFINE_cols)), *source = value_op(net, x);
    if (!set || set->kind != OP_active || op_operand(set, 0) != x)
        return false;
    Activity pred = (Activity)set->attr[0].i;
    if (pred != ACTIVITY_nonzero && !(pred == ACTIVITY_notle0 && source && source->kind == OP_relu))
        return false;
    if (net->options.contract == CONTRACT_fma && type_is_float(value_type(net, y)) && !unseen[y])
        return false;
    return const_all_finite(const_get(net->module, op->cst[AFFINE_W]));
}

static Lowering lowering_of(const Op *op, const bool *unseen)
{
    bool has_set = op_operand(op, AFFINE_cols) != 0, zeros = !has_set || leaves_out_zeros(op, unseen);
    if (op->lower == LOWER_gather && op_skips_zeros(op) && zeros)
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
