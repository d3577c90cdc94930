/* scalar_lines.c — cells as lines of doubles, with bounds on how far they are off.
 *
 * In: the lines of a sum's terms, or that of one term that has changed. Out: the sum's line, to the right of where the sweep is. The one
 * idea: a sum of few terms is computed anew, one of many is changed by what the term changed by; either way the bound
 * grows by each rounding (Higham, Accuracy and Stability of Numerical Algorithms, 3.1; U is more than two of them), so it says when
 * the line can no longer be believed.
 *
 * Relus have no line of their own: on, it is that of their input; off, zero.
 */
#include "scalar_floats.h"

#include <math.h>

static const double U = 0x1p-51, TINY = 0x1p-1000;

Near line_at(const Line *l, double x)
{
    double way = x - l->at;
    if (way == 0 || (l->slope == 0 && l->slope_off == 0))
        return (Near){l->value, l->value_off};
    double by = l->slope * way;
    double off = l->value_off + l->slope_off * fabs(way) + U * (fabs(l->value) + fabs(by)) + TINY;
    return (Near){l->value + by, off * (1 + 0x1p-49)};
}

/* A sum of products as it is made, with the sizes of its terms. */
typedef struct Sum { double d, size, off; bool any; } Sum;

static void add_product(Sum *sum, double w, double d, double off)
{
    double term = w * d;
    sum->d += term;
    sum->size += fabs(term);
    sum->off += fabs(w) * off;
    sum->any |= d != 0 || off != 0;
}

static double sum_off(const Sum *sum, double terms)
{
    return sum->any ? (sum->off + (terms + 3) * 0x1p-52 * sum->size + TINY) * (1 + (terms + 8) * 0x1p-51) : 0;
}

/* The least cell > c that is on, at most `last`. */
static CellId next_on(const FloatSweep *s, CellId c, CellId last)
{
    CellId w = ++c / 64;
    for (uint64_t bits = c > last ? 0 : s->on[w] >> c % 64 << c % 64;; bits = s->on[w]) {
        if (bits)
            return w * 64 + (CellId)__builtin_ctzll(bits);
        if (++w > last / 64)
            return last + 1;
    }
}

/* The least i in [from, end) whose term is of a cell >= c; terms are ordered by cell. */
static uint64_t find_term(const Term *term, uint64_t from, uint64_t end, CellId c)
{
    uint64_t most = from + (c - term[from].from) + 1;             /* if all cells are there */
    end = most < end ? most : end;
    if (term[end - 1].from == c)
        return end - 1;
    while (from < end) {
        uint64_t middle = from + (end - from) / 2;
        if (term[middle].from < c)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

/* The first term from i on, of those of a sum that end at `end`, that is not of a relu that is off. Where there are many, hardly any may
 * be on. */
uint64_t line_next_term(const FloatSweep *s, CellId c, uint64_t i, uint64_t end)
{
    const Term *term = s->cells->term;
    if (!s->adds_up[c]) {
        while (i < end && !is_on(s, term[i].from))
            i++;
        return i;
    }
    CellId last = term[end - 1].from;
    while (i < end && !is_on(s, term[i].from)) {
        CellId on = next_on(s, term[i].from, last);
        i = on > last ? end : find_term(term, i, end, on);
    }
    return i;
}

/* From the lines of its terms. */
void line_make(FloatSweep *s, CellId c)
{
    Sum value = {.d = s->bias[c], .size = fabs(s->bias[c])}, slope = {0};
    uint64_t first = s->cells->first_term[c], end = s->cells->first_term[c + 1];
    double terms = 0;
    for (uint64_t i = line_next_term(s, c, first, end); i < end; i = line_next_term(s, c, i + 1, end)) {
        const Term *t = &s->cells->term[i];
        const Line *l = &s->line[s->source[t->from]];
        Near v = line_at(l, s->x);
        add_product(&value, t->real, v.d, v.off);
        add_product(&slope, t->real, l->slope, l->slope_off);
        terms++;
    }
    s->line[c] = (Line){s->x, value.d, slope.d, sum_off(&value, terms), sum_off(&slope, terms)};
    s->work += 8 + (uint64_t)terms;
}

/* Whether it was not. */
bool line_settle(FloatSweep *s, CellId c)
{
    if (!(s->state[c] & STALE))
        return false;
    s->state[c] &= (uint8_t)~STALE;
    if (!s->adds_up[c])
        line_make(s, c);
    return true;
}

static void note_change(FloatSweep *s, CellId sum)
{
    s->state[sum] = STALE | INEXACT | CHANGED;
    mark(s, s->looked_at[sum]);
}

/* The sums behind c hear that its line is another. */
void line_tell(FloatSweep *s, CellId c)
{
    const Cells *cells = s->cells;
    uint64_t first = cells->first_edge[c], end = cells->first_edge[c + 1];
    s->work += 8 + (end - first);
    if (!s->tells[c]) {
        for (uint64_t e = first; e < end; e++)
            note_change(s, cells->edge[e].to);
        return;
    }
    static const Line zero;
    Line told = s->told[c], *was = &told;
    const Line *is = &s->told[c];
    s->told[c] = is_on(s, c) ? s->line[s->source[c]] : zero;
    Near before = line_at(was, s->x), now = line_at(is, s->x);
    double by = now.d - before.d, by_off = (now.off + before.off + U * fabs(by)) * (1 + U);
    double turn = is->slope - was->slope, turn_off = (is->slope_off + was->slope_off + U * fabs(turn)) * (1 + U);
    for (uint64_t e = first; e < end; e++) {
        const Edge *edge = &cells->edge[e];
        note_change(s, edge->to);
        if (!s->adds_up[edge->to])
            continue;
        Line *l = &s->line[edge->to];
        Near v = line_at(l, s->x);
        double w = edge->as.real, step = w * by, bend = w * turn;
        l->at = s->x;
        l->value = v.d + step;
        l->slope += bend;
        l->value_off = (v.off + fabs(w) * by_off + U * (fabs(step) + fabs(l->value)) + TINY) * (1 + 0x1p-49);
        if (turn != 0 || turn_off != 0)
            l->slope_off = (l->slope_off + fabs(w) * turn_off + U * (fabs(bend) + fabs(l->slope)) + TINY) * (1 + 0x1p-49);
    }
}
