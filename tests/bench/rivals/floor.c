/* floor.c — no contender but a limit: one load a query, at a random place of n times the bytes of a key and its label. No exact look-up
 * that reads its table once can be faster where the table fits no cache.
 */
#include "rival.h"

typedef struct State {
    const Label *table;
    uint64_t cells;
} State;

static inline Label find(const State *s, Key key)
{
    uint64_t random = key_bits(key);
    random = (random ^ random >> 32) * 0x9e3779b97f4a7c15u;
    return s->table[(uint64_t)((unsigned __int128)random * s->cells >> 64)];
}

static void *floor_open(const Points *p, char *why)
{
    (void)why;
    State *s = rival_allocate(p, sizeof *s);
    uint64_t cells = p->n * (sizeof(Key) + sizeof(Label)) / sizeof(Label);
    Label *table = rival_allocate(p, cells * sizeof *table);
    for (uint64_t i = 0; i < cells; i++)    /* a page that nobody has written is one zero page for all */
        table[i] = p->labels[i % p->n];
    *s = (State){ table, cells };
    return s;
}

RIVAL_CHAIN(State, find)
static void many(const void *state, const Key *queries, size_t n, Label *labels)
{
    for (size_t i = 0; i < n; i++)
        labels[i] = find(state, queries[i]);
}
const Rival rival = { 1, floor_open, rival_chain, many };
