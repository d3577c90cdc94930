/* read.c — the text form read back: ir_print's inverse, and the gate for networks written or changed by hand.
 *
 * In: text from anywhere, hostile text included, and the side file it names. Out: a verified module, or diagnostics with
 * places. Memory is bounded by the size of the text and of the side file, time is linear in them. The grammar is in README.md.
 *
 *      read.c          the module, headers of networks
 *      read_op.c       blocks and ops, by the rows of ops.def;  read_value.c  names and scopes
 *      read_const.c    constants, the side file
 *      read_token.c    expecting, numbers, types, recovery;  lex.c tokens
 */
#include "read.h"

#include <locale.h>
#include <string.h>

/* ---- headers of networks ---- */

/* %x: f32[2] within @box */
static bool read_input(Reader *r)
{
    if (r->token.kind != TOKEN_VALUE)
        return read_unexpected(r, "an input, such as `%x: f32[2]`");
    Token token = r->token;
    Type type;
    ConstId box = 0;
    bool broken;
    read_next(r);
    if (!read_expect(r, ':', "and the type of the input") || !read_type(r, &type))
        return false;
    if (read_accept_word(r, "within") && !read_const_name(r, &box, &broken))
        return false;
    if (r->net->n_inputs == TEXT_PORTS)
        return READ_FAIL(r, read_span(r, token), "a network has at most %d inputs", TEXT_PORTS);
    Value v = network_add_input(r->net, lex_name(&r->lex, token, r->scratch), type, box, read_span(r, token));
    return read_define(r, token, v);
}

/* y: f32[1]; a % before the name does no harm. */
static bool read_output(Reader *r)
{
    bool named = r->token.kind == TOKEN_VALUE || r->token.kind == TOKEN_WORD || r->token.kind == TOKEN_STRING;
    if (!named)
        return read_unexpected(r, "an output, such as `y: f32[1]`");
    Token token = r->token;
    Type type;
    read_next(r);
    if (!read_expect(r, ':', "and the type of the output") || !read_type(r, &type))
        return false;
    if (r->net->n_outputs == TEXT_PORTS)
        return READ_FAIL(r, read_span(r, token), "a network has at most %d outputs", TEXT_PORTS);
    network_add_output(r->net, lex_name(&r->lex, token, r->scratch), type, read_span(r, token));
    return true;
}

static bool read_ports(Reader *r, bool (*read_port)(Reader *), const char *what)
{
    if (!read_expect(r, '(', str_printf(r->scratch, "before the %s", what)))
        return false;
    if (read_accept(r, ')'))
        return true;
    do
        if (!read_port(r))
            return false;
    while (read_accept(r, ','));
    return read_expect(r, ')', str_printf(r->scratch, "after the %s", what));
}

/* (y: f32[1], …), or the type alone of an only output, which is then called y. */
static bool read_outputs(Reader *r)
{
    Token token = r->token;
    if (token.kind != TOKEN_WORD)
        return read_ports(r, read_output, "outputs");
    Type type;
    if (!read_type(r, &type))
        return false;
    network_add_output(r->net, "y", type, read_span(r, token));
    return true;
}

static bool read_option(Reader *r)
{
    static const struct { const char *key; const char *const *words; size_t n; } options[] = {
        {"numerics", NUMERICS_WORDS, 2}, {"contract", CONTRACT_WORDS, 2}, {"outside", OUTSIDE_WORDS, 4}, {"certified_error", NULL, 0},
    };
    enum { KEYS = sizeof options / sizeof *options };
    const char *keys[KEYS], *why;
    uint32_t key, word = 0;
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = options[i].key;
    if (!read_word_of(r, "an option of a network", keys, KEYS, &key) || !read_expect(r, '=', "after an option"))
        return false;
    if (!options[key].words) {
        double *error = &r->net->certified_error;
        Token token = r->token;
        if (token.kind != TOKEN_NUMBER)
            return read_unexpected(r, "a number");
        read_next(r);
        if (!element_parse(r->scratch, r->locale, type_f64(), r->lex.text + token.begin, token.end - token.begin, (uint8_t *)error, &why) ||
            !(*error >= 0))
            return READ_FAIL(r, read_span(r, token), "a certified error is a number >= 0");
        *error += 0.0; /* -0 would be printed as nothing */
        return true;
    }
    if (!read_word_of(r, str_printf(r->scratch, "a value of `%s`", keys[key]), options[key].words, options[key].n, &word))
        return false;
    if (key == 0)
        r->net->options.numerics = (Numerics)word;
    else if (key == 1)
        r->net->options.contract = (Contract)word;
    else
        r->net->options.outside = (Outside)word;
    return true;
}

static bool read_options(Reader *r)
{
    if (!read_accept_word(r, "options"))
        return true;
    if (!read_expect(r, '(', "after `options`"))
        return false;
    do
        if (!read_option(r))
            return false;
    while (read_accept(r, ','));
    return read_expect(r, ')', "after the options");
}

/* ---- networks ---- */

/* Ops whose text gave no !site get fresh ones, in the order of the text. */
static void number_sites(Reader *r)
{
    OpWalk walk;
    r->net->last_site = r->greatest_site;
    FOR_EACH_OP (walk, op, r->net)
        if (op->site == 0 && op_info(r->m, op->kind)->has_site)
            op->site = ++r->net->last_site;
}

