/* read.h — the reader's state, shared by its files. Internal to ir/read*.c.
 *
 * Parse functions return false when they have reported what is wrong; the nearest loop over lines then skips to the next
 * line (read_recover), so one text gives all its errors. What a broken line would have defined is known as broken, and
 * whoever uses it is broken too, in silence.
 */
#ifndef CNET_IR_READ_H
#define CNET_IR_READ_H

#include "text.h"

typedef struct Scope {
    struct Scope *outer;
    bool open;
    uint32_t depth;
} Scope;

/* A value by its name in the text. */
typedef struct Local {
    Value value;               /* 0: broken */
    const Scope *scope;        /* NULL: broken everywhere */
    Span span;
} Local;

/* Numbers in Reader.networks: what a name stands for. */
enum { NETWORK_BROKEN = 0, NETWORK_CURRENT = UINT32_MAX };   /* else its index + 1 */

typedef struct Reader {
    Arena *arena;              /* the module's */
    Arena *scratch;            /* freed at the end */
    Diags *diags;
    Lexer lex;
    Token token;               /* the next one */
    uint32_t last_end;         /* where the token before it ended */
    bool abandoned;            /* gave up; the rest is not read */
    void *locale;
    Module *m;
    Names consts, networks;    /* ConstId (0: broken); see above */
    const char *directory;     /* where the side file is looked for; NULL: nowhere */
    Bytes side;
    bool has_side, said_missing;
    /* the network being read */
    Network *net;
    Names names;
    Vec(Local) locals;
    Scope *scope;
    Site greatest_site;
} Reader;

/* ---- read_token.c ---- */

#define READ_FAIL(r, span, ...) (diag_error((r)->diags, (span), __VA_ARGS__), false)

void read_next(Reader *r);
bool read_at(const Reader *r, char punct);
bool read_at_word(const Reader *r, const char *word);
bool read_accept(Reader *r, char punct);
bool read_accept_word(Reader *r, const char *word);
/* `where`: completes "expected `:` …", e.g. "after the name of the constant". */
bool read_expect(Reader *r, char punct, const char *where);
bool read_expect_word(Reader *r, const char *word, const char *where);
/* Reports that `wanted` was expected here; false. */
bool read_unexpected(Reader *r, const char *wanted);
Span read_span(const Reader *r, Token token);
/* From `begin` to the end of the last token taken. */
Span read_since(const Reader *r, uint32_t begin);
/* ", did you mean `name`?" or "". */
const char *read_hint(Reader *r, const char *name, const char *const *candidates, size_t n);
const char *read_names_hint(Reader *r, const char *name, const char *sigil, const Names *among);
bool read_u64(Reader *r, const char *what, uint64_t most, uint64_t *out);
bool read_i64(Reader *r, const char *what, int64_t *out);
/* One of `words`; reports with a suggestion otherwise. */
bool read_word_of(Reader *r, const char *what, const char *const *words, size_t n, uint32_t *out);
bool read_type(Reader *r, Type *out);
/* Skips to the next line outside of the braces that are opened meanwhile, or to a `}` that closes the block. */
void read_recover(Reader *r, uint32_t statement_begin);
void read_recover_top(Reader *r, uint32_t begin);
/* Skips what is left of a region and its `}`; false when there is none. */
bool read_skip_region(Reader *r, Span open);
void read_abandon(Reader *r);
/* Complaints of the verifier as diagnostics. */
Complaints read_complaints(Reader *r);

/* ---- read_const.c ---- */

bool read_const(Reader *r);
bool read_side_file(Reader *r);
/* @name of a constant known above; false with *broken when that is its line's fault, reported before. */
bool read_const_name(Reader *r, ConstId *out, bool *broken);

/* ---- read_op.c ---- */

/* The ops of a block behind its `{` and arguments, and the `}`. `open`: the brace. False when the block is not closed;
 * *good becomes false when anything was reported. */
bool read_block(Reader *r, Block *block, Span open, bool *good);
/* ---- read_value.c ---- */

Scope *read_enter(Reader *r);
void read_leave(Reader *r);
/* Enters a name for a value. */
bool read_define(Reader *r, Token name, Value value);
/* Enters a name for what its line failed to define. */
void read_define_broken(Reader *r, Token name);
/* The value of the next token, which must be one; 0 when there is none to be used, which has been reported. */
bool read_value(Reader *r, Value *out);

#endif
