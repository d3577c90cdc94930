/* main.c — two compiled networks in one program; every symbol begins with its network's name, so they do not collide.
 *
 *     cnetc xor.cnet && cnetc balance.cnet && cc main.c xor.o balance.o -o small && ./small
 *
 * First the four answers of xor. Then a pendulum (1 m, 1 kg, the torque at its pivot) that starts leaning at half a radian and
 * is brought upright by `balance`, asked a hundred times a second.
 */
#include <stdio.h>
#include "balance.h"
#include "xor.h"

/* sin x = x - x^3/6 + x^5/120 - x^7/5040 … to 1e-4 for |x| <= 1.6, so that no library is needed. */
static float sine(float x)
{
    float s = x * x;
    return x * (1 - s / 6 * (1 - s / 20 * (1 - s / 42)));
}

int main(void)
{
    for (int i = 0; i < 4; i++) {
        float x[2] = { (float)(i & 1), (float)(i >> 1) }, y[1];
        xor_eval(x, y);
        printf("xor(%g, %g) = %g\n", x[0], x[1], y[0]);
    }

    float state[2] = { 0.5f, 0 }, torque[1];
    for (int step = 0; step <= 300; step++) {
        if (balance_eval(state, torque) != 0)
            return puts("the pendulum left the box that the controller was made for"), 1;
        if (step % 50 == 0)
            printf("t = %.1f s   angle %7.4f   torque %8.4f\n", step * 0.01, state[0], torque[0]);
        state[1] += 0.01f * (9.81f * sine(state[0]) + torque[0]);       /* semi-implicit Euler */
        state[0] += 0.01f * state[1];
    }
    return 0;
}
