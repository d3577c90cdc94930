/* text.h — what the printer, the reader and the verifier share: limits, names, the words of attributes, tokens, elements.
 *
 * Internal to ir/: everybody else includes ir.h. Grouped by the file that owns each function.
 */
#ifndef CNET_IR_TEXT_H
#define CNET_IR_TEXT_H

#include "ir.h"

enum {
    TEXT_INLINE = 16,       /* constants of at most so many elements (or tree nodes) are written in the text itself */
    TEXT_NESTING = 256,     /* regions within regions; the verifier's limit too, so that what is valid can be read back */
    TEXT_PORTS = 1024,      /* inputs of a network, and outputs; likewise */
    TEXT_ALIGN = 64         /* every constant of the side file starts at a multiple of this */
};
/* The first bytes of a side file, filled up with zeros to TEXT_ALIGN. */
#define TEXT_MAGIC "cnet constants 1\n"

/* ---- words.c: names and words --------------------------------------------------------------------------------- */

/* A map from names to numbers. {.arena = a} is an empty one. */
typedef struct NameSlot { const char *name; uint32_t number; } NameSlot;
typedef struct Names { Arena *arena; NameSlot *slot; size_t len, cap; } Names;
/* The number of `name`; NULL when it has none. Valid until the next names_put. */
uint32_t *names_find(const Names *names, const char *name);
/* Likewise; a new name is entered (not copied) with number 0 and *is_new set. */
uint32_t *names_put(Names *names, const char *name, bool *is_new);
/* `wanted`, or wanted.2, wanted.3 … when it has been handed out; linear over many calls. */
const char *names_unique(Names *names, const char *wanted);

/* Letters, digits, `_` and `.`, not starting with a digit or a dot: written without quotes. */
bool name_is_plain(const char *name);
/* The name as the text form spells it: plain, or quoted with \" \\ and \xHH. */
const char *name_quoted(Arena *arena, const char *name);
const char *name_in_quotes(Arena *arena, const char *name);

/* The words of an attribute kind (`cmp`: eq, ne, …), by number; NULL and *n = 0 for kinds without words. */
const char *const *attr_words(AttrKind kind, size_t *n);
extern const char *const LOWER_WORDS[10], *const NUMERICS_WORDS[2], *const CONTRACT_WORDS[2], *const OUTSIDE_WORDS[4];
bool chains_are_valid(int64_t chains);   /* 0, or a power of two up to IR_MAX_CHAINS */

/* ---- element.c: one element of a constant as text ---------------------------------------------------------------- */

/* Floats in hexadecimal (nan, inf, -0x0p+0; a NaN with another payload as nan(0xBITS)), integers up to i64 and indices in
 * decimal, wider integers as 0x and all their digits: the bytes survive. */
void element_print(FILE *out, Type type, const uint8_t *at);
void float_print(FILE *out, double value);
/* The least text an element can be: bounds what a text may ask for before it is read. */
uint64_t element_least_text(Type type);
/* Parses [s, s + n) into the memory form at `at`. `locale`: the C locale. On failure says in `why` what it should be. */
bool element_parse(Arena *arena, void *locale, Type type, const char *s, size_t n, uint8_t *at, const char **why);
/* Whether the bytes are a memory form: unused bits extend the sign (i1: 0 or 1), an index is below its n. */
bool element_is_canonical(Type type, const uint8_t *at);
/* Whether every pattern of bytes is one, so that nothing needs to be looked at. */
bool element_is_always_canonical(Type type);

/* ---- lex.c: tokens -------------------------------------------------------------------------------------------- */

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD,      /* affine  f32  W.1 */
    TOKEN_VALUE,     /* %x  %12  %"odd name" */
    TOKEN_GLOBAL,    /* @W  @"odd name" */
    TOKEN_NUMBER,    /* 12  -0x1.8p+3  1e-5  -inf */
    TOKEN_STRING,    /* "acas.cnir.data" */
    TOKEN_MARK,      /* !site */
    TOKEN_ARROW,     /* -> */
    TOKEN_PUNCT,     /* one of ( ) [ ] { } , : = | > ? ~ */
    TOKEN_BAD        /* reported already */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    char punct;
    bool starts_line;          /* first on its line: where the reader goes on after an error */
    uint32_t begin, end;
} Token;

typedef struct Lexer {
    const char *text;
    uint32_t len, at, source;
    Diags *diags;
    bool at_line_start;
} Lexer;

Token lex_next(Lexer *lexer);
/* The name in a VALUE, GLOBAL, STRING, WORD or MARK token, unquoted, on `arena`. */
char *lex_name(const Lexer *lexer, Token token, Arena *arena);
bool lex_is_quoted(const Lexer *lexer, Token token);

/* ---- print.c --------------------------------------------------------------------------------------------------- */

/* The printed name of every value, with its %, indexed by Value. */
const char **print_value_names(Arena *arena, const Network *net);
/* One op as printed, without its regions: for messages. */
char *print_op_line(Arena *arena, const Network *net, const Op *op);

/* ---- print_const.c ------------------------------------------------------------------------------------------------ */

/* Writes all `const` lines, and the side file when options->data is given. */
void print_consts(const Module *m, FILE *out, const PrintOptions *options);
/* What follows `nodes` in a side file: offsets from the constant's start, each a multiple of TEXT_ALIGN. */
typedef struct TreeLayout { uint64_t nodes, leaves, bytes; } TreeLayout;
TreeLayout tree_layout(const Tree *tree);

/* ---- verify.c ----------------------------------------------------------------------------------------------------- */

/* Where violations go: the reader reports each at its place, ir_verify keeps the first. */
typedef struct Complaints {
    void (*report)(void *user, Span span, const char *message);
    void *user;
    bool only_first;
} Complaints;
/* verify_const.c */
bool verify_const(const Module *m, ConstId id, const Complaints *to);
/* `number`: the network's place in the module, or that it will get; calls must go to lower ones. */
bool verify_network(const Network *net, uint32_t number, const Complaints *to);

#endif
