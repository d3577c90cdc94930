/* batch.c — a block of inputs, layer by layer: one body of NAME_eval_batch at one level.
 *
 *      NAME_eval, n times                       the same, layer by layer
 *
 *      for each input:                          for each block of inputs (as many frames as fit the stack):
 *        ops before                               for each input:  ops before           frame of that input
 *        affine W1                                for each piece of W1:  for each input:  its part of affine W1
 *        ops between                              for each input:  ops between
 *        affine W2                                for each piece of W2:  for each input:  its part of affine W2
 *        ops after, return                        for each input:  ops after, return
 *
 * In: a network in which no input can be refused on the way. Out: an LLVM function with the signature of NAME_eval_batch. The one
 * idea: an interchange of loops. A layer's weights come from far away once a block instead of once an input; every input's sums are
 * what they were, term by term. Between two large layers ops are a *stretch*, one loop over the inputs; what passes from stretch to
 * stretch goes through memory, scalars through a slot of the frame.
 */
#include "search.h"

/* Where it pays: as soon as the weights do not stay in an L1. */
enum { LARGE = 32 << 10,          /* bytes of a layer that is worth a stretch of its own */
       ALL_LARGE = 64 << 10,      /* … of all of these */
       MOST_INPUTS = 32,          /* in a block */
       MOST_LAYERS = 12 };        /* beyond it one function of so many loops would take LLVM longer than all else: n times it is */

/* What a body of NAME_eval_batch knows beside its Fn. */
struct Inputs {
    const bool *for_all;          /* by Value: results of layers that are a stretch */
    uint32_t *stretch;            /* by Value: where it is made; inputs of the network: 0 */
    uint64_t *slot;               /* by Value: of a scalar that passes from stretch to stretch, within the frame; ~0: none */
    const Op *from, *end;         /* ops of the stretch at hand */
    uint32_t at;                  /* its number */
    uint64_t frame_bytes;         /* of an input */
    uint32_t most;                /* inputs of a block */
    LLVMValueRef first, n;        /* of the block at hand */
    LLVMValueRef frames, worst;
    LLVMValueRef *port, *stride;  /* parameters; strides in bytes */
};

/* ---- which layers ---- */

/* By Value, the results of layers that are evaluated for all inputs of a block; NULL: there are none. */
static const bool *layers_for_all(const Emitter *e, const Network *net, const Lowering *lowering)
{
    bool *for_all = NEW_ARRAY(e->arena, net->values.len, bool), always = e->options->share_always;
    uint64_t bytes = 0, layers = 0;
    for (const Op *op = net->body->first; op; op = op->next) {
        if (op->kind != OP_affine || !be_affine_can_share(&e->target, op, lowering[op->result[0]]))
            continue;
        uint64_t size = be_layout_weights(&e->target, net, op, lowering[op->result[0]].how).bytes;
        for_all[op->result[0]] = always || size > LARGE;
        layers += for_all[op->result[0]];
        bytes += for_all[op->result[0]] ? size : 0;
    }
    if (layers > MOST_LAYERS)
        return NULL;
    return bytes >= ALL_LARGE || (bytes > 0 && always) ? for_all : NULL;
}

/* ---- stretches ---- */

static bool is_for_all(const struct Inputs *in, const Op *op)
{
    return op->kind == OP_affine && in->for_all[op->result[0]];
}

static const Op *stretch_end(const struct Inputs *in, const Op *from)
{
    const Op *op = from;
    if (is_for_all(in, op))
        return op->next;
    while (op && !is_for_all(in, op))
        op = op->next;
    return op;
}

/* Its result is an address within an operand or a constant: made anew in each stretch. */
static bool is_address(const Network *net, const Op *op)
{
    return be_shares_operand(net, op) || (op->kind == OP_row && be_in_memory(value_type(net, op->result[0])));
}

static void number_values(struct Inputs *in, const Op *op)
{
    for (uint32_t i = 0; i < op->n_results; i++)
        in->stretch[op->result[i]] = in->at;
    for (uint32_t r = 0; r < op->n_regions; r++) {
        for (uint32_t a = 0; a < op->region[r]->n_args; a++)
            in->stretch[op->region[r]->arg[a]] = in->at;
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            number_values(in, inner);
    }
}

