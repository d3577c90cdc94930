/* test_cnet.c — the .cnet language: programs are lowered and then run by the interpreter, so that a test says what a program
 * computes rather than how its IR looks. Mistakes and their messages are in tests/diag.
 */
#include "../../frontend/frontend.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

void suite_cnet(void);

typedef struct Fixture { Arena *arena; Diags *diags; } Fixture;

static Fixture begin(void)
{
    Fixture f = {arena_new(NULL), NULL};
    f.diags = diag_new(f.arena);
    return f;
}

static Module *parse_with(Fixture *f, const char *text, const LoadOptions *options)
{
    return fe_parse_cnet(f->arena, f->diags, "test.cnet", str_dup(f->arena, text), strlen(text), options, NULL);
}

/* The module of a program that must be right: verified, its messages shown when it is not. */
static Module *parse(Fixture *f, const char *text)
{
    Module *m = parse_with(f, text, NULL);
    Text why = text_new(f->arena);
    if (!m)
        diag_flush(f->diags, stderr, DIAG_PLAIN);
    else if (!ir_verify(m, &why))
        fprintf(stderr, "invalid: %s\n", why.at);
    CU_ASSERT_FATAL(m != NULL && why.len == 0);
    return m;
}

/* Runs the last network of a program on one input; returns the status. */
static int run(Fixture *f, const char *text, const void *x, void *y, Counts *counts)
{
    Module *m = parse(f, text);
    const Network *net = m->networks.at[m->networks.len - 1];
    CU_ASSERT_FATAL(net->n_inputs == 1 && net->n_outputs == 1);
    *counts = (Counts){0};
    return interp_run(interp_new(f->arena, net), &x, &y, counts, NULL, NULL);
}

/* An f32 program's outputs, compared bit for bit. */
static void check_f32(const char *text, const float *x, const float *expected, size_t n)
{
    Fixture f = begin();
    float y[16] = {0};
    Counts counts;
    CU_ASSERT_EQUAL(run(&f, text, x, y, &counts), 0);
    if (memcmp(y, expected, n * sizeof *y) != 0)
        for (size_t i = 0; i < n; i++)
            fprintf(stderr, "  [%zu] got %a, expected %a\n", i, (double)y[i], (double)expected[i]);
    CU_ASSERT(memcmp(y, expected, n * sizeof *y) == 0);
    arena_free(f.arena);
}

static size_t warnings_of(const char *text)
{
    Fixture f = begin();
    parse(&f, text);
    size_t n = diag_warnings(f.diags);
    arena_free(f.arena);
    return n;
}

#define F32(...) ((const float[]){__VA_ARGS__})

/* ---- numbers ---- */

static void test_numbers_round_once(void)
{
    /* Halfway cases that rounding to f64 first would get wrong, and one that is exact in neither. */
    check_f32("network f(x: f32[4]) -> f32[4] { x + [1.00000017881393432617187499, 1.0000000596046447753906250000001, "
              "0.1, -0.0] }", F32(0, 0, 0, -0.0f),
              F32(0x1.000002p0f, 0x1.000002p0f, 0.1f, -0.0f), 4);
    check_f32("network f(x: f32[3]) -> f32[3] { x * [0x1.8p-3, 0X1P2, 0x10] }", F32(1, 1, 1), F32(0.1875f, 4, 16), 3);
    check_f32("network f(x: f32[2]) -> f32[2] { x + [16777217, 9007199791611905] }", F32(0, 0), F32(16777216, 9007200328482816.0f), 2);
}

static void test_untyped_arithmetic_is_the_type_it_meets(void)
{
    check_f32("network f(x: f32) -> f32 { x + 1 / 3 }", F32(0), F32(1.0f / 3.0f), 1);
    check_f32("network f(x: f32) -> f32 { x + 0.1 * 0.1 }", F32(0), F32(0.1f * 0.1f), 1);
    check_f32("const n = 6; network f(x: f32[n / 2 * 2 - 4]) -> f32[2] { x * (n - 2) }", F32(1, 2), F32(4, 8), 2);
}

