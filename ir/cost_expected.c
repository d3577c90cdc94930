/* cost_expected.c — what one evaluation costs on average, when nothing is known about the inputs.
 *
 * In: a network. Out: expected counts under a stated prior: the regions of a choice are equally likely, a set holds half of
 * what it can, a tree's leaf lies halfway between its least and greatest depth. Recorded events (network_cost_at) say it
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

static Mean block_mean(const Network *net, const Mean *callee, const Block *block);

static double mean_event(const Network *net, const Op *op)
{
    uint64_t least, most;
    op_event_range(net, op, &least, &most);
    return 0.5 * (double)least + 0.5 * (double)most;
}

static Mean choice_mean(const Network *net, const Mean *callee, const Op *op)
{
    Mean all = {0};
    double share = op->n_regions > 0 ? 1.0 / op->n_regions : 0;
    for (uint32_t r = 0; r < op->n_regions; r++) {
        Mean one = block_mean(net, callee, op->region[r]);
        all.cost = add_scaled(all.cost, one.cost, share);
        all.falls += share * one.falls;
    }
    return all;
}

/* A trip is made as often as all before it fell through: 1 + f + … + f^(n-1) times. */
static Mean loop_mean(const Network *net, const Mean *callee, const Op *op)
{
    Mean body = block_mean(net, callee, op->region[0]), all = {0};
    double trips = mean_event(net, op), made = trips;
    all.falls = pow(body.falls, trips);
    if (body.falls < 1)
        made = (1 - all.falls) / (1 - body.falls);
    all.cost = add_scaled(all.cost, body.cost, made);
    return all;
}

static Mean op_mean(const Network *net, const Mean *callee, const Op *op)
{
    if (op->kind == OP_if || op->kind == OP_case)
        return choice_mean(net, callee, op);
    if (op->kind == OP_repeat || op->kind == OP_each)
        return loop_mean(net, callee, op);
    if (op->kind == OP_call)
        return (Mean){callee[op->attr[0].i].cost, 1};
    if (op->kind == OP_return || op->kind == OP_refuse)
        return (Mean){.falls = 0};
    Counts unit = op_cost(net, op);
    Mean m = {.falls = 1};
    if (counts_total(unit) > 0)
        m.cost = add_scaled(m.cost, (MeanCounts){(double)unit.add, (double)unit.mul, (double)unit.cmp, (double)unit.other}, mean_event(net, op));
    return m;
}

static Mean block_mean(const Network *net, const Mean *callee, const Block *block)
{
    Mean all = {.falls = 1};
    for (const Op *op = block->first; op; op = op->next) {
        Mean one = op_mean(net, callee, op);
        all.cost = add_scaled(all.cost, one.cost, all.falls);
        all.falls *= one.falls;
    }
    return all;
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
            callee[k] = block_mean(m->networks.at[k], callee, m->networks.at[k]->body);
    Mean mean = block_mean(net, callee, net->body);
    arena_free(scratch);
    return mean.cost;
}
