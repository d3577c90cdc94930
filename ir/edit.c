/* edit.c — changing networks: replacing values, removing and moving ops, cloning, inlining, walking.
 *
 * The one idea: replacing a value is O(1). Its record points to its successor; readers go through op_operand, which
 * follows; network_settle (the pass runner calls it) rewrites the operands and forgets.
 */
#include "ir.h"

#include <string.h>

static Value follow(const Network *net, Value v)
{
    while (v && net->values.at[v].forward)
        v = net->values.at[v].forward;
    return v;
}

Value op_operand(const Op *op, uint32_t slot)
{
    return slot < op->n_operands ? follow(op->parent->network, op->operand[slot]) : 0;
}

const ValueInfo *value_info(const Network *net, Value v)
{
    v = follow(net, v);
    if (v == 0 || v >= net->values.len)
        ICE("no value number %u in @%s", v, net->name);
    return &net->values.at[v];
}

Type value_type(const Network *net, Value v) { return value_info(net, v)->type; }
Op *value_op(const Network *net, Value v) { return value_info(net, v)->op; }

void value_replace(Network *net, Value old, Value with)
{
    with = follow(net, with);
    old = follow(net, old);
    if (old != with)
        net->values.at[old].forward = with;
}

void network_settle(Network *net)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            op->operand[i] = follow(net, op->operand[i]);
    for (size_t v = 0; v < net->values.len; v++)
        net->values.at[v].forward = 0;
}

static void unlink_op(Op *op)
{
    Block *block = op->parent;
    *(op->prev ? &op->prev->next : &block->first) = op->next;
    *(op->next ? &op->next->prev : &block->last) = op->prev;
}

/* op->next stays as it was, so that a walk that stands on `op` can go on. */
void op_remove(Op *op) { unlink_op(op); }

uint32_t *network_count_uses(Arena *arena, const Network *net)
{
    uint32_t *uses = NEW_ARRAY(arena, net->values.len, uint32_t);
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            uses[op_operand(op, i)]++;
    uses[0] = 0;
    return uses;
}

bool op_forgets_zero_sign(const Network *net, const Op *user, uint32_t slot)
{
    static const uint8_t plus_zero[8];
    if (user->kind == OP_relu)
        return true;
    const Op *other = user->kind == OP_add ? value_op(net, op_operand(user, 1 - slot)) : NULL;
    const Const *c = other && other->kind == OP_const ? const_get(net->module, other->cst[0]) : NULL;
    if (!c || c->kind != CONST_TENSOR || !type_is_float(c->type))
        return false;
    for (uint64_t i = 0, n = type_count(c->type); i < n; i++)
        if (memcmp(const_element(c, i), plus_zero, type_element_bytes(c->type)) != 0)
            return false;
    return true;
}

bool *network_zero_signs_unseen(Arena *arena, const Network *net)
{
    bool *unseen = NEW_ARRAY(arena, net->values.len, bool);
    memset(unseen, true, net->values.len * sizeof *unseen);
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i] && unseen[op_operand(op, i)] && !op_forgets_zero_sign(net, op, i))
                unseen[op_operand(op, i)] = false;
    return unseen;
}

/* ---- walking -------------------------------------------------------------------------------------------------------- */

/* The op after `op` when its regions have been passed. */
static Op *after(const Op *op)
{
    for (;;) {
        if (op->next)
            return op->next;
        const Block *block = op->parent;
        const Op *owner = block->owner;
        if (!owner)
            return NULL;
        uint32_t r = block->number;
        while (++r < owner->n_regions)
            if (owner->region[r]->first)
                return owner->region[r]->first;
        op = owner;
    }
}

static Op *successor(const Op *op)
{
    for (uint32_t r = 0; r < op->n_regions; r++)
        if (op->region[r]->first)
            return op->region[r]->first;
    return after(op);
}

Op *walk_first(OpWalk *walk, const Network *net)
{
    walk->next = net->body->first;
    return walk_next(walk);
}

Op *walk_next(OpWalk *walk)
{
    Op *op = walk->next;
    if (op)
        walk->next = successor(op);
    return op;
}

/* ---- cloning --------------------------------------------------------------------------------------------------------- */

/* Copies ops of `from` to the builder's place; map[v] is the copy of v. Terminators of the outermost block go to `end`
 * when it is given instead of being copied. */
