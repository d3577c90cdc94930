/* search_batch.c — many queries of one search at once: a body of NAME_eval_batch for a network that is a search and its label.
 *
 *      for each group of 64 queries:
 *        tree:     for each query: node = the levels that lie near;  ask for the next node's lines
 *                  for each level that lies far:  for each query: node = child of node;  ask for its lines
 *                  for each query: y = what the leaf says
 *        bucket:   for each query: line = …;  ask for it               for each query: y = what the line says
 *                  (with AVX-512, and queries side by side, the lines of 8 queries at once)
 *
 *      bucket of lines of 64 bytes (AVX-512, queries side by side): the lines of 8 queries at once, and always some vectors of them
 *              ahead of the answers, so that memory does not rest while keys are compared:
 *                  for each vector v:  lines of v + AHEAD;  ask for them;  for each query of v: y = what the line says
 *
 *      permute (at most 31 keys, vectors of 64 bytes):  for each vector of queries, halve the node in all lanes at once:
 *                  pos = 0;  for step in half the keys … 1:  pos += step where key[pos + step - 1] <= x         keys: registers
 *                  y = label[pos]
 *
 * In: a network, a level. Out: an LLVM function with the signature of NAME_eval_batch. The one idea: a look-up waits for memory, so
 * as many of them as there are outstanding accesses wait together; each finds what it would find alone.
 */
#include "search.h"

#include <string.h>

enum { GROUP = 64,                                /* queries */
       NEAR = 256 << 10 };                        /* bytes that are not worth asking for ahead */

typedef struct Queries {
    const Op *op;
    const Search *s;
    LLVMValueRef base, first, n;                  /* the table; of the group at hand: its first query, its size */
    LLVMValueRef in, out, in_stride, out_stride;  /* strides in bytes */
    LLVMValueRef places, codes;                   /* of each query: a node or the address of a line; its code (i16) */
} Queries;

/* ---- which networks ---- */

const Op *be_only_search(const Network *net)
{
    const Op *search = NULL, *end = net->body->last;
    if (net->n_inputs != 1 || net->n_outputs != 1 || !end || end->kind != OP_return || op_operand(end, RETURN_status))
        return NULL;
    for (const Op *op = net->body->first; op; op = op->next) {
        if (op->kind == OP_search && !search)
            search = op;
        else if (op->kind != OP_row && op->kind != OP_tally && op->kind != OP_return)
            return NULL;
    }
    return search && op_operand(search, 0) == net->body->arg[0] ? search : NULL;
}

bool be_search_batches(const Network *net, const Plan *plan)
{
    const Op *op = be_only_search(net);
    if (!op || !plan->search[op->result[0]].table)
        return false;
    const Search *s = &plan->search[op->result[0]];
    return op_operand(net->body->last, RETURN_value) == (s->row ? s->row->result[0] : op->result[0]);
}

/* ---- a query ---- */

static Type key_type(const Fn *f)
{
    return f->net->input[0].type;
}

static LLVMValueRef place_of(Fn *f, LLVMValueRef port, LLVMValueRef number, LLVMValueRef stride)
{
    LLVMValueRef offset = LLVMBuildMul(f->b, number, stride, "");
    return LLVMBuildGEP2(f->b, f->e->i8, port, &offset, 1, "");
}

static Sought query(Fn *f, const Queries *q, LLVMValueRef i)
{
    LLVMValueRef at = place_of(f, q->in, LLVMBuildAdd(f->b, q->first, i, ""), q->in_stride);
    return be_sought_at(f, key_type(f), at);
}

static void answer(Fn *f, const Queries *q, const Sought *s, LLVMValueRef i, LLVMValueRef word)
{
    be_search_result(f, q->op, q->s, s, word);
    Value v = op_operand(f->net->body->last, RETURN_value);
    LLVMValueRef at = place_of(f, q->out, LLVMBuildAdd(f->b, q->first, i, ""), q->out_stride);
    be_store(f, value_type(f->net, v), be_place(f, v).at, at, be_size(f->e, 0), 1);
}

static void keep(Fn *f, const Queries *q, LLVMValueRef i, LLVMValueRef place)
{
    LLVMBuildStore(f->b, place, LLVMBuildInBoundsGEP2(f->b, f->e->ptr, q->places, &i, 1, ""));
}

