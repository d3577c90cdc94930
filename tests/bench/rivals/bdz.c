/* bdz.c — cmph's minimal perfect hash function (BDZ), packed, and an array of labels that it addresses. What is no key gets the label of
 * some key: as in a memorizer, nothing is checked.
 */
#include <cmph.h>
#include <stdio.h>
#include <stdlib.h>

#include "rival.h"

typedef struct State {
    void *hash;
    Label *labels;
} State;

static inline Label find(const State *s, Key key)
{
    return s->labels[cmph_search_packed(s->hash, (const char *)&key, sizeof key)];
}

static void *bdz_open(const Points *p, char *why)
{
    cmph_io_adapter_t *source = cmph_io_struct_vector_adapter((void *)p->keys, sizeof(Key), 0, sizeof(Key), (cmph_uint32)p->n);
    cmph_config_t *config = cmph_config_new(source);
    cmph_config_set_algo(config, CMPH_BDZ);
    cmph_t *hash = cmph_new(config);
    cmph_config_destroy(config);
    cmph_io_struct_vector_adapter_destroy(source);
    if (hash == NULL) {
        snprintf(why, WHY_SIZE, "cmph finds no function");
        return NULL;
    }
    State *s = rival_allocate(p, sizeof *s);
    *s = (State){ rival_allocate(p, cmph_packed_size(hash)), rival_allocate(p, p->n * sizeof(Label)) };
    cmph_pack(hash, s->hash);
    cmph_destroy(hash);
    for (uint64_t i = 0; i < p->n; i++)
        s->labels[cmph_search_packed(s->hash, (const char *)&p->keys[i], sizeof(Key))] = p->labels[i];
    return s;
}

RIVAL(State, bdz_open, find)
