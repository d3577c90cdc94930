/* test_split_error.c — the source's own error: no evaluation that rounds as badly as it may gets past the bound.
 *
 *      chains      deep and narrow ones, where errors cancel or grow; some rows are 0 in the middle of the box, or nearly
 *      boxes       from points to wide ones: relus are decided with a margin, without one, or not
 *      roundings   each row is moved by all that it may be off, up or down: as the derivative of an output wants it, or at random
 *
 * The bound of the proof room is held against the same. What rounds by chance stays far below any bound; these do not, so a bound that forgets something is seen. A failure prints the seed.
 */
#include "../../passes/split/leaf.h"
#include "random_net.h"
#ifdef CNET_EXACT
#include "../../proof/exact.h"
#endif

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_split_error(void);

enum { WIDEST = 6, DEEPEST = 10 };

typedef struct Case {
    Arena *arena;
    uint64_t state;
    Chain chain;
    double lo[WIDEST], hi[WIDEST];
    Code code;
    double bound[2][WIDEST];      /* of the pass; of the proof room */
} Case;

typedef long double Values[DEEPEST][WIDEST];

static double uniform(Case *c, double lo, double hi) { return lo + (hi - lo) * ((double)random_next(&c->state) / 0x1p64); }
static double single(double x) { return (double)(float)x; }

/* ---- evaluation ---- */

static bool counts(const ChainLayer *layer, uint32_t r, uint32_t k, const long double *h)
{
    return layer->weight[r * layer->cols + k] != 0 && h[k] != 0;
}

/* All that row r may be off when it is computed from h. */
static long double rounding(const Case *c, const ChainLayer *layer, uint32_t r, const long double *h)
{
    long double unit = c->chain.element.elem == ELEM_F32 ? 0x1p-24L : 0x1p-53L, absolute = fabs(layer->bias[r]), n = 0;
    for (uint32_t k = 0; k < layer->cols; k++) {
        absolute += fabsl(layer->weight[r * layer->cols + k] * h[k]);
        n += counts(layer, r, k, h);
    }
    return n > 0 ? (n + 6) * unit / (1 - (n + 6) * unit) * absolute : 0;
}

/* z by layer and row; push: in which direction each row is off (NULL: none is). */
static void evaluate(const Case *c, const double *x, Values push, Values z)
{
    long double h[WIDEST];
    for (uint32_t i = 0; i < c->chain.n_inputs; i++)
        h[i] = x[i];
    for (uint32_t l = 0; l < c->chain.n_layers; l++) {
        const ChainLayer *layer = &c->chain.layer[l];
        for (uint32_t r = 0; r < layer->rows; r++) {
            long double sum = layer->bias[r];
            for (uint32_t k = 0; k < layer->cols; k++)
                sum += (long double)layer->weight[r * layer->cols + k] * h[k];
            z[l][r] = push ? sum + push[l][r] * rounding(c, layer, r, h) : sum;
        }
        for (uint32_t r = 0; r < layer->rows; r++)
            h[r] = layer->relu && z[l][r] <= 0 ? 0 : z[l][r];
    }
}

/* The signs of the derivatives of output `of`, where z are the pre-activations. */
static void follow_derivative(const Case *c, uint32_t of, Values z, Values push)
{
    Values d = {{0}};
    uint32_t l = c->chain.n_layers - 1;
    for (d[l][of] = 1; l > 0; l--)
        for (uint32_t r = 0; r < c->chain.layer[l].rows; r++)
            for (uint32_t k = 0; k < c->chain.layer[l].cols; k++)
                if (z[l - 1][k] > 0)
                    d[l - 1][k] += d[l][r] * c->chain.layer[l].weight[r * c->chain.layer[l].cols + k];
    for (l = 0; l < c->chain.n_layers; l++)
        for (uint32_t r = 0; r < WIDEST; r++)
            push[l][r] = d[l][r] < 0 ? -1 : 1;
}

/* ---- chains ---- */

