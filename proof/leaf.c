/* leaf.c — one leaf of the compiled network against the source on the leaf's box.
 *
 * In: the source's System there; the leaf. Out: an upper bound on how far their outputs can be apart, rounding included. The one
 * idea: relu is 1-Lipschitz, so a relu of the leaf and the relu of the source whose forms are nearly the same differ by no more than
 * their forms do on the box. Each of the leaf's relus thus becomes one of the source's, or its form, or 0, whichever is nearest, and
 * a radius; what is left of compiled − source is one affine form, mostly of tiny coefficients, and its greatest value is exact.
 */
#include "exact.h"

#include <math.h>
#include <string.h>

typedef struct Leaf {
    Prover *prover;
    System *system;
    Arena *arena;                 /* for this leaf */
    double *near;                 /* scratch, by variable: coefficients of a form */
} Leaf;

/* ---- bounds as doubles ---- */

typedef struct Range { double low, high; } Range;

static Range range_of(const Leaf *l, const Form *f)
{
    Dyadic *end = l->prover->end;
    system_bounds(l->prover, l->system, f, &end[0], &end[1]);
    return (Range){dyadic_below(&end[0]), dyadic_above(&end[1])};
}

static double greatest(Range r) { return fmax(-r.low, r.high); }

/* The bounds of a − b. */
static Range difference(const Leaf *l, const Form *a, const Form *b)
{
    Prover *p = l->prover;
    Dyadic *minus = &p->end[0];
    dyadic_set_double(minus, -1);
    sum_add(p->exact, p->sum, a, NULL);
    sum_add(p->exact, p->sum, b, minus);
    sum_take(p->arena, p->sum, &p->scratch);
    return range_of(l, &p->scratch);
}

/* ---- relus ---- */

static double reach(const System *s, uint32_t var)
{
    uint32_t n = s->source->n_inputs;
    return var < n ? fmax(fabs(s->lo[var]), fabs(s->hi[var])) : fmax(0, s->z_high[var - n]);
}

/* The middle of a variable's interval, and how far it goes from there. (An input may be a constant of the box.) */
static double middle(const System *s, uint32_t var)
{
    uint32_t n = s->source->n_inputs;
    return var < n ? s->lo[var] / 2 + s->hi[var] / 2 : fmax(0, s->z_high[var - n]) / 2;
}

static double spread(const System *s, uint32_t var)
{
    uint32_t n = s->source->n_inputs;
    return var < n ? s->hi[var] / 2 - s->lo[var] / 2 : fmax(0, s->z_high[var - n]) / 2;
}

/* How far apart the forms can be, roughly: for choosing only. `near` holds the coefficients of one of them. */
static double roughly_apart(const Leaf *l, const Form *f, double constant, const Form *other)
{
    double at_middle = constant - dyadic_above(f->constant), apart = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        double c = dyadic_above(&f->c[i]), near = l->near[f->var[i]];
        at_middle -= c * middle(l->system, f->var[i]);
        apart += (fabs(c - near) - fabs(near)) * spread(l->system, f->var[i]);
    }
    for (uint32_t i = 0; i < other->n; i++) {
        at_middle += l->near[other->var[i]] * middle(l->system, other->var[i]);
        apart += fabs(l->near[other->var[i]]) * spread(l->system, other->var[i]);
    }
    return apart + fabs(at_middle);
}

/* The relu of the source that is most like this one, among those that are decided, or those that are not. */
static uint32_t nearest(const Leaf *l, const Form *z, bool decided)
{
    const System *s = l->system;
    uint32_t best = UINT32_MAX;
    double least = INFINITY, constant = dyadic_above(z->constant);
    for (uint32_t i = 0; i < z->n; i++)
        l->near[z->var[i]] = dyadic_above(&z->c[i]);
    for (uint32_t k = 0; k < s->source->n_relus; k++) {
        if ((s->state[k] != RELU_UNSTABLE) != decided)
            continue;
        double apart = roughly_apart(l, &s->z[k], constant, z);
        if (apart < least) {
            least = apart;
            best = k;
        }
    }
    for (uint32_t i = 0; i < z->n; i++)
        l->near[z->var[i]] = 0;
    return best;
}

/* What may stand for a relu of the leaf, and how far it can be from it: a relu of the source, its own form, 0. */
typedef struct Stand { uint32_t relu; double same, on, off; } Stand;

