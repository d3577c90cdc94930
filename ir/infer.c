/* infer.c — the typing rule of every op: from operands, constants and attributes to result types.
 *
 * In: an op about to be made (OpInit). Out: its result types, or a sentence that says what does not fit. Shared by the
 * builder (a failure is a compiler bug), the reader and the verifier (a failure is the text's).
 */
#include "ir.h"

#include <string.h>

typedef enum Rule {
    RULE_CONSTANT, RULE_ELEMENT, RULE_FIELD, RULE_AFFINE, RULE_MATMUL, RULE_MATMIX, RULE_BINARY, RULE_UNARY, RULE_FLOATS, RULE_COMPARE,
    RULE_SELECT, RULE_CAST, RULE_BITS, RULE_SHIFT, RULE_ORDER, RULE_DOT, RULE_SCALAR, RULE_INDEX, RULE_RESHAPE, RULE_TRANSPOSE,
    RULE_CONCAT, RULE_SLICE, RULE_SPLAT, RULE_ITEM, RULE_ACTIVE, RULE_EXTEND, RULE_SIZE, RULE_WEIGH, RULE_TEST, RULE_TOPK, RULE_DESCEND, RULE_SEARCH, RULE_MEMORIZE, RULE_WITHIN,
    RULE_REGION, RULE_CALL, RULE_NOTHING
} Rule;

static const Rule rules[OP__COUNT] = {
#define OP(name, syntax, result, ...) [OP_##name] = RULE_##result,
#include "ops.def"
#undef OP
};

typedef struct Infer {
    const Module *m;
    const Network *net;
    const OpInit *op;
    Type *out;
    uint32_t *n_out;
    Text *why;
} Infer;

static const char *show(const Infer *in, Type t)
{
    return type_print(in->why->arena, t);
}

static Type operand(const Infer *in, uint32_t slot)
{
    return value_type(in->net, in->op->operand[slot]);
}

static bool has_operand(const Infer *in, uint32_t slot)
{
    return slot < in->op->n_operands && in->op->operand[slot] != 0;
}

static bool result(Infer *in, Type t)
{
    if (!type_valid(t)) {
        text_add(in->why, "a result of type %s is too large", show(in, t));
        return false;
    }
    in->out[(*in->n_out)++] = t;
    return true;
}

#define FAIL(...) return (text_add(in->why, __VA_ARGS__), false)

static bool is_number(Type t) { return type_is_float(t) || type_is_int(t); }

/* f32 constants may meet f64 values: they are widened exactly. */
static bool element_fits(Type constant, Type value)
{
    return type_same_element(constant, value) || (constant.elem == ELEM_F32 && value.elem == ELEM_F64);
}

static const Const *constant(const Infer *in, int slot)
{
    ConstId id = in->op->cst[slot];
    return id > 0 && id < in->m->consts.len ? in->m->consts.at[id] : NULL;
}

/* The type of a constant operand after its optional index: a tensor as it is, a stack's element. */
static bool indexed_constant(Infer *in, int slot, uint32_t index_slot, Type *out)
{
    const Const *c = constant(in, slot);
    if (!c || c->kind == CONST_TREE)
        FAIL("a tensor or stack constant is missing");
    *out = c->type;
    if (!has_operand(in, index_slot)) {
        if (c->kind == CONST_STACK)
            FAIL("@%s is a stack: an index is missing", c->name);
        return true;
    }
    Type i = operand(in, index_slot);
    if (c->kind != CONST_STACK)
        FAIL("@%s is no stack: it takes no index", c->name);
    if (i.elem != ELEM_IDX || i.rank != 0 || i.n > c->type.dim[0])
        FAIL("@%s holds %u elements: its index must be an idx[%u] or less, found %s", c->name, c->type.dim[0], c->type.dim[0], show(in, i));
    *out = type_with_dims(c->type, c->type.rank - 1, c->type.dim + 1);
    return true;
}

