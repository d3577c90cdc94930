/* test_skip.c — conditional evaluation: the bits of the dense network, at the cost that is counted.
 *
 *   random networks     ReLU networks of all kinds under both contractions: the interpreter of -O0 = the interpreter and native code of
 *                       -O1, -O2 and every forced lowering, bit for bit; native counters = what the interpreter executes = tallies =
 *                       the formula at the recorded events <= the bound; and no more than -O0, but for the tests of inputs
 *   shapes              layers whose sizes lie around words of a set, vectors and tiles, with every number of chains
 *   weights from memory large matrices, which are read in another order
 *   profiles            decide what is tested and how it is walked, never a value
 *
 * Biases turn all neurons on or off now and then: both sides of what is chosen at run time. Where weights are zero and values are not
 * finite, -O0 is no measure (see the pass `skip`); machine code and the interpreter agree there, too. A failure prints its seed. On
 * machines without x86-64 levels the best one stands for all.
 */
#include "../../backend/backend.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

void suite_skip(void);

enum { SAMPLES = 6 };

typedef struct Case { Arena *arena; Diags *diags; Module *m; Network *net; uint64_t seed, state; bool zeros; TargetOptions options; } Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed, .state = seed / 2 * 2654435761u + 1, .options = {.pic = true}};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------ */

static void store(Type t, void *data, uint64_t i, double value)
{
    float f = (float)value;
    memcpy((uint8_t *)data + i * type_element_bytes(t), t.elem == ELEM_F64 ? (void *)&value : (void *)&f, type_element_bytes(t));
}

/* -1 … 1, never 0. */
static double uniform(uint64_t *state)
{
    return (double)((int64_t)random_next(state) | 1) * 0x1p-63;
}

typedef enum Bias { BIAS_mixed, BIAS_all_on, BIAS_all_off } Bias;

typedef struct Style {
    Type x, w;                    /* elements of activations and of weights */
    double scale;                 /* of the weights: huge ones overflow, tiny ones underflow */
    Bias bias;                    /* which neurons are on */
    uint32_t zeros;               /* so many weights in a hundred are 0 or -0 */
} Style;

/* A weight of either sign, unless that would turn a neuron off that must be on, or on that must be off. */
static double weight(Case *c, const Style *s, double scale)
{
    double w = uniform(&c->state) * scale;
    if (random_below(&c->state, 100) < s->zeros)
        return random_below(&c->state, 2) ? 0.0 : -0.0;
    return s->bias == BIAS_all_on ? fabs(w) : s->bias == BIAS_all_off ? -fabs(w) : w;
}

static ConstId numbers(Case *c, const Style *s, Type t, double scale)
{
    uint64_t n = type_count(t);
    uint8_t *data = arena_array(c->arena, n, type_element_bytes(t));
    if (type_is_int(t))
        random_elements(&c->state, t, n, false, data);
    for (uint64_t i = 0; i < n && type_is_float(t); i++)
        store(t, data, i, weight(c, s, scale));
    return const_add(c->m, "k", t, data, NOWHERE);
}

static uint32_t any_chains(Case *c, uint32_t rows, uint32_t cols)
{
    return random_below(&c->state, 2) ? ir_chains(rows, cols) : 1u << random_below(&c->state, 5);
}

/* A layer of `rows`; its bias settles what is on when the inputs are at most 1 and the layers before are of the same style. */
static Value layer(Case *c, Builder *b, const Style *s, Value x, uint32_t rows, uint32_t chains)
{
    uint32_t cols = (uint32_t)type_count(value_type(c->net, x));
    double scale = s->scale * 2 / sqrt(cols + 1.0);
    ConstId W = random_below(&c->state, 4) ? numbers(c, s, type_matrix(s->w, rows, cols), scale)
                                           : const_transposed(c->m, numbers(c, s, type_matrix(s->w, cols, rows), scale), (uint32_t[]){1, 0});
    bool has_bias = s->bias != BIAS_mixed || random_below(&c->state, 4) > 0;
    return build_affine(b, x, W, has_bias ? numbers(c, s, type_vector(s->w, rows), s->bias == BIAS_mixed ? scale : 4 * (cols + 1) * scale) : 0, chains);
}

/* ---- networks: layers, and what stands between them ---------------------------------------------------------------------- */

