/* test_search.c — every table that a search is read from finds what the interpreter finds, for every x.
 *
 *   keys of 4 and 8 bytes, and of others (which have no tables); labels of 1 to 8 bytes, vectors, and slots themselves
 *   sizes around nodes, lines and levels; keys that are even, far apart, in clusters, neighbours, around 0, at both ends of the type
 *   x: every key, its neighbours, zeros of both signs, the smallest and greatest numbers, infinities, NaN; random bits
 *   every lowering, every level of the CPU, counted and not, one by one and in batches
 *   the map from x to lines ascends; shapes: what lies in a table
 */
#include "../../backend/backend.h"
#include "../../passes/lower_search.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_search(void);

typedef enum Spread { SPREAD_even, SPREAD_random, SPREAD_clusters, SPREAD_neighbours, SPREAD_edges, SPREADS } Spread;

typedef struct Case {
    Arena *arena;
    Diags *diags;
    Module *m;
    Network *net;
    Type key;
    uint64_t n;
    uint8_t *keys;
    uint8_t *x;                    /* samples */
    uint64_t n_x;
    uint64_t state;
} Case;

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- keys, by their images: integers in the same order ---- */

static int64_t greatest_image(Type t)
{
    if (t.elem == ELEM_F32)
        return 0x7f7fffff;
    if (t.elem == ELEM_F64)
        return 0x7fefffffffffffff;
    return t.n >= 64 ? INT64_MAX : (INT64_C(1) << (t.n - 1)) - 1;
}

static void put_image(Type t, int64_t image, uint8_t *to)
{
    uint32_t size = type_element_bytes(t);
    uint64_t bits = (uint64_t)image, sign = 1ull << (8 * (size > 8 ? 8 : size) - 1);
    if (type_is_float(t) && image < 0)
        bits = (uint64_t)-image | sign;
    memset(to, t.elem == ELEM_INT && image < 0 ? 0xff : 0, size);
    memcpy(to, &bits, size > 8 ? 8 : size);
}

