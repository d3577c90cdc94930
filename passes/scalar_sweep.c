/* scalar_sweep.c — the pieces of functions of one integer, exactly.
 *
 * In: cells (scalar_cells.h), the whole numbers lo … hi, the cells to watch. Out: the pieces on which all watched cells are affine. The
 * one idea: go from left to right and touch only what changes. Every cell has its form, value(d) = c + s d for d = x − lo, which is true
 * from where it was last changed up to its own end; the ends are a heap. At the least end E nothing was wrong yet; at d = E + 1 the cells
 * that end there are evaluated again, and what changes is passed on along the edges: the work is that of the edges behind what changed,
 * not that of the network.
 *
 * A form goes through the values at two neighbouring numbers, d and d + 1:
 *
 *      relu      off or on as long as its input keeps its sign; if the input has two signs at d and d + 1, the form through both is
 *                true for these two, and ends there
 *
 * so slopes are differences of two values, and a network of integers is looked at where it is evaluated and nowhere else. A cell
 * that has to fit its type is checked at d and d + 1, and its form ends where it would no longer fit: what is affine between two
 * points where it fits, fits between.
 *
 * Numbers are taken modulo 2^(64 limbs), c for one may overflow; values do not (bigint.c).
 */
#include "scalar_sweep.h"

#include <string.h>

enum { NOWHERE_IN_HEAP = UINT32_MAX };

typedef struct Sweep {
    Arena *arena;
    const Cells *cells;
    size_t n;
    uint32_t P;                   /* limbs of positions */
    Limb *d, *span, *next;        /* where we are; hi − lo; scratch for an end */
    bool last;                    /* d = span: there is no d + 1, every slope is 0 */
    uint64_t *at;                 /* by cell: its form in `form`: c, then s; of sums with edges also the form last passed on */
    Limb *form;
    uint64_t *dirty;              /* cells to be looked at, bit by bit */
    CellId *looked_at;            /* by cell: itself, or its relu if that is all there is behind it */
    bool *changed;                /* by cell: its form, at this stop */
    CellId *seen;                 /* cells that were looked at */
    uint32_t n_seen;
    Limb *end;                    /* by cell: the last position where its form is true */
    uint32_t *heap, *place;
    uint32_t heap_len;
    Limb *t[6];                   /* scratch numbers */
    uint64_t work;
    const Op *culprit;
} Sweep;

/* ---- the heap of ends ---- */

static Limb *end_of(const Sweep *s, CellId c) { return s->end + (size_t)c * s->P; }

static bool before(const Sweep *s, CellId a, CellId b) { return big_compare_unsigned(end_of(s, a), end_of(s, b), s->P) < 0; }

static void put(Sweep *s, uint32_t place, CellId c)
{
    s->heap[place] = c;
    s->place[c] = place;
}

static void heap_up(Sweep *s, uint32_t i)
{
    CellId c = s->heap[i];
    for (; i > 0 && before(s, c, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(s, i, s->heap[(i - 1) / 2]);
    put(s, i, c);
}

static void heap_down(Sweep *s, uint32_t i)
{
    CellId c = s->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= s->heap_len)
            break;
        if (child + 1 < s->heap_len && before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!before(s, s->heap[child], c))
            break;
        put(s, i, s->heap[child]);
        i = child;
    }
    put(s, i, c);
}

static void heap_remove(Sweep *s, CellId c)
{
    uint32_t i = s->place[c];
    if (i == NOWHERE_IN_HEAP)
        return;
    s->place[c] = NOWHERE_IN_HEAP;
    CellId moved = s->heap[--s->heap_len];
    if (moved == c)
        return;
    put(s, i, moved);
    heap_up(s, i);
    heap_down(s, s->place[moved]);
}

/* The cell's end is s->next. */
static void heap_set(Sweep *s, CellId c)
{
    memcpy(end_of(s, c), s->next, s->P * sizeof(Limb));
    if (s->place[c] == NOWHERE_IN_HEAP)
        put(s, s->heap_len++, c);
    heap_up(s, s->place[c]);
    heap_down(s, s->place[c]);
}

/* ---- forms ---- */

