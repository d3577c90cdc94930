/* gen.h — inside the back end: what one emission knows, and which file does what.
 *
 *      network  --buffers.c-->  plan: where every tensor lives
 *      constants  --constants.c-->  bytes in the order the loops read them
 *      network + plan + level  --function.c, region.c, affine.c, …-->  one LLVM function: the body
 *      bodies  --dispatch.c, abi.c-->  what users call
 *
 * A *level* is a set of CPU features; on x86-64 a network has a body for each of four. Levels share constants and plan.
 */
#ifndef CNET_BACKEND_GEN_H
#define CNET_BACKEND_GEN_H

#include "backend.h"
#include "compat.h"

#include <llvm-c/TargetMachine.h>

/* ---- targets.c ---------------------------------------------------------------------------------------------------- */

typedef enum Arch { ARCH_X86_64, ARCH_AARCH64, ARCH_ARM, ARCH_RISCV64, ARCH_WASM32 } Arch;

typedef struct Level {
    const char *name;             /* "v3"; "" when there is only one */
    const char *cpu;              /* function attribute target-cpu; NULL: the target machine's */
    uint32_t vector_bytes;        /* widest vector worth using; 4: scalars */
    uint32_t accumulators;        /* vectors of sums that fit in registers beside what else a loop needs */
    bool gather;                  /* vectors of elements from anywhere in one instruction */
    bool fma;                     /* f32 and f64 fused multiply-add in hardware */
    const struct Level *same_vectors;   /* a lower level whose kernels are as good: they are shared; NULL: none */
} Level;

enum { MAX_LEVELS = 4 };

typedef struct Target {
    Arch arch;
    const char *triple, *cpu, *features, *abi;
    LLVMTargetRef llvm;
    uint32_t pointer_bits;
    uint32_t panel_bytes;         /* constants are laid out for vectors of this size: the widest level's */
    uint32_t align;               /* of the frame and of constants */
    uint32_t n_levels;
    Level level[MAX_LEVELS];      /* ascending */
    bool dispatch;                /* several levels behind a slot */
    bool freestanding, pic;
    uint64_t max_stack;
} Target;

/* Reports and returns false when the target cannot be had, or cannot be had with this contraction. */
bool be_target(Arena *arena, Diags *diags, const TargetOptions *options, Target *out);
/* The highest level of x86-64 this machine runs: 1 … 4 (0: another machine). */
int be_host_level(void);
LLVMTargetMachineRef be_machine(const Target *target);

/* ---- constants.c: layouts, and the bytes ----------------------------------------------------------------------------- */

typedef enum LayoutKind {
    LAYOUT_RAW,                   /* row-major, as the IR has it */
    LAYOUT_PANELS,                /* matrix: tiles of rows, column by column: tile t, column k, row r of the tile */
    LAYOUT_SPARSE,                /* matrix: tiles of rows; slot by slot, one weight of each row that is not zero, or -0 */
    LAYOUT_COLUMNS,               /* … and the columns they belong to, i32 */
    LAYOUT_ROWS,                  /* vector, widened to the sum's type, -0 made +0, padded like the panels' rows */
    LAYOUT_TREE, LAYOUT_LEAVES,   /* a tree: the nodes (tree.c), TreeLeaf */
    LAYOUT_SEARCH,                /* ascending keys, with labels beside them: search_bytes.c */
    LAYOUT_GRID,                  /* a grid of cells above a tree: grid.c */
    LAYOUT_RECORD                 /* stacks that are read together, slot by slot: record.c */
} LayoutKind;

typedef struct Layout {
    LayoutKind kind;
    Type element;                 /* stored element type */
    uint32_t rows, cols;
    uint32_t tile, n_tiles;       /* PANELS, ROWS: rows of a tile, number of tiles */
    bool long_tile;               /* PANELS: one tile of all rows, however many: columns.c */
    uint32_t chains;              /* SPARSE */
    uint32_t slots[IR_MAX_CHAINS];/* SPARSE: weights stored for a row, by chain */
    uint32_t pitch;               /* PANELS: elements from column to column; 0: a tile */
    uint32_t stored_cols;         /* PANELS: at least cols, so that several columns of few rows fill a vector */
    const SearchTable *search;    /* SEARCH */
    const Const *labels;          /* SEARCH: NULL: slots */
    const struct Record *record;  /* RECORD */
    const struct Grid *grid;      /* GRID */
    bool packed;                  /* PANELS: within a record, where columns are as aligned as elements */
    uint64_t slot_bytes;          /* one element of a stack (or the whole, when it is none) */
    uint64_t bytes;
} Layout;

