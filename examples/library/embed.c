/* embed.c — compile a network inside a program, call it, free it: no files, no processes, no globals.
 *
 *     embed FILE.cnet 0.5 -0.25 …        one number for every element of the inputs, in order (f32 networks)
 *
 * All memory hangs on one arena; when it goes, the native code goes with it.
 */
#include "../../backend/backend.h"
#include "../../frontend/frontend.h"
#include "../../passes/passes.h"

#include <stdlib.h>

/* Loads, optimizes and compiles the last network of a file. NULL: the diagnostics say why. */
static Jit *compile(Arena *arena, Diags *diags, const char *path, const Network **compiled)
{
    Module *m = fe_load(arena, diags, path, &(LoadOptions){0}, NULL);
    if (!m || !pipeline_run(m, diags, &(PipelineOptions){.level = 2, .count_ops = true, .dump = stderr}))
        return NULL;
    *compiled = m->networks.at[m->networks.len - 1];
    return be_jit(arena, *compiled, &(TargetOptions){.pic = true}, 0);
}

/* Buffers for the inputs or the outputs. */
static void **buffers(Arena *arena, uint32_t n, const Port *ports)
{
    void **at = NEW_ARRAY(arena, n, void *);
    for (uint32_t i = 0; i < n; i++)
        at[i] = NEW_ARRAY(arena, type_count(ports[i].type), double);
    return at;
}

static int evaluate(Arena *arena, const Network *net, Jit *jit, int n, char **numbers)
{
    void **in = buffers(arena, net->n_inputs, net->input), **out = buffers(arena, net->n_outputs, net->output);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        for (uint64_t k = 0; k < type_count(net->input[i].type) && n > 0; k++, n--)
            ((float *)in[i])[k] = strtof(*numbers++, NULL);
    Counts counts = {0};
    int status = be_jit_run(jit, (const void *const *)in, out, &counts);
    for (uint32_t i = 0; i < net->n_outputs; i++)
        for (uint64_t k = 0; k < type_count(net->output[i].type); k++)
            printf("%s[%llu] = %g\n", net->output[i].name, (unsigned long long)k, (double)((float *)out[i])[k]);
    printf("status %d, %llu operations\n", status, (unsigned long long)counts_total(counts));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: embed FILE.cnet NUMBER ...\n", stderr);
        return 2;
    }
    Arena *arena = arena_new(NULL);
    if (!arena)
        return 1;
    if (ARENA_GUARD(arena)) {                                    /* memory ran out somewhere below */
        arena_free(arena);
        return 1;
    }
    Diags *diags = diag_new(arena);
    const Network *net = NULL;
    Jit *jit = compile(arena, diags, argv[1], &net);
    diag_flush(diags, stderr, DIAG_PLAIN);
    int status = jit ? evaluate(arena, net, jit, argc - 2, argv + 2) : 1;
    arena_free(arena);
    return status;
}
