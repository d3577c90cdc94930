/* ast.h — a .cnet file as a tree, and the parser's state. Private to the frontend.
 *
 *     text ──lexer.l──> tokens ──parser.y──> Program ──lower*.c──> Module
 *
 * Nodes live on the caller's arena and are never changed after they were built, but for `used` marks. Names are interned:
 * two equal names are one Symbol, so looking one up is reading a field. Every node knows its span; EXPR_POISON stands for
 * what was already reported, and later phases pass it on in silence.
 */
#ifndef CNET_AST_H
#define CNET_AST_H

#include "../support/support.h"

/* How deep expressions, blocks and brackets may nest: beyond what people write, far below what the stack holds. */
enum { AST_MAX_DEPTH = 500, AST_PARSER_STACK = 4000 };

struct Binding;
typedef struct Decl Decl;

typedef struct Symbol {
    const char *text;
    uint64_t hash;
    struct Binding *local;        /* innermost local meaning, maintained while lowering */
    Decl *decl;                   /* the network, layer, weights, const or data of this name */
    struct Symbol *next;          /* in its bucket */
} Symbol;

typedef struct Name { Symbol *symbol; Span span; } Name;

/* A number before it meets its type: rounded once, then. Integers are exact; a real keeps its text. */
typedef enum LitKind { LIT_INT, LIT_BIG, LIT_REAL, LIT_TRUTH, LIT_OP } LitKind;
typedef struct Lit {
    LitKind kind;
    char op;                      /* LIT_OP: + - * / of a and b, done in the type that is met */
    bool negative;                /* LIT_BIG, LIT_REAL */
    int64_t i;                    /* LIT_INT; LIT_TRUTH: 0 or 1 */
    const char *text;             /* LIT_BIG: decimal digits; LIT_REAL: decimal or hexadecimal floating point */
    const struct Lit *a, *b;
    Span span;
} Lit;

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct TypeExpr TypeExpr;

typedef struct ExprList { Expr *first, *last; size_t n; } ExprList;    /* linked by Expr.next */

typedef struct AstBlock {
    Stmt *first, *last;
    Expr *value;                  /* the last expression; NULL: none */
    Span span, end;               /* end: the closing brace */
    uint32_t depth;
} AstBlock;

typedef enum ExprKind {
    EXPR_POISON, EXPR_NUMBER, EXPR_STRING, EXPR_NAME,
    EXPR_LIST,                    /* [a, b, …] */
    EXPR_TUPLE,                   /* (a, b, …), two or more */
    EXPR_UNARY, EXPR_BINARY,
    EXPR_CALL, EXPR_INDEX,
    EXPR_RANGE,                   /* a:b inside an index; either end may be missing */
    EXPR_LABELED,                 /* name: value, an argument */
    EXPR_ARROW,                   /* expert(i) => value, an argument */
    EXPR_IF
} ExprKind;

typedef enum Operator {           /* in the order of operator_text's table (ast.c) */
    OPERATOR_at, OPERATOR_add, OPERATOR_sub, OPERATOR_mul, OPERATOR_div,
    OPERATOR_eq, OPERATOR_ne, OPERATOR_lt, OPERATOR_le, OPERATOR_gt, OPERATOR_ge,
    OPERATOR_and, OPERATOR_or, OPERATOR_not, OPERATOR_neg
} Operator;
const char *fe_operator_text(Operator op);

struct Expr {
    ExprKind kind;
    Operator op;
    Span span;
    uint32_t depth;
    bool parenthesized;
    Expr *next;                   /* in the list that holds it */
    union {
        Lit lit;                                         /* NUMBER */
        struct { const char *text; ExprList parts; } str;/* STRING: parts, when it interpolates, alternate with … */
        Symbol *symbol;                                  /* NAME */
        ExprList list;                                   /* LIST, TUPLE */
        struct { Expr *a, *b; Span op; } bin;            /* UNARY (a), BINARY, RANGE */
        struct { Expr *of; ExprList args; } call;        /* CALL, INDEX */
        struct { Symbol *label; Expr *value; } labeled;
        struct { Expr *head, *value; } arrow;
        struct { Expr *condition; AstBlock *then, *other; } branch;
    };
};

struct TypeExpr {
    Name element;
    bool has_dims;
    ExprList dims;
    Span span;
};

typedef struct NameList { struct NameNode *first, *last; size_t n; } NameList;
typedef struct NameNode { Name name; bool used; struct NameNode *next; } NameNode;

typedef enum StmtKind { STMT_LET, STMT_EXIT, STMT_FOR, STMT_UNUSED } StmtKind;
struct Stmt {
    StmtKind kind;
    Span span;
    uint32_t depth;
    Stmt *next;
    NameList names;               /* LET: one, or a tuple's; FOR: its index */
    bool is_tuple, reached;
    TypeExpr *type;               /* LET: or NULL */
    Expr *value;                  /* LET, EXIT, UNUSED; FOR: the first index */
    Expr *condition;              /* EXIT; FOR: the last index */
    AstBlock *body;               /* FOR */
};

/* input: a, b;   a line of a table of data: columns of its file, or files. */
typedef struct ClauseExpr { Name name; ExprList columns; struct ClauseExpr *next; } ClauseExpr;
typedef struct ClauseList { ClauseExpr *first, *last; } ClauseList;

typedef struct BoxExpr { ExprList lo, hi; Span span; } BoxExpr;         /* pairwise */

