/* verify_control.c — the rules of regions: how many an op has, what they take, what they give, how they end.
 *
 * In: an op whose operands and result types fit its row. Out: complaints. The one idea: the types of an op with regions are
 * written down, so everything that flows into a region or out of it is held against them.
 */
#include "verify.h"

#include <float.h>

/* The arguments of a region: those of a loop are its index and the accumulators. */
static void check_region_args(Checker *ch, const Op *op, const Block *block, const Type *index)
{
    uint32_t n = index ? op->n_results + 1 : 0;
    if (block->n_args != n) {
        check_complain(ch, op, "its region takes %u arguments, expected %u%s", block->n_args, n, index ? ": the index and the accumulators" : "");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        Type found = value_type(ch->net, block->arg[i]), want = i == 0 ? *index : value_type(ch->net, op->result[i - 1]);
        if (!type_equal(found, want))
            check_complain(ch, op, "argument %s of its region is %s, expected %s", check_value_text(ch, block->arg[i]), check_type_text(ch, found), check_type_text(ch, want));
    }
}

static bool expect_regions(Checker *ch, const Op *op, uint32_t n)
{
    if (op->n_regions != n)
        check_complain(ch, op, "%u regions, expected %u", op->n_regions, n);
    return op->n_regions == n;
}

/* The accumulators begin as the operands from `first` on, and end as the results. */
static void check_accumulators(Checker *ch, const Op *op, uint32_t first)
{
    if (op->n_operands - first != op->n_results) {
        check_complain(ch, op, "%u accumulators and %u results", op->n_operands - first, op->n_results);
        return;
    }
    for (uint32_t i = 0; i < op->n_results; i++) {
        Value v = op_operand(op, first + i);
        if (!type_equal(value_type(ch->net, v), value_type(ch->net, op->result[i])))
            check_complain(ch, op, "accumulator %s begins as %s and ends as %s", check_value_text(ch, v), check_type_text(ch, value_type(ch->net, v)),
                        check_type_text(ch, value_type(ch->net, op->result[i])));
    }
}

static void check_if(Checker *ch, const Op *op)
{
    if (!type_equal(value_type(ch->net, op_operand(op, 0)), type_int(1)))
        check_complain(ch, op, "a condition is i1, found %s", check_type_text(ch, value_type(ch->net, op_operand(op, 0))));
    if (expect_regions(ch, op, 2))
        for (uint32_t r = 0; r < 2; r++)
            check_region_args(ch, op, op->region[r], NULL);
}

static void check_case(Checker *ch, const Op *op)
{
    Type index = value_type(ch->net, op_operand(op, 0));
    if (index.elem != ELEM_IDX || index.rank != 0)
        check_complain(ch, op, "a case is chosen by an index, found %s", check_type_text(ch, index));
    else if (expect_regions(ch, op, index.n))
        for (uint32_t r = 0; r < op->n_regions; r++)
            check_region_args(ch, op, op->region[r], NULL);
}

static void check_repeat(Checker *ch, const Op *op)
{
    int64_t n = op->attr[0].i;
    if (n < 1 || n > INT32_MAX) {
        check_complain(ch, op, "it repeats %lld times, expected 1 to %d", (long long)n, INT32_MAX);
        return;
    }
    check_accumulators(ch, op, 0);
    if (check_is_done(ch) || !expect_regions(ch, op, 1))
        return;
    Type index = type_idx((uint32_t)n);
    check_region_args(ch, op, op->region[0], &index);
}

static void check_each(Checker *ch, const Op *op)
{
    Type over = value_type(ch->net, op_operand(op, 0)), index = type_idx(over.n);
    bool set = over.elem == ELEM_SET && over.n > 0, list = over.elem == ELEM_IDX && over.rank == 1;
    if (!set && !list) {
        check_complain(ch, op, "expected a set that is not always empty, or a list of indices, found %s", check_type_text(ch, over));
        return;
    }
    check_accumulators(ch, op, 1);
    if (!check_is_done(ch) && expect_regions(ch, op, 1))
        check_region_args(ch, op, op->region[0], &index);
}

/* `yield` gives what the op around it results in. */
static void check_yield(Checker *ch, const Op *op)
{
    const Op *owner = op->parent->owner;
    if (!owner) {
        check_complain(ch, op, "there is no region to end: a network ends with `return`");
        return;
    }
    if (op->n_operands != owner->n_results) {
        check_complain(ch, op, "%u values, expected %u, the results of `%s`", op->n_operands, owner->n_results, op_info(ch->m, owner->kind)->name);
        return;
    }
    for (uint32_t i = 0; i < op->n_operands; i++) {
        Type found = value_type(ch->net, op_operand(op, i)), want = value_type(ch->net, owner->result[i]);
        if (!type_equal(found, want))
            check_complain(ch, op, "%s is %s, expected %s, as `%s` gives", check_value_text(ch, op_operand(op, i)), check_type_text(ch, found), check_type_text(ch, want),
                        op_info(ch->m, owner->kind)->name);
    }
}

