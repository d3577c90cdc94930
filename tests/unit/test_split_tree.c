/* test_split_tree.c — trees over input boxes: what is grown and chosen for random small chains, and what its leaves are said to cost.
 *
 *      leaf cost     the cheapest set of kept layers by trying all of them with rows laid out one by one; its worst case is reached
 *      growth        cuts are numbers of the type inside their part; what a leaf knows holds on random points of it
 *      threads       1, 2 and 5 give the same tree
 *      choice        within the bytes and the worst case; every code is correct where it runs; never more operations than all at once
 */
#include "../../passes/split/split.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

void suite_split_tree(void);

enum { MOST_ROWS = 7, MOST_HIDDEN = 4 };

typedef struct Case { Arena *arena; uint64_t state; Chain chain; } Case;

static uint32_t below(Case *c, uint32_t n) { return random_below(&c->state, n); }

static double unit(Case *c) { return (double)(random_next(&c->state) >> 11) * 0x1p-53; }

/* ---- random chains ---- */

static void index_layer(Case *c, ChainLayer *layer)
{
    uint64_t *start = NEW_ARRAY(c->arena, layer->rows + 1, uint64_t), n = 0;
    uint32_t *column = NEW_ARRAY(c->arena, (size_t)layer->rows * layer->cols, uint32_t);
    for (uint32_t r = 0; r < layer->rows; r++) {
        for (uint32_t k = 0; k < layer->cols; k++)
            if (layer->weight[r * layer->cols + k] != 0)
                column[n++] = k;
        start[r + 1] = n;
    }
    layer->start = start;
    layer->column = column;
    layer->nonzeros = n;
}

static ChainLayer random_layer(Case *c, uint32_t cols, uint32_t rows, bool relu)
{
    double *weight = NEW_ARRAY(c->arena, (size_t)rows * cols, double), *bias = NEW_ARRAY(c->arena, rows, double);
    for (uint32_t i = 0; i < rows * cols; i++)
        weight[i] = below(c, 6) == 0 ? 0 : (float)(unit(c) * 2 - 1);
    for (uint32_t r = 0; r < rows; r++)
        bias[r] = (float)(unit(c) - 0.5);
    ChainLayer layer = {.rows = rows, .cols = cols, .weight = weight, .bias = bias, .relu = relu};
    index_layer(c, &layer);
    return layer;
}

static Case random_chain(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .state = seed * 977 + 5};
    uint32_t hidden = 1 + below(&c, MOST_HIDDEN), n = 1 + below(&c, 3), cols = n;
    double *lo = NEW_ARRAY(c.arena, n, double), *hi = NEW_ARRAY(c.arena, n, double);
    Chain *chain = &c.chain;
    *chain = (Chain){.n_layers = hidden + 1, .n_inputs = n, .n_outputs = 1 + below(&c, 4), .lo = lo, .hi = hi,
                     .element = below(&c, 2) ? type_f32() : type_f64()};
    chain->layer = NEW_ARRAY(c.arena, chain->n_layers, ChainLayer);
    chain->first = NEW_ARRAY(c.arena, chain->n_layers, uint32_t);
    for (uint32_t i = 0; i < n; i++) {
        lo[i] = (float)(-2 * unit(&c));
        hi[i] = i > 0 && below(&c, 5) == 0 ? lo[i] : (float)(2 * unit(&c));
    }
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        bool last = l == hidden;
        uint32_t rows = last ? chain->n_outputs : 1 + below(&c, MOST_ROWS);
        chain->layer[l] = random_layer(&c, cols, rows, !last || below(&c, 4) == 0);
        chain->first[l] = chain->n_neurons;
        chain->n_neurons += rows;
        cols = rows;
    }
    if (chain->n_outputs > 1 && !chain->layer[hidden].relu && below(&c, 2))
        chain->winner = WINNER_argmax;
    chain->dense_bytes = 1000;
    return c;
}

/* ---- what a leaf costs ---- */

typedef struct Naive { double mean; uint32_t worst; } Naive;

