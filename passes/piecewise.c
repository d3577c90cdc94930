/* piecewise.c — what depends on one scalar becomes a search and a row, or a search and one affine map.
 *
 *      %h = affine %x, @W1, @b1          (x: one scalar)         %slot, %depth = search @breaks, %x
 *      %r = relu %h                                        =>    %y = row @Y[%slot]          if all pieces are constant
 *      …
 *      %y = affine …                                             %a = row @slopes[%slot]     else
 *                                                                %b = row @offsets[%slot]
 *                                                                %y = %a · %x + %b
 *
 * However deep and wide: a network of sums, relus, absolute values, minima and maxima of one scalar is piecewise affine. Its
 * pieces are found exactly (scalar_sweep.c, scalar_floats.c), and the search costs one comparison a level.
 *
 * Integers: under every numerics, because the values stay. The network computes modulo 2^N, the analysis with true numbers; it proves,
 * at both ends of every piece, that these fit the type of each op, so nothing wraps and both are the same. The op that could
 * wrap is left out of the region, with all behind it. The range is that of the type, of the box, or of what `ord` can give.
 *
 * Floats: under `real`, over a finite box. The pieces are those of the real function, without any rounding, on all floats of the type;
 * only the leaves are rounded, computed in f64, and cast. As in merge_affine.c, with B the bound of error_bound.c: |compiled − source|
 * <= B(before) + B(after), where behind the leaves B goes on from |leaf − function|, which is known. A NaN is in slot 0 and stays NaN
 * where leaves are not constant; it is outside of every box.
 *
 * Outside the box, policy `dense`: the pieces are those within, so the network as written is kept for the rest:
 *
 *      %inside = within %x, @box
 *      %y = if %inside { search … } else { the ops that were there }           and the status, as guard.c has it
 *
 * Ends: every region is replaced at most once, by ops that none is made of.
 */
#include "error_bound.h"
#include "pass_util.h"
#include "piecewise.h"

#include <math.h>
#include <string.h>

enum { MOST_TRIES = 16, MOST_PIECES = 1 << 22 };
static const uint64_t MOST_WORK = (uint64_t)1 << 34, MOST_SWEEP_BYTES = (uint64_t)1 << 31, TABLE_BYTES = (uint64_t)1 << 24;

static Type root_type(const Job *job, const Region *r) { return type_element(value_type(job->net, r->root.base)); }

/* ---- the range of the scalar ---- */

static ConstId box_of(const Job *job, Value v)
{
    for (uint32_t i = 0; i < job->net->n_inputs; i++)
        if (job->net->body->arg[i] == v)
            return job->net->input[i].box;
    return 0;
}

static void read_integer(const Const *c, uint64_t i, Limb *r, uint32_t n)
{
    uint32_t bytes = type_element_bytes(c->type);
    const uint8_t *at = const_element(c, i);
    memset(r, at[bytes - 1] & 0x80 ? 0xff : 0, n * sizeof *r);
    memcpy(r, at, bytes < n * sizeof *r ? bytes : n * sizeof *r);
}

static void integer_range(const Job *job, Plan *plan, Limb *lo, Limb *hi)
{
    const Region *r = plan->region;
    Type t = plan->type;
    uint32_t n = plan->lo_limbs;
    ConstId box = box_of(job, r->root.base);
    if (box) {
        const Const *c = const_get(job->net->module, box);
        read_integer(c, r->root.element, lo, n);
        read_integer(c, type_count(c->type) / 2 + r->root.element, hi, n);
        plan->boxed = true;
        return;
    }
    big_set(hi, n, 1);
    big_shift_left(hi, n, t.n - 1);
    big_neg(lo, hi, n);
    Limb *one = NEW_ARRAY(job->ctx->arena, n, Limb);
    big_set(one, n, 1);
    big_sub(hi, hi, one, n);
    const Op *def = value_op(job->net, r->root.base);
    if (def && def->kind == OP_ord)       /* −(2^(N−1) − 1) … 2^(N−1) − 1 */
        big_add(lo, lo, one, n);
}

/* A number of the type at or beyond d. */
static double outer(double d, double to, Type t)
{
    if (t.elem == ELEM_F64)
        return nextafter(d, to);
    float f = (float)d;
    return (double)(to < d ? ((double)f < d ? f : nextafterf(f, -INFINITY)) : ((double)f > d ? f : nextafterf(f, INFINITY)));
}

