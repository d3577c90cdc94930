/* test_split_bounds.c — what is said to hold on a box holds at every point of it, exactly.
 *
 *      exactly       weights, biases and inputs are integers, each layer in a unit of its own (a power of two), so that values are integers
 *                    of 128 bits; doubles that lo and hi are compared with are scaled without loss
 *      networks      random: wide and narrow, with zeros, with weights that cancel, with biases that make z = 0 at a point that is
 *                    tried, in units so small that numbers underflow, or so large that they overflow
 *      boxes         random, with inputs that are fixed; then parts of parts of them: nothing that was known is lost
 *      winners       whatever is greatest at a point is alive there
 *      not vacuous   bounds of a first layer are its extremes; a known share of relus and classes is decided
 */
#include "../../passes/split/split.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

void suite_split_bounds(void);

typedef __int128 Exact;

enum { MOST_LAYERS = 5, MOST_WIDTH = 80, PARTS = 4, POINTS = 40 };

typedef struct Case {
    Arena *arena;
    Chain chain;
    uint64_t seed, state;
    uint32_t n_layers, width[MOST_LAYERS + 1];                     /* width[0]: the inputs */
    bool relu[MOST_LAYERS];
    int64_t *weight[MOST_LAYERS], *bias[MOST_LAYERS];              /* in units of 2^unit[l + 1]; in those of its layer's values */
    int unit[MOST_LAYERS + 1];                                     /* [0]: of the inputs */
    int64_t lo[MOST_WIDTH], hi[MOST_WIDTH], tried[MOST_WIDTH];     /* of the box, and a point in it */
    Exact z[MOST_LAYERS][MOST_WIDTH];
} Case;

static uint32_t below(Case *c, uint32_t n) { return random_below(&c->state, n); }
static int64_t within(Case *c, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_next(&c->state) % (uint64_t)(hi - lo + 1));
}

/* Fills z. */
static void evaluate(Case *c, const int64_t *x)
{
    Exact h[MOST_WIDTH];
    for (uint32_t i = 0; i < c->width[0]; i++)
        h[i] = x[i];
    for (uint32_t l = 0; l < c->n_layers; l++) {
        for (uint32_t r = 0; r < c->width[l + 1]; r++) {
            Exact z = c->bias[l][r];
            for (uint32_t i = 0; i < c->width[l]; i++)
                z += c->weight[l][r * c->width[l] + i] * h[i];
            c->z[l][r] = z;
        }
        for (uint32_t r = 0; r < c->width[l + 1]; r++)
            h[r] = c->relu[l] && c->z[l][r] < 0 ? 0 : c->z[l][r];
    }
}

/* ---- making ---- */

static void random_layer(Case *c, uint32_t l, uint32_t bits, uint32_t zeros)
{
    uint32_t rows = c->width[l + 1], cols = c->width[l];
    int64_t most = (int64_t)1 << bits;
    c->weight[l] = NEW_ARRAY(c->arena, (size_t)rows * cols, int64_t);
    c->bias[l] = NEW_ARRAY(c->arena, rows, int64_t);
    for (uint32_t i = 0; i < rows * cols; i++)
        c->weight[l][i] = below(c, 100) < zeros ? 0 : within(c, -most, most);
    for (uint32_t r = 0; r < rows && below(c, 3) == 0; r++)        /* neighbours that cancel but for little */
        for (uint32_t i = 1; i < cols; i += 2)
            c->weight[l][r * cols + i] = 1 - c->weight[l][r * cols + i - 1];
    evaluate(c, c->tried);                                          /* biases are 0 yet: what a tie takes */
    for (uint32_t r = 0; r < rows; r++) {
        Exact z = c->z[l][r];
        bool fits = z < (Exact)1 << 53 && z > -((Exact)1 << 53);
        int64_t size = fits ? (int64_t)(z < 0 ? -z : z) + 1 : (int64_t)1 << 53;
        c->bias[l][r] = fits && below(c, 3) == 0 ? (int64_t)-z : below(c, 3) ? within(c, -size, size) : 0;
        if (r > 0 && below(c, 12) == 0) {                           /* a row twice: ties between winners */
            memcpy(c->weight[l] + r * cols, c->weight[l] + (r - 1) * cols, cols * sizeof(int64_t));
            c->bias[l][r] = c->bias[l][r - 1];
        }
    }
}

static ConstId numbers(Case *c, Module *m, Type t, const int64_t *from, int unit)
{
    uint64_t n = type_count(t);
    double *data = NEW_ARRAY(c->arena, n, double);
    for (uint64_t i = 0; i < n; i++)
        data[i] = ldexp((double)from[i], unit);
    return const_add(m, "c", t, data, NOWHERE);
}

