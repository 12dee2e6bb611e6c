/* The Neural Turing Machine, after the map of its inputs into the controller.
 *
 * sizes: T, B, D, controller, N, W, R read heads, V write heads, S shifts, whether to keep what
 * going back needs. States stand in T + 1 slots, the first given; in 2 that take turns where
 * nothing is kept, except hidden states and reads, which are what comes out.
 */
#include "controller.h"
#include "slots.h"

typedef struct {
  size T, B, D, kind, N, W, R, V, S, keep;
  size H, G, K, I;                                    /* heads; widths of gates, product, interface */
  size strengths, exponents, gates, erase, shifts, add; /* where they start in the interface */
} Shape;

static Shape shape_(const size *n) {
  Shape s = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  s.H = s.R + s.V;
  s.G = s.kind >= GRU ? 4 * s.D : s.D;
  s.K = s.R * s.W + (s.kind == FEED_FORWARD ? 0 : s.D);
  s.strengths = s.H * s.W;
  s.exponents = s.strengths + s.H;
  s.gates = s.exponents + s.H;
  s.erase = s.gates + s.H;
  s.shifts = s.erase + s.V * s.W;
  s.add = s.shifts + s.H * s.S;
  s.I = s.add + s.V * s.W;
  return s;
}

/* All heads erase, then all add; `erased` holds sigmoids, V W */
static void write_all_(const Shape *s, const real *weights, const real *erased, const real *add,
                       const real *last, real *next) {
  const size N = s->N, W = s->W;
  if (s->V == 1) {
    write_(N, W, weights, erased, add, last, next);
    return;
  }
  for (size w = 0; w < W; w++) {
    const real *from = last + w * N;
    real *to = next + w * N;
    if (to != from) memcpy(to, from, sizeof(real) * (size_t)N);
    for (size v = 0; v < s->V; v++) {
      const real *restrict x = weights + v * N;
      real e = erased[v * W + w];
      SIMD for (size i = 0; i < N; i++) to[i] *= 1 - x[i] * e;
    }
    for (size v = 0; v < s->V; v++) {
      const real *restrict x = weights + v * N;
      real a = add[v * W + w];
      SIMD for (size i = 0; i < N; i++) to[i] += x[i] * a;
    }
  }
}

/* Going back; scratch: 2 N */
static void write_all_back_(const Shape *s, const real *weights, const real *erased,
                            const real *add, const real *last, real *dM, real *dweights,
                            real *derase, real *dadd, real *scratch) {
  const size N = s->N, W = s->W;
  if (s->V == 1) {
    write_back_(N, W, weights, erased, add, last, dM, dweights, derase, dadd);
    return;
  }
  real *restrict others = scratch, *restrict kept = scratch + N;
  for (size w = 0; w < W; w++) {
    const real *restrict m = last + w * N;
    real *restrict d = dM + w * N;
    for (size i = 0; i < N; i++) kept[i] = 1;
    for (size v = 0; v < s->V; v++) {
      const real *restrict x = weights + v * N;
      real *restrict dx = dweights + v * N;
      real e = erased[v * W + w], a = add[v * W + w], de = 0, da = 0;
      for (size i = 0; i < N; i++) others[i] = 1;
      for (size o = 0; o < s->V; o++) {
        if (o == v) continue;
        const real *restrict y = weights + o * N;
        real f = erased[o * W + w];
        SIMD for (size i = 0; i < N; i++) others[i] *= 1 - y[i] * f;
      }
#pragma omp simd reduction(+ : de, da)
      for (size i = 0; i < N; i++) {
        real lost = d[i] * m[i] * others[i];
        da += x[i] * d[i];
        de -= lost * x[i];
        dx[i] += d[i] * a - lost * e;
        kept[i] *= 1 - x[i] * e;
      }
      derase[v * W + w] = de;
      dadd[v * W + w] = da;
    }
    SIMD for (size i = 0; i < N; i++) d[i] *= kept[i];
  }
}

/* v = g content + (1 - g) last, with its ends again before and behind: N + S - 1 numbers */
static void interpolate_(const Shape *s, real gate, const real *restrict content,
                         const real *restrict last, real *v) {
  const size N = s->N, k = s->S / 2;
  real *restrict middle = v + k;
  SIMD for (size i = 0; i < N; i++) middle[i] = gate * content[i] + (1 - gate) * last[i];
  for (size i = 0; i < k; i++) v[i] = v[N + i], v[N + k + i] = v[k + i];
}

/* walked(i) = sum_q share_q v(i - q), q = -k .. k */
static void walk_(const Shape *s, const real *shares, const real *v, real *restrict walked) {
  for (size i = 0; i < s->N; i++) walked[i] = 0;
  for (size q = 0; q < s->S; q++) {
    const real *restrict from = v + (s->S - 1 - q);
    real share = shares[q];
    SIMD for (size i = 0; i < s->N; i++) walked[i] += share * from[i];
  }
}