static void check_return(Checker *ch, const Op *op)
{
    Value status = op_operand(op, 0);
    if (status && !type_equal(value_type(ch->net, status), type_int(32)))
        check_complain(ch, op, "the status is %s, expected i32", check_type_text(ch, value_type(ch->net, status)));
    if (op->n_operands - 1 != ch->net->n_outputs) {
        check_complain(ch, op, "%u values, expected %u, the outputs of the network", op->n_operands - 1, ch->net->n_outputs);
        return;
    }
    for (uint32_t i = 0; i < ch->net->n_outputs; i++) {
        Type found = value_type(ch->net, op_operand(op, i + 1));
        if (!type_equal(found, ch->net->output[i].type))
            check_complain(ch, op, "output `%s` is %s, found %s", ch->net->output[i].name, check_type_text(ch, ch->net->output[i].type), check_type_text(ch, found));
    }
}

static void check_tally(Checker *ch, const Op *op)
{
    for (int i = 0; i < OP_MAX_ATTRS; i++)
        if (op->attr[i].i < 0)
            check_complain(ch, op, "a count is not negative");
    if (op_operand(op, 0)) {
        Type times = value_type(ch->net, op_operand(op, 0));
        if (!type_is_int(times) || times.rank != 0 || times.n > 64)
            check_complain(ch, op, "times is %s, expected an integer of at most 64 bits", check_type_text(ch, times));
    }
}

static void check_search(Checker *ch, const Op *op)
{
    Const *keys = const_get(ch->m, op->cst[0]);
    if (!const_ascends(keys))
        check_complain(ch, op, "the keys @%s must ascend strictly, without NaN", keys->name);
}

static void check_memorize(Checker *ch, const Op *op)
{
    Const *keys = const_get(ch->m, op->cst[MEMORIZE_keys]);
    int64_t unseen = op->attr[MEMORIZE_unseen].i;
    if (!const_ascends(keys))
        check_complain(ch, op, "the rows of the keys @%s must ascend strictly in lexicographic order, without NaN", keys->name);
    if (unseen == UNSEEN_before && keys->type.rank != 1)
        check_complain(ch, op, "keys of several coordinates have none before them: say unseen = any, value or refuse");
    if ((unseen == UNSEEN_value) != (op->cst[MEMORIZE_default] != 0))
        check_complain(ch, op, "`default` goes with unseen = value");
    if (op->attr[MEMORIZE_depth].i < 0 || (op->attr[MEMORIZE_depth].i > 0 && op->attr[MEMORIZE_method].i != METHOD_bits))
        check_complain(ch, op, "`depth` is a number of layers of the method bits");
    const Const *weights = op->cst[MEMORIZE_weights] ? const_get(ch->m, op->cst[MEMORIZE_weights]) : NULL;
    for (uint64_t i = 0; weights && i < type_count(weights->type); i++)
        if (!(const_f64(weights, i) >= 0 && const_f64(weights, i) <= DBL_MAX)) {
            check_complain(ch, op, "weight %llu of @%s is not a finite number of at least 0", (unsigned long long)i, weights->name);
            return;
        }
}

/* What types alone do not say; the rest of the rows is op_infer's. */
void check_control(Checker *ch, const Op *op)
{
    if (op->kind == OP_if)
        check_if(ch, op);
    else if (op->kind == OP_case)
        check_case(ch, op);
    else if (op->kind == OP_repeat)
        check_repeat(ch, op);
    else if (op->kind == OP_each)
        check_each(ch, op);
    else if (op->kind == OP_yield)
        check_yield(ch, op);
    else if (op->kind == OP_return)
        check_return(ch, op);
    else if (op->kind == OP_tally)
        check_tally(ch, op);
    else if (op->kind == OP_search)
        check_search(ch, op);
    else if (op->kind == OP_memorize)
        check_memorize(ch, op);
    else if (op->kind == OP_refuse && (op->attr[0].i >= 0 || op->attr[0].i < INT32_MIN))
        check_complain(ch, op, "a refusal has a negative status that fits i32");
    bool has_regions = op_info(ch->m, op->kind)->n_regions > 0;
    if (!has_regions && op->n_regions > 0)
        check_complain(ch, op, "it takes no regions");
}
