/* debug.c — -g: a line table, so that debuggers and profilers show the .cnet or .cnir line of an instruction.
 *
 * In: the spans of ops. Out: one compile unit, a subprogram for each body, a location for each instruction. Needs the
 * source's text for line numbers; ops without a place (imported ones) get line 0.
 */
#include "gen.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

struct Debug {
    LLVMDIBuilderRef d;
    LLVMMetadataRef file, scope;
};

static void module_number(Emitter *e, const char *key, uint32_t value)
{
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, key, strlen(key), LLVMValueAsMetadata(LLVMConstInt(e->i32, value, 0)));
}

void be_debug_begin(Emitter *e, const Module *m)
{
    if (!e->options->debug_info)
        return;
    struct Debug *g = e->debug = NEW(e->arena, struct Debug);
    module_number(e, "Debug Info Version", LLVMDebugMetadataVersion());
    module_number(e, "Dwarf Version", 4);
    const char *name = m->source_name ? m->source_name : "network", producer[] = "cnetc " CNET_VERSION;
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    g->d = LLVMCreateDIBuilder(e->module);
    g->file = LLVMDIBuilderCreateFile(g->d, name, strlen(name), ".", 1);
    LLVMDIBuilderCreateCompileUnit(g->d, LLVMDWARFSourceLanguageC99, g->file, producer, strlen(producer), 1, "", 0, 0, "", 0,
                                   LLVMDWARFEmissionLineTablesOnly, 0, 0, 0, "", 0, "", 0);
}

void be_debug_function(Emitter *e, LLVMValueRef fn, const Network *net)
{
    if (!e->debug)
        return;
    size_t len;
    const char *name = LLVMGetValueName2(fn, &len);
    unsigned line = diag_line(e->diags, net->span);
    LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(e->debug->d, e->debug->file, NULL, 0, 0);
    e->debug->scope = LLVMDIBuilderCreateFunction(e->debug->d, e->debug->file, net->name, strlen(net->name), name, len,
                                                  e->debug->file, line, type, 1, 1, line, 0, 1);
    LLVMSetSubprogram(fn, e->debug->scope);
    LLVMSetCurrentDebugLocation2(e->b, LLVMDIBuilderCreateDebugLocation(e->c, line, 1, e->debug->scope, NULL));
}

void be_debug_place(Emitter *e, Span span)
{
    if (e->debug)
        LLVMSetCurrentDebugLocation2(e->b, LLVMDIBuilderCreateDebugLocation(e->c, diag_line(e->diags, span), 1, e->debug->scope, NULL));
}

/* Kernels belong to many lines, so to none. Returns what to go back to. */
LLVMMetadataRef be_debug_leave(Emitter *e)
{
    LLVMMetadataRef here = e->debug ? LLVMGetCurrentDebugLocation2(e->b) : NULL;
    if (e->debug)
        LLVMSetCurrentDebugLocation2(e->b, NULL);
    return here;
}

void be_debug_return(Emitter *e, LLVMMetadataRef here)
{
    if (e->debug)
        LLVMSetCurrentDebugLocation2(e->b, here);
}

void be_debug_end(Emitter *e)
{
    if (!e->debug)
        return;
    LLVMDIBuilderFinalize(e->debug->d);
    LLVMDisposeDIBuilder(e->debug->d);
    e->debug = NULL;
}
