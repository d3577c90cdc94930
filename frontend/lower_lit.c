/* lower_lit.c — numbers on their way to a type.
 *
 * In: literals and compile-time arithmetic on them. Out: constants. The one idea: a literal waits. Integers are exact
 * (shapes, indices); anything else keeps its text and its operations until it meets a type, and then every number is
 * rounded once to that type and the arithmetic is that type's.
 */
#include "lower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- types by name --------------------------------------------------------------------------------------------------------- */

bool fe_element_named(const char *name, Type *out)
{
    if (strcmp(name, "f32") == 0) {
        *out = type_f32();
        return true;
    }
    if (strcmp(name, "f64") == 0) {
        *out = type_f64();
        return true;
    }
    if (name[0] != 'i' || name[1] < '1' || name[1] > '9' || strlen(name) > 6 || name[1 + strspn(name + 1, "0123456789")])
        return false;
    unsigned long bits = strtoul(name + 1, NULL, 10);
    if (bits > IR_MAX_INT_BITS)
        return false;
    *out = type_int((uint32_t)bits);
    return true;
}

/* ---- making literals -------------------------------------------------------------------------------------------------------- */

const Val *fe_lit_tensor(Lowering *l, uint32_t rank, const uint32_t *dim, const Lit **lit)
{
    Val *v = NEW(l->arena, Val);
    v->kind = VAL_LIT;
    v->type.rank = rank;
    for (uint32_t d = 0; d < rank; d++)
        v->type.dim[d] = dim[d];
    v->lit = lit;
    return v;
}

const Val *fe_lit_scalar(Lowering *l, int64_t i, LitKind kind, Span span)
{
    Lit *lit = NEW(l->arena, Lit);
    lit->kind = kind;
    lit->i = i;
    lit->span = span;
    const Lit **one = NEW(l->arena, const Lit *);
    *one = lit;
    return fe_lit_tensor(l, 0, NULL, one);
}

/* Operations waiting below a literal, plus one: bounds recursion and repeated work. */
static int size_of(const Lit *lit)
{
    return lit->kind == LIT_OP ? (int)lit->i : 1;
}

static const Lit *negated(Lowering *l, const Lit *a)
{
    Lit *lit = NEW(l->arena, Lit);
    *lit = *a;
    if (a->kind == LIT_REAL || a->kind == LIT_BIG)
        lit->negative = !a->negative;
    else if (a->kind == LIT_INT && a->i != INT64_MIN) {
        lit->i = -a->i;
        lit->negative = !a->negative && a->i == 0;    /* -0 is itself for integers, -0.0 for floats */
    } else {
        static const Lit zero = {.kind = LIT_INT};
        *lit = (Lit){.kind = LIT_OP, .op = '-', .a = &zero, .b = a, .i = size_of(a) + 1, .span = a->span};
    }
    return lit;
}

const Val *fe_lit_unary(Lowering *l, const Expr *e, const Val *a)
{
    uint64_t n = type_count(a->type);
    const Lit **out = fe_lit_room(l, n, e->span);
    if (!out)
        return fe_val_poison(l);
    for (uint64_t i = 0; i < n; i++) {
        const Lit *lit = a->lit[i];
        bool truth = lit->kind == LIT_TRUTH;
        if (truth != (e->op == OPERATOR_not))
            return fe_fail(l, e->span, "`%s` of %s", fe_operator_text(e->op),
                           truth ? "a truth value" : "a number: only truth values can be negated so");
        if (truth) {
            Lit *flipped = NEW(l->arena, Lit);
            *flipped = *lit;
            flipped->i = !lit->i;
            out[i] = flipped;
        } else {
            out[i] = negated(l, lit);
        }
    }
    return fe_lit_tensor(l, a->type.rank, a->type.dim, out);
}

/* a op b in 64 bits; false when it does not come out exactly. */
static bool exact(char op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case '+': return !__builtin_add_overflow(a, b, out);
    case '-': return !__builtin_sub_overflow(a, b, out);
    case '*': return !__builtin_mul_overflow(a, b, out);
    }
    if (b == 0 || (a == INT64_MIN && b == -1) || a % b != 0)
        return false;
    *out = a / b;
    return true;
}

