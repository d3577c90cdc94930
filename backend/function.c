/* function.c — one network at one level as one LLVM function, its *body*.
 *
 *      define internal i32 @NAME.v3(ptr %x, ptr %y) {
 *      entry:  %frame = alloca [N x i8], align 64      ; or the caller's scratch
 *              …ops in order, a file a family…
 *      exit:   counts += counters                      ; counted bodies only
 *              ret i32 %status
 *      }
 *
 * In: network, plan, level. Out: the function. The one idea: a scalar is an SSA value, a tensor is an address that the
 * plan has already chosen; so an op reads places and writes places, and knows nothing about lifetimes.
 */
#include "../runtime/cnet.h"
#include "gen.h"

#include <string.h>

/* ---- places ---- */

Place be_place(Fn *f, Value v)
{
    const Home *h = &f->plan->home[v];
    if (f->place[v].at)
        return f->place[v];
    switch (h->storage) {
    case STORAGE_INPUT:
        return (Place){f->in[h->port], false};
    case STORAGE_OUTPUT:
        return (Place){f->out[h->port], false};
    case STORAGE_FRAME:
        return (Place){h->bytes ? be_at_const(f, f->frame, h->offset) : LLVMGetPoison(f->e->ptr), true};
    case STORAGE_ALIAS:
        if (h->root != v) {
            Place root = be_place(f, h->root);
            return h->shift ? (Place){be_at_const(f, root.at, h->shift), root.padded} : root;
        }
        break;
    case STORAGE_NONE:
        break;
    }
    ICE("value %u is used before it is made", v);
}

Place be_define(Fn *f, Value v)
{
    return be_place(f, v);
}

void be_set_scalar(Fn *f, Value v, LLVMValueRef scalar)
{
    f->place[v] = (Place){scalar, false};
}

void be_set_alias(Fn *f, Value v, LLVMValueRef address)
{
    f->place[v] = (Place){address, false};
}

LLVMValueRef be_alloca(Fn *f, LLVMTypeRef type, const char *name)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(f->b);
    LLVMValueRef end = LLVMGetBasicBlockTerminator(f->entry);
    if (end)
        LLVMPositionBuilderBefore(f->b, end);
    else
        LLVMPositionBuilderAtEnd(f->b, f->entry);
    LLVMValueRef slot = LLVMBuildAlloca(f->b, type, name);
    LLVMPositionBuilderAtEnd(f->b, here);
    return slot;
}

bool be_is_wanted(const Fn *f, Value v)
{
    return f->plan->wanted[v] & (f->counts ? WANTED_counted : WANTED_plain);
}

Resume be_function_begin(Fn *f)
{
    Resume here = {LLVMGetInsertBlock(f->b), be_debug_leave(f->e)};
    LLVMSetLinkage(f->fn, LLVMInternalLinkage);
    be_attributes(f->e, f->fn, f->level);
    f->entry = be_new_block(f, "entry");
    LLVMBasicBlockRef start = be_new_block(f, "start");
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    LLVMBuildBr(f->b, start);
    LLVMPositionBuilderAtEnd(f->b, start);
    return here;
}

void be_function_end(Fn *f, Resume here)
{
    LLVMPositionBuilderAtEnd(f->b, here.block);
    be_debug_return(f->e, here.place);
}

/* ---- ops ---- */

static void constant_value(Fn *f, const Op *op)
{
    const Const *c = const_get(f->m, op->cst[0]);
    Value v = op->result[0];
    if (!be_in_memory(value_type(f->net, v))) {
        be_set_scalar(f, v, be_constant_scalar(f->e, c, 0));
        return;
    }
    Layout raw = be_layout_raw(c);
    be_set_alias(f, v, be_constant(f->e, f->m, op->cst[0], &raw));
}

static void row(Fn *f, const Op *op)
{
    const Const *c = const_get(f->m, op->cst[0]);
    Value v = op->result[0];
    if (f->plan->search[v].row)                   /* the search has found it */
        return;
    Layout raw = be_layout_raw(c);
    LLVMValueRef at = be_slot(f, op, 0, &raw, op_operand(op, 0));
    if (be_in_memory(value_type(f->net, v)))
        be_set_alias(f, v, at);
    else
        be_set_scalar(f, v, be_load(f, raw.element, at, be_size(f->e, 0), 1));
}

