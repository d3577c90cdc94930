/* fuzz_npy.c — any bytes to the .npy reader: refused with a reason, or a tensor whose every element exists. */
#include "fuzz_formats.h"

static bool read(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    Tensor tensor;
    if (!fe_read_npy(arena, diags, source, bytes, &tensor))
        return false;
    touch_tensors(&(TensorFile){.n = 1, .tensor = &tensor});
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read);
}
