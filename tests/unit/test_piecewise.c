/* test_piecewise.c — functions of one scalar: whatever the network, the search gives the same.
 *
 *      integers      random networks of i3 … i9: every input, wrapping ones too; of i32 … i64: around every break and at random
 *      floats        random networks under real numerics: within the certified bound, on random floats and around every break
 *      the filter    pieces of floats found in doubles are those that whole numbers find, ties and all
 *      memorizers    the network of O(√n) neurons (theory: Yun et al. 1810.07770) becomes the search over the first keys of its runs
 *      policies      what is outside the box is answered by the network as written, refused or clamped
 *
 * What is left alone, and why, is in tests/ir/piecewise.
 */
#include "../../passes/passes.h"
#include "../../passes/piece_table.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_piecewise(void);

typedef struct Case {
    Arena *arena;
    Diags *diags;
    Module *m;
    Network *net;
    uint64_t state;
    bool ties, wide;              /* floats that are halves of small whole numbers; layers of more than a few neurons */
} Case;

static Case case_new(uint64_t seed)
{
    Case c = {.arena = arena_new(NULL), .state = seed * 7919 + 1};
    c.diags = diag_new(c.arena);
    c.m = module_new(c.arena, c.diags);
    return c;
}

static uint32_t below(Case *c, uint32_t n) { return random_below(&c->state, n); }

static Op *find_op(const Network *net, OpKind kind)
{
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == kind)
            return op;
    return NULL;
}

static bool run_passes(Case *c, const char *passes)
{
    return pipeline_run(c->m, c->diags, &(PipelineOptions){.passes = passes, .verify_each = true, .dump = stderr});
}

/* ---- random networks of one scalar ---- */

/* Weights that are small, or now and then as large as the type. */
static ConstId random_const(Case *c, Type t, uint32_t reach)
{
    uint64_t n = type_count(t), bytes = type_element_bytes(t);
    uint8_t *data = arena_array(c->arena, n + 1, bytes);
    for (uint64_t i = 0; i < n; i++) {
        int64_t w = below(c, 4) == 0 ? 0 : (int64_t)below(c, 2 * reach + 1) - reach;
        if (type_is_float(t)) {
            double d = ldexp((double)random_next(&c->state) / 0x1p64 - 0.5, (int)below(c, 4));
            d = c->ties ? (double)w / 2 : below(c, 5) == 0 ? (double)w : d;
            float f = (float)d;
            memcpy(data + i * bytes, t.elem == ELEM_F32 ? (void *)&f : (void *)&d, bytes);
        } else {
            if (t.n <= 64)
                w = (int64_t)((uint64_t)w << (64 - t.n)) >> (64 - t.n);
            memset(data + i * bytes, w < 0 ? 0xff : 0, bytes);
            memcpy(data + i * bytes, &w, bytes < 8 ? bytes : 8);
        }
    }
    return const_add(c->m, "c", t, data, NOWHERE);
}

static Value random_layer(Case *c, Builder *b, Value v, uint32_t reach)
{
    Type t = value_type(c->net, v), e = type_element(t);
    uint32_t rows = 1 + below(c, c->wide ? 40 : 6);
    switch (below(c, 12)) {
    case 0: return build_unary(b, OP_neg, v);
    case 1: return build_unary(b, OP_abs, v);
    case 2: return build_binary(b, below(c, 2) ? OP_min : OP_max, v, build_const(b, random_const(c, t, reach)));
    case 3: return build_binary(b, below(c, 2) ? OP_max : OP_min, build_unary(b, OP_neg, v), v);
    case 4: return build_binary(b, below(c, 2) ? OP_add : OP_sub, v, build_const(b, random_const(c, below(c, 2) ? t : e, reach)));
    case 5: return build_binary(b, OP_mul, build_const(b, random_const(c, t, 3)), v);
    case 6: return build_concat(b, 2, (Value[]){v, build_const(b, random_const(c, t, reach))}, 0);
    case 7: return build_slice(b, v, (uint32_t[]){below(c, t.dim[0])}, (uint32_t[]){1});
    case 8:
        v = build_reduce(b, (ReduceKind[]){REDUCE_add, REDUCE_max, REDUCE_min}[below(c, 3)], v, 0);
        return build_reshape(b, v, 1, (uint32_t[]){1});
    case 9: return build_binary(b, OP_sub, build_const(b, random_const(c, t, reach)), build_unary(b, OP_relu, v));
    default: break;
    }
    ConstId bias = below(c, 3) ? random_const(c, type_vector(e, rows), reach) : 0;
    Value z = build_affine(b, v, random_const(c, type_matrix(e, rows, t.dim[0]), 2), bias, 0);
    return below(c, 3) ? build_unary(b, OP_relu, z) : z;
}

