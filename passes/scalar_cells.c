/* scalar_cells.c — what depends on one scalar, as sums and relus of single numbers.
 *
 *      affine            a sum for every row, of the weights that are not zero
 *      add sub neg mul   sums of one or two terms (one factor of a product is a constant)
 *      relu              a relu                    |a|  = 2 relu(a) − a
 *      max min           a + relu(b − a), a − relu(a − b)
 *      shapes, casts     the same cells under another name; a cast to a narrower integer has to fit
 *
 * In: ops, in order. Out: cells. The one idea: whole numbers. A float is a whole number times a power of two, so every sum of
 * products of floats is one too: a cell has a scale, 2^scale times its real value is whole, and nothing is ever rounded.
 * Integers have scale 0. How long the numbers become is known from bounds on them (`most`).
 */
#include "scalar_cells.h"
#include "pass_util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BITS = 16000 };       /* of any number: beyond, exactness costs too much */

/* mantissa · 2^exp, or `bytes` of a two's complement number. */
typedef struct Number { int64_t mantissa; int32_t exp; uint32_t bytes; const uint8_t *at; } Number;

typedef struct NewTerm { CellId from, to; Number weight; } NewTerm;
typedef struct Half { CellId from; Edge edge; } Half;

typedef struct CellsWork {
    Vec(NewTerm) term;            /* of the op at hand */
    Vec(Number) bias;             /* of its sums, from `first` on */
    Vec(Half) edge;               /* all so far */
    CellId first;
} CellsWork;

static const Number ONE = {.mantissa = 1}, MINUS_ONE = {.mantissa = -1}, TWO = {.mantissa = 2}, NOTHING = {0};

/* ---- numbers ---- */

static Number number_of_float(double d)
{
    int exp;
    Number n = {.mantissa = (int64_t)ldexp(frexp(d, &exp), 53)};
    if (n.mantissa == 0)
        return NOTHING;
    int zeros = __builtin_ctzll((uint64_t)n.mantissa);
    n.mantissa >>= zeros;         /* arithmetic: exact */
    n.exp = exp - 53 + zeros;
    return n;
}

static Number number_at(Type t, const uint8_t *at)
{
    if (t.elem == ELEM_F32) {
        float f;
        memcpy(&f, at, sizeof f);
        return number_of_float((double)f);
    }
    if (t.elem == ELEM_F64) {
        double d;
        memcpy(&d, at, sizeof d);
        return number_of_float(d);
    }
    uint32_t bytes = type_element_bytes(t);
    if (bytes > 8)
        return (Number){.bytes = bytes, .at = at};
    Number n = {.mantissa = at[bytes - 1] & 0x80 ? -1 : 0};
    memcpy(&n.mantissa, at, bytes);
    return n;
}

static Number number_of(const Const *c, uint64_t i) { return number_at(c->type, const_element(c, i)); }

static bool is_nothing(Number n) { return !n.at && n.mantissa == 0; }
static int32_t fraction_bits(Number n) { return n.exp < 0 ? -n.exp : 0; }

static Number negated(Number n)
{
    n.mantissa = -n.mantissa;
    return n;
}

/* The number times 2^shift as limbs, on the pool's end; how many. */
static uint32_t number_limbs(Cells *cells, Number n, int32_t shift, uint64_t *at)
{
    uint32_t bytes = n.at ? n.bytes : 8, limbs = (bytes + 7) / 8, all = limbs + (uint32_t)(shift > 0 ? shift : 0) / 64 + 1;
    *at = cells->pool.len;
    for (uint32_t i = 0; i < all; i++)
        vec_push(cells->arena, cells->pool, 0);
    Limb *r = cells->pool.at + *at;
    if (n.at) {
        memset(r, n.at[bytes - 1] & 0x80 ? 0xff : 0, all * sizeof *r);
        memcpy(r, n.at, bytes);
    } else {
        big_set(r, all, n.mantissa);
    }
    if (shift > 0)
        big_shift_left(r, all, (uint32_t)shift);
    while (all > 1 && (int64_t)r[all - 2] >> 63 == (int64_t)r[all - 1])      /* no more than it takes */
        all--;
    cells->pool.len = *at + all;
    return all;
}

