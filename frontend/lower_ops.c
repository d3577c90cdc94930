/* lower_ops.c — operators: `@`, elementwise arithmetic, comparisons, truth values.
 *
 * In: two Vals. Out: a Val. The one idea: `@` with a constant matrix is an affine op, and a constant vector added to it in the
 * same expression is the affine's bias, where the sum then starts:
 *
 *      W @ v + b        =>        %y = affine %v, @W, @b
 */
#include "lower.h"

#include <string.h>

/* ---- common types ----------------------------------------------------------------------------------------------------------- */

static bool operand_is_fine(Lowering *l, const Val *v, Span span, const char *what)
{
    if (fe_is_poison(v))
        return false;
    if (v->kind != VAL_LIT && !fe_is_tensor(v)) {
        fe_fail(l, span, "%s of %s", what, fe_val_type(l, v));
        if (v->kind == VAL_FILE)
            diag_note(l->diags, v->span, "a tensor of it is named in brackets: %s[\"…\"]", v->label);
        return false;
    }
    return true;
}

static bool fail_elements(Lowering *l, const Val *a, const Val *b, Span span, const char *what)
{
    Type x = type_element(a->type), y = type_element(b->type);
    fe_fail(l, span, "%s of %s and %s: their element types differ", what, fe_val_type(l, a), fe_val_type(l, b));
    bool index = x.elem == ELEM_IDX || y.elem == ELEM_IDX;
    Type to = index ? (x.elem == ELEM_IDX ? y : x) : x.elem == ELEM_F64 ? x : y.elem == ELEM_F64 ? y : type_is_float(x) ? x : y;
    if (!index && (a->kind == VAL_CONST) != (b->kind == VAL_CONST))
        to = a->kind == VAL_CONST ? y : x;           /* rather the weights once than the values every time */
    if (to.elem == ELEM_IDX)
        to = type_int(32);
    const Val *other = type_same_element(a->type, to) ? b : a;
    diag_note(l->diags, span, "`%s(…)` converts %s", type_print(l->arena, to), fe_val_name(l, other, "the other"));
    fe_note_definition(l, a);
    fe_note_definition(l, b);
    return false;
}

bool fe_unify(Lowering *l, const Val **a, const Val **b, Span span, const char *what)
{
    if (!operand_is_fine(l, *a, span, what) || !operand_is_fine(l, *b, span, what))
        return false;
    if ((*a)->kind == VAL_LIT && (*b)->kind == VAL_LIT)
        return true;
    if ((*a)->kind == VAL_LIT || (*b)->kind == VAL_LIT) {
        const Val **lit = (*a)->kind == VAL_LIT ? a : b, *typed = lit == a ? *b : *a;
        if (typed->type.elem == ELEM_IDX) {
            fe_fail(l, span, "%s of %s, an index: `i32(…)` makes it a number", what, fe_val_type(l, typed));
            return false;
        }
        *lit = fe_lit_to_const(l, *lit, type_element(typed->type), NULL);
        return !fe_is_poison(*lit);
    }
    return type_same_element((*a)->type, (*b)->type) || fail_elements(l, *a, *b, span, what);
}

static bool same_dims(Type a, Type b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, a.rank * sizeof a.dim[0]) == 0;
}

