/* parser.y — tokens to the tree of ast.h.
 *
 * In: tokens of lexer.l. Out: p->program, or p->expression for the inside of a string's {…}. The one idea: the grammar is
 * generous and small (the whole language, later parts included), every action is one call of ast.c, and what is wrong
 * beyond syntax is said by the lowering, which can say it better.
 *
 * A push parser: its stacks are one object that is released with the arena, also when memory runs out half-way.
 */
%code requires {
#include "frontend/ast.h"
}
%code {
#include <string.h>

static void fe_cnet_error(const Span *span, Parse *p, const char *message);
static Span join(Span a, Span b);

/* The generated code's own counter is never read. */
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#define YYINITDEPTH 200
#define YYMAXDEPTH AST_PARSER_STACK
#define YYLLOC_DEFAULT(current, rhs, n) \
    ((current) = (n) ? join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) \
                     : (Span){YYRHSLOC(rhs, 0).source, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})
}

%define api.pure full
%define api.push-pull push
%define api.prefix {fe_cnet_}
%define api.token.prefix {T_}
%define api.location.type {Span}
%define parse.lac full
%define parse.error custom
%locations
%expect 0
%parse-param {Parse *p}

%union {
    Name name;
    Expr *expr;
    ExprList exprs;
    TypeExpr *type;
    BoxExpr *box;
    ClauseList clauses;
    PortList ports;
    NameList names;
    AstBlock *block;
    Stmt *stmt;
}

%token PROGRAM EXPRESSION BAD          /* the first token says what is read; BAD was reported by the scanner */
%token ';' "`;`" ',' "`,`" ':' "`:`"
%token NETWORK "`network`" LAYER "`layer`" WEIGHTS "`weights`" CONST "`const`" LET "`let`" IF "`if`" ELSE "`else`" FOR "`for`"
%token FROM "`from`" TO "`to`" WITHIN "`within`" IN "`in`" OPTIONS "`options`" DATA "`data`" EXIT "`exit`"
%token NAME "a name" NUMBER "a number" STRING "a string" ARROW "`->`" FATARROW "`=>`"
%token EQ "`==`" NE "`!=`" LE "`<=`" GE "`>=`" AND "`&&`" OR "`||`" '<' "`<`" '>' "`>`" '!' "`!`"
%token '+' "`+`" '-' "`-`" '*' "`*`" '/' "`/`" '@' "`@`" '=' "`=`" '(' "`(`" ')' "`)`" '{' "`{`" '}' "`}`" '[' "`[`" ']' "`]`"
%token YYEOF 0 "the end of the file"

%left OR
%left AND
%nonassoc EQ NE '<' '>' LE GE
%left '+' '-'
%left '*' '/'
%precedence UNARY
%right '@'

%type <name> name label
%type <expr> expr postfix primary index argument branch
%type <exprs> exprs indices arguments arguments_ options
%type <type> type type_
%type <box> box ranges
%type <clauses> clauses
%type <ports> parameters parameters_ outputs ports
%type <names> names names_
%type <block> block statements
%type <stmt> statement

%%

start:
    PROGRAM declarations
  | EXPRESSION expr                               { p->expression = $2; }
  | EXPRESSION error                              { p->expression = ast_poison(p, @2); }
  ;

declarations:
    %empty
  | declarations declaration
  ;

