/* lower.c — scopes and statements of the language, and how its mistakes are reported.
 *
 * In: blocks. Out: ops in the network being built. The one idea: a name's meaning hangs on its Symbol, innermost first,
 * each stamped with the inlining frame it belongs to; a layer's body sees its own frame only, and leaving a scope unhangs
 * what it hung.
 */
#include "lower.h"

#include <string.h>

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

const Val *fe_val_poison(Lowering *l)
{
    return NEW(l->arena, Val);
}

const Val *fe_fail(Lowering *l, Span span, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    diag_error(l->diags, span, "%s", str_vprintf(l->arena, format, args));
    va_end(args);
    int shown = 0;
    for (const Use *use = l->use; use && shown < 3; use = use->outer, shown++)
        diag_note(l->diags, use->call, "in this use of `%s`", use->layer->name.symbol->text);
    return fe_val_poison(l);
}

void fe_note_definition(Lowering *l, const Val *v)
{
    if (!v->label || v->span.source == 0)
        return;
    if (v->kind == VAL_CONST && v->file)
        diag_note(l->diags, v->span, "`%s` is %s in `%s`", v->label, fe_val_type(l, v), v->file->path);
    else
        diag_note(l->diags, v->span, "`%s` is defined here: %s", v->label, fe_val_type(l, v));
}

const char *fe_val_name(Lowering *l, const Val *v, const char *otherwise)
{
    return v->label ? str_printf(l->arena, "`%s`", v->label) : otherwise;
}

const char *fe_val_type(Lowering *l, const Val *v)
{
    switch (v->kind) {
    case VAL_POISON: return "nothing";
    case VAL_LIT: {
        if (v->type.rank == 0)
            return v->lit[0]->kind == LIT_TRUTH ? "a truth value" : "a number";
        Type as_int = type_with_dims(type_int(8), v->type.rank, v->type.dim);
        return str_printf(l->arena, "number%s", type_print(l->arena, as_int) + 2);
    }
    case VAL_CONST: case VAL_VALUE: return type_print(l->arena, v->type);
    case VAL_STRING: return "a string";
    case VAL_FILE: return "a file of weights";
    case VAL_TUPLE: return str_printf(l->arena, "a tuple of %u", v->n);
    }
    return "";
}

/* ---- values --------------------------------------------------------------------------------------------------------------- */

const Val *fe_val_const(Lowering *l, ConstId c)
{
    Val *v = NEW(l->arena, Val);
    v->kind = VAL_CONST;
    v->cst = c;
    v->type = const_get(l->m, c)->type;
    return v;
}

const Val *fe_val_value(Lowering *l, Value value)
{
    if (value == 0)
        return fe_val_poison(l);
    Val *v = NEW(l->arena, Val);
    v->kind = VAL_VALUE;
    v->value = value;
    v->type = value_type(l->net, value);
    return v;
}

bool fe_is_poison(const Val *v)
{
    return v->kind == VAL_POISON;
}

bool fe_is_tensor(const Val *v)
{
    return v->kind == VAL_CONST || v->kind == VAL_VALUE;
}

bool fe_is_scalar_lit(const Val *v, LitKind kind)
{
    return v->kind == VAL_LIT && v->type.rank == 0 && v->lit[0]->kind == kind;
}

Op *fe_emit(Lowering *l, Span span, const OpInit *init)
{
    if (!l->net) {
        fe_fail(l, span, "this is computed when a network runs; here everything must be known at compile time");
        return NULL;
    }
    Type *results = NEW_ARRAY(l->arena, init->n_hints + 2, Type);
    uint32_t n_results;
    Text why = text_new(l->arena);
    if (!op_infer(l->m, l->net, init, results, &n_results, &why)) {
        fe_fail(l, span, "%s", why.at);
        return NULL;
    }
    for (uint32_t i = 0; i < n_results; i++)
        if (type_count(results[i]) > LOWER_MAX_ELEMENTS) {
            fe_fail(l, span, "%s has more than %llu elements", type_print(l->arena, results[i]),
                    (unsigned long long)LOWER_MAX_ELEMENTS);
            return NULL;
        }
    l->b.span = span;
    return build_op(&l->b, init);
}