static LLVMValueRef kept(Fn *f, const Queries *q, LLVMValueRef i, LLVMTypeRef type)
{
    return LLVMBuildLoad2(f->b, type, LLVMBuildInBoundsGEP2(f->b, f->e->ptr, q->places, &i, 1, ""), "");
}

static LLVMValueRef code_at(Fn *f, const Queries *q, LLVMValueRef i)
{
    return LLVMBuildInBoundsGEP2(f->b, LLVMIntTypeInContext(f->e->c, 16), q->codes, &i, 1, "");
}

/* The lines of one query, or of several from number i on. */
static void keep_line(Fn *f, const Queries *q, LLVMValueRef i, Line line)
{
    LLVMSetAlignment(LLVMBuildStore(f->b, line.at, LLVMBuildInBoundsGEP2(f->b, f->e->ptr, q->places, &i, 1, "")), 8);
    if (line.code)
        LLVMSetAlignment(LLVMBuildStore(f->b, line.code, code_at(f, q, i)), 2);
}

static Line kept_line(Fn *f, const Queries *q, LLVMValueRef i)
{
    Line line = {.at = kept(f, q, i, f->e->ptr)};
    if (q->s->table->coded)
        line.code = LLVMBuildLoad2(f->b, LLVMIntTypeInContext(f->e->c, 16), code_at(f, q, i), "");
    return line;
}

static void ask_for(Fn *f, LLVMValueRef at, uint32_t bytes)
{
    for (uint32_t line = 0; line < bytes; line += 64)
        be_prefetch(f, at, be_size(f->e, line), 1);
}

/* ---- a group ---- */

static void group_by_tree(Fn *f, const Queries *q)
{
    const SearchTable *t = q->s->table;
    uint32_t level = 0;
    while (level < t->n_levels && t->level[level].nodes * t->level[level].node_bytes <= NEAR)
        level++;
    bool near = level == t->n_levels && t->bytes <= NEAR;
    DynLoop loop = be_dyn_loop(f, q->n, "query");
    Sought s = query(f, q, loop.i);
    LLVMValueRef node = be_size(f->e, 0);
    for (uint32_t i = 0; i < level; i++)
        node = be_tree_child(f, t, q->base, i, node, &s);
    if (near) {
        answer(f, q, &s, loop.i, be_tree_leaf(f, t, q->base, node, &s));
        be_dyn_loop_end(f, &loop);
        return;
    }
    keep(f, q, loop.i, node);
    ask_for(f, be_tree_node(f, t, q->base, level, node), t->level[level].node_bytes);
    be_dyn_loop_end(f, &loop);
    for (; level <= t->n_levels; level++) {
        loop = be_dyn_loop(f, q->n, "query");
        s = query(f, q, loop.i);
        node = kept(f, q, loop.i, f->e->size);
        if (level == t->n_levels) {
            answer(f, q, &s, loop.i, be_tree_leaf(f, t, q->base, node, &s));
        } else {
            node = be_tree_child(f, t, q->base, level, node, &s);
            keep(f, q, loop.i, node);
            ask_for(f, be_tree_node(f, t, q->base, level + 1, node), t->level[level + 1].node_bytes);
        }
        be_dyn_loop_end(f, &loop);
    }
}

enum { LANES = 8,                                 /* queries whose lines are found at once */
       AHEAD = 3 };                               /* vectors of them that wait for their lines */

static bool finds_in_lanes(const Fn *f)
{
    return f->e->target.arch == ARCH_X86_64 && f->level->vector_bytes == 64;
}

/* Vectors of queries that lie side by side: below what fills nodes, and the bits of floats. */
static Sought query_lanes(Fn *f, LLVMValueRef at, uint32_t lanes)
{
    Emitter *e = f->e;
    Type key = be_sought_type(key_type(f));
    uint32_t bytes = type_element_bytes(key);
    LLVMTypeRef type = LLVMVectorType(be_scalar_type(e, key), lanes);
    LLVMValueRef x = LLVMBuildLoad2(f->b, type, at, "");
    LLVMSetAlignment(x, bytes);
    LLVMValueRef given = x;
    if (key.elem == ELEM_INT) {
        uint64_t most = (bytes == 4 ? (uint64_t)INT32_MAX : (uint64_t)INT64_MAX) - 1;
        LLVMValueRef all = be_splat(f, LLVMConstInt(LLVMGetElementType(type), most, 0), lanes);
        x = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntSLT, x, all, ""), x, all, "");
    }
    return (Sought){key, x, NULL, given};
}

