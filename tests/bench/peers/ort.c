/* ort.c — ONNX Runtime through its C interface, from a library that is opened at run time.
 *
 * Argument: LIBRARY:MODEL. One thread, sequential, all optimizations, input and output bound once to buffers of ours (copying a
 * row in is cheaper than making a tensor).
 *
 * There is no header where only the library is installed, as npm does it. The interface is a table of function pointers to which
 * versions only append; the positions below are those of struct OrtApi in onnxruntime_c_api.h (github.com/microsoft/onnxruntime),
 * and its own static assertions pin 101, 118 and 126 as the ends of versions 1, 2 and 4. The version is asked for at run time.
 */
#include <dlfcn.h>

#include "util.h"

enum {
    GetErrorMessage = 2, CreateEnv = 3, CreateSession = 7, CreateSessionOptions = 10, SetSessionExecutionMode = 13,
    SetSessionGraphOptimizationLevel = 23, SetIntraOpNumThreads = 24, SetInterOpNumThreads = 25, SessionGetInputTypeInfo = 33,
    SessionGetOutputTypeInfo = 34, SessionGetInputName = 36, SessionGetOutputName = 37, CreateTensorWithDataAsOrtValue = 49,
    CastTypeInfoToTensorInfo = 55, GetDimensionsCount = 61, GetDimensions = 62, CreateCpuMemoryInfo = 69,
    GetAllocatorWithDefaultOptions = 78, ReleaseStatus = 93, RunWithBinding = 133, CreateIoBinding = 134, BindInput = 136, BindOutput = 137
};
enum { API_VERSION = 8, LOG_ERROR = 3, SEQUENTIAL = 0, ALL_OPTIMIZATIONS = 99, FLOAT = 1, ARENA = 1, DEFAULT_MEMORY = 0, MAX_DIMS = 8 };

typedef void Function(void);
typedef void *Status;                       /* NULL: fine */
typedef struct ApiBase {
    Function *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} ApiBase;

typedef struct Ort {
    Function *const *api;
    Status (*run)(void *session, const void *options, const void *binding);
    void *env, *options, *session, *allocator, *memory, *binding;
    size_t x_bytes, y_bytes;
    float *x, *y;
} Ort;

/* True, with `why`, when a call returned a status. */
static int failed(const Ort *o, Status status, const char *what, char *why)
{
    if (status == NULL)
        return 0;
    snprintf(why, WHY_SIZE, "%s: %s", what, ((const char *(*)(Status))o->api[GetErrorMessage])(status));
    ((void (*)(Status))o->api[ReleaseStatus])(status);
    return 1;
}

#define CALL(name, types, args) do { if (failed(o, ((Status (*) types)o->api[name]) args, #name, why)) return 0; } while (0)

static int make_session(Ort *o, const char *model, char *why)
{
    CALL(CreateEnv, (int, const char *, void **), (LOG_ERROR, "bench", &o->env));
    CALL(CreateSessionOptions, (void **), (&o->options));
    CALL(SetSessionExecutionMode, (void *, int), (o->options, SEQUENTIAL));
    CALL(SetSessionGraphOptimizationLevel, (void *, int), (o->options, ALL_OPTIMIZATIONS));
    CALL(SetIntraOpNumThreads, (void *, int), (o->options, 1));
    CALL(SetInterOpNumThreads, (void *, int), (o->options, 1));
    CALL(CreateSession, (void *, const char *, void *, void **), (o->env, model, o->options, &o->session));
    CALL(GetAllocatorWithDefaultOptions, (void **), (&o->allocator));
    CALL(CreateCpuMemoryInfo, (int, int, void **), (ARENA, DEFAULT_MEMORY, &o->memory));
    CALL(CreateIoBinding, (void *, void **), (o->session, &o->binding));
    return 1;
}

