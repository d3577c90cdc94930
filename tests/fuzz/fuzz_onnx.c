/* fuzz_onnx.c — any bytes to the ONNX importer, as a model and as a file of weights: refused with a reason, or a valid
 * network whose constants exist. */
#include "fuzz_formats.h"

static bool read_model(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    Module *m = module_new(arena, diags);
    if (!fe_read_onnx(m, source, bytes, "fuzz"))
        return false;
    Text why = text_new(arena);
    if (!ir_verify(m, &why))
        abort();
    for (size_t i = 1; i < m->consts.len; i++)
        if (const_is_row_major(m->consts.at[i]))
            touch(m->consts.at[i]->data, (size_t)const_bytes(m->consts.at[i]));
    return true;
}

static bool read_weights(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    TensorFile file = {.path = "fuzz"};
    if (!fe_read_onnx_tensors(arena, diags, source, bytes, &file))
        return false;
    touch_tensors(&file);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read_model) | fuzz_reader(data, size, read_weights);
}
