/* test_leaves.c — a tree over floats whose leaves are small affine maps with stacks: native code is the interpreter, bit for bit.
 *
 *   keys       f32 and f64, one to five free inputs; inputs at random in the box, on cuts and beside them, outside, infinite, NaN
 *   leaves     constants, one affine map, stages of relus on a growing basis, winners with labels; one class or several, one slot or many
 *   bodies     plain (they begin at a cell of a grid) and counted (at the root), as written and as the passes leave them, on every level; batches
 *              of no, one, few and many inputs, which are sorted by class, forwards, backwards and with gaps
 *
 * The networks are written as text: what they look like is part of the test. A failure prints the seed.
 */
#include "../../backend/backend.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_leaves(void);

enum { MOST_NODES = 600, MOST_KEYS = 5, MOST_CLASSES = 6 };

typedef struct Form { bool wide; uint32_t n_keys, n_nodes, n_classes, most_slots; } Form;
typedef struct Made { Arena *arena; Module *m; Network *net; uint64_t state; uint32_t n_cuts; uint32_t coordinate[MOST_NODES]; double cut[MOST_NODES]; } Made;

static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

static double uniform(uint64_t *state, double lo, double hi)
{
    return lo + (hi - lo) * ((double)random_below(state, 1 << 20) / (1 << 20));
}

/* ---- the text ---- */

static int64_t image_of(const Form *f, double value)
{
    int64_t wide;
    int32_t narrow;
    float single = (float)value;
    memcpy(&wide, &value, 8);
    memcpy(&narrow, &single, 4);
    if (f->wide)
        return wide >= 0 ? wide : -(wide & INT64_MAX);
    return narrow >= 0 ? narrow : -(narrow & INT32_MAX);
}

/* Boxes are cut in two at their middle or near it, those with the largest share first or any. */
static void add_tree(Text *t, Made *made, const Form *f, const uint32_t *slots)
{
    double (*box)[MOST_KEYS][2] = calloc(MOST_NODES * 2 + 2, sizeof *box);
    uint32_t next = 1, most = 0;
    for (uint32_t j = 0; j < f->n_keys; j++)
        box[0][j][0] = -2 - j, box[0][j][1] = 3;
    for (uint32_t c = 0; c < f->n_classes; c++)
        most = slots[c] > most ? slots[c] : most;
    text_add(t, "const @T : tree i%d keys %u nodes %u leaves %u classes %u slots %u = [", f->wide ? 64 : 32, f->n_keys, f->n_nodes, f->n_nodes + 1,
             f->n_classes, most);
    uint32_t leaf = 0;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        uint32_t j = random_below(&made->state, f->n_keys);
        double lo = box[i][j][0], hi = box[i][j][1], cut = random_below(&made->state, 3) ? (lo + hi) / 2 : uniform(&made->state, lo, hi);
        cut = f->wide ? cut : (float)cut;
        made->coordinate[i] = j;
        made->cut[i] = cut;
        text_add(t, "%s[%u] > %lld ?", i ? ", " : "", j, (long long)image_of(f, cut));
        for (int side = 1; side >= 0; side--) {
            bool grow = next < f->n_nodes && (next == i + 1 || random_below(&made->state, 4));
            if (grow) {
                memcpy(box[next], box[i], sizeof *box);
                box[next][j][!side] = cut;
                text_add(t, "%s%u", side ? " " : " : ", next++);
            } else {
                text_add(t, "%s~%u", side ? " " : " : ", leaf++);
            }
        }
    }
    made->n_cuts = f->n_nodes;
    text_add(t, "], [");
    for (uint32_t i = 0; i <= f->n_nodes; i++) {
        uint32_t c = random_below(&made->state, f->n_classes);
        text_add(t, "%s%u:%u", i ? ", " : "", c, random_below(&made->state, slots[c]));
    }
    text_add(t, "]\n");
    free(box);
}

static void add_numbers(Text *t, Made *made, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        text_add(t, "%s%.6g", i ? ", " : "", random_below(&made->state, 6) ? uniform(&made->state, -1, 1) : 0.0);
}

