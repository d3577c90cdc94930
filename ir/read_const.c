/* read_const.c — `const` lines and the side file.
 *
 * In: lines such as
 *
 *      const @W : f32[2,2] = [[0x1p+0, 0x1p+0], [0x1p+0, 0x1p+0]]
 *      const @V : f32[50,50] = data 64 xxh 0123456789abcdef0123456789abcdef
 *      const @Vt : f32[50,50] = view @V [1, 50]
 *      const @T : tree i32 keys 2 nodes 1 leaves 2 classes 1 slots 2 = [[0] > 5 ? ~1 : ~0], [0:0, 0:1]
 *
 * Out: constants in the pool. The one idea: nothing is believed. What a line says it holds is compared with what the text
 * or the side file has left before anything is allocated, and the bytes of the side file, which are used where they
 * are mapped, are compared with their hash.
 */
#include "read.h"

#include <inttypes.h>
#include <string.h>

/* ---- elements in the text ---- */

typedef struct Filler {
    Reader *r;
    Type type;
    uint8_t *at;
} Filler;

static bool fill_element(Filler *f)
{
    Reader *r = f->r;
    const char *why = "an element";
    Token token = r->token;
    bool nan = read_at_word(r, "nan"); /* nan(0x7fc00001): its bits are in parentheses */
    if (token.kind != TOKEN_NUMBER && token.kind != TOKEN_WORD)
        return read_unexpected(r, str_printf(r->scratch, "an element of type %s", type_print(r->scratch, type_element(f->type))));
    read_next(r);
    if (nan && read_accept(r, '(')) {
        read_next(r);
        if (!read_expect(r, ')', "after the bits of a NaN"))
            return false;
        token.end = r->last_end;
    }
    if (!element_parse(r->scratch, r->locale, f->type, r->lex.text + token.begin, token.end - token.begin, f->at, &why))
        return READ_FAIL(r, read_span(r, token), "this is no %s: expected %s", type_print(r->scratch, type_element(f->type)), why);
    f->at += type_element_bytes(f->type);
    return true;
}

static bool fill(Filler *f, uint32_t d)
{
    Reader *r = f->r;
    if (d == f->type.rank)
        return fill_element(f);
    Span open = read_span(r, r->token);
    if (!read_expect(r, '[', "before the elements"))
        return false;
    for (uint32_t k = 0; k < f->type.dim[d]; k++) {
        if (read_at(r, ']'))
            return READ_FAIL(r, open, "expected %u elements in this list, found %u", f->type.dim[d], k);
        if ((k > 0 && !read_expect(r, ',', "between elements")) || !fill(f, d + 1))
            return false;
    }
    if (read_at(r, ','))
        return READ_FAIL(r, open, "expected %u elements in this list, found more", f->type.dim[d]);
    return read_expect(r, ']', "after the elements");
}

/* Whether the rest of the text can hold so many elements; else a line could ask for any amount of memory. */
static bool text_can_hold(Reader *r, Type element, uint64_t count)
{
    uint64_t left = r->lex.len - r->token.begin, least = element_least_text(element);
    if (count <= left / least)
        return true;
    return READ_FAIL(r, read_span(r, r->token), "%" PRIu64 " element%s announced, and only %" PRIu64 " bytes of text are left", count,
                     count == 1 ? " is" : "s are", left);
}

static bool read_elements(Reader *r, Type type, uint8_t **data)
{
    uint64_t count = type_count(type);
    if (type.elem == ELEM_SET)
        return READ_FAIL(r, read_span(r, r->token), "a set cannot be a constant");
    *data = NULL;
    if (count == 0)
        return read_expect(r, '[', "for a constant without elements") && read_expect(r, ']', "for a constant without elements");
    if (!text_can_hold(r, type, count))
        return false;
    *data = arena_big(r->arena, count * type_element_bytes(type), TEXT_ALIGN);
    Filler filler = {r, type, *data};
    return fill(&filler, 0);
}

/* ---- trees in the text ---- */

/* ~3: leaf 3; 3: node 3. Ranges are the verifier's business. */
static bool read_child(Reader *r, int32_t *out)
{
    uint64_t v;
    bool leaf = read_accept(r, '~');
    if (!read_u64(r, leaf ? "the number of a leaf" : "the number of a node", INT32_MAX, &v))
        return false;
    *out = leaf ? ~(int32_t)v : (int32_t)v;
    return true;
}

