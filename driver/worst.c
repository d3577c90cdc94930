/* worst.c — an input that costs much: how close to the proven bound can it be shown that a network comes?
 *
 * In: a compiled session whose network is a tree over its boxed inputs. Out: the most expensive input that was found. The one idea: what an
 * input costs is the depth of its leaf and the relus that are active there, so some points and corners of every leaf are tried, and from
 * the best ones single inputs are moved within their leaf as long as that activates more. The same inputs are tried each time.
 */
#include "driver.h"

#include <string.h>

enum { BEST = 16, CLIMBS = 200 };
static const uint64_t WORK = 100000000;           /* operations to be interpreted, about a second */

typedef struct Try { const ProofPart *leaf; uint64_t total; Counts counts; double *x; } Try;

typedef struct Search {
    Session *s;
    Evaluator interp;
    Tables in, out;
    void **from, **to;
    const Type *type;
    uint32_t n;
    uint64_t state, left;         /* operations that may still be interpreted */
    Try best[BEST];               /* the most expensive first */
} Search;

static uint64_t cost_of(Search *w, const double *x, Counts *counts)
{
    *counts = (Counts){0};
    sample_put(&w->in, 0, x);
    evaluator_run(&w->interp, (const void *const *)w->from, w->to, counts);
    uint64_t total = counts_total(*counts);
    w->left -= total + 100 < w->left ? total + 100 : w->left;
    return total;
}

/* Keeps the best, one for each leaf. */
static void keep(Search *w, const ProofPart *leaf, const double *x, uint64_t total, Counts counts)
{
    uint32_t at = 0;
    while (at < BEST - 1 && w->best[at].leaf != leaf)
        at++;
    if (w->best[at].leaf && total <= w->best[at].total)
        return;
    double *own = w->best[at].x;
    memcpy(own, x, w->n * sizeof *x);
    Try t = {leaf, total, counts, own};
    for (; at > 0 && (!w->best[at - 1].leaf || w->best[at - 1].total < total); at--)
        w->best[at] = w->best[at - 1];
    w->best[at] = t;
}

static void try_leaf(Search *w, const ProofPart *leaf, uint32_t points, double *x)
{
    Counts counts;
    for (uint32_t k = 0; k < points && w->left > 0; k++) {
        if (k % 2)
            sample_corner(w->n, leaf->lo, leaf->hi, &w->state, x);
        else
            sample_in_box(w->type, w->n, leaf->lo, leaf->hi, &w->state, x);
        uint64_t total = cost_of(w, x, &counts);
        keep(w, leaf, x, total, counts);
    }
}

/* One input at a time goes elsewhere in the leaf's interval, and stays there unless that costs less. */
static void climb(Search *w, Try start, double *x, double *other)
{
    Counts counts;
    uint64_t most = start.total;
    memcpy(x, start.x, w->n * sizeof *x);
    for (uint32_t k = 0; k < CLIMBS && w->left > 0; k++) {
        uint32_t i = k % w->n;
        double before = x[i];
        if (k / w->n % 3 == 2)
            sample_corner(w->n, start.leaf->lo, start.leaf->hi, &w->state, other);
        else
            sample_in_box(w->type, w->n, start.leaf->lo, start.leaf->hi, &w->state, other);
        x[i] = other[i];
        uint64_t total = cost_of(w, x, &counts);
        if (total < most) {
            x[i] = before;
            continue;
        }
        most = total;
        keep(w, start.leaf, x, total, counts);
    }
}

static bool prepare(Search *w, Session *s)
{
    *w = (Search){.s = s, .state = 1, .left = WORK};
    w->type = sample_types(s->arena, s->entry, &w->n);
    for (uint32_t i = 0; i < BEST; i++)
        w->best[i].x = NEW_ARRAY(s->arena, w->n + 1, double);
    w->in = new_tables(s->arena, s->entry->n_inputs, s->entry->input, 1);
    w->out = new_tables(s->arena, s->entry->n_outputs, s->entry->output, 1);
    w->from = NEW_ARRAY(s->arena, w->in.n + 1, void *);
    w->to = NEW_ARRAY(s->arena, w->out.n + 1, void *);
    rows_of(&w->in, 0, w->from);
    rows_of(&w->out, 0, w->to);
    return evaluator_new(s, s->entry, ENGINE_INTERP, &w->interp);
}

bool worst_found(Session *s, Worst *out)
{
    ProofTree tree;
    ProofParts leaves = {0};
    Search w;
    if (!proof_tree(s->arena, s->entry, &tree) || !prepare(&w, s))
        return false;
    double *lo = NEW_ARRAY(s->arena, w.n, double), *hi = NEW_ARRAY(s->arena, w.n, double);
    double *x = NEW_ARRAY(s->arena, w.n, double), *other = NEW_ARRAY(s->arena, w.n, double);
    if (!sample_box(s, lo, hi))
        return false;
    proof_parts(s->arena, &tree, lo, hi, 1, &leaves);
    uint64_t each = network_cost(s->entry).total_max + 100, most = WORK / 2 / (each * 4);
    size_t step = most ? leaves.len / most + 1 : leaves.len;
    for (size_t i = 0; i < leaves.len; i += step ? step : 1)
        try_leaf(&w, &leaves.at[i], 4, x);
    Try start[BEST];
    memcpy(start, w.best, sizeof start);
    for (uint32_t i = 0; i < BEST; i++) {
        if (!start[i].leaf)
            break;
        start[i].x = memcpy(NEW_ARRAY(s->arena, w.n, double), start[i].x, w.n * sizeof(double));
    }
    for (uint32_t i = 0; i < BEST && start[i].leaf; i++)
        climb(&w, start[i], x, other);
    *out = (Worst){w.best[0].counts, w.n, w.best[0].x};
    return w.best[0].leaf;
}
