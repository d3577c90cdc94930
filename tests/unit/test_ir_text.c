/* test_ir_text.c — the text form: printing and reading back, what the reader refuses and how, the verifier's rules, the manual.
 *
 * Most cases are tables of texts; the property at the centre is print(read(print(m))) == print(m) on random networks.
 */
#include "../../ir/ir.h"
#include "random_net.h"

#include <CUnit/Basic.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CNET_SOURCE_ROOT
#define CNET_SOURCE_ROOT "."
#endif

void suite_ir_text(void);

/* ---- helpers ---- */

typedef struct Fixture { Arena *arena; Diags *diags; } Fixture;

static Fixture set_up(void)
{
    Arena *arena = arena_new(NULL);
    return (Fixture){arena, diag_new(arena)};
}

typedef struct Stream { FILE *out; char *text; size_t len; } Stream;

static void stream_open(Stream *s)
{
    s->out = open_memstream(&s->text, &s->len);
    if (!s->out)
        CU_FAIL_FATAL("no stream");
}

static char *stream_text(Arena *arena, Stream *s)
{
    fclose(s->out);
    char *text = str_ndup(arena, s->text, s->len);
    free(s->text);
    return text;
}

static char *printed(Arena *arena, const Module *m, const PrintOptions *options)
{
    Stream s;
    stream_open(&s);
    ir_print(m, s.out, options);
    return stream_text(arena, &s);
}

static char *messages(const Fixture *f)
{
    Stream s;
    stream_open(&s);
    diag_flush(f->diags, s.out, DIAG_PLAIN);
    return stream_text(f->arena, &s);
}

static Module *read_text(const Fixture *f, const char *text)
{
    return ir_read_text(f->arena, f->diags, "t", text, strlen(text));
}

/* Says what differs: CUnit would only say that something does. */
static bool same_text(const char *what, const char *found, const char *wanted)
{
    if (strcmp(found, wanted) == 0)
        return true;
    size_t at = 0;
    while (found[at] && found[at] == wanted[at])
        at++;
    while (at > 0 && found[at - 1] != '\n')
        at--;
    fprintf(stderr, "\n%s:\n  found    %.300s\n  expected %.300s\n", what, found + at, wanted + at);
    return false;
}

static char *source_path(Arena *arena, const char *path)
{
    const char *root = getenv("CNET_SOURCE_ROOT");
    return str_printf(arena, "%s/%s", root ? root : CNET_SOURCE_ROOT, path);
}

static char *file_text(Arena *arena, const char *path)
{
    Bytes bytes;
    if (!file_read(arena, diag_new(arena), NOWHERE, path, &bytes))
        return NULL;
    return str_ndup(arena, (const char *)bytes.at, bytes.len);
}

static const PrintOptions WHOLE = {.inline_all = true, .sites = true};

/* ---- round trips ---- */

static const char *without_comments(const char *text)
{
    while (*text == '#') {
        const char *end = strchr(text, '\n');
        text = end ? end + 1 : text + strlen(text);
    }
    return text;
}

static int select_cnir(const struct dirent *entry) { return str_ends(entry->d_name, ".cnir"); }

