/* onnx_reduce.c — ArgMax, ArgMin and the reductions, over all elements that vary.
 *
 * In: a flat vector and the axes to reduce. Out: a scalar op of the IR, when the axes cover everything but extents of 1
 * (a batch); otherwise one for each row, after a transpose that brings its elements together.
 */
#include "onnx_graph.h"

#include <string.h>

typedef struct Plan {
    uint64_t rows, width;
    uint32_t rank;                /* of the result */
    uint64_t dim[ONNX_MAX_RANK];
    bool scattered;               /* the elements of a row do not lie together … */
    uint32_t perm[ONNX_MAX_RANK]; /* … until the dims are put in this order */
} Plan;

/* Which dims go, and how the elements of a row come to lie together. */
static bool make_plan(OnnxGraph *g, const OnnxValue *v, const int64_t *axes, size_t n, bool keep, Plan *p)
{
    enum { MOST_ROWS = 4096 };
    bool gone[ONNX_MAX_RANK] = {0}, reduced_before = false;
    uint32_t kept = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t d;
        if (!onnx_axis(g, axes[i], v->rank, &d))
            return false;
        gone[d] = true;
    }
    *p = (Plan){.rows = 1, .width = 1};
    for (uint32_t d = 0; d < v->rank; d++) {
        bool reduced = axes ? gone[d] : true;
        *(reduced ? &p->width : &p->rows) *= v->dim[d];
        p->scattered |= !reduced && v->dim[d] != 1 && reduced_before;
        reduced_before |= reduced && v->dim[d] != 1;
        if (!reduced || keep)
            p->dim[p->rank++] = reduced ? 1 : v->dim[d];
    }
    for (uint32_t d = 0; d < v->rank; d++)
        if (axes && !gone[d])
            p->perm[kept++] = d;
    for (uint32_t d = 0; d < v->rank; d++)
        if (!axes || gone[d])
            p->perm[kept + last++] = d;
    if (p->scattered && v->rank > IR_MAX_RANK)
        return onnx_fail(g, "reducing %s along an axis that is not the last is not supported; transpose it", onnx_shape(g, v));
    if (p->width == 0 || p->rows == 0 || p->rows > MOST_ROWS)
        return onnx_fail(g, "reducing %s (%llu rows) is not supported", onnx_shape(g, v), (unsigned long long)p->rows);
    return true;
}

/* One scalar a row, joined. `make` gets the row as a vector. */
static bool each_row(OnnxGraph *g, OnnxValue *x, const Plan *p, Value (*make)(OnnxGraph *, Value, int), int what)
{
    Value v = onnx_value(g, x), *row = NEW_ARRAY(g->arena, p->rows, Value);
    uint32_t width = (uint32_t)p->width, one = 1, flat = (uint32_t)onnx_count(x), dim[IR_MAX_RANK];
    for (uint32_t d = 0; d < x->rank && d < IR_MAX_RANK; d++)
        dim[d] = (uint32_t)x->dim[d];
    if (p->scattered)
        v = build_reshape(&g->b, build_transpose(&g->b, build_reshape(&g->b, v, x->rank, dim), p->perm), 1, &flat);
    for (uint32_t r = 0; r < p->rows; r++) {
        Value part = p->rows == 1 ? v : build_slice(&g->b, v, (uint32_t[]){r * width}, (uint32_t[]){width});
        row[r] = build_reshape(&g->b, make(g, part, what), 1, &one);
    }
    Value all = p->rows == 1 ? row[0] : build_concat(&g->b, (uint32_t)p->rows, row, 0);
    return onnx_set_value(g, g->output, all, p->rank, p->dim);
}

enum { MEAN = REDUCE_max + 1 };

static Value reduce_row(OnnxGraph *g, Value v, int what)
{
    Type type = value_type(g->net, v);
    uint64_t n = type_count(type);
    if (what != MEAN)
        return build_reduce(&g->b, (ReduceKind)what, v, what == REDUCE_add ? ir_chains(1, n) : 1);
    Value sum = build_reduce(&g->b, REDUCE_add, v, ir_chains(1, n));
    return build_binary(&g->b, OP_div, sum, build_const(&g->b, const_splat_f64(g->m, "count", type_element(type), (double)n)));
}

static Value arg_row(OnnxGraph *g, Value v, int what)
{
    return build_cast(&g->b, build_unary(&g->b, (OpKind)what, v), type_int(64));
}

static bool arg(OnnxGraph *g, OpKind kind, OnnxValue *x)
{
    Plan p;
    int64_t axis = onnx_int(g, "axis", 0);
    if (onnx_int(g, "select_last_index", 0) != 0)
        return onnx_fail(g, "select_last_index is not supported: ties go to the lowest index");
    return make_plan(g, x, &axis, 1, onnx_int(g, "keepdims", 1) != 0, &p) && each_row(g, x, &p, arg_row, (int)kind);
}

static bool op_argmax(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return arg(g, OP_argmax, in[0]); }
static bool op_argmin(OnnxGraph *g, OnnxValue **in, size_t n) { (void)n; return arg(g, OP_argmin, in[0]); }

static bool reduce(OnnxGraph *g, int what, OnnxValue **in, size_t n_in)
{
    const AttributeProto *a = onnx_attribute(g, "axes");
    const int64_t *axes = a && a->n_ints ? a->ints : NULL;
    size_t n = a ? a->n_ints : 0;
    Plan p;
    if (n_in > 1 && in[1]) {
        axes = onnx_integers(g, in[1], "axes", &n);
        if (!axes)
            return false;
        if (n == 0)
            axes = NULL;
    }
    if (!axes && onnx_int(g, "noop_with_empty_axes", 0) != 0)
        return onnx_set_value_like(g, g->output, onnx_value(g, in[0]), in[0]);
    if (what == MEAN && !type_is_float(in[0]->elem))
        return onnx_fail(g, "a mean needs floats, found %s", onnx_shape(g, in[0]));
    return make_plan(g, in[0], axes, n, onnx_int(g, "keepdims", 1) != 0, &p) && each_row(g, in[0], &p, reduce_row, what);
}

static bool op_reduce_sum(OnnxGraph *g, OnnxValue **in, size_t n) { return reduce(g, REDUCE_add, in, n); }
static bool op_reduce_prod(OnnxGraph *g, OnnxValue **in, size_t n) { return reduce(g, REDUCE_mul, in, n); }
static bool op_reduce_min(OnnxGraph *g, OnnxValue **in, size_t n) { return reduce(g, REDUCE_min, in, n); }
static bool op_reduce_max(OnnxGraph *g, OnnxValue **in, size_t n) { return reduce(g, REDUCE_max, in, n); }
static bool op_reduce_mean(OnnxGraph *g, OnnxValue **in, size_t n) { return reduce(g, MEAN, in, n); }

const OnnxOp onnx_reduce_ops[] = {
    {"ArgMax", 1, 1, op_argmax},
    {"ArgMin", 1, 1, op_argmin},
    {"ReduceSum", 1, 2, op_reduce_sum},
    {"ReduceProd", 1, 2, op_reduce_prod},
    {"ReduceMin", 1, 2, op_reduce_min},
    {"ReduceMax", 1, 2, op_reduce_max},
    {"ReduceMean", 1, 2, op_reduce_mean},
    {0}};