/* A stack of tensors of the dims; rows 0: of vectors. */
static void add_stack(Text *t, Made *made, const Form *f, const char *name, uint32_t slots, uint32_t rows, uint32_t cols)
{
    text_add(t, "const @%s : stack %s[%u, ", name, f->wide ? "f64" : "f32", slots);
    text_add(t, rows ? "%u, %u] = [" : "%.0u%u] = [", rows, cols);
    for (uint32_t s = 0; s < slots; s++) {
        text_add(t, s ? ", [" : "[");
        for (uint32_t r = 0; r < (rows ? rows : 1); r++) {
            text_add(t, rows ? r ? ", [" : "[" : "");
            add_numbers(t, made, cols);
            text_add(t, rows ? "]" : "");
        }
        text_add(t, "]");
    }
    text_add(t, "]\n");
}

/* One class: its stacks to `t`, its code to `code`. Two outputs. */
static void add_class(Text *t, Text *code, Made *made, const Form *f, uint32_t c, uint32_t slots)
{
    Arena *a = made->arena;
    const char *type = f->wide ? "f64" : "f32", *order = random_below(&made->state, 3) ? "" : ", order = chains(4)";
    uint32_t stages = random_below(&made->state, 4), n = f->n_keys;
    char *basis = "%free";
    text_add(code, " {\n %%s%u = cast %%slot : idx[%u]\n", c, slots);
    if (stages == 0 && random_below(&made->state, 2)) {
        add_stack(t, made, f, str_printf(a, "y%u", c), slots, 0, 2);
        text_add(code, " %%y%u = row @y%u[%%s%u] : %s[2]\n yield %%y%u\n }", c, c, c, type, c);
        return;
    }
    for (uint32_t k = 0; k < stages; k++) {
        static const uint32_t rows_of[] = {1, 2, 3, 4, 6, 8, 12, 16, 24};
        uint32_t rows = rows_of[random_below(&made->state, 9)];
        add_stack(t, made, f, str_printf(a, "W%u.%u", c, k), slots, rows, n);
        add_stack(t, made, f, str_printf(a, "b%u.%u", c, k), slots, 0, rows);
        text_add(code, " %%z%u.%u = affine %s, @W%u.%u[%%s%u], @b%u.%u[%%s%u]%s : %s[%u]\n", c, k, basis, c, k, c, c, k, c, order, type, rows);
        text_add(code, " %%h%u.%u = relu %%z%u.%u : %s[%u]\n", c, k, c, k, type, rows);
        if (random_below(&made->state, 4) == 0) {                  /* kept: a row that is on, then the relus */
            text_add(code, " %%o%u.%u = slice %%z%u.%u, from = [0] : %s[1]\n", c, k, c, k, type);
            text_add(code, " %%B%u.%u = concat %%o%u.%u, %%h%u.%u : %s[%u]\n", c, k, c, k, c, k, type, n = rows + 1);
        } else {
            text_add(code, " %%B%u.%u = concat %s, %%h%u.%u : %s[%u]\n", c, k, basis, c, k, type, n += rows);
        }
        basis = str_printf(a, "%%B%u.%u", c, k);
    }
    bool winner = random_below(&made->state, 3) == 0;
    add_stack(t, made, f, str_printf(a, "Wy%u", c), slots, 2, n);
    add_stack(t, made, f, str_printf(a, "by%u", c), slots, 0, 2);
    text_add(code, " %%d%u = affine %s, @Wy%u[%%s%u], @by%u[%%s%u]%s : %s[2]\n", c, basis, c, c, c, c, order, type);
    if (winner) {
        add_stack(t, made, f, str_printf(a, "L%u", c), slots, 0, 3);
        text_add(code, " %%zero%u = const @zero : %s[1]\n %%a%u = concat %%zero%u, %%d%u : %s[3]\n %%i%u = argmax %%a%u\n", c, type, c, c, c, type, c, c);
        text_add(code, " %%L%u = row @L%u[%%s%u] : %s[3]\n %%l%u = index %%L%u, %%i%u : %s\n %%y%u = splat %%l%u : %s[2]\n", c, c, c, type, c, c, c, type,
                 c, c, type);
    }
    text_add(code, winner ? " yield %%y%u\n }" : " yield %%d%u\n }", c);
}

