/* data_table.c — the rows of a table, ascending, each key once: what the op `memorize` takes.
 *
 * In: a table's files and the types that a network wants. Out: keys, labels and weights. The one idea: rows are sorted by number, and
 * only then moved, each once; so a report names the rows of the file, and a table that is in order is not moved at all.
 *
 * Rows with one key must have one label. They become one row, and their weights are added, in the order of the file.
 */
#include "data.h"

#include <math.h>
#include <string.h>

/* Sums of as many as there can be rows stay finite. */
#define MOST_WEIGHT 1e290

typedef struct Maker {
    DataSpec *spec;
    Arena *arena;                 /* of the result */
    const Watch *watch;
    Rows rows[CLAUSES];
    uint64_t n;
    const uint32_t *order;        /* NULL: as in the file */
    const uint8_t *keys;          /* in that order */
    Type element;                 /* of keys; */
    uint64_t width;               /* elements of one, */
    size_t key_bytes;             /* and its bytes */
} Maker;

static size_t row_bytes(const Maker *m, Clause c)
{
    return type_count(m->rows[c].row) * type_element_bytes(m->rows[c].row);
}

static uint64_t row_of(const Maker *m, uint64_t i)
{
    return m->order ? m->order[i] : i;
}

/* ---- what no row may hold ---------------------------------------------------------------------------------------------------- */

static bool is_nan_at(Type element, const uint8_t *at)
{
    float narrow = 0;
    double wide = 0;
    if (element.elem == ELEM_F32)
        memcpy(&narrow, at, 4);
    else
        memcpy(&wide, at, 8);
    return isnan(narrow) || isnan(wide);
}

static bool keys_are_numbers(Maker *m)
{
    const Rows *keys = &m->rows[CLAUSE_input];
    uint32_t bytes = type_element_bytes(keys->row);
    Span span;
    for (uint64_t i = 0; type_is_float(m->element) && i < m->n * m->width; i++)
        if (is_nan_at(keys->row, keys->data + i * bytes)) {
            const char *row = data_place(m->spec, CLAUSE_input, i / m->width, &span);
            diag_error(m->spec->diags, span, "%sa key is NaN, which equals nothing, not even itself", row);
            return false;
        }
    return true;
}

static bool weights_are_sound(Maker *m)
{
    Span span;
    for (uint64_t i = 0; m->rows[CLAUSE_weight].data && i < m->n; i++) {
        double w;
        memcpy(&w, m->rows[CLAUSE_weight].data + 8 * i, 8);
        if (w >= 0 && w <= MOST_WEIGHT)
            continue;
        const char *row = data_place(m->spec, CLAUSE_weight, i, &span);
        diag_error(m->spec->diags, span, "%sthe weight %g: a weight says how often a key is asked for; it is 0 or more, and at most 1e290",
                   row, w);
        return false;
    }
    return true;
}

/* ---- one row for each key -------------------------------------------------------------------------------------------------------- */

static const uint8_t *row_at(const Maker *m, Clause c, uint64_t i)
{
    return m->rows[c].data + i * row_bytes(m, c);
}

/* The same bits, or NaN both. */
static bool labels_equal(const Maker *m, uint64_t i, uint64_t k)
{
    Type row = m->rows[CLAUSE_label].row;
    size_t bytes = row_bytes(m, CLAUSE_label);
    const uint8_t *a = row_at(m, CLAUSE_label, i), *b = row_at(m, CLAUSE_label, k);
    if (memcmp(a, b, bytes) == 0)
        return true;
    uint32_t step = type_element_bytes(row);
    for (size_t at = 0; at < bytes; at += step)
        if (memcmp(a + at, b + at, step) != 0 && !(type_is_float(row) && is_nan_at(row, a + at) && is_nan_at(row, b + at)))
            return false;
    return true;
}

static const char *row_shown(const Maker *m, Clause c, uint64_t i)
{
    enum { MOST = 4 };
    Arena *arena = m->spec->arena;
    Type row = m->rows[c].row;
    if (type_is_int(row) && row.n > 64)
        return NULL;
    Text text = text_new(arena);
    uint64_t n = type_count(row);
    for (uint64_t k = 0; k < n && k < MOST; k++)
        text_add(&text, "%s%s", k ? ", " : "", element_shown(arena, type_element(row), row_at(m, c, i) + k * type_element_bytes(row)));
    return str_printf(arena, "%s%s%s%s", n > 1 ? "(" : "", text.at, n > MOST ? ", …" : "", n > 1 ? ")" : "");
}

/* Rows `first` and `second`, in the order of the file, have one key and two labels. */
static void refuse_pair(Maker *m, uint64_t first, uint64_t second)
{
    Span span;
    const char *key = row_shown(m, CLAUSE_input, second), *a = row_shown(m, CLAUSE_label, first), *b = row_shown(m, CLAUSE_label, second);
    const char *row = data_place(m->spec, CLAUSE_input, second, &span);
    diag_error(m->spec->diags, span, "%sthe key%s%s has the label%s%s here", row, key ? " " : "", key ? key : "", b ? " " : "", b ? b : "");
    row = data_place(m->spec, CLAUSE_input, first, &span);
    diag_note(m->spec->diags, span, "%shere it has %s%s", row, a ? "the label " : "another one", a ? a : "");
}

