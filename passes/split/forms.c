/* forms.c — upper bounds of many linear forms over the neurons of a layer, by back-substitution.
 *
 *      Σ c[j] h[j]  <=  Σ c'[j] z[j] + c'[0]  =  Σ c''[t] h[t] + …  <=  …  <=  Σ c[t] x[t] + c[0]
 *          relu: a line above it where c[j] > 0,        z = W h + b
 *          one below it where c[j] < 0
 *
 * In: the layers below, packed: without what is off, with the lines. Out: a number for each form. The one idea: all forms that start
 * from one layer go down together, as a matrix that is multiplied by that of each layer (CROWN: Zhang et al., 1811.00866). A lower
 * bound is minus the upper bound of the negated form, so there is one direction.
 *
 * The results do not depend on the machine: sums run in the order of the rows, element by element of vectors, or in LANES partial sums;
 * nothing is contracted. So wider vectors, where the CPU has them, change no bit.
 */
#include "forms.h"

#include <math.h>
#include <string.h>

/* The same code for several CPUs, chosen when the program is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOR_WIDE_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_WIDE_VECTORS
#endif

/* Above one weight in so many, a matrix is treated as dense. */
enum { SPARSE_FROM = 8 };

/* ---- memory ---- */

static void init_layer(Arena *arena, const ChainLayer *layer, Packed *p)
{
    uint64_t rows = layer->rows, width = padded(layer->cols + 1), cells = rows * width;
    p->sparse = layer->nonzeros * SPARSE_FROM < rows * layer->cols;
    p->row = NEW_ARRAY(arena, rows, uint32_t);
    if (p->sparse) {
        p->begin = NEW_ARRAY(arena, rows, uint64_t);
        p->end = NEW_ARRAY(arena, rows, uint64_t);
        p->entry = NEW_ARRAY(arena, layer->nonzeros + rows, uint32_t);
        p->value = NEW_ARRAY(arena, layer->nonzeros + rows, double);
    } else {
        p->weight = arena_big(arena, cells * sizeof(double), 64);
    }
    uint32_t lines = padded(layer->rows + 1);
    p->up = NEW_ARRAY(arena, lines, double);
    p->low = NEW_ARRAY(arena, lines, double);
    p->offset = NEW_ARRAY(arena, lines, double);
}

void forms_init(Arena *arena, const Chain *chain, Forms *f)
{
    uint32_t widest = 0;
    *f = (Forms){.chain = chain, .layer = NEW_ARRAY(arena, chain->n_layers, Packed)};
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        init_layer(arena, &chain->layer[l], &f->layer[l]);
        widest = chain->layer[l].cols > widest ? chain->layer[l].cols : widest;
    }
    f->stride = padded(widest + 1);
    f->position = NEW_ARRAY(arena, widest, uint32_t);
    f->form = arena_big(arena, MOST_FORMS * f->stride * sizeof(double), 64);
    f->other = arena_big(arena, MOST_FORMS * f->stride * sizeof(double), 64);
    f->lo = NEW_ARRAY(arena, padded(chain->n_inputs + 1), double);
    f->hi = NEW_ARRAY(arena, padded(chain->n_inputs + 1), double);
}

void forms_set_box(Forms *f, const double *lo, const double *hi)
{
    f->lo[0] = f->hi[0] = 1;
    memcpy(f->lo + 1, lo, f->chain->n_inputs * sizeof *lo);
    memcpy(f->hi + 1, hi, f->chain->n_inputs * sizeof *hi);
}

/* ---- packing ---- */

/* The columns of layer l that are there; returns how many. */
static uint32_t number_columns(Forms *f, uint32_t l)
{
    uint32_t cols = f->chain->layer[l].cols;
    for (uint32_t c = 0; c < cols; c++)
        f->position[c] = l == 0 ? c + 1 : 0;
    if (l == 0)
        return cols;
    const Packed *before = &f->layer[l - 1];
    for (uint32_t k = 0; k < before->n; k++)
        f->position[before->row[k]] = k + 1;
    return before->n;
}

static void pack_dense(const Forms *f, uint32_t l, Packed *p, uint32_t r, uint32_t columns)
{
    const ChainLayer *layer = &f->chain->layer[l];
    const double *weight = layer->weight + (uint64_t)r * layer->cols;
    const uint32_t *column = l > 0 ? f->layer[l - 1].row : NULL;
    double *to = p->weight + (uint64_t)p->n * p->width;
    to[0] = layer->bias[r];
    for (uint32_t k = 0; k < columns; k++)
        to[1 + k] = weight[column ? column[k] : k];
    for (uint32_t k = 1 + columns; k < p->width; k++)
        to[k] = 0;
}

