/* What the library is built for. */
#include "real.h"

EXPORT const char *target(void) { return TARGET; }

/* The elementary functions, one by one, for the tests. sizes: which, how many; arrays: x, y */
EXPORT void elementary(const size *sizes, real *const *arrays) {
  const real *x = arrays[0];
  real *y = arrays[1];
#define EACH(code, f) \
  if (sizes[0] == code) { SIMD for (size i = 0; i < sizes[1]; i++) y[i] = f(x[i]); }
  EACH(0, exp_)
  EACH(1, expm1_)
  EACH(2, log_)
  EACH(3, log1p_)
  EACH(4, sigmoid_)
  EACH(5, tanh_)
  EACH(6, softplus_)
}