static int compare_images(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t draw(Case *c, Spread spread, uint64_t i, int64_t most)
{
    int64_t r = (int64_t)(next(&c->state) >> 1);
    switch (spread) {
    case SPREAD_even:
        return -most / 3 + (int64_t)i * (most / (int64_t)(c->n + 1) / 2 + 1);
    case SPREAD_random:
        return (r % 2 ? -1 : 1) * (r / 2 % most);
    case SPREAD_clusters:
        return most / 7 * (r % 5) + r / 8 % (int64_t)(4 * c->n + 8);
    case SPREAD_neighbours:
        return (int64_t)i - (int64_t)c->n / 2;
    case SPREAD_edges:
        return i % 3 == 0 ? -most + (int64_t)i : i % 3 == 1 ? most - (int64_t)i : (int64_t)i;
    case SPREADS:
        break;
    }
    return 0;
}

static void make_keys(Case *c, uint64_t n, Spread spread)
{
    int64_t most = greatest_image(c->key), *image = arena_array(c->arena, n + 1, sizeof *image);
    uint32_t size = type_element_bytes(c->key);
    c->n = n;
    for (uint64_t i = 0; i < n; i++) {
        image[i] = draw(c, spread, i, most);
        image[i] = image[i] > most ? most : image[i] < -most ? -most : image[i];
    }
    qsort(image, n, sizeof *image, compare_images);
    c->n = 0;
    c->keys = arena_array(c->arena, n + 1, size);
    for (uint64_t i = 0; i < n; i++)
        if (i == 0 || image[i] != image[i - 1])
            put_image(c->key, image[i], c->keys + size * c->n++);
}

/* ---- queries ---- */

static void add_x(Case *c, const uint8_t *at)
{
    uint32_t size = type_element_bytes(c->key);
    memcpy(c->x + size * c->n_x++, at, size);
}

static int64_t image_of(Type t, const uint8_t *at)
{
    uint32_t size = type_element_bytes(t);
    int64_t v = 0;
    memcpy(&v, at, size > 8 ? 8 : size);
    if (size < 8)
        v = (int64_t)((uint64_t)v << (64 - 8 * size)) >> (64 - 8 * size);
    int64_t magnitude = v & (size == 4 ? INT32_MAX : INT64_MAX);
    return type_is_float(t) && v < 0 ? -magnitude : v;
}

static void make_queries(Case *c, uint64_t most_keys)
{
    static const double odd[] = {0.0, -0.0, 1e-320, -1e-320, 1e-45, -1e-45, INFINITY, -INFINITY, NAN, -NAN, 1e308, -1e308, 1e38, 1, -1};
    uint32_t size = type_element_bytes(c->key);
    uint64_t step = c->n > most_keys ? c->n / most_keys : 1;
    int64_t most = greatest_image(c->key);
    uint8_t one[32];
    c->x = arena_array(c->arena, 3 * c->n + 200, size);
    for (uint64_t i = 0; i < c->n; i = i + step >= c->n && i + 1 < c->n ? c->n - 1 : i + step)
        for (int64_t by = -1; by <= 1; by++) {
            int64_t image = image_of(c->key, c->keys + i * size);
            if ((by < 0 && image <= -most) || (by > 0 && image >= most))
                continue;
            put_image(c->key, image + by, one);
            add_x(c, one);
        }
    for (size_t i = 0; i < sizeof odd / sizeof *odd && type_is_float(c->key); i++) {
        float narrow = (float)odd[i];
        add_x(c, size == 4 ? (const uint8_t *)&narrow : (const uint8_t *)&odd[i]);
    }
    for (int64_t i = 0; i < 3; i++) {
        put_image(c->key, most - i, one);
        add_x(c, one);
        put_image(c->key, -most - (c->key.elem == ELEM_INT) + i, one);
        add_x(c, one);
    }
    for (int i = 0; i < 20; i++) {
        random_elements(&c->state, c->key, 1, i % 2, one);
        add_x(c, one);
    }
}

/* ---- networks ---- */

enum { WANT_label = 1, WANT_slot = 2, WANT_depth = 4 };

static void build(Case *c, Type label, unsigned want, Lower lower)
{
    c->net = network_new(c->m, "n", NOWHERE);
    Value x = network_add_input(c->net, "x", c->key, 0, NOWHERE), out[3];
    Builder b = builder_at_end(c->net->body);
    OpInit init = {.kind = OP_search, .n_operands = 1, .operand = &x, .cst = {const_add(c->m, "keys", type_vector(c->key, (uint32_t)c->n), c->keys, NOWHERE)}};
    Op *op = build_op(&b, &init);
    op->lower = lower;
    uint32_t n = 0;
    if (want & WANT_label) {
        uint32_t dim[IR_MAX_RANK] = {(uint32_t)c->n + 1};
        memcpy(dim + 1, label.dim, label.rank * sizeof *dim);
        Type stack = type_with_dims(label, label.rank + 1, dim);
        void *at = arena_alloc(c->arena, type_count(stack) * type_element_bytes(stack));
        random_elements(&c->state, stack, type_count(stack), false, at);
        ConstId labels = const_stack(c->m, const_add(c->m, "labels", stack, at, NOWHERE));
        out[n] = build_op(&b, &(OpInit){.kind = OP_row, .n_operands = 1, .operand = &op->result[0], .cst = {labels}})->result[0];
        network_add_output(c->net, "label", value_type(c->net, out[n++]), NOWHERE);
    }
    if (want & WANT_slot) {
        out[n++] = op->result[0];
        network_add_output(c->net, "slot", value_type(c->net, op->result[0]), NOWHERE);
    }
    if (want & WANT_depth) {
        out[n++] = op->result[1];
        network_add_output(c->net, "depth", type_int(32), NOWHERE);
    }
    build_return(&b, n, out, 0);
    network_done(c->net);
}

static int host_levels(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

static uint64_t output_bytes(const Network *net, uint32_t i)
{
    return type_count(net->output[i].type) * type_element_bytes(net->output[i].type);
}

/* All queries on both engines; in a batch, too, if the network has one. */
static void compare(Case *c, const char *what)
{
    Network *net = c->net;
    Interp *interp = interp_new(c->arena, net);
    bool counted = network_is_counted(net);
    uint32_t size = type_element_bytes(c->key);
    void *expected[3], *got[3], *many[3];
    ptrdiff_t stride[4] = {1};
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        expected[i] = arena_alloc(c->arena, c->n_x * output_bytes(net, i) + 1);
        got[i] = arena_alloc(c->arena, output_bytes(net, i) + 1);
        many[i] = arena_alloc(c->arena, c->n_x * output_bytes(net, i) + 1);
        stride[i + 1] = (ptrdiff_t)type_count(net->output[i].type);
    }
    Counts *counts = arena_array(c->arena, c->n_x + 1, sizeof *counts);
    for (uint64_t s = 0; s < c->n_x; s++) {
        void *out[3];
        for (uint32_t i = 0; i < net->n_outputs; i++)
            out[i] = (char *)expected[i] + s * output_bytes(net, i);
        interp_run(interp, (const void *[]){c->x + s * size}, out, &counts[s], NULL, NULL);
    }
    int levels = host_levels();
    for (int level = levels ? 1 : 0; level <= levels; level++) {
        Arena *arena = arena_new(c->arena);
        Jit *jit = be_jit(arena, net, &(TargetOptions){.pic = true, .share_always = true}, level);
        CU_ASSERT_FATAL(jit != NULL);
        uint64_t wrong = 0;
        for (uint64_t s = 0; s < c->n_x; s++) {
            Counts native = {0};
            be_jit_run(jit, (const void *[]){c->x + s * size}, got, counted ? &native : NULL);
            bool same = !counted || native.cmp == counts[s].cmp;
            for (uint32_t i = 0; i < net->n_outputs; i++)
                same = same && memcmp(got[i], (char *)expected[i] + s * output_bytes(net, i), output_bytes(net, i)) == 0;
            wrong += !same;
        }
        int status = 0;
        if (be_jit_batch(jit, c->n_x, (const void *[]){c->x}, many, stride, &status))
            for (uint32_t i = 0; i < net->n_outputs; i++)
                wrong += memcmp(many[i], expected[i], c->n_x * output_bytes(net, i)) != 0;
        /* Queries two apart, from the last to the first; labels one after the other, backwards, too. */
        ptrdiff_t apart[4] = {-2};
        uint64_t half = (c->n_x + 1) / 2;
        void *ends[3];
        for (uint32_t i = 0; i < net->n_outputs; i++) {
            apart[i + 1] = -stride[i + 1];
            ends[i] = (char *)many[i] + (half - 1) * output_bytes(net, i);
        }
        if (be_jit_batch(jit, half, (const void *[]){c->x + 2 * (half - 1) * size}, ends, apart, &status))
            for (uint32_t i = 0; i < net->n_outputs; i++)
                for (uint64_t s = 0; s < half; s++)
                    wrong += memcmp((char *)many[i] + s * output_bytes(net, i), (char *)expected[i] + 2 * s * output_bytes(net, i), output_bytes(net, i)) != 0;
        if (wrong > 0) {
            fprintf(stderr, "%s, %llu keys of %s, level %d: %llu of %llu differ\n", what, (unsigned long long)c->n, type_print(arena, c->key), level,
                    (unsigned long long)wrong, (unsigned long long)c->n_x);
            CU_FAIL("generated code differs from the interpreter");
        }
        arena_free(arena);
    }
}

static const char *const NAMES[] = {[LOWER_auto] = "auto", [LOWER_tree] = "tree", [LOWER_bucket] = "bucket", [LOWER_binary] = "binary", [LOWER_permute] = "permute"};

static void search(Type key, uint64_t n, Spread spread, Type label, unsigned want, Lower lower, bool counted)
{
    Case c = {.arena = arena_new(NULL), .key = key, .state = n * 1000003 + spread * 17 + key.n};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    make_keys(&c, n, spread);
    make_queries(&c, 300);
    build(&c, label, want, lower);
    if (counted)
        CU_ASSERT(pipeline_run(c.m, c.diags, &(PipelineOptions){.passes = "guard,count-ops", .verify_each = true}));
    compare(&c, NAMES[lower]);
    arena_free(c.arena);
}

/* ---- tests ---- */

static const Lower LOWERS[] = {LOWER_tree, LOWER_bucket, LOWER_binary, LOWER_permute};
enum { N_LOWERS = sizeof LOWERS / sizeof *LOWERS };

static void test_sizes(void)
{
    static const uint64_t sizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 30, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1100};
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < 4; k++)
            search(keys[k], sizes[i], (Spread)((i + k) % SPREADS), k % 2 ? type_f32() : type_int(32), WANT_label, LOWERS[(i + k) % 2], i % 3 == 0);
}

