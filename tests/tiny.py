"""Models that train in a blink, and a project folder that holds one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from herdbook import numeric
from herdbook.base import new_base
from herdbook.files import write_json, write_table
from herdbook.layout import BASE_MODEL, HUMAN_HELD_OUT, Place
from herdbook.params import Decoding, Model, Train
from herdbook.receipt import training_data
from herdbook.tokenizer import train_tokenizer
from stages import code
from tests import workspace
from tests.parameters import document
from tests.rows import rows_of

torch.set_num_threads(1)  # threads of parallel test workers wait for each other: four times the time

VOCABULARY = 260
MARK = 0
LLAMA = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
CONFIGS = {
    "llama": {**LLAMA, "max_position_embeddings": 32, "tie_word_embeddings": True},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32},  # dropout 0.1
    "mistral": {**LLAMA, "max_position_embeddings": 32, "sliding_window": 4},
    "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},  # keeps no keys and values
}
TRAIN = Train(epochs=2, batch_rows=4, learning_rate=0.01, warmup_share=0.1, weight_decay=0.1, device="cpu")
DECODING = {"num_rows": 12, "temperature": 1.0, "top_k": 20, "top_p": 1.0, "num_beams": 1, "repetition_penalty": 1.0}


def decoding(**changes: float) -> Decoding:
    """Pure sampling, but for these."""
    return Decoding.model_validate({**DECODING, "top_k": 0, **changes})


def write_base(directory: Path, architecture: str = "llama") -> None:
    """The folder of a tiny model to be trained from scratch."""
    tokenizer = train_tokenizer(["the cat sat on the mat, the hat"], VOCABULARY)
    new_base(Model(architecture=architecture, config=CONFIGS[architecture], pretrained=None), tokenizer, 16, directory)


def write_project(root: Path) -> None:
    """A project at `root`, the working directory: human rows, policies, small parameters, and a tiny base model."""
    workspace.build(root)
    for name in ("herdbook", "stages", "constraints.txt"):
        (root / name).symlink_to(workspace.ROOT / name)
    code.main([])
    params = document(prepare={"block_tokens": 6}, sample={"prompt_tokens": 2, "num_examples": 2, "device": "cpu"})
    params["train"] = TRAIN.model_dump()
    params["decodings"] = {"top_k": DECODING, "all": {**DECODING, "top_k": 0, "num_rows": 5}}
    for regime in params["regimes"].values():
        regime["decoding"] = DECODING
    params["regimes"]["blocked"] = {**params["regimes"]["replace"], "gate": "block"}
    params["regimes"]["free"] = {**params["regimes"]["replace"], "compute": "epochs"}
    params["regimes"]["resumed"] = {**params["regimes"]["replace"], "start": "founder"}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    write_base(BASE_MODEL)
    write_table(HUMAN_HELD_OUT, rows_of("held out", 3, nll=None))


def write_training(place: Place, verdict: str = "passed", waivers: tuple = ()) -> None:
    """An inspected training set."""
    workspace.write_generation(place, training=verdict)
    data = training_data(place)
    write_json(data["making"], {"waivers": list(waivers)})
    workspace.write_receipt(place.receipt("training"), "training", data, verdict)


def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that stages demand."""
    for name, value in numeric.PINS.items():
        monkeypatch.setenv(name, value)


def run_stage(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a stage in a fresh interpreter, here."""
    return subprocess.run(
        [sys.executable, "-m", "stages", *words],
        env={**os.environ, "HERDBOOK_COLD": "1", "PYTHONPATH": str(workspace.ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
