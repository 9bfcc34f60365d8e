"""A convolutional network for CIFAR-10: python cifar10.py [EPOCHS].

The images are those in the folder that PYNN_DATA names; without it they are downloaded once, which needs
pip install "pynn-kernels[data]".
"""

import sys

import pynn
from pynn.augment import RandomCrop, RandomHorizontalFlip


def convolution(channels, filters):
    """Return a convolution that keeps the size, with what follows it."""
    conv = pynn.Conv2d(channels, filters, 3, padding=1, bias=False, init="he_normal")
    return [conv, pynn.BatchNorm2d(filters), pynn.ReLU()]


epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
(x, y), (x_test, y_test) = pynn.datasets.load_cifar10()
x, x_validation, y, y_validation = pynn.datasets.train_test_split(x, y, 0.1)

pynn.manual_seed(0)
model = pynn.Sequential(
    *convolution(3, 32),
    pynn.MaxPool2d(2),
    *convolution(32, 64),
    *convolution(64, 64),
    pynn.MaxPool2d(2),
    *convolution(64, 128),
    *convolution(128, 128),
    pynn.MaxPool2d(2),
    pynn.AdaptiveAvgPool2d(1),
    pynn.Flatten(),
    pynn.Linear(128, 10),
)
model.preprocessing = pynn.preprocessing.ChannelStandardize()
trainer = pynn.Trainer(
    model,
    pynn.CrossEntropyLoss(label_smoothing=0.1),
    pynn.AdamW(lr=3e-3, weight_decay=0.05),
    schedule=pynn.WarmupLR(100, then=pynn.CosineAnnealingLR(epochs)),
)
trainer.fit(
    x,
    y,
    epochs=epochs,
    batch_size=64,
    validation=(x_validation, y_validation),
    augment=[RandomCrop(4), RandomHorizontalFlip()],
    progress=True,
)
print(f"test accuracy {trainer.evaluate(x_test, y_test)['accuracy']:.2%}")
model.save("cifar10.safetensors")
