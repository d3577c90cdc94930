/* fuzz_data.c — any bytes as a table of data, text or .npy, for keys of several types: refused with a reason, or rows that ascend
 * strictly, with labels and weights that exist. The first byte says how the table is used. */
#include "../../frontend/data.h"
#include "fuzz_formats.h"

static void take(DataSpec *spec, Clause c, bool named)
{
    static const char *const names[CLAUSES] = {"key", "label", "w"};
    Take one = {.kind = named ? TAKE_NAME : TAKE_RANGE, .name = names[c], .from = (uint64_t)c, .to = (uint64_t)c + 1};
    vec_push(spec->arena, spec->take[c], one);
}

static void check(const DataTable *t, Type key)
{
    size_t bytes = type_count(key) * type_element_bytes(key);
    for (uint64_t i = 1; i < t->n; i++)
        if (rows_compare(type_element(key), type_count(key), t->keys + (i - 1) * bytes, t->keys + i * bytes) >= 0)
            abort();
    touch(t->keys, t->n * bytes);
    touch(t->labels, t->n * 4);
    if (t->weights)
        touch(t->weights, t->n * 8);
}

static bool read(Arena *arena, Diags *diags, uint32_t source, Bytes bytes)
{
    if (bytes.len == 0)
        return diag_error(diags, diag_whole(source), "empty"), false;
    const Type keys[4] = {type_f64(), type_int(8), type_int(128), type_f32()};
    unsigned how = bytes.at[0] - (unsigned)'0';
    Type key = keys[how & 3];
    bool named = !(how & 4), npy = how & 8;
    bytes.at++, bytes.len--;
    DataSpec spec = {.arena = arena, .diags = diags, .name = "fuzz", .span = diag_whole(source)};
    vec_push(arena, spec.files, ((DataFile){.name = "fuzz.csv", .path = "fuzz.csv"}));
    take(&spec, CLAUSE_input, named && !npy);
    take(&spec, CLAUSE_label, named && !npy);
    if (how & 16)
        take(&spec, CLAUSE_weight, named && !npy);
    source = npy ? source : diag_source(diags, "fuzz.csv", (const char *)bytes.at, bytes.len);
    DataTable table;
    if (!data_open_bytes(&spec, spec.files.at, source, bytes, !npy) || !data_resolve(&spec) ||
        !data_table(&spec, arena, NULL, key, type_int(32), &table))
        return false;
    check(&table, key);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_reader(data, size, read);
}
