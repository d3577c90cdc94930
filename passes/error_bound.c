/* error_bound.c — how far a network's floating-point outputs can lie from what real arithmetic would give.
 *
 * In: a network with an input box. Out: one number, proven. The one idea: carry, for every element of every float value,
 *
 *      lo <= v <= hi       the value in real arithmetic, over the box
 *      |v' − v| <= err     v' being what is computed
 *
 * and let each op map them forwards. With u the unit roundoff of the op's type, η its least positive number, and
 * γ(m) = mu / (1 − mu) (Higham, Accuracy and Stability of Numerical Algorithms, 3.1):
 *
 *      y = b + Σ W x       err(y) = Σ |W| err(x) + Σ e(W) X + e(b) + γ(n + 6) (|b| + Σ |W| X) + 2 n η
 *                          X = max |x| + err(x); n products and additions in any order, with or without fma, and at most
 *                          four more additions to combine chains; e(W), e(b): rounding of weights that were merged
 *      x ± y               err(x) + err(y) + u (|x ± y| + err(x) + err(y))
 *      x y, x / y          first-order terms and their product, then one rounding
 *      relu, |x|, min, max 1-Lipschitz, no rounding: the greater err
 *      exp, tanh, sigmoid  Lipschitz on the interval, and 8 ulp in f32, where tests measure every float; in f64 refused
 *
 * This analysis computes in doubles: sums of non-negative terms are multiplied by 1 + O(m) 2^-53, interval ends are
 * moved outwards by as much of the sum of absolute terms, so its own rounding is inside the bound. What decides rather than
 * computes (argmax, cmp, regions) gives no bound; that matters only if an output depends on it.
 */
#include "error_bound.h"
#include "pass_util.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct Range { double *lo, *hi, *err; uint64_t n; } Range;   /* lo NULL: nothing is known */

typedef struct Analysis {
    Arena *arena;
    const Network *net;
    const InexactList *inexact;
    const KnownList *known;
    Range *range;                 /* by Value */
    const char *why;
} Analysis;

const Inexact *inexact_find(const InexactList *list, const Op *op)
{
    for (size_t i = 0; list && i < list->ops.len; i++)
        if (list->ops.at[i].op == op)
            return &list->ops.at[i];
    return NULL;
}

double *const_doubles(Arena *arena, const Const *c)
{
    uint64_t n = type_count(c->type);
    double *out = arena_array(arena, n, sizeof *out);
    if (c->type.elem == ELEM_F64) {
        const_copy(c, out);
        return out;
    }
    float *f = arena_array(arena, n, sizeof *f);
    const_copy(c, f);
    for (uint64_t i = 0; i < n; i++)
        out[i] = (double)f[i];
    return out;
}

/* Likewise, without a copy where they lie as they are wanted, at any address. */
static const uint8_t *bytes_of_doubles(Arena *arena, const Const *c)
{
    bool as_they_are = c->type.elem == ELEM_F64 && const_is_row_major(c);
    return as_they_are ? c->data : (const uint8_t *)const_doubles(arena, c);
}

/* ---- outward rounding of the analysis itself ---- */

/* At least the exact sum of `terms` non-negative terms that was computed as `sum`. */
static double above(double sum, uint64_t terms)
{
    return sum * (1 + (double)(terms + 8) * 0x1.1p-53) + 0x1p-1000;
}

/* How far a computed sum of `terms` terms can be off, given the sum of their absolute values. */
static double slack(double absolute, uint64_t terms)
{
    return above(absolute, terms) * ((double)(terms + 8) * 0x1.1p-53) + 0x1p-1000;
}

static double unit(Type t) { return t.elem == ELEM_F32 ? 0x1p-24 : 0x1p-53; }
static double tiny(Type t) { return t.elem == ELEM_F32 ? 0x1p-149 : 0x1p-1074; }
static double largest(Type t) { return t.elem == ELEM_F32 ? (double)FLT_MAX : DBL_MAX; }

