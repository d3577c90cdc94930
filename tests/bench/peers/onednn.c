/* onednn.c — inner products of oneDNN 2 with the relu as a post-operation.
 *
 * The library chooses the order of the weights (format "any"); they are brought into it once. Everything that can be prepared is:
 * an evaluation sets two pointers and executes one primitive a layer.
 */
#include <dnnl.h>

#include "util.h"

#if DNNL_VERSION_MAJOR != 2
#error "written for oneDNN 2, the one in Debian 12"
#endif

typedef struct Step {
    dnnl_primitive_t product;
    dnnl_memory_t weights, bias, from, to;
    dnnl_exec_arg_t args[4];
} Step;

typedef struct Dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    size_t n_steps;
    Step *steps;
    float *value[2];
} Dnn;

static int failed(dnnl_status_t status, const char *what, char *why)
{
    if (status != dnnl_success)
        snprintf(why, WHY_SIZE, "%s: status %d", what, (int)status);
    return status != dnnl_success;
}

#define TRY(call) do { if (failed(call, #call, why)) return 0; } while (0)

static int describe(dnnl_memory_desc_t *d, int n_dims, dnnl_dim_t rows, dnnl_dim_t columns, dnnl_format_tag_t tag, char *why)
{
    dnnl_dims_t dims = { rows, columns };
    TRY(dnnl_memory_desc_init_by_tag(d, n_dims, dims, dnnl_f32, tag));
    return 1;
}

/* The weights in the order that the primitive asks for. */
static int order_weights(Dnn *d, Step *s, const Layer *l, const dnnl_memory_desc_t *wanted, char *why)
{
    dnnl_memory_desc_t plain;
    dnnl_memory_t from;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t reorder;
    if (!describe(&plain, 2, l->outputs, l->inputs, dnnl_ab, why))
        return 0;
    TRY(dnnl_memory_create(&from, &plain, d->engine, (void *)l->w));
    TRY(dnnl_memory_create(&s->weights, wanted, d->engine, DNNL_MEMORY_ALLOCATE));
    TRY(dnnl_reorder_primitive_desc_create(&description, &plain, d->engine, wanted, d->engine, NULL));
    TRY(dnnl_primitive_create(&reorder, description));
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, s->weights } };
    TRY(dnnl_primitive_execute(reorder, d->stream, 2, args));
    TRY(dnnl_stream_wait(d->stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(from);
    return 1;
}

static int make_step(Dnn *d, Step *s, const Layer *l, dnnl_dim_t batch, float *from, float *to, char *why)
{
    dnnl_memory_desc_t src, weights, bias, dst;
    dnnl_inner_product_desc_t product;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t after;
    dnnl_primitive_desc_t description;
    if (!describe(&src, 2, batch, l->inputs, dnnl_ab, why) || !describe(&weights, 2, l->outputs, l->inputs, dnnl_format_tag_any, why)
        || !describe(&bias, 1, l->outputs, 0, dnnl_a, why) || !describe(&dst, 2, batch, l->outputs, dnnl_ab, why))
        return 0;
    TRY(dnnl_inner_product_forward_desc_init(&product, dnnl_forward_inference, &src, &weights, &bias, &dst));
    TRY(dnnl_primitive_attr_create(&attributes));
    TRY(dnnl_post_ops_create(&after));
    if (l->relu)
        TRY(dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_relu, 0, 0));
    TRY(dnnl_primitive_attr_set_post_ops(attributes, after));
    TRY(dnnl_primitive_desc_create(&description, &product, attributes, d->engine, NULL));
    TRY(dnnl_primitive_create(&s->product, description));
    if (!order_weights(d, s, l, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0), why))
        return 0;
    TRY(dnnl_memory_create(&s->bias, &bias, d->engine, DNNL_MEMORY_ALLOCATE));
    void *b;
    TRY(dnnl_memory_get_data_handle(s->bias, &b));
    memcpy(b, l->b, l->outputs * sizeof(float));
    TRY(dnnl_memory_create(&s->from, &src, d->engine, from));
    TRY(dnnl_memory_create(&s->to, &dst, d->engine, to));
    dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, s->from }, { DNNL_ARG_WEIGHTS, s->weights }, { DNNL_ARG_BIAS, s->bias },
                               { DNNL_ARG_DST, s->to } };
    memcpy(s->args, args, sizeof args);
    dnnl_primitive_desc_destroy(description);
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
    return 1;
}

static void *dnn_open(const Problem *p, const char *argument, char *why, char *version)
{
    (void)argument;
    Dnn *d = bench_alloc(sizeof *d);
    *d = (Dnn){ .n_steps = p->n_layers, .steps = bench_alloc(p->n_layers * sizeof(Step)) };
    if (failed(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "dnnl_engine_create", why)
        || failed(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "dnnl_stream_create", why))
        return NULL;
    for (int i = 0; i < 2; i++)
        d->value[i] = bench_alloc(p->batch * bench_widest(p) * sizeof(float));
    for (size_t i = 0; i < p->n_layers; i++)
        if (!make_step(d, &d->steps[i], &p->layers[i], p->batch, d->value[(i + 1) % 2], d->value[i % 2], why))
            return NULL;
    const dnnl_version_t *v = dnnl_version();
    snprintf(version, WHY_SIZE, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return d;
}

static int dnn_evaluate(void *state, const float *x, float *y)
{
    Dnn *d = state;
    dnnl_memory_set_data_handle(d->steps[0].from, (void *)x);
    dnnl_memory_set_data_handle(d->steps[d->n_steps - 1].to, y);
    for (size_t i = 0; i < d->n_steps; i++) {
        dnnl_status_t status = dnnl_primitive_execute(d->steps[i].product, d->stream, 4, d->steps[i].args);
        if (status != dnnl_success)
            return status;
    }
    return dnnl_stream_wait(d->stream);
}

static void dnn_close(void *state)
{
    Dnn *d = state;
    for (size_t i = 0; i < d->n_steps; i++) {
        Step *s = &d->steps[i];
        dnnl_primitive_destroy(s->product);
        dnnl_memory_destroy(s->weights);
        dnnl_memory_destroy(s->bias);
        dnnl_memory_destroy(s->from);
        dnnl_memory_destroy(s->to);
    }
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d->steps);
    free(d->value[0]);
    free(d->value[1]);
    free(d);
}

const Peer peer = { 0, dnn_open, dnn_evaluate, dnn_close };
