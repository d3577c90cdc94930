/* lower.h — from the tree to the IR: checking and building in one walk. Private to the language (lower*.c, cnet.c).
 *
 * Layers are inlined and generic in their shapes, so there is nothing to check before shapes are known: each expression is
 * evaluated bottom-up to a Val, which is a number not yet typed, a constant, a value of the running network, or a thing
 * of compile time (string, weights file, tuple). Whoever meets VAL_POISON passes it on in silence.
 */
#ifndef CNET_LOWER_H
#define CNET_LOWER_H

#include "ast.h"
#include "frontend.h"

#include <locale.h>

/* Guards against programs that are small but mean something huge: nodes evaluated (inlining and loops multiply them),
 * recursion, elements of one tensor, bytes of constants made here. */
enum { LOWER_MAX_STEPS = 2000000, LOWER_MAX_DEPTH = 1200, LOWER_MAX_LIT_SIZE = 1000, LOWER_MAX_BOX = 1 << 24 };
#define LOWER_MAX_ELEMENTS ((uint64_t)INT32_MAX)
#define LOWER_MAX_MADE ((uint64_t)1 << 30)

typedef struct WeightsFile {
    TensorFile file;
    const char *path;             /* as the user wrote it */
    ConstId *cst;                 /* of each tensor, 0 = not used yet */
    Span span;
} WeightsFile;

typedef enum ValKind { VAL_POISON, VAL_LIT, VAL_CONST, VAL_VALUE, VAL_STRING, VAL_FILE, VAL_TUPLE } ValKind;

typedef struct Val Val;
struct Val {
    ValKind kind;
    Type type;                    /* CONST, VALUE; LIT: its dims, with ELEM_NONE */
    ConstId cst;
    Value value;
    const Lit **lit;              /* LIT: its elements, row-major */
    const char *text;             /* STRING */
    WeightsFile *file;            /* FILE; CONST: the file it is from, or NULL */
    const Val **item;             /* TUPLE */
    uint32_t n;
    const char *label;            /* what messages call it: a variable's or tensor's name; NULL: nothing better than "this" */
    Span span;                    /* where the label was given */
};

typedef struct Binding {
    Symbol *symbol;
    const Val *val;
    bool *used;                   /* mark of the name's node */
    uint32_t frame, scope;
    struct Binding *hidden;       /* the symbol's meaning before */
    struct Binding *older;        /* the binding made before this one */
} Binding;

/* The layer being inlined, for notes. */
typedef struct Use { const Decl *layer; Span call; const struct Use *outer; } Use;

typedef struct Lowering {
    Arena *arena;
    Diags *diags;
    Module *m;
    Parse *parse;
    const LoadOptions *options;
    FileList *depends;
    const char *path;             /* of the .cnet file: what it names lies beside it */
    Vec(Stmt *) lets;             /* reached, for warnings */
    locale_t locale;              /* "C": numbers read the same wherever the library runs */

    /* where we are */
    Network *net;                 /* NULL: compile time only (const) */
    const Decl *decl;             /* the network being built */
    Builder b;
    uint32_t frame, last_frame, scope;
    Binding *bindings;
    const Use *use;
    const Expr *typed;            /* the value of a `let` with a type, and that type */
    Type typed_as;
    uint32_t depth;
    uint32_t regions;             /* ifs around us that are decided when the network runs */

    uint64_t steps, made;
    bool exhausted;
} Lowering;

/* ---- lower.c: scopes, statements, messages ----------------------------------------------------------------------------- */

/* Reports, with notes on the layers being inlined; returns poison. */
const Val *fe_fail(Lowering *l, Span span, const char *format, ...) PRINTF_LIKE(3, 4);
/* Adds "`h` is defined here: f32[10]", when that is known. */
void fe_note_definition(Lowering *l, const Val *v);
/* "`h`", or `otherwise` when it has no name. */
const char *fe_val_name(Lowering *l, const Val *v, const char *otherwise);
/* "f32[10]", "number[2]", "a string". */
const char *fe_val_type(Lowering *l, const Val *v);
const Val *fe_val_poison(Lowering *l);
const Val *fe_val_const(Lowering *l, ConstId c);
const Val *fe_val_value(Lowering *l, Value v);
bool fe_is_poison(const Val *v);
bool fe_is_tensor(const Val *v);                     /* CONST or VALUE */
bool fe_is_scalar_lit(const Val *v, LitKind kind);

void fe_bind(Lowering *l, Name name, const Val *val, bool *used);
const Val *fe_lookup_local(Lowering *l, Symbol *symbol);
Binding *fe_scope_enter(Lowering *l);
void fe_scope_leave(Lowering *l, Binding *mark);
/* A block in a scope of its own; `what` it is the body of, for messages. */
const Val *fe_eval_block(Lowering *l, const AstBlock *block, const char *what);

/* Makes an op after checking it; 0 when something was reported. */
Op *fe_emit(Lowering *l, Span span, const OpInit *init);
Value fe_emit_value(Lowering *l, Span span, const OpInit *init);
/* An op of one operand; `hint` where its result type must be given. x = 0 is passed on as poison. */
const Val *fe_emit_unary(Lowering *l, Span span, OpKind kind, Value x, const Type *hint);

