/* C (M x N) = A (M x K) B (K x N), rows contiguous, for few rows: the batch of one step.
 *
 * A tile of C stays in registers while K is walked. Each number of C is summed in the order of K,
 * whatever M and N are, so a row answers the same alone and in its batch.
 */
#ifndef LONGSPAN_MATRIX_H
#define LONGSPAN_MATRIX_H

#include "real.h"

INLINE void tile_(const int rows, const int vectors, size K, const real *restrict A, size lda,
                  const real *restrict B, size ldb, real *restrict C, size ldc) {
  vec sum[8][2];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = (vec){0};
  for (size k = 0; k < K; k++) {
    vec b[2];
    for (int v = 0; v < vectors; v++) b[v] = *(const vec *)(B + k * ldb + v * LANES);
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] += A[i * lda + k] * b[v];
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) *(vec *)(C + i * ldc + v * LANES) = sum[i][v];
}

INLINE void strip_(const int rows, size N, size K, const real *A, size lda, const real *B,
                   real *C) {
  size j = 0;
  for (; j + 2 * LANES <= N; j += 2 * LANES) tile_(rows, 2, K, A, lda, B + j, N, C + j, N);
  for (; j + LANES <= N; j += LANES) tile_(rows, 1, K, A, lda, B + j, N, C + j, N);
  if (j < N && N >= LANES) { /* the last vector again, shifted: the same sums to the same place */
    tile_(rows, 1, K, A, lda, B + N - LANES, N, C + N - LANES, N);
  } else if (j < N) {
    for (int i = 0; i < rows; i++) {
      real *restrict row = C + i * N;
      for (size c = 0; c < N; c++) row[c] = 0;
      for (size k = 0; k < K; k++) {
        const real a = A[i * lda + k], *restrict b = B + k * N;
        SIMD for (size c = 0; c < N; c++) row[c] += a * b[c];
      }
    }
  }
}

static inline void product_(size M, size N, size K, const real *A, size lda, const real *B,
                            real *C) {
  size i = 0;
#if VECTOR_BYTES == 64
  for (; i + 8 <= M; i += 8) strip_(8, N, K, A + i * lda, lda, B, C + i * N);
#endif
  for (; i + 4 <= M; i += 4) strip_(4, N, K, A + i * lda, lda, B, C + i * N);
  for (; i < M; i++) strip_(1, N, K, A + i * lda, lda, B, C + i * N);
}

#endif
