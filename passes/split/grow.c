/* grow.c — cuts the input box, best first, into parts on which little of the network is left.
 *
 *      heap of leaves ── the 8 best ── each tries its cuts, on any thread ── in their order: leaf → node of two leaves ── heap
 *
 * In: a chain. Out: a binary tree of parts of its box, with what is known on each. The one idea: effort goes where inputs are expected
 * and an evaluation is long, so the leaf to cut next is the one of the largest  share · (operations − those of a leaf without relus)
 * or, for a bound on the worst case, of the most operations.
 *
 * A cut is tried by computing bounds on both halves. It is judged by what they cost and what they promise:
 *
 *      score = 1 + Σ_halves share · (mean + rows · Σ_unstable 2 min(−lo, hi) / (hi − lo))
 *
 * with as many rows as there are inputs and outputs, about what a relu costs; the inner sum is how far the unstable relus are from being
 * decided. A leaf whose best score is not below its own is cut all the same, for some cuts pay only with the next; after PATIENCE such
 * cuts in a row its leaves keep what they have: where many hyperplanes meet, cutting would go on for ever. Candidates on each input: the
 * middle; where bounds are computed fast, 3/8 and 5/8 of it, too (up to a tenth fewer operations for three times the bounds); with samples,
 * their least, quartiles and greatest.
 *
 * Ends: at the number of leaves, or when none is left to cut; no leaf is deeper than DEEPEST. The batch does not depend on the number of
 * threads, so neither does the tree. Memory: a leaf keeps the bounds of its unstable neurons, as f32 rounded outwards; a node only two
 * bits a neuron.
 */
#include "split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, DEEPEST = 160, MOST_CANDIDATES = 8, SMALLEST_BLOCK = 8, BLOCK_SIZES = 24, PATIENCE = 3 };
static const uint64_t FAST_BOUNDS = 1 << 20;      /* multiplications, at most, for which more cuts are tried */
static const double UNIFORM = 1.0 / 16;           /* of the inputs that lie anywhere, whatever the samples say */

/* What is needed of a leaf to cut it further. */
typedef struct Frontier {
    float *bounds;                /* lo, hi of each unstable neuron; NULL: it will not be cut */
    uint32_t n_bounds;
    uint32_t begin, end;          /* its samples */
    uint32_t vain;                /* cuts in a row above it that did not beat the leaf they cut */
    double volume, key;
} Frontier;

/* A leaf that is looked at: the best cut so far, and what is known on both sides. */
typedef struct Slot {
    int32_t node;
    Facts base, half[2];
    LeafCode how[2];
    double *lo, *hi;
    uint32_t coordinate;
    double cut, score, own;
    bool found;
    uint64_t evaluated;
} Slot;

typedef struct Worker { BoundsScratch *scratch; Facts half[2]; LeafCode how[2]; double *lo, *hi, *sorted; } Worker;

typedef struct Grower {
    Arena *arena;
    const Chain *chain;
    GrowOptions options;
    Growth *growth;
    Vec(Frontier) frontier;       /* by node */
    Vec(uint32_t) heap;
    uint32_t *order;              /* samples: those of a node lie together */
    float *unused[BLOCK_SIZES];   /* blocks of bounds to be had again; the first number of each links to the next */
    Slot slot[BATCH];
    Worker *worker;
    bool by_worst, fast;
    double least;                 /* what a leaf takes in which all is decided */
} Grower;

/* ---- what is known, packed ---- */

size_t known_bytes(const Chain *chain) { return (chain->n_neurons + 3) / 4 + (chain->n_outputs + 7) / 8; }

void known_pack(const Chain *chain, const uint8_t *state, const uint8_t *alive, uint8_t *known)
{
    uint8_t *bits = known + (chain->n_neurons + 3) / 4;
    memset(known, 0, known_bytes(chain));
    for (uint32_t i = 0; i < chain->n_neurons; i++)
        known[i / 4] |= (uint8_t)(state[i] << i % 4 * 2);
    for (uint32_t i = 0; i < chain->n_outputs; i++)
        bits[i / 8] |= (uint8_t)((alive[i] != 0) << i % 8);
}

