/* onnx_shape.c — operators that move elements or only rename their places.
 *
 * In: flat vectors with ONNX's shapes beside them. Out: the same vectors under other shapes (free), or slice, concat
 * and transpose (free too: no operation is executed).
 */
#include "onnx_graph.h"

#include <string.h>

/* The same elements under another shape. */
static bool reshaped(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim)
{
    if (onnx_is_constant(v))
        return onnx_set_constant(g, g->output, v->elem, rank, dim, onnx_data(g, v));
    return onnx_set_value(g, g->output, onnx_value(g, v), rank, dim);
}

static bool op_identity(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    return reshaped(g, in[0], in[0]->rank, in[0]->dim);
}

static bool op_dropout(OnnxGraph *g, OnnxValue **in, size_t n)
{
    if (n > 2 && in[2] && !(onnx_is_constant(in[2]) && onnx_count(in[2]) == 1 && !*onnx_data(g, in[2])))
        return onnx_fail(g, "training mode is not supported; export the model for inference");
    return op_identity(g, in, 1);
}

static bool op_flatten(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    OnnxValue *v = in[0];
    int64_t axis = onnx_int(g, "axis", 1);
    if (axis < 0)
        axis += v->rank;
    if (axis < 0 || axis > v->rank)
        return onnx_fail(g, "axis %lld does not exist in %s", (long long)axis, onnx_shape(g, v));
    uint64_t dim[2] = {onnx_product(v->dim, 0, (uint32_t)axis), onnx_product(v->dim, (uint32_t)axis, v->rank)};
    return reshaped(g, v, 2, dim);
}

/* 0 keeps an extent (unless allowzero), one -1 takes what is left. */
static bool op_reshape(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *v = in[0];
    const AttributeProto *a = onnx_attribute(g, "shape");
    size_t n = 0;
    const int64_t *list = NULL;
    if (n_in > 1) {
        list = onnx_integers(g, in[1], "shape", &n);
        if (!list)
            return false;
    } else if (a) {
        list = a->ints, n = a->n_ints;
    } else {
        return onnx_fail(g, "it has no shape");
    }
    if (n > ONNX_MAX_RANK)
        return onnx_fail(g, "a shape of %zu dimensions is not supported", n);
    uint64_t dim[ONNX_MAX_RANK], known = 1, count = onnx_count(v);
    size_t open = n;
    bool good = true;
    for (size_t d = 0; d < n; d++) {
        bool keep = list[d] == 0 && onnx_int(g, "allowzero", 0) == 0;
        good &= list[d] >= -1 && list[d] <= INT32_MAX && (!keep || d < v->rank) && (list[d] != -1 || open == n);
        if (!good)
            break;
        if (list[d] == -1)
            open = d;
        dim[d] = list[d] == -1 ? 1 : keep ? v->dim[d] : (uint64_t)list[d];
        good = !dim[d] || known <= INT32_MAX / dim[d];
        known *= dim[d];
    }
    if (good && open < n && known && count % known == 0) {
        dim[open] = count / known;
        known = count;
    }
    if (!good || known != count)
        return onnx_fail(g, "%s cannot be reshaped as asked: the new shape does not hold %llu elements", onnx_shape(g, v), (unsigned long long)count);
    return reshaped(g, v, (uint32_t)n, dim);
}

/* Axes from an input (opset 13) or the attribute; n = 0 and NULL when there are none. */
static bool get_axes(OnnxGraph *g, OnnxValue **in, size_t n_in, const int64_t **axes, size_t *n)
{
    const AttributeProto *a = onnx_attribute(g, "axes");
    *axes = a ? a->ints : NULL;
    *n = a ? a->n_ints : 0;
    if (n_in < 2 || !in[1])
        return true;
    *axes = onnx_integers(g, in[1], "axes", n);
    return *axes != NULL;
}

static bool mark_axes(OnnxGraph *g, const int64_t *axes, size_t n, uint32_t rank, bool *marked)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t d;
        if (!onnx_axis(g, axes[i], rank, &d))
            return false;
        marked[d] = true;
    }
    return true;
}

