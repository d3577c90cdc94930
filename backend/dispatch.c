/* dispatch.c — choosing the body for the CPU at hand (x86-64).
 *
 *      @NAME.eval.slot = internal global ptr @NAME.eval.choose
 *      i32 NAME.eval(…):   f = load atomic relaxed slot;  musttail f(…)
 *      i32 choose(…):      f = the best of the bodies;  store atomic relaxed slot, f;  musttail f(…)
 *
 * In: a body for each level. Out: one function. The one idea: choosing is idempotent, so a race between first calls
 * stores the same pointer twice and needs no lock; and the slot is the only byte that generated code ever writes outside
 * its caller's memory. No ifunc: it is no faster, and glibc's alone.
 */
#include "../runtime/cnet.h"
#include "gen.h"

#include <string.h>

/* What each level adds, by cpuid leaf 1 (ecx), 0x80000001 (ecx), 7 (ebx), and xgetbv: the psABI's list. */
enum {
    V2_LEAF1 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23,   /* sse3 ssse3 cx16 sse4.1 sse4.2 popcnt */
    V2_EXTENDED = 1u << 0,                                                     /* lahf */
    V3_LEAF1 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29,           /* fma movbe osxsave avx f16c */
    V3_LEAF7 = 1u << 3 | 1u << 5 | 1u << 8,                                    /* bmi1 avx2 bmi2 */
    V3_EXTENDED = 1u << 5,                                                     /* lzcnt */
    V3_STATE = 0x6, V4_STATE = 0xe6                                            /* xmm ymm; opmask zmm */
};
static const uint32_t V4_LEAF7 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;   /* avx512 f dq cd bw vl */

typedef struct Cpuid { LLVMValueRef eax, ebx, ecx; } Cpuid;

static Cpuid cpuid(Emitter *e, uint32_t leaf)
{
    static const char text[] = "cpuid", clobbers[] = "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}";
    LLVMTypeRef out[4] = {e->i32, e->i32, e->i32, e->i32}, in[2] = {e->i32, e->i32};
    LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(e->c, out, 4, 0), in, 2, 0);
    LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), clobbers, strlen(clobbers), 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMValueRef args[2] = {LLVMConstInt(e->i32, leaf, 0), LLVMConstInt(e->i32, 0, 0)};
    LLVMValueRef r = LLVMBuildCall2(e->b, type, code, args, 2, "");
    return (Cpuid){LLVMBuildExtractValue(e->b, r, 0, "eax"), LLVMBuildExtractValue(e->b, r, 1, "ebx"), LLVMBuildExtractValue(e->b, r, 2, "ecx")};
}

static LLVMValueRef xgetbv(Emitter *e)
{
    static const char text[] = "xgetbv", clobbers[] = "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}";
    LLVMTypeRef out[2] = {e->i32, e->i32};
    LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(e->c, out, 2, 0), &e->i32, 1, 0);
    LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), clobbers, strlen(clobbers), 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMValueRef zero = LLVMConstInt(e->i32, 0, 0);
    return LLVMBuildExtractValue(e->b, LLVMBuildCall2(e->b, type, code, &zero, 1, ""), 0, "xcr0");
}

static LLVMValueRef has_all(Emitter *e, LLVMValueRef word, uint32_t bits)
{
    LLVMValueRef mask = LLVMConstInt(e->i32, bits, 0);
    return LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildAnd(e->b, word, mask, ""), mask, "");
}

static LLVMValueRef both(Emitter *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildAnd(e->b, a, b, ""); }

/* i32 cnet.level(): 1 … 4. The steps are nested: xgetbv exists only when the system has set OSXSAVE, leaf 7 only when
 * the greatest leaf reaches it.
 *
 *      if (!v2) return 1;   if (!(v3 bits of leaf 1) || max leaf < 7) return 2;
 *      if (!(ymm state) || !(v3 bits of leaf 7)) return 2;   return v4 ? 4 : 3;                                   */
