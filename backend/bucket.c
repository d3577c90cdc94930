/* bucket.c — a search by address: a multiplication says in which short line the keys around x lie.
 *
 *      d = min(max(image(x), lowest), highest) - lowest        image: an integer in the same order; NaN: lowest
 *      cell = cells[d >> shift];  line = cell.first + (the next 32 bits of d * cell.lines >> 32)
 *      code = the lower 16 bits of those 32 >> cell.grain      coded lines: compared in place of x (search_table.c)
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

/* Its first line, its lines, as i64, or of each lane's. With codes the grain lies above the lines. */
typedef struct Cell { LLVMValueRef first, lines, grain; } Cell;

/* `lines` is the upper half of a cell. */
static void part_lines(Fn *f, const SearchTable *t, Cell *cell)
{
    if (!t->coded)
        return;
    LLVMTypeRef type = LLVMTypeOf(cell->lines);
    cell->grain = LLVMBuildLShr(f->b, cell->lines, number(f, type, SEARCH_GRAIN_BIT), "");
    cell->lines = LLVMBuildAnd(f->b, cell->lines, number(f, type, (1u << SEARCH_GRAIN_BIT) - 1), "");
}

static Cell gather_cells(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef cell)
{
    Emitter *e = f->e;
    LLVMTypeRef type = LLVMTypeOf(cell);
    uint32_t lanes = LLVMGetVectorSize(type);
    LLVMValueRef both = LLVMGetPoison(type);
    for (uint32_t i = 0; i < lanes; i++) {
        LLVMValueRef lane = LLVMConstInt(e->i32, i, 0), number = LLVMBuildExtractElement(f->b, cell, lane, "");
        both = LLVMBuildInsertElement(f->b, both, be_load(f, type_int(64), base, number, 1), lane, "");
    }
    Cell c = {.first = LLVMBuildAnd(f->b, both, number(f, type, UINT32_MAX), ""), .lines = LLVMBuildLShr(f->b, both, number(f, type, 32), "")};
    part_lines(f, t, &c);
    return c;
}

static Cell load_cell(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef cell)
{
    Emitter *e = f->e;
    cell = LLVMBuildIntCast2(f->b, cell, e->size, 0, "");
    LLVMValueRef at = be_at(f, base, LLVMBuildMul(f->b, cell, be_size(e, SEARCH_CELL_BYTES), ""));
    Cell c = {.first = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 0), 1), e->i64, ""),
              .lines = LLVMBuildZExt(f->b, be_load(f, type_int(32), at, be_size(e, 1), 1), e->i64, "")};
    part_lines(f, t, &c);
    return c;
}

/* Where a cell has no lines, x is below the whole line that it comes to: -1 is below all codes of a cell's first line. */
static LLVMValueRef code_of(Fn *f, const SearchTable *t, const Cell *cell, LLVMValueRef rest)
{
    Emitter *e = f->e;
    LLVMTypeRef wide = LLVMTypeOf(rest);
    LLVMValueRef code = LLVMBuildLShr(f->b, rest, cell->grain, "");
    if (t->n_cells > 1)
        code = LLVMBuildAdd(f->b, code, LLVMBuildSExt(f->b, LLVMBuildICmp(f->b, LLVMIntEQ, cell->lines, number(f, wide, 0), ""), wide, ""), "");
    return LLVMBuildTrunc(f->b, code, lanes_type(LLVMIntTypeInContext(e->c, 16), lanes_in(rest)), "");
}