/* The lines of vector number `v` of the queries: found, asked for, kept from number `to` on. */
static void find_lines(Fn *f, const Queries *q, LLVMValueRef v, LLVMValueRef to)
{
    Emitter *e = f->e;
    const SearchTable *t = q->s->table;
    LLVMValueRef i = LLVMBuildMul(f->b, v, be_size(e, LANES), "");
    Sought s = query_lanes(f, place_of(f, q->in, i, be_size(e, t->key_bytes)), LANES);
    keep_line(f, q, to, be_bucket_line(f, t, q->base, &s));
    for (uint32_t lane = 0; lane < LANES; lane++)
        ask_for(f, kept(f, q, LLVMBuildAdd(f->b, to, be_size(e, lane), ""), e->ptr), t->line_bytes);
}

static LLVMValueRef least(Fn *f, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntULT, a, b, ""), a, b, "");
}

/* A vector's place in the ring of those that were asked for. */
static LLVMValueRef ring_place(Fn *f, LLVMValueRef v)
{
    LLVMValueRef i = LLVMBuildMul(f->b, v, be_size(f->e, LANES), "");
    return LLVMBuildAnd(f->b, i, be_size(f->e, GROUP - 1), "");
}

/* All whole vectors of queries that lie side by side, AHEAD of them asked for; the last is found again rather than none. Returns how
 * many queries that are. */
static LLVMValueRef stream_lines(Fn *f, Queries *q, LLVMValueRef n)
{
    Emitter *e = f->e;
    const SearchTable *t = q->s->table;
    LLVMValueRef vectors = LLVMBuildUDiv(f->b, n, be_size(e, LANES), ""), ahead = be_size(e, AHEAD);
    Queries side = *q;
    side.first = be_size(e, 0);
    side.in_stride = be_size(e, t->key_bytes);
    side.out_stride = be_size(e, type_element_bytes(value_type(f->net, op_operand(f->net->body->last, RETURN_value))));
    DynLoop loop = be_dyn_loop(f, least(f, vectors, ahead), "first");
    find_lines(f, q, loop.i, ring_place(f, loop.i));
    be_dyn_loop_end(f, &loop);
    loop = be_dyn_loop(f, vectors, "vectors");
    LLVMValueRef next = LLVMBuildAdd(f->b, loop.i, ahead, "");
    find_lines(f, q, least(f, next, LLVMBuildSub(f->b, vectors, be_size(e, 1), "")), ring_place(f, next));
    LLVMValueRef from = ring_place(f, loop.i);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        LLVMValueRef i = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, loop.i, be_size(e, LANES), ""), be_size(e, lane), "");
        Sought s = query(f, &side, i);
        answer(f, &side, &s, i, be_bucket_in_line(f, t, q->base, kept_line(f, q, LLVMBuildAdd(f->b, from, be_size(e, lane), "")), &s));
    }
    be_dyn_loop_end(f, &loop);
    return LLVMBuildMul(f->b, vectors, be_size(e, LANES), "");
}

/* Whether a vector's lines are asked for while another's are read: lines of several accesses are better asked for all together. */
static bool streams(const Fn *f, const SearchTable *t)
{
    return t->how == LOWER_bucket && t->line_bytes == 64 && finds_in_lanes(f);
}

/* The whole vectors of the group, if they lie side by side; returns how many queries that are. */
static LLVMValueRef find_vectors(Fn *f, const Queries *q)
{
    Emitter *e = f->e;
    LLVMValueRef lanes = be_size(e, LANES), dense = LLVMBuildICmp(f->b, LLVMIntEQ, q->in_stride, be_size(e, q->s->table->key_bytes), "");
    LLVMValueRef vectors = LLVMBuildSelect(f->b, dense, LLVMBuildUDiv(f->b, q->n, lanes, ""), be_size(e, 0), "");
    LLVMValueRef first = LLVMBuildUDiv(f->b, q->first, lanes, "");
    DynLoop loop = be_dyn_loop(f, vectors, "vectors");
    find_lines(f, q, LLVMBuildAdd(f->b, first, loop.i, ""), LLVMBuildMul(f->b, loop.i, lanes, ""));
    be_dyn_loop_end(f, &loop);
    return LLVMBuildMul(f->b, vectors, lanes, "");
}

