/* main.c — cnetc: verbs, exit status, interrupts.
 *
 * In: a command line. Out: files, standard output, diagnostics on standard error, and an exit status: 0 fine, 1 the
 * input is wrong, 2 the command line is, 3 an internal error.
 */
#include "driver.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing half-written stays behind an interrupt: temporary files go, then the signal does what it always does. */
static void on_interrupt(int signal_number)
{
    out_discard_pending();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void catch_interrupts(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_handler = on_interrupt};
        sigaction(signals[i], &action, NULL);
    }
}

static DiagStyle diag_style(const Options *o)
{
    if (o->json_diagnostics)
        return DIAG_JSON;
    if (strcmp(o->color, "always") == 0)
        return DIAG_COLOR;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = strcmp(o->color, "never") == 0 || (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
    return !plain && isatty(STDERR_FILENO) ? DIAG_COLOR : DIAG_PLAIN;
}

static void set_warnings(Diags *diags, const Options *o)
{
    if (o->no_warnings)
        diag_disable(diags, "all");
    for (size_t i = 0; i < o->warnings.len; i++) {
        const char *w = o->warnings.at[i];
        if (strcmp(w, "error") == 0)
            diag_warnings_are_errors(diags);
        else if (str_starts(w, "no-"))
            diag_disable(diags, w + 3);
    }
}

static bool dispatch(Session *s)
{
    switch (s->options->verb) {
    case VERB_COMPILE: return session_compile(s) && emit_product(s);
    case VERB_RUN:     return session_compile(s) && verb_run(s);
    case VERB_VERIFY:  return verb_verify(s);
    case VERB_REPORT:  return session_compile(s) && verb_report(s);
    case VERB_IMPORT:  return verb_import(s);
    }
    ICE("no such verb");
}

static int out_of_memory(void)
{
    fputs("cnetc: error: out of memory\n", stderr);
    out_discard_pending();
    return EXIT_BAD_INPUT;
}

int main(int argc, char **argv)
{
    Arena *arena = arena_new(NULL);
    if (!arena)
        return out_of_memory();
    if (ARENA_GUARD(arena))
        return out_of_memory();
    catch_interrupts();
    Options *options = NEW(arena, Options);
    int status = options_parse(arena, argc, argv, options);
    if (status >= 0) {
        arena_free(arena);
        return status;
    }
    Session *s = NEW(arena, Session);
    *s = (Session){.arena = arena, .diags = diag_new(arena), .options = options};
    set_warnings(s->diags, options);
    bool fine = dispatch(s) && diag_errors(s->diags) == 0;
    diag_flush(s->diags, stderr, diag_style(options));
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("cnetc: error: cannot write standard output\n", stderr);
        fine = false;
    }
    arena_free(arena);
    return fine ? EXIT_FINE : EXIT_BAD_INPUT;
}
