/* tree.c — a tree of comparisons as a table, and the walk down it.
 *
 *      record of a node:  left i32, right i32, threshold, coordinate u16 or u32 (none when there is one)
 *      walk:              while (n >= 0) n = x[n->coordinate] > n->threshold ? n->right : n->left;      leaf ~n
 *
 * In: trees with integer keys; places. Out: the table's bytes; what `descend` gives. The one idea: a step costs a line of the cache, so a line
 * holds a node with its children, as many as fit, and pages hold the lines that follow one another; and within a step nothing waits
 * for the comparison but the choice between two indices that are loaded already.
 *
 *      line 0: root, its children      line 1 …: a grandchild each with its children …      after 64 lines another subtree of lines
 *
 * A child is a place in units of the table (usually 4 bytes), or ~leaf: slot and class packed where 31 bits hold both, else a number in
 * the table of leaves. Records hold thresholds in their memory form.
 */
#include "gen.h"

#include <string.h>

enum { LINE = 64, PAGE_LINES = 64, MOST_IN_LINE = LINE / 12, QUEUE = 2 * PAGE_LINES * MOST_IN_LINE + 2 };

static uint32_t round_to(uint64_t n, uint32_t unit)
{
    return (uint32_t)((n + unit - 1) / unit * unit);
}

static uint32_t bits_below(uint32_t n)
{
    uint32_t bits = 0;
    while (bits < 32 && (UINT64_C(1) << bits) < n)
        bits++;
    return bits;
}

/* ---- the table ---- */

typedef struct Records {
    uint32_t threshold, coordinate, coordinate_bytes;      /* offsets in a record */
    uint32_t bytes, in_line;      /* of a record; records in a line, 1: they lie one after the other */
    uint32_t unit;                /* of places */
    uint32_t slot_bits;
    bool packed;                  /* leaves say slot and class themselves */
} Records;

static uint64_t table_bytes(const Tree *t, const Records *r)
{
    return r->in_line > 1 ? ((uint64_t)t->n_nodes + r->in_line - 1) / r->in_line * LINE : (uint64_t)t->n_nodes * r->bytes;
}

static Records records_of(const Tree *t)
{
    uint32_t key = type_element_bytes(t->key);
    Records r = {.threshold = 8, .unit = 2, .slot_bits = bits_below(t->n_slots)};
    r.coordinate_bytes = t->n_keys == 1 ? 0 : t->n_keys <= 65536 ? 2 : 4;
    r.coordinate = r.coordinate_bytes ? round_to(r.threshold + key, r.coordinate_bytes) : 0;
    do {
        r.unit *= 2;
        r.bytes = round_to(r.coordinate_bytes ? r.coordinate + r.coordinate_bytes : r.threshold + key, r.unit);
        r.in_line = r.bytes <= LINE / 2 ? LINE / r.bytes : 1;
    } while (table_bytes(t, &r) / r.unit > INT32_MAX);
    r.packed = r.slot_bits + bits_below(t->n_classes) <= 31;
    return r;
}

bool be_tree_has_leaves(const Tree *t)
{
    Records r = records_of(t);
    return !r.packed || t->n_nodes == 0;
}

uint64_t be_tree_bytes(const Tree *t)
{
    Records r = records_of(t);
    return table_bytes(t, &r);
}

/* ---- the order of the nodes ---- */

enum { NOT_YET = UINT32_MAX };

/* Queues of nodes whose subtrees are to be placed. `far` begin new pages; `near` are for the lines of this page; `small` have fewer nodes than
 * a line, and fill what is left over. */
typedef struct Order {
    const Tree *tree;
    uint32_t in_line, next;       /* the next place, counted in records */
    uint32_t *place;              /* by node: NOT_YET, then its place */
    uint8_t *size;                /* by node: nodes below and at it, at most in_line */
    bool *queued;
    uint32_t *far, far_head, far_len;
    uint32_t near[QUEUE], near_head, near_len;
    uint32_t small[MOST_IN_LINE][QUEUE], n_small[MOST_IN_LINE];
} Order;

static void enqueue(Order *o, uint32_t node)
{
    uint32_t size = o->size[node];
    if (o->queued[node])
        return;
    o->queued[node] = true;
    if (size < o->in_line && o->n_small[size] == QUEUE)
        o->far[o->far_len++] = node;
    else if (size < o->in_line)
        o->small[size][o->n_small[size]++] = node;
    else
        o->near[o->near_len++] = node;
}

