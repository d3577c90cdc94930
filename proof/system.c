/* system.c — the source on a box: which relus are decided there, and what is left of it.
 *
 * In: the source as forms; a box. Out: a System. The one idea: with relus r_k as variables the network is triangular,
 *
 *      r_k = relu(z_k),   z_k an affine form over the inputs and r_0 … r_(k−1)
 *
 * and every fact about a box makes it smaller: where z_k <= 0 the variable is 0, where z_k >= 0 it is the form z_k, which is put in its
 * place. Bounds come from back-substitution (CROWN, Zhang et al., 1811.00866): from the last variable down, each is replaced
 * by a line above or below it, until only inputs are left. A line above relu on [l, u] is s z + max(−s l, u − s u) for any slope s in [0, 1],
 * so the slope may be a double, and all else is exact. What held on a box holds on its parts.
 */
#include "exact.h"

#include <math.h>
#include <string.h>

/* ---- the source ---- */

typedef struct Making { Source *source; uint32_t room; } Making;

static bool add_relu(void *context, const Form *z, Form *result, Step *step)
{
    Making *m = context;
    Source *s = m->source;
    if (s->n_relus == m->room)
        return false;
    form_copy(s->arena, &s->z[s->n_relus], z);
    form_variable(s->arena, result, s->n_inputs + s->n_relus);
    step->of = s->n_relus++;
    return true;
}

static uint32_t count_relus(const Network *net)
{
    uint64_t n = 0;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (op->kind == OP_relu)
            n += type_count(value_type(net, op->result[0]));
    return n < (1u << 20) ? (uint32_t)n : 0;
}

/* Boxes of all inputs, one behind the other; without a box an input is anything, and nothing can be proven. */
static bool read_box(Source *s)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < s->net->n_inputs; i++) {
        const Port *port = &s->net->input[i];
        uint64_t n = type_count(port->type);
        for (uint64_t k = 0; k < n; k++, at++) {
            s->lo[at] = port->box ? const_f64(const_get(s->net->module, port->box), k) : -INFINITY;
            s->hi[at] = port->box ? const_f64(const_get(s->net->module, port->box), n + k) : INFINITY;
            if (!isfinite(s->lo[at]) || !isfinite(s->hi[at]))
                return false;
        }
    }
    return true;
}

static void read_outputs(Source *s, const Reader *r)
{
    const Val *y = &r->output;
    s->n_outputs = (uint32_t)y->n;
    s->winner = y->kind == VAL_WINNER;
    s->label = y->ints;
    s->out = NEW_ARRAY(s->arena, y->n, Form);
    s->out_step = y->step;
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        form_copy(s->arena, &s->out[i], &y->form[i]);
        if (s->winner && y->least) {
            for (uint32_t k = 0; k < s->out[i].n; k++)
                dyadic_negate(&s->out[i].c[k]);
            dyadic_negate(s->out[i].constant);
        }
    }
}

bool source_read(Arena *arena, const Network *net, Source *out, const char **why)
{
    uint32_t n_inputs = 0, room = count_relus(net);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        n_inputs += (uint32_t)type_count(net->input[i].type);
    *out = (Source){.arena = arena, .net = net, .n_inputs = n_inputs, .z = NEW_ARRAY(arena, room, Form),
                    .lo = NEW_ARRAY(arena, n_inputs, double), .hi = NEW_ARRAY(arena, n_inputs, double)};
    Making making = {out, room};
    Reader r = {.arena = arena, .exact = exact_new(arena), .sum = sum_new(arena, n_inputs + room), .net = net, .relu = add_relu, .context = &making};
    if (!read_network(&r)) {
        *why = read_failure(arena, &r);
        return false;
    }
    if (r.output.kind != VAL_FORMS && r.output.kind != VAL_WINNER) {
        *why = "its output is a constant";
        return false;
    }
    if (!read_box(out)) {
        *why = "it has no box";
        return false;
    }
    read_outputs(out, &r);
    out->steps = r.steps;
    return true;
}

/* ---- systems ---- */

Prover *prover_new(Arena *arena, uint32_t n_vars)
{
    Prover *p = NEW(arena, Prover);
    *p = (Prover){arena, exact_new(arena), sum_new(arena, n_vars), dyadic_array(arena, 1), dyadic_array(arena, 1), dyadic_array(arena, 2),
                  dyadic_array(arena, 2), form_zero(arena)};
    return p;
}

System *system_new(Arena *arena, const Source *source)
{
    System *s = NEW(arena, System);
    uint32_t n = source->n_relus;
    *s = (System){.source = source, .lo = NEW_ARRAY(arena, source->n_inputs, double), .hi = NEW_ARRAY(arena, source->n_inputs, double),
                  .state = NEW_ARRAY(arena, n, uint8_t), .z_low = NEW_ARRAY(arena, n, double), .z_high = NEW_ARRAY(arena, n, double),
                  .slope = dyadic_array(arena, n), .offset = dyadic_array(arena, n), .lower_one = NEW_ARRAY(arena, n, bool),
                  .z = NEW_ARRAY(arena, n, Form), .out = NEW_ARRAY(arena, source->n_outputs, Form),
                  .dead = NEW_ARRAY(arena, source->n_outputs, uint8_t)};
    return s;
}

