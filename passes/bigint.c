/* bigint.c — whole numbers of a fixed number of limbs.
 *
 * In and out: arrays of 64-bit limbs, least first, in two's complement. The one idea: sums and products modulo 2^(64 n) are the
 * true ones as soon as the final value is known to fit, whatever happened in between; so the caller chooses n by a bound on
 * what can come out, and nothing here has to look for overflow.
 */
#include "bigint.h"

#include <math.h>
#include <string.h>

typedef unsigned __int128 Wide;

void big_set(Limb *r, uint32_t n, int64_t value)
{
    r[0] = (Limb)value;
    for (uint32_t i = 1; i < n; i++)
        r[i] = value < 0 ? ~(Limb)0 : 0;
}

void big_extend(Limb *r, uint32_t n, const Limb *a, uint32_t m)
{
    Limb sign = a[m - 1] >> 63 ? ~(Limb)0 : 0;
    memmove(r, a, (n < m ? n : m) * sizeof *r);
    for (uint32_t i = m; i < n; i++)
        r[i] = sign;
}

void big_add(Limb *r, const Limb *a, const Limb *b, uint32_t n)
{
    Wide carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        carry += (Wide)a[i] + b[i];
        r[i] = (Limb)carry;
        carry >>= 64;
    }
}

void big_sub(Limb *r, const Limb *a, const Limb *b, uint32_t n)
{
    Limb borrow = 0;
    for (uint32_t i = 0; i < n; i++) {
        Wide difference = (Wide)a[i] - b[i] - borrow;
        r[i] = (Limb)difference;
        borrow = (Limb)(difference >> 64) & 1;
    }
}

void big_neg(Limb *r, const Limb *a, uint32_t n)
{
    Limb carry = 1;
    for (uint32_t i = 0; i < n; i++) {
        r[i] = ~a[i] + carry;
        carry = carry && r[i] == 0;
    }
}

void big_add_unsigned_multiple(Limb *r, const Limb *a, uint32_t n, Limb w)
{
    Limb carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        Wide t = (Wide)w * a[i] + r[i] + carry;
        r[i] = (Limb)t;
        carry = (Limb)(t >> 64);
    }
}

static void sub_multiple(Limb *r, const Limb *a, uint32_t n, Limb w)
{
    Limb borrow = 0;
    for (uint32_t i = 0; i < n; i++) {
        Wide t = (Wide)w * a[i] + borrow;
        borrow = (Limb)(t >> 64) + (r[i] < (Limb)t);
        r[i] -= (Limb)t;
    }
}

void big_add_multiple(Limb *r, const Limb *a, uint32_t n, int64_t w)
{
    if (w >= 0)
        big_add_unsigned_multiple(r, a, n, (Limb)w);
    else
        sub_multiple(r, a, n, -(Limb)w);
}

/* w is its limbs read as unsigned, minus 2^(64 nw) if it is negative. */
void big_add_product(Limb *r, const Limb *a, uint32_t n, const Limb *w, uint32_t nw)
{
    for (uint32_t i = 0; i < nw && i < n; i++)
        if (w[i])
            big_add_unsigned_multiple(r + i, a, n - i, w[i]);
    if (big_is_negative(w, nw) && nw < n)
        sub_multiple(r + nw, a, n - nw, 1);
}

void big_shift_left(Limb *r, uint32_t n, uint32_t bits)
{
    uint32_t limbs = bits / 64, rest = bits % 64;
    for (uint32_t i = n; i-- > 0;) {
        Limb high = i >= limbs ? r[i - limbs] : 0, low = i >= limbs + 1 ? r[i - limbs - 1] : 0;
        r[i] = rest ? high << rest | low >> (64 - rest) : high;
    }
}

bool big_clear_low(Limb *r, uint32_t n, uint32_t bits)
{
    Limb any = 0;
    for (uint32_t i = 0; i < n && i * 64 < bits; i++) {
        Limb mask = bits - i * 64 >= 64 ? ~(Limb)0 : ((Limb)1 << (bits - i * 64)) - 1;
        any |= r[i] & mask;
        r[i] &= ~mask;
    }
    return any == 0;
}

