/* tree_code.c — a decision tree as nested ifs in C, as memorize.py writes scikit-learn's: TREE_C is the file, which defines tree_find. */
#include "rival.h"

static Label tree_find(Key x);
#include TREE_C

typedef char State;

static inline Label find(const State *s, Key key)
{
    (void)s;
    return tree_find(key);
}

static void *tree_open(const Points *p, char *why)
{
    (void)why;
    return rival_allocate(p, sizeof(State));
}

RIVAL(State, tree_open, find)
