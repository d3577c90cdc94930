/* constants.c — from the IR's constants to bytes in the order in which the loops read them.
 *
 * In: a constant and a layout. Out: a global of raw bytes (in the JIT: an address). The one idea: a dense layer reads
 * weights as one stream, so they are stored that way once, at compile time:
 *
 *      W[rows, cols], tile 4:      tile 0: w00 w10 w20 w30 | w01 w11 w21 w31 | …      tile 1: w40 w50 …
 *
 * One column of a tile is a whole number of the widest level's vectors, so all levels share the bytes; rows are padded
 * with zeros, which never leave the padding. Slots of small stacks have columns without padding: results in the padding are anything
 * then, and stay there, too. Few rows: several columns fill a vector (narrow.c). Memory: one constant is converted at a time, and the
 * source's pages are given back.
 */
#include "search.h"

#include <string.h>

/* ---- layouts ---- */

static uint32_t round_up(uint32_t n, uint32_t unit)
{
    return (uint32_t)(((uint64_t)n + unit - 1) / unit * unit);
}

static uint32_t power_of_two_from(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p *= 2;
    return p;
}

uint32_t be_chains(const Op *op, uint32_t attr)
{
    return op->attr[attr].i > 1 ? (uint32_t)op->attr[attr].i : 1;
}

enum { FAR = 4 << 20 };                           /* bytes of a matrix that does not stay in a core's own caches */

enum { DENSE_CELLS = 64 * 64 };                   /* larger slots keep columns that are aligned */

enum { FEW_ROWS = 16 };                           /* below it kernels write a single tile's rows alone, not its padding */

/* Elements of the sum's type in the widest vector. */
static uint32_t panel_lanes(const Target *target, Type element)
{
    uint32_t lanes = target->panel_bytes / type_element_bytes(element);
    return lanes > 1 ? lanes : 1;
}

/* Whether columns are stored whole, because they come from memory: columns.c. */
static bool is_far(const Op *op, const Const *W, uint32_t rows, uint32_t lanes, Lower how)
{
    uint64_t matrix = const_bytes(W) / (W->kind == CONST_STACK && W->type.dim[0] ? W->type.dim[0] : 1);
    return be_chains(op, AFFINE_order) == 1 && rows > lanes && rows >= FEW_ROWS && matrix >= FAR && !op_operand(op, AFFINE_rows) &&
           (how == LOWER_dense || how == LOWER_list);
}

/* Slots of a stack that are read one at a time, from afar: columns follow one another without padding, and what vectors load beyond a
 * column's rows is the next one's. Only after the last column there is as much padding as a vector reads. */
static bool is_dense_slot(const Op *op, const Const *W, const Layout *l)
{
    return W->kind == CONST_STACK && op_operand(op, AFFINE_i) && !op_operand(op, AFFINE_rows) && l->n_tiles == 1 && l->cols > 1 &&
           l->rows < l->tile && (uint64_t)l->tile * l->cols <= DENSE_CELLS;
}

Layout be_layout_weights(const Target *target, const Network *net, const Op *op, Lower how)
{
    const Const *W = const_get(net->module, op->cst[AFFINE_W]);
    Type sum = type_element(value_type(net, op->operand[AFFINE_x]));
    const uint32_t *dim = W->type.dim + (W->kind == CONST_STACK);
    Layout l = {.kind = LAYOUT_PANELS, .element = type_element(W->type), .rows = dim[0], .cols = dim[1], .tile = 1};
    uint32_t lanes = panel_lanes(target, sum), most = 16 * lanes;    /* 16 vectors of sums: one pass over x on the widest level */
    l.stored_cols = l.cols;
    if (how == LOWER_gather) {
        l.kind = LAYOUT_SPARSE;
        l.chains = type_is_float(sum) ? be_chains(op, AFFINE_order) : 1;
        l.tile = l.rows <= lanes / 2 ? power_of_two_from(l.rows) : lanes;
        l.n_tiles = (l.rows + l.tile - 1) / l.tile;
        const_row_slots(W, l.chains, l.slots);
        l.stored_cols = 0;
        for (uint32_t c = 0; c < l.chains; c++)
            l.stored_cols += l.slots[c];
    } else if (is_far(op, W, l.rows, lanes, how)) {
        l.long_tile = true;
        l.n_tiles = 1;
        l.tile = round_up(l.rows, lanes);
    } else if (l.rows <= lanes / 2) {                    /* several columns share a vector: whole ones */
        l.tile = power_of_two_from(l.rows);
        l.n_tiles = l.rows > 0;
        uint32_t together = lanes / l.tile, most_together = type_is_float(sum) ? be_chains(op, AFFINE_order) : 1;
        l.stored_cols = round_up(l.cols, together < most_together ? together : most_together);
    } else {
        l.n_tiles = (uint32_t)(((uint64_t)l.rows + most - 1) / most);
        l.tile = round_up((l.rows + l.n_tiles - 1) / l.n_tiles, lanes);
        l.pitch = is_dense_slot(op, W, &l) ? l.rows : 0;
    }
    l.slot_bytes = (uint64_t)l.n_tiles * l.tile * l.stored_cols * type_element_bytes(l.element);
    if (l.pitch)
        l.slot_bytes = ((uint64_t)(l.cols - 1) * l.pitch + l.tile) * type_element_bytes(l.element);
    l.bytes = l.slot_bytes * (W->kind == CONST_STACK ? W->type.dim[0] : 1);
    return l;
}

