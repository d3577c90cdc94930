/* lower_data.c — tables of data in the language, and `memorize`, which makes a network of one.
 *
 *      data d = "f.csv" { input: a, b; label: c; }
 *      network f(x: f64[2]) -> i32 = memorize(d, method: conditional);
 *   =>
 *      %x.key = …                                            (x, or the inputs one after the other)
 *      %y = memorize %x.key, @d.keys, @d.labels, method = conditional, unseen = any : i32
 *
 * The one idea: a table has no types. They come from where it is used (the input's elements, the result that is declared), so it is
 * read when it is used, once for each pair of types.
 */
#include "data.h"
#include "lower.h"

#include <string.h>

typedef struct Reading {
    Type key, label;              /* of a row */
    ConstId cst[CLAUSES];         /* weights: 0 = none */
    struct Reading *next;
} Reading;

/* What a declaration of a table stands for. */
typedef struct DataSource {
    bool good, opened;
    DataSpec spec;
    bool has_label;               /* label: i32(…) */
    Type label;
    Reading *readings;
} DataSource;

/* ---- clauses: which columns --------------------------------------------------------------------------------------------------- */

static uint32_t add_file(Lowering *l, DataSource *s, const char *name, Span span)
{
    for (uint32_t i = 0; i < s->spec.files.len; i++)
        if (strcmp(s->spec.files.at[i].name, name) == 0)
            return i;
    DataFile file = {.name = name, .span = span};
    vec_push(l->m->arena, s->spec.files, file);
    return (uint32_t)s->spec.files.len - 1;
}

static bool column_number(Lowering *l, const Expr *e, uint64_t *out)
{
    int64_t n;
    if (!fe_eval_int(l, e, "a column", &n))
        return false;
    if (n < 0)
        fe_fail(l, e->span, "columns are counted from 0, found %lld", (long long)n);
    *out = (uint64_t)n;
    return n >= 0;
}

static const char *string_of(Lowering *l, const Expr *e)
{
    const Val *v = fe_eval(l, e);
    return v->kind == VAL_STRING ? v->text : NULL;
}

/* lat   "mean height"   3   0:64 */
static bool take_columns(Lowering *l, DataSource *s, Clause c, uint32_t file, const Expr *e)
{
    Take take = {.kind = TAKE_RANGE, .file = file, .to = UINT64_MAX, .span = e->span};
    bool good = true;
    if (e->kind == EXPR_NAME || e->kind == EXPR_STRING) {
        take.kind = TAKE_NAME;
        take.name = e->kind == EXPR_NAME ? e->symbol->text : string_of(l, e);
        good = take.name;
    } else if (e->kind == EXPR_RANGE) {
        good = (!e->bin.a || column_number(l, e->bin.a, &take.from)) && (!e->bin.b || column_number(l, e->bin.b, &take.to));
    } else {
        good = column_number(l, e, &take.from);
        take.to = take.from + 1;
    }
    if (good)
        vec_push(l->m->arena, s->spec.take[c], take);
    return good;
}

/* "keys.npy"   "data.npz"["keys"]   "data.csv"[lat, lon] */
static bool take_file(Lowering *l, DataSource *s, Clause c, const Expr *e)
{
    const Expr *name = e->kind == EXPR_INDEX ? e->call.of : e;
    if (name->kind != EXPR_STRING) {
        fe_fail(l, e->span, "expected a file, as in \"%s.npy\": `%s` has none of its own", clause_name(c), s->spec.name);
        return false;
    }
    const char *path = string_of(l, name);
    if (!path)
        return false;
    uint32_t file = add_file(l, s, path, name->span);
    if (e == name) {
        vec_push(l->m->arena, s->spec.take[c], ((Take){.kind = TAKE_ALL, .file = file, .span = e->span}));
        return true;
    }
    bool good = true;
    for (const Expr *column = e->call.args.first; column; column = column->next)
        good &= take_columns(l, s, c, file, column);
    return good;
}

static bool take(Lowering *l, DataSource *s, const Decl *d, Clause c, const Expr *e)
{
    return d->path ? take_columns(l, s, c, 0, e) : take_file(l, s, c, e);
}

/* i32(a, b): the type of the elements, and where they are. */
static const Expr *typed_columns(DataSource *s, Clause c, const Expr *e)
{
    bool call = c == CLAUSE_label && e->kind == EXPR_CALL && !e->next && e->call.of->kind == EXPR_NAME;
    if (!call || !fe_element_named(e->call.of->symbol->text, &s->label))
        return e;
    s->has_label = true;
    return e->call.args.first;
}

