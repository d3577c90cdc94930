/* interp.c — the reference evaluator: runs a network as written and defines every value.
 *
 * In: a network, buffers in memory form. Out: its outputs and status, the arithmetic that was executed, what tally ops
 * said, which events happened. The one idea: interp_new looks everything up (a Step for an op, a Slot for a value, all
 * memory), so interp_run only runs; and arithmetic happens nowhere but in primitives that count what they do, without
 * a look at the cost column of ops.def. The two must agree: that is tested.
 *
 *      run_body ── straight op:  step->run(in, step)
 *               ── if, case:     run_body(the region taken);         yield → the op's results
 *               ── repeat, each: run_body(the region), n times over; yield → results → accumulators
 *               ── call:         run_body(the callee's body);        return → the call's results
 *               ── return, refuse: out of everything
 */
#include "interp.h"

#include <string.h>

enum { STATUS_BAD_ARGUMENT = -2 };

/* How a body ended. */
typedef enum Flow { FLOW_YIELD, FLOW_RETURN, FLOW_REFUSE } Flow;

/* ---- which function runs an op; NULL: control ----------------------------------------------------------------------- */

static StepRun *run_of(OpKind kind)
{
    switch (kind) {
    case OP_const:     return step_const;
    case OP_row:       return step_row;
    case OP_field:     return step_field;
    case OP_affine:    return step_affine;
    case OP_matmul:    return step_matmul;
    case OP_matmix:    return step_matmix;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
    case OP_min:
    case OP_max:       return step_binary;
    case OP_neg:
    case OP_abs:
    case OP_relu:
    case OP_exp:
    case OP_tanh:
    case OP_sigmoid:
    case OP_sqrt:      return step_unary;
    case OP_cmp:       return step_cmp;
    case OP_select:    return step_select;
    case OP_cast:      return step_cast;
    case OP_and:
    case OP_or:
    case OP_xor:       return step_bits;
    case OP_shl:
    case OP_lshr:      return step_shift;
    case OP_ord:       return step_ord;
    case OP_dot:       return step_dot;
    case OP_reduce:    return step_reduce;
    case OP_argmax:
    case OP_argmin:    return step_best;
    case OP_reshape:   return step_reshape;
    case OP_transpose: return step_transpose;
    case OP_concat:    return step_concat;
    case OP_slice:     return step_slice;
    case OP_splat:     return step_splat;
    case OP_index:     return step_index;
    case OP_active:    return step_active;
    case OP_extend:    return step_extend;
    case OP_size:      return step_size;
    case OP_weigh:     return step_weigh;
    case OP_test:      return step_test;
    case OP_topk:      return step_topk;
    case OP_descend:   return step_descend;
    case OP_search:    return step_search;
    case OP_memorize:  return step_memorize;
    case OP_within:    return step_within;
    case OP_tally:     return step_tally;
    case OP_if:
    case OP_case:
    case OP_repeat:
    case OP_each:
    case OP_call:
    case OP_yield:
    case OP_return:
    case OP_refuse:    return NULL;
    case OP__COUNT:    break;
    }
    ICE("op %d", (int)kind);
}

/* Results that are read where they already lie. */
static bool is_view(OpKind kind) { return kind == OP_const || kind == OP_row || kind == OP_reshape; }

/* ---- preparing -------------------------------------------------------------------------------------------------------- */

typedef struct Prepare {
    Arena *arena;
    Frame **frames;               /* of the reachable networks, in the order of network_reach */
    const uint32_t *place;        /* there, by number in the module */
    const uint8_t **copies;       /* by ConstId: row-major copies made so far */
    const Sparse **sparse;        /* by ConstId: matrices without their zeros, likewise */
    const Module *module;
    uint64_t widest;              /* the longest set or vector whose members are listed */
    uint64_t sums;                /* bytes that sums of products need */
    size_t next_event;
} Prepare;

static Slot make_slot(Prepare *p, Type type, bool owns)
{
    Slot s = {.type = type};
    bool set = type.elem == ELEM_SET;
    s.count = set ? type.n : type_count(type);
    s.size = set ? 1 : type_element_bytes(type);
    if (s.count > p->widest && (set || type.rank == 1))
        p->widest = s.count;
    if (owns) {
        size_t bytes;
        if (!size_mul(s.count, s.size, &bytes))
            arena_exhausted(p->arena);
        s.at = bytes > 1 << 20 ? arena_big(p->arena, bytes, 64) : arena_alloc(p->arena, bytes);
    }
    return s;
}

