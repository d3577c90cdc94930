/* test_passes.c — what passes promise, tried on many networks.
 *
 *   the same bits       random networks, random pipelines of the passes that keep them: interpreter before = after
 *   not finite          no column is skipped where weights are NaN or infinite
 *   certified           random affine networks under real numerics: |after − before| <= certified_error over the box
 *   counted             tallies = the interpreter's own arithmetic, whatever branch was taken
 *   refused             pipelines that make no sense
 *
 * What each rewrite does and leaves alone is in tests/ir. A failure prints its seed.
 */
#include "../../passes/error_bound.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_passes(void);

/* One module with one entry network, and all that a case needs. */
typedef struct Case { Arena *arena; Diags *diags; Module *m; Network *net; uint64_t seed; } Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

static void case_free(Case *c)
{
    arena_free(c->arena);
}

/* What the diagnostics say, one text. */
static char *messages(Case *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    diag_flush(c->diags, f, DIAG_PLAIN);
    fclose(f);
    char *copy = str_dup(c->arena, text);
    free(text);
    return copy;
}

static bool run_passes(Case *c, const char *passes)
{
    return pipeline_run(c->m, c->diags, &(PipelineOptions){.passes = passes, .verify_each = true, .dump = stderr});
}

static bool has_op(const Network *net, OpKind kind)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == kind)
            return true;
    return false;
}

/* ---- running ---- */

typedef struct Run { int status; void **out; Counts arithmetic, tallies; uint64_t tests; } Run;

/* Comparisons that tested vectors for sets, where no relu had decided. */
static uint64_t tests_for_sets(const Network *net, const Events *events)
{
    uint64_t sum = 0;
    size_t i = 0;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind == OP_active)
            sum += events->sum[i] * op_cost(net, op).cmp;
        i++;
    }
    return sum;
}

static Run run(Case *c, void **in)
{
    Network *net = c->net;
    Run r = {.out = NEW_ARRAY(c->arena, net->n_outputs, void *)};
    for (uint32_t i = 0; i < net->n_outputs; i++)
        r.out[i] = arena_array(c->arena, type_count(net->output[i].type), type_element_bytes(net->output[i].type));
    Interp *interp = interp_new(c->arena, net);
    Events events = events_new(c->arena, net);
    r.status = interp_run(interp, (const void *const *)in, r.out, &r.arithmetic, &r.tallies, &events);
    r.tests = tests_for_sets(net, &events);
    return r;
}

static bool same_outputs(const Network *net, const Run *a, const Run *b)
{
    if (a->status != b->status)
        return false;
    for (uint32_t k = 0; k < net->n_outputs && a->status >= 0; k++)
        if (!same_elements(net->output[k].type, a->out[k], b->out[k]))
            return false;
    return true;
}

/* ---- the same bits ---- */

/* skip keeps them where neither NaN nor infinity arises; it is the first of the list so that it can be left out. */
static char *random_pipeline(Case *c, uint64_t *state, bool finite)
{
    static const char *const keep_bits[] = {"skip", "read-bits", "fold-constants", "simplify-shapes", "fold-identities", "dead-code", "dedup-constants", "lower",
                                            "lower(force=dense)", "lower(force=mask)", "lower(force=list)", "lower(force=branch)", "lower(force=gather)"};
    Text text = text_new(c->arena);
    text_add(&text, "inline");
    for (uint32_t n = 1 + random_below(state, 7); n > 0; n--)
        text_add(&text, ",%s", keep_bits[(finite ? 0 : 1) + random_below(state, finite ? 13 : 12)]);
    return text.at;
}

static const unsigned feature_sets[] = {
    0, RANDOM_DENSE & ~RANDOM_MATH, RANDOM_MATH | RANDOM_INDICES | RANDOM_EMPTY | RANDOM_CALLS,
    (RANDOM_ALL & ~(RANDOM_TALLY | RANDOM_ODD_NAMES)), RANDOM_SETS | RANDOM_REGIONS | RANDOM_EXITS,
    RANDOM_F64 | RANDOM_NONFINITE | RANDOM_STACKS | RANDOM_TREES,
};
enum { N_FEATURE_SETS = sizeof feature_sets / sizeof *feature_sets };

