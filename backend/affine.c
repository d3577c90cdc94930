/* affine.c — dense layers, and the same with a set of columns or of rows.
 *
 * In: an affine; its weights as constants.c lays them out. Out: a call of a *kernel*, one per shape of tile, order and
 * level, shared by all layers that agree in these (compile time and code size do not grow with depth).
 *
 *   panels   one tile of rows, its sums in registers; x[k] broadcast, times column k, added:
 *
 *      for each group of t vectors of the tile:
 *        acc[0] = bias; acc[1 … c-1] = -0                        ; chains(c): column k belongs to chain k mod c
 *        for k in columns:  acc[k mod c] += W[k][group] * splat(x[k])
 *        y[group] = relu?(combine(acc))
 *
 *   lanes    few rows, many columns: a chain is a lane
 *
 *      acc[r] = <bias[r], -0, …>
 *      for k in 0, c, 2c, …:  acc[r] += W[r][k … k+c-1] * x[k … k+c-1]
 *      y[r] = relu?(combine the lanes)
 *
 * The one idea: the order of every sum is the IR's, so vectors run along what is independent (rows, chains) and never
 * along a sum. Accumulators are allocas here; sroa makes registers of them.
 */
#include "gen.h"

#include <string.h>

/* ---- arithmetic of sums ---- */

LLVMValueRef be_add(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    return type_is_float(t) ? LLVMBuildFAdd(f->b, a, b, "") : LLVMBuildAdd(f->b, a, b, "");
}

LLVMValueRef be_multiply_add(Fn *f, Type t, LLVMValueRef acc, LLVMValueRef w, LLVMValueRef x)
{
    if (!type_is_float(t))
        return LLVMBuildAdd(f->b, acc, be_mul(f, t, w, x), "");
    if (f->net->options.contract == CONTRACT_off)
        return LLVMBuildFAdd(f->b, acc, LLVMBuildFMul(f->b, w, x, ""), "");
    LLVMValueRef args[3] = {w, x, acc};
    return be_intrinsic(f, "llvm.fma", LLVMTypeOf(acc), args, 3);
}

LLVMValueRef be_identity(Fn *f, Type t, uint32_t lanes)
{
    return type_is_float(t) ? be_float(f->e, t, -0.0, lanes) : be_zero(f->e, t, lanes);
}

LLVMValueRef be_combine(Fn *f, Type t, LLVMValueRef *acc, uint32_t c)
{
    for (uint32_t s = c / 2; s >= 1; s /= 2)
        for (uint32_t i = 0; i < s; i++)
            acc[i] = be_add(f, t, acc[i], acc[i + s]);
    return acc[0];
}

LLVMValueRef be_combine_lanes(Fn *f, Type t, LLVMValueRef acc, uint32_t c)
{
    for (uint32_t s = c / 2; s >= 1; s /= 2)
        acc = be_add(f, t, be_extract(f, acc, 0, s), be_extract(f, acc, s, s));
    return acc;
}

LLVMValueRef be_relu(Fn *f, Type t, LLVMValueRef a, uint32_t lanes)
{
    LLVMValueRef zero = be_zero(f->e, t, lanes);
    return LLVMBuildSelect(f->b, be_compare(f, t, PRED_le, a, zero), zero, a, "");
}

/* ---- kernels ---- */

/* What makes two layers share a kernel. */
typedef struct Shape {
    Layout weights;
    Type sum;
    uint32_t chains;
    bool relu, masked;            /* masked: only the columns of a set */
} Shape;

/* A kernel while it is built. */
typedef struct Kernel {
    Fn f;
    const Shape *s;
    LLVMValueRef x, w, b, y, cols, mask;
    LLVMTypeRef vector;           /* of sums */
    uint32_t lanes, t;            /* lanes of a vector, vectors of a group */
    LLVMValueRef acc[IR_MAX_CHAINS * 16];        /* allocas: acc[chain * t + vector] */
    LLVMValueRef row;             /* first row of the group within the tile (a size) */
} Kernel;

static const char *element_name(Arena *arena, Type t)
{
    return type_print(arena, type_element(t));
}

static char *kernel_name(const Fn *f, const Shape *s)
{
    Arena *a = f->e->arena;
    Text name = text_new(a);
    text_add(&name, "cnet.%s%s%s.%s.%s", f->level->name, *f->level->name ? "." : "", s->weights.kind == LAYOUT_LANES ? "lanes" : "panels",
             element_name(a, s->sum), element_name(a, s->weights.element));
    if (s->weights.kind == LAYOUT_LANES)
        text_add(&name, ".%ux%u", s->weights.rows, s->weights.cols);
    else
        text_add(&name, ".%u", s->weights.tile);
    if (s->masked)
        text_add(&name, ".of%u", s->weights.cols);
    text_add(&name, ".c%u%s%s", s->chains, s->relu ? ".relu" : "", f->net->options.contract == CONTRACT_fma ? ".fma" : "");
    return name.at;
}