void known_unpack(const Chain *chain, const uint8_t *known, uint8_t *state, uint8_t *alive)
{
    const uint8_t *bits = known + (chain->n_neurons + 3) / 4;
    for (uint32_t i = 0; i < chain->n_neurons; i++)
        state[i] = known[i / 4] >> i % 4 * 2 & 3;
    for (uint32_t i = 0; i < chain->n_outputs; i++)
        alive[i] = bits[i / 8] >> i % 8 & 1;
}

static float below(double d)
{
    float f = (float)d;
    return (double)f > d ? nextafterf(f, -INFINITY) : f;
}

static float above(double d)
{
    float f = (float)d;
    return (double)f < d ? nextafterf(f, INFINITY) : f;
}

/* ---- blocks of bounds ---- */

static uint32_t block_size(uint32_t n)
{
    uint32_t k = 0;
    while ((uint32_t)SMALLEST_BLOCK << k < n)
        k++;
    return k;
}

static float *bounds_block(Grower *g, uint32_t n)
{
    uint32_t k = block_size(n);
    float *block = g->unused[k];
    if (block)
        memcpy(&g->unused[k], block, sizeof block);
    else
        block = NEW_ARRAY(g->arena, (size_t)SMALLEST_BLOCK << k, float);
    return block;
}

static void release_block(Grower *g, Frontier *f)
{
    if (!f->bounds)
        return;
    uint32_t k = block_size(f->n_bounds);
    memcpy(f->bounds, &g->unused[k], sizeof g->unused[k]);
    g->unused[k] = f->bounds;
    f->bounds = NULL;
}

static void store_bounds(Grower *g, Frontier *f, const Facts *facts)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->chain->n_neurons; i++)
        n += facts->state[i] == STATE_UNSTABLE;
    f->n_bounds = 2 * n;
    f->bounds = bounds_block(g, 2 * n);
    n = 0;
    for (uint32_t i = 0; i < g->chain->n_neurons; i++)
        if (facts->state[i] == STATE_UNSTABLE) {
            f->bounds[n++] = below(facts->lo[i]);
            f->bounds[n++] = above(facts->hi[i]);
        }
}

static void load_facts(const Grower *g, uint32_t node, Facts *facts)
{
    const float *at = g->frontier.at[node].bounds;
    known_unpack(g->chain, g->growth->node.at[node].known, facts->state, facts->alive);
    for (uint32_t l = 0, i = 0; l < g->chain->n_layers; l++)
        for (uint32_t r = 0; r < g->chain->layer[l].rows; r++, i++) {
            bool unstable = facts->state[i] == STATE_UNSTABLE, positive = facts->state[i] == STATE_ON && g->chain->layer[l].relu;
            facts->lo[i] = unstable ? *at++ : positive ? 0 : -INFINITY;
            facts->hi[i] = unstable ? *at++ : facts->state[i] == STATE_ON ? INFINITY : 0;
        }
}

/* The part of the box, from the cuts on the way up. */
static void load_box(const Grower *g, int32_t node, double *lo, double *hi)
{
    const Chain *chain = g->chain;
    memcpy(lo, chain->lo, chain->n_inputs * sizeof *lo);
    memcpy(hi, chain->hi, chain->n_inputs * sizeof *hi);
    for (int32_t at = node, up; (up = g->growth->node.at[at].parent) >= 0; at = up) {
        const GrowNode *n = &g->growth->node.at[up];
        if (n->child[0] == at)
            hi[n->coordinate] = fmin(hi[n->coordinate], n->cut);
        else
            lo[n->coordinate] = fmax(lo[n->coordinate], n->cut);
    }
}

/* ---- the order of leaves ---- */

static uint64_t worst_of(const GrowNode *n) { return (uint64_t)n->how.worst + n->depth; }

