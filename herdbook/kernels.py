"""What a language model does between its matrix products, each in one pass over memory: numpy arrays in, numpy arrays written.

Compiled by numba for the processor that the pins name and not for the one at hand, so the bits are the same whoever made it; and so exp is
a polynomial of our own, as those of libraries differ. Arrays lie whole in memory, which numba demands, and are of the sizes told, which
nobody checks here: herdbook/fused.py does."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

# A sum may be taken in any order, a factor drawn out of it, a product added in one rounding: which, the compiler decides, and its version
# and target are pinned.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
_LOG2_E = np.float32(1.4426950408889634)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOT = 64  # weights that are added before their sum is compared
# numba may keep the code of an older source under the name of a function, if it was interrupted: so the name says of what the code is.
_SETTINGS = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
_MADE_OF = hashlib.sha256("\0".join([Path(__file__).read_text(), numba.__version__, llvmlite.__version__, *_SETTINGS]).encode()).hexdigest()


def _compiled(signature: str) -> Callable[[Callable[..., Any]], Any]:
    def compiled(work: Callable[..., Any]) -> Any:
        work.__qualname__ = f"{work.__name__}-{_MADE_OF[:16]}"
        try:
            return numba.njit(signature, cache=True, **_OPTIONS)(work)
        except RuntimeError:  # nowhere to keep it, neither here nor at home: each process compiles it anew
            return numba.njit(signature, **_OPTIONS)(work)

    return compiled


@_compiled("float32(float32)")
def exp2(x: Any) -> Any:
    """2**x within 2 units in the last place; x is held to [-126, 127], where powers are normal numbers. (Moshier 1989, Cephes: exp2f.)"""
    x = np.float32(-126) if x < np.float32(-126) else x  # written so that what is not a number stays none
    x = np.float32(127) if x > np.float32(127) else x
    whole = np.floor(x + _HALF)
    part = x - whole  # of [-1/2, 1/2]
    found = np.float32(1.535336188319500e-4)
    found = found * part + np.float32(1.339887440266574e-3)
    found = found * part + np.float32(9.618437357674640e-3)
    found = found * part + np.float32(5.550332471162809e-2)
    found = found * part + np.float32(2.402264791363012e-1)
    found = found * part + np.float32(6.931472028550421e-1)
    found = found * part + _ONE
    return found * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@_compiled("float32(float32[::1])")
def largest(row: Any) -> Any:
    """The largest of a row. Floats stand in the order of their bits, those below 0 reversed; only for integers are vectors used."""
    bits, found = row.view(np.int32), np.int32(-(2**31))
    for j in range(len(bits)):
        ordered = np.int32(bits[j] ^ ((bits[j] >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        found = ordered if ordered > found else found
    return np.int32(found ^ ((found >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@_compiled("void(float32[:,::1], float32[::1], float32, float32[:,::1], float32[::1])")
def norm(states: Any, weight: Any, epsilon: Any, normed: Any, inverse: Any) -> None:
    """Each row over its root mean square, times the weight; `inverse` is written 1 / that root. Zhang and Sennrich 2019, equation 4."""
    rows, size = states.shape
    for i in range(rows):
        row, found, total = states[i], normed[i], _ZERO
        for j in range(size):
            total += row[j] * row[j]
        scale = _ONE / np.sqrt(total / np.float32(size) + epsilon)
        for j in range(size):
            found[j] = row[j] * scale * weight[j]
        inverse[i] = scale


@_compiled("void(float32[:,::1], float32[:,::1], float32[::1], float32[::1], float32[:,::1], float32[::1])")
def norm_gradient(gradient: Any, states: Any, weight: Any, inverse: Any, to_states: Any, to_weight: Any) -> None:
    """The gradients of `norm`; `to_weight` is added to."""
    rows, size = states.shape
    for i in range(rows):
        given, row, found, scale, total = gradient[i], states[i], to_states[i], inverse[i], _ZERO
        for j in range(size):
            total += given[j] * weight[j] * row[j]
        along = total * scale * scale / np.float32(size)
        for j in range(size):
            to_weight[j] += given[j] * row[j] * scale
            found[j] = (given[j] * weight[j] - row[j] * along) * scale


@_compiled("void(float32[:,::1], float32[:,::1])")
def gate(both: Any, gated: Any) -> None:
    """SwiGLU of Shazeer 2020, section 2: the left half of a row, times its own sigmoid, times the right half."""
    rows, size = gated.shape
    for i in range(rows):
        left, right, found = both[i, :size], both[i, size:], gated[i]
        for j in range(size):
            found[j] = left[j] / (_ONE + exp2(left[j] * -_LOG2_E)) * right[j]


@_compiled("void(float32[:,::1], float32[:,::1], float32[:,::1])")
def gate_gradient(gradient: Any, both: Any, to_both: Any) -> None:
    """The gradient of `gate`."""
    rows, size = gradient.shape
    for i in range(rows):
        left, right, given, to_left, to_right = both[i, :size], both[i, size:], gradient[i], to_both[i, :size], to_both[i, size:]
        for j in range(size):
            share = _ONE / (_ONE + exp2(left[j] * -_LOG2_E))
            to_left[j] = given[j] * right[j] * share * (_ONE + left[j] * (_ONE - share))
            to_right[j] = given[j] * left[j] * share


@numba.njit(inline="always")  # into what is compiled
def _turn(head: Any, cosines: Any, sines: Any, way: Any, scale: Any, found: Any) -> None:
    half = len(head) // 2
    for j in range(half):
        found[j] = (head[j] * cosines[j] - way * head[half + j] * sines[j]) * scale
    for j in range(half):
        found[half + j] = (head[half + j] * cosines[j] + way * head[j] * sines[j]) * scale


@_compiled("void(float32[:,:,::1], int64, float32[:,::1], float32[:,::1], float32, float32[:,:,::1])")
def turn(heads: Any, num_turned: int, cosines: Any, sines: Any, way: Any, turned: Any) -> None:
    """The first heads of each token turned by its position (Su et al. 2021, section 3.4.2), forth where `way` is 1 and back where it is -1.

    heads: (tokens, heads, size), tokens of rows as long as `cosines` (positions, size); both halves of a cosine's row are the same."""
    tokens, num_heads, size = heads.shape
    for i in range(tokens):
        at = i % len(cosines)
        for h in range(num_turned):
            _turn(heads[i, h], cosines[at], sines[at], way, _ONE, turned[i, h])
        for h in range(num_turned, num_heads):
            for j in range(size):
                turned[i, h, j] = heads[i, h, j]


