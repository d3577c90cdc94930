/* buffers.c — where every tensor lives: liveness on the structured IR, then offsets in one frame.
 *
 * In: a network. Out: a Plan. The one idea: structured regions have lexical lifetimes, so numbering the ops once in
 * order is a liveness analysis: a value lives from its definition to its last use, and when that use is inside a loop
 * which the value does not belong to, to the loop's end. Offsets are first fit among the intervals that overlap.
 *
 *      %h = affine %x …      written where %r lives (its only user is the relu: fused)
 *      %r = relu %h          frame + 0
 *      %s = add %r, %r       frame + 0 as well: %r ends here, element by element
 *      %y = tanh %s          the caller's memory: the result of the only return
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

typedef struct LateUse { const Op *loop; Value value; } LateUse;

typedef struct Planner {
    Arena *arena;
    const Target *target;
    const Network *net;
    Plan *plan;
    uint32_t position, last_refuse, n_returns;
    const Op *the_return;
    uint32_t *start, *last;       /* by Value: the interval */
    uint32_t *made;               /* by Value: when the op that makes it is done with writing */
    uint32_t *uses;
    uint32_t n;
    bool apart;                   /* workspaces are not in the frame */
    Vec(LateUse) late;            /* uses inside loops whose end is not numbered yet */
} Planner;

uint64_t be_type_bytes(Type t)
{
    return t.elem == ELEM_SET ? ((uint64_t)t.n + 63) / 64 * 8 : type_count(t) * type_element_bytes(t);
}

bool be_in_memory(Type t)
{
    return t.rank > 0 || t.elem == ELEM_SET;
}

/* ---- what shares memory with what ---- */

static Home *home(const Planner *p, Value v)
{
    return &p->plan->home[v];
}

static Value root_of(const Plan *plan, Value v)
{
    while (plan->home[v].storage == STORAGE_ALIAS && plan->home[v].root != v)
        v = plan->home[v].root;
    return v;
}

/* Is v all of its root's memory (reshapes only), so that it may be written through? */
static bool is_whole(const Planner *p, Value v)
{
    uint64_t bytes = be_type_bytes(value_type(p->net, v));
    while (home(p, v)->storage == STORAGE_ALIAS && home(p, v)->root != v) {
        v = home(p, v)->root;
        if (be_type_bytes(value_type(p->net, v)) != bytes)
            return false;
    }
    return true;
}

static void alias(Planner *p, Value v, Value of)
{
    *home(p, v) = (Home){.storage = STORAGE_ALIAS, .root = of};
}

/* `v` gives up its own memory and is written where `of`, the whole of its root, lives. Straight to the root: a chain of thousands of ops
 * that each take the last one's place would be walked again for every one of them. */
static void merge(Planner *p, Value v, Value of)
{
    Value root = root_of(p->plan, of);
    if (home(p, root)->bytes < home(p, v)->bytes)
        home(p, root)->bytes = home(p, v)->bytes;
    if (p->start[v] < p->start[root])
        p->start[root] = p->start[v];
    if (p->last[v] > p->last[root])
        p->last[root] = p->last[v];
    alias(p, v, root);
}

/* Bytes of constants: the address is known when the op is emitted. */
static void borrowed(Planner *p, Value v)
{
    *home(p, v) = (Home){.storage = STORAGE_ALIAS, .root = v};
}

static void own_or_scalar(Planner *p, Value v)
{
    Type t = value_type(p->net, v);
    bool memory = be_in_memory(t);
    *home(p, v) = (Home){.storage = memory ? STORAGE_FRAME : STORAGE_NONE, .root = v, .bytes = memory ? be_type_bytes(t) : 0};
}

/* A slice whose elements lie one after the other: whole in every dim after the first that is longer than 1. */
static bool slice_is_contiguous(Type from, Type to)
{
    uint32_t d = 0;
    while (d < to.rank && to.dim[d] == 1)
        d++;
    for (d++; d < to.rank; d++)
        if (to.dim[d] != from.dim[d])
            return false;
    return true;
}

