/* test_backend.c — generated code is the interpreter, bit for bit.
 *
 *   random networks     every level this CPU has, both contractions, stack and scratch; statuses and tallies too
 *   counted networks    native counters = tallies = what the interpreter executed = the formula at the events <= the bound
 *   sets made of sets   `extend` at every place of a word
 *   weights of sets     `weigh` for every width of element and every size around words and vectors
 *   dense layers        every size that makes another kernel: rows and columns around vectors, tiles and chains
 *   indices             inputs that are none are refused as the interpreter refuses them
 *   walks               lists and sets stay as they are while a loop goes through them
 *   odd values          NaN, infinities, -0.0, in weights, biases and inputs
 *   sizes, symbols      what be_sizes says; names that are no C identifiers
 *   refusals            targets and options that cannot be had are diagnostics
 *
 * A failure prints its seed. On machines without x86-64 levels the best one stands for all.
 */
#include "../../backend/backend.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_backend(void);

/* Whether kernels leave out the terms that `zeros = skip` says are not there. As long as they sum them (the same bits where all is
 * finite), 0 times infinity is NaN in machine code and nothing in the interpreter: networks with the attribute are then
 * compared only where neither NaN nor infinity arises. To be set when the back end reads the attribute. */
enum { KERNELS_SKIP_ZEROS = true };

typedef struct Case {
    Arena *arena;
    Diags *diags;
    Module *m;
    Network *net;
    uint64_t seed;
    TargetOptions options;
    bool tame;                     /* no sample holds NaN or infinity */
    bool counted;                  /* count-ops has run: all ways of counting must agree */
} Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed, .options = {.pic = true}};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------------- */

static bool has_tallies(const Network *net)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (op->kind == OP_tally)
            return true;
    return false;
}

/* Levels to try: those of the host; one try otherwise. */
static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

static bool same_counts(Counts a, Counts b) { return memcmp(&a, &b, sizeof a) == 0; }

/* The formula at what happened, and the bound over all inputs. */
static bool formula_agrees(const Network *net, Counts executed, const Events *events)
{
    NetworkCost bound = network_cost(net);
    Counts most = bound.range.max, least = bound.range.min;
    return same_counts(network_cost_at(net, events), executed) && counts_total(executed) <= bound.total_max &&
           counts_total(executed) >= bound.total_min && executed.add <= most.add && executed.mul <= most.mul && executed.cmp <= most.cmp &&
           executed.other <= most.other && executed.add >= least.add && executed.mul >= least.mul;
}

/* One evaluation on both engines, from the same inputs: native code reads nothing beyond them and writes nothing beside its outputs. */
static bool agree(Case *c, Interp *interp, Jit *jit, uint64_t sample)
{
    Network *net = c->net;
    void **in, **reference, **out = outputs_with_margins(c->arena, net);
    random_buffers(c->arena, net, c->seed * 31 + sample, sample % 2 == 1 && !c->tame, &in, &reference);
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        uint64_t bytes = type_count(net->input[i].type) * type_element_bytes(net->input[i].type);
        in[i] = memcpy(at_page_end(c->arena, bytes), in[i], bytes);
    }
    Counts executed = {0}, tallies = {0}, counts = {0};
    Events events = events_new(c->arena, net);
    int status = interp_run(interp, (const void *const *)in, reference, &executed, &tallies, &events);
    bool fine = be_jit_run(jit, (const void *const *)in, out, has_tallies(net) ? &counts : NULL) == status;
    for (uint32_t i = 0; status >= 0 && i < net->n_outputs; i++)
        fine = fine && same_elements(net->output[i].type, reference[i], out[i]);
    fine = fine && margins_untouched(net, out);
    if (has_tallies(net))
        fine = fine && same_counts(tallies, counts);
    if (c->counted)
        fine = fine && same_counts(executed, counts) && formula_agrees(net, executed, &events);
    return fine;
}

