/* Planes of images turned so that the elements at one place of as many planes as a vector has lanes lie side by side, for
 * float (_f32) and double (_f64): whatever a window looks at then is whole vectors. */
#ifndef PYNN_PLANES_H
#define PYNN_PLANES_H

#include <stddef.h>

#include "platform.h"
#include "transpose.h"

#define PN_REAL float
#define PN_(name) name##_f32
#include "planes_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "planes_impl.h"

#endif
