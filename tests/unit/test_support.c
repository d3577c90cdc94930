/* test_support.c — the room that every other stands on: lifetimes, text, the look of messages, files, hashes.
 *
 * Messages are compared whole, since how they look is designed. Files are made in a fresh temporary folder.
 */
#include "../../support/support.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void suite_support(void);

#define LEN(array) (sizeof(array) / sizeof *(array))

static void check_text(const char *got, const char *expected)
{
    if (strcmp(got, expected) != 0)
        fprintf(stderr, "\n--- got\n%s--- expected\n%s---\n", got, expected);
    CU_ASSERT_STRING_EQUAL(got, expected);
}

/* ---- arena ---- */

static void test_arena_gives_zeroed_aligned_memory(void)
{
    Arena *arena = arena_new(NULL);
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *p = arena_alloc(arena, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL((uintptr_t)p % 16, 0);
        bool zero = true;
        for (size_t i = 0; i < size; i++)
            zero = zero && p[i] == 0;
        CU_ASSERT_TRUE(zero);
        memset(p, 0xAB, size);
    }
    arena_free(arena);
    arena_free(NULL);
}

static void test_arena_objects_do_not_overlap(void)
{
    enum { N = 2000 };
    Arena *arena = arena_new(NULL);
    size_t *objects[N];
    for (size_t i = 0; i < N; i++) {
        objects[i] = NEW_ARRAY(arena, 1 + i % 97 * (i % 13 ? 1 : 100), size_t);
        *objects[i] = i;
    }
    size_t wrong = 0;
    for (size_t i = 0; i < N; i++)
        wrong += *objects[i] != i;
    CU_ASSERT_EQUAL(wrong, 0);
    arena_free(arena);
}

static void test_arena_big_is_aligned_and_zeroed(void)
{
    Arena *arena = arena_new(NULL);
    for (size_t align = 1; align <= 4096; align *= 2) {
        unsigned char *p = arena_big(arena, 100000, align);
        CU_ASSERT_EQUAL((uintptr_t)p % align, 0);
        CU_ASSERT_EQUAL(p[0] | p[99999], 0);
        p[0] = p[99999] = 1;
    }
    CU_ASSERT_PTR_NOT_NULL(arena_big(arena, 0, 64));
    arena_free(arena);
}

typedef struct Step { Text *log; const char *name; } Step;

static void log_step(void *object)
{
    Step *step = object;
    text_add(step->log, "%s ", step->name);
}

static void defer_step(Arena *arena, Text *log, const char *name)
{
    Step *step = NEW(arena, Step);
    *step = (Step){log, name};
    arena_defer(arena, log_step, step);
}

static void test_arena_releases_last_first_across_children(void)
{
    Arena *keeper = arena_new(NULL), *arena = arena_new(NULL);
    Text log = text_new(keeper);
    defer_step(arena, &log, "first");
    Arena *child = arena_new(arena);
    defer_step(arena, &log, "second");
    defer_step(child, &log, "child1");
    defer_step(arena_new(child), &log, "grandchild");
    defer_step(child, &log, "child2");
    Arena *early = arena_new(arena);
    defer_step(early, &log, "early");
    defer_step(arena, &log, "third");
    arena_free(early);
    arena_free(arena);
    check_text(log.at, "early third second child2 grandchild child1 first ");
    arena_free(keeper);
}

static void free_other(void *other)
{
    arena_free(other);
}

static void test_arena_cleanup_may_free_a_sibling(void)
{
    Arena *keeper = arena_new(NULL), *arena = arena_new(NULL);
    Text log = text_new(keeper);
    Arena *sibling = arena_new(arena);
    defer_step(sibling, &log, "sibling");
    arena_defer(arena, free_other, sibling);
    arena_free(arena);
    check_text(log.at, "sibling ");
    arena_free(keeper);
}

static void look_at_payload(void *object)
{
    unsigned char **payload = object;
    CU_ASSERT_EQUAL((*payload)[4999], 7);
}

static void test_arena_payload_outlives_cleanups(void)
{
    Arena *arena = arena_new(NULL);
    unsigned char **payload = NEW(arena, unsigned char *);
    arena_defer(arena, look_at_payload, payload);
    *payload = arena_big(arena, 5000, 1);
    (*payload)[4999] = 7;
    arena_free(arena);
}

/* The number of the allocation at which `use` unwinds; 0 when it does not. */
static bool unwinds(Arena *guarded, Arena *used, size_t fail_at, void (*use)(Arena *arena))
{
    if (ARENA_GUARD(guarded))
        return true;
    arena_fail_after(used, fail_at);
    use(used);
    arena_fail_after(used, 0);
    arena_unguard(guarded);
    return false;
}

static void three_allocations(Arena *arena)
{
    NEW(arena, int);
    str_dup(arena, "two");
    arena_big(arena, 3, 1);
}

static void test_arena_guard_catches_each_failure(void)
{
    for (size_t n = 0; n <= 5; n++) {
        Arena *arena = arena_new(NULL);
        CU_ASSERT_EQUAL(unwinds(arena, arena, n, three_allocations), n >= 1 && n <= 3);
        NEW(arena, int); /* usable still */
        arena_free(arena);
    }
}

static void test_arena_child_unwinds_to_nearest_armed_ancestor(void)
{
    Arena *arena = arena_new(NULL), *child = arena_new(arena), *grandchild = arena_new(child);
    CU_ASSERT_TRUE(unwinds(arena, grandchild, 2, three_allocations)); /* armed after the child was made */
    volatile bool outer = false;
    if (ARENA_GUARD(arena)) {
        outer = true;
    } else {
        CU_ASSERT_TRUE(unwinds(child, grandchild, 1, three_allocations));
        CU_ASSERT_FALSE(outer);
        arena_exhausted(grandchild); /* the child's guard is spent */
    }
    CU_ASSERT_TRUE(outer);
    arena_free(arena);
}

