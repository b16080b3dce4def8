import contextlib
import io
import json
import shutil

import pytest

from herdbook.base import import_pretrained, new_base
from herdbook.errors import ModelError
from herdbook.files import digest
from herdbook.layout import PRETRAINED
from herdbook.params import Model
from herdbook.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

CONFIG = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}
TOKENIZER = train_tokenizer(["the cat sat on the mat"], 260)


def model(architecture="llama", **config):
    return Model(architecture=architecture, config=config or CONFIG, pretrained=None)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("llama", CONFIG),
        ("gpt2", {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32}),
        ("qwen3", {**CONFIG, "num_key_value_heads": 1}),
        ("mamba", {"hidden_size": 16, "num_hidden_layers": 1}),
    ],
)
def test_any_causal_model_type_can_be_made_and_opened(tmp_path, architecture, config):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    for name in ("a", "b"):
        new_base(model(architecture, **config), TOKENIZER, 16, tmp_path / name)
    found = AutoConfig.from_pretrained(tmp_path / "a")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert (found.model_type, found.vocab_size, found.bos_token_id, found.eos_token_id, found.pad_token_id) == (architecture, 260, 0, 0, 0)
    assert AutoModelForCausalLM.from_config(found).get_input_embeddings().num_embeddings == 260
    opened = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert opened("the cat, é")["input_ids"] == load_tokenizer(tmp_path / "a").encode(["the cat, é"])[0]


@pytest.mark.parametrize(
    ("architecture", "config", "message"),
    [
        ("lama", CONFIG, "model.architecture is 'lama', must be a causal model type of transformers, such as llama"),
        ("vit", CONFIG, "model.architecture is 'vit', must be a causal model type"),
        ("llama", {"hiden_size": 16}, r"model\.config\.hiden_size cannot be set \(llama has hidden_size\)"),
        ("llama", {"vocab_size": 9}, r"model\.config\.vocab_size cannot be set \(it follows from the tokenizer\)"),
        ("llama", {"eos_token_id": 9}, r"eos_token_id cannot be set \(it follows from the tokenizer\)"),
        ("llama", {"hidden_size": "wide"}, r"model\.config makes no llama \(.*hidden_size.*; correct it there"),
        ("llama", {**CONFIG, "hidden_size": 17}, r"makes no llama \(.*17.*multiple"),
        ("llama", {**CONFIG, "hidden_act": "none such"}, "makes no llama"),
        ("llama", {**CONFIG, "max_position_embeddings": 15}, "max_position_embeddings is 15, must be at least prepare.block_tokens = 16"),
        ("gpt2", {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 8}, "max_position_embeddings is 8"),
    ],
)
def test_a_model_that_cannot_be_made_is_one_line(tmp_path, architecture, config, message):
    with pytest.raises(ModelError, match=message) as caught:
        new_base(model(architecture, **config), TOKENIZER, 16, tmp_path / "base")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "base").exists()


