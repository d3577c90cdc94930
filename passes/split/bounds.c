/* bounds.c — which relus are decided on a box, and which outputs may win.
 *
 *      for each layer:   z = W h + b, h of the layer before
 *          interval      z of the interval of h                                          all rows that are not off
 *          lines         z as a form over h, carried back to the input (forms.c)          those whose sign is still open
 *          state         hi <= 0: off, its h is 0;  lo >= 0: on, h = z;  else lines above and below relu on [lo, hi]
 *      winner:           class j is out where some out_j − out_i < 0, carried back as one form
 *
 * In: a chain, a part of its box, and what is known already. Out: more of it. The one idea: what is decided stays decided on every part
 * of the box, so a child computes only what its parent left open, and its lines are never worse.
 *
 * Rounding. Everything is computed in doubles, in some order, and must hold for real numbers. For each row T is at least the sum of
 * the absolute values of all terms that its bounds are made of, lines included:
 *
 *      T(x) = max |x|            T(z_r) = |b_r| + Σ |W_rj| (T(z_j) + offset_j), j not off
 *
 * T is also made at least |lo| and |hi|, and so |h|. A form that is carried back is, at each layer, a form with computed coefficients c:
 * the lines are chosen by *their* signs, so they hold; what is lost is |c' − exact c'| |h| for each next coefficient, at most
 * ν u |c| |W| |h| with ν roundings in the sum (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Added up over the layers that
 * is γ(m) T, with m the sum of all ν. What underflows loses 2^-1074 times some T, which 2^-1000 Σ T makes up for. Slopes are rounded up;
 * any line above relu will do. Every T is at least 2^-500, and no bound is taken where it is 2^500 or more, or not finite: |c| T(h) <= T
 * for each h on the way, so no coefficient overflows.
 */
#include "forms.h"

#include <math.h>
#include <string.h>

/* Above so many outputs that may win they are compared with one of them only. */
enum { MOST_RIVALS = 24 };

static const double LEAST = 0x1p-500, MOST = 0x1p500, UNDERFLOW = 0x1p-1000;

struct BoundsScratch {
    Forms forms;
    double *size;                 /* T + offset of what feeds the layer in work, its interval; [0] for the constant 1 */
    double *lo, *hi;
    double *size_of_row;          /* T, by packed row of that layer */
    double sizes;                 /* Σ T + offset of all layers before, and 1 */
    double roundings;             /* m */
    uint32_t *open;               /* packed rows whose sign is open */
    double *center;               /* the outputs at the middle of the box, */
    double *input;                /* and values on the way there */
    uint32_t *alive, *pair;
};

/* ---- facts ---- */

Facts facts_new(Arena *arena, const Chain *chain)
{
    Facts f = {.state = NEW_ARRAY(arena, chain->n_neurons, uint8_t), .lo = NEW_ARRAY(arena, chain->n_neurons, double),
               .hi = NEW_ARRAY(arena, chain->n_neurons, double), .alive = NEW_ARRAY(arena, chain->n_outputs, uint8_t)};
    for (uint32_t l = 0; l < chain->n_layers; l++)
        for (uint32_t r = 0; r < chain->layer[l].rows; r++) {
            f.state[chain->first[l] + r] = chain->layer[l].relu ? STATE_UNSTABLE : STATE_ON;
            f.lo[chain->first[l] + r] = -INFINITY;
            f.hi[chain->first[l] + r] = INFINITY;
        }
    memset(f.alive, 1, chain->n_outputs);
    return f;
}

void facts_copy(const Chain *chain, Facts *to, const Facts *from)
{
    memcpy(to->state, from->state, chain->n_neurons * sizeof *to->state);
    memcpy(to->lo, from->lo, chain->n_neurons * sizeof *to->lo);
    memcpy(to->hi, from->hi, chain->n_neurons * sizeof *to->hi);
    memcpy(to->alive, from->alive, chain->n_outputs * sizeof *to->alive);
}

