/* measure.c — operation figures: what a network costs as written, as compiled, at most, and on the rows that were run.
 *
 * In: a compiled session, counts of rows. Out: a table for people, or the JSON object that scripts rely on.
 */
#include "driver.h"


void measured_add(Measured *m, Counts row)
{
    m->rows++;
    m->sum = counts_add(m->sum, row);
    if (m->rows == 1 || counts_total(row) > m->total_max) {
        m->total_max = counts_total(row);
        m->max = row;
    }
}

/* One figure: its kinds and their sum (a bound's total can be less than the sum of its kinds' bounds: no one path need
 * reach them all), all to be divided by `per`: 1, or the number of rows of a mean. */
typedef struct Figure { const char *name, *meaning; Counts counts; uint64_t total, per; } Figure;

enum { KINDS = 5, FIGURES = 11 };
static const char *const kind_name[KINDS] = {"add", "mul", "cmp", "other", "total"};

static void kinds_of(const Figure *f, uint64_t kind[KINDS])
{
    kind[0] = f->counts.add, kind[1] = f->counts.mul, kind[2] = f->counts.cmp, kind[3] = f->counts.other, kind[4] = f->total;
}

/* In 1024ths, so that it prints like a mean. */
static Figure expected_figure(const Network *net)
{
    enum { UNIT = 1024 };
    MeanCounts mean = network_expected_cost(net);
    Counts c = {.add = (uint64_t)(mean.add * UNIT), .mul = (uint64_t)(mean.mul * UNIT), .cmp = (uint64_t)(mean.cmp * UNIT),
                .other = (uint64_t)(mean.other * UNIT)};
    return (Figure){"expected_ops", "if branches are even and sets half full", c, counts_total(c), UNIT};
}

