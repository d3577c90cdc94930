/* onnx_graph.h — what the files of the ONNX importer share. Not public.
 *
 *     bytes ─ onnx_wire.c ─→ tensors (borrowed)  ┐
 *                        └→ the rest ─ protobuf-c ┴→ onnx.c: for each node, its row of onnx_ops[] → IR
 */
#ifndef CNET_ONNX_GRAPH_H
#define CNET_ONNX_GRAPH_H

#include "formats.h"
#include "onnx.pb-c.h"

typedef CnetOnnx__NodeProto NodeProto;
typedef CnetOnnx__AttributeProto AttributeProto;

/* ---- onnx_wire.c ------------------------------------------------------------------------------------------------- */

/* A TensorProto, its numbers not looked at. */
typedef struct OnnxTensor {
    RawTensor raw;
    const char *why;              /* what is wrong with it, NULL if nothing */
    const char *location;         /* of external data, NULL: raw.data holds the elements */
    uint64_t offset, length;
    bool has_length;
} OnnxTensor;

typedef struct OnnxWire {
    Vec(OnnxTensor) tensors;      /* initializers, and what Constant nodes hold, under the name of their output */
    Bytes rest;                   /* the model without them: for protobuf-c */
} OnnxWire;

/* Splits a ModelProto. False with a reason when the bytes are no protocol buffer. */
bool onnx_split(Arena *arena, Bytes model, OnnxWire *out, const char **why);
bool onnx_scan_tensor(Arena *arena, Bytes message, OnnxTensor *out);
/* ONNX's number of an element type (TensorProto.DataType); false when it is none of ours. */
bool onnx_elem(int64_t data_type, FileElem *elem);
const char *onnx_elem_name(int64_t data_type);

/* ---- onnx.c -------------------------------------------------------------------------------------------------------- */

typedef enum OnnxKind {
    ONNX_POISON,                  /* already reported: users stay silent */
    ONNX_CONSTANT,                /* elements known now: `data`, or `cst` when it is a view */
    ONNX_COMPUTED,                /* `value`: a flat vector in the IR */
    ONNX_PRODUCT                  /* W @ x, not built yet: a following Add makes it an affine with a bias */
} OnnxKind;

enum { ONNX_MAX_RANK = RAW_MAX_RANK };

/* A tensor of the graph with its shape as ONNX sees it, the leading batch of 1 included. In the IR it is flat. */
typedef struct OnnxValue {
    const char *name;
    OnnxKind kind;
    Type elem;
    uint32_t rank;
    uint64_t dim[ONNX_MAX_RANK];
    const void *data;
    ConstId cst;                  /* a constant in the pool (made on demand), or the W of a product */
    Value value;                  /* in the IR (made on demand for constants), or the x of a product */
    uint32_t uses;                /* by nodes and as outputs of the graph */
    bool defined;                 /* false: only referred to, so far */
    bool is_tensor;               /* of the file; may be listed among the inputs too */
} OnnxValue;

typedef struct OnnxGraph {
    Arena *arena;
    Module *m;
    Network *net;
    Builder b;
    Span span;                    /* the whole file */
    const char *folder;           /* of external data; NULL: refused */
    int64_t opset;
    OnnxValue **table;            /* open addressing by name */
    size_t cap, len;
    const NodeProto *node;        /* the one being imported */
    OnnxValue *output;            /* its first output, to be filled */
} OnnxGraph;

/* One row an operator; the function fills g->output (or defines more by onnx_define) and reports when it cannot. */
typedef struct OnnxOp {
    const char *name;
    size_t min_inputs, max_inputs;
    bool (*import)(OnnxGraph *g, OnnxValue **in, size_t n);
} OnnxOp;

/* ---- onnx_values.c --------------------------------------------------------------------------------------------------- */

OnnxValue *onnx_find(const OnnxGraph *g, const char *name);
/* The value of this name, made if absent. */
OnnxValue *onnx_define(OnnxGraph *g, const char *name);
/* The product of dim[from … to-1]. */
uint64_t onnx_product(const uint64_t *dim, uint32_t from, uint32_t to);
uint64_t onnx_count(const OnnxValue *v);
const char *onnx_shape(const OnnxGraph *g, const OnnxValue *v);       /* "f32[1,5]" */
/* Reports against the node being imported; returns false. */
bool onnx_fail(const OnnxGraph *g, const char *format, ...) PRINTF_LIKE(2, 3);

bool onnx_is_constant(const OnnxValue *v);
/* Row-major elements of a constant. */
const uint8_t *onnx_data(OnnxGraph *g, OnnxValue *v);
ConstId onnx_const(OnnxGraph *g, OnnxValue *v);
/* The same elements under other dims. */
ConstId onnx_const_shaped(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint32_t *dim);
/* The flat vector in the IR, whatever the kind. */
Value onnx_value(OnnxGraph *g, OnnxValue *v);
/* A new constant under the name of the output. */
bool onnx_set_constant(OnnxGraph *g, OnnxValue *v, Type elem, uint32_t rank, const uint64_t *dim, const void *data);
/* The output is this flat vector; its shape is that of `like`, or given. */
bool onnx_set_value(OnnxGraph *g, OnnxValue *v, Value value, uint32_t rank, const uint64_t *dim);
bool onnx_set_value_like(OnnxGraph *g, OnnxValue *v, Value value, const OnnxValue *like);
/* The integers of a constant input, NULL (reported) when it is computed or no integer tensor. */
const int64_t *onnx_integers(OnnxGraph *g, OnnxValue *v, const char *what, size_t *n);

const AttributeProto *onnx_attribute(const OnnxGraph *g, const char *name);
int64_t onnx_int(const OnnxGraph *g, const char *name, int64_t otherwise);
float onnx_float(const OnnxGraph *g, const char *name, float otherwise);
/* Wraps a negative axis; reports when it is out of 0 … rank-1. */
bool onnx_axis(OnnxGraph *g, int64_t axis, uint32_t rank, uint32_t *out);

/* ---- the operators, by family ------------------------------------------------------------------------------------------ */

extern const OnnxOp onnx_linear_ops[], onnx_pointwise_ops[], onnx_shape_ops[], onnx_constant_ops[], onnx_reduce_ops[];   /* end: name NULL */

/* A shape from a list of extents; reports when it is too large or negative. */
bool onnx_new_shape(OnnxGraph *g, const int64_t *list, size_t n, uint32_t *rank, uint64_t *dim);
/* Where a slice of `extent` begins and ends by Python's rules. */
void onnx_clamp_range(int64_t *start, int64_t *end, uint64_t extent);
/* Tries to fold shape arithmetic on small integer constants; true when the output is filled. */
bool onnx_fold(OnnxGraph *g, OnnxValue **in, size_t n);
/* The numpy broadcast of two shapes; false when there is none. */
bool onnx_broadcast(const OnnxValue *a, const OnnxValue *b, uint32_t *rank, uint64_t *dim);
/* v stretched to a shape that its own broadcasts to, flat. 0 when the result would be unreasonably large (reported). */
Value onnx_stretched(OnnxGraph *g, OnnxValue *v, uint32_t rank, const uint64_t *dim);
/* Pending product + constant as one affine; false when the two do not make one. */
bool onnx_bias(OnnxGraph *g, OnnxValue *product, OnnxValue *constant, bool negate);

#endif
