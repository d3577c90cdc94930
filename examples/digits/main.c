/* main.c — a program that reads handwritten digits with the network compiled from digits.cnet.
 *
 *     cnetc digits.cnet && cc main.c digits.o -o digits && ./digits test.txt
 *
 * In:  a text of labelled pictures, one a line: the digit its writer meant, then 64 grey levels 0 … 16.
 * Out: a few pictures beside what the network says, and how often it is right over the whole file.
 *      Compiled with `cnetc --count-ops`, also how many operations an evaluation took.
 *
 * The evaluator is the one call in `read_digit`: it allocates nothing, calls nothing, and any number of threads may use it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "digits.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, DARKEST = 16, SHOWN = 4 };

typedef struct Picture { int label, grey[PIXELS]; } Picture;

static int read_digit(const Picture *picture)
{
    float pixels[PIXELS];
    int32_t digit;

    for (int i = 0; i < PIXELS; i++)
        pixels[i] = (float)picture->grey[i] / DARKEST;
    if (digits_eval(pixels, &digit) != 0)      /* 1: a pixel outside 0 … 1, which digits.cnet does not promise to read */
        return -1;
    return (int)digit;
}

/* The same evaluation through the descriptor, which every network has: false when it was compiled without --count-ops. */
static int count_operations(const Picture *picture, cnet_counts *counts)
{
    float pixels[PIXELS];
    int32_t digit;
    const void *const in[] = { pixels };
    void *const out[] = { &digit };

    for (int i = 0; i < PIXELS; i++)
        pixels[i] = (float)picture->grey[i] / DARKEST;
    return digits_network.run(in, out, NULL, counts) >= 0;
}

/* 1: a picture was read; 0: the file ended; -1: it is not what this program reads. */
static int next_picture(FILE *file, Picture *picture)
{
    int got = fscanf(file, "%d", &picture->label);

    if (got == EOF)
        return 0;
    for (int i = 0; got == 1 && i < PIXELS; i++) {
        got = fscanf(file, "%d", &picture->grey[i]);
        if (got == 1 && (picture->grey[i] < 0 || picture->grey[i] > DARKEST))
            got = 0;
    }
    return got == 1 ? 1 : -1;
}

static void show(const Picture picture[], const int said[], int n)
{
    static const char shade[] = " .:+#@";      /* white … black */

    for (int y = 0; y < SIDE; y++) {
        for (int i = 0; i < n; i++) {
            fputs("   ", stdout);
            for (int x = 0; x < SIDE; x++) {
                char c = shade[picture[i].grey[y * SIDE + x] * 5 / DARKEST];
                putchar(c);                    /* twice: characters are taller than wide */
                putchar(c);
            }
            fputs("   ", stdout);
        }
        putchar('\n');
    }
    for (int i = 0; i < n; i++)
        printf("   read as %d (meant %d)", said[i], picture[i].label);
    puts("\n");
}

int main(int argc, char **argv)
{
    Picture first[SHOWN], picture;
    int said[SHOWN], state, shown = 0, right = 0, rows = 0, counted = 0;
    uint64_t least = UINT64_MAX, most = 0, all = 0;
    FILE *file = fopen(argc > 1 ? argv[1] : "test.txt", "r");

    if (file == NULL) {
        perror(argc > 1 ? argv[1] : "test.txt");
        return 1;
    }
    while ((state = next_picture(file, &picture)) == 1) {
        int digit = read_digit(&picture);
        cnet_counts c = { 0 };

        if (shown < SHOWN) {
            first[shown] = picture;
            said[shown++] = digit;
        }
        right += digit == picture.label;
        rows++;
        if (count_operations(&picture, &c)) {
            uint64_t total = c.add + c.mul + c.cmp + c.other;
            least = total < least ? total : least;
            most = total > most ? total : most;
            all += total;
            counted++;
        }
    }
    fclose(file);
    if (state < 0 || rows == 0) {
        fprintf(stderr, "picture %d: expected a label and %d grey levels from 0 to %d\n", rows + 1, PIXELS, DARKEST);
        return 1;
    }
    show(first, said, shown);
    printf("%d of %d pictures right: %.2f %%\n", right, rows, 100.0 * right / rows);
    if (counted > 0)
        printf("operations for a picture: %" PRIu64 " at least, %.1f on average, %" PRIu64 " at most;"
               " proven bound %" PRIu64 "\n", least, (double)all / counted, most, digits_network.bound_total);
    return 0;
}
