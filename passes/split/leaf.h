/* leaf.h — private to passes/split/: the code of a leaf as matrices, between leaf.c, which makes them, and emit.c. */
#ifndef CNET_PASSES_SPLIT_LEAF_H
#define CNET_PASSES_SPLIT_LEAF_H

#include "split.h"

/* Sums over a basis. Rows without a relu come first. */
typedef struct Stage {
    uint32_t plain, relu, cols;   /* rows, and elements of the basis */
    bool kept;                    /* the new basis is the plain rows, then the relus; else the relus are put behind the old one */
    const double *weight, *bias;  /* [plain + relu][cols], [plain + relu]: numbers of the network's type */
} Stage;

typedef struct Leaf {
    uint32_t n_stages;            /* 0: the value is constant */
    Stage *stage;                 /* the last gives the outputs, or with a winner the differences to the first that is alive */
    const double *constant;       /* n_stages = 0, no winner: the outputs */
    uint32_t n_labels, *label;    /* with a winner: which outputs are alive; one: it is the answer */
    double mean;                  /* expected operations, zero weights left out */
    double compiled, source;      /* proven, over the code's box: |compiled − real|, |source − real|; with a winner how far the real score
                                     of the one that is chosen can lie below the greatest */
    bool finite;                  /* no sum can overflow: else nothing of this holds */
} Leaf;

/* Inputs that a leaf reads: those with lo < hi, but never none. */
bool input_is_free(const Chain *chain, uint32_t input);
uint32_t n_free_inputs(const Chain *chain);

/* What lies in `scratch` may go afterwards, the leaf is in `arena`. */
Leaf leaf_compose(Arena *arena, Arena *scratch, const Chain *chain, const Code *code);

/* ---- source_error.c ---------------------------------------------------------------------------------------------------------------- */

/* By output: |source − real| at most, wherever the code runs. lo, hi: by neuron, between which it lies there in real arithmetic (hi alone
 * of those that are off). finite: no sum of the source can overflow. */
const double *source_errors(Arena *arena, const Chain *chain, const Code *code, const double *lo, const double *hi, bool *finite);

/* ---- classes.c -------------------------------------------------------------------------------------------------------------------- */

typedef struct ShapeStage { uint32_t plain, relu; bool kept; } ShapeStage;

/* Leaves whose code has one shape, each a slot. */
typedef struct Class {
    uint32_t n_stages, n_labels;
    ShapeStage *stage;
    uint32_t n_slots, *code;      /* by slot */
    double share;                 /* of the inputs, as expected */
} Class;
typedef struct Classes { uint32_t n; Class *at; uint32_t *class_of, *slot_of; /* by code */ } Classes;

/* At most so many, where shapes allow it. */
Classes classes_of(Arena *arena, uint32_t n_codes, const Leaf *leaf, const Code *code, uint32_t n_free, uint32_t most);

/* Numbers of one slot. */
double class_words(const Class *c, uint32_t n_free);

/* Which stage of the leaf is the class's stage t, when `at` of the leaf's stages are placed: the leaf's stage, or NULL: it has none there. */
const Stage *class_stage(const Class *class_, uint32_t t, const Leaf *leaf, uint32_t at);

#endif
