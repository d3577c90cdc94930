/* print.c — a module as text that ir_read reads back and that prints the same again.
 *
 * In: a module, valid or not (the verifier prints what it complains about). Out: its text. The one idea: an op is printed
 * by walking the items of its row (OpInfo.item, from the syntax column of ops.def), so a new op prints without new code here:
 *
 *      %y = affine %x, @W[%i], @b, cols = %s, order = chains(4) !site(3) !lower(mask) : f32[50]
 *      results   op    items of the row, absent optional ones left out    annotations    result types
 *
 * Names come from the source; the nameless are numbered in the order of the text, so that reading them back numbers alike.
 */
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printer {
    FILE *out;
    const Module *m;
    const Network *net;
    const char **name;           /* of values, with % */
    Arena *scratch;
    bool sites;
} Printer;

/* ---- names of values ---- */

typedef struct Namer {
    Arena *arena;
    const Network *net;
    const char **name;
    Names taken;
    uint32_t next_number;
} Namer;

static void name_value(Namer *nm, Value v, const char *name)
{
    if (v >= nm->net->values.len || nm->name[v])
        return;
    nm->name[v] = name ? str_printf(nm->arena, "%%%s", name_quoted(nm->arena, names_unique(&nm->taken, name)))
                       : str_printf(nm->arena, "%%%u", nm->next_number++);
}

static void name_values(Namer *nm, uint32_t n, const Value *v)
{
    for (uint32_t i = 0; i < n; i++)
        name_value(nm, v[i], v[i] < nm->net->values.len ? nm->net->values.at[v[i]].name : NULL);
}

/* In the order of the text: results of an op, then its regions. */
static void name_block(Namer *nm, const Block *block, uint32_t depth)
{
    name_values(nm, block->n_args, block->arg);
    for (const Op *op = block->first; op; op = op->next) {
        name_values(nm, op->n_results, op->result);
        for (uint32_t r = 0; r < op->n_regions && depth <= TEXT_NESTING; r++)
            name_block(nm, op->region[r], depth + 1);
    }
}

const char **print_value_names(Arena *arena, const Network *net)
{
    Namer nm = {.arena = arena, .net = net, .name = NEW_ARRAY(arena, net->values.len, const char *), .taken = {.arena = arena}};
    for (uint32_t i = 0; i < net->n_inputs && i < net->body->n_args; i++) /* as users know them */
        name_value(&nm, net->body->arg[i], net->input[i].name);
    name_block(&nm, net->body, 0);
    return nm.name;
}

static const char *value_text(const Printer *p, Value v)
{
    return v > 0 && v < p->net->values.len && p->name[v] ? p->name[v] : "%?";
}

static const char *type_text(const Printer *p, Value v)
{
    return v > 0 && v < p->net->values.len ? type_print(p->scratch, p->net->values.at[v].type) : "?";
}

/* Of an op that may be broken: the verifier prints those. */
static Value operand(const Printer *p, const Op *op, uint32_t slot)
{
    return slot < op->n_operands && op->operand[slot] < p->net->values.len ? op_operand(op, slot) : 0;
}

static const char *const_text(const Printer *p, ConstId id)
{
    return id < p->m->consts.len && p->m->consts.at[id] ? p->m->consts.at[id]->name : "?";
}

/* ---- items of a row ---- */

static void print_attr(const Printer *p, const Item *item, const Attr *attr)
{
    size_t n;
    const char *const *words = attr_words(item->attr, &n);
    switch (item->attr) {
    case ATTR_INT:
        fprintf(p->out, "%" PRId64, attr->i);
        return;
    case ATTR_INTS:
        fputc('[', p->out);
        for (uint32_t i = 0; i < attr->n; i++)
            fprintf(p->out, "%s%" PRId64, i ? ", " : "", attr->list[i]);
        fputc(']', p->out);
        return;
    case ATTR_CHAINS:
        fprintf(p->out, "chains(%" PRId64 ")", attr->i);
        return;
    case ATTR_CMP:
    case ATTR_ACTIVE:
    case ATTR_REDUCE:
    case ATTR_ZEROS:
    case ATTR_METHOD:
    case ATTR_UNSEEN:
        fputs(attr->i >= 0 && (size_t)attr->i < n ? words[attr->i] : "?", p->out);
        return;
    case ATTR_NETWORK:
        if (attr->i >= 0 && (size_t)attr->i < p->m->networks.len)
            fprintf(p->out, "@%s", name_quoted(p->scratch, p->m->networks.at[attr->i]->name));
        else
            fputs("@?", p->out);
        return;
    }
}

