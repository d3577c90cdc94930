/* search.c — the balanced tree of comparisons that `search` walks, and the order of elements.
 *
 * In: how many leaves there are. Out: the shape of the tree. The one idea: the tree is left-complete, so that its shape, and how deep
 * each leaf lies, follow from the number of leaves alone: neither nodes nor depths are stored, and every table that finds
 * the same slot has walked the same tree.
 *
 *      5 leaves:            .            depths 3 3 2 2 2
 *                       .       .
 *                     .   2   3   4
 *                    0 1
 */
#include "interp.h"

/* ceil(log2 n) */
static uint32_t levels(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(n - 1);
}

uint64_t search_left(uint64_t leaves)
{
    uint32_t deepest = levels(leaves);
    uint64_t half = 1ull << (deepest - 1), above = half / 2;   /* leaves of a full left subtree; those of one a level lower */
    return leaves - above < half ? leaves - above : half;
}

uint32_t search_depth(uint64_t leaves, uint64_t slot)
{
    uint32_t deepest = levels(leaves);
    if (deepest == 0)
        return 0;
    return slot < 2 * (leaves - (1ull << (deepest - 1))) ? deepest : deepest - 1;
}

int element_order(Type t, const uint8_t *a, const uint8_t *b)
{
    if (type_is_int(t))
        return int_compare(t.n, a, b);
    double x = t.elem == ELEM_F32 ? (double)*(const f32u *)a : *(const f64u *)a;
    double y = t.elem == ELEM_F32 ? (double)*(const f32u *)b : *(const f64u *)b;
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}
