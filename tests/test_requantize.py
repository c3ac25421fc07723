import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

from persona_lib import requantize

Q4_1, Q8_0 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0


def test_four_bit_weights_become_eight_bit_ones_and_all_else_stays(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    writer = GGUFWriter(tmp_path / "four.gguf", "llama")
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_1)
    writer.add_token_list(["a", "é", "c"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tensor("weights", quantize(numbers, Q4_1), raw_dtype=Q4_1)
    writer.add_tensor("norm", numbers[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    requantize.to_q8(tmp_path / "four.gguf", tmp_path / "eight.gguf")
    four, eight = (GGUFReader(tmp_path / f"{name}.gguf") for name in ("four", "eight"))
    told = [{name: field.contents() for name, field in reader.fields.items()} for reader in (four, eight)]
    assert told[1].pop("general.file_type") == LlamaFileType.MOSTLY_Q8_0 != told[0].pop("general.file_type")
    assert told[0] == told[1] and told[1]["tokenizer.ggml.tokens"] == ["a", "é", "c"]
    assert [(t.name, t.tensor_type) for t in eight.tensors] == [("weights", Q8_0), ("norm", GGMLQuantizationType.F32)]
    before, after = dequantize(four.tensors[0].data, Q4_1), dequantize(eight.tensors[0].data, Q8_0)
    largest = np.abs(before).reshape(4, 2, 32).max(axis=2).repeat(32, axis=1)
    assert before.shape == after.shape and (np.abs(before - after) <= 0.005 * largest).all()
    assert np.array_equal(eight.tensors[1].data, numbers[0])


def test_the_same_bytes_come_out_each_time(tmp_path):
    writer = GGUFWriter(tmp_path / "four.gguf", "llama")
    writer.add_tensor("weights", quantize(np.linspace(-1, 1, 32, dtype=np.float32)[None], Q4_1), raw_dtype=Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    made = []
    for name in ("one.gguf", "two.gguf"):
        requantize.to_q8(tmp_path / "four.gguf", tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