/* A network of one `t`, in a box [lo, hi] when lo < hi. */
static void random_one(Case *c, Type t, Type inner, uint32_t reach, double lo, double hi, Outside outside)
{
    ConstId box = 0;
    if (lo < hi) {
        uint8_t *data = arena_array(c->arena, 2, 16);
        Type b = type_with_dims(t, 2, (uint32_t[]){2, 1});
        for (int k = 0; k < 2; k++) {
            double d = k ? hi : lo;
            float f = (float)d;
            int64_t i = (int64_t)d;
            const void *end = t.elem == ELEM_F32 ? (void *)&f : t.elem == ELEM_F64 ? (void *)&d : (void *)&i;
            memcpy(data + k * type_element_bytes(t), end, type_element_bytes(t));
        }
        box = const_add(c->m, "box", b, data, NOWHERE);
    }
    c->net = network_new(c->m, "n", NOWHERE);
    c->net->options = (NetOptions){.outside = outside, .numerics = type_is_float(t) ? NUMERICS_real : NUMERICS_exact};
    Value v = network_add_input(c->net, "x", type_vector(t, 1), box, NOWHERE);
    Builder b = builder_at_end(c->net->body);
    v = build_cast(&b, v, inner);
    v = build_affine(&b, v, random_const(c, type_matrix(inner, 3, 1), 2), random_const(c, type_vector(inner, 3), reach), 0);
    for (uint32_t n = 2 + below(c, 5); n > 0; n--)
        v = random_layer(c, &b, build_unary(&b, OP_relu, v), reach);
    network_add_output(c->net, "y", value_type(c->net, v), NOWHERE);
    build_return(&b, 1, &v, 0);
    network_done(c->net);
}

/* The same network in a module of its own, guarded and nothing else; or computed in f64. */
static Case as_written(const Case *c, bool f64)
{
    Case plain = {.arena = arena_new(NULL)};
    plain.diags = diag_new(plain.arena);
    Text text = text_new(plain.arena);
    char *at = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&at, &len);
    ir_print(c->m, f, &(PrintOptions){.inline_all = true});
    fclose(f);
    text_put(&text, at, len);
    free(at);
    plain.m = ir_read_text(plain.arena, plain.diags, "plain", text.at, text.len);
    plain.net = plain.m->networks.at[0];
    CU_ASSERT(pipeline_run(plain.m, plain.diags, &(PipelineOptions){.passes = "guard", .compute_f64 = f64, .dump = stderr}));
    return plain;
}

typedef struct Runner { Interp *interp; void *y; Type type; } Runner;

static Runner runner_new(Case *c, Network *net)
{
    Type t = net->output[0].type;
    return (Runner){interp_new(c->arena, net), arena_array(c->arena, type_count(t) + 1, type_element_bytes(t)), t};
}

static int run_at(Runner *r, const void *x)
{
    return interp_run(r->interp, (const void *const[]){x}, (void *const[]){r->y}, NULL, NULL, NULL);
}

/* ---- integers ---- */

static bool same_at(Runner *a, Runner *b, int64_t x)
{
    return run_at(a, &x) == run_at(b, &x) && same_elements(a->type, a->y, b->y);
}