static void check(Case *c, uint64_t samples)
{
    int levels = host_levels();
    Interp *interp = interp_new(c->arena, c->net);
    for (int level = levels ? 1 : 0; level <= levels; level++) {
        if (c->net->options.contract == CONTRACT_fma && level && level < 3)
            continue;
        Jit *jit = be_jit(c->arena, c->net, &c->options, level);
        if (!jit) {
            diag_flush(c->diags, stderr, DIAG_PLAIN);
            CU_FAIL("no machine code");
            continue;
        }
        for (uint64_t s = 0; s < samples; s++)
            if (!agree(c, interp, jit, s)) {
                fprintf(stderr, "seed %llu, level %d, sample %llu: generated code differs from the interpreter\n",
                        (unsigned long long)c->seed, level, (unsigned long long)s);
                CU_FAIL("generated code differs");
                break;
            }
    }
}

/* ---- random networks -------------------------------------------------------------------------------------------------------- */

static void random_networks(unsigned features, uint64_t first, uint64_t n, uint32_t ops)
{
    for (uint64_t seed = first; seed < first + n; seed++) {
        Case c = case_new(seed);
        c.net = random_network(c.m, seed, (RandomNetOptions){features & ~(unsigned)RANDOM_CALLS, ops});
        c.tame = features & RANDOM_ZEROS && !KERNELS_SKIP_ZEROS;
        if (seed % 2)
            c.net->options.contract = CONTRACT_fma;
        if (seed % 3 == 0)
            c.options.max_stack = 64;             /* what is wider comes from scratch */
        check(&c, 4);
        arena_free(c.arena);
    }
}

static void test_dense(void) { random_networks(RANDOM_DENSE | RANDOM_TALLY, 1, 12, 0); }
static void test_wide_integers(void) { random_networks(RANDOM_INTS | RANDOM_WIDE, 100, 12, 0); }
static void test_selections(void) { random_networks(RANDOM_SETS | RANDOM_INDICES | RANDOM_STACKS | RANDOM_TREES | RANDOM_NONFINITE, 200, 16, 0); }
static void test_regions(void)
{
    random_networks(RANDOM_ALL & ~(unsigned)(KERNELS_SKIP_ZEROS ? RANDOM_WIDE : RANDOM_WIDE | RANDOM_ZEROS), 300, 20, 40);
}

/* What makes NaN and infinities out of finite numbers stays away until kernels skip zeros. */
/* Bodies of several functions: scalars, addresses and sets that one makes and another uses; refusals and tallies of each. */
static void test_long_bodies(void)
{
    random_networks(RANDOM_ALL & ~(unsigned)RANDOM_WIDE, 700, 6, 300);
    random_networks(RANDOM_INDICES | RANDOM_STACKS | RANDOM_SETS | RANDOM_TREES | RANDOM_TALLY | RANDOM_EXITS, 710, 6, 500);
}

enum { ZEROS_FEATURES = KERNELS_SKIP_ZEROS ? RANDOM_ZEROS | RANDOM_SETS | RANDOM_DENSE | RANDOM_NONFINITE | RANDOM_EMPTY
                                           : RANDOM_ZEROS | RANDOM_SETS | RANDOM_F64 | RANDOM_EMPTY };

static void test_zero_weights(void) { random_networks(ZEROS_FEATURES, 400, 24, 0); }

/* Counting in machine code, whatever branch is taken and whatever columns are active. */
static void test_counted(void)
{
    unsigned features = ZEROS_FEATURES | RANDOM_REGIONS | RANDOM_EXITS | RANDOM_TREES | RANDOM_STACKS | RANDOM_INDICES;
    for (uint64_t seed = 500; seed < 524; seed++) {
        Case c = case_new(seed);
        c.net = random_network(c.m, seed, (RandomNetOptions){features, 30});
        c.tame = !KERNELS_SKIP_ZEROS;
        c.counted = true;
        CU_ASSERT(pipeline_run(c.m, c.diags, &(PipelineOptions){.passes = "guard,count-ops", .verify_each = true}));
        check(&c, 6);
        arena_free(c.arena);
    }
}

/* ---- weights of sets ------------------------------------------------------------------------------------------------------------ */

static ConstId numbers(Case *c, Type t, uint64_t *state, bool wild);

