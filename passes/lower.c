/* lower.c — choose how the back end walks sets of columns.
 *
 *      %y = affine %h, @W, cols = %s         =>      %y = affine %h, @W, cols = %s !lower(mask, below = 38)
 *
 *      dense            all columns: short layers, where finding the active columns costs more than it saves
 *      mask, below = n  the bits of the set, while fewer than n of the columns are active, else all
 *      list, below = n  the same by a list, prefetching ahead: columns that come from memory
 *      gather           the columns of each row whose weight is not zero: where most weights are zero (zeros = skip)
 *      branch           a branch for each column: never chosen, for it costs a misprediction wherever activity varies; to be forced
 *
 * The one idea: operations saved are not time saved. Which columns count is the business of `skip`; here only time is weighed, in
 * cycles of a machine like those the figures below were measured on. What is not known is left to run time: whether this input has many
 * active columns is one comparison, so only layers that cannot gain are fixed.
 *
 * Values and counts do not change. Ends: one sweep.
 */
#include "activity.h"
#include "pass_util.h"

#include <math.h>
#include <string.h>

/* Cycles, measured (tests/bench/README.md says how); v is the number of vectors in a column. */
static const double BEGIN_WALK = 25;              /* the bits must be there before the first column is known; one misprediction */
static const double ADD = 4;                      /* latency of an addition: the least between two columns of one chain */
static const double FIND = 4.6;                   /* the same where the column has to be found */
static const double VECTOR = 1.0;                 /* load, multiply, add */
static const double GATHER = 14;                  /* the same with x from anywhere */
enum { FAR = 8 << 20 };                           /* bytes of weights that do not stay in a core's own caches */

typedef struct Costs { double dense, begin, column, gather; } Costs;

static double greater(double a, double b)
{
    return a > b ? a : b;
}

/* Infinite where zero weights are not left out, or are not many. */
static double gather_cost(const Network *net, const Op *op, double vectors)
{
    const Const *W = const_get(net->module, op->cst[AFFINE_W]);
    uint32_t slots[IR_MAX_CHAINS], chains = op->attr[AFFINE_order].i > 1 ? (uint32_t)op->attr[AFFINE_order].i : 1;
    double sum = 0;
    if (op->attr[AFFINE_zeros].i != ZEROS_skip || const_nonzeros(W) > type_count(W->type) / 2)
        return INFINITY;
    const_row_slots(W, chains, slots);
    for (uint32_t c = 0; c < chains; c++)
        sum += slots[c];
    return GATHER * sum * vectors;
}

static Costs costs_of(const Network *net, const Op *op, uint32_t vector_bytes)
{
    Type y = value_type(net, op->result[0]);
    double rows = (double)type_count(y), cols = (double)type_count(value_type(net, op_operand(op, AFFINE_x)));
    double lanes = (double)vector_bytes / type_element_bytes(y), chains = (double)(op->attr[AFFINE_order].i > 1 ? op->attr[AFFINE_order].i : 1);
    double vectors = rows <= lanes / 2 ? 1 : (double)(uint64_t)((rows + lanes - 1) / lanes);
    double together = rows <= lanes / 2 ? greater(1, (double)(uint64_t)(lanes / rows)) : 1;    /* columns of one vector */
    Costs c = {.begin = BEGIN_WALK, .column = greater(vectors * VECTOR, FIND)};
    c.dense = cols / together * greater(vectors * VECTOR, ADD * together / chains);
    if (chains > 1)                               /* sums in memory, combined at the end */
        c.column += 2, c.begin += chains * 2;
    c.gather = gather_cost(net, op, vectors);
    if (c.gather < INFINITY) {                    /* zero weights are masked where columns are walked */
        c.dense *= 1.5;
        c.column *= 1.25;
    }
    return c;
}

/* What a profile says of the op that is number `i` in the walk of ops: the mean share of its cells that are evaluated. */
static double measured_share(const Network *net, const Op *op, const Events *events, size_t i)
{
    uint64_t least, most;
    op_event_range(net, op, &least, &most);
    double all = (double)events->runs[i] * (double)most;
    return all > 0 ? (double)events->sum[i] / all : 0;
}

static bool choose(const Network *net, Op *op, PassContext *ctx, double active, bool measured)
{
    Lower before = op->lower;
    uint32_t below_before = op->below;
    uint64_t cols = type_count(value_type(net, op_operand(op, AFFINE_x)));
    Costs c = costs_of(net, op, ctx->vector_bytes);
    double even = (c.dense - c.begin) / c.column;              /* so many active columns cost as much as all */
    op->below = even >= (double)cols ? (uint32_t)cols + 1 : even > 0 ? (uint32_t)even : 0;
    op->lower = LOWER_mask;
    bool has_set = op_operand(op, AFFINE_cols) != 0;
    double walked = has_set ? greater(0, c.begin + active * (double)cols * c.column) : c.dense;
    if (c.gather < (walked < c.dense ? walked : c.dense)) {
        op->lower = LOWER_gather;
        op->below = 0;
        pass_stat(ctx, "affine layers gather the columns of each row", 1);
        return op->lower != before || op->below != below_before;
    }
    if (!has_set) {
        op->lower = LOWER_auto;
        op->below = 0;
        return op->lower != before || op->below != below_before;
    }
    /* A prior is vague: what may pay is left to run time. A measured mean is not. */
    if (op->below < 4 || active * (double)cols > (measured ? 1.2 : 4) * (double)op->below) {
        op->lower = LOWER_dense;
        op->below = 0;
    } else if (const_bytes(const_get(net->module, op->cst[AFFINE_W])) >= FAR && op->attr[AFFINE_order].i <= 1) {
        op->lower = LOWER_list;
    }
    static const char *const what[] = {[LOWER_dense] = "affine layers walk all columns", [LOWER_mask] = "affine layers walk the bits of a set",
                                       [LOWER_list] = "affine layers walk a list of columns"};
    pass_stat(ctx, what[op->lower], 1);
    return op->lower != before || op->below != below_before;
}

static bool force(Op *op, const char *word)
{
    static const char *const words[] = {[LOWER_dense] = "dense", [LOWER_mask] = "mask", [LOWER_list] = "list", [LOWER_branch] = "branch",
                                        [LOWER_gather] = "gather"};
    Lower before = op->lower;
    for (int l = LOWER_dense; l <= LOWER_gather; l++)
        if (strcmp(words[l], word) == 0)
            op->lower = (Lower)l;
    bool changed = op->lower != before || op->below != 0;
    op->below = 0;
    return changed;
}

bool pass_lower(Network *net, PassContext *ctx)
{
    const char *forced = pass_option(ctx, "force");
    bool changed = false;
    Events events;
    bool measured = !forced && profile_events(ctx, net, &events);
    size_t i = 0;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        size_t number = i++;
        if (op->kind != OP_affine || (!op_operand(op, AFFINE_cols) && op->attr[AFFINE_zeros].i != ZEROS_skip))
            continue;
        double active = measured ? measured_share(net, op, &events, number) : 1 - expected_zero_share(ctx, net, op_operand(op, AFFINE_x));
        changed |= forced ? force(op, forced) : choose(net, op, ctx, active, measured);
    }
    return changed;
}
