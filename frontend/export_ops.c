/* export_ops.c — one op as the language writes it.
 *
 * In: an op whose operands have their text. Out: the right side of a `let`. Every op has one way to be written, and where the
 * language would choose differently (an order of sums), or has no word, the export is refused.
 */
#include "export.h"

#include <math.h>
#include <string.h>

const char *export_fail(Export *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!x->failed)
        diag_error(x->diags, NOWHERE, "network `%s` cannot be written as .cnet: %s; compile it directly, or write --emit=ir", x->net->name,
                   str_vprintf(x->arena, format, args));
    va_end(args);
    x->failed = true;
    return "";
}

/* ---- constants ---- */

/* The name of a constant in the weights file, without the number that a view got when nothing else has that name. */
static const char *tensor_name(Export *x, ConstId id)
{
    const Const *c = const_get(x->net->module, id);
    if (x->tensor_name[id])
        return x->tensor_name[id];
    if (c->kind != CONST_TENSOR || !safetensors_holds(c->type))
        return export_fail(x, "the constant `%s` has the type %s", c->name, type_print(x->arena, c->type));
    const char *dot = strrchr(c->name, '.');
    const char *base = dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1) ? str_ndup(x->arena, c->name, (size_t)(dot - c->name)) : c->name;
    bool free_base = true;
    for (size_t i = 0; i < x->tensors.len; i++)
        free_base &= strcmp(x->tensors.at[i].name, base) != 0;
    NamedConst named = {.name = free_base ? base : c->name, .c = c};
    vec_push(x->arena, x->tensors, named);
    return x->tensor_name[id] = named.name;
}

static const char *tensor(Export *x, ConstId id)
{
    return str_printf(x->arena, "%s[\"%s\"]", x->weights, tensor_name(x, id));
}

/* A scalar that a literal says exactly: finite and not -0; NULL otherwise. */
static const char *literal(Export *x, const Const *c)
{
    if (c->kind != CONST_TENSOR || c->type.rank != 0 || (!type_is_float(c->type) && !(type_is_int(c->type) && c->type.n > 1 && c->type.n <= 32)))
        return NULL;
    double v = const_f64(c, 0);
    if (!isfinite(v) || (v == 0 && signbit(v)))
        return NULL;
    return str_printf(x->arena, v < 0 ? "(%.*g)" : "%.*g", c->type.elem == ELEM_F32 ? 9 : 17, v);
}

/* ---- operands ---- */

/* A constant is put in the weights file when it is first named: one that is said by a literal never is. */
const char *export_text_of(Export *x, Value v)
{
    const Op *op = value_op(x->net, v);
    if (op && op->kind == OP_const && !x->text[v])
        x->text[v] = tensor(x, op->cst[0]);
    return x->text[v] ? x->text[v] : export_fail(x, "a value is used before it is computed");
}

static const char *operand(Export *x, const Op *op, uint32_t slot)
{
    return export_text_of(x, op_operand(op, slot));
}

static const char *scalar_literal(Export *x, Value v)
{
    const Op *op = value_op(x->net, v);
    return op && op->kind == OP_const ? literal(x, const_get(x->net->module, op->cst[0])) : NULL;
}

/* Two operands of an elementwise op: one of them may be a literal, which gets its type from the other. */
static void pair(Export *x, const Op *op, const char **a, const char **b)
{
    Value va = op_operand(op, 0), vb = op_operand(op, 1);
    const char *la = scalar_literal(x, va), *lb = scalar_literal(x, vb);
    *b = lb ? lb : export_text_of(x, vb);
    *a = la && !lb ? la : export_text_of(x, va);
}

static const char *infix(Export *x, const Op *op, const char *sign)
{
    const char *a, *b;
    pair(x, op, &a, &b);
    return str_printf(x->arena, "%s %s %s", a, sign, b);
}

static const char *function(Export *x, const Op *op, const char *name)
{
    return str_printf(x->arena, "%s(%s)", name, operand(x, op, 0));
}