static void test_spreads(void)
{
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    for (Spread s = 0; s < SPREADS; s++)
        for (size_t k = 0; k < 4; k++)
            for (int bucket = 0; bucket < 2; bucket++)
                search(keys[k], 3000, s, type_int(32), WANT_label, bucket ? LOWER_bucket : LOWER_tree, false);
}

static void test_labels(void)
{
    const Type labels[] = {type_int(1), type_int(8), type_int(13), type_int(16), type_int(32), type_int(40), type_int(64), type_int(100),
                           type_f32(), type_f64(), type_vector(type_f32(), 3), type_idx(7)};
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        for (size_t k = 0; k < 2; k++)
            search(keys[(i + 2 * k) % 4], 200 + 30 * i, k ? SPREAD_random : SPREAD_clusters, labels[i], WANT_label, (i + k) % 2 ? LOWER_bucket : LOWER_tree, i % 2);
}

static void test_slots(void)
{
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    static const unsigned wants[] = {WANT_slot, WANT_slot | WANT_depth, WANT_label | WANT_slot, WANT_depth, WANT_label | WANT_depth};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 4; k++)
            search(keys[k], 37 + 400 * (i % 2), (Spread)(i % SPREADS), type_int(32), wants[i], LOWERS[(i + k) % N_LOWERS], k % 2);
}

