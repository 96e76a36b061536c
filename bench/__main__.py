"""`python -m bench`: one table of ratios."""

from bench.quote import measure


def main() -> None:
    """Print the table."""
    print(f"{'programme':<10}{'promotions':>11}{'concerned':>11}{'quote µs':>11}{'echo µs':>9}{'ratio':>8}")
    for row in measure():
        print(
            f"{row.kind:<10}{row.promotions:>11}{row.concerned:>11}{row.quote_us:>11.0f}{row.echo_us:>9.0f}"
            f"{row.ratio:>8.2f}"
        )


if __name__ == "__main__":
    main()
