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

/* ---- csv.c ----------------------------------------------------------------------------------------------------------- */

/* Rows of numbers as text. */
bool csv_read(Arena *arena, Diags *diags, uint32_t source, Bytes text, Type row, Samples *out);
void csv_write(FILE *out, const Samples *samples);

#endif