static bool op_squeeze(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *v = in[0];
    const int64_t *axes;
    size_t n;
    bool drop[ONNX_MAX_RANK] = {0};
    if (!get_axes(g, in, n_in, &axes, &n) || !mark_axes(g, axes, n, v->rank, drop))
        return false;
    uint64_t dim[ONNX_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t d = 0; d < v->rank; d++) {
        if (drop[d] && v->dim[d] != 1)
            return onnx_fail(g, "axis %u of %s is not 1", d, onnx_shape(g, v));
        if (axes ? !drop[d] : v->dim[d] != 1)
            dim[rank++] = v->dim[d];
    }
    return reshaped(g, v, rank, dim);
}

static bool op_unsqueeze(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *v = in[0];
    const int64_t *axes;
    size_t n;
    bool one[ONNX_MAX_RANK] = {0};
    if (!get_axes(g, in, n_in, &axes, &n))
        return false;
    uint32_t rank = v->rank + (uint32_t)n, from = 0;
    if (n > ONNX_MAX_RANK || rank > ONNX_MAX_RANK)
        return onnx_fail(g, "more than %d dimensions are not supported", ONNX_MAX_RANK);
    if (!mark_axes(g, axes, n, rank, one))
        return false;
    uint64_t dim[ONNX_MAX_RANK];
    for (uint32_t d = 0; d < rank; d++) {
        if (!one[d] && from == v->rank)
            return onnx_fail(g, "an axis is named twice");
        dim[d] = one[d] ? 1 : v->dim[from++];
    }
    return reshaped(g, v, rank, dim);
}

/* ---- transpose ---- */

static bool op_transpose(OnnxGraph *g, OnnxValue **in, size_t n)
{
    (void)n;
    OnnxValue *v = in[0];
    const AttributeProto *a = onnx_attribute(g, "perm");
    uint32_t perm[ONNX_MAX_RANK], small[IR_MAX_RANK];
    uint64_t dim[ONNX_MAX_RANK];
    bool used[ONNX_MAX_RANK] = {0}, in_order = true;
    if (a && a->n_ints != v->rank)
        return onnx_fail(g, "a permutation of %zu dimensions does not fit %s", a->n_ints, onnx_shape(g, v));
    for (uint32_t d = 0, last = 0; d < v->rank; d++) {
        int64_t p = a ? a->ints[d] : (int64_t)(v->rank - 1 - d);
        if (p < 0 || p >= v->rank || used[p])
            return onnx_fail(g, "its `perm` is no permutation of 0 … %u", v->rank - 1);
        used[p] = true;
        perm[d] = (uint32_t)p;
        dim[d] = v->dim[p];
        if (dim[d] != 1) { /* moving extents of 1 moves nothing */
            in_order &= perm[d] >= last;
            last = perm[d];
        }
    }
    if (in_order)
        return reshaped(g, v, v->rank, dim);
    if (v->rank > IR_MAX_RANK)
        return onnx_fail(g, "transposing %u dimensions is not supported", v->rank);
    for (uint32_t d = 0; d < v->rank; d++)
        small[d] = (uint32_t)v->dim[d];
    if (onnx_is_constant(v)) {
        OnnxValue *out = g->output;
        onnx_set_constant(g, out, v->elem, v->rank, dim, NULL);
        out->cst = const_transposed(g->m, onnx_const(g, v), perm);
        return true;
    }
    Value moved = build_transpose(&g->b, build_reshape(&g->b, onnx_value(g, v), v->rank, small), perm);
    return onnx_set_value(g, g->output, build_reshape(&g->b, moved, 1, (uint32_t[]){(uint32_t)onnx_count(v)}), v->rank, dim);
}

/* ---- concat, slice, split, gather: on the plane [outer, extents behind the axis] ---- */

static Value plane_of(OnnxGraph *g, OnnxValue *v, uint32_t axis)
{
    uint32_t outer = (uint32_t)onnx_product(v->dim, 0, axis);
    return build_reshape(&g->b, onnx_value(g, v), 2, (uint32_t[]){outer, (uint32_t)(outer ? onnx_count(v) / outer : 0)});
}

static Value flat(OnnxGraph *g, Value v)
{
    return build_reshape(&g->b, v, 1, (uint32_t[]){(uint32_t)type_count(value_type(g->net, v))});
}

