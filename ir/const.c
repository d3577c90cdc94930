/* const.c — the pool of constants: borrowed bytes, free views, one copy of what is equal.
 *
 * In: tensors whose bytes lie in a mapped file or an arena. Out: constants that ops refer to by id. The one idea:
 * a constant is (type, strides, address), so a transposed weight matrix is the same bytes read in another order.
 */
#include "text.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/* A name nobody in the pool has: `wanted` with odd characters replaced, numbered when taken. */
static const char *unique_name(Module *m, const char *wanted)
{
    char *name = str_dup(m->arena, wanted && *wanted ? wanted : "c");
    for (char *c = name; *c; c++)
        if (!is_name_char(*c))
            *c = '_';
    if ((name[0] >= '0' && name[0] <= '9') || name[0] == '.')
        name = str_printf(m->arena, "c%s", name);
    if (!m->names) {
        m->names = NEW(m->arena, Names);
        m->names->arena = m->arena;
    }
    return names_unique(m->names, name);
}

static void row_major_strides(Type t, int64_t *stride)
{
    int64_t step = 1;
    for (uint32_t d = t.rank; d-- > 0; step *= t.dim[d])
        stride[d] = step;
}

static ConstId pool_add(Module *m, Const *c, const char *name)
{
    c->name = unique_name(m, name);
    if (!c->facts)
        c->facts = NEW(m->arena, ConstFacts);
    c->slots = NEW(m->arena, ConstSlots);
    c->tables = NEW(m->arena, const struct SearchTable *);
    vec_push(m->arena, m->consts, c);
    return (ConstId)(m->consts.len - 1);
}

ConstId const_add(Module *m, const char *name, Type type, const void *data, Span span)
{
    if (!type_valid(type))
        ICE("constant `%s` has an invalid type", name ? name : "");
    Const *c = NEW(m->arena, Const);
    c->kind = CONST_TENSOR;
    c->type = type;
    c->data = data;
    c->span = span;
    row_major_strides(type, c->stride);
    return pool_add(m, c, name);
}

Const *const_get(const Module *m, ConstId id)
{
    if (id == 0 || id >= m->consts.len)
        ICE("no constant number %u", id);
    return m->consts.at[id];
}

static Const *const_view(Module *m, const Const *of)
{
    Const *c = NEW(m->arena, Const);
    *c = *of;
    c->hashed = false;
    c->ascends = 0;
    c->slot_nonzeros = NULL;
    return c;
}

ConstId const_transposed(Module *m, ConstId id, const uint32_t *perm)
{
    const Const *of = const_get(m, id);
    Const *c = const_view(m, of);
    for (uint32_t d = 0; d < of->type.rank; d++) {
        c->type.dim[d] = of->type.dim[perm[d]];
        c->stride[d] = of->stride[perm[d]];
    }
    return pool_add(m, c, of->name);
}

ConstId const_reshaped(Module *m, ConstId id, uint32_t rank, const uint32_t *dim)
{
    const Const *of = const_get(m, id);
    Type type = type_with_dims(of->type, rank, dim);
    if (type_count(type) != type_count(of->type))
        ICE("reshape of @%s changes its number of elements", of->name);
    Const *c = const_view(m, of);
    c->type = type;
    row_major_strides(type, c->stride);
    if (!const_is_row_major(of)) {
        void *copy = arena_big(m->arena, const_bytes(of), 64);
        const_copy(of, copy);
        c->data = copy;
    }
    return pool_add(m, c, of->name);
}

ConstId const_stack(Module *m, ConstId tensor)
{
    const Const *of = const_get(m, tensor);
    if (of->kind != CONST_TENSOR || of->type.rank < 1)
        ICE("@%s cannot be read as a stack", of->name);
    Const *c = const_view(m, of);
    c->kind = CONST_STACK;
    return pool_add(m, c, of->name);
}

ConstId const_tree(Module *m, const char *name, const Tree *tree, Span span)
{
    Const *c = NEW(m->arena, Const);
    c->kind = CONST_TREE;
    c->type = tree->key;
    c->tree = tree;
    c->span = span;
    return pool_add(m, c, name);
}

