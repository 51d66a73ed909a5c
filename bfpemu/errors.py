"""Every exception of the package, and the closed list of their codes (spec 9).

A message says what must hold, what was got, where, and what to do, in one line.
Programs compare `code`; the text may change, a code never does.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # descriptions of numbers: SpecError
    "adapter-format": "an adapter's integers and a layer's dtype hold a format, and a layer can count its blocks",
    "alignment": "alignment_bits and alignment_rounding fit each other and the format",
    "autoflex": "the fields of an Autoflex configuration or state are in range and fit each other and the format",
    "block-size": "block_size is None, a count from 1, or a tuple of counts",
    "emit": "a C model is asked for with a name, dtypes and parameters that it covers",
    "encoding": "the encoding exists and fits has_sign",
    "exponent-bias": "exponent_bias is an integer in range",
    "exponent-bits": "exponent_bits is 1 to 16",
    "exponent-offset": "exponent_offset is -64 to 64",
    "field-type": "a field has the type that the spec names",
    "format-file": "a format or unit file is TOML or JSON with known keys",
    "fraction-bits": "fraction_bits is an integer in range",
    "layout": "the parts of a layout fit each other and the format",
    "mantissa-bits": "mantissa_bits is 1 to 32, and at least 2 when signed",
    "parts-conflict": "format, conversion and layout can be used together",
    "random-bits": "random_bits is 1 to 32",
    "source-step": "a step of the source chain has widths and exponents in range",
    "sub-block": "sub_block_size divides block_size, and sub_shift_bits is 0 to 8",
    "unit": "the fields of a dot-product unit are in range and fit each other and the operands",
    "unknown-format": "a format name is in the catalogue",
    "unknown-key": "a description has only the keys that the spec names",
    "unknown-unit": "a unit name is in the catalogue",
    "zero-exponent": "zero_exponent is -131072 to 131072",
    # data and arguments: DataError, DataTypeError
    "autoflex-maximum": "a maximum is an integer that elements can reach, and an age an integer from 0",
    "axis": "axis is one of the tensor's axes, or None",
    "backend": "backend is one of the known names and can compute here",
    "chunks": "chunks of HDF5 and Zarr arrays hold whole blocks, and are filled with zeros",
    "codes-shape": "lengths of a shape are integers from 0, and code arrays have the shapes that follow",
    "codes-value": "every code fits its field",
    "convolution": "stride, padding and dilation are integers in range, one or two, and groups is one",
    "data-type": "data has a real floating-point or integer dtype",
    "exponent-given": "exponents are supplied with the rule 'given' only, and fit their codes",
    "exponent-overflow": "the block's exponent fits its codes, where the conversion asks for an error",
    "hdf5-filter": "the HDF5 filter can be registered here, and fits the dataset",
    "infinity": "the data has no infinity, where the conversion asks for an error",
    "keras-model": "a Keras model is built, and its architecture is one that Keras can make it from",
    "layer-rules": "rules are pairs of a pattern and a configuration, each fits a layer, and a layer fits one at most",
    "layer-type": "a layer fits its options, and a registered one extends BFPLayer and its float layer",
    "nan": "the data has no NaN, where the format has no code for it or the conversion asks for an error",
    "nothing-converted": "a model has a layer that is converted",
    "onnx": "an ONNX graph has integers for the elements, and operators for the conversion",
    "operand-axis": "the operands of a product are blocked along the axis that is summed",
    "operand-format": "the operands of a unit have the formats that the unit names",
    "operand-shape": "the operands of an operation have shapes that fit each other",
    "operand-type": "the operands of an operation are BFPTensors",
    "packed-size": "packed bytes have exactly the length that the geometry gives",
    "plot": "a plot is a .png file, and matplotlib is installed",
    "random-words": "random words are supplied with stochastic rounding only, one for each element",
    "rows": "rows that are read or appended are rows of the tensor, and blocks stay whole",
    "shard": "a shard of a divided array holds whole blocks",
    "threads": "threads is None or at least 1",
    # files: BfpFormatError (contents) and BfpFileError (the file system)
    "bfp-checksum": "the hashes of a .bfp file fit its bytes",
    "bfp-foreign": "the file starts with the .bfp magic",
    "bfp-header": "the .bfp header is strict JSON with the keys of the spec",
    "bfp-length": "the file has exactly the length that it states",
    "bfp-name": "tensor names are unique, non-empty and printable",
    "bfp-range": "segments are aligned, inside the file, and tile it",
    "bfp-version": "the file's major version and features are known here",
    "device-output": "what a device gave is hexadecimal words, CSV or JSON lines of the width of the set",
    "input-content": "an input file holds what its own header claims",
    "input-kind": "an input file is of a kind that can be read, and its contents are what its ending says",
    "input-missing": "the input file exists and can be read",
    "output-kind": "an output file is of a kind that can hold what is written to it",
    "output-unwritable": "the output file can be created",
    "set-disagreement": "kernels and reference model give the same expected words",
    "set-files": "the files of a set have the hashes, counts and widths of its manifest",
    "set-manifest": "the manifest of a set is JSON with the keys of the spec",
    "set-stimulus": "a stimulus given beside a set is the next one of the set",
    "set-unit": "the formats of a set can be used with its unit",
    "set-version": "the version of a set is known here",
    "tensor-name": "the named tensor is in the file",
    "usage": "command-line arguments fit each other",
}
"""code -> the condition that must hold. Generated into spec chapter 9."""


class BfpError(Exception):
    """Root of all errors that the package raises on purpose.

    Parameters
    ----------
    code : str
        One of `CODES`, kebab-case and stable.
    message : str
        One line: what must hold, what was got, where, what to do.

    Examples
    --------
    >>> error = SpecError("mantissa-bits", "mantissa_bits must be 2 to 32 (spec 2.1), got 40")
    >>> error.code
    'mantissa-bits'
    """

    def __init__(self, code: str, message: str) -> None:
        assert code in CODES, code
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[BfpError], tuple[str, str]]:
        """Keep `code` when a worker process sends the error back."""
        return type(self), (self.code, str(self))


class SpecError(BfpError, ValueError):
    """A format, conversion or layout that the spec does not allow (spec 2, 3, 5)."""


class DataError(BfpError, ValueError):
    """Values, axes or codes that cannot be used as asked (spec 3, 4)."""


class DataTypeError(BfpError, TypeError):
    """Data whose dtype is not real floating point or integer (spec 3.1)."""


class BfpFormatError(BfpError, ValueError):
    """The contents of a file break a rule; the message names place and rule (spec 7)."""


class BfpFileError(BfpError, OSError):
    """The file system refused: a file is missing, unreadable or cannot be created."""