static Made make(const Form *f, uint64_t seed, const char *passes)
{
    Made made = {.arena = arena_new(NULL), .state = seed};
    Diags *diags = diag_new(made.arena);
    Text t = text_new(made.arena), code = text_new(made.arena);
    const char *type = f->wide ? "f64" : "f32";
    uint32_t slots[MOST_CLASSES], most = 0;
    for (uint32_t c = 0; c < f->n_classes; c++) {
        slots[c] = 1 + random_below(&made.state, f->most_slots);
        most = slots[c] > most ? slots[c] : most;
    }
    text_add(&t, "format_version 1\nconst @zero : %s[1] = [0]\n", type);
    add_tree(&t, &made, f, slots);
    for (uint32_t c = 0; c < f->n_classes; c++)
        add_class(&t, &code, &made, f, c, slots[c]);
    text_add(&t, "network @n(%%x: %s[%u]) -> (y: %s[2]) {\n %%free = slice %%x, from = [1] : %s[%u]\n", type, f->n_keys + 1, type, type, f->n_keys);
    text_add(&t, " %%key = ord %%free\n %%class, %%slot, %%depth = descend @T, %%key : idx[%u], idx[%u], i32\n", f->n_classes, most);
    text_add(&t, " %%y = case %%class : %s[2]%s\n return %%y\n}\n", type, code.at);
    made.m = ir_read_text(made.arena, diags, "leaves", t.at, strlen(t.at));
    CU_ASSERT_PTR_NOT_NULL_FATAL(made.m);
    CU_ASSERT_TRUE(pipeline_run(made.m, diags, &(PipelineOptions){.passes = passes, .verify_each = true}));
    made.net = made.m->networks.at[0];
    return made;
}

/* ---- inputs ---- */

static void store(const Form *f, void *x, uint32_t i, double v)
{
    if (f->wide)
        ((double *)x)[i] = v;
    else
        ((float *)x)[i] = (float)v;
}

static void choose_input(Made *made, const Form *f, uint32_t number, void *x)
{
    static const double odd[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e30, -1e30, 1e-40, 3, -2};
    store(f, x, 0, 7);
    for (uint32_t j = 0; j < f->n_keys; j++)
        store(f, x, 1 + j, uniform(&made->state, -2.2 - j, 3.2));
    if (number % 3 == 1) {
        uint32_t node = random_below(&made->state, made->n_cuts), by = random_below(&made->state, 3);
        double cut = made->cut[node], end = by == 1 ? INFINITY : -INFINITY;
        double beside = by == 0 ? cut : f->wide ? nextafter(cut, end) : nextafterf((float)cut, (float)end);
        store(f, x, 1 + made->coordinate[node], beside);
    } else if (number % 3 == 2) {
        store(f, x, 1 + random_below(&made->state, f->n_keys), odd[random_below(&made->state, sizeof odd / sizeof *odd)]);
    }
}

static bool same(const Form *f, const void *a, const void *b)
{
    for (int i = 0; i < 2; i++) {
        double x = f->wide ? ((const double *)a)[i] : ((const float *)a)[i], y = f->wide ? ((const double *)b)[i] : ((const float *)b)[i];
        if (!(isnan(x) && isnan(y)) && memcmp((const char *)a + i * (f->wide ? 8 : 4), (const char *)b + i * (f->wide ? 8 : 4), f->wide ? 8 : 4) != 0)
            return false;
    }
    return true;
}

