/* element.c — one element of a constant as text, and back.
 *
 * In: the memory form of an element (type_element_bytes), or its text. Out: the other. The one idea: the text says every
 * bit, so a constant that was printed and read is the same bytes; floats are therefore hexadecimal, which rounds nowhere.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- printing ---- */

static const uint64_t F64_QUIET_NAN = UINT64_C(0x7ff8000000000000);
static const uint32_t F32_QUIET_NAN = UINT32_C(0x7fc00000);

/* Lower-case hexadecimal digits of v, `n` of them; returns behind them. By hand: printf takes ten times as long, and large
 * constants are written whole when asked for. */
static char *put_hex(char *to, uint64_t v, uint32_t n)
{
    for (uint32_t i = n; i-- > 0; v >>= 4)
        to[i] = "0123456789abcdef"[v & 15];
    return to + n;
}

static char *put_exponent(char *to, int exponent)
{
    *to++ = 'p';
    *to++ = exponent < 0 ? '-' : '+';
    unsigned v = (unsigned)(exponent < 0 ? -exponent : exponent), step = v >= 1000 ? 1000 : v >= 100 ? 100 : v >= 10 ? 10 : 1;
    for (; step > 0; step /= 10)
        *to++ = (char)('0' + v / step % 10);
    return to;
}

/* 0x1.8p+3, normalised also when the number is subnormal (C's %a leaves that to the library). No NaN. */
static char *put_finite(char *to, uint64_t fraction, int exponent)
{
    bool zero = exponent == 0 && fraction == 0;
    memcpy(to, zero ? "0x0" : "0x1", 3);
    to += 3;
    if (!zero && exponent == 0) {
        for (exponent = 1; !(fraction >> 52); exponent--)
            fraction <<= 1;
        fraction &= (UINT64_C(1) << 52) - 1;
    }
    if (fraction != 0) {
        *to++ = '.';
        to = put_hex(to, fraction, 13);
        while (to[-1] == '0')
            to--;
    }
    return put_exponent(to, zero ? 0 : exponent - 1023);
}

void float_print(FILE *out, double value)
{
    char text[32], *to = text;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff && fraction != 0) {
        if (bits == F64_QUIET_NAN)
            fputs("nan", out);
        else
            fprintf(out, "nan(0x%016" PRIx64 ")", bits);
        return;
    }
    if (bits >> 63)
        *to++ = '-';
    if (exponent == 0x7ff) {
        memcpy(to, "inf", 3);
        to += 3;
    } else {
        to = put_finite(to, fraction, exponent);
    }
    fwrite(text, 1, (size_t)(to - text), out);
}

static void f32_print(FILE *out, const uint8_t *at)
{
    float f;
    uint32_t bits;
    memcpy(&f, at, sizeof f);
    memcpy(&bits, at, sizeof bits);
    if (!isnan(f))
        float_print(out, (double)f);
    else if (bits == F32_QUIET_NAN)
        fputs("nan", out);
    else
        fprintf(out, "nan(0x%08" PRIx32 ")", bits);
}

static uint32_t hex_digits(uint32_t bits)
{
    return (bits + 3) / 4;
}

static void wide_print(FILE *out, uint32_t bits, const uint8_t *at)
{
    fputs("0x", out);
    for (uint32_t d = hex_digits(bits); d-- > 0;) {
        uint32_t nibble = at[d / 2] >> (d % 2 * 4) & 15;
        if (d == bits / 4) /* the top digit of a width that is no multiple of 4 */
            nibble &= (1u << bits % 4) - 1;
        fputc("0123456789abcdef"[nibble], out);
    }
}

static int64_t narrow_int(Type type, const uint8_t *at)
{
    uint32_t size = type_element_bytes(type);
    int64_t v = at[size - 1] & 0x80 ? -1 : 0;
    memcpy(&v, at, size);
    return v;
}

void element_print(FILE *out, Type type, const uint8_t *at)
{
    uint32_t index;
    double d;
    switch (type.elem) {
    case ELEM_F32:
        f32_print(out, at);
        return;
    case ELEM_F64:
        memcpy(&d, at, sizeof d);
        float_print(out, d);
        return;
    case ELEM_INT:
        if (type.n > 64)
            wide_print(out, type.n, at);
        else
            fprintf(out, "%" PRId64, narrow_int(type, at));
        return;
    case ELEM_IDX:
        memcpy(&index, at, sizeof index);
        fprintf(out, "%" PRIu32, index);
        return;
    case ELEM_SET:
    case ELEM_NONE:
        break;
    }
    ICE("a constant of element type %d", (int)type.elem);
}

uint64_t element_least_text(Type type)
{
    return type.elem == ELEM_INT && type.n > 64 ? 2 + hex_digits(type.n) : 1;
}

/* ---- parsing ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Digits with at most one point, then perhaps an exponent: what strtod may see (it would take "0x" and "infinity" too). */
static bool is_float_text(const char *s)
{
    s += *s == '-';
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    s += hex ? 2 : 0;
    size_t digits = 0, points = 0;
    for (; *s == '.' || (hex ? hex_value(*s) >= 0 : *s >= '0' && *s <= '9'); s++)
        *s == '.' ? points++ : digits++;
    if (digits == 0 || points > 1)
        return false;
    if (*s == (hex ? 'p' : 'e') || *s == (hex ? 'P' : 'E')) {
        s++;
        s += *s == '-' || *s == '+';
        if (!*s)
            return false;
        while (*s >= '0' && *s <= '9')
            s++;
    }
    return !*s;
}

