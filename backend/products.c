/* products.c — matmul, matmix, dot, reduce: sums over values instead of constant weights.
 *
 *   strips   y[j] = sum over k of x[k] * w[k, j]: a strip of vectors along j, one column of w after the other
 *            (matmul with a matrix on the right; matmix, whose stack is read like such a matrix)
 *   dots     y = sum over k of a[k] * b[k]: a chain is a lane (dot, matmul with a vector on the right, reduce add)
 *
 * In: places. Out: code in the body itself. The one idea is affine.c's: vectors never run along a sum.
 */
#include "gen.h"

/* ---- strips ---- */

typedef struct Strip {
    Fn *f;
    Type sum, weight;
    LLVMValueRef x, w, y;
    uint64_t terms, columns;      /* of x; elements between x[k]'s and x[k+1]'s weights */
    uint32_t chains, lanes;
    LLVMTypeRef vector;
    LLVMValueRef acc[IR_MAX_CHAINS * 4];
} Strip;

enum { STRIP_VECTORS = 4 };

static LLVMValueRef widened(const Strip *s, LLVMValueRef w)
{
    if (type_same_element(s->sum, s->weight))
        return w;
    return LLVMBuildFPExt(s->f->b, w, s->vector, "");
}

static void strip_term(Strip *s, uint32_t chain, LLVMValueRef k, LLVMValueRef first, uint32_t t, uint32_t part)
{
    Fn *f = s->f;
    LLVMValueRef x = be_splat(f, be_load(f, s->sum, s->x, k, 1), s->lanes);
    LLVMValueRef row = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, k, be_size(f->e, s->columns), ""), first, "");
    for (uint32_t v = 0; v < t; v++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, row, be_size(f->e, (uint64_t)v * s->lanes), "");
        LLVMValueRef w = widened(s, be_load_part(f, s->weight, s->w, at, s->lanes, part));
        LLVMValueRef slot = s->acc[chain * STRIP_VECTORS + v];
        LLVMBuildStore(f->b, be_multiply_add(f, s->sum, LLVMBuildLoad2(f->b, s->vector, slot, ""), w, x), slot);
    }
}

/* t vectors of results from element `first` on; of each only the first `part` lanes exist. */
static void strip(Strip *s, LLVMValueRef first, uint32_t t, uint32_t part)
{
    Fn *f = s->f;
    for (uint32_t c = 0; c < s->chains; c++)
        for (uint32_t v = 0; v < t; v++)
            LLVMBuildStore(f->b, c == 0 ? be_zero(f->e, s->sum, s->lanes) : be_identity(f, s->sum, s->lanes),
                           s->acc[c * STRIP_VECTORS + v]);
    uint64_t whole = s->terms / s->chains * s->chains;
    if (whole > 0) {
        Loop loop = be_loop(f, whole, s->chains, "terms");
        for (uint32_t c = 0; c < s->chains; c++)
            strip_term(s, c, LLVMBuildAdd(f->b, loop.i, be_size(f->e, c), ""), first, t, part);
        be_loop_end(f, &loop);
    }
    for (uint64_t k = whole; k < s->terms; k++)
        strip_term(s, (uint32_t)(k - whole), be_size(f->e, k), first, t, part);
    for (uint32_t v = 0; v < t; v++) {
        LLVMValueRef sum[IR_MAX_CHAINS];
        for (uint32_t c = 0; c < s->chains; c++)
            sum[c] = LLVMBuildLoad2(f->b, s->vector, s->acc[c * STRIP_VECTORS + v], "");
        LLVMValueRef at = LLVMBuildAdd(f->b, first, be_size(f->e, (uint64_t)v * s->lanes), "");
        be_store_part(f, s->sum, be_combine(f, s->sum, sum, s->chains), s->y, at, s->lanes, part);
    }
}

static void prepare(Strip *s)
{
    s->lanes = be_lanes(s->f->level, s->sum);
    if (s->lanes > s->columns)
        s->lanes = 1;
    s->vector = be_vector_type(be_scalar_type(s->f->e, s->sum), s->lanes);
    for (uint32_t i = 0; i < s->chains * STRIP_VECTORS; i++)
        s->acc[i] = be_alloca(s->f, s->vector, "acc");
}

