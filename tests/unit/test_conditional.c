/* test_conditional.c — data that become trees of comparisons: the method `conditional` of the pass memorize.
 *
 *   alphabetic trees    against the dynamic program that knows the least expected depth, and the entropy
 *   random data         keys of every type, 0 to 5 coordinates, with and without weights, every policy for keys that are not there,
 *                       every construction: the interpreter of `memorize` = that of the network = native code, on every key; on others
 *                       where the policy says what they get, neighbours of keys, zeros of both signs, infinities and NaN included;
 *                       counters = what is executed <= the bound
 *   counts              scalars: ceil(log2 runs) comparisons, and some key takes them
 *   constructions       which one is built for data that ask for it
 *
 * A failure prints its seed.
 */
#include "../../backend/backend.h"
#include "../../passes/decisions.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <string.h>

void suite_conditional(void);

/* ---- alphabetic trees ------------------------------------------------------------------------------------------------------- */

static double uniform(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* The least expected depth, by the recurrence over all intervals. */
static double least_mean(Arena *arena, uint32_t n, const double *share)
{
    double *best = NEW_ARRAY(arena, (size_t)n * n, double);
    for (uint32_t length = 2; length <= n; length++)
        for (uint32_t i = 0; i + length <= n; i++) {
            double least = INFINITY, sum = 0;
            for (uint32_t j = i; j < i + length; j++)
                sum += share[j];
            for (uint32_t j = i; j + 1 < i + length; j++)
                least = fmin(least, best[i * n + j] + best[(j + 1) * n + i + length - 1]);
            best[i * n + i + length - 1] = least + sum;
        }
    return best[n - 1];
}

/* Walks the tree: leaves in order, parents first, thresholds at the first leaf to the right. Returns the number of leaves. */
static uint32_t walk_tree(const Decisions *d, int32_t at, uint32_t first, uint32_t depth, const double *share, double *mean)
{
    if (at < 0) {
        CU_ASSERT((uint32_t)~at == first);
        CU_ASSERT(depth <= d->depth);
        *mean += share[first] * depth;
        return 1;
    }
    CU_ASSERT(d->node[at].child[0] < 0 || d->node[at].child[0] > at);
    CU_ASSERT(d->node[at].child[1] < 0 || d->node[at].child[1] > at);
    uint32_t left = walk_tree(d, d->node[at].child[0], first, depth + 1, share, mean);
    CU_ASSERT(d->least[at] == first + left);
    return left + walk_tree(d, d->node[at].child[1], first + left, depth + 1, share, mean);
}

static double some_weight(uint64_t *state, unsigned kind, uint32_t i)
{
    switch (kind % 6) {
    case 0: return uniform(state);
    case 1: return pow(2, -(double)random_below(state, 30));
    case 2: return 1 + random_below(state, 3);
    case 3: return random_below(state, 4) ? 0 : uniform(state);
    case 4: return 1e300 / (i + 1);
    default: return i % 2 ? 1 + 1e-3 * i : 1000 - i;
    }
}

static void alphabetic_trees_are_optimal(void)
{
    for (uint64_t seed = 0; seed < 600; seed++) {
        Arena *arena = arena_new(NULL);
        uint64_t state = seed;
        uint32_t n = 1 + random_below(&state, seed % 10 ? 12 : 60);
        double *weights = NEW_ARRAY(arena, n, double), mean = 0;
        for (uint32_t i = 0; i < n; i++)
            weights[i] = some_weight(&state, (unsigned)seed, i);
        weights[n / 2] += 1e-3;
        const double *share = weight_shares(arena, n, weights);
        Decisions d = alphabetic_tree(arena, n, weights, 0x1p40);
        CU_ASSERT(d.n_leaves == n);
        CU_ASSERT(walk_tree(&d, n > 1 ? 0 : ~0, 0, 0, share, &mean) == n);
        CU_ASSERT(fabs(mean - d.mean) < 1e-9);
        if (fabs(mean - least_mean(arena, n, share)) > 1e-6) {
            fprintf(stderr, "seed %llu: mean %g, least %g\n", (unsigned long long)seed, mean, least_mean(arena, n, share));
            CU_FAIL("not optimal");
        }
        arena_free(arena);
    }
}

static double entropy(uint32_t n, const double *share)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum -= share[i] > 0 ? share[i] * log2(share[i]) : 0;
    return sum;
}

