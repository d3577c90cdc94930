/* exact.h — private to proof/: what its files hand to each other, in the order in which data flow.
 *
 *      dyadic.c     numbers m 2^e of any size: sums and products are exact
 *      form.c       affine forms over the inputs and the relus of the network as written
 *      read.c       a network as forms, on one leaf's path                          IR     → forms
 *      rounding.c   what its own floating-point evaluation adds                     steps  → radii
 *      system.c     which relus are decided on a box, by exact back-substitution    box    → System
 *      leaf.c       a leaf of the compiled network against that                     System → proven, or not
 *      proof.c      all leaves, or as many as there is time for
 */
#ifndef CNET_PROOF_EXACT_H
#define CNET_PROOF_EXACT_H

#include "proof.h"

#include <gmp.h>

/* ---- dyadic.c ----------------------------------------------------------------------------------------------------------- */

typedef struct Dyadic { mpz_t m; int64_t e; } Dyadic;       /* m 2^e */

/* What every exact computation of one thread shares: a number to compute in, and how many products there were. */
typedef struct Exact { Arena *arena; mpz_t product; uint64_t work; } Exact;
Exact *exact_new(Arena *arena);

/* n zeros; their digits are released with the arena. */
Dyadic *dyadic_array(Arena *arena, size_t n);
void dyadic_set(Dyadic *a, const Dyadic *b);
void dyadic_set_double(Dyadic *a, double d);                 /* finite */
void dyadic_add(Exact *x, Dyadic *a, const Dyadic *b);       /* a += b */
void dyadic_add_product(Exact *x, Dyadic *a, const Dyadic *b, const Dyadic *c);
void dyadic_negate(Dyadic *a);
int dyadic_sign(const Dyadic *a);
int dyadic_compare(Exact *x, const Dyadic *a, const Dyadic *b);
double dyadic_above(const Dyadic *a);                        /* a double not below it; likewise not above */
double dyadic_below(const Dyadic *a);

/* ---- form.c ---------------------------------------------------------------------------------------------------------------- */

/* constant + sum of c[i] times variable var[i], var ascending. Variables: the inputs, then the relus (their results) in order. */
typedef struct Form { uint32_t n, room; uint32_t *var; Dyadic *c; Dyadic *constant; } Form;

/* A sum under construction: a number for every variable. */
typedef struct Sum { uint32_t n_vars, top; Dyadic *c; bool *used; Dyadic *constant, *one; } Sum;

Form form_zero(Arena *arena);
void form_copy(Arena *arena, Form *to, const Form *from);
void form_variable(Arena *arena, Form *to, uint32_t var);
const Dyadic *form_coefficient(const Form *f, uint32_t var);     /* NULL: none */
bool form_equal(Exact *x, const Form *a, const Form *b);
Sum *sum_new(Arena *arena, uint32_t n_vars);
/* sum += times * f; NULL: once. */
void sum_add(Exact *x, Sum *s, const Form *f, const Dyadic *times);
void sum_add_term(Exact *x, Sum *s, uint32_t var, const Dyadic *c);
/* Moves it to a form, and leaves zero. */
void sum_take(Arena *arena, Sum *s, Form *to);
void sum_clear(Sum *s);

/* ---- rounding.c ---------------------------------------------------------------------------------------------------------------- */

/* A floating-point element as it is computed: an input, a sum of products, or a relu. */
typedef enum StepKind { STEP_INPUT, STEP_SUM, STEP_RELU } StepKind;
typedef struct StepTerm { uint32_t step; uint32_t roundings; double weight; } StepTerm;   /* roundings that it goes through */
typedef struct Step {
    StepKind kind;
    uint32_t of;                  /* input or relu */
    uint64_t first, n_terms;
    double bias;                  /* |bias| */
    uint32_t bias_roundings;
    double unit, tiny;            /* of its type: unit roundoff, least positive number */
    double extra;                 /* relus of a compiled network: how far what stands for it is from its own */
    double magnitude;             /* likewise, a bound on what stands for it; infinity: not known */
    double low, high;             /* likewise, bounds of what goes in */
} Step;
typedef struct Steps { Vec(Step) at; Vec(StepTerm) term; } Steps;

/* Bounds on what relus compute without rounding: by relu of the source; NULL: as the steps say. */
typedef struct ReluBounds { const double *low, *high; } ReluBounds;
/* radius[i]: how far step i, as it is computed, can lie from its value in real arithmetic. */
const double *rounding_radii(Arena *arena, const Steps *steps, const double *input_magnitude, const ReluBounds *relu);

/* ---- read.c -------------------------------------------------------------------------------------------------------------------- */

