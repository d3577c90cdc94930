/* choose.c — which nodes of a grown tree are leaves, and whose code they run.
 *
 *      join     a node knows what all parts below it agree on: deep bounds, shallow tree
 *      choose   J(node, a) = min of   share · mean(a)                                        the code of a, a node above it
 *                                     share · mean(node) + λ bytes(node)                     its own
 *                                     share + λ bytes(cut) + J(left, a) + J(right, a)        a cut
 *                                     λ bytes(node) + the same with node for a               a cut, and its own code for what lies below
 *      λ        bisected, until the bytes are within the limit; what is left of them goes to some nodes at a lower price
 *
 * In: a grown tree, limits. Out: the tree to emit. The one idea: code of a larger part is correct on each smaller one, only longer; so
 * memory buys operations leaf by leaf, and one price λ of a byte makes all these purchases comparable (a Lagrangian). O(nodes · depth)
 * for each λ.
 *
 * Codes that leave the same of the network are the same matrices, so they are stored once, wherever they stand in the tree. The
 * recurrence pays for each; what is counted against the limit is what is stored.
 */
#include "split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DOUBLINGS = 96, BISECTIONS = 20, LOWER_PRICES = 4, LEAF_BYTES = sizeof(TreeLeaf) };
static const double LEAST_PRICE = 1e-12;

typedef enum Choice { CHOICE_above, CHOICE_own, CHOICE_cut, CHOICE_cut_own } Choice;

typedef struct Chooser {
    Arena *arena;
    const Chain *chain;
    const GrowNode *node;
    uint32_t n_nodes;
    ChooseLimits limits;
    uint32_t *code;               /* by node: equal numbers, equal code */
    uint64_t *bytes;              /* by node, of its code */
    uint64_t *first;              /* by node: where its choices begin, one for each node above it and one for none */
    uint8_t *choice, *dearer;     /* at the price asked for; and those that nodes from `turn` on make: at a price at which it fits */
    uint64_t n_choices;
    uint32_t turn;
    bool late;                    /* it is those before `turn` */
    double price;
    double *row;                  /* J of nodes on the way down: two rows for each depth */
    uint32_t width;
    int32_t *above;               /* by depth, on the way down */
    uint32_t *used, *number, stamp;   /* by code: the last walk that met it, and as the how manieth */
    double *lo, *hi;
} Chooser;

typedef struct Outcome { double ops; uint64_t bytes; uint32_t nodes, leaves, codes; } Outcome;

/* ---- join ---- */

static void join_known(const Chain *chain, uint8_t *to, const uint8_t *a, const uint8_t *b)
{
    size_t states = (chain->n_neurons + 3) / 4, all = known_bytes(chain);
    for (size_t i = 0; i < states; i++) {
        uint8_t differ = (uint8_t)(a[i] ^ b[i]), low = (uint8_t)((differ | differ >> 1) & 0x55);
        to[i] = (uint8_t)((a[i] & ~(low * 3)) | low << 1);                              /* 2, unstable, where they differ */
    }
    for (size_t i = states; i < all; i++)
        to[i] = a[i] | b[i];
}

_Static_assert(STATE_OFF == 0 && STATE_ON == 1 && STATE_UNSTABLE == 2, "two bits a neuron");

static void join(Arena *arena, const Chain *chain, Growth *growth)
{
    uint8_t *state = arena_alloc(arena, chain->n_neurons), *alive = arena_alloc(arena, chain->n_outputs);
    for (size_t i = growth->node.len; i-- > 0;) {
        GrowNode *n = &growth->node.at[i];
        if (n->child[0] < 0)
            continue;
        join_known(chain, n->known, growth->node.at[n->child[0]].known, growth->node.at[n->child[1]].known);
        known_unpack(chain, n->known, state, alive);
        n->how = leaf_code(chain, state, alive);
    }
}

/* ---- codes that are equal ---- */

static uint64_t bytes_of(const Chain *chain, LeafCode how) { return (uint64_t)how.words * type_element_bytes(chain->element); }

static uint64_t cut_bytes(const Chain *chain) { return sizeof(TreeNode) + type_element_bytes(chain->element) + LEAF_BYTES; }

