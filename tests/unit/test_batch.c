/* test_batch.c — NAME_eval_batch by blocks of inputs gives every input the bits that NAME_eval gives it.
 *
 *   random networks     scalars, addresses, sets and regions between shared layers; little stack: blocks of few inputs
 *   large layers        sizes that are cut into pieces, tiles of any number of vectors, every way to walk columns, chains
 *   strides             gaps stay, backwards, the same input for all; outputs that overlap
 *
 * A failure prints its seed. NAME_eval itself is compared with the interpreter in test_backend.c.
 */
#include "../../backend/backend.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

void suite_batch(void);

enum { GAP = 3, MOST_PORTS = 64, ONE_FOR_ALL = 8, OVERLAP = 11 };       /* hows: from 8 on, 11 */

typedef struct Case {
    Arena *arena;
    Diags *diags;
    Module *m;
    Network *net;
    uint64_t seed;
    TargetOptions options;
    uint32_t batches;              /* compared with blocks of inputs */
} Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed, .options = {.pic = true, .share_always = true}};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------------- */

static bool is_nan_at(Type t, const uint8_t *at)
{
    float f;
    double d;
    memcpy(&f, at, 4);
    if (t.elem == ELEM_F32)
        return isnan(f);
    memcpy(&d, at, t.elem == ELEM_F64 ? 8 : 4);
    return t.elem == ELEM_F64 && isnan(d);
}

/* The same bytes; one NaN is as good as another. */
static bool same(Type t, uint64_t n, const uint8_t *a, const uint8_t *b)
{
    uint32_t size = type_element_bytes(t);
    for (uint64_t i = 0; i < n; i++, a += size, b += size)
        if (memcmp(a, b, size) != 0 && !(type_is_float(t) && is_nan_at(t, a) && is_nan_at(t, b)))
            return false;
    return true;
}

/* Rows of one input or output: `first` is row 0, and may be the last in memory. */
typedef struct Rows { Type type; uint64_t elements, bytes; uint8_t *at, *first; ptrdiff_t stride; } Rows;

static Rows rows_new(Case *c, Type t, size_t n, bool backwards)
{
    uint64_t count = type_count(t), row = count + GAP;
    Rows r = {.type = t, .elements = row * n, .stride = backwards ? -(ptrdiff_t)row : (ptrdiff_t)row};
    r.bytes = r.elements * type_element_bytes(t);
    r.at = arena_alloc(c->arena, r.bytes + 1);
    r.first = r.at + (backwards && n ? (n - 1) * row * type_element_bytes(t) : 0);
    memset(r.at, 0x55, r.bytes);
    return r;
}

static uint8_t *row_at(const Rows *r, size_t i)
{
    return r->first + (ptrdiff_t)i * r->stride * (ptrdiff_t)type_element_bytes(r->type);
}

static int worst_of(int a, int b)
{
    return a < 0 || b < 0 ? (a < b ? a : b) : a > b ? a : b;
}

