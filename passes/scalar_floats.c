/* scalar_floats.c — the pieces of functions of one float, exactly, mostly computed in doubles.
 *
 * In: cells (scalar_cells.h), the floats lo … hi, the cells to watch. Out: the pieces on which all watched cells are affine. The one
 * idea is the filter of computational geometry (Fortune & Van Wyk, 1993): a sweep from left to right asks only for signs, and a
 * double with a bound on its error nearly always knows them. Where the bound is not less than the number, whole numbers decide.
 *
 *      line      of every cell, to the right of where we are: its value at some x, its slope, and how far both may be off; of a sum with
 *                few terms computed anew when one of them changes, of others changed by what a term changed by
 *      stop      of every relu: no float before it is beyond the zero of its input; these are a heap. Nothing can change on the way
 *                to the least of them, and what happens between two floats happens at one stop
 *      form      of a sum: the same line as whole numbers, c + s d for d = x − lo in steps of the grid. Made when it is asked for, from
 *                those of its terms: for a sign that the line does not tell, and for watched cells that may have changed
 *
 * A line is believed only as far as its bounds reach, and what is recorded of a piece comes from whole numbers alone. With filter = false
 * no line is believed: the same pieces, slowly, which is how the filter is tested.
 *
 * Numbers are taken modulo 2^(64 limbs), c for one may overflow; values do not (bigint.c).
 */
#include "scalar_sweep.h"

#include <math.h>
#include <string.h>

enum { FEW_TERMS = 12, NOT_IN_HEAP = UINT32_MAX };
static const double U = 0x1p-51, TINY = 0x1p-1000, SMALL = 0x1p-960, LARGE = 0x1p960;

/* |value − the cell's at x = at| <= value_off, |slope − the cell's| <= slope_off; both off 0: exact. */
typedef struct Line { double at, value, slope, value_off, slope_off; } Line;
typedef struct Near { double d, off; } Near;

/* Of a sum: its line is old (of a relu: its input's is another); its form is; anything is since it was recorded. */
enum { STALE = 1, INEXACT = 2, CHANGED = 4 };

typedef struct Sweep {
    Arena *arena;
    const Cells *cells;
    size_t n;
    bool filter;
    uint32_t precision;
    int32_t scale;                /* of x: a step is 2^-scale */
    double x, hi, next_float;     /* where we are; the end of the range; the float behind x */
    double on_grid;               /* below this a float may lie between two steps of the grid */
    uint32_t P;
    Limb *d, *span;               /* x − lo; set when d_is_here */
    bool d_is_here;
    const Limb *lo;
    Line *line;                   /* by cell, but not of relus */
    Line *told;                   /* by cell: what sums of many terms behind it were told last */
    CellId *input;                /* by cell: of a relu; else itself */
    CellId *source;               /* by cell: the one whose line it has; of a relu, when it is on */
    double *bias;
    uint8_t *state;
    bool *adds_up;                /* by cell: a sum of many terms, whose line is changed by what its terms change by */
    bool *tells;                  /* by cell: one of those is behind it */
    uint64_t *on;                 /* a bit by cell: 0 for a relu that is off */
    CellId *looked_at;            /* by cell: itself, or its relu if that is all there is behind it */
    uint64_t *dirty, *dirty_words;      /* a bit by cell: to be looked at; by word of these: not zero */
    uint64_t *at;                 /* by cell: of sums, their form */
    Limb *form;
    Limb *t[3];                   /* scratch numbers */
    Vec(CellId) wanted;           /* forms to make */
    double *due, *key;            /* by cell: where it has to be looked at; its place in the heap, not behind that */
    CellId *heap;
    uint32_t *place, heap_len;
    uint64_t work;
} Sweep;

static const Cell *cell(const Sweep *s, CellId c) { return &s->cells->cell.at[c]; }
static bool is_on(const Sweep *s, CellId c) { return s->on[c / 64] >> c % 64 & 1; }

static void mark(Sweep *s, CellId c)
{
    s->dirty[c / 64] |= (uint64_t)1 << c % 64;
    s->dirty_words[c / 4096] |= (uint64_t)1 << c / 64 % 64;
}

/* ---- stops: a heap by key; what is due later than its key is moved when it comes to the top ---- */

static void put(Sweep *s, uint32_t place, CellId c)
{
    s->heap[place] = c;
    s->place[c] = place;
}