/* to += c times the end of variable v, on the side `greatest`. Of a relu: 0, or what goes in. */
static void add_end(Prover *p, const System *s, Dyadic *to, uint32_t v, const Dyadic *c, bool greatest)
{
    uint32_t n = s->source->n_inputs;
    bool upper = greatest == (dyadic_sign(c) > 0);
    double end = v < n ? (upper ? s->hi[v] : s->lo[v]) : upper ? fmax(0, s->z_high[v - n]) : fmax(0, s->z_low[v - n]);
    if (end == 0)
        return;
    dyadic_set_double(&p->number[0], end);
    dyadic_add_product(p->exact, to, c, &p->number[0]);
}

void system_intervals(Prover *p, const System *s, const Form *f, Dyadic *low, Dyadic *high)
{
    dyadic_set(low, f->constant);
    dyadic_set(high, f->constant);
    for (uint32_t i = 0; i < f->n; i++) {
        add_end(p, s, low, f->var[i], &f->c[i], false);
        add_end(p, s, high, f->var[i], &f->c[i], true);
    }
}

/* The greatest (else least) value of f on the box, at most: relus are replaced by lines from the last to the first. */
static void substitute(Prover *p, const System *s, const Form *f, bool greatest, Dyadic *out)
{
    Sum *sum = p->sum;
    uint32_t n = s->source->n_inputs;
    Dyadic *c = &p->number[1];
    sum_add(p->exact, sum, f, NULL);
    for (uint32_t v = sum->top; v-- > n;) {
        if (!sum->used[v] || dyadic_sign(&sum->c[v]) == 0)
            continue;
        uint32_t k = v - n;
        bool above = greatest == (dyadic_sign(&sum->c[v]) > 0);
        mpz_set(c->m, sum->c[v].m), c->e = sum->c[v].e;
        mpz_set_ui(sum->c[v].m, 0);
        if (above) {
            dyadic_add_product(p->exact, sum->constant, c, &s->offset[k]);
            dyadic_set_double(out, 0);
            dyadic_add_product(p->exact, out, c, &s->slope[k]);
            dyadic_set(c, out);
        }
        if (above || s->lower_one[k])
            sum_add(p->exact, sum, &s->z[k], c);
    }
    dyadic_set(out, sum->constant);
    for (uint32_t v = 0; v < n && v < sum->top; v++)
        if (sum->used[v] && dyadic_sign(&sum->c[v]) != 0)
            add_end(p, s, out, v, &sum->c[v], greatest);
    sum_clear(sum);
}

static bool has_relu(const System *s, const Form *f) { return f->n > 0 && f->var[f->n - 1] >= s->source->n_inputs; }

void system_bounds(Prover *p, const System *s, const Form *f, Dyadic *low, Dyadic *high)
{
    Dyadic *least = p->low, *most = p->high;
    system_intervals(p, s, f, low, high);
    if (!has_relu(s, f))
        return;
    substitute(p, s, f, false, least);
    substitute(p, s, f, true, most);
    if (dyadic_compare(p->exact, least, low) > 0)
        dyadic_set(low, least);
    if (dyadic_compare(p->exact, most, high) < 0)
        dyadic_set(high, most);
}

double system_most(Prover *p, const System *s, const Form *a, const Form *b)
{
    Dyadic *minus = &p->number[1], *most = p->high;
    dyadic_set_double(minus, -1);
    sum_add(p->exact, p->sum, a, NULL);
    sum_add(p->exact, p->sum, b, minus);
    sum_take(p->arena, p->sum, &p->scratch);
    substitute(p, s, &p->scratch, true, most);
    return dyadic_above(most);
}

/* Puts what is decided into a form over the variables of the parent. */
static void settle_form(Prover *p, System *s, const Form *from, Form *to)
{
    uint32_t n = s->source->n_inputs;
    dyadic_add(p->exact, p->sum->constant, from->constant);
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t v = from->var[i];
        if (v < n || s->state[v - n] == RELU_UNSTABLE)
            sum_add_term(p->exact, p->sum, v, &from->c[i]);
        else if (s->state[v - n] == RELU_ON)
            sum_add(p->exact, p->sum, &s->z[v - n], &from->c[i]);
    }
    sum_take(p->arena, p->sum, to);
}

/* The line above relu on [l, u]: through both ends, but for the rounding of its slope. */
static void set_lines(Prover *p, System *s, uint32_t k)
{
    double l = s->z_low[k], u = s->z_high[k], slope = u / (u - l);
    Dyadic *at_low = &p->number[0], *at_high = &s->offset[k];
    slope = slope >= 0 && slope <= 1 ? slope : 1;
    dyadic_set_double(&s->slope[k], slope);
    dyadic_set_double(&p->number[1], -l);
    dyadic_set_double(at_low, 0);
    dyadic_add_product(p->exact, at_low, &s->slope[k], &p->number[1]);
    dyadic_set_double(at_high, u);
    dyadic_set_double(&p->number[1], -u);
    dyadic_add_product(p->exact, at_high, &s->slope[k], &p->number[1]);
    if (dyadic_compare(p->exact, at_low, at_high) > 0)
        dyadic_set(at_high, at_low);
    s->lower_one[k] = u > -l;
}

