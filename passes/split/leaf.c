/* leaf.c — the code of a leaf as matrices, and how far they can be off.
 *
 * In: which neurons are off, on, unstable where the code runs, and which layers are kept (leaf_cost). Out: stages of sums over a basis,
 * in numbers of the network's type, with proven errors. The one idea: every neuron that is not off is an affine expression of the basis,
 *
 *      expression(row) = bias + Σ weight · expression(column)         over the columns that are not off
 *
 * and a basis element is its own expression. An unstable row is emitted, and what its relu gives is a new element. Rows that are on are
 * emitted where their layer is kept, else only their expressions go on. The same is done once more with no layer kept but those that
 * need be (full elimination); whichever takes fewer operations after zeros and dead rows are gone is the leaf.
 *
 * Errors. Beside each coefficient c stands C, the same sum of absolute values: c is off by at most γ(m) C, m the roundings on the longest
 * way (Higham, Accuracy and Stability of Numerical Algorithms, 3.5), γ(m) = mu / (1 − mu), u = 2^-53. A coefficient below that is noise; with X the greatest
 * value of its element, one whose c X does not reach an eighth of the rounding unit of the row is too small to matter: both are stored
 * as 0. What is stored is s, and what it costs a row is its drift, Σ (|c − s| + γ(m) C) X. Then, v' being what is computed (error_bound.c),
 *
 *      |z' − z| <= Σ |s| |v' − v| + drift + γ(n + 6) (|b| + Σ |s| (X + |v' − v|)) + 2 (n + 1) η
 *
 * with the unit roundoff of the network's type and n terms that are not zero; products with 0, and their additions, do not round. All
 * of this sums in doubles: sums of terms that are not negative are multiplied by 1 + 2^-30. What the source's own evaluation may be
 * off by is found in source_error.c; there it is told how errors go through relus, and why |v' − v| is kept as a sum of symbols, so that
 * Σ |s| |v' − v| is one of those that can cancel.
 */
#include "leaf.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* An affine map of the basis, without its leading dimension: elements from n on have coefficient 0. */
typedef struct Expr {
    int64_t element;              /* >= 0: it is just this basis element */
    uint32_t n;
    double *weight, *absolute;
    double bias, bias_absolute;
} Expr;

/* A stage whose dead rows are still there. Values have ids: the free inputs, then every row that is emitted. */
typedef struct Draft {
    uint32_t plain, relu, cols;
    bool kept;
    const uint32_t *in;           /* [cols] */
    uint32_t out;                 /* the first row's id; others follow */
    double *weight, *bias, *drift;
} Draft;

/* computed − real: a sum of n symbols in [−1, 1], each that of the value whose id it is, and its own. */
typedef struct Symbols { uint32_t n; double *part, own; } Symbols;
enum { MOST_SYMBOLS = 1 << 20 };  /* of all rows together: beyond, each value has its own only */

typedef struct Form {
    uint32_t n_stages, n_ids;
    Draft *stage;
    double *X, *error;            /* by id: the greatest |real value|; |computed − real| */
    double *z_lo, *z_hi;          /* likewise, of what goes into its relu */
    Symbols *symbols;
    bool *live;
    double mean;
} Form;

typedef struct Composer {
    Arena *arena, *scratch;
    const Chain *chain;
    const Code *code;
    double unit, eta, largest;    /* of the network's type */
    double tiny;                  /* more than what underflow can do to a coefficient */
    double *lo, *hi;              /* by neuron: its real pre-activation where the code runs */
    uint32_t n_free, n_alive, *alive;
    bool finite;
    /* of the form at work */
    Form *form;
    uint32_t n_basis, *basis;     /* ids */
    double *value_lo, *value_hi;  /* by id */
    Expr row;                     /* the sum at work */
    double gamma;                 /* of its coefficients */
} Composer;

static double above(double sum) { return sum * (1 + 0x1p-30) + 0x1p-1000; }

static double gamma_of(double roundings, double unit)
{
    double mu = roundings * unit;
    return mu < 0.5 ? above(mu / (1 - mu)) : INFINITY;
}

static double rounded(const Composer *c, double x) { return c->chain->element.elem == ELEM_F32 ? (double)(float)x : x; }

