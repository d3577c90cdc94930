/* use.c — what an application may rely on, tried on three networks linked together. C99 and C++ alike.
 *
 * Prints the bits of every result, so that two builds can be compared; exits with 1 at the first broken promise.
 */
#include "choice.h"
#include "scaled.h"
#include "three.h"
#include "wide.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

static void show(const char *name, const void *bits, size_t n)
{
    size_t i;
    printf("%s", name);
    for (i = 0; i < n; i++)
        printf(" %02x", ((const unsigned char *)bits)[i]);
    printf("\n");
}

static const float inside[3] = {0.25f, -0.5f, 0.75f}, outside[3] = {0.25f, 2.0f, 0.0f};

/* Memory that is aligned to an element and to nothing more. */
static void misaligned(void)
{
    float x[16], y[16], wide[2];
    int shift;
    CHECK(three_eval(inside, wide) == CNET_OK);
    for (shift = 0; shift < 8; shift++) {
        memcpy(x + shift, inside, sizeof inside);
        memset(y, 0x55, sizeof y);
        CHECK(three_eval(x + shift, y + 1 + shift) == CNET_OK);
        CHECK(memcmp(y + 1 + shift, wide, sizeof wide) == 0);
        CHECK(memcmp(&y[shift], &y[shift + 3], sizeof *y) == 0);       /* nothing beside the result was touched */
    }
    show("three", wide, sizeof wide);
}

static void outside_the_box(void)
{
    float y[2] = {1, 2}, nan[3];
    CHECK(three_eval(outside, y) < 0 && y[0] == 1 && y[1] == 2);
    memcpy(nan, inside, sizeof nan);
    memset(&nan[1], 0xff, sizeof *nan);
    CHECK(three_eval(nan, y) < 0 && y[0] == 1 && y[1] == 2);
}

static void batch(void)
{
    float x[4 * 5], y[4 * 3];
    int i;
    for (i = 0; i < 4; i++) {
        memcpy(x + 5 * i, i == 2 ? outside : inside, sizeof inside);
        y[3 * i] = y[3 * i + 1] = y[3 * i + 2] = 7;
    }
    CHECK(three_eval_batch(4, x, 5, y, 3) < 0);                        /* the worst status */
    CHECK(memcmp(y, y + 3, 2 * sizeof *y) == 0 && memcmp(y, y + 9, 2 * sizeof *y) == 0);
    CHECK(y[6] == 7 && y[2] == 7 && y[11] == 7);                       /* refused rows and gaps keep what they held */
    CHECK(three_eval_batch(2, x, 5, y, 3) == CNET_OK);
    CHECK(three_eval_batch(0, x, 5, y, 3) == CNET_OK);
    CHECK(three_eval_batch(2, x + 5, -5, y + 3, -3) == CNET_OK);       /* backwards */
}

static void descriptor(void)
{
    const cnet_network *n = &three_network;
    const void *in[1];
    void *out[1];
    float y[2], z[2];
    cnet_counts counts;
    memset(&counts, 0, sizeof counts);
    in[0] = inside;
    out[0] = y;
    CHECK(n->magic == 0x74656e63u && n->abi_version == 1 && n->struct_size == sizeof *n);
    CHECK(n->tensor_size == sizeof(cnet_tensor) && n->counted == 1 && scaled_network.counted == 0 && n->nan_policy == CNET_NAN_OUTSIDE);
    CHECK(scaled_network.nan_policy == CNET_NAN_PROPAGATES && n->inputs[0].below == 0 && n->inputs[0].reserved[3] == 0);
    CHECK(strcmp(n->name, "three") == 0 && strlen(n->source_hash) == 32 && strchr(n->source, '/') == NULL);
    CHECK(n->n_inputs == THREE_INPUTS && n->n_outputs == 1 && n->inputs[0].count == 3 && n->inputs[0].rank == 1);
    CHECK(n->inputs[0].type == CNET_F32 && n->inputs[0].dims[0] == 3 && strcmp(n->inputs[0].name, "x") == 0);
    CHECK(n->inputs[0].box && n->inputs[0].box[0] == -1 && n->inputs[0].box[5] == 1 && n->outputs[0].box == NULL);
    CHECK(n->outside == CNET_OUTSIDE_STATUS && n->bound_total == THREE_BOUND_OPS && n->bound_mul == 25 && n->model_bytes == THREE_MODEL_BYTES);
    CHECK(n->run(in, out, NULL, NULL) == CNET_OK && three_eval(inside, z) == CNET_OK && memcmp(y, z, sizeof y) == 0);
    CHECK(n->run(in, out, NULL, &counts) == CNET_OK && counts.mul == 25 && counts.add == 25 && counts.cmp == 5 + 6);
    CHECK(three_eval_counted(inside, z, &counts) == CNET_OK && counts.mul == 50 && memcmp(y, z, sizeof y) == 0);
    in[0] = outside;
    CHECK(three_eval_counted(outside, z, &counts) < 0 && counts.mul == 50);
}

