/* read.c — a network as affine forms: the IR is executed on symbols instead of numbers.
 *
 * In: a network, what becomes of its relus, and for a compiled one the leaf (class, slot) that its tree is to end in. Out: its outputs as
 * forms over inputs and relus of the source, and the floating-point steps that compute them. The one idea: on one leaf's path nothing is
 * conditional but the relus, so every element is an affine form; integers (classes, slots, labels) are known numbers. Columns that a
 * set leaves out must be relus that are zero then: the set has to have been made of just these.
 *
 * What is not understood gives an unknown value, which matters only if the output depends on it.
 */
#include "exact.h"

#include <math.h>
#include <string.h>

/* ---- values ---- */

static Val *val_of(Reader *r, const Op *op, uint32_t slot)
{
    Value v = op->n_operands > slot ? op_operand(op, slot) : 0;
    return v ? &r->val[v] : NULL;
}

static Val unknown(const Op *op) { return (Val){.kind = VAL_UNKNOWN, .blame = op}; }

static Val new_forms(Reader *r, uint64_t n)
{
    return (Val){.kind = VAL_FORMS, .n = n, .form = NEW_ARRAY(r->arena, n, Form), .step = NEW_ARRAY(r->arena, n, uint32_t),
                 .place = NEW_ARRAY(r->arena, n, Place)};
}

static Val new_ints(Reader *r, uint64_t n) { return (Val){.kind = VAL_INTS, .n = n, .ints = NEW_ARRAY(r->arena, n, int64_t)}; }

static void place_here(Val *v, Value value)
{
    for (uint64_t i = 0; i < v->n; i++)
        v->place[i] = (Place){value, i};
}

static double unit_of(Type t) { return t.elem == ELEM_F32 ? 0x1p-24 : 0x1p-53; }
static double tiny_of(Type t) { return t.elem == ELEM_F32 ? 0x1p-149 : 0x1p-1074; }

static Step new_step(const Reader *r, StepKind kind, Type t)
{
    return (Step){.kind = kind, .first = r->steps.term.len, .unit = unit_of(t), .tiny = tiny_of(t), .magnitude = INFINITY};
}

static uint32_t push_step(Reader *r, Step s)
{
    s.n_terms = r->steps.term.len - s.first;
    vec_push(r->arena, r->steps.at, s);
    return (uint32_t)r->steps.at.len - 1;
}

static void push_term(Reader *r, uint32_t step, uint32_t roundings, double weight)
{
    vec_push(r->arena, r->steps.term, ((StepTerm){step, roundings, weight}));
}

static bool is_power_of_two(double w)
{
    int e;
    return fabs(frexp(w, &e)) == 0.5;
}

/* n elements of a constant from `first` on. */
static Val read_const(Reader *r, const Op *op, const Const *c, uint64_t first, uint64_t n)
{
    if (type_is_float(c->type)) {
        Val v = new_forms(r, n);
        for (uint64_t i = 0; i < n; i++) {
            double d = const_f64(c, first + i);
            if (!isfinite(d))
                return unknown(op);
            v.form[i] = form_zero(r->arena);
            dyadic_set_double(v.form[i].constant, d);
            Step s = new_step(r, STEP_SUM, c->type);
            s.bias = fabs(d);
            v.step[i] = push_step(r, s);
        }
        place_here(&v, op->result[0]);
        return v;
    }
    if (c->type.elem != ELEM_IDX && !(c->type.elem == ELEM_INT && c->type.n <= 32))
        return unknown(op);
    Val v = new_ints(r, n);
    for (uint64_t i = 0; i < n; i++)
        v.ints[i] = (int64_t)const_f64(c, first + i);
    return v;
}

static bool known_index(const Val *v, uint64_t *i)
{
    if (!v || v->kind != VAL_INTS || v->n != 1 || v->ints[0] < 0)
        return false;
    *i = (uint64_t)v->ints[0];
    return true;
}

/* Where the element that an index chooses begins in a constant; a constant without index begins at 0. */
static bool element_start(Reader *r, const Op *op, const Const *c, uint32_t index_slot, uint64_t *first, uint64_t *n)
{
    uint64_t total = type_count(c->type), i;
    *first = 0, *n = total;
    if (!val_of(r, op, index_slot))
        return true;
    if (!known_index(val_of(r, op, index_slot), &i) || i >= c->type.dim[0])
        return false;
    *n = total / c->type.dim[0];
    *first = i * *n;
    return true;
}

