/* test_formats.c — the readers and writers of files: what is borrowed, what is converted, what is refused; imports against
 * their source in other words; round trips.
 *
 * Files are made here, byte by byte, so that each case shows what it is about. Real networks are imported when the
 * data lie beside the repository (../shared/data/nets), and the case says so when they do not.
 */
#include "../../frontend/formats.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CNET_SOURCE_ROOT
#define CNET_SOURCE_ROOT "."
#endif

void suite_formats(void);

/* ---- helpers ---- */

typedef struct Fixture { Arena *arena; Diags *diags; uint32_t source; } Fixture;

static Fixture set_up(void)
{
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    return (Fixture){arena, diags, diag_source(diags, "t", NULL, 0)};
}

static const char *messages(const Fixture *f)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        CU_FAIL_FATAL("no stream");
    diag_flush(f->diags, out, DIAG_PLAIN);
    fclose(out);
    const char *copy = str_ndup(f->arena, text, len);
    free(text);
    return copy;
}

static bool says(const Fixture *f, const char *expected)
{
    const char *found = messages(f);
    if (strstr(found, expected))
        return true;
    fprintf(stderr, "\nexpected a message with `%s`, found:\n%s", expected, found);
    return false;
}

static void put(Text *t, const void *data, size_t len) { text_put(t, data, len); }
static Bytes bytes_of(const Text *t) { return (Bytes){(const uint8_t *)t->at, t->len}; }

static Bytes npy(Arena *arena, const char *descr, const char *order, const char *shape, const void *data, size_t len)
{
    Text header = text_new(arena), file = text_new(arena);
    text_add(&header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape);
    while ((10 + header.len + 1) % 64)
        text_add(&header, " ");
    text_add(&header, "\n");
    put(&file, "\x93NUMPY\1\0", 8);
    put(&file, &(uint16_t){(uint16_t)header.len}, 2);
    put(&file, header.at, header.len);
    put(&file, data, len);
    return bytes_of(&file);
}

/* A copy without room behind it, so that a sanitizer sees every read too many. */
static uint8_t *exact_copy(Bytes bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        CU_FAIL_FATAL("no memory");
    memcpy(copy, bytes.at, len);
    return copy;
}

static double element(const Tensor *t, uint64_t i)
{
    Const c = {.kind = CONST_TENSOR, .type = type_vector(t->type, (uint32_t)type_count(t->type)), .data = t->data, .stride = {1}};
    return const_f64(&c, i);
}

/* ---- npy ---- */

static void npy_borrows(void)
{
    Fixture f = set_up();
    const float data[6] = {1, 2, 3, 4, 5, 6};
    Bytes file = npy(f.arena, "<f4", "False", "(2, 3)", data, sizeof data);
    Tensor t;
    CU_ASSERT_FATAL(fe_read_npy(f.arena, f.diags, f.source, file, &t));
    CU_ASSERT(type_equal(t.type, type_matrix(type_f32(), 2, 3)));
    CU_ASSERT((const uint8_t *)t.data >= file.at && (const uint8_t *)t.data < file.at + file.len);
    CU_ASSERT(memcmp(t.data, data, sizeof data) == 0);
    arena_free(f.arena);
}

