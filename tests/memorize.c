/* memorize.c — how many labels of keys a compiled network gets wrong; memorize.py links it with a network and loads it.
 *
 * In: keys as they lie in memory, size bytes each, and their labels. Out: how many are wrong by a call a key, by one call for all of them
 * (-1: there was no memory).
 */
#include <stdlib.h>
#include "net.h"

#if NET_SCRATCH_BYTES > 0
static _Alignas(64) char scratch[NET_SCRATCH_BYTES];
#define SCRATCH , scratch
#else
#define SCRATCH
#endif

long wrong_alone(long n, const char *keys, size_t size, const int32_t *labels)
{
    long wrong = 0;
    for (long i = 0; i < n; i++) {
        int32_t label = ~labels[i];
        int status = net_eval((const void *)(keys + i * size), &label SCRATCH);
        wrong += status != 0 || label != labels[i];
    }
    return wrong;
}

long wrong_together(long n, const char *keys, const int32_t *labels)
{
    long wrong = 0;
    int32_t *said = malloc((n + 1) * sizeof *said);
    if (said == NULL)
        return -1;
    for (long i = 0; i < n; i++)
        said[i] = ~labels[i];
    int status = net_eval_batch(n, (const void *)keys, NET_INPUT0_SIZE, said, 1 SCRATCH);
    for (long i = 0; i < n; i++)
        wrong += said[i] != labels[i];
    free(said);
    return status != 0 ? n : wrong;
}
