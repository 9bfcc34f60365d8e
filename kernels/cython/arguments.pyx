"""Fast check of the arguments of an op: the usual case passes within a tenth of a microsecond."""

cimport numpy as cnp
from cpython.unicode cimport PyUnicode_AsUTF8

cnp.import_array()

cdef enum:
    MAX_ARRAYS = 16  # arrays of one op
    LETTERS = 26
    UNKNOWN = -1


cdef inline bint match(cnp.ndarray x, const char* letters, int count, Py_ssize_t* sizes) noexcept:
    """Return whether the dimensions match the sizes of their letters; a new letter is bound to its size."""
    cdef int i
    cdef Py_ssize_t* size
    if cnp.PyArray_NDIM(x) != count:
        return False
    for i in range(count):
        size = sizes + letters[i] - c"a"
        if size[0] == UNKNOWN:
            size[0] = cnp.PyArray_DIM(x, i)
        elif size[0] != cnp.PyArray_DIM(x, i):
            return False
    return True


def fits(str signature not None, *arrays):
    """Return whether arrays are plain, fit the signature, and share no memory with any output.

    Plain arrays are of NumPy's own class, C-contiguous, aligned, and all float32 or all float64. The signature, such
    as "mk,kn,n?->mn", names the dimensions of the inputs, then of the outputs, which must be writeable. "*" is any
    shape, the same wherever it occurs; an output "*" may also be an input "*". An array before "?" may be None. False
    means only that a full check is needed.
    """
    cdef const char* at = PyUnicode_AsUTF8(signature)
    cdef Py_ssize_t sizes[LETTERS]
    cdef char* start[MAX_ARRAYS]
    cdef char* stop[MAX_ARRAYS]
    cdef bint anywhere[MAX_ARRAYS]  # whether the array's shape is "*"
    cdef bint written = False
    cdef int i, j, count = 0, inputs = 0
    cdef cnp.ndarray x, first = None
    if len(arrays) > MAX_ARRAYS:
        raise TypeError(f"{len(arrays)} arrays; expected at most {MAX_ARRAYS}")
    for i in range(LETTERS):
        sizes[i] = UNKNOWN
    for i in range(<int>len(arrays)):
        if at[0] == c",":
            at += 1
        elif at[0] == c"-":  # ->
            at += 2
            written, inputs = True, i
        count = 0
        while c"a" <= at[count] <= c"z" or at[count] == c"*":
            count += 1
        if count == 0:
            break
        start[i] = stop[i] = NULL
        anywhere[i] = at[0] == c"*"
        if arrays[i] is None:
            if at[count] != c"?":
                return False
        else:
            if not cnp.PyArray_CheckExact(arrays[i]):
                return False
            x = <cnp.ndarray>arrays[i]
            if first is None:
                first = x
            if cnp.PyArray_TYPE(x) != cnp.PyArray_TYPE(first):
                return False
            if not (cnp.PyArray_ISCARRAY(x) if written else cnp.PyArray_ISCARRAY_RO(x)):
                return False
            if not (cnp.PyArray_SAMESHAPE(x, first) if anywhere[i] else match(x, at, count, sizes)):
                return False
            start[i] = cnp.PyArray_BYTES(x)
            stop[i] = start[i] + cnp.PyArray_NBYTES(x)
            if written:
                for j in range(i):
                    if start[i] < stop[j] and start[j] < stop[i]:
                        if not (start[i] == start[j] and j < inputs and anywhere[i] and anywhere[j]):
                            return False
        at += count + (at[count] == c"?")
    if at[0] != 0 or count == 0:
        raise TypeError(f"{len(arrays)} arrays were given for the signature {signature}")
    return first is not None and cnp.PyArray_TYPE(first) in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE)


def segments_fit(bounds, Py_ssize_t size):
    """Return whether `bounds`, int64 (segments, 2), is plain, owns its memory, and ascends within a buffer of `size`.

    False means only that a full check is needed.
    """
    cdef cnp.ndarray x
    cdef const cnp.int64_t* bound
    cdef cnp.int64_t last = 0
    cdef Py_ssize_t i
    if not cnp.PyArray_CheckExact(bounds):
        return False
    x = <cnp.ndarray>bounds
    if cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_DIM(x, 1) != 2 or cnp.PyArray_TYPE(x) != cnp.NPY_INT64:
        return False
    if not (cnp.PyArray_ISCARRAY(x) and cnp.PyArray_CHKFLAGS(x, cnp.NPY_ARRAY_OWNDATA)):
        return False
    bound = <const cnp.int64_t*>cnp.PyArray_DATA(x)
    for i in range(cnp.PyArray_SIZE(x)):
        if bound[i] < last:
            return False
        last = bound[i]
    return last <= size