static void test_integers_are_exact(void)
{
    Fixture f = begin();
    int64_t x = 1, y = 0;
    Counts counts;
    run(&f, "network f(x: i64) -> i64 { x + 9223372036854775806 }", &x, &y, &counts);
    CU_ASSERT_EQUAL(y, INT64_MAX);
    x = 0;
    run(&f, "network f(x: i64) -> i64 { x + -9223372036854775808 }", &x, &y, &counts);
    CU_ASSERT_EQUAL(y, INT64_MIN);
    arena_free(f.arena);
}

static void test_wide_integers(void)
{
    Fixture f = begin();
    uint8_t x[16] = {0}, y[16] = {0}, expected[16] = {1};
    expected[12] = 0x10;                                       /* 2^100 + 1 */
    Counts counts;
    run(&f, "network f(x: i128) -> i128 { x + 1267650600228229401496703205377 }", x, y, &counts);
    CU_ASSERT(memcmp(y, expected, 16) == 0);
    run(&f, "network f(x: i128) -> i128 { x + -1267650600228229401496703205377 }", x, y, &counts);
    memset(expected, 0xff, 16);
    expected[12] = 0xef;
    CU_ASSERT(memcmp(y, expected, 16) == 0);
    arena_free(f.arena);
}

/* A constant converted at compile time has the bits of the cast op. */
static void test_constant_casts_are_casts(void)
{
    static const char *const types[] = {"f32", "f64", "i8", "i13", "i32", "i64"};
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 6; b++) {
            Fixture f = begin();
            int64_t x = 0, y = 0;
            Counts counts;
            /* the constant's cast folds, the value's is an op: their difference is nothing */
            const char *text = str_printf(f.arena,
                "network f(x: i64) -> i64 {\n"
                "    let c = f64([0.5, -0.5, 1.5, -1.5, 100, -100, 4095, 4096, -4096, 1e15, 3e38, -3e38]);\n"
                "    let v = c + f64(x);\n"
                "    let d = %s(%s(c)) != %s(%s(v));\n"
                "    sum(select(d, i64(1), i64(0))) }", types[b], types[a], types[b], types[a]);
            run(&f, text, &x, &y, &counts);
            if (y != 0)
                fprintf(stderr, "%s(%s(c)) differs in %d places\n", types[b], types[a], (int)y);
            CU_ASSERT_EQUAL(y, 0);
            arena_free(f.arena);
        }
}

/* ---- products ---- */

static const Op *only_op(const Module *m, OpKind kind)
{
    OpWalk walk;
    const Op *found = NULL;
    FOR_EACH_OP (walk, op, m->networks.at[m->networks.len - 1])
        if (op->kind == kind) {
            CU_ASSERT(found == NULL);
            found = op;
        }
    return found;
}

static void test_a_constant_bias_begins_the_sum(void)
{
    static const char *const texts[] = {
        "network f(x: f32[2]) -> f32[2] { [[1, 2], [3, 4]] @ x + [5, 6] }",
        "network f(x: f32[2]) -> f32[2] { [5, 6] + [[1, 2], [3, 4]] @ x }",
        "layer d(W, b, v) = (W @ v) + b; network f(x: f32[2]) -> f32[2] { d([[1, 2], [3, 4]], f32([5, 6]), x) }",
        "network f(x: f32[2]) -> f32[2] { x @ [[1, 3], [2, 4]] + [5, 6] }",
        "network f(x: f32[2]) -> f32[2] { transpose([[1, 3], [2, 4]]) @ x + [5, 6, 7][0:2] }",
        "network f(x: f32[2]) -> f32[2] { [[0, 1, 2], [0, 3, 4]][:, 1:3] @ x + concat([5], [6]) }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Fixture f = begin();
        const Module *m = parse(&f, texts[i]);
        const Op *op = only_op(m, OP_affine);
        CU_ASSERT(op != NULL && op->cst[AFFINE_b] != 0 && only_op(m, OP_add) == NULL);
        arena_free(f.arena);
        check_f32(texts[i], F32(1, 10), F32(26, 49), 2);
    }
}