typedef struct Maker { Case *c; Builder b; Style s; Value x, h; Vec(Value) out; } Maker;

static uint32_t some_width(Case *c)
{
    static const uint32_t edges[] = {0, 1, 15, 16, 17, 63, 64, 65, 128, 257};
    return random_below(&c->state, 3) ? 1 + random_below(&c->state, 70) : edges[random_below(&c->state, 10)];
}

static void give_out(Maker *m, Value v)
{
    vec_push(m->c->arena, m->out, v);
}

static Value head(Maker *m, Builder *b)
{
    uint32_t rows = 1 + random_below(&m->c->state, 20);
    return layer(m->c, b, &m->s, m->h, rows, any_chains(m->c, rows, 30));
}

/* if (max x > 0) { one layer of h } else { another } : the set stands outside, or in each region. */
static void branch(Maker *m)
{
    Network *net = m->c->net;
    ConstId zero = const_splat_f64(m->c->m, "zero", type_element(m->s.x), 0);
    Value on = build_cmp(&m->b, PRED_gt, build_reduce(&m->b, REDUCE_max, m->x, 1), build_const(&m->b, zero));
    Block *region[2];
    uint32_t rows = 1 + random_below(&m->c->state, 30);
    Type y = type_vector(m->s.x, rows);
    for (int i = 0; i < 2; i++) {
        region[i] = block_new(net, 0, NULL);
        Builder b = builder_at_end(region[i]);
        Value v = layer(m->c, &b, &m->s, i && random_below(&m->c->state, 2) ? m->x : m->h, rows, any_chains(m->c, rows, 30));
        build_op(&b, &(OpInit){.kind = OP_yield, .n_operands = 1, .operand = &v});
    }
    OpInit init = {.kind = OP_if, .n_operands = 1, .operand = &on, .n_regions = 2, .region = region, .n_hints = 1, .hint = &y};
    give_out(m, build_op(&m->b, &init)->result[0]);
}

static void add_layer(Maker *m)
{
    Case *c = m->c;
    uint32_t rows = some_width(c);
    Value z = layer(c, &m->b, &m->s, m->h, rows, any_chains(c, rows, 40)), before = m->h;
    uint32_t kind = random_below(&c->state, 10);
    if (kind == 0)                                            /* a relu that no affine can take in */
        z = build_binary(&m->b, OP_add, z, build_const(&m->b, numbers(c, &m->s, type_vector(m->s.x, rows), m->s.scale)));
    if (kind == 1)                                            /* its argument is wanted, too */
        give_out(m, z);
    m->h = build_unary(&m->b, OP_relu, z);
    if (kind == 2)                                            /* it is a result */
        give_out(m, m->h);
    if (kind == 3) {                                          /* zeros from two places */
        Value other = random_below(&c->state, 2) ? before : build_unary(&m->b, OP_relu, layer(c, &m->b, &m->s, before, 1 + random_below(&c->state, 20), 1));
        m->h = build_concat(&m->b, 2, (Value[]){m->h, other}, 0);
    }
    if (kind == 4)                                            /* several users of one set */
        give_out(m, head(m, &m->b));
    if (kind == 5)
        branch(m);
    if (kind == 6)                                            /* no relu between two layers */
        m->h = head(m, &m->b);
}

static void finish(Maker *m)
{
    give_out(m, head(m, &m->b));
    for (size_t i = 0; i < m->out.len; i++)
        network_add_output(m->c->net, str_printf(m->c->arena, "y%zu", i), value_type(m->c->net, m->out.at[i]), NOWHERE);
    build_return(&m->b, (uint32_t)m->out.len, m->out.at, 0);
    network_done(m->c->net);
}

static Maker begin(Case *c, Style s, uint32_t width)
{
    c->net = network_new(c->m, "n", NOWHERE);
    c->net->options.contract = c->seed % 2 ? CONTRACT_fma : CONTRACT_off;
    c->zeros = s.zeros > 0;
    Maker m = {.c = c, .s = s};
    m.x = m.h = network_add_input(c->net, "x", type_vector(s.x, width), 0, NOWHERE);
    m.b = builder_at_end(c->net->body);
    return m;
}

