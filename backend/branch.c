/* branch.c — a tree of comparisons as code: nodes compare with immediates, leaves are immediates too.
 *
 *      define internal i32 @T.0(i64 %x0) optnone {         a part of the tree: up to 255 nodes
 *          br (x0 > 17), %right, %left                     a node
 *      %left:   ret i32 4                                  a leaf: its slot, class and depth in one integer
 *      %right:  tail call i32 @T.3(%x0);  ret              the root of another part
 *      }
 *
 * In: a tree with few leaves, or with a few that most inputs reach, whose nodes have one parent each; places. Out: what `descend`
 * gives. The one idea: compile time. Code generation is worse than linear in the size of a function, in blocks that meet in one, and in
 * distinct constants that it may share between blocks. So functions are small, each leaf returns for itself, and `optnone` keeps to a fast
 * selection of instructions, which for compare-and-branch is as good as any. One set of functions serves all levels of the CPU.
 *
 * A handful of nodes is walked where it is used. Keys of odd widths are compared in their memory form, which is sign-extended.
 */
#include "gen.h"

#include <string.h>

enum { PART = 255, IN_PLACE = 15, BY_VALUE = 4 };  /* nodes; nodes; coordinates that are passed in registers */

/* What a leaf says, the slot lowest: 0 bits for what nobody asks. */
typedef struct Fields { uint32_t slot, class_, depth; } Fields;

typedef struct Branches {
    const Tree *tree;
    Fields fields;
    LLVMTypeRef result, key;      /* of a leaf; in which keys are compared */
    uint32_t *depth;              /* by node */
    uint32_t *part;               /* by node: 1 + the number of the part whose root it is; 0: none */
    LLVMValueRef *function;       /* by part */
    LLVMTypeRef signature;
    bool by_value;
    /* of the function that is being made */
    LLVMValueRef x[BY_VALUE], address;
    LLVMValueRef slot;            /* in place: where a leaf puts what it says, before it goes to `join` */
    LLVMBasicBlockRef join;
} Branches;

/* ---- any small tree, in place ---- */

typedef struct Step { LLVMBasicBlockRef block; uint32_t parent, side; int32_t child; } Step;
/* What stands where the walk leaves the part, from a side of a node. */
typedef void Leave(Fn *f, uint32_t node, uint32_t side, void *context);
typedef bool Stays(int32_t child, void *context);

/* From where the builder stands. Preorder, so that a left child follows its parent; the stack holds one side of every node above. */
static void walk(Fn *f, const TreeNode *node, uint32_t root, BranchTest *test, Stays *stays, Leave *leave, void *context)
{
    Step stack[PART + 2];
    uint32_t n = 0;
    stack[n++] = (Step){LLVMGetInsertBlock(f->b), UINT32_MAX, 0, (int32_t)root};
    while (n > 0) {
        Step s = stack[--n];
        LLVMBasicBlockRef last = LLVMGetLastBasicBlock(f->fn);
        if (s.parent != UINT32_MAX && s.block != last)
            LLVMMoveBasicBlockAfter(s.block, last);
        LLVMPositionBuilderAtEnd(f->b, s.block);
        if (s.parent != UINT32_MAX && (s.child < 0 || !stays(s.child, context))) {
            leave(f, s.parent, s.side, context);
            continue;
        }
        uint32_t at = (uint32_t)s.child;
        LLVMBasicBlockRef side[2] = {be_new_block(f, "left"), be_new_block(f, "right")};
        LLVMBuildCondBr(f->b, test(f, at, context), side[1], side[0]);
        for (uint32_t k = 2; k-- > 0;)
            stack[n++] = (Step){side[k], at, k, node[at].child[k]};
    }
}

typedef struct InPlace { const TreeNode *node; BranchTest *test; void *context; LLVMValueRef slot; LLVMBasicBlockRef join; } InPlace;

static LLVMValueRef test_in_place(Fn *f, uint32_t node, void *context)
{
    InPlace *p = context;
    return p->test(f, node, p->context);
}

static bool always(int32_t child, void *context)
{
    (void)child, (void)context;
    return true;
}

