/* print_const.c — constants as text: small ones in place, large ones by hash, their bytes in the side file.
 *
 * In: the pool of constants. Out: one `const` line each, in order, and the side file:
 *
 *      offset 0    "cnet constants 1\n", zeros up to 64
 *      offset 64k  the row-major elements of a constant; of a tree its thresholds, nodes and leaves, each at a multiple of 64
 *
 * so that the reader can map it and use every constant where it lies. The one idea: what shares bytes in memory shares
 * them in the text: a transposed weight matrix is a `view` of the other.
 */
#include "text.h"

#include <inttypes.h>
#include <string.h>

typedef struct ConstPrinter {
    const Module *m;
    FILE *out;
    const PrintOptions *options;
    uint64_t offset;                             /* in the side file */
    Arena *scratch;
    struct { const void *data; ConstId id; } *base;   /* by address: the first constant that has its bytes in order */
    size_t base_cap;
} ConstPrinter;

/* ---- views ---- */

/* The slot of an address in an open-addressed table that is never full. */
static size_t base_slot(const ConstPrinter *p, const void *data)
{
    size_t i = (size_t)hash_bytes(&data, sizeof data).lo & (p->base_cap - 1);
    while (p->base[i].data && p->base[i].data != data)
        i = (i + 1) & (p->base_cap - 1);
    return i;
}

/* The constant that `c` is a view of; NULL: it must be written itself. A base comes earlier in the text. */
static const Const *base_of(ConstPrinter *p, ConstId id)
{
    const Const *c = const_get(p->m, id);
    size_t slot = base_slot(p, c->data);
    if (p->base[slot].data) {
        const Const *base = const_get(p->m, p->base[slot].id);
        if (type_same_element(base->type, c->type) && type_count(base->type) == type_count(c->type))
            return base;
        return NULL;
    }
    if (const_is_row_major(c)) {
        p->base[slot].data = c->data;
        p->base[slot].id = id;
    }
    return NULL;
}

static void print_view(ConstPrinter *p, const Const *c, const Const *base)
{
    fprintf(p->out, "view @%s [", base->name);
    for (uint32_t d = 0; d < c->type.rank; d++)
        fprintf(p->out, "%s%" PRId64, d ? ", " : "", c->stride[d]);
    fputs("]\n", p->out);
}

/* ---- contents in the text ---- */

static uint64_t print_elements(FILE *out, const Const *c, uint32_t d, uint64_t i)
{
    if (d == c->type.rank) {
        element_print(out, c->type, const_element(c, i));
        return i + 1;
    }
    fputc('[', out);
    for (uint32_t k = 0; k < c->type.dim[d]; k++) {
        fputs(k ? ", " : "", out);
        i = print_elements(out, c, d + 1, i);
    }
    fputc(']', out);
    return i;
}

static void print_tree(FILE *out, const Tree *tree)
{
    uint32_t size = type_element_bytes(tree->key);
    fputs("[", out);
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        const TreeNode *node = &tree->node[i];
        fprintf(out, "%s[%u] > ", i ? ", " : "", node->coordinate);
        element_print(out, tree->key, tree->threshold + (size_t)i * size);
        for (int right = 1; right >= 0; right--) {
            int32_t child = node->child[right];
            fprintf(out, " %c %s%d", right ? '?' : ':', child < 0 ? "~" : "", child < 0 ? ~child : child);
        }
    }
    fputs("], [", out);
    for (uint32_t i = 0; i < tree->n_leaves; i++)
        fprintf(out, "%s%u:%u", i ? ", " : "", tree->leaf[i].class_, tree->leaf[i].slot);
    fputs("]\n", out);
}

static void print_inline(ConstPrinter *p, const Const *c)
{
    if (c->kind == CONST_TREE) {
        print_tree(p->out, c->tree);
        return;
    }
    if (type_count(c->type) == 0) /* whatever its other extents */
        fputs("[]", p->out);
    else
        print_elements(p->out, c, 0, 0);
    fputc('\n', p->out);
}

static bool is_inline(const ConstPrinter *p, const Const *c)
{
    if (p->options->inline_all)
        return true;
    return c->kind == CONST_TREE ? c->tree->n_nodes <= TEXT_INLINE && c->tree->n_leaves <= TEXT_INLINE + 1
                                 : type_count(c->type) <= TEXT_INLINE;
}

/* ---- contents in the side file ---- */

static uint64_t aligned(uint64_t offset)
{
    return (offset + TEXT_ALIGN - 1) / TEXT_ALIGN * TEXT_ALIGN;
}

