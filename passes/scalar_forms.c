/* scalar_forms.c — cells as whole numbers: what is exact in a sweep over floats.
 *
 * In: cells; which relus are on. Out: of a sum c + s d, for d = x − lo in steps of the grid. The one idea: a form is made when it is asked
 * for, from those of its terms, and stays until one of them changes.
 *
 * Numbers are taken modulo 2^(64 limbs), c for one may overflow; values do not (bigint.c).
 */
#include "scalar_floats.h"

#include <math.h>
#include <string.h>

static Limb *form_of(const FloatSweep *s, CellId c) { return s->form + s->at[c]; }

/* to += w 2^shift form, n limbs each. */
static void add_scaled(Limb *to, const Limb *form, uint32_t n, double w, int32_t shift)
{
    int exp;
    int64_t mantissa = (int64_t)ldexp(frexp(w, &exp), 53);
    int zeros = __builtin_ctzll((uint64_t)mantissa);
    uint32_t up = (uint32_t)(shift + exp - 53 + zeros), skip = up / 64;      /* whole: scales are such that it is */
    mantissa >>= zeros;
    if (skip >= n)
        return;
    __int128 factor = (__int128)mantissa * ((__int128)1 << up % 64);
    if (factor == (int64_t)factor)
        big_add_multiple(to + skip, form, n - skip, (int64_t)factor);
    else
        big_add_product(to + skip, form, n - skip, (Limb[]){(Limb)factor, (Limb)((unsigned __int128)factor >> 64)}, n - skip > 1 ? 2 : 1);
}

/* A form that can be made now is; else what it needs first is wanted. */
static bool make_form(FloatSweep *s, CellId c)
{
    const Cells *cells = s->cells;
    size_t wanted = s->wanted.len;
    uint64_t first = line_next_term(s, c, cells->first_term[c], cells->first_term[c + 1]), end = cells->first_term[c + 1];
    for (uint64_t i = first; i < end; i = line_next_term(s, c, i + 1, end)) {
        CellId from = s->source[cells->term[i].from];
        if (s->state[from] & INEXACT)
            vec_push(s->arena, s->wanted, from);
    }
    if (s->wanted.len > wanted)
        return false;
    uint32_t n = cell(s, c)->limbs;
    Limb *form = form_of(s, c), *wide = s->t[0];
    memcpy(form, cells->bias.at + cells->bias_at[c], n * sizeof *form);
    memset(form + n, 0, n * sizeof *form);
    for (uint64_t i = first; i < end; i = line_next_term(s, c, i + 1, end)) {
        const Term *t = &cells->term[i];
        CellId from = s->source[t->from];
        uint32_t m = cell(s, from)->limbs;
        int32_t shift = cell(s, c)->scale - cell(s, from)->scale;
        for (uint32_t half = 0; half < 2; half++) {
            big_extend(wide, n, form_of(s, from) + half * m, m);
            add_scaled(form + half * n, wide, n, t->real, shift);
        }
        s->work += 4 * n;
    }
    s->state[c] &= (uint8_t)~INEXACT;
    return true;
}

/* The form of c, NULL for zero. */
const Limb *form_now(FloatSweep *s, CellId c)
{
    if (!is_on(s, c))
        return NULL;
    c = s->source[c];
    s->wanted.len = 0;
    if (s->state[c] & INEXACT)
        vec_push(s->arena, s->wanted, c);
    while (s->wanted.len > 0) {
        CellId top = s->wanted.at[s->wanted.len - 1];
        if (!(s->state[top] & INEXACT) || make_form(s, top))
            s->wanted.len--;
    }
    return form_of(s, c);
}

void form_settle_d(FloatSweep *s)
{
    if (s->d_is_here)
        return;
    uint32_t root = cell(s, 0)->limbs, n = root > s->P ? root : s->P;
    Limb *x = s->t[0], *lo = s->t[1];
    big_from_double(x, n, s->x, s->scale);
    big_extend(lo, n, s->lo, root);
    big_sub(x, x, lo, n);
    memcpy(s->d, x, s->P * sizeof *x);
    s->d_is_here = true;
}

/* r = c + s d */
void form_value_here(FloatSweep *s, Limb *r, const Limb *form, uint32_t n)
{
    form_settle_d(s);
    memcpy(r, form, n * sizeof *r);
    for (uint32_t i = 0; i < s->P && i < n; i++)
        if (s->d[i])
            big_add_unsigned_multiple(r + i, form + n, n - i, s->d[i]);
}