static void saved_texts_print_as_they_are(void)
{
    Fixture f = set_up();
    struct dirent **entry;
    const char *folder = source_path(f.arena, "tests/ir/roundtrip");
    int n = scandir(folder, &entry, select_cnir, alphasort);
    CU_ASSERT(n >= 5);
    for (int i = 0; i < n; i++) {
        const char *path = str_printf(f.arena, "%s/%s", folder, entry[i]->d_name);
        Module *m = ir_read(f.arena, f.diags, path);
        CU_ASSERT_PTR_NOT_NULL(m);
        CU_ASSERT_STRING_EQUAL(messages(&f), "");
        if (m)
            CU_ASSERT(same_text(path, printed(f.arena, m, &WHOLE), without_comments(file_text(f.arena, path))));
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    arena_free(f.arena);
}

static bool round_trips(uint64_t seed, RandomNetOptions options)
{
    Fixture f = set_up();
    Module *m = module_new(f.arena, f.diags);
    Network *net = random_network(m, seed, options);
    net->options = (NetOptions){(Numerics)(seed % 2), (Contract)(seed / 2 % 2), (Outside)(seed / 4 % 4)};
    net->certified_error = seed % 3 ? 0 : 0x1.8p-20;
    Text why = text_new(f.arena);
    char *what = str_printf(f.arena, "seed %llu, features %x", (unsigned long long)seed, options.features);
    bool good = ir_verify(m, &why);
    if (!good)
        fprintf(stderr, "\n%s: %s\n", what, why.at);
    char *once = printed(f.arena, m, &WHOLE);
    Module *again = good ? read_text(&f, once) : NULL;
    if (good && !again)
        fprintf(stderr, "\n%s:\n%s\n", what, messages(&f));
    good = again && ir_verify(again, &why) && same_text(what, printed(f.arena, again, &WHOLE), once);
    for (ConstId id = 1; good && id < m->consts.len; id++) /* the bytes, not only their text */
        good = hash_equal(const_hash(const_get(m, id)), const_hash(const_get(again, id)));
    arena_free(f.arena);
    return good;
}

static void random_networks_round_trip(void)
{
    static const unsigned features[] = {0, RANDOM_DENSE, RANDOM_ALL & ~(unsigned)RANDOM_EMPTY, RANDOM_ALL};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        for (uint64_t seed = 0; seed < 150; seed++)
            CU_ASSERT(round_trips(seed, (RandomNetOptions){features[i], 8 + (uint32_t)seed % 40}));
}

/* Else the property above would say little. */
static void random_networks_use_every_op(void)
{
    Fixture f = set_up();
    Module *m = module_new(f.arena, f.diags);
    bool used[OP__COUNT] = {false};
    for (uint64_t seed = 0; seed < 150; seed++) {
        Network *net = random_network(m, seed, (RandomNetOptions){RANDOM_ALL, 40});
        OpWalk walk;
        FOR_EACH_OP (walk, op, net)
            used[op->kind] = true;
    }
    used[OP_memorize] = true;     /* no code is made for it: it has tests of its own */
    for (int k = 0; k < OP__COUNT; k++) {
        if (!used[k])
            fprintf(stderr, "\nno random network has `%s`: give it a maker in random_net.c\n", op_info(m, (OpKind)k)->name);
        CU_ASSERT(used[k]);
    }
    arena_free(f.arena);
}

static void sites_and_lowerings_survive(void)
{
    Fixture f = set_up();
    Module *m = read_text(&f, "network @f(%x: f32[2]) -> f32[2] {\n"
                              "    %s = active %x, pred = gt0 !site(7)\n"
                              "    %t = active %x, pred = gt0\n"
                              "    each %s !site(3) !lower(list) { |%i: idx[2]|\n        yield\n    }\n"
                              "    return %x\n}\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    const Op *s = m->networks.at[0]->body->first, *t = s->next, *each = t->next;
    CU_ASSERT_EQUAL(s->site, 7);
    CU_ASSERT_EQUAL(t->site, 8);
    CU_ASSERT_EQUAL(each->site, 3);
    CU_ASSERT_EQUAL(each->lower, LOWER_list);
    CU_ASSERT_EQUAL(m->networks.at[0]->last_site, 8);
    CU_ASSERT_PTR_NULL(strstr(printed(f.arena, m, &(PrintOptions){.sites = false}), "!site"));
    arena_free(f.arena);
}

static void lowerings_print_and_read(void)
{
    static const char *const words[] = {"dense", "mask", "list", "branch"};
    for (int i = 0; i < 4; i++) {
        Fixture f = set_up();
        Module *m = read_text(&f, str_printf(f.arena, "network @f(%%x: f32[2]) -> f32[2] {\n    %%y = relu %%x !lower(%s)\n    return %%y\n}\n", words[i]));
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        CU_ASSERT_EQUAL(m->networks.at[0]->body->first->lower, (Lower)(i + 1));
        CU_ASSERT_PTR_NOT_NULL(strstr(printed(f.arena, m, NULL), str_printf(f.arena, " !lower(%s)", words[i])));
        arena_free(f.arena);
    }
}

/* Quadratic, this would take minutes. */
static void one_name_for_many_values_takes_linear_time(void)
{
    Fixture f = set_up();
    Module *m = module_new(f.arena, f.diags);
    Network *net = network_new(m, "f", NOWHERE);
    Value v = network_add_input(net, "h", type_f32(), 0, NOWHERE);
    network_add_output(net, "y", type_f32(), NOWHERE);
    Builder b = builder_at_end(net->body);
    for (int i = 2; i <= 100000; i++) {
        v = build_unary(&b, OP_relu, v);
        value_name(net, v, "h");
    }
    build_return(&b, 1, &v, 0);
    network_done(net);
    CU_ASSERT_PTR_NOT_NULL(strstr(printed(f.arena, m, NULL), "    return %h.100000\n"));
    arena_free(f.arena);
}

static void ops_know_their_place_in_the_text(void)
{
    Fixture f = set_up();
    const char *text = "network @f(%x: f32[2]) -> f32[2] {\n    %y = relu %x : f32[2]\n    return %y\n}\n";
    Module *m = read_text(&f, text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    const Op *relu = m->networks.at[0]->body->first;
    CU_ASSERT_EQUAL(relu->span.begin, strstr(text, "%y =") - text);
    CU_ASSERT_EQUAL(relu->span.end, strstr(text, "\n    return") - text);
    const ValueInfo *y = value_info(m->networks.at[0], relu->result[0]);
    CU_ASSERT_EQUAL(y->span.end - y->span.begin, 2);
    CU_ASSERT_STRING_EQUAL(y->name, "y");
    arena_free(f.arena);
}

/* ---- the side file ---- */

typedef struct Folder { char path[256], text[300], data[300]; } Folder;

static Folder folder_new(void)
{
    Folder folder;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/cnet-text-XXXXXX", tmp && strlen(tmp) < 200 ? tmp : P_tmpdir);
    if (!mkdtemp(folder.path))
        CU_FAIL_FATAL("no temporary folder");
    snprintf(folder.text, sizeof folder.text, "%s/net.cnir", folder.path);
    snprintf(folder.data, sizeof folder.data, "%s/net.cnir.data", folder.path);
    return folder;
}

static void folder_remove(const Folder *folder)
{
    unlink(folder->text);
    unlink(folder->data);
    rmdir(folder->path);
}

static void put_file(const char *path, const char *bytes, size_t len)
{
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(bytes, 1, len, out) != len || fclose(out) != 0)
        CU_FAIL_FATAL("cannot write a temporary file");
}

/* The two files of a dump; returns the text. */
static char *dump(Arena *arena, const Module *m, const Folder *folder)
{
    Stream data;
    stream_open(&data);
    char *text = printed(arena, m, &(PrintOptions){.data_name = "net.cnir.data", .data = data.out, .sites = true});
    fclose(data.out);
    put_file(folder->text, text, strlen(text));
    put_file(folder->data, data.text, data.len);
    free(data.text);
    return text;
}

static const float some_weights[40] = {1, -2, 3.5f, [39] = 0x1p-149f};

/* A matrix, its transposed view, and a tree too large for the text. */
static Module *module_with_large_constants(const Fixture *f)
{
    Module *m = module_new(f->arena, f->diags);
    ConstId w = const_add(m, "W", type_matrix(type_f32(), 5, 8), some_weights, NOWHERE);
    const_transposed(m, w, (uint32_t[]){1, 0});
    const_stack(m, w);
    enum { NODES = 20 };
    Tree *tree = NEW(f->arena, Tree);
    TreeNode *node = NEW_ARRAY(f->arena, NODES, TreeNode);
    TreeLeaf *leaf = NEW_ARRAY(f->arena, NODES + 1, TreeLeaf);
    int64_t *threshold = NEW_ARRAY(f->arena, NODES, int64_t);
    for (int32_t i = 0; i < NODES; i++) {
        threshold[i] = 1000 - 100 * i;
        node[i] = (TreeNode){(uint32_t)i % 2, {i + 1 < NODES ? i + 1 : ~NODES, ~i}};
        leaf[i] = (TreeLeaf){0, (uint32_t)i};
    }
    *tree = (Tree){type_int(64), 2, NODES, NODES + 1, 1, NODES, (const uint8_t *)threshold, node, leaf};
    const_tree(m, "T", tree, NOWHERE);
    Network *net = network_new(m, "f", NOWHERE);
    Value x = network_add_input(net, "x", type_vector(type_f32(), 8), 0, NOWHERE);
    network_add_output(net, "y", type_vector(type_f32(), 5), NOWHERE);
    Builder b = builder_at_end(net->body);
    Value y = build_affine(&b, x, w, 0, 1);
    build_return(&b, 1, &y, 0);
    network_done(net);
    return m;
}

static void large_constants_lie_beside_the_text(void)
{
    Fixture f = set_up();
    Folder folder = folder_new();
    char *text = dump(f.arena, module_with_large_constants(&f), &folder);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "data \"net.cnir.data\"\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "const @W : f32[5,8] = data 64 xxh "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "const @W.2 : f32[8,5] = view @W [1, 8]\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "const @W.3 : stack f32[5,8] = view @W [8, 1]\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "const @T : tree i64 keys 2 nodes 20 leaves 21 classes 1 slots 20 = data 256 xxh "));
    Module *m = ir_read(f.arena, f.diags, folder.text);
    CU_ASSERT_STRING_EQUAL(messages(&f), "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    const Const *w = const_get(m, 1), *view = const_get(m, 2);
    CU_ASSERT_EQUAL((uintptr_t)w->data % 64, 0);
    CU_ASSERT(memcmp(w->data, some_weights, sizeof some_weights) == 0);
    CU_ASSERT_PTR_EQUAL(view->data, w->data);
    CU_ASSERT_EQUAL(const_get(m, 4)->tree->node[3].child[1], ~3);
    char again[300];
    snprintf(again, sizeof again, "%s", folder.text);
    CU_ASSERT(same_text(again, dump(f.arena, m, &folder), text)); /* replaces the files: `m` is not used from here on */
    folder_remove(&folder);
    arena_free(f.arena);
}

static void reads_with(const char *what, const char *text, const char *data, size_t len, const char *expected)
{
    Fixture f = set_up();
    Folder folder = folder_new();
    put_file(folder.text, text, strlen(text));
    if (data)
        put_file(folder.data, data, len);
    Module *m = ir_read(f.arena, f.diags, folder.text);
    char *found = messages(&f);
    if ((m != NULL) != (expected == NULL) || (expected && !strstr(found, expected)))
        fprintf(stderr, "\n%s:\n%s\n", what, found);
    CU_ASSERT((m != NULL) == (expected == NULL));
    CU_ASSERT(!expected || strstr(found, expected));
    folder_remove(&folder);
    arena_free(f.arena);
}

static char *replaced(Arena *arena, const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    return str_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static void side_files_are_not_believed(void)
{
    Fixture f = set_up();
    Folder folder = folder_new();
    char *text = dump(f.arena, module_with_large_constants(&f), &folder);
    Bytes bytes;
    CU_ASSERT_FATAL(file_read(f.arena, f.diags, NOWHERE, folder.data, &bytes));
    size_t len = bytes.len;
    char *data = arena_alloc(f.arena, len);
    memcpy(data, bytes.at, len);
    folder_remove(&folder);
    reads_with("as written", text, data, len, NULL);
    reads_with("no side file", text, NULL, 0, "net.cnir.data");
    reads_with("empty", text, data, 0, "is not a side file of constants");
    reads_with("cut in the header", text, data, 63, "is not a side file of constants");
    reads_with("cut in a constant", text, data, 64 + 159, "the side file has 223 bytes; `@W` would need 160 from offset 64");
    reads_with("cut at the end", text, data, len - 1, "`@T` would need");
    reads_with("no line `data`", replaced(f.arena, text, "data \"net.cnir.data\"\n", ""), data, len, "no line `data \"FILE\"` above");
    reads_with("elsewhere", replaced(f.arena, text, "\"net.cnir.data\"", "\"../net.cnir.data\""), data, len, "has no directory");
    reads_with("offset", replaced(f.arena, text, "data 64 ", "data 68 "), data, len, "multiples of 64");
    reads_with("header", replaced(f.arena, text, "data 64 ", "data 0 "), data, len, "multiples of 64");
    reads_with("beyond", replaced(f.arena, text, "data 64 ", "data 9223372036854775744 "), data, len, "the side file has");
    reads_with("larger", replaced(f.arena, text, "f32[5,8] =", "f32[5000000,800000] ="), data, len, "would need 16000000000000 from offset 64");
    reads_with("shape", replaced(f.arena, text, "f32[5,8] =", "f32[8,5] ="), data, len, "have another hash");
    data[64] ^= 1;
    reads_with("one bit", text, data, len, "the contents of `@W` in the side file have another hash");
    data[64] ^= 1;
    reads_with("a view one beyond", replaced(f.arena, text, "[1, 8]", "[4, 3]"), data, len, "these strides reach beyond the 40 elements of `@W`");
    reads_with("a view beyond", replaced(f.arena, text, "[1, 8]", "[1, 9]"), data, len, "these strides reach beyond the 40 elements of `@W`");
    arena_free(f.arena);
}

/* Without a side file a dump is for reading by people. */
static void dumps_without_contents_say_how_to_get_them(void)
{
    Fixture f = set_up();
    char *text = printed(f.arena, module_with_large_constants(&f), NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "const @W : f32[5,8] = xxh "));
    CU_ASSERT_PTR_NULL(read_text(&f, text));
    char *found = messages(&f);
    CU_ASSERT_PTR_NOT_NULL(strstr(found, "write it with `-o FILE`, which puts them beside it, or with `--inline-constants`"));
    CU_ASSERT_PTR_NULL(strstr(found, "@T")); /* said once */
    Module *m = read_text(&f, printed(f.arena, module_with_large_constants(&f), &WHOLE));
    CU_ASSERT_PTR_NOT_NULL(m);
    arena_free(f.arena);
}

/* ---- diagnostics: the whole message ---- */

typedef struct Bad { const char *text, *expected; } Bad;

#define NET(body)     "network @f(%x: f32[2]) -> (y: f32[2]) {\n" body "}\n"
#define LINE(op)      NET("    " op "\n    return %x\n")

static const Bad bad_texts[] = {
    {LINE("%y = afine %x"), "t:2:10: error: no operation `afine`; did you mean `affine`?\n"
                            "        %y = afine %x\n             ^~~~~\n"},
    {LINE("%y = relu %xx"), "t:2:15: error: no value `%xx` is defined above; did you mean `%x`?\n"
                            "        %y = relu %xx\n                  ^~~\n"},
    {LINE("%y = relu %x, %x"), "t:2:19: error: `relu` takes no more operands; it reads `%a`\n"
                               "        %y = relu %x, %x\n                      ^~\n"},
    {LINE("%y = relu"), "t:2:5: error: `relu` needs its `%a`; it reads `%a`\n        %y = relu\n        ^~~~~~~~~\n"},
    {LINE("%y = relu %x : f32[3]"), "t:2:20: error: `relu` gives f32[2] here, found f32[3]\n"
                                    "        %y = relu %x : f32[3]\n                       ^~~~~~\n"},
    {LINE("%y, %z = relu %x"), "t:2:5: error: `relu` gives 1 result here, found 2 names\n"
                               "        %y, %z = relu %x\n        ^~~~~~~~~~~~~~~~\n"},
    {LINE("relu %x"), "t:2:5: error: `relu` gives 1 result here, found 0 names\n        relu %x\n        ^~~~~~~\n"},
    {LINE("%x = relu %x"), "t:2:5: error: `%x` is defined already, and its name is not free until its block ends\n"
                           "        %x = relu %x\n        ^~\n"
                           "t:1:12: note: here\n    network @f(%x: f32[2]) -> (y: f32[2]) {\n               ^~\n"},
    {LINE("%y = cmp %x, %x, pred = lessthan"), "t:2:29: error: `lessthan` is not a `pred` of `cmp`: it is one of `eq`, `ne`, `lt`, `le`, `gt`, `ge`\n"
                                               "        %y = cmp %x, %x, pred = lessthan\n                                ^~~~~~~~\n"},
    {LINE("%y = cmp %x, %x, prod = lt"), "t:2:22: error: `cmp` has no `prod`; did you mean `pred`?\n"
                                         "        %y = cmp %x, %x, prod = lt\n                         ^~~~\n"},
    {LINE("%y = cmp %x, %x"), "t:2:5: error: `cmp` needs its `pred`; it reads `%a, %b, pred:cmp`\n"
                              "        %y = cmp %x, %x\n        ^~~~~~~~~~~~~~~\n"},
    {LINE("%y = cmp %x, %x, pred = lt, pred = gt"), "t:2:33: error: `pred` is given twice\n"
                                                    "        %y = cmp %x, %x, pred = lt, pred = gt\n                                    ^~~~\n"},
    {LINE("%y = dot %x, %x, order = chains(3)"), "t:2:30: error: chains(3): expected a power of two up to 16\n"
                                                 "        %y = dot %x, %x, order = chains(3)\n                                 ^~~~~~~~~\n"},
    {LINE("%y = relu %x !sites(3)"), "t:2:18: error: no annotation `!sites`; did you mean `site`?\n"
                                     "        %y = relu %x !sites(3)\n                     ^~~~~~\n"},
    {LINE("%y = relu %x !lower(masks)"), "t:2:25: error: `masks` is not a lowering; did you mean `mask`?\n"
                                         "        %y = relu %x !lower(masks)\n                            ^~~~~\n"},
    {LINE("%y = affine %x, @w"), "t:2:21: error: no constant `@w` is defined above\n"
                                 "        %y = affine %x, @w\n                        ^~\n"},
    {LINE("%y = affine @w, %x"), "t:2:17: error: expected a value `%x`, found `@w`\n"
                                 "        %y = affine @w, %x\n                    ^~\n"},
    {LINE("%y = call %x, callee = @g"), "t:2:28: error: no network `@g` is defined above (a callee comes before its callers)\n"
                                        "        %y = call %x, callee = @g\n                               ^~\n"},
    {LINE("%y = call %x, callee = @f"), "t:2:28: error: `@f` calls itself; calls must be acyclic\n"
                                        "        %y = call %x, callee = @f\n                               ^~\n"},
    {LINE("%y = cast %x"), "t:2:5: error: `cast`: its result type must be given\n        %y = cast %x\n        ^~~~~~~~~~~~\n"},
    {LINE("%y = slice %x, from = [1] : f32[2]"), "t:2:5: error: `slice`: a slice of f32[2] reaches beyond its dim 0: from 1, 2 elements\n"
                                                 "        %y = slice %x, from = [1] : f32[2]\n        ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"},
    {LINE("%y = relu %x $"), "t:2:18: error: unexpected character `$`\n        %y = relu %x $\n                     ^\n"},
    {LINE("%y = relu %\"x"), "t:2:16: error: the quote opened here is not closed on its line\n        %y = relu %\"x\n                   ^~\n"},
    {LINE("%y = relu %x %x"), "t:2:18: error: expected `,` or the end of the line, found `%x`\n"
                              "        %y = relu %x %x\n                     ^~\n"},
    {LINE("%y = splat %x : f16[2]"), "t:2:21: error: no type `f16`; did you mean `i16`?\n"
                                     "        %y = splat %x : f16[2]\n                        ^~~\n"},
    {LINE("%y = splat %x : i65537"), "t:2:21: error: no type `i65537`\n        %y = splat %x : i65537\n                        ^~~~~~\n"},
    {LINE("%y = splat %x : f32[2000000000,2000000000,2]"),
     "t:2:21: error: f32[2000000000,2000000000,2] is not a possible type: it is too large\n"
     "        %y = splat %x : f32[2000000000,2000000000,2]\n                        ^~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"},
    {LINE("%y = splat %x : f32[1,1,1,1,1,1,1]"), "t:2:37: error: a type has at most 6 dims\n"
                                                 "        %y = splat %x : f32[1,1,1,1,1,1,1]\n                                        ^\n"},
    {LINE("%y = splat %x : set[3][2]"), "t:2:21: error: set[3][2] is not a possible type: a set has no dims\n"
                                        "        %y = splat %x : set[3][2]\n                        ^~~~~~~~~\n"},
    {NET("    %y = relu %x\n"), "t:3:1: error: this block must end with `return` or `refuse`\n    }\n    ^\n"},
    {NET(""), "t:2:1: error: this block must end with `return` or `refuse`\n    }\n    ^\n"},
    {NET("    return %x\n    return %x\n"), "t:3:5: error: nothing can follow `return` in its block\n        return %x\n        ^~~~~~\n"},
    {NET("    return %x, %x\n"), "t:2:5: error: in @f, `return %x, %x`: 2 values, expected 1, the outputs of the network\n"
                                 "        return %x, %x\n        ^~~~~~~~~~~~~\n"},
    {NET("    %y = reduce %x, kind = add\n    return %y\n"), "t:3:5: error: in @f, `return %y`: output `y` is f32[2], found f32\n"
                                                         "        return %y\n        ^~~~~~~~~\n"},
    {NET("    yield %x\n"), "t:2:5: error: in @f, `yield %x`: there is no region to end: a network ends with `return`\n"
                            "        yield %x\n        ^~~~~~~~\n"},
    {NET("    %c = cmp %x, %x, pred = lt\n    %y = if %c : f32[2] {\n        yield %x\n    } else {\n        yield %x\n    }\n    return %y\n"),
     "t:3:5: error: in @f, `%y = if %c : f32[2]`: a condition is i1, found i1[2]\n        %y = if %c : f32[2] {\n        ^~~~~~~~~~~~~~~~~~~\n"},
    {NET("    %b = within %x, @box\n    return %x\n"), "t:2:21: error: no constant `@box` is defined above\n"
                                                   "        %b = within %x, @box\n                        ^~~~\n"},
    {NET("    %r = repeat %x, n = 3 : f32[2] { |%i: idx[4], %a: f32[2]|\n        yield %a\n    }\n    return %r\n"),
     "t:2:5: error: in @f, `%r = repeat %x, n = 3 : f32[2]`: argument %i of its region is idx[4], expected idx[3]\n"
     "        %r = repeat %x, n = 3 : f32[2] { |%i: idx[4], %a: f32[2]|\n        ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"},
    {NET("    %r = repeat %x, n = 3 { |%i: idx[3], %a: f32[2]|\n        yield %a\n    }\n    return %r\n"),
     "t:2:5: error: `repeat` needs the types of its results, such as `: f32[4]`\n"
     "        %r = repeat %x, n = 3 { |%i: idx[3], %a: f32[2]|\n        ^~~~~~~~~~~~~~~~~~~~~\n"},
    {NET("    %r = repeat %x, n = 3 : f32[2] { |%i: idx[3], %a: f32[2]|\n        %b = relu %a\n        yield %b\n    }\n    return %b\n"),
     "t:6:12: error: `%b` cannot be used here: it belongs to a region that has ended\n        return %b\n               ^~\n"
     "t:3:9: note: it is defined here; a region hands out values with `yield`\n            %b = relu %a\n            ^~\n"},
    {"network @f(%x: f32[2]) -> (y: f32[2]) {\n    return %x\n", "t:1:39: error: the `{` opened here is not closed\n"
                                                                 "    network @f(%x: f32[2]) -> (y: f32[2]) {\n                                          ^\n"},
    {"network @f(%x: f32[2], %x: f32[2]) -> (y: f32[2]) {\n    return %x\n}\n",
     "t:1:24: error: `%x` is defined already, and its name is not free until its block ends\n"
     "    network @f(%x: f32[2], %x: f32[2]) -> (y: f32[2]) {\n                           ^~\n"
     "t:1:12: note: here\n    network @f(%x: f32[2], %x: f32[2]) -> (y: f32[2]) {\n               ^~\n"},
    {"network @f(%x: f32[2]) -> (y: f32[2], y: f32[2]) {\n    return %x, %x\n}\n",
     "t:1:39: error: two outputs are called `y`\n    network @f(%x: f32[2]) -> (y: f32[2], y: f32[2]) {\n                                          ^\n"},
    {"network @f(%x: f32[2]) -> (y: f32[2]) options(numeric = real) {\n    return %x\n}\n",
     "t:1:47: error: `numeric` is not an option of a network; did you mean `numerics`?\n"
     "    network @f(%x: f32[2]) -> (y: f32[2]) options(numeric = real) {\n                                                  ^~~~~~~\n"},
    {"const @box : f32[2,3] = [[0, 0, 0], [1, 1, 1]]\nnetwork @f(%x: f32[2] within @box) -> (y: f32[2]) {\n    return %x\n}\n",
     "t:2:12: error: the box @box of input `x` is f32[2,3], expected f32[2,2]: the lower bounds, then the upper\n"
     "    network @f(%x: f32[2] within @box) -> (y: f32[2]) {\n               ^~\n"},
    {"netwrk @f\n", "t:1:1: error: expected `const` or `network`, found `netwrk`; did you mean `network`?\n    netwrk @f\n    ^~~~~~\n"},
    {"format_version 2\nrubbish\n", "t:1:16: error: format_version 2: this cnetc reads version 1\n    format_version 2\n                   ^\n"},
    {"const @W : f32[1000000,1000000] = [[1]]\n", "t:1:35: error: 1000000000000 elements are announced, and only 6 bytes of text are left\n"
                                                 "    const @W : f32[1000000,1000000] = [[1]]\n                                      ^\n"},
    {"const @W : f32[2,2] = [[1, 2], [3]]\n", "t:1:32: error: expected 2 elements in this list, found 1\n"
                                             "    const @W : f32[2,2] = [[1, 2], [3]]\n                                   ^\n"},
    {"const @W : f32[2] = [1, 2, 3]\n", "t:1:21: error: expected 2 elements in this list, found more\n"
                                       "    const @W : f32[2] = [1, 2, 3]\n                        ^\n"},
    {"const @W : f32[2] = [1, x]\n", "t:1:25: error: this is no f32: expected a number such as 0x1.8p-3, 0.25, -1, inf or nan\n"
                                    "    const @W : f32[2] = [1, x]\n                            ^\n"},
    {"const @W : f32[1] = [1e39]\n", "t:1:22: error: this is no f32: expected a number that f32 can hold\n"
                                    "    const @W : f32[1] = [1e39]\n                         ^~~~\n"},
    {"const @W : i8[2] = [127, 128]\n", "t:1:26: error: this is no i8: expected an integer from -128 to 127\n"
                                       "    const @W : i8[2] = [127, 128]\n                             ^~~\n"},
    {"const @W : i1 = -1\n", "t:1:17: error: this is no i1: expected an integer from 0 to 1\n    const @W : i1 = -1\n                    ^~\n"},
    {"const @W : idx[3] = 3\n", "t:1:21: error: this is no idx[3]: expected an integer from 0 to 2\n    const @W : idx[3] = 3\n                        ^\n"},
    {"const @W : i66 = 0x7                      \n",
     "t:1:18: error: this is no i66: expected 0x and 17 hexadecimal digits, the 66 bits of an i66\n"
     "    const @W : i66 = 0x7                      \n                     ^~~\n"},
    {"const @W : i66 = 0x7\n", "t:1:18: error: 1 element is announced, and only 4 bytes of text are left\n"
                              "    const @W : i66 = 0x7\n                     ^~~\n"},
    {"const @W : set[3] = [1]\n", "t:1:12: error: a set cannot be a constant\n    const @W : set[3] = [1]\n               ^~~~~~~~\n"},
    {"const @W : f32 = 1\nconst @W : f32 = 2\n", "t:2:7: error: a constant `@W` is defined above already\n    const @W : f32 = 2\n          ^~\n"},
    {"const @S : stack f32 = 1\n", "t:1:7: error: constant @S: a stack has at least one dim, the number of its elements\n    const @S : stack f32 = 1\n          ^~\n"},
    {"const @\"a b\" : f32 = 1\n", "t:1:7: error: the name of a constant is made of letters, digits, `_` and `.`, and starts with a letter or `_`\n"
                                  "    const @\"a b\" : f32 = 1\n          ^~~~~~\n"},
    {"data \"x.data\"\n", "t:1:6: error: `x.data` would lie beside this text, but this text is not in a file\n    data \"x.data\"\n         ^~~~~~~~\n"},
    {"const @T : tree f32 keys 1 nodes 0 leaves 1 classes 1 slots 1 = [], [0:0]\n",
     "t:1:17: error: the keys of a tree are integers, found f32\n"
     "    const @T : tree f32 keys 1 nodes 0 leaves 1 classes 1 slots 1 = [], [0:0]\n                    ^~~\n"},
};

static void mistakes_are_explained(void)
{
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        Fixture f = set_up();
        CU_ASSERT_PTR_NULL(read_text(&f, bad_texts[i].text));
        CU_ASSERT(same_text(bad_texts[i].text, messages(&f), bad_texts[i].expected));
        arena_free(f.arena);
    }
}

/* The rules of trees, in the order of verify_const.c. */
static void lying_trees_are_refused(void)
{
    static const Bad trees[] = {
        {"keys 1 nodes 1 leaves 2 classes 1 slots 1 = [[1] > 0 ? ~0 : ~1], [0:0, 0:0]", "node 0 tests coordinate 1 of 1"},
        {"keys 1 nodes 1 leaves 2 classes 1 slots 1 = [[0] > 0 ? 0 : ~1], [0:0, 0:0]", "node 0 leads to node 0: a child comes after its parent"},
        {"keys 1 nodes 2 leaves 2 classes 1 slots 1 = [[0] > 0 ? 1 : ~1, [0] > 1 ? 0 : ~1], [0:0, 0:0]", "node 1 leads to node 0"},
        {"keys 1 nodes 1 leaves 2 classes 1 slots 1 = [[0] > 0 ? 1 : ~1], [0:0, 0:0]", "node 0 leads to node 1"},
        {"keys 1 nodes 1 leaves 2 classes 1 slots 1 = [[0] > 0 ? ~2 : ~1], [0:0, 0:0]", "node 0 leads to leaf 2 of 2"},
        {"keys 1 nodes 0 leaves 1 classes 2 slots 1 = [], [2:0]", "leaf 0 is 2:0, of 2 classes and 1 slots"},
        {"keys 1 nodes 0 leaves 1 classes 1 slots 3 = [], [0:3]", "leaf 0 is 0:3"},
        {"keys 1 nodes 0 leaves 0 classes 1 slots 1 = [], []", "a tree has at least one leaf, class and slot"},
        {"keys 1 nodes 0 leaves 1 classes 0 slots 1 = [], [0:0]", "a tree has at least one leaf, class and slot"},
        {"keys 1 nodes 0 leaves 2 classes 1 slots 1 = [], [0:0]", "expected `,` between leaves"},
        {"keys 1 nodes 0 leaves 2000000000 classes 1 slots 1 = [], [0:0]", "elements are announced"},
        {"keys 1 nodes 1 leaves 1 classes 1 slots 1 = [[0] > 99999999999 ? ~0 : ~0], [0:0]", "this is no i32"},
        {"keys 1 leaves 1", "expected `nodes` among the sizes of the tree, found `leaves`"},
    };
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        Fixture f = set_up();
        CU_ASSERT_PTR_NULL(read_text(&f, str_printf(f.arena, "const @T : tree i32 %s\n", trees[i].text)));
        char *found = messages(&f);
        if (!strstr(found, trees[i].expected))
            fprintf(stderr, "\n%s\n%s\n", trees[i].text, found);
        CU_ASSERT_PTR_NOT_NULL(strstr(found, trees[i].expected));
        arena_free(f.arena);
    }
}

static size_t occurrences(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* One report for each mistake, none for what follows from it. */
static void the_reader_goes_on_after_a_mistake(void)
{
    Fixture f = set_up();
    CU_ASSERT_PTR_NULL(read_text(&f, "const @W : f33[2] = [1, 2]\n"
                                     "const @V : f32[2] = [1, oops]\n"
                                     "network @f(%x: f32[2]) -> (y: f32[2]) {\n"
                                     "    %a = const @W\n"                       /* silent: @W is broken */
                                     "    %b = rleu %x\n"
                                     "    %c = add %b, %a : f32[2]\n"            /* silent */
                                     "    %d = if %q : f32[2] {\n"
                                     "        %e = reul %x\n"
                                     "        yield %e\n"
                                     "    } else {\n"
                                     "        %g = nge %x\n"
                                     "        yield %g\n"
                                     "    }\n"
                                     "    return %d\n"
                                     "}\n"
                                     "network @g(%x: f32[2]) -> (y: f32[2]) {\n"
                                     "    %y = call %x, callee = @f : f32[2]\n"  /* silent: @f is broken */
                                     "    %z = relu %x : f32[1]\n"
                                     "    return %y\n"
                                     "}\n"
                                     "const @U : f32[1] = [1\n"));
    char *found = messages(&f);
    CU_ASSERT_EQUAL(occurrences(found, "error:"), 8);
    static const char *const wanted[] = {"t:1:12", "t:2:25", "t:5:10", "t:7:13", "t:8:14", "t:11:14", "t:18:20", "t:21:23"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!strstr(found, wanted[i]))
            fprintf(stderr, "\n%s is missing in\n%s\n", wanted[i], found);
        CU_ASSERT_PTR_NOT_NULL(strstr(found, wanted[i]));
    }
    arena_free(f.arena);
}

static void deep_nesting_is_refused(void)
{
    for (uint32_t depth = 256; depth <= 100000; depth = depth == 256 ? 257 : depth == 257 ? 100000 : depth + 1) {
        Fixture f = set_up();
        Text text = text_new(f.arena);
        text_add(&text, "const @c : i1 = 1\nnetwork @f(%%x: f32) -> f32 {\n%%c = const @c\n");
        for (uint32_t i = 0; i < depth; i++)
            text_add(&text, "if %%c {\n");
        text_add(&text, "yield\n");
        for (uint32_t i = 0; i < depth; i++)
            text_add(&text, "} else {\nyield\n}\n%s", i + 1 < depth ? "yield\n" : "return %x\n");
        text_add(&text, "}\n");
        Module *m = read_text(&f, text.at);
        char *found = messages(&f);
        CU_ASSERT((m != NULL) == (depth == 256));
        CU_ASSERT_EQUAL(occurrences(found, "error:"), depth != 256);
        CU_ASSERT(depth == 256 || strstr(found, "regions within regions, more than 256 deep"));
        arena_free(f.arena);
    }
}

/* Whatever is done to a text, the reader says something or reads it. A short run; tests/fuzz goes further. */
static void mutated_texts_do_no_harm(void)
{
    Fixture f = set_up();
    Module *m = module_new(f.arena, f.diags);
    random_network(m, 1, (RandomNetOptions){RANDOM_ALL, 30});
    char *text = printed(f.arena, m, &WHOLE);
    size_t len = strlen(text), read = 0;
    uint64_t state = 1;
    static const char likely[] = "0129-xf[](){},:=|>?~%@!\"\\\n #";
    for (int i = 0; i < 3000; i++) {
        Fixture g = set_up();
        char *copy = str_ndup(g.arena, text, len);
        for (uint32_t k = 1 + random_below(&state, 3); k > 0; k--)
            copy[random_below(&state, (uint32_t)len)] = likely[random_below(&state, sizeof likely - 1)];
        size_t cut = random_below(&state, 4) ? len : random_below(&state, (uint32_t)len);
        Module *again = ir_read_text(g.arena, g.diags, "t", copy, cut);
        CU_ASSERT((again == NULL) == (diag_errors(g.diags) > 0));
        read += again != NULL;
        arena_free(g.arena);
    }
    CU_ASSERT(read > 0 && read < 3000);
    arena_free(f.arena);
}

static void texts_must_be_utf8(void)
{
    Fixture f = set_up();
    CU_ASSERT_PTR_NULL(read_text(&f, "# caf\xe9\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(messages(&f), "t:1:6: error: not UTF-8 text: byte 0xe9"));
    CU_ASSERT_PTR_NOT_NULL(read_text(&f, "# caf\xc3\xa9\n"));
    arena_free(f.arena);
}

/* Memory runs out at every allocation in turn: the reader unwinds, nothing leaks (a sanitizer looks on). */
static void close_file(void *file) { fclose(file); }

static bool unwinds_at(size_t n, const char *text)
{
    Arena *arena = arena_new(NULL);
    bool unwound = true;
    if (!ARENA_GUARD(arena)) {
        arena_fail_after(arena, n);
        Diags *diags = diag_new(arena);
        Module *m = ir_read_text(arena, diags, "t", text, strlen(text));
        Text why = text_new(arena);
        FILE *nowhere = fopen("/dev/null", "w");
        if (nowhere)
            arena_defer(arena, close_file, nowhere);
        if (m && nowhere && ir_verify(m, &why))
            ir_print(m, nowhere, &WHOLE);
        return arena_free(arena), false;
    }
    arena_free(arena);
    return unwound;
}

static void running_out_of_memory_unwinds(void)
{
    Fixture f = set_up();
    char *text = file_text(f.arena, source_path(f.arena, "tests/ir/roundtrip/xor.cnir"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t n = 1;
    while (n < 100000 && unwinds_at(n, text))
        n++;
    CU_ASSERT(n > 50 && n < 100000);
    arena_free(f.arena);
}

/* ---- the verifier, on what no text can say ---- */

typedef struct Broken { const char *what, *expected; void (*break_it)(Module *m, Network *net, Op *relu, Op *end); } Broken;

static void use_undefined(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, relu->operand[0] = end->operand[1]; }
static void use_nothing(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)end, relu->operand[0] = 0; }
static void use_absurd(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)end, relu->operand[0] = 999; }
static void change_type(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)end, net->values.at[relu->result[0]].type = type_f32(); }
static void forget_result(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)end, net->values.at[relu->result[0]].op = NULL; }
static void drop_end(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)relu, op_remove(end); }
static void end_early(Module *m, Network *net, Op *relu, Op *end)
{
    Builder b = builder_before(relu);
    (void)m;
    build_return(&b, 1, &net->body->arg[0], 0);
    op_remove(end);
}
static void odd_lowering(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)end, relu->lower = (Lower)99; }
static void absurd_const(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)end, relu->cst[0] = 77; }
static void unlink_list(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)relu, end->prev = NULL; }
static void two_sites(Module *m, Network *net, Op *relu, Op *end) { (void)m, relu->site = end->site = 1, net->last_site = 1; }
static void late_site(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)end, relu->site = net->last_site + 1; }
static void odd_option(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)relu, (void)end, net->options.outside = (Outside)7; }
static void same_names(Module *m, Network *net, Op *relu, Op *end) { (void)relu, (void)end; vec_push(m->arena, m->networks, network_clone(net, net->name)); }
static void call_itself(Module *m, Network *net, Op *relu, Op *end) { (void)m, (void)net, (void)end, relu->kind = OP_call; /* number 0 */ }
static void index_beyond(Module *m, Network *net, Op *relu, Op *end)
{
    static const uint32_t three = 3;
    (void)net, (void)relu, (void)end;
    const_add(m, "i", type_idx(3), &three, NOWHERE);
}

