/* elements.c — elements as files encode them become elements of our types.
 *
 * In: a RawTensor (what a header claims, and bytes). Out: a Tensor that is true. The one idea: what is already right
 * (f32, f64, signed integers, little-endian, row-major) is borrowed from the file's mapping; everything else is copied once:
 *
 *      f16, bf16 → f32 (exact)      u8 u16 u32 → i16 i32 i64      u64 → i64 when it fits      bool → i1
 */
#include "formats.h"

#include <string.h>

uint32_t file_elem_bytes(FileElem elem)
{
    switch (elem) {
    case FILE_BOOL: case FILE_I8: case FILE_U8: return 1;
    case FILE_F16: case FILE_BF16: case FILE_I16: case FILE_U16: return 2;
    case FILE_F32: case FILE_I32: case FILE_U32: return 4;
    case FILE_F64: case FILE_I64: case FILE_U64: return 8;
    }
    ICE("file element %d", (int)elem);
}

Type file_elem_type(FileElem elem)
{
    switch (elem) {
    case FILE_F16: case FILE_BF16: case FILE_F32: return type_f32();
    case FILE_F64: return type_f64();
    case FILE_BOOL: return type_int(1);
    case FILE_I8: return type_int(8);
    case FILE_I16: case FILE_U8: return type_int(16);
    case FILE_I32: case FILE_U16: return type_int(32);
    case FILE_I64: case FILE_U32: case FILE_U64: return type_int(64);
    }
    ICE("file element %d", (int)elem);
}

static bool is_borrowable(FileElem elem)
{
    switch (elem) {
    case FILE_F32: case FILE_F64: case FILE_I8: case FILE_I16: case FILE_I32: case FILE_I64: return true;
    case FILE_F16: case FILE_BF16: case FILE_BOOL: case FILE_U8: case FILE_U16: case FILE_U32: case FILE_U64: return false;
    }
    ICE("file element %d", (int)elem);
}

bool file_elem_is_ours(FileElem elem)
{
    return is_borrowable(elem) || elem == FILE_BOOL;
}

/* ---- names and dims in messages ---- */

