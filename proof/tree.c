/* tree.c — the tree of a compiled network as boxes of its inputs.
 *
 * In: a network with a `descend` over the order-preserving images of its inputs. Out: which input each coordinate is, the ends of what a node
 * sends left and right, and the boxes of parts of the tree. The one idea: an image and its neighbour are a float and its neighbour,
 * so boxes are closed and exact.
 */
#include "proof.h"

#include <math.h>
#include <string.h>

/* ---- which input a coordinate is ---- */

static uint32_t first_input(const Network *net, uint32_t port)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < port; i++)
        at += (uint32_t)type_count(net->input[i].type);
    return at;
}

/* The box of an input (element), as the compiled network has it. False: it has none. */
static bool box_of(const Network *net, uint32_t input, double *lo, double *hi)
{
    for (uint32_t p = 0; p < net->n_inputs; p++) {
        uint32_t n = (uint32_t)type_count(net->input[p].type);
        if (input < n && net->input[p].box) {
            *lo = const_f64(const_get(net->module, net->input[p].box), input);
            *hi = const_f64(const_get(net->module, net->input[p].box), (uint64_t)n + input);
            return true;
        }
        if (input < n)
            return false;
        input -= n;
    }
    return false;
}

static bool trace(const Network *net, Value v, uint64_t i, uint32_t *input);

/* Element i of max(x, lo) or min(x, hi): x, where the box is no larger than that. (proof_leaves: it is the source's box, too.) */
static bool trace_clamp(const Network *net, const Op *op, uint64_t i, uint32_t *input)
{
    const Op *end = value_op(net, op_operand(op, 1));
    double lo, hi;
    if (!end || end->kind != OP_const || type_count(value_type(net, end->result[0])) <= i || !trace(net, op_operand(op, 0), i, input) ||
        !box_of(net, *input, &lo, &hi))
        return false;
    double c = const_f64(const_get(net->module, end->cst[0]), i);
    return op->kind == OP_max ? c <= lo : hi <= c;
}

/* Element i of a concat of vectors. */
static bool trace_concat(const Network *net, const Op *op, uint64_t i, uint32_t *input)
{
    for (uint32_t k = 0; k < op->n_operands; k++) {
        uint64_t n = type_count(value_type(net, op_operand(op, k)));
        if (i < n)
            return trace(net, op_operand(op, k), i, input);
        i -= n;
    }
    return false;
}

static bool trace(const Network *net, Value v, uint64_t i, uint32_t *input)
{
    const Op *op = value_op(net, v);
    Type t = value_type(net, v);
    if (!op) {
        for (uint32_t p = 0; p < net->n_inputs; p++)
            if (net->body->arg[p] == v && type_is_float(t)) {
                *input = first_input(net, p) + (uint32_t)i;
                return true;
            }
        return false;
    }
    if (op->kind == OP_reshape || op->kind == OP_ord)
        return trace(net, op_operand(op, 0), i, input);
    if (op->kind == OP_max || op->kind == OP_min)
        return trace_clamp(net, op, i, input);
    if (op->kind == OP_concat && t.rank == 1)
        return trace_concat(net, op, i, input);
    if (op->kind == OP_slice && t.rank == 1)
        return trace(net, op_operand(op, 0), i + (uint64_t)op->attr[0].list[0], input);
    return false;
}

/* The images must be of floats as wide as the keys: then they are the inputs' own. */
static bool keys_are_images(const Network *net, const Op *descend)
{
    Value v = op_operand(descend, 0);
    const Op *op = value_op(net, v);
    while (op && op->kind == OP_reshape)
        op = value_op(net, op_operand(op, 0));
    return op && op->kind == OP_ord;
}

bool proof_tree(Arena *arena, const Network *net, ProofTree *out)
{
    *out = (ProofTree){.net = net, .n_inputs = first_input(net, net->n_inputs)};
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        if (op->kind != OP_descend || out->op)
            continue;
        out->op = op;
        out->tree = const_get(net->module, op->cst[0])->tree;
        out->input = NEW_ARRAY(arena, out->tree->n_keys, uint32_t);
        if (!keys_are_images(net, op))
            return false;
        for (uint32_t k = 0; k < out->tree->n_keys; k++)
            if (!trace(net, op_operand(op, 0), k, &out->input[k]))
                return false;
    }
    return out->op;
}

/* ---- ends ---- */

