"""Sigmoids saturate: multiplied through layers, their small local gradients stop the flow."""

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network, rms, weight_gradients


@experiment(
    claim="Near outputs 0 and 1 a sigmoid's local gradient is almost 0; multiplied through layers it stops the flow.",
    source="CS231n, Neural Networks Part 1, Sigmoid",
    setup="A fresh network 64-100-100-100-100-100-10 on 500 digits, Xavier weights; the gradient (rms) of each weight "
    "matrix, with sigmoid and with tanh.",
    bands=[
        Band("first over last, sigmoid", at_most=0.01, why="five factors of at most 1/4 make 1/1000; ten times that"),
        Band("first over last, tanh", 0.1, why="its slope is 1 at 0: the signal should hardly shrink"),
        Band("slope at output 0.99", at_most=0.01, why="y (1 - y) is 0.0099"),
    ],
    lines=Lines("weight matrix", "rms of the gradient", log=True),
)
def sigmoid_stops_the_flow(seed):
    data = digits(seed)
    pynn.manual_seed(seed)
    figures = {}
    for name, activation in (("sigmoid", pynn.Sigmoid), ("tanh", pynn.Tanh)):
        model = network([64, 100, 100, 100, 100, 100, 10], activation, "lecun_normal")
        figures[name] = [rms(gradient) for gradient in weight_gradients(model, data.x[:500], data.y[:500])]
        figures[f"first over last, {name}"] = figures[name][0] / figures[name][-1]
    figures["slope at output 0.99"] = float(pynn.ops.sigmoid_backward([1.0], [0.99])[0])
    return figures