/* Zipf 1.1 of 10^4 in random order and in its own; descending weights move every sum far. */
static void skewed_weights_cost_the_entropy(void)
{
    enum { N = 10000 };
    for (int sorted = 0; sorted < 2; sorted++) {
        Arena *arena = arena_new(NULL);
        uint64_t state = 7;
        double *weights = NEW_ARRAY(arena, N, double);
        for (uint32_t i = 0; i < N; i++)
            weights[i] = pow(i + 1, -1.1);
        for (uint32_t i = N; !sorted && i > 1; i--) {
            uint32_t j = random_below(&state, i);
            double other = weights[j];
            weights[j] = weights[i - 1];
            weights[i - 1] = other;
        }
        Decisions d = alphabetic_tree(arena, N, weights, 16);
        CU_ASSERT(d.mean <= entropy(N, weight_shares(arena, N, weights)) + 1);
        CU_ASSERT(d.depth <= 24);
        arena_free(arena);
    }
}

/* ---- random data ----------------------------------------------------------------------------------------------------------- */

typedef struct Data {
    Arena *arena;
    uint64_t seed, state;
    Type key, label;
    uint32_t rows, coordinates;
    bool is_scalar;
    uint8_t *keys, *labels;
    double *weights;
    Unseen unseen;
} Data;

static uint32_t key_bytes(const Data *d)
{
    return d->coordinates * type_element_bytes(d->key);
}

static uint64_t label_bytes(const Data *d)
{
    return type_count(d->label) * type_element_bytes(d->label);
}

static int compare_keys(const Data *d, const uint8_t *a, const uint8_t *b)
{
    uint32_t size = type_element_bytes(d->key);
    int order = 0;
    for (uint32_t k = 0; k < d->coordinates && order == 0; k++)
        order = element_order(d->key, a + k * size, b + k * size);
    return order;
}

/* Insertion: data are small. Equal keys are left out. */
static void sort_rows(Data *d)
{
    uint32_t size = key_bytes(d), n = 0;
    uint8_t *row = NEW_ARRAY(d->arena, size, uint8_t);
    for (uint32_t i = 0; i < d->rows; i++) {
        uint32_t place = n;
        int order = 1;
        memcpy(row, d->keys + (size_t)i * size, size);
        while (place > 0 && (order = compare_keys(d, row, d->keys + (size_t)(place - 1) * size)) < 0)
            place--;
        if (place > 0 && order == 0)
            continue;
        memmove(d->keys + (size_t)(place + 1) * size, d->keys + (size_t)place * size, (size_t)(n - place) * size);
        memcpy(d->keys + (size_t)place * size, row, size);
        n++;
    }
    d->rows = n;
}

/* Few different values, so that coordinates agree, or any. */
static void some_elements(Data *d, Type t, uint64_t n, bool coarse, uint8_t *out)
{
    uint32_t size = type_element_bytes(t);
    random_elements(&d->state, t, n, true, out);
    for (uint64_t i = 0; i < n; i++) {
        double small = (double)random_below(&d->state, 4) - 1;
        float narrow = (float)small;
        if (type_is_float(t)) {
            if (coarse || element_order(t, out + i * size, out + i * size) != 0)
                memcpy(out + i * size, t.elem == ELEM_F32 ? (void *)&narrow : (void *)&small, size);
        } else if (coarse && t.n > 2) {
            memset(out + i * size, small < 0 ? 0xff : 0, size);
            out[i * size] = (uint8_t)(int8_t)small;
        }
    }
}

static Type some_key(uint64_t *state)
{
    static const uint32_t bits[] = {1, 2, 5, 8, 16, 31, 32, 33, 64, 65, 128, 200};
    uint32_t i = random_below(state, 18);
    return i < 3 ? type_f32() : i < 6 ? type_f64() : type_int(bits[i - 6]);
}