/* ---- ranges ---- */

static Range range_new(Analysis *a, uint64_t n)
{
    return (Range){arena_array(a->arena, n, sizeof(double)), arena_array(a->arena, n, sizeof(double)),
                   arena_array(a->arena, n, sizeof(double)), n};
}

static double magnitude(const Range *r, uint64_t i)
{
    return fmax(fabs(r->lo[i]), fabs(r->hi[i]));
}

/* A scalar stands for every element. */
static uint64_t pick(const Range *r, uint64_t i)
{
    return r->n == 1 ? 0 : i;
}

static const Range *operand(const Analysis *a, const Op *op, uint32_t slot)
{
    return &a->range[op_operand(op, slot)];
}

static Type result_type(const Analysis *a, const Op *op)
{
    return value_type(a->net, op->result[0]);
}

/* No value may come near infinity: then no infinity or NaN arises, and all of the above holds. */
static bool stays_finite(const Range *r, Type t)
{
    for (uint64_t i = 0; i < r->n; i++)
        if (!(above(magnitude(r, i) + r->err[i], 2) < largest(t) / 2))
            return false;
    return true;
}

static bool range_of_const(Analysis *a, ConstId id, Range *out)
{
    const Const *c = const_get(a->net->module, id);
    if (c->kind == CONST_TREE || !type_is_float(c->type))
        return false;
    *out = range_new(a, type_count(c->type));
    out->lo = const_doubles(a->arena, c);
    memcpy(out->hi, out->lo, out->n * sizeof *out->hi);
    return true;
}

static bool range_of_input(Analysis *a, uint32_t input)
{
    const Port *port = &a->net->input[input];
    if (!type_is_float(port->type))
        return true;
    if (!port->box)
        return false;
    double *box = const_doubles(a->arena, const_get(a->net->module, port->box));
    uint64_t n = type_count(port->type);
    Range r = range_new(a, n);
    memcpy(r.lo, box, n * sizeof *box);
    memcpy(r.hi, box + n, n * sizeof *box);
    for (uint64_t i = 0; i < n; i++)
        if (!isfinite(r.lo[i]) || !isfinite(r.hi[i]))
            return false;
    a->range[a->net->body->arg[input]] = r;
    return true;
}

/* ---- affine ---- */

static bool affine(Analysis *a, const Op *op, Range *out)
{
    for (uint32_t s = 1; s < op->n_operands; s++)
        if (op_operand(op, s))
            return false;
    const Module *m = a->net->module;
    const Range *x = operand(a, op, AFFINE_x);
    const uint8_t *W = bytes_of_doubles(a->arena, const_get(m, op->cst[AFFINE_W]));
    const double *b = op->cst[AFFINE_b] ? const_doubles(a->arena, const_get(m, op->cst[AFFINE_b])) : NULL;
    const Inexact *e = inexact_find(a->inexact, op);
    Type t = result_type(a, op);
    uint64_t rows = type_count(t), n = x->n;
    double mu = (double)(n + 6) * unit(t);
    if (mu >= 0.5)
        return false;
    double gamma = above(mu / (1 - mu), 2);
    *out = range_new(a, rows);
    for (uint64_t r = 0; r < rows; r++, W += n * sizeof(double)) {
        double bias = b ? b[r] : 0, lo = bias, hi = bias, sum = fabs(bias), err = e ? e->bias[r] : 0, drift = err;
        for (uint64_t j = 0; j < n; j++) {
            double w, X;
            memcpy(&w, W + j * sizeof w, sizeof w);
            if (w == 0 && !e)     /* most of a sparse matrix */
                continue;
            X = magnitude(x, j) + x->err[j];
            lo += w * (w > 0 ? x->lo[j] : x->hi[j]);
            hi += w * (w > 0 ? x->hi[j] : x->lo[j]);
            sum += fabs(w) * X;
            err += fabs(w) * x->err[j];
            if (e) {
                err += e->weight[r * n + j] * X;
                drift += e->weight[r * n + j] * X;
            }
        }
        if (!(above(sum, 2 * n) < largest(t) / 2))     /* a partial sum could overflow */
            return false;
        double out_by = slack(sum, 2 * n) + above(drift, 2 * n);   /* the real value has the weights that were meant */
        out->lo[r] = lo - out_by;
        out->hi[r] = hi + out_by;
        out->err[r] = above(err + gamma * sum + 2 * (double)(n + 1) * tiny(t), 3 * n);
    }
    return true;
}

