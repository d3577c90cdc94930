/* rounding.c — how far what is computed in floating point can lie from the same in real arithmetic.
 *
 * In: the steps of an evaluation, and bounds on its inputs and relus. Out: a radius for each step. With u the unit roundoff, η the least
 * positive number and γ(k) = ku / (1 − ku), k the roundings that a term goes through (its product, and the additions after it;
 * Higham, Accuracy and Stability of Numerical Algorithms, 3.1), a step itself adds no more than
 *
 *      y = b + Σ w x       local(y) = Σ γ(k) |w| (|x| + radius(x)) + γ(k) |b| + n η
 *      relu                how far what stands for it is from it
 *
 * The one idea: local errors go on to a step as its derivatives do, in sweeps from it back to all before it: through w with its sign, so that
 * ways cancel, and through a relu with a factor d in [0, 1]: 1 when what goes in is positive by more than its radius, 0 when it is so
 * negative. Where that is open, d δ lies within radius / 2 of δ / 2. So for a step y, c being its derivative by each step before it,
 *
 *      radius(y) = local(y) + Σ |c| local + Σ |c| radius / 2          the latter over operands of open relus
 *
 * or, when that is less, Σ |w| radius(x) + local(y). A derivative is a sum of doubles, off by γ(n) of the sum of its terms' magnitudes at most;
 * what it is off by meets an error of that step, no more than its radius. Sums of what is not negative are made greater by what their own roundings
 * may have taken.
 */
#include "exact.h"

#include <float.h>
#include <math.h>

enum { LOG2_MOST_WORK = 28 };     /* terms, times steps: beyond, there are no sweeps */

typedef struct Rounding {
    const Steps *steps;
    const ReluBounds *relu;
    double *magnitude, *radius;   /* by step */
    double *local;
    double *c, *terms;            /* of the sweep: derivatives, and the sums of their terms' magnitudes */
} Rounding;

static double gamma_of(double unit, uint32_t k)
{
    double ku = k * unit;
    return ku < 0.5 ? ku / (1 - ku) * (1 + 0x1p-50) : INFINITY;
}

/* ---- relus ---- */

static uint32_t operand_of(const Rounding *r, const Step *s) { return r->steps->term.at[s->first].step; }
static double low_of(const Rounding *r, const Step *s) { return r->relu ? r->relu->low[s->of] : s->low; }
static double high_of(const Rounding *r, const Step *s) { return r->relu ? r->relu->high[s->of] : s->high; }
static double extra_of(const Rounding *r, const Step *s) { return r->relu ? 0 : s->extra; }

/* Its factor; 1/2: open. */
static double factor(const Rounding *r, const Step *s)
{
    double radius = r->radius[operand_of(r, s)];
    return high_of(r, s) <= -radius ? 0 : low_of(r, s) >= radius ? 1 : 0.5;
}

static void round_relu(const Rounding *r, const Step *s, uint64_t i)
{
    double radius = r->radius[operand_of(r, s)], high = high_of(r, s);
    if (high <= 0)
        radius = fmin(radius, fmax(0, (high + radius) * (1 + 0x1p-52)));      /* off: 0, but for what rounding lifts it to */
    r->magnitude[i] = r->relu ? fmax(0, high) : s->magnitude;
    r->local[i] = extra_of(r, s);
    r->radius[i] = (radius + r->local[i]) * (1 + 0x1p-52);
}

/* ---- sums ---- */

static double greatest_of(const Step *s) { return s->unit == 0x1p-53 ? DBL_MAX : (double)FLT_MAX; }

