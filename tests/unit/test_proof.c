/* test_proof.c — the proof of trees: its arithmetic, its bounds, and whether it tells right from wrong.
 *
 *   numbers      sums and products against __int128; ends as doubles lie outside, no further than one neighbour
 *   ends         what a node sends left and right are neighbours, in f32 and f64, at zero and at the ends of the floats
 *   parts        the parts of a random tree: every input lies in just one, the one that the interpreter finds
 *   bounds       every form's value at a point of the box lies within its bounds; decided relus are as they say
 *   right        random networks below random trees, whose leaves are the network itself in other numbers: proven
 *   wrong        the same with one number changed: refused, or the change is smaller than what is certified
 *
 * A failure prints its seed.
 */
#include "random_net.h"

#ifdef CNET_EXACT
#include "../../proof/exact.h"
#else
#include "../../proof/proof.h"
#endif

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_proof(void);

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double between(uint64_t *state, double lo, double hi) { return lo + (hi - lo) * (double)(next(state) >> 11) * 0x1p-53; }

/* A number that f32 has. */
static double single(uint64_t *state) { return (double)(float)between(state, -1, 1); }

static Arena *new_arena(void)
{
    Arena *arena = arena_new(NULL);
    if (!arena)
        abort();
    return arena;
}

/* ---- networks as texts ---- */

/* A network of n inputs in [-1, 1], two layers of relus of `width`, and two outputs: as written, or below a tree of one node whose leaves are the
 * network with `off` added to one weight of the right leaf. */
typedef struct Case { uint64_t seed; uint32_t n, width; bool winner; double off; } Case;

static void put_matrix(Text *t, uint32_t rows, uint32_t cols, uint64_t *state, double off)
{
    text_add(t, "[");
    for (uint32_t r = 0; r < rows; r++) {
        text_add(t, "%s[", r ? ", " : "");
        for (uint32_t c = 0; c < cols; c++) {
            text_add(t, "%s%a", c ? ", " : "", (double)(float)(single(state) + off));
            off = 0;
        }
        text_add(t, "]");
    }
    text_add(t, "]");
}

static void put_vector(Text *t, uint32_t n, uint64_t *state)
{
    text_add(t, "[");
    for (uint32_t i = 0; i < n; i++)
        text_add(t, "%s%a", i ? ", " : "", 0.5 * single(state));
    text_add(t, "]");
}

/* The same numbers each time it is called with the same seed. */
static void put_weights(Text *t, const Case *c, bool stacks)
{
    static const char *const name[] = {"1", "2", "3"};
    uint32_t dims[] = {c->n, c->width, c->width, 2};
    for (int l = 0; l < 3; l++) {
        for (int matrix = 1; matrix >= 0; matrix--) {
            text_add(t, "const @%s%s : ", matrix ? "W" : "b", name[l]);
            text_add(t, stacks ? "stack f32[2,%u" : "f32[%u", dims[l + 1]);
            text_add(t, matrix ? ",%u] = " : "] = ", dims[l]);
            for (int leaf = 0; leaf < 1 + stacks; leaf++) {
                uint64_t state = c->seed * 64 + (uint64_t)(2 * l + matrix);
                text_add(t, "%s", stacks && !leaf ? "[" : stacks ? ", " : "");
                if (matrix)
                    put_matrix(t, dims[l + 1], dims[l], &state, leaf && l == 2 ? c->off : 0);
                else
                    put_vector(t, dims[l + 1], &state);
            }
            text_add(t, stacks ? "]\n" : "\n");
        }
    }
    text_add(t, "const @box : f32[2,%u] = [[", c->n);
    for (uint32_t i = 0; i < 2 * c->n; i++)
        text_add(t, "%s%s", i == c->n ? "], [" : i ? ", " : "", i < c->n ? "-1" : "1");
    text_add(t, "]]\n");
}

