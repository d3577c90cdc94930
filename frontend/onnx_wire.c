/* onnx_wire.c — finding tensors in the bytes of a model, without unpacking them.
 *
 * In: a serialized ModelProto. Out: its tensors, whose elements stay where they lie in the mapped file, and a small
 * copy of all else for protobuf-c:
 *
 *      model ─ graph ─┬ initializer …         → tensors
 *                     ├ node (Constant)       → tensors
 *                     ├ node, input, output   → rest
 *                     └ value_info, docs …    → dropped
 *
 * Sources: the encoding of protocol buffers (protobuf.dev), onnx.proto for the numbers of the fields.
 */
#include "onnx_graph.h"

#include <string.h>

/* ---- the wire ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef struct Wire {
    const uint8_t *at, *end;
    bool bad;
    const uint8_t *field_at;      /* where the field began, tag included */
    uint64_t field;
    unsigned type;
    uint64_t number;              /* WIRE_VARINT */
    Bytes bytes;                  /* otherwise */
} Wire;

static Wire wire_of(Bytes bytes)
{
    return (Wire){.at = bytes.at, .end = bytes.at + bytes.len};
}

static bool wire_varint(Wire *w, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 70 && w->at < w->end; shift += 7) {
        uint8_t byte = *w->at++;
        if (shift < 64)
            *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    w->bad = true;
    return false;
}

static bool wire_take(Wire *w, uint64_t len)
{
    if (len > (size_t)(w->end - w->at)) {
        w->bad = true;
        return false;
    }
    w->bytes = (Bytes){w->at, len};
    w->at += len;
    return true;
}

/* The next field; false at the end, or when w->bad. */
static bool wire_next(Wire *w)
{
    uint64_t tag, len;
    w->field_at = w->at;
    if (w->at == w->end || !wire_varint(w, &tag))
        return false;
    w->field = tag >> 3;
    w->type = tag & 7;
    switch (w->type) {
    case WIRE_VARINT: return wire_varint(w, &w->number);
    case WIRE_64: return wire_take(w, 8);
    case WIRE_32: return wire_take(w, 4);
    case WIRE_BYTES: return wire_varint(w, &len) && wire_take(w, len);
    }
    w->bad = true; /* groups: nobody writes them any more */
    return false;
}

/* ---- element types ---- */

/* TensorProto.DataType, from 0. */
static const struct { const char *name; int elem; } data_types[] = {
    {"undefined", -1}, {"float", FILE_F32}, {"uint8", FILE_U8}, {"int8", FILE_I8}, {"uint16", FILE_U16}, {"int16", FILE_I16},
    {"int32", FILE_I32}, {"int64", FILE_I64}, {"string", -1}, {"bool", FILE_BOOL}, {"float16", FILE_F16}, {"double", FILE_F64},
    {"uint32", FILE_U32}, {"uint64", FILE_U64}, {"complex64", -1}, {"complex128", -1}, {"bfloat16", FILE_BF16}};
enum { N_DATA_TYPES = sizeof data_types / sizeof *data_types };

bool onnx_elem(int64_t data_type, FileElem *elem)
{
    if (data_type < 0 || data_type >= N_DATA_TYPES || data_types[data_type].elem < 0)
        return false;
    *elem = (FileElem)data_types[data_type].elem;
    return true;
}

const char *onnx_elem_name(int64_t data_type)
{
    return data_type >= 0 && data_type < N_DATA_TYPES ? data_types[data_type].name : "unknown";
}

/* ---- tensors ---- */

enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_FLOATS = 4, TENSOR_INT32S = 5, TENSOR_INT64S = 7, TENSOR_NAME = 8, TENSOR_RAW = 9,
       TENSOR_DOUBLES = 10, TENSOR_UINT64S = 11, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };

static void add_dim(OnnxTensor *t, uint64_t dim)
{
    if (t->raw.rank == RAW_MAX_RANK)
        t->why = "it has too many dimensions; at most 6 are supported";
    else if (dim > INT64_MAX)
        t->why = "one of its dimensions is negative";
    else
        t->raw.dim[t->raw.rank++] = dim;
}

