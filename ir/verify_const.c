/* verify_const.c — the rules of constants: what every op that refers to one may take for granted.
 *
 * In: a constant, perhaps from a side file that lies. Out: what is wrong with it. The one idea: elements are in their
 * canonical memory form and trees are acyclic before anything walks them, so that nobody checks again.
 */
#include "text.h"

static const char *tree_fault(Arena *scratch, const Tree *t)
{
    if (!type_is_int(t->key) || t->key.rank != 0 || !type_valid(t->key) || !type_valid(type_vector(t->key, t->n_keys)))
        return "the keys of a tree are integers";
    if (t->n_leaves == 0 || t->n_classes == 0 || t->n_slots == 0 || t->n_classes > INT32_MAX || t->n_slots > INT32_MAX)
        return "a tree has at least one leaf, class and slot";
    uint32_t size = type_element_bytes(t->key);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        const TreeNode *node = &t->node[i];
        if (node->coordinate >= t->n_keys)
            return str_printf(scratch, "node %u tests coordinate %u of %u", i, node->coordinate, t->n_keys);
        if (!element_is_canonical(t->key, t->threshold + (size_t)i * size))
            return str_printf(scratch, "the threshold of node %u is no %s", i, type_print(scratch, t->key));
        for (int side = 0; side < 2; side++) {
            int32_t child = node->child[side];
            if (child < 0 && (uint32_t)~child >= t->n_leaves)
                return str_printf(scratch, "node %u leads to leaf %d of %u", i, ~child, t->n_leaves);
            if (child >= 0 && ((uint32_t)child <= i || (uint32_t)child >= t->n_nodes))
                return str_printf(scratch, "node %u leads to node %d: a child comes after its parent, and there are %u nodes", i,
                                  child, t->n_nodes);
        }
    }
    for (uint32_t i = 0; i < t->n_leaves; i++)
        if (t->leaf[i].class_ >= t->n_classes || t->leaf[i].slot >= t->n_slots)
            return str_printf(scratch, "leaf %u is %u:%u, of %u classes and %u slots", i, t->leaf[i].class_, t->leaf[i].slot,
                              t->n_classes, t->n_slots);
    return NULL;
}

static const char *elements_fault(Arena *scratch, const Const *c)
{
    if (element_is_always_canonical(c->type))
        return NULL;
    for (uint64_t i = 0, n = type_count(c->type); i < n; i++)
        if (!element_is_canonical(c->type, const_element(c, i)))
            return str_printf(scratch, "element %llu is no %s", (unsigned long long)i, type_print(scratch, type_element(c->type)));
    return NULL;
}

static const char *const_fault(Arena *scratch, const Const *c)
{
    if (!c->name || !name_is_plain(c->name))
        return "its name is no plain name";
    if (!type_valid(c->type) || c->type.elem == ELEM_SET)
        return str_printf(scratch, "no constant can have type %s", type_print(scratch, c->type));
    switch (c->kind) {
    case CONST_TREE:
        return c->tree ? tree_fault(scratch, c->tree) : "its tree is missing";
    case CONST_STACK:
        if (c->type.rank == 0)
            return "a stack has at least one dim, the number of its elements";
        break;
    case CONST_TENSOR:
        break;
    }
    if (!c->data && type_count(c->type) > 0)
        return "its elements are missing";
    return elements_fault(scratch, c);
}

bool verify_const(const Module *m, ConstId id, const Complaints *to)
{
    Arena *scratch = arena_new(m->arena);
    if (!scratch)
        arena_exhausted(m->arena);
    const Const *c = m->consts.at[id];
    const char *fault = const_fault(scratch, c);
    if (fault)
        to->report(to->user, c->span, str_printf(scratch, "constant @%s: %s", c->name ? c->name : "?", fault));
    arena_free(scratch);
    return !fault;
}
