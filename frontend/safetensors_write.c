/* safetensors_write.c — tensors into a .safetensors file.
 *
 * In: constants and the names they get. Out: the format of safetensors.c, elements row-major, whatever their strides
 * are here. The header is padded with blanks so that the elements begin at a multiple of 8.
 */
#include "formats.h"

#include <string.h>

static const char *dtype_of(Type type)
{
    switch (type.elem) {
    case ELEM_F32: return "F32";
    case ELEM_F64: return "F64";
    case ELEM_INT:
        switch (type.n) {
        case 1: return "BOOL";
        case 8: return "I8";
        case 16: return "I16";
        case 32: return "I32";
        case 64: return "I64";
        }
        return NULL;
    case ELEM_NONE: case ELEM_SET: case ELEM_IDX:
        return NULL;
    }
    ICE("element kind %d", (int)type.elem);
}

bool safetensors_holds(Type type)
{
    return dtype_of(type) != NULL;
}

static void write_elements(Arena *arena, FILE *out, const Const *c)
{
    size_t bytes = (size_t)const_bytes(c);
    if (const_is_row_major(c)) {
        fwrite(c->data, 1, bytes, out);
        return;
    }
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    void *copy = arena_big(scratch, bytes, 64);
    const_copy(c, copy);
    fwrite(copy, 1, bytes, out);
    arena_free(scratch);
}

void safetensors_write(Arena *arena, FILE *out, size_t n, const NamedConst *list)
{
    Text header = text_new(arena);
    uint64_t at = 0;
    text_add(&header, "{");
    for (size_t i = 0; i < n; i++) {
        const Const *c = list[i].c;
        text_add(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", list[i].name, dtype_of(c->type));
        for (uint32_t d = 0; d < c->type.rank; d++)
            text_add(&header, "%s%u", d ? "," : "", c->type.dim[d]);
        text_add(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + const_bytes(c)));
        at += const_bytes(c);
    }
    text_add(&header, "}");
    while (header.len % 8)
        text_add(&header, " ");
    uint64_t len = header.len;
    fwrite(&len, 1, sizeof len, out);
    fwrite(header.at, 1, header.len, out);
    for (size_t i = 0; i < n; i++)
        write_elements(arena, out, list[i].c);
}
