/* ours.c — a shared object of `cnetc --emit=shared` as a contender.
 *
 * Argument: FILE:SYMBOL:eval, FILE:SYMBOL:counted (made with --count-ops) or FILE:SYMBOL:batch; SYMBOL is NAME in NAME_eval.
 * The descriptor NAME_network says how large inputs, outputs and scratch memory are.
 *
 * The object is copied into memory and opened there. A file's pages stay where they are for as long as the system caches it, and which
 * of them meet in a set of a cache is luck: the same luck in every run, up to 30 % for a network as large as a second-level cache. A
 * copy draws anew in every process, as the peers' allocations do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "../../../runtime/cnet.h"
#include "util.h"

typedef int Eval(const float *, float *);
typedef int EvalScratch(const float *, float *, void *);
typedef int Counted(const float *, float *, cnet_counts *);
typedef int CountedScratch(const float *, float *, void *, cnet_counts *);
typedef int Batch(size_t, const float *, ptrdiff_t, float *, ptrdiff_t);
typedef int BatchScratch(size_t, const float *, ptrdiff_t, float *, ptrdiff_t, void *);

typedef struct Ours {
    void *object, *function, *scratch;
    int (*call)(struct Ours *, const float *, float *);
    size_t batch, inputs, outputs;
    cnet_counts counts;
} Ours;

static int call_eval(Ours *o, const float *x, float *y) { return ((Eval *)o->function)(x, y); }
static int call_eval_scratch(Ours *o, const float *x, float *y) { return ((EvalScratch *)o->function)(x, y, o->scratch); }
static int call_counted(Ours *o, const float *x, float *y) { return ((Counted *)o->function)(x, y, &o->counts); }
static int call_counted_scratch(Ours *o, const float *x, float *y)
{
    return ((CountedScratch *)o->function)(x, y, o->scratch, &o->counts);
}
static int call_batch(Ours *o, const float *x, float *y)
{
    return ((Batch *)o->function)(o->batch, x, o->inputs, y, o->outputs);
}
static int call_batch_scratch(Ours *o, const float *x, float *y)
{
    return ((BatchScratch *)o->function)(o->batch, x, o->inputs, y, o->outputs, o->scratch);
}

/* dlopen on a copy in memory. The descriptor stays open: dlopen knows objects by name, and this one's name is the number. */
static void *open_copy(const char *file)
{
    char name[40];
    int from = open(file, O_RDONLY), to = memfd_create("network", 0);
    ssize_t n = from < 0 || to < 0 ? -1 : 1;
    while (n > 0)
        n = sendfile(to, from, NULL, 1 << 30);
    close(from);
    snprintf(name, sizeof name, "/proc/self/fd/%d", to);
    return n < 0 ? NULL : dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

static void *ours_open(const Problem *p, const char *argument, char *why, char *version)
{
    char file[4096], name[256], kind[32], symbol[300];
    if (sscanf(argument, "%4095[^:]:%255[^:]:%31s", file, name, kind) != 3) {
        snprintf(why, WHY_SIZE, "not FILE:SYMBOL:KIND: %s", argument);
        return NULL;
    }
    void *object = open_copy(file);
    snprintf(symbol, sizeof symbol, "%s_network", name);
    const cnet_network *network = object ? dlsym(object, symbol) : NULL;
    snprintf(symbol, sizeof symbol, "%s_eval%s%s", name, strcmp(kind, "eval") == 0 ? "" : "_", strcmp(kind, "eval") == 0 ? "" : kind);
    void *function = network ? dlsym(object, symbol) : NULL;
    if (function == NULL) {
        const char *said = dlerror();
        snprintf(why, WHY_SIZE, "%s", said ? said : "the file cannot be copied");
        return NULL;
    }
    if (network->n_inputs != 1 || network->n_outputs != 1 || network->inputs->count != p->inputs
        || network->outputs->count != p->outputs) {
        snprintf(why, WHY_SIZE, "%s has other inputs or outputs than the problem", name);
        return NULL;
    }
    Ours *o = bench_alloc(sizeof *o);
    *o = (Ours){ .object = object, .function = function, .batch = p->batch, .inputs = p->inputs, .outputs = p->outputs };
    o->scratch = network->scratch_bytes ? bench_alloc(network->scratch_bytes) : NULL;
    if (strcmp(kind, "eval") == 0)
        o->call = o->scratch ? call_eval_scratch : call_eval;
    else if (strcmp(kind, "counted") == 0)
        o->call = o->scratch ? call_counted_scratch : call_counted;
    else
        o->call = o->scratch ? call_batch_scratch : call_batch;
    snprintf(version, WHY_SIZE, "%s", network->compiler);
    return o;
}

static int ours_evaluate(void *state, const float *x, float *y)
{
    Ours *o = state;
    return o->call(o, x, y);
}

static void ours_close(void *state)
{
    Ours *o = state;
    dlclose(o->object);
    free(o->scratch);
    free(o);
}

const Peer peer = { 0, ours_open, ours_evaluate, ours_close };
