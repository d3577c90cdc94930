/* fuzz_safetensors.c — any bytes to the .safetensors reader: refused with a reason, or tensors whose every element exists. */
#include "fuzz_formats.h"

static bool read(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    TensorFile file = {.path = "fuzz"};
    if (!fe_read_safetensors(arena, diags, source, bytes, &file))
        return false;
    touch_tensors(&file);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read);
}
