"""Pages, charts, figures and text shared by the reports of training, searches and experiments."""