const char *name_shown(Arena *arena, const char *name)
{
    enum { LONGEST = 60 };
    size_t len = strlen(name);
    if (len <= LONGEST)
        return name;
    return str_printf(arena, "%.*s…", (int)utf8_check(name, LONGEST), name);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char *name_identifier(Arena *arena, const char *name, const char *first)
{
    enum { LONGEST = 100 };
    bool letter = is_word(name[0]) && !(name[0] >= '0' && name[0] <= '9') && name[0] != '_';
    char *id = str_printf(arena, "%s%.*s", letter ? "" : first, LONGEST, name);
    for (char *c = id; *c; c++)
        if (!is_word(*c))
            *c = '_';
    return id;
}

const char *name_of_file(Arena *arena, const char *path)
{
    static const char *const suffixes[] = {".gz", ".onnx", ".nnet", ".cnet", ".cnir"};
    const char *slash = strrchr(path, '/');
    char *base = str_dup(arena, slash ? slash + 1 : path);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (str_ends(base, suffixes[i]))
            base[strlen(base) - strlen(suffixes[i])] = '\0';
    return name_identifier(arena, base, "net_");
}

const char *dims_print(Arena *arena, uint32_t rank, const uint64_t *dim)
{
    if (rank == 0)
        return "scalar";
    Text text = text_new(arena);
    for (uint32_t d = 0; d < rank; d++)
        text_add(&text, "%s%llu", d ? "x" : "", (unsigned long long)dim[d]);
    return text.at;
}

/* ---- checking ---- */

/* "`fc1.weight`: " or nothing. */
static const char *named(Arena *arena, const RawTensor *raw)
{
    return *raw->name ? str_printf(arena, "`%s`: ", name_shown(arena, raw->name)) : "";
}

/* The type that the header claims; false (reported) when it cannot be. */
static bool check_claims(Arena *arena, Diags *diags, Span span, const RawTensor *raw, Type *type)
{
    const char *who = named(arena, raw);
    if (raw->rank > IR_MAX_RANK) {
        diag_error(diags, span, "%sthe tensor has %u dimensions; at most %d are supported", who, raw->rank, IR_MAX_RANK);
        return false;
    }
    size_t need = file_elem_bytes(raw->elem);
    uint32_t dim[IR_MAX_RANK] = {0};
    bool fits = true;
    for (uint32_t d = 0; d < raw->rank; d++) {
        fits &= raw->dim[d] <= INT32_MAX;
        dim[d] = (uint32_t)raw->dim[d];
    }
    for (uint32_t d = 0; d < raw->rank && fits; d++)
        fits = size_mul(need, dim[d], &need);
    *type = type_with_dims(file_elem_type(raw->elem), raw->rank, dim);
    if (!fits || !type_valid(*type)) {
        diag_error(diags, span, "%sthe dimensions %s are too large", who, dims_print(arena, raw->rank, raw->dim));
        return false;
    }
    if (need != raw->data.len) {
        diag_error(diags, span, "%sexpected %zu bytes of data (%s elements of %u bytes), found %zu", who, need,
                   dims_print(arena, raw->rank, raw->dim), file_elem_bytes(raw->elem), raw->data.len);
        return false;
    }
    return true;
}

/* ---- widening ---- */

static uint64_t load(const uint8_t *at, uint32_t bytes, bool big_endian)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << 8 * (big_endian ? bytes - 1 - i : i);
    return v;
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE 754 binary16, exactly. */
static float half_value(uint32_t h)
{
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    if (exponent == 31)
        return from_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* False when the value does not fit (u64 beyond the greatest i64). */
static bool widen(FileElem elem, uint64_t v, uint8_t *out)
{
    float f;
    int16_t i16 = (int16_t)v;
    int32_t i32 = (int32_t)v;
    switch (elem) {
    case FILE_F16: f = half_value((uint32_t)v); memcpy(out, &f, 4); return true;
    case FILE_BF16: f = from_bits((uint32_t)v << 16); memcpy(out, &f, 4); return true;
    case FILE_BOOL: *out = v != 0; return true;
    case FILE_U8: memcpy(out, &i16, 2); return true;
    case FILE_U16: memcpy(out, &i32, 4); return true;
    case FILE_I8: memcpy(out, &v, 1); return true;
    case FILE_I16: memcpy(out, &v, 2); return true;
    case FILE_F32: case FILE_I32: memcpy(out, &v, 4); return true;
    case FILE_U64:
        if (v > INT64_MAX)
            return false;
        memcpy(out, &v, 8);
        return true;
    case FILE_F64: case FILE_I64: case FILE_U32: memcpy(out, &v, 8); return true;
    }
    ICE("file element %d", (int)elem);
}

/* The elements in the order of the file. NULL (reported) when one does not fit. */
static const uint8_t *convert(Arena *arena, Diags *diags, Span span, const RawTensor *raw, Type type)
{
    uint32_t from = file_elem_bytes(raw->elem), to = type_element_bytes(type);
    static const uint8_t nothing[1];
    if (is_borrowable(raw->elem) && !raw->big_endian)
        return raw->data.at ? raw->data.at : nothing; /* no elements */
    size_t n = type_count(type), total;
    if (!size_mul(n, to, &total))
        arena_exhausted(arena);
    uint8_t *out = arena_big(arena, total, 64);
    for (size_t i = 0; i < n; i++)
        if (!widen(raw->elem, load(raw->data.at + i * from, from, raw->big_endian), out + i * to)) {
            diag_error(diags, span, "%selement %zu does not fit a signed 64-bit integer", named(arena, raw), i);
            return NULL;
        }
    return out;
}

/* First index fastest → last index fastest. */
static const uint8_t *from_fortran(Arena *arena, Type type, const uint8_t *data)
{
    Const view = {.kind = CONST_TENSOR, .type = type, .data = data};
    int64_t step = 1;
    for (uint32_t d = 0; d < type.rank; d++) {
        view.stride[d] = step;
        step *= type.dim[d];
    }
    uint8_t *out = arena_big(arena, const_bytes(&view), 64);
    const_copy(&view, out);
    return out;
}

bool tensor_decode(Arena *arena, Diags *diags, Span span, const RawTensor *raw, Tensor *out)
{
    Type type;
    if (!check_claims(arena, diags, span, raw, &type))
        return false;
    const uint8_t *data = convert(arena, diags, span, raw, type);
    if (!data)
        return false;
    if (raw->fortran && type.rank > 1 && type_count(type))
        data = from_fortran(arena, type, data);
    *out = (Tensor){.name = raw->name, .type = type, .data = data};
    return true;
}
