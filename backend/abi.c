/* abi.c — what users call: NAME_eval, NAME_eval_counted, NAME_eval_batch, NAME_run, NAME_network.
 *
 * In: the function that evaluates once (and the one that counts). Out: the visible symbols around it, all beginning with
 * the network's name. backend/README.md is the contract, runtime/cnet.h its types; the structures here are laid out as a
 * C compiler for the target lays them out.
 */
#include "../runtime/cnet.h"
#include "gen.h"

#include <ctype.h>
#include <string.h>

/* ---- names ---- */

/* Letters, digits and underscores; what is none becomes an underscore. */
static char *sanitised(Arena *arena, const char *prefix, const char *name)
{
    char *s = str_printf(arena, "%s%s%s", prefix, isdigit((unsigned char)(*prefix ? *prefix : *name)) ? "_" : "", name);
    if (isdigit((unsigned char)*s))
        s = str_printf(arena, "_%s", s);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) || (unsigned char)*p > 127)
            *p = '_';
    return *s ? s : str_dup(arena, "network");
}

static bool same_letters(const char *a, const char *b)
{
    for (; *a && toupper((unsigned char)*a) == toupper((unsigned char)*b); a++)
        b++;
    return !*a && !*b;
}

/* A network called `cnet` would be described by `cnet_network`, which is the type of descriptions: it becomes `cnet_`. */
char *be_symbol(Arena *arena, const Network *net, const TargetOptions *options)
{
    char *symbol = sanitised(arena, options->prefix ? options->prefix : "", net->name);
    return same_letters(symbol, "cnet") ? str_printf(arena, "%s_", symbol) : symbol;
}

/* in_x, out_y: with these beginnings no parameter is a keyword of C or C++, or some header's macro. */
char **be_port_names(Arena *arena, const Network *net)
{
    uint32_t n = net->n_inputs + net->n_outputs;
    char **names = NEW_ARRAY(arena, n + 1, char *);
    for (uint32_t i = 0; i < n; i++) {
        bool in = i < net->n_inputs;
        const Port *port = in ? &net->input[i] : &net->output[i - net->n_inputs];
        names[i] = sanitised(arena, in ? "in_" : "out_", port->name && *port->name ? port->name : in ? "x" : "y");
        char *base = names[i];
        int number = 1;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(names[k], names[i]) == 0) {
                names[i] = str_printf(arena, "%s_%d", base, ++number);
                k = UINT32_MAX;                   /* start over with the new name */
            }
    }
    return names;
}

/* Macros are upper case, so names must differ in more than case. */
bool be_symbols_differ(const Module *m, Diags *diags, const TargetOptions *options)
{
    bool fine = true;
    for (size_t i = 0; i < m->networks.len; i++)
        for (size_t k = 0; k < i; k++) {
            const Network *a = m->networks.at[k], *b = m->networks.at[i];
            if (!network_is_entry(a) || !network_is_entry(b))
                continue;
            char *x = be_symbol(m->arena, a, options), *y = be_symbol(m->arena, b, options);
            if (same_letters(x, y)) {
                diag_error(diags, b->span, "networks `%s` and `%s` would both be called `%s` in C; rename one", a->name, b->name, y);
                fine = false;
            }
        }
    return fine;
}

/* ---- entry points ---- */

static LLVMValueRef visible(Emitter *e, const char *name, LLVMTypeRef type)
{
    LLVMValueRef fn = LLVMAddFunction(e->module, name, type);
    be_attributes(e, fn, NULL);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    return fn;
}

static void export(Emitter *e, const char *name, LLVMValueRef fn)
{
    LLVMAddAlias2(e->module, LLVMGlobalGetValueType(fn), 0, fn, name);
}

static LLVMValueRef byte_offset(Emitter *e, LLVMValueRef base, LLVMValueRef bytes)
{
    return LLVMBuildGEP2(e->b, e->i8, base, &bytes, 1, "");
}

