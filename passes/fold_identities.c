/* fold_identities.c — drop x − 0, x * 1, x / 1 and their like: a subtracted mean of zero.
 *
 *      %m = const @mean      all +0.0                %h = affine %x, @W, @b
 *      %c = sub %x, %m                       =>
 *      %h = affine %c, @W, @b
 *
 *      always, for every x, NaN, ±infinity and −0.0 included:
 *          x − (+0.0)   x + (−0.0)   x * 1   x / 1   − − x   cast to itself          → x
 *          (−0.0) − x → − x      x + (− y) → x − y      x − (− y) → x + y
 *          relu relu x, |relu x| → relu x          | |x| |, |− x| → |x|
 *          min(x, x), max(x, x) → x      min(min(x, y), y) → min(x, y), max likewise
 *          select with a constant condition, or of twice the same value
 *          integers: x ± 0, x shifted by 0, x and x, x or x, x and −1, x or 0, x xor 0, x * 0 → 0
 *          an affine's bias of zeros goes (sums start at +0.0 without one)
 *      only under `real` numerics:
 *          x + (+0.0), x − (−0.0) → x  (of −0.0 they make +0.0)       0 − x → − x  (of +0.0 it makes +0.0)
 *
 * Never: float x * 0 (NaN, infinities, signs). A bias −0.0 is read as +0.0, so it may go as well.
 * (|x| of a NaN only clears its sign: every NaN equals every other.)
 *
 * Ends: each step removes an op, or a bias, or turns a sum of a negated value into a difference; none is undone.
 */
#include "pass_util.h"

/* What a rule sees: the op, its operands, and the constants that they are. */
typedef struct Place {
    Network *net;
    Op *op;
    Value a, b;
    const Const *ca, *cb;
    bool floats, real;
} Place;

static const Const *constant_of(const Network *net, Value v)
{
    ConstId c = v ? value_const(net, v) : 0;
    return c && const_get(net->module, c)->kind == CONST_TENSOR ? const_get(net->module, c) : NULL;
}

static Place place_of(Network *net, Op *op)
{
    Value a = op_operand(op, 0), b = op_operand(op, 1);
    return (Place){net, op, a, b, a ? constant_of(net, a) : NULL, b ? constant_of(net, b) : NULL,
                   a && type_is_float(value_type(net, a)), net->options.numerics == NUMERICS_real};
}

/* The op becomes `v`, if it has the same type (a scalar constant may have widened the result, never the other way). */
static bool becomes(const Place *p, Value v)
{
    if (!v || !type_equal(value_type(p->net, v), value_type(p->net, p->op->result[0])))
        return false;
    replace_op(p->op, v);
    return true;
}

static bool becomes_unary(const Place *p, OpKind kind, Value v)
{
    if (!type_equal(value_type(p->net, v), value_type(p->net, p->op->result[0])))
        return false;
    Builder b = builder_before(p->op);
    replace_op(p->op, build_unary(&b, kind, v));
    return true;
}

static bool becomes_binary(const Place *p, OpKind kind, Value x, Value y)
{
    Builder b = builder_before(p->op);
    replace_op(p->op, build_binary(&b, kind, x, y));
    return true;
}

/* `c` added to anything changes nothing: −0.0, or any zero under real numerics, or the integer 0. */
static bool is_nothing_to_add(const Place *p, const Const *c)
{
    if (!c)
        return false;
    return p->floats && !p->real ? const_is_all(c, -0.0) : const_is_zero(c);
}

static bool is_nothing_to_subtract(const Place *p, const Const *c)
{
    if (!c)
        return false;
    return p->floats && !p->real ? const_is_all(c, 0.0) : const_is_zero(c);
}

static bool fold_add(const Place *p)
{
    if ((is_nothing_to_add(p, p->cb) && becomes(p, p->a)) || (is_nothing_to_add(p, p->ca) && becomes(p, p->b)))
        return true;
    const Op *neg_b = definition(p->net, p->b, OP_neg), *neg_a = definition(p->net, p->a, OP_neg);
    if (neg_b)
        return becomes_binary(p, OP_sub, p->a, op_operand(neg_b, 0));
    return neg_a && becomes_binary(p, OP_sub, p->b, op_operand(neg_a, 0));
}

static bool fold_sub(const Place *p)
{
    if (is_nothing_to_subtract(p, p->cb) && becomes(p, p->a))
        return true;
    if (is_nothing_to_add(p, p->ca) && becomes_unary(p, OP_neg, p->b))
        return true;
    const Op *neg = definition(p->net, p->b, OP_neg);
    return neg && becomes_binary(p, OP_add, p->a, op_operand(neg, 0));
}

