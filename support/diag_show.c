/* diag_show.c — reports as a person, or a program, reads them.
 *
 * In: sorted reports and the sources that they point into. Out: this, or one JSON array:
 *
 *      mlp.cnet:7:12: error: `fc2` expects 8 columns, `h` has 10 elements
 *          let y = w["fc2.weight"] @ h;
 *                  ^~~~~~~~~~~~~~~~~~~
 *
 * The one idea: a source line is walked once, glyph by glyph, and each glyph says what to print on the upper line and
 * how many cells that takes; the caret line below can then not drift, whatever the file contains (tabs, wide letters,
 * escapes). Columns count characters, as editors do, not cells. Long lines show a window around the caret.
 *
 * Nothing is allocated from an arena, for a flush may be what follows an out-of-memory.
 */
#include "diag_show.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { WINDOW = 100, BEFORE_CARET = 40 }; /* characters */

/* ---- a small output buffer: stderr has none, and a message should arrive in one piece ---- */

typedef struct Printer {
    FILE *out;
    bool color;
    size_t used;
    char buffer[2048];
} Printer;

static void flush_printer(Printer *to)
{
    fwrite(to->buffer, 1, to->used, to->out);
    to->used = 0;
}

static void put(Printer *to, const char *s, size_t n)
{
    for (; n > sizeof to->buffer - to->used; flush_printer(to)) {
        size_t part = sizeof to->buffer - to->used;
        memcpy(to->buffer + to->used, s, part);
        to->used += part;
        s += part, n -= part;
    }
    memcpy(to->buffer + to->used, s, n);
    to->used += n;
}

static void puts_to(Printer *to, const char *s)
{
    put(to, s, strlen(s));
}

static void put_number(Printer *to, size_t number)
{
    char digits[24];
    put(to, digits, (size_t)snprintf(digits, sizeof digits, "%zu", number));
}

static void paint(Printer *to, const char *sgr)
{
    if (to->color) {
        puts_to(to, "\33[");
        puts_to(to, sgr);
        puts_to(to, "m");
    }
}

/* ---- glyphs ---- */

/* One printed unit of a text: a character, or one byte that must not be printed as it is. */
typedef struct Glyph {
    size_t bytes; /* of the text that it stands for */
    size_t cells; /* on the terminal */
    size_t len;
    char shown[20]; /* at most four bytes as \xNN */
} Glyph;

typedef struct Range { uint32_t first, last; } Range;

static bool is_in(uint32_t c, const Range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}
#define IS_IN(c, ranges) is_in((c), (ranges), sizeof(ranges) / sizeof *(ranges))

/* Controls, and the marks that reorder, separate or hide text (CVE-2021-42574). */
static bool must_be_escaped(uint32_t c)
{
    static const Range ranges[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x61C, 0x61C},   {0x200B, 0x200F},
                                   {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE007F}};
    return IS_IN(c, ranges);
}

