/* lower_net.c — declarations: networks with their boxes and options, imports, weights, constants.
 *
 * In: declarations in any order. Out: networks in the module, callees before callers. The one idea: a declaration is lowered
 * when it is first needed and is `active` meanwhile, so needing an active one is a cycle, reported where it closes.
 */
#include "lower.h"

#include <math.h>
#include <string.h>

/* ---- going elsewhere and coming back --------------------------------------------------------------------------------- */

/* Where the walk stands; a declaration is lowered in a place of its own. */
typedef struct Place { Network *net; const Decl *decl; Builder b; uint32_t frame; const Use *use; Binding *mark; } Place;

static Place leave(Lowering *l)
{
    Place place = {l->net, l->decl, l->b, l->frame, l->use, fe_scope_enter(l)};
    l->net = NULL;
    l->decl = NULL;
    l->use = NULL;
    l->frame = ++l->last_frame;
    return place;
}

static void come_back(Lowering *l, const Place *place)
{
    fe_scope_leave(l, place->mark);
    l->net = place->net;
    l->decl = place->decl;
    l->b = place->b;
    l->use = place->use;
    l->frame = place->frame;
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

const char *fe_find_file(Lowering *l, const char *name, Span span)
{
    if (l->options && l->options->sealed) {
        fe_fail(l, span, "this program may not open files");
        return NULL;
    }
    if (name[0] == '\0') {
        fe_fail(l, span, "the name of a file is missing");
        return NULL;
    }
    const char *slash = strrchr(l->path, '/');
    const char *path = name[0] == '/' ? name
                     : slash ? str_printf(l->arena, "%.*s%s", (int)(slash - l->path + 1), l->path, name)
                     : name[0] == '-' ? str_printf(l->arena, "./%s", name) : name;
    if (l->depends)
        vec_push(l->arena, l->depends->names, str_dup(l->arena, path));
    return path;
}

const Val *fe_weights_of(Lowering *l, Decl *d)
{
    if (d->state == DECL_DONE)
        return d->result;
    d->state = DECL_DONE;
    d->result = fe_val_poison(l);
    const char *path = fe_find_file(l, d->path, d->path_span);
    WeightsFile *w = NEW(l->arena, WeightsFile);
    if (!path || !fe_read_tensors(l->m->arena, l->diags, d->path_span, path, &w->file))
        return d->result;
    w->path = d->path;
    w->cst = NEW_ARRAY(l->arena, w->file.n, ConstId);
    w->span = d->path_span;
    Val *v = NEW(l->arena, Val);
    if (str_ends(path, ".npy") && w->file.n == 1) {     /* the one array of a .npy file needs no name */
        const Tensor *t = &w->file.tensor[0];
        *v = *fe_val_const(l, const_add(l->m, d->name.symbol->text, t->type, t->data, d->name.span));
    } else {
        v->kind = VAL_FILE;
    }
    v->file = w;
    v->label = d->name.symbol->text;
    v->span = d->name.span;
    return d->result = v;
}

/* ---- constants ------------------------------------------------------------------------------------------------------- */

const Val *fe_const_of(Lowering *l, Decl *d, Span use)
{
    if (d->state == DECL_DONE)
        return d->result;
    if (d->state == DECL_ACTIVE) {
        const Val *poison = fe_fail(l, use, "`%s` is defined by itself", d->name.symbol->text);
        diag_note(l->diags, d->name.span, "its definition begins here");
        return poison;
    }
    d->state = DECL_ACTIVE;
    Place place = leave(l);
    const Val *v = fe_eval(l, d->value);
    Type want;
    const char *what = str_printf(l->arena, "`%s`", d->name.symbol->text);
    if (d->type)
        v = fe_eval_type(l, d->type, &want) ? fe_coerce(l, v, want, d->value->span, what) : fe_val_poison(l);
    come_back(l, &place);
    Val *named = NEW(l->arena, Val);
    *named = *v;
    if (!named->label) {
        named->label = d->name.symbol->text;
        named->span = d->name.span;
    }
    d->state = DECL_DONE;
    return d->result = named;
}

/* ---- boxes ----------------------------------------------------------------------------------------------------------- */

/* Orders two elements of a number type: < 0, 0, > 0. */
static int order_of(Type element, const uint8_t *a, const uint8_t *b)
{
    if (type_is_float(element)) {
        double x, y;
        float f, g;
        memcpy(&f, a, 4);
        memcpy(&g, b, 4);
        x = f;
        y = g;
        if (element.elem == ELEM_F64) {
            memcpy(&x, a, 8);
            memcpy(&y, b, 8);
        }
        return (x > y) - (x < y);
    }
    uint32_t top = type_element_bytes(element) - 1;
    if (a[top] != b[top])
        return element.n == 1 ? a[top] - b[top] : (int8_t)a[top] - (int8_t)b[top];
    for (uint32_t i = top; i-- > 0;)
        if (a[i] != b[i])
            return a[i] - b[i];
    return 0;
}

/* One end of a range: row-major elements of the input's type, one or (if `whole`) as many as the input has. Not put into the pool
 * of constants: the box is. */
typedef struct BoxEnd { uint8_t *data; Type type; } BoxEnd;

static bool end_data(Lowering *l, const Expr *e, const Val *v, BoxEnd *out)
{
    uint32_t size = type_element_bytes(out->type);
    uint64_t n = type_count(out->type);
    out->data = arena_array(l->arena, n, size);
    if (v->kind == VAL_LIT) {
        for (uint64_t i = 0; i < n; i++)
            if (!fe_lit_store(l, v->lit[i], type_element(out->type), out->data + i * size))
                return false;
        return true;
    }
    v = fe_coerce(l, v, out->type, e->span, "the end of a range");
    if (!fe_is_poison(v))
        const_copy(const_get(l->m, v->cst), out->data);
    return !fe_is_poison(v);
}

static bool is_finite(Type element, const uint8_t *at)
{
    float f;
    double d;
    memcpy(&f, at, 4);
    if (element.elem == ELEM_F64)
        memcpy(&d, at, 8);
    else
        d = f;
    return isfinite(d);
}

static bool box_end(Lowering *l, const Expr *e, Type t, bool whole, BoxEnd *out)
{
    const Val *v = fe_eval(l, e);
    if (fe_is_poison(v))
        return false;
    if (v->kind != VAL_LIT && v->kind != VAL_CONST)
        return !fe_is_poison(fe_fail(l, e->span, "the end of a range must be a number known at compile time, found %s",
                                     fe_val_type(l, v)));
    bool scalar = v->type.rank == 0;
    bool fits = scalar || (whole && v->type.rank == t.rank && memcmp(v->type.dim, t.dim, t.rank * sizeof t.dim[0]) == 0);
    if (!fits)
        return !fe_is_poison(fe_fail(l, e->span, "the end of a range is a number%s%s, found %s", whole ? " or has the input's shape, " : "",
                                     whole ? type_print(l->arena, t) : "", fe_val_type(l, v)));
    out->type = scalar ? type_element(t) : t;
    if (!end_data(l, e, v, out))
        return false;
    for (uint64_t i = 0; type_is_float(t) && i < type_count(out->type); i++)
        if (!is_finite(type_element(t), out->data + i * type_element_bytes(t)))
            return !fe_is_poison(fe_fail(l, e->span, "a box is finite, and this end is not"));
    return true;
}

/* A number as messages show it. */
static const char *shown(Lowering *l, Type element, const uint8_t *at)
{
    float f;
    double d;
    int64_t i = 0;
    memcpy(&i, at, type_element_bytes(element) < 8 ? type_element_bytes(element) : 8);
    memcpy(&f, at, 4);
    uint32_t unused = element.n < 64 ? 64 - element.n : 0;
    if (type_is_int(element))
        return element.n <= 64 ? str_printf(l->arena, "%lld", (long long)((int64_t)((uint64_t)i << unused) >> unused)) : "the first";
    if (element.elem == ELEM_F32)
        return str_printf(l->arena, "%.9g", (double)f);
    memcpy(&d, at, 8);
    return str_printf(l->arena, "%.17g", d);
}

static bool box_range(Lowering *l, const Expr *lo, const Expr *hi, Type t, bool whole, uint64_t from, uint64_t n, uint8_t *out)
{
    BoxEnd a, b;
    if (!box_end(l, lo, t, whole, &a) || !box_end(l, hi, t, whole, &b))
        return false;
    Span span = {lo->span.source, lo->span.begin, hi->span.end};
    Type element = type_element(t);
    uint32_t size = type_element_bytes(t);
    uint64_t total = type_count(t);
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *x = a.data + (a.type.rank ? i * size : 0), *y = b.data + (b.type.rank ? i * size : 0);
        if (order_of(element, x, y) > 0) {
            const char *where = a.type.rank || b.type.rank ? str_printf(l->arena, " at element %llu", (unsigned long long)i) : "";
            return !fe_is_poison(fe_fail(l, span, "an empty range%s: %s is greater than %s", where, shown(l, element, x),
                                         shown(l, element, y)));
        }
        memcpy(out + (from + i) * size, x, size);
        memcpy(out + (total + from + i) * size, y, size);
    }
    return true;
}

