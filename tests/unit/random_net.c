/* random_net.c — random networks, op by op through the builder.
 *
 * The one idea: `value_of` makes a value of any type out of what is visible (a value of that type, a cast, a reduction
 * spread out, a constant), so every maker below asks for the operands it wants and always gets them, and results depend on
 * the inputs.
 */
#include "random_net.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_DEPTH = 3 };

typedef struct Gen {
    Module *m;
    Network *net;
    Builder b;
    uint64_t state;
    unsigned features;
    Vec(Value) visible;
    Network *callee;
    int32_t left;                  /* ops still to make */
    uint32_t depth;
} Gen;

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
    uint64_t z = random_next(state);
    return n ? (uint32_t)(z % n) : 0;
}

static uint32_t below(Gen *g, uint32_t n) { return random_below(&g->state, n); }
static bool chance(Gen *g, uint32_t percent) { return below(g, 100) < percent; }
static bool has(const Gen *g, unsigned feature) { return (g->features & feature) != 0; }

/* ---- elements ---- */

static double random_float(uint64_t *state, bool wild)
{
    static const double special[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, -1e-42, 3.0, NAN, INFINITY, -INFINITY};
    if (random_below(state, 8) == 0)
        return special[random_below(state, wild ? 11 : 8)];
    return (double)(int32_t)random_next(state) / 2147483648.0;
}

static void random_int(uint64_t *state, Type type, uint8_t *at)
{
    uint32_t bytes = type_element_bytes(type), top = (type.n - 1) % 8;
    uint32_t style = random_below(state, 8);
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = style == 0 ? 0 : style == 1 ? 0xff : (uint8_t)random_next(state);
    if (style > 3 && type.n > 4) { /* small magnitudes */
        int8_t v = (int8_t)(random_below(state, 15)) - 7;
        memset(at, v < 0 ? 0xff : 0, bytes);
        at[0] = (uint8_t)v;
    }
    bool negative = type.n > 1 && (at[(type.n - 1) / 8] >> top & 1);
    at[(type.n - 1) / 8] &= (uint8_t)((2u << top) - 1);
    at[(type.n - 1) / 8] |= (uint8_t)(negative ? ~((2u << top) - 1) : 0);
    for (uint32_t i = (type.n - 1) / 8 + 1; i < bytes; i++)
        at[i] = negative ? 0xff : 0;
}

void random_elements(uint64_t *state, Type type, uint64_t count, bool wild, void *at)
{
    uint32_t bytes = type_element_bytes(type);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *to = (uint8_t *)at + i * bytes;
        if (type.elem == ELEM_F32)
            memcpy(to, &(float){(float)random_float(state, wild)}, bytes);
        else if (type.elem == ELEM_F64)
            memcpy(to, &(double){random_float(state, wild)}, bytes);
        else if (type.elem == ELEM_IDX)
            memcpy(to, &(uint32_t){random_below(state, type.n)}, bytes);
        else
            random_int(state, type, to);
    }
}

void random_buffers(Arena *arena, const Network *net, uint64_t seed, bool wild, void ***inputs, void ***outputs)
{
    *inputs = NEW_ARRAY(arena, net->n_inputs, void *);
    *outputs = NEW_ARRAY(arena, net->n_outputs, void *);
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        uint64_t n = type_count(net->input[i].type);
        (*inputs)[i] = arena_array(arena, n, type_element_bytes(net->input[i].type));
        random_elements(&seed, net->input[i].type, n, wild, (*inputs)[i]);
    }
    for (uint32_t i = 0; i < net->n_outputs; i++)
        (*outputs)[i] = arena_array(arena, type_count(net->output[i].type), type_element_bytes(net->output[i].type));
}

/* ---- what code may touch ---- */

static bool is_nan(Type type, const uint8_t *at)
{
    float f = 0;
    double d = 0;
    if (type.elem == ELEM_F32)
        memcpy(&f, at, 4);
    if (type.elem == ELEM_F64)
        memcpy(&d, at, 8);
    return isnan(f) || isnan(d);
}

bool same_elements(Type type, const void *a, const void *b)
{
    uint32_t size = type_element_bytes(type);
    const uint8_t *x = a, *y = b;
    for (uint64_t i = 0; i < type_count(type); i++, x += size, y += size)
        if (memcmp(x, y, size) != 0 && !(is_nan(type, x) && is_nan(type, y)))
            return false;
    return true;
}

typedef struct Mapping { void *at; size_t bytes; } Mapping;

static void unmap(void *mapping)
{
    const Mapping *m = mapping;
    munmap(m->at, m->bytes);
}

void *at_page_end(Arena *arena, uint64_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = ((size_t)bytes + page - 1) / page * page;
    Mapping *m = NEW(arena, Mapping);
    *m = (Mapping){mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), whole + page};
    if (m->at == MAP_FAILED || mprotect((uint8_t *)m->at + whole, page, PROT_NONE) != 0)
        ICE("no pages for a test");
    arena_defer(arena, unmap, m);
    return (uint8_t *)m->at + whole - bytes;
}

enum { MARGIN = 128, UNTOUCHED = 0xa5 };

static uint64_t output_bytes(const Network *net, uint32_t i)
{
    return type_count(net->output[i].type) * type_element_bytes(net->output[i].type);
}

void **outputs_with_margins(Arena *arena, const Network *net)
{
    void **out = NEW_ARRAY(arena, net->n_outputs + 1, void *);
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        uint8_t *at = arena_alloc(arena, output_bytes(net, i) + 2 * MARGIN);
        memset(at, UNTOUCHED, output_bytes(net, i) + 2 * MARGIN);
        out[i] = at + MARGIN;
    }
    return out;
}

