/* options.c — the command line as one table: parsing and --help come from the same rows.
 *
 * In: argv (and @files). Out: Options. Spelled as gcc and clang spell theirs, so getopt_long_only does the work.
 */
#include "driver.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { ANY = 31, COMPILING = VERB_COMPILE | VERB_RUN | VERB_VERIFY | VERB_REPORT, SAMPLING = VERB_RUN | VERB_VERIFY | VERB_REPORT };

/* Numbers of options: a short option is its letter. */
enum {
    OPT_header = 256, OPT_prefix, OPT_emit, OPT_network, OPT_numerics, OPT_contract, OPT_box, OPT_leaves, OPT_threads, OPT_max_bytes, OPT_max_ops,
    OPT_outside, OPT_compute, OPT_max_stack, OPT_result, OPT_count_ops, OPT_target, OPT_march, OPT_mattr, OPT_freestanding,
    OPT_no_dispatch, OPT_passes, OPT_print_before, OPT_print_after, OPT_stop_after, OPT_verify_each, OPT_time_passes,
    OPT_pass_stats, OPT_print_passes, OPT_print_targets, OPT_inline_constants, OPT_input, OPT_output, OPT_against, OPT_compiled, OPT_profile, OPT_ops,
    OPT_engine, OPT_samples, OPT_seed, OPT_rtol, OPT_atol, OPT_isa, OPT_color, OPT_diagnostics, OPT_werror, OPT_MD, OPT_MF,
    OPT_help, OPT_version
};

typedef struct Row {
    int id;
    const char *name;        /* long name; NULL for a short option */
    const char *arg;         /* NULL: takes none; in brackets: optional */
    unsigned verbs;
    bool code;               /* shapes the code: part of the descriptor's text */
    const char *help;
} Row;

