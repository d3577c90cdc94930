/* read_token.c — what every part of the reader is made of: expecting tokens, reading numbers, words and types, recovering.
 *
 * In: tokens. Out: small values, or a report at the token that does not fit. The one idea: every failure is reported where
 * it is found, by the function that knew what it wanted.
 */
#include "read.h"

#include <inttypes.h>
#include <string.h>

/* ---- tokens ---- */

void read_next(Reader *r)
{
    r->last_end = r->token.end;
    r->token = lex_next(&r->lex);
}

bool read_at(const Reader *r, char punct)
{
    return r->token.kind == TOKEN_PUNCT && r->token.punct == punct;
}

bool read_at_word(const Reader *r, const char *word)
{
    size_t n = strlen(word);
    return r->token.kind == TOKEN_WORD && r->token.end - r->token.begin == n &&
           memcmp(r->lex.text + r->token.begin, word, n) == 0;
}

bool read_accept(Reader *r, char punct)
{
    if (!read_at(r, punct))
        return false;
    read_next(r);
    return true;
}

bool read_accept_word(Reader *r, const char *word)
{
    if (!read_at_word(r, word))
        return false;
    read_next(r);
    return true;
}

Span read_span(const Reader *r, Token token)
{
    return (Span){r->lex.source, token.begin, token.end};
}

Span read_since(const Reader *r, uint32_t begin)
{
    return (Span){r->lex.source, begin, r->last_end > begin ? r->last_end : begin};
}

bool read_unexpected(Reader *r, const char *wanted)
{
    enum { LONGEST = 40 };
    if (r->token.kind == TOKEN_BAD || r->abandoned) /* reported */
        return false;
    if (r->token.kind == TOKEN_END)
        return READ_FAIL(r, read_span(r, r->token), "expected %s, found the end of the text", wanted);
    uint32_t len = r->token.end - r->token.begin;
    bool cut = len > LONGEST;
    return READ_FAIL(r, read_span(r, r->token), "expected %s, found `%.*s%s`", wanted, cut ? LONGEST : (int)len,
                     r->lex.text + r->token.begin, cut ? "…" : "");
}

bool read_expect(Reader *r, char punct, const char *where)
{
    if (read_accept(r, punct))
        return true;
    return read_unexpected(r, str_printf(r->scratch, "`%c` %s", punct, where));
}

bool read_expect_word(Reader *r, const char *word, const char *where)
{
    if (read_accept_word(r, word))
        return true;
    return read_unexpected(r, str_printf(r->scratch, "`%s` %s", word, where));
}

/* ---- suggestions ---- */

const char *read_hint(Reader *r, const char *name, const char *const *candidates, size_t n)
{
    const char *near = str_nearest(name, candidates, n);
    return near ? str_printf(r->scratch, "; did you mean `%s`?", near) : "";
}

/* Nobody reads more than a few suggestions, and each costs a look at every name. */
const char *read_names_hint(Reader *r, const char *name, const char *sigil, const Names *among)
{
    enum { MANY = 20 };
    if (diag_errors(r->diags) >= MANY || among->len == 0)
        return "";
    const char **candidate = NEW_ARRAY(r->scratch, among->len, const char *);
    size_t n = 0;
    for (size_t i = 0; i < among->cap; i++)
        if (among->slot[i].name)
            candidate[n++] = among->slot[i].name;
    const char *near = str_nearest(name, candidate, n);
    return near ? str_printf(r->scratch, "; did you mean `%s%s`?", sigil, name_quoted(r->scratch, near)) : "";
}

/* ---- numbers and words ---- */

/* Decimal digits of a token; false when it has others or exceeds `most`. */
static bool decimal(const Reader *r, Token token, uint64_t most, uint64_t *out)
{
    uint64_t v = 0;
    for (uint32_t i = token.begin; i < token.end; i++) {
        char c = r->lex.text[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, c - '0', &v) || v > most)
            return false;
    }
    *out = v;
    return token.end > token.begin;
}

bool read_u64(Reader *r, const char *what, uint64_t most, uint64_t *out)
{
    if (r->token.kind != TOKEN_NUMBER || !decimal(r, r->token, most, out))
        return read_unexpected(r, str_printf(r->scratch, "%s, an integer from 0 to %" PRIu64, what, most));
    read_next(r);
    return true;
}

bool read_i64(Reader *r, const char *what, int64_t *out)
{
    Token digits = r->token;
    bool negative = digits.kind == TOKEN_NUMBER && r->lex.text[digits.begin] == '-';
    digits.begin += negative;
    uint64_t v;
    if (digits.kind != TOKEN_NUMBER || !decimal(r, digits, INT64_MAX, &v))
        return read_unexpected(r, str_printf(r->scratch, "%s, an integer", what));
    *out = negative ? -(int64_t)v : (int64_t)v;
    read_next(r);
    return true;
}