Value fe_emit_value(Lowering *l, Span span, const OpInit *init)
{
    const Op *op = fe_emit(l, span, init);
    return op ? op->result[0] : 0;
}

const Val *fe_emit_unary(Lowering *l, Span span, OpKind kind, Value x, const Type *hint)
{
    if (!x)
        return fe_val_poison(l);
    OpInit init = {.kind = kind, .n_operands = 1, .operand = &x, .n_hints = hint != NULL, .hint = hint};
    return fe_val_value(l, fe_emit_value(l, span, &init));
}

/* ---- scopes --------------------------------------------------------------------------------------------------------------- */

/* A second `let` of a name in the same scope takes the first one's place, so that unrolled loops stay small. */
void fe_bind(Lowering *l, Name name, const Val *val, bool *used)
{
    Val *named = NEW(l->arena, Val);
    *named = *val;
    bool rename = used && val->kind == VAL_VALUE;     /* a layer's parameter keeps the name its user knows */
    if (!named->label || rename) {
        named->label = name.symbol->text;
        named->span = name.span;
    }
    Binding *b = name.symbol->local;
    if (!b || b->frame != l->frame || b->scope != l->scope) {
        b = NEW(l->arena, Binding);
        b->symbol = name.symbol;
        b->frame = l->frame;
        b->scope = l->scope;
        b->hidden = name.symbol->local;
        b->older = l->bindings;
        l->bindings = name.symbol->local = b;
    }
    b->val = named;
    b->used = used;
}

const Val *fe_lookup_local(Lowering *l, Symbol *symbol)
{
    Binding *b = symbol->local;
    if (!b || b->frame != l->frame)
        return NULL;
    if (b->used)
        *b->used = true;
    return b->val;
}

Binding *fe_scope_enter(Lowering *l)
{
    l->scope++;
    return l->bindings;
}

void fe_scope_leave(Lowering *l, Binding *mark)
{
    l->scope--;
    for (; l->bindings != mark; l->bindings = l->bindings->older)
        l->bindings->symbol->local = l->bindings->hidden;
}

/* ---- statements ----------------------------------------------------------------------------------------------------------- */

/* The tuple's own values take the names; anything left over is an error with both numbers. */
static void bind_tuple(Lowering *l, const Stmt *s, const Val *v)
{
    bool fits = v->kind == VAL_TUPLE && v->n == s->names.n;
    if (!fits && !fe_is_poison(v))
        fe_fail(l, s->value->span, "%zu names on the left, found %s", s->names.n,
                v->kind == VAL_TUPLE ? fe_val_type(l, v) : "one value");
    uint32_t i = 0;
    for (NameNode *node = s->names.first; node; node = node->next, i++)
        fe_bind(l, node->name, fits ? v->item[i] : fe_val_poison(l), &node->used);
}

static void run_let(Lowering *l, Stmt *s)
{
    if (!s->reached)
        vec_push(l->arena, l->lets, s);
    s->reached = true;
    Type want;
    bool typed = s->type && fe_eval_type(l, s->type, &want);
    if (typed)
        l->typed = s->value, l->typed_as = want;
    const Val *v = fe_eval(l, s->value);
    if (s->is_tuple) {
        bind_tuple(l, s, v);
        return;
    }
    NameNode *node = s->names.first;
    if (s->type)
        v = typed ? fe_coerce(l, v, want, s->value->span, str_printf(l->arena, "`%s`", node->name.symbol->text)) : fe_val_poison(l);
    if (v->kind == VAL_VALUE)
        value_name(l->net, v->value, node->name.symbol->text);
    fe_bind(l, node->name, v, &node->used);
}

/*      exit y if c;        =>        if %c { … return %y } else { yield }
 * The value is computed inside, hence only when it is wanted. */
