/* lower_expr.c — expressions, bottom-up.
 *
 * In: a node of the tree. Out: a Val. The one idea: nothing is converted before it must be. A number waits for its type, a
 * constant stays a constant (so that `@` can see one), and only what meets a running value becomes an op.
 */
#include "lower.h"

#include <string.h>

/* ---- conversions ---------------------------------------------------------------------------------------------------------- */

Value fe_to_value(Lowering *l, const Val *v, Span span)
{
    switch (v->kind) {
    case VAL_POISON:
        return 0;
    case VAL_VALUE:
        return v->value;
    case VAL_CONST:
        return fe_emit_value(l, span, &(OpInit){.kind = OP_const, .cst = {v->cst}});
    case VAL_LIT:
        if (v->type.rank == 0 && v->lit[0]->kind == LIT_TRUTH)
            return fe_to_value(l, fe_lit_to_const(l, v, type_int(1), NULL), span);
        fe_fail(l, span, "nothing says which type %s; write `f32(…)` or another type",
                v->type.rank ? "these numbers have" : "this number has");
        return 0;
    case VAL_STRING: case VAL_FILE: case VAL_TUPLE:
        fe_fail(l, span, "expected a tensor, found %s", fe_val_type(l, v));
        if (v->kind == VAL_FILE)
            diag_note(l->diags, v->span, "a tensor of it is named in brackets: %s[\"…\"]", v->label);
        return 0;
    }
    return 0;
}

static bool same_dims(Type a, Type b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, a.rank * sizeof a.dim[0]) == 0;
}

/* An index (argmax …) becomes an integer by itself where one is declared: no bits are lost. */
static const Val *index_to_integer(Lowering *l, const Val *v, Type want, Span span)
{
    return fe_emit_unary(l, span, OP_cast, fe_to_value(l, v, span), &want);
}

static bool index_fits(Type index, Type integer)
{
    return index.elem == ELEM_IDX && type_is_int(integer) && (integer.n > 32 || index.n <= (uint64_t)1 << (integer.n - 1));
}

/* Two shapes of as many elements: says how one becomes the other. */
static void note_reshape(Lowering *l, Type have, Type want, Span span)
{
    static const char zeros[] = "0, 0, 0, 0, 0, 0";
    if (want.rank == 0) {
        diag_note(l->diags, span, "`[%.*s]` picks its one element", (int)(3 * have.rank - 2), zeros);
        return;
    }
    const char *dims = type_print(l->arena, type_with_dims(type_int(8), want.rank, want.dim)) + 2;
    diag_note(l->diags, span, "it has as many elements: `reshape(…, %s)` would fit", dims);
}

const Val *fe_coerce(Lowering *l, const Val *v, Type want, Span span, const char *what)
{
    if (fe_is_poison(v))
        return v;
    if (v->kind != VAL_LIT && !fe_is_tensor(v))
        return fe_fail(l, span, "%s is %s, found %s", what, type_print(l->arena, want), fe_val_type(l, v));
    if (v->kind == VAL_LIT && same_dims(v->type, want))
        return fe_lit_to_const(l, v, type_element(want), NULL);
    if (v->kind != VAL_LIT && type_equal(v->type, want))
        return v;
    if (v->kind == VAL_VALUE && same_dims(v->type, want) && index_fits(v->type, want))
        return index_to_integer(l, v, want, span);
    const Val *poison = fe_fail(l, span, "%s: expected %s, found %s", what, type_print(l->arena, want), fe_val_type(l, v));
    if (fe_is_tensor(v) && same_dims(v->type, want) && want.elem <= ELEM_F64 && v->type.elem <= ELEM_F64)
        diag_note(l->diags, span, "`%s(…)` converts", type_print(l->arena, type_element(want)));
    else
        fe_note_definition(l, v);
    if (fe_is_tensor(v) && type_same_element(v->type, want) && type_count(v->type) == type_count(want))
        note_reshape(l, v->type, want, span);
    return poison;
}

