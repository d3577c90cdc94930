/* shape.c — ops that only move elements: reshape, transpose, concat, slice, index.
 *
 * What lies contiguously in the operand is an address, not a copy (be_shares_operand); the rest is one strided copy,
 * whose inner dims collapse to whole runs where both sides are contiguous.
 */
#include "gen.h"

typedef struct Strided {
    uint32_t rank;
    uint32_t dim[IR_MAX_RANK];
    uint64_t to[IR_MAX_RANK], from[IR_MAX_RANK];   /* strides in elements */
    Type element;
} Strided;

static void row_major(Type t, uint64_t *stride)
{
    uint64_t step = 1;
    for (uint32_t d = t.rank; d-- > 0; step *= t.dim[d])
        stride[d] = step;
}

/* Elements from dim d on when they lie the same, without gaps, on both sides; 0 when they do not. */
static uint64_t run_length(const Strided *s, uint32_t d)
{
    uint64_t run = 1;
    for (uint32_t k = s->rank; k-- > d; run *= s->dim[k])
        if (s->dim[k] > 1 && (s->to[k] != run || s->from[k] != run))
            return 0;
    return run;
}

static void copy_dims(Fn *f, const Strided *s, uint32_t d, LLVMValueRef to, LLVMValueRef from)
{
    uint64_t run = run_length(s, d), size = type_element_bytes(s->element);
    if (run > 0) {
        be_copy(f, to, from, run * size, (uint32_t)size);
        return;
    }
    if (s->dim[d] == 1) {
        copy_dims(f, s, d + 1, to, from);
        return;
    }
    Loop loop = be_loop(f, s->dim[d], 1, "dim");
    copy_dims(f, s, d + 1, be_at(f, to, LLVMBuildMul(f->b, loop.i, be_size(f->e, s->to[d] * size), "")),
              be_at(f, from, LLVMBuildMul(f->b, loop.i, be_size(f->e, s->from[d] * size), "")));
    be_loop_end(f, &loop);
}

static void strided_copy(Fn *f, const Strided *s, LLVMValueRef to, LLVMValueRef from)
{
    for (uint32_t d = 0; d < s->rank; d++)
        if (s->dim[d] == 0)
            return;
    copy_dims(f, s, 0, to, from);
}

static Strided strided(Type t)
{
    Strided s = {.rank = t.rank, .element = type_element(t)};
    for (uint32_t d = 0; d < t.rank; d++)
        s.dim[d] = t.dim[d];
    return s;
}

static void transpose(Fn *f, const Op *op)
{
    Type a = value_type(f->net, op_operand(op, 0)), t = value_type(f->net, op->result[0]);
    Strided s = strided(t);
    uint64_t stride[IR_MAX_RANK];
    row_major(a, stride);
    row_major(t, s.to);
    for (uint32_t d = 0; d < t.rank; d++)
        s.from[d] = stride[op->attr[0].list[d]];
    strided_copy(f, &s, be_define(f, op->result[0]).at, be_place(f, op_operand(op, 0)).at);
}

static void concat(Fn *f, const Op *op)
{
    Type t = value_type(f->net, op->result[0]);
    uint64_t axis = (uint64_t)op->attr[0].i, offset = 0, size = type_element_bytes(t);
    LLVMValueRef to = be_define(f, op->result[0]).at;
    for (uint32_t k = 0; k < op->n_operands; k++) {
        Type a = value_type(f->net, op_operand(op, k));
        Strided s = strided(a);
        row_major(t, s.to);
        row_major(a, s.from);
        if (axis > 0 || !be_part_is_there(f->plan, op, k, offset * s.to[0] * size))
            strided_copy(f, &s, be_at_const(f, to, offset * s.to[axis] * size), be_place(f, op_operand(op, k)).at);
        offset += a.dim[axis];
    }
}

/* Bytes from the operand's begin to the slice's. */
static uint64_t slice_offset(const Fn *f, const Op *op, uint64_t *stride)
{
    Type a = value_type(f->net, op_operand(op, 0));
    uint64_t offset = 0;
    row_major(a, stride);
    for (uint32_t d = 0; d < a.rank; d++)
        offset += (uint64_t)op->attr[0].list[d] * stride[d];
    return offset * type_element_bytes(a);
}

static void slice(Fn *f, const Op *op)
{
    Type t = value_type(f->net, op->result[0]);
    Strided s = strided(t);
    LLVMValueRef from = be_place(f, op_operand(op, 0)).at;
    if (type_count(t) == 0)
        from = be_place(f, op_operand(op, 0)).at;
    else
        from = be_at_const(f, from, slice_offset(f, op, s.from));
    row_major(t, s.to);
    if (be_shares_operand(f->net, op))
        be_set_alias(f, op->result[0], from);
    else
        strided_copy(f, &s, be_define(f, op->result[0]).at, from);
}

static void reshape(Fn *f, const Op *op)
{
    Value a = op_operand(op, 0), r = op->result[0];
    bool from_memory = be_in_memory(value_type(f->net, a)), to_memory = be_in_memory(value_type(f->net, r));
    Type element = type_element(value_type(f->net, a));
    LLVMValueRef zero = be_size(f->e, 0);
    if (from_memory && to_memory)
        f->place[r] = be_place(f, a);
    else if (from_memory)
        be_set_scalar(f, r, be_load(f, element, be_place(f, a).at, zero, 1));
    else if (to_memory)
        be_store(f, element, be_place(f, a).at, be_define(f, r).at, zero, 1);
    else
        be_set_scalar(f, r, be_place(f, a).at);
}

static void item(Fn *f, const Op *op)
{
    Value r = op->result[0];
    Type t = value_type(f->net, r), element = type_element(t);
    LLVMValueRef base = be_place(f, op_operand(op, 0)).at;
    LLVMValueRef i = LLVMBuildZExtOrBitCast(f->b, be_place(f, op_operand(op, 1)).at, f->e->size, "");
    if (be_in_memory(t))
        be_set_alias(f, r, be_at(f, base, LLVMBuildMul(f->b, i, be_size(f->e, be_type_bytes(t)), "")));
    else
        be_set_scalar(f, r, be_load(f, element, base, i, 1));
}

void be_shape(Fn *f, const Op *op)
{
    if (op->kind == OP_transpose)
        transpose(f, op);
    else if (op->kind == OP_concat)
        concat(f, op);
    else if (op->kind == OP_slice && be_in_memory(value_type(f->net, op->result[0])))
        slice(f, op);
    else if (op->kind == OP_index)
        item(f, op);
    else
        reshape(f, op);
}
