/* interp_int.c — integers of any width up to 65536 bits.
 *
 * In and out: elements in their memory form. The one idea: up to 64 bits an element is an int64_t; beyond, it is an
 * array of 64-bit limbs, least first, in which two's complement arithmetic is what one learns at school. Everything is
 * computed on unsigned words and wrapped at the end, so nothing overflows.
 */
#include "interp.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "memory forms are little-endian");

enum { MAX_LIMBS = IR_MAX_INT_BITS / 64 };

static uint32_t limbs_of(uint32_t bits) { return (bits + 63) / 64; }

/* ---- up to 64 bits ------------------------------------------------------------------------------------------------- */

static int64_t narrow_wrap(uint32_t bits, uint64_t v)
{
    if (bits == 1)
        return (int64_t)(v & 1);
    return (int64_t)(v << (64 - bits)) >> (64 - bits);
}

int64_t int_load(uint32_t bits, const uint8_t *a)
{
    uint64_t v = 0;
    memcpy(&v, a, bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8);
    return narrow_wrap(bits, v);
}

void int_store(uint32_t bits, uint8_t *r, int64_t value)
{
    value = narrow_wrap(bits, (uint64_t)value);
    memcpy(r, &value, bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8);
}

/* ---- limbs ---------------------------------------------------------------------------------------------------------- */

/* Extends the sign from bit bits-1 through the top limb. */
static void wide_wrap(uint32_t bits, u64u *r)
{
    uint32_t unused = limbs_of(bits) * 64 - bits;
    u64u *top = &r[limbs_of(bits) - 1];
    *top = (uint64_t)((int64_t)(*top << unused) >> unused);
}

static bool wide_is_negative(uint32_t n, const u64u *a) { return a[n - 1] >> 63; }

static void wide_add(uint32_t n, u64u *r, const u64u *a, const u64u *b)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t sum = a[i] + carry;
        carry = sum < carry;
        sum += b[i];
        carry += sum < b[i];
        r[i] = sum;
    }
}

static void wide_sub(uint32_t n, u64u *r, const u64u *a, const u64u *b)
{
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t from = a[i], take = b[i];
        uint64_t difference = from - take - borrow;
        borrow = borrow ? from <= take : from < take;
        r[i] = difference;
    }
}

static void wide_neg(uint32_t n, u64u *r, const u64u *a)
{
    uint64_t carry = 1;
    for (uint32_t i = 0; i < n; i++) {
        r[i] = ~a[i] + carry;
        carry = carry && r[i] == 0;
    }
}

/* The low n limbs of the product. */
static void wide_mul(uint32_t n, u64u *r, const u64u *a, const u64u *b)
{
    uint64_t product[MAX_LIMBS] = {0};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t factor = a[i], carry = 0;
        for (uint32_t j = 0; factor && i + j < n; j++) {
            unsigned __int128 sum = (unsigned __int128)factor * b[j] + product[i + j] + carry;
            product[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
    }
    memcpy(r, product, n * sizeof *product);
}

static int wide_compare_unsigned(uint32_t n, const u64u *a, const u64u *b)
{
    for (uint32_t i = n; i-- > 0;)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static void wide_shl(uint32_t n, u64u *r, const u64u *a, uint32_t by)
{
    uint32_t limbs = by / 64, rest = by % 64;
    for (uint32_t i = n; i-- > 0;) {
        uint64_t high = i >= limbs ? a[i - limbs] : 0, low = i >= limbs + 1 ? a[i - limbs - 1] : 0;
        r[i] = rest ? high << rest | low >> (64 - rest) : high;
    }
}

static void wide_lshr(uint32_t n, u64u *r, const u64u *a, uint32_t by)
{
    uint32_t limbs = by / 64, rest = by % 64;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t low = i + limbs < n ? a[i + limbs] : 0, high = i + limbs + 1 < n ? a[i + limbs + 1] : 0;
        r[i] = rest ? low >> rest | high << (64 - rest) : low;
    }
}

static bool wide_is_zero(uint32_t n, const u64u *a)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < n; i++)
        any |= a[i];
    return any == 0;
}

static void wide_abs(uint32_t n, u64u *r, const u64u *a)
{
    if (wide_is_negative(n, a))
        wide_neg(n, r, a);
    else
        memmove(r, a, n * sizeof *r);
}

/* Long division of magnitudes, bit by bit: the remainder takes the next bit of the dividend; when the divisor fits, it
 * is taken away and the quotient gets a 1. |MIN| is a valid unsigned magnitude, and its quotient by 1 wraps back. */