/* arrays: projected (T B G), W^T (K G), interface^T (D I) and its bias, then states: memories
 * (B W N) at the start, made into those at the end; weights (H N a row), reads, hidden, cell; then
 * what is kept: act (G), told (I), contents (H N), memories at the segments' starts */
EXPORT void ntm_forward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size T = s.T, B = s.B, D = s.D, N = s.N, W = s.W, R = s.R, H = s.H, G = s.G, K = s.K;
  const size I = s.I, S = s.S, cells = s.kind == LSTM;
  const real *projected = arrays[0], *WT = arrays[1], *interfaceT = arrays[2];
  const real *restrict bias = arrays[3];
  real *M = arrays[4], *weights = arrays[5], *reads = arrays[6], *hidden = arrays[7];
  real *cell = arrays[8], *acts = arrays[9], *tolds = arrays[10], *contents = arrays[11];
  real *borders = arrays[12];
  real *carried = scratch_(B * K), *gates = scratch_(B * G), *inverse = scratch_(N);
  real *v = scratch_(N + S), *shares = scratch_(S), *erased = scratch_(s.V * W);
  for (size t = 0; t < T; t++) {
    const size now = s.keep ? t + 1 : (t + 1) & 1, before = s.keep ? t : t & 1;
    const size kept = s.keep ? t : 0;
    if (s.keep && t % SEGMENT == 0)
      memcpy(borders + t / SEGMENT * B * W * N, M, sizeof(real) * (size_t)(B * W * N));
    carry_(s.kind, B, D, R * W, reads + t * B * R * W, hidden + t * B * D, carried);
    product_(B, G, K, carried, K, WT, gates);
    real *told = tolds + kept * B * I;
    controller_forward_(s.kind, B, D, projected + t * B * G, gates, hidden + t * B * D,
                        cell + cells * before * B * D, acts + kept * B * G,
                        hidden + (t + 1) * B * D, cell + cells * now * B * D);
    product_(B, I, D, hidden + (t + 1) * B * D, D, interfaceT, told);
    for (size b = 0; b < B; b++) {
      real *restrict f = told + b * I, *m = M + b * W * N;
      SIMD for (size i = 0; i < I; i++) f[i] += bias[i];
      inverse_lengths_(N, W, m, inverse);
      const real *last = weights + (before * B + b) * H * N;
      real *next = weights + (now * B + b) * H * N;
      for (size h = 0; h < H; h++) {
        real *content = contents + ((kept * B + b) * H + h) * N, *restrict w = next + h * N;
        find_(N, W, f + h * W, softplus_(f[s.strengths + h]), m, inverse, content);
        interpolate_(&s, sigmoid_(f[s.gates + h]), content, last + h * N, v);
        softmax_(S, f + s.shifts + h * S, shares);
        walk_(&s, shares, v, w);
        real exponent = 1 + softplus_(f[s.exponents + h]);
        SIMD for (size i = 0; i < N; i++) w[i] = exponent * log_(w[i] + TINY);
        softmax_(N, w, w);
      }
      for (size i = 0; i < s.V * W; i++) erased[i] = sigmoid_(f[s.erase + i]);
      write_all_(&s, next + R * N, erased, f + s.add, m, m);
      real *r = reads + ((t + 1) * B + b) * R * W;
      for (size h = 0; h < R; h++) read_(N, W, next + h * N, m, r + h * W);
    }
  }
  free(carried), free(gates), free(inverse), free(v), free(shares), free(erased);
}

/* arrays: dhidden (T B D), dreads (T B R W): the gradients in what came out; W (G K), interface
 * (I D), then weights, hidden, cell, act, told, contents, borders as they were left; the gradients
 * in the last state, made into those in the first: dM, dweights, dreads, dhidden, dcell; at last
 * dprojected (T B G) and dtold (T B I) */
