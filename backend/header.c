/* header.c — the C and C++ header that belongs to an emitted object.
 *
 * In: the module and the options it was emitted with. Out: declarations, sizes, bounds, and what is promised about odd
 * inputs. Nothing in it depends on the day or the place: the same input gives the same bytes.
 */
#include "gen.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* The types of runtime/cnet.h between its guards, as text (made by the build). */
static const char runtime_types[] =
#include "cnet_types.inc"
    ;

/* ---- types ---- */

static const char *c_type(Type t)
{
    if (t.elem == ELEM_F32)
        return "float";
    if (t.elem == ELEM_F64)
        return "double";
    if (t.elem == ELEM_IDX)
        return "int32_t";
    return t.n == 1 ? "uint8_t" : t.n <= 8 ? "int8_t" : t.n <= 16 ? "int16_t" : t.n <= 32 ? "int32_t" : t.n <= 64 ? "int64_t" : "uint64_t";
}

static void parameters(Text *out, Arena *a, const Network *net, const Plan *plan, bool strides)
{
    char **names = be_port_names(a, net);
    const char *comma = "";
    for (uint32_t i = 0; i < net->n_inputs + net->n_outputs; i++) {
        bool in = i < net->n_inputs;
        Type t = in ? net->input[i].type : net->output[i - net->n_inputs].type;
        text_add(out, "%s%s%s *%s", comma, in ? "const " : "", c_type(t), names[i]);
        if (strides)
            text_add(out, ", ptrdiff_t stride_%s", names[i]);
        comma = ", ";
    }
    if (plan->scratch)
        text_add(out, "%svoid *scratch", comma);
    else if (!*comma)
        text_put(out, "void", 4);
}

/* ---- comments ---- */

/* Users' names and options go into comments: no comment may end early, and no line at all. */
static char *quoted(Arena *a, const char *s)
{
    char *copy = str_dup(a, s ? s : "");
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127 || *p == '\\' || (*p == '*' && p[1] == '/') || (*p == '/' && p[1] == '*'))
            *p = '_';
    return copy;
}

static void describe_ports(Text *out, Arena *a, const Network *net)
{
    char **names = be_port_names(a, net);
    for (uint32_t i = 0; i < net->n_inputs + net->n_outputs; i++) {
        bool in = i < net->n_inputs;
        const Port *port = in ? &net->input[i] : &net->output[i - net->n_inputs];
        text_add(out, " *   %-12s %s%s, row-major", names[i], type_print(a, port->type), in && port->box ? " within its box" : "");
        if (port->type.elem == ELEM_INT && port->type.n > 64)
            text_add(out, ", %u words of 64 bits an element, least first", type_element_bytes(port->type) / 8);
        text_add(out, " (`%s`)\n", quoted(a, port->name));
    }
}

static const char *outside_promise(Outside outside)
{
    switch (outside) {
    case OUTSIDE_dense:
        return "Outside the box, or with a NaN, the unconditional network answers; the status is 1.";
    case OUTSIDE_status:
        return "Outside the box, or with a NaN, it is refused: the status is negative, outputs are unwritten.";
    case OUTSIDE_clamp:
        return "Outside the box inputs are moved to its border; the status is 1. A NaN is outside.";
    case OUTSIDE_promise:
        return "Inputs are promised to lie in the box; outside it, results mean nothing (but nothing breaks).";
    }
    ICE("policy %d", (int)outside);
}

static bool has_box(const Network *net)
{
    for (uint32_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].box)
            return true;
    return false;
}

static void describe(Text *out, Arena *a, const Network *net)
{
    text_add(out, "/* %s\n", quoted(a, net->name));
    describe_ports(out, a, net);
    if (has_box(net))
        text_add(out, " * %s\n", outside_promise(net->options.outside));
    else
        text_add(out, " * No box: every input is evaluated. A NaN goes where arithmetic takes it.\n");
    text_add(out, " * Numerics: %s, contraction %s; round to nearest and no flush to zero are assumed.\n",
             net->options.numerics == NUMERICS_exact ? "exact" : "real", net->options.contract == CONTRACT_off ? "off" : "fma");
    if (net->certified_error > 0)
        text_add(out, " * Certified: in the box, outputs differ by at most %.9g from those of the network as written, computed in the precision\n"
                      " * that was chosen (--compute).\n", net->certified_error);
    text_add(out, " * Any element-aligned memory will do. Inputs and outputs must not overlap. Reentrant and thread-safe. */\n");
}

/* ---- macros ---- */

