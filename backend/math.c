/* math.c — exp, tanh and sigmoid: ir/math.def expanded as LLVM instructions, scalar or vector.
 *
 * In: a float value. Out: the same bits as the interpreter's expansion of the same file as C. No fast-math flags anywhere.
 */
#include "gen.h"

LLVMValueRef be_int(Emitter *e, Type t, uint64_t value, uint32_t lanes)
{
    LLVMValueRef all[64], one = LLVMConstInt(be_scalar_type(e, t), value, 0);
    if (lanes == 1)
        return one;
    for (uint32_t i = 0; i < lanes; i++)
        all[i] = one;
    return LLVMConstVector(all, lanes);
}

static LLVMValueRef as_bits(Fn *f, LLVMValueRef a, uint32_t bits, uint32_t lanes)
{
    return LLVMBuildBitCast(f->b, a, be_vector_type(LLVMIntTypeInContext(f->e->c, bits), lanes), "");
}

static LLVMValueRef as_float(Fn *f, LLVMValueRef a, Type t, uint32_t lanes)
{
    return LLVMBuildBitCast(f->b, a, be_vector_type(be_scalar_type(f->e, t), lanes), "");
}

static LLVMValueRef shift(Fn *f, bool left, LLVMValueRef a, uint32_t by, uint32_t lanes)
{
    LLVMTypeRef element = lanes == 1 ? LLVMTypeOf(a) : LLVMGetElementType(LLVMTypeOf(a));
    LLVMValueRef k = be_int(f->e, type_int(LLVMGetIntTypeWidth(element)), by, lanes);
    return left ? LLVMBuildShl(f->b, a, k, "") : LLVMBuildLShr(f->b, a, k, "");
}

#define BITS_f32 32
#define BITS_f64 64

#define MATH_BEGIN(name, type)  static LLVMValueRef expand_##name##_##type(Fn *f, LLVMValueRef x, uint32_t lanes) { LLVMBuilderRef builder = f->b;
#define MATH_END(name, type, r) return r; }
#define M_CONST(r, type, value) LLVMValueRef r = be_float(f->e, type_##type(), value, lanes);
#define M_INT(r, type, value)   LLVMValueRef r = be_int(f->e, type_int(BITS_##type), value, lanes);
#define M_ADD(r, a, b)          LLVMValueRef r = LLVMBuildFAdd(builder, a, b, "");
#define M_SUB(r, a, b)          LLVMValueRef r = LLVMBuildFSub(builder, a, b, "");
#define M_MUL(r, a, b)          LLVMValueRef r = LLVMBuildFMul(builder, a, b, "");
#define M_DIV(r, a, b)          LLVMValueRef r = LLVMBuildFDiv(builder, a, b, "");
#define M_LT(c, a, b)           LLVMValueRef c = LLVMBuildFCmp(builder, LLVMRealOLT, a, b, "");
#define M_SELECT(r, c, a, b)    LLVMValueRef r = LLVMBuildSelect(builder, c, a, b, "");
#define M_BITS(r, type, a)      LLVMValueRef r = as_bits(f, a, BITS_##type, lanes);
#define M_FLOAT(r, type, a)     LLVMValueRef r = as_float(f, a, type_##type(), lanes);
#define M_IADD(r, a, b)         LLVMValueRef r = LLVMBuildAdd(builder, a, b, "");
#define M_IAND(r, a, b)         LLVMValueRef r = LLVMBuildAnd(builder, a, b, "");
#define M_IOR(r, a, b)          LLVMValueRef r = LLVMBuildOr(builder, a, b, "");
#define M_SHL(r, a, k)          LLVMValueRef r = shift(f, true, a, k, lanes);
#define M_LSHR(r, a, k)         LLVMValueRef r = shift(f, false, a, k, lanes);
#include "../ir/math.def"

LLVMValueRef be_math(Fn *f, OpKind kind, ElemKind type, LLVMValueRef x, uint32_t lanes)
{
    bool narrow = type == ELEM_F32;
    if (kind == OP_exp)
        return narrow ? expand_exp_f32(f, x, lanes) : expand_exp_f64(f, x, lanes);
    if (kind == OP_tanh)
        return narrow ? expand_tanh_f32(f, x, lanes) : expand_tanh_f64(f, x, lanes);
    return narrow ? expand_sigmoid_f32(f, x, lanes) : expand_sigmoid_f64(f, x, lanes);
}
