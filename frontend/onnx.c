/* onnx.c — ONNX models become networks; their initializers can also be read as plain tensors.
 *
 * In: the bytes of a model (gzip allowed). Out: one network, straight-line, its constants borrowed from the file.
 *
 *      bytes → onnx_split → tensors + a small rest → protobuf-c → for each node: its row of onnx_*_ops[]
 *
 * The one idea: every value is a flat vector in the IR with ONNX's shape beside it, so the batch of one that exporters
 * carry along, and all the reshaping around it, costs nothing and hides nothing. A first dim of 1, or one that the
 * model leaves open, is that batch: ports do not have it.
 *
 * All nodes are tried, so that one run reports everything that is not supported.
 */
#include "onnx_graph.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- external data: tensors in files beside the model ---- */

typedef struct External { const char *location; Bytes bytes; } External;

typedef struct Loader {
    Arena *arena;
    Diags *diags;
    Span span;
    const char *folder;
    Vec(External) files;
} Loader;

static const char *folder_of(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? str_ndup(arena, path, (size_t)(slash - path) + 1) : "./";
}

/* No absolute path, no "..", and no link that leads out of the folder. */
static bool stays_inside(Loader *l, const char *location)
{
    char folder[PATH_MAX], file[PATH_MAX];
    if (*location == '/' || !*location)
        return false;
    for (const char *part = location; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (str_starts(part, "..") && (part[2] == '/' || part[2] == '\0'))
            return false;
    if (!realpath(l->folder, folder) || !realpath(str_printf(l->arena, "%s%s", l->folder, location), file))
        return true; /* it does not exist: reading says so */
    size_t n = strlen(folder);
    return strcmp(folder, "/") == 0 || (strncmp(folder, file, n) == 0 && file[n] == '/');
}

static bool open_external(Loader *l, const char *name, const char *location, Bytes *out)
{
    for (size_t i = 0; i < l->files.len; i++)
        if (strcmp(l->files.at[i].location, location) == 0) {
            *out = l->files.at[i].bytes;
            return true;
        }
    if (!l->folder || !stays_inside(l, location)) {
        diag_error(l->diags, l->span, "`%s`: its external data lie in `%s`, which is not in the model's folder; copy the file there", name,
                   name_shown(l->arena, location));
        return false;
    }
    if (!file_read(l->arena, l->diags, l->span, str_printf(l->arena, "%s%s", l->folder, location), out))
        return false;
    External file = {.location = location, .bytes = *out};
    vec_push(l->arena, l->files, file);
    return true;
}

static bool load_tensor(Loader *l, OnnxTensor *t, Tensor *out)
{
    const char *name = name_shown(l->arena, t->raw.name);
    Bytes file;
    if (t->why) {
        diag_error(l->diags, l->span, "`%s`: %s", name, t->why);
        return false;
    }
    if (t->location) {
        if (!open_external(l, name, t->location, &file))
            return false;
        if (t->offset > file.len || (t->has_length && t->length > file.len - t->offset)) {
            diag_error(l->diags, l->span, "`%s`: its external data (%llu bytes from byte %llu) end behind `%s`, which has %zu bytes", name,
                       (unsigned long long)t->length, (unsigned long long)t->offset, name_shown(l->arena, t->location), file.len);
            return false;
        }
        t->raw.data = (Bytes){file.at + t->offset, t->has_length ? t->length : file.len - t->offset};
    }
    return tensor_decode(l->arena, l->diags, l->span, &t->raw, out);
}

/* ---- the model ---- */

static bool split(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, OnnxWire *wire)
{
    const char *why;
    if (bytes_are_gzip(bytes) && !gzip_inflate(arena, diags, source, bytes, &bytes))
        return false;
    if (bytes.len == 0) {
        diag_error(diags, diag_whole(source), "the file is empty");
        return false;
    }
    if (!onnx_split(arena, bytes, wire, &why)) {
        diag_error(diags, diag_whole(source), "cannot read the model: %s", why);
        return false;
    }
    return true;
}

static void *pb_allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void pb_release(void *arena, void *at)
{
    (void)arena, (void)at; /* with the arena */
}

static int64_t opset_of(const CnetOnnx__ModelProto *model)
{
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *domain = model->opset_import[i]->domain;
        if (!domain || !*domain || strcmp(domain, "ai.onnx") == 0)
            return model->opset_import[i]->version;
    }
    return 1;
}

/* ---- inputs and outputs ---- */

static bool is_batch(const CnetOnnx__Dimension *dim)
{
    return !dim->has_dim_value || dim->dim_value < 1 || dim->dim_value == 1;
}

