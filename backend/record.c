/* record.c — stacks of constants that are read together lie together, slot by slot.
 *
 *      %z = affine %x, @W1[%s], @b1[%s]          slot 0: W1 W2 b1 b2 | slot 1: W1 W2 b1 b2 | …
 *      %y = affine %h, @W2[%s], @b2[%s]    =>    a record for each slot, of whole lines of the cache where it is longer than a few
 *
 * In: a network, how its affines are walked. Out: for each op that reads a slot of a stack, the record its bytes are part of. The one idea:
 * what is far away costs a miss for each place, not for each byte; the leaf of a tree that reads six stacks reads six places, and each of them
 * on a page of its own.
 *
 * A stack is part of a record if one op reads it, and nothing else; records are of one block, one index and one number of slots.
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64, LONG = 256, MOST_STACKS = 48 };

/* ---- which stacks ---- */

/* The layout in which `op` reads its constant `which` by slots; false: it does not. */
static bool stack_layout(const Target *target, const Network *net, const Lowering *lowering, const Op *op, int which, Layout *out, Value *index)
{
    const Const *c = op->cst[which] ? const_get(net->module, op->cst[which]) : NULL;
    if (!c || c->kind != CONST_STACK)
        return false;
    if (op->kind == OP_row) {
        *out = be_layout_raw(c);
        *index = op_operand(op, 0);
    } else if (op->kind == OP_affine) {
        Lower how = lowering[op->result[0]].how;
        *out = which == AFFINE_W ? be_layout_weights(target, net, op, how) : be_layout_bias(target, net, op, how);
        *index = op_operand(op, which == AFFINE_W ? AFFINE_i : AFFINE_j);
        if (out->kind != LAYOUT_PANELS && out->kind != LAYOUT_ROWS)
            return false;
    } else {
        return false;
    }
    return *index != 0 && c->type.dim[0] > 1 && out->slot_bytes > 0;
}

/* By ConstId: how many ops read it. */
static uint32_t *count_readers(Arena *arena, const Network *net)
{
    uint32_t *readers = NEW_ARRAY(arena, net->module->consts.len, uint32_t);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (int i = 0; i < OP_MAX_CONSTS; i++)
            readers[op->cst[i]] += op->cst[i] != 0;
    return readers;
}

/* By Value: rows that are only there to be counted with. */
static bool *only_weighed(Arena *arena, const Network *net)
{
    bool *weighed = NEW_ARRAY(arena, net->values.len, bool), *used = NEW_ARRAY(arena, net->values.len, bool);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (uint32_t i = 0; i < op->n_operands; i++)
            if (op->operand[i])
                (op->kind == OP_tally || (op->kind == OP_weigh && i == 1) ? weighed : used)[op_operand(op, i)] = true;
    for (size_t v = 0; v < net->values.len; v++)
        weighed[v] = weighed[v] && !used[v];
    return weighed;
}

/* ---- how a record lies ---- */

/* The more bytes a slot is a multiple of, the further ahead: then each is as aligned as its vectors, without gaps. */
static uint64_t alignment_of(const RecordPart *p)
{
    uint64_t bytes = p->layout.slot_bytes & -p->layout.slot_bytes;
    return bytes < LINE ? bytes : LINE;
}

static void arrange(Record *r)
{
    r->first = r->part[0].op;
    r->first_which = r->part[0].which;
    for (uint32_t i = 1; i < r->n_parts; i++)
        for (uint32_t k = i; k > 0 && alignment_of(&r->part[k]) > alignment_of(&r->part[k - 1]); k--) {
            RecordPart swap = r->part[k];
            r->part[k] = r->part[k - 1];
            r->part[k - 1] = swap;
        }
    for (uint32_t i = 0; i < r->n_parts; i++) {
        r->part[i].offset = r->slot_bytes;
        r->slot_bytes += r->part[i].layout.slot_bytes;
    }
    uint64_t unit = r->slot_bytes >= LONG ? LINE : r->slot_bytes > LINE / 4 ? LINE / 4 : LINE / 16;
    while (unit < r->slot_bytes && unit < LINE / 4)
        unit *= 2;
    r->slot_bytes = (r->slot_bytes + unit - 1) / unit * unit;
}

/* ---- of a network ---- */

