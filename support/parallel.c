/* parallel.c — independent jobs on several threads.
 *
 * In: a function and the numbers 0 … n − 1 to call it with. Out: every call has returned. The one idea: who takes which number is chance,
 * so what a job leaves behind may depend on its number only; then the result is that of a loop.
 *
 * The caller works, too: where no thread can be made, it is that loop.
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MOST_THREADS = 256 };

typedef struct Jobs { void (*job)(void *data, size_t i, unsigned worker); void *data; size_t n; atomic_size_t next; } Jobs;
typedef struct Worker { Jobs *jobs; unsigned number; pthread_t thread; } Worker;

static void *work(void *worker)
{
    Worker *w = worker;
    Jobs *jobs = w->jobs;
    for (size_t i; (i = atomic_fetch_add(&jobs->next, 1)) < jobs->n;)
        jobs->job(jobs->data, i, w->number);
    return NULL;
}

unsigned parallel_workers(unsigned threads)
{
    long online = threads ? (long)threads : sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > MOST_THREADS ? MOST_THREADS : (unsigned)online;
}

void parallel_for(unsigned threads, size_t n, void (*job)(void *data, size_t i, unsigned worker), void *data)
{
    Jobs jobs = {.job = job, .data = data, .n = n};
    Worker worker[MOST_THREADS];
    unsigned wanted = parallel_workers(threads), made = 1;
    sigset_t all, before;
    if (wanted > n)
        wanted = (unsigned)n;
    worker[0] = (Worker){.jobs = &jobs};
    sigfillset(&all);             /* signals are for the thread that called */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; made < wanted; made++) {
        worker[made] = (Worker){.jobs = &jobs, .number = made};
        if (pthread_create(&worker[made].thread, NULL, work, &worker[made]) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(&worker[0]);
    for (unsigned i = 1; i < made; i++)
        pthread_join(worker[i].thread, NULL);
}