/* What x can be when it is computed, and how far that is from the real x. */
static bool float_range(const Job *job, Plan *plan, double *lo, double *hi, double *err, const char **why)
{
    Known range;
    uint64_t i = plan->region->root.element;
    if (!error_range(job->ctx->arena, job->net, plan->region->root.base, &range, why))
        return false;
    *lo = range.lo[i], *hi = range.hi[i], *err = range.err[i];
    if (*err > 0) {
        *lo = outer(*lo - *err, -INFINITY, plan->type);
        *hi = outer(*hi + *err, INFINITY, plan->type);
    }
    plan->boxed = true;
    *why = "its range is not finite";
    return isfinite(*lo) && isfinite(*hi) && *lo <= *hi;
}

/* ---- cells ---- */

static bool make_cells(const Job *job, Plan *plan, int32_t scale, long double most)
{
    const Region *r = plan->region;
    plan->cells = cells_new(plan->scratch, job->net, plan->floats, scale, most);
    if (type_count(value_type(job->net, r->root.base)) == 1)
        cells_set_root(plan->cells, r->root.base, 1);
    for (size_t i = 0; i < r->ops.len; i++) {
        const Op *op = r->ops.at[i];
        bool column = op->kind == OP_affine && !plan->cells->of_value[op_operand(op, AFFINE_x)];
        if (!(column ? cells_add_column(plan->cells, op, r->root.element) : cells_add(plan->cells, op)))
            return false;
    }
    cells_finish(plan->cells);
    Vec(CellId) watched = {0};
    plan->leaf = NEW_ARRAY(job->ctx->arena, r->frontier.len, Leaf);
    for (size_t k = 0; k < r->frontier.len; k++) {
        Value v = r->frontier.at[k];
        plan->leaf[k] = (Leaf){.old = v, .first = (uint32_t)watched.len, .n = (uint32_t)type_count(value_type(job->net, v))};
        for (uint32_t i = 0; i < plan->leaf[k].n; i++)
            vec_push(job->ctx->arena, watched, plan->cells->of_value[v][i]);
    }
    plan->watched = watched.at;
    plan->n_watched = (uint32_t)watched.len;
    return true;
}

static size_t most_pieces(const Job *job) { return job->ctx->leaves ? job->ctx->leaves : MOST_PIECES; }

static SweepEnd sweep(const Job *job, Plan *plan, uint32_t precision, const Limb *hi, const Op **culprit)
{
    SweepRange range = {.precision = precision, .lo = plan->lo, .hi = hi};
    SweepLimits limits = {.pieces = most_pieces(job), .work = MOST_WORK, .bytes = MOST_SWEEP_BYTES};
    plan->pieces = (Pieces){.n_watched = plan->n_watched, .watched = plan->watched};
    if (plan->floats)
        return scalar_sweep_floats(job->ctx->arena, plan->cells, range, &limits, &plan->pieces);
    return scalar_sweep(job->ctx->arena, plan->cells, range, &limits, &plan->pieces, culprit);
}

static bool explain(const Job *job, const Plan *plan, SweepEnd end)
{
    const char *why = end == SWEEP_TOO_MANY ? "it has too many pieces" : "finding its pieces takes too long";
    diag_remark(job->ctx->diags, job->net->span, job->ctx->name, "what depends on `%s` alone is left as written: %s",
                piecewise_name(job->net, plan->region->root.base), why);
    return false;
}

/* ---- integers ---- */

static uint32_t depth_of(size_t leaves)
{
    uint32_t depth = 0;
    while ((uint64_t)1 << depth < leaves)
        depth++;
    return depth;
}

/* Constant pieces, when they are not more operations than affine ones. */
static void choose_integer_leaves(const Job *job, Plan *plan)
{
    Pieces merged, flat;
    size_t *first, most = most_pieces(job);
    uint64_t sloped = 0;
    pieces_merge(job->ctx->arena, &plan->pieces, NULL, &merged, &first);
    for (size_t k = 0; k < plan->region->frontier.len; k++) {
        Leaf *leaf = &plan->leaf[k];
        leaf->constant = true;
        for (uint32_t i = 0; i < leaf->n; i++)
            leaf->constant = leaf->constant && pieces_are_constant(&merged, leaf->first + i);
        sloped += leaf->constant ? 0 : 2 * leaf->n;
        leaf->stored_a = leaf->stored_b = type_element(value_type(job->net, leaf->old));
    }
    plan->cost = depth_of(merged.n) + sloped;
    if (plan->cost < 31 && most > (size_t)1 << plan->cost)
        most = (size_t)1 << plan->cost;
    plan->pieces = merged;
    if (!pieces_as_constants(job->ctx->arena, &merged, most, &flat))
        return;
    plan->pieces = flat;
    plan->cost = depth_of(flat.n);
    for (size_t k = 0; k < plan->region->frontier.len; k++)
        plan->leaf[k].constant = true;
}

