/* flat_hash.c — a hash table with linear probing: keys and labels side by side in one array, a power of two of slots, at most half of
 * them in use. A multiplication mixes the bits of the key; the slot is the top of the product.
 *
 * With -DAHEAD=16 `many` fetches the slots of the queries 16 further on, which overlaps more misses than the processor does alone.
 */
#include "rival.h"

enum { EMPTY = -1 };

typedef struct Slot {
    Key key;
    Label label;
} Slot;

typedef struct State {
    const Slot *slots;
    uint64_t mask;
    int shift;
} State;

static inline uint64_t slot_of(const State *s, Key key)
{
    uint64_t bits = key_bits(key);
    bits ^= bits >> 32;                     /* floats differ in their upper bits, and these reach only what is above them */
    return bits * 0x9e3779b97f4a7c15u >> s->shift;
}

static inline Label find(const State *s, Key key)
{
    uint64_t i = slot_of(s, key);
    while (s->slots[i].key != key)
        i = (i + 1) & s->mask;
    return s->slots[i].label;
}

static void *flat_hash_open(const Points *p, char *why)
{
    (void)why;
    State *s = rival_allocate(p, sizeof *s);
    uint64_t size = 2;
    int log = 1;
    for (; size < 2 * p->n; size *= 2)
        log++;
    Slot *slots = rival_allocate(p, size * sizeof *slots);
    *s = (State){ slots, size - 1, 64 - log };
    for (uint64_t i = 0; i < size; i++)
        slots[i].label = EMPTY;
    for (uint64_t i = 0; i < p->n; i++) {
        uint64_t at = slot_of(s, p->keys[i]);
        while (slots[at].label != EMPTY)
            at = (at + 1) & s->mask;
        slots[at] = (Slot){ p->keys[i], p->labels[i] };
    }
    return s;
}

#ifdef AHEAD
static void many(const void *state, const Key *queries, size_t n, Label *labels)
{
    const State *s = state;
    size_t i = 0;
    for (; i + AHEAD < n; i++) {
        __builtin_prefetch(&s->slots[slot_of(s, queries[i + AHEAD])]);
        labels[i] = find(s, queries[i]);
    }
    for (; i < n; i++)
        labels[i] = find(s, queries[i]);
}

RIVAL_CHAIN(State, find)
const Rival rival = { 0, flat_hash_open, rival_chain, many };
#else
RIVAL(State, flat_hash_open, find)
#endif
