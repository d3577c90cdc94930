/* memorize_integers.c — the data of a `memorize` as one integer key and one integer label a row.
 *
 *      keys      iN       as they are                     labels    iN        as they are
 *                f32 f64  %z = max %first, %x                       else      numbers of the labels that differ:
 *                         %k = ord %z                                         %i = cast %y : idx[n]; %label = row @labels[%i]
 *                vectors  a coordinate that differs in all rows, or a projection (projection.c)
 *
 * In: what memorize.c read. Out: bytes in memory form, and the value of x in the same form. The one idea: both constructions that
 * compute (sqrt, bits) know integers only, for these are exact; whatever else keys and labels are is moved, not computed.
 *
 * Floats: `ord` keeps their order and makes −0 and +0 one. A NaN, which is in no row, is made the first key by `max` where the answer
 * depends on it (unseen = before: what is below all gets the first label).
 */
#include "figures.h"
#include "memorize_conditional.h"
#include "memorize_integers.h"

#include <string.h>

/* ---- numbers ---- */

static bool is_negative(uint32_t bits, const uint8_t *a)
{
    return a[type_element_bytes(type_int(bits)) - 1] >> 7;        /* the sign is extended through the memory form; i1 has none */
}

uint32_t int_magnitude_bits(uint32_t bits, const uint8_t *a)
{
    uint32_t bytes = type_element_bytes(type_int(bits));
    uint8_t magnitude[IR_MAX_INT_BITS / 8];
    memcpy(magnitude, a, bytes);
    if (is_negative(bits, a))                     /* the least number wraps to itself, which read as unsigned is its magnitude */
        int_neg(bits, magnitude, a);
    if (is_negative(bits, magnitude))
        return bits;
    for (uint32_t i = bytes; i-- > 0;)
        if (magnitude[i])
            return 8 * i + 32 - (uint32_t)__builtin_clz(magnitude[i]);
    return 0;
}

void int_convert(Type to, uint8_t *r, Type from, const uint8_t *a)
{
    if (from.n == 1)
        int_resize(to.n, r, 8, a);                /* 0 or 1 in a byte */
    else
        int_resize(to.n, r, from.n, a);
}

uint32_t machine_bits(uint32_t bits)
{
    return bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : (bits + 63) / 64 * 64;
}

/* ---- keys ---- */

const uint8_t *integers_key(const Integers *in, uint32_t i)
{
    return in->keys + (uint64_t)i * type_element_bytes(in->key);
}

const uint8_t *integers_label_at(const Integers *in, uint32_t i)
{
    return in->labels + (uint64_t)(in->order ? in->order[i] : i) * type_element_bytes(in->label);
}

/* The image that `ord` gives. */
static int64_t order_image(Type t, const uint8_t *at)
{
    if (t.elem == ELEM_F32) {
        uint32_t bits;
        memcpy(&bits, at, sizeof bits);
        return bits >> 31 ? -(int64_t)(bits & 0x7fffffffu) : (int64_t)bits;
    }
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits >> 63 ? -(int64_t)(bits & 0x7fffffffffffffffu) : (int64_t)bits;
}

static uint8_t *converted(Memory *m, Type to, Type from, const uint8_t *a, uint64_t n)
{
    uint32_t size = type_element_bytes(from), bytes = type_element_bytes(to);
    uint8_t *r = arena_big(m->ctx->arena, n * bytes, 64);
    for (uint64_t i = 0; i < n; i++) {
        if (type_is_float(from))
            int_store(to.n, r + i * bytes, order_image(from, a + i * size));
        else
            int_convert(to, r + i * bytes, from, a + i * size);
    }
    return r;
}

static Type integer_type(Type t)
{
    if (type_is_float(t))
        return type_int(t.elem == ELEM_F32 ? 32 : 64);
    return type_int(t.n == 1 ? 2 : t.n);
}

