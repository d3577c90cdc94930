/* test_memorize_numbers.c — the methods of `memorize` that compute with integers: sqrt and bits.
 *
 *   random data         keys of every width from 1 to 64 bits and beyond, f32, f64; labels of every kind; every policy: what the pass makes is
 *                       what the interpreter says of the data, on the keys, beside them, at the ends, anywhere
 *   every integer       small types, all of their values
 *   the range of x      a box or the whole type: no number wraps that a relu reads
 *   native code         is the interpreter, counts included
 *   read-bits           the same without reading a bit, and that it does not; large networks that have nothing to read
 *   figures             what --pass-stats says of neurons, parameters and depth is counted in the IR, and within the bounds of the papers
 *   depths              `depth = L` at five depths: every key right, at most L layers
 *
 * A failure prints its seed.
 */
#include "../../backend/backend.h"
#include "../../passes/passes.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_memorize_numbers(void);

typedef struct Case {
    Arena *arena;
    Diags *diags;
    Module *m;
    Network *data, *net;          /* the op as it is; what the pass makes of it */
    uint64_t seed, state;
    Type key, label;              /* a key's element; a label */
    uint32_t n, coordinates;      /* of a key; 0: a scalar */
    uint32_t row;                 /* elements of a key */
    uint32_t key_bytes;
    uint8_t *keys, *labels;       /* ascending */
    Method method;
    Unseen unseen;
    uint32_t depth;
    ConstId box;
    Outside outside;
    FILE *stats;                  /* NULL: not wanted */
} Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .seed = seed, .state = seed, .outside = OUTSIDE_promise};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

static uint32_t below(Case *c, uint32_t n) { return random_below(&c->state, n); }

static void fail(Case *c, const char *what)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    diag_flush(c->diags, f, DIAG_PLAIN);
    fclose(f);
    fprintf(stderr, "\n    seed %llu: %s: %u keys of %u x %s, labels %s, method %d, unseen %d, depth %u %s\n", (unsigned long long)c->seed, what, c->n, c->row,
            type_print(c->arena, c->key), type_print(c->arena, c->label), (int)c->method, (int)c->unseen, c->depth, text);
    free(text);
    CU_FAIL("see above");
}

/* ---- data ---- */

static int row_order(const Case *c, const uint8_t *a, const uint8_t *b)
{
    int order = 0;
    for (uint32_t k = 0; k < c->row && order == 0; k++)
        order = element_order(c->key, a + k * type_element_bytes(c->key), b + k * type_element_bytes(c->key));
    return order;
}

/* By insertion: they are few. */
static void sort_keys(Case *c, uint32_t wanted)
{
    uint32_t size = c->key_bytes;
    uint8_t *t = arena_alloc(c->arena, size);
    for (uint32_t i = 1; i < wanted; i++)
        for (uint32_t j = i; j > 0 && row_order(c, c->keys + j * size, c->keys + (j - 1) * size) < 0; j--) {
            memcpy(t, c->keys + j * size, size);
            memcpy(c->keys + j * size, c->keys + (j - 1) * size, size);
            memcpy(c->keys + (j - 1) * size, t, size);
        }
    c->n = 0;
    for (uint32_t i = 0; i < wanted; i++)
        if (c->n == 0 || row_order(c, c->keys + i * size, c->keys + (c->n - 1) * size) == 1)
            memcpy(c->keys + c->n++ * size, c->keys + i * size, size);
}

/* The next element in order; the last of an integer type wraps. */
static void step(Type t, uint8_t *at, int by)
{
    if (type_is_int(t)) {
        uint8_t one[IR_MAX_INT_BITS / 8];
        if (t.n == 1) {
            *at ^= 1;
            return;
        }
        int_resize(t.n, one, 8, (const uint8_t *)&(int8_t){(int8_t)by});
        int_add(t.n, at, at, one);
    } else if (t.elem == ELEM_F32) {
        float f;
        memcpy(&f, at, 4);
        f = nextafterf(f, by > 0 ? INFINITY : -INFINITY);
        memcpy(at, &f, 4);
    } else {
        double d;
        memcpy(&d, at, 8);
        d = nextafter(d, by > 0 ? INFINITY : -INFINITY);
        memcpy(at, &d, 8);
    }
}

