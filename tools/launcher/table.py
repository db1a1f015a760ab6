"""Tables for the person, as Markdown."""


def show(header, rows):
    """Print a table of texts; the first column is left-aligned, the others are figures."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = [("-" * width if i == 0 else "-" * (width - 1) + ":") for i, width in enumerate(widths)]
    for row in [header, rule, *rows]:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print(f"| {' | '.join(cells)} |")
    print(flush=True)
