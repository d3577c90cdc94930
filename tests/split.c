/* split.c — how far a network that was split lies from the one it was made of; split.py links it with both and runs it.
 *
 *     split RANDOM BOUNDARY OUTSIDE [CUTS]
 *
 * In: how many inputs of each kind; CUTS: records of f64 [lo 0 … n-1, hi 0 … n-1, coordinate, cut], one for each node of the tree, the box
 * being all that reaches the node. Inputs: anywhere in the box, its faces and corners included; on a cut or one unit in the last place
 * beside it, elsewhere in the node's box; outside of the box, infinite or NaN.
 * Out: a line for each kind: how many inputs, how many wrong, the greatest difference. Wrong is, inside, a status other than 0 or an output
 * further from the source's than certified (of an index: whose score lies further below the greatest); outside, a status other than 1 or
 * another value than the source's, but for 1e-4 of it: what is merged before the split rounds otherwise, and that is certified inside only.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cnet.h"

extern const cnet_network SPLIT, SOURCE;

enum { MOST = 4096 };
typedef struct Vector { double at[MOST]; size_t n; uint32_t type; } Vector;
typedef struct Found { long inputs, wrong; double worst; } Found;

static uint64_t state = 20;

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(void) { return (double)(next_random() >> 11) * 0x1p-53; }

/* As the network's own type holds it. */
static double held(uint32_t type, double v) { return type == CNET_F32 ? (double)(float)v : v; }

static double beside(uint32_t type, double v, double towards)
{
    return type == CNET_F32 ? (double)nextafterf((float)v, (float)towards) : nextafter(v, towards);
}

static void store(const Vector *v, void *to)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->type == CNET_F32)
            ((float *)to)[i] = (float)v->at[i];
        else
            ((double *)to)[i] = v->at[i];
    }
}

static double load(uint32_t type, const void *from, size_t i)
{
    return type == CNET_F32 ? (double)((const float *)from)[i] : type == CNET_F64 ? ((const double *)from)[i] : ((const int32_t *)from)[i];
}

static void *scratch_of(const cnet_network *net)
{
    size_t align = net->scratch_align ? net->scratch_align : 1;
    char *at = malloc(net->scratch_bytes + align);
    if (!at)
        abort();
    return at + (align - (uintptr_t)at % align) % align;
}

static int evaluate(const cnet_network *net, const Vector *x, void *y)
{
    static union { float f[MOST]; double d[MOST]; } in;
    static void *scratch[2];
    void **own = &scratch[net == &SOURCE];
    if (!*own)
        *own = scratch_of(net);
    store(x, &in);
    return net->run((const void *const[]){&in}, (void *const[]){y}, *own, NULL);
}

static void check(Found *f, const Vector *x, int inside, double sign)
{
    static union { float f[MOST]; double d[MOST]; int32_t i[MOST]; } y, z;
    int status = evaluate(&SPLIT, x, &y);
    uint32_t type = SPLIT.outputs->type;
    size_t n = SOURCE.outputs->count;
    double worst = 0;
    evaluate(&SOURCE, x, &z);
    f->inputs++;
    if (type == CNET_F32 || type == CNET_F64) {
        for (size_t i = 0; i < n; i++) {
            double a = load(type, &y, i), b = load(SOURCE.outputs->type, &z, i), d = (isnan(a) && isnan(b)) || a == b ? 0 : fabs(a - b);
            d = inside || d == 0 ? d : d / (1 + fabs(b));
            worst = d <= worst ? worst : d;          /* a NaN stays */
        }
    } else {
        double best = -INFINITY, got = NAN;
        for (size_t i = 0; i < n; i++) {
            double score = sign * load(SOURCE.outputs->type, &z, i);
            best = score > best ? score : best;
            if (i == (size_t)y.i[0])
                got = score;
        }
        worst = isinf(best) || (!inside && isnan(got)) ? 0 : inside ? best - got : (best - got) / (1 + fabs(best));
    }
    if (!inside && SPLIT.outside == CNET_OUTSIDE_PROMISE)
        return;
    f->wrong += status != !inside || !(worst <= (inside ? SPLIT.certified_error : 1e-4));
    f->worst = worst <= f->worst ? f->worst : worst;
}