/* The set of the inputs above 0, weighed by a constant, as counted layers without zero weights do, or by another input. */
static void weight(uint32_t n, uint32_t bits, bool constant)
{
    Case c = case_new((uint64_t)n * 131 + bits);
    uint64_t state = c.seed;
    c.net = network_new(c.m, "n", NOWHERE);
    Value x = network_add_input(c.net, "x", type_vector(type_f32(), n), 0, NOWHERE);
    Type t = type_vector(type_int(bits), n);
    Value v = constant ? 0 : network_add_input(c.net, "v", t, 0, NOWHERE);
    network_add_output(c.net, "y", type_int(bits), NOWHERE);
    Builder b = builder_at_end(c.net->body);
    OpInit active = {.kind = OP_active, .n_operands = 1, .operand = &x, .attr = {{.i = ACTIVITY_gt0}}};
    Value s = build_op(&b, &active)->result[0];
    Value y = build_binary(&b, OP_weigh, s, constant ? build_const(&b, numbers(&c, t, &state, false)) : v);
    build_return(&b, 1, &y, 0);
    network_done(c.net);
    check(&c, 4);
    arena_free(c.arena);
}

static void test_weigh(void)
{
    static const uint32_t sizes[] = {0, 1, 3, 15, 16, 17, 31, 50, 63, 64, 65, 100, 127, 128, 250, 300};
    static const uint32_t bits[] = {1, 8, 13, 16, 32, 64, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        weight(sizes[i], 32, true);
        weight(sizes[i], bits[i % (sizeof bits / sizeof *bits)], i % 2);
    }
    weight(3, 1, false);
    weight(5, 1, false);
}

/* ---- sets made of sets ------------------------------------------------------------------------------------------------------------ */

/* The inputs above 0, extended, and what is in exactly one of that and of all inputs that are not 0: sizes and columns. */
static void extended(uint32_t n, uint32_t before, uint32_t after)
{
    Case c = case_new(((uint64_t)n * 131 + before) * 131 + after);
    uint64_t state = c.seed;
    uint32_t all = before + n + after;
    c.net = network_new(c.m, "n", NOWHERE);
    Value x = network_add_input(c.net, "x", type_vector(type_f32(), n), 0, NOWHERE);
    Value v = network_add_input(c.net, "v", type_vector(type_f32(), all), 0, NOWHERE);
    network_add_output(c.net, "y", type_vector(type_f32(), 2), NOWHERE);
    network_add_output(c.net, "size", type_int(32), NOWHERE);
    network_add_output(c.net, "weight", type_int(64), NOWHERE);
    Builder b = builder_at_end(c.net->body);
    OpInit gt0 = {.kind = OP_active, .n_operands = 1, .operand = &x, .attr = {{.i = ACTIVITY_gt0}}};
    OpInit nonzero = {.kind = OP_active, .n_operands = 1, .operand = &v, .attr = {{.i = ACTIVITY_nonzero}}};
    Value s = build_op(&b, &gt0)->result[0], t = build_op(&b, &nonzero)->result[0];
    OpInit extend = {.kind = OP_extend, .n_operands = 1, .operand = &s, .attr = {{.i = before}, {.i = after}}};
    Value e = build_op(&b, &extend)->result[0], both = build_binary(&b, OP_xor, e, t);
    Value y = build_affine(&b, v, numbers(&c, type_matrix(type_f32(), 2, all), &state, false), 0, 1);
    value_op(c.net, y)->operand[AFFINE_cols] = e;
    Value w = build_const(&b, numbers(&c, type_vector(type_int(64), all), &state, false));
    build_return(&b, 3, (Value[]){y, build_unary(&b, OP_size, both), build_binary(&b, OP_weigh, e, w)}, 0);
    network_done(c.net);
    check(&c, 3);
    arena_free(c.arena);
}

static void test_extend(void)
{
    static const uint32_t sizes[] = {0, 1, 5, 32, 63, 64, 65, 130}, ends[] = {0, 1, 31, 62, 63, 64, 65, 128, 200};
    uint32_t n_ends = sizeof ends / sizeof *ends;
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint32_t k = 0; k < n_ends; k++)
            extended(sizes[i], ends[k], ends[(k * 5 + i) % n_ends]);
}

/* ---- dense layers of every shape --------------------------------------------------------------------------------------------- */

static ConstId numbers(Case *c, Type t, uint64_t *state, bool wild)
{
    uint64_t n = type_count(t);
    void *at = arena_alloc(c->arena, n * type_element_bytes(t));
    random_elements(state, t, n, wild, at);
    return const_add(c->m, "W", t, at, NOWHERE);
}