# Local weights.


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small Llama with its tokenizer, as transformers saves it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("saved") / "tiny"
    new_base(model(), TOKENIZER, 16, folder)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(saved, tmp_path, monkeypatch):
    """A copy of `saved` at pretrained/tiny of the working directory."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(saved, tmp_path / PRETRAINED / "tiny")


def test_local_weights_are_kept_bit_for_bit_and_written_alike(tiny, tmp_path):
    from safetensors.numpy import load_file

    for name in ("a", "b"):
        assert import_pretrained("tiny", 16, tmp_path / name).encode(["the mat"]) == TOKENIZER.encode(["the mat"])
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny, tmp_path / "a"))
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert not [path for path in (tmp_path / "a").iterdir() if str(tmp_path).encode() in path.read_bytes()]


def test_weights_of_fewer_bits_become_float32(tiny, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(tiny)
    import_pretrained("tiny", 16, tmp_path / "base")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "base").dtype == torch.float32


def edit_config(folder, name, **changes):
    path = folder / name
    found = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def lose_a_weight(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def spoil_a_weight(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def pickle_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def enlarge_vocabulary(folder):
    save_tokenizer(train_tokenizer(["the cat sat on the mat", "a dog lay on the rug"], 270), folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, r"pretrained/tiny: not found; put the model there"),
        (lambda folder: (folder / "model.safetensors").unlink(), "a model folder without weights"),
        (pickle_weights, "pickled ones are never opened"),
        (cut_weights, "not a causal model with its tokenizer"),
        (lose_a_weight, r"lacks 1 weights of a causal model \(model\.layers\.0\.mlp\.up_proj\.weight\)"),
        (spoil_a_weight, r"1 weights hold numbers that are not finite, such as model\.norm\.weight"),
        (lambda folder: edit_config(folder, "config.json", model_type="none such"), "not a causal model with its tokenizer"),
        (lambda folder: (folder / "config.json").unlink(), "not a causal model with its tokenizer"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: edit_config(folder, "tokenizer_config.json", eos_token=None), "no end-of-text token"),
        (enlarge_vocabulary, "270 tokens but 260 embeddings"),
        (lambda folder: edit_config(folder, "config.json", max_position_embeddings=8), "tiny: max_position_embeddings is 8"),
    ],
)
def test_local_weights_that_cannot_be_used_are_one_line(tiny, tmp_path, damage, message):
    damage(tiny)
    with pytest.raises(ModelError, match=message) as caught:
        import_pretrained("tiny", 16, tmp_path / "base")
    assert "\n" not in str(caught.value)


OWN_CODE = """open({mark!r}, "w")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class C(LlamaConfig): model_type = "own"
class M(LlamaForCausalLM): config_class = C
class T(PreTrainedTokenizerFast): pass
"""


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("config.json", {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}),
        ("tokenizer_config.json", {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": [None, "own.T"]}}),
    ],
)
def test_code_that_comes_with_a_model_is_never_run_and_nobody_is_asked_whether_it_may(tiny, tmp_path, monkeypatch, capfd, name, changes):
    mark = tmp_path / "was run"
    (tiny / "own.py").write_text(OWN_CODE.format(mark=str(mark)))
    edit_config(tiny, name, **changes)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    with contextlib.suppress(ModelError):  # a tokenizer of its own is read as transformers' own class, or refused
        import_pretrained("tiny", 16, tmp_path / "base")
    assert not mark.exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["../tiny", "tiny/../../x", "/etc", "", "."])
def test_weights_outside_their_folder_are_never_opened(tiny, tmp_path, name):
    with pytest.raises(ModelError, match="must be the name of something inside pretrained/"):
        import_pretrained(name, 16, tmp_path / "base")


def test_a_file_that_is_no_gguf_is_refused(tiny, tmp_path):
    (tmp_path / "pretrained/a.bin").write_bytes(b"")
    (tmp_path / "pretrained/a.gguf").write_bytes(b"GGUF")
    for name, message in (("a.bin", r"neither a model folder nor a \.gguf file"), ("a.gguf", "not a causal model with its tokenizer")):
        with pytest.raises(ModelError, match=message):
            import_pretrained(name, 16, tmp_path / "base")


def test_a_gguf_file_gives_the_model_that_it_was_made_from(tiny, tmp_path):
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    import torch
    from transformers import AutoModelForCausalLM

    write_gguf(gguf, tiny, tmp_path / "pretrained/tiny.gguf")
    for name in ("a", "b"):
        assert import_pretrained("tiny.gguf", 16, tmp_path / name).encode(["the cat, é"]) == TOKENIZER.encode(["the cat, é"])
    tokens = torch.tensor(TOKENIZER.encode(["the cat sat on the mat"]))
    with torch.no_grad():
        logits = [AutoModelForCausalLM.from_pretrained(folder)(tokens).logits for folder in (tiny, tmp_path / "a")]
    torch.testing.assert_close(logits[0], logits[1])
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert not [path for path in (tmp_path / "a").iterdir() if str(tmp_path).encode() in path.read_bytes()]


GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}  # fmt: skip


def write_gguf(gguf, folder, path):
    """The Llama and the tokenizer of a Hugging Face folder as a GGUF file of float32 weights."""
    from safetensors.numpy import load_file

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(16)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(260)
    core = json.loads((folder / "tokenizer.json").read_text())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(core["vocab"], key=core["vocab"].get))
    writer.add_token_types([3] + [1] * 259)
    writer.add_token_merges([" ".join(merge) for merge in core["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(0)
    for name, weight in load_file(folder / "model.safetensors").items():
        if "q_proj" in name or "k_proj" in name:  # llama.cpp stores rotary pairs side by side
            weight = weight.reshape(2, 2, 4, 16).swapaxes(1, 2).reshape(16, 16)
        for theirs, ours in GGUF_NAMES.items():
            name = name.replace(theirs, ours)
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