static const Cell *cell(const Sweep *s, CellId c) { return &s->cells->cell.at[c]; }
static Limb *offset_of(const Sweep *s, CellId c) { return s->form + s->at[c]; }
static Limb *slope_of(const Sweep *s, CellId c) { return s->form + s->at[c] + cell(s, c)->limbs; }

static bool has_edges(const Sweep *s, CellId c) { return s->cells->first_edge[c + 1] > s->cells->first_edge[c]; }

static void mark(Sweep *s, CellId c) { s->dirty[c / 64] |= (uint64_t)1 << c % 64; }

/* r += w d for the position d. */
static void add_times_position(const Sweep *s, Limb *r, const Limb *w, uint32_t n)
{
    for (uint32_t i = 0; i < s->P && i < n; i++)
        if (s->d[i])
            big_add_unsigned_multiple(r + i, w, n - i, s->d[i]);
}

/* c + s d, of a form of n limbs. */
static void value_here(const Sweep *s, Limb *r, const Limb *form, uint32_t n)
{
    memcpy(r, form, n * sizeof *r);
    add_times_position(s, r, form + n, n);
}

/* The form becomes the one through value and slope here; value is spoiled. */
static void set_form(const Sweep *s, Limb *form, Limb *value, const Limb *slope, uint32_t n)
{
    Limb *minus = s->t[5];
    memcpy(form + n, slope, n * sizeof *form);
    memcpy(form, value, n * sizeof *form);
    big_neg(minus, slope, n);
    add_times_position(s, form, minus, n);
}

/* Passes a change of a form on to the sums behind c: dc and ds, in `wide` limbs. */
static void pass_on_wide(Sweep *s, CellId c, const Limb *dc, const Limb *ds, uint32_t wide)
{
    bool shifted = !big_is_zero(dc, wide), sloped = !big_is_zero(ds, wide);
    for (uint64_t e = s->cells->first_edge[c]; e < s->cells->first_edge[c + 1]; e++) {
        const Edge *edge = &s->cells->edge[e];
        uint32_t limbs = cell(s, edge->to)->limbs;
        Limb *to = offset_of(s, edge->to);
        if (edge->wide) {
            const Limb *w = s->cells->pool.at + edge->as.at;
            if (shifted)
                big_add_product(to, dc, limbs, w, edge->wide);
            if (sloped)
                big_add_product(to + limbs, ds, limbs, w, edge->wide);
        } else {
            if (shifted)
                big_add_multiple(to, dc, limbs, edge->as.weight);
            if (sloped)
                big_add_multiple(to + limbs, ds, limbs, edge->as.weight);
        }
        s->work += limbs * (edge->wide ? edge->wide : 1);
        s->changed[edge->to] = true;
        mark(s, s->looked_at[edge->to]);
    }
    s->work += 8;
}

/* Likewise: a change of the value here and of the slope. Its offset need not fit n limbs. */
static void pass_on(Sweep *s, CellId c, const Limb *value, const Limb *slope, uint32_t n)
{
    uint32_t wide = cell(s, c)->wide;
    if (wide == 0)
        return;
    wide = wide < n ? n : wide;
    Limb *dc = s->t[3], *ds = s->t[4], *minus = s->t[5];
    big_extend(dc, wide, value, n);
    big_extend(ds, wide, slope, n);
    if (!big_is_zero(ds, wide)) {
        big_neg(minus, ds, wide);
        add_times_position(s, dc, minus, wide);
    }
    pass_on_wide(s, c, dc, ds, wide);
}

/* Position d + a / b, a >= 0, b > 0, into s->next; false when that is the end of the range or behind it. */
static bool reaches(Sweep *s, const Limb *a, const Limb *b, uint32_t n)
{
    Limb *scratch = s->t[5];
    if (!big_quotient(s->next, s->P, a, b, n, scratch))
        return false;
    Limb *room = s->t[4];
    big_sub(room, s->span, s->d, s->P);
    if (big_compare_unsigned(s->next, room, s->P) >= 0)
        return false;
    big_add(s->next, s->next, s->d, s->P);
    return true;
}

/* The form is true from d on up to d + a / b. */
static void ends_after(Sweep *s, CellId c, const Limb *a, const Limb *b, uint32_t n)
{
    if (reaches(s, a, b, n))
        heap_set(s, c);
    else
        heap_remove(s, c);
}

/* ---- one cell ---- */