EXPORT void ntm_backward(const size *sizes, real *const *arrays) {
  const Shape s = shape_(sizes);
  const size T = s.T, B = s.B, D = s.D, N = s.N, W = s.W, R = s.R, H = s.H, G = s.G, K = s.K;
  const size I = s.I, S = s.S, cells = s.kind == LSTM, k = S / 2, wide = B * W * N;
  const real *dhs = arrays[0], *drs = arrays[1], *weight = arrays[2], *interface = arrays[3];
  const real *weights = arrays[4], *hidden = arrays[5], *cell = arrays[6], *acts = arrays[7];
  const real *tolds = arrays[8], *contents = arrays[9], *borders = arrays[10];
  real *dM = arrays[11], *dweights = arrays[12], *dreads = arrays[13], *dhidden = arrays[14];
  real *dcell = arrays[15], *dprojected = arrays[16], *dtolds = arrays[17];
  real *M = scratch_((SEGMENT + 1) * wide), *inverse = scratch_(N), *v = scratch_(N + S);
  real *walked = scratch_(N + S), *shares = scratch_(S), *erased = scratch_(s.V * W);
  real *dw = scratch_(H * N), *dv = scratch_(N), *scratch = scratch_(2 * N);
  real *dh = scratch_(B * D), *dcarried = scratch_(B * K), *dr = scratch_(W);
  for (size first = (T - 1) / SEGMENT * SEGMENT; first >= 0; first -= SEGMENT) {
    const size steps = T - first < SEGMENT ? T - first : SEGMENT;
    memcpy(M, borders + first / SEGMENT * wide, sizeof(real) * (size_t)wide);
    for (size j = 0; j < steps; j++)
      for (size b = 0; b < B; b++) {
        const real *f = tolds + ((first + j) * B + b) * I;
        for (size i = 0; i < s.V * W; i++) erased[i] = sigmoid_(f[s.erase + i]);
        write_all_(&s, weights + (((first + j + 1) * B + b) * H + R) * N, erased, f + s.add,
                   M + j * wide + b * W * N, M + (j + 1) * wide + b * W * N);
      }
    for (size t = first + steps - 1; t >= first; t--) {
      for (size b = 0; b < B; b++) {
        const size row = t * B + b;
        const real *f = tolds + row * I, *mp = M + (t - first) * wide + b * W * N;
        const real *mn = mp + wide, *next = weights + ((t + 1) * B + b) * H * N;
        real *d = dtolds + row * I, *dm = dM + b * W * N, *carry = dweights + b * H * N;
        memcpy(dw, carry, sizeof(real) * (size_t)(H * N));
        for (size h = 0; h < R; h++) {
          for (size w = 0; w < W; w++)
            dr[w] = drs[(row * R + h) * W + w] + dreads[(b * R + h) * W + w];
          read_back_(N, W, next + h * N, mn, dr, dm, dw + h * N);
        }
        for (size i = 0; i < s.V * W; i++) erased[i] = sigmoid_(f[s.erase + i]);
        write_all_back_(&s, next + R * N, erased, f + s.add, mp, dm, dw + R * N, d + s.erase,
                        d + s.add, scratch);
        for (size i = 0; i < s.V * W; i++) d[s.erase + i] *= erased[i] * (1 - erased[i]);
        inverse_lengths_(N, W, mp, inverse);
        for (size h = 0; h < H; h++) {
          const real *content = contents + (row * H + h) * N;
          const real *restrict last = weights + (row * H + h) * N;
          const real *restrict w = next + h * N;
          real *restrict g = dw + h * N, *restrict back = carry + h * N;
          const real gate = sigmoid_(f[s.gates + h]);
          const real exponent = 1 + softplus_(f[s.exponents + h]);
          interpolate_(&s, gate, content, last, v);
          softmax_(S, f + s.shifts + h * S, shares);
          real *restrict at = walked + k; /* what was walked, then its gradient, ends doubled */
          walk_(&s, shares, v, at);
          softmax_back_(N, w, g, 1, g);
          real dexponent = 0;
#pragma omp simd reduction(+ : dexponent)
          for (size i = 0; i < N; i++) {
            real moved = at[i] + TINY;
            dexponent += g[i] * log_(moved);
            at[i] = exponent * g[i] / moved;
          }
          for (size i = 0; i < k; i++) walked[i] = walked[N + i], walked[N + k + i] = at[i];
          real *dshares = d + s.shifts + h * S;
          real *restrict dv_ = dv;
          for (size i = 0; i < N; i++) dv_[i] = 0;
          for (size q = 0; q < S; q++) {
            const real *restrict to = walked + q;
            real share = shares[q];
            dshares[q] = dot_(N, at, v + (S - 1 - q));
            SIMD for (size i = 0; i < N; i++) dv_[i] += share * to[i];
          }
          softmax_back_(S, shares, dshares, 1, dshares);
          real dgate = 0;
#pragma omp simd reduction(+ : dgate)
          for (size i = 0; i < N; i++) {
            dgate += dv_[i] * (content[i] - last[i]);
            back[i] = (1 - gate) * dv_[i];
            dv_[i] *= gate;
          }
          real strength = softplus_(f[s.strengths + h]);
          real dstrength = find_back_(N, W, f + h * W, strength, mp, inverse, content, dv,
                                      d + h * W, dm, scratch);
          d[s.strengths + h] = dstrength * softplus_slope_(f[s.strengths + h]);
          d[s.exponents + h] = dexponent * softplus_slope_(f[s.exponents + h]);
          d[s.gates + h] = dgate * gate * (1 - gate);
        }
      }
      product_(B, D, I, dtolds + t * B * I, I, interface, dh);
      SIMD for (size i = 0; i < B * D; i++) dh[i] += dhs[t * B * D + i] + dhidden[i];
      controller_backward_(s.kind, B, D, acts + t * B * G, hidden + t * B * D,
                           cell + cells * t * B * D, cell + cells * (t + 1) * B * D, dh, dcell,
                           dprojected + t * B * G);
      product_(B, K, G, dprojected + t * B * G, G, weight, dcarried);
      carry_back_(s.kind, B, D, R * W, dcarried, dh, dreads, dhidden);
    }
  }
  free(M), free(inverse), free(v), free(walked), free(shares), free(erased), free(dw), free(dv);
  free(scratch), free(dh), free(dcarried), free(dr);
}