/* An edge's weight and its size, rounded upwards. */
static long double store_weight(Cells *cells, Number n, int32_t shift, Edge *edge)
{
    uint64_t at, size = n.mantissa < 0 ? -(uint64_t)n.mantissa : (uint64_t)n.mantissa;
    if (cells->floats) {
        edge->as.real = ldexp((double)n.mantissa, n.exp);
        return ldexpl((long double)size, shift);
    }
    if (!n.at && size >> 62 == 0 && shift < 62 && size >> (62 - (shift > 0 ? shift : 0)) == 0) {
        edge->as.weight = n.mantissa * ((int64_t)1 << shift);
        return (long double)size * (long double)((uint64_t)1 << shift);
    }
    edge->wide = number_limbs(cells, n, shift, &at);
    edge->as.at = at;
    return ldexpl(1, (int)big_bits(cells->pool.at + at, edge->wide));
}

/* ---- cells ---- */

static uint32_t limbs_to_hold(long double most)
{
    int exp;
    frexpl(most, &exp);
    return (uint32_t)(exp < 0 ? 0 : exp) / 64 + ((exp < 0 ? 0 : exp) % 64 > 56 ? 2 : 1);    /* with bits to spare: differences */
}

/* Of floats the whole lines have to fit, from one end of the range of x to the other. */
static uint32_t limbs_for(const Cells *cells, const Cell *c)
{
    return limbs_to_hold(cells->floats ? c->most + 2 * c->steep * cells->cell.at[0].most : c->most);
}

static CellId new_cell(Cells *cells, Cell c)
{
    vec_push(cells->arena, cells->cell, c);
    vec_push(cells->arena, cells->work->bias, NOTHING);
    return (CellId)(cells->cell.len - 1);
}

static CellId new_sum(Cells *cells, const Op *op, uint32_t fits)
{
    return new_cell(cells, (Cell){.kind = CELL_SUM, .op = op, .fits = fits});
}

static CellId new_relu(Cells *cells, CellId input)
{
    Cell c = cells->cell.at[input];
    Cell relu = {.kind = CELL_RELU, .input = input, .scale = c.scale, .most = c.most, .steep = c.steep, .limbs = c.limbs, .op = c.op};
    return new_cell(cells, relu);
}

static void add_term(Cells *cells, CellId to, CellId from, Number weight)
{
    if (!is_nothing(weight))
        vec_push(cells->arena, cells->work->term, ((NewTerm){from, to, weight}));
}

Cells *cells_new(Arena *arena, const Network *net, bool floats, int32_t root_scale, long double most)
{
    Cells *cells = NEW(arena, Cells);
    *cells = (Cells){.arena = arena, .net = net, .floats = floats, .work = NEW(arena, CellsWork)};
    cells->of_value = NEW_ARRAY(arena, net->values.len, CellId *);
    cells->n_of_value = NEW_ARRAY(arena, net->values.len, uint64_t);
    Cell root = {.kind = CELL_ROOT, .scale = root_scale, .most = most, .steep = 1, .limbs = limbs_to_hold(4 * most)};
    cells->work->first = new_cell(cells, root) + 1;
    return cells;
}

static CellId *name_cells(Cells *cells, Value v, uint64_t n)
{
    cells->of_value[v] = NEW_ARRAY(cells->arena, n, CellId);
    cells->n_of_value[v] = n;
    return cells->of_value[v];
}

void cells_set_root(Cells *cells, Value v, uint64_t n) { name_cells(cells, v, n); }

/* What the caller knows of a sum; most = 0: nothing. */
typedef struct Bound { long double most, steep; } Bound;

