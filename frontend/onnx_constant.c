/* onnx_constant.c — constants that nodes make, and arithmetic on shapes.
 *
 * In: Constant, Shape and their like; integer operators on what they give. Out: constants, without any op in the IR. The
 * one idea: exporters compute shapes by nodes (Shape → Gather → Concat → Reshape), and here every shape is known, so
 * onnx_fold runs those nodes at import and nothing of them remains.
 */
#include "onnx_graph.h"

#include <string.h>

/* Where a slice begins and ends, by ONNX's (Python's) rules; step 1 only. */
void onnx_clamp_range(int64_t *start, int64_t *end, uint64_t extent)
{
    int64_t n = (int64_t)extent;
    *start = *start < 0 ? (*start < -n ? 0 : *start + n) : *start > n ? n : *start;
    *end = *end < 0 ? (*end < -n ? 0 : *end + n) : *end > n ? n : *end;
    if (*end < *start)
        *end = *start;
}

bool onnx_new_shape(OnnxGraph *g, const int64_t *list, size_t n, uint32_t *rank, uint64_t *dim)
{
    uint64_t total = 1;
    bool good = n <= ONNX_MAX_RANK;
    for (size_t d = 0; d < n && good; d++) {
        dim[d] = (uint64_t)list[d];
        good = list[d] >= 0 && list[d] <= INT32_MAX && (!list[d] || total <= INT32_MAX / dim[d]);
        total *= dim[d];
    }
    *rank = (uint32_t)n;
    return good || onnx_fail(g, "its shape is too large or negative");
}

/* ---- constants ---- */

/* A constant whose elements lie in the node, which will be freed. */
static bool set_copy(OnnxGraph *g, Type type, uint32_t rank, uint64_t n, const void *data)
{
    uint32_t bytes = type_element_bytes(type);
    void *copy = arena_array(g->m->arena, n, bytes);
    if (n)
        memcpy(copy, data, n * bytes);
    return onnx_set_constant(g, g->output, type, rank, &n, copy);
}

/* The forms without a tensor; those with one never reach here (onnx_wire.c). */
static bool op_constant(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)in, (void)n_in;
    const AttributeProto *a;
    if ((a = onnx_attribute(g, "value_float")))
        return set_copy(g, type_f32(), 0, 1, &a->f);
    if ((a = onnx_attribute(g, "value_int")))
        return set_copy(g, type_int(64), 0, 1, &a->i);
    if ((a = onnx_attribute(g, "value_floats")))
        return set_copy(g, type_f32(), 1, a->n_floats, a->floats);
    if ((a = onnx_attribute(g, "value_ints")))
        return set_copy(g, type_int(64), 1, a->n_ints, a->ints);
    return onnx_fail(g, "its value is of a kind that is not supported (strings, sparse tensors)");
}

static bool op_constant_of_shape(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    size_t n;
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK] = {0};
    const int64_t *list = onnx_integers(g, in[0], "shape", &n);
    const AttributeProto *a = onnx_attribute(g, "value");
    if (!list || !onnx_new_shape(g, list, n, &rank, dim))
        return false;
    Type type = type_f32();
    static const uint8_t zero[8];
    const uint8_t *one = zero;
    if (a && a->has_t) {
        OnnxTensor t;
        Tensor value;
        if (!onnx_scan_tensor(g->arena, (Bytes){a->t.data, a->t.len}, &t) || t.why || t.location)
            return onnx_fail(g, "its value cannot be read: %s", t.why ? t.why : "it is damaged");
        if (!tensor_decode(g->arena, g->m->diags, g->span, &t.raw, &value))
            return false;
        if (type_count(value.type) != 1)
            return onnx_fail(g, "its value should be one number");
        type = type_element(value.type);
        one = value.data;
    }
    uint64_t count = onnx_product(dim, 0, rank);
    uint32_t bytes = type_element_bytes(type);
    if (count > (1 << 24))
        return onnx_fail(g, "a constant of %llu elements is unreasonably large", (unsigned long long)count);
    uint8_t *data = arena_big(g->arena, count * bytes, 64);
    for (uint64_t i = 0; i < count; i++)
        memcpy(data + i * bytes, one, bytes);
    return onnx_set_constant(g, g->output, type, rank, dim, data);
}

static bool set_integers(OnnxGraph *g, uint32_t rank, uint64_t n, const int64_t *list)
{
    return onnx_set_constant(g, g->output, type_int(64), rank, &n, list);
}

static bool op_shape(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    int64_t *list = NEW_ARRAY(g->arena, in[0]->rank, int64_t), start = onnx_int(g, "start", 0), end = onnx_int(g, "end", INT32_MAX);
    for (uint32_t d = 0; d < in[0]->rank; d++)
        list[d] = (int64_t)in[0]->dim[d];
    onnx_clamp_range(&start, &end, in[0]->rank);
    return set_integers(g, 1, (uint64_t)(end - start), list + start);
}

static bool op_size(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    (void)n_in;
    int64_t *n = NEW(g->arena, int64_t);
    *n = (int64_t)onnx_count(in[0]);
    return set_integers(g, 0, 1, n);
}