static void test_other_sums_stay_sums(void)
{
    Fixture f = begin();
    CU_ASSERT(only_op(parse(&f, "network f(x: f32[2]) -> f32[2] { [[1, 2], [3, 4]] @ x + x }"), OP_add) != NULL);
    CU_ASSERT(only_op(parse(&f, "network f(x: f32[2]) -> f32[2] { let z = [[1, 2], [3, 4]] @ x; z + [1, 2] }"), OP_add) != NULL);
    CU_ASSERT(only_op(parse(&f, "network f(x: f32[2]) -> f32[2] { [[1, 2], [3, 4]] @ x + 1 }"), OP_add) != NULL);
    arena_free(f.arena);
}

static void test_products_associate_to_the_right(void)
{
    Fixture f = begin();
    float x[2] = {1, 2}, y[2];
    Counts counts;
    run(&f, "network f(x: f32[2]) -> f32[2] { [[1, 2], [3, 4]] @ [[1, 0], [0, 1]] @ x }", x, y, &counts);
    CU_ASSERT_EQUAL(counts.mul, 8);                            /* two matrices applied to a vector, not multiplied */
    CU_ASSERT(y[0] == 5 && y[1] == 11);
    arena_free(f.arena);
    check_f32("network f(x: f32[2]) -> f32[2] { -2 * [[1, 2], [3, 4]] @ x }", F32(1, 1), F32(-6, -14), 2);
    check_f32("network f(x: f32[2, 2]) -> f32[2, 2] { x @ x }", F32(1, 2, 3, 4), F32(7, 10, 15, 22), 4);
}

static void test_f32_weights_meet_f64_values(void)
{
    Fixture f = begin();
    double x[2] = {1, 1e-9}, y[1];
    Counts counts;
    run(&f, "network f(x: f64[2]) -> f64[1] { f32([[0.1, 1]]) @ x }", x, y, &counts);
    CU_ASSERT_EQUAL(y[0], (double)0.1f + 1e-9);
    arena_free(f.arena);
}

/* ---- statements ---- */

static void test_loops_are_their_bodies_written_out(void)
{
    check_f32("network f(x: f32) -> f32 { let h = x; for i in 1 to 3 { let h = h * 10 + i; let t = h; } h + t }", F32(0), F32(246), 1);
    check_f32("network f(x: f32) -> f32 { let h = x; for i in 1 to 0 { let h = h + 1; } h }", F32(7), F32(7), 1);
    check_f32("const n = 2; network f(x: f32) -> f32 { let h = x; for i in 0 to n { for k in i to n { let h = h + 1; } } h }", F32(0), F32(6), 1);
    /* the index is gone afterwards, and the outer meaning of its name is back */
    check_f32("network f(i: f32) -> f32 { for i in 0 to 3 { let k = i; } i + k }", F32(0.5f), F32(3.5f), 1);
}

static void test_layers_are_generic(void)
{
    check_f32("layer mean(v) = sum(v) / size(v);\n"
              "layer norm(v) { let m = mean(v); v - m }\n"
              "network f(x: f32[4]) -> f32[2] { [mean(norm(x[0:3]) * 3), mean(x)] }", F32(1, 2, 3, 6), F32(0, 3), 2);
    check_f32("layer twice(s, v) = if s == 0 { v } else { v + v }; network f(x: f32) -> f32 { twice(0, x) + twice(1, x) }", F32(1), F32(3), 1);
    /* a layer's names are its own */
    check_f32("layer a(v) { let x = v * 2; x } network f(x: f32) -> f32 { a(x) + x }", F32(1), F32(3), 1);
}

static void test_a_branch_runs_alone(void)
{
    Fixture f = begin();
    float x = 2, y;
    Counts counts;
    const char *text = "network f(x: f32) -> f32 { if x > 1 { x * 2 } else if x > 0 { x + 1 } else { 5 } }";
    run(&f, text, &x, &y, &counts);
    CU_ASSERT(y == 4 && counts.mul == 1 && counts.add == 0 && counts.cmp == 1);
    x = 1;
    run(&f, text, &x, &y, &counts);
    CU_ASSERT(y == 2 && counts.mul == 0 && counts.add == 1 && counts.cmp == 2);
    x = -1;
    run(&f, text, &x, &y, &counts);
    CU_ASSERT(y == 5 && counts.mul == 0 && counts.add == 0 && counts.cmp == 2);
    arena_free(f.arena);
}

