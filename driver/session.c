/* session.c — what every verb that compiles does first: load the source, keep a copy as written, run the passes.
 *
 * In: Options. Out: a module ready for the back end or the interpreter, and the figures of the network as it was loaded.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

/* The network that run, verify and report mean: the one named, else the last that no other calls. */
static bool choose_entry(Session *s)
{
    const Module *m = s->module;
    const char *wanted = s->options->network, *names[32];
    size_t n = 0;
    for (size_t i = 0; i < m->networks.len; i++) {
        Network *net = m->networks.at[i];
        if (!network_is_entry(net))
            continue;
        if (!wanted || strcmp(net->name, wanted) == 0)
            s->entry = net;
        if (n < sizeof names / sizeof *names)
            names[n++] = net->name;
    }
    if (s->entry)
        return true;
    if (wanted && module_find(m, wanted)) {
        diag_error(s->diags, NOWHERE, "network `%s` is a part of others; it has no evaluator of its own", wanted);
        return false;
    }
    const char *near = wanted ? str_nearest(wanted, names, n) : NULL;
    diag_error(s->diags, NOWHERE, "%s has no network `%s`%s%s%s", s->options->source, wanted ? wanted : "",
               near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return false;
}

static bool within_budget(Session *s, const Network *net, const char *what, const char *option, uint64_t found, uint64_t budget)
{
    if (found <= budget)
        return true;
    diag_error(s->diags, NOWHERE, "network `%s` needs %llu %s, more than --%s=%llu allows", net->name, (unsigned long long)found, what,
               option, (unsigned long long)budget);
    return false;
}

/* Every network that gets an evaluator keeps to the budgets. */
static bool within_budgets(Session *s)
{
    const Options *o = s->options;
    bool fine = true;
    for (size_t k = 0; k < s->module->networks.len; k++) {
        const Network *net = s->module->networks.at[k];
        if (!network_is_entry(net))
            continue;
        if (o->has_max_ops)
            fine &= within_budget(s, net, "operations in the worst case", "max-ops", network_cost(net).total_max, o->max_ops);
        NetworkSizes sizes = be_sizes(net, &o->target);
        if (o->has_max_bytes)
            fine &= within_budget(s, net, "bytes of constants", "max-bytes", sizes.model_bytes + sizes.fallback_bytes, o->max_bytes);
    }
    return fine;
}

/* Native evaluation is for this machine. */
static bool runs_here(Session *s)
{
    const Options *o = s->options;
    if (o->verb == VERB_COMPILE || !o->target.triple || o->engine == ENGINE_INTERP)
        return true;
    diag_error(s->diags, NOWHERE, "--target=%s: code for another machine cannot run here; compile it, or use the interpreter, whose bits "
               "every target returns", o->target.triple);
    return false;
}

/* Counting zero weights reads them all: only when someone will see the number. */
static bool shows_figures(const Options *o)
{
    return o->verb == VERB_REPORT || o->ops != OPS_NONE || (o->verb == VERB_COMPILE && o->product == PRODUCT_JSON);
}

/* What --profile says of the entry network's inputs. */
static bool read_profile(Session *s, Profile *out)
{
    Tables tables;
    if (!read_tables(s, &s->options->profile, "profile", s->entry->n_inputs, s->entry->input, &tables))
        return false;
    if (tables.rows == 0) {
        diag_error(s->diags, NOWHERE, "--profile: %s has no rows, so it says nothing", s->options->profile.at[0].path);
        return false;
    }
    const uint8_t **input = NEW_ARRAY(s->arena, tables.n + 1, const uint8_t *);
    for (uint32_t i = 0; i < tables.n; i++)
        input[i] = tables.table[i].data;
    *out = (Profile){s->entry->name, tables.rows, input};
    return true;
}

/* Bytes of the widest vectors that code for the target is made of: on x86-64 the highest level counts, elsewhere 16. */
static uint32_t vector_bytes(const TargetOptions *target)
{
#if defined(__x86_64__)
    const char *host = "x86_64";
#else
    const char *host = "";
#endif
    const char *triple = target->triple ? target->triple : host;
    return str_starts(triple, "x86_64") || str_starts(triple, "amd64") ? 64 : 16;
}

/* Reading and sorting tables of data takes its time, and so does cutting a box. */
static void tell_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    Progress *p = context;
    if (!what) {
        progress_end(p);
        p->shown = false;
        return;
    }
    p->what = what;
    p->total = total;
    progress_at(p, done);
}