/* counters += coefficients (x times) */
static void tally(Fn *f, const Op *op)
{
    if (!f->counts)
        return;
    LLVMValueRef times = NULL;
    if (op_operand(op, 0))
        times = be_to_i64(f, value_type(f->net, op_operand(op, 0)), be_place(f, op_operand(op, 0)).at);
    for (int k = 0; k < 4; k++) {
        if (op->attr[k].i == 0)
            continue;
        LLVMValueRef n = LLVMConstInt(f->e->i64, (uint64_t)op->attr[k].i, 0);
        if (times)
            n = LLVMBuildMul(f->b, n, times, "");
        LLVMValueRef sum = LLVMBuildAdd(f->b, LLVMBuildLoad2(f->b, f->e->i64, f->counter[k], ""), n, "");
        LLVMBuildStore(f->b, sum, f->counter[k]);
    }
}

static void emit_op(Fn *f, const Op *op)
{
    switch (op->kind) {
    case OP_const:
        constant_value(f, op);
        return;
    case OP_row:
        row(f, op);
        return;
    case OP_field:
        be_field(f, op);
        return;
    case OP_affine:
        be_affine(f, op);
        return;
    case OP_matmul:
        be_matmul(f, op);
        return;
    case OP_matmix:
        be_matmix(f, op);
        return;
    case OP_dot:
        be_dot(f, op);
        return;
    case OP_reduce:
        be_reduce(f, op);
        return;
    case OP_relu:
        if (f->plan->fused_relu[op_operand(op, 0)] == op->result[0])
            return;                               /* the affine has done it */
        be_elementwise(f, op);
        return;
    case OP_add: case OP_sub: case OP_mul: case OP_div: case OP_neg: case OP_abs: case OP_min: case OP_max: case OP_exp:
    case OP_tanh: case OP_sigmoid: case OP_sqrt: case OP_cmp: case OP_select: case OP_cast: case OP_and: case OP_or:
    case OP_xor: case OP_shl: case OP_lshr: case OP_ord: case OP_splat:
        be_elementwise(f, op);
        return;
    case OP_reshape: case OP_transpose: case OP_concat: case OP_slice: case OP_index:
        be_shape(f, op);
        return;
    case OP_argmax: case OP_argmin: case OP_active: case OP_extend: case OP_size: case OP_weigh: case OP_test: case OP_topk: case OP_descend: case OP_search:
    case OP_within:
        be_selection(f, op);
        return;
    case OP_if: case OP_case: case OP_repeat: case OP_each: case OP_call:
        be_region(f, op);
        return;
    case OP_yield: case OP_return: case OP_refuse:
        be_terminator(f, op);
        return;
    case OP_tally:
        tally(f, op);
        return;
    case OP_memorize:             /* refused before: be_network */
    case OP__COUNT:
        break;
    }
    ICE("op %d has no lowering", (int)op->kind);
}

void be_op(Fn *f, const Op *op)
{
    be_debug_place(f->e, op->span);
    emit_op(f, op);
}

void be_block(Fn *f, const Block *block)
{
    for (const Op *op = block->first; op; op = op->next)
        be_op(f, op);
}

/* ---- the function around them ---- */

LLVMTypeRef be_signature(Emitter *e, const Network *net, const Plan *plan, bool counted)
{
    uint32_t n = net->n_inputs + net->n_outputs + plan->scratch + counted;
    LLVMTypeRef *params = NEW_ARRAY(e->arena, n + 1, LLVMTypeRef);
    for (uint32_t i = 0; i < n; i++)
        params[i] = e->ptr;
    return LLVMFunctionType(e->i32, params, n, 0);
}

static void parameter_attribute(Emitter *e, LLVMValueRef fn, uint32_t i, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    if (kind)
        LLVMAddAttributeAtIndex(fn, i + 1, LLVMCreateEnumAttribute(e->c, kind, 0));
}

