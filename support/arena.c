/* arena.c — memory by lifetime.
 *
 * In: sizes. Out: zeroed memory that lives as long as its arena. The one idea: nothing is freed alone and nothing is
 * checked alone; an arena goes as a whole, and an allocation that fails unwinds to the operation that can say so.
 *
 *      arena ── blocks     small objects, one after the other
 *            ── mappings   large payloads, straight from the system
 *            ── duties     clean-ups and children, newest first:   free(a)  =  run duties; unmap; free blocks
 *
 * Children and clean-ups share one list, so an object is always released before whatever it was built upon. Memory
 * goes after the last duty, since a clean-up may still look at it.
 *
 * An arena belongs to one thread at a time. Arenas of one tree may be used by several threads only when no thread
 * makes or frees a child of an arena that another one uses.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 16, BIG_ALIGNMENT = 4096, LARGEST_BLOCK = 256 * 1024, SMALL = 2048, CACHE_LINE = 64 };

/* The stress build gives each object a block of exactly its size, so that the address sanitizer sees an overrun by
 * one byte and freed memory is recognisable in a debugger. */
#ifdef CNET_STRESS
enum { FIRST_BLOCK = 0, POISON = 0xDD };
#else
enum { FIRST_BLOCK = 4096 };
#endif

typedef struct Block {
    _Alignas(ALIGNMENT) struct Block *next;
    size_t size; /* bytes after this header */
} Block;

typedef struct Mapping {
    struct Mapping *next;
    void *at;
    size_t size;
} Mapping;

typedef struct Duty {
    struct Duty *older, *newer;
    void (*release)(void *object);
    void *object;
} Duty;

struct Arena {
    Arena *parent, *root;
    Block *blocks;
    char *at, *end; /* what is left of the newest shared block */
    size_t next_block;
    Mapping *mappings;
    Duty *newest;
    Duty in_parent; /* this arena as a duty of its parent */
    size_t fail_in; /* root only: the allocation that is to fail, counted down; 0: none */
    bool armed;
    jmp_buf guard;
};

/* ---- duties ---- */

static void duty_add(Arena *arena, Duty *duty, void (*release)(void *object), void *object)
{
    *duty = (Duty){.older = arena->newest, .release = release, .object = object};
    if (arena->newest)
        arena->newest->newer = duty;
    arena->newest = duty;
}

static void duty_remove(Arena *arena, Duty *duty)
{
    if (duty->newer)
        duty->newer->older = duty->older;
    else
        arena->newest = duty->older;
    if (duty->older)
        duty->older->newer = duty->newer;
}

/* ---- life and death ---- */

static bool failure_is_due(Arena *arena)
{
    /* Written only while a test has set it, so threads that share a tree do not race. */
    return arena->root->fail_in != 0 && --arena->root->fail_in == 0;
}

static void release_child(void *child);

Arena *arena_new(Arena *parent)
{
    if (parent && failure_is_due(parent))
        return NULL;
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        return NULL;
    arena->parent = parent;
    arena->root = parent ? parent->root : arena;
    arena->next_block = FIRST_BLOCK;
    if (parent)
        duty_add(parent, &arena->in_parent, release_child, arena);
    return arena;
}

static void free_block(Block *block)
{
#ifdef CNET_STRESS
    /* volatile: a plain memset before free is a dead store, and gone. */
    volatile unsigned char *byte = (volatile unsigned char *)(block + 1);
    for (size_t i = 0; i < block->size; i++)
        byte[i] = POISON;
#endif
    free(block);
}

/* Frees an arena that its parent has already forgotten. */
static void release_child(void *child)
{
    Arena *arena = child;
    /* One at a time from the top: a clean-up may free a sibling early, or defer something more. */
    while (arena->newest) {
        Duty *duty = arena->newest;
        duty_remove(arena, duty);
        duty->release(duty->object);
    }
    for (Mapping *mapping = arena->mappings; mapping; mapping = mapping->next)
        munmap(mapping->at, mapping->size);
    for (Block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free_block(block);
    }
    free(arena);
}

