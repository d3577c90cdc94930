/* export.h — what the two files of the export share. Not public. */
#ifndef CNET_EXPORT_H
#define CNET_EXPORT_H

#include "formats.h"

typedef struct Export {
    Arena *arena;
    const Network *net;
    Diags *diags;
    Text body;
    uint32_t *uses;
    bool *live;                   /* by value */
    const char **text;            /* of a value: a name, or an expression that stands for it */
    const char **table;           /* names that are taken, open-addressed */
    size_t cap, taken;
    const char *weights;          /* what the text calls the weights file */
    Vec(NamedConst) tensors;
    const char **tensor_name;     /* by ConstId */
    bool failed;
} Export;

/* ---- export_ops.c ---- */

/* Reports, once, that the network cannot be written; returns "". */
const char *export_fail(Export *x, const char *format, ...) PRINTF_LIKE(2, 3);
/* What stands for a value in the text: its name, or an expression. */
const char *export_text_of(Export *x, Value v);
/* The right side of an op's `let`. */
const char *export_expression(Export *x, const Op *op);

#endif
