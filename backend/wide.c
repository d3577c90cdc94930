/* wide.c — products and quotients of integers of many words, as loops in functions of their own.
 *
 *      mul: r = 0; for i where a[i] is not 0: carry = 0; for j < n - i: t = a[i] * b[j] + r[i+j] + carry; r[i+j] = low t; carry = high t
 *      div: on magnitudes, bit by bit: rest = rest << 1 | next bit of a; if (rest >= b) { rest -= b; q bit = 1 }
 *
 * In: two iN values. Out: one. LLVM would write these out in full, and a product of 4096 bits is 4096 multiplications in
 * a row; one function a width serves all places.
 */
#include "gen.h"

enum { WIDE = 512 };                              /* up to here straight-line code is small enough */

bool be_is_wide(Type t)
{
    return t.elem == ELEM_INT && t.n > WIDE;
}

/* What a function for wide integers is built from: the caller's Fn, moved into the new function. */
static LLVMValueRef begin(Fn *caller, Fn *f, const char *what, Type t, LLVMBasicBlockRef *here)
{
    Emitter *e = caller->e;
    char *name = str_printf(e->arena, "cnet.%s.i%u", what, t.n);
    LLVMValueRef known = LLVMGetNamedFunction(e->module, name);
    if (known)
        return known;
    *f = *caller;
    f->level = &e->target.level[0];               /* vectors would not help: all levels share it */
    LLVMTypeRef params[3] = {e->ptr, e->ptr, e->ptr};
    f->fn = LLVMAddFunction(e->module, name, LLVMFunctionType(e->void_, params, 3, 0));
    LLVMSetLinkage(f->fn, LLVMInternalLinkage);
    be_attributes(e, f->fn, f->level);
    *here = LLVMGetInsertBlock(e->b);
    f->entry = be_new_block(f, "entry");
    LLVMBasicBlockRef start = be_new_block(f, "start");
    LLVMPositionBuilderAtEnd(e->b, f->entry);
    LLVMBuildBr(e->b, start);
    LLVMPositionBuilderAtEnd(e->b, start);
    return NULL;
}

static LLVMValueRef product(Fn *caller, Type t)
{
    Fn state = {0}, *f = &state;
    LLVMBasicBlockRef here;
    LLVMMetadataRef place = be_debug_leave(caller->e);
    LLVMValueRef known = begin(caller, f, "mul", t, &here);
    if (!known) {
        Emitter *e = f->e;
        uint32_t bits = e->target.pointer_bits;
        uint64_t n = 8 * (uint64_t)type_element_bytes(t) / bits;
        Type word = type_int(bits);
        LLVMTypeRef wide = LLVMIntTypeInContext(e->c, 2 * bits), narrow = be_scalar_type(e, word);
        LLVMValueRef r = LLVMGetParam(f->fn, 0), a = LLVMGetParam(f->fn, 1), b = LLVMGetParam(f->fn, 2);
        LLVMValueRef carry = be_alloca(f, wide, "carry");
        Loop clear = be_loop(f, n, 1, "clear");
        be_store(f, word, LLVMConstNull(narrow), r, clear.i, 1);
        be_loop_end(f, &clear);
        Loop outer = be_loop(f, n, 1, "i");
        LLVMValueRef digit = be_load(f, word, a, outer.i, 1), factor = LLVMBuildZExt(f->b, digit, wide, "");
        LLVMValueRef length = LLVMBuildSub(f->b, be_size(e, n), outer.i, "");
        length = LLVMBuildSelect(f->b, LLVMBuildIsNull(f->b, digit, ""), be_size(e, 0), length, "");
        LLVMBuildStore(f->b, LLVMConstNull(wide), carry);
        DynLoop inner = be_dyn_loop(f, length, "j");
        LLVMValueRef at = LLVMBuildAdd(f->b, outer.i, inner.i, "");
        LLVMValueRef sum = LLVMBuildMul(f->b, factor, LLVMBuildZExt(f->b, be_load(f, word, b, inner.i, 1), wide, ""), "");
        sum = LLVMBuildAdd(f->b, sum, LLVMBuildZExt(f->b, be_load(f, word, r, at, 1), wide, ""), "");
        sum = LLVMBuildAdd(f->b, sum, LLVMBuildLoad2(f->b, wide, carry, ""), "");
        be_store(f, word, LLVMBuildTrunc(f->b, sum, narrow, ""), r, at, 1);
        LLVMBuildStore(f->b, LLVMBuildLShr(f->b, sum, LLVMConstInt(wide, bits, 0), ""), carry);
        be_dyn_loop_end(f, &inner);
        be_loop_end(f, &outer);
        LLVMBuildRetVoid(f->b);
        LLVMPositionBuilderAtEnd(f->b, here);
        known = f->fn;
    }
    be_debug_return(caller->e, place);
    return known;
}

