/* onnx_linear.c — Gemm, MatMul, Conv and BatchNormalization: the operators that become affine maps.
 *
 *      MatMul(x, W)            =>   affine x, transposed view of @W            (the view is free)
 *      MatMul(W, x)            =>   affine x, @W
 *      Add(MatMul(x, W), b)    =>   affine x, @W, @b          when nobody else uses the product; Sub: with -b, exactly
 *      Gemm(x, W, b)           =>   affine x, @W, @b
 *      Conv(x, W, b)           =>   affine x, @W, @b          when the kernel covers the whole input
 *      of two computed values  =>   matmul
 *
 * Gemm's factors: alpha*W and beta*b are computed once, here, and rounded to the type of W (exact for powers of two);
 * what ONNX writes as alpha*(x@W) + beta*b therefore differs by roundings from a run-time that multiplies afterwards.
 */
#include "onnx_graph.h"

#include <math.h>
#include <string.h>

/* ---- constants, scaled ---- */

static void put_float(Type type, double value, uint8_t *data, size_t i)
{
    float narrow = (float)value;
    if (type.elem == ELEM_F32)
        memcpy(data + 4 * i, &narrow, 4);
    else
        memcpy(data + 8 * i, &value, 8);
}

static double get_float(Type type, const uint8_t *data, size_t i)
{
    float narrow;
    double wide;
    if (type.elem == ELEM_F32) {
        memcpy(&narrow, data + 4 * i, 4);
        return narrow;
    }
    memcpy(&wide, data + 8 * i, 8);
    return wide;
}

/* factor * constant, each product rounded once: a product of two f32 is exact in f64. */
static bool scale(OnnxGraph *g, OnnxValue *v, float factor, const char *what, OnnxValue **out)
{
    *out = v;
    if (factor == 1)
        return true;
    if (!type_is_float(v->elem))
        return onnx_fail(g, "%s = %g cannot be applied to %s", what, (double)factor, onnx_shape(g, v));
    size_t n = (size_t)onnx_count(v);
    const uint8_t *from = onnx_data(g, v);
    uint8_t *data = arena_big(g->arena, n * type_element_bytes(v->elem), 64);
    for (size_t i = 0; i < n; i++)
        put_float(v->elem, (double)factor * get_float(v->elem, from, i), data, i);
    OnnxValue *scaled = NEW(g->arena, OnnxValue);
    scaled->name = str_printf(g->arena, "%s.%s", v->name, what);
    *out = scaled;
    return onnx_set_constant(g, scaled, v->elem, v->rank, v->dim, data);
}

/* The constant read as a matrix; transposed: as its transpose. Both free. */
static ConstId matrix(OnnxGraph *g, OnnxValue *v, uint64_t rows, uint64_t cols, bool transposed)
{
    ConstId id = onnx_const_shaped(g, v, 2, (uint32_t[]){(uint32_t)rows, (uint32_t)cols});
    return transposed ? const_transposed(g->m, id, (uint32_t[]){1, 0}) : id;
}

/* The elements of a constant, stretched to n by numpy's rules for [1, n]; 0 (reported) when they do not fit. */
static ConstId bias_vector(OnnxGraph *g, OnnxValue *c, uint64_t n, bool negate)
{
    uint64_t count = onnx_count(c);
    if (count != n && count != 1) {
        onnx_fail(g, "a bias %s does not fit %llu outputs", onnx_shape(g, c), (unsigned long long)n);
        return 0;
    }
    uint32_t bytes = type_element_bytes(c->elem), dim = (uint32_t)n;
    if (count == n && !negate)
        return onnx_const_shaped(g, c, 1, &dim);
    const uint8_t *from = onnx_data(g, c);
    uint8_t *data = arena_big(g->arena, (size_t)n * bytes, 64);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(data + i * bytes, from + (count == 1 ? 0 : i) * bytes, bytes);
        if (negate)
            data[i * bytes + bytes - 1] ^= 0x80; /* the sign of a float */
    }
    return const_add(g->m, c->name, type_vector(c->elem, dim), data, g->span);
}