bool big_is_zero(const Limb *a, uint32_t n)
{
    Limb any = 0;
    for (uint32_t i = 0; i < n; i++)
        any |= a[i];
    return any == 0;
}

bool big_is_negative(const Limb *a, uint32_t n) { return a[n - 1] >> 63; }

int big_sign(const Limb *a, uint32_t n) { return big_is_negative(a, n) ? -1 : !big_is_zero(a, n); }

int big_compare_unsigned(const Limb *a, const Limb *b, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

int big_compare(const Limb *a, const Limb *b, uint32_t n)
{
    if (big_is_negative(a, n) != big_is_negative(b, n))
        return big_is_negative(a, n) ? -1 : 1;
    return big_compare_unsigned(a, b, n);
}

static uint32_t bits_of_limb(Limb a) { return a ? 64 - (uint32_t)__builtin_clzll(a) : 0; }

/* Bit length of an unsigned number. */
static uint32_t unsigned_bits(const Limb *a, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;)
        if (a[i])
            return i * 64 + bits_of_limb(a[i]);
    return 0;
}

uint32_t big_bits(const Limb *a, uint32_t n)
{
    if (!big_is_negative(a, n))
        return unsigned_bits(a, n);
    uint32_t bits = 0;            /* of ~a = |a| - 1 */
    bool ones = true;             /* ~a is all ones below its top: |a| is the next power of two */
    for (uint32_t i = n; i-- > 0;)
        if (~a[i]) {
            bits = i * 64 + bits_of_limb(~a[i]);
            break;
        }
    for (uint32_t i = 0; i < bits && ones; i++)
        ones = (~a[i / 64] >> i % 64) & 1;
    return ones ? bits + 1 : bits;
}

/* Of a negative number of several limbs ~a is read, which is |a| − 1: the interval has room for it. */
TopBits big_top(const Limb *a, uint32_t n)
{
    Limb flip = big_is_negative(a, n) ? ~(Limb)0 : 0;
    while (n > 0 && a[n - 1] == flip)
        n--;
    if (n <= 1) {
        Limb size = n == 0 ? flip & 1 : flip ? -a[0] : a[0];
        if (size == 0)            /* 0, or 2^64 */
            return (TopBits){n ? (Limb)1 << 63 : 0, n ? 1 : 0};
        return (TopBits){size << __builtin_clzll(size), -__builtin_clzll(size)};
    }
    Limb high = a[n - 1] ^ flip, low = a[n - 2] ^ flip;
    uint32_t shift = (uint32_t)__builtin_clzll(high);
    return (TopBits){shift ? high << shift | low >> (64 - shift) : high, (int32_t)(n - 1) * 64 - (int32_t)shift};
}

/* ---- division ---- */

static uint32_t used_limbs(const Limb *a, uint32_t n)
{
    while (n > 0 && a[n - 1] == 0)
        n--;
    return n;
}

/* One limb of the quotient of u (m + 1 limbs) by v (m limbs, its highest bit set), u < 2^64 v; u becomes the remainder. (Knuth, The
 * Art of Computer Programming 2, 4.3.1, algorithm D.) */
static Limb divide_step(Limb *u, const Limb *v, uint32_t m)
{
    Wide top = (Wide)u[m] << 64 | u[m - 1];
    Wide q = u[m] >= v[m - 1] ? ~(Limb)0 : top / v[m - 1], rest = top - q * v[m - 1];
    while (m > 1 && rest >> 64 == 0 && q * v[m - 2] > (rest << 64 | u[m - 2])) {
        q--;
        rest += v[m - 1];
    }
    Limb borrow = 0;
    for (uint32_t i = 0; i < m; i++) {
        Wide t = q * v[i] + borrow;
        borrow = (Limb)(t >> 64) + (u[i] < (Limb)t);
        u[i] -= (Limb)t;
    }
    bool too_much = u[m] < borrow;
    u[m] -= borrow;
    if (!too_much)
        return (Limb)q;
    Wide carry = 0;
    for (uint32_t i = 0; i < m; i++) {
        carry += (Wide)u[i] + v[i];
        u[i] = (Limb)carry;
        carry >>= 64;
    }
    u[m] += (Limb)carry;
    return (Limb)q - 1;
}

