/* memorize_sqrt.c — method `sqrt`: a ReLU network of O(sqrt n) neurons that memorizes n points. Unconditional.
 *
 *      %z = cast %x : iW                                     as a vector of one
 *      %g = relu (affine %z, ones, −@T)                      2p−1 neurons: which block of points is z in
 *      %h = relu (affine %g, @A, @a)                         one neuron or two for each place in a block
 *      %y = affine %h, [±1 …], [y_0]
 *
 * Source: Yun, Sra and Jadbabaie 2018, arXiv:1810.07770; Net A below is ours, after it. Points z_0 < z_1 < …, labels y_i, in
 * p blocks of q = ceil(sqrt n) points; T_j = z_{jq} begins block j.
 *
 * The first layer: g_0 = relu(z − T_0) and for j >= 1 g_j = relu(z − T_j), g'_j = relu(z − T_j + 1), so that g'_j − g_j = [z >= T_j] for
 * integers z. A neuron of the second layer that is to be a_j z + b_j in block j, for every j, takes g_0 a_0 times and, with the changes
 * Δa, Δb from block j−1 to j and e = Δa T_j + Δb, g_j (Δa − e) times and g'_j e times; its bias is a_0 T_0 + b_0. For
 * (Δa − e)(z − T_j) + e (z − T_j + 1) = Δa (z − T_j) + e = Δa z + Δb once z >= T_j, and nothing before.
 *
 * Net A (every policy but `any`), 2q neurons: U_k and V_k for the k-th point i = jq+k of block j. With d = y_i − y_{i−1} (k = 0: y_i − y_0) and
 * h = |d|, U_k = h (z − z_i + [d >= 0]) and V_k = h (z − z_i + [d < 0]); relu U_k − relu V_k is d from z_i on and 0 before it, so the sum
 * over the block's points, beside y_0, is the label of the greatest point that is not above z. *For every integer z*, also
 * below z_0: there all g are 0 (T_j > T_0 for j >= 1, so z − T_j + 1 <= 0 too), the second layer is what it is at z = T_0 in block 0:
 * h (T_0 − z_i + 0 or 1) <= 0 for i >= 1, and h = 0 for i = 0; so y = y_0. That is `unseen = before`.
 *
 * Net B (`unseen = any`), q neurons with signs + − + …: in each block a zigzag line through the points, steep enough (L, above every slope)
 * that each piece ends in a point: exact on the points, anything between. Half the multiplications.
 *
 * Why it does not wrap, though it may: additions and multiplications modulo 2^W are exact modulo 2^W whatever comes between, so only
 * what a relu reads must be the true number, from −2^(W−1) to 2^(W−1)−1. The first layer reads differences z − T_j + 1. In Net A the
 * second reads h (z − z_i + 0 or 1), with z_0 < z_i and z_0 <= z (or h = 0): at most b bits of (greatest z − z_0) times c bits of h: W >= b + c + 1.
 * In Net B 2Lz − L (z_i + z_{i+1}) − …, with L <= 2^c and labels from 0 to 2^c − 1: W >= b + c + 2. So W is chosen from the data and from what x
 * can be: f32 keys with labels of 31 bits fit i64.
 */
#include "memorize_integers.h"

#include <math.h>
#include <string.h>

typedef struct SqrtNet {
    const Integers *in;
    Builder *b;
    uint32_t q, blocks;           /* points in a block; blocks */
    uint32_t bits;                /* W */
    uint32_t size;                /* bytes of an iW */
    uint32_t least;               /* the row of the least label */
    uint8_t *steep;               /* of each block, for zigzag lines: L */
} SqrtNet;

/* What neuron `unit` is in block j: line[0] z + line[1], each of W bits. */
typedef void Line(const SqrtNet *s, uint32_t j, uint32_t unit, uint8_t *line);

/* ---- numbers of W bits ---- */

enum { MAX_BYTES = IR_MAX_INT_BITS / 8 };

static void key_of(const SqrtNet *s, uint32_t i, uint8_t *r)
{
    int_convert(type_int(s->bits), r, s->in->key, integers_key(s->in, i));
}

static void label_of(const SqrtNet *s, uint32_t i, uint8_t *r)
{
    int_convert(type_int(s->bits), r, s->in->label, integers_label_at(s->in, i));
}

