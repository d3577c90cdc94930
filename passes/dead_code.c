/* dead_code.c — remove ops nobody uses.
 *
 *      %a = relu %x                                  %b = abs %x
 *      %b = abs %x                           =>      return %b
 *      return %b
 *
 * Same bits: no value that leaves the network depends on what goes. Nothing here traps (integer division by zero is 0,
 * trips are bounded), so an op without users has no effect unless it ends a block, may leave the network, calls another
 * network or counts. Constants nobody mentions are dropped from the text; they stay in the pool, where clones of a network
 * may need them.
 *
 * Ends: one sweep from the last op to the first; users come after what they use, so their going is seen in time.
 */
#include "pass_util.h"

static bool has_effect(const Op *op, void *data)
{
    const Module *m = data;
    return op->kind == OP_tally || op->kind == OP_call || op->kind == OP_return || op->kind == OP_refuse
        || (op_info(m, op->kind)->terminator && op->kind != OP_yield);
}

static bool is_dead(const Op *op, const uint32_t *uses, Module *m)
{
    if (op_info(m, op->kind)->terminator || has_effect(op, m) || any_op_within(op, has_effect, m))
        return false;
    for (uint32_t i = 0; i < op->n_results; i++)
        if (uses[op->result[i]])
            return false;
    return true;
}

typedef struct Release { uint32_t *uses; size_t ops; } Release;

static bool release_operands(const Op *op, void *data)
{
    Release *release = data;
    release->ops++;
    for (uint32_t s = 0; s < op->n_operands; s++)
        if (op_operand(op, s))
            release->uses[op_operand(op, s)]--;
    return false;
}

size_t remove_unused_ops(Network *net, Arena *scratch)
{
    Release release = {.uses = network_count_uses(scratch, net)};
    Vec(Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        vec_push(scratch, ops, op);
    /* Inner ops come after their owner here, so dead ones inside a region have gone before the region is looked at. */
    for (size_t i = ops.len; i-- > 0;) {
        Op *op = ops.at[i];
        if (!is_dead(op, release.uses, net->module))
            continue;
        release_operands(op, &release);
        any_op_within(op, release_operands, &release);
        op_remove(op);
    }
    return release.ops;
}

bool pass_dead_code(Network *net, PassContext *ctx)
{
    size_t ops = remove_unused_ops(net, ctx->arena);
    pass_stat(ctx, "ops removed", ops);
    const_drop_unused(net->module);
    return ops > 0;
}
