/* stree.c — a static B+-tree as one writes it by hand: nodes of B = 16 keys (32 of four bytes), compared with vector instructions.
 *
 *     level 0        leaves: B keys, then their B labels
 *     level l        B separators: the first keys of the subtrees 1 ... B of a node; subtree 0 has none
 *
 * A node's place is computed, not stored: child c of node i is node i (B + 1) + c of the level below. Absent keys are greater than
 * any that is asked for. `many` walks GROUP queries side by side, level by level.
 */
#include <limits.h>
#include <math.h>

#include "rival.h"

enum { B = sizeof(Key) == 4 ? 32 : 16, MAX_LEVELS = 24, GROUP = 16 };

typedef struct Leaf {
    _Alignas(64) Key keys[B];
    Label labels[B];
} Leaf;

typedef struct State {
    const Leaf *leaves;
    int levels;                             /* of separators */
    const Key *level[MAX_LEVELS];           /* level[0] is the lowest */
} State;

#ifdef KEY_I64
#define GREATEST INT64_MAX
#else
#define GREATEST INFINITY
#endif

#if defined __AVX512F__
#include <immintrin.h>
/* How many of a node's keys are <= key. */
static inline unsigned rank_in(const Key *keys, Key key)
{
#if defined KEY_F32
    __m512 x = _mm512_set1_ps(key);
    __mmask16 lo = _mm512_cmp_ps_mask(x, _mm512_load_ps(keys), _CMP_GE_OQ);
    __mmask16 hi = _mm512_cmp_ps_mask(x, _mm512_load_ps(keys + 16), _CMP_GE_OQ);
    return (unsigned)_mm_popcnt_u32((unsigned)lo | (unsigned)hi << 16);
#elif defined KEY_I64
    __m512i x = _mm512_set1_epi64(key);
    __mmask8 lo = _mm512_cmp_epi64_mask(x, _mm512_load_si512(keys), _MM_CMPINT_NLT);
    __mmask8 hi = _mm512_cmp_epi64_mask(x, _mm512_load_si512(keys + 8), _MM_CMPINT_NLT);
    return (unsigned)_mm_popcnt_u32((unsigned)lo | (unsigned)hi << 8);
#else
    __m512d x = _mm512_set1_pd(key);
    __mmask8 lo = _mm512_cmp_pd_mask(x, _mm512_load_pd(keys), _CMP_GE_OQ);
    __mmask8 hi = _mm512_cmp_pd_mask(x, _mm512_load_pd(keys + 8), _CMP_GE_OQ);
    return (unsigned)_mm_popcnt_u32((unsigned)lo | (unsigned)hi << 8);
#endif
}
#else
static inline unsigned rank_in(const Key *keys, Key key)
{
    KeyBits rank = 0;                       /* as wide as a key: the compiler makes vectors of it */
    for (int i = 0; i < B; i++)
        rank += key >= keys[i];
    return (unsigned)rank;
}
#endif

static inline Label in_leaf(const Leaf *leaf, Key key)
{
    unsigned rank = rank_in(leaf->keys, key);
    return leaf->labels[rank - (rank > 0)];
}

static inline Label find(const State *s, Key key)
{
    size_t node = 0;
    for (int l = s->levels - 1; l >= 0; l--)
        node = node * (B + 1) + rank_in(s->level[l] + node * B, key);
    return in_leaf(&s->leaves[node], key);
}

static void find_group(const State *s, const Key *queries, Label *labels)
{
    size_t node[GROUP] = { 0 };
    for (int l = s->levels - 1; l >= 0; l--) {
        const Key *below = l > 0 ? s->level[l - 1] : NULL;
        for (int i = 0; i < GROUP; i++) {
            node[i] = node[i] * (B + 1) + rank_in(s->level[l] + node[i] * B, queries[i]);
            const char *next = below != NULL ? (const char *)(below + node[i] * B) : (const char *)&s->leaves[node[i]];
            __builtin_prefetch(next);
            __builtin_prefetch(next + 64);
            if (below == NULL)
                __builtin_prefetch(next + 128);
        }
    }
    for (int i = 0; i < GROUP; i++)
        labels[i] = in_leaf(&s->leaves[node[i]], queries[i]);
}

static void many(const void *state, const Key *queries, size_t n, Label *labels)
{
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP)
        find_group(state, queries + i, labels + i);
    for (; i < n; i++)
        labels[i] = find(state, queries[i]);
}

static void fill_leaves(Leaf *leaves, size_t n_leaves, const Points *p)
{
    for (size_t i = 0; i < n_leaves * B; i++) {
        leaves[i / B].keys[i % B] = i < p->n ? p->keys[i] : GREATEST;
        leaves[i / B].labels[i % B] = p->labels[i < p->n ? i : p->n - 1];
    }
}

/* One level of separators; `span` is how many leaves lie below each child of it. */
static Key *make_level(const Points *p, size_t nodes, size_t span)
{
    Key *keys = rival_allocate(p, nodes * B * sizeof(Key));
    for (size_t i = 0; i < nodes * B; i++) {
        size_t first = ((i / B) * (B + 1) + i % B + 1) * span * B;
        keys[i] = first < p->n ? p->keys[first] : GREATEST;
    }
    return keys;
}

static void *stree_open(const Points *p, char *why)
{
    (void)why;
    size_t n_leaves = (p->n + B - 1) / B;
    State *s = rival_allocate(p, sizeof *s);
    Leaf *leaves = rival_allocate(p, n_leaves * sizeof *leaves);
    fill_leaves(leaves, n_leaves, p);
    s->leaves = leaves;
    for (size_t nodes = n_leaves, span = 1; nodes > 1; span *= B + 1) {
        nodes = (nodes + B) / (B + 1);
        s->level[s->levels++] = make_level(p, nodes, span);
    }
    return s;
}

RIVAL_CHAIN(State, find)
const Rival rival = { 0, stree_open, rival_chain, many };
