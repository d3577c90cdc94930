/* fold_constants.c — evaluate ops whose operands are constants, with the interpreter's own arithmetic.
 *
 *      %a = const @A         [2, 3]                  %s = const @s        [6, 8]
 *      %b = const @B         [4, 5]          =>      return %s
 *      %s = add %a, %b
 *      return %s
 *
 *      %w = const @W                                 %y = affine %x, @W
 *      %y = matmul %w, %x                    =>
 *
 * Same bits: the op is run by the interpreter, which defines its value, NaN, infinity and −0.0 included; and a product of
 * a constant matrix and a vector is the affine with the same order of summation, from +0.0. (Only a NaN's payload may
 * come from the other factor; every NaN equals every other.) Reshaped and transposed constants stay views of the same bytes.
 *
 * Ends: every step removes an op that is no constant, or turns a matmul into an affine. Results are not larger than what went
 * in, or 64 KiB, so folding never bloats a model: a splat of one number to a megabyte stays an op.
 */
#include "pass_util.h"

enum { FREE_BYTES = 64 << 10 };

static bool has_memory_form(Type t)
{
    return t.elem != ELEM_SET && t.elem != ELEM_NONE;
}

/* Whether `op` is a plain function of its operands, all of them constants, with results worth storing. */
static bool is_foldable(const Network *net, const Op *op)
{
    const OpInfo *info = op_info(net->module, op->kind);
    if (info->terminator || op->n_regions || op->kind == OP_const || op->kind == OP_call || op->kind == OP_memorize || op->kind == OP_tally)
        return false;
    uint64_t bytes_in = 0, bytes_out = 0;
    uint32_t operands = 0;
    for (uint32_t s = 0; s < op->n_operands; s++) {
        Value v = op_operand(op, s);
        if (!v)
            continue;
        operands++;
        ConstId c = value_const(net, v);
        if (!c)
            return false;
        bytes_in += const_bytes(const_get(net->module, c));
    }
    for (uint32_t i = 0; i < op->n_results; i++) {
        Type t = value_type(net, op->result[i]);
        if (!has_memory_form(t))
            return false;
        bytes_out += type_count(t) * type_element_bytes(t);
    }
    return operands > 0 && op->n_results > 0 && bytes_out <= (bytes_in > FREE_BYTES ? bytes_in : FREE_BYTES);
}

/* ---- views: no bytes move ---- */

static ConstId folded_view(Network *net, const Op *op)
{
    Module *m = net->module;
    ConstId a = value_const(net, op_operand(op, 0));
    if (const_get(m, a)->kind != CONST_TENSOR)
        return 0;
    if (op->kind == OP_reshape && const_is_row_major(const_get(m, a))) {
        Type t = value_type(net, op->result[0]);
        return const_reshaped(m, a, t.rank, t.dim);
    }
    if (op->kind == OP_transpose) {
        uint32_t perm[IR_MAX_RANK] = {0};
        for (uint32_t d = 0; d < op->attr[0].n; d++)
            perm[d] = (uint32_t)op->attr[0].list[d];
        return const_transposed(m, a, perm);
    }
    return 0;
}

/* ---- everything else: a network of this one op, run once ---- */

/* `return op(const …)` in a network of its own that shares the pool and never joins the module. */
static Network *network_of(Network *net, const Op *op, PassContext *ctx)
{
    Network *one = network_new(net->module, "folded", op->span);
    one->options = net->options;
    Builder b = builder_at_end(one->body);
    Value *operand = NEW_ARRAY(ctx->arena, op->n_operands, Value);
    for (uint32_t s = 0; s < op->n_operands; s++)
        operand[s] = op_operand(op, s) ? build_const(&b, value_const(net, op_operand(op, s))) : 0;
    Type *hint = NEW_ARRAY(ctx->arena, op->n_results, Type);
    OpInit init = {.kind = op->kind, .n_operands = op->n_operands, .operand = operand, .n_hints = op->n_results, .hint = hint};
    for (int i = 0; i < OP_MAX_CONSTS; i++)
        init.cst[i] = op->cst[i];
    for (int i = 0; i < OP_MAX_ATTRS; i++)
        init.attr[i] = op->attr[i];
    for (uint32_t i = 0; i < op->n_results; i++) {
        hint[i] = value_type(net, op->result[i]);
        network_add_output(one, "y", hint[i], op->span);
    }
    const Op *copy = build_op(&b, &init);
    build_return(&b, copy->n_results, copy->result, 0);
    return one;
}

