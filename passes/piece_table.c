/* piece_table.c — pieces as the leaves of a search: merged, as constants, or as affine maps of floats.
 *
 * In: the pieces of scalar_sweep.c. Out: fewer of them, and what is stored of each. The one idea: comparisons of pieces are exact, so
 * two pieces become one if and only if they are the same map. Only the last step rounds, where a map of floats is stored, and it says by
 * how much:
 *
 *      a x + b with a and b of 24 (53) bits is off by (a − a*) x + (b − b*); of the pairs near (a*, b*) the one is taken whose error is
 *      least on the piece: b may make up in the middle of it for what the rounding of a spoils, and a choice of 33 slopes leaves
 *      an error that is some thirty times smaller than half a unit of b.
 */
#include "piece_table.h"

#include <math.h>
#include <string.h>

const Limb *piece_start(const Pieces *p, size_t i) { return p->start + i * p->position_limbs; }
const Limb *piece_value(const Pieces *p, uint32_t w, size_t i) { return p->form[w] + i * 2 * p->limbs[w]; }
const Limb *piece_slope(const Pieces *p, uint32_t w, size_t i) { return p->form[w] + (i * 2 + 1) * p->limbs[w]; }

bool pieces_are_constant(const Pieces *p, uint32_t w)
{
    for (size_t i = 0; i < p->n; i++)
        if (!big_is_zero(piece_slope(p, w, i), p->limbs[w]))
            return false;
    return true;
}

/* ---- lists of pieces ---- */

typedef struct Maker { Arena *arena; Pieces *out; size_t cap; Limb *t[2]; } Maker;

static Maker maker_new(Arena *arena, const Pieces *in, Pieces *out)
{
    Maker m = {.arena = arena, .out = out};
    uint32_t most = in->position_limbs + 1;
    *out = *in;
    out->n = 0;
    out->start = NULL;
    out->form = NEW_ARRAY(arena, in->n_watched, Limb *);
    for (uint32_t w = 0; w < in->n_watched; w++)
        most = in->limbs[w] > most ? in->limbs[w] : most;
    m.t[0] = NEW_ARRAY(arena, most, Limb);
    m.t[1] = NEW_ARRAY(arena, most, Limb);
    return m;
}

static void *grown(Maker *m, const void *old, size_t old_n, size_t n, size_t bytes)
{
    void *more = arena_array(m->arena, n, bytes);
    if (old_n)
        memcpy(more, old, old_n * bytes);
    return more;
}

/* One more piece, its forms still empty. */
static size_t add_piece(Maker *m, const Limb *start)
{
    Pieces *out = m->out;
    uint32_t P = out->position_limbs;
    if (out->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 64;
        out->start = grown(m, out->start, out->n, cap, P * sizeof(Limb));
        for (uint32_t w = 0; w < out->n_watched; w++)
            out->form[w] = grown(m, out->form[w], out->n, cap, 2 * (size_t)out->limbs[w] * sizeof(Limb));
        m->cap = cap;
    }
    memcpy(out->start + out->n * P, start, P * sizeof(Limb));
    return out->n++;
}

/* r = value + slope · distance. The top bit of a position is never set. */
static void follow(Limb *r, const Limb *value, const Limb *slope, uint32_t n, const Limb *distance, uint32_t P)
{
    memcpy(r, value, n * sizeof *r);
    big_add_product(r, slope, n, distance, P < n ? P : n);
}

static bool is_at(const Pieces *in, size_t i, const Limb *position)
{
    return big_compare_unsigned(piece_start(in, i), position, in->position_limbs) == 0;
}

/* Whether piece i of `in` is a single whole number. */
static bool is_one_point(Maker *m, const Pieces *in, size_t i)
{
    Limb *after = m->t[0];
    memcpy(after, piece_start(in, i), in->position_limbs * sizeof *after);
    if (i + 1 == in->n)
        return is_at(in, i, in->span);
    for (uint32_t k = 0; k < in->position_limbs && ++after[k] == 0; k++)
        ;
    return is_at(in, i + 1, after);
}

/* ---- constants ---- */

static bool is_flat(const Pieces *p, size_t i)
{
    for (uint32_t w = 0; w < p->n_watched; w++)
        if (!big_is_zero(piece_slope(p, w, i), p->limbs[w]))
            return false;
    return true;
}

/* The forms of the last piece are these values, with no slope; if the one before has them too, the last goes. */
static void set_or_join(Maker *m, const Pieces *in, size_t from, const Limb *distance)
{
    Pieces *out = m->out;
    size_t last = out->n - 1;
    bool same = last > 0;
    for (uint32_t w = 0; w < in->n_watched; w++) {
        uint32_t n = in->limbs[w];
        Limb *value = out->form[w] + last * 2 * n;
        follow(value, piece_value(in, w, from), piece_slope(in, w, from), n, distance, in->position_limbs);
        memset(value + n, 0, n * sizeof *value);
        same = same && memcmp(value, piece_value(out, w, last - 1), n * sizeof *value) == 0;
    }
    out->n -= same;
}

