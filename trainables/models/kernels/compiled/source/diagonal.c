/* A diagonal state space in every channel: s' = a s + u, y = Re(w s), n complex numbers a channel.
 *
 * A block of channels as wide as a vector walks a segment of steps with its states in registers.
 * Only the states between segments are kept; a segment's are computed again going back.
 *
 * sizes: T, B, D, n, whether to keep what going back needs, numbers from one row of u to the next
 */
#include "real.h"

enum { STEPS = 32, PAIR = 2 };

typedef struct {
  size T, B, D, n, keep, stride;
} Shape;

static Shape shape_(const size *n) { return (Shape){n[0], n[1], n[2], n[3], n[4], n[5]}; }

/* A vector of the channels that are there, zeros for the others */
INLINE vec load_(const real *from, size there) {
  if (there >= LANES) return *(const vec *)from;
  vec v = {0};
  for (size i = 0; i < there; i++) v[i] = from[i];
  return v;
}

INLINE void store_(vec v, real *to, size there) {
  if (there >= LANES) {
    *(vec *)to = v;
    return;
  }
  for (size i = 0; i < there; i++) to[i] = v[i];
}

/* `many` numbers of each channel, from the j-th on, through a segment */
INLINE void walk_(const int many, const Shape *s, size steps, size j, size d, const real *a,
                  const real *w, real *state, const vec *u, vec *y) {
  const size there = s->D - d, nD = s->n * s->D;
  vec ar[PAIR], ai[PAIR], wr[PAIR], wi[PAIR], sr[PAIR], si[PAIR];
  for (int k = 0; k < many; k++) {
    const size at = (j + k) * s->D + d;
    ar[k] = load_(a + at, there), ai[k] = load_(a + nD + at, there);
    wr[k] = load_(w + at, there), wi[k] = load_(w + nD + at, there);
    sr[k] = load_(state + at, there), si[k] = load_(state + nD + at, there);
  }
  for (size t = 0; t < steps; t++) {
    vec sum = y[t];
    for (int k = 0; k < many; k++) {
      const vec r = ar[k] * sr[k] - ai[k] * si[k] + u[t];
      si[k] = ar[k] * si[k] + ai[k] * sr[k];
      sr[k] = r;
      sum += wr[k] * r - wi[k] * si[k];
    }
    y[t] = sum;
  }
  for (int k = 0; k < many; k++) {
    const size at = (j + k) * s->D + d;
    store_(sr[k], state + at, there), store_(si[k], state + nD + at, there);
  }
}

/* arrays: u (T B D), a and w (2 n D, real parts first), s (B 2 n D), the first made into the last;
 * y (T B D), borders (segments B 2 n D) */
EXPORT void diagonal_forward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const real *a = arrays[1], *w = arrays[2];
  const size wide = 2 * s.n * s.D;
  vec u[STEPS], y[STEPS];
  for (size b = 0; b < s.B; b++) {
    real *state = arrays[3] + b * wide;
    for (size first = 0; first < s.T; first += STEPS) {
      const size steps = s.T - first < STEPS ? s.T - first : STEPS;
      if (s.keep)
        memcpy(arrays[5] + (first / STEPS * s.B + b) * wide, state, sizeof(real) * (size_t)wide);
      for (size d = 0; d < s.D; d += LANES) {
        for (size t = 0; t < steps; t++) {
          u[t] = load_(arrays[0] + ((first + t) * s.B + b) * s.stride + d, s.D - d);
          y[t] = (vec){0};
        }
        size j = 0;
        for (; j + PAIR <= s.n; j += PAIR) walk_(PAIR, &s, steps, j, d, a, w, state, u, y);
        for (; j < s.n; j++) walk_(1, &s, steps, j, d, a, w, state, u, y);
        for (size t = 0; t < steps; t++)
          store_(y[t], arrays[4] + ((first + t) * s.B + b) * s.D + d, s.D - d);
      }
    }
  }
}