/* By the radii of what it adds up. Where a product or a part of the sum might overflow, nothing is known. */
static void round_sum(const Rounding *r, const Step *s, uint64_t i)
{
    double carried = 0, rounded = 0, most = s->bias;
    for (uint64_t k = 0; k < s->n_terms; k++) {
        const StepTerm *t = &r->steps->term.at[s->first + k];
        double w = fabs(t->weight), x = r->magnitude[t->step] + r->radius[t->step];
        carried += w * r->radius[t->step];
        rounded += gamma_of(s->unit, t->roundings) * (w * x);
        most += w * r->magnitude[t->step];
    }
    double up = 1 + (double)(4 * s->n_terms + 16) * 0x1p-53;
    r->local[i] = (rounded + gamma_of(s->unit, s->bias_roundings) * s->bias) * up + (double)(s->n_terms + 1) * s->tiny;
    r->radius[i] = (carried * up + r->local[i]) * (1 + 0x1p-51);
    r->magnitude[i] = fmin(most * up, s->magnitude);
    if (!((most + carried) * up < greatest_of(s) / 2))
        r->local[i] = r->radius[i] = INFINITY;
}

/* ---- sweeps ---- */

static void add_derivative(const Rounding *r, uint32_t step, double c)
{
    r->c[step] += c;
    r->terms[step] += fabs(c);
}

static void add_terms(const Rounding *r, const Step *s, double c)
{
    for (uint64_t k = 0; k < s->n_terms; k++)
        add_derivative(r, r->steps->term.at[s->first + k].step, c * r->steps->term.at[s->first + k].weight);
}

/* What step k adds; its derivative goes on to what it is made of. */
static double sweep_step(const Rounding *r, const Step *s, uint64_t k, double c)
{
    if (s->kind == STEP_SUM) {
        add_terms(r, s, c);
        return fabs(c) * r->local[k];
    }
    if (s->kind != STEP_RELU)
        return 0;
    double d = factor(r, s), local = fabs(c) * r->local[k];
    if (d == 0.5 && 2 * r->radius[k] <= r->radius[operand_of(r, s)])       /* nearly off */
        return fabs(c) * r->radius[k];
    if (d > 0)
        add_derivative(r, operand_of(r, s), c * d);
    return d == 0.5 ? local + fabs(c) / 2 * r->radius[operand_of(r, s)] : local;
}

static double sweep(const Rounding *r, uint64_t of)
{
    double sum = r->local[of], off_by = (double)(of + 8) * 0x1p-53;
    add_terms(r, &r->steps->at.at[of], 1);
    for (uint64_t k = of; k-- > 0;) {
        double c = r->c[k], terms = r->terms[k];
        if (terms == 0)
            continue;
        r->c[k] = r->terms[k] = 0;
        if (r->radius[k] > 0)         /* nothing before it is off, or it does not matter here */
            sum += sweep_step(r, &r->steps->at.at[k], k, c) + (off_by * terms + 0x1p-1000) * r->radius[k];
    }
    return sum * (1 + (double)(4 * of + 32) * 0x1p-53) + 0x1p-1000;
}

/* Sweeps help where more than one step adds to the error. */
static bool is_swept(const Rounding *r, const Step *s, uint64_t i) { return s->n_terms > 0 && r->radius[i] > r->local[i]; }

const double *rounding_radii(Arena *arena, const Steps *steps, const double *input_magnitude, const ReluBounds *relu)
{
    uint64_t n = steps->at.len;
    Rounding r = {steps, relu, NEW_ARRAY(arena, n, double), NEW_ARRAY(arena, n, double), NEW_ARRAY(arena, n, double), NEW_ARRAY(arena, n, double),
                  NEW_ARRAY(arena, n, double)};
    bool sweeps = n == 0 || steps->term.len < ((uint64_t)1 << LOG2_MOST_WORK) / n;
    for (uint64_t i = 0; i < n; i++) {
        const Step *s = &steps->at.at[i];
        switch (s->kind) {
        case STEP_INPUT: r.magnitude[i] = input_magnitude[s->of]; break;
        case STEP_SUM:
            round_sum(&r, s, i);
            if (sweeps && is_swept(&r, s, i))
                r.radius[i] = fmin(r.radius[i], sweep(&r, i));
            break;
        case STEP_RELU: round_relu(&r, s, i); break;
        }
    }
    return r.radius;
}