/* ---- elementwise, two operands ---- */

static void add_or_sub(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0), *y = operand(a, op, 1);
    double u = unit(result_type(a, op));
    for (uint64_t i = 0; i < out->n; i++) {
        uint64_t p = pick(x, i), q = pick(y, i);
        double ylo = op->kind == OP_sub ? -y->hi[q] : y->lo[q], yhi = op->kind == OP_sub ? -y->lo[q] : y->hi[q];
        double by = slack(magnitude(x, p) + magnitude(y, q), 2), err = x->err[p] + y->err[q];
        out->lo[i] = x->lo[p] + ylo - by;
        out->hi[i] = x->hi[p] + yhi + by;
        out->err[i] = above(err + u * (magnitude(out, i) + err), 8);
    }
}

static void multiply(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0), *y = operand(a, op, 1);
    Type t = result_type(a, op);
    for (uint64_t i = 0; i < out->n; i++) {
        uint64_t p = pick(x, i), q = pick(y, i);
        double c[4] = {x->lo[p] * y->lo[q], x->lo[p] * y->hi[q], x->hi[p] * y->lo[q], x->hi[p] * y->hi[q]};
        double X = magnitude(x, p), Y = magnitude(y, q), by = slack(X * Y, 1);
        out->lo[i] = fmin(fmin(c[0], c[1]), fmin(c[2], c[3])) - by;
        out->hi[i] = fmax(fmax(c[0], c[1]), fmax(c[2], c[3])) + by;
        double err = X * y->err[q] + Y * x->err[p] + x->err[p] * y->err[q];
        out->err[i] = above(err + unit(t) * (X * Y + err) + tiny(t), 12);
    }
}

/* |x'/y' − x/y| <= (err(x) + |x/y| err(y)) / |y'|. */
static bool divide(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0), *y = operand(a, op, 1);
    Type t = result_type(a, op);
    for (uint64_t i = 0; i < out->n; i++) {
        uint64_t p = pick(x, i), q = pick(y, i);
        if (y->lo[q] <= 0 && y->hi[q] >= 0)
            return false;
        double least = fmin(fabs(y->lo[q]), fabs(y->hi[q])), computed = (least - y->err[q]) * (1 - 0x1p-50);
        if (computed <= 0)
            return false;
        double c[4] = {x->lo[p] / y->lo[q], x->lo[p] / y->hi[q], x->hi[p] / y->lo[q], x->hi[p] / y->hi[q]};
        double most = magnitude(x, p) / least, by = slack(most, 1);
        out->lo[i] = fmin(fmin(c[0], c[1]), fmin(c[2], c[3])) - by;
        out->hi[i] = fmax(fmax(c[0], c[1]), fmax(c[2], c[3])) + by;
        double err = (x->err[p] + above(most, 1) * y->err[q]) / computed;
        out->err[i] = above(err + unit(t) * (most + err) + tiny(t), 12);
    }
    return true;
}

static void extreme(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0), *y = operand(a, op, 1);
    double (*best)(double, double) = op->kind == OP_min ? fmin : fmax;
    for (uint64_t i = 0; i < out->n; i++) {
        uint64_t p = pick(x, i), q = pick(y, i);
        out->lo[i] = best(x->lo[p], y->lo[q]);
        out->hi[i] = best(x->hi[p], y->hi[q]);
        out->err[i] = fmax(x->err[p], y->err[q]);
    }
}

/* ---- elementwise, one operand ---- */

