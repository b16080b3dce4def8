"""The base model: what every lineage starts from, a configuration with its tokenizer and, where imported, weights."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.errors import ModelError
from herdbook.layout import PRETRAINED
from herdbook.params import Model
from herdbook.tokenizer import Tokenizer, load_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_DERIVED = ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "model_type")  # from the tokenizer and architecture


def new_base(model: Model, tokenizer: Tokenizer, block_tokens: int, directory: Path) -> None:
    """Write configuration and tokenizer of a model to be trained from scratch; `directory` must not exist yet.

    Raises ModelError where transformers knows no such causal model, or cannot make it with that
    configuration, or where its context is shorter than `block_tokens`."""
    config = _new_config(model, tokenizer)
    _check_context(config, block_tokens, "params.yaml: model.config")
    directory.mkdir(parents=True)
    config.save_pretrained(directory)
    save_tokenizer(tokenizer, directory)


def _new_config(model: Model, tokenizer: Tokenizer) -> "PreTrainedConfig":
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    architecture, mark = model.architecture, tokenizer.mark
    if architecture not in KNOWN:
        raise ModelError(
            f"params.yaml: model.architecture is {architecture!r}, must be a causal model type of transformers, "
            f"such as {_nearest(architecture, KNOWN, 'llama')}; correct it there"
        )
    derived = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), mark) | {"vocab_size": tokenizer.vocabulary_size}
    try:
        defaults = AutoConfig.for_model(architecture)
        for key in model.config:
            if key in _DERIVED or not hasattr(defaults, key):
                known = [name for name in defaults.to_dict() if name not in _DERIVED]
                hint = "it follows from the tokenizer" if key in _DERIVED else f"{architecture} has {_nearest(key, known, known[0])}"
                raise ModelError(f"params.yaml: model.config.{key} cannot be set ({hint}); correct or remove it there")
        config = AutoConfig.for_model(architecture, **derived, **model.config)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except ModelError:
        raise
    except Exception as error:  # a configuration can fail anywhere in transformers, with any error
        raise ModelError(f"params.yaml: model.config makes no {architecture} ({_last_line(error)}); correct it there") from error
    config.architectures = None
    return config


def import_pretrained(name: str, block_tokens: int, directory: Path) -> Tokenizer:
    """Write weights (float32 safetensors), configuration and tokenizer of pretrained/`name`; return the tokenizer.

    `name` is a Hugging Face folder, or a .gguf file, whose weights are dequantised. Raises ModelError where
    it lies elsewhere or is missing, has no weights (or only pickled ones), not all the weights of a causal
    model, no tokenizer or none with an end-of-text token, or a context shorter than `block_tokens`."""
    source = PRETRAINED / name
    if PRETRAINED.absolute() not in source.absolute().parents or ".." in source.parts:
        raise ModelError(f"params.yaml: model.pretrained is {name!r}, must be the name of something inside {PRETRAINED}/; move it there")
    if not source.exists():
        raise ModelError(f"{source}: not found; put the model there, or set model.pretrained to null in params.yaml")
    if source.is_dir() and not any(source.glob("*.safetensors")):
        raise ModelError(f"{source}: a model folder without weights (.safetensors; pickled ones are never opened); add or convert them")
    if not source.is_dir() and source.suffix != ".gguf":
        raise ModelError(f"{source}: neither a model folder nor a .gguf file; put one there")
    model, tokenizer = _opened(source)
    _check_context(model.config, block_tokens, str(source))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    saved = load_tokenizer(directory)
    if saved.vocabulary_size > (num_embeddings := model.get_input_embeddings().num_embeddings):
        raise ModelError(f"{source}: {saved.vocabulary_size} tokens but {num_embeddings} embeddings; use the model's own tokenizer")
    return saved


def _opened(source: Path) -> tuple[Any, Any]:
    """The model and the tokenizer of a folder or .gguf file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    from herdbook.models import hush_transformers

    hush_transformers()
    folder, packed = (source, {}) if source.is_dir() else (source.parent, {"gguf_file": source.name})
    options = {"quantization_config": GgufConfig(dequantize=True)} if packed else {"use_safetensors": True}
    # Left open, transformers asks whoever sits there whether the folder's own code may run.
    safely: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, **packed}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **safely, **options)
        model, loading = loaded
    except ImportError as error:
        raise ModelError(f"{source}: needs more packages ({_last_line(error)}); pip install 'herdbook[gguf]'") from error
    except Exception as error:  # a broken file can fail anywhere in transformers, with any error
        raise ModelError(f"{source}: not a causal model with its tokenizer ({_last_line(error)}); replace it") from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(f"{source}: lacks {len(missing)} weights of a causal model ({missing[0]}); use a folder saved from one")
    if broken := sorted(name for name, weights in model.named_parameters() if not weights.isfinite().all()):
        raise ModelError(f"{source}: {len(broken)} weights hold numbers that are not finite, such as {broken[0]}; replace it")
    return model, tokenizer


def _check_context(config: "PreTrainedConfig", block_tokens: int, where: str) -> None:
    context = getattr(config, "max_position_embeddings", None)
    if context is not None and context < block_tokens:
        raise ModelError(
            f"{where}: max_position_embeddings is {context}, must be at least prepare.block_tokens = {block_tokens}; change one"
        )


def _nearest(word: str, known: Any, otherwise: str) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), otherwise)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalnum, line))]
    return lines[-1][:200] if lines else type(error).__name__