bool read_word_of(Reader *r, const char *what, const char *const *words, size_t n, uint32_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (read_accept_word(r, words[i])) {
            *out = (uint32_t)i;
            return true;
        }
    if (r->token.kind != TOKEN_WORD)
        return read_unexpected(r, what);
    const char *word = lex_name(&r->lex, r->token, r->scratch);
    Text all = text_new(r->scratch);
    for (size_t i = 0; i < n; i++)
        text_add(&all, "%s`%s`", i ? ", " : "", words[i]);
    const char *hint = read_hint(r, word, words, n);
    if (*hint)
        return READ_FAIL(r, read_span(r, r->token), "`%s` is not %s%s", word, what, hint);
    return READ_FAIL(r, read_span(r, r->token), "`%s` is not %s: it is one of %s", word, what, all.at);
}

/* ---- types ---- */

static bool read_extent(Reader *r, const char *what, uint32_t *out)
{
    uint64_t v;
    if (!read_u64(r, what, INT32_MAX, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

/* f32, f64, i12, idx[8], set[50]. */
static bool read_element_type(Reader *r, Type *out)
{
    static const char *const words[] = {"f32", "f64", "idx", "set", "i1", "i8", "i16", "i32", "i64"};
    uint32_t n;
    uint64_t bits;
    if (r->token.kind != TOKEN_WORD)
        return read_unexpected(r, "a type");
    Token digits = r->token;
    digits.begin++;
    if (r->lex.text[r->token.begin] == 'i' && decimal(r, digits, IR_MAX_INT_BITS, &bits) && bits > 0) {
        read_next(r);
        *out = type_int((uint32_t)bits);
        return true;
    }
    if (read_accept_word(r, "f32") || read_at_word(r, "f64")) {
        bool wide = read_accept_word(r, "f64");
        *out = wide ? type_f64() : type_f32();
        return true;
    }
    bool set = read_at_word(r, "set");
    if (!set && !read_at_word(r, "idx")) {
        const char *word = lex_name(&r->lex, r->token, r->scratch);
        return READ_FAIL(r, read_span(r, r->token), "no type `%s`%s", word, read_hint(r, word, words, sizeof words / sizeof *words));
    }
    read_next(r);
    if (!read_expect(r, '[', "and how many indices there are") || !read_extent(r, "a number of indices", &n) ||
        !read_expect(r, ']', "after the number of indices"))
        return false;
    *out = set ? type_set(n) : type_idx(n);
    return true;
}

bool read_type(Reader *r, Type *out)
{
    uint32_t begin = r->token.begin, rank = 0, dim[IR_MAX_RANK];
    Type element;
    if (!read_element_type(r, &element))
        return false;
    if (read_accept(r, '[')) {
        do {
            if (rank == IR_MAX_RANK)
                return READ_FAIL(r, read_span(r, r->token), "a type has at most %d dims", IR_MAX_RANK);
            if (!read_extent(r, "an extent", &dim[rank++]))
                return false;
        } while (read_accept(r, ','));
        if (!read_expect(r, ']', "after the extents"))
            return false;
    }
    *out = type_with_dims(element, rank, dim);
    if (!type_valid(*out))
        return READ_FAIL(r, read_since(r, begin), "%s is not a possible type: %s", type_print(r->scratch, *out),
                         element.elem == ELEM_SET   ? "a set has no dims"
                         : element.elem == ELEM_IDX && element.n == 0 ? "there is no index below 0"
                                                                      : "it is too large");
    return true;
}

/* ---- going on after an error ---- */

void read_recover(Reader *r, uint32_t statement_begin)
{
    uint32_t depth = 0;
    while (r->token.kind != TOKEN_END) {
        bool progress = r->token.begin > statement_begin;
        if (depth == 0 && (read_at(r, '}') || (progress && r->token.starts_line)))
            return;
        depth += read_at(r, '{');
        depth -= read_at(r, '}');
        read_next(r);
    }
}

/* Outside of networks: to the next line that starts one or a constant. No line within a network starts with these. */
void read_recover_top(Reader *r, uint32_t begin)
{
    while (r->token.kind != TOKEN_END) {
        bool starts = read_at_word(r, "network") || read_at_word(r, "const");
        if (starts && r->token.starts_line && r->token.begin > begin)
            return;
        read_next(r);
    }
}

bool read_skip_region(Reader *r, Span open)
{
    uint32_t depth = 0;
    for (; r->token.kind != TOKEN_END; read_next(r)) {
        if (depth == 0 && read_accept(r, '}'))
            return true;
        depth += read_at(r, '{');
        depth -= read_at(r, '}');
    }
    return READ_FAIL(r, open, "the `{` opened here is not closed");
}

void read_abandon(Reader *r)
{
    r->abandoned = true;
    r->lex.at = r->lex.len;
    r->token = (Token){.kind = TOKEN_END, .begin = r->lex.len, .end = r->lex.len};
}

static void report(void *user, Span span, const char *message)
{
    Reader *r = user;
    diag_error(r->diags, span, "%s", message);
}

Complaints read_complaints(Reader *r)
{
    return (Complaints){.report = report, .user = r, .only_first = false};
}
