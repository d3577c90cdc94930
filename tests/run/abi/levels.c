/* levels.c — every body that this CPU can run gives the bits of the one that dispatch chose. */
#include "three.h"

#include <stdio.h>
#include <string.h>

extern int three_eval_v1(const float *, float *), three_eval_v2(const float *, float *), three_eval_v3(const float *, float *),
    three_eval_v4(const float *, float *);

int main(void)
{
    static int (*const body[])(const float *, float *) = {three_eval_v1, three_eval_v2, three_eval_v3, three_eval_v4};
    int most = __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
    for (int k = 0; k < 1000; k++) {
        const float x[3] = {(float)(k % 17) / 17, (float)(k % 31) / -31, (float)k / 1000};
        float reference[2] = {0}, y[2] = {0};
        if (three_eval(x, reference) != 0)
            return 1;
        for (int level = 1; level <= most; level++)
            if (body[level - 1](x, y) != 0 || memcmp(reference, y, sizeof y) != 0) {
                printf("x86-64-v%d differs\n", level);
                return 1;
            }
    }
    printf("levels 1 to %d\n", most);
    return 0;
}
