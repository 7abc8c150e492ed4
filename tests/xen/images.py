"""Builds what the tests boot: Xen, a dom0, the vTPM domain and guests."""

import gzip
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEPLOY = ROOT / "deploy/xen"

sys.path.insert(0, str(DEPLOY))
import debian  # noqa: E402
import ramdisk  # noqa: E402

XEN = "4.17"
PACKAGES = (
    "busybox-static", "libxenhypfs1", f"libxenmisc{XEN}", "libxenstore4",
    "libxentoolcore1", "libxentoollog1", "libyajl2",
    f"xen-hypervisor-{XEN}-amd64", f"xen-utils-{XEN}", "xen-utils-common",
    "xenstore-utils")

XEN_PROGRAMS = ("xl", "xenstored", "xenconsoled", "xen-init-dom0",
                "libxl-save-helper")
STORE_TOOLS = ("chmod", "exists", "list", "ls", "read", "rm", "watch", "write")

DOM0_MODULES = ("xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev",
                "xen-gntalloc", "loop", "xen-blkback")
GUEST_MODULES = ("xen-evtchn", "xen-gntalloc", "xen-gntdev", "xen-tpmfront")


def new_disk(packages):
    disk = ramdisk.Ramdisk()
    for folder in ("dev", "proc", "root", "run", "sys", "tmp"):
        disk.directory(folder)
    disk.character_device("dev/console", ramdisk.CONSOLE)
    debian.add_busybox(disk, packages)
    return disk


def guest(packages, programs, more=()):
    """A guest: a shell, the stock driver, programs of the tests, and `more`,
    which take many libraries."""
    disk = new_disk(packages)
    debian.add_modules(disk, packages.root, GUEST_MODULES)
    debian.add_programs(disk, [
        ("bin/agent", programs / "tests/xen/vtpm_xen_agent"),
        ("bin/raw-front", programs / "tests/xen/vtpm_xen_raw_front")])
    debian.add_programs(disk, [(f"bin/{path.name}", path) for path in more])
    disk.file("init", HERE / "guest/init", 0o755)
    return disk


def add_xen_tools(disk, packages):
    xen = packages.path(f"usr/lib/xen-{XEN}/bin")
    folder = f"usr/lib/xen-{XEN}/bin"
    tools = [(f"{folder}/{name}", xen / name) for name in XEN_PROGRAMS]
    tools.append(("bin/xenstore", packages.path("usr/bin/xenstore")))
    debian.add_programs(disk, tools, packages.libraries())
    for name in STORE_TOOLS:
        disk.link(f"bin/xenstore-{name}", "xenstore")
    disk.file("etc/xen/scripts/block", HERE / "dom0/block", 0o755)
    disk.text("etc/xen/xl.conf", "")
    for path in ("var/lib/xen", "var/lib/xenstored", "var/log/xen/console"):
        disk.directory(path)
    disk.link("var/run", "../run")
    disk.link("var/lock", "../run/lock")


def make_tpms(programs, folder):
    """Makes a TPM of each version. Returns the files, by their names."""
    files = []
    for version in ("1.2", "2.0"):
        paths = [folder / f"tpm{version}.{part}" for part in ("state", "key")]
        for path in paths:
            path.unlink(missing_ok=True)
        state, key = paths
        presence = ("--physical-presence",) if version == "1.2" else ()
        debian.run(programs / "deploy/vtpmctl", "create", "--tpm", version,
                   "--state", state, "--key", key, *presence)
        files += paths
    return files


def dom0(packages, programs, boot_files, tpms):
    """dom0: Xen's tools, vtpmd, the scenarios, the images of guests, and
    ready-made TPMs."""
    disk = new_disk(packages)
    debian.add_modules(disk, packages.root, DOM0_MODULES)
    add_xen_tools(disk, packages)
    debian.add_programs(disk, [
        (f"opt/vtpm/{name}", programs / "deploy" / name)
        for name in ("vtpmd", "vtpmctl", "vtpm-front")])
    debian.add_programs(disk, [
        ("opt/vtpm/raw-front", programs / "tests/xen/vtpm_xen_raw_front")])
    for name in ("attach", "pair"):
        disk.file(f"opt/vtpm/{name}", DEPLOY / name, 0o755)
    for name in ("vtpm.cfg", "guest.cfg"):
        disk.file(f"opt/tests/{name}", DEPLOY / name)
    for folder, source in (("", "dom0"), ("scenarios/", "scenarios")):
        for path in sorted((HERE / source).iterdir()):
            disk.file(f"opt/tests/{folder}{path.name}", path)
    for path in tpms:
        disk.file(f"opt/tests/{path.name}", path)
    for path in boot_files:
        disk.file(f"boot/{path.name}", path)
    disk.file("init", HERE / "dom0/init", 0o755)
    return disk


def build(build_image, programs, folder):
    """Builds all. Returns the folder with xen, vmlinux and dom0.cpio."""
    packages = debian.Packages(folder / "packages",
                               [debian.kernel_package(), *PACKAGES])
    output = folder / "images"
    kernel, vtpm = build_image.write_image(programs / "deploy", packages,
                                           output)
    compressed = packages.path(f"boot/xen-{XEN}-amd64.gz")
    (output / "xen").write_bytes(gzip.decompress(compressed.read_bytes()))
    guest(packages, programs).write(output / "guest.cpio")
    more = (programs / "deploy/vtpm-front", programs / "deploy/vtpmctl",
            programs / "tests/xen/vtpm_xen_owner")
    guest(packages, programs, more).write(output / "large.cpio")
    boot_files = (kernel, vtpm, output / "guest.cpio", output / "large.cpio")
    dom0(packages, programs, boot_files, make_tpms(programs, output)).write(
        output / "dom0.cpio")
    return output
