/* Linear recurrences whose factors see the input alone, or nothing. sizes: T, B, D */
#include "real.h"

/* Both sigmoid(x) and sigmoid(-x), each exact where it is small */
INLINE void both_(real x, real *open, real *shut) {
  const real e = exp_(-abs_(x)), most = 1 / (1 + e), least = e * most;
  *open = x < 0 ? least : most;
  *shut = x < 0 ? most : least;
}

INLINE real log_sigmoid_(real x) { return (x < 0 ? x : (real)0) - log1p_(exp_(-abs_(x))); }

/* u + 1/2 for u >= 0, else sigmoid(u); and its slope */
INLINE real positive_(real u) { return u < 0 ? sigmoid_(u) : u + (real)0.5; }
INLINE real positive_slope_(real u, real g) { return u < 0 ? g * (1 - g) : (real)1; }

/* h' = (1 - s) h + s g(c), s = sigmoid(z). arrays: z and c (T B 2D), h (T+1 B D), the first given */
EXPORT void min_gru_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  for (size row = 0; row < T * B; row++) {
    const real *restrict z = arrays[0] + row * 2 * D, *restrict c = z + D;
    const real *restrict old = arrays[1] + row * D;
    real *restrict out = arrays[1] + (row + B) * D;
    SIMD for (size j = 0; j < D; j++) {
      real open, shut;
      both_(z[j], &open, &shut);
      out[j] = shut * old[j] + open * positive_(c[j]);
    }
  }
}

/* arrays: dy (T B D), maps, h, dmaps, dh (B D): from that in the last state to that in the first */
EXPORT void min_gru_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  for (size row = T * B - 1; row >= 0; row--) {
    const real *restrict g = arrays[0] + row * D, *restrict old = arrays[2] + row * D;
    const real *restrict z = arrays[1] + row * 2 * D, *restrict c = z + D;
    real *restrict dz = arrays[3] + row * 2 * D, *restrict dc = dz + D;
    real *restrict carry = arrays[4] + row % B * D;
    SIMD for (size j = 0; j < D; j++) {
      real open, shut;
      both_(z[j], &open, &shut);
      const real d = g[j] + carry[j], new = positive_(c[j]);
      dz[j] = open * shut * d * (new - old[j]);
      dc[j] = d * open * positive_slope_(c[j], new);
      carry[j] = d * shut;
    }
  }
}

/* h' = s h + (1 - s) g(c), s = f / (f + i). arrays: f, i and c (T B 3D), h */
EXPORT void min_lstm_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  for (size row = 0; row < T * B; row++) {
    const real *restrict f = arrays[0] + row * 3 * D, *restrict i = f + D, *restrict c = i + D;
    const real *restrict old = arrays[1] + row * D;
    real *restrict out = arrays[1] + (row + B) * D;
    SIMD for (size j = 0; j < D; j++) {
      real kept, added;
      both_(log_sigmoid_(f[j]) - log_sigmoid_(i[j]), &kept, &added);
      out[j] = kept * old[j] + added * positive_(c[j]);
    }
  }
}

/* arrays: as of min_gru_backward */
EXPORT void min_lstm_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  for (size row = T * B - 1; row >= 0; row--) {
    const real *restrict g = arrays[0] + row * D, *restrict old = arrays[2] + row * D;
    const real *restrict f = arrays[1] + row * 3 * D, *restrict i = f + D, *restrict c = i + D;
    real *restrict df = arrays[3] + row * 3 * D, *restrict di = df + D, *restrict dc = di + D;
    real *restrict carry = arrays[4] + row % B * D;
    SIMD for (size j = 0; j < D; j++) {
      real kept, added;
      both_(log_sigmoid_(f[j]) - log_sigmoid_(i[j]), &kept, &added);
      const real d = g[j] + carry[j], new = positive_(c[j]);
      const real dodds = kept * added * d * (old[j] - new);
      df[j] = dodds * sigmoid_(-f[j]);
      di[j] = -dodds * sigmoid_(-i[j]);
      dc[j] = d * added * positive_slope_(c[j], new);
      carry[j] = d * kept;
    }
  }
}

/* h' = a h + x in complex numbers, one factor for all steps; real parts stand before imaginary ones.
 * arrays: a (2 D), x (T B 2D), h (T+1 B 2D), the first given */
EXPORT void complex_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  const real *restrict ar = arrays[0], *restrict ai = ar + D;
  for (size row = 0; row < T * B; row++) {
    const real *restrict xr = arrays[1] + row * 2 * D, *restrict xi = xr + D;
    const real *restrict hr = arrays[2] + row * 2 * D, *restrict hi = hr + D;
    real *restrict yr = arrays[2] + (row + B) * 2 * D, *restrict yi = yr + D;
    SIMD for (size j = 0; j < D; j++) {
      yr[j] = ar[j] * hr[j] - ai[j] * hi[j] + xr[j];
      yi[j] = ar[j] * hi[j] + ai[j] * hr[j] + xi[j];
    }
  }
}

/* arrays: dy (T B 2D), a, h, da (2 D), dx (T B 2D), dh (B 2D): from last to first */
EXPORT void complex_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], D = sizes[2];
  const real *restrict ar = arrays[1], *restrict ai = ar + D;
  real *restrict dar = arrays[3], *restrict dai = dar + D;
  memset(dar, 0, sizeof(real) * (size_t)(2 * D));
  for (size row = T * B - 1; row >= 0; row--) {
    const real *restrict gr = arrays[0] + row * 2 * D, *restrict gi = gr + D;
    const real *restrict hr = arrays[2] + row * 2 * D, *restrict hi = hr + D;
    real *restrict xr = arrays[4] + row * 2 * D, *restrict xi = xr + D;
    real *restrict cr = arrays[5] + row % B * 2 * D, *restrict ci = cr + D;
    SIMD for (size j = 0; j < D; j++) {
      const real r = gr[j] + cr[j], i = gi[j] + ci[j];
      xr[j] = r, xi[j] = i;
      dar[j] += r * hr[j] + i * hi[j];
      dai[j] += i * hr[j] - r * hi[j];
      cr[j] = ar[j] * r + ai[j] * i;
      ci[j] = ar[j] * i - ai[j] * r;
    }
  }
}
