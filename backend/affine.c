/* affine.c — dense layers, and the same with a set of columns or of rows: which kernel, and its call.
 *
 * In: an affine; its weights as constants.c lays them out. Out: a call of a *kernel* for each tile of rows. Kernels are
 * shared by all layers that agree in what makes a Shape (compile time and code size do not grow with depth); those of small layers
 * are made in place, where a set of at most 64 is a register.
 *
 * The one idea: which columns are evaluated is the IR's business; how they are walked changes neither the sums nor their
 * order, so it is chosen for speed alone. A layer that turns out to be nearly all active takes the dense loop at run time.
 */
#include "kernel.h"

#include <string.h>

/* ---- arithmetic of sums ---- */

LLVMValueRef be_add(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    return type_is_float(t) ? LLVMBuildFAdd(f->b, a, b, "") : LLVMBuildAdd(f->b, a, b, "");
}

LLVMValueRef be_multiply_add(Fn *f, Type t, LLVMValueRef acc, LLVMValueRef w, LLVMValueRef x)
{
    if (!type_is_float(t))
        return LLVMBuildAdd(f->b, acc, be_mul(f, t, x, w), "");           /* wide.c leaves out what x has of zeros: often it is 0 or 1 */
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

/* ---- where a kernel is made ---- */

enum { SMALL_CELLS = 64 * 128, MOST_IN_PLACE = 48, TINY_CELLS = 32 * 64, MOST_TINY = 512 };

/* Whether a kernel is made where it is used: the call, and what passes through memory, would cost as much as the layer. Those of a leaf's
 * stacks are tiny and many. */
static bool belongs_in_place(const Fn *f, const Shape *s)
{
    uint32_t most = s->weights.packed && (uint64_t)s->weights.cols * s->weights.tile <= TINY_CELLS ? MOST_TINY : MOST_IN_PLACE;
    return f->plan->n_affine <= most && s->walk != WALK_list && s->walk != WALK_gather && s->weights.n_tiles == 1 &&
           (uint64_t)s->weights.cols * s->weights.tile <= SMALL_CELLS && s->weights.tile <= 64 &&
           be_grouping(f->level, s).groups == 1;
}

/* ---- kernels ---- */

static const char *element_name(Arena *arena, Type t)
{
    return type_print(arena, type_element(t));
}

static char *kernel_name(const Fn *f, const Shape *s)
{
    static const char *const walks[] = {[WALK_dense] = "", [WALK_mask] = ".mask", [WALK_list] = ".list", [WALK_branch] = ".branch", [WALK_gather] = ".gather"};
    Arena *a = f->e->arena;
    Text name = text_new(a);
    text_add(&name, "cnet.%s%spanels.%s.%s.%u", f->level->name, *f->level->name ? "." : "", element_name(a, s->sum),
             element_name(a, s->weights.element), s->weights.tile);
    if (be_written_rows(&s->weights) < s->weights.tile)
        text_add(&name, ".%urows", s->weights.rows);
    if (be_is_narrow(f->level, s))
        text_add(&name, ".%ucols", s->weights.cols);
    if (s->weights.long_tile)
        text_add(&name, ".long");
    if (s->weights.packed)
        text_add(&name, ".packed");
    if (s->pitch)
        text_add(&name, ".pitch%u", s->pitch);
    for (uint32_t c = 0; s->walk == WALK_gather && c < s->chains; c++)
        text_add(&name, "%s%u", c ? "-" : ".slots", s->weights.slots[c]);
    if (s->walk == WALK_gather)
        text_add(&name, ".%utiles", s->weights.n_tiles);
    if (s->walk != WALK_dense)
        text_add(&name, "%s%u", walks[s->walk], s->weights.cols);
    text_add(&name, ".c%u%s%s%s", s->chains, s->more ? ".more" : "", s->relu ? ".relu" : "", s->bits ? ".bits" : "");
    text_add(&name, "%s%s", s->nonzero ? ".nonzero" : "", f->net->options.contract == CONTRACT_fma ? ".fma" : "");
    return name.at;
}

/* Parameters: x, weights of the tile, its bias, its part of y; the columns (their number, the words of the set, or the list);
 * where the bits go. */
enum { N_PARAMS = 6 };

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
    LLVMTypeRef params[N_PARAMS] = {e->ptr, e->ptr, e->ptr, e->ptr, s->walk == WALK_dense ? e->size : e->ptr, e->ptr};
    LLVMValueRef fn = LLVMAddFunction(e->module, name, LLVMFunctionType(e->void_, params, N_PARAMS, 0));
    unsigned noalias = LLVMGetEnumAttributeKindForName("noalias", 7);
    if (!s->more)
        LLVMAddAttributeAtIndex(fn, 4, LLVMCreateEnumAttribute(e->c, noalias, 0));
    Kernel state = {.f = at, .s = s}, *k = &state;
    k->f.fn = fn;
    Resume here = be_function_begin(&k->f);
    k->x = LLVMGetParam(fn, 0);
    k->w = LLVMGetParam(fn, 1);
    k->b = LLVMGetParam(fn, 2);
    k->y = LLVMGetParam(fn, 3);
    k->cols = k->set = LLVMGetParam(fn, 4);
    k->bits = LLVMGetParam(fn, 5);
    if (s->walk == WALK_gather)
        be_gather_kernel(k);
    else if (be_is_long(k->f.level, s))
        be_column_kernel(k);
    else
        be_panel_kernel(k);
    LLVMBuildRetVoid(e->b);
    be_function_end(&k->f, here);
    return fn;
}