static LLVMValueRef load_weights(Kernel *k, LLVMValueRef index, uint32_t lanes)
{
    const Shape *s = k->s;
    uint32_t bytes = type_element_bytes(s->weights.element);
    LLVMValueRef w = be_load(&k->f, s->weights.element, k->w, index, lanes);
    /* A vector of weights lies within its column: panels are as aligned as their columns are long. */
    if (LLVMIsALoadInst(w) && (lanes * bytes & (lanes * bytes - 1)) == 0 && lanes * bytes <= k->f.e->target.align && !k->f.e->jit)
        LLVMSetAlignment(w, lanes * bytes);
    if (s->sum.elem == ELEM_F64 && s->weights.element.elem == ELEM_F32)
        w = LLVMBuildFPExt(k->f.b, w, be_vector_type(be_scalar_type(k->f.e, s->sum), lanes), "");
    return w;
}

static void add_column(Kernel *k, uint32_t chain, LLVMValueRef column)
{
    Fn *f = &k->f;
    LLVMValueRef x = be_splat(f, be_load(f, k->s->sum, k->x, column, 1), k->lanes);
    LLVMValueRef first = LLVMBuildMul(f->b, column, be_size(f->e, k->s->weights.tile), "");
    first = LLVMBuildAdd(f->b, first, k->row, "");
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, first, be_size(f->e, (uint64_t)v * k->lanes), "");
        LLVMValueRef slot = k->acc[chain * k->t + v], acc = LLVMBuildLoad2(f->b, k->vector, slot, "");
        LLVMBuildStore(f->b, be_multiply_add(f, k->s->sum, acc, load_weights(k, at, k->lanes), x), slot);
    }
}

/* All columns: blocks of `unroll` (a multiple of the chains), then up to unroll - 1 more. */
static void all_columns(Kernel *k)
{
    Fn *f = &k->f;
    uint32_t unroll = k->s->chains > 1 ? k->s->chains : k->t >= 8 ? 2 : 4;
    if (unroll == 2 && k->t < 8)
        unroll = 4;
    LLVMValueRef size = be_size(f->e, unroll);
    DynLoop blocks = be_dyn_loop(f, LLVMBuildUDiv(f->b, k->cols, size, ""), "columns");
    LLVMValueRef first = LLVMBuildMul(f->b, blocks.i, size, "");
    for (uint32_t u = 0; u < unroll; u++)
        add_column(k, u % k->s->chains, LLVMBuildAdd(f->b, first, be_size(f->e, u), ""));
    be_dyn_loop_end(f, &blocks);
    LLVMValueRef whole = LLVMBuildMul(f->b, blocks.i, size, "");
    LLVMBasicBlockRef end = be_new_block(f, "sums");
    for (uint32_t u = 0; u + 1 < unroll; u++) {
        LLVMValueRef column = LLVMBuildAdd(f->b, whole, be_size(f->e, u), "");
        LLVMBasicBlockRef more = be_new_block(f, "column");
        LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntULT, column, k->cols, ""), more, end);
        LLVMPositionBuilderAtEnd(f->b, more);
        add_column(k, u % k->s->chains, column);
    }
    LLVMBuildBr(f->b, end);
    LLVMMoveBasicBlockAfter(end, LLVMGetInsertBlock(f->b));
    LLVMPositionBuilderAtEnd(f->b, end);
}

typedef struct Chain { Kernel *k; uint32_t number; } Chain;

static void masked_column(Fn *f, LLVMValueRef index, void *context)
{
    (void)f;
    Chain *chain = context;
    add_column(chain->k, chain->number, index);
}

/* The columns of a set, one chain after the other: the order within each chain is what the IR fixes. */
static void set_columns(Kernel *k)
{
    for (uint32_t c = 0; c < k->s->chains; c++) {
        Chain chain = {k, c};
        be_walk_set_residue(&k->f, k->mask, k->s->weights.cols, k->s->chains, c, masked_column, &chain);
    }
}