static const char *function_of_two(Export *x, const Op *op, const char *name)
{
    const char *a, *b;
    pair(x, op, &a, &b);
    return str_printf(x->arena, "%s(%s, %s)", name, a, b);
}

static Type type_of(const Export *x, Value v) { return value_type(x->net, v); }

static bool order_is(Export *x, const Op *op, int64_t order, uint64_t rows, uint64_t cols)
{
    uint32_t expected = ir_chains(rows, cols);
    if ((order ? order : 1) == expected)
        return true;
    export_fail(x, "`%s` has an order of sums that the language would not choose", op_info(x->net->module, op->kind)->name);
    return false;
}

/* ---- ops ---- */

static const char *affine(Export *x, const Op *op)
{
    Type w = const_get(x->net->module, op->cst[AFFINE_W])->type;
    for (uint32_t slot = AFFINE_i; slot < op->n_operands; slot++)
        if (op_operand(op, slot))
            return export_fail(x, "an affine with an index or a set of columns");
    if (op_skips_zeros(op))
        return export_fail(x, "an affine that skips zero weights");
    if (!order_is(x, op, op->attr[AFFINE_order].i, w.dim[0], w.dim[1]))
        return "";
    const char *product = str_printf(x->arena, "%s @ %s", tensor(x, op->cst[AFFINE_W]), operand(x, op, AFFINE_x));
    return op->cst[AFFINE_b] ? str_printf(x->arena, "%s + %s", product, tensor(x, op->cst[AFFINE_b])) : product;
}

static const char *matmul(Export *x, const Op *op)
{
    Type a = type_of(x, op_operand(op, 0)), b = type_of(x, op_operand(op, 1));
    uint64_t rows = (uint64_t)(a.rank == 2 ? a.dim[0] : 1) * (b.rank == 2 ? b.dim[1] : 1);
    return order_is(x, op, op->attr[0].i, rows, b.dim[0]) ? str_printf(x->arena, "%s @ %s", operand(x, op, 0), operand(x, op, 1)) : "";
}

static const char *compare(Export *x, const Op *op)
{
    switch ((Pred)op->attr[0].i) {
    case PRED_eq: return infix(x, op, "==");
    case PRED_ne: return infix(x, op, "!=");
    case PRED_lt: return infix(x, op, "<");
    case PRED_le: return infix(x, op, "<=");
    case PRED_gt: return infix(x, op, ">");
    case PRED_ge: return infix(x, op, ">=");
    }
    ICE("predicate %d", (int)op->attr[0].i);
}

static const char *reduce(Export *x, const Op *op)
{
    switch ((ReduceKind)op->attr[0].i) {
    case REDUCE_add: return order_is(x, op, op->attr[1].i, 1, type_count(type_of(x, op_operand(op, 0)))) ? function(x, op, "sum") : "";
    case REDUCE_min: return function(x, op, "min");
    case REDUCE_max: return function(x, op, "max");
    case REDUCE_mul: return export_fail(x, "a product of all elements");
    }
    ICE("reduction %d", (int)op->attr[0].i);
}

static const char *cast(Export *x, const Op *op)
{
    Type to = type_element(type_of(x, op->result[0]));
    if (type_equal(to, type_int(1)))
        return export_fail(x, "a cast to i1");
    return function(x, op, type_print(x->arena, to));
}

static const char *ints(Export *x, uint32_t n, const uint32_t *list)
{
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < n; i++)
        text_add(&text, "%s%u", i ? ", " : "", list[i]);
    return text.at;
}

static const char *reshape(Export *x, const Op *op)
{
    Type from = type_of(x, op_operand(op, 0)), to = type_of(x, op->result[0]);
    if (to.rank > 0)
        return str_printf(x->arena, "reshape(%s, [%s])", operand(x, op, 0), ints(x, to.rank, to.dim));
    Text index = text_new(x->arena);
    for (uint32_t d = 0; d < from.rank; d++)
        text_add(&index, d ? ", 0" : "0");
    return str_printf(x->arena, "%s[%s]", operand(x, op, 0), index.at);
}

