/* search.h — inside the back end: what the tables of a search have in common.
 *
 *      search.c      which table; a node; the depth
 *      stree.c       a tree of nodes
 *      bucket.c      lines, found by a multiplication
 *      search_bytes.c    the bytes of both
 *      search_batch.c    many queries at once
 */
#ifndef CNET_BACKEND_SEARCH_H
#define CNET_BACKEND_SEARCH_H

#include "gen.h"

/* What is looked for, as the machine compares it: integers in their memory form, and below what fills nodes. bits: of a float, as an
 * integer; NULL: not known. given: x before it was kept below anything. */
typedef struct Sought { Type key; LLVMValueRef x, bits, given; } Sought;
Type be_sought_type(Type key);
Sought be_sought(Fn *f, Type key, LLVMValueRef x);
/* The same of what lies in the caller's memory. */
Sought be_sought_at(Fn *f, Type key, LLVMValueRef at);

Layout be_layout_search(const Network *net, const Op *op, const Search *s);
/* How many of the ascending keys from `at` on are not above x (a size): of all lanes; of the first n, where the others hold anything. */
LLVMValueRef be_node(Fn *f, const Sought *s, LLVMValueRef at, uint32_t lanes);
LLVMValueRef be_few(Fn *f, const Sought *s, LLVMValueRef at, uint32_t n, uint32_t lanes);
LLVMValueRef be_lanes_above(Fn *f, const Sought *s, LLVMValueRef at, uint32_t lanes);
LLVMValueRef be_first_bit(Fn *f, LLVMValueRef bits);
bool be_compares_lanes(const Fn *f, Type key);
/* Whether x, or each x of a vector, is the greatest number of the type: a key that is kept apart. */
LLVMValueRef be_is_greatest(Fn *f, const Sought *s);
void be_search_result(Fn *f, const Op *op, const Search *s, const Sought *sought, LLVMValueRef word);

/* stree.c: the address of the word of x's slot; without words, the slot (a size). Level by level: the child of node number `node`, the
 * address of a node, and what a leaf says. */
LLVMValueRef be_tree_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s);
LLVMValueRef be_tree_child(Fn *f, const SearchTable *t, LLVMValueRef base, uint32_t level, LLVMValueRef node, const Sought *s);
LLVMValueRef be_tree_node(Fn *f, const SearchTable *t, LLVMValueRef base, uint32_t level, LLVMValueRef node);
LLVMValueRef be_tree_leaf(Fn *f, const SearchTable *t, LLVMValueRef base, LLVMValueRef node, const Sought *s);

/* bucket.c: the same; where x's line begins, and what is in it. Of several x (vectors): all of their lines. */
typedef struct Line { LLVMValueRef at, code; } Line;      /* code: of x, an i16, where lines hold codes, else NULL */
LLVMValueRef be_bucket_word(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s);
Line be_bucket_line(Fn *f, const SearchTable *t, LLVMValueRef base, const Sought *s);
LLVMValueRef be_bucket_in_line(Fn *f, const SearchTable *t, LLVMValueRef base, Line line, const Sought *s);

/* search_batch.c: the search that is all of a network, or NULL; a body of NAME_eval_batch. */
const Op *be_only_search(const Network *net);
bool be_search_batches(const Network *net, const Plan *plan);
LLVMValueRef be_search_batch(Emitter *e, const Network *net, const Level *level, const char *name);

#endif