declaration:
    NETWORK name '(' parameters ')' ARROW outputs options block
        { Decl *d = ast_decl(p, DECL_NETWORK, $2, @$); d->inputs = $4; d->outputs = $7; d->options = $8; d->options_span = @8; d->body = $9; ast_add_decl(p, d); }
  | NETWORK name '(' parameters ')' ARROW outputs options '=' expr ';'
        { Decl *d = ast_decl(p, DECL_NETWORK, $2, @$); d->inputs = $4; d->outputs = $7; d->options = $8; d->options_span = @8; d->body = ast_block_of(p, $10); ast_add_decl(p, d); }
  | NETWORK name FROM STRING box options ';'
        { Decl *d = ast_decl(p, DECL_IMPORT, $2, @$); d->path = ast_raw_string(p, @4); d->path_span = @4; d->box = $5; d->options = $6; d->options_span = @6; ast_add_decl(p, d); }
  | LAYER name '(' names_ ')' '=' expr ';'
        { Decl *d = ast_decl(p, DECL_LAYER, $2, @$); d->params = $4; d->body = ast_block_of(p, $7); ast_add_decl(p, d); }
  | LAYER name '(' names_ ')' block
        { Decl *d = ast_decl(p, DECL_LAYER, $2, @$); d->params = $4; d->body = $6; ast_add_decl(p, d); }
  | WEIGHTS name '=' STRING ';'
        { Decl *d = ast_decl(p, DECL_WEIGHTS, $2, @$); d->path = ast_raw_string(p, @4); d->path_span = @4; ast_add_decl(p, d); }
  | CONST name type_ '=' expr ';'
        { Decl *d = ast_decl(p, DECL_CONST, $2, @$); d->type = $3; d->value = $5; ast_add_decl(p, d); }
  | DATA name '=' STRING '{' clauses '}'
        { Decl *d = ast_decl(p, DECL_DATA, $2, @$); d->path = ast_raw_string(p, @4); d->path_span = @4; d->clauses = $6; ast_add_decl(p, d); }
  | DATA name '{' clauses '}'
        { Decl *d = ast_decl(p, DECL_DATA, $2, @$); d->clauses = $4; ast_add_decl(p, d); }
  | error ';'                                     { yyerrok; }
  | error '}'                                     { yyerrok; }
  ;

clauses:
    %empty                                        { $$ = (ClauseList){0}; }
  | clauses name ':' indices ';'                  { $$ = ast_push_clause(p, $1, $2, $4); }
  ;

names_:
    %empty                                        { $$ = (NameList){0}; }
  | names
  ;

names:
    name                                          { $$ = ast_push_name(p, (NameList){0}, $1); }
  | names ',' name                                { $$ = ast_push_name(p, $1, $3); }
  ;

/* Words that are keywords in their place only. */
name:
    NAME                                          { $$ = (Name){ast_intern(p, p->text + @1.begin, @1.end - @1.begin), @1}; }
  | FROM                                          { $$ = (Name){ast_intern(p, "from", 4), @1}; }
  | TO                                            { $$ = (Name){ast_intern(p, "to", 2), @1}; }
  | WITHIN                                        { $$ = (Name){ast_intern(p, "within", 6), @1}; }
  | IN                                            { $$ = (Name){ast_intern(p, "in", 2), @1}; }
  | OPTIONS                                       { $$ = (Name){ast_intern(p, "options", 7), @1}; }
  | DATA                                          { $$ = (Name){ast_intern(p, "data", 4), @1}; }
  ;

parameters:
    %empty                                        { $$ = (PortList){0}; }
  | parameters_
  ;

parameters_:
    name ':' type box                             { $$ = ast_push_port(p, (PortList){0}, $1, $3, $4); }
  | parameters_ ',' name ':' type box             { $$ = ast_push_port(p, $1, $3, $5, $6); }
  ;

outputs:
    type                                          { $$ = ast_push_port(p, (PortList){0}, (Name){NULL, @1}, $1, NULL); }
  | '(' ports ')'                                 { $$ = $2; }
  ;

ports:
    name ':' type                                 { $$ = ast_push_port(p, (PortList){0}, $1, $3, NULL); }
  | ports ',' name ':' type                       { $$ = ast_push_port(p, $1, $3, $5, NULL); }
  ;

box:
    %empty                                        { $$ = NULL; }
  | WITHIN '(' ranges ')'                         { $$ = $3; $$->span = @$; }
  ;

ranges:
    expr TO expr                                  { $$ = ast_box(p, NULL, $1, $3); }
  | ranges ',' expr TO expr                       { $$ = ast_box(p, $1, $3, $5); }
  ;