static void settle_relu(Prover *p, const System *parent, System *s, uint32_t k)
{
    Dyadic *low = &p->end[0], *high = &p->end[1];
    s->state[k] = RELU_UNSTABLE;
    settle_form(p, s, parent ? &parent->z[k] : &s->source->z[k], &s->z[k]);
    system_bounds(p, s, &s->z[k], low, high);
    s->z_low[k] = fmax(parent ? parent->z_low[k] : -INFINITY, dyadic_below(low));
    s->z_high[k] = fmin(parent ? parent->z_high[k] : INFINITY, dyadic_above(high));
    if (!isfinite(s->z_low[k]) || !isfinite(s->z_high[k])) {
        s->beyond = true;
        s->z_low[k] = s->z_high[k] = 0;
    }
    if (s->z_high[k] <= 0)
        s->state[k] = RELU_OFF;
    else if (s->z_low[k] >= 0)
        s->state[k] = RELU_ON;
    else
        set_lines(p, s, k);
}

/* The living output with the greatest least value, by intervals: if one beats the others, likely this one. */
static uint32_t strongest(Prover *p, const System *s)
{
    uint32_t best = 0;
    double most = -INFINITY;
    for (uint32_t i = 0; i < s->source->n_outputs; i++) {
        system_bounds(p, s, &s->out[i], &p->end[0], &p->end[1]);
        double middle = dyadic_below(&p->end[0]) / 2 + dyadic_above(&p->end[1]) / 2;
        if (!s->dead[i] && (middle > most || most == -INFINITY)) {
            best = i;
            most = middle;
        }
    }
    return best;
}

/* An output that a living one is never less than cannot win (or ties with it). */
static void settle_winners(Prover *p, System *s)
{
    uint32_t c = strongest(p, s);
    for (uint32_t d = 0; d < s->source->n_outputs; d++) {
        if (d == c || s->dead[d])
            continue;
        double most = system_most(p, s, &s->out[d], &s->out[c]);
        s->dead[d] = most < 0 || (most == 0 && c < d);
    }
}

void system_complete(Prover *p, System *s)
{
    for (uint32_t k = 0; k < s->source->n_relus && !s->complete; k++)
        if (s->state[k] != RELU_UNSTABLE)
            settle_form(p, s, &s->source->z[k], &s->z[k]);
    s->complete = true;
}

void system_settle(Prover *p, const System *parent, System *s)
{
    s->complete = false;
    s->beyond = parent && parent->beyond;
    for (uint32_t k = 0; k < s->source->n_relus; k++) {
        if (!parent || parent->state[k] == RELU_UNSTABLE) {
            settle_relu(p, parent, s, k);
        } else {
            s->state[k] = parent->state[k];
            s->z_low[k] = parent->z_low[k];
            s->z_high[k] = parent->z_high[k];
        }
    }
    for (uint32_t i = 0; i < s->source->n_outputs; i++) {
        settle_form(p, s, parent ? &parent->out[i] : &s->source->out[i], &s->out[i]);
        s->dead[i] = parent ? parent->dead[i] : 0;
    }
    if (s->source->winner)
        settle_winners(p, s);
}

/* ---- one point ---- */

/* The forms one after the other, with the box shrunk to x: every relu is decided, every form a number. */
double proof_gap(Arena *arena, const Network *net, const double *x, int64_t label)
{
    const char *why;
    Source *source = NEW(arena, Source);
    uint32_t own = 0;
    if (!source_read(arena, net, source, &why) || !source->winner)
        return INFINITY;
    Prover *p = prover_new(arena, source->n_inputs + source->n_relus);
    System *s = system_new(arena, source);
    memcpy(s->lo, x, source->n_inputs * sizeof *x);
    memcpy(s->hi, x, source->n_inputs * sizeof *x);
    system_settle(p, NULL, s);
    double gap = 0;
    if (s->beyond)
        return INFINITY;
    while (own < source->n_outputs && source->label[own] != label)
        own++;
    for (uint32_t i = 0; i < source->n_outputs && own < source->n_outputs; i++) {
        dyadic_set_double(&p->end[0], -1);
        sum_add(p->exact, p->sum, &s->out[i], NULL);
        sum_add(p->exact, p->sum, &s->out[own], &p->end[0]);
        sum_take(arena, p->sum, &p->scratch);
        system_bounds(p, s, &p->scratch, &p->end[0], &p->end[1]);
        gap = fmax(gap, dyadic_above(&p->end[1]));
    }
    return own < source->n_outputs ? gap : INFINITY;
}
