"""A comparison on the terminal: the table, each interval below its value, and its notes."""

from typing import TYPE_CHECKING, Any

from attending.compare.table import Table, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Drawn


UNLIMITED = 10_000


def show(result: dict[str, Any], console: "Console") -> None:
    """Print the comparison."""
    print_table(table(result), console)


def print_table(laid_out: Table, console: "Console") -> None:
    """Print a table and its notes: on a narrow terminal, each group of columns is a table of its own."""
    whole = draw(laid_out, range(len(laid_out.columns)))
    fits = console.measure(whole, options=console.options.update(width=UNLIMITED)).maximum <= console.width
    for columns in [range(len(laid_out.columns))] if fits else _groups(laid_out):
        console.print(draw(laid_out, columns))
    for note in laid_out.notes:
        console.print(note, style="dim", highlight=False, markup=False)


def draw(laid_out: Table, columns: range) -> "Drawn":
    """Return some columns of a table in characters."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    drawn.add_column("", no_wrap=True)
    groups = [name if not at else "" for name, n in laid_out.groups for at in range(n)]
    for column in columns:
        heading = f"{groups[column]}\n{laid_out.columns[column]}" if groups else laid_out.columns[column]
        drawn.add_column(heading, justify="right", no_wrap=True)
    for line in laid_out.lines:
        name = Text(line.name, style="" if line.cells else "bold")
        if line.tag:
            name.append(f"\n{line.tag}", style="dim")
        cells = [line.cells[column] for column in columns] if line.cells else []
        texts = [
            Text(f"{cell.text}{cell.mark}").append(f"\n{cell.interval}" if cell.interval else "", style="dim")
            for cell in cells
        ]
        drawn.add_row(name, *texts)
    return drawn


def _groups(laid_out: Table) -> list[range]:
    found, at = [], 0
    for _, n in laid_out.groups or [("", len(laid_out.columns))]:
        found.append(range(at, at + n))
        at += n
    return found
