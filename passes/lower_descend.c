/* lower_descend.c — choose whether a tree is walked as a table or is code.
 *
 *      %c, %s, %d = descend @T, %x       =>      %c, %s, %d = descend @T, %x !lower(branch)
 *
 * The one idea: a table's step waits for a load and a comparison, but guesses nothing except where the walk ends; a branch guesses
 * every node, and pays for it as often as the less likely side is taken. So code is for trees whose nodes are nearly decided, or whose
 * walks end anywhere; a balanced tree of even queries is a table from four leaves on. What is likely is told by the caller (the weights of
 * the data), or the tree itself: one that is nearly balanced says nothing, all its leaves are as likely; one that is not was made so that
 * a leaf d deep has a share of 2^-d.
 *
 * Values and counts do not change. Trees that are annotated stay as they are, unless forced. Ends: one sweep.
 */
#include "lower_descend.h"

#include <math.h>

/* Cycles, measured on trees of 2 to 16000 leaves, balanced, random and skewed (Cascade Lake). */
static const double BEGIN_TABLE = 4, STEP = 7, STEP_OF_MANY = 12;     /* of many coordinates: one load more */
static const double BEGIN_CODE = 5, BRANCH = 1.5, MISS = 20;
static const double WORTH = 0.8;                  /* code has to be better by a fifth: it is larger, and compiled more slowly */
enum { MOST_NODES = 1000 };                       /* code that stays in a first cache, and its branches in the predictor */

typedef struct Shape { uint32_t deepest; double mean_depth, ends_missed, nodes_missed; } Shape;

/* Shares of the nodes, given those of the leaves; a leaf's is split evenly among its places. False when a node has several parents. */
static bool share_of_nodes(Arena *arena, const Tree *t, const double *leaf, double *share)
{
    uint32_t *places = NEW_ARRAY(arena, t->n_leaves, uint32_t);
    bool *has_parent = NEW_ARRAY(arena, t->n_nodes, bool);
    for (uint32_t i = 0; i < 2 * t->n_nodes; i++) {
        int32_t child = t->node[i / 2].child[i % 2];
        if (child < 0)
            places[~child]++;
        else if (has_parent[child])
            return false;
        else
            has_parent[child] = true;
    }
    for (uint32_t i = t->n_nodes; i-- > 0;)
        for (int side = 0; side < 2; side++) {
            int32_t child = t->node[i].child[side];
            share[2 * i + side] = child < 0 ? leaf[~child] / places[~child] : share[2 * child] + share[2 * child + 1];
        }
    for (uint32_t i = 1; i < t->n_nodes; i++)
        if (!has_parent[i])
            share[2 * i] = share[2 * i + 1] = 0;
    return true;
}

static void find_depths(const Tree *t, uint32_t *depth, Shape *s)
{
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (depth[i] + 1 > s->deepest)
            s->deepest = depth[i] + 1;
        for (int side = 0; side < 2; side++)
            if (t->node[i].child[side] >= 0)
                depth[t->node[i].child[side]] = depth[i] + 1;
    }
}

/* What the tree itself says. */
static void default_shares(const Tree *t, const uint32_t *depth, uint32_t deepest, double *leaf)
{
    bool balanced = ldexp(1, (int)deepest - 3) < t->n_nodes + 1.0;
    for (uint32_t i = 0; i < 2 * t->n_nodes; i++)
        if (t->node[i / 2].child[i % 2] < 0)
            leaf[~t->node[i / 2].child[i % 2]] += balanced ? 1 : ldexp(1, -1 - (int)depth[i / 2]);
}

static void measure(Arena *arena, const Tree *t, const uint32_t *depth, const double *share, Shape *s)
{
    double *ends = NEW_ARRAY(arena, s->deepest + 1, double), *reached = NEW_ARRAY(arena, s->deepest + 1, double);
    double all = share[0] + share[1];
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        double left = share[2 * i] / all, right = share[2 * i + 1] / all;
        s->nodes_missed += fmin(left, right);
        s->mean_depth += left + right;
        reached[depth[i]] += left + right;
        ends[depth[i]] += (t->node[i].child[0] < 0 ? left : 0) + (t->node[i].child[1] < 0 ? right : 0);
    }
    for (uint32_t d = 0; d < s->deepest; d++)
        s->ends_missed += fmin(ends[d], reached[d] - ends[d]);
}

static bool shape_of(Arena *arena, const Tree *t, const double *weight, Shape *s)
{
    double *leaf = NEW_ARRAY(arena, t->n_leaves, double), *share = NEW_ARRAY(arena, 2 * (uint64_t)t->n_nodes, double);
    uint32_t *depth = NEW_ARRAY(arena, t->n_nodes, uint32_t);
    double sum = 0;
    *s = (Shape){0};
    find_depths(t, depth, s);
    for (uint32_t i = 0; i < t->n_leaves; i++)
        sum += leaf[i] = weight ? weight[i] : 0;
    if (!(sum > 0 && sum < INFINITY))
        default_shares(t, depth, s->deepest, leaf);
    if (!share_of_nodes(arena, t, leaf, share) || !(share[0] + share[1] > 0))
        return false;
    measure(arena, t, depth, share, s);
    return true;
}

static void costs_of(const Tree *t, const Shape *s, double *table, double *code)
{
    *table = BEGIN_TABLE + s->mean_depth * (t->n_keys > 1 ? STEP_OF_MANY : STEP) + MISS * s->ends_missed;
    *code = BEGIN_CODE + s->mean_depth * BRANCH + MISS * s->nodes_missed;
}

Lower tree_lowering(Arena *scratch, const Tree *t, const double *weight)
{
    Shape s;
    double table, code;
    if (t->n_nodes == 0 || t->n_nodes > MOST_NODES || t->key.n > 64 || !shape_of(scratch, t, weight, &s))
        return LOWER_auto;
    costs_of(t, &s, &table, &code);
    return code < WORTH * table ? LOWER_branch : LOWER_auto;
}

static void explain(PassContext *ctx, const Op *op, const Tree *t)
{
    Shape s;
    double table, code;
    if (t->n_nodes == 0 || !shape_of(ctx->arena, t, NULL, &s))
        return;
    costs_of(t, &s, &table, &code);
    pass_note(ctx, "site %u: %s of %u leaves, mean depth %.1f: cycles of a table %.0f, of code %.0f", op->site,
              op->lower == LOWER_branch ? "code" : "table", t->n_nodes + 1, s.mean_depth, table, code);
}

bool lower_trees(Network *net, PassContext *ctx, Lower forced)
{
    bool changed = false;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind != OP_descend || (forced == LOWER_auto && op->lower != LOWER_auto))
            continue;
        const Tree *t = const_get(net->module, op->cst[0])->tree;
        Lower lower = forced != LOWER_auto ? (forced == LOWER_branch ? LOWER_branch : LOWER_auto) : tree_lowering(ctx->arena, t, NULL);
        changed |= op->lower != lower;
        op->lower = lower;
        explain(ctx, op, t);
    }
    return changed;
}