Layout be_layout_columns(const Layout *weights)
{
    Layout l = *weights;
    l.kind = LAYOUT_COLUMNS;
    l.element = type_int(32);
    l.slot_bytes = l.bytes = (uint64_t)l.n_tiles * l.tile * l.stored_cols * 4;
    return l;
}

uint32_t be_padded_rows(const Layout *l)
{
    return l->n_tiles * l->tile;
}

uint32_t be_written_rows(const Layout *l)
{
    return l->n_tiles == 1 && l->tile < FEW_ROWS ? l->rows : be_padded_rows(l);
}

Layout be_layout_bias(const Target *target, const Network *net, const Op *op, Lower how)
{
    Layout weights = be_layout_weights(target, net, op, how), l = {.kind = LAYOUT_ROWS, .rows = weights.rows};
    const Const *b = op->cst[AFFINE_b] ? const_get(net->module, op->cst[AFFINE_b]) : NULL;
    l.element = type_element(value_type(net, op->operand[AFFINE_x]));
    l.tile = be_padded_rows(&weights);
    l.n_tiles = 1;
    l.slot_bytes = (uint64_t)l.tile * type_element_bytes(l.element);
    l.bytes = l.slot_bytes * (b && b->kind == CONST_STACK ? b->type.dim[0] : 1);
    return l;
}

Layout be_layout_raw(const Const *c)
{
    Layout l = {.kind = LAYOUT_RAW, .element = type_element(c->type), .bytes = const_bytes(c)};
    if (c->kind == CONST_STACK)
        l.slot_bytes = c->type.dim[0] ? l.bytes / c->type.dim[0] : 0;
    return l;
}

Layout be_layout_tree(const Const *c, LayoutKind part)
{
    const Tree *t = c->tree;
    uint64_t leaves = be_tree_has_leaves(t) ? t->n_leaves * sizeof *t->leaf : 0;
    return (Layout){.kind = part, .element = t->key, .bytes = part == LAYOUT_TREE ? be_tree_bytes(t) : leaves};
}

static bool layout_equal(const Layout *a, const Layout *b)
{
    return a->kind == b->kind && type_equal(a->element, b->element) && a->rows == b->rows && a->cols == b->cols &&
           a->tile == b->tile && a->n_tiles == b->n_tiles && a->stored_cols == b->stored_cols && a->chains == b->chains && a->long_tile == b->long_tile && a->pitch == b->pitch &&
           a->search == b->search && a->labels == b->labels && a->bytes == b->bytes;
}

/* ---- conversion ---- */

/* Where the matrix of slot `s` begins, and its strides in bytes. */
typedef struct Matrix { const uint8_t *at; int64_t row, col; uint32_t size; } Matrix;

static Matrix matrix_of(const Const *c, uint64_t slot)
{
    uint32_t d = c->kind == CONST_STACK, size = type_element_bytes(c->type);
    return (Matrix){c->data + (d ? (int64_t)slot * c->stride[0] * (int64_t)size : 0), c->stride[d] * (int64_t)size,
                    c->stride[d + 1] * (int64_t)size, size};
}

static void copy_element(uint8_t *to, const uint8_t *from, uint32_t size)
{
    switch (size) {                               /* a fixed size is one move */
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, size); break;
    }
}