/* ---- one layer ---- */

/* Makes the kernel here. Returns the word of active rows, or NULL. */
static LLVMValueRef in_place(Fn *f, const Layer *layer, const Shape *s)
{
    Kernel k = {.f = *f, .s = s, .x = layer->x, .w = layer->w, .b = layer->b, .y = layer->y, .set = layer->set, .word = layer->word};
    k.cols = be_size(f->e, s->weights.cols);
    be_panel_kernel(&k);
    return k.out_word;
}

void be_call_kernel(Fn *f, const Layer *at, const Shape *s)
{
    LLVMValueRef fn = kernel(f, s), columns = s->walk == WALK_dense ? be_size(f->e, s->weights.cols) : at->set;
    LLVMValueRef args[N_PARAMS] = {at->x, at->w, at->b, at->y, columns, s->bits ? at->bits : LLVMConstNull(f->e->ptr)};
    LLVMBuildCall2(f->b, LLVMGlobalGetValueType(fn), fn, args, N_PARAMS, "");
}

static void call_tiles(Fn *f, const Layer *layer, const Shape *s, LLVMValueRef columns)
{
    Emitter *e = f->e;
    LLVMValueRef fn = kernel(f, s), bits = s->bits ? layer->bits : LLVMConstNull(e->ptr);
    LLVMValueRef args[N_PARAMS] = {layer->x, layer->w, layer->b, layer->y, columns, bits};
    LLVMTypeRef type = LLVMGlobalGetValueType(fn);
    if (s->weights.n_tiles == 1 || s->walk == WALK_gather) {
        LLVMBuildCall2(f->b, type, fn, args, N_PARAMS, "");
        return;
    }
    uint64_t rows_bytes = (uint64_t)s->weights.tile * type_element_bytes(s->sum);
    uint64_t tile_bytes = (uint64_t)s->weights.tile * s->weights.cols * type_element_bytes(s->weights.element);
    Loop loop = be_loop(f, s->weights.n_tiles, 1, "tile");
    args[1] = be_at(f, layer->w, LLVMBuildMul(f->b, loop.i, be_size(e, tile_bytes), ""));
    args[2] = be_at(f, layer->b, LLVMBuildMul(f->b, loop.i, be_size(e, rows_bytes), ""));
    args[3] = be_at(f, layer->y, LLVMBuildMul(f->b, loop.i, be_size(e, rows_bytes), ""));
    if (s->bits)
        args[5] = be_at(f, layer->bits, LLVMBuildMul(f->b, loop.i, be_size(e, s->weights.tile / 8), ""));
    LLVMBuildCall2(f->b, type, fn, args, N_PARAMS, "");
    be_loop_end(f, &loop);
}