/* `n` inputs at once and one by one; how: its bits say which ports go backwards. */
static bool agree(Case *c, Jit *jit, size_t n, uint64_t how)
{
    const Network *net = c->net;
    Rows in[MOST_PORTS], out[MOST_PORTS], reference[MOST_PORTS];
    const void *ins[MOST_PORTS];
    void *outs[MOST_PORTS];
    ptrdiff_t strides[2 * MOST_PORTS];
    uint64_t state = c->seed * 77 + how;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        in[i] = rows_new(c, net->input[i].type, n, how >> i & 1);
        random_elements(&state, type_element(in[i].type), in[i].elements, how % 3 == 1, in[i].at);
        for (uint64_t k = 0; how % 2 && k < in[i].elements * type_element_bytes(in[i].type); k += type_element_bytes(in[i].type))
            if (random_below(&state, 4))          /* mostly zeros: other columns for each input, and few */
                memset(in[i].at + k, 0, type_element_bytes(in[i].type));
        if (how >= ONE_FOR_ALL)
            in[i].stride = 0;
        ins[i] = in[i].first;
        strides[i] = in[i].stride;
    }
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        reference[i] = rows_new(c, net->output[i].type, n, how != OVERLAP && how >> i & 2);
        out[i] = rows_new(c, net->output[i].type, n, how != OVERLAP && how >> i & 2);
        if (how == OVERLAP)
            out[i].stride = reference[i].stride = type_count(out[i].type) ? (ptrdiff_t)type_count(out[i].type) - 1 : 0;
        strides[net->n_inputs + i] = out[i].stride;
        outs[i] = out[i].first;
    }
    int status = 12345, worst = 0;
    if (!be_jit_batch(jit, n, ins, outs, strides, &status))
        return true;
    c->batches++;
    for (size_t r = 0; r < n; r++) {
        for (uint32_t i = 0; i < net->n_inputs; i++)
            ins[i] = row_at(&in[i], r);
        for (uint32_t i = 0; i < net->n_outputs; i++)
            outs[i] = row_at(&reference[i], r);
        worst = worst_of(worst, be_jit_run(jit, ins, outs, NULL));
    }
    bool fine = status == worst;
    for (uint32_t i = 0; i < net->n_outputs; i++)
        fine = fine && same(type_element(out[i].type), out[i].elements, out[i].at, reference[i].at);
    return fine;
}

static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

static void check(Case *c)
{
    static const size_t sizes[] = {2, 31, 0, 33, 1, 70, 16, 5, 3, 35, 7, 9};
    int levels = host_levels();
    for (int level = levels ? 1 : 0; level <= levels; level++) {
        if (c->net->options.contract == CONTRACT_fma && level && level < 3)
            continue;
        Jit *jit = be_jit(c->arena, c->net, &c->options, level);
        CU_ASSERT_PTR_NOT_NULL(jit);
        for (uint64_t how = 0; jit && how < sizeof sizes / sizeof *sizes; how++)
            if (!agree(c, jit, sizes[how], how)) {
                fprintf(stderr, "seed %llu, level %d, %zu inputs: a batch differs from its inputs one by one\n",
                        (unsigned long long)c->seed, level, sizes[how]);
                CU_FAIL("a batch differs");
                break;
            }
    }
}

/* ---- random networks -------------------------------------------------------------------------------------------------------- */

static void test_random(void)
{
    unsigned features = RANDOM_ALL & ~(unsigned)(RANDOM_CALLS | RANDOM_EXITS | RANDOM_WIDE);
    uint32_t shared = 0;
    for (uint64_t seed = 1; seed <= 36; seed++) {
        Case c = case_new(seed);
        c.net = random_network(c.m, seed, (RandomNetOptions){seed % 4 == 3 ? features : features & ~(unsigned)RANDOM_INDICES, 30});
        if (seed % 2)
            c.net->options.contract = CONTRACT_fma;
        if (seed % 5 == 0)
            c.options.max_stack = 4096;
        if (c.net->n_inputs + c.net->n_outputs <= MOST_PORTS)
            check(&c);
        shared += c.batches > 0;
        arena_free(c.arena);
    }
    CU_ASSERT_TRUE(shared >= 10);
}

/* ---- large layers ------------------------------------------------------------------------------------------------------------ */

static ConstId numbers(Case *c, Type t, uint64_t *state, bool tame)
{
    uint64_t n = type_count(t);
    uint8_t *at = arena_alloc(c->arena, n * type_element_bytes(t) + 8);
    random_elements(state, t, n, false, at);
    for (uint64_t i = 0; i < n && tame; i++)                            /* about half of the sums above zero, whatever comes */
        ((float *)at)[i] = (float)((int)random_below(state, 2001) - 1000) / 512;
    return const_add(c->m, "W", t, at, NOWHERE);
}

typedef struct Layers { uint32_t cols, rows, then; Lower lower; uint32_t below, chains; bool fma, zeros; } Layers;

