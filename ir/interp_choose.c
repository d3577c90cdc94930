/* interp_choose.c — what is evaluated next: sets, the best of a vector, trees; and what tally ops say.
 *
 * In: vectors, sets, keys. Out: indices and sets, and the comparisons that were made. A set of n is n bytes, 0 or 1.
 * The one idea: NaN never wins and never passes, except through `notle0` and `nonzero`, which ask the negated question,
 * as a ReLU does that lets NaN through.
 */
#include "interp.h"

#include <math.h>
#include <string.h>

uint32_t set_members(const Slot *set, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        out[n] = i;
        n += set->at[i];
    }
    return n;
}

static double float_at(const Slot *s, uint64_t i)
{
    return s->type.elem == ELEM_F32 ? (double)((const f32u *)s->at)[i] : ((const f64u *)s->at)[i];
}

/* ---- sets ---- */

static bool is_active(const Slot *x, uint64_t i, Activity activity)
{
    double v;
    if (type_is_float(x->type)) {
        v = float_at(x, i);
    } else {
        uint64_t zero[IR_MAX_INT_BITS / 64];
        memset(zero, 0, x->size < 8 ? 8 : x->size);
        v = int_compare(x->type.n, x->at + i * x->size, (const uint8_t *)zero);
    }
    switch (activity) {
    case ACTIVITY_notle0:  return !(v <= 0);
    case ACTIVITY_nonzero: return !(v == 0);
    case ACTIVITY_gt0:     return v > 0;
    }
    ICE("activity %d", (int)activity);
}

void step_active(Interp *in, const Step *step)
{
    const Slot *x = step->operand[0], *s = step->result[0];
    for (uint64_t i = 0; i < x->count; i++)
        s->at[i] = is_active(x, i, (Activity)step->op->attr[0].i);
    if (!step->decided)
        in->counted.cmp += x->count;
}

void step_extend(Interp *in, const Step *step)
{
    const Slot *s = step->operand[0], *r = step->result[0];
    uint64_t before = (uint64_t)step->op->attr[0].i;
    (void)in;
    memset(r->at, 1, r->count);
    memcpy(r->at + before, s->at, s->count);
}

void step_size(Interp *in, const Step *step)
{
    const Slot *s = step->operand[0];
    uint32_t n = 0;
    (void)in;
    for (uint64_t i = 0; i < s->count; i++)
        n += s->at[i];
    *(u32u *)step->result[0]->at = n;
}

void step_weigh(Interp *in, const Step *step)
{
    const Slot *s = step->operand[0], *v = step->operand[1], *sum = step->result[0];
    (void)in;
    memset(sum->at, 0, sum->size);
    for (uint64_t i = 0; i < s->count; i++)
        if (s->at[i])
            int_add(v->type.n, sum->at, sum->at, v->at + i * v->size);
}

void step_test(Interp *in, const Step *step)
{
    (void)in;
    *step->result[0]->at = step->operand[0]->at[slot_index(step->operand[1])];
}

/* ---- the best ---- */

/* Whether a[i] beats a[best], which comes before it: one comparison. Anything beats a NaN but a NaN. */
static bool beats(const Slot *a, uint64_t i, uint64_t best, bool least)
{
    if (type_is_float(a->type)) {
        double x = float_at(a, i), y = float_at(a, best);
        return isnan(y) ? !isnan(x) : least ? x < y : x > y;
    }
    int order = int_compare(a->type.n, a->at + i * a->size, a->at + best * a->size);
    return least ? order < 0 : order > 0;
}

void step_best(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0];
    uint32_t best = 0;
    for (uint32_t i = 1; i < a->count; i++) {
        if (beats(a, i, best, step->op->kind == OP_argmin))
            best = i;
        in->counted.cmp++;
    }
    *(u32u *)step->result[0]->at = best;
}