/* One sum is what no order says: seq, and 0 for whoever left the attribute alone, are printed as nothing. */
static bool attr_is_absent(const Item *item, const Attr *attr)
{
    return item->optional && (attr->i == 0 || (item->attr == ATTR_CHAINS && attr->i == 1));
}

static const char *separator(bool *first)
{
    const char *text = *first ? " " : ", ";
    *first = false;
    return text;
}

static void print_const_item(const Printer *p, const Op *op, const Item *item, bool *first)
{
    if (op->cst[item->slot] == 0)
        return;
    fprintf(p->out, "%s@%s", separator(first), const_text(p, op->cst[item->slot]));
    if (item->index_slot >= 0 && operand(p, op, (uint32_t)item->index_slot))
        fprintf(p->out, "[%s]", value_text(p, operand(p, op, (uint32_t)item->index_slot)));
}

static void print_item(const Printer *p, const Op *op, const Item *item, bool *first)
{
    switch (item->kind) {
    case ITEM_OPERAND:
        fprintf(p->out, "%s%s", separator(first), value_text(p, operand(p, op, item->slot)));
        return;
    case ITEM_KEYED:
        if (operand(p, op, item->slot))
            fprintf(p->out, "%s%s = %s", separator(first), item->key, value_text(p, operand(p, op, item->slot)));
        return;
    case ITEM_VARIADIC:
        for (uint32_t i = op_info(p->m, op->kind)->n_fixed; i < op->n_operands; i++)
            fprintf(p->out, "%s%s", separator(first), value_text(p, operand(p, op, i)));
        return;
    case ITEM_CONST:
        print_const_item(p, op, item, first);
        return;
    case ITEM_KEYED_CONST:
        if (op->cst[item->slot])
            fprintf(p->out, "%s%s = @%s", separator(first), item->key, const_text(p, op->cst[item->slot]));
        return;
    case ITEM_ATTR:
        if (attr_is_absent(item, &op->attr[item->slot]))
            return;
        fprintf(p->out, "%s%s = ", separator(first), item->key);
        print_attr(p, item, &op->attr[item->slot]);
        return;
    case ITEM_REGION:
    case ITEM_REGIONS:
        return;
    }
}

static void print_marks(const Printer *p, const Op *op)
{
    if (p->sites && op->site)
        fprintf(p->out, " !site(%u)", op->site);
    if (op->lower != LOWER_auto && op->lower <= LOWER_permute)
        fprintf(p->out, " !lower(%s", LOWER_WORDS[op->lower]);
    if (op->lower != LOWER_auto && op->lower <= LOWER_permute && op->below)
        fprintf(p->out, ", below = %u", op->below);
    if (op->lower != LOWER_auto && op->lower <= LOWER_permute)
        fputc(')', p->out);
}

/* An op without its regions. */
static void print_head(const Printer *p, const Op *op)
{
    const OpInfo *info = op_info(p->m, op->kind);
    for (uint32_t i = 0; i < op->n_results; i++)
        fprintf(p->out, "%s%s", i ? ", " : "", value_text(p, op->result[i]));
    fprintf(p->out, "%s%s", op->n_results ? " = " : "", info->name);
    bool first = true;
    for (uint32_t i = 0; i < info->n_items; i++)
        print_item(p, op, &info->item[i], &first);
    print_marks(p, op);
    for (uint32_t i = 0; i < op->n_results; i++)
        fprintf(p->out, "%s%s", i ? ", " : " : ", type_text(p, op->result[i]));
}

/* ---- blocks ---- */

static void print_block(const Printer *p, const Block *block, uint32_t depth);

static void indent(const Printer *p, uint32_t depth)
{
    fprintf(p->out, "%*s", (int)(4 * depth), "");
}

static void print_block_args(const Printer *p, const Block *block)
{
    if (block->n_args == 0)
        return;
    for (uint32_t i = 0; i < block->n_args; i++)
        fprintf(p->out, "%s%s: %s", i ? ", " : " |", value_text(p, block->arg[i]), type_text(p, block->arg[i]));
    fputc('|', p->out);
}

/* The word before region `r`, from the row: `else`. */
static const char *region_word(const OpInfo *info, uint32_t r)
{
    for (uint32_t i = 0; i < info->n_items; i++)
        if (info->item[i].kind == ITEM_REGION && info->item[i].slot == r)
            return info->item[i].key;
    return "";
}