bool margins_untouched(const Network *net, void *const *outputs)
{
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        const uint8_t *before = (const uint8_t *)outputs[i] - MARGIN, *after = (const uint8_t *)outputs[i] + output_bytes(net, i);
        for (uint32_t k = 0; k < MARGIN; k++)
            if (before[k] != UNTOUCHED || after[k] != UNTOUCHED)
                return false;
    }
    return true;
}

/* ---- types ---- */

static uint32_t extent(Gen *g)
{
    if (has(g, RANDOM_EMPTY) && chance(g, 4))
        return 0;
    return chance(g, 6) ? 17 + below(g, 20) : 1 + below(g, 5);
}

static Type float_element(Gen *g) { return has(g, RANDOM_F64) && chance(g, 35) ? type_f64() : type_f32(); }

static Type int_element(Gen *g)
{
    static const uint32_t bits[] = {1, 8, 16, 32, 32, 64, 5, 13, 47};
    if (has(g, RANDOM_WIDE) && chance(g, 20))
        return type_int(65 + below(g, 136));
    return type_int(bits[below(g, sizeof bits / sizeof *bits)]);
}

static Type number_element(Gen *g)
{
    return has(g, RANDOM_INTS) && chance(g, 30) ? int_element(g) : float_element(g);
}

static Type number_type(Gen *g)
{
    uint32_t rank = chance(g, 60) ? 1 : below(g, 4), dim[IR_MAX_RANK];
    for (uint32_t d = 0; d < rank; d++)
        dim[d] = extent(g);
    return type_with_dims(number_element(g), rank, dim);
}

static bool is_number(Type t) { return type_is_float(t) || type_is_int(t); }
static bool is_vector(Type t) { return t.rank == 1 && is_number(t); }
static bool is_float_vector(Type t) { return t.rank == 1 && type_is_float(t); }
static bool is_some(Type t) { return is_number(t) && type_count(t) > 0; }
static bool is_some_vector(Type t) { return is_vector(t) && t.dim[0] > 0; }
static bool is_tensor(Type t) { return t.elem != ELEM_SET && t.rank > 0; }
static bool is_set(Type t) { return t.elem == ELEM_SET && t.n > 0; }
static bool is_index(Type t) { return t.elem == ELEM_IDX && t.rank == 0; }
static bool is_index_list(Type t) { return t.elem == ELEM_IDX && t.rank == 1; }
static bool can_leave(Type t) { return t.elem != ELEM_SET; }

/* ---- values ---- */

static Type type_of(Gen *g, Value v) { return value_type(g->net, v); }

/* A visible value that satisfies `fits`, or 0; late ones more often, so that networks get deep. */
static Value pick(Gen *g, bool (*fits)(Type))
{
    Value found = 0;
    uint32_t n = 0;
    for (size_t i = 0; i < g->visible.len; i++)
        if (fits(type_of(g, g->visible.at[i]))) {
            n++;
            if (below(g, n) < 1 + (n > 3))
                found = g->visible.at[i];
        }
    return found;
}

static Value see(Gen *g, Value v)
{
    static const char *const names[] = {"h", "h", "odd name", "12", "h.2", "quote\"s", "\xc3\xa9", "a\\b", "z", "", "%h"};
    if (chance(g, 15))
        value_name(g->net, v, names[has(g, RANDOM_ODD_NAMES) ? below(g, sizeof names / sizeof *names) : below(g, 2)]);
    vec_push(g->m->arena, g->visible, v);
    return v;
}

static uint8_t *elements(Gen *g, Type type)
{
    uint64_t n = type_count(type);
    uint8_t *data = arena_array(g->m->arena, n, type_element_bytes(type));
    random_elements(&g->state, type, n, has(g, RANDOM_NONFINITE) && chance(g, 20), data);
    if (chance(g, 20) && n > 0) /* zero weights */
        memset(data, 0, type_element_bytes(type) * (n / 2));
    return data;
}

static ConstId constant(Gen *g, Type type)
{
    const uint8_t *data = elements(g, type);
    return const_add(g->m, chance(g, 50) ? "W" : "c", type, data, NOWHERE);
}

/* Now and then a transposed view of other bytes. */
static ConstId matrix(Gen *g, Type element, uint32_t rows, uint32_t cols)
{
    if (chance(g, 25))
        return const_transposed(g->m, constant(g, type_matrix(element, cols, rows)), (uint32_t[]){1, 0});
    return constant(g, type_matrix(element, rows, cols));
}

/* Weights of which any share may be zero, of either sign. */
static ConstId sparse_matrix(Gen *g, Type element, uint32_t rows, uint32_t cols)
{
    static const uint32_t shares[] = {0, 10, 50, 90, 100};
    bool transposed = chance(g, 25);
    Type type = transposed ? type_matrix(element, cols, rows) : type_matrix(element, rows, cols);
    uint32_t share = shares[below(g, 5)], bytes = type_element_bytes(type);
    uint8_t *data = elements(g, type);
    for (uint64_t i = 0; i < type_count(type); i++)
        if (chance(g, share)) {
            memset(data + i * bytes, 0, bytes);
            if (type_is_float(type) && chance(g, 50))
                data[(i + 1) * bytes - 1] = 0x80;
        }
    ConstId W = const_add(g->m, "S", type, data, NOWHERE);
    return transposed ? const_transposed(g->m, W, (uint32_t[]){1, 0}) : W;
}

/* n of them, as a stack. */
static ConstId sparse_matrices(Gen *g, Type element, uint32_t n, uint32_t rows, uint32_t cols)
{
    bool transposed = chance(g, 25);
    uint32_t dim[3] = {n, transposed ? cols : rows, transposed ? rows : cols};
    ConstId all = const_reshaped(g->m, sparse_matrix(g, element, n * dim[1], dim[2]), 3, dim);
    return const_stack(g->m, transposed ? const_transposed(g->m, all, (uint32_t[]){0, 2, 1}) : all);
}

