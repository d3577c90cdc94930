/* fuzz_samples.c — any bytes as a table, text or .npy, for rows of several types: refused with a reason, or rows that
 * exist, and that are the same after writing them as text and reading that. */
#include "fuzz_formats.h"

static bool same_as_text(Arena *arena, Diags *diags, const Samples *s)
{
    char *text = NULL;
    size_t len = 0;
    Samples again;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    csv_write(out, s);
    fclose(out);
    uint8_t *copy = arena_alloc(arena, len);
    memcpy(copy, text, len);
    free(text);
    uint32_t source = diag_source(diags, "written", (const char *)copy, len);
    return csv_read(arena, diags, source, (Bytes){copy, len}, s->row, &again) && again.rows == s->rows;
}

static bool read(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    if (bytes.len == 0)
        return diag_error(diags, diag_whole(source), "empty"), false;
    const Type rows[4] = {type_vector(type_f32(), 2), type_f64(), type_int(8), type_vector(type_int(1), 3)};
    Type row = rows[bytes.at[0] & 3];
    bytes.at++, bytes.len--;
    bool npy = bytes.len >= 6 && memcmp(bytes.at, "\x93NUMPY", 6) == 0;
    Samples s;
    source = npy ? source : diag_source(diags, "fuzz.csv", (const char *)bytes.at, bytes.len);
    if (!samples_from_bytes(arena, diags, source, bytes, npy, row, &s))
        return false;
    size_t size = s.rows * type_count(row) * type_element_bytes(row);
    touch(s.data, size);
    if (s.rows && size < 4096 && !same_as_text(arena, diags, &s))
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read);
}