bool input_is_free(const Chain *chain, uint32_t input)
{
    if (chain->lo[input] < chain->hi[input])
        return true;
    for (uint32_t i = 0; i < chain->n_inputs; i++)
        if (chain->lo[i] < chain->hi[i])
            return false;
    return input == 0;
}

uint32_t n_free_inputs(const Chain *chain)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < chain->n_inputs; i++)
        n += chain->lo[i] < chain->hi[i];
    return n ? n : 1;
}

/* ---- expressions ---- */

static void row_clear(Composer *c, double bias)
{
    c->row.n = c->n_basis;
    memset(c->row.weight, 0, c->n_basis * sizeof *c->row.weight);
    memset(c->row.absolute, 0, c->n_basis * sizeof *c->row.absolute);
    c->row.bias = bias;
    c->row.bias_absolute = fabs(bias);
}

static void row_add(Composer *c, double w, const Expr *e)
{
    Expr *row = &c->row;
    double magnitude = fabs(w);
    if (e->element >= 0) {
        row->weight[e->element] += w;
        row->absolute[e->element] += magnitude;
        return;
    }
    for (uint32_t k = 0; k < e->n; k++) {
        row->weight[k] += w * e->weight[k];
        row->absolute[k] += magnitude * e->absolute[k];
    }
    row->bias += w * e->bias;
    row->bias_absolute += magnitude * e->bias_absolute;
}

/* Row r of a layer over the expressions of the one before; NULL: the column is off. */
static void sum_row(Composer *c, const ChainLayer *layer, uint32_t r, const Expr *const *before)
{
    const double *w = layer->weight + (uint64_t)r * layer->cols;
    row_clear(c, layer->bias[r]);
    for (uint64_t k = layer->start[r]; k < layer->start[r + 1]; k++)
        if (before[layer->column[k]])
            row_add(c, w[layer->column[k]], before[layer->column[k]]);
}

static void sum_difference(Composer *c, const ChainLayer *layer, uint32_t r, uint32_t from, const Expr *const *before)
{
    const double *w = layer->weight + (uint64_t)r * layer->cols, *v = layer->weight + (uint64_t)from * layer->cols;
    row_clear(c, layer->bias[r] - layer->bias[from]);
    for (uint32_t k = 0; k < layer->cols; k++)
        if (before[k] && w[k] != v[k])
            row_add(c, w[k] - v[k], before[k]);
}

static const Expr *expr_of_row(const Composer *c)
{
    Expr *e = NEW(c->scratch, Expr);
    *e = c->row;
    e->element = -1;
    e->weight = NEW_ARRAY(c->scratch, e->n, double);
    e->absolute = NEW_ARRAY(c->scratch, e->n, double);
    memcpy(e->weight, c->row.weight, e->n * sizeof *e->weight);
    memcpy(e->absolute, c->row.absolute, e->n * sizeof *e->absolute);
    return e;
}

static const Expr *expr_of_element(const Composer *c, uint32_t element)
{
    Expr *e = NEW(c->scratch, Expr);
    e->element = element;
    return e;
}

/* The row's real range, added to what is known of the neuron. */
static void row_range(Composer *c, double *lo, double *hi)
{
    const Expr *row = &c->row;
    double low = row->bias, high = row->bias, sum = row->bias_absolute, reach = 1;
    for (uint32_t k = 0; k < row->n; k++) {
        uint32_t id = c->basis[k];
        double w = row->weight[k];
        low += w * (w > 0 ? c->value_lo[id] : c->value_hi[id]);
        high += w * (w > 0 ? c->value_hi[id] : c->value_lo[id]);
        sum += row->absolute[k] * c->form->X[id];
        reach += c->form->X[id];
    }
    double by = above((c->gamma + (row->n + 8) * 0x1p-53) * above(sum) + c->tiny * reach);
    c->finite &= isfinite(by);
    *lo = fmax(*lo, low - by);
    *hi = fmin(*hi, high + by);
}

/* ---- stages ---- */

