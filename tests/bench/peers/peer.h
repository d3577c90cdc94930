/* peer.h — what a contender of the measurements is, and the network it gets.
 *
 * Every contender is a shared object of its own, so that one whose library is not there is absent and the others are measured.
 * It exports `const Peer peer`.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

/* y = w x + b, then relu if it says so. w is row-major, [outputs][inputs]. */
typedef struct Layer {
    uint64_t inputs, outputs, relu;
    const float *w, *b;
} Layer;

/* An evaluation takes `batch` rows of x and writes as many of y; `rows` is a multiple of it. No layers: not a chain, and only
 * contenders that bring their own network can run it. */
typedef struct Problem {
    uint64_t n_layers, inputs, outputs, rows, batch;
    double tolerance;                       /* of an output, absolute; negative: there is no reference */
    const Layer *layers;
    const float *x;                         /* [rows][inputs] */
    const double *y;                        /* [rows][outputs], computed in double precision */
} Problem;

enum { WHY_SIZE = 400 };

typedef struct Peer {
    int without_outputs;                    /* 1: reads memory and evaluates nothing */
    /* The state of a contender ready to evaluate, or NULL and `why` not; `version` may be left as it is. `argument` is what
     * the command line says after the shared object. */
    void *(*open)(const Problem *problem, const char *argument, char *why, char *version);
    int (*evaluate)(void *state, const float *x, float *y);      /* 0: fine */
    void (*close)(void *state);
} Peer;

#endif
