/* A causal convolution over K steps, each channel by itself: y = silu(b + sum_k w_k x_{t-k}).
 *
 * sizes: T, B, E, K, numbers from one row of x to the next
 */
#include "real.h"

typedef struct {
  size T, B, E, K, stride;
} Shape;

static Shape shape_(const size *n) { return (Shape){n[0], n[1], n[2], n[3], n[4]}; }

/* The inputs at step t, which may lie up to K - 1 steps before the first */
INLINE const real *at_(const Shape *s, const real *x, const real *past, size t, size b) {
  return t >= 0 ? x + (t * s->B + b) * s->stride : past + ((t + s->K - 1) * s->B + b) * s->E;
}

static void sum_(const Shape *s, const real *x, const real *past, const real *taps,
                 const real *restrict bias, size t, size b, real *restrict z) {
  memcpy(z, bias, sizeof(real) * (size_t)s->E);
  for (size k = 0; k < s->K; k++) {
    const real *restrict from = at_(s, x, past, t - k, b), *restrict w = taps + k * s->E;
    SIMD for (size e = 0; e < s->E; e++) z[e] += w[e] * from[e];
  }
}

/* arrays: x (T B E), past (K-1 B E), taps (K E), bias (E), y (T B E) */
EXPORT void convolution_forward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  real *restrict z = scratch_(s.E);
  for (size t = 0; t < s.T; t++)
    for (size b = 0; b < s.B; b++) {
      real *restrict y = arrays[4] + (t * s.B + b) * s.E;
      sum_(&s, arrays[0], arrays[1], arrays[2], arrays[3], t, b, z);
      SIMD for (size e = 0; e < s.E; e++) y[e] = z[e] * sigmoid_(z[e]);
    }
  free(z);
}

/* arrays: dy (T B E), x, past, taps, bias, then the gradients dx, dpast, dtaps, dbias */
EXPORT void convolution_backward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size E = s.E, K = s.K;
  const real *x = arrays[1], *past = arrays[2], *taps = arrays[3];
  real *dx = arrays[5], *dpast = arrays[6], *dtaps = arrays[7], *restrict dbias = arrays[8];
  real *restrict z = scratch_(E), *recent = scratch_(K * E);
  memset(dtaps, 0, sizeof(real) * (size_t)(K * E));
  memset(dbias, 0, sizeof(real) * (size_t)E);
  for (size b = 0; b < s.B; b++)
    for (size t = s.T - 1; t > -K; t--) { /* recent: gradients in the sums of the K steps from t on */
      real *restrict d = recent + ((t + K) % K) * E;
      real *restrict out = t >= 0 ? dx + (t * s.B + b) * E : dpast + ((t + K - 1) * s.B + b) * E;
      if (t >= 0) {
        const real *restrict g = arrays[0] + (t * s.B + b) * E;
        sum_(&s, x, past, taps, arrays[4], t, b, z);
        SIMD for (size e = 0; e < E; e++) {
          real open = sigmoid_(z[e]);
          d[e] = g[e] * open * (1 + z[e] * (1 - open));
          dbias[e] += d[e];
        }
      }
      for (size e = 0; e < E; e++) out[e] = 0;
      for (size k = t >= 0 ? 0 : -t; k < K; k++) {
        if (t + k >= s.T) break;
        const real *restrict later = recent + ((t + k + K) % K) * E, *restrict w = taps + k * E;
        SIMD for (size e = 0; e < E; e++) out[e] += w[e] * later[e];
      }
      for (size k = 0; t >= 0 && k < K; k++) {
        const real *restrict from = at_(&s, x, past, t - k, b);
        real *restrict dw = dtaps + k * E;
        SIMD for (size e = 0; e < E; e++) dw[e] += d[e] * from[e];
      }
    }
  free(z), free(recent);
}
