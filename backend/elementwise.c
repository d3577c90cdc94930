/* elementwise.c — ops that map elements to elements, a scalar being repeated: arithmetic, comparisons, select, casts.
 *
 *      for i = 0, L, 2L, …:  y[i … i+L-1] = f(a[i … i+L-1], b[i … i+L-1])         ; then the rest
 *
 * In: places. Out: one loop of vectors an op; f is one function whether its operands are scalars or vectors. Where all
 * memory is padded the rest is one more whole vector, else only the lanes that exist are read and written.
 */
#include "gen.h"

/* ---- what one element becomes ---- */

static LLVMRealPredicate float_predicate(Pred pred)
{
    switch (pred) {
    case PRED_eq: return LLVMRealOEQ;
    case PRED_ne: return LLVMRealUNE;
    case PRED_lt: return LLVMRealOLT;
    case PRED_le: return LLVMRealOLE;
    case PRED_gt: return LLVMRealOGT;
    case PRED_ge: return LLVMRealOGE;
    }
    ICE("comparison %d", (int)pred);
}

/* i1 is 0 or 1, never -1. */
static LLVMIntPredicate int_predicate(Pred pred, bool is_unsigned)
{
    switch (pred) {
    case PRED_eq: return LLVMIntEQ;
    case PRED_ne: return LLVMIntNE;
    case PRED_lt: return is_unsigned ? LLVMIntULT : LLVMIntSLT;
    case PRED_le: return is_unsigned ? LLVMIntULE : LLVMIntSLE;
    case PRED_gt: return is_unsigned ? LLVMIntUGT : LLVMIntSGT;
    case PRED_ge: return is_unsigned ? LLVMIntUGE : LLVMIntSGE;
    }
    ICE("comparison %d", (int)pred);
}

LLVMValueRef be_compare(Fn *f, Type t, Pred pred, LLVMValueRef a, LLVMValueRef b)
{
    if (type_is_float(t))
        return LLVMBuildFCmp(f->b, float_predicate(pred), a, b, "");
    bool is_unsigned = t.elem == ELEM_IDX || (t.elem == ELEM_INT && t.n == 1);
    return LLVMBuildICmp(f->b, int_predicate(pred, is_unsigned), a, b, "");
}

LLVMValueRef be_mul(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    if (type_is_float(t))
        return LLVMBuildFMul(f->b, a, b, "");
    return be_is_wide(t) ? be_wide_mul(f, t, a, b) : LLVMBuildMul(f->b, a, b, "");
}

static LLVMValueRef arithmetic(Fn *f, Type t, OpKind kind, LLVMValueRef a, LLVMValueRef b)
{
    bool real = type_is_float(t);
    if (kind == OP_add)
        return real ? LLVMBuildFAdd(f->b, a, b, "") : LLVMBuildAdd(f->b, a, b, "");
    if (kind == OP_sub)
        return real ? LLVMBuildFSub(f->b, a, b, "") : LLVMBuildSub(f->b, a, b, "");
    return be_mul(f, t, a, b);
}

/* x / 0 = 0, MIN / -1 = MIN: the divisor becomes 1 where the machine would trap. Beyond the widths that a machine
 * divides, a quotient is a library call; an odd width beyond twice the register is expanded in place instead. */
static LLVMValueRef divide_int(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b)
{
    if (t.n == 1)
        return LLVMBuildAnd(f->b, a, b, "");      /* 0/1 = 0, 1/1 = 1, x/0 = 0 */
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef one = LLVMConstInt(type, 1, 0), none = LLVMConstAllOnes(type);
    LLVMValueRef by_zero = LLVMBuildICmp(f->b, LLVMIntEQ, b, LLVMConstNull(type), "");
    LLVMValueRef by_minus_one = LLVMBuildICmp(f->b, LLVMIntEQ, b, none, "");
    LLVMValueRef safe = LLVMBuildSelect(f->b, LLVMBuildOr(f->b, by_zero, by_minus_one, ""), one, b, "");
    uint32_t word = f->e->target.pointer_bits;
    LLVMTypeRef wide = t.n > word && t.n <= 2 * word ? LLVMIntTypeInContext(f->e->c, 3 * word) : type;
    LLVMValueRef q;
    if (be_is_wide(t))
        q = be_wide_div(f, t, a, safe);
    else
        q = LLVMBuildSDiv(f->b, LLVMBuildIntCast2(f->b, a, wide, true, ""), LLVMBuildIntCast2(f->b, safe, wide, true, ""), "");
    q = LLVMBuildIntCast2(f->b, q, type, true, "");
    q = LLVMBuildSelect(f->b, by_minus_one, LLVMBuildNeg(f->b, a, ""), q, "");
    return LLVMBuildSelect(f->b, by_zero, LLVMConstNull(type), q, "");
}

