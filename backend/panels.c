/* panels.c — dense and conditional layers of many rows: a tile of rows, its sums in registers, column after column.
 *
 *      for each group of t vectors of the tile:
 *        acc[0] = bias; acc[1 … c-1] = -0                        ; chains(c): column k belongs to chain k mod c
 *        for k in columns:  acc[k mod c] += W[k][group] * splat(x[k])
 *        y[group] = relu?(combine(acc));  bits[group] = which are active
 *
 *      dense    k = 0, 1, …
 *      mask     while (word) { k = ctz(word); word &= word - 1; … }        no branch on x: mispredicted once a word
 *      list     k = list[j], and column list[j + AHEAD] is prefetched      for columns that come from far away
 *      branch   if (bit k) …                                               for outcomes that are predictable
 *
 * The one idea: the order of every sum is the IR's, so vectors run along rows, which are independent, and never along a
 * sum; walking fewer columns leaves the order of the others as it is. Accumulators are allocas; sroa makes registers of them.
 */
#include "kernel.h"

#include <string.h>

enum { AHEAD = LIST_PADDING, LINE = 64 };         /* columns prefetched ahead; bytes of a cache line */

/* ---- vectors of a tile ---- */

/* All of the tile at once when the registers allow, else an even part. The last group may overlap the one before: the
 * same sums once more cost less than code for another size. */
Grouping be_grouping(const Level *level, const Shape *s)
{
    Grouping g = {.lanes = be_lanes(level, s->sum)};
    if (g.lanes > s->weights.tile)
        g.lanes = s->weights.tile;
    uint32_t vectors = s->weights.tile / g.lanes, most = level->accumulators / s->chains;
    if (most < 1)
        most = 1;
    if (be_written_rows(&s->weights) < s->weights.tile)        /* the end must be known to the last vector */
        most = vectors;
    g.groups = (vectors + most - 1) / most;
    g.t = (vectors + g.groups - 1) / g.groups;
    while (s->more && vectors % g.t)              /* what goes on from y must not do so twice */
        g.t--;
    g.groups = (vectors + g.t - 1) / g.t;
    return g;
}

bool be_can_store_bits(const Level *level, const Shape *s)
{
    Grouping g = be_grouping(level, s);
    if (be_is_long(level, s))
        return false;
    if (s->walk == WALK_gather)
        return s->weights.tile % 8 == 0 || s->weights.n_tiles == 1;
    return g.lanes <= 64 && (s->weights.tile < 8 ? g.groups == 1 : g.lanes * g.t % 8 == 0 && s->weights.tile % 8 == 0);
}

/* ---- one column ---- */

/* A kernel walks a mask of many chains with its sums in memory: the chain is then a number that is computed. */
static bool chain_is_computed(const Kernel *k)
{
    return k->s->walk == WALK_mask && k->s->chains > 2;
}

static LLVMValueRef slot(Kernel *k, uint32_t chain, uint32_t vector)
{
    Fn *f = &k->f;
    if (!chain_is_computed(k))
        return k->acc[chain * k->t + vector];
    LLVMValueRef index = be_size(f->e, chain * k->t + vector);
    return LLVMBuildInBoundsGEP2(f->b, k->vector, k->acc[0], &index, 1, "");
}

static LLVMValueRef slot_of_column(Kernel *k, LLVMValueRef column, uint32_t vector)
{
    Fn *f = &k->f;
    LLVMValueRef chain = LLVMBuildAnd(f->b, column, be_size(f->e, k->s->chains - 1), "");
    LLVMValueRef index = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, chain, be_size(f->e, k->t), ""), be_size(f->e, vector), "");
    return LLVMBuildInBoundsGEP2(f->b, k->vector, k->acc[0], &index, 1, "");
}

