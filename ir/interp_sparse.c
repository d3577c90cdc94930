/* interp_sparse.c — an affine without its zero weights (zeros = skip).
 *
 * In: a matrix, compressed once; a sum to make, perhaps of some columns only. Out: the sums of interp_sums.c less the terms whose
 * weight is zero: not multiplied, not added, not counted. The one idea: column after column, a term goes to the sum of its
 * row, so each row gets its terms in ascending columns, chain by chain, as if it were summed alone; and what is
 * compressed is read in the order in which it lies.
 *
 *      for j in columns:  for (r, w) in column j:  acc[j mod c][r] += w * x[j]
 */
#include "interp_sums.h"

#include <string.h>

/* Column j has the entries first[j] … first[j+1] - 1, rows ascending. Element i of a stack has the columns from i * cols on. */
struct Sparse {
    uint64_t *first;
    uint32_t *row;
    uint8_t *weight;              /* elements of the matrix's type */
    uint32_t cols;
};

/* ---- compressing ------------------------------------------------------------------------------------------------------- */

static bool is_zero(Type t, const uint8_t *at)
{
    if (t.elem == ELEM_F32)
        return *(const f32u *)at == 0;
    return t.elem == ELEM_F64 ? *(const f64u *)at == 0 : int_is_zero(t.n, at);
}

/* One sweep over a matrix, whose columns come from `base` on, in the order of its memory; rows ascend within a column either way.
 * `fill` false: counts the entries of column c into first[c + 1]; true: the next entry of column c goes to first[c]++. */
static void sweep(const Const *W, Sparse *w, uint64_t base, bool fill)
{
    bool along_rows = W->stride[0] >= W->stride[1];
    uint32_t size = type_element_bytes(W->type), outer = along_rows ? 0 : 1, inner = 1 - outer;
    for (uint32_t o = 0; o < W->type.dim[outer]; o++) {
        const uint8_t *at = W->data + (int64_t)o * W->stride[outer] * (int64_t)size;
        for (uint32_t i = 0; i < W->type.dim[inner]; i++, at += W->stride[inner] * (int64_t)size) {
            uint64_t r = along_rows ? o : i, c = base + (along_rows ? i : o);
            if (is_zero(W->type, at))
                continue;
            if (!fill) {
                w->first[c + 1]++;
                continue;
            }
            uint64_t k = w->first[c]++;
            w->row[k] = (uint32_t)r;
            memcpy(w->weight + k * size, at, size);
        }
    }
}

/* A matrix, or all of a stack. */
static void sweep_all(const Const *W, Sparse *w, bool fill)
{
    if (W->kind != CONST_STACK) {
        sweep(W, w, 0, fill);
        return;
    }
    for (uint32_t i = 0; i < W->type.dim[0]; i++) {
        Const slot = const_slot(W, i);
        sweep(&slot, w, (uint64_t)i * w->cols, fill);
    }
}

const Sparse *sparse_new(Arena *arena, const Const *W)
{
    Sparse *w = NEW(arena, Sparse);
    w->cols = W->type.dim[W->type.rank - 1];
    uint64_t cols = (uint64_t)w->cols * (W->kind == CONST_STACK ? W->type.dim[0] : 1);
    w->first = NEW_ARRAY(arena, cols + 1, uint64_t);
    sweep_all(W, w, false);
    for (uint64_t c = 0; c < cols; c++)
        w->first[c + 1] += w->first[c];
    uint64_t n = w->first[cols];
    w->row = NEW_ARRAY(arena, n, uint32_t);
    w->weight = arena_array(arena, n, type_element_bytes(W->type));
    sweep_all(W, w, true);
    memmove(w->first + 1, w->first, cols * sizeof *w->first);    /* each has moved on to where the next begins */
    w->first[0] = 0;
    return w;
}

uint64_t sparse_bytes(uint64_t rows, uint32_t chains)
{
    return saturating_mul(rows, chains * sizeof(double));
}

/* ---- floats ---------------------------------------------------------------------------------------------------------------- */

