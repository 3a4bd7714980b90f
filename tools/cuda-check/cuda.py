#!/usr/bin/env python3
"""The emitted CUDA kernels, launched from Python, beside the eager formulas that PEFT and transformers compute: parity and time.

    cuda.py KERNELS --output peft.json [--launches 200] [--only forward] [--device cpu]

KERNELS is what `Fossil.CudaCheck dump` wrote: PTX, and the launches of each case as data. The driver is called by ctypes, so that neither .NET nor a compiler is needed. Where there is no PyTorch the
launches run on memory of their own and are compared with the same formulas over lists. With --device cpu PyTorch's tensors are the processor's, for a driver that has no device. Neither is timed.
"""
import argparse
import ctypes
import json
import os
import random
import struct
import sys
import time

try:
    import torch
except ImportError:
    torch = None

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8, "int64": 8}
TOLERANCE = {"float32": 1e-4, "bfloat16": 1 / 64, "float16": 1 / 512, "float64": 1e-9}


class Driver:
    """The functions of the CUDA driver that launches need, in the primary context of the first device: PyTorch's."""

    def __init__(self):
        self.library = ctypes.CDLL(os.environ.get("FOSSIL_CUDA_DRIVER") or "libcuda.so.1")
        self.call("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxPushCurrent_v2", context)

    def call(self, function, *arguments):
        code = getattr(self.library, function)(*arguments)
        if code:
            name = ctypes.c_char_p()
            known = self.library.cuGetErrorName(code, ctypes.byref(name)) == 0
            raise SystemExit(f"{function} failed: {name.value.decode() if known else code}")

    def load(self, path):
        module = ctypes.c_void_p()
        with open(path, "rb") as file:
            self.call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(file.read() + b"\0"))
        return module

    def function(self, module, kernel):
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, kernel.encode())
        return function

    def launch(self, function, grid, block, arguments):
        """arguments: (value, bytes) each."""
        kinds = {4: ctypes.c_uint32, 8: ctypes.c_uint64}
        values = [kinds[size](value & (1 << 8 * size) - 1) for value, size in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        self.call("cuLaunchKernel", function, grid[0], grid[1], 1, block[0], block[1], 1, 0, None, pointers, None)

    def allocate(self, size):
        address = ctypes.c_void_p()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def write(self, address, data):
        self.call("cuMemcpyHtoDAsync_v2", ctypes.c_void_p(address), data, ctypes.c_size_t(len(data)), None)

    def read(self, address, size):
        data = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", data, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return data.raw


class Case:
    """One case of launches.json: launches whose addresses are those of operands, and of scratch."""

    def __init__(self, driver, folder, data, modules):
        self.driver, self.data = driver, data
        if data["module"] not in modules:
            modules[data["module"]] = driver.load(os.path.join(folder, data["module"] + ".ptx"))
        module = modules[data["module"]]
        self.functions = [driver.function(module, launch["kernel"]) for launch in data["launches"]]
        self.scratch = []
        for size in data["scratch_bytes"]:
            address = driver.allocate(size)
            driver.write(address, bytes(size))
            self.scratch.append(address)

    def launch(self, addresses):
        addresses = list(addresses) + self.scratch
        for function, launch in zip(self.functions, self.data["launches"]):
            arguments = [(addresses[one["operand"]] if "operand" in one else one["bits"], one["size"]) for one in launch["arguments"]]
            self.driver.launch(function, launch["grid"], launch["block"], arguments)


# What each case computes, as PEFT (MiSS: x in chunks of r, summed, times the block) and transformers write it. Operands by name; results by the name of the operand that they are in.
def shard_sum(o, case):
    x, r = o["x"].float(), case["parameter"]
    pad = -x.shape[1] % r
    x = torch.nn.functional.pad(x, (0, pad))
    return {"sum": x.view(x.shape[0], -1, r).sum(1)}


def tiled(gradient, like):
    return gradient.repeat(1, -(-like.shape[1] // gradient.shape[1]))[:, : like.shape[1]]


def forward(o, case):
    total = shard_sum(o, case)["sum"]
    return {"sum": total, "y": o["y"] + (total.to(o["y"].dtype) @ o["shard"].to(o["y"].dtype))}


def backward(o, case):
    dy, shard = o["dy"], o["shard"].to(o["dy"].dtype)
    return {"dx": o["dx"] + tiled(dy @ shard.t(), o["dx"]), "gradient": o["sum"].to(dy.dtype).t() @ dy}


def rms_norm(o, case):
    x = o["x"].float()
    scales = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
    return {"y": o["weight"] * (x * scales).to(o["x"].dtype), "scales": scales.view(1, -1)}


def rms_norm_input_gradient(o, case):
    x, g, s = o["x"].float(), (o["dy"].float() * o["weight"].float()), o["scales"].view(-1, 1)
    return {"dx": g * s - x * s.pow(3) * (g * x).mean(-1, keepdim=True)}


def rms_norm_weight_gradient(o, case):
    return {"dw": (o["dy"].float() * o["x"].float() * o["scales"].view(-1, 1)).sum(0, keepdim=True)}


def rotate(x, cos, sin, size, sign):
    x = x.view(x.shape[0], -1, size)
    cos, sin = cos.to(x.dtype).unsqueeze(1), sin.to(x.dtype).unsqueeze(1)
    half = torch.cat((-x[..., size // 2 :], x[..., : size // 2]), -1)
    return (x * cos + sign * half * sin).flatten(1)


def silu(gate):
    return torch.nn.functional.silu(gate)


def gelu(gate):
    return torch.nn.functional.gelu(gate, approximate="tanh")


def gate_gradients(activation):
    def run(o, case):
        with torch.enable_grad():
            g, u = o["gate"].float().requires_grad_(), o["up"].float().requires_grad_()
            gate, up = torch.autograd.grad(activation(g) * u, (g, u), o["dy"].float())
        return {"up gradient": up, "gate gradient": gate}
    return run


def cross_entropy(o, case):
    logits, targets = o["logits"].float(), o["targets"].view(-1)
    counts = (targets >= 0).unsqueeze(1)
    log = torch.log_softmax(logits, -1)
    safe = targets.clamp(min=0).unsqueeze(1)
    gradient = log.exp().scatter_add(1, safe, torch.full_like(safe, -1, dtype=torch.float32))
    return {"losses": torch.where(counts, -log.gather(1, safe), 0.0), "logits": torch.where(counts, gradient, 0.0)}


FORMULAS = {
    "shard_sum": shard_sum,
    "add_tiled": lambda o, case: {"dx": o["dx"].float() + tiled(o["gradient"], o["dx"])},
    "forward": forward, "forward_rounded": forward, "backward": backward, "backward_rounded": backward,
    "rms_norm": rms_norm, "rms_norm_input_gradient": rms_norm_input_gradient, "rms_norm_weight_gradient": rms_norm_weight_gradient,
    "rotary": lambda o, case: {"y": rotate(o["heads"], o["cos"], o["sin"], case["parameter"], 1)},
    "rotary_backward": lambda o, case: {"dx": rotate(o["dy"], o["cos"], o["sin"], case["parameter"], -1)},
    "silu_gate": lambda o, case: {"y": silu(o["gate"]) * o["up"]},
    "gelu_gate": lambda o, case: {"y": gelu(o["gate"]) * o["up"]},
    "silu_gate_backward": gate_gradients(silu), "gelu_gate_backward": gate_gradients(gelu),
    "cross_entropy": cross_entropy,
}


def operands(case, generator, device):
    """Tensors on the device for a case; scales of norms are those of its x."""
    made = {}
    for one in case["operands"]:
        shape, kind = (one["rows"], one["columns"]), one["type"]
        if kind == "int64":
            made[one["name"]] = torch.randint(-1, case["operands"][0]["columns"], shape, device=device, generator=generator)
        else:
            made[one["name"]] = torch.randn(shape, device=device, generator=generator).mul_(0.5).to(getattr(torch, kind))
    if "scales" in made:
        made["scales"] = torch.rsqrt(made["x"].float().pow(2).mean(-1) + 1e-5).view(1, -1).contiguous()
    for name in ("cos", "sin"):
        if name in made:
            # Both halves of an angle are the same.
            half = made[name].shape[1] // 2
            made[name] = torch.cat([made[name][:, :half].clamp(-1, 1)] * 2, 1).contiguous()
    return made


def timed(run, launches):
    for index in range(10):
        run(index)
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    start = time.perf_counter()
    for index in range(launches):
        run(index)
    host = (time.perf_counter() - start) / launches
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / launches * 1e3, host * 1e6


def check_with_torch(driver, case, data, launches, device):
    formula = FORMULAS.get(data["name"])
    if formula is None:
        return None
    made = operands(data, torch.Generator(device).manual_seed(1), device)
    # Computed from float32, so that only the kernel rounds.
    wide = {name: tensor if tensor.dtype == torch.int64 else tensor.float() for name, tensor in made.items()}
    expected = formula(wide if data["name"] not in ("rms_norm", "rotary", "rotary_backward", "silu_gate", "gelu_gate") else made, data)
    copies = [[tensor.clone() for tensor in made.values()]]
    case.launch([tensor.data_ptr() for tensor in copies[0]])
    if device == "cuda":
        torch.cuda.synchronize()
    worst, where = 0.0, ""
    for name, value in expected.items():
        actual = copies[0][list(made).index(name)]
        tolerance = TOLERANCE[str(actual.dtype).removeprefix("torch.")]
        error = (actual.float() - value.float()).abs().max().item() / tolerance / max(1.0, value.abs().max().item())
        if not error <= worst:
            worst, where = error, name
    result = {"name": data["name"], "size": data["size"], "passed": worst <= 1, "worst_operand": where, "worst_error_of_tolerance": round(worst, 4)}
    if device != "cuda":
        return result
    size = sum(tensor.numel() * tensor.element_size() for tensor in made.values())
    copies = [[tensor.clone() for tensor in made.values()] for _ in range(max(2, min(4096, (1 << 30) // max(1, size))))]
    addresses = [[tensor.data_ptr() for tensor in tensors] for tensors in copies]
    ours, host = timed(lambda index: case.launch(addresses[index % len(addresses)]), launches)
    eager, _ = timed(lambda index: formula(dict(zip(made, copies[index % len(copies)])), data), launches)
    return {**result, "microseconds": round(ours, 3), "host_microseconds": round(host, 3), "eager_microseconds": round(eager, 3)}


def decode(data, kind):
    if kind == "bfloat16":
        return [struct.unpack("<f", struct.pack("<I", word << 16))[0] for (word,) in struct.iter_unpack("<H", data)]
    return [value for (value,) in struct.iter_unpack({"float32": "<f", "float16": "<e", "float64": "<d", "int64": "<q"}[kind], data)]


def encode(values, kind):
    if kind == "bfloat16":
        return b"".join(struct.pack("<H", struct.unpack("<I", struct.pack("<f", value))[0] >> 16) for value in values)
    return struct.pack(f"<{len(values)}{ {'float32': 'f', 'float16': 'e', 'float64': 'd', 'int64': 'q'}[kind]}", *values)


def check_with_lists(driver, case, data):
    """Shard sums alone: that launches, arguments and memory are right needs no more."""
    if data["name"] != "shard_sum":
        return None
    source, result = data["operands"]
    values = [random.Random(1).choice((-1.0, -0.5, 0.25, 1.0, 2.0)) for _ in range(source["rows"] * source["columns"])]
    raw = encode(values, source["type"])
    addresses = [driver.allocate(len(raw)), driver.allocate(result["rows"] * result["columns"] * 4)]
    driver.write(addresses[0], raw)
    case.launch(addresses)
    actual = decode(driver.read(addresses[1], result["rows"] * result["columns"] * 4), "float32")
    expected = [0.0] * len(actual)
    for index, value in enumerate(decode(raw, source["type"])):
        row, column = divmod(index, source["columns"])
        expected[row * result["columns"] + column % result["columns"]] += value
    worst = max(abs(one - other) for one, other in zip(actual, expected))
    return {"name": data["name"], "size": data["size"], "passed": worst <= 1e-4, "worst_error": worst}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels")
    parser.add_argument("--output", required=True)
    parser.add_argument("--launches", type=int, default=200)
    parser.add_argument("--only", help="cases of this name alone")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()

    with_torch = torch is not None and (options.device == "cpu" or torch.cuda.is_available())
    if with_torch:
        torch.zeros(1, device=options.device)
    driver, modules, results = Driver(), {}, []
    with open(os.path.join(options.kernels, "launches.json")) as file:
        cases = [case for case in json.load(file) if options.only in (None, case["name"])]
    for data in cases:
        case = Case(driver, options.kernels, data, modules)
        result = check_with_torch(driver, case, data, options.launches, options.device) if with_torch else check_with_lists(driver, case, data)
        if result is None:
            continue
        results.append(result)
        print(("ok   " if result["passed"] else "FAIL ") + ", ".join(f"{name} {value}" for name, value in result.items() if name != "passed"), flush=True)
        if with_torch and options.device == "cuda":
            torch.cuda.empty_cache()
    about = {"torch": torch.__version__ if torch else None, "device": None if not with_torch else torch.cuda.get_device_name() if options.device == "cuda" else options.device}
    with open(options.output, "w") as file:
        json.dump({"about": about, "launches": options.launches, "cases": results}, file, indent=1)
    return 0 if results and all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