/* The bits of a NaN are nobody's business, except that `ord` looks at them. */
static bool nan_has_meaning(const Network *net, unsigned features)
{
    return has_op(net, OP_ord) && (features & (RANDOM_MATH | RANDOM_NONFINITE));
}

/* A callee that leaves early cannot be inlined: such cases end in that error, and only in it. */
static bool refused_to_inline(Case *c)
{
    return strstr(messages(c), "can leave early") != NULL;
}

static void check_same_bits(uint64_t seed)
{
    Case c = case_new(seed);
    uint64_t state = seed * 77 + 1;
    unsigned features = feature_sets[seed % N_FEATURE_SETS];
    c.net = random_network(c.m, seed, (RandomNetOptions){features, 0});
    Contract contract = random_below(&state, 3) == 0 ? CONTRACT_fma : CONTRACT_off;
    for (size_t k = 0; k < c.m->networks.len; k++)
        c.m->networks.at[k]->options.contract = contract;
    const char *passes = random_pipeline(&c, &state, !(features & (RANDOM_MATH | RANDOM_NONFINITE)));
    if (!run_passes(&c, "inline,positive-zero")) {
        CU_ASSERT(refused_to_inline(&c));
    } else {
        void **in, **unused;
        random_buffers(c.arena, c.net, seed, features & RANDOM_NONFINITE, &in, &unused);
        Run before = run(&c, in);
        bool ok = run_passes(&c, passes);
        Run after = run(&c, in);
        ok = ok && (same_outputs(c.net, &before, &after) || nan_has_meaning(c.net, features));
        bool fewer = counts_total(after.arithmetic) <= counts_total(before.arithmetic) + after.tests;
        if (!ok || !fewer)
            fprintf(stderr, "seed %llu: %s: %s\n", (unsigned long long)seed, passes, ok ? "more operations" : "other bits");
        CU_ASSERT(ok);
        CU_ASSERT(fewer);
    }
    case_free(&c);
}

static void test_same_bits(void)
{
    for (uint64_t seed = 0; seed < 1500; seed++)
        check_same_bits(seed);
}

/* Levels are pipelines: whatever the policy for the box, contraction and the width of the computation, -O2 has the bits of
 * -O0, and what is tallied is what is executed. */
static Run run_level(Case *c, uint64_t seed, int level)
{
    c->net = random_network(c->m, seed, (RandomNetOptions){RANDOM_MATH | RANDOM_SETS | RANDOM_REGIONS | RANDOM_EXITS, 0});
    c->net->options = (NetOptions){.contract = seed % 2 ? CONTRACT_fma : CONTRACT_off, .outside = (Outside)(seed / 2 % 4)};
    PipelineOptions options = {.level = level, .verify_each = true, .count_ops = true, .compute_f64 = seed % 5 == 0, .dump = stderr};
    CU_ASSERT(pipeline_run(c->m, c->diags, &options));
    void **in, **unused;
    random_buffers(c->arena, c->net, seed, false, &in, &unused);
    Run r = run(c, in);
    CU_ASSERT(memcmp(&r.arithmetic, &r.tallies, sizeof(Counts)) == 0);
    return r;
}

static void test_levels(void)
{
    for (uint64_t seed = 5000; seed < 5400; seed++) {
        Case as_written = case_new(seed), optimized = case_new(seed);
        Run a = run_level(&as_written, seed, 0), b = run_level(&optimized, seed, 2);
        bool same = same_outputs(as_written.net, &a, &b);
        if (!same)
            fprintf(stderr, "seed %llu: -O0 and -O2 differ\n", (unsigned long long)seed);
        CU_ASSERT(same);
        CU_ASSERT(counts_total(b.arithmetic) <= counts_total(a.arithmetic) + b.tests);
        case_free(&as_written);
        case_free(&optimized);
    }
}

