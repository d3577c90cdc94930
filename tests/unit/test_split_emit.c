/* test_split_emit.c — tree and leaves instead of layers: whatever the network, the tree and the kept layers, the result is within what
 * was proven.
 *
 *      networks      random relu chains of f32 and f64; layers without a relu, fixed inputs, a relu behind the outputs, one neuron, argmax and argmin
 *      trees         random midpoints; facts from interval bounds, which decide enough of small networks in small boxes
 *      points        at random, corners of the box, on cuts and beside them
 *
 * The source's scores, in long double, are the measure where a winner is asked for. A failure prints the seed.
 */
#include "../../backend/backend.h"
#include "../../passes/split/split.h"
#include "random_net.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_split_emit(void);

typedef struct Made {
    Arena *arena;
    Diags *diags;
    Module *m, *plain;
    Network *net;
    Chain chain;
    Split split;
    Emitted emitted;
    uint64_t state, seed;
    Type element;
} Made;

static uint32_t below(Made *m, uint32_t n) { return random_below(&m->state, n); }
static double uniform(Made *m) { return (double)random_next(&m->state) / 0x1p64; }

static void store(Type t, void *data, uint64_t i, double x)
{
    if (t.elem == ELEM_F32)
        ((float *)data)[i] = (float)x;
    else
        ((double *)data)[i] = x;
}

static double load(Type t, const void *data, uint64_t i)
{
    return t.elem == ELEM_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

/* ---- networks ---- */

static ConstId random_const(Made *m, Type t, double zeros)
{
    uint64_t n = type_count(t);
    void *data = arena_array(m->arena, n + 1, 8);
    for (uint64_t i = 0; i < n; i++)
        store(t, data, i, uniform(m) < zeros ? 0 : 2 * uniform(m) - 1);
    return const_add(m->m, "c", t, data, NOWHERE);
}

static ConstId random_box(Made *m, uint32_t n)
{
    void *data = arena_array(m->arena, 2 * n, 8);
    double reach = ldexp(1, -(int)below(m, 4));
    for (uint32_t i = 0; i < n; i++) {
        double lo = 2 * uniform(m) - 1, hi = below(m, 4) ? lo + reach * uniform(m) : lo;
        store(m->element, data, i, lo);
        store(m->element, data, n + i, hi);
    }
    return const_add(m->m, "box", type_matrix(m->element, 2, n), data, NOWHERE);
}

static void make_network(Made *m, Outside outside)
{
    uint32_t n = 1 + below(m, 4), layers = 1 + below(m, 4), widest = below(m, 5) ? 7 : 1;
    double zeros = below(m, 2) ? 0.6 : 0;
    m->net = network_new(m->m, "n", NOWHERE);
    m->net->options = (NetOptions){.outside = outside, .numerics = NUMERICS_real};
    Value v = network_add_input(m->net, "x", type_vector(m->element, n), random_box(m, n), NOWHERE);
    Builder b = builder_at_end(m->net->body);
    for (uint32_t l = 0; l <= layers; l++) {
        uint32_t rows = 1 + below(m, widest);
        v = build_affine(&b, v, random_const(m, type_matrix(m->element, rows, n), zeros), random_const(m, type_vector(m->element, rows), 0.1),
                         ir_chains(rows, n));
        v = below(m, 5) < (l < layers ? 4 : 1) ? build_unary(&b, OP_relu, v) : v;      /* some layers are affine only */
        n = rows;
    }
    network_add_output(m->net, "y", value_type(m->net, v), NOWHERE);
    build_return(&b, 1, &v, 0);
    network_done(m->net);
}

static bool run_passes(Module *module, Diags *diags, const char *passes)
{
    return pipeline_run(module, diags, &(PipelineOptions){.passes = passes, .verify_each = true, .dump = stderr});
}

/* The same network in a module of its own, guarded and nothing else. */
static Module *as_written(Made *m)
{
    Text text = text_new(m->arena);
    char *at = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&at, &len);
    ir_print(m->m, f, &(PrintOptions){.inline_all = true});
    fclose(f);
    text_put(&text, at, len);
    free(at);
    Module *plain = ir_read_text(m->arena, m->diags, "plain", text.at, text.len);
    CU_ASSERT_TRUE_FATAL(plain && run_passes(plain, m->diags, "guard"));
    return plain;
}

