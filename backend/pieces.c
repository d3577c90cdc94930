/* pieces.c — a dense or conditional layer for all inputs of a block (batch.c), its weights piece by piece.
 *
 *      for each tile of rows:
 *        for each piece of its columns:                          ; what stays in a cache
 *          for each input:  y[tile] = (first piece ? bias : y[tile]) + W[tile, piece] x[piece]
 *                           last piece: relu, active rows
 *      with a set of columns and `below`:
 *        size of the sets of all inputs >= a part of n * cols ? all columns, as above : what affine.c does for one
 *
 * In: an affine. Out: calls of the kernels that one input has, for parts of the columns. The one idea: between two pieces the sums lie
 * in y, which loses no bit; so what comes from far away is read once a block, and the order of every sum is the IR's.
 */
#include "kernel.h"

/* Weights of a piece. All columns: half an L1. Some columns: half an L2, since few of them may be active, and each input's
 * sums go to y and back once a piece. A smaller layer of which some columns are active stays near without that; in a larger one whose
 * columns are stored whole, pieces would be bits of many pages. */
enum { DENSE_BYTES = 16 << 10, SPARSE_BYTES = 512 << 10, SPARSE_FROM = 1 << 20 };

static bool sparse_pieces(const Layout *weights)
{
    return weights->bytes >= SPARSE_FROM && !weights->long_tile;
}

/* Columns that are evaluated for all inputs before the next: all, where the sums cannot go on from what y holds. */
static uint32_t columns_at_once(const Shape *s)
{
    const Layout *w = &s->weights;
    uint32_t column = w->tile * type_element_bytes(w->element), step = s->walk == WALK_dense ? 8 : 64;
    uint64_t want = (s->walk == WALK_dense ? DENSE_BYTES : SPARSE_BYTES) / column / step * step;
    bool pieces = s->chains == 1 && be_written_rows(w) == be_padded_rows(w);
    if (want < step)
        want = step;
    return pieces && (uint64_t)w->cols > want + want / 2 ? (uint32_t)want : w->cols;
}

static LLVMValueRef times(Fn *f, LLVMValueRef n, uint64_t bytes)
{
    return LLVMBuildMul(f->b, n, be_size(f->e, bytes), "");
}

/* Columns [first, first + s->weights.cols) of the tile that begins with `row`, for the input at hand. */
static void piece(Fn *f, const Layer *layer, const Shape *s, LLVMValueRef row, LLVMValueRef first)
{
    Emitter *e = f->e;
    const Op *op = layer->op;
    uint32_t weight = type_element_bytes(s->weights.element), sum = type_element_bytes(s->sum);
    uint32_t all = (uint32_t)type_count(value_type(f->net, op_operand(op, AFFINE_x))), pitch = s->pitch ? s->pitch : s->weights.tile;
    Layer at = *layer;
    at.x = be_at(f, layer->x, times(f, first, sum));
    at.w = be_at(f, layer->w, times(f, row, (uint64_t)(s->pitch ? 1 : all) * weight));
    at.w = be_at(f, at.w, times(f, first, (uint64_t)pitch * weight));
    at.b = be_at(f, layer->b, times(f, row, sum));
    at.y = be_at(f, layer->y, times(f, row, sum));
    if (s->more)
        at.b = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntEQ, first, be_size(e, 0), ""), at.b, at.y, "");
    if (s->bits)
        at.bits = be_at(f, layer->bits, LLVMBuildLShr(f->b, row, be_size(e, 3), ""));
    if (s->walk != WALK_dense)
        at.set = be_at(f, layer->set, LLVMBuildLShr(f->b, first, be_size(e, 3), ""));
    be_call_kernel(f, &at, s);
}

/* The same for every input of the block: the weights of the piece come near once. */
static void piece_for_all(Fn *f, Layer *layer, const Shape *s, LLVMValueRef row, LLVMValueRef first)
{
    DynLoop inputs = be_inputs(f);
    be_find_values(f, layer, s);
    piece(f, layer, s, row, first);
    be_inputs_end(f, &inputs);
}

static void tile_for_all(Fn *f, Layer *layer, const Shape *s, LLVMValueRef row)
{
    Shape part = *s;
    uint32_t cols = s->weights.cols, at_once = columns_at_once(s), before = (cols - 1) / at_once * at_once;
    if (before > 0) {
        part.relu = part.bits = false;
        part.weights.cols = at_once;
        Loop pieces = be_loop(f, before, at_once, "columns");
        piece_for_all(f, layer, &part, row, pieces.i);
        be_loop_end(f, &pieces);
        part.relu = s->relu;
        part.bits = s->bits;
        part.weights.cols = cols - before;
    }
    piece_for_all(f, layer, &part, row, be_size(f->e, before));
}

/* Of a tile of all rows, bands of as many as the sums of a kernel. */
static void cut_long_tile(const Target *target, Shape *s)
{
    uint32_t band = 16 * target->panel_bytes / type_element_bytes(s->sum);
    s->pitch = s->weights.tile;
    if (band < s->pitch)
        s->weights.tile = band;
    s->weights.n_tiles = (s->pitch + s->weights.tile - 1) / s->weights.tile;
    s->weights.long_tile = false;
}