static Type some_label(uint64_t *state)
{
    switch (random_below(state, 6)) {
    case 0: return type_f32();
    case 1: return type_f64();
    case 2: return type_int(8);
    case 3: return type_vector(type_f32(), 3);
    case 4: return type_int(100);
    default: return type_int(32);
    }
}

/* Labels are often those of the row before, and often the same few. */
static void some_labels(Data *d)
{
    uint64_t size = label_bytes(d);
    uint32_t kinds = 1 + random_below(&d->state, 5);
    bool few = random_below(&d->state, 2);
    d->labels = arena_array(d->arena, d->rows, size);
    random_elements(&d->state, type_element(d->label), type_count(d->label) * d->rows, false, d->labels);
    for (uint32_t i = 1; i < d->rows; i++)
        if (few && i >= kinds)
            memcpy(d->labels + i * size, d->labels + (random_below(&d->state, 2) ? i - 1 : random_below(&d->state, kinds)) * size,
                   size);
}

static Data data_new(uint64_t seed)
{
    Data d = {.arena = arena_new(NULL), .seed = seed, .state = seed * 31 + 5};
    d.key = some_key(&d.state);
    d.label = some_label(&d.state);
    d.is_scalar = random_below(&d.state, 2);
    d.coordinates = d.is_scalar ? 1 : 1 + random_below(&d.state, 5);
    d.rows = 1 + random_below(&d.state, random_below(&d.state, 3) ? 12 : 150);
    d.unseen = (Unseen)(random_below(&d.state, 4));
    if (!d.is_scalar && d.unseen == UNSEEN_before)
        d.unseen = UNSEEN_any;
    d.keys = arena_array(d.arena, (size_t)d.rows + 1, key_bytes(&d));
    some_elements(&d, d.key, (uint64_t)d.rows * d.coordinates, random_below(&d.state, 2), d.keys);
    sort_rows(&d);
    some_labels(&d);
    if (random_below(&d.state, 2)) {
        unsigned kind = random_below(&d.state, 6);
        d.weights = NEW_ARRAY(d.arena, d.rows, double);
        for (uint32_t i = 0; i < d.rows; i++)
            d.weights[i] = some_weight(&d.state, kind, i);
    }
    return d;
}

/* ---- networks of them -------------------------------------------------------------------------------------------------------- */

typedef struct Net { Arena *arena; Diags *diags; Module *m; Network *net; } Net;

static Net network_of(const Data *d, const char *passes)
{
    Net n = {.arena = arena_new(NULL)};
    n.diags = diag_new(n.arena);
    n.m = module_new(n.arena, n.diags);
    n.net = network_new(n.m, "data", NOWHERE);
    uint32_t dim[IR_MAX_RANK] = {d->rows};
    memcpy(dim + 1, d->label.dim, d->label.rank * sizeof *dim);
    Type keys = d->is_scalar ? type_vector(d->key, d->rows) : type_matrix(d->key, d->rows, d->coordinates);
    OpInit init = {.kind = OP_memorize, .n_operands = 1, .attr = {{.i = METHOD_conditional}, {.i = d->unseen}}};
    init.cst[MEMORIZE_keys] = const_add(n.m, "keys", keys, d->keys, NOWHERE);
    init.cst[MEMORIZE_labels] = const_add(n.m, "labels", type_with_dims(d->label, d->label.rank + 1, dim), d->labels, NOWHERE);
    if (d->weights)
        init.cst[MEMORIZE_weights] = const_add(n.m, "weights", type_vector(type_f64(), d->rows), d->weights, NOWHERE);
    if (d->unseen == UNSEEN_value)
        init.cst[MEMORIZE_default] = const_splat_f64(n.m, "default", d->label, 77);
    Type x = d->is_scalar ? d->key : type_vector(d->key, d->coordinates);
    Value in = network_add_input(n.net, "x", x, 0, NOWHERE);
    init.operand = &in;
    network_add_output(n.net, "y", d->label, NOWHERE);
    Builder b = builder_at_end(n.net->body);
    Value y = build_op(&b, &init)->result[0];
    build_return(&b, 1, &y, 0);
    network_done(n.net);
    CU_ASSERT_FATAL(pipeline_run(n.m, n.diags, &(PipelineOptions){.passes = passes, .verify_each = true, .dump = stderr}));
    return n;
}

