/* leaf_batch.c — many walks down one tree, then leaf by leaf: a body of NAME_eval_batch for a tree and the code of its leaves.
 *
 *      for each block of inputs:
 *        for each input:                     class[i], slot[i] = descend;  end[class[i]]++
 *        inputs are sorted by class:         order[…], end[c]                                    (counting)
 *        for each class c:                   for each of its inputs:  ask for the record of one ahead;  y = the code of c
 *
 * In: a network in which no input can be refused on the way, with one descend and one case of the class that it finds. Out: an LLVM
 * function with the signature of NAME_eval_batch. The one idea: alone, an input pays for a jump that nobody can predict, for code
 * that was last used a hundred inputs ago, and for a record that is far away. Together, the inputs of a class share the code and
 * the jump, and a record is on its way while others are evaluated. What an input's leaf computes is what it computes alone.
 */
#include "gen.h"

#include <string.h>

enum { MOST_INPUTS = 1024, LEAST_INPUTS = 64,     /* in a block */
       MOST_AFTER = 8,                            /* ops after the case: each class has a copy */
       AHEAD = 3, LINE = 64, MOST_LINES = 64 };   /* records that are asked for; lines of one */

typedef struct Leaves {
    const Op *descend, *choice;
    bool *needed;                                 /* by Value: made before the case, and used in it or after it */
    uint32_t most;                                /* inputs of a block */
    LLVMValueRef first, n;                        /* of the block at hand: its first input, its size */
    LLVMValueRef class_, slot, order, end;        /* arrays of i32: by input, by input, by place, by class */
    LLVMValueRef worst;
    LLVMValueRef *port, *stride;                  /* parameters; strides in bytes */
    Place *known;                                 /* by Value: what does not depend on the input */
} Leaves;

/* ---- which networks ---- */

static bool is_used(const Network *net, Value v)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t i = 0; i < op->n_operands && op->kind != OP_tally; i++)
            if (op->operand[i] && op_operand(op, i) == v)
                return true;
    return false;
}

static bool find_leaves(const Network *net, Leaves *out)
{
    const Op *descend = NULL, *choice = NULL;
    uint32_t after = 0;
    for (const Op *op = net->body->first; op; op = op->next) {
        bool is_choice = op->kind == OP_case && descend && !choice && op_operand(op, 0) == descend->result[0];
        if ((op->n_regions > 0 && !is_choice) || (op->kind == OP_descend && descend))
            return false;
        after += choice && op->kind != OP_tally;
        if (op->kind == OP_descend)
            descend = op;
        if (is_choice)
            choice = op;
    }
    *out = (Leaves){.descend = descend, .choice = choice};
    return choice && after <= MOST_AFTER && !is_used(net, descend->result[2]);
}

static uint32_t block_of(const Target *target, const Plan *plan, const Leaves *l)
{
    uint64_t fixed = plan->frame_bytes + 4 * (uint64_t)l->choice->n_regions;
    uint32_t most = MOST_INPUTS;
    while (most >= LEAST_INPUTS && fixed + 12 * (uint64_t)most > target->max_stack)
        most /= 2;
    return most;
}

bool be_leaf_batches(const Target *target, const Network *net, const Plan *plan)
{
    Leaves l;
    return find_leaves(net, &l) && !plan->scratch && block_of(target, plan, &l) >= LEAST_INPUTS;
}

/* ---- what leaves take from before ---- */

static void need(Leaves *l, const Network *net, Value v)
{
    const Op *op = value_op(net, v);
    if (l->needed[v])
        return;
    l->needed[v] = true;
    for (uint32_t i = 0; op && op != l->descend && op->parent == net->body && i < op->n_operands; i++)
        if (op->operand[i])
            need(l, net, op_operand(op, i));
}

static void need_operands(Leaves *l, const Network *net, const Op *op)
{
    for (uint32_t i = 0; i < op->n_operands && op->kind != OP_tally; i++)
        if (op->operand[i])
            need(l, net, op_operand(op, i));
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            need_operands(l, net, inner);
}

/* ---- an input ---- */