static void wide_div(uint32_t n, u64u *r, const u64u *a, const u64u *b)
{
    uint64_t dividend[MAX_LIMBS], divisor[MAX_LIMBS], rest[MAX_LIMBS] = {0}, quotient[MAX_LIMBS] = {0};
    if (wide_is_zero(n, b)) {
        memset(r, 0, n * sizeof *r);
        return;
    }
    bool negative = wide_is_negative(n, a) != wide_is_negative(n, b);
    wide_abs(n, dividend, a);
    wide_abs(n, divisor, b);
    for (uint32_t bit = n * 64; bit-- > 0;) {
        bool carry = rest[n - 1] >> 63;
        wide_shl(n, rest, rest, 1);
        rest[0] |= dividend[bit / 64] >> (bit % 64) & 1;
        if (carry || wide_compare_unsigned(n, rest, divisor) >= 0) {
            wide_sub(n, rest, rest, divisor);
            quotient[bit / 64] |= UINT64_C(1) << (bit % 64);
        }
    }
    if (negative)
        wide_neg(n, quotient, quotient);
    memcpy(r, quotient, n * sizeof *r);
}

/* ---- both widths ------------------------------------------------------------------------------------------------------ */

/* A binary op: `narrow` on uint64_t x, y; `wide` on limbs. */
#define INT_BINARY(name, narrow, wide) \
    void name(uint32_t bits, uint8_t *r, const uint8_t *a, const uint8_t *b) \
    { \
        if (bits <= 64) { \
            uint64_t x = (uint64_t)int_load(bits, a), y = (uint64_t)int_load(bits, b); \
            int_store(bits, r, (int64_t)(narrow)); \
            return; \
        } \
        uint32_t n = limbs_of(bits); \
        u64u *to = (u64u *)r; \
        const u64u *p = (const u64u *)a, *q = (const u64u *)b; \
        wide; \
        wide_wrap(bits, to); \
    }

/* Truncated; by 0 gives 0; by -1 negates, which wraps at the least number. */
static uint64_t narrow_div(int64_t x, int64_t y)
{
    return y == 0 ? 0 : y == -1 ? 0 - (uint64_t)x : (uint64_t)(x / y);
}

#define EACH_LIMB(expression) for (uint32_t i = 0; i < n; i++) to[i] = (expression)

INT_BINARY(int_add, x + y, wide_add(n, to, p, q))
INT_BINARY(int_sub, x - y, wide_sub(n, to, p, q))
INT_BINARY(int_mul, x * y, wide_mul(n, to, p, q))
INT_BINARY(int_div, narrow_div((int64_t)x, (int64_t)y), wide_div(n, to, p, q))
INT_BINARY(int_and, x & y, EACH_LIMB(p[i] & q[i]))
INT_BINARY(int_or, x | y, EACH_LIMB(p[i] | q[i]))
INT_BINARY(int_xor, x ^ y, EACH_LIMB(p[i] ^ q[i]))

void int_min(uint32_t bits, uint8_t *r, const uint8_t *a, const uint8_t *b)
{
    int_resize(bits, r, bits, int_compare(bits, b, a) < 0 ? b : a);
}

void int_max(uint32_t bits, uint8_t *r, const uint8_t *a, const uint8_t *b)
{
    int_resize(bits, r, bits, int_compare(bits, b, a) > 0 ? b : a);
}

void int_neg(uint32_t bits, uint8_t *r, const uint8_t *a)
{
    if (bits <= 64) {
        int_store(bits, r, (int64_t)(0 - (uint64_t)int_load(bits, a)));
        return;
    }
    wide_neg(limbs_of(bits), (u64u *)r, (const u64u *)a);
    wide_wrap(bits, (u64u *)r);
}

void int_abs(uint32_t bits, uint8_t *r, const uint8_t *a)
{
    bool negative = bits <= 64 ? int_load(bits, a) < 0 : wide_is_negative(limbs_of(bits), (const u64u *)a);
    if (negative)
        int_neg(bits, r, a);
    else
        int_resize(bits, r, bits, a);
}

void int_shl(uint32_t bits, uint8_t *r, const uint8_t *a, uint32_t by)
{
    if (bits <= 64) {
        int_store(bits, r, (int64_t)((uint64_t)int_load(bits, a) << by));
        return;
    }
    wide_shl(limbs_of(bits), (u64u *)r, (const u64u *)a, by);
    wide_wrap(bits, (u64u *)r);
}

void int_lshr(uint32_t bits, uint8_t *r, const uint8_t *a, uint32_t by)
{
    if (bits <= 64) {
        uint64_t v = (uint64_t)int_load(bits, a) << (64 - bits) >> (64 - bits);
        int_store(bits, r, (int64_t)(v >> by));
        return;
    }
    /* Copies of the sign above bit `bits` must not come in. */
    uint32_t n = limbs_of(bits), unused = n * 64 - bits;
    u64u *to = (u64u *)r;
    memmove(r, a, n * sizeof *to);
    to[n - 1] = to[n - 1] << unused >> unused;
    wide_lshr(n, to, to, by);
    wide_wrap(bits, to);
}

int int_compare(uint32_t bits, const uint8_t *a, const uint8_t *b)
{
    if (bits <= 64) {
        int64_t x = int_load(bits, a), y = int_load(bits, b);
        return x < y ? -1 : x > y;
    }
    uint32_t n = limbs_of(bits);
    const u64u *p = (const u64u *)a, *q = (const u64u *)b;
    if (wide_is_negative(n, p) != wide_is_negative(n, q))
        return wide_is_negative(n, p) ? -1 : 1;
    return wide_compare_unsigned(n, p, q);
}