/* Whether row i of the sorted ones has the key of the row before it. */
static bool repeats(const Maker *m, uint64_t i)
{
    const uint8_t *at = m->keys + i * m->key_bytes;
    return i > 0 && rows_compare(m->element, m->width, at - m->key_bytes, at) == 0;
}

/* How many rows repeat the key of another; false (reported) when with another label. `first` and `second` are such a pair. */
static bool count_repeated(Maker *m, uint64_t *repeated, uint64_t *first, uint64_t *second)
{
    uint64_t kept = 0;
    *repeated = 0;
    for (uint64_t i = 0; i < m->n; i++) {
        if (!repeats(m, i)) {
            kept = i;
            continue;
        }
        if (!labels_equal(m, row_of(m, kept), row_of(m, i))) {
            refuse_pair(m, row_of(m, kept), row_of(m, i));
            return false;
        }
        if ((*repeated)++ == 0)
            *first = row_of(m, kept), *second = row_of(m, i);
    }
    return true;
}

/* Weights say how often, so repetitions are what they count; without weights they may be a mistake. */
static void warn_repeated(Maker *m, uint64_t repeated, uint64_t first, uint64_t second)
{
    Span span;
    if (repeated == 0 || m->rows[CLAUSE_weight].data)
        return;
    const char *row = data_place(m->spec, CLAUSE_input, second, &span);
    diag_warning(m->spec->diags, span, "repeated-rows",
                 "%sthis row repeats the key and the label of an earlier one; %llu row%s of `%s` d%s", row, (unsigned long long)repeated,
                 repeated == 1 ? "" : "s", m->spec->name, repeated == 1 ? "oes" : "o");
    row = data_place(m->spec, CLAUSE_input, first, &span);
    diag_note(m->spec->diags, span, "%sthe first is here", row);
}

/* ---- moving ---------------------------------------------------------------------------------------------------------------------- */

static uint8_t *room(const Maker *m, Clause c, uint64_t n)
{
    return arena_big(m->arena, n * row_bytes(m, c), 64);
}

/* A clause in the order of the keys: gathered, or as it lies. */
static const uint8_t *ordered(Maker *m, Clause c)
{
    if (!m->order || !m->rows[c].data)
        return m->rows[c].data;
    uint8_t *to = room(m, c, m->n);
    rows_gathered(m->n, row_bytes(m, c), m->order, m->rows[c].data, to);
    if (m->rows[c].borrowed)
        file_done_with(m->rows[c].data, m->n * row_bytes(m, c));
    return to;
}

/* Ordered rows without those that repeat a key. */
static const uint8_t *without_repeated(Maker *m, Clause c, const uint8_t *rows, uint64_t n)
{
    size_t bytes = row_bytes(m, c);
    uint8_t *to = room(m, c, n);
    for (uint64_t i = 0, k = 0; i < m->n; i++)
        if (!repeats(m, i))
            memcpy(to + k++ * bytes, rows + i * bytes, bytes);
    return to;
}

/* The weights of rows with one key, added. */
static const uint8_t *added(Maker *m, const uint8_t *weights, uint64_t n)
{
    double *sum = (double *)(void *)room(m, CLAUSE_weight, n), w;
    for (uint64_t i = 0, k = 0; i < m->n; i++) {
        k += i > 0 && !repeats(m, i);
        memcpy(&w, weights + i * sizeof w, sizeof w);
        sum[k] += w;
    }
    return (const uint8_t *)sum;
}

static bool make(Maker *m, Arena *scratch, DataTable *out)
{
    if (!data_read(m->spec, scratch, m->watch, m->rows, &m->n) || !keys_are_numbers(m) || !weights_are_sound(m))
        return false;
    m->order = rows_sorted(scratch, m->watch, m->element, m->width, m->n, m->rows[CLAUSE_input].data);
    m->keys = ordered(m, CLAUSE_input);
    uint64_t repeated, first = 0, second = 0;
    if (!count_repeated(m, &repeated, &first, &second))
        return false;
    warn_repeated(m, repeated, first, second);
    *out = (DataTable){m->n - repeated, m->keys, ordered(m, CLAUSE_label), ordered(m, CLAUSE_weight)};
    if (repeated == 0)
        return true;
    out->labels = without_repeated(m, CLAUSE_label, out->labels, out->n);
    if (out->weights)
        out->weights = added(m, out->weights, out->n);
    out->keys = without_repeated(m, CLAUSE_input, m->keys, out->n); /* last: they say what repeats */
    return true;
}

bool data_table(DataSpec *spec, Arena *arena, const Watch *watch, Type key, Type label, DataTable *out)
{
    Arena *scratch = arena_new(arena);
    if (!scratch)
        arena_exhausted(arena);
    Maker m = {.spec = spec, .arena = arena, .watch = watch, .element = type_element(key), .width = type_count(key)};
    m.key_bytes = m.width * type_element_bytes(key);
    m.rows[CLAUSE_input].row = key;
    m.rows[CLAUSE_label].row = label;
    m.rows[CLAUSE_weight].row = type_f64();
    *out = (DataTable){0};
    bool good = make(&m, scratch, out);
    watch_tell(watch, NULL, 0, 0);
    bool moved_all = good && out->keys != m.rows[CLAUSE_input].data;
    if (!good || moved_all) /* what was read is the result itself otherwise */
        arena_free(scratch);
    return good;
}