/* The float that an image is of; images of NaN lie beyond the infinities, and count as these. */
static double of_image(uint32_t bits, int64_t image)
{
    if (bits == 32) {
        if (image > 0x7f800000 || image < -0x7f800000)
            return image > 0 ? (double)INFINITY : -(double)INFINITY;
        uint32_t u = (uint32_t)(image < 0 ? -image : image);
        float f;
        memcpy(&f, &u, sizeof f);
        return image < 0 ? -(double)f : (double)f;
    }
    if (image > 0x7ff0000000000000 || image < -0x7ff0000000000000)
        return image > 0 ? (double)INFINITY : -(double)INFINITY;
    uint64_t u = (uint64_t)(image < 0 ? -image : image);
    double d;
    memcpy(&d, &u, sizeof d);
    return image < 0 ? -d : d;
}

static int64_t threshold(const ProofTree *t, uint32_t node)
{
    uint32_t size = type_element_bytes(t->tree->key);
    return int_load(t->tree->key.n, t->tree->threshold + (uint64_t)node * size);
}

double proof_left_end(const ProofTree *t, uint32_t node) { return of_image(t->tree->key.n, threshold(t, node)); }

double proof_right_end(const ProofTree *t, uint32_t node)
{
    int64_t image = threshold(t, node);
    return image == INT64_MAX ? (double)INFINITY : of_image(t->tree->key.n, image + 1);
}

/* ---- parts ---- */

typedef struct Walk {
    Arena *arena;
    const ProofTree *t;
    const uint32_t *below;        /* by node: leaves below it, saturating */
    uint32_t most;
    ProofParts *out;
} Walk;

static uint32_t leaves_at(const Walk *w, int32_t at) { return at < 0 ? 1 : w->below[at]; }

static bool is_empty(const double *lo, const double *hi, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!(lo[i] <= hi[i]))
            return true;
    return false;
}

static void push_part(Walk *w, int32_t at, const double *lo, const double *hi)
{
    uint32_t n = w->t->n_inputs;
    ProofPart p = {at, NEW_ARRAY(w->arena, n, double), NEW_ARRAY(w->arena, n, double), leaves_at(w, at)};
    memcpy(p.lo, lo, n * sizeof *lo);
    memcpy(p.hi, hi, n * sizeof *hi);
    vec_push(w->arena, *w->out, p);
}

/* Depth first with a stack of its own: a tree may be as deep as it has nodes. A frame is a child still to be visited, and the end that it gets. */
typedef struct Frame { int32_t at; uint32_t input; bool right; double end, kept; bool undo; } Frame;

static void visit(Walk *w, double *lo, double *hi)
{
    Vec(Frame) stack = {0};
    vec_push(w->arena, stack, ((Frame){.at = w->t->tree->n_nodes ? 0 : ~0, .input = UINT32_MAX}));
    while (stack.len > 0) {
        Frame f = stack.at[--stack.len];
        if (f.input != UINT32_MAX) {
            double *end = f.right ? &lo[f.input] : &hi[f.input];
            if (f.undo) {
                *end = f.kept;
                continue;
            }
            vec_push(w->arena, stack, ((Frame){.input = f.input, .right = f.right, .kept = *end, .undo = true}));
            *end = f.right ? fmax(*end, f.end) : fmin(*end, f.end);
        }
        if (is_empty(lo, hi, w->t->n_inputs))
            continue;
        if (leaves_at(w, f.at) <= w->most) {
            push_part(w, f.at, lo, hi);
            continue;
        }
        const TreeNode *node = &w->t->tree->node[f.at];
        uint32_t input = w->t->input[node->coordinate];
        vec_push(w->arena, stack, ((Frame){.at = node->child[1], .input = input, .right = true, .end = proof_right_end(w->t, (uint32_t)f.at)}));
        vec_push(w->arena, stack, ((Frame){.at = node->child[0], .input = input, .end = proof_left_end(w->t, (uint32_t)f.at)}));
    }
}

void proof_parts(Arena *arena, const ProofTree *t, const double *lo, const double *hi, uint32_t leaves, ProofParts *out)
{
    uint32_t *below = NEW_ARRAY(arena, t->tree->n_nodes, uint32_t);
    Walk w = {arena, t, below, leaves, out};
    for (uint32_t i = t->tree->n_nodes; i-- > 0;) {
        uint64_t n = (uint64_t)leaves_at(&w, t->tree->node[i].child[0]) + leaves_at(&w, t->tree->node[i].child[1]);
        below[i] = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    }
    double *box = NEW_ARRAY(arena, 2 * (size_t)t->n_inputs, double);
    memcpy(box, lo, t->n_inputs * sizeof *lo);
    memcpy(box + t->n_inputs, hi, t->n_inputs * sizeof *hi);
    visit(&w, box, box + t->n_inputs);
}