static bool fold_mul(const Place *p)
{
    if ((p->cb && const_is_all(p->cb, 1) && becomes(p, p->a)) || (p->ca && const_is_all(p->ca, 1) && becomes(p, p->b)))
        return true;
    return !p->floats && ((p->ca && const_is_zero(p->ca) && becomes(p, p->a))
                          || (p->cb && const_is_zero(p->cb) && becomes(p, p->b)));
}

static bool fold_div(const Place *p)
{
    return p->cb && const_is_all(p->cb, 1) && becomes(p, p->a);
}

static bool fold_neg(const Place *p)
{
    const Op *neg = definition(p->net, p->a, OP_neg);
    return neg && becomes(p, op_operand(neg, 0));
}

static bool fold_relu(const Place *p)
{
    return definition(p->net, p->a, OP_relu) && becomes(p, p->a);
}

static bool fold_abs(const Place *p)
{
    const Op *neg = definition(p->net, p->a, OP_neg);
    if (neg)
        return becomes_unary(p, OP_abs, op_operand(neg, 0));
    return (definition(p->net, p->a, OP_abs) || (p->floats && definition(p->net, p->a, OP_relu))) && becomes(p, p->a);
}

/* min(min(x, y), y): whichever the inner one chose, the outer one keeps it. (With the inner one second this is false for
 * ±0: min(+0, min(−0, +0)) = +0.) */
static bool fold_extreme(const Place *p)
{
    if (p->a == p->b)
        return becomes(p, p->a);
    const Op *inner = definition(p->net, p->a, p->op->kind);
    return inner && (op_operand(inner, 0) == p->b || op_operand(inner, 1) == p->b) && becomes(p, p->a);
}

static bool fold_select(const Place *p)
{
    Value yes = op_operand(p->op, 1), no = op_operand(p->op, 2);
    if (yes == no)
        return becomes(p, yes);
    if (!p->ca)
        return false;
    if (const_is_zero(p->ca))
        return becomes(p, no);
    return const_nonzeros(p->ca) == type_count(p->ca->type) && becomes(p, yes);
}

static bool all_ones(const Const *c)
{
    if (c->type.n == 1)           /* i1 is stored as 0 or 1 */
        return const_nonzeros(c) == type_count(c->type);
    return const_is_all(c, -1);
}

static bool fold_bits(const Place *p)
{
    bool is_xor = p->op->kind == OP_xor, is_and = p->op->kind == OP_and;
    if (p->a == p->b && !is_xor)
        return becomes(p, p->a);
    if (p->cb && (is_and ? all_ones(p->cb) : const_is_zero(p->cb)) && becomes(p, p->a))
        return true;
    return p->ca && (is_and ? all_ones(p->ca) : const_is_zero(p->ca)) && becomes(p, p->b);
}

static bool fold_shift(const Place *p)
{
    return p->op->attr[0].i == 0 && becomes(p, p->a);
}

static bool fold_cast(const Place *p)
{
    return becomes(p, p->a);
}

static bool fold_bias(const Place *p)
{
    Op *op = p->op;
    ConstId b = op->cst[AFFINE_b];
    if (!b || !const_is_zero(const_get(p->net->module, b)))
        return false;
    op->cst[AFFINE_b] = 0;
    op->operand[AFFINE_j] = 0;
    return true;
}

static const struct { OpKind kind; bool (*fold)(const Place *); } rules[] = {
    {OP_add, fold_add}, {OP_sub, fold_sub}, {OP_mul, fold_mul}, {OP_div, fold_div}, {OP_neg, fold_neg},
    {OP_relu, fold_relu}, {OP_abs, fold_abs}, {OP_min, fold_extreme}, {OP_max, fold_extreme}, {OP_select, fold_select},
    {OP_and, fold_bits}, {OP_or, fold_bits}, {OP_xor, fold_bits}, {OP_shl, fold_shift}, {OP_lshr, fold_shift},
    {OP_cast, fold_cast}, {OP_affine, fold_bias},
};

bool pass_fold_identities(Network *net, PassContext *ctx)
{
    size_t steps = 0, before;
    do {
        before = steps;
        OpWalk walk;
        FOR_EACH_OP(walk, op, net)
            for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
                if (rules[i].kind == op->kind) {
                    Place p = place_of(net, op);
                    steps += rules[i].fold(&p);
                    break;
                }
    } while (steps > before);
    pass_stat(ctx, "identities", steps);
    return steps > 0;
}
