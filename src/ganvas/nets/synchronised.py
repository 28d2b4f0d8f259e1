"""Layers that look at a whole batch, or at chance, where several processes or parts of a step share the batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas import processes
from ganvas.runtime import own_rows


def synchronise(network: nn.Module) -> None:
    """Let the network's batch norms see the rows of all processes, and its dropouts draw for each row apart.

    The weights stay the same objects under the same names; in evaluation mode nothing is different.
    """
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, _BatchNorm(layer))
            elif isinstance(layer, nn.Dropout):
                setattr(parent, name, _Dropout(layer.p))


class _BatchNorm(nn.Module):
    """Ioffe and Szegedy 2015 over the rows of all processes: torch's own of that kind needs a GPU."""

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
        """Maps (N, C, ...), of the same shape."""
        assert self.momentum is not None
        if not self.training or processes.count() == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias,
                training=self.training, momentum=self.momentum, eps=self.eps,
            )  # fmt: skip
        axes, shape = [0, *range(2, x.dim())], (1, -1, *[1] * (x.dim() - 2))
        mean = processes.mean(x.float().mean(axes))  # (C,)
        centred = x.float() - mean.view(shape)
        variance = processes.mean(centred.square().mean(axes))  # (C,)
        with torch.no_grad():
            n = processes.count() * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class _Dropout(nn.Dropout):
    """Dropout whose rows are drawn for the whole batch: no two processes, or parts, leave out the same."""

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (N, ...), of the same shape."""
        if not self.training or not self.p:
            return input
        return input * own_rows(len(input), lambda n: F.dropout(input.new_ones(n, *input.shape[1:]), self.p))
