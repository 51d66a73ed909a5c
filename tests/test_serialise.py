"""Format files: whatever text a preset has, a file of either kind gives it back (spec 2.8)."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bfpemu import BFPSpec, Preset, load_format, save_format
from bfpemu.errors import BfpFileError
from bfpemu.formats.serialise import preset_to_dict
from bfpemu.testing import strategies

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("suffix", ["toml", "json"])
@given(preset=strategies.presets(), notes=TEXTS, name=st.text(st.characters(exclude_categories=["C"]), min_size=1))
@example(
    preset=Preset(BFPSpec("x", 8, 32)), notes='\U0001f600 \x7f \x00 \x1f \x80 \u2028 \\u007F \\ "', name="\U0001f600"
)
def test_any_text_comes_back_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, preset: Preset, notes: str, name: str
) -> None:
    fields = preset_to_dict(preset)["format"] | {"name": name}
    fields["block_size"] = preset.format.block_size
    named = Preset(BFPSpec(**fields), preset.conversion, preset.layout, notes=notes)
    path = tmp_path_factory.mktemp("formats") / f"file.{suffix}"
    save_format(named, path)
    assert load_format(path) == named


def test_a_toml_file_has_no_character_that_toml_forbids(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    save_format(Preset(BFPSpec("x", 8, 32), notes="".join(map(chr, range(0x90)))), path)
    text = path.read_bytes().decode("utf-8")
    assert not {mark for mark in text if (mark < " " and mark != "\n") or mark == "\x7f"}
    assert tomllib.loads(text)["notes"] == "".join(map(chr, range(0x90)))


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_format_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"file.{suffix}"
    save_format(Preset(BFPSpec("old", 8, 32)), path)
    path.chmod(0o640)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(BfpFileError) as refused:
        patched.setattr(Path, "replace", fail)
        save_format(Preset(BFPSpec("new", 4, 32)), path)
    assert refused.value.code == "output-unwritable"
    assert load_format(path).name == "old"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    save_format(Preset(BFPSpec("new", 4, 32)), path)
    assert load_format(path).name == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_json_file_is_ascii(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    save_format(Preset(BFPSpec("x", 8, 32), notes="\U0001f600"), path)
    assert path.read_bytes().isascii()
    assert json.loads(path.read_bytes())["notes"] == "\U0001f600"
