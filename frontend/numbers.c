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

/* ---- integers beyond 64 bits: decimal, or hexadecimal as csv_write makes it ---- */

static bool is_hexadecimal(const char *at, size_t len)
{
    return len > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
}

static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

static bool integer_is(const char *at, size_t len)
{
    bool hex = is_hexadecimal(at, len);
    size_t i = hex ? 2 : len > 0 && (*at == '-' || *at == '+');
    if (i == len)
        return false;
    for (; i < len; i++)
        if (digit_value(at[i]) >= (hex ? 16 : 10))
            return false;
    return true;
}

/* limbs = limbs * factor + digit; false when that exceeds them. */
static bool limbs_push(uint64_t *limb, size_t n, uint64_t factor, uint64_t digit)
{
    unsigned __int128 carry = digit;
    for (size_t i = 0; i < n; i++) {
        carry += (unsigned __int128)limb[i] * factor;
        limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return carry == 0;
}

static void limbs_negate(uint64_t *limb, size_t n)
{
    bool carry = true;
    for (size_t i = 0; i < n; i++) {
        limb[i] = ~limb[i] + carry;
        carry = carry && limb[i] == 0;
    }
}

/* Whether all bits from `bit` on equal the sign, so that a number of bit + 1 bits holds it. */
static bool limbs_fit(const uint64_t *limb, size_t n, uint32_t bit, bool negative)
{
    for (size_t i = bit / 64; i < n; i++) {
        uint64_t differ = limb[i] ^ (negative ? ~(uint64_t)0 : 0);
        if (i == bit / 64 ? differ >> bit % 64 : differ)
            return false;
    }
    return true;
}

/* One limb more than the type has, for what does not fit. A number with all its hexadecimal digits is two's complement. */
static bool integer_wide(Type type, const char *at, size_t len, void *out)
{
    enum { LIMBS = IR_MAX_INT_BITS / 64 + 1, DIGITS = 15 };
    uint64_t limb[LIMBS], factor = 1, chunk = 0;
    uint32_t bytes = type_element_bytes(type);
    size_t used = ((size_t)bytes + 7) / 8 + 1, i = is_hexadecimal(at, len) ? 2 : *at == '-' || *at == '+';
    uint64_t base = i == 2 ? 16 : 10;
    bool pattern = base == 16 && len - 2 == 2 * (size_t)bytes && digit_value(at[2]) >= 8, negative = pattern || *at == '-', fits = true;
    memset(limb, pattern ? 0xFF : 0, used * sizeof *limb);
    for (size_t n = 1; i < len; i++, n++) {
        chunk = chunk * base + (uint64_t)digit_value(at[i]);
        factor *= base;
        if (n % DIGITS && i + 1 < len)
            continue;
        fits &= limbs_push(limb, used, factor, chunk) || pattern;
        factor = 1, chunk = 0;
    }
    if (negative && !pattern)
        limbs_negate(limb, used);
    bool zero = limbs_fit(limb, used, 0, false);
    memcpy(out, limb, bytes);
    return fits && limbs_fit(limb, used, type.n - 1, negative && !zero);
}

/* Floats whose text has the common form: correctly rounded without the C library, which is much slower. */
static bool float_from_decimal(Type type, const char *at, size_t len, void *out)
{
    Decimal d;
    return decimal_scan(at, len, &d) && (type.elem == ELEM_F32 ? decimal_f32(d, out) : decimal_f64(d, out));
}

const char *element_from_text(Type type, const char *at, size_t len, void *out)
{
    static const char no_number[] = "is no number", no_fit[] = "does not fit";
    float narrow;
    double wide;
    int64_t whole;
    if (type_is_float(type) && float_from_decimal(type, at, len, out))
        return NULL;
    if (!type_is_float(type) && integer_parse(at, len, &whole))
        return element_from_i64(type, whole, out) ? NULL : no_fit;
    if (type.elem == ELEM_INT && type.n > 64 && integer_is(at, len))
        return integer_wide(type, at, len, out) ? NULL : no_fit;
    if (!number_parse(at, len, &wide))
        return no_number;
    if (type.elem == ELEM_F32) {
        parse_float(at, len, &narrow, NULL);
        memcpy(out, &narrow, 4);
        return isinf(narrow) && !names_infinity(at, len) ? no_fit : NULL;
    }
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
