/* decimal.c — decimal text to floating point, correctly rounded, for tables of millions of numbers.
 *
 * In: a cell of at most 19 significant digits and a power of ten up to 27 either way; that is what programs write. Out: the
 * nearest float, ties to even. The one idea: such a number is w * 10^e with w < 2^64 and 5^|e| < 2^63, so it is computed in 128-bit
 * integers, exactly, and rounded once:
 *
 *      e >= 0:  w * 5^e * 2^e           one product of 64 by 64 bits
 *      e <  0:  w / 5^-e / 2^-e         one quotient of 64 bits; a remainder only says "and a bit more"
 *
 * Whatever else a number may look like is left to the C library (numbers.c).
 */
#include "formats.h"

#include <string.h>

enum { MOST_DIGITS = 19, MOST_FIVES = 27 };

static uint64_t power_of_five(unsigned e)
{
    static const uint64_t power[MOST_FIVES + 1] = {
        1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625, 1220703125, 6103515625, 30517578125,
        152587890625, 762939453125, 3814697265625, 19073486328125, 95367431640625, 476837158203125, 2384185791015625,
        11920928955078125, 59604644775390625, 298023223876953125, 1490116119384765625, 7450580596923828125};
    return power[e];
}

/* Eight characters at once, the first in the lowest byte: are they digits, and which number do they make? */
static bool are_digits(uint64_t v)
{
    const uint64_t high = 0xF0F0F0F0F0F0F0F0, digits = 0x3030303030303030;
    return (v & high) == digits && ((v + 0x0606060606060606) & high) == digits;
}

/* Neighbours are joined: digits to pairs, pairs to fours, fours to the whole. */
static uint64_t eight_digits(uint64_t v)
{
    v &= 0x0F0F0F0F0F0F0F0F;
    v = (v * 10 + (v >> 8)) & 0x00FF00FF00FF00FF;
    v = (v * 100 + (v >> 16)) & 0x0000FFFF0000FFFF;
    return (v * 10000 + (v >> 32)) & 0xFFFFFFFF;
}

static const char *digits_of(const char *at, const char *end, uint64_t *value)
{
    for (uint64_t v; end - at >= 8; at += 8) {
        memcpy(&v, at, 8);
        if (!are_digits(v))
            break;
        *value = *value * 100000000 + eight_digits(v);
    }
    for (unsigned digit; at < end && (digit = (unsigned char)*at - (unsigned)'0') <= 9; at++)
        *value = *value * 10 + digit;
    return at;
}

/* The exponent behind an `e`; beyond four digits it is none of ours. */
static bool read_exponent(const char *at, const char *end, int *exponent)
{
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    uint64_t value = 0;
    if (at == end || end - at > 4 || digits_of(at, end, &value) != end)
        return false;
    *exponent += negative ? -(int)value : (int)value;
    return true;
}

/* Significant digits of [at, end), a point among them perhaps. */
static size_t significant(const char *at, const char *end)
{
    size_t n = 0;
    for (; at < end; at++)
        n += *at != '.' && (n > 0 || *at != '0');
    return n;
}

bool decimal_scan(const char *at, size_t len, Decimal *out)
{
    const char *end = at + len;
    *out = (Decimal){.negative = len && *at == '-'};
    at += len && (*at == '-' || *at == '+');
    const char *first = at, *point = digits_of(at, end, &out->digits);
    at = point;
    if (at < end && *at == '.') {
        at = digits_of(at + 1, end, &out->digits);
        if (at - point - 1 > 9999)                /* an exponent behind it could bring it back */
            return false;
        out->exponent = -(int)(at - point - 1);
    }
    size_t n = (size_t)(at - first) - (at > point);
    if (n == 0 || (n > MOST_DIGITS && significant(first, at) > MOST_DIGITS))
        return false;
    return at == end || ((*at == 'e' || *at == 'E') && read_exponent(at + 1, end, &out->exponent));
}

/* A positive number as m * 2^e, m with its top bit set; `more`: it is a little greater. */
typedef struct Binary { uint64_t m; int e; bool more; } Binary;

static Binary normalized(uint64_t m, int e, bool more)
{
    int zeros = __builtin_clzll(m);
    return (Binary){m << zeros, e - zeros, more};
}

static Binary times_fives(uint64_t w, unsigned e)
{
    unsigned __int128 product = (unsigned __int128)w * power_of_five(e);
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (high == 0)
        return normalized(low, (int)e, false);
    int zeros = __builtin_clzll(high);
    product <<= zeros;
    return (Binary){(uint64_t)(product >> 64), (int)e + 64 - zeros, (uint64_t)product != 0};
}

/* Both with their top bits set, w * 2^63 / d has 63 or 64 bits: enough for any float, and one division. */
static Binary over_fives(uint64_t w, unsigned e)
{
    uint64_t d = power_of_five(e);
    int w_zeros = __builtin_clzll(w), d_zeros = __builtin_clzll(d);
    unsigned __int128 dividend = (unsigned __int128)(w << w_zeros) << 63;
    d <<= d_zeros;
    uint64_t quotient = (uint64_t)(dividend / d);
    return normalized(quotient, d_zeros - w_zeros - 63 - (int)e, dividend != (unsigned __int128)quotient * d);
}

static bool to_binary(Decimal d, Binary *out)
{
    if (d.exponent > MOST_FIVES || d.exponent < -MOST_FIVES)
        return false;
    *out = d.exponent < 0 ? over_fives(d.digits, (unsigned)-d.exponent) : times_fives(d.digits, (unsigned)d.exponent);
    return true;
}

/* The bits of the nearest float of `precision` bits; never subnormal here. A carry out of the fraction raises the exponent. */
static uint64_t rounded(Binary b, int precision, int bias)
{
    int dropped = 64 - precision;
    uint64_t m = b.m >> dropped, rest = b.m & (((uint64_t)1 << dropped) - 1), half = (uint64_t)1 << (dropped - 1);
    m += rest > half || (rest == half && (b.more || (m & 1)));
    return ((uint64_t)(b.e + 63 + bias - 1) << (precision - 1)) + m;
}

bool decimal_f64(Decimal d, double *out)
{
    Binary b;
    uint64_t bits = 0;
    if (d.digits) {
        if (!to_binary(d, &b))
            return false;
        bits = rounded(b, 53, 1023);
    }
    bits |= (uint64_t)d.negative << 63;
    memcpy(out, &bits, sizeof *out);
    return true;
}

bool decimal_f32(Decimal d, float *out)
{
    enum { BIAS = 127 };
    Binary b;
    uint32_t bits = 0;
    if (d.digits) {
        if (!to_binary(d, &b) || b.e + 63 >= BIAS) /* 2^127 and beyond: near the end of the range */
            return false;
        bits = (uint32_t)rounded(b, 24, BIAS);
    }
    bits |= (uint32_t)d.negative << 31;
    memcpy(out, &bits, sizeof *out);
    return true;
}
