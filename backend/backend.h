/* backend.h — from IR to machine code, through LLVM's C API (>= 19): objects, headers, assembly, a JIT.
 *
 * Reads IR, never changes it. The ABI of what is emitted is described in backend/README.md and runtime/cnet.h.
 */
#ifndef CNET_BACKEND_H
#define CNET_BACKEND_H

#include "../ir/ir.h"

typedef struct TargetOptions {
    const char *triple;           /* --target; NULL: the host's */
    const char *march;            /* -march: a CPU name, "native", or NULL: the portable baseline */
    const char *features;         /* extra target features ("+avx2,-fma"), NULL: none */
    bool no_dispatch;             /* x86-64: only the baseline (or -march), no clones */
    bool freestanding;            /* refuse what would need compiler-runtime or library calls */
    bool debug_info;              /* -g */
    bool pic;                     /* default true: shared objects link it */
    const char *prefix;           /* --prefix, prepended to every symbol; NULL: none */
    uint64_t max_stack;           /* --max-stack; 0: 64 KiB hosted, 4 KiB freestanding */
    bool share_always;            /* for tests: NAME_eval_batch evaluates blocks of inputs however few the weights are */
    const char *options_text;     /* for the descriptor: how the compiler was called, without paths */
} TargetOptions;

typedef enum EmitKind { EMIT_LLVM, EMIT_ASM, EMIT_BITCODE, EMIT_OBJECT } EmitKind;

/* ---- emit.c ------------------------------------------------------------------------------------------------------ */

/* Compiles every entry network of the module into one file (complete or absent). Reports and returns false when the
 * target or something in the network cannot be had. */
bool be_emit(const Module *m, Diags *diags, const TargetOptions *options, EmitKind kind, OutFile *out);

/* Sizes of what would be emitted for one network; the header and the descriptor say the same. */
typedef struct NetworkSizes { uint64_t scratch_bytes, stack_bytes, model_bytes, fallback_bytes; } NetworkSizes;
NetworkSizes be_sizes(const Network *net, const TargetOptions *options);

/* The C identifier an entry's symbols begin with: prefix + sanitised name. */
char *be_symbol(Arena *arena, const Network *net, const TargetOptions *options);

/* ---- header.c: the C and C++ header for the emitted object --------------------------------------------------------- */

bool be_header(const Module *m, Diags *diags, const TargetOptions *options, OutFile *out);

/* ---- jit.c: compile in process ---------------------------------------------------------------------------------------- */

typedef struct Jit Jit;
/* Compiles one entry network for the host; constants are used where they lie. Freed with the arena. `level`: 0 the best
 * the host has, else force x86-64-v<level> (1 … 4; NULL and a report when the host lacks it). */
Jit *be_jit(Arena *arena, const Network *net, const TargetOptions *options, int level);
/* The evaluator's generic entry (see cnet_network.run in runtime/cnet.h): `counts` as Counts, NULL if not wanted. One
 * thread at a time: the Jit owns the scratch memory of a wide network. */
int be_jit_run(Jit *jit, const void *const *inputs, void *const *outputs, Counts *counts);

/* NAME_eval_batch with `share_always`: addresses and strides (inputs, then outputs) in arrays. False where the network has no
 * block of inputs. */
bool be_jit_batch(Jit *jit, size_t n, const void *const *inputs, void *const *outputs, const ptrdiff_t *strides, int *status);

/* ---- targets.c ------------------------------------------------------------------------------------------------------- */

/* "19.1.7" and the names of the targets this build can emit for (--version, --print-targets). */
const char *be_llvm_version(void);
char *be_targets(Arena *arena);

#endif