/* The shape as declared, an open first dim as 1; false (reported) when another one is open. */
static bool input_shape(OnnxGraph *g, const CnetOnnx__ValueInfoProto *info, const char *shown, OnnxValue *v)
{
    Diags *diags = g->m->diags;
    const CnetOnnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
    FileElem elem;
    if (!t || !t->shape) {
        diag_error(diags, g->span, "input `%s` has no %s; export the model with fixed shapes", shown, t ? "shape" : "tensor type");
        return false;
    }
    if (!onnx_elem(t->elem_type, &elem) || !file_elem_is_ours(elem)) {
        diag_error(diags, g->span, "input `%s` has elements of type %s; supported are float, double, int8 to int64 and bool", shown,
                   onnx_elem_name(t->elem_type));
        return false;
    }
    v->elem = file_elem_type(elem);
    v->rank = (uint32_t)t->shape->n_dim;
    if (t->shape->n_dim > IR_MAX_RANK) {
        diag_error(diags, g->span, "input `%s` has %zu dimensions; at most %d are supported", shown, t->shape->n_dim, IR_MAX_RANK);
        return false;
    }
    uint64_t count = 1;
    for (uint32_t d = 0; d < v->rank; d++) {
        const CnetOnnx__Dimension *dim = t->shape->dim[d];
        bool open = !dim->has_dim_value || dim->dim_value < 1;
        if (open && d > 0) {
            diag_error(diags, g->span, "dimension %u of input `%s`%s%s%s is not fixed; only the first one (the batch) may be open", d, shown,
                       dim->dim_param ? " (`" : "", dim->dim_param ? name_shown(g->arena, dim->dim_param) : "", dim->dim_param ? "`)" : "");
            return false;
        }
        v->dim[d] = open ? 1 : (uint64_t)dim->dim_value;
        if (v->dim[d] > INT32_MAX || (count *= v->dim[d]) > INT32_MAX) {
            diag_error(diags, g->span, "input `%s` is too large", shown);
            return false;
        }
    }
    return true;
}

/* The port's type: without the batch. */
static Type port_type(const OnnxValue *v, bool has_batch)
{
    uint32_t dim[IR_MAX_RANK], from = has_batch;
    for (uint32_t d = from; d < v->rank; d++)
        dim[d - from] = (uint32_t)v->dim[d];
    return type_with_dims(v->elem, v->rank - from, dim);
}

/* An identifier that no port has yet. */
static const char *port_name(OnnxGraph *g, const char *name, const char *first)
{
    const char *id = name_identifier(g->arena, name, first), *base = id;
    for (unsigned k = 2;; k++) {
        bool taken = false;
        for (uint32_t i = 0; i < g->net->n_inputs; i++)
            taken |= strcmp(g->net->input[i].name, id) == 0;
        for (uint32_t i = 0; i < g->net->n_outputs; i++)
            taken |= strcmp(g->net->output[i].name, id) == 0;
        if (!taken)
            return id;
        id = str_printf(g->arena, "%s_%u", base, k);
    }
}

static bool add_input(OnnxGraph *g, const CnetOnnx__ValueInfoProto *info)
{
    const char *name = info->name ? info->name : "";
    OnnxValue *v = onnx_define(g, name);
    if (v->defined)
        return v->is_tensor || (diag_error(g->m->diags, g->span, "two inputs are called `%s`", name_shown(g->arena, name)), false);
    v->defined = true;
    if (!input_shape(g, info, name_shown(g->arena, name), v))
        return false;
    const CnetOnnx__TensorShapeProto *shape = info->type->tensor_type->shape;
    bool open = v->rank > 0 && (!shape->dim[0]->has_dim_value || shape->dim[0]->dim_value < 1);
    Type type = port_type(v, v->rank >= 2 ? is_batch(shape->dim[0]) : open);
    uint32_t n = (uint32_t)onnx_count(v);
    Value value = network_add_input(g->net, port_name(g, name, "x"), type, 0, g->span);
    v->kind = ONNX_COMPUTED;
    v->value = build_reshape(&g->b, value, 1, &n);
    return true;
}

static bool add_outputs(OnnxGraph *g, const CnetOnnx__GraphProto *graph)
{
    bool good = true;
    Value *result = NEW_ARRAY(g->arena, graph->n_output, Value);
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = graph->output[i]->name ? graph->output[i]->name : "";
        OnnxValue *v = onnx_find(g, name);
        if (!v || !v->defined)
            diag_error(g->m->diags, g->span, "nothing computes the output `%s`", name_shown(g->arena, name));
        if (!v || v->kind == ONNX_POISON) {
            good = false;
            continue;
        }
        bool has_batch = v->rank >= 2 && v->dim[0] == 1;
        if (v->rank - has_batch > IR_MAX_RANK || !type_valid(port_type(v, has_batch))) {
            diag_error(g->m->diags, g->span, "output `%s` has too many dimensions or elements", name_shown(g->arena, name));
            good = false;
            continue;
        }
        Type type = port_type(v, has_batch);
        result[i] = build_reshape(&g->b, onnx_value(g, v), type.rank, type.dim);
        network_add_output(g->net, port_name(g, name, "y"), type, g->span);
    }
    if (good)
        build_return(&g->b, (uint32_t)graph->n_output, result, 0);
    return good;
}

