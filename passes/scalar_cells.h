/* scalar_cells.h — private to the pass piecewise: what depends on one scalar, as sums and relus of single numbers. */
#ifndef CNET_PASSES_SCALAR_CELLS_H
#define CNET_PASSES_SCALAR_CELLS_H

#include "../ir/ir.h"
#include "bigint.h"

typedef uint32_t CellId;

typedef enum CellKind {
    CELL_ROOT,                    /* x itself; always cell 0 */
    CELL_SUM,                     /* bias + Σ weight · cell */
    CELL_RELU                     /* max(0, input) */
} CellKind;

/* A number that depends on x, as a whole number: the real one times 2^scale. */
typedef struct Cell {
    CellKind kind;
    CellId input;                 /* of a relu */
    int32_t scale;
    uint32_t fits;                /* > 0: the bits of the integer type that it has to fit */
    uint32_t limbs;               /* hold every value that it can have */
    uint32_t wide;                /* the most limbs of a sum that it is added to; 0: none */
    long double most;             /* |value| is at most this */
    long double steep;            /* |slope| of any piece, by step of x; floats */
    const Op *op;                 /* whose result it is, or is part of computing */
} Cell;

/* A term of a sum: of integers, at the scales of both cells, `wide` limbs at pool[at], or (0) the number itself; of floats, the real
 * weight. */
typedef struct Edge { CellId to; uint32_t wide; union { int64_t weight; uint64_t at; double real; } as; } Edge;

/* The same term seen from the sum. */
typedef struct Term { CellId from; double real; } Term;

typedef struct Cells {
    Arena *arena;
    const Network *net;
    bool floats;                  /* scales are in use, and nothing has to fit */
    Vec(Cell) cell;               /* in an order in which they can be evaluated */
    Vec(Limb) pool;               /* wide weights */
    Vec(Limb) bias;               /* of sums, each in the limbs of its cell, at bias_at */
    uint64_t *bias_at;            /* by cell */
    Edge *edge;                   /* by source, once cells_finish has run: those of cell c are [first_edge[c], first_edge[c + 1]) */
    uint64_t *first_edge, n_edges;
    Term *term;                   /* floats: by sum, those of cell c are [first_term[c], first_term[c + 1]) */
    uint64_t *first_term;
    CellId *relu;                 /* likewise the relus of a cell */
    uint32_t *first_relu;
    CellId **of_value;            /* by Value: its elements, NULL for values outside */
    uint64_t *n_of_value;
    struct CellsWork *work;       /* while it is being made */
} Cells;

/* Cells with x as the root: `root_scale` and the largest |x|, as a whole number. */
Cells *cells_new(Arena *arena, const Network *net, bool floats, int32_t root_scale, long double most);
/* Element of a value is x itself. */
void cells_set_root(Cells *cells, Value v, uint64_t n);
/* Whether cells can be made of this op, its operands being constants or values that are in. */
bool cells_can(const Network *net, const Op *op);
/* Makes them. False when numbers would become too long. */
bool cells_add(Cells *cells, const Op *op);
/* An affine of which only column `column` is not zero, in terms of x. */
bool cells_add_column(Cells *cells, const Op *op, uint64_t column);
void cells_finish(Cells *cells);

#endif
