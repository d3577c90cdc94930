/* selection.c — what is evaluated next: the best of a vector, sets, the test of the box.
 *
 * In: places. Out: indices (i32), sets (64-bit words; bits beyond n are 0), truth values. NaN: anything beats it, it is
 * inside no box; `notle0` and `nonzero` ask the negated question, so it is active there.
 */
#include "gen.h"

/* ---- the best ---- */

/* Whether element x, which comes later, beats y. */
static LLVMValueRef beats(Fn *f, Type t, bool least, LLVMValueRef x, LLVMValueRef y)
{
    LLVMValueRef better = be_compare(f, t, least ? PRED_lt : PRED_gt, x, y);
    if (!type_is_float(t))
        return better;
    LLVMValueRef y_nan = LLVMBuildFCmp(f->b, LLVMRealUNO, y, y, ""), x_number = LLVMBuildFCmp(f->b, LLVMRealORD, x, x, "");
    return LLVMBuildOr(f->b, better, LLVMBuildAnd(f->b, y_nan, x_number, ""), "");
}

static void best(Fn *f, const Op *op)
{
    Type a = value_type(f->net, op_operand(op, 0)), t = type_element(a);
    LLVMValueRef at = be_place(f, op_operand(op, 0)).at, zero = be_size(f->e, 0);
    LLVMTypeRef scalar = be_scalar_type(f->e, t);
    LLVMValueRef value = be_alloca(f, scalar, "best"), index = be_alloca(f, f->e->i32, "best.index");
    LLVMBuildStore(f->b, be_load(f, t, at, zero, 1), value);
    LLVMBuildStore(f->b, LLVMConstInt(f->e->i32, 0, 0), index);
    if (a.dim[0] > 1) {
        Loop loop = be_loop(f, a.dim[0] - 1, 1, "elements");
        LLVMValueRef i = LLVMBuildAdd(f->b, loop.i, be_size(f->e, 1), "");
        LLVMValueRef x = be_load(f, t, at, i, 1), y = LLVMBuildLoad2(f->b, scalar, value, "");
        LLVMValueRef wins = beats(f, t, op->kind == OP_argmin, x, y);
        LLVMValueRef i32 = LLVMBuildIntCast2(f->b, i, f->e->i32, false, "");
        LLVMBuildStore(f->b, LLVMBuildSelect(f->b, wins, x, y, ""), value);
        LLVMBuildStore(f->b, LLVMBuildSelect(f->b, wins, i32, LLVMBuildLoad2(f->b, f->e->i32, index, ""), ""), index);
        be_loop_end(f, &loop);
    }
    be_set_scalar(f, op->result[0], LLVMBuildLoad2(f->b, f->e->i32, index, ""));
}

/* Whether element i comes after element p in the order of topk: descending, NaN last, ties by index. */
static LLVMValueRef comes_after(Fn *f, Type t, LLVMValueRef x, LLVMValueRef i, LLVMValueRef p_value, LLVMValueRef p)
{
    LLVMValueRef later = LLVMBuildICmp(f->b, LLVMIntUGT, i, p, "");
    LLVMValueRef below = be_compare(f, t, PRED_lt, x, p_value), equal = be_compare(f, t, PRED_eq, x, p_value);
    LLVMValueRef after = LLVMBuildOr(f->b, below, LLVMBuildAnd(f->b, equal, later, ""), "");
    if (!type_is_float(t))
        return after;
    LLVMValueRef x_nan = LLVMBuildFCmp(f->b, LLVMRealUNO, x, x, ""), p_nan = LLVMBuildFCmp(f->b, LLVMRealUNO, p_value, p_value, "");
    LLVMValueRef both = LLVMBuildAnd(f->b, LLVMBuildAnd(f->b, x_nan, p_nan, ""), later, "");
    LLVMValueRef only_x = LLVMBuildAnd(f->b, x_nan, LLVMBuildNot(f->b, p_nan, ""), "");
    return LLVMBuildOr(f->b, after, LLVMBuildOr(f->b, both, only_x, ""), "");
}

/*   for t in 0 … k-1:  chosen[t] = the first, in topk's order, of the elements after chosen[t-1]
 * No list of taken elements is needed: the order is total. */
