/* load.c — a file becomes a module, by the suffix of its name.
 *
 *      .cnet → the language      .cnir → the IR's own text      .onnx .onnx.gz .nnet → imports
 *
 * What the command line says about a network (its box, numerics, …) is put on imported ones here; a .cnet says it
 * itself, and a .cnir carries it.
 */
#include "formats.h"

#include <string.h>

static const char help[] = "known are .cnet .cnir .onnx .onnx.gz .nnet";

static Module *load_cnet(Arena *arena, Diags *diags, const char *path, const LoadOptions *options, FileList *depends)
{
    Bytes text;
    if (!file_read(arena, diags, NOWHERE, path, &text))
        return NULL;
    if (text.len > UINT32_MAX / 2) {
        diag_error(diags, NOWHERE, "`%s` has %zu bytes, which no program text has; data belong into weight files", path, text.len);
        return NULL;
    }
    Module *m = fe_parse_cnet(arena, diags, path, (const char *)text.at, text.len, options, depends);
    if (m)
        m->source_hash = hash_bytes(text.at, text.len);
    return m;
}

static Module *load_import(Arena *arena, Diags *diags, const char *path, const LoadOptions *options)
{
    Bytes bytes;
    if (!file_read(arena, diags, NOWHERE, path, &bytes)) /* for the hash; mapped, so the import's own reading is free */
        return NULL;
    Module *m = module_new(arena, diags);
    m->source_name = path;
    m->source_hash = hash_bytes(bytes.at, bytes.len);
    file_done_with(bytes.at, bytes.len);
    Network *net = str_ends(path, ".nnet") ? fe_import_nnet(m, path, NULL, NOWHERE) : fe_import_onnx(m, path, NULL, NOWHERE);
    if (!net)
        return NULL;
    if (options) {
        net->options.contract = options->contract_fma ? CONTRACT_fma : CONTRACT_off;
        net->options.outside = options->outside;
        net->options.numerics = options->numerics;
    }
    return options && options->box && !fe_set_box(net, options->box) ? NULL : m;
}

Module *fe_load(Arena *arena, Diags *diags, const char *path, const LoadOptions *options, FileList *depends)
{
    bool cnet = str_ends(path, ".cnet"), cnir = str_ends(path, ".cnir");
    bool import = str_ends(path, ".onnx") || str_ends(path, ".onnx.gz") || str_ends(path, ".nnet");
    if (depends)
        vec_push(arena, depends->names, path);
    if (cnet)
        return load_cnet(arena, diags, path, options, depends);
    if (cnir)
        return ir_read(arena, diags, path);
    if (import)
        return load_import(arena, diags, path, options);
    diag_error(diags, NOWHERE, "cannot tell what kind of file `%s` is by its name; %s", path, help);
    return NULL;
}