bool be_shares_operand(const Network *net, const Op *op)
{
    if (op->kind != OP_slice && op->kind != OP_reshape && op->kind != OP_index)
        return false;
    Type from = value_type(net, op_operand(op, 0)), to = value_type(net, op->result[0]);
    if (!be_in_memory(from) || !be_in_memory(to))
        return false;
    return op->kind != OP_slice || slice_is_contiguous(from, to);
}

/* The bytes that a kernel writes for this affine: whole vectors. */
static uint64_t affine_bytes(const Planner *p, const Op *op)
{
    Layout l = be_layout_weights(p->target, p->net, op, p->plan->lowering[op->result[0]].how);
    return (uint64_t)be_written_rows(&l) * type_element_bytes(value_type(p->net, op->result[0]));
}

/* The affine that makes the relu whose activity this is, when one kernel can make all three; NULL: none. */
static const Op *active_source(const Network *net, const Plan *plan, const Op *op)
{
    const Op *relu = value_op(net, op_operand(op, 0));
    const Op *from = relu && relu->kind == OP_relu ? value_op(net, op_operand(relu, 0)) : NULL;
    bool fused = from && from->kind == OP_affine && plan->fused_relu[from->result[0]] == relu->result[0];
    return fused && from->parent == op->parent && op->attr[0].i == ACTIVITY_notle0 ? from : NULL;
}

/* The bits of a relu's activity are made with its values: the set begins to live there, and has room for the padding's. */
static void fuse_active(Planner *p, const Op *op)
{
    const Op *from = active_source(p->net, p->plan, op);
    if (!from || p->plan->fused_active[from->result[0]])
        return;
    Layout l = be_layout_weights(p->target, p->net, from, p->plan->lowering[from->result[0]].how);
    p->plan->fused_active[from->result[0]] = op->result[0];
    p->start[op->result[0]] = p->start[from->result[0]];
    home(p, op->result[0])->bytes = ((uint64_t)be_padded_rows(&l) + 63) / 64 * 8;
}

bool be_active_is_fused(const Fn *f, const Op *op)
{
    const Op *from = active_source(f->net, f->plan, op);
    return from && f->plan->fused_active[from->result[0]] == op->result[0];
}

static void place_results(Planner *p, const Op *op)
{
    if (op->kind == OP_affine)
        p->plan->n_affine++;
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op->result[i];
        bool memory = be_in_memory(value_type(p->net, v));
        own_or_scalar(p, v);
        if (!memory)
            continue;
        if (op->kind == OP_const || op->kind == OP_row)
            borrowed(p, v);
        else if (be_shares_operand(p->net, op))
            alias(p, v, op_operand(op, 0));
        else if (op->kind == OP_repeat || op->kind == OP_each)
            alias(p, v, op->region[0]->arg[i + 1]);
        else if (op->kind == OP_affine)
            home(p, v)->bytes = affine_bytes(p, op);
    }
    if (op->kind == OP_active)
        fuse_active(p, op);
    /* A relu alone on an affine in the same block: the affine writes the relu's value. */
    if (op->kind != OP_relu || !be_in_memory(value_type(p->net, op->result[0])))
        return;
    Value a = op_operand(op, 0);
    const Op *from = value_op(p->net, a);
    if (from && from->kind == OP_affine && from->parent == op->parent && p->uses[a] == 1) {
        p->plan->fused_relu[a] = op->result[0];
        merge(p, a, op->result[0]);
    }
}

/* ---- intervals ---- */

/* The outermost loop around `at` that does not contain `block`, or NULL. */
static const Op *loop_between(const Block *at, const Block *block)
{
    const Op *loop = NULL;
    for (const Block *b = at; b != block && b->owner; b = b->owner->parent)
        if (b->owner->kind == OP_repeat || b->owner->kind == OP_each)
            loop = b->owner;
    return loop;
}

static void use(Planner *p, Value v, uint32_t at)
{
    if (p->last[v] < at)
        p->last[v] = at;
}

