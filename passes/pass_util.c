/* pass_util.c — questions about constants and rewrites that several passes share.
 *
 * In: values and ops of one network. Out: answers; no policy. The one idea: what two passes ask is asked in one place.
 */
#include "pass_util.h"

#include <math.h>
#include <string.h>

ConstId value_const(const Network *net, Value v)
{
    const Op *op = definition(net, v, OP_const);
    return op ? op->cst[0] : 0;
}

Op *definition(const Network *net, Value v, OpKind kind)
{
    Op *def = v ? value_op(net, v) : NULL;
    return def && def->kind == kind ? def : NULL;
}

/* const_f64 is exact only for floats and integers up to 53 bits; wider integers match nothing here. */
static bool comparable(const Const *c)
{
    return c->kind != CONST_TREE && (type_is_float(c->type) || (type_is_int(c->type) && c->type.n <= 53));
}

bool const_is_all(const Const *c, double value)
{
    if (!comparable(c))
        return false;
    for (uint64_t i = 0, n = type_count(c->type); i < n; i++) {
        double x = const_f64(c, i);
        if (x != value || (type_is_float(c->type) && !signbit(x) != !signbit(value)))
            return false;
    }
    return true;
}

bool const_is_zero(const Const *c)
{
    if (!comparable(c))
        return false;
    for (uint64_t i = 0, n = type_count(c->type); i < n; i++)
        if (const_f64(c, i) != 0)
            return false;
    return true;
}

void replace_op(Op *op, Value with)
{
    Network *net = op->parent->network;
    const char *name = net->values.at[op->result[0]].name;
    if (name && value_op(net, with))      /* the survivor answers to the source's name if it has none; inputs have theirs */
        value_name(net, with, name);
    value_replace(net, op->result[0], with);
    op_remove(op);
}

bool any_op_within(const Op *op, bool (*f)(const Op *op, void *data), void *data)
{
    for (uint32_t r = 0; r < op->n_regions; r++)
        for (const Op *inner = op->region[r]->first; inner; inner = inner->next)
            if (f(inner, data) || any_op_within(inner, f, data))
                return true;
    return false;
}

static bool leaves(const Op *op, void *data)
{
    (void)data;
    return op->kind == OP_return || op->kind == OP_refuse;
}

bool op_may_leave(const Op *op)
{
    return leaves(op, NULL) || any_op_within(op, leaves, NULL);
}

static bool input_is_tested(const Network *net, uint32_t input)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_within && op_operand(op, 0) == net->body->arg[input] && op->cst[0] == net->input[input].box)
            return true;
    return false;
}

bool network_is_guarded(const Network *net)
{
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].box && net->options.outside != OUTSIDE_promise && !input_is_tested(net, i))
            return false;
    return true;
}

/* ---- inside the box one thing, outside another ---- */

static Op *copy_op(Builder *b, Arena *scratch, const Op *op, Value *map)
{
    Network *net = b->net;
    Value *operand = NEW_ARRAY(scratch, op->n_operands, Value);
    for (uint32_t s = 0; s < op->n_operands; s++) {
        Value v = op_operand(op, s);
        ConstId c = v && !map[v] ? value_const(net, v) : 0;
        if (c)
            map[v] = build_const(b, c);
        operand[s] = v && map[v] ? map[v] : v;
    }
    Type hint = value_type(net, op->result[0]);
    OpInit init = {.kind = op->kind, .n_operands = op->n_operands, .operand = operand, .n_hints = 1, .hint = &hint};
    memcpy(init.cst, op->cst, sizeof init.cst);
    memcpy(init.attr, op->attr, sizeof init.attr);
    b->span = op->span;
    Op *copy = build_op(b, &init);
    copy->site = op->site;
    copy->lower = op->lower;
    copy->below = op->below;
    map[op->result[0]] = copy->result[0];
    net->values.at[copy->result[0]].name = net->values.at[op->result[0]].name;
    return copy;
}

/* Constants that the ops use stand there too. */
static void build_copy(Builder *b, Arena *scratch, const Fallback *f, Value *out)
{
    Value *map = NEW_ARRAY(scratch, b->net->values.len, Value);
    for (size_t k = 0; k < f->n_ops; k++)
        copy_op(b, scratch, f->op[k], map);
    for (uint32_t k = 0; k < f->n_results; k++)
        out[k] = map[f->result[k]];
}

void build_with_fallback(Builder *b, Arena *scratch, Value inside, void (*build)(Builder *b, void *data, Value *out), void *data,
                         const Fallback *otherwise, Value *out)
{
    Network *net = b->net;
    uint32_t n = otherwise->n_results;
    Block *arm[2] = {block_new(net, 0, NULL), block_new(net, 0, NULL)};
    Builder then = builder_at_end(arm[0]), other = builder_at_end(arm[1]);
    then.span = b->span;
    build(&then, data, out);
    build_op(&then, &(OpInit){.kind = OP_yield, .n_operands = n, .operand = out});
    build_copy(&other, scratch, otherwise, out);
    build_op(&other, &(OpInit){.kind = OP_yield, .n_operands = n, .operand = out});
    Type *types = NEW_ARRAY(scratch, n, Type);
    for (uint32_t k = 0; k < n; k++)
        types[k] = value_type(net, otherwise->result[k]);
    OpInit init = {.kind = OP_if, .n_operands = 1, .operand = &inside, .n_regions = 2, .region = arm, .n_hints = n, .hint = types};
    memcpy(out, build_op(b, &init)->result, n * sizeof *out);
}
