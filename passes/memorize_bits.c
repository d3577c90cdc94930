/* memorize_bits.c — method `bits`: a narrow, deep ReLU network with few parameters of many bits. Unconditional.
 *
 *      %u, %w                      II   the keys and the labels of one block of B points, packed in two wide integers
 *      repeat B {                  III  for each point of the block
 *          repeat p { … }               x̂: the next p bits of %u
 *          match = relu(1 − relu(x − x̂) − relu(x̂ − x))
 *          repeat c { … }               ŷ: the next c bits of %w
 *          y += relu(ŷ − 2^c (1 − match))
 *      }
 *
 * Source: Vardi, Yehudai and Shamir 2021, arXiv:2110.03187. n points in m = ceil(n/B) blocks; keys are offsets x from the first key, of p bits,
 * labels offsets y from the least label, of c bits. In place of n parameters of p + c bits there are about 6m + 26B(p+c), of B p bits.
 *
 * I.   One integer: ord of a float, a projection of several coordinates (memorize_integers.c).
 * II.  u_j = sum of x_{jB+k} 2^{p(B−1−k)}, w_j likewise. With T_j the first key of block j, s_j = relu(x − T_j + 1) − relu(x − T_j) = [x >= T_j], and
 *      u = u_0 + sum of (u_j − u_{j−1}) s_j, which telescopes to that of the block where x lies. The last block takes the last B points, some
 *      of them a second time: below T_m, so that x, at or above it, matches none of these twice.
 * III. Reading a bit of u < H = 2^{Bp}: A starts as 2u + 1, and turn by turn
 *          g = relu(A − H + 1) − relu(A − H)         [A >= H]
 *          A ← 2A − 4 relu(A − H)                    the tent: 2A up to H, 4H − 2A beyond
 *          b ← b + g − 2 relu(b + g − 1)             b xor g: the bit, since the tent mirrors what comes after each 1
 *      A mirrored is the same bits read from the other side, inverted: hence the xor. b is never reset. The same for w with G = 2^{Bc}.
 *
 * What x gets that is no key: its block holds no equal offset (x < T_0 is negative, offsets are not), so no match, y = 0: the network
 * knows, and answers as the policy says. `before` replaces match by s = [x >= x̂] and y += … by y ← relu(y − 2^c s) + relu(ŷ − 2^c (1 − s)): the
 * last label whose key is not above x; y starts as the first label.
 *
 * B is what takes the fewest parameters, sqrt(6n / (26 (p+c))); with `depth: L` at most (L − d) / (p + c), with d = bits_layout's layers around
 * the reading. With B = 1, u and w are x̂ and ŷ: nothing is read, and the depth is constant.
 *
 * Nothing wraps: A <= 2H and 4H − 2A >= 0 have B p + 2 bits; the width is more, and that of x − T_j follows from what x can be.
 */
#include "memorize_integers.h"

#include <math.h>
#include <string.h>

enum { MAX_BYTES = IR_MAX_INT_BITS / 8, NATIVE_BITS = 16384 };

typedef struct BitsNet {
    const Integers *in;
    Builder *b;
    uint32_t p, c;                /* bits of an offset of a key, of a label */
    uint32_t block, blocks;       /* B, m */
    Type x, y;                    /* of numbers as wide as offsets; wide enough for all that is computed of them */
    Type u, w;                    /* of packed blocks */
    uint32_t base;                /* the place of the least label */
    bool finds;                   /* says whether there was a match */
    Value one_x, one_y, zero_x, zero_y, gate;     /* 1, 0, 2^c */
} BitsNet;

/* ---- numbers ---- */

/* a − b as a number of type r, both of type t */
static void difference(Type r, uint8_t *to, Type t, const uint8_t *a, const uint8_t *b)
{
    uint8_t wide[2][MAX_BYTES];
    uint32_t bits = (r.n > t.n ? r.n : t.n) + 1;
    int_resize(bits, wide[0], t.n, a);
    int_resize(bits, wide[1], t.n, b);
    int_sub(bits, wide[0], wide[0], wide[1]);
    int_resize(r.n, to, bits, wide[0]);
}

static uint32_t difference_bits(Type t, const uint8_t *a, const uint8_t *b)
{
    uint8_t d[MAX_BYTES];
    difference(type_int(t.n + 1), d, t, a, b);
    return int_magnitude_bits(t.n + 1, d);
}

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void key_offset(const BitsNet *s, uint32_t i, Type t, uint8_t *to)
{
    difference(t, to, s->in->key, integers_key(s->in, i), integers_key(s->in, 0));
}