/* ---- weights that are not finite ---- */

static bool weights_are_finite(const Op *op)
{
    return const_all_finite(const_get(op->parent->network->module, op->cst[AFFINE_W]));
}

/* Affines of relus that `skip` would give a set if their weights were finite. */
static size_t not_finite_behind_relu(const Network *net)
{
    size_t n = 0;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        Op *x = op->kind == OP_affine && !op_operand(op, AFFINE_cols) ? value_op(net, op_operand(op, AFFINE_x)) : NULL;
        bool empty = op->kind == OP_affine && type_count(const_get(net->module, op->cst[AFFINE_W])->type) == 0;
        n += x && x->kind == OP_relu && !empty && !weights_are_finite(op);
    }
    return n;
}

/* Affines with a set of columns and weights that are not finite. */
static size_t not_finite_with_set(const Network *net)
{
    size_t n = 0;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        n += op->kind == OP_affine && op_operand(op, AFFINE_cols) && !weights_are_finite(op);
    return n;
}

static void test_not_finite(void)
{
    size_t all = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        Case c = case_new(seed);
        c.net = random_network(c.m, seed, (RandomNetOptions){RANDOM_NONFINITE | RANDOM_F64 | RANDOM_SETS | RANDOM_STACKS, 100});
        size_t left = not_finite_behind_relu(c.net), with_set = not_finite_with_set(c.net);
        all += left;
        CU_ASSERT(run_passes(&c, "skip"));
        CU_ASSERT_EQUAL(not_finite_with_set(c.net), with_set);
        CU_ASSERT(left == 0 || strstr(messages(&c), "holds a NaN or an infinity") != NULL);
        case_free(&c);
    }
    CU_ASSERT(all > 40);           /* not vacuous */
}

/* ---- counting ---- */

static void check_counts(uint64_t seed, size_t *counted)
{
    Case c = case_new(seed);
    unsigned features = RANDOM_ALL & ~(RANDOM_TALLY | RANDOM_ODD_NAMES);
    c.net = random_network(c.m, seed, (RandomNetOptions){features, 30});
    if (!run_passes(&c, "inline,guard,count-ops")) {
        CU_ASSERT(refused_to_inline(&c));
    } else {
        void **in, **unused;
        ++*counted;
        CU_ASSERT(network_is_counted(c.net));
        for (uint64_t k = 0; k < 4; k++) {
            random_buffers(c.arena, c.net, seed + k, false, &in, &unused);
            Run r = run(&c, in);
            bool same = memcmp(&r.arithmetic, &r.tallies, sizeof(Counts)) == 0;
            if (!same)
                fprintf(stderr, "seed %llu: add %llu mul %llu cmp %llu other %llu, tallied %llu %llu %llu %llu\n",
                        (unsigned long long)seed, (unsigned long long)r.arithmetic.add, (unsigned long long)r.arithmetic.mul,
                        (unsigned long long)r.arithmetic.cmp, (unsigned long long)r.arithmetic.other,
                        (unsigned long long)r.tallies.add, (unsigned long long)r.tallies.mul,
                        (unsigned long long)r.tallies.cmp, (unsigned long long)r.tallies.other);
            CU_ASSERT(same);
        }
    }
    case_free(&c);
}

static void test_counts(void)
{
    size_t counted = 0;
    for (uint64_t seed = 0; seed < 600; seed++)
        check_counts(seed, &counted);
    CU_ASSERT(counted > 400);
}

/* ---- certified differences ---- */

static float uniform(uint64_t *state)
{
    return (float)((double)(random_next(state) >> 11) * 0x1p-52 - 1);
}

static void store_float(Type t, void *data, uint64_t i, double value)
{
    float f = (float)value;
    memcpy((uint8_t *)data + i * type_element_bytes(t), t.elem == ELEM_F64 ? (void *)&value : (void *)&f, type_element_bytes(t));
}