static bool chains_fit(Infer *in, int64_t chains)
{
    if (chains < 0 || chains > IR_MAX_CHAINS || (chains & (chains - 1)) != 0)
        FAIL("chains(%lld): expected a power of two up to %d", (long long)chains, IR_MAX_CHAINS);
    return true;
}

/* What zeros = skip costs must be known from the weights, their slot and the columns. */
static bool zeros_fit(Infer *in)
{
    int64_t zeros = in->op->attr[AFFINE_zeros].i;
    if (zeros != ZEROS_keep && zeros != ZEROS_skip)
        FAIL("zeros: expected keep or skip");
    if (zeros == ZEROS_keep)
        return true;
    if (has_operand(in, AFFINE_rows))
        FAIL("zeros = skip cannot be combined with rows, for each row has another number of weights that are not zero: leave "
             "one of them out");
    return true;
}

static bool infer_affine(Infer *in)
{
    Type x = operand(in, AFFINE_x), w, b;
    if (!indexed_constant(in, AFFINE_W, AFFINE_i, &w) || !chains_fit(in, in->op->attr[AFFINE_order].i))
        return false;
    if (x.rank != 1 || !is_number(x))
        FAIL("the operand of an affine must be a vector of numbers, found %s", show(in, x));
    if (w.rank != 2 || w.dim[1] != x.dim[0])
        FAIL("weights %s do not fit an operand %s", show(in, w), show(in, x));
    if (!element_fits(w, x))
        FAIL("weights of %s cannot be applied to %s", show(in, type_element(w)), show(in, type_element(x)));
    if (in->op->cst[AFFINE_b]) {
        if (!indexed_constant(in, AFFINE_b, AFFINE_j, &b))
            return false;
        if (b.rank != 1 || b.dim[0] != w.dim[0] || !element_fits(b, x))
            FAIL("a bias %s does not fit weights %s", show(in, b), show(in, w));
    } else if (has_operand(in, AFFINE_j)) {
        FAIL("an index without a bias");
    }
    if (has_operand(in, AFFINE_cols) && !type_equal(operand(in, AFFINE_cols), type_set(w.dim[1])))
        FAIL("cols: expected set[%u], found %s", w.dim[1], show(in, operand(in, AFFINE_cols)));
    if (has_operand(in, AFFINE_rows) && !type_equal(operand(in, AFFINE_rows), type_set(w.dim[0])))
        FAIL("rows: expected set[%u], found %s", w.dim[0], show(in, operand(in, AFFINE_rows)));
    return zeros_fit(in) && result(in, type_vector(type_element(x), w.dim[0]));
}

static bool infer_matmul(Infer *in)
{
    Type a = operand(in, 0), b = operand(in, 1);
    if (!chains_fit(in, in->op->attr[0].i))
        return false;
    if (!is_number(a) || !type_same_element(a, b) || a.rank < 1 || a.rank > 2 || b.rank < 1 || b.rank > 2 || a.rank + b.rank < 3)
        FAIL("a matrix product needs two matrices, or a matrix and a vector, of one element type, found %s and %s", show(in, a), show(in, b));
    if (a.dim[a.rank - 1] != b.dim[0])
        FAIL("a product of %s and %s: %u columns meet %u rows", show(in, a), show(in, b), a.dim[a.rank - 1], b.dim[0]);
    if (a.rank == 1)
        return result(in, type_vector(type_element(a), b.dim[1]));
    if (b.rank == 1)
        return result(in, type_vector(type_element(a), a.dim[0]));
    return result(in, type_matrix(type_element(a), a.dim[0], b.dim[1]));
}

static bool infer_matmix(Infer *in)
{
    const Const *s = constant(in, 0);
    Type g = operand(in, 0);
    if (!s || s->kind != CONST_STACK)
        FAIL("a stack constant is missing");
    if (g.rank != 1 || !type_is_float(g) || !element_fits(s->type, g) || g.dim[0] != s->type.dim[0])
        FAIL("a stack %s takes as many float factors as it has elements, found %s", show(in, s->type), show(in, g));
    return result(in, type_with_dims(type_element(g), s->type.rank - 1, s->type.dim + 1));
}

