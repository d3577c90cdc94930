/* proof.c — all leaves of a compiled tree, or as many as there is time for.
 *
 * In: the network as written, and as compiled. Out: Proof. The one idea: the tree is cut into parts of some dozens of leaves; in each the source
 * is settled once for its box, and again for each node on the way down, where less and less is left of it. A leaf whose bound does not
 * come out small enough is cut in two, and again: bounds on smaller boxes are tighter. When all parts would take too long, the parts that
 * are proven lie evenly among all. Which they are depends on how many products the parts before took, so on nothing but the networks: parts are
 * proven in rounds, each in one thread, and counted between rounds.
 */
#include "exact.h"

#include <math.h>
#include <string.h>

enum { PART_LEAVES = 64, MOST_CUTS = 1023, DEEPEST_CUT = 40, ROUND = 16 };

/* One thread's work. */
typedef struct Job {
    Arena *arena;                 /* its own */
    const Source *source;
    const ProofTree *tree;
    double allowed;
    Prover *prover;
    Vec(System *) free_;          /* systems no longer in use */
    Proof *out;                   /* of the part at hand */
} Job;

/* A round of parts, and what came of them. */
typedef struct Round {
    Job *job;                     /* by worker */
    const ProofPart *part[ROUND];
    Proof proof[ROUND];
    uint64_t work[ROUND];
    bool exhausted[ROUND];
} Round;

static System *take_system(Job *j)
{
    return j->free_.len > 0 ? j->free_.at[--j->free_.len] : system_new(j->arena, j->source);
}

static void set_box(System *s, const double *lo, const double *hi)
{
    uint32_t n = s->source->n_inputs;
    memcpy(s->lo, lo, n * sizeof *lo);
    memcpy(s->hi, hi, n * sizeof *hi);
}

static double *copy_of(Job *j, const double *x)
{
    size_t bytes = j->source->n_inputs * sizeof *x;
    return memcpy(arena_alloc(j->arena, bytes), x, bytes);
}

static void fail(Job *j, const System *s, TreeLeaf leaf, double error, const char *why)
{
    Proof *p = j->out;
    p->failed = true;
    p->reason = why;
    p->leaf = leaf;
    p->leaf_error = error;
    p->part_lo = copy_of(j, s->lo);
    p->part_hi = copy_of(j, s->hi);
}

/* The input whose interval is the greatest share of the whole box's. */
static uint32_t widest(const System *s)
{
    uint32_t best = 0;
    double most = -1;
    for (uint32_t i = 0; i < s->source->n_inputs; i++) {
        double whole = s->source->hi[i] - s->source->lo[i], share = whole > 0 ? (s->hi[i] - s->lo[i]) / whole : 0;
        if (share > most) {
            most = share;
            best = i;
        }
    }
    return best;
}

/* Proves the leaf on the system's box, by halves if need be. */
static bool prove_box(Job *j, System *s, TreeLeaf leaf, uint32_t *cuts, uint32_t depth)
{
    const char *why = NULL;
    double error = leaf_error(j->prover, s, j->tree, leaf, &why);
    if (error <= j->allowed) {
        j->out->error = fmax(j->out->error, error);
        return true;
    }
    uint32_t i = widest(s);
    double middle = s->lo[i] + (s->hi[i] - s->lo[i]) / 2;
    if (why || *cuts == 0 || depth == DEEPEST_CUT || !(s->lo[i] < middle && middle < s->hi[i])) {
        fail(j, s, leaf, error, why);
        return false;
    }
    --*cuts;
    System *half = take_system(j);
    bool fine = true;
    for (int side = 0; side < 2 && fine; side++) {
        set_box(half, s->lo, s->hi);
        *(side ? &half->lo[i] : &half->hi[i]) = middle;
        system_settle(j->prover, s, half);
        fine = prove_box(j, half, leaf, cuts, depth + 1);
    }
    vec_push(j->arena, j->free_, half);
    return fine;
}

static bool prove_below(Job *j, System *s, int32_t at);