static void overflowing_array(Arena *arena)
{
    NEW_ARRAY(arena, SIZE_MAX / 2, int);
}

static void impossible_size(Arena *arena)
{
    arena_alloc(arena, SIZE_MAX);
}

static void impossible_payload(Arena *arena)
{
    arena_big(arena, SIZE_MAX / 2, 64);
}

static void test_arena_refuses_impossible_sizes(void)
{
    void (*const uses[])(Arena *) = {overflowing_array, impossible_size, impossible_payload};
    for (size_t i = 0; i < LEN(uses); i++) {
        Arena *arena = arena_new(NULL);
        CU_ASSERT_TRUE(unwinds(arena, arena, 0, uses[i]));
        arena_free(arena);
    }
}

static void count_release(void *counter)
{
    ++*(int *)counter;
}

static int released;

static void defer_once(Arena *arena)
{
    arena_defer(arena, count_release, &released);
}

static void test_arena_defer_releases_what_it_cannot_record(void)
{
    Arena *arena = arena_new(NULL);
    released = 0;
    CU_ASSERT_TRUE(unwinds(arena, arena, 1, defer_once));
    CU_ASSERT_EQUAL(released, 1);
    arena_free(arena);
    CU_ASSERT_EQUAL(released, 1);
}

static void test_arena_new_child_can_fail(void)
{
    Arena *arena = arena_new(NULL);
    arena_fail_after(arena, 1);
    CU_ASSERT_PTR_NULL(arena_new(arena));
    CU_ASSERT_PTR_NOT_NULL(arena_new(arena));
    arena_free(arena);
}

/* What a child process says on stderr, and its status. */
static int status_of(void (*use)(void), char *said, size_t size)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        use();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < size && (n = read(ends[0], said + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    said[used] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static void exhaust_unguarded(void)
{
    signal(SIGABRT, SIG_DFL);
    arena_exhausted(arena_new(NULL));
}

static void test_arena_aborts_without_a_guard(void)
{
    char said[400];
    int status = status_of(exhaust_unguarded, said, sizeof said);
    CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "cnetc: out of memory\n"));
}

static void test_vec_keeps_its_elements(void)
{
    Arena *arena = arena_new(NULL);
    Vec(size_t) numbers = {0};
    for (size_t i = 0; i < 5000; i++)
        vec_push(arena, numbers, i * i);
    CU_ASSERT_EQUAL(numbers.len, 5000);
    size_t wrong = 0;
    for (size_t i = 0; i < numbers.len; i++)
        wrong += numbers.at[i] != i * i;
    CU_ASSERT_EQUAL(wrong, 0);
    arena_free(arena);
}

/* ---- text ---- */

static void test_strings(void)
{
    Arena *arena = arena_new(NULL);
    check_text(str_dup(arena, "abc"), "abc");
    check_text(str_ndup(arena, "abcdef", 3), "abc");
    check_text(str_ndup(arena, "ab", 30), "ab");
    check_text(str_printf(arena, "%d-%s", 7, "x"), "7-x");
    CU_ASSERT_EQUAL(strlen(str_printf(arena, "%9000d", 1)), 9000);
    CU_ASSERT_TRUE(str_starts("network", "net") && str_starts("x", "") && !str_starts("ne", "net"));
    CU_ASSERT_TRUE(str_ends("net.cnet", ".cnet") && str_ends("x", "") && !str_ends("t", "net"));
    arena_free(arena);
}

static void test_text_grows(void)
{
    Arena *arena = arena_new(NULL);
    Text text = text_new(arena);
    check_text(text.at, "");
    for (int i = 0; i < 1000; i++)
        text_add(&text, "%03d,", i);
    text_put(&text, "a\0b", 3);
    CU_ASSERT_EQUAL(text.len, 4003);
    CU_ASSERT_EQUAL(text.at[text.len], '\0');
    CU_ASSERT_EQUAL(memcmp(text.at + 3996, "999,a\0b", 8), 0);
    for (size_t n = 50; n < 80; n++) { /* around the first capacity */
        Text other = text_new(arena);
        text_add(&other, "%*s", (int)n, "x");
        CU_ASSERT_EQUAL(other.len, n);
        CU_ASSERT_EQUAL(strlen(other.at), n);
    }
    arena_free(arena);
}

static Text *half_written;

static void add_too_much(Arena *arena)
{
    (void)arena;
    text_add(half_written, "%500s", "x");
}

static void test_text_is_whole_after_running_out(void)
{
    Arena *arena = arena_new(NULL);
    Text text = text_new(arena);
    text_add(&text, "kept");
    half_written = &text;
    CU_ASSERT_TRUE(unwinds(arena, arena, 1, add_too_much));
    check_text(text.at, "kept");
    arena_free(arena);
}

