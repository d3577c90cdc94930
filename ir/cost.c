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

/* Depths of the leaves nearest to and farthest from the root. */
static void depth_range(const Network *net, const Tree *tree, uint64_t *min, uint64_t *max)
{
    Arena *scratch = scratch_of(net);
    size_t n;
    const Landing *at = tree_landings(scratch, tree, &n);
    *min = at[0].min;
    *max = at[0].max;
    for (size_t i = 1; i < n; i++) {
        *min = at[i].min < *min ? at[i].min : *min;
        *max = at[i].max > *max ? at[i].max : *max;
    }
    arena_free(scratch);
}

/* ---- cells ---- */

enum { MOST_SETS = 4096 };

/* Clears what may be missing from the set: at first all of sure[0 … n-1] is true. No more than *budget sets are looked at. */
static void keep_sure(const Network *net, Value set, bool *sure, uint32_t *budget)
{
    const Op *op = value_op(net, set);
    uint32_t n = value_type(net, set).n;
    bool known = op && *budget > 0 && (op->kind == OP_extend || op->kind == OP_and);
    *budget -= *budget > 0;
    if (!known) {
        memset(sure, false, n * sizeof *sure);
        return;
    }
    if (op->kind == OP_extend) {
        keep_sure(net, op_operand(op, 0), sure + op->attr[0].i, budget);
        return;
    }
    keep_sure(net, op_operand(op, 0), sure, budget);
    keep_sure(net, op_operand(op, 1), sure, budget);
}

uint64_t set_least(const Network *net, Value set)
{
    Arena *scratch = scratch_of(net);
    uint32_t n = value_type(net, set).n, budget = MOST_SETS;
    bool *sure = NEW_ARRAY(scratch, (uint64_t)n + 1, bool);
    uint64_t count = 0;
    memset(sure, true, n * sizeof *sure);
    keep_sure(net, set, sure, &budget);
    for (uint32_t i = 0; i < n; i++)
        count += sure[i];
    arena_free(scratch);
    return count;
}

/* The columns that are evaluated whatever the input is: all of them, or what is in the set in any case. */
static bool *sure_columns(Arena *arena, const Network *net, const Op *op, uint64_t *count)
{
    uint64_t n = operand_count(net, op);
    bool *sure = NEW_ARRAY(arena, n + 1, bool);
    uint32_t budget = MOST_SETS;
    memset(sure, true, n * sizeof *sure);
    if (op_operand(op, AFFINE_cols))
        keep_sure(net, op_operand(op, AFFINE_cols), sure, &budget);
    *count = 0;
    for (uint64_t c = 0; c < n; c++)
        *count += sure[c];
    return sure;
}

/* Weights in these columns that are not zero. */
static uint64_t nonzeros_within(Arena *arena, const Const *W, const bool *columns)
{
    uint64_t *by_column = NEW_ARRAY(arena, W->type.dim[1] + 1, uint64_t), sum = 0;
    const_nonzeros_by_column(W, by_column);
    for (uint32_t c = 0; c < W->type.dim[1]; c++)
        sum += columns[c] ? by_column[c] : 0;
    return sum;
}

Cells *op_cells(Arena *arena, const Network *net, const Op *op, uint32_t *n)
{
    const Const *W = const_get(net->module, op->cst[AFFINE_W]);
    Value i = op_operand(op, AFFINE_i);
    bool has_set = op_operand(op, AFFINE_cols) != 0, some_rows = op_operand(op, AFFINE_rows) != 0;
    Arena *scratch = scratch_of(net);
    uint64_t n_sure = operand_count(net, op);
    bool *sure = has_set && !some_rows ? sure_columns(scratch, net, op, &n_sure) : NULL;
    *n = i && op_skips_zeros(op) ? value_type(net, i).n : 1;
    Cells *cells = NEW_ARRAY(arena, *n, Cells);
    if (!op_skips_zeros(op)) {
        cells[0].max = saturating_mul(cost_LEN(net, op), operand_count(net, op));
        cells[0].min = some_rows ? 0 : saturating_mul(cost_LEN(net, op), n_sure);
    }
    for (uint32_t k = 0; op_skips_zeros(op) && k < *n; k++) {
        Const slot = i ? const_slot(W, k) : *W;
        cells[k].max = i ? const_slot_nonzeros(net->module, op->cst[AFFINE_W])[k] : const_nonzeros(W);
        cells[k].min = !has_set ? cells[k].max : n_sure > 0 ? nonzeros_within(scratch, &slot, sure) : 0;
    }
    arena_free(scratch);
    return cells;
}

static void cells_range(const Network *net, const Op *op, uint64_t *min, uint64_t *max)
{
    Arena *scratch = scratch_of(net);
    uint32_t n;
    const Cells *cells = op_cells(scratch, net, op, &n);
    *min = *max = cells[0].max;
    for (uint32_t k = 0; k < n; k++) {
        *min = cells[k].min < *min ? cells[k].min : *min;
        *max = cells[k].max > *max ? cells[k].max : *max;
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
        cells_range(net, op, min, max);
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