static void parameters(Fn *f, bool counted)
{
    const Network *net = f->net;
    Emitter *e = f->e;
    f->in = NEW_ARRAY(e->arena, net->n_inputs + 1, LLVMValueRef);
    f->out = NEW_ARRAY(e->arena, net->n_outputs + 1, LLVMValueRef);
    uint32_t at = 0;
    for (uint32_t i = 0; i < net->n_inputs; i++, at++) {
        f->in[i] = LLVMGetParam(f->fn, at);
        LLVMSetValueName2(f->in[i], net->input[i].name, strlen(net->input[i].name));
        parameter_attribute(e, f->fn, at, "noalias");
        parameter_attribute(e, f->fn, at, "readonly");
    }
    for (uint32_t i = 0; i < net->n_outputs; i++, at++) {
        f->out[i] = LLVMGetParam(f->fn, at);
        LLVMSetValueName2(f->out[i], net->output[i].name, strlen(net->output[i].name));
        parameter_attribute(e, f->fn, at, "noalias");
    }
    if (f->plan->scratch)
        parameter_attribute(e, f->fn, at, "noalias");
    f->frame = f->plan->scratch ? LLVMGetParam(f->fn, at++) : NULL;
    f->counts = counted ? LLVMGetParam(f->fn, at) : NULL;
}

/* The caller's scratch may lie anywhere: NAME_SCRATCH_BYTES has room to align it. */
static LLVMValueRef align_scratch(Fn *f, LLVMValueRef scratch)
{
    LLVMTypeRef size = f->e->size;
    uint64_t align = f->e->target.align;
    LLVMValueRef at = LLVMBuildPtrToInt(f->b, scratch, size, "");
    LLVMValueRef lost = LLVMBuildAnd(f->b, LLVMBuildNeg(f->b, at, ""), LLVMConstInt(size, align - 1, 0), "");
    return be_at(f, scratch, lost);
}

/* Indices come from outside: one that is none would read beyond a table. Jumps to a refusal if input `i` holds one. */
static void check_indices(Fn *f, uint32_t i, LLVMBasicBlockRef refuse)
{
    Type t = f->net->input[i].type, element = type_element(t);
    uint64_t n = type_count(t);
    Loop loop = {0};
    if (n == 0)
        return;
    if (n > 1)
        loop = be_loop(f, n, 1, "indices");
    LLVMValueRef index = be_load(f, element, f->in[i], n > 1 ? loop.i : be_size(f->e, 0), 1);
    LLVMValueRef is_one = LLVMBuildICmp(f->b, LLVMIntULT, index, LLVMConstInt(f->e->i32, t.n, 0), "");
    LLVMBasicBlockRef fine = be_new_block(f, "index");
    LLVMBuildCondBr(f->b, is_one, fine, refuse);
    LLVMPositionBuilderAtEnd(f->b, fine);
    if (n > 1)
        be_loop_end(f, &loop);
}

static void check_inputs(Fn *f)
{
    LLVMBasicBlockRef refuse = NULL;
    for (uint32_t i = 0; i < f->net->n_inputs; i++)
        if (f->net->input[i].type.elem == ELEM_IDX) {
            if (!refuse)
                refuse = be_new_block(f, "refuse");
            check_indices(f, i, refuse);
        }
    if (!refuse)
        return;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(f->b);
    LLVMPositionBuilderAtEnd(f->b, refuse);
    LLVMBuildStore(f->b, LLVMConstInt(f->e->i32, (uint32_t)CNET_BAD_ARGUMENT, true), f->status);
    LLVMBuildBr(f->b, f->exit);
    LLVMPositionBuilderAtEnd(f->b, here);
}

static void locals(Fn *f)
{
    Emitter *e = f->e;
    f->status = LLVMBuildAlloca(f->b, e->i32, "status");
    for (int k = 0; f->counts && k < 4; k++) {
        f->counter[k] = LLVMBuildAlloca(f->b, e->i64, "counter");
        LLVMBuildStore(f->b, LLVMConstInt(e->i64, 0, 0), f->counter[k]);
    }
}

static void start(Fn *f)
{
    LLVMBasicBlockRef block = be_new_block(f, "start");
    LLVMBuildBr(f->b, block);
    LLVMPositionBuilderAtEnd(f->b, block);
}

static void prologue(Fn *f)
{
    Emitter *e = f->e;
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    if (f->frame) {
        f->frame = align_scratch(f, f->frame);
    } else if (f->plan->frame_bytes > 0) {
        f->frame = LLVMBuildAlloca(f->b, LLVMArrayType2(e->i8, f->plan->frame_bytes), "frame");
        LLVMSetAlignment(f->frame, e->target.align);
    }
    f->work = f->frame;
    locals(f);
    check_inputs(f);
    for (uint32_t i = 0; i < f->net->n_inputs; i++) {
        Value v = f->net->body->arg[i];
        Type t = value_type(f->net, v);
        if (!be_in_memory(t))
            be_set_scalar(f, v, be_load(f, t, f->in[i], be_size(e, 0), 1));
    }
}

