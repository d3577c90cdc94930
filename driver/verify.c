/* verify.c — `cnetc verify`: is the compiled network the one that was written?
 *
 * In: a session. Two questions. With --against: are its outputs within a tolerance of the given ones? Without: does native code return
 * the bits and the counts of the interpreter, and do the passes return the bits of the network as written (or stay within the certified
 * bound when numerics are real)? Asked of random inputs, of the data's own keys, and of inputs at every cut of a tree (sample.c); a tree is
 * also proven, leaf by leaf (verify_tree.c). The compiled network is what the passes make of the file now, or a dump (--compiled).
 * Out: a summary on standard output; a diagnostic at the first disagreement.
 */
#include "driver.h"

#include <math.h>
#include <string.h>

/* ---- comparing ----------------------------------------------------------------------------------------------------------------- */

static bool is_nan(Type t, const void *at)
{
    float f;
    double d;
    if (t.elem == ELEM_F32)
        return memcpy(&f, at, sizeof f), isnan(f);
    return t.elem == ELEM_F64 && (memcpy(&d, at, sizeof d), isnan(d));
}

static double number_at(Type t, const uint8_t *at)
{
    float f;
    double d;
    int64_t i = 0;
    if (t.elem == ELEM_F32)
        return memcpy(&f, at, sizeof f), (double)f;
    if (t.elem == ELEM_F64)
        return memcpy(&d, at, sizeof d), d;
    uint32_t size = type_element_bytes(t);
    i = size < 8 && (at[size - 1] & 0x80) ? -1 : 0;
    return memcpy(&i, at, size < 8 ? size : 8), (double)i;
}

/* The same bits, any NaN counting as any other; or, with a bound, no further apart than it. */
static bool same_element(Type t, const uint8_t *a, const uint8_t *b, double bound)
{
    if (memcmp(a, b, type_element_bytes(t)) == 0 || (is_nan(t, a) && is_nan(t, b)))
        return true;
    return bound > 0 && fabs(number_at(t, a) - number_at(t, b)) <= bound;
}

/* What two outputs of a network are compared with: what it was asked, and how far they may be apart. A label may be another when the score
 * that it stands for is as near to the greatest (source: the network as written). */
typedef struct Allowed { const int *skip; double bound; const Tables *in; const Network *source; } Allowed;

static bool label_allowed(Session *s, const Allowed *allowed, Type t, size_t row, const uint8_t *label)
{
    if (allowed->bound <= 0 || type_is_float(t) || !allowed->source || type_count(t) != 1)
        return false;
    return sample_gap(s, allowed->source, allowed->in, row, (int64_t)number_at(t, label)) <= allowed->bound;
}

/* False, and a diagnostic that names the first difference, when two tables differ in a row that is not to be skipped. */
static bool tables_agree(Session *s, const char *what, const Tables *a, const Tables *b, Allowed allowed)
{
    for (uint32_t i = 0; i < a->n; i++) {
        Type t = a->table[i].row;
        uint64_t n = type_count(t);
        uint32_t size = type_element_bytes(t);
        for (size_t row = 0; row < a->rows; row++) {
            const uint8_t *x = table_row(&a->table[i], row), *y = table_row(&b->table[i], row);
            for (uint64_t k = 0; k < n && !(allowed.skip && allowed.skip[row]); k++, x += size, y += size) {
                if (same_element(t, x, y, type_is_float(t) ? allowed.bound : 0) || label_allowed(s, &allowed, t, row, x))
                    continue;
                diag_error(s->diags, NOWHERE, "%s: row %zu, output `%s`[%llu]: %a and %a (%.9g and %.9g)", what, row + 1,
                           s->entry->output[i].name, (unsigned long long)k, number_at(t, x), number_at(t, y), number_at(t, x), number_at(t, y));
                return false;
            }
        }
    }
    return true;
}

/* ---- against given outputs -------------------------------------------------------------------------------------------------------- */