/* Same type, or one of them a scalar of the same element type. */
static bool broadcast(Infer *in, Type a, Type b, Type *out)
{
    if (!type_same_element(a, b) || (!type_equal(a, b) && a.rank != 0 && b.rank != 0))
        FAIL("expected two operands of one type, or one of them a scalar, found %s and %s", show(in, a), show(in, b));
    *out = a.rank == 0 ? b : a;
    return true;
}

static bool infer_binary(Infer *in)
{
    Type t;
    if (!broadcast(in, operand(in, 0), operand(in, 1), &t))
        return false;
    if (!is_number(t))
        FAIL("expected numbers, found %s", show(in, t));
    return result(in, t);
}

static bool infer_unary(Infer *in, bool floats_only)
{
    Type a = operand(in, 0);
    if (floats_only ? !type_is_float(a) : !is_number(a))
        FAIL("expected %s, found %s", floats_only ? "floats" : "numbers", show(in, a));
    return result(in, a);
}

static bool infer_compare(Infer *in)
{
    Type t;
    if (!broadcast(in, operand(in, 0), operand(in, 1), &t))
        return false;
    if (!is_number(t))
        FAIL("expected numbers, found %s", show(in, t));
    if (in->op->attr[0].i < PRED_eq || in->op->attr[0].i > PRED_ge)
        FAIL("no such comparison");
    return result(in, type_with_dims(type_int(1), t.rank, t.dim));
}

static bool infer_select(Infer *in)
{
    Type c = operand(in, 0), a = operand(in, 1), b = operand(in, 2);
    if (!type_same_element(c, type_int(1)))
        FAIL("the condition of a select must be i1, found %s", show(in, c));
    if (!type_equal(a, b))
        FAIL("a select chooses between values of one type, found %s and %s", show(in, a), show(in, b));
    if (c.rank != 0 && !type_equal(type_with_dims(a, c.rank, c.dim), a))
        FAIL("a condition %s does not fit values %s", show(in, c), show(in, a));
    return result(in, a);
}

static bool infer_cast(Infer *in)
{
    Type a = operand(in, 0), to = in->op->hint[0];
    Type want = type_with_dims(to, a.rank, a.dim);
    bool from_index = a.elem == ELEM_IDX, to_index = to.elem == ELEM_IDX;
    if ((!is_number(a) && !from_index) || (!is_number(to) && !(to_index && (from_index || type_is_int(a)))) || !type_equal(want, to))
        FAIL("no cast from %s to %s", show(in, a), show(in, to));
    return result(in, to);
}

static bool infer_bits(Infer *in)
{
    Type a = operand(in, 0), b = operand(in, 1), t;
    if (a.elem == ELEM_SET) {
        if (!type_equal(a, b))
            FAIL("expected two sets of one size, found %s and %s", show(in, a), show(in, b));
        return result(in, a);
    }
    if (!broadcast(in, a, b, &t))
        return false;
    if (!type_is_int(t))
        FAIL("expected integers or sets, found %s", show(in, t));
    return result(in, t);
}

static bool infer_shift(Infer *in)
{
    Type a = operand(in, 0);
    if (!type_is_int(a) || in->op->attr[0].i < 0 || in->op->attr[0].i >= a.n)
        FAIL("expected integers wider than the shift, found %s shifted by %lld", show(in, a), (long long)in->op->attr[0].i);
    return result(in, a);
}

static bool infer_reduction(Infer *in, bool of_two)
{
    Type a = operand(in, 0);
    if (!is_number(a))
        FAIL("expected numbers, found %s", show(in, a));
    if (of_two) {
        if (a.rank != 1 || !type_equal(a, operand(in, 1)))
            FAIL("expected two vectors of one type, found %s and %s", show(in, a), show(in, operand(in, 1)));
        return chains_fit(in, in->op->attr[0].i) && result(in, type_element(a));
    }
    if (type_count(a) == 0)
        FAIL("a reduction needs at least one element, found %s", show(in, a));
    if (in->op->attr[0].i < REDUCE_add || in->op->attr[0].i > REDUCE_max)
        FAIL("no such reduction");
    return chains_fit(in, in->op->attr[1].i) && result(in, type_element(a));
}

