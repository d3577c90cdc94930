/* emit.c — tree and leaves in place of the layers.
 *
 *      %free = slice of %x                               the inputs that are not constant
 *      %key = ord %free
 *      %class, %slot, %depth = descend @split, %key      right when x > cut
 *      %y = case %class {
 *          %s = cast %slot : idx[37]                     the slots of this class
 *          %z1 = affine %free, @leaf0.W1[%s], @leaf0.b1[%s]
 *          %h1 = relu %z1
 *          %basis1 = concat %free, %h1                   a kept layer: its rows that are on, and the relus
 *          %y = affine %basis1, @leaf0.W2[%s], @leaf0.b2[%s]
 *          yield %y
 *      } { … }
 *
 * In: a chain, a tree, and which code runs in each leaf. Out: the ops, and what they prove. Under the policy `dense` all this stands in one arm of
 * an `if`, with the layers as they were in the other. The one idea: leaves of one shape are a class: one region, their numbers in
 * stacks, so the IR does not grow with the leaves. What is constant is a row of a stack; with a winner, the last sums are differences to
 * the first output that is alive, and %y = index (row @leaf0.labels[%s]), (argmax (0, differences)). A class of one leaf has tensors, one
 * class needs no case, one leaf no tree.
 */
#include "../pass_util.h"
#include "leaf.h"

#include <math.h>
#include <string.h>

enum { MOST_CLASSES = 48 };

typedef struct Emitter {
    Network *net;
    Arena *arena;                 /* scratch */
    const Chain *chain;
    const Split *split;
    const Leaf *leaf;             /* by code */
    Classes classes;
    uint32_t n_free;
    uint64_t bytes;
} Emitter;

/* ---- constants ---- */

static void store(Type t, uint8_t *data, uint64_t at, double x)
{
    float f = (float)x;
    uint32_t bytes = type_element_bytes(t);
    memcpy(data + at * bytes, t.elem == ELEM_F32 ? (const void *)&f : (const void *)&x, bytes);
}

/* A stack of n tensors, or just one. */
static ConstId add_stack(Emitter *e, const char *name, uint32_t n, Type each, uint8_t **data)
{
    uint32_t dim[IR_MAX_RANK] = {n};
    memcpy(dim + 1, each.dim, each.rank * sizeof *dim);
    Type type = n > 1 ? type_with_dims(each, each.rank + 1, dim) : each;
    uint64_t bytes = type_count(type) * type_element_bytes(type);
    *data = arena_big(e->net->module->arena, bytes + 1, 64);
    ConstId id = const_add(e->net->module, name, type, *data, NOWHERE);
    if (n > 1)
        const_get(e->net->module, id)->kind = CONST_STACK;
    e->bytes += bytes;
    return id;
}

/* Where the elements of a leaf's basis stand in that of its class: `leaf` of them from `at` on. */
typedef struct Segment { uint32_t at, leaf; } Segment;
typedef struct Place { uint32_t n_segments, end; Segment *segment; } Place;

static void place_add(Place *p, uint32_t leaf, uint32_t width)
{
    p->segment[p->n_segments++] = (Segment){p->end, leaf};
    p->end += width;
}

static void store_row(Type t, const double *row, const Place *p, uint8_t *data, uint64_t first)
{
    for (uint32_t s = 0; s < p->n_segments; s++)
        for (uint32_t k = 0; k < p->segment[s].leaf; k++)
            store(t, data, first + p->segment[s].at + k, *row++);
}

/* The numbers of a class's stage. */
typedef struct Numbers { ConstId W, b; uint8_t *weight, *bias; uint32_t rows, cols; } Numbers;

/* A leaf's stage in slot `slot` of the class's. */
static void store_stage(Type t, const Stage *from, const ShapeStage *shape, const Place *p, const Numbers *to, uint32_t slot)
{
    for (uint32_t r = 0; r < from->plain + from->relu; r++) {
        uint64_t row = (uint64_t)slot * to->rows + (r < from->plain ? r : shape->plain + r - from->plain);
        store_row(t, from->weight + (uint64_t)r * from->cols, p, to->weight, row * to->cols);
        store(t, to->bias, row, from->bias[r]);
    }
}