static uint8_t *coordinate(Case *c, uint8_t *key)
{
    return key + below(c, c->row) * type_element_bytes(c->key);
}

/* Some near each other, some anywhere, sometimes the extremes. */
static void make_keys(Case *c, uint32_t wanted)
{
    c->row = c->coordinates ? c->coordinates : 1;
    c->key_bytes = c->row * type_element_bytes(c->key);
    c->keys = arena_array(c->arena, wanted + 1, c->key_bytes);
    random_elements(&c->state, c->key, (uint64_t)wanted * c->row, false, c->keys);
    uint32_t clustered = below(c, 3) == 0 ? wanted : below(c, wanted + 1);
    for (uint32_t i = 1; i < clustered; i++) {
        uint8_t *key = c->keys + i * c->key_bytes;
        memcpy(key, key - c->key_bytes, c->key_bytes);
        for (uint32_t k = below(c, 3) + 1; k > 0; k--)
            step(c->key, coordinate(c, key), 1);
    }
    if (type_is_float(c->key) && below(c, 4) == 0 && wanted > 2) {
        double ends[2] = {INFINITY, -INFINITY};
        for (int i = 0; i < 2; i++) {
            if (c->key.elem == ELEM_F32)
                memcpy(c->keys + (uint32_t)i * c->key_bytes, &(float){(float)ends[i]}, 4);
            else
                memcpy(c->keys + (uint32_t)i * c->key_bytes, &ends[i], 8);
        }
    }
    sort_keys(c, wanted);
}

static void make_labels(Case *c)
{
    Type all = c->label;
    uint32_t dim[IR_MAX_RANK] = {c->n};
    memcpy(dim + 1, c->label.dim, c->label.rank * sizeof *dim);
    all = type_with_dims(c->label, c->label.rank + 1, dim);
    uint64_t bytes = type_count(c->label) * type_element_bytes(c->label);
    c->labels = arena_array(c->arena, type_count(all) + 1, type_element_bytes(c->label));
    random_elements(&c->state, c->label, type_count(all), below(c, 4) == 0, c->labels);
    for (uint32_t i = 1; i < c->n; i++)
        if (below(c, 4) == 0)
            memcpy(c->labels + i * bytes, c->labels + below(c, i) * bytes, bytes);
}

static ConstId all_labels(Case *c)
{
    uint32_t dim[IR_MAX_RANK] = {c->n};
    memcpy(dim + 1, c->label.dim, c->label.rank * sizeof *dim);
    return const_add(c->m, "labels", type_with_dims(c->label, c->label.rank + 1, dim), c->labels, NOWHERE);
}

/* The network with the op, and its copy, on which the passes run; they are in two modules' worth of names, in one module. */
static bool make_networks(Case *c, const char *passes)                       /* NULL: -O2, counted */
{
    Network *net = network_new(c->m, "data", NOWHERE);
    net->options.outside = c->outside;
    Type one = c->coordinates ? type_vector(c->key, c->coordinates) : c->key;
    Type all = c->coordinates ? type_matrix(c->key, c->n, c->coordinates) : type_vector(c->key, c->n);
    Value x = network_add_input(net, "x", one, c->box, NOWHERE);
    network_add_output(net, "y", c->label, NOWHERE);
    Builder b = builder_at_end(net->body);
    OpInit init = {.kind = OP_memorize, .n_operands = 1, .operand = &x,
                   .attr = {[MEMORIZE_method] = {.i = c->method}, [MEMORIZE_unseen] = {.i = c->unseen}, [MEMORIZE_depth] = {.i = c->depth}}};
    init.cst[MEMORIZE_keys] = const_add(c->m, "keys", all, c->keys, NOWHERE);
    init.cst[MEMORIZE_labels] = all_labels(c);
    if (c->unseen == UNSEEN_value) {
        uint8_t *other = arena_array(c->arena, type_count(c->label) + 1, type_element_bytes(c->label));
        random_elements(&c->state, c->label, type_count(c->label), false, other);
        init.cst[MEMORIZE_default] = const_add(c->m, "other", c->label, other, NOWHERE);
    }
    Value y = build_op(&b, &init)->result[0];
    build_return(&b, 1, &y, 0);
    network_done(net);
    c->data = network_clone(net, "reference");    /* not in the module: no pass sees it */
    c->net = net;
    return pipeline_run(c->m, c->diags, &(PipelineOptions){.passes = passes, .level = 2, .count_ops = !passes, .verify_each = true, .pass_stats = c->stats != NULL,
                                                         .dump = c->stats ? c->stats : stderr});
}

