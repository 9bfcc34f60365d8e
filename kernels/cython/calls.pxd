# The Python function of a kernel calls its C function through `make`, which records the call during a recording.
from cpython.pycapsule cimport PyCapsule_Import

cdef extern from "common/runtime.h" nogil:
    ctypedef int (*pn_kernel)(void* call) noexcept nogil
    ctypedef struct pn_runtime:
        int (*record)(pn_kernel, const void*, size_t, int, void*, const double*) except -1
        int (*recording)() noexcept nogil
    const pn_runtime* pn_the_runtime


cdef inline int import_runtime() except -1:
    """Connect this module to the thread team and recordings; every kernel module calls this on import."""
    global pn_the_runtime
    pn_the_runtime = <const pn_runtime*>PyCapsule_Import("pynn.kernels.cython.runtime.table", 0)
    return 0


cdef inline bint make(
    pn_kernel kernel, void* call, size_t bytes, int reads, tuple arrays, double* result=NULL
) except -1:
    """Call the kernel without the GIL, and record the call if this thread is recording; return whether it succeeded.

    The first members of the struct `call` are the addresses of `arrays`, in any order, NULL for None. The kernel reads
    the first `reads` arrays (it may write them, too) and overwrites the others. `result`, if not NULL, points to
    the member of `call` that receives the call's value.
    """
    cdef int failed
    if pn_the_runtime.recording():
        pn_the_runtime.record(kernel, call, bytes, reads, <void*>arrays, result)
    with nogil:
        failed = kernel(call)
    return not failed


cdef extern from "common/runtime.h" nogil:
    ctypedef void (*pn_task)(void* argument, int index) noexcept nogil
    void pn_parallel(pn_task task, void* argument, int count)
    int pn_parts(double size, double grain)
    Py_ssize_t pn_part_start(Py_ssize_t n, Py_ssize_t step, int part, int parts)
