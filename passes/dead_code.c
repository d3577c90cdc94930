/* dead_code.c — remove ops nobody uses, and constants no op mentions.
 *
 *      %a = relu %x                                  %b = abs %x
 *      %b = abs %x                           =>      return %b
 *      return %b
 *
 * Same bits: no value that leaves the network depends on what goes. Nothing here traps (integer division by zero is 0,
 * trips are bounded), so an op without users has no effect unless it ends a block, may leave the network, calls another
 * network or counts. The pool of constants belongs to the module: it is swept with the module's last network.
 *
 * Ends: one sweep from the last op to the first; users come after what they use, so their going is seen in time.
 */
#include "pass_util.h"

/* ---- what can go ---- */

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

/* ---- constants ---- */

/* Calls f on every place of the module that names a constant. */
static void each_const_slot(Module *m, void (*f)(ConstId *slot, ConstId *map), ConstId *map)
{
    for (size_t k = 0; k < m->networks.len; k++) {
        Network *net = m->networks.at[k];
        for (uint32_t i = 0; i < net->n_inputs; i++)
            f(&net->input[i].box, map);
        OpWalk walk;
        FOR_EACH_OP(walk, op, net)
            for (uint32_t i = 0; i < OP_MAX_CONSTS; i++)
                f(&op->cst[i], map);
    }
}

static void mark(ConstId *slot, ConstId *map) { map[*slot] = 1; }
static void renumber(ConstId *slot, ConstId *map) { *slot = map[*slot]; }

/* Drops constants that nothing names and numbers the others anew, in order. */
static size_t sweep_constants(Module *m, Arena *scratch)
{
    ConstId *map = NEW_ARRAY(scratch, m->consts.len, ConstId);
    each_const_slot(m, mark, map);
    size_t kept = 1, n = m->consts.len;
    map[0] = 0;
    for (size_t id = 1; id < n; id++) {
        if (!map[id])
            continue;
        map[id] = (ConstId)kept;
        m->consts.at[kept++] = m->consts.at[id];
    }
    if (kept == n)
        return 0;
    each_const_slot(m, renumber, map);
    m->consts.len = kept;
    return n - kept;
}

/* ---- ops ---- */

static size_t sweep_ops(Network *net, PassContext *ctx)
{
    Release release = {.uses = network_count_uses(ctx->arena, net)};
    Vec(Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        vec_push(ctx->arena, ops, op);
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
    Module *m = net->module;
    size_t ops = sweep_ops(net, ctx);
    size_t constants = m->networks.at[m->networks.len - 1] == net ? sweep_constants(m, ctx->arena) : 0;
    pass_stat(ctx, "ops removed", ops);
    pass_stat(ctx, "constants removed", constants);
    return ops + constants > 0;
}
