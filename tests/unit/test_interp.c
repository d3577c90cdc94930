/* test_interp.c — what every op gives, computed by hand: NaN, infinities, -0.0, sizes 0 and 1, wrap-around, saturation,
 * with the arithmetic it executes; sums against a plain reference; wide integers against the compiler's; exp, tanh and
 * sigmoid against the library's, in units in the last place.
 *
 * A case is a network as text, its inputs and its outputs as numbers, and the operations that must have been counted.
 */
#include "../../ir/interp.h"
#include "../../ir/math.h"
#include "random_net.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_interp(void);

enum { MOST = 16 };

#define NaN ((double)NAN)
#define INF ((double)INFINITY)
#define V(...) (const double[MOST]){__VA_ARGS__}
/* A network whose only line is `line`, e.g. NET("%x: f32[2]", "f32[2]", "%y = relu %x : f32[2]"). */
#define NET(in, out, line) "format_version 1\nnetwork @n(" in ") -> (y: " out ") {\n" line "\nreturn %y\n}\n"
#define WITH(consts, in, out, line) "format_version 1\n" consts "\nnetwork @n(" in ") -> (y: " out ") {\n" line "\nreturn %y\n}\n"

typedef struct Case {
    const char *what, *text;
    const double *in, *out;        /* elements of all inputs, of all outputs */
    Counts counts;
    int status;
} Case;

#define ADD(n)   {.add = (n)}
#define MUL(n)   {.mul = (n)}
#define CMP(n)   {.cmp = (n)}
#define OTHER(n) {.other = (n)}
#define MACS(n)  {.add = (n), .mul = (n)}

/* ---- running a case ---------------------------------------------------------------------------------------------------- */

/* `value` in memory form. */
static void put(Type t, uint8_t *at, double value)
{
    uint32_t size = type_element_bytes(t);
    if (t.elem == ELEM_F32) {
        memcpy(at, &(float){(float)value}, 4);
    } else if (t.elem == ELEM_F64) {
        memcpy(at, &value, 8);
    } else {
        int64_t v = (int64_t)value;
        memset(at, v < 0 ? 0xff : 0, size);
        memcpy(at, &v, size < 8 ? size : 8);
    }
}

static bool is_nan_at(Type t, const uint8_t *at)
{
    float f;
    double d;
    memcpy(&f, at, 4);
    if (t.elem != ELEM_F64)
        return t.elem == ELEM_F32 && isnan(f);
    memcpy(&d, at, 8);
    return isnan(d);
}

/* Same bits, or both NaN. */
static bool same_element(Type t, const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, type_element_bytes(t)) == 0 || (is_nan_at(t, a) && is_nan_at(t, b));
}

static uint8_t *buffer(Arena *arena, Type t, const double **values)
{
    uint64_t n = type_count(t);
    uint8_t *at = arena_array(arena, n + 1, type_element_bytes(t) < 8 ? 8 : type_element_bytes(t));
    for (uint64_t i = 0; values && i < n; i++)
        put(t, at + i * type_element_bytes(t), *(*values)++);
    return at;
}

static bool same_counts(Counts a, Counts b) { return a.add == b.add && a.mul == b.mul && a.cmp == b.cmp && a.other == b.other; }

static Module *read_text(Arena *arena, const char *text)
{
    Diags *diags = diag_new(arena);
    Module *m = ir_read_text(arena, diags, "test", text, strlen(text));
    if (!m) {
        diag_flush(diags, stderr, DIAG_PLAIN);
        CU_FAIL("a test's network does not read");
    }
    return m;
}

static void fail(const Case *c, const char *why)
{
    fprintf(stderr, "\n  %s: %s\n", c->what, why);
    CU_FAIL("see above");
}

/* The counters, the formula at the recorded events, and the bounds must agree. */
static void check_counts(const Case *c, const Network *net, Counts counted, const Events *events)
{
    char why[200];
    NetworkCost cost = network_cost(net);
    Counts formula = network_cost_at(net, events);
    snprintf(why, sizeof why, "counted add %llu mul %llu cmp %llu other %llu", (unsigned long long)counted.add,
             (unsigned long long)counted.mul, (unsigned long long)counted.cmp, (unsigned long long)counted.other);
    if (!same_counts(counted, c->counts))
        fail(c, why);
    if (!same_counts(counted, formula))
        fail(c, "the formula at the recorded events differs from the counters");
    Counts lo = cost.range.min, hi = cost.range.max;
    bool within = counted.add >= lo.add && counted.add <= hi.add && counted.mul >= lo.mul && counted.mul <= hi.mul &&
                  counted.cmp >= lo.cmp && counted.cmp <= hi.cmp && counted.other >= lo.other && counted.other <= hi.other;
    if (!within || counts_total(counted) > cost.total_max || counts_total(counted) < cost.total_min)
        fail(c, "the count is outside its bounds");
}

static void run_case(const Case *c)
{
    Arena *arena = arena_new(NULL);
    Module *m = read_text(arena, c->text);
    if (m) {
        const Network *net = m->networks.at[m->networks.len - 1];
        const double *next = c->in;
        const void *in[8];
        void *out[8];
        for (uint32_t i = 0; i < net->n_inputs; i++)
            in[i] = buffer(arena, net->input[i].type, &next);
        for (uint32_t i = 0; i < net->n_outputs; i++)
            out[i] = buffer(arena, net->output[i].type, NULL);
        Counts counted = {0};
        Events events = events_new(arena, net);
        Interp *interp = interp_new(arena, net);
        int status = interp_run(interp, in, out, &counted, NULL, &events);
        if (status != c->status)
            fail(c, "another status");
        check_counts(c, net, counted, &events);
        next = c->out;
        for (uint32_t k = 0; k < net->n_outputs && status >= 0; k++) {
            Type t = net->output[k].type;
            const uint8_t *want = buffer(arena, t, &next);
            for (uint64_t i = 0; i < type_count(t); i++)
                if (!same_element(t, (uint8_t *)out[k] + i * type_element_bytes(t), want + i * type_element_bytes(t))) {
                    char why[80];
                    snprintf(why, sizeof why, "element %u of output %u differs", (unsigned)i, k);
                    fail(c, why);
                }
        }
    }
    arena_free(arena);
}

static void run_cases(const Case *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_case(&c[i]);
}
#define RUN_CASES(cases) run_cases(cases, sizeof(cases) / sizeof *(cases))

/* ---- elementwise ---------------------------------------------------------------------------------------------------------- */

#define BINARY(type, op) NET("%a: " type ", %b: " type, type, "%y = " op " %a, %b : " type)
#define UNARY(type, op)  NET("%x: " type, type, "%y = " op " %x : " type)

static void floats_elementwise(void)
{
    static const char *clamp = NET("%a: f32[4], %b: f32", "f32[4]", "%y = add %a, %b : f32[4]");
    const Case cases[] = {
        {"add", BINARY("f32[4]", "add"), V(1, INF, -0.0, NaN, 2, -INF, -0.0, 1), V(3, NaN, -0.0, NaN), ADD(4), 0},
        {"add rounds to f32", BINARY("f32[1]", "add"), V(16777216, 1), V(16777216), ADD(1), 0},
        {"add, scalar", clamp, V(1, 2, 3, -1, 1), V(2, 3, 4, 0), ADD(4), 0},
        {"sub", BINARY("f64[3]", "sub"), V(1, 0.0, 0.1, 3, 0.0, 0.3), V(-2, 0.0, 0.1 - 0.3), ADD(3), 0},
        {"mul", BINARY("f64[3]", "mul"), V(0.1, -1, INF, 3, 0.0, 0.0), V(0.1 * 3, -0.0, NaN), MUL(3), 0},
        {"div", BINARY("f32[4]", "div"), V(1, 1, -1, 0, 0.0, -0.0, 0.0, 0.0), V(INF, -INF, -INF, NaN), OTHER(4), 0},
        {"min keeps a NaN, ignores one in b", BINARY("f32[5]", "min"), V(NaN, 1, -0.0, 0.0, 3, 1, NaN, 0.0, -0.0, 2),
         V(NaN, 1, -0.0, 0.0, 2), CMP(5), 0},
        {"max likewise", BINARY("f64[5]", "max"), V(NaN, 1, -0.0, 0.0, 3, 1, NaN, 0.0, -0.0, 2), V(NaN, 1, -0.0, 0.0, 3), CMP(5), 0},
        {"neg", UNARY("f32[4]", "neg"), V(0.0, -0.0, NaN, INF), V(-0.0, 0.0, NaN, -INF), ADD(4), 0},
        {"abs", UNARY("f64[4]", "abs"), V(-0.0, -1, NaN, -INF), V(0.0, 1, NaN, INF), CMP(4), 0},
        {"relu", UNARY("f32[7]", "relu"), V(-1, -0.0, 0.0, NaN, INF, -INF, 2), V(0.0, 0.0, 0.0, NaN, INF, 0.0, 2), CMP(7), 0},
        {"relu of none", UNARY("f32[0]", "relu"), V(0), V(0), CMP(0), 0},
        {"sqrt", UNARY("f64[4]", "sqrt"), V(4, -0.0, -1, INF), V(2, -0.0, NaN, INF), OTHER(4), 0},
        {"exp", UNARY("f32[4]", "exp"), V(0, -INF, INF, NaN), V(1, 0, INF, NaN), OTHER(4), 0},
        {"tanh", UNARY("f64[5]", "tanh"), V(0, -0.0, INF, -INF, NaN), V(0, -0.0, 1, -1, NaN), OTHER(5), 0},
        {"sigmoid", UNARY("f32[4]", "sigmoid"), V(0, -INF, INF, NaN), V(0.5, 0, 1, NaN), OTHER(4), 0},
        {"ord", NET("%x: f32[5]", "i32[5]", "%y = ord %x : i32[5]"), V(1, -1, 0.0, -0.0, INF),
         V(0x3f800000, -0x3f800000, 0, 0, 0x7f800000), {0}, 0},
        {"ord of f64", NET("%x: f64[2]", "i64[2]", "%y = ord %x : i64[2]"), V(1, -2), V(0x3ff0000000000000, -0x4000000000000000), {0}, 0},
        {"select by elements", NET("%c: i1[2], %a: f32[2], %b: f32[2]", "f32[2]", "%y = select %c, %a, %b : f32[2]"),
         V(1, 0, 1, 2, 3, 4), V(1, 4), {0}, 0},
        {"select by one", NET("%c: i1, %a: f32[2], %b: f32[2]", "f32[2]", "%y = select %c, %a, %b : f32[2]"), V(0, 1, 2, 3, 4),
         V(3, 4), {0}, 0},
    };
    RUN_CASES(cases);
}

