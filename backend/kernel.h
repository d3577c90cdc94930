/* kernel.h — inside affine layers: what a kernel is made of. affine.c chooses and calls; panels.c and narrow.c make loops.
 */
#ifndef CNET_BACKEND_KERNEL_H
#define CNET_BACKEND_KERNEL_H

#include "gen.h"

/* How the columns are walked. */
typedef enum Walk {
    WALK_dense,                   /* all of them */
    WALK_mask,                    /* the bits of a set, word by word */
    WALK_list,                    /* indices, prefetching a few columns ahead */
    WALK_branch,                  /* all of them, with a branch around each */
    WALK_gather                   /* row by row, the columns whose weight is not zero */
} Walk;

/* What makes two layers share a kernel. */
typedef struct Shape {
    Layout weights;
    Type sum;
    uint32_t chains;
    bool relu;
    bool bits;                    /* with relu: it also stores which rows are active */
    bool nonzero;                 /* terms of zero weights are left out (zeros = skip) */
    uint32_t pitch;               /* elements from column to column, where that is not the tile: a band of a long tile; else 0 */
    bool more;                    /* the bias may be y itself, which holds the sums of the columns before */
    Walk walk;
} Shape;

/* A kernel while it is built. */
typedef struct Kernel {
    Fn f;
    const Shape *s;
    LLVMValueRef x, w, b, y;
    LLVMValueRef cols;            /* dense, branch: how many (a size) */
    LLVMValueRef set;             /* mask, branch: the words; list: what be_list_maker's function made; gather: the columns */
    LLVMValueRef word;            /* the set's only word, if it is known as a value; NULL: it is loaded */
    LLVMValueRef bits;            /* where the bits of active rows go (a byte address); NULL: only to out_word */
    LLVMValueRef out_word;        /* the bits of a tile of at most 64 rows, padding included */
    LLVMTypeRef vector;           /* of sums */
    uint32_t lanes, t;            /* lanes of a vector, vectors of a group */
    LLVMValueRef acc[IR_MAX_CHAINS * 16];        /* allocas: acc[chain * t + vector] */
    LLVMValueRef row;             /* first row of the group within the tile (a size) */
} Kernel;

/* ---- affine.c ---- */

/* An affine as its kernels see it. */
typedef struct Layer {
    const Op *op;
    LLVMValueRef x, w, b, y;
    LLVMValueRef set, word;       /* of columns: its words, and the only one if it is known as a value */
    Value active;                 /* the set of its relu's active rows, made by the way; 0: not wanted */
    LLVMValueRef bits;            /* where that set lies */
    bool in_place;                /* kernels are made here, all of them: they return the word, and do not store bits */
    uint32_t below;               /* all columns from so many active ones on; 0: never */
} Layer;

Shape be_layer_shape(Fn *f, const Op *op);
/* What is the same for every input; then where the values of the one at hand are. */
Layer be_layer(Fn *f, const Op *op, const Shape *s);
void be_find_values(Fn *f, Layer *layer, const Shape *s);
/* The sums of the rows, columns and addresses that it is given; shared kernels, not lists. */
void be_call_kernel(Fn *f, const Layer *layer, const Shape *s);
/* The sums are there: the set of active rows, as far as the kernels have not made it. word: its only word if it is known. */
void be_make_active(Fn *f, const Layer *layer, const Shape *s, LLVMValueRef word);

/* ---- panels.c and others ---- */

/* A tile as vectors: `groups` times `t` vectors of `lanes` rows. */
typedef struct Grouping { uint32_t lanes, t, groups; } Grouping;
Grouping be_grouping(const Level *level, const Shape *s);
/* Whether a kernel at this level can store bits: whole bytes at a time. */
bool be_can_store_bits(const Level *level, const Shape *s);

void be_panel_kernel(Kernel *k);
/* columns.c: a tile of all rows, whose weights come from memory. */
bool be_is_long(const Level *level, const Shape *s);
void be_column_kernel(Kernel *k);
/* gather.c: few weights that are not zero. */
void be_gather_kernel(Kernel *k);

/* Bits of active rows on their way to the set. */
typedef struct Bits { LLVMValueRef word; uint32_t n; uint64_t done; } Bits;
/* Vector v (of t) of the rows from k->row on is summed: relu, its bits, and to y from `row` on. */
void be_end_vector(Kernel *k, LLVMValueRef row, uint32_t v, LLVMValueRef sum, Bits *bits);
/* acc + w * x, or acc where the weight is zero and zeros are left out: −0 is added there, so that no choice waits for the sum. */
LLVMValueRef be_term(Kernel *k, LLVMValueRef acc, LLVMValueRef w, LLVMValueRef x);
/* narrow.c: a tile of fewer rows than a vector has lanes, its chains side by side. The sums, one vector of the tile's rows. */
bool be_is_narrow(const Level *level, const Shape *s);
LLVMValueRef be_narrow_sums(Kernel *k);
/* One row of panels: the panel kernel's sums with one lane. */
void be_panel_row(Kernel *k, LLVMValueRef row);
LLVMValueRef be_load_weights(Kernel *k, LLVMValueRef index, uint32_t lanes);

/* Entries of a list for `cols` columns in `chains` chains: chain c's indices from c * be_list_stride on, ascending; the last
 * `chains` entries say how many each has. */
uint32_t be_list_stride(uint32_t cols, uint32_t chains);
enum { LIST_PADDING = 8 };       /* entries after the last of each chain, for reading ahead: 0 */
/* The function that makes it: (words, list). */
LLVMValueRef be_list_maker(Fn *caller, uint32_t cols, uint32_t chains);

#endif
