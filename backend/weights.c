/* weights.c — large weights go from the model's file to the object's file, and through LLVM not at all.
 *
 *      while emitting:   @W.panels = internal constant <{ [N-1 x i8] zeroinitializer, i8 1 }>     a place of N bytes
 *      afterwards:       the object's symbol table says where it is; the panels are written there, one tensor at a time
 *
 * What the symbol table does not define is what an object needs of others: `be_elf_undefined`.
 *
 * In: constants in layouts, the finished object (ELF). Out: the same object with its weights in. The one idea: LLVM would
 * hold every byte twice (as a constant, as a section), and a compiler of a large model would need three times its size;
 * a run of zeros costs nothing. `externally_initialized` keeps optimisers from taking the zeros for the weights, wherever
 * a kernel that is made in place loads from a constant address; the 1 keeps the section from being one without bytes.
 */
#include "gen.h"

#include <elf.h>
#include <string.h>

enum { LARGE = 16 << 10 };                        /* below, LLVM's copies do not matter */

bool be_weights_can_wait(const Emitter *e, const Const *c, const Layout *l)
{
    return e->late && c && l->bytes >= LARGE && (l->kind == LAYOUT_PANELS || l->kind == LAYOUT_TREE || l->kind == LAYOUT_SEARCH);
}

/* Object formats that are patched here: ELF's systems. */
bool be_is_elf(const char *triple)
{
    static const char *const others[] = {"darwin", "macos", "ios", "windows", "win32", "wasm", "macho", "coff", "aix", "uefi"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(triple, others[i]))
            return false;
    return true;
}

LLVMValueRef be_weights_later(Emitter *e, const Const *c, const Layout *l, const char *name)
{
    LLVMValueRef field[2] = {LLVMConstNull(LLVMArrayType2(e->i8, l->bytes - 1)), LLVMConstInt(e->i8, 1, 0)};
    LLVMValueRef init = LLVMConstStructInContext(e->c, field, 2, true), g = LLVMAddGlobal(e->module, LLVMTypeOf(init), name);
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, true);
    LLVMSetExternallyInitialized(g, true);        /* its bytes come later: a load at a constant place must not become a 0 */
    LLVMSetLinkage(g, LLVMInternalLinkage);
    LLVMSetAlignment(g, e->target.align);
    size_t len;
    LateWeights late = {c, *l, NULL};
    late.symbol = str_dup(e->arena, LLVMGetValueName2(g, &len));   /* LLVM may have made it unique */
    vec_push(e->arena, *e->late, late);
    return g;
}

/* ---- where a symbol lies in an ELF file ---- */

typedef struct Section { uint64_t offset, size, link; uint32_t type; } Section;
typedef struct Elf {
    FILE *file;
    bool wide;                    /* 64-bit */
    uint32_t n_sections;
    Section *section;
    uint64_t n_symbols, names_size;
    uint8_t *symbols;
    char *names;
} Elf;

static bool read_at(FILE *f, uint64_t offset, void *to, size_t n)
{
    return fseeko(f, (off_t)offset, SEEK_SET) == 0 && fread(to, 1, n, f) == n;
}

static bool read_section(const Elf *elf, uint64_t at, Section *out)
{
    Elf64_Shdr w;
    Elf32_Shdr n;
    if (elf->wide ? !read_at(elf->file, at, &w, sizeof w) : !read_at(elf->file, at, &n, sizeof n))
        return false;
    *out = elf->wide ? (Section){w.sh_offset, w.sh_size, w.sh_link, w.sh_type} : (Section){n.sh_offset, n.sh_size, n.sh_link, n.sh_type};
    return true;
}

static bool open_elf(Arena *arena, FILE *file, Elf *elf)
{
    unsigned char ident[EI_NIDENT];
    Elf64_Ehdr w;
    Elf32_Ehdr n;
    *elf = (Elf){.file = file};
    if (!read_at(file, 0, ident, sizeof ident) || memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != ELFDATA2LSB)
        return false;
    elf->wide = ident[EI_CLASS] == ELFCLASS64;
    if (elf->wide ? !read_at(file, 0, &w, sizeof w) : !read_at(file, 0, &n, sizeof n))
        return false;
    uint64_t table = elf->wide ? w.e_shoff : n.e_shoff, step = elf->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    elf->n_sections = elf->wide ? w.e_shnum : n.e_shnum;
    elf->section = NEW_ARRAY(arena, elf->n_sections + 1, Section);
    const Section *symtab = NULL;
    for (uint32_t i = 0; i < elf->n_sections; i++) {
        if (!read_section(elf, table + i * step, &elf->section[i]))
            return false;
        if (elf->section[i].type == SHT_SYMTAB)
            symtab = &elf->section[i];
    }
    if (!symtab || symtab->link >= elf->n_sections)
        return false;
    const Section *names = &elf->section[symtab->link];
    elf->n_symbols = symtab->size / (elf->wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));
    elf->symbols = arena_alloc(arena, symtab->size);
    elf->names_size = names->size;
    elf->names = arena_alloc(arena, names->size + 1);
    return read_at(file, symtab->offset, elf->symbols, symtab->size) && read_at(file, names->offset, elf->names, names->size);
}

