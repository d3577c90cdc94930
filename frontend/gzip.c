/* gzip.c — inflating a compressed model, once, into memory that is returned to the system with its arena.
 *
 * In: the bytes of a .gz. Out: what they stand for. The one idea: the size in the trailer is a hint and never a
 * promise: memory for it is reserved, not touched, and the amount is limited by the size of the input, so that a small
 * file cannot fill the machine. When the hint is wrong (several members, more than 4 GiB) the output is counted first.
 */
#include "formats.h"

#include <string.h>
#include <zlib.h>

uint64_t inflate_limit(uint64_t len)
{
    const uint64_t most = (uint64_t)8 << 30, ratio = 512, small = (uint64_t)1 << 20;
    return len > (most - small) / ratio ? most : len * ratio + small;
}

bool bytes_are_gzip(Bytes bytes)
{
    return bytes.len >= 2 && bytes.at[0] == 0x1F && bytes.at[1] == 0x8B;
}

typedef struct Inflate {
    z_stream stream;
    Bytes in;
    size_t taken;                 /* bytes of `in` that zlib has got */
    uint64_t limit;
} Inflate;

static void *z_allocate(void *arena, unsigned count, unsigned size)
{
    return arena_array(arena, count, size);
}

static void z_release(void *arena, void *at)
{
    (void)arena, (void)at; /* with the arena */
}

/* Inflates all members. `out` of `room` bytes; NULL: only counts. Returns NULL, or what is wrong. */
static const char *inflate_all(Inflate *z, uint8_t *out, uint64_t room, uint64_t *written)
{
    enum { PART = 1 << 30, SCRATCH = 64 * 1024 };
    uint8_t scratch[SCRATCH], end_of_room;
    *written = 0;
    for (;;) {
        if (z->stream.avail_in == 0) {
            size_t part = z->in.len - z->taken;
            z->stream.next_in = (uint8_t *)(uintptr_t)z->in.at + z->taken;
            z->stream.avail_in = part > PART ? PART : (unsigned)part;
            z->taken += z->stream.avail_in;
        }
        uint64_t left = room - *written;
        unsigned space = out ? left > PART ? PART : (unsigned)left : SCRATCH;
        z->stream.next_out = out && space ? out + *written : out ? &end_of_room : scratch;
        z->stream.avail_out = space ? space : 1;
        unsigned before = z->stream.avail_out;
        int status = inflate(&z->stream, Z_NO_FLUSH);
        unsigned made = before - z->stream.avail_out;
        if (out && !space && made)
            return "the trailer's size is too small";
        *written += made;
        if (*written > z->limit)
            return "too much";
        if (status == Z_STREAM_END) {
            if (z->stream.avail_in == 0 && z->taken == z->in.len)
                return NULL;
            if (inflateReset(&z->stream) != Z_OK) /* the next member */
                return "a broken stream";
        } else if (status == Z_BUF_ERROR || (status == Z_OK && made == 0 && z->stream.avail_in == 0 && z->taken == z->in.len)) {
            return "the file is truncated";
        } else if (status != Z_OK) {
            return z->stream.msg ? z->stream.msg : "broken compressed data";
        }
    }
}

static const char *inflate_once(Arena *arena, Bytes in, uint64_t limit, uint8_t *out, uint64_t room, uint64_t *written)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Inflate z = {.in = in, .limit = limit};
    z.stream.zalloc = z_allocate;
    z.stream.zfree = z_release;
    z.stream.opaque = scratch;
    enum { GZIP_ONLY = 16 };
    const char *why = inflateInit2(&z.stream, MAX_WBITS + GZIP_ONLY) == Z_OK ? inflate_all(&z, out, room, written)
                                                                               : "zlib cannot start";
    if (why)
        why = str_dup(arena, why);
    arena_free(scratch);
    return why;
}

static uint64_t trailer_size(Bytes in)
{
    uint32_t size;
    if (in.len < 18)
        return 0;
    memcpy(&size, in.at + in.len - 4, sizeof size);
    return size;
}

bool gzip_inflate(Arena *arena, Diags *diags, uint32_t source, Bytes in, Bytes *out)
{
    uint64_t limit = inflate_limit(in.len), size = trailer_size(in), written = 0;
    const char *why = "the trailer's size is too large";
    uint8_t *at = NULL;
    if (size && size <= limit) {
        at = arena_big(arena, size, 64);
        why = inflate_once(arena, in, limit, at, size, &written);
    }
    if (why) { /* count, then do it again */
        why = inflate_once(arena, in, limit, NULL, 0, &size);
        if (!why) {
            at = arena_big(arena, size, 64);
            why = inflate_once(arena, in, limit, at, size, &written);
        }
    }
    if (why && size > limit)
        diag_error(diags, diag_whole(source), "%zu compressed bytes hold more than %llu; if that is meant, unpack the file with gunzip",
                   in.len, (unsigned long long)limit);
    else if (why)
        diag_error(diags, diag_whole(source), "the gzip data are damaged: %s", why);
    *out = (Bytes){.at = at, .len = written};
    return !why;
}