/* How the weights (and the bias) of an affine are stored. Without a bias *bias describes a row of +0. */
Layout be_layout_weights(const Target *target, const Network *net, const Op *affine, Lower how);
/* For sparse weights: the columns they belong to. */
Layout be_layout_columns(const Layout *weights);
Layout be_layout_bias(const Target *target, const Network *net, const Op *affine, Lower how);
/* Rows of the tiles: at least those of the result. */
uint32_t be_padded_rows(const Layout *weights);
/* Rows that a kernel writes: the result's alone where they are few, else the padding's too. */
uint32_t be_written_rows(const Layout *weights);
Layout be_layout_raw(const Const *c);
Layout be_layout_tree(const Const *c, LayoutKind part);
/* Of constants as they are stored, padding included: the header's, the descriptor's and be_sizes' number. */
/* Constants as they are stored; those that only the fallback outside the box reads are apart. */
typedef struct ModelBytes { uint64_t model, fallback; } ModelBytes;
ModelBytes be_model_bytes(const Target *target, const Network *net);

/* ---- buffers.c: where tensors live ------------------------------------------------------------------------------------ */

typedef enum Storage {
    STORAGE_NONE,                 /* a scalar: an SSA value */
    STORAGE_INPUT, STORAGE_OUTPUT,/* the caller's memory */
    STORAGE_FRAME,                /* on the stack or in scratch, at `offset` */
    STORAGE_ALIAS                 /* bytes of another value or of a constant: known when the op is emitted */
} Storage;

typedef struct Home {
    Storage storage;
    uint32_t port;                /* INPUT, OUTPUT */
    uint64_t offset, bytes;       /* FRAME */
    Value root;                   /* ALIAS of this value's memory; itself otherwise */
    uint64_t shift;               /* ALIAS: bytes from the root's begin; known later for what shares an operand: 0 */
} Home;

/* A set that only dense loops take, or a size that only tallies take, need not be made. */
enum { WANTED_plain = 1, WANTED_counted = 2 };

/* How the columns of an affine are walked. Never LOWER_auto. */
typedef struct Lowering {
    Lower how;
    uint32_t below;               /* mask, list: all columns from so many active ones on; 0: never */
} Lowering;

/* From what a search is read. A row whose label the search itself finds has `row`, too. */
typedef struct Search {
    const SearchTable *table;     /* NULL: the keys as they lie */
    const Op *row;                /* the slot is for this label alone, which lies beside the keys; NULL: none */
} Search;

/* ---- grid.c: where a walk down a tree begins ---- */

typedef struct GridPart {
    uint32_t coordinate, pieces;
    int64_t least, greatest;      /* keys are clamped to them */
    double low, scale;            /* piece = (value - low) * scale, in the keys' precision */
    uint32_t n_bounds, step;      /* thresholds, ascending; cells from one to the next */
    int64_t *bound;
} GridPart;
typedef struct Grid {
    const Tree *tree;
    bool wide, images;            /* 64-bit keys; keys are images of floats */
    uint32_t n_parts;
    GridPart part[8];
    uint64_t cells, table_bytes;
} Grid;
/* By Value: of the class that a descend gives; NULL: the walk begins at the root. */
const Grid **be_grids(Arena *arena, const Network *net);
Layout be_layout_grid(const Grid *g);
void be_fill_grid(Arena *scratch, const Grid *g, uint8_t *out);

/* ---- record.c: stacks that lie together ---- */

typedef struct RecordPart { const Op *op; int which; Layout layout; uint64_t offset; } RecordPart;    /* constant `which` of op */
typedef struct Record {
    const Block *block;
    Value index;
    uint32_t n_slots, n_parts;
    uint64_t slot_bytes;
    RecordPart *part;
    const Op *first;              /* whoever reads it first, and which of its constants that is */
    int first_which;
} Record;
typedef Vec(Record *) RecordList;