/* The best is first; of equals the oldest. */
static bool before(const Grower *g, uint32_t a, uint32_t b)
{
    double x = g->frontier.at[a].key, y = g->frontier.at[b].key;
    return x > y || (x == y && a < b);
}

static void heap_push(Grower *g, uint32_t node)
{
    size_t i = g->heap.len;
    vec_push(g->arena, g->heap, node);
    for (; i > 0 && before(g, node, g->heap.at[(i - 1) / 2]); i = (i - 1) / 2)
        g->heap.at[i] = g->heap.at[(i - 1) / 2];
    g->heap.at[i] = node;
}

static uint32_t heap_pop(Grower *g)
{
    uint32_t best = g->heap.at[0], last = g->heap.at[--g->heap.len];
    size_t i = 0, n = g->heap.len;
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && before(g, g->heap.at[c + 1], g->heap.at[c]);
        if (before(g, last, g->heap.at[c]))
            break;
        g->heap.at[i] = g->heap.at[c];
    }
    if (n > 0)
        g->heap.at[i] = last;
    return best;
}

static double key_of(const Grower *g, const GrowNode *n)
{
    return g->by_worst ? (double)worst_of(n) : n->share * fmax(n->how.mean - g->least, 1e-3);
}

/* ---- a cut, tried ---- */

/* How much the unstable relus of a part are expected to cost beyond what they do now: none when all but one output are out. */
static double promise(const Chain *chain, const Facts *facts)
{
    uint32_t alive = 0;
    double sum = 0;
    for (uint32_t i = 0; i < chain->n_outputs; i++)
        alive += facts->alive[i] != 0;
    if (alive <= 1 && chain->winner != WINNER_none)
        return 0;
    for (uint32_t i = 0; i < chain->n_neurons; i++)
        if (facts->state[i] == STATE_UNSTABLE) {
            double part = 2 * fmin(-facts->lo[i], facts->hi[i]) / (facts->hi[i] - facts->lo[i]);
            sum += isfinite(part) ? part : 1;
        }
    return sum * (chain->n_inputs + chain->n_outputs);
}

static double to_type(const Chain *chain, double d) { return (chain->element.elem == ELEM_F32 ? (double)(float)d : d) + 0.0; }