static ConstId random_const(Case *c, uint64_t *state, Type type)
{
    uint64_t n = type_count(type);
    uint8_t *data = arena_array(c->arena, n, type_element_bytes(type));
    for (uint64_t i = 0; i < n; i++)
        store_float(type, data, i, (double)uniform(state) * (2.0 / 3));
    return const_add(c->m, "k", type, data, NOWHERE);
}

/* Layers of affines, relus, and the elementwise maps that merge-affine takes in, over the box [-1, 1]^n. */
static void build_affine_net(Case *c, uint64_t *state)
{
    static const OpKind maps[] = {OP_add, OP_sub, OP_mul, OP_div};
    Type element = random_below(state, 4) ? type_f32() : type_f64();
    uint32_t width = 1 + random_below(state, 6);
    c->net = network_new(c->m, "n", NOWHERE);
    c->net->options = (NetOptions){.numerics = NUMERICS_real, .contract = random_below(state, 2) ? CONTRACT_fma : CONTRACT_off};
    Type box = type_matrix(element, 2, width);
    uint8_t *data = arena_array(c->arena, type_count(box), type_element_bytes(box));
    for (uint32_t i = 0; i < 2 * width; i++)
        store_float(box, data, i, i < width ? -1 : 1);
    Value v = network_add_input(c->net, "x", type_vector(element, width), const_add(c->m, "box", box, data, NOWHERE), NOWHERE);
    Builder b = builder_at_end(c->net->body);
    for (uint32_t ops = 2 + random_below(state, 8); ops > 0; ops--) {
        uint32_t kind = random_below(state, 8);
        if (kind < 3) {
            uint32_t rows = 1 + random_below(state, 6);
            ConstId bias = random_below(state, 2) ? random_const(c, state, type_vector(element, rows)) : 0;
            v = build_affine(&b, v, random_const(c, state, type_matrix(element, rows, width)), bias, ir_chains(rows, width));
            width = rows;
        } else if (kind < 7) {
            Value k = build_const(&b, random_const(c, state, random_below(state, 2) ? type_vector(element, width) : element));
            bool swap = random_below(state, kind == 6 ? 4 : 2) == 1;
            v = build_binary(&b, maps[kind - 3], swap ? k : v, swap ? v : k);
        } else {
            v = build_unary(&b, random_below(state, 2) ? OP_relu : OP_neg, v);
        }
    }
    network_add_output(c->net, "y", value_type(c->net, v), NOWHERE);
    build_return(&b, 1, &v, 0);
    network_done(c->net);
}

static double output_element(const Network *net, const Run *r, uint64_t i)
{
    if (net->output[0].type.elem == ELEM_F64)
        return ((double *)r->out[0])[i];
    return (double)((float *)r->out[0])[i];
}

/* The greatest difference over some points of the box. */
static void check_certified(uint64_t seed, size_t *merged, size_t *refused)
{
    enum { POINTS = 20 };
    Case c = case_new(seed);
    uint64_t state = seed;
    build_affine_net(&c, &state);
    Run before[POINTS];
    void *in[POINTS];
    Type x = c.net->input[0].type;
    for (int p = 0; p < POINTS; p++) {
        in[p] = arena_array(c.arena, type_count(x), type_element_bytes(x));
        for (uint64_t i = 0; i < type_count(x); i++)
            store_float(x, in[p], i, p == 0 ? 1 : p == 1 ? -1 : (double)uniform(&state));
        before[p] = run(&c, &in[p]);
    }
    CU_ASSERT(run_passes(&c, "merge-affine,dead-code"));
    *merged += c.net->certified_error > 0;
    *refused += strstr(messages(&c), "cannot be certified") != NULL;
    for (int p = 0; p < POINTS; p++) {
        Run after = run(&c, &in[p]);
        CU_ASSERT(counts_total(after.arithmetic) <= counts_total(before[p].arithmetic));
        for (uint64_t i = 0; i < type_count(c.net->output[0].type); i++) {
            double a = output_element(c.net, &before[p], i), b = output_element(c.net, &after, i);
            bool ok = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= c.net->certified_error;
            if (!ok)
                fprintf(stderr, "seed %llu: %a and %a, certified %a\n", (unsigned long long)seed, a, b, c.net->certified_error);
            CU_ASSERT(ok);
        }
    }
    case_free(&c);
}

