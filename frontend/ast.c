/* ast.c — what the parser's actions call: nodes, names and strings of ast.h.
 *
 * In: pieces of a parse with their spans. Out: nodes on the arena. The one idea: every node knows its depth, so that
 * "too deep" is found here, once, and whoever walks the tree may recurse.
 */
#include "ast.h"

#include <string.h>

const char *fe_operator_text(Operator op)
{
    static const char *const text[] = {"@", "+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "-"};
    return text[op];
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

static void rehash(Parse *p, SymbolTable *table, size_t buckets)
{
    Symbol **old = table->bucket;
    size_t n = table->buckets;
    table->bucket = NEW_ARRAY(p->arena, buckets, Symbol *);
    table->buckets = buckets;
    for (size_t i = 0; i < n; i++)
        for (Symbol *s = old[i], *next; s; s = next) {
            next = s->next;
            Symbol **bucket = &table->bucket[s->hash % buckets];
            s->next = *bucket;
            *bucket = s;
        }
}

Symbol *ast_intern(Parse *p, const char *text, size_t len)
{
    SymbolTable *table = p->symbols;
    if (table->n >= table->buckets)
        rehash(p, table, table->buckets ? table->buckets * 2 : 64);
    uint64_t hash = hash_bytes(text, len).lo;
    Symbol **bucket = &table->bucket[hash % table->buckets];
    for (Symbol *s = *bucket; s; s = s->next)
        if (s->hash == hash && strncmp(s->text, text, len) == 0 && s->text[len] == '\0')
            return s;
    Symbol *s = NEW(p->arena, Symbol);
    s->text = str_ndup(p->arena, text, len);
    s->hash = hash;
    s->next = *bucket;
    table->n++;
    return *bucket = s;
}

bool fe_name_is(Name name, const char *text)
{
    return name.symbol && strcmp(name.symbol->text, text) == 0;
}

/* ---- depth -------------------------------------------------------------------------------------------------------------- */

void ast_too_deep(Parse *p, Span span)
{
    if (!p->deep)
        diag_error(p->diags, span, "this nests too deeply: more than %d levels", AST_MAX_DEPTH);
    p->deep = true;
}

static uint32_t deeper(uint32_t depth, const Expr *child)
{
    return child && child->depth > depth ? child->depth : depth;
}

static uint32_t deepest(uint32_t depth, ExprList list)
{
    for (const Expr *e = list.first; e; e = e->next)
        depth = deeper(depth, e);
    return depth;
}

/* A node above children of this depth; poison beyond the limit. */
static Expr *new_expr(Parse *p, ExprKind kind, Span span, uint32_t children)
{
    if (children >= AST_MAX_DEPTH) {
        ast_too_deep(p, span);
        return ast_poison(p, span);
    }
    Expr *e = NEW(p->arena, Expr);
    e->kind = kind;
    e->span = span;
    e->depth = children + 1;
    return e;
}

/* ---- expressions -------------------------------------------------------------------------------------------------------- */

Expr *ast_poison(Parse *p, Span span)
{
    return new_expr(p, EXPR_POISON, span, 0);
}

static bool is_digits(const char *s)
{
    return s[strspn(s, "0123456789")] == '\0';
}

/* Value of a digit in base 16. */
static int digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Sets an exact integer from digits; false when it exceeds 63 bits. */
static bool set_integer(Lit *lit, const char *digits, int base)
{
    int64_t value = 0;
    for (; *digits; digits++)
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit(*digits), &value))
            return false;
    lit->kind = LIT_INT;
    lit->i = value;
    return true;
}

Expr *ast_number(Parse *p, Span span)
{
    Expr *e = new_expr(p, EXPR_NUMBER, span, 0);
    const char *text = str_ndup(p->arena, p->text + span.begin, span.end - span.begin);
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    e->lit.text = text;
    e->lit.span = span;
    if (is_digits(text)) {
        if (!set_integer(&e->lit, text, 10))
            e->lit.kind = LIT_BIG;
    } else if (hexadecimal && !strpbrk(text, ".pP")) {
        if (!set_integer(&e->lit, text + 2, 16)) {
            diag_error(p->diags, span, "hexadecimal integers end at 0x7fffffffffffffff; write larger ones in decimal");
            return ast_poison(p, span);
        }
    } else {
        e->lit.kind = LIT_REAL;
    }
    return e;
}

Expr *ast_name(Parse *p, Name name)
{
    Expr *e = new_expr(p, EXPR_NAME, name.span, 0);
    e->symbol = name.symbol;
    return e;
}

Expr *ast_list(Parse *p, ExprKind kind, ExprList items, Span span)
{
    Expr *e = new_expr(p, kind, span, deepest(0, items));
    if (e->kind == kind)
        e->list = items;
    return e;
}

Expr *ast_unary(Parse *p, Operator op, Expr *a, Span span, Span op_span)
{
    return ast_binary(p, op, a, NULL, span, op_span);
}

