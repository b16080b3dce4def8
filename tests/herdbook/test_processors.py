"""The same bits on every processor: those on record (processors.json), and those of MKL, which chooses its code by the maker, when it
is told that this one is Intel's."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from herdbook import numeric

ON_RECORD = json.loads(Path(__file__).with_name("processors.json").read_text())  # what PROGRAM printed on an AMD EPYC, torch 2.13.0
KEPT_AWAY_FROM = "products of 2 rows"
INTELS = "int mkl_serv_intel_cpu(void) { return 1; } int mkl_serv_intel_cpu_true(void) { return 1; }"
# A training whose last batch is small, losses of rows of all lengths, draws with few rows left, and pictures: every shape that MKL
# treats by the maker, and its exp and sqrt.
PROGRAM = """
import hashlib, json, sys
import numpy as np, torch
from transformers import LlamaConfig, LlamaForCausalLM
from herdbook import numeric
from herdbook.calibration import vae
from herdbook.models import row_nll
from herdbook.params import Decoding, Train
from herdbook.sampler import sample
from herdbook.training import train

numeric.pin_torch()
found = {}
def note(name, *parts):
    found[name] = hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in parts)).hexdigest()

torch.manual_seed(0)
config = LlamaConfig(vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                     num_key_value_heads=1, max_position_embeddings=300, tie_word_embeddings=True)
model = LlamaForCausalLM(config)
generator = torch.Generator().manual_seed(1)
rows = [row[: 1 + 7 * i % 70] for i, row in enumerate(torch.randint(1, 300, (67, 70), generator=generator).tolist())]
rows += torch.randint(1, 300, (3, 64), generator=generator).tolist() + torch.randint(1, 300, (1, 230), generator=generator).tolist()
params = Train(epochs=1, batch_rows=4, learning_rate=0.01, warmup_share=0.1, weight_decay=0.1, device="cpu")
note("losses", train(model, rows, 0, 40, params, generator).losses)
note("weights", *[p.detach().numpy() for p in model.parameters()])
note("nll", row_nll(model, rows, 0, batch_rows=5))
for num_prompt_tokens, num_rows, top_k in [(1, 3, 0), (35, 9, 50)]:
    prompts = torch.randint(1, 300, (num_rows, num_prompt_tokens), generator=generator)
    decoding = Decoding(num_rows=num_rows, temperature=0.9, top_k=top_k, top_p=1.0, num_beams=1, repetition_penalty=1.0)
    drawn = sample(model, prompts, decoding, 40, 7, generator, 5)
    note(f"draws {num_prompt_tokens}", *[np.array(row) for row in drawn])
pictures = np.random.Generator(np.random.PCG64(0)).random((200, 64), dtype=np.float32)
fitted = vae.fit(pictures, 20, generator)
note("pictures", vae.sample(fitted, 50, generator))
note("products of 2 rows", (torch.randn(2, 64, generator=generator) @ torch.randn(64, 64, generator=generator)).numpy())
print(json.dumps(found))
"""


def digests(**environment: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=numeric.pinned({**os.environ, **environment}), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    """The digests on this machine."""
    return digests()


@pytest.mark.skipif(platform.machine() != "x86_64" or "avx2" not in Path("/proc/cpuinfo").read_text(), reason="of x86-64 with AVX2")
def test_this_machine_has_the_bits_on_record(here):
    """Where it fails, `dvc repro` of a fresh clone will change dvc.lock here: docs/reproducibility.md says what to look at."""
    assert len(ON_RECORD) == 6
    assert here == {**ON_RECORD, KEPT_AWAY_FROM: here[KEPT_AWAY_FROM]}


@pytest.mark.skipif(not shutil.which("cc"), reason="takes a compiler of C")
def test_training_losses_draws_and_pictures_have_the_same_bits_whoever_made_the_processor(here, tmp_path):
    (tmp_path / "maker.c").write_text(INTELS)
    subprocess.run(["cc", "-shared", "-fPIC", str(tmp_path / "maker.c"), "-o", str(tmp_path / "maker.so")], check=True)
    there = digests(LD_PRELOAD=str(tmp_path / "maker.so"))
    assert {name: there[name] for name in ON_RECORD} == {name: here[name] for name in ON_RECORD}
    is_intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    assert (here[KEPT_AWAY_FROM] == there[KEPT_AWAY_FROM]) == is_intel
