/* lower_call.c — calls: built-in functions, layers (inlined), networks (called).
 *
 * In: a name with arguments. Out: a Val. The one idea: a built-in is a row of a table, a layer is its body evaluated in a frame
 * of its own, so it is as generic as the arguments it gets.
 */
#include "lower.h"

#include <string.h>

/* ---- built-in functions ---------------------------------------------------------------------------------------------------- */

typedef enum Rule { RULE_NUMBERS, RULE_FLOATS, RULE_VECTOR } Rule;

typedef struct Builtin {
    const char *name;
    uint32_t least, most;         /* arguments */
    const Val *(*call)(Lowering *l, const Call *c, const struct Builtin *b);
    OpKind op;                    /* of the simple ones */
    Rule rule;
    bool takes_axis;
    const Val *(*shape)(Lowering *l, const Call *c);
} Builtin;

/* An argument as a tensor with a type, for functions of one. */
static bool typed_argument(Lowering *l, const Call *c, const Builtin *b, Value *out)
{
    const Val *v = c->arg[0];
    Span span = c->arg_expr[0]->span;
    if (!(*out = fe_to_value(l, v, span)))
        return false;
    Type t = value_type(l->net, *out);
    bool fits = b->rule == RULE_FLOATS ? type_is_float(t) : (type_is_float(t) || (type_is_int(t) && t.n > 1));
    if (!fits) {
        fe_fail(l, span, "`%s` takes %s, found %s", c->name, b->rule == RULE_FLOATS ? "floats" : "numbers",
                type_print(l->arena, t));
        fe_note_definition(l, v);
        return false;
    }
    if (b->rule == RULE_VECTOR && t.rank != 1) {
        fe_fail(l, span, "`%s` takes a vector, found %s", c->name, type_print(l->arena, t));
        fe_note_definition(l, v);
        return false;
    }
    return true;
}

static const Val *call_op(Lowering *l, const Call *c, const Builtin *b)
{
    Value x;
    return typed_argument(l, c, b, &x) ? fe_emit_unary(l, c->expr->span, b->op, x, NULL) : fe_val_poison(l);
}

static const Val *reduce(Lowering *l, const Call *c, const Builtin *b, ReduceKind kind)
{
    Value x;
    if (!typed_argument(l, c, b, &x))
        return fe_val_poison(l);
    OpInit init = {.kind = OP_reduce, .n_operands = 1, .operand = &x};
    init.attr[0].i = kind;
    init.attr[1].i = kind == REDUCE_add ? ir_chains(1, type_count(value_type(l->net, x))) : 0;
    return fe_val_value(l, fe_emit_value(l, c->expr->span, &init));
}

static const Val *call_sum(Lowering *l, const Call *c, const Builtin *b)
{
    return reduce(l, c, b, REDUCE_add);
}

/* max(x) is the greatest element, max(a, b) the greater of each pair; of whole numbers at compile time, too. */
static const Val *call_min_max(Lowering *l, const Call *c, const Builtin *b)
{
    if (c->n == 1)
        return reduce(l, c, b, b->op == OP_min ? REDUCE_min : REDUCE_max);
    const Val *x = c->arg[0], *y = c->arg[1];
    if (fe_is_scalar_lit(x, LIT_INT) && fe_is_scalar_lit(y, LIT_INT)) {
        bool less = y->lit[0]->i < x->lit[0]->i;
        return less == (b->op == OP_min) ? y : x;
    }
    if (x->kind == VAL_LIT && y->kind == VAL_LIT)
        return fe_fail(l, c->expr->span, "nothing says which type these numbers have; write `f32(…)` or another type");
    return fe_elementwise(l, b->op, x, y, c->expr->span, str_printf(l->arena, "`%s`", c->name), 0);
}

