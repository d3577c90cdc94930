/* csv.c — tables as text: one row a line.
 *
 * In: lines of numbers between commas, semicolons or blanks; the first line may be names; lines that begin with # are
 * comments. Out: rows of one type. The one idea: each cell has its place in the file, so a bad one is shown, not just
 * counted.
 */
#include "formats.h"

#include <locale.h>
#include <string.h>

enum { MOST_ERRORS = 10 };

typedef struct Table {
    Arena *arena;
    Diags *diags;
    uint32_t source;
    Csv csv;
    Type row;
    size_t errors;
} Table;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static Span span_of(const Table *t, Cell cell)
{
    return (Span){.source = t->source, .begin = (uint32_t)cell.begin, .end = (uint32_t)cell.end};
}

/* Blank at the end of a line or cell; a tab is not where it separates. */
static bool is_margin(const Csv *c, char at) { return is_blank(at) && (at != '\t' || c->separator != '\t'); }

/* ---- lines and cells, for other readers of tables too ---- */

bool csv_line(Csv *c, Cell *line)
{
    while (c->at < c->len) {
        const char *newline = memchr(c->text + c->at, '\n', c->len - c->at);
        *line = (Cell){c->at, newline ? (size_t)(newline - c->text) : c->len};
        c->at = line->end + (newline != NULL);
        while (line->begin < line->end && is_margin(c, c->text[line->begin]))
            line->begin++;
        while (line->end > line->begin && is_margin(c, c->text[line->end - 1]))
            line->end--;
        if (line->begin < line->end && c->text[line->begin] != '#')
            return true;
    }
    return false;
}

/* Whether a character stands in a line outside quotes. */
static bool has_outside_quotes(const Csv *c, Cell line, char what)
{
    bool quoted = false;
    for (size_t i = line.begin; i < line.end; i++) {
        quoted ^= c->text[i] == '"';
        if (!quoted && c->text[i] == what)
            return true;
    }
    return false;
}

static char separator_of(const Csv *c, Cell line)
{
    return has_outside_quotes(c, line, ',')              ? ','
           : has_outside_quotes(c, line, ';')            ? ';'
           : c->tabs && has_outside_quotes(c, line, '\t') ? '\t'
                                                         : ' ';
}

/* Behind a cell that begins with a quote: what is quoted may hold separators, and a doubled quote is one. */
static size_t behind_quotes(const Csv *c, size_t at, size_t end)
{
    for (size_t i = at + 1; i < end; i++)
        if (c->text[i] == '"') {
            if (i + 1 == end || c->text[i + 1] != '"')
                return i + 1;
            i++;
        }
    return at; /* never closed: an ordinary character */
}

bool csv_cell(const Csv *c, Cell *line, Cell *cell, bool *more)
{
    if (!*more)
        return false;
    const char *text = c->text;
    size_t at = line->begin;
    while (at < line->end && is_margin(c, text[at]))
        at++;
    size_t begin = at;
    if (at < line->end && text[at] == '"')
        at = behind_quotes(c, at, line->end);
    while (at < line->end && (c->separator == ' ' ? !is_blank(text[at]) : text[at] != c->separator))
        at++;
    *cell = (Cell){begin, at};
    *more = at < line->end;
    line->begin = at + *more;
    while (c->separator == ' ' && line->begin < line->end && is_blank(text[line->begin]))
        line->begin++;
    while (cell->end > cell->begin && is_blank(text[cell->end - 1]))
        cell->end--;
    if (cell->end - cell->begin >= 2 && text[cell->begin] == '"' && text[cell->end - 1] == '"')
        cell->begin++, cell->end--;
    return true;
}

/* Names of columns: no cell is a number. */
static bool is_header(const Csv *c, Cell line)
{
    Cell cell;
    double value;
    for (bool more = true; csv_cell(c, &line, &cell, &more);)
        if (number_parse(c->text + cell.begin, cell.end - cell.begin, &value))
            return false;
    return true;
}

bool csv_begin(Csv *c, Bytes text, bool tabs, bool named, Cell *header)
{
    static const uint8_t mark[3] = {0xEF, 0xBB, 0xBF};
    *c = (Csv){.text = (const char *)text.at, .len = text.len, .tabs = tabs};
    *header = (Cell){0, 0};
    if (text.len >= 3 && memcmp(text.at, mark, 3) == 0)
        c->at = 3; /* a byte order mark */
    size_t begin = c->at;
    Cell line;
    if (!csv_line(c, &line))
        return false;
    c->separator = separator_of(c, line);
    if (!named && !is_header(c, line)) {
        c->at = begin;
        return false;
    }
    *header = line;
    begin = c->at;
    if (c->separator != ',' && csv_line(c, &line)) /* names may contain blanks: the first row of numbers decides */
        c->separator = separator_of(c, line);
    c->at = begin;
    return true;
}