static bool has_op(const Network *net, OpKind kind)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == kind)
            return true;
    return false;
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------------- */

/* What is compared: the data themselves, the network interpreted, and native code, which counts. */
typedef struct Trial { const Data *d; Net data, network; Interp *before, *after; Jit *jit; Counts most; uint64_t asked; } Trial;

static bool expect(const Trial *t, bool fine, const char *what)
{
    if (!fine)
        fprintf(stderr, "seed %llu, question %llu: %s\n", (unsigned long long)t->d->seed, (unsigned long long)t->asked, what);
    CU_ASSERT(fine);
    return fine;
}

static bool same_counts(Counts a, Counts b)
{
    return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other;
}

static bool ask(Trial *t, const uint8_t *key, bool is_defined)
{
    Network *net = t->network.net;
    const void *in[] = {key};
    uint64_t bytes = label_bytes(t->d) + 16;
    void *a[] = {arena_alloc(t->d->arena, bytes)}, *b[] = {arena_alloc(t->d->arena, bytes)}, *c[] = {arena_alloc(t->d->arena, bytes)};
    Counts executed = {0}, tallies = {0}, counts = {0};
    int data = interp_run(t->before, in, a, NULL, NULL, NULL), network = interp_run(t->after, in, b, &executed, &tallies, NULL);
    int native = t->jit ? be_jit_run(t->jit, in, c, &counts) : network;
    t->asked++;
    t->most.cmp = executed.cmp > t->most.cmp ? executed.cmp : t->most.cmp;
    bool fine = expect(t, counts_total(executed) <= network_cost(net).total_max, "beyond the bound") &&
                expect(t, same_counts(executed, tallies), "tallies are not what is executed");
    if (is_defined)
        fine = fine && expect(t, data == network, "another status") &&
               expect(t, data < 0 || same_elements(t->d->label, a[0], b[0]), "another label");
    if (t->jit)
        fine = fine && expect(t, native == network, "native code has another status") &&
               expect(t, native < 0 || same_elements(t->d->label, b[0], c[0]), "native code has another label") &&
               expect(t, same_counts(counts, executed), "native counters differ");
    return fine;
}

/* The next number of the type above or below, of floats the next that differs. */
static void step(Type t, uint8_t *at, bool up)
{
    uint32_t size = type_element_bytes(t);
    if (t.elem == ELEM_F32) {
        float f;
        memcpy(&f, at, size);
        f = nextafterf(f, up ? INFINITY : -INFINITY);
        memcpy(at, &f, size);
    } else if (t.elem == ELEM_F64) {
        double f;
        memcpy(&f, at, size);
        f = nextafter(f, up ? INFINITY : -INFINITY);
        memcpy(at, &f, size);
    } else if (t.n == 1) {
        at[0] ^= 1;
    } else {
        bool carry = true;
        for (uint32_t i = 0; i < size && carry; i++) {
            at[i] = (uint8_t)(at[i] + (up ? 1 : -1));
            carry = at[i] == (up ? 0 : 0xff);
        }
    }
}

/* Whether the element is in its type's range, as steps from the ends are not. */
static bool is_canonical(Type t, const uint8_t *at)
{
    uint32_t size = type_element_bytes(t);
    if (!type_is_int(t) || t.n == 1 || t.n == 8 * size)
        return true;
    uint32_t byte = (t.n - 1) / 8, bit = (t.n - 1) % 8;
    uint8_t sign = at[byte] >> bit & 1 ? 0xff : 0;
    for (uint32_t i = byte + 1; i < size; i++)
        if (at[i] != sign)
            return false;
    return (uint8_t)((int8_t)at[byte] >> bit) == sign;
}

static bool ask_neighbours(Trial *t, const uint8_t *key, bool defined)
{
    const Data *d = t->d;
    uint32_t size = type_element_bytes(d->key);
    uint8_t *near = arena_alloc(d->arena, key_bytes(d));
    bool fine = true;
    for (int up = 0; fine && up < 2; up++) {
        memcpy(near, key, key_bytes(d));
        uint8_t *element = near + random_below(&((Data *)d)->state, d->coordinates) * size;
        step(d->key, element, up);
        fine = !is_canonical(d->key, element) || ask(t, near, defined);
    }
    return fine;
}