/* ---- facts and trees ---- */

/* Interval bounds: state and alive. */
static void naive_facts(Made *m, const double *lo, const double *hi, uint8_t *state, uint8_t *alive)
{
    const Chain *c = &m->chain;
    double *a = NEW_ARRAY(m->arena, c->n_inputs, double), *b = NEW_ARRAY(m->arena, c->n_inputs, double);
    memcpy(a, lo, c->n_inputs * sizeof *a);
    memcpy(b, hi, c->n_inputs * sizeof *b);
    for (uint32_t l = 0; l < c->n_layers; l++) {
        const ChainLayer *layer = &c->layer[l];
        double *p = NEW_ARRAY(m->arena, layer->rows, double), *q = NEW_ARRAY(m->arena, layer->rows, double);
        for (uint32_t r = 0; r < layer->rows; r++) {
            p[r] = layer->bias[r] - 1e-12, q[r] = layer->bias[r] + 1e-12;
            for (uint32_t k = 0; k < layer->cols; k++) {
                double w = layer->weight[r * layer->cols + k];
                p[r] += w * (w > 0 ? a[k] : b[k]);
                q[r] += w * (w > 0 ? b[k] : a[k]);
            }
            state[c->first[l] + r] = !layer->relu || p[r] >= 0 ? STATE_ON : q[r] <= 0 ? STATE_OFF : STATE_UNSTABLE;
            if (layer->relu)
                p[r] = fmax(p[r], 0), q[r] = fmax(q[r], 0);
        }
        a = p, b = q;
    }
    for (uint32_t i = 0; i < c->n_outputs; i++) {
        alive[i] = true;
        for (uint32_t j = 0; j < c->n_outputs; j++)
            alive[i] &= c->winner == WINNER_none || !(b[i] < a[j]);
    }
}

typedef struct Part { double *lo, *hi; } Part;

static Part part_copy(Made *m, const double *lo, const double *hi)
{
    uint32_t n = m->chain.n_inputs;
    Part p = {NEW_ARRAY(m->arena, n, double), NEW_ARRAY(m->arena, n, double)};
    memcpy(p.lo, lo, n * sizeof *lo);
    memcpy(p.hi, hi, n * sizeof *hi);
    return p;
}

/* Code of its own, or the whole box's; now and then with more of a box than its facts hold for. */
static uint32_t make_code(Made *m, const Part *part)
{
    Split *s = &m->split;
    Code *code = &s->codes[s->n_codes];
    uint8_t *state = NEW_ARRAY(m->arena, m->chain.n_neurons, uint8_t), *alive = NEW_ARRAY(m->arena, m->chain.n_outputs, uint8_t);
    if (s->n_codes > 0 && below(m, 6) == 0)
        return 0;
    naive_facts(m, part->lo, part->hi, state, alive);
    bool whole = below(m, 6) == 0;
    *code = (Code){.state = state, .alive = alive, .lo = whole ? m->chain.lo : part->lo, .hi = whole ? m->chain.hi : part->hi, .share = 0.1};
    code->how.kept = random_next(&m->state) & random_next(&m->state);
    return s->n_codes++;
}

static int32_t make_leaf(Made *m, const Part *part)
{
    Split *s = &m->split;
    s->code[s->n_leaves] = make_code(m, part);
    return ~(int32_t)s->n_leaves++;
}