static void absolute(Range *out)
{
    for (uint64_t i = 0; i < out->n; i++) {
        double lo = out->lo[i], hi = out->hi[i];
        out->lo[i] = lo > 0 ? lo : hi < 0 ? -hi : 0;
        out->hi[i] = fmax(fabs(lo), fabs(hi));
    }
}

static void negate(Range *out)
{
    for (uint64_t i = 0; i < out->n; i++) {
        double lo = out->lo[i];
        out->lo[i] = -out->hi[i];
        out->hi[i] = -lo;
    }
}

/* Increasing functions with a known greatest slope; libm is trusted to 1e-12 here, its error is paid for. */
static bool transcendental(const Op *op, Range *out, Type t)
{
    enum { ULPS = 8 };
    if (t.elem != ELEM_F32)
        return false;
    for (uint64_t i = 0; i < out->n; i++) {
        double lo = out->lo[i], hi = out->hi[i], slope = 1;
        if (op->kind == OP_exp) {
            slope = exp(hi + out->err[i]);
            lo = exp(lo), hi = exp(hi);
        } else if (op->kind == OP_tanh) {
            lo = tanh(lo), hi = tanh(hi);
        } else {
            lo = 1 / (1 + exp(-lo)), hi = 1 / (1 + exp(-hi)), slope = 0.25;
        }
        out->lo[i] = lo - 1e-12 * fabs(lo) - 0x1p-1000;
        out->hi[i] = hi + 1e-12 * fabs(hi) + 0x1p-1000;
        double err = slope * (1 + 1e-12) * out->err[i], most = fmax(fabs(lo), fabs(hi)) * (1 + 1e-12) + err;
        out->err[i] = above(err + 2 * ULPS * unit(t) * most + ULPS * tiny(t), 8);
    }
    return true;
}

static bool unary(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0);
    memcpy(out->lo, x->lo, x->n * sizeof *x->lo);
    memcpy(out->hi, x->hi, x->n * sizeof *x->hi);
    memcpy(out->err, x->err, x->n * sizeof *x->err);
    Type t = result_type(a, op);
    if (op->kind == OP_neg)
        negate(out);
    else if (op->kind == OP_abs)
        absolute(out);
    else if (op->kind == OP_relu)
        for (uint64_t i = 0; i < out->n; i++)
            out->lo[i] = fmax(out->lo[i], 0), out->hi[i] = fmax(out->hi[i], 0);
    else if (op->kind == OP_cast && t.elem == ELEM_F32 && value_type(a->net, op_operand(op, 0)).elem == ELEM_F64)
        for (uint64_t i = 0; i < out->n; i++)
            out->err[i] = above(out->err[i] + unit(t) * (magnitude(out, i) + out->err[i]) + tiny(t), 4);
    else if (op->kind == OP_exp || op->kind == OP_tanh || op->kind == OP_sigmoid)
        return transcendental(op, out, t);
    return true;
}

/* ---- reductions and shapes ---- */

static bool reduce(Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0);
    Type t = result_type(a, op);
    if (op->attr[0].i == REDUCE_mul)
        return false;
    if (op->attr[0].i == REDUCE_add) {
        double lo = 0, hi = 0, sum = 0, err = 0, mu = (double)(x->n + 6) * unit(t);
        for (uint64_t i = 0; i < x->n; i++) {
            lo += x->lo[i], hi += x->hi[i];
            sum += magnitude(x, i) + x->err[i];
            err += x->err[i];
        }
        out->lo[0] = lo - slack(sum, x->n);
        out->hi[0] = hi + slack(sum, x->n);
        out->err[0] = above(err + above(mu / (1 - mu), 2) * sum, 2 * x->n);
        return mu < 0.5 && above(sum, x->n) < largest(t) / 2;
    }
    double (*best)(double, double) = op->attr[0].i == REDUCE_min ? fmin : fmax;
    for (uint64_t i = 0; i < x->n; i++) {
        out->lo[0] = i ? best(out->lo[0], x->lo[i]) : x->lo[i];
        out->hi[0] = i ? best(out->hi[0], x->hi[i]) : x->hi[i];
        out->err[0] = fmax(out->err[0], x->err[i]);
    }
    return true;
}

