"""Times single layers here and in PyTorch by turns, and compares both with float64.

    cargo build --release -p glocal-compute --example layers
    python tools/kernels/versus_torch.py [--rounds 15] [--errors] [--processor --threads 1] [NAME...]

Prints, for each layer and direction, the median milliseconds of both and their ratio (below 1: faster than PyTorch).
Weights are packed beforehand on this side; PyTorch gets what a user gives it. With --errors it prints instead the largest
error against float64 over the root mean square of the exact output, for signed and for non-negative numbers: medians of
several draws of input and weights.
On a machine that others use too, --processor with one thread measures what is least disturbed.
NAME chooses layers whose name contains it. Needs torch and numpy; 2 threads, as RAYON_NUM_THREADS says.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

# name: (C, H, K, kernel, stride, pad, group), square planes
LAYERS = {
    "vgg 3x3 3-64@224": (3, 224, 64, 3, 1, 1, 1),
    "vgg 3x3 64-64@224": (64, 224, 64, 3, 1, 1, 1),
    "vgg 3x3 64-128@112": (64, 112, 128, 3, 1, 1, 1),
    "vgg 3x3 128-128@112": (128, 112, 128, 3, 1, 1, 1),
    "vgg 3x3 256-256@56": (256, 56, 256, 3, 1, 1, 1),
    "vgg 3x3 512-512@28": (512, 28, 512, 3, 1, 1, 1),
    "vgg 3x3 512-512@14": (512, 14, 512, 3, 1, 1, 1),
    "resnet 7x7/2 3-64@224": (3, 224, 64, 7, 2, 3, 1),
    "resnet 1x1 64-256@56": (64, 56, 256, 1, 1, 0, 1),
    "resnet 1x1 256-64@56": (256, 56, 64, 1, 1, 0, 1),
    "resnet 3x3 64-64@56": (64, 56, 64, 3, 1, 1, 1),
    "resnet 3x3/2 128-128@56": (128, 56, 128, 3, 2, 1, 1),
    "resnet 1x1/2 256-512@56": (256, 56, 512, 1, 2, 0, 1),
    "resnet 3x3 128-128@28": (128, 28, 128, 3, 1, 1, 1),
    "resnet 1x1 1024-256@14": (1024, 14, 256, 1, 1, 0, 1),
    "resnet 3x3 256-256@14": (256, 14, 256, 3, 1, 1, 1),
    "resnet 1x1 512-2048@7": (512, 7, 2048, 1, 1, 0, 1),
    "resnet 3x3 512-512@7": (512, 7, 512, 3, 1, 1, 1),
    "mobile 3x3/2 3-32@224": (3, 224, 32, 3, 2, 1, 1),
    "mobile dw3 32@112": (32, 112, 32, 3, 1, 1, 32),
    "mobile 1x1 32-16@112": (32, 112, 16, 1, 1, 0, 1),
    "mobile 1x1 16-96@112": (16, 112, 96, 1, 1, 0, 1),
    "mobile dw3/2 96@112": (96, 112, 96, 3, 2, 1, 96),
    "mobile 1x1 24-144@56": (24, 56, 144, 1, 1, 0, 1),
    "mobile dw3 144@56": (144, 56, 144, 3, 1, 1, 144),
    "mobile 1x1 192-32@28": (192, 28, 32, 1, 1, 0, 1),
    "mobile dw3 384@14": (384, 14, 384, 3, 1, 1, 384),
    "mobile dw5/2 240@28": (240, 28, 240, 5, 2, 2, 240),
    "mobile dw5 672@14": (672, 14, 672, 5, 1, 2, 672),
    "mobile dw3 960@7": (960, 7, 960, 3, 1, 1, 960),
    "mobile 1x1 160-960@7": (160, 7, 960, 1, 1, 0, 1),
    "mobile 1x1 320-1280@7": (320, 7, 1280, 1, 1, 0, 1),
    "small 3x3 8-8@28": (8, 28, 8, 3, 1, 1, 1),
    "small 3x3 16-16@14": (16, 14, 16, 3, 1, 1, 1),
    "small 3x3 16-32@7": (16, 7, 32, 3, 1, 1, 1),
    "small 3x3 32-32@7": (32, 7, 32, 3, 1, 1, 1),
    "odd 3x3/2 5-7@13": (5, 13, 7, 3, 2, 1, 1),
    "odd 3x3 33-17@15 x 3 groups": (99, 15, 51, 3, 1, 1, 3),
}


def output_size(layer):
    _, size, _, kernel, stride, pad, _ = layer
    return (size + 2 * pad - kernel) // stride + 1


class Here:
    """The example `layers`, kept running."""

    def __init__(self, binary, threads):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def processor_time(self):
        """Milliseconds that all threads have run so far."""
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6

    def run(self, direction, batch, layer, files=()):
        channels, size, outputs, kernel, stride, pad, group = layer
        words = [direction, batch, channels, size, size, outputs, kernel, stride, pad, group, *files]
        print(*words, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def torch_layer(direction, layer, x, weight):
    """The layer as a function without arguments."""
    import torch

    _, size, _, kernel, stride, pad, group = layer
    if direction == "forward":
        return lambda: torch.nn.functional.conv2d(x, weight, stride=stride, padding=pad, groups=group)
    shape = [x.shape[0], layer[0], size, size]
    return lambda: torch.nn.grad.conv2d_input(shape, weight, x, stride=stride, padding=pad, groups=group)


def shapes(direction, batch, layer):
    channels, size, outputs, kernel, _, _, group = layer
    out = output_size(layer)
    x = [batch, channels, size, size] if direction == "forward" else [batch, outputs, out, out]
    return x, [outputs, channels // group, kernel, kernel]


def times(here, direction, batch, layer, rounds, processor):
    import torch

    x, weight = (torch.rand(shape) * 2 - 1 for shape in shapes(direction, batch, layer))
    run = torch_layer(direction, layer, x, weight)
    ours, theirs = [], []
    with torch.inference_mode():
        for turn in range(rounds + 2):
            clock = time.process_time if processor else time.perf_counter
            before = here.processor_time()
            mine = here.run(direction, batch, layer)
            mine = here.processor_time() - before if processor else mine
            start = clock()
            run()
            other = (clock() - start) * 1e3
            if turn >= 2:
                ours.append(mine)
                theirs.append(other)
    return ours, theirs


def error(here, direction, batch, layer, low, seed):
    import numpy
    import torch

    torch.manual_seed(seed)
    x, weight = (torch.rand(shape) * (1 - low) + low for shape in shapes(direction, batch, layer))
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        paths = [f"{folder}/{name}" for name in ("x", "weight", "out")]
        x.numpy().tofile(paths[0])
        weight.numpy().tofile(paths[1])
        here.run(direction, batch, layer, paths)
        exact = torch_layer(direction, layer, x.double(), weight.double())()
        theirs = torch_layer(direction, layer, x, weight)()
        ours = torch.from_numpy(numpy.fromfile(paths[2], dtype="<f4")).reshape(exact.shape)
    scale = exact.square().mean().sqrt()
    return [float((given.double() - exact).abs().max() / scale) for given in (ours, theirs)]


def errors(here, direction, batch, layer, low, seeds):
    """Medians here and of PyTorch: the largest of many errors is a matter of chance."""
    found = [error(here, direction, batch, layer, low, seed) for seed in range(1, seeds + 1)]
    return [statistics.median(side) for side in zip(*found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--binary", default="target/release/examples/layers")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor", action="store_true", help="processor time instead of elapsed time (Linux)")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--seeds", type=int, default=5, help="of how many draws --errors gives the median")
    parser.add_argument("--directions", nargs="+", default=["forward", "gradient"])
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    here = Here(arguments.binary, arguments.threads)
    if arguments.errors:
        print("| layer | direction | signed: here | signed: PyTorch | non-negative: here | non-negative: PyTorch |")
        print("|---|---|---|---|---|---|")
    else:
        clock = "processor" if arguments.processor else "elapsed"
        print(f"batch {arguments.batch}, {arguments.threads} threads, torch {torch.__version__}: {clock} milliseconds, medians")
        print("| layer | direction | here | PyTorch | ratio | ratio of minima |")
        print("|---|---|---|---|---|---|")
    for name, layer in LAYERS.items():
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        for direction in arguments.directions:
            if arguments.errors:
                signed = errors(here, direction, arguments.batch, layer, -1.0, arguments.seeds)
                positive = errors(here, direction, arguments.batch, layer, 0.0, arguments.seeds)
                cells = [f"{error:.1e}" for error in signed + positive]
            else:
                ours, theirs = times(here, direction, arguments.batch, layer, arguments.rounds, arguments.processor)
                mine, other = statistics.median(ours), statistics.median(theirs)
                cells = [f"{mine:.3f}", f"{other:.3f}", f"{mine / other:.2f}", f"{min(ours) / min(theirs):.2f}"]
            print(f"| {name} | {direction} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
