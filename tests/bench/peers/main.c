/* main.c — times contenders in one process, by turns.
 *
 *     harness CPU ROUNDS SLICE_MS PROBLEM NAME=SHARED_OBJECT[,ARGUMENT] ...
 *
 * In:  a network and its inputs (PROBLEM, written by peers.py), contenders (peer.h).
 * Out: lines on stdout: `version NAME TEXT`, `absent NAME WHY`, `bits NAME HASH`, `wrong NAME WHY`; `times NAME NS...`: nanoseconds
 *      an evaluation took, one number a round; `elsewhere S of T`: seconds of CPU time of other threads of the process while it
 *      measured; `disturbed N of M`: slices of time during which other processes had the CPU, too.
 *
 * The one idea: what slows the machine slows all. In every round each contender has a slice of time, in turns that rotate from
 * round to round. A slice is whole passes over all the inputs in one order, the same for everyone; a warm-up before it brings the
 * weights back into the caches that the others have used. Outputs are checked before anything is timed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

enum { MAX_CONTENDERS = 64, MAX_LAYERS = 64, MAX_TRIES = 3, MAGIC = 0x626e6368 };

typedef struct Contender {
    char name[100];
    const Peer *peer;
    void *state;
    double *ns;                             /* one a round */
} Contender;

/* ---- the problem ---- */

/* The next `bytes` of the file; every block begins on a cache line. */
static const void *take(const char *file, size_t size, size_t *at, size_t bytes)
{
    const void *here = file + *at;
    *at = (*at + bytes + 63) / 64 * 64;
    if (*at > size) {
        fprintf(stderr, "the problem's file ends early\n");
        exit(1);
    }
    return here;
}

static void read_problem(const char *path, Problem *p, Layer *layers)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(1);
    }
    const char *file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    size_t size = st.st_size, at = 0;
    const uint64_t *head = take(file, size, &at, 6 * sizeof *head);
    if (head[0] != MAGIC || head[1] > MAX_LAYERS) {
        fprintf(stderr, "%s: not a problem\n", path);
        exit(1);
    }
    *p = (Problem){ .n_layers = head[1], .inputs = head[2], .outputs = head[3], .rows = head[4], .batch = head[5], .layers = layers };
    p->tolerance = *(const double *)take(file, size, &at, sizeof(double));
    for (size_t i = 0; i < p->n_layers; i++) {
        const uint64_t *shape = take(file, size, &at, 3 * sizeof *shape);
        Layer *l = &layers[i];
        *l = (Layer){ .inputs = shape[0], .outputs = shape[1], .relu = shape[2] };
        l->w = take(file, size, &at, l->inputs * l->outputs * sizeof(float));
        l->b = take(file, size, &at, l->outputs * sizeof(float));
    }
    p->x = take(file, size, &at, p->rows * p->inputs * sizeof(float));
    p->y = take(file, size, &at, p->rows * p->outputs * sizeof(double));
}

/* ---- contenders ---- */

/* Opens NAME=SHARED_OBJECT[,ARGUMENT]; says and returns false when it is absent. */
static int open_contender(const char *spec, const Problem *p, size_t rounds, Contender *c)
{
    char path[4096], why[WHY_SIZE] = "", version[WHY_SIZE] = "";
    const char *equals = strchr(spec, '='), *comma;
    if (equals == NULL || (size_t)(equals - spec) >= sizeof c->name) {
        fprintf(stderr, "not NAME=SHARED_OBJECT[,ARGUMENT]: %s\n", spec);
        exit(2);
    }
    snprintf(c->name, sizeof c->name, "%.*s", (int)(equals - spec), spec);
    comma = strchr(equals, ',');
    snprintf(path, sizeof path, "%.*s", comma ? (int)(comma - equals - 1) : (int)strlen(equals + 1), equals + 1);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    c->peer = object ? dlsym(object, "peer") : NULL;
    if (c->peer == NULL) {
        printf("absent %s %s\n", c->name, dlerror());
        return 0;
    }
    c->state = c->peer->open(p, comma ? comma + 1 : "", why, version);
    if (c->state == NULL) {
        printf("absent %s %s\n", c->name, why);
        return 0;
    }
    if (version[0] != '\0')
        printf("version %s %s\n", c->name, version);
    c->ns = bench_alloc(rounds * sizeof *c->ns);
    return 1;
}