/* A node and what is below it, level by level, to the end of the line; what is left is queued. */
static void place_below(Order *o, uint32_t root)
{
    uint32_t room = o->in_line - o->next % o->in_line, list[MOST_IN_LINE], n = 1;
    list[0] = root;
    o->queued[root] = true;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t *child = o->tree->node[list[i]].child;
        o->place[list[i]] = o->next++;
        for (int side = 0; side < 2; side++) {
            if (child[side] < 0 || o->queued[child[side]])
                continue;
            if (n < room) {
                o->queued[child[side]] = true;
                list[n++] = (uint32_t)child[side];
            } else {
                enqueue(o, (uint32_t)child[side]);
            }
        }
    }
}

/* Of the small ones the largest that fits in this line, else the smallest, cut. False: there are none. */
static bool place_small(Order *o)
{
    uint32_t room = o->in_line - o->next % o->in_line, size = room < o->in_line ? room : o->in_line - 1;
    while (size > 0 && o->n_small[size] == 0)
        size--;
    if (size == 0)
        for (size = 1; size < o->in_line && o->n_small[size] == 0; size++)
            ;
    if (size >= o->in_line)
        return false;
    place_below(o, o->small[size][--o->n_small[size]]);
    return true;
}

/* Subtrees of lines, a page each: the near ones of a page go first, its small ones fill it, and what is left begins other pages. */
static void place_all(Order *o)
{
    o->far[o->far_len++] = 0;
    while (o->far_head < o->far_len) {
        uint32_t end = o->next + PAGE_LINES * o->in_line;
        o->near_head = o->near_len = 0;
        place_below(o, o->far[o->far_head++]);
        while (o->near_head < o->near_len && o->next < end)
            place_below(o, o->near[o->near_head++]);
        while (place_small(o))
            ;
        while (o->near_head < o->near_len)
            o->far[o->far_len++] = o->near[o->near_head++];
    }
}

/* Places by node, in records; NOT_YET for nodes that nothing leads to. */
static uint32_t *places_of(Arena *arena, const Tree *t, const Records *r)
{
    Order *o = NEW(arena, Order);
    *o = (Order){.tree = t, .in_line = r->in_line};
    o->place = NEW_ARRAY(arena, t->n_nodes, uint32_t);
    o->size = NEW_ARRAY(arena, t->n_nodes, uint8_t);
    o->queued = NEW_ARRAY(arena, t->n_nodes, bool);
    o->far = NEW_ARRAY(arena, t->n_nodes, uint32_t);
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        uint32_t size = 1;
        for (int side = 0; side < 2; side++)
            size += t->node[i].child[side] < 0 ? 0 : o->size[t->node[i].child[side]];
        o->size[i] = (uint8_t)(size < o->in_line ? size : o->in_line);
        o->place[i] = NOT_YET;
    }
    place_all(o);
    return o->place;
}

/* ---- the bytes ---- */

static uint64_t offset_of(const Records *r, uint32_t place)
{
    return r->in_line > 1 ? (uint64_t)(place / r->in_line) * LINE + place % r->in_line * r->bytes : (uint64_t)place * r->bytes;
}

static int32_t leaf_of(const Tree *t, const Records *r, uint32_t leaf)
{
    return (int32_t)~(r->packed ? t->leaf[leaf].slot | (uint64_t)t->leaf[leaf].class_ << r->slot_bits : leaf);
}

void be_tree_entries(Arena *arena, const Tree *t, int32_t *node, int32_t *leaf)
{
    Records r = records_of(t);
    uint32_t *place = places_of(arena, t, &r);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        node[i] = place[i] == NOT_YET ? 0 : (int32_t)(offset_of(&r, place[i]) / r.unit);
    for (uint32_t i = 0; i < t->n_leaves; i++)
        leaf[i] = leaf_of(t, &r, i);
}

