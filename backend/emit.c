/* emit.c — a module of networks as one file: LLVM IR, bitcode, assembly or an object.
 *
 *      for each entry network:  plan → a body for each level → dispatch → entry points → descriptor
 *      then:  verify, a light optimisation, code generation (output.c)
 *
 * In: IR. Out: a file that is complete or absent. The one idea: what is emitted is already the code that is wanted
 * (vectors, unrolled loops, raw tables), so the optimiser only makes registers of allocas and folds; compile time stays
 * near that of code generation itself.
 */
#include "gen.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>

/* ---- the module ---- */

void be_attribute(Emitter *e, LLVMValueRef fn, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(e->c, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

/* Level NULL: the target's baseline. */
void be_attributes(Emitter *e, LLVMValueRef fn, const Level *level)
{
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->c, nounwind, 0));
    be_attribute(e, fn, "no-builtins", "");       /* no loop may become a call of memcpy or memset */
    if (level && level->cpu)
        be_attribute(e, fn, "target-cpu", level->cpu);
    if (level && e->target.arch == ARCH_X86_64) {
        be_attribute(e, fn, "prefer-vector-width", level->vector_bytes == 64 ? "512" : level->vector_bytes == 32 ? "256" : "128");
        if (level->vector_bytes == 64)
            be_attribute(e, fn, "min-legal-vector-width", "512");
    }
}

void be_emitter_init(Emitter *e, Arena *arena, Diags *diags, const TargetOptions *options, LLVMContextRef context)
{
    e->arena = arena;
    e->diags = diags;
    e->options = options;
    e->c = context;
    e->i1 = LLVMInt1TypeInContext(context);
    e->i8 = LLVMInt8TypeInContext(context);
    e->i32 = LLVMInt32TypeInContext(context);
    e->i64 = LLVMInt64TypeInContext(context);
    e->ptr = LLVMPointerTypeInContext(context, 0);
    e->void_ = LLVMVoidTypeInContext(context);
    e->size = e->target.pointer_bits == 32 ? e->i32 : e->i64;
}

/* ---- one network ---- */

/* Fused multiply-add must be one instruction: elsewhere it is a library call, or not the same bits. */
static bool can_contract(Emitter *e, const Network *net)
{
    if (net->options.contract == CONTRACT_off)
        return true;
    for (uint32_t i = 0; i < e->target.n_levels; i++)
        if (e->target.level[i].fma)
            return true;
    diag_error(e->diags, net->span, "--fp-contract=fma: %s on %s has no fused multiply-add", e->target.cpu, e->target.triple);
    if (e->target.arch == ARCH_X86_64)
        diag_note(e->diags, NOWHERE, "-march=x86-64-v3 and above have it; without -march, bodies for these are chosen at run time");
    return false;
}

/* What an embedded target computes in software would be calls of a runtime library. */
static bool can_be_freestanding(Emitter *e, const Network *net)
{
    if (!e->options->freestanding || e->target.arch != ARCH_ARM)
        return true;
    for (Value v = 1; v < net->values.len; v++)
        if (value_type(net, v).elem == ELEM_F64) {
            diag_error(e->diags, net->span, "--freestanding: %s has no f64 arithmetic, which `%s` uses", e->target.cpu, net->name);
            return false;
        }
    return true;
}

enum { MOST_BITS = 16384 };                       /* a product and a quotient of these take 4 seconds to compile; of twice these, 17 */

static bool is_narrow_enough(Emitter *e, const Network *net)
{
    for (Value v = 1; v < net->values.len; v++) {
        Type t = value_type(net, v);
        if (t.elem == ELEM_INT && t.n > MOST_BITS) {
            diag_error(e->diags, net->span, "`%s` has integers of %u bits; machine code is made for %d at most", net->name, t.n, MOST_BITS);
            diag_note(e->diags, NOWHERE, "the interpreter takes them: cnetc run --engine=interp");
            return false;
        }
    }
    return true;
}

static bool is_memorized(Emitter *e, const Network *net)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_memorize) {
            diag_error(e->diags, op->span, "`%s` holds data that no pass has made a network of: --passes must begin with memorize",
                       net->name);
            return false;
        }
    return true;
}

typedef enum Body { BODY_eval, BODY_counted, BODY_batch } Body;

static bool bodies(Emitter *e, const Network *net, const Plan *plan, Body kind, LLVMValueRef *body)
{
    static const char *const internal[] = {".body", ".counted", ".batch"}, *const visible[] = {"_eval_", NULL, "_eval_batch_"};
    char *symbol = be_symbol(e->arena, net, e->options);
    for (uint32_t i = 0; i < e->target.n_levels; i++) {
        const Level *level = &e->target.level[i];
        body[i] = NULL;
        if (net->options.contract == CONTRACT_fma && !level->fma)
            continue;
        char *name = str_printf(e->arena, "%s%s%s%s", symbol, internal[kind], *level->name ? "." : "", level->name);
        body[i] = kind == BODY_batch ? be_batch_body(e, net, level, name) : be_body(e, net, plan, level, name, kind == BODY_counted);
        if (!body[i])
            return false;
        LLVMSetLinkage(body[i], LLVMInternalLinkage);
        char *alone = str_printf(e->arena, "%s%s%s", symbol, visible[kind] ? visible[kind] : "", level->name);
        if (visible[kind] && *level->name)
            LLVMAddAlias2(e->module, LLVMGlobalGetValueType(body[i]), 0, body[i], alone);
    }
    return true;
}

static bool calls_nobody(Emitter *e, const Network *net)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_call) {
            diag_error(e->diags, op->span, "`%s` still calls another network: the pass `inline` must come before code generation", net->name);
            return false;
        }
    return true;
}