static void comparisons(void)
{
#define COMPARE(type, pred) NET("%a: " type ", %b: " type, "i1[5]", "%y = cmp %a, %b, pred = " pred " : i1[5]")
    const double *ab = V(1, 2, 0.0, NaN, NaN, 2, 1, -0.0, NaN, 1), *ints = V(1, -1, 7, -128, 127, -1, 1, 7, 127, -128);
    const Case cases[] = {
        {"eq", COMPARE("f32[5]", "eq"), ab, V(0, 0, 1, 0, 0), CMP(5), 0}, {"ne", COMPARE("f64[5]", "ne"), ab, V(1, 1, 0, 1, 1), CMP(5), 0},
        {"lt", COMPARE("f32[5]", "lt"), ab, V(1, 0, 0, 0, 0), CMP(5), 0}, {"le", COMPARE("f64[5]", "le"), ab, V(1, 0, 1, 0, 0), CMP(5), 0},
        {"gt", COMPARE("f32[5]", "gt"), ab, V(0, 1, 0, 0, 0), CMP(5), 0}, {"ge", COMPARE("f64[5]", "ge"), ab, V(0, 1, 1, 0, 0), CMP(5), 0},
        {"integers are signed", COMPARE("i8[5]", "lt"), ints, V(0, 1, 0, 1, 0), CMP(5), 0},
        {"wide ones too", COMPARE("i90[5]", "gt"), ints, V(1, 0, 0, 0, 1), CMP(5), 0},
        {"false < true", NET("%a: i1, %b: i1", "i1", "%y = cmp %a, %b, pred = lt : i1"), V(0, 1), V(1), CMP(1), 0},
    };
    RUN_CASES(cases);
}

static void integers_elementwise(void)
{
    const Case cases[] = {
        {"add wraps", BINARY("i8[3]", "add"), V(127, -128, 5, 1, -1, 6), V(-128, 127, 11), ADD(3), 0},
        {"add of truth values", BINARY("i1[2]", "add"), V(1, 1, 1, 0), V(0, 1), ADD(2), 0},
        {"i5 wraps", BINARY("i5[1]", "add"), V(15, 1), V(-16), ADD(1), 0},
        {"sub wraps", BINARY("i64[1]", "sub"), V(-0x1p63, 1024), V(0x1p63 - 1024), ADD(1), 0},
        {"mul wraps", BINARY("i8[2]", "mul"), V(100, -128, 3, -1), V(44, -128), MUL(2), 0},
        {"div truncates", BINARY("i8[5]", "div"), V(7, -7, 5, -128, 7, 2, 2, 0, -1, -2), V(3, -3, 0, -128, -3), OTHER(5), 0},
        {"div of the least i64", BINARY("i64[2]", "div"), V(-0x1p63, -0x1p63, -1, 0), V(-0x1p63, 0), OTHER(2), 0},
        {"neg", UNARY("i16[2]", "neg"), V(-32768, 5), V(-32768, -5), ADD(2), 0},
        {"abs", UNARY("i8[3]", "abs"), V(-128, -5, 5), V(-128, 5, 5), CMP(3), 0},
        {"relu", UNARY("i32[3]", "relu"), V(-5, 0, 5), V(0, 0, 5), CMP(3), 0},
        {"relu, wide", UNARY("i100[2]", "relu"), V(-5, 5), V(0, 5), CMP(2), 0},
        {"min", BINARY("i8[2]", "min"), V(-1, 1, 1, -1), V(-1, -1), CMP(2), 0},
        {"max, wide", BINARY("i70[2]", "max"), V(-1, 1, 1, -1), V(1, 1), CMP(2), 0},
        {"and", BINARY("i8[2]", "and"), V(12, -1, 10, 7), V(8, 7), OTHER(2), 0},
        {"or", BINARY("i130[2]", "or"), V(12, -8, 10, 7), V(14, -1), OTHER(2), 0},
        {"xor", BINARY("i8[2]", "xor"), V(12, -1, 10, 7), V(6, -8), OTHER(2), 0},
        {"shl", NET("%x: i5[2]", "i5[2]", "%y = shl %x, by = 1 : i5[2]"), V(8, -1), V(-16, -2), OTHER(2), 0},
        {"lshr", NET("%x: i5[2]", "i5[2]", "%y = lshr %x, by = 1 : i5[2]"), V(-1, 8), V(15, 4), OTHER(2), 0},
        {"a wide one there and back", NET("%x: i8", "i8",
         "%a = cast %x : i70\n%b = shl %a, by = 65 : i70\n%c = lshr %b, by = 65 : i70\n%y = cast %c : i8"), V(-3), V(29), OTHER(2), 0},
        {"wide division", NET("%x: i64, %z: i64", "i64", "%a = cast %x : i200\n%b = cast %z : i200\n%c = mul %a, %a : i200\n"
         "%d = mul %c, %b : i200\n%e = div %d, %c : i200\n%y = cast %e : i64"), V(-0x1p62, -123456789), V(-123456789),
         {.mul = 2, .other = 1}, 0},
    };
    RUN_CASES(cases);
}

static void casts(void)
{
#define CAST(from, to) NET("%x: " from, to, "%y = cast %x : " to)
    const Case cases[] = {
        {"float to integer saturates", CAST("f64[7]", "i8[7]"), V(1.9, -1.9, 200, -200, NaN, INF, -INF), V(1, -1, 127, -128, 0, 127, -128), {0}, 0},
        {"to i1", CAST("f32[4]", "i1[4]"), V(0.5, 1, 2, -3), V(0, 1, 1, 0), {0}, 0},
        {"to a wide one", NET("%x: f64[3]", "f64[3]", "%a = cast %x : i129[3]\n%y = cast %a : f64[3]"), V(-0x1.8p100, 0.9, 0x1p127),
         V(-0x1.8p100, 0, 0x1p127), {0}, 0},
        {"a wide one saturates", NET("%x: f64[3]", "f64[3]", "%a = cast %x : i129[3]\n%y = cast %a : f64[3]"), V(1e300, -INF, NaN),
         V(0x1p128, -0x1p128, 0), {0}, 0},
        {"integer to float rounds to even", CAST("i32[3]", "f32[3]"), V(16777217, 16777219, -16777217), V(16777216, 16777220, -16777216), {0}, 0},
        {"a wide one rounds once", NET("%x: i64", "f32", "%a = cast %x : i80\n%b = shl %a, by = 10 : i80\n%y = cast %b : f32"),
         V(16777217), V(0x1p34), OTHER(1), 0},
        {"beyond f32", NET("%x: i64", "f32", "%a = cast %x : i300\n%b = shl %a, by = 200 : i300\n%y = cast %b : f32"), V(-1), V(-INF), OTHER(1), 0},
        {"integers wrap", CAST("i16[3]", "i8[3]"), V(200, -200, 5), V(-56, 56, 5), {0}, 0},
        {"and extend", CAST("i5[2]", "i64[2]"), V(-3, 3), V(-3, 3), {0}, 0},
        {"i1 extends by zero", CAST("i1[2]", "i8[2]"), V(1, 0), V(1, 0), {0}, 0},
        {"to i1 takes the last bit", CAST("i8[2]", "i1[2]"), V(2, -1), V(0, 1), {0}, 0},
        {"f64 to f32", CAST("f64[3]", "f32[3]"), V(1 + 0x1p-24, 1e300, -0.0), V(1, INF, -0.0), {0}, 0},
        {"index", CAST("idx[9]", "f32"), V(7), V(7), {0}, 0},
    };
    RUN_CASES(cases);
    /* 2^63 - 1 is no double, so it cannot stand in the table. */
    int64_t to[4];
    static const double from[4] = {0x1p63, -0x1p63, -0x1p62, NAN};
    for (int i = 0; i < 4; i++)
        int_from_f64(64, (uint8_t *)&to[i], from[i]);
    CU_ASSERT(to[0] == INT64_MAX && to[1] == INT64_MIN && to[2] == -INT64_C(0x4000000000000000) && to[3] == 0);
}

