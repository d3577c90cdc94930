/* memorize.c — data become a network.
 *
 *      %y = memorize %x, @keys, @labels, method = conditional      =>      %slot, %depth = search @thresholds, %x
 *                                                                          %y = row @labels[%slot]
 *
 * Each method is a file: memorize_conditional.c has O(log n) operations, memorize_sqrt.c O(sqrt n) neurons, memorize_bits.c few
 * parameters of many bits. Here is what they share: reading the data, and what happens to a key that is in no row.
 *
 *      unseen = value:    %key = row @keys[%i]; %same = cmp %x, %key, pred = eq; %y = select %same, %label, %default
 *      unseen = refuse:   %key = row @keys[%i]; %same = cmp %x, %key, pred = eq; if %same { yield } else { refuse status = -1 }
 *
 * Legality: on every row of the data each method gives the row's label, bit for bit; on other keys, what the op's policy says:
 * `before`, `value` and `refuse` are the interpreter's answers to the last bit, `any` is whatever is cheapest. -0 equals +0. A NaN
 * equals no row: it gets the first label under `before`, the default, or a refusal. Several coordinates are compared with one
 * comparison each; their truth values are joined by selections, which move and cost nothing.
 *
 * Ends: every op `memorize` goes, and none is made.
 */
#include "memorize.h"

/* ---- what the data say ---- */

/* The constant itself where its rows lie one after the other, else a copy. */
static ConstId row_major(Module *m, ConstId id)
{
    const Const *c = const_get(m, id);
    return const_is_row_major(c) ? id : const_reshaped(m, id, c->type.rank, c->type.dim);
}

/* Weights that say nothing are none. */
static const double *weights_of(PassContext *ctx, const Module *m, const Op *op)
{
    if (!op->cst[MEMORIZE_weights])
        return NULL;
    const Const *c = const_get(m, op->cst[MEMORIZE_weights]);
    uint64_t n = type_count(c->type);
    double *weights = arena_big(ctx->arena, n * sizeof *weights, 64);
    bool differ = false;
    const_copy(c, weights);
    for (uint64_t i = 1; i < n; i++)
        differ |= weights[i] != weights[0];
    return differ ? weights : NULL;
}

static Memory memory_of(Network *net, Op *op, PassContext *ctx)
{
    Module *module = net->module;
    Memory m = {.net = net, .ctx = ctx, .op = op, .b = builder_before(op), .x = op_operand(op, 0)};
    m.keys_id = row_major(module, op->cst[MEMORIZE_keys]);
    m.labels_id = row_major(module, op->cst[MEMORIZE_labels]);
    const Const *keys = const_get(module, m.keys_id), *labels = const_get(module, m.labels_id);
    m.is_scalar = keys->type.rank == 1;
    m.rows = keys->type.dim[0];
    m.coordinates = m.is_scalar ? 1 : keys->type.dim[1];
    m.key = type_element(keys->type);
    m.label = type_with_dims(labels->type, labels->type.rank - 1, labels->type.dim + 1);
    m.keys = keys->data;
    m.labels = labels->data;
    m.row_bytes = (uint64_t)m.coordinates * type_element_bytes(m.key);
    m.label_bytes = type_count(m.label) * type_element_bytes(m.label);
    m.weights = weights_of(ctx, module, op);
    m.fallback = op->cst[MEMORIZE_default];
    m.unseen = (Unseen)op->attr[MEMORIZE_unseen].i;
    m.depth = (uint32_t)op->attr[MEMORIZE_depth].i;
    return m;
}

/* ---- building ---- */

void *memory_bytes(Memory *m, uint64_t bytes)
{
    return arena_big(m->net->module->arena, bytes, 64);
}

Value memory_row(Memory *m, ConstId tensor, Value i)
{
    OpInit init = {.kind = OP_row, .n_operands = 1, .operand = &i, .cst = {const_stack(m->net->module, tensor)}};
    return build_op(&m->b, &init)->result[0];
}

Value memory_label(Memory *m, uint32_t row)
{
    return build_const(&m->b, const_add(m->net->module, "label", m->label, m->labels + row * m->label_bytes, m->op->span));
}

bool memory_checks(const Memory *m)
{
    return m->unseen == UNSEEN_value || m->unseen == UNSEEN_refuse;
}

static void build_refusal(Builder *b, Value found)
{
    Block *arm[2] = {block_new(b->net, 0, NULL), block_new(b->net, 0, NULL)};
    Builder then = builder_at_end(arm[0]), otherwise = builder_at_end(arm[1]);
    build_op(&then, &(OpInit){.kind = OP_yield});
    build_op(&otherwise, &(OpInit){.kind = OP_refuse, .attr = {{.i = STATUS_REFUSED}}});
    build_op(b, &(OpInit){.kind = OP_if, .n_operands = 1, .operand = &found, .n_regions = 2, .region = arm});
}

Value memory_answer(Memory *m, Value found, Value label)
{
    if (m->unseen == UNSEEN_value)
        return build_select(&m->b, found, label, build_const(&m->b, m->fallback));
    if (m->unseen == UNSEEN_refuse)
        build_refusal(&m->b, found);
    return label;
}

/* Whether all of a vector of truth values are true:  repeat n (%k, %all) { yield select %all, same[%k], %all }  */
static Value build_all(Memory *m, Value same)
{
    Builder *b = &m->b;
    Type truth = type_int(1);
    Block *body = block_new(m->net, 2, (Type[]){type_idx(m->coordinates), truth});
    Builder in = builder_at_end(body);
    Value one = build_op(&in, &(OpInit){.kind = OP_index, .n_operands = 2, .operand = (Value[]){same, body->arg[0]}})->result[0];
    Value both = build_select(&in, body->arg[1], one, body->arg[1]);
    build_op(&in, &(OpInit){.kind = OP_yield, .n_operands = 1, .operand = &both});
    Value start = build_const(b, const_splat_f64(m->net->module, "true", truth, 1));
    OpInit init = {.kind = OP_repeat, .n_operands = 1, .operand = &start, .n_regions = 1, .region = &body, .n_hints = 1, .hint = &truth,
                   .attr = {{.i = m->coordinates}}};
    return build_op(b, &init)->result[0];
}

Value memory_checked(Memory *m, Value row, Value label)
{
    if (!memory_checks(m) || m->coordinates == 0)        /* the only key of no coordinates is in the data */
        return label;
    Value same = build_cmp(&m->b, PRED_eq, m->x, memory_row(m, m->keys_id, row));
    if (!m->is_scalar)
        same = m->coordinates == 1 ? build_reshape(&m->b, same, 0, NULL) : build_all(m, same);
    value_name(m->net, same, "found");
    return memory_answer(m, same, label);
}

/* ---- the pass ---- */

static Value built(Memory *m)
{
    switch ((Method)m->op->attr[MEMORIZE_method].i) {
    case METHOD_conditional: return memorize_conditional(m);
    case METHOD_sqrt:        return memorize_sqrt(m);
    case METHOD_bits:        return memorize_bits(m);
    }
    ICE("no such method");
}

bool pass_memorize(Network *net, PassContext *ctx)
{
    Vec(Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_memorize)
            vec_push(ctx->arena, ops, op);
    for (size_t i = 0; i < ops.len; i++) {
        Memory m = memory_of(net, ops.at[i], ctx);
        Value answer = built(&m);
        if (!answer)
            return i > 0;
        replace_op(ops.at[i], answer);
        pass_stat(ctx, "tables became networks", 1);
    }
    return ops.len > 0;
}
