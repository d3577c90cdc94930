/* memory.c — the words that every emitter speaks: types, loads, stores, copies, loops, walks over sets.
 *
 * In: addresses and counts. Out: LLVM instructions at the builder's place. The one idea: values have a *memory form*
 * (type_element_bytes) and a *register form* (i1 … iN, float, double, i32 for an index, alone or in vectors); only
 * be_load and be_store know both.
 *
 * Nothing here may become a library call: copies are loops, never llvm.memcpy.
 */
#include "gen.h"

#include <string.h>

/* ---- types and constants ---- */

/* Register form of one element. */
LLVMTypeRef be_scalar_type(Emitter *e, Type t)
{
    switch (t.elem) {
    case ELEM_F32: return LLVMFloatTypeInContext(e->c);
    case ELEM_F64: return LLVMDoubleTypeInContext(e->c);
    case ELEM_INT: return LLVMIntTypeInContext(e->c, t.n);
    case ELEM_IDX: return e->i32;
    case ELEM_SET: return e->i64;                 /* a word of it */
    case ELEM_NONE: break;
    }
    ICE("a value without an element type");
}

/* Memory form of one element. */
LLVMTypeRef be_memory_type(Emitter *e, Type t)
{
    if (t.elem != ELEM_INT)
        return be_scalar_type(e, t);
    return LLVMIntTypeInContext(e->c, 8 * type_element_bytes(t));
}

LLVMTypeRef be_vector_type(LLVMTypeRef element, uint32_t lanes)
{
    return lanes == 1 ? element : LLVMVectorType(element, lanes);
}

uint32_t be_lanes(const Level *level, Type element)
{
    bool native = element.elem != ELEM_INT || element.n == 1 || element.n == 8 || element.n == 16 || element.n == 32 || element.n == 64;
    uint32_t bytes = element.elem == ELEM_SET ? 8 : type_element_bytes(element), lanes = native ? level->vector_bytes / bytes : 1;
    return lanes > 1 && level->vector_bytes > 4 ? lanes : 1;
}

LLVMValueRef be_size(Emitter *e, uint64_t n)
{
    return LLVMConstInt(e->size, n, 0);
}

LLVMValueRef be_splat(Fn *f, LLVMValueRef scalar, uint32_t lanes)
{
    if (lanes == 1)
        return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), lanes);
    LLVMValueRef none = LLVMGetPoison(type);
    LLVMValueRef first = LLVMBuildInsertElement(f->b, none, scalar, LLVMConstInt(f->e->i32, 0, 0), "");
    return LLVMBuildShuffleVector(f->b, first, none, LLVMConstNull(LLVMVectorType(f->e->i32, lanes)), "");
}

static LLVMValueRef splat_constant(LLVMValueRef scalar, uint32_t lanes)
{
    LLVMValueRef all[64];
    if (lanes == 1)
        return scalar;
    for (uint32_t i = 0; i < lanes; i++)
        all[i] = scalar;
    return LLVMConstVector(all, lanes);
}

LLVMValueRef be_zero(Emitter *e, Type t, uint32_t lanes)
{
    return LLVMConstNull(be_vector_type(be_scalar_type(e, t), lanes));
}

LLVMValueRef be_float(Emitter *e, Type t, double value, uint32_t lanes)
{
    return splat_constant(LLVMConstReal(be_scalar_type(e, t), value), lanes);
}

/* Element `i` of a constant as an immediate. Floats go by their bits: a NaN keeps its payload. */
LLVMValueRef be_constant_scalar(Emitter *e, const Const *c, uint64_t i)
{
    Type t = type_element(c->type);
    uint32_t bytes = type_element_bytes(t), words = (bytes + 7) / 8;
    const uint8_t *at = const_element(c, i);
    uint64_t word[IR_MAX_INT_BITS / 64] = {0};
    for (uint32_t k = 0; k < bytes; k++)
        word[k / 8] |= (uint64_t)at[k] << (k % 8 * 8);
    if (type_is_float(t))
        return LLVMConstBitCast(LLVMConstInt(LLVMIntTypeInContext(e->c, 8 * bytes), word[0], 0), be_scalar_type(e, t));
    return LLVMConstIntOfArbitraryPrecision(be_scalar_type(e, t), words, word);
}