/* `v` is used in the stretch at hand: if it is a scalar of another, it needs a slot. */
static void carry(struct Inputs *in, const Network *net, Value v)
{
    const Op *op = value_op(net, v);
    if (!op || in->stretch[v] == in->at || op->kind == OP_const)
        return;
    if (is_address(net, op)) {
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                carry(in, net, op_operand(op, i));
    } else if (!be_in_memory(value_type(net, v)) && in->slot[v] == UINT64_MAX) {
        in->slot[v] = in->frame_bytes;
        in->frame_bytes += ((uint64_t)type_element_bytes(value_type(net, v)) + 7) / 8 * 8;
    }
}

static void carry_operands(struct Inputs *in, const Network *net, const Op *op)
{
    for (uint32_t i = 0; i < op->n_operands && op->kind != OP_tally; i++)
        if (op->operand[i])
            carry(in, net, op_operand(op, i));
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            carry_operands(in, net, inner);
}

static struct Inputs *inputs_new(const Emitter *e, const Network *net, const Plan *plan, const bool *for_all)
{
    struct Inputs *in = NEW(e->arena, struct Inputs);
    in->for_all = for_all;
    uint32_t n = (uint32_t)net->values.len;
    in->stretch = NEW_ARRAY(e->arena, n, uint32_t);
    in->slot = NEW_ARRAY(e->arena, n, uint64_t);
    in->frame_bytes = (plan->frame_bytes + 7) / 8 * 8;
    for (Value v = 0; v < n; v++)
        in->slot[v] = UINT64_MAX;
    for (const Op *from = net->body->first, *end; from; from = end) {
        end = stretch_end(in, from);
        in->at++;
        for (const Op *op = from; op != end; op = op->next) {
            number_values(in, op);
            carry_operands(in, net, op);
        }
    }
    uint64_t align = e->target.align, stack = e->target.max_stack;
    in->frame_bytes = (in->frame_bytes + align - 1) / align * align;
    stack = plan->work_bytes < stack ? stack - plan->work_bytes : 0;
    uint64_t most = in->frame_bytes ? stack / in->frame_bytes : MOST_INPUTS;
    in->most = most < MOST_INPUTS ? (uint32_t)most : MOST_INPUTS;
    return in;
}

/* ---- whether it pays ---- */

/* Every input runs through to the only return: none can be refused on the way. */
static bool is_straight(const Network *net)
{
    OpWalk walk;
    uint32_t returns = 0;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind == OP_refuse)
            return false;
        returns += op->kind == OP_return;
    }
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].type.elem == ELEM_IDX)
            return false;
    return returns == 1 && net->body->last && net->body->last->kind == OP_return;
}

bool be_batch_shares(const Emitter *e, const Network *net, const Plan *plan)
{
    if (plan->scratch || (e->jit && !e->options->share_always) || !is_straight(net))
        return false;
    if (be_search_batches(net, plan) || be_leaf_batches(&e->target, net, plan))
        return true;
    const bool *for_all = layers_for_all(e, net, plan->lowering);
    if (!for_all)
        return false;
    Plan own = be_batch_plan(e->arena, &e->target, net);
    return inputs_new(e, net, &own, for_all)->most > 1;
}

/* ---- an input of the block ---- */

/* What was known of a value belongs to another loop, unless it is a constant. */
static void forget(Fn *f, Value v)
{
    const Op *op = value_op(f->net, v);
    if (f->place[v].at && !LLVMIsConstant(f->place[v].at))
        f->place[v].at = NULL;
    f->word[v] = NULL;
    for (uint32_t i = 0; op && is_address(f->net, op) && i < op->n_operands; i++)
        if (op->operand[i])
            forget(f, op_operand(op, i));
}

static void forget_op(Fn *f, const Op *op)
{
    for (uint32_t i = 0; i < op->n_operands; i++)
        if (op->operand[i])
            forget(f, op_operand(op, i));
    for (uint32_t i = 0; i < op->n_results; i++)
        forget(f, op->result[i]);
    for (uint32_t r = 0; r < op->n_regions; r++) {
        for (uint32_t a = 0; a < op->region[r]->n_args; a++)
            forget(f, op->region[r]->arg[a]);
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            forget_op(f, inner);
    }
}

/* What the stretch at hand takes from those before. */
static void arrive(Fn *f, Value v)
{
    struct Inputs *in = f->inputs;
    const Op *op = value_op(f->net, v);
    Type t = value_type(f->net, v);
    if (f->place[v].at || in->stretch[v] == in->at)
        return;
    if (op && is_address(f->net, op)) {
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                arrive(f, op_operand(op, i));
        be_op(f, op);
    } else if (!be_in_memory(t)) {
        LLVMValueRef at = op ? be_at_const(f, f->frame, in->slot[v]) : f->in[value_info(f->net, v)->index];
        be_set_scalar(f, v, be_load(f, t, at, be_size(f->e, 0), 1));
    }
}