/* ---- nodes ---- */

static const OnnxOp *find_op(const char *name)
{
    const OnnxOp *const families[] = {onnx_linear_ops, onnx_pointwise_ops, onnx_shape_ops, onnx_constant_ops, onnx_reduce_ops};
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const OnnxOp *op = families[f]; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

/* The node's inputs, NULL where an optional one is left out. Sets *silent when one was reported before. */
static bool get_inputs(OnnxGraph *g, const NodeProto *node, OnnxValue **in, size_t *n, bool *silent)
{
    *n = node->n_input;
    while (*n && !*node->input[*n - 1])
        --*n;
    for (size_t i = 0; i < *n; i++) {
        in[i] = *node->input[i] ? onnx_find(g, node->input[i]) : NULL;
        if (in[i] && !in[i]->defined)
            return onnx_fail(g, "nothing before it computes its input `%s`", name_shown(g->arena, node->input[i]));
        *silent |= in[i] && in[i]->kind == ONNX_POISON;
    }
    return true;
}

static bool is_supported(const OnnxGraph *g, const NodeProto *node)
{
    if (node->domain && *node->domain && strcmp(node->domain, "ai.onnx") != 0)
        return onnx_fail(g, "operators of the domain `%s` are not supported; export the model with standard operators",
                         name_shown(g->arena, node->domain));
    return find_op(node->op_type) ||
           onnx_fail(g, "this operator is not supported; leave it out of the model, or express it by supported ones");
}

static bool import_node(OnnxGraph *g, const NodeProto *node)
{
    const OnnxOp *op = find_op(node->op_type);
    OnnxValue **in = NEW_ARRAY(g->arena, node->n_input + 1, OnnxValue *);
    size_t n;
    bool silent = false;
    if (!get_inputs(g, node, in, &n, &silent) || silent)
        return false;
    if (n < op->min_inputs || n > op->max_inputs)
        return onnx_fail(g, "it has %zu inputs, but takes %zu to %zu", n, op->min_inputs, op->max_inputs);
    size_t required = op->max_inputs > 5 ? n : op->min_inputs; /* of variadic ones, all */
    for (size_t i = 0; i < required; i++)
        if (!in[i])
            return onnx_fail(g, "its input %zu is missing", i);
    return onnx_fold(g, in, n) || op->import(g, in, n);
}

/* Outputs exist from here on, poisoned when the node failed. */
static bool define_outputs(OnnxGraph *g, const NodeProto *node)
{
    for (size_t i = 0; i < node->n_output; i++) {
        OnnxValue *v = onnx_define(g, node->output[i]);
        if (v->defined && *node->output[i])
            return onnx_fail(g, "its output `%s` is computed twice", name_shown(g->arena, node->output[i]));
        v->defined = *node->output[i];
    }
    return true;
}

static bool add_node(OnnxGraph *g, NodeProto *node)
{
    static char nothing[] = "";
    g->node = node;
    if (!node->op_type)
        node->op_type = nothing;
    bool known = is_supported(g, node);
    for (size_t i = 0; i < node->n_input; i++)
        for (size_t k = 0; k < node->n_output; k++)
            if (*node->input[i] && strcmp(node->input[i], node->output[k]) == 0)
                return onnx_fail(g, "its input `%s` is its own output", name_shown(g->arena, node->input[i]));
    if (!define_outputs(g, node) || !known)
        return false;
    if (node->n_output == 0 || !*node->output[0])
        return onnx_fail(g, "it has no output");
    g->output = onnx_find(g, node->output[0]);
    if (!import_node(g, node)) {
        g->output->kind = ONNX_POISON;
        return false;
    }
    for (size_t i = 1; i < node->n_output; i++) {
        const OnnxValue *v = onnx_find(g, node->output[i]);
        if (v && v->kind == ONNX_POISON && v->uses)
            return onnx_fail(g, "its output %zu (`%s`) is used, but only the first one is supported", i, name_shown(g->arena, v->name));
    }
    return true;
}

static void count_uses(OnnxGraph *g, const CnetOnnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_input; k++)
            onnx_define(g, graph->node[i]->input[k])->uses++;
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name)
            onnx_define(g, graph->output[i]->name)->uses++;
}