/* relu(W x + b) with `rows` rows, then one more affine without a bias, so that padding is read by nobody. */
static void layer(uint32_t rows, uint32_t cols, uint32_t chains, Type t, Type weights, bool transposed, Contract contract)
{
    Case c = case_new(((uint64_t)rows * 4099 + cols) * 37 + chains);
    uint64_t state = c.seed;
    c.net = network_new(c.m, "n", NOWHERE);
    c.net->options.contract = contract;
    Value x = network_add_input(c.net, "x", type_vector(t, cols), 0, NOWHERE);
    network_add_output(c.net, "h", type_vector(t, rows), NOWHERE);
    network_add_output(c.net, "y", type_vector(t, 3), NOWHERE);
    Builder b = builder_at_end(c.net->body);
    ConstId W = transposed ? const_transposed(c.m, numbers(&c, type_matrix(weights, cols, rows), &state, false), (uint32_t[]){1, 0})
                           : numbers(&c, type_matrix(weights, rows, cols), &state, false);
    Value h = build_affine(&b, x, W, numbers(&c, type_vector(weights, rows), &state, false), chains);
    Value r = build_unary(&b, OP_relu, h);
    Value y = build_affine(&b, r, numbers(&c, type_matrix(weights, 3, rows), &state, false), 0, 1);
    build_return(&b, 2, (Value[]){chains % 2 ? h : r, y}, 0);
    network_done(c.net);
    check(&c, 2);
    arena_free(c.arena);
}

static void test_shapes(void)
{
    static const uint32_t rows[] = {0, 1, 5, 8, 17, 50, 257, 300}, cols[] = {0, 1, 7, 33}, chains[] = {1, 2, 4, 8, 16};
    uint32_t k = 0;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++, k++)
            layer(rows[r], cols[c], chains[k % 5], k % 3 ? type_f32() : type_f64(), k % 3 == 2 || k % 2 ? type_f32() : k % 3 ? type_f32() : type_f64(),
                  k % 4 == 1, k % 7 == 3 ? CONTRACT_fma : CONTRACT_off);
    for (uint32_t c = 0; c < 5; c++)
        for (uint32_t m = 1; m < 20; m += 7)
            layer(m, 37, chains[c], type_f32(), type_f32(), false, CONTRACT_off);
    layer(33, 20, 1, type_int(8), type_int(8), false, CONTRACT_off);
    layer(7, 20, 1, type_int(32), type_int(32), true, CONTRACT_off);
}

/* Beyond 512 bits products and quotients are functions of their own. */
static void test_many_words(void)
{
    for (uint32_t bits = 513; bits < 900; bits += 127) {
        Case c = case_new(bits);
        uint64_t state = bits;
        Type t = type_vector(type_int(bits), 3);
        c.net = network_new(c.m, "n", NOWHERE);
        Value x = network_add_input(c.net, "x", t, 0, NOWHERE), z = network_add_input(c.net, "z", t, 0, NOWHERE);
        network_add_output(c.net, "product", t, NOWHERE);
        network_add_output(c.net, "quotient", t, NOWHERE);
        network_add_output(c.net, "sum", t, NOWHERE);
        Builder b = builder_at_end(c.net->body);
        Value y[3] = {build_binary(&b, OP_mul, x, z), build_binary(&b, OP_div, x, z)};
        y[2] = build_affine(&b, y[1], numbers(&c, type_matrix(type_int(bits), 3, 3), &state, false), 0, 1);
        build_return(&b, 3, y, 0);
        network_done(c.net);
        check(&c, 6);
        arena_free(c.arena);
    }
}

/* ---- indices from outside --------------------------------------------------------------------------------------------------------- */

static const char choosing[] =
    "format_version 1\n"
    "const @S : stack f32[3,2] = [[0x1p+0, 0x1p+1], [0x1.8p+1, 0x1p+2], [0x1.4p+2, 0x1.8p+2]]\n"
    "network @n(%i: idx[3], %l: idx[3][4]) -> (y: f32[2], z: i32) {\n"
    "    %s = row @S[%i] : f32[2]\n"
    "    %y = each %l, %s : f32[2] { |%k: idx[3], %sum: f32[2]|\n"
    "        %t = row @S[%k] : f32[2]\n"
    "        %next = add %sum, %t : f32[2]\n"
    "        yield %next\n"
    "    }\n"
    "    %z = cast %i : i32\n"
    "    return %y, %z\n"
    "}\n";