/* [2, n]: the lower ends, then the upper ones. One range is every element's. */
static bool eval_box(Lowering *l, const BoxExpr *box, Type t, const char *input, ConstId *out)
{
    uint64_t n = type_count(t);
    if (box->lo.n != 1 && box->lo.n != n) {
        fe_fail(l, box->span, "%zu ranges for `%s`, which has %llu element%s; give one for all or one for each", box->lo.n, input,
             (unsigned long long)n, n == 1 ? "" : "s");
        return false;
    }
    if (n > LOWER_MAX_BOX) {
        fe_fail(l, box->span, "a box for more than %d elements", LOWER_MAX_BOX);
        return false;
    }
    Type type = type_matrix(type_element(t), 2, (uint32_t)n);
    uint8_t *data = fe_made_bytes(l, type, box->span);
    if (!data)
        return false;
    bool good = true, single = box->lo.n == 1;
    const Expr *lo = box->lo.first, *hi = box->hi.first;
    for (uint64_t i = 0; lo; i++, lo = lo->next, hi = hi->next)
        good &= box_range(l, lo, hi, t, single && t.rank > 0, i, single ? n : 1, data);
    if (good)
        *out = const_add(l->m, str_printf(l->arena, "box.%s", input), type, data, box->span);
    return good;
}

