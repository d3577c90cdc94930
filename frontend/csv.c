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
    const char *text;
    size_t len, at;               /* at: the next line */
    char separator;               /* ' ': blanks */
    Type row;
    size_t errors;
} Table;

typedef struct Cell { size_t begin, end; } Cell;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static Span span_of(const Table *t, Cell cell)
{
    return (Span){.source = t->source, .begin = (uint32_t)cell.begin, .end = (uint32_t)cell.end};
}

/* The next line with anything in it, without blanks at its ends. */
static bool next_line(Table *t, Cell *line)
{
    while (t->at < t->len) {
        const char *newline = memchr(t->text + t->at, '\n', t->len - t->at);
        *line = (Cell){t->at, newline ? (size_t)(newline - t->text) : t->len};
        t->at = line->end + (newline != NULL);
        while (line->begin < line->end && is_blank(t->text[line->begin]))
            line->begin++;
        while (line->end > line->begin && is_blank(t->text[line->end - 1]))
            line->end--;
        if (line->begin < line->end && t->text[line->begin] != '#')
            return true;
    }
    return false;
}

static char separator_of(const Table *t, Cell line)
{
    size_t n = line.end - line.begin;
    return memchr(t->text + line.begin, ',', n) ? ',' : memchr(t->text + line.begin, ';', n) ? ';' : ' ';
}

/* Takes the next cell off the line; a trailing separator makes an empty last cell. */
static bool next_cell(const Table *t, Cell *line, Cell *cell, bool *more)
{
    if (!*more)
        return false;
    size_t at = line->begin;
    while (at < line->end && (t->separator == ' ' ? !is_blank(t->text[at]) : t->text[at] != t->separator))
        at++;
    *cell = (Cell){line->begin, at};
    *more = at < line->end;
    line->begin = at + *more;
    while (t->separator == ' ' && line->begin < line->end && is_blank(t->text[line->begin]))
        line->begin++;
    while (cell->begin < cell->end && is_blank(t->text[cell->begin]))
        cell->begin++;
    while (cell->end > cell->begin && is_blank(t->text[cell->end - 1]))
        cell->end--;
    if (cell->end - cell->begin >= 2 && t->text[cell->begin] == '"' && t->text[cell->end - 1] == '"')
        cell->begin++, cell->end--;
    return true;
}

/* Names of columns: no cell is a number. */
static bool is_header(const Table *t, Cell line)
{
    Cell cell;
    double value;
    for (bool more = true; next_cell(t, &line, &cell, &more);)
        if (number_parse(t->text + cell.begin, cell.end - cell.begin, &value))
            return false;
    return true;
}

static void read_cell(Table *t, Cell cell, uint8_t *out)
{
    const char *s = t->text + cell.begin;
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
    for (bool more = true; next_cell(t, &line, &cell, &more); found++)
        if (found < n && t->errors < MOST_ERRORS)
            read_cell(t, cell, out + found * bytes);
    if (found != n) {
        t->errors++;
        diag_error(t->diags, span_of(t, whole), "expected %llu numbers (%s), found %llu", (unsigned long long)n, type_print(t->arena, t->row),
                   (unsigned long long)found);
    }
}

static size_t count_lines(Bytes text)
{
    size_t n = 1;
    for (const uint8_t *at = text.at, *end = at + text.len; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        n++;
    return n;
}

bool csv_read(Arena *arena, Diags *diags, uint32_t source, Bytes text, Type row, Samples *out)
{
    static const uint8_t mark[3] = {0xEF, 0xBB, 0xBF};
    Table t = {.arena = arena, .diags = diags, .source = source, .text = (const char *)text.at, .len = text.len, .row = row};
    size_t bytes, total;
    if (text.len > UINT32_MAX / 2) {
        diag_error(diags, diag_whole(source), "the table has %zu bytes of text; use .npy for tables as large", text.len);
        return false;
    }
    if (text.len >= 3 && memcmp(text.at, mark, 3) == 0)
        t.at = 3; /* a byte order mark */
    if (!size_mul(type_count(row), type_element_bytes(row), &bytes) || !size_mul(bytes, count_lines(text), &total) || total > (size_t)1 << 46)
        arena_exhausted(arena);
    *out = (Samples){.row = row, .data = arena_big(arena, total, 64)};
    Cell line;
    for (bool first = true; t.errors < MOST_ERRORS && next_line(&t, &line); first = false) {
        if (first)
            t.separator = separator_of(&t, line);
        if (first && is_header(&t, line))
            t.separator = ',' == t.separator ? ',' : 0;
        else
            read_row(&t, line, (uint8_t *)out->data + bytes * out->rows++);
        if (!t.separator) { /* names may contain blanks: the first row of numbers decides */
            size_t at = t.at;
            t.separator = next_line(&t, &line) ? separator_of(&t, line) : ',';
            t.at = at;
        }
    }
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
