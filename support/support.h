/* support.h — what every room stands on: memory by lifetime, text, diagnostics, files, hashes.
 *
 * Grouped by the file that owns each function. Nothing here knows what a network is.
 *
 * Errors. User mistakes become diagnostics (diag.c) and a `false`/NULL result. Running out of memory unwinds to the
 * nearest ARENA_GUARD (arena.c), so no caller checks an allocation; whatever an operation holds besides memory
 * (mappings, descriptors, LLVM objects) is registered with arena_defer and released with its arena, on every path.
 * Compiler bugs are ICE(...), exit status 3.
 */
#ifndef CNET_SUPPORT_H
#define CNET_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#else
#define PRINTF_LIKE(f, a)
#define NORETURN
#endif

/* ---- arena.c: memory by lifetime --------------------------------------------------------------------------- */

typedef struct Arena Arena;

/* A new, empty arena; NULL when memory has run out (also under a guard: the caller holds `parent` and decides).
 * `parent` may be NULL; a child is freed with its parent (or earlier, by arena_free) and inherits its guard. */
Arena *arena_new(Arena *parent);

/* Runs the deferred clean-ups and frees the children, last first, then frees the memory. NULL is fine. */
void arena_free(Arena *arena);

/* `size` zeroed bytes aligned to 16 (never NULL, size 0 included). Out of memory: unwinds, see ARENA_GUARD. */
void *arena_alloc(Arena *arena, size_t size);

/* `count` zeroed elements of `size` bytes; a product that overflows counts as out of memory. */
void *arena_array(Arena *arena, size_t count, size_t size);

/* Large payloads (weights): zeroed, aligned to `align` (a power of two ≤ 4096), returned to the system on
 * arena_free, after the last clean-up. */
void *arena_big(Arena *arena, size_t size, size_t align);

/* Calls release(object) when the arena is freed; at once, before it unwinds, when there is no memory to note that. */
void arena_defer(Arena *arena, void (*release)(void *object), void *object);

/* if (ARENA_GUARD(arena)) { … memory ran out somewhere below; clean up and report … }
 * Arms the arena; like setjmp, it returns a second time on failure, and is disarmed then. A descendant that has no
 * guard of its own unwinds to the nearest armed ancestor, so an operation inside an operation guards a child arena.
 * The guard must not outlive the function that set it: when the arena does, call arena_unguard before returning.
 * As always with setjmp: locals changed after the guard and read after a failure must be volatile. */
#define ARENA_GUARD(arena) (setjmp(*arena_guard(arena)) != 0)
jmp_buf *arena_guard(Arena *arena);
void arena_unguard(Arena *arena);

/* Unwinds to the guard as if memory had run out; aborts with a message when no guard is armed. */
NORETURN void arena_exhausted(Arena *arena);

/* Tests: let the n-th allocation from now fail (0 = never), once; per arena tree. Counted are arena_alloc and what
 * is built on it, arena_big, arena_defer, and arena_new of a child. */
void arena_fail_after(Arena *arena, size_t n);

#define NEW(arena, T)          ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, n, T) ((T *)arena_array((arena), (n), sizeof(T)))

/* A growable array on an arena:  Vec(Op *) ops = {0};  vec_push(arena, ops, op);  ops.at[i], ops.len */
#define Vec(T) struct { T *at; size_t len, cap; }
#define vec_push(arena, v, item) \
    ((void)((v).len == (v).cap \
        ? ((v).at = vec_grow_((arena), (v).at, (v).len, &(v).cap, sizeof *(v).at), 0) : 0), \
     (void)((v).at[(v).len++] = (item)))
void *vec_grow_(Arena *arena, void *at, size_t len, size_t *cap, size_t size);

/* ---- text.c: strings on an arena --------------------------------------------------------------------------- */