/* ---- shape arithmetic ---- */

static bool is_shape_like(const OnnxValue *v)
{
    return onnx_is_constant(v) && type_is_int(v->elem) && v->elem.n > 1 && v->elem.n <= 64 && v->rank <= 1 && onnx_count(v) <= 64;
}

static bool fold_binary(OnnxGraph *g, char op, OnnxValue **in)
{
    size_t n[2];
    const int64_t *a = onnx_integers(g, in[0], "operand", &n[0]), *b = onnx_integers(g, in[1], "operand", &n[1]);
    size_t most = n[0] > n[1] ? n[0] : n[1];
    if (!a || !b || (n[0] != n[1] && n[0] != 1 && n[1] != 1))
        return false;
    int64_t *out = NEW_ARRAY(g->arena, most, int64_t);
    for (size_t i = 0; i < most; i++) {
        int64_t x = a[n[0] == 1 ? 0 : i], y = b[n[1] == 1 ? 0 : i];
        bool overflow = op == '+' ? __builtin_add_overflow(x, y, &out[i]) : op == '-' ? __builtin_sub_overflow(x, y, &out[i])
                      : op == '*' ? __builtin_mul_overflow(x, y, &out[i]) : y == 0 || y == -1;
        if (overflow)
            return false;
        if (op == '/')
            out[i] = x / y;
    }
    return set_integers(g, in[0]->rank > in[1]->rank ? in[0]->rank : in[1]->rank, most, out);
}

static bool fold_concat(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    Vec(int64_t) all = {0};
    for (size_t i = 0; i < n_in; i++) {
        size_t n;
        const int64_t *list = onnx_integers(g, in[i], "part", &n);
        if (!list || in[i]->rank != 1)
            return false;
        for (size_t k = 0; k < n; k++)
            vec_push(g->arena, all, list[k]);
    }
    if (all.len == 0)
        return false;
    return set_integers(g, 1, all.len, all.at);
}

static bool fold_gather(OnnxGraph *g, OnnxValue **in)
{
    size_t n, n_index;
    const int64_t *list = onnx_integers(g, in[0], "operand", &n), *index = onnx_integers(g, in[1], "index", &n_index);
    if (!list || !index || in[0]->rank != 1)
        return false;
    int64_t *out = NEW_ARRAY(g->arena, n_index, int64_t);
    for (size_t i = 0; i < n_index; i++) {
        int64_t k = index[i] < 0 ? index[i] + (int64_t)n : index[i];
        if (k < 0 || k >= (int64_t)n)
            return false;
        out[i] = list[k];
    }
    return set_integers(g, in[1]->rank, n_index, out);
}

static bool fold_slice(OnnxGraph *g, OnnxValue **in, size_t n_in)
{
    size_t n, k[4] = {1, 1, 1, 1};
    const int64_t *list = onnx_integers(g, in[0], "operand", &n), *what[4] = {0};
    for (size_t i = 1; i < n_in; i++)
        if (in[i] && !(what[i - 1] = onnx_integers(g, in[i], "range", &k[i - 1])))
            return false;
    if (!list || in[0]->rank != 1 || !what[0] || !what[1] || k[0] != 1 || k[1] != 1 || (what[3] && (k[3] != 1 || what[3][0] != 1)))
        return false;
    int64_t start = what[0][0], end = what[1][0];
    onnx_clamp_range(&start, &end, n);
    return set_integers(g, 1, (uint64_t)(end - start), list + start);
}

bool onnx_fold(OnnxGraph *g, OnnxValue **in, size_t n)
{
    const char *op = g->node->op_type;
    for (size_t i = 0; i < n; i++)
        if (!(in[i] && is_shape_like(in[i])))
            return false;
    if (n == 2 && strcmp(op, "Add") == 0)
        return fold_binary(g, '+', in);
    if (n == 2 && strcmp(op, "Sub") == 0)
        return fold_binary(g, '-', in);
    if (n == 2 && strcmp(op, "Mul") == 0)
        return fold_binary(g, '*', in);
    if (n == 2 && strcmp(op, "Div") == 0)
        return fold_binary(g, '/', in);
    if (n && strcmp(op, "Concat") == 0)
        return fold_concat(g, in, n);
    if (n == 2 && strcmp(op, "Gather") == 0)
        return fold_gather(g, in);
    if (n >= 3 && n <= 5 && strcmp(op, "Slice") == 0)
        return fold_slice(g, in, n);
    if (n == 1 && strcmp(op, "Cast") == 0 && onnx_int(g, "to", 0) == 7) { /* to int64 */
        size_t count;
        const int64_t *list = onnx_integers(g, in[0], "operand", &count);
        return set_integers(g, in[0]->rank, count, list);
    }
    return false;
}

const OnnxOp onnx_constant_ops[] = {
    {"Constant", 0, 0, op_constant},
    {"ConstantOfShape", 1, 1, op_constant_of_shape},
    {"Shape", 1, 1, op_shape},
    {"Size", 1, 1, op_size},
    {0}};
