/* field.c — a field of bits of a stored integer, read where it lies.
 *
 *      from = bits * (n - 1 - i);  at = min(from / 8, bytes of the integer - bytes read)
 *      result = (read at address + at) >> (from - 8 at), the lowest `bits` of it
 *
 * In: a stack of integers, two indices. Out: the field, extended by zeros. The one idea: an integer of thousands of bits is never loaded: what
 * holds a field is at most its bits and 7 more, from some byte on; near the end one reads earlier and shifts more, never beyond the integer.
 */
#include "gen.h"

/* Bytes of what is read at once: a width of the machine where there is one. All of the integer when that is no more. */
static uint32_t bytes_read(uint32_t bits, uint32_t whole)
{
    uint32_t bytes = (bits + 7 + 7) / 8;
    bytes = bytes <= 2 ? bytes : bytes <= 4 ? 4 : (bytes + 7) / 8 * 8;
    return bytes < whole ? bytes : whole;
}

static LLVMValueRef least(Fn *f, LLVMValueRef a, uint64_t b)
{
    LLVMValueRef most = be_size(f->e, b);
    return LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntULT, a, most, ""), a, most, "");
}

void be_field(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    const Const *c = const_get(f->m, op->cst[0]);
    Layout raw = be_layout_raw(c);
    uint32_t bits = (uint32_t)op->attr[0].i, whole = type_element_bytes(type_element(c->type)), bytes = bytes_read(bits, whole);
    uint32_t n = value_type(f->net, op_operand(op, 1)).n;
    LLVMValueRef j = LLVMBuildZExtOrBitCast(f->b, be_place(f, op_operand(op, 0)).at, e->size, "");
    LLVMValueRef i = LLVMBuildZExtOrBitCast(f->b, be_place(f, op_operand(op, 1)).at, e->size, "");
    LLVMValueRef from = LLVMBuildMul(f->b, LLVMBuildSub(f->b, be_size(e, n - 1), i, ""), be_size(e, bits), "");
    LLVMValueRef at = least(f, LLVMBuildLShr(f->b, from, be_size(e, 3), ""), whole - bytes);
    LLVMValueRef shift = LLVMBuildSub(f->b, from, LLVMBuildShl(f->b, at, be_size(e, 3), ""), "");
    LLVMValueRef address = be_at(f, be_constant(e, f->m, op->cst[0], &raw), LLVMBuildMul(f->b, j, be_size(e, raw.slot_bytes), ""));
    LLVMTypeRef wide = LLVMIntTypeInContext(e->c, 8 * bytes), field = LLVMIntTypeInContext(e->c, bits);
    LLVMValueRef v = LLVMBuildLoad2(f->b, wide, be_at(f, address, at), "");
    LLVMSetAlignment(v, 1);
    shift = 8 * bytes < e->target.pointer_bits ? LLVMBuildTrunc(f->b, shift, wide, "") : LLVMBuildZExtOrBitCast(f->b, shift, wide, "");
    v = LLVMBuildLShr(f->b, v, shift, "");
    if (bits < 8 * bytes)
        v = LLVMBuildTrunc(f->b, v, field, "");
    be_set_scalar(f, op->result[0], LLVMBuildZExtOrBitCast(f->b, v, be_scalar_type(e, value_type(f->net, op->result[0])), ""));
}