LLVMValueRef be_load_weights(Kernel *k, LLVMValueRef index, uint32_t lanes)
{
    const Shape *s = k->s;
    uint32_t bytes = type_element_bytes(s->weights.element);
    LLVMValueRef w = be_load(&k->f, s->weights.element, k->w, index, lanes);
    /* A vector of weights lies within its column: panels are as aligned as their columns are long. */
    if (LLVMIsALoadInst(w) && !s->weights.packed && (lanes * bytes & (lanes * bytes - 1)) == 0 && lanes * bytes <= k->f.e->target.align && !k->f.e->jit)
        LLVMSetAlignment(w, lanes * bytes);
    if (s->sum.elem == ELEM_F64 && s->weights.element.elem == ELEM_F32)
        w = LLVMBuildFPExt(k->f.b, w, be_vector_type(be_scalar_type(k->f.e, s->sum), lanes), "");
    return w;
}

LLVMValueRef be_term(Kernel *k, LLVMValueRef acc, LLVMValueRef w, LLVMValueRef x)
{
    Fn *f = &k->f;
    if (!k->s->nonzero || !type_is_float(k->s->sum))          /* an integer times 0 adds nothing */
        return be_multiply_add(f, k->s->sum, acc, w, x);
    LLVMValueRef present = be_compare(f, k->s->sum, PRED_ne, w, LLVMConstNull(LLVMTypeOf(w)));
    if (f->net->options.contract == CONTRACT_fma)
        return be_multiply_add(f, k->s->sum, acc, w, LLVMBuildSelect(f->b, present, x, LLVMBuildFNeg(f->b, w, ""), ""));
    LLVMValueRef term = LLVMBuildSelect(f->b, present, LLVMBuildFMul(f->b, w, x, ""), LLVMBuildFNeg(f->b, LLVMConstNull(LLVMTypeOf(w)), ""), "");
    return LLVMBuildFAdd(f->b, acc, term, "");
}

/* Element number of the group's first weight in a column. */
static LLVMValueRef first_weight(Kernel *k, LLVMValueRef column)
{
    uint32_t pitch = k->s->pitch ? k->s->pitch : k->s->weights.tile;
    LLVMValueRef first = LLVMBuildMul(k->f.b, column, be_size(k->f.e, pitch), "");
    return LLVMBuildAdd(k->f.b, first, k->row, "");
}

static void add_column(Kernel *k, uint32_t chain, LLVMValueRef column)
{
    Fn *f = &k->f;
    LLVMValueRef x = be_splat(f, be_load(f, k->s->sum, k->x, column, 1), k->lanes), first = first_weight(k, column);
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, first, be_size(f->e, (uint64_t)v * k->lanes), "");
        LLVMValueRef sum = chain_is_computed(k) ? slot_of_column(k, column, v) : slot(k, chain, v);
        LLVMValueRef acc = LLVMBuildLoad2(f->b, k->vector, sum, "");
        LLVMBuildStore(f->b, be_term(k, acc, be_load_weights(k, at, k->lanes), x), sum);
    }
}

/* ---- dense ---- */

enum { MOST_UNROLLED = 96 };                      /* vectors of weights that are read without a loop, where a layer is made in place */

