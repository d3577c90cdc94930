/* search.c — how many ascending keys are not above x: from which table it is read, and how deep it lies.
 *
 *      %slot, %depth = search @keys, %x !lower(tree)         a tree of nodes             stree.c
 *      %y = row @labels[%slot]               !lower(bucket)  lines, by a multiplication  bucket.c
 *                                            !lower(binary)  the keys as they lie        below
 *
 * In: ascending keys, a scalar; perhaps a stack of labels that is all the slot is for. Out: the slot or the label; the depth. The one
 * idea: what is walked need not be the tree that the IR counts, since depths follow from the slot, and so from one comparison: with r
 * leaves the first 2 (r - 2^(D-1)) lie D deep, the others D - 1. And where only a label is wanted it lies beside the keys: one more
 * access to far memory is saved, and the slot is never known.
 *
 *      first = 0; n = keys;  while (n > 0) { half = (n + 1) / 2; first += key[first + half - 1] <= x ? half : 0; n -= half; }
 *
 * The number of rounds does not depend on x: nothing is predicted, so nothing is mispredicted.
 */
#include "search.h"

#include <math.h>
#include <string.h>

/* ---- the choice ---- */

static Search search_of(const Op *op, const Op *row)
{
    const Network *net = op->parent->network;
    const Const *keys = const_get(net->module, op->cst[0]);
    uint32_t label = row ? type_element_bytes(value_type(net, row->result[0])) : 0;
    Lower how = op->lower == LOWER_bucket ? LOWER_bucket : LOWER_tree;
    const SearchTable *table = op->lower == LOWER_binary ? NULL : search_table(net->module->arena, keys, how, label);
    return (Search){table, table ? row : NULL};
}

Search *be_searches(Arena *arena, const Network *net)
{
    Search *all = NEW_ARRAY(arena, net->values.len, Search);
    const Op **label = search_labels(arena, net);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_search) {
            Search s = search_of(op, label[op->result[0]]);
            all[op->result[0]] = s;
            if (s.row)
                all[s.row->result[0]].row = s.row;
        }
    return all;
}

Layout be_layout_search(const Network *net, const Op *op, const Search *s)
{
    const Const *keys = const_get(net->module, op->cst[0]);
    if (!s->table)
        return be_layout_raw(keys);
    return (Layout){.kind = LAYOUT_SEARCH, .element = type_element(keys->type), .search = s->table, .bytes = s->table->bytes,
                    .labels = s->row ? const_get(net->module, s->row->cst[0]) : NULL};
}

/* ---- keys as they lie ---- */

/* Keys may be compared that were ruled out already: the last rounds of the smaller part. They are above x, or at its left. */
static LLVMValueRef count_keys(Fn *f, Type key, LLVMValueRef keys, uint64_t n, LLVMValueRef x)
{
    Emitter *e = f->e;
    LLVMValueRef first = be_size(e, 0);
    while (n > 0) {
        uint64_t half = (n + 1) / 2;
        LLVMValueRef at = LLVMBuildAdd(f->b, first, be_size(e, half - 1), "");
        LLVMValueRef right = be_compare(f, key, PRED_le, be_load(f, key, keys, at, 1), x);
        first = LLVMBuildSelect(f->b, right, LLVMBuildAdd(f->b, first, be_size(e, half), ""), first, "");
        n -= half;
    }
    return first;
}

/* ---- a node ---- */

Type be_sought_type(Type key)
{
    return key.elem == ELEM_INT ? type_int(8 * type_element_bytes(key)) : key;
}

static LLVMValueRef load_bits(Fn *f, Type key, LLVMValueRef at)
{
    return be_load(f, type_int(8 * type_element_bytes(key)), at, be_size(f->e, 0), 1);
}

/* A float that the caller's memory holds is loaded twice: from there both registers are as near, from each other they are not. */
Sought be_sought(Fn *f, Type key, LLVMValueRef x)
{
    Emitter *e = f->e;
    if (key.elem != ELEM_INT) {
        LLVMValueRef at = LLVMIsALoadInst(x) ? LLVMGetOperand(x, 0) : NULL;
        return (Sought){key, x, at && LLVMIsAArgument(at) ? load_bits(f, key, at) : NULL, x};
    }
    Type t = be_sought_type(key);
    LLVMTypeRef type = be_scalar_type(e, t);
    x = LLVMBuildSExtOrBitCast(f->b, x, type, "");
    LLVMValueRef most = LLVMConstInt(type, (t.n == 32 ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX) - 1, 0);   /* what fills nodes is above */
    return (Sought){t, LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntSLT, x, most, ""), x, most, ""), NULL, x};
}