/* Contents in row-major order: in place, or copied once. */
static const uint8_t *row_major(Prepare *p, ConstId id)
{
    const Const *c = const_get(p->module, id);
    if (c->kind == CONST_TREE)
        return NULL;
    if (!p->copies[id]) {
        uint8_t *copy = NULL;
        if (const_bytes(c) == 0)
            copy = arena_alloc(p->arena, 1);
        else if (!const_is_row_major(c))
            const_copy(c, copy = arena_big(p->arena, const_bytes(c), 64));
        p->copies[id] = copy ? copy : c->data;
    }
    return p->copies[id];
}

static Slot *slot_of(const Frame *f, Value v) { return v ? &f->slot[v] : NULL; }

static void prepare_body(Prepare *p, Frame *f, const Block *block, Body *out);

static bool reads_constants_whole(OpKind kind)
{
    return kind == OP_const || kind == OP_row || kind == OP_field || kind == OP_matmix || kind == OP_within || kind == OP_search || kind == OP_memorize;
}

static void prepare_step(Prepare *p, Frame *f, const Op *op, Step *step)
{
    const Network *net = f->net;
    step->op = op;
    step->run = run_of(op->kind);
    step->number = p->next_event++;
    step->operand = NEW_ARRAY(p->arena, op->n_operands, Slot *);
    step->result = NEW_ARRAY(p->arena, op->n_results, Slot *);
    for (uint32_t i = 0; i < op->n_operands; i++)
        step->operand[i] = slot_of(f, op_operand(op, i));
    for (uint32_t i = 0; i < op->n_results; i++)
        step->result[i] = slot_of(f, op->result[i]);
    for (int i = 0; i < OP_MAX_CONSTS; i++) {
        if (!op->cst[i])
            continue;
        step->cst[i] = const_get(p->module, op->cst[i]);
        if (reads_constants_whole(op->kind))
            step->data[i] = row_major(p, op->cst[i]);
    }
    step->fma = net->options.contract == CONTRACT_fma;
    if (op->kind == OP_active) {
        const Op *source = value_op(net, op_operand(op, 0));
        step->decided = source && source->kind == OP_relu;
    }
    if (op_skips_zeros(op)) {
        const Sparse **sparse = &p->sparse[op->cst[AFFINE_W]];
        *sparse = *sparse ? *sparse : sparse_new(p->arena, step->cst[AFFINE_W]);
        step->sparse = *sparse;
    }
    if (op->kind == OP_call)
        step->callee = p->frames[p->place[op->attr[0].i]];
    step->region = NEW_ARRAY(p->arena, op->n_regions, Body);
    for (uint32_t r = 0; r < op->n_regions; r++)
        prepare_body(p, f, op->region[r], &step->region[r]);
}

/* Steps are numbered as the walk goes: an op, then what is in its regions. */
static void prepare_body(Prepare *p, Frame *f, const Block *block, Body *out)
{
    for (const Op *op = block->first; op; op = op->next)
        out->n++;
    out->step = NEW_ARRAY(p->arena, out->n, Step);
    out->arg = NEW_ARRAY(p->arena, block->n_args, Slot *);
    for (uint32_t i = 0; i < block->n_args; i++)
        out->arg[i] = slot_of(f, block->arg[i]);
    Step *step = out->step;
    for (const Op *op = block->first; op; op = op->next)
        prepare_step(p, f, op, step++);
}

/* Slots for the values that are defined in the body; others (left behind by passes) get none. */
static void prepare_slots(Prepare *p, Frame *f)
{
    const Network *net = f->net;
    f->slot = NEW_ARRAY(p->arena, net->values.len, Slot);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        f->slot[net->body->arg[i]] = make_slot(p, net->input[i].type, true);
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        for (uint32_t i = 0; i < op->n_results; i++)
            f->slot[op->result[i]] = make_slot(p, value_type(net, op->result[i]), !is_view(op->kind));
        for (uint32_t r = 0; r < op->n_regions; r++)
            for (uint32_t i = 0; i < op->region[r]->n_args; i++)
                f->slot[op->region[r]->arg[i]] = make_slot(p, value_type(net, op->region[r]->arg[i]), true);
        if (op->n_results > 0 && sums_bytes(op, value_type(net, op->result[0])) > p->sums)
            p->sums = sums_bytes(op, value_type(net, op->result[0]));
        if (op->kind == OP_topk && type_count(value_type(net, op_operand(op, 0))) > p->widest)
            p->widest = type_count(value_type(net, op_operand(op, 0)));
    }
}

