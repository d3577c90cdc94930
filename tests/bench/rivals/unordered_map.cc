// unordered_map.cc — std::unordered_map, or with -DABSL absl::flat_hash_map, with their own hash functions; reserved before it is filled,
// in the memory that all contenders get.
#include <new>
#ifdef ABSL
#include <absl/container/flat_hash_map.h>
#else
#include <unordered_map>
#endif

#include "rival.h"

template <class T> struct Allocator {
    using value_type = T;
    const Points *points;
    explicit Allocator(const Points *p) : points(p) {}
    template <class U> Allocator(const Allocator<U> &other) : points(other.points) {}
    T *allocate(size_t n) { return static_cast<T *>(rival_allocate(points, n * sizeof(T))); }
    void deallocate(T *, size_t) {}
    template <class U> bool operator==(const Allocator<U> &other) const { return points == other.points; }
    template <class U> bool operator!=(const Allocator<U> &other) const { return points != other.points; }
};

using Pairs = Allocator<std::pair<const Key, Label>>;
#ifdef ABSL
using Map = absl::flat_hash_map<Key, Label, absl::container_internal::hash_default_hash<Key>,
                                absl::container_internal::hash_default_eq<Key>, Pairs>;
#else
using Map = std::unordered_map<Key, Label, std::hash<Key>, std::equal_to<Key>, Pairs>;
#endif

static inline Label find(const Map *map, Key key)
{
    return map->find(key)->second;
}

static void *open(const Points *p, char *)
{
    Map *map = new (rival_allocate(p, sizeof(Map))) Map(Pairs(p));
    map->reserve(p->n);
    for (size_t i = 0; i < p->n; i++)
        map->emplace(p->keys[i], p->labels[i]);
    return map;
}

RIVAL(Map, open, find)