static void print_op(const Printer *p, const Op *op, uint32_t depth)
{
    indent(p, depth);
    print_head(p, op);
    for (uint32_t r = 0; r < op->n_regions; r++) {
        const char *word = region_word(op_info(p->m, op->kind), r);
        fprintf(p->out, " %s%s{", word, *word ? " " : "");
        print_block_args(p, op->region[r]);
        fputc('\n', p->out);
        print_block(p, op->region[r], depth + 1);
        indent(p, depth);
        fputc('}', p->out);
    }
    fputc('\n', p->out);
}

static void print_block(const Printer *p, const Block *block, uint32_t depth)
{
    for (const Op *op = block->first; op; op = op->next)
        print_op(p, op, depth);
}

/* ---- networks ---- */

static void print_inputs(const Printer *p)
{
    const Network *net = p->net;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        fprintf(p->out, "%s%s: %s", i ? ", " : "", i < net->body->n_args ? value_text(p, net->body->arg[i]) : "%?",
                type_print(p->scratch, net->input[i].type));
        if (net->input[i].box)
            fprintf(p->out, " within @%s", const_text(p, net->input[i].box));
    }
}

static void print_outputs(const Printer *p)
{
    for (uint32_t i = 0; i < p->net->n_outputs; i++)
        fprintf(p->out, "%s%s: %s", i ? ", " : "", name_quoted(p->scratch, p->net->output[i].name),
                type_print(p->scratch, p->net->output[i].type));
}

/* What differs from the defaults. */
static void print_options(const Printer *p)
{
    const NetOptions *o = &p->net->options;
    const char *before = " options(";
    if (o->numerics != NUMERICS_exact)
        fprintf(p->out, "%snumerics = %s", before, NUMERICS_WORDS[o->numerics]), before = ", ";
    if (o->contract != CONTRACT_off)
        fprintf(p->out, "%scontract = %s", before, CONTRACT_WORDS[o->contract]), before = ", ";
    if (o->outside != OUTSIDE_dense)
        fprintf(p->out, "%soutside = %s", before, OUTSIDE_WORDS[o->outside]), before = ", ";
    if (p->net->certified_error != 0) {
        fprintf(p->out, "%scertified_error = ", before), before = ", ";
        float_print(p->out, p->net->certified_error);
    }
    if (*before == ',')
        fputc(')', p->out);
}

static void print_network(const Network *net, FILE *out, bool sites)
{
    Arena *scratch = arena_new(net->module->arena);
    if (!scratch)
        arena_exhausted(net->module->arena);
    Printer printer = {out, net->module, net, print_value_names(scratch, net), scratch, sites}, *p = &printer;
    fprintf(out, "network @%s(", name_quoted(p->scratch, net->name));
    print_inputs(p);
    fputs(") -> (", out);
    print_outputs(p);
    fputc(')', out);
    print_options(p);
    fputs(" {\n", out);
    print_block(p, net->body, 1);
    fputs("}\n", out);
    arena_free(p->scratch);
}

/* ---- the interface ---- */

void ir_print(const Module *m, FILE *out, const PrintOptions *options)
{
    PrintOptions defaults = {.sites = true};
    if (!options)
        options = &defaults;
    fprintf(out, "format_version %d\n", IR_FORMAT_VERSION);
    if (options->data_name && !options->inline_all)
        fprintf(out, "data %s\n", name_in_quotes(m->arena, options->data_name));
    fputc('\n', out);
    print_consts(m, out, options);
    for (size_t i = 0; i < m->networks.len; i++) {
        fputs(i ? "\n" : "", out);
        print_network(m->networks.at[i], out, options->sites);
    }
}

/* What open_memstream holds, released with an arena. */
typedef struct MemoryStream { FILE *out; char *text; size_t len; } MemoryStream;

static void release_stream(void *object)
{
    MemoryStream *stream = object;
    if (stream->out)
        fclose(stream->out);
    free(stream->text);
}

char *print_op_line(Arena *arena, const Network *net, const Op *op)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    MemoryStream *stream = NEW(scratch, MemoryStream);
    arena_defer(scratch, release_stream, stream);
    stream->out = open_memstream(&stream->text, &stream->len);
    if (!stream->out)
        arena_exhausted(arena);
    Printer p = {stream->out, net->module, net, print_value_names(scratch, net), scratch, false};
    print_head(&p, op);
    if (fflush(stream->out) != 0)
        arena_exhausted(arena);
    char *line = str_ndup(arena, stream->text, stream->len);
    arena_free(scratch);
    return line;
}