/* All inputs walk columns as `walk` says, piece by piece. */
static void share(Fn *f, const Op *op, Walk walk)
{
    Shape s = be_layer_shape(f, op);
    s.walk = walk;
    Layer layer = be_layer(f, op, &s);
    if (s.weights.long_tile)
        cut_long_tile(&f->e->target, &s);
    Shape last = s;                               /* a long tile need not be whole bands */
    uint32_t rest = s.pitch % s.weights.tile, before = s.weights.n_tiles - (rest > 0);
    last.weights.tile = rest ? rest : s.weights.tile;
    s.more = columns_at_once(&s) < s.weights.cols;
    last.more = columns_at_once(&last) < s.weights.cols;
    s.bits = last.bits = layer.active && be_can_store_bits(f->level, &s) && be_can_store_bits(f->level, &last);
    if (before > 1) {
        Loop tiles = be_loop(f, (uint64_t)before * s.weights.tile, s.weights.tile, "tile");
        tile_for_all(f, &layer, &s, tiles.i);
        be_loop_end(f, &tiles);
    } else if (before == 1) {
        tile_for_all(f, &layer, &s, be_size(f->e, 0));
    }
    if (rest)
        tile_for_all(f, &layer, &last, be_size(f->e, (uint64_t)before * s.weights.tile));
    if (!layer.active)
        return;
    DynLoop inputs = be_inputs(f);
    be_find_values(f, &layer, &s);
    be_make_active(f, &layer, &s, NULL);
    be_inputs_end(f, &inputs);
}

/* Whether so many columns are active, over all inputs of the block, that walking all of them piece by piece takes less time. */
static LLVMValueRef are_many(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    Value set = op_operand(op, AFFINE_cols);
    uint32_t cols = value_type(f->net, set).n;
    bool near = be_layout_weights(&e->target, f->net, op, f->plan->lowering[op->result[0]].how).bytes < SPARSE_FROM;
    LLVMValueRef total = be_alloca(f, e->i64, "active");
    LLVMBuildStore(f->b, LLVMConstInt(e->i64, 0, 0), total);
    DynLoop inputs = be_inputs(f);
    LLVMValueRef n = be_set_size(f, be_place(f, set).at, NULL, cols);
    LLVMBuildStore(f->b, LLVMBuildAdd(f->b, LLVMBuildLoad2(f->b, e->i64, total, ""), n, ""), total);
    be_inputs_end(f, &inputs);
    LLVMValueRef many = LLVMConstInt(e->i64, near ? (uint64_t)cols * 3 / 4 : cols / 2, 0);
    LLVMValueRef least = LLVMBuildMul(f->b, LLVMBuildIntCast2(f->b, inputs.i, e->i64, 0, ""), many, "");
    return LLVMBuildICmp(f->b, LLVMIntUGE, LLVMBuildLoad2(f->b, e->i64, total, ""), least, "");
}

static void some_columns_for_all(Fn *f, const Op *op)
{
    Lower how = f->plan->lowering[op->result[0]].how;
    Layout weights = be_layout_weights(&f->e->target, f->net, op, how);
    if (sparse_pieces(&weights)) {                /* a list would tell what comes next: it is near */
        share(f, op, how == LOWER_branch ? WALK_branch : WALK_mask);
        return;
    }
    DynLoop inputs = be_inputs(f);
    be_affine(f, op);
    be_inputs_end(f, &inputs);
}

void be_affine_for_all(Fn *f, const Op *op)
{
    Lowering lowering = f->plan->lowering[op->result[0]];
    if (lowering.how == LOWER_dense) {
        share(f, op, WALK_dense);
        return;
    }
    if (lowering.below == 0) {
        some_columns_for_all(f, op);
        return;
    }
    LLVMBasicBlockRef all = be_new_block(f, "all"), some = be_new_block(f, "some"), after = be_new_block(f, "summed");
    LLVMBuildCondBr(f->b, are_many(f, op), all, some);
    LLVMPositionBuilderAtEnd(f->b, all);
    share(f, op, WALK_dense);
    LLVMBuildBr(f->b, after);
    LLVMPositionBuilderAtEnd(f->b, some);
    some_columns_for_all(f, op);
    LLVMBuildBr(f->b, after);
    LLVMPositionBuilderAtEnd(f->b, after);
}

bool be_affine_can_share(const Target *target, const Op *op, Lowering lowering)
{
    if (op->kind != OP_affine || op_operand(op, AFFINE_rows) || op_operand(op, AFFINE_i) || op_operand(op, AFFINE_j))
        return false;
    Layout weights = be_layout_weights(target, op->parent->network, op, lowering.how);
    if (lowering.how == LOWER_gather || weights.rows == 0 || weights.cols == 0)
        return false;
    return lowering.how == LOWER_dense || lowering.below > 0 || sparse_pieces(&weights);
}
