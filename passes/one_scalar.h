/* one_scalar.h — private to the pass piecewise: which parts of a network depend on one scalar. */
#ifndef CNET_PASSES_ONE_SCALAR_H
#define CNET_PASSES_ONE_SCALAR_H

#include "../ir/ir.h"

/* One element of a value. */
typedef struct Root { Value base; uint64_t element; } Root;

typedef struct Region {
    Root root;
    Vec(Op *) ops;                /* of the body, in order; they use nothing but the root, constants and one another */
    Vec(Value) frontier;          /* their results that others use */
    uint64_t cost;                /* operations, zero weights left out */
    uint64_t bytes;               /* of their constants */
    bool kinked;                  /* some op is no linear one */
} Region;

typedef struct RegionList { Vec(Region) regions; } RegionList;

/* The regions of the network's body, as large as they can be without the ops in `without`. */
typedef struct OpList { Vec(const Op *) ops; } OpList;
RegionList find_regions(Arena *arena, const Network *net, const OpList *without);

#endif