/* Blocks of `unroll` columns (a multiple of the chains), then up to unroll - 1 more. */
static void all_columns(Kernel *k)
{
    Fn *f = &k->f;
    if (LLVMIsConstant(k->cols) && k->s->weights.cols * k->t <= MOST_UNROLLED) {
        for (uint32_t c = 0; c < k->s->weights.cols; c++)
            add_column(k, c % k->s->chains, be_size(f->e, c));
        return;
    }
    uint32_t unroll = k->s->chains > 1 ? k->s->chains : k->t >= 8 ? 2 : 4;
    if (unroll == 2 && k->t < 8)
        unroll = 4;
    LLVMValueRef size = be_size(f->e, unroll);
    DynLoop blocks = be_dyn_loop(f, LLVMBuildUDiv(f->b, k->cols, size, ""), "columns");
    LLVMValueRef first = LLVMBuildMul(f->b, blocks.i, size, "");
    for (uint32_t u = 0; u < unroll; u++)
        add_column(k, u % k->s->chains, LLVMBuildAdd(f->b, first, be_size(f->e, u), ""));
    be_dyn_loop_end(f, &blocks);
    LLVMValueRef whole = LLVMBuildMul(f->b, blocks.i, size, "");
    LLVMBasicBlockRef end = be_new_block(f, "sums");
    for (uint32_t u = 0; u + 1 < unroll; u++) {
        LLVMValueRef column = LLVMBuildAdd(f->b, whole, be_size(f->e, u), "");
        LLVMBasicBlockRef more = be_new_block(f, "column");
        LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntULT, column, k->cols, ""), more, end);
        LLVMPositionBuilderAtEnd(f->b, more);
        add_column(k, u % k->s->chains, column);
    }
    LLVMBuildBr(f->b, end);
    LLVMMoveBasicBlockAfter(end, LLVMGetInsertBlock(f->b));
    LLVMPositionBuilderAtEnd(f->b, end);
}

/* ---- mask ---- */

typedef struct Members { Kernel *k; uint32_t chain; LLVMValueRef base; } Members;

static void member_column(Fn *f, LLVMValueRef bit, void *context)
{
    const Members *m = context;
    add_column(m->k, m->chain, m->base ? LLVMBuildOr(f->b, m->base, bit, "") : bit);
}

/* The members in one word, chain after chain: the order within each chain is what the IR fixes. */
static void word_columns(Kernel *k, LLVMValueRef word, LLVMValueRef base)
{
    Fn *f = &k->f;
    uint32_t walks = chain_is_computed(k) ? 1 : k->s->chains;
    for (uint32_t c = 0; c < walks; c++) {
        Members m = {k, c, base};
        be_walk_word(f, be_word_residue(f, word, walks, c), member_column, &m);
    }
}

static void mask_columns(Kernel *k)
{
    Fn *f = &k->f;
    uint32_t cols = k->s->weights.cols;
    if (cols == 0)                                /* the empty set has no word */
        return;
    if (cols <= 64) {
        word_columns(k, k->word ? k->word : be_set_word(f, k->set, be_size(f->e, 0)), NULL);
        return;
    }
    Loop over = be_loop(f, ((uint64_t)cols + 63) / 64, 1, "word");
    word_columns(k, be_set_word(f, k->set, over.i), LLVMBuildShl(f->b, over.i, be_size(f->e, 6), ""));
    be_loop_end(f, &over);
}

/* ---- list ---- */

uint32_t be_list_stride(uint32_t cols, uint32_t chains)
{
    return (cols + chains - 1) / chains + AHEAD;
}

uint64_t be_list_bytes(uint32_t cols, uint32_t chains)
{
    return 4 * ((uint64_t)be_list_stride(cols, chains) * chains + chains);
}

typedef struct Maker { LLVMValueRef list, n; } Maker;

static void append(Fn *f, LLVMValueRef index, void *context)
{
    const Maker *m = context;
    LLVMValueRef n = LLVMBuildLoad2(f->b, f->e->size, m->n, "");
    be_store(f, type_int(32), LLVMBuildIntCast2(f->b, index, f->e->i32, 0, ""), m->list, n, 1);
    LLVMBuildStore(f->b, LLVMBuildAdd(f->b, n, be_size(f->e, 1), ""), m->n);
}

