/* registry.c — the list of passes.
 *
 * In: passes.def. Out: the table that the runner, --help and the tests read. The one idea: a row is all that the rest
 * of the compiler knows about a pass.
 */
#include "passes.h"

#include <string.h>

static const Pass passes[] = {
#define PASS(name_, function, needs_, gives_, breaks_, real_, options_, summary_)                                    \
    { .name = (name_), .summary = (summary_), .options = (options_), .run = (function), .needs = (needs_),          \
      .gives = (gives_), .breaks = (breaks_), .real_only = (real_) },
#include "passes.def"
#undef PASS
};

enum { N_PASSES = sizeof passes / sizeof passes[0] };

const Pass *pass_list(size_t *n)
{
    *n = N_PASSES;
    return passes;
}

const Pass *pass_named(const char *name)
{
    for (size_t i = 0; i < N_PASSES; i++)
        if (strcmp(passes[i].name, name) == 0)
            return &passes[i];
    return NULL;
}

const char *pass_nearest(const char *name)
{
    const char *names[N_PASSES];
    for (size_t i = 0; i < N_PASSES; i++)
        names[i] = passes[i].name;
    return str_nearest(name, names, N_PASSES);
}

const char *pass_option(const PassContext *ctx, const char *key)
{
    for (size_t i = 0; i < ctx->n_options; i++)
        if (strcmp(ctx->option[i].key, key) == 0)
            return ctx->option[i].value;
    return NULL;
}
