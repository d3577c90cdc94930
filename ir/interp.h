/* interp.h — what the interpreter's files share: where values lie, what a step is, integers of any width.
 *
 * Internal to ir/: everybody else includes ir.h.
 *
 *      interp_new:  Network  →  Frame: a Slot for every value, a Step for every op (its slots looked up once)
 *      interp_run:  runs the steps; each step calls primitives, and each primitive counts what it does
 */
#ifndef CNET_IR_INTERP_H
#define CNET_IR_INTERP_H

#include "ir.h"

/* Elements may lie at any address: constants do, users' buffers do. */
typedef float f32u __attribute__((aligned(1), may_alias));
typedef double f64u __attribute__((aligned(1), may_alias));
typedef uint32_t u32u __attribute__((aligned(1), may_alias));
typedef uint64_t u64u __attribute__((aligned(1), may_alias));

/* A value: row-major elements in their memory form. A set of n is n bytes, 0 or 1. */
typedef struct Slot {
    Type type;
    uint64_t count;               /* elements; of a set its n */
    uint32_t size;                /* bytes of an element */
    uint8_t *at;                  /* its own buffer, or what it is a view of (constants, rows of stacks, reshapes) */
} Slot;

typedef struct Step Step;
typedef struct Frame Frame;
typedef struct Sparse Sparse;
typedef void StepRun(Interp *in, const Step *step);

typedef struct Body {
    uint32_t n;
    Step *step;
    Slot **arg;
} Body;

struct Step {
    const Op *op;
    StepRun *run;                 /* NULL: control, see run_body */
    size_t number;                /* in Events */
    Slot **operand, **result;     /* NULL where an optional operand is absent */
    const Const *cst[OP_MAX_CONSTS];
    const uint8_t *data[OP_MAX_CONSTS];   /* row-major contents of constants read as values, boxes and mixed stacks */
    Body *region;
    Frame *callee;
    bool fma;                     /* contract: one rounding for a term */
    bool decided;                 /* `active`: its operand's relu has compared already */
    const Sparse *sparse;         /* an affine's weights without the zeros, if it skips them */
};

/* A network's values and steps. Calls are acyclic, so a network is never at work twice: one frame each. */
struct Frame {
    const Network *net;
    Slot *slot;                   /* by Value */
    Body body;
    uint8_t **out;                /* where a return puts its values */
};

struct Interp {
    Arena *arena;
    Frame *frame;                 /* of the network itself; callees hang on their steps */
    Counts counted, tallied;
    Events *events;
    uint64_t event;               /* size of the current step's event */
    bool refused;                 /* a step found that its operand has no value: the network ends here */
    uint32_t *rows, *cols;        /* members of a step's sets */
    void *sums;                   /* chains of rows that are summed together: the most that a step needs */
    bool fast_fma;                /* the processor has fused multiply-add */
};

/* ---- cost.c ------------------------------------------------------------------------------------------------------- */

static inline uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

static inline uint64_t saturating_mul(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

/* Cells that an affine evaluates: rows x columns, or the weights among them that are not zero. A set holds at least what it always does
 * (extend), at most all. With zeros = skip and an index there is one entry for each of the *n slots, else one. */
typedef struct Cells { uint64_t min, max; } Cells;
Cells *op_cells(Arena *arena, const Network *net, const Op *op, uint32_t *n);

/* ---- cost_tree.c: costs that one leaf of a tree decides ---------------------------------------------------------------------------- */

/* Where a walk of a tree may end: a class and a slot, at which depths; if every comparison is even, how often and how deep on average. */
typedef struct Landing { uint32_t class_, slot; uint64_t min, max; double share, depth; } Landing;
Landing *tree_landings(Arena *arena, const Tree *tree, size_t *n);

/* These trees have ended so. */
typedef struct Given { const Op *descend; uint32_t class_, slot; const struct Given *outer; } Given;
/* The first op from `op` on, before `end`, whose cost is another for another class or slot of the tree; else `end`. */
const Op *next_hanging(const Op *descend, const Op *op, const Op *end);
/* What the index is, or -1: unknown. */
int64_t given_index(const Network *net, const Given *given, Value v);

/* By Value, what has been asked of an op: its event range, cells by slot, landings. */
typedef struct EventRange { bool asked; uint32_t n_cells; uint64_t least, most; Cells *cells; Landing *landing; size_t n_landings; } EventRange;
typedef struct EventMemo { Arena *arena; EventRange *of; uint64_t landings, scanned; uint32_t open; } EventMemo;
EventMemo event_memo(Arena *arena, const Network *net);
/* The landings of a tree on which ops before `end` hang, the last of them *last; then close_tree ends what is looked at leaf by leaf. NULL: there
 * are none, or too many trees have been opened. */
const Landing *open_tree(EventMemo *memo, const Op *descend, const Op *end, const Op **last, size_t *n);
void close_tree(EventMemo *memo);
/* Of a tree, if every comparison is even. */
double mean_depth(EventMemo *memo, const Op *descend);
/* op_event_range with what is given. */
void given_range(EventMemo *memo, const Network *net, const Given *given, const Op *op, uint64_t *least, uint64_t *most);

/* A child of the module's arena; arena_free it. */
Arena *scratch_of(const Network *net);

/* The network itself, then every network that it may call, directly or not, each once. Events number the ops of all of
 * them in this order, each network's as the walk goes. (*place)[k] is where network k of the module stands, if it does. */
const Network **network_reach(Arena *arena, const Network *net, size_t *n, const uint32_t **place);

/* ---- interp_elements.c: elementwise ops, reductions, constants ------------------------------------------------------- */

StepRun step_binary, step_unary, step_cmp, step_select, step_cast, step_bits, step_shift, step_ord, step_reduce, step_within;

/* ---- interp_sums.c: sums of products ------------------------------------------------------------------------------- */

StepRun step_affine, step_matmul, step_matmix, step_dot;
/* Workspace that the op needs, given the type of its result. */
uint64_t sums_bytes(const Op *op, Type result);

/* ---- interp_sparse.c: without zero weights -------------------------------------------------------------------------- */

/* A matrix, or each of a stack, without its zeros, column by column. */
const Sparse *sparse_new(Arena *arena, const Const *W);
uint64_t sparse_bytes(uint64_t rows, uint32_t chains);

/* ---- interp_shapes.c: moving elements ------------------------------------------------------------------------------ */

StepRun step_const, step_row, step_field, step_reshape, step_transpose, step_concat, step_slice, step_splat, step_index;

/* ---- interp_choose.c: what is evaluated next ------------------------------------------------------------------------- */

StepRun step_best, step_active, step_extend, step_size, step_weigh, step_test, step_topk, step_descend, step_search, step_memorize, step_tally;
/* The members of a set in ascending order; returns their number. */
uint32_t set_members(const Slot *set, uint32_t *out);

static inline uint32_t slot_index(const Slot *s) { return *(const u32u *)s->at; }

#endif
