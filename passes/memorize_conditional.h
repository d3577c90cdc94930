/* memorize_conditional.h — private to passes/: the parts of the method `conditional`. */
#ifndef CNET_PASSES_MEMORIZE_CONDITIONAL_H
#define CNET_PASSES_MEMORIZE_CONDITIONAL_H

#include "decisions.h"
#include "memorize.h"

/* All rows in the order of one number: the key itself, a coordinate, or a projection; and the tree over it. */
typedef struct Ordered {
    Value x;                      /* that number of what is asked for: a scalar */
    Type key;
    const uint8_t *keys;          /* of the rows in that order, ascending: equal ones have equal labels */
    const uint32_t *order;        /* the rows; NULL: as they are */
    /* memory_order: */
    uint32_t n, *start;           /* leaves; where each begins, NULL: leaf i is place i */
    bool by_weight;               /* the tree below, else a balanced one */
    Decisions tree;
    double mean, entropy;         /* comparisons expected; bits */
    uint32_t depth;
} Ordered;

/* A tree as it will be stored. */
typedef struct TreePlan {
    const Decisions *decisions;
    Type key;                     /* an integer */
    uint32_t n_keys;
    const uint8_t *threshold;     /* by node; lives as long as the module */
    const uint32_t *slot;         /* by leaf */
    uint32_t n_slots;
} TreePlan;

/* ---- memorize_conditional.c ---- */

/* Finds the leaves and chooses a tree: x, key, keys and order are given. Builds nothing. */
void memory_order(Memory *m, Ordered *o);
/* Builds it: the label. */
Value memory_ordered(Memory *m, const Ordered *o);
/* A line for --pass-stats; `how` the number was got. */
void memory_note(Memory *m, const Ordered *o, const char *how);
/* "name: 4 rows of 2 x f32", the beginning of such a line. */
const char *memory_words(Memory *m);
/* What an image must exceed to be at or above that of an element of type `key`. */
void memory_threshold(Type key, const uint8_t *element, uint8_t *out);
/* The integers that trees compare in place of `key`. */
Type memory_image_type(Type key);
/* The slot that a tree leads to; keys: images, a vector. */
Value memory_descend(Memory *m, const TreePlan *plan, Value keys);
/* The labels of these rows. */
ConstId memory_labels(Memory *m, uint32_t n, const uint32_t *row);

/* ---- memorize_points.c ---- */

Value memorize_points(Memory *m);
/* The projection of x. */
Value memory_projected(Memory *m, const Projection *p);

#endif
