/* read_value.c — names of values and where they are visible.
 *
 * In: the tokens of names. Out: values of the network being read. The one idea: a name belongs to a scope, a scope is open
 * until its block ends, and a value may be used while its scope is open: that is dominance in structured code.
 */
#include "read.h"

#include <string.h>

Scope *read_enter(Reader *r)
{
    Scope *scope = NEW(r->scratch, Scope);
    *scope = (Scope){.outer = r->scope, .open = true, .depth = r->scope ? r->scope->depth + 1 : 0};
    return r->scope = scope;
}

void read_leave(Reader *r)
{
    r->scope->open = false;
    r->scope = r->scope->outer;
}

/* %12 is no name: such values are numbered anew when they are printed; %"12" is one. */
static bool is_named(const Reader *r, Token token, const char *name)
{
    return lex_is_quoted(&r->lex, token) || name[strspn(name, "0123456789")] != '\0';
}

/* What the value is known by in Reader.names: its name, marked when it could be mistaken for a number. */
static const char *key_of(const Reader *r, Token token, const char *name)
{
    bool marked = is_named(r, token, name) && (*name == '\'' || (*name >= '0' && *name <= '9'));
    return marked ? str_printf(r->scratch, "'%s", name) : name;
}

/* A name is free again when the block of its value has ended. */
static bool is_in_force(const Local *local)
{
    return local && local->scope && local->scope->open;
}

bool read_define(Reader *r, Token token, Value value)
{
    const char *name = lex_name(&r->lex, token, r->scratch);
    bool is_new;
    uint32_t *place = names_put(&r->names, key_of(r, token, name), &is_new);
    Local *old = is_new ? NULL : &r->locals.at[*place];
    if (is_in_force(old)) {
        diag_error(r->diags, read_span(r, token), "`%%%s` is defined already, and its name is not free until its block ends", name_quoted(r->scratch, name));
        diag_note(r->diags, old->span, "here");
        return false;
    }
    Local local = {.value = value, .scope = r->scope, .span = read_span(r, token)};
    *place = (uint32_t)r->locals.len;
    vec_push(r->scratch, r->locals, local);
    if (value) {
        r->net->values.at[value].span = local.span;
        if (is_named(r, token, name))
            value_name(r->net, value, name);
    }
    return true;
}

static bool unknown_value(Reader *r, Token token, const char *name)
{
    const char *hint = read_names_hint(r, name, "%", &r->names);
    bool is_new;
    uint32_t *place = names_put(&r->names, key_of(r, token, name), &is_new);
    *place = (uint32_t)r->locals.len;
    Local broken = {.span = read_span(r, token)}; /* says so once; a later line may still define it */
    vec_push(r->scratch, r->locals, broken);
    return READ_FAIL(r, read_span(r, token), "no value `%%%s` is defined above%s", name_quoted(r->scratch, name), hint);
}

bool read_value(Reader *r, Value *out)
{
    if (r->token.kind != TOKEN_VALUE)
        return read_unexpected(r, "a value");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    read_next(r);
    *out = 0;
    const uint32_t *place = names_find(&r->names, key_of(r, token, name));
    if (!place) {
        unknown_value(r, token, name);
        return true; /* a report, but the rest of the line can be read */
    }
    const Local *local = &r->locals.at[*place];
    if (local->scope && !local->scope->open) {
        diag_error(r->diags, read_span(r, token), "`%%%s` cannot be used here: it belongs to a region that has ended", name_quoted(r->scratch, name));
        diag_note(r->diags, local->span, "it is defined here; a region hands out values with `yield`");
        return true;
    }
    *out = local->value;
    return true;
}

void read_define_broken(Reader *r, Token token)
{
    const char *name = lex_name(&r->lex, token, r->scratch);
    bool is_new;
    uint32_t *place = names_put(&r->names, key_of(r, token, name), &is_new);
    if (!is_new && is_in_force(&r->locals.at[*place]))
        return;
    *place = (uint32_t)r->locals.len;
    Local broken = {.span = read_span(r, token)};
    vec_push(r->scratch, r->locals, broken);
}