/* The row as it is stored, and its drift. */
static void store_row(Composer *c, Draft *d, uint32_t r)
{
    const Expr *row = &c->row;
    double scale = fabs(row->bias), drift = 0, *w = d->weight + (uint64_t)r * d->cols;
    for (uint32_t k = 0; k < row->n; k++)
        scale += fabs(row->weight[k]) * c->form->X[c->basis[k]];
    for (uint32_t k = 0; k < row->n; k++) {
        double X = c->form->X[c->basis[k]], weight = row->weight[k], noise = c->gamma * row->absolute[k];
        bool matters = fabs(weight) > 4 * noise && fabs(weight) * X > c->unit / 8 * scale;
        w[k] = matters ? rounded(c, weight) : 0;
        drift += (fabs(weight - w[k]) + noise + c->tiny) * X;
        c->finite &= fabs(w[k]) < c->largest / 2;
    }
    d->bias[r] = rounded(c, row->bias);
    d->drift[r] = above(drift + fabs(row->bias - d->bias[r]) + c->gamma * row->bias_absolute + c->tiny);
    c->finite &= fabs(d->bias[r]) < c->largest / 2;
}

static Draft *stage_new(Composer *c, uint32_t plain, uint32_t relu, bool kept)
{
    Draft *d = &c->form->stage[c->form->n_stages++];
    uint32_t rows = plain + relu, *in = NEW_ARRAY(c->scratch, c->n_basis, uint32_t);
    memcpy(in, c->basis, c->n_basis * sizeof *in);
    *d = (Draft){.plain = plain, .relu = relu, .cols = c->n_basis, .kept = kept, .in = in, .out = c->form->n_ids};
    d->weight = NEW_ARRAY(c->scratch, (uint64_t)rows * d->cols, double);
    d->bias = NEW_ARRAY(c->scratch, rows, double);
    d->drift = NEW_ARRAY(c->scratch, rows, double);
    c->form->n_ids += rows;
    return d;
}

static void set_value(Composer *c, uint32_t id, double lo, double hi)
{
    c->value_lo[id] = lo;
    c->value_hi[id] = hi;
    c->form->X[id] = fmax(fabs(lo), fabs(hi));
}

/* A row that is neither off nor emitted yet: its range, and what later layers know of it. */
static void visit_row(Composer *c, uint32_t l, uint32_t r, const Expr *const *before)
{
    uint32_t neuron = c->chain->first[l] + r;
    sum_row(c, &c->chain->layer[l], r, before);
    row_range(c, &c->lo[neuron], &c->hi[neuron]);
}

static uint32_t count_rows(const Composer *c, uint32_t l, State state)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < c->chain->layer[l].rows; r++)
        n += c->code->state[c->chain->first[l] + r] == state;
    return n;
}

/* Roundings on the way to a coefficient of layer l. */
static double roundings_of(const Composer *c, uint32_t l, const Expr *const *before, double so_far)
{
    const ChainLayer *layer = &c->chain->layer[l];
    uint64_t most = 0;
    bool sums = false;
    for (uint32_t r = 0; r < layer->rows; r++)
        most = layer->start[r + 1] - layer->start[r] > most ? layer->start[r + 1] - layer->start[r] : most;
    for (uint32_t k = 0; k < layer->cols; k++)
        sums |= before[k] && before[k]->element < 0;
    return (sums ? so_far : 0) + (double)(2 * most + 4);
}

/* Rows of layer l in the given state, as rows of `d` from `at` on (d NULL: not emitted); expr: what they are to the next layer. */
static void emit_rows(Composer *c, uint32_t l, State state, const Expr *const *before, Draft *d, uint32_t at, const Expr **expr)
{
    for (uint32_t r = 0; r < c->chain->layer[l].rows; r++) {
        uint32_t neuron = c->chain->first[l] + r;
        if (c->code->state[neuron] != state)
            continue;
        visit_row(c, l, r, before);
        if (!d) {
            expr[r] = expr_of_row(c);
            continue;
        }
        store_row(c, d, at);
        bool relu = c->chain->layer[l].relu;      /* what it gives is not negative, where the row is on as well */
        set_value(c, d->out + at, relu ? fmax(c->lo[neuron], 0) : c->lo[neuron], relu ? fmax(c->hi[neuron], 0) : c->hi[neuron]);
        c->form->z_lo[d->out + at] = c->lo[neuron];
        c->form->z_hi[d->out + at] = c->hi[neuron];
        expr[r] = expr_of_element(c, (d->kept ? 0 : c->n_basis) + at);
        at++;
    }
}

