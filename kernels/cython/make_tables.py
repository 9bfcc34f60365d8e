"""Writes elementwise_tables.h: what tanh, GELU and the exponential of elementwise_avx512.h look up.

Run it as ``python kernels/cython/make_tables.py > kernels/cython/elementwise_tables.h``; it needs SciPy.

tanh and GELU look up a function of t >= 0, cut where the exponent and the first two bits of the significand of t
change: four intervals to an octave, and one for what is below the first. On each, the function is a polynomial of
degree five in the distance from the centre, fitted at Chebyshev points to a small relative error.
"""

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

ENTRIES, DEGREE = 32, 5
PARTS = 4  # intervals of an octave
LINE = 6  # numbers


def tail(t):
    """Return t Phi(-t) exp(t^2 / 2), of which the exponential is left to be multiplied with."""
    return t * special.erfcx(t / np.sqrt(2)) / 2


def polynomial(f, low, high, centre, fixed=()):
    """Return the coefficients for [low, high) about the centre, the first of them being `fixed`."""
    points = low + (high - low) * (chebyshev.chebpts1(4 * (DEGREE + 1)) + 1) / 2
    t, value = points - centre, f(points)
    powers = np.arange(len(fixed), DEGREE + 1)
    unit = max(high - centre, centre - low)  # scaled, so that the equations are well-conditioned
    terms = (t[:, None] / unit) ** powers / value[:, None]
    rest = 1 - sum(c * t**power for power, c in enumerate(fixed)) / value
    free = np.linalg.lstsq(terms, rest, rcond=None)[0] / unit**powers
    return [*fixed, *free]


def table(f, slope, octave):
    """Return the bits of what is below 2^octave, and the centres and coefficients by bits.

    `slope` is f'(0): f is exact to the first order where t is small.
    """
    entries = np.zeros((DEGREE + 2, ENTRIES))
    first = (127 + octave) * PARTS  # exponent, biased, and two bits of the significand
    entries[1:, (first - 1) % ENTRIES] = polynomial(f, 0, 2.0**octave, 0, (0.0, slope))
    for index in range(first, first - 1 + ENTRIES):
        exponent, part = divmod(index - 127 * PARTS, PARTS)
        low, high = (2.0**exponent * (1 + p / PARTS) for p in (part, part + 1))
        centre = (low + high) / 2
        entries[:, index % ENTRIES] = centre, *polynomial(f, low, high, centre)
    return first - 1, entries.astype(np.float32)


def print_rows(declaration, rows):
    """Print a table in C."""
    print(f"static const float {declaration} = {{")
    for row in rows:
        texts = [f"{float(str(value))!r}f" for value in row]  # the shortest digits that give the float32, with a point
        lines = [", ".join(texts[i : i + LINE]) for i in range(0, len(texts), LINE)]
        print("    {" + ",\n     ".join(lines) + "},")
    print("};")


if __name__ == "__main__":
    print("/* Made by make_tables.py: centres, then coefficients from the constant on, by five bits of t. */")
    print("#ifndef PYNN_ELEMENTWISE_TABLES_H\n#define PYNN_ELEMENTWISE_TABLES_H")
    for name, arguments in (("tanh", (np.tanh, 1.0, -4)), ("tail", (tail, 0.5, -3))):
        least, entries = table(*arguments)
        print(f"\n#define PN_{name.upper()}_LEAST {least}")
        print_rows(f"pn_{name}_table[{DEGREE + 2}][{ENTRIES}]", entries)
    print("\n/* 2^(i / 16) */")
    print_rows("pn_exp2_table[1][16]", [(2 ** (np.arange(16) / 16)).astype(np.float32)])
    print("\n#endif")
