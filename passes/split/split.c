/* split.c — a network of a few inputs becomes a tree of comparisons with short leaves.
 *
 *      %z = affine %x, @W1, @b1              %class, %slot, %depth = descend @split, ord %x
 *      %h = relu %z                   =>     %y = case %class { what is left of the network on that part of the box } …
 *      %y = affine %h, @W2, @b2
 *
 * In: a chain of affine maps and relus over a finite box. Out: the tree, or a remark that says what was tried and why it does not pay.
 * The one idea: on a small part of the box few relus are undecided, and a comparison is all that it takes to get there.
 *
 * Legal under `real` numerics, inside the box: the values are those of the same real function, rounded; leaf.c proves how far they can
 * be off. NaN and what is outside take the policy of the network, as in piecewise.c. Ends: one chain is replaced, once.
 *
 * Budgets. Without any a tree has at most 1024 leaves and 1 MiB (or 4 times the network), fewer where bounds take long, so that
 * compiling takes seconds; with --max-bytes or --max-ops 16384 are grown, for a node knows what all below it agree on. Networks of 8
 * free inputs or more are only looked at as a whole, unless --leaves says otherwise. A look at 64 leaves says whether going on is worth
 * the time. It pays if an input takes 1.3 times fewer operations than it takes with `skip` alone, both counted on the same points.
 */
#include "../pass_util.h"
#include "split.h"

#include <math.h>
#include <string.h>

enum {
    DEFAULT_LEAVES = 1024, BUDGET_LEAVES = 1 << 14, LEAVES = 1 << 20, LOOK = 64, FIRST_LOOK = 8, MANY_INPUTS = 8,
    MOST_SAMPLES = 4096, POINTS = 4096, LEAST_POINTS = 64, MOST_CHOICES = 12
};
static const uint64_t DEFAULT_BYTES = (uint64_t)1 << 20, MOST_BYTES = (uint64_t)1 << 26, POINTS_WORK = (uint64_t)1 << 28,
                      DEFAULT_WORK = (uint64_t)1 << 34, BUDGET_WORK = (uint64_t)1 << 38;
static const double GAIN = 1.3;
static const double PADDED = 4.0 / 3;            /* constants as the back end stores them, to those of the IR: rows begin on boundaries */

typedef struct Points { uint32_t n; const double *at; } Points;

/* Operations on average over points, the tree's comparisons included. */
typedef struct Mean { double split, skip; } Mean;

typedef struct Plan {
    Network *net;
    PassContext *ctx;
    Chain chain;
    Points points, samples;
    uint32_t n_free;
    size_t leaves;
    ChooseLimits limits;
    Growth growth;
    Split split;
    Mean mean;
} Plan;

/* ---- points ---- */

/* In the box, evenly: element i of point k is the fraction of k / g^(i+1), with g^(n+1) = g + 1 (Roberts' sequence). */
static Points points_in_box(Arena *arena, const Chain *chain, uint32_t n)
{
    double *at = NEW_ARRAY(arena, (size_t)n * chain->n_inputs, double), g = 2;
    for (int turn = 0; turn < 64; turn++)
        g = pow(1 + g, 1.0 / (chain->n_inputs + 1));
    for (uint32_t i = 0; i < chain->n_inputs; i++) {
        double step = pow(g, -(double)(i + 1));
        for (uint32_t k = 0; k < n; k++) {
            double part = 0.5 + step * (k + 1);
            at[(size_t)k * chain->n_inputs + i] = chain->lo[i] + (part - floor(part)) * (chain->hi[i] - chain->lo[i]);
        }
    }
    return (Points){n, at};
}

static double element_at(Type element, const uint8_t *at)
{
    float f;
    double d;
    if (element.elem == ELEM_F64)
        return memcpy(&d, at, sizeof d), d;
    return memcpy(&f, at, sizeof f), f;
}

