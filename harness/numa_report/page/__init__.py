"""report.html: all that a run found on one page that asks the network for nothing."""

import base64
import functools
import hashlib
import json
import os

from ..errors import whole_file

FILE = "report.html"
HERE = os.path.dirname(os.path.abspath(__file__))


def write(run, pictures=()):
    """Writes report.html into the run's folder; returns its path.

    pictures: what pictures.draw(run) returned. Raises ReportError where a file of the folder is damaged.
    """
    from . import view

    path = os.path.join(run.folder, FILE)
    save(path, "report.html.j2", view.of_run(run, pictures))
    return path


def save(path, template, variables):
    """Writes a page that a template makes of the variables; the file appears whole or not at all."""
    with whole_file(path, encoding="utf-8", errors="replace") as file:
        file.write(environment().get_template(template).render(variables))


@functools.lru_cache(maxsize=None)
def environment():
    """jinja2's, made once: names in the data may hold anything, so everything is escaped that is not Markup."""
    import jinja2
    from markupsafe import Markup

    from . import colours

    made = jinja2.Environment(loader=jinja2.FileSystemLoader(os.path.join(HERE, "templates")), autoescape=True,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False)
    made.filters["data"] = data
    made.globals.update(
        light_css=Markup(text("report.css") + colours.css()), dark_css=Markup(text("dark.css")),
        fleet_css=Markup(text("fleet.css")), gradient=colours.gradient(),
        scripts={name: (Markup(text(name)), hash_of(text(name))) for name in ("report.js", "fleet.js")})
    return made


def hash_of(script):
    """By which a page's policy knows its own script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def text(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def data(value):
    """JSON for a script element: no letter of it can end the element or begin a comment."""
    from markupsafe import Markup

    words = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(words.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