/* The op that stands in the way, if there is one, in *culprit. */
static bool plan_integers(const Job *job, Plan *plan, const Op **culprit)
{
    plan->lo_limbs = plan->type.n / 64 + 2;
    plan->lo = NEW_ARRAY(job->ctx->arena, plan->lo_limbs, Limb);
    Limb *hi = NEW_ARRAY(job->ctx->arena, plan->lo_limbs, Limb);
    integer_range(job, plan, plan->lo, hi);
    if (big_compare(hi, plan->lo, plan->lo_limbs) < 0 || !make_cells(job, plan, 0, ldexpl(1, (int)plan->type.n)))
        return false;
    uint32_t n = plan->cells->cell.at[0].limbs;
    big_extend(plan->lo, n, plan->lo, plan->lo_limbs);
    big_extend(hi, n, hi, plan->lo_limbs);
    plan->lo_limbs = n;
    SweepEnd end = sweep(job, plan, 0, hi, culprit);
    if (end == SWEEP_WRAPS)
        return false;
    if (end != SWEEP_DONE)
        return explain(job, plan, end);
    choose_integer_leaves(job, plan);
    return true;
}

/* ---- floats ---- */

static uint32_t precision_of(Type t) { return t.elem == ELEM_F32 ? 24 : 53; }

/* Bits behind the point. */
static int32_t fraction_bits(double d)
{
    int exp, bits = 53;
    double f = frexp(d, &exp);
    for (int64_t m = (int64_t)ldexp(f, 53); m != 0 && m % 2 == 0; m /= 2)
        bits--;
    return f == 0 || bits - exp < 0 ? 0 : bits - exp;
}

typedef struct Grid { int32_t scale; bool whole; } Grid;       /* whole: every float of the range is on it */

/* Steps of 2^-scale: all floats of the range, or at first all but those that are very small. */
static Grid grid_of(Type t, double lo, double hi, bool whole)
{
    int precision = t.elem == ELEM_F32 ? 24 : 53, least = t.elem == ELEM_F32 ? 149 : 1074;
    double nearest = lo > 0 ? lo : hi < 0 ? -hi : 0;
    int32_t all = nearest > 0 ? precision - 1 - ilogb(nearest) : least;
    all = all > least ? least : all < 0 ? 0 : all;
    int32_t ends = fraction_bits(lo) > fraction_bits(hi) ? fraction_bits(lo) : fraction_bits(hi);
    int32_t some = precision + 40 > ends ? precision + 40 : ends;
    return whole || some >= all ? (Grid){all, true} : (Grid){some, false};
}

/* Whether piece p, continued to the left by `back`, has the values of the one before there. */
static bool meets(const Job *job, const Plan *plan, size_t p, const Limb *back)
{
    const Pieces *pieces = &plan->pieces;
    uint32_t P = pieces->position_limbs;
    Limb *distance = NEW_ARRAY(job->ctx->arena, P, Limb);
    big_sub(distance, piece_start(pieces, p), piece_start(pieces, p - 1), P);
    big_sub(distance, distance, back, P);
    for (uint32_t w = 0; w < pieces->n_watched; w++) {
        uint32_t n = pieces->limbs[w], m = P < n ? P : n;
        Limb *left = NEW_ARRAY(job->ctx->arena, n, Limb), *right = NEW_ARRAY(job->ctx->arena, n, Limb);
        memcpy(left, piece_value(pieces, w, p - 1), n * sizeof *left);
        big_add_product(left, piece_slope(pieces, w, p - 1), n, distance, m);
        memcpy(right, piece_value(pieces, w, p), n * sizeof *right);
        big_add_product(left, piece_slope(pieces, w, p), n, back, m);
        if (memcmp(left, right, n * sizeof *left) != 0)
            return false;
    }
    return true;
}