void be_fill_tree(Arena *scratch, const Tree *t, uint8_t *out)
{
    Records r = records_of(t);
    Arena *arena = arena_new(scratch);
    if (!arena)
        arena_exhausted(scratch);
    uint32_t key = type_element_bytes(t->key), *place = t->n_nodes ? places_of(arena, t, &r) : NULL;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (place[i] == NOT_YET)
            continue;
        uint8_t *at = out + offset_of(&r, place[i]);
        for (int side = 0; side < 2; side++) {
            int32_t child = t->node[i].child[side];
            child = child < 0 ? leaf_of(t, &r, (uint32_t)~child) : (int32_t)(offset_of(&r, place[child]) / r.unit);
            memcpy(at + 4 * side, &child, 4);
        }
        memcpy(at + r.threshold, t->threshold + (size_t)i * key, key);
        uint16_t narrow = (uint16_t)t->node[i].coordinate;
        if (r.coordinate_bytes == 2)
            memcpy(at + r.coordinate, &narrow, 2);
        else if (r.coordinate_bytes == 4)
            memcpy(at + r.coordinate, &t->node[i].coordinate, 4);
    }
    arena_free(arena);
}

/* ---- the walk ---- */

static LLVMValueRef load_at(Fn *f, LLVMTypeRef type, LLVMValueRef record, uint32_t offset, uint32_t align)
{
    LLVMValueRef v = LLVMBuildLoad2(f->b, type, be_at_const(f, record, offset), "");
    LLVMSetAlignment(v, align);
    return v;
}

/* A comparison of random keys is no branch: both children are loaded, and one is taken. */
LLVMValueRef be_select_blindly(Fn *f, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef v = LLVMBuildSelect(f->b, c, a, b, "");
    unsigned kind = LLVMGetMDKindIDInContext(f->e->c, "unpredictable", 13);
    LLVMSetMetadata(v, kind, LLVMMetadataAsValue(f->e->c, LLVMMDNodeInContext2(f->e->c, NULL, 0)));
    return v;
}

/* What is the same for all nodes; `only` is the key when there is one coordinate. */
typedef struct Walk { const Tree *tree; Records r; Type key; LLVMValueRef table, x, only; } Walk;

static LLVMValueRef step(Fn *f, const Walk *w, LLVMValueRef n)
{
    Emitter *e = f->e;
    const Records *r = &w->r;
    LLVMValueRef wide = LLVMBuildZExtOrBitCast(f->b, n, e->size, "");
    LLVMValueRef record = be_at(f, w->table, LLVMBuildMul(f->b, wide, be_size(e, r->unit), ""));
    LLVMValueRef both = load_at(f, e->i64, record, 0, 4), value = w->only;      /* one load: of two LLVM would choose the address */
    LLVMValueRef left = LLVMBuildTrunc(f->b, both, e->i32, ""), right = LLVMBuildTrunc(f->b, LLVMBuildLShr(f->b, both, LLVMConstInt(e->i64, 32, 0), ""), e->i32, "");
    if (!value) {
        LLVMValueRef c = load_at(f, LLVMIntTypeInContext(e->c, 8 * r->coordinate_bytes), record, r->coordinate, r->coordinate_bytes);
        value = be_load(f, w->key, w->x, LLVMBuildZExtOrBitCast(f->b, c, e->size, ""), 1);
    }
    LLVMValueRef threshold = load_at(f, be_scalar_type(e, w->key), record, r->threshold, 4);
    return be_select_blindly(f, LLVMBuildICmp(f->b, LLVMIntSGT, value, threshold, ""), right, left);
}

static void set_leaf(Fn *f, const Op *op, const Walk *w, LLVMValueRef leaf)
{
    Emitter *e = f->e;
    LLVMValueRef mask = LLVMConstInt(e->i32, (UINT64_C(1) << w->r.slot_bits) - 1, 0);
    if (w->tree->n_nodes > 0 && w->r.packed) {
        LLVMValueRef class_ = w->tree->n_classes == 1 ? LLVMConstInt(e->i32, 0, 0) : LLVMBuildLShr(f->b, leaf, LLVMConstInt(e->i32, w->r.slot_bits, 0), "");
        be_set_scalar(f, op->result[0], class_);
        be_set_scalar(f, op->result[1], w->tree->n_classes == 1 ? leaf : LLVMBuildAnd(f->b, leaf, mask, ""));
        return;
    }
    Layout leaves = be_layout_tree(const_get(f->m, op->cst[0]), LAYOUT_LEAVES);
    LLVMValueRef wide = LLVMBuildZExtOrBitCast(f->b, leaf, e->size, "");
    LLVMValueRef record = be_at(f, be_constant(e, f->m, op->cst[0], &leaves), LLVMBuildMul(f->b, wide, be_size(e, sizeof(TreeLeaf)), ""));
    be_set_scalar(f, op->result[0], load_at(f, e->i32, record, 0, 4));
    be_set_scalar(f, op->result[1], load_at(f, e->i32, record, 4, 4));
}
_Static_assert(sizeof(TreeLeaf) == 8, "the bytes of leaves are their table");