/* ---- options --------------------------------------------------------------------------------------------------------- */

/* options(numerics: real, …): each has a closed list of words. What the command line says comes last and wins. */
static const struct OptionRow { const char *name, *word[4]; } option_rows[] = {
    {"numerics", {"exact", "real"}},
    {"outside", {"dense", "status", "clamp", "promise"}},
    {"contract", {"off", "fma"}},
};
enum { OPTION_ROWS = sizeof option_rows / sizeof *option_rows };
_Static_assert(NUMERICS_real == 1 && OUTSIDE_clamp == 2 && OUTSIDE_promise == 3 && CONTRACT_fma == 1, "words in the order of ir.h");

static const char *words_of(Lowering *l, const struct OptionRow *row)
{
    Text text = text_new(l->arena);
    for (int i = 0; i < 4 && row->word[i]; i++)
        text_add(&text, "%s%s", i == 0 ? "" : i == 3 || !row->word[i + 1] ? " or " : ", ", row->word[i]);
    return text.at;
}

static bool eval_option(Lowering *l, const Expr *e, int value[OPTION_ROWS])
{
    if (e->kind != EXPR_LABELED)
        return !fe_is_poison(fe_fail(l, e->span, "an option is written `name: value`"));
    for (int r = 0; r < OPTION_ROWS; r++) {
        if (strcmp(option_rows[r].name, e->labeled.label->text) != 0)
            continue;
        const Expr *v = e->labeled.value;
        for (int i = 0; i < 4 && option_rows[r].word[i]; i++)
            if (v->kind == EXPR_NAME && strcmp(v->symbol->text, option_rows[r].word[i]) == 0) {
                value[r] = i;
                return true;
            }
        return !fe_is_poison(fe_fail(l, v->span, "`%s` is %s", option_rows[r].name, words_of(l, &option_rows[r])));
    }
    return !fe_is_poison(fe_fail(l, e->span, "unknown option `%s`; there are numerics, outside and contract",
                                 e->labeled.label->text));
}

static bool eval_options(Lowering *l, const Decl *d, NetOptions *out)
{
    int value[OPTION_ROWS] = {0};
    bool good = true;
    for (const Expr *e = d->options.first; e; e = e->next)
        good &= eval_option(l, e, value);
    *out = (NetOptions){(Numerics)value[0], (Contract)value[2], (Outside)value[1]};
    fe_override(out, l->options);
    return good;
}

/* ---- networks -------------------------------------------------------------------------------------------------------- */