static void group_of_rows(Kernel *k)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, k->row, be_size(f->e, (uint64_t)v * k->lanes), "");
        LLVMBuildStore(f->b, be_load(f, s->sum, k->b, at, k->lanes), k->acc[v]);
        for (uint32_t c = 1; c < s->chains; c++)
            LLVMBuildStore(f->b, be_identity(f, s->sum, k->lanes), k->acc[c * k->t + v]);
    }
    if (s->masked)
        set_columns(k);
    else
        all_columns(k);
    for (uint32_t v = 0; v < k->t; v++) {
        LLVMValueRef part[IR_MAX_CHAINS];
        for (uint32_t c = 0; c < s->chains; c++)
            part[c] = LLVMBuildLoad2(f->b, k->vector, k->acc[c * k->t + v], "");
        LLVMValueRef sum = be_combine(f, s->sum, part, s->chains);
        if (s->relu)
            sum = be_relu(f, s->sum, sum, k->lanes);
        be_store(f, s->sum, sum, k->y, LLVMBuildAdd(f->b, k->row, be_size(f->e, (uint64_t)v * k->lanes), ""), k->lanes);
    }
}

/* Vectors in a group: all of the tile when the registers allow, else an even part. The last group may overlap the one
 * before: the same sums once more cost less than code for another size. */
static void panel_kernel(Kernel *k)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    k->lanes = be_lanes(f->level, s->sum);
    if (k->lanes > s->weights.tile)
        k->lanes = s->weights.tile;
    uint32_t vectors = s->weights.tile / k->lanes, most = f->level->accumulators / s->chains;
    if (most < 1)
        most = 1;
    uint32_t groups = (vectors + most - 1) / most;
    k->t = (vectors + groups - 1) / groups;
    k->vector = be_vector_type(be_scalar_type(f->e, s->sum), k->lanes);
    for (uint32_t i = 0; i < s->chains * k->t; i++)
        k->acc[i] = be_alloca(f, k->vector, "acc");
    if (groups == 1) {
        k->row = be_size(f->e, 0);
        group_of_rows(k);
        return;
    }
    Loop loop = be_loop(f, groups, 1, "rows");
    k->row = LLVMBuildMul(f->b, loop.i, be_size(f->e, (uint64_t)k->t * k->lanes), "");
    if (vectors % k->t) {
        LLVMValueRef last = be_size(f->e, (uint64_t)(vectors - k->t) * k->lanes);
        LLVMValueRef over = LLVMBuildICmp(f->b, LLVMIntUGT, k->row, last, "");
        k->row = LLVMBuildSelect(f->b, over, last, k->row, "");
    }
    group_of_rows(k);
    be_loop_end(f, &loop);
}

/* ---- few rows: chains as lanes ---- */

static void add_block(Kernel *k, uint32_t first_row, LLVMValueRef column, LLVMValueRef x)
{
    Fn *f = &k->f;
    uint64_t padded = ((uint64_t)k->s->weights.cols + k->lanes - 1) / k->lanes * k->lanes;
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, column, be_size(f->e, (first_row + r) * padded), "");
        LLVMValueRef acc = LLVMBuildLoad2(f->b, k->vector, k->acc[r], "");
        LLVMBuildStore(f->b, be_multiply_add(f, k->s->sum, acc, load_weights(k, at, k->lanes), x), k->acc[r]);
    }
}

static void lane_rows(Kernel *k, uint32_t first_row)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    uint32_t cols = s->weights.cols, whole = cols / k->lanes * k->lanes;
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef bias = be_load(f, s->sum, k->b, be_size(f->e, first_row + r), 1);
        LLVMValueRef start = be_identity(f, s->sum, k->lanes);
        LLVMBuildStore(f->b, LLVMBuildInsertElement(f->b, start, bias, LLVMConstInt(f->e->i32, 0, 0), ""), k->acc[r]);
    }
    if (whole > 0) {
        Loop loop = be_loop(f, whole, k->lanes, "columns");
        add_block(k, first_row, loop.i, be_load(f, s->sum, k->x, loop.i, k->lanes));
        be_loop_end(f, &loop);
    }
    if (whole < cols) {
        LLVMValueRef at = be_size(f->e, whole);
        add_block(k, first_row, at, be_load_part(f, s->sum, k->x, at, k->lanes, cols - whole));
    }
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef sum = be_combine_lanes(f, s->sum, LLVMBuildLoad2(f->b, k->vector, k->acc[r], ""), k->lanes);
        if (s->relu)
            sum = be_relu(f, s->sum, sum, 1);
        be_store(f, s->sum, sum, k->y, be_size(f->e, first_row + r), 1);
    }
}

