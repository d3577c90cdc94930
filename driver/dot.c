/* dot.c — the network as a Graphviz picture: one box an op, one arrow a value, one frame a region.
 *
 * In: a module. Out: text for `dot -Tsvg`, the same for the same module. Nodes are called after the first value they
 * define; ops that define none (yield, return) and frames are numbered.
 */
#include "driver.h"

typedef struct Dot { FILE *out; const Network *net; unsigned next, frame, network; } Dot;

static void put_label(Dot *d, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', d->out);
        fputc(*s, d->out);
    }
}

static void put_value(Dot *d, Value v)
{
    const ValueInfo *info = value_info(d->net, v);
    fprintf(d->out, "n%u_%u", d->network, info->op ? info->op->result[0] : info->block->arg[info->index]);
}

static void put_block(Dot *d, const Block *block);

static void put_op(Dot *d, const Op *op)
{
    const Module *m = d->net->module;
    char *node = op->n_results > 0 ? str_printf(m->arena, "n%u_%u", d->network, op->result[0]) : str_printf(m->arena, "end%u", d->next++);
    fprintf(d->out, "  %s [label=\"%s", node, op_info(m, op->kind)->name);
    for (int s = 0; s < OP_MAX_CONSTS; s++)
        if (op->cst[s]) {
            fputs(" @", d->out);
            put_label(d, const_get(m, op->cst[s])->name);
        }
    for (uint32_t i = 0; i < op->n_results; i++)
        fprintf(d->out, "\\n%s", type_print(m->arena, value_type(d->net, op->result[i])));
    fputs("\"];\n", d->out);
    for (uint32_t i = 0; i < op->n_operands; i++) {
        if (!op_operand(op, i))
            continue;
        fputs("  ", d->out);
        put_value(d, op_operand(op, i));
        fprintf(d->out, " -> %s;\n", node);
    }
    for (uint32_t r = 0; r < op->n_regions; r++) {
        fprintf(d->out, "  subgraph cluster%u {\n  label=\"%s %u\";\n", d->frame++, op_info(m, op->kind)->name, r);
        put_block(d, op->region[r]);
        fputs("  }\n", d->out);
    }
}

static void put_block(Dot *d, const Block *block)
{
    for (uint32_t i = 0; i < block->n_args; i++) {
        const ValueInfo *info = value_info(d->net, block->arg[i]);
        fprintf(d->out, "  n%u_%u [shape=ellipse, label=\"", d->network, block->arg[i]);
        put_label(d, info->name ? info->name : "");
        fprintf(d->out, "\\n%s\"];\n", type_print(d->net->module->arena, info->type));
    }
    for (const Op *op = block->first; op; op = op->next)
        put_op(d, op);
}

void emit_dot(const Module *m, FILE *out)
{
    Dot d = {.out = out};
    fputs("digraph cnet {\n  node [shape=box, fontname=monospace];\n", out);
    for (size_t k = 0; k < m->networks.len; k++) {
        d.net = m->networks.at[k];
        d.network = (unsigned)k;
        fprintf(out, "  subgraph cluster%u {\n  label=\"", d.frame++);
        put_label(&d, d.net->name);
        fputs("\";\n", out);
        put_block(&d, d.net->body);
        fputs("  }\n", out);
    }
    fputs("}\n", out);
}
