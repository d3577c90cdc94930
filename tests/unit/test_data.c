/* test_data.c — tables of data: text to numbers, the order of rows, each key once. tests/tables.py compares whole tables with Python. */
#include "../../frontend/data.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void suite_data(void);

/* ---- helpers ---- */

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

typedef struct Fixture { Arena *arena; Diags *diags; DataSpec spec; } Fixture;

/* Columns 0 and 1 of text or of a .npy, and 2 as weights. */
static Fixture table_of(const char *text, bool weights)
{
    Fixture f = {.arena = arena_new(NULL)};
    f.diags = diag_new(f.arena);
    f.spec = (DataSpec){.arena = f.arena, .diags = f.diags, .name = "t"};
    DataFile file = {.name = "t.csv", .path = "t.csv"};
    vec_push(f.arena, f.spec.files, file);
    for (uint64_t c = 0; c < (weights ? CLAUSES : CLAUSE_weight); c++)
        vec_push(f.arena, f.spec.take[c], ((Take){.kind = TAKE_RANGE, .from = c, .to = c + 1}));
    uint32_t source = diag_source(f.diags, "t.csv", text, strlen(text));
    CU_ASSERT_FATAL(data_open_bytes(&f.spec, f.spec.files.at, source, (Bytes){(const uint8_t *)text, strlen(text)}, true));
    CU_ASSERT_FATAL(data_resolve(&f.spec));
    return f;
}

static bool says(const Fixture *f, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        CU_FAIL_FATAL("no stream");
    diag_flush(f->diags, out, DIAG_PLAIN);
    fclose(out);
    bool found = strstr(text, expected);
    if (!found)
        fprintf(stderr, "\nexpected a message with `%s`, found:\n%s", expected, text);
    free(text);
    return found;
}

/* ---- numbers ---- */

/* Decimal texts of many forms; the C library is right, and slow. */
static void random_decimal(uint64_t *state, char *out, size_t size)
{
    uint64_t bits = next(state);
    double wide;
    switch (next(state) % 5) {
    case 0: snprintf(out, size, "%llue%d", (unsigned long long)(bits >> next(state) % 60), (int)(next(state) % 56) - 28); return;
    case 1: bits = (bits & ~(0x7ffULL << 52)) | (1023ULL - 90 + next(state) % 180) << 52; break;
    case 2: /* between floats */
        bits = (bits & ~0x1fffffffULL & ~(0x7ffULL << 52)) | 1ULL << 28 | (1023ULL - 90 + next(state) % 180) << 52;
        break;
    case 3: snprintf(out, size, "-%.*f", (int)(next(state) % 12), (double)(int64_t)bits * 0x1p-40); return;
    default:
        snprintf(out, size, "%llu.%0*llu", (unsigned long long)(bits % 1000), (int)(bits % 15) + 1, (unsigned long long)(bits >> 60));
        return;
    }
    memcpy(&wide, &bits, 8);
    snprintf(out, size, "%.*g", (int)(next(state) % 19) + 1, wide);
}

static void decimals_as_in_c(void)
{
    uint64_t state = 88172645463325252;
    size_t fast = 0;
    for (int i = 0; i < 200000; i++) {
        char text[80];
        random_decimal(&state, text, sizeof text);
        Decimal d;
        double wide, right = strtod(text, NULL);
        float narrow, right_narrow = strtof(text, NULL);
        if (!decimal_scan(text, strlen(text), &d))
            continue;
        if (decimal_f64(d, &wide) && ++fast && memcmp(&wide, &right, 8) != 0)
            CU_FAIL(text);
        if (decimal_f32(d, &narrow) && memcmp(&narrow, &right_narrow, 4) != 0)
            CU_FAIL(text);
    }
    CU_ASSERT(fast > 100000);
}

/* More zeros behind the point than an exponent is counted in: either right, or left to the C library. */
static void long_fractions(void)
{
    char text[10100];
    memset(text, '0', sizeof text);
    memcpy(text + 1, ".", 1);
    memcpy(text + 10002, "1e9990", 7);
    Decimal d;
    double wide;
    if (decimal_scan(text, strlen(text), &d) && decimal_f64(d, &wide))
        CU_ASSERT(wide == strtod(text, NULL));
}

static void texts_of_floats(void)
{
    static const struct { const char *text; double value; } good[] = {
        {"0", 0}, {"-0.0", -0.0}, {"1e-400", 0}, {"4.9e-324", 5e-324}, {"1e22", 1e22}, {"9007199254740993", 9007199254740992.0},
        {"9007199254740993.0000000000000000000001", 9007199254740994.0}, {"000000000000000000000001.5", 1.5},
        {"0x1.8p1", 3}, {".5", 0.5}, {"5.", 5},
        {"+2", 2}, {"-inf", -INFINITY}, {"123456789012345678", 123456789012345678.0}, {"1e00000", 1}};
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", "1x", "1 2", "--1", "1e400", "0x", "1.5.2"};
    double value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (element_from_text(type_f64(), good[i].text, strlen(good[i].text), &value) || memcmp(&value, &good[i].value, 8) != 0)
            CU_FAIL(good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!element_from_text(type_f64(), bad[i], strlen(bad[i]), &value))
            CU_FAIL(bad[i]);
}

