/* chain.c — a network that is layers of affine maps and relus, as numbers.
 *
 *      %v = reshape %x                        layer 0: rows, cols, weights, bias, relu
 *      %z = affine %v, @W1, @b1               layer 1: …
 *      %h = relu %z                     →     the box of %v, in the input's own numbers
 *      %y = affine %h, @W2, @b2               winner: argmin (layer 1 is negated, the greatest wins)
 *      %i = argmin %y
 *      return cast %i
 *
 * In: the body of a network. Out: its chain, or why it is none. The one idea: walk back from what is returned; every value on the way
 * has one user, so there is one way, and it ends at the input.
 *
 * A relu before a winner gets a layer of its own behind it, the identity, so that a winner always chooses among plain sums. Adding a constant
 * or multiplying by one, elementwise, is a layer whose matrix is diagonal.
 */
#include "../error_bound.h"
#include "../pass_util.h"
#include "split.h"

#include <math.h>

enum { MOST_LAYERS = 64, MOST_COLS = 1 << 16, MOST_ROWS = 1 << 16 };
static const uint64_t MOST_CELLS = (uint64_t)1 << 22, MOST_WORK = (uint64_t)1 << 32;

typedef struct Step { const Op *op; bool relu; } Step;      /* an affine; or x + c, x − c, c − x, x · c with a constant, elementwise */

typedef struct Walk {
    Arena *arena;
    const Network *net;
    const uint32_t *uses;
    Vec(Op *) ops;                /* backwards, like the steps */
    Vec(Step) steps;
    Winner winner;
    Value input, output;
    const char *why;
} Walk;

static bool refuse(Walk *w, const char *why)
{
    w->why = why;
    return false;
}

/* ---- the ops ---- */

static const Const *tensor(const Walk *w, ConstId id)
{
    return id ? const_get(w->net->module, id) : NULL;
}

static bool is_of_floats(const Const *c)
{
    return c->kind == CONST_TENSOR && type_is_float(c->type);
}

static bool plain_affine(Walk *w, const Op *op)
{
    const Const *W = tensor(w, op->cst[AFFINE_W]), *b = tensor(w, op->cst[AFFINE_b]);
    for (uint32_t s = AFFINE_x + 1; s < op->n_operands; s++)
        if (op_operand(op, s))
            return refuse(w, "an `affine` is conditional already");
    if (!is_of_floats(W) || (b && !is_of_floats(b)))
        return refuse(w, "it computes with integers");
    if (!const_all_finite(W) || (b && !const_all_finite(b)))
        return refuse(w, str_printf(w->arena, "@%s has an element that is not finite", const_all_finite(W) ? b->name : W->name));
    if (W->type.dim[0] == 0 || W->type.dim[1] == 0)
        return refuse(w, "a layer is empty");
    return true;
}

/* The value that `op`, a relu or max(x, 0), passes on; 0: it is neither. */
static Value relu_of(const Walk *w, const Op *op)
{
    if (op->kind == OP_relu)
        return op_operand(op, 0);
    for (uint32_t s = 0; s < 2 && op->kind == OP_max; s++) {
        const Const *c = tensor(w, value_const(w->net, op_operand(op, s)));
        Value x = op_operand(op, 1 - s);
        if (c && const_is_zero(c) && type_equal(value_type(w->net, x), value_type(w->net, op->result[0])))
            return x;
    }
    return 0;
}

/* The constant of a step that is none of the affines: of one element, or of as many as x has. 0: it is no such step. */
static ConstId shift_or_scale(const Walk *w, const Op *op, uint32_t *slot)
{
    if (op->kind != OP_add && op->kind != OP_sub && op->kind != OP_mul)
        return 0;
    uint64_t n = type_count(value_type(w->net, op->result[0]));
    for (*slot = 0; *slot < 2; ++*slot) {
        ConstId id = value_const(w->net, op_operand(op, *slot));
        const Const *c = tensor(w, id);
        bool whole = type_count(value_type(w->net, op_operand(op, 1 - *slot))) == n;
        if (c && is_of_floats(c) && const_all_finite(c) && whole && (type_count(c->type) == 1 || type_count(c->type) == n))
            return id;
    }
    return 0;
}