static void test_certified(void)
{
    size_t merged = 0, refused = 0;
    for (uint64_t seed = 1; seed <= 800; seed++)
        check_certified(seed, &merged, &refused);
    CU_ASSERT(merged > 300);       /* not vacuous */
    CU_ASSERT(refused > 0);        /* a division by something near zero */
}

/* A bound that is hundreds of times the truth is of no use: one layer stays within a few roundings. */
static void test_bound_is_near(void)
{
    Case c = case_new(0);
    const char *text =
        "format_version 1\n"
        "const @box : f32[2,2] = [[0, 0], [1, 1]]\n"
        "const @mean : f32[2] = [0.5, 0.5]\n"
        "const @W : f32[1,2] = [[1, 2]]\n"
        "network @n(%x: f32[2] within @box) -> (y: f32[1]) options(numerics = real) {\n"
        "    %m = const @mean : f32[2]\n"
        "    %c = sub %x, %m : f32[2]\n"
        "    %y = affine %c, @W : f32[1]\n"
        "    return %y\n"
        "}\n";
    c.m = ir_read_text(c.arena, c.diags, "near", text, strlen(text));
    CU_ASSERT_FATAL(c.m != NULL);
    c.net = c.m->networks.at[0];
    CU_ASSERT(run_passes(&c, "merge-affine,dead-code"));
    CU_ASSERT(c.net->certified_error > 0x1p-24);
    CU_ASSERT(c.net->certified_error < 100 * 0x1p-24);
    case_free(&c);
}

/* Weights that may be off by 1/8 in each of two columns, inputs up to 1: the sum may be off by 1/4, and the bias by 1. */
static void test_inexact_weights(void)
{
    Case c = case_new(0);
    const char *text =
        "format_version 1\n"
        "const @box : f32[2,2] = [[-1, -1], [1, 1]]\n"
        "const @W : f32[1,2] = [[1, 2]]\n"
        "network @n(%x: f32[2] within @box) -> (y: f32[1]) {\n"
        "    %y = affine %x, @W : f32[1]\n"
        "    return %y\n"
        "}\n";
    c.m = ir_read_text(c.arena, c.diags, "inexact", text, strlen(text));
    CU_ASSERT_FATAL(c.m != NULL);
    c.net = c.m->networks.at[0];
    double exact, inexact;
    const char *why;
    double weight[2] = {0.125, 0.125}, bias[1] = {1};
    InexactList list = {0};
    vec_push(c.arena, list.ops, ((Inexact){c.net->body->first, weight, bias}));
    CU_ASSERT(error_bound(c.arena, c.net, NULL, &exact, &why));
    CU_ASSERT(error_bound(c.arena, c.net, &list, &inexact, &why));
    CU_ASSERT(exact > 0 && exact < 0x1p-19);
    CU_ASSERT(inexact >= 1.25 && inexact < 1.26);
    case_free(&c);
}

/* ---- widening: f64 inside, the interface as it was ---- */

/* Nothing computes in f32 any more, and inputs and outputs keep their types. */
static void test_widen(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        Case c = case_new(seed);
        c.net = random_network(c.m, seed, (RandomNetOptions){feature_sets[seed % N_FEATURE_SETS] & ~RANDOM_CALLS, 0});
        const Network *before = network_clone(c.net, "before");
        CU_ASSERT(run_passes(&c, "widen,fold-constants,simplify-shapes,fold-identities,dead-code"));
        OpWalk walk;
        FOR_EACH_OP(walk, op, c.net)
            if (op->kind == OP_affine || op->kind == OP_add || op->kind == OP_exp || op->kind == OP_reduce)
                CU_ASSERT(value_type(c.net, op->result[0]).elem != ELEM_F32);
        for (uint32_t i = 0; i < c.net->n_inputs; i++)
            CU_ASSERT(type_equal(c.net->input[i].type, before->input[i].type));
        for (uint32_t i = 0; i < c.net->n_outputs; i++)
            CU_ASSERT(type_equal(c.net->output[i].type, before->output[i].type));
        case_free(&c);
    }
}