/* ---- asking ---- */

typedef struct Asker { Case *c; Interp *data, *net; uint8_t *want, *got; Jit *jit; } Asker;

static Asker asker_new(Case *c)
{
    Asker a = {.c = c, .data = interp_new(c->arena, c->data), .net = interp_new(c->arena, c->net)};
    uint64_t bytes = (type_count(c->label) + 1) * type_element_bytes(c->label);
    a.want = arena_alloc(c->arena, bytes);
    a.got = arena_alloc(c->arena, bytes);
    return a;
}

/* Native code says the same, and counts the same. */
static bool natively(Asker *a, const uint8_t *x, int status, Counts counted)
{
    Case *c = a->c;
    Counts counts = {0};
    uint8_t *want = arena_alloc(c->arena, (type_count(c->label) + 1) * type_element_bytes(c->label));
    memcpy(want, a->got, type_count(c->label) * type_element_bytes(c->label));
    if (be_jit_run(a->jit, (const void *const[]){x}, (void *const[]){a->got}, &counts) != status)
        return false;
    return memcmp(&counts, &counted, sizeof counts) == 0 && (status < 0 || same_elements(c->label, want, a->got));
}

static bool is_key(const Case *c, const uint8_t *x)
{
    uint32_t below = 0, above = c->n;             /* a NaN is in order with nothing, and ends somewhere */
    while (below < above) {
        uint32_t middle = below + (above - below) / 2;
        int order = row_order(c, x, c->keys + middle * c->key_bytes);
        if (order == 0)
            return true;
        if (order == 1)
            below = middle + 1;
        else
            above = middle;
    }
    return false;
}

/* Where something is promised: no NaN either. */
static bool is_within(const Case *c, const uint8_t *x)
{
    int above = c->box ? row_order(c, x, c->keys) : 0, below_last = c->box ? row_order(c, c->keys + (c->n - 1) * c->key_bytes, x) : 0;
    return (above == 0 || above == 1) && (below_last == 0 || below_last == 1);
}

static bool ask(Asker *a, const uint8_t *x)
{
    Case *c = a->c;
    Counts counts = {0};
    int want = interp_run(a->data, (const void *const[]){x}, (void *const[]){a->want}, NULL, NULL, NULL);
    int got = interp_run(a->net, (const void *const[]){x}, (void *const[]){a->got}, &counts, NULL, NULL);
    if (!is_within(c, x))
        return true;
    bool anything = c->unseen == UNSEEN_any && !is_key(c, x);
    if (!anything && (want != got || (want >= 0 && !same_elements(c->label, a->want, a->got))))
        return false;
    return !a->jit || natively(a, x, got, counts);
}

static bool ask_around_keys(Asker *a)
{
    Case *c = a->c;
    uint8_t *x = arena_alloc(c->arena, c->key_bytes);
    bool ok = true;
    for (uint32_t i = 0; i < c->n && ok; i++)
        for (int by = -1; by <= 1 && ok; by++) {
            memcpy(x, c->keys + i * c->key_bytes, c->key_bytes);
            if (by)
                step(c->key, coordinate(c, x), by);
            ok = ask(a, x);
        }
    return ok;
}