static void group_by_bucket(Fn *f, const Queries *q)
{
    const SearchTable *t = q->s->table;
    LLVMValueRef found = finds_in_lanes(f) && !streams(f, t) ? find_vectors(f, q) : be_size(f->e, 0);
    DynLoop loop = be_dyn_loop(f, LLVMBuildSub(f->b, q->n, found, ""), "query");
    LLVMValueRef i = LLVMBuildAdd(f->b, found, loop.i, "");
    Sought s = query(f, q, i);
    Line line = be_bucket_line(f, t, q->base, &s);
    keep_line(f, q, i, line);
    ask_for(f, line.at, t->line_bytes);
    be_dyn_loop_end(f, &loop);
    loop = be_dyn_loop(f, q->n, "query");
    s = query(f, q, loop.i);
    answer(f, q, &s, loop.i, be_bucket_in_line(f, t, q->base, kept_line(f, q, loop.i), &s));
    be_dyn_loop_end(f, &loop);
}

/*   for (first = 0; first < n; first += GROUP) { min(GROUP, n - first) queries }   */
static void all_groups(Fn *f, Queries *q, LLVMValueRef n)
{
    Emitter *e = f->e;
    LLVMValueRef groups = LLVMBuildLShr(f->b, LLVMBuildAdd(f->b, n, be_size(e, GROUP - 1), ""), be_size(e, __builtin_ctz(GROUP)), "");
    DynLoop loop = be_dyn_loop(f, groups, "group");
    q->first = LLVMBuildMul(f->b, loop.i, be_size(e, GROUP), "");
    LLVMValueRef left = LLVMBuildSub(f->b, n, q->first, "");
    q->n = LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntULT, left, be_size(e, GROUP), ""), left, be_size(e, GROUP), "");
    if (q->s->table->how == LOWER_tree)
        group_by_tree(f, q);
    else
        group_by_bucket(f, q);
    be_dyn_loop_end(f, &loop);
}

/* ---- permutations: AVX-512's ---- */

typedef struct Registers { uint32_t n; LLVMValueRef v[4]; } Registers;        /* of a table of n vectors */

static bool can_permute(const Fn *f, const Search *s)
{
    const SearchTable *t = s->table;
    return f->e->target.arch == ARCH_X86_64 && f->level->vector_bytes == 64 && t->how == LOWER_tree && t->n_levels == 0 &&
           t->word_bytes && t->label_bytes <= t->key_bytes;
}

static LLVMValueRef permute_one(Fn *f, const char *name, LLVMValueRef *args, unsigned n)
{
    LLVMTypeRef none = NULL;
    return be_intrinsic_on(f, name, &none, 0, args, n);
}

/* element[index] in each lane; the index has as many bits as lanes of all registers need. */
static LLVMValueRef permute(Fn *f, const Registers *r, LLVMValueRef index, bool wide)
{
    Emitter *e = f->e;
    LLVMTypeRef type = LLVMTypeOf(index);
    if (r->n == 1)
        return permute_one(f, wide ? "llvm.x86.avx512.permvar.di.512" : "llvm.x86.avx512.permvar.si.512", (LLVMValueRef[]){r->v[0], index}, 2);
    const char *two = wide ? "llvm.x86.avx512.vpermi2var.q.512" : "llvm.x86.avx512.vpermi2var.d.512";
    LLVMValueRef low = permute_one(f, two, (LLVMValueRef[]){r->v[0], index, r->v[1]}, 3);
    if (r->n == 2)
        return low;
    LLVMValueRef high = permute_one(f, two, (LLVMValueRef[]){r->v[2], index, r->v[3]}, 3);
    uint32_t lanes = wide ? 8 : 16;
    LLVMValueRef beyond = be_splat(f, LLVMConstInt(wide ? e->i64 : e->i32, 2 * lanes, 0), lanes);
    return LLVMBuildSelect(f->b, LLVMBuildICmp(f->b, LLVMIntUGE, index, LLVMBuildBitCast(f->b, beyond, type, ""), ""), high, low, "");
}