static Record *record_for(Arena *arena, RecordList *all, const Op *op, Value index, uint32_t slots)
{
    for (size_t i = all->len; i-- > 0 && all->at[i]->block == op->parent;)
        if (all->at[i]->index == index && all->at[i]->n_slots == slots && all->at[i]->n_parts < MOST_STACKS)
            return all->at[i];
    Record *r = NEW(arena, Record);
    *r = (Record){.block = op->parent, .index = index, .n_slots = slots, .part = NEW_ARRAY(arena, MOST_STACKS, RecordPart)};
    vec_push(arena, *all, r);
    return r;
}

RecordList be_records(Arena *arena, const Target *target, const Network *net, const Lowering *lowering, const Search *search)
{
    RecordList all = {0}, shared = {0};
    uint32_t *readers = count_readers(arena, net);
    bool *weighed = only_weighed(arena, net);
    OpWalk walk;
    FOR_EACH_OP(walk, op, net)
        for (int which = 0; which < OP_MAX_CONSTS; which++) {
            RecordPart part = {.op = op, .which = which};
            Value index;
            if (!op->cst[which] || readers[op->cst[which]] != 1 || !stack_layout(target, net, lowering, op, which, &part.layout, &index))
                continue;
            if (op->kind == OP_row && (search[op->result[0]].row || weighed[op->result[0]]))
                continue;
            Record *r = record_for(arena, &all, op, index, const_get(net->module, op->cst[which])->type.dim[0]);
            r->part[r->n_parts++] = part;
        }
    for (size_t i = 0; i < all.len; i++)
        if (all.at[i]->n_parts > 1) {
            arrange(all.at[i]);
            vec_push(arena, shared, all.at[i]);
        }
    return shared;
}

const Record *be_record_of(const RecordList *all, const Op *op, int which, uint64_t *offset)
{
    for (size_t i = 0; i < all->len; i++)
        for (uint32_t k = 0; all->at[i]->block == op->parent && k < all->at[i]->n_parts; k++)
            if (all->at[i]->part[k].op == op && all->at[i]->part[k].which == which) {
                *offset = all->at[i]->part[k].offset;
                return all->at[i];
            }
    return NULL;
}

ConstId be_record_id(const Record *r)
{
    return r->first->cst[r->first_which];
}

Layout be_layout_record(const Record *r)
{
    return (Layout){.kind = LAYOUT_RECORD, .element = type_int(8), .slot_bytes = r->slot_bytes, .bytes = r->slot_bytes * r->n_slots, .record = r};
}

/* ---- the bytes ---- */

void be_fill_record(Arena *scratch, const Module *m, const Record *r, uint8_t *out)
{
    for (uint32_t i = 0; i < r->n_parts; i++) {
        const RecordPart *p = &r->part[i];
        Arena *arena = arena_new(scratch);
        if (!arena)
            arena_exhausted(scratch);
        uint8_t *bytes = arena_big(arena, p->layout.bytes, LINE);
        be_fill(arena, const_get(m, p->op->cst[p->which]), &p->layout, bytes);
        for (uint32_t s = 0; s < r->n_slots; s++)
            memcpy(out + s * r->slot_bytes + p->offset, bytes + s * p->layout.slot_bytes, p->layout.slot_bytes);
        arena_free(arena);
    }
}

/* ---- the address of a slot ---- */

/* The lines of a long record, all asked for when the first of its parts is. */
static void prefetch(Fn *f, const Record *r, LLVMValueRef at)
{
    for (uint64_t line = LINE; r->slot_bytes >= LONG && line < r->slot_bytes && line < 64 * LINE; line += LINE)
        be_prefetch(f, at, be_size(f->e, line), 1);
}

LLVMValueRef be_slot(Fn *f, const Op *op, int which, const Layout *own, Value index)
{
    uint64_t offset = 0;
    const Record *r = index ? be_record_of(&f->plan->records, op, which, &offset) : NULL;
    Layout layout = r ? be_layout_record(r) : *own;
    LLVMValueRef base = be_constant(f->e, f->m, r ? be_record_id(r) : op->cst[which], &layout);
    if (!index)
        return base;
    LLVMValueRef i = LLVMBuildZExtOrBitCast(f->b, be_place(f, index).at, f->e->size, "");
    LLVMValueRef slot = be_at(f, base, LLVMBuildMul(f->b, i, be_size(f->e, layout.slot_bytes), ""));
    if (!r)
        return slot;
    if (!f->records_asked && r->first == op && which == r->first_which)
        prefetch(f, r, slot);
    return be_at_const(f, slot, offset);
}
