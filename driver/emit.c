/* emit.c — what compiling leaves behind: IR, LLVM IR, assembly, objects and their headers, libraries, dependency rules.
 *
 * In: a compiled session. Out: files, all of them complete or none there.
 */
#include "driver.h"

#include <string.h>

static const char *const suffixes[] = {
    [PRODUCT_IR] = ".cnir", [PRODUCT_LLVM] = ".ll", [PRODUCT_ASM] = ".s", [PRODUCT_BC] = ".bc", [PRODUCT_OBJ] = ".o",
    [PRODUCT_SHARED] = ".so", [PRODUCT_STATIC] = ".a", [PRODUCT_DOT] = ".dot", [PRODUCT_JSON] = ".json",
};

/* Texts that people read go to the terminal unless a file is named. */
static char *product_path(const Session *s)
{
    Product product = s->options->product;
    bool text = product == PRODUCT_IR || product == PRODUCT_DOT || product == PRODUCT_JSON;
    return text && !s->options->output ? str_dup(s->arena, "-") : session_output(s, suffixes[product]);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Everything that is written in one go; committed together. */
typedef struct Outputs { OutFile *file[4]; size_t n; } Outputs;

static OutFile *add_output(Session *s, Outputs *outputs, const char *path)
{
    OutFile *file = session_may_write(s, path) ? out_open(s->arena, s->diags, path) : NULL;
    if (file)
        outputs->file[outputs->n++] = file;
    return file;
}

/* ---- IR ---------------------------------------------------------------------------------------------------------------- */

static bool emit_ir(Session *s, Outputs *outputs, const char *path)
{
    OutFile *out = add_output(s, outputs, path);
    if (!out)
        return false;
    PrintOptions print = {.inline_all = s->options->inline_constants, .sites = true};
    if (strcmp(path, "-") != 0 && !print.inline_all && ir_needs_data(s->module)) {
        char *data = str_printf(s->arena, "%s.data", path);
        OutFile *side = add_output(s, outputs, data);
        if (!side)
            return false;
        print.data_name = base_name(data);
        print.data = out_stream(side);
    }
    ir_print(s->module, out_stream(out), &print);
    return true;
}

/* ---- dependency rules ------------------------------------------------------------------------------------------------------ */

static void put_escaped(FILE *out, const char *path)
{
    for (; *path; path++) {
        if (*path == ' ' || *path == '#' || *path == '\\')
            fputc('\\', out);
        if (*path == '$')
            fputc('$', out);
        fputc(*path, out);
    }
}

static bool emit_deps(Session *s, Outputs *outputs, const char *target)
{
    const char *path = s->options->deps, *suffix = suffixes[s->options->product];
    if (!path && strcmp(target, "-") == 0) {
        diag_error(s->diags, NOWHERE, "-MD: the output is standard output; say where the rule goes: -MF FILE");
        return false;
    }
    if (!path)
        path = str_printf(s->arena, "%.*s.d", (int)(strlen(target) - (str_ends(target, suffix) ? strlen(suffix) : 0)), target);
    OutFile *file = add_output(s, outputs, path);
    if (!file)
        return false;
    FILE *out = out_stream(file);
    put_escaped(out, target);
    fputc(':', out);
    for (size_t i = 0; i < s->depends.names.len; i++) {
        fputs(" \\\n  ", out);
        put_escaped(out, s->depends.names.at[i]);
    }
    fputc('\n', out);
    return true;
}

/* ---- machine code --------------------------------------------------------------------------------------------------------------- */

/* Header beside the object: net.o and net.h. */
static bool emit_header(Session *s, Outputs *outputs, const char *object)
{
    const char *path = s->options->header;
    if (!path) {
        if (strcmp(object, "-") == 0)
            return true;
        size_t n = strlen(object);
        size_t suffix = strlen(suffixes[s->options->product]);
        if (str_ends(object, suffixes[s->options->product]))
            n -= suffix;
        path = str_printf(s->arena, "%.*s.h", (int)n, object);
    }
    OutFile *out = add_output(s, outputs, path);
    return out && be_header(s->module, s->diags, &s->options->target, out);
}

static bool emit_library(Session *s, Outputs *outputs, const char *path)
{
    if (strcmp(path, "-") == 0) {
        diag_error(s->diags, NOWHERE, "a library cannot go to standard output; name a file: -o FILE");
        return false;
    }
    OutFile *library = add_output(s, outputs, path);
    return library && make_library(s, path, out_path(library));
}

static bool emit_code(Session *s, Outputs *outputs, const char *path, EmitKind kind)
{
    OutFile *out = add_output(s, outputs, path);
    return out && be_emit(s->module, s->diags, &s->options->target, kind, out);
}

static bool emit_text(Session *s, Outputs *outputs, const char *path)
{
    OutFile *out = add_output(s, outputs, path);
    if (!out)
        return false;
    if (s->options->product == PRODUCT_DOT)
        emit_dot(s->module, out_stream(out));
    else
        ops_json(s, NULL, out_stream(out));
    return true;
}

/* Code promises a policy outside the box; with --passes the pass that keeps the promise may be missing. */
static bool guards_are_there(Session *s)
{
    for (size_t k = 0; k < s->module->networks.len; k++) {
        const Network *net = s->module->networks.at[k];
        bool boxed = false, guarded = false;
        for (uint32_t i = 0; i < net->n_inputs; i++)
            boxed |= net->input[i].box != 0;
        OpWalk walk;
        FOR_EACH_OP (walk, op, net)
            guarded |= op->kind == OP_within;
        if (boxed && !guarded && net->options.outside != OUTSIDE_promise) {
            diag_error(s->diags, NOWHERE, "`%s` has a box, but the pass `guard` did not run: add it to --passes, or say --outside=promise", net->name);
            return false;
        }
    }
    return true;
}

static bool emit_by_kind(Session *s, Outputs *outputs, const char *path)
{
    switch (s->options->product) {
    case PRODUCT_IR:     return emit_ir(s, outputs, path);
    case PRODUCT_LLVM:   return emit_code(s, outputs, path, EMIT_LLVM);
    case PRODUCT_ASM:    return emit_code(s, outputs, path, EMIT_ASM);
    case PRODUCT_BC:     return emit_code(s, outputs, path, EMIT_BITCODE);
    case PRODUCT_OBJ:    return emit_code(s, outputs, path, EMIT_OBJECT) && emit_header(s, outputs, path);
    case PRODUCT_SHARED:
    case PRODUCT_STATIC: return emit_library(s, outputs, path) && emit_header(s, outputs, path);
    case PRODUCT_DOT:
    case PRODUCT_JSON:   return emit_text(s, outputs, path);
    }
    ICE("no such product");
}

bool emit_product(Session *s)
{
    Outputs outputs = {0};
    char *path = product_path(s);
    Product product = s->options->product;
    bool code = product != PRODUCT_IR && product != PRODUCT_DOT && product != PRODUCT_JSON;
    if (code && !guards_are_there(s))
        return false;
    if (!emit_by_kind(s, &outputs, path) || diag_errors(s->diags) > 0)
        return false;
    if (s->options->write_deps && !emit_deps(s, &outputs, path))
        return false;
    return out_commit_all(outputs.file, outputs.n, s->diags);
}
