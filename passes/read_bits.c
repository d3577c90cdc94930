/* read_bits.c — networks that choose by steps, and read what they chose bit by bit, look it up instead.
 *
 *      %s = sub (relu (affine %x, ones, 1 − T)), (relu (affine %x, ones, −T))          %slot, %depth = search @T, %x
 *      %u = affine %s, @W, @b                                                   =>     %u = row @blocks[%slot]
 *
 *      repeat B (%A, …, %y) {                                  %last = repeat log2 B (%at = -1) {
 *          repeat p { … }     a field of %u by a tent map          %key = field @blocks[%slot], %middle
 *          repeat c { … }     a field of %w                =>      yield select (x >= %key), %middle, %at
 *          %y += its label if %x is the key                    }
 *      }                                                       %label = field @labels[%slot], %last;  select (x == key), %label, 0
 *
 * The bridge from few parameters of many bits (memorize_bits.c) to O(log n) operations: nothing is told by whoever built the network, all of it is
 * recognised in the IR and proven from its constants.
 *
 * Steps. s_j = relu(x − T_j + 1) − relu(x − T_j) is [x >= T_j] for integers where neither difference wraps, which follows from what x can be:
 * its type, sums with constants, a box outside of which nothing is promised. With T ascending, the sum of weights times s_j is a sum of the
 * first so many columns of W, which is computed here, modulo 2^N as the affine would.
 *
 * Reading a bit. A = 2u + 1 with 0 <= u < 2^e, e = B p, b = 0; each turn takes [A >= H], H = 2^e, xors it to b and folds A by the tent: then b is the
 * next bit of u from the top (memorize_bits.c says why). After p turns a field has been read and (A, b) stand before the next one. So
 * what the body of the outer repeat calls a key is field i of u. A <= 2H has to fit, and every u that the table holds has to be in range.
 *
 * Searching. A table whose fields ascend strictly in each u holds x at most once; the label that is added, or the last one whose key is not above x,
 * is found by halving. The sums that compare x with a key must not wrap either: again by what x can be.
 *
 * Exact for every input, since all of this is integers. Ends: what is rewritten has neither steps nor tents any more.
 */
#include "memorize_integers.h"

#include <string.h>

typedef __int128 Wide;
typedef struct Range { Wide lo, hi; } Range;

typedef struct Known { bool exists; Range range; } Known;

/* What is known of the values there were before the pass, each asked once: 1 + an index into `known` or `slot`, 0 if not asked yet. */
typedef struct Reading {
    Network *net;
    PassContext *ctx;
    uint32_t n_values, *known_of, *slot_of;
    Vec(Known) known;
    Vec(Value) slot;                              /* of steps; 0: they are none */
    bool changed;
} Reading;

enum {
    EXACT_BITS = 100,                             /* ranges are computed in i128 */
    DEEPEST = 64                                  /* a range follows so many operations; beyond them it is that of the type */
};

/* ---- matching ---- */

static bool is_op(const Network *net, Value v, OpKind kind, Value *a, Value *b)
{
    Op *op = v ? definition(net, v, kind) : NULL;
    if (!op)
        return false;
    *a = op_operand(op, 0);
    if (b)
        *b = op_operand(op, 1);
    return true;
}

static Value past(const Network *net, Value v, OpKind kind)
{
    while (definition(net, v, kind))
        v = op_operand(value_op(net, v), 0);
    return v;
}

/* v is a scalar integer constant; its bytes, or NULL. */
static const uint8_t *constant(const Network *net, Value v)
{
    ConstId id = value_const(net, v);
    const Const *c = id ? const_get(net->module, id) : NULL;
    return c && c->kind == CONST_TENSOR && type_is_int(c->type) && type_count(c->type) == 1 ? c->data : NULL;
}

