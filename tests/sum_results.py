"""
Sums up JUnit files: sum_results.py DIRECTORY SUITE…

For each suite there is SUITE.xml and SUITE.status, the runner's exit status. A runner that failed
without a failed test in its file (it crashed, or found nothing to run) counts as one failure. Prints
a line per suite and then "N passed, N failed" (", N skipped"); exits 1 when anything failed.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def count(path):
    """(passed, failed, skipped) of a JUnit file; zeros when it is missing or broken."""
    passed = failed = skipped = 0
    try:
        cases = ElementTree.parse(path).iter("testcase")
        for case in cases:
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed += 1
            elif "skipped" in kinds:
                skipped += 1
            else:
                passed += 1
    except (OSError, ElementTree.ParseError):
        pass
    return passed, failed, skipped


def main(directory, suites):
    total = [0, 0, 0]
    for suite in suites:
        passed, failed, skipped = count(Path(directory, suite + ".xml"))
        if not failed:
            status = Path(directory, suite + ".status")
            runner_failed = not status.exists() or status.read_text().strip() != "0"
            failed = int(runner_failed or passed + skipped == 0)
        print(f"{suite:10} {passed} passed, {failed} failed, {skipped} skipped")
        total = [a + b for a, b in zip(total, (passed, failed, skipped))]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
