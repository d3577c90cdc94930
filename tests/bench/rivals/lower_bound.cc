// lower_bound.cc — std::lower_bound over the sorted keys, labels in an array beside them.
#include <algorithm>

#include "rival.h"

struct State {
    const Key *keys;
    const Label *labels;
    size_t n;
};

static inline Label find(const State *s, Key key)
{
    return s->labels[std::lower_bound(s->keys, s->keys + s->n, key) - s->keys];
}

static void *open(const Points *p, char *)
{
    Key *keys = static_cast<Key *>(rival_allocate(p, p->n * sizeof(Key)));
    Label *labels = static_cast<Label *>(rival_allocate(p, p->n * sizeof(Label)));
    State *s = static_cast<State *>(rival_allocate(p, sizeof(State)));
    std::copy_n(p->keys, p->n, keys);
    std::copy_n(p->labels, p->n, labels);
    *s = State{keys, labels, p->n};
    return s;
}

RIVAL(State, open, find)