/* All tiles, walked as s->walk says. Returns the word of active rows if it is at hand. */
static LLVMValueRef evaluate(Fn *f, const Layer *layer, const Shape *s)
{
    if (layer->in_place)
        return in_place(f, layer, s);
    LLVMValueRef columns = layer->set;
    if (s->walk == WALK_dense)
        columns = be_size(f->e, s->weights.cols);
    if (s->walk == WALK_list) {
        LLVMValueRef make = be_list_maker(f, s->weights.cols, s->chains);
        columns = be_at_const(f, f->work, f->plan->work[layer->op->result[0]]);
        LLVMBuildCall2(f->b, LLVMGlobalGetValueType(make), make, (LLVMValueRef[]){layer->set, columns}, 2, "");
    }
    call_tiles(f, layer, s, columns);
    return NULL;
}

/* size(set) < below ? few : all */
static LLVMValueRef few_or_all(Fn *f, const Layer *layer, const Shape *s)
{
    Emitter *e = f->e;
    Shape all = *s;
    all.walk = WALK_dense;
    LLVMValueRef n = be_set_size(f, layer->set, layer->word, s->weights.cols);
    LLVMBasicBlockRef some = be_new_block(f, "few"), dense = be_new_block(f, "all"), after = be_new_block(f, "summed");
    LLVMBuildCondBr(f->b, LLVMBuildICmp(f->b, LLVMIntULT, n, LLVMConstInt(e->i64, layer->below, 0), ""), some, dense);
    LLVMPositionBuilderAtEnd(f->b, dense);
    LLVMValueRef word[2];
    word[0] = evaluate(f, layer, &all);
    LLVMBasicBlockRef from[2] = {LLVMGetInsertBlock(f->b), NULL};
    LLVMBuildBr(f->b, after);
    LLVMMoveBasicBlockAfter(some, from[0]);
    LLVMPositionBuilderAtEnd(f->b, some);
    word[1] = evaluate(f, layer, s);
    from[1] = LLVMGetInsertBlock(f->b);
    LLVMBuildBr(f->b, after);
    LLVMMoveBasicBlockAfter(after, from[1]);
    LLVMPositionBuilderAtEnd(f->b, after);
    if (!word[0] || !word[1])
        return NULL;
    LLVMValueRef either = LLVMBuildPhi(f->b, e->i64, "active");
    LLVMAddIncoming(either, word, from, 2);
    return either;
}

/* The set of active rows, of which the kernels have stored the bits (or returned the only word): without the padding's. */
static void settle_active(Fn *f, const Layer *layer, const Shape *s, LLVMValueRef word)
{
    Emitter *e = f->e;
    uint32_t rows = s->weights.rows, last = rows % 64;
    LLVMValueRef number = be_size(e, rows / 64 - (last == 0));
    if (!word && last == 0)
        return;
    LLVMValueRef bits = word ? word : be_set_word(f, layer->bits, number);
    if (last != 0)
        bits = LLVMBuildAnd(f->b, bits, LLVMConstInt(e->i64, (UINT64_C(1) << last) - 1, 0), "");
    LLVMSetAlignment(LLVMBuildStore(f->b, bits, LLVMBuildInBoundsGEP2(f->b, e->i64, layer->bits, &number, 1, "")), 8);
    if (rows <= 64)
        f->word[layer->active] = bits;
}

/* ---- a set of rows: one row at a time ---- */

static void one_row(Fn *f, LLVMValueRef r, void *context)
{
    (void)f;
    be_panel_row(context, r);
}