static void put_layers(Text *t, const Case *c, const char *slot)
{
    text_add(t, "%%z1 = affine %%x, @W1%s, @b1%s : f32[%u]\n%%h1 = relu %%z1 : f32[%u]\n", slot, slot, c->width, c->width);
    text_add(t, "%%z2 = affine %%h1, @W2%s, @b2%s : f32[%u]\n%%h2 = relu %%z2 : f32[%u]\n", slot, slot, c->width, c->width);
    text_add(t, "%%y = affine %%h2, @W3%s, @b3%s : f32[2]\n", slot, slot);
    if (c->winner)
        text_add(t, "%%w = argmax %%y : idx[2]\n");
}

static Network *written(Arena *arena, Diags *diags, const Case *c)
{
    Text t = text_new(arena);
    text_add(&t, "format_version 1\n");
    put_weights(&t, c, false);
    text_add(&t, "network @n(%%x: f32[%u] within @box) -> (y: %s) options(outside = promise) {\n", c->n, c->winner ? "idx[2]" : "f32[2]");
    put_layers(&t, c, "");
    text_add(&t, "return %%%s\n}\n", c->winner ? "w" : "y");
    Module *m = ir_read_text(arena, diags, "written.cnir", t.at, t.len);
    return m ? m->networks.at[0] : NULL;
}

static Network *compiled(Arena *arena, Diags *diags, const Case *c, double certified)
{
    Text t = text_new(arena);
    text_add(&t, "format_version 1\n");
    put_weights(&t, c, true);
    text_add(&t, "const @split : tree i32 keys %u nodes 1 leaves 2 classes 1 slots 2 = [[%u] > 1040187392 ? ~1 : ~0], [0:0, 0:1]\n", c->n,
             (uint32_t)(c->seed % c->n));
    text_add(&t, "network @n(%%x: f32[%u] within @box) -> (y: %s) options(outside = promise, certified_error = %a) {\n", c->n,
             c->winner ? "idx[2]" : "f32[2]", certified);
    text_add(&t, "%%key = ord %%x : i32[%u]\n%%class, %%slot, %%depth = descend @split, %%key : idx[1], idx[2], i32\n", c->n);
    text_add(&t, "%%out = case %%class : %s {\n", c->winner ? "idx[2]" : "f32[2]");
    put_layers(&t, c, "[%slot]");
    text_add(&t, "yield %%%s\n}\nreturn %%out\n}\n", c->winner ? "w" : "y");
    Module *m = ir_read_text(arena, diags, "compiled.cnir", t.at, t.len);
    return m ? m->networks.at[0] : NULL;
}

/* ---- trees ---- */

static void put_image(Type key, uint8_t *at, int64_t image) { int_store(key.n, at, image); }

static void test_ends(void)
{
    static const int64_t images[] = {0, -1, 1, -2, 0x7f7fffff, 0x7f800000, -0x7f800000, -0x7f800001, 0x3f800000, INT32_MAX, -INT32_MAX};
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        for (int wide = 0; wide < 2; wide++) {
            uint8_t bytes[8];
            Tree tree = {.key = type_int(wide ? 64 : 32), .threshold = bytes};
            ProofTree t = {.tree = &tree};
            put_image(tree.key, bytes, images[i]);
            double left = proof_left_end(&t, 0), right = proof_right_end(&t, 0);
            if (!wide && isinf(left)) {
                CU_ASSERT(right == left || (left < 0 && (double)-3.4028234663852886e38 == right) || isinf(right));
                continue;
            }
            double after = wide ? nextafter(left, INFINITY) : (double)nextafterf((float)left, INFINITY);
            CU_ASSERT(right == after || (left == 0 && right > 0 && right == (wide ? 0x1p-1074 : 0x1p-149)));
        }
}

