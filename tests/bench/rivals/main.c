/* main.c — times contenders that find labels of keys, in one process, by turns.
 *
 *     harness CPU ROUNDS SLICE_MS small|huge FILE NAME=SHARED_OBJECT[,ARGUMENT] ...
 *
 * In:  points, queries and the labels to expect (FILE, written by memorize.py), contenders (rival.h).
 * Out: lines on stdout: `absent NAME WHY`, `wrong NAME WHY`, `bytes NAME N` (tables, or the object that holds them),
 *      `latency NAME NS...` and `throughput NAME NS...` (nanoseconds a query, one number a round),
 *      `disturbed N of M` (slices of time during which other processes had the CPU, too), `huge N of M` (bytes in large pages).
 *
 * The one idea: all get the same. The same memory: every table lies in anonymous memory with the same advice on the size of pages; the
 * constants of shared objects (compiled networks, gperf) are moved into such memory where they lie. The same queries in the same
 * order: in a round each contender has a slice of time, in turns that rotate; before it a warm-up with other queries brings back what
 * the caches hold of its tables when it works alone. Labels are checked for every query before anything is timed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rival.h"

enum { MAX_CONTENDERS = 64, MAX_TRIES = 3, BLOCK = 1024, LEAST_BLOCKS = 7, MOST_BLOCKS = 4096, MAGIC = 0x6d656d6f };
static const size_t huge_page = 2 << 20, arena_bytes = (size_t)16 << 30;

typedef struct Arena {
    char *next, *begin, *end;
} Arena;

typedef struct Contender {
    char name[100];
    const Rival *rival;
    void *state;
    size_t bytes;
    double *ns[2];                          /* latency, throughput; one a round */
} Contender;

typedef struct Problem {
    Points points;
    size_t n_queries;
    const Key *queries;
    const Label *answers;
    int huge;
} Problem;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *checked(void *p, const char *what)
{
    if (p == NULL || p == MAP_FAILED) {
        perror(what);
        exit(1);
    }
    return p;
}

/* ---- memory ---- */

static void advise(void *at, size_t bytes, int huge)
{
    if (madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0)
        perror("madvise");
}

/* Address space for the tables of a contender; it becomes memory where it is written. */
static void open_arena(Arena *a, int huge)
{
    char *p = checked(mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), "mmap");
    advise(p, arena_bytes, huge);
    a->begin = a->next = (char *)(((uintptr_t)p + huge_page - 1) & -huge_page);
    a->end = p + arena_bytes;
}

static void *allocate(void *from, size_t bytes)
{
    Arena *a = from;
    char *p = a->next;
    if (bytes > (size_t)(a->end - p) - 64) {
        fprintf(stderr, "the tables are too large\n");
        exit(1);
    }
    a->next = p + ((bytes + 63) & -(size_t)64);
    return p;
}

/* The same addresses, the same bytes, but anonymous memory. Nothing may run there meanwhile. */
static void make_anonymous(char *at, size_t bytes, int flags, int huge)
{
    int protection = PROT_READ | (flags & PF_X ? PROT_EXEC : 0);
    char *copy = checked(malloc(bytes), "malloc");
    memcpy(copy, at, bytes);
    checked(mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), "mmap");
    advise(at, bytes, huge);
    memcpy(at, copy, bytes);
    mprotect(at, bytes, protection);
    free(copy);
}

typedef struct Found {
    ElfW(Addr) base;
    int huge;
    size_t bytes;
} Found;

static int visit(struct dl_phdr_info *info, size_t size, void *data)
{
    Found *f = data;
    (void)size;
    if (info->dlpi_addr != f->base)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || h->p_flags & PF_W)
            continue;
        uintptr_t from = (f->base + h->p_vaddr) & -(uintptr_t)4096, to = (f->base + h->p_vaddr + h->p_filesz + 4095) & -(uintptr_t)4096;
        make_anonymous((char *)from, to - from, (int)h->p_flags, f->huge);
        f->bytes += h->p_filesz;
    }
    return 1;
}

