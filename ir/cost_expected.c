/* cost_expected.c — what one evaluation costs on average, when nothing is known about the inputs.
 *
 * In: a network. Out: expected counts under a stated prior: the regions of a choice are equally likely, a set holds half of
 * what it may lack, every comparison of a tree is even: a leaf at depth d has the share 2^-d, and with it what it chooses behind
 * the tree (cost_tree.c); a search lies halfway between its least and greatest depth. Recorded events (network_cost_at) say it
 * better; this is for a network that has not run. The one idea: a block is summed up by its mean cost and the probability
 * that it falls through, so that what comes after an early exit counts for as often as it is reached.
 */
#include "interp.h"

#include <math.h>

typedef struct Mean { MeanCounts cost; double falls; } Mean;

static MeanCounts add_scaled(MeanCounts a, MeanCounts b, double by)
{
    return (MeanCounts){a.add + by * b.add, a.mul + by * b.mul, a.cmp + by * b.cmp, a.other + by * b.other};
}

typedef struct Averager {
    const Network *net;
    const Mean *callee;           /* by number in the module */
    EventMemo memo;
    const Given *given;           /* the leaf that is looked at */
} Averager;

static Mean block_mean(Averager *a, const Block *block);

static double mean_event(Averager *a, const Op *op)
{
    uint64_t least, most;
    if (op->kind == OP_descend)
        return mean_depth(&a->memo, op);
    given_range(&a->memo, a->net, a->given, op, &least, &most);
    return 0.5 * (double)least + 0.5 * (double)most;
}

static Mean choice_mean(Averager *a, const Op *op)
{
    Mean all = {0};
    int64_t known = op->kind == OP_case ? given_index(a->net, a->given, op_operand(op, 0)) : -1;
    if (known >= 0 && known < op->n_regions)
        return block_mean(a, op->region[known]);
    double share = op->n_regions > 0 ? 1.0 / op->n_regions : 0;
    for (uint32_t r = 0; r < op->n_regions; r++) {
        Mean one = block_mean(a, op->region[r]);
        all.cost = add_scaled(all.cost, one.cost, share);
        all.falls += share * one.falls;
    }
    return all;
}

/* A trip is made as often as all before it fell through: 1 + f + … + f^(n-1) times. */
static Mean loop_mean(Averager *a, const Op *op)
{
    Mean body = block_mean(a, op->region[0]), all = {0};
    double trips = mean_event(a, op), made = trips;
    all.falls = pow(body.falls, trips);
    if (body.falls < 1)
        made = (1 - all.falls) / (1 - body.falls);
    all.cost = add_scaled(all.cost, body.cost, made);
    return all;
}

/* So many events. */
static Mean events_mean(const Averager *a, const Op *op, double events)
{
    Counts unit = op_cost(a->net, op);
    Mean m = {.falls = 1};
    m.cost = add_scaled(m.cost, (MeanCounts){(double)unit.add, (double)unit.mul, (double)unit.cmp, (double)unit.other}, events);
    return m;
}

static Mean op_mean(Averager *a, const Op *op)
{
    if (op->kind == OP_if || op->kind == OP_case)
        return choice_mean(a, op);
    if (op->kind == OP_repeat || op->kind == OP_each)
        return loop_mean(a, op);
    if (op->kind == OP_call)
        return (Mean){a->callee[op->attr[0].i].cost, 1};
    if (op->kind == OP_return || op->kind == OP_refuse)
        return (Mean){.falls = 0};
    if (counts_total(op_cost(a->net, op)) == 0)
        return (Mean){.falls = 1};
    return events_mean(a, op, mean_event(a, op));
}

static Mean sequel(Mean a, Mean b)
{
    return (Mean){add_scaled(a.cost, b.cost, a.falls), a.falls * b.falls};
}

/* ---- leaf by leaf: as cost_paths.c ---- */

static Mean sequence_mean(Averager *a, const Op *from, const Op *end);

typedef struct Part { Mean fixed; const Op *hangs; } Part;

/* The tree and all that follows up to `end`. */
static Mean leaf_mean(Averager *a, const Op *descend, const Op *end, const Landing *at, size_t n)
{
    Vec(Part) parts = {0};
    const Given *outer = a->given;
    for (const Op *from = descend->next; from != end;) {
        const Op *next = next_hanging(descend, from, end);
        Part part = {sequence_mean(a, from, next), next == end ? NULL : next};
        vec_push(a->memo.arena, parts, part);
        from = next == end ? end : next->next;
    }
    Mean all = {0};
    for (size_t i = 0; i < n; i++) {
        Given here = {descend, at[i].class_, at[i].slot, outer};
        Mean one = events_mean(a, descend, at[i].depth);
        a->given = &here;
        for (size_t k = 0; k < parts.len; k++) {
            one = sequel(one, parts.at[k].fixed);
            if (parts.at[k].hangs)
                one = sequel(one, op_mean(a, parts.at[k].hangs));
        }
        all.cost = add_scaled(all.cost, one.cost, at[i].share);
        all.falls += at[i].share * one.falls;
    }
    a->given = outer;
    return all;
}

/* Ops from `from` up to `end` (NULL: of the block). */
static Mean sequence_mean(Averager *a, const Op *from, const Op *end)
{
    Mean all = {.falls = 1};
    for (const Op *op = from; op != end; op = op->next) {
        size_t n;
        const Op *last;
        const Landing *at = op->kind == OP_descend ? open_tree(&a->memo, op, end, &last, &n) : NULL;
        if (!at) {
            all = sequel(all, op_mean(a, op));
            continue;
        }
        all = sequel(all, leaf_mean(a, op, last->next, at, n));
        close_tree(&a->memo);
        op = last;
    }
    return all;
}

static Mean block_mean(Averager *a, const Block *block) { return sequence_mean(a, block->first, NULL); }

static Mean network_mean(Arena *scratch, const Network *net, const Mean *callee)
{
    Averager a = {net, callee, event_memo(scratch, net), NULL};
    return block_mean(&a, net->body);
}

MeanCounts network_expected_cost(const Network *net)
{
    Arena *scratch = scratch_of(net);
    const Module *m = net->module;
    size_t n;
    const uint32_t *place;
    network_reach(scratch, net, &n, &place);
    Mean *callee = NEW_ARRAY(scratch, m->networks.len + 1, Mean);
    for (size_t k = 0; k < m->networks.len; k++)
        if (place[k])
            callee[k] = network_mean(scratch, m->networks.at[k], callee);
    Mean mean = network_mean(scratch, net, callee);
    arena_free(scratch);
    return mean.cost;
}
