/* xnnpack.c — fully connected operators of XNNPACK, the relu as their lower clamp; no thread pool.
 *
 * Operators are set up once, on buffers of ours: copying an input in and an output out is cheaper than a set-up each time. The library
 * does not tell its version; XNNPACK_VERSION is what Debian says of it.
 */
#include <math.h>
#include <xnnpack.h>

#include "util.h"

typedef struct Xnn {
    size_t n_steps, batch, inputs, outputs;
    xnn_operator_t *steps;
    float **value;                          /* n_steps + 1 of them */
} Xnn;

static void *xnn_open(const Problem *p, const char *argument, char *why, char *version)
{
    (void)argument;
    enum xnn_status status = xnn_initialize(NULL);
    Xnn *x = bench_alloc(sizeof *x);
    *x = (Xnn){ .n_steps = p->n_layers, .batch = p->batch, .inputs = p->inputs, .outputs = p->outputs };
    x->steps = bench_alloc(x->n_steps * sizeof *x->steps);
    x->value = bench_alloc((x->n_steps + 1) * sizeof *x->value);
    x->value[0] = bench_alloc(p->batch * p->inputs * sizeof(float) + XNN_EXTRA_BYTES);
    for (size_t i = 0; i < x->n_steps && status == xnn_status_success; i++) {
        const Layer *l = &p->layers[i];
        x->value[i + 1] = bench_alloc(p->batch * l->outputs * sizeof(float) + XNN_EXTRA_BYTES);
        status = xnn_create_fully_connected_nc_f32(l->inputs, l->outputs, l->inputs, l->outputs, l->w, l->b, l->relu ? 0 : -INFINITY,
                                                   INFINITY, 0, &x->steps[i]);
        if (status == xnn_status_success)
            status = xnn_setup_fully_connected_nc_f32(x->steps[i], p->batch, x->value[i], x->value[i + 1], NULL);
    }
    if (status != xnn_status_success) {
        snprintf(why, WHY_SIZE, "XNNPACK: status %d", (int)status);
        return NULL;
    }
    snprintf(version, WHY_SIZE, "%s", XNNPACK_VERSION);
    return x;
}

static int xnn_evaluate(void *state, const float *input, float *output)
{
    Xnn *x = state;
    memcpy(x->value[0], input, x->batch * x->inputs * sizeof(float));
    for (size_t i = 0; i < x->n_steps; i++) {
        enum xnn_status status = xnn_run_operator(x->steps[i], NULL);
        if (status != xnn_status_success)
            return status;
    }
    memcpy(output, x->value[x->n_steps], x->batch * x->outputs * sizeof(float));
    return 0;
}

static void xnn_close(void *state)
{
    Xnn *x = state;
    for (size_t i = 0; i < x->n_steps; i++)
        xnn_delete_operator(x->steps[i]);
    for (size_t i = 0; i <= x->n_steps; i++)
        free(x->value[i]);
    free(x->steps);
    free(x->value);
    free(x);
}

const Peer peer = { 0, xnn_open, xnn_evaluate, xnn_close };
