/* samples.c — tables of inputs and outputs: rows for run, verify and profiles.
 *
 * In: .npy or text, from a file or standard input, and the type that a row must have. Out: rows of that type. Numbers
 * are converted element by element: what fits exactly, silently; a float of more precision is rounded to nearest; a
 * float beyond the range, a fraction for an integer, or an integer that a float cannot hold is an error that names
 * its row.
 */
#include "formats.h"

#include <string.h>

/* ---- reading ---- */

static void load_integer(Type type, const uint8_t *at, int64_t *out)
{
    uint32_t bytes = type_element_bytes(type);
    uint64_t bits = 0;
    memcpy(&bits, at, bytes);
    *out = type.n == 1 ? (int64_t)bits : (int64_t)(bits << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

bool element_converted(Type from, const uint8_t *at, Type to, uint8_t *out)
{
    float narrow;
    double wide;
    int64_t whole;
    if (from.elem == ELEM_INT) {
        load_integer(from, at, &whole);
        return element_from_i64(to, whole, out);
    }
    if (from.elem == ELEM_F32) {
        memcpy(&narrow, at, 4);
        return element_from_f64(to, (double)narrow, out);
    }
    memcpy(&wide, at, 8);
    return element_from_f64(to, wide, out);
}

const char *element_shown(Arena *arena, Type type, const uint8_t *at)
{
    double value = 0;
    int64_t whole;
    if (type.elem == ELEM_INT) {
        load_integer(type, at, &whole);
        return str_printf(arena, "%lld", (long long)whole);
    }
    element_from_f64(type_f64(), 0, &value);
    if (element_converted(type, at, type_f64(), (uint8_t *)&value))
        return str_printf(arena, "%.17g", value);
    return "nan";
}

/* The number of rows that an array's shape makes of `count` elements each; false when it makes none. */
static bool rows_of_shape(Type array, uint64_t count, size_t *rows)
{
    uint64_t total = type_count(array);
    *rows = array.rank ? array.dim[0] : 1;
    if (array.rank && (array.dim[0] ? total / array.dim[0] : count) == count)
        return true;
    *rows = 1;
    return total == count;
}

static bool samples_from_npy(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, Type row, Samples *out)
{
    Tensor array;
    if (!fe_read_npy(arena, diags, source, bytes, &array))
        return false;
    uint64_t count = type_count(row);
    *out = (Samples){.row = row};
    if (!rows_of_shape(array.type, count, &out->rows)) {
        diag_error(diags, diag_whole(source), "an array %s does not hold rows of %llu elements (%s)", type_print(arena, array.type),
                   (unsigned long long)count, type_print(arena, row));
        return false;
    }
    if (type_same_element(array.type, row) && (uintptr_t)array.data % type_element_bytes(row) == 0) {
        out->data = (void *)(uintptr_t)array.data; /* the mapping; nobody writes to inputs */
        return true;
    }
    uint32_t from = type_element_bytes(array.type), to = type_element_bytes(row);
    size_t total;
    if (!size_mul(out->rows * count, to, &total))
        arena_exhausted(arena);
    uint8_t *at = out->data = arena_big(arena, total, 64);
    const uint8_t *in = array.data;
    for (uint64_t i = 0; i < out->rows * count; i++, in += from, at += to)
        if (!element_converted(type_element(array.type), in, type_element(row), at)) {
            diag_error(diags, diag_whole(source), "row %llu, element %llu: %s does not fit %s", (unsigned long long)(i / count + 1),
                       (unsigned long long)(i % count), element_shown(arena, type_element(array.type), in), type_print(arena, type_element(row)));
            return false;
        }
    return true;
}

bool samples_from_bytes(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, bool npy, Type row, Samples *out)
{
    return npy ? samples_from_npy(arena, diags, source, bytes, row, out) : csv_read(arena, diags, source, bytes, row, out);
}

static bool is_text(const char *path)
{
    return str_ends(path, ".csv") || str_ends(path, ".tsv") || str_ends(path, ".txt");
}

bool fe_read_samples(Arena *arena, Diags *diags, const char *path, Type row, Samples *out)
{
    Bytes bytes;
    bool standard = strcmp(path, "-") == 0;
    if (!standard && !is_text(path) && !str_ends(path, ".npy")) {
        diag_error(diags, NOWHERE, "`%s` is no table by its name; known are .npy .csv .tsv .txt, and - for standard input", name_shown(arena, path));
        return false;
    }
    if (row.elem == ELEM_SET || row.elem == ELEM_NONE || (row.elem == ELEM_INT && row.n > 64)) {
        diag_error(diags, NOWHERE, "cannot read rows of %s from `%s`", type_print(arena, row), name_shown(arena, path));
        return false;
    }
    if (!file_read(arena, diags, NOWHERE, path, &bytes))
        return false;
    bool npy = standard ? bytes.len >= 6 && memcmp(bytes.at, "\x93NUMPY", 6) == 0 : !is_text(path);
    const char *name = standard ? "standard input" : path;
    uint32_t source = npy ? diag_source(diags, name, NULL, 0) : diag_source(diags, name, (const char *)bytes.at, bytes.len);
    return samples_from_bytes(arena, diags, source, bytes, npy, row, out);
}

/* ---- writing ---- */

/* NumPy's code for the memory form of a type; NULL when it has none. */
static const char *npy_code(Type type)
{
    switch (type.elem) {
    case ELEM_F32: return "<f4";
    case ELEM_F64: return "<f8";
    case ELEM_IDX: return "<u4";
    case ELEM_INT:
        switch (type_element_bytes(type)) {
        case 1: return type.n == 1 ? "|b1" : "|i1";
        case 2: return "<i2";
        case 4: return "<i4";
        case 8: return "<i8";
        }
        return NULL;
    case ELEM_NONE: case ELEM_SET:
        return NULL;
    }
    ICE("element kind %d", (int)type.elem);
}

static void npy_write(Arena *arena, FILE *out, const Samples *s, const char *code)
{
    enum { FIXED = 10, ALIGNMENT = 64 };
    Text header = text_new(arena);
    text_add(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,", code, s->rows);
    for (uint32_t d = 0; d < s->row.rank; d++)
        text_add(&header, "%s%u%s", " ", s->row.dim[d], d + 1 < s->row.rank ? "," : "");
    text_add(&header, "), }");
    while ((FIXED + header.len + 1) % ALIGNMENT)
        text_add(&header, " ");
    text_add(&header, "\n");
    const uint8_t begin[FIXED] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)header.len, (uint8_t)(header.len >> 8)};
    fwrite(begin, 1, FIXED, out);
    fwrite(header.at, 1, header.len, out);
    fwrite(s->data, type_element_bytes(s->row), s->rows * type_count(s->row), out);
}

OutFile *fe_write_samples(Arena *arena, Diags *diags, const char *path, const Samples *s)
{
    bool text = is_text(path) || strcmp(path, "-") == 0;
    const char *code = npy_code(s->row);
    if (!text && !str_ends(path, ".npy")) {
        diag_error(diags, NOWHERE, "`%s` is no table by its name; known are .npy .csv .tsv .txt, and - for standard output", name_shown(arena, path));
        return NULL;
    }
    if (!text && !code) {
        diag_error(diags, NOWHERE, "a .npy file cannot hold %s; write .csv", type_print(arena, type_element(s->row)));
        return NULL;
    }
    OutFile *file = out_open(arena, diags, path);
    if (file && text)
        csv_write(out_stream(file), s);
    else if (file)
        npy_write(arena, out_stream(file), s, code);
    return file;
}
