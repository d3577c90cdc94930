/* result.c — return only the index of the winning output.
 *
 *      network @n(%x) -> (y: f32[5]) {               network @n(%x) -> (y_argmax: i32) {
 *          …                                 =>          …
 *          return %y                                     %i = argmax %y
 *      }                                                 %w = cast %i : i32
 *                                                        return %w
 *                                                    }
 *
 * What is computed before stays as it is. Ties go to the lowest index, a NaN never wins, all NaN gives 0 (ops.def). The
 * values no longer leave the network, so passes may drop whatever does not decide the winner.
 *
 * Ends: every return is rewritten once. Needs exactly one output, a vector of numbers (extents of 1 around it are fine).
 */
#include "pass_util.h"

#include <string.h>

/* Whether at most one extent differs from 1, and there is something to choose from. */
static bool is_a_vector(Type t)
{
    uint32_t wide = 0;
    for (uint32_t d = 0; d < t.rank; d++)
        wide += t.dim[d] != 1;
    return (type_is_float(t) || type_is_int(t)) && t.rank > 0 && wide <= 1 && type_count(t) > 0;
}

static Value build_winner(Builder *b, OpKind kind, Value y)
{
    Type t = value_type(b->net, y);
    if (t.rank > 1)
        y = build_reshape(b, y, 1, &(uint32_t){(uint32_t)type_count(t)});
    return build_cast(b, build_unary(b, kind, y), type_int(32));
}

bool pass_result(Network *net, PassContext *ctx)
{
    const char *value = pass_option(ctx, "value");
    OpKind kind = value && strcmp(value, "argmin") == 0 ? OP_argmin : OP_argmax;
    if (net->n_outputs != 1) {
        diag_error(ctx->diags, net->span, "`--result=%s` needs one output, `%s` has %u", value ? value : "argmax", net->name,
                   net->n_outputs);
        return false;
    }
    Port *out = &net->output[0];
    if (!is_a_vector(out->type)) {
        diag_error(ctx->diags, net->span, "`--result=%s` needs a vector, output `%s` of `%s` is %s", value ? value : "argmax",
                   out->name, net->name, type_print(ctx->arena, out->type));
        return false;
    }
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind != OP_return)
            continue;
        Builder b = builder_before(op);
        op->operand[1] = build_winner(&b, kind, op_operand(op, 1));
    }
    out->name = str_printf(net->module->arena, "%s_%s", out->name, kind == OP_argmin ? "argmin" : "argmax");
    out->type = type_int(32);
    return true;
}
