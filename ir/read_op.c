/* read_op.c — blocks and ops: the inverse of print.c, driven by the same rows of ops.def.
 *
 * In: tokens after a `{`. Out: ops built in a block. The one idea: what stands on a line is gathered in an OpInit while it is
 * checked against the items of the op's row; op_infer, which the builder uses too, then says whether the types fit.
 */
#include "read.h"

#include <string.h>

/* ---- an op as it is read ---- */

typedef struct OpText {
    Reader *r;
    const OpInfo *info;
    OpInit init;
    bool broken;                  /* uses something that was reported */
    bool seen[OP_MAX_SLOTS + OP_MAX_CONSTS + OP_MAX_ATTRS + OP_MAX_REGIONS];
    uint32_t next;                /* the next positional item */
    Value fixed[OP_MAX_SLOTS];
    Vec(Value) variadic;
    Vec(Token) result;
    Vec(Type) type;
    Span types, span;
    Vec(Block *) region;
    Site site;
    Lower lower;
    uint32_t below;
} OpText;

static void note_value(OpText *o, Value v)
{
    o->broken |= v == 0;
}

static bool read_ints(OpText *o, Attr *attr)
{
    Reader *r = o->r;
    Vec(int64_t) list = {0};
    if (!read_expect(r, '[', "before a list of integers"))
        return false;
    while (!read_at(r, ']')) {
        int64_t v;
        if ((list.len > 0 && !read_expect(r, ',', "between integers")) || !read_i64(r, "an entry", &v))
            return false;
        vec_push(r->scratch, list, v);
    }
    read_next(r);
    *attr = (Attr){.n = (uint32_t)list.len, .list = list.at};
    return true;
}

static bool read_chains(OpText *o, Attr *attr)
{
    Reader *r = o->r;
    uint32_t begin = r->token.begin;
    attr->i = 1;
    if (read_accept_word(r, "seq"))
        return true;
    if (!read_at_word(r, "chains"))
        return read_unexpected(r, "`seq` or `chains(N)`");
    read_next(r);
    if (!read_expect(r, '(', "after `chains`") || !read_i64(r, "a number of chains", &attr->i) || !read_expect(r, ')', "after the number of chains"))
        return false;
    if (attr->i < 1 || !chains_are_valid(attr->i))
        return READ_FAIL(r, read_since(r, begin), "chains(%lld): expected a power of two up to %d", (long long)attr->i, IR_MAX_CHAINS);
    return true;
}

static bool read_callee(OpText *o, Attr *attr)
{
    Reader *r = o->r;
    if (r->token.kind != TOKEN_GLOBAL)
        return read_unexpected(r, "the name of a network");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    read_next(r);
    const uint32_t *number = names_find(&r->networks, name);
    const char *quoted = name_quoted(r->scratch, name);
    if (!number)
        return READ_FAIL(r, read_span(r, token), "no network `@%s` is defined above (a callee comes before its callers)%s", quoted,
                         read_names_hint(r, name, "@", &r->networks));
    if (*number == NETWORK_CURRENT)
        return READ_FAIL(r, read_span(r, token), "`@%s` calls itself; calls must be acyclic", quoted);
    o->broken |= *number == NETWORK_BROKEN;
    attr->i = *number == NETWORK_BROKEN ? 0 : (int64_t)*number - 1;
    return true;
}

static bool read_attr(OpText *o, const Item *item)
{
    Reader *r = o->r;
    Attr *attr = &o->init.attr[item->slot];
    size_t n;
    const char *const *words = attr_words(item->attr, &n);
    uint32_t word;
    switch (item->attr) {
    case ATTR_INT:
        return read_i64(r, item->key, &attr->i);
    case ATTR_INTS:
        return read_ints(o, attr);
    case ATTR_CHAINS:
        return read_chains(o, attr);
    case ATTR_CMP:
    case ATTR_ACTIVE:
    case ATTR_REDUCE:
    case ATTR_ZEROS:
    case ATTR_METHOD:
    case ATTR_UNSEEN:
        if (!read_word_of(r, str_printf(r->scratch, "a `%s` of `%s`", item->key, o->info->name), words, n, &word))
            return false;
        attr->i = word;
        return true;
    case ATTR_NETWORK:
        return read_callee(o, attr);
    }
    return false;
}