/* A tensor of the shape that the model declares, over `data`; a free dimension becomes the batch. */
static int make_tensor(Ort *o, const void *type, size_t batch, size_t elements, float *data, void **tensor, char *why)
{
    const void *info;
    size_t n_dims, product = 1;
    int64_t dims[MAX_DIMS];
    CALL(CastTypeInfoToTensorInfo, (const void *, const void **), (type, &info));
    CALL(GetDimensionsCount, (const void *, size_t *), (info, &n_dims));
    if (n_dims > MAX_DIMS) {
        snprintf(why, WHY_SIZE, "%zu dimensions", n_dims);
        return 0;
    }
    CALL(GetDimensions, (const void *, int64_t *, size_t), (info, dims, n_dims));
    for (size_t i = 0; i < n_dims; i++) {
        dims[i] = dims[i] < 0 ? (int64_t)batch : dims[i];
        product *= dims[i];
    }
    if (product != elements) {
        snprintf(why, WHY_SIZE, "the model has a fixed shape of %zu elements where %zu are needed", product, elements);
        return 0;
    }
    CALL(CreateTensorWithDataAsOrtValue, (const void *, void *, size_t, const int64_t *, size_t, int, void **),
         (o->memory, data, elements * sizeof *data, dims, n_dims, FLOAT, tensor));
    return 1;
}

static int bind_values(Ort *o, const Problem *p, char *why)
{
    void *type, *in, *out;
    char *name;
    CALL(SessionGetInputTypeInfo, (const void *, size_t, void **), (o->session, 0, &type));
    if (!make_tensor(o, type, p->batch, p->batch * p->inputs, o->x, &in, why))
        return 0;
    CALL(SessionGetOutputTypeInfo, (const void *, size_t, void **), (o->session, 0, &type));
    if (!make_tensor(o, type, p->batch, p->batch * p->outputs, o->y, &out, why))
        return 0;
    CALL(SessionGetInputName, (const void *, size_t, void *, char **), (o->session, 0, o->allocator, &name));
    CALL(BindInput, (void *, const char *, const void *), (o->binding, name, in));
    CALL(SessionGetOutputName, (const void *, size_t, void *, char **), (o->session, 0, o->allocator, &name));
    CALL(BindOutput, (void *, const char *, const void *), (o->binding, name, out));
    return 1;
}

static void *ort_open(const Problem *p, const char *argument, char *why, char *version)
{
    char path[4096];
    const char *colon = strchr(argument, ':');
    snprintf(path, sizeof path, "%.*s", colon ? (int)(colon - argument) : 0, argument);
    void *library = colon ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    const ApiBase *(*get)(void) = library ? (const ApiBase *(*)(void))dlsym(library, "OrtGetApiBase") : NULL;
    if (get == NULL) {
        snprintf(why, WHY_SIZE, "%s", colon ? dlerror() : "no library");
        return NULL;
    }
    Ort *o = bench_alloc(sizeof *o);
    *o = (Ort){ .api = get()->get_api(API_VERSION), .x_bytes = p->batch * p->inputs * sizeof(float),
                .y_bytes = p->batch * p->outputs * sizeof(float) };
    o->x = bench_alloc(o->x_bytes);
    o->y = bench_alloc(o->y_bytes);
    if (o->api == NULL) {
        snprintf(why, WHY_SIZE, "ONNX Runtime %s has no interface of version %d", get()->get_version(), API_VERSION);
        return NULL;
    }
    if (!make_session(o, colon + 1, why) || !bind_values(o, p, why))
        return NULL;
    o->run = (Status (*)(void *, const void *, const void *))o->api[RunWithBinding];
    snprintf(version, WHY_SIZE, "ONNX Runtime %s", get()->get_version());
    return o;
}

static int ort_evaluate(void *state, const float *x, float *y)
{
    Ort *o = state;
    memcpy(o->x, x, o->x_bytes);
    Status status = o->run(o->session, NULL, o->binding);
    memcpy(y, o->y, o->y_bytes);
    return status != NULL;
}

/* The process ends after the measurements, and takes the session with it. */
static void ort_close(void *state)
{
    (void)state;
}

const Peer peer = { 0, ort_open, ort_evaluate, ort_close };