/* ---- sums -------------------------------------------------------------------------------------------------------------------- */

static void sums(void)
{
#define AFFINE(out, args) "%y = affine %x, " args " : " out
    const Case cases[] = {
        {"affine", WITH("const @W : f32[2,3] = [[1, 2, 3], [4, 5, 6]]\nconst @b : f32[2] = [10, -1]", "%x: f32[3]", "f32[2]",
         AFFINE("f32[2]", "@W, @b")), V(1, 0, -1), V(8, -3), MACS(6), 0},
        {"the order is that of the columns", WITH("const @W : f32[1,4] = [[1, 1, 1, 1]]", "%x: f32[4]", "f32[1]", AFFINE("f32[1]", "@W")),
         V(1e8, 1, -1e8, 1), V(1), MACS(4), 0},
        {"two chains", WITH("const @W : f32[1,4] = [[1, 1, 1, 1]]", "%x: f32[4]", "f32[1]", AFFINE("f32[1]", "@W, order = chains(2)")),
         V(1e8, 1, -1e8, 1), V(2), MACS(4), 0},
        {"more chains than columns", WITH("const @W : f32[1,2] = [[1, -0x0p+0]]", "%x: f32[2]", "f32[1]", AFFINE("f32[1]", "@W, order = chains(16)")),
         V(3, 5), V(3), MACS(2), 0},
        {"no columns: the bias, -0.0 read as +0.0", WITH("const @W : f32[2,0] = []\nconst @b : f32[2] = [-0x0p+0, 3]", "%x: f32[0]", "f32[2]",
         AFFINE("f32[2]", "@W, @b")), V(0), V(0.0, 3), MACS(0), 0},
        {"no rows", WITH("const @W : f32[0,2] = []", "%x: f32[2]", "f32[0]", AFFINE("f32[0]", "@W")), V(1, 2), V(0), MACS(0), 0},
        {"a zero term leaves +0", WITH("const @W : f64[1,1] = [[-0x0p+0]]", "%x: f64[1]", "f64[1]", AFFINE("f64[1]", "@W")), V(1), V(0.0),
         MACS(1), 0},
        {"f32 weights, f64 values", WITH("const @W : f32[1,1] = [[0x1.99999ap-4]]\nconst @b : f32[1] = [0x1p-30]", "%x: f64[1]", "f64[1]",
         AFFINE("f64[1]", "@W, @b")), V(3), V(0x1p-30 + 0x1.99999ap-4 * 3), MACS(1), 0},
        {"two roundings", WITH("const @W : f32[1,2] = [[-1, 0x1.001p+0]]", "%x: f32[2]", "f32[1]", AFFINE("f32[1]", "@W")),
         V(0x1.002p+0, 0x1.001p+0), V(0), MACS(2), 0},
        {"one rounding", "format_version 1\nconst @W : f32[1,2] = [[-1, 0x1.001p+0]]\nnetwork @n(%x: f32[2]) -> (y: f32[1]) "
         "options(contract = fma) {\n%y = affine %x, @W : f32[1]\nreturn %y\n}\n", V(0x1.002p+0, 0x1.001p+0), V(0x1p-24), MACS(2), 0},
        {"columns of a set", WITH("const @W : f32[2,3] = [[1, 2, 3], [4, 5, 6]]\nconst @b : f32[2] = [1, 1]", "%x: f32[3]", "f32[2]",
         "%s = active %x, pred = nonzero : set[3]\n%y = affine %x, @W, @b, cols = %s : f32[2]"), V(2, 0, -1), V(0, 3), {.add = 4, .mul = 4, .cmp = 3}, 0},
        {"columns of a set, in chains", WITH("const @W : f32[1,6] = [[1, 1, 1, 1, 1, 1]]", "%x: f32[6]", "f32[1]",
         "%s = active %x, pred = nonzero : set[6]\n%y = affine %x, @W, cols = %s, order = chains(4) : f32[1]"), V(0, 1e8, 1, 0, 0, -1e8), V(1),
         {.add = 3, .mul = 3, .cmp = 6}, 0},
        {"rows of a set: others are +0", WITH("const @W : f32[3,1] = [[1], [2], [-3]]\nconst @b : f32[3] = [1, 1, 1]", "%x: f32[1], %g: f32[3]", "f32[3]",
         "%t = active %g, pred = gt0 : set[3]\n%y = affine %x, @W, @b, rows = %t : f32[3]"), V(1, 0, NaN, 2), V(0.0, 0.0, -2),
         {.add = 1, .mul = 1, .cmp = 3}, 0},
        {"zero weights are left out: infinity times -0 is no term", WITH("const @W : f32[3,2] = [[0, 2], [-0x0p+0, 0], [3, 0]]\nconst @b : f32[3] = [1, -0x0p+0, 1]",
         "%x: f32[2]", "f32[3]", AFFINE("f32[3]", "@W, @b, zeros = skip")), V(INF, 5), V(11, 0.0, INF), MACS(2), 0},
        {"kept, it is NaN", WITH("const @W : f32[3,2] = [[0, 2], [-0x0p+0, 0], [3, 0]]", "%x: f32[2]", "f32[3]", AFFINE("f32[3]", "@W, zeros = keep")),
         V(INF, 5), V(NaN, NaN, INF), MACS(6), 0},
        {"zero weights and a set", WITH("const @W : f32[2,3] = [[1, 0, 2], [0, 7, 3]]", "%x: f32[3]", "f32[2]",
         "%s = active %x, pred = gt0 : set[3]\n%y = affine %x, @W, cols = %s, zeros = skip : f32[2]"), V(5, NaN, 1), V(7, 3), {.add = 3, .mul = 3, .cmp = 3}, 0},
        {"zero weights, in chains: each row's own", WITH("const @W : f32[2,4] = [[1, 1, 1, 1], [1, 0, 1, 0]]", "%x: f32[4]", "f32[2]",
         AFFINE("f32[2]", "@W, order = chains(2), zeros = skip")), V(1e8, 1, -1e8, 1), V(2, 0), MACS(6), 0},
        {"nothing but zero weights", WITH("const @W : f64[2,2] = [[0, -0x0p+0], [0, 0]]", "%x: f64[2]", "f64[2]", AFFINE("f64[2]", "@W, order = chains(16), zeros = skip")),
         V(NaN, 1), V(0.0, 0.0), MACS(0), 0},
        {"zero weights of integers", WITH("const @W : i8[2,2] = [[0, 100], [-128, 2]]\nconst @b : i8[2] = [1, 1]", "%x: i8[2]", "i8[2]",
         AFFINE("i8[2]", "@W, @b, order = chains(4), zeros = skip")), V(1, 2), V(-55, -123), MACS(3), 0},
        {"zero weights of wide integers", WITH("const @W : i65[1,2] = [[0x00000000000000000, 0x1ffffffffffffffff]]", "%x: i65[2]", "i65[1]", AFFINE("i65[1]", "@W, zeros = skip")),
         V(5, 7), V(-7), MACS(1), 0},
        {"zero weights, the bias of a stack", WITH("const @W : f32[1,2] = [[0, 3]]\nconst @b : stack f32[2,1] = [[1], [2]]", "%x: f32[2], %j: idx[2]", "f32[1]",
         AFFINE("f32[1]", "@W, @b[%j], zeros = skip")), V(9, 1, 1), V(5), MACS(1), 0},
        {"zero weights, one rounding", "format_version 1\nconst @W : f32[1,3] = [[-1, 0, 0x1.001p+0]]\nnetwork @n(%x: f32[3]) -> (y: f32[1]) "
         "options(contract = fma) {\n%y = affine %x, @W, zeros = skip : f32[1]\nreturn %y\n}\n", V(0x1.002p+0, 1, 0x1.001p+0), V(0x1p-24), MACS(2), 0},
        {"zero weights, no rows", WITH("const @W : f32[0,2] = []", "%x: f32[2]", "f32[0]", AFFINE("f32[0]", "@W, zeros = skip")), V(1, 2), V(0), MACS(0), 0},
        {"zero weights, no columns", WITH("const @W : f32[1,0] = []\nconst @b : f32[1] = [3]", "%x: f32[0]", "f32[1]", AFFINE("f32[1]", "@W, @b, zeros = skip")),
         V(0), V(3), MACS(0), 0},
        {"zero weights of a stack, and a set", WITH("const @W : stack f32[2,2,3] = [[[1, 0, 2], [0, 7, 3]], [[0, 0, 0], [0, 4, 0]]]\nconst @b : stack f32[2,2] = [[0, 0], [1, 2]]",
         "%x: f32[3], %i: idx[2]", "f32[2]", "%s = active %x, pred = gt0 : set[3]\n%y = affine %x, @W[%i], @b[%i], cols = %s, zeros = skip : f32[2]"),
         V(INF, 2, 5, 1), V(1, 10), {.add = 1, .mul = 1, .cmp = 3}, 0},
        {"zero weights of a transposed stack", "format_version 1\nconst @S : f32[2,2,1] = [[[1], [0]], [[0], [3]]]\nconst @W : stack f32[2,1,2] = view @S [2, 1, 1]\n"
         "network @n(%x: f32[2], %i: idx[2]) -> (y: f32[1]) {\n%y = affine %x, @W[%i], zeros = skip : f32[1]\nreturn %y\n}\n", V(5, 7, 1), V(21), MACS(1), 0},
        {"empty sets", WITH("const @W : f32[2,2] = [[1, 2], [3, 4]]\nconst @b : f32[2] = [5, -0x0p+0]", "%x: f32[2]", "f32[2]",
         "%s = active %x, pred = gt0 : set[2]\n%y = affine %x, @W, @b, cols = %s : f32[2]"), V(0, 0), V(5, 0.0), CMP(2), 0},
        {"integers wrap", WITH("const @W : i8[1,2] = [[100, 100]]\nconst @b : i8[1] = [1]", "%x: i8[2]", "i8[1]", AFFINE("i8[1]", "@W, @b")),
         V(1, 2), V(45), MACS(2), 0},
        {"wide integers", WITH("const @W : i65[2,2] = [[0x00000000000000001, 0x1fffffffffffffffe], [0x00000000000000000, 0x00000000000000003]]", "%x: i65[2]", "i65[2]", AFFINE("i65[2]", "@W")), V(5, 7), V(-9, 21), MACS(4), 0},
        {"an element of a stack", WITH("const @W : stack f32[2,1,2] = [[[1, 2]], [[3, 4]]]\nconst @b : stack f32[3,1] = [[0], [0], [7]]",
         "%x: f32[2], %i: idx[2], %j: idx[3]", "f32[1]", AFFINE("f32[1]", "@W[%i], @b[%j]")), V(1, 1, 1, 2), V(14), MACS(2), 0},
        {"matmul", NET("%a: f32[2,3], %b: f32[3,2]", "f32[2,2]", "%y = matmul %a, %b : f32[2,2]"), V(1, 2, 3, 4, 5, 6, 1, 0, 0, 1, 1, 1), V(4, 5, 10, 11), MACS(12), 0},
        {"matrix times vector", NET("%a: f64[2,2], %b: f64[2]", "f64[2]", "%y = matmul %a, %b : f64[2]"), V(1, 2, 3, 4, 5, 6), V(17, 39), MACS(4), 0},
        {"vector times matrix", NET("%a: i8[2], %b: i8[2,3]", "i8[3]", "%y = matmul %a, %b : i8[3]"), V(2, 3, 1, 2, 3, 4, 5, 6), V(14, 19, 24), MACS(6), 0},
        {"product of nothing", NET("%a: f32[1,0], %b: f32[0,2]", "f32[1,2]", "%y = matmul %a, %b : f32[1,2]"), V(0), V(0.0, 0.0), MACS(0), 0},
        {"dot", NET("%a: f32[3], %b: f32[3]", "f32", "%y = dot %a, %b : f32"), V(1, 2, 3, 4, 5, 6), V(32), MACS(3), 0},
        {"dot of nothing", NET("%a: f32[0], %b: f32[0]", "f32", "%y = dot %a, %b : f32"), V(0), V(0.0), MACS(0), 0},
        {"matmix", WITH("const @S : stack f32[2,2,2] = [[[1, 2], [3, 4]], [[10, 20], [30, 40]]]", "%g: f64[2]", "f64[2,2]",
         "%y = matmix @S, %g : f64[2,2]"), V(2, 0.5), V(7, 14, 21, 28), MACS(8), 0},
    };
    RUN_CASES(cases);
}