/* s < 0 || worst < 0 ? min : max */
LLVMValueRef be_worst_status(Emitter *e, LLVMValueRef s, LLVMValueRef worst)
{
    LLVMValueRef refused = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildOr(e->b, s, worst, ""), LLVMConstInt(e->i32, 0, 0), "");
    LLVMValueRef less = LLVMBuildICmp(e->b, LLVMIntSLT, s, worst, "");
    LLVMValueRef least = LLVMBuildSelect(e->b, less, s, worst, ""), most = LLVMBuildSelect(e->b, less, worst, s, "");
    return LLVMBuildSelect(e->b, refused, least, most, "");
}

/* if (n > 1 && the outputs of no two inputs overlap) return shared(…): it writes the outputs of several inputs at once.
 *
 *      |stride| >= count   is   stride + (count - 1) > 2 (count - 1), without a sign                                     */
static void share(Emitter *e, const Network *net, LLVMValueRef fn, LLVMValueRef shared)
{
    LLVMBasicBlockRef together = LLVMAppendBasicBlockInContext(e->c, fn, "together");
    LLVMBasicBlockRef alone = LLVMAppendBasicBlockInContext(e->c, fn, "alone");
    LLVMValueRef apart = LLVMBuildICmp(e->b, LLVMIntUGT, LLVMGetParam(fn, 0), LLVMConstInt(e->size, 1, 0), "");
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        uint64_t count = type_count(net->output[i].type);
        if (count == 0)
            continue;
        LLVMValueRef stride = LLVMGetParam(fn, 2 + 2 * (net->n_inputs + i));
        LLVMValueRef moved = LLVMBuildAdd(e->b, stride, LLVMConstInt(e->size, count - 1, 0), "");
        LLVMValueRef far = LLVMBuildICmp(e->b, LLVMIntUGT, moved, LLVMConstInt(e->size, 2 * (count - 1), 0), "");
        apart = LLVMBuildAnd(e->b, apart, far, "");
    }
    LLVMBuildCondBr(e->b, apart, together, alone);
    LLVMPositionBuilderAtEnd(e->b, together);
    uint32_t n = LLVMCountParams(fn);
    LLVMValueRef *args = NEW_ARRAY(e->arena, n + 1, LLVMValueRef);
    LLVMGetParams(fn, args);
    LLVMBuildRet(e->b, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(shared), shared, args, n, ""));
    LLVMPositionBuilderAtEnd(e->b, alone);
}

/*   int NAME_eval_batch(size_t n, (const T *x, ptrdiff_t sx)…, (U *y, ptrdiff_t sy)…, void *scratch?)
 *   { worst = 0; for (i = 0; i < n; i++) { s = eval(x + i sx, y + i sy); worst = s < 0 || worst < 0 ? min : max; } return worst; }  */
static LLVMValueRef batch(Emitter *e, const Network *net, const Plan *plan, const char *name, LLVMValueRef eval, LLVMValueRef shared)
{
    uint32_t ports = net->n_inputs + net->n_outputs;
    LLVMValueRef fn = visible(e, name, be_batch_signature(e, net, plan)), zero = LLVMConstInt(e->i32, 0, 0);
    if (shared)
        share(e, net, fn, shared);
    LLVMBasicBlockRef entry = LLVMGetInsertBlock(e->b), head = LLVMAppendBasicBlockInContext(e->c, fn, "rows"),
                      body = LLVMAppendBasicBlockInContext(e->c, fn, "row"), done = LLVMAppendBasicBlockInContext(e->c, fn, "done");
    LLVMBuildBr(e->b, head);
    LLVMPositionBuilderAtEnd(e->b, head);
    LLVMValueRef i = LLVMBuildPhi(e->b, e->size, "i"), worst = LLVMBuildPhi(e->b, e->i32, "worst"), first = LLVMConstInt(e->size, 0, 0);
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntULT, i, LLVMGetParam(fn, 0), ""), body, done);
    LLVMPositionBuilderAtEnd(e->b, body);
    LLVMValueRef *args = NEW_ARRAY(e->arena, ports + 1, LLVMValueRef);
    for (uint32_t p = 0; p < ports; p++) {
        Type t = p < net->n_inputs ? net->input[p].type : net->output[p - net->n_inputs].type;
        LLVMValueRef stride = LLVMBuildMul(e->b, LLVMGetParam(fn, 2 + 2 * p), LLVMConstInt(e->size, type_element_bytes(t), 0), "");
        args[p] = byte_offset(e, LLVMGetParam(fn, 1 + 2 * p), LLVMBuildMul(e->b, i, stride, ""));
    }
    if (plan->scratch)
        args[ports] = LLVMGetParam(fn, 1 + 2 * ports);
    LLVMValueRef s = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(eval), eval, args, ports + plan->scratch, "status");
    LLVMValueRef next = be_worst_status(e, s, worst);
    LLVMValueRef i1 = LLVMBuildAdd(e->b, i, LLVMConstInt(e->size, 1, 0), "");
    LLVMBuildBr(e->b, head);
    LLVMAddIncoming(i, &first, &entry, 1);
    LLVMAddIncoming(i, &i1, &body, 1);
    LLVMAddIncoming(worst, &zero, &entry, 1);
    LLVMAddIncoming(worst, &next, &body, 1);
    LLVMPositionBuilderAtEnd(e->b, done);
    LLVMBuildRet(e->b, worst);
    return fn;
}