static LLVMValueRef entry(Fn *f, LLVMValueRef array, LLVMValueRef i)
{
    return LLVMBuildInBoundsGEP2(f->b, f->e->i32, array, &i, 1, "");
}

static LLVMValueRef load_size(Fn *f, LLVMValueRef array, LLVMValueRef i)
{
    LLVMValueRef v = LLVMBuildLoad2(f->b, f->e->i32, entry(f, array, i), "");
    return LLVMBuildZExtOrBitCast(f->b, v, f->e->size, "");
}

static void store_size(Fn *f, LLVMValueRef v, LLVMValueRef array, LLVMValueRef i)
{
    LLVMBuildStore(f->b, LLVMBuildIntCast2(f->b, v, f->e->i32, false, ""), entry(f, array, i));
}

static LLVMValueRef of_input(Fn *f, const Leaves *l, uint32_t port, LLVMValueRef number)
{
    LLVMValueRef offset = LLVMBuildMul(f->b, number, l->stride[port], "");
    return LLVMBuildGEP2(f->b, f->e->i8, l->port[port], &offset, 1, "");
}

/* f's inputs and outputs are those of number i of the block, and nothing else is known of it. */
static void begin_input(Fn *f, const Leaves *l, LLVMValueRef i)
{
    const Network *net = f->net;
    LLVMValueRef number = LLVMBuildAdd(f->b, l->first, i, "");
    memcpy(f->place, l->known, net->values.len * sizeof *f->place);
    memset(f->word, 0, net->values.len * sizeof *f->word);
    for (uint32_t p = 0; p < net->n_inputs; p++) {
        Value v = net->body->arg[p];
        f->in[p] = of_input(f, l, p, number);
        if (!be_in_memory(value_type(net, v)))
            be_set_scalar(f, v, be_load(f, value_type(net, v), f->in[p], be_size(f->e, 0), 1));
    }
    for (uint32_t p = 0; p < net->n_outputs; p++)
        f->out[p] = of_input(f, l, net->n_inputs + p, number);
}

/* ---- the walks ---- */

static void descend_all(Fn *f, const Leaves *l)
{
    DynLoop loop = be_dyn_loop(f, l->n, "walks");
    begin_input(f, l, loop.i);
    for (const Op *op = f->net->body->first; op != l->descend->next; op = op->next)
        be_op(f, op);
    LLVMValueRef class_ = be_place(f, l->descend->result[0]).at, wide = LLVMBuildZExtOrBitCast(f->b, class_, f->e->size, "");
    LLVMBuildStore(f->b, class_, entry(f, l->class_, loop.i));
    LLVMBuildStore(f->b, be_place(f, l->descend->result[1]).at, entry(f, l->slot, loop.i));
    store_size(f, LLVMBuildAdd(f->b, load_size(f, l->end, wide), be_size(f->e, 1), ""), l->end, wide);
    be_dyn_loop_end(f, &loop);
}

/* end[c] counts class c; then it is where c begins; then, each input having taken its place, where c ends. */
static void sort_by_class(Fn *f, const Leaves *l)
{
    Emitter *e = f->e;
    LLVMValueRef total = be_alloca(f, e->size, "total");
    LLVMBuildStore(f->b, be_size(e, 0), total);
    Loop sum = be_loop(f, l->choice->n_regions, 1, "begins");
    LLVMValueRef before = LLVMBuildLoad2(f->b, e->size, total, "");
    LLVMBuildStore(f->b, LLVMBuildAdd(f->b, before, load_size(f, l->end, sum.i), ""), total);
    store_size(f, before, l->end, sum.i);
    be_loop_end(f, &sum);
    DynLoop loop = be_dyn_loop(f, l->n, "sort");
    LLVMValueRef class_ = load_size(f, l->class_, loop.i), place = load_size(f, l->end, class_);
    store_size(f, loop.i, l->order, place);
    store_size(f, LLVMBuildAdd(f->b, place, be_size(e, 1), ""), l->end, class_);
    be_dyn_loop_end(f, &loop);
}

/* ---- the leaves ---- */