typedef struct PortPlan { Type type; ConstId box; const char *name; } PortPlan;

/* `y`, or a word no input has: the name of an output that was given none. */
static const char *output_name(const Decl *d)
{
    static const char *const words[] = {"y", "out", "result"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        bool taken = false;
        for (const PortExpr *p = d->inputs.first; p; p = p->next)
            taken |= fe_name_is(p->name, words[i]);
        if (!taken)
            return words[i];
    }
    return "network_output";
}

static bool names_differ(Lowering *l, const Decl *d)
{
    enum { MAX_PORTS = 1024 };
    const PortExpr *lists[2] = {d->inputs.first, d->outputs.first};
    if (d->inputs.n > MAX_PORTS || d->outputs.n > MAX_PORTS) {
        fe_fail(l, d->name.span, "a network has at most %d inputs and %d outputs; make vectors of them", MAX_PORTS, MAX_PORTS);
        return false;
    }
    for (int i = 0; i < 2; i++)
        for (const PortExpr *p = lists[i]; p; p = p->next)
            for (int k = 0; k <= i; k++)
                for (const PortExpr *q = lists[k]; q && q != p; q = q->next)
                    if (p->name.symbol && p->name.symbol == q->name.symbol) {
                        const char *what = i == 0 ? "inputs" : k == 1 ? "outputs" : "inputs or outputs";
                        fe_fail(l, p->name.span, "two %s are called `%s`", what, p->name.symbol->text);
                        diag_note(l->diags, q->name.span, "the first is here");
                        return false;
                    }
    return true;
}

/* Types and boxes of the ports, evaluated before the network exists: they are known at compile time. */
static bool plan_ports(Lowering *l, const Decl *d, const PortList *list, PortPlan *plan)
{
    bool good = true;
    for (const PortExpr *p = list->first; p; p = p->next, plan++) {
        plan->name = p->name.symbol ? p->name.symbol->text : output_name(d);
        bool typed = fe_eval_type(l, p->type, &plan->type);
        good &= typed && (!p->box || eval_box(l, p->box, plan->type, plan->name, &plan->box));
    }
    return good;
}

bool fe_coerce_outputs(Lowering *l, const Val *v, Span span, Value *out)
{
    const Decl *d = l->decl;
    if (fe_is_poison(v))
        return false;
    uint32_t n = l->net->n_outputs;
    if (n != 1 && (v->kind != VAL_TUPLE || v->n != n)) {
        fe_fail(l, span, "`%s` has %u outputs, this gives %s", l->net->name, n,
                v->kind == VAL_TUPLE ? str_printf(l->arena, "%u", v->n) : "one value");
        diag_note(l->diags, d->name.span, "`%s` is defined here", l->net->name);
        return false;
    }
    bool good = true;
    for (uint32_t i = 0; i < n; i++) {
        bool named = d->outputs.first->name.symbol != NULL;
        const char *what = named ? str_printf(l->arena, "output `%s`", l->net->output[i].name)
                                 : str_printf(l->arena, "the result of `%s`", l->net->name);
        const Val *c = fe_coerce(l, n == 1 ? v : v->item[i], l->net->output[i].type, span, what);
        good &= !fe_is_poison(c) && (out[i] = fe_to_value(l, c, span)) != 0;
    }
    return good;
}

static Network *build_network(Lowering *l, Decl *d)
{
    PortPlan *in = NEW_ARRAY(l->arena, d->inputs.n, PortPlan), *out = NEW_ARRAY(l->arena, d->outputs.n, PortPlan);
    NetOptions options;
    bool good = eval_options(l, d, &options);
    good &= names_differ(l, d);
    good &= plan_ports(l, d, &d->inputs, in);
    good &= plan_ports(l, d, &d->outputs, out);
    if (d->inputs.n == 0)
        good = !fe_is_poison(fe_fail(l, d->name.span, "`%s` has no input", d->name.symbol->text));
    if (!good)
        return NULL;
    Network *net = network_new(l->m, d->name.symbol->text, d->name.span);
    net->options = options;
    l->net = net;
    l->decl = d;
    const PortExpr *p = d->inputs.first;
    for (size_t i = 0; i < d->inputs.n; i++, p = p->next) {
        Value v = network_add_input(net, in[i].name, in[i].type, in[i].box, p->name.span);
        value_name(net, v, in[i].name);
        fe_bind(l, p->name, fe_val_value(l, v), NULL);
    }
    p = d->outputs.first;
    for (size_t i = 0; i < d->outputs.n; i++, p = p->next)
        network_add_output(net, out[i].name, out[i].type, p->name.span);
    l->b = builder_at_end(net->body);
    const Val *v = fe_eval_block(l, d->body, str_printf(l->arena, "the network `%s`", net->name));
    Value *result = NEW_ARRAY(l->arena, d->outputs.n, Value);
    Span span = d->body->value ? d->body->value->span : d->body->end;
    if (!fe_coerce_outputs(l, v, span, result))
        return NULL;
    l->b.span = span;
    build_return(&l->b, (uint32_t)d->outputs.n, result, 0);
    network_done(net);
    return net;
}

