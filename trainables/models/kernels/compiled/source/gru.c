/* The gated recurrent unit, after the map of its inputs:
 *
 *   r, z = sigmoid(x + U h + c), n = tanh(x_n + r (U_n h + c_n)), h' = n + z (h - n)
 *
 * sizes: T, B, H, whether to keep what going back needs
 */
#include "matrix.h"

/* arrays: x (T B 3H), U^T (H 3H), c (3H), h (T+1 B H) whose first is given,
 * kept (T B 4H): r, z, n and U_n h + c_n; one step of it where nothing is kept */
EXPORT void gru_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2], keep = sizes[3];
  const real *x = arrays[0], *UT = arrays[1], *restrict c = arrays[2];
  real *h = arrays[3], *kept = arrays[4];
  real *heard = scratch_(B * 3 * H);
  for (size t = 0; t < T; t++) {
    const real *last = h + t * B * H;
    product_(B, 3 * H, H, last, H, UT, heard);
    for (size b = 0; b < B; b++) {
      const real *restrict in = x + (t * B + b) * 3 * H;
      const real *restrict u = heard + b * 3 * H;
      const real *restrict old = last + b * H;
      real *restrict a = kept + ((keep ? t * B : 0) + b) * 4 * H;
      real *restrict out = h + ((t + 1) * B + b) * H;
      SIMD for (size j = 0; j < 2 * H; j++) a[j] = sigmoid_(in[j] + u[j] + c[j]);
      SIMD for (size j = 0; j < H; j++) {
        real heard_n = u[2 * H + j] + c[2 * H + j];
        real n = tanh_(in[2 * H + j] + a[j] * heard_n);
        a[2 * H + j] = n;
        a[3 * H + j] = heard_n;
        out[j] = n + a[H + j] * (old[j] - n);
      }
    }
  }
  free(heard);
}

/* arrays: dy (T B H), U (3H H), h, kept, dx (T B 3H), du (T B 3H): the gradient in U h + c,
 * dh (B H): the gradient in the last state, made into that in the first */
EXPORT void gru_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2];
  const real *dy = arrays[0], *U = arrays[1], *h = arrays[2], *kept = arrays[3];
  real *dx = arrays[4], *du = arrays[5], *dh = arrays[6];
  real *through = scratch_(B * H);
  for (size t = T - 1; t >= 0; t--) {
    for (size b = 0; b < B; b++) {
      const size row = t * B + b;
      const real *restrict a = kept + row * 4 * H, *restrict g = dy + row * H;
      const real *restrict old = h + row * H, *restrict back = through + b * H;
      real *restrict in = dx + row * 3 * H, *restrict u = du + row * 3 * H;
      real *restrict carry = dh + b * H;
      SIMD for (size j = 0; j < H; j++) {
        real d = g[j] + carry[j] + back[j];
        real r = a[j], z = a[H + j], n = a[2 * H + j];
        real dn = d * (1 - z) * (1 - n * n);
        real dz = d * (old[j] - n) * z * (1 - z);
        real dr = dn * a[3 * H + j] * r * (1 - r);
        in[j] = dr, in[H + j] = dz, in[2 * H + j] = dn;
        u[j] = dr, u[H + j] = dz, u[2 * H + j] = dn * r;
        carry[j] = d * z;
      }
    }
    product_(B, H, 3 * H, du + t * B * 3 * H, 3 * H, U, through);
  }
  for (size i = 0; i < B * H; i++) dh[i] += through[i];
  free(through);
}
