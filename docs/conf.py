"""How the documentation is built: `sphinx-build -W docs build/docs`."""

project = "Servewell"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Servewell"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