/* The float from which on piece p is taken: the one before its start if both pieces have the same values there, else its start. Where
 * there are floats between two steps of the grid it has to be the former: false when it is not. */
static bool first_float(const Job *job, const Plan *plan, size_t p, Grid grid, double *x)
{
    const Pieces *pieces = &plan->pieces;
    uint32_t P = pieces->position_limbs, n = plan->lo_limbs > P ? plan->lo_limbs : P, precision = precision_of(plan->type);
    Limb *at = NEW_ARRAY(job->ctx->arena, n, Limb), *start = NEW_ARRAY(job->ctx->arena, n, Limb);
    Limb *back = NEW_ARRAY(job->ctx->arena, n, Limb);
    big_extend(at, n, plan->lo, plan->lo_limbs);
    memcpy(start, piece_start(pieces, p), P * sizeof *start);
    big_add(at, at, start, n);
    uint32_t bits = big_bits(at, n);
    big_set(back, n, 1);
    if (bits > precision)
        big_shift_left(back, n, bits - precision);
    if (meets(job, plan, p, back))
        big_sub(at, at, back, n);
    else if (!grid.whole && bits <= precision)
        return false;
    *x = big_to_double(at, n, -grid.scale);
    return true;
}

/* Drops the pieces without floats and merges the others; from[], to[] of what is left. */
static bool keep_floats(const Job *job, Plan *plan, Grid grid, double lo, double hi)
{
    Arena *arena = job->ctx->arena;
    size_t n = plan->pieces.n;
    double *begin = NEW_ARRAY(arena, n + 1, double);
    bool *keep = NEW_ARRAY(arena, n, bool);
    begin[0] = lo;
    begin[n] = INFINITY;
    for (size_t p = 1; p < n; p++)
        if (!first_float(job, plan, p, grid, &begin[p]))
            return false;
    for (size_t p = 0; p < n; p++)
        keep[p] = begin[p] < begin[p + 1] && begin[p] <= hi;
    Pieces merged;
    size_t *first;
    pieces_merge(arena, &plan->pieces, keep, &merged, &first);
    plan->pieces = merged;
    plan->from = NEW_ARRAY(arena, merged.n, double);
    plan->to = NEW_ARRAY(arena, merged.n, double);
    for (size_t k = 0; k < merged.n; k++) {
        plan->from[k] = k ? begin[first[k]] : lo;
        plan->to[k] = k + 1 < merged.n ? begin[first[k + 1]] : hi;
    }
    return true;
}

/* Stored as narrow as does not add more than half a unit of the largest output, which rounding that takes away anyway. */
static void choose_float_leaves(const Job *job, Plan *plan)
{
    LeafQuestion q = {.cells = plan->cells, .pieces = &plan->pieces, .lo = plan->lo, .lo_limbs = plan->lo_limbs, .from = plan->from,
                      .to = plan->to};
    uint64_t sloped = 0;
    bool narrow = true;
    for (size_t k = 0; k < plan->region->frontier.len; k++)
        narrow &= value_type(job->net, plan->leaf[k].old).elem == ELEM_F32;
    for (int wide = narrow ? 0 : 2; wide <= 2; wide++) {
        q.f32_slopes = wide < 2;
        q.f32_offsets = wide < 1;
        float_leaves(job->ctx->arena, &q, &plan->leaves);
        bool good = true;
        for (uint32_t w = 0; w < plan->n_watched; w++)
            good &= plan->leaves.error[w] <= 0x1p-24 * fmax(fabs(plan->leaves.least[w]), fabs(plan->leaves.most[w]));
        if (good)
            break;
    }
    for (size_t k = 0; k < plan->region->frontier.len; k++) {
        Leaf *leaf = &plan->leaf[k];
        leaf->constant = true;
        for (uint32_t i = 0; i < leaf->n; i++)
            leaf->constant = leaf->constant && pieces_are_constant(&plan->pieces, leaf->first + i);
        leaf->stored_a = q.f32_slopes ? type_f32() : type_f64();
        leaf->stored_b = q.f32_offsets ? type_f32() : type_f64();
        sloped += leaf->constant ? 0 : 2 * leaf->n;
    }
    plan->cost = depth_of(plan->pieces.n) + sloped;
}

