/* Heads normed and gated. sizes: rows, H, E, numbers from one row of z to the next; eps is arrays'
 * last number */
#include "real.h"

/* y = x / sqrt(mean x^2 + e) w silu(z). arrays: x (rows H E), w (E), z, y, e */
EXPORT void root_mean_square_forward(const size *sizes, real *const *arrays) {
  const size H = sizes[1], E = sizes[2];
  const real *restrict w = arrays[1], eps = arrays[4][0];
  for (size head = 0; head < sizes[0] * H; head++) {
    const real *restrict x = arrays[0] + head * E;
    const real *restrict z = arrays[2] + head / H * sizes[3] + head % H * E;
    real *restrict y = arrays[3] + head * E;
    const real scale = 1 / sqrt_(dot_(E, x, x) / (real)E + eps);
    SIMD for (size i = 0; i < E; i++) y[i] = scale * x[i] * w[i] * z[i] * sigmoid_(z[i]);
  }
}

/* arrays: dy, x, w, z, dx, dw, dz, e */
EXPORT void root_mean_square_backward(const size *sizes, real *const *arrays) {
  const size H = sizes[1], E = sizes[2];
  const real *restrict w = arrays[2], eps = arrays[7][0];
  real *restrict dw = arrays[5];
  memset(dw, 0, sizeof(real) * (size_t)E);
  for (size head = 0; head < sizes[0] * H; head++) {
    const real *restrict g = arrays[0] + head * E, *restrict x = arrays[1] + head * E;
    const real *restrict z = arrays[3] + head / H * sizes[3] + head % H * E;
    real *restrict dx = arrays[4] + head * E, *restrict dz = arrays[6] + head * E;
    const real scale = 1 / sqrt_(dot_(E, x, x) / (real)E + eps);
    real along = 0;
#pragma omp simd reduction(+ : along)
    for (size i = 0; i < E; i++) {
      const real open = sigmoid_(z[i]), normed = scale * x[i], d = g[i] * z[i] * open;
      dz[i] = g[i] * normed * w[i] * open * (1 + z[i] * (1 - open));
      dw[i] += d * normed;
      dx[i] = d * w[i];
      along += dx[i] * normed;
    }
    along /= (real)E;
    SIMD for (size i = 0; i < E; i++) dx[i] = scale * (dx[i] - along * scale * x[i]);
  }
}

/* y = sigmoid(z) ((x - mean) / sqrt(variance + e) w + b). arrays: x, w and b (H E), z, y, e */
EXPORT void group_forward(const size *sizes, real *const *arrays) {
  const size H = sizes[1], E = sizes[2];
  const real eps = arrays[5][0];
  for (size head = 0; head < sizes[0] * H; head++) {
    const real *restrict x = arrays[0] + head * E, *restrict w = arrays[1] + head % H * E;
    const real *restrict bias = arrays[2] + head % H * E;
    const real *restrict z = arrays[3] + head / H * sizes[3] + head % H * E;
    real *restrict y = arrays[4] + head * E, mean = 0, square = 0;
#pragma omp simd reduction(+ : mean)
    for (size i = 0; i < E; i++) mean += x[i];
    mean /= (real)E;
#pragma omp simd reduction(+ : square)
    for (size i = 0; i < E; i++) square += (x[i] - mean) * (x[i] - mean);
    const real scale = 1 / sqrt_(square / (real)E + eps);
    SIMD for (size i = 0; i < E; i++)
      y[i] = sigmoid_(z[i]) * (scale * (x[i] - mean) * w[i] + bias[i]);
  }
}

/* arrays: dy, x, w, b, z, dx, dw, db, dz, e */
EXPORT void group_backward(const size *sizes, real *const *arrays) {
  const size H = sizes[1], E = sizes[2];
  const real eps = arrays[9][0];
  memset(arrays[6], 0, sizeof(real) * (size_t)(H * E));
  memset(arrays[7], 0, sizeof(real) * (size_t)(H * E));
  for (size head = 0; head < sizes[0] * H; head++) {
    const size at = head % H * E;
    const real *restrict g = arrays[0] + head * E, *restrict x = arrays[1] + head * E;
    const real *restrict w = arrays[2] + at, *restrict bias = arrays[3] + at;
    const real *restrict z = arrays[4] + head / H * sizes[3] + at;
    real *restrict dx = arrays[5] + head * E, *restrict dw = arrays[6] + at;
    real *restrict db = arrays[7] + at, *restrict dz = arrays[8] + head * E;
    real mean = 0, square = 0, along = 0, level = 0;
#pragma omp simd reduction(+ : mean)
    for (size i = 0; i < E; i++) mean += x[i];
    mean /= (real)E;
#pragma omp simd reduction(+ : square)
    for (size i = 0; i < E; i++) square += (x[i] - mean) * (x[i] - mean);
    const real scale = 1 / sqrt_(square / (real)E + eps);
#pragma omp simd reduction(+ : along, level)
    for (size i = 0; i < E; i++) {
      const real open = sigmoid_(z[i]), normed = scale * (x[i] - mean), d = g[i] * open;
      dz[i] = d * (normed * w[i] + bias[i]) * (1 - open);
      dw[i] += d * normed;
      db[i] += d;
      dx[i] = d * w[i];
      along += dx[i] * normed;
      level += dx[i];
    }
    along /= (real)E, level /= (real)E;
    SIMD for (size i = 0; i < E; i++)
      dx[i] = scale * (dx[i] - level - along * scale * (x[i] - mean));
  }
}
