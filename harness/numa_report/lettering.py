"""Many short words at once: thousands of figures in the cells of a matrix."""

from matplotlib.artist import Artist
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.transforms import Bbox

CAPITAL = 0.729  # DejaVu Sans's height of digits and capitals, in the font's size


class Lettering(Artist):
    """Words of one line each, centred where they are put; quick, since matplotlib does not lay out each of them."""

    def __init__(self, zorder=3):
        super().__init__()
        self.set_zorder(zorder)
        self.words = []  # (x, y, words, points, colour, weight); x and y are the axes' data

    def write(self, x, y, words, points, colour, weight="normal"):
        self.words.append((x, y, words, points, colour, weight))

    def placed(self, renderer):
        """[(x of the middle, baseline, width, height, the word's entry)] in pixels from the bottom left."""
        if not self.words:
            return
        widths, fonts = {}, {}
        where = self.get_transform().transform([entry[:2] for entry in self.words])
        for (x, y), entry in zip(where, self.words):
            _, _, words, points, _, weight = entry
            font = fonts.get((points, weight))
            if font is None:
                font = fonts[points, weight] = FontProperties(family="DejaVu Sans", size=points, weight=weight)
            width = widths.get((words, points, weight))
            if width is None:
                width = widths[words, points, weight] = renderer.get_text_width_height_descent(words, font, False)[0]
            height = CAPITAL * renderer.points_to_pixels(points)
            yield x, y - height / 2, width, height, entry, font

    def boxes(self, renderer):
        """[(words, what they cover, in pixels)]"""
        return [(entry[2], Bbox.from_bounds(x - width / 2, baseline, width, height))
                for x, baseline, width, height, entry, _ in self.placed(renderer)]

    def draw(self, renderer):
        gc, brush = renderer.new_gc(), Text(ha="center")  # brush: tells SVG where the middle is
        top = renderer.get_canvas_width_height()[1]
        for x, baseline, width, _, (_, _, words, _, colour, _), font in self.placed(renderer):
            gc.set_foreground(colour)
            brush.set_position((x, baseline))
            renderer.draw_text(gc, x - width / 2, top - baseline, words, font, 0, False, brush)
        gc.restore()
