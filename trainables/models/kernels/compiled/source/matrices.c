/* Recurrences with a matrix S (E keys x E values) in each of H heads: the gated delta rule and the
 * mLSTM's memory, E = D / H.
 *
 *   delta   S' = a S + k u^T, u = beta (v - a S^T k), y = S'^T q, with q and k of length 1
 *   mlstm   S' = a S + k v^T, n' = a n + k,           y = S'^T q / max(|n' . q|, floor)
 *
 * Rows are padded to whole vectors. A segment's states are computed again going back, there the
 * other way about as well: sums over a row are then sums of vectors. All heads take a segment in
 * turn, so that its inputs stay in the cache.
 */
#include "real.h"

enum { STEPS = 16 };

/* sum of c_i M_i over E rows of V vectors; in four sums, since one would wait for itself */
INLINE void combine_(size E, size V, const real *c, const vec *M, vec *out) {
  for (size v = 0; v < V; v++) {
    vec sum[4] = {{0}, {0}, {0}, {0}};
    size i = 0;
    for (; i + 4 <= E; i += 4)
      for (int k = 0; k < 4; k++) sum[k] += c[i + k] * M[(i + k) * V + v];
    for (; i < E; i++) sum[0] += c[i] * M[i * V + v];
    out[v] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
}

/* to = a from + c u^T; `to` may be `from` */
INLINE void update_(size E, size V, real a, const real *c, const vec *u, const vec *from, vec *to) {
  for (size i = 0; i < E; i++)
    for (size v = 0; v < V; v++) to[i * V + v] = a * from[i * V + v] + c[i] * u[v];
}

/* M += c u^T */
INLINE void add_(size E, size V, const real *c, const vec *u, vec *M) {
  for (size i = 0; i < E; i++)
    for (size v = 0; v < V; v++) M[i * V + v] += c[i] * u[v];
}

/* sum of the products of two matrices' numbers */
INLINE real inner_(size count, const vec *x, const vec *y) {
  vec sum[4] = {{0}, {0}, {0}, {0}};
  size i = 0;
  for (; i + 4 <= count; i += 4)
    for (int k = 0; k < 4; k++) sum[k] += x[i + k] * y[i + k];
  for (; i < count; i++) sum[0] += x[i] * y[i];
  const vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  real total = 0;
  for (int k = 0; k < LANES; k++) total += all[k];
  return total;
}

/* E numbers to or from V whole vectors, what is left over in them untouched */
INLINE void take_(size E, size V, const void *from, void *to) {
  if (E == V * LANES) {
    for (size v = 0; v < V; v++) ((vec *)to)[v] = ((const vec *)from)[v];
  } else {
    memcpy(to, from, sizeof(real) * (size_t)E);
  }
}

static void pad_(size E, size V, const real *from, vec *to) {
  memset(to, 0, sizeof(vec) * (size_t)(E * V));
  for (size i = 0; i < E; i++) take_(E, V, from + i * E, to + i * V);
}

static void unpad_(size E, size V, const vec *from, real *to) {
  for (size i = 0; i < E; i++) take_(E, V, from + i * V, to + i * E);
}

static void transpose_(size E, size V, const vec *from, vec *to) {
  const real *x = (const real *)from;
  real *y = (real *)to;
  memset(to, 0, sizeof(vec) * (size_t)(E * V));
  for (size i = 0; i < E; i++)
    for (size j = 0; j < E; j++) y[j * V * LANES + i] = x[i * V * LANES + j];
}

/* to = x / max(|x|, 1e-12); returns what it was multiplied with */
INLINE real unit_(size E, const real *restrict x, real *restrict to) {
  const real length = sqrt_(dot_(E, x, x));
  const real scale = 1 / (length < (real)1e-12 ? (real)1e-12 : length);
  SIMD for (size i = 0; i < E; i++) to[i] = scale * x[i];
  return scale;
}

/* Going back through `unit_`: y is what came out */
INLINE void unit_back_(size E, const real *restrict y, real scale, const real *restrict dy,
                       real *restrict dx) {
  const real along = scale > (real)0.99e12 ? 0 : dot_(E, y, dy);
  SIMD for (size i = 0; i < E; i++) dx[i] = scale * (dy[i] - along * y[i]);
}

typedef struct {
  size T, B, H, E, keep, D, V;
} Shape;

static Shape shape_(const size *n) {
  Shape s = {n[0], n[1], n[2], n[3], n[4], n[2] * n[3], (n[3] + LANES - 1) / LANES};
  return s;
}

static vec *vectors_(size n) { return (vec *)scratch_(n * LANES); }

/* sizes: T, B, H, E, whether to keep what going back needs
 * arrays: q, k, v (T B 3 H E), beta and log a (T B H), S (B H E E), the first made into the last;
 * y (T B H E), borders (segments B H E E) */
INLINE void delta_forward_(const size E, const size V, const Shape s, real *const *arrays) {
  vec *all = vectors_(s.B * s.H * E * V), *w = vectors_(V), *r = vectors_(V), *u = vectors_(V);
  vec *values = vectors_(V);
  real *q = scratch_(E), *k = scratch_(E);
  for (size head = 0; head < s.B * s.H; head++)
    pad_(E, V, arrays[3] + head * E * E, all + head * E * V);
  for (size first = 0; first < s.T; first += STEPS)
    for (size head = 0; head < s.B * s.H; head++) {
      const size stop = first + STEPS < s.T ? first + STEPS : s.T, b = head / s.H, h = head % s.H;
      vec *S = all + head * E * V;
      if (s.keep)
        unpad_(E, V, S, arrays[5] + (first / STEPS * s.B * s.H + head) * E * E);
      for (size t = first; t < stop; t++) {
        const size row = t * s.B + b;
        const real *in = arrays[0] + row * 3 * s.D + h * E;
        const real beta = arrays[1][row * s.H + h], a = exp_(arrays[2][row * s.H + h]);
        unit_(E, in, q), unit_(E, in + s.D, k);
        take_(E, V, in + 2 * s.D, values);
        combine_(E, V, k, S, w), combine_(E, V, q, S, r);
        const real met = dot_(E, q, k);
        for (size v = 0; v < V; v++) {
          u[v] = beta * (values[v] - a * w[v]);
          r[v] = a * r[v] + met * u[v];
        }
        update_(E, V, a, k, u, S, S);
        take_(E, V, r, arrays[4] + row * s.D + h * E);
      }
    }
  for (size head = 0; head < s.B * s.H; head++)
    unpad_(E, V, all + head * E * V, arrays[3] + head * E * E);
  free(all), free(w), free(r), free(u), free(values), free(q), free(k);
}

/* arrays: dy, the inputs, beta, log a, borders; dS (B H E E), the gradient in the last matrices,
 * made into that in the first; then those in the inputs, in beta and in log a */
INLINE void delta_backward_(const size E, const size V, const Shape s, real *const *arrays) {
  const size heads = s.B * s.H;
  vec *all_dS = vectors_(heads * E * V), *all_dST = vectors_(heads * E * V);
  vec *S = vectors_(E * V), *ST = vectors_((STEPS + 1) * E * V);
  vec *errors = vectors_(STEPS * V), *written = vectors_(STEPS * V), *w = vectors_(V);
  vec *values = vectors_(V), *g = vectors_(V), *du = vectors_(V), *dq = vectors_(V);
  vec *dk = vectors_(V), *met = vectors_(V), *qs = vectors_(STEPS * V), *ks = vectors_(STEPS * V);
  real scales[STEPS][2];
  for (size head = 0; head < heads; head++) {
    pad_(E, V, arrays[5] + head * E * E, all_dS + head * E * V);
    transpose_(E, V, all_dS + head * E * V, all_dST + head * E * V);
  }
  for (size first = (s.T - 1) / STEPS * STEPS; first >= 0; first -= STEPS)
    for (size head = 0; head < heads; head++) {
      const size steps = s.T - first < STEPS ? s.T - first : STEPS, b = head / s.H, h = head % s.H;
      vec *dS = all_dS + head * E * V, *dST = all_dST + head * E * V;
      pad_(E, V, arrays[4] + (first / STEPS * heads + head) * E * E, S);
      transpose_(E, V, S, ST);
      for (size j = 0; j < steps; j++) {
        const size row = (first + j) * s.B + b;
        const real *in = arrays[1] + row * 3 * s.D + h * E;
        const real beta = arrays[2][row * s.H + h], a = exp_(arrays[3][row * s.H + h]);
        real *q = (real *)(qs + j * V), *k = (real *)(ks + j * V);
        scales[j][0] = unit_(E, in, q), scales[j][1] = unit_(E, in + s.D, k);
        take_(E, V, in + 2 * s.D, values);
        combine_(E, V, k, S, w);
        for (size v = 0; v < V; v++) {
          errors[j * V + v] = values[v] - a * w[v];
          written[j * V + v] = beta * errors[j * V + v];
        }
        update_(E, V, a, k, written + j * V, S, S);
        update_(E, V, a, (real *)(written + j * V), ks + j * V, ST + j * E * V,
                ST + (j + 1) * E * V);
      }
      for (size j = steps - 1; j >= 0; j--) {
        const size row = (first + j) * s.B + b;
        const real beta = arrays[2][row * s.H + h], a = exp_(arrays[3][row * s.H + h]);
        const real *q = (real *)(qs + j * V), *k = (real *)(ks + j * V);
        const vec *old = ST + j * E * V;
        real *in = arrays[6] + row * 3 * s.D + h * E;
        take_(E, V, arrays[0] + row * s.D + h * E, g);
        combine_(E, V, (real *)g, old + E * V, dq);
        add_(E, V, q, g, dS);
        add_(E, V, (real *)g, qs + j * V, dST);
        combine_(E, V, k, dS, du);
        combine_(E, V, (real *)(written + j * V), dST, dk);
        arrays[7][row * s.H + h] = inner_(V, du, errors + j * V);
        for (size v = 0; v < V; v++) du[v] = beta * du[v];
        combine_(E, V, (real *)du, old, met);
        for (size v = 0; v < V; v++) dk[v] -= a * met[v], met[v] = -du[v];
        add_(E, V, k, met, dS);
        add_(E, V, (real *)met, ks + j * V, dST);
        arrays[8][row * s.H + h] = a * inner_(E * V, dST, old);
        for (size i = 0; i < E * V; i++) dS[i] = a * dS[i], dST[i] = a * dST[i];
        unit_back_(E, q, scales[j][0], (real *)dq, in);
        unit_back_(E, k, scales[j][1], (real *)dk, in + s.D);
        take_(E, V, du, in + 2 * s.D);
      }
    }
  for (size head = 0; head < heads; head++)
    unpad_(E, V, all_dS + head * E * V, arrays[5] + head * E * E);
  free(all_dS), free(all_dST), free(S), free(ST), free(errors), free(written), free(w);
  free(values), free(g), free(du), free(dq), free(dk), free(met), free(qs), free(ks);
}

/* What the gates of a step of the mLSTM come to: what is kept, what is added, the floor */
typedef struct {
  real kept, added, floor;
} Gates;

/* All is scaled by exp(-m), m the largest exponent so far, which steps on */
INLINE Gates gates_(real log_i, real log_f, real *m) {
  const real carried = log_f + *m, next = carried > log_i ? carried : log_i;
  const real before = *m;
  *m = next;
  return (Gates){exp_(log_f + (before - next)), exp_(log_i - next),
                 exp_(-(next > 30 ? (real)30 : next))};
}

/* sizes: as above
 * arrays: q, k, v (T B 3 H E), log i and log f (T B H), S (B H E E), n (B H E) and m (B H), the
 * first made into the last; y (T B H E), then borders of S, of n and of m */
INLINE void mlstm_forward_(const size E, const size V, const Shape s, real *const *arrays) {
  const size heads = s.B * s.H;
  const real shorter = 1 / sqrt_((real)E);
  vec *all = vectors_(heads * E * V), *r = vectors_(V), *values = vectors_(V);
  real *k = scratch_(E);
  for (size head = 0; head < heads; head++)
    pad_(E, V, arrays[3] + head * E * E, all + head * E * V);
  for (size first = 0; first < s.T; first += STEPS)
    for (size head = 0; head < heads; head++) {
      const size stop = first + STEPS < s.T ? first + STEPS : s.T, b = head / s.H, h = head % s.H;
      const size border = first / STEPS * heads + head;
      vec *S = all + head * E * V;
      real *restrict n = arrays[4] + head * E, *m = arrays[5] + head;
      if (s.keep) {
        unpad_(E, V, S, arrays[7] + border * E * E);
        take_(E, V, n, arrays[8] + border * E);
        arrays[9][border] = *m;
      }
      for (size t = first; t < stop; t++) {
        const size row = t * s.B + b;
        const real *restrict q = arrays[0] + row * 3 * s.D + h * E;
        const Gates gate = gates_(arrays[1][row * s.H + h], arrays[2][row * s.H + h], m);
        for (size i = 0; i < E; i++) {
          k[i] = shorter * gate.added * q[s.D + i];
          n[i] = gate.kept * n[i] + k[i];
        }
        take_(E, V, q + 2 * s.D, values);
        update_(E, V, gate.kept, k, values, S, S);
        combine_(E, V, q, S, r);
        const real size_ = abs_(dot_(E, n, q));
        const real scale = 1 / (size_ < gate.floor ? gate.floor : size_);
        for (size v = 0; v < V; v++) r[v] *= scale;
        take_(E, V, r, arrays[6] + row * s.D + h * E);
      }
    }
  for (size head = 0; head < heads; head++)
    unpad_(E, V, all + head * E * V, arrays[3] + head * E * E);
  free(all), free(r), free(values), free(k);
}

/* arrays: dy, the inputs, log i, log f, borders of S, n and m; dS and dn, from last to first; y, then
 * the gradients in the inputs, in log i and in log f */
INLINE void mlstm_backward_(const size E, const size V, const Shape s, real *const *arrays) {
  const size heads = s.B * s.H;
  const real shorter = 1 / sqrt_((real)E);
  vec *all_dS = vectors_(heads * E * V), *all_dST = vectors_(heads * E * V);
  vec *ST = vectors_((STEPS + 1) * E * V), *S = vectors_(E * V), *ks = vectors_(STEPS * V);
  vec *ns = vectors_((STEPS + 1) * V), *values = vectors_(V), *g = vectors_(V);
  vec *dq = vectors_(V), *dk = vectors_(V), *dv = vectors_(V), *queries = vectors_(V);
  Gates gates[STEPS];
  for (size head = 0; head < heads; head++) {
    pad_(E, V, arrays[7] + head * E * E, all_dS + head * E * V);
    transpose_(E, V, all_dS + head * E * V, all_dST + head * E * V);
  }
  for (size first = (s.T - 1) / STEPS * STEPS; first >= 0; first -= STEPS)
    for (size head = 0; head < heads; head++) {
      const size steps = s.T - first < STEPS ? s.T - first : STEPS, b = head / s.H, h = head % s.H;
      const size border = first / STEPS * heads + head;
      vec *dS = all_dS + head * E * V, *dST = all_dST + head * E * V;
      real *restrict dn = arrays[8] + head * E, m = arrays[6][border];
      pad_(E, V, arrays[4] + border * E * E, S);
      transpose_(E, V, S, ST);
      take_(E, V, arrays[5] + border * E, ns);
      for (size j = 0; j < steps; j++) {
        const size row = (first + j) * s.B + b;
        const real *in = arrays[1] + row * 3 * s.D + h * E;
        real *k = (real *)(ks + j * V);
        gates[j] = gates_(arrays[2][row * s.H + h], arrays[3][row * s.H + h], &m);
        for (size i = 0; i < E; i++) k[i] = shorter * gates[j].added * in[s.D + i];
        for (size v = 0; v < V; v++)
          ns[(j + 1) * V + v] = gates[j].kept * ns[j * V + v] + ks[j * V + v];
        update_(E, V, gates[j].kept, in + 2 * s.D, ks + j * V, ST + j * E * V,
                ST + (j + 1) * E * V);
      }
      for (size j = steps - 1; j >= 0; j--) {
        const size row = (first + j) * s.B + b;
        const real *in = arrays[1] + row * 3 * s.D + h * E, *k = (real *)(ks + j * V);
        const real *n = (real *)(ns + (j + 1) * V), *last_n = (real *)(ns + j * V);
        const real *y = arrays[9] + row * s.D + h * E;
        const vec *old = ST + j * E * V, *new = old + E * V;
        real *restrict out = arrays[10] + row * 3 * s.D + h * E;
        take_(E, V, in, queries);
        take_(E, V, in + 2 * s.D, values);
        take_(E, V, arrays[0] + row * s.D + h * E, g);
        const real sum = dot_(E, n, in), length = abs_(sum);
        const real scale = 1 / (length < gates[j].floor ? gates[j].floor : length);
        const real share = length > gates[j].floor ? 1 : length < gates[j].floor ? 0 : (real)0.5;
        const real dsum = -dot_(E, (real *)g, y) * scale * share * (sum < 0 ? -1 : 1);
        for (size v = 0; v < V; v++) g[v] *= scale;
        combine_(E, V, (real *)g, new, dq);
        add_(E, V, in, g, dS);
        add_(E, V, (real *)g, queries, dST);
        combine_(E, V, k, dS, dv);
        combine_(E, V, (real *)values, dST, dk);
        real dkept = inner_(E * V, dST, old), dadded = 0;
        for (size i = 0; i < E; i++) {
          dn[i] += dsum * in[i];
          const real d = ((real *)dk)[i] + dn[i];
          dkept += dn[i] * last_n[i];
          dadded += d * k[i];
          out[i] = ((real *)dq)[i] + dsum * n[i];
          out[s.D + i] = d * shorter * gates[j].added;
          dn[i] *= gates[j].kept;
        }
        take_(E, V, dv, out + 2 * s.D);
        arrays[11][row * s.H + h] = dadded;
        arrays[12][row * s.H + h] = dkept * gates[j].kept;
        for (size i = 0; i < E * V; i++)
          dS[i] = gates[j].kept * dS[i], dST[i] = gates[j].kept * dST[i];
      }
    }
  for (size head = 0; head < heads; head++)
    unpad_(E, V, all_dS + head * E * V, arrays[7] + head * E * E);
  free(all_dS), free(all_dST), free(ST), free(S), free(ks), free(ns), free(values), free(g);
  free(dq), free(dk), free(dv), free(queries);
}

/* The usual widths are known when this is compiled, so that a head's loops are unrolled */
#define EXPORTED_(name)                                                      \
  EXPORT void name(const size *sizes, real *const *arrays) {                 \
    const Shape s = shape_(sizes);                                           \
    if (s.E == 16) name##_(16, (16 + LANES - 1) / LANES, s, arrays);         \
    else if (s.E == 8) name##_(8, (8 + LANES - 1) / LANES, s, arrays);       \
    else name##_(s.E, s.V, s, arrays);                                       \
  }

EXPORTED_(delta_forward)
EXPORTED_(delta_backward)
EXPORTED_(mlstm_forward)
EXPORTED_(mlstm_backward)