static void set_int(const SqrtNet *s, uint8_t *r, int64_t v)
{
    int_resize(s->bits, r, 64, (const uint8_t *)&v);
}

static uint32_t points_before(const SqrtNet *s, uint32_t j) { return j * s->q; }

/* ---- how wide ---- */

/* max(a, bits of |p − q|), p and q of one type */
static uint32_t most_bits(uint32_t a, Type t, const uint8_t *p, const uint8_t *q)
{
    uint8_t wide[2][MAX_BYTES];
    int_resize(t.n + 1, wide[0], t.n, p);
    int_resize(t.n + 1, wide[1], t.n, q);
    int_sub(t.n + 1, wide[0], wide[0], wide[1]);
    uint32_t bits = int_magnitude_bits(t.n + 1, wide[0]);
    return bits > a ? bits : a;
}

static const uint8_t *greater(Type t, const uint8_t *a, const uint8_t *b)
{
    return int_compare(t.n, a, b) >= 0 ? a : b;
}

/* Bits of the labels' differences that Net A multiplies with. */
static uint32_t step_bits(const Integers *in, uint32_t q)
{
    uint32_t bits = 0;
    for (uint32_t i = 1; i < in->n; i++)
        bits = most_bits(bits, in->label, integers_label_at(in, i), integers_label_at(in, i % q == 0 ? 0 : i - 1));
    return bits;
}

static uint32_t least_label(const Integers *in)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < in->n; i++)
        if (int_compare(in->label.n, integers_label_at(in, i), integers_label_at(in, least)) < 0)
            least = i;
    return least;
}

static uint32_t range_bits(const Integers *in)
{
    const uint8_t *least = integers_label_at(in, least_label(in));
    uint32_t bits = 0;
    for (uint32_t i = 0; i < in->n; i++)
        bits = most_bits(bits, in->label, integers_label_at(in, i), least);
    return bits;
}

static uint32_t width(const Integers *in, uint32_t q, bool any)
{
    const uint8_t *first = integers_key(in, 0), *last = integers_key(in, in->n - 1);
    uint32_t span = most_bits(0, in->key, any ? last : greater(in->key, last, in->greatest), first);
    uint32_t reach = most_bits(most_bits(span, in->key, in->greatest, first), in->key, last, in->least) + 1;
    uint32_t product = any ? span + range_bits(in) + 1 : span + step_bits(in, q), label = 0;
    for (uint32_t i = 0; i < in->n; i++) {
        uint32_t bits = int_magnitude_bits(in->label.n, integers_label_at(in, i)) + 1;
        label = bits > label ? bits : label;
    }
    label = label < in->label.n ? label : in->label.n;
    uint32_t bits = 1 + (product > reach ? product : reach);
    return machine_bits(bits > label ? bits : label);
}

/* ---- the lines of Net A and Net B ---- */

/* U_k for unit 2k, V_k for 2k + 1 */
static void line_of_step(const SqrtNet *s, uint32_t j, uint32_t unit, uint8_t *line)
{
    uint32_t k = unit / 2, i = points_before(s, j) + k;
    uint8_t d[MAX_BYTES], at[MAX_BYTES], shift[MAX_BYTES];
    memset(line, 0, 2 * s->size);
    if (i >= s->in->n || i == 0)
        return;
    label_of(s, i, d);
    label_of(s, k == 0 ? 0 : i - 1, at);
    bool falls = int_compare(s->in->label.n, integers_label_at(s->in, i), integers_label_at(s->in, k == 0 ? 0 : i - 1)) < 0;
    int_sub(s->bits, d, d, at);
    if (falls)
        int_neg(s->bits, d, d);
    set_int(s, shift, falls == (unit % 2 == 1));
    key_of(s, i, at);
    int_sub(s->bits, at, shift, at);
    memcpy(line, d, s->size);
    int_mul(s->bits, line + s->size, d, at);
}