/* ---- lower_expr.c -------------------------------------------------------------------------------------------------------- */

const Val *fe_eval(Lowering *l, const Expr *e);
/* Counts a step of unrolling; false when there have been too many (reported once). */
bool fe_step(Lowering *l, Span span);
/* As a value of the running network; 0 when something was reported. */
Value fe_to_value(Lowering *l, const Val *v, Span span);
/* As a constant or value of exactly this type; `what` begins the message: "output `y`". */
const Val *fe_coerce(Lowering *l, const Val *v, Type want, Span span, const char *what);
/* A compile-time integer; false when something was reported. */
bool fe_eval_int(Lowering *l, const Expr *e, const char *what, int64_t *out);
bool fe_eval_type(Lowering *l, const TypeExpr *t, Type *out);

/* ---- lower_lit.c ---------------------------------------------------------------------------------------------------------- */

bool fe_element_named(const char *name, Type *out);
const Val *fe_lit_scalar(Lowering *l, int64_t i, LitKind kind, Span span);
const Val *fe_lit_tensor(Lowering *l, uint32_t rank, const uint32_t *dim, const Lit **lit);
const Val *fe_lit_unary(Lowering *l, const Expr *e, const Val *a);
const Val *fe_lit_binary(Lowering *l, const Expr *e, const Val *a, const Val *b);
/* Each number rounded once to the element type; poison when one does not fit. */
const Val *fe_lit_to_const(Lowering *l, const Val *v, Type element, const char *name);
/* One number into type_element_bytes(element) bytes. */
bool fe_lit_store(Lowering *l, const Lit *lit, Type element, uint8_t *out);
/* A constant converted to another element type at compile time; NULL when it must be an op. */
const Val *fe_const_cast(Lowering *l, const Val *v, Type element);
/* The budget for what is made here, and room for a constant or for literals; false or NULL when it is spent (reported). */
bool fe_spend(Lowering *l, uint64_t bytes, Span span);
const Lit **fe_lit_room(Lowering *l, uint64_t n, Span span);
void *fe_made_bytes(Lowering *l, Type type, Span span);

/* ---- lower_ops.c ---------------------------------------------------------------------------------------------------------- */

const Val *fe_eval_unary(Lowering *l, const Expr *e);
const Val *fe_eval_binary(Lowering *l, const Expr *e);
/* a and b as tensors of one element type, numbers taking the other's; false when something was reported. */
bool fe_unify(Lowering *l, const Val **a, const Val **b, Span span, const char *what);
const Val *fe_elementwise(Lowering *l, OpKind kind, const Val *a, const Val *b, Span span, const char *what, int64_t attr);

/* ---- lower_shape.c -------------------------------------------------------------------------------------------------------- */

typedef struct Call {
    const Expr *expr;
    const char *name;
    uint32_t n;
    const Val **arg;              /* positional */
    const Expr **arg_expr;
    const Expr *axis;             /* the labelled argument `axis`, or NULL */
} Call;

const Val *fe_eval_index(Lowering *l, const Expr *e);
const Val *fe_call_concat(Lowering *l, const Call *c);
const Val *fe_call_transpose(Lowering *l, const Call *c);
const Val *fe_call_reshape(Lowering *l, const Call *c);
const Val *fe_call_size(Lowering *l, const Call *c);
const Val *fe_call_shape(Lowering *l, const Call *c);
/* The elements under other dims of the same number. */
const Val *fe_reshaped(Lowering *l, const Val *v, uint32_t rank, const uint32_t *dim, Span span);
const Val *fe_concatenated(Lowering *l, uint32_t n, const Val **item, uint32_t axis, Span span);
const Val *fe_transposed(Lowering *l, const Val *v, const uint32_t *perm, Span span);

/* ---- lower_call.c --------------------------------------------------------------------------------------------------------- */

const Val *fe_eval_call(Lowering *l, const Expr *e);
/* Says that `name` is unknown, with a suggestion. */
const Val *fe_fail_unknown(Lowering *l, Span span, const char *name, bool called);

/* ---- lower_data.c --------------------------------------------------------------------------------------------------------- */

/* memorize(table, x, method: …): a table of data as an op. */
const Val *fe_call_memorize(Lowering *l, const Expr *e);
/* Checks what a table says; its files are opened when it is used. */
void fe_check_data(Lowering *l, Decl *d);

/* ---- lower_net.c ---------------------------------------------------------------------------------------------------------- */

/* Declarations are lowered when first needed, so that callees come before callers. */
/* A path in a program is relative to the program; NULL when it may open none (reported). */
const char *fe_find_file(Lowering *l, const char *path, Span span);
Network *fe_network_of(Lowering *l, Decl *d, Span use);
const Val *fe_const_of(Lowering *l, Decl *d, Span use);
const Val *fe_weights_of(Lowering *l, Decl *d);
/* The values of outputs, ready to return; false when something was reported. */
bool fe_coerce_outputs(Lowering *l, const Val *v, Span span, Value *out);
void fe_lower_program(Lowering *l, Program *program);

#endif