static size_t figures(const Session *s, const Measured *measured, Figure *f)
{
    NetworkCost cost = network_cost(s->entry);
    uint64_t paper_total;
    Counts guard = network_guard_cost(s->entry), paper = network_paper_cost(s->entry, &paper_total);
    size_t n = 0;
    f[n++] = (Figure){"dense_ops", "as written, unconditional", s->dense_ops, counts_total(s->dense_ops), 1};
    f[n++] = (Figure){"nonzero_ops", "as written, zero weights left out", s->nonzero_ops, counts_total(s->nonzero_ops), 1};
    if (measured && measured->rows > 0) {
        f[n++] = (Figure){"mean_ops", "mean over the rows", measured->sum, counts_total(measured->sum), measured->rows};
        f[n++] = (Figure){"max_ops", "the row that cost most", measured->max, measured->total_max, 1};
    }
    f[n++] = (Figure){"min_ops", "proven: no input costs less", cost.range.min, cost.total_min, 1};
    f[n++] = expected_figure(s->entry);
    f[n++] = (Figure){"bound_ops", "proven: no input costs more", cost.range.max, cost.total_max, 1};
    if (network_inside_cost(s->entry, &cost))
        f[n++] = (Figure){"inside_ops", "proven: no input in the box costs more", cost.range.max, cost.total_max, 1};
    f[n++] = (Figure){"guard_ops", "of these, checks of the box", guard, counts_total(guard), 1};
    f[n++] = (Figure){"paper_ops", "the bound as the papers count", paper, paper_total, 1};
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

/* Exact when it is whole; `width` pads for tables. */
static void put_number(FILE *out, uint64_t sum, uint64_t per, int width, int digits)
{
    if (sum % per == 0)
        fprintf(out, "%*llu", width, (unsigned long long)(sum / per));
    else
        fprintf(out, "%*.*f", width, digits, (double)sum / (double)per);
}

static void json_figure(FILE *out, const Figure *f)
{
    uint64_t kind[KINDS];
    kinds_of(f, kind);
    fprintf(out, "  \"%s\": {", f->name);
    for (int i = 0; i < KINDS; i++) {
        fprintf(out, "%s\"%s\": ", i ? ", " : "", kind_name[i]);
        put_number(out, kind[i], f->per, 0, 6);
    }
    fputs("},\n", out);
}

/* Only networks with searches have it. */
static void json_exec(FILE *out, const Network *net)
{
    SearchExec exec;
    if (search_exec(net, &exec) > 0)
        fprintf(out, "  \"exec\": {\"lane_compares\": %llu, \"address_ops\": %llu, \"bytes\": %llu},\n",
                (unsigned long long)exec.lane_compares, (unsigned long long)exec.address_ops, (unsigned long long)exec.bytes);
}

static void table_exec(FILE *out, const Network *net)
{
    SearchExec exec;
    if (search_exec(net, &exec) > 0)
        fprintf(out, "exec         for searches, at most: %llu lanes compared, %llu operations on addresses, %llu bytes of tables loaded\n",
                (unsigned long long)exec.lane_compares, (unsigned long long)exec.address_ops, (unsigned long long)exec.bytes);
}

/* Only networks that are trees have it: how near to the bound an input comes, and which. */
static void json_worst(FILE *out, Session *s)
{
    Worst worst;
    if (!worst_found(s, &worst))
        return;
    json_figure(out, &(Figure){"worst_found", "", worst.counts, counts_total(worst.counts), 1});
    fputs("  \"worst_input\": [", out);
    for (uint32_t i = 0; i < worst.n; i++)
        fprintf(out, "%s%.17g", i ? ", " : "", worst.x[i]);
    fputs("],\n", out);
}

static void table_worst(FILE *out, Session *s)
{
    Worst worst;
    if (!worst_found(s, &worst))
        return;
    fprintf(out, "worst found  %llu operations, at ", (unsigned long long)counts_total(worst.counts));
    for (uint32_t i = 0; i < worst.n; i++)
        fprintf(out, "%s%.9g", i ? ", " : "", worst.x[i]);
    NetworkCost cost;
    uint64_t bound = network_inside_cost(s->entry, &cost) ? cost.total_max : network_cost(s->entry).total_max;
    fprintf(out, "%s\n", counts_total(worst.counts) == bound ? ": the bound is reached" : "");
}

void ops_json(Session *s, const Measured *measured, FILE *out)
{
    Figure f[FIGURES];
    size_t n = figures(s, measured, f);
    fprintf(out, "{\n  \"format_version\": 1,\n  \"network\": ");
    json_string(out, s->entry->name);
    fprintf(out, ",\n  \"inputs\": %llu,\n", (unsigned long long)(measured ? measured->rows : 0));
    for (size_t i = 0; i < n; i++)
        json_figure(out, &f[i]);
    json_worst(out, s);
    json_exec(out, s->entry);
    NetworkSizes sizes = be_sizes(s->entry, &s->options->target);
    fprintf(out, "  \"model_bytes\": %llu,\n  \"fallback_bytes\": %llu,\n  \"dense_bytes\": %llu\n}\n",
            (unsigned long long)sizes.model_bytes, (unsigned long long)sizes.fallback_bytes, (unsigned long long)s->dense_bytes);
}

void ops_table(Session *s, const Measured *measured, FILE *out)
{
    Figure f[FIGURES];
    size_t n = figures(s, measured, f);
    fprintf(out, "network %s", s->entry->name);
    if (measured)
        fprintf(out, ", %llu rows", (unsigned long long)measured->rows);
    fprintf(out, "\n%-12s %12s %12s %12s %10s %12s\n", "", "add", "mul", "cmp", "other", "total");
    for (size_t i = 0; i < n; i++) {
        uint64_t kind[KINDS];
        kinds_of(&f[i], kind);
        fprintf(out, "%-12s", f[i].name);
        for (int k = 0; k < KINDS; k++) {
            fputc(' ', out);
            put_number(out, kind[k], f[i].per, k == 3 ? 10 : 12, 1);
        }
        fprintf(out, "   %s\n", f[i].meaning);
    }
    table_worst(out, s);
    table_exec(out, s->entry);
    NetworkSizes sizes = be_sizes(s->entry, &s->options->target);
    fprintf(out, "constants    %llu bytes compiled", (unsigned long long)sizes.model_bytes);
    if (sizes.fallback_bytes)
        fprintf(out, ", %llu for what is outside the box", (unsigned long long)sizes.fallback_bytes);
    fprintf(out, ", %llu as written\n", (unsigned long long)s->dense_bytes);
}