/* ---- addresses ---- */

LLVMValueRef be_at(Fn *f, LLVMValueRef base, LLVMValueRef bytes)
{
    return LLVMBuildInBoundsGEP2(f->b, f->e->i8, base, &bytes, 1, "");
}

LLVMValueRef be_at_const(Fn *f, LLVMValueRef base, uint64_t bytes)
{
    return bytes == 0 ? base : be_at(f, base, be_size(f->e, bytes));
}

static LLVMValueRef element_address(Fn *f, Type element, LLVMValueRef base, LLVMValueRef index)
{
    if (LLVMIsConstant(index) && LLVMIsNull(index))
        return base;
    if (element.elem == ELEM_INT && element.n > 64)   /* LLVM would round i192 up to 32 bytes */
        return be_at(f, base, LLVMBuildMul(f->b, index, be_size(f->e, type_element_bytes(element)), ""));
    return LLVMBuildInBoundsGEP2(f->b, be_memory_type(f->e, element), base, &index, 1, "");
}

/* An element's own alignment is all that callers promise; big integers are arrays of 64-bit words. */
static uint32_t element_align(Type element)
{
    uint32_t bytes = element.elem == ELEM_SET ? 8 : type_element_bytes(element);
    return bytes > 8 ? 8 : bytes;
}

static LLVMValueRef load(Fn *f, LLVMTypeRef type, LLVMValueRef at, uint32_t align)
{
    LLVMValueRef v = LLVMBuildLoad2(f->b, type, at, "");
    LLVMSetAlignment(v, align);
    return v;
}

static void store(Fn *f, LLVMValueRef v, LLVMValueRef at, uint32_t align)
{
    LLVMSetAlignment(LLVMBuildStore(f->b, v, at), align);
}

/* ---- memory form <-> register form ---- */

static LLVMValueRef from_memory(Fn *f, Type element, LLVMValueRef v, uint32_t lanes)
{
    if (element.elem != ELEM_INT || element.n == 8 * type_element_bytes(element))
        return v;
    return LLVMBuildTrunc(f->b, v, be_vector_type(be_scalar_type(f->e, element), lanes), "");
}

static LLVMValueRef to_memory(Fn *f, Type element, LLVMValueRef v, uint32_t lanes)
{
    if (element.elem != ELEM_INT || element.n == 8 * type_element_bytes(element))
        return v;
    LLVMTypeRef type = be_vector_type(be_memory_type(f->e, element), lanes);
    return element.n == 1 ? LLVMBuildZExt(f->b, v, type, "") : LLVMBuildSExt(f->b, v, type, "");
}

LLVMValueRef be_load(Fn *f, Type element, LLVMValueRef base, LLVMValueRef index, uint32_t lanes)
{
    LLVMTypeRef type = be_vector_type(be_memory_type(f->e, element), lanes);
    LLVMValueRef v = load(f, type, element_address(f, element, base, index), element_align(element));
    return from_memory(f, element, v, lanes);
}

void be_store(Fn *f, Type element, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index, uint32_t lanes)
{
    store(f, to_memory(f, element, value, lanes), element_address(f, element, base, index), element_align(element));
}

/* ---- the first n lanes ---- */

/* Lanes [from, from + n) of v. */
LLVMValueRef be_extract(Fn *f, LLVMValueRef v, uint32_t from, uint32_t n)
{
    LLVMValueRef lane[64];
    for (uint32_t i = 0; i < n; i++)
        lane[i] = LLVMConstInt(f->e->i32, from + i, 0);
    if (n == 1)
        return LLVMBuildExtractElement(f->b, v, lane[0], "");
    return LLVMBuildShuffleVector(f->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(lane, n), "");
}

