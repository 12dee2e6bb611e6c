/* In which order slots were written: L[i, j] is how much slot i was written right after slot j. */
#ifndef LONGSPAN_LINKS_H
#define LONGSPAN_LINKS_H

#include "real.h"

/* Ones but for a zero in the middle, 2 N - 1: from N - 1 - i on, all of a row but its diagonal. It is
 * multiplied with, since a number stored among vectors makes the next load of them wait. */
static real *off_diagonal_(size N) {
  real *ones = scratch_(2 * N);
  for (size i = 0; i < 2 * N; i++) ones[i] = i != N - 1;
  return ones;
}

/* Links one step on: (1 - w_i - w_j) L + w_i p_j, nothing on the diagonal */
INLINE void link_(size N, const real *restrict w, const real *restrict p, const real *off,
                  const real *last, real *next) {
  for (size i = 0; i < N; i++) {
    const real *restrict others = off + N - 1 - i, *old = last + i * N;
    real *row = next + i * N;
    const real mine = w[i];
    SIMD for (size j = 0; j < N; j++)
      row[j] = (old[j] * ((1 - mine) - w[j]) + mine * p[j]) * others[j];
  }
}

/* Links one step on, in place, and where they lead from what was read last: L^T w, L w */
INLINE void follow_(size N, size R, const real *write, const real *precedence, const real *reading,
                    const real *off, real *links, real *backward, real *forward) {
  const real *restrict w = write, *restrict p = precedence;
  for (size i = 0; i < R * N; i++) backward[i] = 0;
  for (size i = 0; i < N; i++) {
    const real *restrict others = off + N - 1 - i, *restrict read = reading;
    real *restrict row = links + i * N, *restrict back = backward;
    const real mine = w[i], here = read[i];
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size j = 0; j < N; j++) {
      const real l = (row[j] * ((1 - mine) - w[j]) + mine * p[j]) * others[j];
      row[j] = l;
      sum += l * read[j];
      back[j] += here * l;
    }
    forward[i] = sum;
    for (size h = 1; h < R; h++) {
      const real *restrict more = reading + h * N;
      real *restrict further = backward + h * N, total = 0;
      const real there = more[i];
#pragma omp simd reduction(+ : total)
      for (size j = 0; j < N; j++) {
        total += row[j] * more[j];
        further[j] += there * row[j];
      }
      forward[h * N + i] = total;
    }
  }
}

/* Going back through `follow_`: from the gradients gback and gahead (R N), times a share for each way
 * of each head (3 R: backward, another's, forward), to those in the shares, in what was read last, in
 * the write weights, in the last precedence (all added to) and in the links, from after to before.
 * scratch: (R + 1) N */
INLINE void follow_back_(size N, size R, const real *write, const real *precedence,
                         const real *reading, const real *off, const real *last, const real *gback,
                         const real *gahead, const real *shares, real *dshares, real *dreading,
                         real *dwrite, real *dprecedence, real *dlinks, real *scratch) {
  const real *restrict w = write, *restrict p = precedence;
  real *dwrite_i = scratch, *dreading_i = scratch + N;
  real *restrict dw = dwrite, *restrict dp = dprecedence;
  for (size i = 0; i < N; i++) {
    const real *restrict others = off + N - 1 - i, *restrict old = last + i * N;
    real *restrict d = dlinks + i * N;
    const real mine = w[i];
    for (size h = 1; h < R; h++) {
      const real *restrict read = reading + h * N, *restrict gh = gback + h * N;
      real *restrict dread = dreading + h * N;
      const real there = gahead[h * N + i], ahead = shares[3 * h + 2] * there;
      const real back = shares[3 * h] * read[i];
      real forwards = 0, backwards = 0;
#pragma omp simd reduction(+ : forwards, backwards)
      for (size j = 0; j < N; j++) {
        const real l = (old[j] * ((1 - mine) - w[j]) + mine * p[j]) * others[j];
        forwards += l * read[j];
        backwards += l * gh[j];
        d[j] += ahead * read[j] + back * gh[j];
        dread[j] += ahead * l;
      }
      dreading_i[h * N + i] = shares[3 * h] * backwards;
      dshares[3 * h] += read[i] * backwards;
      dshares[3 * h + 2] += there * forwards;
    }
    const real *restrict read = reading, *restrict gh = gback;
    real *restrict dread = dreading;
    const real there = gahead[i], ahead = shares[2] * there, back = shares[0] * read[i];
    real forwards = 0, backwards = 0, sum = 0;
#pragma omp simd reduction(+ : forwards, backwards, sum)
    for (size j = 0; j < N; j++) {
      const real kept = (1 - mine) - w[j];
      const real l = (old[j] * kept + mine * p[j]) * others[j];
      forwards += l * read[j];
      backwards += l * gh[j];
      dread[j] += ahead * l;
      const real x = (d[j] + ahead * read[j] + back * gh[j]) * others[j];
      sum += x * (p[j] - old[j]);
      dw[j] -= x * old[j];
      dp[j] += x * mine;
      d[j] = x * kept;
    }
    dreading_i[i] = shares[0] * backwards;
    dshares[0] += read[i] * backwards;
    dshares[2] += there * forwards;
    dwrite_i[i] = sum;
  }
  for (size i = 0; i < R * N; i++) dreading[i] += dreading_i[i];
  for (size i = 0; i < N; i++) dw[i] += dwrite_i[i];
}

#endif