const Val *fe_elementwise(Lowering *l, OpKind kind, const Val *a, const Val *b, Span span, const char *what, int64_t attr)
{
    if (!fe_unify(l, &a, &b, span, what))
        return fe_val_poison(l);
    if (!same_dims(a->type, b->type) && a->type.rank != 0 && b->type.rank != 0) {
        const Val *poison = fe_fail(l, span, "%s: expected two tensors of one shape or a scalar, found %s and %s", what,
                                    fe_val_type(l, a), fe_val_type(l, b));
        fe_note_definition(l, a);
        fe_note_definition(l, b);
        return poison;
    }
    bool truths = type_same_element(a->type, type_int(1));
    bool takes_truths = kind == OP_and || kind == OP_or || kind == OP_xor ||
        (kind == OP_cmp && (attr == PRED_eq || attr == PRED_ne));
    if (truths && !takes_truths)
        return fe_fail(l, span, "%s of truth values", what);
    Value operand[2] = {fe_to_value(l, a, span), fe_to_value(l, b, span)};
    if (!operand[0] || !operand[1])
        return fe_val_poison(l);
    OpInit init = {.kind = kind, .n_operands = 2, .operand = operand};
    init.attr[0].i = attr;
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

/* ---- the matrix product ---------------------------------------------------------------------------------------------- */

typedef struct Product { const Val *a, *b; const Expr *expr; } Product;

static const Val *fail_product(Lowering *l, const Product *p)
{
    const Val *a = p->a, *b = p->b;
    const char *x = fe_val_name(l, a, "the left side"), *y = fe_val_name(l, b, "the right side");
    const Val *poison;
    if (a->type.rank == 0 || b->type.rank == 0)
        poison = fe_fail(l, p->expr->span, "`@` is the matrix product: %s is a scalar; `*` multiplies by one",
                         a->type.rank == 0 ? x : y);
    else if (a->type.rank > 2 || b->type.rank > 2)
        poison = fe_fail(l, p->expr->span, "`@` multiplies matrices and vectors, found %s and %s", fe_val_type(l, a),
                         fe_val_type(l, b));
    else if (a->type.rank == 1 && b->type.rank == 1)
        poison = fe_fail(l, p->expr->span, "`@` needs a matrix, found two vectors, %s and %s; `dot(a, b)` is their product",
                         fe_val_type(l, a), fe_val_type(l, b));
    else if (a->type.rank == 2)
        poison = fe_fail(l, p->expr->span, "%s has %u columns, %s has %u %s", x, a->type.dim[1], y, b->type.dim[0],
                         b->type.rank == 1 ? "elements" : "rows");
    else
        poison = fe_fail(l, p->expr->span, "%s has %u elements, %s has %u rows", x, a->type.dim[0], y, b->type.dim[0]);
    if (a->type.rank == 2 && b->type.rank == 1 && a->type.dim[0] == b->type.dim[0])
        diag_note(l->diags, p->expr->span, "`transpose(…)` turns its %u rows into columns, which would fit", a->type.dim[0]);
    fe_note_definition(l, a);
    fe_note_definition(l, b);
    return poison;
}

static bool product_fits(Type a, Type b)
{
    return a.rank >= 1 && a.rank <= 2 && b.rank >= 1 && b.rank <= 2 && a.rank + b.rank >= 3 && a.dim[a.rank - 1] == b.dim[0];
}

/* f32 weights may meet f64 values: they are widened exactly. */
static bool weights_fit(Type weights, Type x)
{
    return type_same_element(weights, x) || (weights.elem == ELEM_F32 && x.elem == ELEM_F64);
}

/* Whether `w` may be applied to the vector `x` as it is. */
static bool may_widen(const Val *w, const Val *x)
{
    return w->kind == VAL_CONST && x->kind == VAL_VALUE && x->type.rank == 1 && weights_fit(w->type, x->type);
}

/* Evaluates both sides and gives numbers their type; false when something was reported. */
static bool open_product(Lowering *l, const Expr *e, Product *p)
{
    *p = (Product){fe_eval(l, e->bin.a), fe_eval(l, e->bin.b), e};
    if (!operand_is_fine(l, p->a, e->bin.a->span, "`@`") || !operand_is_fine(l, p->b, e->bin.b->span, "`@`"))
        return false;
    if (p->a->kind == VAL_LIT && p->b->kind == VAL_LIT) {
        fe_fail(l, e->span, "nothing says which type these numbers have; write `f32(…)` or another type");
        return false;
    }
    if (!product_fits(p->a->type, p->b->type)) {
        fail_product(l, p);
        return false;
    }
    return may_widen(p->a, p->b) || may_widen(p->b, p->a) || fe_unify(l, &p->a, &p->b, e->span, "a product");
}

/* The constant matrix and the vector of a product that is an affine; a vector from the left meets the transposed matrix. */
static bool is_affine(const Val *a, const Val *b)
{
    return a->kind == VAL_CONST && a->type.rank == 2 && b->type.rank == 1;
}

static const Val *multiply(Lowering *l, const Product *p, ConstId bias)
{
    Span span = p->expr->span;
    const Val *a = p->a, *b = p->b;
    OpInit init = {.kind = OP_affine};
    Value x[AFFINE_rows + 1] = {0}, ab[2];
    if (is_affine(a, b)) {
        x[AFFINE_x] = fe_to_value(l, b, span);
        init.cst[AFFINE_W] = a->cst;
    } else if (is_affine(b, a)) {
        x[AFFINE_x] = fe_to_value(l, a, span);
        init.cst[AFFINE_W] = const_transposed(l->m, b->cst, (uint32_t[]){1, 0});
    } else {
        ab[0] = fe_to_value(l, a, span);
        ab[1] = fe_to_value(l, b, span);
        if (!ab[0] || !ab[1])
            return fe_val_poison(l);
        uint64_t rows = (a->type.rank == 2 ? a->type.dim[0] : 1) * (uint64_t)(b->type.rank == 2 ? b->type.dim[1] : 1);
        init = (OpInit){.kind = OP_matmul, .n_operands = 2, .operand = ab};
        init.attr[0].i = ir_chains(rows, b->type.dim[0]);
        return fe_val_value(l, fe_emit_value(l, span, &init));
    }
    if (!x[AFFINE_x])
        return fe_val_poison(l);
    Type w = const_get(l->m, init.cst[AFFINE_W])->type;
    init.operand = x;
    init.n_operands = AFFINE_rows + 1;
    init.cst[AFFINE_b] = bias;
    init.attr[AFFINE_order].i = ir_chains(w.dim[0], w.dim[1]);
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

static const Val *eval_product(Lowering *l, const Expr *e)
{
    Product p;
    return open_product(l, e, &p) ? multiply(l, &p, 0) : fe_val_poison(l);
}

/* `W @ v + b` and `b + W @ v`: when b is a constant vector of the right length it is where the sum starts. */
static const Val *eval_product_plus(Lowering *l, const Expr *e, const Expr *product, const Expr *other)
{
    Product p;
    bool good = open_product(l, product, &p);
    const Val *b = fe_eval(l, other);
    if (!good || fe_is_poison(b))
        return fe_val_poison(l);
    bool affine = is_affine(p.a, p.b) || is_affine(p.b, p.a);
    if (affine && (b->kind == VAL_LIT || b->kind == VAL_CONST) && b->type.rank == 1) {
        bool left = is_affine(p.a, p.b);
        Type x = left ? p.b->type : p.a->type;
        uint32_t rows = left ? p.a->type.dim[0] : p.b->type.dim[1];
        if (b->kind == VAL_LIT && b->type.dim[0] == rows)
            b = fe_lit_to_const(l, b, type_element(x), NULL);
        if (fe_is_poison(b))
            return b;
        if (b->type.dim[0] == rows && weights_fit(b->type, x))
            return multiply(l, &(Product){p.a, p.b, e}, b->cst);
    }
    const Val *y = multiply(l, &p, 0);
    if (fe_is_poison(y))
        return y;
    bool first = product == e->bin.a;
    return fe_elementwise(l, OP_add, first ? y : b, first ? b : y, e->span, "a sum", 0);
}

/* ---- all operators --------------------------------------------------------------------------------------------------- */

static bool is_product(const Expr *e)
{
    return e->kind == EXPR_BINARY && e->op == OPERATOR_at;
}

static const Val *both_truths(Lowering *l, const Expr *e, OpKind kind, const Val *a, const Val *b)
{
    const Val *side[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        const Expr *at = i == 0 ? e->bin.a : e->bin.b;
        if (side[i]->kind == VAL_LIT)
            side[i] = fe_lit_to_const(l, side[i], type_int(1), NULL);
        if (fe_is_poison(side[i]))
            return side[i];
        if (!fe_is_tensor(side[i]) || !type_same_element(side[i]->type, type_int(1)))
            return fe_fail(l, at->span, "`%s` joins truth values (i1), found %s", fe_operator_text(e->op), fe_val_type(l, side[i]));
    }
    return fe_elementwise(l, kind, side[0], side[1], e->span, str_printf(l->arena, "`%s`", fe_operator_text(e->op)), 0);
}

const Val *fe_eval_binary(Lowering *l, const Expr *e)
{
    if (e->op == OPERATOR_at)
        return eval_product(l, e);
    if (e->op == OPERATOR_add && is_product(e->bin.a))
        return eval_product_plus(l, e, e->bin.a, e->bin.b);
    if (e->op == OPERATOR_add && is_product(e->bin.b))
        return eval_product_plus(l, e, e->bin.b, e->bin.a);
    const Val *a = fe_eval(l, e->bin.a), *b = fe_eval(l, e->bin.b);
    if (fe_is_poison(a) || fe_is_poison(b))
        return fe_val_poison(l);
    if (a->kind == VAL_LIT && b->kind == VAL_LIT)
        return fe_lit_binary(l, e, a, b);
    switch (e->op) {
    case OPERATOR_add: return fe_elementwise(l, OP_add, a, b, e->span, "a sum", 0);
    case OPERATOR_sub: return fe_elementwise(l, OP_sub, a, b, e->span, "a difference", 0);
    case OPERATOR_mul: return fe_elementwise(l, OP_mul, a, b, e->span, "a product", 0);
    case OPERATOR_div: return fe_elementwise(l, OP_div, a, b, e->span, "a quotient", 0);
    case OPERATOR_eq: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_eq);
    case OPERATOR_ne: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_ne);
    case OPERATOR_lt: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_lt);
    case OPERATOR_le: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_le);
    case OPERATOR_gt: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_gt);
    case OPERATOR_ge: return fe_elementwise(l, OP_cmp, a, b, e->span, "a comparison", PRED_ge);
    case OPERATOR_and: return both_truths(l, e, OP_and, a, b);
    case OPERATOR_or: return both_truths(l, e, OP_or, a, b);
    case OPERATOR_at: case OPERATOR_not: case OPERATOR_neg: break;
    }
    ICE("operator %d is not binary", (int)e->op);
}

const Val *fe_eval_unary(Lowering *l, const Expr *e)
{
    const Val *a = fe_eval(l, e->bin.a);
    if (fe_is_poison(a))
        return a;
    if (a->kind == VAL_LIT)
        return fe_lit_unary(l, e, a);
    if (!operand_is_fine(l, a, e->span, e->op == OPERATOR_neg ? "the negative" : "`!`"))
        return fe_val_poison(l);
    if (e->op == OPERATOR_not) {
        if (!type_same_element(a->type, type_int(1)))
            return fe_fail(l, e->span, "`!` negates truth values (i1), found %s", fe_val_type(l, a));
        return fe_elementwise(l, OP_xor, a, fe_lit_scalar(l, 1, LIT_TRUTH, e->span), e->span, "`!`", 0);
    }
    if (type_same_element(a->type, type_int(1)))
        return fe_fail(l, e->span, "the negative of truth values; `!` negates them");
    return fe_emit_unary(l, e->span, OP_neg, fe_to_value(l, a, e->span), NULL);
}