/* Zeros of both signs, infinities, NaN of both signs. */
static bool ask_special(Trial *t, bool defined)
{
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, -NAN};
    const Data *d = t->d;
    uint32_t size = type_element_bytes(d->key);
    uint8_t *key = arena_alloc(d->arena, key_bytes(d));
    bool fine = true;
    for (size_t i = 0; fine && type_is_float(d->key) && i < sizeof special / sizeof *special; i++) {
        float narrow = (float)special[i];
        for (uint32_t k = 0; k < d->coordinates; k++)
            memcpy(key + k * size, d->key.elem == ELEM_F32 ? (void *)&narrow : (void *)&special[i], size);
        fine = ask(t, key, defined);
    }
    return fine;
}

static bool ask_random(Trial *t, bool defined)
{
    Data *d = (Data *)t->d;
    uint8_t *key = arena_alloc(d->arena, key_bytes(d));
    bool fine = true;
    for (int i = 0; fine && i < 20; i++) {
        some_elements(d, d->key, d->coordinates, i % 2, key);
        fine = ask(t, key, defined);
    }
    return fine;
}

static bool ask_everything(Trial *t)
{
    const Data *d = t->d;
    bool defined = d->unseen != UNSEEN_any, fine = true;
    for (uint32_t i = 0; fine && i < d->rows; i++)
        fine = ask(t, d->keys + (size_t)i * key_bytes(d), true) && ask_neighbours(t, d->keys + (size_t)i * key_bytes(d), defined);
    return fine && ask_special(t, defined) && ask_random(t, defined);
}

static Trial trial_new(const Data *d, bool native)
{
    static const char *const passes[] = {"memorize,guard,count-ops", "memorize(by=coordinate),guard,count-ops",
                                         "memorize(by=tree),guard,count-ops", "memorize(by=projection),guard,count-ops"};
    Trial t = {.d = d, .data = network_of(d, ""), .network = network_of(d, passes[d->seed / 8 % 4])};
    CU_ASSERT(!has_op(t.network.net, OP_memorize));
    t.before = interp_new(t.data.arena, t.data.net);
    t.after = interp_new(t.network.arena, t.network.net);
    if (native)
        t.jit = be_jit(t.network.arena, t.network.net, &(TargetOptions){.pic = true}, 0);
    return t;
}

static void trial_free(Trial *t)
{
    arena_free(t->data.arena);
    arena_free(t->network.arena);
}

/* Runs of equal labels, or keys where each must be found. */
static uint32_t leaves_of(const Data *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->rows; i++)
        n += i == 0 || d->unseen >= UNSEEN_value ||
             memcmp(d->labels + i * label_bytes(d), d->labels + (i - 1) * label_bytes(d), label_bytes(d)) != 0;
    return n;
}

/* Which constructions were tried. */
typedef struct Tried { unsigned searches, trees, weighed, projections, constants, checks; } Tried;

static void note_what_was_built(Tried *tried, const Data *d, const Network *net)
{
    bool tree = has_op(net, OP_descend), search = has_op(net, OP_search);
    tried->searches += search;
    tried->weighed += tree && d->is_scalar;
    tried->trees += tree && !d->is_scalar;
    tried->projections += has_op(net, OP_affine);
    tried->constants += !tree && !search;
    tried->checks += has_op(net, OP_repeat);
}

static void data_stay_the_same(void)
{
    Tried tried = {0};
    for (uint64_t seed = 0; seed < 1500; seed++) {
        Data d = data_new(seed);
        Trial t = trial_new(&d, seed % 8 == 0);
        bool fine = ask_everything(&t);
        note_what_was_built(&tried, &d, t.network.net);
        if (fine && d.is_scalar && !has_op(t.network.net, OP_descend))
            expect(&t, t.most.cmp == search_depth(leaves_of(&d), 0) + (d.unseen >= UNSEEN_value), "not ceil(log2 leaves) comparisons");
        trial_free(&t);
        arena_free(d.arena);
        if (!fine)
            return;
    }
    CU_ASSERT(tried.searches > 100 && tried.trees > 100 && tried.weighed > 50);
    CU_ASSERT(tried.projections > 50 && tried.constants > 50 && tried.checks > 100);
}

