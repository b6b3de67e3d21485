"""The pages: links lead somewhere, code compiles, commands exist, tables agree with the metadata."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from wrapperkernel.testing.process import start_kernel

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
    if path.name == "README.md" or path.parent.name != "changelog.d"
}
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(text: str, language: str) -> list[str]:
    """Return a page's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_are_closed_and_of_known_languages(page: str) -> None:
    fences = re.findall(r"^```(.*)$", PAGES[page], re.MULTILINE)
    assert set(fences[::2]) <= {"", "python", "sh", "text", "json", "toml", "ini"}
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles(page: str) -> None:
    for number, source in enumerate(blocks(PAGES[page], "python")):
        compile(source, f"{page}, block {number}", "exec")


@pytest.mark.parametrize("page", PAGES)
def test_shell_is_shell(page: str) -> None:
    for source in blocks(PAGES[page], "sh"):
        run = subprocess.run(["bash", "-n"], input=source, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, ""), source


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    code = "\n".join([*blocks(PAGES[page], "sh"), *re.findall(r"`([^`\n]+)`", PAGES[page])])
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for name in re.findall(r"\bmake ([a-z]+)", code):
        assert name in targets
    for module in re.findall(r"python3? -m (wrapperkernel[\w.]*)", code):
        assert find_spec(module) is not None, module
    for module in re.findall(r"python3? -m (tests[\w.]*)", code):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_the_kernel_of_the_readme_works(tmp_path: Path) -> None:
    file = tmp_path / "shout.py"
    file.write_text(blocks(PAGES["README.md"], "python")[0])
    with start_kernel([sys.executable, str(file)]) as kernel, kernel.client() as client:
        client.wait_ready()
        assert client.execute("hello").stdout == "HELLO"


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+)\)", PAGES["docs/README.md"]))
    pages = {str((ROOT / page).relative_to(DOCS)) for page in PAGES if page.startswith("docs/")}
    assert pages - {"README.md", "changelog.md"} <= linked


def test_the_support_table_is_that_of_the_metadata() -> None:
    supported = re.findall(r"^\| `(3\.\d+)` \| supported", PAGES["docs/support.md"], re.MULTILINE)
    prefix = "Programming Language :: Python :: "
    assert supported == [
        c.removeprefix(prefix) for c in METADATA["classifiers"] if c.startswith(f"{prefix}3.")
    ]
    assert METADATA["requires-python"] == f">={supported[0]}"


def test_fragments_of_the_changelog_can_be_collected(tmp_path: Path) -> None:
    """Collect them in a copy: names are right, nothing is lost, and the next release goes on top."""
    docs = tmp_path / "docs"
    shutil.copytree(DOCS / "changelog.d", docs / "changelog.d")
    tool = tmp_path / "tests" / "tools" / "changelog.py"
    tool.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "tools" / "changelog.py", tool)
    texts = [p.read_text("utf-8").split("\n")[0] for p in docs.rglob("*.*.md")]
    subprocess.run([sys.executable, tool, "1.0"], check=True)
    assert [p.name for p in (docs / "changelog.d").iterdir()] == ["README.md"]
    first = (docs / "changelog.md").read_text("utf-8")
    assert all(text in first for text in texts)

    (docs / "changelog.d" / "x.fixed.md").write_text("A bug\nof two lines.\n")
    subprocess.run([sys.executable, tool, "1.1"], check=True)
    second = (docs / "changelog.md").read_text("utf-8")
    assert second.startswith("# Changelog\n\n## 1.1 (")
    assert "### Fixed\n\n- A bug\n  of two lines.\n\n## 1.0 (" in second
    assert second.endswith(first.removeprefix("# Changelog\n"))

    (docs / "changelog.d" / "stray.md").write_text("What am I?\n")
    assert subprocess.run([sys.executable, tool, "1.2"], capture_output=True).returncode != 0