static void the_verifier_names_what_is_wrong(void)
{
    static const Broken cases[] = {
        {"use before definition", "in @f, `%y = relu %y : f32[2]`: %y is not defined above it", use_undefined},
        {"no operand", "operand `a` is missing", use_nothing},
        {"operand out of range", "operand 0 is no value of this network", use_absurd},
        {"result type", "%y is f32, expected f32[2]", change_type},
        {"result without op", "%y does not know that it is result 0", forget_result},
        {"no terminator", "its body must end with `return` or `refuse`", drop_end},
        {"op after the terminator", "nothing can follow it in its block", end_early},
        {"lowering", "no such lowering", odd_lowering},
        {"constant", "constant number 77 does not exist", absurd_const},
        {"list", "its list of ops is broken", unlink_list},
        {"sites", "site 1 is another op's already", two_sites},
        {"site beyond", "is beyond the last one", late_site},
        {"option", "an option has a value that means nothing", odd_option},
        {"names", "two networks have the same name", same_names},
        {"recursion", "a callee comes before its callers", call_itself},
        {"index constant", "constant @i: element 0 is no idx[3]", index_beyond},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        Module *m = read_text(&f, NET("    %y = relu %x\n    return %y\n"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        Network *net = m->networks.at[0];
        Text why = text_new(f.arena);
        CU_ASSERT(ir_verify(m, &why));
        cases[i].break_it(m, net, net->body->first, net->body->last);
        bool valid = ir_verify(m, &why);
        if (valid || !strstr(why.at, cases[i].expected))
            fprintf(stderr, "\n%s: %s\n", cases[i].what, valid ? "passed" : why.at);
        CU_ASSERT(!valid && strstr(why.at, cases[i].expected));
        arena_free(f.arena);
    }
}

/* ---- the manual ---- */

static char *escaped(Arena *arena, const char *s)
{
    Text text = text_new(arena);
    for (; *s; s++)
        text_add(&text, *s == '|' ? "\\|" : "%c", *s);
    return text.at;
}

static void add_cost(Text *text, const char *kind, const char *coefficient)
{
    if (strcmp(coefficient, "ZERO") != 0)
        text_add(text, "%s%s %s", text->len ? ", " : "", kind, coefficient);
}

/* Every row of ops.def stands in the README as it is. */
static void the_manual_has_every_op(void)
{
    static const struct { const char *name, *syntax, *mul, *add, *cmp, *other, *event, *meaning; } rows[] = {
#define OP(name, syntax, result, mul, add, cmp, other, event, meaning) {#name, syntax, #mul, #add, #cmp, #other, #event, meaning},
#include "../../ir/ops.def"
#undef OP
    };
    Fixture f = set_up();
    char *manual = file_text(f.arena, source_path(f.arena, "ir/README.md"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(manual);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Text cost = text_new(f.arena);
        add_cost(&cost, "mul", rows[i].mul);
        add_cost(&cost, "add", rows[i].add);
        add_cost(&cost, "cmp", rows[i].cmp);
        add_cost(&cost, "other", rows[i].other);
        if (strcmp(rows[i].event, "ONCE") != 0)
            text_add(&cost, "%s× %s", cost.len ? " " : "", rows[i].event);
        char *line = str_printf(f.arena, "\n| `%s` | `%s` | %s | %s |\n", rows[i].name, escaped(f.arena, rows[i].syntax), cost.at,
                                escaped(f.arena, rows[i].meaning));
        if (!strstr(manual, line))
            fprintf(stderr, "\nir/README.md lacks the line%s", line);
        CU_ASSERT_PTR_NOT_NULL(strstr(manual, line));
    }
    arena_free(f.arena);
}

/* Names in the cost column mean nothing by themselves. */
static void the_manual_explains_every_coefficient(void)
{
    static const char *const names[] = {
#define OP(name, syntax, result, mul, add, cmp, other, event, meaning) #mul, #add, #cmp, #other, #event,
#include "../../ir/ops.def"
#undef OP
    };
    Fixture f = set_up();
    char *manual = file_text(f.arena, source_path(f.arena, "ir/README.md"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(manual);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool explained = strstr(manual, str_printf(f.arena, "`%s`", names[i])) != NULL;
        if (!explained)
            fprintf(stderr, "\nir/README.md does not explain `%s`\n", names[i]);
        CU_ASSERT(explained);
    }
    arena_free(f.arena);
}

/* Each block of ```cnir in the manual is read, and prints as it stands there. */
static void examples_in_the_manual_are_true(void)
{
    Fixture f = set_up();
    char *manual = file_text(f.arena, source_path(f.arena, "ir/README.md"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(manual);
    size_t n = 0;
    for (const char *at = manual; (at = strstr(at, "```cnir\n")); n++) {
        at += strlen("```cnir\n");
        const char *end = strstr(at, "```");
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        char *text = str_ndup(f.arena, at, (size_t)(end - at));
        Module *m = read_text(&f, text);
        CU_ASSERT(same_text("messages", messages(&f), ""));
        if (m)
            CU_ASSERT(same_text("ir/README.md", printed(f.arena, m, NULL), text));
        at = end + 3;
    }
    CU_ASSERT(n >= 1);
    arena_free(f.arena);
}

void suite_ir_text(void)
{
    CU_pSuite s = CU_add_suite("ir text", NULL, NULL);
    CU_add_test(s, "saved texts print as they are", saved_texts_print_as_they_are);
    CU_add_test(s, "random networks round-trip", random_networks_round_trip);
    CU_add_test(s, "random networks use every op", random_networks_use_every_op);
    CU_add_test(s, "sites and lowerings survive", sites_and_lowerings_survive);
    CU_add_test(s, "lowerings print and read", lowerings_print_and_read);
    CU_add_test(s, "one name for many values takes linear time", one_name_for_many_values_takes_linear_time);
    CU_add_test(s, "ops know their place in the text", ops_know_their_place_in_the_text);
    CU_add_test(s, "large constants lie beside the text", large_constants_lie_beside_the_text);
    CU_add_test(s, "side files are not believed", side_files_are_not_believed);
    CU_add_test(s, "dumps without contents say how to get them", dumps_without_contents_say_how_to_get_them);
    CU_add_test(s, "mistakes are explained", mistakes_are_explained);
    CU_add_test(s, "lying trees are refused", lying_trees_are_refused);
    CU_add_test(s, "the reader goes on after a mistake", the_reader_goes_on_after_a_mistake);
    CU_add_test(s, "deep nesting is refused", deep_nesting_is_refused);
    CU_add_test(s, "mutated texts do no harm", mutated_texts_do_no_harm);
    CU_add_test(s, "texts must be UTF-8", texts_must_be_utf8);
    CU_add_test(s, "running out of memory unwinds", running_out_of_memory_unwinds);
    CU_add_test(s, "the verifier names what is wrong", the_verifier_names_what_is_wrong);
    CU_add_test(s, "the manual has every op", the_manual_has_every_op);
    CU_add_test(s, "the manual explains every coefficient", the_manual_explains_every_coefficient);
    CU_add_test(s, "examples in the manual are true", examples_in_the_manual_are_true);
}