static Value value_of(Gen *g, Type type);

static Value set_of(Gen *g, uint32_t n)
{
    for (size_t i = g->visible.len; i-- > 0;)
        if (type_equal(type_of(g, g->visible.at[i]), type_set(n)) && chance(g, 60))
            return g->visible.at[i];
    OpInit init = {.kind = OP_active, .n_operands = 1, .operand = (Value[]){value_of(g, type_vector(type_f32(), n))},
                   .attr = {{.i = below(g, 3)}}};
    return see(g, build_op(&g->b, &init)->result[0]);
}

/* An index below n (n > 0), perhaps of a smaller range. */
static Value index_below(Gen *g, uint32_t n)
{
    for (size_t i = g->visible.len; i-- > 0;) {
        Type t = type_of(g, g->visible.at[i]);
        if (is_index(t) && t.n <= n && chance(g, 70))
            return g->visible.at[i];
    }
    if (has(g, RANDOM_INDICES) && chance(g, 70))
        return see(g, build_unary(&g->b, chance(g, 50) ? OP_argmax : OP_argmin, value_of(g, type_vector(type_f32(), n))));
    return build_const(&g->b, constant(g, type_idx(n)));
}

/* See the head of this file. */
static Value value_of(Gen *g, Type type)
{
    if (type.elem == ELEM_SET)
        return set_of(g, type.n);
    for (size_t i = g->visible.len; i-- > 0;)
        if (type_equal(type_of(g, g->visible.at[i]), type) && chance(g, 70))
            return g->visible.at[i];
    if (type.elem == ELEM_IDX && type.rank == 0 && chance(g, 50)) {
        Value i = index_below(g, type.n);
        if (type_of(g, i).n == type.n)
            return i;
    }
    Value from = pick(g, is_some);
    if (type.elem == ELEM_IDX || !from || chance(g, 10))
        return build_const(&g->b, constant(g, type));
    if (type_of(g, from).rank == type.rank && type_equal(type_with_dims(type, type.rank, type_of(g, from).dim), type))
        return build_cast(&g->b, from, type_element(type));
    Value scalar = type_of(g, from).rank == 0 ? from : build_reduce(&g->b, (ReduceKind)below(g, 4), from, 1u << below(g, 5));
    scalar = build_cast(&g->b, scalar, type_element(type));
    return type.rank == 0 ? scalar : build_splat(&g->b, scalar, type);
}

static Value some(Gen *g, bool (*fits)(Type), Type otherwise)
{
    Value v = pick(g, fits);
    return v ? v : value_of(g, otherwise);
}

static Value some_vector(Gen *g) { return some(g, is_vector, type_vector(float_element(g), extent(g))); }
static Value some_number(Gen *g) { return some(g, is_number, number_type(g)); }
static Value some_floats(Gen *g) { return some(g, is_float_vector, type_vector(float_element(g), extent(g))); }

/* ---- makers: each adds one op, and what its operands need ---- */

static void make_affine(Gen *g)
{
    Value operand[5] = {some_vector(g)};
    Type x = type_of(g, operand[AFFINE_x]), w = x.elem == ELEM_F64 && chance(g, 40) ? type_f32() : type_element(x);
    uint32_t rows = extent(g), cols = x.dim[0];
    OpInit init = {.kind = OP_affine, .n_operands = 5, .operand = operand};
    if (has(g, RANDOM_ZEROS) && chance(g, 50)) {
        init.attr[AFFINE_zeros].i = ZEROS_skip;
        uint32_t n = has(g, RANDOM_STACKS) && chance(g, 40) ? 1 + below(g, 4) : 0;
        init.cst[AFFINE_W] = n > 0 ? sparse_matrices(g, w, n, rows, cols) : sparse_matrix(g, w, rows, cols);
        operand[AFFINE_i] = n > 0 ? index_below(g, n) : 0;
    } else if (has(g, RANDOM_STACKS) && chance(g, 25)) {
        uint32_t n = 1 + below(g, 4);
        init.cst[AFFINE_W] = const_stack(g->m, constant(g, type_with_dims(w, 3, (uint32_t[]){n, rows, cols})));
        operand[AFFINE_i] = index_below(g, n);
    } else {
        init.cst[AFFINE_W] = matrix(g, w, rows, cols);
    }
    if (has(g, RANDOM_STACKS) && chance(g, 20)) {
        uint32_t n = 1 + below(g, 4);
        init.cst[AFFINE_b] = const_stack(g->m, constant(g, type_matrix(w, n, rows)));
        operand[AFFINE_j] = index_below(g, n);
    } else if (chance(g, 75)) {
        init.cst[AFFINE_b] = constant(g, type_vector(w, rows));
    }
    if (has(g, RANDOM_SETS) && chance(g, 40))
        operand[AFFINE_cols] = set_of(g, cols);
    if (has(g, RANDOM_SETS) && chance(g, 20) && !init.attr[AFFINE_zeros].i)
        operand[AFFINE_rows] = set_of(g, rows);
    init.attr[AFFINE_order].i = chance(g, 50) ? 1 : 1 << below(g, 5);
    Op *op = build_op(&g->b, &init);
    op->lower = chance(g, 40) ? (Lower)below(g, LOWER_gather + 1) : LOWER_auto;
    if (op->lower == LOWER_gather && op->attr[AFFINE_zeros].i != ZEROS_skip)
        op->lower = LOWER_auto;
    if ((op->lower == LOWER_mask || op->lower == LOWER_list) && chance(g, 50))
        op->below = below(g, 40);
    Value y = see(g, op->result[0]);
    if (chance(g, 60))
        see(g, build_unary(&g->b, OP_relu, y));
}

