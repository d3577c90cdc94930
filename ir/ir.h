/* ir.h — the network itself: SSA over tensors in structured regions.
 *
 * A Module holds networks and the pool of constants. A Network is a tree of Blocks; a Block is a list of Ops ended by
 * one terminator; ops with regions own Blocks. Acyclic by construction; dominance is lexical scope: an op may use what
 * was defined before it in its own block or in a block around it. The manual, op by op, is ir/README.md.
 *
 * Everything lives on the module's arena. Functions are grouped by the file that owns them.
 */
#ifndef CNET_IR_H
#define CNET_IR_H

#include "../support/support.h"

enum { IR_MAX_RANK = 6, IR_MAX_INT_BITS = 65536, IR_FORMAT_VERSION = 1, IR_MAX_CHAINS = 16 };

/* ---- types (type.c) ------------------------------------------------------------------------------------------ */

typedef enum ElemKind {
    ELEM_NONE,
    ELEM_INT,    /* iN, two's complement, wrapping; i1 is the truth value */
    ELEM_F32,
    ELEM_F64,
    ELEM_SET,    /* a subset of 0 … n-1; scalar only */
    ELEM_IDX     /* an index 0 <= i < n; arithmetic on it is free, so it takes part in none that counts */
} ElemKind;

/* An element type and static dims; rank 0 is a scalar. Plain values: compare with type_equal. */
typedef struct Type {
    ElemKind elem;
    uint32_t n;                   /* ELEM_INT: bits; ELEM_SET, ELEM_IDX: the n */
    uint32_t rank;
    uint32_t dim[IR_MAX_RANK];    /* 0 is a legal extent */
} Type;

Type type_f32(void);
Type type_f64(void);
Type type_int(uint32_t bits);
Type type_idx(uint32_t n);
Type type_set(uint32_t n);
/* `elem` of t with other dims. */
Type type_with_dims(Type t, uint32_t rank, const uint32_t *dim);
Type type_vector(Type elem, uint32_t n);
Type type_matrix(Type elem, uint32_t rows, uint32_t cols);
Type type_element(Type t);                        /* the scalar type of its elements */
bool type_equal(Type a, Type b);
bool type_same_element(Type a, Type b);
bool type_is_float(Type t);
bool type_is_int(Type t);
uint64_t type_count(Type t);                      /* number of elements (verified to fit size_t when a type is made) */
/* Bytes of one element in memory: f32 4, f64 8; iN the least of 1, 2, 4, 8, 16, then multiples of 8, that holds N
 * bits (value sign-extended, i1 as 0 or 1); idx 4. Sets have no memory form outside a network. */
uint32_t type_element_bytes(Type t);
/* "f32[50,5]", "idx[8][2]", "set[50]", "i64". */
char *type_print(Arena *arena, Type t);
/* Checks extents and rank; false when the total bytes overflow. */
bool type_valid(Type t);

/* ---- constants (const.c) -------------------------------------------------------------------------------------- */

typedef uint32_t ConstId;          /* 0 = none */
typedef uint32_t Value;            /* 0 = none */
typedef uint32_t Site;             /* 0 = none; stable ids of conditional places, for profiles */

typedef enum ConstKind { CONST_TENSOR, CONST_STACK, CONST_TREE } ConstKind;

/* A decision tree (conditional memorizers, input-domain splits). Node i tests key[coordinate] > threshold: right,
 * else left. A child >= 0 is a node, < 0 is leaf ~child. Node 0 is the root; with no node there is one leaf. Children
 * come after their parent, so the tree is acyclic by construction and depth is a linear scan. */
typedef struct TreeNode { uint32_t coordinate; int32_t child[2]; } TreeNode;
typedef struct TreeLeaf { uint32_t class_, slot; } TreeLeaf;
typedef struct Tree {
    Type key;                      /* the integer type of a key */
    uint32_t n_keys;               /* coordinates */
    uint32_t n_nodes, n_leaves, n_classes, n_slots;
    const uint8_t *threshold;      /* n_nodes elements of the key type */
    const TreeNode *node;
    const TreeLeaf *leaf;
} Tree;

