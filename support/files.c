/* files.c — reading whole files, and writing without partial results.
 *
 * In: paths that the user wrote. Out: bytes, or files that are complete. The one idea, for writing:
 *
 *      out_open    net.o  →  .cnet-PID-N.tmp in the same folder     (same file system, so that a rename is atomic)
 *      out_commit  flush, check, close, rename to net.o             (nobody ever sees half an object file)
 *      otherwise   the arena's end, or an interrupt, removes the temporary file
 *
 * Symbolic links are written through, not replaced. What is no regular file (/dev/null, a FIFO, "-") cannot be
 * renamed onto and is written directly. There is no fsync: build outputs can be made again.
 *
 * A mapped input that another program shortens while we read raises SIGBUS, as it does in every linker; replace
 * models by renaming, not by overwriting.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* ---- reading ---- */

static void close_descriptor(void *fd)
{
    close((int)(intptr_t)fd);
}

static void unmap(void *object)
{
    const Bytes *mapping = object;
    if (mapping->len)
        munmap((void *)(uintptr_t)mapping->at, mapping->len);
}

/* False when this file system cannot map; reading may still work. */
static bool map_file(Arena *arena, int fd, size_t len, Bytes *out)
{
    Bytes *mapping = NEW(arena, Bytes);
    arena_defer(arena, unmap, mapping); /* before there is a mapping that could leak */
    void *at = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return false;
    *mapping = (Bytes){.at = at, .len = len};
    *out = *mapping;
    return true;
}

/* Sets errno when false. */
static bool read_to_end(Arena *arena, Arena *scratch, int fd, Bytes *out)
{
    enum { CHUNK = 64 * 1024 };
    char *chunk = arena_alloc(scratch, CHUNK);
    Text text = text_new(scratch);
    for (;;) {
        ssize_t n = read(fd, chunk, CHUNK);
        if (n == 0)
            break;
        if (n > 0)
            text_put(&text, chunk, (size_t)n);
        else if (errno != EINTR)
            return false;
    }
    uint8_t *copy = arena_alloc(arena, text.len);
    memcpy(copy, text.at, text.len);
    *out = (Bytes){.at = copy, .len = text.len};
    return true;
}

static bool read_descriptor(Arena *arena, Arena *scratch, int fd, Bytes *out)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return false;
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return false;
    }
    /* Size 0 is read too: files in /proc say so and have contents. Standard input is, since it may stand anywhere. */
    bool mappable = S_ISREG(info.st_mode) && info.st_size > 0 && (uintmax_t)info.st_size <= PTRDIFF_MAX && fd != 0;
    return (mappable && map_file(arena, fd, (size_t)info.st_size, out)) || read_to_end(arena, scratch, fd, out);
}

bool file_read(Arena *arena, Diags *diags, Span span, const char *path, Bytes *out)
{
    Arena *scratch = arena_new(arena); /* closes the descriptor, also when memory runs out below */
    if (!scratch)
        arena_exhausted(arena);
    int fd = is_stdio(path) ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0;
    if (good) {
        if (!is_stdio(path))
            arena_defer(scratch, close_descriptor, (void *)(intptr_t)fd);
        good = read_descriptor(arena, scratch, fd, out);
    }
    if (!good && is_stdio(path))
        diag_error(diags, span, "cannot read standard input: %s", strerror(errno));
    else if (!good)
        diag_error(diags, span, "cannot read `%s`: %s", path, strerror(errno));
    arena_free(scratch);
    return good;
}

