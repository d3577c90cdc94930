/* rounding.c — how far what is computed in floating point can lie from the same in real arithmetic: forward analysis.
 *
 * In: the steps of an evaluation, and bounds on its inputs and relus. Out: a radius for each step. With u the unit roundoff, η the least
 * positive number and γ(k) = ku / (1 − ku), k the roundings that a term goes through (its product, and the additions after it;
 * Higham, Accuracy and Stability of Numerical Algorithms, 3.1):
 *
 *      y = b + Σ w x       radius(y) = Σ |w| radius(x) + Σ γ(k) |w| (|x| + radius(x)) + γ(k) |b| + n η
 *      relu                its operand's, and never more than its greatest value when it is off
 *
 * Sums here are of non-negative doubles; each is made greater by what its own roundings may have taken.
 */
#include "exact.h"

#include <math.h>

static double gamma_of(double unit, uint32_t k)
{
    double ku = k * unit;
    return ku < 0.5 ? ku / (1 - ku) * (1 + 0x1p-50) : INFINITY;
}

static void round_sum(const Steps *steps, const Step *s, double *magnitude, double *radius, uint64_t i)
{
    double carried = 0, rounded = 0, most = s->bias;
    for (uint64_t k = 0; k < s->n_terms; k++) {
        const StepTerm *t = &steps->term.at[s->first + k];
        double x = magnitude[t->step] + radius[t->step];
        carried += t->weight * radius[t->step];
        rounded += gamma_of(s->unit, t->roundings) * (t->weight * x);
        most += t->weight * magnitude[t->step];
    }
    double up = 1 + (double)(4 * s->n_terms + 16) * 0x1p-53;
    radius[i] = (carried + rounded + gamma_of(s->unit, s->bias_roundings) * s->bias) * up + (double)(s->n_terms + 1) * s->tiny;
    magnitude[i] = fmin(most * up, s->magnitude);
}

/* The operand of a relu stands just before it among the terms. */
static void round_relu(const Steps *steps, const Step *s, const ReluBounds *relu, double *magnitude, double *radius, uint64_t i)
{
    uint32_t of = steps->term.at[s->first].step;
    double r = radius[of];
    if (relu) {
        magnitude[i] = fmax(0, relu->high[s->of]);
        if (relu->high[s->of] <= 0)
            r = fmax(0, (relu->high[s->of] + r) * (1 + 0x1p-52));      /* off: 0, but for what rounding lifts it to */
        radius[i] = r;
    } else {
        magnitude[i] = s->magnitude;
        radius[i] = (r + s->extra) * (1 + 0x1p-52);
    }
}

void rounding_radii(const Steps *steps, const double *input_magnitude, const ReluBounds *relu, double *magnitude, double *radius)
{
    for (uint64_t i = 0; i < steps->at.len; i++) {
        const Step *s = &steps->at.at[i];
        switch (s->kind) {
        case STEP_INPUT: magnitude[i] = input_magnitude[s->of]; radius[i] = 0; break;
        case STEP_SUM: round_sum(steps, s, magnitude, radius, i); break;
        case STEP_RELU: round_relu(steps, s, relu, magnitude, radius, i); break;
        }
    }
}
