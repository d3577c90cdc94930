/* simulate.c — a cart with a pole, kept upright by the network compiled from controller.cnet; writes the states that it met.
 *
 *     cnetc controller.cnet && cc -O2 simulate.c controller.o -lm -o simulate && ./simulate 1 >states.csv
 *
 * In:  a seed. Out: one state a line, as the network's input (position, speed, angle, rate), of 200 runs of 5 seconds; on standard
 *      error how many poles were still up at the end, and how often the state left the network's box (such states are not written).
 *
 * The plant is the usual one (Barto, Sutton and Anderson, 1983, without friction), integrated by half-implicit Euler steps; a run begins
 * off balance, and once a second somebody pushes the pole.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "controller.h"

enum { RUNS = 200, STEPS = 250, PUSHED_EVERY = 50 };
static const double DT = 0.02, GRAVITY = 9.81, CART = 1.0, POLE = 0.1, HALF_LENGTH = 0.5, FALLEN = 0.8;

typedef struct State { double position, speed, angle, rate; } State;

/* From -1 to 1: a linear congruential generator (Knuth, MMIX), its upper bits. */
static double random_from(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) * 0x1p-52 - 1;
}

static State begin(uint64_t *seed)
{
    return (State){random_from(seed), 0.5 * random_from(seed), 0.3 * random_from(seed), 0.5 * random_from(seed)};
}

static State step(State s, double force)
{
    double mass = CART + POLE, c = cos(s.angle), sine = sin(s.angle);
    double push = (force + POLE * HALF_LENGTH * s.rate * s.rate * sine) / mass;
    double turning = (GRAVITY * sine - c * push) / (HALF_LENGTH * (4.0 / 3 - POLE * c * c / mass));
    s.speed += DT * (push - POLE * HALF_LENGTH * turning * c / mass);
    s.rate += DT * turning;
    s.position += DT * s.speed;
    s.angle += DT * s.rate;
    return s;
}

/* One run; returns whether the pole is up at its end. */
static int run(uint64_t *seed, long *outside)
{
    State s = begin(seed);
    for (int i = 0; i < STEPS; i++) {
        float in[4] = {(float)s.position, (float)s.speed, (float)s.angle, (float)s.rate}, force;
        int status = controller_eval(in, &force);
        if (status < 0)
            return 0;
        if (status == 0)
            printf("%.9g,%.9g,%.9g,%.9g\n", in[0], in[1], in[2], in[3]);
        *outside += status;
        if (i % PUSHED_EVERY == PUSHED_EVERY - 1)
            s.rate += 0.4 * random_from(seed);
        s = step(s, force);
    }
    return fabs(s.angle) < FALLEN;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    long outside = 0;
    int up = 0;
    for (int i = 0; i < RUNS; i++)
        up += run(&seed, &outside);
    fprintf(stderr, "%d of %d poles are up; the state was outside the box %ld times\n", up, RUNS, outside);
    return 0;
}
