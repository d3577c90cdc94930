/* dedup_constants.c — store constants that are equal once.
 *
 *      @W: f32[2,2] = [1, 2, 3, 4]                   @W: f32[2,2] = [1, 2, 3, 4]
 *      @V: f32[2,2] = [1, 2, 3, 4]           =>
 *      %a = affine %x, @W                            %a = affine %x, @W
 *      %b = affine %x, @V                            %b = affine %x, @W
 *
 * Same bits, literally: constants are one only if their types and bytes are equal, so −0.0 and +0.0 stay apart, and so do NaNs of
 * different payload. Bytes are saved, never operations.
 *
 * Ends: one pass over the pool. The pool belongs to the module, so the work is done with the module's last network.
 */
#include "pass_util.h"

/* Every mention of a constant by an op, in order. */
static ConstId *mentions(Arena *arena, const Module *m, size_t *n)
{
    Vec(ConstId) ids = {0};
    for (size_t k = 0; k < m->networks.len; k++) {
        OpWalk walk;
        FOR_EACH_OP(walk, op, m->networks.at[k])
            for (int i = 0; i < OP_MAX_CONSTS; i++)
                vec_push(arena, ids, op->cst[i]);
    }
    *n = ids.len;
    return ids.at;
}

bool pass_dedup_constants(Network *net, PassContext *ctx)
{
    Module *m = net->module;
    if (m->networks.at[m->networks.len - 1] != net)
        return false;
    size_t n, changed = 0;
    const ConstId *before = mentions(ctx->arena, m, &n);
    const_dedup(m);
    const ConstId *after = mentions(ctx->arena, m, &n);
    for (size_t i = 0; i < n; i++)
        changed += before[i] != after[i];
    pass_stat(ctx, "mentions of a constant that was there already", changed);
    return changed > 0;
}
