"""to=onnx: one file for onnxruntime and whatever else reads ONNX."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from transgan import files
from transgan.errors import UserError
from transgan.exporting.checks import Difference, checked
from transgan.exporting.network import ImagesFromLatents, Inputs
from transgan.exporting.program import traced
from transgan.exporting.source import Source
from transgan.sampling import LatentSampler

OPSET = 20  # of the standard operators, ONNX 1.15, of November 2023
LEAST, MOST = 18, 24  # what the exporter writes and onnxruntime of today runs
NEEDED = ("onnx", "onnxscript", "onnxruntime")
IN_FLOAT32 = ("ReduceMean", "Pow", "Sqrt", "Reciprocal", "Softmax", "Clip", "Round", "Cast")  # sums, and the last step


def missing(to: str) -> list[str]:
    """A sentence if a package is not installed."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if not lacking:
        return []
    verb = "is" if len(lacking) == 1 else "are"
    return [f"to={to}: {', '.join(lacking)} {verb} not installed; pip install 'transgan[onnx]'"]


def write(
    source: Source, out: Path, output: str = "uint8", precision: str = "fp32", opset: int | None = None
) -> Difference:
    """Writes an ONNX file: inputs latent (N, Z) float32, label (N,) int64 and psi () float32, as far as there are,
    output images (N, C, H, W) as uint8, or as float32 in [-1, 1].

    Raises UserError where it makes other images than PyTorch; then nothing is written.
    """
    data, found = converted(source, str(out), output, precision, opset)
    with files.replacing(out) as file:
        file.write(data)
    return found


def converted(
    source: Source, name: str, output: str = "uint8", precision: str = "fp32", opset: int | None = None
) -> tuple[bytes, Difference]:
    """The bytes of an ONNX file, and how its images differ from PyTorch's."""
    import onnx

    sampler = cast(LatentSampler, source.sampler)
    network = ImagesFromLatents(sampler.network, sampler.num_classes).eval()
    model = exported(network, opset or OPSET)
    model = in_half(model) if precision == "fp16" else model
    lean(model)
    for key, value in facts_of(source, network, precision).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    both = model.SerializeToString()
    kept = ("images", "floats").index("images" if output == "uint8" else "floats")
    for i in (1, 0):
        if i != kept:
            del model.graph.output[i]
    rename(model, "images" if kept == 0 else "floats", "images")
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise UserError(
            f"{name}: torch's exporter wrote no valid ONNX ({' '.join(str(error).split())[:200]}); to=torch may do"
        ) from error
    data = model.SerializeToString()
    one, two = session(data), session(both)

    def run(inputs: Inputs) -> tuple[Tensor, Tensor]:
        feed = {name: value.numpy() for name, value in inputs.items()}
        images, floats = map(torch.from_numpy, two.run(["images", "floats"], feed))
        own = torch.from_numpy(one.run(["images"], feed)[0])
        return (own, floats) if output == "uint8" else (images, own)

    return data, checked(run, network, sampler, name, precision)


def exported(network: ImagesFromLatents, opset: int) -> Any:
    """The ModelProto with the outputs images and floats."""
    with quiet():
        program = torch.onnx.export(
            traced(network, network.example()), (), kwargs=network.example(), dynamo=True, opset_version=opset,
            output_names=["images", "floats"], external_data=False, verbose=False, optimize=True,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = "N"
    return model


def in_half(model: Any) -> Any:
    """The model in float16, but for sums, the last step, and what goes in and comes out."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    blocked = [*DEFAULT_OP_BLOCK_LIST, *IN_FLOAT32]
    with quiet():
        found = convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
        OnnxModel.graph_topological_sort(found.graph)
    return found


def lean(model: Any) -> None:
    """Takes out what only the exporter's authors read: stack traces, shapes in between, weights that nothing uses."""
    graph = model.graph
    model.ClearField("metadata_props")
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    used = {name for node in graph.node for name in node.input}
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in used:
            del graph.initializer[i]


def rename(model: Any, old: str, new: str) -> None:
    """Gives a value of the graph another name."""
    if old == new:
        return
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name in (old, new):
                    names[i] = new if name == old else f"{new}_before"
    for value in model.graph.output:
        value.name = new if value.name == old else value.name


def facts_of(source: Source, network: ImagesFromLatents, precision: str) -> dict[str, str]:
    """metadata_props: texts by key."""
    facts = {key: value for key, value in source.facts.items() if key not in ("sampler", "format")}
    facts |= {"precision": precision, "inputs": network.inputs, "generated_by": "transgan"}
    texts = {
        key: value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        for key, value in facts.items()
    }
    return {key: text.encode("utf-8", "backslashreplace").decode() for key, text in texts.items()}


def session(data: bytes) -> Any:
    """An onnxruntime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds, without a common parent
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"onnxruntime cannot read what was exported ({reason}); nothing was written") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's remarks to its authors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
