/* Attention whose positions are counted by gates (CoPE, Golovneva et al. 2024), from scores to weights.
 *
 * Query c stands at step o + c; it sees the last W steps up to its own, or all where W is 0. From its
 * own step back it counts the gates sigmoid(score) that are open, up to P - 1; a score is raised by
 * what stands for the count, between two whole numbers by what is between theirs.
 * sizes: N, C, S, P, o, W */
#include "real.h"

typedef struct {
  size from, seen; /* the first step that a query sees, and how many */
} span;

static span span_of(const size *sizes, size c) {
  const size last = sizes[4] + c, window = sizes[5];
  const size from = window && last - window + 1 > 0 ? last - window + 1 : 0;
  return (span){from, last - from + 1};
}

static void count(size n, size P, const real *restrict score, real *restrict gate,
                  real *restrict counted) {
  SIMD for (size i = 0; i < n; i++) gate[i] = sigmoid_(score[i]);
  const real most = (real)(P - 1);
  real open = 0;
  for (size i = n - 1; i >= 0; i--) {
    open += gate[i];
    counted[i] = open < most ? open : most;
  }
}

/* arrays: scores (N C S), numbers for each count (N C P), weights (N C S) */
EXPORT void contextual_forward(const size *sizes, real *const *arrays) {
  const size C = sizes[1], S = sizes[2], P = sizes[3];
  real *gate = scratch_(2 * S), *counted = gate + S;
  for (size row = 0; row < sizes[0] * C; row++) {
    const span own = span_of(sizes, row % C);
    const size n = own.seen;
    const real *restrict score = arrays[0] + row * S + own.from;
    const real *restrict at = arrays[1] + row * P;
    real *restrict weight = arrays[2] + row * S;
    memset(weight, 0, sizeof(real) * (size_t)S);
    weight += own.from;
    count(n, P, score, gate, counted);
    SIMD for (size i = 0; i < n; i++) {
      const int32_t below = (int32_t)counted[i];
      const real share = counted[i] - (real)below;
      const int32_t above = share > 0 ? below + 1 : below;
      weight[i] = score[i] + (at[above] * share + at[below] * (1 - share));
    }
    real most = weight[0], sum = 0;
#pragma omp simd reduction(max : most)
    for (size i = 0; i < n; i++) most = weight[i] > most ? weight[i] : most;
#pragma omp simd reduction(+ : sum)
    for (size i = 0; i < n; i++) sum += weight[i] = exp_(weight[i] - most);
    const real scale = 1 / sum;
    SIMD for (size i = 0; i < n; i++) weight[i] *= scale;
  }
  free(gate);
}

/* arrays: dweights, scores, numbers for each count, weights, dscores, dnumbers */
EXPORT void contextual_backward(const size *sizes, real *const *arrays) {
  const size C = sizes[1], S = sizes[2], P = sizes[3];
  real *gate = scratch_(2 * S), *counted = gate + S;
  for (size row = 0; row < sizes[0] * C; row++) {
    const span own = span_of(sizes, row % C);
    const size n = own.seen, at_row = row * S + own.from;
    const real *restrict g = arrays[0] + at_row, *restrict score = arrays[1] + at_row;
    const real *restrict at = arrays[2] + row * P, *restrict weight = arrays[3] + at_row;
    real *restrict dat = arrays[5] + row * P, *restrict dscore = arrays[4] + row * S;
    memset(dat, 0, sizeof(real) * (size_t)P);
    memset(dscore, 0, sizeof(real) * (size_t)S);
    dscore += own.from;
    count(n, P, score, gate, counted);
    const real along = dot_(n, weight, g);
    SIMD for (size i = 0; i < n; i++) dscore[i] = weight[i] * (g[i] - along);
    real before = 0; /* of all counts that a gate is in */
    for (size i = 0; i < n; i++) {
      const int32_t below = (int32_t)counted[i];
      const real d = dscore[i], share = counted[i] - (real)below;
      const int32_t above = share > 0 ? below + 1 : below;
      dat[below] += d * (1 - share);
      dat[above] += d * share;
      before += d * (at[above] - at[below]);
      dscore[i] = d + before * gate[i] * (1 - gate[i]);
    }
  }
  free(gate);
}
