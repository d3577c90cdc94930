/* figures.h — private to passes/: how large a ReLU network is, as the papers count. */
#ifndef CNET_PASSES_FIGURES_H
#define CNET_PASSES_FIGURES_H

#include "pass_util.h"

/* Of the network as it is built, with every `repeat` laid out. Rounds that use the same weight use it once each. */
typedef struct Figures {
    uint64_t neurons;             /* relus */
    uint64_t parameters;          /* weights and biases that are not 0, 1 or -1 */
    uint64_t bits;                /* of the magnitudes of all of them */
    uint32_t widest;              /* of the largest */
    uint64_t depth;               /* layers: the most relus on a path, and the output */
} Figures;

/* Of what computes the integer `to` from `from`. Ops that are neither linear nor a relu are taken as inputs. */
Figures figures_of(Arena *scratch, const Network *net, Value from, Value to);

#endif