/* v = 2^e − less */
static bool is_power(const Network *net, Value v, uint32_t e, int64_t less)
{
    uint8_t want[IR_MAX_INT_BITS / 8], part[IR_MAX_INT_BITS / 8];
    const uint8_t *at = constant(net, v);
    uint32_t bits = value_type(net, v).n;
    if (!at || e + 1 >= bits)
        return false;
    int_resize(bits, want, 8, (const uint8_t[]){1});
    int_shl(bits, want, want, e);
    int_resize(bits, part, 64, (const uint8_t *)&less);
    int_sub(bits, want, want, part);
    return int_compare(bits, want, at) == 0;
}

static bool is_small(const Network *net, Value v, int64_t value)
{
    return constant(net, v) && is_power(net, v, 0, 1 - value);
}

/* ---- what a value can be ---- */

static bool range_of_type(Type t, Range *r)
{
    if (!type_is_int(t) || t.n > EXACT_BITS)
        return false;
    *r = t.n == 1 ? (Range){0, 1} : (Range){-((Wide)1 << (t.n - 1)), ((Wide)1 << (t.n - 1)) - 1};
    return true;
}

static bool fits(Range r, Type t)
{
    Range all;
    return t.n > EXACT_BITS || (range_of_type(t, &all) && r.lo >= all.lo && r.hi <= all.hi);
}

static Wide wide_of(Type t, const uint8_t *at)
{
    Wide v;
    int_resize(128, (uint8_t *)&v, t.n == 1 ? 8 : t.n, at);
    return v;
}

static bool range_of_constant(Type t, const uint8_t *at, Range *r)
{
    if (int_magnitude_bits(t.n, at) >= EXACT_BITS)
        return false;
    r->lo = r->hi = wide_of(t, at);
    return true;
}

/* An input within its box, where nothing is promised of others. */
static bool range_of_input(const Network *net, Value v, Range *r)
{
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        const Const *box = net->input[i].box ? const_get(net->module, net->input[i].box) : NULL;
        if (net->body->arg[i] != v || !box || net->options.outside == OUTSIDE_dense || box->type.dim[1] != 1 || box->type.n > EXACT_BITS)
            continue;
        r->lo = wide_of(type_element(box->type), const_element(box, 0));
        r->hi = wide_of(type_element(box->type), const_element(box, 1));
        return r->lo <= r->hi;
    }
    return false;
}

static bool range_of(Reading *r, Value v, uint32_t depth, Range *range);

/* What follows from the operands of a cast, a sum or a difference. */
static bool range_of_op(Reading *r, Value v, uint32_t depth, Range *range)
{
    const Network *net = r->net;
    Type t = value_type(net, v);
    Value a, b;
    Range x, y;
    if (is_op(net, v, OP_cast, &a, NULL))
        return range_of(r, a, depth + 1, range) && fits(*range, t);
    bool minus = is_op(net, v, OP_sub, &a, &b);
    if ((!minus && !is_op(net, v, OP_add, &a, &b)) || !range_of(r, a, depth + 1, &x) || !range_of(r, b, depth + 1, &y))
        return false;
    *range = minus ? (Range){x.lo - y.hi, x.hi - y.lo} : (Range){x.lo + y.lo, x.hi + y.hi};
    return fits(*range, t) && fits(*range, type_int(EXACT_BITS));
}

/* Each value is asked once, since values that many others share would be asked once for each path to them. */
static bool range_of(Reading *r, Value v, uint32_t depth, Range *range)
{
    const Network *net = r->net;
    Type t = value_type(net, v);
    v = past(net, v, OP_reshape);
    if (!type_is_int(t) || type_count(t) != 1)
        return false;
    if (constant(net, v))
        return range_of_constant(t, constant(net, v), range);
    if (depth == DEEPEST || v >= r->n_values)
        return range_of_input(net, v, range) || range_of_type(t, range);
    if (!r->known_of[v]) {
        Known k = {0};
        k.exists = range_of_op(r, v, depth, &k.range) || range_of_input(net, v, &k.range) || range_of_type(t, &k.range);
        vec_push(r->ctx->arena, r->known, k);
        r->known_of[v] = (uint32_t)r->known.len;
    }
    const Known *k = &r->known.at[r->known_of[v] - 1];
    *range = k->range;
    return k->exists;
}

