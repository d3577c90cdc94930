/* diag.c — messages to the user: collected here, shown by diag_show.c.
 *
 * In: a place, a sentence, the kind of report. Out: a sorted list without repetitions, handed to the printer. The one
 * idea: nobody prints on the way. Phases report in whatever order suits them; the user reads in the order of the
 * file, each thing once, and a library user reads none of it unless asked for.
 *
 * Bytes from files are made visible as a message is stored, so that neither a terminal nor a JSON reader ever meets
 * them raw.
 */
#include "diag_show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ERRORS_KEPT = 20, BUCKETS = 256 };

struct Diags {
    Arena *arena;
    Vec(Source) sources;
    Vec(const char *) disabled;
    bool warnings_are_errors;
    size_t errors, warnings; /* ever */

    /* since the last flush */
    Vec(Report *) reports;
    Report *buckets[BUCKETS]; /* the same reports by hash, to find repetitions */
    Report *current;          /* what a note belongs to; NULL after a report that was not kept */
    size_t errors_kept, errors_hidden;
};

Diags *diag_new(Arena *arena)
{
    Diags *diags = NEW(arena, Diags);
    diags->arena = arena;
    return diags;
}

/* ---- sources ---- */

uint32_t diag_source(Diags *diags, const char *name, const char *text, size_t len)
{
    Source source = {.name = show_visible(diags->arena, name), .text = len ? text : "", .len = len, .cursor_line = 1};
    vec_push(diags->arena, diags->sources, source);
    return (uint32_t)diags->sources.len;
}

Span diag_whole(uint32_t source)
{
    return (Span){.source = source, .begin = UINT32_MAX, .end = 0}; /* backwards: no place has this */
}

bool span_is_whole(Span span)
{
    return span.begin == UINT32_MAX && span.end == 0;
}