bool fe_eval_int(Lowering *l, const Expr *e, const char *what, int64_t *out)
{
    const Val *v = fe_eval(l, e);
    if (fe_is_scalar_lit(v, LIT_INT)) {
        *out = v->lit[0]->i;
        return true;
    }
    if (fe_is_poison(v))
        return false;
    if (v->kind == VAL_LIT && v->type.rank == 0)
        fe_fail(l, e->span, v->lit[0]->kind == LIT_BIG ? "%s is greater than 2^63" : "%s must be a whole number", what);
    else
        fe_fail(l, e->span, "%s must be a number known at compile time, found %s", what, fe_val_type(l, v));
    return false;
}

bool fe_eval_type(Lowering *l, const TypeExpr *t, Type *out)
{
    const char *name = t->element.symbol->text;
    if (!fe_element_named(name, out)) {
        bool number = strcmp(name, "float") == 0 || strcmp(name, "double") == 0 || strcmp(name, "int") == 0;
        fe_fail(l, t->element.span, "`%s` is no type%s; there are f32, f64 and the integers i1 to i%d", name,
             !number ? "" : name[0] == 'f' ? ": write f32" : name[0] == 'd' ? ": write f64" : ": write i32", IR_MAX_INT_BITS);
        return false;
    }
    if (t->dims.n > IR_MAX_RANK) {
        fe_fail(l, t->span, "%zu dimensions; a tensor has at most %d", t->dims.n, IR_MAX_RANK);
        return false;
    }
    for (const Expr *e = t->dims.first; e; e = e->next) {
        int64_t n;
        if (!fe_eval_int(l, e, "a dimension", &n))
            return false;
        if (n < 1 || n > INT32_MAX) {
            fe_fail(l, e->span, "a dimension is 1 to %d, found %lld", INT32_MAX, (long long)n);
            return false;
        }
        out->dim[out->rank++] = (uint32_t)n;
    }
    if (!type_valid(*out) || type_count(*out) > LOWER_MAX_ELEMENTS) {
        fe_fail(l, t->span, "a tensor has at most %llu elements", (unsigned long long)LOWER_MAX_ELEMENTS);
        return false;
    }
    return true;
}

/* ---- lists and tuples ------------------------------------------------------------------------------------------------------ */

/* The number of an element that is plainly one, the common case; NULL otherwise. */
static const Lit *plain_number(Lowering *l, const Expr *e)
{
    if (e->kind == EXPR_NUMBER)
        return &e->lit;
    if (e->kind == EXPR_UNARY && e->op == OPERATOR_neg && e->bin.a->kind == EXPR_NUMBER) {
        const Lit **one = NEW(l->arena, const Lit *);
        *one = &e->bin.a->lit;
        return fe_lit_unary(l, e, fe_lit_tensor(l, 0, NULL, one))->lit[0];
    }
    return NULL;
}

static const Val *list_of_numbers(Lowering *l, const Expr *e)
{
    const Lit **lit = NEW_ARRAY(l->arena, e->list.n, const Lit *);
    size_t n = 0;
    for (const Expr *item = e->list.first; item; item = item->next, n++)
        if (!(lit[n] = plain_number(l, item)))
            return NULL;
    return fe_lit_tensor(l, 1, &(uint32_t){(uint32_t)n}, lit);
}

static const Val *ragged(Lowering *l, const Expr *first, const Val *a, const Expr *item, const Val *b, size_t row)
{
    const Val *poison;
    if (a->type.rank == 1 && b->type.rank == 1)
        poison = fe_fail(l, item->span, "a ragged matrix: row %zu has %u element%s, row 1 has %u", row, b->type.dim[0],
                         b->type.dim[0] == 1 ? "" : "s", a->type.dim[0]);
    else
        poison = fe_fail(l, item->span, "a ragged list: element %zu is %s, element 1 is %s", row, fe_val_type(l, b),
                         fe_val_type(l, a));
    diag_note(l->diags, first->span, "%s 1 is here", a->type.rank == 1 && b->type.rank == 1 ? "row" : "element");
    return poison;
}

static const Val *list_of_literals(Lowering *l, const Expr *e, uint32_t n, const Val **item)
{
    Type t = item[0]->type;
    uint64_t each = type_count(t);
    const Lit **lit = fe_lit_room(l, n * each, e->span);
    if (!lit)
        return fe_val_poison(l);
    for (uint32_t i = 0; i < n; i++)
        memcpy(lit + i * each, item[i]->lit, each * sizeof *lit);
    uint32_t dim[IR_MAX_RANK] = {n};
    memcpy(dim + 1, t.dim, t.rank * sizeof *dim);
    return fe_lit_tensor(l, t.rank + 1, dim, lit);
}