void file_done_with(const void *at, size_t len)
{
#ifdef MADV_PAGEOUT
    /* Not MADV_DONTNEED: it would empty memory that is no mapping of a file (a model that came through a pipe). Whole
     * pages only; a hint, so failure does not matter. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)at + page - 1) & ~(page - 1), end = ((uintptr_t)at + len) & ~(page - 1);
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_PAGEOUT);
#else
    (void)at, (void)len;
#endif
}

/* ---- temporary files that an interrupt must find ---- */

/* The one mutable global of the project: a signal handler has no context to be handed, and may neither lock nor
 * allocate. So: fixed slots, each claimed by one atomic exchange, and its path complete before it is marked LIVE. When
 * all slots are taken, files beyond work as ever, except that an interrupt leaves their temporary file behind. */
enum { SLOTS = 32, NO_SLOT = -1 };
enum { FREE, CLAIMED, LIVE };
static struct Slot {
    atomic_int state;
    char path[PATH_MAX];
} slots[SLOTS];
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler cannot take locks");

static int slot_take(const char *path)
{
    size_t size = strlen(path) + 1;
    for (int i = 0; i < SLOTS && size <= PATH_MAX; i++) {
        int expected = FREE;
        if (!atomic_compare_exchange_strong(&slots[i].state, &expected, CLAIMED))
            continue;
        memcpy(slots[i].path, path, size);
        atomic_store(&slots[i].state, LIVE);
        return i;
    }
    return NO_SLOT;
}

static void slot_give_back(int slot)
{
    if (slot != NO_SLOT)
        atomic_store(&slots[slot].state, FREE);
}

void out_discard_pending(void)
{
    int saved = errno;
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == LIVE)
            unlink(slots[i].path);
    errno = saved;
}

/* ---- writing ---- */

struct OutFile {
    const char *path;   /* as the user wrote it */
    const char *target; /* behind symbolic links */
    const char *temp;   /* NULL: written directly */
    FILE *stream;       /* NULL once closed */
    bool existed;       /* the target, before us */
    bool failed, committed;
    int slot;
};

static void say_cannot_write(Diags *diags, const OutFile *file, int error)
{
    const char *path = is_stdio(file->path) ? "standard output" : file->path;
    const char *quote = is_stdio(file->path) ? "" : "`";
    const char *reason = error ? strerror(error) : "an earlier write failed";
    diag_error(diags, NOWHERE, "cannot write %s%s%s: %s", quote, path, quote, reason);
}

/* Removes what is not committed; harmless when there is nothing. */
static void discard(void *object)
{
    OutFile *file = object;
    if (file->stream && file->stream != stdout)
        fclose(file->stream);
    file->stream = NULL;
    if (file->temp && !file->committed) {
        unlink(file->temp);
        file->temp = NULL; /* once: the name may soon be another file's */
    }
    slot_give_back(file->slot);
    file->slot = NO_SLOT;
}

static const char *beside(Arena *arena, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return str_printf(arena, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name);
}

/* The file behind the symbolic links, existing or not; NULL with errno when they go round in circles. (realpath()
 * would not follow a link to a file that is still to be written.) */
static const char *follow_links(Arena *arena, const char *path)
{
    enum { MOST_LINKS = 40 };
    char to[PATH_MAX];
    for (int i = 0; i < MOST_LINKS; i++) {
        ssize_t n = readlink(path, to, sizeof to - 1);
        if (n < 0)
            return path; /* no link, or nothing there; open() knows better what to say */
        to[n] = '\0';
        path = to[0] == '/' ? str_dup(arena, to) : beside(arena, path, to);
    }
    errno = ELOOP;
    return NULL;
}

/* Creates the temporary file; -1 with errno on failure. */
static int create_temp(Arena *arena, OutFile *file, mode_t mode)
{
    enum { MOST_TRIES = 1000 };
    for (int i = 0; i < MOST_TRIES; i++) {
        /* Short whatever the target's name, which may have the full length of a name already. O_EXCL decides who owns
         * it, so the number is only there to miss those of the same process. */
        file->temp = beside(arena, file->target, str_printf(arena, ".cnet-%ld-%d.tmp", (long)getpid(), i));
        sigset_t all, saved;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &saved); /* no interrupt between its creation and its registration */
        int fd = open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        int error = errno;
        if (fd >= 0)
            file->slot = slot_take(file->temp);
        pthread_sigmask(SIG_SETMASK, &saved, NULL);
        if (fd >= 0)
            return fd;
        file->temp = NULL; /* not ours: must not be removed */
        errno = error;
        if (error != EEXIST)
            return -1;
    }
    return -1;
}

