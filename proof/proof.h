/* proof.h — is a compiled tree the network that it was made from? Proven leaf by leaf, in exact arithmetic, and sampled where it is hardest.
 *
 * Reads IR. Shares no code with the passes that make trees: what both got wrong in the same way would go unseen.
 * Functions are grouped by the file that owns them; the arithmetic (proof.c and below) needs GMP.
 */
#ifndef CNET_PROOF_H
#define CNET_PROOF_H

#include "../ir/ir.h"

/* ---- tree.c: the tree of a network, as boxes of its inputs -------------------------------------------------------------------- */

/* The one `descend` over a network's inputs. Inputs are numbered element by element, one input behind the other. */
typedef struct ProofTree {
    const Network *net;
    const Op *op;
    const Tree *tree;
    uint32_t n_inputs;
    uint32_t *input;              /* by coordinate: which input it is */
} ProofTree;

/* False: the network has none, or its keys are not its inputs. */
bool proof_tree(Arena *arena, const Network *net, ProofTree *out);
/* A node sends x left if x <= its left end, right if x >= its right end: neighbours in the input's type. */
double proof_left_end(const ProofTree *t, uint32_t node);
double proof_right_end(const ProofTree *t, uint32_t node);

/* A part of the tree: what is below a node (or ~leaf), and the box of the inputs that come there. */
typedef struct ProofPart { int32_t at; double *lo, *hi; uint32_t leaves; } ProofPart;
typedef Vec(ProofPart) ProofParts;
/* The parts with at most so many leaves that no larger one holds, from left to right; of 1: the leaves. None for what no
 * input in lo … hi reaches. */
void proof_parts(Arena *arena, const ProofTree *t, const double *lo, const double *hi, uint32_t leaves, ProofParts *out);

/* ---- proof.c -------------------------------------------------------------------------------------------------------------------- */

typedef struct Proof {
    const char *why;              /* nothing was proven, because …; NULL: the following says what was */
    uint64_t leaves, proven;      /* ends of the tree: all; those proven */
    double error;                 /* the greatest |compiled − source| that is possible in them (of a winner: how far it may lie below the greatest) */
    bool failed;                  /* one could not be: */
    const char *reason;
    TreeLeaf leaf;
    double leaf_error;
    uint32_t n_inputs;
    double *lo, *hi;              /* its box, and the part of it where the proof failed */
    double *part_lo, *part_hi;
} Proof;

typedef void ProofProgress(void *context, uint64_t done, uint64_t all);

/* Proves that each leaf of `compiled` stays within its certified error of `source`, the network as written; a sample of them when all would
 * take more than about `work` products of exact numbers (some ten million a second). Stops at the first that fails. */
void proof_leaves(Arena *arena, const Network *source, const Network *compiled, uint64_t work, ProofProgress *progress, void *context, Proof *out);

/* Of a network whose output is the index of the greatest (least) of its scores: how far the score of `label` lies below the greatest (above the
 * least) for these inputs, in real arithmetic. Infinity: it is no label, or the network is none. */
double proof_gap(Arena *arena, const Network *source, const double *x, int64_t label);

#endif