/* What is asked of all elements at once, whatever their order. */
typedef struct ConstFacts { bool known, all_finite; uint64_t nonzeros; } ConstFacts;
/* Of a matrix: the most elements of a row that are not zero, for each chain of columns. */
typedef struct ConstSlots { uint32_t chains, most[IR_MAX_CHAINS]; } ConstSlots;

typedef struct Const {
    const char *name;              /* printed as @name; unique in the module */
    ConstKind kind;
    Type type;                     /* a stack's first dim counts its elements; a tree's is its key type */
    const uint8_t *data;           /* little-endian elements at type_element_bytes apart x stride; any alignment */
    int64_t stride[IR_MAX_RANK];   /* in elements: a transposed view shares its original's bytes */
    const Tree *tree;              /* CONST_TREE */
    Hash128 hash;                  /* of type and row-major contents; computed on demand: const_hash */
    bool hashed;
    ConstSlots *slots;             /* the last answer of const_row_slots */
    ConstFacts *facts;             /* shared by its views; computed on demand: const_all_finite, const_nonzeros */
    const struct SearchTable **tables;   /* of ascending keys: what search_table has answered */
    const uint64_t *slot_nonzeros; /* of a stack: the last answer of const_slot_nonzeros */
    int8_t ascends;                /* the last answer of const_ascends: 1 yes, -1 no, 0 not asked */
    bool dropped;                  /* no op mentions it any more (const_drop_unused); not printed */
    Span span;
} Const;

typedef struct Module Module;
typedef struct Network Network;
typedef struct Block Block;
typedef struct Op Op;

/* Adds a tensor of row-major elements; the bytes are borrowed and must live as long as the module. `name` is made
 * unique (and a valid identifier) by the pool. Does not deduplicate: const_dedup does. */
ConstId const_add(Module *m, const char *name, Type type, const void *data, Span span);
/* The same bytes read in another order: dims and strides permuted. Free. */
ConstId const_transposed(Module *m, ConstId id, const uint32_t *perm);
ConstId const_reshaped(Module *m, ConstId id, uint32_t rank, const uint32_t *dim);  /* copies when it must */
ConstId const_stack(Module *m, ConstId tensor);                                      /* a tensor read as a stack */
ConstId const_tree(Module *m, const char *name, const Tree *tree, Span span);
/* Scalars and small vectors made by the compiler. */
ConstId const_splat_f64(Module *m, const char *name, Type type, double value);
Const *const_get(const Module *m, ConstId id);
bool const_is_row_major(const Const *c);
/* Writes the elements row-major at `out` (type_count x type_element_bytes). Blocked: fast for transposed views. */
void const_copy(const Const *c, void *out);
/* Address of element `i` (row-major number). */
const uint8_t *const_element(const Const *c, uint64_t i);
double const_f64(const Const *c, uint64_t i);       /* floats and integers up to 53 bits exactly */
/* One pass over the elements answers both questions, the first time either is asked. -0 is a zero, NaN is none. */
bool const_all_finite(const Const *c);
uint64_t const_nonzeros(const Const *c);
/* The same for each column of a matrix. */
void const_nonzeros_by_column(const Const *c, uint64_t *counts);
/* Element i of a stack, as a tensor that is in no pool. */
Const const_slot(const Const *stack, uint32_t i);
/* Of each element of a stack, const_nonzeros; found once. */
const uint64_t *const_slot_nonzeros(const Module *m, ConstId stack);
/* Of a matrix, for chains of columns (column k belongs to chain k mod `chains`): the most nonzeros that a row has in each. */
void const_row_slots(const Const *c, uint32_t chains, uint32_t *slots);
/* Whether the rows of a tensor (its elements, of a vector) ascend strictly in lexicographic order; -0 = +0, NaN never does. */
bool const_ascends(Const *c);
bool const_element_is_zero(const Const *c, const uint8_t *at);
uint64_t const_bytes(const Const *c);               /* of the row-major form */
Hash128 const_hash(Const *c);
/* Makes equal constants one, in all networks. */
void const_dedup(Module *m);
/* Marks constants that no network of the module mentions as dropped, and only them. Their ids stay good: clones outside
 * the module may use them. */