/* v with lanes [from, from + n) replaced by those of `part`. */
static LLVMValueRef insert(Fn *f, LLVMValueRef v, LLVMValueRef part, uint32_t from, uint32_t n, uint32_t lanes)
{
    if (n == 1)
        return LLVMBuildInsertElement(f->b, v, part, LLVMConstInt(f->e->i32, from, 0), "");
    LLVMValueRef wide[64], mix[64];
    for (uint32_t i = 0; i < lanes; i++) {
        wide[i] = i < n ? LLVMConstInt(f->e->i32, i, 0) : LLVMGetPoison(f->e->i32);
        mix[i] = LLVMConstInt(f->e->i32, i >= from && i < from + n ? lanes + i - from : i, 0);
    }
    LLVMValueRef spread = LLVMBuildShuffleVector(f->b, part, LLVMGetPoison(LLVMTypeOf(part)), LLVMConstVector(wide, lanes), "");
    return LLVMBuildShuffleVector(f->b, v, spread, LLVMConstVector(mix, lanes), "");
}

static uint32_t piece(uint32_t n)
{
    uint32_t p = 1;
    while (2 * p <= n)
        p *= 2;
    return p;
}

LLVMValueRef be_load_part(Fn *f, Type element, LLVMValueRef base, LLVMValueRef index, uint32_t lanes, uint32_t n)
{
    if (n == lanes)
        return be_load(f, element, base, index, lanes);
    LLVMValueRef v = be_zero(f->e, element, lanes);
    for (uint32_t from = 0, p; from < n; from += p) {
        p = piece(n - from);
        LLVMValueRef at = LLVMBuildAdd(f->b, index, be_size(f->e, from), "");
        v = insert(f, v, be_load(f, element, base, at, p), from, p, lanes);
    }
    return v;
}

void be_store_part(Fn *f, Type element, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index, uint32_t lanes, uint32_t n)
{
    if (n == lanes) {
        be_store(f, element, value, base, index, lanes);
        return;
    }
    for (uint32_t from = 0, p; from < n; from += p) {
        p = piece(n - from);
        LLVMValueRef at = LLVMBuildAdd(f->b, index, be_size(f->e, from), "");
        be_store(f, element, be_extract(f, value, from, p), base, at, p);
    }
}

/* ---- intrinsics ---- */

LLVMValueRef be_intrinsic_on(Fn *f, const char *name, LLVMTypeRef *overload, unsigned n_types, LLVMValueRef *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (id == 0)
        ICE("this LLVM has no %s", name);
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(f->e->module, id, overload, n_types);
    return LLVMBuildCall2(f->b, LLVMIntrinsicGetType(f->e->c, id, overload, n_types), fn, args, n, "");
}

LLVMValueRef be_intrinsic(Fn *f, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned n)
{
    return be_intrinsic_on(f, name, &overload, 1, args, n);
}

void be_prefetch(Fn *f, LLVMValueRef base, LLVMValueRef index, uint32_t element_bytes)
{
    LLVMValueRef bytes = LLVMBuildMul(f->b, index, be_size(f->e, element_bytes), "");
    LLVMValueRef at = LLVMBuildGEP2(f->b, f->e->i8, base, &bytes, 1, "");      /* it may lie beyond the end */
    LLVMValueRef args[4] = {at, LLVMConstInt(f->e->i32, 0, 0), LLVMConstInt(f->e->i32, 3, 0), LLVMConstInt(f->e->i32, 1, 0)};
    be_intrinsic(f, "llvm.prefetch", f->e->ptr, args, 4);
}

LLVMValueRef be_masked_gather(Fn *f, LLVMTypeRef vector, LLVMValueRef addresses, uint32_t align, LLVMValueRef wanted)
{
    LLVMTypeRef overload[2] = {vector, LLVMTypeOf(addresses)};
    LLVMValueRef args[4] = {addresses, LLVMConstInt(f->e->i32, align, 0), wanted, LLVMConstNull(vector)};
    return be_intrinsic_on(f, "llvm.masked.gather", overload, 2, args, 4);
}

/* ---- loops ---- */

LLVMBasicBlockRef be_new_block(Fn *f, const char *name)
{
    return LLVMAppendBasicBlockInContext(f->e->c, f->fn, name);
}

/*   before: br body
 *   body:   i = phi [0, before], [i', latch] … i' = i + step; br (i' < n) body, after          */