static void number_codes(Chooser *c)
{
    size_t size = 1, known = known_bytes(c->chain);
    while (size < (size_t)2 * c->n_nodes)
        size *= 2;
    uint32_t *table = NEW_ARRAY(c->arena, size, uint32_t);        /* node + 1 */
    c->code = NEW_ARRAY(c->arena, c->n_nodes, uint32_t);
    c->bytes = NEW_ARRAY(c->arena, c->n_nodes, uint64_t);
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        size_t at = hash_bytes(c->node[i].known, known).lo & (size - 1);
        while (table[at] && memcmp(c->node[table[at] - 1].known, c->node[i].known, known) != 0)
            at = (at + 1) & (size - 1);
        if (!table[at])
            table[at] = i + 1;
        c->code[i] = table[at] - 1;
        c->bytes[i] = bytes_of(c->chain, c->node[i].how);
    }
}

/* ---- choose ---- */

static bool allowed(const Chooser *c, const GrowNode *at, const GrowNode *code)
{
    return c->limits.worst == 0 || (uint64_t)at->depth + code->how.worst <= c->limits.worst;
}

/* J of node i into row[0 … its depth]: entry 0 has no node above that gives its code, entry k the one at depth k − 1. */
static void choose(Chooser *c, int32_t i, double *row)
{
    const GrowNode *n = &c->node[i];
    uint32_t d = n->depth;
    double own = allowed(c, n, n) ? n->share * n->how.mean + c->price * (double)c->bytes[i] : INFINITY, cut_own = INFINITY;
    double *left = c->row + (size_t)2 * (d + 1) * c->width, *right = left + c->width;
    bool cut = n->child[0] >= 0;
    double base = n->share + c->price * (double)cut_bytes(c->chain);
    c->above[d] = i;
    if (cut) {
        choose(c, n->child[0], left);
        c->above[d] = i;
        choose(c, n->child[1], right);
        cut_own = base + c->price * (double)c->bytes[i] + left[d + 1] + right[d + 1];
    }
    for (uint32_t k = 0; k <= d; k++) {
        const GrowNode *a = k > 0 ? &c->node[c->above[k - 1]] : NULL;
        double best = a && allowed(c, n, a) ? n->share * a->how.mean : INFINITY, split = cut ? base + left[k] + right[k] : INFINITY;
        Choice choice = CHOICE_above;
        if (own < best)
            best = own, choice = CHOICE_own;
        if (split < best)
            best = split, choice = CHOICE_cut;
        if (cut_own < best)
            best = cut_own, choice = CHOICE_cut_own;
        row[k] = best;
        c->choice[c->first[i] + k] = (uint8_t)choice;
    }
}

/* ---- what was chosen ---- */

/* Counts, and with `split` also writes down. lo, hi: the part of the box. */
typedef struct Visit { Chooser *c; Outcome *out; Split *split; double *lo, *hi; } Visit;

static uint32_t visit_code(Visit *v, int32_t node)
{
    Chooser *c = v->c;
    uint32_t code = c->code[node];
    if (c->used[code] != c->stamp) {
        c->used[code] = c->stamp;
        c->number[code] = v->out->codes++;
        v->out->bytes += c->bytes[node];
        if (v->split)
            v->split->codes[c->number[code]].how = c->node[node].how;
    }
    return c->number[code];
}

/* A leaf more that runs this code. */
static void write_leaf(const Visit *v, uint32_t leaf, uint32_t code, int32_t node, double share)
{
    const Chain *chain = v->c->chain;
    Code *to = &v->split->codes[code];
    if (!to->state) {
        uint8_t *state = arena_alloc(v->c->arena, chain->n_neurons), *alive = arena_alloc(v->c->arena, chain->n_outputs);
        known_unpack(chain, v->c->node[node].known, state, alive);
        to->state = state;
        to->alive = alive;
        to->lo = memcpy(NEW_ARRAY(v->c->arena, chain->n_inputs, double), v->lo, chain->n_inputs * sizeof(double));
        to->hi = memcpy(NEW_ARRAY(v->c->arena, chain->n_inputs, double), v->hi, chain->n_inputs * sizeof(double));
    }
    double *lo = (double *)to->lo, *hi = (double *)to->hi;
    for (uint32_t j = 0; j < chain->n_inputs; j++) {
        lo[j] = fmin(lo[j], v->lo[j]);
        hi[j] = fmax(hi[j], v->hi[j]);
    }
    to->share += share;
    v->split->code[leaf] = code;
    v->split->share[leaf] = share;
}

