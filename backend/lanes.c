/* lanes.c — layers of few rows and many columns: a chain is a lane.
 *
 *      acc[r] = <bias[r], -0, …>
 *      for k in 0, c, 2c, …:  acc[r] += W[r][k … k+c-1] * x[k … k+c-1]
 *      y[r] = relu?(combine the lanes)
 *
 * The one idea: with few rows a panel would be mostly padding, while chains(c) are c independent sums. All columns are
 * walked: skipping one of c would save nothing.
 */
#include "kernel.h"

static void add_block(Kernel *k, uint32_t first_row, LLVMValueRef column, LLVMValueRef x)
{
    Fn *f = &k->f;
    uint64_t padded = ((uint64_t)k->s->weights.cols + k->lanes - 1) / k->lanes * k->lanes;
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, column, be_size(f->e, (first_row + r) * padded), "");
        LLVMValueRef acc = LLVMBuildLoad2(f->b, k->vector, k->acc[r], "");
        LLVMBuildStore(f->b, be_multiply_add(f, k->s->sum, acc, be_load_weights(k, at, k->lanes), x), k->acc[r]);
    }
}

static void lane_rows(Kernel *k, uint32_t first_row)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    uint32_t cols = s->weights.cols, whole = cols / k->lanes * k->lanes;
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef bias = be_load(f, s->sum, k->b, be_size(f->e, first_row + r), 1);
        LLVMValueRef start = be_identity(f, s->sum, k->lanes);
        LLVMBuildStore(f->b, LLVMBuildInsertElement(f->b, start, bias, LLVMConstInt(f->e->i32, 0, 0), ""), k->acc[r]);
    }
    if (whole > 0) {
        Loop loop = be_loop(f, whole, k->lanes, "columns");
        add_block(k, first_row, loop.i, be_load(f, s->sum, k->x, loop.i, k->lanes));
        be_loop_end(f, &loop);
    }
    if (whole < cols) {
        LLVMValueRef at = be_size(f->e, whole);
        add_block(k, first_row, at, be_load_part(f, s->sum, k->x, at, k->lanes, cols - whole));
    }
    for (uint32_t r = 0; r < k->t; r++) {
        LLVMValueRef sum = be_combine_lanes(f, s->sum, LLVMBuildLoad2(f->b, k->vector, k->acc[r], ""), k->lanes);
        if (s->relu)
            sum = be_relu(f, s->sum, sum, 1);
        be_store(f, s->sum, sum, k->y, be_size(f->e, first_row + r), 1);
    }
}

void be_lane_kernel(Kernel *k)
{
    Fn *f = &k->f;
    const Shape *s = k->s;
    k->lanes = s->chains;
    uint32_t bytes = s->chains * type_element_bytes(s->sum);
    uint32_t registers = bytes > f->level->vector_bytes ? bytes / f->level->vector_bytes : 1;
    uint32_t most = f->level->accumulators / registers, rows = s->weights.rows;
    uint32_t groups = (rows + most - 1) / (most ? most : 1);
    k->t = groups ? (rows + groups - 1) / groups : 0;
    k->vector = be_vector_type(be_scalar_type(f->e, s->sum), k->lanes);
    for (uint32_t r = 0; r < k->t; r++)
        k->acc[r] = be_alloca(f, k->vector, "acc");
    for (uint32_t g = 0; g < groups; g++)
        lane_rows(k, g * k->t + k->t <= rows ? g * k->t : rows - k->t);
}