void const_drop_unused(Module *m);

/* ---- ops (ops.def, op.c) ----------------------------------------------------------------------------------------- */

typedef enum OpKind {
#define OP(name, ...) OP_##name,
#include "ops.def"
#undef OP
    OP__COUNT
} OpKind;

typedef enum Pred { PRED_eq, PRED_ne, PRED_lt, PRED_le, PRED_gt, PRED_ge } Pred;             /* cmp, pred:cmp */
/* Activity (pred:active): notle0 = !(x <= 0), a ReLU that passes (NaN too); nonzero = !(x == 0); gt0 = x > 0, a gate. */
typedef enum Activity { ACTIVITY_notle0, ACTIVITY_nonzero, ACTIVITY_gt0 } Activity;
typedef enum ReduceKind { REDUCE_add, REDUCE_mul, REDUCE_min, REDUCE_max } ReduceKind;       /* kind:reduce */
/* Terms of an affine whose weight is exactly zero (zeros:zeros): summed like all others, or not there. */
typedef enum Zeros { ZEROS_keep, ZEROS_skip } Zeros;
/* How `memorize` is to be made a network (method:method), and what a key gets that is not in the data (unseen:unseen): the label of
 * the greatest key below it (the first, below all), whatever the construction gives, a value, or a refusal. */
typedef enum Method { METHOD_conditional, METHOD_sqrt, METHOD_bits } Method;
typedef enum Unseen { UNSEEN_before, UNSEEN_any, UNSEEN_value, UNSEEN_refuse } Unseen;
/* What a refusal leaves the network with: CNET_REFUSED of runtime/cnet.h. */
enum { STATUS_REFUSED = -1 };
/* How the back end walks the columns of an affine with a set, printed as !lower(mask, below = 38): by the bits of the set when it has
 * fewer than 38 members, else all of them. Without `below` always so. gather goes by rows, and needs zeros = skip.
 * Without meaning for values and counts. auto: mask.
 * A search is read from a table: a tree of nodes, lines found by a multiplication, the keys as they lie, the lanes of a few registers
 * (search_table.c). auto: tree. */
typedef enum Lower { LOWER_auto, LOWER_dense, LOWER_mask, LOWER_list, LOWER_branch, LOWER_gather,
                     LOWER_tree, LOWER_bucket, LOWER_binary, LOWER_permute } Lower;

/* Kinds of attribute, the word after the colon in ops.def. */
typedef enum AttrKind {
    ATTR_INT, ATTR_INTS,
    ATTR_CHAINS,      /* order = seq (0 or 1) or chains(c): see ir_chains */
    ATTR_CMP, ATTR_ACTIVE, ATTR_REDUCE, ATTR_ZEROS, ATTR_METHOD, ATTR_UNSEEN, ATTR_NETWORK /* index into Module.networks */
} AttrKind;

typedef struct Attr { int64_t i; uint32_t n; const int64_t *list; } Attr;

/* A row of ops.def, its syntax parsed once (op_info). Slots: fixed operands first (some optional), variadic last. */
enum { OP_MAX_SLOTS = 5, OP_MAX_CONSTS = 4, OP_MAX_ATTRS = 4, OP_MAX_REGIONS = 2 };
typedef enum ItemKind { ITEM_OPERAND, ITEM_KEYED, ITEM_VARIADIC, ITEM_CONST, ITEM_KEYED_CONST, ITEM_ATTR, ITEM_REGION, ITEM_REGIONS } ItemKind;
typedef struct Item {             /* in printing order */
    ItemKind kind;
    uint8_t slot;                 /* which operand, constant, attribute or region */
    int8_t index_slot;            /* ITEM_CONST: the operand slot of its index, -1 if it takes none */
    bool optional;
    AttrKind attr;
    char key[12];                 /* of keyed operands and attributes; a region's leading word ("else"); a name otherwise */
} Item;
typedef struct OpInfo {
    const char *name, *syntax, *meaning;
    uint8_t n_items, n_fixed, n_consts, n_attrs, n_regions;   /* n_fixed: operand slots before the variadic ones */
    bool variadic, many_regions, terminator, has_site;
    Item item[OP_MAX_SLOTS + OP_MAX_CONSTS + OP_MAX_ATTRS + OP_MAX_REGIONS];
} OpInfo;
/* The row of an op. The table is built at first use in a module (module_new) and lives in it: no globals. */
const OpInfo *op_info(const Module *m, OpKind kind);
const OpInfo *op_table(Arena *arena);             /* OP__COUNT rows; for module_new */
OpKind op_named(const Module *m, const char *name, size_t len);   /* OP__COUNT: none */