static void label_offset(const BitsNet *s, uint32_t i, Type t, uint8_t *to)
{
    difference(t, to, s->in->label, integers_label_at(s->in, i), integers_label_at(s->in, s->base));
}

/* ---- sizes ---- */

static void measure(BitsNet *s)
{
    const Integers *in = s->in;
    const uint8_t *first = integers_key(in, 0), *last = integers_key(in, in->n - 1);
    s->p = larger(1, difference_bits(in->key, last, first));
    for (uint32_t i = 1; i < in->n; i++)
        if (int_compare(in->label.n, integers_label_at(in, i), integers_label_at(in, s->base)) < 0)
            s->base = i;
    s->c = 1;
    for (uint32_t i = 0; i < in->n; i++)
        s->c = larger(s->c, difference_bits(in->label, integers_label_at(in, i), integers_label_at(in, s->base)));
    uint32_t reach = larger(difference_bits(in->key, in->greatest, first), difference_bits(in->key, in->least, first));
    s->x = type_int(machine_bits(larger(reach, s->p) + 2));
    s->y = type_int(machine_bits(s->c + 2));
}

/* Layers around the reading: stage II, two for the last bits of a key's label to arrive (or four from its key's last bit on), the output. */
static uint32_t layers_around(const BitsNet *s) { return 2 + (s->c < 2 ? 4 - s->c : 2); }

enum { LEAST_DEPTH = 5 };                         /* stage II, both differences, match, label, output */

static uint64_t depth_of(const BitsNet *s)
{
    return s->block == 1 ? LEAST_DEPTH : (uint64_t)s->block * (s->p + s->c) + layers_around(s);
}

static bool choose_block(BitsNet *s)
{
    Memory *m = s->in->m;
    uint32_t n = s->in->n, bits = s->p + s->c, widest = (NATIVE_BITS - 3) / larger(s->p, s->c), around = layers_around(s);
    double best = round(sqrt(6.0 * n / (26.0 * bits)));
    s->block = best < 1 ? 1 : best > n ? n : (uint32_t)best;
    if (m->depth && m->depth < LEAST_DEPTH) {
        diag_error(m->ctx->diags, m->op->span, "a network that memorizes these data has at least %d layers: `depth: %u` is too few", LEAST_DEPTH, m->depth);
        return false;
    }
    if (m->depth && s->block > (m->depth < around ? 0 : m->depth - around) / bits)
        s->block = (m->depth < around ? 0 : m->depth - around) / bits;
    s->block = s->block > widest ? widest : s->block;
    s->block = larger(s->block, 1);
    s->blocks = (n + s->block - 1) / s->block;
    if (larger(s->p, s->c) + 3 > IR_MAX_INT_BITS / 2) {
        diag_error(m->ctx->diags, m->op->span, "keys of %u bits and labels of %u are too wide to be packed", s->p, s->c);
        return false;
    }
    s->u = s->block == 1 ? s->x : type_int(machine_bits(s->block * s->p + 3));
    s->w = s->block == 1 ? s->y : type_int(machine_bits(s->block * s->c + 3));
    return true;
}

/* ---- small ops ---- */

static Value number(const BitsNet *s, Type t, const char *name, const uint8_t *at)
{
    uint8_t *own = memory_bytes(s->in->m, type_element_bytes(t));
    memcpy(own, at, type_element_bytes(t));
    return build_const(s->b, const_add(s->b->net->module, name, t, own, s->in->m->op->span));
}

static Value small(const BitsNet *s, Type t, const char *name, int8_t v)
{
    uint8_t at[MAX_BYTES];
    int_resize(t.n, at, 8, (const uint8_t *)&v);
    return number(s, t, name, at);
}

/* 2^e */
static Value power(const BitsNet *s, Type t, const char *name, uint32_t e)
{
    uint8_t at[MAX_BYTES];
    int_resize(t.n, at, 8, (const uint8_t[]){1});
    int_shl(t.n, at, at, e);
    return number(s, t, name, at);
}

static Value add(Builder *b, Value x, Value y) { return build_binary(b, OP_add, x, y); }
static Value sub(Builder *b, Value x, Value y) { return build_binary(b, OP_sub, x, y); }
static Value relu(Builder *b, Value x) { return build_unary(b, OP_relu, x); }