/* Notes `op` and goes on with its operand. */
static Value pass_through(Walk *w, Op *op, Value operand)
{
    vec_push(w->arena, w->ops, op);
    return operand;
}

static Value skip_reshapes(Walk *w, Value v)
{
    for (Op *op; w->uses[v] == 1 && (op = definition(w->net, v, OP_reshape));)
        v = pass_through(w, op, op_operand(op, 0));
    return v;
}

/* cast(argmax(y)) as the pass `result` has it. */
static Value read_winner(Walk *w, Value v)
{
    Op *cast = definition(w->net, v, OP_cast);
    Op *best = cast ? value_op(w->net, op_operand(cast, 0)) : NULL;
    if (!best || (best->kind != OP_argmax && best->kind != OP_argmin) || !type_equal(value_type(w->net, v), type_int(32))
        || w->uses[best->result[0]] != 1)
        return v;
    w->winner = best->kind == OP_argmax ? WINNER_argmax : WINNER_argmin;
    w->output = v;
    vec_push(w->arena, w->ops, cast);
    return skip_reshapes(w, pass_through(w, best, op_operand(best, 0)));
}

/* One op back from v; 0: that cannot be followed, or it is what the network takes. */
static Value step_back(Walk *w, Value v, bool *relu)
{
    Op *op = value_op(w->net, v);
    if (!op)
        return 0;
    if (w->uses[v] != 1)
        return refuse(w, str_printf(w->arena, "the result of an `%s` has more than one use", op_info(w->net->module, op->kind)->name));
    Value x = relu_of(w, op);
    if (x) {
        *relu = true;
        return pass_through(w, op, x);
    }
    if (op->kind == OP_reshape)
        return pass_through(w, op, op_operand(op, 0));
    uint32_t slot;
    if (shift_or_scale(w, op, &slot)) {
        vec_push(w->arena, w->steps, ((Step){op, *relu}));
        *relu = false;
        return pass_through(w, op, op_operand(op, 1 - slot));
    }
    if (op->kind != OP_affine)
        return refuse(w, str_printf(w->arena, "`%s` is neither affine nor a relu", op_info(w->net->module, op->kind)->name));
    if (!plain_affine(w, op))
        return 0;
    vec_push(w->arena, w->steps, ((Step){op, *relu}));
    *relu = false;
    return pass_through(w, op, op_operand(op, AFFINE_x));
}

/* Reshapes between the input and the first step stay where they are. */
static void cut_at_first_step(Walk *w)
{
    const Op *first = w->steps.at[w->steps.len - 1].op;
    uint32_t slot;
    while (w->ops.at[w->ops.len - 1] != first)
        w->ops.len--;
    w->input = op_operand(first, shift_or_scale(w, first, &slot) ? 1 - slot : AFFINE_x);
}

static bool walk_back(Walk *w, Value returned)
{
    bool relu = false;
    Value v = read_winner(w, skip_reshapes(w, returned));
    if (w->winner == WINNER_none) {           /* reshapes of the output stay, too */
        w->ops.len = 0;
        w->output = v;
    }
    if (!type_is_float(value_type(w->net, v)))
        return refuse(w, "it computes with integers");
    for (Value before = v; before; before = step_back(w, v, &relu))
        v = before;
    if (w->why)
        return false;
    bool affine = false;
    for (size_t i = 0; i < w->steps.len; i++)
        affine |= w->steps.at[i].op->kind == OP_affine;
    if (!affine || relu)
        return refuse(w, affine ? "its first relu has no affine map before it" : "it has no affine map");
    cut_at_first_step(w);
    return true;
}

/* ---- the network around it ---- */

static bool has_early_exits(const Network *net)
{
    for (const Op *op = net->body->first; op; op = op->next)
        if (op != net->body->last && op_may_leave(op))
            return true;
    return false;
}

static bool right_interface(Walk *w)
{
    const Network *net = w->net;
    const Op *last = net->body->last;
    if (net->n_inputs != 1 || net->n_outputs != 1)
        return refuse(w, net->n_inputs != 1 ? "it has not exactly one input" : "it has not exactly one output");
    if (!type_is_float(net->input[0].type))
        return refuse(w, "its input is not of floats");
    if (!net->input[0].box)
        return refuse(w, str_printf(w->arena, "input `%s` has no box; `within` or `--box=` gives one", net->input[0].name));
    if (has_early_exits(net) || !last || last->kind != OP_return)
        return refuse(w, "it may return early");
    if (op_operand(last, 0))
        return refuse(w, "it says a status of its own");
    return true;
}