/* Widths without tables, integers narrower than their memory, and keys that nothing is above. */
static void test_other_keys(void)
{
    const Type keys[] = {type_int(2), type_int(8), type_int(13), type_int(16), type_int(24), type_int(50), type_int(100), type_int(128)};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (int i = 0; i < 2; i++)
            search(keys[k], keys[k].n < 8 ? 3 : 90, i ? SPREAD_random : SPREAD_edges, type_int(32), WANT_label, LOWERS[(k + (size_t)i) % N_LOWERS], false);
    Case c = {.arena = arena_new(NULL), .key = type_int(32)};
    c.m = module_new(c.arena, c.diags = diag_new(c.arena));
    make_keys(&c, 100, SPREAD_even);
    put_image(c.key, INT32_MAX, c.keys + 4 * (c.n - 1));
    make_queries(&c, 300);
    build(&c, type_int(32), WANT_label, LOWER_tree);
    compare(&c, "the greatest key");
    arena_free(c.arena);
}

static void test_infinite_keys(void)
{
    for (int wide = 0; wide < 2; wide++)
        for (size_t l = 0; l < N_LOWERS; l++) {
            Case c = {.arena = arena_new(NULL), .key = wide ? type_f64() : type_f32()};
            c.m = module_new(c.arena, c.diags = diag_new(c.arena));
            float narrow[] = {-INFINITY, -1, -0.0f, 1e-45f, 3, INFINITY};
            double all[] = {-INFINITY, -1, -0.0, 5e-324, 3, INFINITY};
            c.keys = wide ? (uint8_t *)all : (uint8_t *)narrow;
            for (c.n = 5; c.n <= 6; c.n++) {
                c.n_x = 0;
                make_queries(&c, 10);
                build(&c, type_int(32), WANT_label, LOWERS[l]);
                compare(&c, "infinite keys");
            }
            arena_free(c.arena);
        }
}

/* The least and the greatest number of every type are keys: tables hold the others, as many as there are. */
static void ends(Type key, uint64_t n, Lower lower, uint32_t label, unsigned want)
{
    Case c = {.arena = arena_new(NULL), .key = key, .state = n};
    uint32_t size = type_element_bytes(key);
    c.m = module_new(c.arena, c.diags = diag_new(c.arena));
    make_keys(&c, n, SPREAD_random);
    int64_t most = greatest_image(key) + type_is_float(key);
    put_image(key, type_is_float(key) ? -most : -most - 1, c.keys);
    put_image(key, most, c.keys + size * (c.n - 1));
    make_queries(&c, 300);
    add_x(&c, c.keys);
    add_x(&c, c.keys + size * (c.n - 1));
    build(&c, type_int(label), want, lower);
    const Const *keys = const_get(c.m, c.net->body->first->cst[0]);
    const SearchTable *t = search_table(c.arena, keys, LOWER_tree, label / 8);
    CU_ASSERT(search_choice(c.arena, keys, label / 8) != LOWER_binary && t && t->last_apart && t->n == c.n - 1);
    compare(&c, "both ends");
    arena_free(c.arena);
}

