/* sample.c — inputs that verify evaluates: random ones, the data's own keys, and where a tree is most likely to be wrong.
 *
 * In: a compiled session. Out: tables of rows. Random rows lie in the box, often on its faces; one in sixteen anywhere, unless the box was
 * promised. Of a tree every cut is met: for each leaf a point on each face of its box and its neighbour beyond, and a corner.
 */
#include "driver.h"

#include <math.h>
#include <string.h>

enum { ROWS_FOR_EACH_SAMPLE = 100 };       /* of cuts and keys, at most; beyond it they are taken evenly */

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good one. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state) { return (double)(next_random(state) >> 11) * 0x1p-53; }

/* ---- anything ---- */

/* Ordinary values mostly, and what breaks evaluators: zeros of both signs, subnormals, huge values, infinities, NaN. */
static double awkward(uint64_t *state)
{
    static const double values[] = {0.0, -0.0, 1e-40, -1e-310, 1e30, -1e30, INFINITY, -INFINITY, NAN, 1.0, -1.0};
    uint64_t r = next_random(state);
    if (r % 16 == 0)
        return values[(r >> 8) % (sizeof values / sizeof *values)];
    double u = uniform(state) + uniform(state) + uniform(state) - 1.5;
    return u * ldexp(1, (int)((r >> 8) % 7) - 3);
}

/* Of what is a float about 1, integers take the hundredfold: `unit`. */
static void put_number(Type t, void *at, double v, double unit)
{
    if (t.elem == ELEM_F32) {
        memcpy(at, &(float){(float)v}, sizeof(float));
    } else if (t.elem == ELEM_F64) {
        memcpy(at, &v, sizeof v);
    } else {
        int64_t i = isfinite(v) && fabs(v) < 1e15 ? (int64_t)(v * unit) : 0;
        uint32_t size = type_element_bytes(t);
        if (t.n < 64)
            i = (int64_t)((uint64_t)i << (64 - t.n)) >> (64 - t.n);
        memset(at, i < 0 && t.n > 1 ? 0xff : 0, size);
        if (t.n == 1)
            i &= 1;
        memcpy(at, &i, size < 8 ? size : 8);
    }
}

static double in_box(const Const *box, uint64_t i, uint64_t n, uint64_t *state)
{
    double lo = const_f64(box, i), hi = const_f64(box, n + i);
    uint64_t r = next_random(state) % 16;
    return r == 0 ? lo : r == 1 ? hi : lo + (hi - lo) * uniform(state);
}

Tables sample_randomly(Session *s)
{
    const Network *net = s->entry;
    uint64_t state = s->options->seed;
    Tables t = new_tables(s->arena, net->n_inputs, net->input, s->options->samples);
    for (size_t row = 0; row < t.rows; row++) {
        bool anywhere = next_random(&state) % 16 == 0 && net->options.outside != OUTSIDE_promise;
        for (uint32_t i = 0; i < t.n; i++) {
            const Port *port = &net->input[i];
            const Const *box = port->box && !anywhere ? const_get(net->module, port->box) : NULL;
            uint64_t n = type_count(port->type);
            uint8_t *at = table_row(&t.table[i], row);
            for (uint64_t k = 0; k < n; k++, at += type_element_bytes(port->type))
                put_number(port->type, at, box ? in_box(box, k, n, &state) : awkward(&state), box ? 1 : 100);
        }
    }
    return t;
}

/* ---- trees ---- */

void sample_put(const Tables *t, size_t row, const double *x)
{
    for (uint32_t i = 0; i < t->n; i++) {
        Type type = t->table[i].row;
        uint8_t *at = table_row(&t->table[i], row);
        for (uint64_t k = 0; k < type_count(type); k++, at += type_element_bytes(type))
            put_number(type, at, *x++, 1);
    }
}

void sample_take(const Tables *t, size_t row, double *x)
{
    for (uint32_t i = 0; i < t->n; i++) {
        Type type = t->table[i].row;
        const uint8_t *at = table_row(&t->table[i], row);
        for (uint64_t k = 0; k < type_count(type); k++, at += type_element_bytes(type)) {
            float f = 0;
            if (type.elem == ELEM_F32)
                memcpy(&f, at, sizeof f);
            *x = (double)f;
            if (type.elem == ELEM_F64)
                memcpy(x, at, sizeof *x);
            x++;
        }
    }
}

/* How far the score of a label lies below the greatest, in exact arithmetic, for a row of inputs. */
double sample_gap(Session *s, const Network *source, const Tables *in, size_t row, int64_t label)
{
    uint32_t n;
    sample_types(s->arena, source, &n);
    double *x = NEW_ARRAY(s->arena, n, double);
    sample_take(in, row, x);
    return proof_gap(s->arena, source, x, label);
}

bool sample_box(Session *s, double *lo, double *hi)
{
    const Network *net = s->entry;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        uint64_t n = type_count(net->input[i].type);
        if (!net->input[i].box)
            return false;
        for (uint64_t k = 0; k < n; k++) {
            *lo++ = const_f64(const_get(net->module, net->input[i].box), k);
            *hi++ = const_f64(const_get(net->module, net->input[i].box), n + k);
        }
    }
    return true;
}