static const uint8_t *extreme(Memory *m, Type t, bool greatest)
{
    uint8_t *at = arena_alloc(m->ctx->arena, type_element_bytes(t)), *one = arena_alloc(m->ctx->arena, type_element_bytes(t));
    int_resize(t.n, one, 8, (const uint8_t[]){1});
    int_shl(t.n, at, one, t.n - 1);               /* the least */
    if (greatest)
        int_sub(t.n, at, at, one);
    return at;
}

/* Values outside the box do arrive where the box only tells by a status; those that cannot are not worth bits. */
static ConstId box_of(const Memory *m)
{
    const Network *net = m->net;
    if (net->options.outside == OUTSIDE_dense)
        return 0;
    Value x = m->x;
    while (definition(net, x, OP_reshape))
        x = op_operand(value_op(net, x), 0);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (net->body->arg[i] == x)
            return net->input[i].box;
    return 0;
}

static void range_of_x(Integers *in)
{
    Memory *m = in->m;
    ConstId box = m->coordinates == 1 ? box_of(m) : 0;
    in->least = extreme(m, in->key, false);
    in->greatest = extreme(m, in->key, true);
    if (m->key.elem == ELEM_INT && m->key.n == 1 && in->key.n == 2) {
        in->least = arena_alloc(m->ctx->arena, 1);
        in->greatest = converted(m, in->key, m->key, (const uint8_t[]){1}, 1);
    } else if (box) {
        uint8_t *ends = arena_alloc(m->ctx->arena, const_bytes(const_get(m->net->module, box)));
        const_copy(const_get(m->net->module, box), ends);
        in->least = converted(m, in->key, m->key, ends, 1);
        in->greatest = converted(m, in->key, m->key, ends + type_element_bytes(m->key), 1);
    }
}

/* x as a scalar of type in->key. */
static Value integer_of_x(Integers *in, Value x)
{
    Memory *m = in->m;
    Builder *b = &m->b;
    if (!type_is_float(m->key))
        return build_cast(b, x, in->key);
    if (m->unseen == UNSEEN_before)
        x = build_binary(b, OP_max, build_const(b, const_add(m->net->module, "first", m->key, m->keys, m->op->span)), x);
    return build_unary(b, OP_ord, x);
}

static void take_key(Integers *in)
{
    Memory *m = in->m;
    in->key = integer_type(m->key);
    in->keys = converted(m, in->key, m->key, m->keys, m->rows);
    range_of_x(in);
    in->x = integer_of_x(in, build_reshape(&m->b, m->x, 0, NULL));
}

/* ---- several coordinates ---- */

static void reorder(Integers *in, const uint32_t *order, const uint8_t *keys)
{
    uint32_t size = type_element_bytes(in->key);
    uint8_t *sorted = arena_big(in->m->ctx->arena, (uint64_t)in->n * size, 64);
    for (uint32_t i = 0; i < in->n; i++)
        memcpy(sorted + (uint64_t)i * size, keys + (uint64_t)order[i] * size, size);
    in->keys = sorted;
    in->order = order;
}

/* A coordinate that differs in all rows. */
static void take_coordinate(Integers *in, const Columns *columns, uint32_t k)
{
    Memory *m = in->m;
    uint32_t size = type_element_bytes(m->key);
    uint8_t *column = arena_big(m->ctx->arena, (uint64_t)m->rows * size, 64);
    for (uint32_t i = 0; i < m->rows; i++)
        memcpy(column + (uint64_t)i * size, m->keys + (uint64_t)i * m->row_bytes + (uint64_t)k * size, size);
    in->key = integer_type(m->key);
    reorder(in, columns->order[k], converted(m, in->key, m->key, column, m->rows));
    range_of_x(in);
    in->x = integer_of_x(in, build_reshape(&m->b, build_slice(&m->b, m->x, &k, (uint32_t[]){1}), 0, NULL));
}