unsigned diag_line(const Diags *diags, Span span)
{
    if (span.source == 0 || span.source > diags->sources.len || span_is_whole(span))
        return 0;
    const Source *source = &diags->sources.at[span.source - 1];
    unsigned line = 1;
    for (const char *p = source->text, *end = p + (span.begin < source->len ? span.begin : source->len);
         (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        line++;
    return line;
}

/* ---- reports ---- */

static bool same(const Report *a, const Report *b)
{
    return a->severity == b->severity && a->span.source == b->span.source && a->span.begin == b->span.begin &&
           a->span.end == b->span.end && strcmp(a->message, b->message) == 0;
}

static Report **bucket_of(Diags *diags, const Report *report)
{
    uint64_t hash = hash_bytes(report->message, strlen(report->message)).lo ^ report->span.begin;
    return &diags->buckets[hash % BUCKETS];
}

static bool is_repetition(Diags *diags, const Report *report)
{
    for (const Report *other = *bucket_of(diags, report); other; other = other->in_bucket)
        if (same(report, other))
            return true;
    return false;
}

static void keep(Diags *diags, Report *report)
{
    vec_push(diags->arena, diags->reports, report);
    report->order = diags->reports.len;
    Report **bucket = bucket_of(diags, report);
    report->in_bucket = *bucket;
    *bucket = report;
    diags->current = report;
}

static Report *new_report(Arena *arena, Severity severity, Span span, const char *label, const char *format,
                          va_list args)
{
    Report *report = NEW(arena, Report);
    report->severity = severity;
    report->span = span;
    report->label = label ? str_dup(arena, label) : NULL;
    report->message = show_visible(arena, str_vprintf(arena, format, args));
    return report;
}

/* Counts an error beyond the last that is kept; its text is needed only to see whether it is new. */
static void hide_error(Diags *diags, Span span, const char *format, va_list args)
{
    Arena *scratch = arena_new(diags->arena);
    if (!scratch)
        arena_exhausted(diags->arena);
    if (!is_repetition(diags, new_report(scratch, DIAG_ERROR, span, NULL, format, args))) {
        diags->errors++;
        diags->errors_hidden++;
    }
    arena_free(scratch);
}

static void add(Diags *diags, Severity severity, bool promoted, Span span, const char *label, const char *format,
                va_list args)
{
    diags->current = NULL;
    if (severity == DIAG_ERROR && diags->errors_kept == ERRORS_KEPT) {
        hide_error(diags, span, format, args);
        return;
    }
    Report *report = new_report(diags->arena, severity, span, label, format, args);
    report->promoted = promoted;
    if (is_repetition(diags, report))
        return;
    keep(diags, report);
    diags->errors += severity == DIAG_ERROR;
    diags->errors_kept += severity == DIAG_ERROR;
    diags->warnings += severity == DIAG_WARNING;
}

static bool is_disabled(const Diags *diags, const char *flag)
{
    for (size_t i = 0; i < diags->disabled.len; i++)
        if (strcmp(diags->disabled.at[i], flag) == 0 || strcmp(diags->disabled.at[i], "all") == 0)
            return true;
    return false;
}

void diag_error(Diags *diags, Span span, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(diags, DIAG_ERROR, false, span, NULL, format, args);
    va_end(args);
}

void diag_warning(Diags *diags, Span span, const char *flag, const char *format, ...)
{
    if (is_disabled(diags, flag)) {
        diags->current = NULL;
        return;
    }
    bool promoted = diags->warnings_are_errors;
    va_list args;
    va_start(args, format);
    add(diags, promoted ? DIAG_ERROR : DIAG_WARNING, promoted, span, flag, format, args);
    va_end(args);
}

void diag_remark(Diags *diags, Span span, const char *pass, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(diags, DIAG_REMARK, false, span, pass, format, args);
    va_end(args);
}

void diag_note(Diags *diags, Span span, const char *format, ...)
{
    Report *owner = diags->current;
    if (!owner) /* its report was not kept */
        return;
    va_list args;
    va_start(args, format);
    Report *note = new_report(diags->arena, DIAG_NOTE, span, NULL, format, args);
    va_end(args);
    Report **end = &owner->notes;
    while (*end)
        end = &(*end)->notes;
    *end = note;
}

size_t diag_errors(const Diags *diags)
{
    return diags->errors;
}

size_t diag_warnings(const Diags *diags)
{
    return diags->warnings;
}

void diag_warnings_are_errors(Diags *diags)
{
    diags->warnings_are_errors = true;
}

void diag_disable(Diags *diags, const char *flag)
{
    const char *copy = str_dup(diags->arena, flag);
    vec_push(diags->arena, diags->disabled, copy);
}

/* ---- flush ---- */

static int by_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* NOWHERE is source 0: minus one, it becomes the largest and sorts last; plus one does the opposite for whole files,
 * whose offset is UINT32_MAX. */
static int by_place(const void *left, const void *right)
{
    const Report *a = *(Report *const *)left, *b = *(Report *const *)right;
    int order = by_u64(a->span.source - UINT32_C(1), b->span.source - UINT32_C(1));
    if (order == 0 && a->span.source != 0)
        order = by_u64(a->span.begin + UINT32_C(1), b->span.begin + UINT32_C(1));
    return order ? order : by_u64(a->order, b->order);
}

/* Allocates nothing from the arena: memory may just have run out. */
void diag_flush(Diags *diags, FILE *out, DiagStyle style)
{
    if (diags->reports.len > 1)
        qsort(diags->reports.at, diags->reports.len, sizeof *diags->reports.at, by_place);
    show_reports(&(Showing){.sources = diags->sources.at,
                            .source_count = diags->sources.len,
                            .reports = diags->reports.at,
                            .report_count = diags->reports.len,
                            .errors_hidden = diags->errors_hidden},
                 out, style);
    diags->reports.len = 0;
    memset(diags->buckets, 0, sizeof diags->buckets);
    diags->current = NULL;
    diags->errors_kept = diags->errors_hidden = 0;
}

/* ---- compiler bugs ---- */

/* Build directories are nobody's business: "support/diag.c", whatever the compiler was called with. */
static const char *in_project(const char *file)
{
    const char *start = file;
    size_t slashes = 0;
    for (const char *p = file + strlen(file); p > file && slashes < 2; p--)
        if (p[-1] == '/' && ++slashes == 2)
            start = p;
    return start;
}

void ice_(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("cnetc: internal error: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (%s:%d)\n", in_project(file), line);
    fputs("cnetc: this is a bug in cnetc; please report it, with the input and the command line\n", stderr);
    fflush(stderr);
    out_discard_pending();
    _exit(3); /* exit handlers would run in a state that nobody vouches for */
}
