/* cast.c — conversions between element types.
 *
 *      float -> float    rounds to nearest even                  float -> iN   truncates and saturates, NaN is 0
 *      iN -> iM          wraps or extends by sign, i1 by zero    iN -> float   rounds to nearest even
 *      idx -> iN, float  as a number                            iN, idx -> idx[n]  the nearest of 0 … n-1
 *
 * Up to 64 bits LLVM has instructions for all of it. Beyond, its conversions are library calls, so they are spelled out
 * here with shifts: mantissa and exponent apart.
 */
#include "gen.h"

enum { MACHINE_BITS = 64 };

LLVMValueRef be_to_i64(Fn *f, Type t, LLVMValueRef a)
{
    bool by_zero = t.elem == ELEM_IDX || (t.elem == ELEM_INT && t.n == 1);
    return LLVMBuildIntCast2(f->b, a, f->e->i64, !by_zero, "");
}

/* |a| = m * 2^shift with 64 significant bits in m, the last of them sticky; so one rounding of m is the rounding of a.
 * Multiplying by a power of two afterwards is exact, or overflows to infinity as it should. */
static LLVMValueRef wide_to_float(Fn *f, Type from, Type to, LLVMValueRef a)
{
    Emitter *e = f->e;
    bool narrow = to.elem == ELEM_F32;
    LLVMTypeRef wide = LLVMTypeOf(a), target = be_scalar_type(e, to);
    LLVMTypeRef bits = narrow ? e->i32 : e->i64;
    LLVMValueRef zero = LLVMConstNull(wide);
    LLVMValueRef negative = LLVMBuildICmp(f->b, LLVMIntSLT, a, zero, "");
    LLVMValueRef magnitude = LLVMBuildSelect(f->b, negative, LLVMBuildNeg(f->b, a, ""), a, "");
    LLVMValueRef args[2] = {magnitude, LLVMConstInt(e->i1, 0, 0)};
    LLVMValueRef lead = be_intrinsic(f, "llvm.ctlz", wide, args, 2);
    LLVMValueRef normal = LLVMBuildShl(f->b, magnitude, lead, "");
    LLVMValueRef top = LLVMBuildTrunc(f->b, LLVMBuildLShr(f->b, normal, LLVMConstInt(wide, from.n - 64, 0), ""), e->i64, "");
    LLVMValueRef rest = LLVMBuildShl(f->b, normal, LLVMConstInt(wide, 64, 0), "");
    LLVMValueRef sticky = LLVMBuildZExt(f->b, LLVMBuildICmp(f->b, LLVMIntNE, rest, zero, ""), e->i64, "");
    LLVMValueRef m = LLVMBuildUIToFP(f->b, LLVMBuildOr(f->b, top, sticky, ""), target, "");
    /* 2^(n - 64 - lead), at most what overflows for certain */
    LLVMValueRef exponent = LLVMBuildSub(f->b, LLVMConstInt(wide, from.n - 64, 0), lead, "");
    int most = narrow ? 70 : 970;
    LLVMValueRef limit = LLVMConstInt(wide, (uint64_t)most, 0);
    exponent = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntSGT, exponent, limit, ""), limit, exponent, "");
    LLVMValueRef biased = LLVMBuildAdd(f->b, LLVMBuildTrunc(f->b, exponent, bits, ""), LLVMConstInt(bits, narrow ? 127 : 1023, 0), "");
    LLVMValueRef scale = LLVMBuildBitCast(f->b, LLVMBuildShl(f->b, biased, LLVMConstInt(bits, narrow ? 23 : 52, 0), ""), target, "");
    LLVMValueRef value = LLVMBuildFMul(f->b, m, scale, "");
    value = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntEQ, a, zero, ""), LLVMConstNull(target), value, "");
    return LLVMBuildSelect(f->b, negative, LLVMBuildFNeg(f->b, value, ""), value, "");
}