static void reductions(void)
{
#define REDUCE(type, out, kind) NET("%x: " type, out, "%y = reduce %x, kind = " kind " : " out)
    const Case cases[] = {
        {"add", REDUCE("f32[4]", "f32", "add"), V(1e8, 1, -1e8, 1), V(1), ADD(3), 0},
        {"add in chains", REDUCE("f32[4]", "f32", "add, order = chains(2)"), V(1e8, 1, -1e8, 1), V(2), ADD(3), 0},
        {"more chains than elements", REDUCE("f64[3]", "f64", "add, order = chains(8)"), V(-0.0, -0.0, -0.0), V(-0.0), ADD(2), 0},
        {"of one: itself", REDUCE("f32[1]", "f32", "add"), V(-0.0), V(-0.0), ADD(0), 0},
        {"of a matrix", REDUCE("i32[2,2]", "i32", "add"), V(1, 2, 3, 4), V(10), ADD(3), 0},
        {"mul", REDUCE("f64[3]", "f64", "mul"), V(0.1, 3, 7), V(0.1 * 3 * 7), MUL(2), 0},
        {"min ignores a NaN that is not first", REDUCE("f32[3]", "f32", "min"), V(2, NaN, 1), V(1), CMP(2), 0},
        {"max keeps one that is", REDUCE("f32[3]", "f32", "max"), V(NaN, 2, 1), V(NaN), CMP(2), 0},
        {"max, wide", REDUCE("i99[3]", "i99", "max"), V(-5, 2, 1), V(2), CMP(2), 0},
        {"argmax", NET("%x: f32[5]", "idx[5]", "%y = argmax %x : idx[5]"), V(NaN, 1, 3, 3, NaN), V(2), CMP(4), 0},
        {"argmax of -infinity and NaN", NET("%x: f32[2]", "idx[2]", "%y = argmax %x : idx[2]"), V(NaN, -INF), V(1), CMP(1), 0},
        {"argmax of NaNs", NET("%x: f64[3]", "idx[3]", "%y = argmax %x : idx[3]"), V(NaN, NaN, NaN), V(0), CMP(2), 0},
        {"argmax of one", NET("%x: i8[1]", "idx[1]", "%y = argmax %x : idx[1]"), V(-7), V(0), CMP(0), 0},
        {"argmin", NET("%x: i8[4]", "idx[4]", "%y = argmin %x : idx[4]"), V(3, -1, -1, 5), V(1), CMP(3), 0},
    };
    RUN_CASES(cases);
}

/* ---- shapes --------------------------------------------------------------------------------------------------------------------- */

static void shapes(void)
{
    const Case cases[] = {
        {"const", WITH("const @C : f32[2] = [3, 4]", "%x: f32", "f32[2]", "%y = const @C : f32[2]"), V(0), V(3, 4), {0}, 0},
        {"row", WITH("const @S : stack i8[3,2] = [[1, 2], [3, 4], [5, 6]]", "%i: idx[3]", "i8[2]", "%y = row @S[%i] : i8[2]"), V(2), V(5, 6), {0}, 0},
        {"reshape", NET("%x: f32[2,3]", "f32[3,2]", "%y = reshape %x : f32[3,2]"), V(1, 2, 3, 4, 5, 6), V(1, 2, 3, 4, 5, 6), {0}, 0},
        {"transpose", NET("%x: f32[2,3]", "f32[3,2]", "%y = transpose %x, perm = [1, 0] : f32[3,2]"), V(1, 2, 3, 4, 5, 6), V(1, 4, 2, 5, 3, 6), {0}, 0},
        {"transpose of three dims", NET("%x: i8[2,1,3]", "i8[3,2,1]", "%y = transpose %x, perm = [2, 0, 1] : i8[3,2,1]"), V(1, 2, 3, 4, 5, 6),
         V(1, 4, 2, 5, 3, 6), {0}, 0},
        {"concat", NET("%a: f32[2,1], %b: f32[2,2]", "f32[2,3]", "%y = concat %a, %b, axis = 1 : f32[2,3]"), V(1, 2, 3, 4, 5, 6), V(1, 3, 4, 2, 5, 6), {0}, 0},
        {"concat with nothing", NET("%a: f32[0], %b: f32[2]", "f32[2]", "%y = concat %a, %b : f32[2]"), V(1, 2), V(1, 2), {0}, 0},
        {"slice", NET("%x: f32[2,3]", "f32[1,2]", "%y = slice %x, from = [1, 1] : f32[1,2]"), V(1, 2, 3, 4, 5, 6), V(5, 6), {0}, 0},
        {"slice of nothing", NET("%x: f32[3]", "f32[0]", "%y = slice %x, from = [3] : f32[0]"), V(1, 2, 3), V(0), {0}, 0},
        {"splat", NET("%x: i16", "i16[3]", "%y = splat %x : i16[3]"), V(-2), V(-2, -2, -2), {0}, 0},
        {"index", NET("%x: f32[3,2], %i: idx[3]", "f32[2]", "%y = index %x, %i : f32[2]"), V(1, 2, 3, 4, 5, 6, 1), V(3, 4), {0}, 0},
    };
    RUN_CASES(cases);
}

/* ---- choosing -------------------------------------------------------------------------------------------------------------------- */

/* The members of a set as a vector of i32: 1 + index where it is in, summed up by an `each`. */
#define SUM_SET \
    "%z = const @zero : i32\n%y = each %s, %z : i32 { |%i: idx[5], %a: i32|\n%k = cast %i : i32\n%b = add %a, %k : i32\n" \
    "%c = add %b, %b : i32\nyield %c\n}"
#define ZERO "const @zero : i32 = 0"