/* Operand slots by name, in the order of ops.def (op.c asserts them). */
enum { AFFINE_x, AFFINE_i, AFFINE_j, AFFINE_cols, AFFINE_rows };
enum { AFFINE_W, AFFINE_b };                     /* constant slots */
enum { AFFINE_order, AFFINE_zeros };             /* attribute slots */
enum { MEMORIZE_keys, MEMORIZE_labels, MEMORIZE_weights, MEMORIZE_default };     /* constant slots */
enum { MEMORIZE_method, MEMORIZE_unseen, MEMORIZE_depth };                       /* attribute slots */

struct Op {
    OpKind kind;
    Lower lower;
    uint32_t below;               /* with lower mask or list: dense from so many members on; 0: never */
    Site site;
    Span span;
    Block *parent;
    Op *prev, *next;
    uint32_t n_operands, n_results, n_regions;
    Value *operand;                              /* read through op_operand */
    Value *result;
    Block **region;
    ConstId cst[OP_MAX_CONSTS];
    Attr attr[OP_MAX_ATTRS];
};

struct Block {
    Op *owner;                                   /* NULL: the network's body */
    Network *network;
    Op *first, *last;
    uint32_t number;                             /* which of the owner's regions this is */
    uint32_t n_args;
    Value *arg;                                  /* defined by the owner: loop index, accumulators */
};

typedef struct ValueInfo {
    Type type;
    Op *op;                                      /* the op that defines it; NULL: argument of `block` */
    Block *block;                                /* where it is defined */
    uint32_t index;                              /* which result or argument */
    const char *name;                            /* from the source, without %; NULL: numbered when printed */
    Value forward;                               /* replaced by (value_replace), 0 if not */
    Span span;
} ValueInfo;

typedef enum Numerics { NUMERICS_exact, NUMERICS_real } Numerics;
typedef enum Contract { CONTRACT_off, CONTRACT_fma } Contract;
typedef enum Outside { OUTSIDE_dense, OUTSIDE_status, OUTSIDE_clamp, OUTSIDE_promise } Outside;

typedef struct NetOptions {
    Numerics numerics;
    Contract contract;
    Outside outside;
} NetOptions;

/* An input or output as users see it. */
typedef struct Port {
    const char *name;
    Type type;
    ConstId box;                                 /* inputs: [2, n] of the input's element type, lo then hi; 0 = none */
    Span span;
} Port;

struct Network {
    Module *module;
    const char *name;                            /* printed as @name */
    Span span;
    NetOptions options;
    uint32_t n_inputs, n_outputs;
    Port *input, *output;
    Block *body;                                 /* its args are the inputs */
    Vec(ValueInfo) values;                       /* [0] is unused */
    Site last_site;
    double certified_error;                      /* real numerics: proven bound on |compiled - source|; 0 when exact */
};

struct Module {
    Arena *arena;
    Diags *diags;
    const OpInfo *ops;
    Vec(Network *) networks;                     /* callees before callers */
    Vec(Const *) consts;                         /* [0] is NULL */
    struct Names *names;                         /* of constants: const.c */
    const char *source_name;                     /* as given by the user */
    Hash128 source_hash;                         /* of the input file(s) */
};

Module *module_new(Arena *arena, Diags *diags);
Network *module_find(const Module *m, const char *name);
/* Keeps `net` and what it calls; other networks leave the module. */
void module_keep(Module *m, const Network *net);
/* A network nobody calls: what a file offers to the world. */
bool network_is_entry(const Network *net);

