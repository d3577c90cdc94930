/* narrow.c — layers of few rows: one vector holds the rows of several columns.
 *
 *      tile of 4 rows, vectors of 16:   w = W[0..3][k]   W[0..3][k+1]   W[0..3][k+2]   W[0..3][k+3]
 *                                       x = x[k] x 4     x[k+1] x 4     x[k+2] x 4     x[k+3] x 4
 *
 *      for k in 0, c, 2c, …:  for a in 0 … c/q-1:  acc[a] += W[column k + a q …] * x[…]       ; q columns a vector
 *      y = relu?(combine: first the vectors, then the halves of the one that is left)
 *
 * The one idea: chains(c) are c independent sums, so the columns of different chains may share a vector; with a panel's one column a
 * vector most lanes would be padding. The bytes are those of a panel, so the same weights can be walked by a mask.
 */
#include "kernel.h"

bool be_is_narrow(const Level *level, const Shape *s)
{
    return s->walk == WALK_dense && s->weights.n_tiles == 1 && s->chains > 1 && be_lanes(level, s->sum) > s->weights.tile;
}

/* q values of x from column k on, each as often as the tile has rows; beyond the last column: +0. */
static LLVMValueRef spread(Kernel *k, LLVMValueRef column, uint32_t q, uint32_t n)
{
    Fn *f = &k->f;
    uint32_t rows = k->s->weights.tile;
    LLVMValueRef x = be_load_part(f, k->s->sum, k->x, column, q, n), lane[64];
    if (q == 1)
        return be_splat(f, x, rows);
    if (rows == 1)
        return x;
    for (uint32_t i = 0; i < q * rows; i++)
        lane[i] = LLVMConstInt(f->e->i32, i / rows, 0);
    return LLVMBuildShuffleVector(f->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(lane, q * rows), "");
}

/* `n` columns (all of the chains, or what is left of them) from `column` on. */
static void add_columns(Kernel *k, LLVMValueRef column, uint32_t q, uint32_t n)
{
    Fn *f = &k->f;
    for (uint32_t a = 0; a * q < n; a++) {
        LLVMValueRef first = LLVMBuildAdd(f->b, column, be_size(f->e, (uint64_t)a * q), "");
        LLVMValueRef x = spread(k, first, q, n - a * q < q ? n - a * q : q);
        LLVMValueRef w = be_load_weights(k, LLVMBuildMul(f->b, first, be_size(f->e, k->s->weights.tile), ""), k->lanes);
        LLVMValueRef acc = LLVMBuildLoad2(f->b, k->vector, k->acc[a], "");
        LLVMBuildStore(f->b, be_term(k, acc, w, x), k->acc[a]);
    }
}

/* Chain 0 begins at the bias, the others at the identity. */
static LLVMValueRef first_sums(Kernel *k, uint32_t q)
{
    Fn *f = &k->f;
    uint32_t rows = k->s->weights.tile;
    LLVMValueRef bias = be_load(f, k->s->sum, k->b, be_size(f->e, 0), rows), rest = be_identity(f, k->s->sum, k->lanes), lane[64];
    if (q == 1)
        return bias;
    if (rows == 1)
        return LLVMBuildInsertElement(f->b, rest, bias, LLVMConstInt(f->e->i32, 0, 0), "");
    for (uint32_t i = 0; i < k->lanes; i++)
        lane[i] = i < rows ? LLVMConstInt(f->e->i32, i, 0) : LLVMGetPoison(f->e->i32);
    LLVMValueRef wide = LLVMBuildShuffleVector(f->b, bias, LLVMGetPoison(LLVMTypeOf(bias)), LLVMConstVector(lane, k->lanes), "");
    for (uint32_t i = 0; i < k->lanes; i++)
        lane[i] = LLVMConstInt(f->e->i32, i < rows ? i : k->lanes + i, 0);
    return LLVMBuildShuffleVector(f->b, wide, rest, LLVMConstVector(lane, k->lanes), "");
}

LLVMValueRef be_narrow_sums(Kernel *k)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    uint32_t rows = s->weights.tile, cols = s->weights.cols, q = be_lanes(f->level, s->sum) / rows;
    if (q > s->chains)
        q = s->chains;
    uint32_t vectors = s->chains / q, whole = cols / s->chains * s->chains;
    k->lanes = q * rows;
    k->vector = be_vector_type(be_scalar_type(f->e, s->sum), k->lanes);
    for (uint32_t a = 0; a < vectors; a++) {
        k->acc[a] = be_alloca(f, k->vector, "acc");
        LLVMBuildStore(f->b, a == 0 ? first_sums(k, q) : be_identity(f, s->sum, k->lanes), k->acc[a]);
    }
    if (whole <= 4 * s->chains) {
        for (uint32_t c = 0; c < whole; c += s->chains)
            add_columns(k, be_size(f->e, c), q, s->chains);
    } else {
        Loop loop = be_loop(f, whole, s->chains, "columns");
        add_columns(k, loop.i, q, s->chains);
        be_loop_end(f, &loop);
    }
    if (whole < cols)
        add_columns(k, be_size(f->e, whole), q, cols - whole);
    LLVMValueRef part[IR_MAX_CHAINS];
    for (uint32_t a = 0; a < vectors; a++)
        part[a] = LLVMBuildLoad2(f->b, k->vector, k->acc[a], "");
    LLVMValueRef sum = be_combine(f, s->sum, part, vectors);
    for (uint32_t half = q / 2; half >= 1; half /= 2)
        sum = be_add(f, s->sum, be_extract(f, sum, 0, half * rows), be_extract(f, sum, half * rows, half * rows));
    return sum;
}