static void scan_uses(Planner *p, const Op *op, uint32_t at)
{
    for (uint32_t i = 0; i < op->n_operands; i++) {
        Value v = op_operand(op, i);
        if (!v)
            continue;
        use(p, v, at);
        const Op *loop = loop_between(op->parent, value_info(p->net, v)->block);
        LateUse late = {loop, v};
        if (loop)
            vec_push(p->arena, p->late, late);
    }
}

static void scan(Planner *p, const Block *block)
{
    for (const Op *op = block->first; op; op = op->next) {
        uint32_t at = ++p->position;
        scan_uses(p, op, at);
        for (uint32_t i = 0; i < op->n_results; i++)
            p->start[op->result[i]] = p->last[op->result[i]] = p->made[op->result[i]] = at;
        if (op->kind == OP_refuse)
            p->last_refuse = at;
        if (op->kind == OP_return) {
            p->n_returns++;
            p->the_return = op;
        }
        size_t mark = p->late.len;
        for (uint32_t r = 0; r < op->n_regions; r++) {
            const Block *region = op->region[r];
            for (uint32_t a = 0; a < region->n_args; a++) {
                p->start[region->arg[a]] = at;
                own_or_scalar(p, region->arg[a]);
            }
            scan(p, region);
        }
        place_results(p, op);
        uint32_t end = ++p->position;
        for (size_t i = mark; i < p->late.len; i++)
            if (p->late.at[i].loop == op)
                use(p, p->late.at[i].value, end);
        if (op->kind == OP_each)                  /* read in every round */
            use(p, op_operand(op, EACH_over), end);
        for (uint32_t i = 0; i < op->n_results; i++)
            use(p, op->result[i], end);
        for (uint32_t r = 0; r < op->n_regions; r++)
            for (uint32_t a = 0; a < op->region[r]->n_args; a++)
                use(p, op->region[r]->arg[a], end);
    }
}

/* Lifetimes of aliases belong to their roots. */
static void settle_aliases(Planner *p)
{
    for (Value v = 1; v < p->n; v++) {
        Value root = root_of(p->plan, v);
        if (root == v)
            continue;
        use(p, root, p->last[v]);
        if (p->start[v] && p->start[v] < p->start[root])
            p->start[root] = p->start[v];
    }
}

/* ---- fewer copies ---- */

static bool is_own(const Planner *p, Value v)
{
    const ValueInfo *info = value_info(p->net, v);
    return home(p, v)->storage == STORAGE_FRAME && info->op;
}

/* The only return's operands are made in the caller's memory, unless a refusal can still follow (outputs stay unwritten
 * then), or the op writes whole vectors beyond the end. */
static void place_outputs(Planner *p)
{
    if (p->n_returns != 1 || p->the_return->parent != p->net->body)
        return;
    for (uint32_t k = 0; k < p->net->n_outputs; k++) {
        Value v = op_operand(p->the_return, RETURN_value + k), root = root_of(p->plan, v);
        if (!be_in_memory(value_type(p->net, v)) || !is_own(p, root) || !is_whole(p, v))
            continue;
        if (value_info(p->net, root)->block != p->net->body || p->last_refuse > p->start[root])
            continue;
        if (home(p, root)->bytes != be_type_bytes(value_type(p->net, v)))
            continue;
        *home(p, root) = (Home){.storage = STORAGE_OUTPUT, .port = k, .root = root};
    }
}

