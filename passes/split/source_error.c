/* source_error.c — how far the network as written, as it is computed, can lie from real arithmetic where a code runs.
 *
 * In: the chain; what is off, on, unstable; the real range of each neuron. Out: by output, a bound on |source − real|. The one idea: an
 * error goes through a relu with a factor,
 *
 *      relu(z') − relu(z) = d (z' − z)         d = 1: both are positive, d = 0: neither is, else d in [0, 1]
 *
 * and where a neuron's real range stays away from 0 by more than its own error, d is known. So errors are not sizes but sums of symbols
 * e in [−1, 1], one for the rounding of each row, whose coefficients go through the layers with their signs and may cancel:
 *
 *      z' − z = Σ W (h' − h) + own e           own: γ(n + 6) (|b| + Σ |W| (|h| + |h' − h|)) + 2 (n + 1) η, see leaf.c
 *      size   = Σ |coefficient| >= |z' − z|
 *      h' − h = z' − z                         on with certainty;  0: off with certainty
 *             = (z' − z) / 2 + (size / 2) e'   else; e' joins the row's own symbol, which is nowhere else yet
 *
 * Columns that are 0 with certainty are no terms: their products do not round. What doubles round here per coefficient is at most γ(n)
 * of its terms' magnitudes, together γ(n) Σ |W| size: it is added to the row's own symbol, so it goes on like a rounding of the network.
 * Where a layer has too many weights for its symbols, each error starts anew as one symbol: a forward analysis.
 */
#include "leaf.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST_PRODUCTS = 1 << 26, MOST_COEFFICIENTS = 1 << 23 };     /* of a layer */

/* Of the values that a layer reads. */
typedef struct Values {
    uint32_t n, n_symbols;
    double *magnitude;            /* the greatest |real value| */
    double *size;                 /* |computed − real|, at most; 0: they are the same */
    double *own;                  /* of the value's own symbol */
    double *part;                 /* [n][n_symbols]: of those that came before */
} Values;

typedef struct Follower {
    Arena *arena;
    const Chain *chain;
    const Code *code;
    const double *lo, *hi;        /* by neuron */
    double unit, eta, largest;    /* of the network's type */
    bool finite;
} Follower;

/* At least a sum of terms that are not negative, of fewer than 2^22 terms. */
static double above(double sum) { return sum * (1 + 0x1p-30) + 0x1p-1000; }

static double gamma_of(double roundings, double unit)
{
    double mu = roundings * unit;
    return mu < 0.5 ? above(mu / (1 - mu)) : INFINITY;
}

static Values values_new(Arena *arena, uint32_t n, uint32_t n_symbols)
{
    return (Values){n, n_symbols, NEW_ARRAY(arena, n, double), NEW_ARRAY(arena, n, double), NEW_ARRAY(arena, n, double),
                    NEW_ARRAY(arena, (uint64_t)n * n_symbols, double)};
}

/* Inputs are what they are. */
static Values inputs(const Follower *f)
{
    Values in = values_new(f->arena, f->chain->n_inputs, 0);
    for (uint32_t i = 0; i < in.n; i++)
        in.magnitude[i] = fmax(fabs(f->code->lo[i]), fabs(f->code->hi[i]));
    return in;
}

/* What becomes of own symbols: number S + place[i] of the next layer's, for values that are off by something. */
static uint32_t number_symbols(const Values *in, uint32_t *place)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->n; i++)
        if (in->size[i] > 0)
            place[i] = n++;
    return n;
}

/* Each error one symbol, if there would be too many coefficients otherwise. */
static void limit_symbols(const ChainLayer *layer, Values *in)
{
    uint64_t symbols = (uint64_t)in->n_symbols + in->n;
    if (layer->nonzeros <= MOST_PRODUCTS / symbols && layer->rows <= MOST_COEFFICIENTS / symbols)
        return;
    in->n_symbols = 0;
    in->own = in->size;
}