char *str_dup(Arena *arena, const char *s);
char *str_ndup(Arena *arena, const char *s, size_t n); /* at most n bytes, and up to a NUL */
char *str_printf(Arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *str_vprintf(Arena *arena, const char *format, va_list args);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* The candidate nearest to `name` in edit distance (ASCII case aside; the first of equals), or NULL when none is near
 * enough to suggest: within about a third of its length. */
const char *str_nearest(const char *name, const char *const *candidates, size_t n);

/* Offset of the first byte that is not well-formed UTF-8 (overlong forms and surrogates included), or `len`. */
size_t utf8_check(const char *text, size_t len);

/* A growing text. Always NUL-terminated; what is added must not be part of the text itself. */
typedef struct Text { Arena *arena; char *at; size_t len, cap; } Text;
Text text_new(Arena *arena);
void text_add(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_put(Text *text, const char *s, size_t n);

/* ---- diag.c: messages to the user -------------------------------------------------------------------------- */

/* Bytes [begin, end) of source number `source` (0: nowhere). Lines and columns are computed when printing. */
typedef struct Span { uint32_t source, begin, end; } Span;
#define NOWHERE ((Span){0, 0, 0})

typedef enum Severity { DIAG_ERROR, DIAG_WARNING, DIAG_REMARK, DIAG_NOTE } Severity;
typedef struct Diags Diags;

Diags *diag_new(Arena *arena);

/* Registers a text so that spans can point into it. `text` must outlive the diagnostics; for a binary file pass its
 * name and len 0: messages then read `name: error: …`. Returns its number, from 1. */
uint32_t diag_source(Diags *diags, const char *name, const char *text, size_t len);
/* A span that names a whole source, without a place in it. */
Span diag_whole(uint32_t source);
/* The line, from 1, in which a span begins; 0 for none. Linear in the text before it. */
unsigned diag_line(const Diags *diags, Span span);

/* Reports. Wording: what is wrong, both numbers, a way out; no capital, no full stop; names in `backquotes`.
 * Warnings carry the flag that controls them ("shadow" prints as [-Wshadow]); remarks the pass they come from.
 * A note belongs to the report before it, and vanishes with it when that is disabled or repeated. After 20 errors the
 * rest are counted, not kept. Control characters and malformed UTF-8 in a message are shown as \xNN. */
void diag_error(Diags *diags, Span span, const char *format, ...) PRINTF_LIKE(3, 4);
void diag_warning(Diags *diags, Span span, const char *flag, const char *format, ...) PRINTF_LIKE(4, 5);
void diag_remark(Diags *diags, Span span, const char *pass, const char *format, ...) PRINTF_LIKE(4, 5);
void diag_note(Diags *diags, Span span, const char *format, ...) PRINTF_LIKE(3, 4);

/* How many there have been, flushed or not; repetitions are not counted. */
size_t diag_errors(const Diags *diags);
size_t diag_warnings(const Diags *diags);
/* -Werror: warnings become errors; disable: a flag's warnings are dropped ("all" = every one). For reports to come. */
void diag_warnings_are_errors(Diags *diags);
void diag_disable(Diags *diags, const char *flag);

typedef enum DiagStyle { DIAG_PLAIN, DIAG_COLOR, DIAG_JSON } DiagStyle;
/* Prints what has been collected, in order of (source, offset), each once, with the line and a caret; forgets it.
 * Allocates nothing from the arena, so it works after an out-of-memory. DIAG_JSON prints one array on one line, "[]"
 * when there is nothing: objects with severity, file, line, column, end_column (behind the last character), message,
 * flag or pass, notes; what does not apply is left out. Columns count characters from 1. */
void diag_flush(Diags *diags, FILE *out, DiagStyle style);

/* A compiler bug: says so, asks for a report, exits with status 3. */
#define ICE(...) ice_(__FILE__, __LINE__, __VA_ARGS__)
NORETURN void ice_(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- files.c: reading whole files, writing without partial results ------------------------------------------ */

typedef struct Bytes { const uint8_t *at; size_t len; } Bytes;

/* The contents of a regular file, mapped read-only until the arena is freed; pipes and "-" (stdin) are read into
 * memory. On failure reports at `span` (a path that the user wrote) and returns false. */
bool file_read(Arena *arena, Diags *diags, Span span, const char *path, Bytes *out);

/* Tells the system that this part of a mapping will not be read again soon (peak memory of large models). A hint:
 * the bytes stay readable. */
void file_done_with(const void *at, size_t len);

/* A file that appears under its name only when complete: written beside it under a temporary name, renamed by
 * out_commit, removed with its arena otherwise. "-" is stdout. out_path: the temporary file, for writers that want a
 * name; they leave out_stream alone.
 * An existing file keeps its permissions, a symbolic link is written through, and what cannot be renamed onto (a
 * device, a FIFO) is written directly. NULL and false have been reported. */
typedef struct OutFile OutFile;
OutFile *out_open(Arena *arena, Diags *diags, const char *path);
FILE *out_stream(OutFile *file);
const char *out_path(OutFile *file);
bool out_commit(OutFile *file, Diags *diags);
/* Commits all or none: every file is complete and flushed before the first is renamed. */
bool out_commit_all(OutFile *const *files, size_t n, Diags *diags);
/* Async-signal-safe: unlinks temporary files still open, for an interrupt handler. */
void out_discard_pending(void);

/* ---- parallel.c --------------------------------------------------------------------------------------------- */

/* How many workers there are for `threads` asked for (0: one for each CPU), at least 1. */
unsigned parallel_workers(unsigned threads);
/* Calls job(data, i, worker) for all i < n, in any order, several at a time; worker < parallel_workers(threads) says whose buffers to use.
 * Jobs are independent: what one leaves behind depends on i alone. They must neither allocate on an arena that others use, nor unwind. */
void parallel_for(unsigned threads, size_t n, void (*job)(void *data, size_t i, unsigned worker), void *data);

/* ---- hash.c ------------------------------------------------------------------------------------------------- */

typedef struct Hash128 { uint64_t hi, lo; } Hash128;
Hash128 hash_bytes(const void *at, size_t len);
bool hash_equal(Hash128 a, Hash128 b);

/* Checked sizes: false when the result does not fit. */
bool size_mul(size_t a, size_t b, size_t *out);
bool size_add(size_t a, size_t b, size_t *out);

#endif