/* A node of the tree that is emitted, whose code from above is of the one at depth k − 1: its number, or that of the leaf (~). */
static int32_t visit(Visit *v, int32_t i, uint32_t k)
{
    Chooser *c = v->c;
    const GrowNode *n = &c->node[i];
    Choice choice = (((uint32_t)i < c->turn) != c->late ? c->choice : c->dearer)[c->first[i] + k];
    if (choice == CHOICE_above || choice == CHOICE_own) {
        int32_t node = choice == CHOICE_own ? i : c->above[k - 1];
        uint32_t code = visit_code(v, node), leaf = v->out->leaves++;
        v->out->ops += n->share * c->node[node].how.mean;
        if (v->split)
            write_leaf(v, leaf, code, node, n->share);
        return ~(int32_t)leaf;
    }
    int32_t id = (int32_t)v->out->nodes++, child[2];
    v->out->ops += n->share;
    v->out->bytes += cut_bytes(c->chain);
    for (int side = 0; side < 2; side++) {
        double *end = side == 0 ? &v->hi[n->coordinate] : &v->lo[n->coordinate], was = *end;
        c->above[n->depth] = i;
        *end = n->cut;
        child[side] = visit(v, n->child[side], choice == CHOICE_cut_own ? n->depth + 1 : k);
        *end = was;
    }
    if (v->split)
        v->split->node[id] = (SplitNode){n->coordinate, n->cut, {child[0], child[1]}};
    return id;
}

static Outcome count(Chooser *c, Split *split)
{
    Outcome out = {.bytes = LEAF_BYTES};
    Visit v = {c, &out, split, memcpy(c->lo, c->chain->lo, c->chain->n_inputs * sizeof(double)),
               memcpy(c->hi, c->chain->hi, c->chain->n_inputs * sizeof(double))};
    c->stamp++;
    visit(&v, 0, 0);
    return out;
}

/* What a byte at this price makes of the tree; no operations at all: it cannot be done. */
static Outcome outcome_at(Chooser *c, double price)
{
    c->price = price;
    choose(c, 0, c->row);
    return isfinite(c->row[0]) ? count(c, NULL) : (Outcome){.ops = INFINITY, .bytes = UINT64_MAX};
}

typedef struct Best { Outcome out; double price, dearer; uint32_t turn; bool late; } Best;

/* Whether the tree is within the bytes; the best such tree is kept. */
static bool keep_best(const Chooser *c, Outcome out, Best tree, Best *best)
{
    bool within = out.bytes <= c->limits.bytes;
    tree.out = out;
    if (within && out.ops < best->out.ops)
        *best = tree;
    return within;
}

static bool try_price(Chooser *c, double price, Best *best)
{
    return keep_best(c, outcome_at(c, price), (Best){.price = price, .dearer = price, .turn = c->n_nodes}, best);
}

/* Choices at both prices: nodes before `turn` make those of the lower, or the later ones do. Any mixture is a tree, for a choice is
 * there for every code from above. */
static void set_prices(Chooser *c, double price, double dearer)
{
    c->late = false;
    c->turn = c->n_nodes;
    (void)outcome_at(c, dearer);
    memcpy(c->dearer, c->choice, c->n_choices);
    (void)outcome_at(c, price);
}

static void mix(Chooser *c, double price, double dearer, bool late, Best *best)
{
    uint32_t fits = late ? c->n_nodes : 0, over = c->n_nodes - fits;
    c->late = late;
    while (fits > over ? fits - over > 1 : over - fits > 1) {
        c->turn = fits / 2 + over / 2 + (fits & over & 1);
        Best tree = {.price = price, .dearer = dearer, .turn = c->turn, .late = late};
        *(keep_best(c, count(c, NULL), tree, best) ? &fits : &over) = c->turn;
    }
}

/* One node more may be too much at any price: what it leaves over buys something smaller. */
static void spend_the_rest(Chooser *c, double price, double dearer, Best *best)
{
    for (int i = 0; i < LOWER_PRICES; i++, price /= 2) {
        set_prices(c, price, dearer);
        mix(c, price, dearer, false, best);
        mix(c, price, dearer, true, best);
    }
    c->late = false;
    c->turn = c->n_nodes;
}