bool be_network(Emitter *e, const Network *net)
{
    if (!can_contract(e, net) || !can_be_freestanding(e, net) || !calls_nobody(e, net) || !is_narrow_enough(e, net) ||
        !is_memorized(e, net))
        return false;
    Plan plan = be_plan(e->arena, &e->target, net);
    char *symbol = be_symbol(e->arena, net, e->options);
    LLVMValueRef body[MAX_LEVELS], counted = NULL, batch = NULL;
    if (!bodies(e, net, &plan, BODY_eval, body))
        return false;
    LLVMSetCurrentDebugLocation2(e->b, NULL);
    LLVMValueRef eval = be_dispatch(e, str_printf(e->arena, "%s.eval", symbol), be_signature(e, net, &plan, false), body);
    if (network_is_counted(net)) {
        if (!bodies(e, net, &plan, BODY_counted, body))
            return false;
        LLVMSetCurrentDebugLocation2(e->b, NULL);
        counted = be_dispatch(e, str_printf(e->arena, "%s.eval_counted", symbol), be_signature(e, net, &plan, true), body);
    }
    if (be_batch_shares(e, net, &plan)) {
        if (!bodies(e, net, &plan, BODY_batch, body))
            return false;
        LLVMSetCurrentDebugLocation2(e->b, NULL);
        batch = be_dispatch(e, str_printf(e->arena, "%s.eval_batch", symbol), be_batch_signature(e, net, &plan), body);
    }
    be_entry_points(e, net, &plan, eval, counted, batch);
    return true;
}

/* ---- optimising and verifying ---- */

bool be_optimise(Emitter *e, LLVMTargetMachineRef machine)
{
    char *why = NULL;
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &why))
        ICE("invalid LLVM IR: %s", why);
    LLVMDisposeMessage(why);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(e->module, "function(sroa,early-cse)", machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error)
        ICE("LLVM's passes: %s", LLVMGetErrorMessage(error));
    return true;
}

/* ---- output ---- */

typedef struct Owned {
    LLVMContextRef c;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    LLVMTargetDataRef data;
} Owned;

static void release(void *object)
{
    Owned *o = object;
    if (o->builder)
        LLVMDisposeBuilder(o->builder);
    if (o->module)
        LLVMDisposeModule(o->module);
    if (o->data)
        LLVMDisposeTargetData(o->data);
    if (o->machine)
        LLVMDisposeTargetMachine(o->machine);
    if (o->c)
        LLVMContextDispose(o->c);
}

static Owned *own(Emitter *e, const Module *m)
{
    Owned *o = NEW(e->arena, Owned);
    arena_defer(e->arena, release, o);
    o->c = LLVMContextCreate();
    o->module = e->module = LLVMModuleCreateWithNameInContext("cnet", o->c);
    o->builder = e->b = LLVMCreateBuilderInContext(o->c);
    o->machine = be_machine(&e->target);
    o->data = e->data = LLVMCreateTargetDataLayout(o->machine);
    LLVMSetTarget(o->module, e->target.triple);
    LLVMSetModuleDataLayout(o->module, o->data);
    const char *name = m->source_name ? m->source_name : "network", *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    LLVMSetSourceFileName(o->module, name, strlen(name));
    return o;
}

/* Facts of the whole module that code generation reads from flags. */
static void module_flags(Emitter *e)
{
    if (e->target.abi && e->target.arch == ARCH_RISCV64)
        LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorError, "target-abi", 10,
                          LLVMMDStringInContext2(e->c, e->target.abi, strlen(e->target.abi)));
    if (e->target.pic)
        LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorError, "PIC Level", 9,
                          LLVMValueAsMetadata(LLVMConstInt(e->i32, 2, 0)));
}

static bool emit(Arena *arena, const Module *m, Diags *diags, const TargetOptions *options, EmitKind kind, OutFile *out)
{
    Emitter state = {0}, *e = &state;
    if (!be_target(arena, diags, options, &e->target) || !be_symbols_differ(m, diags, options))
        return false;
    e->arena = arena;
    LateList late = {0};
    if (kind == EMIT_OBJECT && be_is_elf(e->target.triple) && be_has_file(out))
        e->late = &late;
    Owned *o = own(e, m);
    be_emitter_init(e, arena, diags, options, o->c);
    module_flags(e);
    be_debug_begin(e, m);
    for (size_t i = 0; i < m->networks.len; i++)
        if (network_is_entry(m->networks.at[i]) && !be_network(e, m->networks.at[i]))
            return false;
    be_debug_end(e);
    be_optimise(e, o->machine);
    return be_write(e, o->machine, kind, out);
}

/* Everything LLVM is on a child arena, so that an unwinding out-of-memory releases it too. */
static Arena *child_of(const Module *m)
{
    Arena *arena = arena_new(m->arena);
    if (!arena)
        arena_exhausted(m->arena);
    return arena;
}

bool be_emit(const Module *m, Diags *diags, const TargetOptions *options, EmitKind kind, OutFile *out)
{
    Arena *arena = child_of(m);
    bool fine = emit(arena, m, diags, options, kind, out);
    arena_free(arena);
    return fine;
}

NetworkSizes be_sizes(const Network *net, const TargetOptions *options)
{
    Arena *arena = child_of(net->module);
    NetworkSizes sizes = {0};
    Target target;
    if (be_target(arena, diag_new(arena), options, &target)) {
        Plan plan = be_plan(arena, &target, net);
        sizes.scratch_bytes = be_scratch_bytes(&target, &plan);
        sizes.stack_bytes = plan.scratch ? 0 : plan.frame_bytes;
        ModelBytes bytes = be_model_bytes(&target, net);
        sizes.model_bytes = bytes.model;
        sizes.fallback_bytes = bytes.fallback;
    }
    arena_free(arena);
    return sizes;
}
