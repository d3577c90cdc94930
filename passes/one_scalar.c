/* one_scalar.c — which parts of a network depend on one scalar.
 *
 *      network(%x: f32[1])                    everything, as long as it can be followed
 *      %s = affine %v, @w  : f32[1]           what comes behind: a bottleneck
 *      %h = affine %v, @W  (one column)       likewise, of that element of %v
 *
 * In: the body of a network. Out: regions, each with its root and what others use of it. The one idea: one walk; a value depends on
 * nothing, on one root or on many things, and what has one element and cannot be followed further back is a root itself. So every
 * root is as early as can be, and the regions do not overlap.
 */
#include "one_scalar.h"
#include "pass_util.h"
#include "scalar_cells.h"

enum { NOTHING = 0, MANY = UINT32_MAX };   /* else: the number of a root, from 1 */

typedef struct Finder {
    Arena *arena;
    const Network *net;
    const OpList *without;
    uint32_t *root;               /* by Value */
    uint32_t *last;               /* by Value: the root that was made of an element of it last */
    Vec(uint32_t) earlier;        /* by root: the one before of the same value */
    RegionList list;
} Finder;

static bool is_scalar_number(Type t) { return type_count(t) == 1 && (type_is_float(t) || (type_is_int(t) && t.n > 1)); }

static uint32_t new_root(Finder *f, Value base, uint64_t element)
{
    Region r = {.root = {base, element}};
    vec_push(f->arena, f->list.regions, r);
    vec_push(f->arena, f->earlier, f->last[base]);
    f->last[base] = (uint32_t)f->list.regions.len;
    return (uint32_t)f->list.regions.len;
}

static uint32_t root_of_element(Finder *f, Value base, uint64_t element)
{
    for (uint32_t i = f->last[base]; i; i = f->earlier.at[i - 1])
        if (f->list.regions.at[i - 1].root.element == element)
            return i;
    return new_root(f, base, element);
}

static bool is_excluded(const Finder *f, const Op *op)
{
    for (size_t i = 0; i < f->without->ops.len; i++)
        if (f->without->ops.at[i] == op)
            return true;
    return false;
}

static uint32_t joined(uint32_t a, uint32_t b) { return a == NOTHING || a == b ? b : b == NOTHING ? a : MANY; }

/* The only column of an affine that is not zero, when there is one such. */
static bool one_column(const Finder *f, const Op *op, uint64_t *column)
{
    const Const *W = const_get(f->net->module, op->cst[AFFINE_W]);
    uint64_t cols = W->type.dim[1], found = 0;
    if (cols < 2 || const_nonzeros(W) > W->type.dim[0])
        return false;
    uint64_t *nonzeros = NEW_ARRAY(f->arena, cols, uint64_t);
    const_nonzeros_by_column(W, nonzeros);
    for (uint64_t c = 0; c < cols; c++)
        if (nonzeros[c]) {
            *column = c;
            found++;
        }
    return found == 1;
}

static uint32_t root_of_op(Finder *f, const Op *op)
{
    if (op->kind == OP_const)
        return NOTHING;
    if (op->n_regions > 0 || is_excluded(f, op) || !cells_can(f->net, op))
        return MANY;
    uint32_t root = NOTHING;
    for (uint32_t s = 0; s < op->n_operands; s++)
        if (op_operand(op, s))
            root = joined(root, f->root[op_operand(op, s)]);
    uint64_t column;
    if (root == MANY && op->kind == OP_affine && one_column(f, op, &column))
        return root_of_element(f, op_operand(op, AFFINE_x), column);
    return root == NOTHING ? MANY : root;
}

/* What is computed dense, of the weights that are not zero. */
static uint64_t cost_of(const Network *net, const Op *op)
{
    uint64_t each = counts_total(op_cost(net, op));
    return op->kind == OP_affine ? each * const_nonzeros(const_get(net->module, op->cst[AFFINE_W])) : each;
}

static void add_op(Finder *f, Region *r, Op *op)
{
    vec_push(f->arena, r->ops, op);
    r->cost += cost_of(f->net, op);
    r->kinked |= op->kind == OP_relu || op->kind == OP_abs || op->kind == OP_min || op->kind == OP_max || op->kind == OP_reduce;
    for (int i = 0; i < OP_MAX_CONSTS; i++)
        if (op->cst[i])
            r->bytes += const_bytes(const_get(f->net->module, op->cst[i]));
}

/* Shapes and casts of the root itself cost nothing and stay. */
static bool *values_used_outside(Finder *f)
{
    const Network *net = f->net;
    bool *used = NEW_ARRAY(f->arena, net->values.len, bool);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t s = 0; s < op->n_operands; s++) {
            Value v = op_operand(op, s);
            if (v && (op->n_results != 1 || f->root[op->result[0]] != f->root[v]))
                used[v] = true;
        }
    return used;
}

static bool *values_that_are_the_root(Finder *f)
{
    bool *same = NEW_ARRAY(f->arena, f->net->values.len, bool);
    for (size_t i = 0; i < f->list.regions.len; i++) {
        const Region *r = &f->list.regions.at[i];
        same[r->root.base] = type_count(value_type(f->net, r->root.base)) == 1;
        for (size_t k = 0; k < r->ops.len; k++) {
            const Op *op = r->ops.at[k];
            bool shape = op->kind == OP_reshape || op->kind == OP_transpose || op->kind == OP_slice || op->kind == OP_splat;
            same[op->result[0]] = (shape || op->kind == OP_cast) && same[op_operand(op, 0)];
        }
    }
    return same;
}

RegionList find_regions(Arena *arena, const Network *net, const OpList *without)
{
    Finder f = {.arena = arena, .net = net, .without = without, .root = NEW_ARRAY(arena, net->values.len, uint32_t),
                .last = NEW_ARRAY(arena, net->values.len, uint32_t)};
    for (size_t v = 0; v < net->values.len; v++)
        f.root[v] = MANY;         /* also what is defined in regions */
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (is_scalar_number(net->input[i].type))
            f.root[net->body->arg[i]] = new_root(&f, net->body->arg[i], 0);
    for (Op *op = net->body->first; op; op = op->next) {
        uint32_t root = root_of_op(&f, op);
        if (root != MANY && root != NOTHING)
            add_op(&f, &f.list.regions.at[root - 1], op);
        for (uint32_t k = 0; k < op->n_results; k++) {
            bool itself = root == MANY && is_scalar_number(value_type(net, op->result[k]));
            f.root[op->result[k]] = itself ? new_root(&f, op->result[k], 0) : root;
        }
    }
    bool *used = values_used_outside(&f), *same = values_that_are_the_root(&f);
    for (size_t i = 0; i < f.list.regions.len; i++) {
        Region *r = &f.list.regions.at[i];
        for (size_t k = 0; k < r->ops.len; k++)
            if (used[r->ops.at[k]->result[0]] && !same[r->ops.at[k]->result[0]])
                vec_push(arena, r->frontier, r->ops.at[k]->result[0]);
    }
    return f.list;
}
