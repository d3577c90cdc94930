// read_sort.cc — reads points and sorts them by key: the work that no compiler of a memorizer can avoid.
//
//     read_sort csv FILE              lines of a number and an integer, behind a line of names
//     read_sort npy KEYS LABELS       f64 and i32, as numpy writes them
//
// Out: how many points there are, and how many keys are doubled.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

using Points = std::vector<std::pair<double, int32_t>>;

static std::vector<char> read(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == nullptr) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    std::vector<char> bytes(static_cast<size_t>(ftell(file)));
    rewind(file);
    bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
    fclose(file);
    return bytes;
}

static Points read_csv(const char *path)
{
    Points points;
    std::vector<char> text = read(path);
    const char *at = text.data(), *end = at + text.size();
    while (at < end && (at = static_cast<const char *>(memchr(at, '\n', static_cast<size_t>(end - at)))) != nullptr && ++at < end) {
        std::pair<double, int32_t> point;
        at = std::from_chars(at, end, point.first).ptr + 1;
        at = std::from_chars(at, end, point.second).ptr;
        points.push_back(point);
    }
    return points;
}

// What follows the header, whose length stands in bytes 8 and 9.
static const char *contents(const std::vector<char> &npy)
{
    return npy.data() + 10 + static_cast<unsigned char>(npy[8]) + 256 * static_cast<unsigned char>(npy[9]);
}

static Points read_npy(const char *keys_path, const char *labels_path)
{
    std::vector<char> keys = read(keys_path), labels = read(labels_path);
    Points points(static_cast<size_t>(labels.data() + labels.size() - contents(labels)) / sizeof(int32_t));
    for (size_t i = 0; i < points.size(); i++) {
        memcpy(&points[i].first, contents(keys) + 8 * i, 8);
        memcpy(&points[i].second, contents(labels) + 4 * i, 4);
    }
    return points;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    Points points = strcmp(argv[1], "csv") == 0 ? read_csv(argv[2]) : read_npy(argv[2], argv[3]);
    std::sort(points.begin(), points.end());
    size_t doubled = 0;
    for (size_t i = 1; i < points.size(); i++)
        doubled += points[i].first == points[i - 1].first;
    printf("%zu points, %zu doubled\n", points.size(), doubled);
    return 0;
}
