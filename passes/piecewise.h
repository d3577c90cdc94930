/* piecewise.h — private to the pass piecewise: what a region of one scalar will be replaced by. */
#ifndef CNET_PASSES_PIECEWISE_H
#define CNET_PASSES_PIECEWISE_H

#include "one_scalar.h"
#include "passes.h"
#include "piece_table.h"

/* The pass on one network. */
typedef struct Job {
    Network *net;
    PassContext *ctx;
    Value inside;                 /* the guard's test, once it stands */
} Job;

/* How a value of the frontier is had from the slot. Slopes and offsets are rows of their own, not an affine with two indices: those are
 * widened where they are stored, and go through the machinery of matrices. */
typedef struct Leaf {
    Value old;
    uint32_t first, n;            /* its elements among the watched cells */
    bool constant;
    Type stored_a, stored_b;      /* element types of the slopes and offsets that are stored */
} Leaf;

/* What a region will be replaced by. */
typedef struct Plan {
    const Region *region;
    Type type;                    /* of the scalar: an element */
    bool floats, boxed;           /* boxed: only right inside the box */
    Arena *scratch;               /* the cells', which stand only until the leaves are chosen */
    Cells *cells;
    Limb *lo;
    uint32_t lo_limbs, n_watched;
    CellId *watched;
    Pieces pieces;
    double *from, *to;            /* floats: the range of each piece */
    FloatLeaves leaves;
    Leaf *leaf;                   /* by number in the frontier */
    uint64_t cost;
} Plan;

/* The name of a value, for messages. */
const char *piecewise_name(const Network *net, Value v);

/* piecewise_build.c: builds the search and its leaves before the region, and lets everybody use them. The region is left, unused. */
void piecewise_replace(Job *job, const Plan *plan);

#endif
