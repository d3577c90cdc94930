/* lower_search.h — private to passes/: the part of the pass `lower` that chooses tables. */
#ifndef CNET_PASSES_LOWER_SEARCH_H
#define CNET_PASSES_LOWER_SEARCH_H

#include "pass_util.h"

/* The words of a lowering, by their numbers in ir.h. */
extern const char *const LOWER_NAMES[LOWER_permute + 1];

/* For keys with labels of so many bytes beside them (0: slots). */
Lower search_choice(Arena *arena, const Const *keys, uint32_t label_bytes);
/* All searches of a network that nothing is decided of; `forced`: all searches (auto: none is forced). */
bool lower_searches(Network *net, PassContext *ctx, Lower forced);

#endif
