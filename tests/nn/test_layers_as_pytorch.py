"""Layers of PyTorch's names give its outputs and gradients."""

import numpy as np
import pytest

import pynn

LAYERS = {
    "transposed": lambda: pynn.ConvTranspose2d(4, 6, 3),
    "transposed stride": lambda: pynn.ConvTranspose2d(4, 3, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2)),
    "transposed groups": lambda: pynn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, groups=2, bias=False),
    "transposed dilation": lambda: pynn.ConvTranspose2d(4, 2, 3, padding=2, dilation=2),
    "nearest size": lambda: pynn.Upsample(size=(7, 3)),
    "nearest factor": lambda: pynn.Upsample(scale_factor=2.5),
    "nearest pair": lambda: pynn.Upsample(scale_factor=(3, 0.5)),
    "bilinear factor": lambda: pynn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear fraction": lambda: pynn.Upsample(scale_factor=1.7, mode="bilinear"),
    "bilinear smaller": lambda: pynn.Upsample(size=(3, 4), mode="bilinear"),
    "bilinear corners": lambda: pynn.Upsample(size=(9, 11), mode="bilinear", align_corners=True),
    "bilinear to one": lambda: pynn.Upsample(size=(1, 2), mode="bilinear", align_corners=True),
    "instance 1d": lambda: pynn.InstanceNorm1d(4),
    "instance 2d": lambda: pynn.InstanceNorm2d(4, eps=1e-3, affine=True),
    "softmax channels": lambda: pynn.Softmax(1),
    "log softmax": lambda: pynn.LogSoftmax(-1),
    "mish": pynn.Mish,
    "hardswish": pynn.Hardswish,
    "hardsigmoid": pynn.Hardsigmoid,
    "hardtanh": lambda: pynn.Hardtanh(-0.5, 2.0),
    "relu6": pynn.ReLU6,
    "celu": lambda: pynn.CELU(0.5),
    "softsign": pynn.Softsign,
    "logsigmoid": pynn.LogSigmoid,
    "embedding": lambda: pynn.Embedding(7, 3, padding_idx=2),
    "transposed 1d": lambda: pynn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2),
    "max pool 1d": lambda: pynn.MaxPool1d(3, 2, 1, ceil_mode=True),
    "max pool 1d dilation": lambda: pynn.MaxPool1d(3, 1, dilation=2),
    "avg pool 1d": lambda: pynn.AvgPool1d(4, 2, 1, ceil_mode=True),
    "avg pool 1d alone": lambda: pynn.AvgPool1d(3, 2, 1, count_include_pad=False),
    "adaptive avg 1d": lambda: pynn.AdaptiveAvgPool1d(4),
    "adaptive max 1d": lambda: pynn.AdaptiveMaxPool1d(3),
    "adaptive max 2d": lambda: pynn.AdaptiveMaxPool2d((1, 3)),
    "zeros 1d": lambda: pynn.ZeroPad1d((2, 1)),
    "zeros 1d cut": lambda: pynn.ZeroPad1d((-2, 3)),
    "zeros 2d": lambda: pynn.ZeroPad2d((1, 2, 3, 0)),
    "zeros 2d rows": lambda: pynn.ZeroPad2d((0, 0, 1, 2)),
    "zeros 2d columns": lambda: pynn.ZeroPad2d((3, 1, 0, 0)),
    "zeros 2d cut": lambda: pynn.ZeroPad2d((-1, 2, 1, -2)),
    "rms": lambda: pynn.RMSNorm(6),
    "rms of maps": lambda: pynn.RMSNorm((5, 6), 1e-2, elementwise_affine=False),
    "glu": pynn.GLU,
    "glu channels": lambda: pynn.GLU(1),
    "shuffle": lambda: pynn.PixelShuffle(2),
    "unshuffle": lambda: pynn.PixelUnshuffle(2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients(name, backend, dtype, torch_vectors):
    stored = torch_vectors("layers")
    arrays = {key.partition(".")[2]: value for key, value in stored.items() if key.partition(".")[0] == name}
    model = pynn.Sequential(LAYERS[name]()).astype(dtype)
    for parameter, array in model[0].named_parameters():
        array[...] = arrays[parameter]
    context = pynn.Context(training=True)
    y = model.forward(arrays["x"].astype(dtype), context)
    assert y.dtype == dtype
    close = {"rtol": 1e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-11}
    if name == "hardsigmoid":  # PyTorch's gradient has a sixth in float32
        close["rtol"] = 1e-4 if dtype == np.float32 else 1e-7
    np.testing.assert_allclose(y, arrays["y"], **close)
    dx = model.backward(arrays["dy"].astype(dtype), context)
    if "dx" in arrays:
        np.testing.assert_allclose(dx, arrays["dx"], **close)
    for parameter, array in model[0].named_parameters():
        np.testing.assert_allclose(array.grad, arrays[f"d{parameter}"], **close)


def test_a_transposed_convolution_starts_as_that_of_pytorch():
    """Uniform in +-1 / sqrt(out_channels / groups * window size)."""
    pynn.manual_seed(0)
    layer = pynn.ConvTranspose2d(40, 12, 3, groups=4)
    limit = 1 / np.sqrt(12 / 4 * 9)
    for parameter in (layer.weight, layer.bias):
        assert 0.8 * limit < np.abs(parameter.data).max() <= limit


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pynn.ConvTranspose2d(4, 6, 3, groups=3), "in_channels is 4; expected a multiple of groups=3"),
        (lambda: pynn.ConvTranspose2d(4, 6, 3, output_padding=1), "output_padding is .1, 1.; expected less than"),
        (lambda: pynn.Upsample(), "size is None and scale_factor None; expected exactly one"),
        (lambda: pynn.Upsample(2, 2), "size is 2 and scale_factor 2; expected exactly one"),
        (lambda: pynn.Upsample(scale_factor=-1), "scale_factor is -1; expected a positive number"),
        (lambda: pynn.Upsample(2, mode="bicubic"), "mode is 'bicubic'"),
        (lambda: pynn.Upsample(2, align_corners=True), "align_corners is True"),
        (lambda: pynn.InstanceNorm2d(0), "num_features is 0"),
        (lambda: pynn.MaxPool1d((2, 2)), r"kernel_size is \(2, 2\); expected a number"),
        (lambda: pynn.AvgPool1d(2, padding=2), "more than half of a window"),
        (lambda: pynn.AdaptiveMaxPool1d(0), "output_size is 0"),
        (lambda: pynn.ConvTranspose1d(4, 6, 3, output_padding=1), "output_padding is .1,.; expected less than"),
        (lambda: pynn.ZeroPad2d((1, 2)), r"padding is \(1, 2\); expected a number, or \(left, right, top, bottom\)"),
        (lambda: pynn.ZeroPad1d(1.5), "padding is 1.5; expected an integer"),
        (lambda: pynn.GLU(0), "dim is 0, the batch"),
        (lambda: pynn.RMSNorm(()), "normalized_shape is empty"),
        (lambda: pynn.RMSNorm(4, eps=0), "eps is 0"),
        (lambda: pynn.PixelShuffle(0), "upscale_factor is 0"),
        (lambda: pynn.PixelUnshuffle(1.5), "downscale_factor is 1.5"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (lambda: pynn.ConvTranspose2d(4, 6, 3), (2, 3, 5, 5), r"expected \(batch, 4, height, width\)"),
        (lambda: pynn.ConvTranspose2d(4, 6, 1, padding=1), (2, 4, 2, 2), "pad less"),
        (lambda: pynn.Upsample(scale_factor=0.1), (2, 3, 5, 5), "have no pixels; expected a larger factor"),
        (lambda: pynn.Upsample(2), (2, 3, 5), r"expected \(batch, channels, height, width\)"),
        (lambda: pynn.ConvTranspose1d(4, 6, 3), (2, 3, 5), r"expected \(batch, 4, length\)"),
        (lambda: pynn.MaxPool1d(2), (2, 3, 5, 5), r"MaxPool1d got .* expected \(batch, channels, length\)"),
        (lambda: pynn.AdaptiveMaxPool1d(2), (2, 3, 5), r"cannot divide \(5,\) evenly into \(2,\) windows"),
        (lambda: pynn.AdaptiveMaxPool2d((2, 3)), (2, 3, 4, 4), r"cannot divide \(4, 4\) evenly into \(2, 3\) windows"),
        (lambda: pynn.ZeroPad1d((-3, -2)), (2, 3, 5), "cannot make images of 1 x 0 of an input of shape"),
        (lambda: pynn.ZeroPad2d(2**40), (2, 3, 5, 5), "ZeroPad2d cannot make images of"),
        (lambda: pynn.InstanceNorm1d(3), (2, 3), r"expected \(batch, 3, length\)"),
        (lambda: pynn.InstanceNorm2d(3), (2, 3, 1, 1), "a single position has no variance"),
        (lambda: pynn.GLU(), (2, 3), r"GLU got .* expected an even size in dimension -1"),
        (lambda: pynn.GLU(2), (2, 4), r"GLU got .* expected an even size in dimension 2"),
        (lambda: pynn.RMSNorm(3), (2, 4), r"RMSNorm got .* expected \(batch, ..., 3\)"),
        (lambda: pynn.PixelShuffle(2), (2, 6, 3, 3), "expected a multiple of 4 channels"),
        (lambda: pynn.PixelUnshuffle(2), (2, 6, 3, 4), "expected height and width to be multiples of 2"),
        (lambda: pynn.PixelShuffle(2), (2, 4, 3), r"expected \(batch, channels, height, width\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, said):
    model = pynn.Sequential(layer()).train()
    with pytest.raises(ValueError, match=said):
        model(np.ones(shape))