/* Ends the sums made since work->first: one scale for all of them, weights and biases as whole numbers, bounds. */
static bool close_sums_knowing(Cells *cells, Bound known)
{
    CellsWork *w = cells->work;
    int32_t scale = 0;
    for (size_t i = 0; i < w->term.len; i++) {
        const NewTerm *t = &w->term.at[i];
        int32_t s = cells->cell.at[t->from].scale + fraction_bits(t->weight);
        scale = s > scale ? s : scale;
    }
    for (CellId c = w->first; c < cells->cell.len; c++)
        scale = fraction_bits(w->bias.at[c]) > scale ? fraction_bits(w->bias.at[c]) : scale;
    if (scale > MOST_BITS)
        return false;
    for (CellId c = w->first; c < cells->cell.len; c++)
        cells->cell.at[c].scale = scale;
    for (size_t i = 0; i < w->term.len; i++) {
        const NewTerm *t = &w->term.at[i];
        const Cell *from = &cells->cell.at[t->from];
        Half half = {t->from, {.to = t->to}};
        long double size = store_weight(cells, t->weight, scale - from->scale + t->weight.exp, &half.edge);
        cells->cell.at[t->to].most += size * from->most;
        cells->cell.at[t->to].steep += size * from->steep;
        vec_push(cells->arena, w->edge, half);
    }
    for (CellId c = w->first; c < cells->cell.len; c++) {
        Cell *cell = &cells->cell.at[c];
        Edge bias = {0};
        cell->most = (cell->most + store_weight(cells, w->bias.at[c], scale + w->bias.at[c].exp, &bias)) * (1 + 0x1p-30L);
        cell->steep *= 1 + 0x1p-30L;
        if (known.most > 0) {
            cell->most = known.most;
            cell->steep = known.steep;
        }
        if (!(cell->most + 2 * cell->steep * cells->cell.at[0].most < ldexpl(1, MOST_BITS)))
            return false;
        cell->limbs = limbs_for(cells, cell);
        if (cell->fits && cell->most < ldexpl(1, (int)cell->fits - 1))
            cell->fits = 0;       /* it always does */
        else if (cell->fits)
            cell->most = ldexpl(1, (int)cell->fits - 1);
    }
    w->term.len = 0;
    w->first = (CellId)cells->cell.len;
    return true;
}

static bool close_sums(Cells *cells) { return close_sums_knowing(cells, (Bound){0, 0}); }

/* ---- operands: each element a cell or a constant ---- */

typedef struct Element { bool is_cell; CellId cell; Number number; } Element;

static const Const *const_of(const Cells *cells, Value v)
{
    ConstId id = value_const(cells->net, v);
    return id ? const_get(cells->net->module, id) : NULL;
}

static Element element(const Cells *cells, Value v, uint64_t i)
{
    uint64_t n = type_count(value_type(cells->net, v));
    i = n == 1 ? 0 : i;
    if (cells->of_value[v])
        return (Element){true, cells->of_value[v][i], NOTHING};
    return (Element){.number = number_of(const_of(cells, v), i)};
}

/* sum += e, or −= e. */
static void add_element(Cells *cells, CellId sum, Element e, bool minus)
{
    if (e.is_cell)
        add_term(cells, sum, e.cell, minus ? MINUS_ONE : ONE);
    else if (!is_nothing(e.number))
        cells->work->bias.at[sum] = minus ? negated(e.number) : e.number;
}

/* A cell for a constant too. */
static CellId cell_of(Cells *cells, const Op *op, Element e)
{
    if (e.is_cell)
        return e.cell;
    CellId sum = new_sum(cells, op, 0);
    cells->work->bias.at[sum] = e.number;
    return sum;
}

/* Whether `negated` can do it. */
static bool can_negate(Element e) { return e.is_cell || (!e.number.at && e.number.mantissa != INT64_MIN); }

static uint32_t bits_to_fit(const Cells *cells, const Op *op)
{
    Type t = value_type(cells->net, op->result[0]);
    return type_is_int(t) ? t.n : 0;
}

/* At a scale that is not less than its own. */
static Bound bound_of(const Cells *cells, CellId c, int32_t scale)
{
    const Cell *cell = &cells->cell.at[c];
    return (Bound){ldexpl(cell->most, scale - cell->scale) + 1, ldexpl(cell->steep, scale - cell->scale)};
}

/* ---- ops ---- */

