/* runner.c — the ceremony around passes.
 *
 * In: a module and what the user asked for. Out: the module, rewritten in place. The one idea: a pass contains its idea
 * and nothing else; order, verification, dumps, timing, statistics and operation-count deltas are here, once.
 *
 *     for each step of the pipeline
 *         dump?   for each network { scratch arena; pass; network_settle; verify? }   dump?  stop?
 */
#include "pipeline.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

typedef struct Stat { const char *pass, *what; size_t n; } Stat;
typedef struct Note { const char *pass, *text; } Note;
typedef struct PassStats { Arena *arena; const char *pass; Vec(Stat) stats; Vec(Note) notes; } PassStats;

typedef struct Timing {
    const char *pass;
    double seconds;
    size_t networks, changed;
    uint64_t before, after;       /* static operation counts, the most that one evaluation can execute */
} Timing;

typedef struct Runner {
    Arena *arena;
    Module *module;
    Diags *diags;
    const PipelineOptions *options;
    bool verify;
    PassStats stats;
    Vec(Timing) timings;
} Runner;

void pass_stat(PassContext *ctx, const char *what, size_t n)
{
    PassStats *s = ctx->stats;
    if (!s || n == 0)
        return;
    for (size_t i = 0; i < s->stats.len; i++)
        if (s->stats.at[i].pass == s->pass && strcmp(s->stats.at[i].what, what) == 0) {
            s->stats.at[i].n += n;
            return;
        }
    vec_push(s->arena, s->stats, ((Stat){s->pass, what, n}));
}

void pass_note(PassContext *ctx, const char *format, ...)
{
    PassStats *s = ctx->stats;
    va_list args;
    if (!s)
        return;
    va_start(args, format);
    vec_push(s->arena, s->notes, ((Note){s->pass, str_vprintf(s->arena, format, args)}));
    va_end(args);
}

/* ---- one pass ---- */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void verify(Runner *r, const char *after)
{
    Text why = text_new(r->arena);
    if (!ir_verify(r->module, &why))
        ICE("invalid IR after pass `%s`: %s", after, why.at);
}

static bool run_on_network(Runner *r, const Step *step, Network *net)
{
    Arena *scratch = arena_new(r->arena);
    if (!scratch)
        arena_exhausted(r->arena);
    const Profile *profile = r->options->profile;
    PassContext ctx = {.arena = scratch, .diags = r->diags, .name = step->pass->name, .option = step->option,
                       .n_options = step->n_options, .profile = profile && strcmp(profile->network, net->name) == 0 ? profile : NULL,
                       .vector_bytes = r->options->vector_bytes ? r->options->vector_bytes : 64,
                       .leaves = r->options->leaves, .max_bytes = r->options->max_bytes, .max_ops = r->options->max_ops,
                       .threads = parallel_workers(r->options->threads), .progress = r->options->progress,
                       .progress_context = r->options->progress_context, .stats = r->options->pass_stats ? &r->stats : NULL};
    bool changed = step->pass->run(net, &ctx);
    network_settle(net);
    arena_free(scratch);
    return changed;
}

static bool module_has(const Module *m, const Network *net)
{
    for (size_t i = 0; i < m->networks.len; i++)
        if (m->networks.at[i] == net)
            return true;
    return false;
}

static uint64_t most_operations(const Module *m)
{
    uint64_t total = 0;
    for (size_t i = 0; i < m->networks.len; i++)
        if (network_is_entry(m->networks.at[i]))
            total += network_cost(m->networks.at[i]).total_max;
    return total;
}

static bool may_run(Runner *r, const Step *step, const Network *net)
{
    if (!step->pass->real_only || net->options.numerics == NUMERICS_real)
        return true;
    if (step->named)
        diag_remark(r->diags, net->span, step->pass->name, "`%s` keeps exact numerics; `--numerics=real` lets this pass run",
                    net->name);
    return false;
}

/* Networks may be removed while a pass runs (inline drops what nobody calls any more): walk a copy of the list. */
static void run_step(Runner *r, const Step *step)
{
    Timing t = {.pass = step->pass->name};
    Module *m = r->module;
    size_t n = m->networks.len;
    Network **all = NEW_ARRAY(r->arena, n, Network *);
    if (n)
        memcpy(all, m->networks.at, n * sizeof *all);
    r->stats.pass = step->pass->name;
    if (r->options->pass_stats)
        t.before = most_operations(m);
    size_t errors = diag_errors(r->diags);
    double start = seconds_now();
    for (size_t i = 0; i < n; i++) {
        if (!module_has(m, all[i]) || !may_run(r, step, all[i]))
            continue;
        t.networks++;
        t.changed += run_on_network(r, step, all[i]);
        if (diag_errors(r->diags) > errors)       /* what depends on this network would only repeat it */
            break;
    }
    t.seconds = seconds_now() - start;
    if (r->verify)
        verify(r, step->pass->name);
    if (r->options->pass_stats)
        t.after = most_operations(m);
    vec_push(r->arena, r->timings, t);
}