static bool set_affine(OnnxGraph *g, Value x, ConstId w, ConstId bias, uint32_t rank, const uint64_t *dim)
{
    Type t = const_get(g->m, w)->type;
    return onnx_set_value(g, g->output, build_affine(&g->b, x, w, bias, ir_chains(t.dim[0], t.dim[1])), rank, dim);
}

static bool same_elements(OnnxGraph *g, const OnnxValue *a, const OnnxValue *b)
{
    return type_same_element(a->elem, b->elem) || onnx_fail(g, "%s and %s have different element types", onnx_shape(g, a), onnx_shape(g, b));
}

/* ---- products ---- */

bool onnx_bias(OnnxGraph *g, OnnxValue *product, OnnxValue *constant, bool negate)
{
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK], n = onnx_count(product), count = onnx_count(constant);
    if (product->kind != ONNX_PRODUCT || product->uses != 1 || !onnx_is_constant(constant) || (count != n && count != 1) ||
        !type_same_element(product->elem, constant->elem) || (negate && !type_is_float(constant->elem)) ||
        !onnx_broadcast(product, constant, &rank, dim))
        return false;
    uint64_t total = 1;
    for (uint32_t d = 0; d < rank; d++)
        total *= dim[d];
    return total == n && set_affine(g, product->value, product->cst, bias_vector(g, constant, n, negate), rank, dim);
}

static bool set_product(OnnxGraph *g, OnnxValue *x, ConstId w, uint32_t rank, const uint64_t *dim)
{
    OnnxValue *out = g->output;
    out->value = onnx_value(g, x); /* first: it may build */
    out->kind = ONNX_PRODUCT;
    out->elem = x->elem;
    out->cst = w;
    out->rank = rank;
    if (rank)
        memcpy(out->dim, dim, rank * sizeof *dim);
    return true;
}

/* a [m, k] times b [k, n], both in the IR. */
static Value multiply(OnnxGraph *g, OnnxValue *a, OnnxValue *b, uint64_t m, uint64_t k, uint64_t n)
{
    Value x = build_reshape(&g->b, onnx_value(g, a), 2, (uint32_t[]){(uint32_t)m, (uint32_t)k});
    Value y = build_reshape(&g->b, onnx_value(g, b), 2, (uint32_t[]){(uint32_t)k, (uint32_t)n});
    Value product = build_matmul(&g->b, x, y, ir_chains(m * n, k));
    return build_reshape(&g->b, product, 1, (uint32_t[]){(uint32_t)(m * n)});
}

static bool op_matmul(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    OnnxValue *a = in[0], *b = in[1];
    if (a->rank == 0 || b->rank == 0)
        return onnx_fail(g, "a matrix product needs vectors or matrices, found %s and %s", onnx_shape(g, a), onnx_shape(g, b));
    uint64_t k = a->dim[a->rank - 1], n = b->rank == 1 ? 1 : b->dim[b->rank - 1], rows = onnx_product(a->dim, 0, a->rank - 1);
    uint64_t stack = b->rank > 2 ? onnx_product(b->dim, 0, b->rank - 2) : 1, kb = b->dim[b->rank == 1 ? 0 : b->rank - 2];
    if (k != kb)
        return onnx_fail(g, "%s @ %s: %llu columns meet %llu rows", onnx_shape(g, a), onnx_shape(g, b), (unsigned long long)k, (unsigned long long)kb);
    if (!same_elements(g, a, b))
        return false;
    uint32_t rank = 0;
    uint64_t dim[2 * ONNX_MAX_RANK];
    for (uint32_t extra = b->rank > a->rank && a->rank > 1 ? b->rank - a->rank : 0; rank < extra; rank++)
        dim[rank] = 1; /* of b, whose leading dims are checked below */
    for (uint32_t d = 0; d + 1 < a->rank; d++)
        dim[rank++] = a->dim[d];
    if (a->rank == 1)
        for (uint32_t d = 0; d + 2 < b->rank; d++)
            dim[rank++] = b->dim[d];
    if (b->rank > 1)
        dim[rank++] = n;
    if (stack != 1)
        return onnx_fail(g, "a stack of matrices %s on the right is not supported; split it into one MatMul each", onnx_shape(g, b));
    if (onnx_is_constant(b) && !onnx_is_constant(a) && rows == 1)
        return set_product(g, a, matrix(g, b, k, n, true), rank, dim);
    if (onnx_is_constant(a) && !onnx_is_constant(b) && n == 1)
        return set_product(g, b, matrix(g, a, rows, k, false), rank, dim);
    return onnx_set_value(g, g->output, multiply(g, a, b, rows, k, n), rank, dim);
}

