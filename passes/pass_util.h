/* pass_util.h — private to passes/: questions about constants and rewrites that several passes share. */
#ifndef CNET_PASSES_PASS_UTIL_H
#define CNET_PASSES_PASS_UTIL_H

#include "passes.h"

/* The constant that a value is, if an op `const` defines it; 0 otherwise. */
ConstId value_const(const Network *net, Value v);

/* The op that defines v, if it is of this kind; NULL otherwise (v may be 0). */
Op *definition(const Network *net, Value v, OpKind kind);

/* Whether every element is exactly `value`; on floats −0.0 and +0.0 are different values here. Empty: true. */
bool const_is_all(const Const *c, double value);

/* Whether every element is zero, of whatever sign. */
bool const_is_zero(const Const *c);

/* `op`'s only result becomes `with`; the op goes. */
void replace_op(Op *op, Value with);

/* Whether leaving the network from inside this op's regions (or by the op itself) is possible. */
bool op_may_leave(const Op *op);

/* Calls f(op, data) on every op inside the regions of `op`, outer before inner; stops and returns true when f does. */
bool any_op_within(const Op *op, bool (*f)(const Op *op, void *data), void *data);

/* Whether nothing is left for the guard to do: no boxed input, a promise, or every boxed input tested against its box. */
bool network_is_guarded(const Network *net);

/* guard.c: spells out the policy `dense`: tests the box first of all, and returns with the status that says so. The test: inside? */
Value guard_with_status(Network *net);

/* The ops as they stand, and the values of theirs that others use. */
typedef struct Fallback { Op *const *op; size_t n_ops; const Value *result; uint32_t n_results; } Fallback;
/* if %inside { what `build` makes } else { the ops once more }. build writes n_results values to `out`, and so does this. */
void build_with_fallback(Builder *b, Arena *scratch, Value inside, void (*build)(Builder *b, void *data, Value *out), void *data,
                         const Fallback *otherwise, Value *out);

/* dead_code.c: removes ops nobody uses, and returns their number. */
size_t remove_unused_ops(Network *net, Arena *scratch);

#endif