static void mark_relus(Sweep *s, CellId c)
{
    for (uint32_t i = s->cells->first_relu[c]; i < s->cells->first_relu[c + 1]; i++)
        mark(s, s->cells->relu[i]);
}

static void look_at_root(Sweep *s, bool first)
{
    uint32_t n = cell(s, 0)->limbs;
    Limb *value = s->t[0], *slope = s->t[1];
    if (first) {                  /* lo stands in its form already */
        memcpy(value, offset_of(s, 0), n * sizeof *value);
        big_set(slope, n, s->last ? 0 : 1);
        memcpy(slope_of(s, 0), slope, n * sizeof *slope);
    } else {                      /* the last whole number stands for itself */
        big_set(value, n, 0);
        big_set(slope, n, -1);
        Limb *form = offset_of(s, 0), *here = s->t[2];
        value_here(s, here, form, n);
        memcpy(form, here, n * sizeof *form);
        big_set(form + n, n, 0);
    }
    s->changed[0] = true;
    pass_on(s, 0, value, slope, n);
    mark_relus(s, 0);
}

/* Whether -2^(bits-1) <= a < 2^(bits-1). */
static bool fits(const Limb *a, uint32_t n, uint32_t bits)
{
    if ((bits - 1) / 64 >= n)
        return true;
    Limb sign = big_is_negative(a, n) ? ~(Limb)0 : 0;
    for (uint32_t i = n; --i > (bits - 1) / 64;)
        if (a[i] != sign)
            return false;
    return (a[(bits - 1) / 64] ^ sign) >> (bits - 1) % 64 == 0;
}

/* Looks where the form leaves its type. */
static bool check_fit(Sweep *s, CellId c)
{
    uint32_t n = cell(s, c)->limbs, bits = cell(s, c)->fits;
    Limb *value = s->t[0], *next = s->t[1], *room = s->t[2], *speed = s->t[3];
    const Limb *slope = slope_of(s, c);
    value_here(s, value, offset_of(s, c), n);
    big_add(next, value, slope, n);
    if (!fits(value, n, bits) || !fits(next, n, bits)) {
        s->culprit = cell(s, c)->op;
        return false;
    }
    int direction = big_sign(slope, n);
    if (direction == 0 || s->last) {
        heap_remove(s, c);
        return true;
    }
    memset(room, 0, n * sizeof *room);
    room[(bits - 1) / 64] = (Limb)1 << (bits - 1) % 64;           /* 2^(bits-1), which n limbs have room for */
    if (direction > 0) {                                          /* largest − value */
        Limb *one = s->t[4];
        big_set(one, n, 1);
        big_sub(room, room, one, n);
        big_sub(room, room, value, n);
        memcpy(speed, slope, n * sizeof *speed);
    } else {
        big_add(room, room, value, n);
        big_neg(speed, slope, n);
    }
    ends_after(s, c, room, speed, n);
    return true;
}

static bool look_at_sum(Sweep *s, CellId c)
{
    if (cell(s, c)->fits && !check_fit(s, c))
        return false;
    if (!s->changed[c])
        return true;
    mark_relus(s, c);
    if (!has_edges(s, c))
        return true;
    uint32_t n = cell(s, c)->limbs;
    Limb *form = offset_of(s, c), *passed = form + 2 * n, *value = s->t[0], *old = s->t[1], *slope = s->t[2];
    value_here(s, value, form, n);
    value_here(s, old, passed, n);
    big_sub(value, value, old, n);
    big_sub(slope, form + n, passed + n, n);
    memcpy(passed, form, 2 * n * sizeof *form);
    if (!big_is_zero(value, n) || !big_is_zero(slope, n))
        pass_on(s, c, value, slope, n);
    return true;
}

/* Where the relu's form ends, by its input's values here and one further, and the slope. */
static void relu_end(Sweep *s, CellId c, const Limb *value, const Limb *next, const Limb *slope, uint32_t n)
{
    int here = big_sign(value, n), direction = big_sign(slope, n);
    Limb *distance = s->t[2], *speed = s->t[3];
    if (s->last || direction == 0 || here == 0 || here == direction) {      /* no way to zero */
        heap_remove(s, c);
        return;
    }
    if (big_sign(next, n) == direction) {
        big_set(distance, n, 1);
        big_set(speed, n, 1);
    } else if (here > 0) {
        memcpy(distance, value, n * sizeof *distance);
        big_neg(speed, slope, n);
    } else {
        big_neg(distance, value, n);
        memcpy(speed, slope, n * sizeof *speed);
    }
    ends_after(s, c, distance, speed, n);
}