static const Val *call_dot(Lowering *l, const Call *c, const Builtin *b)
{
    (void)b;
    const Val *x = c->arg[0], *y = c->arg[1];
    if (!fe_unify(l, &x, &y, c->expr->span, "`dot`"))
        return fe_val_poison(l);
    if (x->type.rank != 1 || y->type.rank != 1 || x->type.dim[0] != y->type.dim[0]) {
        const Val *poison = fe_fail(l, c->expr->span, "`dot` takes two vectors of one length, found %s and %s",
                                    fe_val_type(l, x), fe_val_type(l, y));
        fe_note_definition(l, x);
        fe_note_definition(l, y);
        return poison;
    }
    Value operand[2] = {fe_to_value(l, x, c->arg_expr[0]->span), fe_to_value(l, y, c->arg_expr[1]->span)};
    if (!operand[0] || !operand[1])
        return fe_val_poison(l);
    OpInit init = {.kind = OP_dot, .n_operands = 2, .operand = operand};
    init.attr[0].i = ir_chains(1, x->type.dim[0]);
    return fe_val_value(l, fe_emit_value(l, c->expr->span, &init));
}

static const Val *call_softmax(Lowering *l, const Call *c, const Builtin *b)
{
    Value x;
    if (!typed_argument(l, c, b, &x))
        return fe_val_poison(l);
    Type t = value_type(l->net, x);
    if (t.rank != 1)
        return fe_fail(l, c->arg_expr[0]->span, "`softmax` takes a vector, found %s", type_print(l->arena, t));
    l->b.span = c->expr->span;
    return fe_val_value(l, build_softmax(&l->b, x));
}

/* A scalar in every element of the other's shape. */
static Value splatted(Lowering *l, Value v, Type like, Span span)
{
    Type t = value_type(l->net, v);
    if (t.rank != 0 || like.rank == 0)
        return v;
    Type to = type_with_dims(t, like.rank, like.dim);
    return fe_emit_value(l, span, &(OpInit){.kind = OP_splat, .n_operands = 1, .operand = &v, .n_hints = 1, .hint = &to});
}

static const Val *call_select(Lowering *l, const Call *c, const Builtin *b)
{
    (void)b;
    const Val *cond = c->arg[0], *x = c->arg[1], *y = c->arg[2];
    Span span = c->expr->span;
    if (fe_is_scalar_lit(cond, LIT_TRUTH))
        cond = fe_lit_to_const(l, cond, type_int(1), NULL);
    if (!fe_is_tensor(cond) || !type_same_element(cond->type, type_int(1)))
        return fe_fail(l, c->arg_expr[0]->span, "the condition of `select` is a tensor of truth values (i1), found %s",
                       fe_val_type(l, cond));
    if (!fe_unify(l, &x, &y, span, "`select`"))
        return fe_val_poison(l);
    const Val *val[3] = {cond, x, y};
    Value operand[3];
    for (int i = 0; i < 3; i++)
        operand[i] = fe_to_value(l, val[i], c->arg_expr[i]->span);
    if (!operand[0] || !operand[1] || !operand[2])
        return fe_val_poison(l);
    Type like = x->type.rank ? x->type : y->type.rank ? y->type : cond->type;
    operand[1] = splatted(l, operand[1], like, span);
    operand[2] = splatted(l, operand[2], like, span);
    if (!operand[1] || !operand[2])
        return fe_val_poison(l);
    return fe_val_value(l, fe_emit_value(l, span, &(OpInit){.kind = OP_select, .n_operands = 3, .operand = operand}));
}

static const Val *call_shape_function(Lowering *l, const Call *c, const Builtin *b)
{
    return b->shape(l, c);
}

