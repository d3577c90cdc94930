/* search.c — how many ascending keys are not above x.
 *
 * In: a vector of keys, a scalar. Out: the slot, and how deep its leaf lies in the balanced tree that the IR means. The one idea: what
 * is walked need not be that tree, since the slot says where it would have ended (search_depth).
 *
 *      first = 0; n = keys;  while (n > 0) { half = (n + 1) / 2; first += key[first + half - 1] <= x ? half : 0; n -= half; }
 *
 * The number of rounds does not depend on x: nothing is predicted, so nothing is mispredicted.
 */
#include "gen.h"

/* Keys may be compared that were ruled out already: the last rounds of the smaller part. They are above x, or at its left. */
static LLVMValueRef count_keys(Fn *f, Type key, LLVMValueRef keys, uint64_t n, LLVMValueRef x)
{
    Emitter *e = f->e;
    LLVMValueRef first = be_size(e, 0);
    while (n > 0) {
        uint64_t half = (n + 1) / 2;
        LLVMValueRef at = LLVMBuildAdd(f->b, first, be_size(e, half - 1), "");
        LLVMValueRef right = be_compare(f, key, PRED_le, be_load(f, key, keys, at, 1), x);
        first = LLVMBuildSelect(f->b, right, LLVMBuildAdd(f->b, first, be_size(e, half), ""), first, "");
        n -= half;
    }
    return first;
}

void be_search(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    const Const *c = const_get(f->m, op->cst[0]);
    uint64_t n = c->type.dim[0], leaves = n + 1;
    Layout raw = be_layout_raw(c);
    LLVMValueRef slot = be_size(e, 0);
    if (n > 0)
        slot = count_keys(f, type_element(c->type), be_constant(e, f->m, op->cst[0], &raw), n, be_place(f, op_operand(op, 0)).at);
    uint32_t deepest = search_depth(leaves, 0), nearest = search_depth(leaves, leaves - 1);
    uint64_t deep = 0;                            /* leaves that lie deepest: the first ones */
    if (deepest > nearest)
        deep = 2 * (leaves - (1ull << nearest));
    LLVMValueRef is_deep = LLVMBuildICmp(f->b, LLVMIntULT, slot, be_size(e, deep), "");
    be_set_scalar(f, op->result[0], LLVMBuildTruncOrBitCast(f->b, slot, e->i32, ""));
    be_set_scalar(f, op->result[1], LLVMBuildSelect(f->b, is_deep, LLVMConstInt(e->i32, deepest, 0), LLVMConstInt(e->i32, nearest, 0), ""));
}