static void choosing(void)
{
#define ACTIVE(pred) NET("%x: f32[6]", "i32", "%s = active %x, pred = " pred " : set[6]\n%y = size %s : i32")
#define TREE "const @T : tree i32 keys 2 nodes 2 leaves 3 classes 2 slots 3 = [[0] > 5 ? ~2 : 1, [1] > -3 ? ~1 : ~0], [0:0, 1:1, 0:2]"
#define DESCEND "%c, %t, %n = descend @T, %x : idx[2], idx[3], i32\n%a = cast %c : i32\n%b = cast %t : i32\n%d = add %a, %a : i32\n%e = add %d, %d : i32\n%y = add %e, %b : i32"
    const double *six = V(-1, -0.0, 0.0, 1, NaN, INF);
    const Case cases[] = {
        {"notle0: NaN passes", ACTIVE("notle0"), six, V(3), CMP(6), 0},
        {"nonzero", ACTIVE("nonzero"), six, V(4), CMP(6), 0},
        {"gt0", ACTIVE("gt0"), six, V(2), CMP(6), 0},
        {"a relu has decided", NET("%x: f32[2]", "i32", "%h = relu %x : f32[2]\n%s = active %h, pred = notle0 : set[2]\n%y = size %s : i32"),
         V(1, -1), V(1), CMP(2), 0},
        {"test", NET("%x: i8[3], %i: idx[3]", "i1", "%s = active %x, pred = gt0 : set[3]\n%y = test %s, %i : i1"), V(0, 5, -1, 1), V(1), CMP(3), 0},
        {"sets: and, or, xor", NET("%x: i8[4]", "i32",
         "%s = active %x, pred = gt0 : set[4]\n%t = active %x, pred = nonzero : set[4]\n%u = and %s, %t : set[4]\n%v = or %s, %t : set[4]\n"
         "%w = xor %u, %v : set[4]\n%y = size %w : i32"), V(0, 5, -1, 1), V(1), CMP(8), 0},
        {"weigh", WITH("const @v : i32[4] = [1, 20, -300, 4000]", "%x: f32[4]", "i32", "%s = active %x, pred = gt0 : set[4]\n%v = const @v : i32[4]\n"
         "%y = weigh %s, %v : i32"), V(1, 0, 2, 3), V(3701), CMP(4), 0},
        {"weigh wraps", WITH("const @v : i8[3] = [127, 2, 5]", "%x: f32[3]", "i8", "%s = active %x, pred = gt0 : set[3]\n%v = const @v : i8[3]\n"
         "%y = weigh %s, %v : i8"), V(1, 1, 0), V(-127), CMP(3), 0},
        {"weigh, wide", WITH("const @v : i65[2] = [0x00000000000000007, 0x1fffffffffffffffe]", "%x: f32[2]", "i65", "%s = active %x, pred = gt0 : set[2]\n%v = const @v : i65[2]\n"
         "%y = weigh %s, %v : i65"), V(1, 1), V(5), CMP(2), 0},
        {"the empty set weighs nothing", NET("%x: f32[2], %v: i32[2]", "i32", "%s = active %x, pred = gt0 : set[2]\n%y = weigh %s, %v : i32"), V(0, 0, 5, 6),
         V(0), CMP(2), 0},
        {"extend", WITH("const @v : i32[6] = [1, 10, 100, 1000, 10000, 100000]", "%x: f32[3]", "i32", "%s = active %x, pred = gt0 : set[3]\n"
         "%t = extend %s, before = 2, after = 1 : set[6]\n%v = const @v : i32[6]\n%y = weigh %t, %v : i32"), V(1, 0, 2), V(110111), CMP(3), 0},
        {"extend by nothing", NET("%x: f32[2]", "i32", "%s = active %x, pred = gt0 : set[2]\n%t = extend %s : set[2]\n%y = size %t : i32"), V(1, 0),
         V(1), CMP(2), 0},
        {"extend the empty set", NET("%x: f32[0]", "i32", "%s = active %x, pred = gt0 : set[0]\n%t = extend %s, before = 3, after = 4 : set[7]\n"
         "%y = size %t : i32"), V(0), V(7), CMP(0), 0},
        {"topk", NET("%x: f32[5]", "f32[3]", "%k, %y = topk %x, k = 3 : idx[5][3], f32[3]"), V(2, NaN, 3, INF, 3), V(INF, 3, 3), CMP(9), 0},
        {"topk's indices, NaN last", NET("%x: f32[4]", "idx[4][4]", "%y, %v = topk %x, k = 4 : idx[4][4], f32[4]"), V(NaN, 1, NaN, 1), V(1, 3, 0, 2), CMP(6), 0},
        {"descend, right", WITH(TREE, "%x: i32[2]", "i32", DESCEND), V(6, 0), V(2), {.add = 3, .cmp = 1}, 0},
        {"descend: equal goes left", WITH(TREE, "%x: i32[2]", "i32", DESCEND), V(5, -3), V(0), {.add = 3, .cmp = 2}, 0},
        {"descend, left and right", WITH(TREE, "%x: i32[2]", "i32", DESCEND), V(-9, 0), V(5), {.add = 3, .cmp = 2}, 0},
        {"descend tells its depth: 1", WITH(TREE, "%x: i32[2]", "i32", "%c, %t, %y = descend @T, %x : idx[2], idx[3], i32"), V(6, 0), V(1), CMP(1), 0},
        {"descend tells its depth: 2", WITH(TREE, "%x: i32[2]", "i32", "%c, %t, %y = descend @T, %x : idx[2], idx[3], i32"), V(5, 0), V(2), CMP(2), 0},
        {"one leaf lies 0 deep", WITH("const @T : tree i32 keys 2 nodes 0 leaves 1 classes 1 slots 1 = [], [0:0]", "%x: i32[2]", "i32",
         "%c, %t, %y = descend @T, %x : idx[1], idx[1], i32"), V(5, 0), V(0), {0}, 0},
        {"within, at its ends", WITH("const @B : f32[2,2] = [[-1, 0], [1, 0]]", "%x: f32[2]", "i1", "%y = within %x, @B : i1"), V(1, -0.0), V(1), CMP(4), 0},
        {"not within", WITH("const @B : f32[2,2] = [[-1, 0], [1, 0]]", "%x: f32[2]", "i1", "%y = within %x, @B : i1"), V(1.5, 0), V(0), CMP(4), 0},
        {"NaN is outside", WITH("const @B : f64[2,1] = [[-inf], [inf]]", "%x: f64", "i1", "%y = within %x, @B : i1"), V(NaN), V(0), CMP(2), 0},
    };
    RUN_CASES(cases);
}

static void searching(void)
{
#define MEMORIZE(rest) WITH("const @k : f64[3] = [-1, 0, 5]\nconst @l : i8[3] = [1, 2, 3]\nconst @d : i8 = 9", "%x: f64", "i8", \
    "%y = memorize %x, @k, @l, " rest "method = conditional")
#define ROWS "const @k : i8[3,2] = [[-1, 5], [-1, 6], [0, -128]]\nconst @l : f32[3,2] = [[1, 2], [3, 4], [5, 6]]\nconst @d : f32[2] = [7, 8]"
    const Case cases[] = {
        {"no key", WITH("const @k : i64[0] = []", "%x: i64", "i32", "%s, %y = search @k, %x : idx[1], i32"), V(5), V(0), {0}, 0},
        {"below one key", WITH("const @k : f32[1] = [2]", "%x: f32", "i32", "%s, %d = search @k, %x : idx[2], i32\n%y = cast %s : i32"), V(1.5), V(0), CMP(1), 0},
        {"at a key", WITH("const @k : f32[1] = [2]", "%x: f32", "i32", "%s, %d = search @k, %x : idx[2], i32\n%y = cast %s : i32"), V(2), V(1), CMP(1), 0},
        {"NaN is below all", WITH("const @k : f32[2] = [-inf, 2]", "%x: f32", "i32", "%s, %d = search @k, %x : idx[3], i32\n%y = cast %s : i32"), V(NaN), V(0), CMP(2), 0},
        {"-0 is +0", WITH("const @k : f64[2] = [0, 2]", "%x: f64", "i32", "%s, %d = search @k, %x : idx[3], i32\n%y = cast %s : i32"), V(-0.0), V(1), CMP(2), 0},
        {"above all", WITH("const @k : f64[2] = [0, 2]", "%x: f64", "i32", "%s, %d = search @k, %x : idx[3], i32\n%y = cast %s : i32"), V(INF), V(2), CMP(1), 0},
        {"5 leaves: the first lies 3 deep", WITH("const @k : i8[4] = [1, 2, 3, 4]", "%x: i8", "i32", "%s, %y = search @k, %x : idx[5], i32"), V(-128), V(3), CMP(3), 0},
        {"5 leaves: the second, too", WITH("const @k : i8[4] = [1, 2, 3, 4]", "%x: i8", "i32", "%s, %y = search @k, %x : idx[5], i32"), V(1), V(3), CMP(3), 0},
        {"5 leaves: the third lies 2 deep", WITH("const @k : i8[4] = [1, 2, 3, 4]", "%x: i8", "i32", "%s, %y = search @k, %x : idx[5], i32"), V(2), V(2), CMP(2), 0},
        {"a key's label", MEMORIZE(""), V(-0.0), V(2), {0}, 0},
        {"the label before", MEMORIZE(""), V(4.75), V(2), {0}, 0},
        {"the first below all", MEMORIZE(""), V(-INF), V(1), {0}, 0},
        {"the first for NaN", MEMORIZE(""), V(NaN), V(1), {0}, 0},
        {"the default", MEMORIZE("default = @d, unseen = value, "), V(4.75), V(9), {0}, 0},
        {"no default for a key", MEMORIZE("default = @d, unseen = value, "), V(5), V(3), {0}, 0},
        {"a refusal", MEMORIZE("unseen = refuse, "), V(4.75), V(0), {0}, -1},
        {"no refusal for a key", MEMORIZE("unseen = refuse, "), V(-1), V(1), {0}, 0},
        {"rows", WITH(ROWS, "%x: i8[2]", "f32[2]", "%y = memorize %x, @k, @l, method = bits, unseen = any"), V(-1, 6), V(3, 4), {0}, 0},
        {"no such row", WITH(ROWS, "%x: i8[2]", "f32[2]", "%y = memorize %x, @k, @l, default = @d, method = sqrt, unseen = value"), V(0, 6), V(7, 8), {0}, 0},
    };
    RUN_CASES(cases);
}

