/* test_split_chain.c — which networks are chains of affine maps and relus, and what is read of them.
 *
 *      read        layers, box, ops and figures, with reshapes around them, max(x, 0), a winner, zero weights
 *      refused     with the reason
 */
#include "../../passes/split/split.h"

#include <CUnit/CUnit.h>
#include <string.h>

void suite_split_chain(void);

typedef struct Case { Arena *arena; Network *net; Chain chain; const char *why; bool ok; } Case;

/* Constants that all texts use, then the network. */
static Case read_chain(const char *network)
{
    static const char constants[] =
        "format_version 1\n"
        "const @W1 : f32[3,2] = [[0x1p+0, 0x0p+0], [-0x1p+0, 0x1p+1], [0x0p+0, -0x0p+0]]\n"
        "const @b1 : f32[3] = [0x1p+0, 0x1p+1, 0x1.8p+1]\n"
        "const @W2 : f32[2,3] = [[0x1p+0, 0x1p+1, 0x1.8p+1], [0x1p+2, 0x1.4p+2, 0x1.8p+2]]\n"
        "const @infinite : f32[2,3] = [[0x1p+0, inf, 0x1.8p+1], [0x1p+2, 0x1.4p+2, 0x1.8p+2]]\n"
        "const @zero : f32 = -0x0p+0\n"
        "const @one : f32 = 0x1p+0\n"
        "const @mean : f32[2] = [0x1p+1, 0x1.8p+1]\n"
        "const @integers : i32[2,2] = [[1, 2], [3, 4]]\n"
        "const @box : f32[2,2] = [[-0x1p+0, 0x1p-1], [0x1p+0, 0x1p-1]]\n"
        "const @endless : f32[2,2] = [[-0x1p+0, -0x1p-1], [0x1p+0, inf]]\n"
        "const @stack : stack f32[2,3,2] = [[[0x1p+0, 0x0p+0], [0x1p+0, 0x0p+0], [0x1p+0, 0x0p+0]],"
        " [[0x1p+0, 0x0p+0], [0x1p+0, 0x0p+0], [0x1p+0, 0x0p+0]]]\n";
    Case c = {.arena = arena_new(NULL), .why = ""};
    Diags *diags = diag_new(c.arena);
    char *text = str_printf(c.arena, "%s\n%s", constants, network);
    Module *m = ir_read_text(c.arena, diags, "t", text, strlen(text));
    if (!m)
        diag_flush(diags, stderr, DIAG_PLAIN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    c.net = module_find(m, "n");
    c.ok = chain_of(c.arena, c.net, &c.chain, &c.why);
    return c;
}

static void free_case(Case *c) { arena_free(c->arena); }

#define INPUT "network @n(%x: f32[2] within @box) -> (y: f32[2]) {\n"

static void reads_layers(void)
{
    Case c = read_chain("network @n(%x: f32[1,2] within @box) -> (y: f32[2,1]) {\n"
                        "    %v = reshape %x : f32[2]\n"
                        "    %z = affine %v, @W1, @b1, zeros = skip : f32[3]\n"
                        "    %zero = const @zero : f32\n"
                        "    %h = max %z, %zero : f32[3]\n"
                        "    %r = reshape %h : f32[1,3]\n"
                        "    %s = reshape %r : f32[3]\n"
                        "    %y = affine %s, @W2 : f32[2]\n"
                        "    %t = reshape %y : f32[2,1]\n"
                        "    return %t\n}\n");
    const Chain *n = &c.chain;
    CU_ASSERT_FATAL(c.ok && n->n_layers == 2);
    const ChainLayer *l = n->layer;
    CU_ASSERT(l[0].rows == 3 && l[0].cols == 2 && l[0].relu && l[1].rows == 2 && l[1].cols == 3 && !l[1].relu);
    CU_ASSERT(n->n_inputs == 2 && n->n_outputs == 2 && n->n_neurons == 5 && n->first[0] == 0 && n->first[1] == 3);
    CU_ASSERT(l[0].weight[3] == 2 && l[0].bias[1] == 2 && l[1].weight[5] == 6 && l[1].bias[0] == 0);
    CU_ASSERT(l[0].nonzeros == 3 && l[0].start[1] == 1 && l[0].start[2] == 3 && l[0].start[3] == 3);
    CU_ASSERT(l[0].column[0] == 0 && l[0].column[1] == 0 && l[0].column[2] == 1 && l[1].nonzeros == 6);
    CU_ASSERT(n->lo[0] == -1 && n->hi[0] == 1 && n->lo[1] == 0.5 && n->hi[1] == 0.5);
    CU_ASSERT(n->winner == WINNER_none && n->element.elem == ELEM_F32 && n->element.rank == 0);
    CU_ASSERT(value_op(c.net, n->input)->kind == OP_reshape && value_op(c.net, n->output)->kind == OP_affine);
    CU_ASSERT_FATAL(n->ops.len == 5);
    static const OpKind kinds[] = {OP_affine, OP_max, OP_reshape, OP_reshape, OP_affine};
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(n->ops.at[i]->kind, kinds[i]);
    CU_ASSERT_EQUAL(n->dense_ops, 2 * 3 + 3 + 2 * 6);
    CU_ASSERT_EQUAL(n->dense_bytes, 4 * (6 + 3 + 6));
    free_case(&c);
}

/* argmin: the last layer is negated; behind a relu that takes a layer of its own. */
static void reads_winners(void)
{
    for (int relu = 0; relu < 2; relu++)
        for (int least = 0; least < 2; least++) {
            char text[600];
            snprintf(text, sizeof text, "network @n(%%x: f32[2] within @box) -> (y: i32) {\n"
                     "    %%z = affine %%x, @W1, @b1 : f32[3]\n    %%h = relu %%z : f32[3]\n    %%o = affine %%h, @W2 : f32[2]\n"
                     "    %%p = %s %%o : f32[2]\n    %%i = %s %%p : idx[2]\n    %%c = cast %%i : i32\n    return %%c\n}\n",
                     relu ? "relu" : "reshape", least ? "argmin" : "argmax");
            Case c = read_chain(text);
            const Chain *n = &c.chain;
            CU_ASSERT_FATAL(c.ok);
            CU_ASSERT_EQUAL(n->winner, least ? WINNER_argmin : WINNER_argmax);
            CU_ASSERT_EQUAL_FATAL(n->n_layers, 2u + relu);
            const ChainLayer *last = &n->layer[n->n_layers - 1];
            CU_ASSERT(!last->relu && n->layer[1].relu == relu && n->n_outputs == 2);
            CU_ASSERT_EQUAL(n->layer[1].weight[1], least && !relu ? -2 : 2);
            if (relu)
                CU_ASSERT(last->weight[0] == (least ? -1 : 1) && last->weight[1] == 0 && last->weight[3] == (least ? -1 : 1));
            CU_ASSERT_EQUAL(value_op(c.net, n->output)->kind, OP_cast);
            CU_ASSERT_EQUAL(n->ops.at[n->ops.len - 1], value_op(c.net, n->output));
            CU_ASSERT_EQUAL(n->dense_ops, 2 * 6 + 3 + 2 * 6 + (relu ? 2 : 0) + 1);
            free_case(&c);
        }
}

/* A subtracted mean that nobody could merge, and what an argmin turns round. */
static void reads_shifts_and_scalings(void)
{
    Case c = read_chain("network @n(%x: f32[2] within @box) -> (y: i32) {\n"
                        "    %mean = const @mean : f32[2]\n    %one = const @one : f32\n"
                        "    %d = sub %x, %mean : f32[2]\n    %z = affine %d, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n"
                        "    %o = affine %h, @W2 : f32[2]\n    %p = sub %one, %o : f32[2]\n    %q = mul %p, %mean : f32[2]\n"
                        "    %i = argmin %q : idx[2]\n    %c = cast %i : i32\n    return %c\n}\n");
    CU_ASSERT_FATAL(c.ok && c.chain.n_layers == 5);
    const ChainLayer *mean = &c.chain.layer[0], *from = &c.chain.layer[3], *times = &c.chain.layer[4];
    CU_ASSERT(mean->rows == 2 && mean->cols == 2 && !mean->relu && mean->weight[0] == 1 && mean->weight[1] == 0 && mean->weight[3] == 1);
    CU_ASSERT(mean->bias[0] == -2 && mean->bias[1] == -3 && mean->nonzeros == 2);
    CU_ASSERT(from->weight[0] == -1 && from->weight[3] == -1 && from->bias[0] == 1 && from->bias[1] == 1);
    CU_ASSERT(times->weight[0] == -2 && times->weight[3] == -3 && times->bias[0] == 0);
    CU_ASSERT_EQUAL(value_op(c.net, c.chain.ops.at[0]->result[0])->kind, OP_sub);
    free_case(&c);
}

static void refuses(void)
{
    static const struct { const char *text, *why; } cases[] = {
        {INPUT "    %h = tanh %x : f32[2]\n    return %h\n}\n", "`tanh` is neither affine nor a relu"},
        {INPUT "    return %x\n}\n", "it has no affine map"},
        {INPUT "    %h = relu %x : f32[2]\n    %z = affine %h, @W1, @b1 : f32[3]\n    %r = relu %z : f32[3]\n"
               "    %y = affine %r, @W2 : f32[2]\n    return %y\n}\n", "its first relu has no affine map before it"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %y = affine %z, @W2 : f32[2]\n    return %y\n}\n", "it is affine all over"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n    %y = affine %h, @infinite : f32[2]\n"
               "    return %y\n}\n", "@infinite has an element that is not finite"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %one = const @one : f32\n    %h = max %z, %one : f32[3]\n"
               "    %y = affine %h, @W2 : f32[2]\n    return %y\n}\n", "`max` is neither affine nor a relu"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n    %y = affine %h, @W2 : f32[2]\n"
               "    %a = slice %h, from = [0] : f32[1]\n    return %y\n}\n", "the result of an `relu` has more than one use"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n    %y = affine %h, @W2 : f32[2]\n"
               "    %s = add %y, %x : f32[2]\n    return %s\n}\n", "`add` is neither affine nor a relu"},
        {INPUT "    %z = affine %x, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n    %s = active %h, pred = notle0 : set[3]\n"
               "    %y = affine %h, @W2, cols = %s : f32[2]\n    return %y\n}\n", "an `affine` is conditional already"},
        {"network @n(%x: f32[2]) -> (y: f32[2]) {\n    return %x\n}\n", "input `x` has no box; `within` or `--box=` gives one"},
        {"network @n(%x: f32[2] within @box, %u: f32[2]) -> (y: f32[2]) {\n    return %x\n}\n", "it has not exactly one input"},
        {"network @n(%x: f32[2] within @box) -> (y: f32[2], u: f32[2]) {\n    return %x, %x\n}\n", "it has not exactly one output"},
        {"network @n(%x: i32[2]) -> (y: i32[2]) {\n    %y = affine %x, @integers : i32[2]\n    return %y\n}\n",
         "its input is not of floats"},
        {"network @n(%x: f32[2] within @box) -> (y: i32[2]) {\n    %o = ord %x : i32[2]\n    %y = affine %o, @integers : i32[2]\n"
         "    return %y\n}\n", "it computes with integers"},
        {"network @n(%x: f32[2] within @endless) -> (y: f32[3]) {\n    %z = affine %x, @W1, @b1 : f32[3]\n    %h = relu %z : f32[3]\n"
         "    return %h\n}\n", "the box of `x` is not finite"},
        {INPUT "    %in = within %x, @box : i1\n    %s = cast %in : i32\n    return %x, status = %s\n}\n", "it says a status of its own"},
        {INPUT "    %in = within %x, @box : i1\n    if %in {\n        yield\n    } else {\n        refuse status = -7\n    }\n"
               "    return %x\n}\n", "it may return early"},
        {"network @n(%x: f32[2] within @box) -> (y: i8) {\n    %i = argmax %x : idx[2]\n    %c = cast %i : i8\n    return %c\n}\n",
         "it computes with integers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case c = read_chain(cases[i].text);
        CU_ASSERT(!c.ok);
        if (c.ok || strcmp(c.why, cases[i].why) != 0)
            fprintf(stderr, "case %zu: \"%s\", expected \"%s\"\n", i, c.why, cases[i].why);
        CU_ASSERT(!c.ok && strcmp(c.why, cases[i].why) == 0);
        free_case(&c);
    }
}

/* What would take too long, or has too many layers for a set of them in 64 bits. */
static void refuses_sizes(void)
{
    static const struct { uint32_t width, layers; bool ok; } sizes[] = {{800, 4, true}, {2048, 2, false}, {2, 64, true}, {2, 65, false}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Arena *arena = arena_new(NULL);
        Module *m = module_new(arena, diag_new(arena));
        Network *net = network_new(m, "n", NOWHERE);
        Type f32 = type_f32();
        uint32_t n = sizes[i].width;
        ConstId box = const_splat_f64(m, "box", type_matrix(f32, 2, n), 0.5), W = const_splat_f64(m, "W", type_matrix(f32, n, n), 1);
        Value v = network_add_input(net, "x", type_vector(f32, n), box, NOWHERE);
        Builder b = builder_at_end(net->body);
        for (uint32_t l = 0; l < sizes[i].layers - 1; l++)
            v = build_unary(&b, OP_relu, build_affine(&b, v, W, 0, 0));
        network_add_output(net, "y", value_type(net, v), NOWHERE);
        build_return(&b, 1, &v, 0);
        network_done(net);
        Chain chain;
        const char *why;
        CU_ASSERT_EQUAL(chain_of(arena, net, &chain, &why), sizes[i].ok);
        arena_free(arena);
    }
}

void suite_split_chain(void)
{
    CU_pSuite s = CU_add_suite("split_chain", NULL, NULL);
    CU_add_test(s, "layers, box and figures are read", reads_layers);
    CU_add_test(s, "a winner chooses among plain sums, the greatest", reads_winners);
    CU_add_test(s, "a shift or a scaling is a layer", reads_shifts_and_scalings);
    CU_add_test(s, "everything else is refused, with the reason", refuses);
    CU_add_test(s, "what is too large is refused", refuses_sizes);
}