/* Rows of the profile that are inside the box, of 4096 evenly spread over it. */
static Points samples_of(const PassContext *ctx, const Chain *chain)
{
    const Profile *profile = ctx->profile;
    size_t bytes = type_element_bytes(chain->element), n = profile->n < MOST_SAMPLES ? profile->n : MOST_SAMPLES;
    double *at = NEW_ARRAY(ctx->arena, n * chain->n_inputs, double);
    uint32_t kept = 0;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *row = profile->input[0] + profile->n * k / n * chain->n_inputs * bytes;
        bool inside = true;
        for (uint32_t i = 0; i < chain->n_inputs; i++) {
            double d = at[(size_t)kept * chain->n_inputs + i] = element_at(chain->element, row + i * bytes);
            inside = inside && chain->lo[i] <= d && d <= chain->hi[i];
        }
        kept += inside;
    }
    return (Points){kept, at};
}

static Mean mean_of(Arena *scratch, const Chain *chain, const Split *split, Points points)
{
    uint32_t widest = 0;
    for (uint32_t l = 0; l < chain->n_layers; l++)
        widest = chain->layer[l].rows > widest ? chain->layer[l].rows : widest;
    double *z = NEW_ARRAY(scratch, chain->n_neurons, double), *h = NEW_ARRAY(scratch, widest, double);
    Mean sum = {0};
    for (uint32_t k = 0; k < points.n; k++) {
        const double *x = points.at + (size_t)k * chain->n_inputs;
        uint32_t depth;
        const Code *code = &split->codes[split->code[split_leaf(split, x, &depth)]];
        chain_evaluate(chain, x, z, h);
        sum.split += (double)(depth + leaf_ops(chain, code->state, code->alive, code->how, z));
        sum.skip += (double)skip_ops(chain, x, z);
    }
    return (Mean){sum.split / points.n, sum.skip / points.n};
}

/* ---- budgets ---- */

static size_t leaves_wanted(const Plan *p)
{
    uint64_t work = bounds_work(&p->chain) * p->n_free;
    if (p->ctx->leaves)
        return p->ctx->leaves < LEAVES ? p->ctx->leaves : LEAVES;
    if (p->n_free >= MANY_INPUTS || p->n_free == 0)
        return 1;
    bool budget = p->ctx->max_bytes || p->ctx->max_ops;
    uint64_t affordable = (budget ? BUDGET_WORK : DEFAULT_WORK) / (work + 1), most = budget ? BUDGET_LEAVES : DEFAULT_LEAVES;
    return affordable < LOOK ? LOOK : affordable < most ? (size_t)affordable : most;
}

/* What the tree may take of --max-bytes: not what is stored beside it. */
static uint64_t bytes_wanted(const Plan *p)
{
    uint64_t all = network_const_bytes(p->net), most = p->ctx->max_bytes;
    uint64_t beside = all < p->chain.dense_bytes ? 0 : all - p->chain.dense_bytes;
    if (!most)
        return p->ctx->leaves ? MOST_BYTES : DEFAULT_BYTES > 4 * p->chain.dense_bytes ? DEFAULT_BYTES : 4 * p->chain.dense_bytes;
    if (p->net->options.outside == OUTSIDE_dense)
        beside += p->chain.dense_bytes;
    return most > beside ? (uint64_t)((double)(most - beside) / PADDED) : 0;
}

/* What it may take of --max-ops: the guard compares twice an input. */
static uint64_t worst_wanted(const Plan *p)
{
    uint64_t guard = p->net->options.outside == OUTSIDE_promise ? 0 : 2 * (uint64_t)p->chain.n_inputs;
    if (!p->ctx->max_ops)
        return 0;
    return p->ctx->max_ops > guard ? p->ctx->max_ops - guard : 1;
}

static GrowOptions grow_options(const Plan *p)
{
    return (GrowOptions){.threads = p->ctx->threads, .worst_first = p->limits.worst > 0, .worst = p->limits.worst,
                         .sample = p->samples.n ? p->samples.at : NULL, .n_samples = p->samples.n, .progress = p->ctx->progress,
                         .progress_context = p->ctx->progress_context};
}

/* ---- does it pay ---- */

