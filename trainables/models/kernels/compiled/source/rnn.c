/* Plain recurrences after the map of their inputs. sizes: T, B, H */
#include "matrix.h"

/* h' = tanh(x + U h). arrays: x (T B H), U^T (H H), h (T+1 B H) whose first is given */
EXPORT void rnn_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2];
  const real *x = arrays[0], *UT = arrays[1];
  real *h = arrays[2], *restrict heard = scratch_(B * H);
  for (size t = 0; t < T; t++) {
    const real *restrict in = x + t * B * H;
    real *restrict out = h + (t + 1) * B * H;
    product_(B, H, H, h + t * B * H, H, UT, heard);
    SIMD for (size j = 0; j < B * H; j++) out[j] = tanh_(in[j] + heard[j]);
  }
  free(heard);
}

/* arrays: dy (T B H), U (H H), h, dx (T B H), dh (B H): the gradient in the last state, made into
 * that in the first */
EXPORT void rnn_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2];
  const real *dy = arrays[0], *U = arrays[1], *h = arrays[2];
  real *dx = arrays[3], *restrict dh = arrays[4];
  for (size t = T - 1; t >= 0; t--) {
    const real *restrict g = dy + t * B * H, *restrict out = h + (t + 1) * B * H;
    real *restrict d = dx + t * B * H;
    SIMD for (size j = 0; j < B * H; j++) d[j] = (g[j] + dh[j]) * (1 - out[j] * out[j]);
    product_(B, H, H, d, H, U, dh);
  }
}

/* h' = relu(x + u h), each unit by itself. arrays: x (T B H), u (H), h (T+1 B H) */
EXPORT void ind_rnn_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2];
  const real *x = arrays[0], *restrict u = arrays[1];
  real *h = arrays[2];
  for (size row = 0; row < T * B; row++) {
    const real *restrict in = x + row * H, *restrict old = h + row * H;
    real *restrict out = h + (row + B) * H;
    SIMD for (size j = 0; j < H; j++) {
      const real v = u[j] * old[j] + in[j];
      out[j] = v < 0 ? 0 : v;
    }
  }
}

/* arrays: dy, u, h, dx, dh, and du (H) */
EXPORT void ind_rnn_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], H = sizes[2];
  const real *dy = arrays[0], *restrict u = arrays[1], *h = arrays[2];
  real *dx = arrays[3], *dh = arrays[4], *restrict du = arrays[5];
  memset(du, 0, sizeof(real) * (size_t)H);
  for (size row = T * B - 1; row >= 0; row--) {
    const real *restrict g = dy + row * H, *restrict old = h + row * H;
    const real *restrict out = h + (row + B) * H;
    real *restrict d = dx + row * H, *restrict carry = dh + row % B * H;
    SIMD for (size j = 0; j < H; j++) {
      d[j] = out[j] > 0 ? g[j] + carry[j] : 0;
      carry[j] = u[j] * d[j];
      du[j] += d[j] * old[j];
    }
  }
}