/* [coordinate] > threshold ? right : left */
static bool read_tree_node(Reader *r, Type key, TreeNode *node, uint8_t *threshold)
{
    uint64_t coordinate;
    Filler filler = {r, key, threshold};
    if (!read_expect(r, '[', "before the coordinate that a node tests") ||
        !read_u64(r, "a coordinate", UINT32_MAX, &coordinate) || !read_expect(r, ']', "after the coordinate") ||
        !read_expect(r, '>', "before the threshold") || !fill_element(&filler) || !read_expect(r, '?', "before the right child") ||
        !read_child(r, &node->child[1]) || !read_expect(r, ':', "before the left child"))
        return false;
    node->coordinate = (uint32_t)coordinate;
    return read_child(r, &node->child[0]);
}

static bool read_tree_leaf(Reader *r, TreeLeaf *leaf)
{
    uint64_t class_, slot;
    if (!read_u64(r, "a class", UINT32_MAX, &class_) || !read_expect(r, ':', "between class and slot") ||
        !read_u64(r, "a slot", UINT32_MAX, &slot))
        return false;
    *leaf = (TreeLeaf){(uint32_t)class_, (uint32_t)slot};
    return true;
}

static bool read_tree_body(Reader *r, Tree *tree)
{
    uint32_t size = type_element_bytes(tree->key);
    if (!text_can_hold(r, tree->key, tree->n_nodes) || !text_can_hold(r, type_idx(1), tree->n_leaves))
        return false;
    uint8_t *threshold = arena_big(r->arena, (size_t)tree->n_nodes * size, TEXT_ALIGN);
    TreeNode *node = arena_big(r->arena, tree->n_nodes * sizeof *node, TEXT_ALIGN);
    TreeLeaf *leaf = arena_big(r->arena, tree->n_leaves * sizeof *leaf, TEXT_ALIGN);
    tree->threshold = threshold, tree->node = node, tree->leaf = leaf;
    if (!read_expect(r, '[', "before the nodes"))
        return false;
    for (uint32_t i = 0; i < tree->n_nodes; i++)
        if ((i > 0 && !read_expect(r, ',', "between nodes")) || !read_tree_node(r, tree->key, &node[i], threshold + (size_t)i * size))
            return false;
    if (!read_expect(r, ']', "after the nodes") || !read_expect(r, ',', "between nodes and leaves") ||
        !read_expect(r, '[', "before the leaves"))
        return false;
    for (uint32_t i = 0; i < tree->n_leaves; i++)
        if ((i > 0 && !read_expect(r, ',', "between leaves")) || !read_tree_leaf(r, &leaf[i]))
            return false;
    return read_expect(r, ']', "after the leaves");
}

/* keys 2 nodes 1 leaves 2 classes 1 slots 2 */
static bool read_tree_sizes(Reader *r, Tree *tree)
{
    const struct { const char *word; uint32_t *to; } sizes[] = {
        {"keys", &tree->n_keys}, {"nodes", &tree->n_nodes}, {"leaves", &tree->n_leaves},
        {"classes", &tree->n_classes}, {"slots", &tree->n_slots},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t v;
        if (!read_expect_word(r, sizes[i].word, "among the sizes of the tree") || !read_u64(r, sizes[i].word, INT32_MAX, &v))
            return false;
        *sizes[i].to = (uint32_t)v;
    }
    return true;
}

/* ---- the side file ---- */

bool read_side_file(Reader *r)
{
    if (r->token.kind != TOKEN_STRING)
        return read_unexpected(r, "the name of the side file in quotes");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    read_next(r);
    if (!*name || strchr(name, '/'))
        return READ_FAIL(r, read_span(r, token), "a side file lies beside its text, so its name has no directory");
    if (!r->directory)
        return READ_FAIL(r, read_span(r, token), "`%s` would lie beside this text, but this text is not in a file", name);
    const char *path = str_printf(r->scratch, "%s%s", r->directory, name);
    if (!file_read(r->arena, r->diags, read_span(r, token), path, &r->side))
        return false;
    size_t magic = strlen(TEXT_MAGIC);
    if (r->side.len < TEXT_ALIGN || memcmp(r->side.at, TEXT_MAGIC, magic) != 0)
        return READ_FAIL(r, read_span(r, token), "`%s` is not a side file of constants: it does not begin with `%.*s`", name,
                         (int)magic - 1, TEXT_MAGIC);
    r->has_side = true;
    return true;
}

