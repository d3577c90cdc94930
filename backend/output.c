/* output.c — from a finished LLVM module to bytes: LLVM IR, bitcode, assembly or an object.
 *
 *      a file of our own      by name, straight into it: through memory, the weights would be there once more
 *      anything else          standard output, pipes, devices: made in memory and written to the open stream, since opening
 *                             them once more by name would cut off what they already hold
 *
 * In: the module, its target machine, the file. Out: the bytes, or a report. What is to be freestanding is looked at as an
 * object first, whatever is written: its undefined symbols are what it would need.
 */
#include "gen.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Object.h>
#include <string.h>
#include <sys/stat.h>

bool be_has_file(OutFile *out)
{
    struct stat info;
    const char *path = out_path(out);
    return strcmp(path, "/dev/stdout") != 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool write_failed(Diags *diags, const char *path, const char *why)
{
    diag_error(diags, NOWHERE, "cannot write `%s`: %s", path, why);
    return false;
}

/* ---- bytes ---- */

typedef struct Made { LLVMMemoryBufferRef buffer; char *text; } Made;   /* one of both */

static void release(void *object)
{
    Made *b = object;
    if (b->buffer)
        LLVMDisposeMemoryBuffer(b->buffer);
    if (b->text)
        LLVMDisposeMessage(b->text);
}

static Made *made_new(Emitter *e)
{
    Made *b = NEW(e->arena, Made);
    arena_defer(e->arena, release, b);
    return b;
}

static bool generate(Emitter *e, LLVMTargetMachineRef machine, LLVMModuleRef module, EmitKind kind, Made *out)
{
    char *why = NULL;
    switch (kind) {
    case EMIT_LLVM:
        out->text = LLVMPrintModuleToString(module);
        return true;
    case EMIT_BITCODE:
        out->buffer = LLVMWriteBitcodeToMemoryBuffer(module);
        return true;
    case EMIT_ASM:
    case EMIT_OBJECT:
        if (!LLVMTargetMachineEmitToMemoryBuffer(machine, module, kind == EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile, &why, &out->buffer))
            return true;
        diag_error(e->diags, NOWHERE, "cannot generate code: %s", why);
        LLVMDisposeMessage(why);
        return false;
    }
    ICE("output %d", (int)kind);
}

static bool write_stream(Emitter *e, const Made *b, OutFile *out)
{
    const char *at = b->text ? b->text : LLVMGetBufferStart(b->buffer);
    size_t n = b->text ? strlen(b->text) : LLVMGetBufferSize(b->buffer);
    return fwrite(at, 1, n, out_stream(out)) == n || write_failed(e->diags, out_path(out), "not all bytes were taken");
}

static bool write_file(Emitter *e, LLVMTargetMachineRef machine, EmitKind kind, const char *path)
{
    char *why = NULL;
    bool failed = false;
    switch (kind) {
    case EMIT_LLVM:
        failed = LLVMPrintModuleToFile(e->module, path, &why);
        break;
    case EMIT_BITCODE:
        if (LLVMWriteBitcodeToFile(e->module, path))
            return write_failed(e->diags, path, "writing bitcode failed");
        break;
    case EMIT_ASM:
    case EMIT_OBJECT:
        failed = LLVMTargetMachineEmitToFile(machine, e->module, path, kind == EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile, &why);
        break;
    }
    if (failed) {
        write_failed(e->diags, path, why);
        LLVMDisposeMessage(why);
    }
    return !failed;
}

/* ---- standing alone ---- */

/* What linkers provide because the format wants it, not a library. */
static bool is_of_the_format(const char *name)
{
    static const char *const provided[] = {"__stack_pointer", "__linear_memory", "__indirect_function_table", "__memory_base",
                                           "__table_base", "_GLOBAL_OFFSET_TABLE_", "_fltused"};
    for (size_t i = 0; i < sizeof provided / sizeof *provided; i++)
        if (strncmp(name, provided[i], strlen(provided[i])) == 0)
            return true;
    return name[0] == '.' || name[0] == '@';      /* COFF: files and features are symbols of no section */
}

/* Names in wasm objects are not terminated; those of libraries are identifiers. */
static size_t name_length(const char *name)
{
    return strspn(name, "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
}

/* The first undefined symbol of an object that is no ELF; NULL: none. */
static const char *undefined_in(Emitter *e, LLVMMemoryBufferRef object)
{
    char *why = NULL;
    const char *found = NULL;
    LLVMBinaryRef binary = LLVMCreateBinary(object, e->c, &why);
    if (!binary) {
        LLVMDisposeMessage(why);
        return NULL;
    }
    LLVMSymbolIteratorRef symbol = LLVMObjectFileCopySymbolIterator(binary);
    for (; symbol && !found && !LLVMObjectFileIsSymbolIteratorAtEnd(binary, symbol); LLVMMoveToNextSymbol(symbol)) {
        const char *name = LLVMGetSymbolName(symbol);
        LLVMSectionIteratorRef section = LLVMObjectFileCopySectionIterator(binary);
        LLVMMoveToContainingSection(section, symbol);
        if (name && *name && LLVMObjectFileIsSectionIteratorAtEnd(binary, section) && !is_of_the_format(name))
            found = str_printf(e->arena, "%.*s", (int)name_length(name), name);
        LLVMDisposeSectionIterator(section);
    }
    LLVMDisposeSymbolIterator(symbol);
    LLVMDisposeBinary(binary);
    return found;
}

static bool stands_alone(Emitter *e, LLVMMemoryBufferRef object)
{
    const char *name = be_is_elf(e->target.triple) ? be_elf_undefined(e->arena, LLVMGetBufferStart(object), LLVMGetBufferSize(object), is_of_the_format)
                                                   : undefined_in(e, object);
    if (name)
        diag_error(e->diags, NOWHERE, "--freestanding: this network needs `%s` of a library on %s", name, e->target.triple);
    return !name;
}

/* Code generation changes a module: a copy is made into an object, and what is written comes from the original. */
static bool copy_stands_alone(Emitter *e, LLVMTargetMachineRef machine)
{
    Made *object = made_new(e);
    LLVMModuleRef copy = LLVMCloneModule(e->module);
    bool fine = generate(e, machine, copy, EMIT_OBJECT, object);
    LLVMDisposeModule(copy);
    return fine && stands_alone(e, object->buffer);
}

static bool file_stands_alone(Emitter *e, const char *path)
{
    Made *object = made_new(e);
    char *why = NULL;
    if (!LLVMCreateMemoryBufferWithContentsOfFile(path, &object->buffer, &why))
        return stands_alone(e, object->buffer);
    diag_error(e->diags, NOWHERE, "cannot read `%s` again: %s", path, why);
    LLVMDisposeMessage(why);
    return false;
}

/* ---- both ---- */

bool be_write(Emitter *e, LLVMTargetMachineRef machine, EmitKind kind, OutFile *out)
{
    bool alone = e->options->freestanding;
    if (alone && kind != EMIT_OBJECT && !copy_stands_alone(e, machine))
        return false;
    if (be_has_file(out)) {
        const char *path = out_path(out);
        return write_file(e, machine, kind, path) && be_weights_write(e, path) &&
               (!alone || kind != EMIT_OBJECT || file_stands_alone(e, path));
    }
    Made *bytes = made_new(e);
    return generate(e, machine, e->module, kind, bytes) && (!alone || kind != EMIT_OBJECT || stands_alone(e, bytes->buffer)) &&
           write_stream(e, bytes, out);
}