static void clone_ops(Builder *b, const Block *from, Value *map, const Op **end);

static Block *clone_block(Network *to, const Network *from, const Block *block, Value *map)
{
    Type *types = NEW_ARRAY(to->module->arena, block->n_args, Type);
    for (uint32_t i = 0; i < block->n_args; i++)
        types[i] = value_type(from, block->arg[i]);
    Block *copy = block_new(to, block->n_args, types);
    for (uint32_t i = 0; i < block->n_args; i++) {
        map[block->arg[i]] = copy->arg[i];
        to->values.at[copy->arg[i]].name = from->values.at[block->arg[i]].name;
    }
    Builder inner = builder_at_end(copy);
    clone_ops(&inner, block, map, NULL);
    return copy;
}

static void clone_op(Builder *b, const Op *op, Value *map)
{
    const Network *from = op->parent->network;
    Arena *arena = b->net->module->arena;
    Value *operand = NEW_ARRAY(arena, op->n_operands, Value);
    for (uint32_t i = 0; i < op->n_operands; i++)
        operand[i] = map[op_operand(op, i)];
    Block **region = NEW_ARRAY(arena, op->n_regions, Block *);
    for (uint32_t i = 0; i < op->n_regions; i++)
        region[i] = clone_block(b->net, from, op->region[i], map);
    Type *hint = NEW_ARRAY(arena, op->n_results, Type);
    for (uint32_t i = 0; i < op->n_results; i++)
        hint[i] = value_type(from, op->result[i]);
    OpInit init = {.kind = op->kind, .n_operands = op->n_operands, .operand = operand, .n_regions = op->n_regions,
                   .region = region, .n_hints = op->n_results, .hint = hint};
    memcpy(init.cst, op->cst, sizeof init.cst);
    memcpy(init.attr, op->attr, sizeof init.attr);
    b->span = op->span;
    Op *copy = build_op(b, &init);
    copy->lower = op->lower;
    copy->below = op->below;
    for (uint32_t i = 0; i < op->n_results; i++) {
        map[op->result[i]] = copy->result[i];
        b->net->values.at[copy->result[i]].name = from->values.at[op->result[i]].name;
    }
}

static void clone_ops(Builder *b, const Block *from, Value *map, const Op **end)
{
    for (const Op *op = from->first; op; op = op->next) {
        if (end && op_info(b->net->module, op->kind)->terminator)
            *end = op;
        else
            clone_op(b, op, map);
    }
}

Network *network_clone(Network *net, const char *name)
{
    Module *m = net->module;
    Network *copy = network_new(m, name, net->span);
    copy->options = net->options;
    copy->certified_error = net->certified_error;
    Value *map = NEW_ARRAY(m->arena, net->values.len, Value);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        map[net->body->arg[i]] = network_add_input(copy, net->input[i].name, net->input[i].type, net->input[i].box, net->input[i].span);
    for (uint32_t i = 0; i < net->n_outputs; i++)
        network_add_output(copy, net->output[i].name, net->output[i].type, net->output[i].span);
    Builder b = builder_at_end(copy->body);
    clone_ops(&b, net->body, map, NULL);
    /* Sites are the same places: profiles of the original hold for the copy. */
    OpWalk walk, walk_copy;
    Op *twin = walk_first(&walk_copy, copy);
    FOR_EACH_OP (walk, op, net) {
        twin->site = op->site;
        twin = walk_next(&walk_copy);
    }
    copy->last_site = net->last_site;
    return copy;
}

bool network_inline(Builder *b, const Network *callee, const Value *args, Value *results)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, callee)
        if ((op->kind == OP_return || op->kind == OP_refuse) && op != callee->body->last)
            return false;
    const Op *last = callee->body->last;
    if (!last || last->kind != OP_return || op_operand(last, 0) != 0)
        return false;
    Value *map = NEW_ARRAY(b->net->module->arena, callee->values.len, Value);
    for (uint32_t i = 0; i < callee->n_inputs; i++)
        map[callee->body->arg[i]] = args[i];
    const Op *end = NULL;
    Span span = b->span;
    clone_ops(b, callee->body, map, &end);
    b->span = span;
    for (uint32_t i = 0; i < callee->n_outputs; i++)
        results[i] = map[op_operand(end, i + 1)];
    return true;
}
