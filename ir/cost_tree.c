/* cost_tree.c — which costs belong together because one leaf of a tree decides them.
 *
 *      %class, %slot, %depth = descend @T, %key          leaf 7: depth 3, class 2, slot 5
 *      %y = case %class { … } { … } { … affine %x, @W[%slot], zeros = skip … }
 *
 * In: a tree; ops behind its `descend`. Out: the landings of the tree, and what an index is at one of them. The one idea: a leaf lies deep
 * or costs much, seldom both: the most over leaves of depth + cost is less than the most of each. So the rest of a block
 * is summed up once for each landing (a pair of class and slot), with the indices known; where nothing hangs on them, once.
 */
#include "interp.h"

#include <stdlib.h>

/* Bounds on the work, for texts that nobody would write: trees within leaves of trees, or very many of them. What is beyond them is summed up as
 * if nothing hung on its leaf, which is looser. */
enum { MOST_LANDINGS = 1 << 22, MOST_SCANNED = 1 << 24, MOST_OPEN = 64 };

/* ---- where a tree ends ---- */

static int compare_landings(const void *a, const void *b)
{
    const Landing *x = a, *y = b;
    if (x->class_ != y->class_)
        return x->class_ < y->class_ ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* What comes to a node or a leaf: from how deep, how often; `depth` is the sum of share x depth meanwhile. */
static void arrive(Landing *at, uint64_t min, uint64_t max, double share, double depth)
{
    bool first = at->max == 0;                    /* nobody but the root lies 0 deep */
    at->min = first || min < at->min ? min : at->min;
    at->max = max > at->max ? max : at->max;
    at->share += share;
    at->depth += depth;
}

/* The leaves of the array that are reached, one for each class and slot. */
static size_t merge_leaves(Landing *leaf, size_t n)
{
    size_t reached = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        if (leaf[i].max > 0)
            leaf[reached++] = leaf[i];
    qsort(leaf, reached, sizeof *leaf, compare_landings);
    for (size_t i = 0; i < reached; i++) {
        if (kept > 0 && compare_landings(&leaf[kept - 1], &leaf[i]) == 0)
            arrive(&leaf[kept - 1], leaf[i].min, leaf[i].max, leaf[i].share, leaf[i].depth);
        else
            leaf[kept++] = leaf[i];
    }
    return kept;
}

Landing *tree_landings(Arena *arena, const Tree *tree, size_t *n)
{
    Landing *leaf = NEW_ARRAY(arena, (size_t)tree->n_leaves + 1, Landing), *node = NEW_ARRAY(arena, (size_t)tree->n_nodes + 1, Landing);
    for (uint32_t i = 0; i < tree->n_leaves; i++)
        leaf[i] = (Landing){.class_ = tree->leaf[i].class_, .slot = tree->leaf[i].slot};
    *n = 1;
    if (tree->n_nodes == 0) {
        leaf[0].share = 1;
        return leaf;
    }
    node[0].share = 1;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        const Landing *from = &node[i];
        for (int side = 0; side < 2 && (i == 0 || from->max > 0); side++) {
            int32_t child = tree->node[i].child[side];
            arrive(child >= 0 ? &node[child] : &leaf[~child], from->min + 1, from->max + 1, from->share / 2, (from->depth + from->share) / 2);
        }
    }
    *n = merge_leaves(leaf, tree->n_leaves);
    for (size_t i = 0; i < *n; i++)
        leaf[i].depth = leaf[i].share > 0 ? leaf[i].depth / leaf[i].share : (double)leaf[i].max;       /* so deep that 2^-depth is 0 */
    return leaf;
}

/* ---- what hangs on it ---- */

/* The index that v is a cast of, or is. */
static Value index_source(const Network *net, Value v)
{
    for (const Op *op = value_op(net, v); op && op->kind == OP_cast; op = value_op(net, v)) {
        Value of = op_operand(op, 0);
        if (value_type(net, of).elem != ELEM_IDX || value_type(net, v).elem != ELEM_IDX)
            break;
        v = of;
    }
    return v;
}