static void topk(Fn *f, const Op *op)
{
    Type g = value_type(f->net, op_operand(op, 0)), t = type_element(g), idx = type_idx(g.dim[0]);
    uint64_t k = (uint64_t)op->attr[0].i;
    Emitter *e = f->e;
    LLVMValueRef at = be_place(f, op_operand(op, 0)).at;
    LLVMValueRef indices = be_define(f, op->result[0]).at, values = be_define(f, op->result[1]).at;
    LLVMTypeRef scalar = be_scalar_type(e, t);
    LLVMValueRef found = be_alloca(f, e->i1, "found"), index = be_alloca(f, e->size, "index"), value = be_alloca(f, scalar, "value");
    LLVMValueRef last = be_alloca(f, e->size, "last"), last_value = be_alloca(f, scalar, "last.value");
    LLVMBuildStore(f->b, be_size(e, 0), last);
    LLVMBuildStore(f->b, be_zero(e, t, 1), last_value);
    Loop round = be_loop(f, k, 1, "round");
    LLVMValueRef first = LLVMBuildICmp(f->b, LLVMIntEQ, round.i, be_size(e, 0), "");
    LLVMBuildStore(f->b, LLVMConstInt(e->i1, 0, 0), found);
    LLVMBuildStore(f->b, be_size(e, 0), index);
    LLVMBuildStore(f->b, be_zero(e, t, 1), value);
    Loop loop = be_loop(f, g.dim[0], 1, "elements");
    LLVMValueRef x = be_load(f, t, at, loop.i, 1), y = LLVMBuildLoad2(f->b, scalar, value, "");
    LLVMValueRef free = comes_after(f, t, x, loop.i, LLVMBuildLoad2(f->b, scalar, last_value, ""), LLVMBuildLoad2(f->b, e->size, last, ""));
    free = LLVMBuildOr(f->b, free, first, "");
    LLVMValueRef had = LLVMBuildLoad2(f->b, e->i1, found, "");
    LLVMValueRef better = LLVMBuildOr(f->b, LLVMBuildNot(f->b, had, ""), beats(f, t, false, x, y), "");
    LLVMValueRef wins = LLVMBuildAnd(f->b, free, better, "");
    LLVMBuildStore(f->b, LLVMBuildOr(f->b, had, wins, ""), found);
    LLVMBuildStore(f->b, LLVMBuildSelect(f->b, wins, x, y, ""), value);
    LLVMBuildStore(f->b, LLVMBuildSelect(f->b, wins, loop.i, LLVMBuildLoad2(f->b, e->size, index, ""), ""), index);
    be_loop_end(f, &loop);
    LLVMValueRef i = LLVMBuildLoad2(f->b, e->size, index, ""), v = LLVMBuildLoad2(f->b, scalar, value, "");
    LLVMBuildStore(f->b, i, last);
    LLVMBuildStore(f->b, v, last_value);
    be_store(f, idx, LLVMBuildIntCast2(f->b, i, e->i32, false, ""), indices, round.i, 1);
    be_store(f, t, v, values, round.i, 1);
    be_loop_end(f, &round);
}

/* ---- sets ---- */

LLVMValueRef be_activity(Fn *f, Type t, Activity activity, LLVMValueRef x, uint32_t lanes)
{
    LLVMValueRef zero = be_zero(f->e, t, lanes);
    switch (activity) {
    case ACTIVITY_notle0:
        if (type_is_float(t))                     /* one comparison, true on NaN */
            return LLVMBuildFCmp(f->b, LLVMRealUGT, x, zero, "");
        return LLVMBuildNot(f->b, be_compare(f, t, PRED_le, x, zero), "");
    case ACTIVITY_nonzero:
        return be_compare(f, t, PRED_ne, x, zero);
    case ACTIVITY_gt0:
        return be_compare(f, t, PRED_gt, x, zero);
    }
    ICE("activity %d", (int)activity);
}

/* Vectors of the level's own width, gathered to words of 64 bits: a word stored at once can be loaded at once. */
static LLVMValueRef active_word(Fn *f, Type t, Activity activity, LLVMValueRef at, LLVMValueRef first, uint32_t n)
{
    Emitter *e = f->e;
    uint32_t lanes = be_lanes(f->level, t);
    LLVMValueRef word = NULL;
    for (uint32_t i = 0; i < n; i += lanes) {
        LLVMValueRef index = LLVMBuildAdd(f->b, first, be_size(e, i), "");
        LLVMValueRef x = be_load_part(f, t, at, index, lanes, n - i < lanes ? n - i : lanes);      /* missing lanes are 0: not active */
        LLVMValueRef some = be_activity(f, t, activity, x, lanes);
        if (lanes > 1)
            some = LLVMBuildBitCast(f->b, some, LLVMIntTypeInContext(e->c, lanes), "");
        if (lanes < 64)
            some = LLVMBuildZExt(f->b, some, e->i64, "");
        word = word ? LLVMBuildOr(f->b, word, LLVMBuildShl(f->b, some, LLVMConstInt(e->i64, i, 0), ""), "") : some;
    }
    return word;
}

