/* data_files.c — the files of a table of data, and which of their columns are meant.
 *
 * In: names, numbers and ranges of columns, as a program says them. Out: for each, an array or columns of text. The one idea: text
 * is not read here, only its first line; arrays are mapped, so their shapes are all there is to look at.
 */
#include "data.h"

#include <string.h>

const char *clause_name(Clause c)
{
    static const char *const names[CLAUSES] = {"input", "label", "weight"};
    return names[c];
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

/* Whether columns of a file are taken by name: then its first line holds names. */
static bool is_named(const DataSpec *spec, const DataFile *file)
{
    for (int c = 0; c < CLAUSES; c++)
        for (size_t i = 0; i < spec->take[c].len; i++)
            if (spec->take[c].at[i].kind == TAKE_NAME && &spec->files.at[spec->take[c].at[i].file] == file)
                return true;
    return false;
}

static bool open_text(DataSpec *spec, DataFile *file)
{
    if (!csv_fits(spec->diags, file->source, file->bytes))
        return false;
    file->has_header = csv_begin(&file->csv, file->bytes, true, is_named(spec, file), &file->header);
    Csv csv = file->csv;
    Cell line = file->header, cell;
    if (!file->has_header && !csv_line(&csv, &line)) {
        diag_error(spec->diags, diag_whole(file->source), "the table is empty");
        return false;
    }
    for (bool more = true; csv_cell(&csv, &line, &cell, &more);)
        file->columns++;
    return true;
}

bool data_open_bytes(DataSpec *spec, DataFile *file, uint32_t source, Bytes bytes, bool text)
{
    file->source = source;
    file->text = text;
    file->bytes = bytes;
    if (text)
        return open_text(spec, file);
    file->arrays = (TensorFile){.path = file->path, .n = 1, .tensor = NEW(spec->arena, Tensor)};
    return fe_read_npy(spec->arena, spec->diags, source, bytes, file->arrays.tensor);
}

static bool open_file(DataSpec *spec, DataFile *file)
{
    static const char *const known[] = {".csv", ".tsv", ".txt", ".npy", ".npz", ".safetensors"};
    int kind = -1;
    for (int i = 0; i < (int)(sizeof known / sizeof *known); i++)
        kind = str_ends(file->path, known[i]) ? i : kind;
    Bytes bytes;
    if (kind < 0)
        diag_error(spec->diags, file->span, "`%s` is no table by its name; known are .csv .tsv .txt .npy .npz .safetensors",
                   name_shown(spec->arena, file->name));
    if (kind < 0)
        return false;
    if (kind > 2) {
        bool good = fe_read_tensors(spec->arena, spec->diags, file->span, file->path, &file->arrays);
        file->source = diag_source(spec->diags, file->path, NULL, 0);
        return good;
    }
    if (!file_read(spec->arena, spec->diags, file->span, file->path, &bytes))
        return false;
    return data_open_bytes(spec, file, diag_source(spec->diags, file->path, (const char *)bytes.at, bytes.len), bytes, true);
}

bool data_open(DataSpec *spec)
{
    bool good = true;
    for (size_t i = 0; i < spec->files.len; i++)
        good &= open_file(spec, &spec->files.at[i]);
    return good;
}

/* ---- columns of text ------------------------------------------------------------------------------------------------------- */

/* A doubled quote in a quoted name is one. */
static bool cell_is(const Csv *csv, Cell cell, const char *name)
{
    size_t at = cell.begin;
    for (; at < cell.end && *name; at++, name++) {
        if (csv->text[at] != *name)
            return false;
        at += csv->text[at] == '"' && at + 1 < cell.end && csv->text[at + 1] == '"';
    }
    return at == cell.end && *name == '\0';
}

static bool no_such_column(DataSpec *spec, const DataFile *file, const Take *take)
{
    enum { MOST = 12 };
    Vec(const char *) names = {0};
    Text list = text_new(spec->arena);
    Cell line = file->header, cell;
    for (bool more = true; names.len < 1000 && csv_cell(&file->csv, &line, &cell, &more);) {
        const char *name = name_shown(spec->arena, str_ndup(spec->arena, file->csv.text + cell.begin, cell.end - cell.begin));
        if (names.len < MOST)
            text_add(&list, "%s%s", names.len ? ", " : "", name);
        vec_push(spec->arena, names, name);
    }
    const char *near = str_nearest(take->name, names.at, names.len);
    if (near)
        diag_error(spec->diags, take->span, "`%s` has no column `%s`; did you mean `%s`?", file->name, take->name, near);
    else
        diag_error(spec->diags, take->span, "`%s` has no column `%s`; its first line says %s%s", file->name, take->name, list.at,
                   names.len > MOST ? ", …" : "");
    return false;
}

static bool find_column(DataSpec *spec, const DataFile *file, Take *take)
{
    Cell line = file->header, cell;
    uint64_t column = 0;
    take->width = 0;
    for (bool more = true; csv_cell(&file->csv, &line, &cell, &more); column++)
        if (cell_is(&file->csv, cell, take->name) && take->width++ == 0)
            take->from = column;
    if (take->width > 1)
        diag_error(spec->diags, take->span, "%llu columns of `%s` are called `%s`; say which by its number, from 0: the first is %llu",
                   (unsigned long long)take->width, file->name, take->name, (unsigned long long)take->from);
    return take->width == 1 || (take->width == 0 && no_such_column(spec, file, take));
}

/* ---- columns of arrays --------------------------------------------------------------------------------------------------------- */

static const char *array_shown(DataSpec *spec, const DataFile *file, const Tensor *t)
{
    return *t->name ? str_printf(spec->arena, "`%s` of `%s`", name_shown(spec->arena, t->name), file->name)
                    : str_printf(spec->arena, "`%s`", file->name);
}

static bool no_such_array(DataSpec *spec, const DataFile *file, const Take *take)
{
    const char **name = NEW_ARRAY(spec->arena, file->arrays.n, const char *);
    for (size_t i = 0; i < file->arrays.n; i++)
        name[i] = file->arrays.tensor[i].name;
    const char *near = str_nearest(take->name, name, file->arrays.n);
    const char *hint = near ? str_printf(spec->arena, "; did you mean `%s`?", name_shown(spec->arena, near)) : "";
    diag_error(spec->diags, take->span, "`%s` holds no array `%s`%s", file->name, take->name, hint);
    return false;
}

/* The array that a take is from. */
static const Tensor *find_array(DataSpec *spec, const DataFile *file, const Take *take)
{
    bool nameless = file->arrays.n == 1 && file->arrays.tensor[0].name[0] == '\0';
    if (take->kind == TAKE_NAME && !nameless) {
        const Tensor *t = fe_find_tensor(&file->arrays, take->name);
        return t ? t : (no_such_array(spec, file, take), NULL);
    }
    if (take->kind == TAKE_NAME)
        diag_error(spec->diags, take->span, "`%s` is one array without names: its columns are numbers, from 0", file->name);
    else if (file->arrays.n != 1)
        diag_error(spec->diags, take->span, "`%s` holds %zu arrays: say which, by its name", file->name, file->arrays.n);
    else
        return file->arrays.tensor;
    return NULL;
}

static bool find_in_array(DataSpec *spec, const DataFile *file, Take *take)
{
    const Tensor *t = find_array(spec, file, take);
    if (!t)
        return false;
    if (t->type.rank == 0 || (take->kind == TAKE_RANGE && t->type.rank > 2)) {
        diag_error(spec->diags, take->span, "%s is %s: %s", array_shown(spec, file, t), type_print(spec->arena, t->type),
                   t->type.rank ? "only a matrix has columns" : "a table has rows");
        return false;
    }
    take->array = t;
    take->width = 1;
    for (uint32_t d = 1; d < t->type.rank; d++)
        take->width *= t->type.dim[d];
    return true;
}

/* ---- both ---------------------------------------------------------------------------------------------------------------------- */

/* The numbers of a range, against how many columns there are. */
static bool clip_range(DataSpec *spec, const DataFile *file, Take *take, uint64_t columns)
{
    if (take->kind == TAKE_ALL)
        take->from = 0, take->to = columns;
    if (take->to == UINT64_MAX)
        take->to = columns;
    take->width = take->to - take->from;
    if (take->from < take->to && take->to <= columns)
        return true;
    if (take->to == take->from + 1)
        diag_error(spec->diags, take->span, "`%s` has %llu column%s, counted from 0; there is no column %llu", file->name,
                   (unsigned long long)columns, columns == 1 ? "" : "s", (unsigned long long)take->from);
    else
        diag_error(spec->diags, take->span, "`%s` has %llu column%s, counted from 0; %llu:%llu is %s", file->name,
                   (unsigned long long)columns, columns == 1 ? "" : "s", (unsigned long long)take->from, (unsigned long long)take->to,
                   take->from >= take->to ? "empty" : "beyond them");
    return false;
}

static bool resolve(DataSpec *spec, Take *take)
{
    const DataFile *file = &spec->files.at[take->file];
    if (file->text)
        return take->kind == TAKE_NAME ? find_column(spec, file, take) : clip_range(spec, file, take, file->columns);
    return find_in_array(spec, file, take) && (take->kind == TAKE_NAME || clip_range(spec, file, take, take->width));
}

bool data_resolve(DataSpec *spec)
{
    bool good = true;
    for (int c = 0; c < CLAUSES; c++)
        for (size_t i = 0; i < spec->take[c].len; i++)
            good &= resolve(spec, &spec->take[c].at[i]);
    return good;
}

uint64_t data_width(const DataSpec *spec, Clause c)
{
    uint64_t width = 0;
    for (size_t i = 0; i < spec->take[c].len; i++)
        width += spec->take[c].at[i].width;
    return width;
}

Type data_row_type(const DataSpec *spec, Clause c)
{
    const Take *take = spec->take[c].at;
    uint32_t width = (uint32_t)data_width(spec, c);
    Type none = {0}, element = none;
    for (size_t i = 0; i < spec->take[c].len; i++) {
        if (!take[i].array || (i && !type_same_element(take[i].array->type, element)))
            return none;
        element = type_element(take[i].array->type);
    }
    if (spec->take[c].len == 1 && take->kind != TAKE_RANGE && take->array->type.rank > 2)
        return type_with_dims(element, take->array->type.rank - 1, take->array->type.dim + 1);
    bool scalar = width == 1 && (take->kind == TAKE_RANGE || take->array->type.rank == 1);
    return scalar ? element : type_vector(element, width);
}