/* ---- stage II: the block where x lies ---- */

static uint32_t first_point(const BitsNet *s, uint32_t j)
{
    return j + 1 < s->blocks ? j * s->block : s->in->n - s->block;
}

/* Fields of `bits` bits, the first at the top. */
static void pack(const BitsNet *s, uint32_t j, bool labels, Type t, uint8_t *to)
{
    uint32_t bits = labels ? s->c : s->p;
    uint8_t field[MAX_BYTES];
    memset(to, 0, type_element_bytes(t));
    for (uint32_t k = 0; k < s->block; k++) {
        Type wide = type_int(machine_bits(bits + 2));
        uint32_t at = bits * (s->block - 1 - k);
        (labels ? label_offset : key_offset)(s, first_point(s, j) + k, wide, field);
        for (uint32_t i = 0; i < bits;) {         /* by bytes: whole widths would be shifted for each field */
            uint32_t take = 8 - (at + i) % 8 < bits - i ? 8 - (at + i) % 8 : bits - i, byte = 0;
            for (uint32_t q = 0; q < take; q++)
                byte |= (uint32_t)(field[(i + q) / 8] >> ((i + q) % 8) & 1) << q;
            to[(at + i) / 8] |= (uint8_t)(byte << (at + i) % 8);
            i += take;
        }
    }
}

/* u_0 + sum of (u_j − u_{j−1}) s_j */
static Value telescoped(const BitsNet *s, Value steps, bool labels)
{
    Module *module = s->b->net->module;
    Type t = labels ? s->w : s->u;
    uint32_t size = type_element_bytes(t), n = s->blocks - 1;
    uint8_t *first = memory_bytes(s->in->m, size), *change = memory_bytes(s->in->m, (uint64_t)n * size);
    uint8_t *before = arena_alloc(s->in->m->ctx->arena, size), *now = arena_alloc(s->in->m->ctx->arena, size);
    pack(s, 0, labels, t, first);
    memcpy(before, first, size);
    for (uint32_t j = 1; j <= n; j++) {
        pack(s, j, labels, t, now);
        int_sub(t.n, change + (uint64_t)(j - 1) * size, now, before);
        memcpy(before, now, size);
    }
    ConstId bias = const_add(module, labels ? "w0" : "u0", type_vector(t, 1), first, s->in->m->op->span);
    if (n == 0)
        return build_reshape(s->b, build_const(s->b, bias), 0, NULL);
    ConstId W = const_add(module, labels ? "w" : "u", type_matrix(t, 1, n), change, s->in->m->op->span);
    return build_reshape(s->b, build_affine(s->b, build_cast(s->b, steps, t), W, bias, 1), 0, NULL);
}

/* [x >= T_j] for j >= 1 */
static Value steps_of(const BitsNet *s, Value x)
{
    Module *module = s->b->net->module;
    uint32_t size = type_element_bytes(s->x), n = s->blocks - 1, one[1] = {1};
    uint8_t *ones = memory_bytes(s->in->m, (uint64_t)n * size), *at = memory_bytes(s->in->m, (uint64_t)n * size);
    uint8_t *after = memory_bytes(s->in->m, (uint64_t)n * size), unit[MAX_BYTES];
    int_resize(s->x.n, unit, 8, (const uint8_t[]){1});
    for (uint32_t j = 0; j < n; j++) {
        uint64_t place = (uint64_t)j * size;
        memcpy(ones + place, unit, size);
        key_offset(s, (j + 1) * s->block, s->x, at + place);
        int_neg(s->x.n, at + place, at + place);
        int_add(s->x.n, after + place, at + place, unit);
    }
    Span span = s->in->m->op->span;
    ConstId W = const_add(module, "ones", type_matrix(s->x, n, 1), ones, span);
    Value v = build_reshape(s->b, x, 1, one);
    Value ge = relu(s->b, build_affine(s->b, v, W, const_add(module, "from", type_vector(s->x, n), after, span), 1));
    Value gt = relu(s->b, build_affine(s->b, v, W, const_add(module, "beyond", type_vector(s->x, n), at, span), 1));
    return sub(s->b, ge, gt);
}

/* ---- stage III: reading ---- */