/* Every place of an index in turn holds what is none; outputs keep what they held. */
static void indices_at(Case *c, int level)
{
    static const int32_t values[] = {0, 2, 3, -1, INT32_MIN, INT32_MAX};
    Interp *interp = interp_new(c->arena, c->net);
    Jit *jit = be_jit(c->arena, c->net, &c->options, level);
    CU_ASSERT_PTR_NOT_NULL_FATAL(jit);
    for (int place = 0; place < 5; place++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            int32_t index[5] = {1, 0, 1, 2, 0}, z[2] = {7, 7};
            float y[2][2] = {{7, 7}, {7, 7}};
            index[place] = values[k];
            const void *in[2] = {index, index + 1};
            int expected = interp_run(interp, in, (void *[]){y[0], &z[0]}, NULL, NULL, NULL);
            CU_ASSERT_EQUAL(expected, k < 2 ? 0 : -2);
            CU_ASSERT_EQUAL(be_jit_run(jit, in, (void *[]){y[1], &z[1]}, NULL), expected);
            CU_ASSERT_TRUE(memcmp(y[0], y[1], sizeof y[0]) == 0 && z[0] == z[1]);
        }
}

static void test_indices(void)
{
    Case c = case_new(8);
    c.m = ir_read_text(c.arena, c.diags, "t", choosing, strlen(choosing));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c.m);
    c.net = c.m->networks.at[0];
    int levels = host_levels();
    for (int level = levels ? 1 : 0; level <= levels; level++)
        indices_at(&c, level);
    arena_free(c.arena);
}

/* ---- loops over lists and sets ------------------------------------------------------------------------------------------------- */

/* What is walked is read in every round, so nothing of the body may lie in its place: more than a word of it. */
static const char walking[] =
    "format_version 1\n"
    "network @n(%x: f32[5], %z: f32[200]) -> (y: f32[5], u: f32[5]) {\n"
    "    %i, %v = topk %x, k = 3 : idx[5][3], f32[3]\n"
    "    %y = each %i, %x : f32[5] { |%k: idx[5], %a: f32[5]|\n"
    "        %e = index %x, %k : f32\n"
    "        %w = splat %e : f32[5]\n"
    "        %t = tanh %w : f32[5]\n"
    "        %b = mul %t, %a : f32[5]\n"
    "        %c = add %b, %w : f32[5]\n"
    "        yield %c\n"
    "    }\n"
    "    %s = active %z, pred = gt0 : set[200]\n"
    "    %u = each %s, %x : f32[5] { |%k: idx[200], %a: f32[5]|\n"
    "        %e = index %z, %k : f32\n"
    "        %w = splat %e : f32[5]\n"
    "        %t = tanh %w : f32[5]\n"
    "        %b = mul %t, %a : f32[5]\n"
    "        %c = add %b, %w : f32[5]\n"
    "        yield %c\n"
    "    }\n"
    "    return %y, %u\n"
    "}\n";

static void test_walks(void)
{
    Case c = case_new(11);
    c.m = ir_read_text(c.arena, c.diags, "t", walking, strlen(walking));
    CU_ASSERT_PTR_NOT_NULL_FATAL(c.m);
    c.net = c.m->networks.at[0];
    check(&c, 8);
    c.options.max_stack = 64;
    check(&c, 8);
    arena_free(c.arena);
}

/* ---- odd values ------------------------------------------------------------------------------------------------------------------ */

