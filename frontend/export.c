/* export.c — `cnetc import`: a network as text that people read and change, its weights in a file beside it.
 *
 * In: a straight-line network, as the importers make them. Out: a .cnet and a .safetensors that compile to the same
 * function, bit for bit:
 *
 *      %z = affine %x, @W, @b          let h = relu(w["W"] @ x + w["b"]);
 *      %h = relu %z              =>    w["V"] @ h
 *      return affine %h, @V
 *
 * The one idea: every op has one way to be written, and where the language would choose differently (an order of
 * sums) the export refuses instead of writing something that is only almost the same.
 */
#include "formats.h"

#include <math.h>
#include <string.h>

typedef struct Export {
    Arena *arena;
    const Network *net;
    Diags *diags;
    Text body;
    uint32_t *uses;
    bool *live;                   /* by value */
    const char **text;            /* of a value: a name, or an expression that stands for it */
    const char **table;           /* names that are taken, open-addressed */
    size_t cap, taken;
    const char *weights;          /* what the text calls the weights file */
    Vec(NamedConst) tensors;
    const char **tensor_name;     /* by ConstId */
    bool failed;
} Export;

static const char *fail(Export *x, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *fail(Export *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!x->failed)
        diag_error(x->diags, NOWHERE, "network `%s` cannot be written as .cnet: %s; compile it directly, or write --emit=ir", x->net->name,
                   str_vprintf(x->arena, format, args));
    va_end(args);
    x->failed = true;
    return "";
}

/* ---- names ---- */

static bool take(Export *x, const char *name)
{
    if (x->cap < 2 * (x->taken + 1)) {
        const char **old = x->table;
        size_t n = x->cap;
        x->cap = n ? 2 * n : 256;
        x->table = NEW_ARRAY(x->arena, x->cap, const char *);
        x->taken = 0;
        for (size_t i = 0; i < n; i++)
            if (old[i])
                take(x, old[i]);
    }
    size_t i = (size_t)hash_bytes(name, strlen(name)).lo & (x->cap - 1);
    for (; x->table[i]; i = (i + 1) & (x->cap - 1))
        if (strcmp(x->table[i], name) == 0)
            return false;
    x->table[i] = name;
    x->taken++;
    return true;
}

static const char *unique(Export *x, const char *wanted)
{
    const char *name = wanted;
    for (unsigned k = 2; !take(x, name); k++)
        name = str_printf(x->arena, "%s_%u", wanted, k);
    return name;
}

/* Words and functions of the language. */
static void take_words(Export *x)
{
    static const char *const words[] = {
        "network", "layer", "weights", "const", "let", "if", "else", "for", "from", "to", "within", "in", "options", "data", "exit", "true", "false",
        "relu", "abs", "exp", "tanh", "sigmoid", "sqrt", "argmax", "argmin", "softmax", "sum", "min", "max", "dot", "select", "concat", "transpose",
        "reshape", "size", "shape", "f32", "f64", "i1", "i8", "i16", "i32", "i64"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        take(x, words[i]);
}

/* ---- constants ---- */

/* The name of a constant in the weights file, without the number that a view got when nothing else has that name. */
static const char *tensor_name(Export *x, ConstId id)
{
    const Const *c = const_get(x->net->module, id);
    if (x->tensor_name[id])
        return x->tensor_name[id];
    if (c->kind != CONST_TENSOR || !safetensors_holds(c->type))
        return fail(x, "the constant `%s` has the type %s", c->name, type_print(x->arena, c->type));
    const char *dot = strrchr(c->name, '.');
    const char *base = dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1) ? str_ndup(x->arena, c->name, (size_t)(dot - c->name)) : c->name;
    bool free_base = true;
    for (size_t i = 0; i < x->tensors.len; i++)
        free_base &= strcmp(x->tensors.at[i].name, base) != 0;
    NamedConst named = {.name = free_base ? base : c->name, .c = c};
    vec_push(x->arena, x->tensors, named);
    return x->tensor_name[id] = named.name;
}

