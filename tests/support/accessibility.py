"""What finds, in a page, what keeps people out: axe-core, as its makers publish it."""

import subprocess

from tests.support.requirements import missing_here, need

AXE = "axe-core@4.14.1"
LOOK = """
axe.run({resultTypes: ["violations"]}).then(found => found.violations
  .filter(each => ["moderate", "serious", "critical"].includes(each.impact))
  .map(each => `${each.impact}: ${each.id}: ${each.nodes.map(node => node.html).slice(0, 3).join(" ")}`))
"""


def axe_script(folder):
    """To be evaluated in a page before `LOOK`, which then tells all that is found."""
    need("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, AXE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        missing_here(f"{AXE} could not be installed: {done.stderr[-300:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