/* ---- building (build.c): types are inferred; a mistake is a compiler bug (ICE), front ends check users' first ----- */

Network *network_new(Module *m, const char *name, Span span);       /* added to the module by network_done */
Value network_add_input(Network *net, const char *name, Type type, ConstId box, Span span);
void network_add_output(Network *net, const char *name, Type type, Span span);
void network_done(Network *net);

typedef struct Builder {
    Network *net;
    Block *block;
    Op *before;                                  /* insertion point: before this op, NULL = at the end of the block */
    Span span;
} Builder;
Builder builder_at_end(Block *block);
Builder builder_before(Op *op);

/* The general form: slots as ops.def has them. `n_operands` counts fixed slots plus variadic ones; result types are
 * inferred except for RESHAPE, CAST, SLICE, SPLAT, REGION ops, which take `hint` (one per result). Returns the op. */
typedef struct OpInit {
    OpKind kind;
    uint32_t n_operands, n_regions, n_hints;
    const Value *operand;
    Block *const *region;
    const Type *hint;
    ConstId cst[OP_MAX_CONSTS];
    Attr attr[OP_MAX_ATTRS];
} OpInit;
Op *build_op(Builder *b, const OpInit *init);

Value build_const(Builder *b, ConstId c);
Value build_unary(Builder *b, OpKind kind, Value a);
Value build_binary(Builder *b, OpKind kind, Value x, Value y);
Value build_cmp(Builder *b, Pred pred, Value x, Value y);
Value build_select(Builder *b, Value c, Value x, Value y);
Value build_cast(Builder *b, Value a, Type element);
Value build_affine(Builder *b, Value x, ConstId W, ConstId bias, uint32_t chains);
Value build_matmul(Builder *b, Value x, Value y, uint32_t chains);
Value build_reduce(Builder *b, ReduceKind kind, Value a, uint32_t chains);
Value build_reshape(Builder *b, Value a, uint32_t rank, const uint32_t *dim);
Value build_transpose(Builder *b, Value a, const uint32_t *perm);
Value build_concat(Builder *b, uint32_t n, const Value *a, uint32_t axis);
Value build_slice(Builder *b, Value a, const uint32_t *from, const uint32_t *size);
Value build_splat(Builder *b, Value scalar, Type type);
Value build_within(Builder *b, Value x, ConstId box);
Value build_call(Builder *b, Network *callee, uint32_t n, const Value *args, Value *results);
void build_return(Builder *b, uint32_t n, const Value *v, Value status);
Value build_softmax(Builder *b, Value x);       /* max, sub, exp, sum, div */
Block *block_new(Network *net, uint32_t n_args, const Type *arg_types);
/* Names a value after the source, if it has no name yet. */
void value_name(Network *net, Value v, const char *name);

/* The order of summation that every import fixes, target-independent, from the shape alone (Numerics, ir/README.md). */
uint32_t ir_chains(uint64_t rows, uint64_t columns);

/* Result types an op would get; false with a message (for the verifier and the reader) when operands do not fit.
 * `results` holds at least max(3, n_hints, the callee's outputs). */
bool op_infer(const Module *m, const Network *net, const OpInit *init, Type *results, uint32_t *n_results, Text *why);

/* ---- changing (edit.c) ----------------------------------------------------------------------------------------- */

Value op_operand(const Op *op, uint32_t slot);            /* follows value_replace */
const ValueInfo *value_info(const Network *net, Value v);
Type value_type(const Network *net, Value v);
Op *value_op(const Network *net, Value v);                /* NULL for arguments */
/* From now on, whoever uses `old` uses `new`. O(1); network_settle makes it plain. */
void value_replace(Network *net, Value old, Value with);
void network_settle(Network *net);
void op_remove(Op *op);                                   /* unlinks; its results must have no users left */
/* Number of uses of every value, indexed by Value (n = net->values.len). */
uint32_t *network_count_uses(Arena *arena, const Network *net);
/* Whether this user of the value in its operand `slot` makes +0 of a zero of either sign: a relu, or adding a constant +0.0. */
bool op_forgets_zero_sign(const Network *net, const Op *user, uint32_t slot);
/* By Value: all users do. Under fused contraction the sign of a zero sum may depend on how it was summed. */
bool *network_zero_signs_unseen(Arena *arena, const Network *net);
/* A deep copy under another name (for specialisation and before/after tests). */
Network *network_clone(Network *net, const char *name);
/* Copies the body of `callee` at the builder's place with args in place of inputs; false if it has early returns that
 * cannot be spliced (the callee must end in its only return). */