static bool ask_anything(Asker *a, uint32_t times)
{
    Case *c = a->c;
    uint8_t *x = arena_alloc(c->arena, c->key_bytes);
    bool ok = true;
    for (uint32_t i = 0; i < times && ok; i++) {
        random_elements(&c->state, c->key, c->row, true, x);
        ok = ask(a, x);
    }
    return ok;
}

/* ---- random data ---- */

static Type random_key_type(Case *c)
{
    uint32_t style = below(c, 10);
    return style == 0 ? type_f32() : style == 1 ? type_f64() : style == 2 ? type_int(65 + below(c, 100)) : type_int(1 + below(c, 64));
}

static Type random_label_type(Case *c)
{
    switch (below(c, 8)) {
    case 0: return type_f32();
    case 1: return type_vector(type_int(1 + below(c, 40)), below(c, 4));
    case 2: return type_matrix(type_f64(), 1 + below(c, 2), 2);
    case 3: return type_int(65 + below(c, 80));
    default: return type_int(1 + below(c, 64));
    }
}

static const char unread[] = "inline,memorize,dead-code", strict[] = "inline,memorize,guard,dead-code,count-ops", looked_up[] = "inline,memorize,read-bits,dead-code";

/* Half of the keys' types have a box, which holds all keys; outside of it nothing is promised. */
static void maybe_box(Case *c)
{
    if (c->coordinates || below(c, 2))
        return;
    uint8_t *ends = arena_array(c->arena, 2, c->key_bytes);
    memcpy(ends, c->keys, c->key_bytes);
    memcpy(ends + c->key_bytes, c->keys + (c->n - 1) * c->key_bytes, c->key_bytes);
    c->box = const_add(c->m, "box", type_matrix(c->key, 2, 1), ends, NOWHERE);
}

/* Native code (of -O2 if passes is NULL, which counts) or not. */
static void check_random(uint64_t seed, Method method, const char *passes, bool native)
{
    static const Unseen policies[4] = {UNSEEN_any, UNSEEN_value, UNSEEN_refuse, UNSEEN_before};
    Case c = case_new(seed);
    c.key = random_key_type(&c);
    c.label = random_label_type(&c);
    c.coordinates = below(&c, 4) ? 0 : 1 + below(&c, 3);
    make_keys(&c, 1 + below(&c, 40));
    make_labels(&c);
    c.method = method;
    c.unseen = policies[below(&c, c.coordinates ? 3 : 4)];
    if (method == METHOD_bits && below(&c, 2))
        c.depth = 5 + below(&c, 400);
    maybe_box(&c);
    if (!make_networks(&c, passes)) {
        fail(&c, "not made");
    } else {
        Asker a = asker_new(&c);
        if (native)
            a.jit = be_jit(c.arena, c.net, &(TargetOptions){.pic = true}, 0);
        if (native && !a.jit)
            fail(&c, "no machine code");
        else if (!ask_around_keys(&a) || !ask_anything(&a, 40))
            fail(&c, "differs");
        else
            CU_PASS("");
    }
    arena_free(c.arena);
}

static void test_random_sqrt(void)
{
    for (uint64_t seed = 1; seed <= 600; seed++)
        check_random(seed, METHOD_sqrt, unread, false);
}

static void test_random_bits(void)
{
    for (uint64_t seed = 1; seed <= 400; seed++)
        check_random(seed, METHOD_bits, unread, false);
}

/* The same without a bit being read. */
static void test_random_read_bits(void)
{
    for (uint64_t seed = 1; seed <= 600; seed++)
        check_random(seed, METHOD_bits, looked_up, false);
}

static void test_native(void)
{
    for (uint64_t seed = 1; seed <= 24; seed++) {
        check_random(seed, METHOD_sqrt, strict, true);
        check_random(seed, METHOD_bits, strict, true);
        check_random(seed, METHOD_bits, NULL, true);
    }
}

