/* test_cost.c — the three ways of counting agree: what the interpreter's primitives counted, the cost column of ops.def at
 * the recorded events, and bounds over all inputs that no run leaves. Regions, exits and calls have their bounds by hand.
 */
#include "../../ir/ir.h"
#include "random_net.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <string.h>

void suite_cost(void);

static Network *read_network(Arena *arena, const char *text)
{
    Diags *diags = diag_new(arena);
    Module *m = ir_read_text(arena, diags, "test", text, strlen(text));
    if (!m)
        diag_flush(diags, stderr, DIAG_PLAIN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m->networks.at[m->networks.len - 1];
}

static bool same(Counts a, Counts b) { return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other; }

static bool covers(CostRange r, Counts c)
{
    return c.add >= r.min.add && c.add <= r.max.add && c.mul >= r.min.mul && c.mul <= r.max.mul && c.cmp >= r.min.cmp &&
           c.cmp <= r.max.cmp && c.other >= r.min.other && c.other <= r.max.other;
}

/* ---- bounds by hand ------------------------------------------------------------------------------------------------------ */

#define HEAD "format_version 1\nconst @W : f32[2,2] = [[1, 0], [3, 4]]\nconst @V : f32[2,3] = [[1, 0, 5], [3, 4, 0]]\nconst @one : i32 = 1\n"
#define NET(body) HEAD "network @n(%x: f32[2], %c: i1, %i: idx[3]) -> (y: f32[2]) {\n" body "\n}\n"

typedef struct Bound {
    const char *what, *text;
    Counts min, max;
    uint64_t total_min, total_max;
} Bound;

static void check_bounds(const Bound *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Arena *arena = arena_new(NULL);
        NetworkCost cost = network_cost(read_network(arena, b[i].text));
        bool right = same(cost.range.min, b[i].min) && same(cost.range.max, b[i].max) && cost.total_min == b[i].total_min &&
                     cost.total_max == b[i].total_max;
        if (!right)
            fprintf(stderr, "\n  %s: min %llu %llu %llu %llu, max %llu %llu %llu %llu, totals %llu %llu\n", b[i].what,
                    (unsigned long long)cost.range.min.add, (unsigned long long)cost.range.min.mul, (unsigned long long)cost.range.min.cmp,
                    (unsigned long long)cost.range.min.other, (unsigned long long)cost.range.max.add, (unsigned long long)cost.range.max.mul,
                    (unsigned long long)cost.range.max.cmp, (unsigned long long)cost.range.max.other, (unsigned long long)cost.total_min,
                    (unsigned long long)cost.total_max);
        CU_ASSERT(right);
        arena_free(arena);
    }
}