/* f32 and f64 both lie near the real value, as near as the error bound says: so they lie near each other. Over all seeds f64
 * must make a difference somewhere, or nothing was widened. */
static void check_widened_values(uint64_t seed, size_t *compared, size_t *different)
{
    enum { POINTS = 10 };
    Case c = case_new(seed);
    uint64_t state = seed;
    build_affine_net(&c, &state);
    Type x = c.net->input[0].type, y = c.net->output[0].type;
    Run narrow[POINTS];
    void *in[POINTS];
    for (int p = 0; p < POINTS; p++) {
        in[p] = arena_array(c.arena, type_count(x), type_element_bytes(x));
        for (uint64_t i = 0; i < type_count(x); i++)
            store_float(x, in[p], i, (double)uniform(&state));
        narrow[p] = run(&c, &in[p]);
    }
    double bound = 0;
    const char *why;
    bool bounded = error_bound(c.arena, c.net, NULL, &bound, &why);
    CU_ASSERT(run_passes(&c, "widen"));
    for (int p = 0; bounded && p < POINTS; p++) {
        Run wide = run(&c, &in[p]);
        for (uint64_t i = 0; i < type_count(y); i++) {
            double a = output_element(c.net, &narrow[p], i), b = output_element(c.net, &wide, i);
            double most = y.elem == ELEM_F64 ? 0 : 2 * bound + fabs(b) * 0x1p-24;      /* the last rounding is to f32 */
            if (!(fabs(a - b) <= most))
                fprintf(stderr, "seed %llu: f32 %a, f64 %a, bound %a\n", (unsigned long long)seed, a, b, bound);
            CU_ASSERT(fabs(a - b) <= most);
            *compared += 1;
            *different += a != b;
        }
    }
    case_free(&c);
}

static void test_widened_values(void)
{
    size_t compared = 0, different = 0;
    for (uint64_t seed = 1; seed <= 300; seed++)
        check_widened_values(seed, &compared, &different);
    CU_ASSERT(compared > 1000);
    CU_ASSERT(different > compared / 10);
}

/* 1 + 2^-24 + 2^-24: each addition alone is lost in f32; in f64 the sum is right, and f32 can hold it. */
static void test_widened_sum(void)
{
    Case c = case_new(0);
    const char *text =
        "format_version 1\n"
        "const @W : f32[1,2] = [[0x1p-24, 0x1p-24]]\n"
        "const @b : f32[1] = [1]\n"
        "network @n(%x: f32[2]) -> (y: f32[1]) {\n"
        "    %y = affine %x, @W, @b : f32[1]\n"
        "    return %y\n"
        "}\n";
    c.m = ir_read_text(c.arena, c.diags, "sum", text, strlen(text));
    CU_ASSERT_FATAL(c.m != NULL);
    c.net = c.m->networks.at[0];
    float ones[2] = {1, 1};
    void *in[1] = {ones};
    Run narrow = run(&c, in);
    CU_ASSERT(run_passes(&c, "widen"));
    Run wide = run(&c, in);
    CU_ASSERT_EQUAL(((float *)narrow.out[0])[0], 1.0f);
    CU_ASSERT_EQUAL(((float *)wide.out[0])[0], 1.0f + 0x1p-23f);
    case_free(&c);
}

/* ---- guards ---- */