static const Row rows[] = {
    {'o', NULL, "FILE", ANY, 0, "where the output goes; - is standard output (default: beside the input)"},
    {OPT_emit, "emit", "KIND", VERB_COMPILE, 0, "ir, llvm, asm, bc, obj (default), shared, static, dot, json"},
    {'S', NULL, NULL, VERB_COMPILE, 0, "the same as --emit=asm"},
    {'c', NULL, NULL, VERB_COMPILE, 0, "the same as --emit=obj"},
    {OPT_header, "header", "FILE", VERB_COMPILE, 0, "where the C header goes (default: beside the object)"},
    {OPT_prefix, "prefix", "NAME", COMPILING, 1, "begin every symbol with NAME"},
    {OPT_network, "network", "NAME", SAMPLING, 0, "which network of the file (default: the last one)"},
    {'O', NULL, "LEVEL", COMPILING, 1, "0 dense, as written; 1 skips zeros, with the same bits; 2 (default) also chooses how, for speed; 3: as 2"},
    {OPT_numerics, "numerics", "exact|real", COMPILING, 1, "exact (default): same bits; real: what is equal in real arithmetic, with a certified bound"},
    {OPT_contract, "fp-contract", "off|fma", COMPILING, 1, "off (default) or fused multiply-add everywhere"},
    {OPT_box, "box", "LO:HI,...", COMPILING, 1, "input box of an imported network; one LO:HI repeats; or FILE.json:NAME"},
    {OPT_outside, "outside", "POLICY", COMPILING, 1, "inputs outside the box: dense (default), status, clamp, promise"},
    {OPT_compute, "compute", "f32|f64", COMPILING, 1, "f64: weights, sums and values between in f64"},
    {OPT_result, "result", "KIND", COMPILING, 1, "value (default), argmax or argmin: return the index alone"},
    {OPT_profile, "profile", "[NAME=]FILE", COMPILING, 1, "sample inputs, as for --input of run: what is likely is made fast"},
    {OPT_leaves, "leaves", "N", COMPILING, 1, "make no search or tree of more than N leaves (default: 1024 for a tree over an input box)"},
    {OPT_threads, "threads", "N", COMPILING, 0, "work on so many threads at a time (default: one a processor); the output is the same"},
    {OPT_max_ops, "max-ops", "N", COMPILING, 0, "keep the worst case to N operations, or fail and say how near it came"},
    {OPT_max_bytes, "max-bytes", "N", COMPILING, 0, "keep the constants to N bytes, or fail (suffixes K, M, G; default for a tree: 1M, with --leaves 64M)"},
    {OPT_max_stack, "max-stack", "N", COMPILING, 1, "stack for values; beyond it the caller brings scratch memory"},
    {OPT_count_ops, "count-ops", NULL, COMPILING, 1, "emit NAME_eval_counted, which adds up the operations it executes"},
    {OPT_target, "target", "TRIPLE", COMPILING, 1, "compile for this machine (default: the host, its portable baseline)"},
    {OPT_march, "march", "CPU", COMPILING, 1, "compile for this CPU; native is this one"},
    {OPT_mattr, "mattr", "FEATURES", COMPILING, 1, "extra target features, as LLVM spells them: +avx2,-fma"},
    {OPT_freestanding, "freestanding", NULL, COMPILING, 1, "refuse what would need library or compiler-runtime calls"},
    {OPT_no_dispatch, "no-dispatch", NULL, COMPILING, 1, "one version of the code, not one per x86-64 level"},
    {'g', NULL, NULL, COMPILING, 1, "debug information"},
    {OPT_passes, "passes", "LIST", COMPILING, 1, "run exactly these passes: a,b(x=1),c"},
    {OPT_print_before, "print-before", "PASS", COMPILING, 0, "print the IR before PASS (or all) on standard error"},
    {OPT_print_after, "print-after", "PASS", COMPILING, 0, "print the IR after PASS (or all)"},
    {OPT_stop_after, "stop-after", "PASS", COMPILING, 0, "run no pass after PASS"},
    {OPT_verify_each, "verify-each", NULL, COMPILING, 0, "check the IR after every pass"},
    {OPT_time_passes, "time-passes", NULL, COMPILING, 0, "print the time each pass took"},
    {OPT_pass_stats, "pass-stats", NULL, COMPILING, 0, "print what each pass did, operation counts included"},
    {OPT_inline_constants, "inline-constants", NULL, VERB_COMPILE, 0, "--emit=ir: every constant in the text, no side file"},
    {OPT_input, "input", "[NAME=]FILE", SAMPLING, 0, "rows of inputs, .npy or .csv; - is standard input"},
    {OPT_output, "output", "[NAME=]FILE", VERB_RUN, 0, "where the rows of outputs go (default: standard output, as .csv)"},
    {OPT_ops, "ops", "[json]", VERB_RUN, 0, "print operation counts: a table, or one JSON object"},
    {OPT_engine, "engine", "jit|interp", VERB_RUN, 0, "native code (default) or the reference interpreter"},
    {OPT_isa, "isa", "LEVEL", VERB_RUN | VERB_VERIFY, 0, "force v1, v2, v3 or v4 of the x86-64 levels"},
    {OPT_samples, "samples", "N", VERB_VERIFY | VERB_REPORT, 0, "how many random inputs (default 1000)"},
    {OPT_seed, "seed", "N", VERB_VERIFY | VERB_REPORT, 0, "of the random inputs (default 1)"},
    {OPT_against, "against", "[NAME=]FILE", VERB_VERIFY, 0, "rows of expected outputs"},
    {OPT_compiled, "compiled", "FILE", VERB_VERIFY, 0, "check this IR dump against the source, not what the passes make now"},
    {OPT_rtol, "rtol", "R", VERB_VERIFY, 0, "tolerance relative to the range of the expected outputs (default 1e-4)"},
    {OPT_atol, "atol", "A", VERB_VERIFY, 0, "absolute tolerance (default 1e-4)"},
    {OPT_MD, "MD", NULL, VERB_COMPILE, 0, "also write the files that were read as a make rule"},
    {OPT_MF, "MF", "FILE", VERB_COMPILE, 0, "where -MD writes (default: beside the output, .d)"},
    {OPT_werror, "Werror", NULL, ANY, 0, "warnings are errors"},
    {'W', NULL, "FLAG", ANY, 0, "-Wno-NAME: no warnings of this name"},
    {'w', NULL, NULL, ANY, 0, "no warnings"},
    {OPT_color, "color", "WHEN", ANY, 0, "auto (default), always, never; NO_COLOR is respected"},
    {OPT_diagnostics, "diagnostics", "text|json", ANY, 0, "how diagnostics are written"},
    {OPT_print_passes, "print-passes", NULL, ANY, 0, "list the passes and what each -O level runs"},
    {OPT_print_targets, "print-targets", NULL, ANY, 0, "list the targets this build emits for"},
    {'v', NULL, NULL, ANY, 0, "say which commands are run"},
    {OPT_help, "help", NULL, ANY, 0, "this text"},
    {OPT_version, "version", NULL, ANY, 0, "versions of cnetc and of LLVM"},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct { const char *name; Verb verb; const char *help; } verbs[] = {
    {"", VERB_COMPILE, "cnetc FILE                compile: an object and its header beside FILE"},
    {"run", VERB_RUN, "cnetc run FILE            evaluate rows of inputs"},
    {"verify", VERB_VERIFY, "cnetc verify FILE         compare native code with the network as written"},
    {"report", VERB_REPORT, "cnetc report FILE -o R    a page of figures about a network"},
    {"import", VERB_IMPORT, "cnetc import FILE -o N    write a model as readable .cnet and a weights file"},
};

/* ---- help --------------------------------------------------------------------------------------------------------------- */

static void print_row(const Row *row)
{
    char left[64];
    bool optional = row->arg && row->arg[0] == '[' && row->id == OPT_ops;
    const char *arg = row->arg ? row->arg : "";
    if (!row->name)
        snprintf(left, sizeof left, "-%c%s%s", row->id, row->id == 'o' ? " " : "", arg);
    else if (optional)
        snprintf(left, sizeof left, "--%s[=json]", row->name);
    else if (row->id == OPT_MF)
        snprintf(left, sizeof left, "-MF %s", arg);
    else
        snprintf(left, sizeof left, "%s%s%s%s", row->id == OPT_MD || row->id == OPT_werror || row->id == OPT_march ? "-" : "--",
                 row->name, row->arg ? "=" : "", arg);
    printf("  %-26s %s\n", left, row->help);
}

/* Which section of --help a row belongs to, from the verbs that take it. */
typedef enum Group { GROUP_OUTPUT, GROUP_CODE, GROUP_SAMPLES, GROUP_GENERAL } Group;

static Group group_of(const Row *row)
{
    if (row->verbs & VERB_IMPORT)
        return GROUP_GENERAL;
    if (row->verbs & VERB_COMPILE)
        return row->verbs & VERB_RUN ? GROUP_CODE : GROUP_OUTPUT;
    return GROUP_SAMPLES;
}

static void print_group(const char *title, Group group)
{
    printf("\n%s:\n", title);
    for (int i = 0; i < N_ROWS; i++)
        if (group_of(&rows[i]) == group)
            print_row(&rows[i]);
}

static void print_help(void)
{
    puts("usage: cnetc [VERB] [OPTION ...] FILE\n\n"
         "An optimizing compiler for neural networks that compute conditionally.\n"
         "FILE is .cnet (the language), .cnir (an IR dump), .onnx, .onnx.gz or .nnet.\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("  %s\n", verbs[i].help);
    print_group("Output", GROUP_OUTPUT);
    print_group("Code (the same for compile, run, verify and report)", GROUP_CODE);
    print_group("Inputs and checks", GROUP_SAMPLES);
    print_group("General", GROUP_GENERAL);
    puts("\nExit status: 0 fine, 1 the input is wrong, 2 the command line is, 3 an internal error.");
}

static void print_pass_list(Arena *arena)
{
    size_t n;
    const Pass *pass = pass_list(&n);
    for (size_t i = 0; i < n; i++)
        printf("%-18s %s%s%s%s\n", pass[i].name, pass[i].summary, *pass[i].options ? " (" : "", pass[i].options, *pass[i].options ? ")" : "");
    for (int level = 0; level <= 3; level++)
        printf("-O%d: %s\n", level, pipeline_text(arena, &(PipelineOptions){.level = level}));
}

/* ---- values --------------------------------------------------------------------------------------------------------------- */

typedef struct Parser { Arena *arena; Options *out; Text text; bool failed; } Parser;

static void usage(Parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
static void usage(Parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("cnetc: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    p->failed = true;
}

static int choice(Parser *p, const char *option, const char *value, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], value) == 0)
            return i;
    size_t n = 0;
    while (names[n])
        n++;
    const char *near = str_nearest(value, names, n);
    usage(p, "%s: no such choice `%s`%s%s%s", option, value, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return 0;
}
#define CHOICE(p, option, value, ...) choice((p), (option), (value), (const char *const[]){__VA_ARGS__, NULL})

/* A whole number, with K, M or G for powers of 1024. */
static uint64_t number(Parser *p, const char *option, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (!isdigit((unsigned char)*value) || end[shift != 0] || errno || n > UINT64_MAX >> shift)
        usage(p, "%s: expected a number, found `%s`", option, value);
    return (uint64_t)n << shift;
}

static double real(Parser *p, const char *option, const char *value)
{
    char *end;
    double d = strtod(value, &end);
    if (end == value || *end || !(d >= 0))
        usage(p, "%s: expected a number that is not negative, found `%s`", option, value);
    return d;
}

/* NAME=FILE names a tensor when NAME looks like one; a path with a = in a folder name still works as ./a=b. */
static NamedFile named_file(Parser *p, const char *value)
{
    const char *eq = strchr(value, '=');
    size_t n = 0;
    while (isalnum((unsigned char)value[n]) || value[n] == '_')
        n++;
    if (eq && n > 0 && value + n == eq)
        return (NamedFile){str_ndup(p->arena, value, n), eq + 1};
    return (NamedFile){NULL, value};
}

/* The beginning of a C identifier. */
static const char *identifier(Parser *p, const char *option, const char *value)
{
    bool good = isalpha((unsigned char)*value) || *value == '_';
    for (const char *c = value; *c; c++)
        good &= isalnum((unsigned char)*c) || *c == '_';
    if (!good)
        usage(p, "%s: `%s` cannot begin a C identifier", option, value);
    return value;
}

static Product product(Parser *p, const char *value)
{
    return (Product)CHOICE(p, "--emit", value, "ir", "llvm", "asm", "bc", "obj", "shared", "static", "dot", "json");
}

static void set_option(Parser *p, const Row *row, const char *arg)
{
    Options *o = p->out;
    switch (row->id) {
    case 'o': o->output = arg; break;
    case 'S': o->product = PRODUCT_ASM; break;
    case 'c': o->product = PRODUCT_OBJ; break;
    case 'O': o->pipeline.level = CHOICE(p, "-O", arg, "0", "1", "2", "3"); break;
    case 'g': o->target.debug_info = true; break;
    case 'v': o->verbose = true; break;
    case 'w': o->no_warnings = true; break;
    case 'W': vec_push(p->arena, o->warnings, arg); break;
    case OPT_werror: vec_push(p->arena, o->warnings, "error"); break;
    case OPT_emit: o->product = product(p, arg); break;
    case OPT_header: o->header = arg; break;
    case OPT_prefix: o->target.prefix = identifier(p, "--prefix", arg); break;
    case OPT_network: o->network = arg; break;
    case OPT_numerics:
        o->load.says |= SAYS_numerics;
        o->load.net.numerics = (Numerics)CHOICE(p, "--numerics", arg, "exact", "real");
        break;
    case OPT_contract:
        o->load.says |= SAYS_contract;
        o->load.net.contract = (Contract)CHOICE(p, "--fp-contract", arg, "off", "fma");
        break;
    case OPT_box: o->load.box = arg; break;
    case OPT_outside:
        o->load.says |= SAYS_outside;
        o->load.net.outside = (Outside)CHOICE(p, "--outside", arg, "dense", "status", "clamp", "promise");
        break;
    case OPT_compute: o->pipeline.compute_f64 = CHOICE(p, "--compute", arg, "f32", "f64") == 1; break;
    case OPT_result:
        o->pipeline.result = CHOICE(p, "--result", arg, "value", "argmax", "argmin") == 0 ? NULL : arg;
        break;
    case OPT_leaves: o->pipeline.leaves = number(p, "--leaves", arg); break;
    case OPT_threads: o->pipeline.threads = (unsigned)number(p, "--threads", arg); break;
    case OPT_max_ops: o->has_max_ops = true; o->max_ops = number(p, "--max-ops", arg); break;
    case OPT_max_bytes: o->has_max_bytes = true; o->max_bytes = number(p, "--max-bytes", arg); break;
    case OPT_max_stack: o->target.max_stack = number(p, "--max-stack", arg); break;
    case OPT_count_ops: o->pipeline.count_ops = true; break;
    case OPT_target: o->target.triple = arg; break;
    case OPT_march: o->target.march = arg; break;
    case OPT_mattr: o->target.features = arg; break;
    case OPT_freestanding: o->target.freestanding = true; break;
    case OPT_no_dispatch: o->target.no_dispatch = true; break;
    case OPT_passes: o->pipeline.passes = arg; break;
    case OPT_print_before: o->pipeline.print_before = arg; break;
    case OPT_print_after: o->pipeline.print_after = arg; break;
    case OPT_stop_after: o->pipeline.stop_after = arg; break;
    case OPT_verify_each: o->pipeline.verify_each = true; break;
    case OPT_time_passes: o->pipeline.time_passes = true; break;
    case OPT_pass_stats: o->pipeline.pass_stats = true; break;
    case OPT_inline_constants: o->inline_constants = true; break;
    case OPT_input: vec_push(p->arena, o->inputs, named_file(p, arg)); break;
    case OPT_output: vec_push(p->arena, o->outputs, named_file(p, arg)); break;
    case OPT_profile: vec_push(p->arena, o->profile, named_file(p, arg)); break;
    case OPT_against: vec_push(p->arena, o->against, named_file(p, arg)); break;
    case OPT_compiled: o->compiled = arg; break;
    case OPT_ops: o->ops = !arg ? OPS_TABLE : CHOICE(p, "--ops", arg, "table", "json") ? OPS_JSON : OPS_TABLE; break;
    case OPT_engine: o->engine = (Engine)CHOICE(p, "--engine", arg, "jit", "interp"); break;
    case OPT_isa: o->isa_level = 1 + CHOICE(p, "--isa", arg, "v1", "v2", "v3", "v4"); break;
    case OPT_samples: o->samples = number(p, "--samples", arg); break;
    case OPT_seed: o->seed = number(p, "--seed", arg); break;
    case OPT_rtol: o->rtol = real(p, "--rtol", arg); o->tolerance = true; break;
    case OPT_atol: o->atol = real(p, "--atol", arg); o->tolerance = true; break;
    case OPT_MD: o->write_deps = true; break;
    case OPT_MF: o->deps = arg; o->write_deps = true; break;
    case OPT_color: (void)CHOICE(p, "--color", arg, "auto", "always", "never"); o->color = arg; break;
    case OPT_diagnostics: o->json_diagnostics = CHOICE(p, "--diagnostics", arg, "text", "json") == 1; break;
    case OPT_print_passes: o->print_passes = true; break;
    case OPT_print_targets: o->print_targets = true; break;
    default: ICE("option %d has a row but no meaning", row->id);
    }
}

/* ---- words of the command line ---------------------------------------------------------------------------------------------- */

typedef Vec(char *) Words;

/* The words of an @file: separated by white space, quoted with ' or ", \ escapes the next character. */
static bool read_words(Parser *p, const char *path, Words *words)
{
    Diags *diags = diag_new(p->arena);
    Bytes bytes;
    if (!file_read(p->arena, diags, NOWHERE, path, &bytes)) {
        usage(p, "cannot read the option file `%s`", path);
        return false;
    }
    const char *c = (const char *)bytes.at, *end = c + bytes.len;
    while (c < end) {
        while (c < end && isspace((unsigned char)*c))
            c++;
        if (c == end)
            break;
        Text word = text_new(p->arena);
        char quote = 0;
        for (; c < end && (quote || !isspace((unsigned char)*c)); c++) {
            if (quote ? *c == quote : (*c == '"' || *c == '\''))
                quote = quote ? 0 : *c;
            else
                text_put(&word, *c == '\\' && c + 1 < end ? ++c : c, 1);
        }
        vec_push(p->arena, *words, word.at);
    }
    return true;
}

static bool expand(Parser *p, int argc, char **argv, Words *words)
{
    vec_push(p->arena, *words, argv[0]);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '@' && argv[i][1]) {
            if (!read_words(p, argv[i] + 1, words))
                return false;
        } else {
            vec_push(p->arena, *words, argv[i]);
        }
    }
    vec_push(p->arena, *words, NULL);
    words->len--;
    return true;
}