static void regions_have_their_bounds(void)
{
    static const Bound bounds[] = {
        {"dense", NET("%y = affine %x, @W : f32[2]\nreturn %y"), {.add = 4, .mul = 4}, {.add = 4, .mul = 4}, 8, 8},
        {"if: the cheaper and the dearer branch", NET("%y = if %c : f32[2] {\n%a = affine %x, @W : f32[2]\nyield %a\n} else {\n%b = exp %x : f32[2]\nyield %b\n}\nreturn %y"),
         {0}, {.add = 4, .mul = 4, .other = 2}, 2, 8},
        {"case", NET("%y = case %i : f32[2] {\n%a = relu %x : f32[2]\nyield %a\n} {\n%b = exp %x : f32[2]\n%d = exp %b : f32[2]\nyield %d\n} {\nyield %x\n}\nreturn %y"),
         {0}, {.cmp = 2, .other = 4}, 0, 4},
        {"repeat", NET("%y = repeat %x, n = 5 : f32[2] { |%k: idx[5], %a: f32[2]|\n%b = exp %a : f32[2]\nyield %b\n}\nreturn %y"), {.other = 10}, {.other = 10}, 10, 10},
        {"each over a set", NET("%s = active %x, pred = gt0 : set[2]\n%y = each %s, %x : f32[2] { |%k: idx[2], %a: f32[2]|\n%b = exp %a : f32[2]\nyield %b\n}\nreturn %y"),
         {.cmp = 2}, {.cmp = 2, .other = 4}, 2, 6},
        {"each over a list", NET("%t, %v = topk %x, k = 2 : idx[2][2], f32[2]\n%y = each %t, %x : f32[2] { |%k: idx[2], %a: f32[2]|\n%b = exp %a : f32[2]\nyield %b\n}\nreturn %y"),
         {.cmp = 1, .other = 4}, {.cmp = 1, .other = 4}, 5, 5},
        {"a set's columns: none to all", NET("%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n%y = affine %h, @W, cols = %s : f32[2]\nreturn %y"),
         {.cmp = 2}, {.add = 4, .mul = 4, .cmp = 2}, 2, 10},
        {"zero weights left out", NET("%y = affine %x, @W, zeros = skip : f32[2]\nreturn %y"), {.add = 3, .mul = 3}, {.add = 3, .mul = 3}, 6, 6},
        {"a set's columns without zero weights", NET("%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n"
         "%y = affine %h, @W, cols = %s, zeros = skip : f32[2]\nreturn %y"), {.cmp = 2}, {.add = 3, .mul = 3, .cmp = 2}, 2, 8},
        {"an early exit skips the rest", NET("if %c {\n%a = relu %x : f32[2]\nreturn %a\n} else {\nyield\n}\n%y = affine %x, @W : f32[2]\nreturn %y"),
         {0}, {.add = 4, .mul = 4, .cmp = 2}, 2, 8},
        {"a refusal too", NET("if %c {\nyield\n} else {\nrefuse status = -1\n}\n%y = affine %x, @W : f32[2]\nreturn %y"), {0}, {.add = 4, .mul = 4}, 0, 8},
        {"what follows an exit on both sides is never reached", NET("if %c {\nreturn %x\n} else {\n%e = exp %x : f32[2]\nreturn %e\n}\n%y = affine %x, @W : f32[2]\nreturn %y"),
         {0}, {.other = 2}, 0, 2},
        {"leaving a loop: after one trip, or in the last", NET("%y = repeat %x, n = 5 : f32[2] { |%k: idx[5], %a: f32[2]|\n%b = exp %a : f32[2]\nif %c {\n%d = relu %b : f32[2]\nreturn %d\n} else {\nyield\n}\nyield %b\n}\n"
         "%z = neg %y : f32[2]\nreturn %z"), {.other = 2}, {.add = 2, .cmp = 2, .other = 10}, 4, 12},
        {"a loop that never ends its first trip", NET("%y = repeat %x, n = 5 : f32[2] { |%k: idx[5], %a: f32[2]|\n%b = exp %a : f32[2]\nreturn %b\n}\n%z = exp %y : f32[2]\nreturn %z"),
         {.other = 2}, {.other = 2}, 2, 2},
        {"a set may be empty: then it goes on", NET("%s = active %x, pred = gt0 : set[2]\n%y = each %s, %x : f32[2] { |%k: idx[2], %a: f32[2]|\n%b = exp %a : f32[2]\nreturn %b\n}\nreturn %y"),
         {.cmp = 2}, {.cmp = 2, .other = 2}, 2, 4},
        {"a callee's exits are falls here, its refusals are not", HEAD
         "network @f(%x: f32[2], %c: i1) -> (y: f32[2]) {\nif %c {\nrefuse status = -2\n} else {\nyield\n}\n%y = exp %x : f32[2]\nreturn %y\n}\n"
         "network @n(%x: f32[2], %c: i1) -> (y: f32[2]) {\n%a = call %x, %c, callee = @f : f32[2]\n%b = call %a, %c, callee = @f : f32[2]\n%y = relu %b : f32[2]\nreturn %y\n}\n",
         {0}, {.cmp = 2, .other = 4}, 0, 6},
        {"a tree: from its nearest leaf to its farthest", "format_version 1\n"
         "const @T : tree i32 keys 1 nodes 2 leaves 3 classes 1 slots 3 = [[0] > 5 ? ~2 : 1, [0] > 0 ? ~1 : ~0], [0:0, 0:1, 0:2]\n"
         "network @n(%x: i32[1]) -> (y: idx[3]) {\n%c, %y, %d = descend @T, %x : idx[1], idx[3], i32\nreturn %y\n}\n", {.cmp = 1}, {.cmp = 2}, 1, 2},
#define TREE "const @T : tree i32 keys 1 nodes 2 leaves 3 classes 2 slots 3 = [[0] > 5 ? ~2 : 1, [0] > 0 ? ~1 : ~0], [0:2, 1:0, 1:1]\n" \
    "const @E : stack f32[2,2,2] = [[[0, 0], [0, 3]], [[1, 2], [3, 4]]]\n"
#define LEAVES(class0, before) "network @n(%x: f32[2], %k: i32[1], %c: i1) -> (y: f32[2]) {\n%class, %slot, %depth = descend @T, %k : idx[2], idx[3], i32\n" before \
    "%y = case %class : f32[2] {\n" class0 "\n} {\n%s = cast %slot : idx[2]\n%a = affine %x, @E[%s], zeros = skip : f32[2]\nyield %a\n}\nreturn %y\n}\n"
        /* depth 2, then two exp; depth 2, one product; depth 1, four products */
        {"leaf by leaf: 4, 4, and 9 where the near leaf is the dear one", HEAD TREE LEAVES("%e = exp %x : f32[2]\nyield %e", ""),
         {.cmp = 1}, {.add = 4, .mul = 4, .cmp = 2, .other = 2}, 4, 9},
        {"what lies between belongs to all leaves", HEAD TREE LEAVES("%e = exp %x : f32[2]\nyield %e", "%r = relu %x : f32[2]\n"),
         {.cmp = 3}, {.add = 4, .mul = 4, .cmp = 4, .other = 2}, 6, 11},
        {"a choice within a class: 2, 4 or 6; 4; 9", HEAD TREE LEAVES("%e = if %c : f32[2] {\n%p = exp %x : f32[2]\n%q = exp %p : f32[2]\nyield %q\n} else {\nyield %x\n}\nyield %e", ""),
         {.cmp = 1}, {.add = 4, .mul = 4, .cmp = 2, .other = 4}, 2, 9},
        {"a leaf that leaves", HEAD TREE LEAVES("%e = exp %x : f32[2]\nreturn %e", ""), {.cmp = 1}, {.add = 4, .mul = 4, .cmp = 2, .other = 2}, 4, 9},
        {"a node with two parents lies at two depths", "format_version 1\n"
         "const @T : tree i32 keys 1 nodes 3 leaves 2 classes 1 slots 2 = [[0] > 5 ? 1 : 2, [0] > 7 ? ~0 : 2, [0] > 0 ? ~0 : ~1], [0:0, 0:1]\n"
         "network @n(%x: i32[1]) -> (y: idx[2]) {\n%c, %y, %d = descend @T, %x : idx[1], idx[2], i32\nreturn %y\n}\n", {.cmp = 2}, {.cmp = 3}, 2, 3},
        {"columns that are in the set in any case", NET("%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n%t = slice %x, from = [0] : f32[1]\n"
         "%v = concat %t, %h : f32[3]\n%e = extend %s, before = 1 : set[3]\n%y = affine %v, @V, cols = %e, zeros = skip : f32[2]\nreturn %y"),
         {.add = 2, .mul = 2, .cmp = 2}, {.add = 4, .mul = 4, .cmp = 2}, 6, 10},
    };
    check_bounds(bounds, sizeof bounds / sizeof *bounds);
}

