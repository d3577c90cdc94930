/* classes.c — leaves of one shape share their ops, and differ in numbers only.
 *
 * In: leaves. Out: classes of them, a few dozen, whose shapes hold all of theirs. The one idea: a stage can be larger than a leaf needs
 * (rows of zeros, which cost a comparison each where a relu stands behind them), and a folded stage can be there for nothing; so two shapes
 * with as many kept stages have a least shape that holds both, stage by stage between kept ones. Starting from the shapes as they are, the
 * pair that costs least is merged until few enough are left: expected comparisons and stored numbers, each relative to all of them.
 */
#include "leaf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- shapes ---- */

typedef struct Shape { const Class *class_; uint32_t code; } Shape;

static bool is_last(const Class *c, uint32_t t) { return t + 1 >= c->n_stages; }

static Class shape_of(Arena *arena, const Leaf *leaf)
{
    Class c = {.n_stages = leaf->n_stages, .n_labels = leaf->n_labels, .stage = NEW_ARRAY(arena, leaf->n_stages, ShapeStage)};
    for (uint32_t t = 0; t < c.n_stages; t++)
        c.stage[t] = (ShapeStage){leaf->stage[t].plain, leaf->stage[t].relu, leaf->stage[t].kept};
    return c;
}

static int compare_numbers(uint32_t a, uint32_t b) { return (a > b) - (a < b); }

static int compare_shapes(const Class *a, const Class *b)
{
    int order = compare_numbers(a->n_stages, b->n_stages);
    order = order ? order : compare_numbers(a->n_labels, b->n_labels);
    for (uint32_t t = 0; !order && t < a->n_stages; t++) {
        order = compare_numbers(a->stage[t].kept, b->stage[t].kept);
        order = order ? order : compare_numbers(a->stage[t].plain, b->stage[t].plain);
        order = order ? order : compare_numbers(a->stage[t].relu, b->stage[t].relu);
    }
    return order;
}

static int by_shape(const void *x, const void *y)
{
    const Shape *a = x, *b = y;
    int order = compare_shapes(a->class_, b->class_);
    return order ? order : compare_numbers(a->code, b->code);
}

static uint32_t count_kept(const Class *c)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t + 1 < c->n_stages; t++)
        n += c->stage[t].kept;
    return n;
}

/* Constants stay among themselves, and so do outputs with a relu behind them. */
static bool can_merge(const Class *a, const Class *b)
{
    if (a->n_stages == 0 || b->n_stages == 0)
        return a->n_stages == b->n_stages && a->n_labels == b->n_labels;
    bool relu = a->stage[a->n_stages - 1].relu > 0, other = b->stage[b->n_stages - 1].relu > 0;
    return relu == other && count_kept(a) == count_kept(b);
}