static Module *load(Session *s)
{
    LoadOptions options = s->options->load;
    Progress progress = progress_start("", 0);
    options.progress = tell_progress;
    options.progress_context = &progress;
    return fe_load(s->arena, s->diags, s->options->source, &options, &s->depends);
}

static bool holds_data(const Network *net)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_memorize)
            return true;
    return false;
}

/* What a network with data is as written is what its method makes of them: a table has no operations. The level's own pipeline
 * finds that work done. */
static bool construct(Session *s, const PipelineOptions *wanted)
{
    bool any = false;
    for (size_t i = 0; i < s->module->networks.len; i++)
        any |= holds_data(s->module->networks.at[i]);
    if (!any || wanted->passes || wanted->stop_after)
        return true;
    PipelineOptions first = {.passes = "inline,memorize", .verify_each = wanted->verify_each, .pass_stats = wanted->pass_stats,
                             .time_passes = wanted->time_passes, .dump = wanted->dump};
    return pipeline_run(s->module, s->diags, &first);
}

bool session_compile(Session *s)
{
    const Options *o = s->options;
    if (!runs_here(s))
        return false;
    s->module = load(s);
    if (!s->module || !choose_entry(s))
        return false;
    if (o->verb != VERB_COMPILE)                                /* the other networks of the file are not asked for */
        module_keep(s->module, s->entry);
    if (shows_figures(o) && !construct(s, &o->pipeline))
        return false;
    s->dense_ops = network_cost(s->entry).range.max;
    if (shows_figures(o))
        s->nonzero_ops = network_nonzero_cost(s->entry);
    s->dense_bytes = network_const_bytes(s->entry);
    PipelineOptions pipeline = o->pipeline;
    Profile profile;
    pipeline.vector_bytes = vector_bytes(&o->target);
    pipeline.max_bytes = o->has_max_bytes ? o->max_bytes : 0;
    pipeline.max_ops = o->has_max_ops ? o->max_ops : 0;
    Progress progress = progress_start("", 0);
    pipeline.progress = tell_progress;
    pipeline.progress_context = &progress;
    if (o->profile.len > 0) {
        if (!read_profile(s, &profile))
            return false;
        pipeline.profile = &profile;
    }
    return pipeline_run(s->module, s->diags, &pipeline) && within_budgets(s);
}

/* The file a path means, whether or not it is there yet: its folder's real path and its name. */
static char *real_path(Arena *arena, const char *path)
{
    char *whole = realpath(path, NULL);
    if (!whole) {
        const char *slash = strrchr(path, '/');
        char *folder = realpath(slash ? str_ndup(arena, path, (size_t)(slash - path) + 1) : ".", NULL);
        char *made = folder ? str_printf(arena, "%s/%s", folder, slash ? slash + 1 : path) : str_dup(arena, path);
        free(folder);
        return made;
    }
    char *kept = str_dup(arena, whole);
    free(whole);
    return kept;
}

bool session_may_write(Session *s, const char *path)
{
    if (strcmp(path, "-") == 0)
        return true;
    const char *real = real_path(s->arena, path);
    for (size_t i = 0; i < s->depends.names.len; i++)
        if (strcmp(real, real_path(s->arena, s->depends.names.at[i])) == 0) {
            diag_error(s->diags, NOWHERE, "`%s` is an input of this run; it would be overwritten: choose another name with -o", path);
            return false;
        }
    for (size_t i = 0; i < s->written.len; i++)
        if (strcmp(real, s->written.at[i]) == 0 && !str_starts(real, "/dev/")) {
            diag_error(s->diags, NOWHERE, "two outputs of this run are called `%s`", path);
            return false;
        }
    vec_push(s->arena, s->written, real);
    return true;
}

char *session_output(const Session *s, const char *suffix)
{
    const char *source = s->options->source;
    if (s->options->output)
        return str_dup(s->arena, s->options->output);
    size_t n = strlen(source);
    if (str_ends(source, ".gz"))
        n -= 3;
    size_t stem = n;
    while (stem > 0 && source[stem - 1] != '.' && source[stem - 1] != '/')
        stem--;
    if (stem > 1 && source[stem - 1] == '.' && source[stem - 2] != '/')
        n = stem - 1;
    return str_printf(s->arena, "%.*s%s", (int)n, source, suffix);
}