bool pieces_as_constants(Arena *arena, const Pieces *in, size_t most, Pieces *out)
{
    Maker m = maker_new(arena, in, out);
    uint32_t P = in->position_limbs;
    Limb *distance = NEW_ARRAY(arena, P, Limb), *at = NEW_ARRAY(arena, P, Limb), *stop = NEW_ARRAY(arena, P, Limb);
    for (size_t i = 0; i < in->n; i++) {
        memset(distance, 0, P * sizeof *distance);
        memcpy(at, piece_start(in, i), P * sizeof *at);
        bool last = i + 1 == in->n;
        memcpy(stop, last ? in->span : piece_start(in, i + 1), P * sizeof *stop);
        for (;;) {
            if (out->n >= most)
                return false;
            add_piece(&m, at);
            set_or_join(&m, in, i, distance);
            if (is_flat(in, i))
                break;
            if (last && big_compare_unsigned(at, stop, P) == 0)
                break;
            for (uint32_t k = 0; k < P && ++at[k] == 0; k++)
                ;
            for (uint32_t k = 0; k < P && ++distance[k] == 0; k++)
                ;
            if (!last && big_compare_unsigned(at, stop, P) == 0)
                break;
        }
    }
    return true;
}

/* ---- merging ---- */

/* Whether the line of the form (value, slope) at `from` passes through `value_at` at `to`. */
static bool passes(Maker *m, const Limb *value, const Limb *slope, uint32_t n, const Limb *from, const Limb *to, const Limb *value_at)
{
    Limb *distance = m->t[0], *there = m->t[1];
    big_sub(distance, to, from, m->out->position_limbs);
    follow(there, value, slope, n, distance, m->out->position_limbs);
    return memcmp(there, value_at, n * sizeof *there) == 0;
}

typedef struct Joining { bool last_is_point, next_is_point; } Joining;

static bool can_join(Maker *m, const Pieces *in, size_t i, Joining j)
{
    const Pieces *out = m->out;
    size_t last = out->n - 1;
    const Limb *from = piece_start(out, last), *to = piece_start(in, i);
    for (uint32_t w = 0; w < in->n_watched; w++) {
        uint32_t n = in->limbs[w];
        const Limb *line = j.last_is_point ? piece_slope(in, w, i) : piece_slope(out, w, last);
        if (!j.last_is_point && !j.next_is_point && memcmp(line, piece_slope(in, w, i), n * sizeof *line) != 0)
            return false;
        if (!passes(m, piece_value(out, w, last), line, n, from, to, piece_value(in, w, i)))
            return false;
    }
    return true;
}

void pieces_merge(Arena *arena, const Pieces *in, const bool *keep, Pieces *out, size_t **first)
{
    Maker m = maker_new(arena, in, out);
    *first = NEW_ARRAY(arena, in->n, size_t);
    bool point = false;
    for (size_t i = 0; i < in->n; i++) {
        if (keep && !keep[i])
            continue;
        Joining j = {point, is_one_point(&m, in, i)};
        bool join = out->n > 0 && can_join(&m, in, i, j);
        if (join && !j.last_is_point)
            continue;
        if (!join) {
            size_t made = add_piece(&m, piece_start(in, i));
            (*first)[made] = i;
            for (uint32_t w = 0; w < in->n_watched; w++)
                memcpy(out->form[w] + made * 2 * in->limbs[w], piece_value(in, w, i), 2 * in->limbs[w] * sizeof(Limb));
            point = j.next_is_point;
            continue;
        }
        for (uint32_t w = 0; w < in->n_watched; w++)      /* the point lies on the next one's line */
            memcpy(out->form[w] + ((out->n - 1) * 2 + 1) * in->limbs[w], piece_slope(in, w, i), in->limbs[w] * sizeof(Limb));
        point = false;
    }
}

/* ---- floats ---- */

/* hi + lo: a number to some 106 bits. */
typedef struct Twofold { double hi, lo; } Twofold;

static Twofold twofold(Arena *arena, const Limb *a, uint32_t n, int32_t exp)
{
    Twofold t = {.hi = big_to_double(a, n, exp)};
    if (t.hi == 0 || !isfinite(t.hi))
        return t;
    Limb *rest = NEW_ARRAY(arena, n + 1, Limb), *hi = NEW_ARRAY(arena, n + 1, Limb);
    big_from_double(hi, n + 1, t.hi, -exp);
    big_extend(rest, n + 1, a, n);
    big_sub(rest, rest, hi, n + 1);
    t.lo = big_to_double(rest, n + 1, exp);
    return t;
}

