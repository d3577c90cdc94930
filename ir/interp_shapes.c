/* interp_shapes.c — constants as values and moving elements about: all free.
 *
 * In: slots, attributes. Out: slots, either copies or views (constants, rows of stacks and reshapes are read in place).
 * The one idea: a move is a walk over the result in row-major order with one stride a dim in the operand.
 */
#include "interp.h"

#include <string.h>

void step_const(Interp *in, const Step *step)
{
    (void)in;
    step->result[0]->at = (uint8_t *)step->data[0];     /* never written: values have one definition */
}

void step_row(Interp *in, const Step *step)
{
    const Slot *r = step->result[0];
    (void)in;
    step->result[0]->at = (uint8_t *)step->data[0] + (uint64_t)slot_index(step->operand[0]) * r->count * r->size;
}

/* Bit by bit: it defines what the rest does faster. */
void step_field(Interp *in, const Step *step)
{
    const Slot *r = step->result[0], *i = step->operand[1];
    uint32_t bits = (uint32_t)step->op->attr[0].i, size = type_element_bytes(type_element(step->cst[0]->type));
    const uint8_t *at = step->data[0] + (uint64_t)slot_index(step->operand[0]) * size;
    uint64_t from = (uint64_t)bits * (i->type.n - 1 - slot_index(i));
    uint8_t field[IR_MAX_INT_BITS / 8 + 16];
    memset(field, 0, bits / 8 + 16);
    for (uint32_t k = 0; k < bits; k++)
        field[k / 8] |= (uint8_t)((at[(from + k) / 8] >> (from + k) % 8 & 1) << k % 8);
    if (r->type.n == bits)
        int_resize(bits, r->at, bits, field);     /* whose top bit is its sign */
    else
        int_resize(r->type.n, r->at, bits + 1, field);
    in->counted.other++;
}

void step_reshape(Interp *in, const Step *step)
{
    (void)in;
    step->result[0]->at = step->operand[0]->at;
}

/* out, row-major over `dim`, takes the elements that start at `from`, `stride` bytes apart in each dim. */
static uint8_t *gather(uint8_t *out, const uint8_t *from, uint32_t rank, const uint32_t *dim, const uint64_t *stride, uint32_t size)
{
    if (rank == 0 || (rank == 1 && stride[0] == size)) {
        size_t bytes = rank == 0 ? size : (size_t)dim[0] * size;
        memcpy(out, from, bytes);
        return out + bytes;
    }
    for (uint32_t i = 0; i < dim[0]; i++)
        out = gather(out, from + i * stride[0], rank - 1, dim + 1, stride + 1, size);
    return out;
}

/* Bytes from one index of dim d to the next. */
static void byte_strides(const Slot *s, uint64_t *stride)
{
    uint64_t step = s->size;
    for (uint32_t d = s->type.rank; d-- > 0; step *= s->type.dim[d])
        stride[d] = step;
}

void step_transpose(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    uint64_t of[IR_MAX_RANK], stride[IR_MAX_RANK];
    (void)in;
    byte_strides(a, of);
    for (uint32_t d = 0; d < r->type.rank; d++)
        stride[d] = of[step->op->attr[0].list[d]];
    if (r->count > 0)
        gather(r->at, a->at, r->type.rank, r->type.dim, stride, r->size);
}

void step_slice(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    uint64_t stride[IR_MAX_RANK], from = 0;
    (void)in;
    byte_strides(a, stride);
    for (uint32_t d = 0; d < r->type.rank; d++)
        from += (uint64_t)step->op->attr[0].list[d] * stride[d];
    if (r->count > 0)
        gather(r->at, a->at + from, r->type.rank, r->type.dim, stride, r->size);
}

/* Along axis d everything inside d is one stretch of bytes; every operand's stretch follows in turn. */
void step_concat(Interp *in, const Step *step)
{
    const Slot *r = step->result[0];
    uint64_t inner = r->size, outer = 1, at = 0;
    uint32_t axis = (uint32_t)step->op->attr[0].i;
    (void)in;
    for (uint32_t d = 0; d < r->type.rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : r->type.dim[d];
    for (uint64_t o = 0; o < outer; o++)
        for (uint32_t i = 0; i < step->op->n_operands; i++) {
            const Slot *a = step->operand[i];
            uint64_t bytes = a->type.dim[axis] * inner;
            if (bytes > 0)
                memcpy(r->at + at, a->at + o * bytes, bytes);
            at += bytes;
        }
}

void step_splat(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    (void)in;
    for (uint64_t i = 0; i < r->count; i++)
        memcpy(r->at + i * r->size, a->at, r->size);
}

void step_index(Interp *in, const Step *step)
{
    const Slot *a = step->operand[0], *r = step->result[0];
    uint64_t bytes = r->count * r->size;
    (void)in;
    memcpy(r->at, a->at + slot_index(step->operand[1]) * bytes, bytes);
}
