/* nnet.c — the text format of the Stanford ACAS networks (.nnet).
 *
 * In: numbers between commas. Out: one network in f32, its normalisation as ops, its ranges as the box.
 *
 *      // comments
 *      layers, inputs, outputs, largest layer,
 *      sizes: inputs, …, outputs,
 *      a flag that nobody uses,
 *      least values of the inputs,       greatest values,           } the box
 *      means of inputs and of outputs,   ranges likewise,           } x' = (x - mean) / range,  y = y' * range + mean
 *      for each layer: its weights row by row, then its biases
 *
 * Source: github.com/sisl/NNet. There inputs are clipped to the box; here that is the `outside` policy (--outside=clamp).
 */
#include "formats.h"

#include <math.h>
#include <string.h>

enum { MOST_LAYERS = 10000, WIDEST = 1 << 24 };

typedef struct NNet {
    Module *m;
    uint32_t source;
    const char *text;
    size_t len, at;
    bool failed;
    uint32_t layers, *size;
} NNet;

static bool is_space(char c) { return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static Span span_at(const NNet *r, size_t begin, size_t end)
{
    return (Span){.source = r->source, .begin = (uint32_t)begin, .end = (uint32_t)end};
}

static bool fail(NNet *r, size_t begin, size_t end, const char *why)
{
    if (!r->failed)
        diag_error(r->m->diags, span_at(r, begin, end), "%s", why);
    r->failed = true;
    return false;
}

/* The next word between commas and blanks; false at the end. */
static bool next_word(NNet *r, size_t *begin, size_t *end)
{
    while (r->at < r->len && is_space(r->text[r->at]))
        r->at++;
    *begin = r->at;
    while (r->at < r->len && !is_space(r->text[r->at]))
        r->at++;
    *end = r->at;
    return *begin < *end;
}

static bool next_float(NNet *r, const char *what, float *out)
{
    size_t begin, end;
    if (r->failed)
        return false;
    if (!next_word(r, &begin, &end))
        return fail(r, r->len, r->len, str_printf(r->m->arena, "the file ends where %s should follow", what));
    const char *why = element_from_text(type_f32(), r->text + begin, end - begin, out);
    if (!why)
        return true;
    const char *word = name_shown(r->m->arena, str_ndup(r->m->arena, r->text + begin, end - begin));
    return fail(r, begin, end, str_printf(r->m->arena, "expected %s, but `%s` %s", what, word, why[0] == 'd' ? "does not fit f32" : why));
}

static uint32_t next_size(NNet *r, const char *what, uint32_t least, uint32_t most)
{
    size_t begin, end;
    int64_t value = 0;
    if (r->failed)
        return least;
    if (!next_word(r, &begin, &end))
        fail(r, r->len, r->len, str_printf(r->m->arena, "the file ends where %s should follow", what));
    else if (!integer_parse(r->text + begin, end - begin, &value) || value < least || value > most)
        fail(r, begin, end, str_printf(r->m->arena, "expected %s, a whole number from %u to %u", what, least, most));
    return r->failed ? least : (uint32_t)value;
}

/* n floats; memory is taken only when the text is long enough to hold them. */
static float *next_floats(NNet *r, uint64_t n, const char *what)
{
    if (r->failed)
        return NULL;
    if (n > (r->len - r->at + 1) / 2) {
        fail(r, r->len, r->len, str_printf(r->m->arena, "the file ends within %s: %llu numbers cannot follow", what, (unsigned long long)n));
        return NULL;
    }
    float *list = arena_big(r->m->arena, n * sizeof(float), 64);
    for (uint64_t i = 0; i < n && !r->failed; i++)
        next_float(r, what, &list[i]);
    return list;
}

static void skip_comments(NNet *r)
{
    while (r->len - r->at >= 2 && memcmp(r->text + r->at, "//", 2) == 0) {
        const char *newline = memchr(r->text + r->at, '\n', r->len - r->at);
        r->at = newline ? (size_t)(newline - r->text) + 1 : r->len;
    }
}

static void read_header(NNet *r)
{
    skip_comments(r);
    r->layers = next_size(r, "the number of layers", 1, MOST_LAYERS);
    uint32_t inputs = next_size(r, "the number of inputs", 1, WIDEST), outputs = next_size(r, "the number of outputs", 1, WIDEST);
    next_size(r, "the size of the largest layer", 1, WIDEST);
    r->size = NEW_ARRAY(r->m->arena, r->layers + 1, uint32_t);
    for (uint32_t i = 0; i <= r->layers; i++)
        r->size[i] = next_size(r, "the size of a layer", 1, WIDEST);
    if (!r->failed && (r->size[0] != inputs || r->size[r->layers] != outputs))
        fail(r, r->at, r->at, str_printf(r->m->arena, "the layers' sizes lead from %u to %u, but there are %u inputs and %u outputs",
                                         r->size[0], r->size[r->layers], inputs, outputs));
    float flag;
    next_float(r, "a flag", &flag);
}

/* ---- building ---- */

static ConstId vector(NNet *r, const char *name, uint32_t n, const float *data)
{
    return const_add(r->m, name, type_vector(type_f32(), n), data, diag_whole(r->source));
}

static bool all_are(const float *list, uint32_t n, float value)
{
    for (uint32_t i = 0; i < n; i++)
        if (!(list[i] == value))
            return false;
    return true;
}

static ConstId make_box(NNet *r, const float *least, const float *greatest)
{
    uint32_t n = r->size[0];
    float *box = NEW_ARRAY(r->m->arena, 2 * (size_t)n, float);
    for (uint32_t i = 0; i < n; i++) {
        if (!isfinite(least[i]) || !isfinite(greatest[i]) || least[i] > greatest[i]) {
            fail(r, r->at, r->at, str_printf(r->m->arena, "the range %g to %g of input %u is empty or not finite", (double)least[i], (double)greatest[i], i));
            return 0;
        }
        box[i] = least[i];
        box[n + i] = greatest[i];
    }
    return const_add(r->m, "box", type_matrix(type_f32(), 2, n), box, diag_whole(r->source));
}

static Value normalise(NNet *r, Builder *b, Value x, const float *mean, const float *range)
{
    uint32_t n = r->size[0];
    for (uint32_t i = 0; i < n; i++)
        if (range[i] == 0)
            fail(r, r->at, r->at, str_printf(r->m->arena, "the range of input %u is 0: it cannot be divided by", i));
    if (!all_are(mean, n, 0))
        x = build_binary(b, OP_sub, x, build_const(b, vector(r, "means", n, mean)));
    return all_are(range, n, 1) ? x : build_binary(b, OP_div, x, build_const(b, vector(r, "ranges", n, range)));
}

static Value build_layers(NNet *r, Builder *b, Value x)
{
    for (uint32_t i = 0; i < r->layers && !r->failed; i++) {
        uint32_t cols = r->size[i], rows = r->size[i + 1];
        const float *weights = next_floats(r, (uint64_t)rows * cols, str_printf(r->m->arena, "the weights of layer %u", i + 1));
        const float *biases = next_floats(r, rows, str_printf(r->m->arena, "the biases of layer %u", i + 1));
        if (r->failed)
            return 0;
        ConstId w = const_add(r->m, str_printf(r->m->arena, "W%u", i + 1), type_matrix(type_f32(), rows, cols), weights, diag_whole(r->source));
        x = build_affine(b, x, w, vector(r, str_printf(r->m->arena, "b%u", i + 1), rows, biases), ir_chains(rows, cols));
        if (i + 1 < r->layers)
            x = build_unary(b, OP_relu, x);
    }
    return x;
}

static Value scale_back(NNet *r, Builder *b, Value y, float mean, float range)
{
    if (range != 1)
        y = build_binary(b, OP_mul, y, build_const(b, const_splat_f64(r->m, "range", type_f32(), (double)range)));
    return mean == 0 ? y : build_binary(b, OP_add, y, build_const(b, const_splat_f64(r->m, "mean", type_f32(), (double)mean)));
}

Network *fe_read_nnet(Module *m, uint32_t source, Bytes bytes, const char *name)
{
    NNet r = {.m = m, .source = source, .text = (const char *)bytes.at, .len = bytes.len};
    if (bytes.len > UINT32_MAX / 2) {
        diag_error(m->diags, diag_whole(source), "the file is too large for its format");
        return NULL;
    }
    read_header(&r);
    uint32_t n = r.failed ? 0 : r.size[0];
    const float *least = next_floats(&r, n, "the least inputs"), *greatest = next_floats(&r, n, "the greatest inputs");
    const float *mean = next_floats(&r, (uint64_t)n + 1, "the means"), *range = next_floats(&r, (uint64_t)n + 1, "the ranges");
    ConstId box = r.failed ? 0 : make_box(&r, least, greatest);
    if (r.failed)
        return NULL;
    Network *net = network_new(m, name ? name : "network", diag_whole(source));
    Builder b = builder_at_end(net->body);
    b.span = diag_whole(source);
    Value x = network_add_input(net, "x", type_vector(type_f32(), n), box, b.span);
    Value y = build_layers(&r, &b, normalise(&r, &b, x, mean, range));
    size_t begin, end;
    if (!r.failed && next_word(&r, &begin, &end))
        fail(&r, begin, end, "the file goes on after the last bias");
    if (r.failed)
        return NULL;
    y = scale_back(&r, &b, y, mean[n], range[n]);
    network_add_output(net, "y", value_type(net, y), b.span);
    build_return(&b, 1, &y, 0);
    network_done(net);
    return net;
}

Network *fe_import_nnet(Module *m, const char *path, const char *name, Span span)
{
    Bytes bytes;
    if (!file_read(m->arena, m->diags, span, path, &bytes))
        return NULL;
    uint32_t source = diag_source(m->diags, path, (const char *)bytes.at, bytes.len);
    return fe_read_nnet(m, source, bytes, name ? name : name_of_file(m->arena, path));
}