static bool read_clause(Lowering *l, DataSource *s, const Decl *d, const ClauseExpr *clause)
{
    Clause c = CLAUSE_input;
    while (c < CLAUSES && !fe_name_is(clause->name, clause_name(c)))
        c++;
    if (c == CLAUSES)
        return !fe_is_poison(fe_fail(l, clause->name.span, "unknown clause `%s`; there are input, label and weight",
                                     clause->name.symbol->text));
    if (s->spec.take[c].len)
        return !fe_is_poison(fe_fail(l, clause->name.span, "`%s` is said twice", clause_name(c)));
    bool good = true;
    Span first = clause->columns.first->span;
    s->spec.clause_span[c] = (Span){first.source, first.begin, clause->columns.last->span.end};
    for (const Expr *e = typed_columns(s, c, clause->columns.first); e; e = e->next)
        good &= e->kind != EXPR_POISON && take(l, s, d, c, e);
    return good;
}

static DataSource *source_of(Lowering *l, Decl *d)
{
    if (d->state == DECL_DONE)
        return (DataSource *)(uintptr_t)d->result;
    DataSource *s = NEW(l->m->arena, DataSource);
    d->state = DECL_DONE;
    d->result = s;
    s->spec = (DataSpec){.arena = l->m->arena, .diags = l->diags, .name = d->name.symbol->text, .span = d->name.span};
    s->good = true;
    if (d->path)
        add_file(l, s, d->path, d->path_span);
    for (const ClauseExpr *c = d->clauses.first; c; c = c->next)
        s->good &= read_clause(l, s, d, c);
    for (Clause c = CLAUSE_input; s->good && c < CLAUSE_weight; c++)
        if (s->spec.take[c].len == 0)
            s->good = !fe_is_poison(fe_fail(l, d->name.span, "`%s` does not say its `%s`, as in { %s: %s; }", s->spec.name, clause_name(c),
                                            clause_name(c), d->path ? "a, b" : "\"keys.npy\""));
    return s;
}

void fe_check_data(Lowering *l, Decl *d)
{
    source_of(l, d);
}

static bool open_source(Lowering *l, DataSource *s)
{
    if (s->opened || !s->good)
        return s->good;
    s->opened = true;
    for (size_t i = 0; i < s->spec.files.len; i++) {
        DataFile *file = &s->spec.files.at[i];
        file->path = fe_find_file(l, file->name, file->span);
        s->good &= file->path != NULL;
    }
    s->good = s->good && data_open(&s->spec) && data_resolve(&s->spec);
    if (s->good && s->spec.take[CLAUSE_weight].len && data_width(&s->spec, CLAUSE_weight) != 1)
        s->good = !fe_is_poison(fe_fail(l, s->spec.clause_span[CLAUSE_weight], "a row has one weight, these are %llu columns",
                                        (unsigned long long)data_width(&s->spec, CLAUSE_weight)));
    return s->good;
}

/* ---- types ------------------------------------------------------------------------------------------------------------------------- */

/* The type that is declared for this very expression: by an output, or by a `let`. */
static bool declared_type(const Lowering *l, const Expr *e, Type *out)
{
    const Expr *value = l->use || !l->decl || !l->decl->body ? NULL : l->decl->body->value;
    *out = l->typed_as;
    if (e == l->typed)
        return true;
    if (value == e && l->net->n_outputs == 1) {
        *out = l->net->output[0].type;
        return true;
    }
    uint32_t i = 0;
    for (const Expr *item = value && value->kind == EXPR_TUPLE ? value->list.first : NULL; item; item = item->next, i++)
        if (item == e && i < l->net->n_outputs) {
            *out = l->net->output[i].type;
            return true;
        }
    return false;
}