/* What bounds take: each row is carried back through all weights before it. */
static bool right_size(Walk *w)
{
    const Module *m = w->net->module;
    uint64_t cells = 0, rows = 0, nonzeros = 0, work = 0;
    for (size_t i = w->steps.len; i-- > 0;) {
        const Op *op = w->steps.at[i].op;
        const Const *W = op->kind == OP_affine ? const_get(m, op->cst[AFFINE_W]) : NULL;
        uint64_t n = type_count(value_type(w->net, op->result[0])), cols = W ? W->type.dim[1] : n;
        if (n > MOST_ROWS || cols > MOST_COLS)
            return refuse(w, "it is too large");
        cells += n * cols;
        rows += n;
        if (cells > MOST_CELLS || rows > MOST_ROWS)
            return refuse(w, "it is too large");
        nonzeros += W ? const_nonzeros(W) : n;
        work += n * nonzeros;
    }
    if (w->steps.len >= MOST_LAYERS)
        return refuse(w, "it has too many layers");
    return work <= MOST_WORK || refuse(w, "it is too large");
}

/* ---- numbers ---- */

static void index_nonzeros(Arena *arena, ChainLayer *layer)
{
    uint64_t *start = NEW_ARRAY(arena, (uint64_t)layer->rows + 1, uint64_t), n = 0, cells = (uint64_t)layer->rows * layer->cols;
    for (uint64_t i = 0; i < cells; i++)
        layer->nonzeros += layer->weight[i] != 0;
    uint32_t *column = NEW_ARRAY(arena, layer->nonzeros, uint32_t);
    for (uint32_t r = 0; r < layer->rows; r++) {
        const double *row = layer->weight + (uint64_t)r * layer->cols;
        for (uint32_t c = 0; c < layer->cols; c++)
            if (row[c] != 0)
                column[n++] = c;
        start[r + 1] = n;
    }
    layer->start = start;
    layer->column = column;
}

/* diag(scale) x + shift; both may be NULL: 1 and 0. */
static ChainLayer diagonal(Arena *arena, uint32_t n, const double *scale, const double *shift, double sign)
{
    double *weight = NEW_ARRAY(arena, (uint64_t)n * n, double), *bias = NEW_ARRAY(arena, n, double);
    for (uint64_t r = 0; r < n; r++) {
        weight[r * n + r] = sign * (scale ? scale[r] : 1);
        bias[r] = shift ? shift[r] : 0;
    }
    ChainLayer layer = {.rows = n, .cols = n, .weight = weight, .bias = bias};
    index_nonzeros(arena, &layer);
    return layer;
}

/* x + c, x − c, c − x, x · c; `slot` is that of c. */
static ChainLayer diagonal_layer(Arena *arena, const Walk *w, const Step *step, ConstId id, uint32_t slot, bool negated)
{
    const Const *c = tensor(w, id);
    uint32_t n = (uint32_t)type_count(value_type(w->net, step->op->result[0]));
    double *stored = const_doubles(arena, c), *each = NEW_ARRAY(arena, n, double);
    bool scales = step->op->kind == OP_mul, subtracts = step->op->kind == OP_sub;
    bool turned = (subtracts && slot == 1) != (negated && !scales);
    for (uint32_t r = 0; r < n; r++) {
        double element = stored[type_count(c->type) == 1 ? 0 : r];
        each[r] = turned ? -element : element;
    }
    double sign = (subtracts && slot == 0) != negated ? -1 : 1;
    ChainLayer layer = diagonal(arena, n, scales ? each : NULL, scales ? NULL : each, sign);
    layer.relu = step->relu;
    return layer;
}

