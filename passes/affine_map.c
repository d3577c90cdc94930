/* affine_map.c — affine maps as numbers: composing them, and how far that rounds.
 *
 * In: maps in doubles, each entry with a bound on its distance from the one meant. Out: their composition, likewise. The one
 * idea: every sum of products carries the sum of its absolute terms, and with it a bound on its own rounding: a sum of n
 * products in doubles is off by at most γ(n + 1) Σ |a b|, besides what its factors were off by.
 */
#include "affine_map.h"

#include <math.h>

/* A sum of products in double: the value, and a bound on its distance from the sum meant. */
typedef struct Sum { double value, absolute, error; uint64_t terms; } Sum;

static void sum_add(Sum *s, double a, double ea, double b, double eb)
{
    s->value += a * b;
    s->absolute += fabs(a * b);
    s->error += ea * fabs(b) + eb * fabs(a) + ea * eb;
    s->terms++;
}

static double sum_error(const Sum *s)
{
    double grow = 1 + (double)(4 * s->terms + 16) * 0x1p-52;
    return (s->error + s->absolute * (double)(s->terms + 4) * 0x1p-52) * grow + (s->terms ? 0x1p-1000 : 0);
}

/* after(before(x)) for dense maps. */
Map map_compose(Arena *arena, const Map *after, const Map *before)
{
    Map map = {.rows = after->rows, .cols = before->cols};
    map.weight = NEW_ARRAY(arena, map.rows * map.cols, double);
    map.weight_error = NEW_ARRAY(arena, map.rows * map.cols, double);
    map.bias = NEW_ARRAY(arena, map.rows, double);
    map.bias_error = NEW_ARRAY(arena, map.rows, double);
    for (uint64_t r = 0; r < map.rows; r++) {
        const double *w = after->weight + r * after->cols, *ew = after->weight_error + r * after->cols;
        for (uint64_t c = 0; c < map.cols; c++) {
            Sum s = {0};
            for (uint64_t k = 0; k < after->cols; k++)
                sum_add(&s, w[k], ew[k], before->weight[k * before->cols + c], before->weight_error[k * before->cols + c]);
            map.weight[r * map.cols + c] = s.value;
            map.weight_error[r * map.cols + c] = sum_error(&s);
        }
        Sum s = {.value = after->bias[r], .absolute = fabs(after->bias[r]), .error = after->bias_error[r]};
        for (uint64_t k = 0; k < after->cols; k++)
            sum_add(&s, w[k], ew[k], before->bias[k], before->bias_error[k]);
        map.bias[r] = s.value;
        map.bias_error[r] = sum_error(&s);
    }
    return map;
}

/* W (D x + e) + b. A reciprocal scale is within half an ulp: counted as an error of the scale. */
void map_compose_before(Map *map, const Diagonal *d)
{
    for (uint64_t r = 0; r < map->rows; r++) {
        double *w = map->weight + r * map->cols, *ew = map->weight_error + r * map->cols;
        Sum bias = {.value = map->bias[r], .absolute = fabs(map->bias[r]), .error = map->bias_error[r]};
        for (uint64_t c = 0; c < map->cols; c++) {
            if (d->shift[c] != 0)
                sum_add(&bias, w[c], ew[c], d->shift[c], 0);
            Sum s = {0};
            sum_add(&s, w[c], ew[c], d->scale[c], fabs(d->scale[c]) == 1 ? 0 : fabs(d->scale[c]) * 0x1p-53);
            w[c] = s.value;
            ew[c] = d->only_shift ? ew[c] : sum_error(&s);
        }
        map->bias[r] = bias.value;
        map->bias_error[r] = bias.terms ? sum_error(&bias) : bias.error;
    }
}

/* D (W x + b) + e. */
void map_compose_after(Map *map, const Diagonal *d)
{
    for (uint64_t r = 0; r < map->rows; r++) {
        double scale = d->scale[r], e = fabs(scale) == 1 ? 0 : fabs(scale) * 0x1p-53;
        for (uint64_t c = 0; c < map->cols && !d->only_shift; c++) {
            Sum s = {0};
            sum_add(&s, map->weight[r * map->cols + c], map->weight_error[r * map->cols + c], scale, e);
            map->weight[r * map->cols + c] = s.value;
            map->weight_error[r * map->cols + c] = sum_error(&s);
        }
        Sum s = {.value = d->shift[r], .absolute = fabs(d->shift[r])};
        sum_add(&s, map->bias[r], map->bias_error[r], scale, e);
        map->bias[r] = s.value;
        map->bias_error[r] = sum_error(&s);
    }
}
