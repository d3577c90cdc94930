/* openblas.c — a chain of sgemv (sgemm for batches), with loops for the biases and the relus.
 *
 * Weights can lie in either order, and which one is faster depends on the layer's shape and on the machine; so both are tried
 * once for every layer, and the slower one is forgotten. A sum starts at its bias (beta = 1).
 */
#include <cblas.h>

#include "util.h"

typedef struct Step {
    int m, k, relu, turned;                 /* turned: w is [k][m] */
    float *w, *b;
} Step;

typedef struct Blas {
    size_t n_steps;
    int batch;
    Step *steps;
    float *value[2];
} Blas;

static void run_step(const Step *s, int n, const float *x, float *y)
{
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)i * s->m, s->b, s->m * sizeof *y);
    if (n == 1 && s->turned)
        cblas_sgemv(CblasRowMajor, CblasTrans, s->k, s->m, 1, s->w, s->m, x, 1, 1, y, 1);
    else if (n == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, s->m, s->k, 1, s->w, s->k, x, 1, 1, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, s->turned ? CblasNoTrans : CblasTrans, n, s->m, s->k, 1, x, s->k,
                    s->w, s->turned ? s->m : s->k, 1, y, s->m);
    if (s->relu)
        for (size_t i = 0; i < (size_t)n * s->m; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
}

static void free_step(Step *s)
{
    free(s->w);
    free(s->b);
}

static Step make_step(const Layer *l, int turned)
{
    Step s = { .m = l->outputs, .k = l->inputs, .relu = l->relu, .turned = turned };
    s.w = bench_alloc(l->inputs * l->outputs * sizeof(float));
    s.b = bench_alloc(l->outputs * sizeof(float));
    memcpy(s.b, l->b, l->outputs * sizeof(float));
    for (size_t r = 0; r < l->outputs; r++)
        for (size_t c = 0; c < l->inputs; c++)
            s.w[turned ? c * l->outputs + r : r * l->inputs + c] = l->w[r * l->inputs + c];
    return s;
}

/* The best of several blocks of calls, each some hundred microseconds long. */
static double time_step(const Step *s, int n, const float *x, float *y)
{
    double best = 1e300;
    int calls = 1 + (int)(2e6 / ((double)s->m * s->k * n));
    for (int block = 0; block < 15; block++) {
        double start = bench_now(), t;
        for (int i = 0; i < calls; i++)
            run_step(s, n, x, y);
        t = (bench_now() - start) / calls;
        best = t < best ? t : best;
    }
    return best;
}

static void *blas_open(const Problem *p, const char *argument, char *why, char *version)
{
    (void)argument, (void)why;
    openblas_set_num_threads(1);
    Blas *b = bench_alloc(sizeof *b);
    *b = (Blas){ .n_steps = p->n_layers, .batch = p->batch, .steps = bench_alloc(p->n_layers * sizeof(Step)) };
    size_t elements = p->batch * bench_widest(p);
    for (int i = 0; i < 2; i++)
        b->value[i] = bench_alloc(elements * sizeof(float));
    for (size_t i = 0; i < elements; i++)
        b->value[0][i] = 0.5f;
    for (size_t i = 0; i < p->n_layers; i++) {
        Step as_is = make_step(&p->layers[i], 0), turned = make_step(&p->layers[i], 1);
        int better = time_step(&turned, b->batch, b->value[0], b->value[1]) < time_step(&as_is, b->batch, b->value[0], b->value[1]);
        b->steps[i] = better ? turned : as_is;
        free_step(better ? &as_is : &turned);
    }
    snprintf(version, WHY_SIZE, "%s, kernels for %s", openblas_get_config(), openblas_get_corename());
    return b;
}

static int blas_evaluate(void *state, const float *x, float *y)
{
    const Blas *b = state;
    for (size_t i = 0; i < b->n_steps; i++) {
        float *to = i + 1 == b->n_steps ? y : b->value[i % 2];
        run_step(&b->steps[i], b->batch, x, to);
        x = to;
    }
    return 0;
}

static void blas_close(void *state)
{
    Blas *b = state;
    for (size_t i = 0; i < b->n_steps; i++)
        free_step(&b->steps[i]);
    free(b->steps);
    free(b->value[0]);
    free(b->value[1]);
    free(b);
}

const Peer peer = { 0, blas_open, blas_evaluate, blas_close };
