/* text.c — strings on an arena.
 *
 * In: C strings, formats, bytes. Out: NUL-terminated strings that live as long as their arena. The one idea: a string
 * is never changed once handed out; only a Text grows, and only by its owner.
 */
#include "support.h"

#include <string.h>

/* ---- copies ---- */

char *str_dup(Arena *arena, const char *s)
{
    return str_ndup(arena, s, strlen(s));
}

char *str_ndup(Arena *arena, const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = arena_array(arena, n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

char *str_printf(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = str_vprintf(arena, format, args);
    va_end(args);
    return s;
}

char *str_vprintf(Arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) /* longer than INT_MAX, or the C library itself found no memory */
        arena_exhausted(arena);
    char *s = arena_alloc(arena, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, format, args);
    return s;
}

/* ---- questions ---- */

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return m <= n && memcmp(s + n - m, suffix, m) == 0;
}

/* ---- suggestions ---- */

enum { LONGEST_SUGGESTION = 255 };

/* Not tolower(): what is suggested must not depend on the user's locale. */
static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (Damerau 1964, in the form of "optimal string alignment": no part is edited
 * twice), the case of ASCII letters aside. `limit` + 1 when it is above the limit. m ≤ LONGEST_SUGGESTION.
 *
 *      d[i][j] = min( d[i-1][j] + 1,  d[i][j-1] + 1,  d[i-1][j-1] + (a[i] != b[j]),
 *                     d[i-2][j-2] + 1  if a[i-1] a[i] = b[j] b[j-1] )
 */
static size_t distance(const char *a, size_t n, const char *b, size_t m, size_t limit)
{
    if ((n > m ? n - m : m - n) > limit)
        return limit + 1;
    size_t rows[3][LONGEST_SUGGESTION + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    size_t least_above = 0;
    for (size_t j = 0; j <= m; j++)
        above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t least = row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t d = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                d = smaller(d, before[j - 2] + 1);
            row[j] = d;
            least = smaller(least, d);
        }
        if (least > limit && least_above > limit) /* both: a swap looks back two rows */
            return limit + 1;
        least_above = least;
        size_t *spare = before;
        before = above, above = row, row = spare;
    }
    return smaller(above[m], limit + 1);
}

const char *str_nearest(const char *name, const char *const *candidates, size_t n)
{
    size_t len = strlen(name), limit = (len + 1) / 3; /* 2–4 bytes: one edit, 5–7: two … */
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t candidate_len = strlen(candidates[i]);
        if (candidate_len > LONGEST_SUGGESTION)
            continue;
        size_t d = distance(name, len, candidates[i], candidate_len, limit);
        if (d > limit)
            continue;
        nearest = candidates[i];
        if (d == 0)
            break;
        limit = d - 1; /* from now on only what is nearer still: the first of equals wins */
    }
    return nearest;
}

/* ---- UTF-8 ---- */

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The bytes of the well-formed sequence at s, or 0; table 3-7 of the Unicode standard. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    unsigned char lead = s[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4) /* a stray tail, an overlong pair, beyond U+10FFFF */
        return 0;
    size_t n = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (!is_tail(s[i]))
            return 0;
    bool bad = (lead == 0xE0 && s[1] < 0xA0)    /* overlong */
               || (lead == 0xED && s[1] > 0x9F) /* surrogates */
               || (lead == 0xF0 && s[1] < 0x90) /* overlong */
               || (lead == 0xF4 && s[1] > 0x8F) /* beyond U+10FFFF */;
    return bad ? 0 : n;
}

size_t utf8_check(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;
    while (at < len) {
        size_t n = utf8_sequence(s + at, len - at);
        if (n == 0)
            return at;
        at += n;
    }
    return len;
}

/* ---- a growing text ---- */

Text text_new(Arena *arena)
{
    enum { FIRST = 64 };
    return (Text){.arena = arena, .at = arena_alloc(arena, FIRST), .cap = FIRST};
}

/* Room for n more bytes and the NUL. */
static void reserve(Text *text, size_t n)
{
    size_t need, twice;
    if (!size_add(text->len, n, &need) || !size_add(need, 1, &need))
        arena_exhausted(text->arena);
    if (need <= text->cap)
        return;
    if (!size_mul(text->cap, 2, &twice) || twice < need)
        twice = need;
    char *grown = arena_alloc(text->arena, twice);
    memcpy(grown, text->at, text->len);
    text->at = grown;
    text->cap = twice;
}

void text_put(Text *text, const char *s, size_t n)
{
    reserve(text, n);
    if (n)
        memcpy(text->at + text->len, s, n);
    text->len += n;
    text->at[text->len] = '\0';
}

void text_add(Text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at + text->len, text->cap - text->len, format, args);
    va_end(args);
    if (n < 0) {
        text->at[text->len] = '\0';
        arena_exhausted(text->arena);
    }
    if ((size_t)n >= text->cap - text->len) {
        text->at[text->len] = '\0'; /* whole again, should the next line unwind */
        reserve(text, (size_t)n);
        va_start(args, format);
        vsnprintf(text->at + text->len, (size_t)n + 1, format, args);
        va_end(args);
    }
    text->len += (size_t)n;
}
