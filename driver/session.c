/* session.c — what every verb that compiles does first: load the source, keep a copy as written, run the passes.
 *
 * In: Options. Out: a module ready for the back end or the interpreter, and the figures of the network as it was loaded.
 */
#include "driver.h"

#include <string.h>

/* The network that run, verify and report mean: the one named, else the last that no other calls. */
static bool choose_entry(Session *s)
{
    const Module *m = s->module;
    const char *wanted = s->options->network;
    const char *names[32];
    size_t n = 0;
    for (size_t i = 0; i < m->networks.len; i++) {
        Network *net = m->networks.at[i];
        if (wanted ? strcmp(net->name, wanted) == 0 : network_is_entry(net))
            s->entry = net;
        if (n < sizeof names / sizeof *names)
            names[n++] = net->name;
    }
    if (s->entry)
        return true;
    const char *near = wanted ? str_nearest(wanted, names, n) : NULL;
    diag_error(s->diags, NOWHERE, "%s has no network `%s`%s%s%s", s->options->source, wanted ? wanted : "",
               near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return false;
}

static bool within_budget(Session *s, const char *what, const char *option, uint64_t found, uint64_t budget)
{
    if (budget == 0 || found <= budget)
        return true;
    diag_error(s->diags, NOWHERE, "network `%s` needs %llu %s, more than --%s=%llu allows", s->entry->name,
               (unsigned long long)found, what, option, (unsigned long long)budget);
    return false;
}

bool session_compile(Session *s)
{
    const Options *o = s->options;
    s->module = fe_load(s->arena, s->diags, o->source, &o->load, &s->depends);
    if (!s->module || !choose_entry(s))
        return false;
    s->source = network_clone(s->entry, s->entry->name);
    s->dense_ops = network_cost(s->source).range.max;
    s->nonzero_ops = network_nonzero_cost(s->source);
    s->dense_bytes = network_const_bytes(s->source);
    if (!pipeline_run(s->module, s->diags, &o->pipeline))
        return false;
    return within_budget(s, "operations in the worst case", "max-ops", network_cost(s->entry).total_max, o->max_ops) &&
           within_budget(s, "bytes of constants", "max-bytes", network_const_bytes(s->entry), o->max_bytes);
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
