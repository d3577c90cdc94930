/* fuzz_ir.c — any text to the IR reader: it is refused with diagnostics, or it is a valid module whose print is a fixpoint. */
#include "../../ir/ir.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Printed { FILE *out; char *text; size_t len; } Printed;

static void release(void *object)
{
    Printed *printed = object;
    if (printed->out)
        fclose(printed->out);
    free(printed->text);
}

static Printed *print(Arena *arena, const Module *m)
{
    Printed *printed = NEW(arena, Printed);
    arena_defer(arena, release, printed);
    printed->out = open_memstream(&printed->text, &printed->len);
    if (!printed->out)
        abort();
    ir_print(m, printed->out, &(PrintOptions){.inline_all = true, .sites = true});
    if (fflush(printed->out) != 0)
        abort();
    return printed;
}

static void check(Arena *arena, Diags *diags, const uint8_t *data, size_t size)
{
    Module *m = ir_read_text(arena, diags, "fuzz.cnir", (const char *)data, size);
    if ((m == NULL) != (diag_errors(diags) > 0))
        abort(); /* a refusal says why, and only a refusal does */
    if (!m)
        return;
    Text why = text_new(arena);
    if (!ir_verify(m, &why))
        abort();
    Printed *once = print(arena, m);
    Module *again = ir_read_text(arena, diags, "printed.cnir", once->text, once->len);
    if (!again)
        abort();
    Printed *twice = print(arena, again);
    if (once->len != twice->len || memcmp(once->text, twice->text, once->len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new(NULL);
    if (!arena)
        return 0;
    if (!ARENA_GUARD(arena)) {
        Diags *diags = diag_new(arena);
        check(arena, diags, data, size);
        FILE *nowhere = fopen("/dev/null", "w");
        if (nowhere) {
            diag_flush(diags, nowhere, DIAG_PLAIN);
            fclose(nowhere);
        }
    }
    arena_free(arena);
    return 0;
}