/* With rows one by one: `kept` says for each layer whether its on rows are computed. */
static Naive naive_cost(const Chain *chain, const uint8_t *state, const uint8_t *alive, uint64_t kept, uint32_t n_free)
{
    Naive cost = {0};
    double mean = n_free;
    uint32_t most = n_free, k = 0;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        bool last = l + 1 == chain->n_layers;
        double next_mean = 0;
        uint32_t next = 0, rows = 0;
        for (uint32_t r = 0; r < chain->layer[l].rows; r++) {
            uint8_t s = state[chain->first[l] + r];
            bool computed = s == STATE_UNSTABLE || (s == STATE_ON && (last || (kept >> l & 1)));
            rows += s != STATE_OFF;
            if (!computed || (last && chain->winner != WINNER_none))
                continue;
            cost.mean += 2 * mean + (s == STATE_UNSTABLE);
            cost.worst += 2 * most + (s == STATE_UNSTABLE);
            next_mean += s == STATE_ON ? 1 : 0.5;
            next++;
        }
        if (rows == 0)
            return (Naive){0};
        mean = kept >> l & 1 ? next_mean : mean + next_mean;
        most = kept >> l & 1 ? next : most + next;
        if (l + 2 == chain->n_layers && chain->winner != WINNER_none) {
            for (uint32_t i = 0; i < chain->n_outputs; i++)
                k += alive[i];
            cost.mean += (k - 1) * (2 * mean + 1);
            cost.worst += (k - 1) * (2 * most + 1);
            return k == 1 ? (Naive){0} : cost;
        }
    }
    return cost;
}

static void check_leaf_cost(uint64_t seed)
{
    Case c = random_chain(seed);
    const Chain *chain = &c.chain;
    uint8_t state[64], alive[8];
    double z[64], least = INFINITY;
    uint32_t n_free = 0, reached = 0;
    for (uint32_t i = 0; i < chain->n_inputs; i++)
        n_free += chain->lo[i] < chain->hi[i];
    for (uint32_t l = 0; l < chain->n_layers; l++)
        for (uint32_t r = 0; r < chain->layer[l].rows; r++) {
            uint32_t i = chain->first[l] + r;
            state[i] = chain->layer[l].relu ? (uint8_t)below(&c, 3) : STATE_ON;
            z[i] = 1;
        }
    alive[0] = 1;
    for (uint32_t i = 1; i < chain->n_outputs; i++)
        alive[i] = chain->winner == WINNER_none || below(&c, 2);
    LeafCode how = leaf_code(chain, state, alive);
    for (uint64_t kept = 0; kept >> (chain->n_layers - 1) == 0; kept++) {
        Naive cost = naive_cost(chain, state, alive, kept, n_free);
        least = fmin(least, cost.mean);
        reached |= kept == (how.kept & (((uint64_t)1 << (chain->n_layers - 1)) - 1)) && cost.mean == how.mean && cost.worst == how.worst;
    }
    CU_ASSERT(how.mean == least);
    CU_ASSERT(reached);
    CU_ASSERT(leaf_ops(chain, state, alive, how, z) == how.worst);
    arena_free(c.arena);
}

static void test_leaf_cost(void)
{
    for (uint64_t seed = 0; seed < 4000; seed++)
        check_leaf_cost(seed);
}

/* ---- growth ---- */

static double random_between(Case *c, double lo, double hi)
{
    double d = lo + unit(c) * (hi - lo);
    d = c->chain.element.elem == ELEM_F32 ? (float)d : d;
    return d < lo ? lo : d > hi ? hi : d;
}

/* Whether what is known holds at x, up to the rounding of doubles. */
static bool holds_at(const Case *c, const uint8_t *state, const uint8_t *alive, const double *x)
{
    const Chain *chain = &c->chain;
    double z[64], h[64];
    chain_evaluate(chain, x, z, h);
    const double *y = z + chain->first[chain->n_layers - 1];
    for (uint32_t i = 0; i < chain->n_neurons; i++)
        if ((state[i] == STATE_OFF && z[i] > 1e-9) || (state[i] == STATE_ON && z[i] < -1e-9 && i < chain->first[chain->n_layers - 1]))
            return false;
    for (uint32_t i = 0; i < chain->n_outputs && chain->winner != WINNER_none; i++) {
        bool best = true;
        for (uint32_t k = 0; k < chain->n_outputs; k++)
            best &= k == i || y[i] > y[k] + 1e-9;
        if (best && !alive[i])
            return false;
    }
    return true;
}

static bool is_of_type(const Chain *chain, double d) { return chain->element.elem == ELEM_F64 || (double)(float)d == d; }