bool network_inline(Builder *b, const Network *callee, const Value *args, Value *results);

/* All ops, outer before inner, in order. Safe when the visited op is removed. */
typedef struct OpWalk { Op *next; } OpWalk;
Op *walk_first(OpWalk *walk, const Network *net);
Op *walk_next(OpWalk *walk);
#define FOR_EACH_OP(walk, op, net) \
    for (Op *op = walk_first(&(walk), (net)); op; op = walk_next(&(walk)))

/* ---- verify.c --------------------------------------------------------------------------------------------------- */

/* Checks every rule of the manual; the first violation is described in `why` (value, op, expectation). */
bool ir_verify(const Module *m, Text *why);

/* ---- print.c, read.c: print(read(print(m))) == print(m) ------------------------------------------------------------ */

typedef struct PrintOptions {
    const char *data_name;        /* name of the side file to mention; NULL: large constants print hash and shape only */
    FILE *data;                   /* where the side file's bytes go; NULL: nowhere */
    bool inline_all;              /* every constant in the text */
    bool sites;                   /* print !site(n); on by default in dumps */
} PrintOptions;
void ir_print(const Module *m, FILE *out, const PrintOptions *options);
/* Whether some constant is too large for the text, so that a dump needs a side file. */
bool ir_needs_data(const Module *m);
/* Reads the text form; the side file is looked for beside `path`. Reports and returns NULL on any error. */
Module *ir_read(Arena *arena, Diags *diags, const char *path);
Module *ir_read_text(Arena *arena, Diags *diags, const char *name, const char *text, size_t len);

/* ---- cost.c, cost_paths.c: the static side of counting ------------------------------------------------------------------------- */

typedef struct Counts { uint64_t add, mul, cmp, other; } Counts;
uint64_t counts_total(Counts c);
Counts counts_add(Counts a, Counts b);                    /* saturating */
Counts counts_scale(Counts a, uint64_t times);

/* Coefficients of one op: counts for one unit of its event. */
typedef enum CostEvent { EVENT_ONCE, EVENT_CELLS, EVENT_DEPTH, EVENT_TAKEN, EVENT_TRIPS } CostEvent;
CostEvent op_event(OpKind kind);
Counts op_cost(const Network *net, const Op *op);
/* An affine with zeros = skip: its cells are the weights that are not zero. */
bool op_skips_zeros(const Op *op);
/* [min, max] of the event's size, from types and trees alone. */
void op_event_range(const Network *net, const Op *op, uint64_t *min, uint64_t *max);

/* Members that a set has whatever the input is: those that an `extend` puts in. */
uint64_t set_least(const Network *net, Value set);

typedef struct CostRange { Counts min, max; } CostRange;  /* componentwise bounds */
/* Over all inputs: what one evaluation can execute. `max` bounds every run; total_max bounds the sum on one path. */
typedef struct NetworkCost { CostRange range; uint64_t total_min, total_max; } NetworkCost;
NetworkCost network_cost(const Network *net);
/* On average, when nothing is known about the inputs: choices are even, sets half full (cost_expected.c). */
typedef struct MeanCounts { double add, mul, cmp, other; } MeanCounts;
MeanCounts network_expected_cost(const Network *net);
/* The share of its maximum that guards the box (`within`, and clamping ops the guard inserted), in loops and callees too. */
Counts network_guard_cost(const Network *net);
/* Whether an op only runs outside the box: it stands in the `else` of an `if` that the guard's test decides, under the policy `dense`. */
bool op_is_fallback(const Network *net, const Op *op);
/* The same for inputs in the box alone; false when nothing answers outside that would not be executed inside. */
bool network_inside_cost(const Network *net, NetworkCost *cost);
/* Its maximum as the papers count: each node of a tree is the neuron relu(z - t), an addition beside its comparison. Per
 * kind, and in *total (NULL: not wanted) the most on one path, like total_max. */
