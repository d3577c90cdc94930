/* figures.c — neurons, parameters, bits of weights and depth of a ReLU network in integers.
 *
 *      %a = affine %x, @W, @b          a linear unit for each row: its weights and bias, each once
 *      %s = sub %a, %z                 linear: weights add up
 *      %h = relu %s                    a neuron: the weights of %s that are not 0 are its connections
 *      repeat n (%i, %acc) { … }       a linear unit for each accumulator and round: its weights count too
 *
 * In: the values between which the network lies. Out: counts. The one idea: every value is written as a linear form of *units* (the input,
 * neurons, rows of affines, accumulators), by going back from the output; each form that a unit reads is counted where the unit is. So these are the
 * weights that are in the IR, and no formula.
 *
 * Weights of +1 and -1 are wiring, not parameters. A network that may only connect neighbouring layers needs more of them: units that hand on.
 */
#include "figures.h"
#include "memorize_integers.h"

#include <stdlib.h>
#include <string.h>

/* A weight in the memory form of the value's type; unit 0 is the bias. */
typedef struct Term { uint32_t unit; const uint8_t *weight; } Term;
typedef struct Form { uint32_t n; Term *term; } Form;          /* units ascend */
typedef struct Forms { Type type; uint64_t n; Form *form; } Forms;

typedef struct Census {
    Arena *arena;
    const Network *net;
    Value from;
    Forms **known;                /* by Value */
    uint32_t units;
    Figures f;
} Census;

static const Forms *forms_of(Census *c, Value v);

/* ---- linear forms ---- */

static Forms *forms_new(Census *c, Type t)
{
    Forms *r = NEW(c->arena, Forms);
    *r = (Forms){t, type_count(t), NULL};
    r->form = NEW_ARRAY(c->arena, r->n + 1, Form);
    return r;
}

static Form form_one(Census *c, uint32_t unit, const uint8_t *weight)
{
    Form f = {1, NEW(c->arena, Term)};
    *f.term = (Term){unit, weight};
    return f;
}

static const uint8_t *number(Census *c, Type t, int8_t v)
{
    uint8_t *at = arena_alloc(c->arena, type_element_bytes(t));
    int_resize(t.n, at, 8, (const uint8_t *)&v);
    return at;
}

/* What is no sum: a unit for each element. */
static Forms *units(Census *c, Type t)
{
    Forms *r = forms_new(c, t);
    const uint8_t *one = type_is_int(t) ? number(c, t, 1) : NULL;
    for (uint64_t i = 0; i < r->n; i++)
        r->form[i] = form_one(c, ++c->units, one);
    return r;
}

