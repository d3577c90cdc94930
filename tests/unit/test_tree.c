/* test_tree.c — explicit trees: native code is the interpreter on both sides of every threshold, and on it.
 *
 *   shapes        balanced, skewed (depth 60), random; no node; parts of code that call one another
 *   sharing       leaves with several parents, nodes with several
 *   keys          i1 … i200, one coordinate, several, more than 65536
 *   what is asked slot alone, slot and class, the depth too; counted
 *
 * Each as a table and as code. A failure prints the tree's seed.
 */
#include "../../backend/backend.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

void suite_tree(void);

typedef enum Form { FORM_balanced, FORM_skewed, FORM_random, FORM_shared } Form;
typedef enum Asked { ASKED_slot, ASKED_both, ASKED_all, ASKED_counted } Asked;

typedef struct Case {
    Form form;
    uint32_t bits, n_keys, n_nodes, n_classes, n_slots;
    Asked asked;
} Case;

typedef struct Made { Arena *arena; Module *m; Network *net; Tree *tree; uint64_t state; } Made;

static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

/* ---- trees ---- */

/* Children come after their parents: nodes are handed out level by level (balanced), or as they are asked for. */
static void make_nodes(Made *made, const Case *c, TreeNode *node)
{
    uint32_t next = 1;
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        node[i].coordinate = random_below(&made->state, c->n_keys);
        for (uint32_t side = 0; side < 2; side++) {
            bool must = next == i + 1 && side == 1, wants = c->form == FORM_balanced || random_below(&made->state, 2);
            if (c->form == FORM_skewed)
                wants = side == i % 2;
            int32_t leaf = ~(int32_t)random_below(&made->state, made->tree->n_leaves);
            if (next < c->n_nodes && (wants || must))
                node[i].child[side] = (int32_t)next++;
            else if (c->form == FORM_shared && i + 1 < next && random_below(&made->state, 2))
                node[i].child[side] = (int32_t)(i + 1 + random_below(&made->state, next - i - 1));
            else
                node[i].child[side] = leaf;
        }
    }
}

static void make_tree(Made *made, const Case *c)
{
    Tree *t = made->tree = NEW(made->arena, Tree);
    *t = (Tree){.key = type_int(c->bits), .n_keys = c->n_keys, .n_nodes = c->n_nodes, .n_classes = c->n_classes, .n_slots = c->n_slots};
    t->n_leaves = c->n_nodes + 1 - c->n_nodes / 4;            /* fewer than there are places for: some are shared */
    TreeNode *node = NEW_ARRAY(made->arena, c->n_nodes + 1, TreeNode);
    TreeLeaf *leaf = NEW_ARRAY(made->arena, t->n_leaves, TreeLeaf);
    uint8_t *threshold = arena_array(made->arena, c->n_nodes + 1, type_element_bytes(t->key));
    random_elements(&made->state, t->key, c->n_nodes, false, threshold);
    make_nodes(made, c, node);
    for (uint32_t i = 0; i < t->n_leaves; i++)
        leaf[i] = (TreeLeaf){random_below(&made->state, c->n_classes), random_below(&made->state, c->n_slots)};
    t->node = node, t->leaf = leaf, t->threshold = threshold;
}

static Made make(const Case *c, uint64_t seed, Lower lower)
{
    Made made = {.arena = arena_new(NULL), .state = seed};
    Diags *diags = diag_new(made.arena);
    made.m = module_new(made.arena, diags);
    made.net = network_new(made.m, "n", NOWHERE);
    Value x = network_add_input(made.net, "x", type_vector(type_int(c->bits), c->n_keys), 0, NOWHERE);
    make_tree(&made, c);
    Builder b = builder_at_end(made.net->body);
    Op *op = build_op(&b, &(OpInit){.kind = OP_descend, .n_operands = 1, .operand = &x, .cst = {const_tree(made.m, "T", made.tree, NOWHERE)}});
    op->lower = lower;
    Value result[3] = {op->result[1], op->result[0], op->result[2]};
    uint32_t n = c->asked == ASKED_slot || c->asked == ASKED_counted ? 1 : c->asked == ASKED_both ? 2 : 3;
    static const char *const names[3] = {"slot", "class", "depth"};
    for (uint32_t i = 0; i < n; i++)
        network_add_output(made.net, names[i], value_type(made.net, result[i]), NOWHERE);
    build_return(&b, n, result, 0);
    network_done(made.net);
    if (c->asked == ASKED_counted)
        CU_ASSERT_TRUE(pipeline_run(made.m, diags, &(PipelineOptions){.passes = "guard,count-ops", .verify_each = true}));
    return made;
}

/* ---- keys around thresholds ---- */

/* a + delta, wrapping, in the memory form of an integer of so many bits. */
static void add_small(uint8_t *a, uint32_t bits, int delta)
{
    uint32_t bytes = type_element_bytes(type_int(bits)), carry = (uint32_t)delta;
    for (uint32_t k = 0; k < bytes; k++) {
        uint32_t sum = a[k] + (carry & 255);
        a[k] = (uint8_t)sum;
        carry = (uint32_t)((int32_t)carry >> 8) + (sum >> 8);
    }
    bool negative = bits > 1 && a[(bits - 1) / 8] >> (bits - 1) % 8 & 1;
    for (uint32_t k = bits; k < 8 * bytes; k++)
        a[k / 8] = (uint8_t)((a[k / 8] & ~(1u << k % 8)) | (uint32_t)negative << k % 8);
}

