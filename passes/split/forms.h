/* forms.h — private to passes/split/: many linear forms over the neurons of a layer, carried back to the input together. */
#ifndef CNET_PASSES_SPLIT_FORMS_H
#define CNET_PASSES_SPLIT_FORMS_H

#include "split.h"

/* Sums have so many lanes, combined in one order: vectors of any width give the same bits. Rows are padded with zeros to a multiple. */
enum { LANES = 8, MOST_FORMS = 64 };

/* The rows of a layer that are not off, over the columns that are not off. Entry 0 of a row is its bias, entry 1 + k column number k. */
typedef struct Packed {
    uint32_t n, width;            /* rows; 1 + columns, padded */
    uint32_t *row;                /* which they are */
    double *weight;               /* dense: [n][width] */
    bool sparse;                  /* else: of row k entry[begin[k]] … entry[end[k] − 1] */
    uint64_t *begin, *end;
    uint32_t *entry;
    double *value;
    /* relu(z) <= up · z + offset and relu(z) >= low · z, by 1 + row; [0] stands for the constant 1 */
    bool relaxed;                 /* some row has a relu that is undecided */
    double *up, *low, *offset;
} Packed;

/* Buffers for the layers of one chain, and for forms. */
typedef struct Forms {
    const Chain *chain;
    Packed *layer;
    uint32_t *position;           /* of a column of the layer that is being packed: 1 + its number, 0: it is off */
    double *form, *other;         /* [MOST_FORMS][stride] */
    size_t stride;
    double *lo, *hi;              /* the box, with the constant 1 in front and zeros behind */
} Forms;

void forms_init(Arena *arena, const Chain *chain, Forms *f);
void forms_set_box(Forms *f, const double *lo, const double *hi);

static inline uint32_t padded(uint32_t n) { return (n + LANES - 1) / LANES * LANES; }

/* Packs layer l: its rows that `state` does not call off; the layers before are packed and have lost what is off. */
void forms_pack(Forms *f, uint32_t l, const uint8_t *state);
/* Drops rows of layer l that are off by now. */
void forms_drop(Forms *f, uint32_t l, const uint8_t *state);

/* Of rows k of packed layer l: Σ |w| size, and Σ w x with x in lo … hi, each with a 1 in front. */
typedef struct RowSums { double size, lo, hi; } RowSums;
RowSums forms_row_sums(const Packed *p, uint32_t k, const double *size, const double *lo, const double *hi);

/* Form number i := sign · (row k of packed layer l); += likewise. */
void forms_set(Forms *f, uint32_t i, uint32_t l, uint32_t k, double sign);
void forms_add(Forms *f, uint32_t i, uint32_t l, uint32_t k, double sign);
/* upper[i]: at least forms 0 … n − 1 of layer l (sums over the rows of layer l − 1) on the box, but for rounding. */
void forms_upper(Forms *f, uint32_t l, uint32_t n, double *upper);

#endif
