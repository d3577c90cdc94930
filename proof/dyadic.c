/* dyadic.c — numbers m 2^e: what sums and products of floats are, exactly.
 *
 * In, out: Dyadic. The one idea: floats are dyadic, and so is all that is made of them without division, so no fraction has to be
 * reduced; a sum shifts the term that ends higher. Integers are GMP's.
 */
#include "exact.h"

#include <math.h>

typedef struct Digits { size_t n; Dyadic *at; } Digits;

static void release_digits(void *object)
{
    Digits *b = object;
    for (size_t i = 0; i < b->n; i++)
        mpz_clear(b->at[i].m);
}

Dyadic *dyadic_array(Arena *arena, size_t n)
{
    Digits *b = NEW(arena, Digits);
    b->at = NEW_ARRAY(arena, n, Dyadic);
    for (; b->n < n; b->n++)
        mpz_init(b->at[b->n].m);                 /* takes no memory yet */
    arena_defer(arena, release_digits, b);
    return b->at;
}

static void release_exact(void *object) { mpz_clear(((Exact *)object)->product); }

Exact *exact_new(Arena *arena)
{
    Exact *x = NEW(arena, Exact);
    x->arena = arena;
    mpz_init(x->product);
    arena_defer(arena, release_exact, x);
    return x;
}

void dyadic_set(Dyadic *a, const Dyadic *b)
{
    mpz_set(a->m, b->m);
    a->e = b->e;
}

void dyadic_set_double(Dyadic *a, double d)
{
    int e;
    double f = frexp(d, &e);
    mpz_set_d(a->m, ldexp(f, 53));
    a->e = e - 53;
    mp_bitcnt_t zeros = d != 0 ? mpz_scan1(a->m, 0) : 0;
    mpz_tdiv_q_2exp(a->m, a->m, zeros);
    a->e = d != 0 ? a->e + (int64_t)zeros : 0;
}

/* a += m 2^e; m may be changed. */
static void add_scaled(Dyadic *a, mpz_t m, int64_t e)
{
    if (mpz_sgn(m) == 0)
        return;
    if (mpz_sgn(a->m) == 0) {
        mpz_set(a->m, m);
        a->e = e;
    } else if (e >= a->e) {
        if (e > a->e)
            mpz_mul_2exp(m, m, (mp_bitcnt_t)(e - a->e));
        mpz_add(a->m, a->m, m);
    } else {
        mpz_mul_2exp(a->m, a->m, (mp_bitcnt_t)(a->e - e));
        mpz_add(a->m, a->m, m);
        a->e = e;
    }
}

void dyadic_add(Exact *x, Dyadic *a, const Dyadic *b)
{
    if (a->e == b->e) {
        mpz_add(a->m, a->m, b->m);
        return;
    }
    mpz_set(x->product, b->m);
    add_scaled(a, x->product, b->e);
}

void dyadic_add_product(Exact *x, Dyadic *a, const Dyadic *b, const Dyadic *c)
{
    x->work++;
    mpz_mul(x->product, b->m, c->m);
    add_scaled(a, x->product, b->e + c->e);
}

void dyadic_negate(Dyadic *a) { mpz_neg(a->m, a->m); }

int dyadic_sign(const Dyadic *a) { return mpz_sgn(a->m); }

int dyadic_compare(Exact *x, const Dyadic *a, const Dyadic *b)
{
    if (a->e >= b->e) {
        mpz_mul_2exp(x->product, a->m, (mp_bitcnt_t)(a->e - b->e));
        return mpz_cmp(x->product, b->m);
    }
    mpz_mul_2exp(x->product, b->m, (mp_bitcnt_t)(b->e - a->e));
    return mpz_cmp(a->m, x->product);
}

/* The nearest double in the direction `to`, or its neighbour. GMP truncates: that is already the side of zero. */
static double outwards(const Dyadic *a, double to)
{
    long e;
    double f = mpz_get_d_2exp(&e, a->m);
    if (f == 0)
        return 0;
    bool away = (f > 0) == (to > 0), exact = mpz_sizeinbase(a->m, 2) - mpz_scan1(a->m, 0) <= 53;
    int64_t power = e + a->e;
    if (power > 1024)
        return away ? f * (double)INFINITY : copysign(0x1.fffffffffffffp+1023, f);
    double d = ldexp(f, power < -1100 ? -1100 : (int)power);
    if (power > -1000)
        return exact || !away ? d : nextafter(d, to);
    if (d == 0)
        return away ? nextafter(0, to) : 0;
    return exact && ldexp(d, (int)-power) == f ? d : nextafter(d, to);      /* may be subnormal: rounded to either side */
}

double dyadic_above(const Dyadic *a) { return outwards(a, INFINITY); }
double dyadic_below(const Dyadic *a) { return outwards(a, -INFINITY); }