static Value layer(Case *c, Builder *b, uint64_t *state, Value x, uint32_t cols, uint32_t rows, const Layers *l, Activity activity)
{
    OpInit active = {.kind = OP_active, .n_operands = 1, .operand = &x, .attr = {{.i = activity}}};
    Value set = l->lower == LOWER_auto ? 0 : build_op(b, &active)->result[0];
    ConstId W = numbers(c, type_matrix(type_f32(), rows, cols), state, true), bias = numbers(c, type_vector(type_f32(), rows), state, true);
    OpInit affine = {.kind = OP_affine, .n_operands = 5, .operand = (Value[5]){[AFFINE_x] = x, [AFFINE_cols] = set}, .cst = {W, bias},
                     .attr = {{.i = l->chains}, {.i = l->zeros ? ZEROS_skip : ZEROS_keep}}};
    Op *op = build_op(b, &affine);
    op->lower = l->lower;
    op->below = l->below;
    return op->result[0];
}

/* y = W2 relu(W1 x + b1) + b2; a scalar, a set and an address pass over the second layer. */
static void layers(const Layers *l)
{
    Case c = case_new(l->cols * 7919 + l->rows * 31 + l->lower);
    uint64_t state = c.seed;
    c.net = network_new(c.m, "n", NOWHERE);
    c.net->options.contract = l->fma ? CONTRACT_fma : CONTRACT_off;
    Value x = network_add_input(c.net, "x", type_matrix(type_f32(), 1, l->cols), 0, NOWHERE);
    network_add_output(c.net, "y", type_vector(type_f32(), l->then), NOWHERE);
    network_add_output(c.net, "best", type_idx(l->rows), NOWHERE);
    network_add_output(c.net, "x0", type_vector(type_f32(), 1), NOWHERE);
    Builder b = builder_at_end(c.net->body);
    Value flat = build_reshape(&b, x, 1, (uint32_t[]){l->cols});
    Value h = build_unary(&b, OP_relu, layer(&c, &b, &state, flat, l->cols, l->rows, l, ACTIVITY_nonzero));
    Value best = build_unary(&b, OP_argmax, h);
    OpInit active = {.kind = OP_active, .n_operands = 1, .operand = &h, .attr = {{.i = ACTIVITY_notle0}}};
    Value set = build_op(&b, &active)->result[0];
    Value y = layer(&c, &b, &state, h, l->rows, l->then, l, ACTIVITY_notle0);
    Value x0 = build_slice(&b, flat, (uint32_t[]){l->cols - 1}, (uint32_t[]){1});
    Value size = build_unary(&b, OP_size, set);
    network_add_output(c.net, "size", value_type(c.net, size), NOWHERE);
    build_return(&b, 4, (Value[]){y, best, x0, size}, 0);
    network_done(c.net);
    check(&c);
    CU_ASSERT_TRUE(c.batches > 0);
    arena_free(c.arena);
}

static void test_layers(void)
{
    static const Layers all[] = {
        {784, 256, 40, LOWER_auto, 0, 1, false, false},
        {784, 256, 256, LOWER_mask, 700, 1, false, false},
        {700, 208, 300, LOWER_list, 40, 1, true, false},
        {1500, 17, 9, LOWER_auto, 0, 1, true, false},
        {65, 1000, 700, LOWER_mask, 0, 1, false, false},
        {300, 600, 40, LOWER_auto, 0, 4, false, false},
        {3000, 230, 33, LOWER_mask, 64, 1, true, false},
        {2300, 130, 50, LOWER_branch, 0, 1, false, false},
        {900, 300, 200, LOWER_list, 500, 2, false, false},
        {1300, 240, 100, LOWER_mask, 900, 1, false, true},
        {600, 120, 80, LOWER_dense, 0, 1, false, true},
        {64, 2500, 300, LOWER_mask, 50, 1, true, false},
        {4600, 250, 40, LOWER_list, 4000, 1, false, false},
        {530, 2100, 600, LOWER_auto, 0, 1, false, false},
        {1100, 1033, 64, LOWER_list, 900, 1, true, false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        layers(&all[i]);
}

void suite_batch(void)
{
    CU_pSuite s = CU_add_suite("batch", NULL, NULL);
    CU_add_test(s, "random networks", test_random);
    CU_add_test(s, "large layers", test_layers);
}