/* cnet_counts begins with uint64_t add, mul, cmp, other. */
static void epilogue(Fn *f)
{
    Emitter *e = f->e;
    LLVMPositionBuilderAtEnd(f->b, f->exit);
    for (int k = 0; f->counts && k < 4; k++) {
        LLVMValueRef at = be_at_const(f, f->counts, 8 * (uint64_t)k);
        LLVMValueRef sum = LLVMBuildAdd(f->b, LLVMBuildLoad2(f->b, e->i64, at, ""), LLVMBuildLoad2(f->b, e->i64, f->counter[k], ""), "");
        LLVMBuildStore(f->b, sum, at);
    }
    LLVMBuildRet(f->b, LLVMBuildLoad2(f->b, e->i32, f->status, ""));
}

static void finish(Fn *f)
{
    LLVMMoveBasicBlockAfter(f->exit, LLVMGetLastBasicBlock(f->fn));
    epilogue(f);
}

/* ---- long bodies: LLVM's analyses of loops are worse than linear in their number, so a body is a chain of functions ----
 *
 *      @NAME(ins, outs):           …ops…   status = @NAME.1(ins, outs, frame, what is used later);  ret status
 *      @NAME.1(…):                 …ops…
 *
 * Tensors have addresses that any part can make; scalars, and addresses that were computed, are parameters. */

enum { PART = 256, TENSOR_OP = 4, SCALAR_OP = 1 }; /* a part is about 64 loops */

typedef Vec(Value) ValueList;
typedef struct Chain {
    const char *name;
    uint32_t parts, weight;
    uint32_t *last_use;           /* by Value: the last op of the network's own block that uses it, or holds who does */
    ValueList made;               /* with places that are this function's own */
} Chain;

static void find_uses(const Fn *f, const Block *block, uint32_t at, uint32_t *last_use)
{
    for (const Op *op = block->first; op; op = op->next) {
        if (!block->owner)
            at++;
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                last_use[op_operand(op, i)] = at;
        for (uint32_t r = 0; r < op->n_regions; r++)
            find_uses(f, op->region[r], at, last_use);
    }
}

/* Later values come first, so that what an alias stands for is used as long as the alias is. */
static uint32_t *last_uses(const Fn *f)
{
    uint32_t n = (uint32_t)f->net->values.len, *last_use = NEW_ARRAY(f->e->arena, n, uint32_t);
    find_uses(f, f->net->body, 0, last_use);
    for (Value v = n; v-- > 1;) {
        Value root = f->plan->home[v].storage == STORAGE_ALIAS ? f->plan->home[v].root : v;
        if (last_use[root] < last_use[v])
            last_use[root] = last_use[v];
    }
    return last_use;
}

static uint32_t weight_of(const Fn *f, const Op *op)
{
    uint32_t sum = op->n_results > 0 && be_in_memory(value_type(f->net, op->result[0])) ? TENSOR_OP : SCALAR_OP;
    if (op->kind == OP_const || op->kind == OP_row || op->kind == OP_reshape)
        return 0;
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            sum += weight_of(f, inner);
    return sum;
}

static void note_made(Fn *f, Chain *c, Value v)
{
    if (f->place[v].at && !LLVMIsConstant(f->place[v].at))
        vec_push(f->e->arena, c->made, v);
}

/* The parameters of the next part: those of this one but `counts` and scratch, the frame, `counts`, then values. */
static uint32_t pass_on(Fn *f, const ValueList *live, LLVMValueRef *args)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->net->n_inputs; i++)
        args[n++] = f->in[i];
    for (uint32_t i = 0; i < f->net->n_outputs; i++)
        args[n++] = f->out[i];
    if (f->frame)
        args[n++] = f->frame;
    if (f->counts)
        args[n++] = f->counts;
    for (size_t i = 0; i < live->len; i++)
        args[n++] = f->place[live->at[i]].at;
    return n;
}