/* Values side by side: each is given a leading dimension of 1, then all are joined along it. */
static const Val *list_of_values(Lowering *l, const Expr *e, uint32_t n, const Val **item)
{
    const Val *typed = item[0];
    for (uint32_t i = 0; i < n && !fe_is_tensor(typed); i++)
        typed = item[i];
    uint32_t dim[IR_MAX_RANK] = {1};
    memcpy(dim + 1, typed->type.dim, typed->type.rank * sizeof *dim);
    const Expr *at = e->list.first;
    for (uint32_t i = 0; i < n; i++, at = at->next) {
        item[i] = fe_coerce(l, item[i], typed->type, at->span, "an element of this list");
        item[i] = fe_is_poison(item[i]) ? item[i] : fe_reshaped(l, item[i], typed->type.rank + 1, dim, at->span);
        if (fe_is_poison(item[i]))
            return item[i];
    }
    return fe_concatenated(l, n, item, 0, e->span);
}

static const Val *eval_list(Lowering *l, const Expr *e)
{
    if (e->list.n == 0)
        return fe_fail(l, e->span, "an empty list has no shape");
    const Val *numbers = list_of_numbers(l, e);
    if (numbers)
        return numbers;
    const Val **item = NEW_ARRAY(l->arena, e->list.n, const Val *);
    bool literal = true, good = true;
    uint32_t n = 0;
    for (const Expr *at = e->list.first; at; at = at->next, n++) {
        item[n] = fe_eval(l, at);
        literal &= item[n]->kind == VAL_LIT;
        if (fe_is_poison(item[n]))
            good = false;
        else if (item[n]->kind != VAL_LIT && !fe_is_tensor(item[n]))
            good = !fe_is_poison(fe_fail(l, at->span, "a list holds numbers or tensors, found %s", fe_val_type(l, item[n])));
        else if (good && !same_dims(item[0]->type, item[n]->type))
            good = !fe_is_poison(ragged(l, e->list.first, item[0], at, item[n], n + 1));
    }
    if (!good)
        return fe_val_poison(l);
    if (item[0]->type.rank == IR_MAX_RANK)
        return fe_fail(l, e->span, "a tensor has at most %d dimensions", IR_MAX_RANK);
    return literal ? list_of_literals(l, e, n, item) : list_of_values(l, e, n, item);
}

static const Val *tuple_of(Lowering *l, uint32_t n, const Val **item)
{
    Val *v = NEW(l->arena, Val);
    v->kind = VAL_TUPLE;
    v->n = n;
    v->item = item;
    return v;
}

static const Val *eval_tuple(Lowering *l, const Expr *e)
{
    const Val **item = NEW_ARRAY(l->arena, e->list.n, const Val *);
    uint32_t n = 0;
    for (const Expr *at = e->list.first; at; at = at->next)
        item[n++] = fe_eval(l, at);
    return tuple_of(l, n, item);
}

/* ---- names and strings ------------------------------------------------------------------------------------------------------ */

static const Val *eval_name(Lowering *l, const Expr *e)
{
    const Val *v = fe_lookup_local(l, e->symbol);
    if (v)
        return v;
    Decl *d = e->symbol->decl;
    if (!d)
        return fe_fail_unknown(l, e->span, e->symbol->text, false);
    d->used = true;
    switch (d->kind) {
    case DECL_CONST:
        return fe_const_of(l, d, e->span);
    case DECL_WEIGHTS:
        return fe_weights_of(l, d);
    case DECL_DATA:
        return fe_fail(l, e->span, "`%s` is a table of data; `memorize(%s, method: …)` makes a network of it", e->symbol->text,
                       e->symbol->text);
    case DECL_NETWORK: case DECL_IMPORT: case DECL_LAYER:
        v = fe_fail(l, e->span, "`%s` is a %s: it must be called, as in `%s(…)`", e->symbol->text,
                    d->kind == DECL_LAYER ? "layer" : "network", e->symbol->text);
        diag_note(l->diags, d->name.span, "`%s` is defined here", e->symbol->text);
        return v;
    }
    return fe_val_poison(l);
}

