/* replay.c — runs a fuzz target without a fuzzer: over the files given, those in the directories given, and a few
 * mutations of each. Every fuzz_*.c is linked with it once more as a test; any compiler will do.
 *
 *      replay-ir tests/fuzz/corpus/ir            mutations are the same in every run
 *      replay-ir --mutations=1000 crash-1234     more of them, near one input
 *
 * A failure is a crash, an abort or a sanitizer's report; exit status 2 when an input cannot be read.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Replay {
    unsigned long mutations, files, runs;
    int status;
} Replay;

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A copy of exactly this size, so that a sanitizer sees every read beyond it. */
static void run(Replay *replay, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    replay->runs++;
}

/* One of: a byte changed, a bit flipped, a stretch removed, a stretch repeated, the rest cut off. At most twice the size. */
static size_t mutate(uint64_t *state, uint8_t *data, size_t size)
{
    static const char likely[] = "\0\xff\x7f\x80 \n\"%@#[]{}(),:=-9";
    size_t at = next(state) % size, n = 1 + next(state) % 16;
    n = n > size - at ? size - at : n;
    switch (next(state) % 6) {
    case 0:
        data[at] = (uint8_t)likely[next(state) % (sizeof likely - 1)];
        return size;
    case 1:
        data[at] ^= (uint8_t)(1u << next(state) % 8);
        return size;
    case 2:
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 3:
        memmove(data + at + n, data + at, size - at);
        return size + n;
    case 4:
        return at;
    default:
        memmove(data + at, data + next(state) % (size - n + 1), n);
        return size;
    }
}

static void run_with_mutations(Replay *replay, const uint8_t *data, size_t size)
{
    run(replay, data, size);
    uint8_t *copy = malloc(2 * size + 64);
    if (!copy)
        abort();
    for (unsigned long i = 0; i < replay->mutations && size > 0; i++) {
        uint64_t state = i + size * UINT64_C(1000003);
        size_t n = size;
        memcpy(copy, data, size);
        for (uint64_t k = 1 + next(&state) % 3; k > 0 && n > 0 && n + 16 <= 2 * size + 64; k--)
            n = mutate(&state, copy, n);
        run(replay, copy, n);
    }
    free(copy);
}

static void replay_file(Replay *replay, const char *path)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, got = 0;
    if (in && fseek(in, 0, SEEK_END) == 0) {
        long end = ftell(in);
        size = end > 0 ? (size_t)end : 0;
        rewind(in);
        data = malloc(size + 1);
        got = data ? fread(data, 1, size, in) : 0;
    }
    if (in)
        fclose(in);
    if (!data || got != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        replay->status = 2;
    } else {
        run_with_mutations(replay, data, size);
        replay->files++;
    }
    free(data);
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void replay_path(Replay *replay, const char *path)
{
    struct stat st;
    struct dirent **entry;
    int n;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        replay_file(replay, path);
        return;
    }
    n = scandir(path, &entry, is_visible, alphasort);
    for (int i = 0; i < n; i++) {
        size_t len = strlen(path) + strlen(entry[i]->d_name) + 2;
        char *inner = malloc(len);
        if (!inner)
            abort();
        snprintf(inner, len, "%s/%s", path, entry[i]->d_name);
        replay_path(replay, inner);
        free(inner);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

int main(int argc, char **argv)
{
    Replay replay = {.mutations = 16};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--mutations=", 12) == 0)
            replay.mutations = strtoul(argv[i] + 12, NULL, 10);
        else
            replay_path(&replay, argv[i]);
    }
    run(&replay, (const uint8_t *)"", 0);
    printf("%lu inputs, %lu runs\n", replay.files, replay.runs);
    return replay.status;
}