static const char *tensor(Export *x, ConstId id)
{
    return str_printf(x->arena, "%s[\"%s\"]", x->weights, tensor_name(x, id));
}

/* A scalar that a literal says exactly: finite and not -0; NULL otherwise. */
static const char *literal(Export *x, const Const *c)
{
    if (c->kind != CONST_TENSOR || c->type.rank != 0 || (!type_is_float(c->type) && !(type_is_int(c->type) && c->type.n > 1 && c->type.n <= 32)))
        return NULL;
    double v = const_f64(c, 0);
    if (!isfinite(v) || (v == 0 && signbit(v)))
        return NULL;
    return str_printf(x->arena, v < 0 ? "(%.*g)" : "%.*g", c->type.elem == ELEM_F32 ? 9 : 17, v);
}

/* ---- operands ---- */

/* A constant is put in the weights file when it is first named: one that is said by a literal never is. */
static const char *text_of(Export *x, Value v)
{
    const Op *op = value_op(x->net, v);
    if (op && op->kind == OP_const && !x->text[v])
        x->text[v] = tensor(x, op->cst[0]);
    return x->text[v] ? x->text[v] : fail(x, "a value is used before it is computed");
}

static const char *operand(Export *x, const Op *op, uint32_t slot)
{
    return text_of(x, op_operand(op, slot));
}

static const char *scalar_literal(Export *x, Value v)
{
    const Op *op = value_op(x->net, v);
    return op && op->kind == OP_const ? literal(x, const_get(x->net->module, op->cst[0])) : NULL;
}

/* Two operands of an elementwise op: one of them may be a literal, which gets its type from the other. */
static void pair(Export *x, const Op *op, const char **a, const char **b)
{
    Value va = op_operand(op, 0), vb = op_operand(op, 1);
    const char *la = scalar_literal(x, va), *lb = scalar_literal(x, vb);
    *b = lb ? lb : text_of(x, vb);
    *a = la && !lb ? la : text_of(x, va);
}

static const char *infix(Export *x, const Op *op, const char *sign)
{
    const char *a, *b;
    pair(x, op, &a, &b);
    return str_printf(x->arena, "%s %s %s", a, sign, b);
}

static const char *function(Export *x, const Op *op, const char *name)
{
    return str_printf(x->arena, "%s(%s)", name, operand(x, op, 0));
}

static const char *function_of_two(Export *x, const Op *op, const char *name)
{
    const char *a, *b;
    pair(x, op, &a, &b);
    return str_printf(x->arena, "%s(%s, %s)", name, a, b);
}

static Type type_of(const Export *x, Value v) { return value_type(x->net, v); }

static bool order_is(Export *x, const Op *op, int64_t order, uint64_t rows, uint64_t cols)
{
    uint32_t expected = ir_chains(rows, cols);
    if ((order ? order : 1) == expected)
        return true;
    fail(x, "`%s` has an order of sums that the language would not choose", op_info(x->net->module, op->kind)->name);
    return false;
}

/* ---- ops ---- */

static const char *affine(Export *x, const Op *op)
{
    Type w = const_get(x->net->module, op->cst[AFFINE_W])->type;
    for (uint32_t slot = AFFINE_i; slot < op->n_operands; slot++)
        if (op_operand(op, slot))
            return fail(x, "an affine with an index or a set of columns");
    if (!order_is(x, op, op->attr[AFFINE_order].i, w.dim[0], w.dim[1]))
        return "";
    const char *product = str_printf(x->arena, "%s @ %s", tensor(x, op->cst[AFFINE_W]), operand(x, op, AFFINE_x));
    return op->cst[AFFINE_b] ? str_printf(x->arena, "%s + %s", product, tensor(x, op->cst[AFFINE_b])) : product;
}