/* ---- affine ---- */

/* Whether a column that may be left out is zero then: its conditions are about this very element. */
static bool may_leave_out(const Val *set, const Val *x, uint64_t column)
{
    for (uint64_t k = 0; k < set->n; k++) {
        const Condition *c = &set->condition[k];
        if (c->member == column && (c->place.value != x->place[column].value || c->place.element != x->place[column].element))
            return false;
    }
    return true;
}

typedef struct Chains { uint32_t n, log2, nonzeros[IR_MAX_CHAINS]; } Chains;

static Chains count_chains(const Op *op, const double *w, uint64_t cols)
{
    Chains c = {.n = op->attr[AFFINE_order].i > 1 ? (uint32_t)op->attr[AFFINE_order].i : 1};
    while (1u << c.log2 < c.n)
        c.log2++;
    for (uint64_t k = 0; k < cols; k++)
        c.nonzeros[k % c.n] += w[k] != 0;
    return c;
}

static bool affine_row(Reader *r, const Op *op, const Val *x, const double *w, double bias, Type t, Form *form, uint32_t *step)
{
    Chains chains = count_chains(op, w, x->n);
    Step s = new_step(r, STEP_SUM, t);
    s.bias = fabs(bias);
    s.bias_roundings = chains.nonzeros[0] + chains.log2;
    Dyadic *weight = dyadic_array(r->arena, 1);
    for (uint64_t k = 0; k < x->n; k++) {
        if (w[k] == 0)
            continue;
        if (!isfinite(w[k]))
            return false;
        dyadic_set_double(weight, w[k]);
        sum_add(r->exact, r->sum, &x->form[k], weight);
        push_term(r, x->step[k], chains.nonzeros[k % chains.n]-- + chains.log2 + !is_power_of_two(w[k]), w[k]);
    }
    dyadic_set_double(weight, bias);
    dyadic_add(r->exact, r->sum->constant, weight);
    sum_take(r->arena, r->sum, form);
    *step = push_step(r, s);
    return isfinite(bias);
}

static Val read_affine(Reader *r, const Op *op)
{
    const Val *x = val_of(r, op, AFFINE_x), *cols = val_of(r, op, AFFINE_cols);
    const Const *W = const_get(r->net->module, op->cst[AFFINE_W]), *b = op->cst[AFFINE_b] ? const_get(r->net->module, op->cst[AFFINE_b]) : NULL;
    Type t = value_type(r->net, op->result[0]);
    uint64_t rows = type_count(t), first, n, b_first = 0, b_n = 0;
    if (x->kind != VAL_FORMS || val_of(r, op, AFFINE_rows) || (cols && cols->kind != VAL_SET) || !element_start(r, op, W, AFFINE_i, &first, &n) ||
        (b && !element_start(r, op, b, AFFINE_j, &b_first, &b_n)) || n != rows * x->n || (b && b_n != rows))
        return unknown(op);
    for (uint64_t k = 0; cols && k < x->n; k++)
        if (!may_leave_out(cols, x, k))
            return unknown(op);
    Val y = new_forms(r, rows);
    double *w = NEW_ARRAY(r->arena, x->n, double);
    for (uint64_t row = 0; row < rows; row++) {
        for (uint64_t k = 0; k < x->n; k++)
            w[k] = const_f64(W, first + row * x->n + k);
        if (!affine_row(r, op, x, w, b ? const_f64(b, b_first + row) : 0, t, &y.form[row], &y.step[row]))
            return sum_clear(r->sum), unknown(op);
    }
    place_here(&y, op->result[0]);
    return y;
}

/* ---- elementwise ---- */

static Val read_sum(Reader *r, const Op *op, int sign)
{
    const Val *a = val_of(r, op, 0), *b = val_of(r, op, 1);
    Type t = value_type(r->net, op->result[0]);
    if (a->kind != VAL_FORMS || b->kind != VAL_FORMS || !type_is_float(t))
        return unknown(op);
    Val y = new_forms(r, type_count(t));
    Dyadic *times = dyadic_array(r->arena, 1);
    dyadic_set_double(times, sign);
    for (uint64_t i = 0; i < y.n; i++) {
        uint64_t ia = a->n == 1 ? 0 : i, ib = b->n == 1 ? 0 : i;
        sum_add(r->exact, r->sum, &a->form[ia], NULL);
        sum_add(r->exact, r->sum, &b->form[ib], times);
        sum_take(r->arena, r->sum, &y.form[i]);
        Step s = new_step(r, STEP_SUM, t);
        push_term(r, a->step[ia], 1, 1);
        push_term(r, b->step[ib], 1, sign);
        y.step[i] = push_step(r, s);
    }
    place_here(&y, op->result[0]);
    return y;
}