/* ---- Gemm ---- */

typedef struct Gemm {
    float alpha, beta;
    bool trans_a, trans_b;
    uint64_t m, k, n;
} Gemm;

/* A is flattened to a matrix behind its first dim, as operators before opset 7 did. */
static bool gemm_shape(OnnxGraph *g, Gemm *p, const OnnxValue *a, const OnnxValue *b)
{
    p->alpha = onnx_float(g, "alpha", 1), p->beta = onnx_float(g, "beta", 1);
    p->trans_a = onnx_int(g, "transA", 0) != 0, p->trans_b = onnx_int(g, "transB", 0) != 0;
    if (a->rank < 2 || b->rank != 2)
        return onnx_fail(g, "Gemm multiplies two matrices, found %s and %s", onnx_shape(g, a), onnx_shape(g, b));
    uint64_t first = a->dim[0], second = onnx_product(a->dim, 1, a->rank);
    p->m = p->trans_a ? second : first, p->k = p->trans_a ? first : second;
    uint64_t kb = b->dim[p->trans_b];
    p->n = b->dim[!p->trans_b];
    if (p->k != kb)
        return onnx_fail(g, "%s%s @ %s%s: %llu columns meet %llu rows", onnx_shape(g, a), p->trans_a ? " transposed" : "", onnx_shape(g, b),
                         p->trans_b ? " transposed" : "", (unsigned long long)p->k, (unsigned long long)kb);
    return same_elements(g, a, b);
}

/* Flat [rows, cols] → flat [cols, rows]. */
static Value transposed(OnnxGraph *g, Value v, uint64_t rows, uint64_t cols)
{
    Value two = build_reshape(&g->b, v, 2, (uint32_t[]){(uint32_t)rows, (uint32_t)cols});
    return build_reshape(&g->b, build_transpose(&g->b, two, (uint32_t[]){1, 0}), 1, (uint32_t[]){(uint32_t)(rows * cols)});
}

static Value times(OnnxGraph *g, Value v, float factor)
{
    Type element = type_element(value_type(g->net, v));
    return factor == 1 ? v : build_binary(&g->b, OP_mul, v, build_const(&g->b, const_splat_f64(g->m, "factor", element, (double)factor)));
}

/* y + beta * c, c stretched to [m, n]. */
static bool gemm_add(OnnxGraph *g, const Gemm *p, Value y, OnnxValue *c)
{
    uint64_t dim[2] = {p->m, p->n};
    if (c) {
        if (p->beta != 1 && !type_is_float(c->elem))
            return onnx_fail(g, "beta = %g cannot be applied to %s", (double)p->beta, onnx_shape(g, c));
        OnnxValue shape = {.rank = 2, .dim = {p->m, p->n}};
        uint32_t rank;
        uint64_t out[ONNX_MAX_RANK];
        if (!onnx_broadcast(&shape, c, &rank, out) || rank != 2 || out[0] != p->m || out[1] != p->n)
            return onnx_fail(g, "%s does not fit a result of %llux%llu", onnx_shape(g, c), (unsigned long long)p->m, (unsigned long long)p->n);
        Value stretched = onnx_stretched(g, c, 2, dim);
        if (!stretched)
            return false;
        y = build_binary(&g->b, OP_add, y, times(g, stretched, p->beta));
    }
    return onnx_set_value(g, g->output, y, 2, dim);
}