typedef struct Plan {
    RecordList records;
    const Grid **grid;            /* by Value: of the class that a descend gives; NULL: it begins at the root */
    Search *search;               /* by Value: of a search's slot, and of such labels */
    Lowering *lowering;           /* by Value: of the affine whose result it is */
    Home *home;                   /* by Value */
    Value *fused_relu;            /* by Value: an affine's result whose only user is this relu; 0: none */
    Value *fused_active;          /* by Value: the set of that relu's active elements, which the affine makes too; 0: none */
    uint8_t *wanted;              /* by Value: WANTED_… by bodies of what kind; sets, and what is counted with */
    uint64_t *work;               /* by Value: workspace of the op that makes it, within the frame */
    uint64_t work_bytes;          /* be_batch_plan: of the largest workspace, which is not in the frame; else 0 */
    uint32_t n_affine;            /* affine ops of the network */
    uint64_t *stage;              /* by Value: loop accumulators that need a second buffer while they are exchanged; ~0: none */
    uint64_t frame_bytes;
    bool scratch;                 /* the frame is the caller's, not the stack's */
} Plan;

RecordList be_records(Arena *arena, const Target *target, const Network *net, const Lowering *lowering, const Search *search);
/* The record that constant `which` of an op is part of, and where; NULL: it lies alone. */
const Record *be_record_of(const RecordList *all, const Op *op, int which, uint64_t *offset);
/* The constant that stands for all of a record's. */
ConstId be_record_id(const Record *r);
Layout be_layout_record(const Record *r);
void be_fill_record(Arena *scratch, const Module *m, const Record *r, uint8_t *out);

Plan be_plan(Arena *arena, const Target *target, const Network *net);
/* The same for blocks of inputs: each has a frame, and one workspace is enough for all. */
Plan be_batch_plan(Arena *arena, const Target *target, const Network *net);
/* Bytes of a value in memory: tensors, sets (as 64-bit words). */
uint64_t be_type_bytes(Type t);
bool be_in_memory(Type t);                        /* tensors and sets; scalars are SSA values */
/* Whether part k of a concat is made where the concat has it, `offset` bytes from its begin. */
bool be_part_is_there(const Plan *plan, const Op *concat, uint32_t k, uint64_t offset);
/* reshape, index and contiguous slices: their result is part of their operand's bytes. */
bool be_shares_operand(const Network *net, const Op *op);

/* Operand slots by name, in the order of ops.def. */
enum { RETURN_status, RETURN_value };
enum { EACH_over, EACH_init };

/* ---- emit.c: one module ---------------------------------------------------------------------------------------------- */

/* Weights whose bytes are written when the object is there: weights.c. */
typedef struct LateWeights { const Const *c; Layout layout; const char *symbol; } LateWeights;
typedef Vec(LateWeights) LateList;

/* A tree as code, and what its leaves say beside their slot: branch.c. */
typedef struct TreeCode { ConstId id; bool with_class, with_depth; LLVMValueRef function; } TreeCode;

typedef struct ConstEntry { ConstId id; Layout layout; LLVMValueRef address; } ConstEntry;

typedef struct Emitter {
    Arena *arena;
    Diags *diags;
    const TargetOptions *options;
    Target target;
    bool jit;                     /* constants stay in this process's memory */
    LLVMContextRef c;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTargetDataRef data;
    LLVMTypeRef i1, i8, i32, i64, ptr, size, void_;
    Vec(ConstEntry) constants;
    LateList *late;               /* NULL: everything goes through LLVM */
    Vec(TreeCode) trees;
    struct Debug *debug;
} Emitter;

void be_emitter_init(Emitter *e, Arena *arena, Diags *diags, const TargetOptions *options, LLVMContextRef context);
/* Bodies, dispatch and entry points of one network. False after a report. */
bool be_network(Emitter *e, const Network *net);
bool be_optimise(Emitter *e, LLVMTargetMachineRef machine);
/* Address of a constant in a layout, made at first use. */
LLVMValueRef be_constant(Emitter *e, const Module *m, ConstId id, const Layout *layout);
/* An internal constant of these bytes. */
LLVMValueRef be_bytes(Emitter *e, const char *name, const void *bytes, uint64_t n, uint32_t align);
/* The bytes of a constant in a layout. */
void be_fill(Arena *scratch, const Const *c, const Layout *l, uint8_t *out);
void be_attribute(Emitter *e, LLVMValueRef fn, const char *key, const char *value);
void be_attributes(Emitter *e, LLVMValueRef fn, const Level *level);