/* The elements that a stage has made. */
static void extend_basis(Composer *c, const Draft *d)
{
    c->n_basis = d->kept ? 0 : c->n_basis;
    for (uint32_t r = 0; r < d->plain + d->relu; r++)
        c->basis[c->n_basis++] = d->out + r;
}

static const Expr **hidden_layer(Composer *c, uint32_t l, bool kept, const Expr *const *before)
{
    uint32_t unstable = count_rows(c, l, STATE_UNSTABLE), on = count_rows(c, l, STATE_ON);
    const Expr **expr = (const Expr **)arena_array(c->scratch, c->chain->layer[l].rows, sizeof *expr);
    kept |= on == 0;
    Draft *d = unstable || kept ? stage_new(c, kept ? on : 0, unstable, kept) : NULL;
    emit_rows(c, l, STATE_ON, before, kept ? d : NULL, 0, expr);
    emit_rows(c, l, STATE_UNSTABLE, before, d, kept ? on : 0, expr);
    if (d)
        extend_basis(c, d);
    return expr;
}

/* The outputs that may win, as differences to the first; or all of them, with a relu behind all if some are unstable. */
static void last_layer(Composer *c, const Expr *const *before)
{
    uint32_t l = c->chain->n_layers - 1, rows = c->chain->layer[l].rows;
    const ChainLayer *layer = &c->chain->layer[l];
    if (c->chain->winner != WINNER_none) {
        Draft *d = stage_new(c, c->n_alive - 1, 0, true);
        for (uint32_t i = 1; i < c->n_alive; i++) {
            sum_difference(c, layer, c->alive[i], c->alive[0], before);
            store_row(c, d, i - 1);
        }
        return;
    }
    bool relu = layer->relu && count_rows(c, l, STATE_UNSTABLE) > 0;
    Draft *d = stage_new(c, relu ? 0 : rows, relu ? rows : 0, true);
    for (uint32_t r = 0; r < rows; r++)
        if (c->code->state[c->chain->first[l] + r] != STATE_OFF) {
            visit_row(c, l, r, before);
            store_row(c, d, r);
        }
}

static const Expr **inputs(Composer *c)
{
    const Chain *chain = c->chain;
    const Expr **expr = (const Expr **)arena_array(c->scratch, chain->n_inputs, sizeof *expr);
    for (uint32_t i = 0; i < chain->n_inputs; i++) {
        if (input_is_free(chain, i)) {
            uint32_t id = c->form->n_ids++;
            set_value(c, id, c->code->lo[i], c->code->hi[i]);
            expr[i] = expr_of_element(c, c->n_basis);
            c->basis[c->n_basis++] = id;
            continue;
        }
        Expr *e = NEW(c->scratch, Expr);
        *e = (Expr){.element = -1, .bias = chain->lo[i], .bias_absolute = fabs(chain->lo[i])};
        expr[i] = e;
    }
    return expr;
}

static void compose(Composer *c, uint64_t kept, Form *form)
{
    const Chain *chain = c->chain;
    uint32_t most = c->n_free + chain->n_neurons;
    *form = (Form){.stage = NEW_ARRAY(c->scratch, chain->n_layers, Draft), .X = NEW_ARRAY(c->scratch, most, double),
                   .error = NEW_ARRAY(c->scratch, most, double), .z_lo = NEW_ARRAY(c->scratch, most, double),
                   .z_hi = NEW_ARRAY(c->scratch, most, double), .live = NEW_ARRAY(c->scratch, most, bool)};
    c->form = form;
    c->n_basis = 0;
    const Expr **expr = inputs(c);
    double roundings = 0;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        roundings = roundings_of(c, l, expr, roundings);
        c->gamma = gamma_of(roundings, 0x1p-53);
        if (l + 1 < chain->n_layers)
            expr = hidden_layer(c, l, kept >> l & 1, expr);
        else
            last_layer(c, expr);
    }
}

/* ---- dead rows, operations ---- */