static void write_float(uint8_t *to, Type t, double value)
{
    float narrow = (float)value;
    if (t.elem == ELEM_F32)
        memcpy(to, &narrow, 4);
    else
        memcpy(to, &value, 8);
}

/* Columns that are only stored are -0: x is read as +0 there, the product is -0, and adding -0 changes nothing. */
static void fill_extra_columns(const Layout *l, uint8_t *out)
{
    uint32_t size = type_element_bytes(l->element);
    for (uint64_t i = (uint64_t)l->cols * l->tile; type_is_float(l->element) && i < (uint64_t)l->stored_cols * l->tile; i++)
        write_float(out + i * size, l->element, -0.0);
}

/* Blocks of 16 rows: 16 streams are read, 64 bytes written at a time, whichever way the source lies. */
static void fill_panels(const Const *c, uint64_t slot, const Layout *l, uint8_t *out)
{
    Matrix m = matrix_of(c, slot);
    uint32_t pitch = l->pitch ? l->pitch : l->tile;
    for (uint32_t t = 0; t < l->n_tiles; t++)
        for (uint32_t block = 0; block < l->tile; block += 16) {
            uint32_t first = t * l->tile + block, end = block + 16 < l->tile ? first + 16 : t * l->tile + l->tile;
            if (end > l->rows)
                end = l->rows;
            for (uint32_t k = 0; k < l->cols; k++) {
                uint8_t *to = out + (((uint64_t)t * l->stored_cols + k) * pitch + block) * m.size;
                for (uint32_t r = first; r < end; r++, to += m.size)
                    copy_element(to, m.at + r * m.row + k * m.col, m.size);
            }
        }
}

/* Row by row: its weights that are not zero, each to the next slot of its chain, or their columns. */
static void fill_sparse(const Const *c, const Layout *l, uint8_t *out)
{
    Matrix m = matrix_of(c, 0);
    uint32_t size = type_element_bytes(l->element), first[IR_MAX_CHAINS + 1] = {0};
    bool columns = l->kind == LAYOUT_COLUMNS;
    for (uint32_t i = 0; i < l->chains; i++)
        first[i + 1] = first[i] + l->slots[i];
    for (uint64_t i = 0, n = l->bytes / size; !columns && type_is_float(l->element) && i < n; i++)
        write_float(out + i * size, l->element, -0.0);
    for (uint32_t r = 0; r < l->rows; r++) {
        uint32_t next[IR_MAX_CHAINS];
        memcpy(next, first, l->chains * sizeof *next);
        for (uint32_t k = 0; k < l->cols; k++) {
            const uint8_t *w = m.at + r * m.row + k * m.col;
            if (const_element_is_zero(c, w))
                continue;
            uint64_t slot = (uint64_t)(r / l->tile) * l->stored_cols + next[k % l->chains]++;
            uint8_t *to = out + (slot * l->tile + r % l->tile) * size;
            if (columns)
                memcpy(to, &(int32_t){(int32_t)k}, 4);
            else
                copy_element(to, w, size);
        }
    }
}

static void fill_rows(const Const *c, uint64_t slot, const Layout *l, uint8_t *out)
{
    uint32_t size = type_element_bytes(l->element);
    for (uint32_t r = 0; r < l->rows; r++, out += size) {
        uint64_t i = slot * l->rows + r;
        if (type_is_float(l->element)) {
            double v = const_f64(c, i);
            write_float(out, l->element, v == 0 ? 0.0 : v);
        } else {
            memcpy(out, const_element(c, i), size);
        }
    }
}

void be_fill(Arena *scratch, const Const *c, const Layout *l, uint8_t *out)
{
    if (l->kind == LAYOUT_RAW) {
        const_copy(c, out);
        return;
    }
    if (l->kind == LAYOUT_TREE) {
        be_fill_tree(scratch, c->tree, out);
        return;
    }
    if (l->kind == LAYOUT_SEARCH) {
        be_fill_search(scratch, c, l, out);
        return;
    }
    if (l->kind == LAYOUT_GRID) {
        be_fill_grid(scratch, l->grid, out);
        return;
    }
    if (l->kind == LAYOUT_RECORD)
        ICE("a record is filled by its parts");
    uint64_t slots = c->kind == CONST_STACK ? c->type.dim[0] : 1;
    for (uint64_t s = 0; s < slots; s++, out += l->slot_bytes) {
        if (l->kind == LAYOUT_SPARSE || l->kind == LAYOUT_COLUMNS) {
            fill_sparse(c, l, out);
        } else if (l->kind == LAYOUT_PANELS) {
            fill_panels(c, s, l, out);
            fill_extra_columns(l, out);
        } else {
            fill_rows(c, s, l, out);
        }
    }
}

