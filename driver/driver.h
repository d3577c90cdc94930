/* driver.h — the command line: the only room that sees all others.
 *
 *     main.c     verbs, exit status, interrupts          options.c   the table of options: parsing, --help
 *     session.c  load → passes (what all verbs share)    emit.c      outputs of compiling
 *     measure.c  operation figures, table and JSON       run.c verify.c report.c import.c   one verb a file
 */
#ifndef CNET_DRIVER_H
#define CNET_DRIVER_H

#include "../backend/backend.h"
#include "../frontend/frontend.h"
#include "../passes/passes.h"
#include "../proof/proof.h"

/* Exit statuses (an internal error, ICE, exits with 3 by itself). */
enum { EXIT_FINE = 0, EXIT_BAD_INPUT = 1, EXIT_USAGE = 2 };

typedef enum Verb { VERB_COMPILE = 1, VERB_RUN = 2, VERB_VERIFY = 4, VERB_REPORT = 8, VERB_IMPORT = 16 } Verb;
typedef enum Product { PRODUCT_IR, PRODUCT_LLVM, PRODUCT_ASM, PRODUCT_BC, PRODUCT_OBJ, PRODUCT_SHARED, PRODUCT_STATIC,
                       PRODUCT_DOT, PRODUCT_JSON } Product;
typedef enum OpsStyle { OPS_NONE, OPS_TABLE, OPS_JSON } OpsStyle;
typedef enum Engine { ENGINE_JIT, ENGINE_INTERP } Engine;

/* A file given for one tensor: --input=x.npy (the only one) or --input=NAME=x.npy. */
typedef struct NamedFile { const char *name, *path; } NamedFile;
typedef Vec(NamedFile) NamedFiles;

typedef struct Options {
    Verb verb;
    const char *source;
    const char *output;                      /* -o */
    const char *header;
    const char *network;                     /* --network: which of several */
    Product product;
    LoadOptions load;
    PipelineOptions pipeline;
    TargetOptions target;
    bool has_max_ops, has_max_bytes;
    uint64_t max_ops, max_bytes;             /* budgets */
    bool inline_constants;
    bool print_passes, print_targets;
    const char *deps;                        /* -MF */
    bool write_deps;                         /* -MD */
    bool verbose;
    /* run, verify */
    NamedFiles inputs, outputs, against, profile;
    const char *compiled;                    /* --compiled: a dump to be verified against the source */
    OpsStyle ops;
    Engine engine;
    uint64_t samples, seed;
    double rtol, atol;
    bool tolerance;                          /* --rtol or --atol was given */
    int isa_level;                           /* --isa=v1 … v4: force a level of the JIT; 0 = the best */
    /* diagnostics */
    const char *color;                       /* auto always never */
    bool json_diagnostics;
    Vec(const char *) warnings;              /* arguments of -W */
    bool no_warnings;
    const char *text;                        /* the options that shape the code, as given, for the descriptor */
} Options;

/* ---- options.c ------------------------------------------------------------------------------------------------------ */

/* Parses the command line. Returns -1 to go on, else the exit status to end with (--help, --version, a usage error). */
int options_parse(Arena *arena, int argc, char **argv, Options *out);

/* ---- session.c --------------------------------------------------------------------------------------------------------- */

typedef struct Session {
    Arena *arena;
    Diags *diags;
    const Options *options;
    Module *module;                          /* after passes */
    Network *entry;                          /* the one that run, verify and report mean */
    Counts dense_ops, nonzero_ops;           /* of the network as loaded */
    uint64_t dense_bytes;
    FileList depends;                        /* every file that was read */
    Vec(const char *) written;               /* real paths of outputs so far */
} Session;

/* Loads the source and runs the passes. False: reported. */
bool session_compile(Session *s);
/* Whether an output may have this name: no input has it, and no other output. False: reported. */
bool session_may_write(Session *s, const char *path);
/* Path of an output: the -o option, else the source with another suffix. */
char *session_output(const Session *s, const char *suffix);

/* ---- emit.c, link.c, dot.c ----------------------------------------------------------------------------------------------------- */