static void mark_live(Form *form, uint32_t n_free)
{
    for (uint32_t i = 0; i < n_free; i++)
        form->live[i] = true;
    for (uint32_t s = form->n_stages; s-- > 0;) {
        const Draft *d = &form->stage[s];
        for (uint32_t r = 0; r < d->plain + d->relu; r++) {
            bool last = s + 1 == form->n_stages;
            form->live[d->out + r] |= last;
            for (uint32_t k = 0; form->live[d->out + r] && k < d->cols; k++)
                form->live[d->in[k]] |= d->weight[(uint64_t)r * d->cols + k] != 0;
        }
    }
}

/* Half of the relus are active on average; then those that are not cost nothing. relu: by id, whether it is one. */
static double mean_ops(const Form *form, const bool *relu)
{
    double sum = 0;
    for (uint32_t s = 0; s < form->n_stages; s++) {
        const Draft *d = &form->stage[s];
        for (uint32_t r = 0; r < d->plain + d->relu; r++) {
            if (!form->live[d->out + r])
                continue;
            sum += r >= d->plain;
            for (uint32_t k = 0; k < d->cols; k++)
                if (d->weight[(uint64_t)r * d->cols + k] != 0)
                    sum += relu[d->in[k]] ? 1 : 2;
        }
    }
    return sum;
}

static void finish_form(Composer *c, Form *form)
{
    bool *relu = NEW_ARRAY(c->scratch, form->n_ids, bool);
    mark_live(form, c->n_free);
    for (uint32_t s = 0; s < form->n_stages; s++)
        for (uint32_t r = 0; r < form->stage[s].relu; r++)
            relu[form->stage[s].out + form->stage[s].plain + r] = true;
    form->mean = mean_ops(form, relu);
    if (c->chain->winner != WINNER_none)
        form->mean += c->n_alive - 1;
}

/* ---- errors ---- */

/* Of a sum in the network's type: `absolute` the sum of the terms' magnitudes, n of them. */
static double sum_error(Composer *c, double absolute, double err, uint64_t n)
{
    absolute = above(absolute);
    c->finite &= absolute < c->largest / 2;
    double rounding = n ? gamma_of((double)n + 6, c->unit) * absolute + 2 * (double)(n + 1) * c->eta : 0;
    return above(err + rounding);
}

/* Row r of a stage: its error as a sum of symbols, one for each value that was made before it (by id), and its own. */
static void find_row_error(Composer *c, const Form *form, const Draft *d, uint32_t r)
{
    const double *w = d->weight + (uint64_t)r * d->cols;
    double absolute = fabs(d->bias[r]), carried = 0, size = 0;
    Symbols *to = &form->symbols[d->out + r];
    uint64_t n = 0;
    *to = (Symbols){.n = (uint64_t)form->n_ids * form->n_ids <= MOST_SYMBOLS ? d->out : 0};
    to->part = NEW_ARRAY(c->scratch, to->n, double);
    for (uint32_t k = 0; k < d->cols; k++) {
        uint32_t id = d->in[k];
        if (w[k] == 0)
            continue;
        n++;
        absolute += fabs(w[k]) * (form->X[id] + form->error[id]);
        carried += fabs(w[k]) * form->error[id];
        for (uint32_t s = 0; s < form->symbols[id].n && to->n; s++)
            to->part[s] += w[k] * form->symbols[id].part[s];
        if (to->n)
            to->part[id] += w[k] * form->symbols[id].own;
    }
    carried = above(carried);
    to->own = above(sum_error(c, absolute, d->drift[r], n) + (to->n ? gamma_of((double)n + 4, 0x1p-53) * carried : carried));
    for (uint32_t s = 0; s < to->n; s++)
        size += fabs(to->part[s]);
    form->error[d->out + r] = above(size + to->own);
}

/* Behind its relu: see source_error.c. */
static void pass_relu(const Form *form, uint32_t id)
{
    double size = form->error[id];
    Symbols *of = &form->symbols[id];
    bool off = form->z_hi[id] <= -size;
    if (!off && form->z_lo[id] >= size)
        return;
    for (uint32_t s = 0; s < of->n; s++)
        of->part[s] = off ? 0 : of->part[s] / 2;
    of->own = off ? 0 : above(of->own / 2 + size / 2);
    form->error[id] = off ? 0 : size;
}

/* Of choosing among scores that are off by so much: the chosen one's real score may lie below the greatest by both their errors. */
typedef struct Worst { double first, second; } Worst;