/* The first record that a region reads by its class's slot; NULL: none. */
static const Record *record_of(Fn *f, const Leaves *l, const Block *region)
{
    for (size_t i = 0; i < f->plan->records.len; i++) {
        const Record *r = f->plan->records.at[i];
        const Op *index = value_op(f->net, r->index);
        if (r->block == region && (r->index == l->descend->result[1] ||
            (index && index->kind == OP_cast && op_operand(index, 0) == l->descend->result[1])))
            return r;
    }
    return NULL;
}

static void ask_for(Fn *f, const Leaves *l, const Record *r, LLVMValueRef place)
{
    Emitter *e = f->e;
    Layout layout = be_layout_record(r);
    LLVMValueRef base = be_constant(e, f->m, be_record_id(r), &layout), slot = load_size(f, l->slot, load_size(f, l->order, place));
    LLVMValueRef at = be_at(f, base, LLVMBuildMul(f->b, slot, be_size(e, layout.slot_bytes), ""));
    for (uint64_t line = 0; line < layout.slot_bytes && line < MOST_LINES * LINE; line += LINE)
        be_prefetch(f, at, be_size(e, line), 1);
}

/* worst = s < 0 || worst < 0 ? min : max */
static void add_status(Fn *f, const Leaves *l)
{
    Emitter *e = f->e;
    LLVMValueRef s = LLVMBuildLoad2(f->b, e->i32, f->status, ""), worst = LLVMBuildLoad2(f->b, e->i32, l->worst, "");
    LLVMBuildStore(f->b, be_worst_status(e, s, worst), l->worst);
}

static void leaf(Fn *f, const Leaves *l, uint32_t class_, LLVMValueRef i)
{
    Emitter *e = f->e;
    begin_input(f, l, i);
    be_set_scalar(f, l->descend->result[0], LLVMConstInt(e->i32, class_, 0));
    be_set_scalar(f, l->descend->result[1], LLVMBuildLoad2(f->b, e->i32, entry(f, l->slot, i), ""));
    for (const Op *op = f->net->body->first; op != l->choice; op = op->next)
        if (op != l->descend && op->kind != OP_const && op->n_results > 0 && l->needed[op->result[0]])
            be_op(f, op);
    be_case_alone(f, l->choice, class_);
    f->exit = be_new_block(f, "returned");
    for (const Op *op = l->choice->next; op; op = op->next)
        if (op->kind != OP_tally)
            be_op(f, op);
    LLVMMoveBasicBlockAfter(f->exit, LLVMGetLastBasicBlock(f->fn));
    LLVMPositionBuilderAtEnd(f->b, f->exit);
    add_status(f, l);
}

static void leaves_of_class(Fn *f, const Leaves *l, uint32_t class_)
{
    Emitter *e = f->e;
    const Record *record = record_of(f, l, l->choice->region[class_]);
    LLVMValueRef from = class_ ? load_size(f, l->end, be_size(e, class_ - 1)) : be_size(e, 0);
    LLVMValueRef end = load_size(f, l->end, be_size(e, class_)), n = LLVMBuildSub(f->b, end, from, "");
    if (record) {
        LLVMValueRef some = LLVMBuildICmp(f->b, LLVMIntULT, n, be_size(e, AHEAD), "");
        DynLoop first = be_dyn_loop(f, LLVMBuildSelect(f->b, some, n, be_size(e, AHEAD), ""), "ask");
        ask_for(f, l, record, LLVMBuildAdd(f->b, from, first.i, ""));
        be_dyn_loop_end(f, &first);
    }
    DynLoop loop = be_dyn_loop(f, n, "leaves");
    LLVMValueRef place = LLVMBuildAdd(f->b, from, loop.i, "");
    if (record) {
        LLVMValueRef ahead = LLVMBuildAdd(f->b, place, be_size(e, AHEAD), ""), there = LLVMBuildICmp(f->b, LLVMIntULT, ahead, end, "");
        ask_for(f, l, record, LLVMBuildSelect(f->b, there, ahead, place, ""));
    }
    leaf(f, l, class_, load_size(f, l->order, place));
    be_dyn_loop_end(f, &loop);
}

/* ---- the function ---- */

static LLVMValueRef array(Fn *f, uint32_t n, const char *name)
{
    return LLVMBuildAlloca(f->b, LLVMArrayType2(f->e->i32, n), name);
}