static void texts_of_wide_integers(void)
{
    static const struct { uint32_t bits; const char *text; bool fits; uint8_t low, high; } cases[] = {
        {128, "170141183460469231731687303715884105727", true, 0xff, 0x7f}, {128, "170141183460469231731687303715884105728", false, 0, 0},
        {128, "-170141183460469231731687303715884105728", true, 0, 0x80}, {128, "-170141183460469231731687303715884105729", false, 0, 0},
        {128, "-1", true, 0xff, 0xff}, {128, "-0", true, 0, 0}, {128, "0x7f", true, 0x7f, 0},
        {128, "0xffffffffffffffffffffffffffffffff", true, 0xff, 0xff},
        {128, "0xfffffffffffffffffffffffffffffffff", false, 0, 0}, {65, "18446744073709551615", true, 0xff, 0},
        {65, "18446744073709551616", false, 0, 0},
        {65, "-18446744073709551616", true, 0, 0xff}, {65, "-18446744073709551617", false, 0, 0},
        {200, "-12", true, 0xf4, 0xff}, {200, "1.5", false, 0, 0},
        {200, "12345678901234567890x", false, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[32];
        Type type = type_int(cases[i].bits);
        bool fits = element_from_text(type, cases[i].text, strlen(cases[i].text), out) == NULL;
        if (fits != cases[i].fits || (fits && (out[0] != cases[i].low || out[type_element_bytes(type) - 1] != cases[i].high)))
            CU_FAIL(cases[i].text);
    }
}

/* ---- the order of rows ---- */

/* Random elements, of few values now and then so that many rows are equal. */
static uint8_t *random_rows(Arena *arena, uint64_t *state, Type element, uint64_t count)
{
    uint32_t bytes = type_element_bytes(element);
    uint8_t *rows = arena_alloc(arena, count * bytes + 1);
    bool few = next(state) & 1;
    for (uint64_t i = 0; i < count; i++) {
        int64_t whole = (int64_t)(few ? next(state) % 4 : next(state));
        if (type_is_float(element)) {
            double value = few ? (double)(whole - 2) * (next(state) & 1 ? 0.0 : 1.0) : (double)whole * 0x1p-70;
            element_from_f64(element, value, rows + i * bytes);
        } else {
            whole = element.n == 1 ? whole & 1 : element.n >= 64 ? whole : whole % ((int64_t)1 << (element.n - 1));
            element_from_i64(element, whole, rows + i * bytes);
            for (uint32_t b = 8; b + 1 < bytes && !few; b++) /* the sign stays */
                rows[i * bytes + b] = (uint8_t)next(state);
        }
    }
    return rows;
}

/* A permutation, ascending, and equal rows as they were. */
static bool in_order(Arena *arena, Type element, uint64_t width, uint64_t n, const uint8_t *rows, const uint32_t *order)
{
    size_t bytes = width * type_element_bytes(element);
    bool *seen = NEW_ARRAY(arena, n, bool);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = order ? order[i] : i, before = i == 0 ? 0 : order ? order[i - 1] : i - 1;
        if (at >= n || seen[at])
            return false;
        seen[at] = true;
        int compared = i == 0 ? -1 : rows_compare(element, width, rows + before * bytes, rows + at * bytes);
        if (compared > 0 || (compared == 0 && before > at))
            return false;
    }
    return true;
}

static void rows_in_order(void)
{
    uint64_t state = 42;
    static const uint32_t bits[] = {1, 2, 8, 13, 32, 33, 64, 65, 128, 200};
    for (int i = 0; i < 400; i++) {
        Arena *arena = arena_new(NULL);
        uint64_t pick = next(&state) % 12, width = next(&state) % 3 + 1, n = next(&state) % 3 ? next(&state) % 50 : 5000;
        Type element = pick == 0 ? type_f32() : pick == 1 ? type_f64() : type_int(bits[pick - 2]);
        const uint8_t *rows = random_rows(arena, &state, element, n * width);
        CU_ASSERT(in_order(arena, element, width, n, rows, rows_sorted(arena, NULL, element, width, n, rows)));
        arena_free(arena);
    }
}

static void orders_agree(void)
{
    static const double ascending[] = {-INFINITY, -1e300, -1, -5e-324, 0, 5e-324, 1, 1e300, INFINITY};
    enum { N = sizeof ascending / sizeof *ascending };
    double zeros[2] = {0.0, -0.0};
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++) {
            int order = rows_compare(type_f64(), 1, (const uint8_t *)&ascending[i], (const uint8_t *)&ascending[k]);
            CU_ASSERT((order > 0) - (order < 0) == (i > k) - (i < k));
            CU_ASSERT(element_order(type_f64(), (const uint8_t *)&ascending[i], (const uint8_t *)&ascending[k]) == (i > k) - (i < k));
        }
    CU_ASSERT(rows_compare(type_f64(), 1, (const uint8_t *)&zeros[0], (const uint8_t *)&zeros[1]) == 0);
}

