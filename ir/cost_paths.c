/* cost_paths.c — what one evaluation can cost, over all inputs.
 *
 * In: a network. Out: bounds on its counts, and shares of them. The one idea: structured regions make "every path" a
 * structural recursion. A block is summed up by its ends:
 *
 *      fall    what has been executed when it ends with `yield`
 *      ret     … when a `return` in it leaves the network        refuse    … when a `refuse` does
 *
 * each a range [min, max], or impossible. Ends of alternatives are joined (least, greatest), of sequels added. Every figure
 * is this recursion with another cost of one event (unit_cost). What follows a tree, and is chosen by its leaf, is summed up leaf by leaf
 * (cost_tree.c): each is an alternative.
 */
#include "interp.h"

#include <string.h>

/* ---- ranges over paths ------------------------------------------------------------------------------------------------------- */

typedef struct Range {
    bool possible;
    Counts min, max;               /* of each kind */
    uint64_t total_min, total_max; /* of their sum on one path: tighter than the sum of the maxima */
} Range;

typedef struct Ends { Range fall, ret, refuse; } Ends;

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
        .total_min = saturating_add(a.total_min, b.total_min),
        .total_max = saturating_add(a.total_max, b.total_max),
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
    a.total_min = saturating_mul(a.total_min, least);
    a.total_max = saturating_mul(a.total_max, most);
    return a;
}

/* What is added up over the paths. */
typedef enum Figure {
    FIGURE_WHOLE,
    FIGURE_NONZERO,                /* zero weights are left out */
    FIGURE_GUARD,                  /* only what guards the box */
    FIGURE_PAPER,                  /* a tree's node is an addition too */
    FIGURE_INSIDE                  /* of inputs in the box: what answers outside is not executed */
} Figure;

typedef struct Analysis {
    const Network *net;
    const Ends *callee;            /* by number in the module */
    Figure figure;
    const bool *guards;            /* FIGURE_GUARD: by Value, whether it belongs to the guard */
    EventMemo memo;
    const Given *given;            /* the leaf that is looked at */
    Arena *scratch;
} Analysis;

static Ends block_ends(Analysis *a, const Block *block);
static bool decides_fallback(const Network *net, const Op *op);

/* Cells of an affine whose weight is not zero; all (of those that it has) when sets or an index make it depend on the input. */
static uint64_t nonzero_cells(const Network *net, const Op *op, uint64_t cells)
{
    bool whole = !op_operand(op, AFFINE_i) && !op_operand(op, AFFINE_cols) && !op_operand(op, AFFINE_rows);
    return whole ? const_nonzeros(const_get(net->module, op->cst[AFFINE_W])) : cells;
}

/* What one event of the op adds to the figure. */
static Counts unit_cost(const Analysis *a, const Op *op)
{
    Counts unit = op_cost(a->net, op);
    if (a->figure == FIGURE_GUARD && !(op->n_results > 0 && a->guards[op->result[0]]))
        return (Counts){0};
    if (a->figure == FIGURE_PAPER && (op->kind == OP_descend || op->kind == OP_search))
        unit.add += unit.cmp;
    return unit;
}

/* So many events. */
static Range events_of(const Analysis *a, const Op *op, uint64_t least, uint64_t most)
{
    Counts unit = unit_cost(a, op);
    Range r = {.possible = true};
    r.min = counts_scale(unit, least);
    r.max = counts_scale(unit, most);
    r.total_min = counts_total(r.min);
    r.total_max = counts_total(r.max);
    return r;
}

static Range straight(Analysis *a, const Op *op)
{
    uint64_t least, most;
    if (counts_total(unit_cost(a, op)) == 0)
        return (Range){.possible = true};
    given_range(&a->memo, a->net, a->given, op, &least, &most);
    if (a->figure == FIGURE_NONZERO && op->kind == OP_affine)
        least = most = nonzero_cells(a->net, op, most);
    return events_of(a, op, least, most);
}

static Ends choice_ends(Analysis *a, const Op *op)
{
    Ends all = {0};
    int64_t known = op->kind == OP_case ? given_index(a->net, a->given, op_operand(op, 0)) : -1;
    if (a->figure == FIGURE_INSIDE && decides_fallback(a->net, op))
        known = 0;
    if (known >= 0 && known < op->n_regions)
        return block_ends(a, op->region[known]);
    for (uint32_t r = 0; r < op->n_regions; r++) {
        Ends one = block_ends(a, op->region[r]);
        all.fall = join(all.fall, one.fall);
        all.ret = join(all.ret, one.ret);
        all.refuse = join(all.refuse, one.refuse);
    }
    return all;
}

/* Leaving in trip t comes after t - 1 trips that fell through, 1 <= t <= n. */
static Ends loop_ends(Analysis *a, const Op *op)
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

static Ends op_ends(Analysis *a, const Op *op)
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

/* First what ends with `a`, then `b`. */
static Ends sequel(Ends a, Ends b)
{
    return (Ends){.fall = then(a.fall, b.fall), .ret = join(a.ret, then(a.fall, b.ret)), .refuse = join(a.refuse, then(a.fall, b.refuse))};
}

/* ---- leaf by leaf ---- */

static Ends sequence_ends(Analysis *a, const Op *from, const Op *end);

/* What stands behind a tree: a stretch that its leaf does not matter to, then an op whose cost hangs on it (NULL: the end). */
typedef struct Part { Ends fixed; const Op *hangs; } Part;
typedef Vec(Part) Parts;

