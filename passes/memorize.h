/* memorize.h — private to passes/: what the constructions of `memorize` share.
 *
 *      memorize.c reads an op `memorize` into a Memory; one function per method builds the network before the op and gives its answer;
 *      memorize.c puts the answer in the op's place.
 */
#ifndef CNET_PASSES_MEMORIZE_H
#define CNET_PASSES_MEMORIZE_H

#include "pass_util.h"

/* The data of one op. Rows ascend strictly in lexicographic order (ir_verify). */
typedef struct Memory {
    Network *net;
    PassContext *ctx;
    Op *op;
    Builder b;                    /* before the op */
    Value x;                      /* the key that is asked for: a scalar, or a vector of `coordinates` */
    bool is_scalar;
    uint32_t rows, coordinates;   /* at least 1 row; a scalar has 1 coordinate, a vector may have none */
    Type key, label;              /* of one coordinate; of one row's label, a scalar or a tensor */
    ConstId keys_id, labels_id;   /* row-major tensors: [rows] or [rows, coordinates]; [rows, …] */
    const uint8_t *keys, *labels; /* their bytes */
    uint64_t row_bytes, label_bytes;
    const double *weights;        /* how often each row is asked for; NULL: all alike */
    ConstId fallback;             /* the label of what is in no row, with UNSEEN_value */
    Unseen unseen;
    uint32_t depth;               /* of the method bits: at most so many layers; 0: as many as it takes */
} Memory;

/* Builds the network and returns the label's value; 0 when it cannot, which has been reported (diag_error). */
typedef Value MemorizeMethod(Memory *m);
MemorizeMethod memorize_conditional, memorize_sqrt, memorize_bits;

/* ---- memorize.c ---- */

/* Whether x has to be compared with what was found: UNSEEN_value and UNSEEN_refuse. */
bool memory_checks(const Memory *m);
/* `label` if `found` (an i1), else what is asked for: the fallback or a refusal. */
Value memory_answer(Memory *m, Value found, Value label);
/* The same where `row` (an idx[rows]) says which row was found: x is compared with its key, one comparison a coordinate. Policies
 * that do not check give the label as it is. */
Value memory_checked(Memory *m, Value row, Value label);
/* Element `i` (an idx) of a tensor's first dim. */
Value memory_row(Memory *m, ConstId tensor, Value i);
/* The label of one row as a constant. */
Value memory_label(Memory *m, uint32_t row);
/* New bytes that live as long as the module. */
void *memory_bytes(Memory *m, uint64_t bytes);

#endif
