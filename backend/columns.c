/* columns.c — layers whose weights come from memory: whole columns, one after the other, into sums that stay in the first cache.
 *
 *      y = bias
 *      for four columns at a time:   for each vector of rows:   y += W[k0] x[k0] + W[k1] x[k1] + …       in order
 *                                                               prefetch 512 bytes ahead in each of the four
 *      y = relu?(y)
 *
 * The one idea: what counts is how memory is read. Four streams with short prefetches were read 1.2 to 1.4 times as fast as one
 * (a hardware stream ends with its page), and a column is read at once, where panels would visit its pages once for every tile;
 * loading and storing the sums costs nothing beside it. One chain: the sums are the IR's.
 */
#include "kernel.h"

enum { TOGETHER = 4, BYTES_AHEAD = 512 };         /* columns read at a time; what is prefetched in each */
_Static_assert((int)TOGETHER <= (int)LIST_PADDING, "the next columns are read from the list before it is known whether there are any");

bool be_is_long(const Level *level, const Shape *s)
{
    uint32_t lanes = be_lanes(level, s->sum);
    return s->weights.long_tile && lanes <= s->weights.tile && (s->walk == WALK_list || s->walk == WALK_dense);
}

typedef struct Group { LLVMValueRef w[TOGETHER], x[TOGETHER], next[TOGETHER]; uint32_t n; } Group;

static LLVMValueRef column_number(Kernel *k, LLVMValueRef j)
{
    Fn *f = &k->f;
    if (k->s->walk != WALK_list)
        return j;
    return LLVMBuildZExtOrBitCast(f->b, be_load(f, type_int(32), k->set, j, 1), f->e->size, "");
}

static LLVMValueRef column_start(Kernel *k, LLVMValueRef column)
{
    return LLVMBuildMul(k->f.b, column, be_size(k->f.e, k->s->weights.tile), "");
}

/* A vector's worth of lines ahead: of this column, and at its end of the one that follows in the stream. */
static void read_ahead(Kernel *k, LLVMValueRef row, LLVMValueRef column, LLVMValueRef next)
{
    Fn *f = &k->f;
    uint32_t bytes = type_element_bytes(k->s->weights.element), tile = k->s->weights.tile;
    LLVMValueRef ahead = LLVMBuildAdd(f->b, row, be_size(f->e, BYTES_AHEAD / bytes), "");
    LLVMValueRef here = LLVMBuildICmp(f->b, LLVMIntULT, ahead, be_size(f->e, tile), "");
    LLVMValueRef from = LLVMBuildSelect(f->b, here, column, LLVMBuildSub(f->b, next, be_size(f->e, tile), ""), "");
    be_prefetch(f, k->w, LLVMBuildAdd(f->b, from, ahead, ""), bytes);
}

/* y += the columns of the group. */
static void add_group(Kernel *k, const Group *g)
{
    Fn *f = &k->f;
    Loop rows = be_loop(f, k->s->weights.tile, k->lanes, "rows");
    LLVMValueRef acc = be_load(f, k->s->sum, k->y, rows.i, k->lanes);
    for (uint32_t i = 0; i < g->n; i++) {
        LLVMValueRef w = be_load_weights(k, LLVMBuildAdd(f->b, g->w[i], rows.i, ""), k->lanes);
        acc = be_term(k, acc, w, be_splat(f, g->x[i], k->lanes));
        if (g->n == TOGETHER)
            read_ahead(k, rows.i, g->w[i], g->next[i]);
    }
    be_store(f, k->s->sum, acc, k->y, rows.i, k->lanes);
    be_loop_end(f, &rows);
}

/* The columns from number j on, of those that are walked. */
static void add_columns(Kernel *k, LLVMValueRef j, uint32_t n)
{
    Fn *f = &k->f;
    Group g = {.n = n};
    for (uint32_t i = 0; i < n; i++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, j, be_size(f->e, i), ""), column = column_number(k, at);
        g.w[i] = column_start(k, column);
        g.x[i] = be_load(f, k->s->sum, k->x, column, 1);
        if (n == TOGETHER)                        /* a list goes on beyond its end: be_list_maker */
            g.next[i] = column_start(k, column_number(k, LLVMBuildAdd(f->b, at, be_size(f->e, TOGETHER), "")));
    }
    add_group(k, &g);
}

static void begin(Kernel *k)
{
    Fn *f = &k->f;
    Loop rows = be_loop(f, k->s->weights.tile, k->lanes, "bias");
    be_store(f, k->s->sum, be_load(f, k->s->sum, k->b, rows.i, k->lanes), k->y, rows.i, k->lanes);
    be_loop_end(f, &rows);
}

static void end(Kernel *k)
{
    Fn *f = &k->f;
    if (!k->s->relu)
        return;
    Loop rows = be_loop(f, k->s->weights.tile, k->lanes, "relu");
    be_store(f, k->s->sum, be_relu(f, k->s->sum, be_load(f, k->s->sum, k->y, rows.i, k->lanes), k->lanes), k->y, rows.i, k->lanes);
    be_loop_end(f, &rows);
}

void be_column_kernel(Kernel *k)
{
    Fn *f = &k->f;
    k->lanes = be_lanes(f->level, k->s->sum);
    LLVMValueRef n = k->cols, group = be_size(f->e, TOGETHER);
    if (k->s->walk == WALK_list)
        n = column_number(k, be_size(f->e, be_list_stride(k->s->weights.cols, 1)));
    begin(k);
    DynLoop loop = be_dyn_loop(f, LLVMBuildUDiv(f->b, n, group, ""), "columns");
    add_columns(k, LLVMBuildMul(f->b, loop.i, group, ""), TOGETHER);
    be_dyn_loop_end(f, &loop);
    LLVMValueRef whole = LLVMBuildMul(f->b, LLVMBuildUDiv(f->b, n, group, ""), group, "");
    DynLoop rest = be_dyn_loop(f, LLVMBuildSub(f->b, n, whole, ""), "rest");
    add_columns(k, LLVMBuildAdd(f->b, whole, rest.i, ""), 1);
    be_dyn_loop_end(f, &rest);
    end(k);
}
