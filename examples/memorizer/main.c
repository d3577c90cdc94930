/* main.c — counts the general categories of the characters of a text, by a compiled network.
 *
 *     cnetc category.cnet && cc -O2 main.c category.o -o category
 *     ./category TEXT                            how many characters (UTF-8) of each category
 *     ./category --check categories.csv          every code point there is, compared with the file that the network was made from
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "category.h"

enum { END = 0x110000, CATEGORIES = 30, REPLACEMENT = 0xfffd };     /* code points are below END */

static const char names[CATEGORIES][3] = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
};

static int category_of(int32_t point)
{
    int8_t category;
    category_eval(&point, &category);
    return category;
}

/* The next code point of UTF-8, -1 at the end of the file. What is no UTF-8 gives some code point, too. */
static int32_t next_point(FILE *text)
{
    int lead = getc(text), more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    int32_t point = more > 0 ? lead & (0x3f >> more) : lead;
    for (; more > 0; more--) {
        int next = getc(text);
        if (next == EOF)
            return REPLACEMENT;
        point = point << 6 | (next & 0x3f);
    }
    return point < END ? point : REPLACEMENT;
}

static int count(FILE *text)
{
    long seen[CATEGORIES] = {0};
    int32_t point;
    while ((point = next_point(text)) >= 0)
        seen[category_of(point)]++;
    for (int k = 0; k < CATEGORIES; k++)
        if (seen[k] > 0)
            printf("%s %ld\n", names[k], seen[k]);
    return 0;
}

/* How many code points from ... to - 1 are not of this category. */
static long wrong_in(long from, long to, long category)
{
    long wrong = 0;
    for (long point = from; point < to; point++)
        wrong += category_of((int32_t)point) != category;
    return wrong;
}

/* A row's category holds until the next row. */
static int check(FILE *table)
{
    char line[200];
    long from = 0, last = 0, first, category, rows = 0, wrong = 0;
    while (fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, "%ld,%ld", &first, &category) == 2) {
            if (first < from || first >= END || (rows == 0 && first != 0))
                return fprintf(stderr, "rows are in ascending order, from 0 on; here is %s", line), 1;
            wrong += wrong_in(from, first, last);
            from = first, last = category;
            rows++;
        }
    wrong += wrong_in(from, END, last);
    printf("%d code points, %ld rows: %ld wrong\n", END, rows, wrong);
    return wrong != 0 || rows == 0;
}

int main(int argc, char **argv)
{
    int checks = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !checks)
        return fprintf(stderr, "usage: %s TEXT | --check categories.csv\n", argv[0]), 2;
    FILE *file = fopen(argv[argc - 1], "rb");
    if (file == NULL)
        return perror(argv[argc - 1]), 1;
    int status = checks ? check(file) : count(file);
    fclose(file);
    return status;
}