static uint32_t greater(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* The least shape that holds both; out: room for the stages of both. */
static void merge_shapes(const Class *a, const Class *b, Class *out)
{
    uint32_t i = 0, j = 0;
    out->n_stages = 0;
    out->n_labels = greater(a->n_labels, b->n_labels);
    while (i < a->n_stages || j < b->n_stages) {
        bool a_ends = is_last(a, i) || a->stage[i].kept, b_ends = is_last(b, j) || b->stage[j].kept;
        ShapeStage *to = &out->stage[out->n_stages++], x = {0}, y = {0};
        if (!a_ends || b_ends)
            x = a->stage[i++];
        if (!b_ends || a_ends)
            y = b->stage[j++];
        *to = (ShapeStage){greater(x.plain, y.plain), greater(x.relu, y.relu), x.kept || y.kept};
    }
}

const Stage *class_stage(const Class *c, uint32_t t, const Leaf *leaf, uint32_t at)
{
    bool leaf_ends = at + 1 == leaf->n_stages || leaf->stage[at].kept, class_ends = is_last(c, t) || c->stage[t].kept;
    return leaf_ends == class_ends ? &leaf->stage[at] : NULL;
}

static double comparisons(const Class *c)
{
    double n = c->n_labels > 1 ? c->n_labels - 1 : 0;
    for (uint32_t t = 0; t < c->n_stages; t++)
        n += c->stage[t].relu;
    return n;
}

double class_words(const Class *c, uint32_t n_free)
{
    double n = c->n_labels;
    uint32_t basis = n_free;
    for (uint32_t t = 0; t < c->n_stages; t++) {
        uint32_t rows = c->stage[t].plain + c->stage[t].relu;
        n += (double)rows * (basis + 1);
        basis = c->stage[t].kept ? rows : basis + rows;
    }
    return n;
}

/* ---- merging ---- */

typedef struct Merger {
    Arena *arena;
    uint32_t n, n_free;
    Class *at;                    /* n_slots = 0: gone */
    Class trial;                  /* room for any merged shape */
    double *price;                /* by class: of its best partner, which is a later one */
    uint32_t *partner;
    double all_comparisons, all_words;
} Merger;

static double price_of(Merger *m, uint32_t i, uint32_t j)
{
    const Class *a = &m->at[i], *b = &m->at[j];
    if (!can_merge(a, b))
        return INFINITY;
    merge_shapes(a, b, &m->trial);
    double more = comparisons(&m->trial), size = class_words(&m->trial, m->n_free);
    double ops = a->share * (more - comparisons(a)) + b->share * (more - comparisons(b));
    double stored = a->n_slots * (size - class_words(a, m->n_free)) + b->n_slots * (size - class_words(b, m->n_free));
    return ops / m->all_comparisons + stored / m->all_words;
}

static void find_partner(Merger *m, uint32_t i)
{
    m->price[i] = INFINITY;
    for (uint32_t j = i + 1; j < m->n; j++) {
        double price = m->at[j].n_slots ? price_of(m, i, j) : INFINITY;
        if (price < m->price[i]) {
            m->price[i] = price;
            m->partner[i] = j;
        }
    }
}

static Class merged(Merger *m, const Class *a, const Class *b)
{
    merge_shapes(a, b, &m->trial);
    Class c = {.n_stages = m->trial.n_stages, .n_labels = m->trial.n_labels, .n_slots = a->n_slots + b->n_slots, .share = a->share + b->share};
    c.stage = NEW_ARRAY(m->arena, c.n_stages, ShapeStage);
    c.code = NEW_ARRAY(m->arena, c.n_slots, uint32_t);
    memcpy(c.stage, m->trial.stage, c.n_stages * sizeof *c.stage);
    memcpy(c.code, a->code, a->n_slots * sizeof *c.code);
    memcpy(c.code + a->n_slots, b->code, b->n_slots * sizeof *c.code);
    return c;
}

static void merge_pair(Merger *m, uint32_t i, uint32_t j)
{
    m->at[i] = merged(m, &m->at[i], &m->at[j]);
    m->at[j].n_slots = 0;
    for (uint32_t k = 0; k < m->n; k++) {
        if (m->at[k].n_slots == 0)
            continue;
        if (k == i || (k < j && (m->partner[k] == j || m->partner[k] == i))) {
            find_partner(m, k);
        } else if (k < i) {
            double price = price_of(m, k, i);
            if (price < m->price[k]) {
                m->price[k] = price;
                m->partner[k] = i;
            }
        }
    }
}

static void merge_until(Merger *m, uint32_t left, uint32_t most)
{
    for (uint32_t i = 0; left > most && i < m->n; i++)
        find_partner(m, i);
    for (; left > most; left--) {
        uint32_t best = m->n;
        for (uint32_t i = 0; i < m->n; i++)
            if (m->at[i].n_slots && m->price[i] < INFINITY && (best == m->n || m->price[i] < m->price[best]))
                best = i;
        if (best == m->n)
            return;
        merge_pair(m, best, m->partner[best]);
    }
}

/* ---- classes ---- */

/* 0, 1, 2, 3, 4, 6, 8, 12, …: coarser by the step. */
static uint32_t on_grid(uint32_t n, uint32_t coarse)
{
    uint32_t power = 1;
    while (power < n)
        power *= 2;
    return coarse == 1 && n <= power / 4 * 3 ? power / 4 * 3 : n ? power : 0;
}

static void coarsen(Class *c, uint32_t coarse)
{
    for (uint32_t t = 0; coarse && t + 1 < c->n_stages; t++) {
        c->stage[t].plain = on_grid(c->stage[t].plain, coarse);
        c->stage[t].relu = on_grid(c->stage[t].relu, coarse);
    }
}

/* Codes sorted by their shape; returns the number of shapes. */
static uint32_t sort_shapes(Arena *arena, uint32_t n, const Leaf *leaf, uint32_t coarse, Shape *shape)
{
    uint32_t different = 0;
    for (uint32_t i = 0; i < n; i++) {
        Class *c = NEW(arena, Class);
        *c = shape_of(arena, &leaf[i]);
        coarsen(c, coarse);
        shape[i] = (Shape){c, i};
    }
    qsort(shape, n, sizeof *shape, by_shape);
    for (uint32_t i = 0; i < n; i++)
        different += i == 0 || compare_shapes(shape[i - 1].class_, shape[i].class_) != 0;
    return different;
}

static void fill_classes(Arena *arena, uint32_t n, const Shape *shape, const Code *code, Class *out)
{
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && compare_shapes(shape[i].class_, shape[end].class_) == 0;)
            end++;
        *out = *shape[i].class_;
        out->n_slots = end - i;
        out->code = NEW_ARRAY(arena, out->n_slots, uint32_t);
        for (uint32_t k = i; k < end; k++) {
            out->code[k - i] = shape[k].code;
            out->share += code[shape[k].code].share;
        }
        out++;
    }
}