/* nan(0xBITS), bits of a NaN of this width. */
static bool parse_nan_bits(Type type, const char *s, uint64_t *bits)
{
    uint32_t digits = type.elem == ELEM_F32 ? 8 : 16;
    if (!str_starts(s, "nan(0x") || strlen(s) != 6 + digits + 1 || s[6 + digits] != ')')
        return false;
    *bits = 0;
    for (uint32_t i = 0; i < digits; i++) {
        int v = hex_value(s[6 + i]);
        if (v < 0)
            return false;
        *bits = *bits << 4 | (uint64_t)v;
    }
    return type.elem == ELEM_F32 ? (*bits & 0x7fffffff) > 0x7f800000
                                 : (*bits & INT64_MAX) > UINT64_C(0x7ff0000000000000);
}

static bool parse_float(void *locale, Type type, const char *s, uint8_t *at, const char **why)
{
    uint32_t size = type_element_bytes(type);
    uint64_t bits;
    if (strcmp(s, "nan") == 0) {
        bits = type.elem == ELEM_F32 ? F32_QUIET_NAN : F64_QUIET_NAN;
        memcpy(at, &bits, size);
        return true;
    }
    if (parse_nan_bits(type, s, &bits)) {
        memcpy(at, &bits, size);
        return true;
    }
    bool infinite = strcmp(s, "inf") == 0 || strcmp(s, "-inf") == 0;
    if (!infinite && !is_float_text(s)) {
        *why = "a number such as 0x1.8p-3, 0.25, -1, inf or nan";
        return false;
    }
    if (type.elem == ELEM_F32) {
        float f = strtof_l(s, NULL, (locale_t)locale);
        memcpy(at, &f, size);
        bits = isinf(f);
    } else {
        double d = strtod_l(s, NULL, (locale_t)locale);
        memcpy(at, &d, size);
        bits = isinf(d);
    }
    if (bits && !infinite) {
        *why = type.elem == ELEM_F32 ? "a number that f32 can hold" : "a number that f64 can hold";
        return false;
    }
    return true;
}

/* Exactly all digits: short forms would let a short text ask for much memory. */
static bool parse_wide(Arena *arena, Type type, const char *s, uint8_t *at, const char **why)
{
    uint32_t digits = hex_digits(type.n), size = type_element_bytes(type);
    *why = str_printf(arena, "0x and %u hexadecimal digits, the %u bits of an i%u", digits, type.n, type.n);
    if (!str_starts(s, "0x") || strlen(s) != 2 + digits)
        return false;
    memset(at, 0, size);
    for (uint32_t d = 0; d < digits; d++) {
        int v = hex_value(s[1 + digits - d]);
        if (v < 0 || (d == type.n / 4 && v >> type.n % 4))
            return false;
        at[d / 2] |= (uint8_t)(v << (d % 2 * 4));
    }
    bool negative = at[(type.n - 1) / 8] >> ((type.n - 1) % 8) & 1;
    for (uint32_t bit = type.n; negative && bit < size * 8; bit++)
        at[bit / 8] |= (uint8_t)(1u << bit % 8);
    return true;
}

static bool parse_narrow(Arena *arena, int64_t lo, int64_t hi, const char *s, int64_t *out, const char **why)
{
    *why = str_printf(arena, "an integer from %" PRId64 " to %" PRId64, lo, hi);
    bool negative = *s == '-';
    s += negative;
    bool hex = s[0] == '0' && s[1] == 'x';
    s += hex ? 2 : 0;
    if (!*s)
        return false;
    int64_t v = 0;
    for (; *s; s++) {
        int digit = hex_value(*s);
        if (digit < 0 || (!hex && digit > 9) || __builtin_mul_overflow(v, hex ? 16 : 10, &v) ||
            __builtin_sub_overflow(v, digit, &v)) /* counting down: the least integer has no positive image */
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, v, &v))
        return false;
    *out = v;
    return v >= lo && v <= hi;
}

bool element_parse(Arena *arena, void *locale, Type type, const char *s, size_t n, uint8_t *at, const char **why)
{
    char small[64];
    int64_t v;
    char *copy = n < sizeof small ? small : arena_alloc(arena, n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    switch (type.elem) {
    case ELEM_F32:
    case ELEM_F64:
        return parse_float(locale, type, copy, at, why);
    case ELEM_INT:
        if (type.n > 64)
            return parse_wide(arena, type, copy, at, why);
        v = type.n == 64 ? INT64_MAX : (INT64_C(1) << (type.n - 1)) - 1;
        if (!parse_narrow(arena, type.n == 1 ? 0 : -v - 1, type.n == 1 ? 1 : v, copy, &v, why))
            return false;
        memcpy(at, &v, type_element_bytes(type));
        return true;
    case ELEM_IDX:
        if (!parse_narrow(arena, 0, (int64_t)type.n - 1, copy, &v, why))
            return false;
        memcpy(at, &v, sizeof(uint32_t));
        return true;
    case ELEM_SET:
    case ELEM_NONE:
        break;
    }
    *why = "nothing: such a type has no constants";
    return false;
}

/* ---- memory form ---- */

bool element_is_always_canonical(Type type)
{
    return type_is_float(type) || (type.elem == ELEM_INT && type.n == type_element_bytes(type) * 8);
}

bool element_is_canonical(Type type, const uint8_t *at)
{
    if (element_is_always_canonical(type))
        return true;
    if (type.elem == ELEM_IDX) {
        uint32_t index;
        memcpy(&index, at, sizeof index);
        return index < type.n;
    }
    if (type.n == 1)
        return at[0] <= 1;
    bool negative = at[(type.n - 1) / 8] >> ((type.n - 1) % 8) & 1;
    for (uint32_t bit = type.n, end = type_element_bytes(type) * 8; bit < end; bit++)
        if ((at[bit / 8] >> bit % 8 & 1) != negative)
            return false;
    return true;
}
