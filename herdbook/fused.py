"""What a model does between its matrix products, on tensors: by the compiled kernels for float32 on a CPU, by torch elsewhere."""

from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from herdbook import kernels


def is_for_kernels(tensor: torch.Tensor) -> bool:
    """Whether the kernels take it, or torch's operations."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def normed(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm of states, (tokens, size)."""
    if not is_for_kernels(states):
        return F.rms_norm(states, weight.shape, weight, epsilon)
    _demand(states.shape[1:] == weight.shape, states, weight)
    return _applied(_Norm, states, weight, epsilon)


def gated(both: torch.Tensor) -> torch.Tensor:
    """SiLU of the left half of (tokens, 2 * size), times the right half."""
    if is_for_kernels(both):
        _demand(both.shape[1] % 2 == 0, both)
        return _applied(_Gate, both)
    left, right = both.chunk(2, -1)
    return F.silu(left) * right


def turned(heads: torch.Tensor, num_turned: int, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Heads, (tokens, heads, size), the first of them turned by their positions; the tokens are those of rows as long as `cosines`."""
    _demand(len(heads) % len(cosines) == 0 and heads.shape[2] == cosines.shape[1] and cosines.shape == sines.shape, heads, cosines, sines)
    if is_for_kernels(heads):
        return _applied(_Turn, heads, num_turned, cosines, sines)
    by_row = heads.view(-1, len(cosines), *heads.shape[1:])
    straight, rest = by_row[:, :, :num_turned], by_row[:, :, num_turned:]
    left, right = straight.chunk(2, -1)
    both = straight * cosines[:, None] + torch.cat([-right, left], -1) * sines[:, None]
    return torch.cat([both, rest], 2).view(heads.shape)


def attended(heads: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, memory: torch.Tensor, at: int) -> torch.Tensor:
    """What the token at `at` of each row takes of all up to it: (rows, queries, size), of which there are as many as heads that are
    neither key nor value. Shapes as `kernels.attend` has them, but cosines of all positions; nothing is differentiated."""
    num_shared, num_positions, size = memory.shape[1], memory.shape[2], memory.shape[4]
    num_heads = heads.shape[1] - 2 * num_shared
    _demand(len(memory) == len(heads) and at < num_positions and heads.shape[2] == size and num_heads % num_shared == 0, heads, memory)
    _demand(cosines.shape == sines.shape and at < len(cosines) and cosines.shape[1] == size, heads, cosines, sines)
    if is_for_kernels(heads):
        found = heads.new_empty(len(heads), num_heads, size)
        kernels.attend(_array(heads), _array(cosines[at]), _array(sines[at]), memory.numpy(), at, found.numpy())
        return found
    both = turned(heads, num_heads + num_shared, cosines[at : at + 1], sines[at : at + 1])
    queries, memory[:, :, at, 0], memory[:, :, at, 1] = torch.split(both, [num_heads, num_shared, num_shared], 1)
    queries = queries.reshape(len(heads), num_shared, -1, size)  # heads that share a key stand in for tokens
    keys, values = memory[:, :, : at + 1].unbind(3)
    return F.scaled_dot_product_attention(queries, keys, values).reshape(len(heads), num_heads, size)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Nats of each target, float32 (tokens,), of logits (tokens, vocabulary); 0 for a target below 0."""
    if is_for_kernels(logits):
        _demand(targets.shape == logits.shape[:1], logits, targets)
        if len(targets) and int(targets.max()) >= logits.shape[1]:
            raise IndexError(f"a target is {int(targets.max())}, must be below {logits.shape[1]}, the number of tokens")
        return _applied(_CrossEntropy, logits, targets)
    return F.cross_entropy(logits, targets.clamp(min=-1), ignore_index=-1, reduction="none")


def _demand(is_so: bool, *tensors: torch.Tensor) -> None:
    """Refuse shapes that do not go together: a kernel would read what is not there."""
    if not is_so:
        raise ValueError(f"shapes that do not go together: {', '.join(str(tuple(tensor.shape)) for tensor in tensors)}")


class _NoContext:
    """Stands in for autograd's context where no gradient is asked for: setting one up takes as long as a small kernel."""

    needs_input_grad = (False,)

    def save_for_backward(self, *tensors: torch.Tensor) -> None:
        """Keep nothing."""


def _applied(function: type[Function], *inputs: Any) -> torch.Tensor:
    return function.apply(*inputs) if torch.is_grad_enabled() else function.forward(_NoContext(), *inputs)  # type: ignore[no-untyped-call]


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


class _Norm(Function):
    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        found, inverse = states.new_empty(states.shape), states.new_empty(len(states))
        kernels.norm(_array(states), _array(weight), epsilon, found.numpy(), inverse.numpy())
        ctx.save_for_backward(states, weight, inverse)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        states, weight, inverse = ctx.saved_tensors
        to_states, to_weight = states.new_empty(states.shape), torch.zeros_like(weight)
        kernels.norm_gradient(_array(gradient), _array(states), _array(weight), inverse.numpy(), to_states.numpy(), to_weight.numpy())
        return to_states, to_weight, None


class _Gate(Function):
    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        found = both.new_empty(len(both), both.shape[1] // 2)
        kernels.gate(_array(both), found.numpy())
        ctx.save_for_backward(both)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        (both,) = ctx.saved_tensors
        to_both = both.new_empty(both.shape)
        kernels.gate_gradient(_array(gradient), _array(both), to_both.numpy())
        return to_both


class _Turn(Function):
    @staticmethod
    def forward(ctx: Any, heads: torch.Tensor, num_turned: int, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
        ctx.num_turned, ctx.cosines, ctx.sines = num_turned, cosines, sines
        return _Turn._by(heads, num_turned, cosines, sines, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return _Turn._by(gradient, ctx.num_turned, ctx.cosines, ctx.sines, -1), None, None, None

    @staticmethod
    def _by(heads: torch.Tensor, num_turned: int, cosines: torch.Tensor, sines: torch.Tensor, way: int) -> torch.Tensor:
        found = heads.new_empty(heads.shape)
        kernels.turn(_array(heads), num_turned, _array(cosines), _array(sines), way, found.numpy())
        return found


class _CrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = logits.new_empty(len(logits))
        if ctx.needs_input_grad[0]:
            ctx.slopes = logits.new_empty(logits.shape)
            kernels.cross_entropy_gradient(_array(logits), _array(targets), losses.numpy(), ctx.slopes.numpy())
        else:
            kernels.cross_entropy(_array(logits), _array(targets), losses.numpy())
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        slopes, ctx.slopes = ctx.slopes, None  # written over, so a second walk back fails
        return slopes.mul_(gradient[:, None]), None