static bool check_against(Session *s, const Tables *in)
{
    Tables expected, out;
    Evaluator native;
    Port *ports = NEW_ARRAY(s->arena, s->entry->n_outputs, Port);
    for (uint32_t i = 0; i < s->entry->n_outputs; i++) {        /* expectations are often f64 */
        ports[i] = s->entry->output[i];
        if (type_is_float(ports[i].type))
            ports[i].type = type_with_dims(type_f64(), ports[i].type.rank, ports[i].type.dim);
    }
    if (!read_tables(s, &s->options->against, "against", s->entry->n_outputs, ports, &expected) ||
        !evaluator_new(s, s->entry, ENGINE_JIT, &native))
        return false;
    if (expected.rows != in->rows) {
        diag_error(s->diags, NOWHERE, "%zu rows of inputs, but %zu of expected outputs", in->rows, expected.rows);
        return false;
    }
    out = new_tables(s->arena, s->entry->n_outputs, s->entry->output, in->rows);
    evaluate_rows(&native, in, &out, NULL, NULL);
    for (uint32_t i = 0; i < out.n; i++) {
        Type t = out.table[i].row, e = expected.table[i].row;
        uint64_t n = type_count(t) * out.rows;
        double least = INFINITY, most = -INFINITY, worst = 0;
        uint64_t worst_at = 0;
        for (uint64_t k = 0; k < n; k++) {
            double want = number_at(e, (const uint8_t *)expected.table[i].data + k * type_element_bytes(e));
            double found = number_at(t, (const uint8_t *)out.table[i].data + k * type_element_bytes(t));
            double error = (isnan(want) && isnan(found)) || want == found ? 0 : fabs(want - found);
            least = fmin(least, want);
            most = fmax(most, want);
            if (!(error <= worst))
                worst = error, worst_at = k;
        }
        double allowed = s->options->atol + s->options->rtol * (n > 0 ? most - least : 0);
        printf("output %s: largest difference %.3g, allowed %.3g\n", s->entry->output[i].name, worst, allowed);
        if (!(worst <= allowed)) {
            diag_error(s->diags, NOWHERE, "output `%s` differs by %.3g at row %llu, more than %.3g", s->entry->output[i].name, worst,
                       (unsigned long long)(worst_at / (type_count(t) ? type_count(t) : 1)) + 1, allowed);
            return false;
        }
    }
    return true;
}

/* ---- against the source ------------------------------------------------------------------------------------------------------------- */

/* The network as written, at -O0 and without box policy: what the passes must not change. (A dump keeps its policy: its body may
 * already be made for it.) */
static bool load_source(Session *s, const Options *as_given, Session *source)
{
    Options *o = NEW(s->arena, Options);
    *o = *as_given;
    o->pipeline = (PipelineOptions){.level = 0, .compute_f64 = o->pipeline.compute_f64, .result = o->pipeline.result, .dump = stderr};
    if (!str_ends(o->source, ".cnir") || as_given->compiled) {
        o->load.says |= SAYS_outside;
        o->load.net.outside = OUTSIDE_promise;
    }
    o->has_max_ops = o->has_max_bytes = false;
    *source = (Session){.arena = s->arena, .diags = s->diags, .options = o};
    return session_compile(source);
}

/* What is not between the ends of a box is not certified: a wider box promises more than its source does. */
static bool same_box(const Network *a, const Network *b, uint32_t input)
{
    ConstId of_a = a->input[input].box, of_b = b->input[input].box;
    if (!of_a || !of_b)
        return !of_a == !of_b;
    const Const *x = const_get(a->module, of_a), *y = const_get(b->module, of_b);
    for (uint64_t k = 0; k < type_count(x->type); k++)
        if (memcmp(const_element(x, k), const_element(y, k), type_element_bytes(x->type)) != 0)
            return false;
    return true;
}

/* A dump and what it is said to be made of have the same inputs, in the same boxes, and the same outputs. */
static bool same_ports(Session *s, const Network *source)
{
    const Network *net = s->entry;
    bool same = net->n_inputs == source->n_inputs && net->n_outputs == source->n_outputs;
    for (uint32_t i = 0; same && i < net->n_inputs; i++)
        same = type_equal(net->input[i].type, source->input[i].type);
    for (uint32_t i = 0; same && i < net->n_outputs; i++)
        same = type_equal(net->output[i].type, source->output[i].type);
    for (uint32_t i = 0; same && i < net->n_inputs; i++)
        if (!same_box(net, source, i)) {
            diag_error(s->diags, NOWHERE, "--compiled: input `%s` of %s has another box than that of %s", net->input[i].name, s->options->source,
                       source->module->source_name);
            return false;
        }
    if (!same)
        diag_error(s->diags, NOWHERE, "--compiled: %s has other inputs or outputs than %s", s->options->source, source->module->source_name);
    return same;
}