Counts network_paper_cost(const Network *net, uint64_t *total);
/* Whether it counts itself: a tally is in it (count-ops leaves one even where nothing is executed). */
bool network_is_counted(const Network *net);
/* Dense cost with exactly-zero weights left out. */
Counts network_nonzero_cost(const Network *net);
/* Bytes of the constants that are reachable from a network, each once. */
uint64_t network_const_bytes(const Network *net);

/* Events as recorded by runs: how often each op ran and the sum of its event sizes; indexed like the walk of ops. */
typedef struct Events { uint64_t *runs, *sum; size_t n; } Events;
Events events_new(Arena *arena, const Network *net);
/* The static formula at recorded events: must equal the counters of the same runs. */
Counts network_cost_at(const Network *net, const Events *events);

/* ---- interp_int.c: integers of any width, element by element ------------------------------------------------------ */

/* Two's complement in the memory form; results wrap to `bits`. i1 holds 0 or 1, and that is its value everywhere.
 * r may be a or b. */
typedef void IntBinary(uint32_t bits, uint8_t *r, const uint8_t *a, const uint8_t *b);
IntBinary int_add, int_sub, int_mul, int_div, int_and, int_or, int_xor, int_min, int_max;
void int_neg(uint32_t bits, uint8_t *r, const uint8_t *a);
void int_abs(uint32_t bits, uint8_t *r, const uint8_t *a);
void int_shl(uint32_t bits, uint8_t *r, const uint8_t *a, uint32_t by);
void int_lshr(uint32_t bits, uint8_t *r, const uint8_t *a, uint32_t by);
int int_compare(uint32_t bits, const uint8_t *a, const uint8_t *b);      /* -1, 0, 1 */
bool int_is_zero(uint32_t bits, const uint8_t *a);
/* Wraps or extends. */
void int_resize(uint32_t to, uint8_t *r, uint32_t from, const uint8_t *a);
/* Nearest float, ties to even; overflow to infinity. */
double int_to_f64(uint32_t bits, const uint8_t *a);
float int_to_f32(uint32_t bits, const uint8_t *a);
/* Truncates, saturates; NaN gives 0. */
void int_from_f64(uint32_t bits, uint8_t *r, double value);
/* Widths up to 64. */
int64_t int_load(uint32_t bits, const uint8_t *a);
void int_store(uint32_t bits, uint8_t *r, int64_t value);

/* ---- search.c: trees of comparisons that a number of leaves stands for ------------------------------------------------------------ */

/* `search` walks the balanced tree of r = keys + 1 leaves that is left-complete: with D = ceil(log2 r) the first 2 (r - 2^(D-1)) leaves
 * lie D deep, the others D - 1. Leaves left of the root, for r >= 2: the root compares with key search_left(r) - 1. */
uint64_t search_left(uint64_t leaves);
/* How deep leaf `slot` lies. */
uint32_t search_depth(uint64_t leaves, uint64_t slot);
/* Of two elements of one type in memory form: -1, 0, 1; 2 when one is NaN. -0 = +0. */
int element_order(Type t, const uint8_t *a, const uint8_t *b);

/* ---- search_table.c: tables that a search may be read from ------------------------------------------------------------------------ */