static const char *matmul(Export *x, const Op *op)
{
    Type a = type_of(x, op_operand(op, 0)), b = type_of(x, op_operand(op, 1));
    uint64_t rows = (uint64_t)(a.rank == 2 ? a.dim[0] : 1) * (b.rank == 2 ? b.dim[1] : 1);
    return order_is(x, op, op->attr[0].i, rows, b.dim[0]) ? str_printf(x->arena, "%s @ %s", operand(x, op, 0), operand(x, op, 1)) : "";
}

static const char *compare(Export *x, const Op *op)
{
    switch ((Pred)op->attr[0].i) {
    case PRED_eq: return infix(x, op, "==");
    case PRED_ne: return infix(x, op, "!=");
    case PRED_lt: return infix(x, op, "<");
    case PRED_le: return infix(x, op, "<=");
    case PRED_gt: return infix(x, op, ">");
    case PRED_ge: return infix(x, op, ">=");
    }
    ICE("predicate %d", (int)op->attr[0].i);
}

static const char *reduce(Export *x, const Op *op)
{
    switch ((ReduceKind)op->attr[0].i) {
    case REDUCE_add: return order_is(x, op, op->attr[1].i, 1, type_count(type_of(x, op_operand(op, 0)))) ? function(x, op, "sum") : "";
    case REDUCE_min: return function(x, op, "min");
    case REDUCE_max: return function(x, op, "max");
    case REDUCE_mul: return fail(x, "a product of all elements");
    }
    ICE("reduction %d", (int)op->attr[0].i);
}

static const char *cast(Export *x, const Op *op)
{
    Type to = type_element(type_of(x, op->result[0]));
    if (type_equal(to, type_int(1)))
        return fail(x, "a cast to i1");
    return function(x, op, type_print(x->arena, to));
}

static const char *ints(Export *x, uint32_t n, const uint32_t *list)
{
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < n; i++)
        text_add(&text, "%s%u", i ? ", " : "", list[i]);
    return text.at;
}

static const char *reshape(Export *x, const Op *op)
{
    Type from = type_of(x, op_operand(op, 0)), to = type_of(x, op->result[0]);
    if (to.rank > 0)
        return str_printf(x->arena, "reshape(%s, [%s])", operand(x, op, 0), ints(x, to.rank, to.dim));
    Text index = text_new(x->arena);
    for (uint32_t d = 0; d < from.rank; d++)
        text_add(&index, d ? ", 0" : "0");
    return str_printf(x->arena, "%s[%s]", operand(x, op, 0), index.at);
}

static const char *slice(Export *x, const Op *op)
{
    Type to = type_of(x, op->result[0]);
    Text text = text_new(x->arena);
    for (uint32_t d = 0; d < to.rank; d++)
        text_add(&text, "%s%lld:%lld", d ? ", " : "", (long long)op->attr[0].list[d], (long long)op->attr[0].list[d] + to.dim[d]);
    return str_printf(x->arena, "%s[%s]", operand(x, op, 0), text.at);
}

static const char *transpose(Export *x, const Op *op)
{
    uint32_t perm[IR_MAX_RANK];
    for (uint32_t d = 0; d < op->attr[0].n; d++)
        perm[d] = (uint32_t)op->attr[0].list[d];
    return str_printf(x->arena, "transpose(%s, [%s])", operand(x, op, 0), ints(x, op->attr[0].n, perm));
}

static const char *concat(Export *x, const Op *op)
{
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < op->n_operands; i++)
        text_add(&text, "%s, ", operand(x, op, i));
    return str_printf(x->arena, "concat(%saxis: %lld)", text.at, (long long)op->attr[0].i);
}

