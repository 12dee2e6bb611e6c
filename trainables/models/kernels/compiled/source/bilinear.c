/* The bilinear recurrence, with the map from an input to the matrices of its heads:
 *
 *   A = W x, z = h A, h' = s z, s = 1 / sqrt(mean(z^2) + eps), head by head
 *
 * Stretches of steps are mapped, and their gradients gathered, while they are in the cache: the
 * matrices of all steps are never held, and are made again going back.
 *
 * sizes: T, B, I, H, E, numbers from one step of x to the next, from one sequence of x to the next,
 * whether to keep what going back needs
 */
#include "map.h"

INLINE size stretch_(size B) { return B < BLOCK ? BLOCK / B : 1; }

/* arrays: x (T B I), W (H E E, I), eps (1), h (T+1 B H E) whose first is given, s (T B H); one step
 * of s where nothing is kept */
EXPORT void bilinear_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], I = sizes[2], H = sizes[3], E = sizes[4];
  const size D = H * E, M = D * E, keep = sizes[7], stretch = stretch_(B);
  const Rows x = {arrays[0], B, sizes[5], sizes[6], I};
  const real eps = *arrays[2];
  real *h = arrays[3], *scales = arrays[4], *panels = panels_(I, M, arrays[1], 1, I, NULL);
  real *matrices = scratch_(stretch * B * M), *room = scratch_(stretch * B * I);
  for (size first = 0; first < T; first += stretch) {
    const size steps = T - first < stretch ? T - first : stretch;
    size distance;
    const real *given = rows_(&x, first * B, steps * B, room, &distance);
    map_(steps * B, M, I, given, distance, panels, matrices);
    for (size row = 0; row < steps * B; row++) {
      for (size head = 0; head < H; head++) {
        const real *restrict A = matrices + row * M + head * E * E;
        const real *restrict old = h + (first * B + row) * D + head * E;
        real *restrict new = h + (first * B + row + B) * D + head * E;
        for (size i = 0; i < E; i++) new[i] = 0;
        for (size j = 0; j < E; j++) {
          const real from = old[j], *restrict to = A + j * E;
          SIMD for (size i = 0; i < E; i++) new[i] += from * to[i];
        }
        const real s = 1 / sqrt_(dot_(E, new, new) / (real)E + eps);
        SIMD for (size i = 0; i < E; i++) new[i] *= s;
        scales[((keep ? first * B + row : row % B)) * H + head] = s;
      }
    }
  }
  free(panels), free(matrices), free(room);
}

/* arrays: dy (T B H E), x, W, h, s, dx (T B I), dW, dh (B H E): the gradient in the last state, made
 * into that in the first */
EXPORT void bilinear_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], I = sizes[2], H = sizes[3], E = sizes[4];
  const size D = H * E, M = D * E, stretch = stretch_(B);
  const Rows x = {arrays[1], B, sizes[5], sizes[6], I};
  const real *dy = arrays[0], *h = arrays[3], *scales = arrays[4];
  real *dx = arrays[5], *dW = arrays[6], *dh = arrays[7];
  real *there = panels_(I, M, arrays[2], 1, I, NULL), *back = panels_(M, I, arrays[2], I, 1, NULL);
  real *matrices = scratch_(stretch * B * M), *room = scratch_(stretch * B * I);
  real *narrow = scratch_(BLOCK * PANEL), *restrict dz = scratch_(E);
  memset(dW, 0, sizeof(real) * (size_t)(M * I));
  for (size first = (T - 1) / stretch * stretch; first >= 0; first -= stretch) {
    const size steps = T - first < stretch ? T - first : stretch, rows = steps * B;
    size distance;
    const real *given = rows_(&x, first * B, rows, room, &distance);
    map_(rows, M, I, given, distance, there, matrices);
    for (size row = rows - 1; row >= 0; row--) {
      for (size head = 0; head < H; head++) {
        const size at = (first * B + row) * D + head * E;
        const real s = scales[(first * B + row) * H + head];
        const real *restrict g = dy + at, *restrict old = h + at, *restrict new = h + at + B * D;
        real *restrict A = matrices + row * M + head * E * E;
        real *restrict carry = dh + row % B * D + head * E;
        SIMD for (size i = 0; i < E; i++) carry[i] += g[i];
        const real along = dot_(E, carry, new) / (real)E;
        SIMD for (size i = 0; i < E; i++) dz[i] = s * (carry[i] - along * new[i]);
        for (size j = 0; j < E; j++) { /* the matrix gives way to its gradient */
          const real from = old[j];
          carry[j] = dot_(E, A + j * E, dz);
          SIMD for (size i = 0; i < E; i++) A[j * E + i] = from * dz[i];
        }
      }
    }
    map_(rows, I, M, matrices, M, back, dx + first * B * I);
    outer_(rows, M, I, matrices, M, given, distance, dW, narrow);
  }
  free(there), free(back), free(matrices), free(room), free(narrow), free(dz);
}
