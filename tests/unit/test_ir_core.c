/* test_ir_core.c — types, the constant pool, the op table, building and editing. */
#include "../../ir/ir.h"

#include <CUnit/Basic.h>
#include <string.h>
#include <time.h>

typedef struct Fixture { Arena *arena; Module *m; } Fixture;

static Fixture set_up(void)
{
    Arena *arena = arena_new(NULL);
    return (Fixture){arena, module_new(arena, diag_new(arena))};
}

static const float six[6] = {1, 2, 3, 4, 5, 6};

static void types_print_and_compare(void)
{
    Fixture f = set_up();
    Type t = type_matrix(type_f32(), 50, 5);
    CU_ASSERT_STRING_EQUAL(type_print(f.arena, t), "f32[50,5]");
    CU_ASSERT_STRING_EQUAL(type_print(f.arena, type_vector(type_idx(8), 2)), "idx[8][2]");
    CU_ASSERT_STRING_EQUAL(type_print(f.arena, type_set(50)), "set[50]");
    CU_ASSERT(type_equal(t, type_matrix(type_f32(), 50, 5)));
    CU_ASSERT(!type_equal(t, type_matrix(type_f64(), 50, 5)));
    CU_ASSERT(!type_equal(type_int(8), type_int(9)));
    CU_ASSERT_EQUAL(type_count(type_f32()), 1);
    CU_ASSERT_EQUAL(type_count(type_vector(type_f32(), 0)), 0);
    arena_free(f.arena);
}