/* ---- tables ---- */

static void rows_become_one(void)
{
    Fixture f = table_of("k,y,w\n2,7,1\n-0,5,0.5\n1,6,0\n0,5,0.25\n2,7,3\n", true);
    DataTable t;
    CU_ASSERT_FATAL(data_table(&f.spec, f.arena, NULL, type_f64(), type_int(32), &t) && t.n == 3);
    double keys[3], weights[3];
    int32_t labels[3];
    memcpy(keys, t.keys, sizeof keys);
    memcpy(labels, t.labels, sizeof labels);
    memcpy(weights, t.weights, sizeof weights);
    CU_ASSERT(keys[0] == 0 && signbit(keys[0]) && keys[1] == 1 && keys[2] == 2);
    CU_ASSERT(labels[0] == 5 && labels[1] == 6 && labels[2] == 7);
    CU_ASSERT(weights[0] == 0.75 && weights[1] == 0 && weights[2] == 4);
    arena_free(f.arena);
}

static void tables_refused(void)
{
    static const struct { const char *text, *message; } cases[] = {
        {"1,2,0\n3,4,0\n1.0,3,0\n", "t.csv:3:1: error: the key 1 has the label 3 here"},
        {"1,2,0\nnan,3,0\n", "t.csv:2:1: error: a key is NaN"},
        {"1,2,inf\n", "t.csv:1:1: error: the weight inf"}, {"1,2,nan\n", "the weight"},
        {"1,2,0\n1,2\n", "t.csv:2:1: error: this line has 2 cells, the first line has 3"},
        {"a,b,c\n", "t.csv: error: the table has no rows"}, {"1,2e9,0\n2,3e9,0\n", "t.csv:2:3: error: `3e9` does not fit i32"},
        {"16777217,1,0\n16777216,2,0\n", "the key 16777216 has the label 2 here"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = table_of(cases[i].text, true);
        DataTable t;
        CU_ASSERT(!data_table(&f.spec, f.arena, NULL, type_f32(), type_int(32), &t));
        CU_ASSERT(says(&f, cases[i].message));
        arena_free(f.arena);
    }
}

static void quoted_cells(void)
{
    Fixture f = table_of("1;2;\"a;b\"\n2;3;\"say \"\"c\"\";\"\n", false);
    DataTable t;
    CU_ASSERT(f.spec.files.at[0].columns == 3);
    CU_ASSERT(data_table(&f.spec, f.arena, NULL, type_int(8), type_int(8), &t) && t.n == 2 && t.labels[1] == 3);
    arena_free(f.arena);
}

/* An array of ascending keys stays where it is. */
static void arrays_are_borrowed(void)
{
    static const double keys[] = {-1, 0, 3}, shuffled[] = {3, -1, 0};
    static const int32_t labels[] = {7, 8, 9};
    for (int i = 0; i < 2; i++) {
        Fixture f = {.arena = arena_new(NULL)};
        f.diags = diag_new(f.arena);
        Tensor arrays[2] = {{"k", type_vector(type_f64(), 3), i ? shuffled : keys}, {"y", type_vector(type_int(32), 3), labels}};
        f.spec = (DataSpec){.arena = f.arena, .diags = f.diags, .name = "t"};
        vec_push(f.arena, f.spec.files, ((DataFile){.name = "t.npz", .arrays = {"t.npz", 2, arrays}}));
        vec_push(f.arena, f.spec.take[CLAUSE_input], ((Take){.kind = TAKE_NAME, .name = "k"}));
        vec_push(f.arena, f.spec.take[CLAUSE_label], ((Take){.kind = TAKE_NAME, .name = "y"}));
        DataTable t;
        CU_ASSERT_FATAL(data_resolve(&f.spec) && data_table(&f.spec, f.arena, NULL, type_f64(), type_int(32), &t));
        CU_ASSERT(t.n == 3 && !t.weights && memcmp(t.keys, keys, sizeof keys) == 0);
        CU_ASSERT((t.keys == (const uint8_t *)keys) == (i == 0) && (t.labels == (const uint8_t *)labels) == (i == 0));
        arena_free(f.arena);
    }
}

void suite_data(void)
{
    CU_pSuite s = CU_add_suite("data", NULL, NULL);
    CU_add_test(s, "decimal text is rounded as the C library does", decimals_as_in_c);
    CU_add_test(s, "long fractions", long_fractions);
    CU_add_test(s, "texts that are floats, and that are none", texts_of_floats);
    CU_add_test(s, "integers beyond 64 bits", texts_of_wide_integers);
    CU_add_test(s, "rows of every type in order", rows_in_order);
    CU_add_test(s, "the order of floats is the interpreter's", orders_agree);
    CU_add_test(s, "rows with one key become one", rows_become_one);
    CU_add_test(s, "tables refused, with the place", tables_refused);
    CU_add_test(s, "quoted cells", quoted_cells);
    CU_add_test(s, "arrays in order are borrowed", arrays_are_borrowed);
}
