/* npy.c — NumPy's array files, versions 1 to 3.
 *
 * In: bytes. Out: one tensor, borrowed when it is little-endian, row-major and of a type of ours.
 *
 *      \x93NUMPY  major minor  header length (2 bytes; 4 from version 2)  header  elements
 *      header: {'descr': '<f4', 'fortran_order': False, 'shape': (20, 5), }
 *
 * Source: numpy.lib.format (NEP 1). The header is a Python literal; the one idea is to accept exactly the literals that
 * NumPy writes (any order of the keys, any spaces), and nothing that would need Python.
 */
#include "formats.h"

#include <string.h>

typedef struct Header {
    Arena *arena;
    const char *at, *end;
    const char *why;              /* the first thing that is wrong */
    RawTensor *raw;
    bool has_descr, has_order, has_shape;
} Header;

static bool fail(Header *h, const char *why)
{
    if (!h->why)
        h->why = why;
    return false;
}

static void skip_spaces(Header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t' || *h->at == '\r'))
        h->at++;
}

static bool accept(Header *h, char c)
{
    skip_spaces(h);
    if (h->at == h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

static bool accept_word(Header *h, const char *word)
{
    size_t n = strlen(word);
    skip_spaces(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0)
        return false;
    h->at += n;
    return true;
}

/* A quoted string without escapes. */
static bool read_string(Header *h, const char **s)
{
    skip_spaces(h);
    char quote = h->at < h->end ? *h->at : '\0';
    if (quote != '\'' && quote != '"')
        return fail(h, "its header expects a quoted string");
    const char *close = memchr(h->at + 1, quote, (size_t)(h->end - h->at - 1));
    if (!close)
        return fail(h, "its header has an unclosed string");
    *s = str_ndup(h->arena, h->at + 1, (size_t)(close - h->at - 1));
    h->at = close + 1;
    return true;
}

static bool read_extent(Header *h, uint64_t *extent)
{
    *extent = 0;
    skip_spaces(h);
    const char *from = h->at;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
        unsigned digit = (unsigned)(*h->at - '0');
        if (*extent > (UINT64_MAX - digit) / 10)
            return fail(h, "its shape has a number beyond 64 bits");
        *extent = *extent * 10 + digit;
    }
    if (h->at == from)
        return fail(h, "its shape is no tuple of non-negative integers");
    accept_word(h, "L"); /* Python 2 wrote long integers so */
    return true;
}

static bool read_shape(Header *h)
{
    if (!accept(h, '('))
        return fail(h, "its shape is no tuple of non-negative integers");
    while (!accept(h, ')')) {
        if (h->raw->rank == RAW_MAX_RANK)
            return fail(h, "it has too many dimensions; at most 6 are supported");
        if (!read_extent(h, &h->raw->dim[h->raw->rank++]))
            return false;
        if (!accept(h, ',')) {
            if (!accept(h, ')'))
                return fail(h, "its shape is no tuple of non-negative integers");
            break;
        }
    }
    return h->has_shape = true;
}

static bool read_descr(Header *h)
{
    static const struct { const char *code; FileElem elem; } codes[] = {
        {"f2", FILE_F16}, {"f4", FILE_F32}, {"f8", FILE_F64}, {"b1", FILE_BOOL}, {"i1", FILE_I8}, {"i2", FILE_I16},
        {"i4", FILE_I32}, {"i8", FILE_I64}, {"u1", FILE_U8},  {"u2", FILE_U16},  {"u4", FILE_U32}, {"u8", FILE_U64},
        {"bfloat16", FILE_BF16}};
    skip_spaces(h);
    if (h->at < h->end && *h->at == '[')
        return fail(h, "it holds records (a structured dtype); save plain numbers instead");
    const char *s;
    if (!read_string(h, &s))
        return false;
    bool has_order = *s == '<' || *s == '>' || *s == '|' || *s == '=';
    h->raw->big_endian = *s == '>';
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(s + has_order, codes[i].code) == 0) {
            h->raw->elem = codes[i].elem;
            return h->has_descr = true;
        }
    return fail(h, str_printf(h->arena, "its elements have the type `%s`; supported are f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1",
                              name_shown(h->arena, s)));
}

static bool read_entry(Header *h)
{
    const char *key;
    if (!read_string(h, &key))
        return false;
    if (!accept(h, ':'))
        return fail(h, "its header lacks a `:` after a key");
    if (strcmp(key, "descr") == 0 && !h->has_descr)
        return read_descr(h);
    if (strcmp(key, "shape") == 0 && !h->has_shape)
        return read_shape(h);
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->raw->fortran = accept_word(h, "True");
        h->has_order = h->raw->fortran || accept_word(h, "False");
        return h->has_order || fail(h, "its fortran_order is neither True nor False");
    }
    return fail(h, str_printf(h->arena, "its header has the unexpected or repeated key `%s`", name_shown(h->arena, key)));
}

static bool read_header(Header *h)
{
    if (!accept(h, '{'))
        return fail(h, "its header is no dictionary");
    while (!accept(h, '}')) {
        if (!read_entry(h))
            return false;
        if (!accept(h, ',')) {
            if (!accept(h, '}'))
                return fail(h, "its header lacks a `,` or the closing `}`");
            break;
        }
    }
    skip_spaces(h);
    if (h->at != h->end)
        return fail(h, "its header goes on after the closing `}`");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return fail(h, "its header must say descr, fortran_order and shape");
    return true;
}

/* Splits the file into header and elements. */
static const char *split(Bytes bytes, Bytes *header, Bytes *elements)
{
    static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    if (bytes.len < sizeof magic || memcmp(bytes.at, magic, sizeof magic) != 0)
        return "it does not begin like a .npy file";
    if (bytes.len < 10)
        return "it ends within its header";
    unsigned version = bytes.at[6];
    if (version < 1 || version > 3)
        return "its format version is not 1, 2 or 3";
    size_t start = version == 1 ? 10 : 12, len = (size_t)bytes.at[8] | (size_t)bytes.at[9] << 8;
    if (bytes.len < start)
        return "it ends within its header";
    if (version > 1)
        len |= (size_t)bytes.at[10] << 16 | (size_t)bytes.at[11] << 24;
    if (len > bytes.len - start)
        return "it ends within its header";
    *header = (Bytes){bytes.at + start, len};
    *elements = (Bytes){bytes.at + start + len, bytes.len - start - len};
    return NULL;
}

bool npy_parse(Arena *arena, Bytes bytes, RawTensor *raw, const char **why)
{
    Bytes header;
    *why = split(bytes, &header, &raw->data);
    if (*why)
        return false;
    Header h = {.arena = arena, .at = (const char *)header.at, .raw = raw};
    h.end = h.at + header.len;
    read_header(&h);
    *why = h.why;
    return !h.why;
}

bool fe_read_npy(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, Tensor *out)
{
    RawTensor raw = {.name = ""};
    const char *why;
    if (!npy_parse(arena, bytes, &raw, &why)) {
        diag_error(diags, diag_whole(source), "cannot read the array: %s", why);
        return false;
    }
    return tensor_decode(arena, diags, diag_whole(source), &raw, out);
}