static const Builtin builtins[] = {
    {"relu", 1, 1, call_op, OP_relu, RULE_NUMBERS},
    {"abs", 1, 1, call_op, OP_abs, RULE_NUMBERS},
    {"exp", 1, 1, call_op, OP_exp, RULE_FLOATS},
    {"tanh", 1, 1, call_op, OP_tanh, RULE_FLOATS},
    {"sigmoid", 1, 1, call_op, OP_sigmoid, RULE_FLOATS},
    {"sqrt", 1, 1, call_op, OP_sqrt, RULE_FLOATS},
    {"argmax", 1, 1, call_op, OP_argmax, RULE_VECTOR},
    {"argmin", 1, 1, call_op, OP_argmin, RULE_VECTOR},
    {"softmax", 1, 1, call_softmax, OP__COUNT, RULE_FLOATS},
    {"sum", 1, 1, call_sum, OP__COUNT, RULE_NUMBERS},
    {"min", 1, 2, call_min_max, OP_min, RULE_NUMBERS},
    {"max", 1, 2, call_min_max, OP_max, RULE_NUMBERS},
    {"dot", 2, 2, call_dot, OP__COUNT, RULE_NUMBERS},
    {"select", 3, 3, call_select, OP__COUNT, RULE_NUMBERS},
    {"concat", 1, UINT32_MAX, call_shape_function, OP__COUNT, RULE_NUMBERS, true, fe_call_concat},
    {"transpose", 1, 2, call_shape_function, OP__COUNT, RULE_NUMBERS, false, fe_call_transpose},
    {"reshape", 2, 2, call_shape_function, OP__COUNT, RULE_NUMBERS, false, fe_call_reshape},
    {"size", 1, 1, call_shape_function, OP__COUNT, RULE_NUMBERS, false, fe_call_size},
    {"shape", 1, 1, call_shape_function, OP__COUNT, RULE_NUMBERS, false, fe_call_shape},
};
enum { BUILTINS = sizeof builtins / sizeof *builtins };