static void leaf_in_place(Fn *f, uint32_t node, uint32_t side, void *context)
{
    InPlace *p = context;
    LLVMBuildStore(f->b, LLVMConstInt(f->e->i32, (uint32_t)~p->node[node].child[side], 0), p->slot);
    LLVMBuildBr(f->b, p->join);
}

LLVMValueRef be_branch(Fn *f, const TreeNode *node, uint32_t n_nodes, BranchTest *test, void *context)
{
    if (n_nodes == 0)
        return LLVMConstInt(f->e->i32, 0, 0);
    if (n_nodes > PART)
        ICE("%u nodes are too many to be walked in place", n_nodes);
    InPlace p = {node, test, context, be_alloca(f, f->e->i32, "leaf"), be_new_block(f, "leaf")};
    walk(f, node, 0, test_in_place, always, leaf_in_place, &p);
    LLVMMoveBasicBlockAfter(p.join, LLVMGetLastBasicBlock(f->fn));
    LLVMPositionBuilderAtEnd(f->b, p.join);
    return LLVMBuildLoad2(f->b, f->e->i32, p.slot, "");
}

/* ---- parts ---- */

static uint32_t bits_below(uint32_t n)
{
    uint32_t bits = 0;
    while (bits < 32 && (UINT64_C(1) << bits) < n)
        bits++;
    return bits;
}

/* Depths by node; false when a node has several parents, whose depth is not one. Those that nothing leads to have depth 0. */
static bool find_depths(const Tree *t, uint32_t *depth, uint32_t *deepest)
{
    *deepest = 0;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (i > 0 && depth[i] == 0)
            continue;
        if (depth[i] + 1 > *deepest)
            *deepest = depth[i] + 1;
        for (int side = 0; side < 2; side++) {
            int32_t child = t->node[i].child[side];
            if (child >= 0 && depth[child] != 0)
                return false;
            if (child >= 0)
                depth[child] = depth[i] + 1;
        }
    }
    return true;
}

/* From the leaves upwards: a node whose subtree would be more than a part cuts off its larger child, or both. */
static uint32_t cut(Arena *arena, const Tree *t, const uint32_t *depth, uint32_t *part)
{
    uint32_t *size = NEW_ARRAY(arena, t->n_nodes, uint32_t), n = 0;
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        const int32_t *child = t->node[i].child;
        if (i > 0 && depth[i] == 0)
            continue;
        uint32_t of[2] = {child[0] < 0 ? 0 : size[child[0]], child[1] < 0 ? 0 : size[child[1]]};
        while (1 + of[0] + of[1] > PART) {
            uint32_t larger = of[1] > of[0];
            part[child[larger]] = ++n;
            of[larger] = 0;
        }
        size[i] = 1 + of[0] + of[1];
    }
    part[0] = ++n;
    return n;
}

/* ---- nodes and leaves ---- */

static Type memory_form(const Tree *t)
{
    return type_int(8 * type_element_bytes(t->key));
}

static LLVMValueRef coordinate(Fn *f, const Branches *b, LLVMValueRef x, uint32_t i)
{
    LLVMValueRef v = be_load(f, memory_form(b->tree), x, be_size(f->e, i), 1);
    return LLVMTypeOf(v) == b->key ? v : LLVMBuildSExt(f->b, v, b->key, "");
}

static LLVMValueRef threshold(Fn *f, const Branches *b, uint32_t node)
{
    uint32_t bytes = type_element_bytes(b->tree->key);
    const uint8_t *at = b->tree->threshold + (size_t)node * bytes;
    uint64_t word[IR_MAX_INT_BITS / 64] = {0};
    for (uint32_t k = 0; k < bytes; k++)
        word[k / 8] |= (uint64_t)at[k] << (k % 8 * 8);
    LLVMValueRef v = LLVMConstIntOfArbitraryPrecision(be_scalar_type(f->e, memory_form(b->tree)), (bytes + 7) / 8, word);
    return LLVMTypeOf(v) == b->key ? v : LLVMConstInt(b->key, (uint64_t)LLVMConstIntGetSExtValue(v), true);
}