/* It may be like a relu of the source that is decided here, where its own bounds do not show that: that was found on a larger box. */
static void stand_like_decided(const Leaf *l, const Form *z, Stand *s)
{
    system_complete(l->prover, l->system);
    uint32_t k = nearest(l, z, true);
    if (k == UINT32_MAX)
        return;
    double apart = greatest(difference(l, z, &l->system->z[k]));
    double *side = l->system->state[k] == RELU_ON ? &s->on : &s->off;
    *side = fmin(*side, apart);
}

static bool read_leaf_relu(void *context, const Form *z, Form *result, Step *step)
{
    const Leaf *l = context;
    const System *s = l->system;
    Range r = range_of(l, z);
    bool open = r.low < 0 && r.high > 0;
    step->low = r.low, step->high = r.high;
    Stand stand = {open ? nearest(l, z, false) : UINT32_MAX, INFINITY, fmax(0, -r.low), fmax(0, r.high)};
    if (stand.relu != UINT32_MAX)
        stand.same = greatest(difference(l, z, &s->z[stand.relu]));
    if (fmin(stand.same, fmin(stand.on, stand.off)) > 0x1p-18 * greatest(r))
        stand_like_decided(l, z, &stand);
    step->extra = fmin(stand.same, fmin(stand.on, stand.off));
    if (step->extra == stand.same) {
        form_variable(l->arena, result, s->source->n_inputs + stand.relu);
        step->magnitude = s->z_high[stand.relu];
    } else if (stand.on <= stand.off) {
        form_copy(l->arena, result, z);
        step->magnitude = greatest(r);
    } else {
        *result = form_zero(l->arena);
        step->magnitude = 0;
    }
    return true;
}

/* ---- outputs ---- */

static double *input_magnitudes(const Leaf *l)
{
    double *m = NEW_ARRAY(l->arena, l->system->source->n_inputs, double);
    for (uint32_t i = 0; i < l->system->source->n_inputs; i++)
        m[i] = reach(l->system, i);
    return m;
}

static const double *radii(const Leaf *l, const Steps *steps, const ReluBounds *relu)
{
    return rounding_radii(l->arena, steps, input_magnitudes(l), relu);
}

static double values_error(const Leaf *l, const Reader *r, const char **why)
{
    const Source *source = l->system->source;
    if (r->output.kind != VAL_FORMS || r->output.n != source->n_outputs) {
        *why = "its output is not that of the source";
        return INFINITY;
    }
    const double *own = radii(l, &r->steps, NULL);
    const double *theirs = radii(l, &source->steps, &(ReluBounds){l->system->z_low, l->system->z_high});
    double worst = 0;
    for (uint32_t i = 0; i < source->n_outputs; i++) {
        double apart = greatest(difference(l, &r->output.form[i], &l->system->out[i]));
        double error = (apart + own[r->output.step[i]] + theirs[source->out_step[i]]) * (1 + 0x1p-50);
        worst = isnan(error) ? INFINITY : fmax(worst, error);
    }
    return worst;
}

/* ---- winners ---- */

/* What a leaf may return: which output of the source that is, the score that the leaf computes for it (NULL: there is no other) and its radius. */
typedef struct Candidate { uint32_t output; const Form *score; double radius; } Candidate;
typedef struct Candidates { uint32_t n; Candidate *at; bool least; } Candidates;

static uint32_t output_of(const Source *s, int64_t label)
{
    uint32_t i = 0;
    while (i < s->n_outputs && s->label[i] != label)
        i++;
    return i;
}

/* One that is the same number as one before it never wins. */
static bool never_wins(const Leaf *l, const Candidates *c, const Form *score, double radius)
{
    for (uint32_t i = 0; i < c->n && radius == 0; i++)
        if (c->at[i].radius == 0 && form_equal(l->prover->exact, c->at[i].score, score))
            return true;
    return false;
}

