/* pipeline.h — private to the runner: a pipeline as a checked list of steps. */
#ifndef CNET_PASSES_PIPELINE_H
#define CNET_PASSES_PIPELINE_H

#include "passes.h"

typedef struct Step {
    const Pass *pass;
    PassOption *option;
    size_t n_options;
    bool named;                   /* the user wrote it: say so when it cannot do anything */
} Step;

typedef struct Pipeline { Vec(Step) steps; } Pipeline;

/* "a,b(x=1),c" → steps. Reports and returns false on unknown passes, options and values, and on bad syntax. */
bool pipeline_parse(Arena *arena, Diags *diags, const char *text, bool named, Pipeline *out);

/* Properties that the networks of a module already have, e.g. when a dump is read back. */
unsigned pipeline_given(const Module *m);

/* Whether count-ops has seen every network: such a module is finished. */
bool pipeline_has_ended(const Module *m);

/* Whether every step finds what it needs and destroys nothing; reports, naming both passes. */
bool pipeline_check(Diags *diags, const Pipeline *pipeline, unsigned given);

#endif