static void lane_kernel(Kernel *k)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    k->lanes = s->chains;
    uint32_t bytes = s->chains * type_element_bytes(s->sum);
    uint32_t registers = bytes > f->level->vector_bytes ? bytes / f->level->vector_bytes : 1;
    uint32_t most = f->level->accumulators / registers, rows = s->weights.rows;
    uint32_t groups = (rows + most - 1) / (most ? most : 1);
    k->t = groups ? (rows + groups - 1) / groups : 0;
    k->vector = be_vector_type(be_scalar_type(f->e, s->sum), k->lanes);
    for (uint32_t r = 0; r < k->t; r++)
        k->acc[r] = be_alloca(f, k->vector, "acc");
    for (uint32_t g = 0; g < groups; g++)
        lane_rows(k, g * k->t + k->t <= rows ? g * k->t : rows - k->t);
}

/* The kernel of a shape, built at first need. Parameters: x, weights of the tile, its bias, its part of y, then the
 * number of columns or the words of the set. */
static LLVMValueRef kernel(Fn *caller, const Shape *s)
{
    Emitter *e = caller->e;
    Fn at = *caller;
    if (at.level->same_vectors)
        at.level = at.level->same_vectors;
    char *name = kernel_name(&at, s);
    LLVMValueRef known = LLVMGetNamedFunction(e->module, name);
    if (known)
        return known;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMTypeRef params[5] = {e->ptr, e->ptr, e->ptr, e->ptr, s->masked ? e->ptr : e->size};
    LLVMValueRef fn = LLVMAddFunction(e->module, name, LLVMFunctionType(e->void_, params, 5, 0));
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    be_attributes(e, fn, at.level);
    unsigned noalias = LLVMGetEnumAttributeKindForName("noalias", 7);
    LLVMAddAttributeAtIndex(fn, 4, LLVMCreateEnumAttribute(e->c, noalias, 0));
    Kernel state = {.f = at, .s = s}, *k = &state;
    k->f.fn = fn;
    k->x = LLVMGetParam(fn, 0);
    k->w = LLVMGetParam(fn, 1);
    k->b = LLVMGetParam(fn, 2);
    k->y = LLVMGetParam(fn, 3);
    k->cols = k->mask = LLVMGetParam(fn, 4);
    k->f.entry = be_new_block(&k->f, "entry");
    LLVMBasicBlockRef start = be_new_block(&k->f, "start");
    LLVMMetadataRef place = be_debug_leave(e);
    LLVMPositionBuilderAtEnd(e->b, k->f.entry);
    LLVMBuildBr(e->b, start);
    LLVMPositionBuilderAtEnd(e->b, start);
    if (s->weights.kind == LAYOUT_LANES)
        lane_kernel(k);
    else
        panel_kernel(k);
    LLVMBuildRetVoid(e->b);
    LLVMPositionBuilderAtEnd(e->b, here);
    be_debug_return(e, place);
    return fn;
}

/* ---- a set of rows: one row at a time ---- */

typedef struct RowWalk {
    Kernel *k;
    const Op *op;
    uint32_t chain;
} RowWalk;

static void add_term(Fn *f, LLVMValueRef column, void *context)
{
    RowWalk *walk = context;
    (void)f;
    add_column(walk->k, walk->chain, column);
}

/* y[r] for one member r: the panel kernel's sums with one lane. */
static void one_row(Fn *f, LLVMValueRef r, void *context)
{
    RowWalk *walk = context;
    Kernel *k = walk->k;
    const Layout *w = &k->s->weights;
    LLVMValueRef tile = LLVMBuildUDiv(f->b, r, be_size(f->e, w->tile), "");
    LLVMValueRef within = LLVMBuildURem(f->b, r, be_size(f->e, w->tile), "");
    k->row = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, tile, be_size(f->e, (uint64_t)w->tile * w->cols), ""), within, "");
    LLVMBuildStore(f->b, be_load(f, k->s->sum, k->b, r, 1), k->acc[0]);
    for (uint32_t c = 1; c < k->s->chains; c++)
        LLVMBuildStore(f->b, be_identity(f, k->s->sum, 1), k->acc[c]);
    uint32_t chains = k->s->chains, whole = w->cols / chains * chains;
    if (k->s->masked) {
        for (walk->chain = 0; walk->chain < chains; walk->chain++)
            be_walk_set_residue(f, k->mask, w->cols, chains, walk->chain, add_term, walk);
    } else {
        if (whole > 0) {
            Loop loop = be_loop(f, whole, chains, "columns");
            for (uint32_t c = 0; c < chains; c++)
                add_column(k, c, LLVMBuildAdd(f->b, loop.i, be_size(f->e, c), ""));
            be_loop_end(f, &loop);
        }
        for (uint32_t c = whole; c < w->cols; c++)
            add_column(k, c - whole, be_size(f->e, c));
    }
    LLVMValueRef part[IR_MAX_CHAINS];
    for (uint32_t c = 0; c < chains; c++)
        part[c] = LLVMBuildLoad2(f->b, k->vector, k->acc[c], "");
    LLVMValueRef sum = be_combine(f, k->s->sum, part, chains);
    be_store(f, k->s->sum, k->s->relu ? be_relu(f, k->s->sum, sum, 1) : sum, k->y, r, 1);
}

