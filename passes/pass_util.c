/* pass_util.c — questions about constants and rewrites that several passes share.
 *
 * In: values and ops of one network. Out: answers; no policy. The one idea: what two passes ask is asked in one place.
 */
#include "pass_util.h"

#include <math.h>

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