static void take_over(Fn *f, const ValueList *live)
{
    uint32_t n = 0, ports = f->net->n_inputs + f->net->n_outputs;
    bool apart = true;                            /* an address among the values may lead into any of the others */
    for (size_t i = 0; i < live->len; i++)
        apart = apart && LLVMGetTypeKind(LLVMTypeOf(f->place[live->at[i]].at)) != LLVMPointerTypeKind;
    for (uint32_t i = 0; apart && i < ports + (f->frame != NULL); i++)
        parameter_attribute(f->e, f->fn, i, "noalias");
    for (uint32_t i = 0; i < f->net->n_inputs; i++, n++) {
        f->in[i] = LLVMGetParam(f->fn, n);
        parameter_attribute(f->e, f->fn, n, "readonly");
    }
    for (uint32_t i = 0; i < f->net->n_outputs; i++)
        f->out[i] = LLVMGetParam(f->fn, n++);
    if (f->frame)
        f->work = f->frame = LLVMGetParam(f->fn, n++);
    if (f->counts)
        f->counts = LLVMGetParam(f->fn, n++);
    for (size_t i = 0; i < live->len; i++)
        f->place[live->at[i]].at = LLVMGetParam(f->fn, n++);
    for (size_t v = 0; v < f->net->values.len; v++)
        f->word[v] = NULL;                        /* they are in memory, too */
}

/* Ends this function with a call of the next, which f goes on with. `at` ops have been made. */
static void next_part(Fn *f, Chain *c, uint32_t at)
{
    Emitter *e = f->e;
    ValueList live = {0};
    for (size_t i = 0; i < c->made.len; i++)
        if (c->last_use[c->made.at[i]] > at)
            vec_push(e->arena, live, c->made.at[i]);
    uint32_t most = f->net->n_inputs + f->net->n_outputs + 2 + (uint32_t)live.len;
    LLVMValueRef *args = NEW_ARRAY(e->arena, most, LLVMValueRef);
    LLVMTypeRef *types = NEW_ARRAY(e->arena, most, LLVMTypeRef);
    uint32_t n = pass_on(f, &live, args);
    for (uint32_t i = 0; i < n; i++)
        types[i] = LLVMTypeOf(args[i]);
    LLVMTypeRef type = LLVMFunctionType(e->i32, types, n, 0);
    LLVMValueRef next = LLVMAddFunction(e->module, str_printf(e->arena, "%s.%u", c->name, ++c->parts), type);
    LLVMBuildStore(f->b, LLVMBuildCall2(f->b, type, next, args, n, ""), f->status);
    LLVMBuildBr(f->b, f->exit);
    finish(f);
    f->fn = next;
    LLVMSetLinkage(next, LLVMInternalLinkage);
    be_attributes(e, next, f->level);
    be_debug_function(e, next, f->net);
    f->entry = be_new_block(f, "entry");
    f->exit = be_new_block(f, "exit");
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    take_over(f, &live);
    locals(f);
    start(f);
    c->made = live;
    c->weight = 0;
}

static void body(Fn *f, const char *name)
{
    Chain chain = {.name = name}, *c = &chain;
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->net->n_inputs; i++)
        note_made(f, c, f->net->body->arg[i]);
    for (const Op *op = f->net->body->first; op; op = op->next, at++) {
        uint32_t weight = weight_of(f, op);
        if (c->weight > 0 && c->weight + weight > PART && op->next) {
            if (!c->last_use)
                c->last_use = last_uses(f);
            next_part(f, c, at);
        }
        c->weight += weight;
        be_op(f, op);
        const Op *label = op->kind == OP_search ? f->plan->search[op->result[0]].row : NULL;
        if (label)                                /* the search has made it */
            note_made(f, c, label->result[0]);
        bool was_made = op->kind == OP_row && f->plan->search[op->result[0]].row;
        for (uint32_t i = 0; i < op->n_results && !was_made; i++)
            note_made(f, c, op->result[i]);
    }
}

LLVMValueRef be_body(Emitter *e, const Network *net, const Plan *plan, const Level *level, const char *name, bool counted)
{
    Fn state = {.e = e, .b = e->b, .net = net, .m = net->module, .plan = plan, .level = level}, *f = &state;
    f->fn = LLVMAddFunction(e->module, name, be_signature(e, net, plan, counted));
    be_attributes(e, f->fn, level);
    be_debug_function(e, f->fn, net);
    f->place = NEW_ARRAY(e->arena, net->values.len, Place);
    f->word = NEW_ARRAY(e->arena, net->values.len, LLVMValueRef);
    parameters(f, counted);
    f->entry = be_new_block(f, "entry");
    f->exit = be_new_block(f, "exit");
    LLVMValueRef first = f->fn;
    prologue(f);
    start(f);
    body(f, name);
    finish(f);
    return f->failed ? NULL : first;
}