static void test_nearest(void)
{
    static const char *const words[] = {"relu", "sigmoid", "softmax", "tanh", "affine", "concat", "fc1", "fc2"};
    static const struct { const char *name, *nearest; } cases[] = {
        {"rleu", "relu"},    {"relu6", "relu"},   {"RELU", "relu"}, {"simgoid", "sigmoid"}, {"sfotmaxx", "softmax"},
        {"fc3", "fc1"},      {"afine", "affine"}, {"x", NULL},      {"", NULL},             {"convolution", NULL},
        {"contact", "concat"}, {"tan", "tanh"},   {"relu", "relu"}, {"rl", NULL},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        const char *got = str_nearest(cases[i].name, words, LEN(words));
        check_text(got ? got : "(none)", cases[i].nearest ? cases[i].nearest : "(none)");
    }
    CU_ASSERT_PTR_NULL(str_nearest("relu", NULL, 0));
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *candidates[] = {longest};
    CU_ASSERT_PTR_NULL(str_nearest(longest, candidates, 1));
    CU_ASSERT_PTR_EQUAL(str_nearest(longest + 150, (const char *const[]){longest + 151}, 1), longest + 151);
}

static void test_utf8(void)
{
    static const struct { const char *text; size_t len, good; } cases[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"\xC3\xA9", 2, 2},
        {"\xE2\x82\xAC", 3, 3},
        {"\xF0\x9F\x98\x80", 4, 4},
        {"\xF4\x8F\xBF\xBF", 4, 4},
        {"a\0b", 3, 3},
        {"ab\xC3", 3, 2},         /* cut off */
        {"\xE2\x82", 2, 0},
        {"\x80", 1, 0},           /* stray */
        {"\xC0\x80", 2, 0},       /* overlong */
        {"\xC1\xBF", 2, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"\xED\xA0\x80", 3, 0},   /* a surrogate */
        {"x\xF4\x90\x80\x80", 5, 1}, /* beyond the last */
        {"\xFF", 1, 0},
    };
    for (size_t i = 0; i < LEN(cases); i++)
        CU_ASSERT_EQUAL(utf8_check(cases[i].text, cases[i].len), cases[i].good);
}

/* ---- diagnostics ---- */

/* Compares, and forgets, what has been reported. */
static void check_flush_in(Diags *diags, DiagStyle style, const char *expected)
{
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    diag_flush(diags, out, style);
    fclose(out);
    check_text(printed, expected);
    free(printed);
}

static void check_flush(Diags *diags, const char *expected)
{
    check_flush_in(diags, DIAG_PLAIN, expected);
}

static uint32_t source_of(Diags *diags, const char *text)
{
    return diag_source(diags, "net.cnet", text, strlen(text));
}

/* The span of `part` in `text`. */
static Span find(uint32_t source, const char *text, const char *part)
{
    const char *at = strstr(text, part);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    uint32_t begin = (uint32_t)(at - text);
    return (Span){source, begin, begin + (uint32_t)strlen(part)};
}

static void test_diag_shows_line_and_caret(void)
{
    static const char text[] = "network n {\n    let h = fc1 @ x;\n    let y = w @ h;\n}\n";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = source_of(diags, text);
    diag_error(diags, find(source, text, "w @ h"), "`%s` expects %d columns, `h` has %d elements", "w", 8, 10);
    diag_note(diags, find(source, text, "h = "), "`h` is defined here");
    CU_ASSERT_EQUAL(diag_errors(diags), 1);
    check_flush(diags, "net.cnet:3:13: error: `w` expects 8 columns, `h` has 10 elements\n"
                       "        let y = w @ h;\n"
                       "                ^~~~~\n"
                       "net.cnet:2:9: note: `h` is defined here\n"
                       "        let h = fc1 @ x;\n"
                       "            ^~~~\n");
    check_flush(diags, "");
    CU_ASSERT_EQUAL(diag_errors(diags), 1);
    arena_free(arena);
}

static void test_diag_sorts_and_drops_repetitions(void)
{
    static const char text[] = "abc\ndef\n";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = source_of(diags, text), binary = diag_source(diags, "model.onnx", NULL, 0);
    diag_error(diags, NOWHERE, "later of nowhere");
    diag_remark(diags, diag_whole(binary), "skip", "nothing to skip");
    diag_warning(diags, find(source, text, "e"), "shadow", "second");
    diag_note(diags, NOWHERE, "with it");
    diag_error(diags, find(source, text, "b"), "first");
    diag_warning(diags, find(source, text, "e"), "shadow", "second");
    diag_note(diags, NOWHERE, "gone with its report");
    diag_error(diags, diag_whole(source), "whole");
    diag_error(diags, NOWHERE, "even later");
    CU_ASSERT_EQUAL(diag_errors(diags), 4);
    CU_ASSERT_EQUAL(diag_warnings(diags), 1);
    check_flush(diags, "net.cnet: error: whole\n"
                       "net.cnet:1:2: error: first\n    abc\n     ^\n"
                       "net.cnet:2:2: warning: second [-Wshadow]\n    def\n     ^\n"
                       "cnetc: note: with it\n"
                       "model.onnx: remark: skip: nothing to skip\n"
                       "cnetc: error: later of nowhere\n"
                       "cnetc: error: even later\n");
    arena_free(arena);
}

static void test_diag_aligns_tabs_and_wide_letters(void)
{
    static const char text[] = "\tlet \xC3\xA9t\xC3\xA9 = x;\n\xE5\xB1\xA4\xE5\xB1\xA4 = y\te\xCC\x81 z\n";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = source_of(diags, text);
    diag_error(diags, find(source, text, "\xC3\xA9t\xC3\xA9"), "accents");
    diag_error(diags, find(source, text, "x;"), "after them");
    diag_error(diags, find(source, text, "\xE5\xB1\xA4"), "wide");
    diag_error(diags, find(source, text, "z"), "after wide and combining");
    check_flush(diags, "net.cnet:1:6: error: accents\n"
                       "    \tlet \xC3\xA9t\xC3\xA9 = x;\n"
                       "    \t    ^~~\n"
                       "net.cnet:1:12: error: after them\n"
                       "    \tlet \xC3\xA9t\xC3\xA9 = x;\n"
                       "    \t          ^~\n"
                       "net.cnet:2:1: error: wide\n"
                       "    \xE5\xB1\xA4\xE5\xB1\xA4 = y\te\xCC\x81 z\n"
                       "    ^~\n"
                       "net.cnet:2:11: error: after wide and combining\n"
                       "    \xE5\xB1\xA4\xE5\xB1\xA4 = y\te\xCC\x81 z\n"
                       "            \t  ^\n");
    arena_free(arena);
}

