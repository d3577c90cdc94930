/* compat.h — what differs between LLVM 19 and 22, in one place.
 *
 * Everything else in backend/ uses only what both have. Checked with both.
 */
#ifndef CNET_BACKEND_COMPAT_H
#define CNET_BACKEND_COMPAT_H

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm/Config/llvm-config.h>

/* A context of our own for ORC: from 21 on it is made first and wrapped, before it came out of the wrapper. */
static inline LLVMOrcThreadSafeContextRef compat_orc_context(LLVMContextRef *context)
{
#if LLVM_VERSION_MAJOR >= 21
    *context = LLVMContextCreate();
    return LLVMOrcCreateNewThreadSafeContextFromLLVMContext(*context);
#else
    LLVMOrcThreadSafeContextRef safe = LLVMOrcCreateNewThreadSafeContext();
    *context = LLVMOrcThreadSafeContextGetContext(safe);
    return safe;
#endif
}

#endif