static void npy_widens(void)
{
    static const struct { const char *descr; uint8_t data[8]; size_t len; const char *type; double value; } cases[] = {
        {"<f2", {0x00, 0x3C}, 2, "f32[1]", 1}, {">f2", {0xC0, 0x00}, 2, "f32[1]", -2}, {"<f2", {0x01, 0x00}, 2, "f32[1]", 0x1p-24},
        {"<f2", {0x00, 0x7C}, 2, "f32[1]", INFINITY}, {">f4", {0x3F, 0x80, 0, 0}, 4, "f32[1]", 1}, {"|u1", {0xFF}, 1, "i16[1]", 255},
        {"<u2", {0xFF, 0xFF}, 2, "i32[1]", 65535}, {"<u4", {0xFF, 0xFF, 0xFF, 0xFF}, 4, "i64[1]", 4294967295.0}, {"|i1", {0xFF}, 1, "i8[1]", -1},
        {"|b1", {7}, 1, "i1[1]", 1}, {">i8", {0, 0, 0, 0, 0, 0, 1, 0}, 8, "i64[1]", 256}, {"<u8", {1}, 8, "i64[1]", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Tensor t;
        CU_ASSERT_FATAL(fe_read_npy(f.arena, f.diags, f.source, npy(f.arena, cases[i].descr, "False", "(1,)", cases[i].data, cases[i].len), &t));
        CU_ASSERT_STRING_EQUAL(type_print(f.arena, t.type), cases[i].type);
        CU_ASSERT(element(&t, 0) == cases[i].value);
        arena_free(f.arena);
    }
}

static void npy_turns_fortran_order(void)
{
    Fixture f = set_up();
    const double data[6] = {1, 4, 2, 5, 3, 6}; /* columns of [[1, 2, 3], [4, 5, 6]] */
    Tensor t;
    CU_ASSERT_FATAL(fe_read_npy(f.arena, f.diags, f.source, npy(f.arena, "<f8", "True", "(2, 3)", data, sizeof data), &t));
    for (int i = 0; i < 6; i++)
        CU_ASSERT(element(&t, (uint64_t)i) == i + 1);
    arena_free(f.arena);
}

static void npy_refuses(void)
{
    static const struct { const char *descr, *order, *shape; size_t len; const char *message; } cases[] = {
        {"<f4", "False", "(2, 2)", 12, "expected 16 bytes of data (2x2 elements of 4 bytes), found 12"},
        {"<f4", "False", "(3,)", 16, "expected 12 bytes of data (3 elements of 4 bytes), found 16"},
        {"<f4", "False", "(4294967296, 4294967296)", 16, "are too large"},
        {"<f4", "False", "(99999999999999999999,)", 16, "beyond 64 bits"},
        {"<f4", "False", "(-1,)", 16, "no tuple of non-negative integers"},
        {"<f4", "Maybe", "(4,)", 16, "neither True nor False"},
        {"<U8", "False", "(4,)", 16, "the type `<U8`"},
        {"<c8", "False", "(2,)", 16, "the type `<c8`"},
        {"<u8", "False", "(2,)", 16, "does not fit a signed 64-bit integer"},
        {"<f4", "False", "(1,1,1,1,1,1,4)", 16, "at most 6"}};
    uint8_t data[16];
    memset(data, 0xFF, sizeof data);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Tensor t;
        CU_ASSERT(!fe_read_npy(f.arena, f.diags, f.source, npy(f.arena, cases[i].descr, cases[i].order, cases[i].shape, data, cases[i].len), &t));
        CU_ASSERT(says(&f, cases[i].message));
        arena_free(f.arena);
    }
}

static void npy_refuses_every_truncation(void)
{
    Fixture f = set_up();
    Bytes file = npy(f.arena, "<f4", "False", "(2,)", (float[]){1, 2}, 8);
    for (size_t len = 0; len < file.len; len++) {
        Tensor t;
        uint8_t *copy = exact_copy(file, len);
        CU_ASSERT(!fe_read_npy(f.arena, f.diags, f.source, (Bytes){copy, len}, &t));
        free(copy);
    }
    arena_free(f.arena);
}

/* ---- safetensors ---- */

static Bytes safetensors(Arena *arena, const char *header, size_t data)
{
    Text file = text_new(arena);
    uint64_t len = strlen(header);
    put(&file, &len, 8);
    put(&file, header, len);
    for (size_t i = 0; i < data; i++)
        put(&file, "\0", 1);
    return bytes_of(&file);
}

static void safetensors_reads(void)
{
    Fixture f = set_up();
    Bytes file = safetensors(f.arena, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]},\"__metadata__\":{\"x\":\"y\"},"
                                      "\"b\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}   ", 12);
    TensorFile t = {0};
    CU_ASSERT_FATAL(fe_read_safetensors(f.arena, f.diags, f.source, file, &t));
    CU_ASSERT(t.n == 2 && fe_find_tensor(&t, "a") && !fe_find_tensor(&t, "c"));
    CU_ASSERT((const uint8_t *)fe_find_tensor(&t, "a")->data == file.at + file.len - 8);
    CU_ASSERT(type_equal(fe_find_tensor(&t, "b")->type, type_int(32)));
    arena_free(f.arena);
}

