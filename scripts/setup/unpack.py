"""Takes the libraries and headers that we need out of one wheel: unpack.py <wheel> <folder>.

TensorFlow's libraries and, from NVIDIA's wheels, CUDA's go to <folder>/lib, the headers to <folder>/include. Nothing of the
wheel is run. The libraries find each other because they lie side by side: each one's search path has its own folder in it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile

LIBRARY = re.compile(r"(tensorflow|nvidia/\w+/lib)/(libtensorflow_(cc|framework)\.so\.2|lib[\w.+-]+\.so[.\d]*)")
HEADERS = ("tensorflow/c/", "tensorflow/core/platform/", "tensorflow/tsl/", "tsl/", "xla/tsl/")


def target(name: str) -> str | None:
    library = LIBRARY.fullmatch(name)
    if library and (library[1] != "tensorflow" or library[3]):
        return os.path.join("lib", library[2])
    prefix = "tensorflow/include/"
    if name.startswith(prefix) and name[len(prefix) :].startswith(HEADERS) and not name.endswith("/"):
        return os.path.join("include", name[len(prefix) :])
    return None


def main(wheel: str, folder: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            place = target(member.filename)
            if place is None or ".." in place.split("/"):
                continue
            path = os.path.join(folder, place)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(member) as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


main(sys.argv[1], sys.argv[2])