/* 32 hexadecimal digits. */
static bool read_hash(Reader *r, Hash128 *out)
{
    Token token = r->token;
    uint64_t half[2] = {0, 0};
    bool good = (token.kind == TOKEN_NUMBER || token.kind == TOKEN_WORD) && token.end - token.begin == 32;
    for (uint32_t i = 0; good && i < 32; i++) {
        char c = r->lex.text[token.begin + i];
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        half[i / 16] = half[i / 16] << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (!good)
        return read_unexpected(r, "a hash of 32 hexadecimal digits");
    read_next(r);
    *out = (Hash128){half[0], half[1]};
    return true;
}

/* What stands in the text instead of contents. */
typedef struct Elsewhere {
    uint64_t offset;
    Hash128 hash;
    Span span;
} Elsewhere;

/* data OFFSET xxh HASH */
static bool read_outside(Reader *r, const char *name, uint64_t bytes, Elsewhere *out)
{
    uint32_t begin = r->token.begin;
    bool data = read_accept_word(r, "data");
    if (data && !read_u64(r, "an offset in the side file", INT64_MAX, &out->offset))
        return false;
    if (!read_expect_word(r, "xxh", "before the hash of the contents") || !read_hash(r, &out->hash))
        return false;
    out->span = read_since(r, begin);
    if (!data) {
        if (!r->said_missing)
            diag_error(r->diags, out->span, "the contents of `@%s` are not in this text, only their hash; write it with `-o FILE`, "
                       "which puts them beside it, or with `--inline-constants`", name);
        r->said_missing = true;
        return false;
    }
    if (!r->has_side) {
        if (!r->said_missing)
            diag_error(r->diags, out->span, "no line `data \"FILE\"` above names a side file for the contents of `@%s`", name);
        r->said_missing = true;
        return false;
    }
    if (out->offset % TEXT_ALIGN != 0 || out->offset < TEXT_ALIGN)
        return READ_FAIL(r, out->span, "offset %" PRIu64 ": constants start at positive multiples of %d", out->offset, TEXT_ALIGN);
    if (out->offset > r->side.len || bytes > r->side.len - out->offset)
        return READ_FAIL(r, out->span, "the side file has %zu bytes; `@%s` would need %" PRIu64 " from offset %" PRIu64, r->side.len,
                         name, bytes, out->offset);
    return true;
}

static bool check_hash(Reader *r, ConstId id, const Elsewhere *outside)
{
    Const *c = const_get(r->m, id);
    if (hash_equal(const_hash(c), outside->hash))
        return true;
    return READ_FAIL(r, outside->span, "the contents of `@%s` in the side file have another hash: %016" PRIx64 "%016" PRIx64
                                       "; text and side file are not of one piece", c->name, c->hash.hi, c->hash.lo);
}

/* ---- views ---- */

/* view @W [1, 50]: element (i, j) is element 1*i + 50*j of @W. As many elements as @W, so no memory is made up. */
static bool read_view(Reader *r, Type type, const Const **base, int64_t *stride)
{
    uint32_t begin = r->token.begin;
    ConstId id;
    bool broken;
    if (!read_const_name(r, &id, &broken))
        return false;
    *base = const_get(r->m, id);
    if ((*base)->kind == CONST_TREE || !const_is_row_major(*base) || !type_same_element((*base)->type, type) ||
        type_count((*base)->type) != type_count(type))
        return READ_FAIL(r, read_since(r, begin), "a view of type %s needs a tensor of as many elements of its type; `@%s` is %s",
                         type_print(r->scratch, type), (*base)->name, type_print(r->scratch, (*base)->type));
    if (!read_expect(r, '[', "before the strides"))
        return false;
    uint64_t last = 0, count = type_count(type);
    for (uint32_t d = 0; d < type.rank; d++) {
        uint64_t s, span;
        if ((d > 0 && !read_expect(r, ',', "between strides")) || !read_u64(r, "a stride", INT64_MAX, &s))
            return false;
        if (count > 0 && (!size_mul(s, type.dim[d] - 1, &span) || !size_add(last, span, &last) || last >= count))
            return READ_FAIL(r, read_since(r, begin), "these strides reach beyond the %" PRIu64 " elements of `@%s`", count, (*base)->name);
        stride[d] = (int64_t)s;
    }
    return read_expect(r, ']', "after the strides");
}

/* ---- lines ---- */

bool read_const_name(Reader *r, ConstId *out, bool *broken)
{
    *broken = false;
    if (r->token.kind != TOKEN_GLOBAL)
        return read_unexpected(r, "a constant");
    Token token = r->token;
    const char *name = lex_name(&r->lex, token, r->scratch);
    read_next(r);
    const uint32_t *id = names_find(&r->consts, name);
    if (!id)
        return READ_FAIL(r, read_span(r, token), "no constant `@%s` is defined above%s", name, read_names_hint(r, name, "@", &r->consts));
    *out = *id;
    *broken = *id == 0;
    return *id != 0;
}

static bool finish(Reader *r, ConstId id, const Elsewhere *outside)
{
    Complaints to = read_complaints(r);
    return (!outside || check_hash(r, id, outside)) && verify_const(r->m, id, &to);
}

static bool read_tree(Reader *r, const char *name, Span span, ConstId *id)
{
    Tree *tree = NEW(r->arena, Tree);
    uint32_t begin = r->token.begin;
    Elsewhere outside;
    if (!read_type(r, &tree->key))
        return false;
    if (!type_is_int(tree->key) || tree->key.rank != 0)
        return READ_FAIL(r, read_since(r, begin), "the keys of a tree are integers, found %s", type_print(r->scratch, tree->key));
    if (!read_tree_sizes(r, tree) || !read_expect(r, '=', "and the contents"))
        return false;
    bool elsewhere = read_at_word(r, "data") || read_at_word(r, "xxh");
    TreeLayout layout = tree_layout(tree);
    if (elsewhere && !read_outside(r, name, layout.bytes, &outside))
        return false;
    if (elsewhere) {
        tree->threshold = r->side.at + outside.offset;
        tree->node = (const TreeNode *)(r->side.at + outside.offset + layout.nodes);
        tree->leaf = (const TreeLeaf *)(r->side.at + outside.offset + layout.leaves);
    } else if (!read_tree_body(r, tree)) {
        return false;
    }
    *id = const_tree(r->m, name, tree, span);
    return finish(r, *id, elsewhere ? &outside : NULL);
}

static bool read_tensor(Reader *r, const char *name, Span span, ConstKind kind, ConstId *id)
{
    Type type;
    Elsewhere outside;
    uint32_t begin = r->token.begin;
    if (!read_type(r, &type) || !read_expect(r, '=', "and the contents"))
        return false;
    if (type.elem == ELEM_SET)
        return READ_FAIL(r, read_since(r, begin), "a set cannot be a constant");
    bool elsewhere = read_at_word(r, "data") || read_at_word(r, "xxh");
    int64_t stride[IR_MAX_RANK] = {0};
    const Const *base = NULL;
    uint8_t *elements = NULL;
    const void *data = NULL;
    if (read_accept_word(r, "view")) {
        if (!read_view(r, type, &base, stride))
            return false;
        data = base->data;
    } else if (elsewhere) {
        if (!read_outside(r, name, type_count(type) * type_element_bytes(type), &outside))
            return false;
        data = r->side.at + outside.offset;
    } else {
        if (!read_elements(r, type, &elements))
            return false;
        data = elements;
    }
    *id = const_add(r->m, name, type, data, span);
    Const *c = const_get(r->m, *id);
    c->kind = kind;
    if (base)
        memcpy(c->stride, stride, sizeof stride);
    return finish(r, *id, elsewhere ? &outside : NULL);
}

/* `const` has been taken. */
bool read_const(Reader *r)
{
    if (r->token.kind != TOKEN_GLOBAL)
        return read_unexpected(r, "the name of the constant, such as `@W`");
    Token token = r->token;
    Span span = read_span(r, token);
    const char *name = lex_name(&r->lex, token, r->scratch);
    read_next(r);
    if (!name_is_plain(name))
        return READ_FAIL(r, span, "the name of a constant is made of letters, digits, `_` and `.`, and starts with a letter or `_`");
    bool is_new;
    names_put(&r->consts, name, &is_new); /* broken until its line is read */
    if (!is_new)
        return READ_FAIL(r, span, "a constant `@%s` is defined above already", name);
    if (!read_expect(r, ':', "after the name of the constant"))
        return false;
    ConstId id = 0;
    bool read = read_accept_word(r, "tree")    ? read_tree(r, name, span, &id)
                : read_accept_word(r, "stack") ? read_tensor(r, name, span, CONST_STACK, &id)
                                               : read_tensor(r, name, span, CONST_TENSOR, &id);
    if (read)
        *names_find(&r->consts, name) = id;
    return read;
}