Line be_bucket_line(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    Emitter *e = f->e;
    uint32_t lanes = lanes_in(s->x);
    LLVMTypeRef type = lanes_type(e->i64, lanes);
    LLVMValueRef d = distance(f, t, s);
    Cell in = {number(f, type, 0), number(f, type, t->lines), number(f, type, t->cell[0].grain)};
    LLVMValueRef rest = t->shift >= 32 ? LLVMBuildLShr(f->b, d, number(f, type, t->shift - 32), "")
                                       : LLVMBuildShl(f->b, d, number(f, type, 32 - t->shift), "");
    rest = LLVMBuildAnd(f->b, rest, number(f, type, UINT32_MAX), "");
    if (t->n_cells > 1) {
        LLVMValueRef cell = LLVMBuildLShr(f->b, d, number(f, type, t->shift), "");
        in = (lanes > 1 ? gather_cells : load_cell)(f, t, base, cell);
    }
    LLVMValueRef line = LLVMBuildAdd(f->b, in.first, LLVMBuildLShr(f->b, LLVMBuildMul(f->b, rest, in.lines, ""), number(f, type, 32), ""), "");
    type = lanes_type(e->size, lanes);
    line = LLVMBuildMul(f->b, LLVMBuildIntCast2(f->b, line, type, 0, ""), number(f, type, t->line_bytes), "");
    return (Line){be_at(f, be_at_const(f, base, t->cells_bytes), line), t->coded ? code_of(f, t, &in, rest) : NULL};
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

/* ---- coded lines ---- */

/* How many codes of a line are not above x's: differences of 16 bits have the right sign. */
static LLVMValueRef codes_passed(Fn *f, const SearchTable *t, Line line)
{
    Emitter *e = f->e;
    Type code = type_int(16);
    if (!be_compares_lanes(f, code)) {
        LLVMValueRef sum = be_size(e, 0);
        for (uint32_t i = 0; i < t->line_keys; i++) {
            LLVMValueRef by = LLVMBuildSub(f->b, line.code, be_load(f, code, line.at, be_size(e, i), 1), "");
            LLVMValueRef passed = LLVMBuildICmp(f->b, LLVMIntSGE, by, LLVMConstInt(LLVMTypeOf(by), 0, 0), "");
            sum = LLVMBuildAdd(f->b, sum, LLVMBuildZExt(f->b, passed, e->size, ""), "");
        }
        return sum;
    }
    uint32_t lanes = lanes_of(t->line_keys);
    LLVMTypeRef type = LLVMVectorType(be_scalar_type(e, code), lanes);
    LLVMValueRef codes = LLVMBuildLoad2(f->b, type, line.at, "");
    LLVMSetAlignment(codes, 64);
    LLVMValueRef by = LLVMBuildSub(f->b, be_splat(f, line.code, lanes), codes, "");
    LLVMValueRef above = LLVMBuildICmp(f->b, LLVMIntSLT, by, LLVMConstNull(type), "");
    LLVMValueRef bits = LLVMBuildBitCast(f->b, above, LLVMIntTypeInContext(e->c, lanes), "");
    bits = LLVMBuildZExtOrBitCast(f->b, bits, e->i32, "");
    return be_first_bit(f, LLVMBuildOr(f->b, bits, LLVMConstInt(e->i32, 1u << t->line_keys, 0), ""));
}

/* first = the line's second 32 bits; n = its third; the keys from first on are halved as in search.c. Returns the word's address. */
static LLVMValueRef halve_full(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef line, const Sought *s)
{
    Emitter *e = f->e;
    LLVMValueRef begin = LLVMBuildZExtOrBitCast(f->b, be_load(f, type_int(32), line, be_size(e, 1), 1), e->size, "");
    LLVMValueRef all = LLVMBuildZExtOrBitCast(f->b, be_load(f, type_int(32), line, be_size(e, 2), 1), e->size, "");
    LLVMValueRef keys = be_at_const(f, base, t->full_at), one = be_size(e, 1);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b), loop = be_new_block(f, "halve"), after = be_new_block(f, "halved");
    LLVMBuildBr(f->b, loop);
    LLVMPositionBuilderAtEnd(f->b, loop);
    LLVMValueRef first = LLVMBuildPhi(f->b, e->size, "first"), n = LLVMBuildPhi(f->b, e->size, "n");
    LLVMValueRef half = LLVMBuildLShr(f->b, LLVMBuildAdd(f->b, n, one, ""), one, "");
    LLVMValueRef last = LLVMBuildSub(f->b, LLVMBuildAdd(f->b, first, half, ""), one, "");
    LLVMValueRef right = be_compare(f, s->key, PRED_le, be_load(f, s->key, keys, last, 1), s->x);
    LLVMValueRef next = LLVMBuildSelect(f->b, right, LLVMBuildAdd(f->b, first, half, ""), first, "");
    LLVMValueRef left = LLVMBuildSub(f->b, n, half, "");
    LLVMBasicBlockRef end = LLVMGetInsertBlock(f->b);
    LLVMAddIncoming(first, (LLVMValueRef[]){begin, next}, (LLVMBasicBlockRef[]){before, end}, 2);
    LLVMAddIncoming(n, (LLVMValueRef[]){all, left}, (LLVMBasicBlockRef[]){before, end}, 2);
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntNE, left, be_size(e, 0), ""), loop, after);
    LLVMPositionBuilderAtEnd(f->b, after);
    return be_at(f, be_at_const(f, base, t->full_words_at), LLVMBuildMul(f->b, next, be_size(e, t->word_bytes), ""));
}