static void heap_up(Sweep *s, uint32_t i)
{
    CellId c = s->heap[i];
    for (; i > 0 && s->key[c] < s->key[s->heap[(i - 1) / 2]]; i = (i - 1) / 2)
        put(s, i, s->heap[(i - 1) / 2]);
    put(s, i, c);
}

static void heap_down(Sweep *s, uint32_t i)
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

static void heap_remove_first(Sweep *s)
{
    s->place[s->heap[0]] = NOT_IN_HEAP;
    if (--s->heap_len == 0)
        return;
    put(s, 0, s->heap[s->heap_len]);
    heap_down(s, 0);
}

static void set_due(Sweep *s, CellId c, double x)
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
static bool next_stop(Sweep *s, double *x)
{
    while (s->heap_len > 0) {
        CellId c = s->heap[0];
        if (s->due[c] == s->key[c]) {
            *x = s->key[c];
            return true;
        }
        if (s->due[c] > s->hi) {
            heap_remove_first(s);
        } else {
            s->key[c] = s->due[c];
            heap_down(s, 0);
        }
    }
    return false;
}

/* ---- floats ---- */

/* The least x' >= x that is a float of the type and on the grid. */
static double round_up(const Sweep *s, double x)
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

static void go_to(Sweep *s, double x)
{
    s->x = x;
    s->next_float = round_up(s, next_double(x));
    s->d_is_here = false;
    s->line[0] = (Line){.at = x, .value = x, .slope = 1};
}

/* A float behind s->x and not behind the one at or after x + wait. */
static double stop_after(const Sweep *s, double wait)
{
    double sum = s->x + wait;
    if (!(sum > s->next_float))
        return s->next_float;
    double part = sum - s->x, rest = (s->x - (sum - part)) + (wait - part);      /* sum + rest = x + wait (Knuth) */
    return round_up(s, rest > 0 ? next_double(sum) : sum);
}

/* ---- lines ---- */

