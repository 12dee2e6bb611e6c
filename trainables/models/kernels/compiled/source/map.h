/* Products with as many rows as there are steps: a map of all of them, and the gradient in its weight.
 *
 * The narrow factor is packed into panels, a tile of the product stays in registers, and rows are
 * taken in blocks that stay in the cache. A map's sums follow the order of K, whatever the number of
 * rows, so a row answers the same alone and among others.
 */
#ifndef LONGSPAN_MAP_H
#define LONGSPAN_MAP_H

#include "real.h"

#if VECTOR_BYTES == 64
enum { TILE = 12 }; /* rows: 24 sums in 32 registers */
#elif VECTOR_BYTES == 32
enum { TILE = 6 }; /* 12 in 16 */
#else
enum { TILE = 4 };
#endif
enum { PANEL = 2 * LANES, BLOCK = 10 * TILE }; /* columns of a panel, rows of a block */

/* Numbers of N columns in whole panels */
INLINE size whole_(size N) { return (N + PANEL - 1) / PANEL * PANEL; }

/* C = A B + start, or C += A B without one, of some rows and the first `width` columns of a panel; A's
 * numbers lie `down` apart along rows and `along` apart along K */
INLINE void tile_of_(const int rows, const int vectors, size K, const real *restrict A, size down,
                     size along, const real *restrict panel, const real *restrict start, size width,
                     real *restrict C, size ldc) {
  vec sum[TILE][2];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++)
      sum[i][v] = start ? *(const vec *)(start + v * LANES) : (vec){0};
  for (size k = 0; k < K; k++) {
    vec b[2];
    for (int v = 0; v < vectors; v++) b[v] = *(const vec *)(panel + k * PANEL + v * LANES);
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] += A[i * down + k * along] * b[v];
  }
  for (int i = 0; i < rows; i++) {
    real *c = C + i * ldc;
    if (width == vectors * LANES) {
      for (int v = 0; v < vectors; v++) {
        if (start) *(vec *)(c + v * LANES) = sum[i][v];
        else *(vec *)(c + v * LANES) += sum[i][v];
      }
    } else {
      const real *s = (const real *)sum[i];
      for (size j = 0; j < width; j++) c[j] = start ? s[j] : c[j] + s[j];
    }
  }
}

INLINE void strip_of_(const int vectors, size rows, size K, const real *A, size down, size along,
                      const real *panel, const real *start, size width, real *C, size ldc) {
  size i = 0;
  for (; i + TILE <= rows; i += TILE)
    tile_of_(TILE, vectors, K, A + i * down, down, along, panel, start, width, C + i * ldc, ldc);
  for (; i + 4 <= rows; i += 4)
    tile_of_(4, vectors, K, A + i * down, down, along, panel, start, width, C + i * ldc, ldc);
  for (; i < rows; i++)
    tile_of_(1, vectors, K, A + i * down, down, along, panel, start, width, C + i * ldc, ldc);
}

/* The numbers B[k * down + n * along] in panels of columns, zeros behind the last; then a bias, or
 * zeros where it is NULL */
static inline real *panels_(size K, size N, const real *B, size down, size along,
                            const real *bias) {
  real *panels = scratch_(whole_(N) * (K + 1));
  for (size n = 0; n < N; n++)
    for (size k = 0; k < K; k++)
      panels[(n / PANEL * K + k) * PANEL + n % PANEL] = B[k * down + n * along];
  if (bias) memcpy(panels + whole_(N) * K, bias, sizeof(real) * (size_t)N);
  return panels;
}

/* C (M N) = A (M K) B + bias, both in panels */
static inline void map_(size M, size N, size K, const real *A, size lda, const real *panels,
                        real *C) {
  const real *bias = panels + whole_(N) * K;
  for (size first = 0; first < M; first += BLOCK) {
    const size rows = M - first < BLOCK ? M - first : BLOCK;
    const real *a = A + first * lda;
    for (size n = 0; n < N; n += PANEL) {
      real *c = C + first * N + n;
      if (N - n >= PANEL) strip_of_(2, rows, K, a, lda, 1, panels + n * K, bias + n, PANEL, c, N);
      else if (N - n > LANES) strip_of_(2, rows, K, a, lda, 1, panels + n * K, bias + n, N - n, c, N);
      else strip_of_(1, rows, K, a, lda, 1, panels + n * K, bias + n, N - n, c, N);
    }
  }
}

/* W (O N) += G^T A over M rows of G (M O) and A (M N); room: BLOCK * PANEL numbers */
static inline void outer_(size M, size O, size N, const real *G, size ldg, const real *A, size lda,
                          real *W, real *room) {
  for (size first = 0; first < M; first += BLOCK) {
    const size rows = M - first < BLOCK ? M - first : BLOCK;
    for (size n = 0; n < N; n += PANEL) {
      const size width = N - n < PANEL ? N - n : PANEL;
      for (size k = 0; k < rows; k++) {
        const real *restrict from = A + (first + k) * lda + n;
        real *restrict to = room + k * PANEL;
        if (width == PANEL) {
          *(vec *)to = *(const vec *)from, *(vec *)(to + LANES) = *(const vec *)(from + LANES);
        } else {
          for (size j = 0; j < width; j++) to[j] = from[j];
        }
      }
      const real *g = G + first * ldg;
      if (width == PANEL) strip_of_(2, O, rows, g, 1, ldg, room, NULL, PANEL, W + n, N);
      else if (width > LANES) strip_of_(2, O, rows, g, 1, ldg, room, NULL, width, W + n, N);
      else strip_of_(1, O, rows, g, 1, ldg, room, NULL, width, W + n, N);
    }
  }
}

/* sum (N) += the rows of G (M N) */
static inline void add_rows_(size M, size N, const real *G, real *restrict sum) {
  for (size i = 0; i < M; i++) {
    const real *restrict g = G + i * N;
    SIMD for (size n = 0; n < N; n++) sum[n] += g[n];
  }
}

/* Rows (t, b) of an array with any distance between steps and between sequences */
typedef struct {
  const real *start;
  size batch, step, sequence, width;
} Rows;

/* Rows `first` and on, at one distance from each other; copied to `room` where they are not so */
static inline const real *rows_(const Rows *r, size first, size count, real *room, size *distance) {
  if (r->step == r->batch * r->sequence) {
    *distance = r->sequence;
    return r->start + first * r->sequence;
  }
  for (size i = 0; i < count; i++) {
    const size t = (first + i) / r->batch, b = (first + i) % r->batch;
    memcpy(room + i * r->width, r->start + t * r->step + b * r->sequence,
           sizeof(real) * (size_t)r->width);
  }
  *distance = r->width;
  return room;
}

#endif
