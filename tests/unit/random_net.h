/* random_net.h — random networks for property tests: whatever the builder can say, a pass, the back end and the text form
 * must handle. The same seed and options give the same network, so a failing seed is a bug report. */
#ifndef CNET_RANDOM_NET_H
#define CNET_RANDOM_NET_H

#include "../../ir/ir.h"

/* What may occur besides dense f32 arithmetic. */
enum {
    RANDOM_F64 = 1 << 0,
    RANDOM_INTS = 1 << 1,          /* i1 … i64: arithmetic, shifts, bits, ord, casts */
    RANDOM_WIDE = 1 << 2,          /* integers of 65 to 200 bits */
    RANDOM_MATH = 1 << 3,          /* exp tanh sigmoid sqrt div */
    RANDOM_INDICES = 1 << 4,       /* argmax argmin topk index */
    RANDOM_SETS = 1 << 5,          /* active, size, weigh, test; cols and rows of an affine; and, or, xor of sets */
    RANDOM_STACKS = 1 << 6,        /* row, matmix, indexed weights */
    RANDOM_TREES = 1 << 7,         /* descend, search */
    RANDOM_REGIONS = 1 << 8,       /* if case repeat each */
    RANDOM_EXITS = 1 << 9,         /* return and refuse within regions, a status */
    RANDOM_CALLS = 1 << 10,        /* a second network that is called; the one returned is the caller */
    RANDOM_EMPTY = 1 << 11,        /* extents of 0 */
    RANDOM_NONFINITE = 1 << 12,    /* NaN and infinities among the constants */
    RANDOM_TALLY = 1 << 13,
    RANDOM_ODD_NAMES = 1 << 14,    /* names that need quotes, duplicates */
    RANDOM_ZEROS = 1 << 15,        /* affines with zeros = skip, and weights that are zero */
    RANDOM_DENSE = RANDOM_F64 | RANDOM_INTS | RANDOM_MATH,
    RANDOM_ALL = (1 << 16) - 1
};

typedef struct RandomNetOptions {
    unsigned features;
    uint32_t ops;                  /* about so many; 0: 24 */
} RandomNetOptions;

/* Builds a valid network and adds it to the module (after the one it calls, if any). */
Network *random_network(Module *m, uint64_t seed, RandomNetOptions options);

/* Fills `at` with `count` elements of `type` in memory form: ordinary values, and now and then zeros of both signs, the
 * extremes of integers, subnormal numbers; with `wild` also NaN and infinities. Indices are in range. */
void random_elements(uint64_t *state, Type type, uint64_t count, bool wild, void *at);
/* Buffers for one evaluation, on `arena`: one per input, filled, and one per output, zeroed. */
void random_buffers(Arena *arena, const Network *net, uint64_t seed, bool wild, void ***inputs, void ***outputs);

/* Whether both hold the same elements, bit for bit; one NaN is as good as another. */
bool same_elements(Type type, const void *a, const void *b);

/* Memory that ends where a page begins that nobody may touch: who reads beyond it is killed. Goes with the arena. */
void *at_page_end(Arena *arena, uint64_t bytes);
/* Output buffers between margins that nobody may write, and whether nobody did. */
void **outputs_with_margins(Arena *arena, const Network *net);
bool margins_untouched(const Network *net, void *const *outputs);

/* The generator of it all (splitmix64), and a number below n (0 when n is 0). */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n);

#endif