static bool same_cells(Cells *cells, const Op *op)
{
    Value v = op_operand(op, 0);
    cells->of_value[op->result[0]] = cells->of_value[v];
    cells->n_of_value[op->result[0]] = cells->n_of_value[v];
    return true;
}

/* Elements of the result are elements of the operand: slices, transposes, splats. */
static bool moved_cells(Cells *cells, const Op *op)
{
    Type from = value_type(cells->net, op_operand(op, 0)), to = value_type(cells->net, op->result[0]);
    uint64_t stride[IR_MAX_RANK + 1] = {0}, step = 1;
    for (uint32_t d = from.rank; d-- > 0; step *= from.dim[d])
        stride[d] = step;
    CellId *out = name_cells(cells, op->result[0], type_count(to));
    const CellId *in = cells->of_value[op_operand(op, 0)];
    for (uint64_t i = 0; i < type_count(to); i++) {
        uint64_t at = 0, rest = i;
        for (uint32_t d = to.rank; d-- > 0 && op->kind != OP_splat; rest /= to.dim[d]) {
            uint64_t c = rest % to.dim[d];
            at += op->kind == OP_slice ? (c + (uint64_t)op->attr[0].list[d]) * stride[d] : c * stride[op->attr[0].list[d]];
        }
        out[i] = in[at];
    }
    return true;
}

static bool joined_cells(Cells *cells, const Op *op)
{
    Type to = value_type(cells->net, op->result[0]);
    uint32_t axis = (uint32_t)op->attr[0].i;
    uint64_t outer = 1, inner = 1, at = 0;
    for (uint32_t d = 0; d < to.rank; d++)
        *(d < axis ? &outer : &inner) *= d != axis ? to.dim[d] : 1;
    CellId *out = name_cells(cells, op->result[0], type_count(to));
    for (uint64_t o = 0; o < outer; o++)
        for (uint32_t p = 0; p < op->n_operands; p++) {
            Value v = op_operand(op, p);
            uint64_t block = inner * value_type(cells->net, v).dim[axis];
            for (uint64_t i = 0; i < block; i++)
                out[at++] = cell_of(cells, op, element(cells, v, o * block + i));
        }
    return close_sums(cells);
}

static bool summed(Cells *cells, const Op *op)
{
    uint64_t n = type_count(value_type(cells->net, op->result[0]));
    CellId *out = name_cells(cells, op->result[0], n);
    uint32_t fits = bits_to_fit(cells, op);
    bool one = op->kind == OP_neg || op->kind == OP_cast, minus = op->kind == OP_neg || op->kind == OP_sub;
    for (uint64_t i = 0; i < n; i++) {
        Element a = element(cells, op_operand(op, 0), i), b = one ? a : element(cells, op_operand(op, 1), i);
        if (minus && !can_negate(b))
            b = (Element){true, cell_of(cells, op, b), NOTHING};
        out[i] = new_sum(cells, op, fits);
        if (op->kind == OP_mul) {
            add_term(cells, out[i], a.is_cell ? a.cell : b.cell, a.is_cell ? b.number : a.number);
            continue;
        }
        if (!one)
            add_element(cells, out[i], a, false);
        add_element(cells, out[i], b, minus);
    }
    return close_sums(cells);
}

static bool rectified(Cells *cells, const Op *op)
{
    Value v = op_operand(op, 0);
    uint64_t n = cells->n_of_value[v];
    CellId *out = name_cells(cells, op->result[0], n);
    for (uint64_t i = 0; i < n; i++)
        out[i] = new_relu(cells, cells->of_value[v][i]);
    cells->work->first = (CellId)cells->cell.len;
    if (op->kind == OP_relu)
        return true;
    for (uint64_t i = 0; i < n; i++) {
        CellId a = cells->of_value[v][i], positive = out[i];
        out[i] = new_sum(cells, op, bits_to_fit(cells, op));
        add_term(cells, out[i], positive, TWO);
        add_term(cells, out[i], a, MINUS_ONE);
        if (!close_sums_knowing(cells, bound_of(cells, a, cells->cell.at[a].scale)))
            return false;
    }
    return true;
}