static void test_diag_makes_controls_visible(void)
{
    static const char text[] = "a\33[2Jb \xFF \xE2\x80\xAE c\r\nnext\r";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = diag_source(diags, "evil\n\33.cnet", text, strlen(text));
    diag_error(diags, find(source, text, "c\r"), "name `%s`", "x\33[31m\n\t\xC2\x9B\xF0\x9F\x98\x80\xC3");
    diag_error(diags, find(source, text, "\xFF"), "byte");
    check_flush(diags, "evil\\x0a\\x1b.cnet:1:8: error: byte\n"
                       "    a\\x1b[2Jb \\xff \\xe2\\x80\\xae c\n"
                       "              ^~~~\n"
                       "evil\\x0a\\x1b.cnet:1:12: error: name `x\\x1b[31m\\x0a\\x09\\xc2\\x9b\xF0\x9F\x98\x80\\xc3`\n"
                       "    a\\x1b[2Jb \\xff \\xe2\\x80\\xae c\n"
                       "                                ^\n");
    arena_free(arena);
}

static void test_diag_at_the_edges_of_a_text(void)
{
    static const char text[] = "first {\n  second\n\n";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = source_of(diags, text), length = (uint32_t)strlen(text);
    diag_error(diags, (Span){source, length, length}, "unexpected end");
    diag_error(diags, (Span){source, 0, length}, "everything");
    diag_error(diags, (Span){source, 7, 8}, "the newline");
    diag_error(diags, (Span){source, 12, 3}, "backwards");
    check_flush(diags, "net.cnet:1:1: error: everything\n    first {\n    ^~~~~~~\n"
                       "net.cnet:1:8: error: the newline\n    first {\n           ^\n"
                       "net.cnet:2:5: error: backwards\n      second\n        ^\n"
                       "net.cnet:2:9: error: unexpected end\n      second\n            ^\n");
    uint32_t blank = diag_source(diags, "blank.cnet", "\n", 1);
    diag_error(diags, (Span){blank, 1, 1}, "nothing here");
    diag_error(diags, (Span){blank, 4000000000, UINT32_MAX}, "far behind");
    diag_error(diags, (Span){77, 0, 1}, "unknown source");
    check_flush(diags, "blank.cnet:1:1: error: nothing here\n    \n    ^\n"
                       "blank.cnet:1:1: error: far behind\n    \n    ^\n"
                       "cnetc: error: unknown source\n");
    arena_free(arena);
}

static void test_diag_windows_long_lines(void)
{
    enum { LENGTH = 5000 };
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    char *text = NEW_ARRAY(arena, LENGTH + 1, char);
    memset(text, '.', LENGTH);
    memcpy(text, "HEAD", 4);
    memcpy(text + 2500, "MIDDLE", 6);
    memcpy(text + LENGTH - 4, "TAIL", 4);
    uint32_t source = source_of(diags, text);
    diag_error(diags, find(source, text, "HEAD"), "1");
    diag_error(diags, find(source, text, "MIDDLE"), "2");
    diag_error(diags, (Span){source, 2501, LENGTH}, "3");
    diag_error(diags, find(source, text, "TAIL"), "4");
    char dots[101], tildes[101], blanks[101];
    memset(dots, '.', 100), memset(tildes, '~', 100), memset(blanks, ' ', 100);
    dots[100] = tildes[100] = blanks[100] = '\0';
    check_flush(diags,
                str_printf(arena,
                           "net.cnet:1:1: error: 1\n    HEAD%.96s...\n    ^~~~\n"
                           "net.cnet:1:2501: error: 2\n    ...%.40sMIDDLE%.54s...\n    %.43s^~~~~~\n"
                           "net.cnet:1:2502: error: 3\n    ...%.39sMIDDLE%.55s...\n    %.43s^%.59s\n"
                           "net.cnet:1:4997: error: 4\n    ...%.96sTAIL\n    %.99s^~~~\n",
                           dots, dots, dots, blanks, dots, dots, blanks, tildes, dots, blanks));
    arena_free(arena);
}

static void test_diag_stops_at_twenty_errors(void)
{
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    Text expected = text_new(arena);
    for (int i = 0; i < 20; i++) {
        diag_error(diags, NOWHERE, "number %d", i);
        diag_error(diags, NOWHERE, "number %d", i); /* repetitions do not use up the places */
        text_add(&expected, "cnetc: error: number %d\n", i);
    }
    for (int i = 20; i < 25; i++) {
        diag_error(diags, NOWHERE, "number %d", i);
        diag_note(diags, NOWHERE, "lost");
    }
    text_add(&expected, "cnetc: warning: still shown [-Wx]\n5 more errors not shown\n");
    diag_warning(diags, NOWHERE, "x", "still shown");
    CU_ASSERT_EQUAL(diag_errors(diags), 25);
    check_flush(diags, expected.at);
    diag_error(diags, NOWHERE, "room again");
    check_flush(diags, "cnetc: error: room again\n");
    arena_free(arena);
}

