/* scalar_stops.c — where a sweep over floats has to look next.
 *
 * In: for each relu a float before which its input cannot reach zero. Out: the least of them. The one idea: stops move away far more often
 * than they come nearer, so a heap holds a key that is not behind the stop, and what is due later is moved when it comes to the top.
 *
 * A stop is a float of the range's type, and on its grid: what happens between two floats happens at one stop.
 */
#include "scalar_floats.h"

#include <math.h>
#include <string.h>

/* ---- the heap, by key ---- */

static void put(FloatSweep *s, uint32_t place, CellId c)
{
    s->heap[place] = c;
    s->place[c] = place;
}

static void heap_up(FloatSweep *s, uint32_t i)
{
    CellId c = s->heap[i];
    for (; i > 0 && s->key[c] < s->key[s->heap[(i - 1) / 2]]; i = (i - 1) / 2)
        put(s, i, s->heap[(i - 1) / 2]);
    put(s, i, c);
}

static void heap_down(FloatSweep *s, uint32_t i)
{
    CellId c = s->heap[i];
    for (uint32_t child; (child = 2 * i + 1) < s->heap_len; i = child) {
        if (child + 1 < s->heap_len && s->key[s->heap[child + 1]] < s->key[s->heap[child]])
            child++;
        if (!(s->key[s->heap[child]] < s->key[c]))
            break;
        put(s, i, s->heap[child]);
    }
    put(s, i, c);
}

void stops_drop_first(FloatSweep *s)
{
    s->place[s->heap[0]] = NOT_IN_HEAP;
    if (--s->heap_len == 0)
        return;
    put(s, 0, s->heap[s->heap_len]);
    heap_down(s, 0);
}

void stops_set(FloatSweep *s, CellId c, double x)
{
    s->due[c] = x;
    if (x > s->hi || (s->place[c] != NOT_IN_HEAP && s->key[c] <= x))
        return;
    s->key[c] = x;
    if (s->place[c] == NOT_IN_HEAP)
        put(s, s->heap_len++, c);
    heap_up(s, s->place[c]);
}

/* The least stop; false when there is none. */
bool stops_next(FloatSweep *s, double *x)
{
    while (s->heap_len > 0) {
        CellId c = s->heap[0];
        if (s->due[c] == s->key[c]) {
            *x = s->key[c];
            return true;
        }
        if (s->due[c] > s->hi) {
            stops_drop_first(s);
        } else {
            s->key[c] = s->due[c];
            heap_down(s, 0);
        }
    }
    return false;
}

/* ---- floats ---- */

/* The least x' >= x that is a float of the type and on the grid. */
static double round_up(const FloatSweep *s, double x)
{
    if (fabs(x) < s->on_grid)
        return ldexp(ceil(ldexp(x, s->scale)), -s->scale);
    if (s->precision > 24)
        return x;
    float f = (float)x;
    return (double)((double)f < x ? nextafterf(f, INFINITY) : f);
}

static double next_double(double x)
{
    int64_t bits;
    if (!(fabs(x) > 0 && x < INFINITY))
        return x == 0 ? 0x1p-1074 : x;
    memcpy(&bits, &x, sizeof x);
    bits += x > 0 ? 1 : -1;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void floats_go_to(FloatSweep *s, double x)
{
    s->x = x;
    s->next_float = round_up(s, next_double(x));
    s->d_is_here = false;
    s->line[0] = (Line){.at = x, .value = x, .slope = 1};
}

/* A float behind s->x and not behind the one at or after x + wait. */
double stops_after(const FloatSweep *s, double wait)
{
    double sum = s->x + wait;
    if (!(sum > s->next_float))
        return s->next_float;
    double part = sum - s->x, rest = (s->x - (sum - part)) + (wait - part);      /* sum + rest = x + wait (Knuth) */
    return round_up(s, rest > 0 ? next_double(sum) : sum);
}