static void test_an_exit_ends_the_evaluation(void)
{
    Fixture f = begin();
    float x = 2, y;
    Counts counts;
    const char *text = "network f(x: f32) -> f32 { exit x + 1 if x > 1; x * 10 }";
    run(&f, text, &x, &y, &counts);
    CU_ASSERT(y == 3 && counts.mul == 0 && counts.add == 1);
    x = 1;
    run(&f, text, &x, &y, &counts);
    CU_ASSERT(y == 10 && counts.mul == 1 && counts.add == 0);   /* the exit's value is computed only when it is taken */
    arena_free(f.arena);
}

static void test_select_is_elementwise(void)
{
    check_f32("network f(x: f32[3]) -> f32[3] { select(x > 0 && !(x == 2), x, -1) }", F32(1, 2, -3), F32(1, -1, -1), 3);
    check_f32("network f(x: f32[3]) -> f32[3] { select(x[0] != x[1] || x[2] > 5, x, x * 2) }", F32(1, 1, 3), F32(2, 2, 6), 3);
}

static void test_networks_call_networks(void)
{
    check_f32("network top_(x: f32[2]) -> f32 { let (s, d) = both(x); s * d + both(x)[0] }\n"
              "network both(v: f32[2]) -> (s: f32, d: f32) { (v[0] + v[1], v[0] - v[1]) }\n"
              "network last(x: f32[2]) -> f32 { top_(x) }", F32(5, 3), F32(24), 1);
}

static void test_indices_become_declared_integers(void)
{
    Fixture f = begin();
    float x[3] = {1, 5, 3};
    int32_t y = 9;
    Counts counts;
    run(&f, "network f(x: f32[3]) -> (class: i32) { argmax(x) }", x, &y, &counts);
    CU_ASSERT_EQUAL(y, 1);
    arena_free(f.arena);
    check_f32("network f(x: f32[3]) -> f32 { x[argmin(x)] + f32(argmax(x)) }", F32(4, 5, 3), F32(4), 1);
}

/* ---- names, ports, options ---- */

static void test_contextual_words_are_names(void)
{
    check_f32("layer to(from) = from; const within = 1;\n"
              "network exit(in: f32) -> (data: f32) { let options = in; let from = to(options); let exit = from; let label = exit;\n"
              "    exit label + within if label > 100;\n"
              "    let axis = label; let top = axis; let expert = top; exit + expert }", F32(1), F32(2), 1);
}

static void test_boxes(void)
{
    Fixture f = begin();
    const Module *m = parse(&f, "const lo = f64([[-1, 0.1], [2, 3]]);\n"
                                "network f(a: f64[2, 2] within (lo to 9), b: i16[3] within (-3 to 4), c: f32[2] within (0.1 to 0x1p-1, 7 to 7), d: f32) -> f32 { d }");
    const Network *net = m->networks.at[0];
    const Const *a = const_get(m, net->input[0].box), *b = const_get(m, net->input[1].box), *c = const_get(m, net->input[2].box);
    CU_ASSERT(type_equal(a->type, type_matrix(type_f64(), 2, 4)) && const_f64(a, 1) == 0.1 && const_f64(a, 2) == 2 && const_f64(a, 7) == 9);
    CU_ASSERT(type_equal(b->type, type_matrix(type_int(16), 2, 3)) && const_f64(b, 2) == -3 && const_f64(b, 3) == 4);
    CU_ASSERT(const_f64(c, 0) == (double)0.1f && const_f64(c, 1) == 7 && const_f64(c, 2) == 0.5 && const_f64(c, 3) == 7);
    CU_ASSERT_EQUAL(net->input[3].box, 0);
    arena_free(f.arena);
}