typedef struct Tape {             /* A or D: what is read of one packed integer */
    Value state, bit;
    Type wide, narrow;
    uint32_t bits;                /* of a field */
    Value half, less;             /* H, H − 1 */
    Value zero, one;
} Tape;

static Tape tape_of(const BitsNet *s, Value packed, bool labels)
{
    Tape t = {.wide = labels ? s->w : s->u, .narrow = labels ? s->y : s->x, .bits = labels ? s->c : s->p,
              .zero = labels ? s->zero_y : s->zero_x, .one = labels ? s->one_y : s->one_x};
    uint8_t less[MAX_BYTES], one[MAX_BYTES];
    int_resize(t.wide.n, one, 8, (const uint8_t[]){1});
    int_shl(t.wide.n, less, one, s->block * t.bits);
    int_sub(t.wide.n, less, less, one);
    t.half = power(s, t.wide, labels ? "G" : "H", s->block * t.bits);
    t.less = number(s, t.wide, labels ? "G1" : "H1", less);
    t.state = add(s->b, add(s->b, packed, packed), small(s, t.wide, "one", 1));
    t.bit = t.zero;
    return t;
}

/* The next field: repeat bits (state, bit, number) { … } */
static Value read_field(Builder *b, Tape *t)
{
    Type types[4] = {type_idx(t->bits), t->wide, t->narrow, t->narrow};
    Block *body = block_new(b->net, 4, types);
    Builder in = builder_at_end(body), *i = &in;
    Value A = body->arg[1], bit = body->arg[2], read = body->arg[3];
    Value above = relu(i, sub(i, A, t->half));
    Value g = build_cast(i, sub(i, relu(i, sub(i, A, t->less)), above), t->narrow);
    Value fold = sub(i, sub(i, A, above), above);                                     /* A − 2 relu(A − H) */
    Value sum = add(i, bit, g), carry = relu(i, sub(i, sum, t->one));
    Value next = sub(i, sub(i, sum, carry), carry);
    Value result[3] = {add(i, fold, fold), next, add(i, add(i, read, read), next)};
    value_name(b->net, A, "A");
    value_name(b->net, above, "above");
    value_name(b->net, next, "bit");
    build_op(i, &(OpInit){.kind = OP_yield, .n_operands = 3, .operand = result});
    Op *op = build_op(b, &(OpInit){.kind = OP_repeat, .n_operands = 3, .operand = (Value[]){t->state, t->bit, t->zero}, .n_regions = 1,
                                   .region = &body, .n_hints = 3, .hint = types + 1, .attr = {{.i = t->bits}}});
    t->state = op->result[0];
    t->bit = op->result[1];
    return op->result[2];
}

/* ---- one point ---- */

typedef struct Answer { Value label, found; } Answer;          /* offsets of labels; 1 where x was met, else 0; found 0: not asked for */

/* relu(ŷ − 2^c (1 − on)), on = 0 or 1 */
static Value label_if(const BitsNet *s, Builder *b, Value label, Value on)
{
    return relu(b, sub(b, add(b, label, build_binary(b, OP_mul, on, s->gate)), s->gate));
}

static void take_point(const BitsNet *s, Builder *b, Value x, Value key, Value label, Answer *a)
{
    if (s->in->m->unseen == UNSEEN_before) {
        Value from = build_cast(b, sub(b, relu(b, add(b, sub(b, x, key), s->one_x)), relu(b, sub(b, x, key))), s->y);
        Value not = sub(b, s->one_y, from);
        a->label = add(b, label_if(s, b, a->label, not), label_if(s, b, label, from));
        return;
    }
    Value match = relu(b, sub(b, sub(b, s->one_x, relu(b, sub(b, x, key))), relu(b, sub(b, key, x))));
    match = build_cast(b, match, s->y);
    value_name(b->net, match, "match");
    a->label = add(b, a->label, label_if(s, b, label, match));
    if (a->found)
        a->found = add(b, a->found, match);
}

static Answer first_answer(const BitsNet *s)
{
    Answer a = {s->zero_y, s->finds ? s->zero_y : 0};
    uint8_t first[MAX_BYTES];
    if (s->in->m->unseen == UNSEEN_before) {
        label_offset(s, 0, s->y, first);
        a.label = number(s, s->y, "label0", first);
    }
    return a;
}