options:
    %empty                                        { $$ = (ExprList){0}; }
  | OPTIONS '(' arguments ')'                     { $$ = $3; }
  ;

type_:
    %empty                                        { $$ = NULL; }
  | ':' type                                      { $$ = $2; }
  ;

type:
    name                                          { $$ = ast_type(p, $1, false, (ExprList){0}, @$); }
  | name '[' exprs ']'                            { $$ = ast_type(p, $1, true, $3, @$); }
  ;

block:
    '{' statements '}'                            { $$ = ast_block(p, $2, NULL, @$); }
  | '{' statements expr '}'                       { $$ = ast_block(p, $2, $3, @$); }
  | '{' statements error '}'                      { yyerrok; $$ = ast_block(p, $2, ast_poison(p, @3), @$); }
  ;

statements:
    %empty                                        { $$ = ast_statement(p, NULL, NULL); }
  | statements statement                          { $$ = ast_statement(p, $1, $2); }
  ;

statement:
    LET name type_ '=' expr ';'                   { $$ = ast_let(p, ast_push_name(p, (NameList){0}, $2), false, $3, $5, @$); }
  | LET '(' names ')' '=' expr ';'                { $$ = ast_let(p, $3, true, NULL, $6, @$); }
  | EXIT expr IF expr ';'                         { $$ = ast_exit(p, $2, $4, @$); }
  | FOR name IN expr TO expr block                { $$ = ast_for(p, $2, $4, $6, $7, @$); }
  | expr ';'                                      { $$ = ast_unused(p, $1, @$); }
  | error ';'                                     { yyerrok; $$ = NULL; }
  ;

expr:
    postfix
  | expr '+' expr                                 { $$ = ast_binary(p, OPERATOR_add, $1, $3, @$, @2); }
  | expr '-' expr                                 { $$ = ast_binary(p, OPERATOR_sub, $1, $3, @$, @2); }
  | expr '*' expr                                 { $$ = ast_binary(p, OPERATOR_mul, $1, $3, @$, @2); }
  | expr '/' expr                                 { $$ = ast_binary(p, OPERATOR_div, $1, $3, @$, @2); }
  | expr '@' expr                                 { $$ = ast_binary(p, OPERATOR_at, $1, $3, @$, @2); }
  | expr EQ expr                                  { $$ = ast_binary(p, OPERATOR_eq, $1, $3, @$, @2); }
  | expr NE expr                                  { $$ = ast_binary(p, OPERATOR_ne, $1, $3, @$, @2); }
  | expr '<' expr                                 { $$ = ast_binary(p, OPERATOR_lt, $1, $3, @$, @2); }
  | expr LE expr                                  { $$ = ast_binary(p, OPERATOR_le, $1, $3, @$, @2); }
  | expr '>' expr                                 { $$ = ast_binary(p, OPERATOR_gt, $1, $3, @$, @2); }
  | expr GE expr                                  { $$ = ast_binary(p, OPERATOR_ge, $1, $3, @$, @2); }
  | expr AND expr                                 { $$ = ast_binary(p, OPERATOR_and, $1, $3, @$, @2); }
  | expr OR expr                                  { $$ = ast_binary(p, OPERATOR_or, $1, $3, @$, @2); }
  | '-' expr %prec UNARY                          { $$ = ast_unary(p, OPERATOR_neg, $2, @$, @1); }
  | '!' expr %prec UNARY                          { $$ = ast_unary(p, OPERATOR_not, $2, @$, @1); }
  ;

postfix:
    primary
  | postfix '(' arguments ')'                     { $$ = ast_apply(p, EXPR_CALL, $1, $3, @$); }
  | postfix '[' indices ']'                       { $$ = ast_apply(p, EXPR_INDEX, $1, $3, @$); }
  ;