static const Val *eval_string(Lowering *l, const Expr *e)
{
    Val *v = NEW(l->arena, Val);
    v->kind = VAL_STRING;
    v->text = e->str.text;
    if (e->str.parts.n == 0)
        return v;
    Text text = text_new(l->arena);
    for (const Expr *part = e->str.parts.first; part; part = part->next) {
        const Val *p = fe_eval(l, part);
        if (fe_is_poison(p))
            return p;
        if (p->kind == VAL_STRING)
            text_put(&text, p->text, strlen(p->text));
        else if (fe_is_scalar_lit(p, LIT_INT))
            text_add(&text, "%lld", (long long)p->lit[0]->i);
        else
            return fe_fail(l, part->span, "a string takes whole numbers and strings known at compile time, found %s",
                           fe_val_type(l, p));
        if (text.len > 1 << 16)
            return fe_fail(l, e->span, "a string of more than %d bytes", 1 << 16);
    }
    v->text = text.at;
    return v;
}

/* ---- if --------------------------------------------------------------------------------------------------------------------- */

/* One component of an if's two values, given the same type: numbers take the other side's. Both regions' builders are at hand
 * since a constant becomes a value inside its own region. */
typedef struct Branches { Builder side[2]; const Expr *expr; const AstBlock *block[2]; } Branches;

static Span value_span(const AstBlock *b)
{
    return b->value ? b->value->span : b->end;
}

static bool join_component(Lowering *l, Branches *br, const Val *v[2], Value out[2])
{
    const Val *typed = fe_is_tensor(v[0]) ? v[0] : v[1];
    if (fe_is_poison(v[0]) || fe_is_poison(v[1]))
        return false;
    if (!fe_is_tensor(typed)) {
        fe_fail(l, br->expr->span, v[0]->kind == VAL_LIT && v[1]->kind == VAL_LIT
             ? "nothing says which type these numbers have; write `f32(…)` or another type in one of the branches"
             : "an `if` on a running value chooses between tensors");
        return false;
    }
    Type want = typed->type;
    if (want.elem == ELEM_IDX && fe_is_tensor(v[0]) && fe_is_tensor(v[1]) && !type_equal(v[0]->type, v[1]->type))
        want = type_with_dims(type_int(32), want.rank, want.dim);
    for (int i = 0; i < 2; i++) {
        l->b = br->side[i];
        Span span = value_span(br->block[i]);
        const Val *c = fe_coerce(l, v[i], want, span, i == 0 ? "this branch" : "both branches have one type");
        out[i] = fe_is_poison(c) ? 0 : fe_to_value(l, c, span);
        br->side[i] = l->b;
        if (!out[i])
            return false;
    }
    return true;
}

/*      if c { a } else { b }        =>        %y = if %c { … yield %a } else { … yield %b } */
static const Val *eval_branch(Lowering *l, const Expr *e, const Val *condition)
{
    enum { MAX_REGIONS = 250 };                                  /* the IR takes 256, and an exit may lie innermost */
    Value c = fe_to_value(l, condition, e->branch.condition->span);
    if (!c)
        return fe_val_poison(l);
    if (l->regions >= MAX_REGIONS)
        return fe_fail(l, e->span, "more than %d `if`s lie within one another here", MAX_REGIONS);
    Builder outer = l->b;
    Block *region[2];
    l->regions++;
    Branches br = {.expr = e, .block = {e->branch.then, e->branch.other}};
    const Val *v[2];
    for (int i = 0; i < 2; i++) {
        region[i] = block_new(l->net, 0, NULL);
        l->b = builder_at_end(region[i]);
        v[i] = fe_eval_block(l, br.block[i], "this branch");
        br.side[i] = l->b;
    }
    l->regions--;
    bool tuple = v[0]->kind == VAL_TUPLE && v[1]->kind == VAL_TUPLE && v[0]->n == v[1]->n;
    uint32_t n = tuple ? v[0]->n : 1;
    Value *out[2] = {NEW_ARRAY(l->arena, n, Value), NEW_ARRAY(l->arena, n, Value)};
    bool good = true;
    for (uint32_t k = 0; k < n && good; k++) {
        const Val *pair[2] = {tuple ? v[0]->item[k] : v[0], tuple ? v[1]->item[k] : v[1]};
        Value joined[2];
        good = join_component(l, &br, pair, joined);
        if (good) {
            out[0][k] = joined[0];
            out[1][k] = joined[1];
        }
    }
    Type *types = NEW_ARRAY(l->arena, n, Type);
    for (int i = 0; i < 2 && good; i++) {
        l->b = br.side[i];
        for (uint32_t k = 0; k < n; k++)
            types[k] = value_type(l->net, out[i][k]);
        good = fe_emit(l, e->span, &(OpInit){.kind = OP_yield, .n_operands = n, .operand = out[i]}) != NULL;
    }
    l->b = outer;
    if (!good)
        return fe_val_poison(l);
    const Op *op = fe_emit(l, e->span, &(OpInit){.kind = OP_if, .n_operands = 1, .operand = &c, .n_regions = 2, .region = region,
                                              .n_hints = n, .hint = types});
    if (!op)
        return fe_val_poison(l);
    const Val **item = NEW_ARRAY(l->arena, n, const Val *);
    for (uint32_t k = 0; k < n; k++)
        item[k] = fe_val_value(l, op->result[k]);
    return tuple ? tuple_of(l, n, item) : item[0];
}