static void make_matmul(Gen *g)
{
    Value a = some_vector(g);
    Type t = type_of(g, a);
    if (chance(g, 50))
        see(g, build_matmul(&g->b, a, value_of(g, type_matrix(type_element(t), t.dim[0], extent(g))), 1u << below(g, 5)));
    else if (chance(g, 50))
        see(g, build_matmul(&g->b, value_of(g, type_matrix(type_element(t), extent(g), t.dim[0])), a, 1u << below(g, 5)));
    else
        see(g, build_matmul(&g->b, value_of(g, type_matrix(type_element(t), extent(g), 3)),
                            value_of(g, type_matrix(type_element(t), 3, extent(g))), 1u << below(g, 5)));
}

static void make_arithmetic(Gen *g)
{
    static const OpKind kinds[] = {OP_add, OP_sub, OP_mul, OP_min, OP_max, OP_div};
    Value a = some_number(g), b = value_of(g, chance(g, 70) ? type_of(g, a) : type_element(type_of(g, a)));
    bool swap = chance(g, 50);
    see(g, build_binary(&g->b, kinds[below(g, has(g, RANDOM_MATH) ? 6 : 5)], swap ? b : a, swap ? a : b));
}

static void make_unary(Gen *g)
{
    static const OpKind kinds[] = {OP_neg, OP_abs, OP_relu};
    see(g, build_unary(&g->b, kinds[below(g, 3)], some_number(g)));
}

static void make_math(Gen *g)
{
    static const OpKind kinds[] = {OP_exp, OP_tanh, OP_sigmoid, OP_sqrt};
    see(g, build_unary(&g->b, kinds[below(g, 4)], some_floats(g)));
}

static void make_softmax(Gen *g)
{
    Value x = some_floats(g);
    if (type_count(type_of(g, x)) > 0)
        see(g, build_softmax(&g->b, x));
}

static void make_select(Gen *g)
{
    Value a = some_number(g), b = value_of(g, type_of(g, a));
    Value x = chance(g, 50) ? a : value_of(g, type_element(type_of(g, a))), y = chance(g, 50) ? b : value_of(g, type_element(type_of(g, a)));
    Value c = see(g, build_cmp(&g->b, (Pred)below(g, 6), x, y));
    if (type_of(g, c).rank == 0 || type_equal(type_with_dims(type_of(g, a), type_of(g, c).rank, type_of(g, c).dim), type_of(g, a)))
        see(g, build_select(&g->b, c, a, b));
}

static bool may_be_index(Type t) { return type_is_int(t) || t.elem == ELEM_IDX; }

static void make_cast(Gen *g)
{
    Value index = has(g, RANDOM_INDICES) && chance(g, 30) ? pick(g, may_be_index) : 0;
    if (index)
        see(g, build_cast(&g->b, index, type_idx(1 + below(g, 9))));
    else
        see(g, build_cast(&g->b, some_number(g), number_element(g)));
}

static bool is_int_tensor(Type t) { return type_is_int(t); }

static void make_bits(Gen *g)
{
    static const OpKind kinds[] = {OP_and, OP_or, OP_xor};
    Value a = has(g, RANDOM_SETS) && chance(g, 40) ? pick(g, is_set) : pick(g, is_int_tensor);
    if (a)
        see(g, build_binary(&g->b, kinds[below(g, 3)], a, value_of(g, type_of(g, a))));
}

static void make_shift(Gen *g)
{
    Value a = some(g, is_int_tensor, type_vector(int_element(g), extent(g)));
    OpInit init = {.kind = chance(g, 50) ? OP_shl : OP_lshr, .n_operands = 1, .operand = &a, .attr = {{.i = below(g, type_of(g, a).n)}}};
    see(g, build_op(&g->b, &init)->result[0]);
}

static void make_ord(Gen *g) { see(g, build_unary(&g->b, OP_ord, some_floats(g))); }

static void make_reduction(Gen *g)
{
    if (chance(g, 30)) {
        Value a = some_vector(g);
        OpInit init = {.kind = OP_dot, .n_operands = 2, .operand = (Value[]){a, value_of(g, type_of(g, a))}, .attr = {{.i = 1 << below(g, 5)}}};
        see(g, build_op(&g->b, &init)->result[0]);
    } else {
        see(g, build_reduce(&g->b, (ReduceKind)below(g, 4), some(g, is_some, type_vector(float_element(g), 3)), 1u << below(g, 5)));
    }
}

static void make_best(Gen *g)
{
    Value a = some(g, is_some_vector, type_vector(float_element(g), 1 + below(g, 5)));
    if (chance(g, 50)) {
        see(g, build_unary(&g->b, chance(g, 50) ? OP_argmax : OP_argmin, a));
        return;
    }
    OpInit init = {.kind = OP_topk, .n_operands = 1, .operand = &a, .attr = {{.i = 1 + below(g, type_of(g, a).dim[0])}}};
    Op *op = build_op(&g->b, &init);
    see(g, op->result[0]);
    see(g, op->result[1]);
}

static void make_index(Gen *g)
{
    Value a = some(g, is_tensor, type_matrix(float_element(g), 2, 3));
    if (type_of(g, a).dim[0] > 0)
        see(g, build_binary(&g->b, OP_index, a, index_below(g, type_of(g, a).dim[0])));
}

