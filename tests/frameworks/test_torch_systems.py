"""The operator in PyTorch's systems: compiler, export, vmap, worker processes, divided tensors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bfpemu
from bfpemu.catalog import resolve
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
from bfpemu.torch import QATConfig, bfp_quantize, quantize_
from bfpemu.torch.bitwise import fake_quantized
from bfpemu.torch.distributed import check_shards
from bfpemu.torch.functional import StraightThrough

pytestmark = pytest.mark.slow


def same_bits(one, other):
    words = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(*words)


def arbitrary(*shape):
    words = np.random.default_rng(0).integers(0, 2**32, shape, dtype=np.uint32)
    return torch.from_numpy(words.view(np.float32))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_compiles_whole_trains_and_has_the_same_bits():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 40, 3), nn.Flatten(), nn.Linear(40 * 9, 5))
    quantize_(model, QATConfig(weight_format="bfp4", act_format="bfp8", grad_format="bfp8", rounding="stochastic"))
    torch.compiler.reset()
    # Inductor hands the folder of torch to a compiler unquoted.
    backend = "aot_eager" if " " in torch.__file__ else "inductor"
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    for count in (2, 5):
        x = torch.randn(count, 3, 5, 5)
        wanted, found = model(x), compiled(x)
        assert same_bits(found, wanted)
        gradients = []
        for result in (wanted, found):
            model.zero_grad()
            result.square().sum().backward()
            gradients.append([parameter.grad.clone() for parameter in model.parameters()])
        assert all(torch.allclose(*pair, rtol=1e-4, atol=1e-4) for pair in zip(*gradients, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_exported_program_has_one_node_for_each_operand_and_the_same_bits(tmp_path):
    layer = nn.Sequential(nn.Linear(70, 6))
    quantize_(layer, QATConfig(weight_format=(5, 16), act_format="bfp8"))
    x = arbitrary(3, 70)
    torch.export.save(torch.export.export(layer, (x,)), tmp_path / "layer.pt2")
    program = torch.export.load(tmp_path / "layer.pt2")
    assert sum("bfpemu.quantize" in str(node.target) for node in program.graph.nodes) == 2
    assert same_bits(program.module()(x), layer(x))


def test_the_operator_keeps_the_rules_of_operators():
    x = torch.randn(3, 70, requires_grad=True)
    for arguments in ((x, "bfp8"), (x, "bfp4", 0, None, -1, True)):
        torch.library.opcheck(torch.ops.bfpemu.quantize.default, arguments)


@pytest.mark.parametrize("axis", [-1, 0, None])
@pytest.mark.parametrize("along", [0, 1, 2])
def test_vmap_quantises_every_example_as_if_alone(axis, along):
    x = arbitrary(4, 33, 5)
    found = torch.vmap(lambda example: bfp_quantize(example, "bfp6", axis), in_dims=along)(x)
    for number, example in enumerate(x.unbind(along)):
        assert same_bits(found[number], bfp_quantize(example, "bfp6", axis))


def test_vmap_of_stochastic_rounding_gives_every_example_its_own_seed_or_the_same():
    x = torch.randn(3, 40)
    seeds = torch.tensor([1, 2, 3])

    def rounded(example, seed):
        return bfp_quantize(example, "bfp3", rounding="stochastic", seed=seed)

    found = torch.vmap(rounded)(x, seeds)
    assert all(same_bits(found[i], rounded(x[i], int(seeds[i]))) for i in range(3))
    with pytest.raises(BfpError) as refused:
        torch.vmap(lambda example: bfp_quantize(example, "bfp8", 1))(x)
    assert refused.value.code == "axis"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("ste", ["identity", "clip"])
def test_forward_derivatives_are_those_of_the_backward_pass(ste):
    x, tangent = torch.randn(4, 40), torch.randn(4, 40)
    x[0, 0] = 7.99  # saturates, so that there is something to clip

    def rounded(x):
        return bfp_quantize(x, resolve("bfp3").with_(exponent_rule="floor"), ste=ste)

    (backward,) = torch.func.vjp(rounded, x)[1](tangent)
    assert same_bits(torch.func.jvp(rounded, (x,), (tangent,))[1], backward)
    assert same_bits(torch.vmap(lambda x, t: torch.func.jvp(rounded, (x,), (t,))[1])(x, tangent), backward)
    assert (ste == "identity") == bool((backward == tangent).all())
    hessian = torch.func.hessian(lambda x: rounded(x).square().sum())(x[0])
    assert same_bits(hessian.diagonal(), 2 * (torch.func.grad(lambda x: rounded(x).sum())(x[0])))


@pytest.mark.parametrize("options", [{"grad_format": "bfp8"}, {"grad_format": "bfp8", "ste": "clip"}], ids=str)
@pytest.mark.parametrize("layer", [nn.Linear(40, 6), nn.Conv2d(4, 6, 2, groups=2)], ids=["linear", "convolution"])
def test_vmap_gives_every_example_its_own_gradient(layer, options):
    quantize_(layer, weight_format="bfp4", **options)
    x, parameters = torch.randn(3, 40) if layer.weight.dim() == 2 else torch.randn(3, 4, 3, 3), layer.state_dict()

    def loss(parameters, example):
        return torch.func.functional_call(layer, parameters, (example,)).square().sum()

    found = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)["weight"]
    for number, example in enumerate(x):
        assert torch.allclose(found[number], torch.func.grad(loss)(parameters, example)["weight"], atol=1e-5)


def test_function_transforms_differentiate_twice():
    x = torch.randn(4, 40)
    first = torch.func.grad(lambda x: (bfp_quantize(x) ** 2).sum())
    assert same_bits(first(x), 2 * bfp_quantize(x))
    assert torch.func.grad(lambda x: first(x).sum())(x).unique().tolist() == [2]
    assert same_bits(torch.vmap(first)(x), first(x))


@pytest.mark.parametrize("ste", ["identity", "clip"])
def test_checkpointed_and_plain_gradients_are_equal(ste):
    x = torch.randn(3, 40, requires_grad=True)

    def loss(x):
        return bfp_quantize(x * 3, (3, 8), ste=ste).square().sum()

    (plain,) = torch.autograd.grad(loss(x), x)
    (again,) = torch.autograd.grad(torch.utils.checkpoint.checkpoint(loss, x, use_reentrant=False), x)
    assert same_bits(plain, again)


@pytest.mark.parametrize("format", ["bfp8", "bfp4", "tt_bfp8_b_hw", "mx9", "tt_bfp4_b_host_lower_error"])
def test_integer_operations_of_tensors_give_the_bits_of_the_kernels(format):
    # What other devices compute; every order of strides keeps its own.
    x = arbitrary(6, 5, 70)
    for tensor in (x, x.transpose(0, 2), x[:, ::2], x[:1].expand(4, 5, 70)):
        for axis in (0, 2, -2, None):
            found = bfp_quantize(tensor, format, axis)
            assert same_bits(found, fake_quantized(tensor, bfpemu.preset(format), axis, None))
            assert found.stride() == torch.empty_like(tensor).stride()


WORKERS = """
import torch
from bfpemu.torch import bfp_quantize

