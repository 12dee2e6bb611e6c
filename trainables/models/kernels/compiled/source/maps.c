/* y = W x + b at every step. sizes: T, B, I, O, numbers from one step of x to the next, from one
 * sequence of x to the next, whether there is a bias
 */
#include "map.h"

/* arrays: x (T B I), W (O I), b, y (T B O) */
EXPORT void map_forward(const size *sizes, real *const *arrays) {
  const size M = sizes[0] * sizes[1], I = sizes[2], O = sizes[3];
  const Rows x = {arrays[0], sizes[1], sizes[4], sizes[5], I};
  real *panels = panels_(I, O, arrays[1], 1, I, sizes[6] ? arrays[2] : NULL), *room = scratch_(BLOCK * I);
  for (size first = 0; first < M; first += BLOCK) {
    const size rows = M - first < BLOCK ? M - first : BLOCK;
    size distance;
    const real *block = rows_(&x, first, rows, room, &distance);
    map_(rows, O, I, block, distance, panels, arrays[3] + first * O);
  }
  free(panels), free(room);
}

/* arrays: dy (T B O), x, W, dx (T B I), dW (O I), db */
EXPORT void map_backward(const size *sizes, real *const *arrays) {
  const size M = sizes[0] * sizes[1], I = sizes[2], O = sizes[3];
  const Rows x = {arrays[1], sizes[1], sizes[4], sizes[5], I};
  real *panels = panels_(O, I, arrays[2], I, 1, NULL), *room = scratch_(BLOCK * I);
  real *narrow = scratch_(BLOCK * PANEL);
  memset(arrays[4], 0, sizeof(real) * (size_t)(O * I));
  if (sizes[6]) memset(arrays[5], 0, sizeof(real) * (size_t)O);
  for (size first = 0; first < M; first += BLOCK) {
    const size rows = M - first < BLOCK ? M - first : BLOCK;
    size distance;
    const real *block = rows_(&x, first, rows, room, &distance), *g = arrays[0] + first * O;
    map_(rows, I, O, g, O, panels, arrays[3] + first * I);
    outer_(rows, O, I, g, O, block, distance, arrays[4], narrow);
    if (sizes[6]) add_rows_(rows, O, g, arrays[5]);
  }
  free(panels), free(room), free(narrow);
}

/* The sum over all rows of g a^T. sizes: rows, O, N. arrays: g (rows O), a (rows N), W (O N) */
EXPORT void outer_sum(const size *sizes, real *const *arrays) {
  real *narrow = scratch_(BLOCK * PANEL);
  memset(arrays[2], 0, sizeof(real) * (size_t)(sizes[1] * sizes[2]));
  outer_(sizes[0], sizes[1], sizes[2], arrays[0], sizes[1], arrays[1], sizes[2], arrays[2], narrow);
  free(narrow);
}
