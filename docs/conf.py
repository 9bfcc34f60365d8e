"""The site, built by ``sphinx-build -W docs docs/_build`` with the extra "docs"."""

import os
import sys
from pathlib import Path

import pynn

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "pynn"
author = "pynn's authors"
copyright = "pynn's authors, MIT licence"
version = release = pynn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "reference_pages",
    "source_pages",
    "lecture_claims",
    "links",
    "mathml",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "notebook.ipynb", "gallery/**/*.ipynb", "**/sg_execution_times.rst"]
exclude_patterns += ["sg_execution_times.rst", "gallery/*.py", "gallery/*.ipynb"]

default_role = "py:obj"
autosummary_generate = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_math_renderer = "mathml"

#: Without MNIST and CIFAR-10 at hand, the examples on them are shown, but not run.
RUN = r"/plot_" if os.environ.get("PYNN_DATA") else r"/plot_(?!02_mnist|03_cifar10)"
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": RUN,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "download_all_examples": False,
    "ignore_repr_types": r"matplotlib\.|pynn\.report\.picture|list",
    "image_scrapers": ("matplotlib", "gallery_pictures.scraper"),
    "min_reported_time": 1,
    "plot_gallery": "True",
    "show_memory": False,
    "show_signature": False,
    "thumbnail_size": (320, 224),
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "pydata_sphinx_theme"
html_title = "pynn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["names.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 1,
    "collapse_navigation": True,  # else each lists 400 others: a third of the site, a fifth of its build
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "benchmarks": []}  # they have no section to navigate