/* All `columns` results: strips of t vectors, then what is left. */
static void strips(Strip *s)
{
    uint32_t t = s->f->level->accumulators / s->chains;
    t = t < 1 ? 1 : t > STRIP_VECTORS ? STRIP_VECTORS : t;
    uint64_t span = (uint64_t)t * s->lanes, whole = s->columns / span * span;
    if (whole > 0) {
        Loop loop = be_loop(s->f, whole, span, "strip");
        strip(s, loop.i, t, s->lanes);
        be_loop_end(s->f, &loop);
    }
    uint32_t vectors = (uint32_t)((s->columns - whole) / s->lanes);
    if (vectors > 0)
        strip(s, be_size(s->f->e, whole), vectors, s->lanes);
    whole += (uint64_t)vectors * s->lanes;
    if (whole < s->columns)
        strip(s, be_size(s->f->e, whole), 1, (uint32_t)(s->columns - whole));
}

/* ---- dots ---- */

typedef struct Dot {
    Type sum;
    LLVMValueRef a, b;            /* b NULL: the sum of a alone */
    uint64_t n;
    uint32_t chains;
    LLVMValueRef start;           /* of chain 0 */
} Dot;

static void dot_terms(Fn *f, const Dot *d, LLVMValueRef slot, LLVMValueRef at, uint32_t part)
{
    LLVMTypeRef vector = be_vector_type(be_scalar_type(f->e, d->sum), d->chains);
    LLVMValueRef acc = LLVMBuildLoad2(f->b, vector, slot, "");
    LLVMValueRef a = be_load_part(f, d->sum, d->a, at, d->chains, part), next;
    if (d->b)
        next = be_multiply_add(f, d->sum, acc, a, be_load_part(f, d->sum, d->b, at, d->chains, part));
    else
        next = be_add(f, d->sum, acc, a);
    if (part < d->chains) {                       /* the other chains have no term here */
        LLVMValueRef taken[IR_MAX_CHAINS];
        for (uint32_t c = 0; c < d->chains; c++)
            taken[c] = LLVMConstInt(f->e->i1, c < part, 0);
        next = LLVMBuildSelect(f->b, LLVMConstVector(taken, d->chains), next, acc, "");
    }
    LLVMBuildStore(f->b, next, slot);
}

static LLVMValueRef dot(Fn *f, const Dot *d)
{
    LLVMTypeRef vector = be_vector_type(be_scalar_type(f->e, d->sum), d->chains);
    LLVMValueRef slot = be_alloca(f, vector, "acc"), start = d->start;
    if (d->chains > 1)
        start = LLVMBuildInsertElement(f->b, be_identity(f, d->sum, d->chains), d->start, LLVMConstInt(f->e->i32, 0, 0), "");
    LLVMBuildStore(f->b, start, slot);
    uint64_t whole = d->n / d->chains * d->chains;
    if (whole > 0) {
        Loop loop = be_loop(f, whole, d->chains, "terms");
        dot_terms(f, d, slot, loop.i, d->chains);
        be_loop_end(f, &loop);
    }
    if (whole < d->n)
        dot_terms(f, d, slot, be_size(f->e, whole), (uint32_t)(d->n - whole));
    LLVMValueRef sum = LLVMBuildLoad2(f->b, vector, slot, "");
    return d->chains > 1 ? be_combine_lanes(f, d->sum, sum, d->chains) : sum;
}

/* Order means nothing to integers that wrap. */
static uint32_t float_chains(Type t, const Op *op, uint32_t attr)
{
    return type_is_float(t) ? be_chains(op, attr) : 1;
}

void be_dot(Fn *f, const Op *op)
{
    Type t = value_type(f->net, op_operand(op, 0));
    Type sum = type_element(t);
    Dot d = {sum, be_place(f, op_operand(op, 0)).at, be_place(f, op_operand(op, 1)).at, type_count(t), float_chains(sum, op, 0),
             be_zero(f->e, sum, 1)};
    be_set_scalar(f, op->result[0], dot(f, &d));
}