/* Opens whatever is to receive the bytes; -1 with errno on failure. */
static int open_target(Arena *arena, OutFile *file)
{
    struct stat info;
    file->target = file->path;
    file->existed = stat(file->path, &info) == 0;
    /* A directory fails here, as it should. By the name as given: what /dev/stdout links to is no path. */
    if (file->existed && !S_ISREG(info.st_mode))
        return open(file->path, O_WRONLY | O_CLOEXEC);
    file->target = follow_links(arena, file->path);
    if (!file->target)
        return -1;
    if (!file->existed)
        return create_temp(arena, file, 0666);
    if (access(file->target, W_OK) != 0) /* a rename would not ask */
        return -1;
    int fd = create_temp(arena, file, 0600);
    if (fd >= 0)
        fchmod(fd, info.st_mode & 0777);
    return fd;
}

OutFile *out_open(Arena *arena, Diags *diags, const char *path)
{
    OutFile *file = NEW(arena, OutFile);
    *file = (OutFile){.path = str_dup(arena, path), .slot = NO_SLOT};
    arena_defer(arena, discard, file); /* while there is nothing yet that could leak */
    if (is_stdio(path)) {
        file->stream = stdout;
        return file;
    }
    int fd = open_target(arena, file);
    file->stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file->stream)
        return file;
    int error = errno;
    if (fd >= 0)
        close(fd);
    discard(file);
    say_cannot_write(diags, file, error);
    return NULL;
}

FILE *out_stream(OutFile *file)
{
    return file->stream;
}

const char *out_path(OutFile *file)
{
    return file->temp && !file->committed ? file->temp : is_stdio(file->path) ? "/dev/stdout" : file->target;
}

/* Gets the last byte out, so that only the name is missing. */
static bool complete(OutFile *file, Diags *diags)
{
    if (file->failed)
        return false; /* said so already */
    if (!file->stream)
        return true;
    errno = 0;
    bool good = fflush(file->stream) == 0;
    int error = errno;
    if (good && ferror(file->stream)) {
        good = false;
        error = 0; /* its errno is long gone */
    }
    if (file->stream != stdout) {
        bool closed = fclose(file->stream) == 0;
        error = good && !closed ? errno : error;
        good = good && closed;
        file->stream = NULL;
    }
    if (!good) {
        file->failed = true;
        say_cannot_write(diags, file, error);
    }
    return good;
}

static bool put_in_place(OutFile *file, Diags *diags)
{
    if (file->temp && !file->committed && rename(file->temp, file->target) != 0) {
        file->failed = true;
        say_cannot_write(diags, file, errno);
        return false;
    }
    file->committed = true;
    slot_give_back(file->slot); /* after the rename: a signal in between finds nothing to remove, and is content */
    file->slot = NO_SLOT;
    return true;
}

bool out_commit(OutFile *file, Diags *diags)
{
    return out_commit_all(&file, 1, diags);
}

bool out_commit_all(OutFile *const *files, size_t n, Diags *diags)
{
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good = complete(files[i], diags) && good;
    /* A rename beside a file that could be created fails for next to no reason; if it does, at least no new file
     * stays. One that was replaced before cannot come back. */
    for (size_t i = 0; i < n && good; i++) {
        good = put_in_place(files[i], diags);
        for (size_t j = 0; !good && j < i; j++)
            if (files[j]->temp && !files[j]->existed)
                unlink(files[j]->target);
    }
    for (size_t i = 0; i < n && !good; i++) {
        discard(files[i]);
        files[i]->failed = true;
    }
    return good;
}
