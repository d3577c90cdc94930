/* split.h — private to passes/split/: what its files hand to each other, in the order in which data flow.
 *
 *      chain.c      a network that is layers of affine maps and relus               Network  →  Chain
 *      bounds.c     which relus are decided on a box (forms.c: back-substitution)    Chain, box  →  Facts
 *      leaf_cost.c  the cheapest way to evaluate what is left                        Facts  →  LeafCode
 *      grow.c       cuts, best first                                                 Chain  →  Growth
 *      choose.c     which of its nodes are leaves, and whose code they run           Growth, budgets  →  Split
 *      leaf.c       that code as matrices, and how far they can be off               Facts, LeafCode  →  Leaf
 *      source_error.c  how far the source itself can be off      Facts  →  a number for each output
 *      emit.c       classes of leaves of one shape, as IR                            Split  →  Network
 *      split.c      the pass
 *
 * Numbers are doubles; the elements of f32 networks are exact in them. All is on the caller's arenas.
 */
#ifndef CNET_PASSES_SPLIT_H
#define CNET_PASSES_SPLIT_H

#include "../passes.h"

/* ---- chain.c ---------------------------------------------------------------------------------------------------------------------- */

/* z = weight · h + bias, then relu or nothing. */
typedef struct ChainLayer {
    uint32_t rows, cols;
    const double *weight, *bias;  /* [rows][cols], [rows]: exactly what is stored */
    bool relu;
    uint64_t nonzeros;            /* of the weights, and where they lie: row r has columns column[start[r]] … column[start[r + 1] − 1] */
    const uint64_t *start;
    const uint32_t *column;
} ChainLayer;

typedef enum Winner { WINNER_none, WINNER_argmax, WINNER_argmin } Winner;

/* A network of one input vector and one output vector, every layer of which is affine, with a relu behind it or none. With a winner the
 * last layer has none: behind a relu it is an identity (or its negative) that is no op of the network. */
typedef struct Chain {
    uint32_t n_layers;
    ChainLayer *layer;
    uint32_t n_inputs, n_outputs;
    const double *lo, *hi;        /* the input box, exactly as the guard tests it; lo == hi: that input is a constant */
    uint32_t n_neurons;           /* rows of all layers; neuron first[l] + r is row r of layer l */
    uint32_t *first;
    Winner winner;                /* not none: only the index of the winning output leaves; for argmin the last layer is *negated* here, so that
                                     the greatest wins everywhere below, ties to the lowest index */
    Type element;                 /* of the input, the output and everything between: f32 or f64 */
    Value input, output;          /* in the IR: a vector of n_inputs; the last layer's value, or the winner's index as it is returned */
    Vec(Op *) ops;                /* from input to output, in order: what a split takes the place of */
    uint64_t dense_ops;           /* as counted at -O0, the winner's comparisons included */
    uint64_t dense_bytes;
} Chain;

/* False when the network is none, with the reason in `why` (a clause that a remark ends with). */
bool chain_of(Arena *arena, const Network *net, Chain *out, const char **why);

/* ---- bounds.c: design: back-substitution, CROWN (Zhang et al., 1811.00866) ---------------------------------------------------------- */

typedef enum State { STATE_OFF, STATE_ON, STATE_UNSTABLE } State;     /* rows of layers without a relu are always on */

/* What holds for every input in a box, in real arithmetic: by neuron, lo <= z <= hi, outward rounded; alive: by output, whether it may win
 * (all, without a winner). */
typedef struct Facts { uint8_t *state; double *lo, *hi; uint8_t *alive; } Facts;

Facts facts_new(Arena *arena, const Chain *chain);        /* nothing is known: unstable, ±infinity, alive */
void facts_copy(const Chain *chain, Facts *to, const Facts *from);

/* Buffers of bounds_tighten: one for each thread. */
typedef struct BoundsScratch BoundsScratch;
BoundsScratch *bounds_scratch(Arena *arena, const Chain *chain);
/* Adds what can be proven on the box lo … hi (a part of the box for which `facts` hold already). Only what is unstable is computed. */
void bounds_tighten(const Chain *chain, BoundsScratch *scratch, const double *lo, const double *hi, Facts *facts);

/* ---- leaf_cost.c ---------------------------------------------------------------------------------------------------------------------- */

/* How a leaf evaluates what its facts leave. There is a basis, at first the free inputs (lo < hi). For each layer but the last: its unstable
 * rows are sums over the basis, with a relu. If the layer is *kept*, its rows that are on are sums too, and both are the new basis; if it is
 * *folded*, the unstable ones are added to the basis, and rows that are on become affine maps of it. A layer without rows makes what follows
 * constant. The outputs are sums over the last basis: all of them; or with a winner among k that are alive k − 1 differences to the first. */
typedef struct LeafCode {
    uint64_t kept;                /* bit l: layer l is kept */
    double mean;                  /* expected operations: half of the relus are active */
    uint32_t worst;               /* operations when all are */
    uint32_t words;               /* stored numbers: weights and biases */
} LeafCode;

