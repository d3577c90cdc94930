/* tree_arrays.c — a decision tree as scikit-learn keeps it, and walked as its predict walks it: one 64-byte node after the other; the
 * inputs are f32.
 *
 * Argument: the file of its nodes, 24 bytes each: threshold f64, left child, right child (-1: a leaf), label i32, padding.
 */
#include <stdio.h>

#include "rival.h"

typedef struct Found {
    double threshold;
    int32_t left, right;
    Label label, padding;
} Found;

typedef struct Node {                       /* as in sklearn/tree/_tree.pxd, the label in place of the impurity */
    int64_t left, right, feature;
    double threshold, label;
    int64_t n_samples;
    double weighted;
    int64_t padding;
} Node;

static inline Label find(const Node *nodes, Key key)
{
    const Node *node = nodes;
    float x = (float)key;
    while (node->left >= 0)
        node = &nodes[(double)x <= node->threshold ? node->left : node->right];
    return (Label)node->label;
}

static void *tree_open(const Points *p, char *why)
{
    FILE *file = fopen(p->argument, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        snprintf(why, WHY_SIZE, "%s cannot be read", p->argument);
        return NULL;
    }
    size_t n = (size_t)ftell(file) / sizeof(Found);
    Node *nodes = rival_allocate(p, n * sizeof *nodes);
    Found found;
    rewind(file);
    for (size_t i = 0; i < n && fread(&found, sizeof found, 1, file) == 1; i++)
        nodes[i] = (Node){ .left = found.left, .right = found.right, .threshold = found.threshold, .label = found.label };
    fclose(file);
    return nodes;
}

RIVAL(Node, tree_open, find)
