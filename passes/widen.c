/* widen.c — compute in f64: weights, sums and the values between; the interface keeps its types.
 *
 *      network @n(%x: f32[2]) -> f32[1] {            network @n(%x: f32[2]) -> f32[1] {
 *          %h = affine %x, @W, @b                        %x64 = cast %x : f64[2]
 *          %c = const @C                     =>          %h = affine %x64, @W, @b          f64[1]
 *          %y = add %h, %c                               %c = const @C
 *          return %y                                     %c64 = cast %c : f64[1]
 *                                                        %y = add %h, %c64
 *                                                        %r = cast %y : f32[1]
 *      }                                                 return %r
 *                                                    }
 *
 * Not the same bits as f32, and asked for by the user: every f32 result inside becomes f64, so each op rounds to 53 bits
 * instead of 24. Casts from f32 are exact; outputs are rounded once, to nearest even (a value beyond the range of f32
 * becomes infinity there). Weights stay f32 in memory: affine and matmix widen them exactly. `ord` looks at the bits
 * of an f32, `within` and `search` compare with ends and keys that are f32: their operands are rounded back. NaN, infinity and −0.0 keep
 * their kind and sign. A bound that merge-affine certifies later is relative to what leaves this pass: the network as written,
 * computed in f64.
 *
 * Ends: one sweep; every value's type is changed at most once.
 */
#include "pass_util.h"

static Type widened(Type t)
{
    return t.elem == ELEM_F32 ? type_with_dims(type_f64(), t.rank, t.dim) : t;
}

/* After this op, its f32 result `v` continues as f64: everyone else uses the cast. */
static void cast_after(Op *op, Value v, Value *wide)
{
    Builder b = builder_before(op->next);
    b.span = op->span;
    wide[v] = build_cast(&b, v, type_f64());
}

static void cast_inputs(Network *net, Value *wide)
{
    Builder b = builder_before(net->body->first);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].type.elem == ELEM_F32)
            wide[net->body->arg[i]] = build_cast(&b, net->body->arg[i], type_f64());
}

static void narrow_operand(Op *op, uint32_t slot, Type to)
{
    Builder b = builder_before(op);
    Value v = op->operand[slot];
    if (value_type(b.net, v).elem == ELEM_F64)
        op->operand[slot] = build_cast(&b, v, type_element(to));
}

static void widen_region_arguments(Network *net, Op *op)
{
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (uint32_t i = 0; i < op->region[r]->n_args; i++) {
            ValueInfo *v = &net->values.at[op->region[r]->arg[i]];
            v->type = widened(v->type);
        }
}

/* f32 whose bits come from memory (const, row) are cast; every other op just computes in f64 from now on. */
static void widen_results(Network *net, Op *op, Value *wide)
{
    bool from_memory = op->kind == OP_const || op->kind == OP_row || op->kind == OP_memorize;
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op->result[i];
        if (net->values.at[v].type.elem != ELEM_F32)
            continue;
        if (from_memory)
            cast_after(op, v, wide);
        else
            net->values.at[v].type = widened(net->values.at[v].type);
    }
}

/* Ops whose meaning hangs on the type they were written for. */
static bool looks_at_f32(const Network *net, const Op *op)
{
    return (op->kind == OP_ord && net->values.at[op->result[0]].type.n == 32)
        || ((op->kind == OP_within || op->kind == OP_search || op->kind == OP_memorize) &&
            const_get(net->module, op->cst[0])->type.elem == ELEM_F32);
}

static bool has_f32(const Network *net)
{
    for (size_t v = 1; v < net->values.len; v++)
        if (net->values.at[v].type.elem == ELEM_F32)
            return true;
    return false;
}

bool pass_widen(Network *net, PassContext *ctx)
{
    network_settle(net);
    if (!has_f32(net))
        return false;
    Vec(Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        vec_push(ctx->arena, ops, op);
    size_t n_values = net->values.len;
    Value *wide = NEW_ARRAY(ctx->arena, n_values, Value);     /* wide[v]: what stands for v from now on, 0: v itself */
    cast_inputs(net, wide);
    for (size_t i = 0; i < ops.len; i++) {
        Op *op = ops.at[i];
        for (uint32_t s = 0; s < op->n_operands; s++)
            if (op->operand[s] < n_values && wide[op->operand[s]])
                op->operand[s] = wide[op->operand[s]];
        if (op->kind == OP_return)
            for (uint32_t k = 0; k < net->n_outputs; k++)
                if (net->output[k].type.elem == ELEM_F32)
                    narrow_operand(op, k + 1, type_f32());
        if (looks_at_f32(net, op))
            narrow_operand(op, 0, type_f32());
        widen_region_arguments(net, op);
        widen_results(net, op, wide);
    }
    pass_stat(ctx, "networks widened", 1);
    return true;
}
