/* The differentiable neural computer, after the map of its inputs into the controller.
 *
 * sizes: T, B, D, controller, N, W, R read heads, then whether there are links, keys have masks,
 * what is freed is erased, what links lead to is sharpened (never without links), and whether to keep
 * what going back needs. States stand in slots as in ntm.c.
 */
#include "allocation.h"
#include "controller.h"
#include "links.h"
#include "masks.h"
#include "powers.h"
#include "slots.h"

typedef struct {
  size T, B, D, kind, N, W, R, links, masked, erases_freed, sharpened, keep;
  size G, K, I; /* widths of gates, product, interface */
  /* where they start in the interface */
  size strengths, erase, free, allocate, gate, add, modes, masks, exponents;
} Shape;

static Shape shape_(const size *n) {
  Shape s = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11],
             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  s.G = s.kind >= GRU ? 4 * s.D : s.D;
  s.K = s.R * s.W + (s.kind == FEED_FORWARD ? 0 : s.D);
  s.strengths = (s.R + 1) * s.W; /* keys first, the writing head's last */
  s.erase = s.strengths + s.R + 1;
  s.free = s.erase + s.W;
  s.allocate = s.free + s.R;
  s.gate = s.allocate + 1;
  s.add = s.gate + 1;
  s.modes = s.add + s.W;
  s.masks = s.modes + 3 * s.R * s.links;
  s.exponents = s.masks + s.strengths * s.masked; /* of all backward, then of all forward */
  s.I = s.exponents + 2 * s.R * s.sharpened;
  return s;
}

/* Where head h finds its key, f being what the memory is told. inverse: the slots' inverse lengths,
 * or N numbers of scratch if keys have masks; mask: W of scratch */
INLINE void content_(const size N, const Shape *s, const real *f, size h, const real *M,
                     real *inverse, real *restrict mask, real *found) {
  const real *key = f + h * s->W, strength = 1 + softplus_(f[s->strengths + h]);
  if (s->masked) {
    const real *restrict told = f + s->masks + h * s->W;
    SIMD for (size w = 0; w < s->W; w++) mask[w] = sigmoid_(told[w]);
    masked_find_(N, s->W, key, mask, strength, M, inverse, found);
  } else {
    find_(N, s->W, key, strength, M, inverse, found);
  }
}

/* Going back through `content_`, to the gradients d in what is told and in M (added to); dfound is
 * spoilt. scratch: 3 N */
INLINE void content_back_(const size N, const Shape *s, const real *f, size h, const real *M,
                          const real *inverse, const real *found, real *dfound,
                          real *restrict mask, real *d, real *dM, real *scratch) {
  const size W = s->W;
  const real *key = f + h * W, told_strength = f[s->strengths + h];
  const real strength = 1 + softplus_(told_strength);
  real dstrength;
  if (s->masked) {
    const real *restrict told = f + s->masks + h * W;
    real *restrict dmask = d + s->masks + h * W;
    SIMD for (size w = 0; w < W; w++) mask[w] = sigmoid_(told[w]);
    dstrength = masked_find_back_(N, W, key, mask, strength, M, found, dfound, d + h * W, dmask, dM,
                                  scratch);
    SIMD for (size w = 0; w < W; w++) dmask[w] *= mask[w] * (1 - mask[w]);
  } else {
    dstrength = find_back_(N, W, key, strength, M, inverse, found, dfound, d + h * W, dM, scratch);
  }
  d[s->strengths + h] = dstrength * softplus_slope_(told_strength);
}

/* arrays: projected (T B G), W^T (K G), interface^T (D I) and its bias, then states: memories
 * (B W N) and links (B N N) at the start, made into those at the end; usage (N a row), write
 * weights (N), read weights (R N), precedence (N), reads, hidden, cell; then what is kept: act (G),
 * told (I), contents ((R + 1) N, the writing head's last), where links lead if that is sharpened
 * (2 R N, backward and forward), order (N int32), memories and links at the segments' starts */
