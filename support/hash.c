/* hash.c — content hashes and checked sizes.
 *
 * In: bytes, or two sizes. Out: a number to compare by, or a size that is known to fit. The one idea: both guard
 * against trusting a file; equal hashes stand for equal contents (constants are shared by them), and no size that
 * came out of a file is multiplied unchecked.
 *
 * XXH3 with 128 bits: its value for given bytes is fixed by its specification, so hashes may appear in outputs. It is
 * not cryptographic; whoever can choose the constants can make two collide, and hurts only their own network.
 */
#include "support.h"

#include <xxhash.h>

Hash128 hash_bytes(const void *at, size_t len)
{
    XXH128_hash_t hash = XXH3_128bits(at, len);
    return (Hash128){.hi = hash.high64, .lo = hash.low64};
}

bool hash_equal(Hash128 a, Hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