static int by_unit(const void *a, const void *b)
{
    const Term *x = a, *y = b;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Adds up the weights of each unit; weights of 0 go. */
static Form collected(Census *c, Type t, Term *term, uint32_t n)
{
    Form f = {0, term};
    qsort(term, n, sizeof *term, by_unit);
    for (uint32_t i = 0; i < n;) {
        Term sum = term[i];
        for (i++; i < n && term[i].unit == sum.unit; i++) {
            uint8_t *at = arena_alloc(c->arena, type_element_bytes(t));
            int_add(t.n, at, sum.weight, term[i].weight);
            sum.weight = at;
        }
        if (!int_is_zero(t.n, sum.weight))
            f.term[f.n++] = sum;
    }
    return f;
}

static const uint8_t *product(Census *c, Type t, const uint8_t *a, const uint8_t *b)
{
    if (int_magnitude_bits(t.n, b) == 1 && !(b[0] >> 1 & 1))                          /* 1, not -1 */
        return a;
    uint8_t *at = arena_alloc(c->arena, type_element_bytes(t));
    int_mul(t.n, at, b, a);
    return at;
}

/* ---- ops ---- */

static Forms *constant(Census *c, const Const *k)
{
    Forms *r = forms_new(c, k->type);
    for (uint64_t i = 0; i < r->n; i++)
        if (!const_element_is_zero(k, const_element(k, i)))
            r->form[i] = form_one(c, 0, const_element(k, i));
    return r;
}

static Forms *converted(Census *c, const Forms *a, Type t)
{
    Forms *r = forms_new(c, t);
    for (uint64_t i = 0; i < r->n; i++) {
        r->form[i] = (Form){a->form[i].n, NEW_ARRAY(c->arena, a->form[i].n + 1, Term)};
        for (uint32_t k = 0; k < a->form[i].n; k++) {
            uint8_t *at = arena_alloc(c->arena, type_element_bytes(t));
            int_convert(type_element(t), at, type_element(a->type), a->form[i].term[k].weight);
            r->form[i].term[k] = (Term){a->form[i].term[k].unit, at};
        }
    }
    return r;
}

static Forms *sum(Census *c, const Op *op, const Forms *a, const Forms *b)
{
    Forms *r = forms_new(c, value_type(c->net, op->result[0]));
    const uint8_t *minus = number(c, r->type, -1);
    for (uint64_t i = 0; i < r->n; i++) {
        const Form *x = &a->form[a->n == r->n ? i : 0], *y = &b->form[b->n == r->n ? i : 0];
        Term *term = NEW_ARRAY(c->arena, x->n + y->n + 1, Term);
        if (x->n)
            memcpy(term, x->term, x->n * sizeof *term);
        for (uint32_t k = 0; k < y->n; k++)
            term[x->n + k] = (Term){y->term[k].unit, op->kind == OP_sub ? product(c, r->type, minus, y->term[k].weight) : y->term[k].weight};
        r->form[i] = collected(c, r->type, term, x->n + y->n);
    }
    return r;
}

/* A scalar times a scalar constant; NULL if it is something else. */
static Forms *scaled(Census *c, const Op *op)
{
    Value a = op_operand(op, 0), b = op_operand(op, 1);
    ConstId factor = value_const(c->net, b);
    Type t = value_type(c->net, op->result[0]);
    if (!factor || t.rank > 0)
        return NULL;
    const Forms *x = forms_of(c, a);
    Forms *r = forms_new(c, t);
    r->form[0] = (Form){x->form[0].n, NEW_ARRAY(c->arena, x->form[0].n + 1, Term)};
    for (uint32_t k = 0; k < x->form[0].n; k++)
        r->form[0].term[k] = (Term){x->form[0].term[k].unit, product(c, t, const_get(c->net->module, factor)->data, x->form[0].term[k].weight)};
    return r;
}

/* What it reads, row by row. */
static Forms *rows_of(Census *c, const Op *op, const Forms *x)
{
    const Const *W = const_get(c->net->module, op->cst[AFFINE_W]), *b = op->cst[AFFINE_b] ? const_get(c->net->module, op->cst[AFFINE_b]) : NULL;
    Forms *r = forms_new(c, value_type(c->net, op->result[0]));
    uint64_t most = 1;
    for (uint64_t k = 0; k < x->n; k++)
        most += x->form[k].n;
    for (uint64_t i = 0; i < r->n; i++) {
        Term *term = NEW_ARRAY(c->arena, most, Term);
        uint32_t n = 0;
        if (b)
            term[n++] = (Term){0, const_element(b, i)};
        for (uint64_t k = 0; k < x->n; k++) {
            const uint8_t *w = const_element(W, i * x->n + k);
            if (!const_element_is_zero(W, w))
                for (uint32_t j = 0; j < x->form[k].n; j++)
                    term[n++] = (Term){x->form[k].term[j].unit, product(c, r->type, w, x->form[k].term[j].weight)};
        }
        r->form[i] = collected(c, r->type, term, n);
    }
    return r;
}

/* ---- counting ---- */

/* How often the op runs. */
static uint64_t rounds(const Block *block)
{
    uint64_t n = 1;
    for (; block->owner; block = block->owner->parent)
        n *= block->owner->kind == OP_repeat ? (uint64_t)block->owner->attr[0].i : 1;
    return n;
}

static void count(Census *c, const Forms *a, uint64_t times)
{
    for (uint64_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < a->form[i].n && type_is_int(a->type); k++) {
            uint32_t bits = int_magnitude_bits(a->type.n, a->form[i].term[k].weight);
            if (bits < 2)
                continue;
            c->f.parameters += times;
            c->f.bits += times * bits;
            c->f.widest = bits > c->f.widest ? bits : c->f.widest;
        }
}

static Forms *neurons(Census *c, const Op *op)
{
    Type t = value_type(c->net, op->result[0]);
    count(c, forms_of(c, op_operand(op, 0)), rounds(op->parent));
    c->f.neurons += type_count(t) * rounds(op->parent);
    return units(c, t);
}

/* All results at once. */
static void repeated(Census *c, const Op *op)
{
    const Op *yield = op->region[0]->last;
    for (uint32_t i = 0; i < op->n_results; i++)
        c->known[op->result[i]] = units(c, value_type(c->net, op->result[i]));
    for (uint32_t i = 0; i < op->n_results; i++) {
        count(c, forms_of(c, op_operand(op, i)), rounds(op->parent));
        count(c, forms_of(c, op_operand(yield, i)), rounds(op->region[0]));
    }
}

static Forms *forms_of_op(Census *c, const Op *op, Type t)
{
    if (op->kind == OP_const)
        return constant(c, const_get(c->net->module, op->cst[0]));
    if (op->kind == OP_reshape || (op->kind == OP_cast && type_is_int(value_type(c->net, op_operand(op, 0)))))
        return converted(c, forms_of(c, op_operand(op, 0)), t);
    if (op->kind == OP_add || op->kind == OP_sub)
        return sum(c, op, forms_of(c, op_operand(op, 0)), forms_of(c, op_operand(op, 1)));
    if (op->kind == OP_affine && !op_operand(op, AFFINE_i) && !op_operand(op, AFFINE_cols)) {
        count(c, rows_of(c, op, forms_of(c, op_operand(op, AFFINE_x))), rounds(op->parent));
        return units(c, t);
    }
    if (op->kind == OP_relu)
        return neurons(c, op);
    Forms *r = op->kind == OP_mul ? scaled(c, op) : NULL;
    return r ? r : units(c, t);
}

static const Forms *forms_of(Census *c, Value v)
{
    const Op *op = value_op(c->net, v);
    Type t = value_type(c->net, v);
    if (c->known[v])
        return c->known[v];
    if (v == c->from || !op || !type_is_int(t))
        return c->known[v] = units(c, t);
    if (op->kind == OP_repeat) {
        repeated(c, op);
        return c->known[v];
    }
    return c->known[v] = forms_of_op(c, op, t);
}

/* ---- depth ---- */

/* Of every value in the block, in order; a repeat goes round as often as it does. */
static void depths(const Census *c, const Block *block, uint64_t *depth)
{
    for (const Op *op = block->first; op; op = op->next) {
        uint64_t most = 0;
        if (op->kind == OP_repeat) {
            const Block *body = op->region[0];
            for (uint32_t i = 0; i < op->n_results; i++)
                depth[body->arg[i + 1]] = depth[op_operand(op, i)];
            for (int64_t turn = 0; turn < op->attr[0].i; turn++) {
                depths(c, body, depth);
                for (uint32_t i = 0; i < op->n_results; i++)
                    depth[op->result[i]] = depth[op_operand(body->last, i)];
                for (uint32_t i = 0; i < op->n_results; i++)
                    depth[body->arg[i + 1]] = depth[op->result[i]];
            }
            continue;
        }
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op_operand(op, i) && depth[op_operand(op, i)] > most)
                most = depth[op_operand(op, i)];
        for (uint32_t i = 0; i < op->n_results; i++)
            depth[op->result[i]] = op->result[i] == c->from ? 0 : most + (op->kind == OP_relu);
    }
}

Figures figures_of(Arena *scratch, const Network *net, Value from, Value to)
{
    Census c = {.arena = scratch, .net = net, .from = from, .known = NEW_ARRAY(scratch, net->values.len, Forms *)};
    uint64_t *depth = NEW_ARRAY(scratch, net->values.len, uint64_t);
    depths(&c, net->body, depth);
    count(&c, forms_of(&c, to), 1);
    c.f.depth = depth[to] + 1;
    return c.f;
}