/* Whether x − k, k − x and one more are what they are, not wrapped, for all |k| < 2^e. */
static bool differs_exactly(Reading *r, Value x, uint32_t e)
{
    Range of;
    if (e + 1 >= EXACT_BITS || !range_of(r, x, 0, &of))
        return false;
    Wide reach = (Wide)1 << e, most = of.hi > -of.lo ? of.hi : -of.lo;
    return fits((Range){-most - reach, most + reach}, value_type(r->net, x));
}

/* ---- steps ---- */

typedef struct Steps { Value x; const Const *beyond; } Steps;

/* No stack is indexed, no column or row left out. */
static bool is_plain(const Op *op)
{
    return !op_operand(op, AFFINE_i) && !op_operand(op, AFFINE_j) && !op_operand(op, AFFINE_cols) && !op_operand(op, AFFINE_rows);
}

static bool is_all_ones(const Const *c)
{
    for (uint64_t i = 0; i < type_count(c->type); i++)
        if (int_magnitude_bits(c->type.n, const_element(c, i)) != 1 || (const_element(c, i)[0] & 2))          /* -1 has all bits */
            return false;
    return true;
}

/* relu(affine(x, ones, bias)) */
static const Const *ramp(const Network *net, Value v, Value *x)
{
    Value a;
    Op *op = is_op(net, v, OP_relu, &a, NULL) ? definition(net, a, OP_affine) : NULL;
    if (!op || !op->cst[AFFINE_b] || !is_plain(op))
        return NULL;
    const Const *W = const_get(net->module, op->cst[AFFINE_W]);
    *x = op_operand(op, AFFINE_x);
    bool ones = type_is_int(W->type) && W->type.n > 1 && W->type.dim[1] == 1 && is_all_ones(W);
    return ones ? const_get(net->module, op->cst[AFFINE_b]) : NULL;
}

static bool read_steps(Reading *r, Value v, Steps *s)
{
    const Network *net = r->net;
    Value ge, gt, other;
    uint8_t one[IR_MAX_INT_BITS / 8], sum[IR_MAX_INT_BITS / 8];
    if (!is_op(net, v, OP_sub, &ge, &gt))
        return false;
    const Const *from = ramp(net, ge, &s->x);
    s->beyond = from ? ramp(net, gt, &other) : NULL;
    if (!s->beyond || other != s->x || !type_equal(from->type, s->beyond->type))
        return false;
    Type t = type_element(from->type);
    uint32_t most = 0;
    int_resize(t.n, one, 8, (const uint8_t[]){1});
    for (uint64_t j = 0; j < type_count(from->type); j++) {
        int_add(t.n, sum, const_element(s->beyond, j), one);
        if (int_compare(t.n, sum, const_element(from, j)) != 0)
            return false;
        uint32_t bits = int_magnitude_bits(t.n, const_element(s->beyond, j));
        most = bits > most ? bits : most;
    }
    return differs_exactly(r, s->x, most);
}

/* The thresholds T, if they ascend; 0 if not. */
static ConstId thresholds(const Network *net, const Steps *s)
{
    Type t = type_element(s->beyond->type);
    uint64_t n = type_count(s->beyond->type), size = type_element_bytes(t);
    uint8_t *at = arena_big(net->module->arena, n * size + 1, 64);
    for (uint64_t j = 0; j < n; j++) {
        int_neg(t.n, at + j * size, const_element(s->beyond, j));
        if (j > 0 && int_compare(t.n, at + (j - 1) * size, at + j * size) >= 0)
            return 0;
    }
    return const_add(net->module, "T", type_vector(t, (uint32_t)n), at, s->beyond->span);
}

