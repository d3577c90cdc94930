/* onnx_pointwise.c — operators that work element by element, and numpy's broadcasting, which they share.
 *
 * In: two tensors whose shapes agree up to extents of 1. Out: IR ops on flat vectors of one length. The one idea: a
 * constant is stretched here, once, into the constant that it stands for; a computed value is stretched by concat,
 * which is free; a single element stays a scalar, which IR ops broadcast themselves.
 */
#include "onnx_graph.h"

#include <math.h>
#include <string.h>

/* ---- broadcasting ---- */

static uint64_t extent_from_right(const OnnxValue *v, uint32_t d)
{
    return d < v->rank ? v->dim[v->rank - 1 - d] : 1;
}

bool onnx_broadcast(const OnnxValue *a, const OnnxValue *b, uint32_t *rank, uint64_t *dim)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (uint32_t d = 0; d < *rank; d++) {
        uint64_t x = extent_from_right(a, d), y = extent_from_right(b, d);
        if (x != y && x != 1 && y != 1)
            return false;
        dim[*rank - 1 - d] = x == 1 ? y : x;
    }
    return true;
}

/* The elements of a constant repeated to fill rank x dim, row-major. */
static const void *repeat_elements(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim, uint64_t n)
{
    const uint8_t *from = onnx_data(g, v);
    uint32_t bytes = type_element_bytes(v->elem);
    uint64_t step[ONNX_MAX_RANK], at[ONNX_MAX_RANK] = {0}, offset = 0, stride = 1;
    for (uint32_t d = rank; d-- > 0;) {
        uint64_t extent = extent_from_right(v, rank - 1 - d);
        step[d] = extent == 1 ? 0 : stride;
        stride *= extent;
    }
    uint8_t *out = arena_big(g->arena, n * bytes, 64);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(out + i * bytes, from + offset * bytes, bytes);
        for (uint32_t d = rank; d-- > 0;) { /* the next index, like an odometer */
            offset += step[d];
            if (++at[d] < dim[d])
                break;
            offset -= step[d] * dim[d];
            at[d] = 0;
        }
    }
    return out;
}

/* One axis at a time, from the right: [outer, 1, inner] → [outer, extent, inner]. */
static Value repeat_value(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim)
{
    uint64_t now[ONNX_MAX_RANK];
    for (uint32_t d = 0; d < rank; d++)
        now[d] = extent_from_right(v, rank - 1 - d);
    Value value = onnx_value(g, v);
    for (uint32_t d = rank; d-- > 0;) {
        if (now[d] == dim[d])
            continue;
        uint32_t outer = (uint32_t)onnx_product(now, 0, d), inner = (uint32_t)onnx_product(now, d + 1, rank);
        Value plane = build_reshape(&g->b, value, 2, (uint32_t[]){outer, inner});
        Value *copies = NEW_ARRAY(g->arena, dim[d], Value);
        for (uint64_t i = 0; i < dim[d]; i++)
            copies[i] = plane;
        now[d] = dim[d];
        Value wide = build_concat(&g->b, (uint32_t)dim[d], copies, 1);
        value = build_reshape(&g->b, wide, 1, (uint32_t[]){(uint32_t)onnx_product(now, 0, rank)});
    }
    return value;
}

Value onnx_stretched(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim)
{
    enum { MOST_CONSTANT = 1 << 28, MOST_COMPUTED = 1 << 16 };
    uint64_t n = onnx_product(dim, 0, rank);
    if (onnx_count(v) == n)
        return onnx_value(g, v);
    if (n > (onnx_is_constant(v) ? MOST_CONSTANT : MOST_COMPUTED) && onnx_count(v) != 1) {
        onnx_fail(g, "stretching %s to %llu elements would make the network unreasonably large", onnx_shape(g, v), (unsigned long long)n);
        return 0;
    }
    if (onnx_count(v) == 1) {
        Value scalar = build_reshape(&g->b, onnx_value(g, v), 0, NULL);
        return build_splat(&g->b, scalar, type_vector(v->elem, (uint32_t)n));
    }
    if (!onnx_is_constant(v))
        return repeat_value(g, v, rank, dim);
    OnnxValue *wide = NEW(g->arena, OnnxValue);
    wide->name = v->name;
    onnx_set_constant(g, wide, v->elem, rank, dim, repeat_elements(g, v, rank, dim, n));
    return onnx_value(g, wide);
}

/* An operand of an elementwise op on n elements: a single element as a scalar. */
static Value operand(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim)
{
    if (onnx_count(v) != 1 || onnx_product(dim, 0, rank) == 1)
        return onnx_stretched(g, v, rank, dim);
    if (onnx_is_constant(v))
        return build_const(&g->b, onnx_const_shaped(g, v, 0, NULL));
    return build_reshape(&g->b, onnx_value(g, v), 0, NULL);
}