static void check_part(Case *c, const Growth *g, int32_t i, double *lo, double *hi, uint32_t *leaves)
{
    const GrowNode *n = &g->node.at[i];
    uint8_t state[64], alive[8];
    double x[4];
    known_unpack(&c->chain, n->known, state, alive);
    for (int k = 0; k < 4; k++) {
        for (uint32_t j = 0; j < c->chain.n_inputs; j++)
            x[j] = random_between(c, lo[j], hi[j]);
        CU_ASSERT(holds_at(c, state, alive, x));
    }
    if (n->child[0] < 0) {
        ++*leaves;
        return;
    }
    double low = lo[n->coordinate], high = hi[n->coordinate];
    CU_ASSERT(low < n->cut && n->cut < high && is_of_type(&c->chain, n->cut) && !(n->cut == 0 && signbit(n->cut)));
    CU_ASSERT(n->child[0] > i && n->child[1] > i && g->node.at[n->child[0]].parent == i && g->node.at[n->child[1]].parent == i);
    CU_ASSERT(fabs(n->share - g->node.at[n->child[0]].share - g->node.at[n->child[1]].share) < 1e-12);
    hi[n->coordinate] = n->cut;
    check_part(c, g, n->child[0], lo, hi, leaves);
    hi[n->coordinate] = high;
    lo[n->coordinate] = n->cut;
    check_part(c, g, n->child[1], lo, hi, leaves);
    lo[n->coordinate] = low;
}

static GrowOptions random_options(Case *c, uint32_t threads)
{
    GrowOptions options = {.threads = threads, .worst_first = below(c, 4) == 0, .worst = 0};
    options.worst = options.worst_first ? 20 + below(c, 100) : 0;
    if (below(c, 3) == 0) {
        options.n_samples = 1 + below(c, 40);
        double *at = NEW_ARRAY(c->arena, options.n_samples * c->chain.n_inputs, double);
        for (uint32_t i = 0; i < options.n_samples * c->chain.n_inputs; i++)
            at[i] = random_between(c, c->chain.lo[i % c->chain.n_inputs], c->chain.hi[i % c->chain.n_inputs]);
        options.sample = at;
    }
    return options;
}

static void test_growth(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        Case c = random_chain(seed);
        GrowOptions options = random_options(&c, 1);
        Growth g;
        uint32_t leaves = 0;
        double lo[4], hi[4];
        memcpy(lo, c.chain.lo, c.chain.n_inputs * sizeof *lo);
        memcpy(hi, c.chain.hi, c.chain.n_inputs * sizeof *hi);
        growth_start(c.arena, &c.chain, &options, &g);
        growth_to(&g, 1 + below(&c, 10));
        growth_to(&g, 40);
        check_part(&c, &g, 0, lo, hi, &leaves);
        CU_ASSERT(leaves == g.n_leaves && leaves <= 40 && g.node.len == 2 * leaves - 1);
        arena_free(c.arena);
    }
}

static bool same_growth(const Chain *chain, const Growth *a, const Growth *b)
{
    bool same = a->node.len == b->node.len;
    for (size_t i = 0; same && i < a->node.len; i++) {
        const GrowNode *x = &a->node.at[i], *y = &b->node.at[i];
        same = x->child[0] == y->child[0] && x->child[1] == y->child[1] && x->coordinate == y->coordinate && x->cut == y->cut
            && x->share == y->share && memcmp(x->known, y->known, known_bytes(chain)) == 0;
    }
    return same;
}

static void test_threads(void)
{
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        const uint32_t threads[3] = {1, 2, 5};
        Growth g[3];
        Case c = random_chain(seed);
        GrowOptions options = random_options(&c, 1);
        for (int i = 0; i < 3; i++) {
            options.threads = threads[i];
            growth_start(c.arena, &c.chain, &options, &g[i]);
            growth_to(&g[i], 100);
        }
        CU_ASSERT(same_growth(&c.chain, &g[0], &g[1]) && same_growth(&c.chain, &g[0], &g[2]));
        arena_free(c.arena);
    }
}

/* ---- choice ---- */

static double expected(const Split *split, int32_t at)
{
    if (at < 0)
        return split->share[~at] * split->codes[split->code[~at]].how.mean;
    double sum = expected(split, split->node[at].child[0]) + expected(split, split->node[at].child[1]);
    return sum;
}