static double within(double lo, double hi) { double v = lo + (hi - lo) * uniform(); return v < lo ? lo : v > hi ? hi : v; }

/* Anywhere, on faces now and then. */
static void anywhere(Vector *x, const double *lo, const double *hi)
{
    uint64_t r = next_random();
    for (size_t i = 0; i < x->n; i++, r /= 16) {
        double v = r % 16 == 0 ? lo[i] : r % 16 == 1 ? hi[i] : within(lo[i], hi[i]);
        v = held(x->type, v);
        x->at[i] = v < lo[i] ? lo[i] : v > hi[i] ? hi[i] : v;
    }
}

static void out_of_the_box(Vector *x, const double *lo, const double *hi)
{
    anywhere(x, lo, hi);
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30};
    size_t i = next_random() % x->n;
    switch (next_random() % 4) {
    case 0: x->at[i] = odd[next_random() % 5]; break;
    case 1: x->at[i] = beside(x->type, lo[i], -INFINITY); break;
    case 2: x->at[i] = beside(x->type, hi[i], INFINITY); break;
    default: x->at[i] = held(x->type, next_random() % 2 ? hi[i] + (1 + hi[i] - lo[i]) * (1e-3 + uniform()) : lo[i] - (1 + hi[i] - lo[i]) * (1e-3 + uniform()));
    }
}

static void report(const char *kind, const Found *f)
{
    printf("%s %ld inputs, %ld wrong, worst %.3g\n", kind, f->inputs, f->wrong, f->worst);
}

static double *read_cuts(const char *path, size_t record, long *n)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        exit(2);
    *n = ftell(file) / (long)(record * sizeof(double));
    double *at = malloc((size_t)*n * record * sizeof(double) + 1);
    rewind(file);
    if (!at || fread(at, record * sizeof(double), (size_t)*n, file) != (size_t)*n)
        exit(2);
    fclose(file);
    return at;
}

int main(int argc, char **argv)
{
    static Vector x;
    static double lo[MOST], hi[MOST];
    x.n = SPLIT.inputs->count;
    x.type = SPLIT.inputs->type;
    if (argc < 4 || x.n > MOST || SOURCE.outputs->count > MOST || !SPLIT.inputs->box)
        return 2;
    for (size_t i = 0; i < x.n; i++) {
        lo[i] = SPLIT.inputs->box[2 * i];
        hi[i] = SPLIT.inputs->box[2 * i + 1];
    }
    double sign = strstr(SPLIT.outputs->name, "_argmin") ? -1 : 1;
    Found inside = {0}, boundary = {0}, outside = {0};
    for (long k = atol(argv[1]); k > 0; k--) {
        anywhere(&x, lo, hi);
        check(&inside, &x, 1, sign);
    }
    size_t record = 2 * x.n + 2;
    long n_cuts = 0;
    double *cut = argc > 4 ? read_cuts(argv[4], record, &n_cuts) : NULL;
    for (long k = 0; n_cuts > 0 && k < atol(argv[2]); k++) {
        const double *c = cut + (size_t)(k % n_cuts) * record;
        size_t i = (size_t)c[2 * x.n];
        anywhere(&x, c, c + x.n);
        double at = c[2 * x.n + 1];
        x.at[i] = k / n_cuts % 3 == 0 ? at : beside(x.type, at, k / n_cuts % 3 == 1 ? INFINITY : -INFINITY);
        check(&boundary, &x, 1, sign);
    }
    for (long k = atol(argv[3]); k > 0; k--) {
        out_of_the_box(&x, lo, hi);
        check(&outside, &x, 0, sign);
    }
    report("random", &inside);
    report("boundary", &boundary);
    report("outside", &outside);
    printf("certified %.3g\n", SPLIT.certified_error);
    return inside.wrong || boundary.wrong || outside.wrong;
}