void arena_free(Arena *arena)
{
    if (!arena)
        return;
    if (arena->parent)
        duty_remove(arena->parent, &arena->in_parent);
    release_child(arena);
}

/* ---- allocation ---- */

static void *alloc_in_new_block(Arena *arena, size_t size)
{
    /* What would waste much of a shared block gets one of its own, and the shared one stays in use. */
    bool shared = size <= arena->next_block / 4;
    size_t room = shared ? arena->next_block : size;
    Block *block = calloc(1, sizeof *block + room);
    if (!block)
        return NULL;
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
    char *data = (char *)(block + 1);
    if (shared) {
        arena->at = data + size;
        arena->end = data + room;
        if (arena->next_block < LARGEST_BLOCK)
            arena->next_block *= 2;
    }
    return data;
}

/* NULL when memory has run out. */
static void *try_alloc(Arena *arena, size_t size)
{
    if (failure_is_due(arena) || size > PTRDIFF_MAX - 4096)
        return NULL;
    if (size == 0)
        size = 1;
#ifndef CNET_STRESS
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
#endif
    if (size > (size_t)(arena->end - arena->at))
        return alloc_in_new_block(arena, size);
    void *object = arena->at;
    arena->at += size;
    return object;
}

void *arena_alloc(Arena *arena, size_t size)
{
    void *object = try_alloc(arena, size);
    if (!object)
        arena_exhausted(arena);
    return object;
}

void *arena_array(Arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!size_mul(count, size, &bytes))
        arena_exhausted(arena);
    return arena_alloc(arena, bytes);
}

void *arena_big(Arena *arena, size_t size, size_t align)
{
    if (align == 0 || align > BIG_ALIGNMENT || (align & (align - 1)) != 0)
        ICE("arena_big cannot align to %zu", align);
    if (size <= SMALL && align <= CACHE_LINE) { /* pages of its own would cost a call of the system each */
        uint8_t *room = arena_alloc(arena, size + align);
        return room + (align - (uintptr_t)room % align) % align;
    }
    Mapping *mapping = NEW(arena, Mapping); /* first: what could fail later would leak the pages */
    size_t bytes = size ? size : 1;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        arena_exhausted(arena);
    *mapping = (Mapping){.next = arena->mappings, .at = at, .size = bytes};
    arena->mappings = mapping;
    return at;
}

void arena_defer(Arena *arena, void (*release)(void *object), void *object)
{
    Duty *duty = try_alloc(arena, sizeof *duty);
    if (!duty) {
        release(object); /* nobody else knows of it yet */
        arena_exhausted(arena);
    }
    duty_add(arena, duty, release, object);
}

void *vec_grow_(Arena *arena, void *at, size_t len, size_t *cap, size_t size)
{
    size_t grown;
    if (!size_mul(*cap, 2, &grown))
        arena_exhausted(arena);
    grown = grown ? grown : 8;
    /* The old elements stay where they are until the arena goes: pointers to them remain readable. */
    void *copy = arena_array(arena, grown, size);
    if (len)
        memcpy(copy, at, len * size);
    *cap = grown;
    return copy;
}

/* ---- running out ---- */

jmp_buf *arena_guard(Arena *arena)
{
    arena->armed = true;
    return &arena->guard;
}

void arena_unguard(Arena *arena)
{
    arena->armed = false;
}

void arena_exhausted(Arena *arena)
{
    for (Arena *a = arena; a; a = a->parent)
        if (a->armed) {
            /* Once only: were the clean-up to run out too, it must not come back to itself for ever. */
            a->armed = false;
            longjmp(a->guard, 1);
        }
    fputs("cnetc: out of memory\n", stderr);
    abort();
}

void arena_fail_after(Arena *arena, size_t n)
{
    arena->root->fail_in = n;
}