BoundsScratch *bounds_scratch(Arena *arena, const Chain *chain)
{
    uint32_t widest = chain->n_inputs;
    for (uint32_t l = 0; l < chain->n_layers; l++)
        widest = chain->layer[l].rows > widest ? chain->layer[l].rows : widest;
    uint32_t n = padded(widest + 1);
    BoundsScratch *s = NEW(arena, BoundsScratch);
    forms_init(arena, chain, &s->forms);
    s->size = NEW_ARRAY(arena, n, double);
    s->lo = NEW_ARRAY(arena, n, double);
    s->hi = NEW_ARRAY(arena, n, double);
    s->size_of_row = NEW_ARRAY(arena, n, double);
    s->open = NEW_ARRAY(arena, n, uint32_t);
    s->center = NEW_ARRAY(arena, n, double);
    s->input = NEW_ARRAY(arena, n, double);
    s->alive = NEW_ARRAY(arena, n, uint32_t);
    s->pair = NEW_ARRAY(arena, 2 * MOST_FORMS, uint32_t);
    return s;
}

/* ---- rounding ---- */

/* How far what is computed of a row can be off, when its T has been computed as `size`. */
static double slack(const BoundsScratch *s, double size, double roundings)
{
    double mu = roundings * 0x1p-53;
    return mu < 0x1p-10 && size < MOST ? 0x1.01p+0 * mu * size + UNDERFLOW * s->sizes : INFINITY;
}

/* Never worse, and nothing of what is not finite. */
static void tighten(double *lo, double *hi, double new_lo, double new_hi)
{
    if (isfinite(new_lo) && new_lo > *lo)
        *lo = new_lo;
    if (isfinite(new_hi) && new_hi < *hi)
        *hi = new_hi;
}

/* ---- one layer ---- */

/* What feeds the next layer: of each packed row T + offset and the interval of h. False: something is not finite. */
static bool feed(BoundsScratch *s, const Packed *p, const ChainLayer *layer, const double *lo, const double *hi)
{
    bool finite = true;
    s->size[0] = s->lo[0] = s->hi[0] = 1;
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t r = p->row[k];
        s->size[1 + k] = fmax(s->size_of_row[k], fmax(-lo[r], hi[r])) + p->offset[1 + k];
        s->lo[1 + k] = layer->relu && !(lo[r] > 0) ? 0 : lo[r];
        s->hi[1 + k] = hi[r];
        s->sizes += s->size[1 + k];
        finite &= isfinite(hi[r] - lo[r]);
    }
    for (uint32_t k = 1 + p->n; k < padded(p->n + 1); k++)
        s->size[k] = s->lo[k] = s->hi[k] = 0;
    s->roundings += 2.0 * p->n + 3 * LANES;
    return finite && isfinite(s->sizes);
}

static void feed_input(BoundsScratch *s, const Chain *chain)
{
    uint32_t n = chain->n_inputs;
    memcpy(s->lo, s->forms.lo, padded(n + 1) * sizeof(double));
    memcpy(s->hi, s->forms.hi, padded(n + 1) * sizeof(double));
    s->sizes = 1;
    for (uint32_t i = 0; i < padded(n + 1); i++) {
        s->size[i] = fmax(LEAST, fmax(fabs(s->lo[i]), fabs(s->hi[i])));
        s->sizes += s->size[i];
    }
    s->roundings = 2.0 * n + 3 * LANES;
}

/* Lines around relu on [lo, hi]; those of a row that is on are z itself. */
static void draw_lines(Packed *p, const uint8_t *state, const double *lo, const double *hi)
{
    p->relaxed = false;
    p->up[0] = p->low[0] = 1;
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t r = p->row[k];
        bool open = state[r] == STATE_UNSTABLE;
        double slope = open ? fmin(1, hi[r] / (hi[r] - lo[r]) * (1 + 0x1p-51) + UNDERFLOW) : 1;
        p->relaxed |= open;
        p->up[1 + k] = slope;
        p->low[1 + k] = open && hi[r] <= -lo[r] ? 0 : 1;
        p->offset[1 + k] = open ? -slope * lo[r] : 0;
    }
    for (uint32_t k = 1 + p->n; k < padded(p->n + 1); k++)
        p->up[k] = p->low[k] = p->offset[k] = 0;
}