static void look_at_relu(Sweep *s, CellId c)
{
    uint32_t n = cell(s, c)->limbs;
    const Limb *in = offset_of(s, cell(s, c)->input);
    Limb *form = offset_of(s, c), *value = s->t[0], *next = s->t[1], *old = s->t[2], *by = s->t[4];
    value_here(s, value, in, n);
    big_add(next, value, in + n, n);
    relu_end(s, c, value, next, in + n, n);
    if (big_is_negative(value, n))
        memset(value, 0, n * sizeof *value);
    if (big_is_negative(next, n))
        memset(next, 0, n * sizeof *next);
    big_sub(next, next, value, n);                                /* the slope */
    value_here(s, old, form, n);
    big_sub(by, value, old, n);
    big_sub(old, next, form + n, n);
    if (big_is_zero(by, n) && big_is_zero(old, n))
        return;
    set_form(s, form, value, next, n);
    memcpy(value, by, n * sizeof *value);
    s->changed[c] = true;
    pass_on(s, c, value, old, n);
    mark_relus(s, c);
}

/* ---- one stop ---- */

/* All that is marked, in order; what is marked on the way lies behind. */
static bool look_at_marked(Sweep *s, bool first)
{
    for (size_t w = 0; w < (s->n + 63) / 64; w++)
        while (s->dirty[w]) {
            CellId c = (CellId)(w * 64 + (uint32_t)__builtin_ctzll(s->dirty[w]));
            s->dirty[w] &= s->dirty[w] - 1;
            s->seen[s->n_seen++] = c;
            s->work += 8;
            if (cell(s, c)->kind == CELL_ROOT)
                look_at_root(s, first);
            else if (cell(s, c)->kind == CELL_RELU)
                look_at_relu(s, c);
            else if (!look_at_sum(s, c))
                return false;
        }
    return true;
}

/* One more piece, if a watched cell has another form. */
static void record(Sweep *s, Pieces *out, size_t *cap, bool first)
{
    bool any = first;
    for (uint32_t w = 0; w < out->n_watched; w++)
        any |= s->changed[out->watched[w]];
    if (!any)
        return;
    if (out->n == *cap) {
        size_t more = *cap ? 2 * *cap : 64;
        Limb *start = NEW_ARRAY(s->arena, more * s->P, Limb);
        if (out->n)
            memcpy(start, out->start, out->n * s->P * sizeof *start);
        out->start = start;
        for (uint32_t w = 0; w < out->n_watched; w++) {
            Limb *form = NEW_ARRAY(s->arena, more * 2 * out->limbs[w], Limb);
            if (out->n)
                memcpy(form, out->form[w], out->n * 2 * out->limbs[w] * sizeof *form);
            out->form[w] = form;
        }
        *cap = more;
    }
    memcpy(out->start + out->n * s->P, s->d, s->P * sizeof(Limb));
    for (uint32_t w = 0; w < out->n_watched; w++) {
        uint32_t n = out->limbs[w];
        Limb *to = out->form[w] + out->n * 2 * n;
        value_here(s, to, offset_of(s, out->watched[w]), n);
        memcpy(to + n, slope_of(s, out->watched[w]), n * sizeof *to);
    }
    out->n++;
}

/* To the next stop, behind the least end; false when there is none. */
static bool advance(Sweep *s)
{
    if (s->heap_len == 0 || s->last)
        return false;
    memcpy(s->d, end_of(s, s->heap[0]), s->P * sizeof *s->d);
    for (uint32_t i = 0; i < s->P && ++s->d[i] == 0; i++)
        ;
    while (s->heap_len > 0 && big_compare_unsigned(end_of(s, s->heap[0]), s->d, s->P) < 0) {
        mark(s, s->heap[0]);
        heap_remove(s, s->heap[0]);
    }
    s->last = big_compare_unsigned(s->d, s->span, s->P) == 0;
    if (s->last)
        mark(s, 0);
    return true;
}