static void make_shape(Gen *g)
{
    Value a = some(g, is_tensor, type_matrix(float_element(g), 2, 3));
    Type t = type_of(g, a);
    uint32_t perm[IR_MAX_RANK], from[IR_MAX_RANK], size[IR_MAX_RANK];
    for (uint32_t d = 0; d < t.rank; d++) {
        perm[d] = t.rank - 1 - d;
        from[d] = below(g, t.dim[d] + 1);
        size[d] = below(g, t.dim[d] - from[d] + 1);
        if (!has(g, RANDOM_EMPTY) && size[d] == 0)
            from[d] = 0, size[d] = t.dim[d];
    }
    uint32_t count = (uint32_t)type_count(t);
    switch (below(g, 4)) {
    case 0:
        see(g, count % 2 ? build_reshape(&g->b, a, 1, &count) : build_reshape(&g->b, a, 2, (uint32_t[]){2, count / 2}));
        break;
    case 1:
        see(g, build_transpose(&g->b, a, perm));
        break;
    case 2:
        see(g, build_slice(&g->b, a, from, size));
        break;
    default:
        see(g, build_concat(&g->b, 3, (Value[]){a, value_of(g, t), a}, below(g, t.rank)));
    }
}

static void make_splat(Gen *g)
{
    Type t = number_type(g);
    see(g, build_splat(&g->b, value_of(g, type_element(t)), t));
}

static void make_const(Gen *g) { see(g, build_const(&g->b, constant(g, number_type(g)))); }

static void make_set(Gen *g)
{
    Value s = set_of(g, extent(g));
    uint32_t n = type_of(g, s).n;
    if (chance(g, 30)) {
        uint32_t most = chance(g, 20) ? 200 : 5;             /* the words of a set are of 64 */
        OpInit init = {.kind = OP_extend, .n_operands = 1, .operand = &s, .attr = {{.i = below(g, most)}, {.i = below(g, most)}}};
        see(g, build_op(&g->b, &init)->result[0]);
    } else if (n > 0 && chance(g, 50))
        see(g, build_binary(&g->b, OP_test, s, index_below(g, n)));
    else if (chance(g, 50))
        see(g, build_binary(&g->b, OP_weigh, s, value_of(g, type_vector(has(g, RANDOM_INTS) ? int_element(g) : type_int(32), n))));
    else
        see(g, build_unary(&g->b, OP_size, s));
}

static void make_active(Gen *g)
{
    OpInit init = {.kind = OP_active, .n_operands = 1, .operand = (Value[]){some_vector(g)}, .attr = {{.i = below(g, 3)}}};
    see(g, build_op(&g->b, &init)->result[0]);
}

static void make_stack(Gen *g)
{
    Value v = some_floats(g);
    Type t = type_of(g, v);
    if (chance(g, 50)) {
        OpInit init = {.kind = OP_matmix, .n_operands = 1, .operand = &v,
                       .cst = {const_stack(g->m, constant(g, type_with_dims(type_element(t), 2, (uint32_t[]){t.dim[0], extent(g)})))}};
        see(g, build_op(&g->b, &init)->result[0]);
        return;
    }
    Type element = number_type(g);
    uint32_t n = 1 + below(g, 4), dim[IR_MAX_RANK] = {n};
    memcpy(dim + 1, element.dim, element.rank * sizeof *dim);
    OpInit init = {.kind = OP_row, .n_operands = 1, .operand = (Value[]){index_below(g, n)},
                   .cst = {const_stack(g->m, constant(g, type_with_dims(element, element.rank + 1, dim)))}};
    see(g, build_op(&g->b, &init)->result[0]);
}

static void make_field(Gen *g)
{
    uint32_t bits = chance(g, 20) ? 1 + below(g, 200) : 1 + below(g, 40), fields = 1 + below(g, 9), n = 1 + below(g, 3);
    Type element = type_int(bits * fields + below(g, 70)), to = type_int(bits + below(g, 40));
    OpInit init = {.kind = OP_field, .n_operands = 2, .operand = (Value[]){index_below(g, n), index_below(g, fields)}, .attr = {{.i = bits}},
                   .n_hints = 1, .hint = &to, .cst = {const_stack(g->m, constant(g, type_vector(element, n)))}};
    see(g, build_op(&g->b, &init)->result[0]);
}

/* A random tree in the order that the verifier asks for: the children of a node are made after it. */
static ConstId tree_constant(Gen *g, Type key, uint32_t n_keys)
{
    Arena *arena = g->m->arena;
    uint32_t n = below(g, 8);
    Tree *t = NEW(arena, Tree);
    *t = (Tree){.key = key, .n_keys = n_keys, .n_nodes = n, .n_leaves = n + 1, .n_classes = 1 + below(g, 3), .n_slots = 1 + below(g, 4)};
    TreeNode *node = NEW_ARRAY(arena, n, TreeNode);
    TreeLeaf *leaf = NEW_ARRAY(arena, n + 1, TreeLeaf);
    uint8_t *threshold = arena_array(arena, n, type_element_bytes(key));
    random_elements(&g->state, key, n, false, threshold);
    int32_t next_node = 1, next_leaf = 0;
    for (uint32_t i = 0; i < n; i++) {
        node[i].coordinate = below(g, n_keys);
        uint32_t must = next_node == (int32_t)i + 1 && i + 1 < n ? below(g, 2) : 2; /* the chain to the next node */
        for (uint32_t side = 0; side < 2; side++)
            node[i].child[side] = (side == must || chance(g, 40)) && (uint32_t)next_node < n ? next_node++ : ~next_leaf++;
    }
    for (uint32_t i = 0; i < n + 1; i++)
        leaf[i] = (TreeLeaf){below(g, t->n_classes), below(g, t->n_slots)};
    t->node = node, t->leaf = leaf, t->threshold = threshold;
    return const_tree(g->m, "T", t, NOWHERE);
}

static void make_descend(Gen *g)
{
    Type key = int_element(g);
    uint32_t n_keys = 1 + below(g, 3);
    Value x = value_of(g, type_vector(key, n_keys));
    OpInit init = {.kind = OP_descend, .n_operands = 1, .operand = &x, .cst = {tree_constant(g, key, n_keys)}};
    Op *op = build_op(&g->b, &init);
    op->lower = chance(g, 50) ? LOWER_branch : LOWER_auto;
    see(g, op->result[0]);
    see(g, op->result[1]);
    see(g, op->result[2]);
}