static LLVMValueRef negate(Fn *f, Type t, LLVMValueRef a)
{
    return type_is_float(t) ? LLVMBuildFNeg(f->b, a, "") : LLVMBuildNeg(f->b, a, "");
}

static LLVMValueRef absolute(Fn *f, Type t, LLVMValueRef a, uint32_t lanes)
{
    if (type_is_float(t))
        return be_intrinsic(f, "llvm.fabs", LLVMTypeOf(a), &a, 1);
    if (t.n == 1)
        return a;
    LLVMValueRef negative = LLVMBuildICmp(f->b, LLVMIntSLT, a, be_zero(f->e, t, lanes), "");
    return LLVMBuildSelect(f->b, negative, LLVMBuildNeg(f->b, a, ""), a, "");
}

/* Floats in order, as integers: bits >= 0 ? bits : -(bits & max). */
static LLVMValueRef order_image(Fn *f, Type t, LLVMValueRef a, uint32_t lanes)
{
    Type image = type_int(t.elem == ELEM_F32 ? 32 : 64);
    LLVMTypeRef type = be_vector_type(be_scalar_type(f->e, image), lanes);
    LLVMValueRef bits = LLVMBuildBitCast(f->b, a, type, "");
    LLVMValueRef magnitude = LLVMBuildLShr(f->b, LLVMBuildShl(f->b, bits, be_int(f->e, image, 1, lanes), ""), be_int(f->e, image, 1, lanes), "");
    LLVMValueRef negative = LLVMBuildICmp(f->b, LLVMIntSLT, bits, LLVMConstNull(type), "");
    return LLVMBuildSelect(f->b, negative, LLVMBuildNeg(f->b, magnitude, ""), bits, "");
}

/* `t` is the type of the operands (of a select: of the values), `a` their values. */
static LLVMValueRef apply(Fn *f, const Op *op, Type t, LLVMValueRef *a, uint32_t lanes)
{
    switch (op->kind) {
    case OP_add: case OP_sub: case OP_mul:
        return arithmetic(f, t, op->kind, a[0], a[1]);
    case OP_div:
        return type_is_float(t) ? LLVMBuildFDiv(f->b, a[0], a[1], "") : divide_int(f, t, a[0], a[1]);
    case OP_neg:
        return negate(f, t, a[0]);
    case OP_abs:
        return absolute(f, t, a[0], lanes);
    case OP_min:
        return LLVMBuildSelect(f->b, be_compare(f, t, PRED_lt, a[1], a[0]), a[1], a[0], "");
    case OP_max:
        return LLVMBuildSelect(f->b, be_compare(f, t, PRED_gt, a[1], a[0]), a[1], a[0], "");
    case OP_relu:
        return be_relu(f, t, a[0], lanes);
    case OP_exp: case OP_tanh: case OP_sigmoid:
        return be_math(f, op->kind, t.elem, a[0], lanes);
    case OP_sqrt:
        return be_intrinsic(f, "llvm.sqrt", LLVMTypeOf(a[0]), a, 1);
    case OP_cmp:
        return be_compare(f, t, (Pred)op->attr[0].i, a[0], a[1]);
    case OP_select:
        return LLVMBuildSelect(f->b, a[0], a[1], a[2], "");
    case OP_cast:
        return be_cast(f, t, type_element(value_type(f->net, op->result[0])), a[0], lanes);
    case OP_and:
        return LLVMBuildAnd(f->b, a[0], a[1], "");
    case OP_or:
        return LLVMBuildOr(f->b, a[0], a[1], "");
    case OP_xor:
        return LLVMBuildXor(f->b, a[0], a[1], "");
    case OP_shl:
        return LLVMBuildShl(f->b, a[0], be_int(f->e, t, (uint64_t)op->attr[0].i, lanes), "");
    case OP_lshr:
        return LLVMBuildLShr(f->b, a[0], be_int(f->e, t, (uint64_t)op->attr[0].i, lanes), "");
    case OP_ord:
        return order_image(f, t, a[0], lanes);
    case OP_splat:
        return a[0];
    case OP_const: case OP_row: case OP_field: case OP_affine: case OP_matmul: case OP_matmix: case OP_dot: case OP_reduce: case OP_argmax:
    case OP_argmin: case OP_reshape: case OP_transpose: case OP_concat: case OP_slice: case OP_index: case OP_active:
    case OP_extend: case OP_size: case OP_weigh: case OP_test: case OP_topk: case OP_descend: case OP_search: case OP_memorize: case OP_within: case OP_if: case OP_case: case OP_repeat:
    case OP_each: case OP_call: case OP_yield: case OP_return: case OP_refuse: case OP_tally: case OP__COUNT:
        break;
    }
    ICE("op %d is not elementwise", (int)op->kind);
}