static bool works_in_place(const Op *op)
{
    switch (op->kind) {
    case OP_add: case OP_sub: case OP_mul: case OP_div: case OP_neg: case OP_abs: case OP_min: case OP_max: case OP_relu:
    case OP_exp: case OP_tanh: case OP_sigmoid: case OP_sqrt: case OP_and: case OP_or: case OP_xor: case OP_shl: case OP_lshr:
    case OP_ord:
        return true;
    case OP_const: case OP_row: case OP_field: case OP_affine: case OP_matmul: case OP_matmix: case OP_cmp: case OP_select: case OP_cast:
    case OP_dot: case OP_reduce: case OP_argmax: case OP_argmin: case OP_reshape: case OP_transpose: case OP_concat:
    case OP_slice: case OP_splat: case OP_index: case OP_active: case OP_extend: case OP_size: case OP_weigh: case OP_test: case OP_topk:
    case OP_descend: case OP_search: case OP_memorize: case OP_within: case OP_if: case OP_case: case OP_repeat: case OP_each: case OP_call: case OP_yield: case OP_return:
    case OP_refuse: case OP_tally: case OP__COUNT:
        return false;
    }
    ICE("op %d", (int)op->kind);
}

/* An elementwise op may write over the operand that ends with it. */
static void reuse_operand(Planner *p, const Op *op)
{
    Value v = op->result[0];
    if (home(p, v)->storage != STORAGE_FRAME)
        return;
    for (uint32_t i = 0; i < op->n_operands; i++) {
        Value a = op_operand(op, i);
        if (!be_in_memory(value_type(p->net, a)) || (op->kind == OP_relu && p->plan->fused_relu[a] == v))
            continue;
        Value root = root_of(p->plan, a);
        if (is_own(p, root) && is_whole(p, a) && p->last[root] == p->start[v] &&
            be_type_bytes(value_type(p->net, a)) == be_type_bytes(value_type(p->net, v))) {
            merge(p, v, a);
            return;
        }
    }
}

/* What a branch yields is made where the region's result lives. */
static void place_yields(Planner *p, const Op *op)
{
    for (uint32_t r = 0; r < op->n_regions; r++) {
        const Op *end = op->region[r]->last;
        if (!end || end->kind != OP_yield)
            continue;
        for (uint32_t k = 0; k < op->n_results; k++) {
            Value to = root_of(p->plan, op->result[k]), v = op_operand(end, k), root = root_of(p->plan, v);
            if (!be_in_memory(value_type(p->net, v)) || !is_own(p, root) || !is_whole(p, v) || root == to)
                continue;
            if (value_info(p->net, root)->block != op->region[r] || home(p, to)->storage == STORAGE_ALIAS)
                continue;
            if (home(p, to)->storage == STORAGE_OUTPUT && home(p, root)->bytes != be_type_bytes(value_type(p->net, v)))
                continue;
            bool once = true;
            for (uint32_t other = 0; other < op->n_results; other++)
                once = once && (other == k || root_of(p->plan, op_operand(end, other)) != root);
            if (once)
                merge(p, root, to);
        }
    }
}

/* ---- parts of a concat that are made in place ---- */

/* Where a value lies: its root, and how far from the root's begin. */
static Value find_root(const Plan *plan, Value v, uint64_t *shift)
{
    for (*shift = 0; plan->home[v].storage == STORAGE_ALIAS && plan->home[v].root != v; v = plan->home[v].root)
        *shift += plan->home[v].shift;
    return v;
}

bool be_part_is_there(const Plan *plan, const Op *concat, uint32_t k, uint64_t offset)
{
    uint64_t part, whole;
    Value root = find_root(plan, op_operand(concat, k), &part);
    return plan->home[op_operand(concat, k)].storage == STORAGE_ALIAS && root == find_root(plan, concat->result[0], &whole) && part == whole + offset;
}

/* A part may be written where the concat has it if nobody else's memory is its own, and all parts before it are made by then: whole vectors
 * are written, beyond a part's end. */
static void place_parts(Planner *p, const Op *op)
{
    Value to = op->result[0];
    uint64_t offset = 0, align = p->target->align;
    uint32_t done = 0;
    if (op->attr[0].i != 0 || home(p, to)->storage != STORAGE_FRAME)
        return;
    for (uint32_t k = 0; k < op->n_operands; k++) {
        Value v = op_operand(op, k), root = root_of(p->plan, v);
        uint64_t bytes = be_type_bytes(value_type(p->net, v)), at = offset;
        offset += bytes;
        if (!is_own(p, root) || !is_whole(p, v) || root == to || value_info(p->net, root)->block != op->parent || p->start[root] <= done || bytes == 0)
            continue;
        done = p->made[root];
        uint64_t end = at + (home(p, root)->bytes + align - 1) / align * align;
        merge(p, root, to);
        home(p, root)->shift = at;
        if (home(p, to)->bytes < end)
            home(p, to)->bytes = end;
    }
}

