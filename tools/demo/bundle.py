"""Bundles the first 2,000 test images of Fashion-MNIST with the demo: images, labels, class names."""
import gzip
import io

import fashion_mnist

COUNT = 2_000


def write_gzip(path, data):
    """Compress without name and time stamp, so that the same data gives the same file."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename='', mode='wb', compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(data)
    path.write_bytes(buffer.getvalue())


def main():
    folder = fashion_mnist.parse_folder(__doc__)
    images, labels = (array[:COUNT] for array in fashion_mnist.load(folder, 't10k'))
    assets = fashion_mnist.ASSETS
    assets.mkdir(parents=True, exist_ok=True)
    write_gzip(assets / 'images-idx3-ubyte.gz', fashion_mnist.idx_bytes(fashion_mnist.IMAGES_MAGIC, images))
    write_gzip(assets / 'labels-idx1-ubyte.gz', fashion_mnist.idx_bytes(fashion_mnist.LABELS_MAGIC, labels))
    (assets / 'classes.txt').write_text('\n'.join(fashion_mnist.CLASSES) + '\n')
    for name in ('images-idx3-ubyte.gz', 'labels-idx1-ubyte.gz', 'classes.txt'):
        print(f'{assets / name}: {(assets / name).stat().st_size} bytes')


if __name__ == '__main__':
    main()