/* 2^31 trips within 2^31 trips within 2^31 trips of 2 operations: more than fits. */
static void huge_bounds_saturate(void)
{
    Arena *arena = arena_new(NULL);
    NetworkCost cost = network_cost(read_network(arena, "format_version 1\nnetwork @n(%x: f32[2]) -> (y: f32[2]) {\n"
        "%y = repeat %x, n = 2147483647 : f32[2] { |%i: idx[2147483647], %a: f32[2]|\n"
        "%b = repeat %a, n = 2147483647 : f32[2] { |%j: idx[2147483647], %c: f32[2]|\n"
        "%d = repeat %c, n = 2147483647 : f32[2] { |%k: idx[2147483647], %e: f32[2]|\n%f = neg %e : f32[2]\nyield %f\n}\nyield %d\n}\nyield %b\n}\nreturn %y\n}\n"));
    CU_ASSERT_EQUAL(cost.range.max.add, UINT64_MAX);
    CU_ASSERT_EQUAL(cost.total_max, UINT64_MAX);
    CU_ASSERT_EQUAL(counts_total((Counts){UINT64_MAX, 1, 0, 0}), UINT64_MAX);
    CU_ASSERT_EQUAL(counts_scale((Counts){.mul = UINT64_MAX / 2}, 3).mul, UINT64_MAX);
    arena_free(arena);
}

/* ---- shares and sizes ------------------------------------------------------------------------------------------------------ */

