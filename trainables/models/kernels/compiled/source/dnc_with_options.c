/* The DNC with options of which each may be on or off. */
#include "dnc.h"

void dnc_forward_with_options(Shape s, real *const *arrays) { dnc_forward_(s.N, s, arrays); }
void dnc_backward_with_options(Shape s, real *const *arrays) { dnc_backward_(s.N, s, arrays); }
