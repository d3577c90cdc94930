/* targets.c — from --target, -march and the contraction to a list of levels.
 *
 * In: TargetOptions. Out: a Target, or a diagnostic that says what to write instead. The one idea: what a CPU can do
 * (width of vectors, fused multiply-add) is not looked up in tables of ours but asked of the code generator itself: it
 * compiles two instructions, and the answer is in its assembly (probe).
 */
#include "gen.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <stdlib.h>
#include <string.h>

typedef struct ArchRow {
    Arch arch;
    const char *prefixes;         /* of a triple's first word, separated by spaces */
    const char *name;             /* LLVM's */
    void (*init)(void);
} ArchRow;

#define INIT(T) \
    static void init_##T(void) \
    { \
        LLVMInitialize##T##TargetInfo(); \
        LLVMInitialize##T##Target(); \
        LLVMInitialize##T##TargetMC(); \
        LLVMInitialize##T##AsmParser(); \
        LLVMInitialize##T##AsmPrinter(); \
    }
#ifdef CNET_NO_LLVM_TARGET_X86
#error "LLVM without its X86 target cannot run what it compiles here"
#endif
INIT(X86)
INIT(AArch64)
INIT(ARM)
INIT(RISCV)
INIT(WebAssembly)

static const ArchRow archs[] = {
    {ARCH_X86_64, "x86_64 amd64", "x86-64", init_X86},
    {ARCH_AARCH64, "aarch64 arm64", "aarch64", init_AArch64},
    {ARCH_ARM, "arm thumb", "arm", init_ARM},
    {ARCH_RISCV64, "riscv64", "riscv64", init_RISCV},
    {ARCH_WASM32, "wasm32", "wasm32", init_WebAssembly},
};
enum { N_ARCHS = sizeof archs / sizeof *archs };

const char *be_llvm_version(void)
{
    return LLVM_VERSION_STRING;
}

char *be_targets(Arena *arena)
{
    Text text = text_new(arena);
    for (int i = 0; i < N_ARCHS; i++)
        text_add(&text, "%s%s", i ? " " : "", archs[i].name);
    return text.at;
}

/* ---- the host ---- */

int be_host_level(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("x86-64-v4"))
        return 4;
    if (__builtin_cpu_supports("x86-64-v3"))
        return 3;
    if (__builtin_cpu_supports("x86-64-v2"))
        return 2;
    return 1;
#else
    return 0;
#endif
}

/* Copies a string of LLVM's to the arena. */
static const char *taken(Arena *arena, char *message)
{
    const char *copy = str_dup(arena, message);
    LLVMDisposeMessage(message);
    return copy;
}

/* ---- CPU names: LLVM only warns about one it does not know ---- */

static const char *const x86_cpus[] = {
    "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "nehalem", "westmere", "sandybridge", "ivybridge", "haswell", "broadwell",
    "skylake", "skylake-avx512", "cascadelake", "cooperlake", "cannonlake", "icelake-client", "icelake-server", "tigerlake",
    "rocketlake", "alderlake", "raptorlake", "meteorlake", "arrowlake", "lunarlake", "sapphirerapids", "emeraldrapids",
    "graniterapids", "sierraforest", "bonnell", "silvermont", "goldmont", "goldmont-plus", "tremont", "gracemont", "knl", "knm",
    "core2", "penryn", "k8", "opteron", "athlon64", "amdfam10", "barcelona", "btver1", "btver2", "bdver1", "bdver2", "bdver3",
    "bdver4", "znver1", "znver2", "znver3", "znver4", "znver5"};
static const char *const arm_cpus[] = {
    "generic", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85",
    "cortex-r5", "cortex-r7", "cortex-r8", "cortex-r52"};
static const char *const aarch64_cpus[] = {
    "generic", "cortex-a34", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a65", "cortex-a72", "cortex-a73",
    "cortex-a75", "cortex-a76", "cortex-a77", "cortex-a78", "cortex-a510", "cortex-a520", "cortex-a710", "cortex-a715",
    "cortex-a720", "cortex-x1", "cortex-x2", "cortex-x3", "cortex-x4", "neoverse-e1", "neoverse-n1", "neoverse-n2",
    "neoverse-n3", "neoverse-v1", "neoverse-v2", "neoverse-v3", "apple-m1", "apple-m2", "apple-m3", "apple-m4", "a64fx", "ampere1",
    "ampere1a", "thunderx2t99", "tsv110", "carmel", "kryo"};
static const char *const riscv_cpus[] = {
    "generic-rv64", "sifive-u54", "sifive-u74", "sifive-x280", "sifive-p450", "sifive-p670", "xiangshan-nanhu", "veyron-v1",
    "spacemit-x60"};
static const char *const wasm_cpus[] = {"generic", "mvp", "bleeding-edge"};