static void add_dims(OnnxTensor *t, const Wire *w)
{
    if (w->type == WIRE_VARINT) {
        add_dim(t, w->number);
        return;
    }
    Wire packed = wire_of(w->bytes);
    uint64_t dim;
    while (packed.at < packed.end && !t->why && wire_varint(&packed, &dim))
        add_dim(t, dim);
    if (packed.bad)
        t->why = "its dimensions are damaged";
}

static bool bytes_are(Bytes bytes, const char *s)
{
    return bytes.len == strlen(s) && memcmp(bytes.at, s, bytes.len) == 0;
}

static bool parse_u64(Bytes bytes, uint64_t *out)
{
    int64_t v = 0;
    bool good = integer_parse((const char *)bytes.at, bytes.len, &v) && v >= 0;
    *out = (uint64_t)v;
    return good;
}

static void add_external(Arena *arena, OnnxTensor *t, Bytes entry)
{
    Wire w = wire_of(entry);
    Bytes key = {0}, value = {0};
    while (wire_next(&w))
        if (w.type == WIRE_BYTES && w.field <= 2)
            *(w.field == 1 ? &key : &value) = w.bytes;
    if (bytes_are(key, "location"))
        t->location = str_ndup(arena, (const char *)value.at, value.len);
    else if (bytes_are(key, "offset") && !parse_u64(value, &t->offset))
        t->why = "the offset of its external data is no number";
    else if (bytes_are(key, "length") && !(t->has_length = parse_u64(value, &t->length)))
        t->why = "the length of its external data is no number";
}

/* Fields that hold numbers one by one: which, and how wide. */
static unsigned numbers_field(FileElem elem)
{
    switch (elem) {
    case FILE_F32: return TENSOR_FLOATS;
    case FILE_F64: return TENSOR_DOUBLES;
    case FILE_I64: return TENSOR_INT64S;
    case FILE_U32: case FILE_U64: return TENSOR_UINT64S;
    case FILE_BOOL: case FILE_I8: case FILE_I16: case FILE_I32: case FILE_U8: case FILE_U16: case FILE_F16: case FILE_BF16:
        return TENSOR_INT32S;
    }
    ICE("file element %d", (int)elem);
}

/* Copies the numbers of `chunk` to *at; with at NULL only counts them. False when it is damaged. */
static bool take_numbers(const Wire *w, uint32_t bytes, uint8_t **at, size_t *n)
{
    if (w->type != WIRE_BYTES && w->type != WIRE_VARINT) { /* one fixed-size number */
        if (at) {
            memcpy(*at, w->bytes.at, bytes);
            *at += bytes;
        }
        ++*n;
        return w->bytes.len == bytes;
    }
    if (w->type == WIRE_VARINT) {
        if (at) {
            memcpy(*at, &w->number, bytes);
            *at += bytes;
        }
        ++*n;
        return true;
    }
    Wire packed = wire_of(w->bytes);
    uint64_t number;
    while (packed.at < packed.end && wire_varint(&packed, &number)) {
        if (at) {
            memcpy(*at, &number, bytes);
            *at += bytes;
        }
        ++*n;
    }
    return !packed.bad;
}

