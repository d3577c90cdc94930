/* none.c — in place of proof.c and below where GMP is not installed: says so. */
#include "proof.h"

void proof_leaves(Arena *arena, const Network *source, const Network *compiled, uint64_t work, ProofProgress *progress, void *context, Proof *out)
{
    (void)arena, (void)source, (void)compiled, (void)work, (void)progress, (void)context;
    *out = (Proof){.why = "this cnetc was built without GMP (libgmp-dev), which exact arithmetic needs"};
}

double proof_gap(Arena *arena, const Network *source, const double *x, int64_t label)
{
    (void)arena, (void)source, (void)x, (void)label;
    return 0;
}