/* ---- every integer ---- */

static void check_all_of(uint64_t seed, Method method, Unseen unseen, const char *passes)
{
    Case c = case_new(seed);
    c.key = type_int(2 + below(&c, 7));
    c.label = type_int(1 + below(&c, 20));
    make_keys(&c, 1 + below(&c, 1u << (c.key.n - 1)));
    make_labels(&c);
    c.method = method;
    c.unseen = unseen;
    if (!make_networks(&c, passes)) {
        fail(&c, "not made");
    } else {
        Asker a = asker_new(&c);
        bool ok = true;
        for (int v = -(1 << (c.key.n - 1)); v < 1 << (c.key.n - 1); v++)
            ok = ok && ask(&a, (const uint8_t *)&(int8_t){(int8_t)v});
        if (!ok)
            fail(&c, "differs");
        else
            CU_PASS("");
    }
    arena_free(c.arena);
}

static void test_every_integer_sqrt(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        check_all_of(seed, METHOD_sqrt, UNSEEN_before, unread);
        check_all_of(seed, METHOD_sqrt, UNSEEN_any, unread);
        check_all_of(seed, METHOD_sqrt, UNSEEN_value, unread);
    }
}

static void test_every_integer_bits(void)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        for (int unseen = UNSEEN_before; unseen <= UNSEEN_refuse; unseen++) {
            check_all_of(seed, METHOD_bits, (Unseen)unseen, unread);
            check_all_of(seed, METHOD_bits, (Unseen)unseen, looked_up);
        }
}

/* ---- blocks of several points ---- */

static bool has_op(const Network *net, OpKind kind)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == kind)
            return true;
    return false;
}

/* Enough keys of few bits that blocks have several points; every integer is asked. */
static void check_blocks(uint64_t seed, Unseen unseen, const char *passes, bool native)
{
    Case c = case_new(seed);
    c.key = type_int(9 + below(&c, 5));
    c.label = type_int(1 + below(&c, 12));
    c.row = 1;
    c.key_bytes = 2;
    c.method = METHOD_bits;
    c.unseen = unseen;
    int32_t end = 1 << (c.key.n - 1);
    uint32_t gap = 1 + below(&c, 4);
    c.keys = arena_array(c.arena, 2 * (uint64_t)end, 2);
    for (int32_t v = -end; v < end; v++)
        if (below(&c, gap) == 0)
            memcpy(c.keys + 2 * c.n++, &(int16_t){(int16_t)v}, 2);
    make_labels(&c);
    if (!make_networks(&c, passes)) {
        fail(&c, "not made");
    } else if (!has_op(c.net, OP_field) || has_op(c.net, OP_relu)) {
        fail(&c, "bits are still read");
    } else {
        Asker a = asker_new(&c);
        bool ok = true;
        if (native)
            a.jit = be_jit(c.arena, c.net, &(TargetOptions){.pic = true}, 0);
        for (int32_t v = -end; v < end; v++)
            ok = ok && ask(&a, (const uint8_t *)&(int16_t){(int16_t)v});
        if (!ok)
            fail(&c, "differs");
        else
            CU_PASS("");
    }
    arena_free(c.arena);
}

static void test_blocks(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (int unseen = UNSEEN_before; unseen <= UNSEEN_refuse; unseen++)
            check_blocks(seed, (Unseen)unseen, looked_up, false);
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (int unseen = UNSEEN_before; unseen <= UNSEEN_refuse; unseen++)
            check_blocks(seed, (Unseen)unseen, NULL, true);
}

/* ---- figures ---- */

typedef struct Said { unsigned long long neurons, parameters, bits, depth, most_neurons, most_parameters, most_depth; unsigned widest; } Said;

