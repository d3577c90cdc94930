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

/* A number as a scalar, or in each lane, of a type. */
static LLVMValueRef number(Fn *f, LLVMTypeRef type, uint64_t n)
{
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return LLVMConstInt(type, n, 0);
    return be_splat(f, LLVMConstInt(LLVMGetElementType(type), n, 0), LLVMGetVectorSize(type));
}

/* Of so many lanes: 1 is a scalar. */
static LLVMTypeRef lanes_type(LLVMTypeRef type, uint32_t lanes)
{
    return lanes > 1 ? LLVMVectorType(type, lanes) : type;
}

static uint32_t lanes_in(LLVMValueRef x)
{
    return LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind ? LLVMGetVectorSize(LLVMTypeOf(x)) : 1;
}

/* bits >= 0 ? bits : -(bits & max) of a float; an integer is its own. */
static LLVMValueRef image(Fn *f, const Sought *s, LLVMTypeRef type, int64_t lowest)
{
    if (s->key.elem == ELEM_INT)
        return s->x;
    uint32_t width = 8 * type_element_bytes(s->key);
    LLVMValueRef bits = s->bits ? s->bits : LLVMBuildBitCast(f->b, s->x, type, "");
    if (lowest >= 0)                              /* what is negative becomes the lowest in any case */
        return bits;
    LLVMValueRef sign = LLVMBuildAShr(f->b, bits, number(f, type, width - 1), "");
    LLVMValueRef size = LLVMBuildAnd(f->b, bits, number(f, type, width == 32 ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX), "");
    return LLVMBuildSub(f->b, LLVMBuildXor(f->b, size, sign, ""), sign, "");
}

/* How far x lies above the first key, as an i64. */
static LLVMValueRef distance(Fn *f, const SearchTable *t, const Sought *s)
{
    uint32_t lanes = lanes_in(s->x);
    LLVMTypeRef type = lanes_type(t->key_bytes == 4 ? f->e->i32 : f->e->i64, lanes);
    LLVMValueRef lowest = number(f, type, (uint64_t)t->lowest), highest = number(f, type, (uint64_t)t->lowest + t->span);
    LLVMValueRef at = image(f, s, type, t->lowest);
    LLVMValueRef above = LLVMBuildICmp(f->b, LLVMIntSGT, at, lowest, "");
    if (s->key.elem != ELEM_INT)
        above = LLVMBuildAnd(f->b, above, LLVMBuildFCmp(f->b, LLVMRealORD, s->x, s->x, ""), "");
    LLVMValueRef below = LLVMBuildICmp(f->b, LLVMIntSLT, at, highest, "");
    at = LLVMBuildSelect(f->b, below, at, highest, "");
    at = LLVMBuildSelect(f->b, above, at, lowest, "");
    return LLVMBuildZExtOrBitCast(f->b, LLVMBuildSub(f->b, at, lowest, ""), lanes_type(f->e->i64, lanes), "");
}

/* Of each lane's cell: its first line, its lines, as i64. */
static void gather_cells(Fn *f, LLVMValueRef base, LLVMValueRef cell, LLVMValueRef *first, LLVMValueRef *lines)
{
    Emitter *e = f->e;
    LLVMTypeRef type = LLVMTypeOf(cell), overloads[2];
    uint32_t lanes = LLVMGetVectorSize(type);
    LLVMValueRef at = LLVMBuildInBoundsGEP2(f->b, e->i64, base, &cell, 1, "");
    LLVMValueRef args[4] = {at, LLVMConstInt(e->i32, 8, 0), be_splat(f, LLVMConstInt(e->i1, 1, 0), lanes), LLVMGetPoison(type)};
    overloads[0] = type, overloads[1] = LLVMTypeOf(at);
    LLVMValueRef both = be_intrinsic_on(f, "llvm.masked.gather", overloads, 2, args, 4);
    *first = LLVMBuildAnd(f->b, both, number(f, type, UINT32_MAX), "");
    *lines = LLVMBuildLShr(f->b, both, number(f, type, 32), "");
}

static void load_cell(Fn *f, LLVMValueRef base, LLVMValueRef cell, LLVMValueRef *first, LLVMValueRef *lines)
{
    Emitter *e = f->e;
    cell = LLVMBuildIntCast2(f->b, cell, e->size, 0, "");
    LLVMValueRef at = be_at(f, base, LLVMBuildMul(f->b, cell, be_size(e, sizeof(SearchCell)), ""));
    *first = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 0), 1), e->i64, "");
    *lines = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 1), 1), e->i64, "");
}

LLVMValueRef be_bucket_line(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    Emitter *e = f->e;
    uint32_t lanes = lanes_in(s->x);
    LLVMTypeRef type = lanes_type(e->i64, lanes);
    LLVMValueRef d = distance(f, t, s), first = number(f, type, 0), lines = number(f, type, t->lines);
    LLVMValueRef rest = t->shift >= 32 ? LLVMBuildLShr(f->b, d, number(f, type, t->shift - 32), "")
                                       : LLVMBuildShl(f->b, d, number(f, type, 32 - t->shift), "");
    rest = LLVMBuildAnd(f->b, rest, number(f, type, UINT32_MAX), "");
    if (t->n_cells > 1) {
        LLVMValueRef cell = LLVMBuildLShr(f->b, d, number(f, type, t->shift), "");
        (lanes > 1 ? gather_cells : load_cell)(f, base, cell, &first, &lines);
    }
    LLVMValueRef line = LLVMBuildAdd(f->b, first, LLVMBuildLShr(f->b, LLVMBuildMul(f->b, rest, lines, ""), number(f, type, 32), ""), "");
    type = lanes_type(e->size, lanes);
    line = LLVMBuildMul(f->b, LLVMBuildIntCast2(f->b, line, type, 0, ""), number(f, type, t->line_bytes), "");
    return be_at(f, be_at_const(f, base, t->cells_bytes), line);
}

/* Lanes of the vector that holds so many keys: a power of two, with room for a bit beyond the last. */
static uint32_t lanes_of(uint32_t keys)
{
    return keys > 16 ? 32 : keys > 8 ? 16 : keys > 4 ? 8 : keys > 2 ? 4 : 2;
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
    LLVMValueRef passed = be_few(f, s, be_at_const(f, at, t->key_bytes), t->line_keys - 1, lanes_of(t->line_keys - 1));
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
    LLVMValueRef passed = be_few(f, s, line, t->line_keys, lanes_of(t->line_keys));
    return be_at(f, be_at_const(f, line, (uint64_t)t->line_keys * t->key_bytes), LLVMBuildMul(f->b, passed, be_size(f->e, t->word_bytes), ""));
}

LLVMValueRef be_bucket_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    LLVMValueRef line = be_bucket_line(f, t, base, s);
    for (uint32_t at = 64; at < t->line_bytes; at += 64)
        be_prefetch(f, line, be_size(f->e, at), 1);
    return be_bucket_in_line(f, t, base, line, s);
}