/* a + relu(b − a), or a − relu(a − b). */
static bool extreme(Cells *cells, const Op *op, bool is_max, Element ea, Element eb, CellId *out)
{
    CellId a = cell_of(cells, op, ea), b = cell_of(cells, op, eb);
    if (!close_sums(cells))
        return false;
    CellId difference = new_sum(cells, op, 0);
    add_term(cells, difference, is_max ? b : a, ONE);
    add_term(cells, difference, is_max ? a : b, MINUS_ONE);
    if (!close_sums(cells))
        return false;
    CellId positive = new_relu(cells, difference);
    cells->work->first = (CellId)cells->cell.len;
    *out = new_sum(cells, op, 0);
    add_term(cells, *out, a, ONE);
    add_term(cells, *out, positive, is_max ? ONE : MINUS_ONE);
    int32_t sa = cells->cell.at[a].scale, sb = cells->cell.at[b].scale, top = sa > sb ? sa : sb;
    Bound ba = bound_of(cells, a, top), bb = bound_of(cells, b, top);
    return close_sums_knowing(cells, (Bound){ba.most > bb.most ? ba.most : bb.most, ba.steep > bb.steep ? ba.steep : bb.steep});
}

static bool extremes(Cells *cells, const Op *op)
{
    uint64_t n = type_count(value_type(cells->net, op->result[0]));
    CellId *out = name_cells(cells, op->result[0], n);
    for (uint64_t i = 0; i < n; i++)
        if (!extreme(cells, op, op->kind == OP_max, element(cells, op_operand(op, 0), i), element(cells, op_operand(op, 1), i), &out[i]))
            return false;
    return true;
}

static bool reduced(Cells *cells, const Op *op)
{
    Value v = op_operand(op, 0);
    uint64_t n = cells->n_of_value[v];
    CellId *out = name_cells(cells, op->result[0], 1);
    if (op->attr[0].i == REDUCE_add) {
        out[0] = new_sum(cells, op, bits_to_fit(cells, op));
        for (uint64_t i = 0; i < n; i++)
            add_term(cells, out[0], cells->of_value[v][i], ONE);
        return close_sums(cells);
    }
    out[0] = cells->of_value[v][0];
    for (uint64_t i = 1; i < n; i++) {
        Element a = {true, out[0], NOTHING}, b = {true, cells->of_value[v][i], NOTHING};
        if (!extreme(cells, op, op->attr[0].i == REDUCE_max, a, b, &out[0]))
            return false;
    }
    return true;
}

/* ---- affine ---- */

static bool bytes_are_zero(const uint8_t *at, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        if (at[i])
            return false;
    return true;
}

/* The next element from `i` on, `step` bytes apart, that is not zero; n if there is none. Matrices of floats can be large and nearly
 * empty. */
static uint64_t next_nonzero(const uint8_t *at, int64_t step, Type t, uint64_t i, uint64_t n)
{
    uint32_t bytes = type_element_bytes(t);
    if (t.elem == ELEM_F64) {
        for (uint64_t v; i < n && (memcpy(&v, at + (int64_t)i * step, 8), v << 1 == 0); i++)
            ;
    } else if (t.elem == ELEM_F32) {
        for (uint32_t v; i < n && (memcpy(&v, at + (int64_t)i * step, 4), v << 1 == 0); i++)
            ;
    } else {
        while (i < n && bytes_are_zero(at + (int64_t)i * step, bytes))
            i++;
    }
    return i;
}

