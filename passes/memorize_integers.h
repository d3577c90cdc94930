/* memorize_integers.h — private to passes/: the data of a `memorize` as integers, for constructions that compute with them. */
#ifndef CNET_PASSES_MEMORIZE_INTEGERS_H
#define CNET_PASSES_MEMORIZE_INTEGERS_H

#include "memorize.h"

/* One integer key and one integer label a row. Elements are in memory form. */
typedef struct Integers {
    Memory *m;
    uint32_t n;
    Value x;                      /* a scalar of type `key` */
    Type key, label;              /* integers of at least 2 bits */
    const uint8_t *keys;          /* ascend strictly */
    const uint8_t *labels;        /* by row */
    const uint32_t *order;        /* the rows in the order of the keys; NULL: as they are */
    const uint8_t *least, *greatest;       /* what x can be */
    ConstId table;                /* labels are numbers of rows of this tensor; 0: they are the labels themselves */
} Integers;

/* What a construction memorizes as labels: the labels where they are integers and one a row, else the number of a label among
 * the labels that differ; or the number of the row itself, from which the label follows. */
typedef enum LabelKind { LABELS_as_they_are, LABELS_numbered, ROWS_numbered } LabelKind;

/* False when the keys cannot be made one integer, which has been reported. */
bool integers_of(Memory *m, LabelKind kind, Integers *out);
/* The label that the integer `y`, which may have wrapped to fewer bits than its type needs, stands for. */
Value integers_label(const Integers *in, Value y);
/* With rows numbered: the label of row `y` if its key is what is asked for, else what the policy says. */
Value integers_checked(const Integers *in, Value y);

/* For --pass-stats: `what`, then the figures of the network from in->x to `y` (figures.h), then the `bound` that is proven. */
void integers_note(const Integers *in, Value y, const char *what, const char *bound);

/* In the order of the keys. */
const uint8_t *integers_key(const Integers *in, uint32_t i);
const uint8_t *integers_label_at(const Integers *in, uint32_t i);

/* ---- numbers in memory form ---- */

/* Bits of |a|. */
uint32_t int_magnitude_bits(uint32_t bits, const uint8_t *a);
/* Wraps or extends as a value of type `from`: i1 by zero. */
void int_convert(Type to, uint8_t *r, Type from, const uint8_t *a);
/* The narrowest width of at least `bits` that machines have, or a whole number of 64-bit words. */
uint32_t machine_bits(uint32_t bits);

#endif
