/* threads.c — eight threads make the first call at the same moment; all must get the bits of one thread alone. Built with
 * -fsanitize=thread where there is one: the slot that remembers the CPU's level is written atomically, or it is reported. */
#include "scaled.h"
#include "three.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 8, TURNS = 2000 };

typedef struct Work { float y[2]; double z[4]; int32_t best; int wrong; } Work;

static pthread_barrier_t all;

static void *run(void *argument)
{
    Work *w = argument;
    const float x[3] = {0.25f, -0.5f, 0.75f};
    const double u[4] = {-1.5, 0.25, 3, -0.0};
    const int32_t add = 1;
    pthread_barrier_wait(&all);
    for (int turn = 0; turn < TURNS; turn++) {
        Work again = {0};
        w->wrong |= three_eval(x, again.y) != 0 || scaled_eval(u, &add, again.z, &again.best) != 0;
        if (turn == 0) {
            memcpy(w->y, again.y, sizeof w->y);
            memcpy(w->z, again.z, sizeof w->z);
            w->best = again.best;
        }
        w->wrong |= memcmp(w->y, again.y, sizeof w->y) != 0 || memcmp(w->z, again.z, sizeof w->z) != 0 || w->best != again.best;
    }
    return NULL;
}

int main(void)
{
    pthread_t thread[THREADS];
    Work work[THREADS];
    memset(work, 0, sizeof work);
    pthread_barrier_init(&all, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, run, &work[i]) != 0)
            return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (work[i].wrong || memcmp(&work[i], &work[0], sizeof work[0]) != 0) {
            printf("thread %d got other bits\n", i);
            return 1;
        }
    return 0;
}
