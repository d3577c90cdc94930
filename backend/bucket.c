/* bucket.c — a search by address: a multiplication says in which short line the keys around x lie.
 *
 *      d = min(max(image(x), lowest), highest) - lowest        image: an integer in the same order; NaN: lowest
 *      cell = cells[d >> shift];  line = cell.first + (the next 32 bits of d * cell.lines >> 32)
 *      while (line is inner) line = word[keys passed]          a chain: too many keys share the line; rare, or it would not be a bucket
 *      y = word[keys of the line that are not above x]
 *
 * In: a table of search_table.c. Out: the address of a word. The one idea: for smooth keys the way to the leaf is arithmetic: one access
 * to far memory instead of several, each waiting for the one before. The map from x to lines is integer arithmetic, the same here and
 * where the table was made, and ascends; the keys in the line decide.
 */
#include "search.h"

/* bits >= 0 ? bits : -(bits & max) of a float; an integer is its own. */
static LLVMValueRef image(Fn *f, const Sought *s, LLVMTypeRef type, int64_t lowest)
{
    if (s->key.elem == ELEM_INT)
        return s->x;
    uint32_t width = 8 * type_element_bytes(s->key);
    LLVMValueRef bits = s->bits ? s->bits : LLVMBuildBitCast(f->b, s->x, type, "");
    if (lowest >= 0)                              /* what is negative becomes the lowest in any case */
        return bits;
    LLVMValueRef sign = LLVMBuildAShr(f->b, bits, LLVMConstInt(type, width - 1, 0), "");
    LLVMValueRef size = LLVMBuildAnd(f->b, bits, LLVMConstInt(type, width == 32 ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX, 0), "");
    return LLVMBuildSub(f->b, LLVMBuildXor(f->b, size, sign, ""), sign, "");
}

/* How far x lies above the first key, as an i64. */
static LLVMValueRef distance(Fn *f, const SearchTable *t, const Sought *s)
{
    LLVMTypeRef type = t->key_bytes == 4 ? f->e->i32 : f->e->i64;
    LLVMValueRef lowest = LLVMConstInt(type, (uint64_t)t->lowest, 0), highest = LLVMConstInt(type, (uint64_t)t->lowest + t->span, 0);
    LLVMValueRef at = image(f, s, type, t->lowest);
    LLVMValueRef above = LLVMBuildICmp(f->b, LLVMIntSGT, at, lowest, "");
    if (s->key.elem != ELEM_INT)
        above = LLVMBuildAnd(f->b, above, LLVMBuildFCmp(f->b, LLVMRealORD, s->x, s->x, ""), "");
    LLVMValueRef below = LLVMBuildICmp(f->b, LLVMIntSLT, at, highest, "");
    at = LLVMBuildSelect(f->b, below, at, highest, "");
    at = LLVMBuildSelect(f->b, above, at, lowest, "");
    return LLVMBuildZExtOrBitCast(f->b, LLVMBuildSub(f->b, at, lowest, ""), f->e->i64, "");
}

static LLVMValueRef number64(Fn *f, uint64_t n)
{
    return LLVMConstInt(f->e->i64, n, 0);
}

LLVMValueRef be_bucket_line(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    Emitter *e = f->e;
    LLVMValueRef d = distance(f, t, s), first = number64(f, 0), lines = number64(f, t->lines);
    LLVMValueRef rest = t->shift >= 32 ? LLVMBuildLShr(f->b, d, number64(f, t->shift - 32), "") : LLVMBuildShl(f->b, d, number64(f, 32 - t->shift), "");
    rest = LLVMBuildAnd(f->b, rest, number64(f, UINT32_MAX), "");
    if (t->n_cells > 1) {
        LLVMValueRef cell = LLVMBuildIntCast2(f->b, LLVMBuildLShr(f->b, d, number64(f, t->shift), ""), e->size, 0, "");
        LLVMValueRef at = be_at(f, base, LLVMBuildMul(f->b, cell, be_size(e, sizeof(SearchCell)), ""));
        first = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 0), 1), e->i64, "");
        lines = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 1), 1), e->i64, "");
    }
    LLVMValueRef line = LLVMBuildAdd(f->b, first, LLVMBuildLShr(f->b, LLVMBuildMul(f->b, rest, lines, ""), number64(f, 32), ""), "");
    line = LLVMBuildMul(f->b, LLVMBuildIntCast2(f->b, line, e->size, 0, ""), be_size(e, t->line_bytes), "");
    return be_at(f, be_at_const(f, base, t->cells_bytes), line);
}

/* Lanes of the vector that holds a line's keys. */
static uint32_t line_lanes(const SearchTable *t)
{
    return t->line_keys > 4 ? 8 : t->line_keys > 2 ? 4 : 2;
}

/* The keys of an inner line begin with one that is above the next: the greatest of all. Its words are numbers of lines. */
static LLVMValueRef chain(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef line, const Sought *s)
{
    Emitter *e = f->e;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b), head = be_new_block(f, "line"), inner = be_new_block(f, "chain"), after = be_new_block(f, "found");
    LLVMBuildBr(f->b, head);
    LLVMPositionBuilderAtEnd(f->b, head);
    LLVMValueRef at = LLVMBuildPhi(f->b, e->ptr, "at");
    LLVMAddIncoming(at, &line, &before, 1);
    LLVMValueRef greater = be_compare(f, s->key, PRED_gt, be_load(f, s->key, at, be_size(e, 0), 1), be_load(f, s->key, at, be_size(e, 1), 1));
    LLVMBuildCondBr(f->b, greater, inner, after);
    LLVMPositionBuilderAtEnd(f->b, inner);
    LLVMValueRef passed = be_few(f, s, be_at_const(f, at, t->key_bytes), t->line_keys - 1, line_lanes(t) / 2 >= t->line_keys - 1 ? line_lanes(t) / 2 : line_lanes(t));
    LLVMValueRef words = be_at_const(f, at, (uint64_t)t->line_keys * t->key_bytes);
    LLVMValueRef child = be_load(f, type_int(32), be_at(f, words, LLVMBuildMul(f->b, passed, be_size(e, t->word_bytes), "")), be_size(e, 0), 1);
    child = LLVMBuildMul(f->b, LLVMBuildZExtOrBitCast(f->b, child, e->size, ""), be_size(e, t->line_bytes), "");
    LLVMValueRef next = be_at(f, be_at_const(f, base, t->cells_bytes), child);
    LLVMAddIncoming(at, &next, &inner, 1);
    LLVMBuildBr(f->b, head);
    LLVMMoveBasicBlockAfter(after, inner);
    LLVMPositionBuilderAtEnd(f->b, after);
    return at;
}

LLVMValueRef be_bucket_in_line(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef line, const Sought *s)
{
    if (t->chained > 0)
        line = chain(f, t, base, line, s);
    LLVMValueRef passed = be_few(f, s, line, t->line_keys, line_lanes(t));
    return be_at(f, be_at_const(f, line, (uint64_t)t->line_keys * t->key_bytes), LLVMBuildMul(f->b, passed, be_size(f->e, t->word_bytes), ""));
}

LLVMValueRef be_bucket_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    LLVMValueRef line = be_bucket_line(f, t, base, s);
    if (t->line_bytes > 64)
        be_prefetch(f, line, be_size(f->e, 64), 1);
    return be_bucket_in_line(f, t, base, line, s);
}