/* y = c x: c has no variable in it, and is exact. */
static bool is_constant(const Reader *r, const Val *v, uint64_t i)
{
    return v->form[i].n == 0 && r->steps.at.at[v->step[i]].n_terms == 0;
}

static bool scale(Reader *r, const Val *c, uint64_t ic, const Val *x, uint64_t ix, Type t, Form *form, uint32_t *step)
{
    if (!is_constant(r, c, ic))
        return false;
    sum_add(r->exact, r->sum, &x->form[ix], c->form[ic].constant);
    sum_take(r->arena, r->sum, form);
    double w = r->steps.at.at[c->step[ic]].bias * dyadic_sign(c->form[ic].constant);
    Step s = new_step(r, STEP_SUM, t);
    push_term(r, x->step[ix], !is_power_of_two(w), w);
    *step = push_step(r, s);
    return true;
}

static Val read_product(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0), *b = val_of(r, op, 1);
    Type t = value_type(r->net, op->result[0]);
    if (a->kind != VAL_FORMS || b->kind != VAL_FORMS || !type_is_float(t))
        return unknown(op);
    Val y = new_forms(r, type_count(t));
    for (uint64_t i = 0; i < y.n; i++) {
        uint64_t ia = a->n == 1 ? 0 : i, ib = b->n == 1 ? 0 : i;
        if (!scale(r, a, ia, b, ib, t, &y.form[i], &y.step[i]) && !scale(r, b, ib, a, ia, t, &y.form[i], &y.step[i]))
            return unknown(op);
    }
    place_here(&y, op->result[0]);
    return y;
}

static Val read_neg(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    Type t = value_type(r->net, op->result[0]);
    if (a->kind != VAL_FORMS || !type_is_float(t))
        return unknown(op);
    Val y = new_forms(r, a->n);
    Dyadic *minus = dyadic_array(r->arena, 1);
    dyadic_set_double(minus, -1);
    for (uint64_t i = 0; i < y.n; i++) {
        sum_add(r->exact, r->sum, &a->form[i], minus);
        sum_take(r->arena, r->sum, &y.form[i]);
    }
    for (uint64_t i = 0; i < y.n; i++) {
        y.step[i] = a->step[i];
        if (is_constant(r, a, i))     /* stays one; what is exact has no sign */
            continue;
        Step s = new_step(r, STEP_SUM, t);
        push_term(r, a->step[i], 0, -1);
        y.step[i] = push_step(r, s);
    }
    place_here(&y, op->result[0]);
    return y;
}

static Val read_relu(Reader *r, const Op *op)
{
    const Val *z = val_of(r, op, 0);
    Type t = value_type(r->net, op->result[0]);
    if (z->kind != VAL_FORMS || !type_is_float(t))
        return unknown(op);
    Val y = new_forms(r, z->n);
    for (uint64_t i = 0; i < z->n; i++) {
        Step s = new_step(r, STEP_RELU, t);
        s.low = -INFINITY, s.high = INFINITY;
        push_term(r, z->step[i], 0, 1);
        if (!r->relu(r->context, &z->form[i], &y.form[i], &s))
            return unknown(op);
        y.step[i] = push_step(r, s);
    }
    place_here(&y, op->result[0]);
    return y;
}

/* Which input an element is; UINT32_MAX: none. */
static uint32_t input_of(const Reader *r, const Val *x, uint64_t i)
{
    const Step *s = &r->steps.at.at[x->step[i]];
    return s->kind == STEP_INPUT ? s->of : UINT32_MAX;
}

/* Clamping to no less than the box leaves what lies within it. */
static Val read_clamp(Reader *r, const Op *op)
{
    const Val *x = val_of(r, op, 0), *c = val_of(r, op, 1);
    if (x->kind != VAL_FORMS || c->kind != VAL_FORMS || c->n != x->n || !r->lo)
        return unknown(op);
    for (uint64_t i = 0; i < x->n; i++) {
        uint32_t input = input_of(r, x, i);
        if (input == UINT32_MAX || !is_constant(r, c, i))
            return unknown(op);
        double end = dyadic_above(c->form[i].constant);
        if (op->kind == OP_max ? end > r->lo[input] : end < r->hi[input])
            return unknown(op);
    }
    return *x;
}