static bool op_gemm(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *a = in[0], *b = in[1], *c = n_in > 2 ? in[2] : NULL;
    Gemm p;
    if (!gemm_shape(g, &p, a, b) || (c && !same_elements(g, a, c)))
        return false;
    bool right = onnx_is_constant(b) && !onnx_is_constant(a) && p.m == 1; /* the constant's side, where it is an affine */
    bool left = onnx_is_constant(a) && !onnx_is_constant(b) && p.n == 1;
    if (p.alpha != 1 && !type_is_float(a->elem))
        return onnx_fail(g, "alpha = %g cannot be applied to %s", (double)p.alpha, onnx_shape(g, a));
    if (right || left) {
        OnnxValue *w, *bias = NULL;
        bool constant_bias = c && onnx_is_constant(c);
        if (!scale(g, right ? b : a, p.alpha, "alpha", &w) || (constant_bias && !scale(g, c, p.beta, "beta", &bias)))
            return false;
        ConstId id = right ? matrix(g, w, b->dim[0], b->dim[1], !p.trans_b) : matrix(g, w, a->dim[0], onnx_product(a->dim, 1, a->rank), p.trans_a);
        ConstId bias_id = constant_bias ? bias_vector(g, bias, p.m * p.n, false) : 0;
        if (constant_bias && !bias_id)
            return false;
        Value x = onnx_value(g, right ? a : b);
        uint64_t dim[2] = {p.m, p.n};
        if (!c || constant_bias)
            return set_affine(g, x, id, bias_id, 2, dim);
        return gemm_add(g, &p, build_affine(&g->b, x, id, 0, ir_chains(p.m * p.n, p.k)), c);
    }
    OnnxValue *x = NEW(g->arena, OnnxValue), *y = NEW(g->arena, OnnxValue);
    Value va = onnx_value(g, a), vb = onnx_value(g, b);
    *x = (OnnxValue){.name = a->name, .kind = ONNX_COMPUTED, .value = p.trans_a ? transposed(g, va, p.k, p.m) : va, .rank = 2, .dim = {p.m, p.k}};
    *y = (OnnxValue){.name = b->name, .kind = ONNX_COMPUTED, .value = p.trans_b ? transposed(g, vb, p.n, p.k) : vb, .rank = 2, .dim = {p.k, p.n}};
    return gemm_add(g, &p, times(g, multiply(g, x, y, p.m, p.k, p.n), p.alpha), c);
}

/* ---- Conv ---- */

static const char *ints_shown(const OnnxGraph *g, const AttributeProto *a)
{
    Text text = text_new(g->arena);
    for (size_t i = 0; i < a->n_ints && i < 2 * ONNX_MAX_RANK; i++)
        text_add(&text, "%s%lld", i ? "," : "[", (long long)a->ints[i]);
    text_add(&text, a->n_ints ? "]" : "[]");
    return text.at;
}

static bool all_are(const AttributeProto *a, int64_t value)
{
    for (size_t i = 0; a && i < a->n_ints; i++)
        if (a->ints[i] != value)
            return false;
    return true;
}

#define CONV_HELP "only a Conv that is a dense layer (its kernel covers the whole input, no padding) can be compiled; replace it by the equivalent MatMul"