void be_active(Fn *f, Type t, Activity activity, LLVMValueRef at, uint32_t n, Value set)
{
    Emitter *e = f->e;
    LLVMValueRef words = be_define(f, set).at;
    uint32_t whole = n / 64;
    if (whole > 0) {
        Loop loop = be_loop(f, whole, 1, "active");
        LLVMValueRef word = active_word(f, t, activity, at, LLVMBuildShl(f->b, loop.i, be_size(e, 6), ""), 64);
        LLVMSetAlignment(LLVMBuildStore(f->b, word, LLVMBuildInBoundsGEP2(f->b, e->i64, words, &loop.i, 1, "")), 8);
        be_loop_end(f, &loop);
    }
    if (n % 64 == 0)
        return;
    LLVMValueRef last = be_size(e, whole), word = active_word(f, t, activity, at, be_size(e, 64 * (uint64_t)whole), n % 64);
    LLVMSetAlignment(LLVMBuildStore(f->b, word, LLVMBuildInBoundsGEP2(f->b, e->i64, words, &last, 1, "")), 8);
    if (n < 64)
        f->word[set] = word;
}

static void active(Fn *f, const Op *op)
{
    Value x = op_operand(op, 0), set = op->result[0];
    Type a = value_type(f->net, x);
    if (be_is_wanted(f, set) && !be_active_is_fused(f, op))
        be_active(f, type_element(a), (Activity)op->attr[0].i, be_place(f, x).at, a.dim[0], set);
}

static void size(Fn *f, const Op *op)
{
    Value set = op_operand(op, 0);
    if (!be_is_wanted(f, op->result[0]))
        return;
    LLVMValueRef n = be_set_size(f, be_place(f, set).at, f->word[set], value_type(f->net, set).n);
    be_set_scalar(f, op->result[0], LLVMBuildTrunc(f->b, n, f->e->i32, ""));
}

/* ---- the weight of a set ----
 *
 *   for each word w:  for each vector of the 64 elements:  sum += bits of w ? v[…] : 0         (lanes of a vector)
 *                     for each bit of w:                   sum += v[…]                         (one element at a time)
 *
 * It runs beside sparse layers that are counted: a few instructions a word.
 */
typedef struct Weigh { Type t; LLVMValueRef v, sum, word, index; uint32_t lanes; } Weigh;

static void weigh_member(Fn *f, LLVMValueRef index, void *context)
{
    const Weigh *w = context;
    LLVMValueRef sum = LLVMBuildLoad2(f->b, be_scalar_type(f->e, w->t), w->sum, "");
    LLVMBuildStore(f->b, be_add(f, w->t, sum, be_load(f, w->t, w->v, index, 1)), w->sum);
}

/* Elements [0, n) of the word, by whole vectors; lanes beyond n are not read. */
static void weigh_word(Fn *f, const Weigh *w, uint32_t n)
{
    Emitter *e = f->e;
    LLVMTypeRef bits = LLVMIntTypeInContext(e->c, w->lanes), vector = be_vector_type(be_scalar_type(e, w->t), w->lanes);
    LLVMTypeRef truths = be_vector_type(e->i1, w->lanes);
    LLVMValueRef sum = LLVMBuildLoad2(f->b, vector, w->sum, "");
    for (uint32_t from = 0; from < n; from += w->lanes) {
        uint32_t part = n - from < w->lanes ? n - from : w->lanes;
        LLVMValueRef mask = LLVMBuildIntCast2(f->b, LLVMBuildLShr(f->b, w->word, LLVMConstInt(e->i64, from, 0), ""), bits, false, "");
        LLVMValueRef v = be_load_part(f, w->t, w->v, LLVMBuildAdd(f->b, w->index, be_size(e, from), ""), w->lanes, part);
        sum = be_add(f, w->t, sum, LLVMBuildSelect(f->b, LLVMBuildBitCast(f->b, mask, truths, ""), v, be_zero(e, w->t, w->lanes), ""));
    }
    LLVMBuildStore(f->b, sum, w->sum);
}

static void weigh(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    uint32_t n = value_type(f->net, op_operand(op, 0)).n, whole = n / 64;
    if (!be_is_wanted(f, op->result[0]))
        return;
    LLVMValueRef words = be_place(f, op_operand(op, 0)).at;
    Weigh w = {.t = value_type(f->net, op->result[0]), .v = be_place(f, op_operand(op, 1)).at};
    w.lanes = w.t.n == 1 ? 1 : be_lanes(f->level, w.t);        /* LLVM 19 goes wrong with short vectors of truth values below v4 */
    w.sum = be_alloca(f, be_vector_type(be_scalar_type(e, w.t), w.lanes), "weight");
    LLVMBuildStore(f->b, be_zero(e, w.t, w.lanes), w.sum);
    if (w.lanes == 1) {
        be_walk_set(f, words, n, weigh_member, &w);
        be_set_scalar(f, op->result[0], LLVMBuildLoad2(f->b, be_scalar_type(e, w.t), w.sum, ""));
        return;
    }
    if (whole > 0) {
        Loop loop = be_loop(f, whole, 1, "words");
        w.word = be_set_word(f, words, loop.i);
        w.index = LLVMBuildShl(f->b, loop.i, be_size(e, 6), "");
        weigh_word(f, &w, 64);
        be_loop_end(f, &loop);
    }
    if (n % 64) {
        w.word = be_set_word(f, words, be_size(e, whole));
        w.index = be_size(e, 64 * (uint64_t)whole);
        weigh_word(f, &w, n % 64);
    }
    LLVMValueRef sum = LLVMBuildLoad2(f->b, be_vector_type(be_scalar_type(e, w.t), w.lanes), w.sum, "");
    be_set_scalar(f, op->result[0], be_combine_lanes(f, w.t, sum, w.lanes));
}