static bool op_concat(OnnxGraph *g, OnnxValue **in, size_t n)
{
    uint32_t axis;
    uint64_t dim[ONNX_MAX_RANK];
    if (!onnx_axis(g, onnx_int(g, "axis", 1), in[0]->rank, &axis))
        return false;
    memcpy(dim, in[0]->dim, sizeof dim);
    Value *part = NEW_ARRAY(g->arena, n, Value);
    for (size_t i = 0; i < n; i++) {
        bool fits = in[i]->rank == in[0]->rank && type_same_element(in[i]->elem, in[0]->elem);
        for (uint32_t d = 0; d < in[0]->rank && fits; d++)
            fits = d == axis || in[i]->dim[d] == dim[d];
        if (!fits)
            return onnx_fail(g, "%s and %s cannot be joined along axis %u", onnx_shape(g, in[0]), onnx_shape(g, in[i]), axis);
        if (i)
            dim[axis] += in[i]->dim[axis];
        part[i] = plane_of(g, in[i], axis);
    }
    if (onnx_product(dim, 0, in[0]->rank) > INT32_MAX)
        return onnx_fail(g, "the result has too many elements");
    return onnx_set_value(g, g->output, flat(g, build_concat(&g->b, (uint32_t)n, part, 1)), in[0]->rank, dim);
}

/* Elements from … from+size-1 along one axis. */
static Value slice_axis(OnnxGraph *g, OnnxValue *v, uint32_t axis, uint64_t from, uint64_t size)
{
    uint64_t inner = onnx_product(v->dim, axis + 1, v->rank);
    uint32_t outer = (uint32_t)onnx_product(v->dim, 0, axis);
    Value part = build_slice(&g->b, plane_of(g, v, axis), (uint32_t[]){0, (uint32_t)(from * inner)}, (uint32_t[]){outer, (uint32_t)(size * inner)});
    return flat(g, part);
}

static bool op_slice(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    const int64_t *list[4] = {0}; /* starts, ends, axes, steps */
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    size_t n[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        const AttributeProto *a = onnx_attribute(g, names[i]);
        if (a)
            list[i] = a->ints, n[i] = a->n_ints;
        if (i + 1 < n_in && in[i + 1] && !(list[i] = onnx_integers(g, in[i + 1], names[i], &n[i])))
            return false;
    }
    if (n[0] != n[1] || (list[2] && n[2] != n[0]) || (list[3] && n[3] != n[0]))
        return onnx_fail(g, "starts, ends, axes and steps have different lengths");
    OnnxValue now = *in[0];
    if (!onnx_is_constant(in[0]))
        now.value = onnx_value(g, in[0]), now.kind = ONNX_COMPUTED, now.cst = 0;
    for (size_t i = 0; i < n[0]; i++) {
        uint32_t axis;
        int64_t start = list[0][i], end = list[1][i];
        if (!onnx_axis(g, list[2] ? list[2][i] : (int64_t)i, now.rank, &axis))
            return false;
        if (list[3] && list[3][i] != 1)
            return onnx_fail(g, "a step of %lld is not supported, only 1", (long long)list[3][i]);
        onnx_clamp_range(&start, &end, now.dim[axis]);
        Value part = slice_axis(g, &now, axis, (uint64_t)start, (uint64_t)(end - start));
        now.dim[axis] = (uint64_t)(end - start);
        now.value = part, now.kind = ONNX_COMPUTED, now.cst = 0;
    }
    return onnx_set_value(g, g->output, onnx_value(g, &now), now.rank, now.dim);
}

static bool op_split(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    OnnxValue *v = in[0];
    const AttributeProto *a = onnx_attribute(g, "split");
    const int64_t *sizes = a ? a->ints : NULL;
    size_t n = a ? a->n_ints : 0, parts = g->node->n_output;
    uint32_t axis;
    if (n_in > 1 && in[1] && !(sizes = onnx_integers(g, in[1], "split", &n)))
        return false;
    if (!onnx_axis(g, onnx_int(g, "axis", 0), v->rank, &axis))
        return false;
    uint64_t left = v->dim[axis], from = 0, each = (left + parts - 1) / parts;
    if (sizes && n != parts)
        return onnx_fail(g, "%zu sizes for %zu outputs", n, parts);
    if (!onnx_is_constant(v))
        onnx_value(g, v);
    for (size_t i = 0; i < parts; i++) {
        uint64_t size = sizes ? (uint64_t)sizes[i] : i + 1 == parts ? left : each, dim[ONNX_MAX_RANK];
        if (size > left || (i + 1 == parts && size != left))
            return onnx_fail(g, "its parts do not add up to axis %u of %s", axis, onnx_shape(g, v));
        memcpy(dim, v->dim, sizeof dim);
        dim[axis] = size;
        OnnxValue *out = i ? onnx_define(g, g->node->output[i]) : g->output;
        onnx_set_value(g, out, slice_axis(g, v, axis, from, size), v->rank, dim);
        from += size;
        left -= size;
    }
    return true;
}

