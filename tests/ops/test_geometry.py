"""Sizes, strides, padding and dilation without measure: an answer, or a clear error before a kernel sees them."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynn.ops.conv import output_shape

HUGE = st.integers(2, 70).flatmap(lambda bits: st.sampled_from([2**bits - 1, 2**bits, 2**bits + 1]))
SIZES = st.one_of(st.integers(1, 4), HUGE)
PAIRS = st.tuples(SIZES, SIZES)

#: Run in a process of their own, since what they guard against kills the process.
CALLS = {
    "conv2d": "ops.conv2d(x, w, stride=a, padding=b, dilation=c)",
    "conv2d along one side": "ops.conv2d(x, w, stride=(1, a), padding=(1, b), dilation=(1, c))",
    "conv2d_backward": "ops.conv2d_backward(x, x, w[..., :1, :1], stride=a, padding=b, dilation=c)",
    "max_pool2d": "ops.max_pool2d(x, a, stride=c, padding=b)",
    "max_pool2d dilated": "ops.max_pool2d(x, 2, stride=a, padding=0, dilation=c, ceil_mode=True)",
    "avg_pool2d": "ops.avg_pool2d(x, a, stride=c, padding=b, count_include_pad=False)",
    "max_pool2d_backward": "ops.max_pool2d_backward(x, x.astype(np.uint16), (1, 1, 4, 4), a, stride=c, padding=b)",
    "avg_pool2d_backward": "ops.avg_pool2d_backward(x, (1, 1, b, c), a, stride=c)",
    "adaptive_avg_pool2d": "ops.adaptive_avg_pool2d(x, a)",
    "adaptive_avg_pool2d_backward": "ops.adaptive_avg_pool2d_backward(x, (1, 1, a, b))",
    "maxout": "ops.maxout(x[0, 0], a)",
    "group_norm": "ops.group_norm(x, a)",
    "layer_norm": "ops.layer_norm(x, (a, b))",
    "advance": "ops.advance(np.zeros(2, np.uint64), a)",
    "dropout": "ops.dropout(x, 0.5, (a, b))",
    "adam": "ops.adam(*np.ones((4, 3)), np.array([[0, 3]]), np.zeros((1, 2)), step=a)",
    "softmax": "ops.softmax_cross_entropy(x[0, 0], [0, 1, 2, 3], ignore_index=-a)",
}
RUN = """
import json, resource, sys
import numpy as np, pynn
from pynn import ops
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
x, w = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
sizes = [1, 2, 3, 2**31 - 1, 2**31, 2**32 + 1, 2**47, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, 2**70]
triples = [
    (a, b, c) for a in sizes for b in (0, 1, *sizes[3:]) for c in sizes
    if (a > 3) + (b > 3) + (c > 3) <= 1 or a == b == c or (a > 2**30 and b > 2**30)
]
pynn.use_backend(sys.argv[1])
np.seterr(all="ignore")
for name, call in json.loads(sys.argv[2]).items():
    print(name, flush=True)
    call = compile(call, name, "eval")
    for a, b, c in triples:
        try:
            eval(call)
        except (ValueError, OverflowError, MemoryError) as error:
            assert str(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory as Linux does")
def test_no_size_kills_the_process(backend):
    run = subprocess.run([sys.executable, "-c", RUN, backend, json.dumps(CALLS)], capture_output=True, text=True)
    tried = run.stdout.splitlines()
    assert run.returncode == 0, f"{tried[-1:]} ended the process: {run.stderr}"
    assert tried == list(CALLS)


@given(kernel=PAIRS, stride=PAIRS, padding=st.tuples(st.integers(0, 4), HUGE), dilation=PAIRS)
def test_a_convolution_of_any_geometry_is_right_or_refused(kernel, stride, padding, dilation):
    try:
        shape = output_shape((1, 1, 4, 4), (1, 1, *kernel), stride, padding, dilation, 1)
    except ValueError as error:
        assert "does not fit" in str(error) or "more than can be addressed" in str(error)
        return
    assert all(0 < size < 2**62 for size in shape[2:])