@_compiled("void(float32[:,:,::1], float32[::1], float32[::1], float32[:,:,:,:,::1], int64, float32[:,:,::1])")
def attend(heads: Any, cosines: Any, sines: Any, memory: Any, at: int, attended: Any) -> None:
    """What the token at position `at` of each row takes of those up to it; its key, turned, and its value are written to `memory`.

    heads: (rows, queries then keys then values, size), not turned; memory: keys beside values, (rows, keys, positions, 2, size);
    attended: (rows, queries, size)."""
    rows, num_heads, size = attended.shape
    num_shared, end = memory.shape[1], at + 1
    sharing, scale = num_heads // num_shared, _LOG2_E / np.sqrt(np.float32(size))
    query, scores, found = np.empty(size, np.float32), np.empty(end, np.float32), np.empty(size, np.float32)
    for i in range(rows):
        for s in range(num_shared):
            past = memory[i, s]
            _turn(heads[i, num_heads + s], cosines, sines, _ONE, _ONE, past[at, 0])
            value = heads[i, num_heads + num_shared + s]
            for j in range(size):
                past[at, 1, j] = value[j]
            for h in range(s * sharing, (s + 1) * sharing):
                _turn(heads[i, h], cosines, sines, _ONE, scale, query)
                for p in range(end):
                    key, score = past[p, 0], _ZERO
                    for j in range(size):
                        score += query[j] * key[j]
                    scores[p] = score
                most, total = largest(scores), _ZERO
                for p in range(end):
                    scores[p] = exp2(scores[p] - most)
                    total += scores[p]
                found[:] = _ZERO
                for p in range(end):
                    share, value = scores[p], past[p, 1]
                    for j in range(size):
                        found[j] += share * value[j]
                share, taken = _ONE / total, attended[i, h]
                for j in range(size):
                    taken[j] = found[j] * share


@_compiled("void(float32[:,::1], int64[::1], float32[::1])")
def cross_entropy(logits: Any, targets: Any, losses: Any) -> None:
    """Nats of each row's target, which is a column; 0 where it is below 0."""
    rows, size = logits.shape
    for i in range(rows):
        row, target, total = logits[i], targets[i], _ZERO
        if target < 0:
            losses[i] = _ZERO
            continue
        most = largest(row)
        for j in range(size):
            total += exp2((row[j] - most) * _LOG2_E)
        losses[i] = np.float32(np.log(np.float64(total))) + (most - row[target])


@_compiled("void(float32[:,::1], int64[::1], float32[::1], float32[:,::1])")
def cross_entropy_gradient(logits: Any, targets: Any, losses: Any, slopes: Any) -> None:
    """`cross_entropy`, and the gradient of each row's loss: the probabilities, less 1 at the target."""
    rows, size = logits.shape
    for i in range(rows):
        row, found, target, total = logits[i], slopes[i], targets[i], _ZERO
        if target < 0:
            losses[i] = _ZERO
            for j in range(size):
                found[j] = _ZERO
            continue
        most = largest(row)
        for j in range(size):
            found[j] = exp2((row[j] - most) * _LOG2_E)
            total += found[j]
        losses[i] = np.float32(np.log(np.float64(total))) + (most - row[target])
        share = _ONE / total
        for j in range(size):
            found[j] *= share
        found[target] -= _ONE


@_compiled("void(float32[:,::1], float32, float32, int32[:,::1])")
def weigh(logits: Any, scale: Any, of_largest: Any, weights: Any) -> None:
    """2**((logit - largest) * scale) of each row, times `of_largest`, cut to integers."""
    rows, size = logits.shape
    for i in range(rows):
        row, found, most = logits[i], weights[i], largest(logits[i])
        for j in range(size):
            found[j] = np.int32(exp2((row[j] - most) * scale) * of_largest)


@_compiled("void(int32[:,::1], int32[::1])")
def cut(weights: Any, least: Any) -> None:
    """Weights below the row's least become 0."""
    rows, size = weights.shape
    for i in range(rows):
        row, bound = weights[i], least[i]
        for j in range(size):
            row[j] = row[j] if row[j] >= bound else np.int32(0)


@_compiled("void(int32[:,::1], float64[::1], int64[::1])")
def pick(weights: Any, uniforms: Any, picked: Any) -> None:
    """The first place of each row at which the sum of its weights is above `uniforms` (of [0, 1)) of their total."""
    rows, size = weights.shape
    for i in range(rows):
        row, total = weights[i], np.int64(0)
        for j in range(size):
            total += np.int64(row[j])
        target, found, at = np.int64(uniforms[i] * np.float64(total)), np.int64(0), 0
        while at + _LOT < size:
            lot, part = row[at : at + _LOT], np.int64(0)
            for j in range(_LOT):
                part += np.int64(lot[j])
            if found + part > target:
                break
            found, at = found + part, at + _LOT
        found += np.int64(row[at])
        while found <= target and at < size - 1:
            at += 1
            found += np.int64(row[at])
        picked[i] = at