Loop be_loop(Fn *f, uint64_t n, uint64_t step, const char *name)
{
    Loop loop = {LLVMGetInsertBlock(f->b), be_new_block(f, name), be_new_block(f, "done"), NULL, n, step};
    LLVMBuildBr(f->b, loop.body);
    LLVMPositionBuilderAtEnd(f->b, loop.body);
    loop.i = LLVMBuildPhi(f->b, f->e->size, "i");
    LLVMValueRef zero = be_size(f->e, 0);
    LLVMAddIncoming(loop.i, &zero, &loop.before, 1);
    return loop;
}

void be_loop_end(Fn *f, Loop *loop)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(f->b);
    LLVMValueRef next = LLVMBuildNUWAdd(f->b, loop->i, be_size(f->e, loop->step), "");
    LLVMAddIncoming(loop->i, &next, &latch, 1);
    LLVMValueRef more = LLVMBuildICmp(f->b, LLVMIntULT, next, be_size(f->e, loop->n), "");
    LLVMBuildCondBr(f->b, more, loop->body, loop->after);
    LLVMMoveBasicBlockAfter(loop->after, latch);
    LLVMPositionBuilderAtEnd(f->b, loop->after);
}

DynLoop be_dyn_loop(Fn *f, LLVMValueRef n, const char *name)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b);
    DynLoop loop = {be_new_block(f, name), be_new_block(f, "body"), be_new_block(f, "done"), NULL};
    LLVMBuildBr(f->b, loop.head);
    LLVMPositionBuilderAtEnd(f->b, loop.head);
    loop.i = LLVMBuildPhi(f->b, f->e->size, "i");
    LLVMValueRef zero = be_size(f->e, 0);
    LLVMAddIncoming(loop.i, &zero, &before, 1);
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntULT, loop.i, n, ""), loop.body, loop.after);
    LLVMPositionBuilderAtEnd(f->b, loop.body);
    return loop;
}

void be_dyn_loop_end(Fn *f, DynLoop *loop)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(f->b);
    LLVMValueRef next = LLVMBuildNUWAdd(f->b, loop->i, be_size(f->e, 1), "");
    LLVMAddIncoming(loop->i, &next, &latch, 1);
    LLVMBuildBr(f->b, loop->head);
    LLVMPositionBuilderAtEnd(f->b, loop->after);
}

/* ---- copies ---- */

/* Bytes in pieces of at most a vector: a loop of whole vectors, then halves. */
void be_copy(Fn *f, LLVMValueRef to, LLVMValueRef from, uint64_t bytes, uint32_t element_bytes)
{
    uint32_t align = element_bytes > 8 ? 8 : element_bytes ? element_bytes : 1;
    LLVMTypeRef unit = LLVMIntTypeInContext(f->e->c, 8 * align);
    uint32_t wide = f->level->vector_bytes > align ? f->level->vector_bytes : align;
    uint64_t whole = bytes / wide * wide;
    if (whole > 0) {
        LLVMTypeRef type = be_vector_type(unit, wide / align);
        Loop loop = be_loop(f, whole, wide, "copy");
        store(f, load(f, type, be_at(f, from, loop.i), align), be_at(f, to, loop.i), align);
        be_loop_end(f, &loop);
    }
    for (uint64_t at = whole, p; at < bytes; at += p) {
        p = (uint64_t)piece((uint32_t)((bytes - at) / align)) * align;
        LLVMTypeRef type = be_vector_type(unit, (uint32_t)(p / align));
        store(f, load(f, type, be_at_const(f, from, at), align), be_at_const(f, to, at), align);
    }
}

/* ---- sets: 64 members a word, member i is bit i % 64 of word i / 64; bits beyond n are 0 ---- */

LLVMValueRef be_set_word(Fn *f, LLVMValueRef words, LLVMValueRef w)
{
    return load(f, f->e->i64, LLVMBuildInBoundsGEP2(f->b, f->e->i64, words, &w, 1, ""), 8);
}

