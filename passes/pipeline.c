/* pipeline.c — which passes run, and whether their order makes sense.
 *
 * In: --passes or a level, and the properties that the module already has. Out: steps for the runner, or diagnostics.
 * The one idea: the named levels are pipelines in the same notation that users write, so there is one path.
 */
#include "pipeline.h"
#include "pass_util.h"

#include <ctype.h>
#include <string.h>

/* ---- levels ----
 *
 * -O0 is the network as written: only what every evaluator must have. From -O1 on come the passes that keep the bits
 * (merge-affine runs only on networks that allow `real` numerics), skip among them: fewer operations. -O2 also chooses how
 * what is left is walked: less time; with `real` numerics it cuts input boxes into trees (split), which takes memory and compile time, within
 * budgets. -O3 is equal as long as no pass trades memory or compile time for either.
 *
 * The order matters in seven places: memorize comes before all that looks at ops, for data are no network yet; positive-zero comes
 * before anything that could tell −0.0 from +0.0; folding comes before shapes and identities, which look for constants; split
 * comes before merge-affine, for its leaves are certified against the network as written, and leaves what has one input to piecewise; both
 * come before skip, which they leave less to do; skip comes when affines are what they will be; guard comes after them, so that what it
 * adds stays as it is.
 *
 * What has been counted has been through all of this: any level leaves it as it is (pipeline_run).
 */
static const char first[] = "positive-zero";
static const char clean[] = "read-bits,fold-constants,simplify-shapes,fold-identities", cut[] = "split";
static const char optimize[] = "merge-affine,fold-constants,dedup-constants,piecewise,skip";
static const char last[] = "guard,dead-code";
static const char lowering[] = "lower";

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\n")] == '\0';
}

static void add_part(Text *text, const char *part)
{
    if (!is_blank(part))
        text_add(text, "%s%s", text->len ? "," : "", part);
}

char *pipeline_text(Arena *arena, const PipelineOptions *o)
{
    bool argument = o->result && strcmp(o->result, "value") != 0;
    Text text = text_new(arena);
    if (!o->passes || argument || o->compute_f64)
        add_part(&text, "inline,memorize");
    if (argument)
        add_part(&text, str_printf(arena, "result(value=%s)", o->result));
    if (o->compute_f64)
        add_part(&text, "widen");
    if (o->passes) {
        add_part(&text, o->passes);
    } else {
        add_part(&text, first);
        add_part(&text, o->level > 0 ? clean : "");
        add_part(&text, o->level > 1 ? cut : "");
        add_part(&text, o->level > 0 ? optimize : "");
        add_part(&text, last);
        add_part(&text, o->level > 1 ? lowering : "");
    }
    if (o->count_ops)
        add_part(&text, "count-ops");
    return text.at ? text.at : str_dup(arena, "");
}

/* ---- reading ---- */

typedef struct Reader { Arena *arena; Diags *diags; const char *text, *at; } Reader;

static void skip_space(Reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
}

/* The longest run of letters, digits, '-', '_' and '.'; "" when there is none. */
static char *read_word(Reader *r)
{
    skip_space(r);
    const char *begin = r->at;
    while (isalnum((unsigned char)*r->at) || (*r->at && strchr("-_.+", *r->at)))
        r->at++;
    char *word = str_ndup(r->arena, begin, (size_t)(r->at - begin));
    skip_space(r);
    return word;
}

