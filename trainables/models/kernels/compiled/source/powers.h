/* Sharpening what links lead to (Csordas & Schmidhuber 2019, 3.3): w^s / sum w^s. */
#ifndef LONGSPAN_POWERS_H
#define LONGSPAN_POWERS_H

#include "real.h"

/* The largest, or the smallest normal number if that is more */
INLINE real most_(size N, const real *restrict w) {
  real most = TINY;
#pragma omp simd reduction(max : most)
  for (size i = 0; i < N; i++) most = w[i] > most ? w[i] : most;
  return most;
}

/* w^s / sum w^s for s >= 1, and nothing where there is nothing, or less by rounding. By what each is
 * of the largest, so that nothing but the negligible underflows; y may be w */
static void raise_(size N, const real *w, real s, real *y) {
  const real most = most_(N, w);
  real sum = 0;
#pragma omp simd reduction(+ : sum)
  for (size i = 0; i < N; i++) {
    const real r = w[i] / most, power = exp_(s * log_(r));
    y[i] = r < TINY ? 0 : power;
    sum += y[i];
  }
  sum = 1 / (sum < 1 ? 1 : sum);
  SIMD for (size i = 0; i < N; i++) y[i] *= sum;
}

/* From g, the gradient in `share` times y = w^s / sum w^s, to those in share and s (returned) and in
 * w; scratch: 3 N. None flows through the largest, on which y does not hang. */
static real raise_back_(size N, const real *restrict w, real s, const real *restrict g,
                               real share, real *dshare, real *restrict dw, real *scratch) {
  real *restrict logs = scratch, *restrict lower = scratch + N, *restrict powers = scratch + 2 * N;
  const real most = most_(N, w), least = s > 1 ? 0 : 1;
  real sum = 0, led = 0, ds = 0;
#pragma omp simd reduction(+ : sum, led)
  for (size i = 0; i < N; i++) {
    const real r = w[i] / most, l = log_(r), power = exp_((s - 1) * l);
    logs[i] = r < TINY ? 0 : l;
    lower[i] = r < 0 ? 0 : r < TINY ? least : power; /* r^(s - 1) */
    powers[i] = r < TINY ? 0 : power * r;
    sum += powers[i];
    led += powers[i] * g[i];
  }
  const real norm = 1 / (sum < 1 ? 1 : sum), mean = sum < 1 ? 0 : led * norm;
  const real scale = share * norm;
#pragma omp simd reduction(+ : ds)
  for (size i = 0; i < N; i++) {
    const real dpower = scale * (g[i] - mean);
    ds += dpower * powers[i] * logs[i];
    dw[i] = dpower * s * lower[i] / most;
  }
  *dshare = led * norm;
  return ds;
}

#endif