static void run_exit(Lowering *l, const Stmt *s)
{
    if (!l->net || l->use) {
        fe_fail(l, s->span, l->use ? "a layer cannot `exit`: only the network that uses it can" : "only a network can `exit`");
        return;
    }
    const Val *condition = fe_eval(l, s->condition);
    if (fe_is_poison(condition))
        return;
    if (!fe_is_scalar_lit(condition, LIT_TRUTH) && !(fe_is_tensor(condition) && type_equal(condition->type, type_int(1)))) {
        fe_fail(l, s->condition->span, "the condition of an exit is one truth value (i1), found %s", fe_val_type(l, condition));
        return;
    }
    condition = fe_coerce(l, condition, type_int(1), s->condition->span, "the condition");
    Value c = fe_to_value(l, condition, s->condition->span);
    Builder outer = l->b;
    Block *region[2] = {block_new(l->net, 0, NULL), block_new(l->net, 0, NULL)};
    l->b = builder_at_end(region[0]);
    Value *out = NEW_ARRAY(l->arena, l->decl->outputs.n, Value);
    Binding *mark = fe_scope_enter(l);
    bool good = fe_coerce_outputs(l, fe_eval(l, s->value), s->value->span, out);
    fe_scope_leave(l, mark);
    if (good) {
        l->b.span = s->span;
        build_return(&l->b, (uint32_t)l->decl->outputs.n, out, 0);
        l->b = builder_at_end(region[1]);
        l->b.span = s->span;
        build_op(&l->b, &(OpInit){.kind = OP_yield});
    }
    l->b = outer;
    if (good && c)
        fe_emit(l, s->span, &(OpInit){.kind = OP_if, .n_operands = 1, .operand = &c, .n_regions = 2, .region = region});
}

static void run_statements(Lowering *l, const AstBlock *block);

/* A loop is its body written out: lets go on in the scope around it, only the index is the loop's own. */
static void run_for(Lowering *l, const Stmt *s)
{
    int64_t first, last;
    if (!fe_eval_int(l, s->value, "the first index of a loop", &first) ||
        !fe_eval_int(l, s->condition, "the last index of a loop", &last))
        return;
    NameNode *node = s->names.first;
    Symbol *symbol = node->name.symbol;
    if (s->body->value)
        fe_fail(l, s->body->value->span, "the body of a loop has no value: end it with `let … ;` lines");
    /* The index lies over the scope without being in it; unhung again at the end. */
    Binding over = {.symbol = symbol, .frame = l->frame, .scope = UINT32_MAX, .hidden = symbol->local};
    size_t errors = diag_errors(l->diags);
    for (int64_t i = first; i <= last && fe_step(l, s->span) && diag_errors(l->diags) == errors; i++) {
        over.val = fe_lit_scalar(l, i, LIT_INT, node->name.span);
        symbol->local = &over;
        run_statements(l, s->body);
        if (symbol->local != &over) {
            fe_fail(l, node->name.span, "the body of this loop redefines its own index `%s`", symbol->text);
            symbol->local->hidden = over.hidden;
            return;
        }
        symbol->local = over.hidden;
        if (i == INT64_MAX)
            return;
    }
}

static void run_statements(Lowering *l, const AstBlock *block)
{
    for (Stmt *s = block->first; s && !l->exhausted; s = s->next)
        switch (s->kind) {
        case STMT_LET: run_let(l, s); break;
        case STMT_EXIT: run_exit(l, s); break;
        case STMT_FOR: run_for(l, s); break;
        case STMT_UNUSED:
            if (s->value->kind != EXPR_POISON)
                fe_fail(l, s->span, "the value of this line is not used%s",
                     s->next || block->value ? ": name it with `let`" : ": the last line of a block, its value, ends without `;`");
            break;
        }
}

const Val *fe_eval_block(Lowering *l, const AstBlock *block, const char *what)
{
    size_t errors = diag_errors(l->diags);
    Binding *mark = fe_scope_enter(l);
    run_statements(l, block);
    const Val *v;
    if (block->value)
        v = fe_eval(l, block->value);
    else if (diag_errors(l->diags) == errors)
        v = fe_fail(l, block->end, "%s has no value: its last line must be an expression", what);
    else
        v = fe_val_poison(l);
    fe_scope_leave(l, mark);
    return v;
}