Sought be_sought_at(Fn *f, Type key, LLVMValueRef at)
{
    Sought s = be_sought(f, key, be_load(f, key, at, be_size(f->e, 0), 1));
    if (key.elem != ELEM_INT)
        s.bits = load_bits(f, key, at);
    return s;
}

/* pos = 0;  for (step = lanes / 2; step; step /= 2) pos += key[pos + step - 1] <= x ? step : 0 */
static LLVMValueRef halve_node(Fn *f, const Sought *s, LLVMValueRef at, uint32_t lanes)
{
    LLVMValueRef pos = be_size(f->e, 0);
    for (uint32_t step = lanes / 2; step > 0; step /= 2) {
        LLVMValueRef last = LLVMBuildAdd(f->b, pos, be_size(f->e, step - 1), "");
        LLVMValueRef right = be_compare(f, s->key, PRED_le, be_load(f, s->key, at, last, 1), s->x);
        pos = LLVMBuildSelect(f->b, right, LLVMBuildAdd(f->b, pos, be_size(f->e, step), ""), pos, "");
    }
    return pos;
}

static LLVMValueRef count_few(Fn *f, const Sought *s, LLVMValueRef at, uint32_t n)
{
    LLVMValueRef sum = be_size(f->e, 0);
    for (uint32_t i = 0; i < n; i++) {
        LLVMValueRef below = be_compare(f, s->key, PRED_le, be_load(f, s->key, at, be_size(f->e, i), 1), s->x);
        sum = LLVMBuildAdd(f->b, sum, LLVMBuildZExt(f->b, below, f->e->size, ""), "");
    }
    return sum;
}

/* A bit for each lane whose key is above x, or not comparable with it. */
LLVMValueRef be_lanes_above(Fn *f, const Sought *s, LLVMValueRef at, uint32_t lanes)
{
    Emitter *e = f->e;
    LLVMValueRef keys = LLVMBuildLoad2(f->b, LLVMVectorType(be_scalar_type(e, s->key), lanes), at, ""), x = be_splat(f, s->x, lanes);
    LLVMSetAlignment(keys, type_element_bytes(s->key));
    LLVMValueRef above = s->key.elem == ELEM_INT ? LLVMBuildICmp(f->b, LLVMIntSGT, keys, x, "") : LLVMBuildFCmp(f->b, LLVMRealUGT, keys, x, "");
    LLVMValueRef bits = LLVMBuildBitCast(f->b, above, LLVMIntTypeInContext(e->c, lanes), "");
    return LLVMBuildZExtOrBitCast(f->b, bits, e->i32, "");
}

LLVMValueRef be_first_bit(Fn *f, LLVMValueRef bits)
{
    LLVMValueRef args[2] = {bits, LLVMConstInt(f->e->i1, 1, 0)};
    return LLVMBuildZExtOrBitCast(f->b, be_intrinsic(f, "llvm.cttz", f->e->i32, args, 2), f->e->size, "");
}

bool be_compares_lanes(const Fn *f, Type key)
{
    return be_lanes(f->level, key) > 1;
}

LLVMValueRef be_node(Fn *f, const Sought *s, LLVMValueRef at, uint32_t lanes)
{
    return be_compares_lanes(f, s->key) ? be_first_bit(f, be_lanes_above(f, s, at, lanes)) : halve_node(f, s, at, lanes);
}

/* The same of n keys in so many lanes, where the lanes beyond hold anything. */
LLVMValueRef be_few(Fn *f, const Sought *s, LLVMValueRef at, uint32_t n, uint32_t lanes)
{
    if (!be_compares_lanes(f, s->key))
        return count_few(f, s, at, n);
    LLVMValueRef bits = be_lanes_above(f, s, at, lanes);
    return be_first_bit(f, LLVMBuildOr(f->b, bits, LLVMConstInt(f->e->i32, 1u << n, 0), ""));
}

/* ---- the op ---- */