/* Rows of one kind (`what`, a few words to go behind "rows"): native code and the interpreter, the compiled network and the one as written. */
static bool check_rows(Session *s, Engines *e, const Tables *in, const char *what)
{
    Tables out[3];
    int *status[2] = {NEW_ARRAY(s->arena, in->rows, int), NEW_ARRAY(s->arena, in->rows, int)};
    Measured counts[2] = {{0}, {0}};
    double certified = s->entry->certified_error;
    for (int i = 0; i < 3; i++)
        out[i] = new_tables(s->arena, s->entry->n_outputs, s->entry->output, in->rows);
    evaluate_rows(&e->native, in, &out[0], &counts[0], status[0]);
    evaluate_rows(&e->interp, in, &out[1], &counts[1], status[1]);
    evaluate_rows(&e->as_written, in, &out[2], NULL, NULL);
    for (size_t row = 0; row < in->rows; row++)
        if (status[0][row] != status[1][row]) {
            diag_error(s->diags, NOWHERE, "row %zu%s: native code ends with status %d, the interpreter with %d", row + 1, what, status[0][row], status[1][row]);
            return false;
        }
    if (memcmp(&counts[0].sum, &counts[1].sum, sizeof counts[0].sum) != 0) {
        diag_error(s->diags, NOWHERE, "native code counts %llu operations, the interpreter %llu",
                   (unsigned long long)counts_total(counts[0].sum), (unsigned long long)counts_total(counts[1].sum));
        return false;
    }
    /* Outside the box, clamped and refused inputs have no counterpart in the source; certified bounds hold inside only. */
    bool elsewhere = s->entry->options.outside == OUTSIDE_clamp || s->entry->options.outside == OUTSIDE_status || certified > 0;
    Allowed allowed = {elsewhere ? status[0] : NULL, certified, in, e->source};
    if (!tables_agree(s, str_printf(s->arena, "native code and interpreter differ%s", what), &out[0], &out[1], (Allowed){0}) ||
        !tables_agree(s, str_printf(s->arena, "compiled and written network differ%s", what), &out[0], &out[2], allowed))
        return false;
    printf("%zu rows%s: native = interpreter, bit for bit, and %llu operations each way; compiled = written, %s", in->rows, what,
           (unsigned long long)counts_total(counts[0].sum), certified > 0 ? "within the certified bound " : "bit for bit");
    if (certified > 0)
        printf("%.3g", certified);
    putchar('\n');
    return true;
}

/* The data's own keys, as they were loaded: what the source is made of. */
static bool keys_of(Session *s, const Options *as_given, Tables *out)
{
    if (str_ends(as_given->source, ".cnir"))
        return false;
    Diags *silent = diag_new(s->arena);
    LoadOptions load = as_given->load;
    Module *m = fe_load(s->arena, silent, as_given->source, &load, NULL);
    return m && sample_keys(s, m, out);
}

static bool check_source(Session *s, const Options *as_given, const Tables *given)
{
    Session source;
    Engines e;
    Tables more, random;
    if (!load_source(s, as_given, &source) || !same_ports(s, source.entry) || !evaluator_new(s, s->entry, ENGINE_JIT, &e.native) ||
        !evaluator_new(s, s->entry, ENGINE_INTERP, &e.interp) || !evaluator_new(s, source.entry, ENGINE_INTERP, &e.as_written))
        return false;
    e.source = source.entry;
    if (given)
        return check_rows(s, &e, given, "");
    random = sample_randomly(s);
    bool fine = check_rows(s, &e, &random, "");
    if (fine && keys_of(s, as_given, &more))
        fine = check_rows(s, &e, &more, " of the data's own keys");
    if (!sample_cuts(s, &more))
        return fine;
    fine = fine && check_rows(s, &e, &more, " at the tree's cuts");
    return verify_tree(s, &e) && fine;             /* says which leaf, too, if a row was wrong */
}

/* ---- the verb ------------------------------------------------------------------------------------------------------------------------------ */

/* What is to be checked: what the passes make of the file, or with --compiled a dump as it is. */
static bool compile(Session *s)
{
    if (!s->options->compiled)
        return session_compile(s);
    Options *o = NEW(s->arena, Options);
    *o = *s->options;
    o->source = o->compiled;
    o->load = (LoadOptions){0};
    o->network = NULL;
    o->pipeline = (PipelineOptions){.level = 0, .count_ops = true, .dump = stderr};
    s->options = o;
    return session_compile(s);
}

bool verb_verify(Session *s)
{
    const Options *as_given = s->options;
    Tables in;
    if (!compile(s))
        return false;
    if (s->options->inputs.len == 0 && s->options->against.len == 0)
        return check_source(s, as_given, NULL);
    if (!read_tables(s, &s->options->inputs, "input", s->entry->n_inputs, s->entry->input, &in))
        return false;
    return s->options->against.len > 0 ? check_against(s, &in) : check_source(s, as_given, &in);
}