bool big_quotient(Limb *q, uint32_t nq, const Limb *a, const Limb *b, uint32_t n, Limb *scratch)
{
    uint32_t k = used_limbs(a, n), m = used_limbs(b, n);
    memset(q, 0, nq * sizeof *q);
    if (k < m)
        return true;
    Limb *u = scratch, *v = scratch + n + 1;
    uint32_t shift = (uint32_t)__builtin_clzll(b[m - 1]);
    memcpy(u, a, k * sizeof *u);
    u[k] = 0;
    memcpy(v, b, m * sizeof *v);
    big_shift_left(u, k + 1, shift);
    big_shift_left(v, m, shift);
    for (uint32_t i = k - m + 1; i-- > 0;) {
        Limb digit = divide_step(u + i, v, m);
        if (i < nq)
            q[i] = digit;
        else if (digit)
            return false;
    }
    return true;
}

/* ---- doubles ---- */

/* Bit `i` of an unsigned number and all below it: whether any is set. */
static bool any_below(const Limb *a, uint32_t i)
{
    for (uint32_t k = 0; k < i / 64; k++)
        if (a[k])
            return true;
    return i % 64 && a[i / 64] << (64 - i % 64);
}

/* Bits [from, from + count) of an unsigned number, count <= 64. */
static uint64_t bits_at(const Limb *a, uint32_t n, uint32_t from, uint32_t count)
{
    uint32_t i = from / 64, rest = from % 64;
    uint64_t low = i < n ? a[i] >> rest : 0, high = rest && i + 1 < n ? a[i + 1] << (64 - rest) : 0;
    uint64_t all = low | high;
    return count < 64 ? all & (((uint64_t)1 << count) - 1) : all;
}

/* The bits that a double has room for, what they stand for, and whether something was cut off and how much. */
typedef struct Rounded { uint64_t mantissa; int32_t exp; bool half, below; } Rounded;

static Rounded cut(const Limb *magnitude, uint32_t n, int32_t exp)
{
    enum { PRECISION = 53, LOWEST = -1074 };
    int32_t bits = (int32_t)unsigned_bits(magnitude, n), drop = bits - PRECISION;
    if (drop + exp < LOWEST)
        drop = LOWEST - exp;
    if (drop <= 0)
        return (Rounded){bits_at(magnitude, n, 0, 64), exp, false, false};
    Rounded r = {.exp = exp + drop};
    if (drop > (int32_t)n * 64) {
        r.below = bits > 0;
        return r;
    }
    r.mantissa = bits > drop ? bits_at(magnitude, n, (uint32_t)drop, (uint32_t)(bits - drop)) : 0;
    r.half = bits_at(magnitude, n, (uint32_t)drop - 1, 1);
    r.below = any_below(magnitude, (uint32_t)drop - 1);
    return r;
}

/* |a| */
enum { MOST_LIMBS = 2048 };

static void magnitude_of(Limb *r, const Limb *a, uint32_t n)
{
    if (n > MOST_LIMBS)
        ICE("a number of %u limbs", n);
    if (big_is_negative(a, n))
        big_neg(r, a, n);
    else
        memcpy(r, a, n * sizeof *r);
}

double big_to_double(const Limb *a, uint32_t n, int32_t exp)
{
    Limb magnitude[MOST_LIMBS];
    magnitude_of(magnitude, a, n);
    Rounded r = cut(magnitude, n, exp);
    if (r.half && (r.below || r.mantissa & 1))
        r.mantissa++;
    double d = ldexp((double)r.mantissa, r.exp);
    return big_is_negative(a, n) ? -d : d;
}

void big_from_double(Limb *r, uint32_t n, double d, int32_t exp)
{
    int e;
    double fraction = frexp(d, &e);
    int64_t mantissa = (int64_t)ldexp(fraction, 53);
    int32_t shift = e - 53 + exp;
    if (mantissa == 0)
        shift = 0;
    for (; shift < 0; shift++)
        mantissa /= 2;            /* whole: the lowest bits are zero */
    big_set(r, n, mantissa);
    big_shift_left(r, n, (uint32_t)shift);
}