static void parts_of(uint64_t seed)
{
    Arena *arena = new_arena();
    Diags *diags = diag_new(arena);
    uint64_t state = seed;
    uint32_t nodes = 1 + (uint32_t)(next(&state) % 30);
    Text t = text_new(arena);
    text_add(&t, "format_version 1\nconst @box : f32[2,3] = [[-1, -1, -1], [1, 1, 1]]\n");
    text_add(&t, "const @t : tree i32 keys 2 nodes %u leaves %u classes 1 slots %u = [", nodes, nodes + 1, nodes + 1);
    uint32_t made = 1, leaf = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        float cut = (float)single(&state);
        int32_t bits;
        char child[2][16];
        memcpy(&bits, &cut, sizeof bits);
        for (int side = 0; side < 2; side++)
            if (made < nodes && (made == i + 1 || next(&state) % 2))
                snprintf(child[side], sizeof child[side], "%u", made++);
            else
                snprintf(child[side], sizeof child[side], "~%u", leaf++);
        text_add(&t, "%s[%u] > %d ? %s : %s", i ? ", " : "", (uint32_t)(next(&state) % 2), bits < 0 ? -(bits & INT32_MAX) : bits, child[1], child[0]);
    }
    text_add(&t, "], [");
    for (uint32_t i = 0; i <= nodes; i++)
        text_add(&t, "%s0:%u", i ? ", " : "", i);
    text_add(&t, "]\nnetwork @n(%%x: f32[1,3] within @box2) -> (y: i32) options(outside = promise) {\n%%v = reshape %%x : f32[3]\n"
                 "%%a = slice %%v, from = [2] : f32[1]\n%%b = slice %%v, from = [0] : f32[1]\n%%f = concat %%a, %%b : f32[2]\n%%k = ord %%f : i32[2]\n"
                 "%%c, %%s, %%d = descend @t, %%k : idx[1], idx[%u], i32\n%%y = cast %%s : i32\nreturn %%y\n}\n", nodes + 1);
    char *within = strstr(t.at, " within @box2");
    memset(within, ' ', strlen(" within @box2"));
    Module *m = ir_read_text(arena, diags, "parts.cnir", t.at, t.len);
    CU_ASSERT_FATAL(m != NULL);
    ProofTree tree;
    CU_ASSERT_FATAL(proof_tree(arena, m->networks.at[0], &tree));
    CU_ASSERT(tree.n_inputs == 3 && tree.input[0] == 2 && tree.input[1] == 0);
    ProofParts parts = {0};
    proof_parts(arena, &tree, (double[]){-1, -1, -1}, (double[]){1, 1, 1}, 1, &parts);
    Interp *interp = interp_new(arena, m->networks.at[0]);
    for (int k = 0; k < 300; k++) {
        float x[3] = {(float)single(&state), (float)single(&state), (float)single(&state)};
        if (k % 3 && parts.len > 0) {
            const ProofPart *p = &parts.at[next(&state) % parts.len];
            x[k % 2 ? 0 : 2] = (float)(k % 3 == 1 ? p->lo[k % 2 ? 0 : 2] : p->hi[k % 2 ? 0 : 2]);
        }
        int32_t slot = -1;
        uint32_t homes = 0, at = 0;
        interp_run(interp, (const void *[]){x}, (void *[]){&slot}, NULL, NULL, NULL);
        for (size_t i = 0; i < parts.len; i++) {
            bool in = true;
            for (int c = 0; c < 3; c++)
                in &= parts.at[i].lo[c] <= (double)x[c] && (double)x[c] <= parts.at[i].hi[c];
            homes += in;
            at = in ? (uint32_t)i : at;
        }
        bool fine = homes == 1 && tree.tree->leaf[~parts.at[at].at].slot == (uint32_t)slot;
        if (!fine)
            fprintf(stderr, "parts: seed %llu\n", (unsigned long long)seed);
        CU_ASSERT(fine);
    }
    arena_free(arena);
}

static void test_parts(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        parts_of(seed);
}

#ifdef CNET_EXACT

/* ---- arithmetic ---- */

static double value_of(const Dyadic *d) { return dyadic_above(d); }