/* Gives the constants and the code of a shared object the pages that tables have; returns how many bytes these are. */
static size_t own_pages(void *object, int huge)
{
    struct link_map *map;
    if (dlinfo(object, RTLD_DI_LINKMAP, &map) != 0)
        return 0;
    Found found = { map->l_addr, huge, 0 };
    dl_iterate_phdr(visit, &found);
    return found.bytes;
}

static void print_huge(void)
{
    char line[200];
    unsigned long kib, huge = 0, all = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
            huge = kib;
        else if (sscanf(line, "Anonymous: %lu", &kib) == 1)
            all = kib;
    }
    if (file != NULL)
        fclose(file);
    printf("huge %lu of %lu\n", huge << 10, all << 10);
}

/* ---- the problem ---- */

/* The next `bytes` of the file; every block begins on a cache line. */
static const void *take(const char *file, size_t size, size_t *at, size_t bytes)
{
    const void *here = file + *at;
    *at = (*at + bytes + 63) / 64 * 64;
    if (*at > size) {
        fprintf(stderr, "the file of points ends early\n");
        exit(1);
    }
    return here;
}

static Problem read_problem(const char *path, const char *pages)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(1);
    }
    const char *file = checked(mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0), path);
    close(fd);
    size_t size = st.st_size, at = 0;
    const uint64_t *head = take(file, size, &at, 4 * sizeof *head);
    if (head[0] != MAGIC || head[1] != sizeof(Key)) {
        fprintf(stderr, "%s: not points with keys of %zu bytes\n", path, sizeof(Key));
        exit(1);
    }
    Problem p = { .points = { .n = head[2], .allocate = allocate }, .n_queries = head[3], .huge = strcmp(pages, "huge") == 0 };
    p.points.keys = take(file, size, &at, p.points.n * sizeof(Key));
    p.points.labels = take(file, size, &at, p.points.n * sizeof(Label));
    p.queries = take(file, size, &at, p.n_queries * sizeof(Key));
    p.answers = take(file, size, &at, p.n_queries * sizeof(Label));
    return p;
}

/* ---- contenders ---- */

/* Opens NAME=SHARED_OBJECT[,ARGUMENT]; says and returns false when it is absent. */
static int open_contender(const char *spec, const Problem *p, size_t rounds, Contender *c)
{
    char path[4096], why[WHY_SIZE] = "";
    const char *equals = strchr(spec, '='), *comma;
    if (equals == NULL || (size_t)(equals - spec) >= sizeof c->name) {
        fprintf(stderr, "not NAME=SHARED_OBJECT[,ARGUMENT]: %s\n", spec);
        exit(2);
    }
    snprintf(c->name, sizeof c->name, "%.*s", (int)(equals - spec), spec);
    comma = strchr(equals, ',');
    snprintf(path, sizeof path, "%.*s", comma ? (int)(comma - equals - 1) : (int)strlen(equals + 1), equals + 1);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    c->rival = object ? dlsym(object, "rival") : NULL;
    if (c->rival == NULL) {
        printf("absent %s %s\n", c->name, dlerror());
        return 0;
    }
    Arena arena;
    open_arena(&arena, p->huge);
    Points points = p->points;
    points.argument = comma ? comma + 1 : "";
    points.from = &arena;
    c->bytes = own_pages(object, p->huge);
    c->state = c->rival->open(&points, why);
    if (c->state == NULL) {
        printf("absent %s %s\n", c->name, why);
        return 0;
    }
    c->bytes += (size_t)(arena.next - arena.begin);
    for (int k = 0; k < 2; k++)
        c->ns[k] = checked(calloc(rounds, sizeof(double)), "calloc");
    return 1;
}

static size_t count_wrong(const Problem *p, const Label *labels)
{
    size_t wrong = 0;
    for (size_t i = 0; i < p->n_queries; i++)
        wrong += labels[i] != p->answers[i];
    return wrong;
}

/* Every query, both ways. False, and a line that says so, when a label is not the one to expect. */
static int is_right(const Contender *c, const Problem *p, Label *labels)
{
    size_t wrong[2];
    memset(labels, 0xff, p->n_queries * sizeof *labels);
    c->rival->chain(c->state, p->queries, p->n_queries, 0, labels);
    wrong[0] = count_wrong(p, labels);
    memset(labels, 0xff, p->n_queries * sizeof *labels);
    c->rival->many(c->state, p->queries, p->n_queries, labels);
    wrong[1] = count_wrong(p, labels);
    if (c->rival->without_labels || wrong[0] + wrong[1] == 0)
        return 1;
    printf("wrong %s %zu labels one at a time and %zu in a batch, of %zu\n", c->name, wrong[0], wrong[1], p->n_queries);
    return 0;
}