static bool read_header_and_body(Reader *r)
{
    if (!read_ports(r, read_input, "inputs"))
        return false;
    if (r->token.kind != TOKEN_ARROW)
        return read_unexpected(r, "`->` and the outputs");
    read_next(r);
    if (!read_outputs(r) || !read_options(r))
        return false;
    Span open = read_span(r, r->token);
    bool good = true;
    if (!read_expect(r, '{', "before the body of the network"))
        return false;
    return read_block(r, r->net->body, open, &good) && good;
}

/* `network` has been taken. */
static bool read_network(Reader *r)
{
    if (r->token.kind != TOKEN_GLOBAL)
        return read_unexpected(r, "the name of the network, such as `@net`");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    bool is_new;
    read_next(r);
    uint32_t *number = names_put(&r->networks, name, &is_new);
    if (!is_new)
        return READ_FAIL(r, read_span(r, token), "a network `@%s` is defined above already", name_quoted(r->scratch, name));
    *number = NETWORK_CURRENT;
    r->net = network_new(r->m, name, read_span(r, token));
    r->names = (Names){.arena = r->scratch};
    r->locals.len = 0;
    r->scope = NULL;
    r->greatest_site = 0;
    read_enter(r);
    bool good = read_header_and_body(r);
    read_leave(r);
    if (good) {
        Complaints to = read_complaints(r);
        number_sites(r);
        good = verify_network(r->net, (uint32_t)r->m->networks.len, &to);
    }
    if (good)
        network_done(r->net);
    *names_find(&r->networks, name) = good ? (uint32_t)r->m->networks.len : NETWORK_BROKEN;
    return good;
}

/* ---- the module ---- */

static bool read_version(Reader *r)
{
    Token token = r->token;
    uint64_t version;
    if (!read_u64(r, "the version of the format", UINT32_MAX, &version))
        return false;
    if (version == IR_FORMAT_VERSION)
        return true;
    diag_error(r->diags, read_span(r, token), "format_version %llu: this cnetc reads version %d", (unsigned long long)version, IR_FORMAT_VERSION);
    read_abandon(r);
    return false;
}

static bool read_top(Reader *r)
{
    static const char *const words[] = {"network", "const", "data", "format_version"};
    if (read_accept_word(r, "network"))
        return read_network(r);
    if (read_accept_word(r, "const"))
        return read_const(r);
    if (read_accept_word(r, "data"))
        return read_side_file(r);
    if (read_accept_word(r, "format_version"))
        return read_version(r);
    if (r->token.kind != TOKEN_WORD)
        return read_unexpected(r, "`const` or `network`");
    const char *word = lex_name(&r->lex, r->token, r->scratch);
    return READ_FAIL(r, read_span(r, r->token), "expected `const` or `network`, found `%s`%s", word, read_hint(r, word, words, 4));
}

static bool read_all(Reader *r)
{
    bool good = true;
    while (r->token.kind != TOKEN_END) {
        uint32_t begin = r->token.begin;
        if (read_top(r))
            continue;
        good = false;
        read_recover_top(r, begin);
    }
    return good;
}

static void free_locale(void *locale)
{
    freelocale((locale_t)locale);
}

/* A decimal point is a point, whatever the program that we are part of has set. */
static void *c_locale(Arena *arena)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale)
        arena_exhausted(arena);
    arena_defer(arena, free_locale, locale);
    return locale;
}

static bool readable(Reader *r, const char *text, size_t len)
{
    if (len >= UINT32_MAX)
        return READ_FAIL(r, diag_whole(r->lex.source), "the text has %zu bytes; at most 4 GB can be read, larger constants lie in a side file", len);
    size_t bad = utf8_check(text, len);
    if (bad == len)
        return true;
    return READ_FAIL(r, ((Span){r->lex.source, (uint32_t)bad, (uint32_t)bad + 1}), "not UTF-8 text: byte 0x%02x", (unsigned char)text[bad]);
}

static Module *read_module(Arena *arena, Diags *diags, const char *name, const char *text, size_t len, const char *directory)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    uint32_t source = diag_source(diags, name, text, len);
    Reader reader = {.arena = arena, .scratch = scratch, .diags = diags, .m = module_new(arena, diags), .directory = directory,
                     .lex = {.text = text, .len = (uint32_t)len, .source = source, .diags = diags, .at_line_start = true},
                     .consts = {.arena = scratch}, .networks = {.arena = scratch}, .locale = c_locale(scratch)}, *r = &reader;
    bool good = readable(r, text, len);
    if (good) {
        read_next(r);
        good = read_all(r);
    }
    r->m->source_name = str_dup(arena, name);
    r->m->source_hash = hash_bytes(text, len);
    arena_free(scratch);
    return good ? r->m : NULL;
}

/* "nets/" of "nets/acas.cnir". */
static const char *directory_of(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? str_ndup(arena, path, (size_t)(slash + 1 - path)) : "";
}

Module *ir_read(Arena *arena, Diags *diags, const char *path)
{
    Bytes text;
    if (!file_read(arena, diags, NOWHERE, path, &text))
        return NULL;
    return read_module(arena, diags, path, (const char *)text.at, text.len, directory_of(arena, path));
}

Module *ir_read_text(Arena *arena, Diags *diags, const char *name, const char *text, size_t len)
{
    return read_module(arena, diags, name, text, len, NULL);
}
