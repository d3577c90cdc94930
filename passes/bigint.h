/* bigint.h — private to passes/: whole numbers of a fixed number of limbs, for analyses that must not round. */
#ifndef CNET_PASSES_BIGINT_H
#define CNET_PASSES_BIGINT_H

#include "../support/support.h"

/* 64 bits of a number; two's complement, least first. Results are taken modulo 2^(64 n). */
typedef uint64_t Limb;

void big_set(Limb *r, uint32_t n, int64_t value);
/* The n-limb form of a number of m limbs: the sign extended, or cut off. r and a may be the same place. */
void big_extend(Limb *r, uint32_t n, const Limb *a, uint32_t m);
void big_add(Limb *r, const Limb *a, const Limb *b, uint32_t n);
void big_sub(Limb *r, const Limb *a, const Limb *b, uint32_t n);
void big_neg(Limb *r, const Limb *a, uint32_t n);
/* r += w a: n limbs of r and a. */
void big_add_unsigned_multiple(Limb *r, const Limb *a, uint32_t n, Limb w);
void big_add_multiple(Limb *r, const Limb *a, uint32_t n, int64_t w);
/* r += w a, where w has nw <= n limbs. */
void big_add_product(Limb *r, const Limb *a, uint32_t n, const Limb *w, uint32_t nw);
void big_shift_left(Limb *r, uint32_t n, uint32_t bits);
/* Clears the lowest bits; whether they were zero. */
bool big_clear_low(Limb *r, uint32_t n, uint32_t bits);
bool big_is_zero(const Limb *a, uint32_t n);
bool big_is_negative(const Limb *a, uint32_t n);
int big_sign(const Limb *a, uint32_t n);                          /* -1, 0, 1 */
int big_compare(const Limb *a, const Limb *b, uint32_t n);        /* as signed numbers */
int big_compare_unsigned(const Limb *a, const Limb *b, uint32_t n);
/* Bits of |a|: the least k with |a| < 2^k. */
uint32_t big_bits(const Limb *a, uint32_t n);

/* mantissa · 2^exp <= |a| <= (mantissa + 1) · 2^exp; the top bit of the mantissa is set, but for a = 0. */
typedef struct TopBits { Limb mantissa; int32_t exp; } TopBits;
TopBits big_top(const Limb *a, uint32_t n);

/* floor(a / b) for a >= 0, b > 0 of n limbs each, into nq limbs; false when it needs more. `scratch`: 2 n + 2 limbs. */
bool big_quotient(Limb *q, uint32_t nq, const Limb *a, const Limb *b, uint32_t n, Limb *scratch);

/* a · 2^exp as a double, rounded to nearest even; beyond range an infinity. */
double big_to_double(const Limb *a, uint32_t n, int32_t exp);
/* r = d · 2^exp, which must be whole and fit. */
void big_from_double(Limb *r, uint32_t n, double d, int32_t exp);

#endif