static void check_guard(Outside outside, float x, int status, float y)
{
    Case c = case_new(0);
    float box[2] = {0, 1};
    c.net = network_new(c.m, "n", NOWHERE);
    c.net->options.outside = outside;
    Value v = network_add_input(c.net, "x", type_vector(type_f32(), 1),
                                const_add(c.m, "box", type_matrix(type_f32(), 2, 1), box, NOWHERE), NOWHERE);
    network_add_output(c.net, "y", type_vector(type_f32(), 1), NOWHERE);
    Builder b = builder_at_end(c.net->body);
    build_return(&b, 1, &v, 0);
    network_done(c.net);
    CU_ASSERT(run_passes(&c, "guard,count-ops"));
    void *in[1] = {&x};
    Run r = run(&c, in);
    CU_ASSERT_EQUAL(r.status, status);
    if (status >= 0)
        CU_ASSERT(same_elements(type_f32(), r.out[0], &y));
    CU_ASSERT(memcmp(&r.arithmetic, &r.tallies, sizeof(Counts)) == 0);
    case_free(&c);
}

static void test_guard(void)
{
    check_guard(OUTSIDE_dense, 0.5f, 0, 0.5f);
    check_guard(OUTSIDE_dense, 2, 1, 2);
    check_guard(OUTSIDE_dense, NAN, 1, NAN);
    check_guard(OUTSIDE_dense, -0.0f, 0, -0.0f);
    check_guard(OUTSIDE_status, 1, 0, 1);
    check_guard(OUTSIDE_status, nextafterf(1, 2), -1, 0);
    check_guard(OUTSIDE_status, NAN, -1, 0);
    check_guard(OUTSIDE_clamp, 2, 1, 1);
    check_guard(OUTSIDE_clamp, -INFINITY, 1, 0);
    check_guard(OUTSIDE_clamp, NAN, 1, NAN);
    check_guard(OUTSIDE_clamp, -0.0f, 0, -0.0f);
    check_guard(OUTSIDE_promise, 2, 0, 2);
}

/* ---- pipelines ---- */

static void check_refused(const char *passes, const char *message)
{
    Case c = case_new(1);
    c.net = random_network(c.m, 1, (RandomNetOptions){0, 4});
    CU_ASSERT(!run_passes(&c, passes));
    const char *said = messages(&c);
    if (!strstr(said, message))
        fprintf(stderr, "--passes=%s: %s", passes, said);
    CU_ASSERT(strstr(said, message) != NULL);
    case_free(&c);
}

static void test_pipelines(void)
{
    check_refused("inlin", "did you mean `inline`?");
    check_refused("inline,,guard", "expected the name of a pass at `,guard`");
    check_refused("inline,", "expected the name of a pass at the end");
    check_refused("inline guard", "expected `,` at `guard`");
    check_refused("inline(x=1)", "pass `inline` has no option `x=1`; it takes none");
    check_refused("result(value=argmax", "expected `,` or `)` at the end");
    check_refused("result(value)", "expected `=` at `)`");
    check_refused("guard,count-ops,dead-code", "pass `dead-code` cannot run after `count-ops`");
    Case c = case_new(1);
    c.net = random_network(c.m, 1, (RandomNetOptions){0, 4});
    CU_ASSERT(run_passes(&c, ""));
    CU_ASSERT(run_passes(&c, " inline , dead-code "));
    CU_ASSERT(!pipeline_run(c.m, c.diags, &(PipelineOptions){.print_after = "dead"}));
    CU_ASSERT(!pipeline_run(c.m, c.diags, &(PipelineOptions){.stop_after = "all"}));
    PipelineOptions all = {.level = 0, .compute_f64 = true, .result = "argmin", .count_ops = true};
    CU_ASSERT_STRING_EQUAL(pipeline_text(c.arena, &all), "inline,memorize,result(value=argmin),widen,positive-zero,guard,dead-code,count-ops");
    all.passes = "";
    CU_ASSERT_STRING_EQUAL(pipeline_text(c.arena, &all), "inline,memorize,result(value=argmin),widen,count-ops");
    CU_ASSERT_STRING_EQUAL(pipeline_text(c.arena, &(PipelineOptions){.passes = " ", .count_ops = true}), "count-ops");
    CU_ASSERT_STRING_EQUAL(pipeline_text(c.arena, &(PipelineOptions){.passes = "guard", .count_ops = true}), "guard,count-ops");
    CU_ASSERT_STRING_EQUAL(pipeline_text(c.arena, &(PipelineOptions){.passes = ""}), "");
    case_free(&c);
}