primary:
    NUMBER                                        { $$ = ast_number(p, @1); }
  | STRING                                        { $$ = ast_string(p, @1); }
  | name                                          { $$ = ast_name(p, $1); }
  | '(' expr ')'                                  { $$ = $2; $$->parenthesized = true; $$->span = @$; }
  | '(' expr ',' exprs ')'                        { $$ = ast_list(p, EXPR_TUPLE, ast_prepend($2, $4), @$); }
  | '[' exprs comma ']'                           { $$ = ast_list(p, EXPR_LIST, $2, @$); }
  | '[' ']'                                       { $$ = ast_list(p, EXPR_LIST, (ExprList){0}, @$); }
  | branch
  | BAD                                           { $$ = ast_poison(p, @1); }
  ;

branch:
    IF expr block ELSE block                      { $$ = ast_if(p, $2, $3, $5, @$); }
  | IF expr block ELSE branch                     { $$ = ast_if(p, $2, $3, ast_block_of(p, $5), @$); }
  ;

comma:
    %empty
  | ','
  ;

exprs:
    expr                                          { $$ = ast_push((ExprList){0}, $1); }
  | exprs ',' expr                                { $$ = ast_push($1, $3); }
  ;

indices:
    index                                         { $$ = ast_push((ExprList){0}, $1); }
  | indices ',' index                             { $$ = ast_push($1, $3); }
  ;

index:
    expr
  | expr ':' expr                                 { $$ = ast_range(p, $1, $3, @$); }
  | expr ':'                                      { $$ = ast_range(p, $1, NULL, @$); }
  | ':' expr                                      { $$ = ast_range(p, NULL, $2, @$); }
  | ':'                                           { $$ = ast_range(p, NULL, NULL, @$); }
  ;

arguments:
    %empty                                        { $$ = (ExprList){0}; }
  | arguments_ comma
  ;

arguments_:
    argument                                      { $$ = ast_push((ExprList){0}, $1); }
  | arguments_ ',' argument                       { $$ = ast_push($1, $3); }
  ;

argument:
    expr
  | label ':' expr                                { $$ = ast_labeled(p, $1, $3, @$); }
  | expr FATARROW expr                            { $$ = ast_arrow(p, $1, $3, @$); }
  ;

label: name ;

%%

static Span join(Span a, Span b)
{
    return (Span){a.source, a.begin, b.end};
}

/* Bison calls this for one thing only: its stack is full. */
static void fe_cnet_error(const Span *span, Parse *p, const char *message)
{
    (void)message;
    ast_too_deep(p, *span);
}

/* ---- syntax errors: "expected `;` after the expression, found `let`" -------------------------------------------------- */