/* ---- output.c: the module as bytes ----------------------------------------------------------------------------------------- */

/* Whether `out` is a file that may be opened by name once more; not standard output, a pipe or a device. */
bool be_has_file(OutFile *out);
/* Reports and returns false when it cannot be written, or does not stand alone though it must. */
bool be_write(Emitter *e, LLVMTargetMachineRef machine, EmitKind kind, OutFile *out);

/* ---- weights.c: large weights, written into the finished object ------------------------------------------------------------- */

bool be_is_elf(const char *triple);
bool be_weights_can_wait(const Emitter *e, const Const *c, const Layout *l);
LLVMValueRef be_weights_later(Emitter *e, const Const *c, const Layout *l, const char *name);
bool be_weights_write(Emitter *e, const char *path);
/* The first undefined symbol of an ELF object that is not excused; NULL: none. */
const char *be_elf_undefined(Arena *arena, const char *object, size_t n, bool excused(const char *name));

/* ---- function.c: one network at one level ------------------------------------------------------------------------------ */

typedef struct Place {
    LLVMValueRef at;              /* a scalar's value, or the address of the first byte */
    bool padded;                  /* whole vectors may be read and written at the end */
} Place;

typedef struct Fn {
    Emitter *e;
    LLVMBuilderRef b;
    const Network *net;
    const Module *m;
    const Plan *plan;
    const Level *level;
    LLVMValueRef fn, frame, counts;
    LLVMValueRef work;            /* where the offsets of workspaces begin: the frame, or a place beside it */
    LLVMBasicBlockRef entry, exit;
    LLVMValueRef status;          /* alloca i32 */
    LLVMValueRef counter[4];      /* allocas i64: add, mul, cmp, other; NULL when not counted */
    LLVMValueRef *in, *out;
    Place *place;                 /* by Value */
    LLVMValueRef *word;           /* by Value: the only word of a set of at most 64, when it is known as a value; NULL: in memory */
    struct Inputs *inputs;        /* of a block: batch.c; NULL: one input */
    bool records_asked;           /* records of stacks are on their way before anybody reads them */
    bool failed;                  /* something was reported */
} Fn;

/* The signature of bodies and of NAME_eval: inputs, outputs, scratch?, counts? */
LLVMTypeRef be_signature(Emitter *e, const Network *net, const Plan *plan, bool counted);
LLVMValueRef be_body(Emitter *e, const Network *net, const Plan *plan, const Level *level, const char *name, bool counted);
void be_block(Fn *f, const Block *block);
void be_op(Fn *f, const Op *op);

Place be_place(Fn *f, Value v);
/* Where constant `which` of an op begins, which alone is laid out as `own` says: of a stack slot `index`. */
LLVMValueRef be_slot(Fn *f, const Op *op, int which, const Layout *own, Value index);
/* Gives a value its home; the op then writes there. */
Place be_define(Fn *f, Value v);
void be_set_scalar(Fn *f, Value v, LLVMValueRef scalar);
void be_set_alias(Fn *f, Value v, LLVMValueRef address);
LLVMValueRef be_alloca(Fn *f, LLVMTypeRef type, const char *name);
/* Whether this body, counted or not, needs a set or a size. Values of other types always are. */
bool be_is_wanted(const Fn *f, Value v);
/* Another function, f->fn, is made meanwhile; the builder comes back to where it was. */
typedef struct Resume { LLVMBasicBlockRef block; LLVMMetadataRef place; } Resume;
Resume be_function_begin(Fn *f);
void be_function_end(Fn *f, Resume here);

/* ---- memory.c: loads, stores, loops and copies, in the memory form of types ---------------------------------------------- */

