/* Which slots are free: what is let go of them, in which order they come, and their shares. */
#ifndef LONGSPAN_ALLOCATION_H
#define LONGSPAN_ALLOCATION_H

#include "real.h"

INLINE int before_(const real *usage, int32_t i, int32_t j) {
  return usage[i] < usage[j] || (usage[i] == usage[j] && i < j);
}

/* `order` holds every slot once; the freest first, equals by their number. Usage hardly changes in
 * a step, so the last order is nearly right: few moves by insertion, else runs are merged. */
static void sort_(size N, const real *usage, int32_t *order, int32_t *scratch) {
  size moves = 8 * N;
  for (size i = 1; i < N; i++) {
    const int32_t slot = order[i];
    size j = i;
    for (; j > 0 && moves > 0 && before_(usage, slot, order[j - 1]); j--, moves--)
      order[j] = order[j - 1];
    order[j] = slot;
  }
  if (moves > 0) return;
  for (size run = 1; run < N; run *= 2) {
    for (size start = 0; start < N; start += 2 * run) {
      const size middle = start + run < N ? start + run : N;
      const size stop = start + 2 * run < N ? start + 2 * run : N;
      size i = start, j = middle;
      for (size k = start; k < stop; k++)
        scratch[k] = j >= stop || (i < middle && !before_(usage, order[j], order[i])) ? order[i++]
                                                                                     : order[j++];
    }
    memcpy(order, scratch, sizeof(int32_t) * (size_t)N);
  }
}

/* a(phi_j) = (1 - u(phi_j)) prod_{i < j} u(phi_i) */
static void allocation_(size N, const real *usage, const int32_t *order, real *allocated) {
  real product = 1;
  for (size j = 0; j < N; j++) {
    const real u = usage[order[j]];
    allocated[order[j]] = (1 - u) * product;
    product *= u;
  }
}

/* Adds to the gradient in usage, without dividing; products: N numbers of scratch */
static void allocation_back_(size N, const real *usage, const int32_t *order,
                             const real *dallocated, real *dusage, real *products) {
  real product = 1, tail = 0;
  for (size j = 0; j < N; j++) {
    products[j] = product;
    product *= usage[order[j]];
  }
  for (size j = N - 1; j >= 0; j--) {
    const real u = usage[order[j]], g = dallocated[order[j]];
    dusage[order[j]] += products[j] * (tail - g);
    tail = g * (1 - u) + u * tail;
  }
}

/* prod_r (1 - f_r w_r), but for head `left`; gates as they are told */
INLINE void retained_(size N, size R, const real *gates, const real *reading, size left,
                      real *restrict kept) {
  for (size i = 0; i < N; i++) kept[i] = 1;
  for (size h = 0; h < R; h++) {
    if (h == left) continue;
    const real *restrict w = reading + h * N;
    const real gate = sigmoid_(gates[h]);
    SIMD for (size i = 0; i < N; i++) kept[i] *= 1 - gate * w[i];
  }
}

#endif