/* Row r before its relu: size and symbols. */
static void sum_row(Follower *f, const ChainLayer *layer, uint32_t r, const Values *in, const uint32_t *place, Values *out)
{
    const double *w = layer->weight + (uint64_t)r * layer->cols;
    double absolute = fabs(layer->bias[r]), carried = 0, *part = out->part + (uint64_t)r * out->n_symbols, size = 0;
    uint64_t n = 0;
    for (uint64_t k = layer->start[r]; k < layer->start[r + 1]; k++) {
        uint32_t j = layer->column[k];
        const double *from = in->part + (uint64_t)j * in->n_symbols;
        double v = w[j], most = in->magnitude[j] + in->size[j];
        if (most == 0)
            continue;
        n++;
        absolute += fabs(v) * most;
        if (in->size[j] == 0)
            continue;
        carried += fabs(v) * in->size[j];
        for (uint32_t s = 0; s < in->n_symbols; s++)
            part[s] += v * from[s];
        part[in->n_symbols + place[j]] = v * in->own[j];
    }
    absolute = above(absolute);
    f->finite &= absolute < f->largest / 2;
    double rounding = n ? gamma_of((double)n + 6, f->unit) * absolute + 2 * (double)(n + 1) * f->eta : 0;
    out->own[r] = above(rounding + gamma_of((double)n + 2, 0x1p-53) * above(carried));
    for (uint32_t s = 0; s < out->n_symbols; s++)
        size += fabs(part[s]);
    out->size[r] = above(size + out->own[r]);
}

/* Its errors no longer depend on others: at most `size`. */
static void alone(Values *v, uint32_t i, double size)
{
    memset(v->part + (uint64_t)i * v->n_symbols, 0, v->n_symbols * sizeof *v->part);
    v->own[i] = v->size[i] = size;
}

static void pass_relu(const Follower *f, uint32_t neuron, Values *v, uint32_t r)
{
    bool off = f->code->state[neuron] == STATE_OFF;
    double size = v->size[r], hi = off ? fmin(f->hi[neuron], 0) : f->hi[neuron];
    double lifted = hi <= -size ? 0 : fmin(size, above(size + hi));      /* the greatest result of one that is off */
    v->magnitude[r] = fmax(hi, 0);
    if (hi <= -size || (off && lifted <= size / 2)) {
        alone(v, r, lifted);
    } else if (off || f->lo[neuron] < size) {
        for (uint32_t s = 0; s < v->n_symbols; s++)
            v->part[(uint64_t)r * v->n_symbols + s] /= 2;
        v->own[r] = above(v->own[r] / 2 + size / 2);
    }
}

static Values follow_layer(Follower *f, uint32_t l, Values *in)
{
    const ChainLayer *layer = &f->chain->layer[l];
    uint32_t *place = NEW_ARRAY(f->arena, in->n, uint32_t), first = f->chain->first[l];
    limit_symbols(layer, in);
    Values out = values_new(f->arena, layer->rows, in->n_symbols + number_symbols(in, place));
    for (uint32_t r = 0; r < layer->rows; r++) {
        sum_row(f, layer, r, in, place, &out);
        if (layer->relu)
            pass_relu(f, first + r, &out, r);
        else
            out.magnitude[r] = fmax(fabs(f->lo[first + r]), fabs(f->hi[first + r]));
    }
    return out;
}

const double *source_errors(Arena *arena, const Chain *chain, const Code *code, const double *lo, const double *hi, bool *finite)
{
    bool f32 = chain->element.elem == ELEM_F32;
    Follower f = {arena, chain, code, lo, hi, f32 ? 0x1p-24 : 0x1p-53, f32 ? 0x1p-149 : 0x1p-1074, f32 ? (double)FLT_MAX : DBL_MAX, true};
    Values v = inputs(&f);
    for (uint32_t l = 0; l < chain->n_layers; l++)
        v = follow_layer(&f, l, &v);
    *finite = f.finite;
    return v.size;
}
