/* verify.c — every rule of the manual (README.md), checked.
 *
 * In: a module, from the builder, a pass or a text. Out: whether it is valid; what is not is named by the op as it prints
 * and by what was expected instead. The one idea: one check, two users. ir_verify stops at the first violation, which is a
 * compiler bug; the reader goes on and reports each at its place, which is a mistake in the text.
 *
 *      verify.c    ports, values, ops and their types, blocks       verify_control.c    regions and what leaves them
 *      verify_const.c    constants
 */
#include "verify.h"

#include <stdlib.h>
#include <string.h>

/* ---- complaining ---- */

bool check_is_done(const Checker *ch)
{
    return !ch->ok && ch->to->only_first;
}

static void complain(Checker *ch, Span span, const char *message)
{
    if (!check_is_done(ch))
        ch->to->report(ch->to->user, span, message);
    ch->ok = false;
}

const char *check_value_text(Checker *ch, Value v)
{
    if (!ch->name)
        ch->name = print_value_names(ch->scratch, ch->net);
    return v > 0 && v < ch->net->values.len && ch->name[v] ? ch->name[v] : "%?";
}

void check_complain(Checker *ch, const Op *op, const char *format, ...)
{
    if (check_is_done(ch))
        return;
    va_list args;
    va_start(args, format);
    const char *message = str_vprintf(ch->scratch, format, args);
    va_end(args);
    const char *net = name_quoted(ch->scratch, ch->net->name);
    complain(ch, op ? op->span : ch->net->span,
             op ? str_printf(ch->scratch, "in @%s, `%s`: %s", net, print_op_line(ch->scratch, ch->net, op), message)
                : str_printf(ch->scratch, "network @%s: %s", net, message));
}

const char *check_type_text(Checker *ch, Type t)
{
    return type_print(ch->scratch, t);
}

/* ---- ops: what op_infer presupposes ---- */

static bool const_exists(const Module *m, ConstId id)
{
    return id < m->consts.len && m->consts.at[id];
}

static void check_block(Checker *ch, const Block *block, uint32_t depth);

static void check_operands(Checker *ch, const Op *op)
{
    const OpInfo *info = op_info(ch->m, op->kind);
    if (op->n_operands < info->n_fixed) {
        check_complain(ch, op, "%u operands, expected at least %u", op->n_operands, info->n_fixed);
        return;
    }
    for (uint32_t i = 0; i < op->n_operands; i++) {
        if (op->operand[i] >= ch->net->values.len) {
            check_complain(ch, op, "operand %u is no value of this network", i);
            return;
        }
        Value v = op_operand(op, i);
        if (v && !ch->visible[v])
            check_complain(ch, op, "%s is not defined above it, in its block or a block around it", check_value_text(ch, v));
    }
}

static void check_consts(Checker *ch, const Op *op)
{
    const OpInfo *info = op_info(ch->m, op->kind);
    for (uint32_t s = 0; s < OP_MAX_CONSTS; s++)
        if (op->cst[s] && (s >= info->n_consts || !const_exists(ch->m, op->cst[s])))
            check_complain(ch, op, "constant number %u does not exist", op->cst[s]);
}

