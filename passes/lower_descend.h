/* lower_descend.h — explicit trees as tables or as code. */
#ifndef CNET_LOWER_DESCEND_H
#define CNET_LOWER_DESCEND_H

#include "pass_util.h"

/* LOWER_branch, or LOWER_auto: a table. `weight` says how likely each leaf is, by its number, to any scale; NULL: as the tree's shape says. */
Lower tree_lowering(Arena *scratch, const Tree *t, const double *weight);
/* Annotates every `descend`; what `forced` says, if it is not LOWER_auto: branch, or a table. */
bool lower_trees(Network *net, PassContext *ctx, Lower forced);

#endif
