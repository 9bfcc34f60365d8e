/* Batch normalisation over the rows of a row-major matrix, for float (suffix _f32) and double (suffix _f64).
 *
 * While a batch is small it is worked on in strips of columns that stay in cache through all passes; a tall one in whole
 * rows, because a strip of it would be read from memory several times, and in pieces that prefetchers do not see. Both are
 * the same code, for a strip as wide as the matrix. C for the sake of `restrict`: with it the compiler need not check at
 * every row whether arrays overlap.
 */
#ifndef PYNN_BATCHNORM_H
#define PYNN_BATCHNORM_H

#include "elementwise.h"
#include "workspace.h"

#define PN_STRIP_BYTES 256           /* columns of a strip: 64 floats */
#define PN_STRIPS_MOST (128 * 1024)  /* of a strip, a share of the L2 cache: beyond, whole rows */
#define PN_BLOCK_MOST (128 * 1024)   /* of the rows that are summed at a time, which are read twice */

#define PN_REAL float
#define PN_(name) name##_f32
#include "batchnorm_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "batchnorm_impl.h"

#endif