/* Seeds 2k and 2k + 1 are one network under two contractions. */
static Style some_style(Case *c)
{
    static const uint32_t bits[] = {8, 16, 32, 64, 13};
    uint32_t of = random_below(&c->state, 8);
    Style s = {.x = of == 0 ? type_int(bits[random_below(&c->state, 5)]) : of < 3 ? type_f64() : type_f32(), .scale = 1};
    s.w = of == 1 ? type_f32() : s.x;
    s.bias = (Bias)(random_below(&c->state, 6) % 5 % 3);
    /* f32, f64: ordinary (with zeros or without), products overflow, are subnormal, underflow */
    static const double scales[][2] = {{1, 1}, {1, 1}, {1e20, 1e170}, {1e-22, 1e-160}, {1e-30, 1e-200}};
    uint32_t size = random_below(&c->state, 5);
    s.zeros = size > 0 ? 0 : random_below(&c->state, 2) ? 90 : 30;
    s.scale = scales[size][s.w.elem == ELEM_F64];
    return s;
}

static void make_random(Case *c)
{
    static const uint32_t widths[] = {1, 2, 5, 16, 63, 64, 65, 130};
    Maker m = begin(c, some_style(c), widths[random_below(&c->state, 8)]);
    for (uint32_t n = 1 + random_below(&c->state, 4); n > 0; n--)
        add_layer(&m);
    finish(&m);
}

/* One hidden layer of `cols`, read by layers of several heights. */
static void make_shapes(Case *c, uint32_t cols, const uint32_t *rows, uint32_t n, Style s)
{
    Maker m = begin(c, s, 7);
    m.h = build_unary(&m.b, OP_relu, layer(c, &m.b, &s, m.x, cols, ir_chains(cols, 7)));
    for (uint32_t i = 0; i < n; i++) {
        Value y = layer(c, &m.b, &s, m.h, rows[i], 1u << (i + c->seed / 2) % 5);
        give_out(&m, i % 2 ? build_unary(&m.b, OP_relu, y) : y);
    }
    finish(&m);
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------- */

/* Ordinary, half zeros, all of them zeros, tiny; then huge, and with NaN and infinities among them. */
static double input_element(uint64_t *state, uint64_t sample, double tiny, double huge)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0};
    double v = uniform(state);
    switch (sample) {
    case 0: return v;
    case 1: return random_below(state, 2) ? v : random_below(state, 2) ? 0.0 : -0.0;
    case 2: return random_below(state, 2) ? 0.0 : -0.0;
    case 3: return v * tiny;
    case 4: return v * huge;
    default: return random_below(state, 16) ? v : odd[random_below(state, 5)];
    }
}

static bool is_tame(uint64_t sample) { return sample < 4; }

static void **inputs(Case *c, uint64_t sample)
{
    uint64_t state = c->seed / 2 * 97 + sample;
    void **in = NEW_ARRAY(c->arena, c->net->n_inputs, void *);
    for (uint32_t k = 0; k < c->net->n_inputs; k++) {
        Type t = c->net->input[k].type;
        uint64_t n = type_count(t);
        in[k] = at_page_end(c->arena, n * type_element_bytes(t));
        if (type_is_int(t) && sample != 2)
            random_elements(&state, t, n, false, in[k]);
        for (uint64_t i = 0; i < n && type_is_float(t); i++)
            store(t, in[k], i, input_element(&state, sample, t.elem == ELEM_F64 ? 1e-310 : 1e-40, t.elem == ELEM_F64 ? 1e300 : 1e37));
    }
    return in;
}

/* ---- evaluating ----------------------------------------------------------------------------------------------------------- */

typedef struct Run { void **out; Counts executed; } Run;

static bool same_outputs(const Network *net, void **a, void **b)
{
    for (uint32_t k = 0; k < net->n_outputs; k++)
        if (!same_elements(net->output[k].type, a[k], b[k]))
            return false;
    return true;
}

static bool same_counts(Counts a, Counts b)
{
    return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other;
}

static bool within_bound(const Network *net, Counts c)
{
    NetworkCost cost = network_cost(net);
    Counts most = cost.range.max;
    return c.add <= most.add && c.mul <= most.mul && c.cmp <= most.cmp && c.other <= most.other && counts_total(c) <= cost.total_max;
}

/* Comparisons spent on sets that no relu had decided. */
static uint64_t tests_of(const Network *net, const Events *events)
{
    uint64_t sum = 0;
    size_t i = 0;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net) {
        if (op->kind == OP_active)
            sum += events->sum[i] * op_cost(net, op).cmp;
        i++;
    }
    return sum;
}