/* Magnitudes: a and b are not negative as unsigned numbers, b is not 0. */
static LLVMValueRef quotient(Fn *caller, Type t)
{
    Fn state = {0}, *f = &state;
    LLVMBasicBlockRef here;
    LLVMMetadataRef place = be_debug_leave(caller->e);
    LLVMValueRef known = begin(caller, f, "div", t, &here);
    if (!known) {
        Type whole = type_int(8 * type_element_bytes(t));
        LLVMTypeRef wide = be_scalar_type(f->e, whole);
        LLVMValueRef zero = be_size(f->e, 0), one = LLVMConstInt(wide, 1, 0);
        LLVMValueRef q = LLVMGetParam(f->fn, 0), a = LLVMGetParam(f->fn, 1), b = LLVMGetParam(f->fn, 2), rest = be_alloca(f, wide, "rest");
        LLVMBuildStore(f->b, LLVMConstNull(wide), rest);
        be_store(f, whole, LLVMConstNull(wide), q, zero, 1);
        Loop loop = be_loop(f, whole.n, 1, "bit");
        LLVMValueRef dividend = be_load(f, whole, a, zero, 1), divisor = be_load(f, whole, b, zero, 1);
        LLVMValueRef next = LLVMBuildZExt(f->b, LLVMBuildICmp(f->b, LLVMIntSLT, dividend, LLVMConstNull(wide), ""), wide, "");
        be_store(f, whole, LLVMBuildShl(f->b, dividend, one, ""), a, zero, 1);
        LLVMValueRef r = LLVMBuildOr(f->b, LLVMBuildShl(f->b, LLVMBuildLoad2(f->b, wide, rest, ""), one, ""), next, "");
        LLVMValueRef fits = LLVMBuildICmp(f->b, LLVMIntUGE, r, divisor, "");
        LLVMBuildStore(f->b, LLVMBuildSelect(f->b, fits, LLVMBuildSub(f->b, r, divisor, ""), r, ""), rest);
        LLVMValueRef digits = LLVMBuildShl(f->b, be_load(f, whole, q, zero, 1), one, "");
        be_store(f, whole, LLVMBuildOr(f->b, digits, LLVMBuildZExt(f->b, fits, wide, ""), ""), q, zero, 1);
        be_loop_end(f, &loop);
        LLVMBuildRetVoid(f->b);
        LLVMPositionBuilderAtEnd(f->b, here);
        known = f->fn;
    }
    be_debug_return(caller->e, place);
    return known;
}

/* fn(&r, &a, &b); r */
static LLVMValueRef through_memory(Fn *f, Type t, LLVMValueRef fn, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef wide = be_memory_type(f->e, t);
    LLVMValueRef args[3], zero = be_size(f->e, 0);
    for (int i = 0; i < 3; i++)
        args[i] = be_alloca(f, wide, "words");
    be_store(f, t, a, args[1], zero, 1);
    be_store(f, t, b, args[2], zero, 1);
    LLVMBuildCall2(f->b, LLVMGlobalGetValueType(fn), fn, args, 3, "");
    return be_load(f, t, args[0], zero, 1);
}

LLVMValueRef be_wide_mul(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    return through_memory(f, t, product(f, t), a, b);
}

LLVMValueRef be_wide_div(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = LLVMConstNull(type);
    LLVMValueRef a_negative = LLVMBuildICmp(f->b, LLVMIntSLT, a, zero, ""), b_negative = LLVMBuildICmp(f->b, LLVMIntSLT, b, zero, "");
    a = LLVMBuildSelect(f->b, a_negative, LLVMBuildNeg(f->b, a, ""), a, "");
    b = LLVMBuildSelect(f->b, b_negative, LLVMBuildNeg(f->b, b, ""), b, "");
    /* |MIN| wraps to MIN, whose bits are the magnitude: extended by zeros, not by sign */
    LLVMTypeRef wide = be_memory_type(f->e, t);
    Type whole = type_int(8 * type_element_bytes(t));
    LLVMValueRef q = through_memory(f, whole, quotient(f, t), LLVMBuildZExtOrBitCast(f->b, a, wide, ""), LLVMBuildZExtOrBitCast(f->b, b, wide, ""));
    q = LLVMBuildTruncOrBitCast(f->b, q, type, "");
    LLVMValueRef differ = LLVMBuildXor(f->b, a_negative, b_negative, "");
    return LLVMBuildSelect(f->b, differ, LLVMBuildNeg(f->b, q, ""), q, "");
}