static void test_diag_warning_options(void)
{
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    diag_disable(diags, "unused");
    diag_warning(diags, NOWHERE, "unused", "silent");
    diag_note(diags, NOWHERE, "silent too");
    diag_warnings_are_errors(diags);
    diag_warning(diags, NOWHERE, "unused", "silent");
    diag_warning(diags, NOWHERE, "shadow", "loud");
    CU_ASSERT_EQUAL(diag_errors(diags), 1);
    CU_ASSERT_EQUAL(diag_warnings(diags), 0);
    check_flush(diags, "cnetc: error: loud [-Werror,-Wshadow]\n");
    diag_disable(diags, "all");
    diag_warning(diags, NOWHERE, "shadow", "silent now");
    check_flush(diags, "");
    arena_free(arena);
}

static void test_diag_color(void)
{
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    uint32_t source = source_of(diags, "ab");
    diag_error(diags, (Span){source, 1, 2}, "bad");
    diag_note(diags, NOWHERE, "look");
    check_flush_in(diags, DIAG_COLOR,
                   "\33[1mnet.cnet:1:2: \33[1;31merror: \33[0;1mbad\33[0m\n    ab\n     \33[1;32m^\33[0m\n"
                   "\33[1mcnetc: \33[1;36mnote: \33[0mlook\33[0m\n");
    arena_free(arena);
}

static void test_diag_json(void)
{
    static const char text[] = "let \xC3\xA9 = x;\nlet y\n= z;\n";
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    check_flush_in(diags, DIAG_JSON, "[]\n");
    uint32_t source = source_of(diags, text);
    diag_error(diags, find(source, text, "x;"), "say \"x\" \\ \33 \xFF");
    diag_note(diags, find(source, text, "let"), "here");
    diag_note(diags, NOWHERE, "why");
    diag_warning(diags, find(source, text, "y\n="), "shadow", "two lines");
    diag_remark(diags, diag_whole(source), "skip", "none");
    check_flush_in(
        diags, DIAG_JSON,
        "[{\"severity\":\"remark\",\"file\":\"net.cnet\",\"message\":\"none\",\"pass\":\"skip\",\"notes\":[]},"
        "{\"severity\":\"error\",\"file\":\"net.cnet\",\"line\":1,\"column\":9,\"end_column\":11,"
        "\"message\":\"say \\\"x\\\" \\\\ \\\\x1b \\\\xff\",\"notes\":["
        "{\"severity\":\"note\",\"file\":\"net.cnet\",\"line\":1,\"column\":1,\"end_column\":4,\"message\":\"here\"},"
        "{\"severity\":\"note\",\"message\":\"why\"}]},"
        "{\"severity\":\"warning\",\"file\":\"net.cnet\",\"line\":2,\"column\":5,\"message\":\"two lines\","
        "\"flag\":\"shadow\",\"notes\":[]}]\n");
    for (int i = 0; i < 21; i++)
        diag_error(diags, NOWHERE, "%d", i);
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    diag_flush(diags, out, DIAG_JSON);
    fclose(out);
    const char *last = ",{\"severity\":\"error\",\"message\":\"1 more error not shown\",\"notes\":[]}]\n";
    CU_ASSERT_TRUE(str_ends(printed, last));
    free(printed);
    arena_free(arena);
}

static void test_diag_many_remarks(void)
{
    enum { N = 20000 };
    Arena *arena = arena_new(NULL);
    Diags *diags = diag_new(arena);
    for (int i = N; i-- > 0;)
        for (int twice = 0; twice < 2; twice++)
            diag_remark(diags, NOWHERE, "p", "%d", i);
    char *printed = NULL;
    size_t size = 0, lines = 0;
    FILE *out = open_memstream(&printed, &size);
    diag_flush(diags, out, DIAG_PLAIN);
    fclose(out);
    for (size_t i = 0; i < size; i++)
        lines += printed[i] == '\n';
    CU_ASSERT_EQUAL(lines, N);
    CU_ASSERT_TRUE(str_starts(printed, "cnetc: remark: p: 19999\ncnetc: remark: p: 19998\n"));
    free(printed);
    arena_free(arena);
}

static void compiler_bug(void)
{
    ice_("/some/where/ir/build.c", 12, "value %d has no type", 7);
}

static void test_ice_exits_with_three(void)
{
    char said[400];
    int status = status_of(compiler_bug, said, sizeof said);
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    check_text(said, "cnetc: internal error: value 7 has no type (ir/build.c:12)\n"
                     "cnetc: this is a bug in cnetc; please report it, with the input and the command line\n");
}

/* ---- files ---- */

/* A fresh folder to work in, an arena and diagnostics. */
typedef struct Place { Arena *arena; Diags *diags; char folder[64]; } Place;