static void decide(uint8_t *state, double lo, double hi)
{
    if (*state == STATE_UNSTABLE && hi <= 0)
        *state = STATE_OFF;
    else if (*state == STATE_UNSTABLE && lo >= 0)
        *state = STATE_ON;
}

static void by_intervals(BoundsScratch *s, const Packed *p, uint8_t *state, double *lo, double *hi)
{
    for (uint32_t k = 0; k < p->n; k++) {
        uint32_t r = p->row[k];
        RowSums sums = forms_row_sums(p, k, s->size, s->lo, s->hi);
        double size = sums.size * (1 + 0x1p-20) + LEAST, off = slack(s, size, p->width + 3 * LANES);
        s->size_of_row[r] = size;             /* by row, until the packed rows are final */
        tighten(&lo[r], &hi[r], sums.lo - off, sums.hi + off);
        decide(&state[r], lo[r], hi[r]);
    }
}

static void by_lines(BoundsScratch *s, uint32_t l, uint8_t *state, double *lo, double *hi)
{
    const Packed *p = &s->forms.layer[l];
    uint32_t n_open = 0;
    for (uint32_t k = 0; k < p->n; k++)
        if (state[p->row[k]] == STATE_UNSTABLE)
            s->open[n_open++] = k;
    for (uint32_t begin = 0; begin < n_open; begin += MOST_FORMS / 2) {
        uint32_t n = n_open - begin < MOST_FORMS / 2 ? n_open - begin : MOST_FORMS / 2;
        double upper[MOST_FORMS];
        for (uint32_t i = 0; i < n; i++) {
            forms_set(&s->forms, 2 * i, l, s->open[begin + i], 1);
            forms_set(&s->forms, 2 * i + 1, l, s->open[begin + i], -1);
        }
        forms_upper(&s->forms, l, 2 * n, upper);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t r = p->row[s->open[begin + i]];
            double off = slack(s, s->size_of_row[r], s->roundings);
            tighten(&lo[r], &hi[r], -(upper[2 * i + 1] + off), upper[2 * i] + off);
            decide(&state[r], lo[r], hi[r]);
        }
    }
}

/* False: nothing more can be known of the layers behind. */
static bool tighten_layer(BoundsScratch *s, const Chain *chain, uint32_t l, Facts *facts)
{
    Packed *p = &s->forms.layer[l];
    const ChainLayer *layer = &chain->layer[l];
    uint8_t *state = facts->state + chain->first[l];
    double *lo = facts->lo + chain->first[l], *hi = facts->hi + chain->first[l];
    forms_pack(&s->forms, l, state);
    by_intervals(s, p, state, lo, hi);
    if (layer->relu && l > 0)
        by_lines(s, l, state, lo, hi);
    forms_drop(&s->forms, l, state);
    for (uint32_t k = 0; k < p->n; k++)       /* row[k] >= k */
        s->size_of_row[k] = s->size_of_row[p->row[k]];
    draw_lines(p, state, lo, hi);
    return l + 1 == chain->n_layers || feed(s, p, layer, lo, hi);
}

/* ---- winners ---- */

