"""What ``bfpemu formats`` prints: the catalogue, and the card and the drawing of one format (spec 2, 3, 5)."""

import dataclasses
import json
from enum import StrEnum

import pytest

from bfpemu.catalog import presets, resolve
from bfpemu.cli import main
from bfpemu.cli.card import card
from bfpemu.cli.drawing import draw_layout
from bfpemu.cli.steps import conversion_steps
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, Conversion, Layout, Preset, SourceStep
from bfpemu.formats.serialise import load_format, preset_to_dict


@pytest.fixture
def printed(capsys):
    """Run ``bfpemu formats`` and return what it prints."""

    def run(*words):
        assert main(["formats", *map(str, words)]) == 0
        return capsys.readouterr().out

    return run


def all_of_one_field():
    """Return presets that between them use every choice of every field that the parts allow."""
    varied = []
    for base, make in (
        (Conversion(alignment_bits=24), lambda part: Preset(BFPSpec("x", 8, 16), part)),
        (Conversion(), lambda part: Preset(BFPSpec("x", 8, 16, encoding="sign_magnitude"), part)),
        (Conversion(), lambda part: Preset(BFPSpec("x", 8, 16, exponent_reserved="none"), part)),
        (Layout(), lambda part: Preset(BFPSpec("x", 8, 16), layout=part)),
        (Layout(tile_shape=(32, 32)), lambda part: Preset(BFPSpec("x", 8, 16), layout=part)),
        (BFPSpec("x", 8, 16), Preset),
        (BFPSpec("x", 8, 16, has_sign=False), Preset),
        (SourceStep(fraction_bits=7), lambda part: Preset(BFPSpec("x", 8, 16), Conversion(source_chain=(part,)))),
    ):
        for field in dataclasses.fields(base):
            for choice in type(getattr(base, field.name)) if isinstance(getattr(base, field.name), StrEnum) else ():
                try:
                    varied.append(make(dataclasses.replace(base, **{field.name: choice})))
                except SpecError:
                    continue
    return varied


class TestCatalogue:
    def test_the_table_has_every_preset_and_true_ratios(self, printed):
        rows = {words[0]: words for line in printed().splitlines() if (words := line.split())}
        assert rows.keys() >= presets().keys()
        assert rows["bfp8"] == [
            "bfp8",
            "8",
            "twos",
            "complement",
            "32",
            "8",
            "264",
            "8.25",
            "1.939",
            "3.879",
            "verified",
        ]
        assert rows["bfp16"][-3:] == ["0.970", "1.939", "verified"]

    def test_json_lists_all_parameters_of_every_preset(self, printed):
        facts = json.loads(printed("--json"))
        assert [entry["format"]["name"] for entry in facts] == list(presets())
        derived = facts[0].pop("derived")
        assert facts[0] == preset_to_dict(resolve("bfp16"))
        assert derived["bits_per_block"] == 264

    def test_json_of_a_whole_tensor_block_has_no_bits_per_block(self, printed, tmp_path):
        file = tmp_path / "whole.toml"
        file.write_text('[format]\nmantissa_bits = 16\nblock_size = "tensor"\n')
        derived = json.loads(printed(file, "--json"))["derived"]
        assert derived["bits_per_block"] is None
        assert derived["bits_per_element"] == 16

    @pytest.mark.parametrize("name", list(presets()))
    def test_every_card_names_every_field(self, name):
        text = card(resolve(name))
        for part in preset_to_dict(resolve(name)).values():
            assert not isinstance(part, dict) or all(field in text for field in part if field != "source_chain")

    def test_every_choice_of_every_field_has_words(self):
        varied = all_of_one_field()
        assert len(varied) > 90
        assert all(card(preset) for preset in varied)

    def test_a_card_says_only_the_steps_that_act(self):
        assert len(conversion_steps(resolve("bfp8"))) == 6
        assert conversion_steps(resolve("bfp8"))[2:] == [
            "With amax the largest finite magnitude of a block, its exponent is the smallest one with "
            "amax <= 127 * 2 ** (exponent - 7); a block of zeros has only codes 0 (spec 3.5).",
            "A block whose exponent is above 127 takes 127, so that elements saturate; "
            "one below -127 is flushed to zero (spec 3.6).",
            "value * 2 ** (7 - exponent) is rounded to an integer, to nearest, ties to even (spec 3.7).",
            "The integer saturates to -128 to 127 (spec 3.8).",
        ]

    @pytest.mark.parametrize(
        "rule, words",
        [
            ("rceil", "is the smallest one with amax <= 127 * 2 ** (exponent - 6), exponent_offset -1 included"),
            ("ceil", "is n with 2 ** (n - 1) < amax <= 2 ** n, exponent_offset -1 included"),
        ],
    )
    def test_an_offset_is_part_of_the_exponent(self, rule, words):
        # f = 7: amax <= 127 * 2 ** (n - 7) with n = exponent + 1; and n - 6 + 7 - 1.
        steps = conversion_steps(Preset(BFPSpec("x", 8, 16), Conversion(exponent_rule=rule, exponent_offset=-1)))
        assert words in steps[2]

    def test_a_step_that_does_not_carry_says_so(self):
        def words(carry):
            step = SourceStep(fraction_bits=10, carry=carry)
            return conversion_steps(Preset(BFPSpec("x", 8, 16), Conversion(source_chain=(step,))))[2]

        assert "ties to even; gradual" in words("exponent")
        assert "ties to even, but never up to the next power of two; gradual" in words("saturate")

    def test_a_card_has_the_numbers_of_its_format(self, printed):
        text = printed("FlexPoint8")
        assert "significand * 2 ** (exponent_code - 22)" in text
        assert "exponent_code 0 to 30 for the exponents -15 to 15" in text
        assert "5 + 32 * 8 = 261 for a block" in text

    def test_a_card_of_two_levels_has_shift_codes(self):
        text = card(Preset(BFPSpec("two", 8, 16, sub_block_size=2, sub_shift_bits=1)))
        assert "significand * 2 ** (exponent_code - shift_code - 134)" in text
        assert "8 + 8 * 1 + 16 * 8 = 144 for a block" in text
        assert "the shift code of a sub-block" in " ".join(text.split())

    def test_widths_stand_for_a_format(self, printed):
        assert printed("5x64").startswith("bfp5_b64_e8\n")
        assert "64 * 5 = 325 for a block" in printed("5x64x5")

    def test_a_whole_tensor_block_has_no_count_of_bits(self):
        text = card(Preset(BFPSpec("flex", 16, None, 5)))
        assert "5 for the tensor and 16 for each element" in text
        assert "| exponent | element 0 | ... |" in text
        assert "next block" not in text

    def test_a_bias_that_cancels_the_binary_point_is_not_said(self):
        assert "significand * 2 ** (exponent_code)\n" in card(Preset(BFPSpec("plain", 8, 16, exponent_bias=-7)))

    def test_an_exponent_beyond_float64_has_no_decimal(self):
        text = card(Preset(BFPSpec("wide", 4, 8, 16)))
        assert "largest value 7 * 2 ** 32764, smallest positive value 2 ** -32770" in " ".join(text.split())

    @pytest.mark.parametrize("suffix", ["toml", "json"])
    def test_a_saved_format_loads_equal(self, printed, tmp_path, suffix):
        file = tmp_path / f"mine.{suffix}"
        assert printed("8x32x5", "--save", file)
        assert load_format(file) == resolve("8x32x5")
        assert printed(file, "--json") == printed("8x32x5", "--json")