static bool known_cpu(Diags *diags, const ArchRow *row, const char *cpu)
{
#define ROW(list) {list, sizeof(list) / sizeof *(list)}
    static const struct { const char *const *name; size_t n; } cpus[] = {
        [ARCH_X86_64] = ROW(x86_cpus), [ARCH_AARCH64] = ROW(aarch64_cpus), [ARCH_ARM] = ROW(arm_cpus),
        [ARCH_RISCV64] = ROW(riscv_cpus), [ARCH_WASM32] = ROW(wasm_cpus)};
#undef ROW
    for (size_t i = 0; i < cpus[row->arch].n; i++)
        if (strcmp(cpus[row->arch].name[i], cpu) == 0)
            return true;
    const char *near = str_nearest(cpu, cpus[row->arch].name, cpus[row->arch].n);
    diag_error(diags, NOWHERE, "-march=%s: no such CPU of %s%s%s%s", cpu, row->name, near ? "; did you mean `" : "",
               near ? near : "", near ? "`?" : "");
    return false;
}

/* ---- asking the code generator ---- */

LLVMTargetMachineRef be_machine(const Target *t)
{
    LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
    LLVMTargetMachineOptionsSetCPU(o, t->cpu);
    LLVMTargetMachineOptionsSetFeatures(o, t->features);
    if (t->abi)
        LLVMTargetMachineOptionsSetABI(o, t->abi);
    LLVMTargetMachineOptionsSetCodeGenOptLevel(o, LLVMCodeGenLevelDefault);
    LLVMTargetMachineOptionsSetRelocMode(o, t->pic ? LLVMRelocPIC : LLVMRelocStatic);
    LLVMTargetMachineRef machine = LLVMCreateTargetMachineWithOptions(t->llvm, t->triple, o);
    LLVMDisposeTargetMachineOptions(o);
    return machine;
}

/*   define <16 x float> @p(ptr %a, ptr %x, ptr %y, ptr %z) { store fma(load x, load y, load z) }
 * as assembly for the target: are there 512-bit or 256-bit registers in it, is there a call of fmaf? */
static char *probe_assembly(Arena *arena, const Target *t)
{
    LLVMContextRef c = LLVMContextCreate();
    LLVMModuleRef m = LLVMModuleCreateWithNameInContext("probe", c);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(c);
    LLVMTargetMachineRef machine = be_machine(t);
    LLVMTargetDataRef data = LLVMCreateTargetDataLayout(machine);
    LLVMSetTarget(m, t->triple);
    LLVMSetModuleDataLayout(m, data);
    LLVMTypeRef ptr = LLVMPointerTypeInContext(c, 0), v = LLVMVectorType(LLVMFloatTypeInContext(c), 16);
    LLVMTypeRef params[3] = {ptr, ptr, ptr};
    LLVMValueRef fn = LLVMAddFunction(m, "p", LLVMFunctionType(LLVMVoidTypeInContext(c), params, 3, 0));
    const char *keys[][2] = {{"prefer-vector-width", "512"}, {"min-legal-vector-width", "512"}};
    for (int i = 0; i < 2; i++)
        LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex,
            LLVMCreateStringAttribute(c, keys[i][0], (unsigned)strlen(keys[i][0]), keys[i][1], (unsigned)strlen(keys[i][1])));
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(c, fn, ""));
    LLVMValueRef x[3];
    for (unsigned i = 0; i < 3; i++) {
        x[i] = LLVMBuildLoad2(b, v, LLVMGetParam(fn, i), "");
        LLVMSetAlignment(x[i], 4);
    }
    unsigned id = LLVMLookupIntrinsicID("llvm.fma", 8);
    LLVMValueRef r = LLVMBuildCall2(b, LLVMIntrinsicGetType(c, id, &v, 1), LLVMGetIntrinsicDeclaration(m, id, &v, 1), x, 3, "");
    LLVMSetAlignment(LLVMBuildStore(b, r, LLVMGetParam(fn, 0)), 4);
    LLVMBuildRetVoid(b);
    char *error = NULL, *text = "";
    LLVMMemoryBufferRef out;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, m, LLVMAssemblyFile, &error, &out)) {
        LLVMDisposeMessage(error);
    } else {
        text = str_ndup(arena, LLVMGetBufferStart(out), LLVMGetBufferSize(out));
        LLVMDisposeMemoryBuffer(out);
    }
    LLVMDisposeTargetData(data);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeBuilder(b);
    LLVMDisposeModule(m);
    LLVMContextDispose(c);
    return text;
}

static Level probe(Arena *arena, const Target *t)
{
    const char *text = probe_assembly(arena, t);
    Level level = {"", NULL, 4, 12, false, strstr(text, "fmaf") == NULL, NULL};
    switch (t->arch) {
    case ARCH_X86_64:
        level.vector_bytes = strstr(text, "zmm") ? 64 : strstr(text, "ymm") ? 32 : 16;
        level.accumulators = level.vector_bytes == 64 ? 16 : 12;
        level.gather = level.vector_bytes >= 32;
        break;
    case ARCH_AARCH64:
        level.vector_bytes = 16;
        level.accumulators = 24;
        break;
    case ARCH_ARM:
    case ARCH_RISCV64:
        level.accumulators = 16;
        break;
    case ARCH_WASM32:
        level.vector_bytes = strstr(text, "v128") ? 16 : 4;
        break;
    }
    return level;
}

