/* numbers.c — text to numbers, and numbers to the elements of a type.
 *
 * In: a cell of a table, a bound of a box, a word of a .nnet file. Out: one element in its memory form. Rounding
 * happens once, to the nearest value of a float type; an integer is taken only when it is exact.
 */
#include "formats.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 500 };

bool number_parse(const char *at, size_t len, double *out)
{
    char copy[LONGEST_NUMBER + 1];
    if (len == 0 || len > LONGEST_NUMBER || memchr(at, '\0', len) || *at == ' ' || (*at >= '\t' && *at <= '\r'))
        return false;
    memcpy(copy, at, len);
    copy[len] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a program that uses us may have set another one */
    if (!c)
        return false;
    char *end;
    *out = strtod_l(copy, &end, c);
    freelocale(c);
    return end == copy + len;
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
