/* interp_sums.c — sums of products: affine, matmul, matmix, dot.
 *
 * In: weights (any strides), a vector, a bias, perhaps lists of rows and columns. Out: y[r] = b[r] + sum of w[r,c]*x[c],
 * each row's additions in exactly the order that ops.def and ir/README.md fix. The one idea: a row's order leaves no
 * freedom, but rows do not depend on each other, so eight (or, in a transposed view, hundreds) are summed side by side.
 *
 *      chain 0 starts at the bias (-0 read as +0; +0 without one), chain i at -0.0, which any first term replaces:
 *      so a chain's first term is a move, combining chains are additions, and rows x columns additions are executed.
 */
#include "interp_sums.h"

#include <string.h>

enum { LANES = 8, STRIP = 16, BLOCK = 2048 };

/* ---- counting ----------------------------------------------------------------------------------------------------------- */

/* The chains that have received something are added pairwise; moving one into an empty one is no addition. *first is the
 * number of chains started by a move. */
uint32_t combining_adds(uint32_t used, uint32_t chains, uint32_t *first)
{
    uint32_t adds = 0;
    used |= 1;
    *first = (uint32_t)__builtin_popcount(used) - 1;
    for (uint32_t half = chains / 2; half >= 1; half /= 2) {
        uint32_t low = used & ((1u << half) - 1), high = used >> half;
        adds += (uint32_t)__builtin_popcount(low & high);
        used = low | high;
    }
    return adds;
}

/* Chains that receive a term. */
static uint32_t used_chains(const Sum *s)
{
    uint32_t used = 0, n = s->cols || s->n_cols < s->chains ? s->n_cols : s->chains;
    for (uint32_t i = 0; i < n; i++)
        used |= 1u << (col_at(s, i) & (s->chains - 1));
    return used;
}

/* `rows` rows were summed: a product for each column, an addition for each term but chains' first ones, the combination. */
static void count_rows(Interp *in, const Sum *s, uint32_t rows)
{
    uint32_t first, adds = combining_adds(used_chains(s), s->chains, &first);
    in->counted.mul += (uint64_t)rows * s->n_cols;
    in->counted.add += (uint64_t)rows * (s->n_cols - first + adds);
}

/* ---- floats ------------------------------------------------------------------------------------------------------------- */

/* Rows that lie apart: eight at once, written out so that their sums stay in registers. There may be fewer (the last is
 * repeated). Sums go to y. */
#define SUM_APART(NAME, T, TU, WU, START, TERM, TARGET) \
    TARGET static void NAME(const Sum *s, uint32_t from, uint32_t rows, T *y) \
    { \
        T acc[IR_MAX_CHAINS][LANES]; \
        const WU *lane[LANES]; \
        const TU *x = (const TU *)s->x; \
        for (uint32_t l = 0; l < LANES; l++) { \
            uint32_t row = row_at(s, from + (l < rows ? l : rows - 1)); \
            lane[l] = (const WU *)s->w + (int64_t)row * s->row_step; \
            acc[0][l] = START(s, row); \
            for (uint32_t c = 1; c < s->chains; c++) \
                acc[c][l] = (T)-0.0; \
        } \
        if (s->chains == 1) { \
            T a0 = acc[0][0], a1 = acc[0][1], a2 = acc[0][2], a3 = acc[0][3]; \
            T a4 = acc[0][4], a5 = acc[0][5], a6 = acc[0][6], a7 = acc[0][7]; \
            for (uint32_t i = 0; i < s->n_cols; i++) { \
                uint32_t j = col_at(s, i); \
                int64_t at = (int64_t)j * s->col_step; \
                T value = x[j]; \
                a0 = TERM(a0, (T)lane[0][at], value), a1 = TERM(a1, (T)lane[1][at], value); \
                a2 = TERM(a2, (T)lane[2][at], value), a3 = TERM(a3, (T)lane[3][at], value); \
                a4 = TERM(a4, (T)lane[4][at], value), a5 = TERM(a5, (T)lane[5][at], value); \
                a6 = TERM(a6, (T)lane[6][at], value), a7 = TERM(a7, (T)lane[7][at], value); \
            } \
            memcpy(y, (T[LANES]){a0, a1, a2, a3, a4, a5, a6, a7}, LANES * sizeof(T)); \
            return; \
        } \
        for (uint32_t i = 0; i < s->n_cols; i++) { \
            uint32_t j = col_at(s, i); \
            int64_t at = (int64_t)j * s->col_step; \
            T value = x[j], *a = acc[j & (s->chains - 1)]; \
            a[0] = TERM(a[0], (T)lane[0][at], value), a[1] = TERM(a[1], (T)lane[1][at], value); \
            a[2] = TERM(a[2], (T)lane[2][at], value), a[3] = TERM(a[3], (T)lane[3][at], value); \
            a[4] = TERM(a[4], (T)lane[4][at], value), a[5] = TERM(a[5], (T)lane[5][at], value); \
            a[6] = TERM(a[6], (T)lane[6][at], value), a[7] = TERM(a[7], (T)lane[7][at], value); \
        } \
        for (uint32_t half = s->chains / 2; half >= 1; half /= 2) \
            for (uint32_t c = 0; c < half; c++) \
                for (uint32_t l = 0; l < LANES; l++) \
                    acc[c][l] = acc[c][l] + acc[c + half][l]; \
        memcpy(y, acc[0], sizeof acc[0]); \
    }

