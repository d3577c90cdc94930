/* gperf.c — gperf's perfect hash of the keys' bytes, as memorize.py has it written: FOUND_C is the file, made with these names. Its
 * tables are the program's own constants: gperf has no other way.
 */
#include "rival.h"

struct entry;
static const struct entry *gperf_find(const char *bytes, size_t len);
#include FOUND_C

typedef char State;

static inline Label find(const State *s, Key key)
{
    (void)s;
    return gperf_find((const char *)&key, sizeof key)->label;
}

static void *gperf_open(const Points *p, char *why)
{
    (void)why;
    return rival_allocate(p, sizeof(State));
}

RIVAL(State, gperf_open, find)