/*   int NAME_run_batch(size_t n, const void *const in[], void *const out[], const ptrdiff_t stride[])      (for be_jit_batch)   */
static void generic_batch(Emitter *e, const Network *net, const char *name, LLVMValueRef all)
{
    LLVMTypeRef params[4] = {e->size, e->ptr, e->ptr, e->ptr};
    LLVMValueRef fn = visible(e, name, LLVMFunctionType(e->i32, params, 4, 0));
    uint32_t ports = net->n_inputs + net->n_outputs, n = 0;
    LLVMValueRef *args = NEW_ARRAY(e->arena, 2 * ports + 2, LLVMValueRef);
    args[n++] = LLVMGetParam(fn, 0);
    for (uint32_t i = 0; i < ports; i++) {
        bool in = i < net->n_inputs;
        LLVMValueRef port = LLVMConstInt(e->size, in ? i : i - net->n_inputs, 0), number = LLVMConstInt(e->size, i, 0);
        args[n++] = LLVMBuildLoad2(e->b, e->ptr, LLVMBuildInBoundsGEP2(e->b, e->ptr, LLVMGetParam(fn, in ? 1 : 2), &port, 1, ""), "");
        args[n++] = LLVMBuildLoad2(e->b, e->size, LLVMBuildInBoundsGEP2(e->b, e->size, LLVMGetParam(fn, 3), &number, 1, ""), "");
    }
    LLVMBuildRet(e->b, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(all), all, args, n, ""));
}

/* A call with the arguments from in[], out[], scratch, counts. */
static void run_call(Emitter *e, const Network *net, const Plan *plan, LLVMValueRef run, LLVMValueRef callee, bool counted)
{
    uint32_t n = 0;
    LLVMValueRef *args = NEW_ARRAY(e->arena, net->n_inputs + net->n_outputs + 2, LLVMValueRef);
    for (uint32_t i = 0; i < net->n_inputs + net->n_outputs; i++) {
        bool in = i < net->n_inputs;
        LLVMValueRef index = LLVMConstInt(e->size, in ? i : i - net->n_inputs, 0);
        LLVMValueRef at = LLVMBuildInBoundsGEP2(e->b, e->ptr, LLVMGetParam(run, in ? 0 : 1), &index, 1, "");
        args[n++] = LLVMBuildLoad2(e->b, e->ptr, at, "");
    }
    if (plan->scratch)
        args[n++] = LLVMGetParam(run, 2);
    if (counted)
        args[n++] = LLVMGetParam(run, 3);
    LLVMBuildRet(e->b, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(callee), callee, args, n, ""));
}