static void prologue(Fn *f, Leaves *l)
{
    Emitter *e = f->e;
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    if (f->plan->frame_bytes > 0) {
        f->frame = LLVMBuildAlloca(f->b, LLVMArrayType2(e->i8, f->plan->frame_bytes), "frame");
        LLVMSetAlignment(f->frame, e->target.align);
    }
    f->work = f->frame;
    f->status = LLVMBuildAlloca(f->b, e->i32, "status");
    l->worst = LLVMBuildAlloca(f->b, e->i32, "worst");
    LLVMBuildStore(f->b, LLVMConstInt(e->i32, 0, 0), l->worst);
    l->class_ = array(f, l->most, "class");
    l->slot = array(f, l->most, "slot");
    l->order = array(f, l->most, "order");
    l->end = array(f, l->choice->n_regions, "end");
    be_batch_ports(f, &l->port, &l->stride);
    LLVMBasicBlockRef start = be_new_block(f, "start");
    LLVMBuildBr(f->b, start);
    LLVMPositionBuilderAtEnd(f->b, start);
}

static void block_of_inputs(Fn *f, Leaves *l)
{
    Emitter *e = f->e;
    Loop clear = be_loop(f, l->choice->n_regions, 1, "clear");
    store_size(f, be_size(e, 0), l->end, clear.i);
    be_loop_end(f, &clear);
    descend_all(f, l);
    sort_by_class(f, l);
    for (uint32_t c = 0; c < l->choice->n_regions; c++)
        leaves_of_class(f, l, c);
}

/* Constants, which are the same for all inputs. */
static void find_known(Fn *f, Leaves *l)
{
    uint32_t n = (uint32_t)f->net->values.len;
    for (const Op *op = f->net->body->first; op; op = op->next)
        if (op->kind == OP_const)
            be_op(f, op);
    l->known = NEW_ARRAY(f->e->arena, n, Place);
    memcpy(l->known, f->place, n * sizeof *l->known);
}

/*   for (block = 0; block < ceil(n / most); block++) { first = block * most; … min(most, n - first) inputs … }   */
LLVMValueRef be_leaf_batch(Emitter *e, const Network *net, const Plan *plan, const Level *level, const char *name)
{
    Fn state = {.e = e, .b = e->b, .net = net, .m = net->module, .plan = plan, .level = level}, *f = &state;
    Leaves leaves, *l = &leaves;
    find_leaves(net, l);
    l->most = block_of(&e->target, plan, l);
    l->needed = NEW_ARRAY(e->arena, net->values.len, bool);
    for (const Op *op = l->choice; op; op = op->next)
        need_operands(l, net, op);
    f->fn = LLVMAddFunction(e->module, name, be_batch_signature(e, net, plan));
    be_attributes(e, f->fn, level);
    be_debug_function(e, f->fn, net);
    f->place = NEW_ARRAY(e->arena, net->values.len, Place);
    f->word = NEW_ARRAY(e->arena, net->values.len, LLVMValueRef);
    f->entry = be_new_block(f, "entry");
    f->records_asked = true;
    prologue(f, l);
    find_known(f, l);
    LLVMValueRef n = LLVMGetParam(f->fn, 0), most = be_size(e, l->most);
    LLVMValueRef rest = LLVMBuildICmp(f->b, LLVMIntNE, LLVMBuildURem(f->b, n, most, ""), be_size(e, 0), "");
    LLVMValueRef blocks = LLVMBuildAdd(f->b, LLVMBuildUDiv(f->b, n, most, ""), LLVMBuildZExt(f->b, rest, e->size, ""), "");
    DynLoop loop = be_dyn_loop(f, blocks, "block");
    l->first = LLVMBuildMul(f->b, loop.i, most, "");
    LLVMValueRef left = LLVMBuildSub(f->b, n, l->first, "");
    l->n = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntULT, left, most, ""), left, most, "");
    block_of_inputs(f, l);
    be_dyn_loop_end(f, &loop);
    LLVMBuildRet(f->b, LLVMBuildLoad2(f->b, e->i32, l->worst, ""));
    return f->failed ? NULL : f->fn;
}
