/* scalar_sweep.h — private to the pass piecewise: the pieces of functions of one scalar. */
#ifndef CNET_PASSES_SCALAR_SWEEP_H
#define CNET_PASSES_SCALAR_SWEEP_H

#include "scalar_cells.h"

/* Watched cell w is value + slope (x − start) on the whole numbers of a piece; of piece p, value and slope are limbs[w] limbs each at
 * form[w][2 p limbs[w]]. Pieces are in order; one ends where the next begins. */
typedef struct Pieces {
    uint32_t n_watched;
    const CellId *watched;
    uint32_t *limbs;
    uint32_t position_limbs;
    size_t n;
    Limb *start;                  /* x − lo, unsigned, position_limbs each */
    Limb **form;
    Limb *span;                   /* hi − lo */
} Pieces;

typedef struct SweepLimits { size_t pieces; uint64_t work, bytes; } SweepLimits;

typedef enum SweepEnd {
    SWEEP_DONE,
    SWEEP_WRAPS,                  /* `culprit` can leave its type */
    SWEEP_TOO_MANY,               /* more pieces than the limit */
    SWEEP_TOO_LONG                /* more work or memory */
} SweepEnd;

/* lo … hi, whole numbers in the root's limbs: integers, or (precision > 0) floats of so many bits, of which lo and hi are two; a piece
 * then begins at a float, and is right at all floats that it holds. */
typedef struct SweepRange {
    uint32_t precision;
    const Limb *lo, *hi;
    bool unfiltered;              /* floats: whole numbers decide everything */
} SweepRange;

/* All pieces of the watched cells, which *out names: of integers, and of floats. */
SweepEnd scalar_sweep(Arena *arena, const Cells *cells, SweepRange range, const SweepLimits *limits, Pieces *out, const Op **culprit);
SweepEnd scalar_sweep_floats(Arena *arena, const Cells *cells, SweepRange range, const SweepLimits *limits, Pieces *out);

#endif