/* x = ±m * 2^(exponent - 52): m shifted left or right. */
static LLVMValueRef float_to_wide(Fn *f, Type to, LLVMValueRef x)
{
    Emitter *e = f->e;
    LLVMTypeRef wide = be_scalar_type(e, to);
    LLVMValueRef d = LLVMBuildFPCast(f->b, x, LLVMDoubleTypeInContext(e->c), "");
    LLVMValueRef bits = LLVMBuildBitCast(f->b, d, e->i64, "");
    LLVMValueRef field = LLVMBuildAnd(f->b, LLVMBuildLShr(f->b, bits, LLVMConstInt(e->i64, 52, 0), ""), LLVMConstInt(e->i64, 0x7ff, 0), "");
    LLVMValueRef exponent = LLVMBuildSub(f->b, field, LLVMConstInt(e->i64, 1023, 0), "");
    LLVMValueRef fraction = LLVMBuildAnd(f->b, bits, LLVMConstInt(e->i64, (UINT64_C(1) << 52) - 1, 0), "");
    LLVMValueRef m = LLVMBuildOr(f->b, fraction, LLVMConstInt(e->i64, UINT64_C(1) << 52, 0), "");
    LLVMValueRef c52 = LLVMConstInt(e->i64, 52, 0);
    LLVMValueRef right = LLVMBuildLShr(f->b, m, LLVMBuildSub(f->b, c52, exponent, ""), "");
    LLVMValueRef left = LLVMBuildShl(f->b, LLVMBuildZExt(f->b, m, wide, ""),
                                     LLVMBuildZExt(f->b, LLVMBuildSub(f->b, exponent, c52, ""), wide, ""), "");
    LLVMValueRef is_left = LLVMBuildICmp(f->b, LLVMIntSGE, exponent, c52, "");
    LLVMValueRef magnitude = LLVMBuildSelect(f->b, is_left, left, LLVMBuildZExt(f->b, right, wide, ""), "");
    LLVMValueRef small = LLVMBuildICmp(f->b, LLVMIntSLT, exponent, LLVMConstInt(e->i64, 0, 0), "");
    magnitude = LLVMBuildSelect(f->b, small, LLVMConstNull(wide), magnitude, "");
    LLVMValueRef negative = LLVMBuildICmp(f->b, LLVMIntSLT, bits, LLVMConstInt(e->i64, 0, 0), "");
    LLVMValueRef value = LLVMBuildSelect(f->b, negative, LLVMBuildNeg(f->b, magnitude, ""), magnitude, "");
    /* |x| >= 2^(n-1) saturates; exponents end at 1024 (infinity, NaN) */
    uint32_t limit = to.n - 1 < 1024 ? to.n - 1 : 1024;
    LLVMValueRef beyond = LLVMBuildICmp(f->b, LLVMIntSGE, exponent, LLVMConstInt(e->i64, limit, 0), "");
    LLVMValueRef least = LLVMBuildShl(f->b, LLVMConstInt(wide, 1, 0), LLVMConstInt(wide, to.n - 1, 0), "");
    LLVMValueRef extreme = LLVMBuildSelect(f->b, negative, least, LLVMBuildNot(f->b, least, ""), "");
    value = LLVMBuildSelect(f->b, beyond, extreme, value, "");
    LLVMValueRef nan = LLVMBuildFCmp(f->b, LLVMRealUNO, d, d, "");
    return LLVMBuildSelect(f->b, nan, LLVMConstNull(wide), value, "");
}

/* The comparisons are of the widths that machines have: what does not fit is beyond n, or below 0, all the same. */
static LLVMValueRef to_index(Fn *f, LLVMTypeRef type, uint32_t n, LLVMValueRef a, bool by_zero, uint32_t lanes)
{
    LLVMTypeRef from = LLVMTypeOf(a);
    LLVMTypeRef scalar = lanes > 1 ? LLVMGetElementType(from) : from;
    if (LLVMGetIntTypeWidth(scalar) < 33) {
        from = be_vector_type(f->e->i64, lanes);
        a = LLVMBuildIntCast2(f->b, a, from, !by_zero, "");
    }
    LLVMValueRef last = be_splat(f, LLVMConstInt(lanes > 1 ? LLVMGetElementType(from) : from, n - 1, 0), lanes);
    LLVMValueRef beyond = LLVMBuildICmp(f->b, LLVMIntSGT, a, last, ""), below = LLVMBuildICmp(f->b, LLVMIntSLT, a, LLVMConstNull(from), "");
    a = LLVMBuildSelect(f->b, beyond, last, LLVMBuildSelect(f->b, below, LLVMConstNull(from), a, ""), "");
    return LLVMBuildIntCast2(f->b, a, type, false, "");
}

static LLVMValueRef float_to_int(Fn *f, Type to, LLVMValueRef a, LLVMTypeRef type)
{
    if (to.n > MACHINE_BITS)
        return float_to_wide(f, to, a);
    LLVMTypeRef overload[2] = {type, LLVMTypeOf(a)};
    return be_intrinsic_on(f, to.n == 1 ? "llvm.fptoui.sat" : "llvm.fptosi.sat", overload, 2, &a, 1);
}

LLVMValueRef be_cast(Fn *f, Type from, Type to, LLVMValueRef a, uint32_t lanes)
{
    LLVMTypeRef type = be_vector_type(be_scalar_type(f->e, to), lanes);
    bool by_zero = from.elem == ELEM_IDX || (from.elem == ELEM_INT && from.n == 1);
    if (type_is_float(from) && type_is_float(to))
        return LLVMBuildFPCast(f->b, a, type, "");
    if (type_is_float(from))
        return float_to_int(f, to, a, type);
    if (to.elem == ELEM_IDX)
        return to_index(f, type, to.n, a, by_zero, lanes);
    if (!type_is_float(to))
        return LLVMBuildIntCast2(f->b, a, type, !by_zero, "");
    if (!by_zero && from.n > MACHINE_BITS)
        return wide_to_float(f, from, to, a);
    if (by_zero && from.elem == ELEM_INT)
        a = LLVMBuildZExt(f->b, a, be_vector_type(f->e->i32, lanes), "");
    return LLVMBuildSIToFP(f->b, a, type, "");
}
