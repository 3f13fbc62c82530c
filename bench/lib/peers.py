"""Building what is measured, and the peers: what can't be built is left out by name."""
import os
import shutil
from dataclasses import dataclass, field

from .loads import say
from .processes import RELEASE, ROOT, SERVER_CORE, WORK, Failed, Process, free_port, output

HERE = ROOT / "bench" / "peers"
BUILD_SECONDS = 3_600


@dataclass
class Peer:
    """One of those that answer CanDeliver out of a map."""
    name: str
    what: str
    # Programs that it needs, each with the Debian package that has it.
    needs: list
    build: list
    # The program; the address comes last.
    command: list
    env: dict = field(default_factory=dict)

    def start(self):
        """The process and its port."""
        port = free_port()
        process = Process(self.name, [*self.command, f"127.0.0.1:{port}"], SERVER_CORE, self.env)
        process.until_listening(port)
        return process, port


def folder(name):
    return WORK / "peers" / name


PYTHON = folder("python")
PEERS = [
    Peer("tonic-hello", "tonic as its examples show it", [], [], [RELEASE / "tonic-hello"]),
    Peer("tonic-best", "tonic's service on hyper at its best", [], [], [RELEASE / "tonic-best"]),
    Peer("grpc-go", "grpc-go (Debian)",
         [("go", "golang-go"), ("protoc", "protobuf-compiler"), ("protoc-gen-go", "golang-goprotobuf-dev"),
          ("/usr/share/gocode/src/google.golang.org/grpc", "golang-google-grpc-dev")],
         [[HERE / "go" / "build", folder("go")]], [folder("go") / "hello"]),
    Peer("grpc-cpp", "grpc C++ (Debian), callback server",
         [("g++", "g++"), ("pkg-config", "pkg-config"), ("protoc", "protobuf-compiler"),
          ("grpc_cpp_plugin", "protobuf-compiler-grpc"), ("/usr/include/grpcpp", "libgrpc++-dev")],
         [[HERE / "cpp" / "build", folder("cpp")]], [folder("cpp") / "hello"]),
    Peer("grpc-js", "grpc-js", [("node", "nodejs"), ("npm", "npm")],
         [["install", "-D", HERE / "js" / "package.json", folder("js") / "package.json"],
          ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder("js")]],
         ["node", HERE / "js" / "server.js"], {"NODE_PATH": str(folder("js") / "node_modules")}),
    Peer("grpcio", "grpcio (Python)", [("python3", "python3"), ("pip3", "python3-pip")],
         [["python3", "-m", "venv", PYTHON],
          [PYTHON / "bin" / "pip", "install", "--quiet", "-r", HERE / "python" / "requirements.txt"],
          [PYTHON / "bin" / "python", "-m", "grpc_tools.protoc", "-I", ROOT / "proto", f"--python_out={PYTHON}",
           f"--grpc_python_out={PYTHON}", "candeliver/product/v1/catalogue.proto",
           "candeliver/product/v1/product_service.proto"]],
         [PYTHON / "bin" / "python", HERE / "python" / "server.py"], {"PYTHONPATH": str(PYTHON)}),
]


def there(program):
    return os.path.exists(program) or shutil.which(program)


def need(needs):
    """Sees to it that programs are there; installs them where it may, else names their packages."""
    missing = [package for program, package in needs if not there(program)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {' '.join(missing)}")
        output(["apt-get", "update", "-q"])
        output(["apt-get", "install", "-yq", "--no-install-recommends", *missing], seconds=BUILD_SECONDS)
        missing = [package for program, package in needs if not there(program)]
    if missing:
        raise Failed(f"needs {', '.join(missing)} (Debian's names)")


def build_services():
    """The programs as they ship, and the tools. The peers apart: they must not widen the services' features."""
    say("building")
    need([("taskset", "util-linux"), ("h2load", "nghttp2-client"), ("psql", "postgresql-client")])
    build = ["cargo", "build", "--release", "--locked", "--quiet"]
    for packages in (["product", "delivery", "cli"], ["bench", "bench-peers"]):
        output([*build, "--bins", *(part for name in packages for part in ("-p", name))], seconds=BUILD_SECONDS)


def build_peers():
    """The peers that could be built, and why the others could not."""
    built, left_out = [], []
    for peer in PEERS:
        try:
            need(peer.needs)
            for command in peer.build:
                (WORK / "peers").mkdir(parents=True, exist_ok=True)
                output(command, seconds=BUILD_SECONDS)
            built.append(peer)
        except Failed as error:
            say(f"left out: {peer.name}: {error}")
            left_out.append(f"{peer.name}: {str(error).splitlines()[0][:160]}")
    return built, left_out