bool emit_product(Session *s);
/* A shared or static library that will be called `name`, made at `path` of the module's object. */
bool make_library(Session *s, const char *name, const char *path);
void emit_dot(const Module *m, FILE *out);

/* ---- measure.c ------------------------------------------------------------------------------------------------------------ */

typedef struct Measured { uint64_t rows; Counts sum, max; uint64_t total_max; } Measured;
void measured_add(Measured *m, Counts row);
/* One JSON object (design: the fields scripts rely on). `measured` NULL: static figures only. */
void ops_json(Session *s, const Measured *measured, FILE *out);
void ops_table(Session *s, const Measured *measured, FILE *out);

/* ---- worst.c: of a network that is a tree, an input that costs much -------------------------------------------------- */

typedef struct Worst { Counts counts; uint32_t n; const double *x; } Worst;
/* False: the network is no tree over boxed inputs. */
bool worst_found(Session *s, Worst *out);

/* ---- engine.c ------------------------------------------------------------------------------------------------------- */

/* One evaluator, native or interpreted, of a network. */
typedef struct Evaluator { const Network *net; Jit *jit; Interp *interp; } Evaluator;
bool evaluator_new(Session *s, const Network *net, Engine engine, Evaluator *out);
/* `counts` (may be NULL) is added to. The interpreter counts its arithmetic and its tallies separately: when the network
 * has tallies they must agree, a disagreement is an ICE. */
int evaluator_run(Evaluator *e, const void *const *in, void *const *out, Counts *counts);

/* Tables of rows for every input or output of a network, and the addresses of one row in each. */
typedef struct Tables { uint32_t n; Samples *table; size_t rows; } Tables;
bool read_tables(Session *s, const NamedFiles *files, const char *option, uint32_t n, const Port *ports, Tables *out);
Tables new_tables(Arena *arena, uint32_t n, const Port *ports, size_t rows);
void *table_row(const Samples *table, size_t row);
void rows_of(const Tables *tables, size_t row, void **at);
/* Evaluates every row; `each` row's counts go to `measured` (may be NULL), its status to status[row] (may be NULL). */
void evaluate_rows(Evaluator *e, const Tables *in, const Tables *out, Measured *measured, int *status);

/* Long work on a terminal says how far it is: a line on stderr, at most four times a second, after the first second. */
typedef struct Progress { const char *what; size_t total; double start, last; bool shown; } Progress;
Progress progress_start(const char *what, size_t total);
void progress_at(Progress *p, size_t done);
void progress_end(Progress *p);

/* ---- sample.c: inputs for verify -------------------------------------------------------------------------------------- */

Tables sample_randomly(Session *s);
/* Points on the cuts of the entry's tree, their neighbours, corners of leaves; false: it has no tree over its inputs. */
bool sample_cuts(Session *s, Tables *out);
/* Keys of the table that a network as loaded looks its input up in; false: it looks up nothing, or not just that. */
bool sample_keys(Session *s, const Module *as_loaded, Tables *out);
/* All elements of the inputs, one behind the other: their types, their box (false: some have none), and a row of them. */
Type *sample_types(Arena *arena, const Network *net, uint32_t *n);
bool sample_box(Session *s, double *lo, double *hi);
void sample_put(const Tables *t, size_t row, const double *x);
void sample_take(const Tables *t, size_t row, double *x);
double sample_gap(Session *s, const Network *source, const Tables *in, size_t row, int64_t label);
void sample_in_box(const Type *type, uint32_t n, const double *lo, const double *hi, uint64_t *state, double *x);
void sample_corner(uint32_t n, const double *lo, const double *hi, uint64_t *state, double *x);

/* ---- verify_tree.c: the certificate of a tree -------------------------------------------------------------------------------- */

/* What verify evaluates with: the compiled network natively and by the interpreter, the network as written. */
typedef struct Engines { Evaluator native, interp, as_written; const Network *source; } Engines;
/* Proves the leaves of the entry's tree, and says how many. False: one is wrong, or could not be proven. */
bool verify_tree(Session *s, Engines *e);

/* ---- one verb a file ------------------------------------------------------------------------------------------------ */

bool verb_run(Session *s);
bool verb_verify(Session *s);
bool verb_report(Session *s);
bool verb_import(Session *s);

#endif
