/* safetensors.c — Hugging Face's tensor files.
 *
 * In: bytes. Out: tensors that borrow from them.
 *
 *      8 bytes: length n of the header, then n bytes of JSON, then the elements:
 *      {"fc1.weight": {"dtype": "F32", "shape": [20, 5], "data_offsets": [0, 400]}, …, "__metadata__": {…}}
 *
 * Source: the format's README. As it demands, offsets lie within the file, in order, and do not overlap; a header is
 * not longer than the file. Depth is limited before the JSON parser sees it: the format needs three levels.
 */
#include "formats.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_HEADER = 100 * 1000 * 1000, DEEPEST = 4 };

typedef struct Extent { uint64_t begin, end; const char *name; } Extent;

typedef struct Reader {
    Arena *arena;
    Diags *diags;
    Span span;
    Bytes elements;
} Reader;

static void release_json(void *json)
{
    cJSON_Delete(json);
}

/* The greatest depth of brackets outside strings. */
static bool is_too_deep(const char *s, size_t len)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (quoted && s[i] == '\\')
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
        else if (!quoted && (s[i] == '{' || s[i] == '['))
            depth++;
        else if (!quoted && (s[i] == '}' || s[i] == ']'))
            depth--;
        if (depth > DEEPEST)
            return true;
    }
    return false;
}

static const cJSON *parse_header(Reader *r, Arena *scratch, const char *text, size_t len)
{
    if (utf8_check(text, len) != len) {
        diag_error(r->diags, r->span, "the header is not UTF-8 (byte %zu)", utf8_check(text, len));
        return NULL;
    }
    if (is_too_deep(text, len)) {
        diag_error(r->diags, r->span, "the header is nested deeper than %d levels", DEEPEST);
        return NULL;
    }
    const char *end = text;
    char *copy = str_ndup(scratch, text, len);
    cJSON *json = cJSON_ParseWithLengthOpts(copy, strlen(copy), &end, 0);
    if (json)
        arena_defer(scratch, release_json, json);
    if (!cJSON_IsObject(json)) {
        diag_error(r->diags, r->span, "the header is no JSON object (near byte %zu of it)", (size_t)(end - copy));
        return NULL;
    }
    return json;
}

/* A whole number 0 … 2^53. */
static bool get_size(const cJSON *json, uint64_t *out)
{
    if (!cJSON_IsNumber(json) || !(json->valuedouble >= 0) || json->valuedouble > 0x1p53)
        return false;
    *out = (uint64_t)json->valuedouble;
    return (double)*out == json->valuedouble;
}

static bool get_dtype(const cJSON *json, FileElem *elem)
{
    static const struct { const char *name; FileElem elem; } names[] = {
        {"F32", FILE_F32}, {"F64", FILE_F64}, {"F16", FILE_F16}, {"BF16", FILE_BF16}, {"BOOL", FILE_BOOL},
        {"I8", FILE_I8},   {"I16", FILE_I16}, {"I32", FILE_I32}, {"I64", FILE_I64},   {"U8", FILE_U8},
        {"U16", FILE_U16}, {"U32", FILE_U32}, {"U64", FILE_U64}};
    for (size_t i = 0; cJSON_IsString(json) && i < sizeof names / sizeof *names; i++)
        if (strcmp(json->valuestring, names[i].name) == 0) {
            *elem = names[i].elem;
            return true;
        }
    return false;
}

static bool refuse(Reader *r, const char *name, const char *why)
{
    diag_error(r->diags, r->span, "`%s`: %s", name_shown(r->arena, name), why);
    return false;
}

static bool read_shape(Reader *r, const cJSON *shape, RawTensor *raw)
{
    const cJSON *extent;
    if (!cJSON_IsArray(shape))
        return refuse(r, raw->name, "`shape` is missing or no array");
    cJSON_ArrayForEach(extent, shape) {
        if (raw->rank == RAW_MAX_RANK)
            return refuse(r, raw->name, "the tensor has too many dimensions; at most 6 are supported");
        if (!get_size(extent, &raw->dim[raw->rank++]))
            return refuse(r, raw->name, "`shape` holds something else than non-negative integers");
    }
    return true;
}

