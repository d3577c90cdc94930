/* batch.c — a batch that shares weights gives every input the bits it gets alone: any number of inputs, any strides, every level.
 *
 * Prints the bits of one batch, so that two builds can be compared; exits with 1 at the first broken promise.
 */
#include "block.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

enum { N = 100, X = BLOCK_INPUT0_SIZE, Y = BLOCK_OUTPUT0_SIZE, GAP = 3, MOST = N * (X + GAP) };

#ifdef LEVELS
int block_eval_batch_v1(size_t, const float *, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, int32_t *, ptrdiff_t);
int block_eval_batch_v2(size_t, const float *, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, int32_t *, ptrdiff_t);
int block_eval_batch_v3(size_t, const float *, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, int32_t *, ptrdiff_t);
int block_eval_batch_v4(size_t, const float *, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, int32_t *, ptrdiff_t);
#endif

typedef int Batch(size_t, const float *, ptrdiff_t, const float *, ptrdiff_t, float *, ptrdiff_t, int32_t *, ptrdiff_t);

static float x[MOST], s[N], y[N * (Y + GAP)], alone[Y];
static int32_t best[N];

/* Half of the elements zero, a third, or none: so that few columns are active, or all. */
static void fill(void)
{
    uint32_t state = 1, i;
    for (i = 0; i < MOST; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (i / X) % 3 && state >> 30 < (i / X) % 3 ? 0.0f : (float)(int32_t)state / 2147483648.0f;
    }
    for (i = 0; i < N; i++)
        s[i] = (float)(i % 7) - 3;
}

/* Rows from `first` on, one stride apart; whatever lies between stays. */
static void compare(Batch *batch, size_t n, int backwards, int one_input)
{
    ptrdiff_t in = one_input ? 0 : backwards ? -(X + GAP) : X + GAP, out = backwards ? -(Y + GAP) : Y + GAP;
    const float *x0 = x + (backwards && !one_input && n ? (n - 1) * (X + GAP) : 0);
    float *y0 = y + (backwards && n ? (n - 1) * (Y + GAP) : 0);
    size_t i, k;
    int32_t which;
    memset(y, 0x55, sizeof y);
    memset(best, 0x55, sizeof best);
    CHECK(batch(n, x0, in, s, 1, y0, out, best, 1) == CNET_OK);
    for (i = 0; i < n; i++) {
        const float *row = y0 + (ptrdiff_t)i * out;
        CHECK(block_eval(x0 + (ptrdiff_t)i * in, s + i, alone, &which) == CNET_OK && best[i] == which);
        CHECK(memcmp(alone, row, sizeof alone) == 0);
        for (k = Y; k < Y + GAP; k++)
            CHECK(memcmp(row + k, "UUUU", 4) == 0);
    }
    for (i = n * (Y + GAP); i < N * (Y + GAP); i++)
        CHECK(memcmp(y + i, "UUUU", 4) == 0);
    for (i = n; i < N; i++)
        CHECK(memcmp(best + i, "UUUU", 4) == 0);
}

/* Outputs of inputs that overlap: the last one wins, as if they came one by one. */
static void overlapping(Batch *batch)
{
    int32_t which, last = 0;
    CHECK(batch(20, x, X, s, 1, y, 0, &last, 0) == CNET_OK && block_eval(x + 19 * X, s + 19, alone, &which) == CNET_OK);
    CHECK(memcmp(alone, y, sizeof alone) == 0 && last == which);
}

int main(void)
{
    static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 100};
    static Batch *const level[] = {
        block_eval_batch,
#ifdef LEVELS
        block_eval_batch_v1, block_eval_batch_v2, block_eval_batch_v3, block_eval_batch_v4
#endif
    };
    int most = 0;
    size_t k, i;
#ifdef LEVELS
    most = __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#endif
    fill();
    for (i = 0; i <= (size_t)most; i++)
        for (k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            compare(level[i], sizes[k], 0, 0);
            compare(level[i], sizes[k], 1, 0);
            compare(level[i], sizes[k], 0, 1);
        }
    overlapping(block_eval_batch);
    compare(block_eval_batch, N, 0, 0);
    for (i = 0; i < sizeof y; i++)
        printf("%02x%s", ((unsigned char *)y)[i], i % 40 == 39 ? "\n" : "");
    return 0;
}