static bool explain(const Plan *p, const char *why)
{
    diag_remark(p->ctx->diags, p->net->span, p->ctx->name, "`%s` is not cut: %s", p->net->name, why);
    return false;
}

/* How many relus the whole box decides. */
static const char *decided_at_once(const Plan *p)
{
    uint32_t relus = 0, decided = 0;
    uint8_t *state = arena_alloc(p->ctx->arena, p->chain.n_neurons), *alive = arena_alloc(p->ctx->arena, p->chain.n_outputs);
    known_unpack(&p->chain, p->growth.node.at[0].known, state, alive);
    for (uint32_t l = 0; l < p->chain.n_layers; l++)
        for (uint32_t r = 0; r < p->chain.layer[l].rows && p->chain.layer[l].relu; r++, relus++)
            decided += state[p->chain.first[l] + r] != STATE_UNSTABLE;
    return str_printf(p->ctx->arena, "%u free inputs are many, and its box as a whole decides %u of %u relus", p->n_free, decided, relus);
}

static const char *tried(const Plan *p)
{
    if (p->growth.n_leaves == 1 && p->n_free >= MANY_INPUTS)
        return decided_at_once(p);
    return str_printf(p->ctx->arena, "%u %s of its box take about %.0f operations, all of it at once %.0f", p->split.n_leaves,
                      p->split.n_leaves == 1 ? "part" : "parts", p->mean.split, p->mean.skip);
}

/* The best tree of what has been grown, and what it takes on the points. */
static bool choose(Plan *p)
{
    if (p->limits.worst && growth_worst(&p->growth) > p->limits.worst && p->growth.n_leaves >= p->leaves)
        p->limits.worst = growth_worst(&p->growth);
    if (!choose_split(p->ctx->arena, &p->chain, &p->growth, &p->limits, &p->split))
        return false;
    p->mean = mean_of(p->ctx->arena, &p->chain, &p->split, p->points);
    return true;
}

/* Classes add rows to what a choice counts on: the limit it is given falls until what is stored keeps to the real one. */
static bool choose_within(Plan *p)
{
    uint64_t limit = p->limits.bytes;
    for (int i = 0; i < MOST_CHOICES; i++) {
        if (!choose(p))
            return false;
        uint64_t stored = split_stored_bytes(p->ctx->arena, p->ctx->threads, &p->chain, &p->split);
        if (stored <= limit)
            return true;
        p->limits.bytes = (uint64_t)((double)split_bytes(&p->chain, &p->split) * 0.99 * (double)limit / (double)stored);
    }
    return false;
}

/* From a few leaves to a few more, operations fall by a factor for each doubling: whether it is enough when that goes on. */
static bool looks_worth_it(Plan *p)
{
    if (p->leaves <= LOOK)
        return true;
    growth_to(&p->growth, FIRST_LOOK);
    if (!choose(p))
        return true;                          /* no verdict yet: limits that more leaves may meet */
    double few = p->mean.split;
    bool more = growth_to(&p->growth, LOOK);
    if (!choose(p) || !more || p->mean.split <= 0)
        return true;
    double doublings = log2((double)p->leaves / LOOK), slope = log2(few / p->mean.split) / log2((double)LOOK / FIRST_LOOK);
    return p->mean.split * exp2(-slope * doublings) * GAIN <= p->mean.skip;
}

static bool pays(const Plan *p)
{
    bool asked = p->ctx->max_ops && network_cost(p->net).total_max > p->ctx->max_ops;
    return asked || p->mean.split * GAIN <= p->mean.skip;
}

/* ---- the pass ---- */

