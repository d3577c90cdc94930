/* activity.h — how much of a vector is expected to be zero.
 *
 * Passes that trade a test for skipped work ask this; it never decides what is right, only what pays.
 */
#ifndef CNET_ACTIVITY_H
#define CNET_ACTIVITY_H

#include "passes.h"

/* The expected share of v's elements that are zero, 0 … 1, when nothing has been measured: half of a ReLU's; half of an
 * input of 64 elements or more (images, counts, one-hot codes), none of a smaller one (physical quantities); shapes
 * pass it on; 0 for all else. */
double prior_zero_share(const Network *net, Value v);

#endif