static char *upper(Arena *a, const char *s)
{
    char *copy = str_dup(a, s);
    for (char *p = copy; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return copy;
}

static void macro(Text *out, const char *name, const char *suffix, uint64_t value, const char *comment)
{
    bool wide = value > UINT32_MAX / 2;
    text_add(out, "#define %s_%s %s%" PRIu64 "%s%s%s%s\n", name, suffix, wide ? "UINT64_C(" : "", value, wide ? ")" : "",
             *comment ? "  /* " : "", comment, *comment ? " */" : "");
}

static void macros(Text *out, Arena *a, const Network *net, const Target *target, const Plan *plan, const char *symbol)
{
    char *name = upper(a, symbol);
    NetworkCost cost = network_cost(net);
    macro(out, name, "INPUTS", net->n_inputs, "number of inputs, outputs");
    macro(out, name, "OUTPUTS", net->n_outputs, "");
    for (uint32_t i = 0; i < net->n_inputs; i++)
        macro(out, name, str_printf(a, "INPUT%u_SIZE", i), type_count(net->input[i].type), i ? "" : "elements");
    for (uint32_t i = 0; i < net->n_outputs; i++)
        macro(out, name, str_printf(a, "OUTPUT%u_SIZE", i), type_count(net->output[i].type), "");
    macro(out, name, "SCRATCH_BYTES", be_scratch_bytes(target, plan),
          plan->scratch ? "what `scratch` must point to, at any alignment" : "none needed");
    macro(out, name, "STACK_BYTES", plan->scratch ? 0 : plan->frame_bytes, "of tensors on the stack; saved registers come on top");
    ModelBytes bytes = be_model_bytes(target, net);
    macro(out, name, "MODEL_BYTES", bytes.model, "constants as they are stored, padding included");
    if (bytes.fallback)
        macro(out, name, "FALLBACK_BYTES", bytes.fallback, "likewise, of the network as written, for inputs outside the box");
    macro(out, name, "BOUND_ADD", cost.range.max.add, "no evaluation executes more: an operation bound, not a time bound");
    macro(out, name, "BOUND_MUL", cost.range.max.mul, "");
    macro(out, name, "BOUND_CMP", cost.range.max.cmp, "");
    macro(out, name, "BOUND_OTHER", cost.range.max.other, "");
    macro(out, name, "BOUND_OPS", cost.total_max, "");
}

/* ---- one network ---- */

static void network(Text *out, Arena *a, const Network *net, const TargetOptions *options, const Target *target)
{
    Plan plan = be_plan(a, target, net);
    char *symbol = be_symbol(a, net, options);
    const char *comma = net->n_inputs + net->n_outputs + plan.scratch > 0 ? ", " : "";
    text_put(out, "\n", 1);
    describe(out, a, net);
    macros(out, a, net, target, &plan, symbol);
    text_add(out, "\n/* 0: fine; %s; < 0: refused. */\nint %s_eval(", has_box(net) ? "1: outside the box" : "> 0: the network's own status", symbol);
    parameters(out, a, net, &plan, false);
    text_add(out, ");\n");
    if (network_is_counted(net)) {
        text_add(out, "/* The same, and adds what it executed to *counts. */\nint %s_eval_counted(", symbol);
        parameters(out, a, net, &plan, false);
        text_add(out, "%scnet_counts *counts);\n", comma);
    }
    text_add(out, "/* n times, strides in elements; the worst status: the lowest if any is negative, else the greatest. */\n"
                  "int %s_eval_batch(size_t n%s", symbol, comma);
    if (*comma)
        parameters(out, a, net, &plan, true);
    text_add(out, ");\n/* Tensors in order; scratch as above or NULL; counts NULL or added to (needs --count-ops). */\n"
                  "int %s_run(const void *const in[], void *const out[], void *scratch, cnet_counts *counts);\n"
                  "extern const cnet_network %s_network;\n", symbol, symbol);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void preamble(Text *out, Arena *a, const Module *m, const TargetOptions *options, const char *guard)
{
    text_add(out, "/* Made by cnetc " CNET_VERSION " (LLVM " LLVM_VERSION_STRING ") from %s\n", quoted(a, base_name(m->source_name ? m->source_name : "")));
    text_add(out, " * hash %016" PRIx64 "%016" PRIx64 "; options:%s%s\n */\n", m->source_hash.hi, m->source_hash.lo,
             options->options_text && *options->options_text ? " " : " none", quoted(a, options->options_text));
    text_add(out, "#ifndef %s\n#define %s\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
                  "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", guard, guard);
    text_put(out, runtime_types, sizeof runtime_types - 1);
}

static bool write_header(Arena *a, const Module *m, Diags *diags, const TargetOptions *options, OutFile *out)
{
    Target target;
    if (!be_target(a, diags, options, &target) || !be_symbols_differ(m, diags, options))
        return false;
    const Network *last = NULL;
    for (size_t i = 0; i < m->networks.len; i++)
        if (network_is_entry(m->networks.at[i]))
            last = m->networks.at[i];
    char *guard = str_printf(a, "CNET_NETWORK_%s_H", last ? upper(a, be_symbol(a, last, options)) : "EMPTY");
    Text text = text_new(a);
    preamble(&text, a, m, options, guard);
    for (size_t i = 0; i < m->networks.len; i++)
        if (network_is_entry(m->networks.at[i]))
            network(&text, a, m->networks.at[i], options, &target);
    text_add(&text, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    if (fwrite(text.at, 1, text.len, out_stream(out)) == text.len)
        return true;
    diag_error(diags, NOWHERE, "cannot write `%s`", out_path(out));
    return false;
}

bool be_header(const Module *m, Diags *diags, const TargetOptions *options, OutFile *out)
{
    Arena *arena = arena_new(m->arena);
    if (!arena)
        arena_exhausted(m->arena);
    bool fine = write_header(arena, m, diags, options, out);
    arena_free(arena);
    return fine;
}