static const Val *eval_if(Lowering *l, const Expr *e)
{
    const Val *c = fe_eval(l, e->branch.condition);
    if (fe_is_poison(c))
        return c;
    if (fe_is_scalar_lit(c, LIT_TRUTH))           /* decided at compile time: the other branch is not even looked at */
        return fe_eval_block(l, c->lit[0]->i ? e->branch.then : e->branch.other, "this branch");
    if (!fe_is_tensor(c) || !type_equal(c->type, type_int(1))) {
        const Val *poison = fe_fail(l, e->branch.condition->span,
                                    "the condition of an `if` is one truth value (i1), found %s", fe_val_type(l, c));
        if (fe_is_tensor(c) && c->type.elem == ELEM_INT && c->type.n == 1)
            diag_note(l->diags, e->branch.condition->span, "`select(c, a, b)` chooses element by element");
        return poison;
    }
    return eval_branch(l, e, c);
}

/* ---- all kinds ------------------------------------------------------------------------------------------------------- */

static const Val *eval_kind(Lowering *l, const Expr *e)
{
    switch (e->kind) {
    case EXPR_POISON: return fe_val_poison(l);
    case EXPR_NUMBER: {
        const Lit **one = NEW(l->arena, const Lit *);
        *one = &e->lit;
        return fe_lit_tensor(l, 0, NULL, one);
    }
    case EXPR_STRING: return eval_string(l, e);
    case EXPR_NAME: return eval_name(l, e);
    case EXPR_LIST: return eval_list(l, e);
    case EXPR_TUPLE: return eval_tuple(l, e);
    case EXPR_UNARY: return fe_eval_unary(l, e);
    case EXPR_BINARY: return fe_eval_binary(l, e);
    case EXPR_CALL: return fe_eval_call(l, e);
    case EXPR_INDEX: return fe_eval_index(l, e);
    case EXPR_IF: return eval_if(l, e);
    case EXPR_RANGE: case EXPR_LABELED: case EXPR_ARROW: break;
    }
    return fe_fail(l, e->span, "this has no meaning here");
}

bool fe_step(Lowering *l, Span span)
{
    if (!l->exhausted && ++l->steps > LOWER_MAX_STEPS) {
        l->exhausted = true;
        fe_fail(l, span, "this program unrolls to more than %d steps", LOWER_MAX_STEPS);
    }
    return !l->exhausted;
}

const Val *fe_eval(Lowering *l, const Expr *e)
{
    if (!fe_step(l, e->span))
        return fe_val_poison(l);
    if (l->depth >= LOWER_MAX_DEPTH) {
        l->exhausted = true;
        return fe_fail(l, e->span, "layers and networks nest more than %d levels deep here", LOWER_MAX_DEPTH);
    }
    l->depth++;
    const Val *v = eval_kind(l, e);
    l->depth--;
    return v;
}