/* Parents first. */
static int32_t make_tree(Made *m, Part part, uint32_t depth)
{
    uint32_t i = below(m, m->chain.n_inputs);
    double middle = part.lo[i] + (part.hi[i] - part.lo[i]) * (below(m, 2) ? 0.5 : uniform(m));
    double cut = m->element.elem == ELEM_F32 ? (double)(float)middle : middle;
    if (depth == 0 || below(m, 8) == 0 || !(part.lo[i] < cut && cut < part.hi[i]))
        return make_leaf(m, &part);
    uint32_t node = m->split.n_nodes++;
    Part left = part_copy(m, part.lo, part.hi), right = part_copy(m, part.lo, part.hi);
    left.hi[i] = right.lo[i] = cut;
    m->split.node[node] = (SplitNode){.coordinate = i, .cut = cut};
    m->split.node[node].child[0] = make_tree(m, left, depth - 1);
    m->split.node[node].child[1] = make_tree(m, right, depth - 1);
    return (int32_t)node;
}

static void make_split(Made *m, uint32_t depth)
{
    size_t most = (size_t)1 << depth;
    m->split = (Split){.node = NEW_ARRAY(m->arena, most, SplitNode), .code = NEW_ARRAY(m->arena, most, uint32_t),
                       .codes = NEW_ARRAY(m->arena, most + 1, Code), .share = NEW_ARRAY(m->arena, most, double)};
    Part all = part_copy(m, m->chain.lo, m->chain.hi);
    m->split.n_codes = 0;
    make_code(m, &all);
    make_tree(m, all, depth);
}

static bool make(Made *m, uint64_t seed, Outside outside)
{
    static const char *const results[] = {"", "result(value=argmax)", "result(value=argmin)"};
    const char *why = "";
    *m = (Made){.arena = arena_new(NULL), .seed = seed, .state = seed * 7919 + 1};
    m->diags = diag_new(m->arena);
    m->m = module_new(m->arena, m->diags);
    m->element = below(m, 2) ? type_f32() : type_f64();
    make_network(m, outside);
    uint32_t which = below(m, 3);
    if (which && m->net->output[0].type.dim[0] > 1)
        CU_ASSERT_TRUE(run_passes(m->m, m->diags, results[which]));
    m->plain = as_written(m);
    if (!chain_of(m->arena, m->net, &m->chain, &why))
        return false;
    make_split(m, below(m, 7));
    PassContext ctx = {.arena = m->arena, .diags = m->diags, .name = "split"};
    CU_ASSERT_TRUE(split_emit(m->net, &ctx, &m->chain, &m->split, &m->emitted));
    return true;
}

/* ---- points ---- */

static void random_point(Made *m, double *x)
{
    const Chain *c = &m->chain;
    uint32_t corner = below(m, 8);
    for (uint32_t i = 0; i < c->n_inputs; i++) {
        double at = corner ? uniform(m) : below(m, 2);
        double v = c->lo[i] + at * (c->hi[i] - c->lo[i]);
        x[i] = fmin(fmax(m->element.elem == ELEM_F32 ? (double)(float)v : v, c->lo[i]), c->hi[i]);
    }
    if (m->split.n_nodes == 0 || below(m, 2))
        return;
    const SplitNode *node = &m->split.node[below(m, m->split.n_nodes)];
    double cut = node->cut, to = (double)below(m, 3) - 1;
    if (to != 0)
        cut = m->element.elem == ELEM_F32 ? (double)nextafterf((float)cut, (float)to * INFINITY) : nextafter(cut, to * INFINITY);
    x[node->coordinate] = cut;
}

/* How far below the greatest real score that of output `chosen` lies. */
static double regret(const Made *m, const double *x, int32_t chosen)
{
    const Chain *c = &m->chain;
    long double a[16], b[16], best;
    for (uint32_t i = 0; i < c->n_inputs; i++)
        a[i] = x[i];
    for (uint32_t l = 0; l < c->n_layers; l++) {
        for (uint32_t r = 0; r < c->layer[l].rows; r++) {
            b[r] = c->layer[l].bias[r];
            for (uint32_t k = 0; k < c->layer[l].cols; k++)
                b[r] += (long double)c->layer[l].weight[r * c->layer[l].cols + k] * a[k];
            b[r] = c->layer[l].relu && b[r] <= 0 ? 0 : b[r];
        }
        memcpy(a, b, sizeof a);
    }
    best = a[0];
    for (uint32_t i = 1; i < c->n_outputs; i++)
        best = fmaxl(best, a[i]);
    return chosen < 0 || chosen >= (int32_t)c->n_outputs ? INFINITY : (double)(best - a[chosen]);
}

