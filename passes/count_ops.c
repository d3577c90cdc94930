/* count_ops.c — insert tally ops from the cost column of ops.def.
 *
 *      %z = affine %x, @W, @b        (5x3)           %z = affine %x, @W, @b
 *      %h = relu %z                                  %h = relu %z
 *      %s = active %h, notle0                        %s = active %h, notle0
 *      %y = affine %h, @V, @c, cols=%s               %n = size %s
 *      return %y                             =>      tally add=2, mul=2, times=%n
 *                                                    %y = affine %h, @V, @c, cols=%s
 *                                                    tally add=15, mul=15, cmp=5
 *                                                    return %y
 *
 * Values do not change. Costs that are known now are added up over a straight stretch of a block and stated once, at its end:
 * before the terminator, and before an op that may leave the network, so that an early exit has counted what ran and nothing
 * else. A cost that hangs on an event is stated beside its op, times the event's size: the set's size; the trips, by
 * standing inside the loop; the depth of the leaf that a tree reached, which `descend` tells. Sizes are free (ops.def), so
 * counting is not counted. Without zero weights the columns of an affine differ in cost: @V.nonzeros holds how many are left in each.
 *
 *      %y = affine %h, @V, @c, cols=%s, zeros=skip     =>      %w = const @V.nonzeros
 *                                                              %n = weigh %s, %w
 *                                                              tally add=1, mul=1, times=%n
 *                                                              %y = …
 *
 * Of a stack the input chooses the matrix: `row @V.nonzeros[%i]` are its columns, or all of them where there is no set.
 *
 * A network that executes nothing gets one empty tally: it says that the network is counted.
 *
 * Ends: one sweep; the pass is the last (it gives `counted`, which every pass that changes what runs would break).
 */
#include "pass_util.h"

#include <string.h>

typedef struct Stretch { Counts counts; } Stretch;

