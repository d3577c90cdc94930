/* onnx_values.c — the values of a graph while it is imported: their names, shapes, and how they become IR.
 *
 * In: names from nodes. Out: constants in the pool, flat vectors in the IR. The one idea: nothing is built before
 * somebody needs it, so constants that only say shapes leave no trace, and a product can still become an affine with
 * the bias that a later node adds.
 */
#include "onnx_graph.h"

#include <string.h>

/* ---- names ---- */

static size_t slot_of(const OnnxGraph *g, const char *name)
{
    size_t i = (size_t)hash_bytes(name, strlen(name)).lo & (g->cap - 1);
    while (g->table[i] && strcmp(g->table[i]->name, name) != 0)
        i = (i + 1) & (g->cap - 1);
    return i;
}

OnnxValue *onnx_find(const OnnxGraph *g, const char *name)
{
    return g->cap ? g->table[slot_of(g, name)] : NULL;
}

static void grow(OnnxGraph *g)
{
    OnnxValue **old = g->table;
    size_t n = g->cap;
    g->cap = n ? 2 * n : 64;
    g->table = NEW_ARRAY(g->arena, g->cap, OnnxValue *);
    for (size_t i = 0; i < n; i++)
        if (old[i])
            g->table[slot_of(g, old[i]->name)] = old[i];
}

OnnxValue *onnx_define(OnnxGraph *g, const char *name)
{
    if (g->cap < 2 * (g->len + 1))
        grow(g);
    OnnxValue **slot = &g->table[slot_of(g, name)];
    if (!*slot) {
        *slot = NEW(g->arena, OnnxValue);
        (*slot)->name = name;
        g->len++;
    }
    return *slot;
}

/* ---- messages ---- */

uint64_t onnx_product(const uint64_t *dim, uint32_t from, uint32_t to)
{
    uint64_t p = 1;
    for (uint32_t d = from; d < to; d++)
        p *= dim[d];
    return p;
}

uint64_t onnx_count(const OnnxValue *v)
{
    return onnx_product(v->dim, 0, v->rank); /* it fits: checked when the shape was made */
}

const char *onnx_shape(const OnnxGraph *g, const OnnxValue *v)
{
    Text text = text_new(g->arena);
    text_add(&text, "%s", type_print(g->arena, v->elem));
    for (uint32_t d = 0; d < v->rank; d++)
        text_add(&text, "%s%llu", d ? "," : "[", (unsigned long long)v->dim[d]);
    text_add(&text, v->rank ? "]" : "");
    return text.at;
}

bool onnx_fail(const OnnxGraph *g, const char *format, ...)
{
    const NodeProto *node = g->node;
    va_list args;
    va_start(args, format);
    const char *what = str_vprintf(g->arena, format, args);
    va_end(args);
    if (!node)
        diag_error(g->m->diags, g->span, "%s", what);
    else if (node->name && *node->name)
        diag_error(g->m->diags, g->span, "node `%s` (%s): %s", name_shown(g->arena, node->name), name_shown(g->arena, node->op_type), what);
    else
        diag_error(g->m->diags, g->span, "the node that computes `%s` (%s): %s",
                   node->n_output ? name_shown(g->arena, node->output[0]) : "", name_shown(g->arena, node->op_type), what);
    return false;
}

/* ---- constants ---- */

bool onnx_is_constant(const OnnxValue *v) { return v->kind == ONNX_CONSTANT; }

/* What a value is called in the IR, which has its own idea of identifiers. */
static void name_value(OnnxGraph *g, Value value, const char *name)
{
    value_name(g->net, value, name_identifier(g->arena, name, "v"));
}

static Type flat_type(const OnnxValue *v) { return type_vector(v->elem, (uint32_t)onnx_count(v)); }

bool onnx_set_constant(OnnxGraph *g, OnnxValue *v, Type elem, uint32_t rank, const uint64_t *dim, const void *data)
{
    (void)g;
    v->kind = ONNX_CONSTANT;
    v->elem = type_element(elem);
    v->rank = rank;
    if (rank)
        memmove(v->dim, dim, rank * sizeof *dim);
    v->data = data;
    v->cst = v->value = 0;
    return true;
}

const uint8_t *onnx_data(OnnxGraph *g, OnnxValue *v)
{
    if (!v->data) { /* a transposed view */
        const Const *c = const_get(g->m, v->cst);
        void *copy = arena_big(g->arena, const_bytes(c), 64);
        const_copy(c, copy);
        v->data = copy;
    }
    return v->data;
}

ConstId onnx_const_shaped(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint32_t *dim)
{
    Type wanted = type_with_dims(v->elem, rank, dim);
    if (!v->cst)
        v->cst = const_add(g->m, v->name, wanted, v->data, g->span);
    return type_equal(const_get(g->m, v->cst)->type, wanted) ? v->cst : const_reshaped(g->m, v->cst, rank, dim);
}

