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

/* The elements of a float constant as doubles (exact), row-major. */
double *const_doubles(Arena *arena, const Const *c);

#endif