/* The weights that are not zero, in the order in which they lie in memory; x[c] is cells x[c], or the root for column `only`. */
static void add_weights(Cells *cells, const Const *W, CellId first, const CellId *x, uint64_t only)
{
    Type t = W->type;
    uint32_t bytes = type_element_bytes(t);
    uint64_t rows = t.dim[0], cols = t.dim[1];
    bool by_rows = llabs(W->stride[0]) >= llabs(W->stride[1]);
    uint64_t outer = by_rows ? rows : cols, inner = by_rows ? cols : rows;
    int64_t step_out = W->stride[by_rows ? 0 : 1] * (int64_t)bytes, step = W->stride[by_rows ? 1 : 0] * (int64_t)bytes;
    for (uint64_t o = 0; o < outer; o++) {
        const uint8_t *at = W->data + (int64_t)o * step_out;
        for (uint64_t i = next_nonzero(at, step, t, 0, inner); i < inner; i = next_nonzero(at, step, t, i + 1, inner)) {
            uint64_t r = by_rows ? o : i, c = by_rows ? i : o;
            if (x || c == only)
                add_term(cells, first + (CellId)r, x ? x[c] : 0, number_at(t, at + (int64_t)i * step));
        }
    }
}

static bool affine(Cells *cells, const Op *op, const CellId *x, uint64_t only)
{
    const Module *m = cells->net->module;
    const Const *W = const_get(m, op->cst[AFFINE_W]), *b = op->cst[AFFINE_b] ? const_get(m, op->cst[AFFINE_b]) : NULL;
    uint64_t rows = W->type.dim[0];
    CellId *out = name_cells(cells, op->result[0], rows);
    for (uint64_t r = 0; r < rows; r++) {
        out[r] = new_sum(cells, op, bits_to_fit(cells, op));
        if (b)
            cells->work->bias.at[out[r]] = number_of(b, r);
    }
    if (rows > 0)
        add_weights(cells, W, out[0], x, only);
    return close_sums(cells);
}

bool cells_add_column(Cells *cells, const Op *op, uint64_t column) { return affine(cells, op, NULL, column); }

/* ---- the whole ---- */

static bool is_number(Type t) { return type_is_float(t) || (type_is_int(t) && t.n > 1); }

static bool finite_const(const Network *net, Value v)
{
    ConstId id = value_const(net, v);
    const Const *c = id ? const_get(net->module, id) : NULL;
    return c && c->kind == CONST_TENSOR && is_number(c->type) && const_all_finite(c);
}

static bool can_affine(const Network *net, const Op *op)
{
    const Module *m = net->module;
    for (uint32_t s = 1; s < op->n_operands; s++)
        if (op_operand(op, s))
            return false;
    const Const *W = const_get(m, op->cst[AFFINE_W]);
    const Const *b = op->cst[AFFINE_b] ? const_get(m, op->cst[AFFINE_b]) : NULL;
    return W->kind == CONST_TENSOR && W->type.rank == 2 && const_all_finite(W) && (!b || const_all_finite(b));
}

static bool can_cast(const Network *net, const Op *op)
{
    Type from = value_type(net, op_operand(op, 0)), to = value_type(net, op->result[0]);
    return type_is_float(from) == type_is_float(to) && is_number(from) && is_number(to);
}

bool cells_can(const Network *net, const Op *op)
{
    if (op->n_results != 1 || !is_number(value_type(net, op->result[0])))
        return false;
    switch ((int)op->kind) {
    case OP_affine:
        return can_affine(net, op);
    case OP_mul:
        return finite_const(net, op_operand(op, 0)) || finite_const(net, op_operand(op, 1));
    case OP_cast:
        return can_cast(net, op);
    case OP_reduce:
        return op->attr[0].i != REDUCE_mul;
    case OP_add: case OP_sub: case OP_min: case OP_max: case OP_concat:
        for (uint32_t s = 0; s < op->n_operands; s++)
            if (value_const(net, op_operand(op, s)) && !finite_const(net, op_operand(op, s)))
                return false;
        return true;
    case OP_neg: case OP_relu: case OP_abs: case OP_reshape: case OP_transpose: case OP_slice: case OP_splat:
        return true;
    default:
        return false;
    }
}

static bool narrows(const Network *net, const Op *op)
{
    Type from = value_type(net, op_operand(op, 0)), to = value_type(net, op->result[0]);
    return type_is_int(to) && to.n < from.n;
}