static void store_leaf(const Emitter *e, const Class *c, uint32_t slot, const Numbers *to)
{
    const Leaf *leaf = &e->leaf[c->code[slot]];
    Place p = {.segment = NEW_ARRAY(e->arena, 2 * c->n_stages + 1, Segment)};
    place_add(&p, e->n_free, e->n_free);
    for (uint32_t t = 0, at = 0; t < c->n_stages; t++) {
        const Stage *from = class_stage(c, t, leaf, at);
        const ShapeStage *shape = &c->stage[t];
        if (from)
            store_stage(e->chain->element, from, shape, &p, &to[t], slot);
        if (shape->kept)
            p = (Place){.segment = p.segment};
        place_add(&p, from ? from->plain : 0, shape->plain);
        place_add(&p, from ? from->relu : 0, shape->relu);
        at += from != NULL;
    }
}

static Numbers *add_numbers(Emitter *e, const Class *c, const char *name)
{
    Numbers *numbers = NEW_ARRAY(e->arena, c->n_stages, Numbers);
    uint32_t basis = e->n_free;
    for (uint32_t t = 0; t < c->n_stages; t++) {
        Numbers *n = &numbers[t];
        n->rows = c->stage[t].plain + c->stage[t].relu;
        n->cols = basis;
        n->W = add_stack(e, str_printf(e->arena, "%s.W%u", name, t + 1), c->n_slots, type_matrix(e->chain->element, n->rows, n->cols), &n->weight);
        n->b = add_stack(e, str_printf(e->arena, "%s.b%u", name, t + 1), c->n_slots, type_vector(e->chain->element, n->rows), &n->bias);
        basis = c->stage[t].kept ? n->rows : basis + n->rows;
    }
    for (uint32_t s = 0; s < c->n_slots; s++)
        store_leaf(e, c, s, numbers);
    return numbers;
}

static ConstId add_constants(Emitter *e, const Class *c, const char *name)
{
    Type t = value_type(e->net, e->chain->output);
    uint8_t *data;
    ConstId id = add_stack(e, str_printf(e->arena, "%s.y", name), c->n_slots, t, &data);
    for (uint32_t s = 0; s < c->n_slots; s++)
        for (uint32_t r = 0; r < e->chain->n_outputs; r++)
            store(t, data, (uint64_t)s * e->chain->n_outputs + r, e->leaf[c->code[s]].constant[r]);
    return id;
}

/* Labels that a leaf does not have are never chosen: they tie with its first, and that is lower. */
static ConstId add_labels(Emitter *e, const Class *c, const char *name)
{
    Type t = c->n_labels > 1 ? type_vector(type_int(32), c->n_labels) : type_int(32);
    uint8_t *data;
    ConstId id = add_stack(e, str_printf(e->arena, "%s.labels", name), c->n_slots, t, &data);
    for (uint32_t s = 0; s < c->n_slots; s++)
        for (uint32_t i = 0; i < c->n_labels; i++) {
            const Leaf *leaf = &e->leaf[c->code[s]];
            int32_t label = (int32_t)leaf->label[i < leaf->n_labels ? i : 0];
            memcpy(data + ((uint64_t)s * c->n_labels + i) * sizeof label, &label, sizeof label);
        }
    return id;
}

/* ---- a class ---- */

static Value named(Builder *b, Value v, const char *name)
{
    value_name(b->net, v, name);
    return v;
}

static Value build_row(Builder *b, ConstId stack, Value slot)
{
    if (!slot)
        return build_const(b, stack);
    return build_op(b, &(OpInit){.kind = OP_row, .n_operands = 1, .operand = &slot, .cst = {stack}})->result[0];
}

static Value build_sums(Builder *b, Value x, const Numbers *n, Value slot)
{
    OpInit init = {.kind = OP_affine, .n_operands = 5, .operand = (Value[]){x, slot, slot, 0, 0}, .cst = {n->W, n->b}};
    init.attr[AFFINE_order].i = ir_chains(n->rows, n->cols);
    return build_op(b, &init)->result[0];
}

static Value part_of(Builder *b, Value v, uint32_t from, uint32_t n)
{
    if (n == type_count(value_type(b->net, v)))
        return v;
    return build_slice(b, v, &from, &n);
}

