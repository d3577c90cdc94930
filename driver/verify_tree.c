/* verify_tree.c — the certificate of a network that was made a tree: is each leaf the network as written, on its box?
 *
 * In: the compiled network and the one as written. Out: how many leaves are proven (proof/), or a diagnostic with the box of a leaf that
 * is not and the worst input found in it.
 */
#include "driver.h"

#include <math.h>
#include <string.h>

/* Products of exact numbers that a proof may take: some twenty seconds. */
static const uint64_t PROOF_WORK = 200000000;

/* ---- the worst input in a leaf that could not be proven ---- */

static double element(Type t, const uint8_t *at)
{
    float f;
    double d;
    int32_t i;
    if (t.elem == ELEM_F32)
        return memcpy(&f, at, sizeof f), (double)f;
    if (t.elem == ELEM_F64)
        return memcpy(&d, at, sizeof d), d;
    return type_element_bytes(t) == 4 ? memcpy(&i, at, sizeof i), (double)i : NAN;
}

/* |compiled − written| of a row; of labels how far the compiled one's score lies below the greatest. */
static double apart(Session *s, const Engines *e, const Tables *in, const Tables *a, const Tables *b, size_t row)
{
    double most = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        Type t = a->table[i].row;
        uint32_t size = type_element_bytes(t);
        const uint8_t *x = table_row(&a->table[i], row), *y = table_row(&b->table[i], row);
        for (uint64_t k = 0; k < type_count(t); k++) {
            double p = element(t, x + k * size), q = element(t, y + k * size);
            if (p != q)
                most = fmax(most, type_is_float(t) ? fabs(p - q) : sample_gap(s, e->source, in, row, (int64_t)p));
        }
    }
    return most;
}

/* Tries points and corners of the leaf's box, and of the part of it where the proof failed; the worst goes to x. */
static double worst_in(Session *s, Engines *e, const Proof *proof, double *x)
{
    enum { TRIES = 4096 };
    uint32_t n;
    uint64_t state = s->options->seed;
    Type *type = sample_types(s->arena, s->entry, &n);
    Tables in = new_tables(s->arena, s->entry->n_inputs, s->entry->input, TRIES), out[2];
    for (size_t row = 0; row < TRIES; row++) {
        const double *lo = row % 2 ? proof->part_lo : proof->lo, *hi = row % 2 ? proof->part_hi : proof->hi;
        if (row % 8 < 6)
            sample_in_box(type, n, lo, hi, &state, x);
        else
            sample_corner(n, lo, hi, &state, x);
        sample_put(&in, row, x);
    }
    for (int i = 0; i < 2; i++)
        out[i] = new_tables(s->arena, s->entry->n_outputs, s->entry->output, TRIES);
    evaluate_rows(&e->native, &in, &out[0], NULL, NULL);
    evaluate_rows(&e->as_written, &in, &out[1], NULL, NULL);
    double most = -1;
    for (size_t row = 0; row < TRIES; row++) {
        double d = apart(s, e, &in, &out[0], &out[1], row);
        if (d > most) {
            most = d;
            sample_take(&in, row, x);
        }
    }
    return most;
}

static char *list(Arena *arena, const double *x, uint32_t n)
{
    Text t = text_new(arena);
    for (uint32_t i = 0; i < n; i++)
        text_add(&t, "%s%.9g", i ? ", " : "", x[i]);
    return t.at;
}

static char *box_text(Arena *arena, const Proof *p)
{
    Text t = text_new(arena);
    for (uint32_t i = 0; i < p->n_inputs; i++)
        text_add(&t, "%s%.9g:%.9g", i ? "," : "", p->lo[i], p->hi[i]);
    return t.at;
}

static void report_failure(Session *s, Engines *e, const Proof *p)
{
    double *x = NEW_ARRAY(s->arena, p->n_inputs + 1, double), found = worst_in(s, e, p, x), certified = s->entry->certified_error;
    if (p->reason)
        diag_error(s->diags, NOWHERE, "leaf %u:%u could not be read as a part of the source: %s", p->leaf.class_, p->leaf.slot, p->reason);
    else
        diag_error(s->diags, NOWHERE, "leaf %u:%u %s: it may differ by %.3g, certified is %.3g", p->leaf.class_, p->leaf.slot,
                   found > certified ? "is wrong" : "could not be proven", p->leaf_error, certified);
    diag_note(s->diags, NOWHERE, "in the box %s", box_text(s->arena, p));
    diag_note(s->diags, NOWHERE, "the worst input found there is %s: %.3g", list(s->arena, x, p->n_inputs), found);
}

/* ---- proving ---- */

static void tell(void *context, uint64_t done, uint64_t all)
{
    Progress *p = context;
    p->total = all;
    progress_at(p, done);
}

bool verify_tree(Session *s, Engines *e)
{
    Proof proof;
    Progress progress = progress_start("proving leaves", 0);
    proof_leaves(s->arena, e->source, s->entry, PROOF_WORK, tell, &progress, &proof);
    progress_end(&progress);
    if (proof.why) {
        printf("leaves: none proven: %s\n", proof.why);
        return true;
    }
    if (proof.failed) {
        report_failure(s, e, &proof);
        return false;
    }
    printf("%llu of %llu leaves proven in exact arithmetic%s: compiled = written, within %.3g\n", (unsigned long long)proof.proven,
           (unsigned long long)proof.leaves, proof.proven < proof.leaves ? " (a sample; the others only at their cuts)" : "", proof.error);
    return true;
}
