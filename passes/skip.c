/* skip.c — evaluate only the columns whose input is not zero, and only the weights that are not zero.
 *
 *      %h = relu %z                                  %h = relu %z
 *      %y = affine %h, @W, @b                =>      %s = active %h, pred = notle0
 *                                                    %y = affine %h, @W, @b, cols = %s
 *
 *      %y = affine %x, @W, @b                =>      %s = active %x, pred = nonzero
 *      (%x an input, often zero)                     %y = affine %x, @W, @b, cols = %s
 *
 *      %v = concat %x, %h                            %s = active %h, pred = notle0
 *      %y = affine %v, @W, @b                =>      %t = extend %s, before = 3
 *      (%h a relu, %x: f32[3] is none)               %y = affine %v, @W, @b, cols = %t
 *
 *      %y = affine %x, @W                    =>      %y = affine %x, @W, zeros = skip
 *      (some of @W is exactly zero)
 *
 * The comparison of the relu has already decided its activity, so the first form costs nothing. Nor does it where relus are parts of a
 * vector: the other parts are evaluated whole. Any other vector is tested, one comparison an element, where that is expected to be less than what it saves (activity.h): twice
 * the rows for each zero. A set that is free stands beside its relu or concatenation; one that costs stands where it is first needed.
 *
 * Legality: the bits stay. A term of a zero is W * 0 = ±0, because the weights are finite (a precondition, checked
 * here for each tensor: a remark says where it fails); adding ±0 changes no sum but the sign of a zero one, and chain 0,
 * which begins at the bias or +0, is never −0 without contraction. With it, fma may underflow to −0: positive-zero has put
 * `+ 0.0` behind every such sum that no relu follows. NaN is active under both predicates, infinities too. Other chains
 * are added to chain 0, where the sign of their zero does not matter. Integers wrap, and 0 is 0. A zero weight likewise, for
 * every finite x; where x is NaN or infinite, W * x = NaN would have been added, and is not any more: a row that does not
 * depend on an input does not hear of it.
 *
 * Ends: an affine that has a set of columns keeps it, and zeros are skipped once.
 */
#include "activity.h"
#include "pass_util.h"

typedef struct Tested { const Block *block; Value set; bool asked, is_free; } Tested;

typedef struct Skipper {
    Network *net;
    PassContext *ctx;
    Tested *tested;               /* by Value: its set, and the block that set stands in */
    const double *zeros;          /* by Value: the expected share of zeros */
    const bool *unseen;           /* by Value: nobody can tell the sign of its zeros */
    size_t n_values;              /* when the pass began: sets are not values to be tested */
} Skipper;

static Value build_active(Builder *b, Value x, Activity pred)
{
    OpInit init = {.kind = OP_active, .n_operands = 1, .operand = &x, .attr = {{.i = pred}}};
    return build_op(b, &init)->result[0];
}

/* Whether what stands in `outer` is visible in `block`. */
static bool encloses(const Block *outer, const Block *block)
{
    while (block && block != outer)
        block = block->owner ? block->owner->parent : NULL;
    return block == outer;
}

/* Operations that a zero saves: a product and an addition for each weight of its column, zero weights aside (of a stack: the mean). */
static double saved_by_a_zero(const Skipper *s, const Op *op)
{
    const Const *W = const_get(s->net->module, op->cst[AFFINE_W]);
    double rows = (double)type_count(value_type(s->net, op->result[0]));
    if (!op_skips_zeros(op))
        return 2 * rows;
    double columns = (double)type_count(value_type(s->net, op_operand(op, AFFINE_x))) * (W->kind == CONST_STACK ? W->type.dim[0] : 1);
    return 2 * (double)const_nonzeros(W) / columns;
}

static Value free_set(Skipper *s, Value x);

/* The members that the part's set has, and all of the other parts. */
static Value build_extend(Builder *b, Value set, uint64_t before, uint64_t after)
{
    OpInit init = {.kind = OP_extend, .n_operands = 1, .operand = &set, .attr = {{.i = (int64_t)before}, {.i = (int64_t)after}}};
    return before + after > 0 ? build_op(b, &init)->result[0] : set;
}