/* A vector of one value, as the list of its elements. */
static const char *splat(Export *x, const Op *op)
{
    enum { MOST = 64 };
    Type to = type_of(x, op->result[0]);
    if (to.rank != 1 || to.dim[0] == 0 || to.dim[0] > MOST)
        return fail(x, "a scalar spread over %s", type_print(x->arena, to));
    Text text = text_new(x->arena);
    for (uint32_t i = 0; i < to.dim[0]; i++)
        text_add(&text, "%s%s", i ? ", " : "", operand(x, op, 0));
    return str_printf(x->arena, "[%s]", text.at);
}

static const char *expression(Export *x, const Op *op)
{
    const char *name = op_info(x->net->module, op->kind)->name;
    switch (op->kind) {
    case OP_const: return text_of(x, op->result[0]);
    case OP_affine: return affine(x, op);
    case OP_matmul: return matmul(x, op);
    case OP_add: return infix(x, op, "+");
    case OP_sub: return infix(x, op, "-");
    case OP_mul: return infix(x, op, "*");
    case OP_div: return infix(x, op, "/");
    case OP_neg: return str_printf(x->arena, "-%s", operand(x, op, 0));
    case OP_min: case OP_max: return function_of_two(x, op, name);
    case OP_abs: case OP_relu: case OP_exp: case OP_tanh: case OP_sigmoid: case OP_sqrt: case OP_argmax: case OP_argmin: return function(x, op, name);
    case OP_cmp: return compare(x, op);
    case OP_select: return str_printf(x->arena, "select(%s, %s, %s)", operand(x, op, 0), operand(x, op, 1), operand(x, op, 2));
    case OP_cast: return cast(x, op);
    case OP_dot: return order_is(x, op, op->attr[0].i, 1, type_count(type_of(x, op_operand(op, 0))))
                            ? str_printf(x->arena, "dot(%s, %s)", operand(x, op, 0), operand(x, op, 1)) : "";
    case OP_reduce: return reduce(x, op);
    case OP_reshape: return reshape(x, op);
    case OP_transpose: return transpose(x, op);
    case OP_concat: return concat(x, op);
    case OP_slice: return slice(x, op);
    case OP_splat: return splat(x, op);
    case OP_row: case OP_matmix: case OP_and: case OP_or: case OP_xor: case OP_shl: case OP_lshr: case OP_ord: case OP_index: case OP_active:
    case OP_size: case OP_test: case OP_topk: case OP_descend: case OP_within: case OP_if: case OP_case: case OP_repeat: case OP_each: case OP_call:
    case OP_yield: case OP_return: case OP_refuse: case OP_tally: case OP__COUNT:
        break;
    }
    return fail(x, "it uses `%s`", name);
}

/* ---- the text ---- */

static bool is_activation(const Op *op)
{
    return op->kind == OP_relu || op->kind == OP_tanh || op->kind == OP_sigmoid;
}

/* Used once, by what follows: written inside the activation, or as the network's value. */
static bool is_inlined(const Export *x, const Op *op)
{
    const Op *next = op->next;
    if (!next || x->uses[op->result[0]] != 1)
        return false;
    return next->kind == OP_return ? next->n_operands == 2 : op->kind == OP_affine && is_activation(next) && op_operand(next, 0) == op->result[0];
}

static void mark_live(Export *x)
{
    for (const Op *op = x->net->body->last; op; op = op->prev) {
        bool wanted = op->kind == OP_return;
        for (uint32_t i = 0; i < op->n_results; i++)
            wanted |= x->live[op->result[i]];
        for (uint32_t i = 0; wanted && i < op->n_operands; i++)
            x->live[op_operand(op, i)] = true;
    }
}

static void write_op(Export *x, const Op *op)
{
    if (op->n_results != 1 || op->n_regions) {
        fail(x, "it uses `%s`", op_info(x->net->module, op->kind)->name);
        return;
    }
    Value v = op->result[0];
    if (!x->live[v])
        return;
    if (op->kind == OP_const)
        return;
    if (is_inlined(x, op)) {
        x->text[v] = expression(x, op);
        return;
    }
    const char *value = expression(x, op);
    const char *name = value_info(x->net, v)->name;
    x->text[v] = unique(x, name_identifier(x->arena, name ? name : "v", "v"));
    text_add(&x->body, "    let %s = %s;\n", x->text[v], value);
}