/*   int NAME_run(const void *const in[], void *const out[], void *scratch, cnet_counts *counts)   */
static LLVMValueRef generic_run(Emitter *e, const Network *net, const Plan *plan, const char *name, LLVMValueRef eval, LLVMValueRef counted)
{
    LLVMTypeRef params[4] = {e->ptr, e->ptr, e->ptr, e->ptr};
    LLVMValueRef run = visible(e, name, LLVMFunctionType(e->i32, params, 4, 0)), refuse = LLVMConstInt(e->i32, (uint32_t)CNET_BAD_ARGUMENT, true);
    LLVMBasicBlockRef plain = LLVMAppendBasicBlockInContext(e->c, run, "plain"), count = LLVMAppendBasicBlockInContext(e->c, run, "counts");
    if (plan->scratch) {
        LLVMBasicBlockRef bad = LLVMAppendBasicBlockInContext(e->c, run, "bad"), fine = LLVMAppendBasicBlockInContext(e->c, run, "fine");
        LLVMBuildCondBr(e->b, LLVMBuildIsNull(e->b, LLVMGetParam(run, 2), ""), bad, fine);
        LLVMPositionBuilderAtEnd(e->b, bad);
        LLVMBuildRet(e->b, refuse);
        LLVMPositionBuilderAtEnd(e->b, fine);
    }
    LLVMBuildCondBr(e->b, LLVMBuildIsNull(e->b, LLVMGetParam(run, 3), ""), plain, count);
    LLVMPositionBuilderAtEnd(e->b, plain);
    run_call(e, net, plan, run, eval, false);
    LLVMPositionBuilderAtEnd(e->b, count);
    if (counted)
        run_call(e, net, plan, run, counted, true);
    else
        LLVMBuildRet(e->b, refuse);
    return run;
}

/* ---- the descriptor ---- */

static LLVMValueRef number32(Emitter *e, uint32_t n) { return LLVMConstInt(e->i32, n, 0); }
static LLVMValueRef number64(Emitter *e, uint64_t n) { return LLVMConstInt(e->i64, n, 0); }

static LLVMValueRef text(Emitter *e, const char *s)
{
    return be_bytes(e, "text", s, strlen(s) + 1, 1);
}

static LLVMValueRef private_constant(Emitter *e, const char *name, LLVMValueRef value)
{
    LLVMValueRef g = LLVMAddGlobal(e->module, LLVMTypeOf(value), name);
    LLVMSetInitializer(g, value);
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMInternalLinkage);
    return g;
}

/* Pairs lo, hi of doubles. */
static LLVMValueRef box_of(Emitter *e, const Network *net, const Port *port)
{
    if (!port->box)
        return LLVMConstNull(e->ptr);
    const Const *box = const_get(net->module, port->box);
    uint64_t n = type_count(port->type);
    double *pairs = arena_array(e->arena, 2 * n + 1, sizeof *pairs);
    for (uint64_t i = 0; i < n; i++) {
        pairs[2 * i] = const_f64(box, i);
        pairs[2 * i + 1] = const_f64(box, n + i);
    }
    return be_bytes(e, "box", pairs, 2 * n * sizeof *pairs, 8);
}

/* cnet_tensor, field by field. */
static LLVMValueRef tensor(Emitter *e, const Network *net, const Port *port, bool input)
{
    Type t = port->type;
    LLVMValueRef dims[IR_MAX_RANK];
    for (uint32_t d = 0; d < IR_MAX_RANK; d++)
        dims[d] = number32(e, d < t.rank ? t.dim[d] : 0);
    uint32_t kind = t.elem == ELEM_F32 ? CNET_F32 : t.elem == ELEM_F64 ? CNET_F64 : t.elem == ELEM_IDX ? CNET_IDX : CNET_INT;
    uint32_t bits = t.elem == ELEM_INT ? t.n : 8 * type_element_bytes(t);
    LLVMValueRef field[] = {
        text(e, port->name ? port->name : ""), input ? box_of(e, net, port) : LLVMConstNull(e->ptr), number32(e, kind),
        number32(e, bits), number32(e, t.rank), LLVMConstArray2(e->i32, dims, IR_MAX_RANK), number32(e, 0),
        number64(e, type_count(t)), number64(e, t.elem == ELEM_IDX ? t.n : 0), LLVMConstNull(LLVMArrayType2(e->i64, 4))};
    return LLVMConstStructInContext(e->c, field, sizeof field / sizeof *field, 0);
}

/* sizeof(cnet_tensor) on the target. */
static uint32_t tensor_size(const Emitter *e)
{
    return 2 * e->target.pointer_bits / 8 + 88;
}
_Static_assert(sizeof(cnet_tensor) == 2 * sizeof(void *) + 88, "tensor() and tensor_size() follow runtime/cnet.h");