static void save_copies(Planner *p)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, p->net)
        if (op->kind == OP_concat)
            place_parts(p, op);
    FOR_EACH_OP(walk, op, p->net) {
        if (op->kind == OP_if || op->kind == OP_case)
            place_yields(p, op);
        else if (works_in_place(op) && op->n_results == 1)
            reuse_operand(p, op);
    }
}

/* ---- loops: accumulators that are exchanged need a second buffer ---- */

static void stage_yields(Planner *p)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, p->net) {
        if (op->kind != OP_repeat && op->kind != OP_each)
            continue;
        const Block *body = op->region[0];
        if (!body->last || body->last->kind != OP_yield)
            continue;
        for (uint32_t k = 0; k < op->n_results; k++) {
            Value v = op_operand(body->last, k), root = root_of(p->plan, v), arg = body->arg[k + 1];
            if (!be_in_memory(value_type(p->net, arg)) || v == arg)
                continue;
            for (uint32_t other = 1; other < body->n_args; other++)
                if (root == body->arg[other])
                    p->plan->stage[arg] = 0;
        }
    }
}

/* ---- offsets: first fit, in order of the intervals' starts ---- */

typedef struct Interval { uint32_t start, last; uint64_t bytes, *offset; } Interval;

static int by_start(const void *a, const void *b)
{
    const Interval *x = a, *y = b;
    return x->start != y->start ? (x->start < y->start ? -1 : 1) : x->offset < y->offset ? -1 : x->offset > y->offset;
}

static uint64_t workspace_bytes(const Planner *p, const Op *op)
{
    uint64_t bytes = be_workspace_bytes(p->plan, p->net, op);
    if (p->apart && bytes > p->plan->work_bytes)
        p->plan->work_bytes = bytes;
    return p->apart ? 0 : bytes;
}

static void assign_offsets(Planner *p)
{
    Vec(Interval) all = {0}, live = {0};          /* live: by ascending offset */
    uint64_t align = p->target->align;
    for (Value v = 1; v < p->n; v++) {
        uint64_t bytes = home(p, v)->bytes;
        if (home(p, v)->storage == STORAGE_FRAME && bytes > 0) {
            Interval it = {p->start[v], p->last[v], (bytes + align - 1) / align * align, &home(p, v)->offset};
            vec_push(p->arena, all, it);
            if (p->plan->stage[v] != UINT64_MAX) {
                it.offset = &p->plan->stage[v];
                vec_push(p->arena, all, it);
            }
        }
        const Op *op = value_op(p->net, v);
        uint64_t own = op && op->result[0] == v && p->start[v] ? workspace_bytes(p, op) : 0;
        if (own > 0) {
            Interval it = {p->start[v], p->start[v], (own + align - 1) / align * align, &p->plan->work[v]};
            vec_push(p->arena, all, it);
        }
    }
    if (all.len > 0)
        qsort(all.at, all.len, sizeof *all.at, by_start);
    for (size_t i = 0; i < all.len; i++) {
        Interval it = all.at[i];
        size_t kept = 0, where;
        for (size_t k = 0; k < live.len; k++)
            if (live.at[k].last >= it.start)
                live.at[kept++] = live.at[k];
        live.len = kept;
        uint64_t at = 0;
        for (where = 0; where < live.len && *live.at[where].offset - at < it.bytes; where++)
            at = *live.at[where].offset + live.at[where].bytes;
        *it.offset = at;
        if (at + it.bytes > p->plan->frame_bytes)
            p->plan->frame_bytes = at + it.bytes;
        vec_push(p->arena, live, it);
        for (size_t k = live.len - 1; k > where; k--)
            live.at[k] = live.at[k - 1];
        live.at[where] = it;
    }
}