/* k rounds of argmax over what the earlier rounds left (NaNs last): round t compares n - 1 - t times. */
void step_topk(Interp *in, const Step *step)
{
    const Slot *g = step->operand[0], *indices = step->result[0], *values = step->result[1];
    u32u *chosen = (u32u *)indices->at;
    memset(in->cols, 0, g->count * sizeof *in->cols);          /* borrowed: which are taken */
    for (uint32_t t = 0; t < indices->count; t++) {
        uint32_t best = 0;
        while (in->cols[best])
            best++;
        for (uint32_t i = best + 1; i < g->count; i++)
            if (!in->cols[i]) {
                if (beats(g, i, best, false))
                    best = i;
                in->counted.cmp++;
            }
        in->cols[best] = 1;
        chosen[t] = best;
        memcpy(values->at + (uint64_t)t * g->size, g->at + (uint64_t)best * g->size, g->size);
    }
}

/* ---- trees ---- */

void step_descend(Interp *in, const Step *step)
{
    const Tree *tree = step->cst[0]->tree;
    const Slot *x = step->operand[0];
    uint32_t bits = tree->key.n, depth = 0;
    int32_t at = tree->n_nodes > 0 ? 0 : ~0;
    for (; at >= 0; depth++) {
        const TreeNode *node = &tree->node[at];
        int order = int_compare(bits, x->at + (uint64_t)node->coordinate * x->size, tree->threshold + (uint64_t)at * x->size);
        in->counted.cmp++;
        at = node->child[order > 0];
    }
    *(u32u *)step->result[0]->at = tree->leaf[~at].class_;
    *(u32u *)step->result[1]->at = tree->leaf[~at].slot;
    *(u32u *)step->result[2]->at = depth;
    in->event = depth;
}

/* ---- ascending keys ---- */

void step_search(Interp *in, const Step *step)
{
    const Slot *x = step->operand[0];
    uint64_t first = 0, leaves = step->result[0]->type.n;
    uint32_t depth = 0;
    for (; leaves > 1; depth++) {
        uint64_t left = search_left(leaves);
        int order = element_order(x->type, x->at, step->data[0] + (first + left - 1) * x->size);
        bool right = order == 0 || order == 1;
        in->counted.cmp++;
        first += right ? left : 0;
        leaves = right ? leaves - left : left;
    }
    *(u32u *)step->result[0]->at = (uint32_t)first;
    *(u32u *)step->result[1]->at = depth;
    in->event = depth;
}

/* The rows of keys that are not above x, in lexicographic order: a table is no network, so nothing is counted. */
void step_memorize(Interp *in, const Step *step)
{
    const Slot *x = step->operand[0], *y = step->result[0];
    uint64_t rows = step->cst[MEMORIZE_keys]->type.dim[0], row_bytes = x->count * x->size, label_bytes = y->count * y->size;
    uint64_t below = 0, above = rows;
    bool found = false;
    while (below < above) {
        uint64_t middle = below + (above - below) / 2;
        int order = 0;
        for (uint64_t k = 0; k < x->count && order == 0; k++)
            order = element_order(x->type, x->at + k * x->size, step->data[MEMORIZE_keys] + middle * row_bytes + k * x->size);
        found |= order == 0;
        if (order == 0 || order == 1)
            below = middle + 1;
        else
            above = middle;
    }
    const uint8_t *label = step->data[MEMORIZE_labels] + (below > 0 ? below - 1 : 0) * label_bytes;
    if (!found && step->op->attr[MEMORIZE_unseen].i == UNSEEN_value)
        label = step->data[MEMORIZE_default];
    if (!found && step->op->attr[MEMORIZE_unseen].i == UNSEEN_refuse)
        in->refused = true;
    memcpy(y->at, label, label_bytes);
}

/* ---- counting ---- */

void step_tally(Interp *in, const Step *step)
{
    const Slot *times = step->operand[0];
    uint64_t n = 1, wide = 0;
    if (times && times->type.elem == ELEM_IDX) {
        n = slot_index(times);
    } else if (times) {
        int_resize(64, (uint8_t *)&wide, times->type.n, times->at);
        n = wide;
    }
    const Attr *attr = step->op->attr;
    in->tallied.add += (uint64_t)attr[0].i * n;
    in->tallied.mul += (uint64_t)attr[1].i * n;
    in->tallied.cmp += (uint64_t)attr[2].i * n;
    in->tallied.other += (uint64_t)attr[3].i * n;
}