static int unit_of_values(const Case *c, uint32_t l)
{
    int unit = c->unit[0];
    for (uint32_t q = 0; q <= l; q++)
        unit += c->unit[q + 1];
    return unit;
}

static void make_chain(Case *c, Winner winner)
{
    Type f64 = type_f64();
    Module *m = module_new(c->arena, diag_new(c->arena));
    Network *net = network_new(m, "n", NOWHERE);
    int64_t box[2 * MOST_WIDTH];
    memcpy(box, c->lo, c->width[0] * sizeof *box);
    memcpy(box + c->width[0], c->hi, c->width[0] * sizeof *box);
    ConstId id = numbers(c, m, type_matrix(f64, 2, c->width[0]), box, c->unit[0]);
    Value v = network_add_input(net, "x", type_vector(f64, c->width[0]), id, NOWHERE);
    Builder b = builder_at_end(net->body);
    for (uint32_t l = 0; l < c->n_layers; l++) {
        ConstId W = numbers(c, m, type_matrix(f64, c->width[l + 1], c->width[l]), c->weight[l], c->unit[l + 1]);
        v = build_affine(&b, v, W, numbers(c, m, type_vector(f64, c->width[l + 1]), c->bias[l], unit_of_values(c, l)), 0);
        v = c->relu[l] ? build_unary(&b, OP_relu, v) : v;
    }
    if (winner != WINNER_none)
        v = build_cast(&b, build_unary(&b, winner == WINNER_argmax ? OP_argmax : OP_argmin, v), type_int(32));
    network_add_output(net, "y", value_type(net, v), NOWHERE);
    build_return(&b, 1, &v, 0);
    network_done(net);
    const char *why;
    bool ok = chain_of(c->arena, net, &c->chain, &why);
    CU_ASSERT_FATAL(ok);
}

typedef enum Style { STYLE_plain, STYLE_cancelling, STYLE_wide, STYLE_sparse, STYLE_tiny, STYLE_huge, STYLE_steep, N_STYLES } Style;

static Case random_case(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed, .state = seed * 7919 + 1};
    Style style = (Style)(seed % N_STYLES);
    bool wide = style == STYLE_wide || style == STYLE_sparse;
    uint32_t bits = style == STYLE_cancelling ? 18 : 3 + below(&c, 6), zeros = style == STYLE_sparse ? 92 : below(&c, 2) * 30;
    c.n_layers = 2 + below(&c, style == STYLE_cancelling || style == STYLE_steep ? 2 : MOST_LAYERS - 1);
    c.width[0] = 1 + below(&c, 4);
    Winner winner = (Winner)below(&c, 3);
    for (uint32_t i = 0; i < c.width[0]; i++) {
        int64_t most = (int64_t)1 << (1 + below(&c, 12));
        c.lo[i] = within(&c, -most, most);
        c.hi[i] = c.lo[i] + (below(&c, 5) ? within(&c, 0, most) : 0);
        c.tried[i] = within(&c, c.lo[i], c.hi[i]);
    }
    for (uint32_t l = 0; l <= c.n_layers; l++)
        c.unit[l] = style == STYLE_tiny ? -(int)below(&c, 400) : style == STYLE_huge ? (int)below(&c, 161) : 3 - (int)below(&c, 12);
    for (uint32_t l = 0; l <= c.n_layers && style == STYLE_steep; l++)      /* coefficients overflow, values do not */
        c.unit[l] = l == 0 ? -1000 : 500 + (int)below(&c, 60);
    uint32_t layers = c.n_layers;
    for (c.n_layers = 0; c.n_layers < layers; c.n_layers++) {
        uint32_t l = c.n_layers;
        c.width[l + 1] = 1 + below(&c, wide ? MOST_WIDTH : 9);
        c.relu[l] = l + 1 < layers ? l == 0 || below(&c, 6) > 0 : winner == WINNER_none && below(&c, 4) == 0;
        c.n_layers++;                         /* evaluate() goes as far as this layer */
        random_layer(&c, l, bits, zeros);
        c.n_layers--;
    }
    make_chain(&c, winner);
    return c;
}

/* ---- checking ---- */

/* d <= z · 2^unit, d a double: exactly. */
static bool is_below(double d, Exact z, int unit)
{
    int e;
    (void)frexp(d, &e);
    if (d == 0 || isinf(d))
        return d == 0 ? z >= 0 : d < 0;
    if (e - unit > 126)                       /* beyond all integers of 127 bits */
        return d < 0;
    if (e - unit < -60)                       /* between -1 and 1 */
        return d < 0 ? z >= 0 : z > 0;
    return (Exact)ceil(ldexp(d, -unit)) <= z;
}