enum { SEARCH_MAX_LEVELS = 8, SEARCH_REGISTERS = 31 };     /* keys that fit the lanes of a few registers: LOWER_permute */
/* Nodes of `lanes` keys, from byte `at` on; a child has `below` slots. The last level's are the leaves: keys, then words. */
typedef struct SearchLevel { uint32_t lanes, node_bytes; uint64_t below, nodes, at; } SearchLevel;
/* In a table a cell is 8 bytes: first; lines in the lower bits, grain above. */
typedef struct SearchCell { uint32_t first, lines, grain; } SearchCell;
enum { SEARCH_CELL_BYTES = 8, SEARCH_GRAIN_BIT = 26 };
typedef struct SearchTable {
    Lower how;                    /* tree, bucket */
    bool floats;                  /* the keys */
    uint32_t key_bytes, label_bytes;
    uint32_t word_bytes;          /* of what lies beside the keys for each slot: its label, or its number; 0: nothing */
    uint64_t n;                   /* keys in it */
    bool last_apart;              /* one more key: the greatest number of its type, compared when x has been looked up among the others */
    uint64_t bytes;
    double cost;                  /* estimated, of one look-up: search_cost */
    /* tree */
    uint32_t n_levels;            /* above the leaves */
    SearchLevel level[SEARCH_MAX_LEVELS + 1];
    /* bucket: cells, then lines, then those of chains */
    uint32_t line_bytes, line_keys;
    uint32_t stored_bytes;        /* of a key in a line: all of it, or 2: its code */
    bool coded;                   /* lines hold codes; what is chained are keys in full, one more for each such line */
    uint32_t words_at;            /* where in a line the words begin */
    uint64_t full_at, full_words_at;      /* coded: where the chained keys begin, and their words */
    double load;                  /* keys that a line should get */
    int64_t lowest;               /* image of the first key, and how far the last lies from it */
    uint64_t span;
    uint32_t shift, n_cells;
    SearchCell *cell;
    uint64_t cells_bytes, lines, chained;
    double busy_cells_bytes;      /* of cells that most keys ask for */
    double in_chains, chain_steps;/* share of the keys that lie in chains; steps down chains for a key, on average */
    uint32_t deepest_chain;       /* steps down the deepest chain */
    const struct SearchTable *next;
} SearchTable;
/* The table of keys with labels of so many bytes (0: slots) beside them; NULL where keys have none (`how` is no table, other widths than 4
 * and 8 bytes, no keys, or one that nothing is above). Made once, on `arena`, which must live as long as the constant. */
const SearchTable *search_table(Arena *arena, const Const *keys, Lower how, uint32_t label_bytes);
double search_cost(const SearchTable *t);
/* By Value, of each slot that a search finds: the row of short labels that is its only user; NULL: none, or there are others. */
const Op **search_labels(Arena *arena, const Network *net);
/* Key i as an integer in the same order; -0 = +0. */
int64_t search_image(const Const *keys, uint64_t i);
/* The line where x is looked for, from its image: lowest <= image <= lowest + span. */
uint64_t search_line(const SearchTable *t, int64_t image);
/* What a coded line has of a key; false: codes cannot tell it from the numbers just below. */
bool search_code(const SearchTable *t, int64_t image, uint16_t *code);
/* A chain of keys: its levels below the line itself; children of its first line; slots of the first i + 1 children. */
uint32_t search_chain_levels(const SearchTable *t, uint64_t keys);
uint32_t search_chain_children(const SearchTable *t, uint64_t keys, uint32_t levels);
uint64_t search_chain_split(uint64_t keys, uint32_t children, uint32_t i);

/* search_exec.c: what the machine does, at most, for all searches of a network as they are lowered; returns how many these are. */
typedef struct SearchExec { uint64_t lane_compares, address_ops, bytes; } SearchExec;
uint32_t search_exec(const Network *net, SearchExec *sum);

/* ---- interp.c: the reference; defines every value ---------------------------------------------------------------- */

typedef struct Interp Interp;
/* Prepares a network for repeated evaluation (workspace on its own child of `arena`). */
Interp *interp_new(Arena *arena, const Network *net);
/* Evaluates once: buffers hold row-major elements in the memory form of their types. Returns the status (0, 1 or
 * negative). Adds to `arithmetic` what its counting primitives executed, to `tallies` what tally ops said, to `events`
 * what happened (each may be NULL). */
int interp_run(Interp *in, const void *const *inputs, void *const *outputs, Counts *arithmetic, Counts *tallies,
               Events *events);

#endif