/* A row on the left is a matrix of one row; a vector on the right makes dots. */
void be_matmul(Fn *f, const Op *op)
{
    Type a = value_type(f->net, op_operand(op, 0)), b = value_type(f->net, op_operand(op, 1)), sum = type_element(a);
    uint64_t m = a.rank == 1 ? 1 : a.dim[0], k = b.dim[0], n = b.rank == 1 ? 1 : b.dim[1], size = type_element_bytes(sum);
    LLVMValueRef at = be_place(f, op_operand(op, 0)).at, by = be_place(f, op_operand(op, 1)).at;
    LLVMValueRef to = be_define(f, op->result[0]).at;
    uint32_t chains = float_chains(sum, op, 0);
    if (m == 0 || n == 0)
        return;
    Strip s = {.f = f, .sum = sum, .weight = sum, .w = by, .terms = k, .columns = n, .chains = chains};
    if (b.rank > 1)
        prepare(&s);
    Loop rows = be_loop(f, m, 1, "row");
    LLVMValueRef x = be_at(f, at, LLVMBuildMul(f->b, rows.i, be_size(f->e, k * size), ""));
    if (b.rank == 1) {
        Dot d = {sum, x, by, k, chains, be_zero(f->e, sum, 1)};
        be_store(f, sum, dot(f, &d), to, rows.i, 1);
    } else {
        s.x = x;
        s.y = be_at(f, to, LLVMBuildMul(f->b, rows.i, be_size(f->e, n * size), ""));
        strips(&s);
    }
    be_loop_end(f, &rows);
}

void be_matmix(Fn *f, const Op *op)
{
    const Const *c = const_get(f->m, op->cst[0]);
    Type g = value_type(f->net, op_operand(op, 0)), y = value_type(f->net, op->result[0]);
    Layout raw = be_layout_raw(c);
    Strip s = {.f = f, .sum = type_element(g), .weight = type_element(c->type), .x = be_place(f, op_operand(op, 0)).at,
               .w = be_constant(f->e, f->m, op->cst[0], &raw), .terms = type_count(g), .columns = type_count(y), .chains = 1};
    if (s.columns == 0)
        return;
    LLVMValueRef scalar = NULL;
    if (be_in_memory(y))
        s.y = be_define(f, op->result[0]).at;
    else
        s.y = scalar = be_alloca(f, be_scalar_type(f->e, s.sum), "mix");
    prepare(&s);
    strips(&s);
    if (scalar)
        be_set_scalar(f, op->result[0], be_load(f, s.sum, scalar, be_size(f->e, 0), 1));
}

/* ---- reduce ---- */

static LLVMValueRef fold(Fn *f, Type t, ReduceKind kind, LLVMValueRef r, LLVMValueRef a)
{
    switch (kind) {
    case REDUCE_add:
        return be_add(f, t, r, a);
    case REDUCE_mul:
        return be_mul(f, t, r, a);
    case REDUCE_min:
        return LLVMBuildSelect(f->b, be_compare(f, t, PRED_lt, a, r), a, r, "");
    case REDUCE_max:
        return LLVMBuildSelect(f->b, be_compare(f, t, PRED_gt, a, r), a, r, "");
    }
    ICE("reduction %d", (int)kind);
}

/* A chain begins at its first element, which is what adding it to -0 gives. */
void be_reduce(Fn *f, const Op *op)
{
    Value a = op_operand(op, 0);
    Type type = value_type(f->net, a), t = type_element(type);
    ReduceKind kind = (ReduceKind)op->attr[0].i;
    uint64_t n = type_count(type);
    if (!be_in_memory(type)) {
        be_set_scalar(f, op->result[0], be_place(f, a).at);
        return;
    }
    LLVMValueRef at = be_place(f, a).at;
    if (kind == REDUCE_add && type_is_float(t)) {
        Dot d = {t, at, NULL, n, be_chains(op, 1), be_identity(f, t, 1)};
        be_set_scalar(f, op->result[0], dot(f, &d));
        return;
    }
    LLVMTypeRef scalar = be_scalar_type(f->e, t);
    LLVMValueRef slot = be_alloca(f, scalar, "acc");
    LLVMBuildStore(f->b, be_load(f, t, at, be_size(f->e, 0), 1), slot);
    if (n > 1) {
        Loop loop = be_loop(f, n - 1, 1, "elements");
        LLVMValueRef next = be_load(f, t, at, LLVMBuildAdd(f->b, loop.i, be_size(f->e, 1), ""), 1);
        LLVMBuildStore(f->b, fold(f, t, kind, LLVMBuildLoad2(f->b, scalar, slot, ""), next), slot);
        be_loop_end(f, &loop);
    }
    be_set_scalar(f, op->result[0], LLVMBuildLoad2(f->b, scalar, slot, ""));
}
