"""onnxruntime-web, which runs a model in a browser: where it comes from, and its script in a form that files may have.

Two files of the package are used: the bundle of the WebAssembly backend alone, and the WebAssembly itself.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transgan import files
from transgan.errors import UserError, describe

VERSION = "1.30.0"
NAME = f"onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # of that file
PACKAGE, BUNDLE, WASM = "package.json", "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
SHA256 = {
    BUNDLE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
VARIABLE = "TRANSGAN_ORT_WEB"
WAY = f"`npm pack onnxruntime-web@{VERSION}` makes {NAME} where there is a network, and runtime={NAME} takes it"

Files = dict[str, bytes]


@dataclass(frozen=True)
class Runtime:
    """onnxruntime-web of one version.

    script      defines `ort` when it runs as a classic script, which a page opened as a file may load
    wasm        the WebAssembly, which the script is handed
    sha256      of each file of the package that was used
    """

    version: str
    script: str
    wasm: bytes
    sha256: dict[str, str]

    @classmethod
    def find(cls, path: str | None = None) -> "Runtime":
        """From `path` or $TRANSGAN_ORT_WEB: the packed file, or the folder it unpacks to; else from the cache; else
        from the npm registry. Raises UserError."""
        given = os.environ.get(VARIABLE)
        if path:
            return cls.of(_named(f"runtime={path}", path), f"runtime={path}")
        if given:
            return cls.of(_named(f"{VARIABLE}={given}", given), f"{VARIABLE}={given}")
        return cls.of(_cached() or _fetched(), f"onnxruntime-web {VERSION}")

    @classmethod
    def of(cls, found: Files, source: str) -> "Runtime":
        """Of the files of the package. `source` names them in an error."""
        try:
            version = str(json.loads(found[PACKAGE])["version"])
            script = classic(found[BUNDLE].decode().replace("\r\n", "\n"))
            if not found[WASM].startswith(b"\0asm"):
                raise ValueError(f"{WASM} holds no WebAssembly")
        except (ValueError, KeyError, TypeError) as error:
            what = f"this is not the onnxruntime-web that a page can be made with ({describe(error)})"
            raise UserError(f"{source}: {what}; {WAY}") from error
        return cls(version, script, found[WASM], {name: files.hash_of(found[name]) for name in (BUNDLE, WASM)})


def classic(module: str) -> str:
    """A JavaScript module as a classic script that defines `ort`: a page opened as a file may not load modules.
    Raises ValueError if the module is another than expected."""
    body, export, rest = module.rpartition("export{")
    names, _, after = rest.partition("}")
    exported = {name: own for own, name in re.findall(r"([\w$]+) as ([\w$]+)", names)}
    missing = {"InferenceSession", "Tensor", "env"} - exported.keys()
    if not export or missing or re.search(r"\bexport\s*[{*]|\bimport\s*[{*\"']|</script|<!--", body, re.IGNORECASE):
        raise ValueError(f"{BUNDLE} is of another form than in version {VERSION}")
    if re.sub(r"//# sourceMappingURL=\S*", "", after).strip(" ;\n"):
        raise ValueError(f"{BUNDLE} does not end with what it exports")
    # Its own address serves only to load what it is handed here.
    body = body.replace("import.meta.url", '"blob:onnxruntime-web"')
    result = ",".join(f"{name}:{exported[name]}" for name in sorted(exported))
    return f"var ort=(()=>{{{body}\nreturn{{{result}}}}})();\n"


def packed(content: bytes) -> str:
    """gzip in base64, as scripts hold bytes; the same for the same content."""
    compress = zlib.compressobj(9, wbits=31)  # with the header of gzip, without a time
    return base64.b64encode(compress.compress(content) + compress.flush()).decode()


def _named(source: str, name: str) -> Files:
    """The files of a package that the user named."""
    try:
        path = files.expanded(name)
        return _read(path)
    except FileNotFoundError as error:
        there = "it has no " + str(error) if path.is_dir() else "there is no such file or folder"
        raise UserError(f"{source}: {there}; {WAY}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: {describe(error)}; {WAY}") from error


def _read(path: Path) -> Files:
    """The files used of a package, packed or in a folder. Raises FileNotFoundError, OSError, or ValueError."""
    if path.is_dir():
        root = path / "package" if (path / "package").is_dir() else path
        for name in (PACKAGE, BUNDLE, WASM):
            if not (root / name).is_file():
                raise FileNotFoundError(name)
        return {name: (root / name).read_bytes() for name in (PACKAGE, BUNDLE, WASM)}
    found: Files = {}
    with open(path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r|gz") as archive:
                for member in archive:
                    name = member.name.partition("/")[2]
                    if name in (PACKAGE, BUNDLE, WASM) and (content := archive.extractfile(member)):
                        found[name] = content.read()
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise ValueError("this is no complete .tgz of npm") from error
    if missing := [name for name in (PACKAGE, BUNDLE, WASM) if name not in found]:
        raise ValueError(f"it has no {missing[0]}")
    return found


def _cached() -> Files | None:
    """What an earlier call kept, if it is all there and of the known hashes."""
    try:
        found = _read(_cache())
    except (OSError, ValueError):
        return None
    return found if all(files.hash_of(found[name]) == SHA256[name] for name in SHA256) else None


def _cache() -> Path:
    return files.cache_folder(f"onnxruntime-web-{VERSION}")


def _fetched() -> Files:
    """From the npm registry, by npm where there is one; kept in the cache. Raises UserError."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or os.environ.get("npm_config_registry")
    npm = shutil.which("npm")
    what = f"onnxruntime-web {VERSION}, which runs the model in the page, is not on this machine"
    if not npm and not registry:
        raise UserError(f"{what}, and there is no npm to fetch it with; {WAY}")
    with tempfile.TemporaryDirectory(prefix="transgan-") as folder:
        path = Path(folder, NAME)
        try:
            if npm:
                _pack(npm, Path(folder))
            else:
                _download(f"{registry}".rstrip("/") + f"/onnxruntime-web/-/{NAME}", path)
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha512").digest()
            if base64.b64encode(digest).decode() != SHA512:
                raise ValueError("what came is another file than the one that was published")
            found = _read(path)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise UserError(f"{what}, and could not be fetched ({_one_line(error)}); {WAY}") from error
    with suppress(OSError):  # a cache that cannot be written costs the time of the next fetch
        for name, content in found.items():
            with files.replacing(_cache() / name) as kept:
                kept.write(content)
    return found


def _pack(npm: str, folder: Path) -> None:
    """`npm pack` into a folder. Raises ValueError with what npm says."""
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--ignore-scripts", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=600)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ValueError(f"npm: {lines[0] if lines else f'exit code {done.returncode}'}")


def _download(address: str, path: Path) -> None:
    with urllib.request.urlopen(address, timeout=30) as answer, files.replacing(path) as file:
        shutil.copyfileobj(answer, file)


def _one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."