static void write_return(Export *x, const Op *op)
{
    Text text = text_new(x->arena);
    if (op_operand(op, 0))
        fail(x, "it returns a status");
    for (uint32_t i = 1; i < op->n_operands; i++)
        text_add(&text, "%s%s", i > 1 ? ", " : "", operand(x, op, i));
    text_add(&x->body, op->n_operands == 2 ? "    %s\n" : "    (%s)\n", text.at);
}

/* One end of a box as a tensor of the input's shape. */
static const char *box_end(Export *x, const Port *port, const Const *box, uint32_t k)
{
    uint64_t n = type_count(port->type);
    uint8_t *both = arena_array(x->arena, (size_t)const_bytes(box), 1);
    const_copy(box, both);
    Const *c = NEW(x->arena, Const);
    *c = (Const){.kind = CONST_TENSOR, .type = port->type, .data = both + k * n * type_element_bytes(port->type)};
    int64_t step = 1;
    for (uint32_t d = port->type.rank; d-- > 0; step *= port->type.dim[d])
        c->stride[d] = step;
    NamedConst named = {.name = str_printf(x->arena, "box.%s.%s", port->name, k ? "hi" : "lo"), .c = c};
    vec_push(x->arena, x->tensors, named);
    return str_printf(x->arena, "%s[\"%s\"]", x->weights, named.name);
}

static void write_box(Export *x, Text *out, const Port *port)
{
    enum { MOST = 16 };
    const Const *box = const_get(x->net->module, port->box);
    uint64_t n = type_count(port->type), shown = n;
    int digits = port->type.elem == ELEM_F32 ? 9 : 17;
    bool uniform = true;
    for (uint64_t i = 1; i < n; i++)
        uniform &= const_f64(box, i) == const_f64(box, 0) && const_f64(box, n + i) == const_f64(box, n);
    if (!uniform && n > MOST) {
        const char *lo = box_end(x, port, box, 0), *hi = box_end(x, port, box, 1);
        text_add(out, " within (%s to %s)", lo, hi);
        return;
    }
    if (uniform && n)
        shown = 1;
    for (uint64_t i = 0; i < shown; i++)
        text_add(out, "%s%.*g to %.*g", i ? ", " : " within (", digits, const_f64(box, i), digits, const_f64(box, n + i));
    text_add(out, ")");
}

static void write_ports(Export *x, Text *out, uint32_t n, const Port *ports, const char *const *names)
{
    text_add(out, "(");
    for (uint32_t i = 0; i < n; i++) {
        if (ports[i].type.elem != ELEM_F32 && ports[i].type.elem != ELEM_F64 && ports[i].type.elem != ELEM_INT)
            fail(x, "the port `%s` has the type %s", ports[i].name, type_print(x->arena, ports[i].type));
        text_add(out, "%s%s: %s", i ? ", " : "", names[i], type_print(x->arena, ports[i].type));
        if (ports[i].box)
            write_box(x, out, &ports[i]);
    }
    text_add(out, ")");
}

static void write_options(Export *x, Text *out)
{
    static const char *const outside[] = {"dense", "status", "clamp", "promise"};
    const NetOptions *o = &x->net->options;
    if (o->numerics == NUMERICS_exact && o->outside == OUTSIDE_dense && o->contract == CONTRACT_off)
        return;
    text_add(out, " options(numerics: %s, outside: %s, contract: %s)", o->numerics == NUMERICS_real ? "real" : "exact", outside[o->outside],
             o->contract == CONTRACT_fma ? "fma" : "off");
}