/* ---- arguments: positional items in the order of the row, keyed ones in any order ---- */

static bool is_keyed(const Item *item)
{
    return item->kind == ITEM_KEYED || item->kind == ITEM_KEYED_CONST || item->kind == ITEM_ATTR;
}

static bool unknown_key(OpText *o, Token token, const char *key)
{
    const char *keys[sizeof o->info->item / sizeof *o->info->item];
    size_t n = 0;
    Text all = text_new(o->r->scratch);
    for (uint32_t i = 0; i < o->info->n_items; i++)
        if (is_keyed(&o->info->item[i])) {
            text_add(&all, "%s`%s`", n ? ", " : "", o->info->item[i].key);
            keys[n++] = o->info->item[i].key;
        }
    const char *hint = read_hint(o->r, key, keys, n);
    if (n == 0 || *hint)
        return READ_FAIL(o->r, read_span(o->r, token), "`%s` has no `%s`%s", o->info->name, key, hint);
    return READ_FAIL(o->r, read_span(o->r, token), "`%s` has no `%s`; it has %s", o->info->name, key, all.at);
}

/* @W or @W[%i] */
static bool read_const_item(OpText *o, const Item *item)
{
    Reader *r = o->r;
    uint32_t begin = r->token.begin;
    bool broken;
    if (!read_const_name(r, &o->init.cst[item->slot], &broken) && !broken)
        return false;
    o->broken |= broken;
    if (!read_accept(r, '['))
        return true;
    if (item->index_slot < 0)
        return READ_FAIL(r, read_since(r, begin), "`%s` takes no index here", o->info->name);
    Value *index = &o->fixed[item->index_slot];
    if (!read_value(r, index) || !read_expect(r, ']', "after the index"))
        return false;
    note_value(o, *index);
    return true;
}

static bool read_keyed(OpText *o)
{
    Reader *r = o->r;
    Token token = r->token;
    const char *key = lex_name(&r->lex, token, r->scratch);
    uint32_t i = 0;
    while (i < o->info->n_items && (!is_keyed(&o->info->item[i]) || strcmp(o->info->item[i].key, key) != 0))
        i++;
    read_next(r);
    if (i == o->info->n_items)
        return unknown_key(o, token, key);
    if (o->seen[i])
        return READ_FAIL(r, read_span(r, token), "`%s` is given twice", key);
    o->seen[i] = true;
    const Item *item = &o->info->item[i];
    if (!read_expect(r, '=', str_printf(r->scratch, "after `%s`", key)))
        return false;
    if (item->kind == ITEM_ATTR)
        return read_attr(o, item);
    if (item->kind == ITEM_KEYED_CONST) {
        if (r->token.kind != TOKEN_GLOBAL)
            return read_unexpected(r, str_printf(r->scratch, "the constant `@%s`", item->key));
        return read_const_item(o, item);
    }
    if (!read_value(r, &o->fixed[item->slot]))
        return false;
    note_value(o, o->fixed[item->slot]);
    return true;
}

static bool is_positional(const Item *item)
{
    return item->kind == ITEM_OPERAND || item->kind == ITEM_VARIADIC || item->kind == ITEM_CONST;
}

static bool read_positional(OpText *o)
{
    Reader *r = o->r;
    bool constant = r->token.kind == TOKEN_GLOBAL;
    while (o->next < o->info->n_items && !is_positional(&o->info->item[o->next]))
        o->next++;
    if (o->next == o->info->n_items)
        return READ_FAIL(r, read_span(r, r->token), "`%s` takes no more operands; it reads `%s`", o->info->name, o->info->syntax);
    const Item *item = &o->info->item[o->next];
    if (constant != (item->kind == ITEM_CONST))
        return read_unexpected(r, str_printf(r->scratch, constant ? "a value `%%%s`" : "a constant `@%s`", item->key));
    o->seen[o->next] = true;
    o->next += item->kind != ITEM_VARIADIC;
    if (item->kind == ITEM_CONST)
        return read_const_item(o, item);
    Value v;
    if (!read_value(r, &v))
        return false;
    note_value(o, v);
    if (item->kind == ITEM_OPERAND)
        o->fixed[item->slot] = v;
    else
        vec_push(r->scratch, o->variadic, v);
    return true;
}