/* The index by which the cost of an op is chosen, or 0. */
static Value chooser(const Op *op)
{
    return op->kind == OP_case ? op_operand(op, 0) : op_skips_zeros(op) ? op_operand(op, AFFINE_i) : 0;
}

static bool hangs_on(const Op *op, const Op *descend, uint64_t *scanned)
{
    Value v = chooser(op);
    ++*scanned;
    if (v && value_op(op->parent->network, index_source(op->parent->network, v)) == descend)
        return true;
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            if (hangs_on(inner, descend, scanned))
                return true;
    return false;
}

/* Found once. */
static const Landing *tree_ends(EventMemo *memo, const Op *descend, size_t *n)
{
    EventRange *known = &memo->of[descend->result[0]];
    if (!known->landing)
        known->landing = tree_landings(memo->arena, const_get(descend->parent->network->module, descend->cst[0])->tree, &known->n_landings);
    *n = known->n_landings;
    return known->landing;
}

const Op *next_hanging(const Op *descend, const Op *op, const Op *end)
{
    uint64_t scanned = 0;
    while (op != end && !hangs_on(op, descend, &scanned))
        op = op->next;
    return op;
}

const Landing *open_tree(EventMemo *memo, const Op *descend, const Op *end, const Op **last, size_t *n)
{
    *last = NULL;
    for (const Op *op = descend->next; op != end && memo->scanned < MOST_SCANNED; op = op->next)
        if (hangs_on(op, descend, &memo->scanned))
            *last = op;
    if (!*last || memo->open == MOST_OPEN)
        return NULL;
    const Landing *at = tree_ends(memo, descend, n);
    if (*n > MOST_LANDINGS - memo->landings)
        return NULL;
    memo->landings += *n;
    memo->open++;
    return at;
}

void close_tree(EventMemo *memo) { memo->open--; }

/* A cast to fewer takes the nearest: each on the way does, the least of them counts. */
int64_t given_index(const Network *net, const Given *given, Value v)
{
    Value source = given ? index_source(net, v) : 0;
    for (const Given *g = given; g; g = g->outer) {
        if (source != g->descend->result[0] && source != g->descend->result[1])
            continue;
        int64_t at = source == g->descend->result[0] ? g->class_ : g->slot;
        for (; v != source; v = op_operand(value_op(net, v), 0))
            at = at < (int64_t)value_type(net, v).n ? at : (int64_t)value_type(net, v).n - 1;
        return at;
    }
    return -1;
}

void given_range(EventMemo *memo, const Network *net, const Given *given, const Op *op, uint64_t *least, uint64_t *most)
{
    EventRange *known = op->n_results > 0 ? &memo->of[op->result[0]] : NULL;
    if (!known) {
        op_event_range(net, op, least, most);
        return;
    }
    if (!known->asked) {
        known->asked = true;
        if (op->kind == OP_affine)
            known->cells = op_cells(memo->arena, net, op, &known->n_cells);
        op_event_range(net, op, &known->least, &known->most);
    }
    *least = known->least;
    *most = known->most;
    int64_t slot = known->n_cells > 0 && op_operand(op, AFFINE_i) ? given_index(net, given, op_operand(op, AFFINE_i)) : -1;
    if (slot >= 0 && slot < known->n_cells) {
        *least = known->cells[slot].min;
        *most = known->cells[slot].max;
    }
}

EventMemo event_memo(Arena *arena, const Network *net)
{
    return (EventMemo){.arena = arena, .of = NEW_ARRAY(arena, net->values.len, EventRange)};
}

double mean_depth(EventMemo *memo, const Op *descend)
{
    size_t n;
    const Landing *at = tree_ends(memo, descend, &n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += at[i].share * at[i].depth;
    return sum;
}
