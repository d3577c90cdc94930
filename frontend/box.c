/* box.c — the input box that a command line gives to an imported network.
 *
 *      --box=0:1                        one interval for every input
 *      --box=-1:1,0:2.5                 one each, over all inputs in order
 *      --box=boxes.json:acas            {"acas": [[-1, 1], [0, 2.5]], …} or {"repeat": 784, "each": [0, 1]}
 *
 * The box is a closed set. Its ends are rounded to the input's type first, so that what is analysed is exactly what is
 * tested at run time.
 */
#include "formats.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

typedef struct Interval { double lo, hi; } Interval;
typedef struct Intervals { Vec(Interval) list; } Intervals;

typedef struct BoxReader {
    Arena *arena;
    Diags *diags;
    Span span;                    /* NOWHERE, or the JSON file */
} BoxReader;

static bool add_interval(BoxReader *r, Intervals *to, double lo, double hi)
{
    Interval i = {lo, hi};
    if (!isfinite(lo) || !isfinite(hi)) {
        diag_error(r->diags, r->span, "--box: the interval %g:%g is not finite", lo, hi);
        return false;
    }
    if (lo > hi) {
        diag_error(r->diags, r->span, "--box: the interval %g:%g is empty; write %g:%g", lo, hi, hi, lo);
        return false;
    }
    vec_push(r->arena, to->list, i);
    return true;
}

/* ---- LO:HI,… ---- */