/*   for each chain c:  n = 0; for k in the set, k mod c' = c:  list[c][n++] = k;   list[c][n … n + AHEAD) = 0;   counts[c] = n   */
LLVMValueRef be_list_maker(Fn *caller, uint32_t cols, uint32_t chains)
{
    Emitter *e = caller->e;
    Fn at = *caller, *f = &at;
    char *name = str_printf(e->arena, "cnet%s%s.list.%u.c%u", *f->level->name ? "." : "", f->level->name, cols, chains);
    LLVMTypeRef type = LLVMFunctionType(e->void_, (LLVMTypeRef[]){e->ptr, e->ptr}, 2, 0);
    if (LLVMGetNamedFunction(e->module, name))
        return LLVMGetNamedFunction(e->module, name);
    f->fn = LLVMAddFunction(e->module, name, type);
    Resume here = be_function_begin(f);
    LLVMValueRef words = LLVMGetParam(f->fn, 0), list = LLVMGetParam(f->fn, 1);
    uint32_t stride = be_list_stride(cols, chains);
    for (uint32_t c = 0; c < chains; c++) {
        Maker m = {be_at_const(f, list, 4 * (uint64_t)c * stride), be_alloca(f, e->size, "n")};
        LLVMBuildStore(f->b, be_size(e, 0), m.n);
        be_walk_set_residue(f, words, cols, chains, c, append, &m);
        LLVMValueRef n = LLVMBuildLoad2(f->b, e->size, m.n, "");
        for (uint32_t i = 0; i < AHEAD; i++)
            be_store(f, type_int(32), LLVMConstInt(e->i32, 0, 0), m.list, LLVMBuildAdd(f->b, n, be_size(e, i), ""), 1);
        be_store(f, type_int(32), LLVMBuildIntCast2(f->b, n, e->i32, 0, ""), list, be_size(e, (uint64_t)chains * stride + c), 1);
    }
    LLVMBuildRetVoid(f->b);
    LLVMValueRef fn = f->fn;
    be_function_end(f, here);
    return fn;
}

static LLVMValueRef listed(Kernel *k, LLVMValueRef at)
{
    Fn *f = &k->f;
    return LLVMBuildZExtOrBitCast(f->b, be_load(f, type_int(32), k->set, at, 1), f->e->size, "");
}

static void prefetch_column(Kernel *k, LLVMValueRef column)
{
    Fn *f = &k->f;
    uint32_t bytes = type_element_bytes(k->s->weights.element);
    LLVMValueRef first = LLVMBuildMul(f->b, first_weight(k, column), be_size(f->e, bytes), ""), at = be_at(f, k->w, first);
    for (uint32_t line = 0; line < k->t * k->lanes * bytes; line += LINE) {
        be_prefetch(f, at, be_size(f->e, line), 1);
    }
}

static void list_columns(Kernel *k)
{
    Fn *f = &k->f;
    uint32_t stride = be_list_stride(k->s->weights.cols, k->s->chains);
    for (uint32_t c = 0; c < k->s->chains; c++) {
        LLVMValueRef n = listed(k, be_size(f->e, (uint64_t)k->s->chains * stride + c)), first = be_size(f->e, (uint64_t)c * stride);
        DynLoop loop = be_dyn_loop(f, n, "listed");
        LLVMValueRef at = LLVMBuildAdd(f->b, loop.i, first, "");
        prefetch_column(k, listed(k, LLVMBuildAdd(f->b, at, be_size(f->e, AHEAD), "")));
        add_column(k, c, listed(k, at));
        be_dyn_loop_end(f, &loop);
    }
}

/* ---- branch ---- */

static void column_if_active(Kernel *k, uint32_t chain, LLVMValueRef column)
{
    Fn *f = &k->f;
    LLVMValueRef word = k->word;
    if (!word)
        word = be_set_word(f, k->set, LLVMBuildLShr(f->b, column, be_size(f->e, 6), ""));
    LLVMValueRef shift = LLVMBuildAnd(f->b, LLVMBuildIntCast2(f->b, column, f->e->i64, 0, ""), LLVMConstInt(f->e->i64, 63, 0), "");
    LLVMValueRef bit = LLVMBuildTrunc(f->b, LLVMBuildLShr(f->b, word, shift, ""), f->e->i1, "");
    LLVMBasicBlockRef active = be_new_block(f, "active"), next = be_new_block(f, "next");
    LLVMBuildCondBr(f->b, bit, active, next);
    LLVMPositionBuilderAtEnd(f->b, active);
    add_column(k, chain, column);
    LLVMBuildBr(f->b, next);
    LLVMPositionBuilderAtEnd(f->b, next);
}