/* The elements from float_data, int32_data and their like: borrowed when they are one packed run of fixed-size numbers. */
static void gather_numbers(Arena *arena, Bytes message, OnnxTensor *t)
{
    unsigned field = numbers_field(t->raw.elem);
    uint32_t bytes = file_elem_bytes(t->raw.elem);
    bool fixed = field == TENSOR_FLOATS || field == TENSOR_DOUBLES, good = true;
    size_t chunks = 0, n = 0, total;
    for (Wire w = wire_of(message); wire_next(&w);) {
        if (w.field != field)
            continue;
        chunks++;
        if (fixed && w.type == WIRE_BYTES) {
            t->raw.data = w.bytes;
            n += w.bytes.len / bytes;
        } else {
            good &= fixed == (w.type == WIRE_32 || w.type == WIRE_64) && take_numbers(&w, bytes, NULL, &n);
        }
    }
    if (!good)
        t->why = "its numbers are damaged";
    if (!good || chunks == 0 || (chunks == 1 && fixed && t->raw.data.at))
        return;
    if (!size_mul(n, bytes, &total))
        arena_exhausted(arena);
    uint8_t *copy = arena_big(arena, total, 64), *at = copy;
    n = 0;
    for (Wire w = wire_of(message); wire_next(&w);) {
        if (w.field != field)
            continue;
        if (fixed && w.type == WIRE_BYTES) {
            size_t whole = w.bytes.len / bytes * bytes;
            memcpy(at, w.bytes.at, whole);
            at += whole;
        } else {
            take_numbers(&w, bytes, &at, &n);
        }
    }
    t->raw.data = (Bytes){copy, total};
}

bool onnx_scan_tensor(Arena *arena, Bytes message, OnnxTensor *t)
{
    uint64_t data_type = 0, location = 0;
    bool has_raw = false;
    *t = (OnnxTensor){.raw = {.name = ""}};
    Wire w = wire_of(message);
    while (wire_next(&w)) {
        if (w.field == TENSOR_DIMS && (w.type == WIRE_VARINT || w.type == WIRE_BYTES))
            add_dims(t, &w);
        else if (w.field == TENSOR_TYPE && w.type == WIRE_VARINT)
            data_type = w.number;
        else if (w.field == TENSOR_NAME && w.type == WIRE_BYTES)
            t->raw.name = str_ndup(arena, (const char *)w.bytes.at, w.bytes.len);
        else if (w.field == TENSOR_RAW && w.type == WIRE_BYTES)
            t->raw.data = w.bytes, has_raw = true;
        else if (w.field == TENSOR_EXTERNAL && w.type == WIRE_BYTES)
            add_external(arena, t, w.bytes);
        else if (w.field == TENSOR_LOCATION && w.type == WIRE_VARINT)
            location = w.number;
    }
    if (w.bad)
        return false;
    if (location == 0)
        t->location = NULL;
    else if (!t->location)
        t->why = "its external data have no location";
    if (!onnx_elem((int64_t)data_type, &t->raw.elem)) {
        t->why = str_printf(arena, "the element type %s (%lld) is not supported", onnx_elem_name((int64_t)data_type), (long long)data_type);
        return true;
    }
    if (!t->why && !has_raw && !t->location)
        gather_numbers(arena, message, t);
    return true;
}

/* ---- the split ---- */

enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12,
       GRAPH_SPARSE = 15, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5, ATTRIBUTE_NAME = 1, ATTRIBUTE_TENSOR = 5 };

static void copy_field(Text *to, const Wire *w)
{
    text_put(to, (const char *)w->field_at, (size_t)(w->at - w->field_at));
}

static void put_varint(Text *to, uint64_t v)
{
    do {
        char byte = (char)((v & 127) | (v > 127 ? 128 : 0));
        text_put(to, &byte, 1);
        v >>= 7;
    } while (v);
}

static void put_message(Text *to, unsigned field, const Text *message)
{
    put_varint(to, field << 3 | WIRE_BYTES);
    put_varint(to, message->len);
    text_put(to, message->at, message->len);
}

typedef struct Splitter {
    Arena *arena, *scratch;
    OnnxWire *out;
    const char *why;
} Splitter;

static bool add_tensor(Splitter *s, Bytes message, const char *name)
{
    OnnxTensor t;
    if (!onnx_scan_tensor(s->arena, message, &t)) {
        s->why = "a tensor is damaged";
        return false;
    }
    if (name)
        t.raw.name = name;
    vec_push(s->arena, s->out->tensors, t);
    return true;
}

