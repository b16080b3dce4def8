"""A Llama of a Hugging Face folder as a GGUF file, which llama.cpp's converter would make of it."""

import json
from pathlib import Path

_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}  # fmt: skip


def write_gguf(folder: Path, path: Path, is_quantised: bool = False) -> None:
    """Write weights and tokenizer of `folder`: float32, or all matrices in Q8_0, whose blocks are of 32 weights."""
    import gguf
    from gguf.quants import quantize
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    heads, width = config["num_attention_heads"], config["hidden_size"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(width // heads)
    core = json.loads((folder / "tokenizer.json").read_text())["model"]
    writer.add_vocab_size(len(core["vocab"]))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(core["vocab"], key=core["vocab"].get))
    writer.add_token_types([3] + [1] * (len(core["vocab"]) - 1))
    writer.add_token_merges([" ".join(merge) for merge in core["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(0)
    for name, weight in load_file(folder / "model.safetensors").items():
        if "q_proj" in name or "k_proj" in name:  # llama.cpp stores rotary pairs side by side
            weight = weight.reshape(heads, 2, width // heads // 2, width).swapaxes(1, 2).reshape(width, width)
        for theirs, ours in _NAMES.items():
            name = name.replace(theirs, ours)
        kind = gguf.GGMLQuantizationType.Q8_0 if is_quantised and weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
