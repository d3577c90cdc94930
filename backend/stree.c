/* stree.c — a search by a static tree of nodes as wide as a few vectors, labels beside the keys of its leaves.
 *
 *      node = 0;  for each level:  node = node * lanes + (keys of the node that are not above x)
 *      y = label[the same of the leaf]
 *
 * In: a table of search_table.c. Out: the address of a word, or a slot. The one idea: a level of 16 or 32 children costs little more than
 * one of two, since a vector compares all keys of a node at once; the last lane's key is never passed, so that children are numbered
 * in powers of two. Which line holds the labels is known before the leaf's keys are compared: it is asked for at once.
 */
#include "search.h"

LLVMValueRef be_tree_node(Fn *f, const SearchTable *t, LLVMValueRef base, uint32_t level, LLVMValueRef node)
{
    const SearchLevel *l = &t->level[level];
    return be_at(f, be_at_const(f, base, l->at), LLVMBuildMul(f->b, node, be_size(f->e, l->node_bytes), ""));
}

LLVMValueRef be_tree_child(Fn *f, const SearchTable *t, LLVMValueRef base, uint32_t level, LLVMValueRef node, const Sought *s)
{
    uint32_t lanes = t->level[level].lanes;
    LLVMValueRef passed = be_node(f, s, be_tree_node(f, t, base, level, node), lanes);
    return LLVMBuildAdd(f->b, LLVMBuildMul(f->b, node, be_size(f->e, lanes), ""), passed, "");
}

LLVMValueRef be_tree_leaf(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef node, const Sought *s)
{
    const SearchLevel *leaf = &t->level[t->n_levels];
    LLVMValueRef at = be_tree_node(f, t, base, t->n_levels, node), passed = be_node(f, s, at, leaf->lanes);
    if (!t->word_bytes)
        return LLVMBuildAdd(f->b, LLVMBuildMul(f->b, node, be_size(f->e, leaf->lanes), ""), passed, "");
    LLVMValueRef words = be_at_const(f, at, (uint64_t)leaf->lanes * t->key_bytes);
    return be_at(f, words, LLVMBuildMul(f->b, passed, be_size(f->e, t->word_bytes), ""));
}

LLVMValueRef be_tree_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s)
{
    LLVMValueRef node = be_size(f->e, 0);
    for (uint32_t level = 0; level < t->n_levels; level++)
        node = be_tree_child(f, t, base, level, node, s);
    const SearchLevel *leaf = &t->level[t->n_levels];
    uint32_t keys = leaf->lanes * t->key_bytes;
    if (t->bytes > 256 << 10)
        for (uint32_t at = keys; at < leaf->node_bytes; at += 64)
            be_prefetch(f, be_tree_node(f, t, base, t->n_levels, node), be_size(f->e, at), 1);
    return be_tree_leaf(f, t, base, node, s);
}
