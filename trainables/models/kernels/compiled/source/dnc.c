#include "dnc.h"

/* With options; a file of its own, so that two compilers share the work */
void dnc_forward_with_options(Shape s, real *const *arrays);
void dnc_backward_with_options(Shape s, real *const *arrays);

/* The memory of 2016 is known when this is compiled, and its usual number of slots, so that loops over
 * them are unrolled */
#define EXPORTED_(name)                                        \
  EXPORT void name(const size *sizes, real *const *arrays) {   \
    const Shape s = shape_(sizes);                             \
    Shape plain = s;                                           \
    plain.masked = plain.erases_freed = plain.sharpened = 0;   \
    if (s.masked | s.erases_freed | s.sharpened)               \
      name##_with_options(s, arrays);                          \
    else if (s.N == 64)                                        \
      name##_(64, plain, arrays);                              \
    else                                                       \
      name##_(s.N, plain, arrays);                             \
  }

EXPORTED_(dnc_forward)
EXPORTED_(dnc_backward)
