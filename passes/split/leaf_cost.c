/* leaf_cost.c — the cheapest way to evaluate what a part of the box leaves of a network.
 *
 *      layer l, on its part of the box: some rows off, on, unstable       basis: what sums are taken over, at first the free inputs
 *
 *          kept       %z = affine %basis, (unstable and on rows)                     new basis = the on rows and the relus of the others
 *          folded     %h = relu (affine %basis, (unstable rows))                   new basis = basis and %h; on rows are affine maps of it
 *
 * In: which relus are decided. Out: the set of kept layers, and what evaluation then costs. The one idea: an on row is linear, so it need
 * not be computed; whether that pays depends on how many sums read it, so every choice is counted. (A layer without on rows is kept: its
 * relus are all that the next layer reads.)
 *
 * Counted is a sum as a multiplication and an addition for each number that it reads, a relu as a comparison, as in ops.def. On average
 * half of the relus are active, and `skip` leaves the others out. Zeros among composed weights are not foreseen here.
 */
#include "split.h"

#include <string.h>

enum { MOST_LAYERS = 64, MOST_CHOICES = 10 };

typedef struct Rows { uint32_t unstable, on; } Rows;

/* What is left of each layer, and the layers for which both ways are open. */
typedef struct Left {
    uint32_t n_layers, n_free, n_choices, alive;
    Rows rows[MOST_LAYERS];
    uint32_t choice[MOST_LAYERS];
    uint64_t always;              /* kept in any case */
    bool constant;
    bool winner;
} Left;

static uint32_t free_inputs(const Chain *chain)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < chain->n_inputs; i++)
        n += chain->lo[i] < chain->hi[i];
    return n;
}

static Left what_is_left(const Chain *chain, const uint8_t *state, const uint8_t *alive)
{
    Left left = {.n_layers = chain->n_layers, .n_free = free_inputs(chain), .winner = chain->winner != WINNER_none};
    if (chain->n_layers > MOST_LAYERS)
        ICE("a chain of %u layers", chain->n_layers);
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        const uint8_t *at = state + chain->first[l];
        uint32_t count[3] = {0};
        for (uint32_t r = 0; r < chain->layer[l].rows; r++)
            count[at[r]]++;
        left.rows[l] = (Rows){count[STATE_UNSTABLE], count[STATE_ON]};
        left.constant |= count[STATE_UNSTABLE] + count[STATE_ON] == 0;
        if (l + 1 < chain->n_layers && count[STATE_ON] > 0)
            left.choice[left.n_choices++] = l;
        else
            left.always |= (uint64_t)1 << l;
    }
    for (uint32_t i = 0; i < chain->n_outputs; i++)
        left.alive += alive[i] != 0;
    return left;
}

/* Rows of sums over a basis of `most` numbers, `mean` of them not zero. */
static void add_rows(LeafCode *code, uint32_t rows, uint32_t compared, double mean, uint32_t most)
{
    code->mean += rows * 2 * mean + compared;
    code->worst += rows * 2 * most + compared;
    code->words += rows * (most + 1);
}

static LeafCode code_keeping(const Left *left, uint64_t kept)
{
    LeafCode code = {.kept = kept};
    double mean = left->n_free;
    uint32_t most = left->n_free;
    for (uint32_t l = 0; l + 1 < left->n_layers; l++) {
        Rows rows = left->rows[l];
        add_rows(&code, rows.unstable, rows.unstable, mean, most);
        if (kept >> l & 1) {
            add_rows(&code, rows.on, 0, mean, most);
            mean = 0.5 * rows.unstable + rows.on;
            most = rows.unstable + rows.on;
        } else {
            mean += 0.5 * rows.unstable;
            most += rows.unstable;
        }
    }
    Rows last = left->rows[left->n_layers - 1];
    if (left->winner) {
        add_rows(&code, left->alive - 1, left->alive - 1, mean, most);
        code.words += left->alive;
    } else {
        add_rows(&code, last.unstable + last.on, last.unstable, mean, most);
    }
    return code;
}

static uint64_t kept_of(const Left *left, uint64_t choices)
{
    uint64_t kept = left->always;
    for (uint32_t i = 0; i < left->n_choices; i++)
        kept |= (choices >> i & 1) << left->choice[i];
    return kept;
}