static void check_attrs(Checker *ch, const Op *op)
{
    const OpInfo *info = op_info(ch->m, op->kind);
    for (uint32_t i = 0; i < info->n_items; i++) {
        const Item *item = &info->item[i];
        if (item->kind != ITEM_ATTR)
            continue;
        const Attr *attr = &op->attr[item->slot];
        size_t n;
        if (attr_words(item->attr, &n) && (attr->i < 0 || (size_t)attr->i >= n))
            check_complain(ch, op, "%s = %lld means nothing", item->key, (long long)attr->i);
        if (item->attr == ATTR_CHAINS && !chains_are_valid(attr->i))
            check_complain(ch, op, "chains(%lld): expected a power of two up to %d", (long long)attr->i, IR_MAX_CHAINS);
        if (item->attr == ATTR_INTS && attr->n > 0 && !attr->list)
            check_complain(ch, op, "the entries of %s are missing", item->key);
        if (item->attr == ATTR_NETWORK && (attr->i < 0 || attr->i >= (int64_t)ch->number))
            check_complain(ch, op, "it calls network number %lld; a callee comes before its callers, which makes calls acyclic",
                        (long long)attr->i);
    }
    if (op->lower > LOWER_permute)
        check_complain(ch, op, "no such lowering");
    else if (op->lower >= LOWER_tree && op->kind != OP_search)
        check_complain(ch, op, "the lowering %s is one of searches", LOWER_WORDS[op->lower]);
    else if (op->lower != LOWER_auto && op->lower < LOWER_tree && op->kind == OP_search)
        check_complain(ch, op, "the lowering %s is none of searches: tree, bucket, binary or permute", LOWER_WORDS[op->lower]);
    if (op->lower == LOWER_gather && op->kind == OP_affine && op->attr[AFFINE_zeros].i != ZEROS_skip)
        check_complain(ch, op, "the lowering gather goes with zeros = skip");
    if (op->below > 0 && op->lower != LOWER_mask && op->lower != LOWER_list)
        check_complain(ch, op, "`below` goes with the lowerings mask and list");
}

/* ---- ops: types ---- */

static void check_types(Checker *ch, const Op *op)
{
    Value *operand = NEW_ARRAY(ch->scratch, op->n_operands, Value);
    for (uint32_t i = 0; i < op->n_operands; i++)
        operand[i] = op_operand(op, i);
    Type *hint = NEW_ARRAY(ch->scratch, op->n_results, Type);
    for (uint32_t i = 0; i < op->n_results; i++)
        hint[i] = value_type(ch->net, op->result[i]);
    OpInit init = {.kind = op->kind, .n_operands = op->n_operands, .operand = operand, .n_regions = op->n_regions,
                   .region = op->region, .n_hints = op->n_results, .hint = hint};
    memcpy(init.cst, op->cst, sizeof init.cst);
    memcpy(init.attr, op->attr, sizeof init.attr);
    uint32_t most = op->n_results > 3 ? op->n_results : 3, n;
    if (op->kind == OP_call && ch->m->networks.at[op->attr[0].i]->n_outputs > most)
        most = ch->m->networks.at[op->attr[0].i]->n_outputs;
    Type *type = NEW_ARRAY(ch->scratch, most, Type);
    Text why = text_new(ch->scratch);
    if (!op_infer(ch->m, ch->net, &init, type, &n, &why)) {
        check_complain(ch, op, "%s", why.at);
        return;
    }
    if (n != op->n_results)
        check_complain(ch, op, "%u results, expected %u", op->n_results, n);
    for (uint32_t i = 0; i < n && i < op->n_results; i++)
        if (!type_equal(type[i], hint[i]))
            check_complain(ch, op, "%s is %s, expected %s", check_value_text(ch, op->result[i]), check_type_text(ch, hint[i]), check_type_text(ch, type[i]));
}

/* Results are new values that know who defines them. */
static void check_results(Checker *ch, const Op *op)
{
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op->result[i];
        if (v == 0 || v >= ch->net->values.len) {
            check_complain(ch, op, "result %u is no value of this network", i);
            return;
        }
        const ValueInfo *info = &ch->net->values.at[v];
        if (info->op != op || info->index != i || info->block != op->parent)
            check_complain(ch, op, "%s does not know that it is result %u of this op", check_value_text(ch, v), i);
        if (!type_valid(info->type))
            check_complain(ch, op, "%s has an impossible type", check_value_text(ch, v));
    }
}

/* ---- blocks ---- */

static void check_op(Checker *ch, const Op *op, uint32_t depth)
{
    bool before = ch->ok;
    ch->ok = true;
    check_operands(ch, op);
    check_consts(ch, op);
    check_attrs(ch, op);
    check_results(ch, op);
    for (uint32_t r = 0; r < op->n_regions; r++)
        if (!op->region[r] || op->region[r]->owner != op || op->region[r]->network != ch->net)
            check_complain(ch, op, "region %u does not belong to it", r);
    if (ch->ok)
        check_types(ch, op);
    if (ch->ok)
        check_control(ch, op);
    bool sound = ch->ok;
    ch->ok &= before;
    for (uint32_t r = 0; sound && r < op->n_regions && !check_is_done(ch); r++)
        check_block(ch, op->region[r], depth + 1);
}

