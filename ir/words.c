/* words.c — names and words of the text form.
 *
 * In: names from sources and files, any bytes. Out: names that are unique and can be read back. The one idea: a name is
 * printed as it is whenever it can be; else quoted, and numbered when another value has it.
 */
#include "text.h"

#include <string.h>

/* ---- a map from names to numbers: open addressing, at most half full ---- */

static size_t slot_of(const Names *names, const char *name)
{
    size_t i = (size_t)hash_bytes(name, strlen(name)).lo & (names->cap - 1);
    while (names->slot[i].name && strcmp(names->slot[i].name, name) != 0)
        i = (i + 1) & (names->cap - 1);
    return i;
}

uint32_t *names_find(const Names *names, const char *name)
{
    if (names->cap == 0)
        return NULL;
    NameSlot *slot = &names->slot[slot_of(names, name)];
    return slot->name ? &slot->number : NULL;
}

static void grow(Names *names)
{
    Names old = *names;
    names->cap = old.cap ? old.cap * 2 : 64;
    names->slot = NEW_ARRAY(names->arena, names->cap, NameSlot);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i].name)
            names->slot[slot_of(names, old.slot[i].name)] = old.slot[i];
}

uint32_t *names_put(Names *names, const char *name, bool *is_new)
{
    if (names->cap < 2 * (names->len + 1))
        grow(names);
    NameSlot *slot = &names->slot[slot_of(names, name)];
    *is_new = !slot->name;
    if (*is_new) {
        slot->name = name;
        names->len++;
    }
    return &slot->number;
}

/* The number of a name is the suffix to try next, so no suffix is tried twice for one name. */
const char *names_unique(Names *names, const char *wanted)
{
    bool is_new;
    uint32_t *next = names_put(names, wanted, &is_new);
    if (is_new) {
        *next = 2;
        return wanted;
    }
    uint32_t suffix = *next;
    const char *name;
    do {
        name = str_printf(names->arena, "%s.%u", wanted, suffix++);
        next = names_put(names, name, &is_new);
    } while (!is_new);
    *next = 2;
    *names_find(names, wanted) = suffix;
    return name;
}

/* ---- spelling ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool name_is_plain(const char *name)
{
    if (!is_letter(name[0]))
        return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && !(*c >= '0' && *c <= '9') && *c != '.')
            return false;
    return true;
}

const char *name_in_quotes(Arena *arena, const char *name)
{
    size_t len = strlen(name);
    Text text = text_new(arena);
    text_add(&text, "\"");
    for (size_t i = 0; i < len;) {
        size_t good = utf8_check(name + i, len - i), end = i + good;
        for (; i < end; i++) {
            unsigned char c = (unsigned char)name[i];
            if (c == '"' || c == '\\')
                text_add(&text, "\\%c", c);
            else if (c < 0x20 || c == 0x7f)
                text_add(&text, "\\x%02x", c);
            else
                text_put(&text, &name[i], 1);
        }
        if (i < len) /* not UTF-8, and the text must be */
            text_add(&text, "\\x%02x", (unsigned char)name[i++]);
    }
    text_add(&text, "\"");
    return text.at;
}

const char *name_quoted(Arena *arena, const char *name)
{
    return name_is_plain(name) ? name : name_in_quotes(arena, name);
}

/* ---- words of attributes, by their numbers in ir.h ---- */

static const char *const CMP_WORDS[] = {"eq", "ne", "lt", "le", "gt", "ge"};
static const char *const ACTIVE_WORDS[] = {"notle0", "nonzero", "gt0"};
static const char *const REDUCE_WORDS[] = {"add", "mul", "min", "max"};
static const char *const ZEROS_WORDS[] = {"keep", "skip"};
static const char *const METHOD_WORDS[] = {"conditional", "sqrt", "bits"};
static const char *const UNSEEN_WORDS[] = {"before", "any", "value", "refuse"};
_Static_assert(METHOD_conditional == 0 && METHOD_bits == 2 && UNSEEN_before == 0 && UNSEEN_refuse == 3, "as in ir.h");
_Static_assert(PRED_eq == 0 && PRED_ge == 5 && ACTIVITY_notle0 == 0 && ACTIVITY_gt0 == 2, "as in ir.h");
_Static_assert(REDUCE_add == 0 && REDUCE_max == 3 && ZEROS_keep == 0 && ZEROS_skip == 1, "as in ir.h");

const char *const LOWER_WORDS[10] = {"auto", "dense", "mask", "list", "branch", "gather", "tree", "bucket", "binary", "permute"};
const char *const NUMERICS_WORDS[2] = {"exact", "real"};
const char *const CONTRACT_WORDS[2] = {"off", "fma"};
const char *const OUTSIDE_WORDS[4] = {"dense", "status", "clamp", "promise"};
_Static_assert(LOWER_gather == 5 && LOWER_permute == 9 && NUMERICS_real == 1 && CONTRACT_fma == 1 && OUTSIDE_promise == 3, "as in ir.h");

const char *const *attr_words(AttrKind kind, size_t *n)
{
    switch (kind) {
    case ATTR_CMP:
        *n = sizeof CMP_WORDS / sizeof *CMP_WORDS;
        return CMP_WORDS;
    case ATTR_ACTIVE:
        *n = sizeof ACTIVE_WORDS / sizeof *ACTIVE_WORDS;
        return ACTIVE_WORDS;
    case ATTR_REDUCE:
        *n = sizeof REDUCE_WORDS / sizeof *REDUCE_WORDS;
        return REDUCE_WORDS;
    case ATTR_ZEROS:
        *n = sizeof ZEROS_WORDS / sizeof *ZEROS_WORDS;
        return ZEROS_WORDS;
    case ATTR_METHOD:
        *n = sizeof METHOD_WORDS / sizeof *METHOD_WORDS;
        return METHOD_WORDS;
    case ATTR_UNSEEN:
        *n = sizeof UNSEEN_WORDS / sizeof *UNSEEN_WORDS;
        return UNSEEN_WORDS;
    case ATTR_INT:
    case ATTR_INTS:
    case ATTR_CHAINS:
    case ATTR_NETWORK:
        break;
    }
    *n = 0;
    return NULL;
}

bool chains_are_valid(int64_t chains)
{
    return chains >= 0 && chains <= IR_MAX_CHAINS && (chains & (chains - 1)) == 0;
}