/* Before opset 7, `axis` said where b's dims lie among a's. */
static void old_axis(OnnxGraph *g, const OnnxValue *a, OnnxValue *b)
{
    const AttributeProto *axis = onnx_attribute(g, "axis");
    if (g->opset >= 7 || !axis || onnx_int(g, "broadcast", 0) == 0)
        return;
    int64_t last = axis->i < 0 ? axis->i + a->rank : axis->i;
    for (last += b->rank; last >= 0 && last < a->rank && b->rank < a->rank; last++)
        b->dim[b->rank++] = 1;
}

typedef struct Pair { Value x, y; uint32_t rank; uint64_t dim[ONNX_MAX_RANK]; } Pair;

/* Both operands brought to one length, with at most one of them a scalar. */
static bool make_pair(OnnxGraph *g, OnnxValue *a, OnnxValue *b, Pair *out)
{
    OnnxValue *c = b;
    if (g->opset < 7 && b->rank < a->rank && onnx_attribute(g, "axis")) {
        c = NEW(g->arena, OnnxValue);
        *c = *b;
        if (b->kind == ONNX_PRODUCT) {
            c->value = onnx_value(g, b);
            c->kind = ONNX_COMPUTED;
        }
        c->cst = 0;
        if (onnx_is_constant(c)) {
            c->data = onnx_data(g, b);
            c->value = 0;
        }
        old_axis(g, a, c);
    }
    if (!type_same_element(a->elem, c->elem))
        return onnx_fail(g, "%s and %s have different element types", onnx_shape(g, a), onnx_shape(g, c));
    if (!onnx_broadcast(a, c, &out->rank, out->dim))
        return onnx_fail(g, "the shapes %s and %s do not fit together", onnx_shape(g, a), onnx_shape(g, c));
    uint64_t n = 1;
    for (uint32_t d = 0; d < out->rank; d++)
        n *= out->dim[d];
    if (n > INT32_MAX)
        return onnx_fail(g, "%s and %s together have too many elements", onnx_shape(g, a), onnx_shape(g, c));
    bool both_scalar = onnx_count(a) == 1 && onnx_count(c) == 1;
    out->x = both_scalar ? onnx_value(g, a) : operand(g, a, out->rank, out->dim);
    out->y = both_scalar ? onnx_value(g, c) : operand(g, c, out->rank, out->dim);
    return out->x && out->y;
}

/* ---- two operands ---- */

static bool binary(OnnxGraph *g, OpKind kind, OnnxValue *a, OnnxValue *b)
{
    Pair p;
    return make_pair(g, a, b, &p) && onnx_set_value(g, g->output, build_binary(&g->b, kind, p.x, p.y), p.rank, p.dim);
}

static bool op_add(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    return onnx_bias(g, in[0], in[1], false) || onnx_bias(g, in[1], in[0], false) || binary(g, OP_add, in[0], in[1]);
}

static bool op_sub(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    return onnx_bias(g, in[0], in[1], true) || binary(g, OP_sub, in[0], in[1]);
}

static bool op_mul(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return binary(g, OP_mul, in[0], in[1]); }
static bool op_div(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return binary(g, OP_div, in[0], in[1]); }

/* Min, Max and Sum take any number. */
static bool variadic(OnnxGraph *g, OpKind kind, OnnxValue **in, size_t n)
{
    if (n == 1)
        return onnx_set_value_like(g, g->output, onnx_value(g, in[0]), in[0]);
    OnnxValue *so_far = in[0];
    for (size_t i = 1; i < n; i++) {
        if (!binary(g, kind, so_far, in[i]))
            return false;
        so_far = NEW(g->arena, OnnxValue);
        *so_far = *g->output;
    }
    return true;
}

static bool op_min(OnnxGraph *g, OnnxValue **in, size_t n) { return variadic(g, OP_min, in, n); }
static bool op_max(OnnxGraph *g, OnnxValue **in, size_t n) { return variadic(g, OP_max, in, n); }
static bool op_sum(OnnxGraph *g, OnnxValue **in, size_t n) { return variadic(g, OP_add, in, n); }

static bool compare(OnnxGraph *g, Pred pred, OnnxValue **in)
{
    Pair p;
    return make_pair(g, in[0], in[1], &p) && onnx_set_value(g, g->output, build_cmp(&g->b, pred, p.x, p.y), p.rank, p.dim);
}

static bool op_less(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return compare(g, PRED_lt, in); }
static bool op_less_equal(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return compare(g, PRED_le, in); }
static bool op_greater(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return compare(g, PRED_gt, in); }
static bool op_greater_equal(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return compare(g, PRED_ge, in); }
static bool op_equal(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return compare(g, PRED_eq, in); }

/* ---- one operand ---- */

