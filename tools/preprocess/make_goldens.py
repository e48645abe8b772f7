"""Makes the golden files of tests/preprocess: what Pillow decodes from odd image files and how it resizes.

    pip install -r requirements.txt
    python make_goldens.py ../../tests/preprocess

Pillow 3 to 12 resample the rows first, as the models in use were trained; Pillow 13 begins with the columns for some
sizes, which changes sharp edges by several levels. So do not make these files with Pillow 13.

The arrays are named for what they are:
    source/NAME                              an image, [height, width] or [height, width, 3]
    resize/NAME/WIDTHxHEIGHT/FILTER          that image resized
    grey/NAME                                that image in Pillow's mode L
    input/NAME                               [3, height, width]: the steps of a whole preprocessing, in float64
    decoded/FILE                             the pixels of images/FILE, upright, 8 bit, over white
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = {
    "noise": [(5, 7), (10, 10), (12, 17), (29, 23), (1, 1)],
    "edges": [(11, 9), (37, 33), (24, 5)],
    "grey": [(10, 10), (28, 28), (7, 31)],
    "pixel": [(4, 3)],
    "line": [(3, 9), (50, 2)],
}


def sources():
    random = np.random.default_rng(7)
    edges = np.zeros((18, 24, 3), np.uint8)
    edges[4:9, 3:17, 0] = 255
    edges[:, ::2, 1] = 255
    edges[7:, 10:, 2] = 200
    return {
        "noise": random.integers(0, 256, (17, 12, 3), np.uint8),
        "edges": edges,
        "grey": random.integers(0, 256, (13, 12), np.uint8),
        "pixel": np.array([[[10, 200, 90]]], np.uint8),
        "line": random.integers(0, 256, (1, 40, 3), np.uint8),
    }


def whole_preprocessing(pixels):
    """Shortest side 16 (longer side rounded down), centre crop 11 (round half to even), then normalised."""
    image = Image.fromarray(pixels)
    width, height = image.size
    size = (16, int(16 * height / width)) if width <= height else (int(16 * width / height), 16)
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = int(round((image.width - 11) / 2.0)), int(round((image.height - 11) / 2.0))
    image = image.crop((left, top, left + 11, top + 11))
    values = np.asarray(image).astype(np.float64) / 255
    values = (values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def over_white(image):
    """Alpha composition over white: the exact weighted mean, rounded."""
    *colors, alpha = [np.asarray(band).astype(np.int64) for band in image.split()]
    values = [((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8) for color in colors]
    return values[0] if len(values) == 1 else np.stack(values, -1)


def image_files(folder):
    """Writes odd image files; returns the pixels that each should decode to."""
    random = np.random.default_rng(8)
    y, x = np.mgrid[0:24, 0:32]
    smooth = np.stack([x * 8, y * 10, 255 - x * 4 - y * 4], -1).astype(np.uint8)
    rgb, grey = Image.fromarray(smooth), Image.fromarray(smooth[..., 0])
    decoded = {}

    def save(name, image, expected=None, **options):
        image.save(folder / name, **options)
        if expected is None:
            reread = ImageOps.exif_transpose(Image.open(folder / name))
            expected = np.asarray(reread if reread.mode == "L" else reread.convert("RGB"))
        decoded[name] = np.ascontiguousarray(expected)

    save("rgb.png", rgb)
    save("grey.png", grey)
    save("rgb.bmp", rgb)
    save("rgb.ppm", rgb)
    save("grey.pgm", grey)
    save("rgb.jpg", rgb, quality=95)
    save("grey.jpg", grey, quality=95)
    save("progressive.jpg", rgb, quality=95, progressive=True)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=95)
    save("lossless.webp", rgb, lossless=True)
    save("lossy.webp", rgb, quality=95)
    save("rgb.tiff", rgb)
    save("lzw.tiff", rgb, compression="tiff_lzw")
    save("palette.png", rgb.quantize(16))
    save("bits.png", grey.convert("1"), np.asarray(grey.convert("1").convert("L")))
    save("rgb.gif", rgb.quantize(16))
    wide = random.integers(0, 65536, (5, 6), np.uint16)
    save("grey16.png", Image.fromarray(wide), ((wide.astype(np.int64) + 128) // 257).astype(np.uint8))
    save("grey16.tiff", Image.fromarray(wide), ((wide.astype(np.int64) + 128) // 257).astype(np.uint8))

    alpha = Image.fromarray(np.dstack([smooth, (x * 8).astype(np.uint8)]))
    save("alpha.png", alpha, over_white(alpha))
    save("alpha.webp", alpha, over_white(alpha), lossless=True, exact=True)
    grey_alpha = Image.merge("LA", [grey, Image.fromarray((y * 10).astype(np.uint8))])
    save("grey_alpha.png", grey_alpha, over_white(grey_alpha))
    transparent = rgb.quantize(16)
    transparent.info["transparency"] = 3
    save("transparent_palette.png", transparent, over_white(transparent.convert("RGBA")), transparency=3)

    frames = [rgb.quantize(16), Image.fromarray(255 - smooth).quantize(16)]
    first = np.asarray(frames[0].convert("RGB"))
    save("animated.gif", frames[0], first, save_all=True, append_images=frames[1:], duration=100)
    save("animated.webp", rgb, smooth, save_all=True, append_images=[Image.fromarray(255 - smooth)], lossless=True)
    save("animated.png", rgb, smooth, save_all=True, append_images=[Image.fromarray(255 - smooth)], duration=100)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation{orientation}.jpg", rgb.resize((16, 10)), exif=exif, quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation6.png", rgb.resize((16, 10)), exif=exif)
    save("orientation6.webp", rgb.resize((16, 10)), exif=exif, lossless=True)
    return decoded


def main(target):
    (target / "images").mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, pixels in sources().items():
        arrays[f"source/{name}"] = pixels
        image = Image.fromarray(pixels)
        for size in SIZES[name]:
            for filter_name, filter_number in FILTERS.items():
                resized = np.asarray(image.resize(size, filter_number))
                arrays[f"resize/{name}/{size[0]}x{size[1]}/{filter_name}"] = resized
        if pixels.ndim == 3:
            arrays[f"grey/{name}"] = np.asarray(image.convert("L"))
    for name in ["noise", "edges"]:
        arrays[f"input/{name}"] = whole_preprocessing(sources()[name])
    for name, pixels in image_files(target / "images").items():
        arrays[f"decoded/{name}"] = pixels
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, target / "goldens.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