static uint64_t pack_sparse(const Forms *f, uint32_t l, Packed *p, uint32_t r, uint64_t n)
{
    const ChainLayer *layer = &f->chain->layer[l];
    p->begin[p->n] = n;
    p->entry[n] = 0;
    p->value[n++] = layer->bias[r];
    for (uint64_t e = layer->start[r]; e < layer->start[r + 1]; e++)
        if (f->position[layer->column[e]]) {
            p->entry[n] = f->position[layer->column[e]];
            p->value[n++] = layer->weight[(uint64_t)r * layer->cols + layer->column[e]];
        }
    return p->end[p->n] = n;
}

void forms_pack(Forms *f, uint32_t l, const uint8_t *state)
{
    const ChainLayer *layer = &f->chain->layer[l];
    Packed *p = &f->layer[l];
    uint32_t columns = number_columns(f, l);
    uint64_t n = 0;
    p->n = 0;
    p->width = padded(columns + 1);
    for (uint32_t r = 0; r < layer->rows; r++) {
        if (state[r] == STATE_OFF)
            continue;
        p->row[p->n] = r;
        if (p->sparse)
            n = pack_sparse(f, l, p, r, n);
        else
            pack_dense(f, l, p, r, columns);
        p->n++;
    }
}

void forms_drop(Forms *f, uint32_t l, const uint8_t *state)
{
    Packed *p = &f->layer[l];
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        if (state[p->row[k]] == STATE_OFF)
            continue;
        if (n < k && p->sparse) {
            p->begin[n] = p->begin[k];
            p->end[n] = p->end[k];
        } else if (n < k) {
            memcpy(p->weight + (uint64_t)n * p->width, p->weight + (uint64_t)k * p->width, p->width * sizeof(double));
        }
        p->row[n++] = p->row[k];
    }
    p->n = n;
}

/* ---- sums, of LANES partial sums each ---- */

typedef double Lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));
typedef int64_t LaneMask __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

#define LANES_AT(a, j) (*(const Lanes *)(const void *)((a) + (j)))
/* Macros, for what takes a vector by value has no one calling convention. */
#define POSITIVE(v) ((Lanes)(((v) > 0) & (LaneMask)(v)))
#define NEGATIVE(v) ((Lanes)(((v) < 0) & (LaneMask)(v)))
#define SUM_OF(s) ((((s)[0] + (s)[4]) + ((s)[1] + (s)[5])) + (((s)[2] + (s)[6]) + ((s)[3] + (s)[7])))

FOR_WIDE_VECTORS static RowSums dense_sums(const double *w, uint32_t n, const double *size, const double *lo, const double *hi)
{
    Lanes s = {0}, a = {0}, b = {0};
    for (uint32_t j = 0; j < n; j += LANES) {
        Lanes up = POSITIVE(LANES_AT(w, j)), down = NEGATIVE(LANES_AT(w, j));
        s += (up - down) * LANES_AT(size, j);
        a += up * LANES_AT(lo, j) + down * LANES_AT(hi, j);
        b += up * LANES_AT(hi, j) + down * LANES_AT(lo, j);
    }
    return (RowSums){SUM_OF(s), SUM_OF(a), SUM_OF(b)};
}

RowSums forms_row_sums(const Packed *p, uint32_t k, const double *size, const double *lo, const double *hi)
{
    RowSums sums = {0};
    if (!p->sparse)
        return dense_sums(p->weight + (uint64_t)k * p->width, p->width, size, lo, hi);
    for (uint64_t e = p->begin[k]; e < p->end[k]; e++) {
        uint32_t c = p->entry[e];
        double w = p->value[e];
        sums.size += fabs(w) * size[c];
        sums.lo += w * (w > 0 ? lo[c] : hi[c]);
        sums.hi += w * (w > 0 ? hi[c] : lo[c]);
    }
    return sums;
}

/* max Σ c x over the box. */
FOR_WIDE_VECTORS static double greatest(const double *c, uint32_t n, const double *lo, const double *hi)
{
    Lanes s = {0};
    for (uint32_t j = 0; j < n; j += LANES)
        s += POSITIVE(LANES_AT(c, j)) * LANES_AT(hi, j) + NEGATIVE(LANES_AT(c, j)) * LANES_AT(lo, j);
    return SUM_OF(s);
}

