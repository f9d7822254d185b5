# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx builds the site: guides in Markdown, and the pages that antsibull-docs writes for modules and roles."""

project = "matrix_ops.synapse_s3"
author = "matrix_ops.synapse_s3 contributors"
project_copyright = "2026, matrix_ops.synapse_s3 contributors"
html_title = "matrix_ops.synapse_s3"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_show_sourcelink = False
html_copy_source = False

# A link that leads nowhere is an error (dev/docs.sh builds with -W).
nitpicky = True
default_role = "any"
myst_heading_anchors = 3
# Files that guides link to, and no pages.
exclude_patterns = ["inventory.example"]