/* ---- into the module ---- */

LLVMValueRef be_bytes(Emitter *e, const char *name, const void *bytes, uint64_t n, uint32_t align)
{
    LLVMValueRef init = LLVMConstStringInContext2(e->c, bytes, n, true);
    LLVMValueRef g = LLVMAddGlobal(e->module, LLVMTypeOf(init), name);
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMInternalLinkage);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(g, align);
    return g;
}

static LLVMValueRef address_of(Emitter *e, const void *at)
{
    return LLVMConstIntToPtr(LLVMConstInt(e->size, (uintptr_t)at, 0), e->ptr);
}

/* In the JIT constants stay where they are when their bytes need no conversion. */
/* Bytes that need no conversion, or NULL. */
static const void *as_it_lies(const Const *c, const Layout *l)
{
    if (c && l->kind == LAYOUT_RAW && const_is_row_major(c))
        return c->data;
    if (l->kind == LAYOUT_LEAVES)
        return c->tree->leaf;
    return NULL;
}

static void fill(Arena *scratch, const Module *m, const Const *c, const Layout *l, uint8_t *out)
{
    if (l->kind == LAYOUT_RECORD)
        be_fill_record(scratch, m, l->record, out);
    else if (c)
        be_fill(scratch, c, l, out);
}

static LLVMValueRef place_jit(Emitter *e, const Module *m, const Const *c, const Layout *l)
{
    uint32_t align = l->bytes && type_element_bytes(l->element) < 8 ? type_element_bytes(l->element) : 8;
    const void *lies = as_it_lies(c, l);
    if (lies && (uintptr_t)lies % align == 0)
        return address_of(e, lies);
    uint8_t *own = arena_big(e->arena, l->bytes + 64, 64);
    if (lies)
        memcpy(own, lies, l->bytes);
    else
        fill(e->arena, m, c, l, own);
    return address_of(e, own);
}

static LLVMValueRef place_object(Emitter *e, const Module *m, const Const *c, const Layout *l)
{
    static const char *const kinds[] = {
        [LAYOUT_RAW] = "raw", [LAYOUT_PANELS] = "panels", [LAYOUT_SPARSE] = "sparse", [LAYOUT_COLUMNS] = "columns", [LAYOUT_ROWS] = "rows",
        [LAYOUT_TREE] = "nodes", [LAYOUT_LEAVES] = "leaves", [LAYOUT_SEARCH] = "search", [LAYOUT_GRID] = "grid", [LAYOUT_RECORD] = "record"};
    char *name = str_printf(e->arena, "%s.%s", c ? c->name : "zero", kinds[l->kind]);
    const void *lies = as_it_lies(c, l);
    if (lies)
        return be_bytes(e, name, lies, l->bytes, e->target.align);
    if (be_weights_can_wait(e, c, l))
        return be_weights_later(e, c, l, name);
    Arena *scratch = arena_new(e->arena);
    if (!scratch)
        arena_exhausted(e->arena);
    uint8_t *bytes = arena_big(scratch, l->bytes, 64);
    fill(scratch, m, c, l, bytes);
    LLVMValueRef g = be_bytes(e, name, bytes, l->bytes, e->target.align);
    arena_free(scratch);
    if (c && const_is_row_major(c))
        file_done_with(c->data, const_bytes(c));
    return g;
}

LLVMValueRef be_constant(Emitter *e, const Module *m, ConstId id, const Layout *layout)
{
    for (size_t i = 0; i < e->constants.len; i++)
        if (e->constants.at[i].id == id && layout_equal(&e->constants.at[i].layout, layout))
            return e->constants.at[i].address;
    const Const *c = id ? const_get(m, id) : NULL;
    LLVMValueRef address = e->jit ? place_jit(e, m, c, layout) : place_object(e, m, c, layout);
    ConstEntry entry = {id, *layout, address};
    vec_push(e->arena, e->constants, entry);
    return address;
}