/* The cheapest, by expected operations (all sets of kept layers up to 10 of them, greedily beyond). */
LeafCode leaf_code(const Chain *chain, const uint8_t *state, const uint8_t *alive);
/* What `how` executes on an input that gives the pre-activations z. */
uint64_t leaf_ops(const Chain *chain, const uint8_t *state, const uint8_t *alive, LeafCode how, const double *z);
/* What the network executes there without any split, zero activations and zero weights left out. */
uint64_t skip_ops(const Chain *chain, const double *x, const double *z);
/* Every pre-activation, as doubles compute them. h: room for the widest layer. */
void chain_evaluate(const Chain *chain, const double *x, double *z, double *h);

/* ---- grow.c ---------------------------------------------------------------------------------------------------------------------------- */

/* A part of the box. What is known there of the network is packed: two bits a neuron (State), then a bit an output (alive). */
typedef struct GrowNode {
    int32_t parent, child[2];     /* child[0] < 0: not cut; children come later than their parent */
    uint32_t coordinate, depth;
    double cut;
    double share;                 /* of the inputs, as expected */
    uint8_t *known;
    LeafCode how;
} GrowNode;

typedef struct GrowOptions {
    unsigned threads;             /* as many as there are (parallel_workers), 1 at least */
    bool worst_first;             /* cut where the worst case is, until it is at most `worst`; then go on by expectation */
    uint64_t worst;               /* comparisons and operations of a leaf; 0: no bound */
    const double *sample;         /* [n_samples][n_inputs], inside the box: what is likely; NULL: all of the box alike */
    uint32_t n_samples;
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);     /* NULL: nobody looks */
    void *progress_context;
} GrowOptions;

typedef struct Growth {
    Vec(GrowNode) node;           /* the first is the whole box */
    uint32_t n_leaves;
    uint64_t evaluated;           /* cuts that were tried */
    struct Grower *grower;
} Growth;

void growth_start(Arena *arena, const Chain *chain, const GrowOptions *options, Growth *out);
/* Cuts until there are so many leaves. False: before that nothing was left that is worth a cut. */
bool growth_to(Growth *growth, size_t leaves);
/* The most that any leaf executes, the way to it included. */
uint64_t growth_worst(const Growth *growth);

/* Multiplications that bounds of the whole box take, at most. */
uint64_t bounds_work(const Chain *chain);

size_t known_bytes(const Chain *chain);
void known_pack(const Chain *chain, const uint8_t *state, const uint8_t *alive, uint8_t *known);
void known_unpack(const Chain *chain, const uint8_t *known, uint8_t *state, uint8_t *alive);

/* ---- choose.c -------------------------------------------------------------------------------------------------------------------------- */

/* A piece of code that leaves run: what its facts leave of the network. */
typedef struct Code {
    const uint8_t *state, *alive; /* as in Facts; they hold in every leaf that runs it */
    const double *lo, *hi;        /* a box around these leaves, and more than they are: state and alive need not hold in all of it */
    double share;                 /* of the inputs, as expected */
    LeafCode how;
} Code;

/* The tree as it will be emitted. A node sends x left if x[coordinate] <= cut, a number of the input's type; lo < cut < hi of its box. */
typedef struct SplitNode { uint32_t coordinate; double cut; int32_t child[2]; } SplitNode;     /* child < 0: leaf ~child; parents first */
typedef struct Split {
    uint32_t n_nodes, n_leaves, n_codes;
    SplitNode *node;
    uint32_t *code;               /* by leaf */
    double *share;                /* by leaf */
    Code *codes;
} Split;

typedef struct ChooseLimits {
    uint64_t bytes;               /* of tree and leaves; UINT64_MAX: any */
    uint64_t worst;               /* as in GrowOptions */
} ChooseLimits;

/* What nodes know is first joined from what lies below them. False: nothing keeps to the limits. */
bool choose_split(Arena *arena, const Chain *chain, Growth *growth, const ChooseLimits *limits, Split *out);
/* Bytes that it will take, before classes are merged. */
uint64_t split_bytes(const Chain *chain, const Split *split);
/* The leaf that x is sent to, and the comparisons on the way. */
uint32_t split_leaf(const Split *split, const double *x, uint32_t *depth);
/* The most that any input executes, comparisons included. */
uint64_t split_worst(Arena *scratch, const Split *split);

/* ---- emit.c ------------------------------------------------------------------------------------------------------------------------------ */

/* What came of it, for remarks and headers. */
typedef struct Emitted {
    double certified;             /* |compiled − real| over the box, proven; with a winner: how far its score can lie below the greatest */
    double source;                /* |source − real| likewise, see source_error.c */
    uint32_t classes;
    uint64_t bytes;               /* of the tree and the leaves */
} Emitted;

/* Bytes that split_emit will store for tree and leaves, the rows that classes add included. */
uint64_t split_stored_bytes(Arena *scratch, unsigned threads, const Chain *chain, const Split *split);

/* Builds tree and leaves in place of chain->ops (with --outside=dense those stay in the arm that answers outside the box). */
bool split_emit(Network *net, PassContext *ctx, const Chain *chain, const Split *split, Emitted *out);

#endif