static bool same_or_better(const Chain *n, const Facts *child, const Facts *parent)
{
    bool ok = true;
    for (uint32_t i = 0; i < n->n_neurons; i++)
        ok &= child->lo[i] >= parent->lo[i] && child->hi[i] <= parent->hi[i]
              && (parent->state[i] == STATE_UNSTABLE || child->state[i] == parent->state[i]);
    for (uint32_t i = 0; i < n->n_outputs; i++)
        ok &= child->alive[i] <= parent->alive[i];
    return ok;
}

static bool holds_at(Case *c, const int64_t *x, const Facts *f)
{
    const Chain *n = &c->chain;
    bool ok = true;
    evaluate(c, x);
    for (uint32_t l = 0; l < c->n_layers; l++) {
        bool negated = n->winner == WINNER_argmin && l == c->n_layers - 1;
        for (uint32_t r = 0; r < c->width[l + 1]; r++) {
            uint32_t i = n->first[l] + r;
            Exact z = negated ? -c->z[l][r] : c->z[l][r];
            int unit = unit_of_values(c, l);
            ok &= is_below(f->lo[i], z, unit) && is_below(-f->hi[i], -z, unit);
            ok &= !(f->state[i] == STATE_OFF && z > 0) && !(f->state[i] == STATE_ON && c->relu[l] && z < 0);
        }
    }
    const Exact *y = c->z[c->n_layers - 1];
    Exact best = y[0];
    for (uint32_t r = 1; r < n->n_outputs; r++)
        best = (n->winner == WINNER_argmin ? y[r] < best : y[r] > best) ? y[r] : best;
    for (uint32_t r = 0; r < n->n_outputs; r++)
        ok &= f->alive[r] || (n->winner != WINNER_none && y[r] != best);
    return ok;
}

/* Corners, the point where biases made ties, and points at random. */
static void some_point(Case *c, uint32_t number, const int64_t *lo, const int64_t *hi, int64_t *x)
{
    bool inside = true;
    for (uint32_t i = 0; i < c->width[0]; i++) {
        inside &= lo[i] <= c->tried[i] && c->tried[i] <= hi[i];
        x[i] = number < 16 ? (number >> i & 1 ? hi[i] : lo[i]) : within(c, lo[i], hi[i]);
    }
    if (number == 16 && inside)
        memcpy(x, c->tried, c->width[0] * sizeof *x);
}

static bool check_part(Case *c, const int64_t *lo, const int64_t *hi, const Facts *f)
{
    bool ok = true;
    int64_t x[MOST_WIDTH];
    for (uint32_t k = 0; k < POINTS; k++) {
        some_point(c, k, lo, hi, x);
        ok &= holds_at(c, x, f);
    }
    return ok;
}

typedef struct Tally { uint64_t relus, decided, classes, dead; } Tally;

static void count_decided(const Chain *n, const Facts *f, Tally *t)
{
    for (uint32_t l = 0; l < n->n_layers; l++)
        for (uint32_t r = 0; r < n->layer[l].rows && n->layer[l].relu; r++) {
            t->relus++;
            t->decided += f->state[n->first[l] + r] != STATE_UNSTABLE;
        }
    for (uint32_t r = 0; r < n->n_outputs && n->winner != WINNER_none; r++) {
        t->classes++;
        t->dead += !f->alive[r];
    }
}

static bool same_facts(const Chain *n, const Facts *a, const Facts *b)
{
    return memcmp(a->state, b->state, n->n_neurons) == 0 && memcmp(a->alive, b->alive, n->n_outputs) == 0
        && memcmp(a->lo, b->lo, n->n_neurons * sizeof *a->lo) == 0 && memcmp(a->hi, b->hi, n->n_neurons * sizeof *a->hi) == 0;
}

/* The box, then a part of it, then a part of that: cut at random, as a tree would. */
static bool check_case(Case *c, Tally *tally)
{
    const Chain *n = &c->chain;
    BoundsScratch *scratch = bounds_scratch(c->arena, n);
    Facts parent = facts_new(c->arena, n), child = facts_new(c->arena, n), again = facts_new(c->arena, n);
    int64_t lo[MOST_WIDTH], hi[MOST_WIDTH];
    memcpy(lo, c->lo, sizeof lo);
    memcpy(hi, c->hi, sizeof hi);
    bool ok = true;
    for (uint32_t part = 0; part < PARTS; part++) {
        double low[MOST_WIDTH], high[MOST_WIDTH];
        for (uint32_t i = 0; i < c->width[0]; i++) {
            low[i] = ldexp((double)lo[i], c->unit[0]);
            high[i] = ldexp((double)hi[i], c->unit[0]);
        }
        facts_copy(n, &child, &parent);
        facts_copy(n, &again, &parent);
        bounds_tighten(n, scratch, low, high, &child);
        bounds_tighten(n, bounds_scratch(c->arena, n), low, high, &again);
        ok &= same_facts(n, &child, &again) && same_or_better(n, &child, &parent) && check_part(c, lo, hi, &child);
        count_decided(n, &child, tally);
        facts_copy(n, &parent, &child);
        for (uint32_t i = 0; i < c->width[0]; i++) {
            int64_t cut = within(c, lo[i], hi[i]);
            *(below(c, 2) ? &lo[i] : &hi[i]) = cut;
        }
    }
    return ok;
}

