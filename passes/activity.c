/* activity.c — how much of a vector is expected to be zero.
 *
 * In: a value, and the profile if there is one. Out: a share of zeros. The one idea: without measurements a stated prior is better
 * than none, and the same one everywhere. Trained ReLU layers are 40 to 99 % zeros and wide inputs are mostly background, so
 * one half is careful.
 */
#include "activity.h"

#include "pass_util.h"

enum { WIDE_INPUT = 64, MOST_ROWS = 256 };
static const double HALF = 0.5;

static uint64_t input_bytes(Type t)
{
    return type_count(t) * type_element_bytes(t);
}

/* Rows 0 … n-1 of what is used of the profile. */
static size_t rows_used(const Profile *p)
{
    return p->n < MOST_ROWS ? p->n : MOST_ROWS;
}

static const uint8_t *profile_row(const Profile *p, const Network *net, uint32_t input, size_t i)
{
    size_t row = (size_t)((double)i * (double)p->n / (double)rows_used(p));
    return p->input[input] + row * input_bytes(net->input[input].type);
}

static bool is_zero(Type t, const uint8_t *at)
{
    uint32_t bytes = type_element_bytes(t);
    uint8_t any = type_is_float(t) ? at[bytes - 1] & 0x7f : at[bytes - 1];      /* of either sign */
    for (uint32_t i = 0; i + 1 < bytes; i++)
        any |= at[i];
    return any == 0;
}

static double input_zero_share(const PassContext *ctx, const Network *net, uint32_t input)
{
    Type t = net->input[input].type;
    uint64_t n = type_count(t), zeros = 0;
    if (!ctx->profile || ctx->profile->n == 0 || n == 0)
        return n >= WIDE_INPUT ? HALF : 0;
    size_t rows = rows_used(ctx->profile);
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *at = profile_row(ctx->profile, net, input, i);
        for (uint64_t k = 0; k < n; k++, at += type_element_bytes(t))
            zeros += is_zero(t, at);
    }
    return (double)zeros / ((double)rows * (double)n);
}

/* Elements of a concatenation, each operand with its own share. */
static double joined_share(const Network *net, const Op *op, const double *share)
{
    double zeros = 0, all = 0;
    for (uint32_t i = 0; i < op->n_operands; i++) {
        double n = (double)type_count(value_type(net, op_operand(op, i)));
        zeros += n * share[op_operand(op, i)];
        all += n;
    }
    return all > 0 ? zeros / all : 0;
}

static double share_of(const Network *net, const Op *op, const double *share)
{
    double a = op->n_operands > 0 && op->operand[0] ? share[op_operand(op, 0)] : 0;
    double b = op->n_operands > 1 && op->operand[1] ? share[op_operand(op, 1)] : 0;
    switch ((int)op->kind) {
    case OP_relu: return HALF;
    case OP_reshape: case OP_transpose: case OP_slice: return a;
    case OP_concat: return joined_share(net, op, share);
    case OP_max: return a * b;                                  /* of relus: zero where both are */
    case OP_mul: case OP_min: return op->kind == OP_mul || (a > 0 && b > 0) ? 1 - (1 - a) * (1 - b) : 0;
    default: return 0;
    }
}

double *expected_zero_shares(const PassContext *ctx, const Network *net)
{
    double *share = NEW_ARRAY(ctx->arena, net->values.len, double);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        share[net->body->arg[i]] = input_zero_share(ctx, net, i);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->n_results == 1)
            share[op->result[0]] = share_of(net, op, share);
    return share;
}

bool profile_events(const PassContext *ctx, const Network *net, Events *out)
{
    if (!ctx->profile || ctx->profile->n == 0)
        return false;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_call)                  /* events are numbered through what is called */
            return false;
    Interp *interp = interp_new(ctx->arena, net);
    const void **in = NEW_ARRAY(ctx->arena, net->n_inputs + 1, const void *);
    void **results = NEW_ARRAY(ctx->arena, net->n_outputs + 1, void *);
    for (uint32_t k = 0; k < net->n_outputs; k++)
        results[k] = arena_array(ctx->arena, type_count(net->output[k].type) + 1, type_element_bytes(net->output[k].type));
    *out = events_new(ctx->arena, net);
    for (size_t i = 0; i < rows_used(ctx->profile); i++) {
        for (uint32_t k = 0; k < net->n_inputs; k++)
            in[k] = profile_row(ctx->profile, net, k, i);
        interp_run(interp, in, results, NULL, NULL, out);
    }
    return true;
}
