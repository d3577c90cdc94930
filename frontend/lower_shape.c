/* lower_shape.c — indexing, slicing, reshape, transpose, concat: the same elements, elsewhere.
 *
 * In: a Val and compile-time positions. Out: a Val of the same kind where that is possible: a part of a constant is a view of
 * its bytes, still a constant, so that a slice of a weight matrix is a weight matrix.
 */
#include "lower.h"

#include <string.h>

/* ---- the pieces, for each kind of Val ------------------------------------------------------------------------------------- */

const Val *fe_reshaped(Lowering *l, const Val *v, uint32_t rank, const uint32_t *dim, Span span)
{
    if (v->kind == VAL_LIT)
        return fe_lit_tensor(l, rank, dim, v->lit);
    Val *out = NEW(l->arena, Val);
    *out = *v;
    out->type = type_with_dims(v->type, rank, dim);
    if (v->kind == VAL_CONST) {
        const Const *c = const_get(l->m, v->cst);
        if (!const_is_row_major(c) && !fe_spend(l, const_bytes(c), span))
            return fe_val_poison(l);
        out->cst = const_reshaped(l->m, v->cst, rank, dim);
        return out;
    }
    if (type_equal(out->type, v->type))
        return v;
    return fe_emit_unary(l, span, OP_reshape, v->value, &out->type);
}

/* Copies the literals of a row-major tensor read through other strides. */
static const Val *gather(Lowering *l, const Val *v, Type to, uint64_t first, const uint64_t *stride, Span span)
{
    uint64_t n = type_count(to);
    const Lit **lit = fe_lit_room(l, n, span);
    if (!lit)
        return fe_val_poison(l);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t rest = i, at = first;
        for (uint32_t d = to.rank; d-- > 0; rest /= to.dim[d])
            at += rest % to.dim[d] * stride[d];
        lit[i] = v->lit[at];
    }
    return fe_lit_tensor(l, to.rank, to.dim, lit);
}

static void strides_of(Type t, uint64_t *stride)
{
    uint64_t step = 1;
    for (uint32_t d = t.rank; d-- > 0; step *= t.dim[d])
        stride[d] = step;
}