static bool infer_index_of_best(Infer *in)
{
    Type a = operand(in, 0);
    if (a.rank != 1 || a.dim[0] == 0 || !is_number(a))
        FAIL("expected a vector of at least one number, found %s", show(in, a));
    return result(in, type_idx(a.dim[0]));
}

static bool infer_reshape(Infer *in)
{
    Type a = operand(in, 0), to = in->op->hint[0];
    if (!type_same_element(a, to) || a.elem == ELEM_SET || type_count(a) != type_count(to))
        FAIL("%s has %llu elements, %s has %llu", show(in, a), (unsigned long long)type_count(a), show(in, to), (unsigned long long)type_count(to));
    return result(in, to);
}

static bool infer_transpose(Infer *in)
{
    Type a = operand(in, 0), t = a;
    const Attr *perm = &in->op->attr[0];
    uint32_t seen = 0;
    if (perm->n != a.rank)
        FAIL("perm has %u entries for %s", perm->n, show(in, a));
    for (uint32_t d = 0; d < a.rank; d++) {
        if (perm->list[d] < 0 || perm->list[d] >= a.rank || (seen >> perm->list[d] & 1))
            FAIL("perm is no permutation of the dims of %s", show(in, a));
        seen |= 1u << perm->list[d];
        t.dim[d] = a.dim[perm->list[d]];
    }
    return result(in, t);
}

static bool infer_concat(Infer *in)
{
    int64_t axis = in->op->attr[0].i;
    if (in->op->n_operands == 0)
        FAIL("a concat needs at least one operand");
    Type t = operand(in, 0);
    if (t.elem == ELEM_SET || axis < 0 || axis >= t.rank)
        FAIL("axis %lld of %s", (long long)axis, show(in, t));
    uint64_t sum = t.dim[axis];
    for (uint32_t i = 1; i < in->op->n_operands; i++) {
        Type a = operand(in, i), b = t;
        if (a.rank == t.rank)
            b.dim[axis] = a.dim[axis];
        if (!type_equal(a, b))
            FAIL("a concat of %s and %s along axis %lld", show(in, t), show(in, a), (long long)axis);
        sum += a.dim[axis];
    }
    if (sum > INT32_MAX)
        FAIL("a concat of %llu rows is too long", (unsigned long long)sum);
    t.dim[axis] = (uint32_t)sum;
    return result(in, t);
}

static bool infer_slice(Infer *in)
{
    Type a = operand(in, 0), to = in->op->hint[0];
    const Attr *from = &in->op->attr[0];
    if (a.elem == ELEM_SET || !type_same_element(a, to) || a.rank != to.rank || from->n != a.rank)
        FAIL("a slice of %s that gives %s", show(in, a), show(in, to));
    for (uint32_t d = 0; d < a.rank; d++)
        if (from->list[d] < 0 || from->list[d] > a.dim[d] || to.dim[d] > a.dim[d] - from->list[d])
            FAIL("a slice of %s reaches beyond its dim %u: from %lld, %u elements", show(in, a), d, (long long)from->list[d], to.dim[d]);
    return result(in, to);
}

static bool infer_splat(Infer *in)
{
    Type a = operand(in, 0), to = in->op->hint[0];
    if (a.rank != 0 || a.elem == ELEM_SET || !type_same_element(a, to))
        FAIL("a splat of %s to %s", show(in, a), show(in, to));
    return result(in, to);
}

static bool infer_item(Infer *in)
{
    Type a = operand(in, 0), i = operand(in, 1);
    if (a.rank < 1 || i.elem != ELEM_IDX || i.rank != 0 || i.n > a.dim[0])
        FAIL("%s cannot be indexed by %s", show(in, a), show(in, i));
    return result(in, type_with_dims(a, a.rank - 1, a.dim + 1));
}