static void branch_columns(Kernel *k)
{
    Fn *f = &k->f;
    uint32_t chains = k->s->chains, cols = k->s->weights.cols, whole = cols / chains * chains;
    if (whole > 0) {
        Loop loop = be_loop(f, whole, chains, "columns");
        for (uint32_t c = 0; c < chains; c++)
            column_if_active(k, c, LLVMBuildAdd(f->b, loop.i, be_size(f->e, c), ""));
        be_loop_end(f, &loop);
    }
    for (uint32_t c = whole; c < cols; c++)
        column_if_active(k, c - whole, be_size(f->e, c));
}

static void columns(Kernel *k)
{
    switch (k->s->walk) {
    case WALK_dense:
        all_columns(k);
        break;
    case WALK_mask:
        mask_columns(k);
        break;
    case WALK_list:
        list_columns(k);
        break;
    case WALK_branch:
        branch_columns(k);
        break;
    case WALK_gather:
        ICE("gathered columns are not walked");
    }
}

/* ---- the sums of a group ---- */

static void begin_sums(Kernel *k, LLVMValueRef row)
{
    Fn *f = &k->f;
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, row, be_size(f->e, (uint64_t)v * k->lanes), "");
        LLVMBuildStore(f->b, be_load(f, k->s->sum, k->b, at, k->lanes), slot(k, 0, v));
        for (uint32_t c = 1; c < k->s->chains; c++)
            LLVMBuildStore(f->b, be_identity(f, k->s->sum, k->lanes), slot(k, c, v));
    }
}

static LLVMValueRef end_sum(Kernel *k, uint32_t v)
{
    LLVMValueRef part[IR_MAX_CHAINS];
    for (uint32_t c = 0; c < k->s->chains; c++)
        part[c] = LLVMBuildLoad2(k->f.b, k->vector, slot(k, c, v), "");
    return be_combine(&k->f, k->s->sum, part, k->s->chains);
}

/* Bits of vectors, gathered to as few integers as hold them and stored: whole bytes of the set. */
static void store_bits(Kernel *k, Bits *bits)
{
    Fn *f = &k->f;
    uint32_t whole = 8;
    while (whole < bits->n)
        whole *= 2;
    k->out_word = bits->word;
    if (k->bits) {
        LLVMValueRef at = LLVMBuildAdd(f->b, LLVMBuildLShr(f->b, k->row, be_size(f->e, 3), ""), be_size(f->e, bits->done / 8), "");
        LLVMTypeRef type = LLVMIntTypeInContext(f->e->c, whole);
        LLVMValueRef stored = LLVMBuildStore(f->b, whole == 64 ? bits->word : LLVMBuildTrunc(f->b, bits->word, type, ""), be_at(f, k->bits, at));
        LLVMSetAlignment(stored, 1);
    }
    bits->done += bits->n;
    bits->n = 0;
    bits->word = NULL;
}

static void add_bits(Kernel *k, Bits *bits, LLVMValueRef active, uint32_t left)
{
    Fn *f = &k->f;
    LLVMTypeRef type = LLVMIntTypeInContext(f->e->c, k->lanes);
    LLVMValueRef some = k->lanes > 1 ? LLVMBuildBitCast(f->b, active, type, "") : active;
    if (k->lanes < 64)
        some = LLVMBuildZExt(f->b, some, f->e->i64, "");
    if (bits->n > 0)
        some = LLVMBuildOr(f->b, bits->word, LLVMBuildShl(f->b, some, LLVMConstInt(f->e->i64, bits->n, 0), ""), "");
    bits->word = some;
    bits->n += k->lanes;
    /* Full, or what follows would not leave a power of two of bytes. */
    uint32_t n = bits->n;
    if (!k->bits && left > 0)
        return;                                   /* one word, as a value */
    if (n == 64 || left == 0 || ((n == 8 || n == 16 || n == 32) && left * k->lanes < n))
        store_bits(k, bits);
}