static bool read_candidates(const Leaf *l, const Reader *r, Candidates *out)
{
    const Val *y = &r->output;
    const Source *source = l->system->source;
    *out = (Candidates){.at = NEW_ARRAY(l->arena, y->n + 1, Candidate), .least = y->kind == VAL_WINNER && y->least};
    if (y->kind == VAL_INTS && y->n == 1) {
        out->at[out->n++] = (Candidate){output_of(source, y->ints[0]), NULL, 0};
        return out->at[0].output < source->n_outputs;
    }
    if (y->kind != VAL_WINNER)
        return false;
    const double *radius = radii(l, &r->steps, NULL);
    for (uint64_t i = 0; i < y->n; i++) {
        if (never_wins(l, out, &y->form[i], radius[y->step[i]]))
            continue;
        out->at[out->n++] = (Candidate){output_of(source, y->ints[i]), &y->form[i], radius[y->step[i]]};
        if (out->at[out->n - 1].output == source->n_outputs)
            return false;
    }
    return true;
}

/* How far b's score in the source can lie above that of candidate a when the leaf prefers a; at_most, whatever it prefers. */
static double above_chosen(const Leaf *l, const Candidates *c, const Candidate *a, const Candidate *b, double at_most)
{
    const System *s = l->system;
    Prover *p = l->prover;
    if (!a->score || !b->score || at_most == 0)
        return at_most;
    Dyadic *sign = &p->end[0];
    sum_add(p->exact, p->sum, &s->out[b->output], NULL);
    dyadic_set_double(sign, -1);
    sum_add(p->exact, p->sum, &s->out[a->output], sign);
    dyadic_set_double(sign, c->least ? 1 : -1);
    sum_add(p->exact, p->sum, b->score, sign);
    dyadic_set_double(sign, c->least ? -1 : 1);
    sum_add(p->exact, p->sum, a->score, sign);
    sum_take(p->arena, p->sum, &p->scratch);
    return fmin(at_most, fmax(0, range_of(l, &p->scratch).high + a->radius + b->radius) * (1 + 0x1p-50));
}

/* over[d * n + k]: how far output d of the source can lie above candidate k. */
static double *heights(const Leaf *l, const Candidates *c)
{
    const System *s = l->system;
    double *over = NEW_ARRAY(l->arena, (size_t)s->source->n_outputs * c->n, double);
    for (uint32_t d = 0; d < s->source->n_outputs; d++)
        for (uint32_t k = 0; k < c->n && !s->dead[d]; k++)
            if (c->at[k].output != d)
                over[d * c->n + k] = fmax(0, system_most(l->prover, s, &s->out[d], &s->out[c->at[k].output]));
    return over;
}

/* Every output that may win must be a candidate, or never lie far above one. (One that is dead lies below a living one.) */
static double winner_error(const Leaf *l, const Reader *r, const char **why)
{
    const System *s = l->system;
    Candidates c;
    if (!read_candidates(l, r, &c)) {
        *why = "its output is no label of the source";
        return INFINITY;
    }
    double *over = heights(l, &c), *gap = NEW_ARRAY(l->arena, c.n, double), worst = 0;
    for (uint32_t i = 0; i < c.n; i++) {
        for (uint32_t k = 0; k < c.n; k++) {
            uint32_t d = c.at[k].output;
            double at_most = s->dead[d] ? INFINITY : over[d * c.n + i];
            gap[k] = i == k ? 0 : above_chosen(l, &c, &c.at[i], &c.at[k], at_most);
        }
        for (uint32_t d = 0; d < s->source->n_outputs; d++) {
            double least = s->dead[d] ? 0 : INFINITY;
            for (uint32_t k = 0; k < c.n && !s->dead[d]; k++)
                least = fmin(least, (over[d * c.n + k] + gap[k]) * (1 + 0x1p-50));
            worst = fmax(worst, least);
        }
    }
    return worst;
}

double leaf_error(Prover *p, System *s, const ProofTree *tree, TreeLeaf leaf, const char **why)
{
    if (s->beyond) {
        *why = "its sums leave the range of doubles";
        return INFINITY;
    }
    Arena *arena = arena_new(p->arena);
    if (!arena)
        arena_exhausted(p->arena);
    Leaf l = {p, s, arena, NEW_ARRAY(arena, s->source->n_inputs + s->source->n_relus, double)};
    Reader r = {.arena = arena, .exact = p->exact, .sum = p->sum, .net = tree->net, .relu = read_leaf_relu, .context = &l, .tree = tree, .leaf = leaf,
                .lo = s->source->lo, .hi = s->source->hi};
    double error = INFINITY;
    if (!read_network(&r))
        *why = str_dup(p->arena, read_failure(arena, &r));
    else
        error = s->source->winner ? winner_error(&l, &r, why) : values_error(&l, &r, why);
    arena_free(arena);
    return error;
}
