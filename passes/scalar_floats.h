/* scalar_floats.h — private to the pass piecewise: what the files of the sweep over floats hand to each other.
 *
 *      scalar_stops.c     the least float at which a relu may change: a heap
 *      scalar_lines.c     cells as doubles with bounds on their errors
 *      scalar_forms.c     cells as whole numbers, for what those leave open
 *      scalar_floats.c    the sweep
 *
 * All is on the sweep's arena, but for cells and range, which are the caller's.
 */
#ifndef CNET_PASSES_SCALAR_FLOATS_H
#define CNET_PASSES_SCALAR_FLOATS_H

#include "scalar_sweep.h"

enum { NOT_IN_HEAP = UINT32_MAX };

/* |value − the cell's at x = at| <= value_off, |slope − the cell's| <= slope_off; both off 0: exact. */
typedef struct Line { double at, value, slope, value_off, slope_off; } Line;
typedef struct Near { double d, off; } Near;

/* Of a sum: its line is old (of a relu: its input's is another); its form is; anything is since it was recorded. */
enum { STALE = 1, INEXACT = 2, CHANGED = 4 };

/* The sweep: all cells, from the least float of the range to the greatest. */
typedef struct FloatSweep {
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
} FloatSweep;

static inline const Cell *cell(const FloatSweep *s, CellId c) { return &s->cells->cell.at[c]; }
static inline bool is_on(const FloatSweep *s, CellId c) { return s->on[c / 64] >> c % 64 & 1; }

static inline void mark(FloatSweep *s, CellId c)
{
    s->dirty[c / 64] |= (uint64_t)1 << c % 64;
    s->dirty_words[c / 4096] |= (uint64_t)1 << c / 64 % 64;
}

/* ---- scalar_stops.c ---- */

/* Relu c has to be looked at at x; behind the end of the range: never. */
void stops_set(FloatSweep *s, CellId c, double x);
/* The least stop, of the relu that is first in the heap; false when there is none. */
bool stops_next(FloatSweep *s, double *x);
void stops_drop_first(FloatSweep *s);
/* A float behind s->x and not behind the one at or after x + wait. */
double stops_after(const FloatSweep *s, double wait);
void floats_go_to(FloatSweep *s, double x);

/* ---- scalar_lines.c ---- */

Near line_at(const Line *l, double x);
/* Of a sum, from the lines of its terms; settle: if it is old. Returns whether it was. */
void line_make(FloatSweep *s, CellId c);
bool line_settle(FloatSweep *s, CellId c);
/* The sums behind c hear that its line is another. */
void line_tell(FloatSweep *s, CellId c);
/* The first term from i on, of those of sum c that end at `end`, that is not of a relu that is off. */
uint64_t line_next_term(const FloatSweep *s, CellId c, uint64_t i, uint64_t end);

/* ---- scalar_forms.c ---- */

/* The form of c: value at x = lo, then slope, as many limbs each as the sum has whose form it is; NULL: zero. */
const Limb *form_now(FloatSweep *s, CellId c);
/* s->d = x − lo */
void form_settle_d(FloatSweep *s);
/* r = value + slope d, n limbs. */
void form_value_here(FloatSweep *s, Limb *r, const Limb *form, uint32_t n);

#endif