/* Every leaf of the tree that search_left makes lies as deep as search_depth says, and none deeper than need be. */
static void leaves_lie_as_deep_as_said(uint64_t leaves, uint64_t first, uint64_t n, uint32_t depth)
{
    if (n == 1) {
        CU_ASSERT(search_depth(leaves, first) == depth);
        CU_ASSERT((1ull << depth) < 2 * leaves);
        return;
    }
    uint64_t left = search_left(n);
    CU_ASSERT_FATAL(left > 0 && left < n);
    leaves_lie_as_deep_as_said(leaves, first, left, depth + 1);
    leaves_lie_as_deep_as_said(leaves, first + left, n - left, depth + 1);
}

static void the_tree_of_a_search_is_left_complete(void)
{
    for (uint64_t leaves = 1; leaves < 300; leaves++)
        leaves_lie_as_deep_as_said(leaves, 0, leaves, 0);
    leaves_lie_as_deep_as_said(65537, 0, 65537, 0);
}

/* ---- control ---------------------------------------------------------------------------------------------------------------------- */

static void control(void)
{
#define BRANCH NET("%x: f32[2], %c: i1", "f32[2]", "%y = if %c : f32[2] {\n%a = exp %x : f32[2]\nyield %a\n} else {\n%b = add %x, %x : f32[2]\nyield %b\n}")
#define EXIT "format_version 1\nconst @one : i32 = 1\nnetwork @n(%x: f32[1], %i: idx[3]) -> (y: f32[1]) {\ncase %i {\nyield\n} {\n%a = relu %x : f32[1]\n" \
    "%s = const @one : i32\nreturn %a, status = %s\n} {\nrefuse status = -1\n}\n%y = add %x, %x : f32[1]\nreturn %y\n}\n"
    const Case cases[] = {
        {"if: then", BRANCH, V(0, -INF, 1), V(1, 0), OTHER(2), 0},
        {"if: else", BRANCH, V(1, 2, 0), V(2, 4), ADD(2), 0},
        {"case that goes on", EXIT, V(3, 0), V(6), ADD(1), 0},
        {"early exit", EXIT, V(-3, 1), V(0.0), CMP(1), 1},
        {"refusal", EXIT, V(3, 2), V(0), {0}, -1},
        {"repeat: accumulators may change places", NET("%a: f32, %b: f32", "f32",
         "%p, %y = repeat %a, %b, n = 5 : f32, f32 { |%i: idx[5], %u: f32, %v: f32|\n%s = add %u, %v : f32\nyield %v, %s\n}"), V(0, 1), V(8), ADD(5), 0},
        {"repeat swaps", NET("%a: f32, %b: f32", "f32", "%p, %y = repeat %a, %b, n = 3 : f32, f32 { |%i: idx[3], %u: f32, %v: f32|\nyield %v, %u\n}"),
         V(7, 9), V(7), {0}, 0},
        {"each over a set, ascending", WITH(ZERO, "%x: f32[5]", "i32", "%s = active %x, pred = gt0 : set[5]\n" SUM_SET), V(1, 0, 1, 0, 1),
         V(2 * (2 * (2 * 0 + 2) + 4)), {.add = 6, .cmp = 5}, 0},
        {"each over nothing", WITH(ZERO, "%x: f32[5]", "i32", "%s = active %x, pred = gt0 : set[5]\n" SUM_SET), V(0, 0, 0, 0, 0), V(0), CMP(5), 0},
        {"each over a list, in its order", WITH(ZERO, "%x: f32[5]", "i32", "%s, %w = topk %x, k = 2 : idx[5][2], f32[2]\n" SUM_SET), V(0, 3, 0, 0, 9),
         V(2 * (2 * 4 + 1)), {.add = 4, .cmp = 7}, 0},
        {"leaving a loop", "format_version 1\nconst @z : f32 = 3\nnetwork @n(%x: f32) -> (y: f32) {\n%y = repeat %x, n = 9 : f32 { |%i: idx[9], %a: f32|\n"
         "%b = add %a, %a : f32\n%z = const @z : f32\n%c = cmp %b, %z, pred = gt : i1\nif %c {\nreturn %b\n} else {\nyield\n}\nyield %b\n}\nreturn %y\n}\n",
         V(1), V(4), {.add = 2, .cmp = 2}, 0},
        {"call", "format_version 1\nnetwork @f(%x: f32[2]) -> (y: f32[2]) {\n%y = relu %x : f32[2]\nreturn %y\n}\nnetwork @n(%x: f32[2]) -> (y: f32[2]) {\n"
         "%a = call %x, callee = @f : f32[2]\n%b = neg %a : f32[2]\n%c = call %b, callee = @f : f32[2]\n%y = add %a, %c : f32[2]\nreturn %y\n}\n",
         V(-1, 2), V(0, 2), {.add = 4, .cmp = 4}, 0},
        {"a callee that refuses", "format_version 1\nnetwork @f(%x: f32) -> (y: f32) {\nrefuse status = -7\n}\nnetwork @n(%x: f32) -> (y: f32) {\n"
         "%a = exp %x : f32\n%b = call %a, callee = @f : f32\n%y = exp %b : f32\nreturn %y\n}\n", V(1), V(0), OTHER(1), -7},
    };
    RUN_CASES(cases);
}

static void tallies_are_what_tally_ops_say(void)
{
    Arena *arena = arena_new(NULL);
    Module *m = read_text(arena, "format_version 1\nnetwork @n(%x: f32[3]) -> (y: i32) {\n%s = active %x, pred = gt0 : set[3]\n%y = size %s : i32\n"
                                 "tally add = 2, cmp = 5, times = %y\ntally mul = 3, other = 1\nreturn %y\n}\n");
    if (m) {
        Counts counted = {0}, said = {.mul = 100};
        int32_t y;
        interp_run(interp_new(arena, m->networks.at[0]), (const void *[]){(float[]){1, 0, 2}}, (void *[]){&y}, &counted, &said, NULL);
        CU_ASSERT_EQUAL(y, 2);
        CU_ASSERT(same_counts(counted, (Counts)CMP(3)));
        CU_ASSERT(same_counts(said, (Counts){.add = 4, .mul = 103, .cmp = 10, .other = 1}));
    }
    arena_free(arena);
}

static void lying_inputs_are_tamed(void)
{
    Arena *arena = arena_new(NULL);
    Module *m = read_text(arena, NET("%x: f32[2], %i: idx[2]", "f32", "%y = index %x, %i : f32"));
    Module *k = read_text(arena, NET("%x: i5[3]", "i5[3]", "%y = add %x, %x : i5[3]"));
    if (m && k) {
        float y = 0;
        uint32_t i = 2;
        Interp *in = interp_new(arena, m->networks.at[0]);
        CU_ASSERT_EQUAL(interp_run(in, (const void *[]){(float[]){1, 2}, &i}, (void *[]){&y}, NULL, NULL, NULL), -2);
        /* At an odd address, too. */
        uint8_t bytes[9];
        memcpy(bytes + 1, (float[]){1, 2}, 8);
        i = 1;
        CU_ASSERT_EQUAL(interp_run(in, (const void *[]){bytes + 1, &i}, (void *[]){&y}, NULL, NULL, NULL), 0);
        CU_ASSERT_EQUAL(y, 2);
        /* Unused bits are not the number's: 0x81 is 1 in five bits. */
        uint8_t odd[3] = {0x81, 0x1f, 0xff}, doubled[3];
        interp_run(interp_new(arena, k->networks.at[0]), (const void *[]){odd}, (void *[]){doubled}, NULL, NULL, NULL);
        CU_ASSERT(doubled[0] == 2 && doubled[1] == 0xfe && doubled[2] == 0xfe);
    }
    arena_free(arena);
}

/* ---- sums against a plain reference ------------------------------------------------------------------------------------------------ */

typedef struct Shape { uint32_t rows, cols, chains; bool transposed, some_cols, some_rows, fma, zeros; Type x, w; } Shape;

static double rounded(Type t, double v) { return t.elem == ELEM_F32 ? (double)(float)v : v; }

/* acc + w x in f32: the double product is exact, and the sum of a double and a float rounded twice would not be; so the
 * float operations themselves. */
static double term(const Shape *s, double acc, double w, double x)
{
    if (s->x.elem == ELEM_F32) {
        float a = (float)acc, p = (float)w * (float)x;
        return s->fma ? fmaf((float)w, (float)x, a) : a + p;
    }
    volatile double p = w * x;
    return s->fma ? fma(w, x, acc) : acc + p;
}