/* Random keys, inserted in order; equal ones and NaN are left out. */
static ConstId ascending_keys(Gen *g, Type key)
{
    uint32_t want = chance(g, 10) ? below(g, 200) : below(g, 8), n = 0, size = type_element_bytes(key);
    uint8_t *at = arena_array(g->m->arena, want + 1, size), *one = arena_array(g->m->arena, 1, size);
    for (uint32_t i = 0; i < want; i++) {
        random_elements(&g->state, key, 1, has(g, RANDOM_NONFINITE) && chance(g, 20), one);
        uint32_t place = n;
        int order = element_order(key, one, one) == 0 ? -1 : 2;
        while (place > 0 && (order = element_order(key, one, at + (place - 1) * size)) == -1)
            place--;
        if (order == 0 || order == 2)
            continue;
        memmove(at + (place + 1) * size, at + place * size, (n - place) * size);
        memcpy(at + place * size, one, size);
        n++;
    }
    return const_add(g->m, "keys", type_vector(key, n), at, NOWHERE);
}

static void make_search(Gen *g)
{
    Type key = chance(g, 50) ? int_element(g) : has(g, RANDOM_F64) && chance(g, 50) ? type_f64() : type_f32();
    Value x = value_of(g, key);
    OpInit init = {.kind = OP_search, .n_operands = 1, .operand = &x, .cst = {ascending_keys(g, key)}};
    Op *op = build_op(&g->b, &init);
    see(g, op->result[0]);
    see(g, op->result[1]);
}

static ConstId box_of(Gen *g, Type t)
{
    uint32_t n = (uint32_t)type_count(t), bytes = type_element_bytes(t);
    uint8_t *data = arena_array(g->m->arena, 2 * (uint64_t)n, bytes);
    for (uint32_t i = 0; i < n; i++) {
        double lo = -(double)below(g, 100) / 64, hi = (double)below(g, 100) / 64;
        if (t.elem == ELEM_F32) {
            memcpy(data + i * bytes, &(float){(float)lo}, bytes);
            memcpy(data + (n + i) * bytes, &(float){(float)hi}, bytes);
        } else if (t.elem == ELEM_F64) {
            memcpy(data + i * bytes, &lo, bytes);
            memcpy(data + (n + i) * bytes, &hi, bytes);
        } else if (t.n > 1) {
            data[i * bytes] = 0;
            data[(n + i) * bytes] = t.n > 4 ? 9 : 0;
        }
    }
    return const_add(g->m, "box", type_matrix(type_element(t), 2, n), data, NOWHERE);
}

static void make_within(Gen *g)
{
    Value x = some_number(g);
    see(g, build_within(&g->b, x, box_of(g, type_of(g, x))));
}

static void make_call(Gen *g)
{
    if (!g->callee)
        return;
    Value *args = NEW_ARRAY(g->m->arena, g->callee->n_inputs, Value), *results = NEW_ARRAY(g->m->arena, g->callee->n_outputs, Value);
    for (uint32_t i = 0; i < g->callee->n_inputs; i++)
        args[i] = value_of(g, g->callee->input[i].type);
    build_call(&g->b, g->callee, g->callee->n_inputs, args, results);
    for (uint32_t i = 0; i < g->callee->n_outputs; i++)
        see(g, results[i]);
}

static void make_tally(Gen *g)
{
    OpInit init = {.kind = OP_tally, .n_operands = 1, .operand = (Value[1]){chance(g, 50) ? value_of(g, type_int(32)) : 0},
                   .attr = {{.i = below(g, 9)}, {.i = below(g, 2)}, {.i = below(g, 3)}, {0}}};
    build_op(&g->b, &init);
}

/* ---- regions ---- */

static void make_ops(Gen *g, uint32_t n);

static void leave(Gen *g)
{
    if (chance(g, 25)) {
        OpInit init = {.kind = OP_refuse, .attr = {{.i = -1 - (int64_t)below(g, 5)}}};
        build_op(&g->b, &init);
        return;
    }
    Value *v = NEW_ARRAY(g->m->arena, g->net->n_outputs, Value);
    for (uint32_t i = 0; i < g->net->n_outputs; i++)
        v[i] = value_of(g, g->net->output[i].type);
    build_return(&g->b, g->net->n_outputs, v, chance(g, 30) ? build_const(&g->b, const_splat_f64(g->m, "status", type_int(32), below(g, 4))) : 0);
}

/* A region with these arguments that yields these types, or leaves the network. */
static Block *region(Gen *g, uint32_t n_args, const Type *arg, uint32_t n, const Type *result)
{
    Builder outer = g->b;
    size_t seen = g->visible.len;
    Block *block = block_new(g->net, n_args, arg);
    g->b = builder_at_end(block);
    g->depth++;
    for (uint32_t i = 0; i < n_args; i++)
        see(g, block->arg[i]);
    make_ops(g, 1 + below(g, 4));
    if (has(g, RANDOM_EXITS) && chance(g, 15)) {
        leave(g);
    } else {
        Value *v = NEW_ARRAY(g->m->arena, n, Value);
        for (uint32_t i = 0; i < n; i++)
            v[i] = value_of(g, result[i]);
        OpInit init = {.kind = OP_yield, .n_operands = n, .operand = v};
        build_op(&g->b, &init);
    }
    g->depth--;
    g->visible.len = seen;
    g->b = outer;
    return block;
}

/* Types of results; accumulators may be sets and indices too. */
static uint32_t result_types(Gen *g, Type *t)
{
    uint32_t n = below(g, 4);
    for (uint32_t i = 0; i < n; i++)
        t[i] = has(g, RANDOM_SETS) && chance(g, 10) ? type_set(1 + below(g, 5))
               : has(g, RANDOM_INDICES) && chance(g, 10) ? type_idx(1 + below(g, 5)) : number_type(g);
    return n;
}

