/* math.h — exp, tanh and sigmoid as the IR defines them (math.def expanded as C), and bit casts. */
#ifndef CNET_IR_MATH_H
#define CNET_IR_MATH_H

#include <stdint.h>
#include <string.h>

/* math_exp_f32, math_exp_f64, math_tanh_f32, … : the same bits as generated code. */
float math_exp_f32(float x);
double math_exp_f64(double x);
float math_tanh_f32(float x);
double math_tanh_f64(double x);
float math_sigmoid_f32(float x);
double math_sigmoid_f64(double x);

static inline uint32_t bits_of_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline uint64_t bits_of_f64(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float f32_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline double f64_of_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

#endif
