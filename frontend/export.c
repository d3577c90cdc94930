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
#include "export.h"

#include <string.h>

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
        export_fail(x, "it uses `%s`", op_info(x->net->module, op->kind)->name);
        return;
    }
    Value v = op->result[0];
    if (!x->live[v])
        return;
    if (op->kind == OP_const)
        return;
    if (is_inlined(x, op)) {
        x->text[v] = export_expression(x, op);
        return;
    }
    const char *value = export_expression(x, op);
    const char *name = value_info(x->net, v)->name;
    x->text[v] = unique(x, name_identifier(x->arena, name ? name : "v", "v"));
    text_add(&x->body, "    let %s = %s;\n", x->text[v], value);
}

static void write_return(Export *x, const Op *op)
{
    Text text = text_new(x->arena);
    if (op_operand(op, 0))
        export_fail(x, "it returns a status");
    for (uint32_t i = 1; i < op->n_operands; i++)
        text_add(&text, "%s%s", i > 1 ? ", " : "", export_text_of(x, op_operand(op, i)));
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
            export_fail(x, "the port `%s` has the type %s", ports[i].name, type_print(x->arena, ports[i].type));
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
        export_fail(x, "it has no input");
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
