/* alphabetic_tree.c — the tree of least expected depth over leaves that keep their order (Garsia and Wachs, SIAM J. Comput. 6, 1977).
 *
 * In: weights of leaves. Out: a binary tree. The one idea: as Huffman does, unite two light neighbours again and again; the tree that
 * comes of it has leaves out of order, but some tree has the same depths with the leaves in order.
 *
 *      1. read weights from the left; while the last but one is not above the new one, unite the last two: their sum goes back left to
 *         where it first meets one that is not below it, and there the same is asked again
 *      2. depths of the leaves in that tree
 *      3. the tree with these depths, from left to right
 *
 * O(n log n): what was read lies in a treap, ordered by place, whose nodes know the greatest weight below them. So the place of a sum is
 * found, and what is right of it is cut off, in O(log n) (arrays take O(n) for each sum of descending weights). Weights become
 * integers of 52 bits, so that sums are exact, as the proof demands.
 *
 * Ends: each union leaves one item fewer.
 */
#include "decisions.h"

#include <string.h>

/* ---- items in their order: a treap, numbered from 1; 0 is the empty one ---- */

typedef struct Treap { uint64_t weight, greatest; uint32_t left, right, priority, tree; } Treap;

/* `child` of union j: two of what leaves (0 … n-1) and earlier unions (n …) are. */
typedef struct Uniting {
    Treap *item;
    uint32_t n, n_unions;
    uint32_t (*child)[2];
} Uniting;

static uint32_t scramble(uint32_t i)
{
    uint64_t v = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(v >> 32);
}

static void refresh(Treap *item, uint32_t t)
{
    uint64_t left = item[item[t].left].greatest, right = item[item[t].right].greatest, most = left > right ? left : right;
    item[t].greatest = most > item[t].weight ? most : item[t].weight;
}

static uint32_t join(Treap *item, uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a ? a : b;
    uint32_t top = item[a].priority > item[b].priority ? a : b;
    if (top == a)
        item[a].right = join(item, item[a].right, b);
    else
        item[b].left = join(item, a, item[b].left);
    refresh(item, top);
    return top;
}

/* Cuts off behind the last item that is not below `weight`. */
static void cut(Treap *item, uint32_t t, uint64_t weight, uint32_t *kept, uint32_t *rest)
{
    if (!t) {
        *kept = *rest = 0;
        return;
    }
    if (item[item[t].right].greatest >= weight) {
        cut(item, item[t].right, weight, &item[t].right, rest);
        *kept = t;
    } else if (item[t].weight >= weight) {
        *rest = item[t].right;
        item[t].right = 0;
        *kept = t;
    } else {
        cut(item, item[t].left, weight, kept, &item[t].left);
        *rest = t;
    }
    refresh(item, t);
}

static uint32_t cut_last(Treap *item, uint32_t t, uint32_t *last)
{
    if (!item[t].right) {
        *last = t;
        return item[t].left;
    }
    item[t].right = cut_last(item, item[t].right, last);
    refresh(item, t);
    return t;
}

/* The weight of the last item but one, of two or more. */
static uint64_t last_but_one(const Treap *item, uint32_t t)
{
    uint32_t above = t;
    for (; item[t].right; t = item[t].right)
        above = t;
    if (!item[t].left)
        return item[above].weight;
    for (t = item[t].left; item[t].right; t = item[t].right)
        continue;
    return item[t].weight;
}

/* Unites the last two items; the sum is the number of the latter, alone. */
static uint32_t unite_last(Uniting *u, uint32_t *all)
{
    Treap *item = u->item;
    uint32_t a, b;
    *all = cut_last(item, *all, &b);
    *all = cut_last(item, *all, &a);
    u->child[u->n_unions][0] = item[a].tree;
    u->child[u->n_unions][1] = item[b].tree;
    item[b].tree = u->n + u->n_unions++;
    item[b].weight += item[a].weight;
    item[b].left = item[b].right = 0;
    item[b].greatest = item[b].weight;
    return b;
}

/* A sum that waits for what left of it has to be united first, and what lies right of it. */
typedef struct Waiting { uint32_t sum, rest; } Waiting;

