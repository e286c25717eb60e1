"""Writes the picture fixtures beside itself, and expected.txt: python make.py (Pillow 13, NumPy).

Most show the same 12 x 8 picture f(x, y) = (20x, 30y, 10(x + y)), so a test can compute what must come out.
expected.txt: name, width, height, CRC-32 of Pillow's upright RGB bytes (alpha over white), or of the high bytes.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
y, x = np.mgrid[0:8, 0:12]
RGB = np.stack([20 * x, 30 * y, 10 * (x + y)], -1).astype(np.uint8)
PICTURE = Image.fromarray(RGB)
expected: list[str] = []


def encode(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def write(name: str, data: bytes) -> bytes:
    (HERE / name).write_bytes(data)
    return data


def expect(name: str, pixels: np.ndarray) -> None:
    expected.append(f"{name} {pixels.shape[1]} {pixels.shape[0]} {zlib.crc32(pixels.tobytes())}")


def good(name: str, data: bytes) -> bytes:
    """A file that Pillow reads as Binocle must."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(write(name, data))))
    if picture.has_transparency_data:
        colour = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", colour.size, (255,) * 4), colour)
    expect(name, np.array(picture.convert("RGB")))
    return data


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, before: bytes = b"", packed: bool = False) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", rows if packed else zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + before + data + chunk(b"IEND", b"")


def rows_of(samples: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in samples)


def orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def orientations() -> None:
    for value in range(1, 9):
        good(f"exif_{value}.jpg", encode(PICTURE, "JPEG", quality=95, subsampling=0, exif=orientation(value)))
    good("exif_6.png", encode(PICTURE, "PNG", exif=orientation(6)))
    good("exif_8.webp", encode(PICTURE, "WEBP", lossless=True, exif=orientation(8)))


def kinds() -> None:
    good("rgb.png", encode(PICTURE, "PNG"))
    good("grey.png", encode(PICTURE.convert("L"), "PNG"))
    good("one_bit.png", encode(PICTURE.convert("1"), "PNG"))
    good("palette.png", encode(PICTURE.quantize(13), "PNG"))
    good("palette_transparent.png", encode(PICTURE.quantize(13), "PNG", transparency=bytes([0, 90, 255, 7])))
    alpha = Image.fromarray((x * 23 + y).astype(np.uint8))
    rgba = PICTURE.copy()
    rgba.putalpha(alpha)
    good("rgba.png", encode(rgba, "PNG"))
    good("grey_alpha.png", encode(rgba.convert("LA"), "PNG"))
    good("rgb_transparent.png", encode(PICTURE, "PNG", transparency=(40, 60, 40)))
    good("grey_transparent.png", encode(PICTURE.convert("L"), "PNG", transparency=int(np.array(PICTURE.convert("L"))[3, 4])))
    good("rgba.webp", encode(rgba, "WEBP", lossless=True, exact=True))
    good("lossless.webp", encode(PICTURE, "WEBP", lossless=True))
    good("lossy.webp", encode(PICTURE, "WEBP", quality=90))
    good("grey.jpg", encode(PICTURE.convert("L"), "JPEG"))
    good("progressive.jpg", encode(PICTURE, "JPEG", progressive=True, subsampling=0))
    write("cmyk.jpg", encode(PICTURE.convert("CMYK"), "JPEG", quality=100))
    good("animated.png", encode(PICTURE, "PNG", save_all=True, append_images=[PICTURE.rotate(180)]))
    # Depths that Pillow does not write. Sixteen bits: the high byte (Pillow clips 16-bit grey, so it is not asked).
    wide = (RGB.astype(int) * 256 + 0xC8).astype(">u2")
    write("rgb16.png", png(12, 8, 16, 2, rows_of(wide)))
    expect("rgb16.png", RGB)
    write("grey16.png", png(12, 8, 16, 0, rows_of(np.ascontiguousarray(wide[..., 2]))))
    expect("grey16.png", np.repeat(RGB[..., 2:], 3, -1))
    good("grey2.png", png(12, 8, 2, 0, b"".join(b"\0\x1b\xe4" + bytes([16 * i + i]) for i in range(8))))
    good("interlaced.png", adam7())


def adam7() -> bytes:
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b"".join(rows_of(np.ascontiguousarray(RGB[py::dy, px::dx])) for px, py, dx, dy in passes)
    plain = png(12, 8, 8, 2, rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 8, 8, 2, 0, 0, 1))
    return plain[:8] + head + plain[8 + len(head):]


def bad() -> None:
    jpeg = encode(PICTURE, "JPEG")
    write("no_end.jpg", jpeg[:-2])
    at = jpeg.index(b"\xff\xc0")
    write("huge.jpg", jpeg[:at + 5] + struct.pack(">HH", 60000, 60000) + jpeg[at + 9:])
    rows = rows_of(RGB)
    write("huge.png", png(60000, 60000, 8, 2, rows))
    write("bomb.png", png(12, 8, 8, 2, rows + bytes(30_000_000)))
    text = b"Comment\0\0" + zlib.compress(bytes(30_000_000), 9)
    profile = b"profile\0\0" + zlib.compress(bytes(10_000_000), 9)
    bulky = png(12, 8, 8, 2, rows, before=chunk(b"iCCP", profile) + chunk(b"zTXt", text))
    write("bulky.png", bulky)
    expect("bulky.png", RGB)
    write("short.png", png(12, 8, 8, 2, rows[:-20]))
    write("filter.png", png(12, 8, 8, 2, b"\x07" + rows[1:]))
    write("no_zlib.png", png(12, 8, 8, 2, b"this is no zlib stream", packed=True))
    write("no_palette.png", png(12, 8, 8, 3, rows_of(RGB[..., 0])))
    good_png = png(12, 8, 8, 2, rows)
    write("checksum.png", good_png[:-20] + bytes([good_png[-20] ^ 1]) + good_png[-19:])
    still = encode(PICTURE, "WEBP", lossless=True)
    write("animated.webp", encode(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(180)]))
    write("broken.webp", still[:26] + bytes(len(still) - 26))


orientations()
kinds()
bad()
(HERE / "expected.txt").write_text("\n".join(expected) + "\n")