/* Data of n keys of 32 bits and labels of 16, all anywhere. */
static Case big_case(uint64_t seed, uint32_t n, Method method, Unseen unseen, uint32_t depth)
{
    Case c = case_new(seed);
    c.key = type_int(32);
    c.label = type_int(16);
    c.row = 1;
    c.key_bytes = 4;
    c.n = n;
    c.method = method;
    c.unseen = unseen;
    c.depth = depth;
    c.keys = arena_array(c.arena, n, 4);
    for (uint32_t i = 0; i < n; i++) {
        int32_t key = (int32_t)((int64_t)INT32_MIN + (int64_t)i * (UINT32_MAX / n) + below(&c, UINT32_MAX / n));
        memcpy(c.keys + 4 * i, &key, 4);
    }
    make_labels(&c);
    return c;
}

/* Makes the network, and reads what the pass says of it. */
static bool make_and_read(Case *c, const char *passes, Said *said)
{
    char *text = NULL;
    size_t len = 0;
    c->stats = open_memstream(&text, &len);
    bool ok = make_networks(c, passes);
    fclose(c->stats);
    const char *at = ok ? strstr(text, "neurons in i") : NULL;
    at = at ? strchr(at, ':') : ok ? strstr(text, "bits: ") : NULL;
    at = at && c->method == METHOD_bits ? strchr(at + 5, ':') : at;      /* … : iN and iM: figures */
    at = at && c->method == METHOD_bits ? strchr(at + 1, ':') : at;
    ok = at && sscanf(at, ": %llu neurons, %llu parameters, %llu bits of weights (the widest %u), depth %llu", &said->neurons, &said->parameters,
                      &said->bits, &said->widest, &said->depth) == 5;
    at = at ? strstr(at, " = ") : NULL;
    if (ok && c->method == METHOD_sqrt)
        ok = sscanf(at, " = %llu neurons, depth %llu", &said->most_neurons, &said->most_depth) == 2;
    else if (ok)
        ok = sscanf(at, " = %llu parameters, depth %llu", &said->most_parameters, &said->most_depth) == 2;
    free(text);
    return ok;
}

/* The weights of affines that are not 0, 1 or -1, as they lie in the IR. */
static uint64_t affine_parameters(const Network *net)
{
    uint64_t n = 0;
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (int k = AFFINE_W; op->kind == OP_affine && k <= AFFINE_b; k++) {
            const Const *c = op->cst[k] ? const_get(net->module, op->cst[k]) : NULL;
            for (uint64_t i = 0; c && i < type_count(c->type); i++) {
                double w = const_f64(c, i);
                n += w != 0 && w != 1 && w != -1;
            }
        }
    return n;
}

static void test_figures_sqrt(void)
{
    for (uint32_t n = 1; n <= 2000; n = n * 3 + 1)
        for (int unseen = UNSEEN_before; unseen <= UNSEEN_any; unseen++) {
            Case c = big_case(n, n, METHOD_sqrt, (Unseen)unseen, 0);
            Said said = {0};
            uint32_t q = (uint32_t)ceil(sqrt(n));
            if (!make_and_read(&c, "inline,memorize,dead-code", &said))
                fail(&c, "no figures");
            else if (said.neurons != network_cost(c.net).range.max.cmp || said.parameters != affine_parameters(c.net) || said.depth != 3)
                fail(&c, "the figures are not those of the network");
            else if (said.most_neurons != (unseen == UNSEEN_any ? 3 : 4) * q || said.neurons >= said.most_neurons || said.widest > 64)
                fail(&c, "beyond the bound");
            else
                CU_PASS("");
            arena_free(c.arena);
        }
}

/* Depth 0: what takes fewest parameters. */
static void check_figures_bits(uint32_t n, uint32_t depth, Unseen unseen)
{
    Case c = big_case(n + depth, n, METHOD_bits, unseen, depth);
    Said said = {0};
    if (!make_and_read(&c, "inline,memorize,dead-code", &said))
        fail(&c, "no figures");
    else if (said.neurons != network_cost(c.net).range.max.cmp - (unseen > UNSEEN_any))       /* found >= 1 is no neuron */
        fail(&c, "the neurons are not those of the network");
    else if (said.parameters > said.most_parameters || said.depth > said.most_depth || (depth && said.most_depth > depth))
        fail(&c, "beyond the bound");
    else
        CU_PASS("");
    arena_free(c.arena);
}

