/* diag_show.h — between diag.c, which collects reports, and diag_show.c, which prints them. Private to support/. */
#ifndef CNET_SUPPORT_DIAG_SHOW_H
#define CNET_SUPPORT_DIAG_SHOW_H

#include "support.h"

typedef struct Source {
    const char *name; /* as printed */
    const char *text;
    size_t len;
    size_t cursor, cursor_line; /* a known place; reports come in order, so the next one is near */
} Source;

typedef struct Report Report;
struct Report {
    Severity severity;
    bool promoted; /* an error only through -Werror */
    Span span;
    const char *label; /* the flag of a warning, the pass of a remark */
    const char *message;
    size_t order;      /* of emission */
    Report *notes;     /* the first note; each note's own `notes` is the one after it */
    Report *in_bucket;
};

typedef struct Showing {
    Source *sources; /* number n at [n-1] */
    size_t source_count;
    Report *const *reports;
    size_t report_count, errors_hidden;
} Showing;

void show_reports(const Showing *showing, FILE *out, DiagStyle style);

/* A copy without raw control characters and malformed bytes, which become \xNN. */
const char *show_visible(Arena *arena, const char *s);

bool span_is_whole(Span span);

#endif