ConstId const_splat_f64(Module *m, const char *name, Type type, double value)
{
    uint64_t n = type_count(type);
    uint32_t size = type_element_bytes(type);
    uint8_t *data = arena_array(m->arena, n, size);
    for (uint64_t i = 0; i < n; i++) {
        if (type.elem == ELEM_F32) {
            memcpy(data + i * size, &(float){(float)value}, size);
        } else if (type.elem == ELEM_F64) {
            memcpy(data + i * size, &value, size);
        } else {
            int64_t v = (int64_t)value;
            memset(data + i * size, v < 0 ? 0xff : 0, size);
            memcpy(data + i * size, &v, size < 8 ? size : 8);
        }
    }
    return const_add(m, name, type, data, NOWHERE);
}

bool const_is_row_major(const Const *c)
{
    int64_t step = 1;
    for (uint32_t d = c->type.rank; d-- > 0; step *= c->type.dim[d])
        if (c->type.dim[d] > 1 && c->stride[d] != step)
            return false;
    return true;
}

uint64_t const_bytes(const Const *c)
{
    if (c->kind != CONST_TREE)
        return type_count(c->type) * type_element_bytes(c->type);
    const Tree *t = c->tree;
    return (uint64_t)t->n_nodes * (type_element_bytes(t->key) + sizeof(TreeNode)) + (uint64_t)t->n_leaves * sizeof(TreeLeaf);
}

/* Copies a rows x cols plane, in tiles so that either side's cache lines are used whole. */
static void copy_plane(uint8_t *out, const uint8_t *in, uint64_t rows, uint64_t cols, int64_t row_step, int64_t col_step, size_t size)
{
    enum { TILE = 32 };
    if (col_step == 1) {
        for (uint64_t r = 0; r < rows; r++)
            memcpy(out + r * cols * size, in + (int64_t)r * row_step * (int64_t)size, cols * size);
        return;
    }
    for (uint64_t r0 = 0; r0 < rows; r0 += TILE)
        for (uint64_t c0 = 0; c0 < cols; c0 += TILE)
            for (uint64_t r = r0; r < rows && r < r0 + TILE; r++)
                for (uint64_t c = c0; c < cols && c < c0 + TILE; c++)
                    memcpy(out + (r * cols + c) * size,
                           in + ((int64_t)r * row_step + (int64_t)c * col_step) * (int64_t)size, size);
}

/* Copies dims [d, rank) of the view that starts at `in`; returns the end of what was written. */
static uint8_t *copy_dims(const Const *c, uint32_t d, const uint8_t *in, uint8_t *out)
{
    size_t size = type_element_bytes(c->type);
    uint32_t left = c->type.rank - d;
    if (left <= 2) {
        uint64_t rows = left == 2 ? c->type.dim[d] : 1, cols = left >= 1 ? c->type.dim[c->type.rank - 1] : 1;
        copy_plane(out, in, rows, cols, left == 2 ? c->stride[d] : 0, left >= 1 ? c->stride[c->type.rank - 1] : 1, size);
        return out + rows * cols * size;
    }
    for (uint32_t i = 0; i < c->type.dim[d]; i++)
        out = copy_dims(c, d + 1, in + (int64_t)i * c->stride[d] * (int64_t)size, out);
    return out;
}

void const_copy(const Const *c, void *out)
{
    uint64_t bytes = const_bytes(c);
    if (bytes == 0)
        return;
    if (const_is_row_major(c))
        memcpy(out, c->data, bytes);
    else
        copy_dims(c, 0, c->data, out);
}

const uint8_t *const_element(const Const *c, uint64_t i)
{
    int64_t at = 0;
    for (uint32_t d = c->type.rank; d-- > 0; i /= c->type.dim[d])
        at += (int64_t)(i % c->type.dim[d]) * c->stride[d];
    return c->data + at * (int64_t)type_element_bytes(c->type);
}

static double element_f64(Type type, const uint8_t *at)
{
    uint32_t size = type_element_bytes(type);
    if (type.elem == ELEM_F32) {
        float f;
        memcpy(&f, at, sizeof f);
        return (double)f;
    }
    if (type.elem == ELEM_F64) {
        double d;
        memcpy(&d, at, sizeof d);
        return d;
    }
    int64_t v = size < 8 && (at[size - 1] & 0x80) ? -1 : 0;
    memcpy(&v, at, size < 8 ? size : 8);
    return (double)v;
}