bool cells_add(Cells *cells, const Op *op)
{
    switch ((int)op->kind) {
    case OP_affine: return affine(cells, op, cells->of_value[op_operand(op, AFFINE_x)], 0);
    case OP_add: case OP_sub: case OP_mul: case OP_neg: return summed(cells, op);
    case OP_cast: return narrows(cells->net, op) ? summed(cells, op) : same_cells(cells, op);
    case OP_relu: case OP_abs: return rectified(cells, op);
    case OP_min: case OP_max: return extremes(cells, op);
    case OP_reduce: return reduced(cells, op);
    case OP_reshape: return same_cells(cells, op);
    case OP_transpose: case OP_slice: case OP_splat: return moved_cells(cells, op);
    case OP_concat: return joined_cells(cells, op);
    default: ICE("no cells for `%s`", op_info(cells->net->module, op->kind)->name);
    }
}

/* Those of a sum in the order of the cells that they are of. */
static void terms_by_sum(Cells *cells)
{
    size_t n = cells->cell.len;
    cells->term = NEW_ARRAY(cells->arena, cells->n_edges, Term);
    cells->first_term = NEW_ARRAY(cells->arena, n + 2, uint64_t);
    for (uint64_t e = 0; e < cells->n_edges; e++)
        cells->first_term[cells->edge[e].to + 2]++;
    for (size_t c = 2; c < n + 2; c++)
        cells->first_term[c] += cells->first_term[c - 1];
    for (CellId c = 0; c < n; c++)
        for (uint64_t e = cells->first_edge[c]; e < cells->first_edge[c + 1]; e++)
            cells->term[cells->first_term[cells->edge[e].to + 1]++] = (Term){c, cells->edge[e].as.real};
}

/* Edges and relus by source; biases as whole numbers. */
void cells_finish(Cells *cells)
{
    CellsWork *w = cells->work;
    size_t n = cells->cell.len;
    cells->n_edges = w->edge.len;
    cells->edge = NEW_ARRAY(cells->arena, w->edge.len, Edge);
    cells->first_edge = NEW_ARRAY(cells->arena, n + 2, uint64_t);
    cells->first_relu = NEW_ARRAY(cells->arena, n + 2, uint32_t);
    cells->relu = NEW_ARRAY(cells->arena, n, CellId);
    cells->bias_at = NEW_ARRAY(cells->arena, n, uint64_t);
    for (size_t i = 0; i < w->edge.len; i++) {
        Cell *from = &cells->cell.at[w->edge.at[i].from];
        uint32_t limbs = cells->cell.at[w->edge.at[i].edge.to].limbs;
        from->wide = limbs > from->wide ? limbs : from->wide;
        cells->first_edge[w->edge.at[i].from + 2]++;
    }
    for (size_t c = 0; c < n; c++)
        if (cells->cell.at[c].kind == CELL_RELU)
            cells->first_relu[cells->cell.at[c].input + 2]++;
    for (size_t c = 2; c < n + 2; c++) {
        cells->first_edge[c] += cells->first_edge[c - 1];
        cells->first_relu[c] += cells->first_relu[c - 1];
    }
    for (size_t i = 0; i < w->edge.len; i++)
        cells->edge[cells->first_edge[w->edge.at[i].from + 1]++] = w->edge.at[i].edge;
    if (cells->floats)
        terms_by_sum(cells);
    for (CellId c = 0; c < n; c++) {
        const Cell *cell = &cells->cell.at[c];
        if (cell->kind == CELL_RELU)
            cells->relu[cells->first_relu[cell->input + 1]++] = c;
        cells->bias_at[c] = cells->bias.len;
        for (uint32_t k = 0; k < cell->limbs; k++)
            vec_push(cells->arena, cells->bias, 0);
        if (cell->kind != CELL_SUM || is_nothing(w->bias.at[c]))
            continue;
        uint64_t at, keep = cells->pool.len;
        uint32_t limbs = number_limbs(cells, w->bias.at[c], cell->scale + w->bias.at[c].exp, &at);
        big_extend(cells->bias.at + cells->bias_at[c], cell->limbs, cells->pool.at + at, limbs);
        cells->pool.len = keep;
    }
    cells->work = NULL;
}
