"""The training loops of common tutorials, with which `benchmarks/speed.py` compares ganvas.

They run the same networks in fp32, with torch's own layers in place of ganvas's, in torch's usual memory layout. Images
come from a DataLoader over PIL images with ToTensor and Normalize. The discriminator is called for real and for fake
images one after the other. Adam is not fused. Losses are read at every step.
"""

from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ganvas.methods._base import Method
from ganvas.nets import cpu_ops

OURS = (cpu_ops.Conv2d, cpu_ops.ConvTranspose2d, cpu_ops.Flatten, cpu_ops.Unflatten)  # torch's, made faster

Loop = Iterator[int]  # each item is a step: the number of its images


class PilImages(Dataset):
    """Images (uint8, (N, C, H, W)) and labels as torchvision's data sets give them: one by one, through PIL."""

    def __init__(self, images: Tensor, labels: Tensor | None):
        channels = images.shape[1]
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = [0] * len(images) if labels is None else labels.tolist()
        self.change = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,) * channels, (0.5,) * channels)]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.change(Image.fromarray(self.images[index].squeeze())), self.labels[index]


def loaded(
    images: Tensor, batch: int, device: torch.device, labels: Tensor | None = None
) -> Iterator[Tensor] | Iterator[tuple[Tensor, Tensor]]:
    """Endless batches (N, C, H, W) in -1..1, epoch after epoch; with labels each is a pair with their (N,)."""
    loader = DataLoader(PilImages(images, labels), batch_size=batch, shuffle=True, drop_last=True)
    while True:
        for real, classes in loader:
            yield real.to(device) if labels is None else (real.to(device), classes.to(device))


def plain(network: nn.Module, *, norm: type[nn.Module] = nn.InstanceNorm2d) -> nn.Module:
    """The network with torch's own layers in place of ganvas's, in torch's usual memory layout."""
    device = next(network.parameters()).device
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, cpu_ops.Dropout):
                setattr(parent, name, nn.Dropout(layer.p))
            elif isinstance(layer, nn.InstanceNorm2d):
                setattr(parent, name, norm(layer.num_features, affine=True))
            elif isinstance(layer, OURS):
                layer.__class__ = type(layer).__mro__[1]  # torch's, with the same weights
    return network.to(device, memory_format=torch.contiguous_format).train()


def adam(config: object, *networks: nn.Module) -> torch.optim.Optimizer:
    """Adam with the method's settings."""
    betas = (getattr(config, "beta1", 0.9), getattr(config, "beta2", 0.999))
    weights = [weight for network in networks for weight in network.parameters() if weight.requires_grad]
    return torch.optim.Adam(weights, lr=config.learning_rate, betas=betas)


def adversarial(method: Method, batches: Iterator[Tensor]) -> Loop:
    """`gan` and `dcgan`, with sigmoid and BCELoss."""
    config = method.config
    generator, discriminator = plain(method.generator), nn.Sequential(plain(method.discriminator), nn.Sigmoid())
    criterion = nn.BCELoss()
    generator_adam, discriminator_adam = adam(config, generator), adam(config, discriminator)
    for real in batches:
        ones, zeros = torch.ones(len(real), 1, device=real.device), torch.zeros(len(real), 1, device=real.device)
        fake = generator(torch.randn(len(real), config.latent, device=real.device))

        discriminator_adam.zero_grad()
        loss = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
        loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        generator_loss = criterion(discriminator(fake), ones)
        generator_loss.backward()
        generator_adam.step()
        loss.item(), generator_loss.item()
        yield len(real)


def conditional(method: Method, batches: Iterator[tuple[Tensor, Tensor]]) -> Loop:
    """`cgan`: as `adversarial`, both networks with the class as a one-hot vector."""
    config, classes = method.config, len(method.spec.classes)
    generator, discriminator = plain(method.generator), plain(method.discriminator)
    criterion = nn.BCEWithLogitsLoss()
    generator_adam, discriminator_adam = adam(config, generator), adam(config, discriminator)
    for real, labels in batches:
        y = F.one_hot(labels, classes).float()
        fake = generator(torch.randn(len(real), config.latent, device=real.device), y)

        discriminator_adam.zero_grad()
        of_real, of_fake = discriminator(real, y), discriminator(fake.detach(), y)
        loss = criterion(of_real, torch.ones_like(of_real)) + criterion(of_fake, torch.zeros_like(of_fake))
        loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        of_fake = discriminator(fake, y)
        generator_loss = criterion(of_fake, torch.ones_like(of_fake))
        generator_loss.backward()
        generator_adam.step()
        loss.item(), generator_loss.item()
        yield len(real)