static bool among(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* Said only when nothing else is expected. */
static const char *const rare[] = {"`:`", "`=>`", "the end of the file", NULL};

/* What may continue an expression, what may begin one, and words that are names too: each group is said in one word. */
static const char *const continuing[] = {"`+`", "`-`", "`*`", "`/`", "`@`", "`==`", "`!=`", "`<`", "`>`", "`<=`", "`>=`", "`&&`", "`||`",
                                         "`(`", "`[`", NULL};
static const char *const beginning[] = {"a name", "a number", "a string", "`(`", "`[`", "`-`", "`!`", "`if`", "BAD", NULL};
static const char *const contextual[] = {"`from`", "`to`", "`within`", "`in`", "`options`", "`data`", NULL};

/* Splits what is expected into a list to be read out; says whether an expression stands before. */
static void read_out(Parse *p, const yypcontext_t *context, Text *out, bool *after_expression)
{
    yysymbol_kind_t kind[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
    const char *name[YYNTOKENS + 1];
    size_t names = 0;
    bool begins = false, takes_name = false, closes = false;
    *after_expression = false;
    for (int i = 0; i < n; i++) {
        const char *word = yysymbol_name(kind[i]);
        begins |= kind[i] == YYSYMBOL_NUMBER;
        takes_name |= kind[i] == YYSYMBOL_NAME;
        closes |= strcmp(word, "`)`") == 0 || strcmp(word, "`]`") == 0 || kind[i] == YYSYMBOL_NETWORK;
        *after_expression |= strcmp(word, "`+`") == 0;
    }
    for (int i = 0; i < n; i++) {
        const char *word = yysymbol_name(kind[i]);
        if ((begins && among(word, beginning)) || (takes_name && among(word, contextual)) ||
            (*after_expression && among(word, continuing)) || (closes && among(word, rare)))
            continue;
        name[names++] = word;
    }
    if (begins)
        name[names++] = "an expression";
    for (size_t i = 0; i < names; i++)
        text_add(out, "%s%s", i == 0 ? "" : i + 1 == names ? " or " : ", ", name[i]);
    (void)p;
}

static const char *what_was_found(Parse *p, yysymbol_kind_t kind, Span span)
{
    if (kind == YYSYMBOL_YYEOF)
        return p->expression_only ? "the end of the `{…}`" : "the end of the file";
    if (kind == YYSYMBOL_STRING)
        return "a string";
    if (kind == YYSYMBOL_NAME || kind == YYSYMBOL_NUMBER)
        return str_printf(p->arena, "`%.*s`", (int)(span.end - span.begin), p->text + span.begin);
    if (kind >= YYSYMBOL_NETWORK && kind <= YYSYMBOL_FOR)
        return str_printf(p->arena, "the keyword %s", yysymbol_name(kind));
    return yysymbol_name(kind);
}

/* What a person who wrote this may have meant. */
static void hint(Parse *p, Span span, const char *found, const char *expected, bool after_expression)
{
    if (after_expression && strcmp(found, "`=`") == 0)
        diag_note(p->diags, span, "`==` compares");
    else if (strcmp(expected, "`else`") == 0)
        diag_note(p->diags, span, "an `if` is an expression, so it has a value either way: `if c { a } else { b }`");
}

static int yyreport_syntax_error(const yypcontext_t *context, Parse *p)
{
    yysymbol_kind_t found = yypcontext_token(context);
    Span span = *yypcontext_location(context);
    p->reported = true;
    if (found == YYSYMBOL_BAD)
        return 0;
    Text expected = text_new(p->arena);
    bool after_expression;
    read_out(p, context, &expected, &after_expression);
    const char *what = what_was_found(p, found, span);
    /* What is missing at the end of a line is shown there, not where the next line begins. */
    bool next_line = p->last.end < span.begin && memchr(p->text + p->last.end, '\n', span.begin - p->last.end);
    if (next_line)
        span = (Span){p->source, p->last.end, p->last.end};
    diag_error(p->diags, span, "expected %s%s, found %s", expected.at, after_expression ? " after the expression" : "", what);
    hint(p, span, what, expected.at, after_expression);
    if (found == YYSYMBOL_YYEOF && p->open.len && !p->expression_only) {
        Span open = p->open.at[p->open.len - 1];
        diag_note(p->diags, open, "this `%c` is not closed", p->text[open.begin]);
    }
    return 0;
}

/* ---- feeding the parser ------------------------------------------------------------------------------------------------- */

static void release_parser(void *state)
{
    fe_cnet_pstate_delete(state);
}

/* `exit` is a keyword where a statement begins, unless an operator that needs a left side follows. */
static bool begins_exit(const Parse *p, Span span)
{
    bool statement = p->last_token == '{' || p->last_token == ';' || p->last_token == '}';
    if (!statement || span.end - span.begin != 4 || memcmp(p->text + span.begin, "exit", 4) != 0)
        return false;
    size_t next = span.end;
    while (next < p->end && strchr(" \t\r\n", p->text[next]))
        next++;
    return next == p->end || !strchr("+*/@<>=!&|,:)}]", p->text[next]);
}

static void track_brackets(Parse *p, int token, Span span)
{
    if (token == '(' || token == '[' || token == '{')
        vec_push(p->arena, p->open, span);
    else if ((token == ')' || token == ']' || token == '}') && p->open.len)
        p->open.len--;
}

/* ---- recovery: where the parser goes on after a mistake ------------------------------------------------------------------ */

/* Tokens are skipped up to the `;` or `}` that ends what the mistake is in; a block opened meanwhile is skipped whole. A word
 * that begins a declaration ends whatever is open, since it stands nowhere else. */
typedef struct Recovery { bool on; uint32_t nested, blocks; } Recovery;

static bool begins_declaration(int token)
{
    return token == T_NETWORK || token == T_LAYER || token == T_WEIGHTS || token == T_CONST;
}

/* Forgets brackets inside the innermost block; returns how many blocks are open. */
static uint32_t close_brackets(Parse *p)
{
    uint32_t blocks = 0;
    while (p->open.len && p->text[p->open.at[p->open.len - 1].begin] != '{')
        p->open.len--;
    for (size_t i = 0; i < p->open.len; i++)
        blocks += p->text[p->open.at[i].begin] == '{';
    return blocks;
}

/* Whether the parser need not see this token. */
static bool skips(Recovery *r, int token)
{
    if (token == 0)
        return false;
    if (token == '{') {
        r->nested++;
        return true;
    }
    if (token == '}' && r->nested > 0)
        return --r->nested > 0 || r->blocks > 0;
    return r->nested > 0 || (token != ';' && token != '}' && !(begins_declaration(token) && r->blocks <= 1));
}

typedef struct Feed { fe_cnet_pstate *state; int status; } Feed;

static void push(Feed *feed, Parse *p, int token, Span span)
{
    p->reported = false;
    feed->status = fe_cnet_push_parse(feed->state, token, NULL, &span, p);
    track_brackets(p, token, span);
    p->last = span;
    p->last_token = token;
}

static void feed_token(Feed *feed, Parse *p, Recovery *r, int token, Span span)
{
    if (r->on && skips(r, token))
        return;
    bool was_on = r->on;
    r->on = false;
    if (!was_on || !begins_declaration(token)) {
        push(feed, p, token, span);
        if (!p->reported)
            return;
        if (token == '{' && p->open.len)
            p->open.len--;
        *r = (Recovery){token != ';' && token != '}', token == '{', close_brackets(p)};
    }
    if (begins_declaration(token) && r->blocks <= 1 && feed->status == YYPUSH_MORE) {
        push(feed, p, r->blocks ? '}' : ';', span);
        r->on = false;
        if (feed->status == YYPUSH_MORE)
            push(feed, p, token, span);
    }
}

static bool parse(Parse *p, int first)
{
    Feed feed = {.state = fe_cnet_pstate_new()};
    if (!feed.state)
        arena_exhausted(p->arena);
    arena_defer(p->arena, release_parser, feed.state);
    size_t errors = diag_errors(p->diags);
    Lexer *lexer = fe_lexer_new(p);
    Recovery recovery = {0};
    Span span = {p->source, (uint32_t)p->at, (uint32_t)p->at};
    push(&feed, p, first, span);
    while (feed.status == YYPUSH_MORE) {
        int token = fe_lexer_next(lexer, &span);
        if (token == T_NAME && begins_exit(p, span))
            token = T_EXIT;
        feed_token(&feed, p, &recovery, token, span);
    }
    return feed.status == 0 && diag_errors(p->diags) == errors;
}

bool ast_parse(Parse *p)
{
    return parse(p, T_PROGRAM);
}

Expr *ast_parse_expression(Parse *p, size_t begin, size_t end)
{
    Parse inner = *p;
    inner.at = begin;
    inner.end = end;
    inner.expression = NULL;
    inner.expression_only = true;
    inner.open.at = NULL;
    inner.open.len = inner.open.cap = 0;
    bool good = parse(&inner, T_EXPRESSION);
    p->deep = inner.deep;
    return good && inner.expression ? inner.expression : ast_poison(p, (Span){p->source, (uint32_t)begin, (uint32_t)end});
}
