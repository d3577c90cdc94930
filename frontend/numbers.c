/* numbers.c — text to numbers, and numbers to the elements of a type.
 *
 * In: a cell of a table, a bound of a box, a word of a .nnet file. Out: one element in its memory form. Rounding
 * happens once, to the nearest value of a float type; an integer is taken only when it is exact.
 */
#include "formats.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 500 };

/* strtof and strtod with the C locale: a program that uses us may have set another one. Both, since reading an f32 as
 * f64 first would round twice. */
static bool parse_float(const char *at, size_t len, float *narrow, double *wide)
{
    char copy[LONGEST_NUMBER + 1], *end;
    if (len == 0 || len > LONGEST_NUMBER || memchr(at, '\0', len) || *at == ' ' || (*at >= '\t' && *at <= '\r'))
        return false;
    memcpy(copy, at, len);
    copy[len] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    if (narrow)
        *narrow = strtof_l(copy, &end, c);
    else
        *wide = strtod_l(copy, &end, c);
    freelocale(c);
    return end == copy + len;
}

bool number_parse(const char *at, size_t len, double *out)
{
    return parse_float(at, len, NULL, out);
}

/* Whether the text says inf itself, rather than a number beyond every float. */
static bool names_infinity(const char *at, size_t len)
{
    size_t i = len > 0 && (*at == '-' || *at == '+');
    return i < len && (at[i] == 'i' || at[i] == 'I');
}

const char *element_from_text(Type type, const char *at, size_t len, void *out)
{
    static const char no_number[] = "is no number", no_fit[] = "does not fit";
    float narrow;
    double wide;
    int64_t whole;
    if (!number_parse(at, len, &wide))
        return no_number;
    if (type.elem == ELEM_F32) {
        parse_float(at, len, &narrow, NULL);
        memcpy(out, &narrow, 4);
        return isinf(narrow) && !names_infinity(at, len) ? no_fit : NULL;
    }
    if (type.elem != ELEM_F64 && integer_parse(at, len, &whole))
        return element_from_i64(type, whole, out) ? NULL : no_fit;
    if (type.elem == ELEM_F64 && isinf(wide) && !names_infinity(at, len))
        return no_fit;
    return element_from_f64(type, wide, out) ? NULL : no_fit;
}

bool integer_parse(const char *at, size_t len, int64_t *out)
{
    bool negative = len && *at == '-';
    size_t i = len && (*at == '-' || *at == '+');
    uint64_t most = (uint64_t)INT64_MAX + negative, v = 0;
    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = (unsigned char)at[i] - (unsigned)'0';
        if (digit > 9 || v > (most - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = negative ? (int64_t)-v : (int64_t)v;
    return true;
}

bool element_from_f64(Type type, double value, void *out)
{
    float narrow = (float)value;
    switch (type.elem) {
    case ELEM_F64:
        memcpy(out, &value, 8);
        return true;
    case ELEM_F32:
        memcpy(out, &narrow, 4);
        return !isinf(narrow) || isinf(value);
    case ELEM_INT: case ELEM_IDX:
        return value >= -0x1p63 && value < 0x1p63 && value == floor(value) && element_from_i64(type, (int64_t)value, out);
    case ELEM_NONE: case ELEM_SET:
        return false;
    }
    ICE("element kind %d", (int)type.elem);
}

static bool fits_bits(int64_t value, uint32_t bits)
{
    if (bits == 1)
        return value == 0 || value == 1;
    return bits >= 64 || (value >= -((int64_t)1 << (bits - 1)) && value < (int64_t)1 << (bits - 1));
}

bool element_from_i64(Type type, int64_t value, void *out)
{
    uint32_t bytes = type_element_bytes(type);
    float narrow = (float)value;
    double wide = (double)value;
    switch (type.elem) {
    case ELEM_F64:
        memcpy(out, &wide, 8);
        return wide < 0x1p63 && (int64_t)wide == value;
    case ELEM_F32:
        memcpy(out, &narrow, 4);
        return narrow < 0x1p63f && (int64_t)narrow == value;
    case ELEM_INT:
        memset(out, value < 0 ? 0xFF : 0, bytes); /* the sign, for what is wider than 64 bits */
        memcpy(out, &value, bytes < 8 ? bytes : 8);
        return fits_bits(value, type.n);
    case ELEM_IDX:
        memcpy(out, &value, 4);
        return value >= 0 && value < type.n;
    case ELEM_NONE: case ELEM_SET:
        return false;
    }
    ICE("element kind %d", (int)type.elem);
}