static bool agree(const Made *made, Interp *interp, Jit *jit, const void *x, bool counted)
{
    int32_t expected[3] = {0}, found[3] = {7, 7, 7};
    Counts tallies = {0}, counts = {0}, executed = {0};
    const void *in[1] = {x};
    void *out[2][3] = {{expected, expected + 1, expected + 2}, {found, found + 1, found + 2}};
    if (interp_run(interp, in, out[0], &executed, &tallies, NULL) != 0 || be_jit_run(jit, in, out[1], counted ? &counts : NULL) != 0)
        return false;
    return memcmp(expected, found, 4 * made->net->n_outputs) == 0 && (!counted || (memcmp(&tallies, &counts, sizeof counts) == 0 && counts.cmp == executed.cmp));
}

/* The keys are a walk's: all coordinates at random, one of them at the threshold of a node. */
static bool compare(Made *made, const Case *c, int level)
{
    uint32_t bytes = type_element_bytes(type_int(c->bits));
    TargetOptions options = {.pic = true};
    Interp *interp = interp_new(made->arena, made->net);
    Jit *jit = be_jit(made->arena, made->net, &options, level);
    uint8_t *x = arena_array(made->arena, c->n_keys, bytes);
    if (!jit)
        return false;
    for (uint32_t i = 0; i < 100 + 3 * c->n_nodes; i++) {
        random_elements(&made->state, type_int(c->bits), c->n_keys, false, x);
        if (i >= 100) {
            uint32_t node = (i - 100) / 3;
            uint8_t *at = x + (size_t)made->tree->node[node].coordinate * bytes;
            memcpy(at, made->tree->threshold + (size_t)node * bytes, bytes);
            add_small(at, c->bits, (int)(i % 3) - 1);
        }
        if (!agree(made, interp, jit, x, c->asked == ASKED_counted))
            return false;
    }
    return true;
}

static void check(Case c, uint64_t seed, bool every_level)
{
    for (int as_code = 0; as_code < 2; as_code++) {
        Made made = make(&c, seed, as_code ? LOWER_branch : LOWER_auto);
        int levels = every_level ? host_levels() : 0;
        for (int level = levels ? 1 : 0; level <= levels; level++)
            if (!compare(&made, &c, level)) {
                fprintf(stderr, "seed %llu, level %d, %s, i%u, %u nodes, form %d: generated code differs from the interpreter\n", (unsigned long long)seed,
                        level, as_code ? "code" : "table", c.bits, c.n_nodes, (int)c.form);
                CU_FAIL("a tree differs");
            }
        arena_free(made.arena);
    }
}

/* ---- tests ---- */

static void test_sizes(void)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 14, 15, 16, 17, 254, 255, 256, 257, 600};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (Form form = FORM_balanced; form <= FORM_shared; form++)
            check((Case){form, 64, 1 + (uint32_t)i % 3, sizes[i], 1 + (uint32_t)i % 2, sizes[i] + 1, (Asked)(i % 4)}, i + 1, i % 5 == 3);
}

static void test_keys(void)
{
    static const uint32_t bits[] = {1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200, 1000};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        check((Case){FORM_random, bits[i], 1, 40, 3, 50, ASKED_all}, 50 + i, i % 4 == 0);
        check((Case){FORM_random, bits[i], 2 + 7 * ((uint32_t)i % 2), 40, 1, 50, ASKED_counted}, 80 + i, false);
    }
    check((Case){FORM_random, 32, 70000, 300, 1, 50, ASKED_slot}, 99, false);
}

static void test_skewed(void)
{
    for (Asked asked = ASKED_slot; asked <= ASKED_counted; asked++)
        check((Case){FORM_skewed, 64, 1, 60, 2, 61, asked}, 100 + (uint64_t)asked, true);
    check((Case){FORM_skewed, 40, 3, 2000, 1, 61, ASKED_all}, 104, false);
}

/* Leaves that 31 bits cannot hold, or 64; one of everything. */
static void test_leaves(void)
{
    check((Case){FORM_random, 32, 1, 100, 1, INT32_MAX, ASKED_all}, 110, false);
    check((Case){FORM_random, 32, 1, 100, 2, INT32_MAX, ASKED_all}, 111, false);
    check((Case){FORM_random, 32, 1, 100, INT32_MAX, INT32_MAX, ASKED_all}, 112, false);
    check((Case){FORM_random, 32, 1, 100, INT32_MAX, INT32_MAX, ASKED_slot}, 113, false);
    check((Case){FORM_random, 32, 1, 100, 1, 1, ASKED_all}, 114, false);
    check((Case){FORM_random, 32, 1, 0, 5, 7, ASKED_all}, 115, true);
}

static void test_large(void)
{
    check((Case){FORM_balanced, 64, 1, 5000, 1, 5001, ASKED_slot}, 120, false);
    check((Case){FORM_random, 32, 64, 20000, 1, 20001, ASKED_counted}, 121, false);
    check((Case){FORM_shared, 32, 64, 3000, 1, 20001, ASKED_slot}, 122, false);
    check((Case){FORM_shared, 16, 5, 3000, 1, 20001, ASKED_counted}, 123, false);
}

void suite_tree(void)
{
    CU_pSuite s = CU_add_suite("trees", NULL, NULL);
    CU_add_test(s, "trees of every size and form", test_sizes);
    CU_add_test(s, "keys of every width", test_keys);
    CU_add_test(s, "skewed trees", test_skewed);
    CU_add_test(s, "what leaves hold", test_leaves);
    CU_add_test(s, "large trees", test_large);
}
