/* data.h — tables of keys, labels and weights for `memorize`. Private to the frontend.
 *
 *     data d = "f.csv" { input: a, b; label: c; }    lower_data.c: what is taken from where
 *       → columns of files                           data_files.c: names, numbers, shapes
 *       → rows of three types                        data_read.c: text parsed, arrays borrowed or converted
 *       → ascending rows, each key once              data_sort.c: order; data_table.c: merging, refusals
 */
#ifndef CNET_DATA_H
#define CNET_DATA_H

#include "formats.h"

/* What stands for a row: three clauses. */
typedef enum Clause { CLAUSE_input, CLAUSE_label, CLAUSE_weight, CLAUSES } Clause;
const char *clause_name(Clause c);

/* ---- data_files.c ------------------------------------------------------------------------------------------------------- */

typedef struct DataFile {
    const char *name;             /* as the program names it */
    const char *path;
    Span span;
    /* opened */
    uint32_t source;
    bool text;
    Bytes bytes;                  /* text */
    uint64_t columns, lines;      /* text: cells of its first line; lines, counted when it is read */
    bool has_header;              /* text: a line of names comes first */
    Cell header;
    Csv csv;                      /* text: at its first row */
    TensorFile arrays;            /* otherwise */
} DataFile;

/* Some columns of a file, as the program says it: all of them, one by name, or a range of numbers. */
typedef enum TakeKind { TAKE_ALL, TAKE_NAME, TAKE_RANGE } TakeKind;
typedef struct Take {
    TakeKind kind;
    uint32_t file;
    const char *name;
    uint64_t from, to;            /* without `to`; UINT64_MAX: to the end */
    Span span;
    /* resolved */
    uint64_t width;               /* elements a row */
    const Tensor *array;          /* NULL: text, and `from` is the first column */
} Take;

typedef struct DataSpec {
    Arena *arena;
    Diags *diags;
    const char *name;
    Span span;
    Vec(DataFile) files;
    Vec(Take) take[CLAUSES];
    Span clause_span[CLAUSES];
} DataSpec;

/* Opens all files, by their suffixes. False when something was reported. */
bool data_open(DataSpec *spec);
/* The same for one whose bytes are there: what fuzzers call. */
bool data_open_bytes(DataSpec *spec, DataFile *file, uint32_t source, Bytes bytes, bool text);
/* Finds the columns of every clause. */
bool data_resolve(DataSpec *spec);
/* Elements a row of a clause has. */
uint64_t data_width(const DataSpec *spec, Clause c);
/* The type of a clause's rows as its file has it; ELEM_NONE when that is text, or several arrays. */
Type data_row_type(const DataSpec *spec, Clause c);

/* ---- data_read.c ---------------------------------------------------------------------------------------------------------- */

/* Tells how far a long task is. */
typedef struct Watch { void (*tell)(void *context, const char *what, uint64_t done, uint64_t total); void *context; } Watch;
void watch_tell(const Watch *watch, const char *what, uint64_t done, uint64_t total);

/* Rows as the file has them. */
typedef struct Rows { Type row; uint8_t *data; bool borrowed; } Rows;
/* `rows[c].row` says the types wanted; what is made is made on `arena`. False when something was reported. */
bool data_read(DataSpec *spec, Arena *arena, const Watch *watch, Rows rows[CLAUSES], uint64_t *n);
/* Where row `row` (from 0) of a clause is, for a report: "row 3: " of an array, or "" when the span shows it. */
const char *data_place(const DataSpec *spec, Clause c, uint64_t row, Span *span);

/* ---- data_sort.c ---------------------------------------------------------------------------------------------------------- */

/* The numbers of the rows in ascending lexicographic order, equal ones as they were; NULL: they are in order already. Rows
 * are `width` elements each, without NaN. */
uint32_t *rows_sorted(Arena *arena, const Watch *watch, Type element, uint64_t width, uint64_t n, const uint8_t *rows);
/* Two rows: < 0, 0, > 0; -0 equals +0. */
int rows_compare(Type element, uint64_t width, const uint8_t *a, const uint8_t *b);
/* to[i] = from[order[i]] */
void rows_gathered(uint64_t n, size_t row_bytes, const uint32_t *order, const uint8_t *from, uint8_t *to);

/* ---- data_table.c --------------------------------------------------------------------------------------------------------- */

/* Ascending rows, each key once. */
typedef struct DataTable {
    uint64_t n;
    const uint8_t *keys, *labels;
    const uint8_t *weights;       /* f64; NULL: none */
} DataTable;

/* Reads, checks, sorts and merges; the result lives on `arena`, or in the files. */
bool data_table(DataSpec *spec, Arena *arena, const Watch *watch, Type key, Type label, DataTable *out);

#endif
