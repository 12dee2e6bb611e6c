/* Reading, writing and finding slots; a memory M is W x N here, so that slots lie side by side. */
#ifndef LONGSPAN_SLOTS_H
#define LONGSPAN_SLOTS_H

#include "real.h"

enum { SEGMENT = 16 }; /* steps whose memories are computed again going back */
#define SMALLEST_SQUARE ((real)1e-6)

/* y = softmax(z); y may be z */
INLINE void softmax_(size n, const real *z, real *y) {
  real most = z[0], sum = 0;
#pragma omp simd reduction(max : most)
  for (size i = 0; i < n; i++) most = z[i] > most ? z[i] : most;
#pragma omp simd reduction(+ : sum)
  for (size i = 0; i < n; i++) {
    y[i] = exp_(z[i] - most);
    sum += y[i];
  }
  sum = 1 / sum;
  SIMD for (size i = 0; i < n; i++) y[i] *= sum;
}

/* From the gradient in y to that in z, times `scale`; dz may be dy */
INLINE void softmax_back_(size n, const real *y, const real *dy, real scale, real *dz) {
  real mean = 0;
#pragma omp simd reduction(+ : mean)
  for (size i = 0; i < n; i++) mean += y[i] * dy[i];
  SIMD for (size i = 0; i < n; i++) dz[i] = scale * y[i] * (dy[i] - mean);
}

/* 1 / sqrt(|M(i)|^2 + e) of every slot */
INLINE void inverse_lengths_(size N, size W, const real *M, real *restrict inverse) {
  for (size i = 0; i < N; i++) inverse[i] = SMALLEST_SQUARE;
  for (size w = 0; w < W; w++) {
    const real *restrict row = M + w * N;
    SIMD for (size i = 0; i < N; i++) inverse[i] += row[i] * row[i];
  }
  SIMD for (size i = 0; i < N; i++) inverse[i] = 1 / sqrt_(inverse[i]);
}

/* k . M(i), and 1 / sqrt(|k|^2 + e) */
INLINE real likeness_(size N, size W, const real *key, const real *M, real *restrict like) {
  for (size i = 0; i < N; i++) like[i] = 0;
  for (size w = 0; w < W; w++) {
    const real *restrict row = M + w * N;
    real k = key[w];
    SIMD for (size i = 0; i < N; i++) like[i] += k * row[i];
  }
  return 1 / sqrt_(dot_(W, key, key) + SMALLEST_SQUARE);
}

/* content(i) = softmax of strength x cosine(key, M(i)) */
INLINE void find_(size N, size W, const real *key, real strength, const real *M,
                         const real *restrict inverse, real *restrict content) {
  real scale = strength * likeness_(N, W, key, M, content);
  SIMD for (size i = 0; i < N; i++) content[i] *= scale * inverse[i];
  softmax_(N, content, content);
}

/* From the gradient in the content (spoilt here) to those in key, strength (returned) and M (added
 * to); scratch: 2 N */
INLINE real find_back_(size N, size W, const real *key, real strength, const real *M,
                              const real *restrict inverse, const real *content, real *dcontent,
                              real *dkey, real *dM, real *scratch) {
  real *restrict like = scratch, *restrict shrink = scratch + N, *restrict d = dcontent;
  real ik = likeness_(N, W, key, M, like), dstrength = 0;
  softmax_back_(N, content, dcontent, 1, dcontent);
#pragma omp simd reduction(+ : dstrength)
  for (size i = 0; i < N; i++) {
    real cosine = ik * inverse[i] * like[i];
    dstrength += d[i] * cosine;
    shrink[i] = strength * d[i] * cosine * inverse[i] * inverse[i];
    d[i] *= strength * ik * inverse[i];
  }
  for (size w = 0; w < W; w++) {
    const real *restrict row = M + w * N;
    real *restrict drow = dM + w * N;
    real k = key[w], sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size i = 0; i < N; i++) {
      sum += d[i] * row[i];
      drow[i] += d[i] * k - shrink[i] * row[i];
    }
    dkey[w] = sum - strength * dstrength * ik * ik * k;
  }
  return dstrength;
}

/* One head's erasing and adding: M = M (1 - w e^T) + w a^T; `next` may be `last` */
INLINE void write_(size N, size W, const real *restrict weights, const real *erase,
                          const real *add, const real *last, real *next) {
  for (size w = 0; w < W; w++) {
    real e = erase[w], a = add[w];
    const real *from = last + w * N;
    real *to = next + w * N;
    SIMD for (size i = 0; i < N; i++) to[i] = from[i] * (1 - weights[i] * e) + weights[i] * a;
  }
}

/* Going back through `write_`: dM, from after to before; dweights added to */
INLINE void write_back_(size N, size W, const real *restrict weights, const real *erase,
                               const real *add, const real *last, real *dM,
                               real *restrict dweights, real *derase, real *dadd) {
  for (size w = 0; w < W; w++) {
    real e = erase[w], a = add[w], de = 0, da = 0;
    const real *restrict m = last + w * N;
    real *restrict d = dM + w * N;
#pragma omp simd reduction(+ : de, da)
    for (size i = 0; i < N; i++) {
      real g = d[i], x = weights[i];
      da += x * g;
      de -= g * m[i] * x;
      dweights[i] += g * (a - m[i] * e);
      d[i] = g * (1 - x * e);
    }
    derase[w] = de;
    dadd[w] = da;
  }
}

/* Keeps of each slot a share; `next` may be `last` */
INLINE void hold_(size N, size W, const real *restrict kept, const real *last, real *next) {
  for (size w = 0; w < W; w++) {
    const real *from = last + w * N;
    real *to = next + w * N;
    SIMD for (size i = 0; i < N; i++) to[i] = from[i] * kept[i];
  }
}

/* Going back through `hold_`: dM, from after to before, and the gradient in what is kept */
INLINE void hold_back_(size N, size W, const real *restrict kept, const real *last, real *dM,
                              real *restrict dkept) {
  for (size i = 0; i < N; i++) dkept[i] = 0;
  for (size w = 0; w < W; w++) {
    const real *restrict m = last + w * N;
    real *restrict d = dM + w * N;
    SIMD for (size i = 0; i < N; i++) {
      dkept[i] += d[i] * m[i];
      d[i] *= kept[i];
    }
  }
}

/* What a head reads */
INLINE void read_(size N, size W, const real *weights, const real *M, real *r) {
  for (size w = 0; w < W; w++) r[w] = dot_(N, weights, M + w * N);
}

/* Going back through `read_`: both gradients are added to */
INLINE void read_back_(size N, size W, const real *restrict weights, const real *M,
                              const real *dr, real *dM, real *restrict dweights) {
  for (size w = 0; w < W; w++) {
    const real *restrict m = M + w * N;
    real *restrict d = dM + w * N;
    real g = dr[w];
    SIMD for (size i = 0; i < N; i++) {
      dweights[i] += g * m[i];
      d[i] += weights[i] * g;
    }
  }
}

#endif