/* The line of watched cell w on piece p: slope and offset in terms of the real x. */
static void real_line(Arena *arena, const LeafQuestion *q, uint32_t w, size_t p, Twofold *a, Twofold *b)
{
    const Pieces *pieces = q->pieces;
    uint32_t n = pieces->limbs[w], P = pieces->position_limbs, all = n + P + q->lo_limbs + 1;
    const Cell *cell = &q->cells->cell.at[pieces->watched[w]];
    int32_t root = q->cells->cell.at[0].scale;
    Limb *start = NEW_ARRAY(arena, all, Limb), *x = NEW_ARRAY(arena, all, Limb), *offset = NEW_ARRAY(arena, all, Limb);
    memcpy(start, piece_start(pieces, p), P * sizeof *start);
    big_extend(x, all, q->lo, q->lo_limbs);
    big_add(x, x, start, all);
    big_neg(x, x, all);
    big_extend(offset, all, piece_value(pieces, w, p), n);
    big_add_product(offset, x, all, piece_slope(pieces, w, p), n);
    *a = twofold(arena, piece_slope(pieces, w, p), n, root - cell->scale);
    *b = twofold(arena, offset, all, -cell->scale);
}

/* What a leaf is off by at x, in real arithmetic. */
static double off_by(FloatLeaf l, Twofold a, Twofold b, double x)
{
    double da = (l.a - a.hi) - a.lo, db = (l.b - b.hi) - b.lo;
    return fabs(da * x + db) + 0x1p-50 * (fabs(da * x) + fabs(db)) + 0x1p-100 * (fabs(a.hi * x) + fabs(b.hi)) + 0x1p-1070;
}

static double stored(double d, bool f32) { return f32 ? (double)(float)d : d; }

static double next_stored(double d, double to, bool f32) { return f32 ? (double)nextafterf((float)d, (float)to) : nextafter(d, to); }

/* The best of some pairs: slopes around the true one, each with the offset that makes up for it in the middle. */
static FloatLeaf best_leaf(const LeafQuestion *q, Twofold a, Twofold b, double x0, double x1, double *error)
{
    enum { EACH_WAY = 16 };
    double middle = x0 / 2 + x1 / 2, slope = stored(a.hi, q->f32_slopes);
    FloatLeaf best = {slope, stored(b.hi, q->f32_offsets)};
    *error = fmax(off_by(best, a, b, x0), off_by(best, a, b, x1));
    for (int i = 0; i < EACH_WAY && slope != 0; i++)
        slope = next_stored(slope, -INFINITY, q->f32_slopes);
    for (int i = 0; i <= 2 * EACH_WAY; i++, slope = next_stored(slope, INFINITY, q->f32_slopes)) {
        double offset = b.hi + (b.lo + ((a.hi - slope) + a.lo) * middle);
        FloatLeaf l = {slope, stored(offset, q->f32_offsets)};
        double e = fmax(off_by(l, a, b, x0), off_by(l, a, b, x1));
        if (e < *error) {
            *error = e;
            best = l;
        }
        if (slope == 0)
            break;
    }
    return best;
}

static double outward(double d, double by) { return d + by * (0x1p-50 * fabs(d) + 0x1p-1000); }

void float_leaves(Arena *arena, const LeafQuestion *q, FloatLeaves *out)
{
    const Pieces *pieces = q->pieces;
    size_t n = pieces->n;
    uint32_t watched = pieces->n_watched;
    *out = (FloatLeaves){.n = n, .leaf = NEW_ARRAY(arena, n * watched, FloatLeaf), .error = NEW_ARRAY(arena, watched, double),
                         .least = NEW_ARRAY(arena, watched, double), .most = NEW_ARRAY(arena, watched, double),
                         .slope = NEW_ARRAY(arena, watched, double), .reach = NEW_ARRAY(arena, watched, double)};
    for (uint32_t w = 0; w < watched; w++) {
        out->least[w] = INFINITY;
        out->most[w] = -INFINITY;
        for (size_t p = 0; p < n; p++) {
            Arena *scratch = arena_new(arena);
            if (!scratch)
                arena_exhausted(arena);
            Twofold a, b;
            real_line(scratch, q, w, p, &a, &b);
            arena_free(scratch);
            double error, x = fmax(fabs(q->from[p]), fabs(q->to[p]));
            FloatLeaf l = out->leaf[w * n + p] = best_leaf(q, a, b, q->from[p], q->to[p], &error);
            out->error[w] = fmax(out->error[w], error);
            out->slope[w] = fmax(out->slope[w], outward(fabs(a.hi), 1));
            double reach = outward(fabs(l.a) * x + fabs(l.b), 1);
            out->reach[w] = fmax(out->reach[w], reach);
            double y0 = a.hi * q->from[p] + b.hi, y1 = a.hi * q->to[p] + b.hi, by = 0x1p-50 * reach;
            out->least[w] = fmin(out->least[w], outward(fmin(y0, y1) - by, -1));
            out->most[w] = fmax(out->most[w], outward(fmax(y0, y1) + by, 1));
        }
    }
}
