"""The JAX snippets of the public BFP page, word for word but for the lines that import; and those of the README."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

IMPORTS = {
    "import pychop": "import bfpemu.jax as pychop",
    "from pychop.jx.bfp_formats import BFPQuantizerSTE": "from bfpemu.jax import BFPQuantizerSTE",
    "from pychop.jx.bfp_formats import BFPDense": "from bfpemu.jax import BFPDense",
}

BACKEND = """
    import jax
    import jax.numpy as jnp
    import pychop

    pychop.backend('jax')

    # Create data
    key = jax.random.PRNGKey(0)
    X = jax.random.normal(key, (256, 512))

    # Quantize
    X_q = pychop.bfp_quantize(X, format='bfp8')

    # Test gradient flow
    from pychop.jx.bfp_formats import BFPQuantizerSTE

    quantizer = BFPQuantizerSTE(format='bfp8')

    def loss_fn(x):
        x_q = quantizer(x)
        return jnp.sum(x_q ** 2)

    # Compute gradients (custom VJP handles this)
    grad_fn = jax.grad(loss_fn)
    grads = grad_fn(X)

    print(f"Gradient shape: {grads.shape}")
    print(f"Gradient norm: {jnp.linalg.norm(grads):.2e}")
"""

FLAX = """
    from flax import linen as nn
    from pychop.jx.bfp_formats import BFPDense

    class QuantizedMLP(nn.Module):
        features: list

        @nn.compact
        def __call__(self, x):
            for feat in self.features[:-1]:
                x = BFPDense(
                    features=feat,
                    weight_format='bfp8',
                    quantize_input=True
                )(x)
                x = nn.relu(x)
            x = BFPDense(features=self.features[-1])(x)
            return x

    model = QuantizedMLP(features=[512, 256, 128, 10])

    # Initialize
    key = jax.random.PRNGKey(0)
    x = jax.random.normal(key, (32, 784))
    variables = model.init(key, x)

    # Forward pass with quantization
    output = model.apply(variables, x)
"""

QUANTIZER = """
    import jax.numpy as jnp
    from pychop.jx.bfp_formats import BFPQuantizerSTE

    quantizer = BFPQuantizerSTE(format='bfp8')

    x = jnp.array(np.random.randn(256, 512))
    x_q = quantizer(x)
"""

DENSE = """
    from flax import linen as nn
    from pychop.jx.bfp_formats import BFPDense

    class MyModel(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = BFPDense(features=512, weight_format='bfp8')(x)
            x = nn.relu(x)
            x = BFPDense(features=10)(x)
            return x
"""


def run(snippet: str, **names: Any) -> dict[str, Any]:
    lines = textwrap.dedent(snippet).splitlines()
    code = "\n".join(IMPORTS.get(line.strip(), line) for line in lines)
    assert "from pychop" not in code
    exec(compile(code, "snippet", "exec"), names)
    return names


def test_the_backend_with_its_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(BACKEND)
    names["pychop"].backend("auto")
    np.testing.assert_array_equal(names["grads"], 2 * names["X_q"])
    assert capsys.readouterr().out.startswith("Gradient shape: (256, 512)\nGradient norm: ")


def test_the_flax_integration_also_jitted() -> None:
    import jax

    names = run(FLAX, jax=jax)
    assert names["output"].shape == (32, 10)
    jitted = jax.jit(names["model"].apply)(names["variables"], names["x"])
    np.testing.assert_allclose(jitted, names["output"], rtol=1e-3, atol=1e-3)


def test_the_quantizer_and_the_layer_of_the_reference_part() -> None:
    import jax

    names = run(QUANTIZER, np=np)
    assert names["x_q"].shape == (256, 512)
    model = run(DENSE)["MyModel"]()
    found, _ = model.init_with_output(jax.random.key(0), names["x"][:2])
    assert found.shape == (2, 10)


def test_the_lines_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (lines,) = [block for block in blocks if "bfpemu.jax" in block]
    exec(lines, {})
    assert capsys.readouterr().out == (
        "converted layers.0: Linear -> BFPLinear, weight bfp4, act bfp8\n"
        "converted layers.2: Linear -> BFPLinear, weight bfp4, act bfp8\n"
    )