/* Unites the last items of `all` as long as the last but one is not above `next`. Sums wait on a stack of their own: there may be n / 2. */
static uint32_t unite_below(Uniting *u, uint32_t all, uint64_t next, Waiting *waiting)
{
    Treap *item = u->item;
    uint32_t n = 0;
    for (;;) {
        uint64_t right = n ? item[waiting[n - 1].sum].weight : next;
        if ((item[all].left || item[all].right) && last_but_one(item, all) <= right) {
            uint32_t sum = unite_last(u, &all);
            waiting[n].sum = sum;
            cut(item, all, item[sum].weight, &all, &waiting[n].rest);
            n++;
        } else if (n) {
            n--;
            all = join(item, join(item, all, waiting[n].sum), waiting[n].rest);
        } else {
            return all;
        }
    }
}

static void unite(Uniting *u, Arena *arena, const uint64_t *weight)
{
    Waiting *waiting = NEW_ARRAY(arena, u->n / 2 + 1, Waiting);
    uint32_t all = 0;
    for (uint32_t i = 0; i < u->n; i++) {
        all = unite_below(u, all, weight[i], waiting);
        u->item[i + 1] = (Treap){weight[i], weight[i], 0, 0, scramble(i), i};
        all = join(u->item, all, i + 1);
    }
    unite_below(u, all, UINT64_MAX, waiting);
}

/* ---- the tree with given depths ---- */

typedef struct Open { uint32_t node; bool left_is_done; } Open;

static void attach(Decisions *d, Open *open, uint32_t n_open, int32_t what)
{
    if (n_open)
        d->node[open[n_open - 1].node].child[open[n_open - 1].left_is_done] = what;
}

static void build(Decisions *d, Arena *arena, const uint32_t *depth)
{
    Open *open = NEW_ARRAY(arena, d->depth + 1, Open);
    uint32_t n_open = 0, n_nodes = 0;
    for (uint32_t leaf = 0; leaf < d->n_leaves; leaf++) {
        while (n_open < depth[leaf]) {
            attach(d, open, n_open, (int32_t)n_nodes);
            open[n_open++] = (Open){n_nodes++, false};
        }
        attach(d, open, n_open, ~(int32_t)leaf);
        while (n_open && open[n_open - 1].left_is_done)
            n_open--;
        if (n_open) {
            open[n_open - 1].left_is_done = true;
            d->least[open[n_open - 1].node] = leaf + 1;
        }
    }
}

/* ---- the whole ---- */

double *weight_shares(Arena *arena, uint32_t n, const double *weights)
{
    double *share = NEW_ARRAY(arena, n, double), greatest = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        greatest = weights[i] > greatest ? weights[i] : greatest;
    for (uint32_t i = 0; i < n; i++)              /* relative to the greatest: their sum is finite */
        sum += weights[i] / greatest;
    for (uint32_t i = 0; i < n; i++)
        share[i] = weights[i] / greatest / sum;
    return share;
}

static uint64_t *whole_weights(Arena *arena, uint32_t n, const double *share, double rarest)
{
    uint64_t *whole = NEW_ARRAY(arena, n, uint64_t);
    double least = 1 / ((double)n * rarest);
    for (uint32_t i = 0; i < n; i++)
        whole[i] = 1 + (uint64_t)((share[i] > least ? share[i] : least) * 0x1p51);
    return whole;
}

Decisions alphabetic_tree(Arena *arena, uint32_t n, const double *weights, double rarest)
{
    Decisions d = {.n_leaves = n, .node = NEW_ARRAY(arena, n, TreeNode), .least = NEW_ARRAY(arena, n, uint32_t)};
    Uniting u = {.n = n, .item = NEW_ARRAY(arena, (size_t)n + 1, Treap), .child = arena_array(arena, n, sizeof *u.child)};
    const double *share = weight_shares(arena, n, weights);
    unite(&u, arena, whole_weights(arena, n, share, rarest));
    uint32_t *depth = NEW_ARRAY(arena, 2 * (size_t)n, uint32_t);
    for (uint32_t j = u.n_unions; j-- > 0;)       /* the last union is the root */
        depth[u.child[j][0]] = depth[u.child[j][1]] = depth[n + j] + 1;
    for (uint32_t i = 0; i < n; i++) {
        d.depth = depth[i] > d.depth ? depth[i] : d.depth;
        d.mean += share[i] * depth[i];
    }
    build(&d, arena, depth);
    return d;
}