/* L = 1 + max ceil(|y_{i+1} − y_i| / (z_{i+1} − z_i)) over a block's points; it fits W bits, and so does all of this. */
static void steepness(const SqrtNet *s, uint32_t j, uint8_t *r)
{
    uint32_t from = points_before(s, j), to = from + s->q < s->in->n ? from + s->q : s->in->n;
    uint8_t dy[MAX_BYTES], dz[MAX_BYTES], y[MAX_BYTES], z[MAX_BYTES], one[MAX_BYTES];
    set_int(s, one, 1);
    memset(r, 0, s->size);
    for (uint32_t i = from; i + 1 < to; i++) {
        label_of(s, i, y);
        label_of(s, i + 1, dy);
        key_of(s, i, z);
        key_of(s, i + 1, dz);
        int_sub(s->bits, dy, dy, y);
        int_abs(s->bits, dy, dy);
        int_sub(s->bits, dz, dz, z);
        int_add(s->bits, dy, dy, dz);             /* ceil(a / b) = (a + b − 1) / b */
        int_sub(s->bits, dy, dy, one);
        int_div(s->bits, dy, dy, dz);
        int_max(s->bits, r, r, dy);
    }
    int_add(s->bits, r, r, one);
}

/* Unit 0: y_0 + L (z − z_0) from the block's first point on. Unit k: 2 L z − L (z_i + z_{i+1}) − σ (y_{i+1} − y_i), i = k − 1, σ = + − + …. */
static void line_of_zigzag(const SqrtNet *s, uint32_t j, uint32_t unit, uint8_t *line)
{
    uint32_t i = points_before(s, j) + (unit > 0 ? unit - 1 : 0);
    uint8_t a[MAX_BYTES], c[MAX_BYTES], *offset = line + s->size;
    const uint8_t *slope = s->steep + (uint64_t)j * s->size;
    memset(line, 0, 2 * s->size);
    if (unit > 0 && i + 1 >= s->in->n)
        return;
    key_of(s, i, a);
    label_of(s, i, c);
    if (unit == 0) {
        uint8_t base[MAX_BYTES];
        label_of(s, s->least, base);
        int_sub(s->bits, c, c, base);
        int_mul(s->bits, a, slope, a);
        memcpy(line, slope, s->size);
        int_sub(s->bits, offset, c, a);
        return;
    }
    key_of(s, i + 1, offset);
    int_add(s->bits, a, a, offset);
    int_mul(s->bits, a, slope, a);                /* L (z_i + z_{i+1}) */
    label_of(s, i + 1, offset);
    int_sub(s->bits, c, offset, c);               /* y_{i+1} − y_i */
    if (unit % 2 == 0)
        int_neg(s->bits, c, c);
    int_add(s->bits, a, a, c);
    int_neg(s->bits, offset, a);
    int_add(s->bits, line, slope, slope);
}

static void prepare_zigzag(SqrtNet *s)
{
    s->least = least_label(s->in);
    s->steep = arena_array(s->in->m->ctx->arena, s->blocks, s->size);
    for (uint32_t j = 0; j < s->blocks; j++)
        steepness(s, j, s->steep + (uint64_t)j * s->size);
}

/* ---- the layers ---- */

static ConstId constant(const SqrtNet *s, const char *name, uint32_t rows, uint32_t cols, const uint8_t *at)
{
    Type t = cols ? type_matrix(type_int(s->bits), rows, cols) : type_vector(type_int(s->bits), rows);
    return const_add(s->in->m->net->module, name, t, at, s->in->m->op->span);
}

static uint8_t *numbers(const SqrtNet *s, uint64_t n)
{
    return memory_bytes(s->in->m, n * s->size);
}

/* g_0, g_1, g'_1, g_2, g'_2 … */
static Value first_layer(const SqrtNet *s)
{
    uint32_t n = 2 * s->blocks - 1, one[1] = {1};
    uint8_t *ones = numbers(s, n), *bias = numbers(s, n), shift[MAX_BYTES];
    set_int(s, shift, 1);
    for (uint32_t u = 0; u < n; u++) {
        set_int(s, ones + u * s->size, 1);
        key_of(s, points_before(s, (u + 1) / 2), bias + u * s->size);
        int_neg(s->bits, bias + u * s->size, bias + u * s->size);
        if (u > 0 && u % 2 == 0)
            int_add(s->bits, bias + u * s->size, bias + u * s->size, shift);
    }
    Value z = build_cast(s->b, s->in->x, type_int(s->bits));
    value_name(s->b->net, z, "z");
    z = build_reshape(s->b, z, 1, one);
    return build_unary(s->b, OP_relu, build_affine(s->b, z, constant(s, "ones", n, 1, ones), constant(s, "blocks", n, 0, bias), 1));
}