static void setup(Place *place)
{
    strcpy(place->folder, "/tmp/cnet-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place->folder));
    place->arena = arena_new(NULL);
    place->diags = diag_new(place->arena);
}

/* Removes the folder, which must hold exactly `files` files: no temporary one is left. */
static void teardown(Place *place, int files)
{
    Arena *arena = arena_new(NULL);
    arena_free(place->arena);
    FILE *list = popen(str_printf(arena, "ls -A '%s' | wc -l; rm -rf '%s'", place->folder, place->folder), "r");
    int found = -1;
    CU_ASSERT_EQUAL(fscanf(list, "%d", &found), 1);
    pclose(list);
    CU_ASSERT_EQUAL(found, files);
    arena_free(arena);
}

static const char *in_folder(Place *place, const char *name)
{
    return str_printf(place->arena, "%s/%s", place->folder, name);
}

static const char *make_file(Place *place, const char *name, const char *contents)
{
    const char *path = in_folder(place, name);
    FILE *file = fopen(path, "w");
    fputs(contents, file);
    fclose(file);
    return path;
}

static void check_contents(Place *place, const char *path, const char *expected)
{
    Bytes bytes;
    CU_ASSERT_TRUE_FATAL(file_read(place->arena, place->diags, NOWHERE, path, &bytes));
    check_text(str_ndup(place->arena, (const char *)bytes.at, bytes.len), expected);
}

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void test_file_read(void)
{
    Place place;
    setup(&place);
    check_contents(&place, make_file(&place, "some", "contents\n"), "contents\n");
    Bytes bytes = {0};
    CU_ASSERT_TRUE(file_read(place.arena, place.diags, NOWHERE, make_file(&place, "none", ""), &bytes));
    CU_ASSERT_TRUE(bytes.at != NULL && bytes.len == 0);
    CU_ASSERT_TRUE(file_read(place.arena, place.diags, NOWHERE, "/proc/self/status", &bytes));
    CU_ASSERT_TRUE(bytes.len > 0);
    CU_ASSERT_EQUAL(diag_errors(place.diags), 0);
    teardown(&place, 2);
}

static void test_file_read_reports_failures(void)
{
    Place place;
    setup(&place);
    Bytes bytes;
    CU_ASSERT_FALSE(file_read(place.arena, place.diags, NOWHERE, "no/such.cnet", &bytes));
    CU_ASSERT_FALSE(file_read(place.arena, place.diags, NOWHERE, "/tmp", &bytes));
    check_flush(place.diags, "cnetc: error: cannot read `no/such.cnet`: No such file or directory\n"
                             "cnetc: error: cannot read `/tmp`: Is a directory\n");
    if (geteuid() != 0) { /* root may read everything */
        const char *path = make_file(&place, "secret", "x");
        chmod(path, 0);
        CU_ASSERT_FALSE(file_read(place.arena, place.diags, NOWHERE, path, &bytes));
    }
    teardown(&place, geteuid() != 0);
}

static void test_file_read_takes_pipes(void)
{
    enum { SIZE = 300000 };
    Place place;
    setup(&place);
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static char block[SIZE];
        memset(block, 'z', SIZE);
        for (size_t sent = 0; sent < SIZE;)
            sent += (size_t)write(ends[1], block + sent, SIZE - sent);
        _exit(0);
    }
    close(ends[1]);
    int saved = dup(0);
    dup2(ends[0], 0);
    close(ends[0]);
    Bytes bytes;
    CU_ASSERT_TRUE(file_read(place.arena, place.diags, NOWHERE, "-", &bytes));
    dup2(saved, 0);
    close(saved);
    waitpid(pid, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(bytes.len, SIZE);
    CU_ASSERT_TRUE(bytes.at[0] == 'z' && bytes.at[SIZE - 1] == 'z');
    file_done_with(bytes.at, bytes.len);
    CU_ASSERT_TRUE(bytes.at[0] == 'z' && bytes.at[SIZE / 2] == 'z' && bytes.at[SIZE - 1] == 'z');
    teardown(&place, 0);
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static const char *path_to_use;
static Diags *diags_to_use;

static void read_it(Arena *arena)
{
    Bytes bytes;
    file_read(arena, diags_to_use, NOWHERE, path_to_use, &bytes);
}

static void write_it(Arena *arena)
{
    OutFile *file = out_open(arena, diags_to_use, path_to_use);
    fputs("new", out_stream(file));
    out_commit(file, diags_to_use);
}

/* Every allocation fails once: nothing stays open, nothing is left beside the file. */
static void test_files_survive_running_out_of_memory(void)
{
    Place place;
    setup(&place);
    path_to_use = make_file(&place, "file", "old");
    diags_to_use = place.diags;
    int before = open_descriptors();
    void (*const uses[])(Arena *) = {read_it, write_it};
    for (size_t i = 0; i < LEN(uses); i++)
        for (size_t n = 1; n < 30; n++) {
            Arena *arena = arena_new(NULL);
            bool failed = unwinds(arena, arena, n, uses[i]);
            arena_free(arena);
            CU_ASSERT_EQUAL(open_descriptors(), before);
            check_contents(&place, path_to_use, i == 1 && !failed ? "new" : "old");
            if (!failed)
                break;
            CU_ASSERT_NOT_EQUAL(n, 29);
        }
    teardown(&place, 1);
}

static void test_out_appears_when_committed(void)
{
    Place place;
    setup(&place);
    const char *path = in_folder(&place, "net.o");
    OutFile *file = out_open(place.arena, place.diags, path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("object", out_stream(file));
    CU_ASSERT_FALSE(exists(path));
    CU_ASSERT_TRUE(exists(out_path(file)));
    CU_ASSERT_TRUE(out_commit(file, place.diags));
    CU_ASSERT_TRUE(out_commit(file, place.diags)); /* again: nothing to do */
    check_contents(&place, path, "object");
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    CU_ASSERT_EQUAL(stat(path, &info), 0);
    CU_ASSERT_EQUAL(info.st_mode & 0777, 0666 & ~mask);
    teardown(&place, 1);
}

static void test_out_vanishes_when_not_committed(void)
{
    Place place;
    setup(&place);
    const char *path = make_file(&place, "net.o", "old");
    Arena *arena = arena_new(place.arena);
    OutFile *file = out_open(arena, place.diags, path);
    fputs("half an obj", out_stream(file));
    const char *temp = str_dup(place.arena, out_path(file));
    CU_ASSERT_TRUE(exists(temp));
    arena_free(arena);
    CU_ASSERT_FALSE(exists(temp));
    check_contents(&place, path, "old");
    teardown(&place, 1);
}

static void test_out_keeps_permissions_and_links(void)
{
    Place place;
    setup(&place);
    const char *path = make_file(&place, "real", "old"), *link = in_folder(&place, "link");
    const char *dangling = in_folder(&place, "dangling"), *loop = in_folder(&place, "loop");
    chmod(path, 0751);
    CU_ASSERT_EQUAL(symlink("real", link) | symlink("fresh", dangling) | symlink("loop", loop), 0);
    const char *const paths[] = {link, dangling};
    for (size_t i = 0; i < LEN(paths); i++) {
        OutFile *file = out_open(place.arena, place.diags, paths[i]);
        fputs("new", out_stream(file));
        CU_ASSERT_TRUE(out_commit(file, place.diags));
    }
    struct stat info;
    CU_ASSERT_TRUE(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CU_ASSERT_TRUE(stat(link, &info) == 0 && (info.st_mode & 0777) == 0751);
    CU_ASSERT_TRUE(lstat(dangling, &info) == 0 && S_ISLNK(info.st_mode));
    check_contents(&place, path, "new");
    check_contents(&place, in_folder(&place, "fresh"), "new");
    CU_ASSERT_EQUAL(diag_errors(place.diags), 0);
    CU_ASSERT_PTR_NULL(out_open(place.arena, place.diags, loop));
    CU_ASSERT_EQUAL(diag_errors(place.diags), 1);
    teardown(&place, 5);
}

static void test_out_reports_failures(void)
{
    Place place;
    setup(&place);
    CU_ASSERT_PTR_NULL(out_open(place.arena, place.diags, "no/such/net.o"));
    CU_ASSERT_PTR_NULL(out_open(place.arena, place.diags, "/tmp"));
    check_flush(place.diags, "cnetc: error: cannot write `no/such/net.o`: No such file or directory\n"
                             "cnetc: error: cannot write `/tmp`: Is a directory\n");
    OutFile *null = out_open(place.arena, place.diags, "/dev/null");
    fputs("gone", out_stream(null));
    CU_ASSERT_TRUE(out_commit(null, place.diags));
    if (exists("/dev/full")) {
        OutFile *full = out_open(place.arena, place.diags, "/dev/full");
        fputs("no room", out_stream(full));
        CU_ASSERT_FALSE(out_commit(full, place.diags));
        CU_ASSERT_FALSE(out_commit(full, place.diags)); /* said once */
        check_flush(place.diags, "cnetc: error: cannot write `/dev/full`: No space left on device\n");
        full = out_open(place.arena, place.diags, "/dev/full");
        fprintf(out_stream(full), "%100000s", "no room before the commit either");
        CU_ASSERT_FALSE(out_commit(full, place.diags));
        CU_ASSERT_EQUAL(diag_errors(place.diags), 4);
    }
    teardown(&place, 0);
}

static void test_out_commits_all_or_none(void)
{
    Place place;
    setup(&place);
    const char *object = in_folder(&place, "net.o"), *header = in_folder(&place, "net.h");
    OutFile *files[] = {out_open(place.arena, place.diags, object), out_open(place.arena, place.diags, header)};
    fputs("o", out_stream(files[0]));
    fputs("h", out_stream(files[1]));
    CU_ASSERT_TRUE(out_commit_all(files, 2, place.diags));
    check_contents(&place, object, "o");
    check_contents(&place, header, "h");

    if (exists("/dev/full")) {
        OutFile *bad[] = {out_open(place.arena, place.diags, object), out_open(place.arena, place.diags, "/dev/full")};
        fputs("o2", out_stream(bad[0]));
        fputs("h2", out_stream(bad[1]));
        CU_ASSERT_FALSE(out_commit_all(bad, 2, place.diags));
        check_contents(&place, object, "o");
    }
    /* A rename that fails: the target has become a folder meanwhile. */
    const char *fresh = in_folder(&place, "fresh"), *blocked = in_folder(&place, "blocked");
    OutFile *late[] = {out_open(place.arena, place.diags, fresh), out_open(place.arena, place.diags, blocked)};
    CU_ASSERT_EQUAL(mkdir(blocked, 0777), 0);
    CU_ASSERT_FALSE(out_commit_all(late, 2, place.diags));
    CU_ASSERT_FALSE(exists(fresh));
    teardown(&place, 3);
}

static void test_out_discard_pending(void)
{
    Place place;
    setup(&place);
    enum { MANY = 40 }; /* more than there are slots */
    OutFile *files[MANY];
    for (int i = 0; i < MANY; i++)
        files[i] = out_open(place.arena, place.diags, in_folder(&place, str_printf(place.arena, "f%d", i)));
    CU_ASSERT_TRUE(out_commit(files[0], place.diags));
    CU_ASSERT_TRUE(exists(out_path(files[1])));
    out_discard_pending();
    CU_ASSERT_FALSE(exists(out_path(files[1])));
    CU_ASSERT_TRUE(exists(in_folder(&place, "f0")));
    teardown(&place, 1);
}

/* ---- hashes and sizes ---- */

static void test_hash_is_the_specified_one(void)
{
    Hash128 empty = hash_bytes(NULL, 0); /* fixed by the specification of XXH3: may appear in outputs */
    CU_ASSERT_TRUE(empty.hi == UINT64_C(0x99AA06D3014798D8) && empty.lo == UINT64_C(0x6001C324468D497F));
    CU_ASSERT_TRUE(hash_equal(hash_bytes("abc", 3), hash_bytes("abc", 3)));
    CU_ASSERT_FALSE(hash_equal(hash_bytes("abc", 3), hash_bytes("abd", 3)));
}

static void test_checked_sizes(void)
{
    size_t out = 0;
    CU_ASSERT_TRUE(size_mul(6, 7, &out) && out == 42);
    CU_ASSERT_TRUE(size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    CU_ASSERT_FALSE(size_mul(SIZE_MAX / 2 + 1, 2, &out));
    CU_ASSERT_TRUE(size_add(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    CU_ASSERT_FALSE(size_add(SIZE_MAX, 1, &out));
}

/* ---- the suite ---- */

enum { JOBS = 1000 };

/* One byte each, which nobody else touches. */
typedef struct JobLog { uint8_t runs[JOBS], worker[JOBS]; } JobLog;

static void note_job(void *data, size_t i, unsigned worker)
{
    JobLog *log = data;
    log->runs[i]++;
    log->worker[i] = (uint8_t)worker;
}

static bool every_job_ran_once(unsigned threads, size_t n)
{
    JobLog log = {{0}, {0}};
    bool ok = true;
    parallel_for(threads, n, note_job, &log);
    for (size_t i = 0; i < JOBS; i++)
        ok &= log.runs[i] == (i < n) && log.worker[i] < parallel_workers(threads);
    return ok;
}

static void test_parallel_runs_every_job_once(void)
{
    static const unsigned threads[] = {0, 1, 2, 7, 100000};
    for (size_t i = 0; i < LEN(threads); i++)
        CU_ASSERT(every_job_ran_once(threads[i], 0) && every_job_ran_once(threads[i], 1) && every_job_ran_once(threads[i], JOBS));
    CU_ASSERT(parallel_workers(0) >= 1 && parallel_workers(3) == 3);
}

/* Without room for the stack of a thread. */
static void test_parallel_works_without_threads(void)
{
#ifndef __SANITIZE_ADDRESS__
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        struct rlimit none = {1, 1};
        setrlimit(RLIMIT_AS, &none);
        _exit(every_job_ran_once(4, JOBS) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
}

void suite_support(void)
{
    static const struct { const char *name; void (*run)(void); } tests[] = {
        {"arena gives zeroed, aligned memory", test_arena_gives_zeroed_aligned_memory},
        {"arena objects do not overlap", test_arena_objects_do_not_overlap},
        {"arena payloads are aligned and zeroed", test_arena_big_is_aligned_and_zeroed},
        {"arena releases last first, across children", test_arena_releases_last_first_across_children},
        {"a clean-up may free a sibling", test_arena_cleanup_may_free_a_sibling},
        {"payloads outlive clean-ups", test_arena_payload_outlives_cleanups},
        {"the guard catches each failure", test_arena_guard_catches_each_failure},
        {"a child unwinds to the nearest armed ancestor", test_arena_child_unwinds_to_nearest_armed_ancestor},
        {"impossible sizes unwind", test_arena_refuses_impossible_sizes},
        {"defer releases what it cannot record", test_arena_defer_releases_what_it_cannot_record},
        {"making a child can fail", test_arena_new_child_can_fail},
        {"without a guard: abort", test_arena_aborts_without_a_guard},
        {"vec keeps its elements", test_vec_keeps_its_elements},
        {"strings", test_strings},
        {"text grows", test_text_grows},
        {"text is whole after running out of memory", test_text_is_whole_after_running_out},
        {"nearest name", test_nearest},
        {"UTF-8", test_utf8},
        {"diagnostics show line and caret", test_diag_shows_line_and_caret},
        {"diagnostics are sorted, each once", test_diag_sorts_and_drops_repetitions},
        {"carets align under tabs and wide letters", test_diag_aligns_tabs_and_wide_letters},
        {"control characters are made visible", test_diag_makes_controls_visible},
        {"diagnostics at the edges of a text", test_diag_at_the_edges_of_a_text},
        {"long lines are windowed", test_diag_windows_long_lines},
        {"twenty errors are enough", test_diag_stops_at_twenty_errors},
        {"warning options", test_diag_warning_options},
        {"color", test_diag_color},
        {"JSON", test_diag_json},
        {"many remarks", test_diag_many_remarks},
        {"an internal error exits with 3", test_ice_exits_with_three},
        {"reading files", test_file_read},
        {"reading reports failures", test_file_read_reports_failures},
        {"reading pipes", test_file_read_takes_pipes},
        {"files survive running out of memory", test_files_survive_running_out_of_memory},
        {"an output appears when committed", test_out_appears_when_committed},
        {"an output vanishes when not committed", test_out_vanishes_when_not_committed},
        {"an output keeps permissions and links", test_out_keeps_permissions_and_links},
        {"writing reports failures", test_out_reports_failures},
        {"outputs are committed all or none", test_out_commits_all_or_none},
        {"an interrupt discards pending outputs", test_out_discard_pending},
        {"parallel jobs run without threads", test_parallel_works_without_threads},      /* first: no stacks are kept yet */
        {"parallel jobs run once each", test_parallel_runs_every_job_once},
        {"hashes are the specified ones", test_hash_is_the_specified_one},
        {"checked sizes", test_checked_sizes},
    };
    CU_pSuite suite = CU_add_suite("support", NULL, NULL);
    for (size_t i = 0; i < LEN(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
}