typedef struct Engines { Interp *plain, *split; Jit *jit; } Engines;
typedef struct Worst { double off, proven; } Worst;

static bool same_counts(Counts a, Counts b) { return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other; }

static bool check_point(Made *m, const Engines *e, const double *x, Worst *worst)
{
    double in[8], y[3][8] = {{0}};
    Counts executed = {0}, tallies = {0}, counts = {0};
    Type out = m->net->output[0].type;
    for (uint32_t i = 0; i < m->chain.n_inputs; i++)
        store(m->element, in, i, x[i]);
    int status = interp_run(e->plain, (const void *[]){in}, (void *[]){y[0]}, NULL, NULL, NULL);
    bool right = interp_run(e->split, (const void *[]){in}, (void *[]){y[1]}, &executed, &tallies, NULL) == status;
    if (e->jit) {
        right &= be_jit_run(e->jit, (const void *[]){in}, (void *[]){y[2]}, &counts) == status && same_elements(out, y[1], y[2]);
        right &= same_counts(executed, counts) && same_counts(tallies, counts);
    }
    double off = 0;
    if (m->chain.winner != WINNER_none) {
        int32_t chosen;
        memcpy(&chosen, y[1], sizeof chosen);
        off = regret(m, x, chosen);
    }
    for (uint64_t i = 0; m->chain.winner == WINNER_none && i < type_count(out); i++)
        off = fmax(off, fabs(load(out, y[0], i) - load(out, y[1], i)));
    worst->off = fmax(worst->off, off);
    return right && off <= m->net->certified_error * (1 + 1e-9) + 1e-18;
}

static void check(uint64_t seed, bool native, Worst *worst)
{
    Made m;
    if (!make(&m, seed, (Outside)(seed % 4))) {
        arena_free(m.arena);
        return;
    }
    CU_ASSERT_TRUE(run_passes(m.m, m.diags, native ? "skip,guard,dead-code,lower,count-ops" : "dead-code,guard,count-ops"));
    TargetOptions options = {.pic = true};
    Engines e = {interp_new(m.arena, m.plain->networks.at[0]), interp_new(m.arena, m.net), native ? be_jit(m.arena, m.net, &options, 0) : NULL};
    CU_ASSERT_TRUE(!native || e.jit);
    bool right = true;
    *worst = (Worst){0, m.net->certified_error};
    for (int i = 0; right && i < 150; i++) {
        double x[8];
        random_point(&m, x);
        right = check_point(&m, &e, x, worst);
    }
    if (!right) {
        fprintf(stderr, "seed %llu: off by %g, proven %g\n", (unsigned long long)seed, worst->off, worst->proven);
        CU_FAIL("not what was proven");
    }
    arena_free(m.arena);
}

static void test_random(void)
{
    double used = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        Worst worst = {0};
        check(seed, false, &worst);
        if (worst.proven > 0)
            used = fmax(used, worst.off / worst.proven);
    }
    CU_ASSERT(used > 0.05);       /* the bound is no fancy */
}

static void test_native(void)
{
    for (uint64_t seed = 5000; seed < 5060; seed++)
        check(seed, true, &(Worst){0});
}

void suite_split_emit(void)
{
    CU_pSuite suite = CU_add_suite("split_emit", NULL, NULL);
    CU_add_test(suite, "random networks, trees and kept layers, interpreted", test_random);
    CU_add_test(suite, "native is the interpreter, counts too", test_native);
}