/* The tensor of `attribute`, if it holds one and is called `value`. */
static bool constant_tensor(Bytes attribute, Bytes *tensor)
{
    Wire w = wire_of(attribute);
    bool is_value = false;
    tensor->at = NULL;
    while (wire_next(&w))
        if (w.field == ATTRIBUTE_NAME && w.type == WIRE_BYTES)
            is_value = bytes_are(w.bytes, "value");
        else if (w.field == ATTRIBUTE_TENSOR && w.type == WIRE_BYTES)
            *tensor = w.bytes;
    return !w.bad && is_value && tensor->at;
}

/* An attribute too long to be copied whole: without its tensors and graphs, which no operator here reads. */
static void copy_attribute(Splitter *s, Text *to, const Wire *field)
{
    enum { SHORT = 4096, FLOATS = 7, INTS = 8, SCALARS = 4 };
    if (field->bytes.len <= SHORT) {
        copy_field(to, field);
        return;
    }
    Text attribute = text_new(s->scratch);
    Wire w = wire_of(field->bytes);
    while (wire_next(&w))
        if (w.field <= SCALARS || w.field == FLOATS || w.field == INTS)
            copy_field(&attribute, &w);
    if (w.bad)
        s->why = "an attribute is damaged";
    put_message(to, NODE_ATTRIBUTE, &attribute);
}

/* A Constant node that holds a tensor becomes one of the tensors; any other node is copied. */
static bool split_node(Splitter *s, Text *to, Bytes node)
{
    Text copy = text_new(s->scratch);
    bool is_constant = false;
    const char *name = NULL;
    Bytes tensor = {0};
    Wire w = wire_of(node);
    while (wire_next(&w)) {
        if (w.field == NODE_OP && w.type == WIRE_BYTES)
            is_constant = bytes_are(w.bytes, "Constant");
        if (w.field == NODE_OUTPUT && w.type == WIRE_BYTES && !name)
            name = str_ndup(s->arena, (const char *)w.bytes.at, w.bytes.len);
        if (w.field == NODE_ATTRIBUTE && w.type == WIRE_BYTES) {
            Bytes found;
            if (constant_tensor(w.bytes, &found))
                tensor = found;
            copy_attribute(s, &copy, &w);
        } else {
            copy_field(&copy, &w);
        }
    }
    if (w.bad)
        s->why = "a node is damaged";
    if (s->why)
        return false;
    if (is_constant && name && tensor.at)
        return add_tensor(s, tensor, name);
    put_message(to, GRAPH_NODE, &copy);
    return true;
}

static bool split_graph(Splitter *s, Text *to, Bytes graph)
{
    Wire w = wire_of(graph);
    while (!s->why && wire_next(&w)) {
        if (w.type != WIRE_BYTES)
            continue;
        if (w.field == GRAPH_INITIALIZER)
            add_tensor(s, w.bytes, NULL);
        else if (w.field == GRAPH_SPARSE)
            s->why = "it has sparse initializers, which are not supported; export it with dense ones";
        else if (w.field == GRAPH_NODE)
            split_node(s, to, w.bytes);
        else if (w.field == GRAPH_INPUT || w.field == GRAPH_OUTPUT || w.field == GRAPH_NAME)
            copy_field(to, &w);
    }
    if (w.bad && !s->why)
        s->why = "its graph is damaged or truncated";
    return !s->why;
}

bool onnx_split(Arena *arena, Bytes model, OnnxWire *out, const char **why)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Splitter s = {.arena = arena, .scratch = scratch, .out = out};
    Text rest = text_new(arena);
    Wire w = wire_of(model);
    while (!s.why && wire_next(&w)) {
        if (w.type == WIRE_BYTES && w.field == MODEL_GRAPH) {
            Text graph = text_new(scratch);
            if (split_graph(&s, &graph, w.bytes))
                put_message(&rest, MODEL_GRAPH, &graph);
        } else if (w.type == WIRE_BYTES && w.field == MODEL_OPSET) {
            copy_field(&rest, &w);
        }
    }
    if (w.bad && !s.why)
        s.why = "it is truncated, or no ONNX model";
    out->rest = (Bytes){(const uint8_t *)rest.at, rest.len};
    *why = s.why;
    arena_free(scratch);
    return !*why;
}