static void arrive_operands(Fn *f, const Op *op)
{
    for (uint32_t i = 0; i < op->n_operands && op->kind != OP_tally; i++)
        if (op->operand[i])
            arrive(f, op_operand(op, i));
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            arrive_operands(f, inner);
}

static LLVMValueRef of_input(Fn *f, uint32_t port, LLVMValueRef number)
{
    LLVMValueRef offset = LLVMBuildMul(f->b, number, f->inputs->stride[port], "");
    return LLVMBuildGEP2(f->b, f->e->i8, f->inputs->port[port], &offset, 1, "");
}

DynLoop be_inputs(Fn *f)
{
    struct Inputs *in = f->inputs;
    const Network *net = f->net;
    DynLoop loop = be_dyn_loop(f, in->n, "input");
    LLVMValueRef number = LLVMBuildAdd(f->b, in->first, loop.i, "");
    f->frame = in->frame_bytes ? be_at(f, in->frames, LLVMBuildMul(f->b, loop.i, be_size(f->e, in->frame_bytes), "")) : NULL;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        f->in[i] = of_input(f, i, number);
    for (uint32_t i = 0; i < net->n_outputs; i++)
        f->out[i] = of_input(f, net->n_inputs + i, number);
    for (const Op *op = in->from; op != in->end; op = op->next)
        forget_op(f, op);
    for (const Op *op = in->from; op != in->end; op = op->next)
        arrive_operands(f, op);
    return loop;
}

void be_inputs_end(Fn *f, DynLoop *loop)
{
    be_dyn_loop_end(f, loop);
}

/* ---- a stretch for all inputs of the block ---- */

/* Ops without instructions of their own. */
static bool is_silent(const Fn *f, const Op *op)
{
    if (op->kind == OP_relu && f->plan->fused_relu[op_operand(op, 0)] == op->result[0])
        return true;
    return op->kind == OP_const || op->kind == OP_tally || is_address(f->net, op) || (op->kind == OP_active && be_active_is_fused(f, op));
}

static void leave_scalars(Fn *f, const Op *op)
{
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op->result[i];
        if (f->inputs->slot[v] != UINT64_MAX)
            be_store(f, value_type(f->net, v), be_place(f, v).at, be_at_const(f, f->frame, f->inputs->slot[v]), be_size(f->e, 0), 1);
    }
}

/* worst = s < 0 || worst < 0 ? min : max */
static void add_status(Fn *f)
{
    Emitter *e = f->e;
    LLVMValueRef s = LLVMBuildLoad2(f->b, e->i32, f->status, ""), worst = LLVMBuildLoad2(f->b, e->i32, f->inputs->worst, "");
    LLVMBuildStore(f->b, be_worst_status(e, s, worst), f->inputs->worst);
}

static void ops_for_all(Fn *f)
{
    struct Inputs *in = f->inputs;
    bool silent = true;
    for (const Op *op = in->from; op != in->end; op = op->next) {
        silent = silent && is_silent(f, op);
        if (op->kind == OP_const)
            be_op(f, op);
    }
    if (silent)
        return;
    DynLoop loop = be_inputs(f);
    f->exit = in->end ? NULL : be_new_block(f, "returned");
    for (const Op *op = in->from; op != in->end; op = op->next)
        be_op(f, op);
    if (f->exit) {
        LLVMMoveBasicBlockAfter(f->exit, LLVMGetLastBasicBlock(f->fn));
        LLVMPositionBuilderAtEnd(f->b, f->exit);
        add_status(f);
    }
    for (const Op *op = in->from; op != in->end; op = op->next)
        leave_scalars(f, op);
    be_inputs_end(f, &loop);
}

/* ---- the function ---- */

LLVMTypeRef be_batch_signature(Emitter *e, const Network *net, const Plan *plan)
{
    uint32_t ports = net->n_inputs + net->n_outputs, n = 0;
    LLVMTypeRef *params = NEW_ARRAY(e->arena, 2 * ports + 2, LLVMTypeRef);
    params[n++] = e->size;
    for (uint32_t i = 0; i < ports; i++) {
        params[n++] = e->ptr;
        params[n++] = e->size;
    }
    if (plan->scratch)
        params[n++] = e->ptr;
    return LLVMFunctionType(e->i32, params, n, 0);
}

