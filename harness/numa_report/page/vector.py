"""A picture's SVG as part of a page: its own ids, the page's colours, nothing that is asked of elsewhere."""

import re

from markupsafe import Markup, escape

from .. import curves, picture

# matplotlib escapes < and > in texts and attributes, so these find tags alone.
TAG = re.compile(r"<[^<>]*>")
LEFT_OUT = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
ROOT = re.compile(r'<svg\b[^>]*? width="([0-9.]+)pt"[^>]*? viewBox="([-0-9. ]+)"[^>]*>')
PX_A_PT = 4 / 3
THEME = {picture.INK: "--ink", picture.PAPER: "--paper", picture.DETAILS: "--soft", picture.GREY: "--soft",
         picture.PALE: "--line", picture.NOTHING: "--raised", curves.FLAT_COLOUR: "--flat",
         picture.COLOURS[0].lower(): "--blue"}  # the one line colour that is too dark for a dark page


def inlined(path, name, title, alternative):
    """The SVG file as an element of the page; None where it is no picture of matplotlib's.

    name: what its ids begin with, another one for each picture.
    """
    with open(path, encoding="utf-8") as file:
        content = LEFT_OUT.sub("", file.read())
    root = ROOT.search(content)
    if root is None:
        return None
    body = TAG.sub(lambda tag: themed(tag[0], name), content[root.end():])
    return Markup(f'<svg viewBox="{root[2]}" width="{float(root[1]) * PX_A_PT:.0f}" role="img" '
                  f'aria-labelledby="{name}-title {name}-words"><title id="{name}-title">{escape(title)}</title>'
                  f'<desc id="{name}-words">{escape(alternative)}</desc>{body.strip()}')


def themed(tag, name):
    """A tag with the picture's own ids, and the page's colours in place of the theme's."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'\b(?:xlink:)?href="#', f'href="#{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: f"var({THEME[colour[0]]})" if colour[0] in THEME else colour[0], tag)
