/* verify.c — `cnetc verify`: is the compiled network the one that was written?
 *
 * In: a compiled session. Two questions. With --against: are its outputs within a tolerance of the given ones? Without:
 * on sampled inputs, does native code return the bits and the counts of the interpreter, and do the passes return the
 * bits of the network as written (or stay within the certified bound when numerics are real)?
 * Out: a summary on standard output; a diagnostic at the first disagreement.
 */
#include "driver.h"

#include <math.h>
#include <string.h>

/* ---- random inputs ------------------------------------------------------------------------------------------------------ */

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good one. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state) { return (double)(next_random(state) >> 11) * 0x1p-53; }

/* Ordinary values mostly, and what breaks evaluators: zeros of both signs, subnormals, huge values, infinities, NaN. */
static double awkward(uint64_t *state)
{
    static const double values[] = {0.0, -0.0, 1e-40, -1e-310, 1e30, -1e30, INFINITY, -INFINITY, NAN, 1.0, -1.0};
    uint64_t r = next_random(state);
    if (r % 16 == 0)
        return values[(r >> 8) % (sizeof values / sizeof *values)];
    double u = uniform(state) + uniform(state) + uniform(state) - 1.5;
    return u * ldexp(1, (int)((r >> 8) % 7) - 3);
}

/* Of what is a float about 1, integers take the hundredfold: `unit`. */
static void put_number(Type t, void *at, double v, double unit)
{
    if (t.elem == ELEM_F32) {
        memcpy(at, &(float){(float)v}, sizeof(float));
    } else if (t.elem == ELEM_F64) {
        memcpy(at, &v, sizeof v);
    } else {
        int64_t i = isfinite(v) && fabs(v) < 1e15 ? (int64_t)(v * unit) : 0;
        uint32_t size = type_element_bytes(t);
        if (t.n < 64)
            i = (int64_t)((uint64_t)i << (64 - t.n)) >> (64 - t.n);
        memset(at, i < 0 && t.n > 1 ? 0xff : 0, size);
        if (t.n == 1)
            i &= 1;
        memcpy(at, &i, size < 8 ? size : 8);
    }
}

/* Inside the box, often on its faces; one row in sixteen anywhere, unless the box was promised. */
static double in_box(const Const *box, uint64_t i, uint64_t n, uint64_t *state)
{
    double lo = const_f64(box, i), hi = const_f64(box, n + i);
    uint64_t r = next_random(state) % 16;
    return r == 0 ? lo : r == 1 ? hi : lo + (hi - lo) * uniform(state);
}

static Tables random_tables(Session *s)
{
    const Network *net = s->entry;
    uint64_t state = s->options->seed;
    Tables t = new_tables(s->arena, net->n_inputs, net->input, s->options->samples);
    for (size_t row = 0; row < t.rows; row++) {
        bool anywhere = next_random(&state) % 16 == 0 && net->options.outside != OUTSIDE_promise;
        for (uint32_t i = 0; i < t.n; i++) {
            const Port *port = &net->input[i];
            const Const *box = port->box && !anywhere ? const_get(net->module, port->box) : NULL;
            uint64_t n = type_count(port->type);
            uint8_t *at = table_row(&t.table[i], row);
            for (uint64_t k = 0; k < n; k++, at += type_element_bytes(port->type))
                put_number(port->type, at, box ? in_box(box, k, n, &state) : awkward(&state), box ? 1 : 100);
        }
    }
    return t;
}

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

/* False, and a diagnostic that names the first difference, when two tables differ in a row that `skip` does not mark. */
static bool tables_agree(Session *s, const char *what, const Tables *a, const Tables *b, const int *skip, double bound)
{
    for (uint32_t i = 0; i < a->n; i++) {
        Type t = a->table[i].row;
        uint64_t n = type_count(t);
        uint32_t size = type_element_bytes(t);
        for (size_t row = 0; row < a->rows; row++) {
            const uint8_t *x = table_row(&a->table[i], row), *y = table_row(&b->table[i], row);
            for (uint64_t k = 0; k < n && !(skip && skip[row]); k++, x += size, y += size) {
                if (same_element(t, x, y, bound))
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
static bool load_source(Session *s, Session *source)
{
    Options *o = NEW(s->arena, Options);
    *o = *s->options;
    o->pipeline = (PipelineOptions){.level = 0, .compute_f64 = o->pipeline.compute_f64, .result = o->pipeline.result, .dump = stderr};
    if (!str_ends(o->source, ".cnir")) {
        o->load.says |= SAYS_outside;
        o->load.net.outside = OUTSIDE_promise;
    }
    o->has_max_ops = o->has_max_bytes = false;
    *source = (Session){.arena = s->arena, .diags = s->diags, .options = o};
    return session_compile(source);
}

static bool check_source(Session *s, const Tables *in)
{
    Session source;
    Evaluator native, interp, as_written;
    if (!load_source(s, &source) || !evaluator_new(s, s->entry, ENGINE_JIT, &native) ||
        !evaluator_new(s, s->entry, ENGINE_INTERP, &interp) || !evaluator_new(s, source.entry, ENGINE_INTERP, &as_written))
        return false;
    Tables out[3];
    int *status[2] = {NEW_ARRAY(s->arena, in->rows, int), NEW_ARRAY(s->arena, in->rows, int)};
    Measured counts[2] = {{0}, {0}};
    for (int i = 0; i < 3; i++)
        out[i] = new_tables(s->arena, s->entry->n_outputs, s->entry->output, in->rows);
    evaluate_rows(&native, in, &out[0], &counts[0], status[0]);
    evaluate_rows(&interp, in, &out[1], &counts[1], status[1]);
    evaluate_rows(&as_written, in, &out[2], NULL, NULL);
    for (size_t row = 0; row < in->rows; row++)
        if (status[0][row] != status[1][row]) {
            diag_error(s->diags, NOWHERE, "row %zu: native code ends with status %d, the interpreter with %d", row + 1, status[0][row], status[1][row]);
            return false;
        }
    if (memcmp(&counts[0].sum, &counts[1].sum, sizeof counts[0].sum) != 0) {
        diag_error(s->diags, NOWHERE, "native code counts %llu operations, the interpreter %llu",
                   (unsigned long long)counts_total(counts[0].sum), (unsigned long long)counts_total(counts[1].sum));
        return false;
    }
    /* Outside the box, clamped and refused inputs have no counterpart in the source; certified bounds hold inside only. */
    bool elsewhere = s->entry->options.outside == OUTSIDE_clamp || s->entry->options.outside == OUTSIDE_status || s->entry->certified_error > 0;
    if (!tables_agree(s, "native code and interpreter differ", &out[0], &out[1], NULL, 0) ||
        !tables_agree(s, "compiled and written network differ", &out[0], &out[2], elsewhere ? status[0] : NULL, s->entry->certified_error))
        return false;
    printf("%zu rows: native = interpreter, bit for bit, and %llu operations each way; compiled = written, %s", in->rows,
           (unsigned long long)counts_total(counts[0].sum), s->entry->certified_error > 0 ? "within the certified bound " : "bit for bit");
    if (s->entry->certified_error > 0)
        printf("%.3g", s->entry->certified_error);
    putchar('\n');
    return true;
}

bool verb_verify(Session *s)
{
    Tables in;
    if (s->options->inputs.len > 0 || s->options->against.len > 0) {
        if (!read_tables(s, &s->options->inputs, "input", s->entry->n_inputs, s->entry->input, &in))
            return false;
    } else {
        in = random_tables(s);
    }
    return s->options->against.len > 0 ? check_against(s, &in) : check_source(s, &in);
}