/* The numbers of the type that are nearest from within the box. */
static double within(Type t, double lo, double hi, double x)
{
    if (t.elem == ELEM_F32)
        x = (double)(float)x;
    return x < lo ? lo : x > hi ? hi : x;
}

void sample_in_box(const Type *type, uint32_t n, const double *lo, const double *hi, uint64_t *state, double *x)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = within(type[i], lo[i], hi[i], lo[i] + (hi[i] - lo[i]) * uniform(state));
}

void sample_corner(uint32_t n, const double *lo, const double *hi, uint64_t *state, double *x)
{
    uint64_t r = next_random(state);
    for (uint32_t i = 0; i < n; i++)
        x[i] = r >> (i % 64) & 1 ? hi[i] : lo[i];
}

static double neighbour(Type t, double x, double to)
{
    return t.elem == ELEM_F32 ? (double)nextafterf((float)x, (float)to) : nextafter(x, to);
}

Type *sample_types(Arena *arena, const Network *net, uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        *n += (uint32_t)type_count(net->input[i].type);
    Type *type = NEW_ARRAY(arena, *n, Type), *at = type;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        for (uint64_t k = 0; k < type_count(net->input[i].type); k++)
            *at++ = type_element(net->input[i].type);
    return type;
}

/* Two points for each face that is no face of the whole box, and a corner. */
static void sample_leaf(Arena *arena, const Tables *t, size_t *row, const Type *type, uint32_t n, const ProofPart *p, const double *lo,
                        const double *hi, uint64_t *state)
{
    double *x = NEW_ARRAY(arena, n, double);
    for (uint32_t i = 0; i < n; i++)
        for (int side = 0; side < 2; side++) {
            double face = side ? p->hi[i] : p->lo[i];
            if (face == (side ? hi[i] : lo[i]))
                continue;
            sample_in_box(type, n, p->lo, p->hi, state, x);
            x[i] = face;
            sample_put(t, (*row)++, x);
            x[i] = neighbour(type[i], face, side ? INFINITY : -INFINITY);
            sample_put(t, (*row)++, x);
        }
    sample_corner(n, p->lo, p->hi, state, x);
    sample_put(t, (*row)++, x);
}

static size_t rows_of_leaf(uint32_t n, const ProofPart *p, const double *lo, const double *hi)
{
    size_t rows = 1;
    for (uint32_t i = 0; i < n; i++)
        rows += 2 * (size_t)(p->lo[i] != lo[i]) + 2 * (size_t)(p->hi[i] != hi[i]);
    return rows;
}

bool sample_cuts(Session *s, Tables *out)
{
    ProofTree tree;
    if (!proof_tree(s->arena, s->entry, &tree))
        return false;
    uint32_t n;
    Type *type = sample_types(s->arena, s->entry, &n);
    double *lo = NEW_ARRAY(s->arena, n, double), *hi = NEW_ARRAY(s->arena, n, double);
    if (!sample_box(s, lo, hi))
        return false;
    ProofParts leaves = {0};
    proof_parts(s->arena, &tree, lo, hi, 1, &leaves);
    size_t rows = 0, most = ROWS_FOR_EACH_SAMPLE * s->options->samples, row = 0;
    for (size_t i = 0; i < leaves.len; i++)
        rows += rows_of_leaf(n, &leaves.at[i], lo, hi);
    size_t step = most > 0 ? (rows + most - 1) / most : leaves.len;
    step = step ? step : 1;
    rows = 0;
    for (size_t i = 0; i < leaves.len; i += step)
        rows += rows_of_leaf(n, &leaves.at[i], lo, hi);
    *out = new_tables(s->arena, s->entry->n_inputs, s->entry->input, rows);
    uint64_t state = s->options->seed;
    for (size_t i = 0; i < leaves.len; i += step)
        sample_leaf(s->arena, out, &row, type, n, &leaves.at[i], lo, hi, &state);
    return true;
}

/* ---- data ---- */

/* The rows of keys of a table that is looked up with the network's one input as it is. */
bool sample_keys(Session *s, const Module *as_loaded, Tables *out)
{
    const Network *net = module_find(as_loaded, s->entry->name);
    if (!net || net->n_inputs != 1)
        return false;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        if (op->kind != OP_memorize)
            continue;
        const Const *keys = const_get(as_loaded, op->cst[MEMORIZE_keys]);
        Value x = op_operand(op, 0);
        while (value_op(net, x) && value_op(net, x)->kind == OP_reshape)
            x = op_operand(value_op(net, x), 0);
        size_t rows = keys->type.rank ? keys->type.dim[0] : 1;
        if (x != net->body->arg[0] || !type_same_element(keys->type, net->input[0].type) ||
            type_count(keys->type) != rows * type_count(net->input[0].type))
            return false;
        size_t most = ROWS_FOR_EACH_SAMPLE * s->options->samples, step = rows > most ? rows / (most ? most : 1) : 1;
        uint32_t bytes = (uint32_t)type_count(net->input[0].type) * type_element_bytes(keys->type);
        uint8_t *all = arena_big(s->arena, const_bytes(keys) + 1, 64);
        const_copy(keys, all);
        *out = new_tables(s->arena, 1, net->input, rows / step);
        for (size_t row = 0; row < rows / step; row++)
            memcpy(table_row(&out->table[0], row), all + row * step * bytes, bytes);
        return true;
    }
    return false;
}
