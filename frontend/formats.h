/* formats.h — what the file readers of this folder share. Not public.
 *
 *     a reader finds names, dims and bytes  →  RawTensor  →  tensor_decode  →  Tensor (borrowed or widened)
 */
#ifndef CNET_FRONTEND_FORMATS_H
#define CNET_FRONTEND_FORMATS_H

#include "frontend.h"

/* Tensors are handed on as they lie in the file, and files are little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cnet runs on little-endian machines only");

/* ---- elements.c ---------------------------------------------------------------------------------------------- */

/* Encodings of numbers in files. */
typedef enum FileElem {
    FILE_F16, FILE_BF16, FILE_F32, FILE_F64, FILE_BOOL, FILE_I8, FILE_I16, FILE_I32, FILE_I64,
    FILE_U8, FILE_U16, FILE_U32, FILE_U64
} FileElem;

enum { RAW_MAX_RANK = 8 };

/* A tensor as its file describes it; nothing is believed yet. */
typedef struct RawTensor {
    const char *name;                 /* "": the file has only one */
    FileElem elem;
    bool big_endian, fortran;
    uint32_t rank;
    uint64_t dim[RAW_MAX_RANK];
    Bytes data;
} RawTensor;

uint32_t file_elem_bytes(FileElem elem);
/* The type its elements get here: f16 and bf16 become f32, unsigned integers the next wider signed ones. */
Type file_elem_type(FileElem elem);
/* Not widened: values of a network can have it. */
bool file_elem_is_ours(FileElem elem);

/* Checks dims against the length and converts what is no type of ours. Reports at `span` and returns false when the
 * tensor lies. The data borrows from raw->data when nothing had to be changed. */
bool tensor_decode(Arena *arena, Diags *diags, Span span, const RawTensor *raw, Tensor *out);

/* "3x4"; "scalar" for rank 0. */
const char *dims_print(Arena *arena, uint32_t rank, const uint64_t *dim);

/* At most 60 bytes of a name from a file, for messages. */
const char *name_shown(Arena *arena, const char *name);

/* `name` with everything but letters, digits and _ replaced by _; begins with a letter (`first` is put before a
 * digit). For networks, ports and values. */
const char *name_identifier(Arena *arena, const char *name, const char *first);
/* The file's name without folders and known suffixes, as an identifier. */
const char *name_of_file(Arena *arena, const char *path);

/* ---- npy.c --------------------------------------------------------------------------------------------------------- */

/* Fills all of `raw` but its name; false with a reason. Only the header is looked at. */
bool npy_parse(Arena *arena, Bytes bytes, RawTensor *raw, const char **why);

/* ---- gzip.c ---------------------------------------------------------------------------------------------------- */

/* The most that `len` compressed bytes are allowed to become. Real models reach 416 (normal_1000 of nn4sys, mostly
 * zeros), deflate itself 1032; what is beyond is refused by name. */
uint64_t inflate_limit(uint64_t len);
bool bytes_are_gzip(Bytes bytes);
bool gzip_inflate(Arena *arena, Diags *diags, uint32_t source, Bytes in, Bytes *out);

/* ---- onnx.c -------------------------------------------------------------------------------------------------------- */

/* The initializers of a model at `path`, external data beside it included. */
bool onnx_file_tensors(Arena *arena, Diags *diags, uint32_t source, const char *path, Bytes bytes, TensorFile *out);

/* ---- decimal.c: decimal text to floats, fast ----------------------------------------------------------------------- */

/* digits * 10^exponent */
typedef struct Decimal { uint64_t digits; int exponent; bool negative; } Decimal;
/* False when the text has another form, or more than 19 significant digits: then the slow way is the way. */
bool decimal_scan(const char *at, size_t len, Decimal *out);
/* The nearest value; false when that takes more than 128-bit integers. */
bool decimal_f64(Decimal d, double *out);
bool decimal_f32(Decimal d, float *out);

/* ---- numbers.c: decimal text --------------------------------------------------------------------------------------- */

/* Parses the whole of [at, at+len) as a floating-point number (decimal, hex, nan, inf), independent of the locale. */
bool number_parse(const char *at, size_t len, double *out);
/* An integer in decimal, optional sign. */
bool integer_parse(const char *at, size_t len, int64_t *out);

/* Converts a number to one element of `type` at `out`: floats round to nearest, integers must be exact and fit.
 * False when it does not fit. */
const char *element_from_text(Type type, const char *at, size_t len, void *out); /* NULL, or "is no number" and the like */
bool element_from_f64(Type type, double value, void *out);
bool element_from_i64(Type type, int64_t value, void *out);

/* ---- safetensors_write.c ----------------------------------------------------------------------------------------------- */

typedef struct NamedConst { const char *name; const Const *c; } NamedConst;

bool safetensors_holds(Type type);
void safetensors_write(Arena *arena, FILE *out, size_t n, const NamedConst *list);

/* ---- samples.c --------------------------------------------------------------------------------------------------------- */

/* What fe_read_samples does once it has the bytes; `npy` or text. */
bool samples_from_bytes(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, bool npy, Type row, Samples *out);

/* One element of at most 64 bits under another type: exact, but that floats round once to nearest. False when it does not fit. */
bool element_converted(Type from, const uint8_t *at, Type to, uint8_t *out);
const char *element_shown(Arena *arena, Type type, const uint8_t *at);

/* ---- csv.c ----------------------------------------------------------------------------------------------------------- */

/* Rows of numbers as text. */
bool csv_read(Arena *arena, Diags *diags, uint32_t source, Bytes text, Type row, Samples *out);
void csv_write(FILE *out, const Samples *samples);

/* Line by line, cell by cell: what csv_read and the reader of data tables stand on. */
typedef struct Cell { size_t begin, end; } Cell;       /* bytes of the text */
typedef struct Csv {
    const char *text;
    size_t len, at;               /* at: the next line */
    char separator;               /* ' ': blanks */
    bool tabs;                    /* a tab may be one, too */
} Csv;
/* Positions at the first row; says whether there is a line of names before it, which `named` takes for granted. */
bool csv_begin(Csv *c, Bytes text, bool tabs, bool named, Cell *header);
/* The next line with anything in it, without blanks at its ends. */
bool csv_line(Csv *c, Cell *line);
/* Takes the next cell off the line (more: true at first); a trailing separator makes an empty last cell. */
bool csv_cell(const Csv *c, Cell *line, Cell *cell, bool *more);
size_t csv_count_lines(Bytes text);
/* Places in it are 32 bits wide; false (reported) when it is too long. */
bool csv_fits(Diags *diags, uint32_t source, Bytes text);

#endif