static void see_results(Gen *g, const Op *op)
{
    for (uint32_t i = 0; i < op->n_results; i++)
        see(g, op->result[i]);
}

static void make_branch(Gen *g)
{
    Type t[4];
    uint32_t n = result_types(g, t), regions = 2;
    Value on;
    OpKind kind = OP_if;
    Value index = pick(g, is_index);
    if (index && type_of(g, index).n <= 5 && chance(g, 50))
        kind = OP_case, on = index, regions = type_of(g, index).n;
    else
        on = value_of(g, type_int(1));
    Block **block = NEW_ARRAY(g->m->arena, regions, Block *);
    for (uint32_t r = 0; r < regions; r++)
        block[r] = region(g, 0, NULL, n, t);
    OpInit init = {.kind = kind, .n_operands = 1, .operand = &on, .n_regions = regions, .region = block, .n_hints = n, .hint = t};
    see_results(g, build_op(&g->b, &init));
}

static void make_loop(Gen *g)
{
    Type t[5];
    uint32_t n = result_types(g, t + 1);
    Value v[5] = {0};
    bool each = has(g, RANDOM_SETS | RANDOM_INDICES) && chance(g, 50);
    if (each)
        v[0] = chance(g, 50) ? pick(g, is_index_list) : pick(g, is_set);
    each = v[0] != 0;
    uint32_t trips = 1 + below(g, 4);
    for (uint32_t i = 0; i < n; i++)
        v[1 + i] = value_of(g, t[1 + i]);
    t[0] = type_idx(each ? type_of(g, v[0]).n : trips);
    Block *block = region(g, n + 1, t, n, t + 1);
    OpInit init = {.kind = each ? OP_each : OP_repeat, .n_operands = each ? n + 1 : n, .operand = each ? v : v + 1, .n_regions = 1,
                   .region = &block, .n_hints = n, .hint = t + 1};
    if (!each)
        init.attr[0].i = trips;
    see_results(g, build_op(&g->b, &init));
}

/* ---- leaves of a tree, in classes of one shape ----
 *
 *      %class, %slot, %depth = descend @T, ord %x
 *      %y = case %class { %s = cast %slot;  %h = relu (affine %x, @W[%s], @b[%s]);  yield affine (concat %x, %h), @V[%s], cols = … } …
 */

/* An affine whose weights and bias slot `s` chooses, mostly without its zeros. */
static Value slot_affine(Gen *g, Value x, Value s, uint32_t rows, Value cols)
{
    Type t = type_of(g, x);
    uint32_t n = type_of(g, s).n;
    Value operand[5] = {x, s, 0, cols, 0};
    OpInit init = {.kind = OP_affine, .n_operands = 5, .operand = operand,
                   .cst = {sparse_matrices(g, type_element(t), n, rows, t.dim[0])},
                   .attr = {{.i = 1 << below(g, 3)}, {.i = chance(g, 80) ? ZEROS_skip : ZEROS_keep}}};
    if (chance(g, 70)) {
        init.cst[AFFINE_b] = const_stack(g->m, constant(g, type_matrix(type_element(t), n, rows)));
        operand[AFFINE_j] = s;
    }
    Op *op = build_op(&g->b, &init);
    op->lower = chance(g, 60) ? (Lower)below(g, LOWER_branch + 1) : LOWER_auto;
    return op->result[0];
}

/* What relus of the parts have decided: all of the others. */
static Value parts_set(Gen *g, Value h, uint32_t before, uint32_t after)
{
    OpInit active = {.kind = OP_active, .n_operands = 1, .operand = &h, .attr = {{.i = ACTIVITY_notle0}}};
    Value s = build_op(&g->b, &active)->result[0];
    OpInit extend = {.kind = OP_extend, .n_operands = 1, .operand = &s, .attr = {{.i = before}, {.i = after}}};
    return build_op(&g->b, &extend)->result[0];
}

static Block *leaf_class(Gen *g, Value x, Value slot, uint32_t rows)
{
    Block *block = block_new(g->net, 0, NULL);
    Builder outer = g->b;
    g->b = builder_at_end(block);
    Type t = type_of(g, x);
    uint32_t n = t.dim[0], hidden = below(g, 4), on = chance(g, 50) ? below(g, 3) : 0;
    Value s = build_cast(&g->b, slot, type_idx(1 + below(g, 5))), v = x, set = 0;
    if (hidden > 0) {
        Value z = slot_affine(g, x, s, hidden + on, 0), h = build_unary(&g->b, OP_relu, build_slice(&g->b, z, (uint32_t[]){0}, &hidden));
        Value first = on ? build_slice(&g->b, z, &hidden, &on) : x;
        v = build_concat(&g->b, 2, (Value[]){first, h}, 0);
        set = chance(g, 80) ? parts_set(g, h, on ? on : n, 0) : 0;
        if (chance(g, 40)) {
            Value more = build_unary(&g->b, OP_relu, slot_affine(g, v, s, 2, set));
            uint32_t before = type_of(g, v).dim[0];
            v = build_concat(&g->b, 2, (Value[]){v, more}, 0);
            OpInit extend = {.kind = OP_extend, .n_operands = 1, .operand = &set, .attr = {{0}, {.i = 2}}};
            set = set ? build_binary(&g->b, OP_and, build_op(&g->b, &extend)->result[0], parts_set(g, more, before, 0)) : 0;
        }
    }
    Value y = slot_affine(g, v, s, rows, set);
    build_op(&g->b, &(OpInit){.kind = OP_yield, .n_operands = 1, .operand = &y});
    g->b = outer;
    return block;
}