static bool take_projection(Integers *in, const Points *points, const Columns *columns)
{
    Memory *m = in->m;
    Projection p;
    Question q = {.columns = columns, .n_classes = m->rows};
    if (!find_projection(m->ctx->arena, points, &q, IR_MAX_INT_BITS / 4, &p)) {
        diag_error(m->ctx->diags, m->op->span, "%u coordinates of type %s are too wide to be made one integer", m->coordinates,
                   type_print(m->ctx->arena, m->key));
        return false;
    }
    in->key = type_int(p.bits);
    reorder(in, p.order, (const uint8_t *)p.z);
    range_of_x(in);
    in->x = memory_projected(m, &p);
    return true;
}

static bool take_coordinates(Integers *in)
{
    Memory *m = in->m;
    Points points = {m->key, m->rows, m->coordinates, m->keys};
    Columns columns = points_columns(m->ctx->arena, &points);
    for (uint32_t k = 0; k < m->coordinates; k++)
        if (columns.distinct[k] == m->rows) {
            take_coordinate(in, &columns, k);
            return true;
        }
    return take_projection(in, &points, &columns);
}

/* ---- labels ---- */

/* Numbers the labels that differ, in the order in which they first occur: neighbours often have near numbers. Bits differ, not
 * values: -0 and +0 are two labels. */
static void number_labels(Integers *in)
{
    Memory *m = in->m;
    uint32_t *number = arena_big(m->ctx->arena, (uint64_t)m->rows * sizeof *number, 64);
    uint32_t *row = arena_big(m->ctx->arena, (uint64_t)m->rows * sizeof *row, 64);
    uint32_t count = number_rows(m->ctx->arena, m->rows, m->label_bytes, m->labels, number, row);
    in->label = type_int(32);
    in->labels = (const uint8_t *)number;
    in->table = memory_labels(m, count, row);
}

static void take_row_numbers(Integers *in)
{
    int32_t *number = arena_big(in->m->ctx->arena, (uint64_t)in->n * sizeof *number, 64);
    for (uint32_t i = 0; i < in->n; i++)
        number[i] = (int32_t)i;
    in->label = type_int(32);
    in->labels = (const uint8_t *)number;
    in->table = in->m->labels_id;
}

static void take_labels(Integers *in, LabelKind kind)
{
    Memory *m = in->m;
    if (kind == ROWS_numbered) {
        take_row_numbers(in);
    } else if (kind == LABELS_as_they_are && type_is_int(m->label) && m->label.rank == 0) {
        in->label = integer_type(m->label);
        in->labels = converted(m, in->label, m->label, m->labels, m->rows);
    } else {
        number_labels(in);
    }
}

bool integers_of(Memory *m, LabelKind kind, Integers *out)
{
    *out = (Integers){.m = m, .n = m->rows};
    if (m->coordinates == 1)
        take_key(out);
    else if (!take_coordinates(out))
        return false;
    take_labels(out, kind);
    return true;
}

Value integers_checked(const Integers *in, Value y)
{
    Memory *m = in->m;
    Value row = build_cast(&m->b, y, type_idx(m->rows));
    return memory_checked(m, row, memory_row(m, m->labels_id, row));
}

Value integers_label(const Integers *in, Value y)
{
    Memory *m = in->m;
    if (!in->table)
        return build_cast(&m->b, y, m->label);
    Value i = build_cast(&m->b, y, type_idx(const_get(m->net->module, in->table)->type.dim[0]));
    return memory_row(m, in->table, i);
}

void integers_note(const Integers *in, Value y, const char *what, const char *bound)
{
    PassContext *ctx = in->m->ctx;
    if (!ctx->stats)
        return;
    Arena *scratch = arena_new(ctx->arena);
    if (!scratch)
        arena_exhausted(ctx->arena);
    Figures f = figures_of(scratch, in->m->net, in->x, y);
    pass_note(ctx, "%s: %llu neurons, %llu parameters, %llu bits of weights (the widest %u), depth %llu; at most %s", what, (unsigned long long)f.neurons,
              (unsigned long long)f.parameters, (unsigned long long)f.bits, f.widest, (unsigned long long)f.depth, bound);
    arena_free(scratch);
}