/* One comparison decides value and activity. */
void be_end_vector(Kernel *k, LLVMValueRef row, uint32_t v, LLVMValueRef sum, Bits *bits)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    uint32_t written = be_written_rows(&s->weights), n = k->lanes, first = v * k->lanes;
    if (s->relu) {
        LLVMValueRef active = be_activity(f, s->sum, ACTIVITY_notle0, sum, k->lanes);
        sum = LLVMBuildSelect(f->b, active, sum, be_zero(f->e, s->sum, k->lanes), "");
        if (s->bits)
            add_bits(k, bits, active, k->t - 1 - v);
    }
    if (written < s->weights.tile)                /* the only group */
        n = first >= written ? 0 : written - first < n ? written - first : n;
    be_store_part(f, s->sum, sum, k->y, LLVMBuildAdd(f->b, row, be_size(f->e, first), ""), k->lanes, n);
}

static void end_sums(Kernel *k, LLVMValueRef row)
{
    Bits bits = {0};
    for (uint32_t v = 0; v < k->t; v++)
        be_end_vector(k, row, v, end_sum(k, v), &bits);
}

static void group_of_rows(Kernel *k)
{
    begin_sums(k, k->row);
    columns(k);
    end_sums(k, k->row);
}

static void make_sums(Kernel *k)
{
    Fn *f = &k->f;
    uint32_t n = k->s->chains * k->t;
    k->vector = be_vector_type(be_scalar_type(f->e, k->s->sum), k->lanes);
    if (chain_is_computed(k)) {
        k->acc[0] = be_alloca(f, LLVMArrayType2(k->vector, n), "sums");
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        k->acc[i] = be_alloca(f, k->vector, "acc");
}

void be_panel_kernel(Kernel *k)
{
    Fn *f = &k->f;
    Grouping g = be_grouping(f->level, k->s);
    if (be_is_narrow(f->level, k->s)) {
        Bits bits = {0};
        LLVMValueRef sum = be_narrow_sums(k);
        k->row = be_size(f->e, 0);
        k->lanes = k->s->weights.tile;
        k->t = 1;
        be_end_vector(k, k->row, 0, sum, &bits);
        return;
    }
    k->lanes = g.lanes;
    k->t = g.t;
    make_sums(k);
    if (g.groups == 1) {
        k->row = be_size(f->e, 0);
        group_of_rows(k);
        return;
    }
    uint32_t vectors = k->s->weights.tile / g.lanes;
    Loop loop = be_loop(f, g.groups, 1, "rows");
    k->row = LLVMBuildMul(f->b, loop.i, be_size(f->e, (uint64_t)k->t * k->lanes), "");
    if (vectors % k->t) {
        LLVMValueRef last = be_size(f->e, (uint64_t)(vectors - k->t) * k->lanes);
        LLVMValueRef over = LLVMBuildICmp(f->b, LLVMIntUGT, k->row, last, "");
        k->row = LLVMBuildSelect(f->b, over, last, k->row, "");
    }
    group_of_rows(k);
    be_loop_end(f, &loop);
}

/* ---- one row ---- */

void be_panel_row(Kernel *k, LLVMValueRef r)
{
    Fn *f = &k->f;
    const Layout *w = &k->s->weights;
    if (!k->vector) {
        k->lanes = k->t = 1;
        make_sums(k);
    }
    LLVMValueRef tile = LLVMBuildUDiv(f->b, r, be_size(f->e, w->tile), "");
    LLVMValueRef within = LLVMBuildURem(f->b, r, be_size(f->e, w->tile), "");
    k->row = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, tile, be_size(f->e, (uint64_t)w->tile * w->cols), ""), within, "");
    begin_sums(k, r);
    columns(k);
    end_sums(k, r);
}