/* Rows that are neighbours in memory, as in a transposed view: up to BLOCK at once (a multiple of STRIP), column after
 * column, so that memory is read in order. A strip of weights is copied first: it cannot overlap the sums then, and the
 * loop over it becomes vector code. */
#define SUM_TOGETHER(NAME, T, TU, W, WU, START, TERM, TARGET) \
    TARGET static void NAME(const Sum *s, uint32_t from, uint32_t rows, T *y) \
    { \
        T *acc = s->sums;          /* of chain c at acc + c * rows; those of chain 0 stay there */ \
        const TU *x = (const TU *)s->x; \
        (void)y; \
        for (uint32_t l = 0; l < rows; l++) \
            acc[l] = START(s, from + l); \
        for (uint32_t l = rows; l < s->chains * rows; l++) \
            acc[l] = (T)-0.0; \
        for (uint32_t i = 0; i < s->n_cols; i++) { \
            uint32_t j = col_at(s, i); \
            const WU *column = (const WU *)s->w + from + (int64_t)j * s->col_step; \
            T value = x[j], *a = acc + (j & (s->chains - 1)) * rows; \
            for (uint32_t l = 0; l < rows; l += STRIP, a += STRIP) { \
                W w[STRIP]; \
                memcpy(w, column + l, sizeof w); \
                for (uint32_t k = 0; k < STRIP; k++) \
                    a[k] = TERM(a[k], (T)w[k], value); \
            } \
        } \
        for (uint32_t half = s->chains / 2; half >= 1; half /= 2) \
            for (uint32_t l = 0; l < half * rows; l++) \
                acc[l] = acc[l] + acc[l + half * rows]; \
    }

typedef void SumF32(const Sum *s, uint32_t from, uint32_t rows, float *y);
typedef void SumF64(const Sum *s, uint32_t from, uint32_t rows, double *y);

