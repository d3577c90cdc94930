/* fuzz_formats.h — what the fuzz targets of the file readers share: an arena and diagnostics around one reader, and the
 * rule that a refusal says why, and only a refusal does. */
#ifndef CNET_FUZZ_FORMATS_H
#define CNET_FUZZ_FORMATS_H

#include "../../frontend/formats.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte of a tensor, so that a sanitizer sees what lies outside. */
static inline void touch(const void *data, size_t bytes)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

static inline void touch_tensors(const TensorFile *file)
{
    for (size_t i = 0; i < file->n; i++) {
        if (!type_valid(file->tensor[i].type) || !file->tensor[i].name)
            abort();
        touch(file->tensor[i].data, type_count(file->tensor[i].type) * type_element_bytes(file->tensor[i].type));
    }
}

static inline int fuzz_reader(const uint8_t *data, size_t size, bool (*read)(Arena *, Diags *, uint32_t source, Bytes))
{
    Arena *arena = arena_new(NULL);
    if (!arena)
        return 0;
    if (!ARENA_GUARD(arena)) {
        Diags *diags = diag_new(arena);
        bool good = read(arena, diags, diag_source(diags, "fuzz", NULL, 0), (Bytes){data, size});
        if (good != (diag_errors(diags) == 0))
            abort();
        FILE *nowhere = fopen("/dev/null", "w");
        if (nowhere) {
            diag_flush(diags, nowhere, DIAG_PLAIN);
            fclose(nowhere);
        }
    }
    arena_free(arena);
    return 0;
}

#endif
