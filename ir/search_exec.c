/* search_exec.c — what the machine does for the searches of a network, beside the comparisons that their trees count.
 *
 *      tree       each level: all lanes of a node; its number and the place in it: 2 operations each
 *      bucket     the address of a line, all keys of the line; of lines on the deepest chain, too
 *      binary     the rounds: a comparison each, half and place: 2 operations each
 *
 * In: a network whose searches have a way to be read (`!lower`). Out: for one evaluation, at most: lanes compared, operations that
 * make addresses, bytes that are loaded from tables. The one idea: counts say what a network means, this says what its table costs, so
 * that a table that compares 50 lanes where the tree compares 17 keys is not called cheap.
 */
#include "interp.h"

static SearchExec add(SearchExec a, SearchExec b)
{
    return (SearchExec){a.lane_compares + b.lane_compares, a.address_ops + b.address_ops, a.bytes + b.bytes};
}

static SearchExec of_tree(const SearchTable *t)
{
    SearchExec e = {.address_ops = t->word_bytes ? 2 : 0, .bytes = t->word_bytes};
    for (uint32_t i = 0; i <= t->n_levels; i++)
        e = add(e, (SearchExec){t->level[i].lanes, 2, (uint64_t)t->level[i].lanes * t->key_bytes});
    return e;
}

/* Clamped at both ends, less the lowest; its bits below the cell; the product, its upper half; the line's number, its place; the word's. */
static SearchExec of_bucket(const SearchTable *t)
{
    SearchExec line = {t->line_keys, 2, (uint64_t)t->line_keys * t->stored_bytes + t->word_bytes};
    SearchExec e = add(line, (SearchExec){.address_ops = 8 + (t->floats && t->lowest < 0 ? 4 : 0)});
    if (t->n_cells > 1)
        e = add(e, (SearchExec){0, 3, SEARCH_CELL_BYTES});
    if (t->coded)
        e = add(e, (SearchExec){.lane_compares = t->n_cells > 1, .address_ops = 3});     /* grain and lines; the code */
    for (uint32_t i = 0; t->coded && i < t->deepest_chain; i++)
        e = add(e, (SearchExec){1, 2, t->key_bytes});
    for (uint32_t i = 0; !t->coded && i < t->deepest_chain; i++)
        e = add(e, add(line, (SearchExec){.lane_compares = 1, .address_ops = 1}));      /* is it an inner line? */
    if (t->chained > 0)
        e.lane_compares++;
    return e;
}

static SearchExec of_keys(const Const *keys)
{
    SearchExec e = {0};
    uint32_t size = type_element_bytes(keys->type);
    for (uint64_t n = keys->type.dim[0]; n > 0; n -= (n + 1) / 2)
        e = add(e, (SearchExec){1, 2, size});
    return e;
}

static SearchExec of_op(Arena *arena, const Network *net, const Op *op, const Op *row)
{
    const Const *keys = const_get(net->module, op->cst[0]);
    uint32_t label = row ? type_element_bytes(value_type(net, row->result[0])) : 0;
    Lower how = op->lower == LOWER_bucket ? LOWER_bucket : LOWER_tree;
    const SearchTable *t = op->lower == LOWER_binary ? NULL : search_table(arena, keys, how, label);
    if (!t)
        return of_keys(keys);
    SearchExec e = t->how == LOWER_tree ? of_tree(t) : of_bucket(t);
    e.lane_compares += t->last_apart;
    return e;
}

uint32_t search_exec(const Network *net, SearchExec *sum)
{
    Arena *arena = net->module->arena;
    const Op **label = search_labels(arena, net);
    uint32_t n = 0;
    OpWalk walk;
    *sum = (SearchExec){0};
    FOR_EACH_OP(walk, op, net)
        if (op->kind == OP_search) {
            *sum = add(*sum, of_op(arena, net, op, label[op->result[0]]));
            n++;
        }
    return n;
}
