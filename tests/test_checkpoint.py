import pytest
import torch

from attending.checkpoint import build_model, load_model, load_tensors, save_model, save_tensors
from attending.errors import ArtifactError
from attending.models.gru import EXAMPLE


def test_tensors_and_facts_come_back(tmp_path) -> None:
    save_tensors(tmp_path / "w.safetensors", {"a": torch.arange(3), "b": torch.zeros(0)}, {"step": 3})
    tensors, facts = load_tensors(tmp_path / "w.safetensors")
    assert torch.equal(tensors["a"], torch.arange(3))
    assert facts == {"step": 3}


def test_a_changed_byte_a_cut_file_and_a_missing_one_are_told_apart(tmp_path) -> None:
    path = tmp_path / "w.safetensors"
    save_tensors(path, {"a": torch.arange(100)}, {})
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"xyz")
    with pytest.raises(ArtifactError, match="does not match its hash"):
        load_tensors(path)
    path.write_bytes(whole[:50])
    with pytest.raises(ArtifactError, match="damaged or not one of ours"):
        load_tensors(path)
    with pytest.raises(ArtifactError, match="there is none"):
        load_tensors(tmp_path / "nothing.safetensors")


def test_weights_that_do_not_fit_the_settings_are_refused(tmp_path) -> None:
    save_model(tmp_path, "gru", EXAMPLE.model_copy(update={"width": 8}), build_model("gru", EXAMPLE))
    with pytest.raises(ArtifactError, match="do not fit the settings"):
        load_model(tmp_path)


def test_a_folder_that_is_no_model_is_named(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"found no config\.yaml there"):
        load_model(tmp_path)
