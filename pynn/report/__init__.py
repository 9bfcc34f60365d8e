"""Pages, charts, figures and text that reports of training, searches and experiments share."""