static bool accept(Reader *r, char c)
{
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

static bool syntax_error(Reader *r, const char *expected)
{
    if (*r->at)
        diag_error(r->diags, NOWHERE, "expected %s at `%s` in `--passes=%s`", expected, r->at, r->text);
    else
        diag_error(r->diags, NOWHERE, "expected %s at the end of `--passes=%s`", expected, r->text);
    return false;
}

/* Whether `key=value` is in "key=a|b; key=a|b". */
static bool option_is_legal(Arena *arena, const Pass *pass, const char *key, const char *value)
{
    char *save = NULL, *save_value = NULL;
    for (char *row = strtok_r(str_dup(arena, pass->options), "; ", &save); row; row = strtok_r(NULL, "; ", &save)) {
        char *equals = strchr(row, '=');
        *equals = '\0';
        if (strcmp(row, key) != 0)
            continue;
        for (char *v = strtok_r(equals + 1, "|", &save_value); v; v = strtok_r(NULL, "|", &save_value))
            if (strcmp(v, value) == 0)
                return true;
    }
    return false;
}

/* `(key=value, …)`, after the parenthesis. */
static bool read_options(Reader *r, Step *step)
{
    Vec(PassOption) options = {0};
    do {
        PassOption o = {.key = read_word(r)};
        if (!*o.key)
            return syntax_error(r, "the name of an option");
        if (!accept(r, '='))
            return syntax_error(r, "`=`");
        o.value = read_word(r);
        if (!option_is_legal(r->arena, step->pass, o.key, o.value)) {
            diag_error(r->diags, NOWHERE, "pass `%s` has no option `%s=%s`%s%s", step->pass->name, o.key, o.value,
                       *step->pass->options ? "; it takes " : "; it takes none", step->pass->options);
            return false;
        }
        vec_push(r->arena, options, o);
    } while (accept(r, ','));
    if (!accept(r, ')'))
        return syntax_error(r, "`,` or `)`");
    skip_space(r);
    step->option = options.at;
    step->n_options = options.len;
    return true;
}

static bool read_step(Reader *r, Step *step)
{
    const char *name = read_word(r);
    if (!*name)
        return syntax_error(r, "the name of a pass");
    step->pass = pass_named(name);
    if (!step->pass) {
        const char *near = pass_nearest(name);
        if (near)
            diag_error(r->diags, NOWHERE, "unknown pass `%s`; did you mean `%s`?", name, near);
        else
            diag_error(r->diags, NOWHERE, "unknown pass `%s`; `--help` lists the passes", name);
        return false;
    }
    return !accept(r, '(') || read_options(r, step);
}

bool pipeline_parse(Arena *arena, Diags *diags, const char *text, bool named, Pipeline *out)
{
    Reader r = {arena, diags, text, text};
    *out = (Pipeline){0};
    skip_space(&r);
    if (!*r.at)                   /* --passes= : none at all */
        return true;
    do {
        Step step = {.named = named};
        if (!read_step(&r, &step))
            return false;
        vec_push(arena, out->steps, step);
    } while (accept(&r, ','));
    return *r.at ? syntax_error(&r, "`,`") : true;
}

/* ---- order ---- */

unsigned pipeline_given(const Module *m)
{
    bool inlined = true, memorized = true, guarded = true, counted = false;      /* one counted network is enough: nothing may change it */
    for (size_t i = 0; i < m->networks.len; i++) {
        const Network *net = m->networks.at[i];
        OpWalk walk;
        FOR_EACH_OP(walk, op, net) {
            inlined &= op->kind != OP_call;
            memorized &= op->kind != OP_memorize;
        }
        counted |= network_is_counted(net);
        guarded &= network_is_guarded(net);
    }
    return (inlined ? PROP_inlined : 0u) | (memorized ? PROP_memorized : 0u) | (guarded ? PROP_guarded : 0u) | (counted ? PROP_counted : 0u);
}

bool pipeline_has_ended(const Module *m)
{
    for (size_t i = 0; i < m->networks.len; i++)
        if (!network_is_counted(m->networks.at[i]))
            return false;
    return m->networks.len > 0;
}

/* A pass that gives `property`, for messages. */
static const char *giver(unsigned property)
{
    size_t n;
    const Pass *pass = pass_list(&n);
    for (size_t i = 0; i < n; i++)
        if (pass[i].gives & property)
            return pass[i].name;
    ICE("no pass gives property %u", property);
}

static unsigned lowest(unsigned set)
{
    return set & -set;
}

bool pipeline_check(Diags *diags, const Pipeline *pipeline, unsigned given)
{
    unsigned have = given;
    for (size_t i = 0; i < pipeline->steps.len; i++) {
        const Pass *pass = pipeline->steps.at[i].pass;
        unsigned missing = pass->needs & ~have, broken = pass->breaks & have;
        if (missing) {
            diag_error(diags, NOWHERE, "pass `%s` needs `%s` before it", pass->name, giver(lowest(missing)));
            return false;
        }
        if (broken) {
            diag_error(diags, NOWHERE, "pass `%s` cannot run after `%s`%s: it would undo what that one established",
                       pass->name, giver(lowest(broken)), given & broken ? " (which the input has seen)" : "");
            return false;
        }
        have |= pass->gives;
    }
    return true;
}