static bool infer_field(Infer *in)
{
    const Const *stack = constant(in, 0);
    Type j = operand(in, 0), i = operand(in, 1), to = in->op->hint[0];
    int64_t bits = in->op->attr[0].i;
    if (stack->kind != CONST_STACK || stack->type.rank != 1 || !type_is_int(stack->type))
        FAIL("fields are read from a stack of integers, found %s", show(in, stack->type));
    if (j.elem != ELEM_IDX || j.rank != 0 || j.n > stack->type.dim[0])
        FAIL("%s is no index into %s", show(in, j), show(in, stack->type));
    if (i.elem != ELEM_IDX || i.rank != 0 || bits < 1 || bits > IR_MAX_INT_BITS || (uint64_t)bits * i.n > stack->type.n)
        FAIL("integers of %u bits have no fields %s of %lld bits", stack->type.n, show(in, i), (long long)bits);
    if (!type_is_int(to) || to.rank != 0 || to.n < bits)
        FAIL("a field of %lld bits is an integer as wide, found %s", (long long)bits, show(in, to));
    return result(in, to);
}

static bool infer_active(Infer *in)
{
    Type x = operand(in, 0);
    if (x.rank != 1 || !is_number(x))
        FAIL("expected a vector of numbers, found %s", show(in, x));
    if (in->op->attr[0].i < ACTIVITY_notle0 || in->op->attr[0].i > ACTIVITY_gt0)
        FAIL("no such activity predicate");
    return result(in, type_set(x.dim[0]));
}

static bool infer_topk(Infer *in)
{
    Type g = operand(in, 0);
    int64_t k = in->op->attr[0].i;
    if (g.rank != 1 || !is_number(g) || k < 1 || k > g.dim[0])
        FAIL("the %lld greatest of %s", (long long)k, show(in, g));
    return result(in, type_vector(type_idx(g.dim[0]), (uint32_t)k)) && result(in, type_vector(type_element(g), (uint32_t)k));
}

static bool infer_descend(Infer *in)
{
    const Const *c = constant(in, 0);
    Type x = operand(in, 0);
    if (!c || c->kind != CONST_TREE)
        FAIL("a tree constant is missing");
    if (!type_equal(x, type_vector(c->tree->key, c->tree->n_keys)))
        FAIL("tree @%s takes keys %s, found %s", c->name, show(in, type_vector(c->tree->key, c->tree->n_keys)), show(in, x));
    return result(in, type_idx(c->tree->n_classes)) && result(in, type_idx(c->tree->n_slots)) && result(in, type_int(32));
}

static bool infer_search(Infer *in)
{
    const Const *keys = constant(in, 0);
    Type x = operand(in, 0);
    if (keys->kind != CONST_TENSOR || keys->type.rank != 1 || keys->type.dim[0] >= INT32_MAX || !is_number(keys->type))
        FAIL("the keys are a vector of numbers, found %s", show(in, keys->type));
    if (x.rank != 0 || !type_same_element(keys->type, x))
        FAIL("keys %s are searched for a scalar of their type, found %s", show(in, keys->type), show(in, x));
    return result(in, type_idx(keys->type.dim[0] + 1)) && result(in, type_int(32));
}

static bool infer_memorize(Infer *in)
{
    const Const *keys = constant(in, MEMORIZE_keys), *labels = constant(in, MEMORIZE_labels);
    const Const *weights = constant(in, MEMORIZE_weights), *otherwise = constant(in, MEMORIZE_default);
    Type k = keys->type, y = labels->type, x = operand(in, 0);
    if (keys->kind != CONST_TENSOR || !is_number(k) || k.rank < 1 || k.rank > 2 || k.dim[0] < 1 || k.dim[0] >= INT32_MAX)
        FAIL("the keys are a vector of numbers, or a matrix with a row for each key, found %s", show(in, k));
    if (!type_equal(x, type_with_dims(k, k.rank - 1, k.dim + 1)))
        FAIL("keys %s take a key %s, found %s", show(in, k), show(in, type_with_dims(k, k.rank - 1, k.dim + 1)), show(in, x));
    if (labels->kind != CONST_TENSOR || !is_number(y) || y.rank < 1 || y.dim[0] != k.dim[0])
        FAIL("keys %s take a label each, found %s", show(in, k), show(in, y));
    if (weights && !type_equal(weights->type, type_vector(type_f64(), k.dim[0])))
        FAIL("keys %s take weights f64[%u], found %s", show(in, k), k.dim[0], show(in, weights->type));
    Type label = type_with_dims(y, y.rank - 1, y.dim + 1);
    if (otherwise && !type_equal(otherwise->type, label))
        FAIL("the default of labels %s is a %s, found %s", show(in, y), show(in, label), show(in, otherwise->type));
    return result(in, label);
}

