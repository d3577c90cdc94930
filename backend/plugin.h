/* plugin.h — the back end as one table, so that LLVM is loaded when it is first needed and not before.
 *
 * libLLVM costs a process about 50 MB and 15 ms to load, more than reading most networks. So libcnet holds load.c, thin
 * functions with the names of backend.h; everything else of this room is libcnet-llvm.so beside it, hidden but for
 * this table, which load.c opens at the first call.
 */
#ifndef CNET_PLUGIN_H
#define CNET_PLUGIN_H

#include "backend.h"

typedef struct BackEnd {
    size_t size;                  /* of this struct, and the version of cnet it was built in: both must fit */
    const char *version;
    bool (*emit)(const Module *, Diags *, const TargetOptions *, EmitKind, OutFile *);
    NetworkSizes (*sizes)(const Network *, const TargetOptions *);
    char *(*symbol)(Arena *, const Network *, const TargetOptions *);
    bool (*header)(const Module *, Diags *, const TargetOptions *, OutFile *);
    Jit *(*jit)(Arena *, const Network *, const TargetOptions *, int);
    int (*jit_run)(Jit *, const void *const *, void *const *, Counts *);
    bool (*jit_batch)(Jit *, size_t, const void *const *, void *const *, const ptrdiff_t *, int *);
    const char *(*llvm_version)(void);
    char *(*targets)(Arena *);
} BackEnd;

#define BACK_END_SYMBOL "cnet_llvm_back_end"

#endif