/* The slot of x among the steps; 0 if they are none. */
static Value build_slot(Reading *r, Value v)
{
    Steps s;
    ConstId T = read_steps(r, v, &s) ? thresholds(r->net, &s) : 0;
    if (!T || type_count(s.beyond->type) >= INT32_MAX)
        return 0;
    Builder b = builder_before(value_op(r->net, v));
    Value x = build_reshape(&b, s.x, 0, NULL);
    Value slot = build_op(&b, &(OpInit){.kind = OP_search, .n_operands = 1, .operand = &x, .cst = {T}})->result[0];
    value_name(r->net, slot, "slot");
    return slot;
}

/* The same, made once. Steps that this pass built there are none. */
static Value slot_of(Reading *r, Value v)
{
    if (v >= r->n_values)
        return 0;
    if (!r->slot_of[v]) {
        Value slot = build_slot(r, v);
        vec_push(r->ctx->arena, r->slot, slot);
        r->slot_of[v] = (uint32_t)r->slot.len;
    }
    return r->slot.at[r->slot_of[v] - 1];
}

/* bias, bias + column 0, bias + columns 0 and 1, …: [columns + 1, rows] */
static ConstId sums_of_columns(const Network *net, const Op *op)
{
    const Const *W = const_get(net->module, op->cst[AFFINE_W]), *bias = op->cst[AFFINE_b] ? const_get(net->module, op->cst[AFFINE_b]) : NULL;
    Type t = type_element(W->type);
    uint64_t rows = W->type.dim[0], columns = W->type.dim[1], size = type_element_bytes(t);
    uint8_t *at = arena_big(net->module->arena, (columns + 1) * rows * size + 1, 64);
    for (uint64_t i = 0; i < rows; i++) {
        if (bias)
            memcpy(at + i * size, const_element(bias, i), size);
        for (uint64_t j = 0; j < columns; j++)
            int_add(t.n, at + ((j + 1) * rows + i) * size, at + (j * rows + i) * size, const_element(W, i * columns + j));
    }
    uint32_t dim[2] = {(uint32_t)columns + 1, (uint32_t)rows};
    return const_stack(net->module, const_add(net->module, "blocks", type_with_dims(t, rows == 1 ? 1 : 2, dim), at, op->span));
}

/* An affine of steps becomes a row. */
static void look_up(Reading *r, Op *op)
{
    Network *net = r->net;
    if (!is_plain(op))
        return;
    Value steps = past(net, op_operand(op, AFFINE_x), OP_cast);
    Type t = value_type(net, op->result[0]);
    if (!type_is_int(t) || t.n < 2 || !type_is_int(value_type(net, steps)))
        return;
    Value slot = slot_of(r, steps);
    if (!slot)
        return;
    Builder b = builder_before(op);
    Value row = build_op(&b, &(OpInit){.kind = OP_row, .n_operands = 1, .operand = &slot, .cst = {sums_of_columns(net, op)}})->result[0];
    replace_op(op, build_reshape(&b, row, 1, t.dim));
    pass_stat(r->ctx, "sums of steps became rows", 1);
    r->changed = true;
}

/* ---- reading bits ---- */

/* What lies packed: element `slot` of a stack. */
typedef struct Packed { ConstId stack; Value slot; uint32_t bits, fields; } Packed;

/* (A, b, 0) -> (A, b, field): one round of the tent reads one bit */
typedef struct Turn { const Op *op; Value A, bit, H, less; uint32_t bits; Type wide, narrow; } Turn;

static bool is_fold(const Network *net, Value v, Value A, Value above)
{
    Value fold, fold2, rest, a, b, c;
    return is_op(net, v, OP_add, &fold, &fold2) && fold == fold2 && is_op(net, fold, OP_sub, &rest, &a) && a == above &&
           is_op(net, rest, OP_sub, &b, &c) && b == A && c == above;
}

/* sum − 2 relu(sum − 1), sum = bit + g */
static bool is_xor(const Network *net, Value v, Value bit, Value *g)
{
    Value rest, carry, sum, carry2, a, one, b;
    return is_op(net, v, OP_sub, &rest, &carry) && is_op(net, rest, OP_sub, &sum, &carry2) && carry == carry2 &&
           is_op(net, carry, OP_relu, &a, NULL) && is_op(net, a, OP_sub, &b, &one) && b == sum && is_small(net, one, 1) && is_op(net, sum, OP_add, &a, g) && a == bit;
}