/* -0.0 in the bias, infinities times zero, NaN through a relu: samples 1 and 3 of check() are wild, and so are weights. */
static void test_odd_values(void)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        Case c = case_new(seed);
        uint64_t state = seed;
        c.net = network_new(c.m, "n", NOWHERE);
        Value x = network_add_input(c.net, "x", type_vector(type_f32(), 19), 0, NOWHERE);
        network_add_output(c.net, "y", type_vector(type_f32(), 21), NOWHERE);
        Builder b = builder_at_end(c.net->body);
        float *zeros = arena_alloc(c.arena, 21 * sizeof *zeros);
        for (int i = 0; i < 21; i++)
            zeros[i] = i % 2 ? -0.0f : 0.0f;
        ConstId bias = const_add(c.m, "b", type_vector(type_f32(), 21), zeros, NOWHERE);
        Value h = build_affine(&b, x, numbers(&c, type_matrix(type_f32(), 21, 19), &state, true), bias, seed % 2 ? 4 : 1);
        Value y = build_unary(&b, OP_relu, build_binary(&b, OP_max, h, build_unary(&b, OP_neg, h)));
        build_return(&b, 1, &y, 0);
        network_done(c.net);
        check(&c, 6);
        arena_free(c.arena);
    }
}

/* ---- sizes and names ---------------------------------------------------------------------------------------------------------------- */

static Network *wide_network(Case *c, const char *name, uint32_t n)
{
    uint64_t state = 1;
    c->net = network_new(c->m, name, NOWHERE);
    Value x = network_add_input(c->net, "x", type_vector(type_f32(), 2), 0, NOWHERE);
    network_add_output(c->net, "y", type_vector(type_f32(), 1), NOWHERE);
    Builder b = builder_at_end(c->net->body);
    Value h = build_unary(&b, OP_relu, build_affine(&b, x, numbers(c, type_matrix(type_f32(), n, 2), &state, false), 0, 1));
    Value y = build_affine(&b, h, numbers(c, type_matrix(type_f32(), 1, n), &state, false), 0, 8);
    build_return(&b, 1, &y, 0);
    network_done(c->net);
    return c->net;
}

static void test_sizes(void)
{
    Case c = case_new(5);
    Network *net = wide_network(&c, "wide", 4096);
    NetworkSizes sizes = be_sizes(net, &c.options);
    CU_ASSERT_EQUAL(sizes.scratch_bytes, 0);
    CU_ASSERT_EQUAL(sizes.stack_bytes, 4096 * 4);             /* the relu's buffer; the output is the caller's */
    CU_ASSERT_EQUAL(sizes.model_bytes, (4096 * 2 + 4096 + 4096 + 1) * 4);
    c.options.max_stack = 4096;
    sizes = be_sizes(net, &c.options);
    CU_ASSERT_EQUAL(sizes.stack_bytes, 0);
    CU_ASSERT_TRUE(sizes.scratch_bytes >= 4096 * 4 && sizes.scratch_bytes < 4096 * 4 + 64);
    check(&c, 2);
    arena_free(c.arena);
}