double const_f64(const Const *c, uint64_t i)
{
    return element_f64(c->type, const_element(c, i));
}

/* ---- facts about all elements ---- */

/* Whether the elements are those of one stretch of memory, each once, as in every transposed view of a whole tensor: then
 * dims of more than one element, by rising stride, continue each other. */
static bool fills_memory(const Const *c)
{
    uint64_t step = 1, n = type_count(c->type);
    while (step < n) {
        uint32_t d = 0;
        while (d < c->type.rank && (c->type.dim[d] < 2 || (uint64_t)c->stride[d] != step))
            d++;
        if (d == c->type.rank)
            return false;
        step *= c->type.dim[d];
    }
    return true;
}

typedef struct Facts { uint64_t nonzero, not_finite; } Facts;

/* The elements of a stretch, by their bits. Blocks keep the counts as narrow as the elements, so that the loops become vector
 * code: large weights are read at the speed of memory. */
#define COUNT_ELEMENTS(NAME, UINT, BLOCK, NONZERO, NOT_FINITE) \
    static Facts NAME(const uint8_t *at, uint64_t n) \
    { \
        Facts all = {0}; \
        for (uint64_t from = 0, len; from < n; from += len) { \
            UINT nonzero = 0, not_finite = 0; \
            len = n - from < (BLOCK) ? n - from : (BLOCK); \
            for (uint64_t i = from; i < from + len; i++) { \
                UINT bits; \
                memcpy(&bits, at + i * sizeof bits, sizeof bits); \
                nonzero += NONZERO; \
                not_finite += NOT_FINITE; \
            } \
            all.nonzero += nonzero; \
            all.not_finite += not_finite; \
        } \
        return all; \
    }
COUNT_ELEMENTS(count_8, uint8_t, 255, bits != 0, 0)
COUNT_ELEMENTS(count_16, uint16_t, 65535, bits != 0, 0)
COUNT_ELEMENTS(count_32, uint32_t, 1 << 20, bits != 0, 0)
COUNT_ELEMENTS(count_64, uint64_t, 1 << 20, bits != 0, 0)

/* Floats without comparisons, which plain x86-64 has none of for 64 bits: without its sign, a number that is not zero carries
 * into the top bit when all below it are added; an exponent of ones does when its last one is. */
#define F64_MAGNITUDE UINT64_C(0x7fffffffffffffff)
#define F64_EXPONENT  UINT64_C(0x7ff0000000000000)
COUNT_ELEMENTS(count_f32, uint32_t, 1 << 20, ((bits & 0x7fffffff) + 0x7fffffff) >> 31, ((bits & 0x7f800000) + 0x00800000) >> 31)
COUNT_ELEMENTS(count_f64, uint64_t, 1 << 20, ((bits & F64_MAGNITUDE) + F64_MAGNITUDE) >> 63,
               ((bits & F64_EXPONENT) + UINT64_C(0x0010000000000000)) >> 63)

/* Any elements, one by one. */
static Facts count_slowly(const Const *c)
{
    Facts all = {0};
    for (uint64_t i = 0, n = type_count(c->type); i < n; i++) {
        all.nonzero += !const_element_is_zero(c, const_element(c, i));
        all.not_finite += type_is_float(c->type) && !isfinite(const_f64(c, i));
    }
    return all;
}

static Facts count_elements(const Const *c)
{
    uint64_t n = type_count(c->type);
    uint32_t size = type_element_bytes(c->type);
    if (n == 0 || size > 8 || !fills_memory(c))
        return count_slowly(c);
    if (c->type.elem == ELEM_F32)
        return count_f32(c->data, n);
    if (c->type.elem == ELEM_F64)
        return count_f64(c->data, n);
    return (size == 1 ? count_8 : size == 2 ? count_16 : size == 4 ? count_32 : count_64)(c->data, n);
}