/* `n` elements of `bytes` from `at` on, as integers as wide as keys. */
static Registers load_registers(Fn *f, LLVMValueRef at, uint32_t n, uint32_t bytes, uint32_t key_bytes)
{
    Emitter *e = f->e;
    uint32_t lanes = 64 / key_bytes;
    Registers r = {.n = (n + lanes - 1) / lanes};
    for (uint32_t i = 0; i < r.n; i++) {
        LLVMTypeRef type = LLVMVectorType(LLVMIntTypeInContext(e->c, 8 * bytes), lanes);
        r.v[i] = LLVMBuildLoad2(f->b, type, be_at_const(f, at, (uint64_t)i * lanes * bytes), "");
        LLVMSetAlignment(r.v[i], bytes);
        if (bytes < key_bytes)
            r.v[i] = LLVMBuildZExt(f->b, r.v[i], LLVMVectorType(LLVMIntTypeInContext(e->c, 8 * key_bytes), lanes), "");
    }
    return r;
}

static LLVMValueRef vector_of(Fn *f, uint64_t n, uint32_t lanes, bool wide)
{
    return be_splat(f, LLVMConstInt(wide ? f->e->i64 : f->e->i32, n, 0), lanes);
}

/* What the last slot has, as bits. */
static uint64_t last_label(const Fn *f, const Queries *q)
{
    const SearchTable *t = q->s->table;
    uint64_t slot = t->n + 1, bits = 0;
    if (!q->s->row)
        return slot;
    memcpy(&bits, const_element(const_get(f->m, q->s->row->cst[0]), slot), t->label_bytes);
    return bits;
}

/* The labels of a vector of x. */
static LLVMValueRef permuted(Fn *f, const Registers *keys, const Registers *labels, uint32_t n_keys, LLVMValueRef x, Type key)
{
    bool wide = type_element_bytes(key) == 8, floats = type_is_float(key);
    uint32_t lanes = wide ? 8 : 16;
    LLVMValueRef pos = vector_of(f, 0, lanes, wide);
    for (uint32_t step = n_keys / 2; step > 0; step /= 2) {
        LLVMValueRef k = permute(f, keys, LLVMBuildOr(f->b, pos, vector_of(f, step - 1, lanes, wide), ""), wide);
        LLVMValueRef passed = floats ? LLVMBuildFCmp(f->b, LLVMRealOLE, LLVMBuildBitCast(f->b, k, LLVMTypeOf(x), ""), x, "")
                                     : LLVMBuildICmp(f->b, LLVMIntSLE, k, x, "");
        pos = LLVMBuildSelect(f->b, passed, LLVMBuildOr(f->b, pos, vector_of(f, step, lanes, wide), ""), pos, "");
    }
    return permute(f, labels, pos, wide);
}

enum { AT_ONCE = 2 };                             /* vectors: their steps overlap */

/* All whole vectors of queries that lie side by side; returns how many queries that are. */
static LLVMValueRef permute_all(Fn *f, const Queries *q, LLVMValueRef n)
{
    Emitter *e = f->e;
    const SearchTable *t = q->s->table;
    const SearchLevel *leaf = &t->level[0];
    Type key = be_sought_type(key_type(f)), label = value_type(f->net, op_operand(f->net->body->last, RETURN_value));
    uint32_t lanes = 64 / t->key_bytes, step = AT_ONCE * lanes, size = type_element_bytes(label);
    LLVMTypeRef stored = LLVMVectorType(LLVMIntTypeInContext(e->c, 8 * size), lanes);
    Registers keys = load_registers(f, q->base, leaf->lanes, t->key_bytes, t->key_bytes);
    Registers labels = load_registers(f, be_at_const(f, q->base, (uint64_t)leaf->lanes * t->key_bytes), leaf->lanes, t->word_bytes, t->key_bytes);
    LLVMValueRef rounds = LLVMBuildUDiv(f->b, n, be_size(e, step), "");
    DynLoop loop = be_dyn_loop(f, rounds, "vectors");
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        LLVMValueRef number = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, loop.i, be_size(e, step), ""), be_size(e, (uint64_t)i * lanes), "");
        Sought s = query_lanes(f, be_at(f, q->in, LLVMBuildMul(f->b, number, be_size(e, t->key_bytes), "")), lanes);
        LLVMValueRef y = LLVMBuildTruncOrBitCast(f->b, permuted(f, &keys, &labels, leaf->lanes, s.x, key), stored, "");
        if (t->last_apart)
            y = LLVMBuildSelect(f->b, be_is_greatest(f, &s), be_splat(f, LLVMConstInt(LLVMGetElementType(stored), last_label(f, q), 0), lanes), y, "");
        LLVMValueRef store = LLVMBuildStore(f->b, y, be_at(f, q->out, LLVMBuildMul(f->b, number, be_size(e, size), "")));
        LLVMSetAlignment(store, size);
    }
    be_dyn_loop_end(f, &loop);
    return LLVMBuildMul(f->b, rounds, be_size(e, step), "");
}

