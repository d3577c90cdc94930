/* grid.c — the first steps down a tree at once: a cell of a grid says where the walk begins.
 *
 *      for each coordinate j:  k = clamp(x[j], least threshold, greatest + 1);  c = (int)((value(k) - low[j]) * scale[j])     ; ascends with x
 *                              at[j] = part[j][c].base + (x[j] > part[j][c].bound ? step[j] : 0)
 *      n = cell[sum of at[j]];  then as in tree.c while (n >= 0) …
 *
 * In: a tree of 32- or 64-bit keys, and whether they are images of floats (`ord`) or integers. Out: the grid's bytes; where a walk begins.
 * The one idea: of each coordinate some thresholds are chosen, those of the top of the tree first; how many of them lie below x is known from
 * one comparison, since a piece of the range that an exact function of x names holds at most one of them. A cell then is a box on which
 * the tree's first tests are decided: cuts of a box at midpoints make a lattice, and most cells are a leaf or near one.
 *
 * Bits: arithmetic only guesses, ascending; a comparison of keys decides, and x that is NaN or infinite is clamped as a key, which changes no
 * comparison with a threshold. What is counted is the op's; the depth is not known this way, so bodies that count walk from the root.
 */
#include "gen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_NODES = 48, MOST_COORDINATES = 8, MOST_PIECES = 1024, CELLS_PER_LEAF = 2, MOST_CELLS = 1 << 20 };

/* ---- keys as numbers ---- */

static int64_t key_at(const Tree *t, uint32_t node)
{
    int32_t narrow;
    int64_t wide;
    if (type_element_bytes(t->key) == 8) {
        memcpy(&wide, t->threshold + (size_t)node * 8, 8);
        return wide;
    }
    memcpy(&narrow, t->threshold + (size_t)node * 4, 4);
    return narrow;
}

/* What a key stands for; rounded, it ascends with the key. */
static double value_of(const Grid *g, int64_t key)
{
    if (!g->images)
        return g->wide ? (double)key : (double)(float)key;
    if (g->wide) {
        uint64_t bits = key < 0 ? (UINT64_C(1) << 63) - (uint64_t)key : (uint64_t)key;
        double v;
        memcpy(&v, &bits, 8);
        return v;
    }
    uint32_t bits = key < 0 ? (UINT32_C(1) << 31) - (uint32_t)key : (uint32_t)key;
    float v;
    memcpy(&v, &bits, 4);
    return v;
}

/* The piece of a clamped key, by the very operations of the code below. */
static uint32_t piece_of(const Grid *g, const GridPart *p, int64_t key)
{
    if (g->wide)
        return (uint32_t)((value_of(g, key) - p->low) * p->scale);
    float below = (float)value_of(g, key) - (float)p->low, t = below * (float)p->scale;
    return (uint32_t)t;
}

/* ---- which thresholds ---- */

typedef struct Cut { uint32_t coordinate; int64_t key; double weight; } Cut;

static int by_coordinate_and_key(const void *a, const void *b)
{
    const Cut *x = a, *y = b;
    if (x->coordinate != y->coordinate)
        return x->coordinate < y->coordinate ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static int by_weight(const void *a, const void *b)
{
    const Cut *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return by_coordinate_and_key(a, b);
}

/* Distinct thresholds, with the share of walks that test them if every test halves; of a node with several parents, by all of them. */
static Cut *cuts_of(Arena *arena, const Tree *t, uint32_t *n)
{
    Cut *cut = NEW_ARRAY(arena, t->n_nodes, Cut);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        cut[i] = (Cut){t->node[i].coordinate, key_at(t, i), i == 0};
    for (uint32_t i = 0; i < t->n_nodes; i++)
        for (int side = 0; side < 2; side++)
            if (t->node[i].child[side] >= 0)
                cut[t->node[i].child[side]].weight += cut[i].weight / 2;
    qsort(cut, t->n_nodes, sizeof *cut, by_coordinate_and_key);
    *n = 0;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (*n > 0 && cut[*n - 1].coordinate == cut[i].coordinate && cut[*n - 1].key == cut[i].key)
            cut[*n - 1].weight += cut[i].weight;
        else
            cut[(*n)++] = cut[i];
    }
    return cut;
}

/* Least and greatest threshold of each coordinate, and the line of its pieces. False: it has no such line. */
static bool find_range(const Grid *g, GridPart *p, const Cut *cut, uint32_t from, uint32_t end)
{
    int64_t most = g->wide ? INT64_MAX : INT32_MAX;
    p->least = cut[from].key;
    p->greatest = cut[end - 1].key;
    if (end - from < 2 || p->greatest >= most || (g->images && p->least <= -most))        /* the image of no number */
        return false;
    p->greatest++;                                /* all keys above every threshold */
    double low = value_of(g, p->least), range = value_of(g, p->greatest) - low;
    p->low = low;
    p->scale = p->pieces * 0.999 / range;
    if (!g->wide)
        p->scale = (float)p->scale;
    return isfinite(low) && isfinite(range) && range > 0 && isfinite(p->scale) && p->scale > 0 &&
           (g->wide || isfinite((float)value_of(g, p->greatest) - (float)low));
}