static ConstFacts facts_of(const Const *c)
{
    if (c->kind == CONST_TREE)
        return (ConstFacts){.known = true, .all_finite = true};
    if (c->facts && c->facts->known)
        return *c->facts;
    Facts counts = count_elements(c);
    ConstFacts facts = {.known = true, .all_finite = !type_is_float(c->type) || counts.not_finite == 0, .nonzeros = counts.nonzero};
    if (c->facts)
        *c->facts = facts;
    return facts;
}

/* Elements at any address. */
typedef float f32u __attribute__((aligned(1), may_alias));
typedef double f64u __attribute__((aligned(1), may_alias));
typedef int32_t i32u __attribute__((aligned(1), may_alias));
typedef int64_t i64u __attribute__((aligned(1), may_alias));

#define ASCENDS(T, at, n) \
    do { \
        const T *v = (const T *)(at); \
        for (uint64_t i = 1; i < (n); i++) \
            if (!(v[i - 1] < v[i])) \
                return false; \
        return (n) == 0 || v[0] == v[0]; \
    } while (0)

/* Millions of keys are asked about. */
static bool vector_ascends(const Const *c)
{
    uint64_t n = type_count(c->type);
    if (c->type.elem == ELEM_F32)
        ASCENDS(f32u, c->data, n);
    if (c->type.elem == ELEM_F64)
        ASCENDS(f64u, c->data, n);
    if (type_element_bytes(c->type) == 4)
        ASCENDS(i32u, c->data, n);
    ASCENDS(i64u, c->data, n);
}

static bool rows_ascend(const Const *c)
{
    uint32_t size = type_element_bytes(c->type);
    if (c->type.rank == 1 && const_is_row_major(c) && (size == 4 || size == 8))
        return vector_ascends(c);
    uint64_t rows = c->type.rank ? c->type.dim[0] : 1, row = rows ? type_count(c->type) / rows : 0;
    for (uint64_t i = 1; i < rows; i++) {
        int order = 0;
        for (uint64_t k = 0; k < row && order == 0; k++)
            order = element_order(c->type, const_element(c, (i - 1) * row + k), const_element(c, i * row + k));
        if (order != -1)
            return false;
    }
    /* Of one row, or behind the coordinate that decides, nothing was compared: NaN may be there. */
    for (uint64_t i = 0, n = type_count(c->type); type_is_float(c->type) && i < n; i++)
        if (element_order(c->type, const_element(c, i), const_element(c, i)) != 0)
            return false;
    return true;
}

bool const_ascends(Const *c)
{
    if (c->ascends == 0)
        c->ascends = rows_ascend(c) ? 1 : -1;
    return c->ascends > 0;
}

bool const_all_finite(const Const *c)
{
    return facts_of(c).all_finite;
}

uint64_t const_nonzeros(const Const *c)
{
    return facts_of(c).nonzeros;
}

/* Of rows that lie one after the other, neighbours in a row beside each other. */
#define COUNT_ROWS(NAME, UINT) \
    static void NAME(const Const *c, UINT magnitude, uint64_t *counts) \
    { \
        for (uint32_t r = 0; r < c->type.dim[0]; r++) { \
            const uint8_t *row = c->data + (int64_t)r * c->stride[0] * (int64_t)sizeof(UINT); \
            for (uint32_t k = 0; k < c->type.dim[1]; k++) { \
                UINT bits; \
                memcpy(&bits, row + k * sizeof bits, sizeof bits); \
                counts[k] += (bits & magnitude) != 0; \
            } \
        } \
    }
COUNT_ROWS(count_rows_32, uint32_t)
COUNT_ROWS(count_rows_64, uint64_t)

bool const_element_is_zero(const Const *c, const uint8_t *at)
{
    static const uint8_t zero[IR_MAX_INT_BITS / 8];
    return type_is_float(c->type) ? element_f64(c->type, at) == 0 : memcmp(at, zero, type_element_bytes(c->type)) == 0;
}

