/* Finding slots by keys with masks, so that a part is enough to find the whole (Csordas &
 * Schmidhuber 2019, 3.1): key and slots are multiplied with the mask. Memories as in slots.h. */
#ifndef LONGSPAN_MASKS_H
#define LONGSPAN_MASKS_H

#include "slots.h"

/* (m k) . (m M(i)), 1 / sqrt(|m M(i)|^2 + e) of every slot, and 1 / sqrt(|m k|^2 + e) */
INLINE real masked_likeness_(size N, size W, const real *key, const real *mask,
                                    const real *M, real *restrict like, real *restrict inverse) {
  real square = SMALLEST_SQUARE;
  for (size i = 0; i < N; i++) {
    like[i] = 0;
    inverse[i] = SMALLEST_SQUARE;
  }
  for (size w = 0; w < W; w++) {
    const real *restrict row = M + w * N;
    const real seen = mask[w] * mask[w], k = key[w] * seen;
    square += key[w] * k;
    SIMD for (size i = 0; i < N; i++) {
      like[i] += k * row[i];
      inverse[i] += seen * row[i] * row[i];
    }
  }
  SIMD for (size i = 0; i < N; i++) inverse[i] = 1 / sqrt_(inverse[i]);
  return 1 / sqrt_(square);
}

/* content(i) = softmax of strength x cosine(m k, m M(i)); inverse: N numbers of scratch */
static void masked_find_(size N, size W, const real *key, const real *mask, real strength,
                                const real *M, real *restrict inverse, real *restrict content) {
  const real scale = strength * masked_likeness_(N, W, key, mask, M, content, inverse);
  SIMD for (size i = 0; i < N; i++) content[i] *= scale * inverse[i];
  softmax_(N, content, content);
}

/* From the gradient in the content (spoilt here) to those in key, mask, strength (returned) and M
 * (added to); scratch: 3 N */
static real masked_find_back_(size N, size W, const real *key, const real *mask,
                                     real strength, const real *M, const real *content,
                                     real *dcontent, real *dkey, real *dmask, real *dM,
                                     real *scratch) {
  real *restrict like = scratch, *restrict shrink = scratch + N, *restrict d = dcontent;
  real *restrict inverse = scratch + 2 * N;
  const real ik = masked_likeness_(N, W, key, mask, M, like, inverse);
  real dstrength = 0;
  softmax_back_(N, content, dcontent, 1, dcontent);
#pragma omp simd reduction(+ : dstrength)
  for (size i = 0; i < N; i++) {
    const real cosine = ik * inverse[i] * like[i];
    dstrength += d[i] * cosine;
    shrink[i] = strength * d[i] * cosine * inverse[i] * inverse[i];
    d[i] *= strength * ik * inverse[i];
  }
  const real fall = strength * dstrength * ik * ik;
  for (size w = 0; w < W; w++) {
    const real *restrict row = M + w * N;
    real *restrict drow = dM + w * N;
    const real k = key[w], m = mask[w], seen = m * m;
    real sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum, squares)
    for (size i = 0; i < N; i++) {
      const real shrunk = shrink[i] * row[i];
      sum += d[i] * row[i];
      squares += shrunk * row[i];
      drow[i] += seen * (d[i] * k - shrunk);
    }
    dkey[w] = seen * (sum - fall * k);
    dmask[w] = m * (k * (2 * sum - fall * k) - squares);
  }
  return dstrength;
}

#endif