static void test_options_and_the_command_line(void)
{
    Fixture f = begin();
    const char *text = "network f(x: f32) -> f32 options(numerics: real, outside: clamp, contract: fma) { x } network g(x: f32) -> f32 { x }";
    const Module *m = parse(&f, text);
    NetOptions o = m->networks.at[0]->options, p = m->networks.at[1]->options;
    CU_ASSERT(o.numerics == NUMERICS_real && o.outside == OUTSIDE_clamp && o.contract == CONTRACT_fma);
    CU_ASSERT(p.numerics == NUMERICS_exact && p.outside == OUTSIDE_dense && p.contract == CONTRACT_off);
    LoadOptions said = {.says = SAYS_numerics | SAYS_contract | SAYS_outside, .net = {NUMERICS_real, CONTRACT_fma, OUTSIDE_promise}};
    m = parse_with(&f, text, &said);
    o = m->networks.at[0]->options;
    p = m->networks.at[1]->options;
    CU_ASSERT(o.outside == OUTSIDE_promise && p.outside == OUTSIDE_promise && p.contract == CONTRACT_fma && p.numerics == NUMERICS_real);
    said.net = (NetOptions){NUMERICS_exact, CONTRACT_off, OUTSIDE_dense};      /* the defaults, said aloud */
    m = parse_with(&f, text, &said);
    o = m->networks.at[0]->options;
    CU_ASSERT(o.numerics == NUMERICS_exact && o.outside == OUTSIDE_dense && o.contract == CONTRACT_off);
    arena_free(f.arena);
}

static void test_what_is_unused_is_said(void)
{
    CU_ASSERT_EQUAL(warnings_of("network f(x: f32) -> f32 { let a = x; let b = a; let _c = b; x }"), 0);
    CU_ASSERT_EQUAL(warnings_of("network f(x: f32) -> f32 { let a = x; x }"), 1);
    CU_ASSERT_EQUAL(warnings_of("const n = 1; layer l(v) = v; network f(x: f32) -> f32 { x }"), 2);
    CU_ASSERT_EQUAL(warnings_of("network f(x: f32) -> f32 { let h = x; let h = h + 1; for i in 0 to 2 { let h = h * 2; } h }"), 0);
    CU_ASSERT_EQUAL(warnings_of("network f(x: f32) -> f32 { let h = x; let h = x + 1; h }"), 1);
}

static void test_values_are_named_after_the_source(void)
{
    Fixture f = begin();
    const Module *m = parse(&f, "network f(x: f32[2]) -> f32[2] { let hidden = relu(x); hidden + 1 }");
    const Op *relu = only_op(m, OP_relu);
    CU_ASSERT_STRING_EQUAL(value_info(m->networks.at[0], relu->result[0])->name, "hidden");
    CU_ASSERT(relu->span.source != 0 && relu->span.end - relu->span.begin == strlen("relu(x)"));
    arena_free(f.arena);
}

/* ---- safety ---- */

static void test_sealed_programs_open_nothing(void)
{
    Fixture f = begin();
    LoadOptions sealed = {.sealed = true};
    CU_ASSERT(parse_with(&f, "weights w = \"/dev/zero\"; network f(x: f32) -> f32 { x }", &sealed) == NULL);
    CU_ASSERT(parse_with(&f, "network f from \"/dev/zero.onnx\";", &sealed) == NULL);
    CU_ASSERT_EQUAL(diag_errors(f.diags), 2);
    arena_free(f.arena);
}

/* Wherever memory runs out, the parse unwinds to the guard and everything is released (a leak checker sees to that). */
static void test_memory_may_run_out_anywhere(void)
{
    const char *text = "const n = 2; layer d(W, v) = relu(W @ v + [1, 2]);\n"
                       "network f(x: f32[n] within (0 to 1)) -> f32[2] { let h = x; for i in 0 to n { let h = d([[1, 2], [3, 4]], h); }\n"
                       "    let s = \"a{n}\"; exit h if h[0] > 0.5; if h[1] > 0 { h * 2 } else { -h } }";
    bool ran_out = true;
    for (volatile size_t n = 1; ran_out && n < 5000; n += 1 + n / 16) {
        Arena *arena = arena_new(NULL);
        volatile bool done = false;
        if (!ARENA_GUARD(arena)) {
            Diags *diags = diag_new(arena);
            arena_fail_after(arena, n);
            CU_ASSERT(fe_parse_cnet(arena, diags, "t.cnet", text, strlen(text), NULL, NULL) != NULL);
            done = true;
        }
        ran_out = !done;
        arena_free(arena);
    }
    CU_ASSERT(!ran_out);
}