static void move_element(Range *out, uint64_t to, const Range *from, uint64_t at)
{
    out->lo[to] = from->lo[at];
    out->hi[to] = from->hi[at];
    out->err[to] = from->err[at];
}

/* out[i] = x[from + i · step]: slices and transposes, by the coordinates of the result. */
static void gather(const Analysis *a, const Op *op, Range *out)
{
    const Range *x = operand(a, op, 0);
    Type from = value_type(a->net, op_operand(op, 0)), to = result_type(a, op);
    uint64_t stride[IR_MAX_RANK], step = 1, at, rest;
    for (uint32_t d = from.rank; d-- > 0; step *= from.dim[d])
        stride[d] = step;
    for (uint64_t i = 0; i < out->n; i++) {
        at = 0, rest = i;
        for (uint32_t d = to.rank; d-- > 0; rest /= to.dim[d]) {
            uint64_t c = rest % to.dim[d];
            at += op->kind == OP_slice ? (c + (uint64_t)op->attr[0].list[d]) * stride[d] : c * stride[op->attr[0].list[d]];
        }
        move_element(out, i, x, at);
    }
}

/* Parts one after the other along the axis: blocks of `inner` elements, `outer` times. */
static void concat(const Analysis *a, const Op *op, Range *out)
{
    uint32_t axis = (uint32_t)op->attr[0].i;
    Type to = result_type(a, op);
    uint64_t outer = 1, inner = 1, at = 0;
    for (uint32_t d = 0; d < to.rank; d++)
        *(d < axis ? &outer : &inner) *= to.dim[d] && d != axis ? to.dim[d] : 1;
    for (uint64_t o = 0; o < outer && out->n; o++)
        for (uint32_t p = 0; p < op->n_operands; p++) {
            uint64_t block = inner * value_type(a->net, op_operand(op, p)).dim[axis];
            for (uint64_t i = 0; i < block; i++)
                move_element(out, at++, operand(a, op, p), o * block + i);
        }
}

/* ---- the walk ---- */

static bool operands_known(const Analysis *a, const Op *op)
{
    for (uint32_t s = 0; s < op->n_operands; s++)
        if (op_operand(op, s) && !operand(a, op, s)->lo)
            return false;
    return true;
}

/* The range of a float result; false when this op gives none. */
static bool transfer(Analysis *a, const Op *op, Range *out)
{
    if (op->n_results != 1 || !type_is_float(result_type(a, op)) || !operands_known(a, op))
        return false;
    *out = range_new(a, type_count(result_type(a, op)));
    if (op->kind == OP_const)
        return range_of_const(a, op->cst[0], out);
    if (op->kind == OP_affine)
        return affine(a, op, out);
    if (op->kind == OP_add || op->kind == OP_sub)
        return add_or_sub(a, op, out), true;
    if (op->kind == OP_mul)
        return multiply(a, op, out), true;
    if (op->kind == OP_div)
        return divide(a, op, out);
    if (op->kind == OP_min || op->kind == OP_max)
        return extreme(a, op, out), true;
    if (op->kind == OP_neg || op->kind == OP_abs || op->kind == OP_relu || op->kind == OP_exp || op->kind == OP_tanh
        || op->kind == OP_sigmoid || op->kind == OP_cast || op->kind == OP_reshape)
        return unary(a, op, out);
    if (op->kind == OP_reduce)
        return reduce(a, op, out);
    if (op->kind == OP_slice || op->kind == OP_transpose)
        return gather(a, op, out), true;
    if (op->kind == OP_concat)
        return concat(a, op, out), true;
    if (op->kind == OP_splat) {
        for (uint64_t i = 0; i < out->n; i++)
            move_element(out, i, operand(a, op, 0), 0);
        return true;
    }
    return false;
}