typedef enum ValKind { VAL_UNKNOWN, VAL_FORMS, VAL_INTS, VAL_SET, VAL_WINNER } ValKind;

/* Where an element came from: what concat and slice move keeps its place. */
typedef struct Place { Value value; uint64_t element; } Place;
typedef struct Condition { uint64_t member; Place place; bool relu; } Condition;

/* What is known of a value. */
typedef struct Val {
    ValKind kind;
    uint64_t n;
    const Op *blame;              /* VAL_UNKNOWN: the op that could not be read */
    Form *form;                   /* FORMS: by element; WINNER: of the candidates */
    uint32_t *step;
    Place *place;
    int64_t *ints;                /* INTS; WINNER: the label of each candidate */
    Condition *condition;         /* SET: members are there unless a condition does not hold */
    bool least;                   /* WINNER: of an argmin */
} Val;

/* What the reader does not know itself. `relu`: a relu of form z; its result, and in `step` extra and magnitude. */
typedef struct Reader {
    Arena *arena;                 /* for one reading */
    Exact *exact;
    Sum *sum;
    const Network *net;
    bool (*relu)(void *context, const Form *z, Form *result, Step *step);
    void *context;
    const ProofTree *tree;        /* whose descend ends in this leaf; NULL: of a network without one */
    TreeLeaf leaf;
    const double *lo, *hi;        /* the box of a network with a tree */
    Steps steps;
    Val *val;                     /* by Value */
    Val output;
    const Op *blame;              /* why reading failed: an op, or NULL and the words */
    const char *why;
} Reader;

/* Reads the network as it runs inside its box. False: it cannot be, see blame, why. */
bool read_network(Reader *r);
const char *read_failure(Arena *arena, const Reader *r);

/* ---- system.c ----------------------------------------------------------------------------------------------------------------- */

typedef struct Source {
    Arena *arena;
    const Network *net;
    uint32_t n_inputs, n_relus, n_outputs;
    Form *z;                      /* by relu, over inputs and relus before it */
    Form *out;
    uint32_t *out_step;
    bool winner;                  /* only the index of the greatest output leaves (outputs of an argmin are negated) */
    int64_t *label;               /* of each output, what leaves when it wins */
    Steps steps;
    double *lo, *hi;              /* the box */
} Source;

typedef enum ReluState { RELU_OFF, RELU_ON, RELU_UNSTABLE } ReluState;

/* The network on a box: of the relus only those that are not decided are left, and forms are over inputs and these. */
typedef struct System {
    const Source *source;
    double *lo, *hi;              /* the box, closed */
    uint8_t *state;               /* by relu */
    double *z_low, *z_high;       /* by relu: bounds of what goes in, outwards */
    Dyadic *slope, *offset;       /* of unstable ones: relu(z) <= slope z + offset */
    bool *lower_one;              /* and relu(z) >= z, or >= 0 */
    Form *z, *out;                /* z: of unstable relus; of all when `complete` */
    bool complete;
    bool beyond;                  /* some bound is no double: nothing of this holds */
    uint8_t *dead;                /* by output: another is never less */
} System;

/* Buffers of one thread. */
typedef struct Prover {
    Arena *arena;
    Exact *exact;
    Sum *sum;
    Dyadic *low, *high, *number;  /* within system.c */
    Dyadic *end;                  /* two, for callers of system_bounds */
    Form scratch;
} Prover;
Prover *prover_new(Arena *arena, uint32_t n_vars);
System *system_new(Arena *arena, const Source *source);
/* The system of the box in s->lo, s->hi, a part of that of `parent` (NULL: all relus are open). */
void system_settle(Prover *p, const System *parent, System *s);
/* Also finds what goes into relus that are decided. */
void system_complete(Prover *p, System *s);
/* Least and greatest value of f on the box: bounds. */
void system_bounds(Prover *p, const System *s, const Form *f, Dyadic *low, Dyadic *high);
/* The greatest value of a − b, at most. */
double system_most(Prover *p, const System *s, const Form *a, const Form *b);
/* Bounds by intervals alone: cheap. */
void system_intervals(Prover *p, const System *s, const Form *f, Dyadic *low, Dyadic *high);

bool source_read(Arena *arena, const Network *net, Source *out, const char **why);

/* ---- leaf.c -------------------------------------------------------------------------------------------------------------------- */

/* How far the leaf's output can lie from the source's on the system's box, in an upper bound: infinity, and why, when it cannot be read. */
double leaf_error(Prover *p, System *s, const ProofTree *tree, TreeLeaf leaf, const char **why);

#endif
