/* measure.c — operation figures: what a network costs as written, as compiled, at most, and on the rows that were run.
 *
 * In: a compiled session, counts of rows. Out: a table for people, or the JSON object that scripts rely on.
 */
#include "driver.h"

#include <math.h>

void measured_add(Measured *m, Counts row)
{
    m->rows++;
    m->sum = counts_add(m->sum, row);
    if (m->rows == 1 || counts_total(row) > m->total_max) {
        m->total_max = counts_total(row);
        m->max = row;
    }
}

/* One figure: its kinds, and their sum (a bound's total can be less than the sum of its kinds' bounds: no one path need
 * reach them all). */
typedef struct Figure { const char *name, *meaning; double add, mul, cmp, other, total; } Figure;

static Figure whole(const char *name, const char *meaning, Counts c, uint64_t total)
{
    return (Figure){name, meaning, (double)c.add, (double)c.mul, (double)c.cmp, (double)c.other, (double)total};
}

static Figure mean(const Measured *m)
{
    double n = (double)m->rows;
    return (Figure){"mean_ops", "mean over the rows", (double)m->sum.add / n, (double)m->sum.mul / n, (double)m->sum.cmp / n,
                    (double)m->sum.other / n, (double)counts_total(m->sum) / n};
}

/* As the papers count a tree: each node is the neuron relu(z - t), an addition beside its comparison. */
static Counts paper_counts(const Network *net, Counts bound)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        uint64_t least, most;
        if (op->kind != OP_descend)
            continue;
        op_event_range(net, op, &least, &most);
        bound.add += most;
    }
    return bound;
}

static size_t figures(const Session *s, const Measured *measured, Figure *f)
{
    NetworkCost cost = network_cost(s->entry);
    Counts guard = network_guard_cost(s->entry), paper = paper_counts(s->entry, cost.range.max);
    size_t n = 0;
    f[n++] = whole("dense_ops", "as written, unconditional", s->dense_ops, counts_total(s->dense_ops));
    f[n++] = whole("nonzero_ops", "as written, zero weights left out", s->nonzero_ops, counts_total(s->nonzero_ops));
    if (measured && measured->rows > 0) {
        f[n++] = mean(measured);
        f[n++] = whole("max_ops", "the row that cost most", measured->max, measured->total_max);
    }
    f[n++] = whole("bound_ops", "proven: no input costs more", cost.range.max, cost.total_max);
    f[n++] = whole("guard_ops", "of these, checks of the box", guard, counts_total(guard));
    f[n++] = whole("paper_ops", "the bound as the papers count", paper, cost.total_max + (paper.add - cost.range.max.add));
    return n;
}

static void json_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*s);
        else
            fprintf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    }
    fputc('"', out);
}

static void json_number(FILE *out, const char *key, double v)
{
    fprintf(out, v == floor(v) && v < 0x1p63 ? "\"%s\": %.0f" : "\"%s\": %.6f", key, v);
}

static void json_figure(FILE *out, const Figure *f)
{
    fprintf(out, "  \"%s\": {", f->name);
    const char *key[] = {"add", "mul", "cmp", "other", "total"};
    const double value[] = {f->add, f->mul, f->cmp, f->other, f->total};
    for (int i = 0; i < 5; i++) {
        fputs(i ? ", " : "", out);
        json_number(out, key[i], value[i]);
    }
    fputs("},\n", out);
}

void ops_json(const Session *s, const Measured *measured, FILE *out)
{
    Figure f[8];
    size_t n = figures(s, measured, f);
    fprintf(out, "{\n  \"format_version\": 1,\n  \"network\": ");
    json_string(out, s->entry->name);
    fprintf(out, ",\n  \"inputs\": %llu,\n", (unsigned long long)(measured ? measured->rows : 0));
    for (size_t i = 0; i < n; i++)
        json_figure(out, &f[i]);
    fprintf(out, "  \"model_bytes\": %llu,\n  \"fallback_bytes\": 0,\n  \"dense_bytes\": %llu\n}\n",
            (unsigned long long)network_const_bytes(s->entry), (unsigned long long)s->dense_bytes);
}

void ops_table(const Session *s, const Measured *measured, FILE *out)
{
    Figure f[8];
    size_t n = figures(s, measured, f);
    fprintf(out, "network %s", s->entry->name);
    if (measured)
        fprintf(out, ", %llu rows", (unsigned long long)measured->rows);
    fprintf(out, "\n%-12s %12s %12s %12s %10s %12s\n", "", "add", "mul", "cmp", "other", "total");
    for (size_t i = 0; i < n; i++) {
        int digits = f[i].total == floor(f[i].total) && f[i].add == floor(f[i].add) ? 0 : 1;
        fprintf(out, "%-12s %12.*f %12.*f %12.*f %10.*f %12.*f   %s\n", f[i].name, digits, f[i].add, digits, f[i].mul, digits, f[i].cmp,
                digits, f[i].other, digits, f[i].total, f[i].meaning);
    }
    fprintf(out, "constants    %llu bytes compiled, %llu as written\n", (unsigned long long)network_const_bytes(s->entry),
            (unsigned long long)s->dense_bytes);
}