class TestDrawing:
    def test_a_dense_block(self):
        assert draw_layout(resolve("flexpoint8"))[:5] == [
            "+----------+-----------+-----------+-----+------------+",
            "| exponent | element 0 | element 1 | ... | element 31 |",
            "|  5 bits  |  8 bits   |  8 bits   |     |   8 bits   |",
            "+----------+-----------+-----------+-----+------------+",
            "0          5           13          21    253          261 <- bit",
        ]

    def test_padding_and_exponents_last(self):
        layout = Layout(exponent_position="last", section_alignment_bits=8, record_alignment_bits=32)
        lines = draw_layout(Preset(BFPSpec("x", 3, 2, 5), layout=layout))
        assert lines[1] == "| element 0 | element 1 | zeros  | exponent | zeros  |  zeros  |"
        assert lines[4] == "0           3           6        8          13       16        32 <- bit"

    def test_only_exponents_may_be_padded(self):
        layout = Layout(exponent_alignment_bits=16)
        lines = draw_layout(Preset(BFPSpec("x", 3, 2, 5), layout=layout))
        assert lines[1] == "| exponent |  zeros  | element 0 | element 1 |"
        assert lines[4] == "0          5         16          19          22 <- bit"
        tile = Layout(group="tile", tile_shape=(1, 32), exponent_alignment_bits=512)
        lines = draw_layout(Preset(BFPSpec("x", 8, 16), layout=tile))
        assert lines[1] == "| exponent 0 | exponent 1 |  zeros   | element 0 | element 1 | ... | element 31 |"
        assert lines[4] == "0            8            16         512         520         528   760          768 <- bit"

    def test_words_with_reversed_bytes_are_said(self):
        layout = Layout(word_bytes=4, reverse_word_bytes=True)
        assert "the bytes of each word of 4 bytes are reversed (spec 5.1)" in draw_layout(
            Preset(BFPSpec("x", 8, 16), layout=layout)
        )

    def test_tiles_are_padded_and_ordered(self):
        layout = Layout(group="tile", tile_shape=(32, 32), face_shape=(16, 16), record_alignment_bits=32)
        lines = draw_layout(Preset(BFPSpec("x", 8, 16), layout=layout))
        assert lines[1].startswith("| exponent 0 | exponent 1 | ... | exponent 63 | element 0 |")
        assert lines[4].endswith("8704 <- bit")  # 1088 bytes
        assert lines[-2] == "blocks come by tiles of 32 x 32 (rows x columns), of faces of 16 x 16 (spec 5.4)"
        assert lines[-1] == "blocks that pad a matrix have the exponent code 0 and zeros (spec 5.4)"

    def test_loops_and_padding_codes_are_said(self):
        layout = Layout(block_order=(("rows", 8), ("columns", 8), ("rows", 1)), padding_exponent_code=127)
        lines = draw_layout(Preset(BFPSpec("x", 8, 8), layout=layout))
        assert lines[-2:] == [
            "blocks come in nested loops, the first outermost: rows by 8, columns by 8, rows by 1 (spec 5.4)",
            "blocks that pad a matrix have the exponent code 127 and zeros (spec 5.4)",
        ]

    def test_a_record_of_the_whole_tensor_has_no_positions(self):
        lines = draw_layout(Preset(BFPSpec("x", 8, 16), layout=Layout(group="tensor", row_alignment_bits=8)))
        assert lines[1] == "| exponents of the tensor, 8 bits each | elements of the tensor, 8 bits each |"
        assert not any("<- bit" in line for line in lines)
        assert any("each row of a section is padded" in line for line in lines)