static bool parse_list(BoxReader *r, const char *s, Intervals *to)
{
    for (;;) {
        size_t len = strcspn(s, ",");
        const char *colon = memchr(s, ':', len);
        double lo, hi;
        if (!colon || !number_parse(s, (size_t)(colon - s), &lo) || !number_parse(colon + 1, len - (size_t)(colon + 1 - s), &hi)) {
            diag_error(r->diags, NOWHERE, "--box: `%s` is no interval; write LO:HI,LO:HI,… or FILE.json:NAME",
                       name_shown(r->arena, str_ndup(r->arena, s, len)));
            return false;
        }
        if (!add_interval(r, to, lo, hi))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

/* ---- FILE.json:NAME ---- */

static void release_json(void *json)
{
    cJSON_Delete(json);
}

static bool json_interval(BoxReader *r, const cJSON *pair, const char *name, Intervals *to)
{
    const cJSON *lo = cJSON_GetArrayItem(pair, 0), *hi = cJSON_GetArrayItem(pair, 1);
    if (cJSON_GetArraySize(pair) != 2 || !cJSON_IsArray(pair) || !cJSON_IsNumber(lo) || !cJSON_IsNumber(hi)) {
        diag_error(r->diags, r->span, "`%s` holds something that is no pair [lo, hi]", name);
        return false;
    }
    return add_interval(r, to, lo->valuedouble, hi->valuedouble);
}

static bool json_intervals(BoxReader *r, const cJSON *box, const char *name, Intervals *to)
{
    enum { MOST = 1 << 28 };
    const cJSON *repeat = cJSON_GetObjectItemCaseSensitive(box, "repeat"), *pair;
    if (cJSON_IsObject(box)) {
        double n = cJSON_IsNumber(repeat) ? repeat->valuedouble : 0;
        if (!(n >= 1 && n <= MOST) || n != floor(n)) {
            diag_error(r->diags, r->span, "`%s`: `repeat` should be a whole number", name);
            return false;
        }
        if (!json_interval(r, cJSON_GetObjectItemCaseSensitive(box, "each"), name, to))
            return false;
        for (Interval same = to->list.at[0]; to->list.len < (size_t)n;)
            vec_push(r->arena, to->list, same);
        return true;
    }
    if (!cJSON_IsArray(box) || cJSON_GetArraySize(box) == 0) {
        diag_error(r->diags, r->span, "`%s` should be a list of pairs [lo, hi], or {\"repeat\": N, \"each\": [lo, hi]}", name);
        return false;
    }
    cJSON_ArrayForEach(pair, box)
        if (!json_interval(r, pair, name, to))
            return false;
    return true;
}

static bool json_named(BoxReader *r, const cJSON *all, const char *name, Intervals *to)
{
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(all, name), *entry;
    if (box)
        return json_intervals(r, box, name, to);
    Vec(const char *) names = {0};
    cJSON_ArrayForEach(entry, all)
        if (entry->string)
            vec_push(r->arena, names, (const char *)entry->string);
    const char *near = str_nearest(name, names.at, names.len);
    diag_error(r->diags, r->span, "it has no box `%s`%s%s%s", name_shown(r->arena, name), near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return false;
}

static bool parse_json(BoxReader *r, Arena *scratch, const char *path, const char *name, Intervals *to)
{
    Bytes bytes;
    if (!file_read(r->arena, r->diags, NOWHERE, path, &bytes))
        return false;
    const char *text = (const char *)bytes.at, *end = text;
    r->span = diag_whole(diag_source(r->diags, path, NULL, 0));
    if (bytes.len > (size_t)1 << 26 || memchr(text, '\0', bytes.len) || utf8_check(text, bytes.len) != bytes.len) {
        diag_error(r->diags, r->span, "the file is no JSON text");
        return false;
    }
    cJSON *json = cJSON_ParseWithLengthOpts(str_ndup(scratch, text, bytes.len), bytes.len, &end, 0);
    if (!json) {
        diag_error(r->diags, r->span, "the file is no JSON text");
        return false;
    }
    arena_defer(scratch, release_json, json);
    return json_named(r, json, name, to);
}

static bool parse_box(BoxReader *r, const char *box, Intervals *to)
{
    const char *json = strstr(box, ".json:");
    if (!json)
        return parse_list(r, box, to);
    const char *colon = json + strlen(".json");
    Arena *scratch = arena_new(r->arena);
    if (!scratch)
        arena_exhausted(r->arena);
    bool good = parse_json(r, scratch, str_ndup(scratch, box, (size_t)(colon - box)), colon + 1, to);
    arena_free(scratch);
    return good;
}

/* ---- the box of a port ---- */

/* One constant [2, n] of the input's element type. 0 (reported) when an end is no value of it. */
static ConstId make_box(BoxReader *r, Network *net, const Port *port, const Interval *from, bool repeated)
{
    uint64_t n = type_count(port->type);
    uint32_t bytes = type_element_bytes(port->type);
    Type element = type_element(port->type);
    uint8_t *data = arena_big(net->module->arena, 2 * n * bytes, 64);
    for (uint64_t i = 0; i < n; i++) {
        Interval k = from[repeated ? 0 : i];
        if (!element_from_f64(element, k.lo, data + i * bytes) || !element_from_f64(element, k.hi, data + (n + i) * bytes)) {
            diag_error(r->diags, NOWHERE, "--box: %g:%g is no interval of %s, the elements of input `%s`", k.lo, k.hi, type_print(r->arena, element),
                       port->name);
            return 0;
        }
    }
    return const_add(net->module, str_printf(r->arena, "%s_box", port->name), type_matrix(element, 2, (uint32_t)n), data, port->span);
}

bool fe_set_box(Network *net, const char *box)
{
    Module *m = net->module;
    BoxReader r = {.arena = m->arena, .diags = m->diags, .span = NOWHERE};
    Intervals intervals = {0};
    uint64_t need = 0;
    if (!parse_box(&r, box, &intervals))
        return false;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        need += type_count(net->input[i].type);
    bool repeated = intervals.list.len == 1;
    if (!repeated && intervals.list.len != need) {
        diag_error(m->diags, NOWHERE, "--box: expected %llu intervals, one for each input of network `%s` (or a single one for all), found %zu",
                   (unsigned long long)need, net->name, intervals.list.len);
        return false;
    }
    const Interval *from = intervals.list.at;
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        net->input[i].box = make_box(&r, net, &net->input[i], from, repeated);
        if (!net->input[i].box)
            return false;
        if (!repeated)
            from += type_count(net->input[i].type);
    }
    return true;
}