static double next_below(const Chain *chain, double d)
{
    return (chain->element.elem == ELEM_F32 ? (double)nextafterf((float)d, -INFINITY) : nextafter(d, -INFINITY)) + 0.0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Cuts of one input to be tried: numbers of its type, inside. */
static uint32_t candidates(const Grower *g, Worker *w, const Slot *s, uint32_t coordinate, double *out)
{
    const Chain *chain = g->chain;
    const Frontier *f = &g->frontier.at[s->node];
    double lo = s->lo[coordinate], hi = s->hi[coordinate], all[MOST_CANDIDATES];
    uint32_t n = 0, kept = 0, m = f->end - f->begin;
    all[n++] = to_type(chain, lo / 2 + hi / 2);
    if (g->fast) {
        all[n++] = to_type(chain, lo * 0.625 + hi * 0.375);
        all[n++] = to_type(chain, lo * 0.375 + hi * 0.625);
    }
    for (uint32_t i = 0; i < m; i++)
        w->sorted[i] = g->options.sample[(size_t)g->order[f->begin + i] * chain->n_inputs + coordinate];
    if (m > 0) {
        qsort(w->sorted, m, sizeof *w->sorted, by_value);
        all[n++] = next_below(chain, w->sorted[0]);
        for (uint32_t q = 1; q <= 3; q++)
            all[n++] = to_type(chain, w->sorted[(uint64_t)m * q / 4]);
        all[n++] = to_type(chain, w->sorted[m - 1]);
    }
    for (uint32_t i = 0; i < n; i++) {
        bool fresh = lo < all[i] && all[i] < hi;
        for (uint32_t k = 0; k < kept; k++)
            fresh = fresh && out[k] != all[i];
        if (fresh)
            out[kept++] = all[i];
    }
    return kept;
}

static uint32_t samples_left(const Grower *g, const Frontier *f, uint32_t coordinate, double cut)
{
    uint32_t n = 0;
    for (uint32_t i = f->begin; i < f->end; i++)
        n += g->options.sample[(size_t)g->order[i] * g->chain->n_inputs + coordinate] <= cut;
    return n;
}

/* What is expected in a part of the volume with these samples. */
static double share_of(const Grower *g, double volume, uint32_t samples)
{
    if (!g->options.sample)
        return volume;
    return UNIFORM * volume + (1 - UNIFORM) * samples / g->options.n_samples;
}

typedef struct Cut { uint32_t coordinate; double at, volume[2], share[2]; uint32_t left; } Cut;

static Cut cut_at(const Grower *g, const Frontier *f, const double *lo, const double *hi, uint32_t coordinate, double at)
{
    double low = lo[coordinate], part = (at - low) / (hi[coordinate] - low);
    Cut c = {.coordinate = coordinate, .at = at, .left = samples_left(g, f, coordinate, at)};
    if (!isfinite(part))
        part = 0.5;
    c.volume[0] = f->volume * part;
    c.volume[1] = f->volume * (1 - part);
    c.share[0] = share_of(g, c.volume[0], c.left);
    c.share[1] = share_of(g, c.volume[1], f->end - f->begin - c.left);
    return c;
}

/* The second half is not looked at when the first is more than the best cut found. */
static void try_cut(const Grower *g, Worker *w, Slot *s, Cut cut)
{
    const Chain *chain = g->chain;
    double total = cut.share[0] + cut.share[1], score = 1;
    for (int k = 0; k < 2 && score < s->score; k++) {
        facts_copy(chain, &w->half[k], &s->base);
        memcpy(w->lo, s->lo, chain->n_inputs * sizeof *w->lo);
        memcpy(w->hi, s->hi, chain->n_inputs * sizeof *w->hi);
        *(k == 0 ? &w->hi[cut.coordinate] : &w->lo[cut.coordinate]) = cut.at;
        bounds_tighten(chain, w->scratch, w->lo, w->hi, &w->half[k]);
        w->how[k] = leaf_code(chain, w->half[k].state, w->half[k].alive);
        score += (total > 0 ? cut.share[k] / total : 0.5) * (w->how[k].mean + promise(chain, &w->half[k]));
    }
    s->evaluated++;
    if (score >= s->score)
        return;
    s->score = score;
    s->coordinate = cut.coordinate;
    s->cut = cut.at;
    s->found = true;
    for (int k = 0; k < 2; k++) {
        Facts facts = s->half[k];
        s->half[k] = w->half[k];
        w->half[k] = facts;
        s->how[k] = w->how[k];
    }
}

static void look(void *context, size_t i, unsigned worker)
{
    Grower *g = context;
    Slot *s = &g->slot[i];
    Worker *w = &g->worker[worker];
    const Frontier *f = &g->frontier.at[s->node];
    load_facts(g, (uint32_t)s->node, &s->base);
    load_box(g, s->node, s->lo, s->hi);
    s->own = g->growth->node.at[s->node].how.mean + promise(g->chain, &s->base);
    s->score = INFINITY;
    s->found = false;
    for (uint32_t j = 0; j < g->chain->n_inputs; j++) {
        double at[MOST_CANDIDATES];
        uint32_t n = s->lo[j] < s->hi[j] ? candidates(g, w, s, j, at) : 0;
        for (uint32_t k = 0; k < n; k++)
            try_cut(g, w, s, cut_at(g, f, s->lo, s->hi, j, at[k]));
    }
}

/* ---- a cut, made ---- */

static bool may_be_cut(const Grower *g, const GrowNode *n, const Facts *facts)
{
    uint32_t unstable = 0, alive = 0;
    for (uint32_t i = 0; i < g->chain->n_neurons; i++)
        unstable += facts->state[i] == STATE_UNSTABLE;
    for (uint32_t i = 0; i < g->chain->n_outputs; i++)
        alive += facts->alive[i] != 0;
    bool chosen = g->chain->winner == WINNER_none ? unstable == 0 : alive <= 1;
    return !chosen && n->how.mean > 0 && n->depth < DEEPEST;
}

static void add_node(Grower *g, int32_t parent, const Facts *facts, LeafCode how, Frontier f)
{
    Growth *growth = g->growth;
    uint32_t id = (uint32_t)growth->node.len;
    GrowNode n = {.parent = parent, .child = {-1, -1}, .share = share_of(g, f.volume, f.end - f.begin), .how = how,
                  .depth = parent < 0 ? 0 : growth->node.at[parent].depth + 1};
    n.known = arena_alloc(g->arena, known_bytes(g->chain));
    known_pack(g->chain, facts->state, facts->alive, n.known);
    bool open = may_be_cut(g, &n, facts);
    vec_push(g->arena, growth->node, n);
    f.key = key_of(g, &n);
    f.bounds = NULL;
    if (open)
        store_bounds(g, &f, facts);
    vec_push(g->arena, g->frontier, f);
    if (open)
        heap_push(g, id);
}

/* Those that go left come first. */
static void part_samples(Grower *g, const Frontier *f, uint32_t coordinate, double cut)
{
    uint32_t left = f->begin;
    for (uint32_t i = f->begin; i < f->end; i++)
        if (g->options.sample[(size_t)g->order[i] * g->chain->n_inputs + coordinate] <= cut) {
            uint32_t sample = g->order[i];
            g->order[i] = g->order[left];
            g->order[left++] = sample;
        }
}

/* Whether the best cut is better than none. */
static bool pays(const Grower *g, const Slot *s, uint64_t worst)
{
    return s->score < s->own || (g->by_worst && worst < worst_of(&g->growth->node.at[s->node]));
}

/* Whether it is made: some cuts pay only with the next. */
static bool is_made(const Grower *g, const Slot *s, uint32_t *vain)
{
    const GrowNode *n = &g->growth->node.at[s->node];
    if (!s->found)
        return false;
    uint64_t worst = (s->how[0].worst > s->how[1].worst ? s->how[0].worst : s->how[1].worst) + n->depth + 1, limit = g->options.worst;
    *vain = pays(g, s, worst) ? 0 : g->frontier.at[s->node].vain + 1;
    return *vain <= PATIENCE && (g->by_worst || limit == 0 || worst <= limit || worst <= worst_of(n));
}

static void commit(Grower *g, const Slot *s)
{
    g->growth->evaluated += s->evaluated;
    uint32_t vain;
    if (!is_made(g, s, &vain)) {
        release_block(g, &g->frontier.at[s->node]);
        return;
    }
    Frontier f = g->frontier.at[s->node];
    Cut cut = cut_at(g, &f, s->lo, s->hi, s->coordinate, s->cut);
    part_samples(g, &f, s->coordinate, s->cut);
    release_block(g, &g->frontier.at[s->node]);
    GrowNode *n = &g->growth->node.at[s->node];
    n->coordinate = s->coordinate;
    n->cut = s->cut;
    for (int k = 0; k < 2; k++)
        n->child[k] = (int32_t)g->growth->node.len + k;
    uint32_t middle = f.begin + cut.left;
    add_node(g, s->node, &s->half[0], s->how[0], (Frontier){.begin = f.begin, .end = middle, .vain = vain, .volume = cut.volume[0]});
    add_node(g, s->node, &s->half[1], s->how[1], (Frontier){.begin = middle, .end = f.end, .vain = vain, .volume = cut.volume[1]});
    g->growth->n_leaves++;
}

/* ---- the whole ---- */

uint64_t bounds_work(const Chain *chain)
{
    uint64_t work = 0, before = 0;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        before += chain->layer[l].nonzeros;
        work += chain->layer[l].rows * before;
    }
    return work;
}