/* True for all that lies in the box, if the one that is asked for is no smaller. */
static Val read_within(Reader *r, const Op *op)
{
    const Val *x = val_of(r, op, 0);
    const Const *box = const_get(r->net->module, op->cst[0]);
    if (x->kind != VAL_FORMS || !r->lo)
        return unknown(op);
    for (uint64_t i = 0; i < x->n; i++) {
        uint32_t input = input_of(r, x, i);
        if (input == UINT32_MAX || !(const_f64(box, i) <= r->lo[input]) || !(r->hi[input] <= const_f64(box, x->n + i)))
            return unknown(op);
    }
    Val y = new_ints(r, 1);
    y.ints[0] = 1;
    return y;
}

/* Widening is exact; narrowing rounds once. Whole numbers are clamped to the indices that there are. */
static Val read_cast(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    Type t = value_type(r->net, op->result[0]);
    if (a->kind == VAL_INTS || a->kind == VAL_WINNER) {
        if (type_is_float(t) || (t.elem == ELEM_INT && t.n < 32))
            return unknown(op);
        Val y = *a;
        y.ints = NEW_ARRAY(r->arena, a->n, int64_t);
        for (uint64_t i = 0; i < a->n; i++) {
            int64_t most = t.elem == ELEM_IDX ? (int64_t)t.n - 1 : INT64_MAX, least = t.elem == ELEM_IDX ? 0 : INT64_MIN;
            y.ints[i] = a->ints[i] > most ? most : a->ints[i] < least ? least : a->ints[i];
        }
        return y;
    }
    Type from = value_type(r->net, op_operand(op, 0));
    if (a->kind != VAL_FORMS || !type_is_float(t) || !type_is_float(from))
        return unknown(op);
    if (type_element_bytes(t) >= type_element_bytes(from))
        return *a;
    Val y = *a;
    y.step = NEW_ARRAY(r->arena, a->n, uint32_t);
    for (uint64_t i = 0; i < a->n; i++) {
        Step s = new_step(r, STEP_SUM, t);
        push_term(r, a->step[i], 1, 1);
        y.step[i] = push_step(r, s);
    }
    return y;
}

/* ---- shapes ---- */

static void move_element(Val *to, uint64_t i, const Val *from, uint64_t k)
{
    if (to->kind == VAL_INTS) {
        to->ints[i] = from->ints[k];
        return;
    }
    to->form[i] = from->form[k];
    to->step[i] = from->step[k];
    to->place[i] = from->place[k];
}

static Val new_like(Reader *r, const Val *a, uint64_t n) { return a->kind == VAL_INTS ? new_ints(r, n) : new_forms(r, n); }
static bool moves(const Val *a) { return a->kind == VAL_FORMS || a->kind == VAL_INTS; }

/* Along the first axis, or of vectors: one after the other. */
static Val read_concat(Reader *r, const Op *op)
{
    Type t = value_type(r->net, op->result[0]);
    uint64_t at = 0;
    if (op->n_operands == 0 || (op->attr[0].i != 0 && t.rank > 1))
        return unknown(op);
    for (uint32_t k = 0; k < op->n_operands; k++)
        if (!moves(val_of(r, op, k)) || val_of(r, op, k)->kind != val_of(r, op, 0)->kind)
            return unknown(op);
    Val y = new_like(r, val_of(r, op, 0), type_count(t));
    for (uint32_t k = 0; k < op->n_operands; k++)
        for (uint64_t i = 0; i < val_of(r, op, k)->n; i++)
            move_element(&y, at++, val_of(r, op, k), i);
    return y;
}

/* Element `i` of the slice lies in the operand at this row-major number. */
static uint64_t slice_source(Type small, Type large, const int64_t *from, uint64_t i)
{
    uint64_t at = 0, scale_of = 1;
    for (uint32_t d = small.rank; d-- > 0;) {
        at += (i % small.dim[d] + (uint64_t)from[d]) * scale_of;
        i /= small.dim[d];
        scale_of *= large.dim[d];
    }
    return at;
}

static Val read_slice(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    Type t = value_type(r->net, op->result[0]), from = value_type(r->net, op_operand(op, 0));
    if (!moves(a))
        return unknown(op);
    Val y = new_like(r, a, type_count(t));
    for (uint64_t i = 0; i < y.n; i++)
        move_element(&y, i, a, slice_source(t, from, op->attr[0].list, i));
    return y;
}

