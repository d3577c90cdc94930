/* lower_search.c — choose from which table a search is read; a part of the pass `lower`.
 *
 *      %slot, %d = search @keys, %x          =>      %slot, %d = search @keys, %x !lower(bucket)
 *
 *      permute    at most 31 keys: one node, and for many queries at once the lanes of a few registers
 *      tree       nodes of 16 or 32 keys, level by level
 *      bucket     short lines of keys, found by a multiplication: where keys are many, and spread smoothly enough
 *      binary     the keys as they lie: those of other widths than 4 and 8 bytes (search_table.c)
 *
 * The one idea: both tables are shaped, not guessed at: how many keys share a line, how large cells and lines are, how many levels a tree
 * has. What one look-up costs then follows from the accesses that wait for one another. Keys that crowd lines, by chance or by
 * malice, make long chains, and those make the tree cheaper.
 *
 * Values and counts do not change.
 */
#include "lower_search.h"

#include <string.h>

static const double BETTER = 0.95;                /* of the tree's cost: a bucket is larger, and its chains are guessed */

Lower search_choice(Arena *arena, const Const *keys, uint32_t label_bytes)
{
    const SearchTable *tree = search_table(arena, keys, LOWER_tree, label_bytes);
    if (!tree)
        return LOWER_binary;
    if (tree->n <= SEARCH_REGISTERS)
        return LOWER_permute;
    return search_table(arena, keys, LOWER_bucket, label_bytes)->cost < BETTER * tree->cost ? LOWER_bucket : LOWER_tree;
}

static void explain_search(PassContext *ctx, const Op *op, const Const *keys, uint32_t label_bytes)
{
    Arena *arena = op->parent->network->module->arena;
    const SearchTable *tree = search_table(arena, keys, LOWER_tree, label_bytes), *bucket;
    if (!tree) {
        pass_note(ctx, "site %u: %s of %u keys, which have no table", op->site, LOWER_NAMES[op->lower], keys->type.dim[0]);
        return;
    }
    if (op->lower == LOWER_permute) {
        pass_note(ctx, "site %u: permute of %u keys, %llu bytes", op->site, keys->type.dim[0], (unsigned long long)tree->bytes);
        return;
    }
    bucket = search_table(arena, keys, LOWER_bucket, label_bytes);
    pass_note(ctx, "site %u: %s of %u keys: a tree of %u levels, %llu bytes, %.0f ns; %llu lines, %.1f %% of the keys in chains, %llu bytes, %.0f ns",
              op->site, LOWER_NAMES[op->lower], keys->type.dim[0], tree->n_levels + 1, (unsigned long long)tree->bytes, tree->cost,
              (unsigned long long)bucket->lines, 100 * bucket->in_chains, (unsigned long long)bucket->bytes, bucket->cost);
}

bool lower_searches(Network *net, PassContext *ctx, Lower forced)
{
    bool changed = false;
    const Op **label = search_labels(ctx->arena, net);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net) {
        if (op->kind != OP_search || (op->lower != LOWER_auto && forced == LOWER_auto))
            continue;
        const Const *keys = const_get(net->module, op->cst[0]);
        const Op *row = label[op->result[0]];
        uint32_t bytes = row ? type_element_bytes(value_type(net, row->result[0])) : 0;
        Lower lower = forced != LOWER_auto ? forced : search_choice(net->module->arena, keys, bytes);
        changed |= op->lower != lower;
        op->lower = lower;
        if (forced == LOWER_auto)
            explain_search(ctx, op, keys, bytes);
    }
    return changed;
}