static bool is_turn(const Network *net, Value v, Turn *t)
{
    const Op *op = definition(net, v, OP_repeat);
    if (!op || op->n_results != 3 || op->result[2] != v || !is_small(net, op_operand(op, 2), 0))
        return false;
    const Block *body = op->region[0];
    const Value *arg = body->arg;
    Value y[3], g, ge, above, a, twice, next, b;
    for (uint32_t i = 0; i < 3; i++)
        y[i] = op_operand(body->last, i);
    *t = (Turn){.op = op, .A = op_operand(op, 0), .bit = op_operand(op, 1), .bits = (uint32_t)op->attr[0].i, .wide = value_type(net, arg[1]),
                .narrow = value_type(net, arg[2])};
    if (!is_xor(net, y[1], arg[2], &g) || !is_op(net, past(net, g, OP_cast), OP_sub, &ge, &above) || !is_fold(net, y[0], arg[1], above))
        return false;
    if (!is_op(net, above, OP_relu, &a, NULL) || !is_op(net, a, OP_sub, &b, &t->H) || b != arg[1])
        return false;
    if (!is_op(net, ge, OP_relu, &a, NULL) || !is_op(net, a, OP_sub, &b, &t->less) || b != arg[1])
        return false;
    return is_op(net, y[2], OP_add, &twice, &next) && next == y[1] && is_op(net, twice, OP_add, &a, &b) && a == arg[3] && b == arg[3] &&
           value_type(net, arg[3]).n == t->narrow.n;
}

static bool is_in_range(const Const *c, uint32_t bits)
{
    uint32_t wide = c->type.n;
    for (uint64_t i = 0; i < type_count(c->type); i++) {
        uint8_t top[IR_MAX_INT_BITS / 8];
        int_lshr(wide, top, const_element(c, i), bits);
        if (!int_is_zero(wide, top))
            return false;
    }
    return true;
}

/* The integer that v stands for: a row of a stack, or a constant. */
static bool packed_of(Reading *r, Value v, Packed *p)
{
    Network *net = r->net;
    Value slot;
    v = past(net, v, OP_reshape);
    if (is_op(net, v, OP_row, &slot, NULL)) {
        p->stack = value_op(net, v)->cst[0];
        p->slot = slot;
        return const_get(net->module, p->stack)->type.rank == 1;
    }
    ConstId id = value_const(net, v);
    if (!id || type_count(const_get(net->module, id)->type) != 1)
        return false;
    p->stack = const_stack(net->module, const_reshaped(net->module, id, 1, (uint32_t[]){1}));
    p->slot = 0;
    return true;
}

/* An init of 2u + 1 and 0, and turns of so many bits in B rounds: what is read is field i of u. */
static bool packed_by(Reading *r, const Op *outer, uint32_t at, const Turn *t, Packed *p)
{
    Network *net = r->net;
    Value twice, one, u = 0, u2;
    uint32_t fields = (uint32_t)outer->attr[0].i, e = fields * t->bits;
    bool starts = is_op(net, op_operand(outer, at), OP_add, &twice, &one) && is_small(net, one, 1) && is_op(net, twice, OP_add, &u, &u2) && u == u2 &&
                  is_small(net, op_operand(outer, at + 1), 0);
    bool goes_on = t->A == outer->region[0]->arg[at + 1] && t->bit == outer->region[0]->arg[at + 2] &&
                   op_operand(outer->region[0]->last, at) == t->op->result[0] && op_operand(outer->region[0]->last, at + 1) == t->op->result[1];
    if (!starts || !goes_on || (uint64_t)fields * t->bits + 3 > t->wide.n || !is_power(net, t->H, e, 0) || !is_power(net, t->less, e, 1))
        return false;
    if (t->narrow.n < t->bits + 2 || !packed_of(r, u, p) || !is_in_range(const_get(net->module, p->stack), e))
        return false;
    p->bits = t->bits;
    p->fields = fields;
    return true;
}

