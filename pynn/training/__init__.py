"""Training: the trainer, its steps and recordings, batches, callbacks, history and checkpoints."""
