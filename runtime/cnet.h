/* cnet.h — what compiled networks and the programs that link them share. C99 and C++; needs no library.
 *
 * Every generated header includes these declarations itself (guarded), so that an application needs this file only to
 * write code that is generic over networks. Append-only: see abi_version and struct_size.
 */
#ifndef CNET_RUNTIME_H
#define CNET_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CNET_ABI_VERSION 1
#define CNET_MAGIC 0x74656e63u                     /* "cnet", little-endian */

#ifndef CNET_TYPES_DECLARED
#define CNET_TYPES_DECLARED

/* Elementary operations executed. Counts are added, never reset. */
typedef struct cnet_counts {
    uint64_t add, mul, cmp;
    uint64_t other;                                /* division, exp, tanh and their like */
    uint64_t limb;                                 /* machine words touched by big-integer operations */
    uint64_t reserved[3];
} cnet_counts;

enum { CNET_F32 = 1, CNET_F64 = 2, CNET_INT = 3 }; /* element types; CNET_INT + bits in cnet_tensor.bits */
enum { CNET_EXACT = 0, CNET_REAL = 1 };
enum { CNET_CONTRACT_OFF = 0, CNET_CONTRACT_FMA = 1 };
enum { CNET_OUTSIDE_DENSE = 0, CNET_OUTSIDE_STATUS = 1, CNET_OUTSIDE_CLAMP = 2, CNET_OUTSIDE_PROMISE = 3 };

/* Status of an evaluation. */
enum { CNET_OK = 0, CNET_OUTSIDE = 1, CNET_REFUSED = -1, CNET_BAD_ARGUMENT = -2 };

typedef struct cnet_tensor {
    const char *name;
    uint32_t type, bits;                           /* CNET_F32 …; bits of an element */
    uint32_t rank;
    uint32_t dims[6];
    uint64_t count;                                /* product of dims */
    const double *box;                             /* inputs: count pairs lo, hi; NULL: everything */
} cnet_tensor;

typedef struct cnet_network {
    uint32_t magic, abi_version;
    uint64_t struct_size;                          /* of the compiler that wrote it: fields beyond are absent */
    const char *name, *source, *source_hash, *compiler, *options;
    uint32_t n_inputs, n_outputs;
    const cnet_tensor *inputs, *outputs;
    uint32_t numerics, contract, outside, nan_policy;   /* nan_policy 0: NaN is outside every box, else it propagates */
    double certified_error;                        /* proven |compiled - source| on the box; 0 when exact */
    uint64_t bound_add, bound_mul, bound_cmp, bound_other, bound_total;   /* no evaluation executes more */
    uint64_t scratch_bytes, scratch_align, stack_bytes, model_bytes;
    /* in[i], out[i]: contiguous tensors; scratch: scratch_bytes (NULL when 0); counts: NULL or added to (needs
     * --count-ops, else CNET_BAD_ARGUMENT). */
    int (*run)(const void *const *in, void *const *out, void *scratch, cnet_counts *counts);
} cnet_network;

#endif /* CNET_TYPES_DECLARED */

#ifdef __cplusplus
}
#endif
#endif
