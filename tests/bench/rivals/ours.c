/* ours.c — a compiled network as a contender: linked with its object, EVAL and EVAL_BATCH are its functions. With -DLOOP `many` calls
 * EVAL once a query; else it is one call of EVAL_BATCH.
 *
 * The tables are constants of the object; the harness gives them the pages that all contenders get (own_pages in main.c).
 */
#include "rival.h"

int EVAL(const Key *x, Label *y);
int EVAL_BATCH(size_t n, const Key *x, ptrdiff_t stride_x, Label *y, ptrdiff_t stride_y);

static void chain(const void *state, const Key *queries, size_t n, size_t zero, Label *labels)
{
    Label label = 0;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        EVAL(&queries[i + ((size_t)label & zero)], &labels[i]);
        label = labels[i];
    }
}

static void many(const void *state, const Key *queries, size_t n, Label *labels)
{
    (void)state;
#ifdef LOOP
    for (size_t i = 0; i < n; i++)
        EVAL(&queries[i], &labels[i]);
#else
    EVAL_BATCH(n, queries, 1, labels, 1);
#endif
}

static void *ours_open(const Points *p, char *why)
{
    (void)why;
    return rival_allocate(p, 1);
}

const Rival rival = { 0, ours_open, chain, many };