static void test_ends_of_types(void)
{
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    static const uint32_t labels[] = {8, 16, 32, 64};
    for (size_t k = 0; k < 4; k++)
        for (size_t l = 0; l < N_LOWERS; l++) {
            ends(keys[k], 20, LOWERS[l], labels[(k + l) % 4], WANT_label);
            ends(keys[k], 32, LOWERS[l], 32, WANT_slot);
            ends(keys[k], 3000, LOWERS[l], labels[l], WANT_label);
            ends(keys[k], 3000, LOWERS[l], 32, WANT_slot | WANT_depth);
        }
}

/* Large enough for every kind of level, for cells, and for chains of chains. */
static void test_large(void)
{
    search(type_f32(), 70000, SPREAD_random, type_int(32), WANT_label, LOWER_tree, false);
    search(type_f64(), 70000, SPREAD_random, type_int(32), WANT_label, LOWER_bucket, false);
    search(type_int(32), 40000, SPREAD_clusters, type_int(64), WANT_label, LOWER_bucket, false);
    search(type_int(64), 40000, SPREAD_edges, type_int(32), WANT_label, LOWER_bucket, false);
    search(type_f64(), 20000, SPREAD_clusters, type_int(32), WANT_slot, LOWER_bucket, true);
}

/* Which width of line a table has follows from how many keys there are; here are all of them. */
static void test_lines_of_each_width(void)
{
    static const struct { bool wide; uint64_t n; uint32_t label; } cases[] = {
        {true, 3000, 32}, {true, 10000, 64}, {true, 60000, 32}, {true, 40000, 64}, {false, 3000, 32}, {false, 60000, 32}, {false, 40000, 64}};
    unsigned met = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case c = {.arena = arena_new(NULL), .key = cases[i].wide ? type_int(64) : type_f32(), .state = 1};
        c.m = module_new(c.arena, c.diags = diag_new(c.arena));
        make_keys(&c, cases[i].n, SPREAD_random);
        make_queries(&c, 200);
        build(&c, type_int(cases[i].label), WANT_label, LOWER_bucket);
        const Const *keys = const_get(c.m, c.net->body->first->cst[0]);
        met |= 1u << search_table(c.arena, keys, LOWER_bucket, cases[i].label / 8)->line_bytes / 64;
        compare(&c, "lines");
        arena_free(c.arena);
    }
    CU_ASSERT(met == (1u << 1 | 1u << 2 | 1u << 3 | 1u << 4));
}

/* Round keys, of which a line holds 16 bits; some that are not round, and crowds, lie in full. */
static void test_codes(void)
{
    const Type keys[] = {type_f32(), type_f64(), type_int(32), type_int(64)};
    static const uint32_t labels[] = {32, 8, 64, 16};
    unsigned met = 0;
    for (size_t i = 0; i < 8; i++) {
        Case c = {.arena = arena_new(NULL), .key = keys[i % 4], .state = i + 1};
        uint32_t size = type_element_bytes(c.key);
        c.m = module_new(c.arena, c.diags = diag_new(c.arena));
        make_keys(&c, i < 4 ? 9000 : 70000, SPREAD_random);
        int64_t *image = arena_array(c.arena, c.n, sizeof *image);
        for (uint64_t k = 0; k < c.n; k++) {
            image[k] = image_of(c.key, c.keys + k * size);
            if (next(&c.state) % 1000 > i % 3)
                image[k] &= -(INT64_C(1) << (size == 4 ? 8 : 40));
        }
        qsort(image, c.n, sizeof *image, compare_images);
        uint64_t n = 0;
        for (uint64_t k = 0; k < c.n; k++)
            if (k == 0 || image[k] != image[k - 1])
                put_image(c.key, image[k], c.keys + size * n++);
        c.n = n;
        make_queries(&c, 3000);
        build(&c, type_int(labels[(i + i / 4) % 4]), i == 6 ? WANT_slot : WANT_label, LOWER_bucket);
        const Const *table_keys = const_get(c.m, c.net->body->first->cst[0]);
        const SearchTable *t = search_table(c.arena, table_keys, LOWER_bucket, i == 6 ? 0 : labels[(i + i / 4) % 4] / 8);
        met |= t->coded ? (t->chained > 0 ? 2 : 1) | 4u << i % 4 : 0;
        compare(&c, "codes");
        arena_free(c.arena);
    }
    CU_ASSERT((met & 2) && (met & 60) == 60);
}