static bool infer_within(Infer *in)
{
    const Const *box = constant(in, 0);
    Type x = operand(in, 0);
    if (!box || box->kind != CONST_TENSOR || !is_number(x) || !type_same_element(box->type, x) || box->type.rank != 2 ||
        box->type.dim[0] != 2 || box->type.dim[1] != type_count(x))
        FAIL("a box for %s is a [2, %llu] tensor of its element type", show(in, x), (unsigned long long)type_count(x));
    return result(in, type_int(1));
}

static bool infer_region(Infer *in)
{
    for (uint32_t i = 0; i < in->op->n_hints; i++)
        if (!result(in, in->op->hint[i]))
            return false;
    return true;
}

static bool infer_call(Infer *in)
{
    int64_t k = in->op->attr[0].i;
    if (k < 0 || (size_t)k >= in->m->networks.len)
        FAIL("no such network");
    const Network *callee = in->m->networks.at[k];
    if (callee->n_inputs != in->op->n_operands)
        FAIL("@%s takes %u inputs, found %u", callee->name, callee->n_inputs, in->op->n_operands);
    for (uint32_t i = 0; i < callee->n_inputs; i++)
        if (!type_equal(operand(in, i), callee->input[i].type))
            FAIL("input `%s` of @%s: expected %s, found %s", callee->input[i].name, callee->name, show(in, callee->input[i].type), show(in, operand(in, i)));
    for (uint32_t i = 0; i < callee->n_outputs; i++)
        if (!result(in, callee->output[i].type))
            return false;
    return true;
}

static bool infer_test(Infer *in)
{
    Type s = operand(in, 0), i = operand(in, 1);
    if (s.elem != ELEM_SET || i.elem != ELEM_IDX || i.rank != 0 || i.n > s.n)
        FAIL("expected a set and an index of it, found %s and %s", show(in, s), show(in, i));
    return result(in, type_int(1));
}

static bool infer_extend(Infer *in)
{
    Type s = operand(in, 0);
    int64_t before = in->op->attr[0].i, after = in->op->attr[1].i;
    if (s.elem != ELEM_SET)
        FAIL("expected a set, found %s", show(in, s));
    if (before < 0 || after < 0 || before > UINT32_MAX || after > UINT32_MAX || before + after + s.n > UINT32_MAX)
        FAIL("%lld before and %lld after a %s: neither may be negative, and a set is of 4294967295 at most", (long long)before, (long long)after,
             show(in, s));
    return result(in, type_set((uint32_t)(before + after) + s.n));
}

static bool infer_weigh(Infer *in)
{
    Type s = operand(in, 0), v = operand(in, 1);
    if (s.elem != ELEM_SET || !type_is_int(v) || v.rank != 1 || v.dim[0] != s.n)
        FAIL("expected a set and a vector of integers, one for each that may be in the set, found %s and %s", show(in, s), show(in, v));
    return result(in, type_element(v));
}

