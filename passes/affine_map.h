/* affine_map.h — private to passes/: affine maps as numbers, composed with a bound on what the composition rounds. */
#ifndef CNET_PASSES_AFFINE_MAP_H
#define CNET_PASSES_AFFINE_MAP_H

#include "../ir/ir.h"

/* An affine map in doubles, with how far its entries may be from the ones meant. Row-major. */
typedef struct Map {
    uint64_t rows, cols;
    double *weight, *bias, *weight_error, *bias_error;
} Map;

/* x → scale · x + shift, elementwise. only_shift: every scale is 1. x: the value that it maps. */
typedef struct Diagonal { uint64_t n; double *scale, *shift; bool only_shift; Value x; } Diagonal;

/* x → after(before(x)). */
Map map_compose(Arena *arena, const Map *after, const Map *before);
/* x → map(diagonal(x)) and x → diagonal(map(x)), in place. */
void map_compose_before(Map *map, const Diagonal *d);
void map_compose_after(Map *map, const Diagonal *d);

#endif