static void add_layer(Case *c, uint32_t rows, bool relu)
{
    ChainLayer *layer = &c->chain.layer[c->chain.n_layers];
    uint32_t cols = c->chain.n_layers ? layer[-1].rows : c->chain.n_inputs;
    double *weight = NEW_ARRAY(c->arena, rows * cols, double);
    uint64_t *start = NEW_ARRAY(c->arena, rows + 1, uint64_t);
    uint32_t *column = NEW_ARRAY(c->arena, rows * cols, uint32_t);
    for (uint32_t r = 0; r < rows; r++) {
        start[r + 1] = start[r];
        for (uint32_t k = 0; k < cols; k++) {
            weight[r * cols + k] = random_below(&c->state, 8) ? single(uniform(c, -1, 1)) : 0;
            if (weight[r * cols + k] != 0)
                column[start[r + 1]++] = k;
        }
    }
    *layer = (ChainLayer){.rows = rows, .cols = cols, .weight = weight, .bias = NEW_ARRAY(c->arena, rows, double), .relu = relu,
                          .nonzeros = start[rows], .start = start, .column = column};
    c->chain.first[c->chain.n_layers++] = c->chain.n_neurons;
    c->chain.n_neurons += rows;
}

/* Biases; some so that the row is about 0 at x. */
static void set_biases(Case *c, const double *x)
{
    for (uint32_t l = 0; l < c->chain.n_layers; l++)
        for (uint32_t r = 0; r < c->chain.layer[l].rows; r++) {
            Values z;
            double *bias = (double *)(uintptr_t)&c->chain.layer[l].bias[r], scale = exp2(-uniform(c, 0, 30));
            evaluate(c, x, NULL, z);
            *bias = random_below(&c->state, 4) ? single(uniform(c, -0.5, 1)) : single(uniform(c, -scale, scale) - (double)z[l][r]);
        }
}

/* ---- the bounds ---- */

#ifdef CNET_EXACT
static uint32_t push_step(Case *c, Steps *steps, Step s)
{
    bool f32 = c->chain.element.elem == ELEM_F32;
    s.n_terms = steps->term.len - s.first;
    s.unit = f32 ? 0x1p-24 : 0x1p-53;
    s.tiny = f32 ? 0x1p-149 : 0x1p-1074;
    s.magnitude = INFINITY;
    vec_push(c->arena, steps->at, s);
    return (uint32_t)steps->at.len - 1;
}

static uint32_t push_row(Case *c, Steps *steps, const ChainLayer *layer, uint32_t r, const uint32_t *in)
{
    uint32_t roundings = (uint32_t)(layer->start[r + 1] - layer->start[r]) + 6;
    Step s = {.kind = STEP_SUM, .first = steps->term.len, .bias = fabs(layer->bias[r]), .bias_roundings = roundings};
    for (uint32_t k = 0; k < layer->cols; k++)
        if (layer->weight[r * layer->cols + k] != 0)
            vec_push(c->arena, steps->term, ((StepTerm){in[k], roundings, layer->weight[r * layer->cols + k]}));
    return push_step(c, steps, s);
}

static void bound_by_proof(Case *c, const Facts *facts)
{
    Steps steps = {0};
    uint32_t at[WIDEST], next[WIDEST];
    double most[WIDEST];
    for (uint32_t i = 0; i < c->chain.n_inputs; i++) {
        at[i] = push_step(c, &steps, (Step){.kind = STEP_INPUT, .of = i});
        most[i] = fmax(fabs(c->lo[i]), fabs(c->hi[i]));
    }
    for (uint32_t l = 0; l < c->chain.n_layers; l++) {
        for (uint32_t r = 0; r < c->chain.layer[l].rows; r++)
            next[r] = push_row(c, &steps, &c->chain.layer[l], r, at);
        memcpy(at, next, sizeof at);
        for (uint32_t r = 0; c->chain.layer[l].relu && r < c->chain.layer[l].rows; r++) {
            Step s = {.kind = STEP_RELU, .of = c->chain.first[l] + r, .first = steps.term.len};
            vec_push(c->arena, steps.term, ((StepTerm){at[r], 0, 1}));
            at[r] = push_step(c, &steps, s);
        }
    }
    const double *radius = rounding_radii(c->arena, &steps, most, &(ReluBounds){facts->lo, facts->hi});
    for (uint32_t i = 0; i < c->chain.n_outputs; i++)
        c->bound[1][i] = radius[at[i]];
}
#else
static void bound_by_proof(Case *c, const Facts *facts)
{
    (void)facts;
    memcpy(c->bound[1], c->bound[0], sizeof c->bound[1]);
}
#endif