void const_row_slots(const Const *c, uint32_t chains, uint32_t *slots)
{
    int64_t size = type_element_bytes(c->type);
    if (c->slots->chains != chains) {
        *c->slots = (ConstSlots){.chains = chains};
        for (uint32_t r = 0; r < c->type.dim[0]; r++) {
            uint32_t n[IR_MAX_CHAINS] = {0};
            const uint8_t *row = c->data + r * c->stride[0] * size;
            for (uint32_t k = 0; k < c->type.dim[1]; k++)
                n[k % chains] += !const_element_is_zero(c, row + k * c->stride[1] * size);
            for (uint32_t i = 0; i < chains; i++)
                c->slots->most[i] = n[i] > c->slots->most[i] ? n[i] : c->slots->most[i];
        }
    }
    memcpy(slots, c->slots->most, chains * sizeof *slots);
}

void const_nonzeros_by_column(const Const *c, uint64_t *counts)
{
    bool floats = type_is_float(c->type), rows_first = c->stride[1] == 1;
    uint32_t size = type_element_bytes(c->type);
    memset(counts, 0, c->type.dim[1] * sizeof *counts);
    if (rows_first && size == 4) {
        count_rows_32(c, floats ? INT32_MAX : UINT32_MAX, counts);
        return;
    }
    if (rows_first && size == 8) {
        count_rows_64(c, floats ? INT64_MAX : UINT64_MAX, counts);
        return;
    }
    Const column = *c;
    column.type = type_vector(type_element(c->type), c->type.dim[0]);
    for (uint32_t k = 0; k < c->type.dim[1]; k++) {
        column.data = c->data + (int64_t)k * c->stride[1] * (int64_t)size;
        counts[k] = count_elements(&column).nonzero;
    }
}

Const const_slot(const Const *stack, uint32_t i)
{
    Const slot = *stack;
    slot.kind = CONST_TENSOR;
    slot.type = type_with_dims(stack->type, stack->type.rank - 1, stack->type.dim + 1);
    memcpy(slot.stride, stack->stride + 1, (IR_MAX_RANK - 1) * sizeof *slot.stride);
    if (slot.data)
        slot.data += (int64_t)i * stack->stride[0] * (int64_t)type_element_bytes(stack->type);
    slot.hashed = false;
    slot.facts = NULL;                       /* what is known of the stack is not known of it */
    slot.slots = NULL;
    slot.slot_nonzeros = NULL;
    slot.ascends = 0;
    return slot;
}

const uint64_t *const_slot_nonzeros(const Module *m, ConstId stack)
{
    Const *c = const_get(m, stack);
    if (!c->slot_nonzeros) {
        uint64_t *counts = NEW_ARRAY(m->arena, (size_t)c->type.dim[0] + 1, uint64_t);
        for (uint32_t i = 0; i < c->type.dim[0]; i++) {
            Const slot = const_slot(c, i);
            counts[i] = const_nonzeros(&slot);
        }
        c->slot_nonzeros = counts;
    }
    return c->slot_nonzeros;
}

static Hash128 hash_more(Hash128 so_far, const void *at, size_t len)
{
    Hash128 pair[2] = {so_far, hash_bytes(at, len)};
    return hash_bytes(pair, sizeof pair);
}

static Hash128 hash_tree(const Tree *t, Hash128 h)
{
    h = hash_more(h, (uint32_t[]){t->n_keys, t->n_nodes, t->n_leaves, t->n_classes, t->n_slots}, 5 * sizeof(uint32_t));
    h = hash_more(h, t->threshold, (size_t)t->n_nodes * type_element_bytes(t->key));
    h = hash_more(h, t->node, t->n_nodes * sizeof *t->node);
    return hash_more(h, t->leaf, t->n_leaves * sizeof *t->leaf);
}

/* Contents are hashed slice by slice of the first dim, so that a transposed view needs no whole copy; the value is the
 * same for every layout of the same contents. */