static Grower *grower_new(Arena *arena, const Chain *chain, const GrowOptions *options, Growth *growth)
{
    Grower *g = NEW(arena, Grower);
    *g = (Grower){.arena = arena, .chain = chain, .options = *options, .growth = growth, .by_worst = options->worst_first};
    g->options.threads = parallel_workers(options->threads);
    if (!options->sample)
        g->options.n_samples = 0;
    g->order = NEW_ARRAY(arena, g->options.n_samples, uint32_t);
    for (uint32_t i = 0; i < g->options.n_samples; i++)
        g->order[i] = i;
    for (uint32_t i = 0; i < chain->n_inputs && chain->winner == WINNER_none; i++)
        g->least += chain->lo[i] < chain->hi[i] ? 2 * chain->n_outputs : 0;
    g->fast = bounds_work(chain) <= FAST_BOUNDS;
    g->worker = NEW_ARRAY(arena, g->options.threads, Worker);
    for (unsigned t = 0; t < g->options.threads; t++)
        g->worker[t] = (Worker){bounds_scratch(arena, chain), {facts_new(arena, chain), facts_new(arena, chain)},
                                .lo = NEW_ARRAY(arena, chain->n_inputs, double), .hi = NEW_ARRAY(arena, chain->n_inputs, double),
                                .sorted = NEW_ARRAY(arena, g->options.n_samples, double)};
    for (int i = 0; i < BATCH; i++)
        g->slot[i] = (Slot){.base = facts_new(arena, chain), .half = {facts_new(arena, chain), facts_new(arena, chain)},
                            .lo = NEW_ARRAY(arena, chain->n_inputs, double), .hi = NEW_ARRAY(arena, chain->n_inputs, double)};
    return g;
}