/* repeat B (A, b, D, d, label, found) { … } */
static Answer read_block(const BitsNet *s, Value x, Value u, Value w)
{
    Answer a = first_answer(s);
    if (s->block == 1) {
        take_point(s, s->b, x, u, w, &a);
        return a;
    }
    Tape keys = tape_of(s, u, false), labels = tape_of(s, w, true);
    uint32_t n = a.found ? 6 : 5;
    Type types[7] = {type_idx(s->block), s->u, s->x, s->w, s->y, s->y, s->y};
    Value init[6] = {keys.state, keys.bit, labels.state, labels.bit, a.label, a.found};
    Block *body = block_new(s->b->net, n + 1, types);
    Builder in = builder_at_end(body);
    Answer turn = {body->arg[5], a.found ? body->arg[6] : 0};
    keys.state = body->arg[1];
    keys.bit = body->arg[2];
    labels.state = body->arg[3];
    labels.bit = body->arg[4];
    Value key = read_field(&in, &keys), label = read_field(&in, &labels);
    value_name(s->b->net, key, "key");
    value_name(s->b->net, label, "label");
    take_point(s, &in, x, key, label, &turn);
    Value result[6] = {keys.state, keys.bit, labels.state, labels.bit, turn.label, turn.found};
    build_op(&in, &(OpInit){.kind = OP_yield, .n_operands = n, .operand = result});
    Op *op = build_op(s->b, &(OpInit){.kind = OP_repeat, .n_operands = n, .operand = init, .n_regions = 1, .region = &body, .n_hints = n,
                                      .hint = types + 1, .attr = {{.i = s->block}}});
    return (Answer){op->result[4], a.found ? op->result[5] : 0};
}

/* ---- the method ---- */

/* The integer that was memorized. */
static Value integer_of(const BitsNet *s, Value offset)
{
    const Integers *in = s->in;
    Type t = type_int(larger(s->y.n, in->label.n));
    uint8_t base[MAX_BYTES];
    int_convert(t, base, in->label, integers_label_at(in, s->base));
    Value y = build_cast(s->b, offset, t);
    if (!int_is_zero(t.n, base))
        y = add(s->b, y, number(s, t, "least_label", base));
    return y;
}

/* The bound is that of the source, with every bit read in layers of their own: 6n/B parameters in stage II, 26 for each of B (p + c) bits. */
static void note(const BitsNet *s, Value y)
{
    Arena *scratch = s->in->m->ctx->arena;
    uint64_t parameters = 6ull * s->blocks + 26ull * s->block * (s->p + s->c);
    integers_note(s->in, y, str_printf(scratch, "bits: %u points of %u + %u bits in %u blocks of %u: i%u and i%u", s->in->n, s->p, s->c, s->blocks, s->block,
                                       s->u.n, s->w.n),
                  str_printf(scratch, "6 n/B + 26 B (p + c) = %llu parameters, depth %llu", (unsigned long long)parameters, (unsigned long long)depth_of(s)));
}

Value memorize_bits(Memory *m)
{
    Integers in;
    bool rows = memory_checks(m) && m->coordinates != 1;      /* what is projected like a key need not be one */
    if (m->coordinates == 0)
        return memory_label(m, 0);
    if (!integers_of(m, rows ? ROWS_numbered : LABELS_as_they_are, &in))
        return 0;
    BitsNet s = {.in = &in, .b = &m->b, .finds = memory_checks(m) && !rows};
    measure(&s);
    if (!choose_block(&s))
        return 0;
    uint8_t first[MAX_BYTES];
    int_resize(s.x.n, first, in.key.n, integers_key(&in, 0));
    Value x = sub(s.b, build_cast(s.b, in.x, s.x), number(&s, s.x, "first", first));
    value_name(m->net, x, "offset");
    s.one_x = small(&s, s.x, "one", 1);
    s.one_y = small(&s, s.y, "one", 1);
    s.zero_x = small(&s, s.x, "zero", 0);
    s.zero_y = small(&s, s.y, "zero", 0);
    s.gate = power(&s, s.y, "gate", s.c);
    Value steps = s.blocks > 1 ? steps_of(&s, x) : 0;
    Answer a = read_block(&s, x, telescoped(&s, steps, false), telescoped(&s, steps, true));
    Value y = integer_of(&s, a.label);
    note(&s, y);
    if (rows)
        return integers_checked(&in, y);
    Value label = integers_label(&in, y);
    if (!a.found)
        return label;
    return memory_answer(m, build_cmp(s.b, PRED_ge, a.found, s.one_y), label);
}