/* Three networks cannot be inlined for one reason: it is said once. */
static void test_one_message(void)
{
    Case c = case_new(0);
    const char *text =
        "format_version 1\n"
        "network @early(%x: f32[1]) -> (y: f32[1]) {\n%s = active %x, pred = gt0 : set[1]\neach %s {|%i: idx[1]|\nreturn %x\n}\nreturn %x\n}\n"
        "network @a(%x: f32[1]) -> (y: f32[1]) {\n%p = call %x, callee = @early : f32[1]\nreturn %p\n}\n"
        "network @b(%x: f32[1]) -> (y: f32[1]) {\n%p = call %x, callee = @early : f32[1]\nreturn %p\n}\n"
        "network @c(%x: f32[1]) -> (y: f32[1]) {\n%p = call %x, callee = @early : f32[1]\nreturn %p\n}\n";
    c.m = ir_read_text(c.arena, c.diags, "three", text, strlen(text));
    CU_ASSERT_FATAL(c.m != NULL);
    CU_ASSERT(!run_passes(&c, "inline"));
    CU_ASSERT_EQUAL(diag_errors(c.diags), 1);
    case_free(&c);
}

/* Dumps, timings and statistics go where they are asked to. */
static void test_ceremony(void)
{
    Case c = case_new(1);
    c.net = random_network(c.m, 1, (RandomNetOptions){0, 8});
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    PipelineOptions o = {.level = 2, .print_before = "guard", .print_after = "all", .stop_after = "guard", .time_passes = true,
                         .pass_stats = true, .dump = f};
    CU_ASSERT(pipeline_run(c.m, c.diags, &o));
    fclose(f);
    CU_ASSERT(strstr(text, "# IR before guard") != NULL);
    CU_ASSERT(strstr(text, "# IR after inline") != NULL);
    CU_ASSERT(strstr(text, "# IR after guard") != NULL);
    CU_ASSERT(strstr(text, "IR after dead-code") == NULL);    /* it comes after guard */
    CU_ASSERT(strstr(text, "operations") != NULL);
    CU_ASSERT(strstr(text, "total") != NULL);
    free(text);
    case_free(&c);
}

/* Every row of the registry is whole and can be found. */
static void test_registry(void)
{
    size_t n;
    const Pass *pass = pass_list(&n);
    CU_ASSERT(n > 10);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT(pass_named(pass[i].name) == &pass[i]);
        CU_ASSERT(pass[i].run != NULL && *pass[i].summary);
    }
    CU_ASSERT(pass_named("no-such-pass") == NULL);
}

void suite_passes(void)
{
    CU_pSuite s = CU_add_suite("passes", NULL, NULL);
    CU_add_test(s, "same bits", test_same_bits);
    CU_add_test(s, "levels", test_levels);
    CU_add_test(s, "weights that are not finite", test_not_finite);
    CU_add_test(s, "widen", test_widen);
    CU_add_test(s, "widened values", test_widened_values);
    CU_add_test(s, "a widened sum", test_widened_sum);
    CU_add_test(s, "counts", test_counts);
    CU_add_test(s, "certified", test_certified);
    CU_add_test(s, "bound is near", test_bound_is_near);
    CU_add_test(s, "inexact weights", test_inexact_weights);
    CU_add_test(s, "guard", test_guard);
    CU_add_test(s, "pipelines", test_pipelines);
    CU_add_test(s, "one message", test_one_message);
    CU_add_test(s, "ceremony", test_ceremony);
    CU_add_test(s, "registry", test_registry);
}