static double reference_row(const Shape *s, const double *w, const double *x, double bias, const bool *cols)
{
    double acc[IR_MAX_CHAINS];
    for (uint32_t c = 0; c < s->chains; c++)
        acc[c] = c == 0 ? bias + 0.0 : -0.0;
    for (uint32_t j = 0; j < s->cols; j++)
        if (cols[j] && !(s->zeros && w[j] == 0))
            acc[j % s->chains] = term(s, acc[j % s->chains], w[j], x[j]);
    for (uint32_t half = s->chains / 2; half >= 1; half /= 2)
        for (uint32_t c = 0; c < half; c++)
            acc[c] = rounded(s->x, acc[c] + acc[c + half]);
    return acc[0];
}

/* An affine of this shape, its sets made by `active` from further inputs. */
static Network *affine_network(Module *m, const Shape *s, const void *w, const void *b)
{
    Network *net = network_new(m, "n", NOWHERE);
    net->options.contract = s->fma ? CONTRACT_fma : CONTRACT_off;
    Value x = network_add_input(net, "x", type_vector(s->x, s->cols), 0, NOWHERE);
    Value c = network_add_input(net, "c", type_vector(type_int(8), s->cols), 0, NOWHERE);
    Value r = network_add_input(net, "r", type_vector(type_int(8), s->rows), 0, NOWHERE);
    network_add_output(net, "y", type_vector(s->x, s->rows), NOWHERE);
    ConstId W = const_add(m, "W", type_matrix(s->w, s->transposed ? s->cols : s->rows, s->transposed ? s->rows : s->cols), w, NOWHERE);
    if (s->transposed)
        W = const_transposed(m, W, (uint32_t[]){1, 0});
    ConstId bias = const_add(m, "b", type_vector(s->w, s->rows), b, NOWHERE);
    Builder at = builder_at_end(net->body);
    Value operand[5] = {x};
    Attr gt0 = {.i = ACTIVITY_gt0};
    if (s->some_cols)
        operand[AFFINE_cols] = build_op(&at, &(OpInit){.kind = OP_active, .n_operands = 1, .operand = &c, .attr = {gt0}})->result[0];
    if (s->some_rows)
        operand[AFFINE_rows] = build_op(&at, &(OpInit){.kind = OP_active, .n_operands = 1, .operand = &r, .attr = {gt0}})->result[0];
    Op *op = build_op(&at, &(OpInit){.kind = OP_affine, .n_operands = 5, .operand = operand, .cst = {W, bias},
                                       .attr = {{.i = s->chains}, {.i = s->zeros ? ZEROS_skip : ZEROS_keep}}});
    build_return(&at, 1, op->result, 0);
    network_done(net);
    return net;
}

static double element(Type t, const uint8_t *at, uint64_t i)
{
    return t.elem == ELEM_F32 ? (double)((const f32u *)at)[i] : ((const f64u *)at)[i];
}

/* A share of the weights becomes zero, of either sign. */
static void sprinkle_zeros(Type t, uint8_t *w, uint64_t n, uint64_t *state)
{
    uint32_t bytes = type_element_bytes(t), tenths = random_below(state, 11);
    for (uint64_t i = 0; i < n; i++)
        if (random_below(state, 10) < tenths)
            put(t, w + i * bytes, random_below(state, 2) ? -0.0 : 0.0);
}

static void check_affine(const Shape *s, uint64_t *state)
{
    Arena *arena = arena_new(NULL);
    Module *m = module_new(arena, diag_new(arena));
    uint64_t n = (uint64_t)s->rows * s->cols;
    uint8_t *w = arena_alloc(arena, n * 8 + 8), *b = arena_alloc(arena, s->rows * 8 + 8), *x = arena_alloc(arena, s->cols * 8 + 8);
    uint8_t *c = arena_alloc(arena, s->cols + 1), *r = arena_alloc(arena, s->rows + 1), *y = arena_alloc(arena, s->rows * 8 + 8);
    random_elements(state, s->w, n, false, w + 1);          /* at an odd address, as in a file */
    random_elements(state, s->w, s->rows, false, b);
    random_elements(state, s->x, s->cols, s->zeros, x);     /* a term that is not there spoils nothing */
    if (s->zeros)
        sprinkle_zeros(s->w, w + 1, n, state);
    bool *cols = arena_alloc(arena, s->cols + 1);
    uint64_t n_rows = 0, n_cols = 0;
    for (uint32_t j = 0; j < s->cols; j++) {
        c[j] = (uint8_t)random_below(state, 2);
        n_cols += cols[j] = !s->some_cols || c[j] == 1;
    }
    for (uint32_t i = 0; i < s->rows; i++) {
        r[i] = (uint8_t)random_below(state, 2);
        n_rows += !s->some_rows || r[i] == 1;
    }
    Network *net = affine_network(m, s, w + 1, b);
    Counts counted = {0};
    Interp *in = interp_new(arena, net);
    if (random_below(state, 2))
        in->fast_fma = false;                               /* as on a processor without it */
    interp_run(in, (const void *[]){x, c, r}, (void *[]){y}, &counted, NULL, NULL);
    double *wide_x = NEW_ARRAY(arena, s->cols + 1, double), *row = NEW_ARRAY(arena, s->cols + 1, double);
    for (uint32_t j = 0; j < s->cols; j++)
        wide_x[j] = element(s->x, x, j);
    bool same = true;
    uint64_t terms = s->zeros ? 0 : n_rows * n_cols;
    for (uint32_t i = 0; i < s->rows; i++) {
        for (uint32_t j = 0; j < s->cols; j++) {
            row[j] = element(s->w, w + 1, s->transposed ? (uint64_t)j * s->rows + i : (uint64_t)i * s->cols + j);
            terms += s->zeros && cols[j] && row[j] != 0;
        }
        double want = s->some_rows && !r[i] ? 0.0 : reference_row(s, row, wide_x, element(s->w, b, i), cols);
        double got = element(s->x, y, i);
        same = same && same_element(type_f64(), (uint8_t *)&want, (uint8_t *)&got);
    }
    if (!same)
        fprintf(stderr, "\n  %u x %u, chains(%u)%s%s%s%s%s, x %d, W %d\n", s->rows, s->cols, s->chains, s->transposed ? ", transposed" : "",
                s->some_cols ? ", cols" : "", s->some_rows ? ", rows" : "", s->fma ? ", fma" : "", s->zeros ? ", zeros" : "",
                (int)s->x.elem, (int)s->w.elem);
    CU_ASSERT_EQUAL(counted.mul, terms);
    CU_ASSERT_EQUAL(counted.add, terms);
    CU_ASSERT(same);
    arena_free(arena);
}

static void affine_sums_in_the_order_given(void)
{
    uint64_t state = 7;
    for (uint32_t k = 0; k < 900; k++) {
        uint32_t types = random_below(&state, 3);
        bool zeros = k % 3 == 2;
        Shape s = {
            .rows = random_below(&state, 5) ? random_below(&state, 40) : random_below(&state, 2500),
            .cols = random_below(&state, 40),
            .chains = 1u << random_below(&state, 5),
            .transposed = random_below(&state, 2), .some_cols = random_below(&state, 3) == 0,
            .some_rows = random_below(&state, 3) == 0 && !zeros, .fma = random_below(&state, 2), .zeros = zeros,
            .x = types == 0 ? type_f32() : type_f64(), .w = types == 1 ? type_f64() : type_f32(),
        };
        check_affine(&s, &state);
    }
}

/* ---- integers against the compiler's ------------------------------------------------------------------------------------------------- */

static __int128 wrapped(uint32_t bits, __int128 v)
{
    return (__int128)((unsigned __int128)v << (128 - bits)) >> (128 - bits);
}

static __int128 random_int128(uint64_t *state)
{
    uint32_t style = random_below(state, 6);
    unsigned __int128 v = (unsigned __int128)random_next(state) << 64 | random_next(state);
    return style == 0 ? 0 : style == 1 ? -1 : style == 2 ? (__int128)(int64_t)v : style == 3 ? (__int128)((unsigned __int128)1 << 127) : (__int128)v;
}

static __int128 divided(uint32_t bits, __int128 a, __int128 b)
{
    return b == 0 ? 0 : b == -1 ? wrapped(bits, (__int128)(0 - (unsigned __int128)a)) : a / b;
}

static void wide_integers_agree_with_int128(void)
{
    static const uint32_t widths[] = {65, 66, 100, 127, 128};
    uint64_t state = 1;
    for (uint32_t k = 0; k < 20000; k++) {
        uint32_t bits = widths[k % 5], by = random_below(&state, bits);
        __int128 a = wrapped(bits, random_int128(&state)), b = wrapped(bits, random_int128(&state)), r;
        unsigned __int128 ua = (unsigned __int128)a, ub = (unsigned __int128)b;
        uint8_t *out = (uint8_t *)&r;
        const uint8_t *pa = (const uint8_t *)&a, *pb = (const uint8_t *)&b;
#define CHECK(call, expected) \
    do { \
        call; \
        CU_ASSERT_FATAL(r == wrapped(bits, (__int128)(expected))); \
    } while (0)
        CHECK(int_add(bits, out, pa, pb), ua + ub);
        CHECK(int_sub(bits, out, pa, pb), ua - ub);
        CHECK(int_mul(bits, out, pa, pb), ua * ub);
        CHECK(int_div(bits, out, pa, pb), divided(bits, a, b));
        CHECK(int_neg(bits, out, pa), 0 - ua);
        CHECK(int_abs(bits, out, pa), a < 0 ? 0 - ua : ua);
        CHECK(int_min(bits, out, pa, pb), a < b ? a : b);
        CHECK(int_max(bits, out, pa, pb), a > b ? a : b);
        CHECK(int_and(bits, out, pa, pb), ua & ub);
        CHECK(int_or(bits, out, pa, pb), ua | ub);
        CHECK(int_xor(bits, out, pa, pb), ua ^ ub);
        CHECK(int_shl(bits, out, pa, by), ua << by);
        CHECK(int_lshr(bits, out, pa, by), (ua << (128 - bits) >> (128 - bits)) >> by);
        CU_ASSERT_FATAL(int_compare(bits, pa, pb) == (a > b) - (a < b));
        CU_ASSERT_FATAL(int_to_f64(bits, pa) == (double)a);
        CU_ASSERT_FATAL(int_to_f32(bits, pa) == (float)a);
    }
}