LLVMTypeRef be_scalar_type(Emitter *e, Type t);
LLVMTypeRef be_memory_type(Emitter *e, Type t);
LLVMTypeRef be_vector_type(LLVMTypeRef element, uint32_t lanes);     /* lanes 1: the scalar */
/* Elements of this type in a vector of the level; 1 for integers that the machine does not know. */
uint32_t be_lanes(const Level *level, Type element);
LLVMValueRef be_extract(Fn *f, LLVMValueRef v, uint32_t from, uint32_t n);  /* lanes [from, from + n) */
LLVMValueRef be_size(Emitter *e, uint64_t n);
LLVMValueRef be_splat(Fn *f, LLVMValueRef scalar, uint32_t lanes);
LLVMValueRef be_zero(Emitter *e, Type t, uint32_t lanes);
LLVMValueRef be_float(Emitter *e, Type t, double value, uint32_t lanes);
LLVMValueRef be_int(Emitter *e, Type t, uint64_t value, uint32_t lanes);
/* `lanes` elements from element `index` (a size) on; any alignment of an element. */
LLVMValueRef be_load(Fn *f, Type element, LLVMValueRef base, LLVMValueRef index, uint32_t lanes);
void be_store(Fn *f, Type element, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index, uint32_t lanes);
/* The first `n` lanes only, the others as 0; touches no byte beyond them. */
LLVMValueRef be_load_part(Fn *f, Type element, LLVMValueRef base, LLVMValueRef index, uint32_t lanes, uint32_t n);
void be_store_part(Fn *f, Type element, LLVMValueRef value, LLVMValueRef base, LLVMValueRef index, uint32_t lanes, uint32_t n);
/* The line that holds an element will be read soon. */
void be_prefetch(Fn *f, LLVMValueRef base, LLVMValueRef index, uint32_t element_bytes);
/* Elements at a vector of addresses; 0 where not wanted, and nothing is read there. */
LLVMValueRef be_masked_gather(Fn *f, LLVMTypeRef vector, LLVMValueRef addresses, uint32_t align, LLVMValueRef wanted);
LLVMValueRef be_at(Fn *f, LLVMValueRef base, LLVMValueRef bytes);           /* base + bytes */
LLVMValueRef be_at_const(Fn *f, LLVMValueRef base, uint64_t bytes);
void be_copy(Fn *f, LLVMValueRef to, LLVMValueRef from, uint64_t bytes, uint32_t element_bytes);
LLVMValueRef be_constant_scalar(Emitter *e, const Const *c, uint64_t i);
/* A call of an intrinsic overloaded on one type (NULL: not overloaded). */
LLVMValueRef be_intrinsic(Fn *f, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned n);
LLVMValueRef be_intrinsic_on(Fn *f, const char *name, LLVMTypeRef *overload, unsigned n_types, LLVMValueRef *args, unsigned n);
LLVMBasicBlockRef be_new_block(Fn *f, const char *name);

/* for (i = 0; i < n; i += step), n > 0 known when the loop is made. */
typedef struct Loop {
    LLVMBasicBlockRef before, body, after;
    LLVMValueRef i;
    uint64_t n, step;
} Loop;
Loop be_loop(Fn *f, uint64_t n, uint64_t step, const char *name);
void be_loop_end(Fn *f, Loop *loop);
/* The same with a bound known at run time, which may be 0. */
typedef struct DynLoop { LLVMBasicBlockRef head, body, after; LLVMValueRef i; } DynLoop;
DynLoop be_dyn_loop(Fn *f, LLVMValueRef n, const char *name);
void be_dyn_loop_end(Fn *f, DynLoop *loop);
/* Every element of a set in ascending order: calls body with its index (a size). */
typedef void SetBody(Fn *f, LLVMValueRef index, void *context);
void be_walk_set(Fn *f, LLVMValueRef words, uint32_t n, SetBody *body, void *context);
/* Only elements congruent to residue modulo `modulus` (a power of two up to 64). */
void be_walk_set_residue(Fn *f, LLVMValueRef words, uint32_t n, uint32_t modulus, uint32_t residue, SetBody *body, void *context);
LLVMValueRef be_set_word(Fn *f, LLVMValueRef words, LLVMValueRef w);
/* The same within one word: calls body with the number of each bit (a size). */
void be_walk_word(Fn *f, LLVMValueRef word, SetBody *body, void *context);
LLVMValueRef be_word_residue(Fn *f, LLVMValueRef word, uint32_t modulus, uint32_t residue);
/* Members of a set of n, an i64; word: its only word if it is known, else NULL. */
LLVMValueRef be_set_size(Fn *f, LLVMValueRef words, LLVMValueRef word, uint32_t n);