/* A type that has as many elements as the labels have columns. */
static bool label_type(Lowering *l, const DataSource *s, const Expr *e, Type *out)
{
    uint64_t width = data_width(&s->spec, CLAUSE_label);
    Type file = data_row_type(&s->spec, CLAUSE_label), declared;
    Span span = s->spec.clause_span[CLAUSE_label];
    bool is_declared = declared_type(l, e, &declared);
    if (width > LOWER_MAX_ELEMENTS)
        return !fe_is_poison(fe_fail(l, span, "labels of %llu elements", (unsigned long long)width));
    if (is_declared && type_count(declared) == width) {
        *out = s->has_label ? type_with_dims(s->label, declared.rank, declared.dim) : declared;
        return true;
    }
    if (is_declared) {
        fe_fail(l, e->span, "the labels of `%s` have %llu element%s, %s has %llu", s->spec.name, (unsigned long long)width,
                width == 1 ? "" : "s", type_print(l->arena, declared), (unsigned long long)type_count(declared));
        diag_note(l->diags, span, "the labels are these");
        return false;
    }
    if (s->has_label || file.elem != ELEM_NONE) {
        *out = file.elem != ELEM_NONE ? file : width == 1 ? s->label : type_vector(s->label, (uint32_t)width);
        *out = type_with_dims(s->has_label ? s->label : file, out->rank, out->dim);
        return true;
    }
    fe_fail(l, e->span, "nothing says which type the labels of `%s` have", s->spec.name);
    diag_note(l->diags, span, "write it here: `label: i32(…)`");
    return false;
}

/* ---- the key ----------------------------------------------------------------------------------------------------------------------- */

static Value reshaped(Lowering *l, Value x, Type to, Span span)
{
    if (!x || type_equal(value_type(l->net, x), to))
        return x;
    return fe_emit_value(l, span, &(OpInit){.kind = OP_reshape, .n_operands = 1, .operand = &x, .n_hints = 1, .hint = &to});
}

/* All inputs, one after the other. */
static Value all_inputs(Lowering *l, Span span)
{
    uint32_t n = l->net->n_inputs;
    Value *x = NEW_ARRAY(l->arena, n, Value);
    for (uint32_t i = 0; i < n; i++) {
        Type t = l->net->input[i].type;
        if (!type_same_element(t, l->net->input[0].type)) {
            fe_fail(l, span, "the inputs of `%s` have several types; say what the key is: memorize(…, x, method: …)", l->net->name);
            return 0;
        }
        Type vector = type_vector(type_element(t), (uint32_t)type_count(t));
        x[i] = n == 1 ? l->net->body->arg[0] : reshaped(l, l->net->body->arg[i], vector, span);
    }
    if (n == 1)
        return x[0];
    return fe_emit_value(l, span, &(OpInit){.kind = OP_concat, .n_operands = n, .operand = x});
}

