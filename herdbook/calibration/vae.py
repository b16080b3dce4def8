"""A small variational autoencoder for pictures (Kingma and Welling 2014, arXiv 1312.6114).

As Shumailov et al. 2024 (Nature 631:755, code VAE notebook) use it: a picture is what the decoder makes of a standard normal draw.
The decoder's input is padded with zeros, exp is a power of 2 and Adam is fused: products of so few columns, and MKL's own exp and
sqrt, have other bits on processors of another maker (docs/reproducibility.md)."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_NUM_HIDDEN = 128
_NUM_LATENT = 8
_NUM_PADDED = 16
_BATCH_ROWS = 128
_LEARNING_RATE = 5e-3


class _Padded(nn.Linear):
    """A linear layer that reads zeros behind its inputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        missing = (0, _NUM_PADDED - self.in_features)
        return functional.linear(functional.pad(inputs, missing), functional.pad(self.weight, missing), self.bias)


class VAE(nn.Module):
    """Encoder and decoder of one hidden layer each; weights are drawn from `generator`."""

    def __init__(self, num_pixels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(num_pixels, _NUM_HIDDEN), nn.ReLU(), nn.Linear(_NUM_HIDDEN, 2 * _NUM_LATENT))
        self.decode = nn.Sequential(_Padded(_NUM_LATENT, _NUM_HIDDEN), nn.ReLU(), nn.Linear(_NUM_HIDDEN, num_pixels))
        for layer in [*self.encode, *self.decode]:
            if isinstance(layer, nn.Linear):  # as torch itself, but not from its one global generator
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def loss(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Nats a picture: the negative of its evidence lower bound, with each pixel's brightness read as a probability."""
        mean, log_variance = self.encode(pictures).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator)
        logits = self.decode(mean + _exp(log_variance / 2) * noise)
        misfit = functional.binary_cross_entropy_with_logits(logits, pictures, reduction="sum")
        divergence = -0.5 * (1 + log_variance - mean**2 - _exp(log_variance)).sum()
        return (misfit + divergence) / len(pictures)


def _exp(exponents: Tensor) -> Tensor:
    return torch.exp2(exponents * math.log2(math.e))


def fit(pictures: np.ndarray, num_steps: int, generator: torch.Generator) -> VAE:
    """A new model, fitted by Adam for `num_steps` batches drawn with replacement. pictures: shape (n, pixels), 0 to 1."""
    data = torch.from_numpy(pictures)
    model = VAE(data.shape[1], generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE, fused=True)
    for _ in range(num_steps):
        loss = model.loss(data[torch.randint(len(data), (_BATCH_ROWS,), generator=generator)], generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model


def sample(model: VAE, num_rows: int, generator: torch.Generator) -> np.ndarray:
    """Pictures, shape (num_rows, pixels), 0 to 1."""
    with torch.no_grad():
        latents = torch.randn((num_rows, _NUM_LATENT), generator=generator)
        pictures: np.ndarray = torch.sigmoid(model.decode(latents)).numpy()
    return pictures