/* The heaviest thresholds, as many as make no more than `most` cells; `bounds` by coordinate. */
static void share_out(const Cut *sorted, uint32_t n, uint64_t most, const bool *ok, uint32_t *bounds)
{
    uint64_t cells = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = sorted[i].coordinate;
        if (!ok[j] || bounds[j] >= MOST_PIECES / 2)
            continue;
        uint64_t next = cells / (bounds[j] + 1) * (bounds[j] + 2);
        if (next > most)
            break;
        cells = next;
        bounds[j]++;
    }
}

static uint32_t pieces_for(uint32_t bounds)
{
    uint32_t pieces = 2;
    while (pieces < 2 * (bounds + 1) && pieces < MOST_PIECES)
        pieces *= 2;
    return pieces;
}

static int by_key(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One threshold a piece, the heaviest that falls there. */
static void choose_bounds(Arena *arena, const Grid *g, GridPart *p, const Cut *sorted, uint32_t n, uint32_t most)
{
    bool *taken = NEW_ARRAY(arena, p->pieces, bool);
    p->bound = NEW_ARRAY(arena, most + 1, int64_t);
    for (uint32_t i = 0; i < n && p->n_bounds < most; i++) {
        if (sorted[i].coordinate != p->coordinate)
            continue;
        uint32_t piece = piece_of(g, p, sorted[i].key);
        if (piece >= p->pieces || taken[piece])
            continue;
        taken[piece] = true;
        p->bound[p->n_bounds++] = sorted[i].key;
    }
    qsort(p->bound, p->n_bounds, sizeof *p->bound, by_key);
}

static bool finish_part(Arena *arena, Grid *g, const Cut *cut, const Cut *sorted, uint32_t n, uint32_t j, uint32_t bounds)
{
    GridPart *p = &g->part[g->n_parts];
    uint32_t from = 0, end;
    while (from < n && cut[from].coordinate < j)
        from++;
    for (end = from; end < n && cut[end].coordinate == j; end++)
        ;
    *p = (GridPart){.coordinate = j, .pieces = pieces_for(bounds)};
    if (!find_range(g, p, cut, from, end) || piece_of(g, p, p->greatest) >= p->pieces)
        return false;
    choose_bounds(arena, g, p, sorted, n, bounds);
    p->step = (uint32_t)g->cells;
    g->cells *= p->n_bounds + 1;
    g->table_bytes += (uint64_t)p->pieces * 2 * (g->wide ? 8 : 4);
    g->n_parts++;
    return true;
}

static const Grid *grid_of(Arena *arena, const Tree *t, bool images)
{
    uint32_t bytes = type_element_bytes(t->key), n;
    if (t->n_nodes < LEAST_NODES || t->n_keys > MOST_COORDINATES || (t->key.n != 32 && t->key.n != 64) || bytes * 8 != t->key.n)
        return NULL;
    Grid *g = NEW(arena, Grid);
    *g = (Grid){.tree = t, .wide = bytes == 8, .images = images, .cells = 1};
    Cut *cut = cuts_of(arena, t, &n), *sorted = NEW_ARRAY(arena, n, Cut);
    memcpy(sorted, cut, n * sizeof *cut);
    qsort(sorted, n, sizeof *sorted, by_weight);
    uint64_t most = (uint64_t)CELLS_PER_LEAF * t->n_leaves < MOST_CELLS ? (uint64_t)CELLS_PER_LEAF * t->n_leaves : MOST_CELLS;
    uint32_t bounds[MOST_COORDINATES] = {0};
    bool ok[MOST_COORDINATES];
    for (uint32_t j = 0; j < t->n_keys; j++)
        ok[j] = true;
    share_out(sorted, n, most, ok, bounds);
    for (uint32_t j = 0; j < t->n_keys; j++)
        if (bounds[j] > 0)
            finish_part(arena, g, cut, sorted, n, j, bounds[j]);
    return g->n_parts > 0 && g->cells > LEAST_NODES / 4 ? g : NULL;
}

/* Whether anybody but the counters takes the depth. */
static bool gives_depth(const Network *net, const Op *descend)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t i = 0; i < op->n_operands && op->kind != OP_tally; i++)
            if (op->operand[i] && op_operand(op, i) == descend->result[2])
                return true;
    return false;
}