/* ---- a round ---- */

typedef struct Scan {
    Value x, key, label;          /* in the body */
    bool before;                  /* the last label whose key is not above x; else the label of the equal key, 0 if there is none */
    Packed keys, labels;
} Scan;

/* relu(label + 2^c on − 2^c) */
static bool is_label_if(const Network *net, Value v, uint32_t c, Value *label, Value *on)
{
    Value a, gate, sum, product, gate2;
    return is_op(net, v, OP_relu, &a, NULL) && is_op(net, a, OP_sub, &sum, &gate) && is_op(net, sum, OP_add, label, &product) &&
           is_op(net, product, OP_mul, on, &gate2) && is_power(net, gate, c, 0) && is_power(net, gate2, c, 0) && value_type(net, v).n >= c + 2;
}

/* relu(1 − relu(x − key) − relu(key − x)) */
static bool is_match(const Network *net, Value v, Value *x, Value *key)
{
    Value a, left, right, one, below, above, x2, key2;
    return is_op(net, v, OP_relu, &a, NULL) && is_op(net, a, OP_sub, &left, &right) && is_op(net, left, OP_sub, &one, &a) && is_small(net, one, 1) &&
           is_op(net, a, OP_relu, &below, NULL) && is_op(net, right, OP_relu, &above, NULL) && is_op(net, below, OP_sub, x, key) &&
           is_op(net, above, OP_sub, &key2, &x2) && *x == x2 && *key == key2;
}

/* relu(x − key + 1) − relu(x − key) */
static bool is_from(const Network *net, Value v, Value *x, Value *key)
{
    Value ge, gt, a, b, one, x2, key2;
    return is_op(net, v, OP_sub, &ge, &gt) && is_op(net, ge, OP_relu, &a, NULL) && is_op(net, a, OP_add, &b, &one) && is_small(net, one, 1) &&
           is_op(net, b, OP_sub, x, key) && is_op(net, gt, OP_relu, &a, NULL) && is_op(net, a, OP_sub, &x2, &key2) && *x == x2 && *key == key2;
}

static bool reads_matches(const Network *net, const Op *outer, uint32_t c, Scan *s)
{
    const Block *body = outer->region[0];
    Value sum, hit, match, found, match2;
    if (!is_op(net, op_operand(body->last, 4), OP_add, &sum, &hit) || sum != body->arg[5] || !is_label_if(net, hit, c, &s->label, &match) ||
        !is_match(net, past(net, match, OP_cast), &s->x, &s->key) || !is_small(net, op_operand(outer, 4), 0))
        return false;
    return outer->n_results == 5 || (is_op(net, op_operand(body->last, 5), OP_add, &found, &match2) && found == body->arg[6] && match2 == match &&
                                     is_small(net, op_operand(outer, 5), 0));
}

static bool reads_before(const Network *net, const Op *outer, uint32_t c, Scan *s)
{
    const Block *body = outer->region[0];
    Value old, new, label, not, from, one, from2;
    const uint8_t *first = constant(net, op_operand(outer, 4));
    s->before = true;
    return outer->n_results == 5 && first && int_magnitude_bits(value_type(net, op_operand(outer, 4)).n, first) <= c &&
           int_compare(value_type(net, op_operand(outer, 4)).n, first, (const uint8_t[IR_MAX_INT_BITS / 8]){0}) >= 0 &&
           is_op(net, op_operand(body->last, 4), OP_add, &old, &new) && is_label_if(net, old, c, &label, &not) && label == body->arg[5] &&
           is_label_if(net, new, c, &s->label, &from) && is_op(net, not, OP_sub, &one, &from2) && from2 == from && is_small(net, one, 1) &&
           is_from(net, past(net, from, OP_cast), &s->x, &s->key);
}