#define SUMS(name, TERM32, TERM64, TARGET) \
    SUM_APART(name##_f32_apart, float, f32u, f32u, start_f32, TERM32, TARGET) \
    SUM_APART(name##_f64_apart, double, f64u, f64u, start_f64, TERM64, TARGET) \
    SUM_APART(name##_mixed_apart, double, f64u, f32u, start_f64, TERM64, TARGET) \
    SUM_TOGETHER(name##_f32_together, float, f32u, float, f32u, start_f32, TERM32, TARGET) \
    SUM_TOGETHER(name##_f64_together, double, f64u, double, f64u, start_f64, TERM64, TARGET) \
    SUM_TOGETHER(name##_mixed_together, double, f64u, float, f32u, start_f64, TERM64, TARGET)

SUMS(off, TERM_off, TERM_off, )
SUMS(fma, TERM_fma_f32, TERM_fma_f64, )

/* Fused terms by the processor's instruction instead of the library's function: same bits, forty times as fast. */
#if defined(__x86_64__)
SUMS(fast, TERM_fma_f32, TERM_fma_f64, __attribute__((target("avx2,fma"))))
#endif

/* The functions for a kind of term: [weights narrower than x][rows together]. */
typedef struct Kernels { SumF32 *f32[2]; SumF64 *f64[2][2]; } Kernels;
#define KERNELS(name) \
    {{name##_f32_apart, name##_f32_together}, \
     {{name##_f64_apart, name##_f64_together}, {name##_mixed_apart, name##_mixed_together}}}

static const Kernels *kernels_for(const Interp *in, const Sum *s)
{
    static const Kernels off = KERNELS(off), fma = KERNELS(fma);
#if defined(__x86_64__)
    static const Kernels fast = KERNELS(fast);
    if (s->fma && in->fast_fma)
        return &fast;
#endif
    (void)in;
    return s->fma ? &fma : &off;
}

static void sum_floats(Interp *in, const Sum *s)
{
    const Kernels *kernels = kernels_for(in, s);
    bool mixed = s->wide.elem == ELEM_F64 && s->narrow.elem == ELEM_F32;
    uint32_t rows;
    for (uint32_t from = 0; from < s->n_rows; from += rows) {
        uint32_t left = s->n_rows - from;
        bool together = s->row_step == 1 && !s->rows && left >= STRIP;
        rows = together ? left / STRIP * STRIP : left;
        rows = rows < (together ? BLOCK : LANES) ? rows : together ? BLOCK : LANES;
        float y32[LANES];
        double y64[LANES];
        if (s->wide.elem == ELEM_F32)
            kernels->f32[together](s, from, rows, y32);
        else
            kernels->f64[mixed][together](s, from, rows, y64);
        const float *from32 = together ? s->sums : y32;
        const double *from64 = together ? s->sums : y64;
        for (uint32_t l = 0; l < rows; l++) {
            if (s->wide.elem == ELEM_F32)
                ((f32u *)s->y)[row_at(s, from + l)] = from32[l];
            else
                ((f64u *)s->y)[row_at(s, from + l)] = from64[l];
        }
        count_rows(in, s, rows);
    }
}

/* ---- integers: the order does not matter modulo 2^bits ------------------------------------------------------------------ */

static void sum_narrow_row(const Sum *s, uint32_t row, uint8_t *y)
{
    uint32_t bits = s->wide.n, size = type_element_bytes(s->wide);
    uint64_t acc = s->bias ? (uint64_t)int_load(bits, s->bias + (int64_t)row * s->bias_step * size) : 0;
    for (uint32_t i = 0; i < s->n_cols; i++) {
        int64_t j = col_at(s, i);
        acc += (uint64_t)int_load(bits, s->w + (row * s->row_step + j * s->col_step) * size) *
               (uint64_t)int_load(bits, s->x + j * size);
    }
    int_store(bits, y, (int64_t)acc);
}

static void sum_wide_row(const Sum *s, uint32_t row, uint8_t *y)
{
    uint32_t bits = s->wide.n, size = type_element_bytes(s->wide);
    uint64_t product[IR_MAX_INT_BITS / 64];
    if (s->bias)
        memcpy(y, s->bias + (int64_t)row * s->bias_step * size, size);
    else
        memset(y, 0, size);
    for (uint32_t i = 0; i < s->n_cols; i++) {
        int64_t j = col_at(s, i);
        int_mul(bits, (uint8_t *)product, s->w + (row * s->row_step + j * s->col_step) * size, s->x + j * size);
        int_add(bits, y, y, (const uint8_t *)product);
    }
}

static void sum_integers(Interp *in, const Sum *s)
{
    uint32_t size = type_element_bytes(s->wide);
    for (uint32_t r = 0; r < s->n_rows; r++) {
        uint32_t row = row_at(s, r);
        (s->wide.n <= 64 ? sum_narrow_row : sum_wide_row)(s, row, s->y + (uint64_t)row * size);
        count_rows(in, s, 1);
    }
}

static void sum_all(Interp *in, const Sum *s)
{
    if (type_is_float(s->wide))
        sum_floats(in, s);
    else
        sum_integers(in, s);
}

/* ---- the ops ------------------------------------------------------------------------------------------------------------- */

static uint32_t chains_of(const Op *op, int attr) { return op->attr[attr].i > 1 ? (uint32_t)op->attr[attr].i : 1; }

uint64_t sums_bytes(const Op *op, Type result)
{
    if (op_skips_zeros(op))
        return sparse_bytes(type_count(result), chains_of(op, AFFINE_order));
    if (op->kind != OP_affine && op->kind != OP_matmul && op->kind != OP_matmix)
        return 0;
    uint64_t rows = op->kind == OP_matmul && result.rank == 2 ? result.dim[1] : type_count(result);
    return (op->kind == OP_matmix ? 1 : chains_of(op, 0)) * (rows < BLOCK ? rows : BLOCK) * sizeof(double);
}

/* First element of a constant, or of the element of a stack that `index` selects. */
static const uint8_t *indexed(const Const *c, const Slot *index)
{
    static const uint8_t nothing;
    if (!c->data)
        return &nothing;                     /* no elements */
    int64_t at = index ? (int64_t)slot_index(index) * c->stride[0] : 0;
    return c->data + at * (int64_t)type_element_bytes(c->type);
}

void step_affine(Interp *in, const Step *step)
{
    const Slot *x = step->operand[AFFINE_x], *y = step->result[0];
    const Slot *cols = step->operand[AFFINE_cols], *rows = step->operand[AFFINE_rows];
    const Const *W = step->cst[AFFINE_W], *b = step->cst[AFFINE_b];
    uint32_t skip = step->operand[AFFINE_i] ? 1 : 0;
    Sum s = {
        .w = indexed(W, step->operand[AFFINE_i]), .x = x->at, .y = y->at,
        .row_step = W->stride[skip], .col_step = W->stride[skip + 1],
        .n_rows = (uint32_t)y->count, .n_cols = (uint32_t)x->count,
        .chains = chains_of(step->op, AFFINE_order), .fma = step->fma,
        .wide = x->type, .narrow = W->type, .sums = in->sums,
    };
    if (b) {
        s.bias = indexed(b, step->operand[AFFINE_j]);
        s.bias_step = b->stride[step->operand[AFFINE_j] ? 1 : 0];
        s.bias_type = b->type;
    }
    if (cols) {
        s.n_cols = set_members(cols, in->cols);
        s.cols = in->cols;
    }
    if (rows) {
        s.n_rows = set_members(rows, in->rows);
        s.rows = in->rows;
        memset(y->at, 0, y->count * y->size);
    }
    if (step->sparse) {
        in->event = sum_sparse(in, &s, step->sparse, step->operand[AFFINE_i] ? slot_index(step->operand[AFFINE_i]) : 0);
        return;
    }
    in->event = (uint64_t)s.n_rows * s.n_cols;
    sum_all(in, &s);
}

/* Each row of a (or a itself, or b's columns when a is a row) is the vector of an affine whose weights are the other. */
void step_matmul(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *b = step->operand[1], *y = step->result[0];
    uint32_t k = b->type.dim[0];
    Sum s = {.n_cols = k, .chains = chains_of(step->op, 0), .fma = step->fma, .wide = a->type, .narrow = a->type, .y = y->at,
             .sums = in->sums};
    if (b->type.rank == 1) {
        s.w = a->at;
        s.x = b->at;
        s.row_step = k;
        s.col_step = 1;
        s.n_rows = a->type.dim[0];
        sum_all(in, &s);
        return;
    }
    uint32_t m = a->type.rank == 1 ? 1 : a->type.dim[0];
    s.w = b->at;
    s.row_step = 1;
    s.col_step = s.n_rows = b->type.dim[1];
    for (uint32_t i = 0; i < m; i++) {
        s.x = a->at + (uint64_t)i * k * a->size;
        s.y = y->at + (uint64_t)i * s.n_rows * y->size;
        sum_all(in, &s);
    }
}

void step_dot(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *b = step->operand[1];
    Sum s = {.w = a->at, .x = b->at, .col_step = 1, .n_rows = 1, .n_cols = (uint32_t)a->count, .chains = chains_of(step->op, 0),
             .fma = step->fma, .wide = a->type, .narrow = a->type, .y = step->result[0]->at};
    sum_all(in, &s);
}

void step_matmix(Interp *in, const Step *step)
{
    const Slot *g = step->operand[0], *y = step->result[0];
    Sum s = {.w = step->data[0], .x = g->at, .row_step = 1, .col_step = (int64_t)y->count, .n_cols = (uint32_t)g->count,
             .chains = 1, .fma = step->fma, .wide = g->type, .narrow = step->cst[0]->type, .y = y->at,
             .sums = in->sums};
    /* More elements than a u32 counts are summed in slices. */
    uint64_t done = 0, slice = UINT32_C(1) << 30;
    for (; done < y->count; done += slice) {
        s.n_rows = (uint32_t)(y->count - done < slice ? y->count - done : slice);
        s.w = step->data[0] + done * type_element_bytes(s.narrow);
        s.y = y->at + done * y->size;
        sum_all(in, &s);
    }
}
