"""Write the golden vectors, or check with `--check` that they are what the reference gives.

Every answer comes from `bfpemu.reference`, never from the kernels, and nothing is random:
two runs write the same bytes. `golden_vectors/README.md` says what the files hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from bfpemu.catalog import presets  # noqa: E402
from golden.autoflex import autoflex_texts  # noqa: E402
from golden.case import File, file_text  # noqa: E402
from golden.containers import container_files  # noqa: E402
from golden.decoding import decode_cases, decode_files  # noqa: E402
from golden.dot import dot_text  # noqa: E402
from golden.dot_files import dot_files  # noqa: E402
from golden.elementwise import elementwise_texts  # noqa: E402
from golden.exponent import exponent_files  # noqa: E402
from golden.forms import form_files, hdf5_problems, write_hdf5  # noqa: E402
from golden.general import general_cases  # noqa: E402
from golden.machine_layouts import machine_files  # noqa: E402
from golden.machines import (  # noqa: E402
    choice_files,
    decode_machine_cases,
    encode_machine_cases,
    pack_machine_cases,
)
from golden.packing import BOTH, pack_cases, pack_files  # noqa: E402
from golden.rounding import combined_files, rounding_files  # noqa: E402
from golden.special import special_files  # noqa: E402
from golden.structure import structure_files  # noqa: E402

VECTORS = ROOT / "golden_vectors"
CONTAINERS = VECTORS / "containers" / "v1"
FORMS = VECTORS / "forms" / "v1"


def corpus() -> dict[str, str]:
    """Return the text of every file by its name below ``golden_vectors``."""
    catalogue = [preset for preset in presets().values() if preset.vendor == "seed"]
    machines = [preset for preset in presets().values() if preset.vendor != "seed"]
    encode: list[File] = [(preset, list(general_cases(preset))) for preset in catalogue]
    encode += [*rounding_files(), *exponent_files(), *special_files(), *structure_files(), *combined_files()]
    decode: list[File] = [(preset, list(decode_cases(preset))) for preset in catalogue]
    pack: list[File] = [(preset, list(pack_cases(preset, BOTH))) for preset in catalogue]
    choices = choice_files()
    encode += [*((preset, encode_machine_cases(preset)) for preset in machines), *choices[0]]
    decode += [*((preset, decode_machine_cases(preset)) for preset in machines), *choices[1]]
    pack += [(preset, pack_machine_cases(preset)) for preset in machines]
    texts: dict[str, str] = {}
    for operation, files in (
        ("encode", encode),
        ("decode", [*decode, *decode_files()]),
        ("pack", [*pack, *pack_files(), *machine_files()]),
    ):
        for preset, cases in files:
            name = f"{operation}/{preset.name}.json"
            assert name not in texts, name
            texts[name] = file_text(operation, preset, cases)
    for unit, dots in dot_files():
        name = f"dot/{unit.name}.json"
        assert name not in texts, name
        texts[name] = dot_text(unit, dots)
    return texts | elementwise_texts() | autoflex_texts()


def problems(texts: dict[str, str]) -> list[str]:
    """Return a line for each file that is missing, differs, or should not be there."""
    present = {path.relative_to(VECTORS).as_posix(): path for path in VECTORS.glob("*/*.json")}
    found = [f"missing: {name}" for name in texts if name not in present]
    found += [f"extra: {name}" for name in present if name not in texts]
    for name, path in present.items():
        if name in texts and path.read_text(encoding="utf-8") != texts[name]:
            found.append(f"differs: {name}")
    return sorted(found)


def container_problems(files: dict[str, bytes], folder: Path) -> list[str]:
    """Return a line for each container, or what it holds, that is missing, differs, or should not be there."""
    where = folder.relative_to(VECTORS).as_posix()
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".h5")
    present = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    found = [f"missing: {where}/{name}" for name in files if name not in present]
    found += [f"extra: {where}/{name}" for name in present if name not in files]
    found += [f"differs: {where}/{name}" for name, data in present.items() if files.get(name, data) != data]
    return sorted(found)


def write_containers(files: dict[str, bytes], folder: Path) -> None:
    """Write the files that are missing. One that is there is frozen, and stays as it is."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)


def write(texts: dict[str, str]) -> None:
    """Write every file, and remove those that are no longer made."""
    for path in VECTORS.glob("*/*.json"):
        if path.relative_to(VECTORS).as_posix() not in texts:
            path.unlink()
    for name, text in texts.items():
        path = VECTORS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and name the files that differ")
    options = parser.parse_args(arguments)
    texts, files, forms = corpus(), container_files(), form_files()
    if not options.check:
        write(texts)
        write_containers(files, CONTAINERS)
        write_containers(forms, FORMS)
        write_hdf5(FORMS)
        print(f"{_count(texts.values())} cases in {len(texts)} files")
        return 0
    found = problems(texts) + container_problems(files, CONTAINERS)
    found += container_problems(forms, FORMS) + hdf5_problems(FORMS)
    print(
        "\n".join(found) if found else f"{len(texts) + len(files) + len(forms)} files are as the reference gives them"
    )
    return 1 if found else 0


def _count(texts: Iterable[str]) -> int:
    return sum(text.count('\n{"name": ') for text in texts)


if __name__ == "__main__":
    sys.exit(main())