static void integers_take_the_least_container(void)
{
    static const uint32_t cases[][2] = {{1, 1}, {8, 1}, {9, 2}, {17, 4}, {33, 8}, {65, 16}, {128, 16}, {129, 24}, {65536, 8192}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CU_ASSERT_EQUAL(type_element_bytes(type_int(cases[i][0])), cases[i][1]);
}

static void lying_extents_are_invalid(void)
{
    uint32_t huge[3] = {2000000000, 2000000000, 2000000000};
    CU_ASSERT(!type_valid(type_with_dims(type_f32(), 3, huge)));
    CU_ASSERT(!type_valid(type_vector(type_f32(), 0x80000000u)));
    CU_ASSERT(!type_valid(type_int(0)));
    CU_ASSERT(!type_valid(type_int(IR_MAX_INT_BITS + 1)));
    CU_ASSERT(!type_valid(type_idx(0)));
    CU_ASSERT(type_valid(type_vector(type_f32(), 0)));
}

static void transposed_views_share_bytes(void)
{
    Fixture f = set_up();
    ConstId w = const_add(f.m, "w", type_matrix(type_f32(), 2, 3), six, NOWHERE);
    ConstId t = const_transposed(f.m, w, (uint32_t[]){1, 0});
    const Const *c = const_get(f.m, t);
    CU_ASSERT_PTR_EQUAL(c->data, six);
    CU_ASSERT(!const_is_row_major(c));
    float copy[6], expected[6] = {1, 4, 2, 5, 3, 6};
    const_copy(c, copy);
    CU_ASSERT(memcmp(copy, expected, sizeof copy) == 0);
    CU_ASSERT_EQUAL(const_f64(c, 1), 4);
    CU_ASSERT_EQUAL(const_nonzeros(c), 6);
    CU_ASSERT_STRING_EQUAL(c->name, "w.2");
    arena_free(f.arena);
}

/* -0 is a zero, NaN is none; and every type, size and layout has its own loop. */
static void zeros_are_counted(void)
{
    static const float odd[6] = {0, -0.0f, 1e-45f, NAN, INFINITY, -2};
    static const double wide[6] = {0, -0.0, 1e-320, 0, -1, 3};
    static const int8_t bytes[6] = {0, -128, 1, 0, 0, 127};
    static const uint16_t words[6] = {0, 0x8000, 0, 0, 1, 0};
    static const int64_t longs[6] = {0, INT64_MIN, 1, 0, 0, 0};
    static const uint64_t wider[12] = {0, 0, 0, 1, 1, 0};
    static const struct { Type t; const void *data; uint32_t nonzeros, column[3]; bool finite; } cases[] = {
        {{.elem = ELEM_F32}, odd, 4, {1, 1, 2}, false},
        {{.elem = ELEM_F32}, six, 6, {2, 2, 2}, true},
        {{.elem = ELEM_F64}, wide, 3, {0, 1, 2}, true},
        {{.elem = ELEM_INT, .n = 8}, bytes, 3, {0, 1, 2}, true},
        {{.elem = ELEM_INT, .n = 16}, words, 2, {0, 2, 0}, true},
        {{.elem = ELEM_INT, .n = 32}, six, 6, {2, 2, 2}, true},
        {{.elem = ELEM_INT, .n = 64}, longs, 2, {0, 1, 1}, true},
        {{.elem = ELEM_INT, .n = 128}, wider, 2, {0, 1, 1}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture f = set_up();
        uint64_t by_column[3], by_row[2];
        ConstId w = const_add(f.m, "w", type_matrix(cases[i].t, 2, 3), cases[i].data, NOWHERE);
        ConstId t = const_transposed(f.m, w, (uint32_t[]){1, 0});
        CU_ASSERT_EQUAL(const_nonzeros(const_get(f.m, t)), cases[i].nonzeros);
        CU_ASSERT_EQUAL(const_nonzeros(const_get(f.m, w)), cases[i].nonzeros);
        CU_ASSERT_EQUAL(const_all_finite(const_get(f.m, w)), cases[i].finite);
        const_nonzeros_by_column(const_get(f.m, w), by_column);
        const_nonzeros_by_column(const_get(f.m, t), by_row);
        for (int k = 0; k < 3; k++)
            CU_ASSERT_EQUAL(by_column[k], cases[i].column[k]);
        CU_ASSERT_EQUAL(by_row[0] + by_row[1], cases[i].nonzeros);
        arena_free(f.arena);
    }
}

/* A view as a text may have it: its elements are the first and the last of six, three times each. */
static void views_need_not_fill_memory(void)
{
    static const float ends[6] = {1, 0, 0, 0, 0, NAN};
    Fixture f = set_up();
    ConstId w = const_add(f.m, "w", type_matrix(type_f32(), 2, 3), ends, NOWHERE);
    Const *c = const_get(f.m, w);
    c->stride[0] = 5;
    c->stride[1] = 0;
    CU_ASSERT_EQUAL(const_nonzeros(c), 6);
    CU_ASSERT(!const_all_finite(c));
    arena_free(f.arena);
}

static void hash_is_of_contents_not_of_layout(void)
{
    Fixture f = set_up();
    static const float flipped[6] = {1, 4, 2, 5, 3, 6};
    ConstId w = const_add(f.m, "w", type_matrix(type_f32(), 2, 3), six, NOWHERE);
    ConstId t = const_transposed(f.m, w, (uint32_t[]){1, 0});
    ConstId same = const_add(f.m, "v", type_matrix(type_f32(), 3, 2), flipped, NOWHERE);
    CU_ASSERT(hash_equal(const_hash(const_get(f.m, t)), const_hash(const_get(f.m, same))));
    CU_ASSERT(!hash_equal(const_hash(const_get(f.m, t)), const_hash(const_get(f.m, w))));
    arena_free(f.arena);
}

static void every_row_of_the_op_table_parses(void)
{
    Fixture f = set_up();
    for (int k = 0; k < OP__COUNT; k++) {
        const OpInfo *info = op_info(f.m, (OpKind)k);
        CU_ASSERT_EQUAL(op_named(f.m, info->name, strlen(info->name)), (OpKind)k);
        CU_ASSERT(info->n_items > 0 || k == OP__COUNT);
    }
    const OpInfo *affine = op_info(f.m, OP_affine);
    CU_ASSERT_EQUAL(affine->n_fixed, 5);
    CU_ASSERT_EQUAL(affine->n_consts, 2);
    CU_ASSERT_EQUAL(affine->n_attrs, 2);
    const OpInfo *ret = op_info(f.m, OP_return);
    CU_ASSERT(ret->variadic && ret->n_fixed == 1 && ret->item[0].kind == ITEM_VARIADIC && ret->item[0].slot == 1);
    arena_free(f.arena);
}

/* x -> relu(W x + b) */
static Network *layer(Module *m, const char *name)
{
    static const float b[2] = {0.5f, -0.5f};
    Network *net = network_new(m, name, NOWHERE);
    Value x = network_add_input(net, "x", type_vector(type_f32(), 3), 0, NOWHERE);
    network_add_output(net, "y", type_vector(type_f32(), 2), NOWHERE);
    Builder at = builder_at_end(net->body);
    ConstId W = const_add(m, "W", type_matrix(type_f32(), 2, 3), six, NOWHERE), c = const_add(m, "b", type_vector(type_f32(), 2), b, NOWHERE);
    Value y = build_unary(&at, OP_relu, build_affine(&at, x, W, c, 1));
    build_return(&at, 1, &y, 0);
    network_done(net);
    return net;
}

static size_t count_ops(const Network *net)
{
    size_t n = 0;
    OpWalk walk;
    FOR_EACH_OP (walk, op, net)
        n++;
    return n;
}

static void built_networks_verify(void)
{
    Fixture f = set_up();
    Network *net = layer(f.m, "n");
    Text why = text_new(f.arena);
    CU_ASSERT(ir_verify(f.m, &why));
    CU_ASSERT_EQUAL(count_ops(net), 3);
    CU_ASSERT(network_is_entry(net));
    arena_free(f.arena);
}

static void typing_rules_say_both_numbers(void)
{
    Fixture f = set_up();
    Network *net = layer(f.m, "n");
    ConstId W = const_add(f.m, "W", type_matrix(type_f32(), 2, 3), six, NOWHERE);
    Value y = net->body->first->result[0];                      /* f32[2]: does not fit 3 columns */
    OpInit init = {.kind = OP_affine, .n_operands = 5, .operand = (Value[5]){y}, .cst = {W}};
    Type results[3];
    uint32_t n;
    Text why = text_new(f.arena);
    CU_ASSERT(!op_infer(f.m, net, &init, results, &n, &why));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.at, "f32[2,3]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.at, "f32[2]"));
    arena_free(f.arena);
}

static void replaced_values_are_followed_then_settled(void)
{
    Fixture f = set_up();
    Network *net = layer(f.m, "n");
    Op *affine = net->body->first, *relu = affine->next, *ret = relu->next;
    value_replace(net, relu->result[0], affine->result[0]);
    CU_ASSERT_EQUAL(op_operand(ret, 1), affine->result[0]);
    network_settle(net);
    CU_ASSERT_EQUAL(ret->operand[1], affine->result[0]);
    uint32_t *uses = network_count_uses(f.arena, net);
    CU_ASSERT_EQUAL(uses[relu->result[0]], 0);
    op_remove(relu);
    CU_ASSERT_EQUAL(count_ops(net), 2);
    arena_free(f.arena);
}

/* As many constants of one name as a program can ask for: quadratic work would take minutes. */
static void many_constants_of_one_name(void)
{
    enum { MANY = 200000 };
    Fixture f = set_up();
    static const float one = 1;
    ConstId taken = const_add(f.m, "W.3", type_f32(), &one, NOWHERE), last = 0;
    clock_t start = clock();
    for (int i = 0; i < MANY; i++)
        last = const_add(f.m, "W", type_f32(), &one, NOWHERE);
    CU_ASSERT((double)(clock() - start) < 5.0 * CLOCKS_PER_SEC);
    CU_ASSERT_STRING_EQUAL(const_get(f.m, taken)->name, "W.3");
    CU_ASSERT_STRING_EQUAL(const_get(f.m, taken + 1)->name, "W");
    CU_ASSERT_STRING_EQUAL(const_get(f.m, taken + 3)->name, "W.4");
    CU_ASSERT_STRING_EQUAL(const_get(f.m, last)->name, "W.200001");
    arena_free(f.arena);
}

static void clones_are_equal_and_apart(void)
{
    Fixture f = set_up();
    Network *net = layer(f.m, "n"), *copy = network_clone(net, "m");
    CU_ASSERT_EQUAL(count_ops(copy), count_ops(net));
    CU_ASSERT_EQUAL(copy->body->first->site, net->body->first->site);
    op_remove(copy->body->first);
    CU_ASSERT_EQUAL(count_ops(net), 3);
    arena_free(f.arena);
}

static void calls_inline(void)
{
    Fixture f = set_up();
    Network *callee = layer(f.m, "callee"), *net = network_new(f.m, "caller", NOWHERE);
    Value x = network_add_input(net, "x", type_vector(type_f32(), 3), 0, NOWHERE), y;
    network_add_output(net, "y", type_vector(type_f32(), 2), NOWHERE);
    Builder at = builder_at_end(net->body);
    build_call(&at, callee, 1, &x, &y);
    build_return(&at, 1, &y, 0);
    network_done(net);
    CU_ASSERT(!network_is_entry(callee));
    Op *call = net->body->first;
    at = builder_before(call);
    Value result;
    CU_ASSERT(network_inline(&at, callee, &x, &result));
    value_replace(net, y, result);
    op_remove(call);
    network_settle(net);
    Text why = text_new(f.arena);
    CU_ASSERT(ir_verify(f.m, &why));
    CU_ASSERT_EQUAL(count_ops(net), 3);
    CU_ASSERT(network_is_entry(callee));
    arena_free(f.arena);
}

static void equal_constants_become_one(void)
{
    Fixture f = set_up();
    Network *a = layer(f.m, "a"), *b = layer(f.m, "b");
    CU_ASSERT_NOT_EQUAL(a->body->first->cst[AFFINE_b], b->body->first->cst[AFFINE_b]);
    const_dedup(f.m);
    CU_ASSERT_EQUAL(a->body->first->cst[AFFINE_b], b->body->first->cst[AFFINE_b]);
    CU_ASSERT_NOT_EQUAL(a->body->first->cst[AFFINE_b], a->body->first->cst[AFFINE_W]);
    arena_free(f.arena);
}

static void chains_depend_on_the_shape_alone(void)
{
    CU_ASSERT_EQUAL(ir_chains(1, 64), 8);
    CU_ASSERT_EQUAL(ir_chains(5, 50), 8);
    CU_ASSERT_EQUAL(ir_chains(50, 5), 1);
    CU_ASSERT_EQUAL(ir_chains(16, 50), 8);
    CU_ASSERT_EQUAL(ir_chains(17, 50), 4);
    CU_ASSERT_EQUAL(ir_chains(32, 50), 4);
    CU_ASSERT_EQUAL(ir_chains(33, 50), 1);
    CU_ASSERT_EQUAL(ir_chains(50, 50), 1);
    CU_ASSERT_EQUAL(ir_chains(256, 784), 1);
    CU_ASSERT_EQUAL(ir_chains(1, 31), 4);            /* at least four terms in a chain */
    CU_ASSERT_EQUAL(ir_chains(1, 4), 1);
    CU_ASSERT_EQUAL(ir_chains(1, 0), 1);
}

void suite_ir_core(void)
{
    CU_pSuite s = CU_add_suite("ir core", NULL, NULL);
    CU_add_test(s, "types print and compare", types_print_and_compare);
    CU_add_test(s, "integers take the least container", integers_take_the_least_container);
    CU_add_test(s, "lying extents are invalid", lying_extents_are_invalid);
    CU_add_test(s, "transposed views share bytes", transposed_views_share_bytes);
    CU_add_test(s, "zeros are counted", zeros_are_counted);
    CU_add_test(s, "views need not fill memory", views_need_not_fill_memory);
    CU_add_test(s, "hash is of contents, not of layout", hash_is_of_contents_not_of_layout);
    CU_add_test(s, "every row of the op table parses", every_row_of_the_op_table_parses);
    CU_add_test(s, "built networks verify", built_networks_verify);
    CU_add_test(s, "typing rules say both numbers", typing_rules_say_both_numbers);
    CU_add_test(s, "replaced values are followed, then settled", replaced_values_are_followed_then_settled);
    CU_add_test(s, "many constants of one name", many_constants_of_one_name);
    CU_add_test(s, "clones are equal and apart", clones_are_equal_and_apart);
    CU_add_test(s, "calls inline", calls_inline);
    CU_add_test(s, "equal constants become one", equal_constants_become_one);
    CU_add_test(s, "chains depend on the shape alone", chains_depend_on_the_shape_alone);
}
