/* guard.c — spell out what happens outside the input box.
 *
 *      network @n(%x: f32[2] within @box) -> f32[1] { …; return %y }
 *
 *   dense:    %in = within %x, @box                 the network answers all the same; status 1 says that it was outside
 *             …
 *             %s = select %in, %inside, %outside    (0, 1)
 *             return %y, status = %s
 *
 *   status:   %in = within %x, @box                 refused: status −1, outputs unwritten
 *             if %in { yield } else { refuse status = -1 }
 *             …; return %y
 *
 *   clamp:    %in = within %x, @box                 the nearest point of the box answers; status 1 if that was another
 *             %lo = max %x, @lo                     (a NaN stays NaN: it is outside every box, and nearest to nothing)
 *             %c = min %lo, @hi
 *             … with %c in place of %x; return %y, status = %s
 *
 *   promise:  nothing; the caller has promised
 *
 * Several boxed inputs: their tests are joined by `and`. Values inside the box keep their bits (−0.0 too: neither end
 * of a box replaces an equal value). Costs two comparisons an input element, and two more to clamp: network_guard_cost.
 *
 * Ends: a network whose boxed inputs are all tested against their boxes already is left alone.
 */
#include "pass_util.h"

#include <string.h>

static ConstId i32_const(Network *net, const char *name, int value)
{
    return const_splat_f64(net->module, name, type_int(32), value);
}

/* One end of the box (0: lo, 1: hi) as a constant of the input's own type. */
static ConstId box_end(Network *net, const Port *input, unsigned end)
{
    Module *m = net->module;
    const Const *box = const_get(m, input->box);
    uint8_t *both = arena_array(m->arena, const_bytes(box), 1);
    const_copy(box, both);
    const char *name = str_printf(m->arena, "%s.%s", input->name, end ? "hi" : "lo");
    return const_add(m, name, input->type, both + end * (const_bytes(box) / 2), box->span);
}

/* Whether all boxed inputs lie in their boxes. */
static Value build_inside(Builder *b)
{
    Network *net = b->net;
    Value inside = 0;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        if (!net->input[i].box)
            continue;
        Value in = build_within(b, net->body->arg[i], net->input[i].box);
        inside = inside ? build_binary(b, OP_and, inside, in) : in;
    }
    value_name(net, inside, "inside");
    return inside;
}

static void build_refusal(Builder *b, Value inside)
{
    Block *arm[2] = {block_new(b->net, 0, NULL), block_new(b->net, 0, NULL)};
    Builder then = builder_at_end(arm[0]), otherwise = builder_at_end(arm[1]);
    build_op(&then, &(OpInit){.kind = OP_yield});
    build_op(&otherwise, &(OpInit){.kind = OP_refuse, .attr = {{.i = -1}}});
    build_op(b, &(OpInit){.kind = OP_if, .n_operands = 1, .operand = &inside, .n_regions = 2, .region = arm});
}

/* Every op from `first` on uses the clamped input instead. */
static void build_clamps(Builder *b, Op *first)
{
    Network *net = b->net;
    Value *clamped = NEW_ARRAY(net->module->arena, net->n_inputs, Value);
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        if (!net->input[i].box)
            continue;
        Value low = build_binary(b, OP_max, net->body->arg[i], build_const(b, box_end(net, &net->input[i], 0)));
        clamped[i] = build_binary(b, OP_min, low, build_const(b, box_end(net, &net->input[i], 1)));
    }
    bool seen = false;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        seen |= op == first;
        for (uint32_t s = 0; seen && s < op->n_operands; s++)
            for (uint32_t i = 0; i < net->n_inputs; i++)
                if (clamped[i] && op_operand(op, s) == net->body->arg[i])
                    op->operand[s] = clamped[i];
    }
}

static void build_status(Network *net, Builder *b, Value inside)
{
    Value zero = build_const(b, i32_const(net, "inside", 0)), one = build_const(b, i32_const(net, "outside", 1));
    Value status = build_select(b, inside, zero, one);
    value_name(net, status, "status");
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_return && !op_operand(op, 0))
            op->operand[0] = status;
}

Value guard_with_status(Network *net)
{
    Builder b = builder_before(net->body->first);
    b.span = net->span;
    Value inside = build_inside(&b);
    build_status(net, &b, inside);
    return inside;
}

bool pass_guard(Network *net, PassContext *ctx)
{
    if (network_is_guarded(net))
        return false;
    if (net->options.outside == OUTSIDE_dense) {
        guard_with_status(net);
        pass_stat(ctx, "networks guarded", 1);
        return true;
    }
    Op *first = net->body->first;
    Builder b = builder_before(first);
    b.span = net->span;
    Value inside = build_inside(&b);
    switch (net->options.outside) {
    case OUTSIDE_status:
        build_refusal(&b, inside);
        break;
    case OUTSIDE_clamp:
        build_clamps(&b, first);
        build_status(net, &b, inside);
        break;
    case OUTSIDE_dense:
    case OUTSIDE_promise:
        break;
    }
    pass_stat(ctx, "networks guarded", 1);
    return true;
}
