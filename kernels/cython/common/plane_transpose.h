/* Planes of images transposed so that the elements at one place of as many planes as a vector has lanes lie side by
 * side, for float (_f32) and double (_f64): whatever a window looks at then is whole vectors. */
#ifndef PYNN_PLANE_TRANSPOSE_H
#define PYNN_PLANE_TRANSPOSE_H

#include <stddef.h>

#include "vector.h"
#include "transpose.h"

#define PN_REAL float
#define PN_(name) name##_f32
#include "plane_transpose_template.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "plane_transpose_template.h"

#endif
