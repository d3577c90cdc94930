/* error_bound.h — private to passes/: how far a network's floating-point outputs can lie from real arithmetic. */
#ifndef CNET_PASSES_ERROR_BOUND_H
#define CNET_PASSES_ERROR_BOUND_H

#include "passes.h"

/* An affine whose stored weights and bias are rounded: |stored − meant| <= weight[r * cols + c], bias[r]. */
typedef struct Inexact { const Op *op; const double *weight, *bias; } Inexact;
typedef struct InexactList { Vec(Inexact) ops; } InexactList;

const Inexact *inexact_find(const InexactList *list, const Op *op);

/* A proven bound on |computed − real| over every output element and every input in the box. False when there is none, with
 * the reason in `why` (a clause that a remark ends with). */
bool error_bound(Arena *arena, const Network *net, const InexactList *inexact, double *bound, const char **why);

/* What somebody else has proven of a value, whatever op makes it: by element, lo <= the real one <= hi, and how far the computed one is
 * off. */
typedef struct Known { Value value; const double *lo, *hi, *err; } Known;
typedef struct KnownList { Vec(Known) values; } KnownList;

/* The same with some values known. */
bool error_bound_knowing(Arena *arena, const Network *net, const InexactList *inexact, const KnownList *known, double *bound,
                         const char **why);

/* Of one value: the ranges of its elements. False likewise. */
bool error_range(Arena *arena, const Network *net, Value v, Known *out, const char **why);

/* The elements of a float constant as doubles (exact), row-major. */
double *const_doubles(Arena *arena, const Const *c);

#endif