/* A Conv whose kernel meets the input at one place is W [m, c*h*w] @ x + b. */
static bool op_conv(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *x = in[0], *w = in[1], *c = n_in > 2 ? in[2] : NULL;
    const AttributeProto *pads = onnx_attribute(g, "pads"), *auto_pad = onnx_attribute(g, "auto_pad"), *dilations = onnx_attribute(g, "dilations");
    if (!onnx_is_constant(w) || onnx_is_constant(x) || (c && !onnx_is_constant(c)))
        return onnx_fail(g, "its weights and bias must be constants, and its input computed; " CONV_HELP);
    if (x->rank < 3 || w->rank != x->rank || x->dim[0] != 1)
        return onnx_fail(g, "an input %s and weights %s do not fit; " CONV_HELP, onnx_shape(g, x), onnx_shape(g, w));
    if (onnx_int(g, "group", 1) != 1)
        return onnx_fail(g, "%lld groups are not supported; " CONV_HELP, (long long)onnx_int(g, "group", 1));
    if (!all_are(pads, 0))
        return onnx_fail(g, "padding %s is not supported; " CONV_HELP, ints_shown(g, pads));
    uint64_t dim[ONNX_MAX_RANK] = {1, w->dim[0]};
    bool covers = x->dim[1] == w->dim[1], pointwise = true;
    for (uint32_t d = 2; d < x->rank; d++) {
        covers &= x->dim[d] == w->dim[d];
        pointwise &= w->dim[d] == 1;
        dim[d] = 1;
    }
    if (!covers)
        return onnx_fail(g, "a kernel %s on an input %s is not supported; " CONV_HELP, onnx_shape(g, w), onnx_shape(g, x));
    if (auto_pad && auto_pad->s.len >= 4 && memcmp(auto_pad->s.data, "SAME", 4) == 0 && !pointwise)
        return onnx_fail(g, "padding %.*s is not supported; " CONV_HELP, (int)(auto_pad->s.len < 20 ? auto_pad->s.len : 20), (const char *)auto_pad->s.data);
    if (!all_are(dilations, 1) && !pointwise)
        return onnx_fail(g, "dilations %s are not supported; " CONV_HELP, ints_shown(g, dilations));
    if (!same_elements(g, x, w) || (c && !same_elements(g, x, c)))
        return false;
    ConstId bias = c ? bias_vector(g, c, w->dim[0], false) : 0;
    if (c && !bias)
        return false;
    Value v = onnx_value(g, x);
    return set_affine(g, v, matrix(g, w, w->dim[0], onnx_product(w->dim, 1, w->rank), false), bias, x->rank, dim);
}

/* ---- BatchNormalization ---- */

/* scale * (x - mean) / sqrt(variance + epsilon) + b as x * factor + offset; both computed in f64 and rounded once. */
static bool op_batch_norm(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    OnnxValue *x = in[0];
    uint64_t channels = x->rank > 1 ? x->dim[1] : 0, shape[ONNX_MAX_RANK] = {channels, 1, 1, 1, 1, 1, 1};
    if (onnx_int(g, "training_mode", 0) != 0)
        return onnx_fail(g, "training mode is not supported; export the model for inference");
    if (!type_is_float(x->elem) || x->rank < 2)
        return onnx_fail(g, "an input %s has no channels of floats", onnx_shape(g, x));
    for (int i = 1; i < 5; i++)
        if (!onnx_is_constant(in[i]) || onnx_count(in[i]) != channels || !type_same_element(in[i]->elem, x->elem))
            return onnx_fail(g, "`%s` should be a constant of %llu elements, one a channel, found %s", name_shown(g->arena, in[i]->name),
                             (unsigned long long)channels, onnx_shape(g, in[i]));
    const uint8_t *data[5];
    for (int i = 1; i < 5; i++)
        data[i] = onnx_data(g, in[i]);
    double epsilon = (double)onnx_float(g, "epsilon", 1e-5f);
    uint8_t *factor = arena_array(g->arena, channels, 8), *offset = arena_array(g->arena, channels, 8);
    for (uint64_t i = 0; i < channels; i++) {
        double f = get_float(x->elem, data[1], i) / sqrt(get_float(x->elem, data[4], i) + epsilon);
        put_float(x->elem, f, factor, i);
        put_float(x->elem, get_float(x->elem, data[2], i) - get_float(x->elem, data[3], i) * f, offset, i);
    }
    OnnxValue f = {.name = str_printf(g->arena, "%s.factor", in[1]->name)}, o = {.name = str_printf(g->arena, "%s.offset", in[2]->name)};
    onnx_set_constant(g, &f, x->elem, x->rank - 1, shape, factor);
    onnx_set_constant(g, &o, x->elem, x->rank - 1, shape, offset);
    Value v = onnx_value(g, x), a = onnx_stretched(g, &f, x->rank, x->dim), b = onnx_stretched(g, &o, x->rank, x->dim);
    if (!a || !b)
        return false;
    return onnx_set_value_like(g, g->output, build_binary(&g->b, OP_add, build_binary(&g->b, OP_mul, v, a), b), x);
}

const OnnxOp onnx_linear_ops[] = {
    {"MatMul", 2, 2, op_matmul},
    {"Gemm", 2, 3, op_gemm},
    {"Conv", 2, 3, op_conv},
    {"BatchNormalization", 5, 5, op_batch_norm},
    {0}};
