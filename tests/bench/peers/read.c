/* read.c — reads memory and computes nothing: the limits that evaluations are held against.
 *
 * Argument: sweep:BYTES      as many bytes as that, in order (BYTES/huge: in 2 MiB pages, where the system gives them)
 *           columns          of every layer the columns of weights whose input is not zero, each column from end to end, and
 *                            for the row of inputs that is being evaluated: the least that skipping zeros has to read
 *
 * Sums go through eight accumulators, so that loads are all there is to wait for.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "util.h"

typedef uint64_t Vector __attribute__((vector_size(64)));

typedef struct Reads {
    size_t sweep, row, rows, n_layers;      /* sweep: bytes, or 0: columns */
    size_t mapped;
    char *mapping, *memory;
    const float *first;                     /* the problem's x: evaluations come in its order */
    size_t inputs;
    size_t *start;                          /* of layer l of row r in `columns`: start[r * n_layers + l], and one more at the end */
    uint32_t *columns;
    size_t *offset, *vectors;               /* of each layer: where in `memory`, vectors in a column */
    Vector sink;
} Reads;

/* Adds up n vectors. */
static inline __attribute__((always_inline)) void sum_vectors(Vector s[8], const Vector *v, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            s[k] += v[i + k];
    for (int k = 0; i + k < n; k++)
        s[k] += v[i + k];
}

/* Adds up the columns of one layer, n vectors each. Where n is known to the compiler, nothing is left but loads. */
static inline __attribute__((always_inline)) void sum_columns(Vector s[8], const char *layer, const uint32_t *from, const uint32_t *to,
                                                              size_t n)
{
    for (; from < to; from++)
        sum_vectors(s, (const Vector *)layer + *from * n, n);
}

/* Memory in pages of the given kind, written once so that it is there. */
static void map_memory(Reads *s, size_t bytes, int huge)
{
    const size_t page = 2 << 20;
    s->mapped = bytes + 2 * page;
    s->mapping = mmap(NULL, s->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->mapping == MAP_FAILED) {
        fprintf(stderr, "no memory: %zu bytes\n", bytes);
        exit(1);
    }
    s->memory = s->mapping + (page - (uintptr_t)s->mapping % page) % page;
    madvise(s->memory, bytes + page, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(s->memory, 1, bytes + page);
}

/* One row through one layer; notes which inputs were not zero. Returns how many. */
static size_t run_layer(const Layer *l, const float *x, float *y, uint32_t *columns)
{
    size_t n = 0;
    for (size_t c = 0; c < l->inputs; c++)
        if (x[c] != 0)
            columns[n++] = c;
    for (size_t r = 0; r < l->outputs; r++) {
        float s = l->b[r];
        for (size_t i = 0; i < n; i++)
            s += l->w[r * l->inputs + columns[i]] * x[columns[i]];
        y[r] = l->relu && s <= 0 ? 0 : s;
    }
    return n;
}

/* Which columns each row of inputs touches. */
static void find_columns(Reads *s, const Problem *p)
{
    size_t widest = bench_widest(p), per_row = 0, at = 0;
    float *value[2] = { bench_alloc(widest * sizeof(float)), bench_alloc(widest * sizeof(float)) };
    for (size_t l = 0; l < p->n_layers; l++)
        per_row += p->layers[l].inputs;
    s->columns = bench_alloc(p->rows * per_row * sizeof *s->columns);
    s->start = bench_alloc((p->rows * p->n_layers + 1) * sizeof *s->start);
    for (size_t r = 0; r < p->rows; r++) {
        const float *x = p->x + r * p->inputs;
        for (size_t l = 0; l < p->n_layers; l++) {
            s->start[r * p->n_layers + l] = at;
            at += run_layer(&p->layers[l], x, value[l % 2], s->columns + at);
            x = value[l % 2];
        }
    }
    s->start[p->rows * p->n_layers] = at;
    free(value[0]);
    free(value[1]);
}

static void *read_open(const Problem *p, const char *argument, char *why, char *version)
{
    (void)version;
    Reads *s = bench_alloc(sizeof *s);
    *s = (Reads){ .rows = p->rows, .n_layers = p->n_layers, .first = p->x, .inputs = p->inputs };
    char *end = NULL;
    if (strncmp(argument, "sweep:", 6) == 0) {
        s->sweep = strtoul(argument + 6, &end, 10) / 64 * 64;
        map_memory(s, s->sweep, strcmp(end, "/huge") == 0);
        return s;
    }
    if (strcmp(argument, "columns") != 0 || p->n_layers == 0 || p->batch != 1) {
        snprintf(why, WHY_SIZE, "not sweep:BYTES or columns of a chain: %s", argument);
        return NULL;
    }
    size_t total = 0;
    s->offset = bench_alloc(p->n_layers * sizeof *s->offset);
    s->vectors = bench_alloc(p->n_layers * sizeof *s->vectors);
    for (size_t l = 0; l < p->n_layers; l++) {
        s->offset[l] = total;
        s->vectors[l] = (p->layers[l].outputs * sizeof(float) + sizeof(Vector) - 1) / sizeof(Vector);
        total += p->layers[l].inputs * s->vectors[l] * sizeof(Vector);
    }
    map_memory(s, total, 0);
    find_columns(s, p);
    return s;
}

static void read_columns(const Reads *s, size_t row, Vector sum[8])
{
    for (size_t l = 0; l < s->n_layers; l++) {
        const size_t *range = &s->start[row * s->n_layers + l];
        const uint32_t *from = s->columns + range[0], *to = s->columns + range[1];
        const char *layer = s->memory + s->offset[l];
        switch (s->vectors[l]) {
        case 1: sum_columns(sum, layer, from, to, 1); break;
        case 2: sum_columns(sum, layer, from, to, 2); break;
        case 4: sum_columns(sum, layer, from, to, 4); break;
        case 16: sum_columns(sum, layer, from, to, 16); break;
        default: sum_columns(sum, layer, from, to, s->vectors[l]);
        }
    }
}

static int read_evaluate(void *state, const float *x, float *y)
{
    Reads *s = state;
    Vector sum[8] = { { 0 } };
    (void)y;
    if (s->sweep)
        sum_vectors(sum, (const Vector *)s->memory, s->sweep / sizeof(Vector));
    else
        read_columns(s, (x - s->first) / s->inputs, sum);
    for (int k = 0; k < 8; k++)
        s->sink += sum[k];
    return 0;
}

static void read_close(void *state)
{
    Reads *s = state;
    volatile uint64_t keep = s->sink[0];    /* somebody reads the sums, so they are made */
    (void)keep;
    munmap(s->mapping, s->mapped);
    free(s->columns);
    free(s->start);
    free(s->offset);
    free(s->vectors);
    free(s);
}

const Peer peer = { 1, read_open, read_evaluate, read_close };
