/* data_read.c — rows out of files.
 *
 * In: columns of text and of arrays. Out: rows of the types that a network wants. The one idea: what is there already is not
 * copied: an array of the right type is borrowed as it lies in its file. Text is gone through once, whatever is taken of it, and a
 * number that does not fit is shown where it stands.
 *
 * Numbers are converted as everywhere (samples.c): floats round once, to nearest; anything else must be exact.
 */
#include "data.h"

#include <string.h>

enum { MOST_ERRORS = 10, TELL_EVERY = 1 << 16 };

/* A column of text on its way to a place in the rows of a clause. */
typedef struct Column { uint64_t number; Type element; uint32_t bytes; uint8_t *out; size_t row_bytes; } Column;

typedef struct Reader {
    DataSpec *spec;
    const Watch *watch;
    Rows *rows;
    uint64_t n;                   /* rows, once some file has said it */
    const DataFile *counted;      /* the file that did */
    size_t errors;
} Reader;

void watch_tell(const Watch *watch, const char *what, uint64_t done, uint64_t total)
{
    if (watch && watch->tell)
        watch->tell(watch->context, what, done, total);
}

/* All files of a table have the same number of rows. */
static bool agree(Reader *r, const DataFile *file, uint64_t n)
{
    if (!r->counted) {
        r->counted = file;
        r->n = n;
    }
    if (r->n == n)
        return true;
    diag_error(r->spec->diags, r->spec->span, "the files of `%s` differ in length: `%s` has %llu rows, `%s` has %llu", r->spec->name,
               r->counted->name, (unsigned long long)r->n, file->name, (unsigned long long)n);
    return false;
}

static size_t row_bytes_of(Type row)
{
    return type_count(row) * type_element_bytes(row);
}

/* ---- text ---------------------------------------------------------------------------------------------------------------------- */

static Span span_of(const DataFile *file, Cell cell)
{
    return (Span){file->source, (uint32_t)cell.begin, (uint32_t)cell.end};
}

static void refuse_cell(Reader *r, const DataFile *file, Cell cell, const Column *column, const char *why)
{
    Arena *arena = r->spec->arena;
    const char *type = type_print(arena, column->element), *text = file->csv.text + cell.begin;
    r->errors++;
    if (cell.begin == cell.end)
        diag_error(r->spec->diags, span_of(file, cell), "this cell is empty; expected a number (%s)", type);
    else
        diag_error(r->spec->diags, span_of(file, cell), "`%s` %s%s%s", name_shown(arena, str_ndup(arena, text, cell.end - cell.begin)), why,
                   why[0] == 'd' ? " " : "", why[0] == 'd' ? type : "");
}

static void refuse_line(Reader *r, const DataFile *file, Cell line, uint64_t cells)
{
    r->errors++;
    diag_error(r->spec->diags, span_of(file, line), "this line has %llu cell%s, the first line has %llu",
               (unsigned long long)cells, cells == 1 ? "" : "s", (unsigned long long)file->columns);
}

/* One line: the columns come in ascending order. */
static void read_line(Reader *r, const DataFile *file, const Csv *csv, Cell line, uint64_t row, const Column *column, size_t n)
{
    Cell whole = line, cell;
    uint64_t cells = 0;
    const Column *end = column + n;
    for (bool more = true; csv_cell(csv, &line, &cell, &more); cells++)
        for (; column < end && column->number == cells; column++) {
            uint8_t *out = column->out + row * column->row_bytes;
            const char *why = element_from_text(column->element, csv->text + cell.begin, cell.end - cell.begin, out);
            if (why)
                refuse_cell(r, file, cell, column, why);
        }
    if (cells != file->columns)
        refuse_line(r, file, whole, cells);
}

static void sort_columns(Column *column, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        Column c = column[i];
        size_t k = i;
        for (; k > 0 && column[k - 1].number > c.number; k--)
            column[k] = column[k - 1];
        column[k] = c;
    }
}

/* Adds the columns that a clause takes of a text file. */
typedef struct Columns { Vec(Column) all; } Columns;

static void plan_clause(Reader *r, Arena *scratch, uint32_t file, Clause c, Columns *out)
{
    Type row = r->rows[c].row;
    uint32_t bytes = type_element_bytes(row);
    uint8_t *to = r->rows[c].data;
    for (size_t i = 0; i < r->spec->take[c].len; i++) {
        const Take *take = &r->spec->take[c].at[i];
        for (uint64_t k = 0; k < take->width; k++, to += bytes)
            if (take->file == file && !take->array)
                vec_push(scratch, out->all, ((Column){take->from + k, type_element(row), bytes, to, row_bytes_of(row)}));
    }
}

static bool read_text(Reader *r, uint32_t number)
{
    DataFile *file = &r->spec->files.at[number];
    Arena *scratch = arena_new(r->spec->arena);
    if (!scratch)
        arena_exhausted(r->spec->arena);
    Columns columns = {0};
    for (int c = 0; c < CLAUSES; c++)
        plan_clause(r, scratch, number, (Clause)c, &columns);
    sort_columns(columns.all.at, columns.all.len);
    Csv csv = file->csv;
    Cell line;
    uint64_t row = 0;
    const char *what = str_printf(scratch, "reading %s, MB", name_shown(scratch, file->name));
    for (; r->errors < MOST_ERRORS && csv_line(&csv, &line); row++) {
        read_line(r, file, &csv, line, row, columns.all.at, columns.all.len);
        if (row % TELL_EVERY == 0)
            watch_tell(r->watch, what, csv.at / 1000000, csv.len / 1000000);
    }
    arena_free(scratch);
    file_done_with(file->bytes.at, file->bytes.len);
    return r->errors == 0 && agree(r, file, row);
}

