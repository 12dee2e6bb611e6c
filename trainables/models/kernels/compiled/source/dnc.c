/* The differentiable neural computer, after the map of its inputs into the controller.
 *
 * sizes: T, B, D, controller, N, W, R read heads, whether there are links, whether to keep what
 * going back needs. States stand in slots as in ntm.c.
 */
#include "controller.h"
#include "slots.h"

typedef struct {
  size T, B, D, kind, N, W, R, links, keep;
  size G, K, I;                                           /* widths of gates, product, interface */
  size strengths, erase, free, allocate, gate, add, modes; /* where they start in the interface */
} Shape;

static Shape shape_(const size *n) {
  Shape s = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  s.G = s.kind >= GRU ? 4 * s.D : s.D;
  s.K = s.R * s.W + (s.kind == FEED_FORWARD ? 0 : s.D);
  s.strengths = (s.R + 1) * s.W; /* keys first, the writing head's last */
  s.erase = s.strengths + s.R + 1;
  s.free = s.erase + s.W;
  s.allocate = s.free + s.R;
  s.gate = s.allocate + 1;
  s.add = s.gate + 1;
  s.modes = s.add + s.W;
  s.I = s.modes + 3 * s.R * s.links;
  return s;
}

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

/* prod_r (1 - f_r w_r), but for head `left`; free gates as they are told */
INLINE void retained_(const size N, const Shape *s, const real *f, const real *reading, size left,
                      real *restrict kept) {
  for (size i = 0; i < N; i++) kept[i] = 1;
  for (size h = 0; h < s->R; h++) {
    if (h == left) continue;
    const real *restrict w = reading + h * N;
    const real gate = sigmoid_(f[s->free + h]);
    SIMD for (size i = 0; i < N; i++) kept[i] *= 1 - gate * w[i];
  }
}

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
INLINE void follow_(const size N, const Shape *s, const real *write, const real *precedence, const real *reading,
                    const real *off, real *links, real *backward, real *forward) {
  const real *restrict w = write, *restrict p = precedence;
  for (size i = 0; i < s->R * N; i++) backward[i] = 0;
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
    for (size h = 1; h < s->R; h++) {
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

/* Going back through `follow_`: from the gradients g (R N) in the read weights and the modes' shares
 * (3 R) to those in the modes' shares, in what was read last, in the write weights, in the last
 * precedence (all added to) and in the links, from after to before. scratch: (R + 1) N */
INLINE void follow_back_(const size N, const Shape *s, const real *write, const real *precedence,
                         const real *reading, const real *off, const real *last, const real *g,
                         const real *shares, real *dshares, real *dreading, real *dwrite,
                         real *dprecedence, real *dlinks, real *scratch) {
  const real *restrict w = write, *restrict p = precedence;
  real *dwrite_i = scratch, *dreading_i = scratch + N;
  real *restrict dw = dwrite, *restrict dp = dprecedence;
  for (size i = 0; i < N; i++) {
    const real *restrict others = off + N - 1 - i, *restrict old = last + i * N;
    real *restrict d = dlinks + i * N;
    const real mine = w[i];
    for (size h = 1; h < s->R; h++) {
      const real *restrict read = reading + h * N, *restrict gh = g + h * N;
      real *restrict dread = dreading + h * N;
      const real ahead = shares[3 * h + 2] * gh[i], back = shares[3 * h] * read[i];
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
      dshares[3 * h + 2] += gh[i] * forwards;
    }
    const real *restrict read = reading, *restrict gh = g;
    real *restrict dread = dreading;
    const real ahead = shares[2] * gh[i], back = shares[0] * read[i];
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
    dshares[2] += gh[i] * forwards;
    dwrite_i[i] = sum;
  }
  for (size i = 0; i < s->R * N; i++) dreading[i] += dreading_i[i];
  for (size i = 0; i < N; i++) dw[i] += dwrite_i[i];
}

/* arrays: projected (T B G), W^T (K G), interface^T (D I) and its bias, then states: memories
 * (B W N) and links (B N N) at the start, made into those at the end; usage (N a row), write
 * weights (N), read weights (R N), precedence (N), reads, hidden, cell; then what is kept: act (G),
 * told (I), contents ((R + 1) N, the writing head's last), order (N int32), memories and links at
 * the segments' starts */
INLINE void dnc_forward_(const size N, const Shape s, real *const *arrays) {
  const size T = s.T, B = s.B, D = s.D, W = s.W, R = s.R, G = s.G, K = s.K, I = s.I;
  const size cells = s.kind == LSTM, linked = s.links * N;
  const real *projected = arrays[0], *WT = arrays[1], *interfaceT = arrays[2];
  const real *restrict bias = arrays[3];
  real *M = arrays[4], *L = arrays[5], *usages = arrays[6], *writes = arrays[7];
  real *readings = arrays[8], *precedences = arrays[9], *reads = arrays[10], *hidden = arrays[11];
  real *cell = arrays[12], *acts = arrays[13], *tolds = arrays[14], *contents = arrays[15];
  int32_t *orders = (int32_t *)arrays[16];
  real *memory_borders = arrays[17], *link_borders = arrays[18];
  real *carried = scratch_(B * K), *gates = scratch_(B * G), *inverse = scratch_(N);
  real *erased = scratch_(W), *kept_share = scratch_(N), *allocated = scratch_(N);
  real *backward = scratch_(R * N), *forward = scratch_(R * N), *nothing = scratch_(N);
  real *off = off_diagonal_(N);
  int32_t *sorting = malloc(sizeof(int32_t) * (size_t)N), *order = malloc(sizeof(int32_t) * (size_t)(B * N));
  if (!sorting || !order) abort();
  for (size i = 0; i < B * N; i++) order[i] = (int32_t)(i % N);
  for (size t = 0; t < T; t++) {
    const size now = s.keep ? t + 1 : (t + 1) & 1, before = s.keep ? t : t & 1;
    const size kept = s.keep ? t : 0;
    if (s.keep && t % SEGMENT == 0) {
      const size at = t / SEGMENT * B;
      memcpy(memory_borders + at * W * N, M, sizeof(real) * (size_t)(B * W * N));
      memcpy(link_borders + at * linked * linked, L, sizeof(real) * (size_t)(B * linked * linked));
    }
    carry_(s.kind, B, D, R * W, reads + t * B * R * W, hidden + t * B * D, carried);
    product_(B, G, K, carried, K, WT, gates);
    real *told = tolds + kept * B * I;
    controller_forward_(s.kind, B, D, projected + t * B * G, gates, hidden + t * B * D,
                        cell + cells * before * B * D, acts + kept * B * G,
                        hidden + (t + 1) * B * D, cell + cells * now * B * D);
    product_(B, I, D, hidden + (t + 1) * B * D, D, interfaceT, told);
    for (size b = 0; b < B; b++) {
      const size old = before * B + b, new = now * B + b;
      real *restrict f = told + b * I, *m = M + b * W * N;
      SIMD for (size i = 0; i < I; i++) f[i] += bias[i];
      const real *restrict last_usage = usages + old * N, *restrict last_write = writes + old * N;
      const real *last_reading = readings + old * R * N;
      const real *restrict last_precedence = s.links ? precedences + old * N : nothing;
      real *restrict usage = usages + new * N, *restrict write = writes + new * N;
      retained_(N, &s, f, last_reading, -1, kept_share);
      SIMD for (size i = 0; i < N; i++) {
        real u = last_usage[i] + last_write[i] - last_usage[i] * last_write[i];
        u *= kept_share[i];
        u = u < 0 ? 0 : u;
        usage[i] = u > 1 ? 1 : u;
      }
      sort_(N, usage, order + b * N, sorting);
      if (s.keep) memcpy(orders + (t * B + b) * N, order + b * N, sizeof(int32_t) * (size_t)N);
      allocation_(N, usage, order + b * N, allocated);
      real *restrict content = contents + ((kept * B + b) * (R + 1) + R) * N;
      inverse_lengths_(N, W, m, inverse);
      find_(N, W, f + R * W, 1 + softplus_(f[s.strengths + R]), m, inverse, content);
      const real allocate = sigmoid_(f[s.allocate]), gate = sigmoid_(f[s.gate]);
      real written = 0;
#pragma omp simd reduction(+ : written)
      for (size i = 0; i < N; i++) {
        write[i] = gate * (allocate * allocated[i] + (1 - allocate) * content[i]);
        written += write[i];
      }
      for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
      write_(N, W, write, erased, f + s.add, m, m);
      if (s.links) {
        real *restrict precedence = precedences + new * N;
        follow_(N, &s, write, last_precedence, last_reading, off, L + b * N * N, backward,
                forward);
        SIMD for (size i = 0; i < N; i++)
          precedence[i] = (1 - written) * last_precedence[i] + write[i];
      }
      inverse_lengths_(N, W, m, inverse);
      for (size h = 0; h < R; h++) {
        real *restrict here = contents + ((kept * B + b) * (R + 1) + h) * N;
        real *restrict reading = readings + (new * R + h) * N;
        find_(N, W, f + h * W, 1 + softplus_(f[s.strengths + h]), m, inverse, here);
        if (s.links) {
          const real *restrict back = backward + h * N, *restrict ahead = forward + h * N;
          real shares[3];
          softmax_(3, f + s.modes + 3 * h, shares);
          SIMD for (size i = 0; i < N; i++)
            reading[i] = shares[0] * back[i] + shares[1] * here[i] + shares[2] * ahead[i];
        } else {
          memcpy(reading, here, sizeof(real) * (size_t)N);
        }
        read_(N, W, reading, m, reads + (((t + 1) * B + b) * R + h) * W);
      }
    }
  }
  free(carried), free(gates), free(inverse), free(erased), free(kept_share), free(allocated);
  free(backward), free(forward), free(nothing), free(sorting), free(order), free(off);
}

/* arrays: dhidden (T B D), dreads (T B R W): the gradients in what came out; W (G K), interface
 * (I D), then usage, write weights, read weights, precedence, hidden, cell, act, told, contents,
 * order and the borders as they were left; the gradients in the last state, made into those in the
 * first: dM, dL, dusage, dwrite, dreading, dprecedence, dreads, dhidden, dcell; at last dprojected
 * (T B G) and dtold (T B I) */
INLINE void dnc_backward_(const size N, const Shape s, real *const *arrays) {
  const size T = s.T, B = s.B, D = s.D, W = s.W, R = s.R, G = s.G, K = s.K, I = s.I;
  const size cells = s.kind == LSTM, wide = B * W * N, square = B * N * N * s.links;
  const real *dhs = arrays[0], *drs = arrays[1], *weight = arrays[2], *interface = arrays[3];
  const real *usages = arrays[4], *writes = arrays[5], *readings = arrays[6];
  const real *precedences = arrays[7], *hidden = arrays[8], *cell = arrays[9], *acts = arrays[10];
  const real *tolds = arrays[11], *contents = arrays[12];
  const int32_t *orders = (const int32_t *)arrays[13];
  const real *memory_borders = arrays[14], *link_borders = arrays[15];
  real *dM = arrays[16], *dL = arrays[17], *dusage = arrays[18], *dwrite = arrays[19];
  real *dreading = arrays[20], *dprecedence = arrays[21], *dreads = arrays[22];
  real *dhidden = arrays[23], *dcell = arrays[24], *dprojected = arrays[25];
  real *dtolds = arrays[26];
  real *M = scratch_((SEGMENT + 1) * wide), *L = scratch_(SEGMENT * square);
  real *inverse = scratch_(N), *erased = scratch_(W), *scratch = scratch_((R + 2) * N), *dr = scratch_(W);
  real *g = scratch_(R * N), *dw = scratch_(N), *dcontent = scratch_(N), *dallocated = scratch_(N);
  real *others = scratch_(N), *allocated = scratch_(N), *last_dreading = scratch_(R * N);
  real *last_dprecedence = scratch_(N), *shares = scratch_(3 * R), *dshares = scratch_(3 * R);
  real *dh = scratch_(B * D), *dcarried = scratch_(B * K), *du = scratch_(N);
  real *off = off_diagonal_(N);
  for (size first = (T - 1) / SEGMENT * SEGMENT; first >= 0; first -= SEGMENT) {
    const size steps = T - first < SEGMENT ? T - first : SEGMENT;
    memcpy(M, memory_borders + first / SEGMENT * wide, sizeof(real) * (size_t)wide);
    memcpy(L, link_borders + first / SEGMENT * square, sizeof(real) * (size_t)square);
    for (size j = 0; j < steps; j++)
      for (size b = 0; b < B; b++) {
        const size row = (first + j) * B + b;
        const real *f = tolds + row * I, *write = writes + (row + B) * N;
        for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
        write_(N, W, write, erased, f + s.add, M + j * wide + b * W * N,
               M + (j + 1) * wide + b * W * N);
        if (s.links && j + 1 < steps)
          link_(N, write, precedences + row * N, off, L + j * square + b * N * N,
                L + (j + 1) * square + b * N * N);
      }
    for (size t = first + steps - 1; t >= first; t--) {
      for (size b = 0; b < B; b++) {
        const size row = t * B + b, after = row + B;
        const real *f = tolds + row * I, *mp = M + (t - first) * wide + b * W * N, *mn = mp + wide;
        const real *restrict write = writes + after * N, *restrict last_write = writes + row * N;
        const real *restrict usage = usages + after * N, *restrict last_usage = usages + row * N;
        const real *reading = readings + after * R * N, *last_reading = readings + row * R * N;
        real *d = dtolds + row * I, *dm = dM + b * W * N;
        memcpy(dw, dwrite + b * N, sizeof(real) * (size_t)N);
        memcpy(g, dreading + b * R * N, sizeof(real) * (size_t)(R * N));
        for (size i = 0; i < R * N; i++) last_dreading[i] = 0;
        inverse_lengths_(N, W, mn, inverse);
        for (size h = 0; h < R; h++) {
          const real *restrict here = contents + (row * (R + 1) + h) * N;
          real *restrict gh = g + h * N;
          for (size w = 0; w < W; w++)
            dr[w] = drs[(row * R + h) * W + w] + dreads[(b * R + h) * W + w];
          read_back_(N, W, reading + h * N, mn, dr, dm, gh);
          real share = 1;
          if (s.links) {
            softmax_(3, f + s.modes + 3 * h, shares + 3 * h);
            share = shares[3 * h + 1];
            dshares[3 * h] = dshares[3 * h + 2] = 0;
            dshares[3 * h + 1] = dot_(N, gh, here);
          }
          SIMD for (size i = 0; i < N; i++) dcontent[i] = share * gh[i];
          const real strength = 1 + softplus_(f[s.strengths + h]);
          const real dstrength = find_back_(N, W, f + h * W, strength, mn, inverse, here, dcontent,
                                            d + h * W, dm, scratch);
          d[s.strengths + h] = dstrength * softplus_slope_(f[s.strengths + h]);
        }
        if (s.links) {
          const real *restrict last = precedences + row * N;
          real *restrict carry = dprecedence + b * N;
          real written = 0, dwritten = dot_(N, carry, last);
          for (size i = 0; i < N; i++) written += write[i];
          SIMD for (size i = 0; i < N; i++) {
            dw[i] += carry[i] - dwritten;
            last_dprecedence[i] = (1 - written) * carry[i];
          }
          follow_back_(N, &s, write, last, last_reading, off, L + (t - first) * square + b * N * N,
                       g, shares, dshares, last_dreading, dw, last_dprecedence, dL + b * N * N,
                       scratch);
          memcpy(carry, last_dprecedence, sizeof(real) * (size_t)N);
          for (size h = 0; h < R; h++)
            softmax_back_(3, shares + 3 * h, dshares + 3 * h, 1, d + s.modes + 3 * h);
        }
        for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
        write_back_(N, W, write, erased, f + s.add, mp, dm, dw, d + s.erase, d + s.add);
        for (size w = 0; w < W; w++) d[s.erase + w] *= erased[w] * (1 - erased[w]);
        const int32_t *order = orders + row * N;
        const real *restrict content = contents + (row * (R + 1) + R) * N;
        const real allocate = sigmoid_(f[s.allocate]), gate = sigmoid_(f[s.gate]);
        real dgate = 0, dallocate = 0;
        allocation_(N, usage, order, allocated);
#pragma omp simd reduction(+ : dgate, dallocate)
        for (size i = 0; i < N; i++) {
          const real x = gate * dw[i];
          dgate += dw[i] * (allocate * allocated[i] + (1 - allocate) * content[i]);
          dallocate += x * (allocated[i] - content[i]);
          dallocated[i] = allocate * x;
          dcontent[i] = (1 - allocate) * x;
        }
        d[s.gate] = dgate * gate * (1 - gate);
        d[s.allocate] = dallocate * allocate * (1 - allocate);
        inverse_lengths_(N, W, mp, inverse);
        const real strength = 1 + softplus_(f[s.strengths + R]);
        const real dstrength = find_back_(N, W, f + R * W, strength, mp, inverse, content, dcontent,
                                          d + R * W, dm, scratch);
        d[s.strengths + R] = dstrength * softplus_slope_(f[s.strengths + R]);
        memcpy(du, dusage + b * N, sizeof(real) * (size_t)N);
        allocation_back_(N, usage, order, dallocated, du, scratch);
        real *restrict last_du = dusage + b * N, *restrict last_dw = dwrite + b * N;
        retained_(N, &s, f, last_reading, -1, others);
        SIMD for (size i = 0; i < N; i++) {
          const real u = last_usage[i] + last_write[i] - last_usage[i] * last_write[i];
          const real raw = u * others[i];
          du[i] = (raw >= 0) & (raw <= 1) ? du[i] : 0; /* where it was not clamped */
          last_du[i] = du[i] * others[i] * (1 - last_write[i]);
          last_dw[i] = du[i] * others[i] * (1 - last_usage[i]);
          du[i] *= u;
        }
        for (size h = 0; h < R; h++) {
          const real *restrict w = last_reading + h * N;
          real *restrict dread = last_dreading + h * N;
          const real freed = sigmoid_(f[s.free + h]);
          real dfreed = 0;
          retained_(N, &s, f, last_reading, h, others);
#pragma omp simd reduction(+ : dfreed)
          for (size i = 0; i < N; i++) {
            dfreed -= du[i] * others[i] * w[i];
            dread[i] -= du[i] * others[i] * freed;
          }
          d[s.free + h] = dfreed * freed * (1 - freed);
        }
        memcpy(dreading + b * R * N, last_dreading, sizeof(real) * (size_t)(R * N));
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
  free(M), free(L), free(inverse), free(erased), free(scratch), free(dr), free(g), free(dw);
  free(dcontent), free(dallocated), free(others), free(allocated), free(last_dreading);
  free(last_dprecedence), free(shares), free(dshares), free(dh), free(dcarried), free(du);
  free(off);
}

/* The usual number of slots is known when this is compiled, so that loops over them are unrolled */
#define EXPORTED_(name)                                      \
  EXPORT void name(const size *sizes, real *const *arrays) { \
    const Shape s = shape_(sizes);                           \
    if (s.N == 64) name##_(64, s, arrays);                   \
    else name##_(s.N, s, arrays);                            \
  }

EXPORTED_(dnc_forward)
EXPORTED_(dnc_backward)
