/* rival.h — what a contender of memorize.py is, the points it gets, and the two ways in which it is asked.
 *
 * Every contender is a shared object of its own, compiled for one type of keys (-DKEY_F64, -DKEY_F32, -DKEY_I64 or -DKEY_I32), so that one whose
 * library is not there is absent and the others are measured. It exports `const Rival rival`, which RIVAL(open, find) makes of a function
 * that finds the label of one key.
 */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined KEY_F32
typedef float Key;
typedef uint32_t KeyBits;
#elif defined KEY_I64
typedef int64_t Key;
typedef uint64_t KeyBits;
#elif defined KEY_I32
typedef int32_t Key;
typedef uint32_t KeyBits;
#else
typedef double Key;
typedef uint64_t KeyBits;
#endif
typedef int32_t Label;                      /* 0 ... 2^31 - 1; neighbours differ, so that there is nothing to merge */

/* The points, sorted by key. They are there while a contender opens, and no longer. */
typedef struct Points {
    uint64_t n;
    const Key *keys;
    const Label *labels;
    const char *argument;                   /* what the command line says after the shared object, "" if nothing */
    /* All memory that is read by a look-up comes from here: zeroed, on a cache line, of the pages that all contenders get.
     * It is never freed. */
    void *(*allocate)(void *from, size_t bytes);
    void *from;
} Points;

enum { WHY_SIZE = 400 };

typedef struct Rival {
    int without_labels;                     /* 1: a limit, not a contender: it reads memory and finds nothing */
    void *(*open)(const Points *points, char *why);     /* NULL, and why: it cannot */
    /* Both write the labels of queries[0 ... n). chain: one at a time, each query waits for the label before it; `zero` is 0, which the
     * compiler does not know. many: in any order, as fast as it can. */
    void (*chain)(const void *state, const Key *queries, size_t n, size_t zero, Label *labels);
    void (*many)(const void *state, const Key *queries, size_t n, Label *labels);
} Rival;

static inline void *rival_allocate(const Points *points, size_t bytes)
{
    return points->allocate(points->from, bytes);
}

/* The bits of a key, equal for equal keys: -0 is +0. */
static inline KeyBits key_bits(Key key)
{
    KeyBits bits;
    key += (Key)0;
    memcpy(&bits, &key, sizeof bits);
    return bits;
}

#ifdef __cplusplus
extern "C" {
#endif
extern const Rival rival __attribute__((visibility("default")));
#ifdef __cplusplus
}
#endif

/* chain of `Label find(const State *, Key)`. */
#define RIVAL_CHAIN(State, find)                                                                            \
    static void rival_chain(const void *state, const Key *queries, size_t n, size_t zero, Label *labels)    \
    {                                                                                                       \
        Label label = 0;                                                                                    \
        for (size_t i = 0; i < n; i++)                                                                      \
            labels[i] = label = find((const State *)state, queries[i + ((size_t)label & zero)]);            \
    }

/* A contender that does its best by answering one query after the other: the processor overlaps them. */
#define RIVAL(State, open, find)                                                                \
    RIVAL_CHAIN(State, find)                                                                    \
    static void rival_many(const void *state, const Key *queries, size_t n, Label *labels)      \
    {                                                                                           \
        for (size_t i = 0; i < n; i++)                                                          \
            labels[i] = find((const State *)state, queries[i]);                                 \
    }                                                                                           \
    const Rival rival = { 0, open, rival_chain, rival_many };

#endif