static bool read_args(OpText *o)
{
    Reader *r = o->r;
    bool more = !r->token.starts_line && (r->token.kind == TOKEN_VALUE || r->token.kind == TOKEN_GLOBAL || r->token.kind == TOKEN_WORD);
    while (more) {
        bool positional = r->token.kind == TOKEN_VALUE || r->token.kind == TOKEN_GLOBAL;
        if (!positional && r->token.kind != TOKEN_WORD)
            return read_unexpected(r, "an operand or an attribute");
        if (positional ? !read_positional(o) : !read_keyed(o))
            return false;
        more = read_accept(r, ',');
    }
    return true;
}

/* `mask`, or `mask, below = 38`, between the parentheses */
static bool read_lowering(OpText *o)
{
    Reader *r = o->r;
    uint32_t word;
    uint64_t below = 0;
    if (!read_word_of(r, "a lowering", LOWER_WORDS, sizeof LOWER_WORDS / sizeof *LOWER_WORDS, &word))
        return false;
    if (read_accept(r, ',')) {
        if (!read_accept_word(r, "below"))
            return read_unexpected(r, "`below`");
        if (!read_expect(r, '=', "after `below`") || !read_u64(r, "a number of columns", UINT32_MAX, &below))
            return false;
    }
    o->lower = (Lower)word;
    o->below = (uint32_t)below;
    return true;
}

/* !site(3) !lower(mask) */
static bool read_marks(OpText *o)
{
    Reader *r = o->r;
    static const char *const marks[] = {"site", "lower"};
    while (r->token.kind == TOKEN_MARK) {
        Token token = r->token;
        const char *name = lex_name(&r->lex, token, r->scratch);
        bool site = strcmp(name, "site") == 0, lower = strcmp(name, "lower") == 0;
        if (!site && !lower)
            return READ_FAIL(r, read_span(r, token), "no annotation `!%s`%s", name, read_hint(r, name, marks, 2));
        read_next(r);
        uint64_t v;
        if (!read_expect(r, '(', "after an annotation"))
            return false;
        if (site) {
            if (!read_u64(r, "the number of a site", INT32_MAX, &v))
                return false;
            o->site = (Site)v;
        } else {
            if (!read_lowering(o))
                return false;
        }
        if (!read_expect(r, ')', "after an annotation"))
            return false;
    }
    return true;
}

static bool read_types(OpText *o)
{
    Reader *r = o->r;
    if (!read_accept(r, ':'))
        return true;
    uint32_t begin = r->token.begin;
    do {
        Type type;
        if (!read_type(r, &type))
            return false;
        vec_push(r->scratch, o->type, type);
    } while (read_accept(r, ','));
    o->types = read_since(r, begin);
    if (o->type.len != o->result.len)
        return READ_FAIL(r, o->types, "%zu names and %zu types of results", o->result.len, o->type.len);
    return true;
}

/* ---- regions ---- */

/* |%i: idx[8], %acc: f32[5]|; *block is made in any case that returns true. */
static bool read_block_args(OpText *o, Block **block)
{
    Reader *r = o->r;
    Vec(Token) name = {0};
    Vec(Type) type = {0};
    if (read_accept(r, '|')) {
        do {
            Type t;
            if (r->token.kind != TOKEN_VALUE)
                return read_unexpected(r, "an argument of the region");
            vec_push(r->scratch, name, r->token);
            read_next(r);
            if (!read_expect(r, ':', "and the type of the argument") || !read_type(r, &t))
                return false;
            vec_push(r->scratch, type, t);
        } while (read_accept(r, ','));
        if (!read_expect(r, '|', "after the arguments of the region"))
            return false;
    }
    *block = block_new(r->net, (uint32_t)type.len, type.at);
    for (size_t i = 0; i < name.len; i++)
        if (!read_define(r, name.at[i], (*block)->arg[i]))
            return false;
    return true;
}