/* The outputs at the middle of the box, without any promise: a guess at what wins. */
static void evaluate_center(BoundsScratch *s, const Chain *chain)
{
    uint32_t n = chain->n_inputs;
    for (uint32_t i = 0; i < padded(n + 1); i++)
        s->input[i] = 0.5 * s->forms.lo[i] + 0.5 * s->forms.hi[i];
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        const Packed *p = &s->forms.layer[l];
        for (uint32_t k = 0; k < p->n; k++) {
            double z = forms_row_sums(p, k, s->input, s->input, s->input).lo;
            s->center[1 + k] = chain->layer[l].relu && z <= 0 ? 0 : z;
        }
        s->center[0] = 1;
        for (uint32_t k = 1 + p->n; k < padded(p->n + 1); k++)
            s->center[k] = 0;
        memcpy(s->input, s->center, padded(p->n + 1) * sizeof(double));
    }
    memmove(s->center, s->center + 1, chain->n_outputs * sizeof(double));
}

/* Kills the second of each pair of outputs where the first is greater all over the box. */
static void compare(BoundsScratch *s, const Chain *chain, uint32_t n, uint8_t *alive)
{
    uint32_t last = chain->n_layers - 1;
    double upper[MOST_FORMS];
    for (uint32_t i = 0; i < n; i++) {
        forms_set(&s->forms, i, last, s->pair[2 * i + 1], 1);
        forms_add(&s->forms, i, last, s->pair[2 * i], -1);
    }
    forms_upper(&s->forms, last, n, upper);
    for (uint32_t i = 0; i < n; i++) {
        double size = s->size_of_row[s->pair[2 * i]] + s->size_of_row[s->pair[2 * i + 1]];
        double over = upper[i] + slack(s, size, s->roundings + 2);
        if (isfinite(over) && over < 0)
            alive[s->pair[2 * i + 1]] = 0;
    }
}

/* Outputs a and b: at the middle of the box a wins over b. Only then can it everywhere. */
static bool may_dominate(const BoundsScratch *s, uint32_t a, uint32_t b) { return s->center[a] > s->center[b]; }

static uint32_t list_alive(const Chain *chain, const uint8_t *alive, uint32_t *list)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < chain->n_outputs; r++)
        if (alive[r])
            list[n++] = r;
    return n;
}

/* All pairs of live outputs: those whose first is `best`, or the rest. */
static void compare_all(BoundsScratch *s, const Chain *chain, uint32_t best, bool rest, uint8_t *alive)
{
    uint32_t n = list_alive(chain, alive, s->alive), pairs = 0;
    for (uint32_t a = 0; a < n; a++)
        for (uint32_t b = 0; b < n; b++) {
            uint32_t i = s->alive[a], j = s->alive[b];
            if ((i == best) == rest || !alive[j] || !may_dominate(s, i, j))
                continue;
            s->pair[2 * pairs] = i;
            s->pair[2 * pairs + 1] = j;
            if (++pairs == MOST_FORMS) {
                compare(s, chain, pairs, alive);
                pairs = 0;
            }
        }
    if (pairs > 0)
        compare(s, chain, pairs, alive);
}

/* First against what wins in the middle, which mostly settles it. */
static void find_winners(BoundsScratch *s, const Chain *chain, uint8_t *alive)
{
    uint32_t best = UINT32_MAX, left;
    if (list_alive(chain, alive, s->alive) < 2)
        return;
    evaluate_center(s, chain);
    for (uint32_t r = 0; r < chain->n_outputs; r++)
        if (alive[r] && (best == UINT32_MAX || may_dominate(s, r, best)))
            best = r;
    compare_all(s, chain, best, false, alive);
    left = list_alive(chain, alive, s->alive);
    if (left > 2 && left <= MOST_RIVALS)
        compare_all(s, chain, best, true, alive);
}

void bounds_tighten(const Chain *chain, BoundsScratch *scratch, const double *lo, const double *hi, Facts *facts)
{
    forms_set_box(&scratch->forms, lo, hi);
    feed_input(scratch, chain);
    for (uint32_t l = 0; l < chain->n_layers; l++)
        if (!tighten_layer(scratch, chain, l, facts))
            return;
    if (chain->winner != WINNER_none)
        find_winners(scratch, chain, facts->alive);
}
