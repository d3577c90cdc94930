/* cnet.c — the .cnet language, from text to a module.
 *
 * In: the text of a file. Out: its networks as IR, callees first, or NULL and diagnostics. The phases, each after the one
 * before has reported nothing:
 *
 *     UTF-8?  →  ast_parse (lexer.l, parser.y, ast.c)  →  lower_program (lower*.c)
 *
 * The reference of the language is README.md.
 */
#include "lower.h"

#include <string.h>

/* Offsets are 32 bits wide, and flex counts in int. */
#define LARGEST_FILE ((size_t)1 << 30)

static bool readable(Diags *diags, uint32_t source, const char *text, size_t len)
{
    if (len > LARGEST_FILE) {
        diag_error(diags, diag_whole(source),
                   "this file has %zu bytes; a .cnet file has at most %zu: keep weights in a file of weights", len, LARGEST_FILE);
        return false;
    }
    size_t bad = utf8_check(text, len);
    if (bad == len)
        return true;
    diag_error(diags, (Span){source, (uint32_t)bad, (uint32_t)bad + 1}, "this file is not UTF-8: byte 0x%02x at offset %zu",
               (unsigned char)text[bad], bad);
    return false;
}

static void release_locale(void *locale)
{
    freelocale(locale);
}

static locale_t c_locale(Arena *arena)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale)
        arena_exhausted(arena);
    arena_defer(arena, release_locale, locale);
    return locale;
}

Module *fe_parse_cnet(Arena *arena, Diags *diags, const char *path, const char *text, size_t len, const LoadOptions *options,
                      FileList *depends)
{
    uint32_t source = diag_source(diags, path, text, len);
    if (!readable(diags, source, text, len))
        return NULL;
    size_t errors = diag_errors(diags);
    Program program = {0};
    SymbolTable symbols = {0};
    Parse parse = {.arena = arena, .diags = diags, .source = source, .text = text, .end = len, .program = &program,
                   .symbols = &symbols};
    if (!ast_parse(&parse))
        return NULL;
    Module *m = module_new(arena, diags);
    m->source_name = str_dup(arena, path);
    m->source_hash = hash_bytes(text, len);
    Lowering lower = {.arena = arena, .diags = diags, .m = m, .parse = &parse, .options = options, .depends = depends,
                      .path = m->source_name,
                   .locale = c_locale(arena)};
    fe_lower_program(&lower, &program);
    return diag_errors(diags) == errors ? m : NULL;
}