static void check_small(uint64_t seed, size_t *found)
{
    Case c = case_new(seed);
    uint32_t bits = 3 + below(&c, 7), inner = bits + below(&c, 3) * 4;
    bool boxed = below(&c, 3) == 0;
    int64_t least = -(1 << (bits - 1)), most = -least - 1;
    double lo = (double)(least + (int64_t)below(&c, 5)), hi = (double)(most - (int64_t)below(&c, 3));
    random_one(&c, type_int(bits), type_int(inner), 1u << below(&c, bits), boxed ? lo : 0, boxed ? hi : 0, OUTSIDE_dense);
    Case plain = as_written(&c, false);
    CU_ASSERT(run_passes(&c, "piecewise,guard"));
    *found += find_op(c.net, OP_search) != NULL;
    Runner a = runner_new(&plain, plain.net), b = runner_new(&c, c.net);
    for (int64_t x = least; x <= most; x++)
        if (!same_at(&a, &b, x)) {
            fprintf(stderr, "seed %llu: another value at %lld\n", (unsigned long long)seed, (long long)x);
            CU_FAIL("another value");
            break;
        }
    arena_free(plain.arena);
    arena_free(c.arena);
}

static void test_small_integers(void)
{
    size_t found = 0;
    for (uint64_t seed = 0; seed < 3000; seed++)
        check_small(seed, &found);
    CU_ASSERT(found > 700);
}

static int64_t load(Type t, const uint8_t *at)
{
    int64_t v = at[type_element_bytes(t) - 1] & 0x80 ? -1 : 0;
    memcpy(&v, at, type_element_bytes(t) < 8 ? type_element_bytes(t) : 8);
    return v;
}

static void check_large(uint64_t seed, size_t *found)
{
    static const uint32_t inside[] = {64, 65, 100, 128, 200, 1000};
    Case c = case_new(seed);
    Type t = type_int(below(&c, 2) ? 64 : 32), inner = type_int(inside[below(&c, 6)]);
    random_one(&c, t, inner, below(&c, 2) ? 1000 : 0x7fffffff, 0, 0, OUTSIDE_dense);
    Case plain = as_written(&c, false);
    CU_ASSERT(run_passes(&c, "piecewise,guard"));
    Op *search = find_op(c.net, OP_search);
    Runner a = runner_new(&plain, plain.net), b = runner_new(&c, c.net);
    bool same = true;
    if (search) {
        (*found)++;
        const Const *keys = const_get(c.m, search->cst[0]);
        for (uint64_t k = 0; k < type_count(keys->type); k++)
            for (int64_t step = -2; step <= 2; step++)
                same &= same_at(&a, &b, load(t, const_element(keys, k)) + step);
    }
    for (int i = 0; i < 200; i++)
        same &= same_at(&a, &b, (int64_t)random_next(&c.state) >> (64 - t.n + below(&c, t.n)));
    if (!same)
        fprintf(stderr, "seed %llu: another value\n", (unsigned long long)seed);
    CU_ASSERT(same);
    arena_free(plain.arena);
    arena_free(c.arena);
}

static void test_large_integers(void)
{
    size_t found = 0;
    for (uint64_t seed = 10000; seed < 10600; seed++)
        check_large(seed, &found);
    CU_ASSERT(found > 150);
}

/* ---- floats ---- */

/* The greatest difference, and the greatest value. */
typedef struct Off { double by, most; } Off;

static void check_float(Runner *exact, Runner *b, double x, Type t, Off *worst)
{
    float f = (float)x;
    const void *at = t.elem == ELEM_F32 ? (void *)&f : (void *)&x;
    run_at(exact, at);
    run_at(b, at);
    for (uint64_t i = 0; i < type_count(b->type); i++) {
        double p, q;
        if (t.elem == ELEM_F32)
            p = (double)((float *)exact->y)[i], q = (double)((float *)b->y)[i];
        else
            p = ((double *)exact->y)[i], q = ((double *)b->y)[i];
        worst->by = fmax(worst->by, fabs(p - q));
        worst->most = fmax(worst->most, fabs(p));
    }
}

/* On both sides of every break, at the ends and at random. */
static Off compare_floats(Case *c, Runner *a, Runner *b, Type t, double lo, double hi)
{
    Off worst = {0};
    const Op *search = find_op(c->net, OP_search);
    const Const *keys = search ? const_get(c->m, search->cst[0]) : NULL;
    for (uint64_t k = 0; keys && k < type_count(keys->type); k++) {
        double key = const_f64(keys, k);
        check_float(a, b, key, t, &worst);
        check_float(a, b, t.elem == ELEM_F32 ? (double)nextafterf((float)key, -INFINITY) : nextafter(key, -INFINITY), t, &worst);
    }
    for (int i = 0; i < 100; i++)
        check_float(a, b, fmin(hi, lo + (double)random_next(&c->state) / 0x1p64 * (hi - lo)), t, &worst);
    check_float(a, b, lo, t, &worst);
    check_float(a, b, hi, t, &worst);
    return worst;
}