class Dataset(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, number):
        return bfp_quantize(torch.full((3, 40), float(number) + 0.3), "bfp4")

threads = torch.get_num_threads()
bfp_quantize(torch.randn(300, 4000))
batches = list(torch.utils.data.DataLoader(Dataset(), batch_size=2, num_workers=2, multiprocessing_context="fork"))
assert torch.equal(batches[1][0], bfp_quantize(torch.full((3, 40), 2.3), "bfp4"))
assert torch.get_num_threads() == threads
"""


def test_forked_workers_quantise_and_torch_keeps_its_threads():
    # In a process of its own: other frameworks in this one have threads, which do not survive a fork.
    subprocess.run([sys.executable, "-c", WORKERS], check=True, timeout=120)


SHARDS = """
import torch, torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from bfpemu.torch import QATConfig, bfp_quantize, quantize_

dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
mesh = init_device_mesh("cpu", (1,))
torch.manual_seed(0)
x = torch.randn(6, 70)
for placement in (Shard(0), Shard(1), Replicate()):
    divided = distribute_tensor(x, mesh, [placement]).requires_grad_()
    found = bfp_quantize(divided, "bfp8")
    assert isinstance(found, DTensor) and torch.equal(found.full_tensor(), bfp_quantize(x, "bfp8"))
    found.sum().backward()
    assert divided.grad.full_tensor().unique().tolist() == [1]
model = nn.Sequential(nn.Linear(70, 40), nn.ReLU(), nn.Linear(40, 3))
quantize_(model, QATConfig(weight_format="bfp4", act_format="bfp8"))
wanted = model(x)
wanted.sum().backward()
gradients = [parameter.grad.clone() for parameter in model.parameters()]
model.zero_grad()
fully_shard(model)
found = model(x)
assert torch.equal(found, wanted)
found.sum().backward()
assert all(torch.equal(p.grad.full_tensor(), g) for p, g in zip(model.parameters(), gradients))
dist.destroy_process_group()
print("equal")
"""


def test_divided_tensors_and_fully_sharded_models_have_the_same_bits():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHARDS],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(bfpemu.__file__).parents[1],
    )
    assert done.stdout == "equal\n", done.stderr


def test_shards_without_whole_blocks_are_refused():
    bfp8 = BFPSpec("bfp8", 8, 32)
    check_shards(bfp8, (4, 128), 1, {0: 3, 1: 4}, is_stochastic=False)
    for shape, axis, divided, spec, is_stochastic in (
        ((4, 128), 1, {1: 8}, bfp8, False),
        ((4, 128), -1, {1: 3}, bfp8, False),
        ((4, 128), None, {1: 2}, bfp8, False),
        ((4, 100), None, {0: 2}, bfp8, False),
        ((4, 128), 1, {0: 2}, BFPSpec("tensor", 8, None), False),
        ((4, 128), 1, {0: 2}, bfp8, True),
    ):
        with pytest.raises(BfpError) as refused:
            check_shards(spec, shape, axis, divided, is_stochastic=is_stochastic)
        assert refused.value.code == "shard"


def test_the_package_sends_tensors_to_their_adapter():
    x = torch.randn(3, 40, requires_grad=True)
    found = bfpemu.bfp_quantize(x, format="bfp4")
    assert same_bits(found, bfp_quantize(x, "bfp4"))
    found.sum().backward()
    assert x.grad.unique().tolist() == [1]
    for refused, code in (
        (lambda: bfpemu.bfp_quantize(np.ones(3), backend="torch"), "data-type"),
        (lambda: bfpemu.bfp_quantize(x, exponents=[1]), "backend"),
        (lambda: StraightThrough.apply(x, "bfp8", 7, None, -1, False), "axis"),
    ):
        with pytest.raises(BfpError) as error:
            refused()
        assert error.value.code == code


def test_importing_the_adapter_loads_neither_kernels_nor_compiler():
    code = "import sys, torch; before = set(sys.modules); import bfpemu.torch; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split())
    assert added.isdisjoint({"numba", "torch._dynamo", "transformers", "bfpemu.formats", "bfpemu.kernels"})
