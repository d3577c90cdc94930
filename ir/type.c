/* type.c — element types and static shapes: plain values, compared by content.
 *
 * In: extents from any source, hostile ones included (type_valid). Out: types whose byte size is known to fit.
 */
#include "ir.h"

#include <string.h>

static Type type_scalar(ElemKind elem, uint32_t n)
{
    Type t = {.elem = elem, .n = n};
    return t;
}

Type type_f32(void) { return type_scalar(ELEM_F32, 0); }
Type type_f64(void) { return type_scalar(ELEM_F64, 0); }
Type type_int(uint32_t bits) { return type_scalar(ELEM_INT, bits); }
Type type_idx(uint32_t n) { return type_scalar(ELEM_IDX, n); }
Type type_set(uint32_t n) { return type_scalar(ELEM_SET, n); }

Type type_with_dims(Type t, uint32_t rank, const uint32_t *dim)
{
    Type r = type_scalar(t.elem, t.n);
    if (rank > IR_MAX_RANK)
        ICE("a type of rank %u", rank);
    r.rank = rank;
    if (rank > 0)
        memcpy(r.dim, dim, rank * sizeof *dim);
    return r;
}

Type type_vector(Type elem, uint32_t n) { return type_with_dims(elem, 1, &n); }

Type type_matrix(Type elem, uint32_t rows, uint32_t cols)
{
    return type_with_dims(elem, 2, (uint32_t[]){rows, cols});
}

Type type_element(Type t) { return type_scalar(t.elem, t.n); }

bool type_same_element(Type a, Type b) { return a.elem == b.elem && a.n == b.n; }

bool type_equal(Type a, Type b)
{
    if (!type_same_element(a, b) || a.rank != b.rank)
        return false;
    for (uint32_t d = 0; d < a.rank; d++)
        if (a.dim[d] != b.dim[d])
            return false;
    return true;
}

bool type_is_float(Type t) { return t.elem == ELEM_F32 || t.elem == ELEM_F64; }
bool type_is_int(Type t) { return t.elem == ELEM_INT; }

uint64_t type_count(Type t)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < t.rank; d++)
        n *= t.dim[d];
    return n;
}

uint32_t type_element_bytes(Type t)
{
    switch (t.elem) {
    case ELEM_F32:
    case ELEM_IDX:
        return 4;
    case ELEM_F64:
        return 8;
    case ELEM_INT:
        return t.n <= 8 ? 1 : t.n <= 16 ? 2 : t.n <= 32 ? 4 : t.n <= 64 ? 8 : t.n <= 128 ? 16 : (t.n + 63) / 64 * 8;
    case ELEM_SET:
    case ELEM_NONE:
        break;
    }
    ICE("element type %d has no memory form", (int)t.elem);
}

bool type_valid(Type t)
{
    bool has_n = t.elem == ELEM_INT || t.elem == ELEM_SET || t.elem == ELEM_IDX;
    if (t.elem == ELEM_NONE || t.rank > IR_MAX_RANK || (!has_n && t.n != 0))
        return false;
    if ((t.elem == ELEM_INT && (t.n < 1 || t.n > IR_MAX_INT_BITS)) || (t.elem == ELEM_IDX && (t.n < 1 || t.n > INT32_MAX)))
        return false;
    if (t.elem == ELEM_SET)
        return t.rank == 0 && t.n <= INT32_MAX;
    size_t bytes = type_element_bytes(t);
    for (uint32_t d = 0; d < t.rank; d++) {
        if (t.dim[d] > INT32_MAX)
            return false;
        /* An empty tensor has no bytes, but its other extents still multiply in strides: keep their product finite too. */
        if (!size_mul(bytes, t.dim[d] ? t.dim[d] : 1, &bytes) || bytes > (size_t)1 << 46)
            return false;
    }
    return true;
}

char *type_print(Arena *arena, Type t)
{
    Text text = text_new(arena);
    switch (t.elem) {
    case ELEM_NONE: text_add(&text, "nothing"); break;
    case ELEM_INT:  text_add(&text, "i%u", t.n); break;
    case ELEM_F32:  text_add(&text, "f32"); break;
    case ELEM_F64:  text_add(&text, "f64"); break;
    case ELEM_SET:  text_add(&text, "set[%u]", t.n); break;
    case ELEM_IDX:  text_add(&text, "idx[%u]", t.n); break;
    }
    for (uint32_t d = 0; d < t.rank; d++)
        text_add(&text, "%s%u", d == 0 ? "[" : ",", t.dim[d]);
    if (t.rank > 0)
        text_add(&text, "]");
    return text.at;
}