typedef struct PortExpr {
    Name name;                    /* no symbol: the one unnamed output */
    TypeExpr *type;
    BoxExpr *box;                 /* inputs; or NULL */
    struct PortExpr *next;
} PortExpr;
typedef struct PortList { PortExpr *first, *last; size_t n; } PortList;

typedef enum DeclKind { DECL_NETWORK, DECL_IMPORT, DECL_LAYER, DECL_WEIGHTS, DECL_CONST, DECL_DATA } DeclKind;
typedef enum DeclState { DECL_UNSEEN, DECL_ACTIVE, DECL_DONE } DeclState;

struct Decl {
    DeclKind kind;
    Name name;
    Span span;
    bool used;
    PortList inputs, outputs;     /* NETWORK */
    BoxExpr *box;                 /* IMPORT: or NULL */
    ExprList options;             /* NETWORK, IMPORT */
    Span options_span;
    NameList params;              /* LAYER */
    ClauseList clauses;           /* DATA */
    const char *path;             /* IMPORT, WEIGHTS, DATA; NULL: the clauses of a DATA name files */
    Span path_span;
    TypeExpr *type;               /* CONST: or NULL */
    Expr *value;                  /* CONST, LAYER, NETWORK: after `=`, or NULL */
    AstBlock *body;               /* NETWORK, LAYER */
    struct Decl *next;

    /* while lowering */
    DeclState state;
    const void *result;           /* what it stands for: Network *, Val *, WeightsFile *, DataSource * */
};

typedef struct Program { Decl *first, *last; } Program;

/* ---- the parser's state and ast.c, its constructors: one call an action ------------------------------------------------ */

typedef struct SymbolTable { Symbol **bucket; size_t buckets, n; } SymbolTable;

typedef struct Parse {
    Arena *arena;
    Diags *diags;
    uint32_t source;
    const char *text;             /* the whole source; positions are bytes of it */
    size_t at, end;               /* the part that is being read */
    SymbolTable *symbols;         /* empty at first */
    Program *program;
    Expr *expression;             /* the result when one expression is read */
    Vec(Span) open;               /* brackets not yet closed */
    Span last;                    /* the token before the one being parsed */
    int last_token;
    bool expression_only;         /* reading the inside of a string's {…} */
    bool reported;                /* the last token was an error */
    bool deep;                    /* nesting too deep was reported */
} Parse;

Symbol *ast_intern(Parse *p, const char *text, size_t len);
bool fe_name_is(Name name, const char *text);

/* Reads a whole file into p->program; false when something was reported. */
bool ast_parse(Parse *p);
/* Reads bytes [begin, end) as one expression; poison when something was reported. */
Expr *ast_parse_expression(Parse *p, size_t begin, size_t end);

Expr *ast_poison(Parse *p, Span span);
Expr *ast_number(Parse *p, Span span);                     /* the number's text is the span's */
Expr *ast_string(Parse *p, Span span);                     /* with its interpolations */
const char *ast_raw_string(Parse *p, Span span);           /* without: a path */
Expr *ast_name(Parse *p, Name name);
Expr *ast_list(Parse *p, ExprKind kind, ExprList items, Span span);
Expr *ast_unary(Parse *p, Operator op, Expr *a, Span span, Span op_span);
Expr *ast_binary(Parse *p, Operator op, Expr *a, Expr *b, Span span, Span op_span);
Expr *ast_apply(Parse *p, ExprKind kind, Expr *of, ExprList args, Span span);
Expr *ast_range(Parse *p, Expr *from, Expr *to, Span span);
Expr *ast_labeled(Parse *p, Name label, Expr *value, Span span);
Expr *ast_arrow(Parse *p, Expr *head, Expr *value, Span span);
Expr *ast_if(Parse *p, Expr *condition, AstBlock *then, AstBlock *other, Span span);
ExprList ast_push(ExprList list, Expr *item);
ExprList ast_prepend(Expr *item, ExprList list);
void ast_too_deep(Parse *p, Span span);                    /* reports it, once */

AstBlock *ast_block(Parse *p, AstBlock *statements, Expr *value, Span span);
AstBlock *ast_block_of(Parse *p, Expr *value);             /* a block that is one expression */
AstBlock *ast_statement(Parse *p, AstBlock *block, Stmt *stmt);    /* block NULL: a new one */
Stmt *ast_let(Parse *p, NameList names, bool is_tuple, TypeExpr *type, Expr *value, Span span);
Stmt *ast_exit(Parse *p, Expr *value, Expr *condition, Span span);
Stmt *ast_for(Parse *p, Name index, Expr *first, Expr *last, AstBlock *body, Span span);
Stmt *ast_unused(Parse *p, Expr *value, Span span);

ClauseList ast_push_clause(Parse *p, ClauseList list, Name name, ExprList columns);
NameList ast_push_name(Parse *p, NameList list, Name name);
PortList ast_push_port(Parse *p, PortList list, Name name, TypeExpr *type, BoxExpr *box);
TypeExpr *ast_type(Parse *p, Name element, bool has_dims, ExprList dims, Span span);
BoxExpr *ast_box(Parse *p, BoxExpr *box, Expr *lo, Expr *hi);      /* box NULL: a new one */
Decl *ast_decl(Parse *p, DeclKind kind, Name name, Span span);
void ast_add_decl(Parse *p, Decl *decl);

/* ---- lexer.l ---------------------------------------------------------------------------------------------------------- */

/* The next token of p's text (yytoken_kind_t), its span in *span; 0 at the end. Bad characters are reported and skipped. */
typedef struct Lexer Lexer;
Lexer *fe_lexer_new(Parse *p);
int fe_lexer_next(Lexer *lexer, Span *span);

#endif
