"""
MNIST in seconds
================

Two epochs over 60,000 images of handwritten digits, timed. The images come from the folder that ``PYNN_DATA`` names,
or are downloaded once.
"""

import time

import pynn

(x, y), (x_test, y_test) = pynn.datasets.load_mnist()
print(x.shape, x_test.shape)

# %%
# Two hidden layers with batch norm. The pixels are divided by 255, and the learning rate falls to 0 along a cosine.

pynn.manual_seed(0)
model = pynn.Sequential(
    pynn.Flatten(),
    *(pynn.Linear(784, 256, bias=False, init="he_normal"), pynn.BatchNorm1d(256), pynn.ReLU()),
    *(pynn.Linear(256, 128, bias=False, init="he_normal"), pynn.BatchNorm1d(128), pynn.ReLU()),
    pynn.Linear(128, 10),
)
model.preprocessing = pynn.preprocessing.MinMax()
trainer = pynn.Trainer(
    model, pynn.CrossEntropyLoss(), pynn.Adam(lr=4e-3), schedule=pynn.CosineAnnealingLR(2, by="epoch")
)

start = time.perf_counter()
trainer.fit(x, y, epochs=2, batch_size=128)
seconds = time.perf_counter() - start
print(f"{seconds:.1f} seconds, accuracy on 10,000 test images {trainer.evaluate(x_test, y_test)['accuracy']:.2%}")

# %%
# The first layer's weights, as pictures: strokes, not noise.

monitor = pynn.Monitor()
trainer.schedule = None
trainer.optimizer.lr = 1e-4
trainer.fit(x[:6000], y[:6000], epochs=1, batch_size=128, callbacks=[monitor])
pynn.plots.plot_first_weights(monitor)