static void test_figures_bits(void)
{
    for (uint32_t n = 2; n <= 4000; n = n * 3 + 1)
        for (int unseen = UNSEEN_before; unseen <= UNSEEN_refuse; unseen++) {
            if (unseen == UNSEEN_value)
                continue;         /* needs a default: check_random has it */
            check_figures_bits(n, 0, (Unseen)unseen);
            check_figures_bits(n, 5, (Unseen)unseen);
            check_figures_bits(n, 150 + n / 8, (Unseen)unseen);
        }
}

/* Keys 0 ... 127 and labels 0 1 2 3 0 1 2 3 ...: 7 + 2 bits, 64 blocks of 2 points, counted by hand. Stage II: 126 biases, of which one is -1;
 * a change of u is 258, of w 10 or -10, each with two relus; u0 and w0 are 1. Then 2u + 1 and 2w + 1. A bit has 3 neurons and 7 weights. A
 * point has 4 neurons more and a label's 2^c as a weight and as a bias. */
static void test_figures_by_hand(void)
{
    Case c = case_new(1);
    Said said = {0};
    c.key = c.label = type_int(8);
    c.row = c.key_bytes = 1;
    c.n = 128;
    c.method = METHOD_bits;
    c.unseen = UNSEEN_any;
    c.keys = arena_alloc(c.arena, c.n);
    c.labels = arena_alloc(c.arena, c.n);
    for (uint8_t i = 0; i < c.n; i++) {
        c.keys[i] = i;
        c.labels[i] = i % 4;
    }
    CU_ASSERT_FATAL(make_and_read(&c, "inline,memorize,dead-code", &said));
    CU_ASSERT_EQUAL(said.neurons, 2 * 63 + 2 * (9 * 3 + 4));
    CU_ASSERT_EQUAL(said.parameters, 125 + 2 * 63 + 2 * 63 + 2 + 2 * (9 * 7 + 2));
    CU_ASSERT_EQUAL(said.widest, 15);             /* 2^14, the H of 2 x 7 bits */
    CU_ASSERT_EQUAL(said.depth, 1 + 14 + 1 + 3 + 1);         /* stage II, bits of u, the last bit's carry, match and label, the output */
    CU_ASSERT_EQUAL(said.most_parameters, 6 * 64 + 26 * 2 * 9);
    CU_ASSERT_EQUAL(said.most_depth, 2 * 9 + 4);
    arena_free(c.arena);
}

/* ---- depths ---- */

/* Blocks of 1, 2, 3, 4 and 6 points, which is what takes fewest parameters; nothing is looked up. */
static void test_depths(void)
{
    static const uint32_t depths[5] = {5, 100, 148, 196, 1000};
    for (int k = 0; k < 5; k++) {
        Case c = big_case(7, 8192, METHOD_bits, UNSEEN_before, depths[k]);
        Said said = {0};
        if (!make_and_read(&c, strict, &said) || has_op(c.net, OP_search)) {
            fail(&c, "not made");
        } else {
            Jit *jit = be_jit(c.arena, c.net, &(TargetOptions){.pic = true}, 0);
            uint32_t wrong = 0;
            for (uint32_t i = 0; i < c.n; i++) {
                int16_t y = 0;
                int status = be_jit_run(jit, (const void *const[]){c.keys + 4 * i}, (void *const[]){&y}, NULL);
                wrong += status != 0 || memcmp(&y, c.labels + 2 * i, 2) != 0;
            }
            if (wrong || said.depth > depths[k] || said.parameters > said.most_parameters)
                fail(&c, "wrong, or beyond the bound");
            else
                CU_PASS("");
        }
        arena_free(c.arena);
    }
}

