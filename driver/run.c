/* run.c — `cnetc run`: evaluate rows of inputs, natively or by the interpreter, and count.
 *
 * In: a compiled session. Out: rows of outputs in files or on standard output; operation figures on request.
 */
#include "driver.h"

#include <math.h>
#include <string.h>

/* Outputs of a row that the network refused were not written: NaN says so, and 0 where there is no NaN. */
static void clear_row(const Tables *out, size_t row)
{
    for (uint32_t i = 0; i < out->n; i++) {
        Type t = out->table[i].row;
        uint8_t *at = table_row(&out->table[i], row);
        for (uint64_t k = 0; k < type_count(t); k++, at += type_element_bytes(t)) {
            if (t.elem == ELEM_F32)
                memcpy(at, &(float){NAN}, sizeof(float));
            else if (t.elem == ELEM_F64)
                memcpy(at, &(double){NAN}, sizeof(double));
            else
                memset(at, 0, type_element_bytes(t));
        }
    }
}

/* Why rows may have been refused, to be read before "refused": the box, or the network itself (a key that is in no table). */
static const char *why_refused(const Network *net)
{
    bool boxed = false;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        boxed |= net->input[i].box != 0;
    return boxed && net->options.outside == OUTSIDE_status ? "outside the box and " : "";
}

static void report_status(Session *s, const Tables *out, const int *status)
{
    size_t outside = 0, refused = 0, bad = 0, first = 0;
    for (size_t row = 0; row < out->rows; row++) {
        if (status[row] == 0)
            continue;
        if (outside + refused + bad == 0)
            first = row;
        if (status[row] < 0)
            clear_row(out, row);
        outside += status[row] > 0;
        refused += status[row] == -1;
        bad += status[row] < -1;
    }
    if (bad > 0)
        diag_error(s->diags, NOWHERE, "%zu of %zu rows are no inputs of this network (the first is row %zu): an index beyond its range, or code "
                   "for another CPU", bad, out->rows, first + 1);
    if (refused > 0)
        diag_warning(s->diags, NOWHERE, "outside", "%zu of %zu rows were %srefused (the first is row %zu): their outputs are NaN or 0",
                     refused, out->rows, why_refused(s->entry), first + 1);
    if (outside > 0)
        diag_warning(s->diags, NOWHERE, "outside", "%zu of %zu rows were outside the box (the first is row %zu)", outside, out->rows, first + 1);
}

/* All outputs are complete before the first has its name, and none appears when something was wrong. */
static bool write_outputs(Session *s, const Tables *out)
{
    const NamedFiles *files = &s->options->outputs;
    OutFile **written = NEW_ARRAY(s->arena, files->len + 1, OutFile *);
    if (files->len == 0) {
        if (s->options->ops != OPS_NONE)
            return true;
        if (out->n != 1) {
            diag_error(s->diags, NOWHERE, "network `%s` has %u outputs; say where each goes: --output=%s=FILE", s->entry->name, out->n, s->entry->output[0].name);
            return false;
        }
        written[0] = fe_write_samples(s->arena, s->diags, "-", &out->table[0]);
        return written[0] && out_commit(written[0], s->diags);
    }
    for (size_t i = 0; i < files->len; i++) {
        uint32_t k = 0;
        while (k < out->n && !(files->at[i].name ? strcmp(files->at[i].name, s->entry->output[k].name) == 0 : out->n == 1))
            k++;
        if (k == out->n) {
            diag_error(s->diags, NOWHERE, "--output: network `%s` has no output `%s`; its first is `%s`: --output=%s=FILE", s->entry->name,
                       files->at[i].name ? files->at[i].name : "", s->entry->output[0].name, s->entry->output[0].name);
            return false;
        }
        if (!session_may_write(s, files->at[i].path))
            return false;
        written[i] = fe_write_samples(s->arena, s->diags, files->at[i].path, &out->table[k]);
        if (!written[i])
            return false;
    }
    return diag_errors(s->diags) == 0 && out_commit_all(written, files->len, s->diags);
}

bool verb_run(Session *s)
{
    Tables in, out;
    Evaluator evaluator;
    Measured measured = {0};
    if (!read_tables(s, &s->options->inputs, "input", s->entry->n_inputs, s->entry->input, &in) ||
        !evaluator_new(s, s->entry, s->options->engine, &evaluator))
        return false;
    out = new_tables(s->arena, s->entry->n_outputs, s->entry->output, in.rows);
    int *status = NEW_ARRAY(s->arena, in.rows, int);
    evaluate_rows(&evaluator, &in, &out, s->options->ops == OPS_NONE ? NULL : &measured, status);
    report_status(s, &out, status);
    if (!write_outputs(s, &out))
        return false;
    if (s->options->ops == OPS_JSON)
        ops_json(s, &measured, stdout);
    else if (s->options->ops == OPS_TABLE)
        ops_table(s, &measured, stdout);
    return true;
}
