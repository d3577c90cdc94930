/* engine.c — evaluating rows: one interface over native code and the interpreter, tables of rows, progress.
 *
 * In: a compiled session and files of rows. Out: rows of outputs, and what they cost.
 */
#include "driver.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- evaluators --------------------------------------------------------------------------------------------------------- */

bool evaluator_new(Session *s, const Network *net, Engine engine, Evaluator *out)
{
    *out = (Evaluator){.net = net};
    if (engine == ENGINE_INTERP)
        out->interp = interp_new(s->arena, net);
    else
        out->jit = be_jit(s->arena, net, &s->options->target, s->options->isa_level);
    return out->interp || out->jit;
}

static bool counts_equal(Counts a, Counts b)
{
    return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other;
}

int evaluator_run(Evaluator *e, const void *const *in, void *const *out, Counts *counts)
{
    if (e->jit)
        return be_jit_run(e->jit, in, out, counts);
    Counts arithmetic = {0}, tallies = {0};
    int status = interp_run(e->interp, in, out, &arithmetic, &tallies, NULL);
    if (counts && network_is_counted(e->net) && !counts_equal(arithmetic, tallies))
        ICE("@%s: the interpreter executed %llu operations, its tallies say %llu", e->net->name,
            (unsigned long long)counts_total(arithmetic), (unsigned long long)counts_total(tallies));
    if (counts)
        *counts = counts_add(*counts, arithmetic);
    return status;
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------- */

void *table_row(const Samples *table, size_t row)
{
    return (uint8_t *)table->data + row * type_count(table->row) * type_element_bytes(table->row);
}

void rows_of(const Tables *tables, size_t row, void **at)
{
    for (uint32_t i = 0; i < tables->n; i++)
        at[i] = table_row(&tables->table[i], row);
}

Tables new_tables(Arena *arena, uint32_t n, const Port *ports, size_t rows)
{
    Tables t = {n, NEW_ARRAY(arena, n, Samples), rows};
    for (uint32_t i = 0; i < n; i++) {
        size_t bytes;
        if (!size_mul(rows, type_count(ports[i].type) * type_element_bytes(ports[i].type), &bytes))
            arena_exhausted(arena);
        t.table[i] = (Samples){rows, ports[i].type, arena_big(arena, bytes ? bytes : 1, 64)};
    }
    return t;
}

static const char *file_of(const NamedFiles *files, uint32_t n, const Port *port)
{
    for (size_t i = 0; i < files->len; i++)
        if (files->at[i].name ? strcmp(files->at[i].name, port->name) == 0 : n == 1)
            return files->at[i].path;
    return NULL;
}

static bool same_tensor(const char *a, const char *b, uint32_t n)
{
    return n == 1 || (a && b && strcmp(a, b) == 0);
}

/* Every file names a tensor there is, and no two name the same. */
static bool names_known(Session *s, const NamedFiles *files, const char *option, uint32_t n, const Port *ports)
{
    for (size_t i = 0; i < files->len; i++) {
        bool known = !files->at[i].name && n == 1;
        for (uint32_t k = 0; k < n; k++)
            known |= files->at[i].name && strcmp(files->at[i].name, ports[k].name) == 0;
        if (!known) {
            diag_error(s->diags, NOWHERE, "--%s: network `%s` has %u tensor%s there; say --%s=%s=FILE", option, s->entry->name, n, n == 1 ? "" : "s",
                       option, n > 0 ? ports[0].name : "NAME");
            return false;
        }
        for (size_t k = 0; k < i; k++)
            if (same_tensor(files->at[k].name, files->at[i].name, n)) {
                diag_error(s->diags, NOWHERE, "--%s: %s and %s are both for `%s`; give one of them", option, files->at[k].path, files->at[i].path,
                           files->at[i].name ? files->at[i].name : ports[0].name);
                return false;
            }
    }
    return true;
}

bool read_tables(Session *s, const NamedFiles *files, const char *option, uint32_t n, const Port *ports, Tables *out)
{
    *out = (Tables){n, NEW_ARRAY(s->arena, n, Samples), 1};
    if (!names_known(s, files, option, n, ports))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const char *path = file_of(files, n, &ports[i]);
        if (!path) {
            diag_error(s->diags, NOWHERE, "no rows for `%s` of network `%s`: give them by --%s=%s%sFILE", ports[i].name, s->entry->name,
                       option, n > 1 ? ports[i].name : "", n > 1 ? "=" : "");
            return false;
        }
        vec_push(s->arena, s->depends.names, path);
        if (!fe_read_samples(s->arena, s->diags, path, ports[i].type, &out->table[i]))
            return false;
        if (i > 0 && out->table[i].rows != out->rows) {
            diag_error(s->diags, NOWHERE, "%s has %zu row%s, but the table for `%s` has %zu", path, out->table[i].rows, out->table[i].rows == 1 ? "" : "s",
                       ports[0].name, out->rows);
            return false;
        }
        out->rows = out->table[i].rows;
    }
    return true;
}

void evaluate_rows(Evaluator *e, const Tables *in, const Tables *out, Measured *measured, int *status)
{
    void **inputs = NEW_ARRAY(e->net->module->arena, in->n, void *), **outputs = NEW_ARRAY(e->net->module->arena, out->n, void *);
    Progress progress = progress_start("evaluating", in->rows);
    for (size_t row = 0; row < in->rows; row++) {
        Counts counts = {0};
        rows_of(in, row, inputs);
        rows_of(out, row, outputs);
        int code = evaluator_run(e, (const void *const *)inputs, outputs, measured ? &counts : NULL);
        if (measured)
            measured_add(measured, counts);
        if (status)
            status[row] = code;
        progress_at(&progress, row);
    }
    progress_end(&progress);
}

/* ---- progress ----------------------------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Progress progress_start(const char *what, size_t total)
{
    double now = isatty(STDERR_FILENO) ? seconds() : -1;
    return (Progress){what, total, now, now, false};
}

void progress_at(Progress *p, size_t done)
{
    if (p->start < 0)
        return;
    double now = seconds();
    if (now - p->start < 1 || now - p->last < 0.25)
        return;
    p->last = now;
    p->shown = true;
    fprintf(stderr, "\r%s: %zu of %zu\033[K", p->what, done, p->total);
    fflush(stderr);
}

void progress_end(Progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
}