/*   while (word) { i = ctz(word); word &= word - 1; body(i) }      */
void be_walk_word(Fn *f, LLVMValueRef word, SetBody *body, void *context)
{
    Emitter *e = f->e;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b);
    LLVMBasicBlockRef head = be_new_block(f, "members"), inside = be_new_block(f, "member"), after = be_new_block(f, "done");
    LLVMBuildBr(f->b, head);
    LLVMPositionBuilderAtEnd(f->b, head);
    LLVMValueRef rest = LLVMBuildPhi(f->b, e->i64, "rest");
    LLVMAddIncoming(rest, &word, &before, 1);
    LLVMBuildCondBr(f->b, LLVMBuildIsNotNull(f->b, rest, ""), inside, after);
    LLVMPositionBuilderAtEnd(f->b, inside);
    LLVMValueRef args[2] = {rest, LLVMConstInt(e->i1, 1, 0)};
    LLVMValueRef bit = be_intrinsic(f, "llvm.cttz", e->i64, args, 2);
    LLVMValueRef less = LLVMBuildAnd(f->b, rest, LLVMBuildSub(f->b, rest, LLVMConstInt(e->i64, 1, 0), ""), "");
    body(f, LLVMBuildIntCast2(f->b, bit, e->size, 0, ""), context);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(f->b);
    LLVMAddIncoming(rest, &less, &latch, 1);
    LLVMBuildBr(f->b, head);
    LLVMMoveBasicBlockAfter(after, latch);
    LLVMPositionBuilderAtEnd(f->b, after);
}

LLVMValueRef be_word_residue(Fn *f, LLVMValueRef word, uint32_t modulus, uint32_t residue)
{
    uint64_t pattern = 0;
    if (modulus == 1)
        return word;
    for (uint32_t i = residue; i < 64; i += modulus)
        pattern |= UINT64_C(1) << i;
    return LLVMBuildAnd(f->b, word, LLVMConstInt(f->e->i64, pattern, 0), "");
}

typedef struct Within { LLVMValueRef base; SetBody *body; void *context; } Within;

static void member_within(Fn *f, LLVMValueRef bit, void *context)
{
    const Within *w = context;
    w->body(f, LLVMBuildOr(f->b, w->base, bit, ""), w->context);
}

void be_walk_set_residue(Fn *f, LLVMValueRef words, uint32_t n, uint32_t modulus, uint32_t residue, SetBody *body, void *context)
{
    if (n == 0)
        return;
    Loop over = be_loop(f, ((uint64_t)n + 63) / 64, 1, "word");
    LLVMValueRef word = be_word_residue(f, be_set_word(f, words, over.i), modulus, residue);
    Within w = {LLVMBuildShl(f->b, over.i, be_size(f->e, 6), ""), body, context};
    be_walk_word(f, word, member_within, &w);
    be_loop_end(f, &over);
}

void be_walk_set(Fn *f, LLVMValueRef words, uint32_t n, SetBody *body, void *context)
{
    be_walk_set_residue(f, words, n, 1, 0, body, context);
}

LLVMValueRef be_set_size(Fn *f, LLVMValueRef words, LLVMValueRef word, uint32_t n)
{
    Emitter *e = f->e;
    if (n <= 64) {
        word = n == 0 ? LLVMConstInt(e->i64, 0, 0) : word ? word : be_set_word(f, words, be_size(e, 0));
        return be_intrinsic(f, "llvm.ctpop", e->i64, &word, 1);
    }
    LLVMValueRef sum = be_alloca(f, e->i64, "size");
    LLVMBuildStore(f->b, LLVMConstInt(e->i64, 0, 0), sum);
    Loop loop = be_loop(f, ((uint64_t)n + 63) / 64, 1, "words");
    word = be_set_word(f, words, loop.i);
    LLVMValueRef ones = be_intrinsic(f, "llvm.ctpop", e->i64, &word, 1);
    LLVMBuildStore(f->b, LLVMBuildAdd(f->b, LLVMBuildLoad2(f->b, e->i64, sum, ""), ones, ""), sum);
    be_loop_end(f, &loop);
    return LLVMBuildLoad2(f->b, e->i64, sum, "");
}