/* The basis behind a stage. */
static Value build_basis(const Emitter *e, Builder *b, Value basis, const ShapeStage *stage, Value z, uint32_t number)
{
    Value part[2];
    uint32_t n = 0;
    if (!stage->kept)
        part[n++] = basis;
    else if (stage->plain)
        part[n++] = part_of(b, z, 0, stage->plain);
    if (stage->relu)
        part[n++] = named(b, build_unary(b, OP_relu, part_of(b, z, stage->plain, stage->relu)), str_printf(e->arena, "h%u", number));
    return n == 1 ? part[0] : named(b, build_concat(b, 2, part, 0), str_printf(e->arena, "basis%u", number));
}

static Value build_winner(Emitter *e, Builder *b, Value differences, ConstId labels, Value slot)
{
    ConstId zero = const_splat_f64(e->net->module, "first", type_vector(e->chain->element, 1), 0);
    Value scores = named(b, build_concat(b, 2, (Value[]){build_const(b, zero), differences}, 0), "scores");
    Value best = named(b, build_unary(b, OP_argmax, scores), "best");
    OpInit init = {.kind = OP_index, .n_operands = 2, .operand = (Value[]){build_row(b, labels, slot), best}};
    return build_op(b, &init)->result[0];
}

static Value build_class(Emitter *e, Builder *b, uint32_t number, Value x, Value slot)
{
    const Class *c = &e->classes.at[number];
    bool winner = e->chain->winner != WINNER_none;
    const char *name = str_printf(e->arena, "leaf%u", number);
    if (c->n_stages == 0)
        return build_row(b, winner ? add_labels(e, c, name) : add_constants(e, c, name), slot);
    const Numbers *numbers = add_numbers(e, c, name);
    for (uint32_t t = 0; t + 1 < c->n_stages; t++) {
        Value z = named(b, build_sums(b, x, &numbers[t], slot), str_printf(e->arena, "z%u", t + 1));
        x = build_basis(e, b, x, &c->stage[t], z, t + 1);
    }
    Value y = build_sums(b, x, &numbers[c->n_stages - 1], slot);
    if (winner)
        return build_winner(e, b, y, add_labels(e, c, name), slot);
    return c->stage[c->n_stages - 1].relu ? build_unary(b, OP_relu, y) : y;
}

/* ---- the tree ---- */

/* The order-preserving image of a number, as `ord` makes it. */
static void store_image(Type t, double x, uint8_t *to)
{
    float f = (float)x;
    if (t.elem == ELEM_F32) {
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        bits = bits >> 31 ? 0 - (bits & 0x7fffffffu) : bits;
        memcpy(to, &bits, sizeof bits);
    } else {
        uint64_t bits;
        memcpy(&bits, &x, sizeof bits);
        bits = bits >> 63 ? 0 - (bits & 0x7fffffffffffffffu) : bits;
        memcpy(to, &bits, sizeof bits);
    }
}

static uint32_t most_slots(const Classes *classes)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < classes->n; i++)
        most = classes->at[i].n_slots > most ? classes->at[i].n_slots : most;
    return most;
}

static ConstId add_tree(Emitter *e)
{
    const Split *split = e->split;
    Arena *arena = e->net->module->arena;
    uint32_t size = type_element_bytes(e->chain->element), *place = NEW_ARRAY(e->arena, e->chain->n_inputs, uint32_t);
    TreeNode *node = arena_big(arena, (split->n_nodes + 1) * sizeof *node, 64);
    TreeLeaf *leaf = arena_big(arena, split->n_leaves * sizeof *leaf, 64);
    uint8_t *threshold = arena_big(arena, ((size_t)split->n_nodes + 1) * size, 64);
    for (uint32_t i = 1; i < e->chain->n_inputs; i++)
        place[i] = place[i - 1] + input_is_free(e->chain, i - 1);
    for (uint32_t i = 0; i < split->n_nodes; i++) {
        const SplitNode *n = &split->node[i];
        node[i] = (TreeNode){place[n->coordinate], {n->child[0], n->child[1]}};
        store_image(e->chain->element, n->cut, threshold + (size_t)i * size);
    }
    for (uint32_t i = 0; i < split->n_leaves; i++)
        leaf[i] = (TreeLeaf){e->classes.class_of[split->code[i]], e->classes.slot_of[split->code[i]]};
    Tree *tree = NEW(arena, Tree);
    *tree = (Tree){.key = type_int(8 * size), .n_keys = e->n_free, .n_nodes = split->n_nodes, .n_leaves = split->n_leaves,
                   .n_classes = e->classes.n, .n_slots = most_slots(&e->classes), .threshold = threshold, .node = node, .leaf = leaf};
    ConstId id = const_tree(e->net->module, "split", tree, NOWHERE);
    e->bytes += const_bytes(const_get(e->net->module, id));
    return id;
}