static void evaluate(Network *net, const Op *op, ConstId *result, PassContext *ctx)
{
    Module *m = net->module;
    void **data = NEW_ARRAY(ctx->arena, op->n_results, void *);
    for (uint32_t i = 0; i < op->n_results; i++) {
        Type t = value_type(net, op->result[i]);
        data[i] = arena_big(m->arena, type_count(t) * type_element_bytes(t), 64);
    }
    Interp *in = interp_new(ctx->arena, network_of(net, op, ctx));
    if (interp_run(in, NULL, data, NULL, NULL, NULL) != 0)
        ICE("folding `%s` of @%s was refused", op_info(m, op->kind)->name, net->name);
    for (uint32_t i = 0; i < op->n_results; i++) {
        const ValueInfo *info = value_info(net, op->result[i]);
        result[i] = const_add(m, info->name ? info->name : "folded", info->type, data[i], op->span);
    }
}

static void fold(Network *net, Op *op, PassContext *ctx)
{
    ConstId *result = NEW_ARRAY(ctx->arena, op->n_results, ConstId);
    result[0] = folded_view(net, op);
    if (!result[0])
        evaluate(net, op, result, ctx);
    Builder b = builder_before(op);
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = build_const(&b, result[i]);
        if (net->values.at[op->result[i]].name)
            value_name(net, v, net->values.at[op->result[i]].name);
        value_replace(net, op->result[i], v);
    }
    op_remove(op);
    pass_stat(ctx, "ops evaluated", 1);
}

/* ---- products with a constant matrix ---- */

static bool is_matrix(const Network *net, Value v)
{
    ConstId c = value_const(net, v);
    return c && const_get(net->module, c)->kind == CONST_TENSOR && const_get(net->module, c)->type.rank == 2;
}

/* The vector that is multiplied: rank 1, or one row or column of a matrix (`rows`: its extent that must be 1). */
static bool is_vector(Type t, uint32_t unit_dim)
{
    return t.rank == 1 || (t.rank == 2 && t.dim[unit_dim] == 1);
}

/* W x → affine x, @W;  x W → affine x, @Wᵀ (a view). */
static bool fold_product(Network *net, Op *op, PassContext *ctx)
{
    Value a = op_operand(op, 0), b = op_operand(op, 1), x;
    ConstId W;
    if (is_matrix(net, a) && is_vector(value_type(net, b), 1)) {
        W = value_const(net, a);
        x = b;
    } else if (is_matrix(net, b) && is_vector(value_type(net, a), 0)) {
        W = const_transposed(net->module, value_const(net, b), (uint32_t[]){1, 0});
        x = a;
    } else {
        return false;
    }
    Builder at = builder_before(op);
    x = build_reshape(&at, x, 1, &(uint32_t){(uint32_t)type_count(value_type(net, x))});
    Value y = build_affine(&at, x, W, 0, (uint32_t)op->attr[0].i);
    Type t = value_type(net, op->result[0]);
    replace_op(op, build_reshape(&at, y, t.rank, t.dim));
    pass_stat(ctx, "products made affine", 1);
    return true;
}

/* A relu of a constant that decides an activity stays: without it `active` would have to compare again, at every run. */
static bool *deciding_values(Arena *arena, const Network *net)
{
    bool *decides = NEW_ARRAY(arena, net->values.len, bool);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_active)
            decides[op_operand(op, 0)] = true;
    return decides;
}

bool pass_fold_constants(Network *net, PassContext *ctx)
{
    bool changed = false;
    const bool *decides = deciding_values(ctx->arena, net);
    size_t n_values = net->values.len;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        bool stays = op->kind == OP_relu && op->result[0] < n_values && decides[op->result[0]];
        if (!stays && is_foldable(net, op)) {
            fold(net, op, ctx);
            changed = true;
        } else if (op->kind == OP_matmul) {
            changed |= fold_product(net, op, ctx);
        }
    }
    return changed;
}