static LeafCode try_all(const Left *left)
{
    LeafCode best = code_keeping(left, left->always);
    for (uint64_t choices = 1; choices >> left->n_choices == 0; choices++) {
        LeafCode code = code_keeping(left, kept_of(left, choices));
        if (code.mean < best.mean)
            best = code;
    }
    return best;
}

/* One layer at a time, as long as that is better; from both ends, for a layer alone may gain nothing. */
static LeafCode improve(const Left *left, uint64_t choices)
{
    LeafCode best = code_keeping(left, kept_of(left, choices));
    for (bool better = true; better;) {
        better = false;
        for (uint32_t i = 0; i < left->n_choices; i++) {
            LeafCode code = code_keeping(left, kept_of(left, choices ^ (uint64_t)1 << i));
            if (code.mean >= best.mean)
                continue;
            best = code;
            choices ^= (uint64_t)1 << i;
            better = true;
        }
    }
    return best;
}

LeafCode leaf_code(const Chain *chain, const uint8_t *state, const uint8_t *alive)
{
    Left left = what_is_left(chain, state, alive);
    if (left.winner && (left.alive == 1 || left.constant))      /* the index itself is stored */
        return (LeafCode){.kept = left.always, .words = 1};
    if (left.constant)
        return (LeafCode){.kept = left.always, .words = chain->n_outputs};
    if (left.n_choices <= MOST_CHOICES)
        return try_all(&left);
    LeafCode folded = improve(&left, 0), kept = improve(&left, ((uint64_t)1 << left.n_choices) - 1);
    return kept.mean < folded.mean ? kept : folded;
}

/* ---- on one input ---- */

void chain_evaluate(const Chain *chain, const double *x, double *z, double *h)
{
    const double *in = x;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        const ChainLayer *layer = &chain->layer[l];
        double *out = z + chain->first[l];
        for (uint32_t r = 0; r < layer->rows; r++) {
            const double *w = layer->weight + (uint64_t)r * layer->cols;
            double sum = layer->bias[r];
            for (uint64_t k = layer->start[r]; k < layer->start[r + 1]; k++)
                sum += w[layer->column[k]] * in[layer->column[k]];
            out[r] = sum;
        }
        for (uint32_t r = 0; r < layer->rows; r++)
            h[r] = layer->relu && !(out[r] > 0) ? 0 : out[r];
        in = h;
    }
}

static uint32_t active_rows(const ChainLayer *layer, const uint8_t *state, const double *z)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < layer->rows; r++)
        n += state[r] == STATE_UNSTABLE && z[r] > 0;
    return n;
}

uint64_t leaf_ops(const Chain *chain, const uint8_t *state, const uint8_t *alive, LeafCode how, const double *z)
{
    Left left = what_is_left(chain, state, alive);
    uint64_t sum = 0, basis = left.n_free;
    if (left.constant || (left.winner && left.alive == 1))
        return 0;
    for (uint32_t l = 0; l + 1 < left.n_layers; l++) {
        Rows rows = left.rows[l];
        uint32_t active = active_rows(&chain->layer[l], state + chain->first[l], z + chain->first[l]);
        bool kept = how.kept >> l & 1;
        sum += rows.unstable * (2 * basis + 1) + (kept ? rows.on * 2 * basis : 0);
        basis = (kept ? rows.on : basis) + active;
    }
    Rows last = left.rows[left.n_layers - 1];
    if (left.winner)
        return sum + (left.alive - 1) * (2 * basis + 1);
    return sum + (last.unstable + last.on) * 2 * basis + last.unstable;
}

uint64_t skip_ops(const Chain *chain, const double *x, const double *z)
{
    uint64_t sum = chain->winner == WINNER_none ? 0 : chain->n_outputs - 1;
    const double *before = x;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        const ChainLayer *layer = &chain->layer[l];
        bool sparse = l > 0 && chain->layer[l - 1].relu;
        for (uint64_t k = 0; k < layer->nonzeros; k++)
            sum += !sparse || before[layer->column[k]] > 0 ? 2 : 0;
        sum += layer->relu ? layer->rows : 0;
        before = z + chain->first[l];
    }
    return sum;
}