/* The least operations within the bytes, among all that is tried. */
static Best best_tree(Chooser *c)
{
    Best best = {.out.ops = INFINITY};
    double low = LEAST_PRICE, high = low;
    if (try_price(c, 0, &best) || !isfinite(c->row[0]))
        return best;
    for (int i = 0; i < DOUBLINGS && !try_price(c, high, &best); i++)
        low = high, high *= 2;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = sqrt(low * high);
        *(try_price(c, middle, &best) ? &high : &low) = middle;
    }
    if (isfinite(best.out.ops))
        spend_the_rest(c, low, high, &best);
    return best;
}

static void write_split(Chooser *c, const Best *tree, Split *out)
{
    Outcome size = tree->out;
    *out = (Split){.n_nodes = size.nodes, .n_leaves = size.leaves, .n_codes = size.codes,
                   .node = NEW_ARRAY(c->arena, size.nodes, SplitNode), .code = NEW_ARRAY(c->arena, size.leaves, uint32_t),
                   .share = NEW_ARRAY(c->arena, size.leaves, double), .codes = NEW_ARRAY(c->arena, size.codes, Code)};
    set_prices(c, tree->price, tree->dearer);
    c->turn = tree->turn;
    c->late = tree->late;
    count(c, out);
}

static uint32_t deepest(const Chooser *c)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        depth = c->node[i].depth > depth ? c->node[i].depth : depth;
    return depth;
}

static Chooser chooser_new(Arena *scratch, const Chain *chain, const Growth *growth, const ChooseLimits *limits)
{
    Chooser c = {.arena = scratch, .chain = chain, .node = growth->node.at, .n_nodes = (uint32_t)growth->node.len, .limits = *limits};
    uint64_t choices = 0;
    c.first = NEW_ARRAY(scratch, c.n_nodes, uint64_t);
    for (uint32_t i = 0; i < c.n_nodes; i++) {
        c.first[i] = choices;
        choices += c.node[i].depth + 1;
    }
    c.width = deepest(&c) + 2;
    c.n_choices = choices;
    c.choice = arena_alloc(scratch, choices);
    c.dearer = arena_alloc(scratch, choices);
    c.turn = c.n_nodes;
    c.row = NEW_ARRAY(scratch, (size_t)2 * (c.width + 1) * c.width, double);
    c.above = NEW_ARRAY(scratch, c.width, int32_t);
    c.used = NEW_ARRAY(scratch, c.n_nodes, uint32_t);
    c.number = NEW_ARRAY(scratch, c.n_nodes, uint32_t);
    c.lo = NEW_ARRAY(scratch, chain->n_inputs, double);
    c.hi = NEW_ARRAY(scratch, chain->n_inputs, double);
    number_codes(&c);
    return c;
}

bool choose_split(Arena *arena, const Chain *chain, Growth *growth, const ChooseLimits *limits, Split *out)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    join(scratch, chain, growth);
    Chooser c = chooser_new(scratch, chain, growth, limits);
    Best best = best_tree(&c);
    bool found = isfinite(best.out.ops);
    c.arena = arena;
    if (found)
        write_split(&c, &best, out);
    arena_free(scratch);
    return found;
}

/* ---- the tree ---- */

uint64_t split_bytes(const Chain *chain, const Split *split)
{
    uint64_t bytes = LEAF_BYTES + split->n_nodes * cut_bytes(chain);
    for (uint32_t i = 0; i < split->n_codes; i++)
        bytes += bytes_of(chain, split->codes[i].how);
    return bytes;
}

uint32_t split_leaf(const Split *split, const double *x, uint32_t *depth)
{
    int32_t at = split->n_nodes > 0 ? 0 : ~0;
    for (*depth = 0; at >= 0; ++*depth)
        at = split->node[at].child[!(x[split->node[at].coordinate] <= split->node[at].cut)];
    return (uint32_t)~at;
}

uint64_t split_worst(Arena *scratch, const Split *split)
{
    uint64_t worst = split->n_nodes == 0 ? split->codes[split->code[0]].how.worst : 0;
    uint32_t *depth = NEW_ARRAY(scratch, split->n_nodes, uint32_t);
    for (uint32_t i = 0; i < split->n_nodes; i++)
        for (int side = 0; side < 2; side++) {
            int32_t child = split->node[i].child[side];
            uint64_t here = depth[i] + 1 + (child < 0 ? split->codes[split->code[~child]].how.worst : 0);
            if (child >= 0)
                depth[child] = depth[i] + 1;
            else if (here > worst)
                worst = here;
        }
    return worst;
}