static void facts_hold(void)
{
    Tally tally = {0};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        Case c = random_case(seed);
        bool ok = check_case(&c, &tally);
        if (!ok)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        CU_ASSERT(ok);
        arena_free(c.arena);
    }
    CU_ASSERT(tally.decided > tally.relus / 2);
    CU_ASSERT(tally.dead > tally.classes / 3);
}

/* The bounds of a first layer are what it takes at corners, but for a few last bits. */
static void first_layer_is_tight(void)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        Case c = random_case(seed * N_STYLES);
        Facts f = facts_new(c.arena, &c.chain);
        bounds_tighten(&c.chain, bounds_scratch(c.arena, &c.chain), c.chain.lo, c.chain.hi, &f);
        int64_t x[MOST_WIDTH];
        for (uint32_t r = 0; r < c.width[1]; r++) {
            double hi = -INFINITY, lo = INFINITY, size = 0;
            for (uint32_t k = 0; k < 16; k++) {
                some_point(&c, k, c.lo, c.hi, x);
                evaluate(&c, x);
                double z = ldexp((double)c.z[0][r], unit_of_values(&c, 0));
                hi = fmax(hi, z);
                lo = fmin(lo, z);
            }
            for (uint32_t i = 0; i < c.width[0]; i++)
                size += fabs(c.chain.layer[0].weight[r * c.width[0] + i]) * fmax(fabs(c.chain.lo[i]), fabs(c.chain.hi[i]));
            size += fabs(c.chain.layer[0].bias[r]);
            CU_ASSERT(f.hi[r] >= hi && f.hi[r] <= hi + 1e-13 * size + 1e-160);
            CU_ASSERT(f.lo[r] <= lo && f.lo[r] >= lo - 1e-13 * size - 1e-160);
        }
        arena_free(c.arena);
    }
}

/* |x| = relu(x) + relu(−x) lies in 0 … 1 on −1 … 1: the lines give −0 … 1, intervals alone 0 … 2; and a sum that cancels is seen. */
static void lines_beat_intervals(void)
{
    Arena *arena = arena_new(NULL);
    static const double W1[2] = {1, -1}, W2[6] = {1, 1, 1, -1, -1, 1}, W3[3] = {1, 1, 1};
    static const double b1[2] = {0}, b2[3] = {-1.25, -1.25, -1.25}, b3[1] = {0};
    static const uint64_t start[4] = {0, 2, 4, 6}, one[4] = {0, 1, 2, 3}, all[2] = {0, 3};
    static const uint32_t column[6] = {0, 1, 0, 1, 0, 1}, zero[3] = {0}, three[3] = {0, 1, 2};
    ChainLayer layer[3] = {{2, 1, W1, b1, true, 2, one, zero}, {3, 2, W2, b2, true, 6, start, column},
                           {1, 3, W3, b3, false, 3, all, three}};
    double lo = -1, hi = 1;
    Chain chain = {.n_layers = 3, .layer = layer, .n_inputs = 1, .n_outputs = 1, .lo = &lo, .hi = &hi, .n_neurons = 6,
                   .first = (uint32_t[]){0, 2, 5}};
    Facts f = facts_new(arena, &chain);
    bounds_tighten(&chain, bounds_scratch(arena, &chain), &lo, &hi, &f);
    CU_ASSERT(f.state[0] == STATE_UNSTABLE && f.state[1] == STATE_UNSTABLE);
    CU_ASSERT(f.state[2] == STATE_OFF && f.state[3] == STATE_OFF && f.state[4] == STATE_OFF);
    CU_ASSERT(f.hi[2] >= -0.25 && f.hi[2] < -0.2499999);
    arena_free(arena);
}

void suite_split_bounds(void)
{
    CU_pSuite s = CU_add_suite("split_bounds", NULL, NULL);
    CU_add_test(s, "facts hold at every point, of parts of parts of a box", facts_hold);
    CU_add_test(s, "a first layer's bounds are its extremes", first_layer_is_tight);
    CU_add_test(s, "lines decide what intervals cannot", lines_beat_intervals);
}