/* Of a vector in parts: where its relus are parts of it, or of its parts. */
static Value joined_set(Skipper *s, Op *concat)
{
    uint64_t before = 0, all = type_count(value_type(s->net, concat->result[0]));
    Value joined = 0;
    Builder b = builder_before(concat->next);
    for (uint32_t i = 0; i < concat->n_operands; i++) {
        Value part = op_operand(concat, i), set = free_set(s, part);
        uint64_t n = type_count(value_type(s->net, part));
        if (set) {
            set = build_extend(&b, set, before, all - before - n);
            joined = joined ? build_binary(&b, OP_and, joined, set) : set;
        }
        before += n;
    }
    return joined;
}

/* The set that relus have decided, or 0. */
static Value free_set(Skipper *s, Value x)
{
    Op *source = value_op(s->net, x);
    if (x >= s->n_values || !source || value_type(s->net, x).rank != 1 || (source->kind != OP_relu && source->kind != OP_concat))
        return 0;
    Tested *known = &s->tested[x];
    if (known->asked)
        return known->is_free ? known->set : 0;
    known->asked = true;
    if (source->kind == OP_concat) {
        known->set = joined_set(s, source);
    } else {
        Builder b = builder_before(source->next);
        known->set = build_active(&b, x, ACTIVITY_notle0);
    }
    known->is_free = known->set != 0;
    return known->set;
}

/* The set of x's active elements for `user`, or 0 when it does not pay. */
static Value active_set(Skipper *s, Value x, const Op *user)
{
    Tested *known = &s->tested[x];
    Value decided = free_set(s, x);
    if (decided)
        return decided;
    if (known->set && encloses(known->block, user->parent))
        return known->set;
    if (saved_by_a_zero(s, user) * s->zeros[x] <= 1)
        return 0;
    Builder b = builder_before((Op *)user);
    known->block = user->parent;
    known->set = build_active(&b, x, ACTIVITY_nonzero);
    pass_stat(s->ctx, "vectors are tested for zeros", 1);
    return known->set;
}

/* Under fused contraction a sum that is zero may lose its sign with its terms. */
static bool keeps_bits(Skipper *s, const Op *op)
{
    if (s->net->options.contract == CONTRACT_off || !type_is_float(value_type(s->net, op->result[0])) || s->unseen[op->result[0]])
        return true;
    diag_remark(s->ctx->diags, op->span, s->ctx->name, "the sign of a zero could change: `positive-zero` has to come first");
    return false;
}

static bool weights_are_finite(Skipper *s, const Op *op)
{
    const Const *W = const_get(s->net->module, op->cst[AFFINE_W]);
    if (const_all_finite(W))
        return true;
    diag_remark(s->ctx->diags, op->span, s->ctx->name, "@%s holds a NaN or an infinity: its columns are all evaluated", W->name);
    return false;
}

static bool skip_columns(Skipper *s, Op *op)
{
    Value x = op_operand(op, AFFINE_x);
    uint64_t rows = type_count(value_type(s->net, op->result[0]));
    if (op_operand(op, AFFINE_cols) || rows == 0 || x >= s->n_values || type_count(value_type(s->net, x)) == 0)
        return false;
    if (s->zeros[x] <= 0 || !keeps_bits(s, op) || !weights_are_finite(s, op))
        return false;
    Value set = active_set(s, x, op);
    if (!set)
        return false;
    op->operand[AFFINE_cols] = set;
    pass_stat(s->ctx, "affine layers evaluate active columns only", 1);
    return true;
}

static bool skip_weights(Skipper *s, Op *op)
{
    const Const *W = const_get(s->net->module, op->cst[AFFINE_W]);
    if (op_skips_zeros(op) || op_operand(op, AFFINE_rows))
        return false;
    uint64_t cells = type_count(W->type), nonzeros = const_nonzeros(W);
    if (nonzeros == cells || !keeps_bits(s, op))
        return false;
    op->attr[AFFINE_zeros].i = ZEROS_skip;
    pass_stat(s->ctx, "weights are zero and left out", cells - nonzeros);
    return true;
}

bool pass_skip(Network *net, PassContext *ctx)
{
    Skipper s = {.net = net, .ctx = ctx, .tested = NEW_ARRAY(ctx->arena, net->values.len, Tested), .zeros = expected_zero_shares(ctx, net),
                 .unseen = network_zero_signs_unseen(ctx->arena, net), .n_values = net->values.len};
    bool changed = false;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_affine) {
            changed |= skip_weights(&s, op);
            changed |= skip_columns(&s, op);
        }
    return changed;
}