/* As the op wants it: a scalar, or a vector. An index is an integer. */
static Value key_of(Lowering *l, Value x, Span span)
{
    if (!x)
        return 0;
    Type t = value_type(l->net, x);
    if (t.elem == ELEM_IDX) {
        Type whole = type_with_dims(type_int(32), t.rank, t.dim);
        x = fe_emit_value(l, span, &(OpInit){.kind = OP_cast, .n_operands = 1, .operand = &x, .n_hints = 1, .hint = &whole});
        t = whole;
    }
    uint64_t n = type_count(t);
    return reshaped(l, x, n == 1 ? type_element(t) : type_vector(type_element(t), (uint32_t)n), span);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------------------- */

static ConstId named_const(Lowering *l, const DataSource *s, const char *what, Type row, uint64_t n, const uint8_t *data)
{
    uint32_t dim[IR_MAX_RANK + 1] = {(uint32_t)n};
    memcpy(dim + 1, row.dim, row.rank * sizeof *dim);
    const char *name = str_printf(l->m->arena, "%s.%s", s->spec.name, what);
    return const_add(l->m, name, type_with_dims(row, row.rank + 1, dim), data, s->spec.span);
}

static const Reading *read_as(Lowering *l, DataSource *s, Type key, Type label)
{
    for (Reading *r = s->readings; r; r = r->next)
        if (type_equal(r->key, key) && type_equal(r->label, label))
            return r;
    Watch watch = {l->options ? l->options->progress : NULL, l->options ? l->options->progress_context : NULL};
    DataTable table;
    if (!data_table(&s->spec, l->m->arena, &watch, key, label, &table))
        return NULL;
    Reading *r = NEW(l->m->arena, Reading);
    *r = (Reading){.key = key, .label = label, .next = s->readings};
    r->cst[CLAUSE_input] = named_const(l, s, "keys", key, table.n, table.keys);
    r->cst[CLAUSE_label] = named_const(l, s, "labels", label, table.n, table.labels);
    if (table.weights)
        r->cst[CLAUSE_weight] = named_const(l, s, "weights", type_f64(), table.n, table.weights);
    return s->readings = r;
}

/* ---- memorize(d, x, method: bits(depth: 64), unseen: any, default: 0) ----------------------------------------------------- */

typedef struct Memorize {
    const Expr *e, *data, *key, *otherwise;
    int method, unseen;           /* -1: not said */
    const Expr *unseen_at;
    int64_t depth;                /* 0: not said */
} Memorize;

static int word_among(const char *const *word, int n, const Expr *e)
{
    for (int i = 0; i < n; i++)
        if (e->kind == EXPR_NAME && strcmp(e->symbol->text, word[i]) == 0)
            return i;
    return -1;
}

static bool read_method(Lowering *l, const Expr *e, Memorize *out)
{
    static const char *const words[] = {"conditional", "sqrt", "bits"};
    _Static_assert(METHOD_conditional == 0 && METHOD_sqrt == 1 && METHOD_bits == 2, "words in the order of ir.h");
    bool call = e->kind == EXPR_CALL;
    out->method = word_among(words, 3, call ? e->call.of : e);
    if (out->method < 0)
        return !fe_is_poison(fe_fail(l, e->span, "`method` is conditional, sqrt, bits or bits(depth: …)"));
    if (!call)
        return true;
    const Expr *depth = e->call.args.n == 1 ? e->call.args.first : NULL;
    if (out->method != METHOD_bits || !depth || depth->kind != EXPR_LABELED || strcmp(depth->labeled.label->text, "depth") != 0)
        return !fe_is_poison(fe_fail(l, e->span, "of the methods only `bits` takes an argument, its depth: bits(depth: 64)"));
    if (!fe_eval_int(l, depth->labeled.value, "the depth", &out->depth))
        return false;
    if (out->depth >= 1 && out->depth <= INT32_MAX)
        return true;
    return !fe_is_poison(fe_fail(l, depth->labeled.value->span, "a depth is 1 or more, found %lld", (long long)out->depth));
}

static bool read_unseen(Lowering *l, const Expr *e, Memorize *out)
{
    static const char *const words[] = {"before", "any", "", "refuse"};
    _Static_assert(UNSEEN_before == 0 && UNSEEN_any == 1 && UNSEEN_refuse == 3, "words in the order of ir.h");
    out->unseen = word_among(words, 4, e);
    out->unseen_at = e;
    if (out->unseen >= 0)
        return true;
    return !fe_is_poison(fe_fail(l, e->span, "`unseen` is before, any or refuse; a value is said by `default: …`"));
}

static bool read_option(Lowering *l, const Expr *e, Memorize *out)
{
    const char *name = e->labeled.label->text;
    const Expr *value = e->labeled.value;
    bool again = false;
    if (strcmp(name, "method") == 0 && !(again = out->method >= 0))
        return read_method(l, value, out);
    if (strcmp(name, "unseen") == 0 && !(again = out->unseen >= 0))
        return read_unseen(l, value, out);
    if (strcmp(name, "default") == 0 && !(again = out->otherwise != NULL)) {
        out->otherwise = value;
        return true;
    }
    return !fe_is_poison(again ? fe_fail(l, e->span, "`%s` is said twice", name)
                               : fe_fail(l, e->span, "`memorize` takes no argument `%s`; there are method, unseen and default", name));
}

static bool read_arguments(Lowering *l, Memorize *out)
{
    bool good = true;
    uint32_t n = 0;
    for (const Expr *a = out->e->call.args.first; a; a = a->next) {
        if (a->kind == EXPR_LABELED) {
            good &= read_option(l, a, out);
            continue;
        }
        *(n == 0 ? &out->data : &out->key) = a;
        n++;
    }
    if (good && (n < 1 || n > 2))
        good = !fe_is_poison(fe_fail(l, out->e->span, "`memorize` takes a table and perhaps a key, as in memorize(d, x, method: conditional); "
                                     "found %u arguments", n));
    if (good && out->method < 0)
        good = !fe_is_poison(fe_fail(l, out->e->span, "`memorize` needs a method: conditional, sqrt, bits or bits(depth: …)"));
    if (good && out->otherwise && out->unseen >= 0)
        good = !fe_is_poison(fe_fail(l, out->unseen_at->span, "`default` says already what unseen keys get"));
    return good;
}

static DataSource *named_source(Lowering *l, const Expr *e)
{
    Decl *d = e->kind == EXPR_NAME && !fe_lookup_local(l, e->symbol) ? e->symbol->decl : NULL;
    if (d && d->kind == DECL_DATA) {
        d->used = true;
        return source_of(l, d);
    }
    if (e->kind == EXPR_NAME && !d && !fe_lookup_local(l, e->symbol))
        fe_fail_unknown(l, e->span, e->symbol->text, false);
    else if (e->kind != EXPR_POISON)
        fe_fail(l, e->span, "`memorize` takes a table first, declared as in: data d = \"f.csv\" { input: a; label: b; }");
    return NULL;
}

/* What an unseen key gets when nothing is said: the key before it where that means something, 0 where that costs nothing. */
static void default_unseen(Memorize *m, bool scalar)
{
    if (m->otherwise)
        m->unseen = UNSEEN_value;
    else if (m->unseen < 0)
        m->unseen = m->method == METHOD_bits ? UNSEEN_value : scalar ? UNSEEN_before : UNSEEN_any;
}

static ConstId default_value(Lowering *l, const DataSource *s, const Memorize *m, Type label)
{
    if (!m->otherwise)
        return const_splat_f64(l->m, str_printf(l->m->arena, "%s.default", s->spec.name), label, 0);
    const Val *v = fe_eval(l, m->otherwise);
    if (!fe_is_poison(v) && v->kind != VAL_LIT && v->kind != VAL_CONST)
        v = fe_fail(l, m->otherwise->span, "`default` is known at compile time, found %s", fe_val_type(l, v));
    v = fe_coerce(l, v, label, m->otherwise->span, "`default`");
    return fe_is_poison(v) ? 0 : v->cst;
}

static bool keys_fit(Lowering *l, const DataSource *s, Type key, Span span)
{
    uint64_t width = data_width(&s->spec, CLAUSE_input);
    if (width == type_count(key))
        return true;
    fe_fail(l, span, "the keys of `%s` have %llu element%s, this one has %llu", s->spec.name, (unsigned long long)width,
            width == 1 ? "" : "s", (unsigned long long)type_count(key));
    diag_note(l->diags, s->spec.clause_span[CLAUSE_input], "the keys are these");
    return false;
}

static const Val *emit(Lowering *l, DataSource *s, Memorize *m, Value x)
{
    Span span = m->key ? m->key->span : m->e->span;
    Type key = value_type(l->net, x), label;
    default_unseen(m, key.rank == 0);
    if (m->unseen == UNSEEN_before && key.rank != 0)
        return fe_fail(l, m->unseen_at->span, "of keys with %u elements none is before another; there are any, refuse and `default: …`",
                       key.dim[0]);
    if (!keys_fit(l, s, key, span) || !label_type(l, s, m->e, &label))
        return fe_val_poison(l);
    ConstId otherwise = m->unseen == UNSEEN_value ? default_value(l, s, m, label) : 0;
    const Reading *r = m->unseen == UNSEEN_value && !otherwise ? NULL : read_as(l, s, key, label);
    if (!r)
        return fe_val_poison(l);
    OpInit init = {.kind = OP_memorize, .n_operands = 1, .operand = &x};
    init.cst[MEMORIZE_keys] = r->cst[CLAUSE_input];
    init.cst[MEMORIZE_labels] = r->cst[CLAUSE_label];
    init.cst[MEMORIZE_weights] = r->cst[CLAUSE_weight];
    init.cst[MEMORIZE_default] = otherwise;
    init.attr[MEMORIZE_method].i = m->method;
    init.attr[MEMORIZE_unseen].i = m->unseen;
    init.attr[MEMORIZE_depth].i = m->depth;
    return fe_val_value(l, fe_emit_value(l, m->e->span, &init));
}

const Val *fe_call_memorize(Lowering *l, const Expr *e)
{
    Memorize m = {.e = e, .method = -1, .unseen = -1};
    if (!read_arguments(l, &m))
        return fe_val_poison(l);
    if (!l->net)
        return fe_fail(l, e->span, "`memorize` is computed when a network runs; here everything must be known at compile time");
    if (!m.key && l->use)
        return fe_fail(l, e->span, "in a layer the key must be said: memorize(…, x, method: …)");
    DataSource *s = named_source(l, m.data);
    if (!s || !open_source(l, s))
        return fe_val_poison(l);
    Value x = m.key ? fe_to_value(l, fe_eval(l, m.key), m.key->span) : all_inputs(l, e->span);
    x = key_of(l, x, e->span);
    return x ? emit(l, s, &m, x) : fe_val_poison(l);
}