/* All outputs once. False, and a line that says so, when one is not what the reference has. */
static int is_right(const Contender *c, const Problem *p, float *y)
{
    uint64_t hash = 14695981039346656037u;                      /* FNV-1a of the outputs' bits */
    for (size_t row = 0; row < p->rows; row += p->batch) {
        memset(y, 0xff, p->batch * p->outputs * sizeof *y);     /* NaN: whatever is not written is wrong */
        int status = c->peer->evaluate(c->state, p->x + row * p->inputs, y);
        if (status != 0) {
            printf("wrong %s status %d at input %zu\n", c->name, status, row);
            return 0;
        }
        if (c->peer->without_outputs)
            continue;
        for (size_t i = 0; i < p->batch * p->outputs; i++) {
            uint32_t bits;
            memcpy(&bits, &y[i], sizeof bits);
            for (int k = 0; k < 4; k++)
                hash = (hash ^ (bits >> 8 * k & 0xff)) * 1099511628211u;
            double expected = p->y[row * p->outputs + i];
            if (p->tolerance >= 0 && !(fabs(y[i] - expected) <= p->tolerance)) {
                printf("wrong %s output %zu of row %zu is %.9g, the reference has %.9g (tolerance %.3g)\n", c->name,
                       i % p->outputs, row + i / p->outputs, y[i], expected, p->tolerance);
                return 0;
            }
        }
    }
    if (!c->peer->without_outputs)
        printf("bits %s %016llx\n", c->name, (unsigned long long)hash);
    return 1;
}

static void one_pass(const Contender *c, const Problem *p, float *y)
{
    for (size_t row = 0; row < p->rows; row += p->batch)
        c->peer->evaluate(c->state, p->x + row * p->inputs, y);
}

/* A pass that is not timed, or as much of it as the slice allows. */
static void warm_up(const Contender *c, const Problem *p, double slice, float *y)
{
    double start = bench_now();
    for (size_t row = 0; row < p->rows && bench_now() - start < slice; row += p->batch)
        c->peer->evaluate(c->state, p->x + row * p->inputs, y);
}

/* How often another process took this CPU from us. */
static long count_preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/* Nanoseconds for an evaluation: whole passes until the slice is used up, after a warm-up. Once more, a few times, if
 * another process had the CPU meanwhile; `disturbed` counts the slices that never had it to themselves. */
static double one_slice(const Contender *c, const Problem *p, double slice, float *y, size_t *disturbed)
{
    double t = 0;
    for (int try = 0; try < MAX_TRIES; try++) {
        size_t passes = 0;
        warm_up(c, p, slice, y);
        long preemptions = count_preemptions();
        double start = bench_now();
        do {
            one_pass(c, p, y);
            passes++;
        } while ((t = bench_now() - start) < slice);
        t /= passes * (p->rows / p->batch);
        if (count_preemptions() == preemptions)
            return t;
    }
    ++*disturbed;
    return t;
}

static double cpu_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* CPU time of the threads that libraries may have started: should be none. */
static double seconds_elsewhere(void)
{
    return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: harness CPU ROUNDS SLICE_MS PROBLEM NAME=SHARED_OBJECT[,ARGUMENT] ...\n");
        return 2;
    }
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(atoi(argv[1]), &cpu);
    if (sched_setaffinity(0, sizeof cpu, &cpu) != 0)
        perror("sched_setaffinity");
    /* Libraries with threads of their own read these when they are loaded. */
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);

    size_t rounds = strtoul(argv[2], NULL, 10), n = 0;
    double slice = atof(argv[3]) * 1e6;
    Problem problem;
    Layer layers[MAX_LAYERS];
    Contender contenders[MAX_CONTENDERS];
    read_problem(argv[4], &problem, layers);
    float *y = bench_alloc(problem.batch * problem.outputs * sizeof *y);
    for (int i = 5; i < argc && n < MAX_CONTENDERS; i++)
        if (open_contender(argv[i], &problem, rounds, &contenders[n]) && is_right(&contenders[n], &problem, y))
            n++;
    double elsewhere = seconds_elsewhere(), start = bench_now();
    size_t disturbed = 0;
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < n; i++) {
            Contender *c = &contenders[(i + r) % n];
            c->ns[r] = one_slice(c, &problem, slice, y, &disturbed);
        }
    printf("elsewhere %g of %g\n", seconds_elsewhere() - elsewhere, (bench_now() - start) * 1e-9);
    printf("disturbed %zu of %zu\n", disturbed, n * rounds);
    for (size_t i = 0; i < n; i++) {
        printf("times %s", contenders[i].name);
        for (size_t r = 0; r < rounds; r++)
            printf(" %.6g", contenders[i].ns[r]);
        printf("\n");
        contenders[i].peer->close(contenders[i].state);
    }
    return 0;
}