static bool prove_child(Job *j, System *s, uint32_t node, int side)
{
    const TreeNode *n = &j->tree->tree->node[node];
    uint32_t input = j->tree->input[n->coordinate];
    System *child = take_system(j);
    set_box(child, s->lo, s->hi);
    if (side)
        child->lo[input] = fmax(child->lo[input], proof_right_end(j->tree, node));
    else
        child->hi[input] = fmin(child->hi[input], proof_left_end(j->tree, node));
    bool fine = true;
    if (child->lo[input] <= child->hi[input]) {
        system_settle(j->prover, s, child);
        fine = prove_below(j, child, n->child[side]);
    }
    vec_push(j->arena, j->free_, child);
    return fine;
}

static bool prove_below(Job *j, System *s, int32_t at)
{
    if (at >= 0)
        return prove_child(j, s, (uint32_t)at, 0) && prove_child(j, s, (uint32_t)at, 1);
    uint32_t cuts = MOST_CUTS;
    bool fine = prove_box(j, s, j->tree->tree->leaf[~at], &cuts, 0);
    j->out->proven += fine;
    if (!fine) {
        j->out->lo = copy_of(j, s->lo);
        j->out->hi = copy_of(j, s->hi);
    }
    return fine;
}

/* What is settled on the box of the part alone. */
static System *settle_part(Job *j, const ProofPart *part)
{
    System *s = take_system(j);
    set_box(s, part->lo, part->hi);
    system_settle(j->prover, NULL, s);
    return s;
}

/* The same with all that holds on the way there from the root: more, and far slower. */
static System *settle_path(Job *j, const ProofPart *part)
{
    const Tree *t = j->tree->tree;
    System *s = take_system(j);
    set_box(s, j->source->lo, j->source->hi);
    system_settle(j->prover, NULL, s);
    for (int32_t at = t->n_nodes ? 0 : ~0; at >= 0 && at != part->at;) {
        uint32_t input = j->tree->input[t->node[at].coordinate];
        int side = part->hi[input] > proof_left_end(j->tree, (uint32_t)at);
        System *child = take_system(j);
        set_box(child, s->lo, s->hi);
        if (side)
            child->lo[input] = fmax(child->lo[input], proof_right_end(j->tree, (uint32_t)at));
        else
            child->hi[input] = fmin(child->hi[input], proof_left_end(j->tree, (uint32_t)at));
        system_settle(j->prover, s, child);
        vec_push(j->arena, j->free_, s);
        s = child;
        at = t->node[at].child[side];
    }
    return s;
}

/* Bounds on a part are nearly always tighter than those above; when they are not enough, all are used. */
static void prove_part(Job *j, const ProofPart *part)
{
    for (int inherit = 0; inherit < 2; inherit++) {
        *j->out = (Proof){0};
        System *s = inherit ? settle_path(j, part) : settle_part(j, part);
        bool fine = prove_below(j, s, part->at);
        vec_push(j->arena, j->free_, s);
        if (fine || j->out->reason)
            return;
    }
}

