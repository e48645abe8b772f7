"""Times whole models forward here and in PyTorch by turns, on the weights of one ONNX file each.

    cargo build --release -p glocal --example forward_speed
    python tools/kernels/models_versus_torch.py FOLDER [--rounds 11] [--batch 1] [--processor --threads 1] [NAME...]

FOLDER gets NAME.onnx of torchvision's architecture NAME with random weights where it is not there yet. PyTorch runs the module
as a user does, in inference mode. Prints the medians in milliseconds and their ratio (below 1: faster than PyTorch).
Needs torch, torchvision and onnx.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import time

NAMES = ["vgg16_bn", "resnet50", "mobilenet_v2", "efficientnet_b0"]


def processor_time(process):
    threads = pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--binary", default="target/release/examples/forward_speed")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor", action="store_true", help="processor time instead of elapsed time (Linux)")
    arguments = parser.parse_args()
    import torch
    import torchvision

    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.processor else time.perf_counter
    kind = "processor" if arguments.processor else "elapsed"
    print(f"batch {arguments.batch}, {arguments.threads} threads, torch {torch.__version__}: {kind} milliseconds, medians")
    print("| model | here | PyTorch | ratio | ratio of minima |")
    print("|---|---|---|---|---|")
    for name in arguments.names:
        torch.manual_seed(0)
        model = getattr(torchvision.models, name)(weights=None).eval()
        path = arguments.folder / f"{name}.onnx"
        if not path.exists():
            torch.onnx.export(model, torch.zeros(1, 3, 224, 224), str(path), dynamo=False)
        x = torch.rand(arguments.batch, 3, 224, 224) * 2 - 1
        command = [arguments.binary, str(path), str(arguments.batch)]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))
        ours, theirs = [], []
        with (
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            ) as process,
            torch.inference_mode(),
        ):
            for turn in range(arguments.rounds + 2):
                before = processor_time(process)
                print(file=process.stdin, flush=True)
                mine = float(process.stdout.readline())
                if arguments.processor:
                    mine = processor_time(process) - before
                start = clock()
                model(x)
                other = (clock() - start) * 1e3
                if turn >= 2:
                    ours.append(mine)
                    theirs.append(other)
            process.stdin.close()
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(f"| {name} | {mine:.1f} | {other:.1f} | {mine / other:.2f} | {min(ours) / min(theirs):.2f} |", flush=True)


if __name__ == "__main__":
    main()