/* ---- the target ---- */

static const ArchRow *arch_of(const char *triple)
{
    for (int i = 0; i < N_ARCHS; i++)
        for (const char *p = archs[i].prefixes; *p; p += strcspn(p, " "), p += strspn(p, " "))
            if (strncmp(triple, p, strcspn(p, " ")) == 0)
                return &archs[i];
    return NULL;
}

static bool find_llvm_target(Diags *diags, const ArchRow *row, const TargetOptions *o, Target *t)
{
    row->init();
    char *message = NULL;
    if (!LLVMGetTargetFromTriple(t->triple, &t->llvm, &message))
        return true;
    diag_error(diags, NOWHERE, "--target=%s: %s", o->triple ? o->triple : t->triple, message);
    LLVMDisposeMessage(message);
    return false;
}

/* Clones of the portable build, ascending. Accumulators leave room for the broadcast x and a product. */
static void x86_levels(Target *t)
{
    static const Level levels[] = {
        {"v1", "x86-64", 16, 12, false, false, NULL}, {"v2", "x86-64-v2", 16, 12, false, false, &levels[0]},
        {"v3", "x86-64-v3", 32, 12, true, true, NULL}, {"v4", "x86-64-v4", 64, 16, true, true, NULL}};
    memcpy(t->level, levels, sizeof levels);
    t->n_levels = MAX_LEVELS;
    t->dispatch = true;
    t->panel_bytes = 64;
}

static void default_cpu(Target *t)
{
    switch (t->arch) {
    case ARCH_X86_64:
        t->cpu = "x86-64";
        break;
    case ARCH_RISCV64:
        t->cpu = "generic-rv64";
        break;
    case ARCH_ARM:
        t->cpu = strstr(t->triple, "v7em") ? "cortex-m4" : "generic";
        break;
    case ARCH_AARCH64:
    case ARCH_WASM32:
        t->cpu = "generic";
        break;
    }
}

static bool is_hosted(const char *triple)
{
    return strstr(triple, "linux") || strstr(triple, "darwin") || strstr(triple, "macos") || strstr(triple, "windows") ||
           strstr(triple, "bsd") || strstr(triple, "wasi");
}

static void add_feature(Arena *arena, Target *t, const char *feature)
{
    t->features = *t->features ? str_printf(arena, "%s,%s", feature, t->features) : feature;
}

bool be_target(Arena *arena, Diags *diags, const TargetOptions *o, Target *t)
{
    *t = (Target){0};
    t->triple = taken(arena, o->triple ? LLVMNormalizeTargetTriple(o->triple) : LLVMGetDefaultTargetTriple());
    const ArchRow *row = arch_of(t->triple);
    if (!row) {
        bool x87 = t->triple[0] == 'i' && strncmp(t->triple + 2, "86", 2) == 0;
        diag_error(diags, NOWHERE, x87 ? "--target=%s: 32-bit x86 keeps sums in x87 registers, which round differently; use x86_64"
                                       : "--target=%s: no such target here", t->triple);
        diag_note(diags, NOWHERE, "targets: %s", be_targets(arena));
        return false;
    }
    if (strncmp(t->triple, "aarch64_be", 10) == 0 || strncmp(t->triple, "armeb", 5) == 0 || strncmp(t->triple, "thumbeb", 7) == 0) {
        diag_error(diags, NOWHERE, "--target=%s: big-endian targets are not offered", t->triple);
        return false;
    }
    t->arch = row->arch;
    t->features = o->features ? o->features : "";
    t->pic = o->pic && is_hosted(t->triple);      /* shared objects are a matter of operating systems */
    t->pointer_bits = row->arch == ARCH_ARM || row->arch == ARCH_WASM32 ? 32 : 64;
    if (!find_llvm_target(diags, row, o, t))
        return false;
    default_cpu(t);
    bool native = o->march && strcmp(o->march, "native") == 0;
    if (native) {
        t->cpu = taken(arena, LLVMGetHostCPUName());
        const char *host = taken(arena, LLVMGetHostCPUFeatures());
        t->features = *t->features ? str_printf(arena, "%s,%s", host, t->features) : host;
    } else if (o->march) {
        if (!known_cpu(diags, row, o->march))
            return false;
        t->cpu = o->march;
    }
    if (row->arch == ARCH_RISCV64) {
        add_feature(arena, t, "+m,+a,+f,+d,+c");
        t->abi = "lp64d";
    }
    if (row->arch == ARCH_ARM && strstr(t->triple, "eabihf"))
        t->abi = "aapcs-vfp";
    t->freestanding = o->freestanding || !is_hosted(t->triple);
    t->max_stack = o->max_stack ? o->max_stack : t->freestanding ? 4096 : 65536;
    t->align = row->arch == ARCH_X86_64 ? 64 : 16;
    if (row->arch == ARCH_X86_64 && !o->march && !*t->features && !o->no_dispatch && !t->freestanding) {
        x86_levels(t);
        return true;
    }
    t->n_levels = 1;
    t->level[0] = probe(arena, t);
    t->panel_bytes = t->level[0].vector_bytes;
    return true;
}
