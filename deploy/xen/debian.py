"""Takes what an image needs out of Debian's packages, installing nothing."""

import lzma
import pathlib
import re
import struct
import subprocess

ARCHITECTURE = "x86_64-linux-gnu"

# The offsets of a bzImage's header (Linux: x86/boot.rst).
SETUP_SECTORS = 0x1F1
PAYLOAD_OFFSET = 0x248
SECTOR = 512


class Unavailable(Exception):
    """The package archive or a package cannot be reached from here."""


def run(*command, **options):
    return subprocess.run([str(a) for a in command], check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def kernel_package():
    """Returns the package that linux-image-amd64 stands for today."""
    found = re.search(r"Depends: (linux-image-\S+)",
                      run("apt-cache", "depends", "linux-image-amd64"))
    if not found:
        raise Unavailable("apt knows no linux-image-amd64: apt-get update")
    return found[1]


def file_names(packages):
    """Returns the packages' files as the archive has them today, by package."""
    try:
        listing = run("apt-get", "download", "--print-uris", *packages,
                      stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as why:
        raise Unavailable(why.stderr.strip()) from why
    names = re.findall(r"^'[^']*' (\S+)", listing, re.MULTILINE)
    return {name.partition("_")[0]: name for name in names}


class Packages:
    """Exactly these packages, unpacked one over the other into one folder."""

    def __init__(self, folder, names):
        # Absolute, for it becomes a search path of the dynamic linker's.
        folder = pathlib.Path(folder).resolve()
        self.root = folder / "root"
        debs = folder / "debs"
        for path in (self.root, debs):
            path.mkdir(parents=True, exist_ok=True)
        for package, name in file_names(names).items():
            unpacked = debs / f"{name}.unpacked"
            if unpacked.exists():
                continue
            if not (debs / name).exists():
                try:
                    run("apt-get", "download", "--quiet", package, cwd=debs,
                        stderr=subprocess.PIPE)
                except subprocess.CalledProcessError as why:
                    raise Unavailable(why.stderr.strip()) from why
            run("dpkg-deb", "--extract", debs / name, self.root)
            unpacked.touch()

    def path(self, name):
        return self.root / name

    def libraries(self):
        return self.root / "usr/lib" / ARCHITECTURE


def uncompressed_kernel(image):
    """Returns the ELF kernel in a bzImage: to unpack it here is much faster
    than to have an emulated or a small domain do it."""
    octets = pathlib.Path(image).read_bytes()
    offset, length = struct.unpack_from("<II", octets, PAYLOAD_OFFSET)
    start = (octets[SETUP_SECTORS] + 1) * SECTOR + offset
    return lzma.LZMADecompressor().decompress(octets[start:start + length])


def module(kernel, name):
    """Returns the one file of a kernel module, by its name."""
    folder, = kernel.glob("lib/modules/*/kernel")
    path, = folder.glob(f"**/{name}.ko")
    return path


def module_order(kernel, names):
    """Returns the modules and those they need, in the order to load them."""
    order = []

    def visit(name):
        path = module(kernel, name)
        needs = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for need in needs[1].decode().split(",") if needs else []:
            if need:
                visit(need.replace("_", "-"))
        if path not in order:
            order.append(path)

    for name in names:
        visit(name)
    return order


def add_modules(ramdisk, kernel, names):
    """Adds modules and /modules, the list of them in the order to load."""
    order = module_order(kernel, names)
    for path in order:
        ramdisk.file(f"lib/modules/{path.name}", path)
    ramdisk.text("lib/modules/order", "".join(f"{p.name}\n" for p in order))


def add_programs(ramdisk, programs, extra_libraries=None):
    """Adds programs, given as path in the image and source, and the shared
    libraries they need."""
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    if extra_libraries:
        environment["LD_LIBRARY_PATH"] = str(extra_libraries)
    for path, source in programs:
        ramdisk.file(path, source, 0o755)
        try:
            listing = run("ldd", source, env=environment,
                          stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            continue  # linked statically
        if "not found" in listing:
            raise Unavailable(f"{source} lacks a library:\n{listing}")
        for library in re.findall(r"(/\S+) \(0x", listing):
            name = pathlib.Path(library).name
            folder = "lib64" if name.startswith("ld-linux") else "lib"
            ramdisk.file(f"{folder}/{name}", library, 0o755)


def add_busybox(ramdisk, packages):
    """Adds a shell and its tools."""
    busybox = packages.path("bin/busybox")
    ramdisk.file("bin/busybox", busybox, 0o755)
    for tool in run(busybox, "--list").split():
        if tool != "busybox":
            ramdisk.link(f"bin/{tool}", "busybox")
