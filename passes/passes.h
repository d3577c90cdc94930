/* passes.h — rewrites of the IR, and the runner that owns the ceremony around them.
 *
 * A pass is one file and one page: it opens with a picture of the IR before and after, says why that is legal (what
 * becomes of NaN, infinity and −0.0) and why it ends. It returns whether it changed anything. Verification, timing,
 * dumps, statistics and operation-count deltas belong to the runner (runner.c). The list is passes.def.
 */
#ifndef CNET_PASSES_H
#define CNET_PASSES_H

#include "../ir/ir.h"

/* Properties that passes need, establish or destroy; an impossible order is an error when the pipeline is built. */
typedef enum Property {
    PROP_inlined = 1 << 0,        /* no `call` is left */
    PROP_guarded = 1 << 1,        /* the box policy is spelled out in the IR */
    PROP_counted = 1 << 2,        /* tally ops are in; nothing may change what is executed */
    PROP_memorized = 1 << 3       /* no `memorize` is left: data have become networks */
} Property;

/* Inputs that say what is likely (--profile), for the network of this name: n rows; row i of input k is at input[k] + i * bytes
 * of the input. */
typedef struct Profile { const char *network; size_t n; const uint8_t *const *input; } Profile;

/* Long work: `done` of `total`; what == NULL: it is over. */
typedef void PassProgress(void *context, const char *what, uint64_t done, uint64_t total);

typedef struct PassContext {
    Arena *arena;                 /* scratch, freed after the pass */
    Diags *diags;                 /* remarks: why something was left alone */
    const char *name;
    const struct PassOption *option;          /* name(key=value, …) from --passes */
    size_t n_options;
    const Profile *profile;       /* NULL: none */
    uint32_t vector_bytes;        /* of the widest vectors that code is made for */
    size_t leaves;                /* the most that a search or tree made by synthesis may have; 0: as many as are worth it */
    uint64_t max_bytes, max_ops;  /* what the constants may take in all, and the worst case; 0: no such budget */
    unsigned threads;             /* that may work at a time, 1 at least */
    PassProgress *progress;       /* NULL: nobody looks */
    void *progress_context;
    struct PassStats *stats;      /* pass_stat: counters printed by --pass-stats; NULL: not wanted */
} PassContext;

typedef struct PassOption { const char *key, *value; } PassOption;

typedef bool PassRun(Network *net, PassContext *ctx);

typedef struct Pass {
    const char *name, *summary;
    const char *options;                      /* "key=a|b; key=a|b", the values that are legal; "" = none */
    PassRun *run;
    unsigned needs, gives, breaks;            /* Property sets */
    bool real_only;                           /* refused (a remark) on networks with exact numerics */
} Pass;

/* passes.def, in order; *n is their number. */
const Pass *pass_list(size_t *n);
const Pass *pass_named(const char *name);

/* The pass nearest in spelling, for suggestions; NULL: none is near. */
const char *pass_nearest(const char *name);

/* Adds `n` to the statistic `what` of the running pass. */
void pass_stat(PassContext *ctx, const char *what, size_t n);
/* A line about one op for --pass-stats: what was decided, and why. */
void pass_note(PassContext *ctx, const char *format, ...) PRINTF_LIKE(2, 3);
const char *pass_option(const PassContext *ctx, const char *key);   /* NULL when not given */

typedef struct PipelineOptions {
    const char *passes;           /* --passes=a,b(x=1),c; NULL: the level's pipeline */
    int level;                    /* -O0 … -O3 */
    const char *print_before, *print_after;   /* a pass's name, "all", or NULL: IR dumps on `dump` */
    const char *stop_after;
    bool verify_each, time_passes, pass_stats;
    bool count_ops;               /* append count-ops */
    const Profile *profile;       /* --profile; NULL: none */
    uint32_t vector_bytes;        /* of the target's widest vectors; 0: 64 */
    size_t leaves;                /* --leaves; 0: no limit was given */
    uint64_t max_bytes, max_ops;  /* budgets: --max-bytes, --max-ops; 0: none */
    unsigned threads;             /* --threads; 0: one for each processor */
    PassProgress *progress;       /* of long work; may be NULL */
    void *progress_context;
    bool compute_f64;             /* --compute=f64 */
    const char *result;           /* --result: NULL/"value", "argmax", "argmin" */
    FILE *dump;                   /* dumps, timings and statistics go here (stderr) */
} PipelineOptions;

/* The pipeline as text, e.g. for --help and for the tests: what -O2 stands for. */
char *pipeline_text(Arena *arena, const PipelineOptions *options);
/* Runs it over every network of the module. Reports and returns false on a bad pipeline; an invalid IR after a pass is
 * an ICE that names the pass. */
bool pipeline_run(Module *m, Diags *diags, const PipelineOptions *options);

/* The passes themselves. */
#define PASS(name, function, ...) PassRun function;
#include "passes.def"
#undef PASS

#endif
