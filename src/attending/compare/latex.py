r"""A table as LaTeX, with booktabs: `\input` it where `\\usepackage{booktabs}` stands in the preamble."""

from attending.compare.table import Line, Table, Value

ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "*": r"$^{*}$",
    "…": r"\ldots{}",
}


def latex(table: Table, caption: str) -> str:
    """Return the table as a LaTeX `table` that needs the package booktabs only; its notes follow it."""
    columns = "l" + "r" * len(table.columns)
    groups = " & ".join([""] + [rf"\multicolumn{{{n}}}{{c}}{{{escape(name)}}}" for name, n in table.groups])
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        rf"{groups} \\",
        _rules(table),
        " & ".join(["Model", *(escape(name) for name in table.columns)]) + r" \\",
        r"\midrule",
        *(_line(line) for line in table.lines),
        r"\bottomrule",
        r"\end{tabular}",
        *(
            rf"\par\smallskip\begin{{minipage}}{{\linewidth}}{escape(note)}\end{{minipage}}"
            for note in table.notes
        ),
        r"\end{table}",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it stands."""
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def _rules(table: Table) -> str:
    ends, at = [], 2
    for _, n in table.groups:
        ends.append(rf"\cmidrule(lr){{{at}-{at + n - 1}}}")
        at += n
    return "".join(ends)


def _line(line: Line) -> str:
    return " & ".join([escape(line.name), *(_cell(cell) for cell in line.cells)]) + r" \\"


def _cell(cell: Value) -> str:
    return escape(cell.line)
