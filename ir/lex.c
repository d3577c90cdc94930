/* lex.c — the tokens of the text form.
 *
 * In: UTF-8 text from anywhere (the reader has checked the encoding). Out: one token at a time, as byte ranges: nothing is
 * copied until a name is wanted. The one idea: a token knows whether it starts its line, and that is all that recovery
 * after an error needs; otherwise line ends mean nothing.
 */
#include "text.h"

#include <string.h>

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '.';
}

static char peek(const Lexer *lx, uint32_t ahead)
{
    return lx->len - lx->at > ahead ? lx->text[lx->at + ahead] : '\0';
}

static void skip_blanks(Lexer *lx)
{
    for (;;) {
        char c = peek(lx, 0);
        if (c == '#') {
            const char *end = memchr(lx->text + lx->at, '\n', lx->len - lx->at);
            lx->at = end ? (uint32_t)(end - lx->text) : lx->len;
        } else if (c == '\n') {
            lx->at_line_start = true;
            lx->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            lx->at++;
        } else {
            return;
        }
    }
}

static Span span_to_here(const Lexer *lx, uint32_t begin)
{
    return (Span){lx->source, begin, lx->at};
}

/* From the opening quote to behind the closing one, which must be on the same line. */
static bool skip_quoted(Lexer *lx)
{
    uint32_t begin = lx->at++;
    while (lx->at < lx->len && peek(lx, 0) != '"' && peek(lx, 0) != '\n')
        lx->at += peek(lx, 0) == '\\' && peek(lx, 1) != '\n' && lx->len - lx->at > 1 ? 2 : 1;
    if (peek(lx, 0) != '"') {
        diag_error(lx->diags, span_to_here(lx, begin), "the quote opened here is not closed on its line");
        return false;
    }
    lx->at++;
    return true;
}

/* -1.5e+3, 0x1.8p-3, -inf, and (it starts with a digit) part of a hash. */
static void skip_number(Lexer *lx)
{
    lx->at += peek(lx, 0) == '-';
    bool hex = peek(lx, 0) == '0' && (peek(lx, 1) == 'x' || peek(lx, 1) == 'X');
    while (is_word(peek(lx, 0))) {
        char c = peek(lx, 0), sign = peek(lx, 1);
        bool exponent = hex ? c == 'p' || c == 'P' : c == 'e' || c == 'E';
        lx->at += exponent && (sign == '-' || sign == '+') ? 2 : 1;
    }
}

/* %name, @name, !name; for the first two also quoted. */
static TokenKind lex_sigil(Lexer *lx, TokenKind kind)
{
    uint32_t begin = lx->at++;
    if (peek(lx, 0) == '"' && kind != TOKEN_MARK)
        return skip_quoted(lx) ? kind : TOKEN_BAD;
    while (is_word(peek(lx, 0)))
        lx->at++;
    if (lx->at - begin > 1)
        return kind;
    diag_error(lx->diags, span_to_here(lx, begin), "`%c` must be followed by a name", lx->text[begin]);
    return TOKEN_BAD;
}

static void bad_character(Lexer *lx)
{
    uint32_t begin = lx->at++;
    while (lx->at < lx->len && ((unsigned char)peek(lx, 0) & 0xC0) == 0x80) /* the whole of a UTF-8 sequence */
        lx->at++;
    diag_error(lx->diags, span_to_here(lx, begin), "unexpected character `%.*s`", (int)(lx->at - begin), lx->text + begin);
}

static TokenKind lex_one(Lexer *lx, char *punct)
{
    char c = peek(lx, 0);
    if (is_word_start(c)) {
        while (is_word(peek(lx, 0)))
            lx->at++;
        return TOKEN_WORD;
    }
    if (c == '-' && peek(lx, 1) == '>') {
        lx->at += 2;
        return TOKEN_ARROW;
    }
    if (is_digit(c) || (c == '-' && is_word(peek(lx, 1))) || (c == '.' && is_digit(peek(lx, 1)))) {
        skip_number(lx);
        return TOKEN_NUMBER;
    }
    if (c == '%')
        return lex_sigil(lx, TOKEN_VALUE);
    if (c == '@')
        return lex_sigil(lx, TOKEN_GLOBAL);
    if (c == '!')
        return lex_sigil(lx, TOKEN_MARK);
    if (c == '"')
        return skip_quoted(lx) ? TOKEN_STRING : TOKEN_BAD;
    if (c != '\0' && strchr("()[]{},:=|>?~", c)) {
        lx->at++;
        *punct = c;
        return TOKEN_PUNCT;
    }
    bad_character(lx);
    return TOKEN_BAD;
}

Token lex_next(Lexer *lx)
{
    skip_blanks(lx);
    Token token = {.begin = lx->at, .starts_line = lx->at_line_start};
    lx->at_line_start = false;
    token.kind = lx->at < lx->len ? lex_one(lx, &token.punct) : TOKEN_END;
    token.end = lx->at;
    return token;
}

/* ---- names ---- */

bool lex_is_quoted(const Lexer *lx, Token token)
{
    uint32_t at = token.begin + (token.kind == TOKEN_VALUE || token.kind == TOKEN_GLOBAL);
    return at < token.end && lx->text[at] == '"';
}

static int hex_value(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \" \\ \xHH; anything else after a backslash stands for itself. A NUL cannot be in a name and ends it. */
static char *unquote(Arena *arena, const char *s, const char *end)
{
    char *name = arena_alloc(arena, (size_t)(end - s) + 1), *out = name;
    while (s < end) {
        if (*s == '\\' && end - s >= 4 && s[1] == 'x' && hex_value(s[2]) >= 0 && hex_value(s[3]) >= 0) {
            *out++ = (char)(hex_value(s[2]) * 16 + hex_value(s[3]));
            s += 4;
        } else {
            s += *s == '\\' && end - s >= 2;
            *out++ = *s++;
        }
    }
    return name;
}

char *lex_name(const Lexer *lx, Token token, Arena *arena)
{
    const char *begin = lx->text + token.begin, *end = lx->text + token.end;
    if (lex_is_quoted(lx, token))
        return unquote(arena, begin + (*begin == '"' ? 1 : 2), end - 1);
    if (token.kind == TOKEN_VALUE || token.kind == TOKEN_GLOBAL || token.kind == TOKEN_MARK)
        begin++;
    return str_ndup(arena, begin, (size_t)(end - begin));
}