static const Lit *arithmetic(Lowering *l, const Expr *e, const Lit *a, const Lit *b)
{
    char op = fe_operator_text(e->op)[0];
    Lit *lit = NEW(l->arena, Lit);
    lit->span = e->span;
    if (a->kind == LIT_TRUTH || b->kind == LIT_TRUTH) {
        fe_fail(l, e->span, "`%c` of truth values", op);
        return NULL;
    }
    if (a->kind == LIT_INT && b->kind == LIT_INT && exact(op, a->i, b->i, &lit->i))
        return lit;
    if (op == '/' && b->kind == LIT_INT && b->i == 0) {
        fe_fail(l, e->span, "division by 0");
        return NULL;
    }
    int size = size_of(a) + size_of(b);
    if (size > LOWER_MAX_LIT_SIZE) {
        fe_fail(l, e->span, "more than %d operations on numbers without a type; give them one, as in `f32(…)`", LOWER_MAX_LIT_SIZE);
        return NULL;
    }
    lit->kind = LIT_OP;
    lit->op = op;
    lit->a = a;
    lit->b = b;
    lit->i = size;
    return lit;
}

/* A literal's value for comparing; exact for integers below 2^53, which is what compile-time decisions compare. */
static bool value_of(Lowering *l, const Lit *lit, double *out)
{
    uint8_t bytes[8];
    if (lit->kind == LIT_TRUTH || !fe_lit_store(l, lit, type_f64(), bytes))
        return false;
    memcpy(out, bytes, sizeof *out);
    return true;
}

static const Lit *comparison(Lowering *l, const Expr *e, const Lit *a, const Lit *b)
{
    Lit *lit = NEW(l->arena, Lit);
    lit->kind = LIT_TRUTH;
    lit->span = e->span;
    bool both = a->kind == LIT_TRUTH && b->kind == LIT_TRUTH;
    if (e->op == OPERATOR_and || e->op == OPERATOR_or) {
        if (!both) {
            fe_fail(l, e->span, "`%s` joins truth values", fe_operator_text(e->op));
            return NULL;
        }
        lit->i = e->op == OPERATOR_and ? a->i && b->i : a->i || b->i;
        return lit;
    }
    int order;
    double x, y;
    if (a->kind == LIT_INT && b->kind == LIT_INT) {
        order = (a->i > b->i) - (a->i < b->i);
    } else if (value_of(l, a, &x) && value_of(l, b, &y)) {
        order = (x > y) - (x < y);
    } else {
        fe_fail(l, e->span, "`%s` compares numbers", fe_operator_text(e->op));
        return NULL;
    }
    bool less = order < 0, equal = order == 0;
    lit->i = (e->op == OPERATOR_lt && less) || (e->op == OPERATOR_le && (less || equal)) || (e->op == OPERATOR_eq && equal) ||
             (e->op == OPERATOR_ne && !equal) || (e->op == OPERATOR_gt && !less && !equal) || (e->op == OPERATOR_ge && !less);
    return lit;
}

const Val *fe_lit_binary(Lowering *l, const Expr *e, const Val *a, const Val *b)
{
    bool same = a->type.rank == b->type.rank && memcmp(a->type.dim, b->type.dim, a->type.rank * sizeof a->type.dim[0]) == 0;
    if (!same && a->type.rank != 0 && b->type.rank != 0)
        return fe_fail(l, e->span, "the two sides of `%s` have different shapes: %s and %s", fe_operator_text(e->op),
                       fe_val_type(l, a), fe_val_type(l, b));
    const Val *shape = a->type.rank ? a : b;
    uint64_t n = type_count(shape->type);
    const Lit **out = fe_lit_room(l, n, e->span);
    if (!out)
        return fe_val_poison(l);
    for (uint64_t i = 0; i < n; i++) {
        const Lit *x = a->lit[a->type.rank ? i : 0], *y = b->lit[b->type.rank ? i : 0];
        out[i] = e->op <= OPERATOR_div ? arithmetic(l, e, x, y) : comparison(l, e, x, y);
        if (!out[i])
            return fe_val_poison(l);
    }
    return fe_lit_tensor(l, shape->type.rank, shape->type.dim, out);
}

/* ---- meeting a type ---------------------------------------------------------------------------------------------------------- */

static const char *lit_text(Lowering *l, const Lit *lit)
{
    if (lit->kind == LIT_OP)
        return "this value";
    if (lit->kind == LIT_INT)
        return str_printf(l->arena, "`%lld`", (long long)lit->i);
    return str_printf(l->arena, "`%s%s`", lit->negative ? "-" : "", lit->text);
}