/* Those that lie side by side, a vector at a time; the rest, and all others, follow one by one. */
static LLVMValueRef most_in_lanes(Fn *f, Queries *q, LLVMValueRef n)
{
    Emitter *e = f->e;
    Value v = op_operand(f->net->body->last, RETURN_value);
    LLVMValueRef dense_in = LLVMBuildICmp(f->b, LLVMIntEQ, q->in_stride, be_size(e, type_element_bytes(key_type(f))), "");
    LLVMValueRef dense_out = LLVMBuildICmp(f->b, LLVMIntEQ, q->out_stride, be_size(e, type_element_bytes(value_type(f->net, v))), "");
    LLVMValueRef some = LLVMBuildSelect(f->b, LLVMBuildAnd(f->b, dense_in, dense_out, ""), n, be_size(e, 0), "");
    LLVMValueRef done = q->s->table->how == LOWER_tree ? permute_all(f, q, some) : stream_lines(f, q, some);
    q->in = place_of(f, q->in, done, q->in_stride);
    q->out = place_of(f, q->out, done, q->out_stride);
    return LLVMBuildSub(f->b, n, done, "");
}

/* ---- the function ---- */

LLVMValueRef be_search_batch(Emitter *e, const Network *net, const Level *level, const char *name)
{
    Plan plan = be_plan(e->arena, &e->target, net);
    Fn state = {.e = e, .b = e->b, .net = net, .m = net->module, .plan = &plan, .level = level}, *f = &state;
    const Op *op = be_only_search(net);
    Queries q = {.op = op, .s = &plan.search[op->result[0]]};
    f->fn = LLVMAddFunction(e->module, name, be_batch_signature(e, net, &plan));
    be_attributes(e, f->fn, level);
    be_debug_function(e, f->fn, net);
    f->place = NEW_ARRAY(e->arena, net->values.len, Place);
    f->word = NEW_ARRAY(e->arena, net->values.len, LLVMValueRef);
    f->entry = be_new_block(f, "entry");
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    Layout layout = be_layout_search(net, op, q.s);
    Value v = op_operand(net->body->last, RETURN_value);
    q.base = be_constant(e, net->module, op->cst[0], &layout);
    q.places = LLVMBuildAlloca(f->b, LLVMArrayType2(e->ptr, GROUP), "places");
    LLVMSetAlignment(q.places, 64);
    q.codes = LLVMBuildAlloca(f->b, LLVMArrayType2(LLVMIntTypeInContext(e->c, 16), GROUP), "codes");
    q.in = LLVMGetParam(f->fn, 1);
    q.in_stride = LLVMBuildMul(f->b, LLVMGetParam(f->fn, 2), be_size(e, type_element_bytes(key_type(f))), "");
    q.out = LLVMGetParam(f->fn, 3);
    q.out_stride = LLVMBuildMul(f->b, LLVMGetParam(f->fn, 4), be_size(e, type_element_bytes(value_type(net, v))), "");
    LLVMValueRef n = LLVMGetParam(f->fn, 0);
    if (can_permute(f, q.s) || streams(f, q.s->table))
        n = most_in_lanes(f, &q, n);
    all_groups(f, &q, n);
    LLVMBuildRet(f->b, LLVMConstInt(e->i32, 0, 0));
    return f->fn;
}