static void show_values(Checker *ch, uint32_t n, const Value *v, bool visible)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] > 0 && v[i] < ch->net->values.len)
            ch->visible[v[i]] = visible;
}

static void check_args(Checker *ch, const Block *block)
{
    for (uint32_t i = 0; i < block->n_args; i++) {
        Value v = block->arg[i];
        bool known = v > 0 && v < ch->net->values.len;
        const ValueInfo *info = known ? &ch->net->values.at[v] : NULL;
        if (!known || info->op || info->block != block || info->index != i || !type_valid(info->type))
            check_complain(ch, block->owner, "argument %u of its block is no value that knows so", i);
    }
}

static void check_end(Checker *ch, const Block *block)
{
    if (!block->last || !op_info(ch->m, block->last->kind)->terminator)
        check_complain(ch, block->owner, "%s must end with %s", block->owner ? "each region" : "its body",
                    block->owner ? "`yield`, `return` or `refuse`" : "`return` or `refuse`");
}

/* Values become visible as they are defined and invisible again when the block ends. */
static void check_block(Checker *ch, const Block *block, uint32_t depth)
{
    if (depth > TEXT_NESTING) {
        check_complain(ch, block->owner, "regions within regions, more than %d deep", TEXT_NESTING);
        return;
    }
    check_args(ch, block);
    show_values(ch, block->n_args, block->arg, true);
    const Op *before = NULL;
    for (const Op *op = block->first; op && !check_is_done(ch); before = op, op = op->next) {
        if (op->kind >= OP__COUNT || op->parent != block || op->prev != before) {
            check_complain(ch, block->owner, "its list of ops is broken");
            return;
        }
        if (op_info(ch->m, op->kind)->terminator && op->next)
            check_complain(ch, op, "nothing can follow it in its block");
        if (!check_is_done(ch))
            check_op(ch, op, depth);
        show_values(ch, op->n_results, op->result, true);
    }
    if (!check_is_done(ch) && block->last != before)
        check_complain(ch, block->owner, "its list of ops is broken");
    if (!check_is_done(ch))
        check_end(ch, block);
    show_values(ch, block->n_args, block->arg, false);
    for (const Op *op = block->first; op; op = op->next)
        show_values(ch, op->n_results, op->result, false);
}

/* ---- networks ---- */

static void check_box(Checker *ch, const Port *port)
{
    if (!const_exists(ch->m, port->box)) {
        check_complain(ch, NULL, "the box of input `%s` does not exist", port->name);
        return;
    }
    const Const *box = const_get(ch->m, port->box);
    uint64_t n = type_count(port->type);
    bool fits = box->kind == CONST_TENSOR && type_same_element(box->type, port->type) && box->type.rank == 2 &&
                box->type.dim[0] == 2 && box->type.dim[1] == n;
    if (!fits)
        complain(ch, port->span, str_printf(ch->scratch, "the box @%s of input `%s` is %s, expected %s[2,%llu]: the lower bounds, then the upper",
                                            box->name, port->name, check_type_text(ch, box->type), check_type_text(ch, type_element(port->type)),
                                            (unsigned long long)n));
}

static void check_ports(Checker *ch, const Port *port, uint32_t n, const char *what)
{
    Names names = {.arena = ch->scratch};
    if (n > TEXT_PORTS)
        check_complain(ch, NULL, "%u %ss, expected at most %d", n, what, TEXT_PORTS);
    for (uint32_t i = 0; i < n && !check_is_done(ch); i++) {
        bool is_new = true;
        if (!port[i].name) {
            check_complain(ch, NULL, "%s %u has no name", what, i);
            continue;
        }
        names_put(&names, port[i].name, &is_new);
        if (!is_new)
            complain(ch, port[i].span, str_printf(ch->scratch, "two %ss are called `%s`", what, port[i].name));
        if (!type_valid(port[i].type) || port[i].type.elem == ELEM_SET)
            complain(ch, port[i].span, str_printf(ch->scratch, "%s `%s` cannot have type %s", what, port[i].name, check_type_text(ch, port[i].type)));
        else if (port[i].box)
            check_box(ch, &port[i]);
    }
}