/* Certified against the network as written; and against f64 no more than two roundings. */
static void check_floats(uint64_t seed, size_t *found)
{
    Case c = case_new(seed);
    Type t = below(&c, 3) ? type_f32() : type_f64();
    double lo = (double)below(&c, 9) - 8, hi = lo + ldexp(1, (int)below(&c, 8) - 2);
    if (below(&c, 6) == 0)
        lo = -0x1p-70, hi = 2;
    random_one(&c, t, t, 2, lo, hi, OUTSIDE_promise);
    Case plain = as_written(&c, false), precise = as_written(&c, true);
    CU_ASSERT(run_passes(&c, "piecewise,guard"));
    *found += find_op(c.net, OP_search) != NULL;
    Runner a = runner_new(&plain, plain.net), b = runner_new(&c, c.net), d = runner_new(&precise, precise.net);
    Off certified = compare_floats(&c, &a, &b, t, lo, hi), off = compare_floats(&c, &d, &b, t, lo, hi);
    bool fine = certified.by <= c.net->certified_error && off.by <= ldexp(off.most, t.elem == ELEM_F32 ? -22 : -40) + 1e-11;
    if (!fine)
        fprintf(stderr, "seed %llu: off by %g, certified %g; by %g of %g\n", (unsigned long long)seed, certified.by, c.net->certified_error,
                off.by, off.most);
    CU_ASSERT(fine);
    arena_free(precise.arena);
    arena_free(plain.arena);
    arena_free(c.arena);
}

static void test_floats(void)
{
    size_t found = 0;
    for (uint64_t seed = 20000; seed < 21500; seed++)
        check_floats(seed, &found);
    CU_ASSERT(found > 250);
}

/* ---- the filter ---- */

static Cells *cells_of(Case *c, int32_t scale, double most)
{
    Cells *cells = cells_new(c->arena, c->net, true, scale, ldexpl((long double)most + 1, scale));
    cells_set_root(cells, c->net->body->arg[0], 1);
    for (const Op *op = c->net->body->first; op != c->net->body->last; op = op->next)
        if (op->kind != OP_const && !cells_add(cells, op))
            return NULL;
    cells_finish(cells);
    return cells;
}

static Pieces sweep_floats(Case *c, const Cells *cells, Type t, double lo, double hi, bool unfiltered)
{
    const Cell *root = &cells->cell.at[0];
    Limb *ends[2];
    for (int k = 0; k < 2; k++) {
        ends[k] = NEW_ARRAY(c->arena, root->limbs, Limb);
        big_from_double(ends[k], root->limbs, k ? hi : lo, root->scale);
    }
    Value y = op_operand(c->net->body->last, 1);
    Pieces pieces = {.n_watched = (uint32_t)cells->n_of_value[y], .watched = cells->of_value[y]}, merged;
    SweepRange range = {.precision = t.elem == ELEM_F32 ? 24 : 53, .lo = ends[0], .hi = ends[1], .unfiltered = unfiltered};
    SweepLimits limits = {.pieces = 1 << 20, .work = (uint64_t)1 << 40, .bytes = (uint64_t)1 << 30};
    CU_ASSERT_FATAL(scalar_sweep_floats(c->arena, cells, range, &limits, &pieces) == SWEEP_DONE);
    size_t *first;
    pieces_merge(c->arena, &pieces, NULL, &merged, &first);
    return merged;
}

static bool same_pieces(const Pieces *a, const Pieces *b)
{
    bool same = a->n == b->n && memcmp(a->start, b->start, a->n * a->position_limbs * sizeof(Limb)) == 0;
    for (uint32_t w = 0; same && w < a->n_watched; w++)
        same = memcmp(a->form[w], b->form[w], a->n * 2 * a->limbs[w] * sizeof(Limb)) == 0;
    return same;
}

