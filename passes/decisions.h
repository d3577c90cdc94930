/* decisions.h — private to passes/: trees of comparisons over rows of data, as plain functions on arrays.
 *
 * Nothing here knows of networks: memorize_conditional.c and memorize_points.c make constants and ops of the results. Rows and
 * leaves are numbered from 0. Memory is the caller's arena.
 */
#ifndef CNET_PASSES_DECISIONS_H
#define CNET_PASSES_DECISIONS_H

#include "../ir/ir.h"

/* A tree with n - 1 nodes over n leaves, parents before children (child >= 0: a node, < 0: leaf ~child; see Tree). A key goes right at
 * a node when its coordinate is not below that of `least`, the least that lies right. */
typedef struct Decisions {
    uint32_t n_leaves;
    TreeNode *node;
    uint32_t *least;              /* by node: a leaf (alphabetic trees) or a row (coordinate trees) */
    uint32_t *row;                /* by leaf: a row that ends there; NULL: leaf i is row i */
    uint32_t depth;               /* comparisons to the deepest leaf */
    double mean;                  /* to a leaf as it is asked for: by weights, or by rows without */
} Decisions;

/* ---- alphabetic_tree.c ---- */

/* Weights (>= 0, not all 0) as shares of their sum. */
double *weight_shares(Arena *arena, uint32_t n, const double *weights);
/* Leaves in their order, each with a weight >= 0 (not all 0): the tree of least expected depth where every weight counts as at least
 * total / (n * rarest), which bounds the depth of the rarest: at most about 1.44 log2(2 n * rarest). */
Decisions alphabetic_tree(Arena *arena, uint32_t n, const double *weights, double rarest);

/* ---- points.c: rows of coordinates ---- */

/* A matrix of elements, row by row. */
typedef struct Points { Type key; uint32_t rows, columns; const uint8_t *at; } Points;

/* Elements as integers that compare like them, -0 = +0: floats by their image (op `ord`), in 64-bit words, least first. */
uint32_t point_words(Type key);
void point_image(Type key, const uint8_t *element, uint64_t *words);

/* Each column by itself. */
typedef struct Columns {
    uint32_t rows, columns;
    uint32_t **order;             /* order[c][i]: the row of the i-th least element (of equal ones, the least row) */
    uint32_t **rank;              /* rank[c][row]: how many different elements lie below */
    uint32_t *distinct;           /* by column: different elements */
} Columns;
Columns points_columns(Arena *arena, const Points *points);

/* Sorts `rows` keys of `words` words each (two's complement) into `order`: row numbers, of equal keys the least first. */
void sort_keys(Arena *arena, uint32_t rows, uint32_t words, const uint64_t *keys, uint32_t *order);

/* Numbers for equal byte strings, in order of appearance: id[row] of n rows of `bytes` bytes. Returns how many there are; representative
 * (may be NULL) gets a row of each. */
uint32_t number_rows(Arena *arena, uint32_t rows, uint64_t bytes, const uint8_t *at, uint32_t *id, uint32_t *representative);

/* ---- coordinate_tree.c ---- */

/* What is to be told apart: rows of different class (class NULL: all rows). */
typedef struct Question { const Columns *columns; const uint32_t *class_; const double *weights; uint32_t n_classes; } Question;

/* A tree of tests of single coordinates, not deeper than `limit`; false when there is none. */
bool coordinate_tree(Arena *arena, const Question *q, uint32_t limit, Decisions *out);
/* The column that alone tells classes apart with the fewest runs of equal ones; its number, or `columns` when none does. */
uint32_t separating_column(const Question *q, uint32_t *runs);

/* ---- projection.c ---- */

/* z = sum over columns c of weight[c] * image(x[c]), an integer of `bits` bits that never wraps on the data and tells rows of different
 * classes apart; weight 0: the column is not needed. */
typedef struct Projection {
    uint32_t bits, words, used;   /* words: of a z; used: columns whose weight is not 0 */
    uint64_t *weight;             /* by column */
    uint64_t *z;                  /* by row, `words` words each, two's complement */
    uint32_t *order;              /* rows by ascending z */
} Projection;

/* False when it would need integers wider than `max_bits`. */
bool find_projection(Arena *arena, const Points *points, const Question *q, uint32_t max_bits, Projection *out);

#endif