static void check_body_args(Checker *ch)
{
    const Network *net = ch->net;
    bool fit = net->body && !net->body->owner && net->body->n_args == net->n_inputs;
    for (uint32_t i = 0; fit && i < net->n_inputs; i++) {
        Value v = net->body->arg[i];
        fit = v > 0 && v < net->values.len && type_equal(net->values.at[v].type, net->input[i].type);
    }
    if (!fit)
        check_complain(ch, NULL, "the arguments of its body are not its inputs");
}

static int by_number(const void *a, const void *b)
{
    Site left = (*(const Op *const *)a)->site, right = (*(const Op *const *)b)->site;
    return (left > right) - (left < right);
}

/* Profiles refer to sites, so each is one op's. */
static void check_sites(Checker *ch)
{
    Vec(const Op *) ops = {0};
    OpWalk walk;
    FOR_EACH_OP (walk, op, ch->net)
        if (op->site)
            vec_push(ch->scratch, ops, op);
    if (ops.len > 1)
        qsort(ops.at, ops.len, sizeof *ops.at, by_number);
    for (size_t i = 0; i < ops.len && !check_is_done(ch); i++) {
        if (i > 0 && ops.at[i]->site == ops.at[i - 1]->site)
            check_complain(ch, ops.at[i], "site %u is another op's already", ops.at[i]->site);
        if (ops.at[i]->site > ch->net->last_site)
            check_complain(ch, ops.at[i], "site %u is beyond the last one, %u", ops.at[i]->site, ch->net->last_site);
    }
}

static void check_options(Checker *ch)
{
    const NetOptions *o = &ch->net->options;
    if (o->numerics > NUMERICS_real || o->contract > CONTRACT_fma || o->outside > OUTSIDE_promise)
        check_complain(ch, NULL, "an option has a value that means nothing");
    if (!(ch->net->certified_error >= 0))
        check_complain(ch, NULL, "its certified error is not a number >= 0");
}

bool verify_network(const Network *net, uint32_t number, const Complaints *to)
{
    const Module *m = net->module;
    Checker checker = {.m = m, .net = net, .to = to, .scratch = arena_new(m->arena), .number = number, .ok = true}, *ch = &checker;
    if (!ch->scratch)
        arena_exhausted(m->arena);
    ch->visible = NEW_ARRAY(ch->scratch, net->values.len, bool);
    check_ports(ch, net->input, net->n_inputs, "input");
    check_ports(ch, net->output, net->n_outputs, "output");
    check_options(ch);
    if (ch->ok)
        check_body_args(ch);
    if (ch->ok)
        check_block(ch, net->body, 0);
    if (ch->ok)
        check_sites(ch);
    arena_free(ch->scratch);
    return ch->ok;
}

/* ---- the interface ---- */

static void keep(void *user, Span span, const char *message)
{
    (void)span;
    text_add(user, "%s", message);
}

static bool names_are_unique(const Module *m, const Complaints *to)
{
    Arena *scratch = arena_new(m->arena);
    if (!scratch)
        arena_exhausted(m->arena);
    Names names = {.arena = scratch};
    bool unique = true;
    for (size_t i = 0; unique && i < m->networks.len; i++)
        names_put(&names, m->networks.at[i]->name, &unique);
    if (!unique)
        to->report(to->user, NOWHERE, "two networks have the same name");
    arena_free(scratch);
    return unique;
}

bool ir_verify(const Module *m, Text *why)
{
    Complaints to = {.report = keep, .user = why, .only_first = true};
    for (ConstId id = 1; id < m->consts.len; id++)
        if (m->consts.at[id] && !verify_const(m, id, &to))
            return false;
    for (size_t i = 0; i < m->networks.len; i++)
        if (!verify_network(m->networks.at[i], (uint32_t)i, &to))
            return false;
    return names_are_unique(m, &to);
}
