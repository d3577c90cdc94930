/* region.c — regions and their ends: if, case, repeat, each, yield, return, refuse.
 *
 *      if:      br %c, then, else;  …each branch writes the results…;  join:
 *      case:    switch %i [0, case0] [1, case1] …
 *      repeat:  for (i = 0; i < n; i++) { …accumulators… }
 *      each:    while (m) { i = ctz(m); m &= m - 1; … }       over a set; a plain loop over a list
 *
 * The one idea: what a region hands on is memory. A tensor result has its home in the plan; a scalar result is an alloca
 * that the optimiser's sroa turns into a phi, so no emitter threads phis through nested control flow.
 */
#include "gen.h"

/* ---- results ---- */

/* The alloca of each scalar result (NULL for tensors), in order. */
static LLVMValueRef *scalar_slots(Fn *f, const Op *op)
{
    LLVMValueRef *slot = NEW_ARRAY(f->e->arena, op->n_results + 1, LLVMValueRef);
    for (uint32_t i = 0; i < op->n_results; i++) {
        Type t = value_type(f->net, op->result[i]);
        if (!be_in_memory(t))
            slot[i] = be_alloca(f, be_scalar_type(f->e, t), "result");
    }
    return slot;
}

static void load_results(Fn *f, const Op *op, LLVMValueRef *slot)
{
    for (uint32_t i = 0; i < op->n_results; i++)
        if (slot[i])
            be_set_scalar(f, op->result[i], LLVMBuildLoad2(f->b, be_scalar_type(f->e, value_type(f->net, op->result[i])), slot[i], ""));
}

static uint32_t unit_bytes(Type t)
{
    return t.elem == ELEM_SET ? 8 : type_element_bytes(t);
}

static void copy_value(Fn *f, Type t, LLVMValueRef to, LLVMValueRef from)
{
    if (to != from)
        be_copy(f, to, from, be_type_bytes(t), unit_bytes(t));
}

static Value root_of(const Fn *f, Value v)
{
    while (f->plan->home[v].storage == STORAGE_ALIAS && f->plan->home[v].root != v)
        v = f->plan->home[v].root;
    return v;
}

/* ---- branches ---- */

/* One branch: its ops, then its yields into the results' homes (unless made there), then on to `join`. A branch that
 * ends by leaving the network has no way there. */
static void branch(Fn *f, const Op *op, const Block *region, LLVMValueRef *slot, LLVMBasicBlockRef join)
{
    be_block(f, region);
    const Op *end = region->last;
    if (!end || end->kind != OP_yield)
        return;
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op_operand(end, i);
        if (slot[i])
            LLVMBuildStore(f->b, be_place(f, v).at, slot[i]);
        else if (root_of(f, v) != root_of(f, op->result[i]))
            copy_value(f, value_type(f->net, v), be_define(f, op->result[i]).at, be_place(f, v).at);
    }
    LLVMBuildBr(f->b, join);
}

static void emit_if(Fn *f, const Op *op)
{
    LLVMValueRef *slot = scalar_slots(f, op);
    LLVMBasicBlockRef yes = be_new_block(f, "then"), no = be_new_block(f, "else"), join = be_new_block(f, "join");
    LLVMBuildCondBr(f->b, be_place(f, op_operand(op, 0)).at, yes, no);
    LLVMPositionBuilderAtEnd(f->b, yes);
    branch(f, op, op->region[0], slot, join);
    LLVMPositionBuilderAtEnd(f->b, no);
    branch(f, op, op->region[1], slot, join);
    LLVMPositionBuilderAtEnd(f->b, join);
    load_results(f, op, slot);
}

static void emit_case(Fn *f, const Op *op)
{
    LLVMValueRef *slot = scalar_slots(f, op);
    LLVMBasicBlockRef never = be_new_block(f, "never"), join = be_new_block(f, "join");
    LLVMValueRef choice = LLVMBuildSwitch(f->b, be_place(f, op_operand(op, 0)).at, never, op->n_regions);
    for (uint32_t r = 0; r < op->n_regions; r++) {
        LLVMBasicBlockRef block = be_new_block(f, "case");
        LLVMAddCase(choice, LLVMConstInt(f->e->i32, r, 0), block);
        LLVMPositionBuilderAtEnd(f->b, block);
        branch(f, op, op->region[r], slot, join);
    }
    LLVMPositionBuilderAtEnd(f->b, never);        /* an idx[n] is below n */
    LLVMBuildUnreachable(f->b);
    LLVMPositionBuilderAtEnd(f->b, join);
    load_results(f, op, slot);
}

void be_case_alone(Fn *f, const Op *op, uint32_t r)
{
    LLVMValueRef *slot = scalar_slots(f, op);
    LLVMBasicBlockRef join = be_new_block(f, "join");
    branch(f, op, op->region[r], slot, join);
    LLVMMoveBasicBlockAfter(join, LLVMGetLastBasicBlock(f->fn));
    LLVMPositionBuilderAtEnd(f->b, join);
    load_results(f, op, slot);
}

/* ---- loops ---- */

typedef struct LoopState { const Op *op; LLVMValueRef *slot; Type list; LLVMValueRef list_at; } LoopState;

