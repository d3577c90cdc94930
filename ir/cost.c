/* cost.c — the static side of counting: what an op costs, how often, and what a network's constants weigh.
 *
 * In: the cost column of ops.def, types, trees. Out: coefficients and event ranges of ops; the formula at recorded events. The
 * one idea: count = coefficient x event, a table made of ops.def; every figure is a sum of such products (cost_paths.c has
 * the bounds over all inputs).
 */
#include "interp.h"

#include <stdlib.h>
#include <string.h>

/* ---- counts, saturating ------------------------------------------------------------------------------------------------- */

uint64_t counts_total(Counts c) { return saturating_add(saturating_add(c.add, c.mul), saturating_add(c.cmp, c.other)); }

Counts counts_add(Counts a, Counts b)
{
    return (Counts){saturating_add(a.add, b.add), saturating_add(a.mul, b.mul), saturating_add(a.cmp, b.cmp), saturating_add(a.other, b.other)};
}

Counts counts_scale(Counts a, uint64_t times)
{
    return (Counts){saturating_mul(a.add, times), saturating_mul(a.mul, times), saturating_mul(a.cmp, times), saturating_mul(a.other, times)};
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
    return saturating_mul(cost_LEN(net, op), value_type(net, op_operand(op, 1)).dim[0]);
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

bool op_skips_zeros(const Op *op) { return op->kind == OP_affine && op->attr[AFFINE_zeros].i == ZEROS_skip; }

Counts op_cost(const Network *net, const Op *op)
{
    const CostRow *row = &rows[op->kind];
    return (Counts){.add = row->add(net, op), .mul = row->mul(net, op), .cmp = row->cmp(net, op), .other = row->other(net, op)};
}

Arena *scratch_of(const Network *net)
{
    Arena *scratch = arena_new(net->module->arena);
    if (!scratch)
        arena_exhausted(net->module->arena);
    return scratch;
}

/* ---- events ----------------------------------------------------------------------------------------------------------------- */

/* Depths of the leaves nearest to and farthest from the root; a child comes after its parent. */
static void depth_range(const Network *net, const Tree *tree, uint64_t *min, uint64_t *max)
{
    *min = *max = 0;
    if (tree->n_nodes == 0)
        return;
    Arena *scratch = scratch_of(net);
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
        /* rows x columns, or the weights among them that are not zero; a set may hold none of them, or all. */
        *max = op_skips_zeros(op) ? const_nonzeros(const_get(net->module, op->cst[AFFINE_W]))
                                  : saturating_mul(cost_LEN(net, op), operand_count(net, op));
        *min = op_operand(op, AFFINE_cols) || op_operand(op, AFFINE_rows) ? 0 : *max;
        return;
    case EVENT_DEPTH:
        if (op->kind == OP_search) {
            uint64_t leaves = value_type(net, op->result[0]).n;
            *max = search_depth(leaves, 0);
            *min = search_depth(leaves, leaves - 1);
            return;
        }
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

/* ---- reach ---------------------------------------------------------------------------------------------------------------------- */

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
        sum = saturating_add(sum, bytes);
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