/* What the compiled value and the real one differ by: the leaf as stored, two roundings of f64, one to the type, and x itself. */
static Known known_of(const Job *job, const Plan *plan, const Leaf *leaf, double x_error)
{
    double *lo = NEW_ARRAY(job->ctx->arena, leaf->n, double), *hi = NEW_ARRAY(job->ctx->arena, leaf->n, double);
    double *err = NEW_ARRAY(job->ctx->arena, leaf->n, double);
    bool f32 = value_type(job->net, leaf->old).elem == ELEM_F32;
    for (uint32_t i = 0; i < leaf->n; i++) {
        uint32_t w = leaf->first + i;
        lo[i] = plan->leaves.least[w];
        hi[i] = plan->leaves.most[w];
        double before = plan->leaves.error[w] + 0x1p-51 * plan->leaves.reach[w] + plan->leaves.slope[w] * x_error + 0x1p-1060;
        double rounding = f32 ? 0x1p-24 * (fmax(fabs(lo[i]), fabs(hi[i])) + before) + 0x1p-149 : 0;
        err[i] = (before + rounding) * (1 + 0x1p-40);
    }
    return (Known){leaf->old, lo, hi, err};
}

static bool plan_floats(const Job *job, Plan *plan, KnownList *known, const char **why)
{
    double lo, hi, x_error;
    if (!float_range(job, plan, &lo, &hi, &x_error, why))
        return false;
    for (int whole = 0; whole < 2; whole++) {
        Grid grid = grid_of(plan->type, lo, hi, whole);
        long double most = ldexpl(fmaxl(fabsl((long double)lo), fabsl((long double)hi)) + 1, grid.scale);
        *why = "its numbers have too many bits to be exact";
        if (!make_cells(job, plan, grid.scale, most))
            return false;
        plan->lo_limbs = plan->cells->cell.at[0].limbs;
        plan->lo = NEW_ARRAY(job->ctx->arena, plan->lo_limbs, Limb);
        Limb *last = NEW_ARRAY(job->ctx->arena, plan->lo_limbs, Limb);
        big_from_double(plan->lo, plan->lo_limbs, lo, grid.scale);
        big_from_double(last, plan->lo_limbs, hi, grid.scale);
        const Op *culprit = NULL;
        SweepEnd end = sweep(job, plan, precision_of(plan->type), last, &culprit);
        *why = NULL;
        if (end != SWEEP_DONE)
            return explain(job, plan, end);
        if (!keep_floats(job, plan, grid, lo, hi))
            continue;
        choose_float_leaves(job, plan);
        for (size_t k = 0; k < plan->region->frontier.len; k++)
            vec_push(job->ctx->arena, known->values, known_of(job, plan, &plan->leaf[k], x_error));
        return true;
    }
    *why = "some of its breakpoints lie between floats";
    return false;
}

/* ---- which regions ---- */

/* Two comparisons more would be worse. */
static bool may_pay(const Region *r) { return r->frontier.len > 0 && r->cost > 1; }

static uint64_t table_bytes(const Job *job, const Plan *plan)
{
    uint64_t each = type_element_bytes(plan->type);
    for (size_t k = 0; k < plan->region->frontier.len; k++) {
        const Leaf *leaf = &plan->leaf[k];
        uint64_t stored = leaf->constant ? type_element_bytes(value_type(job->net, leaf->old))
                                         : type_element_bytes(leaf->stored_a) + type_element_bytes(leaf->stored_b);
        each += leaf->n * stored;
    }
    return each * plan->pieces.n;
}

static bool pays(const Job *job, const Plan *plan)
{
    uint64_t bytes = table_bytes(job, plan), most = plan->region->bytes * 16 > TABLE_BYTES ? plan->region->bytes * 16 : TABLE_BYTES;
    if (plan->cost >= plan->region->cost)
        return false;
    if (bytes <= most)
        return true;
    diag_remark(job->ctx->diags, job->net->span, job->ctx->name,
                "what depends on `%s` alone is left as written: its %zu pieces take %llu bytes",
                piecewise_name(job->net, plan->region->root.base), plan->pieces.n, (unsigned long long)bytes);
    return false;
}

typedef struct PlanList { Vec(Plan) plans; KnownList known; } PlanList;

