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
 */
#include "scalar_floats.h"

#include <math.h>
#include <string.h>

enum { FEW_TERMS = 12 };      /* more: a sum is changed by what its terms change by */
static const double SMALL = 0x1p-960, LARGE = 0x1p960;

/* ---- relus ---- */

/* What a relu has to know of its input: signs here and of the slope, and how much further its zero is at least. */
typedef struct Look { int here, direction; double wait; } Look;

static int sign_of(double d) { return d > 0 ? 1 : d < 0 ? -1 : 0; }
static bool is_sure(double d, double off) { return (d == 0 && off == 0) || (fabs(d) > off && fabs(d) < LARGE); }

/* From the line, if that tells. Whether the slope leads to zero may stay open for a while: the worst is assumed. */
static bool judge(const FloatSweep *s, const Line *l, bool open, Look *look)
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
static void decide(FloatSweep *s, CellId in, Look *look)
{
    const Limb *form = form_now(s, in);
    CellId c = s->source[in];
    *look = (Look){0, 0, INFINITY};
    uint32_t n = cell(s, c)->limbs;
    int32_t scale = cell(s, c)->scale;
    Limb *value = s->t[2];
    form_value_here(s, value, form, n);
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

static void look_at_input(FloatSweep *s, CellId in, bool news, Look *look)
{
    CellId c = s->source[in];
    *look = (Look){0, 0, INFINITY};
    if (!is_on(s, in) || (s->filter && judge(s, &s->line[c], news, look)))
        return;
    if (s->filter && s->adds_up[c] && c) {
        line_make(s, c);          /* without what the changes have left */
        if (judge(s, &s->line[c], news, look))
            return;
    }
    decide(s, in, look);
}

static void mark_relus(FloatSweep *s, CellId c)
{
    for (uint32_t i = s->cells->first_relu[c]; i < s->cells->first_relu[c + 1]; i++) {
        s->state[s->cells->relu[i]] |= STALE;
        mark(s, s->cells->relu[i]);
    }
}

static void look_at_relu(FloatSweep *s, CellId c)
{
    CellId in = s->input[c];
    Look look;
    bool news = line_settle(s, in) || s->state[c] & STALE;
    look_at_input(s, in, news, &look);
    bool on = look.here > 0 || (look.here == 0 && look.direction > 0), was_on = is_on(s, c);
    stops_set(s, c, look.wait < INFINITY ? stops_after(s, look.wait) : INFINITY);
    s->state[c] &= (uint8_t)~STALE;
    if (!(on || was_on) || (on == was_on && !news))
        return;
    s->state[c] |= CHANGED;
    s->on[c / 64] ^= (uint64_t)(on != was_on) << c % 64;
    line_tell(s, c);
    mark_relus(s, c);
}

static void look_at_sum(FloatSweep *s, CellId c)
{
    line_settle(s, c);
    mark_relus(s, c);
    line_tell(s, c);
}

/* ---- one stop ---- */

/* All that is marked, in order; what is marked on the way lies behind. */
static void look_at_marked(FloatSweep *s)
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

static void *grown(FloatSweep *s, const Limb *old, size_t n, size_t cap, size_t limbs)
{
    Limb *more = arena_array(s->arena, cap, limbs * sizeof *more);
    if (n)
        memcpy(more, old, n * limbs * sizeof *more);
    return more;
}

/* One more piece, if a watched cell may have another form. */
static void record(FloatSweep *s, Pieces *out, size_t *cap)
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
    form_settle_d(s);
    memcpy(out->start + out->n * s->P, s->d, s->P * sizeof(Limb));
    for (uint32_t w = 0; w < out->n_watched; w++) {
        uint32_t n = out->limbs[w];
        Limb *to = out->form[w] + out->n * 2 * n;
        const Limb *form = form_now(s, out->watched[w]);
        if (!form)
            continue;             /* zero, as the array is */
        form_value_here(s, to, form, n);
        memcpy(to + n, form + n, n * sizeof *to);
    }
    out->n++;
}

/* To the next stop; false when there is none. */
static bool advance(FloatSweep *s)
{
    double x;
    if (!stops_next(s, &x))
        return false;
    floats_go_to(s, x);
    while (stops_next(s, &x) && x == s->x) {
        mark(s, s->heap[0]);
        stops_drop_first(s);
    }
    return true;
}

/* ---- the whole ---- */

/* Sums that only a relu hears of are not looked at themselves. */
static void choose_looks(FloatSweep *s, uint32_t n_watched, const CellId *watched)
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

static void make_lines(FloatSweep *s)
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
    floats_go_to(s, s->x);
    s->adds_up[0] = true;         /* it is what it is */
}

static void make_forms(FloatSweep *s)
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

static void make_room(FloatSweep *s, SweepRange range)
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
    FloatSweep sweep = {.arena = arena, .cells = cells, .precision = range.precision, .filter = !range.unfiltered}, *s = &sweep;
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
