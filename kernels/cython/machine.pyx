"""Peak throughput of the machine, for the benchmark; no op uses this module."""

cimport numpy as cnp

from .arrays cimport data
from .calls cimport import_runtime, pn_parallel, pn_task

cnp.import_array()
import_runtime()

cdef extern from "common/machine.h" nogil:
    enum:
        PN_OPERATIONS_F32
        PN_OPERATIONS_F64
    ctypedef struct pn_machine_sums:
        Py_ssize_t rounds
        double start
        double factor
        double term
        double sink
    ctypedef struct pn_machine_copy:
        char* target
        const char* source
        Py_ssize_t bytes
        int parts
    void pn_multiply_adds_f32(void* argument, int index) noexcept
    void pn_multiply_adds_f64(void* argument, int index) noexcept
    void pn_copy_part(void* argument, int index) noexcept


def multiply_adds(Py_ssize_t rounds, int threads, bint single, double factor=0.999, double term=0.001):
    """Multiply and add `rounds` times on each thread; return the number of floating-point operations."""
    cdef pn_machine_sums sums = pn_machine_sums(rounds, 1.0, factor, term, 0.0)
    cdef pn_task task = pn_multiply_adds_f64
    if single:
        task = pn_multiply_adds_f32
    with nogil:
        pn_parallel(task, &sums, threads)
    return rounds * threads * (PN_OPERATIONS_F32 if single else PN_OPERATIONS_F64)


def copy(cnp.ndarray source, cnp.ndarray out, int threads):
    """Copy an array on `threads` threads."""
    cdef pn_machine_copy call
    call.target, call.source = <char*>data(out), <const char*>data(source)
    call.bytes, call.parts = cnp.PyArray_NBYTES(source), threads
    with nogil:
        pn_parallel(pn_copy_part, &call, threads)