TreeLayout tree_layout(const Tree *tree)
{
    TreeLayout at;
    at.nodes = aligned((uint64_t)tree->n_nodes * type_element_bytes(tree->key));
    at.leaves = aligned(at.nodes + (uint64_t)tree->n_nodes * sizeof(TreeNode));
    at.bytes = at.leaves + (uint64_t)tree->n_leaves * sizeof(TreeLeaf);
    return at;
}

static void put(ConstPrinter *p, const void *at, uint64_t n)
{
    if (p->options->data && n > 0)
        fwrite(at, 1, n, p->options->data);
    p->offset += n;
}

static void pad(ConstPrinter *p)
{
    static const uint8_t zeros[TEXT_ALIGN];
    put(p, zeros, aligned(p->offset) - p->offset);
}

/* A view without its base is written slice by slice of its first dim: no second copy of the whole in memory. */
static void put_tensor(ConstPrinter *p, const Const *c)
{
    if (const_is_row_major(c)) {
        put(p, c->data, const_bytes(c));
        return;
    }
    Const slice = *c;
    slice.type = type_with_dims(c->type, c->type.rank - 1, c->type.dim + 1);
    memcpy(slice.stride, c->stride + 1, (IR_MAX_RANK - 1) * sizeof *c->stride);
    uint64_t bytes = const_bytes(&slice);
    uint8_t *copy = arena_big(p->scratch, bytes, TEXT_ALIGN);
    for (uint32_t i = 0; i < c->type.dim[0]; i++) {
        slice.data = c->data + (int64_t)i * c->stride[0] * (int64_t)type_element_bytes(c->type);
        const_copy(&slice, copy);
        put(p, copy, bytes);
    }
}

static void put_tree(ConstPrinter *p, const Tree *tree)
{
    put(p, tree->threshold, (uint64_t)tree->n_nodes * type_element_bytes(tree->key));
    pad(p);
    put(p, tree->node, tree->n_nodes * sizeof *tree->node);
    pad(p);
    put(p, tree->leaf, tree->n_leaves * sizeof *tree->leaf);
}

static void print_outside(ConstPrinter *p, Const *c)
{
    if (p->options->data_name) {
        pad(p);
        fprintf(p->out, "data %" PRIu64 " ", p->offset);
        if (c->kind == CONST_TREE)
            put_tree(p, c->tree);
        else
            put_tensor(p, c);
    }
    Hash128 hash = const_hash(c);
    fprintf(p->out, "xxh %016" PRIx64 "%016" PRIx64 "\n", hash.hi, hash.lo);
}

/* ---- lines ---- */

static void print_one(ConstPrinter *p, ConstId id)
{
    Const *c = const_get(p->m, id);
    char *type = type_print(p->scratch, c->type);
    fprintf(p->out, "const @%s : %s%s", c->name, c->kind == CONST_STACK ? "stack " : c->kind == CONST_TREE ? "tree " : "", type);
    if (c->kind == CONST_TREE)
        fprintf(p->out, " keys %u nodes %u leaves %u classes %u slots %u", c->tree->n_keys, c->tree->n_nodes, c->tree->n_leaves,
                c->tree->n_classes, c->tree->n_slots);
    fputs(" = ", p->out);
    bool small = type_count(c->type) <= TEXT_INLINE; /* what small constants share is not worth a word */
    const Const *base = c->kind == CONST_TREE || small ? NULL : base_of(p, id);
    if (base)
        print_view(p, c, base);
    else if (is_inline(p, c))
        print_inline(p, c);
    else
        print_outside(p, c);
}

bool ir_needs_data(const Module *m)
{
    ConstPrinter printer = {.m = m, .options = &(PrintOptions){0}, .scratch = arena_new(m->arena)}, *p = &printer;
    if (!p->scratch)
        arena_exhausted(m->arena);
    bool needs = false;
    for (ConstId id = 1; id < m->consts.len; id++)
        needs |= !m->consts.at[id]->dropped && !is_inline(p, m->consts.at[id]);
    arena_free(p->scratch);
    return needs;
}

void print_consts(const Module *m, FILE *out, const PrintOptions *options)
{
    ConstPrinter printer = {.m = m, .out = out, .options = options, .scratch = arena_new(m->arena)}, *p = &printer;
    if (!p->scratch)
        arena_exhausted(m->arena);
    for (p->base_cap = 64; p->base_cap < 2 * m->consts.len;)
        p->base_cap *= 2;
    p->base = arena_array(p->scratch, p->base_cap, sizeof *p->base);
    if (options->data_name && !options->inline_all) {
        put(p, TEXT_MAGIC, strlen(TEXT_MAGIC));
        pad(p);
    }
    bool any = false;
    for (ConstId id = 1; id < m->consts.len; id++)
        if (m->consts.at[id] && !m->consts.at[id]->dropped) {
            print_one(p, id);
            any = true;
        }
    if (any)
        fputc('\n', out);
    arena_free(p->scratch);
}