/* ---- read-bits: large networks that have nothing to read ---- */

/* The pass gets through a network of this text; takes `text`. */
static void check_text(FILE *f, char **text, size_t *len)
{
    fclose(f);
    Case c = case_new(0);
    c.m = ir_read_text(c.arena, c.diags, "t", *text, *len);
    free(*text);
    if (!c.m || !pipeline_run(c.m, c.diags, &(PipelineOptions){.passes = "read-bits", .dump = stderr}))
        fail(&c, "not made");
    else if (has_op(c.m->networks.at[0], OP_search))
        fail(&c, "a search");
    else
        CU_PASS("");
    arena_free(c.arena);
}

/* Steps of a sum of very many: what the sum can be is not followed without end. */
static void test_long_sum(void)
{
    enum { SUMS = 200000 };
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    fputs("format_version 1\nconst @ones : i64[1,1] = [[1]]\nconst @from : i64[1] = [6]\nconst @beyond : i64[1] = [5]\n"
          "const @W : i64[1,1] = [[3]]\nconst @one : i64 = 1\nnetwork @n(%x: i8) -> (y: i64[1]) {\n%a0 = cast %x : i64\n%k = const @one : i64\n", f);
    for (int i = 1; i <= SUMS; i++)
        fprintf(f, "%%a%d = add %%a%d, %%k : i64\n", i, i - 1);
    fprintf(f, "%%v = reshape %%a%d : i64[1]\n", SUMS);
    fputs("%0 = affine %v, @ones, @from : i64[1]\n%1 = relu %0 : i64[1]\n%2 = affine %v, @ones, @beyond : i64[1]\n%3 = relu %2 : i64[1]\n"
          "%s = sub %1, %3 : i64[1]\n%y = affine %s, @W : i64[1]\nreturn %y\n}\n", f);
    check_text(f, &text, &len);
}

/* Very many repeats of five results that read no bit: each costs the same, in time and memory. */
static void test_many_repeats(void)
{
    enum { REPEATS = 16000 };
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    fputs("format_version 1\nnetwork @n(%x: i32) -> (y: i32) {\n", f);
    for (int i = 0; i < REPEATS; i++)
        fprintf(f, "%%a%d, %%b%d, %%c%d, %%d%d, %%e%d = repeat %%x, %%x, %%x, %%x, %%x, n = 2 : i32, i32, i32, i32, i32 "
                   "{ |%%i%d: idx[2], %%p%d: i32, %%q%d: i32, %%r%d: i32, %%s%d: i32, %%t%d: i32|\n yield %%q%d, %%r%d, %%s%d, %%t%d, %%p%d\n}\n",
                i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i);
    fprintf(f, "return %%e%d\n}\n", REPEATS - 1);
    check_text(f, &text, &len);
}

/* ---- all of it ---- */

void suite_memorize_numbers(void)
{
    CU_pSuite s = CU_add_suite("memorize_numbers", NULL, NULL);
    CU_add_test(s, "sqrt: random data", test_random_sqrt);
    CU_add_test(s, "sqrt: every integer", test_every_integer_sqrt);
    CU_add_test(s, "bits: random data", test_random_bits);
    CU_add_test(s, "read-bits: random data", test_random_read_bits);
    CU_add_test(s, "read-bits: every integer in blocks of several points", test_blocks);
    CU_add_test(s, "read-bits: a long sum", test_long_sum);
    CU_add_test(s, "read-bits: many repeats", test_many_repeats);
    CU_add_test(s, "native code", test_native);
    CU_add_test(s, "bits: every integer", test_every_integer_bits);
    CU_add_test(s, "sqrt: figures", test_figures_sqrt);
    CU_add_test(s, "bits: figures", test_figures_bits);
    CU_add_test(s, "bits: figures by hand", test_figures_by_hand);
    CU_add_test(s, "bits: five depths", test_depths);
}