/* ---- time ---- */

/* How often another process took this CPU from us. */
static long count_preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/* A volatile 0: a chain must not be cut by the compiler. */
static void one_block(const Contender *c, int kind, const Key *queries, size_t n, Label *labels)
{
    static volatile size_t zero = 0;
    if (kind == 0)
        c->rival->chain(c->state, queries, n, zero, labels);
    else
        c->rival->many(c->state, queries, n, labels);
}

static int order_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds a query: the median over blocks of queries (throughput: 8 times as large), until the slice is used up. The first half of the
 * queries warms up, as many as there are points or all; blocks are taken from the second half, from a place that depends on the round.
 * Once more, a few times, if another process had the CPU meanwhile; `disturbed` counts the slices that never had it to themselves. */
static double one_slice(const Contender *c, int kind, const Problem *p, double slice, size_t round, Label *labels, size_t *disturbed)
{
    static double ns[MOST_BLOCKS];
    size_t half = p->n_queries / 2, warm = 2 * p->points.n + 4 * BLOCK, block = kind == 0 ? BLOCK : 8 * BLOCK, done = 0;
    for (int try = 0; try < MAX_TRIES; try++) {
        one_block(c, 1, p->queries, warm < half ? warm : half, labels);
        one_block(c, kind, p->queries, block, labels);
        long preemptions = count_preemptions();
        double start = now(), end = start, last;
        for (done = 0; done < LEAST_BLOCKS || (end - start < slice && done < MOST_BLOCKS); done++) {
            size_t at = (round * 7919 + done) % (half / block) * block;
            last = end;
            one_block(c, kind, p->queries + half + at, block, labels + half + at);
            end = now();
            ns[done] = (end - last) / block;
        }
        if (count_preemptions() == preemptions)
            break;
        *disturbed += try == MAX_TRIES - 1;
    }
    qsort(ns, done, sizeof *ns, order_doubles);
    return ns[done / 2];
}

static void print_times(const Contender *c, const char *kind, const double *ns, size_t rounds)
{
    printf("%s %s", kind, c->name);
    for (size_t r = 0; r < rounds; r++)
        printf(" %.6g", ns[r]);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: harness CPU ROUNDS SLICE_MS small|huge FILE NAME=SHARED_OBJECT[,ARGUMENT] ...\n");
        return 2;
    }
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(atoi(argv[1]), &cpu);
    if (sched_setaffinity(0, sizeof cpu, &cpu) != 0)
        perror("sched_setaffinity");
    size_t rounds = strtoul(argv[2], NULL, 10), n = 0, disturbed = 0;
    double slice = atof(argv[3]) * 1e6;
    Problem problem = read_problem(argv[5], argv[4]);
    Contender contenders[MAX_CONTENDERS];
    Label *labels = checked(malloc(problem.n_queries * sizeof *labels), "malloc");
    for (int i = 6; i < argc && n < MAX_CONTENDERS; i++)
        if (open_contender(argv[i], &problem, rounds, &contenders[n]) && is_right(&contenders[n], &problem, labels))
            n++;
    for (size_t r = 0; r < rounds; r++)
        for (int kind = 0; kind < 2; kind++)
            for (size_t i = 0; i < n; i++) {
                Contender *c = &contenders[(i + r) % n];
                c->ns[kind][r] = one_slice(c, kind, &problem, slice, r, labels, &disturbed);
            }
    printf("disturbed %zu of %zu\n", disturbed, 2 * n * rounds);
    print_huge();
    for (size_t i = 0; i < n; i++) {
        printf("bytes %s %zu\n", contenders[i].name, contenders[i].bytes);
        print_times(&contenders[i], "latency", contenders[i].ns[0], rounds);
        print_times(&contenders[i], "throughput", contenders[i].ns[1], rounds);
    }
    return 0;
}
