/* math.c — in: math.def; out: its functions in C. The one idea: each primitive is one C operation on float, double or
 * an unsigned integer of the same width, so nothing here depends on libm. Needs -ffp-contract=off.
 */
#include "math.h"

#define MATH_FLOAT_f32 float
#define MATH_FLOAT_f64 double
#define MATH_INT_f32   uint32_t
#define MATH_INT_f64   uint64_t

#define MATH_BEGIN(name, type)  MATH_FLOAT_##type math_##name##_##type(MATH_FLOAT_##type x) {
#define MATH_END(name, type, r) return r; }
#define M_CONST(r, type, value) const MATH_FLOAT_##type r = (MATH_FLOAT_##type)(value);
#define M_INT(r, type, value)   const MATH_INT_##type r = (value);
#define M_ADD(r, a, b)          const __auto_type r = (a) + (b);
#define M_SUB(r, a, b)          const __auto_type r = (a) - (b);
#define M_MUL(r, a, b)          const __auto_type r = (a) * (b);
#define M_DIV(r, a, b)          const __auto_type r = (a) / (b);
#define M_LT(c, a, b)           const int c = (a) < (b);
#define M_SELECT(r, c, a, b)    const __auto_type r = (c) ? (a) : (b);
#define M_BITS(r, type, a)      const MATH_INT_##type r = bits_of_##type(a);
#define M_FLOAT(r, type, a)     const MATH_FLOAT_##type r = type##_of_bits(a);
#define M_IADD(r, a, b)         const __auto_type r = (a) + (b);
#define M_IAND(r, a, b)         const __auto_type r = (a) & (b);
#define M_IOR(r, a, b)          const __auto_type r = (a) | (b);
#define M_SHL(r, a, k)          const __auto_type r = (a) << (k);
#define M_LSHR(r, a, k)         const __auto_type r = (a) >> (k);
#include "math.def"

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE binary32 and binary64");