static bool has_fast_fma(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

Interp *interp_new(Arena *arena, const Network *net)
{
    Arena *own = arena_new(arena);
    if (!own)
        arena_exhausted(arena);
    Interp *in = NEW(own, Interp);
    Prepare p = {.arena = own, .module = net->module};
    in->arena = own;
    in->fast_fma = has_fast_fma();
    size_t n;
    const Network **networks = network_reach(own, net, &n, &p.place);
    p.frames = NEW_ARRAY(own, n, Frame *);
    p.copies = NEW_ARRAY(own, net->module->consts.len + 1, const uint8_t *);
    p.sparse = NEW_ARRAY(own, net->module->consts.len + 1, const Sparse *);
    for (size_t k = 0; k < n; k++) {
        Frame *f = p.frames[k] = NEW(own, Frame);
        f->net = networks[k];
        f->out = NEW_ARRAY(own, f->net->n_outputs, uint8_t *);
        prepare_slots(&p, f);
    }
    for (size_t k = 0; k < n; k++)
        prepare_body(&p, p.frames[k], networks[k]->body, &p.frames[k]->body);
    in->frame = p.frames[0];
    in->rows = NEW_ARRAY(own, p.widest + 1, uint32_t);
    in->cols = NEW_ARRAY(own, p.widest + 1, uint32_t);
    in->sums = arena_alloc(own, p.sums);
    return in;
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

static Flow run_body(Interp *in, Frame *f, const Body *body, int *status);

static void copy_slot(const Slot *to, const Slot *from)
{
    if (to->count > 0)
        memmove(to->at, from->at, to->count * to->size);
}

static void record_run(Interp *in, const Step *step)
{
    if (in->events)
        in->events->runs[step->number]++;
}

static void record_event(Interp *in, const Step *step, uint64_t size)
{
    if (in->events)
        in->events->sum[step->number] += size;
}

/* `yield` ends the last step of a region. */
static void take_yield(const Body *region, Slot **to)
{
    const Step *yield = &region->step[region->n - 1];
    for (uint32_t i = 0; i < yield->op->n_operands; i++)
        copy_slot(to[i], yield->operand[i]);
}

static Flow run_choice(Interp *in, Frame *f, const Step *step, int *status)
{
    /* `then` is region 0: taken when the condition holds. */
    uint32_t taken = step->op->kind == OP_if ? !step->operand[0]->at[0] : slot_index(step->operand[0]);
    record_event(in, step, taken);
    Flow flow = run_body(in, f, &step->region[taken], status);
    if (flow == FLOW_YIELD)
        take_yield(&step->region[taken], step->result);
    return flow;
}

/* One trip. What is yielded goes to the results first: it may be the accumulators themselves, in another order. */
static Flow run_trip(Interp *in, Frame *f, const Step *step, uint32_t index, int *status)
{
    const Body *body = &step->region[0];
    record_event(in, step, 1);
    *(u32u *)body->arg[0]->at = index;
    for (uint32_t i = 0; i < step->op->n_results; i++)
        copy_slot(body->arg[i + 1], step->result[i]);
    Flow flow = run_body(in, f, body, status);
    if (flow == FLOW_YIELD)
        take_yield(body, step->result);
    return flow;
}

static Flow run_loop(Interp *in, Frame *f, const Step *step, int *status)
{
    bool repeat = step->op->kind == OP_repeat;
    const Slot *over = repeat ? NULL : step->operand[0];
    uint64_t n = repeat ? (uint64_t)step->op->attr[0].i : over->count;
    Slot **init = step->operand + (repeat ? 0 : 1);
    for (uint32_t i = 0; i < step->op->n_results; i++)
        copy_slot(step->result[i], init[i]);
    for (uint64_t k = 0; k < n; k++) {
        uint32_t index = (uint32_t)k;
        if (over && over->type.elem == ELEM_SET && !over->at[k])
            continue;
        if (over && over->type.elem == ELEM_IDX)
            index = ((const u32u *)over->at)[k];
        Flow flow = run_trip(in, f, step, index, status);
        if (flow != FLOW_YIELD)
            return flow;
    }
    return FLOW_YIELD;
}

/* A callee that refuses makes its caller refuse; its positive statuses concern its own box, and end here. */
static Flow run_call(Interp *in, const Step *step, int *status)
{
    Frame *callee = step->callee;
    for (uint32_t i = 0; i < step->op->n_operands; i++)
        copy_slot(callee->body.arg[i], step->operand[i]);
    for (uint32_t i = 0; i < step->op->n_results; i++)
        callee->out[i] = step->result[i]->at;
    int own = 0;
    Flow flow = run_body(in, callee, &callee->body, &own);
    if (flow == FLOW_REFUSE) {
        *status = own;
        return FLOW_REFUSE;
    }
    return FLOW_YIELD;
}

/* The status is slot 0, the outputs follow. */
static Flow run_return(Frame *f, const Step *step, int *status)
{
    *status = step->operand[0] ? (int)int_load(32, step->operand[0]->at) : 0;
    for (uint32_t i = 1; i < step->op->n_operands; i++) {
        const Slot *v = step->operand[i];
        if (v->count > 0)
            memcpy(f->out[i - 1], v->at, v->count * v->size);
    }
    return FLOW_RETURN;
}

static Flow run_control(Interp *in, Frame *f, const Step *step, int *status)
{
    OpKind kind = step->op->kind;
    if (kind == OP_if || kind == OP_case)
        return run_choice(in, f, step, status);
    if (kind == OP_repeat || kind == OP_each)
        return run_loop(in, f, step, status);
    record_event(in, step, 1);
    if (kind == OP_call)
        return run_call(in, step, status);
    if (kind == OP_return)
        return run_return(f, step, status);
    if (kind == OP_refuse) {
        *status = (int)step->op->attr[0].i;
        return FLOW_REFUSE;
    }
    return FLOW_YIELD;
}

static Flow run_body(Interp *in, Frame *f, const Body *body, int *status)
{
    for (const Step *step = body->step, *end = step + body->n; step < end; step++) {
        record_run(in, step);
        if (step->run) {
            in->event = 1;
            step->run(in, step);
            record_event(in, step, in->event);
            if (in->refused) {
                *status = STATUS_REFUSED;
                return FLOW_REFUSE;
            }
            continue;
        }
        Flow flow = run_control(in, f, step, status);
        if (flow != FLOW_YIELD)
            return flow;
    }
    return FLOW_YIELD;
}

/* ---- from outside --------------------------------------------------------------------------------------------------------- */

/* Users' integers of odd widths may have anything in their unused bits; an index must be one. */
static bool take_input(const Slot *to, const void *from)
{
    if (to->count == 0)
        return true;
    memcpy(to->at, from, to->count * to->size);
    for (uint64_t i = 0; to->type.elem == ELEM_IDX && i < to->count; i++)
        if (((const u32u *)to->at)[i] >= to->type.n)
            return false;
    for (uint64_t i = 0; to->type.elem == ELEM_INT && to->type.n != 8 * to->size && i < to->count; i++)
        int_resize(to->type.n, to->at + i * to->size, to->type.n, to->at + i * to->size);
    return true;
}

int interp_run(Interp *in, const void *const *inputs, void *const *outputs, Counts *arithmetic, Counts *tallies, Events *events)
{
    Frame *f = in->frame;
    int status = 0;
    in->counted = in->tallied = (Counts){0};
    in->events = events;
    in->refused = false;
    for (uint32_t i = 0; i < f->net->n_inputs; i++)
        if (!take_input(f->body.arg[i], inputs[i]))
            return STATUS_BAD_ARGUMENT;
    for (uint32_t i = 0; i < f->net->n_outputs; i++)
        f->out[i] = outputs[i];
    run_body(in, f, &f->body, &status);
    if (arithmetic)
        *arithmetic = counts_add(*arithmetic, in->counted);
    if (tallies)
        *tallies = counts_add(*tallies, in->tallied);
    return status;
}