static const char **port_names(Export *x, uint32_t n, const Port *ports)
{
    const char **names = NEW_ARRAY(x->arena, n, const char *);
    for (uint32_t i = 0; i < n; i++)
        names[i] = unique(x, name_identifier(x->arena, ports[i].name, "x"));
    return names;
}

static const char *network_text(Export *x)
{
    const Network *net = x->net;
    Text head = text_new(x->arena);
    if (net->n_inputs == 0)
        fail(x, "it has no input");
    take_words(x);
    const char *name = unique(x, name_identifier(x->arena, net->name, "net_"));
    const char **inputs = port_names(x, net->n_inputs, net->input), **outputs = port_names(x, net->n_outputs, net->output);
    x->table = NULL; /* outputs are no names inside: values may have them */
    x->cap = x->taken = 0;
    take_words(x);
    take(x, name);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        take(x, inputs[i]);
    x->weights = unique(x, "w");
    for (uint32_t i = 0; i < net->n_inputs; i++)
        x->text[net->body->arg[i]] = inputs[i];
    mark_live(x);
    for (const Op *op = net->body->first; op && !x->failed; op = op->next)
        if (op->kind == OP_return)
            write_return(x, op);
        else
            write_op(x, op);
    text_add(&head, "network %s", name);
    write_ports(x, &head, net->n_inputs, net->input, inputs);
    text_add(&head, " -> ");
    write_ports(x, &head, net->n_outputs, net->output, outputs);
    write_options(x, &head);
    text_add(&head, " {\n%s}\n", x->body.at);
    return head.at;
}

/* ---- files ---- */

static const char *quoted(Arena *arena, const char *s)
{
    Text text = text_new(arena);
    for (; *s; s++)
        text_add(&text, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    return text.at;
}

static bool write_files(Export *x, const char *cnet_path, const char *network)
{
    size_t stem = strlen(cnet_path) - (str_ends(cnet_path, ".cnet") ? strlen(".cnet") : 0);
    const char *path = str_printf(x->arena, "%.*s.safetensors", (int)stem, cnet_path), *slash = strrchr(path, '/');
    const char *source = x->net->module->source_name, *source_slash = source ? strrchr(source, '/') : NULL;
    OutFile *file[2];
    size_t n = 0;
    if (!(file[n++] = out_open(x->arena, x->diags, cnet_path)))
        return false;
    FILE *out = out_stream(file[0]);
    if (source && !strchr(source, '\n'))
        fprintf(out, "# Imported from %s.\n", source_slash ? source_slash + 1 : source);
    if (x->tensors.len) {
        if (!(file[n++] = out_open(x->arena, x->diags, path)))
            return false;
        fprintf(out, "weights %s = \"%s\";\n", x->weights, quoted(x->arena, slash ? slash + 1 : path));
        safetensors_write(x->arena, out_stream(file[1]), x->tensors.len, x->tensors.at);
    }
    fprintf(out, "\n%s", network);
    return out_commit_all(file, n, x->diags);
}

bool fe_export_cnet(const Network *net, Diags *diags, const char *cnet_path)
{
    Arena *arena = arena_new(net->module->arena);
    if (!arena)
        arena_exhausted(net->module->arena);
    if (strcmp(cnet_path, "-") == 0 || strchr(cnet_path, '\n')) {
        diag_error(diags, NOWHERE, "a weights file is written beside the text, so `%s` cannot be its name; use -o FILE.cnet", cnet_path);
        arena_free(arena);
        return false;
    }
    Export x = {.arena = arena, .net = net, .diags = diags, .body = text_new(arena), .uses = network_count_uses(arena, net),
                .live = NEW_ARRAY(arena, net->values.len, bool), .text = NEW_ARRAY(arena, net->values.len, const char *),
                .tensor_name = NEW_ARRAY(arena, net->module->consts.len, const char *)};
    const char *text = network_text(&x);
    bool good = !x.failed && write_files(&x, cnet_path, text);
    arena_free(arena);
    return good;
}
