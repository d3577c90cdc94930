/* plugin.c — the one symbol of libcnet-llvm.so. In: nothing. Out: the table that load.c looks up. */
#include "plugin.h"

extern const BackEnd cnet_llvm_back_end;

__attribute__((visibility("default"))) const BackEnd cnet_llvm_back_end = {
    sizeof(BackEnd), CNET_VERSION,
    be_emit, be_sizes, be_symbol, be_header, be_jit, be_jit_run, be_jit_batch, be_llvm_version, be_targets,
};