#define SUM_SPARSE(NAME, T, TU, W, START, TERM, TARGET) \
    TARGET static void NAME(const Sum *s, const Sparse *w) \
    { \
        size_t rows = s->n_rows; \
        T *acc = s->sums;          /* of chain c at acc + c * rows */ \
        const TU *x = (const TU *)s->x; \
        const W *weight = (const W *)w->weight; \
        for (uint32_t l = 0; l < rows; l++) \
            acc[l] = START(s, l); \
        for (size_t l = rows; l < s->chains * rows; l++) \
            acc[l] = (T)-0.0; \
        for (uint32_t i = 0; i < s->n_cols; i++) { \
            uint32_t j = col_at(s, i); \
            T value = x[j], *a = acc + (j & (s->chains - 1)) * rows; \
            for (uint64_t k = w->first[j], end = w->first[j + 1]; k < end; k++) \
                a[w->row[k]] = TERM(a[w->row[k]], (T)weight[k], value); \
        } \
        for (uint32_t half = s->chains / 2; half >= 1; half /= 2) \
            for (size_t l = 0; l < half * rows; l++) \
                acc[l] = acc[l] + acc[l + half * rows]; \
        memcpy(s->y, acc, rows * sizeof *acc); \
    }

#define SUMS_SPARSE(name, TERM32, TERM64, TARGET) \
    SUM_SPARSE(name##_f32, float, f32u, float, start_f32, TERM32, TARGET) \
    SUM_SPARSE(name##_f64, double, f64u, double, start_f64, TERM64, TARGET) \
    SUM_SPARSE(name##_mixed, double, f64u, float, start_f64, TERM64, TARGET)

SUMS_SPARSE(off, TERM_off, TERM_off, )
SUMS_SPARSE(fma, TERM_fma_f32, TERM_fma_f64, )
#if defined(__x86_64__)
SUMS_SPARSE(fast, TERM_fma_f32, TERM_fma_f64, __attribute__((target("avx2,fma"))))
#endif

typedef void SumSparse(const Sum *s, const Sparse *w);

/* By type: all f32; all f64; f32 weights for f64. */
static SumSparse *kernel_for(const Interp *in, const Sum *s)
{
    static SumSparse *const off[3] = {off_f32, off_f64, off_mixed}, *const fma[3] = {fma_f32, fma_f64, fma_mixed};
    int types = s->wide.elem == ELEM_F32 ? 0 : s->narrow.elem == ELEM_F64 ? 1 : 2;
#if defined(__x86_64__)
    static SumSparse *const fast[3] = {fast_f32, fast_f64, fast_mixed};
    if (s->fma && in->fast_fma)
        return fast[types];
#endif
    (void)in;
    return (s->fma ? fma : off)[types];
}

/* ---- integers ---------------------------------------------------------------------------------------------------------------- */

static void sum_integers(const Sum *s, const Sparse *w)
{
    uint32_t bits = s->wide.n, size = type_element_bytes(s->wide);
    uint64_t product[IR_MAX_INT_BITS / 64];
    for (uint32_t r = 0; r < s->n_rows; r++) {
        if (s->bias)
            memcpy(s->y + (size_t)r * size, s->bias + (int64_t)r * s->bias_step * size, size);
        else
            memset(s->y + (size_t)r * size, 0, size);
    }
    for (uint32_t i = 0; i < s->n_cols; i++) {
        uint32_t j = col_at(s, i);
        for (uint64_t k = w->first[j]; k < w->first[j + 1]; k++) {
            uint8_t *y = s->y + (size_t)w->row[k] * size;
            int_mul(bits, (uint8_t *)product, w->weight + k * size, s->x + (size_t)j * size);
            int_add(bits, y, y, (const uint8_t *)product);
        }
    }
}

/* ---- counting ------------------------------------------------------------------------------------------------------------------ */

/* Each row for itself: which chains it uses depends on where its weights are. */
static void count_chains(Interp *in, const Sum *s, const Sparse *w)
{
    uint32_t *used = s->sums;
    memset(used, 0, s->n_rows * sizeof *used);
    for (uint32_t i = 0; i < s->n_cols; i++) {
        uint32_t j = col_at(s, i);
        for (uint64_t k = w->first[j]; k < w->first[j + 1]; k++)
            used[w->row[k]] |= 1u << (j & (s->chains - 1));
    }
    for (uint32_t r = 0; r < s->n_rows; r++) {
        uint32_t first, adds = combining_adds(used[r], s->chains, &first);
        in->counted.add += adds;
        in->counted.add -= first;
    }
}

uint64_t sum_sparse(Interp *in, const Sum *s, const Sparse *all, uint32_t slot)
{
    uint64_t terms = 0;
    Sparse here = *all, *w = &here;
    w->first += (uint64_t)slot * all->cols;
    for (uint32_t i = 0; i < s->n_cols; i++)
        terms += w->first[col_at(s, i) + 1] - w->first[col_at(s, i)];
    if (type_is_float(s->wide))
        kernel_for(in, s)(s, w);
    else
        sum_integers(s, w);
    in->counted.mul += terms;
    in->counted.add += terms;
    if (s->chains > 1)
        count_chains(in, s, w);
    return terms;
}