static Elf64_Sym symbol_at(const Elf *elf, uint64_t i)
{
    Elf64_Sym w = {0};
    Elf32_Sym n = {0};
    if (elf->wide) {
        memcpy(&w, elf->symbols + i * sizeof w, sizeof w);
        return w;
    }
    memcpy(&n, elf->symbols + i * sizeof n, sizeof n);
    return (Elf64_Sym){.st_name = n.st_name, .st_value = n.st_value, .st_size = n.st_size, .st_shndx = n.st_shndx};
}

/* The file offset of a symbol's bytes; false when there is no such symbol of that size. */
static bool find_symbol(const Elf *elf, const char *name, uint64_t bytes, uint64_t *offset)
{
    for (uint64_t i = 0; i < elf->n_symbols; i++) {
        Elf64_Sym s = symbol_at(elf, i);
        if (s.st_name < elf->names_size && strcmp(elf->names + s.st_name, name) == 0 && s.st_size == bytes && s.st_shndx < elf->n_sections) {
            *offset = elf->section[s.st_shndx].offset + s.st_value;
            return s.st_value + s.st_size <= elf->section[s.st_shndx].size;
        }
    }
    return false;
}

const char *be_elf_undefined(Arena *arena, const char *object, size_t n, bool excused(const char *name))
{
    const char *found = NULL;
    Elf elf;
    FILE *file = fmemopen((void *)(uintptr_t)object, n, "rb");
    if (!file || !open_elf(arena, file, &elf))
        ICE("LLVM's object cannot be read");
    for (uint64_t i = 1; i < elf.n_symbols && !found; i++) {
        Elf64_Sym s = symbol_at(&elf, i);
        if (s.st_shndx == SHN_UNDEF && s.st_name < elf.names_size && elf.names[s.st_name] && !excused(elf.names + s.st_name))
            found = elf.names + s.st_name;
    }
    fclose(file);
    return found;
}

/* ---- writing them ---- */

static bool write_page(void *file, const uint8_t *bytes, uint64_t n)
{
    return fwrite(bytes, 1, n, file) == n;
}

static bool write_tensor(Arena *arena, const LateWeights *w, FILE *file)
{
    if (w->layout.kind == LAYOUT_SEARCH)
        return be_stream_search(arena, w->c, &w->layout, write_page, file);
    uint8_t *bytes = arena_big(arena, w->layout.bytes, 64);
    be_fill(arena, w->c, &w->layout, bytes);
    return write_page(file, bytes, w->layout.bytes);
}

bool be_weights_write(Emitter *e, const char *path)
{
    if (!e->late || e->late->len == 0)
        return true;
    Arena *arena = arena_new(e->arena);
    if (!arena)
        arena_exhausted(e->arena);
    FILE *file = fopen(path, "r+b");
    Elf elf;
    bool fine = file && open_elf(arena, file, &elf);
    for (size_t i = 0; fine && i < e->late->len; i++) {
        const LateWeights *w = &e->late->at[i];
        uint64_t offset;
        if (!find_symbol(&elf, w->symbol, w->layout.bytes, &offset))
            ICE("the object has no room for %s", w->symbol);
        Arena *one = arena_new(arena);
        if (!one)
            arena_exhausted(arena);
        fine = fseeko(file, (off_t)offset, SEEK_SET) == 0 && write_tensor(one, w, file);
        arena_free(one);
        if (const_is_row_major(w->c))
            file_done_with(w->c->data, const_bytes(w->c));
    }
    if (file && fclose(file) != 0)
        fine = false;
    if (!fine)
        diag_error(e->diags, NOWHERE, "cannot write the weights into `%s`", path);
    arena_free(arena);
    return fine;
}