Expr *ast_binary(Parse *p, Operator op, Expr *a, Expr *b, Span span, Span op_span)
{
    ExprKind kind = b ? EXPR_BINARY : EXPR_UNARY;
    Expr *e = new_expr(p, kind, span, deeper(a->depth, b));
    if (e->kind != kind)
        return e;
    e->op = op;
    e->bin.a = a;
    e->bin.b = b;
    e->bin.op = op_span;
    return e;
}

Expr *ast_apply(Parse *p, ExprKind kind, Expr *of, ExprList args, Span span)
{
    Expr *e = new_expr(p, kind, span, deepest(of->depth, args));
    if (e->kind != kind)
        return e;
    e->call.of = of;
    e->call.args = args;
    return e;
}

Expr *ast_range(Parse *p, Expr *from, Expr *to, Span span)
{
    Expr *e = new_expr(p, EXPR_RANGE, span, deeper(deeper(0, from), to));
    if (e->kind != EXPR_RANGE)
        return e;
    e->bin.a = from;
    e->bin.b = to;
    return e;
}

Expr *ast_labeled(Parse *p, Name label, Expr *value, Span span)
{
    Expr *e = new_expr(p, EXPR_LABELED, span, value->depth);
    if (e->kind != EXPR_LABELED)
        return e;
    e->labeled.label = label.symbol;
    e->labeled.value = value;
    return e;
}

Expr *ast_arrow(Parse *p, Expr *head, Expr *value, Span span)
{
    Expr *e = new_expr(p, EXPR_ARROW, span, deeper(head->depth, value));
    if (e->kind != EXPR_ARROW)
        return e;
    e->arrow.head = head;
    e->arrow.value = value;
    return e;
}

Expr *ast_if(Parse *p, Expr *condition, AstBlock *then, AstBlock *other, Span span)
{
    uint32_t depth = then->depth > other->depth ? then->depth : other->depth;
    Expr *e = new_expr(p, EXPR_IF, span, deeper(depth, condition));
    if (e->kind != EXPR_IF)
        return e;
    e->branch.condition = condition;
    e->branch.then = then;
    e->branch.other = other;
    return e;
}

ExprList ast_push(ExprList list, Expr *item)
{
    if (list.last)
        list.last->next = item;
    else
        list.first = item;
    list.last = item;
    list.n++;
    return list;
}

ExprList ast_prepend(Expr *item, ExprList list)
{
    item->next = list.first;
    list.first = item;
    list.n++;
    return list;
}

/* ---- strings ------------------------------------------------------------------------------------------------------------ */

/* The character behind a backslash at `at`; reports what is no escape. */
static char escaped(Parse *p, size_t at)
{
    char c = p->text[at + 1];
    switch (c) {
    case '"': case '\\': case '{': return c;
    case 'n': return '\n';
    case 't': return '\t';
    }
    diag_error(p->diags, (Span){p->source, (uint32_t)at, (uint32_t)at + 2}, "no such escape: a string knows \\\" \\\\ \\{ \\n \\t");
    return c;
}

const char *ast_raw_string(Parse *p, Span span)
{
    Text out = text_new(p->arena);
    for (size_t at = span.begin + 1; at + 1 < span.end; at++) {
        char c = p->text[at];
        if (c == '\\')
            c = escaped(p, at++);
        text_put(&out, &c, 1);
    }
    return out.at;
}

static Expr *string_part(Parse *p, Text *text, Span span)
{
    Expr *part = new_expr(p, EXPR_STRING, span, 0);
    part->str.text = text->at;
    *text = text_new(p->arena);
    return part;
}

Expr *ast_string(Parse *p, Span span)
{
    Expr *e = new_expr(p, EXPR_STRING, span, 0);
    Text text = text_new(p->arena);
    size_t end = span.end - 1;
    for (size_t at = span.begin + 1; at < end; at++) {
        char c = p->text[at];
        if (c == '{') {
            const char *close = memchr(p->text + at, '}', end - at);
            if (!close) {
                diag_error(p->diags, (Span){p->source, (uint32_t)at, (uint32_t)at + 1},
                           "`{` begins a value and has no `}`; write `\\{` for the character");
                return ast_poison(p, span);
            }
            e->str.parts = ast_push(e->str.parts, string_part(p, &text, span));
            size_t to = (size_t)(close - p->text);
            e->str.parts = ast_push(e->str.parts, ast_parse_expression(p, at + 1, to));
            at = to;
            continue;
        }
        if (c == '\\')
            c = escaped(p, at++);
        text_put(&text, &c, 1);
    }
    if (e->str.parts.n)
        e->str.parts = ast_push(e->str.parts, string_part(p, &text, span));
    else
        e->str.text = text.at;
    e->depth = deepest(0, e->str.parts) + 1;
    return e;
}

/* ---- blocks and statements ---------------------------------------------------------------------------------------------- */