/* Field i of n, the first at the top, as the memory form of a type of more bits. */
static void field(Type t, const uint8_t *at, const Packed *p, uint32_t i, uint32_t to, uint8_t *out)
{
    uint8_t v[IR_MAX_INT_BITS / 8];
    int_shl(t.n, v, at, t.n - p->bits * (p->fields - i));
    int_lshr(t.n, v, v, t.n - p->bits);
    int_resize(to, out, t.n, v);
}

static bool fields_ascend(const Network *net, const Packed *p)
{
    const Const *c = const_get(net->module, p->stack);
    uint8_t key[2][IR_MAX_INT_BITS / 8];
    for (uint64_t j = 0; j < type_count(c->type); j++)
        for (uint32_t i = 0; i < p->fields; i++) {
            field(type_element(c->type), const_element(c, j), p, i, p->bits + 1, key[i % 2]);
            if (i > 0 && int_compare(p->bits + 1, key[1 - i % 2], key[i % 2]) >= 0)
                return false;
        }
    return true;
}

static bool is_inside(const Block *block, const Op *of)
{
    for (; block; block = block->owner ? block->owner->parent : NULL)
        if (block->owner == of)
            return true;
    return false;
}

static bool read_scan(Reading *r, const Op *outer, Scan *s)
{
    const Network *net = r->net;
    Turn keys, labels;
    if ((outer->n_results != 5 && outer->n_results != 6) || outer->attr[0].i >= INT32_MAX)
        return false;
    for (const Op *op = outer->region[0]->first; op; op = op->next) {         /* the label's turn is the second repeat */
        if (op->kind != OP_repeat || op->n_results != 3 || !is_turn(net, op->result[2], &labels))
            continue;
        *s = (Scan){0};
        if (!reads_matches(net, outer, labels.bits, s) && !reads_before(net, outer, labels.bits, s))
            continue;
        return s->label == op->result[2] && is_turn(net, s->key, &keys) && !is_inside(value_info(net, s->x)->block, outer) &&
               packed_by(r, outer, 0, &keys, &s->keys) && packed_by(r, outer, 2, &labels, &s->labels) &&
               differs_exactly(r, s->x, keys.bits) && fields_ascend(net, &s->keys);
    }
    return false;
}

/* ---- searching ---- */

static Value small(const Reading *r, Builder *b, Type t, const char *name, int8_t v)
{
    uint8_t *at = arena_alloc(r->net->module->arena, type_element_bytes(t) + 1);
    int_resize(t.n, at, 8, (const uint8_t *)&v);
    return build_const(b, const_add(r->net->module, name, t, at, b->span));
}

static Value build_field(Builder *b, const Packed *p, Value i, Type t)
{
    return build_op(b, &(OpInit){.kind = OP_field, .n_operands = 2, .operand = (Value[]){p->slot, i}, .cst = {p->stack}, .attr = {{.i = p->bits}},
                                 .n_hints = 1, .hint = &t})->result[0];
}

/* How far to go on in each round: half of what is left. */
static ConstId halves(const Reading *r, uint32_t n, uint32_t *rounds)
{
    int32_t *at = NEW_ARRAY(r->net->module->arena, 32, int32_t);
    for (*rounds = 0; n > 0; n -= (n + 1) / 2)
        at[(*rounds)++] = (int32_t)((n + 1) / 2);
    return const_stack(r->net->module, const_add(r->net->module, "halves", type_vector(type_int(32), *rounds), at, NOWHERE));
}