static LLVMValueRef word_among_codes(Fn *f, const SearchTable *t, Line line)
{
    return be_at(f, be_at_const(f, line.at, t->words_at), LLVMBuildMul(f->b, codes_passed(f, t, line), be_size(f->e, t->word_bytes), ""));
}

/* Codes that descend say that the keys lie elsewhere. */
static LLVMValueRef in_coded_line(Fn *f, const SearchTable *t, LLVMValueRef base, Line line, const Sought *s)
{
    Emitter *e = f->e;
    if (t->chained == 0)
        return word_among_codes(f, t, line);
    LLVMBasicBlockRef full = be_new_block(f, "full"), codes = be_new_block(f, "codes"), after = be_new_block(f, "found");
    LLVMValueRef by = LLVMBuildSub(f->b, be_load(f, type_int(16), line.at, be_size(e, 1), 1), be_load(f, type_int(16), line.at, be_size(e, 0), 1), "");
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntSLT, by, LLVMConstInt(LLVMTypeOf(by), 0, 0), ""), full, codes);
    LLVMPositionBuilderAtEnd(f->b, full);
    LLVMValueRef word[2] = {halve_full(f, t, base, line.at, s)};
    LLVMBasicBlockRef from[2] = {LLVMGetInsertBlock(f->b), codes};
    LLVMBuildBr(f->b, after);
    LLVMPositionBuilderAtEnd(f->b, codes);
    word[1] = word_among_codes(f, t, line);
    LLVMBuildBr(f->b, after);
    LLVMPositionBuilderAtEnd(f->b, after);
    LLVMValueRef at = LLVMBuildPhi(f->b, e->ptr, "word");
    LLVMAddIncoming(at, word, from, 2);
    return at;
}

/* ---- a query ---- */

LLVMValueRef be_bucket_in_line(Fn *f, const SearchTable *t, LLVMValueRef base, Line line, const Sought *s)
{
    if (t->coded)
        return in_coded_line(f, t, base, line, s);
    LLVMValueRef at = t->chained > 0 ? chain(f, t, base, line.at, s) : line.at;
    LLVMValueRef passed = be_few(f, s, at, t->line_keys, lanes_of(t->line_keys));
    return be_at(f, be_at_const(f, at, t->words_at), LLVMBuildMul(f->b, passed, be_size(f->e, t->word_bytes), ""));
}

LLVMValueRef be_bucket_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    Line line = be_bucket_line(f, t, base, s);
    for (uint32_t at = 64; at < t->line_bytes; at += 64)
        be_prefetch(f, line.at, be_size(f->e, at), 1);
    return be_bucket_in_line(f, t, base, line, s);
}
