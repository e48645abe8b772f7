"""Times Glocal beside zennit-crp, by turns, on the same networks, weights and samples. See README.md."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Of all conditions of a layer the peer does so many: each takes it the same time, and all of them, six times, more than an hour.
PEER_CONDITIONS = 16


def environment(folder, python):
    """The peer's virtual environment, installed at the first run."""
    binary = folder / 'bin/python'
    done = folder / 'complete'
    if not done.exists():
        subprocess.run([python, '-m', 'venv', folder], check=True)
        install = [binary, '-m', 'pip', 'install', '-q', '-r']
        subprocess.run([*install, HERE / 'requirements.txt'], check=True)
        subprocess.run([*install, HERE / 'requirements-peer.txt', '--no-deps'], check=True)
        done.touch()
    return binary


class Side:
    """A process that does a task on request."""

    def __init__(self, command, threads):
        # Threads that spin while they wait would take the other side's time.
        quiet = {'OMP_WAIT_POLICY': 'PASSIVE', 'KMP_BLOCKTIME': '0', 'RAYON_NUM_THREADS': str(threads)}
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | quiet)

    def ask(self, request):
        self.process.stdin.write(request + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f'{self.process.args} ended')
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def spread(times):
    return {'median': statistics.median(times), 'least': min(times), 'most': max(times), 'rounds': len(times)}


def compare(ours, theirs, rounds, folder):
    """Times of both by turns, after a round that counts for nothing; the memory of each, and how far the results are apart."""
    for side in (ours, theirs):
        side.ask('time')
    times = [[], []]
    for turn in range(rounds):
        # Who is first changes, so that neither always finds the machine as the other has left it.
        for index in ((0, 1), (1, 0))[turn % 2]:
            times[index].append((ours, theirs)[index].ask('time'))
    ratios = [theirs / ours for ours, theirs in zip(*times)]
    found = {'ours': spread(times[0]), 'theirs': spread(times[1]), 'times_faster': spread(ratios)}
    found['memory'] = [side.ask('memory') for side in (ours, theirs)]
    paths = [folder / name for name in ('ours.f32', 'theirs.f32')]
    counts = [side.ask(f'save {path}') for side, path in zip((ours, theirs), paths)]
    if counts[0] == counts[1] > 0:
        import array
        values = []
        for path in paths:
            floats = array.array('f')
            floats.frombytes(path.read_bytes())
            values.append(floats)
        largest = max(map(abs, values[1]))
        found['apart'] = max(abs(a - b) for a, b in zip(*values)) / largest if largest else 0.0
    return found


def once(command):
    """The seconds and the greatest memory, in bytes, of a whole process."""
    begun = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f'{command} failed')
    return time.perf_counter() - begun, usage.ru_maxrss * 1024


def cold(ours, theirs, rounds):
    runs = [[], []]
    for _ in range(rounds + 1):
        for side, command in enumerate((ours, theirs)):
            runs[side].append(once(command))
    times = [[seconds for seconds, _ in side[1:]] for side in runs]
    ratios = [theirs / ours for ours, theirs in zip(*times)]
    memory = [max(bytes_ for _, bytes_ in side) for side in runs]
    return {'ours': spread(times[0]), 'theirs': spread(times[1]), 'times_faster': spread(ratios), 'memory': memory}


def row(name, found):
    ours, theirs, faster = (found[key] for key in ('ours', 'theirs', 'times_faster'))
    digits = lambda seconds: f'{seconds * 1e3:.3g} ms' if seconds < 1 else f'{seconds:.3g} s'
    memory = ' / '.join(f'{bytes_ / 2**20:.0f}' for bytes_ in found['memory'])
    apart = f"{found['apart']:.1e}" if 'apart' in found else ''
    print(f"| {name} | {digits(ours['median'])} | {digits(theirs['median'])} | {faster['median']:.2f} "
          f"({faster['least']:.2f} to {faster['most']:.2f}, {faster['rounds']}) | {memory} | {apart} |", flush=True)


def main():
    sys.path.insert(0, str(HERE))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--networks', default='demo,mobilenet_v2,efficientnet_b0,resnet50,vgg16_bn')
    parser.add_argument('--tasks', default='forward,attribution,conditions,all-conditions,scan,cold')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--folder', type=Path, default=ROOT / 'target/versus')
    parser.add_argument('--python', default=sys.executable, help='Python 3.11')
    arguments = parser.parse_args()
    peer = environment(arguments.folder / 'environment', arguments.python)
    subprocess.run(['cargo', 'build', '--release', '-q', '-p', 'glocal-cli'], cwd=ROOT, check=True)
    subprocess.run(['cargo', 'build', '--release', '-q', '-p', 'glocal-kit', '--example', 'versus'], cwd=ROOT, check=True)
    glocal, worker = ROOT / 'target/release/glocal', ROOT / 'target/release/examples/versus'
    describe = [peer, '-c', 'import json, networks; print(json.dumps({k: v[1:] for k, v in networks.NETWORKS.items()}))']
    networks = json.loads(subprocess.run(describe, cwd=HERE, check=True, capture_output=True, text=True).stdout)
    print(f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads\n')
    print('| network, task | Glocal | peer | times faster (range, rounds) | peak MiB, Glocal / peer | results apart |')
    print('|---|---|---|---|---|---|')
    results = {}
    for name in arguments.networks.split(','):
        shape, batch, count, (layer, channels) = networks[name]
        folder = arguments.folder / name
        if not (folder / 'preprocess.toml').exists():
            subprocess.run([peer, HERE / 'export.py', name, folder], check=True, stdout=subprocess.DEVNULL)
        model, inputs = folder / 'model.onnx', folder / 'inputs.npz'
        tasks = {
            'forward': ['forward', '1'],
            'attribution': ['attribution'],
            'conditions': ['conditions', layer, '16'],
            'all-conditions': ['conditions', layer, str(channels)],
            'scan': ['scan', str(batch)],
        }
        for task in arguments.tasks.split(','):
            if task == 'cold':
                ours = [glocal, 'attribute', model, folder / 'picture.png', '--preprocess', folder / 'preprocess.toml',
                        '--threads', str(arguments.threads), '-o', folder / 'pictures']
                theirs = [peer, HERE / 'peer.py', name, inputs, 'picture', folder / 'peer.png', str(arguments.threads)]
                found = cold(ours, theirs, arguments.rounds)
            else:
                of_peer = tasks[task]
                if task == 'all-conditions':
                    of_peer = ['conditions', layer, str(min(channels, PEER_CONDITIONS))]
                ours = Side([worker, model, inputs, *tasks[task]], arguments.threads)
                theirs = Side([peer, HERE / 'peer.py', name, inputs, *of_peer, str(arguments.threads)], arguments.threads)
                found = compare(ours, theirs, arguments.rounds, folder)
                ours.close(), theirs.close()
            unit = {'conditions': ' (16, each)', 'all-conditions': f' ({channels}, each)', 'scan': ' (a sample)'}.get(task, '')
            row(f'{name}, {task}{unit}', found)
            results[f'{name} {task}'] = found
    (arguments.folder / 'results.json').write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
    main()