static Parts parts_behind(Analysis *a, const Op *descend, const Op *end)
{
    Parts parts = {0};
    for (const Op *from = descend->next; from != end;) {
        const Op *next = next_hanging(descend, from, end);
        Part part = {sequence_ends(a, from, next), next == end ? NULL : next};
        vec_push(a->scratch, parts, part);
        from = next == end ? end : next->next;
    }
    return parts;
}

/* The tree and all that follows up to `end`. */
static Ends leaf_ends(Analysis *a, const Op *descend, const Op *end, const Landing *at, size_t n)
{
    const Parts parts = parts_behind(a, descend, end);
    const Given *outer = a->given;
    Ends all = {0};
    for (size_t i = 0; i < n; i++) {
        Given here = {descend, at[i].class_, at[i].slot, outer};
        Ends one = {.fall = events_of(a, descend, at[i].min, at[i].max)};
        a->given = &here;
        for (size_t k = 0; k < parts.len; k++) {
            one = sequel(one, parts.at[k].fixed);
            if (parts.at[k].hangs)
                one = sequel(one, op_ends(a, parts.at[k].hangs));
        }
        all = (Ends){join(all.fall, one.fall), join(all.ret, one.ret), join(all.refuse, one.refuse)};
    }
    a->given = outer;
    return all;
}

/* Ops from `from` up to `end` (NULL: of the block). */
static Ends sequence_ends(Analysis *a, const Op *from, const Op *end)
{
    Ends all = {.fall = {.possible = true}};
    for (const Op *op = from; op != end && all.fall.possible; op = op->next) {
        size_t n;
        const Op *last;
        const Landing *at = op->kind == OP_descend ? open_tree(&a->memo, op, end, &last, &n) : NULL;
        if (!at) {
            all = sequel(all, op_ends(a, op));
            continue;
        }
        all = sequel(all, leaf_ends(a, op, last->next, at, n));
        close_tree(&a->memo);
        op = last;
    }
    return all;
}

static Ends block_ends(Analysis *a, const Block *block) { return sequence_ends(a, block->first, NULL); }

/* ---- the guard's share ----------------------------------------------------------------------------------------------------------
 *
 * A guard is recognised by what it is: a test of the box, or, under the policy `clamp`, an input clamped to its own box.
 * Names and places would not survive other passes.
 */

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

/* A test of the box, or of several boxes. */
static bool is_test(const Network *net, Value v)
{
    const Op *op = value_op(net, v);
    return op && (op->kind == OP_within || (op->kind == OP_and && is_test(net, op_operand(op, 0)) && is_test(net, op_operand(op, 1))));
}

/* An `if` whose `else` answers outside the box. */
static bool decides_fallback(const Network *net, const Op *op)
{
    return op->kind == OP_if && net->options.outside == OUTSIDE_dense && is_test(net, op_operand(op, 0));
}

bool op_is_fallback(const Network *net, const Op *op)
{
    for (const Block *block = op->parent; block->owner; block = block->owner->parent)
        if (block->number == 1 && decides_fallback(net, block->owner))
            return true;
    return false;
}

/* By Value: results of `within`, the `and` of two of them, and clamps. */
static const bool *guard_values(Arena *scratch, const Network *net)
{
    bool *guards = NEW_ARRAY(scratch, net->values.len, bool), *tests = NEW_ARRAY(scratch, net->values.len, bool);
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        if (op->n_results == 0)
            continue;
        Value v = op->result[0];
        tests[v] = op->kind == OP_within || (op->kind == OP_and && tests[op_operand(op, 0)] && tests[op_operand(op, 1)]);
        guards[v] = tests[v] || (net->options.outside == OUTSIDE_clamp && is_clamp(net, op));
    }
    return guards;
}

/* ---- networks ----------------------------------------------------------------------------------------------------------------- */

static Ends network_ends(Arena *scratch, const Network *net, const Ends *callee, Figure figure)
{
    Analysis a = {net, callee, figure, figure == FIGURE_GUARD ? guard_values(scratch, net) : NULL, event_memo(scratch, net), NULL, scratch};
    return block_ends(&a, net->body);
}

/* The ends of a network's body; callees come first, in the module's order. */
static Range network_range(const Network *net, Figure figure)
{
    Arena *scratch = scratch_of(net);
    const Module *m = net->module;
    size_t n;
    const uint32_t *place;
    network_reach(scratch, net, &n, &place);
    Ends *callee = NEW_ARRAY(scratch, m->networks.len + 1, Ends);
    for (size_t k = 0; k < m->networks.len; k++)
        if (place[k])
            callee[k] = network_ends(scratch, m->networks.at[k], callee, figure);
    Ends ends = network_ends(scratch, net, callee, figure);
    arena_free(scratch);
    return join(join(ends.ret, ends.refuse), ends.fall);
}

NetworkCost network_cost(const Network *net)
{
    Range r = network_range(net, FIGURE_WHOLE);
    return (NetworkCost){{r.min, r.max}, r.total_min, r.total_max};
}

Counts network_nonzero_cost(const Network *net) { return network_range(net, FIGURE_NONZERO).max; }

Counts network_guard_cost(const Network *net) { return network_range(net, FIGURE_GUARD).max; }

Counts network_paper_cost(const Network *net, uint64_t *total)
{
    Range r = network_range(net, FIGURE_PAPER);
    if (total)
        *total = r.total_max;
    return r.max;
}

bool network_inside_cost(const Network *net, NetworkCost *cost)
{
    bool fallback = false;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        fallback |= decides_fallback(net, op);
    if (!fallback)
        return false;
    Range r = network_range(net, FIGURE_INSIDE);
    *cost = (NetworkCost){{r.min, r.max}, r.total_min, r.total_max};
    return true;
}

bool network_is_counted(const Network *net)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (op->kind == OP_tally)
            return true;
    return false;
}