/* ---- arrays -------------------------------------------------------------------------------------------------------------------- */

static void refuse_element(Reader *r, const Take *take, uint64_t row, uint64_t k, const char *shown, Type to)
{
    Arena *arena = r->spec->arena;
    const char *name = *take->array->name ? str_printf(arena, "`%s`: ", name_shown(arena, take->array->name)) : "";
    diag_error(r->spec->diags, diag_whole(r->spec->files.at[take->file].source), "%srow %llu, column %llu: %s does not fit %s", name,
               (unsigned long long)row + 1, (unsigned long long)(take->from + k), shown, type_print(arena, to));
}

/* Columns of an array into their places in the rows of a clause. */
static bool convert(Reader *r, Clause c, const Take *take, uint8_t *out)
{
    Type from = type_element(take->array->type), to = type_element(r->rows[c].row);
    uint32_t from_bytes = type_element_bytes(from), to_bytes = type_element_bytes(to);
    uint64_t n = take->array->type.dim[0], columns = n ? type_count(take->array->type) / n : 0;
    size_t row_bytes = row_bytes_of(r->rows[c].row);
    bool same = type_same_element(from, to);
    const uint8_t *in = (const uint8_t *)take->array->data + (take->kind == TAKE_NAME ? 0 : take->from) * from_bytes;
    for (uint64_t row = 0; row < n; row++, in += columns * from_bytes, out += row_bytes) {
        if (same) {
            memcpy(out, in, take->width * from_bytes);
            continue;
        }
        for (uint64_t k = 0; k < take->width; k++)
            if (!element_converted(from, in + k * from_bytes, to, out + k * to_bytes)) {
                refuse_element(r, take, row, k, element_shown(r->spec->arena, from, in + k * from_bytes), to);
                return false;
            }
    }
    return true;
}

static bool read_arrays(Reader *r, Clause c)
{
    uint8_t *to = r->rows[c].data;
    uint32_t bytes = type_element_bytes(r->rows[c].row);
    bool good = true;
    for (size_t i = 0; good && i < r->spec->take[c].len; i++) {
        const Take *take = &r->spec->take[c].at[i];
        if (take->array && !r->rows[c].borrowed)
            good = convert(r, c, take, to);
        to += take->width * bytes;
    }
    return good;
}

/* ---- all of a table ---------------------------------------------------------------------------------------------------------------- */

/* A clause that is a whole array of the type wanted. */
static bool is_there_already(const DataSpec *spec, Clause c, Type row)
{
    const Take *take = spec->take[c].at;
    return spec->take[c].len == 1 && take->array && type_same_element(take->array->type, row) &&
           take->width * take->array->type.dim[0] == type_count(take->array->type);
}

/* Rows that a file can have at most. */
static uint64_t rows_at_most(const DataSpec *spec, const Take *take)
{
    return take->array ? take->array->type.dim[0] : spec->files.at[take->file].lines;
}

static void make_room(DataSpec *spec, Arena *arena, Clause c, Rows *rows)
{
    const Take *take = spec->take[c].at;
    uint64_t most = 0;
    size_t total;
    for (size_t i = 0; i < spec->take[c].len; i++) {
        uint64_t here = rows_at_most(spec, &take[i]);
        most = here > most ? here : most;
    }
    rows->borrowed = is_there_already(spec, c, rows->row);
    if (rows->borrowed) {
        rows->data = (uint8_t *)(uintptr_t)take->array->data;
        return;
    }
    if (!size_mul(row_bytes_of(rows->row), most, &total) || total > (size_t)1 << 46)
        arena_exhausted(arena);
    rows->data = arena_big(arena, total, 64);
}

bool data_read(DataSpec *spec, Arena *arena, const Watch *watch, Rows rows[CLAUSES], uint64_t *n)
{
    Reader r = {.spec = spec, .watch = watch, .rows = rows};
    bool good = true;
    for (size_t f = 0; f < spec->files.len; f++)
        spec->files.at[f].lines = spec->files.at[f].text ? csv_count_lines(spec->files.at[f].bytes) : 0;
    for (int c = 0; c < CLAUSES; c++) {
        for (size_t i = 0; good && i < spec->take[c].len; i++) {
            const Take *take = &spec->take[c].at[i];
            good = !take->array || agree(&r, &spec->files.at[take->file], take->array->type.dim[0]);
        }
        if (good && spec->take[c].len)
            make_room(spec, arena, (Clause)c, &rows[c]);
    }
    for (uint32_t f = 0; good && f < spec->files.len; f++)
        good = !spec->files.at[f].text || read_text(&r, f);
    for (int c = 0; good && c < CLAUSES; c++)
        good = read_arrays(&r, (Clause)c);
    if (good && r.n == 0)
        diag_error(spec->diags, diag_whole(r.counted ? r.counted->source : 0), "the table has no rows");
    *n = r.n;
    return good && r.n > 0;
}

const char *data_place(const DataSpec *spec, Clause c, uint64_t row, Span *span)
{
    const DataFile *file = &spec->files.at[spec->take[c].at[0].file];
    *span = diag_whole(file->source);
    if (!file->text)
        return str_printf(spec->arena, "row %llu: ", (unsigned long long)row + 1);
    Csv csv = file->csv;
    Cell line;
    for (uint64_t i = 0; csv_line(&csv, &line); i++)
        if (i == row) {
            *span = span_of(file, line);
            break;
        }
    return "";
}
