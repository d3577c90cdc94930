/* fuzz_nnet.c — any bytes to the .nnet reader: refused with a reason, or a valid network. */
#include "fuzz_formats.h"

static bool read(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    (void)source; /* a text: diagnostics point into it */
    Module *m = module_new(arena, diags);
    if (!fe_read_nnet(m, diag_source(diags, "fuzz.nnet", (const char *)bytes.at, bytes.len), bytes, "fuzz"))
        return false;
    Text why = text_new(arena);
    if (!ir_verify(m, &why))
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read);
}