static void worst_add(Worst *w, double err)
{
    if (err > w->first) {
        w->second = w->first;
        w->first = err;
    } else if (err > w->second) {
        w->second = err;
    }
}

static double worst_of(const Composer *c, const Worst *w) { return c->chain->winner == WINNER_none ? w->first : above(w->first + w->second); }

static double compiled_error(Composer *c, Form *form)
{
    form->symbols = NEW_ARRAY(c->scratch, form->n_ids, Symbols);
    Worst worst = {0};
    for (uint32_t s = 0; s < form->n_stages; s++) {
        const Draft *d = &form->stage[s];
        for (uint32_t r = 0; r < d->plain + d->relu; r++) {
            if (!form->live[d->out + r])
                continue;
            find_row_error(c, form, d, r);
            if (s + 1 == form->n_stages)
                worst_add(&worst, form->error[d->out + r]);
            else if (r >= d->plain)
                pass_relu(form, d->out + r);
        }
    }
    return worst_of(c, &worst);
}

static double source_error(Composer *c)
{
    bool finite;
    const double *error = source_errors(c->scratch, c->chain, c->code, c->lo, c->hi, &finite);
    Worst worst = {0};
    for (uint32_t r = 0; r < c->chain->n_outputs; r++)
        worst_add(&worst, error[r]);
    c->finite &= finite;
    return worst_of(c, &worst);
}

/* ---- the leaf ---- */

static uint32_t live_rows(const Form *form, const Draft *d, uint32_t from, uint32_t n)
{
    uint32_t live = 0;
    for (uint32_t r = from; r < from + n; r++)
        live += form->live[d->out + r];
    return live;
}

/* What the next stage sums over: live ids, and where each of them stands. A kept stage without live rows leaves the old basis, of which
 * nobody after it reads anything. */
typedef struct Live { uint32_t n, *id, *place; } Live;

static void live_add(Live *basis, const Form *form, uint32_t from, uint32_t n)
{
    for (uint32_t id = from; id < from + n; id++)
        if (form->live[id]) {
            basis->place[id] = basis->n;
            basis->id[basis->n++] = id;
        }
}

static Stage finish_stage(const Composer *c, const Form *form, const Draft *d, const Live *basis)
{
    Stage s = {.plain = live_rows(form, d, 0, d->plain), .relu = live_rows(form, d, d->plain, d->relu), .cols = basis->n, .kept = d->kept};
    double *weight = NEW_ARRAY(c->arena, (uint64_t)(s.plain + s.relu) * s.cols, double), *w = weight;
    double *bias = NEW_ARRAY(c->arena, s.plain + s.relu, double), *b = bias;
    for (uint32_t r = 0; r < d->plain + d->relu; r++) {
        if (!form->live[d->out + r])
            continue;
        for (uint32_t k = 0; k < d->cols; k++)
            if (form->live[d->in[k]])
                w[basis->place[d->in[k]]] = d->weight[(uint64_t)r * d->cols + k];
        w += s.cols;
        *b++ = d->bias[r];
    }
    s.weight = weight;
    s.bias = bias;
    return s;
}

static bool is_constant(const Draft *last)
{
    for (uint64_t i = 0, n = (uint64_t)(last->plain + last->relu) * last->cols; i < n; i++)
        if (last->weight[i] != 0)
            return false;
    return true;
}

static void constant_leaf(const Composer *c, const Draft *last, Leaf *leaf)
{
    if (c->chain->winner != WINNER_none) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < c->n_alive; i++)
            if (last->bias[i - 1] > (best ? last->bias[best - 1] : 0))
                best = i;
        leaf->n_labels = 1;
        leaf->label[0] = c->alive[best];
        return;
    }
    double *y = NEW_ARRAY(c->arena, c->chain->n_outputs, double);
    for (uint32_t r = 0; r < c->chain->n_outputs; r++)
        y[r] = last->relu && last->bias[r] <= 0 ? 0 : last->bias[r];
    leaf->constant = y;
}