static bool read_region(OpText *o)
{
    Reader *r = o->r;
    Block *block = NULL;
    Span open = read_span(r, r->token);
    if (!read_expect(r, '{', "before a region"))
        return false;
    if (read_enter(r)->depth > TEXT_NESTING) {
        diag_error(r->diags, open, "regions within regions, more than %d deep", TEXT_NESTING);
        read_abandon(r);
        return false;
    }
    bool good = read_block_args(o, &block), closed;
    if (good)
        closed = read_block(r, block, open, &good);
    else
        closed = read_skip_region(r, open);
    read_leave(r);
    if (good)
        vec_push(r->scratch, o->region, block);
    o->broken |= !good;
    return closed;
}

static bool read_regions(OpText *o)
{
    for (uint32_t i = 0; i < o->info->n_items; i++) {
        const Item *item = &o->info->item[i];
        if (item->kind == ITEM_REGION) {
            if ((item->key[0] && !read_expect_word(o->r, item->key, "and its region")) || !read_region(o))
                return false;
        } else if (item->kind == ITEM_REGIONS) {
            while (read_at(o->r, '{'))
                if (!read_region(o))
                    return false;
        }
    }
    return true;
}

/* ---- building ---- */

static bool nothing_is_missing(OpText *o)
{
    for (uint32_t i = 0; i < o->info->n_items; i++) {
        const Item *item = &o->info->item[i];
        bool needed = item->kind == ITEM_OPERAND || ((item->kind == ITEM_CONST || item->kind == ITEM_ATTR) && !item->optional);
        if (needed && !o->seen[i])
            return READ_FAIL(o->r, o->span, "`%s` needs its `%s%s`; it reads `%s`", o->info->name,
                             item->kind == ITEM_OPERAND ? "%" : item->kind == ITEM_CONST ? "@" : "", item->key, o->info->syntax);
    }
    if (o->type.len == 0 && o->result.len > 0 && (o->info->n_regions > 0))
        return READ_FAIL(o->r, o->span, "`%s` needs the types of its results, such as `: f32[4]`", o->info->name);
    return true;
}

static uint32_t most_results(const OpText *o)
{
    size_t n = o->type.len > 3 ? o->type.len : 3;  /* descend has the most of all ops without regions */
    if (o->init.kind == OP_call && o->r->m->networks.at[o->init.attr[0].i]->n_outputs > n)
        n = o->r->m->networks.at[o->init.attr[0].i]->n_outputs;
    return (uint32_t)n;
}

/* Whether the types of the results follow from the operands, and are what the line says. */
static bool types_fit(OpText *o)
{
    Reader *r = o->r;
    Text why = text_new(r->scratch);
    Type *type = NEW_ARRAY(r->scratch, most_results(o), Type);
    uint32_t n;
    if (!op_infer(r->m, r->net, &o->init, type, &n, &why))
        return READ_FAIL(r, o->span, "`%s`: %s", o->info->name, why.at);
    if (n != o->result.len)
        return READ_FAIL(r, o->span, "`%s` gives %u result%s here, found %zu name%s", o->info->name, n, n == 1 ? "" : "s",
                         o->result.len, o->result.len == 1 ? "" : "s");
    for (uint32_t i = 0; i < n && o->type.len > 0; i++)
        if (!type_equal(type[i], o->type.at[i]))
            return READ_FAIL(r, o->types, "`%s` gives %s here, found %s", o->info->name, type_print(r->scratch, type[i]),
                             type_print(r->scratch, o->type.at[i]));
    return true;
}

