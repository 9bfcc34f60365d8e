"""Resampling of images (planes, height, width): nearest pixels, or bilinear interpolation.

Row i of the output is at ``max((i + offset) scale - offset, 0)`` in the input, with scale = `scales[0]` / `scales[1]`;
columns likewise, with `scales[2]` / `scales[3]`. Without `bilinear` the pixel before it is taken.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport floor
from libc.string cimport memset

from .arrays cimport columns, data, is_single, rows
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 16384  # minimum output elements per thread
    CHUNK = 256  # columns whose places are computed once for all rows


cdef struct Place:  # between two rows of the input
    Py_ssize_t low
    Py_ssize_t high
    double weight  # of the second


cdef inline Place place(Py_ssize_t i, Py_ssize_t size, const double* scale, double offset) noexcept nogil:
    cdef Place p
    cdef double at = (i + offset) * scale[0] / scale[1] - offset
    if at < 0:
        at = 0
    p.low = <Py_ssize_t>floor(at)
    if p.low > size - 1:
        p.low = size - 1
    p.high = p.low + 1 if p.low < size - 1 else p.low
    p.weight = at - p.low
    return p


cdef struct Resample:
    void* image
    void* sampled
    Py_ssize_t planes
    Py_ssize_t height
    Py_ssize_t width
    Py_ssize_t out_height
    Py_ssize_t out_width
    double[4] scales
    double offset
    bint bilinear
    bint single
    int parts


cdef void chunk_forward(
    const floating* x, floating* y, const Resample* c, const Place* places, Py_ssize_t count
) noexcept nogil:
    """Write `count` columns of the output."""
    cdef Py_ssize_t i, j
    cdef Place r, s
    cdef floating down, across, above, below
    cdef const floating* top
    cdef const floating* bottom
    for i in range(c.out_height):
        r = place(i, c.height, c.scales, c.offset)
        top, bottom, down = x + r.low * c.width, x + r.high * c.width, <floating>r.weight
        if not c.bilinear:
            for j in range(count):
                y[i * c.out_width + j] = top[places[j].low]
            continue
        for j in range(count):
            s = places[j]
            across = <floating>s.weight
            above = top[s.low] * (1 - across) + top[s.high] * across
            below = bottom[s.low] * (1 - across) + bottom[s.high] * across
            y[i * c.out_width + j] = above * (1 - down) + below * down


cdef void chunk_backward(
    const floating* dy, floating* dx, const Resample* c, const Place* places, Py_ssize_t count
) noexcept nogil:
    """Add what `count` columns of the output's gradient give to that of the input."""
    cdef Py_ssize_t i, j
    cdef Place r, s
    cdef floating down, across, g
    cdef floating* top
    cdef floating* bottom
    for i in range(c.out_height):
        r = place(i, c.height, c.scales, c.offset)
        top, bottom, down = dx + r.low * c.width, dx + r.high * c.width, <floating>r.weight
        if not c.bilinear:
            for j in range(count):
                top[places[j].low] += dy[i * c.out_width + j]
            continue
        for j in range(count):
            s, g = places[j], dy[i * c.out_width + j]
            across = <floating>s.weight
            top[s.low] += g * (1 - down) * (1 - across)
            top[s.high] += g * (1 - down) * across
            bottom[s.low] += g * down * (1 - across)
            bottom[s.high] += g * down * across


cdef void resample_plane(floating* image, floating* sampled, const Resample* c, bint backward) noexcept nogil:
    cdef Py_ssize_t chunk, first, count, j
    cdef Place places[CHUNK]
    if backward:
        memset(image, 0, <size_t>(c.height * c.width) * sizeof(floating))
    for chunk in range((c.out_width + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        count = min(c.out_width - first, <Py_ssize_t>CHUNK)
        for j in range(count):
            places[j] = place(first + j, c.width, c.scales + 2, c.offset)
        if backward:
            chunk_backward(sampled + first, image, c, places, count)
        else:
            chunk_forward(image, sampled + first, c, places, count)


cdef void resample_planes(const Resample* c, int index, bint backward) noexcept nogil:
    cdef Py_ssize_t p, size = c.height * c.width, out_size = c.out_height * c.out_width
    for p in range(pn_part_start(c.planes, 1, index, c.parts), pn_part_start(c.planes, 1, index + 1, c.parts)):
        if c.single:
            resample_plane(<float*>c.image + p * size, <float*>c.sampled + p * out_size, c, backward)
        else:
            resample_plane(<double*>c.image + p * size, <double*>c.sampled + p * out_size, c, backward)


cdef void forward_part(void* argument, int index) noexcept nogil:
    resample_planes(<Resample*>argument, index, False)


cdef void backward_part(void* argument, int index) noexcept nogil:
    resample_planes(<Resample*>argument, index, True)


cdef int run_forward(void* argument) noexcept nogil:
    cdef Resample* c = <Resample*>argument
    c.parts = pn_parts(<double>c.planes * c.out_height * c.out_width, GRAIN)
    pn_parallel(forward_part, c, c.parts)
    return 0


cdef int run_backward(void* argument) noexcept nogil:
    cdef Resample* c = <Resample*>argument
    c.parts = pn_parts(<double>c.planes * c.out_height * c.out_width, GRAIN)
    pn_parallel(backward_part, c, c.parts)
    return 0


cdef Resample arguments(cnp.ndarray image, cnp.ndarray sampled, tuple scales, double offset, bint bilinear):
    cdef Resample call
    call.sampled, call.image = data(sampled), data(image)
    call.planes, call.height, call.width = rows(image), columns(image), cnp.PyArray_DIM(image, 2)
    call.out_height, call.out_width = columns(sampled), cnp.PyArray_DIM(sampled, 2)
    call.scales[0], call.scales[1], call.scales[2], call.scales[3] = scales
    call.offset, call.bilinear, call.single, call.parts = offset, bilinear, is_single(image), 1
    return call


def upsample(cnp.ndarray x, tuple scales, double offset, bint bilinear, cnp.ndarray out):
    """Write the resampled images to `out`."""
    cdef Resample call = arguments(x, out, scales, offset, bilinear)
    make(run_forward, &call, sizeof(call), 1, (x, out))


def upsample_backward(cnp.ndarray dy, tuple scales, double offset, bint bilinear, cnp.ndarray dx):
    """Write the gradient of the input: each output's gradient goes to the pixels that it was made of."""
    cdef Resample call = arguments(dx, dy, scales, offset, bilinear)
    make(run_backward, &call, sizeof(call), 1, (dy, dx))