static void start_accumulators(Fn *f, const Op *op, uint32_t first_init, LLVMValueRef *slot)
{
    const Block *body = op->region[0];
    for (uint32_t k = 0; k < op->n_results; k++) {
        Value init = op_operand(op, first_init + k);
        if (slot[k])
            LLVMBuildStore(f->b, be_place(f, init).at, slot[k]);
        else
            copy_value(f, value_type(f->net, init), be_define(f, body->arg[k + 1]).at, be_place(f, init).at);
    }
}

/* The yields become the accumulators of the next turn. Those that come from other accumulators go through a second
 * buffer, filled before any accumulator changes. */
static void next_accumulators(Fn *f, const Op *op, LLVMValueRef *slot)
{
    const Block *body = op->region[0];
    const Op *end = body->last;
    for (int phase = 0; phase < 3; phase++)
        for (uint32_t k = 0; k < op->n_results; k++) {
            Value v = op_operand(end, k), arg = body->arg[k + 1];
            Type t = value_type(f->net, arg);
            bool staged = f->plan->stage[arg] != UINT64_MAX;
            LLVMValueRef stage = staged ? be_at_const(f, f->frame, f->plan->stage[arg]) : NULL;
            if (phase == 0 && staged)
                copy_value(f, t, stage, be_place(f, v).at);
            else if (phase == 1 && slot[k])
                LLVMBuildStore(f->b, be_place(f, v).at, slot[k]);
            else if (phase == 1 && !staged && v != arg)
                copy_value(f, t, be_place(f, arg).at, be_place(f, v).at);
            else if (phase == 2 && staged)
                copy_value(f, t, be_place(f, arg).at, stage);
        }
}

static void loop_body(Fn *f, LLVMValueRef index, void *context)
{
    LoopState *s = context;
    const Block *body = s->op->region[0];
    if (s->list_at)
        be_set_scalar(f, body->arg[0], be_load(f, s->list, s->list_at, index, 1));
    else
        be_set_scalar(f, body->arg[0], LLVMBuildIntCast2(f->b, index, f->e->i32, false, ""));
    for (uint32_t k = 0; k < s->op->n_results; k++)
        if (s->slot[k])
            be_set_scalar(f, body->arg[k + 1],
                LLVMBuildLoad2(f->b, be_scalar_type(f->e, value_type(f->net, body->arg[k + 1])), s->slot[k], ""));
    be_block(f, body);
    if (body->last && body->last->kind == OP_yield) {
        next_accumulators(f, s->op, s->slot);
    } else {
        /* The body always leaves the network: what would follow is never reached, but needs a place. */
        LLVMPositionBuilderAtEnd(f->b, be_new_block(f, "never"));
    }
}

static void emit_loop(Fn *f, const Op *op)
{
    LoopState state = {.op = op, .slot = scalar_slots(f, op)};
    if (op->kind == OP_repeat) {
        start_accumulators(f, op, 0, state.slot);
        Loop loop = be_loop(f, (uint64_t)op->attr[0].i, 1, "repeat");
        loop_body(f, loop.i, &state);
        be_loop_end(f, &loop);
    } else {
        Value over = op_operand(op, EACH_over);
        Type t = value_type(f->net, over);
        start_accumulators(f, op, EACH_init, state.slot);
        if (t.elem == ELEM_SET) {
            be_walk_set(f, be_place(f, over).at, t.n, loop_body, &state);
        } else if (type_count(t) > 0) {
            state.list = type_element(t);
            state.list_at = be_place(f, over).at;
            Loop loop = be_loop(f, type_count(t), 1, "each");
            loop_body(f, loop.i, &state);
            be_loop_end(f, &loop);
        }
    }
    load_results(f, op, state.slot);
}

void be_region(Fn *f, const Op *op)
{
    if (op->kind == OP_if)
        emit_if(f, op);
    else if (op->kind == OP_case)
        emit_case(f, op);
    else if (op->kind == OP_repeat || op->kind == OP_each)
        emit_loop(f, op);
    else
        ICE("a call reached the back end: the pass `inline` belongs before it");
}

/* ---- leaving ---- */

static void emit_return(Fn *f, const Op *op)
{
    for (uint32_t k = 0; k < f->net->n_outputs; k++) {
        Value v = op_operand(op, RETURN_value + k);
        Type t = value_type(f->net, v);
        const Home *root = &f->plan->home[root_of(f, v)];
        if (!be_in_memory(t))
            be_store(f, t, be_place(f, v).at, f->out[k], be_size(f->e, 0), 1);
        else if (root->storage != STORAGE_OUTPUT || root->port != k)
            copy_value(f, t, f->out[k], be_place(f, v).at);
    }
    LLVMValueRef status = LLVMConstInt(f->e->i32, 0, 0);
    if (op_operand(op, RETURN_status))
        status = LLVMBuildIntCast2(f->b, be_place(f, op_operand(op, RETURN_status)).at, f->e->i32, true, "");
    LLVMBuildStore(f->b, status, f->status);
    LLVMBuildBr(f->b, f->exit);
}

void be_terminator(Fn *f, const Op *op)
{
    if (op->kind == OP_return) {
        emit_return(f, op);
    } else if (op->kind == OP_refuse) {
        LLVMBuildStore(f->b, LLVMConstInt(f->e->i32, (uint64_t)op->attr[0].i, true), f->status);
        LLVMBuildBr(f->b, f->exit);
    }
    /* A yield is the business of the op whose region it ends. */
}