/* ---- the whole ---- */

/* Sums that only a relu hears of are not looked at themselves. */
static void choose_looks(Sweep *s, uint32_t n_watched, const CellId *watched)
{
    s->looked_at = NEW_ARRAY(s->arena, s->n, CellId);
    for (CellId c = 0; c < s->n; c++) {
        const CellId *relu = s->cells->relu + s->cells->first_relu[c];
        bool one = s->cells->first_relu[c + 1] - s->cells->first_relu[c] == 1;
        bool simple = one && cell(s, c)->kind == CELL_SUM && !cell(s, c)->fits && !has_edges(s, c);
        s->looked_at[c] = simple ? *relu : c;
    }
    for (uint32_t w = 0; w < n_watched; w++)
        s->looked_at[watched[w]] = watched[w];
}

static void make_room(Sweep *s, const Limb *lo, const Limb *hi)
{
    const Cells *cells = s->cells;
    uint32_t most = 0, root = cell(s, 0)->limbs;
    uint64_t forms = 0;
    s->n = cells->cell.len;
    s->at = NEW_ARRAY(s->arena, s->n, uint64_t);
    for (CellId c = 0; c < s->n; c++) {
        uint32_t n = cell(s, c)->limbs;
        s->at[c] = forms;
        forms += (cell(s, c)->kind == CELL_SUM && has_edges(s, c) ? 4 : 2) * (uint64_t)n;
        most = n > most ? n : most;
    }
    s->form = NEW_ARRAY(s->arena, forms, Limb);
    s->dirty = NEW_ARRAY(s->arena, s->n / 64 + 1, uint64_t);
    s->changed = NEW_ARRAY(s->arena, s->n, bool);
    s->seen = NEW_ARRAY(s->arena, s->n, CellId);
    s->heap = NEW_ARRAY(s->arena, s->n, uint32_t);
    s->place = NEW_ARRAY(s->arena, s->n, uint32_t);
    memset(s->place, 0xff, s->n * sizeof *s->place);
    Limb *span = NEW_ARRAY(s->arena, root, Limb);
    big_sub(span, hi, lo, root);
    s->P = big_bits(span, root) / 64 + 1;         /* room for one more */
    s->span = span;
    most = most > s->P ? most : s->P;
    for (int i = 0; i < 6; i++)
        s->t[i] = NEW_ARRAY(s->arena, 2 * most + 8, Limb);
    if (s->P > root) {
        s->span = NEW_ARRAY(s->arena, s->P, Limb);
        memcpy(s->span, span, root * sizeof *span);
    }
    s->d = NEW_ARRAY(s->arena, s->P, Limb);
    s->next = NEW_ARRAY(s->arena, s->P, Limb);
    s->end = NEW_ARRAY(s->arena, s->n * s->P, Limb);
    memcpy(s->form, lo, root * sizeof *lo);
    for (CellId c = 1; c < s->n; c++)
        if (cell(s, c)->kind == CELL_SUM)
            memcpy(offset_of(s, c), cells->bias.at + cells->bias_at[c], cell(s, c)->limbs * sizeof(Limb));
    for (CellId c = 0; c < s->n; c++) {
        mark(s, c);
        s->changed[c] = true;
    }
    s->last = big_is_zero(s->span, s->P);
}

SweepEnd scalar_sweep(Arena *arena, const Cells *cells, SweepRange range, const SweepLimits *limits, Pieces *out, const Op **culprit)
{
    Sweep sweep = {.arena = arena, .cells = cells}, *s = &sweep;
    make_room(s, range.lo, range.hi);
    choose_looks(s, out->n_watched, out->watched);
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
    for (bool first = true; first || advance(s); first = false) {
        if (!look_at_marked(s, first)) {
            *culprit = s->culprit;
            return SWEEP_WRAPS;
        }
        record(s, out, &cap, first);
        for (uint32_t i = 0; i < s->n_seen; i++)
            s->changed[s->seen[i]] = false;
        s->n_seen = 0;
        s->work += s->n / 16;
        if (out->n > limits->pieces)
            return SWEEP_TOO_MANY;
        if (s->work > limits->work || out->n * per_piece > limits->bytes / sizeof(Limb))
            return SWEEP_TOO_LONG;
    }
    return SWEEP_DONE;
}
