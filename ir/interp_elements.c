/* interp_elements.c — elementwise ops, reductions, conversions, comparisons with a box.
 *
 * In: slots of one element type, a scalar being repeated. Out: a slot of results, and the counts of what was executed.
 * The one idea: an op is chosen once, outside the loop; the loop is a primitive that does n operations and counts n.
 */
#include "interp.h"
#include "math.h"

#include <math.h>
#include <string.h>

/* How far to go from one element to the next: a scalar meets every element. */
static uint64_t stride_of(const Slot *s, uint64_t n) { return s->type.rank == 0 && n != 0 ? 0 : 1; }

static bool is_f32(const Slot *s) { return s->type.elem == ELEM_F32; }

/* ---- binary ----------------------------------------------------------------------------------------------------------- */

/* r[i] = expression of x = a[i], y = b[i], in T */
#define FLOAT_LOOP(name, T, TU, expression) \
    static void name(uint64_t n, TU *r, const TU *a, uint64_t sa, const TU *b, uint64_t sb) \
    { \
        for (uint64_t i = 0; i < n; i++) { \
            T x = a[i * sa], y = b[i * sb]; \
            r[i] = (expression); \
        } \
    }
#define BINARY_LOOPS(op, expression) \
    FLOAT_LOOP(op##_f32, float, f32u, expression) \
    FLOAT_LOOP(op##_f64, double, f64u, expression)

BINARY_LOOPS(add, x + y)
BINARY_LOOPS(sub, x - y)
BINARY_LOOPS(mul, x * y)
BINARY_LOOPS(div, x / y)
BINARY_LOOPS(min, y < x ? y : x)
BINARY_LOOPS(max, y > x ? y : x)

typedef struct Binary {
    OpKind kind;
    void (*f32)(uint64_t n, f32u *r, const f32u *a, uint64_t sa, const f32u *b, uint64_t sb);
    void (*f64)(uint64_t n, f64u *r, const f64u *a, uint64_t sa, const f64u *b, uint64_t sb);
    IntBinary *integer;
    size_t counter;                /* which of Counts one element adds 1 to */
} Binary;

#define BINARY(op, counter) {OP_##op, op##_f32, op##_f64, int_##op, offsetof(Counts, counter)}
#define BITWISE(op)         {OP_##op, NULL, NULL, int_##op, offsetof(Counts, other)}

static const Binary binaries[] = {
    BINARY(add, add), BINARY(sub, add), BINARY(mul, mul), BINARY(div, other), BINARY(min, cmp), BINARY(max, cmp),
    BITWISE(and), BITWISE(or), BITWISE(xor),
};

static const Binary *binary_of(OpKind kind)
{
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (binaries[i].kind == kind)
            return &binaries[i];
    ICE("op %d is not binary", (int)kind);
}

static void count_more(Interp *in, size_t counter, uint64_t n)
{
    *(uint64_t *)((char *)&in->counted + counter) += n;
}

/* n operations on elements at strides sa, sb, sr (in elements); counted. */
static void apply(Interp *in, const Binary *op, Type t, uint64_t n, uint8_t *r, const uint8_t *a, uint64_t sa, const uint8_t *b,
                  uint64_t sb)
{
    if (t.elem == ELEM_F32) {
        op->f32(n, (f32u *)r, (const f32u *)a, sa, (const f32u *)b, sb);
    } else if (t.elem == ELEM_F64) {
        op->f64(n, (f64u *)r, (const f64u *)a, sa, (const f64u *)b, sb);
    } else {
        uint32_t size = type_element_bytes(t);
        for (uint64_t i = 0; i < n; i++)
            op->integer(t.n, r + i * size, a + i * sa * size, b + i * sb * size);
    }
    count_more(in, op->counter, n);
}

void step_binary(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *b = step->operand[1], *r = step->result[0];
    apply(in, binary_of(step->op->kind), r->type, r->count, r->at, a->at, stride_of(a, r->count), b->at, stride_of(b, r->count));
}

void step_bits(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *b = step->operand[1], *r = step->result[0];
    if (r->type.elem != ELEM_SET) {
        step_binary(in, step);
        return;
    }
    for (uint64_t i = 0; i < r->count; i++)
        r->at[i] = step->op->kind == OP_and ? a->at[i] & b->at[i] : step->op->kind == OP_or ? a->at[i] | b->at[i] : a->at[i] ^ b->at[i];
}

/* ---- unary ------------------------------------------------------------------------------------------------------------- */

#define UNARY_LOOP(name, T, TU, expression) \
    static void name(uint64_t n, TU *r, const TU *a) \
    { \
        for (uint64_t i = 0; i < n; i++) { \
            T x = a[i]; \
            r[i] = (expression); \
        } \
    }
#define UNARY_LOOPS(op, expression32, expression64) \
    UNARY_LOOP(op##_f32, float, f32u, expression32) \
    UNARY_LOOP(op##_f64, double, f64u, expression64)

UNARY_LOOPS(neg, -x, -x)
UNARY_LOOPS(abs, fabsf(x), fabs(x))
UNARY_LOOPS(relu, x <= 0 ? 0.0f : x, x <= 0 ? 0.0 : x)
UNARY_LOOPS(exp, math_exp_f32(x), math_exp_f64(x))
UNARY_LOOPS(tanh, math_tanh_f32(x), math_tanh_f64(x))
UNARY_LOOPS(sigmoid, math_sigmoid_f32(x), math_sigmoid_f64(x))
UNARY_LOOPS(sqrt, sqrtf(x), sqrt(x))

static void int_relu(uint32_t bits, uint8_t *r, const uint8_t *a)
{
    uint64_t zero[IR_MAX_INT_BITS / 64];
    memset(zero, 0, (bits + 63) / 64 * 8);
    int_max(bits, r, a, (const uint8_t *)zero);
}

typedef struct Unary {
    OpKind kind;
    void (*f32)(uint64_t n, f32u *r, const f32u *a);
    void (*f64)(uint64_t n, f64u *r, const f64u *a);
    void (*integer)(uint32_t bits, uint8_t *r, const uint8_t *a);
    size_t counter;
} Unary;

#define UNARY(op, integer, counter) {OP_##op, op##_f32, op##_f64, integer, offsetof(Counts, counter)}

static const Unary unaries[] = {
    UNARY(neg, int_neg, add), UNARY(abs, int_abs, cmp), UNARY(relu, int_relu, cmp), UNARY(exp, NULL, other),
    UNARY(tanh, NULL, other), UNARY(sigmoid, NULL, other), UNARY(sqrt, NULL, other),
};

void step_unary(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    const Unary *op = unaries;
    while (op->kind != step->op->kind)
        op++;
    if (is_f32(a)) {
        op->f32(r->count, (f32u *)r->at, (const f32u *)a->at);
    } else if (a->type.elem == ELEM_F64) {
        op->f64(r->count, (f64u *)r->at, (const f64u *)a->at);
    } else {
        for (uint64_t i = 0; i < r->count; i++)
            op->integer(a->type.n, r->at + i * r->size, a->at + i * a->size);
    }
    count_more(in, op->counter, r->count);
}

/* ---- comparing, choosing ------------------------------------------------------------------------------------------------- */

static bool holds_f64(Pred pred, double x, double y)
{
    switch (pred) {
    case PRED_eq: return x == y;
    case PRED_ne: return x != y;
    case PRED_lt: return x < y;
    case PRED_le: return x <= y;
    case PRED_gt: return x > y;
    case PRED_ge: return x >= y;
    }
    ICE("comparison %d", (int)pred);
}

/* f32 is compared as f64: widening is exact. */
static double float_at(const Slot *s, uint64_t i)
{
    return is_f32(s) ? (double)((const f32u *)s->at)[i] : ((const f64u *)s->at)[i];
}

static bool holds(Pred pred, const Slot *a, uint64_t i, const Slot *b, uint64_t j)
{
    if (type_is_float(a->type))
        return holds_f64(pred, float_at(a, i), float_at(b, j));
    return holds_f64(pred, int_compare(a->type.n, a->at + i * a->size, b->at + j * b->size), 0);
}

void step_cmp(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *b = step->operand[1], *r = step->result[0];
    uint64_t sa = stride_of(a, r->count), sb = stride_of(b, r->count);
    for (uint64_t i = 0; i < r->count; i++)
        r->at[i] = holds((Pred)step->op->attr[0].i, a, i * sa, b, i * sb);
    in->counted.cmp += r->count;
}

void step_select(Interp *in, const Step *step)
{
    const Slot *c = step->operand[0], *a = step->operand[1], *b = step->operand[2], *r = step->result[0];
    (void)in;
    if (c->type.rank == 0) {
        memcpy(r->at, c->at[0] ? a->at : b->at, r->count * r->size);
        return;
    }
    for (uint64_t i = 0; i < r->count; i++)
        memcpy(r->at + i * r->size, (c->at[i] ? a->at : b->at) + i * r->size, r->size);
}

/* Free, like every comparison's use; the comparisons themselves are not: two for an element, none skipped. */
void step_within(Interp *in, const Step *step)
{
    const Slot *x = step->operand[0], *r = step->result[0];
    Slot lo = *x, hi = *x;
    lo.at = (uint8_t *)step->data[0];
    hi.at = lo.at + x->count * x->size;
    bool inside = true;
    for (uint64_t i = 0; i < x->count; i++) {
        bool above = holds(PRED_le, &lo, i, x, i), below = holds(PRED_le, x, i, &hi, i);
        inside = inside && above && below;
    }
    in->counted.cmp += 2 * x->count;
    *r->at = inside;
}

/* ---- converting ------------------------------------------------------------------------------------------------------------ */

static void cast_from_float(const Slot *a, const Slot *r, uint64_t i)
{
    double x = float_at(a, i);
    if (is_f32(r))
        ((f32u *)r->at)[i] = (float)x;
    else if (r->type.elem == ELEM_F64)
        ((f64u *)r->at)[i] = x;
    else
        int_from_f64(r->type.n, r->at + i * r->size, x);
}

/* The nearest of 0 … n-1. */
static uint32_t index_in_range(uint32_t bits, const uint8_t *a, uint32_t n)
{
    uint8_t limit[IR_MAX_INT_BITS / 8], zero[IR_MAX_INT_BITS / 8] = {0};
    uint32_t wide = bits > 32 ? bits : 64;
    int_resize(wide, limit, 64, (const uint8_t *)&(uint64_t){n - 1});
    uint8_t value[IR_MAX_INT_BITS / 8];
    int_resize(wide, value, bits, a);
    if (int_compare(wide, value, zero) <= 0)
        return 0;
    return int_compare(wide, value, limit) >= 0 ? n - 1 : (uint32_t)*(const u64u *)value;
}

static void cast_from_int(uint32_t bits, const uint8_t *a, const Slot *r, uint64_t i)
{
    if (is_f32(r))
        ((f32u *)r->at)[i] = int_to_f32(bits, a);
    else if (r->type.elem == ELEM_F64)
        ((f64u *)r->at)[i] = int_to_f64(bits, a);
    else if (r->type.elem == ELEM_IDX)
        ((u32u *)r->at)[i] = index_in_range(bits, a, r->type.n);
    else
        int_resize(r->type.n, r->at + i * r->size, bits, a);
}

void step_cast(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    (void)in;
    for (uint64_t i = 0; i < r->count; i++) {
        if (type_is_float(a->type)) {
            cast_from_float(a, r, i);
        } else if (a->type.elem == ELEM_IDX) {
            uint64_t wide = ((const u32u *)a->at)[i];
            cast_from_int(64, (const uint8_t *)&wide, r, i);
        } else {
            cast_from_int(a->type.n, a->at + i * a->size, r, i);
        }
    }
}

void step_shift(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    for (uint64_t i = 0; i < r->count; i++)
        (step->op->kind == OP_shl ? int_shl : int_lshr)(a->type.n, r->at + i * r->size, a->at + i * a->size, (uint32_t)step->op->attr[0].i);
    in->counted.other += r->count;
}

void step_ord(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    (void)in;
    for (uint64_t i = 0; i < r->count; i++) {
        if (is_f32(a)) {
            uint32_t bits = ((const u32u *)a->at)[i];
            ((u32u *)r->at)[i] = bits >> 31 ? 0 - (bits & 0x7fffffffu) : bits;
        } else {
            uint64_t bits = ((const u64u *)a->at)[i];
            ((u64u *)r->at)[i] = bits >> 63 ? 0 - (bits & 0x7fffffffffffffffu) : bits;
        }
    }
}

/* ---- reducing ---------------------------------------------------------------------------------------------------------------- */

/* r = a[first] op a[first + step] op … ; one operation fewer than elements. */
static void fold(Interp *in, const Binary *op, const Slot *a, uint64_t first, uint64_t step, uint8_t *r)
{
    memcpy(r, a->at + first * a->size, a->size);
    for (uint64_t i = first + step; i < a->count; i += step)
        apply(in, op, a->type, 1, r, r, 0, a->at + i * a->size, 0);
}

/* Only a float sum has chains: there the order decides latency and bits. Chains that got no element take no part. */
void step_reduce(Interp *in, const Step *step)
{
    static const OpKind kinds[] = {[REDUCE_add] = OP_add, [REDUCE_mul] = OP_mul, [REDUCE_min] = OP_min, [REDUCE_max] = OP_max};
    const Slot *a = step->operand[0], *r = step->result[0];
    const Binary *op = binary_of(kinds[step->op->attr[0].i]);
    uint64_t chains = op->kind == OP_add && type_is_float(a->type) && step->op->attr[1].i > 1 ? (uint64_t)step->op->attr[1].i : 1;
    double chain[IR_MAX_CHAINS];
    if (chains == 1) {
        fold(in, op, a, 0, 1, r->at);
        return;
    }
    for (uint64_t c = 0; c < chains && c < a->count; c++)
        fold(in, op, a, c, chains, (uint8_t *)&chain[c]);
    for (uint64_t half = chains / 2; half >= 1; half /= 2)
        for (uint64_t c = 0; c < half && c + half < a->count; c++)
            apply(in, op, a->type, 1, (uint8_t *)&chain[c], (uint8_t *)&chain[c], 0, (uint8_t *)&chain[c + half], 0);
    memcpy(r->at, &chain[0], r->size);
}