/* The inputs that are free, one after the other. */
static Value build_free(const Emitter *e, Builder *b)
{
    const Chain *chain = e->chain;
    Value *part = NEW_ARRAY(e->arena, chain->n_inputs, Value);
    uint32_t n = 0;
    for (uint32_t i = 0, end; i < chain->n_inputs; i = end + 1) {
        for (end = i; end < chain->n_inputs && input_is_free(chain, end);)
            end++;
        if (end > i)
            part[n++] = part_of(b, chain->input, i, end - i);
    }
    return n == 1 ? part[0] : named(b, build_concat(b, n, part, 0), "free");
}

/* The slot as an index of the class's own stacks; 0: it has tensors. */
static Value build_slot(const Class *c, Builder *b, Value slot)
{
    if (c->n_slots == 1)
        return 0;
    Type t = type_idx(c->n_slots);
    return type_equal(value_type(b->net, slot), t) ? slot : named(b, build_cast(b, slot, t), "s");
}

static Value build_case(Emitter *e, Builder *b, Value x, Value class_, Value slot)
{
    Block **region = NEW_ARRAY(e->arena, e->classes.n, Block *);
    Type t = value_type(e->net, e->chain->output);
    for (uint32_t i = 0; i < e->classes.n; i++) {
        region[i] = block_new(e->net, 0, NULL);
        Builder inner = builder_at_end(region[i]);
        inner.span = b->span;
        Value y = build_class(e, &inner, i, x, build_slot(&e->classes.at[i], &inner, slot));
        build_op(&inner, &(OpInit){.kind = OP_yield, .n_operands = 1, .operand = &y});
    }
    OpInit init = {.kind = OP_case, .n_operands = 1, .operand = &class_, .n_regions = e->classes.n, .region = region, .n_hints = 1, .hint = &t};
    return build_op(b, &init)->result[0];
}

static void build_split(Builder *b, void *data, Value *out)
{
    Emitter *e = data;
    Value x = build_free(e, b);
    if (e->split->n_leaves == 1) {
        *out = build_class(e, b, 0, x, 0);
        return;
    }
    Value key = named(b, build_unary(b, OP_ord, x), "key");
    Op *descend = build_op(b, &(OpInit){.kind = OP_descend, .n_operands = 1, .operand = &key, .cst = {add_tree(e)}});
    Value class_ = named(b, descend->result[0], "class"), slot = named(b, descend->result[1], "slot");
    named(b, descend->result[2], "depth");
    *out = e->classes.n > 1 ? build_case(e, b, x, class_, slot) : build_class(e, b, 0, x, build_slot(&e->classes.at[0], b, slot));
}

/* ---- in place of the layers ---- */

static void replace_layers(Emitter *e)
{
    const Chain *chain = e->chain;
    Op *last = chain->ops.at[chain->ops.len - 1];
    Builder b = builder_before(chain->ops.at[0]);
    b.span = last->span;
    Value y;
    if (e->net->options.outside == OUTSIDE_dense) {
        Fallback otherwise = {chain->ops.at, chain->ops.len, &chain->output, 1};
        build_with_fallback(&b, e->arena, guard_with_status(e->net), build_split, e, &otherwise, &y);
    } else {
        build_split(&b, e, &y);
    }
    const char *name = e->net->values.at[chain->output].name;
    if (name)
        value_name(e->net, y, name);
    value_replace(e->net, chain->output, y);
    for (size_t i = chain->ops.len; i-- > 0;)
        op_remove(chain->ops.at[i]);
}

/* What is proven of all leaves. With a winner the source's own choice does not matter: the bound is against the greatest real score. */
static bool certify(Emitter *e, Emitted *out)
{
    double both = 0;
    for (uint32_t i = 0; i < e->split->n_codes; i++) {
        const Leaf *leaf = &e->leaf[i];
        if (!leaf->finite)
            return false;
        out->certified = fmax(out->certified, leaf->compiled);
        out->source = fmax(out->source, leaf->source);
        both = fmax(both, e->chain->winner == WINNER_none ? leaf->compiled + leaf->source : leaf->compiled);
    }
    e->net->certified_error = (e->net->certified_error + both) * (1 + 0x1p-50);
    return true;
}