/* ---- dumps and tables ---- */

static bool names_pass(const char *which, const Pass *pass)
{
    return which && (strcmp(which, "all") == 0 || strcmp(which, pass->name) == 0);
}

static void dump_ir(Runner *r, const char *when, const Pass *pass)
{
    fprintf(r->options->dump, "# IR %s %s\n", when, pass->name);
    ir_print(r->module, r->options->dump, &(PrintOptions){.sites = true});
}

static void print_times(const Runner *r)
{
    FILE *f = r->options->dump;
    double total = 0;
    fprintf(f, "%10s  %8s  pass\n", "time", "changed");
    for (size_t i = 0; i < r->timings.len; i++) {
        const Timing *t = &r->timings.at[i];
        total += t->seconds;
        fprintf(f, "%7.3f ms  %3zu / %-3zu %s\n", 1e3 * t->seconds, t->changed, t->networks, t->pass);
    }
    fprintf(f, "%7.3f ms            total\n", 1e3 * total);
}

static void print_stats(const Runner *r)
{
    FILE *f = r->options->dump;
    for (size_t i = 0; i < r->timings.len; i++) {
        const Timing *t = &r->timings.at[i];
        fprintf(f, "%-16s operations %llu -> %llu (%+lld)\n", t->pass, (unsigned long long)t->before,
                (unsigned long long)t->after, (long long)(t->after - t->before));
    }
    for (size_t i = 0; i < r->stats.stats.len; i++) {
        const Stat *s = &r->stats.stats.at[i];
        fprintf(f, "%-16s %zu %s\n", s->pass, s->n, s->what);
    }
    for (size_t i = 0; i < r->stats.notes.len; i++)
        fprintf(f, "%-16s %s\n", r->stats.notes.at[i].pass, r->stats.notes.at[i].text);
}

/* ---- the whole ---- */

/* Names that --print-before, --print-after and --stop-after mention. */
static bool check_name(Diags *diags, const char *option, const char *name, bool all_allowed)
{
    if (!name || pass_named(name) || (all_allowed && strcmp(name, "all") == 0))
        return true;
    const char *near = pass_nearest(name);
    diag_error(diags, NOWHERE, "unknown pass `%s` in `%s`%s%s%s", name, option, near ? "; did you mean `" : "",
               near ? near : "", near ? "`?" : "");
    return false;
}

static bool check_names(Diags *diags, const PipelineOptions *o)
{
    return check_name(diags, "--print-before", o->print_before, true)
        && check_name(diags, "--print-after", o->print_after, true)
        && check_name(diags, "--stop-after", o->stop_after, false);
}

static bool run_steps(Runner *r, const Pipeline *pipeline)
{
    const PipelineOptions *o = r->options;
    size_t errors = diag_errors(r->diags);
    for (size_t i = 0; i < pipeline->steps.len; i++) {
        const Step *step = &pipeline->steps.at[i];
        if (names_pass(o->print_before, step->pass))
            dump_ir(r, "before", step->pass);
        run_step(r, step);
        if (diag_errors(r->diags) > errors)
            return false;
        if (names_pass(o->print_after, step->pass))
            dump_ir(r, "after", step->pass);
        if (o->stop_after && strcmp(o->stop_after, step->pass->name) == 0)
            break;
    }
    return true;
}

bool pipeline_run(Module *m, Diags *diags, const PipelineOptions *options)
{
    PipelineOptions o = *options;
    if (!o.dump)
        o.dump = stderr;
    if (pipeline_has_ended(m)) {                  /* a dump made with --count-ops: compiled as it is */
        o.passes = o.passes ? o.passes : "";
        o.count_ops = false;
    }
    Pipeline pipeline;
    if (!check_names(diags, &o)
        || !pipeline_parse(m->arena, diags, pipeline_text(m->arena, &o), o.passes != NULL, &pipeline)
        || !pipeline_check(diags, &pipeline, pipeline_given(m)))
        return false;
    Runner r = {.arena = m->arena, .module = m, .diags = diags, .options = &o, .verify = o.verify_each,
                .stats = {.arena = m->arena}};
#ifdef CNET_STRESS
    r.verify = true;
#endif
    bool ok = run_steps(&r, &pipeline);
    if (ok && !r.verify && pipeline.steps.len)
        verify(&r, "the last one; try --verify-each");
    if (o.time_passes)
        print_times(&r);
    if (o.pass_stats)
        print_stats(&r);
    return ok;
}
