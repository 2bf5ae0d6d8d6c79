"""The changes of unit that are known by their numbers. PURE."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Conversion:
    """A known change of unit: current = factor × reference + offset."""

    factor: float
    offset: float
    words: str


CONVERSIONS: tuple[Conversion, ...] = (
    *(
        Conversion(factor, 0.0, f"all values {done} by {abs(round(math.log10(factor)))} decimal places")
        for factor, done in (
            (1e6, "moved up"),
            (1e3, "moved up"),
            (1e2, "moved up"),
            (1e1, "moved up"),
            (1e-1, "moved down"),
            (1e-2, "moved down"),
            (1e-3, "moved down"),
            (1e-6, "moved down"),
        )
    ),
    Conversion(60.0, 0.0, "all values times 60, as from minutes to seconds"),
    Conversion(1 / 60, 0.0, "all values divided by 60, as from seconds to minutes"),
    Conversion(3600.0, 0.0, "all values times 3,600, as from hours to seconds"),
    Conversion(1 / 3600, 0.0, "all values divided by 3,600, as from seconds to hours"),
    Conversion(24.0, 0.0, "all values times 24, as from days to hours"),
    Conversion(1 / 24, 0.0, "all values divided by 24, as from hours to days"),
    Conversion(7.0, 0.0, "all values times 7, as from weeks to days"),
    Conversion(1 / 7, 0.0, "all values divided by 7, as from days to weeks"),
    Conversion(12.0, 0.0, "all values times 12, as from years to months"),
    Conversion(1 / 12, 0.0, "all values divided by 12, as from months to years"),
    Conversion(52.0, 0.0, "all values times 52, as from weekly to yearly"),
    Conversion(1 / 52, 0.0, "all values divided by 52, as from yearly to weekly"),
    Conversion(2.54, 0.0, "all values times 2.54, as from inches to centimetres"),
    Conversion(1 / 2.54, 0.0, "all values divided by 2.54, as from centimetres to inches"),
    Conversion(1.609344, 0.0, "all values times 1.609, as from miles to kilometres"),
    Conversion(1 / 1.609344, 0.0, "all values divided by 1.609, as from kilometres to miles"),
    Conversion(2.204623, 0.0, "all values times 2.205, as from kilograms to pounds"),
    Conversion(1 / 2.204623, 0.0, "all values divided by 2.205, as from pounds to kilograms"),
    Conversion(3.28084, 0.0, "all values times 3.281, as from metres to feet"),
    Conversion(1 / 3.28084, 0.0, "all values divided by 3.281, as from feet to metres"),
    Conversion(1.8, 32.0, "all values times 1.8 plus 32, as from Celsius to Fahrenheit"),
    Conversion(1 / 1.8, -32 / 1.8, "all values less 32 divided by 1.8, as from Fahrenheit to Celsius"),
    Conversion(1.0, 273.15, "all values plus 273.15, as from Celsius to Kelvin"),
    Conversion(1.0, -273.15, "all values less 273.15, as from Kelvin to Celsius"),
)