/* Leaves are composed by several workers, each with an arena of its own that lives as long as the one given. */
typedef struct Composing { const Chain *chain; const Split *split; Leaf *leaf; Arena **arena; bool *exhausted; } Composing;

static void compose_one(void *data, size_t i, unsigned worker)
{
    const Composing *c = data;
    Arena *scratch = arena_new(NULL);
    if (!scratch || c->exhausted[worker]) {
        c->exhausted[worker] = true;
    } else if (ARENA_GUARD(c->arena[worker]) || ARENA_GUARD(scratch)) {
        c->exhausted[worker] = true;
    } else {
        c->leaf[i] = leaf_compose(c->arena[worker], scratch, c->chain, &c->split->codes[i]);
    }
    arena_unguard(c->arena[worker]);
    if (scratch)
        arena_free(scratch);
}

static void free_arena(void *arena) { arena_free(arena); }

static Leaf *compose_all(Arena *arena, unsigned threads, const Chain *chain, const Split *split)
{
    unsigned workers = parallel_workers(threads);
    Composing c = {chain, split, NEW_ARRAY(arena, split->n_codes, Leaf), NEW_ARRAY(arena, workers, Arena *), NEW_ARRAY(arena, workers, bool)};
    for (unsigned w = 0; w < workers; w++) {
        c.arena[w] = arena_new(NULL);
        if (!c.arena[w])
            arena_exhausted(arena);
        arena_defer(arena, free_arena, c.arena[w]);
    }
    parallel_for(threads, split->n_codes, compose_one, &c);
    for (unsigned w = 0; w < workers; w++)
        if (c.exhausted[w])
            arena_exhausted(arena);
    return c.leaf;
}

/* The same without codes that no leaf runs. */
static Split used_codes(Arena *arena, const Split *split)
{
    Split out = *split;
    uint32_t *number = NEW_ARRAY(arena, split->n_codes, uint32_t);
    out.n_codes = 0;
    out.codes = NEW_ARRAY(arena, split->n_codes, Code);
    out.code = NEW_ARRAY(arena, split->n_leaves, uint32_t);
    for (uint32_t i = 0; i < split->n_leaves; i++) {
        uint32_t code = split->code[i];
        if (number[code] == 0) {
            out.codes[out.n_codes++] = split->codes[code];
            number[code] = out.n_codes;
        }
        out.code[i] = number[code] - 1;
    }
    return out;
}

uint64_t split_stored_bytes(Arena *scratch, unsigned threads, const Chain *chain, const Split *all)
{
    Split used = used_codes(scratch, all);
    uint32_t n_free = n_free_inputs(chain), element = type_element_bytes(chain->element);
    Classes classes = classes_of(scratch, used.n_codes, compose_all(scratch, threads, chain, &used), used.codes, n_free, MOST_CLASSES);
    uint64_t bytes = used.n_nodes * (sizeof(TreeNode) + element) + used.n_leaves * sizeof(TreeLeaf);
    for (uint32_t i = 0; i < classes.n; i++)
        bytes += (uint64_t)(classes.at[i].n_slots * class_words(&classes.at[i], n_free)) * element;
    return bytes;
}

bool split_emit(Network *net, PassContext *ctx, const Chain *chain, const Split *all, Emitted *out)
{
    Split used = used_codes(ctx->arena, all), *split = &used;
    Emitter e = {.net = net, .arena = ctx->arena, .chain = chain, .split = split, .n_free = n_free_inputs(chain)};
    e.leaf = compose_all(ctx->arena, ctx->threads, chain, split);
    *out = (Emitted){.certified = 0};
    if (!certify(&e, out)) {
        diag_remark(ctx->diags, net->span, ctx->name, "a sum could overflow");
        return false;
    }
    e.classes = classes_of(ctx->arena, split->n_codes, e.leaf, split->codes, e.n_free, MOST_CLASSES);
    replace_layers(&e);
    out->classes = e.classes.n;
    out->bytes = e.bytes;
    return true;
}
