/* sets.c — sets made of sets: extended, and intersection, union, symmetric difference.
 *
 *      extend, up to 64 in the result        (word << before) | ones
 *      and, or, xor, up to 64                 one instruction
 *      longer                                 the same, word by word through memory
 *
 * In: words of 64 members, whose bits beyond n are 0. Out: words likewise, and the only one as a value, where there is only one, so that
 * what walks a short set next to it reads a register. The one idea: nearly all sets of small networks are one word. A set
 * that nobody reads at run time (its layers walk all columns, its size is not counted) is not made.
 */
#include "gen.h"

static LLVMValueRef bits(const Fn *f, uint64_t mask) { return LLVMConstInt(f->e->i64, mask, 0); }

/* Bits from … end - 1 of a word. */
static uint64_t run(uint32_t from, uint32_t end)
{
    uint64_t below = end < 64 ? (UINT64_C(1) << end) - 1 : UINT64_MAX;
    return from < 64 ? below >> from << from : 0;
}

static void put_word(Fn *f, LLVMValueRef words, LLVMValueRef at, LLVMValueRef word)
{
    LLVMSetAlignment(LLVMBuildStore(f->b, word, LLVMBuildInBoundsGEP2(f->b, f->e->i64, words, &at, 1, "")), 8);
}

/* The set's word, if it has one. */
static LLVMValueRef only_word(Fn *f, Value set)
{
    if (value_type(f->net, set).n == 0)
        return bits(f, 0);
    return f->word[set] ? f->word[set] : be_set_word(f, be_place(f, set).at, be_size(f->e, 0));
}

static void define_word(Fn *f, Value set, LLVMValueRef word)
{
    LLVMValueRef at = be_define(f, set).at;
    if (value_type(f->net, set).n > 0)
        put_word(f, at, be_size(f->e, 0), word);
    f->word[set] = word;
}

/* ---- extend, beyond one word ---- */

static void fill(Fn *f, LLVMValueRef words, uint64_t from, uint64_t end, uint64_t mask)
{
    if (from >= end)
        return;
    Loop loop = be_loop(f, end - from, 1, "fill");
    put_word(f, words, LLVMBuildAdd(f->b, loop.i, be_size(f->e, from), ""), bits(f, mask));
    be_loop_end(f, &loop);
}

/* Members from … end - 1 are in it: whole words are written, the others exist. */
static void include(Fn *f, LLVMValueRef words, uint64_t from, uint64_t end)
{
    uint64_t whole = (from + 63) / 64;
    uint64_t parts[2] = {from / 64, end / 64};
    fill(f, words, whole, end / 64, UINT64_MAX);
    for (int i = 0; i < 2; i++) {
        uint64_t first = parts[i] * 64, a = from > first ? from - first : 0, b = end > first ? end - first : 0;
        bool is_part = i == 0 ? from % 64 != 0 : end % 64 != 0 && parts[1] >= whole;
        if (!is_part || a >= b)
            continue;
        LLVMValueRef at = be_size(f->e, parts[i]), mask = bits(f, run((uint32_t)a, b < 64 ? (uint32_t)b : 64));
        put_word(f, words, at, LLVMBuildOr(f->b, be_set_word(f, words, at), mask, ""));
    }
}

/*   to[base + i] = from[i] << shift | from[i - 1] >> (64 - shift)        for all words; the others are 0, then ones are put in   */
static void extend_words(Fn *f, LLVMValueRef to, LLVMValueRef from, uint32_t n, uint64_t before, uint64_t all)
{
    Emitter *e = f->e;
    uint64_t base = before / 64, shift = before % 64, words = ((uint64_t)n + 63) / 64, total = (all + 63) / 64;
    fill(f, to, base + words, total, 0);
    for (uint64_t first = 0; first < 2 && first < words; first++) {
        Loop loop = {.i = be_size(e, 0)};
        if (first == 1)
            loop = be_loop(f, words - 1, 1, "words");
        LLVMValueRef i = LLVMBuildAdd(f->b, loop.i, be_size(e, first), ""), word = be_set_word(f, from, i);
        if (shift > 0) {
            word = LLVMBuildShl(f->b, word, bits(f, shift), "");
            if (first == 1)
                word = LLVMBuildOr(f->b, word, LLVMBuildLShr(f->b, be_set_word(f, from, loop.i), bits(f, 64 - shift), ""), "");
        }
        put_word(f, to, LLVMBuildAdd(f->b, i, be_size(e, base), ""), word);
        if (first == 1)
            be_loop_end(f, &loop);
    }
    if (shift > 0 && words > 0 && base + words < total) {
        LLVMValueRef last = be_set_word(f, from, be_size(e, words - 1));
        put_word(f, to, be_size(e, base + words), LLVMBuildLShr(f->b, last, bits(f, 64 - shift), ""));
    }
    include(f, to, 0, before);
    include(f, to, before + n, all);
}

void be_extend(Fn *f, const Op *op)
{
    Value s = op_operand(op, 0), set = op->result[0];
    uint32_t n = value_type(f->net, s).n, all = value_type(f->net, set).n;
    uint64_t before = (uint64_t)op->attr[0].i;
    if (!be_is_wanted(f, set))
        return;
    if (all > 64) {
        LLVMValueRef from = be_place(f, s).at;
        extend_words(f, be_define(f, set).at, from, n, before, all);
        return;
    }
    LLVMValueRef word = n == 0 ? bits(f, 0) : LLVMBuildShl(f->b, only_word(f, s), bits(f, before), "");
    define_word(f, set, LLVMBuildOr(f->b, word, bits(f, run(0, (uint32_t)before) | run((uint32_t)before + n, all)), ""));
}

/* ---- and, or, xor ---- */

bool be_short_sets(Fn *f, const Op *op)
{
    Value set = op->result[0];
    if (value_type(f->net, set).elem != ELEM_SET || (be_is_wanted(f, set) && value_type(f->net, set).n > 64))
        return false;
    if (!be_is_wanted(f, set))
        return true;
    LLVMValueRef a = only_word(f, op_operand(op, 0)), b = only_word(f, op_operand(op, 1));
    LLVMValueRef word = op->kind == OP_and ? LLVMBuildAnd(f->b, a, b, "") : op->kind == OP_or ? LLVMBuildOr(f->b, a, b, "") : LLVMBuildXor(f->b, a, b, "");
    define_word(f, set, word);
    return true;
}
