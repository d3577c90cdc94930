/* load.c — the functions of backend.h as libcnet offers them: each opens libcnet-llvm.so on the first call of any.
 *
 * In: calls. Out: the same calls, to the table in the plugin (plugin.h says why). The table's address is the one piece
 * of state a process keeps, written once.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const BackEnd *back_end;

/* Beside libcnet, by its whole path: a sanitizer that intercepts dlopen would search along its own run path, not ours.
 * Else wherever the dynamic linker looks. */
static void *open_plugin(void)
{
    static const char name[] = "libcnet-llvm.so";
    Dl_info us;
    char path[4096];
    if (dladdr(&once, &us) && us.dli_fname && strrchr(us.dli_fname, '/')) {
        int folder = (int)(strrchr(us.dli_fname, '/') - us.dli_fname);
        int len = snprintf(path, sizeof path, "%.*s/%s", folder, us.dli_fname, name);
        void *plugin = len > 0 && (size_t)len < sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (plugin)
            return plugin;
    }
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

/* A plugin of another version has other ideas of the structs it is handed: it is not used. */
static void load(void)
{
    void *plugin = open_plugin();
    const BackEnd *found = plugin ? dlsym(plugin, BACK_END_SYMBOL) : NULL;
    if (found && found->size == sizeof *found && strcmp(found->version, CNET_VERSION) == 0)
        back_end = found;
}

static const BackEnd *loaded(void)
{
    pthread_once(&once, load);
    return back_end;
}

/* The back end, or NULL and a report: an installation without libcnet-llvm.so can still import, run the interpreter and
 * print IR. */
static const BackEnd *needed(Diags *diags)
{
    if (!loaded())
        diag_error(diags, NOWHERE, "cannot load libcnet-llvm.so, which holds the LLVM back end; is it installed beside libcnet, in the same version?");
    return back_end;
}

bool be_emit(const Module *m, Diags *diags, const TargetOptions *options, EmitKind kind, OutFile *out)
{
    return needed(diags) && back_end->emit(m, diags, options, kind, out);
}

NetworkSizes be_sizes(const Network *net, const TargetOptions *options)
{
    return needed(net->module->diags) ? back_end->sizes(net, options) : (NetworkSizes){0};
}

char *be_symbol(Arena *arena, const Network *net, const TargetOptions *options)
{
    return needed(net->module->diags) ? back_end->symbol(arena, net, options) : str_dup(arena, net->name);
}

bool be_header(const Module *m, Diags *diags, const TargetOptions *options, OutFile *out)
{
    return needed(diags) && back_end->header(m, diags, options, out);
}

Jit *be_jit(Arena *arena, const Network *net, const TargetOptions *options, int level)
{
    return needed(net->module->diags) ? back_end->jit(arena, net, options, level) : NULL;
}

int be_jit_run(Jit *jit, const void *const *inputs, void *const *outputs, Counts *counts)
{
    return back_end->jit_run(jit, inputs, outputs, counts);
}

bool be_jit_batch(Jit *jit, size_t n, const void *const *inputs, void *const *outputs, const ptrdiff_t *strides, int *status)
{
    return back_end->jit_batch(jit, n, inputs, outputs, strides, status);
}

const char *be_llvm_version(void) { return loaded() ? back_end->llvm_version() : "not loaded"; }

char *be_targets(Arena *arena) { return loaded() ? back_end->targets(arena) : str_dup(arena, ""); }
