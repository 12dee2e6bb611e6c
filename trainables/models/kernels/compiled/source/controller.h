/* The controller of an external memory: one step for the whole batch, forward and backward.
 *
 * All are one product of [reads, hidden] with W, and what they do with its G numbers a row:
 *   feed_forward, rnn   tanh; a feed-forward net has no hidden state, so its product is with reads
 *   gru                 reset, update, new from the inputs, new from the state: G = 4 D
 *   lstm                in, forget, out, new: G = 4 D
 */
#ifndef LONGSPAN_CONTROLLER_H
#define LONGSPAN_CONTROLLER_H

#include "matrix.h"

enum { FEED_FORWARD, RNN, GRU, LSTM };

/* What the product is taken with, [reads, hidden] of the step before: `heard` numbers of reads a row,
 * and the hidden state where there is one */
static inline void carry_(size kind, size B, size D, size heard, const real *reads,
                          const real *hidden, real *carried) {
  const size width = heard + (kind == FEED_FORWARD ? 0 : D);
  for (size b = 0; b < B; b++) {
    memcpy(carried + b * width, reads + b * heard, sizeof(real) * (size_t)heard);
    if (kind != FEED_FORWARD)
      memcpy(carried + b * width + heard, hidden + b * D, sizeof(real) * (size_t)D);
  }
}

/* Going back; dh is what reached the hidden state past the product */
static inline void carry_back_(size kind, size B, size D, size heard, const real *dcarried,
                               const real *dh, real *dreads, real *dhidden) {
  const size width = heard + (kind == FEED_FORWARD ? 0 : D);
  for (size b = 0; b < B; b++) {
    memcpy(dreads + b * heard, dcarried + b * width, sizeof(real) * (size_t)heard);
    if (kind != FEED_FORWARD)
      for (size j = 0; j < D; j++)
        dhidden[b * D + j] = dh[b * D + j] + dcarried[b * width + heard + j];
  }
}

/* `gates` holds W [reads, hidden] at first; `act` gets what going back needs, G a row */
static inline void controller_forward_(size kind, size B, size D, const real *projected,
                                       const real *gates, const real *h_last, const real *c_last,
                                       real *act, real *h, real *c) {
  const size G = kind >= GRU ? 4 * D : D;
  for (size b = 0; b < B; b++) {
    const real *restrict x = projected + b * G, *restrict u = gates + b * G;
    const real *restrict old = h_last + b * D;
    real *restrict a = act + b * G, *restrict out = h + b * D;
    if (kind == LSTM) {
      const real *restrict cell = c_last + b * D;
      real *restrict next = c + b * D;
      SIMD for (size j = 0; j < 3 * D; j++) a[j] = sigmoid_(x[j] + u[j]);
      SIMD for (size j = 3 * D; j < 4 * D; j++) a[j] = tanh_(x[j] + u[j]);
      SIMD for (size j = 0; j < D; j++) {
        next[j] = a[D + j] * cell[j] + a[j] * a[3 * D + j];
        out[j] = a[2 * D + j] * tanh_(next[j]);
      }
    } else if (kind == GRU) {
      SIMD for (size j = 0; j < 2 * D; j++) a[j] = sigmoid_(x[j] + u[j]);
      SIMD for (size j = 0; j < D; j++) {
        real heard = x[3 * D + j] + u[3 * D + j];
        real n = tanh_(x[2 * D + j] + u[2 * D + j] + a[j] * heard);
        a[2 * D + j] = n;
        a[3 * D + j] = heard;
        out[j] = n + a[D + j] * (old[j] - n);
      }
    } else {
      SIMD for (size j = 0; j < D; j++) a[j] = out[j] = tanh_(x[j] + u[j]);
    }
  }
}

/* dh: the gradient in the answer, made into what reaches the last hidden state past the product;
 * dc: that in the cell, made into that in the last one; dgates: G a row */
static inline void controller_backward_(size kind, size B, size D, const real *act,
                                        const real *h_last, const real *c_last, const real *c,
                                        real *dh, real *dc, real *dgates) {
  const size G = kind >= GRU ? 4 * D : D;
  for (size b = 0; b < B; b++) {
    const real *restrict a = act + b * G, *restrict old = h_last + b * D;
    real *restrict d = dh + b * D, *restrict p = dgates + b * G;
    if (kind == LSTM) {
      const real *restrict cell = c_last + b * D, *restrict next = c + b * D;
      real *restrict carry = dc + b * D;
      SIMD for (size j = 0; j < D; j++) {
        real i = a[j], f = a[D + j], o = a[2 * D + j], g = a[3 * D + j], s = tanh_(next[j]);
        real y = carry[j] + d[j] * o * (1 - s * s);
        p[j] = y * g * i * (1 - i);
        p[D + j] = y * cell[j] * f * (1 - f);
        p[2 * D + j] = d[j] * s * o * (1 - o);
        p[3 * D + j] = y * i * (1 - g * g);
        carry[j] = y * f;
        d[j] = 0;
      }
    } else if (kind == GRU) {
      SIMD for (size j = 0; j < D; j++) {
        real r = a[j], z = a[D + j], n = a[2 * D + j], y = d[j];
        real dn = y * (1 - z) * (1 - n * n);
        p[j] = dn * a[3 * D + j] * r * (1 - r);
        p[D + j] = y * (old[j] - n) * z * (1 - z);
        p[2 * D + j] = dn;
        p[3 * D + j] = dn * r;
        d[j] = y * z;
      }
    } else {
      SIMD for (size j = 0; j < D; j++) {
        p[j] = d[j] * (1 - a[j] * a[j]);
        d[j] = 0;
      }
    }
  }
}

#endif
