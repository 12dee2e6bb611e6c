/* A causal convolution over K steps, each channel by itself: y = silu(b + sum_k w_k x_{t-k}).
 *
 * sizes: T, B, E, K, numbers from one row of x to the next
 */
#include "real.h"

typedef struct {
  size T, B, E, K, stride;
} Shape;

static Shape shape_(const size *n) { return (Shape){n[0], n[1], n[2], n[3], n[4]}; }

/* The inputs at the K steps up to t, which may lie up to K - 1 steps before the first */
INLINE void seen_(const Shape *s, const real *x, const real *past, size t, size b,
                  const real **from) {
  for (size k = 0; k < s->K; k++)
    from[k] = t >= k ? x + ((t - k) * s->B + b) * s->stride
                     : past + ((t - k + s->K - 1) * s->B + b) * s->E;
}

INLINE void answer_(const size K, size E, const real *const *from, const real *restrict taps,
                    const real *restrict bias, real *restrict y) {
  SIMD for (size e = 0; e < E; e++) {
    real z = bias[e];
    for (size k = 0; k < K; k++) z += taps[k * E + e] * from[k][e];
    y[e] = z * sigmoid_(z);
  }
}

/* arrays: x (T B E), past (K-1 B E), taps (K E), bias (E), y (T B E) */
EXPORT void convolution_forward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const real **from = malloc(sizeof(real *) * (size_t)s.K);
  if (!from) abort();
  for (size t = 0; t < s.T; t++)
    for (size b = 0; b < s.B; b++) {
      real *y = arrays[4] + (t * s.B + b) * s.E;
      seen_(&s, arrays[0], arrays[1], t, b, from);
      if (s.K == 4) answer_(4, s.E, from, arrays[2], arrays[3], y);
      else answer_(s.K, s.E, from, arrays[2], arrays[3], y);
    }
  free(from);
}

/* d: the gradient in the sum of one step */
INLINE void gradient_(const size K, size E, const real *restrict g, const real *const *from,
                      const real *restrict taps, const real *restrict bias, real *restrict d,
                      real *restrict dtaps, real *restrict dbias) {
  SIMD for (size e = 0; e < E; e++) {
    real z = bias[e];
    for (size k = 0; k < K; k++) z += taps[k * E + e] * from[k][e];
    const real open = sigmoid_(z);
    const real here = g[e] * open * (1 + z * (1 - open));
    d[e] = here;
    dbias[e] += here;
    for (size k = 0; k < K; k++) dtaps[k * E + e] += here * from[k][e];
  }
}

/* What steps up to K - 1 later, of which `later` has the gradients, say of an input */
INLINE void spread_(const size K, size E, const real *const *later, const real *restrict taps,
                    real *restrict out) {
  SIMD for (size e = 0; e < E; e++) {
    real sum = 0;
    for (size k = 0; k < K; k++) sum += taps[k * E + e] * later[k][e];
    out[e] = sum;
  }
}

/* arrays: dy (T B E), x, past, taps, bias, then the gradients dx, dpast, dtaps, dbias */
EXPORT void convolution_backward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size E = s.E, K = s.K;
  const real *taps = arrays[3], *bias = arrays[4];
  real *dx = arrays[5], *dpast = arrays[6], *dtaps = arrays[7], *dbias = arrays[8];
  real *recent = scratch_(K * s.B * E), *nothing = scratch_(E);
  const real **from = malloc(sizeof(real *) * (size_t)K * 2), **later = from + K;
  if (!from) abort();
  memset(dtaps, 0, sizeof(real) * (size_t)(K * E));
  memset(dbias, 0, sizeof(real) * (size_t)E);
  for (size t = s.T - 1; t > -K; t--)
    for (size b = 0; b < s.B; b++) { /* recent: gradients in the sums of the K steps from t on */
      if (t >= 0) {
        const real *g = arrays[0] + (t * s.B + b) * E;
        real *d = recent + (t % K * s.B + b) * E;
        seen_(&s, arrays[1], arrays[2], t, b, from);
        if (K == 4) gradient_(4, E, g, from, taps, bias, d, dtaps, dbias);
        else gradient_(K, E, g, from, taps, bias, d, dtaps, dbias);
      }
      for (size k = 0; k < K; k++)
        later[k] = t + k >= 0 && t + k < s.T ? recent + ((t + k) % K * s.B + b) * E : nothing;
      real *out = t >= 0 ? dx + (t * s.B + b) * E : dpast + ((t + K - 1) * s.B + b) * E;
      if (K == 4) spread_(4, E, later, taps, out);
      else spread_(K, E, later, taps, out);
    }
  free(recent), free(nothing), free(from);
}