static const char *slice(Export *x, const Op *op)
{
    Type to = type_of(x, op->result[0]);
    Text text = text_new(x->arena);
    for (uint32_t d = 0; d < to.rank; d++)
        text_add(&text, "%s%lld:%lld", d ? ", " : "", (long long)op->attr[0].list[d], (long long)op->attr[0].list[d] + to.dim[d]);
    return str_printf(x->arena, "%s[%s]", operand(x, op, 0), text.at);
}

static const char *transpose(Export *x, const Op *op)
{
    uint32_t perm[IR_MAX_RANK];
    for (uint32_t d = 0; d < op->attr[0].n; d++)
        perm[d] = (uint32_t)op->attr[0].list[d];
    return str_printf(x->arena, "transpose(%s, [%s])", operand(x, op, 0), ints(x, op->attr[0].n, perm));
}

static const char *concat(Export *x, const Op *op)
{
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < op->n_operands; i++)
        text_add(&text, "%s, ", operand(x, op, i));
    return str_printf(x->arena, "concat(%saxis: %lld)", text.at, (long long)op->attr[0].i);
}

/* A vector of one value, as the list of its elements. */
static const char *splat(Export *x, const Op *op)
{
    enum { MOST = 64 };
    Type to = type_of(x, op->result[0]);
    if (to.rank != 1 || to.dim[0] == 0 || to.dim[0] > MOST)
        return export_fail(x, "a scalar spread over %s", type_print(x->arena, to));
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < to.dim[0]; i++)
        text_add(&text, "%s%s", i ? ", " : "", operand(x, op, 0));
    return str_printf(x->arena, "[%s]", text.at);
}

const char *export_expression(Export *x, const Op *op)
{
    const char *name = op_info(x->net->module, op->kind)->name;
    switch (op->kind) {
    case OP_const: return export_text_of(x, op->result[0]);
    case OP_affine: return affine(x, op);
    case OP_matmul: return matmul(x, op);
    case OP_add: return infix(x, op, "+");
    case OP_sub: return infix(x, op, "-");
    case OP_mul: return infix(x, op, "*");
    case OP_div: return infix(x, op, "/");
    case OP_neg: return str_printf(x->arena, "-%s", operand(x, op, 0));
    case OP_min: case OP_max: return function_of_two(x, op, name);
    case OP_abs: case OP_relu: case OP_exp: case OP_tanh: case OP_sigmoid: case OP_sqrt: case OP_argmax: case OP_argmin: return function(x, op, name);
    case OP_cmp: return compare(x, op);
    case OP_select: return str_printf(x->arena, "select(%s, %s, %s)", operand(x, op, 0), operand(x, op, 1), operand(x, op, 2));
    case OP_cast: return cast(x, op);
    case OP_dot: return order_is(x, op, op->attr[0].i, 1, type_count(type_of(x, op_operand(op, 0))))
                            ? str_printf(x->arena, "dot(%s, %s)", operand(x, op, 0), operand(x, op, 1)) : "";
    case OP_reduce: return reduce(x, op);
    case OP_reshape: return reshape(x, op);
    case OP_transpose: return transpose(x, op);
    case OP_concat: return concat(x, op);
    case OP_slice: return slice(x, op);
    case OP_splat: return splat(x, op);
    case OP_row: case OP_field: case OP_matmix: case OP_and: case OP_or: case OP_xor: case OP_shl: case OP_lshr: case OP_ord: case OP_index: case OP_active:
    case OP_extend: case OP_size: case OP_weigh: case OP_test: case OP_topk: case OP_descend: case OP_search: case OP_memorize: case OP_within: case OP_if: case OP_case: case OP_repeat:
    case OP_each: case OP_call: case OP_yield: case OP_return: case OP_refuse: case OP_tally: case OP__COUNT:
        break;
    }
    return export_fail(x, "it uses `%s`", name);
}

