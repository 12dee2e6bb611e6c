/* The scan of a selective state space with what stands around it:
 *
 *   dt = softplus(raw), h' = exp(dt A) h + dt u b, y = (c . h' + d u) silu(z)
 *
 * N numbers for each of E channels, the channels side by side. Only the states at the borders of
 * segments are kept; a segment's are computed again going back.
 *
 * sizes: T, B, E, N, whether to keep what going back needs, then numbers from one row to the next
 * of raw, u, b, c, z
 */
#include "real.h"

enum { STEPS = 16 };

typedef struct {
  size T, B, E, N, keep, raw, u, b, c, z;
} Shape;

static Shape shape_(const size *n) {
  return (Shape){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]};
}

/* arrays: raw, u, b, c, z, A (N E), d (E), h (B N E), the first made into the last; y (T B E);
 * borders (segments B N E) */
EXPORT void selective_forward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size E = s.E, N = s.N;
  const real *A = arrays[5], *restrict skip = arrays[6];
  real *restrict dt = scratch_(E), *restrict w = scratch_(E);
  for (size b = 0; b < s.B; b++) {
    real *state = arrays[7] + b * N * E;
    for (size t = 0; t < s.T; t++) {
      const size row = t * s.B + b;
      if (s.keep && t % STEPS == 0)
        memcpy(arrays[9] + (t / STEPS * s.B + b) * N * E, state, sizeof(real) * (size_t)(N * E));
      const real *restrict raw = arrays[0] + row * s.raw, *restrict u = arrays[1] + row * s.u;
      const real *in = arrays[2] + row * s.b, *out = arrays[3] + row * s.c;
      const real *restrict z = arrays[4] + row * s.z;
      real *restrict y = arrays[8] + row * E;
      SIMD for (size e = 0; e < E; e++) {
        dt[e] = softplus_(raw[e]);
        w[e] = dt[e] * u[e];
        y[e] = skip[e] * u[e];
      }
      for (size n = 0; n < N; n++) {
        const real bn = in[n], cn = out[n];
        const real *restrict a = A + n * E;
        real *restrict h = state + n * E;
        SIMD for (size e = 0; e < E; e++) {
          h[e] = exp_(dt[e] * a[e]) * h[e] + w[e] * bn;
          y[e] += cn * h[e];
        }
      }
      SIMD for (size e = 0; e < E; e++) y[e] *= z[e] * sigmoid_(z[e]);
    }
  }
  free(dt), free(w);
}

/* arrays: dy (T B E), raw, u, b, c, z, A, d, borders; dh (B N E), the gradient in the last states,
 * made into that in the first; then draw, du, db, dc, dz, dA, dd */
EXPORT void selective_backward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size T = s.T, B = s.B, E = s.E, N = s.N, wide = N * E;
  const real *A = arrays[6], *restrict skip = arrays[7], *borders = arrays[8];
  real *dA = arrays[15], *restrict dskip = arrays[16];
  real *states = scratch_((STEPS + 1) * wide), *factors = scratch_(STEPS * wide);
  real *dts = scratch_(STEPS * E), *ys = scratch_(STEPS * E), *restrict w = scratch_(E);
  real *restrict dw = scratch_(E), *restrict ddt = scratch_(E), *restrict g = scratch_(E);
  memset(dA, 0, sizeof(real) * (size_t)wide);
  memset(dskip, 0, sizeof(real) * (size_t)E);
  for (size b = 0; b < B; b++) {
    real *carry = arrays[9] + b * wide;
    for (size first = (T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
      const size steps = T - first < STEPS ? T - first : STEPS;
      memcpy(states, borders + (first / STEPS * B + b) * wide, sizeof(real) * (size_t)wide);
      for (size j = 0; j < steps; j++) {
        const size row = (first + j) * B + b;
        const real *restrict raw = arrays[1] + row * s.raw, *restrict u = arrays[2] + row * s.u;
        const real *in = arrays[3] + row * s.b, *out = arrays[4] + row * s.c;
        real *restrict dt = dts + j * E, *restrict y = ys + j * E;
        SIMD for (size e = 0; e < E; e++) {
          dt[e] = softplus_(raw[e]);
          w[e] = dt[e] * u[e];
          y[e] = skip[e] * u[e];
        }
        for (size n = 0; n < N; n++) {
          const real bn = in[n], cn = out[n];
          const real *restrict a = A + n * E, *restrict old = states + j * wide + n * E;
          real *restrict new = states + (j + 1) * wide + n * E;
          real *restrict f = factors + j * wide + n * E;
          SIMD for (size e = 0; e < E; e++) {
            f[e] = exp_(dt[e] * a[e]);
            new[e] = f[e] * old[e] + w[e] * bn;
            y[e] += cn * new[e];
          }
        }
      }
      for (size j = steps - 1; j >= 0; j--) {
        const size row = (first + j) * B + b;
        const real *restrict dy = arrays[0] + row * E, *restrict u = arrays[2] + row * s.u;
        const real *in = arrays[3] + row * s.b, *out = arrays[4] + row * s.c;
        const real *restrict raw = arrays[1] + row * s.raw, *restrict z = arrays[5] + row * s.z;
        const real *restrict dt = dts + j * E, *restrict y = ys + j * E;
        real *restrict draw = arrays[10] + row * E, *restrict du = arrays[11] + row * E;
        real *db = arrays[12] + row * N, *dc = arrays[13] + row * N;
        real *restrict dz = arrays[14] + row * E;
        SIMD for (size e = 0; e < E; e++) {
          const real open = sigmoid_(z[e]);
          g[e] = dy[e] * z[e] * open;
          dz[e] = dy[e] * y[e] * open * (1 + z[e] * (1 - open));
          w[e] = dt[e] * u[e];
          dw[e] = ddt[e] = 0;
          dskip[e] += g[e] * u[e];
        }
        for (size n = 0; n < N; n++) {
          const real bn = in[n], cn = out[n];
          const real *restrict a = A + n * E, *restrict f = factors + j * wide + n * E;
          const real *restrict old = states + j * wide + n * E, *restrict new = old + wide;
          real *restrict dh = carry + n * E, *restrict da = dA + n * E;
          real written = 0, read = 0;
#pragma omp simd reduction(+ : written, read)
          for (size e = 0; e < E; e++) {
            const real d = dh[e] + cn * g[e];
            read += new[e] * g[e];
            written += d * w[e];
            dw[e] += d * bn;
            dh[e] = d * f[e];
            const real p = dh[e] * old[e];
            da[e] += p * dt[e];
            ddt[e] += p * a[e];
          }
          db[n] = written;
          dc[n] = read;
        }
        SIMD for (size e = 0; e < E; e++) {
          du[e] = dw[e] * dt[e] + skip[e] * g[e];
          draw[e] = (ddt[e] + dw[e] * u[e]) * softplus_slope_(raw[e]);
        }
      }
    }
  }
  free(states), free(factors), free(dts), free(ys), free(w), free(dw), free(ddt), free(g);
}