/* What is tried, for messages. */
typedef struct Trial { Case *c; Arena *keep; const char *variant; int level; uint64_t sample; } Trial;

static bool expect(const Trial *t, bool fine, const char *what)
{
    if (!fine)
        fprintf(stderr, "seed %llu, %s, level %d, sample %llu: %s\n", (unsigned long long)t->c->seed, t->variant, t->level,
                (unsigned long long)t->sample, what);
    CU_ASSERT(fine);
    return fine;
}

/* The interpreter: its bits are `dense`'s (where those are promised), and all ways of counting agree. */
static bool interpret(const Trial *t, void **in, const Run *dense, Run *out)
{
    const Network *net = t->c->net;
    Counts tallies = {0};
    Events events = events_new(t->c->arena, net);
    *out = (Run){.out = outputs_with_margins(t->keep, net)};
    interp_run(interp_new(t->c->arena, net), (const void *const *)in, out->out, &out->executed, &tallies, &events);
    return expect(t, (t->c->zeros && !is_tame(t->sample)) || same_outputs(net, dense->out, out->out), "other bits than -O0")
        && expect(t, same_counts(out->executed, tallies), "tallies are not what is executed")
        && expect(t, same_counts(out->executed, network_cost_at(net, &events)), "the formula is not what is executed")
        && expect(t, within_bound(net, out->executed), "beyond the bound")
        && expect(t, counts_total(out->executed) <= counts_total(dense->executed) + tests_of(net, &events), "more operations than -O0");
}

static bool run_native(const Trial *t, Jit *jit, void **in, const Run *expected, Counts *counts)
{
    void **out = outputs_with_margins(t->c->arena, t->c->net);
    be_jit_run(jit, (const void *const *)in, out, counts);
    return expect(t, margins_untouched(t->c->net, out), "native code writes beyond its outputs")
        && expect(t, same_outputs(t->c->net, expected->out, out), counts ? "native code differs where it counts" : "native code differs")
        && expect(t, !counts || same_counts(expected->executed, *counts), "native counters differ");
}

static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

/* ---- variants ------------------------------------------------------------------------------------------------------------ */