static LLVMValueRef goes_right(Fn *f, uint32_t node, void *context)
{
    Branches *b = context;
    uint32_t c = b->tree->node[node].coordinate;
    LLVMValueRef x = b->by_value ? b->x[c] : coordinate(f, b, b->address, c);
    return LLVMBuildICmp(f->b, LLVMIntSGT, x, threshold(f, b, node), "");
}

static bool is_in_part(int32_t child, void *context)
{
    Branches *b = context;
    return !b->part || b->part[child] == 0;
}

static LLVMValueRef leaf_value(const Branches *b, uint32_t leaf, uint32_t depth)
{
    TreeLeaf l = b->tree->leaf[leaf];
    uint64_t value = b->fields.slot ? l.slot : 0;
    if (b->fields.class_)
        value |= (uint64_t)l.class_ << b->fields.slot;
    if (b->fields.depth)
        value |= (uint64_t)depth << (b->fields.slot + b->fields.class_);
    return LLVMConstInt(b->result, value, 0);
}

static LLVMValueRef call_part(Fn *f, Branches *b, uint32_t part)
{
    LLVMValueRef call = LLVMBuildCall2(f->b, b->signature, b->function[part - 1], b->by_value ? b->x : &b->address, LLVMCountParamTypes(b->signature), "");
    return call;
}

static void leave_part(Fn *f, uint32_t node, uint32_t side, void *context)
{
    Branches *b = context;
    int32_t child = b->tree->node[node].child[side];
    if (child < 0 && b->slot) {
        LLVMBuildStore(f->b, leaf_value(b, (uint32_t)~child, b->depth[node] + 1), b->slot);
        LLVMBuildBr(f->b, b->join);
    } else if (child < 0) {
        LLVMBuildRet(f->b, leaf_value(b, (uint32_t)~child, b->depth[node] + 1));
    } else {
        LLVMValueRef call = call_part(f, b, b->part[child]);
        LLVMSetTailCall(call, true);
        LLVMBuildRet(f->b, call);
    }
}

/* ---- functions ---- */

static LLVMTypeRef signature(Emitter *e, const Branches *b)
{
    LLVMTypeRef params[BY_VALUE];
    for (uint32_t i = 0; i < BY_VALUE; i++)
        params[i] = b->by_value ? b->key : e->ptr;
    return LLVMFunctionType(b->result, params, b->by_value ? b->tree->n_keys : 1, 0);
}

static void declare(Emitter *e, Branches *b, const char *name, uint32_t n)
{
    static const char *const fast[] = {"noinline", "optnone"};
    b->function = NEW_ARRAY(e->arena, n, LLVMValueRef);
    for (uint32_t i = 0; i < n; i++) {
        LLVMValueRef fn = LLVMAddFunction(e->module, str_printf(e->arena, "%s.%u", name, n - 1 - i), b->signature);
        LLVMSetLinkage(fn, LLVMInternalLinkage);
        be_attributes(e, fn, NULL);
        for (int k = 0; k < 2; k++)
            LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->c, LLVMGetEnumAttributeKindForName(fast[k], strlen(fast[k])), 0));
        b->function[i] = fn;
    }
}

static void define(Fn *outer, const Branches *branches, uint32_t root)
{
    Fn own = *outer, *f = &own;
    Branches inner = *branches, *b = &inner;
    LLVMMetadataRef place = be_debug_leave(f->e);
    LLVMBasicBlockRef here = LLVMGetInsertBlock(f->b);
    f->fn = b->function[b->part[root] - 1];
    LLVMPositionBuilderAtEnd(f->b, be_new_block(f, "entry"));
    for (uint32_t i = 0; i < LLVMCountParamTypes(b->signature); i++)
        *(b->by_value ? &b->x[i] : &b->address) = LLVMGetParam(f->fn, i);
    walk(f, b->tree->node, root, goes_right, is_in_part, leave_part, b);
    LLVMPositionBuilderAtEnd(f->b, here);
    be_debug_return(f->e, place);
}