/* The last field that is not above x, -1 if all are. */
static Value last_not_above(const Reading *r, Builder *b, const Scan *s)
{
    uint32_t rounds;
    Type number = type_int(32);
    ConstId steps = halves(r, s->keys.fields, &rounds);
    Block *body = block_new(r->net, 2, (Type[]){type_idx(rounds), number});
    Builder in = builder_at_end(body);
    Value half = build_op(&in, &(OpInit){.kind = OP_row, .n_operands = 1, .operand = body->arg, .cst = {steps}})->result[0];
    Value middle = build_binary(&in, OP_add, body->arg[1], half);
    Value key = build_field(&in, &s->keys, build_cast(&in, middle, type_idx(s->keys.fields)), value_type(r->net, s->x));
    Value next = build_select(&in, build_cmp(&in, PRED_ge, s->x, key), middle, body->arg[1]);
    value_name(r->net, body->arg[1], "at");
    value_name(r->net, middle, "middle");
    build_op(&in, &(OpInit){.kind = OP_yield, .n_operands = 1, .operand = &next});
    Value none = small(r, b, number, "none", -1);
    return build_op(b, &(OpInit){.kind = OP_repeat, .n_operands = 1, .operand = &none, .n_regions = 1, .region = &body, .n_hints = 1, .hint = &number,
                                 .attr = {{.i = rounds}}})->result[0];
}

static Value first_slot(const Reading *r, Builder *b)
{
    return build_const(b, const_add(r->net->module, "slot", type_idx(1), arena_alloc(r->net->module->arena, 4), b->span));
}

/* The answers of the repeat. */
static void search(Reading *r, Op *outer, Scan *s)
{
    Builder b = builder_before(outer);
    Type t = value_type(r->net, outer->result[4]), number = type_int(32);
    Value *slot[2] = {&s->keys.slot, &s->labels.slot};
    for (int i = 0; i < 2; i++)
        *slot[i] = *slot[i] ? *slot[i] : first_slot(r, &b);
    Value last = last_not_above(r, &b, s), at = build_cast(&b, last, type_idx(s->keys.fields)), label = build_field(&b, &s->labels, at, t), found;
    value_name(r->net, last, "last");
    value_name(r->net, label, "label");
    if (s->before)
        found = build_cmp(&b, PRED_ge, last, small(r, &b, number, "zero", 0));
    else
        found = build_cmp(&b, PRED_eq, s->x, build_field(&b, &s->keys, at, value_type(r->net, s->x)));
    value_replace(r->net, outer->result[4], build_select(&b, found, label, op_operand(outer, 4)));
    if (outer->n_results == 6)
        value_replace(r->net, outer->result[5], build_select(&b, found, small(r, &b, t, "one", 1), op_operand(outer, 5)));
}

/* `uses` may be those before the first search: a search only uses what the repeat that it replaces was already using. */
static void search_blocks(Reading *r, const uint32_t *uses, Op *outer)
{
    Scan s;
    for (uint32_t i = 0; i < 4 && i < outer->n_results; i++)
        if (uses[outer->result[i]] > 0)
            return;
    if (!read_scan(r, outer, &s))
        return;
    search(r, outer, &s);
    op_remove(outer);
    pass_note(r->ctx, "%s: blocks of %u fields of %u + %u bits are searched, not read bit by bit", r->net->name, s.keys.fields, s.keys.bits,
              s.labels.bits);
    pass_stat(r->ctx, "blocks read bit by bit became searches", 1);
    r->changed = true;
}

bool pass_read_bits(Network *net, PassContext *ctx)
{
    uint32_t n = (uint32_t)net->values.len;
    Reading r = {.net = net, .ctx = ctx, .n_values = n, .known_of = NEW_ARRAY(ctx->arena, n, uint32_t),
                 .slot_of = NEW_ARRAY(ctx->arena, n, uint32_t)};
    Vec(Op *) affines = {0}, repeats = {0};
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind == OP_affine)
            vec_push(ctx->arena, affines, op);
        else if (op->kind == OP_repeat && op->n_results >= 5)
            vec_push(ctx->arena, repeats, op);
    }
    for (size_t i = 0; i < affines.len; i++)
        look_up(&r, affines.at[i]);
    network_settle(net);
    const uint32_t *uses = repeats.len ? network_count_uses(ctx->arena, net) : NULL;
    for (size_t i = 0; i < repeats.len; i++)
        search_blocks(&r, uses, repeats.at[i]);
    return r.changed;
}