static const Row *row_of(int id)
{
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

static void note_code_option(Parser *p, const Row *row, const char *arg)
{
    if (!row->code || row->id == OPT_box || row->id == OPT_profile)        /* a path, or what may be one */
        return;
    text_add(&p->text, "%s%s", p->text.len ? " " : "", row->name ? (row->id == OPT_march ? "-" : "--") : "-");
    if (row->name)
        text_add(&p->text, "%s%s%s", row->name, arg ? "=" : "", arg ? arg : "");
    else
        text_add(&p->text, "%c%s", row->id, arg ? arg : "");
}

static void parse_words(Parser *p, int argc, char **argv)
{
    struct option longs[N_ROWS + 1] = {{0}};
    Text shorts = text_new(p->arena);
    text_add(&shorts, "-:");                                    /* files come in order; we word the errors */
    int n = 0;
    for (int i = 0; i < N_ROWS; i++) {
        if (rows[i].name)
            longs[n++] = (struct option){rows[i].name, !rows[i].arg ? no_argument : rows[i].id == OPT_ops ? optional_argument : required_argument, NULL, rows[i].id};
        else
            text_add(&shorts, "%c%s", rows[i].id, rows[i].arg ? ":" : "");
    }
    opterr = 0;
    optind = 0;
    for (int id; (id = getopt_long_only(argc, argv, shorts.at, longs, NULL)) != -1;) {
        if (id == 1) {
            if (p->out->source)
                usage(p, "one file at a time: `%s` and `%s`", p->out->source, optarg);
            p->out->source = optarg;
            continue;
        }
        if (id == '?' || id == ':') {
            usage(p, id == ':' ? "option `%s` needs an argument" : "no such option `%s`", argv[optind - 1]);
            return;
        }
        const Row *row = row_of(id);
        if (!(row->verbs & p->out->verb)) {
            usage(p, "option `%s%s` does not go with this verb", row->name ? "--" : "-", row->name ? row->name : (char[]){(char)id, 0});
            continue;
        }
        set_option(p, row, optarg);
        note_code_option(p, row, optarg);
    }
    for (; optind < argc; optind++) {
        if (p->out->source)
            usage(p, "one file at a time: `%s` and `%s`", p->out->source, argv[optind]);
        p->out->source = argv[optind];
    }
}

static bool asks_for(const Words *words, const char *what)
{
    for (size_t i = 1; i < words->len; i++)
        if (strcmp(words->at[i], what) == 0)
            return true;
    return false;
}

int options_parse(Arena *arena, int argc, char **argv, Options *out)
{
    Parser parser = {.arena = arena, .out = out, .text = text_new(arena)}, *p = &parser;
    *out = (Options){.verb = VERB_COMPILE, .product = PRODUCT_OBJ, .color = "auto", .samples = 1000, .seed = 1, .rtol = 1e-4, .atol = 1e-4};
    out->pipeline.level = 2;
    out->pipeline.dump = stderr;
    out->target.pic = true;
    Words words = {0};
    if (!expand(p, argc, argv, &words))
        return EXIT_USAGE;
    int skip = 0;
    for (size_t i = 1; i < sizeof verbs / sizeof *verbs; i++)
        if (words.len > 1 && strcmp(words.at[1], verbs[i].name) == 0) {
            out->verb = verbs[i].verb;
            skip = 1;
        }
    if (asks_for(&words, "--help") || asks_for(&words, "-h")) {
        print_help();
        return EXIT_FINE;
    }
    if (asks_for(&words, "--version")) {
        printf("cnetc %s (LLVM %s)\n", CNET_VERSION, be_llvm_version());
        return EXIT_FINE;
    }
    parse_words(p, (int)words.len - skip, words.at + skip);
    out->text = p->text.at;
    out->target.options_text = p->text.at;
    if (!p->failed && out->print_passes) {
        print_pass_list(arena);
        return EXIT_FINE;
    }
    if (!p->failed && out->print_targets) {
        puts(be_targets(arena));
        return EXIT_FINE;
    }
    if (!p->failed && !out->source)
        usage(p, "no input file");
    if (p->failed) {
        fputs("cnetc: try `cnetc --help`\n", stderr);
        return EXIT_USAGE;
    }
    if ((out->verb == VERB_RUN && out->ops != OPS_NONE) || out->verb == VERB_VERIFY)
        out->pipeline.count_ops = true;
    return -1;
}
