/* fuzz_cnet.c — the .cnet language: any text either becomes a module that verifies, or gets an error.
 *
 * Programs may open no files (LoadOptions.sealed). What was accepted is printed, since a module that cannot be printed is as
 * wrong as one that does not verify.
 */
#include "../../frontend/frontend.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Accepted or reported, never neither; and what is accepted is valid. */
static void check(Module *m, Diags *diags, Arena *arena)
{
    if (!m) {
        if (diag_errors(diags) == 0)
            ICE("refused without a message");
        return;
    }
    Text why = text_new(arena);
    if (!ir_verify(m, &why))
        ICE("accepted, but invalid: %s", why.at);
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere)
        return;
    ir_print(m, nowhere, &(PrintOptions){0});
    fclose(nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new(NULL);
    if (!arena)
        return 0;
    if (ARENA_GUARD(arena)) {
        arena_free(arena);
        return 0;
    }
    Diags *diags = diag_new(arena);
    LoadOptions options = {.sealed = true};
    char *text = arena_alloc(arena, size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    check(fe_parse_cnet(arena, diags, "fuzz.cnet", text, size, &options, NULL), diags, arena);
    arena_free(arena);
    return 0;
}