/* One region; false when an op is in the way, which is left out when the regions are found again. */
static bool consider_in(const Job *job, Arena *scratch, const Region *r, OpList *without, PlanList *out)
{
    Plan plan = {.region = r, .type = root_type(job, r), .scratch = scratch};
    const Op *culprit = NULL;
    const char *why = NULL;
    plan.floats = type_is_float(plan.type);
    size_t known = out->known.values.len;
    bool fine;
    if (plan.floats && job->net->options.numerics != NUMERICS_real) {
        pass_note(job->ctx, "`%s`: %llu operations depend on it alone; under `real` numerics they would be a search",
                  piecewise_name(job->net, r->root.base), (unsigned long long)r->cost);
        return true;
    }
    fine = plan.floats ? plan_floats(job, &plan, &out->known, &why) : plan_integers(job, &plan, &culprit);
    if (culprit) {
        pass_note(job->ctx, "`%s` could leave its type: followed up to there", op_info(job->net->module, culprit->kind)->name);
        vec_push(job->ctx->arena, without->ops, culprit);
        return false;
    }
    if (why && r->kinked)
        diag_remark(job->ctx->diags, job->net->span, job->ctx->name, "what depends on `%s` alone is left as written: %s",
                    piecewise_name(job->net, r->root.base), why);
    plan.cells = NULL;
    plan.scratch = NULL;
    if (fine && pays(job, &plan))
        vec_push(job->ctx->arena, out->plans, plan);
    else
        out->known.values.len = known;
    return true;
}

/* Cells have tables of all values of the network: too much to keep for every region. */
static bool consider(const Job *job, const Region *r, OpList *without, PlanList *out)
{
    Arena *scratch = arena_new(job->ctx->arena);
    if (!scratch)
        arena_exhausted(job->ctx->arena);
    bool settled = consider_in(job, scratch, r, without, out);
    arena_free(scratch);
    return settled;
}

static void explain_unsettled(const Job *job, const Region *r)
{
    diag_remark(job->ctx->diags, job->net->span, job->ctx->name,
                "what depends on `%s` alone is left as written: too many of its operations could leave their type",
                piecewise_name(job->net, r->root.base));
}

/* Regions that pay, with their pieces. Ops that integers could wrap in are left out, in every try one of each region, which changes no
 * other region; what is not settled by the last try stays as written. */
static void make_plans(const Job *job, PlanList *out)
{
    OpList without = {0};
    bool settled = false;
    for (int tries = 1; !settled && tries <= MOST_TRIES; tries++) {
        RegionList list = find_regions(job->ctx->arena, job->net, &without);
        *out = (PlanList){0};
        settled = true;
        for (size_t i = 0; i < list.regions.len; i++) {
            const Region *r = &list.regions.at[i];
            if (!may_pay(r) || consider(job, r, &without, out))
                continue;
            settled = false;
            if (tries == MOST_TRIES)
                explain_unsettled(job, r);
        }
    }
}

/* B(before) + B(after) joins the error; without it, regions of floats stay. */
static bool certify(const Job *job, const PlanList *list)
{
    double before, after;
    const char *why;
    if (list->known.values.len == 0)
        return true;
    if (error_bound(job->ctx->arena, job->net, NULL, &before, &why)
        && error_bound_knowing(job->ctx->arena, job->net, NULL, &list->known, &after, &why)) {
        job->net->certified_error = (job->net->certified_error + before + after) * (1 + 0x1p-50);
        return true;
    }
    diag_remark(job->ctx->diags, job->net->span, job->ctx->name, "`%s` left as written, for the difference cannot be certified: %s",
                job->net->name, why);
    return false;
}

bool pass_piecewise(Network *net, PassContext *ctx)
{
    Job job = {.net = net, .ctx = ctx};
    network_settle(net);
    bool has_box = false;
    for (uint32_t i = 0; i < net->n_inputs; i++)
        has_box |= net->input[i].box != 0;
    if (has_box && net->options.outside != OUTSIDE_promise && network_is_guarded(net)) {
        pass_note(ctx, "the guard stands already");
        return false;
    }
    PlanList list;
    make_plans(&job, &list);
    bool sure = certify(&job, &list);
    size_t done = 0;
    for (size_t i = 0; i < list.plans.len; i++)
        if (sure || !list.plans.at[i].floats) {
            piecewise_replace(&job, &list.plans.at[i]);
            done++;
        }
    if (done == 0)
        return false;
    network_settle(net);
    remove_unused_ops(net, ctx->arena);
    pass_stat(ctx, "regions of one scalar", done);
    return true;
}