static void test(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    LLVMValueRef i = be_place(f, op_operand(op, 1)).at;
    LLVMValueRef w = LLVMBuildZExtOrBitCast(f->b, LLVMBuildLShr(f->b, i, LLVMConstInt(e->i32, 6, 0), ""), e->size, "");
    LLVMValueRef word = be_set_word(f, be_place(f, op_operand(op, 0)).at, w);
    LLVMValueRef bit = LLVMBuildZExt(f->b, LLVMBuildAnd(f->b, i, LLVMConstInt(e->i32, 63, 0), ""), e->i64, "");
    be_set_scalar(f, op->result[0], LLVMBuildTrunc(f->b, LLVMBuildLShr(f->b, word, bit, ""), e->i1, ""));
}

/* ---- the box ---- */

static LLVMValueRef inside(Fn *f, Type t, LLVMValueRef x, LLVMValueRef lo, LLVMValueRef hi)
{
    return LLVMBuildAnd(f->b, be_compare(f, t, PRED_le, lo, x), be_compare(f, t, PRED_le, x, hi), "");
}

/* Whole vectors in a loop, then the rest; missing lanes are 0 <= 0 <= 0. All lanes must hold: their bits are all ones. */
static void within(Fn *f, const Op *op)
{
    Type a = value_type(f->net, op_operand(op, 0)), t = type_element(a);
    Emitter *e = f->e;
    uint64_t n = type_count(a);
    Layout raw = be_layout_raw(const_get(f->m, op->cst[0]));
    LLVMValueRef lo = be_constant(e, f->m, op->cst[0], &raw), hi = be_at_const(f, lo, n * type_element_bytes(t));
    Place x = be_place(f, op_operand(op, 0));
    if (!be_in_memory(a)) {
        LLVMValueRef zero = be_size(e, 0);
        be_set_scalar(f, op->result[0], inside(f, t, x.at, be_load(f, t, lo, zero, 1), be_load(f, t, hi, zero, 1)));
        return;
    }
    uint32_t lanes = be_lanes(f->level, t);
    LLVMTypeRef bits = LLVMIntTypeInContext(e->c, lanes);
    LLVMValueRef all = be_alloca(f, e->i1, "inside");
    LLVMBuildStore(f->b, LLVMConstInt(e->i1, 1, 0), all);
    uint64_t whole = n / lanes * lanes;
    for (int rest = 0; rest < 2; rest++) {
        uint32_t part = rest ? (uint32_t)(n - whole) : lanes;
        if (rest ? part == 0 : whole == 0)
            continue;
        Loop loop = {0};
        if (!rest)
            loop = be_loop(f, whole, lanes, "box");
        LLVMValueRef i = rest ? be_size(e, whole) : loop.i;
        LLVMValueRef ok = inside(f, t, be_load_part(f, t, x.at, i, lanes, part), be_load_part(f, t, lo, i, lanes, part),
                                 be_load_part(f, t, hi, i, lanes, part));
        if (lanes > 1)
            ok = LLVMBuildICmp(f->b, LLVMIntEQ, LLVMBuildBitCast(f->b, ok, bits, ""), LLVMConstAllOnes(bits), "");
        LLVMBuildStore(f->b, LLVMBuildAnd(f->b, LLVMBuildLoad2(f->b, e->i1, all, ""), ok, ""), all);
        if (!rest)
            be_loop_end(f, &loop);
    }
    be_set_scalar(f, op->result[0], LLVMBuildLoad2(f->b, e->i1, all, ""));
}

void be_selection(Fn *f, const Op *op)
{
    if (op->kind == OP_argmax || op->kind == OP_argmin)
        best(f, op);
    else if (op->kind == OP_topk)
        topk(f, op);
    else if (op->kind == OP_active)
        active(f, op);
    else if (op->kind == OP_extend)
        be_extend(f, op);
    else if (op->kind == OP_size)
        size(f, op);
    else if (op->kind == OP_weigh)
        weigh(f, op);
    else if (op->kind == OP_test)
        test(f, op);
    else if (op->kind == OP_descend)
        be_descend(f, op);
    else if (op->kind == OP_search)
        be_search(f, op);
    else
        within(f, op);
}