bool int_is_zero(uint32_t bits, const uint8_t *a)
{
    return bits <= 64 ? int_load(bits, a) == 0 : wide_is_zero(limbs_of(bits), (const u64u *)a);
}

void int_resize(uint32_t to, uint8_t *r, uint32_t from, const uint8_t *a)
{
    if (to <= 64) {
        /* The low 64 bits decide. */
        uint64_t low = from <= 64 ? (uint64_t)int_load(from, a) : *(const u64u *)a;
        int_store(to, r, (int64_t)low);
        return;
    }
    uint64_t limb[MAX_LIMBS];
    uint32_t n = limbs_of(to), have = limbs_of(from);
    if (from <= 64)
        limb[0] = (uint64_t)int_load(from, a);
    else
        memcpy(limb, a, (have < n ? have : n) * sizeof *limb);
    for (uint32_t i = have; i < n; i++)
        limb[i] = limb[have - 1] >> 63 ? UINT64_MAX : 0;
    memcpy(r, limb, n * sizeof *limb);
    wide_wrap(to, (u64u *)r);
}

/* ---- floats --------------------------------------------------------------------------------------------------------- */

/* A wide integer as m * 2^*exponent: m holds the 64 leading bits of the magnitude; if any lower bit is set, so is m's
 * last one. m is then rounded to 53 or 24 bits exactly as the whole number would be. */
static uint64_t leading_bits(uint32_t bits, const uint8_t *a, int *exponent)
{
    uint64_t limb[MAX_LIMBS];
    uint32_t n = limbs_of(bits), top = n;
    wide_abs(n, limb, (const u64u *)a);
    while (top > 1 && limb[top - 1] == 0)
        top--;
    *exponent = 0;
    if (top == 1)
        return limb[0];
    int shift = __builtin_clzll(limb[top - 1]);
    uint64_t high = limb[top - 1], low = limb[top - 2];
    uint64_t m = shift ? high << shift | low >> (64 - shift) : high;
    uint64_t below = shift ? low << shift : low;
    for (uint32_t i = 0; i + 2 < top; i++)
        below |= limb[i];
    *exponent = (int)(top - 1) * 64 - shift;
    return m | (below != 0);
}

double int_to_f64(uint32_t bits, const uint8_t *a)
{
    if (bits <= 64)
        return (double)int_load(bits, a);
    int exponent;
    double m = (double)leading_bits(bits, a, &exponent);
    return ldexp(wide_is_negative(limbs_of(bits), (const u64u *)a) ? -m : m, exponent);
}

float int_to_f32(uint32_t bits, const uint8_t *a)
{
    if (bits <= 64)
        return (float)int_load(bits, a);
    int exponent;
    float m = (float)leading_bits(bits, a, &exponent);
    return ldexpf(wide_is_negative(limbs_of(bits), (const u64u *)a) ? -m : m, exponent);
}

/* The greatest (or least) number of `bits`. i1 holds 0 … 1. */
static void saturated(uint32_t bits, uint8_t *r, bool negative)
{
    if (bits == 1) {
        *r = !negative;
    } else if (bits <= 64) {
        int64_t greatest = (int64_t)(UINT64_MAX >> (65 - bits));
        int_store(bits, r, negative ? -greatest - 1 : greatest);
    } else {
        u64u *to = (u64u *)r;
        uint32_t n = limbs_of(bits);
        for (uint32_t i = 0; i < n; i++)
            to[i] = UINT64_MAX;
        to[n - 1] = UINT64_MAX >> (n * 64 - bits) >> 1;
        for (uint32_t i = 0; negative && i < n; i++)
            to[i] = ~to[i];
    }
}

void int_from_f64(uint32_t bits, uint8_t *r, double value)
{
    double limit = ldexp(1, bits == 1 ? 1 : bits > 2000 ? 2000 : (int)bits - 1);   /* infinity when wider than any float */
    double whole = trunc(value);
    if (isnan(value)) {
        memset(r, 0, bits <= 64 ? (bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8) : limbs_of(bits) * 8);
    } else if (whole >= limit || isinf(value) || (bits == 1 ? whole < 0 : whole < -limit)) {
        saturated(bits, r, value < 0);
    } else if (bits <= 64) {
        /* i1's limit is 2, others' 2^63 at most: it fits, but for -2^63 itself, which fits too. */
        int_store(bits, r, (int64_t)whole);
    } else {
        int exponent;
        uint64_t m = (uint64_t)ldexp(frexp(fabs(whole), &exponent), 53), limb[MAX_LIMBS] = {0};
        uint32_t n = limbs_of(bits);
        limb[0] = m;
        if (exponent >= 53)
            wide_shl(n, limb, limb, (uint32_t)(exponent - 53));
        else
            limb[0] >>= 53 - exponent;
        if (whole < 0)
            wide_neg(n, limb, limb);
        memcpy(r, limb, n * sizeof *limb);
    }
}