static bool add_constants(OnnxGraph *g, OnnxWire *wire)
{
    Loader loader = {.arena = g->arena, .diags = g->m->diags, .span = g->span, .folder = g->folder};
    bool good = true;
    for (size_t i = 0; i < wire->tensors.len; i++) {
        Tensor t;
        OnnxValue *v = onnx_define(g, wire->tensors.at[i].raw.name);
        if (v->defined) {
            diag_error(g->m->diags, g->span, "two tensors are called `%s`", name_shown(g->arena, v->name));
            good = false;
            continue;
        }
        v->defined = v->is_tensor = true;
        if (!v->uses)
            continue; /* may be of any kind */
        if (!load_tensor(&loader, &wire->tensors.at[i], &t)) {
            good = false;
            continue;
        }
        uint64_t dim[IR_MAX_RANK], count = type_count(t.type);
        for (uint32_t d = 0; d < t.type.rank; d++)
            dim[d] = t.type.dim[d];
        if (count > INT32_MAX) {
            diag_error(g->m->diags, g->span, "`%s` has too many elements", name_shown(g->arena, v->name));
            good = false;
            continue;
        }
        onnx_set_constant(g, v, t.type, t.type.rank, dim, t.data);
    }
    return good;
}

static bool add_graph(OnnxGraph *g, const CnetOnnx__GraphProto *graph, OnnxWire *wire)
{
    count_uses(g, graph);
    bool good = add_constants(g, wire);
    for (size_t i = 0; i < graph->n_input; i++)
        good &= add_input(g, graph->input[i]);
    for (size_t i = 0; i < graph->n_node; i++)
        good &= add_node(g, graph->node[i]);
    g->node = NULL;
    if (graph->n_output == 0) {
        diag_error(g->m->diags, g->span, "the graph has no output");
        return false;
    }
    return add_outputs(g, graph) && good;
}

static Network *import(Module *m, uint32_t source, Bytes bytes, const char *name, const char *folder)
{
    OnnxWire wire = {0};
    if (!split(m->arena, m->diags, source, bytes, &wire))
        return NULL;
    Arena *scratch = arena_new(m->arena);
    if (!scratch)
        arena_exhausted(m->arena);
    ProtobufCAllocator allocator = {.alloc = pb_allocate, .free = pb_release, .allocator_data = scratch};
    CnetOnnx__ModelProto *model = cnet_onnx__model_proto__unpack(&allocator, wire.rest.len, wire.rest.at);
    Network *net = NULL;
    if (!model || !model->graph) {
        diag_error(m->diags, diag_whole(source), "cannot read the model: %s", model ? "it has no graph" : "its nodes are damaged");
    } else {
        OnnxGraph g = {.arena = m->arena, .m = m, .span = diag_whole(source), .folder = folder, .opset = opset_of(model)};
        g.net = network_new(m, name ? name : "network", g.span);
        g.b = builder_at_end(g.net->body);
        g.b.span = g.span;
        if (add_graph(&g, model->graph, &wire)) {
            network_done(g.net);
            net = g.net;
        }
    }
    arena_free(scratch);
    return net;
}

Network *fe_read_onnx(Module *m, uint32_t source, Bytes bytes, const char *name)
{
    return import(m, source, bytes, name, NULL);
}

Network *fe_import_onnx(Module *m, const char *path, const char *name, Span span)
{
    Bytes bytes;
    if (!file_read(m->arena, m->diags, span, path, &bytes))
        return NULL;
    return import(m, diag_source(m->diags, path, NULL, 0), bytes, name ? name : name_of_file(m->arena, path), folder_of(m->arena, path));
}

/* ---- initializers as weights ---- */

static bool onnx_tensors(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, const char *folder, TensorFile *out)
{
    OnnxWire wire = {0};
    if (!split(arena, diags, source, bytes, &wire))
        return false;
    Loader loader = {.arena = arena, .diags = diags, .span = diag_whole(source), .folder = folder};
    out->tensor = NEW_ARRAY(arena, wire.tensors.len, Tensor);
    out->n = 0;
    bool good = true;
    for (size_t i = 0; i < wire.tensors.len; i++)
        if (load_tensor(&loader, &wire.tensors.at[i], &out->tensor[out->n]))
            out->n++;
        else
            good = false;
    return good;
}

bool fe_read_onnx_tensors(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out)
{
    return onnx_tensors(arena, diags, source, bytes, NULL, out);
}

bool onnx_file_tensors(Arena *arena, Diags *diags, uint32_t source, const char *path, Bytes bytes, TensorFile *out)
{
    return onnx_tensors(arena, diags, source, bytes, folder_of(arena, path), out);
}