void growth_start(Arena *arena, const Chain *chain, const GrowOptions *options, Growth *out)
{
    *out = (Growth){.n_leaves = 1};
    Grower *g = grower_new(arena, chain, options, out);
    out->grower = g;
    Facts facts = facts_new(arena, chain);
    bounds_tighten(chain, g->worker[0].scratch, chain->lo, chain->hi, &facts);
    LeafCode how = leaf_code(chain, facts.state, facts.alive);
    add_node(g, -1, &facts, how, (Frontier){.end = g->options.n_samples, .volume = 1});
}

/* The worst case is met: from here on by expectation. Its leaves that were given up stay so. */
static void change_order(Grower *g)
{
    size_t n = g->heap.len;
    g->by_worst = false;
    g->heap.len = 0;
    for (size_t i = 0; i < n; i++)
        g->frontier.at[g->heap.at[i]].key = key_of(g, &g->growth->node.at[g->heap.at[i]]);
    for (size_t i = 0; i < n; i++)
        heap_push(g, g->heap.at[i]);
}

uint64_t growth_worst(const Growth *growth)
{
    uint64_t worst = 0;
    for (size_t i = 0; i < growth->node.len; i++)
        if (growth->node.at[i].child[0] < 0 && worst_of(&growth->node.at[i]) > worst)
            worst = worst_of(&growth->node.at[i]);
    return worst;
}

/* Takes the next batch; each is cut at most once. */
static uint32_t take(Grower *g, size_t leaves)
{
    uint32_t n = 0;
    if (g->by_worst && g->heap.len > 0 && g->options.worst > 0 && g->frontier.at[g->heap.at[0]].key <= (double)g->options.worst)
        change_order(g);
    for (; n < BATCH && g->heap.len > 0 && g->growth->n_leaves + n < leaves; n++)
        g->slot[n].node = (int32_t)heap_pop(g), g->slot[n].evaluated = 0;
    return n;
}

bool growth_to(Growth *growth, size_t leaves)
{
    Grower *g = growth->grower;
    g->growth = growth;
    for (uint32_t n; growth->n_leaves < leaves && (n = take(g, leaves)) > 0;) {
        parallel_for(g->options.threads, n, look, g);
        for (uint32_t i = 0; i < n; i++)
            commit(g, &g->slot[i]);
        if (g->options.progress)
            g->options.progress(g->options.progress_context, "cutting the box", growth->n_leaves, leaves);
    }
    return growth->n_leaves >= leaves;
}
