/* npz.c — archives of .npy files, as numpy.savez and savez_compressed write them.
 *
 * In: the bytes of a .zip. Out: one tensor an entry, named without its ".npy". The one idea: no size is believed twice
 * over: the directory's must respect the limit for compressed data, the entry must inflate to exactly it (libzip
 * compares the checksum), and the array's header must account for every byte of it.
 */
#include "formats.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

typedef struct Archive {
    Arena *arena;
    Diags *diags;
    Span span;
    zip_t *zip;
    uint64_t budget;              /* bytes that may still be made */
} Archive;

static void close_archive(void *zip)
{
    zip_discard(zip);
}

static void close_entry(void *entry)
{
    zip_fclose(entry);
}

static bool open_archive(Archive *a, Arena *scratch, Bytes bytes)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.at, bytes.len, 0, &error);
    a->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (a->zip) {
        arena_defer(scratch, close_archive, a->zip);
    } else {
        diag_error(a->diags, a->span, "cannot read the archive: %s; it is truncated, or no .npz file", zip_error_strerror(&error));
        zip_source_free(source);
    }
    zip_error_fini(&error);
    return a->zip;
}

static bool refuse(Archive *a, const char *name, const char *why)
{
    diag_error(a->diags, a->span, "cannot read `%s`: %s", name_shown(a->arena, name), why);
    return false;
}

/* The whole entry, in memory of the arena. */
static bool read_entry(Archive *a, Arena *scratch, zip_uint64_t i, const zip_stat_t *info, Bytes *out)
{
    if (info->size > a->budget) {
        diag_error(a->diags, a->span, "`%s` would inflate to %llu bytes, more than the archive's size allows; "
                   "if that is meant, save it with numpy.savez, which does not compress",
                   name_shown(a->arena, info->name), (unsigned long long)info->size);
        return false;
    }
    zip_file_t *entry = zip_fopen_index(a->zip, i, 0);
    if (!entry)
        return refuse(a, info->name, zip_strerror(a->zip));
    arena_defer(scratch, close_entry, entry);
    a->budget -= info->size;
    uint8_t *at = arena_big(a->arena, info->size, 64), one_more;
    for (uint64_t done = 0; done < info->size;) {
        zip_int64_t n = zip_fread(entry, at + done, info->size - done);
        if (n <= 0)
            return refuse(a, info->name, n < 0 ? zip_file_strerror(entry) : "it ends before the size that the archive states");
        done += (uint64_t)n;
    }
    zip_int64_t n = zip_fread(entry, &one_more, 1); /* at the end libzip compares the checksum */
    if (n != 0)
        return refuse(a, info->name, n < 0 ? zip_file_strerror(entry) : "it goes on after the size that the archive states");
    *out = (Bytes){at, info->size};
    return true;
}

static bool read_array(Archive *a, zip_uint64_t i, Tensor *tensor)
{
    zip_stat_t info;
    if (zip_stat_index(a->zip, i, 0, &info) != 0 || !(info.valid & ZIP_STAT_NAME))
        return refuse(a, "an entry", zip_strerror(a->zip));
    if (!(info.valid & ZIP_STAT_SIZE))
        return refuse(a, info.name, "the archive does not state its size");
    Arena *scratch = arena_new(a->arena);
    if (!scratch)
        arena_exhausted(a->arena);
    char *name = str_dup(a->arena, info.name);
    Bytes bytes = {0};
    bool good = read_entry(a, scratch, i, &info, &bytes);
    arena_free(scratch);
    if (!good)
        return false;
    if (str_ends(name, ".npy"))
        name[strlen(name) - 4] = '\0';
    RawTensor raw = {.name = name};
    const char *why;
    if (!npy_parse(a->arena, bytes, &raw, &why))
        return refuse(a, name, why);
    return tensor_decode(a->arena, a->diags, a->span, &raw, tensor);
}

bool fe_read_npz(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Archive a = {.arena = arena, .diags = diags, .span = diag_whole(source), .budget = bytes.len + inflate_limit(bytes.len)};
    bool good = open_archive(&a, scratch, bytes);
    zip_int64_t n = good ? zip_get_num_entries(a.zip, 0) : 0;
    out->tensor = NEW_ARRAY(arena, (size_t)n, Tensor);
    out->n = 0;
    for (zip_int64_t i = 0; i < n; i++)
        if (read_array(&a, (zip_uint64_t)i, &out->tensor[out->n]))
            out->n++;
        else
            good = false;
    arena_free(scratch);
    file_done_with(bytes.at, bytes.len); /* every entry is a copy */
    return good;
}