static bool build(OpText *o, Block *block)
{
    Reader *r = o->r;
    uint32_t n_fixed = o->info->n_fixed, n = n_fixed + (uint32_t)o->variadic.len;
    Value *operand = NEW_ARRAY(r->scratch, n, Value);
    for (uint32_t i = 0; i < n; i++)
        operand[i] = i < n_fixed ? o->fixed[i] : o->variadic.at[i - n_fixed];
    o->init.n_operands = n;
    o->init.operand = operand;
    o->init.n_regions = (uint32_t)o->region.len;
    o->init.region = o->region.at;
    o->init.n_hints = (uint32_t)o->type.len;
    o->init.hint = o->type.at;
    if (!types_fit(o))
        return false;
    Builder b = builder_at_end(block);
    b.span = o->span;
    Op *op = build_op(&b, &o->init);
    op->site = o->site;
    op->lower = o->lower;
    op->below = o->below;
    r->greatest_site = r->greatest_site > o->site ? r->greatest_site : o->site;
    bool defined = true;
    for (uint32_t i = 0; i < op->n_results; i++)
        defined &= read_define(r, o->result.at[i], op->result[i]);
    return defined;
}

/* ---- lines ---- */

static bool read_results(OpText *o)
{
    Reader *r = o->r;
    if (r->token.kind != TOKEN_VALUE)
        return true;
    do {
        if (r->token.kind != TOKEN_VALUE)
            return read_unexpected(r, "the name of a result");
        vec_push(r->scratch, o->result, r->token);
        read_next(r);
    } while (read_accept(r, ','));
    return read_expect(r, '=', "after the names of results");
}

static bool read_kind(OpText *o)
{
    Reader *r = o->r;
    if (r->token.kind != TOKEN_WORD)
        return read_unexpected(r, "an operation");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    o->init.kind = op_named(r->m, name, strlen(name));
    read_next(r);
    if (o->init.kind == OP__COUNT) {
        const char *names[OP__COUNT];
        for (int k = 0; k < OP__COUNT; k++)
            names[k] = op_info(r->m, (OpKind)k)->name;
        return READ_FAIL(r, read_span(r, token), "no operation `%s`%s", name, read_hint(r, name, names, OP__COUNT));
    }
    o->info = op_info(r->m, o->init.kind);
    return true;
}

static bool read_line_end(OpText *o)
{
    Reader *r = o->r;
    if (r->token.starts_line || r->token.kind == TOKEN_END || read_at(r, '}'))
        return true;
    return read_unexpected(r, "`,` or the end of the line");
}

static bool read_whole_op(OpText *o, Block *block)
{
    uint32_t begin = o->r->token.begin;
    if (!read_results(o) || !read_kind(o) || !read_args(o) || !read_marks(o) || !read_types(o))
        return false;
    o->span = read_since(o->r, begin);
    if (o->r->token.kind == TOKEN_BAD) /* reported: what is missing may be what it was meant to be */
        return false;
    if (!nothing_is_missing(o) || !read_regions(o) || !read_line_end(o))
        return false;
    return !o->broken && build(o, block);
}

static bool read_op(Reader *r, Block *block)
{
    OpText op = {.r = r};
    uint32_t begin = r->token.begin;
    if (read_whole_op(&op, block))
        return true;
    bool whole = r->token.begin > begin && (r->token.starts_line || read_at(r, '}'));
    if (!whole)
        read_recover(r, begin);
    for (size_t i = 0; i < op.result.len; i++)
        read_define_broken(r, op.result.at[i]);
    return false;
}

bool read_block(Reader *r, Block *block, Span open, bool *good)
{
    while (!read_at(r, '}') && r->token.kind != TOKEN_END) {
        if (r->token.starts_line && (read_at_word(r, "network") || read_at_word(r, "const")))
            break;
        const Op *last = block->last;
        if (*good && last && op_info(r->m, last->kind)->terminator) {
            diag_error(r->diags, read_span(r, r->token), "nothing can follow `%s` in its block", op_info(r->m, last->kind)->name);
            *good = false;
        }
        *good &= read_op(r, block);
    }
    Span close = read_span(r, r->token);
    if (r->abandoned || !read_accept(r, '}')) {
        *good = false;
        return !r->abandoned && READ_FAIL(r, open, "the `{` opened here is not closed");
    }
    if (*good && (!block->last || !op_info(r->m, block->last->kind)->terminator))
        *good = READ_FAIL(r, close, "this block must end with %s",
                          r->scope->depth > 0 ? "`yield`, `return` or `refuse`" : "`return` or `refuse`");
    return true;
}
