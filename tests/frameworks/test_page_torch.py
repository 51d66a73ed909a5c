"""The public page's examples for PyTorch run with only their import lines changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bfpemu

pytestmark = pytest.mark.slow

AUTOGRAD = """
import torch
import bfpemu as pychop

pychop.backend('torch')

# Enable gradient tracking
X = torch.randn(128, 768, requires_grad=True)

# Quantize (automatic STE!)
X_q = pychop.bfp_quantize(X, format='bfp8')

# Backward pass - gradients flow through!
loss = X_q.sum()
loss.backward()

print(f"Gradient shape: {X.grad.shape}")
print(f"Gradient norm: {X.grad.norm():.2e}")
"""
QUANTIZER = """
from bfpemu.torch import BFPQuantizerSTE

class QuantizedModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.quantizer = BFPQuantizerSTE(format='bfp8')
        self.linear = torch.nn.Linear(768, 3072)

    def forward(self, x):
        x = self.quantizer(x)  # Quantize activations
        return self.linear(x)

model = QuantizedModel()
optimizer = torch.optim.Adam(model.parameters())

# Training loop
for batch in dataloader:
    output = model(batch)
    loss = loss_fn(output, target)
    loss.backward()  # STE handles gradients automatically!
    optimizer.step()
"""
LAYER = """
from bfpemu.torch import BFPLinear

# Replace standard Linear with BFP quantized version
layer = BFPLinear(
    in_features=768,
    out_features=3072,
    weight_format='bfp8',      # Quantize weights
    quantize_input=True,       # Quantize input activations
    quantize_output=False      # Keep output in FP32
)

x = torch.randn(32, 768)
y = layer(x)  # Automatic quantization with STE
"""
CONVERSION = """
from bfpemu.torch import convert_linear_to_bfp

# Load pretrained model
model = YourModel()

# Convert all Linear layers to BFP
model = convert_linear_to_bfp(
    model,
    format='bfp8',
    quantize_input=True,
    quantize_output=False,
    inplace=True
)

# Fine-tune with quantization
for epoch in range(num_epochs):
    train(model)  # Gradients flow through STE automatically
"""
STE = """
import torch
from bfpemu.torch import BFPQuantizerSTE

quantizer = BFPQuantizerSTE(format='bfp8')
x = torch.randn(32, 768, requires_grad=True)
x_q = quantizer(x)
loss = x_q.sum()
loss.backward()  # Gradients flow through STE
"""
CONVOLUTION = """
from bfpemu.torch import BFPConv2d

conv = BFPConv2d(
    in_channels=3,
    out_channels=64,
    kernel_size=3,
    weight_format='bfp8',
    quantize_input=True,
    padding=1
)

x = torch.randn(16, 3, 224, 224)
y = conv(x)
"""
FINE_TUNING = """
# Convert to BFP8
model = convert_linear_to_bfp(
    model,
    format='bfp8',
    quantize_input=True,
    quantize_output=False,
    inplace=True
)

# Setup training
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
device = 'cuda' if torch.cuda.is_available() else 'cpu'
model = model.to(device)

# Training loop
model.train()
for epoch in range(num_epochs):
    for batch in dataloader:
        input_ids = batch['input_ids'].to(device)
        labels = input_ids.clone()

        # Forward pass (automatic BFP quantization with STE)
        outputs = model(input_ids=input_ids, labels=labels)
        loss = outputs.loss

        # Backward pass (gradients flow through STE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        print(f"Loss: {loss.item():.4f}")

# Save quantized model
torch.save(model.state_dict(), path)
"""
GRADIENTS = """
# Ensure requires_grad=True for training
X = torch.randn(128, 768, requires_grad=True)
X_q = bfp_quantize(X, format='bfp8')

# Check gradient flow
loss = X_q.sum()
loss.backward()
assert X.grad is not None, "Gradients not flowing!"
"""
MIXED = """
from bfpemu.torch import BFPLinear

class MixedPrecisionModel(nn.Module):
    def __init__(self):
        super().__init__()
        # Higher precision for first layer
        self.fc1 = BFPLinear(768, 3072, weight_format='bfp12')

        # Lower precision for middle layers
        self.fc2 = BFPLinear(3072, 3072, weight_format='bfp6')

        # Full precision for output
        self.fc3 = nn.Linear(3072, 768)
"""


@pytest.fixture(autouse=True)
def backend_of_its_own():
    yield
    bfpemu.backend("auto")


def ran(snippet: str, **names: object) -> dict[str, object]:
    """Run an example with what the page takes for granted, and return its names."""
    found = {"torch": torch, "nn": nn, "bfp_quantize": bfpemu.bfp_quantize, "num_epochs": 1, **names}
    exec(snippet, found)
    return found


def test_gradients_flow_through_the_quantiser():
    assert ran(AUTOGRAD)["X"].grad.unique().tolist() == [1]
    assert ran(STE)["x"].grad.unique().tolist() == [1]
    assert ran(GRADIENTS)["X"].grad.unique().tolist() == [1]


def test_a_model_with_a_quantiser_trains():
    ran(
        QUANTIZER,
        dataloader=[torch.randn(4, 768)],
        loss_fn=nn.functional.mse_loss,
        target=torch.zeros(4, 3072),
    )


def test_layers_have_the_arguments_of_the_page():
    assert ran(LAYER)["y"].shape == (32, 3072)
    assert ran(CONVOLUTION)["y"].shape == (16, 64, 224, 224)
    assert ran(MIXED)["MixedPrecisionModel"]().fc1.config.format_of(0).name == "bfp12"


def test_models_are_converted_and_fine_tuned(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    trained = []
    converted = ran(CONVERSION, YourModel=lambda: nn.Sequential(nn.Linear(8, 2)), train=trained.append)
    assert trained == [converted["model"]]
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=64, n_positions=16, bos_token_id=0, eos_token_id=0)
    names = {"convert_linear_to_bfp": converted["convert_linear_to_bfp"], "path": tmp_path / "model.pt"}
    batch = {"input_ids": torch.arange(16).reshape(2, 8)}
    model = ran(FINE_TUNING, model=GPT2LMHeadModel(config), dataloader=[batch], **names)["model"]
    assert sum("BFP" in type(layer).__name__ for layer in model.modules()) == 5
