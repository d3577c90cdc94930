/* util.h — what the contenders share: memory on cache lines, the clock, widths of layers. */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer.h"

/* Zeroed memory on a cache line, with room for vectors that read past the end. Ends the program when there is none. */
static inline void *bench_alloc(size_t bytes)
{
    size_t size = (bytes + 64 + 63) / 64 * 64;
    void *p = aligned_alloc(64, size);
    if (p == NULL) {
        fprintf(stderr, "no memory: %zu bytes\n", size);
        exit(1);
    }
    return memset(p, 0, size);
}

static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Elements of the widest value between layers. */
static inline size_t bench_widest(const Problem *p)
{
    size_t widest = p->inputs;
    for (size_t i = 0; i < p->n_layers; i++)
        if (p->layers[i].outputs > widest)
            widest = p->layers[i].outputs;
    return widest;
}

#endif