/* ---- sizes ---- */

typedef struct Seen { ConstId id; Layout layout; } Seen;
typedef Vec(Seen) SeenList;

static uint64_t count_once(Arena *arena, SeenList *seen, ConstId id, Layout layout)
{
    for (size_t i = 0; i < seen->len; i++)
        if (seen->at[i].id == id && layout_equal(&seen->at[i].layout, &layout))
            return 0;
    Seen entry = {id, layout};
    vec_push(arena, *seen, entry);
    return layout.bytes;
}

/* By Value: constants and rows that only counting reads, as weights of sets or to count them; they are no part of the model. */
static bool *weighing(Arena *arena, const Network *net)
{
    bool *weighed = NEW_ARRAY(arena, net->values.len, bool), *used = NEW_ARRAY(arena, net->values.len, bool);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                ((op->kind == OP_weigh && i == 1) || op->kind == OP_tally ? weighed : used)[op_operand(op, i)] = true;
    for (size_t v = 0; v < net->values.len; v++)
        weighed[v] = weighed[v] && !used[v];
    return weighed;
}

typedef struct Sizing { Arena *arena; const Target *target; const Network *net; const Lowering *lowering; Search *search; const bool *counts; RecordList records; const Grid **grid; SeenList seen; } Sizing;

/* Of constant `which` of an op, or of the record that it is part of. */
static uint64_t count_part(Sizing *s, const Op *op, int which, Layout own)
{
    uint64_t offset;
    const Record *r = be_record_of(&s->records, op, which, &offset);
    return r ? count_once(s->arena, &s->seen, be_record_id(r), be_layout_record(r)) : count_once(s->arena, &s->seen, op->cst[which], own);
}

/* Bytes of an op's constants that no op before had. */
static uint64_t new_bytes(Sizing *s, const Op *op)
{
    uint64_t sum = 0;
    if ((op->kind == OP_const || op->kind == OP_row) && s->counts[op->result[0]])
        return 0;
    if (op->kind == OP_affine) {
        Lower how = s->lowering[op->result[0]].how;
        Layout weights = be_layout_weights(s->target, s->net, op, how);
        sum += count_part(s, op, AFFINE_W, weights);
        if (weights.kind == LAYOUT_SPARSE)
            sum += count_once(s->arena, &s->seen, op->cst[AFFINE_W], be_layout_columns(&weights));
        return sum + count_part(s, op, AFFINE_b, be_layout_bias(s->target, s->net, op, how));
    }
    if (op->kind == OP_search)
        return count_once(s->arena, &s->seen, op->cst[0], be_layout_search(s->net, op, &s->search[op->result[0]]));
    if (op->kind == OP_row && s->search[op->result[0]].row)
        return 0;
    if (op->kind == OP_descend) {
        const Const *tree = const_get(s->net->module, op->cst[0]);
        for (LayoutKind part = LAYOUT_TREE; part <= LAYOUT_LEAVES; part++)
            sum += count_once(s->arena, &s->seen, op->cst[0], be_layout_tree(tree, part));
        if (s->grid[op->result[0]])
            sum += count_once(s->arena, &s->seen, op->cst[0], be_layout_grid(s->grid[op->result[0]]));
        return sum;
    }
    for (int i = 0; i < OP_MAX_CONSTS; i++)
        if (op->cst[i])
            sum += count_part(s, op, i, be_layout_raw(const_get(s->net->module, op->cst[i])));
    return sum;
}

ModelBytes be_model_bytes(const Target *target, const Network *net)
{
    Arena *arena = arena_new(net->module->arena);
    if (!arena)
        arena_exhausted(net->module->arena);
    Sizing s = {.arena = arena, .target = target, .net = net, .lowering = be_lowerings(arena, net),
                .search = be_searches(arena, net), .counts = weighing(arena, net)};
    s.records = be_records(arena, target, net, s.lowering, s.search);
    s.grid = be_grids(arena, net);
    ModelBytes bytes = {0};
    for (int fallback = 0; fallback < 2; fallback++) {            /* what both read is the model's */
        OpWalk walk;
        FOR_EACH_OP(walk, op, net)
            if (op_is_fallback(net, op) == fallback)
                *(fallback ? &bytes.fallback : &bytes.model) += new_bytes(&s, op);
    }
    arena_free(arena);
    return bytes;
}