static void test_symbols(void)
{
    Case c = case_new(6);
    static const struct { const char *name, *prefix, *symbol; } names[] = {
        {"acas", NULL, "acas"}, {"7th net", NULL, "_7th_net"}, {"a-b.c", "my_", "my_a_b_c"}, {"\xc3\xa4", NULL, "__"},
        {"cnet", NULL, "cnet_"}, {"CNet", "", "CNet_"}, {"et", "cn", "cnet_"}, {"cnet", "my_", "my_cnet"}, {"cnets", NULL, "cnets"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Network *net = wide_network(&c, names[i].name, 2);
        c.options.prefix = names[i].prefix;
        CU_ASSERT_STRING_EQUAL(be_symbol(c.arena, net, &c.options), names[i].symbol);
    }
    arena_free(c.arena);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------------------ */

static bool emits(Case *c, TargetOptions options)
{
    size_t before = diag_errors(c->diags);
    Arena *arena = arena_new(c->arena);
    OutFile *out = out_open(arena, c->diags, "backend-test.tmp.o");
    bool fine = out && be_emit(c->m, c->diags, &options, EMIT_OBJECT, out);
    arena_free(arena);                            /* not committed: no file stays */
    CU_ASSERT_EQUAL(fine, diag_errors(c->diags) == before);
    return fine;
}

static void test_targets(void)
{
    Case c = case_new(7);
    wide_network(&c, "n", 40);
    static const char *const offered[] = {"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu", "wasm32-unknown-unknown",
                                          "thumbv7em-none-eabihf"};
    for (size_t i = 0; i < sizeof offered / sizeof *offered; i++)
        CU_ASSERT_TRUE(emits(&c, (TargetOptions){.triple = offered[i], .pic = i < 3, .freestanding = i >= 3}));
    CU_ASSERT_TRUE(emits(&c, (TargetOptions){.march = "native", .pic = true}));
    CU_ASSERT_TRUE(emits(&c, (TargetOptions){.no_dispatch = true, .debug_info = true}));
    CU_ASSERT_FALSE(emits(&c, (TargetOptions){.triple = "i686-linux-gnu"}));
    CU_ASSERT_FALSE(emits(&c, (TargetOptions){.triple = "pdp11-unknown-none"}));
    CU_ASSERT_FALSE(emits(&c, (TargetOptions){.triple = "x86_64-linux-gnu", .march = "x86-64-v5"}));
    c.net->options.contract = CONTRACT_fma;
    CU_ASSERT_TRUE(emits(&c, (TargetOptions){.triple = "x86_64-linux-gnu"}));
    CU_ASSERT_TRUE(emits(&c, (TargetOptions){.triple = "aarch64-linux-gnu"}));
    CU_ASSERT_FALSE(emits(&c, (TargetOptions){.triple = "x86_64-linux-gnu", .no_dispatch = true}));
    CU_ASSERT_FALSE(emits(&c, (TargetOptions){.triple = "wasm32-unknown-unknown"}));
    arena_free(c.arena);
}

/* Integers so wide that compiling would take minutes are left to the interpreter; at the limit it takes moments. */
static void test_too_wide(void)
{
    for (uint32_t bits = 16384; bits <= 16448; bits += 64) {
        Case c = case_new(bits);
        c.net = network_new(c.m, "n", NOWHERE);
        Value x = network_add_input(c.net, "x", type_int(bits), 0, NOWHERE);
        network_add_output(c.net, "y", type_int(bits), NOWHERE);
        Builder b = builder_at_end(c.net->body);
        Value y = build_binary(&b, OP_add, x, x);
        build_return(&b, 1, &y, 0);
        network_done(c.net);
        CU_ASSERT_EQUAL(emits(&c, (TargetOptions){.pic = true}), bits <= 16384);
        CU_ASSERT_EQUAL(be_jit(c.arena, c.net, &c.options, 0) != NULL, bits <= 16384);
        arena_free(c.arena);
    }
}

/* What a refusal leaves half made goes with the arena (leak checkers see it if not). */
static void test_jit_refuses(void)
{
    Case c = case_new(9);
    wide_network(&c, "n", 40);
    CU_ASSERT_PTR_NULL(be_jit(c.arena, c.net, &c.options, 5));
    CU_ASSERT_EQUAL(diag_errors(c.diags), 1);
    if (host_levels()) {
        c.net->options.contract = CONTRACT_fma;
        CU_ASSERT_PTR_NULL(be_jit(c.arena, c.net, &c.options, 1));
        CU_ASSERT_EQUAL(diag_errors(c.diags), 2);
    }
    arena_free(c.arena);
}

void suite_backend(void)
{
    CU_pSuite s = CU_add_suite("backend", NULL, NULL);
    CU_add_test(s, "dense random networks, counted", test_dense);
    CU_add_test(s, "big integers", test_wide_integers);
    CU_add_test(s, "sets, stacks, trees, indices", test_selections);
    CU_add_test(s, "regions and exits", test_regions);
    CU_add_test(s, "zero weights", test_zero_weights);
    CU_add_test(s, "long bodies", test_long_bodies);
    CU_add_test(s, "counted", test_counted);
    CU_add_test(s, "sets made of sets", test_extend);
    CU_add_test(s, "weights of sets", test_weigh);
    CU_add_test(s, "layers of every shape", test_shapes);
    CU_add_test(s, "integers of many words", test_many_words);
    CU_add_test(s, "indices that are none", test_indices);
    CU_add_test(s, "loops over lists and sets", test_walks);
    CU_add_test(s, "NaN, infinity, -0.0", test_odd_values);
    CU_add_test(s, "sizes and scratch", test_sizes);
    CU_add_test(s, "symbols", test_symbols);
    CU_add_test(s, "targets", test_targets);
    CU_add_test(s, "compiling in process refuses", test_jit_refuses);
    CU_add_test(s, "integers that are too wide", test_too_wide);
}