/* ---- what nobody needs: sets that only dense loops would take, sizes that only tallies take ---- */

static bool walks_the_set(const Plan *plan, const Op *affine)
{
    Lower how = plan->lowering[affine->result[0]].how;
    return how != LOWER_dense && how != LOWER_gather;
}

/* What is made of a set is a reason to have it only if it is wanted itself. */
static void want_sets(Planner *p, const Op *op)
{
    uint8_t *wanted = p->plan->wanted;
    for (uint32_t i = 0; i < op->n_operands; i++) {
        if (!op->operand[i] || value_type(p->net, op_operand(op, i)).elem != ELEM_SET)
            continue;
        bool made_of_it = op->kind == OP_size || op->kind == OP_weigh || op->kind == OP_extend || op->kind == OP_and || op->kind == OP_or ||
                          op->kind == OP_xor;
        if (made_of_it)
            wanted[op_operand(op, i)] |= wanted[op->result[0]];
        else if (op->kind != OP_affine || i != AFFINE_cols || walks_the_set(p->plan, op))
            wanted[op_operand(op, i)] |= WANTED_counted | WANTED_plain;
    }
}

static void want(Planner *p)
{
    uint8_t *wanted = p->plan->wanted;
    OpWalk walk;
    FOR_EACH_OP(walk, op, p->net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                wanted[op_operand(op, i)] |= op->kind == OP_tally ? WANTED_counted : WANTED_counted | WANTED_plain;
    /* Sets again, now that it is known which sizes are wanted. */
    for (Value v = 1; v < p->n; v++)
        if (value_type(p->net, v).elem == ELEM_SET)
            wanted[v] = 0;
    Vec(const Op *) ops = {0};
    FOR_EACH_OP(walk, op, p->net)
        vec_push(p->arena, ops, op);
    while (ops.len > 0)                           /* users before what they use */
        want_sets(p, ops.at[--ops.len]);
}

static Plan plan_of(Arena *arena, const Target *target, const Network *net, bool apart)
{
    uint32_t n = (uint32_t)net->values.len;
    Plan plan = {.lowering = be_lowerings(arena, net), .search = be_searches(arena, net), .home = NEW_ARRAY(arena, n, Home), .fused_relu = NEW_ARRAY(arena, n, Value), .fused_active = NEW_ARRAY(arena, n, Value),
                 .wanted = NEW_ARRAY(arena, n, uint8_t), .work = NEW_ARRAY(arena, n, uint64_t), .stage = NEW_ARRAY(arena, n, uint64_t)};
    plan.grid = be_grids(arena, net);
    plan.records = be_records(arena, target, net, plan.lowering, plan.search);
    Planner planner = {.arena = arena, .target = target, .net = net, .plan = &plan, .n = n, .apart = apart}, *p = &planner;
    p->start = NEW_ARRAY(arena, n, uint32_t);
    p->last = NEW_ARRAY(arena, n, uint32_t);
    p->made = NEW_ARRAY(arena, n, uint32_t);
    p->uses = network_count_uses(arena, net);
    for (Value v = 0; v < n; v++)
        plan.stage[v] = UINT64_MAX;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        Value v = net->body->arg[i];
        plan.home[v] = (Home){.storage = be_in_memory(value_type(net, v)) ? STORAGE_INPUT : STORAGE_NONE, .port = i, .root = v};
    }
    want(p);
    scan(p, net->body);
    settle_aliases(p);
    place_outputs(p);
    save_copies(p);
    settle_aliases(p);
    stage_yields(p);
    assign_offsets(p);
    plan.scratch = plan.frame_bytes > target->max_stack;
    return plan;
}

Plan be_plan(Arena *arena, const Target *target, const Network *net)
{
    return plan_of(arena, target, net, false);
}

Plan be_batch_plan(Arena *arena, const Target *target, const Network *net)
{
    return plan_of(arena, target, net, true);
}
