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
    fe_override(&net->options, options);
    return options && options->box && !fe_set_box(net, options->box) ? NULL : m;
}

/* A dump says everything itself, and its body may already be made for its box policy and contraction: to say otherwise
 * on the command line would be to lie about the body. */
static Module *load_dump(Arena *arena, Diags *diags, const char *path, const LoadOptions *options)
{
    Module *m = ir_read(arena, diags, path);
    for (size_t k = 0; m && k < m->networks.len; k++) {
        NetOptions *says = &m->networks.at[k]->options, before = *says;
        fe_override(says, options);
        if (says->contract != before.contract || says->outside != before.outside) {
            diag_error(diags, m->networks.at[k]->span, "network `%s` of a dump says its own contraction and box policy; change its options(...), "
                       "or compile its source anew", m->networks.at[k]->name);
            return NULL;
        }
    }
    if (m && options && options->box) {
        if (m->networks.len == 1 && m->networks.at[0]->n_inputs > 0 && !m->networks.at[0]->input[0].box)
            return fe_set_box(m->networks.at[0], options->box) ? m : NULL;
        diag_error(diags, NOWHERE, "--box is for a file of one network that has no box yet; edit the boxes in `%s`", path);
        return NULL;
    }
    return m;
}

void fe_override(NetOptions *net, const LoadOptions *options)
{
    if (!options)
        return;
    if (options->says & SAYS_numerics)
        net->numerics = options->net.numerics;
    if (options->says & SAYS_contract)
        net->contract = options->net.contract;
    if (options->says & SAYS_outside)
        net->outside = options->net.outside;
}

Module *fe_load(Arena *arena, Diags *diags, const char *path, const LoadOptions *options, FileList *depends)
{
    bool cnet = str_ends(path, ".cnet"), cnir = str_ends(path, ".cnir");
    bool import = str_ends(path, ".onnx") || str_ends(path, ".onnx.gz") || str_ends(path, ".nnet");
    if (depends)
        vec_push(arena, depends->names, path);
    if (cnet && options && options->box) {
        diag_error(diags, NOWHERE, "--box is for imported networks; `%s` says its boxes itself: x: f32[2] within (-1 to 1)", path);
        return NULL;
    }
    if (cnet)
        return load_cnet(arena, diags, path, options, depends);
    if (cnir)
        return load_dump(arena, diags, path, options);
    if (import)
        return load_import(arena, diags, path, options);
    diag_error(diags, NOWHERE, "cannot tell what kind of file `%s` is by its name; %s", path, help);
    return NULL;
}
