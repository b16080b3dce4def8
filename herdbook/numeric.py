"""What decides the bits of a computation: instruction set, threads, algorithms.

Measured on x86-64: the vector width of ATen and the branch of MKL change the digest of a trained
model; pinning both to AVX2 costs nothing. The launcher sets PINS before torch is imported. They do not reach all of MKL,
which chooses by the maker of the processor too: docs/reproducibility.md says what is left, and what keeps away from it."""

import hashlib
import os

from herdbook.errors import HerdbookError

PINS = {
    "ARROW_USER_SIMD_LEVEL": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # this and the next keep freed memory: a fifth less CPU, the same bits
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MKL_CBWR": "AVX2,STRICT",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # all that numpy dispatches to beyond AVX2
    "NUMBA_BOUNDSCHECK": "0",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",  # what herdbook/kernels.py is compiled for: else for all that the processor at hand has
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_DEBUGINFO": "0",
    "NUMBA_DISABLE_INTEL_SVML": "1",
    "NUMBA_DISABLE_JIT": "0",
    "NUMBA_LOOP_VECTORIZE": "1",
    "NUMBA_OPT": "3",
    "NUMBA_SLP_VECTORIZE": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}


def pinned(environment: dict[str, str]) -> dict[str, str]:
    """A copy of `environment` in which everything that decides the bits is fixed."""
    return {**environment, **PINS}


def pin_torch() -> None:
    """Hold torch to one thread and deterministic algorithms; refuse where the environment is not pinned."""
    if loose := sorted(name for name, value in PINS.items() if os.environ.get(name) != value):
        raise HerdbookError(
            f"the environment leaves {loose[0]} at {os.environ.get(loose[0])!r}, must be {PINS[loose[0]]!r}, "
            "so the bytes would depend on the machine; start stages with `python -m stages NAME`"
        )
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Every value is written before it is read, and filling memory first takes a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def seed_of(*parts: str | int) -> int:
    """A 63-bit seed that depends on all the parts and on nothing else."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
