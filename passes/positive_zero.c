/* positive_zero.c — under fused contraction, sums that are not followed by a relu end in + 0.0.
 *
 *      options(contract: fma)                        options(contract: fma)
 *      %y = affine %x, @W, @b                %y = affine %x, @W, @b
 *      return %y                     =>      %0 = const @zero              (+0.0)
 *                                            %p = add %y, %0
 *                                            return %p
 *
 * Why: with separate roundings a sum that begins at a bias that is not −0.0 never becomes −0.0, so leaving out a term
 * ±0 keeps the bits. fma(−tiny, tiny, +0) does round to −0, where skipping every term would give +0: the two would differ
 * in the sign of a zero. Adding +0.0 turns −0.0 into +0.0 and keeps everything else (NaN and infinities pass). A relu does
 * that by itself. This defines the value of contracted sums, so it runs at every level, before any pass can tell the two
 * zeros apart; with contraction off it does nothing. Cost: one addition a row.
 *
 * Products with a constant matrix count as well: fold-constants turns them into affines.
 *
 * Ends: an affine whose users are relus and additions of +0.0 is left alone, so a second run changes nothing.
 */
#include "pass_util.h"

static bool is_contracted_sum(const Network *net, const Op *op)
{
    if (op->kind == OP_matmul && !value_const(net, op_operand(op, 0)) && !value_const(net, op_operand(op, 1)))
        return false;
    return (op->kind == OP_affine || op->kind == OP_matmul) && type_is_float(value_type(net, op->result[0]));
}

/* Redirects users for which the sign of zero is not settled; `plus[v]` is made at first need. */
static bool rewrite_user(Network *net, Op *user, Value *plus, size_t n_values, PassContext *ctx)
{
    bool changed = false;
    for (uint32_t s = 0; s < user->n_operands; s++) {
        Value y = op_operand(user, s);
        Op *sum = y && y < n_values ? value_op(net, y) : NULL;
        if (!sum || !is_contracted_sum(net, sum) || op_forgets_zero_sign(net, user, s))
            continue;
        if (!plus[y]) {
            Builder b = builder_before(sum->next);
            b.span = sum->span;
            Value zero = build_const(&b, const_splat_f64(net->module, "zero", type_element(value_type(net, y)), 0.0));
            plus[y] = build_binary(&b, OP_add, y, zero);
            pass_stat(ctx, "sums ended in + 0.0", 1);
        }
        user->operand[s] = plus[y];
        changed = true;
    }
    return changed;
}

bool pass_positive_zero(Network *net, PassContext *ctx)
{
    if (net->options.contract != CONTRACT_fma)
        return false;
    size_t n_values = net->values.len;
    Value *plus = NEW_ARRAY(ctx->arena, n_values, Value);
    Vec(Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        vec_push(ctx->arena, ops, op);
    bool changed = false;
    for (size_t i = 0; i < ops.len; i++)
        changed |= rewrite_user(net, ops.at[i], plus, n_values, ctx);
    return changed;
}