/* Beyond what the compiler has: laws. */
static void very_wide_integers_obey_the_laws(void)
{
    enum { BYTES = IR_MAX_INT_BITS / 8 };
    static uint8_t a[BYTES], b[BYTES], c[BYTES], d[BYTES];
    static const uint32_t widths[] = {129, 192, 200, 1000, IR_MAX_INT_BITS};
    uint64_t state = 3;
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        uint32_t bits = widths[k], size = type_element_bytes(type_int(bits)), half = bits / 2 - 1;
        random_elements(&state, type_int(half), 1, false, c);
        int_resize(bits, a, half, c);
        random_elements(&state, type_int(half), 1, false, c);
        int_resize(bits, b, half, c);
        b[0] |= 1;                                              /* not zero */
        int_mul(bits, c, a, b);                                 /* fits: a b / b = a */
        int_div(bits, d, c, b);
        CU_ASSERT(memcmp(d, a, size) == 0);
        int_add(bits, c, a, b);                                 /* a + b - b = a */
        int_sub(bits, c, c, b);
        CU_ASSERT(memcmp(c, a, size) == 0);
        int_shl(bits, c, a, bits / 3);                          /* shifting is multiplying by 2, often */
        memcpy(d, a, size);
        for (uint32_t i = 0; i < bits / 3; i++)
            int_add(bits, d, d, d);
        CU_ASSERT(memcmp(c, d, size) == 0);
        int_neg(bits, c, a);                                    /* -a + a = 0 */
        int_add(bits, c, c, a);
        CU_ASSERT(int_is_zero(bits, c));
    }
}

/* ---- exp, tanh, sigmoid ----------------------------------------------------------------------------------------------------------------- */

/* |got - exact| in units in the last place of a float with `digits` bits and least exponent `least`. */
static double ulps(long double got, long double exact, int digits, int least, long double greatest)
{
    if (isnan(exact) || isnan(got))
        return isnan(exact) && isnan(got) ? 0 : INFINITY;
    if (isinf(got))
        return exact > greatest ? 0 : INFINITY;
    int exponent = least;
    if (exact != 0)
        frexpl(exact, &exponent);
    exponent = exponent < least ? least : exponent;
    return (double)(fabsl(got - exact) / ldexpl(1, exponent - digits));
}

static long double exact_sigmoid(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

typedef struct Function {
    const char *name;
    float (*f32)(float);
    double (*f64)(double);
    long double (*exact)(long double);
    double most_f32, most_f64;     /* greatest errors: f32 measured over every float, f64 over 3e7 random doubles */
} Function;

static const Function functions[] = {
    {"exp", math_exp_f32, math_exp_f64, expl, 0.77, 0.85},
    {"tanh", math_tanh_f32, math_tanh_f64, tanhl, 1.46, 2.6},
    {"sigmoid", math_sigmoid_f32, math_sigmoid_f64, exact_sigmoid, 1.68, 1.8},
};

static void functions_are_accurate(void)
{
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        const Function *f = &functions[k];
        double worst32 = 0, worst64 = 0;
        uint64_t state = 11;
        /* Every 1021st float that is not tiny, and doubles over the interesting ranges. */
        for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 1021) {
            float x = f32_of_bits((uint32_t)u);
            if (fabsf(x) > 1e-6f || u % 16 == 0)
                worst32 = fmax(worst32, ulps(f->f32(x), f->exact(x), 24, -125, 0x1.fffffep127L));
        }
        for (uint32_t i = 0; i < 300000; i++) {
            static const double range[] = {750, 40, 2, 1e-3};
            double x = (double)(int64_t)random_next(&state) * 0x1p-63 * range[i % 4];
            worst64 = fmax(worst64, ulps(f->f64(x), f->exact(x), 53, -1021, 0x1.fffffffffffffp1023L));
        }
        if (worst32 > f->most_f32 || worst64 > f->most_f64)
            fprintf(stderr, "\n  %s: %.3f ulp in f32, %.3f ulp in f64\n", f->name, worst32, worst64);
        CU_ASSERT(worst32 <= f->most_f32);
        CU_ASSERT(worst64 <= f->most_f64);
    }
}

static void functions_have_the_right_limits(void)
{
    CU_ASSERT(math_exp_f32(-INFINITY) == 0 && math_exp_f32(INFINITY) == INFINITY && math_exp_f32(-0.0f) == 1);
    CU_ASSERT(math_exp_f64(-INFINITY) == 0 && math_exp_f64(INFINITY) == INFINITY && math_exp_f64(0) == 1);
    CU_ASSERT(isnan(math_exp_f32(NAN)) && isnan(math_tanh_f32(NAN)) && isnan(math_sigmoid_f32(NAN)));
    CU_ASSERT(isnan(math_exp_f64(NAN)) && isnan(math_tanh_f64(NAN)) && isnan(math_sigmoid_f64(NAN)));
    CU_ASSERT(math_exp_f32(89) == INFINITY && math_exp_f64(710) == INFINITY && math_exp_f64(709) < INFINITY);
    CU_ASSERT(math_exp_f64(-746) == 0 && math_exp_f64(-745) == 0x1p-1074 && math_exp_f32(-103) == 0x1p-149f);
    CU_ASSERT(signbit(math_tanh_f32(-0.0f)) && signbit(math_tanh_f64(-0.0)) && math_tanh_f64(-0.0) == 0);
    CU_ASSERT(math_tanh_f32(0x1p-149f) == 0x1p-149f && math_tanh_f64(-0x1p-1074) == -0x1p-1074);
    CU_ASSERT(math_tanh_f32(10) == 1 && math_tanh_f32(-1e30f) == -1 && math_tanh_f64(20) == 1 && math_tanh_f64(-INFINITY) == -1);
    CU_ASSERT(math_sigmoid_f32(0) == 0.5f && math_sigmoid_f64(-0.0) == 0.5 && math_sigmoid_f64(-INFINITY) == 0 && math_sigmoid_f64(INFINITY) == 1);
    CU_ASSERT(math_sigmoid_f32(-100) > 0 && math_sigmoid_f64(-740) > 0 && math_sigmoid_f64(-1e9) == 0);
    bool odd = true, in_range = true;
    uint64_t state = 5;
    for (int i = 0; i < 100000; i++) {
        double x = (double)(int64_t)random_next(&state) * 0x1p-58;
        odd = odd && math_tanh_f64(-x) == -math_tanh_f64(x) && math_tanh_f32(-(float)x) == -math_tanh_f32((float)x);
        in_range = in_range && math_sigmoid_f64(x) >= 0 && math_sigmoid_f64(x) <= 1 && math_sigmoid_f32((float)x) >= 0 &&
                   math_sigmoid_f32((float)x) <= 1 && fabs(math_tanh_f64(x)) <= 1 && fabsf(math_tanh_f32((float)x)) <= 1;
    }
    CU_ASSERT(odd);
    CU_ASSERT(in_range);
}

void suite_interp(void)
{
    CU_pSuite suite = CU_add_suite("interp", NULL, NULL);
    CU_add_test(suite, "floats, elementwise", floats_elementwise);
    CU_add_test(suite, "comparisons", comparisons);
    CU_add_test(suite, "integers, elementwise", integers_elementwise);
    CU_add_test(suite, "casts", casts);
    CU_add_test(suite, "sums of products", sums);
    CU_add_test(suite, "reductions", reductions);
    CU_add_test(suite, "shapes", shapes);
    CU_add_test(suite, "sets, selections, trees", choosing);
    CU_add_test(suite, "ascending keys", searching);
    CU_add_test(suite, "the tree of a search is left-complete", the_tree_of_a_search_is_left_complete);
    CU_add_test(suite, "regions and calls", control);
    CU_add_test(suite, "tallies", tallies_are_what_tally_ops_say);
    CU_add_test(suite, "inputs that lie", lying_inputs_are_tamed);
    CU_add_test(suite, "affine sums in the order given", affine_sums_in_the_order_given);
    CU_add_test(suite, "wide integers agree with the compiler's", wide_integers_agree_with_int128);
    CU_add_test(suite, "very wide integers obey the laws", very_wide_integers_obey_the_laws);
    CU_add_test(suite, "exp, tanh, sigmoid are accurate", functions_are_accurate);
    CU_add_test(suite, "exp, tanh, sigmoid have the right limits", functions_have_the_right_limits);
}