const Val *fe_transposed(Lowering *l, const Val *v, const uint32_t *perm, Span span)
{
    Type to = v->type;
    uint64_t stride[IR_MAX_RANK], moved[IR_MAX_RANK];
    strides_of(v->type, stride);
    for (uint32_t d = 0; d < to.rank; d++) {
        to.dim[d] = v->type.dim[perm[d]];
        moved[d] = stride[perm[d]];
    }
    if (v->kind == VAL_LIT)
        return gather(l, v, to, 0, moved, span);
    if (v->kind == VAL_CONST) {
        Val *out = NEW(l->arena, Val);
        *out = *v;
        out->type = to;
        out->cst = const_transposed(l->m, v->cst, perm);
        return out;
    }
    int64_t list[IR_MAX_RANK];
    for (uint32_t d = 0; d < to.rank; d++)
        list[d] = perm[d];
    Value x = v->value;
    OpInit init = {.kind = OP_transpose, .n_operands = 1, .operand = &x};
    init.attr[0] = (Attr){.n = to.rank, .list = list};
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

/* The box of `size` that starts at `from`. */
static const Val *sliced(Lowering *l, const Val *v, const uint32_t *from, const uint32_t *size, Span span)
{
    Type to = type_with_dims(v->type, v->type.rank, size);
    if (type_equal(to, v->type))
        return v;
    if (v->kind == VAL_LIT) {
        uint64_t stride[IR_MAX_RANK], first = 0;
        strides_of(v->type, stride);
        for (uint32_t d = 0; d < to.rank; d++)
            first += from[d] * stride[d];
        return gather(l, v, to, first, stride, span);
    }
    if (v->kind == VAL_CONST) {
        const Const *whole = const_get(l->m, v->cst);
        int64_t first = 0;
        for (uint32_t d = 0; d < to.rank; d++)
            first += from[d] * whole->stride[d];
        Val *out = NEW(l->arena, Val);
        *out = *v;
        out->type = to;
        out->cst = const_add(l->m, whole->name, to, whole->data + first * (int64_t)type_element_bytes(to), whole->span);
        memcpy(const_get(l->m, out->cst)->stride, whole->stride, sizeof whole->stride);
        return out;
    }
    int64_t list[IR_MAX_RANK];
    for (uint32_t d = 0; d < to.rank; d++)
        list[d] = from[d];
    Value x = v->value;
    OpInit init = {.kind = OP_slice, .n_operands = 1, .operand = &x, .n_hints = 1, .hint = &to};
    init.attr[0] = (Attr){.n = to.rank, .list = list};
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

/* A row-major copy of constants one after the other, so that parts of a weight matrix make a weight matrix. */
static const Val *joined_constants(Lowering *l, uint32_t n, const Val **item, uint32_t axis, Type to, Span span)
{
    uint8_t *data = fe_made_bytes(l, to, span);
    if (!data)
        return fe_val_poison(l);
    uint64_t outer = 1, inner = type_element_bytes(to), at = 0;
    for (uint32_t d = 0; d < axis; d++)
        outer *= to.dim[d];
    for (uint32_t d = axis + 1; d < to.rank; d++)
        inner *= to.dim[d];
    for (uint32_t i = 0; i < n; i++) {
        const Const *c = const_get(l->m, item[i]->cst);
        uint64_t piece = c->type.dim[axis] * inner;
        uint8_t *copy = fe_made_bytes(l, c->type, span);
        if (!copy)
            return fe_val_poison(l);
        const_copy(c, copy);
        for (uint64_t k = 0; k < outer; k++)
            memcpy(data + k * to.dim[axis] * inner + at, copy + k * piece, piece);
        at += piece;
    }
    const Const *first = const_get(l->m, item[0]->cst);
    return fe_val_const(l, const_add(l->m, first->name, to, data, span));
}

static const Val *joined_literals(Lowering *l, uint32_t n, const Val **item, uint32_t axis, Type to, Span span)
{
    const Lit **lit = fe_lit_room(l, type_count(to), span);
    if (!lit)
        return fe_val_poison(l);
    uint64_t outer = 1, inner = 1, at = 0;
    for (uint32_t d = 0; d < axis; d++)
        outer *= to.dim[d];
    for (uint32_t d = axis + 1; d < to.rank; d++)
        inner *= to.dim[d];
    for (uint32_t i = 0; i < n; i++) {
        uint64_t piece = item[i]->type.dim[axis] * inner;
        for (uint64_t k = 0; k < outer; k++)
            memcpy(lit + k * to.dim[axis] * inner + at, item[i]->lit + k * piece, piece * sizeof *lit);
        at += piece;
    }
    return fe_lit_tensor(l, to.rank, to.dim, lit);
}

const Val *fe_concatenated(Lowering *l, uint32_t n, const Val **item, uint32_t axis, Span span)
{
    Type to = item[0]->type;
    uint64_t rows = 0;
    bool constant = true;
    for (uint32_t i = 0; i < n; i++) {
        rows += item[i]->type.dim[axis];
        constant &= item[i]->kind == VAL_CONST;
    }
    to.dim[axis] = (uint32_t)rows;
    if (rows > INT32_MAX || type_count(to) > LOWER_MAX_ELEMENTS)
        return fe_fail(l, span, "a tensor has at most %llu elements", (unsigned long long)LOWER_MAX_ELEMENTS);
    if (item[0]->kind == VAL_LIT)
        return joined_literals(l, n, item, axis, to, span);
    if (constant)
        return joined_constants(l, n, item, axis, to, span);
    Value *x = NEW_ARRAY(l->arena, n, Value);
    for (uint32_t i = 0; i < n; i++)
        if (!(x[i] = fe_to_value(l, item[i], span)))
            return fe_val_poison(l);
    OpInit init = {.kind = OP_concat, .n_operands = n, .operand = x};
    init.attr[0].i = axis;
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

/* ---- x[…] ------------------------------------------------------------------------------------------------------------------- */

/* A tensor of a weights file, a constant from then on. */
static const Val *index_file(Lowering *l, const Expr *e, const Val *of)
{
    WeightsFile *w = of->file;
    const Expr *key = e->call.args.first;
    const Val *name = fe_eval(l, key);
    if (fe_is_poison(name))
        return name;
    if (e->call.args.n != 1 || name->kind != VAL_STRING)
        return fe_fail(l, key->span, "a tensor is named by a string, as in %s[\"fc1.weight\"], found %s", of->label,
                       fe_val_type(l, name));
    const Tensor *t = fe_find_tensor(&w->file, name->text);
    if (t) {
        size_t i = (size_t)(t - w->file.tensor);
        if (!w->cst[i])
            w->cst[i] = const_add(l->m, t->name, t->type, t->data, w->span);
        Val *v = NEW(l->arena, Val);
        *v = *fe_val_const(l, w->cst[i]);
        v->file = w;
        v->label = t->name;
        v->span = w->span;
        return v;
    }
    const char **names = NEW_ARRAY(l->arena, w->file.n, const char *);
    for (size_t i = 0; i < w->file.n; i++)
        names[i] = w->file.tensor[i].name;
    const char *near = str_nearest(name->text, names, w->file.n);
    const Val *poison = near ? fe_fail(l, key->span, "`%s` has no tensor `%s`; did you mean `%s`?", w->path, name->text, near)
                             : fe_fail(l, key->span, "`%s` has no tensor `%s`", w->path, name->text);
    Text all = text_new(l->arena);
    for (size_t i = 0; i < w->file.n && i < 12; i++)
        text_add(&all, "%s`%s`", i ? ", " : "", names[i]);
    if (w->file.n && !near)
        diag_note(l->diags, w->span, "it holds %s%s", all.at, w->file.n > 12 ? " and more" : "");
    return poison;
}

static const Val *index_tuple(Lowering *l, const Expr *e, const Val *of)
{
    int64_t i;
    if (e->call.args.n != 1 || !fe_eval_int(l, e->call.args.first, "which of several outputs", &i))
        return e->call.args.n == 1 ? fe_val_poison(l) : fe_fail(l, e->span, "a tuple takes one index");
    if (i < 0 || i >= of->n)
        return fe_fail(l, e->call.args.first->span, "index %lld of %s, which ends at %u", (long long)i, fe_val_type(l, of),
                       of->n - 1);
    return of->item[i];
}

/* One position of an index: [*from, *from + *size) of `extent`; *keep is false for a single index, whose dim goes away. */
static bool eval_position(Lowering *l, const Expr *e, uint32_t extent, uint32_t *from, uint32_t *size, bool *keep)
{
    int64_t lo = 0, hi = extent;
    *keep = e->kind == EXPR_RANGE;
    if (*keep) {
        if ((e->bin.a && !fe_eval_int(l, e->bin.a, "the start of a slice", &lo)) ||
            (e->bin.b && !fe_eval_int(l, e->bin.b, "the end of a slice", &hi)))
            return false;
        if (lo < 0 || hi > extent || lo >= hi) {
            if (lo >= hi)
                fe_fail(l, e->span, "an empty slice: %lld:%lld", (long long)lo, (long long)hi);
            else
                fe_fail(l, e->span, "the slice %lld:%lld leaves a dimension of %u", (long long)lo, (long long)hi, extent);
            return false;
        }
    } else {
        if (!fe_eval_int(l, e, "an index", &lo))
            return false;
        if (lo < 0 || lo >= extent) {
            fe_fail(l, e->span, "index %lld of a dimension of %u: it goes from 0 to %u", (long long)lo, extent, extent - 1);
            return false;
        }
        hi = lo + 1;
    }
    *from = (uint32_t)lo;
    *size = (uint32_t)(hi - lo);
    return true;
}

/* x[argmax(y)]: the one index that is computed. */
static const Val *index_computed(Lowering *l, const Expr *e, const Val *of, const Val *i)
{
    Value operand[2] = {fe_to_value(l, of, e->call.of->span), fe_to_value(l, i, e->call.args.first->span)};
    if (!operand[0] || !operand[1])
        return fe_val_poison(l);
    return fe_val_value(l, fe_emit_value(l, e->span, &(OpInit){.kind = OP_index, .n_operands = 2, .operand = operand}));
}

const Val *fe_eval_index(Lowering *l, const Expr *e)
{
    const Val *of = fe_eval(l, e->call.of);
    if (fe_is_poison(of))
        return of;
    if (of->kind == VAL_FILE)
        return index_file(l, e, of);
    if (of->kind == VAL_TUPLE)
        return index_tuple(l, e, of);
    if (of->kind == VAL_STRING)
        return fe_fail(l, e->span, "a string has no elements");
    const ExprList args = e->call.args;
    if (args.n > of->type.rank)
        return fe_fail(l, e->span, "%zu indices for %s, which has %u dimension%s", args.n, fe_val_type(l, of),
                       of->type.rank, of->type.rank == 1 ? "" : "s");
    if (args.n == 1 && args.first->kind != EXPR_RANGE && fe_is_tensor(of)) {
        const Val *i = fe_eval(l, args.first);
        if (fe_is_poison(i))
            return i;
        if (i->kind == VAL_VALUE && i->type.elem == ELEM_IDX)
            return index_computed(l, e, of, i);
    }
    uint32_t from[IR_MAX_RANK] = {0}, size[IR_MAX_RANK], kept[IR_MAX_RANK], n_kept = 0, d = 0;
    for (const Expr *at = args.first; at; at = at->next, d++) {
        bool keep;
        if (!eval_position(l, at, of->type.dim[d], &from[d], &size[d], &keep))
            return fe_val_poison(l);
        if (keep)
            kept[n_kept++] = size[d];
    }
    for (; d < of->type.rank; d++)
        kept[n_kept++] = size[d] = of->type.dim[d];
    const Val *part = sliced(l, of, from, size, e->span);
    return fe_is_poison(part) || n_kept == of->type.rank ? part : fe_reshaped(l, part, n_kept, kept, e->span);
}

/* ---- functions of shape ------------------------------------------------------------------------------------------------------ */

static const Val *need_tensor(Lowering *l, const Call *c, uint32_t i)
{
    if (c->arg[i]->kind == VAL_LIT || fe_is_tensor(c->arg[i]))
        return c->arg[i];
    return fe_fail(l, c->arg_expr[i]->span, "`%s` takes tensors, found %s", c->name, fe_val_type(l, c->arg[i]));
}

const Val *fe_call_concat(Lowering *l, const Call *c)
{
    int64_t axis = 0;
    if (c->axis && !fe_eval_int(l, c->axis, "the axis", &axis))
        return fe_val_poison(l);
    const Val **item = NEW_ARRAY(l->arena, c->n, const Val *);
    const Val *typed = NULL;
    for (uint32_t i = 0; i < c->n; i++) {
        item[i] = need_tensor(l, c, i);
        if (fe_is_poison(item[i]))
            return item[i];
        if (!typed && fe_is_tensor(item[i]))
            typed = item[i];
    }
    Type first = item[0]->type;
    if (axis < 0 || axis >= first.rank)
        return fe_fail(l, (c->axis ? c->axis : c->arg_expr[0])->span, "axis %lld of %s%s", (long long)axis, fe_val_type(l, item[0]),
                       first.rank ? "" : "; `[a, b]` makes a vector of scalars");
    for (uint32_t i = 0; i < c->n; i++) {
        if (typed && item[i]->kind == VAL_LIT)
            item[i] = fe_lit_to_const(l, item[i], type_element(typed->type), NULL);
        if (fe_is_poison(item[i]))
            return item[i];
        Type like = item[i]->type;
        if (like.rank == first.rank)
            like.dim[axis] = first.dim[axis];
        if (like.rank != first.rank || memcmp(like.dim, first.dim, first.rank * sizeof first.dim[0]) != 0 ||
            (typed && !type_same_element(like, typed->type)))
            return fe_fail(l, c->arg_expr[i]->span, "`concat` along axis %lld of %s and %s", (long long)axis,
                           fe_val_type(l, item[0]), fe_val_type(l, item[i]));
    }
    return fe_concatenated(l, c->n, item, (uint32_t)axis, c->expr->span);
}

/* A compile-time list of small integers; false when something was reported. */
static bool int_list(Lowering *l, const Call *c, uint32_t i, const char *what, uint32_t *n, int64_t *out)
{
    const Val *v = c->arg[i];
    bool good = v->kind == VAL_LIT && v->type.rank <= 1 && type_count(v->type) <= IR_MAX_RANK;
    *n = good ? (uint32_t)type_count(v->type) : 0;
    for (uint32_t k = 0; k < *n; k++) {
        good &= v->lit[k]->kind == LIT_INT;
        out[k] = v->lit[k]->i;
    }
    if (!good)
        fe_fail(l, c->arg_expr[i]->span, "%s: a list of at most %d whole numbers, found %s", what, IR_MAX_RANK, fe_val_type(l, v));
    return good;
}

const Val *fe_call_transpose(Lowering *l, const Call *c)
{
    const Val *v = need_tensor(l, c, 0);
    if (fe_is_poison(v))
        return v;
    uint32_t perm[IR_MAX_RANK] = {1, 0}, n = 2, seen = 0;
    if (c->n == 2) {
        int64_t list[IR_MAX_RANK];
        if (!int_list(l, c, 1, "the order of dimensions", &n, list))
            return fe_val_poison(l);
        for (uint32_t d = 0; d < n; d++) {
            if (list[d] < 0 || list[d] >= v->type.rank || seen >> list[d] & 1)
                return fe_fail(l, c->arg_expr[1]->span, "this is no order of the %u dimensions of %s", v->type.rank,
                               fe_val_type(l, v));
            seen |= 1u << list[d];
            perm[d] = (uint32_t)list[d];
        }
    }
    if (n != v->type.rank)
        return c->n == 2 ? fe_fail(l, c->arg_expr[1]->span, "this orders %u dimensions, %s has %u", n, fe_val_type(l, v),
                                   v->type.rank)
                         : fe_fail(l, c->expr->span, "`transpose(x)` turns a matrix, found %s; say the order of its dimensions: "
                                   "`transpose(x, [2, 0, 1])`", fe_val_type(l, v));
    return fe_transposed(l, v, perm, c->expr->span);
}

const Val *fe_call_reshape(Lowering *l, const Call *c)
{
    const Val *v = need_tensor(l, c, 0);
    int64_t list[IR_MAX_RANK];
    uint32_t rank, dim[IR_MAX_RANK];
    if (fe_is_poison(v) || !int_list(l, c, 1, "the new shape", &rank, list))
        return fe_val_poison(l);
    uint64_t count = 1;
    for (uint32_t d = 0; d < rank; d++) {
        if (list[d] < 1 || list[d] > INT32_MAX)
            return fe_fail(l, c->arg_expr[1]->span, "a dimension is 1 to %d, found %lld", INT32_MAX, (long long)list[d]);
        dim[d] = (uint32_t)list[d];
        if (__builtin_mul_overflow(count, dim[d], &count))
            count = UINT64_MAX;
    }
    if (count != type_count(v->type)) {
        const Val *poison = fe_fail(l, c->expr->span, "the new shape has %llu elements, %s has %llu",
                                    (unsigned long long)count, fe_val_type(l, v), (unsigned long long)type_count(v->type));
        fe_note_definition(l, v);
        return poison;
    }
    return fe_reshaped(l, v, rank, dim, c->expr->span);
}

const Val *fe_call_size(Lowering *l, const Call *c)
{
    const Val *v = need_tensor(l, c, 0);
    return fe_is_poison(v) ? v : fe_lit_scalar(l, (int64_t)type_count(v->type), LIT_INT, c->expr->span);
}

const Val *fe_call_shape(Lowering *l, const Call *c)
{
    const Val *v = need_tensor(l, c, 0);
    if (fe_is_poison(v) || v->type.rank == 0)
        return fe_is_poison(v) ? v : fe_fail(l, c->expr->span, "a scalar has no dimensions");
    const Lit **lit = NEW_ARRAY(l->arena, v->type.rank, const Lit *);
    for (uint32_t d = 0; d < v->type.rank; d++)
        lit[d] = fe_lit_scalar(l, v->type.dim[d], LIT_INT, c->expr->span)->lit[0];
    return fe_lit_tensor(l, 1, &v->type.rank, lit);
}