AstBlock *ast_block(Parse *p, AstBlock *block, Expr *value, Span span)
{
    (void)p;
    block->value = value;
    block->span = span;
    block->end = (Span){span.source, span.end - 1, span.end};
    block->depth = deeper(block->depth, value);
    return block;
}

AstBlock *ast_block_of(Parse *p, Expr *value)
{
    AstBlock *block = ast_statement(p, NULL, NULL);
    ast_block(p, block, value, value->span);
    return block;
}

AstBlock *ast_statement(Parse *p, AstBlock *block, Stmt *stmt)
{
    if (!block)
        block = NEW(p->arena, AstBlock);
    if (!stmt)
        return block;
    if (block->last)
        block->last->next = stmt;
    else
        block->first = stmt;
    block->last = stmt;
    if (stmt->depth > block->depth)
        block->depth = stmt->depth;
    return block;
}

/* NULL, as for a statement with a syntax error, when it is too deep. */
static Stmt *new_stmt(Parse *p, StmtKind kind, Span span, uint32_t children)
{
    if (children >= AST_MAX_DEPTH) {
        ast_too_deep(p, span);
        return NULL;
    }
    Stmt *s = NEW(p->arena, Stmt);
    s->kind = kind;
    s->span = span;
    s->depth = children + 1;
    return s;
}

Stmt *ast_let(Parse *p, NameList names, bool is_tuple, TypeExpr *type, Expr *value, Span span)
{
    Stmt *s = new_stmt(p, STMT_LET, span, value->depth);
    if (!s)
        return NULL;
    s->names = names;
    s->is_tuple = is_tuple;
    s->type = type;
    s->value = value;
    return s;
}

Stmt *ast_exit(Parse *p, Expr *value, Expr *condition, Span span)
{
    Stmt *s = new_stmt(p, STMT_EXIT, span, deeper(value->depth, condition));
    if (!s)
        return NULL;
    s->value = value;
    s->condition = condition;
    return s;
}

Stmt *ast_for(Parse *p, Name index, Expr *first, Expr *last, AstBlock *body, Span span)
{
    Stmt *s = new_stmt(p, STMT_FOR, span, deeper(deeper(body->depth, first), last));
    if (!s)
        return NULL;
    s->names = ast_push_name(p, (NameList){0}, index);
    s->value = first;
    s->condition = last;
    s->body = body;
    return s;
}

Stmt *ast_unused(Parse *p, Expr *value, Span span)
{
    Stmt *s = new_stmt(p, STMT_UNUSED, span, value->depth);
    if (s)
        s->value = value;
    return s;
}

/* ---- names, ports, types, declarations ---------------------------------------------------------------------------------- */

ClauseList ast_push_clause(Parse *p, ClauseList list, Name name, ExprList columns)
{
    ClauseExpr *clause = NEW(p->arena, ClauseExpr);
    *clause = (ClauseExpr){.name = name, .columns = columns};
    if (list.last)
        list.last->next = clause;
    else
        list.first = clause;
    list.last = clause;
    return list;
}

NameList ast_push_name(Parse *p, NameList list, Name name)
{
    NameNode *node = NEW(p->arena, NameNode);
    node->name = name;
    if (list.last)
        list.last->next = node;
    else
        list.first = node;
    list.last = node;
    list.n++;
    return list;
}

PortList ast_push_port(Parse *p, PortList list, Name name, TypeExpr *type, BoxExpr *box)
{
    PortExpr *port = NEW(p->arena, PortExpr);
    port->name = name;
    port->type = type;
    port->box = box;
    if (list.last)
        list.last->next = port;
    else
        list.first = port;
    list.last = port;
    list.n++;
    return list;
}

TypeExpr *ast_type(Parse *p, Name element, bool has_dims, ExprList dims, Span span)
{
    TypeExpr *type = NEW(p->arena, TypeExpr);
    type->element = element;
    type->has_dims = has_dims;
    type->dims = dims;
    type->span = span;
    return type;
}

BoxExpr *ast_box(Parse *p, BoxExpr *box, Expr *lo, Expr *hi)
{
    if (!box)
        box = NEW(p->arena, BoxExpr);
    box->lo = ast_push(box->lo, lo);
    box->hi = ast_push(box->hi, hi);
    return box;
}

Decl *ast_decl(Parse *p, DeclKind kind, Name name, Span span)
{
    Decl *d = NEW(p->arena, Decl);
    d->kind = kind;
    d->name = name;
    d->span = span;
    return d;
}

void ast_add_decl(Parse *p, Decl *decl)
{
    Program *program = p->program;
    Symbol *symbol = decl->name.symbol;
    if (symbol->decl) {
        diag_error(p->diags, decl->name.span, "`%s` is defined twice", symbol->text);
        diag_note(p->diags, symbol->decl->name.span, "the first definition is here");
        return;
    }
    symbol->decl = decl;
    if (program->last)
        program->last->next = decl;
    else
        program->first = decl;
    program->last = decl;
}