const Grid **be_grids(Arena *arena, const Network *net)
{
    const Grid **all = NEW_ARRAY(arena, net->values.len, const Grid *);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_descend && op->lower != LOWER_branch && !gives_depth(net, op)) {
            const Op *keys = value_op(net, op_operand(op, 0));
            all[op->result[0]] = grid_of(arena, const_get(net->module, op->cst[0])->tree, keys && keys->kind == OP_ord);
        }
    return all;
}

/* ---- the bytes: for each part its pieces (bound, base), then the cells ---- */

Layout be_layout_grid(const Grid *g)
{
    return (Layout){.kind = LAYOUT_GRID, .element = g->tree->key, .bytes = g->table_bytes + g->cells * 4, .grid = g};
}

static void fill_pieces(const Grid *g, const GridPart *p, uint8_t *out)
{
    uint32_t size = g->wide ? 8 : 4, next = 0;
    for (uint32_t c = 0; c < p->pieces; c++, out += 2 * (size_t)size) {
        int64_t bound = g->wide ? INT64_MAX : INT32_MAX, base = (int64_t)next * p->step;
        if (next < p->n_bounds && piece_of(g, p, p->bound[next]) == c)
            bound = p->bound[next++];
        memcpy(out, &bound, size);
        memcpy(out + size, &base, size);
    }
}

/* A box of cells: by part, cells [from, end). */
typedef struct Cells { uint32_t from[MOST_COORDINATES], end[MOST_COORDINATES]; } Cells;

static void fill_box(const Grid *g, const Cells *box, uint32_t part, uint64_t at, int32_t value, uint8_t *out)
{
    if (part == g->n_parts) {
        memcpy(out + at * 4, &value, 4);
        return;
    }
    for (uint32_t i = box->from[part]; i < box->end[part]; i++)
        fill_box(g, box, part + 1, at + (uint64_t)i * g->part[part].step, value, out);
}