static size_t check_filter(uint64_t seed)
{
    Case c = case_new(seed);
    Type t = below(&c, 2) ? type_f32() : type_f64();
    double lo = -(double)below(&c, 4), hi = lo + 1 + below(&c, 9);
    c.ties = below(&c, 2);
    c.wide = below(&c, 2);
    random_one(&c, t, t, 4, lo, hi, OUTSIDE_promise);
    Cells *cells = cells_of(&c, t.elem == ELEM_F32 ? 149 : 93, fmax(-lo, hi));
    size_t n = 0;
    if (cells && cells->n_of_value[op_operand(c.net->body->last, 1)] > 0) {
        Pieces fast = sweep_floats(&c, cells, t, lo, hi, false), slow = sweep_floats(&c, cells, t, lo, hi, true);
        bool same = same_pieces(&fast, &slow);
        if (!same)
            fprintf(stderr, "seed %llu: %zu pieces, not %zu\n", (unsigned long long)seed, fast.n, slow.n);
        CU_ASSERT(same);
        n = fast.n;
    }
    arena_free(c.arena);
    return n;
}

static void test_filter(void)
{
    size_t pieces = 0;
    for (uint64_t seed = 60000; seed < 61500; seed++)
        pieces += check_filter(seed);
    CU_ASSERT(pieces > 2000);
}

/* ---- memorizers ---- */

typedef struct Data { uint32_t n; int64_t *key, *label; } Data;

static Data random_data(Case *c, uint32_t n)
{
    Data d = {n, NEW_ARRAY(c->arena, n, int64_t), NEW_ARRAY(c->arena, n, int64_t)};
    int64_t at = -(int64_t)below(c, 1000000);
    for (uint32_t i = 0; i < n; i++) {
        d.key[i] = at;
        d.label[i] = (int64_t)below(c, below(c, 2) ? 3 : 1000) - 100;
        at += 1 + (int64_t)below(c, below(c, 3) ? 2 : 100000);
    }
    return d;
}

static ConstId int_const(Case *c, Type t, const int64_t *v)
{
    return const_add(c->m, "c", t, v, NOWHERE);
}

/* Layer 1: relu(z − T_0), relu(z − T_j), relu(z − T_j + 1); layer 2: for each place k in a block U_k and V_k, affine in z within every
 * block. Labels: by d = y_i − y_(i−1), at k = 0 by y_i − y_0. */
static void build_memorizer(Case *c, const Data *d)
{
    uint32_t q = (uint32_t)ceil(sqrt(d->n)), p = (d->n + q - 1) / q, rows = 2 * p - 1;
    Type t = type_int(64);
    int64_t *W1 = NEW_ARRAY(c->arena, rows, int64_t), *b1 = NEW_ARRAY(c->arena, rows, int64_t);
    int64_t *W2 = NEW_ARRAY(c->arena, (size_t)2 * q * rows, int64_t), *b2 = NEW_ARRAY(c->arena, 2 * q, int64_t);
    int64_t *W3 = NEW_ARRAY(c->arena, 2 * q, int64_t);
    int64_t *b3 = NEW_ARRAY(c->arena, 1, int64_t);
    b3[0] = d->label[0];
    for (uint32_t j = 0; j < p; j++) {
        W1[j ? 2 * j - 1 : 0] = 1;
        b1[j ? 2 * j - 1 : 0] = -d->key[j * q];
        if (j)
            W1[2 * j] = 1, b1[2 * j] = -d->key[j * q] + 1;
    }
    for (uint32_t r = 0; r < 2 * q; r++) {
        uint32_t k = r / 2;
        int64_t a_before = 0, b_before = 0;
        W3[r] = r % 2 ? -1 : 1;
        for (uint32_t j = 0; j < p; j++) {
            uint32_t i = j * q + k;
            int64_t a = 0, b = 0, T = d->key[j * q];
            if (i < d->n) {
                int64_t by = k == 0 ? d->label[i] - d->label[0] : d->label[i] - d->label[i - 1];
                int64_t h = by < 0 ? -by : by;
                a = h;
                b = h * (-d->key[i] + (r % 2 ? by < 0 : by >= 0));
            }
            if (j == 0) {
                W2[r * rows] = a;
                b2[r] = b + a * T;
            } else {
                int64_t da = a - a_before, e = da * T + (b - b_before);
                W2[r * rows + 2 * j - 1] = da - e;
                W2[r * rows + 2 * j] = e;
            }
            a_before = a;
            b_before = b;
        }
    }
    c->net = network_new(c->m, "memory", NOWHERE);
    Value v = network_add_input(c->net, "z", type_int(32), 0, NOWHERE);
    network_add_output(c->net, "y", t, NOWHERE);
    Builder b = builder_at_end(c->net->body);
    v = build_reshape(&b, build_cast(&b, v, t), 1, (uint32_t[]){1});
    v = build_unary(&b, OP_relu, build_affine(&b, v, int_const(c, type_matrix(t, rows, 1), W1), int_const(c, type_vector(t, rows), b1), 0));
    v = build_affine(&b, v, int_const(c, type_matrix(t, 2 * q, rows), W2), int_const(c, type_vector(t, 2 * q), b2), 0);
    v = build_unary(&b, OP_relu, v);
    v = build_affine(&b, v, int_const(c, type_matrix(t, 1, 2 * q), W3), int_const(c, type_vector(t, 1), b3), 0);
    v = build_reshape(&b, v, 0, NULL);
    build_return(&b, 1, &v, 0);
    network_done(c->net);
}

