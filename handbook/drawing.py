"""The house as a picture: a graph in Mermaid's language, floor by floor, drawn as SVG.

Mermaid itself is three megabytes of script that browsers fetch from elsewhere.
"""

from __future__ import annotations

import re

WIDTH, FLOOR, BOX, LETTER = 920, 62, 26, 7.4
"""Of the picture, a floor's height, a box's height, a letter's width; in the picture's units."""


def drawing(graph: str) -> str:
    """A picture of ``graph TD`` with one ``subgraph`` a floor and ``a --> b`` between its nodes."""
    floors: list[list[tuple[str, str]]] = []
    edges: list[tuple[str, str]] = []
    for line in graph.splitlines():
        if "subgraph" in line:
            floors.append([])
        elif node := re.fullmatch(r"\s*(\w+)\[(\w+)\]", line):
            floors[-1].append((node[1], node[2]))
        elif edge := re.fullmatch(r"\s*(\w+) --> (\w+)", line):
            edges.append((edge[1], edge[2]))
    places: dict[str, tuple[float, float]] = {}
    boxes = []
    for number, rooms in enumerate(floors):
        y = number * FLOOR + BOX
        # neighbours of one floor lie a little aside of those of the next, so that lines can pass
        shift = WIDTH / 7 * (-1) ** number if len(rooms) == 1 else 0
        for place, (name, title) in enumerate(rooms):
            x = WIDTH * (place + 0.5) / len(rooms) + shift
            places[name] = (x, y)
            wide = len(title) * LETTER + 14
            boxes.append(
                f'<rect class="box" x="{x - wide / 2:.0f}" y="{y - BOX / 2:.0f}" '
                f'width="{wide:.0f}" height="{BOX}" rx="5"/>'
                f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{title}</text>'
            )
    lines = [_line(places[here], places[there]) for here, there in edges]
    height = len(floors) * FLOOR
    return (
        f'<svg class="drawing" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve from the lower side of a box to the upper side of another one."""
    (x, y), (to_x, to_y) = (start[0], start[1] + BOX / 2), (end[0], end[1] - BOX / 2)
    if start[1] == end[1]:
        y, to_y = start[1] + BOX / 2, end[1] + BOX / 2
        return (
            f'<path class="line" d="M{x:.0f} {y:.0f} C{x:.0f} {y + 30:.0f} '
            f'{to_x:.0f} {to_y + 30:.0f} {to_x:.0f} {to_y:.0f}"/>'
        )
    bend = (to_y - y) / 2
    return (
        f'<path class="line" d="M{x:.0f} {y:.0f} C{x:.0f} {y + bend:.0f} '
        f'{to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"/>'
    )