/* With at most IR_MAX_RANK dims: leading ones are merged. */
ConstId onnx_const(OnnxGraph *g, OnnxValue *v)
{
    uint32_t dim[IR_MAX_RANK], extra = v->rank > IR_MAX_RANK ? v->rank - IR_MAX_RANK : 0;
    uint64_t first = 1;
    for (uint32_t d = 0; d <= extra && d < v->rank; d++)
        first *= v->dim[d];
    for (uint32_t d = extra; d < v->rank; d++)
        dim[d - extra] = (uint32_t)(d == extra ? first : v->dim[d]);
    return onnx_const_shaped(g, v, v->rank - extra, dim);
}

Value onnx_value(OnnxGraph *g, OnnxValue *v)
{
    uint32_t n = (uint32_t)onnx_count(v);
    switch (v->kind) {
    case ONNX_POISON:
        ICE("`%s` has no value", v->name);
    case ONNX_CONSTANT:
        if (!v->value)
            v->value = build_const(&g->b, onnx_const_shaped(g, v, 1, &n));
        return v->value;
    case ONNX_COMPUTED:
        return v->value;
    case ONNX_PRODUCT:
        v->value = build_affine(&g->b, v->value, v->cst, 0, ir_chains(n, const_get(g->m, v->cst)->type.dim[1]));
        name_value(g, v->value, v->name);
        v->kind = ONNX_COMPUTED;
        v->cst = 0;
        return v->value;
    }
    ICE("value kind %d", (int)v->kind);
}

/* ---- results ---- */

bool onnx_set_value(OnnxGraph *g, OnnxValue *v, Value value, uint32_t rank, const uint64_t *dim)
{
    Type type = value_type(g->net, value);
    v->kind = ONNX_COMPUTED;
    v->elem = type_element(type);
    v->rank = rank;
    if (rank)
        memmove(v->dim, dim, rank * sizeof *dim);
    v->value = value;
    v->cst = 0;
    if (!type_equal(type, flat_type(v)))
        ICE("`%s` became %s", v->name, type_print(g->arena, type));
    name_value(g, value, v->name);
    return true;
}

bool onnx_set_value_like(OnnxGraph *g, OnnxValue *v, Value value, const OnnxValue *like)
{
    return onnx_set_value(g, v, value, like->rank, like->dim);
}

/* ---- what nodes say ---- */

const int64_t *onnx_integers(OnnxGraph *g, OnnxValue *v, const char *what, size_t *n)
{
    enum { MOST = 1 << 20 };
    if (!onnx_is_constant(v)) {
        onnx_fail(g, "its %s (`%s`) is computed, but must be a constant; export the model with fixed shapes, or simplify it (onnxsim)", what, name_shown(g->arena, v->name));
        return NULL;
    }
    if (v->elem.elem != ELEM_INT || v->elem.n > 64 || onnx_count(v) > MOST) {
        onnx_fail(g, "its %s should be a short list of integers, found %s", what, onnx_shape(g, v));
        return NULL;
    }
    *n = (size_t)onnx_count(v);
    const uint8_t *data = onnx_data(g, v);
    uint32_t bytes = type_element_bytes(v->elem);
    int64_t *list = NEW_ARRAY(g->arena, *n, int64_t);
    for (size_t i = 0; i < *n; i++) {
        uint64_t bits = 0;
        memcpy(&bits, data + i * bytes, bytes);
        list[i] = (int64_t)(bits << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    }
    return list;
}

const AttributeProto *onnx_attribute(const OnnxGraph *g, const char *name)
{
    for (size_t i = 0; i < g->node->n_attribute; i++)
        if (g->node->attribute[i]->name && strcmp(g->node->attribute[i]->name, name) == 0)
            return g->node->attribute[i];
    return NULL;
}

int64_t onnx_int(const OnnxGraph *g, const char *name, int64_t otherwise)
{
    const AttributeProto *a = onnx_attribute(g, name);
    return a && a->has_i ? a->i : otherwise;
}

float onnx_float(const OnnxGraph *g, const char *name, float otherwise)
{
    const AttributeProto *a = onnx_attribute(g, name);
    return a && a->has_f ? a->f : otherwise;
}

bool onnx_axis(OnnxGraph *g, int64_t axis, uint32_t rank, uint32_t *out)
{
    int64_t wrapped = axis < 0 ? axis + (int64_t)rank : axis;
    if (wrapped < 0 || wrapped >= (int64_t)rank)
        return onnx_fail(g, "axis %lld does not exist in a tensor of %u dimensions", (long long)axis, rank);
    *out = (uint32_t)wrapped;
    return true;
}
