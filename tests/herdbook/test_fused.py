"""The kernels, which take float32 on a CPU, beside torch, which takes float64 here as it takes all on a GPU."""

from collections.abc import Callable

import pytest
import torch

from herdbook import fused

TARGETS = torch.tensor([3, 0, -100, 6, 1, 2])
COSINES, SINES = (torch.randn(3, 4, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (1, 2))
COSINES[:, 2:], SINES[:, 2:] = COSINES[:, :2], SINES[:, :2]  # both halves are the same, as transformers has them
WORK: dict[str, tuple[Callable, list[tuple[int, ...]]]] = {
    "normed": (lambda states, weight: fused.normed(states, weight, 0.1), [(6, 70), (70,)]),
    "gated": (fused.gated, [(6, 140)]),
    "turned": (lambda heads: fused.turned(heads, 3, COSINES.to(heads.dtype), SINES.to(heads.dtype)), [(6, 4, 4)]),
    "cross_entropy": (lambda logits: fused.cross_entropy(logits, TARGETS), [(6, 70)]),
}


def made(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).mul(3).to(dtype).requires_grad_() for shape in shapes]


def results(work: Callable, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """What comes out, and the gradient of every input where each result counts differently."""
    found = work(*inputs)
    found.backward(torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view(found.shape))
    return [found.detach(), *(given.grad for given in inputs)]


@pytest.mark.parametrize("name", WORK)
def test_results_and_gradients_are_those_of_torch(name):
    work, shapes = WORK[name]
    ours, theirs = results(work, made(shapes, torch.float32)), results(work, made(shapes, torch.float64))
    for found, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WORK)
def test_without_gradients_the_result_is_the_same(name):
    work, shapes = WORK[name]
    with torch.no_grad():
        without = work(*made(shapes, torch.float32))
    torch.testing.assert_close(work(*made(shapes, torch.float32)).detach(), without, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", WORK)
def test_inputs_that_do_not_lie_whole_are_taken_as_they_are(name):
    work, shapes = WORK[name]
    whole = made(shapes, torch.float32)
    strided = [given.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_() for given in whole]
    for found, wanted in zip(results(work, strided), results(work, whole), strict=True):
        assert torch.equal(found, wanted)


def test_the_next_token_takes_what_torch_says_and_is_remembered():
    found = {}
    for dtype in (torch.float32, torch.float64):
        heads, memory = (given.detach() for given in made([(5, 8, 4), (5, 2, 3, 2, 4)], dtype))  # 4 queries to 2 keys
        found[dtype] = fused.attended(heads, COSINES.to(dtype), SINES.to(dtype), memory, 2), memory
    for ours, theirs in zip(found[torch.float32], found[torch.float64], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_target_that_is_no_token_is_refused(dtype):
    with pytest.raises(IndexError):
        fused.cross_entropy(torch.zeros(2, 7, dtype=dtype), torch.tensor([6, 7]))


def test_shapes_that_do_not_go_together_are_refused_before_a_kernel_reads_what_is_not_there():
    heads, turns, memory = torch.zeros(6, 4, 4), torch.zeros(3, 4), torch.zeros(6, 1, 3, 2, 4)
    for work in (
        lambda: fused.normed(torch.zeros(6, 10), torch.zeros(9), 0.1),
        lambda: fused.gated(torch.zeros(6, 9)),
        lambda: fused.turned(heads[:5], 3, turns, turns),
        lambda: fused.turned(heads, 3, turns[:, :2], turns[:, :2]),
        lambda: fused.turned(heads, 3, turns, turns[:2]),
        lambda: fused.attended(heads[:5], turns, turns, memory, 2),
        lambda: fused.attended(heads, turns, turns, memory, 3),
        lambda: fused.attended(heads, turns[:2], turns[:2], memory, 2),
        lambda: fused.attended(heads[:, :, :2], turns, turns, memory, 2),
        lambda: fused.cross_entropy(torch.zeros(6, 7), torch.tensor([1, 2])),
    ):
        with pytest.raises(ValueError, match="shapes that do not go together"):
            work()


def test_a_second_walk_back_fails_for_the_first_has_written_over_what_it_needs():
    (logits,) = made([(6, 7)], torch.float32)
    loss = fused.cross_entropy(logits, TARGETS).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(AttributeError):
        loss.backward()