static void test_numbers(void)
{
    Arena *arena = new_arena();
    Exact *x = exact_new(arena);
    Dyadic *d = dyadic_array(arena, 4);
    uint64_t state = 1;
    for (int i = 0; i < 20000; i++) {
        /* Products of two numbers of 30 bits and sums of three of them are doubles of 62 bits at most: compared as integers. */
        int64_t a = (int64_t)(next(&state) >> 34) - (1 << 29), b = (int64_t)(next(&state) >> 34) - (1 << 29), c = (int64_t)(next(&state) >> 34);
        int up = (int)(next(&state) % 40) - 20;
        dyadic_set_double(&d[0], ldexp((double)a, up));
        dyadic_set_double(&d[1], (double)b);
        dyadic_set_double(&d[2], ldexp((double)c, up));
        dyadic_set(&d[3], &d[2]);
        dyadic_add_product(x, &d[3], &d[0], &d[1]);
        dyadic_add(x, &d[3], &d[0]);
        __int128 sum = (__int128)c + (__int128)a * b + a;
        double high = value_of(&d[3]), low = dyadic_below(&d[3]);
        __int128 h = (__int128)ldexp(high, -up), l = (__int128)ldexp(low, -up);
        CU_ASSERT(l <= sum && sum <= h);
        CU_ASSERT(low == high || nextafter(low, INFINITY) == high);
        CU_ASSERT(dyadic_sign(&d[3]) == (sum > 0) - (sum < 0));
        CU_ASSERT(dyadic_compare(x, &d[3], &d[2]) == (sum > c) - (sum < c));
    }
    dyadic_set_double(&d[0], 0x1p-1074);
    CU_ASSERT(value_of(&d[0]) == 0x1p-1074 && dyadic_below(&d[0]) == 0x1p-1074);
    mpz_set_ui(d[1].m, 0), mpz_set_ui(d[2].m, 0);
    dyadic_add_product(x, &d[1], &d[0], &d[0]);
    CU_ASSERT(value_of(&d[1]) > 0 && dyadic_below(&d[1]) >= 0 && dyadic_below(&d[1]) < 0x1p-1073);
    dyadic_set_double(&d[0], 0x1p1023);
    dyadic_add_product(x, &d[2], &d[0], &d[0]);
    CU_ASSERT(isinf(value_of(&d[2])) && dyadic_below(&d[2]) == 0x1.fffffffffffffp+1023);
    arena_free(arena);
}

/* The value of a form where inputs and relus have these values, in doubles: off by a little. */
static double form_at(const Form *f, const double *var)
{
    double sum = value_of(f->constant);
    for (uint32_t i = 0; i < f->n; i++)
        sum += value_of(&f->c[i]) * var[f->var[i]];
    return sum;
}

static void check_bounds(Arena *arena, Prover *p, const System *s, uint64_t *state, uint64_t seed)
{
    const Source *source = s->source;
    double *var = NEW_ARRAY(arena, source->n_inputs + source->n_relus, double);
    Dyadic *end = dyadic_array(arena, 2);
    for (int t = 0; t < 100; t++) {
        bool fine = true;
        for (uint32_t i = 0; i < source->n_inputs; i++)
            var[i] = next(state) % 4 ? between(state, s->lo[i], s->hi[i]) : next(state) % 2 ? s->lo[i] : s->hi[i];
        for (uint32_t k = 0; k < source->n_relus; k++) {
            double z = form_at(&source->z[k], var);          /* all relus as they are written */
            fine &= s->z_low[k] - 1e-9 <= z && z <= s->z_high[k] + 1e-9;
            fine &= s->state[k] == RELU_UNSTABLE || (s->state[k] == RELU_ON) == (z >= -1e-9) || fabs(z) <= 1e-9;
            var[source->n_inputs + k] = fmax(0, z);
        }
        for (uint32_t i = 0; i < source->n_outputs; i++) {
            double y = form_at(&source->out[i], var);
            system_bounds(p, s, &s->out[i], &end[0], &end[1]);
            fine &= fabs(form_at(&s->out[i], var) - y) <= 1e-9 && dyadic_below(&end[0]) - 1e-9 <= y && y <= value_of(&end[1]) + 1e-9;
        }
        if (!fine)
            fprintf(stderr, "bounds: seed %llu\n", (unsigned long long)seed);
        CU_ASSERT(fine);
    }
}

