import subprocess
import sys

import pytest

from attending import registry
from attending.errors import UnknownComponent


def test_a_component_is_a_file_and_its_name_the_files() -> None:
    assert {
        "retain",
        "transformer",
        "gru",
        "popularity",
        "copy_history",
        "logistic_counts",
        "gbm_counts",
    } <= set(registry.names("models"))
    assert {"mimic4", "meds"} <= set(registry.names("sources"))
    assert {"next_diagnoses", "mortality", "readmission"} <= set(registry.names("tasks"))
    assert {"contributions", "integrated_gradients"} <= set(registry.names("explain"))
    assert not any(name.startswith("_") for kind in registry.KINDS for name in registry.names(kind))


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_component_says_in_one_line_what_it_is_and_has_settings(kind: str) -> None:
    for name in registry.names(kind):
        assert len(registry.summary(kind, name)) > 20, name
        assert registry.load(kind, name).Config().to_dict() is not None


def test_an_unknown_name_or_kind_answers_with_the_nearest() -> None:
    with pytest.raises(UnknownComponent, match="no model named 'ratain'; did you mean 'retain'"):
        registry.load("models", "ratain")
    with pytest.raises(UnknownComponent, match="no explainer named 'x'"):
        registry.load("explain", "x")
    with pytest.raises(UnknownComponent, match="no kind of component named 'modles'; did you mean 'models'"):
        registry.names("modles")


def test_listing_imports_no_component_and_no_torch() -> None:
    code = (
        "import sys; from attending import registry; "
        "[registry.summary(kind, name) for kind in registry.KINDS for name in registry.names(kind)]; "
        "print(sorted(m for m in sys.modules if m in ('torch', 'polars') or m.startswith('attending.models.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