static void report(const Plan *p, const Emitted *emitted)
{
    uint64_t worst = split_worst(p->ctx->arena, &p->split);
    pass_note(p->ctx, "%s: %u leaves of %u, %u codes in %u classes, %llu bytes (as written %llu); operations on %u points: %.1f on average, "
              "at most %llu; %.1f with `skip` alone, %llu as written; %llu cuts tried; |compiled - real| <= %.3g, |source - real| <= %.3g", p->net->name, p->split.n_leaves, p->growth.n_leaves,
              p->split.n_codes, emitted->classes, (unsigned long long)emitted->bytes, (unsigned long long)p->chain.dense_bytes, p->points.n, p->mean.split,
              (unsigned long long)worst, p->mean.skip, (unsigned long long)p->chain.dense_ops, (unsigned long long)p->growth.evaluated,
              emitted->certified, emitted->source);
    if (p->limits.worst && worst > worst_wanted(p))
        diag_remark(p->ctx->diags, p->net->span, p->ctx->name,
                    "the worst case of `%s` is about %llu operations in a tree of %u leaves, the best found; more leaves (--leaves=N) may reach less",
                    p->net->name, (unsigned long long)worst, p->split.n_leaves);
}

static void plan_start(Plan *p)
{
    uint64_t nonzeros = 1;
    for (uint32_t i = 0; i < p->chain.n_inputs; i++)
        p->n_free += p->chain.lo[i] < p->chain.hi[i];
    for (uint32_t l = 0; l < p->chain.n_layers; l++)
        nonzeros += p->chain.layer[l].nonzeros;
    if (p->ctx->profile)
        p->samples = samples_of(p->ctx, &p->chain);
    if (p->ctx->profile && p->samples.n == 0)
        diag_remark(p->ctx->diags, p->net->span, p->ctx->name, "no row of the profile lies in the box of `%s`: its parts are as likely as they are large",
                    p->net->name);
    uint64_t n = POINTS_WORK / nonzeros;
    p->points = p->samples.n ? p->samples
              : points_in_box(p->ctx->arena, &p->chain, n > POINTS ? POINTS : n < LEAST_POINTS ? LEAST_POINTS : (uint32_t)n);
    p->leaves = leaves_wanted(p);
    p->limits = (ChooseLimits){.bytes = bytes_wanted(p), .worst = worst_wanted(p)};
}

static bool make_plan(Plan *p)
{
    plan_start(p);
    if (!p->ctx->leaves && !p->ctx->max_ops && bounds_work(&p->chain) > DEFAULT_WORK / 16)
        return explain(p, "bounds of its neurons would take long; --leaves=N asks for them");
    GrowOptions options = grow_options(p);
    growth_start(p->ctx->arena, &p->chain, &options, &p->growth);
    if (!looks_worth_it(p))
        return explain(p, tried(p));
    growth_to(&p->growth, p->leaves);
    p->leaves = p->growth.n_leaves;
    if (!choose_within(p))
        return explain(p, p->growth.n_leaves == 1 ? tried(p)
                          : str_printf(p->ctx->arena, "no tree takes at most %llu bytes", (unsigned long long)bytes_wanted(p)));
    return pays(p) || explain(p, tried(p));
}

/* A network that was meant to be cut says why it is not. */
static bool might_be_cut(const Network *net)
{
    bool boxed = false;
    OpWalk walk;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        boxed |= net->input[i].box != 0;
    FOR_EACH_OP(walk, op, net)
        if (boxed && op->kind == OP_relu)
            return true;
    return false;
}

bool pass_split(Network *net, PassContext *ctx)
{
    Plan p = {.net = net, .ctx = ctx};
    const char *why;
    if (!might_be_cut(net))
        return false;
    if (net->options.outside != OUTSIDE_promise && network_is_guarded(net)) {
        pass_note(ctx, "the guard stands already");
        return false;
    }
    if (net->n_inputs == 1 && type_count(net->input[0].type) == 1) {
        pass_note(ctx, "%s: a function of one number, which is for `piecewise`", net->name);
        return false;
    }
    if (!chain_of(ctx->arena, net, &p.chain, &why))
        return explain(&p, why);
    bool planned = make_plan(&p);
    if (ctx->progress)
        ctx->progress(ctx->progress_context, NULL, 0, 0);
    Emitted emitted;
    if (!planned || !split_emit(net, ctx, &p.chain, &p.split, &emitted))
        return false;
    report(&p, &emitted);
    network_settle(net);
    remove_unused_ops(net, ctx->arena);
    return true;
}