Hash128 const_hash(Const *c)
{
    if (c->hashed)
        return c->hash;
    Hash128 h = hash_bytes(&c->type, sizeof c->type);
    h = hash_more(h, &(uint32_t){(uint32_t)c->kind}, sizeof(uint32_t));
    if (c->kind == CONST_TREE) {
        h = hash_tree(c->tree, h);
    } else if (const_bytes(c) > 0) {
        Arena *scratch = arena_new(NULL);
        if (!scratch)
            ICE("out of memory while hashing @%s", c->name);
        uint32_t slices = c->type.rank > 0 ? c->type.dim[0] : 1;
        Const slice = *c;
        if (c->type.rank > 0) {
            slice.type = type_with_dims(c->type, c->type.rank - 1, c->type.dim + 1);
            memcpy(slice.stride, c->stride + 1, (IR_MAX_RANK - 1) * sizeof *c->stride);
        }
        size_t bytes = const_bytes(&slice);
        bool direct = const_is_row_major(&slice);
        uint8_t *copy = direct ? NULL : arena_alloc(scratch, bytes);
        for (uint32_t i = 0; i < slices; i++) {
            slice.data = c->data + (c->type.rank > 0 ? (int64_t)i * c->stride[0] * (int64_t)type_element_bytes(c->type) : 0);
            if (!direct)
                const_copy(&slice, copy);
            h = hash_more(h, direct ? slice.data : copy, bytes);
        }
        arena_free(scratch);
    }
    c->hash = h;
    c->hashed = true;
    return h;
}

/* Equal contents in the same layout. Different layouts of equal contents stay apart: making them one would cost a copy. */
static bool same_storage(const Const *a, const Const *b)
{
    if (a->kind != b->kind || !type_equal(a->type, b->type) || a->kind == CONST_TREE)
        return false;
    for (uint32_t d = 0; d < a->type.rank; d++)
        if (a->type.dim[d] > 1 && a->stride[d] != b->stride[d])
            return false;
    return a->data == b->data || (const_is_row_major(a) && memcmp(a->data, b->data, const_bytes(a)) == 0);
}

/* A cheap key: the type and a few elements; candidates are compared whole. */
static uint64_t storage_key(const Const *c)
{
    Hash128 h = hash_bytes(&c->type, sizeof c->type);
    if (c->kind != CONST_TREE && const_bytes(c) > 0) {
        uint64_t n = type_count(c->type);
        for (uint64_t i = 0; i < 16; i++)
            h = hash_more(h, const_element(c, i * (n - 1) / 15), type_element_bytes(c->type));
    }
    return h.lo;
}

/* The one that stays of those equal to a constant; it may have been dropped before, when nobody mentioned it. */
static ConstId kept_for(Module *m, const ConstId *to, ConstId id)
{
    const_get(m, to[id])->dropped = false;
    return to[id];
}

void const_dedup(Module *m)
{
    size_t n = m->consts.len, cap = 64;
    while (cap < 2 * n)
        cap *= 2;
    Arena *scratch = arena_new(m->arena);
    if (!scratch)
        arena_exhausted(m->arena);
    ConstId *table = NEW_ARRAY(scratch, cap, ConstId), *to = NEW_ARRAY(scratch, n, ConstId);
    for (ConstId id = 1; id < n; id++) {
        const Const *c = m->consts.at[id];
        size_t at = (size_t)storage_key(c) & (cap - 1);
        while (table[at] && !same_storage(m->consts.at[table[at]], c))
            at = (at + 1) & (cap - 1);
        if (!table[at])
            table[at] = id;
        to[id] = table[at];
    }
    for (size_t k = 0; k < m->networks.len; k++) {
        Network *net = m->networks.at[k];
        OpWalk walk;
        FOR_EACH_OP (walk, op, net)
            for (int s = 0; s < OP_MAX_CONSTS; s++)
                op->cst[s] = op->cst[s] ? kept_for(m, to, op->cst[s]) : 0;
        for (uint32_t i = 0; i < net->n_inputs; i++)
            net->input[i].box = net->input[i].box ? kept_for(m, to, net->input[i].box) : 0;
    }
    arena_free(scratch);
}

void const_drop_unused(Module *m)
{
    for (ConstId id = 1; id < m->consts.len; id++)
        m->consts.at[id]->dropped = true;
    for (size_t k = 0; k < m->networks.len; k++) {
        const Network *net = m->networks.at[k];
        OpWalk walk;
        FOR_EACH_OP (walk, op, net)
            for (int s = 0; s < OP_MAX_CONSTS; s++)
                if (op->cst[s])
                    const_get(m, op->cst[s])->dropped = false;
        for (uint32_t i = 0; i < net->n_inputs; i++)
            if (net->input[i].box)
                const_get(m, net->input[i].box)->dropped = false;
    }
}