static bool need_float(OnnxGraph *g, const OnnxValue *v)
{
    return type_is_float(v->elem) || onnx_fail(g, "it needs floats, found %s", onnx_shape(g, v));
}

static bool unary(OnnxGraph *g, OpKind kind, OnnxValue *a)
{
    return onnx_set_value_like(g, g->output, build_unary(&g->b, kind, onnx_value(g, a)), a);
}

static bool op_relu(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return unary(g, OP_relu, in[0]); }
static bool op_abs(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return unary(g, OP_abs, in[0]); }
static bool op_neg(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return unary(g, OP_neg, in[0]); }
static bool op_exp(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return need_float(g, in[0]) && unary(g, OP_exp, in[0]); }
static bool op_tanh(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return need_float(g, in[0]) && unary(g, OP_tanh, in[0]); }
static bool op_sigmoid(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return need_float(g, in[0]) && unary(g, OP_sigmoid, in[0]); }
static bool op_sqrt(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return need_float(g, in[0]) && unary(g, OP_sqrt, in[0]); }

static Value number(OnnxGraph *g, const OnnxValue *like, double value)
{
    return build_const(&g->b, const_splat_f64(g->m, "number", type_element(like->elem), value));
}

/* x < 0 ? slope * x : x */
static bool leak(OnnxGraph *g, OnnxValue *x, Value slope)
{
    Value v = onnx_value(g, x);
    Value below = build_cmp(&g->b, PRED_lt, v, number(g, x, 0));
    return onnx_set_value_like(g, g->output, build_select(&g->b, below, build_binary(&g->b, OP_mul, v, slope), v), x);
}

static bool op_leaky_relu(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    return need_float(g, in[0]) && leak(g, in[0], number(g, in[0], (double)onnx_float(g, "alpha", 0.01f)));
}

static bool op_prelu(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK];
    if (!need_float(g, in[0]))
        return false;
    if (!type_same_element(in[0]->elem, in[1]->elem) || !onnx_broadcast(in[0], in[1], &rank, dim) || rank != in[0]->rank ||
        onnx_product(dim, 0, rank) != onnx_count(in[0]))
        return onnx_fail(g, "a slope %s does not fit an input %s", onnx_shape(g, in[1]), onnx_shape(g, in[0]));
    Value slope = operand(g, in[1], rank, dim);
    return slope && leak(g, in[0], slope);
}

static bool op_reciprocal(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    return need_float(g, in[0]) &&
           onnx_set_value_like(g, g->output, build_binary(&g->b, OP_div, number(g, in[0], 1), onnx_value(g, in[0])), in[0]);
}

/* max(0, min(1, alpha * x + beta)) */
static bool op_hard_sigmoid(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    OnnxValue *x = in[0];
    if (!need_float(g, x))
        return false;
    Value v = build_binary(&g->b, OP_mul, onnx_value(g, x), number(g, x, (double)onnx_float(g, "alpha", 0.2f)));
    v = build_binary(&g->b, OP_add, v, number(g, x, (double)onnx_float(g, "beta", 0.5f)));
    v = build_binary(&g->b, OP_max, build_binary(&g->b, OP_min, v, number(g, x, 1)), number(g, x, 0));
    return onnx_set_value_like(g, g->output, v, x);
}

/* ---- Clip ---- */

/* A bound from an input (opset 11 and later) or an attribute (before), as a scalar; 0 when there is none. */
static bool clip_bound(OnnxGraph *g, OnnxValue *x, OnnxValue *input, const char *attribute, Value *out)
{
    const AttributeProto *a = g->opset < 11 ? onnx_attribute(g, attribute) : NULL;
    *out = 0;
    if (a && a->has_f)
        *out = number(g, x, (double)a->f);
    if (!input)
        return true;
    if (onnx_count(input) != 1 || !type_same_element(input->elem, x->elem))
        return onnx_fail(g, "its bound `%s` should be one %s, found %s", name_shown(g->arena, input->name), type_print(g->arena, x->elem),
                         onnx_shape(g, input));
    *out = onnx_is_constant(input) ? build_const(&g->b, onnx_const_shaped(g, input, 0, NULL))
                                   : build_reshape(&g->b, onnx_value(g, input), 0, NULL);
    return true;
}

static bool op_clip(OnnxGraph *g, OnnxValue **in, size_t n)
{
    Value low, high;
    if (!clip_bound(g, in[0], n > 1 ? in[1] : NULL, "min", &low) || !clip_bound(g, in[0], n > 2 ? in[2] : NULL, "max", &high))
        return false;
    Value v = onnx_value(g, in[0]);
    if (low)
        v = build_binary(&g->b, OP_max, v, low);
    if (high)
        v = build_binary(&g->b, OP_min, v, high);
    return onnx_set_value_like(g, g->output, v, in[0]);
}