static void read_cell(Table *t, Cell cell, uint8_t *out)
{
    const char *s = t->csv.text + cell.begin;
    size_t len = cell.end - cell.begin;
    const char *why = len ? element_from_text(t->row, s, len, out) : "is empty";
    if (!why)
        return;
    t->errors++;
    Type element = type_element(t->row);
    if (len)
        diag_error(t->diags, span_of(t, cell), "`%s` %s%s%s", name_shown(t->arena, str_ndup(t->arena, s, len)), why,
                   why[0] == 'd' ? " " : "", why[0] == 'd' ? type_print(t->arena, element) : "");
    else
        diag_error(t->diags, span_of(t, cell), "this cell is empty; expected a number (%s)", type_print(t->arena, element));
}

static void read_row(Table *t, Cell line, uint8_t *out)
{
    uint64_t n = type_count(t->row), found = 0;
    uint32_t bytes = type_element_bytes(t->row);
    Cell whole = line, cell;
    for (bool more = true; csv_cell(&t->csv, &line, &cell, &more); found++)
        if (found < n && t->errors < MOST_ERRORS)
            read_cell(t, cell, out + found * bytes);
    if (found != n) {
        t->errors++;
        diag_error(t->diags, span_of(t, whole), "expected %llu numbers (%s), found %llu", (unsigned long long)n, type_print(t->arena, t->row),
                   (unsigned long long)found);
    }
}

size_t csv_count_lines(Bytes text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.at[i] == '\n';
    return n;
}

bool csv_fits(Diags *diags, uint32_t source, Bytes text)
{
    if (text.len > UINT32_MAX / 2)
        diag_error(diags, diag_whole(source), "the table has %zu bytes of text; use .npy for tables as large", text.len);
    return text.len <= UINT32_MAX / 2;
}

bool csv_read(Arena *arena, Diags *diags, uint32_t source, Bytes text, Type row, Samples *out)
{
    Table t = {.arena = arena, .diags = diags, .source = source, .row = row};
    size_t bytes, total;
    if (!csv_fits(diags, source, text))
        return false;
    if (!size_mul(type_count(row), type_element_bytes(row), &bytes) || !size_mul(bytes, csv_count_lines(text), &total) ||
        total > (size_t)1 << 46)
        arena_exhausted(arena);
    *out = (Samples){.row = row, .data = arena_big(arena, total, 64)};
    Cell line;
    csv_begin(&t.csv, text, false, false, &line);
    while (t.errors < MOST_ERRORS && csv_line(&t.csv, &line))
        read_row(&t, line, (uint8_t *)out->data + bytes * out->rows++);
    if (t.errors == 0 && out->rows == 0)
        diag_error(diags, diag_whole(source), "the table has no rows");
    return t.errors == 0 && out->rows > 0;
}

static void write_element(FILE *out, Type type, const uint8_t *at)
{
    float narrow;
    double wide;
    int64_t whole = 0;
    uint32_t bytes = type_element_bytes(type), index;
    switch (type.elem) {
    case ELEM_F32:
        memcpy(&narrow, at, 4);
        fprintf(out, "%.9g", (double)narrow);
        return;
    case ELEM_F64:
        memcpy(&wide, at, 8);
        fprintf(out, "%.17g", wide);
        return;
    case ELEM_IDX:
        memcpy(&index, at, 4);
        fprintf(out, "%u", index);
        return;
    case ELEM_INT:
        if (bytes > 8) { /* in hexadecimal, two's complement */
            fputs("0x", out);
            for (uint32_t i = bytes; i-- > 0;)
                fprintf(out, "%02x", at[i]);
            return;
        }
        memcpy(&whole, at, bytes);
        if (type.n > 1)
            whole = (int64_t)((uint64_t)whole << (64 - 8 * bytes)) >> (64 - 8 * bytes);
        fprintf(out, "%lld", (long long)whole);
        return;
    case ELEM_NONE: case ELEM_SET:
        break;
    }
    ICE("a table of %d", (int)type.elem);
}

void csv_write(FILE *out, const Samples *s)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = c ? uselocale(c) : (locale_t)0;
    uint64_t n = type_count(s->row);
    uint32_t bytes = type_element_bytes(s->row);
    const uint8_t *at = s->data;
    for (size_t r = 0; r < s->rows; r++)
        for (uint64_t i = 0; i < n; i++, at += bytes) {
            write_element(out, s->row, at);
            putc(i + 1 < n ? ',' : '\n', out);
        }
    if (c) {
        uselocale(before);
        freelocale(c);
    }
}