/* ---- constructions ------------------------------------------------------------------------------------------------------------ */

/* Rows of 3 x i16 by a rule, each with its own label or with one of two. */
typedef enum Rule { RULE_line, RULE_grid, RULE_cube } Rule;

static Data rows_of(Rule rule, uint32_t n, bool two_labels)
{
    Data d = {.arena = arena_new(NULL), .key = type_int(16), .label = type_int(32), .coordinates = 3, .rows = n, .unseen = UNSEEN_any};
    int16_t (*row)[3] = arena_array(d.arena, n, sizeof *row);
    int32_t *label = NEW_ARRAY(d.arena, n, int32_t);
    for (uint32_t i = 0; i < n; i++) {
        int16_t line[3] = {1, (int16_t)i, 2}, grid[3] = {0, (int16_t)(i / 16), (int16_t)(i % 16)};
        int16_t cube[3] = {(int16_t)(i / 64), (int16_t)(i / 8 % 8), (int16_t)(i % 8)};
        memcpy(row[i], rule == RULE_line ? line : rule == RULE_grid ? grid : cube, sizeof *row);
        label[i] = two_labels ? row[i][2] >= 5 : (int32_t)i;
    }
    d.keys = (uint8_t *)row;
    d.labels = (uint8_t *)label;
    return d;
}

/* So many comparisons at most, and nothing else; found by this op. */
static void expect_construction(Rule rule, uint32_t n, bool two_labels, OpKind op, uint64_t comparisons)
{
    Data d = rows_of(rule, n, two_labels);
    Trial t = trial_new(&d, false);
    Counts most = network_cost(t.network.net).range.max;
    CU_ASSERT(has_op(t.network.net, op));
    CU_ASSERT(most.cmp == comparisons && most.add + most.mul + most.other == 0);
    CU_ASSERT(ask_everything(&t));
    trial_free(&t);
    arena_free(d.arena);
}

static void few_comparisons_are_found(void)
{
    expect_construction(RULE_line, 100, false, OP_search, 7);     /* one coordinate is enough */
    expect_construction(RULE_grid, 256, false, OP_descend, 8);    /* it takes two */
    expect_construction(RULE_cube, 512, false, OP_descend, 9);    /* three */
    expect_construction(RULE_grid, 256, true, OP_search, 1);      /* the last one says the label */
    expect_construction(RULE_cube, 512, true, OP_search, 1);
}

/* Weights, too, from a fixed seed: what is made depends on nothing else. */
static void projections_are_repeatable(void)
{
    Data d = rows_of(RULE_cube, 512, false);
    Points points = {d.key, d.rows, 3, d.keys};
    Columns columns = points_columns(d.arena, &points);
    Question q = {.columns = &columns, .n_classes = d.rows};
    Projection a, b;
    CU_ASSERT_FATAL(find_projection(d.arena, &points, &q, 16384, &a) && find_projection(d.arena, &points, &q, 16384, &b));
    CU_ASSERT(a.bits == 64 && a.used == 3 && memcmp(a.weight, b.weight, 3 * sizeof *a.weight) == 0);
    for (uint32_t i = 1; i < d.rows; i++)
        CU_ASSERT((int64_t)a.z[a.order[i - 1]] < (int64_t)a.z[a.order[i]]);
    CU_ASSERT(!find_projection(d.arena, &points, &q, 63, &b));
    arena_free(d.arena);
}

void suite_conditional(void)
{
    CU_pSuite suite = CU_add_suite("conditional", NULL, NULL);
    CU_add_test(suite, "alphabetic trees are optimal", alphabetic_trees_are_optimal);
    CU_add_test(suite, "skewed weights cost the entropy", skewed_weights_cost_the_entropy);
    CU_add_test(suite, "data stay the same", data_stay_the_same);
    CU_add_test(suite, "few comparisons are found", few_comparisons_are_found);
    CU_add_test(suite, "projections are repeatable", projections_are_repeatable);
}
