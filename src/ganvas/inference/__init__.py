"""From a model to images."""
