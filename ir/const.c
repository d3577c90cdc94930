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

/* Whether the elements fill one stretch of memory in some order, as every transposed view of a whole tensor does. */
static bool fills_memory(const Const *c)
{
    uint64_t n = type_count(c->type), last = 0;
    for (uint32_t d = 0; d < c->type.rank && n > 0; d++)
        last += (uint64_t)(c->type.dim[d] - 1) * (uint64_t)c->stride[d];
    return n > 0 && last == n - 1;
}

typedef enum Trait { TRAIT_finite, TRAIT_nonzero } Trait;

static bool has_trait(Type type, const uint8_t *at, Trait trait)
{
    static const uint8_t zero[IR_MAX_INT_BITS / 8];
    if (trait == TRAIT_finite)
        return isfinite(element_f64(type, at));
    return type_is_float(type) ? element_f64(type, at) != 0 : memcmp(at, zero, type_element_bytes(type)) != 0;
}

/* The same over a stretch of f32, the type of nearly all weights: a loop that a compiler makes vectors of. */
static uint64_t count_f32(const uint8_t *at, uint64_t n, Trait trait)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, at + i * sizeof bits, sizeof bits);
        count += trait == TRAIT_finite ? (bits & 0x7f800000u) != 0x7f800000u : (bits & 0x7fffffffu) != 0;
    }
    return count;
}

/* How many elements have the trait; in memory order when possible, since order does not matter here. */
static uint64_t count_elements(const Const *c, Trait trait)
{
    uint64_t n = type_count(c->type), count = 0;
    uint32_t size = type_element_bytes(c->type);
    bool linear = fills_memory(c);
    if (linear && c->type.elem == ELEM_F32)
        return count_f32(c->data, n, trait);
    for (uint64_t i = 0; i < n; i++)
        count += has_trait(c->type, linear ? c->data + i * size : const_element(c, i), trait);
    return count;
}

bool const_all_finite(const Const *c)
{
    return c->kind == CONST_TREE || !type_is_float(c->type) || count_elements(c, TRAIT_finite) == type_count(c->type);
}

uint64_t const_nonzeros(const Const *c)
{
    return c->kind == CONST_TREE ? 0 : count_elements(c, TRAIT_nonzero);
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
                op->cst[s] = op->cst[s] ? to[op->cst[s]] : 0;
        for (uint32_t i = 0; i < net->n_inputs; i++)
            net->input[i].box = net->input[i].box ? to[net->input[i].box] : 0;
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