/* Constant indices only: picks whole slices along an axis. */
static bool op_gather(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    OnnxValue *v = in[0];
    size_t n;
    uint32_t axis, rank = 0;
    const int64_t *index = onnx_integers(g, in[1], "index", &n);
    if (!index || !onnx_axis(g, onnx_int(g, "axis", 0), v->rank, &axis))
        return false;
    if (n == 0 || n > 65536 || v->rank - 1 + in[1]->rank > ONNX_MAX_RANK)
        return onnx_fail(g, "gathering %s from %s is not supported", onnx_shape(g, in[1]), onnx_shape(g, v));
    uint64_t dim[ONNX_MAX_RANK], extent = v->dim[axis], inner = onnx_product(v->dim, axis + 1, v->rank);
    for (uint32_t d = 0; d < axis; d++)
        dim[rank++] = v->dim[d];
    for (uint32_t d = 0; d < in[1]->rank; d++)
        dim[rank++] = in[1]->dim[d];
    for (uint32_t d = axis + 1; d < v->rank; d++)
        dim[rank++] = v->dim[d];
    uint32_t outer = (uint32_t)onnx_product(v->dim, 0, axis);
    if (inner && outer && n > INT32_MAX / inner / outer)
        return onnx_fail(g, "the result has too many elements");
    Value plane = plane_of(g, v, axis), *part = NEW_ARRAY(g->arena, n, Value);
    for (size_t i = 0; i < n; i++) {
        int64_t k = index[i] < 0 ? index[i] + (int64_t)extent : index[i];
        if (k < 0 || k >= (int64_t)extent)
            return onnx_fail(g, "index %lld is outside axis %u of %s", (long long)index[i], axis, onnx_shape(g, v));
        part[i] = build_slice(&g->b, plane, (uint32_t[]){0, (uint32_t)((uint64_t)k * inner)}, (uint32_t[]){outer, (uint32_t)inner});
    }
    Value all = n == 1 ? part[0] : build_concat(&g->b, (uint32_t)n, part, 1);
    return onnx_set_value(g, g->output, flat(g, all), rank, dim);
}

static bool op_expand(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    size_t n;
    OnnxValue wanted = {0};
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK];
    const int64_t *list = onnx_integers(g, in[1], "shape", &n);
    if (!list || !onnx_new_shape(g, list, n, &wanted.rank, wanted.dim))
        return false;
    if (!onnx_broadcast(in[0], &wanted, &rank, dim))
        return onnx_fail(g, "%s cannot be expanded to the shape asked for", onnx_shape(g, in[0]));
    uint64_t total = 1;
    for (uint32_t d = 0; d < rank; d++) {
        if (dim[d] && total > INT32_MAX / dim[d])
            return onnx_fail(g, "its shape is too large");
        total *= dim[d];
    }
    Value v = onnx_stretched(g, in[0], rank, dim);
    return v && onnx_set_value(g, g->output, v, rank, dim);
}

const OnnxOp onnx_shape_ops[] = {
    {"Identity", 1, 1, op_identity},
    {"Dropout", 1, 3, op_dropout},
    {"Flatten", 1, 1, op_flatten},
    {"Reshape", 1, 2, op_reshape},
    {"Squeeze", 1, 2, op_squeeze},
    {"Unsqueeze", 1, 2, op_unsqueeze},
    {"Transpose", 1, 1, op_transpose},
    {"Concat", 1, 65536, op_concat},
    {"Slice", 1, 5, op_slice},
    {"Split", 1, 2, op_split},
    {"Gather", 2, 2, op_gather},
    {"Expand", 2, 2, op_expand},
    {0}};