void be_batch_ports(Fn *f, LLVMValueRef **port, LLVMValueRef **stride)
{
    uint32_t inputs = f->net->n_inputs, ports = inputs + f->net->n_outputs;
    *port = NEW_ARRAY(f->e->arena, ports + 1, LLVMValueRef);
    *stride = NEW_ARRAY(f->e->arena, ports + 1, LLVMValueRef);
    f->in = NEW_ARRAY(f->e->arena, inputs + 1, LLVMValueRef);
    f->out = NEW_ARRAY(f->e->arena, f->net->n_outputs + 1, LLVMValueRef);
    for (uint32_t i = 0; i < ports; i++) {
        Type t = i < inputs ? f->net->input[i].type : f->net->output[i - inputs].type;
        (*port)[i] = LLVMGetParam(f->fn, 1 + 2 * i);
        (*stride)[i] = LLVMBuildMul(f->b, LLVMGetParam(f->fn, 2 + 2 * i), be_size(f->e, type_element_bytes(t)), "");
    }
}

static void prologue(Fn *f)
{
    struct Inputs *in = f->inputs;
    Emitter *e = f->e;
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    in->frames = LLVMBuildAlloca(f->b, LLVMArrayType2(e->i8, in->frame_bytes * in->most), "frames");
    LLVMSetAlignment(in->frames, e->target.align);
    f->work = LLVMBuildAlloca(f->b, LLVMArrayType2(e->i8, f->plan->work_bytes), "work");
    LLVMSetAlignment(f->work, e->target.align);
    f->status = LLVMBuildAlloca(f->b, e->i32, "status");
    in->worst = LLVMBuildAlloca(f->b, e->i32, "worst");
    LLVMBuildStore(f->b, LLVMConstInt(e->i32, 0, 0), in->worst);
    be_batch_ports(f, &in->port, &in->stride);
    LLVMBasicBlockRef start = be_new_block(f, "start");
    LLVMBuildBr(f->b, start);
    LLVMPositionBuilderAtEnd(f->b, start);
}

static void block_of_inputs(Fn *f)
{
    struct Inputs *in = f->inputs;
    in->at = 0;
    for (in->from = f->net->body->first; in->from; in->from = in->end) {
        in->end = stretch_end(in, in->from);
        in->at++;
        if (is_for_all(in, in->from))
            be_affine_for_all(f, in->from);
        else
            ops_for_all(f);
    }
}

/*   for (block = 0; block < ceil(n / most); block++) { first = block * most; … min(most, n - first) inputs … }   */
LLVMValueRef be_batch_body(Emitter *e, const Network *net, const Level *level, const char *name)
{
    Plan plan = be_batch_plan(e->arena, &e->target, net);
    if (be_search_batches(net, &plan))
        return be_search_batch(e, net, level, name);
    Plan one = be_plan(e->arena, &e->target, net);
    if (be_leaf_batches(&e->target, net, &one))
        return be_leaf_batch(e, net, &one, level, name);
    const bool *for_all = layers_for_all(e, net, plan.lowering);
    Fn state = {.e = e, .b = e->b, .net = net, .m = net->module, .plan = &plan, .level = level}, *f = &state;
    f->inputs = inputs_new(e, net, &plan, for_all);
    f->fn = LLVMAddFunction(e->module, name, be_batch_signature(e, net, &plan));
    be_attributes(e, f->fn, level);
    be_debug_function(e, f->fn, net);
    f->place = NEW_ARRAY(e->arena, net->values.len, Place);
    f->word = NEW_ARRAY(e->arena, net->values.len, LLVMValueRef);
    f->entry = be_new_block(f, "entry");
    prologue(f);
    LLVMValueRef n = LLVMGetParam(f->fn, 0), most = be_size(e, f->inputs->most);
    LLVMValueRef rest = LLVMBuildICmp(f->b, LLVMIntNE, LLVMBuildURem(f->b, n, most, ""), be_size(e, 0), "");
    LLVMValueRef blocks = LLVMBuildAdd(f->b, LLVMBuildUDiv(f->b, n, most, ""), LLVMBuildZExt(f->b, rest, e->size, ""), "");
    DynLoop loop = be_dyn_loop(f, blocks, "block");
    f->inputs->first = LLVMBuildMul(f->b, loop.i, most, "");
    LLVMValueRef left = LLVMBuildSub(f->b, n, f->inputs->first, "");
    f->inputs->n = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntULT, left, most, ""), left, most, "");
    block_of_inputs(f);
    be_dyn_loop_end(f, &loop);
    LLVMBuildRet(f->b, LLVMBuildLoad2(f->b, e->i32, f->inputs->worst, ""));
    return f->failed ? NULL : f->fn;
}
