# Flushing denormal numbers to zero: exponentials that are denormal take twice as long to compute.
cdef extern from "common/platform.h" nogil:
    ctypedef int pn_float_mode  # of a size that differs between processors
    pn_float_mode pn_flush_denormals()
    void pn_restore_denormals(pn_float_mode)