/* ---- the loop ---- */

typedef struct Operand { Type element; LLVMValueRef at; bool memory, padded; LLVMValueRef splat; } Operand;

enum { MAX_OPERANDS = 3 };

typedef struct Map {
    const Op *op;
    Operand in[MAX_OPERANDS];
    uint32_t n_in, lanes;
    Type operand, result;         /* elements */
    LLVMValueRef y;
} Map;

/* Sets are mapped word by word. */
static uint64_t elements_of(Type t)
{
    return t.elem == ELEM_SET ? ((uint64_t)t.n + 63) / 64 : type_count(t);
}

static void map_at(Fn *f, const Map *m, LLVMValueRef i, uint32_t part)
{
    LLVMValueRef a[MAX_OPERANDS];
    for (uint32_t k = 0; k < m->n_in; k++)
        a[k] = m->in[k].memory ? be_load_part(f, m->in[k].element, m->in[k].at, i, m->lanes, part) : m->in[k].splat;
    be_store_part(f, m->result, apply(f, m->op, m->operand, a, m->lanes), m->y, i, m->lanes, part);
}

static uint32_t lanes_for(const Fn *f, const Map *m)
{
    uint32_t lanes = be_lanes(f->level, m->result);
    for (uint32_t k = 0; k < m->n_in; k++)
        if (m->in[k].memory && be_lanes(f->level, m->in[k].element) < lanes)
            lanes = be_lanes(f->level, m->in[k].element);
    if (be_lanes(f->level, m->operand) < lanes)
        lanes = be_lanes(f->level, m->operand);
    bool divides = m->op->kind == OP_div && !type_is_float(m->operand);
    return divides ? 1 : lanes;
}

static void map(Fn *f, Map *m, uint64_t n, bool padded)
{
    for (uint32_t k = 0; k < m->n_in; k++) {
        padded = padded && (m->in[k].padded || !m->in[k].memory);
        if (!m->in[k].memory && !(m->op->kind == OP_select && k == 0))
            m->in[k].splat = be_splat(f, m->in[k].at, m->lanes);
        else if (!m->in[k].memory)
            m->in[k].splat = m->in[k].at;         /* one i1 chooses whole vectors */
    }
    if (padded)
        n = (n + m->lanes - 1) / m->lanes * m->lanes;
    uint64_t whole = n / m->lanes * m->lanes;
    if (whole > m->lanes) {
        Loop loop = be_loop(f, whole, m->lanes, "elements");
        map_at(f, m, loop.i, m->lanes);
        be_loop_end(f, &loop);
    } else if (whole > 0) {
        map_at(f, m, be_size(f->e, 0), m->lanes);
    }
    if (whole < n)
        map_at(f, m, be_size(f->e, whole), (uint32_t)(n - whole));
}

void be_elementwise(Fn *f, const Op *op)
{
    Type result = value_type(f->net, op->result[0]);
    if (result.elem == ELEM_SET && be_short_sets(f, op))
        return;
    Value typed = op_operand(op, op->kind == OP_select ? 1 : 0);
    Map m = {.op = op, .n_in = op->n_operands, .operand = type_element(value_type(f->net, typed)), .result = type_element(result)};
    for (uint32_t k = 0; k < m.n_in; k++) {
        Type t = value_type(f->net, op_operand(op, k));
        Place p = be_place(f, op_operand(op, k));
        m.in[k] = (Operand){type_element(t), p.at, be_in_memory(t), p.padded, NULL};
    }
    if (!be_in_memory(result)) {
        LLVMValueRef a[MAX_OPERANDS];
        for (uint32_t k = 0; k < m.n_in; k++)
            a[k] = m.in[k].at;
        be_set_scalar(f, op->result[0], apply(f, op, m.operand, a, 1));
        return;
    }
    Place y = be_define(f, op->result[0]);
    m.y = y.at;
    m.lanes = lanes_for(f, &m);
    map(f, &m, elements_of(result), y.padded);
}
