"""Trains the demo's network on Fashion-MNIST and writes model.onnx, training.json and preprocess.toml."""
import json
import platform
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

import fashion_mnist
from network import Demo

SEED = 20260501
THREADS = 2
EPOCHS = 16
BATCH = 128
LEARNING_RATE = 0.15
WARM_UP = 0.15  # share of the steps
WEIGHT_DECAY = 5e-4
LABEL_SMOOTHING = 0.05
SHIFT = 1  # pixels, in any direction

OPSET = 17
# Two float32 implementations of ten layers; what was seen is about 1e-5.
LOGIT_TOLERANCE = 1e-4
LEAST_ACCURACY = 0.91
LARGEST_FILE = 1_500_000

PREPROCESS = f'''# How an image becomes the model's input.
# Written by tools/demo/train.py. The garments are bright on a black background.
color = "grey"
resize = {{ width = {fashion_mnist.SIDE}, height = {fashion_mnist.SIDE}, filter = "bilinear" }}
scale = {fashion_mnist.SCALE!r}   # 1/255
mean = [{fashion_mnist.MEAN:.4f}]
std = [{fashion_mnist.STD:.4f}]
'''


def augment(x, generator):
    """Mirror each image with probability one half, and shift it by up to SHIFT pixels."""
    count, side = len(x), fashion_mnist.SIDE
    mirrored = torch.rand(count, generator=generator) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    background = (0. - fashion_mnist.MEAN) / fashion_mnist.STD
    padded = functional.pad(x, (SHIFT,) * 4, value=background)[:, 0]
    top, left = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows = (top + torch.arange(side))[:, :, None]
    columns = (left + torch.arange(side))[:, None, :]
    return padded[torch.arange(count)[:, None, None], rows, columns][:, None]


def train(model, images, labels):
    """Stochastic gradient descent with momentum and a one-cycle cosine schedule; the last weights are kept."""
    generator = torch.Generator().manual_seed(SEED)
    inputs = torch.from_numpy(fashion_mnist.preprocess(images))
    targets = torch.from_numpy(labels.astype(np.int64))
    steps = len(inputs) // BATCH
    optimizer = torch.optim.SGD(
        model.parameters(), LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=EPOCHS * steps, pct_start=WARM_UP, cycle_momentum=False)
    criterion = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    model.train()
    for epoch in range(EPOCHS):
        started, total, correct = time.monotonic(), 0., 0
        order = torch.randperm(len(inputs), generator=generator)
        for step in range(steps):
            rows = order[step * BATCH:(step + 1) * BATCH]
            logits = model(augment(inputs[rows], generator))
            loss = criterion(logits, targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            correct += (logits.argmax(1) == targets[rows]).sum().item()
        print(f'epoch {epoch + 1:2}/{EPOCHS}: loss {total / steps:.4f}, training accuracy '
              f'{correct / (steps * BATCH):.4f}, {time.monotonic() - started:.0f} s', flush=True)
    return model.eval()


def export(model, path):
    """Write the ONNX file: batch norms stay nodes of their own, so that a reader has to merge them."""
    example = torch.zeros(2, 1, fashion_mnist.SIDE, fashion_mnist.SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            model, (example,), path, opset_version=OPSET, dynamo=False, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE, input_names=['input'], output_names=['logits'],
            dynamic_axes={'input': {0: 'batch'}, 'logits': {0: 'batch'}})
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    kept = sum(node.op_type == 'BatchNormalization' for node in graph.graph.node)
    assert kept == sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()), kept
    assert path.stat().st_size <= LARGEST_FILE, path.stat().st_size


def evaluate(model, path, images, labels):
    """Accuracy of the ONNX file on the whole test set, and its largest difference from the trained model."""
    inputs = fashion_mnist.preprocess(images)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    correct, difference = 0, 0.
    for start in range(0, len(inputs), 500):
        rows = slice(start, start + 500)
        logits, = session.run(['logits'], {'input': inputs[rows]})
        with torch.no_grad():
            expected = model(torch.from_numpy(inputs[rows])).numpy()
        correct += int((logits.argmax(1) == labels[rows]).sum())
        difference = max(difference, float(np.abs(logits - expected).max()))
    assert difference <= LOGIT_TOLERANCE, difference
    return correct / len(inputs), difference


def main():
    folder = fashion_mnist.parse_folder(__doc__)
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)

    started = time.monotonic()
    model = train(Demo(), *fashion_mnist.load(folder, 'train'))
    print(f'trained in {time.monotonic() - started:.0f} s')

    fashion_mnist.ASSETS.mkdir(parents=True, exist_ok=True)
    path = fashion_mnist.ASSETS / 'model.onnx'
    export(model, path)
    accuracy, difference = evaluate(model, path, *fashion_mnist.load(folder, 't10k'))
    assert accuracy >= LEAST_ACCURACY, accuracy
    (fashion_mnist.ASSETS / 'preprocess.toml').write_text(PREPROCESS)
    report = {
        'test_accuracy': accuracy,
        'test_images': 10_000,
        'parameters': sum(parameter.numel() for parameter in model.parameters()),
        'max_abs_logit_difference_onnxruntime_torch': float(f'{difference:.3g}'),
        'epochs': EPOCHS,
        'seed': SEED,
        'threads': THREADS,
        'opset': OPSET,
        'versions': {
            'python': platform.python_version(), 'torch': torch.__version__, 'onnx': onnx.__version__,
            'onnxruntime': onnxruntime.__version__, 'numpy': np.__version__,
        },
    }
    text = json.dumps(report, indent=2)
    (fashion_mnist.ASSETS / 'training.json').write_text(text + '\n')
    print(text)


if __name__ == '__main__':
    main()