static int by_number(const void *x, const void *y)
{
    return compare_numbers(*(const uint32_t *)x, *(const uint32_t *)y);
}

static Classes finish_classes(Arena *arena, const Merger *m, uint32_t n_codes)
{
    Classes out = {.at = NEW_ARRAY(arena, m->n, Class), .class_of = NEW_ARRAY(arena, n_codes, uint32_t),
                   .slot_of = NEW_ARRAY(arena, n_codes, uint32_t)};
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->at[i].n_slots == 0)
            continue;
        Class *c = &out.at[out.n];
        *c = m->at[i];
        qsort(c->code, c->n_slots, sizeof *c->code, by_number);
        for (uint32_t s = 0; s < c->n_slots; s++) {
            out.class_of[c->code[s]] = out.n;
            out.slot_of[c->code[s]] = s;
        }
        out.n++;
    }
    return out;
}

Classes classes_of(Arena *arena, uint32_t n_codes, const Leaf *leaf, const Code *code, uint32_t n_free, uint32_t most)
{
    enum { MANY = 2000 };         /* shapes whose pairs are all looked at */
    Shape *shape = NEW_ARRAY(arena, n_codes, Shape);
    uint32_t coarse = 0, n = sort_shapes(arena, n_codes, leaf, coarse, shape), stages = 0;
    while (n > MANY && coarse < 2)
        n = sort_shapes(arena, n_codes, leaf, ++coarse, shape);
    Merger m = {.arena = arena, .n = n, .n_free = n_free, .at = NEW_ARRAY(arena, n, Class), .price = NEW_ARRAY(arena, n, double),
                .partner = NEW_ARRAY(arena, n, uint32_t), .all_comparisons = 1e-9, .all_words = 1e-9};
    fill_classes(arena, n_codes, shape, code, m.at);
    for (uint32_t i = 0; i < n; i++) {
        m.all_comparisons += m.at[i].share * comparisons(&m.at[i]);
        m.all_words += m.at[i].n_slots * class_words(&m.at[i], n_free);
        stages += m.at[i].n_stages;
    }
    m.trial.stage = NEW_ARRAY(arena, stages, ShapeStage);
    merge_until(&m, n, most);
    return finish_classes(arena, &m, n_codes);
}