static void safetensors_refuses(void)
{
    static const struct { const char *header, *message; } cases[] = {
        {"[]", "no JSON object"},
        {"{\"a\":1}", "`dtype` is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "`shape`"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "non-negative"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", "non-negative"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,8]}}", "non-negative"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "no pair"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "only 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", "expected 12 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", "overlap"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,4]}}", "`F4`"},
        {"{\"a\":{{{{{{}}}}}}}", "nested deeper"},
        {"{\"\xff\":{}}", "not UTF-8"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        TensorFile t = {0};
        CU_ASSERT(!fe_read_safetensors(f.arena, f.diags, f.source, safetensors(f.arena, cases[i].header, 8), &t));
        CU_ASSERT(says(&f, cases[i].message));
        arena_free(f.arena);
    }
}

/* ---- samples ---- */

static bool table(const Fixture *f, const char *text, Type row, Samples *out)
{
    uint32_t source = diag_source(f->diags, "t.csv", text, strlen(text));
    return samples_from_bytes(f->arena, f->diags, source, (Bytes){(const uint8_t *)text, strlen(text)}, false, row, out);
}

static void tables_as_text(void)
{
    static const struct { const char *text; size_t rows; float last; } cases[] = {
        {"1,2\n3,4\n", 2, 4}, {"1,2\n3,4", 2, 4}, {"a,b\n1,2\n", 1, 2}, {"height m;weight kg\r\n1;2\r\n", 1, 2}, {"# note\n\n 1 2 \n\t3  4\n", 2, 4},
        {"\xEF\xBB\xBF" "1,2\n", 1, 2}, {"\"1\",\"2\"\n", 1, 2}, {"0x1p-1,0.1\n", 1, 0.1f}, {"1e-3 , -7\n", 1, -7}, {"one two\n1 2\n", 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Samples s;
        CU_ASSERT_FATAL(table(&f, cases[i].text, type_vector(type_f32(), 2), &s));
        CU_ASSERT(s.rows == cases[i].rows);
        CU_ASSERT(((const float *)s.data)[2 * s.rows - 1] == cases[i].last);
        arena_free(f.arena);
    }
}

static void tables_refused(void)
{
    static const struct { const char *text, *message; } cases[] = {
        {"1,2\n3,x\n", "t.csv:2:3: error: `x` is no number"}, {"1,2\n3\n", "t.csv:2:1: error: expected 2 numbers (i8[2]), found 1"},
        {"1,2\n3,4,5\n", "found 3"}, {"1,\n", "this cell is empty"}, {"1,200\n", "`200` does not fit i8"}, {"1,1.5\n", "`1.5` does not fit i8"},
        {"1,nan\n", "`nan` does not fit i8"}, {"", "no rows"}, {"a,b\n", "no rows"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Samples s;
        CU_ASSERT(!table(&f, cases[i].text, type_vector(type_int(8), 2), &s));
        CU_ASSERT(says(&f, cases[i].message));
        arena_free(f.arena);
    }
}

static void tables_from_arrays(void)
{
    const double data[4] = {0.1, 2, 3, 4};
    static const struct { const char *shape; size_t rows; } cases[] = {{"(2, 2)", 2}, {"(4,)", 0}, {"(2, 1, 2)", 2}, {"(1, 4)", 0}, {"(4, 1)", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Samples s = {0};
        bool good = samples_from_bytes(f.arena, f.diags, f.source, npy(f.arena, "<f8", "False", cases[i].shape, data, sizeof data), true,
                                       type_vector(type_f32(), 2), &s);
        CU_ASSERT(good == (cases[i].rows > 0));
        CU_ASSERT(!good || (s.rows == cases[i].rows && ((const float *)s.data)[0] == 0.1f));
        CU_ASSERT(good || says(&f, "does not hold rows of 2 elements"));
        arena_free(f.arena);
    }
    Fixture f = set_up();
    Samples s;
    CU_ASSERT(samples_from_bytes(f.arena, f.diags, f.source, npy(f.arena, "<f8", "False", "(4,)", data, 32), true, type_vector(type_f64(), 4), &s) && s.rows == 1);
    CU_ASSERT(samples_from_bytes(f.arena, f.diags, f.source, npy(f.arena, "<f8", "False", "(4,)", data, 32), true, type_f64(), &s) && s.rows == 4);
    CU_ASSERT(!samples_from_bytes(f.arena, f.diags, f.source, npy(f.arena, "<f8", "False", "(4,)", data, 32), true, type_int(8), &s));
    CU_ASSERT(says(&f, "row 1, element 0: 0.10000000000000001 does not fit i8"));
    const double large[1] = {1e300};
    CU_ASSERT(!samples_from_bytes(f.arena, f.diags, f.source, npy(f.arena, "<f8", "False", "(1,)", large, 8), true, type_f32(), &s));
    arena_free(f.arena);
}

static const char *temporary(Fixture *f, const char *name)
{
    const char *folder = getenv("TMPDIR");
    return str_printf(f->arena, "%s/cnet-test-%ld-%s", folder ? folder : P_tmpdir, (long)getpid(), name);
}

static void tables_written_and_read(void)
{
    static const char *const names[] = {"t.npy", "t.csv"};
    const float data[6] = {0.1f, -0.0f, INFINITY, 1e-45f, 3.4028235e38f, 1.0f / 3};
    for (int i = 0; i < 2; i++) {
        Fixture f = set_up();
        const char *path = temporary(&f, names[i]);
        Samples out = {.rows = 3, .row = type_matrix(type_f32(), 1, 2), .data = (void *)(uintptr_t)data}, in;
        OutFile *file = fe_write_samples(f.arena, f.diags, path, &out);
        CU_ASSERT_FATAL(file && out_commit(file, f.diags));
        CU_ASSERT_FATAL(fe_read_samples(f.arena, f.diags, path, out.row, &in));
        CU_ASSERT(in.rows == 3 && memcmp(in.data, data, sizeof data) == 0);
        unlink(path);
        arena_free(f.arena);
    }
}

/* ---- onnx: a model by hand ---- */

static void wire_number(Text *t, uint64_t v)
{
    for (; v > 127; v >>= 7)
        put(t, &(uint8_t){(uint8_t)(v | 128)}, 1);
    put(t, &(uint8_t){(uint8_t)v}, 1);
}

static void wire_bytes(Text *t, unsigned field, const void *data, size_t len)
{
    wire_number(t, field << 3 | 2);
    wire_number(t, len);
    put(t, data, len);
}

static void wire_text(Text *t, unsigned field, const char *s) { wire_bytes(t, field, s, strlen(s)); }
static void wire_message(Text *t, unsigned field, const Text *m) { wire_bytes(t, field, m->at, m->len); }

static void wire_int(Text *t, unsigned field, uint64_t v)
{
    wire_number(t, field << 3);
    wire_number(t, v);
}

/* 0 in dims ends them; a first dim of 99 is left open. */
static void add_value(Arena *arena, Text *graph, unsigned field, const char *name, const int *dims)
{
    Text shape = text_new(arena), tensor = text_new(arena), type = text_new(arena), value = text_new(arena);
    for (; *dims; dims++) {
        Text dim = text_new(arena);
        if (*dims == 99)
            wire_text(&dim, 2, "N");
        else
            wire_int(&dim, 1, (uint64_t)*dims);
        wire_message(&shape, 1, &dim);
    }
    wire_int(&tensor, 1, 1);
    wire_message(&tensor, 2, &shape);
    wire_message(&type, 1, &tensor);
    wire_text(&value, 1, name);
    wire_message(&value, 2, &type);
    wire_message(graph, field, &value);
}

static void add_tensor(Arena *arena, Text *graph, const char *name, const int *dims, const float *data)
{
    Text tensor = text_new(arena);
    size_t n = 1;
    for (; *dims; dims++) {
        wire_int(&tensor, 1, (uint64_t)*dims);
        n *= (size_t)*dims;
    }
    wire_int(&tensor, 2, 1);
    wire_text(&tensor, 8, name);
    wire_bytes(&tensor, 9, data, n * sizeof *data);
    wire_message(graph, 5, &tensor);
}

/* "Gemm x W b -> y"; attributes as name and integer. */
static void add_node(Arena *arena, Text *graph, const char *line, const char *attribute, int value)
{
    Text node = text_new(arena);
    char *copy = str_dup(arena, line), *rest = NULL;
    const char *op = strtok_r(copy, " ", &rest);
    unsigned field = 1;
    for (const char *word; (word = strtok_r(NULL, " ", &rest));)
        if (strcmp(word, "->") == 0)
            field = 2;
        else
            wire_text(&node, field, word);
    wire_text(&node, 4, op);
    if (attribute) {
        Text a = text_new(arena);
        wire_text(&a, 1, attribute);
        wire_int(&a, 3, (uint64_t)(int64_t)value);
        wire_message(&node, 5, &a);
    }
    wire_message(graph, 1, &node);
}

static Network *import(Fixture *f, const Text *graph, Bytes *bytes)
{
    Text model = text_new(f->arena), opset = text_new(f->arena);
    wire_int(&opset, 2, 13);
    wire_message(&model, 7, graph);
    wire_message(&model, 8, &opset);
    *bytes = bytes_of(&model);
    Module *m = module_new(f->arena, f->diags);
    Network *net = fe_read_onnx(m, f->source, *bytes, "net");
    Text why = text_new(f->arena);
    CU_ASSERT(!net || ir_verify(m, &why));
    return net;
}

static const Op *find_op(const Network *net, OpKind kind)
{
    for (const Op *op = net->body->first; op; op = op->next)
        if (op->kind == kind)
            return op;
    return NULL;
}

/* y = W x + b for x = (1, 10), through the interpreter. */
static void check_affine(Network *net)
{
    const float x[2] = {1, 10};
    float y[2];
    Interp *in = interp_new(net->module->arena, net);
    CU_ASSERT(interp_run(in, (const void *const[]){x}, (void *const[]){y}, NULL, NULL, NULL) == 0);
    CU_ASSERT(y[0] == 21.5f && y[1] == 42.25f);
}

static const float W[4] = {1, 2, 3, 4}, W_turned[4] = {1, 3, 2, 4}, b[2] = {0.5f, -0.75f}, b_negated[2] = {-0.5f, 0.75f};

/* All the ways to say an affine map give one op, borrowed weights, and the same numbers. */
static void onnx_affine_forms(void)
{
    static const struct { const char *first, *second, *attribute; const float *w, *b; } cases[] = {
        {"Gemm x W b -> y", NULL, "transB", W, b},
        {"MatMul x W -> m", "Add m b -> y", NULL, W_turned, b},
        {"MatMul x W -> m", "Add b m -> y", NULL, W_turned, b},
        {"MatMul x W -> m", "Sub m b -> y", NULL, W_turned, b_negated}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Text graph = text_new(f.arena);
        Bytes bytes;
        add_node(f.arena, &graph, cases[i].first, cases[i].attribute, 1);
        if (cases[i].second)
            add_node(f.arena, &graph, cases[i].second, NULL, 0);
        add_tensor(f.arena, &graph, "W", (int[]){2, 2, 0}, cases[i].w);
        add_tensor(f.arena, &graph, "b", (int[]){2, 0}, cases[i].b);
        add_value(f.arena, &graph, 11, "x", (int[]){99, 2, 0});
        add_value(f.arena, &graph, 12, "y", (int[]){99, 2, 0});
        Network *net = import(&f, &graph, &bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(net);
        CU_ASSERT(type_equal(net->input[0].type, type_vector(type_f32(), 2)) && type_equal(net->output[0].type, type_vector(type_f32(), 2)));
        const Op *op = find_op(net, OP_affine);
        CU_ASSERT_PTR_NOT_NULL_FATAL(op);
        CU_ASSERT(op->cst[AFFINE_b] != 0 && !find_op(net, OP_add) && !find_op(net, OP_sub));
        const uint8_t *weights = const_get(net->module, op->cst[AFFINE_W])->data;
        CU_ASSERT(weights >= bytes.at && weights < bytes.at + bytes.len);
        check_affine(net);
        arena_free(f.arena);
    }
}

/* A product that two nodes use keeps its own value. */
static void onnx_shared_product(void)
{
    Fixture f = set_up();
    Text graph = text_new(f.arena);
    Bytes bytes;
    add_node(f.arena, &graph, "MatMul x W -> m", NULL, 0);
    add_node(f.arena, &graph, "Add m b -> a", NULL, 0);
    add_node(f.arena, &graph, "Add a m -> s", NULL, 0);
    add_node(f.arena, &graph, "Sub s m -> y", NULL, 0);
    add_tensor(f.arena, &graph, "W", (int[]){2, 2, 0}, W_turned);
    add_tensor(f.arena, &graph, "b", (int[]){2, 0}, b);
    add_value(f.arena, &graph, 11, "x", (int[]){1, 2, 0});
    add_value(f.arena, &graph, 12, "y", (int[]){1, 2, 0});
    Network *net = import(&f, &graph, &bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(net);
    CU_ASSERT(find_op(net, OP_affine)->cst[AFFINE_b] == 0);
    check_affine(net);
    arena_free(f.arena);
}

/* Every node that cannot be compiled is named, not only the first; what depends on them is silent. */
static void onnx_reports_all(void)
{
    Fixture f = set_up();
    Text graph = text_new(f.arena);
    Bytes bytes;
    add_node(f.arena, &graph, "LSTM x -> a", NULL, 0);
    add_node(f.arena, &graph, "Relu a -> c", NULL, 0);
    add_node(f.arena, &graph, "MaxPool c -> y", NULL, 0);
    add_value(f.arena, &graph, 11, "x", (int[]){1, 2, 0});
    add_value(f.arena, &graph, 12, "y", (int[]){1, 2, 0});
    CU_ASSERT(!import(&f, &graph, &bytes));
    CU_ASSERT(diag_errors(f.diags) == 2);
    const char *all = messages(&f);
    CU_ASSERT(strstr(all, "`a` (LSTM): this operator is not supported") && strstr(all, "`y` (MaxPool)"));
    arena_free(f.arena);
}

static void onnx_refuses_every_truncation(void)
{
    Fixture f = set_up();
    Text graph = text_new(f.arena);
    Bytes bytes;
    add_node(f.arena, &graph, "Gemm x W b -> y", "transB", 1);
    add_tensor(f.arena, &graph, "W", (int[]){2, 2, 0}, W);
    add_tensor(f.arena, &graph, "b", (int[]){2, 0}, b);
    add_value(f.arena, &graph, 11, "x", (int[]){1, 2, 0});
    add_value(f.arena, &graph, 12, "y", (int[]){1, 2, 0});
    CU_ASSERT_PTR_NOT_NULL(import(&f, &graph, &bytes));
    size_t whole = graph.len + 2; /* the graph; the opset behind it may be missing */
    for (size_t len = 0; len < whole; len++) {
        Fixture g = set_up();
        uint8_t *copy = exact_copy(bytes, len);
        CU_ASSERT(!fe_read_onnx(module_new(g.arena, g.diags), g.source, (Bytes){copy, len}, "net"));
        CU_ASSERT(diag_errors(g.diags) > 0);
        arena_free(g.arena);
        free(copy);
    }
    arena_free(f.arena);
}

static const char *source_text(Fixture *f, const char *name)
{
    Bytes bytes = {0};
    CU_ASSERT_FATAL(file_read(f->arena, f->diags, NOWHERE, str_printf(f->arena, "%s/frontend/%s", CNET_SOURCE_ROOT, name), &bytes));
    return str_ndup(f->arena, (const char *)bytes.at, bytes.len);
}

/* Every row of the tables of operators is named in the manual. */
static void onnx_manual_is_complete(void)
{
    static const char *const files[] = {"onnx_linear.c", "onnx_pointwise.c", "onnx_shape.c", "onnx_constant.c", "onnx_reduce.c"};
    Fixture f = set_up();
    const char *manual = source_text(&f, "formats.md");
    size_t found = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (const char *row = source_text(&f, files[i]); (row = strstr(row, "\n    {\"")); row++, found++) {
            const char *name = str_ndup(f.arena, row + 7, strcspn(row + 7, "\"")), *at = manual;
            size_t len = strlen(name);
            while ((at = strstr(at, name)) && (strchr(" ,|", at[-1]) == NULL || strchr(" ,|", at[len]) == NULL))
                at++;
            if (!at)
                fprintf(stderr, "\n%s is not in frontend/formats.md", name);
            CU_ASSERT_PTR_NOT_NULL(at);
        }
    CU_ASSERT(found > 40);
    arena_free(f.arena);
}

/* ---- nnet ---- */

static void nnet_normalises(void)
{
    static const char text[] = "// two inputs, two hidden, one output\n2,2,1,2,\n2,2,1,\n0,\n-1,-2,\n1,2,\n0.5,0,10,\n2,4,3,\n"
                               "1,0,\n0,1,\n0.25,\n-8,\n-2,1,\n0.5,\n";
    Fixture f = set_up();
    Module *m = module_new(f.arena, f.diags);
    Network *net = fe_read_nnet(m, diag_source(f.diags, "t.nnet", text, strlen(text)), (Bytes){(const uint8_t *)text, strlen(text)}, "net");
    CU_ASSERT_PTR_NOT_NULL_FATAL(net);
    Text why = text_new(f.arena);
    CU_ASSERT(ir_verify(m, &why));
    const float x[2] = {1.5f, 4};
    float y;
    CU_ASSERT(interp_run(interp_new(f.arena, net), (const void *const[]){x}, (void *const[]){&y}, NULL, NULL, NULL) == 0);
    CU_ASSERT(y == (-2 * (0.5f + 0.25f) + 0 + 0.5f) * 3 + 10); /* hidden: relu(0.75), relu(1 - 8); none at the end */
    const Const *box = const_get(m, net->input[0].box);
    CU_ASSERT(box && const_f64(box, 1) == -2 && const_f64(box, 2) == 1);
    arena_free(f.arena);
}

/* ---- box ---- */

static Network *relu_of(Fixture *f, uint32_t n)
{
    Module *m = module_new(f->arena, f->diags);
    Network *net = network_new(m, "net", NOWHERE);
    Value x = network_add_input(net, "x", type_vector(type_f32(), n), 0, NOWHERE);
    network_add_output(net, "y", type_vector(type_f32(), n), NOWHERE);
    Builder build = builder_at_end(net->body);
    x = build_unary(&build, OP_relu, x);
    build_return(&build, 1, &x, 0);
    network_done(net);
    return net;
}

static void boxes(void)
{
    static const struct { const char *box, *message; double lo, hi; } cases[] = {
        {"-1:2", NULL, -1, 2}, {"0:1,-1:2", NULL, -1, 2}, {"0:1,0.1:0x1p4", NULL, 0.1f, 16}, {"1:0", "is empty", 0, 0}, {"0:1,0:1,0:1", "expected 2 intervals", 0, 0},
        {"0:inf", "not finite", 0, 0}, {"a:b", "`a:b` is no interval", 0, 0}, {"", "no interval", 0, 0}, {"0:1,", "no interval", 0, 0}, {"0:1e60", "no interval of f32", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Network *net = relu_of(&f, 2);
        CU_ASSERT(fe_set_box(net, cases[i].box) == (cases[i].message == NULL));
        if (cases[i].message) {
            CU_ASSERT(says(&f, cases[i].message));
        } else {
            const Const *box = const_get(net->module, net->input[0].box);
            CU_ASSERT(const_f64(box, 1) == cases[i].lo && const_f64(box, 3) == cases[i].hi);
        }
        arena_free(f.arena);
    }
}

/* ---- export: the same function, bit for bit ---- */

static uint64_t fingerprint(Network *net)
{
    Arena *arena = net->module->arena;
    Interp *in = interp_new(arena, net);
    uint64_t hash = 0, state = 1;
    size_t inputs = (size_t)type_count(net->input[0].type), outputs = (size_t)type_count(net->output[0].type) * type_element_bytes(net->output[0].type);
    uint8_t *y = arena_alloc(arena, outputs);
    for (int run = 0; run < 20; run++) {
        float *x = NEW_ARRAY(arena, inputs, float);
        double *wide = NEW_ARRAY(arena, inputs, double);
        for (size_t i = 0; i < inputs; i++) {
            state = state * UINT64_C(6364136223846793005) + 1;
            x[i] = (float)(state >> 40) / 0x1p23f - 1;
            wide[i] = (double)x[i];
        }
        interp_run(in, (const void *const[]){net->input[0].type.elem == ELEM_F64 ? (const void *)wide : x}, (void *const[]){y}, NULL, NULL, NULL);
        hash = hash * 31 + hash_bytes(y, outputs).lo;
    }
    return hash;
}

static void export_one(const char *path, const char *box)
{
    Fixture f = set_up();
    LoadOptions options = {.box = box};
    const char *cnet = temporary(&f, "export.cnet"), *weights = temporary(&f, "export.safetensors");
    Module *m = fe_load(f.arena, f.diags, path, &options, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    bool good = fe_export_cnet(m->networks.at[0], f.diags, cnet);
    Module *again = good ? fe_load(f.arena, f.diags, cnet, &(LoadOptions){0}, NULL) : NULL;
    CU_ASSERT_PTR_NOT_NULL(again);
    if (again) {
        CU_ASSERT(fingerprint(m->networks.at[0]) == fingerprint(again->networks.at[0]));
        ConstId a = m->networks.at[0]->input[0].box, b_ = again->networks.at[0]->input[0].box;
        CU_ASSERT((a == 0) == (b_ == 0) && (!a || hash_equal(const_hash(const_get(m, a)), const_hash(const_get(again, b_)))));
    }
    CU_ASSERT_STRING_EQUAL(messages(&f), "");
    unlink(cnet);
    unlink(weights);
    arena_free(f.arena);
}

static void exports_reload(void)
{
    static const struct { const char *name, *box; } nets[] = {
        {"acasxu_1_1", "-1:1,0.123456789:0.3,-1e-5:1,0:1,0:0"}, {"unicycle", NULL}, {"tll_8", "-2:2"}, {"single_pendulum", NULL}, {"acc_5_20", NULL}, {"vcas_01", NULL}, {"cartpole", NULL}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/../shared/data/nets/%s.onnx", CNET_SOURCE_ROOT, nets[i].name);
        if (access(path, R_OK) != 0) {
            printf("skipped: the real networks are not here ");
            return;
        }
        export_one(path, nets[i].box);
    }
}

/* ---- out of memory ---- */

/* Imports with the n-th allocation failing; true when that made it fail. */
static bool unwinds_at(size_t n)
{
    Fixture f = set_up();
    Text graph = text_new(f.arena);
    Bytes bytes;
    volatile bool unwound = true;
    add_node(f.arena, &graph, "Gemm x W b -> y", "transB", 1);
    add_tensor(f.arena, &graph, "W", (int[]){2, 2, 0}, W);
    add_tensor(f.arena, &graph, "b", (int[]){2, 0}, b);
    add_value(f.arena, &graph, 11, "x", (int[]){1, 2, 0});
    add_value(f.arena, &graph, 12, "y", (int[]){1, 2, 0});
    if (!ARENA_GUARD(f.arena)) {
        arena_fail_after(f.arena, n);
        unwound = import(&f, &graph, &bytes) == NULL;
    }
    arena_fail_after(f.arena, 0);
    arena_free(f.arena);
    return unwound;
}

/* Whichever allocation fails, the import unwinds to its guard and leaves nothing behind. */
static void import_unwinds(void)
{
    size_t n = 1;
    while (n < 400 && unwinds_at(n))
        n++;
    CU_ASSERT(n > 20 && n < 400);
}

void suite_formats(void)
{
    CU_pSuite s = CU_add_suite("formats", NULL, NULL);
    CU_add_test(s, "npy: little-endian row-major floats are borrowed", npy_borrows);
    CU_add_test(s, "npy: other encodings are widened", npy_widens);
    CU_add_test(s, "npy: Fortran order is turned", npy_turns_fortran_order);
    CU_add_test(s, "npy: headers that lie", npy_refuses);
    CU_add_test(s, "npy: every truncation", npy_refuses_every_truncation);
    CU_add_test(s, "safetensors: borrowed, metadata skipped", safetensors_reads);
    CU_add_test(s, "safetensors: headers that lie", safetensors_refuses);
    CU_add_test(s, "tables as text", tables_as_text);
    CU_add_test(s, "tables as text: refused, with the place", tables_refused);
    CU_add_test(s, "tables from arrays", tables_from_arrays);
    CU_add_test(s, "tables written and read again", tables_written_and_read);
    CU_add_test(s, "onnx: the ways to say an affine map", onnx_affine_forms);
    CU_add_test(s, "onnx: a product used twice", onnx_shared_product);
    CU_add_test(s, "onnx: all that is unsupported is reported", onnx_reports_all);
    CU_add_test(s, "onnx: every truncation", onnx_refuses_every_truncation);
    CU_add_test(s, "onnx: the manual names every operator", onnx_manual_is_complete);
    CU_add_test(s, "nnet: normalisation and box", nnet_normalises);
    CU_add_test(s, "boxes on the command line", boxes);
    CU_add_test(s, "exported text is the same function", exports_reload);
    CU_add_test(s, "import runs out of memory anywhere", import_unwinds);
}
