"""Shared by all kernel modules and instruction sets: the thread team, and recordings of kernel calls."""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport NAN
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cimport numpy as cnp

cnp.import_array()

cdef extern from "common/runtime.h" nogil:
    ctypedef int (*pn_kernel)(void* call) noexcept nogil
    ctypedef void (*pn_task)(void* argument, int index) noexcept nogil
    ctypedef struct pn_runtime:
        void (*parallel)(pn_task, void*, int) noexcept nogil
        int (*threads)() noexcept nogil
        int (*recording)() noexcept nogil
        int (*record)(pn_kernel, const void*, size_t, int, void*, const double*) except -1
        int (*matrix_products)() noexcept nogil

cdef extern from "common/threads.h" nogil:
    enum:
        PN_MAX_THREADS
    void pn_run_parallel(pn_task task, void* argument, int count) noexcept nogil
    int pn_team_size() noexcept nogil
    void pn_set_team(int threads, int eager) noexcept nogil
    void pn_prepare_for_fork() noexcept nogil

cdef extern from "common/meeting.h" nogil:
    enum:
        PN_ARRIVAL_STEP
    ctypedef struct pn_meeting:
        cnp.int64_t* arrivals
        void* memory
        Py_ssize_t count
        Py_ssize_t own
        int spins
    int pn_meet(void* call) noexcept

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define PN_OF_THREAD static __declspec(thread)
    #else
    #define PN_OF_THREAD static __thread
    #endif
    /* The recording that receives the kernel calls of this thread. */
    PN_OF_THREAD PyObject *pn_current;
    /* How many products this thread uses (see `matrix_products` in runtime.h); 0 for as many as the process. */
    PN_OF_THREAD int pn_own_products;
    """
    PyObject* pn_current
    int pn_own_products

cdef int products_of_parts = 6  # of the process
cdef bint matrix_units = False

cdef enum:
    ALIGNMENT = 16


cdef struct Node:  # followed by the kernel's own struct
    pn_kernel kernel
    size_t bytes  # of the node and the kernel's struct
    int pointers


cdef struct Link:  # a pointer in a node that points into an input array
    size_t place  # offset in the recording, in bytes
    int argument  # which input
    Py_ssize_t offset  # offset in the input, in bytes


cdef bint lies_in(cnp.ndarray array, list regions):
    """Return whether the memory of `array` lies within one of the contiguous arrays."""
    cdef uintptr_t start = <uintptr_t>cnp.PyArray_DATA(array), first
    cdef uintptr_t stop = start + <uintptr_t>cnp.PyArray_NBYTES(array)
    cdef cnp.ndarray region
    for region in regions:
        first = <uintptr_t>cnp.PyArray_DATA(region)
        if first <= start and stop <= first + <uintptr_t>cnp.PyArray_NBYTES(region):
            return True
    return False


cdef class Recording:
    """A list of kernel calls that are recorded once and then replayed without Python.

    Inside ``with recording:``, the kernel calls of this thread run, and the recording stores them with the addresses of
    their arrays. The recording is complete, and can be replayed, only if each array that a call reads is

    * an entry of `inputs`, which `run` replaces by another array of the same shape and dtype;
    * or written by an earlier call of this recording, or of `before`, which runs first;
    * or owned by the caller: `owned()`, called at the end of the block, returns the arrays that stay in place and hold
      the data for later runs.

    In a replay, any other array, such as a converted copy of an argument, would still hold the values of the recorded
    step.
    """

    cdef char* nodes
    cdef size_t used, room
    cdef list kept
    cdef tuple inputs
    cdef object owned
    cdef list filled  # the inputs, and arrays that a call writes in every run
    cdef list unknown  # arrays that a call reads, but that are not in `filled`
    cdef Link* links
    cdef Py_ssize_t link_count
    cdef PyObject* outer
    cdef readonly bint complete  # whether all calls have been recorded and can be replayed
    cdef readonly long long runs  # number of complete replays
    cdef Py_ssize_t result  # offset of the last value in `nodes`, or -1

    def __cinit__(self, tuple inputs, owned, Recording before=None):
        self.kept = []
        self.inputs = inputs
        self.owned = owned
        self.filled = [array for array in inputs if array is not None] if before is None else list(before.filled)
        self.unknown = []
        self.result = -1

    def __dealloc__(self):
        free(self.nodes)
        free(self.links)

    def __enter__(self):
        global pn_current
        self.outer = pn_current
        pn_current = <PyObject*>self
        return self

    def __exit__(self, kind, value, trace):
        global pn_current
        pn_current = self.outer
        if kind is None:
            self.complete = self.knows_all() and self.link()

    cdef bint knows_all(self) except -1:
        """Return whether every array that a call reads is an input, owned, or written by an earlier call."""
        cdef list owned
        if not self.unknown:
            return True
        owned = list(self.owned())
        return all([lies_in(array, owned) for array in self.unknown])

    cdef int note(self, tuple arrays, int reads) except -1:
        """Look up the first `reads` arrays, which a call reads, in `filled`, and add the others, which it writes."""
        cdef int index
        for index, array in enumerate(arrays):
            if array is None:
                continue
            if index >= reads:
                self.filled.append(array)
            elif not lies_in(array, self.filled):
                self.unknown.append(array)
        return 0

    cdef int append(
        self, pn_kernel kernel, const void* call, size_t bytes, int reads, tuple arrays, const double* result
    ) except -1:
        cdef size_t whole = (sizeof(Node) + bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        cdef size_t room
        cdef char* larger
        cdef Node* node
        if self.used + whole > self.room:
            room = 2 * (self.room + whole)
            larger = <char*>realloc(self.nodes, room)
            if larger == NULL:
                raise MemoryError("no memory to record a training step")
            self.nodes, self.room = larger, room
        node = <Node*>(self.nodes + self.used)
        node.kernel, node.bytes, node.pointers = kernel, whole, <int>len(arrays)
        memcpy(node + 1, call, bytes)
        if result != NULL:
            self.result = self.used + sizeof(Node) + (<const char*>result - <const char*>call)
        self.used += whole
        self.kept.append(arrays)
        self.note(arrays, reads)
        return 0

    cdef bint link(self) except -1:
        """Find the pointers into the inputs, for `run` to replace; return whether each belongs to one input only.

        If inputs share memory, as in ``step(x, x)``, a pointer belongs to several inputs: the calls must then not be
        replayed on others.
        """
        cdef size_t place = 0, first
        cdef Node* node
        cdef Link* links
        cdef int index, argument, owners
        cdef uintptr_t pointer, start
        cdef cnp.ndarray array
        while place < self.used:
            node = <Node*>(self.nodes + place)
            first = place + sizeof(Node)
            for index in range(node.pointers):
                pointer = (<uintptr_t*>(self.nodes + first))[index]
                owners = 0
                for argument in range(len(self.inputs)):
                    if self.inputs[argument] is None:
                        continue
                    array = self.inputs[argument]
                    start = <uintptr_t>cnp.PyArray_DATA(array)
                    if pointer != 0 and start <= pointer < start + <uintptr_t>cnp.PyArray_NBYTES(array):
                        links = <Link*>realloc(self.links, (self.link_count + 1) * sizeof(Link))
                        if links == NULL:
                            raise MemoryError("no memory to record a training step")
                        self.links = links
                        links[self.link_count] = Link(
                            first + index * sizeof(void*), argument, <Py_ssize_t>(pointer - start)
                        )
                        self.link_count += 1
                        owners += 1
                if owners > 1:
                    return False
            place += node.bytes
        return True

    def run(self, tuple inputs=()):
        """Replay the calls on `inputs` instead of the recorded inputs.

        Return the result of the last call that has one (NaN if no call has), or None if a call failed; the replay stops
        there. The inputs must have the shapes and dtypes of the recorded ones, and be aligned and C-contiguous.
        """
        cdef Py_ssize_t i
        cdef Link* link
        cdef cnp.ndarray array
        for i in range(self.link_count):
            link = &self.links[i]
            array = inputs[link.argument]
            (<void**>(self.nodes + link.place))[0] = <char*>cnp.PyArray_DATA(array) + link.offset
        if self.replay():
            return None
        return (<double*>(self.nodes + self.result))[0] if self.result >= 0 else NAN

    def answer(self, cnp.ndarray held not None, cnp.ndarray out not None, x):
        """Copy `x` to `held`, replay the calls, and return a copy of `out`, as one step that no signal handler enters.

        Return None if the recording is not complete, if `x` is not a plain array like `held`, if this thread is
        recording, or if a call failed.
        """
        cdef cnp.ndarray array
        if not self.complete or pn_current != NULL or not cnp.PyArray_CheckExact(x):
            return None
        array = x
        if (
            cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(held)
            or not cnp.PyArray_SAMESHAPE(array, held)
            or not cnp.PyArray_ISCARRAY_RO(array)
        ):
            return None
        memcpy(cnp.PyArray_DATA(held), cnp.PyArray_DATA(array), cnp.PyArray_NBYTES(held))
        if self.replay():
            return None
        return cnp.PyArray_NewCopy(out, cnp.NPY_CORDER)

    cdef int replay(self) noexcept:
        """Replay the calls; return 0, or the code of the call that failed, after which the replay stops."""
        cdef char* place = self.nodes
        cdef char* end = self.nodes + self.used
        cdef Node* node
        cdef int failed = 0
        with nogil:
            while place < end and not failed:
                node = <Node*>place
                failed = node.kernel(node + 1)
                place += node.bytes
        if not failed:
            self.runs += 1
        return failed


cdef int record(
    pn_kernel kernel, const void* call, size_t bytes, int reads, void* arrays, const double* result
) except -1:
    return (<Recording>pn_current).append(kernel, call, bytes, reads, <tuple><object>arrays, result)


cdef int matrix_products() noexcept nogil:
    if not matrix_units:
        return 0
    return pn_own_products if pn_own_products else products_of_parts


cdef int recording() noexcept nogil:
    return pn_current != NULL


def meet(cnp.ndarray arrivals not None, Py_ssize_t own, cnp.ndarray memory not None, int spins):
    """Wait until all processes that share `arrivals` and `memory` have called this as often as process `own` has.

    Afterwards `memory` holds what each of them had written to it. `arrivals`, int64 (processes, 8), begins with zeros.
    After `spins` pauses the process sleeps in between. A recording waits again.
    """
    cdef pn_meeting call
    if arrivals.ndim != 2 or arrivals.shape[1] != PN_ARRIVAL_STEP or cnp.PyArray_TYPE(arrivals) != cnp.NPY_INT64:
        shape = (<object>arrivals).shape
        raise ValueError(f"arrivals is {shape} of {arrivals.dtype}; expected (processes, 8) of int64")
    if not 0 <= own < arrivals.shape[0]:
        raise ValueError(f"own is {own}; expected 0 to {arrivals.shape[0] - 1}")
    call.arrivals, call.memory = <cnp.int64_t*>cnp.PyArray_DATA(arrivals), cnp.PyArray_DATA(memory)
    call.count, call.own, call.spins = arrivals.shape[0], own, spins
    if pn_current != NULL:
        (<Recording>pn_current).append(pn_meet, &call, sizeof(call), 0, (arrivals, memory), NULL)
    with nogil:
        pn_meet(&call)


def is_recording():
    """Return whether this thread is recording."""
    return pn_current != NULL


def set_num_threads(int count, bint eager=False):
    """Let kernels use up to `count` threads; if `eager`, also while the others keep their callers waiting."""
    if not 1 <= count <= PN_MAX_THREADS:
        raise ValueError(f"the number of threads is {count}; expected 1 to {PN_MAX_THREADS}")
    pn_set_team(count, eager)


def get_num_threads():
    """Return the maximum number of threads that kernels use."""
    return pn_team_size()


def use_matrix_units(bint use):
    """Let float32 products use matrix units, or not."""
    global matrix_units
    matrix_units = use


def set_matrix_products(int count):
    """Let a float32 product on matrix units be that many products of bfloat16 parts: 6, 3, 1."""
    global products_of_parts
    if count not in (1, 3, 6):
        raise ValueError(f"the number of products is {count}; expected 1, 3 or 6")
    products_of_parts = count


def set_own_matrix_products(int count):
    """Do the same for the calls of this thread; 0 for as many as `set_matrix_products` says."""
    global pn_own_products
    if count not in (0, 1, 3, 6):
        raise ValueError(f"the number of products is {count}; expected 0, 1, 3 or 6")
    pn_own_products = count


cdef pn_runtime functions = pn_runtime(pn_run_parallel, pn_team_size, recording, record, matrix_products)
pn_prepare_for_fork()
#: The functions for the other modules, which they import with PyCapsule_Import.
table = PyCapsule_New(&functions, b"pynn.kernels.cython.runtime.table", NULL)