static const Builtin *builtin_named(const char *name)
{
    for (int i = 0; i < BUILTINS; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

/* Functions of the language that this version reads but does not compile. */
static const char *const planned[] = {"tree_affine", "mixture", "product_key", "top", "expert"};

static bool is_planned(const char *name)
{
    for (size_t i = 0; i < sizeof planned / sizeof *planned; i++)
        if (strcmp(planned[i], name) == 0)
            return true;
    return false;
}

const Val *fe_fail_unknown(Lowering *l, Span span, const char *name, bool called)
{
    Vec(const char *) names = {0};
    for (int i = 0; i < BUILTINS; i++)
        if (called)
            vec_push(l->arena, names, builtins[i].name);
    if (called)
        vec_push(l->arena, names, "memorize");
    if (is_planned(name))
        return fe_fail(l, span, "`%s` is part of the language, but this version of cnetc does not compile it yet", name);
    for (const Decl *d = l->parse->program->first; d; d = d->next)
        vec_push(l->arena, names, d->name.symbol->text);
    for (const Binding *b = l->bindings; b; b = b->older)
        if (b->frame == l->frame)
            vec_push(l->arena, names, b->symbol->text);
    const char *near = str_nearest(name, names.at, names.len);
    if (!called && builtin_named(name))
        return fe_fail(l, span, "`%s` is a function: it must be called, as in `%s(…)`", name, name);
    return near ? fe_fail(l, span, "unknown name `%s`; did you mean `%s`?", name, near)
                : fe_fail(l, span, "unknown name `%s`", name);
}

/* ---- casts: f32(x) --------------------------------------------------------------------------------------------------- */

static const Val *call_cast(Lowering *l, const Call *c, Type element)
{
    if (c->n != 1)
        return fe_fail(l, c->expr->span, "`%s` converts one value, found %u", c->name, c->n);
    const Val *v = c->arg[0];
    Span span = c->expr->span;
    if (v->kind == VAL_LIT)
        return fe_lit_to_const(l, v, element, NULL);
    if (!fe_is_tensor(v))
        return fe_fail(l, span, "`%s` converts tensors, found %s", c->name, fe_val_type(l, v));
    if (type_same_element(v->type, element))
        return v;
    if (type_equal(element, type_int(1)))
        return fe_fail(l, span, "truth values come from comparisons: write `x != 0`");
    const Val *converted = v->kind == VAL_CONST ? fe_const_cast(l, v, element) : NULL;
    if (converted)
        return converted;
    Value x = fe_to_value(l, v, span);
    if (x && v->type.elem == ELEM_IDX && type_is_float(element)) {
        Type whole = type_with_dims(type_int(32), v->type.rank, v->type.dim);
        x = fe_emit_value(l, span, &(OpInit){.kind = OP_cast, .n_operands = 1, .operand = &x, .n_hints = 1, .hint = &whole});
    }
    if (!x)
        return fe_val_poison(l);
    Type to = type_with_dims(element, v->type.rank, v->type.dim);
    return fe_emit_unary(l, span, OP_cast, x, &to);
}

/* ---- layers and networks --------------------------------------------------------------------------------------------- */

static const Val *wrong_number(Lowering *l, const Call *c, const Decl *d, size_t takes)
{
    const char *s = takes == 1 ? "" : "s";
    const Val *poison = fe_fail(l, c->expr->span, "`%s` takes %zu argument%s, found %u", c->name, takes, s, c->n);
    if (d)
        diag_note(l->diags, d->name.span, "`%s` is defined here", c->name);
    return poison;
}

static const Val *call_layer(Lowering *l, const Call *c, Decl *d)
{
    if (c->n != d->params.n)
        return wrong_number(l, c, d, d->params.n);
    if (d->state == DECL_ACTIVE) {
        const Val *poison = fe_fail(l, c->expr->span, "the layer `%s` uses itself: layers cannot recurse", c->name);
        diag_note(l->diags, d->name.span, "`%s` is defined here", c->name);
        return poison;
    }
    Use use = {d, c->expr->span, l->use};
    uint32_t frame = l->frame, scope = l->scope;
    Binding *mark = fe_scope_enter(l);
    l->frame = ++l->last_frame;
    l->use = &use;
    d->state = DECL_ACTIVE;
    uint32_t i = 0;
    for (NameNode *node = d->params.first; node; node = node->next)
        fe_bind(l, node->name, c->arg[i++], NULL);
    const Val *v = fe_eval_block(l, d->body, str_printf(l->arena, "the layer `%s`", c->name));
    d->state = DECL_UNSEEN;
    l->use = use.outer;
    fe_scope_leave(l, mark);
    l->frame = frame;
    l->scope = scope;
    return v;
}

static const Val *call_network(Lowering *l, const Call *c, Decl *d)
{
    Network *callee = fe_network_of(l, d, c->expr->span);
    if (!callee)
        return fe_val_poison(l);
    if (!l->net)
        return fe_fail(l, c->expr->span, "a network runs later; here everything must be known at compile time");
    if (c->n != callee->n_inputs)
        return wrong_number(l, c, d, callee->n_inputs);
    Value *x = NEW_ARRAY(l->arena, c->n, Value);
    for (uint32_t i = 0; i < c->n; i++) {
        Span span = c->arg_expr[i]->span;
        const char *what = str_printf(l->arena, "input `%s` of `%s`", callee->input[i].name, c->name);
        const Val *v = fe_coerce(l, c->arg[i], callee->input[i].type, span, what);
        if (fe_is_poison(v) || !(x[i] = fe_to_value(l, v, span)))
            return fe_val_poison(l);
    }
    Value *y = NEW_ARRAY(l->arena, callee->n_outputs, Value);
    l->b.span = c->expr->span;
    build_call(&l->b, callee, c->n, x, y);
    Val *tuple = NEW(l->arena, Val);
    tuple->kind = VAL_TUPLE;
    tuple->n = callee->n_outputs;
    tuple->item = NEW_ARRAY(l->arena, tuple->n, const Val *);
    for (uint32_t i = 0; i < tuple->n; i++)
        tuple->item[i] = fe_val_value(l, y[i]);
    return tuple->n == 1 ? tuple->item[0] : tuple;
}

/* ---- any call -------------------------------------------------------------------------------------------------------- */

/* Evaluates the arguments; false when one was reported. */
static bool open_call(Lowering *l, const Expr *e, Call *c, bool takes_axis)
{
    bool good = true;
    c->arg = NEW_ARRAY(l->arena, e->call.args.n, const Val *);
    c->arg_expr = NEW_ARRAY(l->arena, e->call.args.n, const Expr *);
    for (const Expr *a = e->call.args.first; a; a = a->next) {
        if (a->kind == EXPR_LABELED) {
            if (takes_axis && strcmp(a->labeled.label->text, "axis") == 0 && !c->axis)
                c->axis = a->labeled.value;
            else
                good = !fe_is_poison(fe_fail(l, a->span, "`%s` takes no argument `%s`", c->name, a->labeled.label->text));
            continue;
        }
        c->arg_expr[c->n] = a;
        c->arg[c->n] = fe_eval(l, a);
        good &= !fe_is_poison(c->arg[c->n++]);
    }
    return good;
}

static const Val *wrong_count(Lowering *l, const Call *c, const Builtin *b)
{
    Span span = c->expr->span;
    const char *s = b->least == 1 ? "" : "s";
    if (b->least == b->most)
        return fe_fail(l, span, "`%s` takes %u argument%s, found %u", c->name, b->least, s, c->n);
    if (b->most == UINT32_MAX)
        return fe_fail(l, span, "`%s` takes at least %u argument%s, found %u", c->name, b->least, s, c->n);
    return fe_fail(l, span, "`%s` takes %u or %u arguments, found %u", c->name, b->least, b->most, c->n);
}

static const Val *call_builtin(Lowering *l, const Expr *e, Call *c, const Builtin *b)
{
    if (!open_call(l, e, c, b->takes_axis))
        return fe_val_poison(l);
    if (c->n < b->least || c->n > b->most)
        return wrong_count(l, c, b);
    if (!l->net && b->call != call_shape_function && b->call != call_min_max)
        return fe_fail(l, e->span, "`%s` is computed when a network runs; here everything must be known at compile time", c->name);
    return b->call(l, c, b);
}

const Val *fe_eval_call(Lowering *l, const Expr *e)
{
    const Expr *of = e->call.of;
    if (of->kind != EXPR_NAME || of->parenthesized) {
        return of->kind == EXPR_POISON ? fe_val_poison(l)
                                       : fe_fail(l, of->span, "only a named function, layer or network can be called");
    }
    Call c = {.expr = e, .name = of->symbol->text};
    const Val *local = fe_lookup_local(l, of->symbol);
    if (local)
        return fe_is_poison(local) ? local : fe_fail(l, of->span, "`%s` is %s here, not a function", c.name, fe_val_type(l, local));
    Decl *d = of->symbol->decl;
    if (d) {
        d->used = true;
        switch (d->kind) {
        case DECL_LAYER: return open_call(l, e, &c, false) ? call_layer(l, &c, d) : fe_val_poison(l);
        case DECL_NETWORK: case DECL_IMPORT: return open_call(l, e, &c, false) ? call_network(l, &c, d) : fe_val_poison(l);
        case DECL_WEIGHTS: case DECL_CONST: case DECL_DATA: break;
        }
        const char *how = d->kind == DECL_WEIGHTS ? ": a tensor of it is named in brackets" : "";
        const Val *poison = fe_fail(l, of->span, "`%s` cannot be called%s", c.name, how);
        diag_note(l->diags, d->name.span, "`%s` is defined here", c.name);
        return poison;
    }
    if (strcmp(c.name, "memorize") == 0)
        return fe_call_memorize(l, e);
    const Builtin *b = builtin_named(c.name);
    if (b)
        return call_builtin(l, e, &c, b);
    Type element;
    if (fe_element_named(c.name, &element))
        return open_call(l, e, &c, false) ? call_cast(l, &c, element) : fe_val_poison(l);
    for (const Expr *a = e->call.args.first; a; a = a->next)     /* for the mistakes in them */
        if (a->kind != EXPR_LABELED && a->kind != EXPR_ARROW && !is_planned(c.name))
            fe_eval(l, a);
    return fe_fail_unknown(l, of->span, c.name, true);
}