static void refuse(const char *text, size_t len)
{
    Fixture f = begin();
    CU_ASSERT(fe_parse_cnet(f.arena, f.diags, "t.cnet", text, len, NULL, NULL) == NULL);
    CU_ASSERT(diag_errors(f.diags) > 0);
    arena_free(f.arena);
}

static void test_deep_nesting_is_refused(void)
{
    enum { DEPTH = 200000 };
    static const char *const opens[] = {"(", "-", "!", "[", "{", "f(", "x[", "if x {", "x@", "x+", "for i in 0 to 1 {", "\"{"};
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
        size_t step = strlen(opens[i]), len = 0;
        const char *head = "network f(x: f32) -> f32 { ";
        char *text = malloc(strlen(head) + DEPTH * step + 1);
        CU_ASSERT_FATAL(text != NULL);
        len = (size_t)sprintf(text, "%s", head);
        for (size_t k = 0; k < DEPTH; k++, len += step)
            memcpy(text + len, opens[i], step);
        refuse(text, len);
        free(text);
    }
}

static void test_every_prefix_is_refused_or_read(void)
{
    const char *text = "const n = 2; layer d(W, v) = relu(W @ v + [1, 0x1p-2]); # c\n"
                       "network f(x: f32[n] within (0 to 1)) -> (y: f32[2], c: i32) options(outside: clamp) {\n"
                       "    let h = x; for i in 0 to n { let h = d([[1, 2], [3, 4]], h); }\n"
                       "    exit (h, argmax(h)) if h[0] >= 0.5 || max(h) != 3;\n"
                       "    let g: f32[2] = if h[1] > 0 { h * 2 } else { -h[:] }; (g, 3) }";
    Fixture f = begin();
    CU_ASSERT(parse_with(&f, text, NULL) != NULL);
    arena_free(f.arena);
    for (size_t len = 0; len < strlen(text); len++)
        refuse(text, len);
}

void suite_cnet(void)
{
    CU_pSuite suite = CU_add_suite("cnet", NULL, NULL);
    CU_ADD_TEST(suite, test_numbers_round_once);
    CU_ADD_TEST(suite, test_untyped_arithmetic_is_the_type_it_meets);
    CU_ADD_TEST(suite, test_integers_are_exact);
    CU_ADD_TEST(suite, test_wide_integers);
    CU_ADD_TEST(suite, test_constant_casts_are_casts);
    CU_ADD_TEST(suite, test_a_constant_bias_begins_the_sum);
    CU_ADD_TEST(suite, test_other_sums_stay_sums);
    CU_ADD_TEST(suite, test_products_associate_to_the_right);
    CU_ADD_TEST(suite, test_f32_weights_meet_f64_values);
    CU_ADD_TEST(suite, test_loops_are_their_bodies_written_out);
    CU_ADD_TEST(suite, test_layers_are_generic);
    CU_ADD_TEST(suite, test_a_branch_runs_alone);
    CU_ADD_TEST(suite, test_an_exit_ends_the_evaluation);
    CU_ADD_TEST(suite, test_select_is_elementwise);
    CU_ADD_TEST(suite, test_networks_call_networks);
    CU_ADD_TEST(suite, test_indices_become_declared_integers);
    CU_ADD_TEST(suite, test_contextual_words_are_names);
    CU_ADD_TEST(suite, test_boxes);
    CU_ADD_TEST(suite, test_options_and_the_command_line);
    CU_ADD_TEST(suite, test_what_is_unused_is_said);
    CU_ADD_TEST(suite, test_values_are_named_after_the_source);
    CU_ADD_TEST(suite, test_sealed_programs_open_nothing);
    CU_ADD_TEST(suite, test_memory_may_run_out_anywhere);
    CU_ADD_TEST(suite, test_deep_nesting_is_refused);
    CU_ADD_TEST(suite, test_every_prefix_is_refused_or_read);
}
