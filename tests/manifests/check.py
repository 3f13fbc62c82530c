"""What no schema sees: that the manifests fit each other, the contract, and the programs.

`check.py [--programs FOLDER] RENDERED…`: prints what does not fit, each line with the kustomization that it is of.
"""

import argparse
import sys

import network
import pods
import programs
import references
import scale
import selection
import settings
from manifests import Manifests

CHECKS = (pods, references, selection, scale, network, settings)


def faults(manifests):
    return [fault for check in CHECKS for fault in check.faults(manifests)]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--programs")
    arguments.add_argument("rendered", nargs="+")
    arguments = arguments.parse_args()
    failed = False
    for path in arguments.rendered:
        manifests = Manifests.read(path)
        found = faults(manifests)
        if arguments.programs:
            found += programs.faults(manifests, arguments.programs)
        for fault in found:
            print(f"scripts/check-k8s: {manifests.name}: {fault}", file=sys.stderr)
        failed = failed or bool(found)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