INLINE void walk_back_(const int many, const Shape *s, size steps, size j, size d, const real *a,
                       const real *w, const real *border, real *carry, real *da, real *dw,
                       const vec *u, const vec *g, vec *du) {
  const size there = s->D - d, nD = s->n * s->D;
  vec ar[PAIR], ai[PAIR], wr[PAIR], wi[PAIR], cr[PAIR], ci[PAIR];
  vec dar[PAIR], dai[PAIR], dwr[PAIR], dwi[PAIR];
  vec sr[STEPS + 1][PAIR], si[STEPS + 1][PAIR];
  for (int k = 0; k < many; k++) {
    const size at = (j + k) * s->D + d;
    ar[k] = load_(a + at, there), ai[k] = load_(a + nD + at, there);
    wr[k] = load_(w + at, there), wi[k] = load_(w + nD + at, there);
    sr[0][k] = load_(border + at, there), si[0][k] = load_(border + nD + at, there);
    cr[k] = load_(carry + at, there), ci[k] = load_(carry + nD + at, there);
    dar[k] = load_(da + at, there), dai[k] = load_(da + nD + at, there);
    dwr[k] = load_(dw + at, there), dwi[k] = load_(dw + nD + at, there);
  }
  for (size t = 0; t < steps; t++)
    for (int k = 0; k < many; k++) {
      sr[t + 1][k] = ar[k] * sr[t][k] - ai[k] * si[t][k] + u[t];
      si[t + 1][k] = ar[k] * si[t][k] + ai[k] * sr[t][k];
    }
  for (size t = steps - 1; t >= 0; t--) {
    vec sum = du[t];
    for (int k = 0; k < many; k++) {
      const vec r = cr[k] + wr[k] * g[t], i = ci[k] - wi[k] * g[t];
      dwr[k] += g[t] * sr[t + 1][k];
      dwi[k] -= g[t] * si[t + 1][k];
      dar[k] += r * sr[t][k] + i * si[t][k];
      dai[k] += i * sr[t][k] - r * si[t][k];
      cr[k] = ar[k] * r + ai[k] * i;
      ci[k] = ar[k] * i - ai[k] * r;
      sum += r;
    }
    du[t] = sum;
  }
  for (int k = 0; k < many; k++) {
    const size at = (j + k) * s->D + d;
    store_(cr[k], carry + at, there), store_(ci[k], carry + nD + at, there);
    store_(dar[k], da + at, there), store_(dai[k], da + nD + at, there);
    store_(dwr[k], dw + at, there), store_(dwi[k], dw + nD + at, there);
  }
}

/* arrays: dy (T B D), u, a, w, borders; ds (B 2 n D), the gradient in the last states, made into
 * that in the first; then du (T B D), da, dw */
EXPORT void diagonal_backward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const real *a = arrays[2], *w = arrays[3];
  const size wide = 2 * s.n * s.D;
  real *da = arrays[7], *dw = arrays[8];
  memset(da, 0, sizeof(real) * (size_t)wide);
  memset(dw, 0, sizeof(real) * (size_t)wide);
  vec u[STEPS], g[STEPS], du[STEPS];
  for (size b = 0; b < s.B; b++) {
    real *carry = arrays[5] + b * wide;
    for (size first = (s.T - 1) / STEPS * STEPS; first >= 0; first -= STEPS) {
      const size steps = s.T - first < STEPS ? s.T - first : STEPS;
      const real *border = arrays[4] + (first / STEPS * s.B + b) * wide;
      for (size d = 0; d < s.D; d += LANES) {
        for (size t = 0; t < steps; t++) {
          const size row = (first + t) * s.B + b;
          u[t] = load_(arrays[1] + row * s.stride + d, s.D - d);
          g[t] = load_(arrays[0] + row * s.D + d, s.D - d);
          du[t] = (vec){0};
        }
        size j = 0;
        for (; j + PAIR <= s.n; j += PAIR)
          walk_back_(PAIR, &s, steps, j, d, a, w, border, carry, da, dw, u, g, du);
        for (; j < s.n; j++)
          walk_back_(1, &s, steps, j, d, a, w, border, carry, da, dw, u, g, du);
        for (size t = 0; t < steps; t++)
          store_(du[t], arrays[6] + ((first + t) * s.B + b) * s.D + d, s.D - d);
      }
    }
  }
}
