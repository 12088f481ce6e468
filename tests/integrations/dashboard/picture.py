"""Make docs/dashboard.png: the live page of the agent's demonstration, as a browser draws it.

    python tests/integrations/dashboard/picture.py [SECONDS [FILE]]

The page is watched for some seconds first, three minutes by default: its charts need a past.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs" / "dashboard.png"
SECONDS = 180.0
SIZE = {"width": 1280, "height": 720}
MOST_BYTES = 200_000

AGENT = [sys.executable, "-m", "app", "--demo", "--port", "0"]


def url_of(agent: "subprocess.Popen[str]") -> str:
    """Return the address that an agent logs when it serves."""
    for line in agent.stderr or ():
        if found := re.search(r"serving (http://\S+)", line):
            return found[1].removesuffix("metrics")
    raise SystemExit("the agent has ended before it served")


def draw(page: Page, url: str, seconds: float, file: Path) -> None:
    page.goto(url)
    page.wait_for_selector("#connection[data-status=live]")
    page.wait_for_timeout(1000 * seconds)
    # The shop comes first, with the series of one family; the values of the host are below.
    for name in ("process", "python", "requests"):
        page.locator("#rows .row").filter(has=page.get_by_text(name, exact=True)).first.click()
    page.mouse.move(0, 0)
    page.screenshot(path=file)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE
    with subprocess.Popen(AGENT, cwd=ROOT, stderr=subprocess.PIPE, text=True) as agent:
        try:
            with sync_playwright() as playwright:
                path = shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                page = browser.new_page(viewport=SIZE, color_scheme="light")
                draw(page, url_of(agent), seconds, file)
                browser.close()
        finally:
            agent.terminate()
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{file} has {size} bytes; at most {MOST_BYTES} are allowed")


if __name__ == "__main__":
    main()