/* The weights of one neuron, and its bias, from its lines in all blocks. */
static void weights_of_lines(const SqrtNet *s, uint32_t unit, Line *line_of, uint8_t *w, uint8_t *bias)
{
    uint8_t line[2][2 * MAX_BYTES], t[MAX_BYTES], e[MAX_BYTES], slope[MAX_BYTES];
    for (uint32_t j = 0; j < s->blocks; j++) {
        uint8_t *now = line[j % 2], *before = line[1 - j % 2];
        line_of(s, j, unit, now);
        key_of(s, points_before(s, j), t);
        if (j == 0) {
            memcpy(w, now, s->size);
            int_mul(s->bits, bias, now, t);
            int_add(s->bits, bias, bias, now + s->size);
            continue;
        }
        int_sub(s->bits, slope, now, before);
        int_mul(s->bits, e, slope, t);
        int_add(s->bits, e, e, now + s->size);
        int_sub(s->bits, e, e, before + s->size);
        int_sub(s->bits, w + (2 * j - 1) * s->size, slope, e);
        memcpy(w + 2 * j * s->size, e, s->size);
    }
}

static Value second_layer(const SqrtNet *s, Value g, uint32_t units, Line *line_of)
{
    uint32_t columns = 2 * s->blocks - 1;
    uint8_t *w = numbers(s, (uint64_t)units * columns), *bias = numbers(s, units);
    for (uint32_t u = 0; u < units; u++)
        weights_of_lines(s, u, line_of, w + (uint64_t)u * columns * s->size, bias + (uint64_t)u * s->size);
    return build_unary(s->b, OP_relu, build_affine(s->b, g, constant(s, "lines", units, columns, w), constant(s, "lines.bias", units, 0, bias), 1));
}

/* Units are added and subtracted in turn. */
static Value last_layer(const SqrtNet *s, Value h, uint32_t units, uint32_t first_label)
{
    uint8_t *signs = numbers(s, units), *bias = numbers(s, 1);
    for (uint32_t u = 0; u < units; u++)
        set_int(s, signs + (uint64_t)u * s->size, u % 2 == 0 ? 1 : -1);
    label_of(s, first_label, bias);
    Value y = build_affine(s->b, h, constant(s, "signs", 1, units, signs), constant(s, "first_label", 1, 0, bias), 1);
    return build_reshape(s->b, y, 0, NULL);
}

/* ---- the method ---- */

static uint32_t ceil_sqrt(uint32_t n)
{
    uint32_t q = (uint32_t)sqrt((double)n);
    while ((uint64_t)q * q < n)
        q++;
    return q;
}

Value memorize_sqrt(Memory *m)
{
    Integers in;
    bool any = m->unseen == UNSEEN_any;
    if (m->coordinates == 0)
        return memory_label(m, 0);
    if (!integers_of(m, memory_checks(m) ? ROWS_numbered : LABELS_as_they_are, &in))
        return 0;
    SqrtNet s = {.in = &in, .b = &m->b, .q = ceil_sqrt(in.n)};
    s.blocks = (in.n + s.q - 1) / s.q;
    s.bits = width(&in, s.q, any);
    s.size = type_element_bytes(type_int(s.bits));
    if (s.bits > IR_MAX_INT_BITS / 2) {
        diag_error(m->ctx->diags, m->op->span, "keys and labels of %u and %u bits need numbers of %u bits, and %d are the most", in.key.n, in.label.n,
                   s.bits, IR_MAX_INT_BITS / 2);
        return 0;
    }
    uint32_t units = any ? s.q : 2 * s.q;
    if (any)
        prepare_zigzag(&s);
    Value h = second_layer(&s, first_layer(&s), units, any ? line_of_zigzag : line_of_step);
    Value y = last_layer(&s, h, units, any ? s.least : 0);
    Arena *scratch = m->ctx->arena;
    integers_note(&in, y, str_printf(scratch, "sqrt: %u points in %u blocks: %u + %u neurons in i%u", in.n, s.blocks, 2 * s.blocks - 1, units, s.bits),
                  str_printf(scratch, "%u sqrt n = %u neurons, depth 3", any ? 3 : 4, (any ? 3 : 4) * s.q));
    return memory_checks(m) ? integers_checked(&in, y) : integers_label(&in, y);
}