/* Bounds of the part below the key, and whether it is one of them. */
static uint32_t rank_of(const GridPart *p, int64_t key, bool *is_bound)
{
    uint32_t lo = 0, hi = p->n_bounds;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (p->bound[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    *is_bound = lo < p->n_bounds && p->bound[lo] == key;
    return lo;
}

typedef struct Filling { const Grid *g; const int32_t *node, *leaf; uint8_t *cell; } Filling;

/* All cells of the box come to `child`. Those that its test decides go on; cell i of a part holds keys above bound i − 1, up to bound i. */
static void fill_cells(const Filling *f, int32_t child, Cells box)
{
    const Grid *g = f->g;
    while (child >= 0) {
        const TreeNode *node = &g->tree->node[child];
        const GridPart *p = NULL;
        uint32_t k = 0;
        for (; k < g->n_parts && !p; k++)
            if (g->part[k].coordinate == node->coordinate)
                p = &g->part[k--];
        if (!p)
            break;
        bool exact;
        uint32_t rank = rank_of(p, key_at(g->tree, (uint32_t)child), &exact);
        Cells left = box, right = box;
        left.end[k] = rank + exact < box.end[k] ? rank + exact : box.end[k];
        right.from[k] = rank + 1 > box.from[k] ? rank + 1 : box.from[k];
        bool some_left = left.from[k] < left.end[k], some_right = right.from[k] < right.end[k];
        uint32_t between_from = some_left ? left.end[k] : box.from[k], between_end = some_right ? right.from[k] : box.end[k];
        if (between_from < between_end) {
            Cells here = box;
            here.from[k] = between_from;
            here.end[k] = between_end;
            fill_box(g, &here, 0, 0, f->node[child], f->cell);
        }
        if (!some_left && !some_right)
            return;
        if (some_left && some_right)
            fill_cells(f, node->child[0], left);
        box = some_right ? right : left;
        child = node->child[some_right];
    }
    fill_box(g, &box, 0, 0, child < 0 ? f->leaf[~child] : f->node[child], f->cell);
}

void be_fill_grid(Arena *scratch, const Grid *g, uint8_t *out)
{
    Arena *arena = arena_new(scratch);
    if (!arena)
        arena_exhausted(scratch);
    int32_t *node = NEW_ARRAY(arena, g->tree->n_nodes, int32_t), *leaf = NEW_ARRAY(arena, g->tree->n_leaves, int32_t);
    be_tree_entries(arena, g->tree, node, leaf);
    for (uint32_t k = 0; k < g->n_parts; k++) {
        fill_pieces(g, &g->part[k], out);
        out += (uint64_t)g->part[k].pieces * 2 * (g->wide ? 8 : 4);
    }
    Filling f = {g, node, leaf, out};
    Cells all = {{0}, {0}};
    for (uint32_t k = 0; k < g->n_parts; k++)
        all.end[k] = g->part[k].n_bounds + 1;
    fill_cells(&f, 0, all);
    arena_free(arena);
}

/* ---- the code ---- */

/* A constant of each lane: of the coordinates without a part, 0. */
static LLVMValueRef lanes_of(Fn *f, const Grid *g, uint32_t lanes, int what)
{
    Emitter *e = f->e;
    LLVMTypeRef key = g->wide ? e->i64 : e->i32;
    LLVMValueRef lane[MOST_COORDINATES];
    Type value = g->wide ? type_f64() : type_f32();
    for (uint32_t i = 0; i < lanes; i++)
        lane[i] = what < 2 ? LLVMConstInt(key, 0, 0) : be_float(e, value, 0, 1);
    for (uint32_t k = 0; k < g->n_parts; k++) {
        const GridPart *p = &g->part[k];
        lane[p->coordinate] = what == 0 ? LLVMConstInt(key, (uint64_t)p->least, 1) : what == 1 ? LLVMConstInt(key, (uint64_t)p->greatest, 1) :
                              be_float(e, value, what == 2 ? p->low : p->scale, 1);
    }
    return lanes == 1 ? lane[0] : LLVMConstVector(lane, lanes);
}

/* The pieces of all coordinates at once, i32. `x`: the keys. */
static LLVMValueRef find_pieces(Fn *f, const Grid *g, LLVMValueRef x, uint32_t lanes)
{
    Emitter *e = f->e;
    LLVMTypeRef key = LLVMTypeOf(x), value = be_vector_type(g->wide ? LLVMDoubleTypeInContext(e->c) : LLVMFloatTypeInContext(e->c), lanes);
    LLVMValueRef least = lanes_of(f, g, lanes, 0), greatest = lanes_of(f, g, lanes, 1), zero = LLVMConstNull(key);
    x = be_intrinsic(f, "llvm.smax", key, (LLVMValueRef[]){x, least}, 2);
    x = be_intrinsic(f, "llvm.smin", key, (LLVMValueRef[]){x, greatest}, 2);
    LLVMValueRef number;
    if (g->images) {
        LLVMValueRef top = LLVMBuildShl(f->b, be_int(e, type_int(g->wide ? 64 : 32), 1, lanes), be_int(e, type_int(g->wide ? 64 : 32), g->wide ? 63 : 31, lanes), "");
        LLVMValueRef negative = LLVMBuildICmp(f->b, LLVMIntSLT, x, zero, "");
        number = LLVMBuildBitCast(f->b, LLVMBuildSelect(f->b, negative, LLVMBuildSub(f->b, top, x, ""), x, ""), value, "");
    } else {
        number = LLVMBuildSIToFP(f->b, x, value, "");
    }
    LLVMValueRef along = LLVMBuildFMul(f->b, LLVMBuildFSub(f->b, number, lanes_of(f, g, lanes, 2), ""), lanes_of(f, g, lanes, 3), "");
    return LLVMBuildFPToSI(f->b, along, be_vector_type(e->i32, lanes), "");
}

LLVMValueRef be_grid_start(Fn *f, const Grid *g, LLVMValueRef keys, LLVMValueRef table)
{
    Emitter *e = f->e;
    uint32_t n = g->tree->n_keys, lanes = 1, size = g->wide ? 8 : 4;
    while (lanes < n)
        lanes *= 2;
    Type key = type_int(8 * size);
    LLVMValueRef x = be_load_part(f, key, keys, be_size(e, 0), lanes, n), piece = find_pieces(f, g, x, lanes), at = NULL;
    uint64_t offset = 0;
    for (uint32_t k = 0; k < g->n_parts; k++) {
        const GridPart *p = &g->part[k];
        LLVMValueRef c = lanes == 1 ? piece : be_extract(f, piece, p->coordinate, 1), own = be_load(f, key, keys, be_size(e, p->coordinate), 1);
        c = LLVMBuildZExtOrBitCast(f->b, c, e->size, "");
        LLVMValueRef entry = be_at(f, be_at_const(f, table, offset), LLVMBuildMul(f->b, c, be_size(e, 2 * (uint64_t)size), ""));
        LLVMValueRef bound = be_load(f, key, entry, be_size(e, 0), 1), base = be_load(f, key, entry, be_size(e, 1), 1);
        LLVMTypeRef type = LLVMTypeOf(base);
        LLVMValueRef above = LLVMBuildICmp(f->b, LLVMIntSGT, own, bound, "");
        LLVMValueRef step = be_select_blindly(f, above, LLVMConstInt(type, p->step, 0), LLVMConstInt(type, 0, 0));
        LLVMValueRef part = LLVMBuildAdd(f->b, base, step, "");
        at = at ? LLVMBuildAdd(f->b, at, part, "") : part;
        offset += (uint64_t)p->pieces * 2 * size;
    }
    at = LLVMBuildIntCast2(f->b, at, e->size, false, "");
    return be_load(f, type_int(32), be_at_const(f, table, offset), at, 1);
}
