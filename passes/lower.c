/* lower.c — choose how the back end walks the columns of an affine, and from which table it reads a search (lower_search.c).
 *
 *      %y = affine %h, @W, cols = %s         =>      %y = affine %h, @W, cols = %s !lower(mask, below = 38)
 *
 *      dense            all columns: short layers, where finding the active columns costs more than it saves
 *      mask, below = n  the bits of the set, while fewer than n of the columns are active, else all
 *      list, below = n  the same by a list: columns that come from memory
 *      gather           the columns of each row whose weight is not zero: where most weights are zero (zeros = skip)
 *      branch           a branch for each column: never chosen, for it costs a misprediction wherever activity varies; to be forced
 *
 * The one idea: operations saved are not time saved. Which columns count is the business of `skip`; here only time is weighed, in
 * cycles of a machine like those the figures below were measured on. What is not known is left to run time: whether this input has many
 * active columns is one comparison, so only layers that cannot gain are fixed.
 *
 * Values and counts do not change. What is annotated already stays as it is, unless forced. Ends: one sweep. Trees: lower_descend.c.
 */
#include "activity.h"
#include "lower_descend.h"
#include "lower_search.h"

#include <math.h>
#include <string.h>

/* Cycles, fitted to layers of 16 x 16 to 1024 x 1024 with 5 to 100 % of their columns active, every lowering in turns, on a server CPU
 * with 512-bit vectors (Cascade Lake). Narrower vectors make columns longer, and walking them pays sooner. */
static const double BEGIN_WALK = 25;              /* the bits must be there before the first column is known; one misprediction */
static const double ADD = 4;                      /* latency of an addition: the least between two columns of one chain */
static const double FIND = 4.6;                   /* the same where the column has to be found */
static const double VECTOR = 1.0;                 /* load, multiply, add */
static const double GATHER = 14;                  /* the same with x from anywhere */
static const double IN_MEMORY = 2;                /* for each chain of many, whose sums a walk keeps in memory */
static const double MASKED = 1.5, MASKED_WALK = 1.25;     /* factors where zero weights are left out of vectors */
static const double MOST_ACTIVE = 0.95;           /* beyond it little can be gained, whatever the model says */
enum { FAR = 4 << 20 };                           /* bytes of weights that do not stay in a core's own caches */

/* An affine in cycles: all columns; a walk of `active` of them, begin + active * column; by rows. */
typedef struct Costs { double all, begin, column, gather; } Costs;

const char *const LOWER_NAMES[] = {[LOWER_auto] = "auto", [LOWER_dense] = "dense", [LOWER_mask] = "mask", [LOWER_list] = "list",
                                   [LOWER_branch] = "branch", [LOWER_gather] = "gather", [LOWER_tree] = "tree", [LOWER_bucket] = "bucket",
                                   [LOWER_binary] = "binary", [LOWER_permute] = "permute"};

/* ---- the model ---- */

static double greater(double a, double b)
{
    return a > b ? a : b;
}

static uint32_t chains_of(const Op *op)
{
    return op->attr[AFFINE_order].i > 1 ? (uint32_t)op->attr[AFFINE_order].i : 1;
}

static uint64_t columns_of(const Op *op)
{
    return type_count(value_type(op->parent->network, op_operand(op, AFFINE_x)));
}

static const Const *weights_of(const Op *op)
{
    return const_get(op->parent->network->module, op->cst[AFFINE_W]);
}

/* Infinite where zero weights are not left out, or are not many, or differ from slot to slot of a stack. */
static double gather_cost(const Op *op, double vectors)
{
    const Const *W = weights_of(op);
    uint32_t slots[IR_MAX_CHAINS];
    double sum = 0;
    if (!op_skips_zeros(op) || W->kind == CONST_STACK || const_nonzeros(W) > type_count(W->type) / 2)
        return INFINITY;
    const_row_slots(W, chains_of(op), slots);
    for (uint32_t c = 0; c < chains_of(op); c++)
        sum += slots[c];
    return GATHER * sum * vectors;
}

static Costs costs_of(const Op *op, uint32_t vector_bytes)
{
    Type y = value_type(op->parent->network, op->result[0]);
    double rows = (double)type_count(y), cols = (double)columns_of(op), chains = chains_of(op);
    double lanes = (double)vector_bytes / type_element_bytes(y), vectors = ceil(rows / lanes);
    double together = rows <= lanes / 2 ? floor(lanes / rows) : 1;        /* columns that share a vector */
    Costs c = {.begin = BEGIN_WALK, .column = greater(vectors * VECTOR, FIND), .gather = gather_cost(op, vectors)};
    c.all = cols / together * greater(vectors * VECTOR, ADD * together / chains);
    if (chains > 1) {
        c.column += IN_MEMORY;
        c.begin += IN_MEMORY * chains;
    }
    if (op_skips_zeros(op)) {
        c.all *= MASKED;
        c.column *= MASKED_WALK;
    }
    return c;
}

