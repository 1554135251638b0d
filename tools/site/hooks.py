"""Hooks of mkdocs: what the site has beyond the pages as GitLab shows them.

Pages stay plain Markdown. These forms are also readable without this file:

  <!-- tabs -->        the headings up to <!-- end tabs --> become tabs
  > [!NOTE]            the quotation becomes a box (also TIP and WARNING)
  | message | … | … |  rows of messages.md become headings, which have addresses
"""

import html
import json
import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
# Files of the repository that are pages too. Their links begin at the top.
FROM_ROOT = ["CHANGELOG.md", "SECURITY.md"]
# The pages whose headings of the third level are messages of the programs.
MESSAGES = ["troubleshooting.md", "messages.md"]
# Not pages: sources of pictures, and what packages install.
UNPUBLISHED = re.compile(r"^(man|completions)/|\.dot$")

# The addresses of the messages, from the pages' headings.
addresses = set()

BOXES = {"NOTE": "note", "TIP": "tip", "IMPORTANT": "info", "WARNING": "warning", "CAUTION": "danger"}


def on_files(files, config):
    for file in list(files):
        if UNPUBLISHED.search(file.src_uri):
            files.remove(file)
    for name in FROM_ROOT:
        files.append(File(name, str(ROOT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown, page, config, files):
    source = page.file.src_uri
    if source in FROM_ROOT:
        markdown = re.sub(r"\]\(docs/", "](", markdown)
        markdown = re.sub(r"\[([^\]]+)\]\((?!https?:)(?![\w./-]+\.(?:md|svg))[^)#]+\)", r"\1", markdown)
    else:
        up = "../" * (source.count("/") + 1)
        for name in FROM_ROOT:
            markdown = markdown.replace("](" + up + name, "](" + up[3:] + name)
    if source == "messages.md":
        markdown = headings(markdown)
    return outside_fences(markdown, lambda text: boxes(tabs(text)))


def outside_fences(markdown, change):
    """Apply change, and keep what looks like markup in code blocks."""
    kept = []

    def keep(match):
        kept.append(match.group(0))
        return f"{match.group(1)}\x00{len(kept) - 1}\x00"

    text = change(re.sub(r"(?ms)^( *)```.*?^\1```[ ]*$", keep, markdown))

    def restore(match):
        indent, block = match.group(1), kept[int(match.group(2))]
        own = len(block) - len(block.lstrip(" "))
        return "\n".join(indent + line[own:] if line.strip() else line for line in block.split("\n"))

    return re.sub(r"(?m)^( *)\x00(\d+)\x00", restore, text)


def tabs(markdown):
    """Turn the headings between the two comments into tabs."""

    def group(match):
        out = []
        for part in re.split(r"(?m)^#{2,6} ", match.group(1))[1:]:
            title, _, body = part.partition("\n")
            out += [f'=== "{title.strip()}"', "", indented(body.strip("\n")), ""]
        return "\n".join(out)

    return re.sub(r"(?ms)^<!-- tabs -->\n(.*?)^<!-- end tabs -->$", group, markdown)


def boxes(markdown):
    def box(match):
        kind = BOXES[match.group(1).upper()]
        body = re.sub(r"(?m)^> ?", "", match.group(2)).strip("\n")
        return f"!!! {kind}\n\n{indented(body)}\n"

    return re.sub(r"(?m)^> \[!(%s)\]\n((?:^>.*\n?)+)" % "|".join(BOXES), box, markdown)


def indented(text):
    return "\n".join("    " + line if line.strip() else line for line in text.split("\n"))


def headings(markdown):
    """Turn each row of a table of messages into a heading and two paragraphs."""
    out = []
    for line in markdown.split("\n"):
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 3 or not line.startswith("|"):
            out.append(line)
        elif cells[0] != "message" and not re.fullmatch(r"[\s:-]+", cells[0]):
            out += ["", "### " + cells[0].strip("`"), "", cells[1], "", f"**What to do:** {cells[2]}", ""]
    return "\n".join(out)


def on_page_content(html, page, config, files):
    """Open a picture by a click, show the readers of the front page as cards, and keep a
    short option or name on one line."""
    html = re.sub(r'(<img [^>]*src="([^"]+\.svg)"[^>]*>)', r'<a class="picture" href="\2">\1</a>', html)
    if page.file.src_uri == "index.md":
        html = re.sub(r"(?s)(<h2.*?</h2>\s*<ul>.*?</ul>)", r'<section class="card">\1</section>', html)
        first, last = html.index("<section"), html.rindex("</section>") + len("</section>")
        html = f'{html[:first]}<div class="cards">{html[first:last]}</div>{html[last:]}'
    return re.sub(r"<code>([^<\s]{1,28})</code>", r'<code class="short">\1</code>', html)


def on_page_context(context, page, config, nav):
    page.title = (page.title or "").replace("`", "")
    if page.file.src_uri == "configuration.md":
        # The margin has the names of the keys below that of their table.
        for key in (key for top in page.toc for table in top.children for key in table.children):
            key.title = key.title.rpartition(".")[2]
    if page.file.src_uri in MESSAGES:
        # The search has indexed all headings by now; the margin shows the subjects.
        for subject in (part for top in page.toc for part in top.children):
            addresses.update(page.url + one.url for one in subject.children)
            subject.children = []
    return context


def on_post_build(config):
    """Give each message a tag in the index of the search, and the search its messages."""
    site = Path(config["site_dir"])
    file = site / "search" / "search_index.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    messages = []
    for doc in index["docs"]:
        if doc["location"] in addresses:
            tag = f"message{len(messages):04d}"
            doc["tags"] = [tag]
            messages.append([html.unescape(doc["title"]), tag])
    file.write_text(json.dumps(index, ensure_ascii=False, separators=(",", ":"), sort_keys=True), encoding="utf-8")
    script = (Path(__file__).parent / "search.js").read_text(encoding="utf-8")
    listed = json.dumps(messages, ensure_ascii=False, separators=(",", ":"))
    (site / "search" / "messages.js").write_text(script.replace("MESSAGES", listed, 1), encoding="utf-8")
    # The time of the build is not part of the documentation.
    (site / "sitemap.xml.gz").unlink(missing_ok=True)
