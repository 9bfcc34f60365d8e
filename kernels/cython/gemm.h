/* Packed, register-tiled matrix multiply (Goto & van de Geijn 2008; Van Zee & van de Geijn, BLIS, 2015).
 *
 * C (m, n) = or += op(A) (m, k) op(B) (k, n), then bias and activation. Operands are read through row and column
 * strides, so that the four transpositions differ only in packing. Blocks of B (KC x NC) and A (MC x KC) are copied into
 * panels of NR columns and MR rows, padded with zeros, which the micro-kernel reads in order.
 */
#ifndef PYNN_GEMM_H
#define PYNN_GEMM_H

#include <stdlib.h>

#include "elementwise.h"
#include "workspace.h"

#define PN_REAL float
#define PN_(name) name##_f32
#include "gemm_impl.h"

#define PN_REAL double
#define PN_(name) name##_f64
#include "gemm_impl.h"

#endif