/* ---- the choice ---- */

/* How many columns are expected to be active, and how that is known. */
typedef struct Expected { double active; bool measured; } Expected;

typedef struct Choice { Lower lower; uint32_t below; } Choice;

static Choice choose(const Op *op, const Costs *c, Expected e)
{
    double cols = (double)columns_of(op), even = (c->all - c->begin) / c->column;      /* so many active ones cost as much as all */
    bool has_set = op_operand(op, AFFINE_cols) != 0;
    double best = has_set ? fmin(c->all, c->begin + e.active * c->column) : c->all;
    if (c->gather < best)
        return (Choice){LOWER_gather, 0};
    if (!has_set)
        return (Choice){LOWER_auto, 0};
    double below = fmin(even, MOST_ACTIVE * cols);
    /* A prior is vague: what may pay is left to run time. A measured mean is not, nor what is in the set in any case. */
    if (below < 4 || below <= (double)set_least(op->parent->network, op_operand(op, AFFINE_cols)) || e.active > (e.measured ? 1.2 : 4) * below)
        return (Choice){LOWER_dense, 0};
    const Const *W = weights_of(op);
    uint64_t matrices = W->kind == CONST_STACK ? W->type.dim[0] : 1;
    bool far = const_bytes(W) / (matrices ? matrices : 1) >= FAR && chains_of(op) == 1;
    return (Choice){far ? LOWER_list : LOWER_mask, (uint32_t)below};
}

static bool set_choice(Op *op, Choice c)
{
    bool changed = op->lower != c.lower || op->below != c.below;
    op->lower = c.lower;
    op->below = c.below;
    return changed;
}

static void explain(PassContext *ctx, const Op *op, const Costs *c, Expected e)
{
    char below[48] = "", gather[48] = "";
    if (op->below)
        snprintf(below, sizeof below, " below %u", op->below);
    if (c->gather < INFINITY)
        snprintf(gather, sizeof gather, ", by rows %.0f", c->gather);
    pass_note(ctx, "site %u: %s%s of %llu columns: cycles for all %.0f, for a walk %.0f + %.1f a column%s; expected active %.0f (%s)", op->site,
              LOWER_NAMES[op->lower], below, (unsigned long long)columns_of(op), c->all, c->begin, c->column, gather, e.active,
              !op_operand(op, AFFINE_cols) ? "no set" : e.measured ? "profile" : "prior");
}

/* What a profile says of the op that is number `i` in the walk of ops: the mean share of its cells that are evaluated. */
static double measured_share(const Op *op, const Events *events, size_t i)
{
    uint64_t least, most;
    op_event_range(op->parent->network, op, &least, &most);
    double all = (double)events->runs[i] * (double)most;
    return all > 0 ? (double)events->sum[i] / all : 0;
}

static Choice forced_choice(const char *word)
{
    Choice c = {LOWER_auto, 0};
    for (Lower l = LOWER_dense; l <= LOWER_permute; l++)
        if (strcmp(LOWER_NAMES[l], word) == 0)
            c.lower = l;
    return c;
}

bool pass_lower(Network *net, PassContext *ctx)
{
    const char *forced = pass_option(ctx, "force");
    const double *zeros = expected_zero_shares(ctx, net);
    Events events;
    bool changed = false, measured = !forced && profile_events(ctx, net, &events);
    size_t number = 0;
    OpWalk walk;
    Choice c = forced ? forced_choice(forced) : (Choice){LOWER_auto, 0};
    bool of_search = c.lower >= LOWER_tree;
    changed |= lower_trees(net, ctx, of_search ? LOWER_auto : c.lower);
    changed |= lower_searches(net, ctx, of_search ? c.lower : LOWER_auto);
    if (of_search)
        return changed;
    FOR_EACH_OP(walk, op, net) {
        size_t i = number++;
        bool has_set = op->kind == OP_affine && op_operand(op, AFFINE_cols);
        if (op->kind != OP_affine || (!has_set && !op_skips_zeros(op)))
            continue;
        if (forced) {
            if (c.lower != LOWER_gather || op_skips_zeros(op))
                changed |= set_choice(op, c);
            continue;
        }
        if (op->lower != LOWER_auto)              /* decided already, by a user or before a dump */
            continue;
        bool reached = measured && events.runs[i] > 0;
        double share = reached ? measured_share(op, &events, i) : 1 - zeros[op_operand(op, AFFINE_x)];
        Expected e = {(double)columns_of(op) * (has_set ? share : 1), reached};
        Costs costs = costs_of(op, ctx->vector_bytes);
        changed |= set_choice(op, choose(op, &costs, e));
        explain(ctx, op, &costs, e);
    }
    return changed;
}
