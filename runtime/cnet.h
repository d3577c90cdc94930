/* cnet.h — what compiled networks and the programs that link them share. C99 and C++; needs no library.
 *
 * Every generated header includes these declarations itself (guarded), so that an application needs this file only to
 * write code that is generic over networks. Append-only: see abi_version, struct_size and tensor_size. Every field lies where
 * its alignment wants it: pointers come in pairs, 32-bit fields in even numbers.
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

/* Element types. CNET_INT: cnet_tensor.bits says how wide. CNET_IDX: an int32_t, 0 <= i < cnet_tensor.below. */
enum { CNET_F32 = 1, CNET_F64 = 2, CNET_INT = 3, CNET_IDX = 4 };
enum { CNET_EXACT = 0, CNET_REAL = 1 };
enum { CNET_CONTRACT_OFF = 0, CNET_CONTRACT_FMA = 1 };
enum { CNET_OUTSIDE_DENSE = 0, CNET_OUTSIDE_STATUS = 1, CNET_OUTSIDE_CLAMP = 2, CNET_OUTSIDE_PROMISE = 3 };
enum { CNET_NAN_OUTSIDE = 0, CNET_NAN_PROPAGATES = 1 };    /* outside every box; or where arithmetic takes it: no box */

/* Status of an evaluation. Negative: nothing was written. CNET_BAD_ARGUMENT: an index that is none, no scratch, counts
 * asked of an object that does not count. CNET_UNSUPPORTED_CPU: fused multiply-add was promised and this CPU has none. */
enum { CNET_OK = 0, CNET_OUTSIDE = 1, CNET_REFUSED = -1, CNET_BAD_ARGUMENT = -2, CNET_UNSUPPORTED_CPU = -3 };

/* One input or output. The next one of an array lies cnet_network.tensor_size bytes on, which may be more than sizeof. */
typedef struct cnet_tensor {
    const char *name;
    const double *box;                             /* inputs: count pairs lo, hi; NULL: everything */
    uint32_t type, bits;                           /* CNET_F32 …; bits of an element */
    uint32_t rank, dims[6], zero;
    uint64_t count;                                /* product of dims */
    uint64_t below;                                /* CNET_IDX: every element is less; else 0 */
    uint64_t reserved[4];                          /* 0 */
} cnet_tensor;

typedef struct cnet_network {
    uint32_t magic, abi_version;
    uint64_t struct_size;                          /* of the compiler that wrote it: fields beyond are absent */
    const char *name, *source;
    const char *source_hash, *compiler;
    const char *options;
    /* in[i], out[i]: contiguous tensors; scratch: scratch_bytes (NULL when 0); counts: NULL, or added to when `counted`
     * (else CNET_BAD_ARGUMENT). */
    int (*run)(const void *const *in, void *const *out, void *scratch, cnet_counts *counts);
    const cnet_tensor *inputs, *outputs;           /* steps of tensor_size: (const char *)inputs + i * tensor_size */
    uint32_t n_inputs, n_outputs;
    uint32_t tensor_size, counted;                 /* sizeof(cnet_tensor) of that compiler; 1: made with --count-ops */
    uint32_t numerics, contract, outside, nan_policy;
    double certified_error;                        /* proven |output - that of the network as written, in the precision
                                                    * it computes in| for inputs in the box; of an index: how far its score
                                                    * can lie below the greatest (argmin: above the least); 0: none */
    uint64_t bound_add, bound_mul, bound_cmp, bound_other, bound_total;   /* no evaluation executes more */
    uint64_t scratch_bytes, scratch_align, stack_bytes, model_bytes;
} cnet_network;

#endif /* CNET_TYPES_DECLARED */

#ifdef __cplusplus
}
#endif
#endif
