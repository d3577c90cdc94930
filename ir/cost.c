/* cost.c — the static side of counting: what an op costs, what one evaluation can cost.
 *
 * In: the cost column of ops.def, types, trees. Out: coefficients and event ranges of ops, bounds over all inputs. The one
 * idea: structured regions make "every path" a structural recursion. A block is summed up by its ends:
 *
 *      fall    what has been executed when it ends with `yield`
 *      ret     … when a `return` in it leaves the network        refuse    … when a `refuse` does
 *
 * each a range [min, max], or impossible. Ends of alternatives are joined (least, greatest), of sequels added.
 */
#include "interp.h"

#include <stdlib.h>
#include <string.h>

/* ---- counts, saturating ------------------------------------------------------------------------------------------------- */

static uint64_t add64(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

static uint64_t mul64(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

uint64_t counts_total(Counts c) { return add64(add64(c.add, c.mul), add64(c.cmp, c.other)); }

Counts counts_add(Counts a, Counts b)
{
    return (Counts){add64(a.add, b.add), add64(a.mul, b.mul), add64(a.cmp, b.cmp), add64(a.other, b.other)};
}

Counts counts_scale(Counts a, uint64_t times)
{
    return (Counts){mul64(a.add, times), mul64(a.mul, times), mul64(a.cmp, times), mul64(a.other, times)};
}

static Counts counts_min(Counts a, Counts b)
{
#define LESS(f) .f = a.f < b.f ? a.f : b.f
    return (Counts){LESS(add), LESS(mul), LESS(cmp), LESS(other)};
}

static Counts counts_max(Counts a, Counts b)
{
#define MORE(f) .f = a.f > b.f ? a.f : b.f
    return (Counts){MORE(add), MORE(mul), MORE(cmp), MORE(other)};
}

/* ---- coefficients: the names of the cost column --------------------------------------------------------------------------- */

typedef uint64_t Coefficient(const Network *net, const Op *op);

static uint64_t operand_count(const Network *net, const Op *op)
{
    Type t = value_type(net, op_operand(op, 0));
    return t.elem == ELEM_SET ? t.n : type_count(t);
}

static uint64_t cost_ZERO(const Network *net, const Op *op) { return (void)net, (void)op, 0; }
static uint64_t cost_ONE(const Network *net, const Op *op) { return (void)net, (void)op, 1; }

/* Elements of the result; of the operand; one less. */
static uint64_t cost_LEN(const Network *net, const Op *op) { return type_count(value_type(net, op->result[0])); }
static uint64_t cost_LEN0(const Network *net, const Op *op) { return operand_count(net, op); }
static uint64_t cost_LEN0_1(const Network *net, const Op *op) { return operand_count(net, op) - 1; }
static uint64_t cost_TWO_LEN0(const Network *net, const Op *op) { return 2 * operand_count(net, op); }

/* Bitwise ops count on numbers; sets are bookkeeping. */
static uint64_t cost_LENBITS(const Network *net, const Op *op)
{
    return value_type(net, op->result[0]).elem == ELEM_SET ? 0 : cost_LEN(net, op);
}

/* m x n x k, of [m,k] x [k,n]. */
static uint64_t cost_MNK(const Network *net, const Op *op)
{
    return mul64(cost_LEN(net, op), value_type(net, op_operand(op, 1)).dim[0]);
}

static uint64_t cost_SIZE_C(const Network *net, const Op *op) { return type_count(const_get(net->module, op->cst[0])->type); }

static uint64_t reduces(const Network *net, const Op *op, bool counted)
{
    return counted ? operand_count(net, op) - 1 : 0;
}

static uint64_t cost_REDADD(const Network *net, const Op *op) { return reduces(net, op, op->attr[0].i == REDUCE_add); }
static uint64_t cost_REDMUL(const Network *net, const Op *op) { return reduces(net, op, op->attr[0].i == REDUCE_mul); }
static uint64_t cost_REDCMP(const Network *net, const Op *op)
{
    return reduces(net, op, op->attr[0].i == REDUCE_min || op->attr[0].i == REDUCE_max);
}

/* A ReLU's own comparison decides its activity. */
static uint64_t cost_LEN0_UNLESS_RELU(const Network *net, const Op *op)
{
    const Op *source = value_op(net, op_operand(op, 0));
    return source && source->kind == OP_relu ? 0 : operand_count(net, op);
}

/* k rounds of finding the greatest of what is left: (n-1) + (n-2) + … + (n-k). */
static uint64_t cost_TOPK(const Network *net, const Op *op)
{
    uint64_t n = operand_count(net, op), k = (uint64_t)op->attr[0].i;
    return k * n - k * (k + 1) / 2;
}

typedef struct CostRow { Coefficient *add, *mul, *cmp, *other; CostEvent event; } CostRow;

static const CostRow rows[OP__COUNT] = {
#define OP(name, syntax, result, mul, add, cmp, other, event, meaning) \
    [OP_##name] = {cost_##add, cost_##mul, cost_##cmp, cost_##other, EVENT_##event},
#include "ops.def"
#undef OP
};

CostEvent op_event(OpKind kind) { return rows[kind].event; }

Counts op_cost(const Network *net, const Op *op)
{
    const CostRow *row = &rows[op->kind];
    return (Counts){.add = row->add(net, op), .mul = row->mul(net, op), .cmp = row->cmp(net, op), .other = row->other(net, op)};
}

/* ---- events ----------------------------------------------------------------------------------------------------------------- */

/* Depths of the leaves nearest to and farthest from the root; a child comes after its parent. */
static void depth_range(const Network *net, const Tree *tree, uint64_t *min, uint64_t *max)
{
    *min = *max = 0;
    if (tree->n_nodes == 0)
        return;
    Arena *scratch = arena_new(net->module->arena);
    if (!scratch)
        arena_exhausted(net->module->arena);
    uint32_t *depth = NEW_ARRAY(scratch, tree->n_nodes, uint32_t);
    *min = UINT64_MAX;
    for (uint32_t i = 0; i < tree->n_nodes; i++)
        for (int side = 0; side < 2; side++) {
            int32_t child = tree->node[i].child[side];
            uint32_t below = depth[i] + 1;
            if (child >= 0) {
                depth[child] = below;
                continue;
            }
            *min = below < *min ? below : *min;
            *max = below > *max ? below : *max;
        }
    arena_free(scratch);
}

void op_event_range(const Network *net, const Op *op, uint64_t *min, uint64_t *max)
{
    switch (op_event(op->kind)) {
    case EVENT_ONCE:
        *min = *max = 1;
        return;
    case EVENT_CELLS:
        /* rows x columns; a set may hold none of them, or all. */
        *max = mul64(cost_LEN(net, op), operand_count(net, op));
        *min = op_operand(op, AFFINE_cols) || op_operand(op, AFFINE_rows) ? 0 : *max;
        return;
    case EVENT_DEPTH:
        depth_range(net, const_get(net->module, op->cst[0])->tree, min, max);
        return;
    case EVENT_TAKEN:
        *min = 0;
        *max = op->n_regions > 0 ? op->n_regions - 1 : 0;
        return;
    case EVENT_TRIPS:
        if (op->kind == OP_repeat) {
            *min = *max = (uint64_t)op->attr[0].i;
            return;
        }
        *max = operand_count(net, op);
        *min = value_type(net, op_operand(op, 0)).elem == ELEM_SET ? 0 : *max;
        return;
    }
    ICE("event %d", (int)op_event(op->kind));
}

/* ---- ranges over paths ------------------------------------------------------------------------------------------------------- */

typedef struct Range {
    bool possible;
    Counts min, max;               /* of each kind */
    uint64_t total_min, total_max; /* of their sum on one path: tighter than the sum of the maxima */
} Range;

typedef struct Ends { Range fall, ret, refuse; } Ends;

static Range join(Range a, Range b)
{
    if (!a.possible || !b.possible)
        return a.possible ? a : b;
    return (Range){
        .possible = true,
        .min = counts_min(a.min, b.min),
        .max = counts_max(a.max, b.max),
        .total_min = a.total_min < b.total_min ? a.total_min : b.total_min,
        .total_max = a.total_max > b.total_max ? a.total_max : b.total_max,
    };
}

/* First a, then b. */
static Range then(Range a, Range b)
{
    if (!a.possible || !b.possible)
        return (Range){0};
    return (Range){
        .possible = true,
        .min = counts_add(a.min, b.min),
        .max = counts_add(a.max, b.max),
        .total_min = add64(a.total_min, b.total_min),
        .total_max = add64(a.total_max, b.total_max),
    };
}

/* Between `least` and `most` times a. */
static Range times(Range a, uint64_t least, uint64_t most)
{
    if (most == 0 || (!a.possible && least == 0))
        return (Range){.possible = true};
    if (!a.possible)
        return a;
    a.min = counts_scale(a.min, least);
    a.max = counts_scale(a.max, most);
    a.total_min = mul64(a.total_min, least);
    a.total_max = mul64(a.total_max, most);
    return a;
}

typedef struct Analysis {
    const Network *net;
    const Ends *callee;            /* by number in the module */
    bool nonzero;                  /* zero weights are left out */
} Analysis;

static Ends block_ends(const Analysis *a, const Block *block);

/* Cells of an affine whose weight is not zero; all when sets or an index make it depend on the input. */
static uint64_t nonzero_cells(const Network *net, const Op *op, uint64_t cells)
{
    bool whole = !op_operand(op, AFFINE_i) && !op_operand(op, AFFINE_cols) && !op_operand(op, AFFINE_rows);
    return whole ? const_nonzeros(const_get(net->module, op->cst[AFFINE_W])) : cells;
}

static Range straight(const Analysis *a, const Op *op)
{
    Counts unit = op_cost(a->net, op);
    Range r = {.possible = true};
    if (counts_total(unit) == 0)
        return r;
    uint64_t least, most;
    op_event_range(a->net, op, &least, &most);
    if (a->nonzero && op->kind == OP_affine)
        least = most = nonzero_cells(a->net, op, most);
    r.min = counts_scale(unit, least);
    r.max = counts_scale(unit, most);
    r.total_min = counts_total(r.min);
    r.total_max = counts_total(r.max);
    return r;
}

static Ends choice_ends(const Analysis *a, const Op *op)
{
    Ends all = {0};
    for (uint32_t r = 0; r < op->n_regions; r++) {
        Ends one = block_ends(a, op->region[r]);
        all.fall = join(all.fall, one.fall);
        all.ret = join(all.ret, one.ret);
        all.refuse = join(all.refuse, one.refuse);
    }
    return all;
}

/* Leaving in trip t comes after t - 1 trips that fell through, 1 <= t <= n. */
static Ends loop_ends(const Analysis *a, const Op *op)
{
    uint64_t least, most;
    op_event_range(a->net, op, &least, &most);
    Ends body = block_ends(a, op->region[0]), all = {.fall = times(body.fall, least, most)};
    if (most > 0) {
        Range before = times(body.fall, 0, most - 1);
        all.ret = then(before, body.ret);
        all.refuse = then(before, body.refuse);
    }
    return all;
}

/* What the callee returns with is fallen through here; its refusal is the caller's. */
static Ends call_ends(const Analysis *a, const Op *op)
{
    const Ends *callee = &a->callee[op->attr[0].i];
    return (Ends){.fall = callee->ret, .refuse = callee->refuse};
}

static Ends op_ends(const Analysis *a, const Op *op)
{
    static const Range free = {.possible = true};
    if (op->kind == OP_if || op->kind == OP_case)
        return choice_ends(a, op);
    if (op->kind == OP_repeat || op->kind == OP_each)
        return loop_ends(a, op);
    if (op->kind == OP_call)
        return call_ends(a, op);
    if (op->kind == OP_return)
        return (Ends){.ret = free};
    if (op->kind == OP_refuse)
        return (Ends){.refuse = free};
    return (Ends){.fall = straight(a, op)};
}

static Ends block_ends(const Analysis *a, const Block *block)
{
    Ends all = {.fall = {.possible = true}};
    for (const Op *op = block->first; op && all.fall.possible; op = op->next) {
        Ends one = op_ends(a, op);
        all.ret = join(all.ret, then(all.fall, one.ret));
        all.refuse = join(all.refuse, then(all.fall, one.refuse));
        all.fall = then(all.fall, one.fall);
    }
    return all;
}

/* ---- networks ----------------------------------------------------------------------------------------------------------------- */

static Arena *scratch_of(const Network *net)
{
    Arena *scratch = arena_new(net->module->arena);
    if (!scratch)
        arena_exhausted(net->module->arena);
    return scratch;
}

const Network **network_reach(Arena *arena, const Network *net, size_t *n, const uint32_t **place)
{
    const Module *m = net->module;
    const Network **list = NEW_ARRAY(arena, m->networks.len + 1, const Network *);
    uint32_t *at = NEW_ARRAY(arena, m->networks.len + 1, uint32_t);
    list[0] = net;
    *n = 1;
    for (size_t k = 0; k < *n; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, list[k]) {
            if (op->kind != OP_call || at[op->attr[0].i])
                continue;
            at[op->attr[0].i] = (uint32_t)*n;         /* a callee is never the network itself: 0 is free to mean "not yet" */
            list[(*n)++] = m->networks.at[op->attr[0].i];
        }
    }
    if (place)
        *place = at;
    return list;
}

/* The ends of a network's body; callees come first, in the module's order. */
static Range network_range(const Network *net, bool nonzero)
{
    Arena *scratch = scratch_of(net);
    const Module *m = net->module;
    size_t n;
    const uint32_t *place;
    network_reach(scratch, net, &n, &place);
    Ends *callee = NEW_ARRAY(scratch, m->networks.len + 1, Ends);
    for (size_t k = 0; k < m->networks.len; k++)
        if (place[k])
            callee[k] = block_ends(&(Analysis){m->networks.at[k], callee, nonzero}, m->networks.at[k]->body);
    Ends ends = block_ends(&(Analysis){net, callee, nonzero}, net->body);
    arena_free(scratch);
    return join(join(ends.ret, ends.refuse), ends.fall);
}

NetworkCost network_cost(const Network *net)
{
    Range r = network_range(net, false);
    return (NetworkCost){{r.min, r.max}, r.total_min, r.total_max};
}

Counts network_nonzero_cost(const Network *net) { return network_range(net, true).max; }

/* ---- the guard's share ---------------------------------------------------------------------------------------------------------- */

/* Whether v is a constant that holds one end (0: lo, 1: hi) of the box. */
static bool is_box_end(const Network *net, Value v, const Const *box, int end)
{
    const Op *op = value_op(net, v);
    if (!op || op->kind != OP_const)
        return false;
    const Const *c = const_get(net->module, op->cst[0]);
    uint64_t n = type_count(c->type);
    if (c->kind != CONST_TENSOR || !type_same_element(c->type, box->type) || n * 2 != type_count(box->type))
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (memcmp(const_element(c, i), const_element(box, (uint64_t)end * n + i), type_element_bytes(c->type)) != 0)
            return false;
    return true;
}

/* The input that v is: its number, or -1. */
static int64_t input_number(const Network *net, Value v)
{
    const ValueInfo *info = value_info(net, v);
    return !info->op && info->block == net->body && net->input[info->index].box ? (int64_t)info->index : -1;
}

/* max(input, lo), or min(max(input, lo), hi). */
static bool is_clamp(const Network *net, const Op *op)
{
    if (op->kind == OP_max) {
        int64_t k = input_number(net, op_operand(op, 0));
        return k >= 0 && is_box_end(net, op_operand(op, 1), const_get(net->module, net->input[k].box), 0);
    }
    const Op *max = op->kind == OP_min ? value_op(net, op_operand(op, 0)) : NULL;
    if (!max || max->kind != OP_max || !is_clamp(net, max))
        return false;
    int64_t k = input_number(net, op_operand(max, 0));
    return is_box_end(net, op_operand(op, 1), const_get(net->module, net->input[k].box), 1);
}

/* `within`, and the `and` of two such tests. */
static bool is_box_test(const Network *net, const Op *op)
{
    if (op->kind != OP_and)
        return op->kind == OP_within;
    const Op *a = value_op(net, op_operand(op, 0)), *b = value_op(net, op_operand(op, 1));
    return a && b && is_box_test(net, a) && is_box_test(net, b);
}

/* A guard is recognised by what it is: a test of the box, or, under the policy `clamp`, an input clamped to its own
 * box. Names and places would not survive other passes. */
Counts network_guard_cost(const Network *net)
{
    Counts sum = {0};
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (is_box_test(net, op) || (net->options.outside == OUTSIDE_clamp && is_clamp(net, op)))
            sum = counts_add(sum, op_cost(net, op));
    return sum;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------------------ */

typedef struct Storage { const void *at; uint64_t bytes; } Storage;

static int compare_storage(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const Storage *)a)->at, y = (uintptr_t)((const Storage *)b)->at;
    return x < y ? -1 : x > y;
}

/* Views of the same bytes (a transposed matrix, a stack) count once, at their largest. */
uint64_t network_const_bytes(const Network *net)
{
    Arena *scratch = scratch_of(net);
    size_t n;
    const Network **networks = network_reach(scratch, net, &n, NULL);
    bool *seen = NEW_ARRAY(scratch, net->module->consts.len + 1, bool);
    Vec(Storage) all = {0};
    for (size_t k = 0; k < n; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, networks[k])
            for (int i = 0; i < OP_MAX_CONSTS; i++) {
                if (!op->cst[i] || seen[op->cst[i]])
                    continue;
                seen[op->cst[i]] = true;
                const Const *c = const_get(net->module, op->cst[i]);
                Storage s = {c->kind == CONST_TREE ? (const void *)c->tree : c->data, const_bytes(c)};
                vec_push(scratch, all, s);
            }
    }
    uint64_t sum = 0;
    if (all.len > 0)
        qsort(all.at, all.len, sizeof *all.at, compare_storage);
    for (size_t i = 0, next; i < all.len; i = next) {
        uint64_t bytes = 0;
        for (next = i; next < all.len && all.at[next].at == all.at[i].at; next++)
            bytes = all.at[next].bytes > bytes ? all.at[next].bytes : bytes;
        sum = add64(sum, bytes);
    }
    arena_free(scratch);
    return sum;
}

/* ---- the formula at recorded events ------------------------------------------------------------------------------------------------ */

Events events_new(Arena *arena, const Network *net)
{
    Arena *scratch = scratch_of(net);
    size_t n, ops = 0;
    const Network **networks = network_reach(scratch, net, &n, NULL);
    for (size_t k = 0; k < n; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, networks[k])
            ops++;
    }
    arena_free(scratch);
    return (Events){NEW_ARRAY(arena, ops, uint64_t), NEW_ARRAY(arena, ops, uint64_t), ops};
}

Counts network_cost_at(const Network *net, const Events *events)
{
    Arena *scratch = scratch_of(net);
    Counts sum = {0};
    size_t n, i = 0;
    const Network **networks = network_reach(scratch, net, &n, NULL);
    for (size_t k = 0; k < n; k++) {
        OpWalk walk;
        FOR_EACH_OP (walk, op, networks[k]) {
            sum = counts_add(sum, counts_scale(op_cost(networks[k], op), events->sum[i]));
            i++;
        }
    }
    arena_free(scratch);
    return sum;
}