/* Two densities: a cell of many lines before cells of few, and between them cells without keys, which have none. */
static void test_cells(void)
{
    Case c = {.arena = arena_new(NULL), .key = type_int(64), .state = 1, .n = 4000};
    int64_t *keys = arena_array(c.arena, c.n, sizeof *keys);
    for (int64_t i = 0; i < 4000; i++)
        keys[i] = i < 3000 ? 1000 * i : i << 21;
    c.keys = (uint8_t *)keys;
    c.m = module_new(c.arena, c.diags = diag_new(c.arena));
    make_queries(&c, 4000);
    build(&c, type_int(32), WANT_label, LOWER_bucket);
    const SearchTable *t = search_table(c.arena, const_get(c.m, c.net->body->first->cst[0]), LOWER_bucket, 4);
    uint32_t most = 0, empty = 0;
    for (uint32_t i = 0; i < t->n_cells; i++) {
        most = t->cell[i].lines > most ? t->cell[i].lines : most;
        empty += t->cell[i].lines == 0;
    }
    CU_ASSERT(most > 20 && empty > 20);
    compare(&c, "cells");
    arena_free(c.arena);
}

/* By hand: a node of 8; nodes of 32 and 16; five halvings of 20 keys; a line of 5 keys, its address, and whether it is an inner one. */
static void test_exec(void)
{
    static const struct { uint64_t n; Lower lower; SearchExec exec; } cases[] = {
        {5, LOWER_permute, {8, 4, 8 * 8 + 4}}, {300, LOWER_tree, {32 + 16, 6, 48 * 8 + 4}}, {20, LOWER_binary, {5, 10, 40}},
        {100, LOWER_bucket, {5, 14, 5 * 8 + 4}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case c = {.arena = arena_new(NULL), .key = type_f64(), .state = 1};
        SearchExec exec;
        c.m = module_new(c.arena, c.diags = diag_new(c.arena));
        make_keys(&c, cases[i].n, SPREAD_even);
        build(&c, type_int(32), WANT_label, cases[i].lower);
        CU_ASSERT(search_exec(c.net, &exec) == 1 && memcmp(&exec, &cases[i].exec, sizeof exec) == 0);
        arena_free(c.arena);
    }
}

static void test_lines_ascend(void)
{
    for (size_t k = 0; k < 2 * SPREADS; k++) {
        Case c = {.arena = arena_new(NULL), .key = k % 2 ? type_f64() : type_int(32), .state = k};
        c.m = module_new(c.arena, c.diags = diag_new(c.arena));
        make_keys(&c, 5000, (Spread)(k / 2));
        const Const *keys = const_get(c.m, const_add(c.m, "keys", type_vector(c.key, (uint32_t)c.n), c.keys, NOWHERE));
        const SearchTable *t = search_table(c.arena, keys, LOWER_bucket, 4);
        CU_ASSERT_FATAL(t != NULL);
        CU_ASSERT(t == search_table(c.arena, keys, LOWER_bucket, 4));
        CU_ASSERT((t->coded || t->bytes == t->cells_bytes + (t->lines + t->chained) * t->line_bytes) && t->in_chains <= 1);
        uint64_t last = 0;
        for (uint64_t i = 0; i < c.n; i++)
            for (int by = -1; by <= 1; by++) {
                int64_t image = search_image(keys, i) + by;
                if (image < t->lowest || (uint64_t)image - (uint64_t)t->lowest > t->span)
                    continue;
                uint64_t line = search_line(t, image);
                CU_ASSERT(line < t->lines && (line >= last || by < 0));
                last = line > last ? line : last;
            }
        arena_free(c.arena);
    }
}

void suite_search(void)
{
    CU_pSuite s = CU_add_suite("search", NULL, NULL);
    CU_add_test(s, "sizes around nodes, lines and levels", test_sizes);
    CU_add_test(s, "keys that are even, random, in clusters, neighbours, at the ends", test_spreads);
    CU_add_test(s, "labels of every width", test_labels);
    CU_add_test(s, "slots and depths", test_slots);
    CU_add_test(s, "keys without tables", test_other_keys);
    CU_add_test(s, "infinite keys", test_infinite_keys);
    CU_add_test(s, "keys at both ends of their type", test_ends_of_types);
    CU_add_test(s, "large tables", test_large);
    CU_add_test(s, "lines of each width", test_lines_of_each_width);
    CU_add_test(s, "codes of round keys", test_codes);
    CU_add_test(s, "cells of many lines and of none", test_cells);
    CU_add_test(s, "what the machine does", test_exec);
    CU_add_test(s, "the map from keys to lines ascends", test_lines_ascend);
}