static LLVMValueRef tensors(Emitter *e, const Network *net, bool inputs)
{
    uint32_t n = inputs ? net->n_inputs : net->n_outputs;
    if (n == 0)
        return LLVMConstNull(e->ptr);
    LLVMValueRef *all = NEW_ARRAY(e->arena, n, LLVMValueRef);
    for (uint32_t i = 0; i < n; i++)
        all[i] = tensor(e, net, inputs ? &net->input[i] : &net->output[i], inputs);
    return private_constant(e, inputs ? "inputs" : "outputs", LLVMConstArray2(LLVMTypeOf(all[0]), all, n));
}

/* The file's own name: descriptors carry no paths, so that the same input gives the same bytes anywhere. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void descriptor(Emitter *e, const Network *net, const Plan *plan, const char *symbol, LLVMValueRef run, bool counted)
{
    const Module *m = net->module;
    Counts most = network_cost(net).range.max;
    bool boxed = false;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        boxed = boxed || net->input[i].box;
    char *hash = str_printf(e->arena, "%016llx%016llx", (unsigned long long)m->source_hash.hi, (unsigned long long)m->source_hash.lo);
    LLVMTypeRef double_ = LLVMDoubleTypeInContext(e->c);
    LLVMValueRef field[] = {
        number32(e, CNET_MAGIC), number32(e, CNET_ABI_VERSION), number64(e, 0), text(e, net->name),
        text(e, base_name(m->source_name ? m->source_name : "")), text(e, hash),
        text(e, "cnetc " CNET_VERSION " (LLVM " LLVM_VERSION_STRING ")"), text(e, e->options->options_text ? e->options->options_text : ""),
        run, tensors(e, net, true), tensors(e, net, false), number32(e, net->n_inputs), number32(e, net->n_outputs), number32(e, tensor_size(e)), number32(e, counted),
        number32(e, net->options.numerics), number32(e, net->options.contract), number32(e, net->options.outside), number32(e, boxed ? CNET_NAN_OUTSIDE : CNET_NAN_PROPAGATES),
        LLVMConstReal(double_, net->certified_error), number64(e, most.add), number64(e, most.mul), number64(e, most.cmp),
        number64(e, most.other), number64(e, network_cost(net).total_max), number64(e, be_scratch_bytes(&e->target, plan)), number64(e, 1),
        number64(e, plan->scratch ? 0 : plan->frame_bytes), number64(e, be_model_bytes(&e->target, net).model)};
    enum { STRUCT_SIZE = 2, N = sizeof field / sizeof *field };
    LLVMTypeRef types[N];
    for (int i = 0; i < N; i++)
        types[i] = LLVMTypeOf(field[i]);
    LLVMTypeRef type = LLVMStructTypeInContext(e->c, types, N, 0);
    field[STRUCT_SIZE] = number64(e, LLVMABISizeOfType(e->data, type));
    LLVMValueRef g = LLVMAddGlobal(e->module, type, str_printf(e->arena, "%s_network", symbol));
    LLVMSetInitializer(g, LLVMConstStructInContext(e->c, field, N, 0));
    LLVMSetGlobalConstant(g, true);
}

/* Its caller's scratch may lie anywhere: room to align it. */
uint64_t be_scratch_bytes(const Target *target, const Plan *plan)
{
    return plan->scratch ? plan->frame_bytes + target->align - 1 : 0;
}

void be_entry_points(Emitter *e, const Network *net, const Plan *plan, LLVMValueRef eval, LLVMValueRef counted, LLVMValueRef shared)
{
    char *symbol = be_symbol(e->arena, net, e->options);
    export(e, str_printf(e->arena, "%s_eval", symbol), eval);
    if (counted)
        export(e, str_printf(e->arena, "%s_eval_counted", symbol), counted);
    LLVMValueRef all = batch(e, net, plan, str_printf(e->arena, "%s_eval_batch", symbol), eval, shared);
    if (e->jit && shared)
        generic_batch(e, net, str_printf(e->arena, "%s_run_batch", symbol), all);
    LLVMValueRef run = generic_run(e, net, plan, str_printf(e->arena, "%s_run", symbol), eval, counted);
    descriptor(e, net, plan, symbol, run, counted != NULL);
}