/* Operands that must be there are; slots agree with the row. */
static bool slots_fit(Infer *in)
{
    const OpInfo *info = op_info(in->m, in->op->kind);
    if (in->op->n_operands < info->n_fixed || (in->op->n_operands > info->n_fixed && !info->variadic))
        FAIL("expected %s%u operands, found %u", info->variadic ? "at least " : "", info->n_fixed, in->op->n_operands);
    for (int i = 0; i < info->n_items; i++) {
        const Item *item = &info->item[i];
        if (item->kind == ITEM_OPERAND && !has_operand(in, item->slot))
            FAIL("operand `%s` is missing", item->key);
        if (item->kind == ITEM_CONST && !item->optional && !constant(in, item->slot))
            FAIL("constant `%s` is missing", item->key);
    }
    for (uint32_t i = info->n_fixed; i < in->op->n_operands; i++)
        if (!has_operand(in, i))
            FAIL("operand number %u is missing", i);
    bool one_hint = rules[in->op->kind] == RULE_CAST || rules[in->op->kind] == RULE_RESHAPE || rules[in->op->kind] == RULE_SLICE ||
                    rules[in->op->kind] == RULE_SPLAT || rules[in->op->kind] == RULE_FIELD;
    if (one_hint && in->op->n_hints != 1)
        FAIL("its result type must be given");
    return true;
}

bool op_infer(const Module *m, const Network *net, const OpInit *init, Type *results, uint32_t *n_results, Text *why)
{
    Infer state = {m, net, init, results, n_results, why}, *in = &state;
    *n_results = 0;
    if (!slots_fit(in))
        return false;
    Type t;
    switch (rules[init->kind]) {
    case RULE_CONSTANT:
        if (constant(in, 0)->kind == CONST_TREE)
            FAIL("a tree is no value");
        return result(in, constant(in, 0)->type);
    case RULE_ELEMENT:
        if (!has_operand(in, 0))
            FAIL("an index is missing");
        return indexed_constant(in, 0, 0, &t) && result(in, t);
    case RULE_AFFINE:    return infer_affine(in);
    case RULE_MATMUL:    return infer_matmul(in);
    case RULE_MATMIX:    return infer_matmix(in);
    case RULE_BINARY:    return infer_binary(in);
    case RULE_UNARY:     return infer_unary(in, false);
    case RULE_FLOATS:    return infer_unary(in, true);
    case RULE_COMPARE:   return infer_compare(in);
    case RULE_SELECT:    return infer_select(in);
    case RULE_CAST:      return infer_cast(in);
    case RULE_BITS:      return infer_bits(in);
    case RULE_SHIFT:     return infer_shift(in);
    case RULE_ORDER:
        t = operand(in, 0);
        if (!type_is_float(t))
            FAIL("expected floats, found %s", show(in, t));
        return result(in, type_with_dims(type_int(t.elem == ELEM_F32 ? 32 : 64), t.rank, t.dim));
    case RULE_DOT:       return infer_reduction(in, true);
    case RULE_SCALAR:    return infer_reduction(in, false);
    case RULE_INDEX:     return infer_index_of_best(in);
    case RULE_RESHAPE:   return infer_reshape(in);
    case RULE_TRANSPOSE: return infer_transpose(in);
    case RULE_CONCAT:    return infer_concat(in);
    case RULE_SLICE:     return infer_slice(in);
    case RULE_SPLAT:     return infer_splat(in);
    case RULE_ITEM:      return infer_item(in);
    case RULE_FIELD:     return infer_field(in);
    case RULE_ACTIVE:    return infer_active(in);
    case RULE_SIZE:
        if (operand(in, 0).elem != ELEM_SET)
            FAIL("expected a set, found %s", show(in, operand(in, 0)));
        return result(in, type_int(32));
    case RULE_EXTEND:    return infer_extend(in);
    case RULE_WEIGH:     return infer_weigh(in);
    case RULE_TEST:      return infer_test(in);
    case RULE_TOPK:      return infer_topk(in);
    case RULE_DESCEND:   return infer_descend(in);
    case RULE_SEARCH:    return infer_search(in);
    case RULE_MEMORIZE:  return infer_memorize(in);
    case RULE_WITHIN:    return infer_within(in);
    case RULE_REGION:    return infer_region(in);
    case RULE_CALL:      return infer_call(in);
    case RULE_NOTHING:   return true;
    }
    ICE("op %d has no typing rule", (int)init->kind);
}
