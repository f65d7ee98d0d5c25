"""The site of all pages; scripts/docs stages them and runs Sphinx. A warning is an error."""

import os

project = "wtgram"
release = os.environ.get("WTGRAM_VERSION", "")
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"wtgram {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
# The pictures of the README are in raw HTML, which Sphinx does not follow.
html_extra_path = [os.path.join(os.environ["WTGRAM_PAGES"], "extra")]
exclude_patterns = ["extra"]
# Fences in languages that the highlighter does not know, or with only a part of a program, are text.
suppress_warnings = ["misc.highlighting_failure"]