/* The interpreter does not read lowerings, so that one counted variant stands for all. */
#define PASSES(lowering) "positive-zero,skip,guard,dead-code,lower(force=" lowering ")"
#define FORCED(lowering) {lowering, PASSES(lowering), 0, false, false}
#define HALVED(lowering) {lowering " below half", PASSES(lowering), 0, false, true}
static const struct { const char *name, *passes; int level; bool counted, halved; } variants[] = {
    {"-O1", NULL, 1, true, false}, {"-O2", NULL, 2, true, false}, FORCED("dense"), FORCED("mask"), FORCED("list"), FORCED("branch"),
    FORCED("gather"), HALVED("mask"), HALVED("list"),
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* How a case is made: the same seed makes the same network in a module of its own. */
typedef void Make(Case *c, const void *what);
typedef struct Plan {
    uint64_t seed;
    Make *make;
    const void *what;
    const Profile *profile;
    uint64_t native;              /* compile one variant in so many, another with each seed: LLVM takes the time; 0: none */
} Plan;

static Case made(const Plan *p, const char *passes, int level, bool counted)
{
    Case c = case_new(p->seed);
    p->make(&c, p->what);
    if (p->seed / 2 % 3 == 0)
        c.options.max_stack = 64;                 /* what is wider comes from scratch */
    PipelineOptions o = {.passes = passes, .level = level, .count_ops = counted, .verify_each = true, .profile = p->profile, .dump = stderr};
    CU_ASSERT_FATAL(pipeline_run(c.m, c.diags, &o));
    return c;
}

/* From half of the columns on, all of them are walked: what is chosen at run time, with any lowering. */
static void halve(Network *net)
{
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        if (op->kind == OP_affine && (op->lower == LOWER_mask || op->lower == LOWER_list))
            op->below = (uint32_t)type_count(value_type(net, op_operand(op, AFFINE_x))) / 2 + 1;
}

/* Machine code of one level, against what the interpreter said. */
static bool try_level(Trial t, bool counted, void **const *in, const Run *expected)
{
    Jit *jit = be_jit(t.c->arena, t.c->net, &t.c->options, t.level);
    CU_ASSERT_PTR_NOT_NULL_FATAL(jit);
    bool fine = true;
    for (t.sample = 0; fine && t.sample < SAMPLES; t.sample++) {
        Counts counts = {0};
        fine = run_native(&t, jit, in[t.sample], &expected[t.sample], NULL);
        fine = fine && (!counted || run_native(&t, jit, in[t.sample], &expected[t.sample], &counts));
    }
    return fine;
}

/* One of the host's levels, another for each variant of a network and for each network of a variant; 0 where there are none, and
 * -1 where it is not this variant's turn or none may fuse. */
static int level_of(const Plan *p, const Case *c, uint64_t v)
{
    int most = host_levels(), least = c->net->options.contract == CONTRACT_fma ? 3 : 1;
    if (p->native == 0 || (p->seed / 2 + v) % p->native != 0 || (most > 0 && most < least))
        return -1;
    return most == 0 ? 0 : least + (int)((p->seed / 2 / p->native + v) % (uint64_t)(most - least + 1));
}

static bool try_variant(const Plan *p, Arena *keep, size_t v, void **const *in, const Run *dense, Run *conditional)
{
    Case c = made(p, variants[v].passes, variants[v].level, variants[v].counted);
    Trial t = {&c, keep, variants[v].name, 0, 0};
    bool fine = true;
    if (variants[v].halved)
        halve(c.net);
    for (; fine && variants[v].counted && t.sample < SAMPLES; t.sample++)
        fine = interpret(&t, in[t.sample], &dense[t.sample], &conditional[t.sample]);
    t.level = level_of(p, &c, v);
    if (t.level >= 0)
        fine = fine && try_level(t, variants[v].counted, in, conditional);
    arena_free(c.arena);
    return fine;
}

static void try_all(const Plan *p)
{
    Case c = made(p, NULL, 0, false);
    Run dense[SAMPLES], conditional[SAMPLES];
    void **in[SAMPLES];
    for (uint64_t i = 0; i < SAMPLES; i++) {
        in[i] = inputs(&c, i);
        dense[i] = (Run){.out = outputs_with_margins(c.arena, c.net)};
        interp_run(interp_new(c.arena, c.net), (const void *const *)in[i], dense[i].out, &dense[i].executed, NULL, NULL);
    }
    for (size_t v = 0; v < VARIANTS; v++)
        if (!try_variant(p, c.arena, v, in, dense, conditional))
            break;
    arena_free(c.arena);
}

/* ---- the tests ------------------------------------------------------------------------------------------------------------- */

static void make_random_of(Case *c, const void *what) { (void)what, make_random(c); }

static void test_random(void)
{
    for (uint64_t seed = 0; seed < 400; seed++)
        try_all(&(Plan){seed, make_random_of, NULL, NULL, seed < 48 ? 3 : 0});
}

/* Layers of 7 inputs, `cols` hidden neurons and several heights. */
static void make_shapes_of(Case *c, const void *what)
{
    static const uint32_t rows[] = {1, 5, 16, 17, 65, 130};
    uint32_t cols = *(const uint32_t *)what;
    make_shapes(c, cols, rows + c->seed % 3, 4, some_style(c));
}

static void test_shapes(void)
{
    static const uint32_t cols[] = {1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 257};
    for (uint64_t i = 0; i < sizeof cols / sizeof *cols; i++)
        try_all(&(Plan){1000 + 3 * i, make_shapes_of, &cols[i], NULL, 2});
}

/* ---- weights from memory -------------------------------------------------------------------------------------------------- */

enum { FAR = 4 << 20 };                           /* bytes: so large a matrix is read column by column (backend/columns.c) */

static void make_far(Case *c, const void *what)
{
    Maker m = begin(c, *(const Style *)what, 7);
    uint32_t cols = 600, rows = FAR / (type_element_bytes(m.s.w) * cols) + 10;
    m.h = build_unary(&m.b, OP_relu, layer(c, &m.b, &m.s, m.h, cols, 1));
    m.h = layer(c, &m.b, &m.s, m.h, rows, 1);
    if (c->seed % 3)
        m.h = build_unary(&m.b, OP_relu, m.h);
    give_out(&m, m.h);
    finish(&m);
}

static void test_far(void)
{
    Style styles[] = {{.x = type_f32(), .w = type_f32(), .scale = 1}, {.x = type_f32(), .w = type_f32(), .scale = 1, .zeros = 30},
                      {.x = type_f64(), .w = type_f32(), .scale = 1, .bias = BIAS_all_on}};
    for (uint64_t seed = 0; seed < 6; seed++) {
        Plan p = {3000 + seed, make_far, &styles[seed % 3], NULL, 3};
        Case c = made(&p, NULL, 2, false);
        size_t lists = 0;
        OpWalk walk;
        FOR_EACH_OP (walk, op, c.net)
            lists += op->kind == OP_affine && op->lower == LOWER_list;
        CU_ASSERT_EQUAL(lists, 1);
        arena_free(c.arena);
        try_all(&p);
    }
}

/* ---- profiles -------------------------------------------------------------------------------------------------------------- */

typedef struct Profiled { uint32_t width; Bias bias; } Profiled;

static void make_profiled(Case *c, const void *what)
{
    const Profiled *p = what;
    Maker m = begin(c, (Style){.x = type_f32(), .w = type_f32(), .scale = 1, .bias = p->bias}, p->width);
    m.h = build_unary(&m.b, OP_relu, layer(c, &m.b, &m.s, m.h, 300, 1));
    m.h = build_unary(&m.b, OP_relu, layer(c, &m.b, &m.s, m.h, 16, 8));
    finish(&m);
}

enum { PROFILE_ROWS = 8, WIDEST = 128 };

/* Rows of `width`, of which one element in `every` is not zero. */
static Profile profile_of(uint32_t width, uint32_t every, float *data, const uint8_t **input)
{
    for (uint32_t i = 0; i < PROFILE_ROWS * width; i++)
        data[i] = i % every == 0 ? 0.5f : i % 2 ? 0.0f : -0.0f;
    *input = (const uint8_t *)data;
    return (Profile){"n", PROFILE_ROWS, input};
}

/* What -O2 makes of it: vectors that are tested for zeros, and how the second hidden layer is walked (LOWER_auto: no matter). It has
 * so few rows that finding an active column takes as long as several others. */
static void check_profile(Profiled what, uint32_t every, size_t tested, Lower lower)
{
    static const char *const words[] = {"auto", "dense", "mask", "list", "branch", "gather"};
    float data[PROFILE_ROWS * WIDEST];
    const uint8_t *input;
    Profile profile = profile_of(what.width, every ? every : 1, data, &input);
    Plan p = {2000 + what.width + every, make_profiled, &what, every ? &profile : NULL, 0};
    Case c = made(&p, NULL, 2, true);
    size_t found = 0, layer_number = 0;
    Lower chosen = LOWER_auto;
    OpWalk walk;
    FOR_EACH_OP (walk, op, c.net) {
        found += op->kind == OP_active && op->attr[0].i == ACTIVITY_nonzero;
        if (op->kind == OP_affine && ++layer_number == 2)
            chosen = op->lower;
    }
    bool fine = found == tested && (lower == LOWER_auto || chosen == lower);
    if (!fine)
        fprintf(stderr, "width %u, one in %u: %zu vectors tested, lowering %s\n", what.width, every, found, words[chosen]);
    CU_ASSERT(fine);
    arena_free(c.arena);
    try_all(&p);
}

static void test_profiles(void)
{
    check_profile((Profiled){8, BIAS_mixed}, 0, 0, LOWER_auto);           /* the prior: narrow inputs have no zeros, */
    check_profile((Profiled){128, BIAS_mixed}, 0, 1, LOWER_auto);         /* half of a wide one */
    check_profile((Profiled){8, BIAS_mixed}, 4, 1, LOWER_auto);
    check_profile((Profiled){128, BIAS_mixed}, 1, 0, LOWER_auto);
    check_profile((Profiled){8, BIAS_all_on}, 1, 0, LOWER_dense);         /* all neurons on */
    check_profile((Profiled){8, BIAS_all_off}, 1, 0, LOWER_mask);
}

void suite_skip(void)
{
    CU_pSuite s = CU_add_suite("skip", NULL, NULL);
    CU_add_test(s, "random networks", test_random);
    CU_add_test(s, "sizes around words, vectors and tiles", test_shapes);
    CU_add_test(s, "weights from memory", test_far);
    CU_add_test(s, "profiles", test_profiles);
}
