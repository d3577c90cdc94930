/* piece_table.h — private to the pass piecewise: pieces as the leaves of a search. */
#ifndef CNET_PASSES_PIECE_TABLE_H
#define CNET_PASSES_PIECE_TABLE_H

#include "scalar_sweep.h"

/* Pieces on which everything is constant, each as long as possible: whole numbers between which something is not constant stand alone.
 * False when there are more than `most`. */
bool pieces_as_constants(Arena *arena, const Pieces *in, size_t most, Pieces *out);

/* Neighbours that are the same affine map become one; `keep` (NULL: all) says which pieces are there at all. first[k] is the number in
 * `in` of the k-th of the result. */
void pieces_merge(Arena *arena, const Pieces *in, const bool *keep, Pieces *out, size_t **first);

/* The value of watched cell w at the start of piece p, and its slope. */
const Limb *piece_value(const Pieces *pieces, uint32_t w, size_t p);
const Limb *piece_slope(const Pieces *pieces, uint32_t w, size_t p);
const Limb *piece_start(const Pieces *pieces, size_t p);
bool pieces_are_constant(const Pieces *pieces, uint32_t w);

/* For floats: slope and offset of every leaf as stored, for x in [from[p], to[p]], and what that can be off by. x is a whole number times
 * 2^-root_scale, lo the least one. */
typedef struct FloatLeaf { double a, b; } FloatLeaf;
typedef struct FloatLeaves {
    size_t n;                     /* leaves; those of watched cell w are at [w n] */
    FloatLeaf *leaf;
    double *error;                /* by watched cell: |a x + b in real arithmetic − the function|, at most */
    double *least, *most;         /* by watched cell: of the function; outward */
    double *slope;                /* by watched cell: the greatest |slope| */
    double *reach;                /* by watched cell: the greatest |a x| + |b| */
} FloatLeaves;
typedef struct LeafQuestion {
    const Cells *cells;
    const Pieces *pieces;
    const Limb *lo;
    uint32_t lo_limbs;
    const double *from, *to;      /* by piece */
    bool f32_slopes, f32_offsets; /* how they are to be stored */
} LeafQuestion;
void float_leaves(Arena *arena, const LeafQuestion *q, FloatLeaves *out);

#endif