static Val read_splat(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    if (!moves(a) || a->n != 1)
        return unknown(op);
    Val y = new_like(r, a, type_count(value_type(r->net, op->result[0])));
    for (uint64_t i = 0; i < y.n; i++)
        move_element(&y, i, a, 0);
    return y;
}

static Val read_index(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0), *i = val_of(r, op, 1);
    uint64_t at, n = type_count(value_type(r->net, op->result[0]));
    if (i->kind == VAL_WINNER && a->kind == VAL_INTS && n == 1) {
        Val y = *i;
        y.ints = NEW_ARRAY(r->arena, i->n, int64_t);
        for (uint64_t k = 0; k < i->n; k++)
            y.ints[k] = i->ints[k] >= 0 && (uint64_t)i->ints[k] < a->n ? a->ints[i->ints[k]] : -1;
        return y;
    }
    if (!moves(a) || !known_index(i, &at) || (at + 1) * n > a->n)
        return unknown(op);
    Val y = new_like(r, a, n);
    for (uint64_t k = 0; k < n; k++)
        move_element(&y, k, a, at * n + k);
    return y;
}

/* ---- sets, winners, trees ---- */

static Val read_active(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    if (a->kind != VAL_FORMS)
        return unknown(op);
    Val y = {.kind = VAL_SET, .n = a->n, .condition = NEW_ARRAY(r->arena, a->n, Condition)};
    for (uint64_t i = 0; i < a->n; i++) {
        const Op *made = value_op(r->net, a->place[i].value);
        if (op->attr[0].i != ACTIVITY_nonzero && !(made && made->kind == OP_relu))
            return unknown(op);
        y.condition[i] = (Condition){i, a->place[i], made && made->kind == OP_relu};
    }
    return y;
}

static Val read_and(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0), *b = val_of(r, op, 1);
    if (a->kind == VAL_INTS && b->kind == VAL_INTS && a->n == 1 && b->n == 1) {
        Val y = new_ints(r, 1);
        y.ints[0] = a->ints[0] & b->ints[0];
        return y;
    }
    if (a->kind != VAL_SET || b->kind != VAL_SET)
        return unknown(op);
    Val y = {.kind = VAL_SET, .n = a->n + b->n, .condition = NEW_ARRAY(r->arena, a->n + b->n, Condition)};
    memcpy(y.condition, a->condition, a->n * sizeof *y.condition);
    memcpy(y.condition + a->n, b->condition, b->n * sizeof *y.condition);
    return y;
}

/* The members of a set, moved up. */
static Val read_extend(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    if (a->kind != VAL_SET)
        return unknown(op);
    Val y = {.kind = VAL_SET, .n = a->n, .condition = NEW_ARRAY(r->arena, a->n, Condition)};
    for (uint64_t i = 0; i < a->n; i++) {
        y.condition[i] = a->condition[i];
        y.condition[i].member += (uint64_t)op->attr[0].i;
    }
    return y;
}

static Val read_winner(Reader *r, const Op *op)
{
    const Val *a = val_of(r, op, 0);
    if (a->kind != VAL_FORMS)
        return unknown(op);
    Val y = *a;
    y.kind = VAL_WINNER;
    y.least = op->kind == OP_argmin;
    y.ints = NEW_ARRAY(r->arena, a->n, int64_t);
    for (uint64_t i = 0; i < a->n; i++)
        y.ints[i] = (int64_t)i;
    return y;
}

/* Class and slot are those asked for; how deep the leaf lies is for counting only. */
static bool read_descend(Reader *r, const Op *op)
{
    if (!r->tree || op != r->tree->op) {
        r->why = r->tree ? "there is a second tree" : "it is a tree itself";
        return false;
    }
    r->val[op->result[0]] = new_ints(r, 1);
    r->val[op->result[1]] = new_ints(r, 1);
    r->val[op->result[2]] = unknown(op);
    r->val[op->result[0]].ints[0] = r->leaf.class_;
    r->val[op->result[1]].ints[0] = r->leaf.slot;
    return true;
}

/* ---- the network ---- */

typedef enum Going { GOING_ON, GOING_DONE, GOING_WRONG } Going;