/* ---- one file a family of ops --------------------------------------------------------------------------------------------- */

void be_affine(Fn *f, const Op *op);                  /* affine.c */
/* pieces.c: the same for every input of a block; and whether weights would be shared. */
void be_affine_for_all(Fn *f, const Op *op);
bool be_affine_can_share(const Target *target, const Op *op, Lowering lowering);
void be_matmul(Fn *f, const Op *op);                  /* products.c */
void be_matmix(Fn *f, const Op *op);
void be_dot(Fn *f, const Op *op);
void be_reduce(Fn *f, const Op *op);
void be_elementwise(Fn *f, const Op *op);             /* elementwise.c */
LLVMValueRef be_cast(Fn *f, Type from, Type to, LLVMValueRef a, uint32_t lanes);   /* cast.c */
bool be_is_wide(Type t);                              /* wide.c: beyond this, products and quotients are functions */
LLVMValueRef be_mul(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b);          /* numbers of any kind: elementwise.c */
LLVMValueRef be_wide_mul(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef be_wide_div(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b);     /* b is not 0 */
LLVMValueRef be_math(Fn *f, OpKind kind, ElemKind type, LLVMValueRef x, uint32_t lanes);   /* math.c */
void be_shape(Fn *f, const Op *op);                   /* shape.c */
void be_selection(Fn *f, const Op *op);               /* selection.c */
void be_extend(Fn *f, const Op *op);                  /* sets.c */
/* Of sets that are one word, and of those that nobody wants: makes op's result (and, or, xor). False: be_elementwise has to. */
bool be_short_sets(Fn *f, const Op *op);
void be_field(Fn *f, const Op *op);                   /* field.c */
void be_search(Fn *f, const Op *op);                  /* search.c */
void be_descend(Fn *f, const Op *op);                 /* tree.c: by a table */
uint64_t be_tree_bytes(const Tree *t);
/* Whether slots and classes of leaves have a table of their own. */
bool be_tree_has_leaves(const Tree *t);
void be_fill_tree(Arena *scratch, const Tree *t, uint8_t *out);
/* What leads to each node and to each leaf, as records have it. */
void be_tree_entries(Arena *arena, const Tree *t, int32_t *node, int32_t *leaf);
/* grid.c: what the cell of these keys leads to. */
LLVMValueRef be_grid_start(Fn *f, const Grid *g, LLVMValueRef keys, LLVMValueRef table);
/* c ? a : b, and no branch. */
LLVMValueRef be_select_blindly(Fn *f, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b);
/* branch.c: by code. False, and nothing is done: the tree has to be a table. */
bool be_branches(Fn *f, const Op *descend);
/* Any tree of at most 255 nodes with one parent each, in place: an i32, the number of the leaf. `test` says whether to go right. */
typedef LLVMValueRef BranchTest(Fn *f, uint32_t node, void *context);
LLVMValueRef be_branch(Fn *f, const TreeNode *node, uint32_t n_nodes, BranchTest *test, void *context);
Search *be_searches(Arena *arena, const Network *net);
/* search_bytes.c: the bytes of a table in memory; page by page (false: the sink has failed). */
void be_fill_search(Arena *arena, const Const *keys, const Layout *l, uint8_t *out);
typedef bool SearchSink(void *context, const uint8_t *bytes, uint64_t n);
bool be_stream_search(Arena *arena, const Const *keys, const Layout *l, SearchSink *sink, void *context);
/* Makes the set of active elements among the n from `at` on. */
LLVMValueRef be_activity(Fn *f, Type element, Activity activity, LLVMValueRef x, uint32_t lanes);
void be_active(Fn *f, Type element, Activity activity, LLVMValueRef at, uint32_t n, Value set);
/* Whether the affine before its relu has made the set already. */
bool be_active_is_fused(const Fn *f, const Op *active);
/* lowering.c: by Value, of each affine. */
Lowering *be_lowerings(Arena *arena, const Network *net);
/* Bytes of the frame that an op needs for itself. */
uint64_t be_workspace_bytes(const Plan *plan, const Network *net, const Op *op);
uint64_t be_list_bytes(uint32_t cols, uint32_t chains);
void be_region(Fn *f, const Op *op);                  /* region.c */
/* Region r of a case, as if it had been chosen. */
void be_case_alone(Fn *f, const Op *op, uint32_t r);
void be_terminator(Fn *f, const Op *op);

/* The sum of one column: acc + w * x, in two roundings or one. */
LLVMValueRef be_multiply_add(Fn *f, Type t, LLVMValueRef acc, LLVMValueRef w, LLVMValueRef x);
LLVMValueRef be_add(Fn *f, Type t, LLVMValueRef a, LLVMValueRef b);
/* The sum of chains acc[0 … c-1] by halves; overwrites acc. */
LLVMValueRef be_combine(Fn *f, Type t, LLVMValueRef *acc, uint32_t c);
/* The same for chains that are the lanes of one vector. */
LLVMValueRef be_combine_lanes(Fn *f, Type t, LLVMValueRef acc, uint32_t c);
/* What a chain without a bias begins with: -0, which adds nothing. */
LLVMValueRef be_identity(Fn *f, Type t, uint32_t lanes);
LLVMValueRef be_relu(Fn *f, Type t, LLVMValueRef a, uint32_t lanes);
/* a < b for numbers: ordered on floats, signed on integers but for i1. */
LLVMValueRef be_compare(Fn *f, Type t, Pred pred, LLVMValueRef a, LLVMValueRef b);
/* An index or integer as an i64 (i1 and indices by zero, others by sign). */
LLVMValueRef be_to_i64(Fn *f, Type t, LLVMValueRef a);
uint32_t be_chains(const Op *op, uint32_t attr);

/* ---- batch.c: a block of inputs, layer by layer --------------------------------------------------------------------------------- */

/* Whether NAME_eval_batch has bodies of its own: weights are shared by many inputs, and that is faster. */
bool be_batch_shares(const Emitter *e, const Network *net, const Plan *plan);
/* leaf_batch.c: for a tree and the code of its leaves, which are sorted by class. */
bool be_leaf_batches(const Target *target, const Network *net, const Plan *plan);
LLVMValueRef be_leaf_batch(Emitter *e, const Network *net, const Plan *plan, const Level *level, const char *name);
LLVMTypeRef be_batch_signature(Emitter *e, const Network *net, const Plan *plan);
/* Of a body with that signature: its inputs' and outputs' addresses and, in bytes, their strides; makes room for f->in and f->out. */
void be_batch_ports(Fn *f, LLVMValueRef **port, LLVMValueRef **stride);
LLVMValueRef be_batch_body(Emitter *e, const Network *net, const Level *level, const char *name);
/* A loop over the inputs of the block: f->frame, f->in and f->out are those of one, and what its stretch takes from others is there. */
DynLoop be_inputs(Fn *f);
void be_inputs_end(Fn *f, DynLoop *loop);

/* ---- dispatch.c, abi.c, debug.c ---------------------------------------------------------------------------------------------- */

/* NAME (visible) calls the best of the bodies this CPU has; bodies[i] belongs to target.level[i]. */
LLVMValueRef be_dispatch(Emitter *e, const char *name, LLVMTypeRef type, const LLVMValueRef *bodies);
/* counted, batch: NULL where there is none of its own. */
void be_entry_points(Emitter *e, const Network *net, const Plan *plan, LLVMValueRef eval, LLVMValueRef counted, LLVMValueRef batch);
/* Of two statuses, as NAME_eval_batch combines them. */
LLVMValueRef be_worst_status(Emitter *e, LLVMValueRef a, LLVMValueRef b);
/* Parameter names as the header and the descriptor have them. */
char **be_port_names(Arena *arena, const Network *net);
uint64_t be_scratch_bytes(const Target *target, const Plan *plan);
bool be_symbols_differ(const Module *m, Diags *diags, const TargetOptions *options);

void be_debug_begin(Emitter *e, const Module *m);
void be_debug_function(Emitter *e, LLVMValueRef fn, const Network *net);
void be_debug_place(Emitter *e, Span span);
LLVMMetadataRef be_debug_leave(Emitter *e);
void be_debug_return(Emitter *e, LLVMMetadataRef here);
void be_debug_end(Emitter *e);

#endif
