"""Does on request what `crates/glocal-kit/examples/versus.rs` does, with zennit-crp: the same tasks, lines and answers.

    peer.py NETWORK INPUTS.npz forward BATCH | attribution | conditions LAYER COUNT | scan BATCH
    peer.py NETWORK INPUTS.npz picture FILE.png     one heatmap as a picture, and the end
"""

import contextlib
import io
import resource
import sys
import tempfile
import time

import numpy
import torch

torch.set_num_threads(int(sys.argv[-1]))
sys.argv.pop()

from crp.attribution import CondAttribution  # noqa: E402
from crp.concepts import ChannelConcept  # noqa: E402
from crp.helper import get_layer_names  # noqa: E402
from crp.visualization import FeatureVisualization  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.composites import EpsilonPlusFlat  # noqa: E402
from zennit.torchvision import ResNetCanonizer, VGGCanonizer  # noqa: E402

from networks import network  # noqa: E402

# The class that is explained.
TARGET = 1


class Samples:
    def __init__(self, x, y):
        self.x, self.y = torch.from_numpy(x), y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.y[index])


class Worker:
    def __init__(self, name, inputs, task, *options):
        self.model = network(name)
        arrays = numpy.load(inputs)
        self.x, self.y = arrays['x'], arrays['y']
        canonizer = {'vgg16_bn': VGGCanonizer, 'resnet50': ResNetCanonizer}.get(name, SequentialMergeBatchNorm)
        self.composite = EpsilonPlusFlat([canonizer()])
        self.attribution = CondAttribution(self.model)
        self.weighted = get_layer_names(self.model, [torch.nn.Conv2d, torch.nn.Linear])
        self.task, self.options = task, options

    def first(self, count):
        return torch.from_numpy(self.x[numpy.arange(count) % len(self.x)].copy())

    def work(self):
        """What the task computed, and how many units of work that was."""
        if self.task == 'forward':
            batch = int(self.options[0])
            with torch.no_grad():
                return self.model(self.first(batch)).numpy(), batch
        if self.task == 'attribution':
            x = self.first(1).requires_grad_()
            found = self.attribution(x, [{'y': [TARGET]}], self.composite, record_layer=self.weighted)
            return found.heatmap.detach().numpy(), 1
        if self.task == 'conditions':
            layer, count = self.options[0], int(self.options[1])
            conditions = [{'y': [TARGET], layer: [channel]} for channel in range(count)]
            x = self.first(1).requires_grad_()
            found = self.attribution.generate(x, conditions, self.composite, batch_size=8, verbose=False)
            return numpy.concatenate([item.heatmap.detach().numpy() for item in found]), count
        if self.task == 'scan':
            concept = ChannelConcept()
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                with contextlib.redirect_stderr(io.StringIO()):
                    layers = {layer: concept for layer in self.weighted}
                    search = FeatureVisualization(self.attribution, Samples(self.x, self.y), layers, path=folder)
                    search.run(self.composite, 0, len(self.x), int(self.options[0]), 100)
            return numpy.zeros(0, numpy.float32), len(self.x)
        raise SystemExit(f'{self.task} is no task')

    def picture(self, path):
        from zennit.image import imsave
        self.task = 'attribution'
        heatmap, _ = self.work()
        largest = abs(heatmap).max()
        imsave(path, heatmap[0], vmin=-largest, vmax=largest, cmap='bwr')


def main():
    worker = Worker(*sys.argv[1:])
    if worker.task == 'picture':
        worker.picture(worker.options[0])
        return
    last = numpy.zeros(0, numpy.float32)
    for line in sys.stdin:
        request, _, path = line.strip().partition(' ')
        if request == 'time':
            begun = time.perf_counter()
            last, units = worker.work()
            print((time.perf_counter() - begun) / units, flush=True)
        elif request == 'memory':
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
        elif request == 'save':
            last.astype('<f4').tofile(path)
            print(last.size, flush=True)


if __name__ == '__main__':
    main()