static Network *import_network(Lowering *l, Decl *d)
{
    NetOptions options;
    const char *path = eval_options(l, d, &options) ? fe_find_file(l, d->path, d->path_span) : NULL;
    if (!path)
        return NULL;
    Network *net = NULL;
    const char *name = d->name.symbol->text;
    if (str_ends(path, ".onnx") || str_ends(path, ".onnx.gz"))
        net = fe_import_onnx(l->m, path, name, d->path_span);
    else if (str_ends(path, ".nnet"))
        net = fe_import_nnet(l->m, path, name, d->path_span);
    else
        fe_fail(l, d->path_span, "a network is imported from an .onnx, .onnx.gz or .nnet file");
    if (!net)
        return NULL;
    net->options = options;
    if (d->box && net->n_inputs != 1) {
        fe_fail(l, d->box->span, "`%s` has %u inputs: a box here is for networks of one", name, net->n_inputs);
        return NULL;
    }
    return !d->box || eval_box(l, d->box, net->input[0].type, net->input[0].name, &net->input[0].box) ? net : NULL;
}

Network *fe_network_of(Lowering *l, Decl *d, Span use)
{
    if (d->state == DECL_DONE)
        return (Network *)d->result;
    if (d->state == DECL_ACTIVE) {
        fe_fail(l, use, "the network `%s` uses itself: networks cannot recurse", d->name.symbol->text);
        diag_note(l->diags, d->name.span, "`%s` is defined here", d->name.symbol->text);
        return NULL;
    }
    d->state = DECL_ACTIVE;
    Place place = leave(l);
    Network *net = d->kind == DECL_IMPORT ? import_network(l, d) : build_network(l, d);
    come_back(l, &place);
    d->state = DECL_DONE;
    d->result = net;
    return net;
}

/* ---- the program ----------------------------------------------------------------------------------------------------- */

static void warn_unused(Lowering *l, const Program *program)
{
    for (const Decl *d = program->first; d; d = d->next) {
        if (d->used || d->name.symbol->text[0] == '_' || d->kind == DECL_NETWORK || d->kind == DECL_IMPORT)
            continue;
        bool layer = d->kind == DECL_LAYER;
        diag_warning(l->diags, d->name.span, "unused", "%s`%s` is never used%s", layer ? "the layer " : "", d->name.symbol->text,
                     layer ? ", so its body was not checked" : "");
    }
    for (size_t i = 0; i < l->lets.len; i++)
        for (const NameNode *node = l->lets.at[i]->names.first; node; node = node->next)
            if (!node->used && node->name.symbol->text[0] != '_')
                diag_warning(l->diags, node->name.span, "unused", "`%s` is never used", node->name.symbol->text);
}

void fe_lower_program(Lowering *l, Program *program)
{
    size_t errors = diag_errors(l->diags);
    bool any = false;
    for (Decl *d = program->first; d && !l->exhausted; d = d->next)
        switch (d->kind) {
        case DECL_NETWORK: case DECL_IMPORT:
            any = true;
            fe_network_of(l, d, d->name.span);
            break;
        case DECL_CONST: fe_const_of(l, d, d->name.span); break;
        case DECL_WEIGHTS: fe_weights_of(l, d); break;
        case DECL_LAYER: break;
        case DECL_DATA: fe_check_data(l, d); break;
        }
    if (!any && diag_errors(l->diags) == errors)
        diag_error(l->diags, diag_whole(l->parse->source), "%s",
                   program->first ? "no network is defined here" : "this file is empty: it defines no network");
    if (diag_errors(l->diags) == errors)
        warn_unused(l, program);
}
