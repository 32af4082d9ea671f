"""The inventory file: what it may say, and what it says when it is wrong."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.discovery.override import Override, OverrideFile, load_override, parse_override
from catalog.errors import BadSetup
from catalog.inventory import Vendor
from catalog.units import GIB

PAGE = Path(__file__).parents[3] / "docs/concepts/inventory.md"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "inventory.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_examples_of_the_concept_page_are_good() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    whole, emulated = (parse_override(block, "the page") for block in blocks)
    assert isinstance(whole.devices, list)
    assert {device.vendor for device in whole.devices} == {Vendor.NVIDIA, Vendor.EMULATED}
    assert whole.memory == 120 * GIB
    assert whole.cpu == 64000
    assert emulated.emulated_set.count == 8


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "devices: auto\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load_override(written(tmp_path, text)) == Override()


def test_a_missing_file_changes_nothing(tmp_path: Path) -> None:
    assert load_override(tmp_path / "absent.yaml") == Override()


DEVICE = "  - {id: a, model: M, memory: 8Gi}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "not a mapping"),
        ("just words\n", "not a mapping"),
        ("node: [\n", "line 2"),
        ("cpu: 2\ncolour: red\n", "line 2: colour: there is no such field"),
        ("cpu: -1\n", "line 1: cpu"),
        ("cpu: 0\n", "cpu"),
        ("cpu: 1e9\n", "cpu"),
        ("cpu: .inf\n", "cpu"),
        ("cpu: 99999999\n", "cpu"),
        ("cpu: true\n", "cpu"),
        ("cpu: [1]\n", "cpu"),
        ("cpu: 1/3\n", "thousandth"),
        ("cpu: 1/0\n", "cpu"),
        ("memory: -5\n", "memory"),
        ("memory: 0\n", "memory"),
        ("memory: 24\n", "like 24Gi"),
        ("memory: 1.5\n", "memory"),
        ("memory: 2000Ti\n", "1 PiB"),
        ("memory: lots\n", "memory"),
        ("node: ../etc\n", "node"),
        ("node: 5\n", "node"),
        ("devices: some\n", "'auto' or 'none'"),
        ("devices:\n", "line 1: devices"),
        ("devices: {a: b}\n", "devices"),
        ("devices:\n  - words\n", "line 2: devices[0]: it is not a mapping"),
        ("devices:\n" + DEVICE + DEVICE, "the id 'a' is there twice"),
        (
            "devices:\n" + DEVICE + "  - {id: b, model: M, memory: -1}\n",
            "line 3: devices[1].memory",
        ),
        ("devices:\n  - id: a\n    model: M\n    memory: 0\n", "line 4: devices[0].memory"),
        ("devices:\n  - {id: a, model: M, memory: 8Gi, color: red}\n", "devices[0].color"),
        ("devices:\n  - {id: a, model: M, memory: 8Gi, vendor: intel}\n", "devices[0].vendor"),
        ("devices:\n  - {id: a, model: M, memory: 8Gi, health: fine}\n", "devices[0].health"),
        ("devices:\n  - {id: a, model: M, memory: 8Gi, sharing: both}\n", "devices[0].sharing"),
        (
            "devices:\n  - {id: a, model: T4, memory: 16Gi, sharing: mig}\n",
            "T4 with 16 GiB has no MIG profiles",
        ),
        (
            "devices:\n  - {id: a, model: H200, memory: 24Gi, sharing: mig}\n",
            "H200 with 24 GiB has no MIG profiles",
        ),
        (
            "devices:\n  - {id: a, vendor: nvidia, sharing: mig}\n",
            "the engine of this machine makes no MIG instances",
        ),
        ("devices:\n  - {id: a}\n", "needs a model and a memory"),
        ("devices:\n  - {model: M, memory: 8Gi}\n", "devices[0].id: it is missing"),
        ("devices:\n  - {id: 'a b', model: M, memory: 8Gi}\n", "devices[0].id"),
        ("emulated: {count: -1}\n", "emulated.count"),
        ("emulated: {count: 5000}\n", "emulated.count"),
        ("emulated: {memory: 9999Ti}\n", "emulated.memory"),
        ("devices: none\nemulated: {count: 1}\n", "devices: auto only"),
        ("cpu: 1\ncpu: 2\n", "line 2: 'cpu' is there twice"),
        ("a: &a [1]\nb: *a\n", "line 2: aliases"),
        ("node: !!python/object/apply:os.system [ls]\n", "line 1"),
        ("node: 2024-13-45\n", "month"),
        ("node: a\n---\nnode: b\n", "line 2"),
        ("node: a\x00b\n", "characters are not allowed"),
        ("node: " + "[" * 100_000, "nested too deeply"),
        ("node: " + "x" * 100_000, "line 1: a value is longer"),
        ("memory: " + "9" * 100_000, "line 1: a value is longer"),
        ("cpu: " + "9" * 900, "cpu"),
        ("x" * 900 + ": 1", "no such field"),
        ("1: 2\n", "line 1"),
        ("? [a]\n: b\n", "line 1"),
        (b"node: caf\xe9\n", "line 1: it is not UTF-8"),
        (b"# " + b"x" * 2**20, "larger than 1 MiB"),
    ],
)
def test_a_wrong_file_is_one_error_that_names_the_place_and_the_next_step(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadSetup) as caught:
        load_override(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert "mend the file" in caught.value.next
    assert len(caught.value.message) < 600


def test_more_devices_than_a_machine_can_have_are_refused(tmp_path: Path) -> None:
    many = "".join(f"- {{id: d{n}, model: M, memory: 8Gi}}\n" for n in range(4097))
    with pytest.raises(BadSetup, match="4096"):
        load_override(written(tmp_path, "devices:\n" + many))


def test_a_bomb_of_aliases_is_refused_before_it_grows(tmp_path: Path) -> None:
    layers = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(BadSetup, match="aliases"):
        load_override(written(tmp_path, "\n".join(layers)))


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="cannot be read"):
        load_override(tmp_path)


@given(st.text(max_size=200))
def test_no_text_brings_anything_but_an_override_or_one_clear_error(text: str) -> None:
    assert complaint(text).startswith(("inventory.yaml", "good"))


def complaint(text: str) -> str:
    try:
        parse_override(text, "inventory.yaml")
    except BadSetup as error:
        return error.message
    return "good"


def test_an_edit_counts_and_a_broken_edit_keeps_the_last_good_one(tmp_path: Path) -> None:
    path = written(tmp_path, "cpu: 2\n")
    file = OverrideFile(path)
    assert file.current().cpu == 2000
    path.write_text("cpu: 16\n", encoding="utf-8")
    assert file.current().cpu == 16000
    path.write_text("cpu: -4\n", encoding="utf-8")
    assert file.current().cpu == 16000
    assert "cpu" in file.warning
    assert file.current().cpu == 16000
    assert "stays as it was" in file.warning
    path.write_text("cpu: 4\n", encoding="utf-8")
    assert file.current().cpu == 4000
    assert file.warning == ""
    path.unlink()
    assert file.current() == Override()