static bool is_known(const Analysis *a, const Op *op, Range *out)
{
    for (size_t i = 0; a->known && op->n_results == 1 && i < a->known->values.len; i++) {
        const Known *k = &a->known->values.at[i];
        if (k->value != op->result[0])
            continue;
        *out = (Range){(double *)k->lo, (double *)k->hi, (double *)k->err, type_count(result_type(a, op))};
        return true;
    }
    return false;
}

static void visit(Analysis *a, const Op *op)
{
    Range out;
    bool known = is_known(a, op, &out) || transfer(a, op, &out);
    if (known && stays_finite(&out, result_type(a, op))) {
        a->range[op->result[0]] = out;
        return;
    }
    bool could = op->n_results == 1 && type_is_float(result_type(a, op)) && operands_known(a, op);
    if (could && !a->why)
        a->why = known ? str_printf(a->arena, "`%s` could overflow", op_info(a->net->module, op->kind)->name)
                       : str_printf(a->arena, "no bound is known through `%s`", op_info(a->net->module, op->kind)->name);
}

static const char LEAVES_EARLY[] = "it can leave early";

/* By Value: what the outputs, or `only`, are computed from; what is known is not computed. */
static const bool *values_needed(const Analysis *a, Value only)
{
    const Network *net = a->net;
    bool *needed = NEW_ARRAY(a->arena, net->values.len, bool);
    Range ignored;
    needed[only] = true;
    for (const Op *op = net->body->last; op; op = op->prev) {
        bool is_needed = op->n_regions > 0 || (!only && op == net->body->last);
        for (uint32_t k = 0; k < op->n_results; k++)
            is_needed |= needed[op->result[k]];
        for (uint32_t s = 0; is_needed && s < op->n_operands && !is_known(a, op, &ignored); s++)
            needed[op_operand(op, s)] = true;
    }
    return needed;
}

static Analysis analyse(Arena *arena, const Network *net, const InexactList *inexact, const KnownList *known, Value only)
{
    Analysis a = {.arena = arena, .net = net, .inexact = inexact, .known = known, .range = NEW_ARRAY(arena, net->values.len, Range)};
    const bool *needed = values_needed(&a, only);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (!range_of_input(&a, i) && !a.why)
            a.why = str_printf(arena, "input `%s` has no finite box; `within` or `--box=` gives one", net->input[i].name);
    const Op *last = net->body->last;
    for (const Op *op = net->body->first; op != last; op = op->next)
        if (op_may_leave(op))
            a.why = LEAVES_EARLY;
        else if (op->n_results != 1 || needed[op->result[0]])
            visit(&a, op);
    return a;
}

bool error_range(Arena *arena, const Network *net, Value v, Known *out, const char **why)
{
    Analysis a = analyse(arena, net, NULL, NULL, v);
    const Range *r = &a.range[v];
    *out = (Known){v, r->lo, r->hi, r->err};
    *why = a.why ? a.why : "it is decided rather than computed";
    return r->lo != NULL && a.why != LEAVES_EARLY;
}

bool error_bound(Arena *arena, const Network *net, const InexactList *inexact, double *bound, const char **why)
{
    return error_bound_knowing(arena, net, inexact, NULL, bound, why);
}

bool error_bound_knowing(Arena *arena, const Network *net, const InexactList *inexact, const KnownList *values, double *bound,
                         const char **why)
{
    Analysis a = analyse(arena, net, inexact, values, 0);
    const Op *last = net->body->last;
    *bound = 0;
    bool known = last->kind == OP_return;
    for (uint32_t k = 0; known && k < net->n_outputs; k++) {
        const Range *y = &a.range[op_operand(last, k + 1)];
        known = y->lo != NULL;
        for (uint64_t i = 0; known && i < y->n; i++)
            *bound = fmax(*bound, y->err[i]);
    }
    *why = a.why ? a.why : "an output decides rather than computes";
    return known && a.why != LEAVES_EARLY;
}