static void two_of_each(void)
{
    double x[4] = {-1.5, 0.25, 30, -0.0}, y[4];
    int32_t add = 40, best = 0;
    CHECK(scaled_eval(x, &add, y, &best) == CNET_OK && best == 42 && y[2] == 2 && y[3] == 0);
    show("scaled", y, sizeof y);
    CHECK(scaled_network.inputs[1].type == CNET_INT && scaled_network.inputs[1].bits == 32 && scaled_network.inputs[1].rank == 0);
}

/* Indices: what is none is refused by every entry point, and nothing is written. */
static void indices(void)
{
    int32_t i = 2, list[5] = {0, 1, 2, 3, 0}, rows[3] = {1, 3, -1};
    float y[2] = {7, 7}, z[2];
    const void *in[2];
    void *out[1];
    const cnet_tensor *second = (const cnet_tensor *)((const char *)choice_network.inputs + choice_network.tensor_size);
    in[0] = &i;
    in[1] = list;
    out[0] = z;
    CHECK(choice_network.inputs[0].type == CNET_IDX && choice_network.inputs[0].below == 3 && choice_network.inputs[0].bits == 32);
    CHECK(second->type == CNET_IDX && second->below == 4 && second->count == 5 && strcmp(second->name, "l") == 0);
    CHECK(choice_eval(&i, list, y) == CNET_OK && choice_network.run(in, out, NULL, NULL) == CNET_OK && memcmp(y, z, sizeof y) == 0);
    show("choice", y, sizeof y);
    y[0] = y[1] = 7;
    for (i = 3; i; i = i == 3 ? 2147483647 : i == 2147483647 ? -1 : i == -1 ? -2147483647 : 0)
        CHECK(choice_eval(&i, list, y) == CNET_BAD_ARGUMENT && y[0] == 7 && y[1] == 7);
    list[4] = 4;
    CHECK(choice_eval(&i, list, y) == CNET_BAD_ARGUMENT && choice_network.run(in, out, NULL, NULL) == CNET_BAD_ARGUMENT);
    list[4] = -1;
    CHECK(choice_eval(&i, list, y) == CNET_BAD_ARGUMENT && y[0] == 7);
    list[4] = 3;
    CHECK(choice_eval_batch(3, rows, 1, list, 0, z, 0) == CNET_BAD_ARGUMENT);
}

/* Wider than --max-stack: the caller brings the memory, at any alignment. */
static void scratch(void)
{
    static unsigned char memory[WIDE_SCRATCH_BYTES + 1];
    float x[2] = {0.5f, -1.25f}, y = 0, z = 0;
    const void *in[1];
    void *out[1];
    in[0] = x;
    out[0] = &z;
    CHECK(WIDE_SCRATCH_BYTES >= 4096 * sizeof(float) && WIDE_STACK_BYTES == 0);
    CHECK(wide_eval(x, &y, memory + 1) == CNET_OK);
    CHECK(wide_network.model_bytes == WIDE_MODEL_BYTES);
    CHECK(wide_network.scratch_bytes == WIDE_SCRATCH_BYTES && wide_network.run(in, out, NULL, NULL) == CNET_BAD_ARGUMENT);
    CHECK(wide_network.run(in, out, memory, NULL) == CNET_OK && memcmp(&y, &z, sizeof y) == 0);
    show("wide", &y, sizeof y);
}

int main(void)
{
    misaligned();
    outside_the_box();
    batch();
    descriptor();
    two_of_each();
    indices();
    scratch();
    return 0;
}