def wasserstein(method: Method, batches: Iterator[Tensor]) -> Loop:
    """`wgan_gp`: several critic steps, each with its own noise, for each generator step."""
    config = method.config
    generator, critic = plain(method.generator), plain(method.critic)
    generator_adam, critic_adam = adam(config, generator), adam(config, critic)
    for step, real in enumerate(batches, 1):
        critic_adam.zero_grad()
        fake = generator(torch.randn(len(real), config.latent, device=real.device)).detach()
        mixing = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (mixing * real + (1 - mixing) * fake).requires_grad_()
        scores = critic(between)
        (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
        penalty = ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + config.penalty * penalty
        loss.backward()
        critic_adam.step()
        loss.item()
        if step % config.critic_steps == 0:
            generator_adam.zero_grad()
            loss = -critic(generator(torch.randn(len(real), config.latent, device=real.device))).mean()
            loss.backward()
            generator_adam.step()
            loss.item()
        yield len(real)


def variational(method: Method, batches: Iterator[Tensor]) -> Loop:
    """`vae`: binary cross entropy of pixels in 0..1, and the KL term."""
    encoder, decoder = plain(method.encoder), plain(method.decoder)
    optimizer = adam(method.config, encoder, decoder)
    for real in batches:
        optimizer.zero_grad()
        mean, log_variance = encoder(real).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        made = torch.sigmoid(2 * decoder(z))
        reconstruction = F.binary_cross_entropy(made, (real + 1) / 2, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        loss = (reconstruction + kl) / len(real)
        loss.backward()
        optimizer.step()
        loss.item()
        yield len(real)


def freeze(frozen: bool, *networks: nn.Module) -> None:
    for network in networks:
        network.requires_grad_(not frozen)


def pix2pix(method: Method, batches: Iterator[tuple[Tensor, Tensor]]) -> Loop:
    """Isola et al., with batch norm: for one image it equals instance norm, which is slower in torch."""
    config = method.config
    generator, discriminator = (plain(n, norm=nn.BatchNorm2d) for n in (method.generator, method.discriminator))
    generator_adam, discriminator_adam = adam(config, generator), adam(config, discriminator)
    criterion = nn.BCEWithLogitsLoss()
    for source, target in batches:
        fake = generator(source)
        freeze(False, discriminator)
        discriminator_adam.zero_grad()
        of_fake = discriminator(torch.cat([source, fake.detach()], 1))
        of_real = discriminator(torch.cat([source, target], 1))
        loss = 0.5 * (criterion(of_fake, torch.zeros_like(of_fake)) + criterion(of_real, torch.ones_like(of_real)))
        loss.backward()
        discriminator_adam.step()
        freeze(True, discriminator)
        generator_adam.zero_grad()
        of_fake = discriminator(torch.cat([source, fake], 1))
        generator_loss = criterion(of_fake, torch.ones_like(of_fake)) + config.l1 * F.l1_loss(fake, target)
        generator_loss.backward()
        generator_adam.step()
        loss.item(), generator_loss.item()
        yield len(source)


def cyclegan(method: Method, batches: Iterator[tuple[Tensor, Tensor]]) -> Loop:
    """Zhu et al., without the pool: both generators, then both discriminators."""
    config = method.config
    there, back = plain(method.generators["ab"]), plain(method.generators["ba"])
    judge_a, judge_b = plain(method.discriminators["a"]), plain(method.discriminators["b"])
    generators_adam, judges_adam = adam(config, there, back), adam(config, judge_a, judge_b)
    for a, b in batches:
        freeze(True, judge_a, judge_b)
        generators_adam.zero_grad()
        fake_b, fake_a = there(a), back(b)
        cycled_a, cycled_b = back(fake_b), there(fake_a)
        of_b, of_a = judge_b(fake_b), judge_a(fake_a)
        loss = F.mse_loss(of_b, torch.ones_like(of_b)) + F.mse_loss(of_a, torch.ones_like(of_a))
        loss = loss + config.cycle * (F.l1_loss(cycled_a, a) + F.l1_loss(cycled_b, b))
        loss.backward()
        generators_adam.step()
        freeze(False, judge_a, judge_b)
        judges_adam.zero_grad()
        for judge, real, fake in ((judge_a, a, fake_a), (judge_b, b, fake_b)):
            of_real, of_fake = judge(real), judge(fake.detach())
            judged = F.mse_loss(of_real, torch.ones_like(of_real)) + F.mse_loss(of_fake, torch.zeros_like(of_fake))
            (judged / 2).backward()
            judged.item()
        judges_adam.step()
        loss.item()
        yield len(a)


LOOPS: dict[str, Callable[[Method, Iterator], Loop]] = {
    "gan": adversarial,
    "dcgan": adversarial,
    "cgan": conditional,
    "wgan_gp": wasserstein,
    "vae": variational,
    "pix2pix": pix2pix,
    "cyclegan": cyclegan,
}