static void make_leaves(Gen *g)
{
    Value x = some_floats(g);
    Type t = type_of(g, x);
    if (t.rank != 1 || t.dim[0] == 0)
        return;
    Type key = type_int(t.elem == ELEM_F32 ? 32 : 64), result = type_vector(type_element(t), 1 + below(g, 3));
    Value image = build_unary(&g->b, OP_ord, x);
    OpInit descend = {.kind = OP_descend, .n_operands = 1, .operand = &image, .cst = {tree_constant(g, key, t.dim[0])}};
    Op *tree = build_op(&g->b, &descend);
    uint32_t n = type_of(g, tree->result[0]).n;
    Block **block = NEW_ARRAY(g->m->arena, n, Block *);
    for (uint32_t i = 0; i < n; i++)
        block[i] = leaf_class(g, x, tree->result[1], result.dim[0]);
    OpInit init = {.kind = OP_case, .n_operands = 1, .operand = &tree->result[0], .n_regions = n, .region = block, .n_hints = 1, .hint = &result};
    see(g, build_op(&g->b, &init)->result[0]);
}

/* ---- networks ---- */

enum { LEAVES = RANDOM_REGIONS | RANDOM_TREES | RANDOM_STACKS | RANDOM_SETS | RANDOM_ZEROS | RANDOM_INTS | RANDOM_INDICES };
typedef struct Maker { void (*make)(Gen *g); unsigned needs; uint32_t weight; } Maker;

static const Maker makers[] = {
    {make_affine, 0, 8}, {make_matmul, 0, 2}, {make_arithmetic, 0, 5}, {make_unary, 0, 3}, {make_select, 0, 2}, {make_reduction, 0, 2},
    {make_shape, 0, 4}, {make_splat, 0, 1}, {make_const, 0, 1}, {make_within, 0, 1}, {make_math, RANDOM_MATH, 2}, {make_softmax, RANDOM_MATH, 1},
    {make_cast, RANDOM_INTS, 2}, {make_bits, RANDOM_INTS, 2}, {make_shift, RANDOM_INTS, 2}, {make_ord, RANDOM_INTS, 1},
    {make_best, RANDOM_INDICES, 3}, {make_index, RANDOM_INDICES, 2}, {make_set, RANDOM_SETS, 2}, {make_active, RANDOM_SETS, 3},
    {make_stack, RANDOM_STACKS, 3}, {make_descend, RANDOM_TREES, 3}, {make_search, RANDOM_TREES, 3}, {make_field, RANDOM_TREES, 2}, {make_branch, RANDOM_REGIONS, 4}, {make_loop, RANDOM_REGIONS, 4}, {make_leaves, LEAVES, 2},
    {make_call, RANDOM_CALLS, 2}, {make_tally, RANDOM_TALLY, 1},
};
enum { MAKERS = sizeof makers / sizeof *makers };

static bool may_make(const Gen *g, const Maker *maker)
{
    bool deep = maker->needs == RANDOM_REGIONS && g->depth >= MOST_DEPTH;
    return (maker->needs & ~g->features) == 0 && !deep;
}

static void make_ops(Gen *g, uint32_t n)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < MAKERS; i++)
        total += may_make(g, &makers[i]) ? makers[i].weight : 0;
    for (uint32_t k = 0; k < n && g->left > 0; k++, g->left--) {
        uint32_t at = below(g, total), i = 0;
        for (; !may_make(g, &makers[i]) || at >= makers[i].weight; i++)
            at -= may_make(g, &makers[i]) ? makers[i].weight : 0;
        makers[i].make(g);
    }
}

static void add_ports(Gen *g)
{
    uint32_t n_inputs = 1 + below(g, 3), n_outputs = 1 + below(g, 3);
    for (uint32_t i = 0; i < n_inputs; i++) {
        Type t = i == 0 ? type_vector(number_element(g), extent(g)) : number_type(g);
        char name[16];
        snprintf(name, sizeof name, "x%u", i);
        ConstId box = chance(g, 40) ? box_of(g, t) : 0;
        vec_push(g->m->arena, g->visible, network_add_input(g->net, name, t, box, NOWHERE));
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%u", i);
        Type t = number_type(g);
        network_add_output(g->net, name, has(g, RANDOM_INDICES) && chance(g, 15) ? type_idx(1 + below(g, 6)) : t, NOWHERE);
    }
}

static Network *generate(Module *m, uint64_t seed, RandomNetOptions options, const char *name, Network *callee)
{
    Gen gen = {.m = m, .state = seed, .features = options.features, .callee = callee, .left = (int32_t)(options.ops ? options.ops : 24)},
        *g = &gen;
    g->net = network_new(m, name, NOWHERE);
    add_ports(g);
    g->b = builder_at_end(g->net->body);
    make_ops(g, (uint32_t)g->left);
    Value *v = NEW_ARRAY(m->arena, g->net->n_outputs, Value);
    for (uint32_t i = 0; i < g->net->n_outputs; i++) {
        Value last = pick(g, can_leave); /* the outputs are what was computed, where types allow */
        v[i] = last && type_equal(type_of(g, last), g->net->output[i].type) ? last : value_of(g, g->net->output[i].type);
    }
    build_return(&g->b, g->net->n_outputs, v, 0);
    network_done(g->net);
    return g->net;
}

Network *random_network(Module *m, uint64_t seed, RandomNetOptions options)
{
    Network *callee = NULL;
    if (options.features & RANDOM_CALLS) {
        RandomNetOptions small = {options.features & ~(unsigned)RANDOM_CALLS, 6};
        callee = generate(m, seed ^ UINT64_C(0x5bd1e995), small, str_printf(m->arena, "callee%llu", (unsigned long long)seed), NULL);
    }
    return generate(m, seed, options, str_printf(m->arena, "random%llu", (unsigned long long)seed), callee);
}
