/* The functions of activate.h. */
#include "activations/activate.h"

#define PN_WHOLE_SPANS
#include "activations/elementwise.h"
