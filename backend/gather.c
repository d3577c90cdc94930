/* gather.c — layers of which most weights are zero: only the others are stored, beside the columns they belong to.
 *
 *      16 rows of a tile, at most 2 weights that are not zero in each:
 *
 *        slot 0:  w  = W[r][first of r]   …        index = first of r …          y  = bias
 *        slot 1:  w  = W[r][second of r]  …        index = second of r …         y += w * x[index]     slot by slot
 *
 *      chains(c): the slots of chain 0, then those of chain 1, …; a row with fewer weights than slots has -0 there, and reads no x.
 *
 * The one idea: a vector runs along rows as in a panel, but each lane has columns of its own, so x is gathered. A row's columns
 * ascend within each chain, which is the IR's order. A lane without a weight adds -0 * +0 = -0, which changes no sum; it takes
 * no part in what x holds, be it NaN or infinite.
 */
#include "kernel.h"

enum { MOST_UNROLLED = 32 };

/* x[index], or 0 where there is no weight. */
static LLVMValueRef gather(Kernel *k, LLVMValueRef index, LLVMValueRef present)
{
    Fn *f = &k->f;
    LLVMTypeRef element = be_scalar_type(f->e, k->s->sum);
    if (!f->level->gather || k->lanes == 1 || be_memory_type(f->e, k->s->sum) != element) {
        LLVMValueRef x = be_zero(f->e, k->s->sum, k->lanes);
        for (uint32_t i = 0; i < k->lanes; i++) {          /* the index is good where no weight is, too: 0 */
            LLVMValueRef lane = LLVMConstInt(f->e->i32, i, 0), at = k->lanes > 1 ? LLVMBuildExtractElement(f->b, index, lane, "") : index;
            LLVMValueRef one = be_load(f, k->s->sum, k->x, LLVMBuildZExtOrBitCast(f->b, at, f->e->size, ""), 1);
            x = k->lanes > 1 ? LLVMBuildInsertElement(f->b, x, one, lane, "") : one;
        }
        return LLVMBuildSelect(f->b, present, x, be_zero(f->e, k->s->sum, k->lanes), "");
    }
    LLVMValueRef at = LLVMBuildGEP2(f->b, element, k->x, &index, 1, "");
    return be_masked_gather(f, be_vector_type(element, k->lanes), at, type_element_bytes(k->s->sum), present);
}

/* The slot whose first lane is number `first` of the tables. */
static LLVMValueRef add_slot(Kernel *k, LLVMValueRef acc, LLVMValueRef first)
{
    Fn *f = &k->f;
    LLVMValueRef w = be_load_weights(k, first, k->lanes), index = be_load(f, type_int(32), k->set, first, k->lanes);
    LLVMValueRef present = be_compare(f, k->s->sum, PRED_ne, w, be_zero(f->e, k->s->sum, k->lanes));
    return be_multiply_add(f, k->s->sum, acc, w, gather(k, index, present));
}

/* `n` slots of one chain, from `slot` on; they lie a tile apart. */
static LLVMValueRef add_slots(Kernel *k, LLVMValueRef acc, LLVMValueRef first, uint32_t n)
{
    Fn *f = &k->f;
    uint32_t tile = k->s->weights.tile;
    if (n <= MOST_UNROLLED) {
        for (uint32_t i = 0; i < n; i++)
            acc = add_slot(k, acc, LLVMBuildAdd(f->b, first, be_size(f->e, (uint64_t)i * tile), ""));
        return acc;
    }
    LLVMValueRef sum = be_alloca(f, k->vector, "acc");
    LLVMBuildStore(f->b, acc, sum);
    Loop loop = be_loop(f, (uint64_t)n * tile, tile, "slots");
    acc = add_slot(k, LLVMBuildLoad2(f->b, k->vector, sum, ""), LLVMBuildAdd(f->b, first, loop.i, ""));
    LLVMBuildStore(f->b, acc, sum);
    be_loop_end(f, &loop);
    return LLVMBuildLoad2(f->b, k->vector, sum, "");
}

/* The sums of `lanes` rows from `row` on; `tile` is the first element of their tile in the tables. */
static LLVMValueRef row_sums(Kernel *k, LLVMValueRef tile, LLVMValueRef row)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    LLVMValueRef part[IR_MAX_CHAINS];
    uint64_t slot = 0;
    for (uint32_t c = 0; c < s->chains; c++) {
        part[c] = c == 0 ? be_load(f, s->sum, k->b, row, k->lanes) : be_identity(f, s->sum, k->lanes);
        part[c] = add_slots(k, part[c], LLVMBuildAdd(f->b, tile, be_size(f->e, slot * s->weights.tile), ""), s->weights.slots[c]);
        slot += s->weights.slots[c];
    }
    return be_combine(f, s->sum, part, s->chains);
}

void be_gather_kernel(Kernel *k)
{
    Fn *f = &k->f;
    const Layout *w = &k->s->weights;
    k->lanes = be_lanes(f->level, k->s->sum);
    if (k->lanes > w->tile)
        k->lanes = w->tile;
    k->t = w->tile / k->lanes;
    k->vector = be_vector_type(be_scalar_type(f->e, k->s->sum), k->lanes);
    uint64_t slots = 0;
    for (uint32_t c = 0; c < k->s->chains; c++)
        slots += w->slots[c];
    Loop loop = be_loop(f, w->n_tiles, 1, "rows");
    k->row = LLVMBuildMul(f->b, loop.i, be_size(f->e, w->tile), "");
    LLVMValueRef tile = LLVMBuildMul(f->b, loop.i, be_size(f->e, slots * w->tile), "");
    Bits bits = {0};
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef lane = be_size(f->e, (uint64_t)v * k->lanes);
        LLVMValueRef sum = row_sums(k, LLVMBuildAdd(f->b, tile, lane, ""), LLVMBuildAdd(f->b, k->row, lane, ""));
        be_end_vector(k, k->row, v, sum, &bits);
    }
    be_loop_end(f, &loop);
}