INLINE void dnc_forward_(const size N, const Shape s, real *const *arrays) {
  const size T = s.T, B = s.B, D = s.D, W = s.W, R = s.R, G = s.G, K = s.K, I = s.I;
  const size cells = s.kind == LSTM, linked = s.links * N;
  const real *projected = arrays[0], *WT = arrays[1], *interfaceT = arrays[2];
  const real *restrict bias = arrays[3];
  real *M = arrays[4], *L = arrays[5], *usages = arrays[6], *writes = arrays[7];
  real *readings = arrays[8], *precedences = arrays[9], *reads = arrays[10], *hidden = arrays[11];
  real *cell = arrays[12], *acts = arrays[13], *tolds = arrays[14], *contents = arrays[15];
  real *ways = arrays[16];
  int32_t *orders = (int32_t *)arrays[17];
  real *memory_borders = arrays[18], *link_borders = arrays[19];
  real *carried = scratch_(B * K), *gates = scratch_(B * G), *inverse = scratch_(N);
  real *erased = scratch_(W), *kept_share = scratch_(N), *allocated = scratch_(N);
  real *backward = scratch_(R * N), *forward = scratch_(R * N), *nothing = scratch_(N);
  real *mask = scratch_(W), *off = off_diagonal_(N);
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
      retained_(N, R, f + s.free, last_reading, -1, kept_share);
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
      if (!s.masked) inverse_lengths_(N, W, m, inverse);
      content_(N, &s, f, R, m, inverse, mask, content);
      const real allocate = sigmoid_(f[s.allocate]), gate = sigmoid_(f[s.gate]);
      real written = 0;
#pragma omp simd reduction(+ : written)
      for (size i = 0; i < N; i++) {
        write[i] = gate * (allocate * allocated[i] + (1 - allocate) * content[i]);
        written += write[i];
      }
      for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
      if (s.erases_freed) hold_(N, W, kept_share, m, m);
      write_(N, W, write, erased, f + s.add, m, m);
      if (s.links) {
        real *restrict precedence = precedences + new * N;
        follow_(N, R, write, last_precedence, last_reading, off, L + b * N * N, backward,
                forward);
        SIMD for (size i = 0; i < N; i++)
          precedence[i] = (1 - written) * last_precedence[i] + write[i];
      }
      if (!s.masked) inverse_lengths_(N, W, m, inverse);
      for (size h = 0; h < R; h++) {
        real *restrict here = contents + ((kept * B + b) * (R + 1) + h) * N;
        real *restrict reading = readings + (new * R + h) * N;
        content_(N, &s, f, h, m, inverse, mask, here);
        if (s.sharpened) {
          real *way = ways + ((kept * B + b) * 2 * R + h) * N, *led = backward + h * N;
          for (size turn = 0; turn < 2; turn++, way += R * N, led = forward + h * N) {
            memcpy(way, led, sizeof(real) * (size_t)N);
            raise_(N, way, 1 + softplus_(f[s.exponents + turn * R + h]), led);
          }
        }
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
  free(mask);
}

/* arrays: dhidden (T B D), dreads (T B R W): the gradients in what came out; W (G K), interface
 * (I D), then usage, write weights, read weights, precedence, hidden, cell, act, told, contents,
 * ways, order and the borders as they were left; the gradients in the last state, made into those in
 * the first: dM, dL, dusage, dwrite, dreading, dprecedence, dreads, dhidden, dcell; at last
 * dprojected (T B G) and dtold (T B I) */
INLINE void dnc_backward_(const size N, const Shape s, real *const *arrays) {
  const size T = s.T, B = s.B, D = s.D, W = s.W, R = s.R, G = s.G, K = s.K, I = s.I;
  const size cells = s.kind == LSTM, wide = B * W * N, square = B * N * N * s.links;
  const real *dhs = arrays[0], *drs = arrays[1], *weight = arrays[2], *interface = arrays[3];
  const real *usages = arrays[4], *writes = arrays[5], *readings = arrays[6];
  const real *precedences = arrays[7], *hidden = arrays[8], *cell = arrays[9], *acts = arrays[10];
  const real *tolds = arrays[11], *contents = arrays[12], *ways = arrays[13];
  const int32_t *orders = (const int32_t *)arrays[14];
  const real *memory_borders = arrays[15], *link_borders = arrays[16];
  real *dM = arrays[17], *dL = arrays[18], *dusage = arrays[19], *dwrite = arrays[20];
  real *dreading = arrays[21], *dprecedence = arrays[22], *dreads = arrays[23];
  real *dhidden = arrays[24], *dcell = arrays[25], *dprojected = arrays[26];
  real *dtolds = arrays[27];
  real *M = scratch_((SEGMENT + 1) * wide), *L = scratch_(SEGMENT * square);
  real *inverse = scratch_(N), *erased = scratch_(W), *dr = scratch_(W);
  real *scratch = scratch_((R + 2) * N);
  real *g = scratch_(R * N), *dw = scratch_(N), *dcontent = scratch_(N), *dallocated = scratch_(N);
  real *others = scratch_(N), *allocated = scratch_(N), *last_dreading = scratch_(R * N);
  real *last_dprecedence = scratch_(N), *shares = scratch_(3 * R), *dshares = scratch_(3 * R);
  real *dh = scratch_(B * D), *dcarried = scratch_(B * K), *du = scratch_(N);
  real *off = off_diagonal_(N), *mask = scratch_(W);
  real *held = scratch_(s.erases_freed * W * N), *dheld = scratch_(N);
  real *dways = scratch_(2 * R * N * s.sharpened);
  real *ones = scratch_(3 * R), *unasked = scratch_(3 * R);
  for (size i = 0; i < 3 * R; i++) ones[i] = 1;
  for (size first = (T - 1) / SEGMENT * SEGMENT; first >= 0; first -= SEGMENT) {
    const size steps = T - first < SEGMENT ? T - first : SEGMENT;
    memcpy(M, memory_borders + first / SEGMENT * wide, sizeof(real) * (size_t)wide);
    memcpy(L, link_borders + first / SEGMENT * square, sizeof(real) * (size_t)square);
    for (size j = 0; j < steps; j++)
      for (size b = 0; b < B; b++) {
        const size row = (first + j) * B + b;
        const real *f = tolds + row * I, *write = writes + (row + B) * N;
        for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
        const real *from = M + j * wide + b * W * N;
        real *to = M + (j + 1) * wide + b * W * N;
        if (s.erases_freed) {
          retained_(N, R, f + s.free, readings + row * R * N, -1, others);
          hold_(N, W, others, from, to);
          from = to;
        }
        write_(N, W, write, erased, f + s.add, from, to);
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
        if (!s.masked) inverse_lengths_(N, W, mn, inverse);
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
          for (size turn = 0; turn < 2 * s.sharpened; turn++) {
            const size at = s.exponents + turn * R + h, mode = 3 * h + 2 * turn;
            d[at] = softplus_slope_(f[at]) *
                    raise_back_(N, ways + ((2 * row + turn) * R + h) * N, 1 + softplus_(f[at]), gh,
                                shares[mode], dshares + mode, dways + (turn * R + h) * N, scratch);
          }
          SIMD for (size i = 0; i < N; i++) dcontent[i] = share * gh[i];
          content_back_(N, &s, f, h, mn, inverse, here, dcontent, mask, d, dm, scratch);
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
          const real *links = L + (t - first) * square + b * N * N;
          const int apart = s.sharpened != 0; /* then the shares were met by raise_back_ */
          follow_back_(N, R, write, last, last_reading, off, links, apart ? dways : g,
                       apart ? dways + R * N : g, apart ? ones : shares, apart ? unasked : dshares,
                       last_dreading, dw, last_dprecedence, dL + b * N * N, scratch);
          memcpy(carry, last_dprecedence, sizeof(real) * (size_t)N);
          for (size h = 0; h < R; h++)
            softmax_back_(3, shares + 3 * h, dshares + 3 * h, 1, d + s.modes + 3 * h);
        }
        for (size w = 0; w < W; w++) erased[w] = sigmoid_(f[s.erase + w]);
        retained_(N, R, f + s.free, last_reading, -1, others);
        if (s.erases_freed) hold_(N, W, others, mp, held);
        write_back_(N, W, write, erased, f + s.add, s.erases_freed ? held : mp, dm, dw, d + s.erase,
                    d + s.add);
        if (s.erases_freed) hold_back_(N, W, others, mp, dm, dheld);
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
        if (!s.masked) inverse_lengths_(N, W, mp, inverse);
        content_back_(N, &s, f, R, mp, inverse, content, dcontent, mask, d, dm, scratch);
        memcpy(du, dusage + b * N, sizeof(real) * (size_t)N);
        allocation_back_(N, usage, order, dallocated, du, scratch);
        real *restrict last_du = dusage + b * N, *restrict last_dw = dwrite + b * N;
        SIMD for (size i = 0; i < N; i++) {
          const real u = last_usage[i] + last_write[i] - last_usage[i] * last_write[i];
          const real raw = u * others[i];
          du[i] = (raw >= 0) & (raw <= 1) ? du[i] : 0; /* where it was not clamped */
          last_du[i] = du[i] * others[i] * (1 - last_write[i]);
          last_dw[i] = du[i] * others[i] * (1 - last_usage[i]);
          du[i] *= u;
        }
        if (s.erases_freed) SIMD for (size i = 0; i < N; i++) du[i] += dheld[i];
        for (size h = 0; h < R; h++) {
          const real *restrict w = last_reading + h * N;
          real *restrict dread = last_dreading + h * N;
          const real freed = sigmoid_(f[s.free + h]);
          real dfreed = 0;
          retained_(N, R, f + s.free, last_reading, h, others);
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
  free(off), free(mask), free(held), free(dheld), free(dways), free(ones), free(unasked);
}

