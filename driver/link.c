/* link.c — libraries of our object, made by the system's own tools: the C compiler driver and ar.
 *
 * In: a compiled session. Out: a library at a path. The object is a temporary file that goes in any case; for the tool it
 * gets its final name (an archive records it) by a link in a folder of its own, and interrupts wait, while the tool runs,
 * until that folder is gone. The object file, which needs no tools, is the default product.
 */
#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Runs a tool found in PATH, under the given signal mask, and waits. */
static bool run_tool(Session *s, const char *const *argv, const sigset_t *mask)
{
    if (s->options->verbose) {
        for (size_t i = 0; argv[i]; i++)
            fprintf(stderr, "%s%s", i ? " " : "", argv[i]);
        fputc('\n', stderr);
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid;
    int status = -1, error = posix_spawnp(&pid, argv[0], NULL, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (error) {
        diag_error(s->diags, NOWHERE, "cannot run `%s`: %s; install a C toolchain, or emit an object, which needs none", argv[0], strerror(error));
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    diag_error(s->diags, NOWHERE, "`%s` failed", argv[0]);
    return false;
}

static const char *tool(const char *variable, const char *otherwise)
{
    const char *name = getenv(variable);
    return name && *name ? name : otherwise;
}

/* Runs the tool on the object, under the name that an archive is to record. */
static bool run_linker(Session *s, const char *object, const char *path, const sigset_t *mask)
{
    if (s->options->product == PRODUCT_SHARED) {
        const char *argv[] = {tool("CC", "cc"), "-shared", "-nostdlib", "-o", path, object, NULL};
        return run_tool(s, argv, mask);
    }
    unlink(path);                                               /* ar adds to an archive that is there, an empty file too */
    const char *argv[] = {tool("AR", "ar"), "rcsD", path, object, NULL};
    return run_tool(s, argv, mask);
}

/* A folder of its own with a link called `name` to the file; gone again when this returns. */
static bool link_under_name(Session *s, const char *file, const char *name, const char *path, const sigset_t *mask)
{
    const char *temp = tool("TMPDIR", "/tmp");
    char *folder = str_printf(s->arena, "%s/cnet-XXXXXX", temp), *absolute = realpath(file, NULL);
    if (!absolute || !mkdtemp(folder)) {
        diag_error(s->diags, NOWHERE, "cannot make a temporary folder in `%s`: %s", temp, strerror(errno));
        free(absolute);
        return false;
    }
    char *object = str_printf(s->arena, "%s/%s", folder, name);
    bool made = symlink(absolute, object) == 0 && run_linker(s, object, path, mask);
    unlink(object);
    rmdir(folder);
    free(absolute);
    return made;
}

bool make_library(Session *s, const char *name, const char *path)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    char *object_name = str_printf(s->arena, "%.*s.o", dot ? (int)(dot - base) : (int)strlen(base), base);
    OutFile *object = out_open(s->arena, s->diags, str_printf(s->arena, "%s.o", name));   /* never committed: gone with the arena */
    if (!object || !be_emit(s->module, s->diags, &s->options->target, EMIT_OBJECT, object))
        return false;
    sigset_t interrupts, before;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    sigaddset(&interrupts, SIGHUP);
    sigprocmask(SIG_BLOCK, &interrupts, &before);
    bool made = link_under_name(s, out_path(object), object_name, path, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return made;
}