static void set_bounds(Case *c)
{
    bool finite;
    Facts facts = facts_new(c->arena, &c->chain);
    bounds_tighten(&c->chain, bounds_scratch(c->arena, &c->chain), c->lo, c->hi, &facts);
    c->code = (Code){.state = facts.state, .alive = facts.alive, .lo = c->lo, .hi = c->hi};
    const double *bound = source_errors(c->arena, &c->chain, &c->code, facts.lo, facts.hi, &finite);
    CU_ASSERT_TRUE(finite);
    memcpy(c->bound[0], bound, c->chain.n_outputs * sizeof *bound);
    bound_by_proof(c, &facts);
}

static void make(Case *c, uint64_t seed)
{
    *c = (Case){.arena = arena_new(NULL), .state = seed * 7919 + 1};
    uint32_t layers = 2 + random_below(&c->state, DEEPEST - 1);
    c->chain = (Chain){.n_inputs = 1 + random_below(&c->state, 3), .lo = c->lo, .hi = c->hi, .layer = NEW_ARRAY(c->arena, layers, ChainLayer),
                       .first = NEW_ARRAY(c->arena, layers, uint32_t), .element = random_below(&c->state, 4) ? type_f32() : type_f64()};
    for (uint32_t l = 0; l < layers; l++)
        add_layer(c, 1 + random_below(&c->state, WIDEST), l + 1 < layers);
    c->chain.n_outputs = c->chain.layer[layers - 1].rows;
    double x[WIDEST], radius = random_below(&c->state, 8) ? exp2(-uniform(c, 0, 30)) : 0;
    for (uint32_t i = 0; i < c->chain.n_inputs; i++) {
        x[i] = single(uniform(c, -1, 1));
        c->lo[i] = x[i] - radius;
        c->hi[i] = x[i] + radius;
    }
    set_biases(c, x);
    set_bounds(c);
}

/* ---- the test ---- */

static void random_push(Case *c, Values push)
{
    for (uint32_t l = 0; l < DEEPEST; l++)
        for (uint32_t r = 0; r < WIDEST; r++)
            push[l][r] = uniform(c, -1, 1);
}

/* The greatest |computed − real| / bound that was found, by bound. */
static void attack(Case *c, double worst[2])
{
    double x[WIDEST];
    for (int point = 0; point < 20; point++) {
        for (uint32_t i = 0; i < c->chain.n_inputs; i++)
            x[i] = uniform(c, c->lo[i], c->hi[i]);
        Values real, push, computed;
        evaluate(c, x, NULL, real);
        for (uint32_t of = 0; of < c->chain.n_outputs; of++)
            for (int way = 0; way < 4; way++) {
                if (way < 2)
                    follow_derivative(c, of, real, push);
                else
                    random_push(c, push);
                for (uint32_t i = 0; way == 1 && i < DEEPEST * WIDEST; i++)
                    push[i / WIDEST][i % WIDEST] *= -1;
                evaluate(c, x, push, computed);
                uint32_t l = c->chain.n_layers - 1;
                for (int b = 0; b < 2; b++)
                    worst[b] = fmax(worst[b], (double)fabsl(computed[l][of] - real[l][of]) / fmax(c->bound[b][of], 0x1p-900));
            }
    }
}