/* The rounded value in f64, or in f32 widened; infinite when it does not fit. */
static double round_to(Lowering *l, const Lit *lit, bool single)
{
    double v = 0;
    switch (lit->kind) {
    case LIT_TRUTH:
        return (double)lit->i;
    case LIT_INT:
        v = single ? (double)(float)lit->i : (double)lit->i;
        return lit->negative ? -v : v;
    case LIT_BIG: case LIT_REAL:
        v = single ? (double)strtof_l(lit->text, NULL, l->locale) : strtod_l(lit->text, NULL, l->locale);
        return lit->negative ? -v : v;
    case LIT_OP: {
        double a = round_to(l, lit->a, single), b = round_to(l, lit->b, single);
        /* Doubles hold the exact sums and products of floats near enough that rounding twice is rounding once. */
        v = lit->op == '+' ? a + b : lit->op == '-' ? a - b : lit->op == '*' ? a * b : a / b;
        return single ? (double)(float)v : v;
    }
    }
    return v;
}

/* Decimal digits as little-endian two's complement; false when they exceed `bits`. */
static bool store_big(const Lit *lit, uint32_t bits, uint8_t *out, size_t bytes)
{
    memset(out, 0, bytes);
    if (strlen(lit->text) > bits / 3 + 2)
        return false;
    for (const char *d = lit->text; *d; d++) {
        unsigned carry = (unsigned)(*d - '0');
        for (size_t i = 0; i < bytes; i++) {
            carry += out[i] * 10u;
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry)
            return false;
    }
    uint32_t top = (bits - 1) % 8;
    bool sign = out[(bits - 1) / 8] >> top & 1, rest = false;
    for (size_t i = 0; i + 1 < bytes; i++)
        rest |= out[i] != 0;
    for (size_t i = (bits - 1) / 8 + 1; i < bytes; i++)
        sign |= out[i] != 0;
    bool is_minimum = sign && !rest && out[bytes - 1] == 1u << top && (bits - 1) / 8 == bytes - 1;
    if (sign && !(lit->negative && is_minimum))
        return false;
    if (lit->negative) {
        unsigned carry = 1;
        for (size_t i = 0; i < bytes; i++) {
            carry += (uint8_t)~out[i];
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    return true;
}

/* The integer a literal stands for, when it is one of 64 bits. */
static bool integer_of(const Lit *lit, int64_t *out)
{
    int64_t a, b;
    switch (lit->kind) {
    case LIT_INT: case LIT_TRUTH:
        *out = lit->i;
        return true;
    case LIT_OP:
        return integer_of(lit->a, &a) && integer_of(lit->b, &b) && exact(lit->op, a, b, out);
    case LIT_BIG: case LIT_REAL:
        return false;
    }
    return false;
}

static bool store_integer(Lowering *l, const Lit *lit, Type element, uint8_t *out)
{
    uint32_t bytes = type_element_bytes(element);
    const char *type = type_print(l->arena, element);
    int64_t i;
    if (lit->kind == LIT_BIG) {
        if (store_big(lit, element.n, out, bytes))
            return true;
    } else if (!integer_of(lit, &i)) {
        fe_fail(l, lit->span, "%s is not an integer, and %s is expected here", lit_text(l, lit), type);
        return false;
    } else if (element.n == 1 ? i == 0 || i == 1
                              : element.n >= 64 || (i >= -((int64_t)1 << (element.n - 1)) && i < (int64_t)1 << (element.n - 1))) {
        memset(out, i < 0 ? 0xff : 0, bytes);
        memcpy(out, &i, bytes < 8 ? bytes : 8);
        return true;
    }
    if (element.n <= 32)
        fe_fail(l, lit->span, "%s does not fit %s, which holds %lld to %lld", lit_text(l, lit), type,
             element.n == 1 ? 0LL : -(1LL << (element.n - 1)), element.n == 1 ? 1LL : (1LL << (element.n - 1)) - 1);
    else
        fe_fail(l, lit->span, "%s does not fit %s", lit_text(l, lit), type);
    return false;
}

bool fe_lit_store(Lowering *l, const Lit *lit, Type element, uint8_t *out)
{
    if (lit->kind == LIT_TRUTH && !type_equal(element, type_int(1))) {
        fe_fail(l, lit->span, "a truth value is no %s", type_print(l->arena, element));
        return false;
    }
    if (type_is_int(element))
        return store_integer(l, lit, element, out);
    double v = round_to(l, lit, element.elem == ELEM_F32);
    if (!isfinite(v)) {
        fe_fail(l, lit->span, "%s does not fit %s, whose greatest number is %s", lit_text(l, lit), type_print(l->arena, element),
             element.elem == ELEM_F32 ? "3.4028235e38" : "1.7976931348623157e308");
        return false;
    }
    if (element.elem == ELEM_F32)
        memcpy(out, &(float){(float)v}, 4);
    else
        memcpy(out, &v, 8);
    return true;
}

bool fe_spend(Lowering *l, uint64_t bytes, Span span)
{
    uint64_t limit = l->options && l->options->sealed ? LOWER_MAX_MADE >> 6 : LOWER_MAX_MADE;
    if (bytes > limit - l->made) {
        fe_fail(l, span, "the constants computed in this file exceed %llu MiB", (unsigned long long)(limit >> 20));
        return false;
    }
    l->made += bytes;
    return true;
}

void *fe_made_bytes(Lowering *l, Type type, Span span)
{
    uint64_t bytes = type_count(type) * type_element_bytes(type);
    return fe_spend(l, bytes, span) ? arena_big(l->m->arena, bytes ? bytes : 1, 64) : NULL;
}

const Lit **fe_lit_room(Lowering *l, uint64_t n, Span span)
{
    return fe_spend(l, n * sizeof(Lit *), span) ? NEW_ARRAY(l->arena, n, const Lit *) : NULL;
}

const Val *fe_lit_to_const(Lowering *l, const Val *v, Type element, const char *name)
{
    Type type = type_with_dims(element, v->type.rank, v->type.dim);
    Span span = v->lit && type_count(type) ? v->lit[0]->span : NOWHERE;
    uint32_t size = type_element_bytes(element);
    uint64_t n = type_count(type);
    uint8_t *data = n <= 64 ? arena_alloc(l->m->arena, n * size) : fe_made_bytes(l, type, span);
    if (!data)
        return fe_val_poison(l);
    for (uint64_t i = 0; i < n; i++)
        if (!fe_lit_store(l, v->lit[i], element, data + i * size))
            return fe_val_poison(l);
    if (!name)
        name = v->label ? v->label : str_printf(l->arena, "c%zu", l->m->consts.len);
    Val *c = NEW(l->arena, Val);
    *c = *fe_val_const(l, const_add(l->m, name, type, data, span));
    c->label = v->label;
    c->span = v->span;
    return c;
}

/* ---- constants converted at compile time ----------------------------------------------------------------------------- */

static int64_t saturated(double v, uint32_t bits)
{
    if (isnan(v))
        return 0;
    double bound = ldexp(1, (int)bits - 1);
    if (v >= bound)
        return bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    if (v <= -bound)
        return bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
    return (int64_t)v;
}

/* Sign-extends the low `bits`; i1 by zero, as cast does. */
static int64_t wrapped(int64_t v, uint32_t bits)
{
    if (bits == 64)
        return v;
    uint64_t low = (uint64_t)v << (64 - bits);
    return bits == 1 ? (int64_t)(low >> 63) : (int64_t)low >> (64 - bits);
}

static int64_t read_int(const uint8_t *at, Type element)
{
    int64_t v = 0;
    uint32_t bytes = type_element_bytes(element);
    memcpy(&v, at, bytes);
    return wrapped(v, element.n);
}

/* The meaning of cast (ops.def), element by element. */
static void convert(const uint8_t *in, Type from, uint8_t *out, Type to)
{
    float f;
    double d;
    int64_t i;
    if (type_is_int(from)) {
        i = read_int(in, from);
        f = (float)i;
        d = (double)i;
    } else {
        if (from.elem == ELEM_F32) {
            memcpy(&f, in, 4);
            d = f;
        } else {
            memcpy(&d, in, 8);
            f = (float)d;
        }
        i = type_is_int(to) ? saturated(d, to.n) : 0;
    }
    if (to.elem == ELEM_F32)
        memcpy(out, &f, 4);
    else if (to.elem == ELEM_F64)
        memcpy(out, &d, 8);
    else
        memcpy(out, &(int64_t){wrapped(i, to.n)}, type_element_bytes(to));
}

const Val *fe_const_cast(Lowering *l, const Val *v, Type element)
{
    Type from = type_element(v->type);
    if ((type_is_int(from) && from.n > 64) || (type_is_int(element) && element.n > 64))
        return NULL;
    const Const *c = const_get(l->m, v->cst);
    Type type = type_with_dims(element, v->type.rank, v->type.dim);
    uint8_t *data = fe_made_bytes(l, type, v->span);
    if (!data)
        return fe_val_poison(l);
    uint64_t n = type_count(type);
    for (uint64_t i = 0; i < n; i++)
        convert(const_element(c, i), from, data + i * type_element_bytes(element), element);
    Val *out = NEW(l->arena, Val);
    *out = *v;
    out->cst = const_add(l->m, c->name, type, data, c->span);
    out->type = type;
    return out;
}