/* n inputs with gaps between them and between their outputs, which nobody writes; back: from the last to the first. */
static bool batch_agrees(Made *made, const Form *f, Jit *jit, size_t n, bool back)
{
    enum { IN = MOST_KEYS + 3, OUT = 5 };
    size_t size = f->wide ? 8 : 4;
    char *x = calloc(n + 1, IN * 8), *y = calloc(n + 1, OUT * 8), *expected = calloc(n + 1, OUT * 8);
    ptrdiff_t strides[2] = {back ? -IN : IN, back ? -OUT : OUT};
    size_t first = back && n > 0 ? n - 1 : 0;
    int status = 12345;
    bool fine = true;
    for (size_t i = 0; i < n; i++) {
        choose_input(made, f, (uint32_t)i, x + i * IN * size);
        fine = fine && be_jit_run(jit, (const void *[]){x + i * IN * size}, (void *[]){expected + i * OUT * size}, NULL) == 0;
    }
    bool batches = be_jit_batch(jit, n, (const void *[]){x + first * IN * size}, (void *[]){y + first * OUT * size}, strides, &status);
    fine = fine && (!batches || status == 0) && (batches || f->n_classes == 1);
    for (size_t i = 0; i < n && batches; i++) {
        fine = fine && same(f, expected + i * OUT * size, y + i * OUT * size);
        fine = fine && memcmp(expected + (i * OUT + 2) * size, y + (i * OUT + 2) * size, (OUT - 2) * size) == 0;
    }
    free(x);
    free(y);
    free(expected);
    return fine;
}

static bool agree(Made *made, const Form *f, int level)
{
    TargetOptions options = {.pic = true, .share_always = true};
    Interp *interp = interp_new(made->arena, made->net);
    Jit *jit = be_jit(made->arena, made->net, &options, level);
    if (!jit)
        return false;
    for (uint32_t i = 0; i < 200 + f->n_nodes; i++) {
        double x[MOST_KEYS + 1], expected[2] = {0}, found[2] = {0};
        Counts tallies = {0}, counts = {0};
        const void *in[1] = {x};
        choose_input(made, f, i, x);
        if (interp_run(interp, in, (void *[]){expected}, NULL, &tallies, NULL) != 0)
            return false;
        for (int counted = 0; counted < 2; counted++) {
            memset(found, 0x55, sizeof found);
            if (be_jit_run(jit, in, (void *[]){found}, counted ? &counts : NULL) != 0 || !same(f, expected, found))
                return false;
        }
        if (memcmp(&tallies, &counts, sizeof counts) != 0)
            return false;
    }
    static const size_t sizes[] = {0, 1, 17, 1000, 1100};
    for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int back = 0; back < 2; back++)
            if (!batch_agrees(made, f, jit, sizes[k], back))
                return false;
    return true;
}

static void check(Form f, uint64_t seed)
{
    static const char *const passes[] = {"guard,count-ops", "guard,skip,lower,count-ops"};
    for (int k = 0; k < 2; k++) {
        Made made = make(&f, seed, passes[k]);
        int levels = host_levels();
        for (int level = levels ? 1 : 0; level <= levels; level++)
            if (!agree(&made, &f, level)) {
                fprintf(stderr, "seed %llu, level %d, passes %s, %u keys, %u nodes: generated code differs from the interpreter\n", (unsigned long long)seed,
                        level, passes[k], f.n_keys, f.n_nodes);
                CU_FAIL("leaves differ");
            }
        arena_free(made.arena);
    }
}

/* ---- tests ---- */

static void test_forms(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        check((Form){seed % 4 == 0, 1 + seed % 5, 40 + 20 * (uint32_t)seed, 1 + seed % MOST_CLASSES, seed % 3 ? 40 : 1}, seed);
}

static void test_small(void)
{
    check((Form){false, 2, 1, 1, 2}, 30);
    check((Form){false, 1, 3, 2, 1}, 31);
    check((Form){true, 3, 60, 1, 100}, 32);
}

static void test_large(void)
{
    check((Form){false, 2, MOST_NODES, 1, 300}, 40);
    check((Form){false, 4, MOST_NODES, 6, 50}, 41);
}

void suite_leaves(void)
{
    CU_pSuite s = CU_add_suite("leaves", NULL, NULL);
    CU_add_test(s, "trees and leaves of every form", test_forms);
    CU_add_test(s, "few nodes, one slot", test_small);
    CU_add_test(s, "many nodes", test_large);
}
