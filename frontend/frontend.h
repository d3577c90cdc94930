/* frontend.h — from files to IR: the .cnet language, imported models, weight files, tables of samples.
 *
 *     text → lexer.l → parser.y → AST (ast.h) → lower.c → IR           .cnet
 *     bytes → onnx.c | nnet.c → IR                                     .onnx .onnx.gz .nnet
 *     bytes → npy.c | npz.c | safetensors.c | onnx.c → Tensor          weights
 *     .cnir is the IR's own text: ir_read
 */
#ifndef CNET_FRONTEND_H
#define CNET_FRONTEND_H

#include "../ir/ir.h"

/* What the command line says about networks; it overrides what their file says. */
typedef struct LoadOptions {
    const char *box;              /* --box: LO:HI,… or FILE.json:NAME; NULL = none. For networks whose file says no box */
    enum { SAYS_numerics = 1, SAYS_contract = 2, SAYS_outside = 4 } says;   /* which members of `net` were given */
    NetOptions net;
    /* Long tasks (tables of data) tell how far they are; what = NULL: done. May be NULL. */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *progress_context;
    bool sealed;                  /* a .cnet file may not open others: what fuzzers and servers of strangers set */
} LoadOptions;

/* ---- load.c: by the suffix of the name (.cnet .cnir .onnx .onnx.gz .nnet) ------------------------------------------ */

/* Reads, checks and lowers a file. Reports and returns NULL on any error. The files that were opened are appended to
 * `depends` (for -MD; may be NULL), but for the external data of an ONNX model. */
typedef struct FileList { Vec(const char *) names; } FileList;
Module *fe_load(Arena *arena, Diags *diags, const char *path, const LoadOptions *options, FileList *depends);
/* Overrides in `net` what `options` (may be NULL) says. */
void fe_override(NetOptions *net, const LoadOptions *options);

/* ---- cnet.c: the language ------------------------------------------------------------------------------------------- */

Module *fe_parse_cnet(Arena *arena, Diags *diags, const char *path, const char *text, size_t len,
                      const LoadOptions *options, FileList *depends);

/* ---- onnx.c, nnet.c: imports ------------------------------------------------------------------------------------------ */

/* Adds the model's graph to `m` as one network called `name` (NULL: after the file) and returns it. `span` is where the
 * user named the file; problems inside it are reported against the file itself. */
Network *fe_import_onnx(Module *m, const char *path, const char *name, Span span);
Network *fe_import_nnet(Module *m, const char *path, const char *name, Span span);

/* `cnetc import`: writes a network as readable .cnet text plus a weights file (.safetensors) beside it. */
bool fe_export_cnet(const Network *net, Diags *diags, const char *cnet_path);

/* ---- weights.c: named tensors in files -------------------------------------------------------------------------------- */

/* Row-major little-endian elements; `data` borrows from the file's mapping (the arena's) whenever the file allows. */
typedef struct Tensor {
    const char *name;             /* as in the file; a .npy's is "" */
    Type type;                    /* f32, f64 or an integer type; other encodings (f16, bf16, u8 …) are widened or refused */
    const void *data;
} Tensor;
typedef struct TensorFile {
    const char *path;
    size_t n;
    Tensor *tensor;
} TensorFile;

/* .npy, .npz, .safetensors, and the initializers of .onnx, by suffix. */
bool fe_read_tensors(Arena *arena, Diags *diags, Span span, const char *path, TensorFile *out);
/* NULL when absent (the caller reports, with a suggestion). */
const Tensor *fe_find_tensor(const TensorFile *file, const char *name);

/* One reader a format: bytes in, tensors out; `source` numbers the file in `diags`. What fuzzers call. */
bool fe_read_npy(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, Tensor *out);
bool fe_read_npz(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out);
bool fe_read_safetensors(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out);
bool fe_read_onnx_tensors(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out);
Network *fe_read_onnx(Module *m, uint32_t source, Bytes bytes, const char *name);
Network *fe_read_nnet(Module *m, uint32_t source, Bytes bytes, const char *name);

/* ---- samples.c: rows of inputs and outputs for run, verify, profiles ---------------------------------------------------- */

/* A table of `rows` rows, each holding type_count(row) elements of the row's element type, row-major. */
typedef struct Samples { size_t rows; Type row; void *data; } Samples;
/* Reads .npy or .csv ("-": standard input, recognised by its first bytes) and converts every row to `row` (same number of
 * elements; what fits exactly, silently; a float of more precision is rounded to nearest; a value that does not fit is an
 * error that names its row). */
bool fe_read_samples(Arena *arena, Diags *diags, const char *path, Type row, Samples *out);
/* Writes .npy ([rows, dims…]) or .csv by suffix; "-" is standard output, as .csv. The file is not committed: the caller
 * commits what belongs together at once (out_commit_all). NULL: reported. */
OutFile *fe_write_samples(Arena *arena, Diags *diags, const char *path, const Samples *samples);

/* --box: sets the box of an imported network's inputs. Reports at NOWHERE, naming the option. */
bool fe_set_box(Network *net, const char *box);

#endif