/* Its search has the first keys of the runs of equal labels, but the first run's. */
static void check_memorizer(uint64_t seed, uint32_t n)
{
    Case c = case_new(seed);
    Data d = random_data(&c, n);
    build_memorizer(&c, &d);
    CU_ASSERT(run_passes(&c, "piecewise"));
    Op *search = find_op(c.net, OP_search);
    CU_ASSERT_FATAL(search != NULL && find_op(c.net, OP_row) != NULL && find_op(c.net, OP_affine) == NULL);
    const Const *keys = const_get(c.m, search->cst[0]);
    uint64_t run = 0, n_keys = type_count(keys->type);
    bool same = true;
    for (uint32_t i = 1; i < n; i++)
        if (d.label[i] != d.label[i - 1]) {
            same = same && run < n_keys && load(type_int(32), const_element(keys, run)) == d.key[i];
            run++;
        }
    CU_ASSERT(same && run == n_keys);
    Runner r = runner_new(&c, c.net);
    for (uint32_t i = 0; i < n; i++)
        for (int32_t step = -1; step <= 1; step++) {
            int32_t z = (int32_t)d.key[i] + step;
            uint32_t at = step < 0 ? (i > 0 ? i - 1 : 0) : i + 1 < n && z >= d.key[i + 1] ? i + 1 : i;
            run_at(&r, &z);
            same &= *(int64_t *)r.y == d.label[at];
        }
    CU_ASSERT(same);
    arena_free(c.arena);
}

static void test_memorizers(void)
{
    for (uint32_t n = 4; n < 60; n++)
        check_memorizer(30000 + n, n);
    check_memorizer(31000, 1000);
    check_memorizer(31001, 20000);
}

/* ---- policies ---- */

static void check_policy(uint64_t seed, Outside outside)
{
    Case c = case_new(seed);
    random_one(&c, type_int(8), type_int(16), 20, -50, 60, outside);
    Case plain = as_written(&c, false);
    CU_ASSERT(run_passes(&c, "piecewise,guard"));
    Runner a = runner_new(&plain, plain.net), b = runner_new(&c, c.net);
    bool same = true;
    for (int64_t x = -128; x < 128; x++) {
        int p = run_at(&a, &x), q = run_at(&b, &x);
        same &= outside == OUTSIDE_promise && (x < -50 || x > 60) ? true : p == q && (p < 0 || same_elements(a.type, a.y, b.y));
    }
    CU_ASSERT(same);
    arena_free(plain.arena);
    arena_free(c.arena);
}

static void test_policies(void)
{
    for (uint64_t seed = 40000; seed < 40400; seed++)
        check_policy(seed, (Outside)(seed % 4));
}

void suite_piecewise(void)
{
    CU_pSuite s = CU_add_suite("piecewise", NULL, NULL);
    CU_add_test(s, "integers, every input", test_small_integers);
    CU_add_test(s, "wide integers", test_large_integers);
    CU_add_test(s, "floats, certified", test_floats);
    CU_add_test(s, "pieces of floats, with and without the filter", test_filter);
    CU_add_test(s, "memorizers", test_memorizers);
    CU_add_test(s, "outside the box", test_policies);
}
