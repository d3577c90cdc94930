/* jit.c — the same code, in this process: ORC's LLJIT.
 *
 * In: one network. Out: its generic entry, NAME_run, as a function pointer. The one idea: constants never go through
 * LLVM. They lie in memory of ours, converted once where a kernel wants another order and otherwise in the model's own
 * bytes, and the code holds their addresses.
 */
#include "gen.h"

#include <llvm-c/Error.h>
#include <stdlib.h>
#include <string.h>

struct Jit {
    Arena *arena;
    LLVMOrcLLJITRef jit;
    LLVMOrcThreadSafeContextRef context;
    LLVMTargetMachineRef machine;
    LLVMBuilderRef builder;       /* while compiling; the module until ORC has it */
    LLVMModuleRef module;
    int (*run)(const void *const *in, void *const *out, void *scratch, uint64_t *counts);
    int (*batch)(size_t n, const void *const *in, void *const *out, const ptrdiff_t *strides);   /* NULL: none */
    void *scratch;
};

static void release(void *object)
{
    Jit *j = object;
    if (j->builder)
        LLVMDisposeBuilder(j->builder);
    if (j->module)
        LLVMDisposeModule(j->module);
    if (j->machine)
        LLVMDisposeTargetMachine(j->machine);
    if (j->jit) {
        LLVMErrorRef error = LLVMOrcDisposeLLJIT(j->jit);
        if (error)
            LLVMConsumeError(error);
    }
    if (j->context)
        LLVMOrcDisposeThreadSafeContext(j->context);
}

/* Reports an error of LLVM's, if it is one. */
static bool failed(Diags *diags, LLVMErrorRef error)
{
    if (!error)
        return false;
    char *message = LLVMGetErrorMessage(error);
    diag_error(diags, NOWHERE, "cannot compile in this process: %s", message);
    LLVMDisposeErrorMessage(message);
    return true;
}

/* The host at the wanted level (0: its best), as a target of one level. */
static bool host_target(Arena *arena, Diags *diags, const TargetOptions *options, int level, Target *t)
{
    TargetOptions host = *options;
    host.triple = NULL;
    host.freestanding = false;
    host.debug_info = false;
    host.pic = true;
    int best = be_host_level();
    if (best == 0) {
        if (level != 0) {
            diag_error(diags, NOWHERE, "levels exist on x86-64 only");
            return false;
        }
        return be_target(arena, diags, &host, t);
    }
    if (level < 0 || level > 4 || level > best) {
        diag_error(diags, NOWHERE, "this CPU runs x86-64-v%d at most, not v%d", best, level);
        return false;
    }
    host.march = host.features = NULL;
    host.no_dispatch = false;
    if (!be_target(arena, diags, &host, t))
        return false;
    Level wanted = t->level[(level ? level : best) - 1];
    t->cpu = wanted.cpu;
    wanted.name = "";
    wanted.cpu = NULL;
    wanted.same_vectors = NULL;
    t->level[0] = wanted;
    t->n_levels = 1;
    t->dispatch = false;
    t->max_stack = options->max_stack ? options->max_stack : 65536;
    return true;
}

static bool create(Jit *j, Diags *diags, const Target *t)
{
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(be_machine(t)));
    return !failed(diags, LLVMOrcCreateLLJIT(&j->jit, builder));
}

static bool compile(Jit *j, Emitter *e, const Network *net)
{
    LLVMContextRef context;
    j->context = compat_orc_context(&context);
    be_emitter_init(e, j->arena, e->diags, e->options, context);
    e->jit = true;
    j->module = e->module = LLVMModuleCreateWithNameInContext("cnet", context);
    LLVMSetDataLayout(e->module, LLVMOrcLLJITGetDataLayoutStr(j->jit));
    LLVMSetTarget(e->module, LLVMOrcLLJITGetTripleString(j->jit));
    e->data = LLVMGetModuleDataLayout(e->module);
    j->builder = e->b = LLVMCreateBuilderInContext(context);
    if (!be_network(e, net))
        return false;                             /* released with the arena, as when memory ends on the way */
    LLVMDisposeBuilder(j->builder);
    j->builder = NULL;
    be_optimise(e, j->machine);
    j->module = NULL;
    LLVMOrcThreadSafeModuleRef module = LLVMOrcCreateNewThreadSafeModule(e->module, j->context);
    return !failed(e->diags, LLVMOrcLLJITAddLLVMIRModule(j->jit, LLVMOrcLLJITGetMainJITDylib(j->jit), module));
}

/* The address of NAME and the suffix; 0 and a report if there is none. */
static uintptr_t find(Jit *j, const Emitter *e, const Network *net, const char *suffix)
{
    LLVMOrcExecutorAddress address;
    char *name = str_printf(j->arena, "%s%s", be_symbol(j->arena, net, e->options), suffix);
    return failed(e->diags, LLVMOrcLLJITLookup(j->jit, &address, name)) ? 0 : (uintptr_t)address;
}

Jit *be_jit(Arena *arena, const Network *net, const TargetOptions *options, int level)
{
    Jit *j = NEW(arena, Jit);
    Diags *diags = net->module->diags;
    Emitter state = {.diags = diags, .options = options}, *e = &state;
    j->arena = arena;
    arena_defer(arena, release, j);
    if (!host_target(arena, diags, options, level, &e->target) || !create(j, diags, &e->target))
        return NULL;
    j->machine = be_machine(&e->target);
    if (!compile(j, e, net))
        return NULL;
    Plan plan = be_plan(arena, &e->target, net);
    uintptr_t run = find(j, e, net, "_run"), batch = 0;
    if (run && be_batch_shares(e, net, &plan))
        batch = find(j, e, net, "_run_batch");
    if (!run)
        return NULL;
    memcpy(&j->run, &run, sizeof run);
    memcpy(&j->batch, &batch, sizeof batch);
    uint64_t scratch = be_scratch_bytes(&e->target, &plan);
    j->scratch = scratch ? arena_big(arena, scratch, 64) : NULL;
    return j;
}

/* cnet_counts has more fields than Counts; the first four are the same. */
int be_jit_run(Jit *j, const void *const *inputs, void *const *outputs, Counts *counts)
{
    if (!counts)
        return j->run(inputs, outputs, j->scratch, NULL);
    uint64_t wide[8] = {0};
    int status = j->run(inputs, outputs, j->scratch, wide);
    counts->add += wide[0];
    counts->mul += wide[1];
    counts->cmp += wide[2];
    counts->other += wide[3];
    return status;
}

bool be_jit_batch(Jit *j, size_t n, const void *const *inputs, void *const *outputs, const ptrdiff_t *strides, int *status)
{
    if (j->batch)
        *status = j->batch(n, inputs, outputs, strides);
    return j->batch != NULL;
}