/* c := the form over z of which the lines make an upper bound of the form c over relu(z). */
FOR_WIDE_VECTORS static void relax(double *c, uint32_t n, const double *up, const double *low, const double *offset)
{
    Lanes s = {0};
    for (uint32_t j = 0; j < n; j += LANES) {
        Lanes above = POSITIVE(LANES_AT(c, j)), below = NEGATIVE(LANES_AT(c, j));
        s += above * LANES_AT(offset, j);
        *(Lanes *)(void *)(c + j) = above * LANES_AT(up, j) + below * LANES_AT(low, j);
    }
    c[0] += SUM_OF(s);
}

/* ---- forms over z become forms over what z is made of ---- */

/* Two forms at a time and four rows: each sum still runs through the rows in order. */
FOR_WIDE_VECTORS static void times_rows(const double *restrict c0, const double *restrict c1, const double *restrict w, uint32_t rows,
                                        uint32_t width, double *restrict to0, double *restrict to1)
{
    uint32_t k = 0;
    for (; k + 4 <= rows; k += 4, w += 4 * (size_t)width)
        for (uint32_t j = 0; j < width; j++) {
            double w0 = w[j], w1 = w[width + j], w2 = w[2 * (size_t)width + j], w3 = w[3 * (size_t)width + j];
            to0[j] = (((to0[j] + c0[k] * w0) + c0[k + 1] * w1) + c0[k + 2] * w2) + c0[k + 3] * w3;
            to1[j] = (((to1[j] + c1[k] * w0) + c1[k + 1] * w1) + c1[k + 2] * w2) + c1[k + 3] * w3;
        }
    for (; k < rows; k++, w += width)
        for (uint32_t j = 0; j < width; j++) {
            to0[j] += c0[k] * w[j];
            to1[j] += c1[k] * w[j];
        }
}

static void times_entries(const double *c, const Packed *p, double *to)
{
    for (uint32_t k = 0; k < p->n; k++)
        for (uint64_t e = p->begin[k]; c[k] != 0 && e < p->end[k]; e++)
            to[p->entry[e]] += c[k] * p->value[e];
}

static void substitute(Forms *f, const Packed *p, uint32_t n)
{
    size_t stride = f->stride;
    if (!p->sparse && n % 2)      /* a form of nothing, for company */
        memset(f->form + n * stride, 0, padded(p->n + 1) * sizeof(double));
    for (uint32_t i = 0; i < n + (n % 2 && !p->sparse); i++) {
        memset(f->other + i * stride, 0, p->width * sizeof(double));
        f->other[i * stride] = f->form[i * stride];
        if (p->sparse)
            times_entries(f->form + i * stride + 1, p, f->other + i * stride);
        else if (i % 2)
            times_rows(f->form + (i - 1) * stride + 1, f->form + i * stride + 1, p->weight, p->n, p->width,
                       f->other + (i - 1) * stride, f->other + i * stride);
    }
    double *swap = f->form;
    f->form = f->other;
    f->other = swap;
}

void forms_upper(Forms *f, uint32_t l, uint32_t n, double *upper)
{
    while (l-- > 0) {
        const Packed *p = &f->layer[l];
        for (uint32_t i = 0; i < n && p->relaxed; i++)
            relax(f->form + i * f->stride, padded(p->n + 1), p->up, p->low, p->offset);
        substitute(f, p, n);
    }
    for (uint32_t i = 0; i < n; i++)
        upper[i] = greatest(f->form + i * f->stride, padded(f->chain->n_inputs + 1), f->lo, f->hi);
}

/* ---- where forms come from ---- */

void forms_add(Forms *f, uint32_t i, uint32_t l, uint32_t k, double sign)
{
    const Packed *p = &f->layer[l];
    double *form = f->form + i * f->stride;
    const double *w = p->sparse ? NULL : p->weight + (uint64_t)k * p->width;
    for (uint32_t j = 0; w && j < p->width; j++)
        form[j] += sign * w[j];
    for (uint64_t e = p->sparse ? p->begin[k] : 0; p->sparse && e < p->end[k]; e++)
        form[p->entry[e]] += sign * p->value[e];
}

void forms_set(Forms *f, uint32_t i, uint32_t l, uint32_t k, double sign)
{
    memset(f->form + i * f->stride, 0, f->layer[l].width * sizeof(double));
    forms_add(f, i, l, k, sign);
}
