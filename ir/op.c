/* op.c — the rows of ops.def as data: their syntax strings parsed once, when a module is made.
 *
 * Printer, reader, verifier and manual look at OpInfo only, so a new op is a new row.
 */
#include "ir.h"

#include <ctype.h>
#include <string.h>

/* Passes and the back end address these slots by name. */
_Static_assert(AFFINE_x == 0 && AFFINE_i == 1 && AFFINE_j == 2 && AFFINE_cols == 3 && AFFINE_rows == 4, "as in ops.def");
_Static_assert(AFFINE_W == 0 && AFFINE_b == 1 && AFFINE_order == 0 && AFFINE_zeros == 1, "as in ops.def");

_Static_assert(MEMORIZE_keys == 0 && MEMORIZE_labels == 1 && MEMORIZE_weights == 2 && MEMORIZE_default == 3, "as in ops.def");
_Static_assert(MEMORIZE_method == 0 && MEMORIZE_unseen == 1 && MEMORIZE_depth == 2, "as in ops.def");

typedef struct Scan { const char *at; const char *op; } Scan;

static void scan_word(Scan *s, char *out)
{
    size_t n = 0;
    while (isalnum((unsigned char)*s->at) || *s->at == '_') {
        if (n + 1 >= sizeof((Item *)0)->key)
            ICE("ops.def: a name in `%s` is too long", s->op);
        out[n++] = *s->at++;
    }
    if (n == 0)
        ICE("ops.def: `%s`: a name was expected at `%s`", s->op, s->at);
    out[n] = '\0';
}

static bool scan_is(Scan *s, char c)
{
    if (*s->at != c)
        return false;
    s->at++;
    return true;
}

static void scan_expect(Scan *s, char c)
{
    if (!scan_is(s, c))
        ICE("ops.def: `%s`: `%c` was expected at `%s`", s->op, c, s->at);
}

static AttrKind attr_kind(const char *name, const char *op)
{
    static const struct { const char *name; AttrKind kind; } kinds[] = {
        {"int", ATTR_INT}, {"ints", ATTR_INTS}, {"chains", ATTR_CHAINS}, {"cmp", ATTR_CMP},
        {"active", ATTR_ACTIVE}, {"reduce", ATTR_REDUCE}, {"zeros", ATTR_ZEROS}, {"method", ATTR_METHOD}, {"unseen", ATTR_UNSEEN},
        {"network", ATTR_NETWORK},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    ICE("ops.def: `%s`: no attribute kind `%s`", op, name);
}

/* One item of a syntax string: see the head of ops.def. */
static void parse_item(Scan *s, OpInfo *info)
{
    Item *item = &info->item[info->n_items++];
    item->index_slot = -1;
    if (scan_is(s, '%')) {
        scan_word(s, item->key);
        if (scan_is(s, '*')) {
            item->kind = ITEM_VARIADIC;
            info->variadic = true;
            return;
        }
        item->kind = ITEM_OPERAND;
        item->slot = info->n_fixed++;
        return;
    }
    if (scan_is(s, '@')) {
        item->kind = ITEM_CONST;
        item->slot = info->n_consts++;
        scan_word(s, item->key);
        item->optional = scan_is(s, '?');
        if (scan_is(s, '[')) {
            char index[sizeof item->key];
            scan_expect(s, '%');
            scan_word(s, index);
            scan_is(s, '?');
            scan_expect(s, ']');
            item->index_slot = (int8_t)info->n_fixed++;
        }
        return;
    }
    if (!scan_is(s, '{'))
        scan_word(s, item->key);
    if (scan_is(s, '=')) {
        char name[sizeof item->key];
        bool constant = scan_is(s, '@');
        if (!constant)
            scan_expect(s, '%');
        scan_word(s, name);
        item->kind = constant ? ITEM_KEYED_CONST : ITEM_KEYED;
        item->optional = scan_is(s, '?');
        item->slot = constant ? info->n_consts++ : info->n_fixed++;
        return;
    }
    if (scan_is(s, ':')) {
        char kind[sizeof item->key];
        scan_word(s, kind);
        item->kind = ITEM_ATTR;
        item->attr = attr_kind(kind, s->op);
        item->optional = scan_is(s, '?');
        item->slot = info->n_attrs++;
        return;
    }
    /* A region, perhaps with a word before it (`else`): the word is its key. */
    char name[sizeof item->key];
    while (*s->at == ' ')
        s->at++;
    scan_is(s, '{');
    scan_word(s, name);
    scan_expect(s, '}');
    item->slot = info->n_regions++;
    item->kind = scan_is(s, '*') ? ITEM_REGIONS : ITEM_REGION;
    info->many_regions |= item->kind == ITEM_REGIONS;
}

static void parse_syntax(OpInfo *info)
{
    Scan s = {info->syntax, info->name};
    for (;;) {
        while (*s.at == ' ' || *s.at == ',')
            s.at++;
        if (!*s.at)
            break;
        parse_item(&s, info);
    }
    for (int i = 0; i < info->n_items; i++)
        if (info->item[i].kind == ITEM_VARIADIC)
            info->item[i].slot = info->n_fixed;
    if (info->n_fixed > OP_MAX_SLOTS || info->n_consts > OP_MAX_CONSTS || info->n_attrs > OP_MAX_ATTRS)
        ICE("ops.def: `%s` has too many slots", info->name);
}

const OpInfo *op_table(Arena *arena)
{
    /* `event` tells which ops are conditional places that profiles refer to. */
    static const struct { const char *name, *syntax, *meaning; CostEvent event; } rows[OP__COUNT] = {
#define OP(name, syntax, result, mul, add, cmp, other, event, meaning) {#name, syntax, meaning, EVENT_##event},
#include "ops.def"
#undef OP
    };
    OpInfo *table = NEW_ARRAY(arena, OP__COUNT, OpInfo);
    for (int k = 0; k < OP__COUNT; k++) {
        OpInfo *info = &table[k];
        info->name = rows[k].name;
        info->syntax = rows[k].syntax;
        info->meaning = rows[k].meaning;
        info->has_site = rows[k].event != EVENT_ONCE || k == OP_active || k == OP_topk;
        info->terminator = k == OP_yield || k == OP_return || k == OP_refuse;
        parse_syntax(info);
    }
    return table;
}

const OpInfo *op_info(const Module *m, OpKind kind)
{
    return &m->ops[kind];
}

OpKind op_named(const Module *m, const char *name, size_t len)
{
    for (int k = 0; k < OP__COUNT; k++)
        if (strlen(m->ops[k].name) == len && memcmp(m->ops[k].name, name, len) == 0)
            return (OpKind)k;
    return OP__COUNT;
}
