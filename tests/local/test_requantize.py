from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

from persona_lib import UserError, local
from persona_lib.local import requantize

Q4_1, Q8_0, F32 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0, GGMLQuantizationType.F32
NUMBERS = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)


@pytest.fixture
def source(tmp_path) -> Path:
    """A small file with 4-bit weights, others, and text."""
    writer = GGUFWriter(tmp_path / "four.gguf", "llama")
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_1)
    writer.add_token_list(["a", "é", "c"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tensor("weights", quantize(NUMBERS, Q4_1), raw_dtype=Q4_1)
    writer.add_tensor("norm", NUMBERS[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "four.gguf"


def test_four_bit_weights_become_eight_bit_ones_and_all_else_stays(source, tmp_path):
    requantize.to_q8(source, tmp_path / "eight.gguf")
    four, eight = GGUFReader(source), GGUFReader(tmp_path / "eight.gguf")
    told = [{name: field.contents() for name, field in reader.fields.items()} for reader in (four, eight)]
    assert told[1].pop("general.file_type") == LlamaFileType.MOSTLY_Q8_0 != told[0].pop("general.file_type")
    assert told[0] == told[1] and told[1]["tokenizer.ggml.tokens"] == ["a", "é", "c"]
    assert [(t.name, t.tensor_type) for t in eight.tensors] == [("weights", Q8_0), ("norm", F32)]
    before, after = dequantize(four.tensors[0].data, Q4_1), dequantize(eight.tensors[0].data, Q8_0)
    largest = np.abs(before).reshape(4, 2, 32).max(axis=2).repeat(32, axis=1)
    assert before.shape == after.shape and (np.abs(before - after) <= 0.005 * largest).all()
    assert np.array_equal(eight.tensors[1].data, NUMBERS[0])


def test_the_same_bytes_come_out_each_time_and_others_than_tested_are_refused(source, tmp_path, monkeypatch):
    requantize.to_q8(source, tmp_path / "eight.gguf")
    monkeypatch.setattr(local, "GGUF_SHA256", local.sha256(tmp_path / "eight.gguf"))
    assert local._requantized(source, tmp_path / "again.gguf") == tmp_path / "again.gguf"
    monkeypatch.setattr(local, "GGUF_SHA256", local.sha256(source))
    with pytest.raises(UserError, match=r"is not the one tested: install gguf 0\.19\.0"):
        local._requantized(source, tmp_path / "again.gguf")
