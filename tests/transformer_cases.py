"""Transformers to try, on images and on rows."""

from pynn.preprocessing import PCA, ZCA, Center, ChannelCenter, ChannelStandardize, MinMax, PCAWhiten, Standardize

ON_IMAGES = [
    Center(),
    Standardize(),
    Standardize(eps=1e-3),
    Standardize(limit=2.0),
    ChannelCenter(),
    ChannelStandardize(),
    MinMax((-1, 2)),
    MinMax(clip=True),
    PCA(),
    PCAWhiten(eps=1e-2),
    ZCA(eps=1e-2),
]
ON_ROWS = [t for t in ON_IMAGES if not isinstance(t, ChannelCenter | ChannelStandardize)]