static void the_guard_has_its_share(void)
{
#define BOX "format_version 1\nconst @B : f32[2,2] = [[-1, 0], [1, 2]]\nconst @lo : f32[2] = [-1, 0]\nconst @hi : f32[2] = [1, 2]\n"
#define CLAMP "%in = within %x, @B : i1\n%l = const @lo : f32[2]\n%h = const @hi : f32[2]\n%a = max %x, %l : f32[2]\n%b = min %a, %h : f32[2]\n" \
    "%y = min %b, %h : f32[2]\nreturn %y\n}\n"
    static const struct { const char *text; Counts cost; } cases[] = {
        {BOX "network @n(%x: f32[2] within @B) -> (y: f32[2]) options(outside = clamp) {\n" CLAMP, {.cmp = 4 + 2 + 2}},
        {BOX "network @n(%x: f32[2] within @B) -> (y: f32[2]) {\n" CLAMP, {.cmp = 4}},                /* the user's own clamp */
        {BOX "network @n(%x: f32[2] within @B, %z: f32[2] within @B) -> (y: i1) {\n%a = within %x, @B : i1\n%b = within %z, @B : i1\n"
             "%c = and %a, %b : i1\n%y = and %c, %c : i1\nreturn %y\n}\n", {.cmp = 8, .other = 2}},
        {BOX "network @n(%x: f32[2]) -> (y: f32[2]) {\n%y = relu %x : f32[2]\nreturn %y\n}\n", {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *arena = arena_new(NULL);
        CU_ASSERT(same(network_guard_cost(read_network(arena, cases[i].text)), cases[i].cost));
        arena_free(arena);
    }
}

/* The guard's share and the papers' way of counting follow the paths: trips, the dearer arm, callees. */
static void shares_follow_the_paths(void)
{
    static const char text[] =
        "format_version 1\n"
        "const @B : i32[2,1] = [[0], [9]]\n"
        "const @T : tree i32 keys 1 nodes 2 leaves 3 classes 1 slots 3 = [[0] > 5 ? ~2 : 1, [0] > 0 ? ~1 : ~0], [0:0, 0:1, 0:2]\n"
        "network @f(%x: i32[1]) -> (y: i32) {\n%c, %s, %y = descend @T, %x : idx[1], idx[3], i32\nreturn %y\n}\n"
        "network @n(%x: i32[1], %c: i1) -> (y: i32[1]) {\n"
        "%a = repeat %x, n = 5 : i32[1] { |%k: idx[5], %v: i32[1]|\n%p = call %v, callee = @f : i32\n%w = within %v, @B : i1\nyield %v\n}\n"
        "if %c {\n%q = call %a, callee = @f : i32\n%w = within %a, @B : i1\nyield\n} else {\n%r = neg %a : i32[1]\nyield\n}\n"
        "return %a\n}\n";
    Arena *arena = arena_new(NULL);
    const Network *net = read_network(arena, text);
    uint64_t total;
    CU_ASSERT(same(network_guard_cost(net), (Counts){.cmp = 5 * 2 + 2}));
    CU_ASSERT(same(network_cost(net).range.max, (Counts){.add = 1, .cmp = 5 * (2 + 2) + 4}));
    CU_ASSERT(same(network_paper_cost(net, &total), (Counts){.add = 5 * 2 + 2, .cmp = 5 * (2 + 2) + 4}));
    CU_ASSERT_EQUAL(total, 5 * (2 * 2 + 2) + 2 * 2 + 2);
    arena_free(arena);
}

/* Each `and` tests what the one before tested, twice: linear all the same. */
static void tests_of_tests_are_no_riddle(void)
{
    Arena *arena = arena_new(NULL);
    Text text = text_new(arena);
    text_add(&text, "format_version 1\nconst @B : f32[2,1] = [[0], [9]]\nnetwork @n(%%x: f32[1]) -> (y: i1) {\n%%t0 = within %%x, @B : i1\n");
    for (int i = 1; i <= 100; i++)
        text_add(&text, "%%t%d = and %%t%d, %%t%d : i1\n", i, i - 1, i - 1);
    text_add(&text, "return %%t100\n}\n");
    CU_ASSERT(same(network_guard_cost(read_network(arena, text.at)), (Counts){.cmp = 2, .other = 100}));
    arena_free(arena);
}

static void zero_weights_and_bytes(void)
{
    Arena *arena = arena_new(NULL);
    Network *net = read_network(arena, NET("%a = affine %x, @W : f32[2]\n%h = relu %a : f32[2]\n%y = affine %h, @W : f32[2]\nreturn %y"));
    CU_ASSERT(same(network_nonzero_cost(net), (Counts){.add = 6, .mul = 6, .cmp = 2}));
    CU_ASSERT_EQUAL(network_const_bytes(net), 16);         /* @W once; @one is not reachable */
    net = read_network(arena, NET("%a = affine %x, @W, zeros = skip : f32[2]\n%h = relu %a : f32[2]\n%s = active %h, pred = notle0 : set[2]\n"
                                  "%y = affine %h, @W, cols = %s, zeros = skip : f32[2]\nreturn %y"));
    CU_ASSERT(same(network_nonzero_cost(net), (Counts){.add = 6, .mul = 6, .cmp = 2}));

    /* A transposed view is the same bytes; so is a stack of them. */
    Module *m = net->module;
    Network *views = network_new(m, "views", NOWHERE);
    Value x = network_add_input(views, "x", type_vector(type_f32(), 2), 0, NOWHERE);
    network_add_output(views, "y", type_vector(type_f32(), 2), NOWHERE);
    Builder b = builder_at_end(views->body);
    ConstId W = 1;
    Value y = build_affine(&b, build_affine(&b, x, W, 0, 1), const_transposed(m, W, (uint32_t[]){1, 0}), 0, 1);
    build_return(&b, 1, &y, 0);
    CU_ASSERT_EQUAL(network_const_bytes(views), 16);
    arena_free(arena);
}

/* ---- three ways of counting ---------------------------------------------------------------------------------------------------- */

static bool outputs_agree(const Network *net, void *const *a, void *const *b)
{
    for (uint32_t i = 0; i < net->n_outputs; i++)
        if (memcmp(a[i], b[i], type_count(net->output[i].type) * type_element_bytes(net->output[i].type)) != 0)
            return false;
    return true;
}

/* Several runs of one network: counters = formula at the events, for each and for all; within bounds; deterministic. */
static void check_network(Arena *arena, const Network *net, uint64_t seed)
{
    enum { RUNS = 4 };
    NetworkCost bound = network_cost(net);
    Interp *in = interp_new(arena, net), *again = interp_new(arena, net);
    Counts all = {0};
    Events total = events_new(arena, net);
    bool right = true;
    for (uint64_t k = 0; k < RUNS; k++) {
        void **inputs, **outputs, **twice;
        random_buffers(arena, net, seed * 131 + k, k >= 2, &inputs, &outputs);
        random_buffers(arena, net, seed * 131 + k, k >= 2, &inputs, &twice);
        Counts counted = {0};
        Events events = events_new(arena, net);
        int status = interp_run(in, (const void *const *)inputs, outputs, &counted, NULL, &events);
        all = counts_add(all, counted);
        interp_run(in, (const void *const *)inputs, outputs, NULL, NULL, &total);
        right = right && same(network_cost_at(net, &events), counted);
        right = right && covers(bound.range, counted) && counts_total(counted) >= bound.total_min && counts_total(counted) <= bound.total_max;
        right = right && interp_run(again, (const void *const *)inputs, twice, NULL, NULL, NULL) == status;
        right = right && (status < 0 || outputs_agree(net, outputs, twice));
    }
    right = right && same(network_cost_at(net, &total), all);
    if (!right) {
        fprintf(stderr, "\n  random network %llu\n", (unsigned long long)seed);
        ir_print(net->module, stderr, &(PrintOptions){.inline_all = true});
    }
    CU_ASSERT_FATAL(right);
}

static void counters_formula_and_bounds_agree(void)
{
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        Arena *arena = arena_new(NULL);
        Module *m = module_new(arena, diag_new(arena));
        check_network(arena, random_network(m, seed, (RandomNetOptions){.features = RANDOM_ALL}), seed);
        arena_free(arena);
    }
}

/* Every coefficient, op for op: one op's count is its cost times its event, and the event is in its range. */
static void every_event_is_in_its_range(void)
{
    for (uint64_t seed = 2001; seed <= 2300; seed++) {
        Arena *arena = arena_new(NULL);
        Module *m = module_new(arena, diag_new(arena));
        Network *net = random_network(m, seed, (RandomNetOptions){.features = RANDOM_ALL & ~RANDOM_CALLS});
        void **inputs, **outputs;
        random_buffers(arena, net, seed, true, &inputs, &outputs);
        Events events = events_new(arena, net);
        interp_run(interp_new(arena, net), (const void *const *)inputs, outputs, NULL, NULL, &events);
        bool right = true;
        size_t i = 0;
        OpWalk walk;
        FOR_EACH_OP (walk, op, net) {
            uint64_t least, most;
            op_event_range(net, op, &least, &most);
            bool left = op->n_regions > 0;             /* a loop that was left has made fewer trips */
            right = right && events.sum[i] <= events.runs[i] * most && (left || events.sum[i] >= events.runs[i] * least);
            i++;
        }
        CU_ASSERT_EQUAL(i, events.n);
        CU_ASSERT(right);
        arena_free(arena);
    }
}

/* Running does not allocate, so memory does not grow with rows. */
static void running_needs_no_memory(void)
{
    Arena *arena = arena_new(NULL);
    Module *m = module_new(arena, diag_new(arena));
    Network *net = random_network(m, 5, (RandomNetOptions){.features = RANDOM_ALL});
    void **inputs, **outputs;
    random_buffers(arena, net, 5, false, &inputs, &outputs);
    Interp *in = interp_new(arena, net);
    Counts counted = {0};
    if (ARENA_GUARD(arena)) {
        CU_FAIL("interp_run allocated");
        arena_free(arena);
        return;
    }
    arena_fail_after(arena, 1);
    interp_run(in, (const void *const *)inputs, outputs, &counted, NULL, NULL);
    arena_fail_after(arena, 0);
    CU_PASS("no allocation");
    arena_free(arena);
}

/* Branches even, sets half full; what follows an early exit counts for as often as it is reached. */
static void expected_costs_by_hand(void)
{
    static const struct { const char *text; double total; } cases[] = {
        {NET("%h = relu %x : f32[2]\nreturn %h"), 2},
        {NET("%y = if %c : f32[2] { %h = relu %x : f32[2]\nyield %h } else { yield %x }\nreturn %y"), 1},
        {NET("if %c { return %x } else { yield }\n%h = relu %x : f32[2]\nreturn %h"), 1},
        {NET("%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n%y = affine %h, @W, cols = %s : f32[2]\nreturn %y"), 2 + 4},
        {NET("%y = affine %x, @W, zeros = skip : f32[2]\nreturn %y"), 6},
        {NET("%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n%y = affine %h, @W, cols = %s, zeros = skip : f32[2]\nreturn %y"), 2 + 3},
        {HEAD TREE LEAVES("%e = exp %x : f32[2]\nyield %e", ""), 9. / 2 + 4. / 4 + 4. / 4},
        {HEAD TREE LEAVES("return %x", "%r = relu %x : f32[2]\n"), 2 + 9. / 2 + 4. / 4 + 2. / 4},
        {HEAD TREE "network @n(%x: i32[1]) -> (y: idx[3]) {\n%c, %y, %d = descend @T, %x : idx[2], idx[3], i32\nreturn %y\n}\n", 1.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *arena = arena_new(NULL);
        MeanCounts mean = network_expected_cost(read_network(arena, cases[i].text));
        CU_ASSERT_DOUBLE_EQUAL(mean.add + mean.mul + mean.cmp + mean.other, cases[i].total, 1e-9);
        arena_free(arena);
    }
}

void suite_cost(void)
{
    CU_pSuite suite = CU_add_suite("cost", NULL, NULL);
    CU_add_test(suite, "regions, exits and calls have their bounds", regions_have_their_bounds);
    CU_add_test(suite, "huge bounds saturate", huge_bounds_saturate);
    CU_add_test(suite, "the guard's share", the_guard_has_its_share);
    CU_add_test(suite, "shares follow the paths", shares_follow_the_paths);
    CU_add_test(suite, "tests of tests are no riddle", tests_of_tests_are_no_riddle);
    CU_add_test(suite, "zero weights, bytes", zero_weights_and_bytes);
    CU_add_test(suite, "counters, formula and bounds agree", counters_formula_and_bounds_agree);
    CU_add_test(suite, "every event is in its range", every_event_is_in_its_range);
    CU_add_test(suite, "running needs no memory", running_needs_no_memory);
    CU_add_test(suite, "expected costs by hand", expected_costs_by_hand);
}