static void some_rows(Fn *f, const Layer *layer, const Shape *s)
{
    Kernel k = {.f = *f, .s = s, .x = layer->x, .w = layer->w, .b = layer->b, .y = layer->y, .set = layer->set, .word = layer->word};
    k.cols = be_size(f->e, s->weights.cols);
    Loop clear = be_loop(f, s->weights.rows, 1, "clear");
    be_store(f, s->sum, be_zero(f->e, s->sum, 1), layer->y, clear.i, 1);
    be_loop_end(f, &clear);
    be_walk_set(f, be_place(f, op_operand(layer->op, AFFINE_rows)).at, s->weights.rows, one_row, &k);
}

/* ---- the op ---- */

static Walk walk_of(Lower lower)
{
    return lower == LOWER_mask ? WALK_mask : lower == LOWER_list ? WALK_list : lower == LOWER_branch ? WALK_branch :
           lower == LOWER_gather ? WALK_gather : WALK_dense;
}

Shape be_layer_shape(Fn *f, const Op *op)
{
    Value result = op->result[0];
    Lower how = f->plan->lowering[result].how;
    Shape s = {.weights = be_layout_weights(&f->e->target, f->net, op, how), .walk = walk_of(how)};
    uint64_t offset;
    s.weights.packed = be_record_of(&f->plan->records, op, AFFINE_W, &offset) != NULL;
    s.weights.packed = s.weights.packed || s.weights.pitch;
    s.pitch = s.weights.pitch;
    s.sum = type_element(value_type(f->net, result));
    s.chains = type_is_float(s.sum) ? be_chains(op, AFFINE_order) : 1;
    s.relu = f->plan->fused_relu[result] != 0;
    s.nonzero = op_skips_zeros(op) && s.walk != WALK_gather;
    return s;
}

Layer be_layer(Fn *f, const Op *op, const Shape *s)
{
    Emitter *e = f->e;
    Value result = op->result[0], active = f->plan->fused_active[result];
    Layout bias = be_layout_bias(&e->target, f->net, op, f->plan->lowering[result].how);
    Layer layer = {.op = op, .active = be_is_wanted(f, active) ? active : 0};
    layer.w = be_slot(f, op, AFFINE_W, &s->weights, op_operand(op, AFFINE_i));
    layer.b = be_slot(f, op, AFFINE_b, &bias, op_operand(op, AFFINE_j));
    if (s->walk == WALK_gather) {
        Layout columns = be_layout_columns(&s->weights);
        layer.set = be_constant(e, f->m, op->cst[AFFINE_W], &columns);
    }
    return layer;
}

void be_find_values(Fn *f, Layer *layer, const Shape *s)
{
    const Op *op = layer->op;
    layer->x = be_place(f, op_operand(op, AFFINE_x)).at;
    layer->y = be_define(f, op->result[0]).at;
    if (s->walk != WALK_gather && s->walk != WALK_dense) {
        layer->set = be_place(f, op_operand(op, AFFINE_cols)).at;
        layer->word = f->word[op_operand(op, AFFINE_cols)];
    }
    if (layer->active)
        layer->bits = be_define(f, layer->active).at;
}

void be_make_active(Fn *f, const Layer *layer, const Shape *s, LLVMValueRef word)
{
    if (s->bits)
        settle_active(f, layer, s, word);
    else if (layer->active)
        be_active(f, s->sum, ACTIVITY_notle0, layer->y, s->weights.rows, layer->active);
}

void be_affine(Fn *f, const Op *op)
{
    Shape s = be_layer_shape(f, op);
    if (s.weights.rows == 0)
        return;
    Layer layer = be_layer(f, op, &s);
    LLVMValueRef word = NULL;
    be_find_values(f, &layer, &s);
    if (op_operand(op, AFFINE_rows)) {
        some_rows(f, &layer, &s);
    } else {
        s.bits = layer.active && be_can_store_bits(f->level, &s);
        Shape all = s;
        all.walk = WALK_dense;
        layer.below = f->plan->lowering[op->result[0]].below;
        layer.in_place = belongs_in_place(f, &s) && (layer.below == 0 || belongs_in_place(f, &all));
        word = layer.below > 0 ? few_or_all(f, &layer, &s) : evaluate(f, &layer, &s);
    }
    be_make_active(f, &layer, &s, word);
}