/* The function of the whole tree: made once for all levels. */
static LLVMValueRef code_of(Fn *f, Branches *b, ConstId id)
{
    Emitter *e = f->e;
    for (size_t i = 0; i < e->trees.len; i++)
        if (e->trees.at[i].id == id && e->trees.at[i].with_class == (b->fields.class_ > 0) && e->trees.at[i].with_depth == (b->fields.depth > 0))
            return e->trees.at[i].function;
    b->part = NEW_ARRAY(e->arena, b->tree->n_nodes, uint32_t);
    uint32_t n = cut(e->arena, b->tree, b->depth, b->part);
    declare(e, b, const_get(f->m, id)->name, n);
    for (uint32_t i = 0; i < b->tree->n_nodes; i++)
        if (b->part[i])
            define(f, b, i);
    TreeCode entry = {id, b->fields.class_ > 0, b->fields.depth > 0, b->function[b->part[0] - 1]};
    vec_push(e->arena, e->trees, entry);
    return entry.function;
}

static LLVMValueRef walk_in_place(Fn *f, Branches *b)
{
    b->slot = be_alloca(f, b->result, "leaf");
    b->join = be_new_block(f, "leaf");
    walk(f, b->tree->node, 0, goes_right, is_in_part, leave_part, b);
    LLVMMoveBasicBlockAfter(b->join, LLVMGetLastBasicBlock(f->fn));
    LLVMPositionBuilderAtEnd(f->b, b->join);
    return LLVMBuildLoad2(f->b, b->result, b->slot, "");
}

/* ---- the op ---- */

static LLVMValueRef field(Fn *f, LLVMValueRef packed, uint32_t from, uint32_t bits, uint32_t all)
{
    LLVMTypeRef type = LLVMTypeOf(packed);
    if (bits == 0)
        return LLVMConstInt(f->e->i32, 0, 0);
    if (from > 0)
        packed = LLVMBuildLShr(f->b, packed, LLVMConstInt(type, from, 0), "");
    if (from + bits < all)
        packed = LLVMBuildAnd(f->b, packed, LLVMConstInt(type, (UINT64_C(1) << bits) - 1, 0), "");
    return LLVMBuildIntCast2(f->b, packed, f->e->i32, false, "");
}

bool be_branches(Fn *f, const Op *op)
{
    Emitter *e = f->e;
    const Tree *t = const_get(f->m, op->cst[0])->tree;
    Branches state = {.tree = t}, *b = &state;
    uint32_t deepest, bytes = type_element_bytes(t->key);
    b->depth = NEW_ARRAY(e->arena, t->n_nodes, uint32_t);
    if (t->n_nodes == 0 || !find_depths(t, b->depth, &deepest))
        return false;
    b->fields.slot = be_is_wanted(f, op->result[1]) ? bits_below(t->n_slots) : 0;
    b->fields.class_ = be_is_wanted(f, op->result[0]) ? bits_below(t->n_classes) : 0;
    b->fields.depth = be_is_wanted(f, op->result[2]) ? bits_below(deepest + 1) : 0;
    uint32_t bits = b->fields.slot + b->fields.class_ + b->fields.depth;
    if (bits > 64)
        return false;
    b->result = bits <= 32 ? e->i32 : e->i64;
    b->key = LLVMIntTypeInContext(e->c, 8 * (bytes < 4 ? 4 : bytes));
    b->by_value = t->n_keys <= BY_VALUE && 8 * bytes <= e->target.pointer_bits;
    b->signature = signature(e, b);
    b->address = be_place(f, op_operand(op, 0)).at;
    bool in_place = t->n_nodes <= IN_PLACE;
    for (uint32_t i = 0; b->by_value && i < t->n_keys; i++)
        b->x[i] = coordinate(f, b, b->address, i);
    LLVMValueRef leaf;
    if (in_place)
        leaf = walk_in_place(f, b);
    else
        leaf = LLVMBuildCall2(f->b, b->signature, code_of(f, b, op->cst[0]), b->by_value ? b->x : &b->address, LLVMCountParamTypes(b->signature), "");
    be_set_scalar(f, op->result[0], field(f, leaf, b->fields.slot, b->fields.class_, bits));
    be_set_scalar(f, op->result[1], field(f, leaf, 0, b->fields.slot, bits));
    be_set_scalar(f, op->result[2], field(f, leaf, b->fields.slot + b->fields.class_, b->fields.depth, bits));
    return true;
}
