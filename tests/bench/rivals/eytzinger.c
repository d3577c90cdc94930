/* eytzinger.c — binary search in the order of a heap (children of k at 2k and 2k + 1), without branches, the cache line of three levels
 * (four for 4-byte keys) further down fetched ahead; labels in the same order.
 *
 * The key that is found is the last one where the search went right: its number is the path without its last 1 and the zeros behind it.
 */
#include "rival.h"

enum { AHEAD = 64 / sizeof(Key) };

typedef struct State {
    Key *keys;                              /* 1 ... n; 0 is for what is less than all keys */
    Label *labels;
    uint64_t n;
} State;

static inline Label find(const State *s, Key key)
{
    uint64_t k = 1, n = s->n;
    const Key *keys = s->keys;
    while (k <= n) {
        __builtin_prefetch(keys + k * AHEAD);
        k = 2 * k + (key >= keys[k]);
    }
    return s->labels[k >> (__builtin_ctzll(k) + 1)];
}

static uint64_t fill(State *s, const Points *p, uint64_t next, uint64_t k)
{
    if (k > s->n)
        return next;
    next = fill(s, p, next, 2 * k);
    s->keys[k] = p->keys[next];
    s->labels[k] = p->labels[next];
    return fill(s, p, next + 1, 2 * k + 1);
}

static void *eytzinger_open(const Points *p, char *why)
{
    (void)why;
    State *s = rival_allocate(p, sizeof *s);
    *s = (State){ rival_allocate(p, (p->n + 1) * sizeof(Key)), rival_allocate(p, (p->n + 1) * sizeof(Label)), p->n };
    fill(s, p, 0, 1);
    return s;
}

RIVAL(State, eytzinger_open, find)