static ChainLayer layer_of(Arena *arena, const Walk *w, const Step *step, bool negated)
{
    uint32_t slot;
    ConstId diagonal = shift_or_scale(w, step->op, &slot);
    if (diagonal)
        return diagonal_layer(arena, w, step, diagonal, slot, negated);
    const Const *W = tensor(w, step->op->cst[AFFINE_W]), *b = tensor(w, step->op->cst[AFFINE_b]);
    ChainLayer layer = {.rows = W->type.dim[0], .cols = W->type.dim[1], .relu = step->relu};
    double *weight = const_doubles(arena, W), *bias = b ? const_doubles(arena, b) : NEW_ARRAY(arena, layer.rows, double);
    for (uint64_t i = 0, n = (uint64_t)layer.rows * layer.cols; negated && i < n; i++)
        weight[i] = -weight[i];
    for (uint32_t r = 0; negated && r < layer.rows; r++)
        bias[r] = -bias[r];
    layer.weight = weight;
    layer.bias = bias;
    index_nonzeros(arena, &layer);
    return layer;
}

static void add_layers(Arena *arena, const Walk *w, Chain *chain)
{
    bool negated = w->winner == WINNER_argmin, extra = w->winner != WINNER_none && w->steps.at[0].relu;
    uint32_t n = (uint32_t)w->steps.len;
    chain->n_layers = n + extra;
    chain->layer = NEW_ARRAY(arena, chain->n_layers, ChainLayer);
    chain->first = NEW_ARRAY(arena, chain->n_layers, uint32_t);
    for (uint32_t l = 0; l < n; l++)
        chain->layer[l] = layer_of(arena, w, &w->steps.at[n - 1 - l], negated && !extra && l == n - 1);
    if (extra)
        chain->layer[n] = diagonal(arena, chain->layer[n - 1].rows, NULL, NULL, negated ? -1 : 1);
    for (uint32_t l = 0; l < chain->n_layers; l++) {
        chain->first[l] = chain->n_neurons;
        chain->n_neurons += chain->layer[l].rows;
    }
    chain->n_inputs = chain->layer[0].cols;
    chain->n_outputs = chain->layer[chain->n_layers - 1].rows;
}

static bool add_box(Walk *w, Arena *arena, Chain *chain)
{
    const double *box = const_doubles(arena, const_get(w->net->module, w->net->input[0].box));
    chain->lo = box;
    chain->hi = box + chain->n_inputs;
    for (uint32_t i = 0; i < chain->n_inputs; i++)
        if (!isfinite(chain->lo[i]) || !isfinite(chain->hi[i]) || chain->lo[i] > chain->hi[i])
            return refuse(w, str_printf(w->arena, "the box of `%s` is not finite", w->net->input[0].name));
    return true;
}

static void add_ops(Arena *arena, const Walk *w, Chain *chain)
{
    for (size_t i = w->ops.len; i-- > 0;) {
        Op *op = w->ops.at[i];
        uint64_t least, most;
        op_event_range(w->net, op, &least, &most);
        chain->dense_ops += counts_total(counts_scale(op_cost(w->net, op), most));
        for (int k = 0; k < OP_MAX_CONSTS; k++)
            if (op->cst[k])
                chain->dense_bytes += const_bytes(const_get(w->net->module, op->cst[k]));
        vec_push(arena, chain->ops, op);
    }
}

/* Somewhere a relu or a winner must choose: a map that is affine all over has nothing to split. */
static bool has_choices(const Walk *w)
{
    bool relu = false;
    for (size_t i = 0; i < w->steps.len; i++)
        relu |= w->steps.at[i].relu;
    return relu || w->winner != WINNER_none;
}

bool chain_of(Arena *arena, const Network *net, Chain *out, const char **why)
{
    Walk w = {.arena = arena, .net = net, .uses = network_count_uses(arena, net)};
    *out = (Chain){.element = {0}};
    bool ok = right_interface(&w) && walk_back(&w, op_operand(net->body->last, 1)) && right_size(&w);
    ok = ok && (has_choices(&w) || refuse(&w, "it is affine all over"));
    if (ok) {
        add_layers(arena, &w, out);
        ok = add_box(&w, arena, out);
    }
    *why = w.why;
    if (!ok)
        return false;
    out->winner = w.winner;
    out->element = type_element(value_type(net, w.input));
    out->input = w.input;
    out->output = w.output;
    add_ops(arena, &w, out);
    return true;
}