static int64_t attr_of(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

static void build_tally(Builder *b, Counts c, Value times)
{
    if (counts_total(c) == 0)
        return;
    OpInit init = {.kind = OP_tally, .n_operands = 1, .operand = &times,
                   .attr = {{.i = attr_of(c.add)}, {.i = attr_of(c.mul)}, {.i = attr_of(c.cmp)}, {.i = attr_of(c.other)}}};
    build_op(b, &init);
}

/* ---- weights that are not zero ---- */

static ConstId same_constant(const Module *m, ConstKind kind, Type type, const void *data)
{
    for (ConstId id = 1; id < m->consts.len; id++) {
        const Const *c = m->consts.at[id];
        bool is_alike = !c->dropped && c->kind == kind && type_equal(c->type, type) && const_is_row_major(c);
        if (is_alike && memcmp(c->data, data, const_bytes(c)) == 0)
            return id;
    }
    return 0;
}

/* How many weights are not zero: i32, or i64 where their sum may need it. Two layers with equal columns share it. */
static ConstId add_counts(Module *m, const Const *W, Type dims, ConstKind kind, const uint64_t *wide)
{
    uint64_t n = type_count(dims);
    Type type = type_with_dims(type_int(const_nonzeros(W) > INT32_MAX ? 64 : 32), dims.rank, dims.dim);
    uint32_t size = type_element_bytes(type);
    uint8_t *counts = arena_array(m->arena, n, size);
    for (uint64_t i = 0; i < n; i++)
        memcpy(counts + (size_t)i * size, &wide[i], size);       /* constants are little-endian */
    ConstId id = same_constant(m, kind, type, counts);
    if (id)
        return id;
    id = const_add(m, str_printf(m->arena, "%s.nonzeros", W->name), type, counts, W->span);
    const_get(m, id)->kind = kind;
    return id;
}

/* Column by column; of a stack, each of its matrices. */
static ConstId column_counts(Module *m, const Const *W)
{
    if (W->kind != CONST_STACK) {
        uint64_t *counts = NEW_ARRAY(m->arena, W->type.dim[1] + 1, uint64_t);
        const_nonzeros_by_column(W, counts);
        return add_counts(m, W, type_vector(type_int(32), W->type.dim[1]), CONST_TENSOR, counts);
    }
    uint32_t slots = W->type.dim[0], cols = W->type.dim[2];
    uint64_t *counts = NEW_ARRAY(m->arena, (uint64_t)slots * cols + 1, uint64_t);
    for (uint32_t i = 0; i < slots; i++) {
        Const slot = const_slot(W, i);
        const_nonzeros_by_column(&slot, counts + (uint64_t)i * cols);
    }
    return add_counts(m, W, type_matrix(type_int(32), slots, cols), CONST_STACK, counts);
}

/* Of all columns of each matrix of a stack. */
static ConstId slot_counts(Module *m, ConstId W)
{
    const Const *stack = const_get(m, W);
    return add_counts(m, stack, type_vector(type_int(32), stack->type.dim[0]), CONST_STACK, const_slot_nonzeros(m, W));
}

static Value build_row(Builder *b, ConstId stack, Value i)
{
    OpInit init = {.kind = OP_row, .n_operands = 1, .operand = &i, .cst = {stack}};
    return build_op(b, &init)->result[0];
}

/* The weights in the columns of the set that are not zero; without a set, those of the slot. */
static Value build_nonzeros(Builder *b, const Op *op)
{
    Module *m = b->net->module;
    Value cols = op_operand(op, AFFINE_cols), i = op_operand(op, AFFINE_i);
    if (!cols)
        return build_row(b, slot_counts(m, op->cst[AFFINE_W]), i);
    ConstId counts = column_counts(m, const_get(m, op->cst[AFFINE_W]));
    OpInit init = {.kind = OP_weigh, .n_operands = 2, .operand = (Value[2]){cols, i ? build_row(b, counts, i) : build_const(b, counts)}};
    return build_op(b, &init)->result[0];
}

static Value build_size(Builder *b, Value set)
{
    OpInit init = {.kind = OP_size, .n_operands = 1, .operand = &set};
    return build_op(b, &init)->result[0];
}

/* ---- cells of an affine with sets ----
 *
 * One set: its size times a row's or a column's cost; without zero weights, the sum of its columns' costs (or the slot's). Both sets: a loop over
 * the columns that tallies the rows each time, since a product of two sizes would be an operation itself.
 */
static void tally_cells(Op *op, Counts unit)
{
    Network *net = op->parent->network;
    Value cols = op_operand(op, AFFINE_cols), rows = op_operand(op, AFFINE_rows);
    uint64_t n_cols = type_count(value_type(net, op_operand(op, AFFINE_x)));
    uint64_t n_rows = type_count(value_type(net, op->result[0]));
    Builder b = builder_before(op);
    if (op_skips_zeros(op)) {
        build_tally(&b, unit, build_nonzeros(&b, op));
        return;
    }
    if (!rows) {
        build_tally(&b, counts_scale(unit, n_rows), build_size(&b, cols));
        return;
    }
    Value n = build_size(&b, rows);
    if (!cols) {
        build_tally(&b, counts_scale(unit, n_cols), n);
        return;
    }
    Block *body = block_new(net, 1, (Type[]){type_idx(value_type(net, cols).n)});
    Builder inner = builder_at_end(body);
    build_tally(&inner, unit, n);
    build_op(&inner, &(OpInit){.kind = OP_yield});
    build_op(&b, &(OpInit){.kind = OP_each, .n_operands = 1, .operand = &cols, .n_regions = 1, .region = &body});
}

/* The walk itself says how far it went. */
static void tally_depth(Op *op, Counts unit)
{
    Builder b = builder_before(op->next);
    build_tally(&b, unit, op->result[op->n_results - 1]);
}

/* ---- blocks ---- */

static void flush(Stretch *stretch, Op *before)
{
    Builder b = builder_before(before);
    build_tally(&b, stretch->counts, 0);
    stretch->counts = (Counts){0};
}

static void count_op(Stretch *stretch, Op *op)
{
    const Network *net = op->parent->network;
    Counts unit = op_cost(net, op);
    if (counts_total(unit) == 0)
        return;
    uint64_t least, most;
    op_event_range(net, op, &least, &most);
    if (least == most) {
        stretch->counts = counts_add(stretch->counts, counts_scale(unit, most));
        return;
    }
    switch (op_event(op->kind)) {
    case EVENT_CELLS:
        tally_cells(op, unit);
        break;
    case EVENT_DEPTH:
        tally_depth(op, unit);
        break;
    case EVENT_ONCE:
    case EVENT_TAKEN:
    case EVENT_TRIPS:
        ICE("`%s` costs something itself by an event of [%llu, %llu]", op_info(net->module, op->kind)->name,
            (unsigned long long)least, (unsigned long long)most);
    }
}

static void count_block(Block *block)
{
    Stretch stretch = {0};
    for (Op *op = block->first, *next; op; op = next) {
        next = op->next;
        if (op_may_leave(op) || op == block->last)
            flush(&stretch, op);
        count_op(&stretch, op);
        for (uint32_t r = 0; r < op->n_regions; r++)
            count_block(op->region[r]);
    }
}

bool pass_count_ops(Network *net, PassContext *ctx)
{
    if (network_is_counted(net)) {
        diag_remark(ctx->diags, net->span, ctx->name, "`%s` is counted already", net->name);
        return false;
    }
    network_settle(net);
    count_block(net->body);
    if (!network_is_counted(net)) {
        Builder b = builder_before(net->body->last);
        build_op(&b, &(OpInit){.kind = OP_tally, .n_operands = 1, .operand = (Value[1]){0}});
    }
    return true;
}