static Near line_at(const Line *l, double x)
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
static CellId next_on(const Sweep *s, CellId c, CellId last)
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
static uint64_t next_term(const Sweep *s, CellId c, uint64_t i, uint64_t end)
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
static void make_line(Sweep *s, CellId c)
{
    Sum value = {.d = s->bias[c], .size = fabs(s->bias[c])}, slope = {0};
    uint64_t first = s->cells->first_term[c], end = s->cells->first_term[c + 1];
    double terms = 0;
    for (uint64_t i = next_term(s, c, first, end); i < end; i = next_term(s, c, i + 1, end)) {
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
static bool settle_line(Sweep *s, CellId c)
{
    if (!(s->state[c] & STALE))
        return false;
    s->state[c] &= (uint8_t)~STALE;
    if (!s->adds_up[c])
        make_line(s, c);
    return true;
}

static void note_change(Sweep *s, CellId sum)
{
    s->state[sum] = STALE | INEXACT | CHANGED;
    mark(s, s->looked_at[sum]);
}

/* The sums behind c hear that its line is another. */
static void tell(Sweep *s, CellId c)
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

/* ---- forms ---- */

static Limb *form_of(const Sweep *s, CellId c) { return s->form + s->at[c]; }

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
static bool make_form(Sweep *s, CellId c)
{
    const Cells *cells = s->cells;
    size_t wanted = s->wanted.len;
    uint64_t first = next_term(s, c, cells->first_term[c], cells->first_term[c + 1]), end = cells->first_term[c + 1];
    for (uint64_t i = first; i < end; i = next_term(s, c, i + 1, end)) {
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
    for (uint64_t i = first; i < end; i = next_term(s, c, i + 1, end)) {
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
static const Limb *form_now(Sweep *s, CellId c)
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

static void settle_d(Sweep *s)
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
static void value_here(Sweep *s, Limb *r, const Limb *form, uint32_t n)
{
    settle_d(s);
    memcpy(r, form, n * sizeof *r);
    for (uint32_t i = 0; i < s->P && i < n; i++)
        if (s->d[i])
            big_add_unsigned_multiple(r + i, form + n, n - i, s->d[i]);
}

/* ---- relus ---- */

/* What a relu has to know of its input: signs here and of the slope, and how much further its zero is at least. */
typedef struct Look { int here, direction; double wait; } Look;

static int sign_of(double d) { return d > 0 ? 1 : d < 0 ? -1 : 0; }
static bool is_sure(double d, double off) { return (d == 0 && off == 0) || (fabs(d) > off && fabs(d) < LARGE); }

/* From the line, if that tells. Whether the slope leads to zero may stay open for a while: the worst is assumed. */
static bool judge(const Sweep *s, const Line *l, bool open, Look *look)
{
    Near v = line_at(l, s->x);
    bool slope_sure = is_sure(l->slope, l->slope_off);
    if (!is_sure(v.d, v.off))
        return false;
    *look = (Look){sign_of(v.d), slope_sure ? sign_of(l->slope) : 0, INFINITY};
    if (look->here == 0 || (slope_sure && (look->direction == 0 || look->direction == look->here)))
        return slope_sure;
    look->wait = (fabs(v.d) - v.off) / (fabs(l->slope) + l->slope_off) * (1 - 0x1p-49);
    if ((slope_sure || open) && fabs(v.d) > 4 * v.off)       /* or steps could become ever shorter */
        return true;
    return look->wait > 2 * (fabs(s->x) + fabs(s->hi)) + SMALL;
}

/* A number as a double that may be far too small or large. */
static Near nearest(const Limb *a, uint32_t n, int32_t scale)
{
    double d = big_to_double(a, n, -scale);
    if (!(fabs(d) < LARGE))
        return (Near){0, INFINITY};
    if (fabs(d) < SMALL)
        return big_is_zero(a, n) ? (Near){0, 0} : (Near){0, SMALL};
    return (Near){d, 0x1p-53 * fabs(d)};
}

/* From the form, which becomes the line. */
static void decide(Sweep *s, CellId in, Look *look)
{
    const Limb *form = form_now(s, in);
    CellId c = s->source[in];
    *look = (Look){0, 0, INFINITY};
    uint32_t n = cell(s, c)->limbs;
    int32_t scale = cell(s, c)->scale;
    Limb *value = s->t[2];
    value_here(s, value, form, n);
    look->here = big_sign(value, n);
    look->direction = big_sign(form + n, n);
    Near v = nearest(value, n, scale), slope = nearest(form + n, n, scale - s->scale);
    s->line[c] = (Line){s->x, v.d, slope.d, v.off, slope.off};
    s->work += 16 * n;
    if (look->here == 0 || look->direction == 0 || look->here == look->direction)
        return;
    TopBits distance = big_top(value, n), speed = big_top(form + n, n);        /* they may be no doubles */
    double steps = (double)distance.mantissa / (double)speed.mantissa * (1 - 0x1p-49);
    look->wait = ldexp(steps, distance.exp - speed.exp - s->scale);
}

static void look_at_input(Sweep *s, CellId in, bool news, Look *look)
{
    CellId c = s->source[in];
    *look = (Look){0, 0, INFINITY};
    if (!is_on(s, in) || (s->filter && judge(s, &s->line[c], news, look)))
        return;
    if (s->filter && s->adds_up[c] && c) {
        make_line(s, c);          /* without what the changes have left */
        if (judge(s, &s->line[c], news, look))
            return;
    }
    decide(s, in, look);
}

static void mark_relus(Sweep *s, CellId c)
{
    for (uint32_t i = s->cells->first_relu[c]; i < s->cells->first_relu[c + 1]; i++) {
        s->state[s->cells->relu[i]] |= STALE;
        mark(s, s->cells->relu[i]);
    }
}

static void look_at_relu(Sweep *s, CellId c)
{
    CellId in = s->input[c];
    Look look;
    bool news = settle_line(s, in) || s->state[c] & STALE;
    look_at_input(s, in, news, &look);
    bool on = look.here > 0 || (look.here == 0 && look.direction > 0), was_on = is_on(s, c);
    set_due(s, c, look.wait < INFINITY ? stop_after(s, look.wait) : INFINITY);
    s->state[c] &= (uint8_t)~STALE;
    if (!(on || was_on) || (on == was_on && !news))
        return;
    s->state[c] |= CHANGED;
    s->on[c / 64] ^= (uint64_t)(on != was_on) << c % 64;
    tell(s, c);
    mark_relus(s, c);
}

static void look_at_sum(Sweep *s, CellId c)
{
    settle_line(s, c);
    mark_relus(s, c);
    tell(s, c);
}

/* ---- one stop ---- */

/* All that is marked, in order; what is marked on the way lies behind. */
static void look_at_marked(Sweep *s)
{
    for (size_t v = 0; v <= s->n / 4096; v++)
        while (s->dirty_words[v]) {
            size_t w = v * 64 + (uint32_t)__builtin_ctzll(s->dirty_words[v]);
            CellId c = (CellId)(w * 64 + (uint32_t)__builtin_ctzll(s->dirty[w]));
            s->dirty[w] &= s->dirty[w] - 1;
            if (s->dirty[w] == 0)
                s->dirty_words[v] &= s->dirty_words[v] - 1;
            if (s->input[c] != c)
                look_at_relu(s, c);
            else
                look_at_sum(s, c);
        }
}

static void *grown(Sweep *s, const Limb *old, size_t n, size_t cap, size_t limbs)
{
    Limb *more = arena_array(s->arena, cap, limbs * sizeof *more);
    if (n)
        memcpy(more, old, n * limbs * sizeof *more);
    return more;
}

/* One more piece, if a watched cell may have another form. */
static void record(Sweep *s, Pieces *out, size_t *cap)
{
    bool any = false;
    for (uint32_t w = 0; w < out->n_watched; w++) {
        any |= s->state[out->watched[w]] & CHANGED;
        s->state[out->watched[w]] &= (uint8_t)~CHANGED;
    }
    if (!any)
        return;
    if (out->n == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        out->start = grown(s, out->start, out->n, *cap, s->P);
        for (uint32_t w = 0; w < out->n_watched; w++)
            out->form[w] = grown(s, out->form[w], out->n, *cap, 2 * (size_t)out->limbs[w]);
    }
    settle_d(s);
    memcpy(out->start + out->n * s->P, s->d, s->P * sizeof(Limb));
    for (uint32_t w = 0; w < out->n_watched; w++) {
        uint32_t n = out->limbs[w];
        Limb *to = out->form[w] + out->n * 2 * n;
        const Limb *form = form_now(s, out->watched[w]);
        if (!form)
            continue;             /* zero, as the array is */
        value_here(s, to, form, n);
        memcpy(to + n, form + n, n * sizeof *to);
    }
    out->n++;
}

/* To the next stop; false when there is none. */
static bool advance(Sweep *s)
{
    double x;
    if (!next_stop(s, &x))
        return false;
    go_to(s, x);
    while (next_stop(s, &x) && x == s->x) {
        mark(s, s->heap[0]);
        heap_remove_first(s);
    }
    return true;
}

/* ---- the whole ---- */

/* Sums that only a relu hears of are not looked at themselves. */
static void choose_looks(Sweep *s, uint32_t n_watched, const CellId *watched)
{
    const Cells *cells = s->cells;
    for (CellId c = 0; c < s->n; c++) {
        uint32_t relus = cells->first_relu[c + 1] - cells->first_relu[c];
        bool simple = cell(s, c)->kind == CELL_SUM && relus == 1 && cells->first_edge[c + 1] == cells->first_edge[c];
        s->looked_at[c] = simple ? cells->relu[cells->first_relu[c]] : c;
        s->adds_up[c] = cells->first_term[c + 1] - cells->first_term[c] > FEW_TERMS;
        for (uint64_t i = cells->first_term[c] + 1; s->adds_up[c] && i < cells->first_term[c + 1]; i++)
            s->adds_up[c] = cells->term[i - 1].from < cells->term[i].from;        /* find_term wants it so */
        for (uint64_t i = cells->first_term[c]; s->adds_up[c] && i < cells->first_term[c + 1]; i++)
            s->tells[cells->term[i].from] = true;
    }
    for (uint32_t w = 0; w < n_watched; w++)
        s->looked_at[watched[w]] = watched[w];
}

static void make_lines(Sweep *s)
{
    const Cells *cells = s->cells;
    for (CellId c = 0; c < s->n; c++) {
        uint32_t n = cell(s, c)->limbs;
        bool relu = cell(s, c)->kind == CELL_RELU;
        s->input[c] = relu ? cell(s, c)->input : c;
        s->source[c] = relu ? s->source[s->input[c]] : c;
        s->on[c / 64] |= (uint64_t)!relu << c % 64;
        s->due[c] = INFINITY;
        s->place[c] = NOT_IN_HEAP;
        s->state[c] = STALE | CHANGED | (cell(s, c)->kind == CELL_SUM ? INEXACT : 0);
        if (cell(s, c)->kind == CELL_SUM)
            s->bias[c] = big_to_double(cells->bias.at + cells->bias_at[c], n, -cell(s, c)->scale);
        s->line[c] = (Line){.at = s->x, .value = s->bias[c]};
        mark(s, c);
    }
    go_to(s, s->x);
    s->adds_up[0] = true;         /* it is what it is */
}

static void make_forms(Sweep *s)
{
    uint64_t limbs = 0;
    uint32_t most = s->P, root = cell(s, 0)->limbs;
    for (CellId c = 0; c < s->n; c++) {
        uint32_t n = cell(s, c)->limbs;
        s->at[c] = limbs;
        limbs += cell(s, c)->kind == CELL_RELU ? 0 : 2 * (uint64_t)n;
        most = n > most ? n : most;
    }
    s->form = NEW_ARRAY(s->arena, limbs, Limb);
    memcpy(s->form, s->lo, root * sizeof *s->lo);
    s->form[root] = 1;
    for (int i = 0; i < 3; i++)
        s->t[i] = NEW_ARRAY(s->arena, most + 2, Limb);
}

static void make_room(Sweep *s, SweepRange range)
{
    Arena *a = s->arena;
    uint32_t root = cell(s, 0)->limbs;
    size_t n = s->n = s->cells->cell.len;
    s->lo = range.lo;
    s->scale = cell(s, 0)->scale;
    s->x = big_to_double(range.lo, root, -s->scale);
    s->hi = big_to_double(range.hi, root, -s->scale);
    Limb *span = NEW_ARRAY(a, root + 1, Limb);
    big_sub(span, range.hi, range.lo, root);
    s->span = span;
    s->P = big_bits(span, root) / 64 + 1;         /* room for one more */
    s->d = NEW_ARRAY(a, s->P, Limb);
    s->line = NEW_ARRAY(a, n, Line);
    s->on_grid = ldexp(1, (int)s->precision - s->scale);
    s->input = NEW_ARRAY(a, n, CellId);
    s->source = NEW_ARRAY(a, n, CellId);
    s->told = NEW_ARRAY(a, n, Line);
    s->bias = NEW_ARRAY(a, n, double);
    s->state = NEW_ARRAY(a, n, uint8_t);
    s->adds_up = NEW_ARRAY(a, n, bool);
    s->tells = NEW_ARRAY(a, n, bool);
    s->on = NEW_ARRAY(a, n / 64 + 1, uint64_t);
    s->looked_at = NEW_ARRAY(a, n, CellId);
    s->dirty = NEW_ARRAY(a, n / 64 + 1, uint64_t);
    s->dirty_words = NEW_ARRAY(a, n / 4096 + 1, uint64_t);
    s->at = NEW_ARRAY(a, n, uint64_t);
    s->due = NEW_ARRAY(a, n, double);
    s->key = NEW_ARRAY(a, n, double);
    s->heap = NEW_ARRAY(a, n, CellId);
    s->place = NEW_ARRAY(a, n, uint32_t);
    make_forms(s);
}

SweepEnd scalar_sweep_floats(Arena *arena, const Cells *cells, SweepRange range, const SweepLimits *limits, Pieces *out)
{
    Sweep sweep = {.arena = arena, .cells = cells, .precision = range.precision, .filter = !range.unfiltered}, *s = &sweep;
    make_room(s, range);
    choose_looks(s, out->n_watched, out->watched);
    make_lines(s);
    out->position_limbs = s->P;
    out->span = s->span;
    out->limbs = NEW_ARRAY(arena, out->n_watched, uint32_t);
    out->form = NEW_ARRAY(arena, out->n_watched, Limb *);
    uint64_t per_piece = s->P;
    for (uint32_t w = 0; w < out->n_watched; w++) {
        out->limbs[w] = cell(s, out->watched[w])->limbs;
        per_piece += 2 * (uint64_t)out->limbs[w];
    }
    size_t cap = 0;
    do {
        look_at_marked(s);
        record(s, out, &cap);
        s->work += s->n / 16;
        if (out->n > limits->pieces)
            return SWEEP_TOO_MANY;
        if (s->work > limits->work || out->n * per_piece > limits->bytes / sizeof(Limb))
            return SWEEP_TOO_LONG;
    } while (advance(s));
    return SWEEP_DONE;
}