/* ---- Softmax ---- */

/* Row by row; before opset 13 a row is everything behind `axis`, since then it lies along `axis`. */
static bool op_softmax(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    OnnxValue *x = in[0];
    uint32_t axis = 0;
    int64_t wanted = onnx_int(g, "axis", g->opset < 13 ? 1 : -1);
    if (!need_float(g, x) || (x->rank && !(g->opset < 13 && wanted == (int64_t)x->rank) && !onnx_axis(g, wanted, x->rank, &axis)))
        return false;
    uint64_t rows = onnx_product(x->dim, 0, axis), inner = x->rank ? onnx_product(x->dim, axis + 1, x->rank) : 1, n = onnx_count(x);
    if (g->opset >= 13 && inner != 1)
        return onnx_fail(g, "an axis other than the last (%u of %s) is not supported; transpose the tensor", axis, onnx_shape(g, x));
    if (n == 0 || rows > 4096)
        return onnx_fail(g, "%llu rows (%s) are not supported", (unsigned long long)rows, onnx_shape(g, x));
    Value v = onnx_value(g, x);
    if (rows == 1)
        return onnx_set_value_like(g, g->output, build_softmax(&g->b, v), x);
    Value *row = NEW_ARRAY(g->arena, rows, Value);
    uint32_t width = (uint32_t)(n / rows);
    for (uint32_t r = 0; r < rows; r++)
        row[r] = build_softmax(&g->b, build_slice(&g->b, v, (uint32_t[]){r * width}, (uint32_t[]){width}));
    return onnx_set_value_like(g, g->output, build_concat(&g->b, (uint32_t)rows, row, 0), x);
}

/* ---- Cast, Where ---- */

static bool op_cast(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    FileElem elem;
    OnnxValue *x = in[0];
    int64_t to = onnx_int(g, "to", 0);
    if (!onnx_elem(to, &elem) || !file_elem_is_ours(elem))
        return onnx_fail(g, "a cast to %s is not supported; supported are float, double, int8 to int64 and bool", onnx_elem_name(to));
    Type type = file_elem_type(elem);
    Value v = onnx_value(g, x);
    if (elem == FILE_BOOL && !type_equal(x->elem, type_int(1)))
        v = build_cmp(&g->b, PRED_ne, v, number(g, x, 0));
    return onnx_set_value_like(g, g->output, build_cast(&g->b, v, type), x);
}

static bool op_where(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    OnnxValue both = {0};
    if (!type_equal(in[0]->elem, type_int(1)) || !type_same_element(in[1]->elem, in[2]->elem) ||
        !onnx_broadcast(in[1], in[2], &both.rank, both.dim))
        return onnx_fail(g, "%s cannot choose between %s and %s", onnx_shape(g, in[0]), onnx_shape(g, in[1]), onnx_shape(g, in[2]));
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK];
    if (!onnx_broadcast(in[0], &both, &rank, dim))
        return onnx_fail(g, "a condition %s does not fit %s", onnx_shape(g, in[0]), onnx_shape(g, in[1]));
    Value c = onnx_stretched(g, in[0], rank, dim), a = onnx_stretched(g, in[1], rank, dim), b = onnx_stretched(g, in[2], rank, dim);
    return c && a && b && onnx_set_value(g, g->output, build_select(&g->b, c, a, b), rank, dim);
}

const OnnxOp onnx_pointwise_ops[] = {
    {"Add", 2, 2, op_add},
    {"Sub", 2, 2, op_sub},
    {"Mul", 2, 2, op_mul},
    {"Div", 2, 2, op_div},
    {"Min", 1, 1000, op_min},
    {"Max", 1, 1000, op_max},
    {"Sum", 1, 1000, op_sum},
    {"Less", 2, 2, op_less},
    {"LessOrEqual", 2, 2, op_less_equal},
    {"Greater", 2, 2, op_greater},
    {"GreaterOrEqual", 2, 2, op_greater_equal},
    {"Equal", 2, 2, op_equal},
    {"Where", 3, 3, op_where},
    {"Relu", 1, 1, op_relu},
    {"LeakyRelu", 1, 1, op_leaky_relu},
    {"PRelu", 2, 2, op_prelu},
    {"HardSigmoid", 1, 1, op_hard_sigmoid},
    {"Clip", 1, 3, op_clip},
    {"Tanh", 1, 1, op_tanh},
    {"Sigmoid", 1, 1, op_sigmoid},
    {"Softmax", 1, 1, op_softmax},
    {"Exp", 1, 1, op_exp},
    {"Sqrt", 1, 1, op_sqrt},
    {"Abs", 1, 1, op_abs},
    {"Neg", 1, 1, op_neg},
    {"Reciprocal", 1, 1, op_reciprocal},
    {"Cast", 1, 1, op_cast},
    {0}};