static double share_below(const Split *split, int32_t at)
{
    return at < 0 ? split->share[~at] : share_below(split, split->node[at].child[0]) + share_below(split, split->node[at].child[1]);
}

/* Operations of the leaves, and a comparison at each node for what comes by. */
static double operations(const Split *split)
{
    int32_t root = split->n_nodes ? 0 : ~0;
    double sum = expected(split, root);
    for (uint32_t i = 0; i < split->n_nodes; i++)
        sum += share_below(split, (int32_t)i);
    return sum;
}

static void check_choice(Case *c, Growth *g, ChooseLimits limits, double whole)
{
    Split split;
    uint32_t depth;
    if (!choose_split(c->arena, &c->chain, g, &limits, &split)) {
        CU_ASSERT(limits.worst > 0 || limits.bytes < UINT64_MAX);
        return;
    }
    CU_ASSERT(split.n_leaves == split.n_nodes + 1 && split.n_codes <= split.n_leaves);
    CU_ASSERT(split_bytes(&c->chain, &split) <= limits.bytes);
    CU_ASSERT(limits.worst == 0 || split_worst(c->arena, &split) <= limits.worst);
    CU_ASSERT(limits.worst > 0 || operations(&split) <= whole * (1 + 1e-12));
    for (int k = 0; k < 200; k++) {
        double x[4];
        bool inside = true;
        for (uint32_t j = 0; j < c->chain.n_inputs; j++)
            x[j] = random_between(c, c->chain.lo[j], c->chain.hi[j]);
        const Code *code = &split.codes[split.code[split_leaf(&split, x, &depth)]];
        for (uint32_t j = 0; j < c->chain.n_inputs; j++)
            inside &= code->lo[j] <= x[j] && x[j] <= code->hi[j];
        CU_ASSERT(inside && holds_at(c, code->state, code->alive, x));
        CU_ASSERT(leaf_code(&c->chain, code->state, code->alive).mean == code->how.mean);
    }
}

static void test_choice(void)
{
    for (uint64_t seed = 2000; seed < 2200; seed++) {
        Case c = random_chain(seed);
        GrowOptions options = random_options(&c, 1);
        Growth g;
        growth_start(c.arena, &c.chain, &options, &g);
        double whole = g.node.at[0].how.mean;
        growth_to(&g, 60);
        for (uint64_t bytes = 100; bytes < 20000; bytes = bytes * 3 / 2)
            check_choice(&c, &g, (ChooseLimits){.bytes = bytes}, whole);
        check_choice(&c, &g, (ChooseLimits){.bytes = UINT64_MAX}, whole);
        check_choice(&c, &g, (ChooseLimits){.bytes = UINT64_MAX, .worst = growth_worst(&g)}, whole);
        check_choice(&c, &g, (ChooseLimits){.bytes = 2000, .worst = growth_worst(&g) + 20}, whole);
        arena_free(c.arena);
    }
}

/* Without a limit it is the least of all trees: no pruning, each leaf with its own code or that of a node above it, takes less. */
static double least_by_hand(const Growth *g, int32_t i, double above)
{
    const GrowNode *n = &g->node.at[i];
    double code = fmin(above, n->how.mean), leaf = n->share * code;
    return n->child[0] < 0 ? leaf : fmin(leaf, n->share + least_by_hand(g, n->child[0], code) + least_by_hand(g, n->child[1], code));
}

static void test_least(void)
{
    for (uint64_t seed = 3000; seed < 3100; seed++) {
        Case c = random_chain(seed);
        GrowOptions options = {.threads = 1};
        Growth g;
        Split split;
        growth_start(c.arena, &c.chain, &options, &g);
        growth_to(&g, 30);
        CU_ASSERT(choose_split(c.arena, &c.chain, &g, &(ChooseLimits){.bytes = UINT64_MAX}, &split));
        CU_ASSERT(fabs(operations(&split) - least_by_hand(&g, 0, INFINITY)) <= 1e-9 * (1 + operations(&split)));
        arena_free(c.arena);
    }
}

void suite_split_tree(void)
{
    CU_pSuite s = CU_add_suite("split_tree", NULL, NULL);
    CU_add_test(s, "leaf cost", test_leaf_cost);
    CU_add_test(s, "growth", test_growth);
    CU_add_test(s, "threads", test_threads);
    CU_add_test(s, "choice", test_choice);
    CU_add_test(s, "least operations", test_least);
}