static LLVMValueRef level_function(Emitter *e)
{
    LLVMValueRef fn = LLVMGetNamedFunction(e->module, "cnet.level");
    if (fn)
        return fn;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    fn = LLVMAddFunction(e->module, "cnet.level", LLVMFunctionType(e->i32, NULL, 0, 0));
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    be_attributes(e, fn, NULL);
    LLVMBasicBlockRef block[5];
    static const char *const names[5] = {"start", "v1", "has.v2", "v2", "wide"};
    for (int i = 0; i < 5; i++)
        block[i] = LLVMAppendBasicBlockInContext(e->c, fn, names[i]);
    LLVMPositionBuilderAtEnd(e->b, block[0]);
    Cpuid one = cpuid(e, 1), extended = cpuid(e, 0x80000001u);
    LLVMValueRef v2 = both(e, has_all(e, one.ecx, V2_LEAF1), has_all(e, extended.ecx, V2_EXTENDED));
    LLVMBuildCondBr(e->b, v2, block[2], block[1]);
    LLVMPositionBuilderAtEnd(e->b, block[1]);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, 1, 0));
    LLVMPositionBuilderAtEnd(e->b, block[2]);
    Cpuid zero = cpuid(e, 0);
    LLVMValueRef reaches = LLVMBuildICmp(e->b, LLVMIntUGE, zero.eax, LLVMConstInt(e->i32, 7, 0), "");
    LLVMValueRef v3 = both(e, has_all(e, one.ecx, V3_LEAF1), both(e, has_all(e, extended.ecx, V3_EXTENDED), reaches));
    LLVMBuildCondBr(e->b, v3, block[4], block[3]);
    LLVMPositionBuilderAtEnd(e->b, block[3]);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, 2, 0));
    LLVMPositionBuilderAtEnd(e->b, block[4]);
    Cpuid seven = cpuid(e, 7);
    LLVMValueRef state = xgetbv(e);
    LLVMValueRef avx2 = both(e, has_all(e, state, V3_STATE), has_all(e, seven.ebx, V3_LEAF7));
    LLVMValueRef avx512 = both(e, has_all(e, state, V4_STATE), has_all(e, seven.ebx, V4_LEAF7));
    LLVMValueRef wide = LLVMBuildSelect(e->b, avx512, LLVMConstInt(e->i32, 4, 0), LLVMConstInt(e->i32, 3, 0), "");
    LLVMBuildRet(e->b, LLVMBuildSelect(e->b, avx2, wide, LLVMConstInt(e->i32, 2, 0), ""));
    LLVMPositionBuilderAtEnd(e->b, here);
    return fn;
}

/* The last instructions of slot functions: the body takes over with the same arguments. */
static void hand_over(Emitter *e, LLVMValueRef fn, LLVMTypeRef type, LLVMValueRef to)
{
    uint32_t n = LLVMCountParams(fn);
    LLVMValueRef *args = NEW_ARRAY(e->arena, n + 1, LLVMValueRef);
    LLVMGetParams(fn, args);
    LLVMValueRef call = LLVMBuildCall2(e->b, type, to, args, n, "");
    LLVMSetTailCallKind(call, LLVMTailCallKindMustTail);
    LLVMBuildRet(e->b, call);
}

static LLVMValueRef new_function(Emitter *e, const char *name, LLVMTypeRef type)
{
    LLVMValueRef fn = LLVMAddFunction(e->module, name, type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    be_attributes(e, fn, NULL);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    return fn;
}

/* For a CPU below the lowest level that can keep its word (contraction without fused instructions): refused. */
static LLVMValueRef refusing_body(Emitter *e, const char *name, LLVMTypeRef type)
{
    LLVMValueRef fn = new_function(e, str_printf(e->arena, "%s.refuse", name), type);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, (uint32_t)CNET_UNSUPPORTED_CPU, true));
    return fn;
}

static LLVMValueRef relaxed(LLVMValueRef access, const Emitter *e)
{
    LLVMSetOrdering(access, LLVMAtomicOrderingMonotonic);
    LLVMSetAlignment(access, e->target.pointer_bits / 8);
    return access;
}

LLVMValueRef be_dispatch(Emitter *e, const char *name, LLVMTypeRef type, const LLVMValueRef *bodies)
{
    if (!e->target.dispatch)
        return bodies[0];
    LLVMValueRef slot = LLVMAddGlobal(e->module, e->ptr, str_printf(e->arena, "%s.slot", name));
    LLVMSetLinkage(slot, LLVMInternalLinkage);
    LLVMSetAlignment(slot, e->target.pointer_bits / 8);
    LLVMValueRef lowest = bodies[0] ? bodies[0] : refusing_body(e, name, type);
    LLVMValueRef choose = new_function(e, str_printf(e->arena, "%s.choose", name), type);
    LLVMSetInitializer(slot, choose);
    LLVMValueRef level = level_function(e), best = lowest;
    LLVMValueRef have = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(level), level, NULL, 0, "level");
    for (uint32_t i = 1; i < e->target.n_levels; i++)
        if (bodies[i]) {
            LLVMValueRef enough = LLVMBuildICmp(e->b, LLVMIntUGE, have, LLVMConstInt(e->i32, i + 1, 0), "");
            best = LLVMBuildSelect(e->b, enough, bodies[i], best, "");
        }
    relaxed(LLVMBuildStore(e->b, best, slot), e);
    hand_over(e, choose, type, best);
    LLVMValueRef fn = new_function(e, name, type);
    LLVMValueRef to = relaxed(LLVMBuildLoad2(e->b, e->ptr, slot, ""), e);
    hand_over(e, fn, type, to);
    return fn;
}
