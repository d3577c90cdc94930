/* activity.h — how much of a vector is expected to be zero.
 *
 * Passes that trade a test for skipped work ask this; it never decides what is right, only what pays.
 */
#ifndef CNET_ACTIVITY_H
#define CNET_ACTIVITY_H

#include "passes.h"

/* By Value: the expected share of its elements that are zero, 0 … 1. Inputs: as the profile has them. Else a prior: half of a
 * ReLU's; half of an input of 64 elements or more (images, counts, one-hot codes), none of a smaller one (physical
 * quantities); shapes pass it on, max and products combine it; 0 for all else. */
double *expected_zero_shares(const PassContext *ctx, const Network *net);

/* Runs the network, in which nothing is called, over the profile's rows (256 at most, evenly spread); events are numbered like the
 * walk of its ops. False without a profile. */
bool profile_events(const PassContext *ctx, const Network *net, Events *out);

#endif
