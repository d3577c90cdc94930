/* verify.h — the verifier's state, shared by its files. Internal to ir/verify*.c. */
#ifndef CNET_IR_VERIFY_H
#define CNET_IR_VERIFY_H

#include "text.h"

typedef struct Checker {
    const Module *m;
    const Network *net;
    const Complaints *to;
    Arena *scratch;
    uint32_t number;          /* of the network: calls go to lower ones */
    bool ok;
    bool *visible;            /* by Value: defined above, in this block or one around it */
    const char **name;        /* of values; computed when first needed */
} Checker;

/* ---- verify.c ---- */

/* Nothing more is to be said: the first violation is enough. */
bool check_is_done(const Checker *ch);
/* In a network, about an op (printed whole) or the network itself (NULL). */
void check_complain(Checker *ch, const Op *op, const char *format, ...) PRINTF_LIKE(3, 4);
/* A value and a type as they print, for messages. */
const char *check_value_text(Checker *ch, Value v);
const char *check_type_text(Checker *ch, Type t);

/* ---- verify_control.c ---- */

/* What types alone do not say: regions, their arguments, what leaves them. The op has passed op_infer. */
void check_control(Checker *ch, const Op *op);

#endif
