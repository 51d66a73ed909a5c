"""onnxruntime for the tests of graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime

AnyArray = np.ndarray[Any, Any]


def run(model: onnx.ModelProto, *inputs: AnyArray, flushes: bool = False, output: int = 0) -> AnyArray:
    """Return an output of a checked model; numbers of bfloat16 go in and come out as integers."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.set_denormal_as_zero", str(int(flushes)))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [each.name for each in session.get_inputs()]
    found: AnyArray = session.run(None, dict(zip(names, inputs, strict=True)))[output]
    return found