/* Steps of about 0.618 n without a common divisor with n: parts that lie evenly, however few are reached. */
static size_t stride(size_t n)
{
    size_t step = (size_t)(0.6180339887498949 * (double)n);
    for (;; step++) {
        size_t a = n, b = step;
        while (b) {
            size_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

static void prove_in_round(void *data, size_t i, unsigned worker)
{
    Round *r = data;
    Job *j = &r->job[worker];
    uint64_t before = j->prover->exact->work;
    r->proof[i] = (Proof){0};
    r->exhausted[i] = true;
    if (ARENA_GUARD(j->arena))
        return;
    j->out = &r->proof[i];
    prove_part(j, r->part[i]);
    arena_unguard(j->arena);
    r->work[i] = j->prover->exact->work - before;
    r->exhausted[i] = false;
}

static void free_arena(void *arena) { arena_free(arena); }

/* A thread needs an arena that nobody else allocates on. */
static Job new_job(Arena *arena, const Source *source, const ProofTree *tree)
{
    Arena *own = arena_new(NULL);
    if (!own)
        arena_exhausted(arena);
    arena_defer(arena, free_arena, own);
    if (ARENA_GUARD(own))
        arena_exhausted(arena);
    Job j = {.arena = own, .source = source, .tree = tree, .allowed = tree->net->certified_error,
             .prover = prover_new(own, source->n_inputs + source->n_relus)};
    arena_unguard(own);
    return j;
}

/* Adds what came of a part; false: that ends it. */
static bool add_part(Arena *arena, Proof *sum, const Round *r, size_t i)
{
    const Proof *p = &r->proof[i];
    if (r->exhausted[i])
        arena_exhausted(arena);
    sum->proven += p->proven;
    sum->error = fmax(sum->error, p->error);
    if (!p->failed)
        return true;
    uint64_t proven = sum->proven, leaves = sum->leaves;
    uint32_t n = sum->n_inputs;
    *sum = *p;
    sum->proven = proven, sum->leaves = leaves, sum->n_inputs = n;
    return false;
}

static void prove_parts(Arena *arena, const Source *source, const ProofTree *tree, const ProofParts *parts, uint64_t work,
                        ProofProgress *progress, void *context, Proof *out)
{
    unsigned workers = parallel_workers(0);
    size_t step = parts->len > 1 ? stride(parts->len) : 1, at = 0;
    uint64_t done = 0;
    Round *r = NEW(arena, Round);
    r->job = NEW_ARRAY(arena, workers, Job);
    for (unsigned w = 0; w < workers; w++)
        r->job[w] = new_job(arena, source, tree);
    for (size_t i = 0, n; i < parts->len && done < work; i += n) {
        n = parts->len - i < ROUND ? parts->len - i : ROUND;
        for (size_t k = 0; k < n; k++, at = (at + step) % parts->len)
            r->part[k] = &parts->at[at];
        parallel_for(0, n, prove_in_round, r);
        for (size_t k = 0; k < n; k++) {
            if (!add_part(arena, out, r, k))
                return;
            done += r->work[k];
        }
        if (progress)
            progress(context, out->proven, out->leaves);
    }
}

/* What is certified is certified on the compiled network's box, and proven on the source's. */
static bool same_boxes(const Network *a, const Network *b)
{
    for (uint32_t i = 0; i < a->n_inputs; i++) {
        const Const *x = a->input[i].box ? const_get(a->module, a->input[i].box) : NULL;
        const Const *y = b->input[i].box ? const_get(b->module, b->input[i].box) : NULL;
        uint64_t n = type_count(a->input[i].type);
        if (!x || !y || n != type_count(b->input[i].type))
            return false;
        for (uint64_t k = 0; k < 2 * n; k++)
            if (const_f64(x, k) != const_f64(y, k))
                return false;
    }
    return true;
}

void proof_leaves(Arena *arena, const Network *source, const Network *compiled, uint64_t work, ProofProgress *progress, void *context, Proof *out)
{
    *out = (Proof){0};
    ProofTree tree;
    Source *s = NEW(arena, Source);
    if (!proof_tree(arena, compiled, &tree)) {
        out->why = tree.op ? "the keys of its tree are not its inputs" : "it has no tree";
        return;
    }
    if (!source_read(arena, source, s, &out->why))
        return;
    out->n_inputs = s->n_inputs;
    if (tree.n_inputs != s->n_inputs) {
        out->why = "the two have different inputs";
        return;
    }
    if (source->n_inputs != compiled->n_inputs || !same_boxes(source, compiled)) {
        out->why = "the two have different boxes";
        return;
    }
    ProofParts parts = {0};
    proof_parts(arena, &tree, s->lo, s->hi, PART_LEAVES, &parts);
    for (size_t i = 0; i < parts.len; i++)
        out->leaves += parts.at[i].leaves;
    prove_parts(arena, s, &tree, &parts, work, progress, context, out);
}
