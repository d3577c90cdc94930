/* inline.c — replace every call by the body of its callee.
 *
 *      network @f(%a) { %r = relu %a; return %r }
 *      network @g(%x) {                              network @g(%x) {
 *          %y = call @f(%x)                   =>         %y = relu %x
 *          return %y                                     return %y
 *      }                                             }
 *
 * Same bits: the same ops in the same order; NaN, infinity and −0.0 go their way. A callee that nobody calls any more is
 * removed from the module: it was a part, not something that the file offers. Two callees are errors, since later passes need
 * call-free networks: one that leaves early (a return inside a region, a refusal, a status) is no straight list of ops, and one
 * whose sums are contracted otherwise than the caller's would change its bits.
 *
 * The callee's box and its policy outside of it concern those who call it from the world. Within a caller they do not apply:
 * only the caller's own inputs are guarded. Its numerics are the caller's as well. Copied ops get fresh sites, in order.
 *
 * Ends: calls are acyclic (ir_verify) and networks are visited callees first, so a body that is copied holds no call.
 * Duplicating a callee per call costs memory for ops, never for constants: these are shared.
 */
#include "pass_util.h"

static size_t network_number(const Module *m, const Network *net)
{
    size_t k = 0;
    while (m->networks.at[k] != net)
        k++;
    return k;
}

/* Calls name their callee by its number: those behind the removed one move up. */
static void remove_network(Module *m, size_t number)
{
    for (size_t k = 0; k < m->networks.len; k++) {
        OpWalk walk;
        FOR_EACH_OP(walk, op, m->networks.at[k])
            if (op->kind == OP_call && (size_t)op->attr[0].i > number)
                op->attr[0].i--;
    }
    for (size_t k = number; k + 1 < m->networks.len; k++)
        m->networks.at[k] = m->networks.at[k + 1];
    m->networks.len--;
}

static const char *contract_words(const Network *net)
{
    return net->options.contract == CONTRACT_fma ? "contracted (fma)" : "not contracted";
}

/* Networks that call others twice grow as powers of two: a few lines of text must not fill the memory. */
enum { INLINE_MAX_VALUES = 1 << 21 };

static bool inline_call(Op *call, PassContext *ctx)
{
    Network *net = call->parent->network;
    const Network *callee = net->module->networks.at[call->attr[0].i];
    Value *args = NEW_ARRAY(ctx->arena, call->n_operands, Value);
    Value *results = NEW_ARRAY(ctx->arena, call->n_results, Value);
    if (callee->options.contract != net->options.contract) {
        diag_error(ctx->diags, call->span, "`%s` is %s and calls `%s`, which is %s: give both the same option `contract`", net->name,
                   contract_words(net), callee->name, contract_words(callee));
        return false;
    }
    for (uint32_t i = 0; i < call->n_operands; i++)
        args[i] = op_operand(call, i);
    if (net->values.len > INLINE_MAX_VALUES) {
        diag_error(ctx->diags, call->span, "`%s` and what it calls come to more than %d values when every call is written out", net->name,
                   INLINE_MAX_VALUES);
        return false;
    }
    Builder b = builder_before(call);
    if (!network_inline(&b, callee, args, results)) {
        diag_error(ctx->diags, call->span, "`%s` calls `%s`, which can leave early: such a network cannot be part of another",
                   net->name, callee->name);
        return false;
    }
    for (uint32_t i = 0; i < call->n_results; i++)
        value_replace(net, call->result[i], results[i]);
    op_remove(call);
    return true;
}

bool pass_inline(Network *net, PassContext *ctx)
{
    Module *m = net->module;
    Vec(Op *) calls = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_call)
            vec_push(ctx->arena, calls, op);
    Vec(Network *) callees = {0};
    for (size_t i = 0; i < calls.len; i++) {
        vec_push(ctx->arena, callees, m->networks.at[calls.at[i]->attr[0].i]);
        if (!inline_call(calls.at[i], ctx))
            return true;
    }
    pass_stat(ctx, "calls inlined", calls.len);
    for (size_t i = 0; i < callees.len; i++) {
        bool again = false;       /* the same callee twice: removed at its last mention */
        for (size_t j = i + 1; j < callees.len; j++)
            again |= callees.at[j] == callees.at[i];
        if (!again && network_is_entry(callees.at[i]))
            remove_network(m, network_number(m, callees.at[i]));
    }
    return calls.len > 0;
}
