/* interp_sums.h — what a sum of products is made of. Internal to ir/interp_sums.c and ir/interp_sparse.c. */
#ifndef CNET_IR_INTERP_SUMS_H
#define CNET_IR_INTERP_SUMS_H

#include "interp.h"

typedef struct Sum {
    const uint8_t *w, *x, *bias;             /* bias NULL: none */
    int64_t row_step, col_step, bias_step;   /* in elements */
    uint32_t n_rows, n_cols;                 /* how many are summed */
    const uint32_t *rows, *cols;             /* which; NULL: 0, 1, … */
    uint32_t chains;
    Type wide, narrow, bias_type;            /* elements of x and y; of w; of the bias */
    bool fma;
    uint8_t *y;                              /* element r of the result belongs to row r, or to rows[r] */
    void *sums;                              /* workspace: see sums_bytes */
} Sum;

static inline uint32_t row_at(const Sum *s, uint32_t i) { return s->rows ? s->rows[i] : i; }
static inline uint32_t col_at(const Sum *s, uint32_t i) { return s->cols ? s->cols[i] : i; }

/* Where chain 0 of a row starts: at its bias, -0 read as +0; at +0 without one. */
static inline float start_f32(const Sum *s, uint32_t row)
{
    return s->bias ? *(const f32u *)(s->bias + (int64_t)row * s->bias_step * 4) + 0.0f : 0.0f;
}

static inline double start_f64(const Sum *s, uint32_t row)
{
    if (!s->bias)
        return 0.0;
    if (s->bias_type.elem == ELEM_F32)
        return (double)*(const f32u *)(s->bias + (int64_t)row * s->bias_step * 4) + 0.0;
    return *(const f64u *)(s->bias + (int64_t)row * s->bias_step * 8) + 0.0;
}

#define TERM_off(a, w, x)     ((a) + (w) * (x))
#define TERM_fma_f32(a, w, x) __builtin_fmaf(w, x, a)
#define TERM_fma_f64(a, w, x) __builtin_fma(w, x, a)

/* What combining the chains of a row executes. Bit c of `used`: chain c has received something (chain 0 has its start). */
uint32_t combining_adds(uint32_t used, uint32_t chains, uint32_t *first);

/* All rows, without the terms whose weight is zero; of a stack, element `slot`. Returns the number of terms. */
uint64_t sum_sparse(Interp *in, const Sum *s, const Sparse *all, uint32_t slot);

#endif
