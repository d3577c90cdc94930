/* report.c — `cnetc report`: one HTML page about a network: what it costs as written and compiled, op by op, and its IR.
 *
 * In: a compiled session, rows of inputs if given. Out: a page without scripts or outside references.
 */
#include "driver.h"

#include <stdlib.h>

static void put_text(FILE *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            fputs("&lt;", out);
        else if (*s == '&')
            fputs("&amp;", out);
        else
            fputc(*s, out);
    }
}

static void put_ports(Session *s, FILE *out, const char *title, uint32_t n, const Port *ports)
{
    for (uint32_t i = 0; i < n; i++) {
        fprintf(out, "<tr><td>%s</td><td>", title);
        put_text(out, ports[i].name);
        fprintf(out, "</td><td>%s</td><td>%s</td></tr>\n", type_print(s->arena, ports[i].type), ports[i].box ? "has a box" : "");
    }
}

/* One line an op: what it may cost at most. */
static void put_ops(Session *s, FILE *out)
{
    fputs("<h2>Op by op</h2><table><tr><th>op</th><th>result</th><th>add</th><th>mul</th><th>cmp</th><th>other</th></tr>\n", out);
    OpWalk walk;
    FOR_EACH_OP (walk, op, s->entry) {
        uint64_t least, most;
        op_event_range(s->entry, op, &least, &most);
        Counts c = counts_scale(op_cost(s->entry, op), most);
        if (counts_total(c) == 0)
            continue;
        fprintf(out, "<tr><td>%s</td><td>%s</td><td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td></tr>\n",
                op_info(s->module, op->kind)->name, op->n_results ? type_print(s->arena, value_type(s->entry, op->result[0])) : "",
                (unsigned long long)c.add, (unsigned long long)c.mul, (unsigned long long)c.cmp, (unsigned long long)c.other);
    }
    fputs("</table>\n", out);
}

/* Prints something that wants a FILE as escaped text. */
static bool put_captured(Session *s, FILE *out, const Measured *measured, void (*print)(Session *, const Measured *, FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        arena_exhausted(s->arena);
    print(s, measured, memory);
    bool complete = fclose(memory) == 0;
    fputs("<pre>", out);
    if (complete)
        put_text(out, text);
    fputs("</pre>\n", out);
    free(text);
    return complete;
}

static void print_figures(Session *s, const Measured *measured, FILE *out) { ops_table(s, measured, out); }

static void print_ir(Session *s, const Measured *measured, FILE *out)
{
    (void)measured;
    ir_print(s->module, out, &(PrintOptions){.sites = true});
}

static bool measure_rows(Session *s, Measured *measured)
{
    Tables in, out;
    Evaluator interp;
    if (!read_tables(s, &s->options->inputs, "input", s->entry->n_inputs, s->entry->input, &in) ||
        !evaluator_new(s, s->entry, ENGINE_INTERP, &interp))
        return false;
    out = new_tables(s->arena, s->entry->n_outputs, s->entry->output, in.rows);
    evaluate_rows(&interp, &in, &out, measured, NULL);
    return true;
}

bool verb_report(Session *s)
{
    Measured measured = {0};
    bool rows = s->options->inputs.len > 0;
    if (rows && !measure_rows(s, &measured))
        return false;
    const char *path = session_output(s, ".html");
    OutFile *file = session_may_write(s, path) ? out_open(s->arena, s->diags, path) : NULL;
    if (!file)
        return false;
    FILE *out = out_stream(file);
    fputs("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>", out);
    put_text(out, s->entry->name);
    fputs("</title>\n<style>body{font:15px sans-serif;max-width:72em;margin:2em auto;padding:0 1em}td,th{padding:.1em .8em;text-align:left}"
          "pre{background:#f4f4f4;padding:.8em;overflow:auto}</style>\n<h1>Network ", out);
    put_text(out, s->entry->name);
    fputs("</h1>\n<table>\n", out);
    put_ports(s, out, "input", s->entry->n_inputs, s->entry->input);
    put_ports(s, out, "output", s->entry->n_outputs, s->entry->output);
    fputs("</table>\n<h2>Operations and bytes</h2>\n", out);
    bool complete = put_captured(s, out, rows ? &measured : NULL, print_figures);
    NetworkSizes sizes = be_sizes(s->entry, &s->options->target);
    fprintf(out, "<p>Memory of the evaluator: %llu bytes of stack, %llu bytes of scratch; %llu bytes of constants.</p>\n",
            (unsigned long long)sizes.stack_bytes, (unsigned long long)sizes.scratch_bytes, (unsigned long long)(sizes.model_bytes + sizes.fallback_bytes));
    put_ops(s, out);
    fputs("<h2>IR</h2>\n", out);
    complete &= put_captured(s, out, NULL, print_ir);
    fputs("</html>\n", out);
    return complete && out_commit(file, s->diags);
}
