/* form.c — affine forms over inputs and relus, with exact coefficients.
 *
 * In, out: Form, a sparse list; Sum, a number for every variable, in which forms are added up.
 */
#include "exact.h"

Form form_zero(Arena *arena) { return (Form){.constant = dyadic_array(arena, 1)}; }

static void make_room(Arena *arena, Form *f, uint32_t n)
{
    if (!f->constant)
        *f = form_zero(arena);
    if (n <= f->room)
        return;
    f->room = n + n / 2;
    f->var = NEW_ARRAY(arena, f->room, uint32_t);
    f->c = dyadic_array(arena, f->room);
}

void form_copy(Arena *arena, Form *to, const Form *from)
{
    make_room(arena, to, from->n);
    to->n = from->n;
    for (uint32_t i = 0; i < from->n; i++) {
        to->var[i] = from->var[i];
        dyadic_set(&to->c[i], &from->c[i]);
    }
    dyadic_set(to->constant, from->constant);
}

void form_variable(Arena *arena, Form *to, uint32_t var)
{
    make_room(arena, to, 1);
    to->n = 1;
    to->var[0] = var;
    dyadic_set_double(&to->c[0], 1);
    dyadic_set_double(to->constant, 0);
}

const Dyadic *form_coefficient(const Form *f, uint32_t var)
{
    uint32_t low = 0, high = f->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (f->var[mid] < var)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->n && f->var[low] == var ? &f->c[low] : NULL;
}

bool form_equal(Exact *x, const Form *a, const Form *b)
{
    if (a->n != b->n || dyadic_compare(x, a->constant, b->constant) != 0)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->var[i] != b->var[i] || dyadic_compare(x, &a->c[i], &b->c[i]) != 0)
            return false;
    return true;
}

Sum *sum_new(Arena *arena, uint32_t n_vars)
{
    Sum *s = NEW(arena, Sum);
    *s = (Sum){n_vars, 0, dyadic_array(arena, n_vars), NEW_ARRAY(arena, n_vars, bool), dyadic_array(arena, 1), dyadic_array(arena, 1)};
    dyadic_set_double(s->one, 1);
    return s;
}

static Dyadic *sum_at(Sum *s, uint32_t var)
{
    if (var >= s->n_vars)
        ICE("variable %u of %u", var, s->n_vars);
    if (var >= s->top)
        s->top = var + 1;
    s->used[var] = true;
    return &s->c[var];
}

void sum_add_term(Exact *x, Sum *s, uint32_t var, const Dyadic *c) { dyadic_add(x, sum_at(s, var), c); }

void sum_add(Exact *x, Sum *s, const Form *f, const Dyadic *times)
{
    for (uint32_t i = 0; i < f->n; i++) {
        Dyadic *at = sum_at(s, f->var[i]);
        if (times)
            dyadic_add_product(x, at, &f->c[i], times);
        else
            dyadic_add(x, at, &f->c[i]);
    }
    if (times)
        dyadic_add_product(x, s->constant, f->constant, times);
    else
        dyadic_add(x, s->constant, f->constant);
}

void sum_clear(Sum *s)
{
    for (uint32_t v = 0; v < s->top; v++)
        if (s->used[v]) {
            mpz_set_ui(s->c[v].m, 0);
            s->used[v] = false;
        }
    s->top = 0;
    mpz_set_ui(s->constant->m, 0);
}

void sum_take(Arena *arena, Sum *s, Form *to)
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < s->top; v++)
        n += s->used[v] && dyadic_sign(&s->c[v]) != 0;
    make_room(arena, to, n);
    to->n = 0;
    for (uint32_t v = 0; v < s->top; v++)
        if (s->used[v] && dyadic_sign(&s->c[v]) != 0) {
            to->var[to->n] = v;
            dyadic_set(&to->c[to->n++], &s->c[v]);
        }
    dyadic_set(to->constant, s->constant);
    sum_clear(s);
}
