"""One whole training."""
