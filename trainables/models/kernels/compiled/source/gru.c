/* The gated recurrent unit with the map of its inputs:
 *
 *   r, z = sigmoid(W x + b + U h + c), n = tanh(W_n x + b_n + r (U_n h + c_n)), h' = n + z (h - n)
 *
 * Stretches of steps are mapped, and their gradients gathered, while they are in the cache.
 *
 * sizes: T, B, I, H, numbers from one step of x to the next, from one sequence of x to the next,
 * whether to keep what going back needs
 */
#include "map.h"
#include "matrix.h"

INLINE size stretch_(size B) { return B < BLOCK ? BLOCK / B : 1; }

/* arrays: x (T B I), W (3H I), b (3H), U^T (H 3H), c (3H), h (T+1 B H) whose first is given,
 * kept (T B 4H): r, z, n and U_n h + c_n; one step of it where nothing is kept */
EXPORT void gru_forward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], I = sizes[2], H = sizes[3], keep = sizes[6];
  const size stretch = stretch_(B);
  const Rows x = {arrays[0], B, sizes[4], sizes[5], I};
  const real *UT = arrays[3], *restrict c = arrays[4];
  real *h = arrays[5], *kept = arrays[6], *panels = panels_(I, 3 * H, arrays[1], 1, I, arrays[2]);
  real *heard = scratch_(B * 3 * H), *seen = scratch_(stretch * B * 3 * H);
  real *room = scratch_(stretch * B * I);
  for (size first = 0; first < T; first += stretch) {
    const size steps = T - first < stretch ? T - first : stretch;
    size distance;
    const real *given = rows_(&x, first * B, steps * B, room, &distance);
    map_(steps * B, 3 * H, I, given, distance, panels, seen);
    for (size t = first; t < first + steps; t++) {
      const real *last = h + t * B * H;
      product_(B, 3 * H, H, last, H, UT, heard);
      for (size b = 0; b < B; b++) {
        const real *restrict in = seen + ((t - first) * B + b) * 3 * H;
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
  }
  free(panels), free(heard), free(seen), free(room);
}

/* arrays: dy (T B H), x, W, U (3H H), h, kept, dx (T B I), dW, db, dU, dc, dh (B H): the gradient in
 * the last state, made into that in the first */
EXPORT void gru_backward(const size *sizes, real *const *arrays) {
  const size T = sizes[0], B = sizes[1], I = sizes[2], H = sizes[3], stretch = stretch_(B);
  const Rows x = {arrays[1], B, sizes[4], sizes[5], I};
  const real *dy = arrays[0], *U = arrays[3], *h = arrays[4], *kept = arrays[5];
  real *panels = panels_(3 * H, I, arrays[2], I, 1, NULL), *dh = arrays[11];
  real *through = scratch_(B * H), *room = scratch_(stretch * B * I);
  real *narrow = scratch_(BLOCK * PANEL), *din = scratch_(stretch * B * 3 * H);
  real *du = scratch_(stretch * B * 3 * H);
  const size widths[] = {3 * H * I, 3 * H, 3 * H * H, 3 * H};
  for (int i = 0; i < 4; i++) memset(arrays[7 + i], 0, sizeof(real) * (size_t)widths[i]);
  for (size first = (T - 1) / stretch * stretch; first >= 0; first -= stretch) {
    const size steps = T - first < stretch ? T - first : stretch, rows = steps * B;
    for (size t = first + steps - 1; t >= first; t--) {
      for (size b = 0; b < B; b++) {
        const size row = t * B + b, here = (t - first) * B + b;
        const real *restrict a = kept + row * 4 * H, *restrict g = dy + row * H;
        const real *restrict old = h + row * H, *restrict back = through + b * H;
        real *restrict in = din + here * 3 * H, *restrict u = du + here * 3 * H;
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
      product_(B, H, 3 * H, du + (t - first) * B * 3 * H, 3 * H, U, through);
    }
    size distance;
    const real *given = rows_(&x, first * B, rows, room, &distance);
    map_(rows, I, 3 * H, din, 3 * H, panels, arrays[6] + first * B * I);
    outer_(rows, 3 * H, I, din, 3 * H, given, distance, arrays[7], narrow);
    add_rows_(rows, 3 * H, din, arrays[8]);
    outer_(rows, 3 * H, H, du, 3 * H, h + first * B * H, H, arrays[9], narrow);
    add_rows_(rows, 3 * H, du, arrays[10]);
  }
  for (size i = 0; i < B * H; i++) dh[i] += through[i];
  free(panels), free(through), free(room), free(narrow), free(din), free(du);
}
