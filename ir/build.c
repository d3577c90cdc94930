/* build.c — making networks: modules, networks, blocks, and ops whose result types are inferred.
 *
 * In: what front ends and passes want to say. Out: ops in blocks. A mistake in types here is a compiler bug: front
 * ends have checked what users wrote before they build.
 */
#include "ir.h"

#include <string.h>

/* ---- modules and networks -------------------------------------------------------------------------------------- */

Module *module_new(Arena *arena, Diags *diags)
{
    Module *m = NEW(arena, Module);
    m->arena = arena;
    m->diags = diags;
    m->ops = op_table(arena);
    vec_push(arena, m->consts, NULL);
    return m;
}

Network *module_find(const Module *m, const char *name)
{
    for (size_t i = 0; i < m->networks.len; i++)
        if (strcmp(m->networks.at[i]->name, name) == 0)
            return m->networks.at[i];
    return NULL;
}

bool network_is_entry(const Network *net)
{
    const Module *m = net->module;
    for (size_t k = 0; k < m->networks.len; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, m->networks.at[k])
            if (op->kind == OP_call && m->networks.at[op->attr[0].i] == net)
                return false;
    }
    return true;
}

static void mark_called(const Module *m, const Network *net, bool *kept)
{
    for (size_t k = m->networks.len; k-- > 0;)                  /* callees come before callers */
        if (m->networks.at[k] == net)
            kept[k] = true;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (op->kind == OP_call && !kept[op->attr[0].i])
            mark_called(m, m->networks.at[op->attr[0].i], kept);
}

void module_keep(Module *m, const Network *net)
{
    bool *kept = NEW_ARRAY(m->arena, m->networks.len, bool);
    size_t *to = NEW_ARRAY(m->arena, m->networks.len, size_t), n = 0;
    mark_called(m, net, kept);
    for (size_t k = 0; k < m->networks.len; k++) {
        to[k] = n;
        if (kept[k])
            m->networks.at[n++] = m->networks.at[k];
    }
    m->networks.len = n;
    for (size_t k = 0; k < n; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, m->networks.at[k])
            if (op->kind == OP_call)
                op->attr[0].i = (int64_t)to[op->attr[0].i];
    }
}

static Value value_new(Network *net, Type type, Block *block, uint32_t index)
{
    ValueInfo info = {.type = type, .block = block, .index = index};
    vec_push(net->module->arena, net->values, info);
    return (Value)(net->values.len - 1);
}

Network *network_new(Module *m, const char *name, Span span)
{
    Network *net = NEW(m->arena, Network);
    net->module = m;
    net->name = str_dup(m->arena, name);
    net->span = span;
    ValueInfo none = {0};
    vec_push(m->arena, net->values, none);
    net->body = NEW(m->arena, Block);
    net->body->network = net;
    return net;
}

static void *append(Arena *arena, const void *old, uint32_t n, size_t size)
{
    uint8_t *at = arena_array(arena, (size_t)n + 1, size);
    if (n > 0)
        memcpy(at, old, n * size);
    return at;
}

static Port port(Network *net, const char *name, Type type, ConstId box, Span span)
{
    return (Port){str_dup(net->module->arena, name), type, box, span};
}

Value network_add_input(Network *net, const char *name, Type type, ConstId box, Span span)
{
    Arena *arena = net->module->arena;
    Block *body = net->body;
    net->input = append(arena, net->input, net->n_inputs, sizeof *net->input);
    net->input[net->n_inputs] = port(net, name, type, box, span);
    body->arg = append(arena, body->arg, body->n_args, sizeof *body->arg);
    Value v = value_new(net, type, body, net->n_inputs);
    net->values.at[v].name = net->input[net->n_inputs].name;
    net->values.at[v].span = span;
    body->arg[body->n_args++] = v;
    net->n_inputs++;
    return v;
}

void network_add_output(Network *net, const char *name, Type type, Span span)
{
    net->output = append(net->module->arena, net->output, net->n_outputs, sizeof *net->output);
    net->output[net->n_outputs++] = port(net, name, type, 0, span);
}

void network_done(Network *net)
{
    vec_push(net->module->arena, net->module->networks, net);
}