static void bounds_of(uint64_t seed)
{
    Arena *arena = new_arena();
    Case c = {.seed = seed, .n = 1 + (uint32_t)(seed % 3), .width = 2 + (uint32_t)(seed % 5)};
    Network *net = written(arena, diag_new(arena), &c);
    Source *source = NEW(arena, Source);
    const char *why;
    CU_ASSERT_FATAL(net && source_read(arena, net, source, &why));
    CU_ASSERT(source->n_relus == 2 * c.width && source->n_inputs == c.n);
    Prover *p = prover_new(arena, source->n_inputs + source->n_relus);
    uint64_t state = seed;
    System *part = NULL;
    for (int depth = 0; depth < 6; depth++) {
        System *s = system_new(arena, source);
        uint32_t cut = (uint32_t)(next(&state) % c.n);
        memcpy(s->lo, part ? part->lo : source->lo, c.n * sizeof *s->lo);
        memcpy(s->hi, part ? part->hi : source->hi, c.n * sizeof *s->hi);
        if (part)
            *(next(&state) % 2 ? &s->lo[cut] : &s->hi[cut]) = (s->lo[cut] + s->hi[cut]) / 2;
        system_settle(p, part, s);
        check_bounds(arena, p, s, &state, seed);
        part = s;
    }
    arena_free(arena);
}

static void test_bounds(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        bounds_of(seed);
}

/* ---- right and wrong ---- */

static Proof prove(Arena *arena, const Case *c, double certified)
{
    Diags *diags = diag_new(arena);
    Case plain = *c;
    plain.off = 0;
    Network *a = written(arena, diags, &plain), *b = compiled(arena, diags, c, certified);
    CU_ASSERT_FATAL(a && b);
    Proof proof;
    proof_leaves(arena, a, b, UINT64_MAX, NULL, NULL, &proof);
    return proof;
}

static void right_and_wrong_of(uint64_t seed)
{
    Arena *arena = new_arena();
    Case c = {.seed = seed, .n = 1 + (uint32_t)(seed % 3), .width = 2 + (uint32_t)(seed % 5), .winner = seed % 4 == 3};
    Proof right = prove(arena, &c, 1e-4);
    CU_ASSERT(!right.why && !right.failed && right.proven == 2 && right.leaves == 2 && right.error <= 1e-4);
    /* The bound is not idle: what it is, is as little as can be certified, or nearly. */
    CU_ASSERT(prove(arena, &c, right.error).proven == 2);
    c.off = seed % 2 ? 0.01 : -0.01;
    Proof wrong = prove(arena, &c, 1e-4), allowed = prove(arena, &c, 0.1);
    bool fine = !wrong.why && (wrong.failed ? wrong.leaf.slot == 1 && wrong.leaf_error > 1e-4 : wrong.error <= 1e-4) && allowed.proven == 2;
    if (!fine || (right.failed))
        fprintf(stderr, "proof: seed %llu\n", (unsigned long long)seed);
    CU_ASSERT(fine);
    arena_free(arena);
}

static void test_right_and_wrong(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        right_and_wrong_of(seed);
}

#else

static void test_right_and_wrong(void)
{
    Arena *arena = new_arena();
    Case c = {.seed = 1, .n = 2, .width = 2};
    Proof proof;
    proof_leaves(arena, written(arena, diag_new(arena), &c), compiled(arena, diag_new(arena), &c, 1e-4), 1, NULL, NULL, &proof);
    CU_ASSERT(proof.why && strstr(proof.why, "GMP"));
    arena_free(arena);
}

#endif

void suite_proof(void)
{
    CU_pSuite suite = CU_add_suite("proof", NULL, NULL);
#ifdef CNET_EXACT
    CU_add_test(suite, "numbers", test_numbers);
    CU_add_test(suite, "bounds", test_bounds);
#endif
    CU_add_test(suite, "ends of a node", test_ends);
    CU_add_test(suite, "parts of a tree", test_parts);
    CU_add_test(suite, "right and wrong leaves", test_right_and_wrong);
}