static void some_rows(Fn *f, const Op *op, const Shape *s, LLVMValueRef x, LLVMValueRef w, LLVMValueRef b, LLVMValueRef y)
{
    Kernel state = {.f = *f, .s = s, .x = x, .w = w, .b = b, .y = y, .lanes = 1, .t = 1}, *k = &state;
    k->vector = be_scalar_type(f->e, s->sum);
    if (s->masked)
        k->mask = be_place(f, op_operand(op, AFFINE_cols)).at;
    for (uint32_t c = 0; c < s->chains; c++)
        k->acc[c] = be_alloca(f, k->vector, "acc");
    if (s->weights.rows > 0) {
        Loop clear = be_loop(f, s->weights.rows, 1, "clear");
        be_store(f, s->sum, be_zero(f->e, s->sum, 1), y, clear.i, 1);
        be_loop_end(f, &clear);
    }
    RowWalk walk = {k, op, 0};
    be_walk_set(f, be_place(f, op_operand(op, AFFINE_rows)).at, s->weights.rows, one_row, &walk);
}

/* ---- the op ---- */

/* base + index * slot, for constants that are stacks */
static LLVMValueRef slot_of(Fn *f, LLVMValueRef base, const Op *op, uint32_t index_slot, uint64_t slot_bytes)
{
    Value index = op_operand(op, index_slot);
    if (!index)
        return base;
    LLVMValueRef i = LLVMBuildZExtOrBitCast(f->b, be_place(f, index).at, f->e->size, "");
    return be_at(f, base, LLVMBuildMul(f->b, i, be_size(f->e, slot_bytes), ""));
}

void be_affine(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    Value result = op->result[0], relu = f->plan->fused_relu[result];
    Shape s = {.weights = be_layout_weights(&e->target, f->net, op), .sum = type_element(value_type(f->net, result))};
    s.chains = type_is_float(s.sum) ? be_chains(op, AFFINE_order) : 1;
    s.relu = relu != 0;
    s.masked = op_operand(op, AFFINE_cols) != 0;
    if (s.weights.rows == 0)
        return;
    Layout bias = be_layout_bias(&e->target, f->net, op);
    LLVMValueRef w = slot_of(f, be_constant(e, f->m, op->cst[AFFINE_W], &s.weights), op, AFFINE_i, s.weights.slot_bytes);
    LLVMValueRef b = slot_of(f, be_constant(e, f->m, op->cst[AFFINE_b], &bias), op, AFFINE_j, bias.slot_bytes);
    LLVMValueRef x = be_place(f, op_operand(op, AFFINE_x)).at, y = be_define(f, result).at;
    if (op_operand(op, AFFINE_rows)) {
        some_rows(f, op, &s, x, w, b, y);
        return;
    }
    LLVMValueRef fn = kernel(f, &s);
    LLVMValueRef last = s.masked ? be_place(f, op_operand(op, AFFINE_cols)).at : be_size(e, s.weights.cols);
    LLVMValueRef args[5] = {x, w, b, y, last};
    LLVMTypeRef type = LLVMGlobalGetValueType(fn);
    if (s.weights.kind == LAYOUT_LANES || s.weights.n_tiles == 1) {
        LLVMBuildCall2(f->b, type, fn, args, 5, "");
        return;
    }
    uint64_t rows_bytes = (uint64_t)s.weights.tile * type_element_bytes(s.sum);
    uint64_t tile_bytes = (uint64_t)s.weights.tile * s.weights.cols * type_element_bytes(s.weights.element);
    Loop loop = be_loop(f, s.weights.n_tiles, 1, "tile");
    args[1] = be_at(f, w, LLVMBuildMul(f->b, loop.i, be_size(e, tile_bytes), ""));
    args[2] = be_at(f, b, LLVMBuildMul(f->b, loop.i, be_size(e, rows_bytes), ""));
    args[3] = be_at(f, y, LLVMBuildMul(f->b, loop.i, be_size(e, rows_bytes), ""));
    LLVMBuildCall2(f->b, type, fn, args, 5, "");
    be_loop_end(f, &loop);
}