Block *block_new(Network *net, uint32_t n_args, const Type *arg_types)
{
    Block *block = NEW(net->module->arena, Block);
    block->network = net;
    block->n_args = n_args;
    block->arg = NEW_ARRAY(net->module->arena, n_args, Value);
    for (uint32_t i = 0; i < n_args; i++)
        block->arg[i] = value_new(net, arg_types[i], block, i);
    return block;
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */

Builder builder_at_end(Block *block) { return (Builder){.net = block->network, .block = block, .span = NOWHERE}; }

Builder builder_before(Op *op)
{
    return (Builder){.net = op->parent->network, .block = op->parent, .before = op, .span = op->span};
}

static void link_op(Builder *b, Op *op)
{
    Block *block = b->block;
    op->parent = block;
    op->next = b->before;
    op->prev = b->before ? b->before->prev : block->last;
    *(op->prev ? &op->prev->next : &block->first) = op;
    *(b->before ? &b->before->prev : &block->last) = op;
}

static void *copy_of(Arena *arena, const void *from, uint32_t n, size_t size)
{
    void *to = arena_array(arena, n, size);
    if (n > 0)
        memcpy(to, from, n * size);
    return to;
}

static uint32_t max_results(const Module *m, const OpInit *init)
{
    uint32_t n = init->n_hints > 3 ? init->n_hints : 3;
    if (init->kind == OP_call && (size_t)init->attr[0].i < m->networks.len && m->networks.at[init->attr[0].i]->n_outputs > n)
        n = m->networks.at[init->attr[0].i]->n_outputs;
    return n;
}

Op *build_op(Builder *b, const OpInit *init)
{
    Network *net = b->net;
    Module *m = net->module;
    const OpInfo *info = op_info(m, init->kind);
    Text why = text_new(m->arena);
    Type *types = NEW_ARRAY(m->arena, max_results(m, init), Type);
    uint32_t n_results;
    if (!op_infer(m, net, init, types, &n_results, &why))
        ICE("cannot build `%s` in @%s: %s", info->name, net->name, why.at);

    Op *op = NEW(m->arena, Op);
    op->kind = init->kind;
    op->span = b->span;
    op->n_operands = init->n_operands;
    op->operand = copy_of(m->arena, init->operand, init->n_operands, sizeof(Value));
    op->n_regions = init->n_regions;
    op->region = copy_of(m->arena, init->region, init->n_regions, sizeof(Block *));
    for (uint32_t i = 0; i < op->n_regions; i++) {
        op->region[i]->owner = op;
        op->region[i]->number = i;
    }
    memcpy(op->cst, init->cst, sizeof op->cst);
    memcpy(op->attr, init->attr, sizeof op->attr);
    for (int i = 0; i < OP_MAX_ATTRS; i++)
        if (op->attr[i].n > 0)
            op->attr[i].list = copy_of(m->arena, init->attr[i].list, init->attr[i].n, sizeof(int64_t));
    if (info->has_site)
        op->site = ++net->last_site;
    op->n_results = n_results;
    op->result = NEW_ARRAY(m->arena, n_results, Value);
    for (uint32_t i = 0; i < n_results; i++) {
        op->result[i] = value_new(net, types[i], b->block, i);
        net->values.at[op->result[i]].op = op;
        net->values.at[op->result[i]].span = b->span;
    }
    link_op(b, op);
    return op;
}

static Value build_one(Builder *b, OpKind kind, uint32_t n, const Value *operand, Attr attr, const Type *hint)
{
    OpInit init = {.kind = kind, .n_operands = n, .operand = operand, .n_hints = hint != NULL, .hint = hint, .attr = {attr}};
    return build_op(b, &init)->result[0];
}

#define NO_ATTR ((Attr){0})
#define INT_ATTR(v) ((Attr){.i = (v)})

Value build_const(Builder *b, ConstId c)
{
    OpInit init = {.kind = OP_const, .cst = {c}};
    return build_op(b, &init)->result[0];
}

Value build_unary(Builder *b, OpKind kind, Value a) { return build_one(b, kind, 1, &a, NO_ATTR, NULL); }

Value build_binary(Builder *b, OpKind kind, Value x, Value y) { return build_one(b, kind, 2, (Value[]){x, y}, NO_ATTR, NULL); }

Value build_cmp(Builder *b, Pred pred, Value x, Value y)
{
    return build_one(b, OP_cmp, 2, (Value[]){x, y}, INT_ATTR(pred), NULL);
}

Value build_select(Builder *b, Value c, Value x, Value y)
{
    return build_one(b, OP_select, 3, (Value[]){c, x, y}, NO_ATTR, NULL);
}

Value build_cast(Builder *b, Value a, Type element)
{
    Type from = value_type(b->net, a), to = type_with_dims(element, from.rank, from.dim);
    return type_equal(from, to) ? a : build_one(b, OP_cast, 1, &a, NO_ATTR, &to);
}

Value build_affine(Builder *b, Value x, ConstId W, ConstId bias, uint32_t chains)
{
    OpInit init = {.kind = OP_affine, .n_operands = 5, .operand = (Value[5]){x}, .cst = {W, bias}, .attr = {INT_ATTR(chains)}};
    return build_op(b, &init)->result[0];
}

Value build_matmul(Builder *b, Value x, Value y, uint32_t chains)
{
    return build_one(b, OP_matmul, 2, (Value[]){x, y}, INT_ATTR(chains), NULL);
}

Value build_reduce(Builder *b, ReduceKind kind, Value a, uint32_t chains)
{
    OpInit init = {.kind = OP_reduce, .n_operands = 1, .operand = &a, .attr = {INT_ATTR(kind), INT_ATTR(chains)}};
    return build_op(b, &init)->result[0];
}

Value build_reshape(Builder *b, Value a, uint32_t rank, const uint32_t *dim)
{
    Type from = value_type(b->net, a), to = type_with_dims(from, rank, dim);
    return type_equal(from, to) ? a : build_one(b, OP_reshape, 1, &a, NO_ATTR, &to);
}

Value build_transpose(Builder *b, Value a, const uint32_t *perm)
{
    int64_t list[IR_MAX_RANK];
    uint32_t rank = value_type(b->net, a).rank;
    for (uint32_t d = 0; d < rank; d++)
        list[d] = perm[d];
    return build_one(b, OP_transpose, 1, &a, (Attr){.n = rank, .list = list}, NULL);
}

Value build_concat(Builder *b, uint32_t n, const Value *a, uint32_t axis)
{
    return build_one(b, OP_concat, n, a, INT_ATTR(axis), NULL);
}

Value build_slice(Builder *b, Value a, const uint32_t *from, const uint32_t *size)
{
    Type t = value_type(b->net, a), to = type_with_dims(t, t.rank, size);
    int64_t list[IR_MAX_RANK];
    for (uint32_t d = 0; d < t.rank; d++)
        list[d] = from[d];
    return build_one(b, OP_slice, 1, &a, (Attr){.n = t.rank, .list = list}, &to);
}

Value build_splat(Builder *b, Value scalar, Type type) { return build_one(b, OP_splat, 1, &scalar, NO_ATTR, &type); }

Value build_within(Builder *b, Value x, ConstId box)
{
    OpInit init = {.kind = OP_within, .n_operands = 1, .operand = &x, .cst = {box}};
    return build_op(b, &init)->result[0];
}

Value build_call(Builder *b, Network *callee, uint32_t n, const Value *args, Value *results)
{
    const Module *m = b->net->module;
    size_t k = 0;
    while (k < m->networks.len && m->networks.at[k] != callee)
        k++;
    OpInit init = {.kind = OP_call, .n_operands = n, .operand = args, .attr = {INT_ATTR((int64_t)k)}};
    Op *op = build_op(b, &init);
    for (uint32_t i = 0; results && i < op->n_results; i++)
        results[i] = op->result[i];
    return op->n_results > 0 ? op->result[0] : 0;
}

void build_return(Builder *b, uint32_t n, const Value *v, Value status)
{
    Value *operand = NEW_ARRAY(b->net->module->arena, n + 1, Value);
    operand[0] = status;
    if (n > 0)
        memcpy(operand + 1, v, n * sizeof *v);
    OpInit init = {.kind = OP_return, .n_operands = n + 1, .operand = operand};
    build_op(b, &init);
}

/* exp(x - max x) / sum: the largest exponent is 0, so nothing overflows. */
Value build_softmax(Builder *b, Value x)
{
    uint64_t n = type_count(value_type(b->net, x));
    Value shifted = build_binary(b, OP_sub, x, build_reduce(b, REDUCE_max, x, 1));
    Value e = build_unary(b, OP_exp, shifted);
    return build_binary(b, OP_div, e, build_reduce(b, REDUCE_add, e, ir_chains(1, n)));
}

void value_name(Network *net, Value v, const char *name)
{
    if (!net->values.at[v].name)
        net->values.at[v].name = str_dup(net->module->arena, name);
}

/* A column of products cannot be added faster than one addition's latency allows, so a layer with few outputs (few
 * registers of sums) gets several independent chains, as many as make about eight registers of 16 floats busy; but
 * not so many that a chain has fewer than four terms. */
uint32_t ir_chains(uint64_t rows, uint64_t columns)
{
    uint32_t chains = rows <= 16 ? 8 : rows <= 32 ? 4 : 1;
    while (chains > 1 && columns < 4 * (uint64_t)chains)
        chains /= 2;
    return chains;
}
