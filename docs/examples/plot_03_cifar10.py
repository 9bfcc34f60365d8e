"""
CIFAR-10
========

A small convolutional network on 32x32 colour photographs. To stay within seconds, this page trains on 2000 images for
a few epochs; ``pynn train --data cifar10 --model cnn`` trains on all of them.
"""

import time

import matplotlib.pyplot as plt

import pynn
from pynn.augment import RandomCrop, RandomHorizontalFlip

(x, y), (x_test, y_test) = pynn.datasets.load_cifar10()
x, y, x_test, y_test = x[:2000], y[:2000], x_test[:500], y_test[:500]
names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

figure, axes = plt.subplots(1, 8, figsize=(8, 1.4), layout="constrained")
for axis, image, label in zip(axes, x, y, strict=False):
    axis.imshow(image.transpose(1, 2, 0) / x.max())
    axis.set_title(names[label], fontsize=8)
    axis.axis("off")

# %%
# Images are (N, C, H, W). A convolution before batch norm needs no bias.


def block(channels, filters):
    convolution = pynn.Conv2d(channels, filters, 3, padding=1, bias=False, init="he_normal")
    return [convolution, pynn.BatchNorm2d(filters), pynn.ReLU(), pynn.MaxPool2d(2)]


pynn.manual_seed(0)
model = pynn.Sequential(*block(3, 32), *block(32, 64), *block(64, 128), pynn.Flatten(), pynn.Linear(2048, 10))
model.preprocessing = pynn.preprocessing.ChannelStandardize()
trainer = pynn.Trainer(
    model, pynn.CrossEntropyLoss(label_smoothing=0.1), pynn.AdamW(lr=3e-3), schedule=pynn.CosineAnnealingLR(4)
)
start = time.perf_counter()
history = trainer.fit(
    x, y, epochs=4, batch_size=64, validation=(x_test, y_test), augment=[RandomCrop(4), RandomHorizontalFlip()]
)
print(f"{time.perf_counter() - start:.1f} seconds")
print(trainer.evaluate(x_test, y_test))

# %%
# The training loss is that of augmented images, which are harder than those of validation.

pynn.plots.plot_history(history)