/* Cells of a terminal, coarsely (Unicode TR 11); wcwidth() would depend on the locale. */
static size_t cells_of(uint32_t c)
{
    static const Range none[] = {{0x300, 0x36F}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
    static const Range two[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xAC00, 0xD7A3},
                                {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
                                {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    if (c < 0x300)
        return 1;
    return IS_IN(c, none) ? 0 : IS_IN(c, two) ? 2 : 1;
}

static size_t sequence_length(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static Glyph escaped(const char *p, size_t n)
{
    Glyph glyph = {.bytes = n};
    for (size_t i = 0; i < n; i++)
        glyph.len += (size_t)snprintf(glyph.shown + glyph.len, sizeof glyph.shown - glyph.len, "\\x%02x",
                                      (unsigned char)p[i]);
    glyph.cells = glyph.len;
    return glyph;
}

static Glyph glyph_at(const char *p, const char *end)
{
    size_t n = sequence_length((unsigned char)*p);
    if (n > (size_t)(end - p) || utf8_check(p, n) != n)
        return escaped(p, 1);
    uint32_t c = (unsigned char)*p & (n == 1 ? 0x7F : 0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3F);
    if (must_be_escaped(c))
        return escaped(p, n);
    Glyph glyph = {.bytes = n, .cells = cells_of(c), .len = n};
    memcpy(glyph.shown, p, n);
    return glyph;
}

const char *show_visible(Arena *arena, const char *s)
{
    Text text = text_new(arena);
    for (const char *end = s + strlen(s); s < end;) {
        Glyph glyph = glyph_at(s, end);
        text_put(&text, glyph.shown, glyph.len);
        s += glyph.bytes;
    }
    return text.at;
}

/* ---- places ---- */

/* Where a span lies, for people. `line` is NULL when it names no place in a text. */
typedef struct Place {
    const char *name;
    const char *line, *line_end; /* without the line's end */
    const char *at, *stop;       /* what to underline of that line */
    size_t line_number, column;  /* from 1 */
    bool ends_here;              /* the span does not go on in the next line */
} Place;

/* Characters, each counted by its first byte; right for well-formed text, harmless for other. */
static bool starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

static size_t characters(const char *from, const char *to)
{
    size_t n = 0;
    for (; from < to; from++)
        n += starts_character(*from);
    return n;
}

static const char *skip_characters(const char *from, const char *end, size_t n)
{
    while (from < end && n-- > 0)
        do
            from++;
        while (from < end && !starts_character(*from));
    return from;
}

static size_t newlines(const char *from, const char *to)
{
    size_t n = 0;
    while (from < to && (from = memchr(from, '\n', (size_t)(to - from))) != NULL)
        from++, n++;
    return n;
}

static size_t line_number(Source *source, size_t offset)
{
    const char *known = source->text + source->cursor, *wanted = source->text + offset;
    if (wanted >= known)
        source->cursor_line += newlines(known, wanted);
    else
        source->cursor_line -= newlines(wanted, known);
    source->cursor = offset;
    return source->cursor_line;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* "Unexpected end" belongs behind the last thing that was there, not on an empty line below it. */
static size_t end_of_content(const Source *source)
{
    size_t at = source->len;
    while (at > 0 && is_space(source->text[at - 1]))
        at--;
    return at;
}

static Place place_of(const Showing *showing, Span span)
{
    if (span.source == 0 || span.source > showing->source_count)
        return (Place){.name = "cnetc"};
    Source *source = &showing->sources[span.source - 1];
    Place place = {.name = source->name};
    if (source->len == 0 || span_is_whole(span))
        return place;
    bool past_end = span.begin >= source->len;
    size_t begin = past_end ? end_of_content(source) : span.begin;
    size_t end = past_end ? begin : span.end < source->len ? span.end : source->len;
    const char *text = source->text, *at = text + begin, *text_end = text + source->len;
    const char *before = memrchr(text, '\n', begin);
    const char *after = memchr(at, '\n', source->len - begin);
    place.line = before ? before + 1 : text;
    place.line_end = after ? after : text_end;
    if (place.line_end > place.line && place.line_end[-1] == '\r')
        place.line_end--;
    place.at = at < place.line_end ? at : place.line_end;
    place.stop = text + end < place.line_end ? text + end : place.line_end;
    place.ends_here = text + end <= place.line_end;
    place.line_number = line_number(source, begin);
    place.column = 1 + characters(place.line, place.at);
    return place;
}

/* ---- for people ---- */

static const struct { const char *name, *sgr; } severities[] = {
    [DIAG_ERROR] = {"error", "1;31"},
    [DIAG_WARNING] = {"warning", "1;35"},
    [DIAG_REMARK] = {"remark", "1;34"},
    [DIAG_NOTE] = {"note", "1;36"},
};

static void print_heading(Printer *to, const Place *place, const Report *report)
{
    paint(to, "1");
    puts_to(to, place->name);
    if (place->line) {
        puts_to(to, ":");
        put_number(to, place->line_number);
        puts_to(to, ":");
        put_number(to, place->column);
    }
    puts_to(to, ": ");
    paint(to, severities[report->severity].sgr);
    puts_to(to, severities[report->severity].name);
    puts_to(to, ": ");
    paint(to, report->severity == DIAG_NOTE ? "0" : "0;1"); /* as gcc and clang: a note is not bold */
    if (report->label && report->severity == DIAG_REMARK) {
        puts_to(to, report->label);
        puts_to(to, ": ");
    }
    puts_to(to, report->message);
    if (report->label && report->severity != DIAG_REMARK) {
        puts_to(to, report->promoted ? " [-Werror,-W" : " [-W");
        puts_to(to, report->label);
        puts_to(to, "]");
    }
    paint(to, "0");
    puts_to(to, "\n");
}

/* The part of the line that is shown. */
static void window(const Place *place, const char **from, const char **to)
{
    *from = place->line;
    *to = place->line_end;
    size_t total = characters(place->line, place->line_end);
    if (total <= WINDOW)
        return;
    size_t caret = place->column - 1;
    size_t first = caret > BEFORE_CARET ? caret - BEFORE_CARET : 0;
    if (first > total - WINDOW)
        first = total - WINDOW;
    *from = skip_characters(place->line, place->line_end, first);
    *to = skip_characters(*from, place->line_end, WINDOW);
}

static void print_line(Printer *to, const char *from, const char *end)
{
    while (from < end) {
        Glyph glyph = glyph_at(from, end);
        if (*from == '\t')
            puts_to(to, "\t");
        else
            put(to, glyph.shown, glyph.len);
        from += glyph.bytes;
    }
}

static void put_cells(Printer *to, const char *cell, size_t n)
{
    while (n-- > 0)
        put(to, cell, 1);
}

/* Blanks up to the caret, tabs staying tabs so that they end at the same stops as in the line above. */
static void print_blanks(Printer *to, const char *from, const char *at)
{
    while (from < at) {
        Glyph glyph = glyph_at(from, at);
        if (*from == '\t')
            puts_to(to, "\t");
        else
            put_cells(to, " ", glyph.cells);
        from += glyph.bytes;
    }
}

static void print_underline(Printer *to, const char *at, const char *stop)
{
    puts_to(to, "^");
    size_t printed = 1, cells = 0;
    for (const char *p = at; p < stop && *p != '\t';) { /* a tab's width is the terminal's secret */
        Glyph glyph = glyph_at(p, stop);
        cells += glyph.cells;
        p += glyph.bytes;
    }
    if (cells > printed)
        put_cells(to, "~", cells - printed);
}

static void print_excerpt(Printer *to, const Place *place)
{
    const char *from, *end;
    window(place, &from, &end);
    const char *dots = from > place->line ? "..." : "";
    puts_to(to, "    ");
    puts_to(to, dots);
    print_line(to, from, end);
    puts_to(to, end < place->line_end ? "...\n" : "\n");
    puts_to(to, "    ");
    print_blanks(to, dots, dots + strlen(dots));
    print_blanks(to, from, place->at);
    paint(to, "1;32");
    print_underline(to, place->at, place->stop < end ? place->stop : end);
    paint(to, "0");
    puts_to(to, "\n");
}

static void print_all(const Showing *showing, FILE *out, bool color)
{
    Printer to = {.out = out, .color = color};
    for (size_t i = 0; i < showing->report_count; i++)
        for (const Report *report = showing->reports[i]; report; report = report->notes) {
            Place place = place_of(showing, report->span);
            print_heading(&to, &place, report);
            if (place.line)
                print_excerpt(&to, &place);
        }
    if (showing->errors_hidden) {
        put_number(&to, showing->errors_hidden);
        puts_to(&to, showing->errors_hidden == 1 ? " more error not shown\n" : " more errors not shown\n");
    }
    flush_printer(&to);
}

/* ---- for programs ---- */

static bool json_text(cJSON *object, const char *key, const char *value)
{
    return cJSON_AddStringToObject(object, key, value) != NULL;
}

static bool json_number(cJSON *object, const char *key, size_t value)
{
    return cJSON_AddNumberToObject(object, key, (double)value) != NULL;
}

static bool json_fill(cJSON *object, const Place *place, const Report *report)
{
    bool good = json_text(object, "severity", severities[report->severity].name);
    if (report->span.source != 0)
        good = good && json_text(object, "file", place->name);
    if (place->line) {
        good = good && json_number(object, "line", place->line_number);
        good = good && json_number(object, "column", place->column);
    }
    if (place->line && place->ends_here && place->stop > place->at)
        good = good && json_number(object, "end_column", place->column + characters(place->at, place->stop));
    good = good && json_text(object, "message", report->message);
    if (report->label)
        good = good && json_text(object, report->severity == DIAG_REMARK ? "pass" : "flag", report->label);
    return good;
}

/* NULL when memory has run out. */
static cJSON *json_report(const Showing *showing, const Report *report)
{
    cJSON *object = cJSON_CreateObject();
    Place place = place_of(showing, report->span);
    bool good = object && json_fill(object, &place, report);
    cJSON *notes = NULL;
    if (good && report->severity != DIAG_NOTE)
        good = (notes = cJSON_AddArrayToObject(object, "notes")) != NULL;
    for (const Report *note = report->notes; good && notes && note; note = note->notes) {
        cJSON *item = json_report(showing, note);
        good = item && cJSON_AddItemToArray(notes, item);
    }
    if (good)
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* Report by report, so that a thousand remarks do not become one tree. */
static void print_json(const Showing *showing, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < showing->report_count; i++) {
        cJSON *object = json_report(showing, showing->reports[i]);
        char *printed = object ? cJSON_PrintUnformatted(object) : NULL;
        fputs(i ? "," : "", out);
        fputs(printed ? printed : "{\"severity\":\"error\",\"message\":\"out of memory\",\"notes\":[]}", out);
        cJSON_free(printed);
        cJSON_Delete(object);
    }
    if (showing->errors_hidden)
        fprintf(out, "%s{\"severity\":\"error\",\"message\":\"%zu more error%s not shown\",\"notes\":[]}",
                showing->report_count ? "," : "", showing->errors_hidden, showing->errors_hidden == 1 ? "" : "s");
    fputs("]\n", out);
}

void show_reports(const Showing *showing, FILE *out, DiagStyle style)
{
    if (style == DIAG_JSON)
        print_json(showing, out);
    else
        print_all(showing, out, style == DIAG_COLOR);
}
