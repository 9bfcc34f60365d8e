/* What a watched training step looks at, for float (suffix _f32) and double (suffix _f64). */
#ifndef PYNN_WATCH_H
#define PYNN_WATCH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

#define PN_WATCH_BLOCK 512 /* elements that are summed in single precision */
#define PN_WATCH_LANES 8 /* columns at a time, whose counts and sums stay in registers */

#define PN_REAL float
#define PN_COUNT int32_t
#define PN_(name) name##_f32
#define PN_FABS fabsf
#include "watch_impl.h"

#define PN_REAL double
#define PN_COUNT int64_t
#define PN_(name) name##_f64
#define PN_FABS fabs
#include "watch_impl.h"

#endif