static Val read_op(Reader *r, const Op *op)
{
    const Module *m = r->net->module;
    uint64_t first, n;
    switch ((int)op->kind) {
    case OP_const: return read_const(r, op, const_get(m, op->cst[0]), 0, type_count(const_get(m, op->cst[0])->type));
    case OP_row: return element_start(r, op, const_get(m, op->cst[0]), 0, &first, &n) ? read_const(r, op, const_get(m, op->cst[0]), first, n) : unknown(op);
    case OP_affine: return read_affine(r, op);
    case OP_add: return read_sum(r, op, 1);
    case OP_sub: return read_sum(r, op, -1);
    case OP_mul: return read_product(r, op);
    case OP_neg: return read_neg(r, op);
    case OP_relu: return read_relu(r, op);
    case OP_max: case OP_min: return read_clamp(r, op);
    case OP_cast: return read_cast(r, op);
    case OP_ord: case OP_reshape: return moves(val_of(r, op, 0)) ? *val_of(r, op, 0) : unknown(op);
    case OP_concat: return read_concat(r, op);
    case OP_slice: return read_slice(r, op);
    case OP_splat: return read_splat(r, op);
    case OP_index: return read_index(r, op);
    case OP_argmax: case OP_argmin: return read_winner(r, op);
    case OP_active: return read_active(r, op);
    case OP_and: return read_and(r, op);
    case OP_within: return read_within(r, op);
    case OP_extend: return read_extend(r, op);
    default: return unknown(op);
    }
}

static Going read_block(Reader *r, const Block *block);

/* The region that is taken, and what it yields. */
static Going read_choice(Reader *r, const Op *op)
{
    uint64_t i;
    if (!known_index(val_of(r, op, 0), &i) || (op->kind == OP_case && i >= op->n_regions)) {
        r->blame = op;
        return GOING_WRONG;
    }
    const Block *taken = op->region[op->kind == OP_if ? (i ? 0 : 1) : i];
    Going going = read_block(r, taken);
    if (going != GOING_ON)
        return going;
    for (uint32_t k = 0; k < op->n_results; k++)
        r->val[op->result[k]] = *val_of(r, taken->last, k);
    return GOING_ON;
}

static Going read_block(Reader *r, const Block *block)
{
    for (const Op *op = block->first; op; op = op->next) {
        if (op->kind == OP_yield)
            return GOING_ON;
        if (op->kind == OP_return) {
            r->output = *val_of(r, op, op_info(r->net->module, OP_return)->n_fixed);
            return GOING_DONE;
        }
        if (op->kind == OP_descend) {
            if (!read_descend(r, op)) {
                r->blame = op;
                return GOING_WRONG;
            }
        } else if (op->kind == OP_if || op->kind == OP_case) {
            Going going = read_choice(r, op);
            if (going != GOING_ON)
                return going;
        } else if (op->n_regions > 0 || op->kind == OP_refuse || op->kind == OP_call) {
            r->blame = op;
            return GOING_WRONG;
        } else {
            for (uint32_t k = 1; k < op->n_results; k++)
                r->val[op->result[k]] = unknown(op);
            if (op->n_results > 0)
                r->val[op->result[0]] = read_op(r, op);
        }
    }
    return GOING_WRONG;
}

static void read_inputs(Reader *r)
{
    uint32_t var = 0;
    for (uint32_t i = 0; i < r->net->n_inputs; i++) {
        Type t = r->net->input[i].type;
        Value arg = r->net->body->arg[i];
        if (!type_is_float(t)) {
            r->val[arg] = unknown(NULL);
            var += (uint32_t)type_count(t);
            continue;
        }
        Val v = new_forms(r, type_count(t));
        for (uint64_t k = 0; k < v.n; k++, var++) {
            form_variable(r->arena, &v.form[k], var);
            Step s = new_step(r, STEP_INPUT, t);
            s.of = var;
            v.step[k] = push_step(r, s);
        }
        place_here(&v, arg);
        r->val[arg] = v;
    }
}

bool read_network(Reader *r)
{
    r->val = NEW_ARRAY(r->arena, r->net->values.len, Val);
    r->blame = NULL;
    r->why = NULL;
    if (r->net->n_outputs != 1) {
        r->why = "it has several outputs";
        return false;
    }
    read_inputs(r);
    if (read_block(r, r->net->body) != GOING_DONE)
        return false;
    r->blame = r->output.blame;
    return r->output.kind != VAL_UNKNOWN;
}

const char *read_failure(Arena *arena, const Reader *r)
{
    if (r->why)
        return r->why;
    if (!r->blame)
        return "its inputs are not floats";
    return str_printf(arena, "it is not affine maps and relus: `%s`", op_info(r->net->module, r->blame->kind)->name);
}