static void finish_leaf(Composer *c, const Form *form, Leaf *leaf)
{
    const Draft *last = &form->stage[form->n_stages - 1];
    if (is_constant(last)) {
        constant_leaf(c, last, leaf);
        return;
    }
    leaf->mean = form->mean;
    leaf->stage = NEW_ARRAY(c->arena, form->n_stages, Stage);
    Live basis = {.id = NEW_ARRAY(c->scratch, form->n_ids, uint32_t), .place = NEW_ARRAY(c->scratch, form->n_ids, uint32_t)};
    live_add(&basis, form, 0, c->n_free);
    for (uint32_t s = 0; s < form->n_stages; s++) {
        const Draft *d = &form->stage[s];
        uint32_t rows = d->plain + d->relu;
        if (live_rows(form, d, 0, rows) == 0)
            continue;
        leaf->stage[leaf->n_stages++] = finish_stage(c, form, d, &basis);
        basis.n = d->kept ? 0 : basis.n;
        live_add(&basis, form, d->out, rows);
    }
}

static void find_alive(Composer *c, Leaf *leaf)
{
    if (c->chain->winner == WINNER_none)
        return;
    c->alive = NEW_ARRAY(c->arena, c->chain->n_outputs, uint32_t);
    for (uint32_t i = 0; i < c->chain->n_outputs; i++)
        if (c->code->alive[i])
            c->alive[c->n_alive++] = i;
    leaf->n_labels = c->n_alive;
    leaf->label = NEW_ARRAY(c->arena, c->n_alive, uint32_t);
    memcpy(leaf->label, c->alive, c->n_alive * sizeof *c->alive);
}

/* Whether some layer is kept that need not be: else there is one form only. */
static bool keeps_rows(const Composer *c)
{
    for (uint32_t l = 0; l + 1 < c->chain->n_layers; l++)
        if (c->code->how.kept >> l & 1 && count_rows(c, l, STATE_ON) > 0)
            return true;
    return false;
}

/* A product that underflows is off by 2^-1075, times what later layers multiply it with. */
static double underflow(const Chain *chain)
{
    double growth = 1;
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        double most = 1;
        for (uint32_t r = 0; r < chain->layer[l].rows; r++) {
            double sum = 0;
            for (uint64_t k = chain->layer[l].start[r]; k < chain->layer[l].start[r + 1]; k++)
                sum += fabs(chain->layer[l].weight[(uint64_t)r * chain->layer[l].cols + chain->layer[l].column[k]]);
            most = fmax(most, 2 * sum);
        }
        growth *= most;
    }
    return growth * 0x1p-1030;
}

Leaf leaf_compose(Arena *arena, Arena *scratch, const Chain *chain, const Code *code)
{
    bool f32 = chain->element.elem == ELEM_F32;
    uint32_t n_free = n_free_inputs(chain), most = n_free + chain->n_neurons;
    Facts bounds = facts_new(scratch, chain);     /* of the code's box alone: its states need not hold in all of it */
    bounds_tighten(chain, bounds_scratch(scratch, chain), code->lo, code->hi, &bounds);
    Composer c = {.arena = arena, .scratch = scratch, .chain = chain, .code = code, .finite = true, .n_free = n_free,
                  .unit = f32 ? 0x1p-24 : 0x1p-53, .eta = f32 ? 0x1p-149 : 0x1p-1074, .largest = f32 ? (double)FLT_MAX : DBL_MAX,
                  .tiny = underflow(chain), .lo = bounds.lo, .hi = bounds.hi, .basis = NEW_ARRAY(scratch, most, uint32_t),
                  .value_lo = NEW_ARRAY(scratch, most, double), .value_hi = NEW_ARRAY(scratch, most, double),
                  .row = {.weight = NEW_ARRAY(scratch, most, double), .absolute = NEW_ARRAY(scratch, most, double)}};
    Leaf leaf = {.n_stages = 0};
    find_alive(&c, &leaf);
    Form folded, kept, *best = &folded;
    compose(&c, 0, &folded);
    finish_form(&c, &folded);
    if (keeps_rows(&c)) {
        compose(&c, code->how.kept, &kept);
        finish_form(&c, &kept);
        best = kept.mean < folded.mean ? &kept : &folded;
    }
    leaf.compiled = compiled_error(&c, best);
    leaf.source = source_error(&c);
    finish_leaf(&c, best, &leaf);
    leaf.finite = c.finite && isfinite(leaf.compiled) && isfinite(leaf.source);
    return leaf;
}
