/* What every kernel here stands on: the number type, vectors of it, and elementary functions.
 *
 * The same source is built for float and, with libm's functions, for double. Nothing here knows a
 * processor: vectors are the compiler's own extension (GCC, Clang), loops say by OpenMP's pragma
 * that they may be vectorised. NaN goes through every function and every comparison below.
 */
#ifndef LONGSPAN_REAL_H
#define LONGSPAN_REAL_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef REAL
#define REAL float
#define SINGLE 1
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define TARGET "avx512"
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#if defined(__AVX2__)
#define TARGET "avx2"
#else
#define TARGET "avx"
#endif
#else
#define VECTOR_BYTES 16
#if defined(__SSE2__)
#define TARGET "sse2"
#elif defined(__ARM_NEON)
#define TARGET "neon"
#else
#define TARGET "plain"
#endif
#endif

typedef REAL real;
typedef int64_t size;
typedef real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

enum { LANES = VECTOR_BYTES / sizeof(REAL) };

#define SIMD _Pragma("omp simd")
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))

#if SINGLE

/* Cephes' expf: 2 ulp at most between -87.3 and 88; 0 below, infinity above. */
INLINE void split_exp_(real x, real *minus_one, real *scale) {
  real c = x > 88.0f ? 88.0f : x;
  c = c < -87.3f ? -87.3f : c;
  int e = (int)(c * 1.44269504f + 127.5f);
  real n = (real)(e - 127);
  real r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  real p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  int32_t bits = (int32_t)((uint32_t)e << 23);
  memcpy(scale, &bits, sizeof bits);
  *minus_one = p * (r * r) + r;
}

INLINE real exp_(real x) {
  real m, s;
  split_exp_(x, &m, &s);
  real y = m * s + s;
  y = x < -87.3f ? 0.0f : y;
  return x > 88.0f ? INFINITY : y;
}

/* exp(x) - 1 for x <= 0; 2 ulp. */
INLINE real expm1_(real x) {
  real m, s;
  split_exp_(x, &m, &s);
  return m * s + (s - 1.0f);
}

/* Cephes' logf for normal x > 0: 2 ulp. */
INLINE real log_(real x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t e = (bits - 0x3f3504f3) >> 23; /* mantissa between sqrt(1/2) and sqrt(2) */
  int32_t inside = bits - (int32_t)((uint32_t)e << 23);
  real m;
  memcpy(&m, &inside, sizeof m);
  real n = (real)e, r = m - 1.0f, z = r * r;
  real p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  real y = r * z * p + n * -2.12194440e-4f - 0.5f * z;
  y = (r + y) + n * 0.693359375f;
  return x == x ? y : x;
}

/* log(1 + x) for 0 <= x <= 1; 3 ulp. */
INLINE real log1p_(real x) {
  real u = 1.0f + x;
  return log_(u) + (x - (u - 1.0f)) / u;
}

INLINE real sqrt_(real x) { return sqrtf(x); }
INLINE real abs_(real x) { return fabsf(x); }
#define TINY 1.17549435e-38f

#else

INLINE real exp_(real x) { return exp(x); }
INLINE real expm1_(real x) { return expm1(x); }
INLINE real log_(real x) { return log(x); }
INLINE real log1p_(real x) { return log1p(x); }
INLINE real sqrt_(real x) { return sqrt(x); }
INLINE real abs_(real x) { return fabs(x); }
#define TINY 2.2250738585072014e-308

#endif

/* 1 / (1 + exp(-x)); 3 ulp. */
INLINE real sigmoid_(real x) { return (real)1 / ((real)1 + exp_(-x)); }

/* By exp(-2 |x|) - 1, so that small x keep their digits; 4 ulp. */
INLINE real tanh_(real x) {
  real m = expm1_((real)-2 * abs_(x));
  real y = -m / (m + (real)2);
  return x < 0 ? -y : y;
}

/* log(1 + exp(x)), and as torch has it x itself above 20; 4 ulp. */
INLINE real softplus_(real x) {
  real y = (x > 0 ? x : (real)0) + log1p_(exp_(-abs_(x)));
  return x > 20 ? x : y;
}

/* Its derivative. */
INLINE real softplus_slope_(real x) { return x > 20 ? (real)1 : sigmoid_(x); }

INLINE real dot_(size n, const real *restrict a, const real *restrict b) {
  real sum = 0;
#pragma omp simd reduction(+ : sum)
  for (size i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Scratch numbers, zeroed; an allocation that fails ends the process as any of torch's would. */
static inline real *scratch_(size n) {
  real *p = calloc((size_t)(n > 0 ? n : 1), sizeof(real));
  if (!p) abort();
  return p;
}

#endif