/* From where a grid leads to:   n = start; while (n >= 0) n = step(n);  leaf ~n     */
static LLVMValueRef walk_from(Fn *f, const Walk *w, LLVMValueRef start)
{
    Emitter *e = f->e;
    LLVMValueRef zero = LLVMConstInt(e->i32, 0, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b), body = be_new_block(f, "node"), after = be_new_block(f, "leaf");
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntSGE, start, zero, ""), body, after);
    LLVMPositionBuilderAtEnd(f->b, body);
    LLVMValueRef n = LLVMBuildPhi(f->b, e->i32, "n"), child = step(f, w, n);
    LLVMAddIncoming(n, (LLVMValueRef[]){start, child}, (LLVMBasicBlockRef[]){before, body}, 2);
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntSGE, child, zero, ""), body, after);
    LLVMPositionBuilderAtEnd(f->b, after);
    LLVMValueRef end = LLVMBuildPhi(f->b, e->i32, "end");
    LLVMAddIncoming(end, (LLVMValueRef[]){start, child}, (LLVMBasicBlockRef[]){before, body}, 2);
    return end;
}

/*   n = depth = 0; do { n = step(n); depth++; } while (n >= 0);  leaf ~n     */
static void walk(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    const Const *c = const_get(f->m, op->cst[0]);
    Layout nodes = be_layout_tree(c, LAYOUT_TREE);
    Walk w = {.tree = c->tree, .r = records_of(c->tree), .key = type_int(8 * type_element_bytes(c->tree->key)), .x = be_place(f, op_operand(op, 0)).at};
    LLVMValueRef zero = LLVMConstInt(e->i32, 0, 0);
    if (c->tree->n_nodes == 0) {
        set_leaf(f, op, &w, zero);
        be_set_scalar(f, op->result[2], zero);
        return;
    }
    w.table = be_constant(e, f->m, op->cst[0], &nodes);
    w.only = c->tree->n_keys == 1 ? be_load(f, w.key, w.x, be_size(e, 0), 1) : NULL;
    const Grid *grid = f->counts ? NULL : f->plan->grid[op->result[0]];
    if (grid) {
        Layout layout = be_layout_grid(grid);
        LLVMValueRef start = be_grid_start(f, grid, w.x, be_constant(e, f->m, op->cst[0], &layout));
        set_leaf(f, op, &w, LLVMBuildNot(f->b, walk_from(f, &w, start), ""));
        return;
    }
    LLVMBasicBlockRef before = LLVMGetInsertBlock(f->b), body = be_new_block(f, "node"), after = be_new_block(f, "leaf");
    LLVMBuildBr(f->b, body);
    LLVMPositionBuilderAtEnd(f->b, body);
    LLVMValueRef n = LLVMBuildPhi(f->b, e->i32, "n"), above = LLVMBuildPhi(f->b, e->i32, "above");
    LLVMValueRef depth = LLVMBuildAdd(f->b, above, LLVMConstInt(e->i32, 1, 0), "depth"), child = step(f, &w, n);
    LLVMAddIncoming(n, &zero, &before, 1);
    LLVMAddIncoming(n, &child, &body, 1);
    LLVMAddIncoming(above, &zero, &before, 1);
    LLVMAddIncoming(above, &depth, &body, 1);
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntSGE, child, zero, ""), body, after);
    LLVMPositionBuilderAtEnd(f->b, after);
    set_leaf(f, op, &w, LLVMBuildNot(f->b, child, ""));
    be_set_scalar(f, op->result[2], depth);
}

void be_descend(Fn *f, const Op *op)
{
    if (op->lower != LOWER_branch || !be_branches(f, op))
        walk(f, op);
}