static bool read_tensor(Reader *r, const cJSON *entry, Extent *extent, Tensor *out)
{
    RawTensor raw = {.name = str_dup(r->arena, entry->string)};
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!get_dtype(dtype, &raw.elem))
        return refuse(r, raw.name, cJSON_IsString(dtype)
                      ? str_printf(r->arena, "the element type `%s` is not supported; supported are F64 F32 F16 BF16, I8 to I64, U8 to U64, BOOL",
                                   name_shown(r->arena, dtype->valuestring))
                      : "`dtype` is missing");
    if (!read_shape(r, cJSON_GetObjectItemCaseSensitive(entry, "shape"), &raw))
        return false;
    if (cJSON_GetArraySize(offsets) != 2 || !cJSON_IsArray(offsets) || !get_size(cJSON_GetArrayItem(offsets, 0), &extent->begin) ||
        !get_size(cJSON_GetArrayItem(offsets, 1), &extent->end) || extent->begin > extent->end)
        return refuse(r, raw.name, "`data_offsets` is no pair [begin, end]");
    if (extent->end > r->elements.len)
        return refuse(r, raw.name, str_printf(r->arena, "its data end at byte %llu, but the file holds only %zu bytes of data",
                                              (unsigned long long)extent->end, r->elements.len));
    raw.data = (Bytes){r->elements.at + extent->begin, extent->end - extent->begin};
    extent->name = raw.name;
    return tensor_decode(r->arena, r->diags, r->span, &raw, out);
}

static int by_begin(const void *a, const void *b)
{
    const Extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Extent *)a)->name, ((const Extent *)b)->name);
}

static bool check_extents(Reader *r, Extent *extent, size_t n)
{
    qsort(extent, n, sizeof *extent, by_begin);
    for (size_t i = 1; i < n; i++)
        if (extent[i].begin < extent[i - 1].end)
            return refuse(r, extent[i].name, str_printf(r->arena, "its data overlap those of `%s`", name_shown(r->arena, extent[i - 1].name)));
    qsort(extent, n, sizeof *extent, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(extent[i].name, extent[i - 1].name) == 0)
            return refuse(r, extent[i].name, "the header names it twice");
    return true;
}

static bool read_entries(Reader *r, Arena *scratch, const cJSON *header, TensorFile *out)
{
    const cJSON *entry;
    size_t n = (size_t)cJSON_GetArraySize(header);
    Extent *extent = NEW_ARRAY(scratch, n, Extent);
    out->tensor = NEW_ARRAY(r->arena, n, Tensor);
    out->n = 0;
    bool good = true;
    cJSON_ArrayForEach(entry, header) {
        if (strcmp(entry->string, "__metadata__") == 0)
            continue;
        if (read_tensor(r, entry, &extent[out->n], &out->tensor[out->n]))
            out->n++;
        else
            good = false;
    }
    return good && check_extents(r, extent, out->n);
}

bool fe_read_safetensors(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out)
{
    Reader r = {.arena = arena, .diags = diags, .span = diag_whole(source)};
    uint64_t len = 0;
    if (bytes.len < 8) {
        diag_error(diags, r.span, "the file has %zu bytes, fewer than the 8 that a .safetensors file begins with", bytes.len);
        return false;
    }
    memcpy(&len, bytes.at, 8);
    if (len > bytes.len - 8 || len > LONGEST_HEADER) {
        diag_error(diags, r.span, "the header should have %llu bytes, but %zu follow%s", (unsigned long long)len, bytes.len - 8,
                   len > bytes.len - 8 ? "; the file is truncated, or no .safetensors file" : ", and no header is as long");
        return false;
    }
    r.elements = (Bytes){bytes.at + 8 + len, bytes.len - 8 - len};
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    const cJSON *header = parse_header(&r, scratch, (const char *)bytes.at + 8, len);
    bool good = header && read_entries(&r, scratch, header, out);
    arena_free(scratch);
    return good;
}