static void test_attacks(void)
{
    int close[2] = {0};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        Case c;
        double worst[2] = {0};
        make(&c, seed);
        attack(&c, worst);
        for (int b = 0; b < 2; b++) {
            if (worst[b] > 1 + 0x1p-8)          /* long doubles round, too */
                fprintf(stderr, "seed %llu: %g of the bound of the %s\n", (unsigned long long)seed, worst[b], b ? "proof" : "pass");
            CU_ASSERT(worst[b] <= 1 + 0x1p-8);
            close[b] += worst[b] > 0.95;
        }
        arena_free(c.arena);
    }
    CU_ASSERT(close[0] > 300 && close[1] > 300);              /* else nothing is seen */
}

/* ---- leaves ---- */

enum { MOST_VALUES = 8 * DEEPEST * WIDEST };

/* Output 0 as a leaf computes it, row i off by push[i] of what it may be; returns how many rows there are. */
static uint32_t run_leaf(const Case *c, const Leaf *leaf, const double *x, const double *push, long double *y)
{
    long double basis[MOST_VALUES], z[MOST_VALUES];
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < c->chain.n_inputs; i++)
        if (input_is_free(&c->chain, i))
            basis[n++] = x[i];
    for (uint32_t t = 0; t < leaf->n_stages; t++) {
        const Stage *s = &leaf->stage[t];
        uint32_t rows = s->plain + s->relu;
        ChainLayer layer = {.rows = rows, .cols = s->cols, .weight = s->weight, .bias = s->bias};
        for (uint32_t r = 0; r < rows; r++) {
            z[r] = s->bias[r];
            for (uint32_t k = 0; k < s->cols; k++)
                z[r] += (long double)s->weight[r * s->cols + k] * basis[k];
            z[r] += push[at++] * rounding(c, &layer, r, basis);
        }
        n = s->kept ? 0 : n;
        for (uint32_t r = 0; r < rows; r++)
            basis[n++] = r >= s->plain && z[r] <= 0 ? 0 : z[r];
    }
    *y = z[0];
    return at;
}

/* Turns the direction of one row after the other, if that makes it worse. */
static double attack_leaf(Case *c, const Leaf *leaf, const double *x, int sign)
{
    Values real;
    double push[MOST_VALUES];
    long double y, best;
    evaluate(c, x, NULL, real);
    for (uint32_t i = 0; i < MOST_VALUES; i++)
        push[i] = random_below(&c->state, 2) ? 1 : -1;
    uint32_t rows = run_leaf(c, leaf, x, push, &best);
    for (uint32_t i = rows; i-- > 0;) {
        push[i] *= -1;
        run_leaf(c, leaf, x, push, &y);
        if (sign * y > sign * best)
            best = y;
        else
            push[i] *= -1;
    }
    return (double)fabsl(best - real[c->chain.n_layers - 1][0]);
}

static void test_leaves(void)
{
    int close = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        Case c;
        double x[WIDEST], worst = 0;
        make(&c, seed);
        c.code.how.kept = random_next(&c.state);
        Leaf leaf = leaf_compose(c.arena, c.arena, &c.chain, &c.code);
        for (int point = 0; leaf.n_stages && point < 4; point++) {
            for (uint32_t i = 0; i < c.chain.n_inputs; i++)
                x[i] = uniform(&c, c.lo[i], c.hi[i]);
            worst = fmax(worst, attack_leaf(&c, &leaf, x, point % 2 ? 1 : -1) / leaf.compiled);
        }
        if (worst > 1 + 0x1p-8)
            fprintf(stderr, "seed %llu: %g of the bound of the leaf\n", (unsigned long long)seed, worst);
        CU_ASSERT(worst <= 1 + 0x1p-8);
        close += worst > 0.7;
        arena_free(c.arena);
    }
    CU_ASSERT(close > 100);
}

void suite_split_error(void)
{
    CU_pSuite suite = CU_add_suite("split_error", NULL, NULL);
    CU_add_test(suite, "leaves that round as badly as they may", test_leaves);
    CU_add_test(suite, "evaluations that round as badly as they may", test_attacks);
}