/* deepest - (the slot is none of those that lie deepest), which one key decides. */
static LLVMValueRef depth_of(Fn *f, const Op *op, const Const *keys)
{
    uint64_t leaves = keys->type.dim[0] + (uint64_t)1;
    uint32_t deepest = search_depth(leaves, 0), nearest = search_depth(leaves, leaves - 1);
    LLVMValueRef deep = LLVMConstInt(f->e->i32, deepest, 0), near = LLVMConstInt(f->e->i32, nearest, 0);
    if (deepest == nearest)
        return deep;
    LLVMValueRef first_near = be_constant_scalar(f->e, keys, 2 * (leaves - (1ull << nearest)) - 1);
    LLVMValueRef is_near = be_compare(f, type_element(keys->type), PRED_le, first_near, be_place(f, op_operand(op, 0)).at);
    return LLVMBuildSelect(f->b, is_near, near, deep, "");
}

void be_search(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    const Const *keys = const_get(f->m, op->cst[0]);
    const Search *s = &f->plan->search[op->result[0]];
    LLVMValueRef x = be_place(f, op_operand(op, 0)).at;
    Layout layout = be_layout_search(f->net, op, s);
    be_set_scalar(f, op->result[1], depth_of(f, op, keys));
    if (!s->table) {
        LLVMValueRef slot = keys->type.dim[0] ? count_keys(f, type_element(keys->type), be_constant(e, f->m, op->cst[0], &layout), keys->type.dim[0], x)
                                              : be_size(e, 0);
        be_set_scalar(f, op->result[0], LLVMBuildTruncOrBitCast(f->b, slot, e->i32, ""));
        return;
    }
    LLVMValueRef base = be_constant(e, f->m, op->cst[0], &layout);
    Sought sought = be_sought(f, type_element(keys->type), x);
    LLVMValueRef word = s->table->how == LOWER_tree ? be_tree_word(f, s->table, base, &sought) : be_bucket_word(f, s->table, base, &sought);
    be_search_result(f, op, s, &sought, word);
}

/* Infinity, or the greatest integer. */
LLVMValueRef be_is_greatest(Fn *f, const Sought *s)
{
    LLVMTypeRef type = LLVMTypeOf(s->given);
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind, wide = type_element_bytes(s->key) == 8;
    LLVMTypeRef scalar = vector ? LLVMGetElementType(type) : type;
    LLVMValueRef greatest = s->key.elem != ELEM_INT ? LLVMConstReal(scalar, INFINITY)
                                                    : LLVMConstInt(scalar, wide ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX, 0);
    if (vector)
        greatest = be_splat(f, greatest, LLVMGetVectorSize(type));
    return s->key.elem != ELEM_INT ? LLVMBuildFCmp(f->b, LLVMRealOEQ, s->given, greatest, "")
                                   : LLVMBuildICmp(f->b, LLVMIntEQ, s->given, greatest, "");
}

/* `last` instead, where a key that is kept apart is not above x. */
static LLVMValueRef or_last(Fn *f, const Search *s, const Sought *sought, LLVMValueRef found, LLVMValueRef last)
{
    return s->table->last_apart ? LLVMBuildSelect(f->b, be_is_greatest(f, sought), last, found, "") : found;
}

/* `word` is the label's address, or the slot's, or the slot. */
void be_search_result(Fn *f, const Op *op, const Search *s, const Sought *sought, LLVMValueRef word)
{
    Emitter *e = f->e;
    if (s->row) {
        LLVMValueRef label = be_load(f, value_type(f->net, s->row->result[0]), word, be_size(e, 0), 1);
        LLVMValueRef last = be_constant_scalar(e, const_get(f->m, s->row->cst[0]), s->table->n + s->table->last_apart);
        be_set_scalar(f, s->row->result[0], or_last(f, s, sought, label, last));
        be_set_scalar(f, op->result[0], LLVMGetPoison(e->i32));      /* nobody else asks */
    } else {
        LLVMValueRef slot = s->table->word_bytes ? be_load(f, type_int(32), word, be_size(e, 0), 1)
                                                 : LLVMBuildTruncOrBitCast(f->b, word, e->i32, "");
        be_set_scalar(f, op->result[0], or_last(f, s, sought, slot, LLVMConstInt(e->i32, s->table->n + 1, 0)));
    }
}
