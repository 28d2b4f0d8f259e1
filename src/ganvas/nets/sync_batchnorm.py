"""Batch norm over the rows of all processes that share a batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core import distributed


def synchronise(network: nn.Module) -> None:
    """Replace the network's batch norms by ones over the rows of all processes.

    The weights stay the same objects under the same names; in evaluation mode nothing changes.
    """
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, _BatchNorm(layer))


class _BatchNorm(nn.Module):
    """Ioffe and Szegedy 2015 over the rows of all processes: torch's `SyncBatchNorm` needs a GPU."""

    def __init__(self, layer: nn.modules.batchnorm._BatchNorm):
        super().__init__()
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = nn.Buffer(layer.running_mean), nn.Buffer(layer.running_var)
        self.num_batches_tracked = nn.Buffer(layer.num_batches_tracked)
        self.eps, self.momentum = layer.eps, layer.momentum
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (N, C, ...) to feature maps of the same shape."""
        assert self.momentum is not None
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        axes, shape = [0, *range(2, x.dim())], (1, -1, *[1] * (x.dim() - 2))
        mean = distributed.mean(x.float().mean(axes))  # (C,)
        centred = x.float() - mean.view(shape)
        variance = distributed.mean(centred.square().mean(axes))  # (C,)
        with torch.no_grad():
            n = distributed.count() * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)
