/* late.c — a linked object against the interpreter: `late x.npy t.npy y.npy z.npy` compares bits, at every level of the CPU.
 *
 * The weights of these layers are in the object's file only: nothing that runs in the compiler's own process can see them missing.
 */
#include "late.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20, X = LATE_INPUT0_SIZE, T = LATE_INPUT1_SIZE, Y = LATE_OUTPUT0_SIZE, Z = LATE_OUTPUT1_SIZE };

typedef int Eval(const float *, const float *, float *, float *);

#ifdef LEVELS
extern Eval late_eval_v1, late_eval_v2, late_eval_v3, late_eval_v4;
#endif

static float x[N * X], t[N * T], y[N * Y], z[N * Z];

/* The elements are a file's last bytes. */
static int read_rows(const char *path, float *to, size_t bytes)
{
    FILE *file = fopen(path, "rb");
    int fine = file && fseek(file, -(long)bytes, SEEK_END) == 0 && fread(to, 1, bytes, file) == bytes;
    if (file)
        fclose(file);
    return fine;
}

int main(int argc, char **argv)
{
    static Eval *const body[] = {
        late_eval,
#ifdef LEVELS
        late_eval_v1, late_eval_v2, late_eval_v3, late_eval_v4
#endif
    };
    int most = 0, level, i;
#ifdef LEVELS
    most = __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
#endif
    if (argc != 5 || !read_rows(argv[1], x, sizeof x) || !read_rows(argv[2], t, sizeof t) || !read_rows(argv[3], y, sizeof y) || !read_rows(argv[4], z, sizeof z))
        return 2;
    for (level = 0; level <= most; level++)
        for (i = 0; i < N; i++) {
            float own_y[Y] = {0}, own_z[Z] = {0};
            if (body[level](x + i * X, t + i * T, own_y, own_z) != 0 || memcmp(own_y, y + i * Y, sizeof own_y) != 0 || memcmp(own_z, z + i * Z, sizeof own_z) != 0) {
                printf("level %d, row %d differs: %g instead of %g\n", level, i, own_y[0], y[i * Y]);
                return 1;
            }
        }
    return 0;
}
